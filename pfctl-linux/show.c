// SPDX-License-Identifier: BSD-2-Clause
/* -s: status, timeouts, limits.  Layouts are OpenBSD's. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../grammar/names.h"
#include "pfctl.h"

/* --- status --- */

static const char *const reasons[PF_WIRE_REASONS] = {
	"match",	 "bad-offset", "fragment",  "short",	   "normalize",	     "memory",
	"bad-timestamp", "congestion", "ip-option", "proto-cksum", "state-mismatch", "state-insert",
	"state-limit",	 "src-limit",  "synproxy",  "translate",   "no-route",
};

static const char *const limit_counters[PF_WIRE_LIMITS] = {
	"max states per rule",	 "max-src-states",     "max-src-nodes",
	"max-src-conn",		 "max-src-conn-rate",  "overload table insertion",
	"overload flush states", "synfloods detected", "syncookies sent",
	"syncookies validated",
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

static void print_status(const struct pfctl *c, const struct pf_wire_status *s)
{
	print_since(s);
	printf("%-27s %14s %16s\n", "State Table", "Total", "Rate");
	printf("  %-25s %14u %14s\n", "current entries", s->states, "");
	printf("  %-25s %14u %14s\n", "half-open tcp", s->half_open, "");
	print_count("searches", s->searches, s->since);
	print_count("inserts", s->inserts, s->since);
	print_count("removals", s->removals, s->since);
	if (c->verbose) {
		puts("Source Tracking Table");
		printf("  %-25s %14u %14s\n", "current entries", s->sources, "");
		print_count("searches", s->source_searches, s->since);
		print_count("inserts", s->source_inserts, s->since);
		print_count("removals", s->source_removals, s->since);
	}
	puts("Counters");
	for (int i = 0; i < PF_WIRE_REASONS; i++)
		print_count(reasons[i], s->reasons[i], s->since);
	if (c->verbose) {
		puts("Limit Counters");
		for (int i = 0; i < PF_WIRE_LIMITS; i++)
			print_count(limit_counters[i], s->limits[i], s->since);
	}
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
	print_count("tables: no room", s->no_room, s->since);
	print_count("flush: no room", s->no_flush, s->since);
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
	print_status(c, &s);
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
	{"Sources", "SOURCE TRACKING NODES:", pfctl_show_sources, true},
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
	if (strcmp(what, "Anchors") == 0)
		return pfctl_show_anchors(c);
	for (size_t i = 0; i < sizeof(showers) / sizeof(showers[0]); i++)
		if (strcmp(showers[i].name, what) == 0)
			status = showers[i].show(c);
	if (clear && (strcmp(what, "rules") == 0 || strcmp(what, "labels") == 0))
		status |= pfctl_clear_rule_counters(c);
	return status;
}

/* --- the program --- */

static int print_text(void *ctx, const void *payload, size_t len)
{
	(void)ctx;
	fwrite(payload, 1, len, stdout); /* main() looks for errors */
	return 0;
}

int pfctl_dump_program(struct pfctl *c)
{
	pf_buf_auto ask = {0};

	pf_put_u8(&ask, c->verbose > 0);
	return pfctl_call(c, PF_REQ_DUMP, &ask, print_text, NULL, NULL);
}
