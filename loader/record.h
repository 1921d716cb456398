/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a generation's rules are, for a pfd that takes over: a map beside its
 * program, "PINDIR/gen/ID/model"; and one for each anchor that was replaced since,
 * "PINDIR/gen/ID/patch_N", the later ones instead of the earlier ones.
 */
#ifndef PF_LOADER_RECORD_H
#define PF_LOADER_RECORD_H

#include <stddef.h>

#include "generation.h"

/* Makes gen->model of all its rulesets and the ids of their rules. */
int pf_record_make(struct pf_generation *gen, struct pf_error_text *err);

/*
 * Pins a ruleset that takes the place of an anchor's, and the ids of its rules.
 * From then on it is what a pfd that takes over puts in force.
 */
int pf_record_patch(const struct pf_generations *g, struct pf_generation *gen, const char *path,
		    const struct pf_ruleset *rs, const uint32_t *ids, struct pf_error_text *err);

/*
 * Fills anchors, policy and rule ids; pins are open.  *patched: there are patches, so that
 * the kernel's arrays are not those of the policy.  A message in why on failure.
 */
int pf_record_read(struct pf_generations *g, struct pf_generation *gen, bool *patched, char *why,
		   size_t size);

#endif /* PF_LOADER_RECORD_H */
