/* SPDX-License-Identifier: BSD-2-Clause */
/* Sources that the datapath tracks: reading their nodes, and taking them out. */
#ifndef PF_LOADER_SOURCES_H
#define PF_LOADER_SOURCES_H

#include <stddef.h>
#include <stdint.h>

#include "../lib/proto.h"
#include "datapath.h"
#include "generation.h"
#include "kill.h"

/* All there are, for the caller to free; 0 or a negative errno. */
int pf_sources_list(const struct pf_datapath *dp, const struct pf_generation *gen,
		    struct pf_wire_source **out, size_t *n);

/*
 * Takes out the nodes of sources in hosts[0], and if nhosts is 2 of those that are mapped to
 * hosts[1], which none is: it has the address of zeroes.  Their states live on, and count
 * for nothing.  *n is their number; 0 or a negative errno.
 */
int pf_sources_kill(const struct pf_datapath *dp, const struct pf_kill_host *hosts,
		    unsigned int nhosts, uint32_t *n);

#endif /* PF_LOADER_SOURCES_H */
