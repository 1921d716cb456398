// SPDX-License-Identifier: BSD-2-Clause
/*
 * Sources that are tracked.  A node is there as long as it has states: where a rate is
 * asked for, which needs more than that, nothing is made up here.
 */
#include <stdlib.h>
#include <string.h>

#include "model.h"

static const struct pf_state_opts *opts_of(const struct pf_rule *r)
{
	return pf_rule_ext_of(r)->state;
}

static uint8_t tracks(const struct pf_rule *r)
{
	const struct pf_state_opts *o = r ? opts_of(r) : NULL;

	return o ? o->source_track : PF_TRACK_NONE;
}

/* Who began it, before translation. */
static const struct pf_ip *source_of(const struct model_state *s)
{
	return &s->key[model_side_of(s->dir)].addr[s->dir == PF_RULE_OUT];
}

/* Do two live states that are tracked belong to one node? */
static bool same_node(const struct model_state *a, const struct model_state *b)
{
	if (tracks(a->rule) != tracks(b->rule) || a->key[0].af != b->key[0].af ||
	    !pf_ip_equal(source_of(a), source_of(b)))
		return false;
	return tracks(a->rule) == PF_TRACK_GLOBAL || a->rule == b->rule;
}

/* The first live state of a node, from which the node is known. */
static bool is_first(const struct model *m, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!m->states[i].dead && tracks(m->states[i].rule) &&
		    same_node(&m->states[i], &m->states[n]))
			return false;
	return true;
}

size_t model_nodes(const struct model *m, const struct pf_rule *of)
{
	size_t n = 0;

	for (size_t i = 0; i < m->nstates; i++)
		n += !m->states[i].dead && tracks(m->states[i].rule) &&
		     (!of || m->states[i].rule == of) && is_first(m, i);
	return n;
}

static size_t count_states(const struct model *m, const struct model_state *like, bool connected)
{
	size_t n = 0;

	for (size_t i = 0; i < m->nstates; i++) {
		const struct model_state *s = &m->states[i];

		n += !s->dead && tracks(s->rule) && same_node(s, like) &&
		     (s->connected || !connected);
	}
	return n;
}

bool model_source_is_full(const struct model *m, const struct pf_rule *r,
			  const struct model_packet *p)
{
	const struct pf_state_opts *o = opts_of(r);
	struct model_state would = {.dir = p->dir, .rule = r};
	size_t n;

	if (!tracks(r))
		return false;
	would.key[0] = would.key[1] = model_key_of(p);
	n = count_states(m, &would, false);
	if (n)
		return o->max_src_states && n >= o->max_src_states;
	return o->max_src_nodes && model_nodes(m, r) >= o->max_src_nodes;
}

/* --- offenders --- */

static const struct model_ruleset *ruleset_of(const struct model *m, const struct pf_rule *r)
{
	for (size_t i = 0; i < m->nrulesets; i++) {
		const struct pf_rule_list *l = &m->rulesets[i].block->list[PF_LIST_FILTER];

		if (r >= l->v && r < l->v + l->n)
			return &m->rulesets[i];
	}
	abort();
}

static struct pf_table_entry *find_entry(const struct pf_table_def *t, uint8_t af, uint8_t bits,
					 const struct pf_ip *ip)
{
	for (size_t i = 0; i < t->nentries; i++)
		if (t->entries[i].af == af && t->entries[i].bits == bits &&
		    pf_ip_equal(&t->entries[i].ip, ip))
			return &t->entries[i];
	return NULL;
}

void model_table_put(const struct model *m, const struct model_ruleset *in, const char *name,
		     uint8_t af, uint8_t bits, const struct pf_ip *ip)
{
	struct pf_table_def *t = (struct pf_table_def *)model_find_table(m, in, name);
	struct pf_table_entry *e;

	if (!t || find_entry(t, af, bits, ip))
		return;
	e = pf_table_def_add(t);
	if (!e)
		abort();
	*e = (struct pf_table_entry){.af = af, .bits = bits, .ip = *ip};
}

void model_table_take(const struct model *m, const struct model_ruleset *in, const char *name,
		      uint8_t af, uint8_t bits, const struct pf_ip *ip)
{
	struct pf_table_def *t = (struct pf_table_def *)model_find_table(m, in, name);
	struct pf_table_entry *e = t ? find_entry(t, af, bits, ip) : NULL;

	if (e && !e->neg)
		*e = t->entries[--t->nentries];
}

static void overload(const struct model *m, const struct model_state *s, const char *name)
{
	uint8_t af = s->key[0].af;

	model_table_put(m, ruleset_of(m, s->rule), name, af, af == PF_FAMILY_INET ? 32 : 128,
			source_of(s));
}

static void flush(struct model *m, const struct model_state *of, bool global)
{
	for (size_t i = 0; i < m->nstates; i++) {
		struct model_state *s = &m->states[i];

		if (s->key[0].af == of->key[0].af && pf_ip_equal(source_of(s), source_of(of)) &&
		    (global || s->rule == of->rule))
			s->dead = true;
	}
}

bool model_connected(struct model *m, struct model_state *s)
{
	const struct pf_state_opts *o = tracks(s->rule) ? opts_of(s->rule) : NULL;

	if (!o)
		return true;
	s->connected = true;
	if (!o->max_src_conn || count_states(m, s, true) <= o->max_src_conn)
		return true;
	if (o->overload) {
		overload(m, s, o->overload);
		if (o->flush)
			flush(m, s, o->flush_global);
	}
	s->dead = true;
	return false;
}
