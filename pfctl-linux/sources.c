// SPDX-License-Identifier: BSD-2-Clause
/* -s Sources, -F Sources.  The layout is OpenBSD's. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "pfctl.h"

static void print_source(const struct pfctl *c, const struct pf_wire_source *s)
{
	enum pf_family af = (enum pf_family)s->af;
	char ip[PF_IP_STRLEN];
	struct pf_ip addr;

	memcpy(addr.b, s->addr, sizeof(addr.b));
	pf_ip_format(af, &addr, pf_family_bits(af), ip, sizeof(ip));
	printf("%s ( states %u, connections %u, rate %u.%u/%us )\n", ip, s->states, s->connections,
	       s->rate / 1000, s->rate % 1000 / 100, s->seconds);
	if (!c->verbose)
		return;
	fputs("   age ", stdout);
	pfctl_print_time(s->age);
	if (!s->states) {
		fputs(", expires in ", stdout);
		pfctl_print_time(s->expires);
	}
	printf(", %" PRIu64 " pkts, %" PRIu64 " bytes", s->packets, s->bytes);
	if (s->rule != UINT32_MAX)
		printf(", filter rule %u", s->rule);
	putchar('\n');
}

static int sources_data(void *ctx, const void *payload, size_t len)
{
	struct pfctl *c = ctx;

	if (len % sizeof(struct pf_wire_source))
		return -1;
	pfctl_print_title(c);
	for (size_t at = 0; at < len; at += sizeof(struct pf_wire_source)) {
		struct pf_wire_source s;

		memcpy(&s, (const char *)payload + at, sizeof(s));
		print_source(c, &s);
	}
	return 0;
}

int pfctl_show_sources(struct pfctl *c)
{
	return pfctl_call(c, PF_REQ_SOURCES, NULL, sources_data, c, NULL);
}

int pfctl_flush_sources(struct pfctl *c)
{
	const struct pf_wire_entry any = {.af = 0};
	uint32_t n = 0;

	if (pfctl_kill_pair(c, PF_REQ_KILL_SOURCES, &any, NULL, &n))
		return 1;
	pfctl_say(c, "source tracking entries cleared");
	return 0;
}
