// SPDX-License-Identifier: BSD-2-Clause
/* Packets that have a state. */
#include <stdlib.h>
#include <string.h>

#include "model.h"

/* --- keys --- */

/* Of a query or its answer: what they have in common, the query's type. */
static uint8_t query_type(uint8_t af, uint8_t type)
{
	static const uint8_t pairs4[][2] = {{0, 8}, {9, 10}, {14, 13}, {16, 15}, {18, 17}};
	static const uint8_t pairs6[][2] = {{129, 128}, {136, 135}, {140, 139}};
	const uint8_t(*pairs)[2] = af == PF_FAMILY_INET ? pairs4 : pairs6;
	size_t n = af == PF_FAMILY_INET ? sizeof(pairs4) / 2 : sizeof(pairs6) / 2;

	for (size_t i = 0; i < n; i++)
		if (pairs[i][0] == type)
			return pairs[i][1];
	return type;
}

static bool has_id(uint8_t af, uint8_t query)
{
	if (af == PF_FAMILY_INET6)
		return query == 128;
	return query == 8 || query == 13 || query == 15 || query == 17;
}

/* The id stands for a port, and so does the type. */
static void icmp_ports(uint8_t af, uint8_t type, uint16_t id, uint16_t *sport, uint16_t *dport)
{
	uint8_t query = query_type(af, type);
	uint16_t number = has_id(af, query) ? id : 0;
	bool reply = model_icmp_role(af, type) == MODEL_REPLY;

	*sport = reply ? query : number;
	*dport = reply ? number : query;
}

static struct model_key make_key(uint8_t dir, uint8_t af, uint8_t proto, const struct pf_ip *src,
				 const struct pf_ip *dst, uint16_t sport, uint16_t dport)
{
	struct model_key k = {.af = af, .proto = proto};
	int out = dir == PF_RULE_OUT;

	k.addr[out] = *src;
	k.addr[!out] = *dst;
	k.port[out] = sport;
	k.port[!out] = dport;
	return k;
}

struct model_key model_key_of(const struct model_packet *p)
{
	struct pf_ip src = p->src, dst = p->dst;
	uint16_t sport = 0, dport = 0;

	if (p->proto == MODEL_P_TCP || p->proto == MODEL_P_UDP || p->proto == MODEL_P_SCTP) {
		sport = p->sport;
		dport = p->dport;
	} else if (model_is_icmp(p)) {
		icmp_ports(p->af, p->icmp_type, p->icmp_id, &sport, &dport);
	}
	/* neighbours: the target stands for the group that is asked, and for who answers */
	if (p->proto == MODEL_P_ICMP6 && p->icmp_type == MODEL_NS)
		dst = p->target;
	if (p->proto == MODEL_P_ICMP6 && p->icmp_type == MODEL_NA) {
		src = p->target;
		if (dst.b[0] == 0xff)
			memset(&dst, 0, sizeof(dst));
	}
	return make_key(p->dir, p->af, p->proto, &src, &dst, sport, dport);
}

bool model_same_key(const struct model_key *a, const struct model_key *b)
{
	return a->af == b->af && a->proto == b->proto && pf_ip_equal(&a->addr[0], &b->addr[0]) &&
	       pf_ip_equal(&a->addr[1], &b->addr[1]) && a->port[0] == b->port[0] &&
	       a->port[1] == b->port[1];
}

enum model_side model_side_of(uint8_t dir)
{
	return dir == PF_RULE_IN ? MODEL_WIRE : MODEL_STACK;
}

/* Packets that go out are its own on every interface, for it sends them by its gateway. */
static bool roams(const struct model_state *s, enum model_side side)
{
	return side == MODEL_STACK && s->gateway &&
	       (s->dir == PF_RULE_OUT) == (s->gateway_from == 0);
}

/*
 * One that is bound to the interface comes before one that roams, which comes before one
 * that holds everywhere.
 */
static struct model_state *find(const struct model *m, enum model_side side,
				const struct model_key *k, const char *ifname, bool may_roam)
{
	struct model_state *everywhere = NULL, *roaming = NULL, *bound = NULL;

	for (size_t i = 0; i < m->nstates; i++) {
		struct model_state *s = &m->states[i];

		if (s->dead || !model_same_key(&s->key[side], k))
			continue;
		if (!s->ifname)
			everywhere = everywhere ? everywhere : s;
		else if (!ifname || strcmp(s->ifname, ifname) == 0)
			bound = s;
		else if (may_roam && roams(s, side) && !roaming)
			roaming = s;
	}
	if (bound)
		return bound;
	return roaming ? roaming : everywhere;
}

struct model_state *model_find(const struct model *m, enum model_side side,
			       const struct model_key *k, const char *ifname)
{
	return find(m, side, k, ifname, true);
}

struct model_state *model_find_at(const struct model *m, enum model_side side,
				  const struct model_key *k, const char *ifname)
{
	return find(m, side, k, ifname, false);
}

static bool translates(const struct model_state *s)
{
	return !model_same_key(&s->key[MODEL_WIRE], &s->key[MODEL_STACK]);
}

/* --- packets of a state --- */

static bool drop(struct model_answer *a, enum model_reason why)
{
	a->verdict = MODEL_DROP;
	a->reason = why;
	return true;
}

static uint8_t other_way(uint8_t dir)
{
	return dir == PF_RULE_IN ? PF_RULE_OUT : PF_RULE_IN;
}

static bool pass(struct model *m, struct model_state *s, unsigned int from, struct model_answer *a)
{
	s->peer[from].packets++;
	model_count(m, s->rule, s->anchor, s->matches, s->nmatches,
		    from == 0 ? s->dir : other_way(s->dir));
	a->verdict = MODEL_PASS;
	a->gateway = s->gateway && s->gateway_from == from ? s->gateway : NULL;
	a->use = MODEL_STATE_USED;
	return true;
}

static bool refuses_options(struct model *m, const struct model_state *s,
			    const struct model_packet *p, struct model_answer *a)
{
	if (!p->options || s->allow_opts)
		return false;
	model_log(m, a, NULL);
	return true;
}

static bool track_tcp(struct model *m, struct model_state *s, const struct model_packet *p,
		      struct model_answer *a)
{
	unsigned int from = s->dir != p->dir;
	bool was_open = model_tcp_established(s);
	enum model_tcp verdict = model_tcp(s, from, p);

	a->established = was_open;
	if (!was_open && model_tcp_established(s) && !model_connected(m, s))
		return drop(a, MODEL_R_SRCLIMIT);
	switch (verdict) {
	case MODEL_TCP_PASS:
		return pass(m, s, from, a);
	case MODEL_TCP_NEW:
		s->dead = true;
		return false;
	case MODEL_TCP_RST:
		drop(a, MODEL_R_BADSTATE);
		a->verdict = MODEL_RST;
		return true;
	case MODEL_TCP_ACK:
		drop(a, MODEL_R_BADSTATE);
		a->verdict = MODEL_ACK;
		return true;
	default:
		return drop(a, MODEL_R_BADSTATE);
	}
}

static bool track_sctp(struct model *m, struct model_state *s, const struct model_packet *p,
		       struct model_answer *a)
{
	unsigned int from = s->dir != p->dir;

	switch (model_sctp(s, from, p)) {
	case MODEL_SCTP_PASS:
		return pass(m, s, from, a);
	case MODEL_SCTP_NEW:
		s->dead = true;
		return false;
	default:
		return drop(a, MODEL_R_BADSTATE);
	}
}

/* --- errors, by what they quote --- */

static bool quoted_tcp_inside(const struct model_state *s, unsigned int from, uint32_t seq)
{
	const struct model_peer *src = &s->peer[from], *dst = &s->peer[!from];

	return (int32_t)(src->seqhi - seq) >= 0 &&
	       (int32_t)(seq - (src->seqlo - dst->max_win)) >= 0;
}

static struct model_key quoted_key(const struct model_packet *p)
{
	const struct model_quote *q = &p->quote;
	uint8_t dir = other_way(p->dir);
	uint16_t sport = 0, dport = 0;

	if (q->proto == MODEL_P_TCP || q->proto == MODEL_P_UDP || q->proto == MODEL_P_SCTP) {
		sport = q->sport;
		dport = q->dport;
	} else if (q->proto == MODEL_P_ICMP || q->proto == MODEL_P_ICMP6) {
		icmp_ports(p->af, q->icmp_type, q->icmp_id, &sport, &dport);
	}
	return make_key(dir, p->af, q->proto, &q->src, &q->dst, sport, dport);
}

static bool judge_error(struct model *m, struct model_state *s, const struct model_packet *p,
			struct model_answer *a)
{
	const struct model_quote *q = &p->quote;
	unsigned int from = s->dir == p->dir; /* the quoted packet went the other way */

	if (translates(s) && p->frag == MODEL_FRAG_FIRST)
		return drop(a, MODEL_R_FRAG);
	if (q->proto == MODEL_P_TCP && !s->sloppy && !quoted_tcp_inside(s, from, q->seq))
		return drop(a, MODEL_R_BADSTATE);
	if (q->proto == MODEL_P_SCTP && !model_sctp_quoted(s, from, q->seq))
		return drop(a, MODEL_R_BADSTATE);
	if ((q->proto == MODEL_P_ICMP || q->proto == MODEL_P_ICMP6) && !s->sloppy &&
	    (from == 0) != (model_icmp_role(p->af, q->icmp_type) != MODEL_REPLY))
		return drop(a, MODEL_R_BADSTATE);
	if (refuses_options(m, s, p, a))
		return drop(a, MODEL_R_IPOPTION);
	return pass(m, s, s->dir != p->dir, a);
}

static bool track_error(struct model *m, const struct model_packet *p, struct model_answer *a)
{
	struct model_key k = quoted_key(p);
	struct model_state *s;

	if (!pf_ip_equal(&p->dst, &p->quote.src))
		return drop(a, MODEL_R_BADSTATE);
	s = model_find(m, model_side_of(p->dir), &k, p->ifname);
	if (!s || model_is_over(m, s, p->dir))
		return false;
	judge_error(m, s, p, a);
	if (a->verdict == MODEL_PASS)
		model_carry_error(s, p, &a->out);
	return true;
}

/* --- */

static bool judge_known(struct model *m, struct model_state *s, const struct model_packet *p,
			struct model_answer *a)
{
	unsigned int from = s->dir != p->dir;

	/* only answers come from who was asked, if it is known who that is */
	if (model_is_icmp(p) && !s->sloppy &&
	    (from == 1) != (model_icmp_role(p->af, p->icmp_type) == MODEL_REPLY))
		return drop(a, MODEL_R_BADSTATE);
	if (translates(s) && p->frag == MODEL_FRAG_FIRST)
		return drop(a, MODEL_R_FRAG);
	if (refuses_options(m, s, p, a))
		return drop(a, MODEL_R_IPOPTION);
	if (p->proto == MODEL_P_TCP)
		return track_tcp(m, s, p, a);
	return p->proto == MODEL_P_SCTP ? track_sctp(m, s, p, a) : pass(m, s, from, a);
}

bool model_track(struct model *m, const struct model_packet *p, struct model_answer *a)
{
	struct model_key k = model_key_of(p);
	struct model_state *s;

	if (model_is_icmp(p) && model_icmp_role(p->af, p->icmp_type) == MODEL_ERROR)
		return track_error(m, p, a);
	s = model_find(m, model_side_of(p->dir), &k, p->ifname);
	if (!s || model_is_over(m, s, p->dir))
		return false;
	if (!judge_known(m, s, p, a))
		return false;
	if (a->verdict == MODEL_PASS)
		model_carry(s, p, &a->out);
	return true;
}

bool model_rule_is_full(const struct model *m, const struct pf_rule *r)
{
	const struct pf_state_opts *o = pf_rule_ext_of(r)->state;
	size_t n = 0;

	for (size_t i = 0; i < m->nstates; i++)
		n += !m->states[i].dead && m->states[i].rule == r;
	return o && o->max && n >= o->max;
}

/* It belongs to the gateway's interface if that is where its own packets go out. */
static void give_gateway(struct model_state *s)
{
	const struct pf_rule_ext *x = pf_rule_ext_of(s->rule);

	if (!x->route)
		return;
	s->gateway = &x->route->hosts[0];
	s->gateway_from = x->route_kind == PF_REPLY_TO;
	if (s->ifname && s->dir == PF_RULE_OUT && x->route_kind == PF_ROUTE_TO)
		s->ifname = s->gateway->ifname;
}

void model_make_state(struct model *m, const struct model_packet *p, const struct model_packet *now,
		      struct model_answer *a)
{
	const struct pf_state_opts *o = pf_rule_ext_of(a->rule)->state;
	const enum model_side side = model_side_of(p->dir);
	struct model_state *s;

	model_limiters_fall(m); /* by one that the new one replaces */
	m->states = model_grow(m->states, m->nstates, &m->states_capacity, sizeof(*m->states));
	s = &m->states[m->nstates];
	*s = (struct model_state){.dir = p->dir,
				  .rule = a->rule,
				  .anchor = a->anchor,
				  .nmatches = a->nmatches,
				  .tag = a->tag,
				  .sloppy = o && o->sloppy,
				  .ifname = o && o->if_bound ? p->ifname : NULL,
				  .allow_opts = a->rule->allow_opts};
	give_gateway(s);
	s->key[side] = model_key_of(p);
	s->key[!side] = model_key_of(now);
	s->matches = calloc(a->nmatches + 1, sizeof(*s->matches));
	if (!s->matches)
		abort();
	for (size_t i = 0; i < a->nmatches; i++)
		s->matches[i] = a->matches[i];
	s->peer[0].packets = 1;
	if (p->proto == MODEL_P_TCP)
		model_tcp_begin(s, p);
	if (p->proto == MODEL_P_SCTP)
		model_sctp_begin(s, p);
	a->use = MODEL_STATE_MADE;
	m->nstates++;
	model_limiters_rise(m, s);
}
