// SPDX-License-Identifier: BSD-2-Clause
/*
 * Limiters: how many live states the rules that name one have made, of all sources or of one.
 * Rates and numbers of sources, which need time, are not made up here.
 */
#include <stdlib.h>
#include <string.h>

#include "model.h"

static const struct pf_limiter_def *find(const struct model *m, bool source, uint8_t id)
{
	for (size_t i = 0; i < m->rs->nlimiters; i++)
		if (m->rs->limiters[i].source == source && m->rs->limiters[i].id == id)
			return &m->rs->limiters[i];
	return NULL;
}

static uint8_t bits_of(const struct pf_limiter_def *d, uint8_t af)
{
	return d->mask[af == PF_FAMILY_INET6];
}

static struct pf_ip masked(const struct pf_limiter_def *d, uint8_t af, struct pf_ip ip)
{
	pf_ip_mask(&ip, bits_of(d, af));
	return ip;
}

/* Who sent it, before translation: as the state would know it, if there can be one. */
static struct pf_ip sender(const struct model_packet *p)
{
	if (p->frag == MODEL_FRAG_LATER ||
	    (model_is_icmp(p) && model_icmp_role(p->af, p->icmp_type) == MODEL_ERROR))
		return p->src;
	return model_key_of(p).addr[p->dir == PF_RULE_OUT];
}

size_t model_limiter_states(const struct model *m, const struct pf_limiter_def *d)
{
	size_t n = 0;

	for (size_t i = 0; i < m->nstates; i++) {
		const struct pf_rule_ext *x = pf_rule_ext_of(m->states[i].rule);
		const struct pf_rule_limiter *l = d->source ? &x->source_limiter
							    : &x->state_limiter;

		n += !m->states[i].dead && l->id == d->id;
	}
	return n;
}

static size_t states_of(const struct model *m, const struct pf_limiter_def *d, uint8_t af,
			const struct pf_ip *from)
{
	size_t n = 0;

	for (size_t i = 0; i < m->nstates; i++) {
		const struct model_state *s = &m->states[i];
		const struct model_key *k = &s->key[model_side_of(s->dir)];
		struct pf_ip ip = masked(d, k->af, k->addr[s->dir == PF_RULE_OUT]);

		n += !s->dead && pf_rule_ext_of(s->rule)->source_limiter.id == d->id &&
		     k->af == af && pf_ip_equal(&ip, from);
	}
	return n;
}

/* --- tables of source limiters --- */

void model_limiters_fall(struct model *m)
{
	size_t kept = 0;

	for (size_t i = 0; i < m->nheld; i++) {
		struct model_held *h = &m->held[i];

		if (states_of(m, h->by, h->af, &h->ip) < h->by->below)
			model_table_take(m, &m->rulesets[0], h->by->table, h->af,
					 bits_of(h->by, h->af), &h->ip);
		else
			m->held[kept++] = *h;
	}
	m->nheld = kept;
}

void model_limiters_rise(struct model *m, const struct model_state *s)
{
	const struct model_key *k = &s->key[model_side_of(s->dir)];
	const struct pf_limiter_def *d = find(m, true, pf_rule_ext_of(s->rule)->source_limiter.id);
	struct model_held h = {.by = d, .af = k->af};

	if (!d || !d->table)
		return;
	h.ip = masked(d, k->af, k->addr[s->dir == PF_RULE_OUT]);
	if (states_of(m, d, k->af, &h.ip) <= d->above)
		return;
	for (size_t i = 0; i < m->nheld; i++)
		if (m->held[i].by == d && m->held[i].af == h.af &&
		    pf_ip_equal(&m->held[i].ip, &h.ip))
			return;
	m->held = model_grow(m->held, m->nheld, &m->held_capacity, sizeof(*m->held));
	m->held[m->nheld++] = h;
	model_table_put(m, &m->rulesets[0], d->table, h.af, bits_of(d, h.af), &h.ip);
}

/* --- is there room? --- */

static enum model_limits over(const struct pf_rule_limiter *l, enum model_reason is,
			      enum model_reason *why)
{
	*why = is;
	return l->action == PF_LIMITER_BLOCK ? MODEL_LIMITS_BLOCK : MODEL_LIMITS_MISS;
}

enum model_limits model_limits(const struct model *m, const struct pf_rule *r,
			       enum model_reason *why)
{
	const struct pf_rule_ext *x = pf_rule_ext_of(r);
	const struct model_packet *p = m->packet;
	const struct pf_limiter_def *d;
	struct pf_ip ip;

	if (x->state_limiter.id) {
		d = find(m, false, x->state_limiter.id);
		if (!d)
			return MODEL_LIMITS_MISS;
		if (model_limiter_states(m, d) >= d->limit)
			return over(&x->state_limiter, MODEL_R_MAXSTATES, why);
	}
	if (x->source_limiter.id) {
		d = find(m, true, x->source_limiter.id);
		if (!d)
			return MODEL_LIMITS_MISS;
		ip = masked(d, p->af, sender(p));
		if (states_of(m, d, p->af, &ip) >= d->limit)
			return over(&x->source_limiter, MODEL_R_SRCLIMIT, why);
	}
	return MODEL_LIMITS_ROOM;
}
