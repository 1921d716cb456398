// SPDX-License-Identifier: BSD-2-Clause
/* -s states */
#include <arpa/inet.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../grammar/names.h"
#include "json.h"

enum { PROTO_TCP = 6, PROTO_UDP = 17, PROTO_ICMP = 1, PROTO_ICMP6 = 58, PROTO_SCTP = 132 };

static const char *const tcp_states[] = {
	"CLOSED",     "LISTEN",	 "SYN_SENT", "SYN_RCVD",   "ESTABLISHED", "CLOSE_WAIT",
	"FIN_WAIT_1", "CLOSING", "LAST_ACK", "FIN_WAIT_2", "TIME_WAIT",
};
/* FreeBSD's names; the first is before, the last is after */
static const char *const sctp_states[] = {
	"CLOSED", "COOKIE_WAIT", "ESTABLISHED", "SHUTDOWN_PENDING", "CLOSED",
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

/* How far a peer has got; ICMP's and what is unknown are numbers. */
static const char *level(const struct pf_wire_state *s, int peer, char buf[8])
{
	uint8_t n = s->peer_state[peer];

	if (s->proto == PROTO_TCP && n < ARRAY_SIZE(tcp_states))
		return tcp_states[n];
	if (s->proto == PROTO_SCTP && n < ARRAY_SIZE(sctp_states))
		return sctp_states[n];
	if (s->proto != PROTO_TCP && s->proto != PROTO_ICMP && s->proto != PROTO_ICMP6 &&
	    n < ARRAY_SIZE(simple_states))
		return simple_states[n];
	snprintf(buf, 8, "%u", n);
	return buf;
}

static void print_levels(const struct pf_wire_state *s, int first, int second)
{
	char a[8], b[8];

	printf("       %s:%s\n", level(s, first, a), level(s, second, b));
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
	if (s->flags & PF_WIRE_STATE_SOURCE)
		fputs(", source-track", stdout);
	putchar('\n');
}

static void format_ip(const struct pf_wire_state *s, const uint8_t *addr, char *ip, size_t size)
{
	enum pf_family af = (enum pf_family)s->af;
	struct pf_ip a;

	memcpy(a.b, addr, sizeof(a.b));
	pf_ip_format(af, &a, pf_family_bits(af), ip, size);
}

static void print_gateway(const struct pf_wire_state *s)
{
	char ip[PF_IP_STRLEN];

	format_ip(s, s->gateway, ip, sizeof(ip));
	printf("   gateway: %s", ip);
	if (*s->gateway_if)
		printf("@%s", s->gateway_if);
	putchar('\n');
}

void pfctl_print_state(const struct pfctl *c, const struct pf_wire_state *s)
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
	if (c->verbose > 1) {
		printf("   id: %016" PRIx64 " creatorid: %08x\n", s->id, 0U);
		if (*s->origin && strcmp(s->origin, s->ifname) != 0)
			printf("   origif: %s\n", s->origin);
		if (s->route)
			print_gateway(s);
		if (*s->tag)
			printf("   tag: %s\n", s->tag);
	}
}

/* --- as JSON --- */

/*
 * Not by way of jansson's objects: a million states are to be listed in three seconds.
 * All strings but tags and the names of interfaces are made of letters and digits.
 */

/* A name with its quotes; the last one is often the next, too. */
struct quoted {
	char name[64];
	char *text;
};

static const char *quote(struct quoted *q, const char *name)
{
	if (!q->text || strcmp(q->name, name) != 0) {
		json_t *text = pfctl_json_text(name);

		free(q->text);
		q->text = json_dumps(text, JSON_ENCODE_ANY);
		json_decref(text);
		snprintf(q->name, sizeof(q->name), "%s", name);
	}
	return q->text ? q->text : "null";
}

/* One number above that of 64 signed bits is as a string: see json.h. */
static void json_pair(const char *name, const uint64_t v[2])
{
	printf(",\"%s\":[", name);
	for (int i = 0; i < 2; i++)
		printf(v[i] > INT64_MAX ? "%s\"%" PRIu64 "\"" : "%s%" PRIu64, i ? "," : "", v[i]);
	putchar(']');
}

static void json_end_of(const struct pf_wire_state *s, const char *name, int key, int side)
{
	enum pf_family af = (enum pf_family)s->af;
	char ip[PF_IP_STRLEN];
	struct pf_ip addr;

	memcpy(addr.b, s->addr[key][side], sizeof(addr.b));
	pf_ip_format(af, &addr, pf_family_bits(af), ip, sizeof(ip));
	printf(",\"%s\":\"%s\",\"%s-port\":%u", name, ip, name, ntohs(s->port[key][side]));
}

/* The ends as the first packet had them, and as it was translated. */
static void json_ends(const struct pf_wire_state *s)
{
	int out = s->dir == PF_RULE_OUT, before = out, src = out;

	json_end_of(s, "source", before, src);
	json_end_of(s, "destination", before, !src);
	json_end_of(s, "translated-source", !before, src);
	json_end_of(s, "translated-destination", !before, !src);
}

static void json_windows(const struct pf_wire_state *s)
{
	if (s->proto != PROTO_TCP) {
		fputs(",\"windows\":null", stdout);
		return;
	}
	fputs(",\"windows\":[", stdout);
	for (int i = 0; i < 2; i++) {
		printf("%s{\"sequence\":%u,\"size\":%u,\"difference\":%u,\"scale\":", i ? "," : "",
		       s->seqlo[i], s->seqhi[i] - s->seqlo[i], s->seqdiff[i]);
		if (s->wscale[0] && s->wscale[1])
			printf("%u}", s->wscale[i] & 15U);
		else
			fputs("null}", stdout);
	}
	putchar(']');
}

static void json_rule(const char *name, uint32_t number)
{
	if (number == UINT32_MAX)
		printf(",\"%s\":null", name);
	else
		printf(",\"%s\":%u", name, number);
}

static void json_flag(const char *name, const struct pf_wire_state *s, uint8_t flag)
{
	printf(",\"%s\":%s", name, s->flags & flag ? "true" : "false");
}

static void json_gateway(const struct pf_wire_state *s)
{
	static struct quoted interface;
	char ip[PF_IP_STRLEN];

	if (!s->route) {
		fputs(",\"gateway\":null", stdout);
		return;
	}
	format_ip(s, s->gateway, ip, sizeof(ip));
	printf(",\"gateway\":{\"address\":\"%s\",\"interface\":%s,\"kind\":\"%s\"}", ip,
	       *s->gateway_if ? quote(&interface, s->gateway_if) : "null",
	       s->route == PF_ROUTE_TO ? "route-to" : "reply-to");
}

void pfctl_json_state(const struct pf_wire_state *s)
{
	static struct quoted interface, origin, tag;
	const char *proto = pf_proto_name(s->proto);
	char number[8], a[8], b[8];

	snprintf(number, sizeof(number), "%u", s->proto);
	printf("{\"id\":\"%016" PRIx64 "\",\"creatorid\":\"00000000\",\"interface\":%s", s->id,
	       quote(&interface, s->ifname));
	printf(",\"origif\":%s,\"protocol\":\"%s\",\"direction\":\"%s\"",
	       *s->origin ? quote(&origin, s->origin) : "null", proto ? proto : number,
	       s->dir == PF_RULE_OUT ? "out" : "in");
	json_ends(s);
	printf(",\"states\":[\"%s\",\"%s\"]", level(s, 0, a), level(s, 1, b));
	json_windows(s);
	printf(",\"age\":%u,\"expires\":%u", s->age, s->expires);
	json_pair("packets", s->packets);
	json_pair("bytes", s->bytes);
	json_rule("rule", s->rule);
	json_rule("anchor", s->anchor);
	json_gateway(s);
	printf(",\"tag\":%s", *s->tag ? quote(&tag, s->tag) : "null");
	json_flag("loose", s, PF_WIRE_STATE_LOOSE);
	json_flag("sloppy", s, PF_WIRE_STATE_SLOPPY);
	json_flag("source-track", s, PF_WIRE_STATE_SOURCE);
	putchar('}');
}

void pfctl_state_names(struct pf_wire_state *s)
{
	s->ifname[sizeof(s->ifname) - 1] = '\0';
	s->origin[sizeof(s->origin) - 1] = '\0';
	s->gateway_if[sizeof(s->gateway_if) - 1] = '\0';
	s->tag[sizeof(s->tag) - 1] = '\0';
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
		pfctl_state_names(&s);
		if (!c->json) {
			pfctl_print_state(c, &s);
			continue;
		}
		pfctl_json_next(c);
		pfctl_json_state(&s);
	}
	return 0;
}

int pfctl_show_states(struct pfctl *c)
{
	pf_buf_auto ask = {0};
	int status;

	pf_put_string(&ask, c->interface ? c->interface : "");
	pf_put_u32(&ask, c->rule);
	if (c->json)
		pfctl_json_begin(c);
	status = pfctl_call(c, PF_REQ_STATES, &ask, states_data, c, NULL);
	if (c->json && !status)
		pfctl_json_end();
	return status;
}
