/* SPDX-License-Identifier: BSD-2-Clause */
/* Memory that lives and dies with a ruleset: many small pieces, one free. */
#ifndef PF_GRAMMAR_ARENA_H
#define PF_GRAMMAR_ARENA_H

#include <stddef.h>

struct pf_arena_block;

struct pf_arena {
	struct pf_arena_block *blocks;
	size_t used; /* of the newest block */
};

/* What belongs to `from` belongs to `a` from now on; `from` is empty then. */
void pf_arena_absorb(struct pf_arena *a, struct pf_arena *from);

/* Zeroed and aligned for any type; NULL when memory is short. */
void *pf_arena_alloc(struct pf_arena *a, size_t size);
char *pf_arena_strdup(struct pf_arena *a, const char *s);
char *pf_arena_strndup(struct pf_arena *a, const char *s, size_t len);
/* Empties it, but keeps one block for what comes next. */
void pf_arena_reset(struct pf_arena *a);
void pf_arena_free(struct pf_arena *a);

#endif /* PF_GRAMMAR_ARENA_H */
