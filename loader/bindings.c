// SPDX-License-Identifier: BSD-2-Clause
#include "bindings.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "btf.h"
#include "generation.h"
#include "tablecounts.h"

/* In "PINDIR/gen/ID/tables", beside the flags of abi.h. */
#define BOUND_INACTIVE 0x100

/* --- by name and path --- */

/* The main ruleset's comes in front of the anchors' of the same name. */
static int compare(const struct pf_table *t, const char *path, const char *name)
{
	int order = strcmp(t->name, name);

	return order ? order : strcmp(t->path, path);
}

/* The first that is not before it. */
static size_t lower_bound(const struct pf_generation *gen, const char *path, const char *name)
{
	size_t lo = 0, hi = gen->nbindings;

	while (lo < hi) {
		size_t mid = (lo + hi) / 2;

		if (compare(gen->bindings[mid].table, path, name) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

struct pf_binding *pf_generation_table(const struct pf_generation *gen, const char *path,
				       const char *name)
{
	size_t at = gen ? lower_bound(gen, path, name) : 0;

	if (!gen || at == gen->nbindings || compare(gen->bindings[at].table, path, name) != 0)
		return NULL;
	return &gen->bindings[at];
}

/* Has any anchor a table of that name? */
static bool in_anchors(const struct pf_generation *gen, const char *name)
{
	size_t at = lower_bound(gen, "", name);

	at += at < gen->nbindings && compare(gen->bindings[at].table, "", name) == 0;
	return at < gen->nbindings && strcmp(gen->bindings[at].table->name, name) == 0;
}

bool pf_generation_anchored(const struct pf_generation *gen, const struct pf_binding *b)
{
	return !*b->table->path && (b->anchored || in_anchors(gen, b->table->name));
}

/* Takes over the caller's reference. */
static struct pf_binding *add_binding(struct pf_generation *gen, struct pf_table *table)
{
	size_t at = lower_bound(gen, table->path, table->name);
	struct pf_binding *b = reallocarray(gen->bindings, gen->nbindings + 1, sizeof(*b));

	if (!b)
		return NULL;
	gen->bindings = b;
	b += at;
	memmove(b + 1, b, (gen->nbindings++ - at) * sizeof(*b));
	*b = (struct pf_binding){.table = table, .active = true};
	return b;
}

/* What "PINDIR/gen/ID/tables" says of the slot. */
static int record(const struct pf_generation *gen, const struct pf_binding *b, bool there)
{
	uint32_t flags = 0;

	if (gen->bound < 0)
		return 0;
	if (there)
		flags = PF_TABLE_USED | (b->persist ? PF_TABLE_PERSIST : 0) |
			(b->constant ? PF_TABLE_CONST : 0) | (b->counters ? PF_TABLE_COUNTERS : 0) |
			(b->active ? 0 : BOUND_INACTIVE);
	return bpf_map_update_elem(gen->bound, &b->table->slot, &flags, BPF_ANY);
}

static void remove_binding(struct pf_generation *gen, struct pf_binding *b)
{
	size_t behind = (size_t)(gen->bindings + gen->nbindings - (b + 1));

	memmove(b, b + 1, behind * sizeof(*b));
	gen->nbindings--;
}

int pf_generation_bind(struct pf_generation *gen, struct pf_table *table, bool kept)
{
	struct pf_binding *b = add_binding(gen, table);
	int err;

	if (!b)
		return -ENOMEM;
	b->persist = true;
	err = kept ? record(gen, b, true) : 0;
	if (err)
		remove_binding(gen, b);
	return err;
}

void pf_generation_unbind(struct pf_generations *g, struct pf_generation *gen, struct pf_binding *b)
{
	struct pf_table *table = b->table;

	record(gen, b, false);
	remove_binding(gen, b);
	pf_table_unref(g->tables, table);
}

void pf_generation_activate(const struct pf_generation *gen, struct pf_binding *b, bool on)
{
	b->active = b->persist = on;
	b->constant = b->counters = false;
	record(gen, b, true);
}

/* --- what rules name --- */

static int compare_uses(const void *a, const void *b)
{
	const struct pf_table_use *x = a, *y = b;
	int order = strcmp(x->name, y->name);

	return order ? order : (x->set > y->set) - (x->set < y->set);
}

size_t pf_tables_of_rule(const struct pf_rule *r, const char *names[PF_TABLES_OF_RULE])
{
	const struct pf_state_opts *o = pf_rule_ext_of(r)->state;
	size_t n = 0;

	if (r->src.type == PF_HOST_TABLE)
		names[n++] = r->src.table;
	if (r->dst.type == PF_HOST_TABLE)
		names[n++] = r->dst.table;
	if (o && o->overload)
		names[n++] = o->overload;
	return n;
}

static int collect_uses(struct pf_generation *gen)
{
	const struct pf_policy *p = gen->policy;
	const char *names[PF_TABLES_OF_RULE];
	struct pf_table_use *less;
	size_t n = 0, all;

	for (uint32_t i = 0; i < p->nrules; i++)
		n += pf_tables_of_rule(p->rules[i], names);
	n += gen->rs->nlimiters;
	gen->uses = calloc(n + 1, sizeof(*gen->uses));
	if (!gen->uses)
		return -ENOMEM;
	for (uint32_t i = 0; i < p->nrules; i++) {
		n = pf_tables_of_rule(p->rules[i], names);
		for (size_t k = 0; k < n; k++)
			gen->uses[gen->nuses++] = (struct pf_table_use){.name = names[k],
									.set = p->set_of[i]};
	}
	for (size_t i = 0; i < gen->rs->nlimiters; i++)
		if (gen->rs->limiters[i].table)
			gen->uses[gen->nuses++] =
				(struct pf_table_use){.name = gen->rs->limiters[i].table};
	qsort(gen->uses, gen->nuses, sizeof(*gen->uses), compare_uses);
	all = gen->nuses;
	gen->nuses = 0;
	for (size_t i = 0; i < all; i++)
		if (!gen->nuses || compare_uses(&gen->uses[gen->nuses - 1], &gen->uses[i]) != 0)
			gen->uses[gen->nuses++] = gen->uses[i];
	less = reallocarray(gen->uses, gen->nuses + 1, sizeof(*less));
	if (less)
		gen->uses = less;
	return 0;
}

static size_t first_use(const struct pf_generation *gen, const char *name, uint32_t set)
{
	const struct pf_table_use key = {.name = name, .set = set};
	size_t lo = 0, hi = gen->nuses;

	while (lo < hi) {
		size_t mid = (lo + hi) / 2;

		if (compare_uses(&gen->uses[mid], &key) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

static const struct pf_table_use *find_use(const struct pf_generation *gen, const char *name,
					   uint32_t set)
{
	size_t at = first_use(gen, name, set);

	if (at == gen->nuses || gen->uses[at].set != set || strcmp(gen->uses[at].name, name) != 0)
		return NULL;
	return &gen->uses[at];
}

int pf_generation_slot(const struct pf_generation *gen, uint32_t set, const char *name)
{
	const struct pf_table_use *use = find_use(gen, name, set);

	return use ? (int)use->slot : -ENOENT;
}

bool pf_generation_names(const struct pf_generation *gen, const char *path, const char *name)
{
	uint32_t set = pf_policy_find(gen->policy, path);

	return set != PF_POLICY_NONE && find_use(gen, name, set);
}

/* Do rules of anchors name such a table?  The main set is the first. */
static bool named_in_anchors(const struct pf_generation *gen, const char *name)
{
	size_t at = first_use(gen, name, 1);

	return at < gen->nuses && strcmp(gen->uses[at].name, name) == 0;
}

static const char *path_of(const struct pf_generation *gen, const struct pf_table_use *use)
{
	return gen->policy->sets[use->set].path;
}

/* Each use gets its table; all of them are there. */
static void resolve(struct pf_generation *gen)
{
	for (size_t i = 0; i < gen->nuses; i++) {
		struct pf_table_use *use = &gen->uses[i];
		struct pf_binding *b = pf_generation_table(gen, path_of(gen, use), use->name);

		if (b) {
			b->referenced = true;
		} else {
			b = pf_generation_table(gen, "", use->name);
			b->anchored = true;
		}
		use->slot = b->table->slot;
	}
}

/* --- making --- */

struct binder {
	struct pf_generations *g;
	struct pf_generation *gen;
	const struct pf_generation *old;
	struct pf_error_text *e;
};

static struct pf_binding *was(const struct binder *b, const char *path, const char *name)
{
	struct pf_binding *old = pf_generation_table(b->old, path, name);

	return old && !old->leaves ? old : NULL;
}

static int count_table(const struct binder *b, struct pf_table *table,
		       const struct pf_table *before)
{
	int err = pf_counts_open(b->g->tables, table, before);

	if (err == -EDQUOT)
		return pf_counts_full(table, b->e);
	return err ? pf_fail(b->e, err, "counters of table " PF_TABLE_CALLED ": %s",
			     pf_table_called(table->path, table->name), strerror(-err))
		   : 0;
}

/* NULL if there is none; *err why. */
static struct pf_table *new_table(const struct binder *b, const char *path, const char *name,
				  const struct pf_table_def *def, int *err)
{
	const struct pf_binding *old = was(b, path, name);
	struct pf_tables *t = b->g->tables;
	struct pf_table *table = NULL;

	if (t->ntables >= t->limit_tables)
		*err = pf_fail(b->e, -ENOSPC,
			       "table " PF_TABLE_CALLED
			       " would be more than the limit of %u tables "
			       "(set limit tables)",
			       pf_table_called(path, name), t->limit_tables);
	else
		*err = pf_table_new(t, path, name, &table, b->e);
	if (*err || !table)
		return NULL;
	if (def && def->counters)
		*err = count_table(b, table, old && old->counters ? old->table : NULL);
	if (!*err && def)
		*err = pf_table_fill(t, table, old ? old->table : NULL, def->entries, def->nentries,
				     b->e);
	if (!*err)
		return table;
	pf_table_unref(t, table);
	return NULL;
}

/* The old generation's table, or a new one; def may be NULL. */
static int bind_table(const struct binder *b, const char *path, const char *name,
		      const struct pf_table_def *def)
{
	const struct pf_binding *old = was(b, path, name);
	struct pf_table *table;
	struct pf_binding *now;
	int err = 0;

	if (old && !(def && def->has_list)) {
		table = old->table;
		table->refs++;
		if (def && def->counters)
			err = count_table(b, table, NULL);
	} else {
		table = new_table(b, path, name, def, &err);
	}
	if (table && err)
		pf_table_unref(b->g->tables, table);
	if (!table || err)
		return err;
	now = add_binding(b->gen, table);
	if (!now) {
		pf_table_unref(b->g->tables, table);
		return pf_fail(b->e, -ENOMEM, "out of memory");
	}
	now->persist = def ? def->persist : old && old->persist;
	now->constant = def ? def->constant : old && old->constant;
	now->counters = def ? def->counters : old && old->counters;
	/* one that rules name and nobody has defined or filled is there for them alone */
	now->active = def || (old && old->active);
	return 0;
}

/* Of a ruleset that has just come: those that are not named, nor persistent, are not kept. */
static int bind_defined(const struct binder *b, const struct pf_anchor_rules *a)
{
	uint32_t set = pf_policy_find(b->gen->policy, a->path);
	int err = 0;

	for (size_t i = 0; a->fresh && i < a->block->ntables && !err; i++) {
		const struct pf_table_def *def = &a->block->tables[i];

		if (def->persist || find_use(b->gen, def->name, set) ||
		    (!*a->path &&
		     (named_in_anchors(b->gen, def->name) || in_anchors(b->gen, def->name))))
			err = bind_table(b, a->path, def->name, def);
	}
	return err;
}

/* Those of anchors that are left over from before. */
static int keep_in_anchors(const struct binder *b)
{
	const struct pf_generation *old = b->old;
	int err = 0;

	for (size_t i = 0; old && i < old->nbindings && !err; i++) {
		const struct pf_table *t = old->bindings[i].table;

		if (!*t->path || old->bindings[i].leaves ||
		    pf_generation_table(b->gen, t->path, t->name))
			continue;
		if (old->bindings[i].persist || pf_generation_names(b->gen, t->path, t->name))
			err = bind_table(b, t->path, t->name, NULL);
	}
	return err;
}

/* The main ruleset's, after the anchors': it keeps those that are hidden by these. */
static int keep_in_main(const struct binder *b)
{
	const struct pf_generation *old = b->old;
	int err = 0;

	for (size_t i = 0; i < b->gen->nuses && !err; i++) {
		const struct pf_table_use *use = &b->gen->uses[i];

		if (!pf_generation_table(b->gen, path_of(b->gen, use), use->name) &&
		    !pf_generation_table(b->gen, "", use->name))
			err = bind_table(b, "", use->name, NULL);
	}
	for (size_t i = 0; old && i < old->nbindings && !err; i++) {
		const struct pf_table *t = old->bindings[i].table;

		if (*t->path || old->bindings[i].leaves || pf_generation_table(b->gen, "", t->name))
			continue;
		if (old->bindings[i].persist ||
		    (old->bindings[i].active && in_anchors(b->gen, t->name)))
			err = bind_table(b, "", t->name, NULL);
	}
	return err;
}

int pf_bindings_make(struct pf_generations *g, struct pf_generation *gen,
		     const struct pf_generation *old, struct pf_error_text *e)
{
	const struct binder b = {.g = g, .gen = gen, .old = old, .e = e};
	int err = collect_uses(gen);

	if (err)
		return pf_fail(e, err, "out of memory");
	for (size_t i = 0; i < gen->anchors.n && !err; i++)
		if (*gen->anchors.v[i].path)
			err = bind_defined(&b, &gen->anchors.v[i]);
	if (!err)
		err = keep_in_anchors(&b);
	if (!err)
		err = bind_defined(&b, pf_anchors_find(&gen->anchors, ""));
	if (!err)
		err = keep_in_main(&b);
	if (!err)
		resolve(gen);
	return err;
}

/* --- counters --- */

/* By slot, the numbers of counters; are there any? */
static bool numbers(const struct pf_generation *gen, uint32_t *counts)
{
	bool any = false;

	for (size_t i = 0; i < gen->nbindings; i++) {
		const struct pf_binding *b = &gen->bindings[i];

		counts[b->table->slot] = b->counters ? b->table->counts : 0;
		any |= b->counters;
	}
	return any;
}

static uint32_t counts_of(const struct pf_generation *gen, uint32_t set,
			  const struct pf_rule_host *h, const uint32_t *counts)
{
	const struct pf_table_use *use = h->type == PF_HOST_TABLE ? find_use(gen, h->table, set)
								  : NULL;

	return use ? counts[use->slot] : 0;
}

/* Of the rule's source and destination; are there any? */
static bool counts_of_rule(const struct pf_generation *gen, const struct pf_policy *policy,
			   uint32_t rule, const uint32_t *by_slot, uint32_t counts[2])
{
	const struct pf_rule *r = policy->rules[rule];

	counts[0] = counts_of(gen, policy->set_of[rule], &r->src, by_slot);
	counts[1] = counts_of(gen, policy->set_of[rule], &r->dst, by_slot);
	return counts[0] || counts[1];
}

int pf_bindings_count(const struct pf_generations *g, const struct pf_generation *gen,
		      const struct pf_policy *policy, const uint32_t *ids, uint32_t first,
		      uint32_t n, struct pf_error_text *e)
{
	uint32_t by_slot[PF_MAX_TABLES] = {0}, counts[2];
	bool any = numbers(gen, by_slot);

	for (uint32_t i = first; i < first + n && any; i++) {
		const struct pf_rule *r = policy->rules[i];
		int err = counts_of_rule(gen, policy, i, by_slot, counts)
				  ? pf_tablerules_set(&g->tables->rules, ids[i], r, counts)
				  : 0;

		if (err)
			return pf_fail(e, err == -E2BIG ? -ENOSPC : err,
				       "rule of line %u: no room for more than %d rules with "
				       "counters of tables",
				       r->line, PF_RULE_TABLES_MOST);
	}
	return 0;
}

void pf_bindings_uncount(const struct pf_generations *g, const struct pf_generation *gen)
{
	uint32_t by_slot[PF_MAX_TABLES] = {0}, counts[2];
	bool any = numbers(gen, by_slot);

	for (uint32_t i = 0; i < gen->policy->nrules; i++)
		if (!any || !counts_of_rule(gen, gen->policy, i, by_slot, counts))
			pf_tablerules_drop(&g->tables->rules, gen->rule_ids[i]);
}

/* --- pins --- */

int pf_bindings_pin(const struct pf_generations *g, struct pf_generation *gen,
		    struct pf_error_text *e)
{
	LIBBPF_OPTS(bpf_map_create_opts, opts);
	int err = 0;

	pf_btf_map_types(g->dp, "u32", "u32", &opts);
	gen->bound = bpf_map_create(BPF_MAP_TYPE_ARRAY, "pf_bound", sizeof(uint32_t),
				    sizeof(uint32_t), PF_MAX_TABLES, &opts);
	if (gen->bound < 0)
		err = gen->bound;
	for (size_t i = 0; i < gen->nbindings && !err; i++)
		err = record(gen, &gen->bindings[i], true);
	return err ? pf_fail(e, err, "cannot keep the tables: %s", strerror(-err)) : 0;
}

int pf_bindings_read(struct pf_generations *g, struct pf_generation *gen)
{
	int err = collect_uses(gen);

	for (uint32_t slot = 1; slot < PF_MAX_TABLES && !err; slot++) {
		struct pf_table *table = g->tables->slot[slot];
		struct pf_binding *b;
		uint32_t flags;

		if (!table || bpf_map_lookup_elem(gen->bound, &slot, &flags) ||
		    !(flags & PF_TABLE_USED))
			continue;
		b = add_binding(gen, table);
		if (!b)
			return -ENOMEM;
		table->refs++;
		b->persist = flags & PF_TABLE_PERSIST;
		b->constant = flags & PF_TABLE_CONST;
		b->counters = flags & PF_TABLE_COUNTERS;
		b->active = !(flags & BOUND_INACTIVE);
	}
	for (size_t i = 0; i < gen->nuses && !err; i++)
		if (!pf_generation_table(gen, path_of(gen, &gen->uses[i]), gen->uses[i].name) &&
		    !pf_generation_table(gen, "", gen->uses[i].name))
			err = -EINVAL;
	if (!err)
		resolve(gen);
	return err;
}

void pf_bindings_free(struct pf_generation *gen)
{
	free(gen->bindings);
	free(gen->uses);
}
