/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The group egress: interfaces that a default route of the main table leads to.  It is
 * followed only while somebody asks for it; other routes than these cost a filter in the
 * kernel each, so that a full table of BGP's may come and go.
 */
#ifndef PF_LOADER_EGRESS_H
#define PF_LOADER_EGRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../grammar/routes.h"
#include "loop.h"
#include "say.h"

struct mnl_socket;

struct pf_route_hops {
	struct pf_route_hop *v;
	size_t n, room;
	bool failed;
};

struct pf_egress {
	struct pf_loop *loop;
	struct mnl_socket *monitor; /* NULL: it is not followed */
	struct pf_source source;
	struct pf_timer timer; /* they are read when it fires */
	struct pf_route_hops hops;
	uint64_t due;	    /* ms: when that will be; 0: it is not set */
	uint64_t rest;	    /* ms: they may not be read before */
	uint64_t unsettled; /* ms: until then they may change without a word */
	/* An interface is in the group now, or is not any more. */
	void (*changed)(void *ctx, int ifindex);
	void *ctx;
};

/* Does not follow it yet. */
void pf_egress_init(struct pf_egress *e, struct pf_loop *loop,
		    void (*changed)(void *ctx, int ifindex), void *ctx);
/* Reads the group, without calls to `changed`, and follows it, if that is not done yet. */
int pf_egress_follow(struct pf_egress *e, struct pf_error_text *err);
/* Nobody asks any more. */
void pf_egress_leave(struct pf_egress *e);

/* Of the loopback interface that is for the caller to know: it is not in the group. */
bool pf_egress_has(const struct pf_egress *e, int ifindex);
/*
 * An interface or one of its addresses has changed, or it is gone: IPv4's routes that go
 * with it, and those that come back, do so without a word.
 */
void pf_egress_netif(struct pf_egress *e, int ifindex);

#endif /* PF_LOADER_EGRESS_H */
