/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Ranges of tables in plain memory, and the datapath's own look-up, compiled for
 * the host: its maps are handles here.
 */
#ifndef PF_SELFTESTS_UNIT_RANGES_MEM_H
#define PF_SELFTESTS_UNIT_RANGES_MEM_H

#include <arpa/inet.h>
#include <endian.h>

#include "../../compiler/ranges.h"
#include "unit.h"

struct mem_table;
struct mem {
	void *chunk[PF_NODE_CHUNKS];
	uint32_t made, unmade, graces;
	uint32_t chunks_most;		  /* further ones fail; 0: none does */
	struct pf_table_roots *roots;	  /* of the table that is looked up, whatever the slot */
	const struct pf_table_net *added; /* what the delta holds; NULL nothing */
	const struct mem_table *denies;	  /* whose `!' entries are in the trie; NULL none */
	uint32_t delta_looks;
};

static struct mem mem_now; /* the one that look-ups see */

static inline void *mem_make(void *ctx, uint32_t at)
{
	struct mem *m = ctx;

	assert_null(m->chunk[at]);
	if (m->chunks_most && m->made - m->unmade >= m->chunks_most) {
		errno = ENOMEM;
		return NULL;
	}
	m->made++;
	m->chunk[at] = aligned_alloc(64, sizeof(struct pf_node_chunk));
	memset(m->chunk[at], 0, sizeof(struct pf_node_chunk));
	return m->chunk[at];
}

static inline void mem_unmake(void *ctx, uint32_t at, void *p)
{
	struct mem *m = ctx;

	assert_ptr_equal(m->chunk[at], p);
	m->unmade++;
	free(p);
	m->chunk[at] = NULL;
}

static inline int mem_grace(void *ctx)
{
	struct mem *m = ctx;

	m->graces++;
	return 0;
}

static inline void mem_open(struct pf_nodes *n)
{
	const struct pf_nodes_source source = {
		.make = mem_make, .unmake = mem_unmake, .grace = mem_grace, .ctx = &mem_now};

	memset(&mem_now, 0, sizeof(mem_now));
	pf_nodes_init(n, &source);
}

static inline void mem_close(struct pf_nodes *n)
{
	pf_nodes_close(n);
	for (size_t i = 0; i < PF_NODE_CHUNKS; i++)
		free(mem_now.chunk[i]);
	memset(&mem_now, 0, sizeof(mem_now));
}

/* --- the datapath's look-up --- */

#define MEM_TABLES ((void *)1)
#define MEM_NODES  ((void *)2)
#define MEM_DELTA  ((void *)3)
#define MEM_NOTS   ((void *)4)

static const uint32_t *mem_denies(const struct mem_table *t, const struct pf_table_not *key);

static inline void *mem_lookup(const void *map, const void *key)
{
	uint32_t k;

	if (map == MEM_DELTA) {
		mem_now.delta_looks++;
		return mem_now.added && memcmp(key, mem_now.added, sizeof(*mem_now.added)) == 0
			       ? mem_now.roots
			       : NULL;
	}
	if (map == MEM_NOTS)
		return mem_now.denies ? (void *)(uintptr_t)mem_denies(mem_now.denies, key) : NULL;
	memcpy(&k, key, sizeof(k));
	if (map == MEM_TABLES)
		return mem_now.roots;
	if (map == MEM_NODES)
		return k < PF_NODE_CHUNKS ? mem_now.chunk[k] : NULL;
	assert_int_equal(k, 0);
	return (void *)(uintptr_t)map; /* a chunk, of one element */
}

#define inline_always		      static inline
#define opaque(x)		      __asm__ volatile("" : "+r"(x))
#define READ_ONCE(x)		      (*(volatile __typeof__(x) *)&(x))
#define bpf_ntohl(x)		      ntohl(x)
#define bpf_be64_to_cpu(x)	      be64toh(x)
#define bpf_cpu_to_be64(x)	      htobe64(x)
#define bpf_map_lookup_elem(map, key) mem_lookup(map, key)
#define RANGE_TABLES		      MEM_TABLES
#define RANGE_NODES		      MEM_NODES
#define RANGE_DELTA		      MEM_DELTA
#define RANGE_NOTS		      MEM_NOTS
#define RANGE_SUB		      static
#include "../../bpf/ranges.h"
#undef inline_always
#undef opaque
#undef READ_ONCE
#undef bpf_ntohl
#undef bpf_be64_to_cpu
#undef bpf_cpu_to_be64
#undef bpf_map_lookup_elem

/* --- a table --- */

struct mem_table {
	struct pf_nodes *nodes;
	struct pf_table_item *items;
	size_t n, room;
	struct pf_prefixes set[2];
	struct pf_table_roots roots;
};

static const uint8_t mem_af[2] = {PF_AF_INET, PF_AF_INET6};

static inline void mem_table_open(struct mem_table *t, struct pf_nodes *nodes, size_t room)
{
	memset(t, 0, sizeof(*t));
	t->nodes = nodes;
	t->room = room;
	t->items = calloc(room + 1, sizeof(*t->items));
	for (int f = 0; f < 2; f++)
		pf_prefixes_init(&t->set[f], mem_af[f], t->items);
}

static inline void mem_table_close(struct mem_table *t)
{
	for (int f = 0; f < 2; f++) {
		pf_ranges_free(t->nodes, t->set[f].width, t->roots.word[f]);
		pf_prefixes_free(&t->set[f]);
	}
	pf_nodes_commit(t->nodes);
	free(t->items);
}

/* A new item; the place in the array. */
static inline uint32_t mem_item(struct mem_table *t, int f, const struct pf_prefix_key *k)
{
	uint32_t at = 0;

	while (t->items[at].af)
		at++;
	assert_true(at < t->room);
	pf_prefix_to_item(k, mem_af[f], &t->items[at]);
	t->items[at].af = mem_af[f];
	return at;
}

static inline void mem_update(struct mem_table *t, int f, const struct pf_prefix *p)
{
	struct pf_ranges_change c = pf_ranges_update(t->nodes, &t->set[f], t->roots.word[f], p);

	assert_int_equal(t->nodes->error, 0);
	*(c.slot ? c.slot : &t->roots.word[f]) = c.word;
	pf_nodes_commit(t->nodes);
}

/* False if it is there. */
static inline bool mem_add(struct mem_table *t, int f, const struct pf_prefix_key *k)
{
	struct pf_prefix p = pf_prefix_of_key(k);
	struct pf_prefix_place at;
	bool exact;

	at = pf_prefixes_find(&t->set[f], &p, &exact);
	if (exact)
		return false;
	assert_int_equal(pf_prefixes_insert(&t->set[f], at, mem_item(t, f, k)), 0);
	t->n++;
	mem_update(t, f, &p);
	return true;
}

static inline bool mem_delete(struct mem_table *t, int f, const struct pf_prefix *p)
{
	struct pf_prefix_place at;
	bool exact;

	at = pf_prefixes_find(&t->set[f], p, &exact);
	if (!exact)
		return false;
	t->items[pf_prefixes_ref(&t->set[f], at)].af = 0;
	pf_prefixes_remove(&t->set[f], at);
	t->n--;
	mem_update(t, f, p);
	return true;
}

/* All at once, in a tree made anew. */
static inline void mem_build(struct mem_table *t, int f)
{
	uint32_t word = pf_ranges_build(t->nodes, &t->set[f]);

	assert_int_equal(t->nodes->error, 0);
	pf_ranges_free(t->nodes, t->set[f].width, t->roots.word[f]);
	t->roots.word[f] = word;
	pf_nodes_commit(t->nodes);
}

static inline bool mem_in(struct mem_table *t, int f, pf_u128 addr)
{
	uint64_t hi = htobe64((uint64_t)(addr >> 64)), lo = htobe64((uint64_t)addr);

	mem_now.roots = &t->roots;
	if (!f) {
		hi = htonl((uint32_t)addr);
		lo = 0;
	}
	return in_ranges(7, mem_af[f], hi, lo);
}

static const uint32_t *mem_denies(const struct mem_table *t, const struct pf_table_not *key)
{
	static uint32_t bits;
	const int f = key->af == PF_AF_INET6;
	struct pf_prefix_place at = pf_prefixes_first();
	struct pf_prefix_key k = pf_prefix_key_of((uint8_t)key->af, &key->addr, t->set[f].width,
						  false, 0);
	const pf_u128 addr = pf_prefix_of_key(&k).addr;
	bool any = false;

	assert_int_equal(key->bits, PF_TABLE_NOT_BITS + t->set[f].width);
	for (; !pf_prefixes_end(&t->set[f], at); pf_prefixes_next(&t->set[f], &at)) {
		struct pf_prefix p = pf_prefixes_get(&t->set[f], at);

		if (!p.neg || p.addr > addr || pf_prefix_last(&p, t->set[f].width) < addr)
			continue;
		bits = any && bits > p.bits ? bits : p.bits;
		any = true;
	}
	return any ? &bits : NULL;
}

#endif /* PF_SELFTESTS_UNIT_RANGES_MEM_H */
