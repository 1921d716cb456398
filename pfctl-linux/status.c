// SPDX-License-Identifier: BSD-2-Clause
/* -s info.  The layout is OpenBSD's. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "json.h"

static const char *const reasons[PF_WIRE_REASONS] = {
	"match",	 "bad-offset", "fragment",  "short",	   "normalize",	     "memory",
	"bad-timestamp", "congestion", "ip-option", "proto-cksum", "state-mismatch", "state-insert",
	"state-limit",	 "src-limit",  "synproxy",  "translate",   "no-route",
};

/* What is not built, and so has not happened. */
static const char *const table_counters[] = {"searches", "inserts", "removals", NULL};
static const char *const limit_counters[] = {
	"max states per rule",
	"max-src-states",
	"max-src-nodes",
	"max-src-conn",
	"max-src-conn-rate",
	"overload table insertion",
	"overload flush states",
	"synfloods detected",
	"syncookies sent",
	"syncookies validated",
	NULL,
};

struct line {
	const char *name;
	uint64_t n;
	bool rate; /* it is counted, and so has one */
};

/* Lines below one title; `key` is the title in JSON. */
struct section {
	const char *title, *key;
	bool verbose; /* shown with -v */
	struct line lines[PF_WIRE_REASONS + 1];
	size_t n;
};

static void add(struct section *s, const char *name, uint64_t n, bool rate)
{
	s->lines[s->n++] = (struct line){name, n, rate};
}

static void add_zeroes(struct section *s, const char *const *names)
{
	for (; *names; names++)
		add(s, *names, 0, true);
}

#define SECTIONS_MOST 7

static size_t sections(const struct pf_wire_status *w, struct section *s)
{
	size_t n = 0;

	s[n] = (struct section){.title = "State Table", .key = "states"};
	add(&s[n], "current entries", w->states, false);
	add(&s[n], "half-open tcp", w->half_open, false);
	add(&s[n], "searches", w->searches, true);
	add(&s[n], "inserts", w->inserts, true);
	add(&s[n++], "removals", w->removals, true);
	s[n] = (struct section){"Source Tracking Table", "source-tracking", true, .n = 0};
	add(&s[n], "current entries", w->sources, false);
	add(&s[n], "searches", w->source_searches, true);
	add(&s[n], "inserts", w->source_inserts, true);
	add(&s[n++], "removals", w->source_removals, true);
	s[n] = (struct section){"Fragments", "fragments", true, .n = 0};
	add(&s[n], "current entries", 0, false);
	add_zeroes(&s[n++], table_counters);
	s[n] = (struct section){.title = "Counters", .key = "counters"};
	for (int i = 0; i < PF_WIRE_REASONS; i++)
		add(&s[n], reasons[i], w->reasons[i], true);
	n++;
	s[n] = (struct section){"Limit Counters", "limit-counters", true, .n = 0};
	for (int i = 0; i < PF_WIRE_LIMITS; i++)
		add(&s[n], limit_counters[i], w->limits[i], true);
	n++;
	s[n] = (struct section){.title = "Log", .key = "log"};
	add(&s[n], "records", w->logged, true);
	add(&s[n++], "lost records", w->log_lost, true);
	s[n] = (struct section){.title = "Linux", .key = "linux"};
	add(&s[n], "attached interfaces", w->interfaces, false);
	add(&s[n], "answers", w->answers, true);
	add(&s[n], "answers not possible", w->no_answer, true);
	add(&s[n], "dropped: no rules", w->unjudged, true);
	add(&s[n], "dropped: vlan depth", w->vlan_deep, true);
	add(&s[n], "dropped: link type", w->unknown_link, true);
	add(&s[n], "tables: no room", w->no_room, true);
	add(&s[n++], "flush: no room", w->no_flush, true);
	return n;
}

static const char *level_name(const struct pf_wire_status *s)
{
	const char *level = pfctl_level_name(s->debug);

	return level ? level : "?";
}

/* --- as text --- */

static void print_line(const struct line *l, uint64_t seconds)
{
	printf("  %-25s %14" PRIu64 " ", l->name, l->n);
	if (seconds && l->rate)
		printf("%14.1f/s\n", (double)l->n / (double)seconds);
	else
		printf("%14s\n", "");
}

static void print_since(const struct pf_wire_status *s)
{
	char line[80], debug[32];
	uint64_t t = s->since;

	if (t)
		snprintf(line, sizeof(line), "Status: %s for %" PRIu64 " days %02u:%02u:%02u",
			 s->enabled ? "Enabled" : "Disabled", t / 86400,
			 (unsigned int)(t / 3600 % 24), (unsigned int)(t / 60 % 60),
			 (unsigned int)(t % 60));
	else
		snprintf(line, sizeof(line), "Status: %s", s->enabled ? "Enabled" : "Disabled");
	snprintf(debug, sizeof(debug), "Debug: %s", level_name(s));
	printf("%-44s%15s\n\n", line, debug);
}

static void print_confirm(const struct pf_wire_status *s)
{
	if (s->confirm_left)
		printf("Rules wait to be confirmed: %u seconds left (pfctl-linux --confirmed)\n\n",
		       s->confirm_left);
}

static void print_status(const struct pfctl *c, const struct pf_wire_status *w,
			 const char *checksum)
{
	struct section s[SECTIONS_MOST];
	size_t n = sections(w, s);

	print_since(w);
	if (c->verbose)
		printf("Hostid:   0x%08x\nChecksum: 0x%s\n\n", 0U, checksum);
	print_confirm(w);
	for (size_t i = 0; i < n; i++) {
		if (s[i].verbose && !c->verbose)
			continue;
		if (i)
			puts(s[i].title);
		else
			printf("%-27s %14s %16s\n", s[i].title, "Total", "Rate");
		for (size_t k = 0; k < s[i].n; k++)
			print_line(&s[i].lines[k], w->since);
	}
}

/* --- as JSON --- */

static int json_status(const struct pf_wire_status *w, const char *checksum)
{
	struct section s[SECTIONS_MOST];
	size_t n = sections(w, s);
	json_t *out = json_pack("{s:b, s:s, s:o, s:i, s:s, s:s, s:i, s:i}", "enabled",
				(int)w->enabled, "debug", level_name(w), "seconds",
				pfctl_json_u64(w->since), "confirm-seconds", (int)w->confirm_left,
				"hostid", "00000000", "checksum", checksum, "rules", (int)w->rules,
				"tables", (int)w->tables);

	for (size_t i = 0; i < n && out; i++) {
		json_t *section = json_object();

		for (size_t k = 0; k < s[i].n; k++)
			json_object_set_new(section, s[i].lines[k].name,
					    pfctl_json_u64(s[i].lines[k].n));
		json_object_set_new(out, s[i].key, section);
	}
	return pfctl_json_print(out);
}

int pfctl_show_status(struct pfctl *c)
{
	char checksum[PFCTL_CHECKSUM_SIZE] = "";
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
	if ((c->verbose || c->json) && pfctl_rules_checksum(c, checksum))
		return 1;
	if (c->json)
		return json_status(&s, checksum);
	print_status(c, &s, checksum);
	return 0;
}
