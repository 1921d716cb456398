/* SPDX-License-Identifier: BSD-2-Clause */
/* What runs full, told to the administrator: the datapath only counts what it refuses. */
#ifndef PF_LOADER_SHORTAGE_H
#define PF_LOADER_SHORTAGE_H

#include <stdint.h>

#include "datapath.h"
#include "loop.h"
#include "say.h"

/* A flood is not to fill the disk: each shortage is told at once, then so seldom. */
#define PF_SHORTAGE_SECONDS 60

/* One counter of refusals, and what has been told of it. */
struct pf_refusals {
	uint64_t told;
	uint64_t at; /* second of the last telling; 0 never */
};

/* How many are to be told now; 0: none, or not yet. */
static inline uint64_t pf_refusals_due(struct pf_refusals *r, uint64_t counter, uint64_t now)
{
	uint64_t n = counter - r->told;

	if (counter <= r->told || (r->at && now - r->at < PF_SHORTAGE_SECONDS))
		return 0;
	r->told = counter;
	r->at = now;
	return n;
}

enum pf_shortage_kind {
	PF_SHORTAGE_STATES,  /* set limit states */
	PF_SHORTAGE_SOURCES, /* set limit src-nodes */
	PF_SHORTAGE_MEMORY,  /* places for states, and maps that belong to them */
	PF_SHORTAGE_FLUSHES, /* offenders whose states are to end */
	PF_SHORTAGE_MAX,
};

struct pf_shortage {
	const struct pf_datapath *dp;
	struct pf_loop *loop;
	struct pf_timer timer;
	struct pf_refusals refusals[PF_SHORTAGE_MAX];
};

/* What was refused before is not told.  dp may become a larger table's. */
int pf_shortage_open(struct pf_shortage *s, const struct pf_datapath *dp, struct pf_loop *loop,
		     struct pf_error_text *e);
void pf_shortage_close(struct pf_shortage *s);

#endif /* PF_LOADER_SHORTAGE_H */
