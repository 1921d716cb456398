/* SPDX-License-Identifier: BSD-2-Clause */
/* One table's list of entries, and the ranges that follow from it. */
#ifndef PF_LOADER_TABLELIST_H
#define PF_LOADER_TABLELIST_H

#include "tables.h"

/* Entries by family, each in order and once. */
struct pf_content {
	struct pf_prefix_key *key[2];
	size_t n[2];
};

static inline uint8_t pf_content_af(int f)
{
	return f ? PF_AF_INET6 : PF_AF_INET;
}

void pf_content_free(struct pf_content *c);
#define pf_content_auto __attribute__((cleanup(pf_content_free))) struct pf_content
int pf_content_alloc(struct pf_content *c, size_t n4, size_t n6);
size_t pf_content_size(const struct pf_content *c);
/* What a table holds, with `add`'s or without those of `without`; NULL none. */
int pf_content_of(const struct pf_table *table, const struct pf_content *add,
		  const struct pf_content *without, struct pf_content *out);

/* What the table has at that place of its set. */
struct pf_table_item *pf_tablelist_item(const struct pf_table *table, int f,
					struct pf_prefix_place at);
struct pf_prefix_key pf_tablelist_key(const struct pf_table *table, int f,
				      struct pf_prefix_place at);

/* Of the table's slot; nothing is there yet. */
int pf_tablelist_adopt(struct pf_tables *t, struct pf_table *table);
void pf_tablelist_drop(struct pf_tables *t, struct pf_table *table);
/* Lets go of memory alone. */
void pf_tablelist_close(struct pf_table *table);

/* The whole content, in one step; *table as it was if that fails. */
int pf_tablelist_set(struct pf_tables *t, struct pf_table *table, const struct pf_content *c);
/* One entry that is not there; one that is. */
int pf_tablelist_add(struct pf_tables *t, struct pf_table *table, int f,
		     const struct pf_prefix_key *k);
int pf_tablelist_delete(struct pf_tables *t, struct pf_table *table, int f,
			const struct pf_prefix *p);

/* A prefix in the delta, and its value there. */
struct pf_delta_net {
	struct pf_table_net net;
	uint32_t since;
};

/*
 * What the datapath has let in already, of table->slot: they are in the table at once,
 * however many there may be of them.  Those that it has, it keeps as they are.
 */
int pf_table_let_in(struct pf_tables *t, struct pf_table *table, const struct pf_delta_net *h,
		    size_t n);
/* The other way round: what it has of these goes.  What is in the delta stays there. */
int pf_table_let_out(struct pf_tables *t, struct pf_table *table, const struct pf_delta_net *h,
		     size_t n);

#endif /* PF_LOADER_TABLELIST_H */
