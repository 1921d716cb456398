/* SPDX-License-Identifier: BSD-2-Clause */
/* Reading and ending states, over the shared mapping of the slots. */
#ifndef PF_LOADER_STATES_H
#define PF_LOADER_STATES_H

#include <stdbool.h>
#include <stdint.h>

#include "../lib/proto.h"
#include "datapath.h"
#include "generation.h"

/* A host as -k takes it; af 0 is any. */
struct pf_kill_host {
	uint8_t af;
	uint8_t bits;
	bool neg;
	struct pf_ip ip;
};

bool pf_kill_host_matches(const struct pf_kill_host *h, uint8_t af, const struct pf_addr *addr);

/* Marks and ends the states from a host (and to another, if nhosts is 2): their number. */
uint32_t pf_states_kill(const struct pf_datapath *dp, const struct pf_kill_host *hosts,
			unsigned int nhosts);
uint32_t pf_states_flush(const struct pf_datapath *dp);

/*
 * The next live state at or behind slot *at, which moves on behind it; false at
 * the end.  now: pf_datapath_jiffies().  Its ifname is the caller's.
 */
bool pf_states_next(const struct pf_datapath *dp, const struct pf_generation *gen, uint64_t now,
		    uint32_t *at, struct pf_wire_state *out);

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
