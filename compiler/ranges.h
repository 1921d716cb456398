/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * From the entries of a table to its ranges: trees of nodes as abi.h describes
 * them.  The word of a tree stands where packets find it; see nodes.h for when it
 * may be written.  Failures are kept in the operation.
 */
#ifndef PF_COMPILER_RANGES_H
#define PF_COMPILER_RANGES_H

#include "nodes.h"
#include "prefixes.h"

/* A tree of all entries. */
uint32_t pf_ranges_build(struct pf_nodes *n, const struct pf_prefixes *set);

/* Takes a tree out. */
void pf_ranges_free(struct pf_nodes *n, uint8_t width, uint32_t word);

/* The one word to be written; slot NULL: it is the tree's. */
struct pf_ranges_change {
	uint32_t *slot;
	uint32_t word;
};

/* What follows from an entry that has been added to the set, or taken out of it. */
struct pf_ranges_change pf_ranges_update(struct pf_nodes *n, const struct pf_prefixes *set,
					 uint32_t word, const struct pf_prefix *entry);

#endif /* PF_COMPILER_RANGES_H */
