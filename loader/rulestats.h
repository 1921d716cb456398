/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Counters of rules, and the ids that they are found by.  An id is given out in
 * turn, and not again while a state that its rule has made is alive.  Counters
 * lie in chunks ("PINDIR/stats/N"), which are made when they are needed.
 */
#ifndef PF_LOADER_RULESTATS_H
#define PF_LOADER_RULESTATS_H

#include <stddef.h>
#include <stdint.h>

#include "datapath.h"
#include "meters.h"
#include "tablerules.h"
#include "optsets.h"
#include "say.h"

struct pf_rulestats {
	const struct pf_datapath *dp;
	struct pf_optsets *opts; /* what rules have that go by their ids, too */
	struct pf_meters *meters;
	struct pf_tablerules *tables;
	uint8_t *used; /* PF_MAX_RULE_IDS: how many generations have it */
	uint32_t next;
	uint32_t nchunks;
	int chunk[PF_STATS_CHUNKS];
};

/* Takes over the chunks that are pinned. */
int pf_rulestats_open(struct pf_rulestats *s, const struct pf_datapath *dp, struct pf_optsets *opts,
		      struct pf_meters *meters, struct pf_tablerules *tables,
		      struct pf_error_text *err);
void pf_rulestats_close(struct pf_rulestats *s);

/* Ids for those that are 0, their counters 0; the others are shared. All or none. */
int pf_rulestats_take(struct pf_rulestats *s, uint32_t *ids, size_t n, struct pf_error_text *err);
/* These were taken by an earlier pfd; -EINVAL if there can be no such one. */
int pf_rulestats_adopt(struct pf_rulestats *s, const uint32_t *ids, size_t n);
/* Ids of 0 are none. */
void pf_rulestats_release(struct pf_rulestats *s, const uint32_t *ids, size_t n);

/* Waits until every packet that is judged now is done with; 0 or a negative errno. */
int pf_rulestats_wait(const struct pf_rulestats *s);

/* Summed over the CPUs. */
int pf_rulestats_read(const struct pf_rulestats *s, const uint32_t *ids, size_t n,
		      struct pf_rule_stats *out);

#endif /* PF_LOADER_RULESTATS_H */
