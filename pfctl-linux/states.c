// SPDX-License-Identifier: BSD-2-Clause
/* -s states, -k */
#include <arpa/inet.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "../grammar/names.h"
#include "pfctl.h"

enum { PROTO_TCP = 6, PROTO_UDP = 17, PROTO_ICMP = 1, PROTO_ICMP6 = 58 };

static const char *const tcp_states[] = {
	"CLOSED",     "LISTEN",	 "SYN_SENT", "SYN_RCVD",   "ESTABLISHED", "CLOSE_WAIT",
	"FIN_WAIT_1", "CLOSING", "LAST_ACK", "FIN_WAIT_2", "TIME_WAIT",
};
static const char *const simple_states[] = {"NO_TRAFFIC", "SINGLE", "MULTIPLE"};

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

static void print_host(const struct pfctl *c, const struct pf_wire_state *s, int key, int side)
{
	enum pf_family af = (enum pf_family)s->af;
	uint16_t port = ntohs(s->port[key][side]);
	const char *name = NULL;
	char ip[PF_IP_STRLEN];
	struct pf_ip addr;

	memcpy(addr.b, s->addr[key][side], sizeof(addr.b));
	pf_ip_format(af, &addr, pf_family_bits(af), ip, sizeof(ip));
	fputs(ip, stdout);
	if (!port)
		return;
	if (c->port_names && (s->proto == PROTO_TCP || s->proto == PROTO_UDP))
		name = pf_service_name(port, s->proto);
	fputs(af == PF_FAMILY_INET ? ":" : "[", stdout);
	if (name)
		fputs(name, stdout);
	else
		printf("%u", port);
	if (af != PF_FAMILY_INET)
		putchar(']');
}

static bool same_side(const struct pf_wire_state *s, int side)
{
	return memcmp(s->addr[0][side], s->addr[1][side], 16) == 0 &&
	       s->port[0][side] == s->port[1][side];
}

/* The side as one key has it, and in parentheses as the other has it. */
static void print_side(const struct pfctl *c, const struct pf_wire_state *s, int side)
{
	int shown = s->dir == PF_RULE_OUT ? 0 : 1;

	print_host(c, s, shown, side);
	if (!same_side(s, side)) {
		fputs(" (", stdout);
		print_host(c, s, !shown, side);
		putchar(')');
	}
}

static void print_levels(const struct pf_wire_state *s, int first, int second)
{
	uint8_t a = s->peer_state[first], b = s->peer_state[second];

	fputs("       ", stdout);
	if (s->proto == PROTO_TCP && a < ARRAY_SIZE(tcp_states) && b < ARRAY_SIZE(tcp_states))
		printf("%s:%s\n", tcp_states[a], tcp_states[b]);
	else if (s->proto != PROTO_ICMP && s->proto != PROTO_ICMP6 &&
		 a < ARRAY_SIZE(simple_states) && b < ARRAY_SIZE(simple_states))
		printf("%s:%s\n", simple_states[a], simple_states[b]);
	else
		printf("%u:%u\n", a, b);
}

static void print_window(const struct pf_wire_state *s, int peer)
{
	printf("[%u + %u]", s->seqlo[peer], s->seqhi[peer] - s->seqlo[peer]);
	if (s->seqdiff[peer])
		printf("(+%u)", s->seqdiff[peer]);
	if (s->wscale[0] && s->wscale[1])
		printf(" wscale %u", s->wscale[peer] & 15);
}

void pfctl_print_time(uint32_t seconds)
{
	printf("%.2u:%.2u:%.2u", seconds / 3600, seconds / 60 % 60, seconds % 60);
}

static void print_details(const struct pf_wire_state *s, int first, int second)
{
	if (s->proto == PROTO_TCP) {
		fputs("   ", stdout);
		print_window(s, first);
		fputs("  ", stdout);
		print_window(s, second);
		putchar('\n');
	}
	fputs("   age ", stdout);
	pfctl_print_time(s->age);
	fputs(", expires in ", stdout);
	pfctl_print_time(s->expires);
	printf(", %" PRIu64 ":%" PRIu64 " pkts, %" PRIu64 ":%" PRIu64 " bytes", s->packets[0],
	       s->packets[1], s->bytes[0], s->bytes[1]);
	if (s->anchor != UINT32_MAX)
		printf(", anchor %u", s->anchor);
	if (s->rule != UINT32_MAX)
		printf(", rule %u", s->rule);
	if (s->flags & PF_WIRE_STATE_LOOSE)
		fputs(", loose", stdout);
	if (s->flags & PF_WIRE_STATE_SLOPPY)
		fputs(", sloppy", stdout);
	putchar('\n');
}

static void print_state(const struct pfctl *c, const struct pf_wire_state *s)
{
	const char *proto = pf_proto_name(s->proto);
	/* pf shows the inside first: who began the connection if it went out */
	int first = s->dir == PF_RULE_OUT ? 0 : 1, second = !first;

	printf("%s ", s->ifname);
	if (proto)
		printf("%s ", proto);
	else
		printf("%u ", s->proto);
	print_side(c, s, 1);
	fputs(s->dir == PF_RULE_OUT ? " -> " : " <- ", stdout);
	print_side(c, s, 0);
	print_levels(s, first, second);
	if (c->verbose)
		print_details(s, first, second);
	if (c->verbose > 1)
		printf("   id: %016" PRIx64 " creatorid: %08x\n", s->id, 0U);
}

static int states_data(void *ctx, const void *payload, size_t len)
{
	struct pfctl *c = ctx;

	if (len % sizeof(struct pf_wire_state))
		return -1;
	pfctl_print_title(c);
	for (size_t at = 0; at < len; at += sizeof(struct pf_wire_state)) {
		struct pf_wire_state s;

		memcpy(&s, (const char *)payload + at, sizeof(s));
		s.ifname[sizeof(s.ifname) - 1] = '\0';
		print_state(c, &s);
	}
	return 0;
}

int pfctl_show_states(struct pfctl *c)
{
	return pfctl_call(c, PF_REQ_STATES, NULL, states_data, c, NULL);
}

/* --- -k --- */

static void put_host(struct pf_buf *b, const struct pf_wire_entry *e)
{
	pf_put_u8(b, e->af);
	pf_put_u8(b, e->bits);
	pf_put_u8(b, e->neg);
	pf_put(b, e->addr, sizeof(e->addr));
}

int pfctl_kill_pair(struct pfctl *c, enum pf_msg request, const struct pf_wire_entry *src,
		    const struct pf_wire_entry *dst, uint32_t *n)
{
	pf_buf_auto b = {0};
	pf_buf_auto ok = {0};
	struct pf_cursor cur;

	pf_put_u8(&b, dst ? 2 : 1);
	put_host(&b, src);
	if (dst)
		put_host(&b, dst);
	if (pfctl_call(c, request, &b, NULL, NULL, &ok))
		return 1;
	cur = pf_cursor_of(ok.data, ok.len);
	*n += pf_get_u32(&cur);
	return 0;
}

static bool is_keyword(const char *text)
{
	static const char *const words[] = {"label", "id", "key", "gateway", "nat"};

	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		if (strcmp(text, words[i]) == 0)
			return true;
	return false;
}

int pfctl_kill_check(const char *const *hosts, size_t nhosts)
{
	if (nhosts < 2 || !is_keyword(hosts[0]))
		return 0;
	pfctl_warn("-k %s is not supported yet", hosts[0]);
	return 1;
}

/* What -k and -K do; `what` they end. */
static int kill_hosts(struct pfctl *c, enum pf_msg request, const char *what,
		      const char *const *hosts, size_t nhosts)
{
	struct pf_address_list src = {0}, dst = {0};
	uint32_t killed = 0;
	int status = pfctl_address_add(&src, hosts[0]);

	if (!status && nhosts > 1)
		status = pfctl_address_add(&dst, hosts[1]);
	for (size_t i = 0; i < src.n && !status; i++) {
		if (nhosts == 1)
			status = pfctl_kill_pair(c, request, &src.entry[i], NULL, &killed);
		/* a name may have addresses of both families: only equal ones meet */
		for (size_t j = 0; j < dst.n && !status; j++)
			if (src.entry[i].af == dst.entry[j].af)
				status = pfctl_kill_pair(c, request, &src.entry[i], &dst.entry[j],
							 &killed);
	}
	if (!status)
		pfctl_say(c, "killed %u %s from %zu sources and %zu destinations", killed, what,
			  src.n, dst.n);
	pfctl_addresses_free(&src);
	pfctl_addresses_free(&dst);
	return status;
}

int pfctl_kill(struct pfctl *c, const char *const *hosts, size_t nhosts)
{
	return kill_hosts(c, PF_REQ_KILL, "states", hosts, nhosts);
}

int pfctl_kill_sources(struct pfctl *c, const char *const *hosts, size_t nhosts)
{
	return kill_hosts(c, PF_REQ_KILL_SOURCES, "src nodes", hosts, nhosts);
}
