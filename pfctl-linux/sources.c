// SPDX-License-Identifier: BSD-2-Clause
/* -s Sources, -F Sources, -K.  The layout is OpenBSD's. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "json.h"

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

static int json_source(struct pfctl *c, const struct pf_wire_source *s)
{
	enum pf_family af = (enum pf_family)s->af;
	json_t *out = json_object();
	char ip[PF_IP_STRLEN];
	struct pf_ip addr;

	memcpy(addr.b, s->addr, sizeof(addr.b));
	pf_ip_format(af, &addr, pf_family_bits(af), ip, sizeof(ip));
	json_object_set_new(out, "address", pfctl_json_text(ip));
	json_object_set_new(out, "states", json_integer(s->states));
	json_object_set_new(out, "connections", json_integer(s->connections));
	json_object_set_new(out, "rate", json_real(s->rate / 1000.0));
	json_object_set_new(out, "seconds", json_integer(s->seconds));
	json_object_set_new(out, "age", json_integer(s->age));
	json_object_set_new(out, "expires", s->states ? json_null() : json_integer(s->expires));
	json_object_set_new(out, "packets", pfctl_json_u64(s->packets));
	json_object_set_new(out, "bytes", pfctl_json_u64(s->bytes));
	json_object_set_new(out, "rule", pfctl_json_rule(s->rule));
	return pfctl_json_item(c, out);
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
		if (!c->json)
			print_source(c, &s);
		else if (json_source(c, &s))
			return -1;
	}
	return 0;
}

int pfctl_show_sources(struct pfctl *c)
{
	int status;

	if (c->json)
		pfctl_json_begin(c);
	status = pfctl_call(c, PF_REQ_SOURCES, NULL, sources_data, c, NULL);
	if (c->json && !status)
		pfctl_json_end();
	return status;
}

/* --- taking nodes out --- */

static void put_host(struct pf_buf *b, const struct pf_wire_entry *e)
{
	pf_put_u8(b, e->af);
	pf_put_u8(b, e->bits);
	pf_put_u8(b, e->neg);
	pf_put(b, e->addr, sizeof(e->addr));
}

/* dst: NULL any; *n grows by the number of nodes. */
static int take_out(struct pfctl *c, const struct pf_wire_entry *src,
		    const struct pf_wire_entry *dst, uint32_t *n)
{
	pf_buf_auto b = {0};
	pf_buf_auto ok = {0};
	struct pf_cursor cur;

	pf_put_u8(&b, dst ? 2 : 1);
	put_host(&b, src);
	if (dst)
		put_host(&b, dst);
	if (pfctl_call(c, PF_REQ_KILL_SOURCES, &b, NULL, NULL, &ok))
		return 1;
	cur = pf_cursor_of(ok.data, ok.len);
	*n += pf_get_u32(&cur);
	return 0;
}

int pfctl_kill_sources(struct pfctl *c, const char *const *hosts, size_t nhosts)
{
	struct pf_address_list src = {.no_dns = c->no_dns}, dst = {.no_dns = c->no_dns};
	size_t ndst = 0;
	uint32_t killed = 0;
	int status = pfctl_address_add(&src, hosts[0]);

	if (!status && nhosts > 1)
		status = pfctl_address_add(&dst, hosts[1]);
	for (size_t i = 0; i < src.n && !status; i++) {
		if (nhosts == 1)
			status = take_out(c, &src.entry[i], NULL, &killed);
		/* a name may have addresses of both families: only equal ones meet */
		ndst = 0;
		for (size_t j = 0; j < dst.n && !status; j++) {
			if (src.entry[i].af != dst.entry[j].af)
				continue;
			ndst++;
			status = take_out(c, &src.entry[i], &dst.entry[j], &killed);
		}
	}
	if (!status)
		pfctl_say(c, "killed %u src nodes from %zu sources and %zu destinations", killed,
			  src.n, ndst);
	pfctl_addresses_free(&src);
	pfctl_addresses_free(&dst);
	return status;
}

int pfctl_flush_sources(struct pfctl *c)
{
	const struct pf_wire_entry any = {.af = 0};
	uint32_t n = 0;

	if (take_out(c, &any, NULL, &n))
		return 1;
	pfctl_say(c, "source tracking entries cleared");
	return 0;
}
