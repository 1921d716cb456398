// SPDX-License-Identifier: BSD-2-Clause
/* What is common to all emitters: numbers, interfaces, skip steps, rule information. */
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../grammar/names.h"
#include "compiler.h"
#include "linear.h"
#include "tree.h"

static_assert((int)PF_RULE_IN == (int)PF_IN && (int)PF_RULE_OUT == (int)PF_OUT, "directions");
static_assert((int)PF_FAMILY_INET == (int)PF_AF_INET && (int)PF_FAMILY_INET6 == (int)PF_AF_INET6,
	      "families");
static_assert((int)PF_TIMEOUT_TCP_FIRST == (int)PFTM_TCP_FIRST_PACKET &&
		      (int)PF_TIMEOUT_OTHER_MULTIPLE == (int)PFTM_OTHER_MULTIPLE &&
		      (int)PF_TIMEOUT_ADAPTIVE_END == (int)PFTM_ADAPTIVE_END &&
		      (int)PF_TIMEOUT_MAX == (int)PFTM_MAX,
	      "timeouts are numbered alike");

#define MAX_IFACES   (PF_IFMASK_WORDS * 32)
#define LINEAR_RULES 128

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
	free(c->tree.nodes);
	free(c->tree.entries);
	free(c->tree.rules);
	free(c->ifaces);
	free(c);
}

void pf_compiled_freep(struct pf_compiled **c)
{
	pf_compiled_free(*c);
	*c = NULL;
}

static bool has_iface(const struct pf_compiled *c, const char *name)
{
	for (size_t i = 0; i < c->nifaces; i++)
		if (strcmp(c->ifaces[i], name) == 0)
			return true;
	return false;
}

bool pf_iface_own_name(const char *name)
{
	return strcmp(name, PF_IF_ANY) != 0 && strcmp(name, "lo") != 0 && strcmp(name, "lo0") != 0;
}

static bool host_built(const struct pf_rule_host *h)
{
	return h->type == PF_HOST_ANY || h->type == PF_HOST_PREFIX || h->type == PF_HOST_TABLE;
}

/* What the language knows and this version does not enforce: nothing of it is let through. */
static int refuse_unbuilt(const struct pf_ruleset *rs, struct pf_compile_error *err)
{
	for (size_t kind = 0; kind < PF_LIST_FILTER; kind++) {
		if (!rs->main.list[kind].n)
			continue;
		err->line = rs->main.list[kind].v[0].line;
		snprintf(err->text, sizeof(err->text),
			 "the old dialect's rules are not enforced yet");
		return -EOPNOTSUPP;
	}
	for (size_t i = 0; i < pf_filter(rs)->n; i++) {
		const struct pf_rule *r = &pf_filter(rs)->v[i];

		if (r->proto == PF_PROTO_SCTP && (r->sport.op || r->dport.op))
			; /* its ports are not looked at */
		else if (r->action <= PF_RULE_ACTION_BLOCK && r->keep_state <= PF_STATE_KEEP &&
			 !r->x && host_built(&r->src) && host_built(&r->dst))
			continue;
		err->line = r->line;
		snprintf(err->text, sizeof(err->text), "this kind of rule is not enforced yet");
		return -EOPNOTSUPP;
	}
	return 0;
}

/* One bit for each interface that a rule names. */
static int collect_ifaces(const struct pf_ruleset *rs, struct pf_compiled *c,
			  struct pf_compile_error *err)
{
	c->ifaces = calloc(MAX_IFACES, sizeof(*c->ifaces));
	if (!c->ifaces)
		return -ENOMEM;
	for (size_t i = 0; i < pf_filter(rs)->n; i++) {
		const char *name = pf_filter(rs)->v[i].ifname;

		if (!name || has_iface(c, name))
			continue;
		if (c->nifaces == MAX_IFACES) {
			err->line = pf_filter(rs)->v[i].line;
			snprintf(err->text, sizeof(err->text),
				 "the rules name more than %d interfaces", MAX_IFACES);
			return -E2BIG;
		}
		snprintf(c->ifaces[c->nifaces++], sizeof(*c->ifaces), "%s", name);
	}
	return 0;
}

static uint32_t info_flags(const struct pf_rule *r)
{
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
	return flags;
}

static int fill_infos(const struct pf_ruleset *rs, const struct pf_compile_env *env,
		      struct pf_compiled *c)
{
	c->infos = calloc(pf_filter(rs)->n + 1, sizeof(*c->infos));
	if (!c->infos)
		return -ENOMEM;
	for (size_t i = 0; i < pf_filter(rs)->n; i++) {
		const struct pf_rule *r = &pf_filter(rs)->v[i];

		c->infos[i] = (struct pf_rule_info){
			.id = env->rule_ids[i],
			.nr = (uint32_t)i,
			.flags = info_flags(r),
			.return_ttl = r->return_ttl,
			.return_icmp = r->return_icmp,
			.return_icmp6 = r->return_icmp6,
		};
	}
	/* pass, without a state */
	c->infos[pf_filter(rs)->n] = (struct pf_rule_info){.id = PF_RULE_DEFAULT, .nr = UINT32_MAX};
	return 0;
}

/*
 * A is faster as long as a packet meets few rules: its cost grows with their number,
 * B's hardly (bench/run shows where they meet).
 */
static bool tree_is_faster(const struct pf_ruleset *rs)
{
	return pf_filter(rs)->n > LINEAR_RULES;
}

static int emit(const struct pf_ruleset *rs, const struct pf_compile_env *env,
		struct pf_compiled *c, struct pf_compile_error *err)
{
	int r = -E2BIG;

	if (env->emitter == PF_EMITTER_LINEAR)
		return pf_emit_linear(rs, env, c, err);
	if (env->emitter == PF_EMITTER_AUTO && !tree_is_faster(rs))
		r = pf_emit_linear(rs, env, c, err);
	/* few rules can still be more than A takes */
	return r == -E2BIG ? pf_emit_tree(rs, env, c, err) : r;
}

int pf_ruleset_compile(const struct pf_ruleset *rs, const struct pf_compile_env *env,
		       struct pf_compiled **out, struct pf_compile_error *err)
{
	pf_compiled_auto c = calloc(1, sizeof(*c));
	int r;

	memset(err, 0, sizeof(*err));
	r = refuse_unbuilt(rs, err);
	if (r)
		return r;
	if (!c)
		return -ENOMEM;
	c->nrules = pf_filter(rs)->n;
	c->skips = calloc(pf_filter(rs)->n + 1, sizeof(*c->skips));
	c->reachable = calloc(pf_filter(rs)->n + 1, sizeof(*c->reachable));
	if (!c->skips || !c->reachable)
		return -ENOMEM;
	pf_skips_compute(rs, c->skips);
	r = collect_ifaces(rs, c, err);
	if (!r)
		r = fill_infos(rs, env, c);
	if (!r)
		r = emit(rs, env, c, err);
	if (r)
		return r;
	*out = c;
	c = NULL;
	return 0;
}

size_t pf_compiled_nevals(const struct pf_compiled *c)
{
	return c->emitter == PF_EMITTER_TREE ? c->nrules + 1 : c->nedges + 1;
}

/*
 * All packets come to rule 0.  From a rule they go on to the next one, but for
 * those that an edge takes away; these come back where the edge ends.
 */
void pf_compiled_evaluations(const struct pf_compiled *c, const uint64_t *evals, uint64_t *out)
{
	uint64_t here = evals[0];

	if (c->emitter == PF_EMITTER_TREE) {
		memcpy(out, evals, c->nrules * sizeof(*out));
		return;
	}
	memset(out, 0, c->nrules * sizeof(*out));
	/* first what arrives at each rule, less what leaves the one before it */
	for (size_t i = 0; i < c->nedges; i++) {
		const struct pf_edge *e = &c->edges[i];

		if (e->from + 1 < c->nrules)
			out[e->from + 1] -= evals[i + 1];
		if (e->to < c->nrules)
			out[e->to] += evals[i + 1];
	}
	for (size_t i = 0; i < c->nrules; i++) {
		here += out[i];
		/* counters of other CPUs move while we read them */
		out[i] = (int64_t)here < 0 ? 0 : here;
	}
}
