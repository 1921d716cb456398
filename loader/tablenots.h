/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Prefixes that a table which the datapath writes has as `!prefix'.  The datapath must know
 * them, for what is an entry already it does not add, and ranges do not say of which entry
 * an address is out: of a longer one than the network that was added, it stays out.
 */
#ifndef PF_LOADER_TABLENOTS_H
#define PF_LOADER_TABLENOTS_H

#include "tables.h"

/* One entry, and all of a set of both families; those that are not negated are passed over. */
int pf_nots_add(const struct pf_tables *t, uint32_t slot, int f, const struct pf_prefix *p);
void pf_nots_remove(const struct pf_tables *t, uint32_t slot, int f, const struct pf_prefix *p);
int pf_nots_add_all(const struct pf_tables *t, uint32_t slot, const struct pf_prefixes *set);
/* But for those that are in `keep` too, NULL none. */
void pf_nots_remove_all(const struct pf_tables *t, uint32_t slot, const struct pf_prefixes *set,
			const struct pf_prefixes *keep);
/* What a pfd that was killed has left: of tables that are not written, and no entries any more. */
void pf_nots_clean(const struct pf_tables *t);

#endif /* PF_LOADER_TABLENOTS_H */
