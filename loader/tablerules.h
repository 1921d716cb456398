/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which rules name tables that count, by the rules' ids: bpf/counts.h.  A rule that is gone
 * has its tables as long as its id is its own, for states that it has made.
 */
#ifndef PF_LOADER_TABLERULES_H
#define PF_LOADER_TABLERULES_H

#include <stdbool.h>
#include <stdint.h>

#include "../grammar/rule.h"
#include "datapath.h"

struct pf_tablerules {
	const struct pf_datapath *dp;
	uint8_t *there; /* PF_MAX_RULE_IDS */
};

/* Takes over those that are there. */
int pf_tablerules_open(struct pf_tablerules *r, const struct pf_datapath *dp);
void pf_tablerules_close(struct pf_tablerules *r);

/* counts: the numbers of the tables of its source and destination, 0 none; not both. */
int pf_tablerules_set(struct pf_tablerules *r, uint32_t id, const struct pf_rule *rule,
		      const uint32_t *counts);
/* The id is another rule's now, or its tables count no more. */
void pf_tablerules_drop(struct pf_tablerules *r, uint32_t id);
/* The number is no table's any more. */
void pf_tablerules_forget(struct pf_tablerules *r, uint32_t counts);

#endif /* PF_LOADER_TABLERULES_H */
