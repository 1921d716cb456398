/* SPDX-License-Identifier: BSD-2-Clause */
/* set keepcounters: which rules of a new policy say what one of the old one says. */
#ifndef PF_LOADER_KEEP_H
#define PF_LOADER_KEEP_H

#include "../compiler/policy.h"

/*
 * kept[i]: the rule of `old` that says the same in the same ruleset as rule i of
 * `new`, each at most once and in order; PF_POLICY_NONE if there is none.  Or -ENOMEM.
 */
int pf_keep_rules(const struct pf_policy *old, const struct pf_policy *new, uint32_t *kept);

/* The same for one set alone, by the rules' numbers in it. */
int pf_keep_set(const struct pf_policy *old, const struct pf_policy *new, uint32_t set,
		uint32_t *kept);

#endif /* PF_LOADER_KEEP_H */
