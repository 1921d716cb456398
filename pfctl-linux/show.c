// SPDX-License-Identifier: BSD-2-Clause
/* -s: which part, timeouts, limits.  Layouts are OpenBSD's. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../grammar/names.h"
#include "json.h"

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

/* An object of numbers by name, in this order or as they are. */
static int json_numbers(const uint32_t *v, const char *const *names,
			const enum pf_timeout_id *order, int n)
{
	json_t *out = json_object();

	for (int i = 0; i < n; i++) {
		int at = order ? (int)order[i] : i;

		json_object_set_new(out, names[at], json_integer(v[at]));
	}
	return pfctl_json_print(out);
}

int pfctl_show_timeouts(struct pfctl *c)
{
	/* pfctl lists them by protocol, the kernel's numbers are older */
	static const enum pf_timeout_id order[PF_TIMEOUT_MAX] = {
		PF_TIMEOUT_TCP_FIRST,	     PF_TIMEOUT_TCP_OPENING,	PF_TIMEOUT_TCP_ESTABLISHED,
		PF_TIMEOUT_TCP_CLOSING,	     PF_TIMEOUT_TCP_FINWAIT,	PF_TIMEOUT_TCP_CLOSED,
		PF_TIMEOUT_TCP_TSDIFF,	     PF_TIMEOUT_SCTP_FIRST,	PF_TIMEOUT_SCTP_OPENING,
		PF_TIMEOUT_SCTP_ESTABLISHED, PF_TIMEOUT_SCTP_CLOSING,	PF_TIMEOUT_SCTP_CLOSED,
		PF_TIMEOUT_UDP_FIRST,	     PF_TIMEOUT_UDP_SINGLE,	PF_TIMEOUT_UDP_MULTIPLE,
		PF_TIMEOUT_ICMP_FIRST,	     PF_TIMEOUT_ICMP_ERROR,	PF_TIMEOUT_OTHER_FIRST,
		PF_TIMEOUT_OTHER_SINGLE,     PF_TIMEOUT_OTHER_MULTIPLE, PF_TIMEOUT_FRAG,
		PF_TIMEOUT_INTERVAL,	     PF_TIMEOUT_ADAPTIVE_START, PF_TIMEOUT_ADAPTIVE_END,
		PF_TIMEOUT_SRC_TRACK,
	};
	uint32_t timeouts[PF_TIMEOUT_MAX], limits[PF_LIMIT_MAX];

	if (get_options(c, timeouts, limits))
		return 1;
	if (c->json)
		return json_numbers(timeouts, pf_timeout_names, order, PF_TIMEOUT_MAX);
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
	if (c->json)
		return json_numbers(limits, pf_limit_names, NULL, PF_LIMIT_MAX);
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

/*
 * In the order of -s all, which has no anchors.  Parts that may be empty print their
 * title themselves.
 */
static const struct {
	const char *name;
	const char *title, *key; /* of -s all, and in JSON */
	int (*show)(struct pfctl *c);
	bool may_be_empty;
} showers[] = {
	{"rules", "FILTER RULES:", "rules", show_rules, false},
	{"states", "STATES:", "states", pfctl_show_states, true},
	{"Sources", "SOURCE TRACKING NODES:", "sources", pfctl_show_sources, true},
	{"Limiters", "LIMITERS:", "limiters", pfctl_show_limiters, true},
	{"info", "INFO:", "info", pfctl_show_status, false},
	{"labels", "LABEL COUNTERS:", "labels", show_labels, true},
	{"timeouts", "TIMEOUTS:", "timeouts", pfctl_show_timeouts, false},
	{"memory", "LIMITS:", "memory", pfctl_show_memory, false},
	{"Tables", "TABLES:", "tables", pfctl_show_tables, true},
	{"Anchors", NULL, "anchors", pfctl_show_anchors, true},
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

	for (size_t i = 0; i < sizeof(showers) / sizeof(showers[0]) && showers[i].title; i++) {
		if (c->json) {
			printf("%s\"%s\":", i ? ",\n" : "", showers[i].key);
		} else {
			c->title = showers[i].title;
			if (!showers[i].may_be_empty)
				pfctl_print_title(c);
		}
		status |= showers[i].show(c);
		/* what fails would leave a document that is none */
		if (!c->connected || (c->json && status))
			return 1;
	}
	c->title = NULL;
	return status;
}

static int show_one(struct pfctl *c, const char *what)
{
	for (size_t i = 0; i < sizeof(showers) / sizeof(showers[0]); i++) {
		if (strcmp(showers[i].name, what) != 0)
			continue;
		if (c->json)
			printf("\"%s\":", showers[i].key);
		return showers[i].show(c);
	}
	return 1;
}

int pfctl_show(struct pfctl *c, const char *what, bool clear)
{
	int status;

	if (c->json) {
		if (pfctl_connect(c))
			return 1;
		putchar('{');
	}
	status = strcmp(what, "all") == 0 ? show_all(c) : show_one(c, what);
	/* after an error the document has no end, so that nobody takes it for one */
	if (c->json)
		puts(status ? "" : "}");
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
