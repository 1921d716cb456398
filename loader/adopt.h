/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Connections that are older than the firewall: local TCP and connected UDP
 * sockets become states, so that the first ruleset does not cut them.
 */
#ifndef PF_LOADER_ADOPT_H
#define PF_LOADER_ADOPT_H

#include "datapath.h"
#include "say.h"

/*
 * What an adopted state has in common with all others of them: no rule, no translation,
 * and of TCP no window that is known.
 */
void pf_adopt_begin(struct pf_state *s, uint64_t jiffies);

/* Number of states made, or a negative errno with a message. */
int pf_adopt_sockets(const struct pf_datapath *dp, struct pf_error_text *err);

#endif /* PF_LOADER_ADOPT_H */
