/* SPDX-License-Identifier: BSD-2-Clause */
/* Ending states at the user's wish. */
#ifndef PF_LOADER_KILL_H
#define PF_LOADER_KILL_H

#include <stdbool.h>
#include <stdint.h>

#include "../grammar/addr.h"
#include "datapath.h"

/* A host as -k takes it; af 0 is any. */
struct pf_kill_host {
	uint8_t af;
	uint8_t bits;
	bool neg;
	struct pf_ip ip;
};

bool pf_kill_host_matches(const struct pf_kill_host *h, uint8_t af, const struct pf_addr *addr);

/*
 * Which ones: all that is said must be true.  Source and destination are those of the
 * packet that made the state, before it was translated.
 */
struct pf_kill {
	struct pf_kill_host src, dst;
	struct pf_kill_host gateway; /* of route-to or reply-to; 0.0.0.0 or :: if it has none */
	bool ports;
	uint16_t sport, dport; /* network order */
	uint8_t proto;	       /* 0 any */
	uint32_t ifindex;      /* 0 any */
	uint64_t id;	       /* 0 any */
	const uint8_t *rules;  /* PF_MAX_RULE_IDS, true for those meant; NULL any */
	/* also what the packets of these go through at the other interface */
	bool matching;
};

/* Marks and ends them.  0 and their number, or -ENOMEM: nothing has changed. */
int pf_states_kill(const struct pf_datapath *dp, const struct pf_kill *k, uint32_t *n);

#endif /* PF_LOADER_KILL_H */
