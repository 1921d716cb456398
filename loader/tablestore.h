/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The maps of address tables: chunks of nodes, the words by slot, and for each
 * table a pinned list of its entries.  All are written through memory.
 */
#ifndef PF_LOADER_TABLESTORE_H
#define PF_LOADER_TABLESTORE_H

#include <stdbool.h>
#include <stdint.h>

#include "../compiler/nodes.h"
#include "datapath.h"

struct pf_tablestore {
	const struct pf_datapath *dp;
	struct pf_nodes nodes;
	struct pf_table_roots *roots; /* by slot */
	int chunk_fd[PF_NODE_CHUNKS]; /* -1: none */
};

/* Chunks that are there belong to an earlier pfd: packets may look at them. */
int pf_tablestore_open(struct pf_tablestore *s, const struct pf_datapath *dp);
void pf_tablestore_close(struct pf_tablestore *s);
/* Packets that look at tables now have done so. */
int pf_tablestore_wait(struct pf_tablestore *s);
/* No word leads to the earlier pfd's chunks any more: they go. */
int pf_tablestore_forget(struct pf_tablestore *s);

/* Both families of a table in one step. */
void pf_tablestore_set(struct pf_tablestore *s, uint32_t slot, struct pf_table_roots roots);
void pf_tablestore_set_word(uint32_t *at, uint32_t word);

/* A list of entries. */
struct pf_entries {
	struct pf_table_item *item;
	uint32_t room;
	int fd; /* until it is pinned */
};

int pf_entries_make(const struct pf_datapath *dp, uint32_t room, struct pf_entries *out);
/* In the place of what is pinned there, in one step. */
int pf_entries_pin(struct pf_entries *e, const char *path);
int pf_entries_open(const char *path, struct pf_entries *out);
void pf_entries_close(struct pf_entries *e);

#endif /* PF_LOADER_TABLESTORE_H */
