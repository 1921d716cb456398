// SPDX-License-Identifier: BSD-2-Clause
/* What is common to all emitters: numbers, interfaces, skip steps, rule information. */
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../grammar/check.h"
#include "../grammar/ifdb.h"
#include "../grammar/names.h"
#include "compiler.h"
#include "cost.h"
#include "linear.h"
#include "nats.h"
#include "tree.h"

static_assert((int)PF_RULE_IN == (int)PF_IN && (int)PF_RULE_OUT == (int)PF_OUT, "directions");
static_assert((int)PF_FAMILY_INET == (int)PF_AF_INET && (int)PF_FAMILY_INET6 == (int)PF_AF_INET6,
	      "families");
static_assert((int)PF_TIMEOUT_TCP_FIRST == (int)PFTM_TCP_FIRST_PACKET &&
		      (int)PF_TIMEOUT_OTHER_MULTIPLE == (int)PFTM_OTHER_MULTIPLE &&
		      (int)PF_TIMEOUT_ADAPTIVE_END == (int)PFTM_ADAPTIVE_END &&
		      (int)PF_TIMEOUT_SCTP_CLOSED == (int)PFTM_SCTP_CLOSED &&
		      (int)PF_TIMEOUT_MAX == (int)PFTM_MAX,
	      "timeouts are numbered alike");

#define MAX_IFACES   (PF_IFMASK_WORDS * 32)
#define LINEAR_RULES 32 /* so few are faster as a program, whatever they say */

const char *const pf_emitter_names[PF_EMITTER_MAX] = {
	[PF_EMITTER_AUTO] = "auto",
	[PF_EMITTER_LINEAR] = "linear",
	[PF_EMITTER_TREE] = "tree",
};

void pf_compiled_free(struct pf_compiled *c)
{
	if (!c)
		return;
	free(c->insns);
	free(c->relocs);
	free(c->infos);
	free(c->skips);
	free(c->reachable);
	free(c->edges);
	free(c->step_rules);
	free(c->tree.sets);
	free(c->tree.calls);
	free(c->tree.callees);
	free(c->tree.nodes);
	free(c->tree.entries);
	free(c->tree.rules);
	free(c->ifaces);
	free(c->iface_own);
	free(c->nats);
	free(c->nat_rules);
	free(c);
}

void pf_compiled_freep(struct pf_compiled **c)
{
	pf_compiled_free(*c);
	*c = NULL;
}

int pf_iface_bit(const struct pf_compiled *c, const char *name)
{
	for (size_t i = 0; i < c->nifaces; i++)
		if (strcmp(c->ifaces[i], name) == 0)
			return (int)i;
	return -ENOENT;
}

uint32_t pf_limits_of(const struct pf_rule *r)
{
	const struct pf_rule_ext *x = pf_rule_ext_of(r);
	uint32_t limits = x->state_limiter.id | (uint32_t)x->source_limiter.id << 8;

	if (x->state_limiter.id && x->state_limiter.action == PF_LIMITER_BLOCK)
		limits |= PF_LIMITS_BLOCK_STATE;
	if (x->source_limiter.id && x->source_limiter.action == PF_LIMITER_BLOCK)
		limits |= PF_LIMITS_BLOCK_SOURCE;
	return limits;
}

/* The others are a group's with one of the names in it, or stand for what has another name. */
static bool is_own_name(const struct pf_compiled *c, const char *name)
{
	static const char *const shared[] = {PF_IF_ANY, PF_GROUP_EGRESS, PF_GROUP_ALL, "lo", "lo0"};

	for (size_t i = 0; i < sizeof(shared) / sizeof(shared[0]); i++)
		if (strcmp(name, shared[i]) == 0)
			return false;
	for (size_t i = 0; i < c->nifaces; i++)
		if (pf_if_in_group(c->ifaces[i], name))
			return false;
	return true;
}

static bool host_built(const struct pf_rule_host *h)
{
	return h->type <= PF_HOST_RANGE;
}

static bool rule_built(const struct pf_rule *r)
{
	return r->action <= PF_RULE_ACTION_MATCH && r->keep_state <= PF_STATE_KEEP &&
	       pf_rule_ext_enforced(r) && host_built(&r->src) && host_built(&r->dst);
}

/* What the language knows and this version does not enforce: nothing of it is let through. */
static int refuse_unbuilt(const struct pf_policy *p, struct pf_compile_error *err)
{
	for (size_t s = 0; s < p->nsets; s++) {
		for (size_t kind = 0; kind < PF_LIST_FILTER; kind++) {
			if (!p->sets[s].block->list[kind].n)
				continue;
			err->line = p->sets[s].block->list[kind].v[0].line;
			snprintf(err->text, sizeof(err->text),
				 "the old dialect's rules are not enforced yet");
			return -EOPNOTSUPP;
		}
	}
	for (uint32_t i = 0; i < p->nrules; i++) {
		if (rule_built(p->rules[i]))
			continue;
		err->line = p->rules[i]->line;
		snprintf(err->text, sizeof(err->text), "this kind of rule is not enforced yet");
		return -EOPNOTSUPP;
	}
	return 0;
}

static int add_iface(struct pf_compiled *c, const char *name, uint32_t line,
		     struct pf_compile_error *err)
{
	if (!name || pf_iface_bit(c, name) >= 0)
		return 0;
	if (c->nifaces == MAX_IFACES) {
		err->line = line;
		snprintf(err->text, sizeof(err->text), "the rules name more than %d interfaces",
			 MAX_IFACES);
		return -E2BIG;
	}
	snprintf(c->ifaces[c->nifaces++], sizeof(*c->ifaces), "%s", name);
	return 0;
}

/* One bit for each interface that a rule names; and what else the packet must bring. */
static int collect_needs(const struct pf_policy *p, struct pf_compiled *c,
			 struct pf_compile_error *err)
{
	int r = 0;

	c->ifaces = calloc(MAX_IFACES, sizeof(*c->ifaces));
	c->iface_own = calloc(MAX_IFACES, sizeof(*c->iface_own));
	if (!c->ifaces || !c->iface_own)
		return -ENOMEM;
	for (uint32_t i = 0; i < p->nrules && !r; i++) {
		const struct pf_rule_ext *x = pf_rule_ext_of(p->rules[i]);

		r = add_iface(c, p->rules[i]->ifname, p->rules[i]->line, err);
		if (!r)
			r = add_iface(c, x->received_on, p->rules[i]->line, err);
		c->random |= x->prob != 0;
		c->received |= x->received_on != NULL;
		c->metered |= pf_rule_metered(p->rules[i]);
	}
	for (size_t i = 0; i < c->nifaces; i++)
		c->iface_own[i] = is_own_name(c, c->ifaces[i]);
	return r;
}

static uint32_t info_flags(const struct pf_rule *r)
{
	const struct pf_state_opts *o = pf_rule_ext_of(r)->state;
	uint32_t flags = 0;

	if (r->action == PF_RULE_ACTION_BLOCK) {
		flags |= PF_RULE_BLOCK;
		if (r->block_kind == PF_BLOCK_RETURN)
			flags |= PF_RULE_RETURN;
		else if (r->block_kind == PF_BLOCK_RETURN_RST)
			flags |= PF_RULE_RETURN_RST;
		else if (r->block_kind == PF_BLOCK_RETURN_ICMP)
			flags |= PF_RULE_RETURN_ICMP;
	}
	if (r->log)
		flags |= PF_RULE_LOG;
	if (r->keep_state)
		flags |= PF_RULE_KEEP;
	if (r->allow_opts)
		flags |= PF_RULE_ALLOWOPTS;
	if (r->keep_state && o && o->sloppy)
		flags |= PF_RULE_SLOPPY;
	if (r->keep_state && o && o->if_bound)
		flags |= PF_RULE_IFBOUND;
	if (r->keep_state && pf_rule_ext_of(r)->max_pkt_rate.limit)
		flags |= PF_RULE_METERED;
	if (pf_rule_ext_of(r)->route_kind == PF_ROUTE_TO)
		flags |= PF_RULE_ROUTE_TO;
	if (pf_rule_ext_of(r)->route_kind == PF_REPLY_TO)
		flags |= PF_RULE_REPLY_TO;
	return flags;
}

/* Of a rule's limits, timeouts and gateway; 0: it has none. */
static int opts_number(const struct pf_policy *p, const struct pf_compile_env *env, uint32_t rule)
{
	const struct pf_rule *r = p->rules[rule];
	const struct pf_rule_ext *x = pf_rule_ext_of(r);

	return r->keep_state && (x->state || x->route || pf_limits_of(r))
		       ? env->opts_number(env->ctx, p->set_of[rule], env->rule_ids[rule], r)
		       : 0;
}

/* The numbers of all that have some are given out. */
static int number_opts(const struct pf_policy *p, const struct pf_compile_env *env,
		       struct pf_compile_error *err)
{
	for (uint32_t i = 0; i < p->nrules; i++) {
		int nr = opts_number(p, env, i);

		if (nr >= 0)
			continue;
		err->line = p->rules[i]->line;
		if (nr == -ENOSPC)
			snprintf(err->text, sizeof(err->text),
				 "no room for more rules with state options");
		else
			snprintf(err->text, sizeof(err->text), "state options: %s", strerror(-nr));
		return nr;
	}
	return 0;
}

struct pf_rule_info pf_rule_info_of(const struct pf_policy *p, const struct pf_compile_env *env,
				    const struct pf_compiled *c, uint32_t rule)
{
	const struct pf_rule *r = p->rules[rule];

	return (struct pf_rule_info){
		.id = env->rule_ids[rule],
		.nr = rule - p->sets[p->set_of[rule]].first,
		.flags = info_flags(r),
		.return_ttl = r->return_ttl,
		/* it has been given out before: no failure */
		.opts = (uint16_t)opts_number(p, env, rule),
		.return_icmp = r->return_icmp,
		.return_icmp6 = r->return_icmp6,
		.nat = pf_nat_of(c, rule),
		.anchor_nr = UINT32_MAX,
	};
}

int pf_compile_tag(const struct pf_compile_env *env, const char *name, const struct pf_rule *r,
		   struct pf_compile_error *err)
{
	int id = env->tag_id(env->ctx, name);

	if (id < 0) {
		err->line = r->line;
		snprintf(err->text, sizeof(err->text), "no room for tag \"%s\": at most %d fit",
			 name, PF_MAX_TAGS);
	}
	return id;
}

int pf_infos_new(struct pf_compiled *c, size_t n)
{
	c->infos = calloc(n + PF_INFOS_EXTRA, sizeof(*c->infos));
	if (!c->infos)
		return -ENOMEM;
	c->ninfos = n + PF_INFOS_EXTRA;
	/* pass, without a state */
	c->infos[n] = (struct pf_rule_info){
		.id = PF_RULE_DEFAULT, .nr = UINT32_MAX, .anchor_nr = UINT32_MAX};
	c->infos[n + 1] = (struct pf_rule_info){.id = PF_RULE_DEFAULT,
						.nr = UINT32_MAX,
						.anchor_nr = UINT32_MAX,
						.flags = PF_RULE_BLOCK | PF_RULE_FAIL};
	return 0;
}

static int compile_by(const struct pf_policy *p, const struct pf_compile_env *env,
		      enum pf_emitter emitter, struct pf_compiled **out,
		      struct pf_compile_error *err)
{
	pf_compiled_auto c = calloc(1, sizeof(*c));
	int r;

	if (!c)
		return -ENOMEM;
	c->nrules = p->nrules;
	c->skips = calloc(c->nrules + 1, sizeof(*c->skips));
	c->reachable = calloc(c->nrules + 1, sizeof(*c->reachable));
	if (!c->skips || !c->reachable)
		return -ENOMEM;
	for (size_t s = 0; s < p->nsets; s++)
		pf_skips_compute(&p->sets[s].block->list[PF_LIST_FILTER],
				 c->skips + p->sets[s].first);
	r = collect_needs(p, c, err);
	if (!r)
		r = pf_nats_make(p, c);
	if (!r)
		r = emitter == PF_EMITTER_LINEAR ? pf_emit_linear(p, env, c, err)
						 : pf_emit_tree(p, env, c, err);
	if (r)
		return r;
	*out = c;
	c = NULL;
	return 0;
}

/* Whichever is cheaper for packets like those that the rules speak of. */
static int compile_cheaper(const struct pf_policy *p, const struct pf_compile_env *env,
			   struct pf_compiled **out, struct pf_compile_error *err)
{
	pf_compiled_auto linear = NULL;
	pf_compiled_auto tree = NULL;
	struct pf_costs costs = {0};
	int r = compile_by(p, env, PF_EMITTER_LINEAR, &linear, err);

	/* few rules can still be more than A takes */
	if (r == -E2BIG)
		return compile_by(p, env, PF_EMITTER_TREE, out, err);
	if (!r && p->nrules > LINEAR_RULES)
		r = compile_by(p, env, PF_EMITTER_TREE, &tree, err);
	if (!r && tree)
		r = pf_costs_of(p, tree, &costs);
	if (r)
		return r;
	if (tree && costs.tree < costs.linear) {
		*out = tree;
		tree = NULL;
	} else {
		*out = linear;
		linear = NULL;
	}
	if (p->nrules > LINEAR_RULES) {
		(*out)->linear_ns = costs.linear;
		(*out)->tree_ns = costs.tree;
	}
	return 0;
}

int pf_policy_compile(const struct pf_policy *p, const struct pf_compile_env *env,
		      struct pf_compiled **out, struct pf_compile_error *err)
{
	int r;

	memset(err, 0, sizeof(*err));
	r = refuse_unbuilt(p, err);
	if (!r)
		r = number_opts(p, env, err);
	if (r)
		return r;
	if (env->emitter == PF_EMITTER_AUTO)
		return compile_cheaper(p, env, out, err);
	return compile_by(p, env, env->emitter, out, err);
}

/* --- one set anew --- */

/* Is all that the rules ask for there? */
static bool may_append(const struct pf_policy *p, uint32_t set, const struct pf_compiled *c)
{
	const struct pf_policy_set *s = &p->sets[set];

	for (size_t kind = 0; kind < PF_LIST_FILTER; kind++)
		if (s->block->list[kind].n)
			return false;
	for (uint32_t i = s->first; i < s->first + s->n; i++) {
		const struct pf_rule *r = p->rules[i];
		const struct pf_rule_ext *x = pf_rule_ext_of(r);

		if (!rule_built(r) || x->anchor || (x->prob && !c->random) ||
		    !pf_nats_may_append(r, c) || (x->received_on && !c->received) ||
		    (pf_rule_metered(r) && !c->metered) ||
		    (r->ifname && pf_iface_bit(c, r->ifname) < 0) ||
		    (x->received_on && pf_iface_bit(c, x->received_on) < 0))
			return false;
	}
	return true;
}

static int grow_rules(struct pf_compiled *c, uint32_t n)
{
	struct pf_skips *skips = reallocarray(c->skips, (size_t)n + 1, sizeof(*skips));
	bool *reachable;

	if (!skips)
		return -ENOMEM;
	c->skips = skips;
	reachable = reallocarray(c->reachable, (size_t)n + 1, sizeof(*reachable));
	if (!reachable)
		return -ENOMEM;
	c->reachable = reachable;
	return 0;
}

int pf_policy_append(const struct pf_policy *p, uint32_t set, const struct pf_compile_env *env,
		     struct pf_compiled *c, struct pf_compiled_patch *out)
{
	struct pf_tree *t = &c->tree;
	struct pf_compiled_patch patch = {.policy_set = set};
	struct pf_compile_error why;
	int err;

	if (c->emitter != PF_EMITTER_TREE || !may_append(p, set, c) ||
	    !pf_policy_once(p, set, &patch.callee))
		return -EOPNOTSUPP;
	patch.from = (struct pf_tree_counts){.rules = (uint32_t)c->nrules,
					     .nats = (uint32_t)c->nnats,
					     .nodes = (uint32_t)t->nnodes,
					     .entries = (uint32_t)t->nentries,
					     .sets = (uint32_t)t->nsets};
	patch.was = t->sets[set];
	err = number_opts(p, env, &why) ? -EOPNOTSUPP : grow_rules(c, p->nrules);
	if (!err)
		err = pf_nats_append(p, patch.from.rules, c);
	if (!err)
		err = pf_tree_append(p, set, env, c, &patch, &why);
	if (err) {
		pf_compiled_undo(c, &patch);
		return err == -ENOMEM ? err : -EOPNOTSUPP;
	}
	pf_skips_compute(&p->sets[set].block->list[PF_LIST_FILTER], c->skips + p->sets[set].first);
	c->nrules = p->nrules;
	t->sets[set] = patch.set;
	t->nsets++;
	*out = patch;
	return 0;
}

void pf_compiled_undo(struct pf_compiled *c, const struct pf_compiled_patch *patch)
{
	c->nrules = patch->from.rules;
	c->nnats = patch->from.nats;
	c->tree.nnodes = patch->from.nodes;
	c->tree.nentries = patch->from.entries;
	c->tree.nsets = patch->from.sets;
	c->tree.sets[patch->policy_set] = patch->was;
}

int pf_ruleset_compile(const struct pf_ruleset *rs, const struct pf_compile_env *env,
		       struct pf_compiled **out, struct pf_compile_error *err)
{
	pf_policy_auto p = NULL;
	int r;

	memset(err, 0, sizeof(*err));
	r = pf_policy_of(rs, &p);
	return r ? r : pf_policy_compile(p, env, out, err);
}

size_t pf_compiled_nevals(const struct pf_compiled *c)
{
	return c->emitter == PF_EMITTER_TREE ? c->tree.most.rules + 1 : c->nedges + 1;
}

/*
 * All packets come to step 0.  From a step they go on to the next one, but for
 * those that an edge takes away; these come back where the edge ends.
 */
static void step_evaluations(const struct pf_compiled *c, const uint64_t *evals, uint64_t *steps)
{
	uint64_t here = evals[0];

	/* first what arrives at each step, less what leaves the one before it */
	for (size_t i = 0; i < c->nedges; i++) {
		const struct pf_edge *e = &c->edges[i];

		if (e->from + 1 < c->nsteps)
			steps[e->from + 1] -= evals[i + 1];
		if (e->to < c->nsteps)
			steps[e->to] += evals[i + 1];
	}
	for (size_t i = 0; i < c->nsteps; i++) {
		here += steps[i];
		/* counters of other CPUs move while we read them */
		steps[i] = (int64_t)here < 0 ? 0 : here;
	}
}

int pf_compiled_evaluations(const struct pf_compiled *c, const uint64_t *evals, uint64_t *out)
{
	uint64_t *steps;

	if (c->emitter == PF_EMITTER_TREE) {
		memcpy(out, evals, c->nrules * sizeof(*out));
		return 0;
	}
	steps = calloc(c->nsteps + 1, sizeof(*steps));
	if (!steps)
		return -ENOMEM;
	step_evaluations(c, evals, steps);
	memset(out, 0, c->nrules * sizeof(*out));
	/* a rule of an anchor that is called twice has two steps */
	for (size_t i = 0; i < c->nsteps; i++)
		if (c->step_rules[i] != PF_POLICY_NONE)
			out[c->step_rules[i]] += steps[i];
	free(steps);
	return 0;
}
