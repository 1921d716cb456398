// SPDX-License-Identifier: BSD-2-Clause
/*
 * How a ruleset was lowered, told to people: a summary, and on demand emitter A's
 * steps (here) or emitter B's trees (describe_tree.c).
 */
#include "describe.h"
#include "nats.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "../grammar/ifdb.h"
#include "../grammar/print.h"
#include "steps.h"

void pf_describe_set_name(const struct pf_describer *d, uint32_t set)
{
	if (set)
		fprintf(d->f, "anchor %s", d->p->sets[set].path);
	else
		fputs("main ruleset", d->f);
}

/* "1.25" */
static void print_ratio(const struct pf_describer *d, size_t n, size_t of)
{
	fprintf(d->f, "%.2f", of ? (double)n / (double)of : 0.0);
}

/* --- what packets come to --- */

/* The rulesets that a rule calls, into the list of those to go on with. */
static size_t lead_on(const struct pf_describer *d, uint32_t rule, uint32_t *sets, size_t n)
{
	const struct pf_policy_call *call = pf_policy_call_of(d->p, rule);

	for (uint32_t i = 0; call && i < call->n; i++) {
		uint32_t set = d->p->callees[call->first + i];

		if (d->led_to[set])
			continue;
		d->led_to[set] = true;
		sets[n++] = set;
	}
	return n;
}

/* From the main ruleset on, by rules that are reached. */
static int find_led_to(const struct pf_describer *d)
{
	uint32_t *sets = calloc(d->p->nsets + 1, sizeof(*sets));
	size_t n = 1;

	if (!sets)
		return -ENOMEM;
	d->led_to[0] = true;
	while (n) {
		const struct pf_policy_set *s = &d->p->sets[sets[--n]];

		for (uint32_t i = s->first; i < s->first + s->n; i++)
			if (d->reached[i])
				n = lead_on(d, i, sets, n);
	}
	free(sets);
	return 0;
}

static int find_reached(struct pf_describer *d)
{
	d->reached = calloc((size_t)d->p->nrules + 1, sizeof(*d->reached));
	d->led_to = calloc(d->p->nsets + 1, sizeof(*d->led_to));
	if (!d->reached || !d->led_to)
		return -ENOMEM;
	if (d->c->emitter == PF_EMITTER_TREE)
		pf_describe_in_leaves(d->c, d->reached);
	else
		memcpy(d->reached, d->c->reachable, d->p->nrules * sizeof(*d->reached));
	if (find_led_to(d))
		return -ENOMEM;
	for (uint32_t i = 0; i < d->p->nrules; i++)
		d->reached[i] = d->p->rules[i] == &pf_policy_dead ||
				(d->reached[i] && d->led_to[d->p->set_of[i]]);
	return 0;
}

static void print_range(const struct pf_describer *d, size_t nr, uint32_t from, uint32_t to)
{
	fprintf(d->f, "%s@%u", nr ? ", " : ": ", from);
	if (to > from)
		fprintf(d->f, "-@%u", to);
}

/* "@1, @4-@7" */
static void print_lost_rules(const struct pf_describer *d, const struct pf_policy_set *s)
{
	uint32_t to;
	size_t n = 0;

	for (uint32_t i = 0; i < s->n; i = to + 1) {
		to = i;
		if (d->reached[s->first + i])
			continue;
		while (to + 1 < s->n && !d->reached[s->first + to + 1])
			to++;
		if (n == PF_DESCRIBE_MOST && !d->env->all) {
			fputs(" and more", d->f);
			return;
		}
		print_range(d, n++, i, to);
	}
}

static size_t count_lost(const struct pf_describer *d, uint32_t first, uint32_t n)
{
	size_t lost = 0;

	for (uint32_t i = first; i < first + n; i++)
		lost += !d->reached[i];
	return lost;
}

static void print_lost_set(const struct pf_describer *d, uint32_t set)
{
	const struct pf_policy_set *s = &d->p->sets[set];

	fputs("  ", d->f);
	pf_describe_set_name(d, set);
	if (!d->led_to[set])
		fputs(": all of it, for nothing leads there", d->f);
	else
		print_lost_rules(d, s);
	fputc('\n', d->f);
}

static void print_lost(const struct pf_describer *d)
{
	size_t lost = count_lost(d, 0, d->p->nrules), shown = 0;

	if (!lost)
		return;
	fprintf(d->f, "never reached: %zu rule%s\n", lost, pf_describe_plural(lost));
	for (uint32_t s = 0; s < d->p->nsets; s++) {
		if (!count_lost(d, d->p->sets[s].first, d->p->sets[s].n))
			continue;
		if (shown++ == PF_DESCRIBE_MOST && !d->env->all) {
			fputs("  and in more anchors\n", d->f);
			return;
		}
		print_lost_set(d, s);
	}
}

/* --- tables --- */

static int compare_tables(const void *a, const void *b)
{
	const struct pf_describe_table *x = a, *y = b;
	int order = strcmp(x->path, y->path);

	return order ? order : strcmp(x->name, y->name);
}

/* The tables that rules name, each once; NULL if memory is short. */
static struct pf_describe_table *named_tables(const struct pf_describer *d, size_t *n)
{
	struct pf_describe_table *v = calloc((size_t)d->p->nrules * 2 + 1, sizeof(*v));
	size_t all = 0;

	*n = 0;
	for (uint32_t i = 0; v && i < d->p->nrules; i++) {
		const struct pf_rule *r = d->p->rules[i];
		const uint32_t set = d->p->set_of[i];

		if (r->src.type == PF_HOST_TABLE)
			v[all++] = d->env->table(d->env->ctx, set, r->src.table);
		if (r->dst.type == PF_HOST_TABLE)
			v[all++] = d->env->table(d->env->ctx, set, r->dst.table);
	}
	if (all)
		qsort(v, all, sizeof(*v), compare_tables);
	for (size_t i = 0; i < all; i++)
		if (!*n || compare_tables(&v[*n - 1], &v[i]) != 0)
			v[(*n)++] = v[i];
	return v;
}

static bool by_optimizer(const struct pf_describer *d, const struct pf_describe_table *t)
{
	uint32_t set = pf_policy_find(d->p, t->path);
	const struct pf_table_def *def =
		set == PF_POLICY_NONE ? NULL : pf_block_find_table(d->p->sets[set].block, t->name);

	return def && def->automatic;
}

static void print_tables(struct pf_describer *d)
{
	size_t n, made = 0;
	struct pf_describe_table *v = named_tables(d, &n);

	if (!v)
		d->failed = true;
	for (size_t i = 0; i < n; i++)
		made += by_optimizer(d, &v[i]);
	if (n)
		fprintf(d->f, "tables: %zu named by rules, %zu of them made by the optimiser\n", n,
			made);
	for (size_t i = 0; i < n; i++) {
		if (i == PF_DESCRIBE_MOST && !d->env->all) {
			fprintf(d->f, "  and %zu more\n", n - i);
			break;
		}
		fprintf(d->f, "  <%s>%s%s %zu address%s%s\n", v[i].name, *v[i].path ? "@" : "",
			v[i].path, v[i].addresses, v[i].addresses == 1 ? "" : "es",
			by_optimizer(d, &v[i]) ? ", made by the optimiser" : "");
	}
	free(v);
}

/* --- the summary --- */

static int any_slot(void *ctx, uint32_t set, const char *name)
{
	(void)ctx;
	(void)set;
	(void)name;
	return 1;
}

static int any_number(void *ctx, const char *name)
{
	(void)ctx;
	(void)name;
	return 1;
}

static int compile_again(const struct pf_describer *d, enum pf_emitter emitter,
			 struct pf_compiled **out, struct pf_compile_error *err)
{
	uint32_t *ids = calloc((size_t)d->p->nrules + 1, sizeof(*ids));
	const struct pf_compile_env env = {
		.table_slot = any_slot, .tag_id = any_number, .rule_ids = ids, .emitter = emitter};
	int r = ids ? pf_policy_compile(d->p, &env, out, err) : -ENOMEM;

	free(ids);
	return r;
}

/* The choice between two that both hold the rules; false: that was none. */
static bool print_costs(const struct pf_describer *d, const struct pf_compiled *c)
{
	if (c->tree_ns > 0)
		fprintf(d->f,
			"of packets made of the rules one costs about %.0f ns as code, and %.0f ns "
			"by trees\n",
			c->linear_ns, c->tree_ns);
	return c->tree_ns > 0;
}

/*
 * What a pfd that is free to choose finds, when it has not just done so: it has taken
 * the rules over from an earlier one, or straight code was too much.
 */
static void print_choice(struct pf_describer *d)
{
	struct pf_compile_error err;
	pf_compiled_auto linear = NULL;
	pf_compiled_auto best = NULL;
	/* by itself at first: trees of many rules take long */
	int r = compile_again(d, PF_EMITTER_LINEAR, &linear, &err);

	if (r == -E2BIG) {
		fprintf(d->f, "straight code does not hold the rules: %s\n", err.text);
		return;
	}
	if (r || compile_again(d, PF_EMITTER_AUTO, &best, &err)) {
		d->failed = true;
		return;
	}
	if (!print_costs(d, best))
		fputs("so few rules are faster as code\n", d->f);
	if (best->emitter == d->c->emitter)
		return;
	fputs(d->c->emitter == PF_EMITTER_TREE
		      ? "     but the kernel refused straight code, or an earlier pfd chose trees\n"
		      : "     but an earlier pfd chose straight code\n",
	      d->f);
}

static void print_emitter(struct pf_describer *d)
{
	bool tree = d->c->emitter == PF_EMITTER_TREE;

	fprintf(d->f, "emitter: %s, %s\n", pf_emitter_names[d->c->emitter],
		tree ? "rules as data, found through decision trees"
		     : "straight code in the order of the rules");
	fputs("why: ", d->f);
	if (d->env->asked == d->c->emitter)
		fprintf(d->f, "pfd was started with --emitter %s\n",
			pf_emitter_names[d->env->asked]);
	else if (d->env->asked != PF_EMITTER_AUTO)
		fputs("an earlier pfd chose it, and this one took the rules over\n", d->f);
	else if (!print_costs(d, d->c))
		print_choice(d);
}

static void print_code(const struct pf_describer *d)
{
	const struct pf_compiled *c = d->c;
	const struct pf_tree *t = &c->tree;

	fprintf(d->f, "rules: %u in %zu ruleset%s\n", d->p->nrules - d->p->ndead, d->p->nsets,
		pf_describe_plural(d->p->nsets));
	if (c->emitter != PF_EMITTER_TREE) {
		fprintf(d->f, "code: %zu instructions for %zu step%s, %zu counted jump%s\n",
			c->ninsns, c->nsteps, pf_describe_plural(c->nsteps), c->nedges,
			pf_describe_plural(c->nedges));
		return;
	}
	fprintf(d->f, "trees: %zu node%s, %zu of them leaves, at most %zu deep\n", t->nnodes,
		pf_describe_plural(t->nnodes), t->nleaves, t->depth);
	fprintf(d->f, "leaves: %zu entr%s, the longest leaf has %zu; ", t->nentries,
		t->nentries == 1 ? "y" : "ies", t->longest);
	print_ratio(d, t->nentries, d->p->nrules);
	fputs(" entries a rule\n", d->f);
	if (t->most.rules > d->p->nrules || d->p->ndead)
		fprintf(d->f,
			"anchors: %u rule%s have been replaced in place, and there is room for %u "
			"more\n",
			d->p->ndead, pf_describe_plural(d->p->ndead), t->most.rules - d->p->nrules);
}

#define RATIO_RULES 100 /* with fewer, what is always needed is nearly all */

static void print_memory(const struct pf_describer *d)
{
	uint64_t all = 0;

	for (size_t i = 0; i < d->env->nparts; i++)
		all += d->env->parts[i].bytes;
	if (!all)
		return;
	fprintf(d->f, "memory: %" PRIu64 " bytes in the kernel", all);
	if (d->p->nrules >= RATIO_RULES)
		fprintf(d->f, ", %" PRIu64 " a rule", all / d->p->nrules);
	fputs(", tables and states not counted\n ", d->f);
	for (size_t i = 0; i < d->env->nparts; i++)
		fprintf(d->f, " %s %" PRIu64 "%s", d->env->parts[i].name, d->env->parts[i].bytes,
			i + 1 < d->env->nparts ? "," : "\n");
}

/* Of a name without a number nobody knows, unless it is asked for beside one of the group's. */
static const char *group_word(const struct pf_compiled *c, size_t i)
{
	return !c->iface_own[i] && strcmp(c->ifaces[i], "lo") != 0 &&
			       pf_if_may_be_group(c->ifaces[i])
		       ? "group "
		       : "";
}

static void print_ifaces(const struct pf_describer *d)
{
	if (!d->c->nifaces)
		return;
	fputs("interfaces:", d->f);
	for (size_t i = 0; i < d->c->nifaces; i++)
		fprintf(d->f, " %zu %s%s%s", i + 1, group_word(d->c, i), d->c->ifaces[i],
			i + 1 < d->c->nifaces ? "," : "\n");
}

static void print_nats(const struct pf_describer *d)
{
	size_t n = 0, moves = 0;

	for (size_t i = 0; i < d->c->nnats; i++) {
		const struct pf_rule *r = d->p->rules[d->c->nat_rules[i]];

		n += r != &pf_policy_dead;
		moves += pf_nats_moves(r);
	}
	if (!n)
		return;
	fprintf(d->f, "translations: %zu", n);
	if (moves)
		fprintf(d->f, ", %zu by match: rules behind see what the packet has become", moves);
	fputs("\n", d->f);
}

/* --- emitter A's steps --- */

struct criterion {
	enum pf_skip skip;
	const char *name;
};

static const struct criterion criteria[] = {
	{PF_SKIP_IFP, "interface"},
	{PF_SKIP_DIR, "direction"},
	{PF_SKIP_AF, "family"},
	{PF_SKIP_PROTO, "protocol"},
	{PF_SKIP_SRC_ADDR, "source"},
	{PF_SKIP_DST_ADDR, "destination"},
	{PF_SKIP_SRC_PORT, "source port"},
	{PF_SKIP_DST_PORT, "destination port"},
};

/* Is there a packet that does not match in it? */
static bool asks(const struct pf_rule *r, enum pf_skip what)
{
	switch (what) {
	case PF_SKIP_IFP:
		return r->ifname;
	case PF_SKIP_DIR:
		return r->dir;
	case PF_SKIP_AF:
		return r->af;
	case PF_SKIP_PROTO:
		return r->proto;
	case PF_SKIP_SRC_ADDR:
		return r->src.type != PF_HOST_ANY || r->src.neg;
	case PF_SKIP_DST_ADDR:
		return r->dst.type != PF_HOST_ANY || r->dst.neg;
	case PF_SKIP_SRC_PORT:
		return r->sport.op != PF_PORT_ANY;
	case PF_SKIP_DST_PORT:
		return r->dport.op != PF_PORT_ANY;
	default:
		return false;
	}
}

static uint32_t number_of(const struct pf_policy *p, uint32_t rule)
{
	return rule - p->sets[p->set_of[rule]].first;
}

/* A step of the same list, or what stands behind the list. */
static void print_target(const struct pf_describer *d, const struct pf_steps *s, uint32_t from,
			 uint32_t to)
{
	const struct pf_step *a = &s->v[from], *b = &s->v[to];

	if (to < s->n && b->r && b->anchor == a->anchor &&
	    d->p->set_of[a->rule] == d->p->set_of[b->rule])
		fprintf(d->f, "@%u", number_of(d->p, b->rule));
	else
		fputs("end", d->f);
}

static void print_step_skips(const struct pf_describer *d, const struct pf_steps *s, uint32_t nr,
			     unsigned int margin)
{
	const struct pf_step *step = &s->v[nr];
	const char *before = "no match by";

	for (size_t i = 0; i < sizeof(criteria) / sizeof(criteria[0]); i++) {
		uint32_t to = step->skip.to[criteria[i].skip];

		if (!asks(step->r, criteria[i].skip) || to == step->next)
			continue;
		if (*before == 'n')
			fprintf(d->f, "%*s", (int)margin, "");
		fprintf(d->f, "%s %s: ", before, criteria[i].name);
		print_target(d, s, nr, to);
		before = ",";
	}
	if (*before == ',')
		fputc('\n', d->f);
}

/* The rules of an anchor follow; there may be several of them, with a star. */
static void print_begin_of_set(const struct pf_describer *d, const struct pf_step *s,
			       unsigned int margin)
{
	if (s->anchor == PF_STEP_NONE || number_of(d->p, s->rule))
		return;
	fprintf(d->f, "%*srules of ", (int)margin, "");
	pf_describe_set_name(d, d->p->set_of[s->rule]);
	fputc('\n', d->f);
}

#define STEP_MARGIN 7

static void print_step(const struct pf_describer *d, const struct pf_steps *s, uint32_t nr,
		       unsigned int depth)
{
	const struct pf_step *step = &s->v[nr];
	unsigned int margin = STEP_MARGIN + depth * 2, flags = PF_PRINT_NUMBER;

	if (!step->r) {
		fprintf(d->f, "%5u  %*s}%s\n", nr, (int)depth * 2, "",
			s->v[step->begin].r->quick ? " a rule in here that has won ends the walk"
						   : "");
		return;
	}
	print_begin_of_set(d, step, margin);
	fprintf(d->f, "%5u  ", nr);
	pf_rule_print_at(d->f, step->r, number_of(d->p, step->rule),
			 flags | (step->call ? PF_PRINT_OPEN : 0U), depth);
	if (!d->reached[step->rule])
		fprintf(d->f, "%*snever reached\n", (int)margin + 3, "");
	else
		print_step_skips(d, s, nr, margin + 3);
}

static void print_steps(struct pf_describer *d)
{
	struct pf_steps s;
	unsigned int *depth = calloc(d->c->nsteps + 1, sizeof(*depth));

	if (!depth || pf_steps_make(d->p, (uint32_t)d->c->nsteps, &s)) {
		free(depth);
		d->failed = true;
		return;
	}
	if (s.n)
		fputs("\nsteps: a packet goes from one to the next, unless it says otherwise;\n"
		      "@ is the number of a rule in its ruleset, end the end of that\n",
		      d->f);
	for (uint32_t i = 0; i < s.n; i++) {
		/* an anchor's step comes before those in it */
		if (s.v[i].anchor != PF_STEP_NONE)
			depth[i] = depth[s.v[i].anchor] + 1;
		print_step(d, &s, i, depth[i]);
	}
	free(depth);
	pf_steps_free(&s);
}

int pf_compiled_describe(FILE *f, const struct pf_policy *p, const struct pf_compiled *c,
			 const struct pf_describe_env *env)
{
	struct pf_describer d = {.f = f, .p = p, .c = c, .env = env};

	d.failed = find_reached(&d) != 0;
	if (!d.failed) {
		print_emitter(&d);
		print_code(&d);
		print_memory(&d);
		print_ifaces(&d);
		print_nats(&d);
		print_tables(&d);
		print_lost(&d);
	}
	if (!d.failed && c->emitter == PF_EMITTER_TREE)
		pf_describe_trees(&d);
	else if (!d.failed && env->all)
		print_steps(&d);
	free(d.reached);
	free(d.led_to);
	return d.failed ? -ENOMEM : 0;
}
