// SPDX-License-Identifier: BSD-2-Clause
#include "patch.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "../grammar/check.h"
#include "keep.h"
#include "record.h"

/* --- may it be? --- */

static bool calls_anchors(const struct pf_block *b)
{
	const struct pf_rule_list *l = &b->list[PF_LIST_FILTER];

	for (size_t i = 0; i < l->n; i++)
		if (pf_rule_ext_of(&l->v[i])->anchor)
			return true;
	return false;
}

/* The rule's own spelling of the name; NULL if it does not name the table. */
static const char *names_table(const struct pf_rule *r, const char *name)
{
	const char *names[PF_TABLES_OF_RULE];
	size_t n = pf_tables_of_rule(r, names);

	for (size_t i = 0; i < n; i++)
		if (strcmp(names[i], name) == 0)
			return names[i];
	return NULL;
}

static bool knows(const struct pf_generation *gen, uint32_t set, const struct pf_rule *r)
{
	const char *names[PF_TABLES_OF_RULE];
	size_t n = pf_tables_of_rule(r, names);

	for (size_t i = 0; i < n; i++)
		if (pf_generation_slot(gen, set, names[i]) < 0)
			return false;
	return true;
}

/* Do they name the very tables that the set has named until now? */
static bool same_tables(const struct pf_generation *gen, uint32_t set, const struct pf_block *b)
{
	const struct pf_rule_list *l = &b->list[PF_LIST_FILTER];

	for (size_t i = 0; i < l->n; i++)
		if (!knows(gen, set, &l->v[i]))
			return false;
	for (size_t k = 0; k < gen->nuses; k++) {
		bool named = gen->uses[k].set != set;

		for (size_t i = 0; i < l->n && !named; i++)
			named = names_table(&l->v[i], gen->uses[k].name) != NULL;
		if (!named)
			return false;
	}
	return true;
}

static bool may_patch(const struct pf_generation *gen, const char *path,
		      const struct pf_ruleset *rs, uint32_t *set)
{
	const struct pf_block *old, *new = &rs->main;

	if (gen->code->emitter != PF_EMITTER_TREE)
		return false;
	*set = pf_policy_find(gen->policy, path);
	if (*set == PF_POLICY_NONE || *set == 0)
		return false;
	old = gen->policy->sets[*set].block;
	return !rs->nloads && !old->ntables && !new->ntables && !calls_anchors(old) &&
	       !calls_anchors(new) && same_tables(gen, *set, new);
}

/* --- rule ids --- */

/* Those of before, without the replaced ones; the new ones' of rules that go on. */
static int take_ids(struct pf_generations *g, const struct pf_generation *gen, struct pf_patch *p,
		    struct pf_error_text *e)
{
	const struct pf_policy_set *s = &p->policy->sets[p->set];
	bool keep = gen->rs->options.keep_counters;
	int err = 0;

	p->ids = calloc((size_t)p->policy->nrules + 1, sizeof(*p->ids));
	p->was_ids = calloc((size_t)p->nwas + 1, sizeof(*p->was_ids));
	p->kept = calloc((size_t)s->n + 1, sizeof(*p->kept));
	if (!p->ids || !p->was_ids || !p->kept)
		return pf_fail(e, -ENOMEM, "out of memory");
	memcpy(p->ids, gen->rule_ids, gen->policy->nrules * sizeof(*p->ids));
	memset(p->ids + p->was_first, 0, p->nwas * sizeof(*p->ids));
	memset(p->kept, 0xff, s->n * sizeof(*p->kept));
	if (keep)
		err = pf_keep_set(gen->policy, p->policy, p->set, p->kept);
	if (err)
		return pf_fail(e, err, "out of memory");
	for (uint32_t i = 0; i < s->n; i++)
		if (p->kept[i] != PF_POLICY_NONE)
			p->ids[s->first + i] = gen->rule_ids[p->kept[i]];
	err = pf_rulestats_take(&g->stats, p->ids + s->first, s->n, e);
	if (!err) {
		err = pf_meters_make(&g->meters, p->policy->rules + s->first, p->ids + s->first,
				     s->n, e);
		if (!err)
			err = pf_bindings_count(g, gen, p->policy, p->ids, s->first, s->n, e);
		if (err)
			pf_rulestats_release(&g->stats, p->ids + s->first, s->n);
	}
	if (err)
		memset(p->ids + s->first, 0, s->n * sizeof(*p->ids));
	return err;
}

/* --- counters --- */

static int grow(void **v, size_t size, uint32_t was, uint32_t n)
{
	uint8_t *more = reallocarray(*v, (size_t)n + 1, size);

	if (!more)
		return -ENOMEM;
	memset(more + was * size, 0, ((size_t)n + 1 - was) * size);
	*v = more;
	return 0;
}

static int grow_counters(struct pf_generation *gen, uint32_t n)
{
	uint32_t was = gen->policy->nrules;
	int err = grow((void **)&gen->base, sizeof(*gen->base), was, n);

	if (!err)
		err = grow((void **)&gen->base_evals, sizeof(*gen->base_evals), was, n);
	/* without any, the rules of before have none to bring along */
	if (!err && gen->kept_evals)
		err = grow((void **)&gen->kept_evals, sizeof(*gen->kept_evals), was, n);
	else if (!err)
		err = grow((void **)&gen->kept_evals, sizeof(*gen->kept_evals), 0, n);
	return err;
}

/* What rules that go on have counted; gen has the new policy. */
static void carry(struct pf_generations *g, struct pf_generation *gen, const struct pf_patch *p)
{
	const struct pf_policy_set *s = &gen->policy->sets[p->set];
	size_t n = (size_t)gen->policy->nrules + 1;
	uint64_t *evals = NULL;

	for (uint32_t i = 0; i < s->n; i++) {
		uint32_t was = p->kept[i], now = s->first + i;

		if (was == PF_POLICY_NONE)
			continue;
		if (!evals) {
			evals = calloc(n, sizeof(*evals));
			if (!evals ||
			    pf_program_evaluations(&gen->program, g->dp, gen->code, evals))
				break;
		}
		gen->kept_evals[now] = evals[was] + gen->kept_evals[was];
		gen->base[now] = gen->base[was];
		gen->base_evals[now] = gen->base_evals[was];
	}
	free(evals);
}

/* --- the whole --- */

static int compile(struct pf_generations *g, struct pf_generation *gen, struct pf_patch *p,
		   struct pf_error_text *e)
{
	struct pf_compile_ctx ctx = {.g = g, .gen = gen};
	const struct pf_compile_env env = pf_generation_env(&ctx, p->ids, PF_EMITTER_TREE);
	int err = pf_policy_append(p->policy, p->set, &env, gen->code, &p->code);

	return err == -ENOMEM ? pf_fail(e, err, "out of memory") : err;
}

/* What can fail; the patch's parts are freed by the caller. */
static int prepare(struct pf_generations *g, struct pf_generation *gen, struct pf_ruleset *rs,
		   struct pf_patch *p, struct pf_error_text *e)
{
	const struct pf_policy_set *was = &gen->policy->sets[p->set];
	int err;

	p->was_first = was->first;
	p->nwas = was->n;
	err = pf_policy_replace(gen->policy, p->set, &rs->main, &p->policy);
	if (err)
		return pf_fail(e, err, "out of memory");
	err = take_ids(g, gen, p, e);
	if (!err)
		err = compile(g, gen, p, e);
	return err;
}

/* A packet that has met what another patch has replaced must not meet what this one brings. */
static int wait_for_others(struct pf_generations *g, const struct pf_generation *gen,
			   const char *path)
{
	if (!gen->npatches || strcmp(gen->patches[gen->npatches - 1].path, path) == 0)
		return 0;
	return pf_rulestats_wait(&g->stats);
}

/* rs is the anchors' from here on, whatever happens. */
static int put(struct pf_generations *g, struct pf_generation *gen, struct pf_ruleset *rs,
	       struct pf_patch *p, struct pf_error_text *e)
{
	void *lead = NULL;
	int err = pf_anchors_load(&gen->anchors, p->path, rs, &p->anchors);

	if (!err)
		err = grow_counters(gen, p->policy->nrules);
	if (!err)
		err = pf_id_index_make(p->policy, p->ids, &p->index);
	if (err)
		return pf_fail(e, err, "out of memory");
	err = wait_for_others(g, gen, p->path);
	if (!err)
		err = pf_program_append(&gen->program, gen->code, &p->code, &lead);
	if (err)
		return pf_fail(e, err, "cannot write the rules: %s", strerror(-err));
	err = pf_record_patch(g, gen, p->path, rs, p->ids + p->policy->sets[p->set].first, e);
	/* a pfd that takes over now finds the new rules; so do packets */
	pf_program_lead(lead, &p->code, !err);
	return err;
}

/* Names of tables stand in the rules: those of the set are the new rules' from now on. */
static void rename_uses(struct pf_generation *gen, uint32_t set)
{
	const struct pf_rule_list *l = &gen->policy->sets[set].block->list[PF_LIST_FILTER];

	for (size_t k = 0; k < gen->nuses; k++) {
		struct pf_table_use *use = &gen->uses[k];

		if (use->set != set)
			continue;
		for (size_t i = 0; i < l->n; i++) {
			const char *name = names_table(&l->v[i], use->name);

			if (name)
				use->name = name;
		}
	}
}

/* What was becomes the patch's. */
static void swap(struct pf_generation *gen, struct pf_patch *p)
{
	struct pf_policy *policy = gen->policy;
	struct pf_anchors anchors = gen->anchors;
	struct pf_id_index index = gen->index;
	uint32_t *ids = gen->rule_ids;

	memcpy(p->was_ids, ids + p->was_first, p->nwas * sizeof(*ids));
	gen->policy = p->policy;
	gen->anchors = p->anchors;
	gen->rule_ids = p->ids;
	gen->index = p->index;
	p->policy = policy;
	p->anchors = anchors;
	p->ids = ids;
	p->index = index;
	rename_uses(gen, p->set);
}

static void free_parts(struct pf_patch *p)
{
	pf_policy_free(p->policy);
	pf_anchors_free(&p->anchors);
	free(p->ids);
	free(p->index.rules);
	free(p->was_ids);
	free(p->kept);
	*p = (struct pf_patch){.path = NULL};
}

/* As if nothing had been. */
static void undo(struct pf_generations *g, struct pf_patch *p)
{
	if (p->policy && p->ids)
		pf_rulestats_release(&g->stats, p->ids + p->policy->sets[p->set].first,
				     p->policy->sets[p->set].n);
	free_parts(p);
}

int pf_generation_patch(struct pf_generations *g, struct pf_generation *gen, const char *path,
			struct pf_ruleset *rs, struct pf_patch *out, struct pf_error_text *e)
{
	struct pf_patch p = {.path = path};
	int err;

	if (!may_patch(gen, path, rs, &p.set))
		return -EOPNOTSUPP;
	err = prepare(g, gen, rs, &p, e);
	if (err) {
		undo(g, &p);
		if (err != -EOPNOTSUPP)
			pf_ruleset_free(rs);
		return err;
	}
	err = put(g, gen, rs, &p, e);
	if (err) {
		pf_compiled_undo(gen->code, &p.code);
		undo(g, &p);
		return err == -EOPNOTSUPP ? -EIO : err; /* rs is gone */
	}
	swap(gen, &p);
	carry(g, gen, &p);
	*out = p;
	return 0;
}

bool pf_patch_had(const struct pf_patch *p, uint32_t id)
{
	for (uint32_t i = 0; i < p->nwas; i++)
		if (p->was_ids[i] == id)
			return true;
	return false;
}

void pf_patch_free(struct pf_generations *g, struct pf_patch *p)
{
	pf_labels_keep(&g->labels, &g->stats, p->was_ids, p->policy->rules + p->was_first, p->nwas);
	pf_rulestats_release(&g->stats, p->was_ids, p->nwas);
	free_parts(p);
}
