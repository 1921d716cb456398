/* SPDX-License-Identifier: BSD-2-Clause */
/* What a packet costs with either emitter, worked out for packets made of the rules. */
#ifndef PF_COMPILER_COST_H
#define PF_COMPILER_COST_H

#include "compiler.h"

/* Nanoseconds for a packet that no state knows, the rules' share of it; means of many. */
struct pf_costs {
	double linear, tree;
};

/* `tree` is the policy by emitter B.  0; -E2BIG if it is too much for emitter A; -ENOMEM. */
int pf_costs_of(const struct pf_policy *p, const struct pf_compiled *tree, struct pf_costs *out);

#endif /* PF_COMPILER_COST_H */
