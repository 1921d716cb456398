// SPDX-License-Identifier: BSD-2-Clause
/* One rule's questions, in pf's order. */
#include <stdlib.h>
#include <string.h>

#include "model.h"

/* --- interfaces --- */

static bool is_loopback(const char *ifname)
{
	return strcmp(ifname, "lo") == 0;
}

/* No interface is called as a group is, here. */
static bool in_group(const char *group, const char *ifname, const char *egress)
{
	const char *behind = ifname + strspn(ifname, "abcdefghijklmnopqrstuvwxyz");

	if (strcmp(group, "egress") == 0)
		return egress && !is_loopback(ifname) && strcmp(ifname, egress) == 0;
	if (strcmp(group, "all") == 0)
		return true;
	return *behind && strlen(group) == (size_t)(behind - ifname) &&
	       memcmp(group, ifname, strlen(group)) == 0;
}

/* Does the name in a rule mean this interface? */
static bool means_interface(const char *name, const char *ifname, const char *egress)
{
	if (strcmp(name, PF_IF_ANY) == 0)
		return !is_loopback(ifname);
	if (strcmp(name, "lo0") == 0 && is_loopback(ifname))
		return true;
	return strcmp(name, ifname) == 0 || in_group(name, ifname, egress);
}

static bool interface_matches(const struct pf_rule *r, const struct model_packet *p)
{
	if (!r->ifname)
		return true;
	return means_interface(r->ifname, p->ifname, p->egress) != r->ifnot;
}

static bool received_matches(const struct pf_rule_ext *x, const struct model_packet *p)
{
	bool on;

	if (!x->received_on)
		return true;
	on = p->received && means_interface(x->received_on, p->received, p->egress);
	return on != x->received_not;
}

/* --- addresses --- */

static bool in_prefix(const struct pf_ip *ip, const struct pf_ip *net, unsigned int bits)
{
	for (unsigned int i = 0; i < bits; i++) {
		unsigned int mask = 0x80U >> i % 8;

		if ((ip->b[i / 8] & mask) != (net->b[i / 8] & mask))
			return false;
	}
	return true;
}

const struct pf_table_def *model_find_table(const struct model *m, const struct model_ruleset *in,
					    const char *name)
{
	const struct pf_table_def *t = pf_block_find_table(in->block, name);

	if (!t && in->before) {
		t = pf_block_find_table(in->before, name);
		/* of others, what rules of before have named is there still: not in our tests */
		t = t && t->persist ? t : NULL;
	}
	return t ? t : pf_block_find_table(&m->rs->main, name);
}

/* The longest prefix decides, which may be a negated one. */
static bool in_table(const struct pf_table_def *t, uint8_t af, const struct pf_ip *ip)
{
	const struct pf_table_entry *best = NULL;

	for (size_t i = 0; t && i < t->nentries; i++) {
		const struct pf_table_entry *e = &t->entries[i];

		if (e->af != af || !in_prefix(ip, &e->ip, e->bits))
			continue;
		if (!best || e->bits > best->bits)
			best = e;
	}
	return best && !best->neg;
}

static bool in_range(const struct pf_ip *ip, const struct pf_ip *lo, const struct pf_ip *hi)
{
	return memcmp(ip->b, lo->b, sizeof(ip->b)) >= 0 && memcmp(ip->b, hi->b, sizeof(ip->b)) <= 0;
}

static bool host_matches(const struct model *m, const struct model_ruleset *in,
			 const struct pf_rule_host *h, uint8_t af, const struct pf_ip *ip)
{
	switch (h->type) {
	case PF_HOST_ANY:
		return !h->neg;
	case PF_HOST_PREFIX:
		return (h->af == af && in_prefix(ip, &h->ip, h->bits)) != h->neg;
	case PF_HOST_RANGE:
		return (h->af == af && in_range(ip, &h->ip, h->hi)) != h->neg;
	case PF_HOST_TABLE:
		return in_table(model_find_table(m, in, h->table), af, ip) != h->neg;
	default:
		abort(); /* what depends on interfaces and routes is in no ruleset here */
	}
}

/* --- transport --- */

static bool port_matches(const struct pf_rule_port *want, uint16_t port)
{
	switch (want->op) {
	case PF_PORT_ANY:
		return true;
	case PF_PORT_EQ:
		return port == want->lo;
	case PF_PORT_NE:
		return port != want->lo;
	case PF_PORT_LT:
		return port < want->lo;
	case PF_PORT_LE:
		return port <= want->lo;
	case PF_PORT_GT:
		return port > want->lo;
	case PF_PORT_GE:
		return port >= want->lo;
	case PF_PORT_RANGE:
		return want->lo <= port && port <= want->hi;
	case PF_PORT_INSIDE:
		return want->lo < port && port < want->hi;
	case PF_PORT_OUTSIDE:
		return port < want->lo || want->hi < port;
	}
	return false;
}

bool model_is_icmp(const struct model_packet *p)
{
	return p->proto == MODEL_P_ICMP || p->proto == MODEL_P_ICMP6;
}

/*
 * Which part a message plays.  Those that stand for themselves count as queries:
 * they are sent unasked.
 */
enum model_role model_icmp_role(uint8_t af, uint8_t type)
{
	static const uint8_t errors4[] = {3, 4, 5, 11, 12}, replies4[] = {0, 9, 14, 16, 18};
	static const uint8_t errors6[] = {1, 2, 3, 4}, replies6[] = {129, 136, 140};
	const uint8_t *errors = af == PF_FAMILY_INET ? errors4 : errors6;
	const uint8_t *replies = af == PF_FAMILY_INET ? replies4 : replies6;

	if (memchr(errors, type, af == PF_FAMILY_INET ? sizeof(errors4) : sizeof(errors6)))
		return MODEL_ERROR;
	if (memchr(replies, type, af == PF_FAMILY_INET ? sizeof(replies4) : sizeof(replies6)))
		return MODEL_REPLY;
	return MODEL_QUERY;
}

/* A message that answers: no rule that keeps state matches it. */
bool model_keeps_never(const struct model_packet *p)
{
	if (!model_is_icmp(p) || p->frag == MODEL_FRAG_LATER)
		return false;
	if (p->proto == MODEL_P_ICMP6 && p->icmp_type == MODEL_NA)
		return false;
	return model_icmp_role(p->af, p->icmp_type) == MODEL_REPLY;
}

static enum model_miss ask_ports(const struct pf_rule *r, const struct model_packet *p)
{
	if (!port_matches(&r->sport, p->sport))
		return MODEL_MISS_SPORT;
	return port_matches(&r->dport, p->dport) ? MODEL_HIT : MODEL_MISS_DPORT;
}

static enum model_miss ask_icmp(const struct pf_rule *r, const struct model_packet *p)
{
	bool sloppy = r->x && r->x->state && r->x->state->sloppy;

	if (r->icmp_type && r->icmp_type - 1 != p->icmp_type)
		return MODEL_MISS;
	if (r->icmp_code && r->icmp_code - 1 != p->icmp_code)
		return MODEL_MISS;
	return r->keep_state && !sloppy && model_keeps_never(p) ? MODEL_MISS : MODEL_HIT;
}

/* Of a later fragment nothing but the IP header can be asked. */
static enum model_miss ask_later_fragment(const struct pf_rule *r, const struct model_packet *p)
{
	if (r->sport.op || r->dport.op || r->icmp_type || r->icmp_code)
		return MODEL_MISS;
	return p->proto == MODEL_P_TCP && r->flagset ? MODEL_MISS : MODEL_HIT;
}

static enum model_miss ask_transport(const struct pf_rule *r, const struct model_packet *p)
{
	if (p->frag == MODEL_FRAG_LATER)
		return ask_later_fragment(r, p);
	if (p->proto == MODEL_P_TCP && (p->flags & r->flagset) != r->flags)
		return MODEL_MISS;
	if (p->proto == MODEL_P_TCP || p->proto == MODEL_P_UDP || p->proto == MODEL_P_SCTP)
		return ask_ports(r, p);
	return model_is_icmp(p) ? ask_icmp(r, p) : MODEL_HIT;
}

/* --- the rest --- */

static uint32_t mix(uint32_t x)
{
	x ^= x >> 16;
	x *= 0x85ebca6bU;
	x ^= x >> 13;
	x *= 0xc2b2ae35U;
	x ^= x >> 16;
	return x;
}

uint32_t model_draw(const struct model_packet *p, uint32_t *draws)
{
	return mix(p->seed + (*draws)++ * 0x9e3779b9U);
}

/* A number is drawn only for a rule that matches so far. */
static bool chance_matches(const struct pf_rule_ext *x, const struct model_packet *p,
			   uint32_t *draws)
{
	if (!x->prob)
		return true;
	return model_draw(p, draws) < x->prob;
}

static bool tag_matches(const struct pf_rule_ext *x, const char *tag)
{
	if (!x->tagged)
		return true;
	return (tag && strcmp(tag, x->tagged) == 0) != x->tagged_not;
}

/* The rest of the questions, which have no skip steps. */
static bool ask_rest(const struct pf_rule *r, const struct model_packet *p, const char *tag,
		     uint32_t *draws)
{
	const struct pf_rule_ext *x = pf_rule_ext_of(r);

	if (r->fragment && p->frag == MODEL_WHOLE)
		return false;
	/* the last two bits are ECN's (RFC 3168) */
	if (x->tos_given && x->tos != (p->tos & 0xfc))
		return false;
	if (!chance_matches(x, p, draws))
		return false;
	if (!tag_matches(x, tag))
		return false;
	return received_matches(x, p);
}

enum model_miss model_ask(const struct model *m, const struct model_ruleset *in,
			  const struct pf_rule *r, const struct model_packet *p, const char *tag,
			  uint32_t *draws)
{
	enum model_miss miss;

	if (!interface_matches(r, p))
		return MODEL_MISS_IFACE;
	if (r->dir && r->dir != p->dir)
		return MODEL_MISS_DIR;
	if (r->af && r->af != p->af)
		return MODEL_MISS_AF;
	if (r->proto && r->proto != p->proto)
		return MODEL_MISS_PROTO;
	if (!host_matches(m, in, &r->src, p->af, &p->src))
		return MODEL_MISS_SRC;
	if (!host_matches(m, in, &r->dst, p->af, &p->dst))
		return MODEL_MISS_DST;
	miss = ask_transport(r, p);
	if (miss != MODEL_HIT)
		return miss;
	return ask_rest(r, p, tag, draws) ? MODEL_HIT : MODEL_MISS;
}

/* --- skip steps --- */

static bool same_host(const struct pf_rule_host *a, const struct pf_rule_host *b)
{
	if (a->type != b->type || a->neg != b->neg)
		return false;
	switch (a->type) {
	case PF_HOST_ANY:
		return true;
	case PF_HOST_PREFIX:
		return a->af == b->af && a->bits == b->bits && pf_ip_equal(&a->ip, &b->ip);
	case PF_HOST_RANGE:
		return a->af == b->af && pf_ip_equal(&a->ip, &b->ip) && pf_ip_equal(a->hi, b->hi);
	case PF_HOST_TABLE:
		return strcmp(a->table, b->table) == 0;
	default:
		return false;
	}
}

static bool same_port(const struct pf_rule_port *a, const struct pf_rule_port *b)
{
	return a->op == b->op && a->lo == b->lo && a->hi == b->hi;
}

bool model_same_question(enum model_miss what, const struct pf_rule *a, const struct pf_rule *b)
{
	switch (what) {
	case MODEL_MISS_IFACE:
		if (!a->ifname || !b->ifname)
			return a->ifname == b->ifname;
		return a->ifnot == b->ifnot && strcmp(a->ifname, b->ifname) == 0;
	case MODEL_MISS_DIR:
		return a->dir == b->dir;
	case MODEL_MISS_AF:
		return a->af == b->af;
	case MODEL_MISS_PROTO:
		return a->proto == b->proto;
	case MODEL_MISS_SRC:
		return same_host(&a->src, &b->src);
	case MODEL_MISS_DST:
		return same_host(&a->dst, &b->dst);
	case MODEL_MISS_SPORT:
		return same_port(&a->sport, &b->sport);
	case MODEL_MISS_DPORT:
		return same_port(&a->dport, &b->dport);
	default:
		return false;
	}
}
