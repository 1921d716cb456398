/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Slots of states that have ended rest for a grace period of seconds before they are used
 * again, and there are few more of them than states may be.  Where many end, pfd sees to it
 * that they rest no longer than they must: an RCU grace period, see pf_datapath_drain().
 */
#ifndef PF_LOADER_RESTING_H
#define PF_LOADER_RESTING_H

#include "datapath.h"
#include "loop.h"
#include "say.h"

struct pf_resting {
	const struct pf_datapath *dp;
	struct pf_loop *loop;
	struct pf_timer look, drain;
	uint32_t tick;	   /* what has ended by then is given back next */
	uint64_t removals; /* at the last look */
	bool busy;	   /* at this pace most of the spare slots would rest */
};

/* dp may become a larger table's. */
int pf_resting_open(struct pf_resting *r, const struct pf_datapath *dp, struct pf_loop *loop,
		    struct pf_error_text *e);
void pf_resting_close(struct pf_resting *r);

/* Many have ended just now: their slots are given back soon. */
void pf_resting_hurry(struct pf_resting *r);

#endif /* PF_LOADER_RESTING_H */
