/* SPDX-License-Identifier: BSD-2-Clause */
/* Labels and tags of rules. */
#ifndef PF_GRAMMAR_LABEL_H
#define PF_GRAMMAR_LABEL_H

#include "rule.h"

/*
 * Puts the rules' numbers for $nr, after all reordering.  0, -ENOMEM, or -E2BIG if a
 * label or tag of the rule *bad becomes too long by that.
 */
int pf_labels_number(struct pf_ruleset *rs, const struct pf_rule **bad);

#endif /* PF_GRAMMAR_LABEL_H */
