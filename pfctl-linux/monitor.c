// SPDX-License-Identifier: BSD-2-Clause
/* --monitor: what becomes of states, a line each. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "json.h"

static const char *const kinds[PF_WIRE_EVENT_MAX] = {
	[PF_WIRE_INSERT] = "insert", [PF_WIRE_UPDATE] = "update", [PF_WIRE_DELETE] = "delete"};

static void print_time(uint64_t ns)
{
	time_t seconds = (time_t)(ns / 1000000000);
	struct tm tm;

	if (localtime_r(&seconds, &tm))
		printf("%02d:%02d:%02d.%06u ", tm.tm_hour, tm.tm_min, tm.tm_sec,
		       (unsigned int)(ns % 1000000000 / 1000));
}

static int print_event(const struct pfctl *c, const struct pf_wire_event *e)
{
	if (e->kind >= PF_WIRE_EVENT_MAX)
		return -EPROTO;
	if (!c->json) {
		print_time(e->time);
		printf("%s ", kinds[e->kind]);
		pfctl_print_state(c, &e->state);
		return 0;
	}
	printf("{\"time\":%" PRIu64 ".%06u,\"event\":\"%s\",\"state\":", e->time / 1000000000,
	       (unsigned int)(e->time % 1000000000 / 1000), kinds[e->kind]);
	pfctl_json_state(&e->state);
	puts("}");
	return 0;
}

static int events_data(void *ctx, const void *payload, size_t len)
{
	const struct pfctl *c = ctx;
	struct pf_cursor cur = pf_cursor_of(payload, len);
	uint64_t lost = pf_get_u64(&cur);

	if (lost)
		printf(c->json ? "{\"lost\":%" PRIu64 "}\n" : "%" PRIu64 " events were lost\n",
		       lost);
	while (!cur.bad && cur.at < cur.end) {
		struct pf_wire_event e;

		pf_get(&cur, &e, sizeof(e));
		pfctl_state_names(&e.state);
		if (cur.bad || print_event(c, &e))
			break;
	}
	if (!pf_cursor_done(&cur))
		return -EPROTO;
	/* who reads them through a pipe reads them now */
	return fflush(stdout) ? -errno : 0;
}

int pfctl_monitor(struct pfctl *c)
{
	return pfctl_call(c, PF_REQ_MONITOR, NULL, events_data, c, NULL);
}
