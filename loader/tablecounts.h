/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Counters of tables, as the datapath keeps them (bpf/counts.h): by a number of the table,
 * which goes on to the one that a load puts in its place, and by entry.  What is in the
 * trie is made from the tables' lists, and by a pfd that takes over from theirs.
 */
#ifndef PF_LOADER_TABLECOUNTS_H
#define PF_LOADER_TABLECOUNTS_H

#include "tables.h"

/* It counts from now on, or goes on where `before`, which may be NULL, was. */
int pf_counts_open(struct pf_tables *t, struct pf_table *table, const struct pf_table *before);
/* Of one that goes. */
void pf_counts_close(struct pf_tables *t, struct pf_table *table);
/* Of all that there are; what belongs to none of them is removed. */
int pf_counts_adopt(const struct pf_tables *t);

/* An entry comes, or goes, be its table counted or not.  -EDQUOT: PF_TABLE_COUNTS_MOST. */
int pf_counts_add(const struct pf_tables *t, const struct pf_table *table, int f,
		  const struct pf_prefix *p);
void pf_counts_remove(const struct pf_tables *t, const struct pf_table *table, int f,
		      const struct pf_prefix *p);
/* All of `set`, those that `keep`, which may be NULL, has as well apart. */
int pf_counts_add_all(const struct pf_tables *t, const struct pf_table *table,
		      const struct pf_prefixes *set);
void pf_counts_remove_all(const struct pf_tables *t, const struct pf_table *table,
			  const struct pf_prefixes *set, const struct pf_prefixes *keep);

/* What is said then. */
int pf_counts_full(const struct pf_table *table, struct pf_error_text *err);

/* What an entry has counted, or with p NULL the table; zeroes if it counts nothing. */
void pf_counts_read(const struct pf_tables *t, const struct pf_table *table, int f,
		    const struct pf_prefix *p, struct pf_table_count *out);
void pf_counts_zero(const struct pf_tables *t, const struct pf_table *table, int f,
		    const struct pf_prefix *p);
void pf_counts_zero_all(const struct pf_tables *t, const struct pf_table *table);

#endif /* PF_LOADER_TABLECOUNTS_H */
