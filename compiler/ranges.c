// SPDX-License-Identifier: BSD-2-Clause
#include "ranges.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define WIDTH_MOST 128

/*
 * Addresses at which it changes whether they are in the table, ascending; for the
 * address with which the range begins, `in` tells it.
 */
struct changes {
	pf_u128 *v;
	size_t n, capacity;
	bool in;
	bool failed;
};

struct builder {
	struct pf_nodes *nodes;
	const struct pf_prefixes *set;
	uint8_t width;
	struct pf_ranges_change change;
};

/* --- what changes where --- */

static void append(struct changes *c, pf_u128 at)
{
	if (c->n == c->capacity) {
		size_t want = c->capacity ? c->capacity * 2 : 128;
		pf_u128 *v = reallocarray(c->v, want, sizeof(*v));

		if (!v) {
			c->failed = true;
			return;
		}
		c->v = v;
		c->capacity = want;
	}
	c->v[c->n++] = at;
}

/* From `at` on it is so; what was said of the same address before is void. */
static void changes_to(struct changes *c, pf_u128 at, bool in)
{
	if (c->n && c->v[c->n - 1] == at)
		c->n--;
	if ((c->in ^ (c->n & 1)) != in)
		append(c, at);
}

/* Prefixes that cover the address at hand, each inside the one before. */
struct open {
	struct {
		pf_u128 last;
		bool in;
	} v[WIDTH_MOST + 1];
	int n;
};

static bool open_in(const struct open *o)
{
	return o->n && o->v[o->n - 1].in;
}

static void open_push(struct open *o, const struct pf_prefix *p, uint8_t width)
{
	o->v[o->n].last = pf_prefix_last(p, width);
	o->v[o->n].in = !p->neg;
	o->n++;
}

static void close_before(struct open *o, pf_u128 at, struct changes *c)
{
	while (o->n && o->v[o->n - 1].last < at) {
		pf_u128 next = o->v[o->n - 1].last + 1;

		o->n--;
		changes_to(c, next, open_in(o));
	}
}

static void open_at(struct open *o, const struct pf_prefixes *set, pf_u128 at)
{
	struct pf_prefix covering[WIDTH_MOST + 1];
	int n = 0, bits = set->width;

	while (bits >= 0 && pf_prefixes_cover(set, at, bits, &covering[n]))
		bits = covering[n++].bits - 1;
	o->n = 0;
	while (n)
		open_push(o, &covering[--n], set->width);
}

/* Of the addresses a to b. */
static void find_changes(const struct pf_prefixes *set, pf_u128 a, pf_u128 b, struct changes *c)
{
	const struct pf_prefix from = {.addr = a, .bits = set->width};
	struct pf_prefix_place at;
	struct open o;
	bool exact;

	memset(c, 0, sizeof(*c));
	open_at(&o, set, a);
	c->in = open_in(&o);
	at = pf_prefixes_find(set, &from, &exact);
	if (exact)
		pf_prefixes_next(set, &at);
	for (; !pf_prefixes_end(set, at); pf_prefixes_next(set, &at)) {
		struct pf_prefix p = pf_prefixes_get(set, at);

		if (p.addr > b)
			break;
		close_before(&o, p.addr, c);
		open_push(&o, &p, set->width);
		changes_to(c, p.addr, !p.neg);
	}
	close_before(&o, b, c);
}

/* --- nodes --- */

static uint32_t same(bool in)
{
	return PF_RANGE_SAME | (in ? PF_RANGE_IN : 0);
}

static uint32_t kind(uint32_t word)
{
	return word & PF_RANGE_KIND;
}

static size_t leaf_most(uint8_t width)
{
	return width == 32 ? PF_LEAF4_MOST : PF_LEAF6_MOST;
}

static uint32_t leaf_units(uint8_t width)
{
	return width == 32 ? 1 : sizeof(struct pf_range_leaf6) / PF_NODE_UNIT;
}

static uint32_t split_units(uint32_t last)
{
	size_t size = sizeof(struct pf_range_split) + ((size_t)last + 1) * sizeof(uint32_t);

	return (uint32_t)((size + PF_NODE_UNIT - 1) / PF_NODE_UNIT);
}

static uint32_t make_leaf(const struct builder *b, const pf_u128 *v, size_t n, bool in)
{
	uint32_t word;
	void *mem;

	if (!pf_nodes_alloc(b->nodes, leaf_units(b->width), &word))
		return 0;
	mem = pf_nodes_at(b->nodes, word);
	memset(mem, 0xff, leaf_units(b->width) * PF_NODE_UNIT);
	for (size_t i = 0; i < n; i++) {
		const pf_u128 above = v[i] - 1;

		if (b->width == 32)
			((struct pf_range_leaf4 *)mem)->above[i] = (uint32_t)above;
		else
			((struct pf_range_leaf6 *)mem)->above[i] = (struct pf_range_addr){
				.hi = (uint64_t)(above >> 64), .lo = (uint64_t)above};
	}
	return word | PF_RANGE_LEAF | (in ? PF_RANGE_IN : 0);
}

static pf_u128 base_of(const struct pf_range_split *s)
{
	return (pf_u128)s->base.hi << 64 | s->base.lo;
}

/* The first address of a slot. */
static pf_u128 slot_begin(const struct pf_range_split *s, uint32_t slot)
{
	return base_of(s) + ((pf_u128)slot << s->shift);
}

static uint32_t slot_of(const struct pf_range_split *s, pf_u128 addr)
{
	pf_u128 base = base_of(s), slot;

	if (addr < base)
		return 0;
	slot = (addr - base) >> s->shift;
	return slot > s->last ? s->last : (uint32_t)slot;
}

static bool inside(const struct pf_range_split *s, pf_u128 addr)
{
	return addr >= base_of(s) && (addr - base_of(s)) >> s->shift <= s->last;
}

static uint32_t build(struct builder *b, const pf_u128 *v, size_t n, bool in);

/* Slots in a row whose changes fit in one leaf share it. */
struct run {
	uint32_t first, last; /* slots; those without a change of their own are not its */
	size_t from, to;      /* of the changes */
	bool in;
	bool open;
};

#define OF_RUN UINT32_MAX /* no word: the chunk would be the last, and the kind none */

static void end_run(struct builder *b, struct pf_range_split *s, struct run *r, const pf_u128 *v)
{
	bool held = false;
	uint32_t leaf;

	if (!r->open)
		return;
	r->open = false;
	leaf = make_leaf(b, v + r->from, r->to - r->from, r->in);
	if (b->nodes->error)
		return;
	for (uint32_t i = r->first; i <= r->last; i++) {
		if (s->slot[i] != OF_RUN)
			continue;
		s->slot[i] = leaf;
		if (held)
			pf_nodes_hold(b->nodes, leaf);
		held = true;
	}
}

/* Slot i, which begins as `in` says, with changes from..to: one of a run, if they fit. */
/* NOLINTNEXTLINE(misc-no-recursion): as build() */
static void fill_slot(struct builder *b, struct pf_range_split *s, uint32_t i, struct run *r,
		      const pf_u128 *v, size_t from, size_t to, bool in)
{
	const size_t most = leaf_most(b->width);

	if (from == to) {
		s->slot[i] = same(in);
		return;
	}
	if (to - from > most) {
		end_run(b, s, r, v);
		s->slot[i] = build(b, v + from, to - from, in);
		return;
	}
	if (!r->open || to - r->from > most) {
		end_run(b, s, r, v);
		*r = (struct run){.first = i, .from = from, .in = in, .open = true};
	}
	s->slot[i] = OF_RUN;
	r->last = i;
	r->to = to;
}

/*
 * Slots first to last from the changes in them.  With a change at its very first
 * address a slot begins as it says: so it does not depend on what is before it.
 */
/* NOLINTNEXTLINE(misc-no-recursion): as build() */
static void fill_slots(struct builder *b, struct pf_range_split *s, uint32_t first, uint32_t last,
		       const pf_u128 *v, size_t n, bool in)
{
	struct run run = {.open = false};
	size_t to = 0;

	for (uint32_t i = first; i <= last && !b->nodes->error; i++) {
		const pf_u128 end = i < s->last ? slot_begin(s, i + 1) : 0;
		size_t from = to;

		while (to < n && (i == last || v[to] < end))
			to++;
		if (i && from < to && v[from] == slot_begin(s, i))
			from++;
		fill_slot(b, s, i, &run, v, from, to, in ^ (from & 1));
	}
	end_run(b, s, &run, v);
}

static unsigned int bit_length(pf_u128 x)
{
	uint64_t hi = (uint64_t)(x >> 64), lo = (uint64_t)x;

	if (hi)
		return 128 - (unsigned int)__builtin_clzll(hi);
	return lo ? 64 - (unsigned int)__builtin_clzll(lo) : 0;
}

/* A node for the smallest aligned block that has all the changes in it. */
/* NOLINTNEXTLINE(misc-no-recursion): as build() */
static uint32_t make_split(struct builder *b, const pf_u128 *v, size_t n, bool in)
{
	const unsigned int all = bit_length(v[0] ^ v[n - 1]);
	const pf_u128 base = all < 128 ? v[0] >> all << all : 0;
	unsigned int bits = PF_SPLIT_BITS_LEAST;
	struct pf_range_split *s;
	uint32_t word;

	/* so many slots that a leaf seldom overflows: a node instead takes more memory and time */
	while (bits < PF_SPLIT_BITS_MOST && n >> bits > leaf_most(b->width) / 2)
		bits++;
	if (bits > all)
		bits = all;
	if (!pf_nodes_alloc(b->nodes, split_units((1U << bits) - 1), &word))
		return 0;
	s = pf_nodes_at(b->nodes, word);
	*s = (struct pf_range_split){.base = {.hi = (uint64_t)(base >> 64), .lo = (uint64_t)base},
				     .shift = all - bits,
				     .last = (1U << bits) - 1};
	fill_slots(b, s, 0, s->last, v, n, in);
	return word | PF_RANGE_SPLIT;
}

/* NOLINTNEXTLINE(misc-no-recursion): PF_RANGE_DEPTH6 levels at the most */
static uint32_t build(struct builder *b, const pf_u128 *v, size_t n, bool in)
{
	if (b->nodes->error)
		return 0;
	if (!n)
		return same(in);
	if (n <= leaf_most(b->width))
		return make_leaf(b, v, n, in);
	return make_split(b, v, n, in);
}

static uint32_t build_between(struct builder *b, pf_u128 first, pf_u128 last)
{
	struct changes c;
	uint32_t word = 0;

	find_changes(b->set, first, last, &c);
	if (c.failed)
		b->nodes->error = -ENOMEM;
	else
		word = build(b, c.v, c.n, c.in);
	free(c.v);
	return word;
}

static struct builder builder_of(struct pf_nodes *n, const struct pf_prefixes *set)
{
	return (struct builder){.nodes = n, .set = set, .width = set->width};
}

uint32_t pf_ranges_build(struct pf_nodes *n, const struct pf_prefixes *set)
{
	struct builder b = builder_of(n, set);

	return build_between(&b, 0, pf_prefix_most(set->width));
}

/* NOLINTNEXTLINE(misc-no-recursion): as build() */
void pf_ranges_free(struct pf_nodes *n, uint8_t width, uint32_t word)
{
	const struct pf_range_split *s;

	if (kind(word) == PF_RANGE_LEAF)
		pf_nodes_free(n, word, leaf_units(width));
	if (kind(word) != PF_RANGE_SPLIT)
		return;
	s = pf_nodes_at(n, word);
	for (uint32_t i = 0; i <= s->last; i++)
		pf_ranges_free(n, width, s->slot[i]);
	pf_nodes_free(n, word, split_units(s->last));
}

/* --- updates --- */

/* A copy of a node in which the slots are made anew. */
static uint32_t split_again(struct builder *b, uint32_t word, uint32_t first, uint32_t last,
			    pf_u128 begin, pf_u128 end)
{
	const struct pf_range_split *old = pf_nodes_at(b->nodes, word);
	struct pf_range_split *s;
	struct changes c;
	uint32_t copy;

	find_changes(b->set, begin, end, &c);
	if (c.failed)
		b->nodes->error = -ENOMEM;
	if (pf_nodes_alloc(b->nodes, split_units(old->last), &copy)) {
		s = pf_nodes_at(b->nodes, copy);
		memcpy(s, old, sizeof(*s) + ((size_t)old->last + 1) * sizeof(s->slot[0]));
		fill_slots(b, s, first, last, c.v, c.n, c.in);
		for (uint32_t i = first; i <= last; i++)
			pf_ranges_free(b->nodes, b->width, old->slot[i]);
		pf_nodes_free(b->nodes, word, split_units(old->last));
	}
	free(c.v);
	return copy | PF_RANGE_SPLIT;
}

/* Would all of the node say the same, with that word in slot i? */
static bool collapses(const struct pf_range_split *s, uint32_t i, uint32_t word)
{
	if (kind(word) != PF_RANGE_SAME)
		return false;
	for (uint32_t j = 0; j <= s->last; j++)
		if (j != i && s->slot[j] != word)
			return false;
	return true;
}

/*
 * The node of addresses first to last, of which x to y may have changed: another
 * word for it, or the same if a slot is to be written.  Changes outside of its block
 * would all come to its first or last slot: it is made anew then, for a larger block.
 */
/* NOLINTNEXTLINE(misc-no-recursion): as build() */
static uint32_t update(struct builder *b, uint32_t word, pf_u128 first, pf_u128 last, pf_u128 x,
		       pf_u128 y)
{
	struct pf_range_split *s;
	uint32_t i, j, next;

	if (kind(word) != PF_RANGE_SPLIT || !b->set->n)
		goto anew;
	s = pf_nodes_at(b->nodes, word);
	if ((x > first && !inside(s, x)) || (y < last && !inside(s, y + 1)))
		goto anew;
	i = slot_of(s, x);
	j = slot_of(s, y);
	first = i ? slot_begin(s, i) : first;
	last = j < s->last ? slot_begin(s, j + 1) - 1 : last;
	if (i != j)
		return split_again(b, word, i, j, first, last);
	next = update(b, s->slot[i], first, last, x, y);
	if (collapses(s, i, next)) {
		pf_nodes_free(b->nodes, word, split_units(s->last));
		return next;
	}
	if (next != s->slot[i])
		b->change = (struct pf_ranges_change){.slot = &s->slot[i], .word = next};
	return word;
anew:
	next = build_between(b, first, last);
	pf_ranges_free(b->nodes, b->width, word);
	return next;
}

struct pf_ranges_change pf_ranges_update(struct pf_nodes *n, const struct pf_prefixes *set,
					 uint32_t word, const struct pf_prefix *entry)
{
	struct builder b = builder_of(n, set);
	uint32_t next = update(&b, word, 0, pf_prefix_most(set->width), entry->addr,
			       pf_prefix_last(entry, set->width));

	if (next != word)
		b.change.word = next;
	else if (!b.change.slot)
		b.change.word = word;
	return b.change;
}
