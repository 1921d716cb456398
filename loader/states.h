/* SPDX-License-Identifier: BSD-2-Clause */
/* Reading states, over the shared mapping of the slots. */
#ifndef PF_LOADER_STATES_H
#define PF_LOADER_STATES_H

#include <stdbool.h>
#include <stdint.h>

#include "../lib/proto.h"
#include "bound.h"
#include "datapath.h"
#include "generation.h"

static inline bool pf_state_is_live(const struct pf_state *s)
{
	return __atomic_load_n(&s->status, __ATOMIC_ACQUIRE) == PF_SLOT_LIVE;
}

/* A look at the states, and which of them are asked for. */
struct pf_states_query {
	const struct pf_datapath *dp;
	const struct pf_generation *gen;
	const struct pf_netifs *ifs;
	const struct pf_bound *bound;
	const struct pf_tags *tags;
	uint64_t now;	  /* pf_datapath_jiffies() */
	uint32_t ifindex; /* where they were made; 0 any */
	uint32_t rule;	  /* its number in its own ruleset; ~0 any */
	/* the last name that was looked up */
	uint32_t known;
	char name[IFNAMSIZ];
};

/* The next of them at or behind slot *at, which moves on behind it; false at the end. */
bool pf_states_next(struct pf_states_query *q, uint32_t *at, struct pf_wire_state *out);

/* How long it is there, in jiffies. */
uint64_t pf_state_age(const struct pf_state *s, uint64_t now);

/* Where its packets in one direction go; NULL: where the routes lead. */
const struct pf_hop *pf_state_gateway(const struct pf_datapath *dp, const struct pf_state *s);

/* A state as clients see it. */
void pf_states_fill(struct pf_states_query *q, const struct pf_state *s, struct pf_wire_state *out);

/* What live states hold. */
struct pf_states_sum {
	uint32_t states;
	uint32_t half_open; /* TCP */
	uint64_t packets;
};
void pf_states_sum(const struct pf_datapath *dp, struct pf_states_sum *out);

/* Adds what live states hold to the counters of the rules that made them. */
void pf_states_add_to_rules(const struct pf_datapath *dp, const struct pf_generation *gen,
			    struct pf_rule_stats *stats);

#endif /* PF_LOADER_STATES_H */
