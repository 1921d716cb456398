// SPDX-License-Identifier: BSD-2-Clause
/* Emitter B's trees, told to people: their sizes, and on demand each as an outline. */
#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "../grammar/names.h"
#include "describe.h"

#define NODE_FIELD(n) ((n)->next_field & 15)
#define NODE_NEXT(n)  ((n)->next_field >> 4)

static const char *const group_names[PF_TREE_GROUPS] = {"by destination", "by source", "the rest"};

void pf_describe_in_leaves(const struct pf_compiled *c, bool *rules)
{
	for (size_t i = 0; i < c->tree.nentries; i++)
		rules[c->tree.entries[i] & ~PF_TREE_SURE] = true;
}

/* --- sizes --- */

struct sizes {
	size_t rules, nodes, leaves, entries, longest, depth;
};

struct counter {
	const struct pf_tree *t;
	uint32_t *seen; /* of each rule: the last tree that had it */
	uint32_t tree;	/* number of the one at hand */
	struct sizes s;
};

static void count_leaf(struct counter *c, const struct pf_tree_node *n)
{
	uint32_t entries = NODE_NEXT(n);

	c->s.leaves++;
	c->s.entries += entries;
	if (entries > c->s.longest)
		c->s.longest = entries;
	for (uint32_t i = 0; i < entries; i++) {
		uint32_t rule = c->t->entries[n->value + i] & ~PF_TREE_SURE;

		c->s.rules += c->seen[rule] != c->tree;
		c->seen[rule] = c->tree;
	}
}

/* Trees are as deep as PF_TREE_DEPTH_MOST. */
/* NOLINTBEGIN(misc-no-recursion) */

static void count_node(struct counter *c, uint32_t at, size_t depth)
{
	const struct pf_tree_node *n = &c->t->nodes[at];

	c->s.nodes++;
	if (depth > c->s.depth)
		c->s.depth = depth;
	if (NODE_FIELD(n) == PF_TREE_LEAF) {
		count_leaf(c, n);
		return;
	}
	count_node(c, NODE_NEXT(n), depth + 1);
	count_node(c, NODE_NEXT(n) + 1, depth + 1);
}

/* NOLINTEND(misc-no-recursion) */

/* --- a node's question --- */

/* The last address of those whose first word is the value. */
static void print_address(FILE *f, int family, uint32_t value)
{
	char text[INET6_ADDRSTRLEN];
	uint32_t words[4];

	memset(words, 0xff, sizeof(words));
	words[0] = htonl(value);
	inet_ntop(family ? AF_INET6 : AF_INET, words, text, sizeof(text));
	fputs(text, f);
}

/* A word of an IPv6 address that is not the first is compared by itself. */
static void print_host_cut(FILE *f, int family, const char *name, uint32_t word, uint32_t value)
{
	fputs(name, f);
	if (word)
		fprintf(f, ", groups %u and %u <= %x:%x", word * 2 + 1, word * 2 + 2, value >> 16,
			value & 0xffff);
	else
		fputs(" <= ", f);
	if (!word)
		print_address(f, family, value);
}

static void print_proto_cut(FILE *f, uint32_t value)
{
	const char *name = value <= UINT8_MAX ? pf_proto_name((uint8_t)value) : NULL;

	fprintf(f, "protocol <= %u", value);
	if (name)
		fprintf(f, " (%s)", name);
}

/* 0 is all interfaces that have no number. */
static void print_iface_cut(const struct pf_describer *d, uint32_t value)
{
	if (!value)
		fputs("interface that no rule names", d->f);
	else
		fprintf(d->f, "interface number <= %u", value);
	if (value && value <= d->c->nifaces)
		fprintf(d->f, " (%s)", d->c->ifaces[value - 1]);
}

static void print_cut(const struct pf_describer *d, int family, uint32_t field, uint32_t value)
{
	switch (field) {
	case PF_TREE_SPORT:
		fprintf(d->f, "source port <= %u", value);
		break;
	case PF_TREE_DPORT:
		fprintf(d->f, "destination port <= %u", value);
		break;
	case PF_TREE_PROTO:
		print_proto_cut(d->f, value);
		break;
	case PF_TREE_DIR:
		fputs(value < PF_RULE_IN    ? "no direction"
		      : value == PF_RULE_IN ? "direction in"
					    : "any direction",
		      d->f);
		break;
	case PF_TREE_IFACE:
		print_iface_cut(d, value);
		break;
	case PF_TREE_ICMP:
		fprintf(d->f, "icmp type %u, code <= %u, or a lesser type", value >> 8,
			value & 0xff);
		break;
	default:
		print_host_cut(d->f, family, field < PF_TREE_DST ? "source" : "destination",
			       field & 3, value);
		break;
	}
	fputc('\n', d->f);
}

/* --- outlines --- */

#define MARGIN 4

static void print_leaf(const struct pf_describer *d, uint32_t first, const struct pf_tree_node *n)
{
	uint32_t entries = NODE_NEXT(n);

	fputs(entries ? "" : "none", d->f);
	for (uint32_t i = 0; i < entries; i++) {
		uint32_t e = d->c->tree.entries[n->value + i];

		fprintf(d->f, "%s@%u%s", i ? ", " : "", (e & ~PF_TREE_SURE) - first,
			e & PF_TREE_SURE ? " certain" : "");
	}
	fputc('\n', d->f);
}

struct outline {
	const struct pf_describer *d;
	uint32_t first; /* rule of the ruleset */
	int family;
};

/* NOLINTBEGIN(misc-no-recursion): as above */

static void print_node(const struct outline *o, uint32_t at, int depth)
{
	const struct pf_describer *d = o->d;
	const struct pf_tree_node *n = &d->c->tree.nodes[at];

	fprintf(d->f, "%*s", MARGIN + depth * 2, "");
	if (NODE_FIELD(n) == PF_TREE_LEAF) {
		print_leaf(d, o->first, n);
		return;
	}
	print_cut(d, o->family, NODE_FIELD(n), n->value);
	print_node(o, NODE_NEXT(n), depth + 1);
	fprintf(d->f, "%*selse\n", MARGIN + depth * 2, "");
	print_node(o, NODE_NEXT(n) + 1, depth + 1);
}

/* NOLINTEND(misc-no-recursion) */

/* --- rulesets --- */

static void print_sizes(const struct pf_describer *d, const struct sizes *s)
{
	fprintf(d->f,
		"%zu rule%s, %zu node%s, %zu lea%s, %zu deep, longest leaf %zu, "
		"%.2f entries a rule\n",
		s->rules, pf_describe_plural(s->rules), s->nodes, pf_describe_plural(s->nodes),
		s->leaves, s->leaves == 1 ? "f" : "ves", s->depth, s->longest,
		s->rules ? (double)s->entries / (double)s->rules : 0.0);
}

static void print_tree(const struct pf_describer *d, struct counter *c, uint32_t set, int family,
		       int group)
{
	const struct outline o = {.d = d, .first = d->p->sets[set].first, .family = family};
	uint32_t root = d->c->tree.sets[set].root[family][group];

	if (root == PF_TREE_NONE)
		return;
	c->tree++;
	c->s = (struct sizes){0};
	count_node(c, root, 0);
	fprintf(d->f, "  %s, %s: ", family ? "inet6" : "inet", group_names[group]);
	print_sizes(d, &c->s);
	if (d->env->all)
		print_node(&o, root, 0);
}

/* Where the anchors of a ruleset lead. */
static void print_calls(const struct pf_describer *d, const struct pf_policy_set *s)
{
	for (uint32_t i = s->first; i < s->first + s->n; i++) {
		const struct pf_policy_call *call = pf_policy_call_of(d->p, i);

		if (!call)
			continue;
		fprintf(d->f, "  @%u leads to", i - s->first);
		for (uint32_t k = 0; k < call->n; k++) {
			fputs(k ? ", " : " ", d->f);
			pf_describe_set_name(d, d->p->callees[call->first + k]);
		}
		fputs(call->n ? "\n" : " no rules\n", d->f);
	}
}

static void print_set(const struct pf_describer *d, struct counter *c, uint32_t set)
{
	const struct pf_policy_set *s = &d->p->sets[set];

	fputc('\n', d->f);
	pf_describe_set_name(d, set);
	fprintf(d->f, ": %u rule%s\n", s->n, pf_describe_plural(s->n));
	if (d->env->all)
		print_calls(d, s);
	for (int family = 0; family < 2; family++)
		for (int group = 0; group < PF_TREE_GROUPS; group++)
			print_tree(d, c, set, family, group);
}

void pf_describe_trees(struct pf_describer *d)
{
	struct counter c = {.t = &d->c->tree,
			    .seen = calloc((size_t)d->p->nrules + 1, sizeof(*c.seen))};

	if (!c.seen) {
		d->failed = true;
		return;
	}
	for (uint32_t set = 0; set < d->p->nsets; set++) {
		if (set > PF_DESCRIBE_MOST && !d->env->all) {
			fprintf(d->f, "\nand %zu more anchor%s\n", d->p->nsets - set,
				pf_describe_plural(d->p->nsets - set));
			break;
		}
		print_set(d, &c, set);
	}
	free(c.seen);
}
