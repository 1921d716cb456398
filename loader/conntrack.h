/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Connections that netfilter's connection tracking knows become states, those that the
 * host forwards above all: of these no socket tells.
 *
 * Where netfilter translates, it does so between our hooks: what comes in is not yet
 * translated, what goes out is already.  So each side gets the state of what is seen
 * there, and neither translates; netfilter goes on with that.
 */
#ifndef PF_LOADER_CONNTRACK_H
#define PF_LOADER_CONNTRACK_H

#include "datapath.h"
#include "netif.h"
#include "say.h"

struct pf_conntracked {
	uint32_t made;	  /* entries that became states */
	uint32_t skipped; /* that could not: another zone, a protocol unknown here, the limit */
};

/* 0, also where there is no connection tracking; or a negative errno with a message. */
int pf_adopt_conntrack(const struct pf_datapath *dp, const struct pf_netifs *ifs,
		       struct pf_conntracked *out, struct pf_error_text *err);

#endif /* PF_LOADER_CONNTRACK_H */
