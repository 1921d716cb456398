// SPDX-License-Identifier: BSD-2-Clause
#include "nodes.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define MAP_WORDS    (PF_NODE_UNITS / 64)

/* A wait for packets takes some 10 ms: it must be worth that much memory, in units. */
#define WORTH_A_WAIT (PF_NODE_UNITS / 2)

struct pf_nodes_chunk {
	uint8_t *mem;
	uint32_t free;
	uint32_t hint; /* below it nothing is free */
	uint64_t used[MAP_WORDS];
	uint8_t holders[PF_NODE_UNITS]; /* of what begins there */
};

void pf_nodes_init(struct pf_nodes *n, const struct pf_nodes_source *source)
{
	memset(n, 0, sizeof(*n));
	n->source = *source;
}

void pf_nodes_close(struct pf_nodes *n)
{
	for (size_t i = 0; i < PF_NODE_CHUNKS; i++)
		free(n->chunk[i]);
	free(n->limbo.v);
	free(n->made.v);
	free(n->gone.v);
	memset(n, 0, sizeof(*n));
}

/* --- lists --- */

static bool reserve(struct pf_nodes_list *l, size_t more)
{
	size_t want = l->capacity ? l->capacity : 64;
	struct pf_nodes_run *v;

	if (l->n + more <= l->capacity)
		return true;
	while (want < l->n + more)
		want *= 2;
	v = reallocarray(l->v, want, sizeof(*v));
	if (!v)
		return false;
	l->v = v;
	l->capacity = want;
	return true;
}

/* There must be room. */
static void put(struct pf_nodes_list *l, uint32_t word, uint32_t units)
{
	l->v[l->n++] = (struct pf_nodes_run){.word = word, .units = units};
	l->units += units;
}

static void empty(struct pf_nodes_list *l)
{
	l->n = l->units = 0;
	/* what a large operation has needed is not kept */
	if (l->capacity > 65536) {
		free(l->v);
		l->v = NULL;
		l->capacity = 0;
	}
}

/* --- units --- */

static bool is_used(const struct pf_nodes_chunk *c, uint32_t unit)
{
	return c->used[unit / 64] >> unit % 64 & 1;
}

static void mark(struct pf_nodes_chunk *c, uint32_t unit, uint32_t units, bool used)
{
	for (uint32_t i = unit; i < unit + units; i++) {
		if (used)
			c->used[i / 64] |= 1ULL << i % 64;
		else
			c->used[i / 64] &= ~(1ULL << i % 64);
	}
	c->free = used ? c->free - units : c->free + units;
	if (!used && unit < c->hint)
		c->hint = unit;
}

/* The first free unit from `unit` on, PF_NODE_UNITS if there is none. */
static uint32_t next_free(const struct pf_nodes_chunk *c, uint32_t unit)
{
	while (unit < PF_NODE_UNITS) {
		uint64_t room = ~c->used[unit / 64] >> unit % 64;

		if (room)
			return unit + (uint32_t)__builtin_ctzll(room);
		unit = (unit / 64 + 1) * 64;
	}
	return PF_NODE_UNITS;
}

/* Units in a row: the first of them, or PF_NODE_UNITS. */
static uint32_t find_run(struct pf_nodes_chunk *c, uint32_t units)
{
	uint32_t at;

	if (c->free < units)
		return PF_NODE_UNITS;
	at = c->hint = next_free(c, c->hint);
	while (at + units <= PF_NODE_UNITS) {
		uint32_t n = 1;

		while (n < units && !is_used(c, at + n))
			n++;
		if (n == units)
			return at;
		at = next_free(c, at + n);
	}
	return PF_NODE_UNITS;
}

static bool take(struct pf_nodes *n, uint32_t chunk, uint32_t units, uint32_t *word)
{
	struct pf_nodes_chunk *c = n->chunk[chunk];
	uint32_t unit = c ? find_run(c, units) : PF_NODE_UNITS;

	if (unit == PF_NODE_UNITS)
		return false;
	mark(c, unit, units, true);
	c->holders[unit] = 1;
	n->hint = chunk;
	*word = chunk << PF_RANGE_CHUNK_SHIFT | unit * (PF_NODE_UNIT / PF_RANGE_UNIT_BYTES);
	put(&n->made, *word, units);
	return true;
}

static uint32_t unit_of(uint32_t word)
{
	return (word & PF_RANGE_UNIT) / (PF_NODE_UNIT / PF_RANGE_UNIT_BYTES);
}

static void give_back(struct pf_nodes *n, const struct pf_nodes_list *l)
{
	for (size_t i = 0; i < l->n; i++)
		mark(n->chunk[l->v[i].word >> PF_RANGE_CHUNK_SHIFT], unit_of(l->v[i].word),
		     l->v[i].units, false);
}

/* --- chunks --- */

static int wait_limbo(struct pf_nodes *n)
{
	int err = n->source.grace(n->source.ctx);

	if (err)
		return err;
	give_back(n, &n->limbo);
	empty(&n->limbo);
	n->hint = 0;
	return 0;
}

static int add_chunk(struct pf_nodes *n, uint32_t *at)
{
	struct pf_nodes_chunk *c;

	for (*at = 0; *at < PF_NODE_CHUNKS; (*at)++)
		if (!n->chunk[*at] && !n->foreign[*at])
			break;
	if (*at == PF_NODE_CHUNKS)
		return -ENOSPC;
	c = calloc(1, sizeof(*c));
	if (!c)
		return -ENOMEM;
	errno = ENOMEM;
	c->mem = n->source.make(n->source.ctx, *at);
	if (!c->mem) {
		free(c);
		return -errno;
	}
	c->free = PF_NODE_UNITS;
	n->chunk[*at] = c;
	n->nchunks++;
	return 0;
}

static bool take_anywhere(struct pf_nodes *n, uint32_t units, uint32_t *word)
{
	bool done = take(n, n->hint, units, word);
	uint32_t seen = 0;

	for (uint32_t i = 0; !done && seen < n->nchunks && i < PF_NODE_CHUNKS; i++) {
		seen += n->chunk[i] != NULL;
		done = take(n, i, units, word);
	}
	return done;
}

bool pf_nodes_alloc(struct pf_nodes *n, uint32_t units, uint32_t *word)
{
	uint32_t at;

	*word = 0;
	if (n->error)
		return false;
	if (!reserve(&n->made, 1)) {
		n->error = -ENOMEM;
		return false;
	}
	if (take_anywhere(n, units, word))
		return true;
	/* limbo keeps the room that was reserved for what an open operation frees */
	if (n->limbo.units >= WORTH_A_WAIT && !n->gone.n && wait_limbo(n) == 0 &&
	    take_anywhere(n, units, word))
		return true;
	n->error = add_chunk(n, &at);
	return !n->error && take(n, at, units, word);
}

void *pf_nodes_at(const struct pf_nodes *n, uint32_t word)
{
	return n->chunk[word >> PF_RANGE_CHUNK_SHIFT]->mem + (size_t)unit_of(word) * PF_NODE_UNIT;
}

void pf_nodes_hold(struct pf_nodes *n, uint32_t word)
{
	n->chunk[word >> PF_RANGE_CHUNK_SHIFT]->holders[unit_of(word)]++;
}

void pf_nodes_free(struct pf_nodes *n, uint32_t word, uint32_t units)
{
	/* with room for them in limbo, so that a commit cannot fail */
	if (!reserve(&n->gone, 1) || !reserve(&n->limbo, n->gone.n + 1))
		n->error = -ENOMEM;
	else
		put(&n->gone, word, units);
}

/* --- operations --- */

void pf_nodes_commit(struct pf_nodes *n)
{
	for (size_t i = 0; i < n->gone.n; i++) {
		const struct pf_nodes_run *r = &n->gone.v[i];

		if (--n->chunk[r->word >> PF_RANGE_CHUNK_SHIFT]->holders[unit_of(r->word)] == 0)
			put(&n->limbo, r->word, r->units);
	}
	empty(&n->gone);
	empty(&n->made);
}

int pf_nodes_abort(struct pf_nodes *n)
{
	int err = n->error;

	give_back(n, &n->made);
	empty(&n->made);
	empty(&n->gone);
	n->error = 0;
	return err;
}

void pf_nodes_trim(struct pf_nodes *n)
{
	uint32_t kept = 0;

	if (n->limbo.units < WORTH_A_WAIT || wait_limbo(n))
		return;
	for (uint32_t i = 0; i < PF_NODE_CHUNKS; i++) {
		struct pf_nodes_chunk *c = n->chunk[i];

		/* one stays, for the next change */
		if (!c || c->free < PF_NODE_UNITS || !kept++)
			continue;
		n->source.unmake(n->source.ctx, i, c->mem);
		free(c);
		n->chunk[i] = NULL;
		n->nchunks--;
	}
	n->hint = 0;
}
