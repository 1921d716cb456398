/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * If-bound states of interfaces that come and go.  pf binds a state to the name of an
 * interface, the datapath to its number: states of one that goes get a number that no
 * interface has, and when one of that name comes they get its number.  So do states from a
 * file that are bound to what is not there yet.
 */
#ifndef PF_LOADER_BOUND_H
#define PF_LOADER_BOUND_H

#include <net/if.h>
#include <stddef.h>
#include <stdint.h>

#include "datapath.h"

struct pf_bound_lost {
	char name[IFNAMSIZ];
	uint32_t number; /* instead of an ifindex */
};

struct pf_bound {
	const struct pf_datapath *dp;
	struct pf_bound_lost *lost;
	size_t nlost;
	uint32_t next;
};

void pf_bound_open(struct pf_bound *b, const struct pf_datapath *dp);
void pf_bound_close(struct pf_bound *b);

void pf_bound_gone(struct pf_bound *b, const char *name, uint32_t ifindex);
void pf_bound_come(struct pf_bound *b, const char *name, uint32_t ifindex);
/* The number of states that wait for an interface which is not there yet; 0: they cannot. */
uint32_t pf_bound_await(struct pf_bound *b, const char *name);
/* The name of the interface that the number stands for; NULL: it is not known any more. */
const char *pf_bound_name(const struct pf_bound *b, uint32_t number);

#endif /* PF_LOADER_BOUND_H */
