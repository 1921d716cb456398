/* SPDX-License-Identifier: BSD-2-Clause */
/* The translations of a policy's rules, as data. */
#ifndef PF_COMPILER_NATS_H
#define PF_COMPILER_NATS_H

#include "compiler.h"

/* Fills c->nats, and what goes with it, from the rules; 0 or -ENOMEM. */
int pf_nats_make(const struct pf_policy *p, struct pf_compiled *c);
/* Adds those of rule `from` and all behind it. */
int pf_nats_append(const struct pf_policy *p, uint32_t from, struct pf_compiled *c);
/* Can such a rule be added to what was compiled without it? */
bool pf_nats_may_append(const struct pf_rule *r, const struct pf_compiled *c);

/* Does it translate for the rules that follow? */
bool pf_nats_moves(const struct pf_rule *r);

#endif /* PF_COMPILER_NATS_H */
