/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A policy as a list of steps: each anchor's rules are written out where they are
 * called, and an end stands behind them.  Emitter A follows it.
 */
#ifndef PF_COMPILER_STEPS_H
#define PF_COMPILER_STEPS_H

#include "compiler.h"

#define PF_STEP_NONE UINT32_MAX

struct pf_step {
	const struct pf_rule *r; /* NULL: the end of an anchor */
	uint32_t rule;		 /* index in the policy; of an end, its anchor's */
	uint32_t begin;		 /* of an end: the anchor's step */
	uint32_t anchor;	 /* step of the innermost anchor that it is in */
	bool call;		 /* an anchor's rule: its own rules follow */
	struct pf_skips skip;	 /* where to go on, by criterion */
	uint32_t next;		 /* where who does not match goes on */
};

struct pf_steps {
	struct pf_step *v;
	uint32_t n;
};

/* 0; -E2BIG if there are more than `most`, or anchors call each other too deeply; -ENOMEM. */
int pf_steps_make(const struct pf_policy *p, uint32_t most, struct pf_steps *out);
void pf_steps_free(struct pf_steps *s);

#endif /* PF_COMPILER_STEPS_H */
