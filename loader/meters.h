/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What rules with `once' or `max-pkt-rate' remember of the packets that they have met:
 * bpf/meter.h.  By the rule's id, so it goes on where the rule does.
 */
#ifndef PF_LOADER_METERS_H
#define PF_LOADER_METERS_H

#include <stdbool.h>

#include "../grammar/rule.h"
#include "datapath.h"
#include "say.h"

struct pf_meters {
	const struct pf_datapath *dp;
	uint8_t *there; /* PF_MAX_RULE_IDS */
};

/* Takes over those that are there. */
int pf_meters_open(struct pf_meters *m, const struct pf_datapath *dp);
void pf_meters_close(struct pf_meters *m);

/* Of the rules that have one; those of rules that go on stay as they are. */
int pf_meters_make(struct pf_meters *m, const struct pf_rule **rules, const uint32_t *ids, size_t n,
		   struct pf_error_text *err);
bool pf_meters_have(const struct pf_meters *m, const uint32_t *ids, size_t n);
/*
 * The id is no rule's any more; packets of states of it may have found its meter.  True: it
 * had one.
 */
bool pf_meters_drop(struct pf_meters *m, uint32_t id);

/* Has the rule of that id matched `once'? */
bool pf_meter_expired(const struct pf_meters *m, uint32_t id);

#endif /* PF_LOADER_METERS_H */
