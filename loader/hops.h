/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Gateways of rules and states: by which interface they are reached, kept up to date.
 *
 * It is pfd that looks up the ways to those without an interface, and again whenever routes
 * change.  The helper for programs, bpf_fib_lookup(), answers only where the interface
 * forwards, and reply-to is for hosts that do not, too.
 */
#ifndef PF_LOADER_HOPS_H
#define PF_LOADER_HOPS_H

#include "datapath.h"
#include "netif.h"

struct mnl_socket;

struct pf_hops {
	const struct pf_datapath *dp;
	const struct pf_netifs *ifs;
	struct pf_loop *loop;	/* NULL: routes are not followed */
	struct mnl_socket *ask; /* for ways */
	struct mnl_socket *monitor;
	struct pf_source source;
	bool some; /* there may be any */
};

void pf_hops_open(struct pf_hops *h, const struct pf_datapath *dp, const struct pf_netifs *ifs);
void pf_hops_close(struct pf_hops *h);
/* Those that are there already, and from now on changes of routes. */
void pf_hops_listen(struct pf_hops *h, struct pf_loop *loop);

/* The gateway of a rule with one, as it is reached now. */
void pf_hops_of(struct pf_hops *h, const struct pf_rule *r, struct pf_hop *out);
/* By which way it is reached now; the rest of it is there. */
void pf_hops_find(struct pf_hops *h, struct pf_hop *hop);
/* Interfaces, addresses or routes have changed. */
void pf_hops_refresh(struct pf_hops *h);

#endif /* PF_LOADER_HOPS_H */
