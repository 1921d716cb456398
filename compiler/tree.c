// SPDX-License-Identifier: BSD-2-Clause
/*
 * Emitter B: the decision trees.
 *
 * Each rule is a box in the space of the packet's fields.  A node cuts its region
 * in two at the value of a field; a rule goes to the sides that its box reaches
 * into.  The cut is the one that leaves the fewest rules on the fuller side and
 * repeats the fewest.  A leaf lists what is left, in the order of the rules.
 *
 * Rules that say much about the destination, those that do about the source, and
 * the rest have trees of their own: in one tree the wide ones of one kind would be
 * repeated in every leaf of the other (240 times at 10,000 rules, measured).
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "nats.h"
#include "tree.h"

#define LEAF_RULES     2    /* a list of so many is not cut any more */
#define SAMPLE	       2048 /* rules that a cut is chosen by */
#define TRIES	       5    /* values of a field that are tried */
#define COPY_COST      0.35 /* of a rule that goes to both sides */
#define ENTRIES_A_RULE 8    /* no more copies than that, on average, */
#define ENTRIES_FREE   4096 /* and these */
#define MAX_TREE_RULES PF_RULES_LARGEST
#define MAX_NODES      (1U << 28)

/* Room that is left for rulesets that take the place of others: of the rules a part, ... */
#define SPARE_PART     16
#define SPARE_LEAST    128
#define SPARE_EACH     4 /* ... and for each this many nodes and entries, or twice the average */

/* A prefix of so many bits says much. */
#define SPECIFIC4      8
#define SPECIFIC6      16

struct builder {
	const struct pf_policy *p;
	struct pf_tree *tree;
	struct pf_tree_box *boxes;
	uint32_t *cuts;	  /* SAMPLE of both ends */
	size_t budget;	  /* of entries */
	bool moves;	  /* `match` rules translate */
	uint32_t settled; /* from here on no rule of the set does, nor one that it leads to */
	bool failed;
};

/* The part of the space that a node is for. */
struct region {
	uint32_t lo[PF_TREE_FIELDS];
	uint32_t hi[PF_TREE_FIELDS];
};

/* --- growing --- */

static uint32_t new_nodes(struct builder *b, uint32_t n)
{
	struct pf_tree *t = b->tree;
	uint32_t first = (uint32_t)t->nnodes;

	if (t->nnodes + n > t->nodes_capacity) {
		size_t want = t->nodes_capacity ? t->nodes_capacity * 2 : 256;
		struct pf_tree_node *p = NULL;

		if (want <= MAX_NODES)
			p = reallocarray(t->nodes, want, sizeof(*p));
		if (!p) {
			b->failed = true;
			return PF_TREE_NONE;
		}
		t->nodes = p;
		t->nodes_capacity = want;
	}
	memset(&t->nodes[first], 0, n * sizeof(*t->nodes));
	t->nnodes += n;
	return first;
}

static void add_entry(struct builder *b, uint32_t entry)
{
	struct pf_tree *t = b->tree;

	if (t->nentries == t->entries_capacity) {
		size_t want = t->entries_capacity ? t->entries_capacity * 2 : 256;
		uint32_t *p = reallocarray(t->entries, want, sizeof(*p));

		if (!p) {
			b->failed = true;
			return;
		}
		t->entries = p;
		t->entries_capacity = want;
	}
	t->entries[t->nentries++] = entry;
}

/* --- leaves --- */

static bool covers(const struct pf_tree_box *box, const struct region *at)
{
	for (int f = 0; f < PF_TREE_FIELDS; f++)
		if (box->lo[f] > at->lo[f] || box->hi[f] < at->hi[f])
			return false;
	return true;
}

static bool is_sure(const struct builder *b, uint32_t rule, const struct region *at)
{
	return b->boxes[rule].sure && covers(&b->boxes[rule], at);
}

/* An anchor's `quick` speaks when its rules have been walked. */
static bool ends_walk(const struct pf_rule *r)
{
	return r->quick && !pf_rule_ext_of(r)->anchor;
}

/*
 * What stands behind a quick rule that matches all of the region is never looked at:
 * unless it is in front of a rule behind which the packet may be another one.
 */
static size_t cut_behind_quick(const struct builder *b, const uint32_t *v, size_t n,
			       const struct region *at)
{
	for (size_t i = 0; i < n; i++)
		if (v[i] >= b->settled && ends_walk(b->p->rules[v[i]]) && is_sure(b, v[i], at))
			return i + 1;
	return n;
}

static void put_leaf(struct builder *b, uint32_t node, const uint32_t *v, size_t n,
		     const struct region *at)
{
	b->tree->nodes[node] = (struct pf_tree_node){
		.next_field = (uint32_t)n << 4 | PF_TREE_LEAF,
		.value = (uint32_t)b->tree->nentries,
	};
	for (size_t i = 0; i < n; i++)
		add_entry(b, v[i] | (is_sure(b, v[i], at) ? PF_TREE_SURE : 0));
	b->tree->nleaves++;
	if (n > b->tree->longest)
		b->tree->longest = n;
}

/* --- cuts --- */

struct cut {
	int field;
	uint32_t value; /* the last one of the lower side */
	double cost;
};

static int compare_u32(const void *a, const void *b)
{
	uint32_t x, y;

	memcpy(&x, a, sizeof(x));
	memcpy(&y, b, sizeof(y));
	return x < y ? -1 : x > y;
}

/* Where boxes begin and end inside of the region; sorted. */
static size_t collect_cuts(struct builder *b, const uint32_t *v, size_t n, size_t step, int f,
			   const struct region *at)
{
	size_t ncuts = 0;

	for (size_t i = 0; i < n; i += step) {
		const struct pf_tree_box *box = &b->boxes[v[i]];

		if (box->lo[f] > at->lo[f] && box->lo[f] <= at->hi[f])
			b->cuts[ncuts++] = box->lo[f] - 1;
		if (box->hi[f] >= at->lo[f] && box->hi[f] < at->hi[f])
			b->cuts[ncuts++] = box->hi[f];
	}
	qsort(b->cuts, ncuts, sizeof(*b->cuts), compare_u32);
	return ncuts;
}

static void try_cut(const struct builder *b, const uint32_t *v, size_t n, size_t step, int f,
		    uint32_t value, struct cut *best)
{
	size_t lower = 0, upper = 0, all = 0, most;
	double cost;

	for (size_t i = 0; i < n; i += step, all++) {
		lower += b->boxes[v[i]].lo[f] <= value;
		upper += b->boxes[v[i]].hi[f] > value;
	}
	most = lower > upper ? lower : upper;
	if (most == all && lower + upper - all > all / 2)
		return;
	cost = (double)most + COPY_COST * (double)(lower + upper - all);
	if (cost < best->cost)
		*best = (struct cut){.field = f, .value = value, .cost = cost};
}

static bool find_cut(struct builder *b, const uint32_t *v, size_t n, const struct region *at,
		     struct cut *best)
{
	size_t step = n > SAMPLE ? (n + SAMPLE - 1) / SAMPLE : 1, sampled = (n + step - 1) / step;

	*best = (struct cut){.field = -1, .cost = 1e18};
	for (int f = 0; f < PF_TREE_FIELDS; f++) {
		size_t ncuts = collect_cuts(b, v, n, step, f, at);
		const size_t tries[TRIES] = {ncuts / 2, ncuts / 4, ncuts / 4 * 3, ncuts / 8,
					     ncuts - 1 - ncuts / 8};

		for (int i = 0; i < TRIES && ncuts; i++)
			if (i == 0 || b->cuts[tries[i]] != b->cuts[tries[0]])
				try_cut(b, v, n, step, f, b->cuts[tries[i]], best);
	}
	/* one that takes hardly a rule away costs more than it saves */
	return best->field >= 0 && !(n <= 4 * LEAF_RULES && best->cost > (double)sampled * 1.05);
}

/* --- the tree --- */

static void build(struct builder *b, uint32_t node, const uint32_t *v, size_t n, struct region *at,
		  int depth);

/* The recursion is as deep as PF_TREE_DEPTH_MOST. */
/* NOLINTBEGIN(misc-no-recursion) */

/* Both sides of a cut, in two nodes that stand beside each other. */
static void build_sides(struct builder *b, uint32_t node, const uint32_t *v, size_t n,
			struct region *at, const struct cut *cut, int depth)
{
	uint32_t *side = malloc(n * sizeof(*side)), pair = new_nodes(b, 2);
	uint32_t lo = at->lo[cut->field], hi = at->hi[cut->field];
	size_t lower = 0, upper = 0;

	if (!side || b->failed) {
		b->failed = true;
		free(side);
		return;
	}
	b->tree->nodes[node] = (struct pf_tree_node){.next_field = pair << 4 | (uint32_t)cut->field,
						     .value = cut->value};
	for (size_t i = 0; i < n; i++)
		if (b->boxes[v[i]].lo[cut->field] <= cut->value)
			side[lower++] = v[i];
	at->hi[cut->field] = cut->value;
	build(b, pair, side, lower, at, depth + 1);
	at->hi[cut->field] = hi;
	for (size_t i = 0; i < n; i++)
		if (b->boxes[v[i]].hi[cut->field] > cut->value)
			side[upper++] = v[i];
	b->budget -= lower + upper - n < b->budget ? lower + upper - n : b->budget;
	at->lo[cut->field] = cut->value + 1;
	build(b, pair + 1, side, upper, at, depth + 1);
	at->lo[cut->field] = lo;
	free(side);
}

static void build(struct builder *b, uint32_t node, const uint32_t *v, size_t n, struct region *at,
		  int depth)
{
	struct cut cut;

	if (b->failed)
		return;
	if ((size_t)depth > b->tree->depth)
		b->tree->depth = (size_t)depth;
	n = cut_behind_quick(b, v, n, at);
	if (n <= LEAF_RULES || depth >= PF_TREE_DEPTH_MOST || !b->budget ||
	    !find_cut(b, v, n, at, &cut))
		put_leaf(b, node, v, n, at);
	else
		build_sides(b, node, v, n, at, &cut, depth);
}

/* NOLINTEND(misc-no-recursion) */

/* --- groups --- */

static bool is_specific(const struct pf_rule_host *h)
{
	return h->type == PF_HOST_PREFIX && !h->neg &&
	       h->bits >= (h->af == PF_FAMILY_INET ? SPECIFIC4 : SPECIFIC6);
}

static int group_of(const struct pf_rule *r)
{
	return is_specific(&r->dst) ? 0 : is_specific(&r->src) ? 1 : 2;
}

static const struct region everything = {
	.hi = {[PF_TREE_SRC] = UINT32_MAX,
	       [PF_TREE_SRC + 1] = UINT32_MAX,
	       [PF_TREE_SRC + 2] = UINT32_MAX,
	       [PF_TREE_SRC + 3] = UINT32_MAX,
	       [PF_TREE_DST] = UINT32_MAX,
	       [PF_TREE_DST + 1] = UINT32_MAX,
	       [PF_TREE_DST + 2] = UINT32_MAX,
	       [PF_TREE_DST + 3] = UINT32_MAX,
	       [PF_TREE_SPORT] = UINT16_MAX,
	       [PF_TREE_DPORT] = UINT16_MAX,
	       [PF_TREE_PROTO] = UINT8_MAX,
	       [PF_TREE_DIR] = UINT8_MAX,
	       [PF_TREE_IFACE] = UINT16_MAX,
	       [PF_TREE_ICMP] = UINT16_MAX},
};

static void build_group(struct builder *b, const struct pf_policy_set *set, int family, int group,
			uint32_t *root_out)
{
	static const uint8_t afs[2] = {PF_FAMILY_INET, PF_FAMILY_INET6};
	uint32_t *v = malloc(((size_t)set->n + 1) * sizeof(*v)), root;
	struct region at = everything;
	size_t n = 0;

	*root_out = PF_TREE_NONE;
	for (uint32_t i = set->first; v && i < set->first + set->n; i++) {
		const struct pf_rule *r = b->p->rules[i];

		if ((!r->af || r->af == afs[family]) && group_of(r) == group && !b->boxes[i].empty)
			v[n++] = i;
	}
	if (!v)
		b->failed = true;
	if (n) {
		b->budget = n * ENTRIES_A_RULE + ENTRIES_FREE;
		root = new_nodes(b, 1);
		if (!b->failed)
			build(b, root, v, n, &at, 0);
		*root_out = root;
	}
	free(v);
}

/* Behind the last rule that translates, or that leads to some that may. */
static uint32_t settled_from(const struct builder *b, const struct pf_policy_set *set)
{
	for (uint32_t i = set->first + set->n; b->moves && i-- > set->first;)
		if (pf_nats_moves(b->p->rules[i]) || pf_rule_ext_of(b->p->rules[i])->anchor)
			return i + 1;
	return set->first;
}

static void build_set(struct builder *b, uint32_t set, struct pf_tree_set *out)
{
	b->settled = settled_from(b, &b->p->sets[set]);
	for (int family = 0; family < 2; family++)
		for (int group = 0; group < PF_TREE_GROUPS; group++)
			build_group(b, &b->p->sets[set], family, group, &out->root[family][group]);
}

static int new_builder(struct builder *b)
{
	/* memory is taken only for those that are touched */
	b->boxes = calloc((size_t)b->p->nrules + 1, sizeof(*b->boxes));
	b->cuts = calloc((size_t)2 * SAMPLE + 2, sizeof(*b->cuts));
	return b->boxes && b->cuts ? 0 : -ENOMEM;
}

static void free_builder(struct builder *b)
{
	free(b->boxes);
	free(b->cuts);
}

/* Those from `from` to the last one. */
static int fill_rules(struct builder *b, uint32_t from, const struct pf_compile_env *env,
		      struct pf_compiled *out, struct pf_compile_error *err)
{
	for (uint32_t i = from; i < b->p->nrules; i++) {
		const struct pf_rule *r = b->p->rules[i];
		int e = pf_tree_rule_fill(r, b->p->set_of[i], env, out, &b->tree->rules[i], err);

		if (e)
			return e;
		pf_tree_box_fill(out, r, &b->tree->rules[i], &b->boxes[i]);
		out->reachable[i] = !b->boxes[i].empty;
		out->infos[i] = pf_rule_info_of(b->p, env, out, i);
	}
	return 0;
}

/* Where anchors lead. */
static int fill_calls(struct builder *b)
{
	const struct pf_policy *p = b->p;
	struct pf_tree *t = b->tree;

	t->sets = calloc(p->nsets + 1, sizeof(*t->sets));
	t->calls = calloc(p->ncalls + 1, sizeof(*t->calls));
	t->callees = calloc(p->ncallees + 1, sizeof(*t->callees));
	if (!t->sets || !t->calls || !t->callees)
		return -ENOMEM;
	t->nsets = p->nsets;
	t->ncalls = p->ncalls;
	t->ncallees = p->ncallees;
	for (size_t i = 0; i < p->ncalls; i++) {
		t->calls[i] = (struct pf_tree_call){.first = p->calls[i].first, .n = p->calls[i].n};
		t->rules[p->calls[i].rule].call = (uint32_t)i;
	}
	for (size_t i = 0; i < p->ncallees; i++)
		t->callees[i].set = p->callees[i];
	return 0;
}

/* --- room for rulesets that take the place of others --- */

/* Nothing is called: there will be none. */
static uint32_t spare_rules(const struct pf_policy *p)
{
	uint32_t n = p->nrules / SPARE_PART;

	if (!p->ncallees)
		return 0;
	return n < SPARE_LEAST ? SPARE_LEAST : n;
}

static uint32_t with_spare(size_t now, const struct pf_policy *p)
{
	size_t each = SPARE_EACH + 2 * now / ((size_t)p->nrules + 1);

	return (uint32_t)(now + each * spare_rules(p));
}

static void leave_room(const struct pf_policy *p, size_t nnats, struct pf_tree *t)
{
	t->most = (struct pf_tree_counts){
		.rules = p->nrules + spare_rules(p),
		/* a rule has one at most: where there is room for it there is for that */
		.nats = (uint32_t)nnats + spare_rules(p),
		.nodes = with_spare(t->nnodes, p),
		.entries = with_spare(t->nentries, p),
		.sets = (uint32_t)t->nsets + spare_rules(p),
	};
}

int pf_emit_tree(const struct pf_policy *p, const struct pf_compile_env *env,
		 struct pf_compiled *out, struct pf_compile_error *err)
{
	struct builder b = {.p = p, .tree = &out->tree, .moves = out->nat_moves};
	int e = 0;

	if (p->nrules > MAX_TREE_RULES) {
		snprintf(err->text, sizeof(err->text),
			 "the ruleset has %u rules after expansion; at most %d fit", p->nrules,
			 MAX_TREE_RULES);
		return -E2BIG;
	}
	e = new_builder(&b);
	out->tree.rules = calloc((size_t)p->nrules + 1, sizeof(*out->tree.rules));
	if (!e && (!out->tree.rules || pf_infos_new(out, p->nrules + spare_rules(p))))
		e = -ENOMEM;
	if (!e)
		e = fill_rules(&b, 0, env, out, err);
	if (!e)
		e = fill_calls(&b);
	for (uint32_t s = 0; s < p->nsets && !e; s++)
		build_set(&b, s, &out->tree.sets[s]);
	free_builder(&b);
	if (!e && b.failed)
		e = -ENOMEM;
	if (e)
		return e;
	leave_room(p, out->nnats, &out->tree);
	out->emitter = PF_EMITTER_TREE;
	return 0;
}

int pf_tree_append(const struct pf_policy *p, uint32_t set, const struct pf_compile_env *env,
		   struct pf_compiled *out, struct pf_compiled_patch *patch,
		   struct pf_compile_error *err)
{
	struct builder b = {.p = p, .tree = &out->tree, .moves = out->nat_moves};
	struct pf_tree *t = &out->tree;
	struct pf_tree_rule *rules;
	int e;

	if (p->nrules > t->most.rules || t->nsets >= t->most.sets ||
	    p->nrules - p->ndead > MAX_TREE_RULES)
		return -EOPNOTSUPP;
	rules = reallocarray(t->rules, (size_t)p->nrules + 1, sizeof(*rules));
	if (!rules)
		return -ENOMEM;
	t->rules = rules;
	memset(&rules[patch->from.rules], 0, (p->nrules - patch->from.rules) * sizeof(*rules));
	e = new_builder(&b);
	if (!e)
		e = fill_rules(&b, patch->from.rules, env, out, err);
	if (!e)
		build_set(&b, set, &patch->set);
	free_builder(&b);
	if (e)
		return e;
	if (b.failed)
		return -ENOMEM;
	return t->nnodes > t->most.nodes || t->nentries > t->most.entries ? -EOPNOTSUPP : 0;
}
