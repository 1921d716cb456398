/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * State options, and gateways, as the datapath has them: a number for each different set of them,
 * and how many states there are of a rule that has a limit.  States outlive their rules: a number
 * means the same as long as a rule or a state has it.
 */
#ifndef PF_LOADER_OPTSETS_H
#define PF_LOADER_OPTSETS_H

#include <stdbool.h>
#include <stdint.h>

#include "../grammar/rule.h"
#include "datapath.h"
#include "hops.h"

struct pf_rulestats;

struct pf_optsets {
	const struct pf_datapath *dp;
	struct pf_hops *hops;
	uint16_t *of_rule; /* PF_MAX_RULE_IDS: numbers, by the ids of rules in use; 0 none */
	uint32_t refs[PF_MAX_OPT_SETS]; /* how many of them have it */
	bool before[PF_MAX_OPT_SETS];	/* a rule had it, and rules of before may still say so */
};

/* 0 or -ENOMEM. */
int pf_optsets_open(struct pf_optsets *s, const struct pf_datapath *dp, struct pf_hops *hops);
void pf_optsets_close(struct pf_optsets *s);

/*
 * The number for a rule's options and limiters (r->x is there), its offenders' table in that slot,
 * and a count of its states if it needs one.  0: it needs none.  -ENOSPC: there is no number left,
 * or no count; or another negative errno.
 */
int pf_optsets_take(struct pf_optsets *s, uint32_t rule, const struct pf_rule *r, uint32_t overload,
		    const struct pf_rulestats *stats);
/*
 * The number of a gateway alone, for a state that no rule in force has made; it may be
 * another's as soon as the next one is asked for, unless the state is there by then.
 */
int pf_optsets_hop(struct pf_optsets *s, const struct pf_hop *hop,
		   const struct pf_rulestats *stats);
/* The rules in force, compiled last, are all there are. */
void pf_optsets_settle(struct pf_optsets *s);
/* Nobody has the rule's id any more. */
void pf_optsets_release(struct pf_optsets *s, uint32_t rule);
/* May the id be another rule's?  Not while a node of its sources is there. */
bool pf_optsets_free(const struct pf_optsets *s, uint32_t rule);
/* The id will be another rule's: no state has it. */
void pf_optsets_forget(const struct pf_optsets *s, uint32_t rule);

#endif /* PF_LOADER_OPTSETS_H */
