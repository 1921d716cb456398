/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * pf.conf(5)'s ruleset-optimization: fewer rules, and in a better order, that do
 * the same to each packet.
 */
#ifndef PF_GRAMMAR_OPTIMIZE_H
#define PF_GRAMMAR_OPTIMIZE_H

#include "rule.h"

/* Fewer rules than this are not made a table. */
#define PF_OPTIMIZE_TABLE_MIN 6

/*
 * Optimises the filter rules of the main ruleset, and of each anchor's block, each
 * on its own.  PF_OPTIMIZE_DEFAULT is pf's default, basic.
 *
 * weights, for PF_OPTIMIZE_PROFILE: how many packets each main filter rule has
 * decided, as many numbers as there are rules now; or NULL.
 *
 * 0 or -ENOMEM: then some of it may have been done, but the rules mean the same.
 */
int pf_ruleset_optimize(struct pf_ruleset *rs, enum pf_optimize level, const uint64_t *weights);

#endif /* PF_GRAMMAR_OPTIMIZE_H */
