/* SPDX-License-Identifier: BSD-2-Clause */
/* Emitter A's own: what its two files share. */
#ifndef PF_COMPILER_LINEAR_INT_H
#define PF_COMPILER_LINEAR_INT_H

#include "code.h"
#include "steps.h"

#define R_PKT	    BPF_REG_6
#define R_EVALS	    BPF_REG_7
#define R_CTX	    BPF_REG_8

#define PKT(field)  offsetof(struct pf_pkt, field)

#define MAX_PENDING 48

/* A jump that waits for its target: a step, entered at one of its criteria. */
struct pending {
	size_t insn;
	uint32_t to;
	uint32_t entry;
};

struct linear {
	const struct pf_policy *policy;
	struct pf_steps steps;
	const struct pf_compile_env *env;
	struct pf_compiled *out;
	struct pf_compile_error *err;
	struct pf_code code;
	bool *reachable;       /* steps.n */
	struct pending *jumps; /* to steps, or to the end (steps.n) */
	size_t njumps, jumps_capacity;
	struct pending pending[MAX_PENDING]; /* of the step at hand */
	size_t npending;
	uint32_t nr, met; /* the step at hand, and how many of its criteria are met here */
	size_t edges_capacity;
	size_t ifmask_words;
	bool far;    /* a jump did not fit */
	bool tables; /* are looked up */
	bool translates;
	bool limited; /* limiters are asked */
	bool meters;
};

/* A jump of the step at hand to where it goes on when it does not match. */
void pf_linear_miss(struct linear *l, size_t insn, uint32_t to);
/* The walk ends here. */
void pf_linear_finish(struct linear *l);
/* Asks the meter of the step's rule, enum pf_meter_ask: r0 is 0 if it does not match. */
void pf_linear_meter(struct linear *l, uint32_t ask);
/* Lets a jump land here. */
void pf_linear_land_here(struct linear *l, size_t insn);

/* What a test returns when no packet gets past it. */
#define PF_LINEAR_NEVER 1

/*
 * What a rule is tested for, in the order of pf_match_rule() of OpenBSD.
 * test: 0, NEVER or a negative errno.  Those without a skip step of their own
 * lead to the next rule; `same` tells whether who has met a's has met b's.
 */
struct pf_criterion {
	int (*test)(struct linear *l, const struct pf_rule *r, uint32_t to);
	enum pf_skip skip; /* PF_SKIP_MAX: none */
	bool (*same)(const struct pf_rule *a, const struct pf_rule *b);
};
#define PF_CRITERIA 18
extern const struct pf_criterion pf_criteria[PF_CRITERIA];

#endif /* PF_COMPILER_LINEAR_INT_H */
