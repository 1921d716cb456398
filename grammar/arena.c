// SPDX-License-Identifier: BSD-2-Clause
#include "arena.h"

#include <stdalign.h>
#include <stdlib.h>
#include <string.h>

#define ARENA_BLOCK (64 * 1024)

struct pf_arena_block {
	struct pf_arena_block *next;
	size_t size;
	alignas(max_align_t) char data[];
};

void *pf_arena_alloc(struct pf_arena *a, size_t size)
{
	const size_t align = alignof(max_align_t);
	struct pf_arena_block *b = a->blocks;
	void *p;

	size = (size + align - 1) / align * align;
	if (!b || b->size - a->used < size) {
		size_t room = size > ARENA_BLOCK ? size : ARENA_BLOCK;

		b = calloc(1, sizeof(*b) + room);
		if (!b)
			return NULL;
		b->size = room;
		b->next = a->blocks;
		a->blocks = b;
		a->used = 0;
	}
	p = b->data + a->used;
	a->used += size;
	return p;
}

char *pf_arena_strndup(struct pf_arena *a, const char *s, size_t len)
{
	char *p = pf_arena_alloc(a, len + 1);

	if (p)
		memcpy(p, s, len);
	return p;
}

char *pf_arena_strdup(struct pf_arena *a, const char *s)
{
	return pf_arena_strndup(a, s, strlen(s));
}

void pf_arena_reset(struct pf_arena *a)
{
	struct pf_arena_block *keep = a->blocks;
	size_t used = a->used;

	if (!keep)
		return;
	a->blocks = keep->next;
	pf_arena_free(a);
	if (keep->size > ARENA_BLOCK) {
		free(keep);
		return;
	}
	/* what was given out must be zeroed again: see pf_arena_alloc() */
	memset(keep->data, 0, used);
	keep->next = NULL;
	a->blocks = keep;
}

void pf_arena_absorb(struct pf_arena *a, struct pf_arena *from)
{
	struct pf_arena_block **end = &a->blocks;

	if (!a->blocks)
		a->used = from->used;
	while (*end)
		end = &(*end)->next;
	*end = from->blocks;
	*from = (struct pf_arena){0};
}

void pf_arena_free(struct pf_arena *a)
{
	while (a->blocks) {
		struct pf_arena_block *next = a->blocks->next;

		free(a->blocks);
		a->blocks = next;
	}
	a->used = 0;
}
