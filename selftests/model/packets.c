// SPDX-License-Identifier: BSD-2-Clause
/* Packets by chance: many are what some rule asks for, or nearly so, or follow another one. */
#include <string.h>

#include "gen.h"

/* One of the ends, one beyond them, or one between. */
static struct pf_ip near_ip(struct rnd *r, uint8_t af, const struct pf_ip end[2])
{
	struct pf_ip ip = end[rnd_below(r, 2)];

	if (rnd_percent(r, 25))
		gen_step_ip(&ip, af, rnd_percent(r, 50) ? 1 : -1);
	else if (rnd_percent(r, 20))
		for (int i = 0; i < 16; i++)
			if (end[0].b[i] != end[1].b[i])
				ip.b[i] = (uint8_t)rnd_next(r);
	return gen_plain_ip(&ip, af) ? ip : gen_fresh_ip(r, af);
}

static uint16_t near_port(struct rnd *r, const uint16_t end[2])
{
	return (uint16_t)(end[rnd_below(r, 2)] + (int)rnd_below(r, 3) - 1);
}

static uint16_t any_port(struct rnd *r)
{
	return rnd_percent(r, 80) ? rnd_pick(r, gen_ports) : (uint16_t)rnd_next(r);
}

static const struct gen_rule *any_rule(struct rnd *r, const struct gen_rules *l)
{
	const struct gen_rule *x;

	if (!l->n)
		return NULL;
	x = &l->v[rnd_below(r, (uint32_t)l->n)];
	return x->body.n && rnd_percent(r, 75) ? any_rule(r, &x->body) : x;
}

/* One that a packet may want to meet, or NULL. */
static const struct gen_rule *wanted_rule(struct rnd *r, const struct gen_ruleset *g)
{
	const bool seeks = g->translate && rnd_percent(r, 50);
	const struct gen_rule *x = NULL;

	if (rnd_percent(r, 15))
		return NULL;
	for (int tries = 0; tries < (seeks ? 10 : 1); tries++) {
		x = any_rule(r, g->late.n && rnd_percent(r, 25) ? &g->late : &g->rules);
		if (x && x->part[GEN_TRANSLATE])
			break;
	}
	return x;
}

static void gen_quote(struct rnd *r, const struct gen_ruleset *g, struct model_packet *p)
{
	static const uint8_t protos[] = {6, 17, 1, 47, 132};
	struct model_quote *q = &p->quote;

	q->proto = rnd_pick(r, protos);
	if (q->proto == MODEL_P_ICMP && p->af == PF_FAMILY_INET6)
		q->proto = MODEL_P_ICMP6;
	q->src = rnd_percent(r, 90) ? p->dst : gen_pool_ip(r, g, p->af);
	q->dst = rnd_percent(r, 70) ? p->src : gen_pool_ip(r, g, p->af);
	if (q->proto == MODEL_P_TCP || q->proto == MODEL_P_UDP || q->proto == MODEL_P_SCTP) {
		q->sport = any_port(r);
		q->dport = any_port(r);
		q->seq = (uint32_t)rnd_next(r);
	} else if (q->proto != 47) {
		q->icmp_type = p->af == PF_FAMILY_INET ? 8 : 128;
		q->icmp_id = (uint16_t)rnd_below(r, 4);
		q->sum = (uint16_t)rnd_next(r);
	}
}

static void gen_icmp_packet(struct rnd *r, const struct gen_ruleset *g, const struct gen_hint *h,
			    struct model_packet *p)
{
	static const uint8_t group[16] = {0xff, 2, [11] = 1, [12] = 0xff, [15] = 1};
	static const uint8_t everybody[16] = {0xff, 2, [15] = 1};

	p->icmp_type = p->af == PF_FAMILY_INET ? rnd_pick(r, gen_types4) : rnd_pick(r, gen_types6);
	p->icmp_code = (uint8_t)rnd_below(r, 3);
	p->icmp_id = (uint16_t)rnd_below(r, 4);
	if (h && h->has_icmp && h->af == p->af && rnd_percent(r, 85)) {
		p->icmp_type = h->icmp_type;
		if (rnd_percent(r, 80))
			p->icmp_code = h->icmp_code;
	}
	p->target = gen_pool_ip(r, g, p->af);
	if (p->af == PF_FAMILY_INET6 && p->icmp_type >= 133 && p->icmp_type <= 137)
		p->ttl = 255;
	if (p->af == PF_FAMILY_INET6 && p->icmp_type == MODEL_NS && rnd_percent(r, 50))
		memcpy(p->dst.b, group, sizeof(group));
	if (p->af == PF_FAMILY_INET6 && p->icmp_type == MODEL_NA && rnd_percent(r, 50))
		memcpy(p->dst.b, everybody, sizeof(everybody));
	if (model_icmp_role(p->af, p->icmp_type) == MODEL_ERROR)
		gen_quote(r, g, p);
}

static void gen_tcp_packet(struct rnd *r, const struct gen_hint *h, struct model_packet *p)
{
	static const uint8_t flags[] = {TH_SYN,		  TH_SYN, TH_SYN | TH_ACK, TH_ACK,
					TH_ACK,		  TH_RST, TH_RST | TH_ACK, TH_FIN | TH_ACK,
					TH_ACK | TH_PUSH, 0xc2,	  TH_ACK | TH_URG};

	p->flags = rnd_percent(r, 95) ? rnd_pick(r, flags) : (uint8_t)rnd_next(r);
	if (h && h->has_flags && rnd_percent(r, 70))
		p->flags = h->flags;
	p->seq = (uint32_t)rnd_next(r);
	p->ack = p->flags & TH_ACK ? (uint32_t)rnd_next(r) : 0;
	p->win = (uint16_t)rnd_next(r);
}

static void gen_sctp_packet(struct rnd *r, struct model_packet *p)
{
	static const uint8_t chunks[] = {
		MODEL_C_INIT,	  MODEL_C_INIT,	       MODEL_C_INIT,  MODEL_C_DATA,
		MODEL_C_INIT_ACK, MODEL_C_COOKIE_ECHO, MODEL_C_ABORT, MODEL_C_SHUTDOWN_COMPLETE};

	if (!p->sport)
		p->sport = rnd_percent(r, 90) ? 1 : 0;
	p->nchunks = 1;
	p->chunk[0] = rnd_pick(r, chunks);
	/* a fragment's length is a multiple of eight, and no chunk is padded in it */
	if (p->frag == MODEL_WHOLE && rnd_percent(r, 10)) {
		p->chunk[1] = rnd_pick(r, chunks);
		p->nchunks = 2;
	}
	p->v_tag = p->chunk[0] == MODEL_C_INIT && rnd_percent(r, 95) ? 0 : 1 + rnd_below(r, 3);
	p->init_tag = rnd_below(r, 20);
	p->t_bit = rnd_percent(r, 10);
}

static void gen_addresses(struct rnd *r, const struct gen_ruleset *g, const struct gen_hint *h,
			  struct model_packet *p)
{
	p->src = gen_pool_ip(r, g, p->af);
	p->dst = gen_pool_ip(r, g, p->af);
	if (h && h->af == p->af && h->has_src && rnd_percent(r, 85))
		p->src = near_ip(r, p->af, h->src);
	if (h && h->af == p->af && h->has_dst && rnd_percent(r, 85))
		p->dst = near_ip(r, p->af, h->dst);
}

static void gen_transport(struct rnd *r, const struct gen_ruleset *g, const struct gen_hint *h,
			  struct model_packet *p)
{
	if (p->frag == MODEL_FRAG_LATER)
		return;
	if (model_is_icmp(p)) {
		gen_icmp_packet(r, g, h, p);
		return;
	}
	if (p->proto != MODEL_P_TCP && p->proto != MODEL_P_UDP && p->proto != MODEL_P_SCTP)
		return;
	p->sport = h && h->has_sport && rnd_percent(r, 85) ? near_port(r, h->sport) : any_port(r);
	p->dport = h && h->has_dport && rnd_percent(r, 85) ? near_port(r, h->dport) : any_port(r);
	if (!p->dport) /* nobody listens there: it is malformed */
		p->dport = 1;
	p->no_sum = p->proto == MODEL_P_UDP && p->af == PF_FAMILY_INET && rnd_percent(r, 15);
	if (p->proto == MODEL_P_TCP)
		gen_tcp_packet(r, h, p);
	if (p->proto == MODEL_P_SCTP)
		gen_sctp_packet(r, p);
	/* more fragments: its length is a multiple of eight */
	if (p->proto == MODEL_P_TCP && p->frag == MODEL_FRAG_FIRST)
		p->len = 4 + p->len / 8 * 8;
}

struct model_packet gen_packet(struct rnd *r, const struct gen_ruleset *g)
{
	static const uint8_t protos[] = {6, 6, 17, 17, 1, 47, 50, 132};
	const struct gen_rule *x = wanted_rule(r, g);
	const struct gen_hint *h = x ? &x->hint : NULL;
	struct model_packet p = {.ttl = 64, .seed = (uint32_t)rnd_next(r) | 1};

	if (g->route && rnd_percent(r, 10))
		p.ttl = (uint8_t)rnd_below(r, 3);
	p.dir = rnd_percent(r, 50) ? PF_RULE_IN : PF_RULE_OUT;
	if (h && h->dir && rnd_percent(r, 90))
		p.dir = h->dir;
	p.ifname = h && h->ifname && rnd_percent(r, 80) ? h->ifname : rnd_pick(r, gen_ifaces);
	p.received = rnd_percent(r, 60) ? rnd_pick(r, gen_ifaces) : NULL;
	if (h && h->received && rnd_percent(r, 60))
		p.received = h->received;
	if (p.dir == PF_RULE_IN)
		p.received = p.ifname;
	p.af = rnd_percent(r, 55) ? PF_FAMILY_INET : PF_FAMILY_INET6;
	if (h && h->af && rnd_percent(r, 95))
		p.af = h->af;
	p.proto = rnd_pick(r, protos);
	if (g->sources && rnd_percent(r, 60))
		p.proto = MODEL_P_TCP;
	if (h && h->proto && rnd_percent(r, 90))
		p.proto = h->proto;
	if (p.proto == MODEL_P_ICMP || p.proto == MODEL_P_ICMP6)
		p.proto = p.af == PF_FAMILY_INET ? MODEL_P_ICMP : MODEL_P_ICMP6;
	if (rnd_percent(r, h && h->fragment ? 60 : 7))
		p.frag = 1 + (uint8_t)rnd_below(r, 2);
	p.tos = rnd_percent(r, 50) ? 0 : rnd_pick(r, gen_toses);
	if (h && h->has_tos && rnd_percent(r, 80))
		p.tos = h->tos;
	if (rnd_percent(r, 10))
		p.tos |= (uint8_t)rnd_below(r, 4);
	p.options = rnd_percent(r, 4);
	p.vlans = rnd_percent(r, 3) ? 1 + (uint8_t)rnd_below(r, 2) : 0;
	p.len = rnd_percent(r, 50) ? 0 : (uint16_t)rnd_below(r, 40);
	gen_addresses(r, g, h, &p);
	gen_transport(r, g, h, &p);
	return p;
}

static void turn_round(struct rnd *r, struct model_packet *p)
{
	struct pf_ip ip = p->src;
	uint16_t port = p->sport;

	p->src = p->dst;
	p->dst = ip;
	p->sport = p->dport;
	p->dport = port ? port : 1;
	p->dir = p->dir == PF_RULE_IN ? PF_RULE_OUT : PF_RULE_IN;
	p->received = p->dir == PF_RULE_IN ? p->ifname
		      : rnd_percent(r, 50) ? rnd_pick(r, gen_ifaces)
					   : NULL;
}

static uint32_t some_offset(struct rnd *r)
{
	static const uint32_t offsets[] = {0,  0,      0,     0,     1, (uint32_t)-1,
					   10, 65535U, 66000, 67036, 2, 0x7fffffff};

	return rnd_pick(r, offsets);
}

static void follow_tcp(struct rnd *r, struct model_packet *p, bool back)
{
	static const uint8_t flags[] = {TH_ACK, TH_ACK, TH_ACK | TH_FIN,
					TH_RST, TH_SYN, TH_ACK | TH_RST};
	uint32_t next = p->seq + p->len + ((p->flags & TH_SYN) || (p->flags & TH_FIN));

	if (back) {
		uint32_t seq = p->flags & TH_ACK ? p->ack : (uint32_t)rnd_next(r);

		p->flags = (p->flags & (TH_SYN | TH_ACK)) == TH_SYN ? TH_SYN | TH_ACK : TH_ACK;
		p->seq = seq + some_offset(r);
		p->ack = next + some_offset(r);
	} else {
		p->flags = rnd_pick(r, flags);
		p->seq = next + some_offset(r);
		p->ack += some_offset(r);
	}
	if (rnd_percent(r, 15))
		p->flags = rnd_pick(r, flags);
}

static void follow_sctp(struct rnd *r, struct model_packet *p, bool back)
{
	const bool was_init = p->chunk[0] == MODEL_C_INIT;

	gen_sctp_packet(r, p);
	if (back && was_init && rnd_percent(r, 80)) {
		p->chunk[0] = MODEL_C_INIT_ACK;
		p->nchunks = 1;
		p->v_tag = p->init_tag;
		p->init_tag = 1 + rnd_below(r, 3);
	}
}

static void follow_icmp(struct rnd *r, struct model_packet *p, bool back)
{
	static const uint8_t pairs[][2] = {{8, 0},  {13, 14},	{15, 16},   {17, 18},
					   {10, 9}, {128, 129}, {135, 136}, {139, 140}};

	if (!back || rnd_percent(r, 10))
		return;
	for (size_t i = 0; i < sizeof(pairs) / 2; i++) {
		if (p->icmp_type == pairs[i][0] || p->icmp_type == pairs[i][1]) {
			p->icmp_type = pairs[i][p->icmp_type == pairs[i][0]];
			return;
		}
	}
}

/* An error about the packet, from its destination or from one on the way. */
static void quote_it(struct rnd *r, struct model_packet *p, const struct model_packet *last)
{
	p->quote = (struct model_quote){.proto = last->proto,
					.src = last->src,
					.dst = last->dst,
					.sport = last->sport,
					.dport = last->dport,
					.seq = last->proto == MODEL_P_SCTP
						       ? last->v_tag + rnd_below(r, 2)
						       : last->seq + some_offset(r),
					.icmp_type = last->icmp_type,
					.icmp_id = last->icmp_id,
					.sum = (uint16_t)rnd_next(r)};
	p->no_sum = false;
	p->proto = p->af == PF_FAMILY_INET ? MODEL_P_ICMP : MODEL_P_ICMP6;
	p->icmp_type = p->af == PF_FAMILY_INET ? 3 : 1;
	p->icmp_code = (uint8_t)rnd_below(r, 3);
	p->sport = p->dport = 0;
	p->ttl = 64;
	if (rnd_percent(r, 30))
		p->src = gen_fresh_ip(r, p->af);
}

/* What has been let in goes out elsewhere. */
static void forward(struct rnd *r, struct model_packet *p)
{
	p->received = p->ifname;
	p->ifname = rnd_pick(r, gen_ifaces);
	p->dir = PF_RULE_OUT;
	if (!p->dport) /* an answer to port 0 is malformed there, as any to it */
		p->dport = 1;
}

/* Another one like it: of another port, or of another host. */
static void vary(struct rnd *r, struct model_packet *p)
{
	struct pf_ip ip = p->src;

	if (model_is_icmp(p))
		p->icmp_id = (uint16_t)rnd_below(r, 8);
	else if (p->proto == MODEL_P_TCP || p->proto == MODEL_P_UDP || p->proto == MODEL_P_SCTP)
		p->sport = (uint16_t)(p->sport + 1 + rnd_below(r, 4));
	if (rnd_percent(r, 50))
		return;
	gen_step_ip(&ip, p->af, rnd_percent(r, 50) ? 1 : -1);
	if (gen_plain_ip(&ip, p->af))
		p->src = ip;
}

static bool is_error(const struct model_packet *p)
{
	return model_is_icmp(p) && model_icmp_role(p->af, p->icmp_type) == MODEL_ERROR;
}

/* The first of more fragments; those of TCP have lengths that fit. */
static void make_fragment(struct model_packet *p)
{
	p->frag = MODEL_FRAG_FIRST;
	if (p->proto == MODEL_P_TCP)
		p->len = 4 + p->len / 8 * 8;
}

struct model_packet gen_follow(struct rnd *r, const struct model_packet *last,
			       const struct model_packet *left)
{
	const bool back = rnd_percent(r, 65);
	const bool hidden = !pf_ip_equal(&last->src, &left->src); /* others may want its port */
	struct model_packet p = back && rnd_percent(r, 90) ? *left : *last;
	const struct model_packet was = p;

	p.seed = (uint32_t)rnd_next(r) | 1;
	if (rnd_percent(r, hidden ? 50 : 20)) { /* once more */
		p = *last;
		p.seed = (uint32_t)rnd_next(r) | 1;
		if (rnd_percent(r, hidden ? 80 : 40) && !is_error(&p) && p.frag != MODEL_FRAG_LATER)
			vary(r, &p);
		return p;
	}
	if (left->dir == PF_RULE_IN && rnd_percent(r, 10)) {
		p = *left;
		p.seed = (uint32_t)rnd_next(r) | 1;
		forward(r, &p);
		return p;
	}
	if (back)
		turn_round(r, &p);
	if (rnd_percent(r, 10))
		p.ifname = rnd_pick(r, gen_ifaces);
	if (p.dir == PF_RULE_IN)
		p.received = p.ifname;
	p.options = rnd_percent(r, 4);
	if (p.frag == MODEL_FRAG_LATER || !gen_plain_ip(&p.src, p.af))
		return p;
	if (back && rnd_percent(r, 15) && !is_error(&was)) {
		quote_it(r, &p, &was);
		return p;
	}
	if (p.proto == MODEL_P_TCP)
		follow_tcp(r, &p, back);
	if (p.proto == MODEL_P_SCTP)
		follow_sctp(r, &p, back);
	if (model_is_icmp(&p))
		follow_icmp(r, &p, back);
	if (rnd_percent(r, 3) && p.nchunks < 2)
		make_fragment(&p);
	return p;
}

struct model_packet gen_connect(struct rnd *r, const struct model_packet *last,
				const struct model_packet *left)
{
	const bool opens = last->proto == MODEL_P_TCP && last->frag == MODEL_WHOLE &&
			   last->flags & TH_SYN;
	struct model_packet p = opens ? *left : *last;

	p.seed = (uint32_t)rnd_next(r) | 1;
	if (!opens) {
		/* another one, mostly of the same source */
		if (p.proto == MODEL_P_TCP || p.proto == MODEL_P_UDP)
			p.sport = (uint16_t)(p.sport + 1 + rnd_below(r, 8));
		if (p.proto == MODEL_P_TCP && p.frag == MODEL_WHOLE) {
			p.flags = TH_SYN;
			p.ack = 0;
			p.len = 0;
		}
		if (model_is_icmp(&p) && !is_error(&p))
			p.icmp_id = (uint16_t)rnd_below(r, 8);
		return p;
	}
	turn_round(r, &p);
	p.options = false;
	p.flags = last->flags & TH_ACK ? TH_ACK : TH_SYN | TH_ACK;
	p.seq = last->flags & TH_ACK ? last->ack : (uint32_t)rnd_next(r);
	p.ack = last->seq + last->len + 1;
	p.len = 0;
	p.win = 1000;
	return p;
}
