// SPDX-License-Identifier: BSD-2-Clause
/* nat-to and rdr-to: what they make of a packet, and what states do with that afterwards. */
#include <string.h>

#include "model.h"

/* pf.conf(5): "from 50001 to 65535" */
#define NAT_PORT_LO 50001
#define NAT_PORT_HI 65535

/* --- the parts of a packet that translation may change --- */

/* NULL: there is none. */
struct ends {
	struct pf_ip *src, *dst;
	uint16_t *sport, *dport;
};

static struct ends ends_of(struct model_packet *p)
{
	struct ends e = {.src = &p->src, .dst = &p->dst};

	if (p->frag == MODEL_FRAG_LATER)
		return e;
	if (p->proto == MODEL_P_TCP || p->proto == MODEL_P_UDP) {
		e.sport = &p->sport;
		e.dport = &p->dport;
	} else if (model_is_icmp(p)) {
		if (model_icmp_role(p->af, p->icmp_type) == MODEL_REPLY)
			e.dport = &p->icmp_id;
		else
			e.sport = &p->icmp_id;
	}
	return e;
}

static struct ends ends_of_quote(uint8_t af, struct model_quote *q)
{
	struct ends e = {.src = &q->src, .dst = &q->dst};

	if (q->proto == MODEL_P_TCP || q->proto == MODEL_P_UDP) {
		e.sport = &q->sport;
		e.dport = &q->dport;
	} else if (q->proto == MODEL_P_ICMP || q->proto == MODEL_P_ICMP6) {
		if (model_icmp_role(af, q->icmp_type) == MODEL_REPLY)
			e.dport = &q->icmp_id;
		else
			e.sport = &q->icmp_id;
	}
	return e;
}

bool model_same_ends(const struct model_packet *a, const struct model_packet *b)
{
	return pf_ip_equal(&a->src, &b->src) && pf_ip_equal(&a->dst, &b->dst) &&
	       a->sport == b->sport && a->dport == b->dport && a->icmp_id == b->icmp_id;
}

bool model_same_quoted(const struct model_quote *a, const struct model_quote *b)
{
	return pf_ip_equal(&a->src, &b->src) && pf_ip_equal(&a->dst, &b->dst) &&
	       a->sport == b->sport && a->dport == b->dport && a->icmp_id == b->icmp_id;
}

void model_copy_ends(struct model_packet *to, const struct model_packet *from)
{
	to->src = from->src;
	to->dst = from->dst;
	to->sport = from->sport;
	to->dport = from->dport;
	to->icmp_id = from->icmp_id;
	to->quote = from->quote;
}

/* --- by a rule --- */

/* Group membership and neighbour discovery are about the link's own addresses. */
static bool is_of_link(const struct model_packet *p)
{
	if (p->proto != MODEL_P_ICMP6 || p->frag == MODEL_FRAG_LATER)
		return false;
	return (p->icmp_type >= 130 && p->icmp_type <= 137) || p->icmp_type == 143;
}

static bool is_echo_request(const struct model_packet *p)
{
	if (!model_is_icmp(p) || p->frag == MODEL_FRAG_LATER)
		return false;
	return p->icmp_type == (p->af == PF_FAMILY_INET ? 8 : 128);
}

static bool has_ports(const struct model_packet *p)
{
	return (p->proto == MODEL_P_TCP || p->proto == MODEL_P_UDP) && p->frag != MODEL_FRAG_LATER;
}

/* The pool's network, with the host part that the address had. */
static void take_address(struct pf_ip *ip, const struct pf_pool *pool)
{
	const struct pf_rule_host *h = &pool->hosts[0].host;
	unsigned int bits = h->bits;

	for (unsigned int i = 0; i < sizeof(ip->b) * 8 && i < bits; i++) {
		uint8_t mask = (uint8_t)(0x80U >> i % 8);

		ip->b[i / 8] = (uint8_t)((ip->b[i / 8] & ~mask) | (h->ip.b[i / 8] & mask));
	}
}

/* Which ports are open to the packet: one, where there is no choice; 0: it has none. */
static void nat_ports(struct model_translation *t, const struct pf_pool *pool)
{
	t->lo = t->hi = 0;
	if (is_echo_request(&t->now)) {
		t->lo = 1;
		t->hi = 65535;
	} else if (has_ports(&t->now)) {
		t->lo = t->hi = t->now.sport;
		if (!pool->static_port) {
			t->lo = pool->port ? pool->port : NAT_PORT_LO;
			t->hi = pool->port ? pool->port_hi : NAT_PORT_HI;
		}
	}
}

static void nat_to(struct model_translation *t, const struct pf_rule *r, uint32_t *draws)
{
	const struct pf_pool *pool = r->x->nat;
	uint16_t *port = ends_of(&t->now).sport;

	take_address(&t->now.src, pool);
	nat_ports(t, pool);
	t->nat = r;
	if (!port || !t->hi)
		return;
	*port = t->lo;
	if (t->lo == t->hi)
		return;
	*port = (uint16_t)(t->lo + model_draw(&t->now, draws) % (t->hi - t->lo + 1U));
	if (t->kept == r)
		*port = t->kept_port;
}

static void rdr_to(struct model_translation *t, const struct pf_rule *r)
{
	const struct pf_pool *pool = r->x->rdr;
	const bool from_first = r->dport.op == PF_PORT_EQ || r->dport.op == PF_PORT_RANGE;
	uint16_t offset;

	take_address(&t->now.dst, pool);
	if (!has_ports(&t->now) || !pool->port)
		return;
	offset = (uint16_t)(t->now.dport - (from_first ? r->dport.lo : 0));
	t->now.dport = (uint16_t)(pool->port + offset % (pool->port_hi - pool->port + 1U));
}

void model_translate(struct model_translation *t, const struct pf_rule *r, uint32_t *draws)
{
	const struct pf_rule_ext *x = pf_rule_ext_of(r);

	if (is_of_link(&t->now))
		return;
	if (x->nat)
		nat_to(t, r, draws);
	if (x->rdr)
		rdr_to(t, r);
}

/* --- a place for the new state --- */

/* For a state of that interface; NULL: of any. */
static bool is_taken(const struct model *m, enum model_side side, const struct model_packet *p,
		     const char *ifname)
{
	struct model_key k = model_key_of(p);

	return model_find_at(m, side, &k, ifname);
}

/* Where the rule's state will be. */
static const char *home_of(const struct pf_rule *r, const struct model_packet *p)
{
	const struct pf_rule_ext *x = pf_rule_ext_of(r);
	bool bound = x->state && x->state->if_bound;

	return bound && p->dir == PF_RULE_OUT && x->route_kind == PF_ROUTE_TO
		       ? x->route->hosts[0].ifname
		       : p->ifname;
}

/* Upwards from the port that was drawn, then downwards from it. */
static bool find_port(const struct model *m, struct model_translation *t)
{
	uint16_t *port = ends_of(&t->now).sport, drawn;

	if (!is_taken(m, MODEL_WIRE, &t->now, NULL))
		return true;
	if (!port || t->lo == t->hi)
		return false;
	drawn = *port;
	for (uint32_t n = drawn + 1U; n <= t->hi; n++) {
		*port = (uint16_t)n;
		if (!is_taken(m, MODEL_WIRE, &t->now, NULL))
			return true;
	}
	for (uint32_t n = drawn; n-- > t->lo;) {
		*port = (uint16_t)n;
		if (!is_taken(m, MODEL_WIRE, &t->now, NULL))
			return true;
	}
	return false;
}

static bool rules_ask_source_ports(const struct model *m)
{
	for (size_t i = 0; i < m->nrulesets; i++) {
		const struct pf_rule_list *l = &m->rulesets[i].block->list[PF_LIST_FILTER];

		for (size_t k = 0; k < l->n; k++)
			if (l->v[k].sport.op)
				return true;
	}
	return false;
}

/* Rules behind a match rule have seen the port that was drawn: what of another one? */
static bool is_to_be_asked_again(const struct model *m, struct model_translation *t, uint16_t drawn)
{
	uint16_t *port = ends_of(&t->now).sport;

	if (!t->nat || !port || *port == drawn || t->nat->action != PF_RULE_ACTION_MATCH)
		return false;
	if (!rules_ask_source_ports(m))
		return false;
	t->kept = t->nat;
	t->kept_port = *port;
	return true;
}

enum model_settled model_settle(const struct model *m, const struct model_packet *p,
				const struct pf_rule *r, struct model_translation *t,
				enum model_reason *why)
{
	const char *home = home_of(r, p);
	const uint16_t *port = ends_of(&t->now).sport;
	const uint16_t drawn = port ? *port : 0;

	*why = MODEL_R_STATEINS;
	if (model_same_ends(p, &t->now))
		return is_taken(m, MODEL_WIRE, p, home) || is_taken(m, MODEL_STACK, p, home)
			       ? MODEL_NO_PLACE
			       : MODEL_SETTLED;
	if (p->frag == MODEL_FRAG_FIRST) {
		*why = MODEL_R_FRAG;
		return MODEL_NO_PLACE;
	}
	if (t->nat && !find_port(m, t)) {
		*why = MODEL_R_TRANSLATE;
		return MODEL_NO_PLACE;
	}
	if (is_to_be_asked_again(m, t, drawn)) {
		*why = MODEL_R_TRANSLATE; /* should it be once too often */
		return MODEL_AGAIN;
	}
	/* a packet that is one too many for its state's rule has the key of that */
	if (p->dir == PF_RULE_IN && is_taken(m, MODEL_WIRE, p, home))
		return MODEL_NO_PLACE;
	return is_taken(m, MODEL_STACK, p->dir == PF_RULE_OUT ? p : &t->now, home) ? MODEL_NO_PLACE
										   : MODEL_SETTLED;
}

/* --- by a state --- */

/* A key's ends, as a packet of that direction has them. */
static void take_ends(struct ends e, uint8_t dir, const struct model_key *was,
		      const struct model_key *is)
{
	const int src = dir == PF_RULE_OUT, dst = !src;

	if (!pf_ip_equal(&was->addr[src], &is->addr[src]))
		*e.src = is->addr[src];
	if (!pf_ip_equal(&was->addr[dst], &is->addr[dst]))
		*e.dst = is->addr[dst];
	if (e.sport && was->port[src] != is->port[src])
		*e.sport = is->port[src];
	if (e.dport && was->port[dst] != is->port[dst])
		*e.dport = is->port[dst];
}

void model_carry(const struct model_state *s, const struct model_packet *p,
		 struct model_packet *out)
{
	const enum model_side side = model_side_of(p->dir);

	take_ends(ends_of(out), p->dir, &s->key[side], &s->key[!side]);
}

/* What the quoted packet's sender had sent; and who it seemed to be sent to says so. */
void model_carry_error(const struct model_state *s, const struct model_packet *p,
		       struct model_packet *out)
{
	const enum model_side side = model_side_of(p->dir);
	const uint8_t quoted_dir = p->dir == PF_RULE_IN ? PF_RULE_OUT : PF_RULE_IN;

	take_ends(ends_of_quote(p->af, &out->quote), quoted_dir, &s->key[side], &s->key[!side]);
	out->dst = out->quote.src;
	if (!pf_ip_equal(&out->quote.dst, &p->quote.dst))
		out->src = out->quote.dst;
}
