/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Memory for the nodes of ranges (see abi.h): chunks that packets read, given out
 * in units.  A change is an operation: what it makes is not seen before it is
 * committed, by writing one word; what it takes out rests until no packet can look
 * at it any more.  An operation that fails leaves nothing behind.
 */
#ifndef PF_COMPILER_NODES_H
#define PF_COMPILER_NODES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../bpf/abi.h"

/* Where the chunks come from. */
struct pf_nodes_source {
	/* Chunk `at`, zeroed, or NULL with errno. */
	void *(*make)(void *ctx, uint32_t at);
	void (*unmake)(void *ctx, uint32_t at, void *mem);
	/* Waits until every packet that is looked at now is done with. */
	int (*grace)(void *ctx);
	void *ctx;
};

struct pf_nodes_run {
	uint32_t word, units;
};

struct pf_nodes_list {
	struct pf_nodes_run *v;
	size_t n, capacity;
	size_t units;
};

struct pf_nodes_chunk;

struct pf_nodes {
	struct pf_nodes_source source;
	struct pf_nodes_chunk *chunk[PF_NODE_CHUNKS];
	bool foreign[PF_NODE_CHUNKS]; /* another's: not to be used */
	uint32_t nchunks;	      /* those made */
	uint32_t hint;		      /* where there was room */
	struct pf_nodes_list limbo;
	struct pf_nodes_list made, gone; /* by the operation at hand */
	int error;			 /* of it: negative errno */
};

void pf_nodes_init(struct pf_nodes *n, const struct pf_nodes_source *source);
/* Gives up all memory; the source's chunks go on without it. */
void pf_nodes_close(struct pf_nodes *n);

/*
 * Room for that many units in a row, which may hold anything, with one holder: true
 * and a word without a kind.  False: n->error is set.
 */
bool pf_nodes_alloc(struct pf_nodes *n, uint32_t units, uint32_t *word);
void *pf_nodes_at(const struct pf_nodes *n, uint32_t word);
/* One more holder of what this operation has made. */
void pf_nodes_hold(struct pf_nodes *n, uint32_t word);
/* One less, when the operation is committed; with the last one it is taken out. */
void pf_nodes_free(struct pf_nodes *n, uint32_t word, uint32_t units);

/* The operation's changes are made by writing these words: now they are in effect. */
void pf_nodes_commit(struct pf_nodes *n);
/* 0 is left of it; n->error, which is reset. */
int pf_nodes_abort(struct pf_nodes *n);

/* Gives back chunks of which nothing is used, if that is worth the wait. */
void pf_nodes_trim(struct pf_nodes *n);

#endif /* PF_COMPILER_NODES_H */
