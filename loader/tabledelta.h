/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Addresses that the datapath adds to tables by itself (bpf/delta.h): they are put into
 * the table's list and ranges, and taken out of the delta when all packets find them there.
 *
 * What the datapath has let in is never dropped.  When the tables have as many entries as
 * they may, it is told to add no more; so the limit is exceeded by what the delta holds
 * at the most.
 */
#ifndef PF_LOADER_TABLEDELTA_H
#define PF_LOADER_TABLEDELTA_H

#include "tablelist.h"
#include "tables.h"

/*
 * From now on the datapath may add to the table, or does not any more.  Who uses this
 * calls pf_tables_poll() again and again while t->nwritten is not 0.
 */
int pf_table_set_written(struct pf_tables *t, struct pf_table *table, bool on,
			 struct pf_error_text *err);

/* All that the datapath has added until now; if that fails it stays where it is, and in force. */
int pf_tables_fold(struct pf_tables *t, struct pf_error_text *err);
/* The same, of all packets that are being judged, too. */
int pf_tables_settle(struct pf_tables *t, struct pf_error_text *err);
/* These go, but for what has been added since; n of any slots, in any order. */
int pf_tables_let_out(struct pf_tables *t, struct pf_delta_net *h, size_t n);
/* The first one, and what was quiet since the last time is as if it were not written. */
void pf_tables_poll(struct pf_tables *t);

/* --- for tables.c --- */

/* Tables that an earlier pfd's datapath writes are written still. */
int pf_delta_adopt(struct pf_tables *t);
/* Nothing of the table is left in the delta, and nothing will come. */
void pf_delta_drop(struct pf_tables *t, struct pf_table *table);

#endif /* PF_LOADER_TABLEDELTA_H */
