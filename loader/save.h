/* SPDX-License-Identifier: BSD-2-Clause */
/* States for a file, and from one: pfctl-linux -S and -L. */
#ifndef PF_LOADER_SAVE_H
#define PF_LOADER_SAVE_H

#include <stdbool.h>
#include <stdint.h>

#include "../lib/saved.h"
#include "engine.h"

/*
 * A block of the live states at or behind slot *at, which moves on behind them; false at
 * the end, when there is no block.  now: pf_datapath_jiffies().
 */
bool pf_save_block(const struct pf_engine *g, uint64_t now, uint32_t *at, struct pf_buf *out);

/* What became of the states of a file. */
struct pf_restored {
	uint32_t loaded;
	uint32_t there;	  /* not loaded: the connection, or a key of it, is there already */
	uint32_t refused; /* not loaded: the limit, or no memory */
	uint32_t unruled; /* of those loaded: their rule is not in force */
};

/* The states of a whole file, or none if it is not sound.  0, or a negative errno. */
int pf_restore(struct pf_engine *g, const void *data, size_t len, struct pf_restored *out,
	       struct pf_error_text *err);

#endif /* PF_LOADER_SAVE_H */
