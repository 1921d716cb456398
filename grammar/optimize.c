// SPDX-License-Identifier: BSD-2-Clause
/*
 * The optimiser.  What it does must not show: each packet gets the same verdict
 * and answer, is logged, makes a state and is counted for a label as before.  What
 * changes is what rules without a label count for themselves, rule numbers, and how
 * often rules are evaluated (a label's evaluations among it).
 *
 * Only plain rules are touched: pass and block, without any of the rarer parts
 * (struct pf_rule_ext), so that all that a match can do is to decide.  Every other
 * rule is a barrier: match rules may translate the packet, anchors have rules
 * that we do not see, and so on; each step below stays between two of them.  With
 * "log (matches)" anywhere, rules that decide nothing show in the log, and nothing
 * is done at all.
 *
 * Evaluation is first to last; the last match decides, a quick one at once.  Let
 * b be plain and without a label, and let a cover b (match all that b matches).
 * b can go in exactly these cases; p is any packet that b matches when it gets there:
 *
 *  1. a is before b, and quick.  p matched a and never got to b: there is no p.
 *  2. a is after b, and b is not quick.  After b, p meets a quick match before a,
 *     or it gets to a and matches: in each case another rule than b decides.
 *  3. a is before b, neither is quick, and a, b and all rules between them that are
 *     not quick have the same effect.  p matched a.  If a later rule decides, then
 *     also without b; if none does, the last match is one of those with b's effect.
 *  4. a is after b, both are quick, and b, a and all quick rules between them have
 *     the same effect.  b decided p; without it p meets one of these, a at the latest,
 *     and whatever is not quick on the way there does not decide.
 *
 * Duplicates and subsets are cases of these.  They are found one after the other,
 * each in the list that the one before has left, so that the proofs add up.
 *
 * A run is a number of plain neighbours of the same effect, none with a label, all
 * quick or none.  A packet that matches any rule of a run has the same fate, one
 * that matches none is not concerned: only the union of their matches counts.  So
 * within a run
 *
 *  5. rules can be put in any order, and
 *  6. rules that differ only in their source (or destination), a prefix, can be one
 *     rule with a table of these prefixes.  None of its entries is negated, so that
 *     the longest match is one if any is.
 *
 * Bounds: a rule is compared with those that struct pf_cover_set offers, 136 for
 * each of the cases; so covers between rules that are far apart are only found if
 * one is a duplicate or is from any to any.  Rounds are repeated until nothing
 * changes, so that to optimise again does nothing, but at most MAX_ROUNDS times.
 */
#include "optimize.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "covers.h"

#define MAX_ROUNDS 64
#define AUTOMATIC  "__automatic_"

struct optimizer {
	struct pf_ruleset *rs;
	struct pf_block *block;
	struct pf_rule_list *list;
	uint64_t *weights; /* of the list's rules; NULL: all alike */
	bool tables;	   /* may be made */
	size_t tables_left, entries_left;

	/* room for the list's rules */
	uint64_t *hash;
	bool *gone;
	uint32_t *order;
	struct pf_rule *sorted;
	uint64_t *sorted_weights;
	struct pf_cover_set sets[2];
};

/* --- memory --- */

static void release(struct optimizer *o)
{
	free(o->weights);
	free(o->hash);
	free(o->gone);
	free(o->order);
	free(o->sorted);
	free(o->sorted_weights);
	for (int i = 0; i < 2; i++)
		pf_cover_set_free(&o->sets[i]);
}

static int reserve(struct optimizer *o, const uint64_t *weights)
{
	size_t n = o->list->n;
	int err = 0;

	o->hash = calloc(n, sizeof(*o->hash));
	o->gone = calloc(n, sizeof(*o->gone));
	o->order = calloc(n, sizeof(*o->order));
	o->sorted = calloc(n, sizeof(*o->sorted));
	if (!o->hash || !o->gone || !o->order || !o->sorted)
		return -ENOMEM;
	if (weights) {
		o->weights = calloc(n, sizeof(*o->weights));
		o->sorted_weights = calloc(n, sizeof(*o->sorted_weights));
		if (!o->weights || !o->sorted_weights)
			return -ENOMEM;
		memcpy(o->weights, weights, n * sizeof(*weights));
	}
	for (int i = 0; i < 2 && !err; i++)
		err = pf_cover_set_init(&o->sets[i], o->list->v, o->hash, n);
	return err;
}

/* --- rules that go --- */

static void add_weight(struct optimizer *o, size_t to, size_t from)
{
	if (o->weights && __builtin_add_overflow(o->weights[to], o->weights[from], &o->weights[to]))
		o->weights[to] = UINT64_MAX;
}

/* Rules without those that are gone: were there any? */
static bool compact(struct optimizer *o)
{
	struct pf_rule_list *l = o->list;
	size_t kept = 0, had = l->n;

	for (size_t i = 0; i < had; i++) {
		if (o->gone[i])
			continue;
		if (kept != i) {
			l->v[kept] = l->v[i];
			if (o->weights)
				o->weights[kept] = o->weights[i];
		}
		kept++;
	}
	memset(o->gone, 0, had * sizeof(*o->gone));
	l->n = kept;
	return kept != had;
}

/*
 * One direction of the search.  `deciders` are the rules met so far any of which,
 * if it covers b, makes it pointless (cases 1 and 2); `run` are those met
 * last whose effect is the same, and between which no rule counts that has another
 * one (cases 3 and 4).  `quick`: what the rules of the run, and b, then are.
 */
struct search {
	struct pf_cover_set *deciders, *run;
	const struct pf_rule *run_rule; /* the last one that counts; NULL none */
	bool quick;
};

static void search_reset(struct search *s)
{
	pf_cover_set_clear(s->deciders);
	pf_cover_set_clear(s->run);
	s->run_rule = NULL;
}

/* Keeps the rule: those that come after it may be covered by it. */
static void search_add(struct search *s, uint32_t i, bool decides)
{
	const struct pf_rule *r = &s->run->rules[i];

	if (decides)
		pf_cover_set_add(s->deciders, i);
	if (r->quick != s->quick)
		return;
	if (s->run_rule && !pf_rule_same_effect(s->run_rule, r))
		pf_cover_set_clear(s->run);
	s->run_rule = r;
	if (!pf_rule_is_labelled(r))
		pf_cover_set_add(s->run, i);
}

static uint32_t search_run(const struct search *s, uint32_t b)
{
	const struct pf_rule *r = &s->run->rules[b];

	if (r->quick != s->quick || !s->run_rule || !pf_rule_same_effect(s->run_rule, r))
		return PF_COVER_NONE;
	return pf_cover_set_find(s->run, b, false);
}

/* Is rule b pointless?  A rule of the same effect has its packets then. */
static bool redundant(struct optimizer *o, const struct search *s, uint32_t b, bool decided)
{
	uint32_t a;

	if (pf_rule_is_labelled(&o->list->v[b]))
		return false;
	if (decided && pf_cover_set_find(s->deciders, b, false) != PF_COVER_NONE)
		return true;
	a = search_run(s, b);
	if (a == PF_COVER_NONE)
		return false;
	add_weight(o, a, b);
	return true;
}

static void hash_rules(struct optimizer *o)
{
	for (size_t i = 0; i < o->list->n; i++)
		o->hash[i] = pf_rule_hash(&o->list->v[i], PF_BUT_NOTHING);
}

/* Cases 1 and 3: rules that an earlier one makes pointless. */
static bool remove_later(struct optimizer *o)
{
	struct search s = {.deciders = &o->sets[0], .run = &o->sets[1], .quick = false};

	hash_rules(o);
	search_reset(&s);
	for (uint32_t i = 0; i < o->list->n; i++) {
		const struct pf_rule *r = &o->list->v[i];

		if (!pf_rule_plain(r))
			search_reset(&s);
		else if (redundant(o, &s, i, true))
			o->gone[i] = true;
		else
			search_add(&s, i, r->quick);
	}
	return compact(o);
}

/* Cases 2 and 4: rules that a later one makes pointless. */
static bool remove_earlier(struct optimizer *o)
{
	struct search s = {.deciders = &o->sets[0], .run = &o->sets[1], .quick = true};

	hash_rules(o);
	search_reset(&s);
	for (uint32_t i = (uint32_t)o->list->n; i-- > 0;) {
		const struct pf_rule *r = &o->list->v[i];

		if (!pf_rule_plain(r))
			search_reset(&s);
		else if (redundant(o, &s, i, !r->quick))
			o->gone[i] = true;
		else
			search_add(&s, i, true);
	}
	return compact(o);
}

/* --- runs --- */

static bool same_run(const struct pf_rule *a, const struct pf_rule *b)
{
	return a->quick == b->quick && pf_rule_same_effect(a, b) && pf_rule_plain(b);
}

/* The end of the run that begins with rule i; i + 1 if it is alone. */
static size_t run_end(const struct pf_rule_list *l, size_t i)
{
	size_t end = i + 1;

	if (pf_rule_plain(&l->v[i]))
		while (end < l->n && same_run(&l->v[i], &l->v[end]))
			end++;
	return end;
}

/* --- tables --- */

static int compare_entries(const void *va, const void *vb)
{
	const struct pf_table_entry *a = va, *b = vb;
	int c = memcmp(&a->ip, &b->ip, sizeof(a->ip));

	return c ? c : (int)a->bits - (int)b->bits;
}

/* In order and without doubles, so that equal tables are alike. */
static void sort_entries(struct pf_table_def *t)
{
	size_t kept = 0;

	qsort(t->entries, t->nentries, sizeof(*t->entries), compare_entries);
	for (size_t i = 0; i < t->nentries; i++)
		if (!kept || compare_entries(&t->entries[kept - 1], &t->entries[i]) != 0)
			t->entries[kept++] = t->entries[i];
	t->nentries = kept;
}

static bool same_entries(const struct pf_table_def *a, const struct pf_table_def *b)
{
	if (a->nentries != b->nentries || a->entries[0].af != b->entries[0].af)
		return false;
	for (size_t i = 0; i < a->nentries; i++)
		if (compare_entries(&a->entries[i], &b->entries[i]) != 0)
			return false;
	return true;
}

static uint32_t hash_entries(const struct pf_table_def *t)
{
	uint64_t h = t->entries[0].af;

	for (size_t i = 0; i < t->nentries; i++) {
		const struct pf_table_entry *e = &t->entries[i];

		for (size_t j = 0; j < sizeof(e->ip.b); j++)
			h = (h ^ e->ip.b[j]) * 0x100000001b3ULL;
		h = (h ^ e->bits) * 0x100000001b3ULL;
	}
	return (uint32_t)(h ^ h >> 32);
}

static bool prefix_only(const struct pf_rule *r, enum pf_but side)
{
	const struct pf_rule_host *h = side == PF_BUT_SRC ? &r->src : &r->dst;

	/* a table has both families: the rule must tell them apart */
	return h->type == PF_HOST_PREFIX && !h->neg && r->af && h->af == r->af;
}

/* The prefixes of the group's rules, in a table that has no name yet. */
static int collect_entries(const struct optimizer *o, struct pf_table_def *t, const uint32_t *group,
			   size_t n, enum pf_but side)
{
	struct pf_table_piece *piece = pf_table_def_add_piece(t);

	if (!piece)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		const struct pf_rule *r = &o->list->v[group[i]];
		const struct pf_rule_host *h = side == PF_BUT_SRC ? &r->src : &r->dst;
		struct pf_table_entry *e = pf_table_def_add(t);

		if (!e)
			return -ENOMEM;
		*e = (struct pf_table_entry){.af = h->af, .bits = h->bits, .ip = h->ip};
		pf_ip_mask(&e->ip, e->bits);
	}
	sort_entries(t);
	t->pieces[0].count = t->nentries;
	t->automatic = t->constant = t->has_list = true;
	return 0;
}

/*
 * Gives the table its name, by what is in it: the rules before these, which may have
 * a table of that name, have the same one then.  *name is NULL if there is no room
 * for it.  Takes over the table's memory.
 */
static int place_table(struct optimizer *o, struct pf_table_def *t, const char **name)
{
	const struct pf_table_def *have;
	const uint32_t hash = hash_entries(t);
	struct pf_table_def *slot;
	char text[PF_TABLE_NAME_SIZE];

	for (int nr = 0;; nr++) {
		snprintf(text, sizeof(text), AUTOMATIC "%x_%d", hash, nr);
		have = pf_block_find_table(o->block, text);
		if (!have)
			break;
		if (have->automatic && same_entries(have, t)) {
			*name = have->name;
			return 0;
		}
	}
	if (!o->tables_left || t->nentries > o->entries_left)
		return 0;
	slot = pf_block_add_table(o->rs, o->block, text);
	if (!slot)
		return -ENOMEM;
	o->tables_left--;
	o->entries_left -= t->nentries;
	t->name = slot->name;
	*slot = *t;
	*name = slot->name;
	*t = (struct pf_table_def){.name = NULL};
	return 0;
}

/* Case 6: the rules become the first of them, with a table.  1 if they do, or -ENOMEM. */
static int combine_group(struct optimizer *o, const uint32_t *group, size_t n, enum pf_but side)
{
	struct pf_rule *r = &o->list->v[group[0]];
	struct pf_table_def t = {.name = NULL};
	const char *name = NULL;
	int err;

	err = collect_entries(o, &t, group, n, side);
	if (!err)
		err = place_table(o, &t, &name);
	free(t.entries);
	free(t.pieces);
	if (err || !name)
		return err;
	*(side == PF_BUT_SRC ? &r->src : &r->dst) = (struct pf_rule_host){.type = PF_HOST_TABLE,
									  .table = name};
	for (size_t i = 1; i < n; i++) {
		o->gone[group[i]] = true;
		add_weight(o, group[0], group[i]);
	}
	return 1;
}

static int compare_hash(const void *va, const void *vb, void *ctx)
{
	const uint32_t a = *(const uint32_t *)va, b = *(const uint32_t *)vb;
	const uint64_t *hash = ctx;

	if (hash[a] != hash[b])
		return hash[a] < hash[b] ? -1 : 1;
	return a < b ? -1 : 1;
}

/* Groups of a run's rules that differ in one side only.  1 if there were any, or -ENOMEM. */
static int combine_run(struct optimizer *o, size_t begin, size_t end, enum pf_but side)
{
	const struct pf_rule *v = o->list->v;
	size_t n = 0, last;
	int any = 0;

	for (size_t i = begin; i < end; i++) {
		if (!prefix_only(&v[i], side))
			continue;
		o->hash[i] = pf_rule_hash(&v[i], side);
		o->order[n++] = (uint32_t)i;
	}
	if (n < PF_OPTIMIZE_TABLE_MIN)
		return 0;
	qsort_r(o->order, n, sizeof(*o->order), compare_hash, o->hash);
	for (size_t i = 0; i < n; i = last) {
		int r = 0;

		/* where two kinds of rules had the same hash, some are not found: no harm */
		for (last = i + 1; last < n; last++)
			if (!pf_rule_same_match(&v[o->order[i]], &v[o->order[last]], side))
				break;
		if (last - i >= PF_OPTIMIZE_TABLE_MIN)
			r = combine_group(o, &o->order[i], last - i, side);
		if (r < 0)
			return r;
		any |= r;
	}
	return any;
}

static int combine_side(struct optimizer *o, enum pf_but side)
{
	size_t end;
	int any = 0;

	for (size_t i = 0; i < o->list->n && any >= 0; i = end) {
		end = run_end(o->list, i);
		if (end - i >= PF_OPTIMIZE_TABLE_MIN) {
			int r = combine_run(o, i, end, side);

			any = r < 0 ? r : any | r;
		}
	}
	compact(o); /* also when memory is short: their packets are another rule's now */
	return any;
}

static int combine(struct optimizer *o)
{
	int src, dst;

	if (!o->tables)
		return 0;
	src = combine_side(o, PF_BUT_SRC);
	if (src < 0)
		return src;
	dst = combine_side(o, PF_BUT_DST);
	return dst < 0 ? dst : src | dst;
}

/* --- order --- */

static int compare_numbers(uint64_t a, uint64_t b)
{
	return a < b ? -1 : a > b;
}

static int compare_names(const char *a, const char *b)
{
	if (!a || !b)
		return (a != NULL) - (b != NULL);
	return strcmp(a, b);
}

static int compare_prefixes(const struct pf_rule_host *a, const struct pf_rule_host *b)
{
	struct pf_ip ia = a->ip, ib = b->ip;
	int c = compare_numbers(a->af, b->af);

	pf_ip_mask(&ia, a->bits);
	pf_ip_mask(&ib, b->bits);
	c = c ? c : memcmp(&ia, &ib, sizeof(ia));
	return c ? c : compare_numbers(a->bits, b->bits);
}

/* 0 if pf_host_same(). */
static int compare_hosts(const struct pf_rule_host *a, const struct pf_rule_host *b)
{
	int c = compare_numbers((uint64_t)a->type << 1 | a->neg, (uint64_t)b->type << 1 | b->neg);

	if (c)
		return c;
	switch (a->type) {
	case PF_HOST_PREFIX:
		return compare_prefixes(a, b);
	case PF_HOST_RANGE:
		c = compare_numbers(a->af, b->af);
		c = c ? c : memcmp(&a->ip, &b->ip, sizeof(a->ip));
		return c ? c : memcmp(a->hi, b->hi, sizeof(*a->hi));
	case PF_HOST_TABLE:
		return compare_names(a->table, b->table);
	case PF_HOST_DYNAMIC:
		c = compare_names(a->name, b->name);
		c = c ? c : compare_numbers(a->bits, b->bits);
		return c ? c : compare_numbers(a->modifiers, b->modifiers);
	case PF_HOST_RTLABEL:
	case PF_HOST_NAME:
		return compare_names(a->name, b->name);
	case PF_HOST_ANY:
	case PF_HOST_NO_ROUTE:
	case PF_HOST_URPF:
		break;
	}
	return 0;
}

/* The criteria that rules can be skipped by, in pf's order. */
enum skip { SKIP_IF, SKIP_DIR, SKIP_AF, SKIP_PROTO, SKIP_SRC, SKIP_DST, SKIP_SPORT, SKIP_DPORT };
#define SKIPS (SKIP_DPORT + 1)

static int compare_skip(enum skip what, const struct pf_rule *a, const struct pf_rule *b)
{
	int c;

	switch (what) {
	case SKIP_IF:
		c = compare_names(a->ifname, b->ifname);
		return c || !a->ifname ? c : compare_numbers(a->ifnot, b->ifnot);
	case SKIP_DIR:
		return compare_numbers(a->dir, b->dir);
	case SKIP_AF:
		return compare_numbers(a->af, b->af);
	case SKIP_PROTO:
		return compare_numbers(a->proto, b->proto);
	case SKIP_SRC:
		return compare_hosts(&a->src, &b->src);
	case SKIP_DST:
		return compare_hosts(&a->dst, &b->dst);
	case SKIP_SPORT:
		return compare_numbers(pf_port_key(&a->sport), pf_port_key(&b->sport));
	case SKIP_DPORT:
		return compare_numbers(pf_port_key(&a->dport), pf_port_key(&b->dport));
	}
	return 0;
}

static int compare_order(const void *va, const void *vb, void *ctx)
{
	const uint32_t a = *(const uint32_t *)va, b = *(const uint32_t *)vb;
	const struct pf_rule *v = ctx;

	for (int what = 0; what < SKIPS; what++) {
		int c = compare_skip((enum skip)what, &v[a], &v[b]);

		if (c)
			return c;
	}
	return a < b ? -1 : 1;
}

static int compare_weight(const void *va, const void *vb, void *ctx)
{
	const uint32_t a = *(const uint32_t *)va, b = *(const uint32_t *)vb;
	const uint64_t *weights = ctx;

	if (weights[a] != weights[b])
		return weights[a] > weights[b] ? -1 : 1;
	return a < b ? -1 : 1;
}

/* In how many criteria two neighbours disagree: each ends a skip step. */
static size_t disagreement(const struct pf_rule_list *l, size_t a, size_t b)
{
	size_t n = 0;

	if (a >= l->n || b >= l->n)
		return 0;
	for (int what = 0; what < SKIPS; what++)
		n += compare_skip((enum skip)what, &l->v[a], &l->v[b]) != 0;
	return n;
}

/* Does o->order make longer skip steps of the run, its neighbours outside counted? */
static bool order_is_better(const struct optimizer *o, size_t begin, size_t end)
{
	size_t now = 0, then = 0, last = begin - 1; /* SIZE_MAX: there is none */

	for (size_t i = begin; i < end; i++) {
		now += disagreement(o->list, i - 1, i);
		then += disagreement(o->list, last, o->order[i - begin]);
		last = o->order[i - begin];
	}
	now += disagreement(o->list, end - 1, end);
	then += disagreement(o->list, last, end);
	return then < now;
}

static bool weights_differ(const struct optimizer *o, size_t begin, size_t end)
{
	for (size_t i = begin + 1; o->weights && i < end; i++)
		if (o->weights[i] != o->weights[begin])
			return true;
	return false;
}

/* Puts the run's rules into the order of o->order: did it change anything? */
static bool apply_order(struct optimizer *o, size_t begin, size_t end)
{
	bool changed = false;

	for (size_t i = begin; i < end; i++) {
		uint32_t from = o->order[i - begin];

		changed |= from != i;
		o->sorted[i] = o->list->v[from];
		if (o->weights)
			o->sorted_weights[i] = o->weights[from];
	}
	memcpy(&o->list->v[begin], &o->sorted[begin], (end - begin) * sizeof(*o->sorted));
	if (o->weights)
		memcpy(&o->weights[begin], &o->sorted_weights[begin],
		       (end - begin) * sizeof(*o->weights));
	return changed;
}

/* Case 5. */
static bool sort_run(struct optimizer *o, size_t begin, size_t end)
{
	const bool profile = o->list->v[begin].quick && weights_differ(o, begin, end);

	for (size_t i = begin; i < end; i++)
		o->order[i - begin] = (uint32_t)i;
	if (profile) {
		qsort_r(o->order, end - begin, sizeof(*o->order), compare_weight, o->weights);
	} else {
		qsort_r(o->order, end - begin, sizeof(*o->order), compare_order, o->list->v);
		if (!order_is_better(o, begin, end))
			return false;
	}
	return apply_order(o, begin, end);
}

static bool sort_runs(struct optimizer *o)
{
	bool changed = false;
	size_t end;

	for (size_t i = 0; i < o->list->n; i = end) {
		end = run_end(o->list, i);
		if (end - i > 1)
			changed |= sort_run(o, i, end);
	}
	return changed;
}

/* --- rulesets --- */

static int optimize_block(struct optimizer *o, struct pf_block *b, const uint64_t *weights)
{
	bool changed = true;
	int err, combined;

	o->block = b;
	o->list = &b->list[PF_LIST_FILTER];
	if (o->list->n < 2)
		return 0;
	err = reserve(o, weights);
	for (int round = 0; !err && changed && round < MAX_ROUNDS; round++) {
		changed = remove_later(o);
		changed |= remove_earlier(o);
		combined = combine(o);
		err = combined < 0 ? combined : 0;
		changed |= combined > 0;
		changed |= sort_runs(o);
	}
	release(o);
	return err;
}

static bool logs_matches(const struct pf_block *b)
{
	const struct pf_rule_list *l = &b->list[PF_LIST_FILTER];

	for (size_t i = 0; i < l->n; i++)
		if (l->v[i].x && l->v[i].x->log_matches)
			return true;
	return false;
}

struct names_ctx {
	const struct pf_ruleset *rs;
	const struct pf_block *block;
	bool taken;
};

static void check_name(void *ctx, const char *name, uint16_t file, uint32_t line)
{
	struct names_ctx *c = ctx;
	const struct pf_table_def *t;

	(void)file;
	(void)line;
	if (strncmp(name, AUTOMATIC, strlen(AUTOMATIC)) != 0)
		return;
	t = pf_block_find_table(c->block, name);
	if (!t)
		t = pf_ruleset_find_table(c->rs, name);
	c->taken |= !t || !t->automatic;
}

/* Somebody else has tables with names like ours: a new one could be taken for theirs. */
static bool names_taken(const struct pf_ruleset *rs, const struct pf_block *b)
{
	struct names_ctx c = {.rs = rs, .block = b};

	pf_block_table_refs(b, check_name, &c);
	return c.taken;
}

static size_t less(size_t a, size_t b)
{
	return a > b ? a - b : 0;
}

/*
 * While rules are loaded, those before them have their tables, too: ours must leave
 * half of the limits free, lest a ruleset be refused that would do without them.
 */
static void count_tables(struct optimizer *o)
{
	const struct pf_options *opt = &o->rs->options;

	o->tables_left = opt->limit[PF_LIMIT_TABLES] / 2;
	o->entries_left = opt->limit[PF_LIMIT_TABLE_ENTRIES] / 2;
	for (size_t k = 0; k <= o->rs->nblocks; k++) {
		const struct pf_block *b = k ? o->rs->blocks[k - 1] : &o->rs->main;

		o->tables_left = less(o->tables_left, b->ntables);
		for (size_t i = 0; i < b->ntables; i++)
			o->entries_left = less(o->entries_left, b->tables[i].nentries);
		o->tables &= !names_taken(o->rs, b);
	}
}

int pf_ruleset_optimize(struct pf_ruleset *rs, enum pf_optimize level, const uint64_t *weights)
{
	struct optimizer base = {.rs = rs, .tables = true};
	bool matches = logs_matches(&rs->main);
	int err;

	for (size_t i = 0; i < rs->nblocks; i++)
		matches |= logs_matches(rs->blocks[i]);
	if (level == PF_OPTIMIZE_NONE || matches)
		return 0;
	count_tables(&base);
	err = optimize_block(&base, &rs->main, level == PF_OPTIMIZE_PROFILE ? weights : NULL);
	for (size_t i = 0; !err && i < rs->nblocks; i++) {
		struct optimizer o = {.rs = rs,
				      .tables = base.tables,
				      .tables_left = base.tables_left,
				      .entries_left = base.entries_left};

		err = optimize_block(&o, rs->blocks[i], NULL);
		base.tables_left = o.tables_left;
		base.entries_left = o.entries_left;
	}
	return err;
}
