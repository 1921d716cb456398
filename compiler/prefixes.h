/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The entries of a table in one family, in order: by address, and where that is
 * the same the shorter prefix first.  An entry stands so behind those that cover
 * it.  The entries themselves are elsewhere; here are their places in that array.
 */
#ifndef PF_COMPILER_PREFIXES_H
#define PF_COMPILER_PREFIXES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../bpf/abi.h"

/* An address as a number; IPv4's have 32 bits. */
typedef unsigned __int128 pf_u128;

struct pf_prefix {
	pf_u128 addr;
	uint8_t bits;
	bool neg;
};

/* For sorting: what it says, since when, and the number that the caller knows it by. */
struct pf_prefix_key {
	uint64_t hi, lo;
	uint32_t at;
	uint32_t since;
	uint8_t bits;
	bool neg;
};

/* Sorts; what is equal stays as it was.  -ENOMEM if there is no memory. */
int pf_prefix_sort(struct pf_prefix_key *v, size_t n);
bool pf_prefix_same(const struct pf_prefix_key *a, const struct pf_prefix_key *b);

struct pf_prefix_key pf_prefix_key_of(uint8_t af, const void *addr, uint8_t bits, bool neg,
				      uint32_t at);
struct pf_prefix pf_prefix_of_key(const struct pf_prefix_key *k);
/* Everything but the family, which says that it is there. */
void pf_prefix_to_item(const struct pf_prefix_key *k, uint8_t af, struct pf_table_item *out);
/* Its address as packets have it. */
struct pf_addr pf_prefix_addr(const struct pf_prefix *p, uint8_t af);

static inline uint8_t pf_prefix_width(uint8_t af)
{
	return af == PF_AF_INET ? 32 : 128;
}

/* The highest address of a family, and of a prefix. */
static inline pf_u128 pf_prefix_most(uint8_t width)
{
	return ~(pf_u128)0 >> (128 - width);
}

static inline pf_u128 pf_prefix_host(uint8_t width, uint8_t bits)
{
	return bits < width ? pf_prefix_most((uint8_t)(width - bits)) : 0;
}

static inline pf_u128 pf_prefix_last(const struct pf_prefix *p, uint8_t width)
{
	return p->addr | pf_prefix_host(width, p->bits);
}

struct pf_prefix_block {
	uint32_t *ref;
	uint32_t n, capacity;
};

struct pf_prefixes {
	const struct pf_table_item *items; /* the caller's, who may move them */
	struct pf_prefix_block *block;	   /* none is empty */
	size_t nblocks, capacity;
	size_t n;
	uint8_t width;
};

/* A place in the order; block == nblocks is the end. */
struct pf_prefix_place {
	size_t block;
	uint32_t i;
};

void pf_prefixes_init(struct pf_prefixes *s, uint8_t af, const struct pf_table_item *items);
void pf_prefixes_free(struct pf_prefixes *s);

/* All at once, in order, into an empty one. */
int pf_prefixes_fill(struct pf_prefixes *s, const uint32_t *refs, size_t n);

struct pf_prefix_place pf_prefixes_first(void);
bool pf_prefixes_end(const struct pf_prefixes *s, struct pf_prefix_place p);
void pf_prefixes_next(const struct pf_prefixes *s, struct pf_prefix_place *p);
uint32_t pf_prefixes_ref(const struct pf_prefixes *s, struct pf_prefix_place p);
struct pf_prefix pf_prefixes_get(const struct pf_prefixes *s, struct pf_prefix_place p);

/* The first entry that is not before this one; *exact: it is this one. */
struct pf_prefix_place pf_prefixes_find(const struct pf_prefixes *s, const struct pf_prefix *p,
					bool *exact);
/* The longest prefix of at most `bits` bits that covers the address. */
bool pf_prefixes_cover(const struct pf_prefixes *s, pf_u128 addr, int bits, struct pf_prefix *out);

/* Before `place`, which pf_prefixes_find() has told.  -ENOMEM. */
int pf_prefixes_insert(struct pf_prefixes *s, struct pf_prefix_place place, uint32_t ref);
void pf_prefixes_remove(struct pf_prefixes *s, struct pf_prefix_place place);

#endif /* PF_COMPILER_PREFIXES_H */
