/* SPDX-License-Identifier: BSD-2-Clause */
/* The translations of a policy's rules, as data. */
#ifndef PF_COMPILER_NATS_H
#define PF_COMPILER_NATS_H

#include "compiler.h"

/* Fills c->nats, and what goes with it, from the rules; 0 or -ENOMEM. */
int pf_nats_make(const struct pf_policy *p, struct pf_compiled *c);

/* Does it translate for the rules that follow? */
bool pf_nats_moves(const struct pf_rule *r);

#endif /* PF_COMPILER_NATS_H */
