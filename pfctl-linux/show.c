// SPDX-License-Identifier: BSD-2-Clause
/* -s: rules, labels, status, timeouts, limits.  Layouts are OpenBSD's. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../grammar/names.h"
#include "../grammar/print.h"
#include "../lib/model.h"
#include "pfctl.h"

/* --- rules --- */

struct rules {
	struct pf_buf model;
	bool model_complete;
	struct pf_buf stats;
};

static int rules_data(void *ctx, const void *payload, size_t len)
{
	struct rules *r = ctx;

	if (r->model_complete)
		pf_put(&r->stats, payload, len);
	else if (len)
		pf_put(&r->model, payload, len);
	else
		r->model_complete = true;
	return r->model.failed || r->stats.failed ? -1 : 0;
}

static void print_skips(const struct pf_wire_rule *w, size_t nr, size_t nrules)
{
	static const char *const names[] = {"i", "d", "r", "f", "p", "sa", "da", "sp", "dp"};

	fputs("  [ Skip steps: ", stdout);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (w->skip[i] == nrules)
			printf("%s=end ", names[i]);
		else if (w->skip[i] != nr + 1)
			printf("%s=%u ", names[i], w->skip[i]);
	}
	fputs("]\n", stdout);
}

static void print_counters(const struct pf_wire_rule *w, uint32_t uid, uint32_t pid)
{
	printf("  [ Evaluations: %-8" PRIu64 "  Packets: %-8" PRIu64 "  Bytes: %-10" PRIu64
	       "  States: %-6" PRIu64 "]\n",
	       w->evaluations, w->packets[0] + w->packets[1], w->bytes[0] + w->bytes[1],
	       w->states_now);
	printf("  [ Inserted: uid %u pid %u State Creations: %-6" PRIu64 "]\n", uid, pid,
	       w->states_made);
}

static void print_label(struct pfctl *c, const struct pf_rule *r, const struct pf_wire_rule *w)
{
	if (!r->label)
		return;
	pfctl_print_title(c);
	printf("%s %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64
	       " %" PRIu64 "\n",
	       r->label, w->evaluations, w->packets[0] + w->packets[1], w->bytes[0] + w->bytes[1],
	       w->packets[0], w->bytes[0], w->packets[1], w->bytes[1], w->states_made);
}

#define COUNTED_SIZE (PF_TABLE_NAME_SIZE + 16)

/* Behind a table's name the number of its addresses, or "*" if it is not active. */
static void count_table(struct pf_rule_host *h, const struct pfctl_tables *tables,
			char buf[COUNTED_SIZE])
{
	if (h->type != PF_HOST_TABLE)
		return;
	snprintf(buf, COUNTED_SIZE, "%s:*", h->table);
	for (size_t i = 0; i < tables->n; i++)
		if (strcmp(tables->line[i].name, h->table) == 0)
			snprintf(buf, COUNTED_SIZE, "%s:%u", h->table, tables->line[i].addresses);
	h->table = buf;
}

static void print_with_counts(const struct pf_rule *r, size_t nr, unsigned int flags,
			      const struct pfctl_tables *tables)
{
	struct pf_rule counted = *r;
	char src[COUNTED_SIZE], dst[COUNTED_SIZE];

	count_table(&counted.src, tables, src);
	count_table(&counted.dst, tables, dst);
	pf_rule_print(stdout, &counted, nr, flags);
}

/* What pfd says of its rules. */
struct answer {
	uint32_t rules, uid, pid;
};

static int check_answer(const struct rules *r, const struct pf_buf *ok, struct pf_ruleset **rs,
			struct answer *a)
{
	struct pf_cursor cur = pf_cursor_of(ok->data, ok->len);
	char err[256];

	a->rules = pf_get_u32(&cur);
	a->uid = pf_get_u32(&cur);
	a->pid = pf_get_u32(&cur);
	if (pf_model_decode(r->model.data, r->model.len, rs, err, sizeof(err))) {
		pfctl_warn("pfd: %s", err);
		return 1;
	}
	if (cur.bad || a->rules != pf_filter(*rs)->n ||
	    r->stats.len != a->rules * sizeof(struct pf_wire_rule)) {
		pfctl_warn("pfd: malformed answer");
		return 1;
	}
	return 0;
}

static int print_rules(struct pfctl *c, const struct rules *r, const struct pf_buf *ok, bool labels)
{
	pf_ruleset_auto rs = NULL;
	unsigned int flags = (c->verbose > 1 ? PF_PRINT_NUMBER : 0U) |
			     (c->port_names ? PF_PRINT_PORT_NAMES : 0U);
	struct pfctl_tables tables = {0};
	struct answer a;
	int status = check_answer(r, ok, &rs, &a);

	if (!status && c->verbose > 1 && !labels)
		status = pfctl_tables(c, &tables);
	for (size_t i = 0; i < a.rules && !status; i++) {
		struct pf_wire_rule w;

		memcpy(&w, r->stats.data + i * sizeof(w), sizeof(w));
		if (labels) {
			print_label(c, &pf_filter(rs)->v[i], &w);
			continue;
		}
		if (c->verbose > 1)
			print_with_counts(&pf_filter(rs)->v[i], i, flags, &tables);
		else
			pf_rule_print(stdout, &pf_filter(rs)->v[i], i, flags);
		if (c->verbose > 1)
			print_skips(&w, i, a.rules);
		if (c->verbose)
			print_counters(&w, a.uid, a.pid);
	}
	free(tables.line);
	return status;
}

int pfctl_fetch_rules(struct pfctl *c, struct pf_ruleset **rs, struct pf_wire_rule **stats)
{
	struct rules r = {0};
	pf_buf_auto ok = {0};
	struct answer a;
	int status = pfctl_call(c, PF_REQ_RULES, NULL, rules_data, &r, &ok);

	if (!status)
		status = check_answer(&r, &ok, rs, &a);
	if (!status) {
		*stats = calloc(a.rules + 1, sizeof(**stats));
		if (*stats)
			memcpy(*stats, r.stats.data, r.stats.len);
		else
			status = 1;
	}
	pf_buf_free(&r.model);
	pf_buf_free(&r.stats);
	return status;
}

int pfctl_show_rules(struct pfctl *c, bool labels)
{
	struct rules r = {0};
	pf_buf_auto ok = {0};
	int status = pfctl_call(c, PF_REQ_RULES, NULL, rules_data, &r, &ok);

	if (!status)
		status = print_rules(c, &r, &ok, labels);
	pf_buf_free(&r.model);
	pf_buf_free(&r.stats);
	return status;
}

/* --- status --- */

static const char *const reasons[PF_WIRE_REASONS] = {
	"match",	 "bad-offset", "fragment",  "short",	   "normalize",	     "memory",
	"bad-timestamp", "congestion", "ip-option", "proto-cksum", "state-mismatch", "state-insert",
	"state-limit",	 "src-limit",  "synproxy",  "translate",   "no-route",
};

static void print_count(const char *name, uint64_t n, uint64_t seconds)
{
	printf("  %-25s %14" PRIu64 " ", name, n);
	if (seconds)
		printf("%14.1f/s\n", (double)n / (double)seconds);
	else
		printf("%14s\n", "");
}

static void print_since(const struct pf_wire_status *s)
{
	char line[80], debug[32];
	const char *level = pfctl_level_name(s->debug);
	uint64_t t = s->since;

	if (t)
		snprintf(line, sizeof(line), "Status: %s for %" PRIu64 " days %02u:%02u:%02u",
			 s->enabled ? "Enabled" : "Disabled", t / 86400,
			 (unsigned int)(t / 3600 % 24), (unsigned int)(t / 60 % 60),
			 (unsigned int)(t % 60));
	else
		snprintf(line, sizeof(line), "Status: %s", s->enabled ? "Enabled" : "Disabled");
	snprintf(debug, sizeof(debug), "Debug: %s", level ? level : "?");
	printf("%-44s%15s\n\n", line, debug);
	if (s->confirm_left)
		printf("Rules wait to be confirmed: %u seconds left (pfctl-linux --confirmed)\n\n",
		       s->confirm_left);
}

static void print_status(const struct pf_wire_status *s)
{
	print_since(s);
	printf("%-27s %14s %16s\n", "State Table", "Total", "Rate");
	printf("  %-25s %14u %14s\n", "current entries", s->states, "");
	printf("  %-25s %14u %14s\n", "half-open tcp", s->half_open, "");
	print_count("searches", s->searches, s->since);
	print_count("inserts", s->inserts, s->since);
	print_count("removals", s->removals, s->since);
	puts("Counters");
	for (int i = 0; i < PF_WIRE_REASONS; i++)
		print_count(reasons[i], s->reasons[i], s->since);
	puts("Log");
	print_count("records", s->logged, s->since);
	print_count("lost records", s->log_lost, s->since);
	puts("Linux");
	printf("  %-25s %14u %14s\n", "attached interfaces", s->interfaces, "");
	print_count("answers", s->answers, s->since);
	print_count("answers not possible", s->no_answer, s->since);
	print_count("dropped: no rules", s->unjudged, s->since);
	print_count("dropped: vlan depth", s->vlan_deep, s->since);
	print_count("dropped: link type", s->unknown_link, s->since);
}

int pfctl_show_status(struct pfctl *c)
{
	struct pf_wire_status s;
	struct pf_cursor cur;
	pf_buf_auto b = {0};

	if (pfctl_call(c, PF_REQ_STATUS, NULL, NULL, NULL, &b))
		return 1;
	cur = pf_cursor_of(b.data, b.len);
	pf_get(&cur, &s, sizeof(s));
	if (!pf_cursor_done(&cur)) {
		pfctl_warn("pfd: malformed answer");
		return 1;
	}
	print_status(&s);
	return 0;
}

/* --- timeouts and limits --- */

static int get_options(struct pfctl *c, uint32_t *timeouts, uint32_t *limits)
{
	pf_buf_auto b = {0};
	struct pf_cursor cur;

	if (pfctl_call(c, PF_REQ_OPTIONS, NULL, NULL, NULL, &b))
		return 1;
	cur = pf_cursor_of(b.data, b.len);
	for (int i = 0; i < PF_TIMEOUT_MAX; i++)
		timeouts[i] = pf_get_u32(&cur);
	for (int i = 0; i < PF_LIMIT_MAX; i++)
		limits[i] = pf_get_u32(&cur);
	if (pf_cursor_done(&cur))
		return 0;
	pfctl_warn("pfd: malformed answer");
	return 1;
}

int pfctl_show_timeouts(struct pfctl *c)
{
	/* pfctl lists them by protocol, the kernel's numbers are older */
	static const enum pf_timeout_id order[PF_TIMEOUT_MAX] = {
		PF_TIMEOUT_TCP_FIRST,	 PF_TIMEOUT_TCP_OPENING,  PF_TIMEOUT_TCP_ESTABLISHED,
		PF_TIMEOUT_TCP_CLOSING,	 PF_TIMEOUT_TCP_FINWAIT,  PF_TIMEOUT_TCP_CLOSED,
		PF_TIMEOUT_TCP_TSDIFF,	 PF_TIMEOUT_UDP_FIRST,	  PF_TIMEOUT_UDP_SINGLE,
		PF_TIMEOUT_UDP_MULTIPLE, PF_TIMEOUT_ICMP_FIRST,	  PF_TIMEOUT_ICMP_ERROR,
		PF_TIMEOUT_OTHER_FIRST,	 PF_TIMEOUT_OTHER_SINGLE, PF_TIMEOUT_OTHER_MULTIPLE,
		PF_TIMEOUT_FRAG,	 PF_TIMEOUT_INTERVAL,	  PF_TIMEOUT_ADAPTIVE_START,
		PF_TIMEOUT_ADAPTIVE_END, PF_TIMEOUT_SRC_TRACK,
	};
	uint32_t timeouts[PF_TIMEOUT_MAX], limits[PF_LIMIT_MAX];

	if (get_options(c, timeouts, limits))
		return 1;
	for (int i = 0; i < PF_TIMEOUT_MAX; i++) {
		enum pf_timeout_id id = order[i];
		bool count = id == PF_TIMEOUT_ADAPTIVE_START || id == PF_TIMEOUT_ADAPTIVE_END;

		printf("%-20s %10u%s\n", pf_timeout_names[id], timeouts[id],
		       count ? " states" : "s");
	}
	return 0;
}

int pfctl_show_memory(struct pfctl *c)
{
	uint32_t timeouts[PF_TIMEOUT_MAX], limits[PF_LIMIT_MAX];

	if (get_options(c, timeouts, limits))
		return 1;
	for (int i = 0; i < PF_LIMIT_MAX; i++)
		printf("%-13s hard limit %8u\n", pf_limit_names[i], limits[i]);
	return 0;
}

/* --- all of it --- */

static int show_rules(struct pfctl *c)
{
	return pfctl_show_rules(c, false);
}

static int show_labels(struct pfctl *c)
{
	return pfctl_show_rules(c, true);
}

/* In the order of -s all.  Parts that may be empty print their title themselves. */
static const struct {
	const char *name;
	const char *title;
	int (*show)(struct pfctl *c);
	bool may_be_empty;
} showers[] = {
	{"rules", "FILTER RULES:", show_rules, false},
	{"states", "STATES:", pfctl_show_states, true},
	{"info", "INFO:", pfctl_show_status, false},
	{"labels", "LABEL COUNTERS:", show_labels, true},
	{"timeouts", "TIMEOUTS:", pfctl_show_timeouts, false},
	{"memory", "LIMITS:", pfctl_show_memory, false},
	{"Tables", "TABLES:", pfctl_show_tables, true},
};

void pfctl_print_title(struct pfctl *c)
{
	if (!c->title)
		return;
	printf("%s%s\n", c->titled ? "\n" : "", c->title);
	c->titled = true;
	c->title = NULL;
}

static int show_all(struct pfctl *c)
{
	int status = 0;

	for (size_t i = 0; i < sizeof(showers) / sizeof(showers[0]); i++) {
		c->title = showers[i].title;
		if (!showers[i].may_be_empty)
			pfctl_print_title(c);
		status |= showers[i].show(c);
		if (!c->connected)
			return 1;
	}
	c->title = NULL;
	return status;
}

int pfctl_show(struct pfctl *c, const char *what, bool clear)
{
	int status = 0;

	if (strcmp(what, "all") == 0)
		status = show_all(c);
	for (size_t i = 0; i < sizeof(showers) / sizeof(showers[0]); i++)
		if (strcmp(showers[i].name, what) == 0)
			status = showers[i].show(c);
	if (clear && (strcmp(what, "rules") == 0 || strcmp(what, "labels") == 0))
		status |= pfctl_clear_rule_counters(c);
	return status;
}
