/* SPDX-License-Identifier: BSD-2-Clause */
/* The default routes of the main table, IPv4's and IPv6's: where they lead to. */
#ifndef PF_GRAMMAR_ROUTES_H
#define PF_GRAMMAR_ROUTES_H

#include <stdbool.h>

/* An interface that one leads to; with several next hops, one of them. */
struct pf_route_hop {
	int index;
	bool dead;    /* it would, were the interface up */
	bool object;  /* by an object of ip-nexthop(8) */
	bool address; /* with an address that packets are to have: the route goes with it */
};

/* 0 or a negative errno. */
int pf_default_routes(void (*each)(void *ctx, const struct pf_route_hop *hop), void *ctx);

#endif /* PF_GRAMMAR_ROUTES_H */
