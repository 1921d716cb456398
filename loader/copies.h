/* SPDX-License-Identifier: BSD-2-Clause */
/* The copies of states in a larger table, and what has become of the originals meanwhile. */
#ifndef PF_LOADER_COPIES_H
#define PF_LOADER_COPIES_H

#include "datapath.h"

/*
 * Packets go by `dp' now, whose states of before are copies of `old''s: ends those whose
 * originals have ended since they were copied.  No original may expire any more when the
 * packets change over, for its copy may have been renewed.
 */
void pf_copies_settle(const struct pf_datapath *dp, const struct pf_datapath *old);

#endif /* PF_LOADER_COPIES_H */
