/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A patch: other rules for one anchor of the generation in force, where that is large.
 * They are written behind what the kernel's arrays hold; then one word leads there, so a
 * packet meets the old rules or the new ones.  What was replaced stays as it is until the
 * generation goes.
 */
#ifndef PF_LOADER_PATCH_H
#define PF_LOADER_PATCH_H

#include "generation.h"

struct pf_patch {
	const char *path; /* the anchor's */
	struct pf_policy *policy;
	uint32_t *ids;
	struct pf_id_index index;
	struct pf_anchors anchors;
	struct pf_compiled_patch code;
	/* what the policy had before: its rules in the set, and their ids */
	uint32_t was_first, nwas;
	uint32_t *was_ids;
	uint32_t set;
	uint32_t *kept; /* of the new rules, those of before that go on; PF_POLICY_NONE */
};

/*
 * Puts rs in the place of the anchor's rules.  0: rs is the generation's, and *out wants
 * pf_patch_free().  -EOPNOTSUPP: it cannot be done that way, nothing has changed and
 * rs is the caller's still; others with a message: nothing has changed, and rs is gone.
 */
int pf_generation_patch(struct pf_generations *g, struct pf_generation *gen, const char *path,
			struct pf_ruleset *rs, struct pf_patch *out, struct pf_error_text *err);

/* Was it one of the rules that are gone? */
bool pf_patch_had(const struct pf_patch *p, uint32_t id);
void pf_patch_free(struct pf_generations *g, struct pf_patch *p);

#endif /* PF_LOADER_PATCH_H */
