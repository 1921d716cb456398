// SPDX-License-Identifier: BSD-2-Clause
/* Packets of connections that there are: at the edges of windows, with tags that fit or nearly. */
#include "gen.h"

#define MAXACKWINDOW (65535 + 1500)
#define PAYLOAD_MOST 200

/* From that side of the state, as it is seen there. */
static struct model_packet from_side(struct rnd *r, const struct model_state *s, unsigned int from)
{
	struct model_packet p = {.ttl = 64, .seed = (uint32_t)rnd_next(r) | 1};
	const struct model_key *k;
	unsigned int out;

	p.dir = from == 0 ? s->dir : s->dir == PF_RULE_IN ? PF_RULE_OUT : PF_RULE_IN;
	k = &s->key[model_side_of(p.dir)];
	out = p.dir == PF_RULE_OUT;
	p.af = k->af;
	p.proto = k->proto;
	p.src = k->addr[out];
	p.dst = k->addr[!out];
	p.sport = k->port[out];
	p.dport = k->port[!out];
	p.ifname = rnd_pick(r, gen_ifaces);
	p.received = !out ? p.ifname : rnd_percent(r, 50) ? rnd_pick(r, gen_ifaces) : NULL;
	return p;
}

/* --- TCP --- */

static uint32_t nudge(struct rnd *r)
{
	static const uint32_t by[] = {0, 0, 0, 1, (uint32_t)-1, 2, (uint32_t)-2};

	return rnd_pick(r, by);
}

static uint32_t some_seq(struct rnd *r, const struct model_peer *src, const struct model_peer *dst)
{
	switch (rnd_below(r, 12)) {
	case 0:
		return src->seqhi + nudge(r);
	case 1:
		return src->seqlo - dst->max_win + nudge(r);
	case 2:
		return src->seqhi + MAXACKWINDOW + nudge(r);
	case 3:
		return src->seqlo - MAXACKWINDOW + nudge(r);
	case 4:
		return (uint32_t)rnd_next(r);
	case 5:
		return src->seqlo + nudge(r);
	default:
		return src->seqlo;
	}
}

static uint32_t some_ack(struct rnd *r, const struct model_peer *dst)
{
	switch (rnd_below(r, 12)) {
	case 0:
		return dst->seqlo + MAXACKWINDOW + nudge(r);
	case 1:
		return dst->seqlo - MAXACKWINDOW + nudge(r);
	case 2:
		return rnd_percent(r, 50) ? 0 : (uint32_t)rnd_next(r);
	case 3:
		return dst->seqlo + nudge(r);
	default:
		return dst->seqlo;
	}
}

/* What it would say next, were all well. */
static void say_next(struct rnd *r, const struct model_peer *src, const struct model_peer *dst,
		     struct model_packet *p)
{
	const bool fresh = src->seqlo == 0;

	p->flags = fresh ? TH_SYN | TH_ACK : TH_ACK;
	p->seq = fresh ? (uint32_t)rnd_next(r) : src->seqlo + (src->state == 2);
	p->ack = dst->seqlo + (dst->state == 2);
	p->len = fresh || rnd_percent(r, 60) ? 0 : (uint16_t)rnd_below(r, PAYLOAD_MOST);
	if (!fresh && dst->seqlo == 0) { /* its SYN once more */
		p->flags = TH_SYN;
		p->ack = 0;
		p->len = 0;
	}
}

static void say_segment(struct rnd *r, const struct model_state *s, unsigned int from,
			struct model_packet *p)
{
	/* most of them data; few that end it */
	static const uint8_t flags[] = {TH_SYN,		 TH_SYN | TH_ACK, TH_RST,
					TH_RST | TH_ACK, TH_ACK | TH_FIN, TH_ACK | TH_PUSH | 0xc0};
	static const uint16_t windows[] = {0, 1, 500, 8192, 65535, 65535};
	const struct model_peer *src = &s->peer[from], *dst = &s->peer[!from];
	uint32_t room;

	p->win = rnd_pick(r, windows);
	if (rnd_percent(r, 55) || !src->seqlo) {
		say_next(r, src, dst, p);
		return;
	}
	p->flags = rnd_percent(r, 70) ? TH_ACK | (rnd_percent(r, 30) ? TH_PUSH : 0)
				      : rnd_pick(r, flags);
	p->seq = some_seq(r, src, dst);
	p->ack = p->flags & TH_ACK ? some_ack(r, dst) : 0;
	p->len = rnd_percent(r, 50) ? 0 : (uint16_t)rnd_below(r, PAYLOAD_MOST);
	/* up to the end of the window, or one beyond it */
	room = src->seqhi - p->seq;
	if (rnd_percent(r, 25) && room < PAYLOAD_MOST)
		p->len = (uint16_t)(room + rnd_below(r, 2));
	else if (rnd_percent(r, 10))
		p->seq = src->seqhi - p->len + rnd_below(r, 2);
}

/* --- SCTP --- */

static void say_chunks(struct rnd *r, const struct model_state *s, unsigned int from,
		       struct model_packet *p)
{
	static const uint8_t chunks[] = {
		MODEL_C_DATA,	       MODEL_C_DATA,	     MODEL_C_DATA,
		MODEL_C_SHUTDOWN,      MODEL_C_SHUTDOWN_ACK, MODEL_C_SHUTDOWN_COMPLETE,
		MODEL_C_ABORT,	       MODEL_C_COOKIE_ECHO,  MODEL_C_COOKIE_ACK,
		MODEL_C_HEARTBEAT_ACK, MODEL_C_INIT,	     MODEL_C_INIT_ACK,
		MODEL_C_INIT};
	const struct model_peer *src = &s->peer[from], *dst = &s->peer[!from];

	p->nchunks = 1;
	p->chunk[0] = rnd_pick(r, chunks);
	/* the handshake, in its order */
	if (dst->state < MODEL_S_ESTABLISHED && rnd_percent(r, 50))
		p->chunk[0] = from ? MODEL_C_INIT_ACK : MODEL_C_COOKIE_ECHO;
	else if (src->state < MODEL_S_ESTABLISHED && rnd_percent(r, 50))
		p->chunk[0] = MODEL_C_COOKIE_ACK;
	if (rnd_percent(r, 15)) {
		p->chunk[1] = rnd_pick(r, chunks);
		p->nchunks = 2;
	}
	p->v_tag = rnd_percent(r, 85) ? src->seqlo : 1 + rnd_below(r, 3);
	p->t_bit = rnd_percent(r, 15);
	if (p->t_bit && rnd_percent(r, 70))
		p->v_tag = dst->seqlo;
	if (p->chunk[0] == MODEL_C_INIT && rnd_percent(r, 95))
		p->v_tag = 0;
	p->init_tag = dst->seqlo && rnd_percent(r, 50) ? dst->seqlo : 1 + rnd_below(r, 3);
}

static bool talks(const struct model_state *s)
{
	const uint8_t proto = s->key[0].proto;

	return !s->dead && (proto == MODEL_P_TCP || proto == MODEL_P_SCTP);
}

/* One of the newest, so that a connection gets somewhere. */
static const struct model_state *some_state(struct rnd *r, const struct model *m)
{
	uint32_t skip = rnd_below(r, 3);
	const struct model_state *found = NULL;

	for (size_t i = m->nstates; i; i--) {
		if (!talks(&m->states[i - 1]))
			continue;
		found = &m->states[i - 1];
		if (!skip--)
			break;
	}
	return found;
}

bool gen_of_state(struct rnd *r, const struct model *m, struct model_packet *p)
{
	const struct model_state *s = some_state(r, m);
	unsigned int from;

	if (!s)
		return false;
	from = rnd_below(r, 2);
	/* whom nobody has answered is answered */
	if (!s->peer[1].packets && rnd_percent(r, 70))
		from = 1;
	*p = from_side(r, s, from);
	if (!p->dport || (!p->sport && p->proto == MODEL_P_SCTP))
		return false;
	if (p->proto == MODEL_P_TCP)
		say_segment(r, s, from, p);
	else
		say_chunks(r, s, from, p);
	return true;
}
