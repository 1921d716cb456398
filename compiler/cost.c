// SPDX-License-Identifier: BSD-2-Clause
/*
 * Packets are made of the rules: one from within each rule's box, and one whose
 * fields are each some rule's.  They are walked as the programs do, and each thing
 * done has a price, measured with bench/run on an AMD EPYC and net of a program of
 * one rule.  Only the ratio matters, and only near where the two meet.
 */
#include "cost.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "steps.h"
#include "tree.h"

#define STEPS_MOST     1024
#define SAMPLES	       128

#define NS_STEP	       0.2  /* a rule that emitter A comes to */
#define NS_TREE	       19.0 /* emitter B with one rule, more than A */
#define NS_NODE	       2.5
#define NS_NODE_BESIDE 0.6 /* while another tree's is waited for */
#define NS_CANDIDATE   6.0
#define NS_ANCHOR      12.0 /* B: entering one and leaving it */

struct sample {
	uint32_t field[PF_TREE_FIELDS];
	uint8_t af;
};

struct walker {
	const struct pf_policy *p;
	const struct pf_compiled *tree;
	struct pf_tree_box *boxes;
	struct pf_steps steps;
	uint32_t random;
};

/* Not to be foretold by the rules is enough; the same packets for the same rules. */
static uint32_t draw(struct walker *w)
{
	w->random = w->random * 1664525 + 1013904223;
	return w->random >> 8;
}

static uint32_t within(struct walker *w, const struct pf_tree_box *b, int field)
{
	uint64_t span = (uint64_t)b->hi[field] - b->lo[field] + 1;

	return b->lo[field] + (uint32_t)(draw(w) % span);
}

/* mixed: every field from another rule. */
static void make_sample(struct walker *w, bool mixed, struct sample *s)
{
	uint32_t rule = draw(w) % w->p->nrules;

	s->af = w->p->rules[rule]->af ? w->p->rules[rule]->af : PF_AF_INET;
	for (int f = 0; f < PF_TREE_FIELDS; f++) {
		if (mixed)
			rule = draw(w) % w->p->nrules;
		s->field[f] = within(w, &w->boxes[rule], f);
	}
	s->field[PF_TREE_DIR] = s->field[PF_TREE_DIR] == PF_OUT ? PF_OUT : PF_IN;
}

static bool inside(const struct pf_tree_box *b, const struct sample *s, int from, int n)
{
	for (int f = from; f < from + n; f++)
		if (s->field[f] < b->lo[f] || s->field[f] > b->hi[f])
			return false;
	return true;
}

/* The first criterion of emitter A's that the packet does not meet; PF_SKIP_MAX: none. */
static enum pf_skip first_miss(const struct walker *w, const struct pf_step *st,
			       const struct sample *s)
{
	const struct {
		enum pf_skip skip;
		int from, n;
	} order[] = {
		{PF_SKIP_IFP, PF_TREE_IFACE, 1},
		{PF_SKIP_DIR, PF_TREE_DIR, 1},
		{PF_SKIP_AF, 0, 0},
		{PF_SKIP_PROTO, PF_TREE_PROTO, 1},
		{PF_SKIP_SRC_ADDR, PF_TREE_SRC, 4},
		{PF_SKIP_DST_ADDR, PF_TREE_DST, 4},
		{PF_SKIP_SRC_PORT, PF_TREE_SPORT, 1},
		{PF_SKIP_DST_PORT, PF_TREE_DPORT, 1},
	};
	const struct pf_tree_box *b = &w->boxes[st->rule];

	for (size_t i = 0; i < sizeof(order) / sizeof(order[0]); i++) {
		if (order[i].skip == PF_SKIP_AF ? st->r->af && st->r->af != s->af
						: !inside(b, s, order[i].from, order[i].n))
			return order[i].skip;
	}
	return PF_SKIP_MAX;
}

static double walk_linear(const struct walker *w, const struct sample *s)
{
	uint32_t at = 0;
	double ns = 0;

	while (at < w->steps.n) {
		const struct pf_step *st = &w->steps.v[at];
		enum pf_skip miss;

		if (!st->r) {
			at++;
			continue;
		}
		miss = first_miss(w, st, s);
		ns += NS_STEP;
		if (miss != PF_SKIP_MAX)
			at = st->skip.to[miss];
		else if (st->r->quick && !st->call)
			break;
		else
			at++;
	}
	return ns;
}

/* The candidates of a leaf, and the nodes on the way there, itself included. */
static uint32_t walk_one_tree(const struct walker *w, uint32_t root, const struct sample *s,
			      uint32_t *nodes)
{
	const struct pf_tree *t = &w->tree->tree;
	const struct pf_tree_node *n;

	*nodes = 0;
	if (root == PF_TREE_NONE)
		return 0;
	for (n = &t->nodes[root]; (n->next_field & 15) != PF_TREE_LEAF; ++*nodes)
		n = &t->nodes[(n->next_field >> 4) + (s->field[n->next_field & 15] > n->value)];
	++*nodes;
	return n->next_field >> 4;
}

/* The trees of a set are gone down together: the deepest one is waited for. */
static double walk_set(const struct walker *w, const uint32_t root[PF_TREE_GROUPS],
		       const struct sample *s)
{
	uint32_t candidates = 0, all = 0, deepest = 0;

	for (int g = 0; g < PF_TREE_GROUPS; g++) {
		uint32_t nodes;

		candidates += walk_one_tree(w, root[g], s, &nodes);
		all += nodes;
		deepest = nodes > deepest ? nodes : deepest;
	}
	return NS_CANDIDATE * candidates + NS_NODE * deepest + NS_NODE_BESIDE * (all - deepest);
}

static double walk_trees(const struct walker *w, const struct sample *s)
{
	double ns = NS_TREE;

	/* each anchor is taken as called once: to follow the calls would say little more */
	for (size_t set = 0; set < w->p->nsets; set++) {
		ns += walk_set(w, w->tree->tree.sets[set].root[s->af == PF_AF_INET6], s);
		ns += set ? NS_ANCHOR : 0;
	}
	return ns;
}

int pf_costs_of(const struct pf_policy *p, const struct pf_compiled *tree, struct pf_costs *out)
{
	struct walker w = {.p = p, .tree = tree, .random = p->nrules};
	struct pf_costs sum = {0};
	int err;

	w.boxes = calloc((size_t)p->nrules + 1, sizeof(*w.boxes));
	if (!w.boxes)
		return -ENOMEM;
	err = pf_steps_make(p, STEPS_MOST, &w.steps);
	for (uint32_t i = 0; i < p->nrules && !err; i++)
		pf_tree_box_fill(tree, p->rules[i], &tree->tree.rules[i], &w.boxes[i]);
	for (unsigned int i = 0; i < SAMPLES && !err && p->nrules; i++) {
		struct sample s;

		make_sample(&w, i & 1, &s);
		sum.linear += walk_linear(&w, &s) / SAMPLES;
		sum.tree += walk_trees(&w, &s) / SAMPLES;
	}
	pf_steps_free(&w.steps);
	free(w.boxes);
	if (!err)
		*out = sum;
	return err;
}
