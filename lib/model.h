/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The rule model as bytes: what a client sends to load, and what pfd keeps
 * beside the programs, so that a restarted pfd knows the rules in force.
 */
#ifndef PF_LIB_MODEL_H
#define PF_LIB_MODEL_H

#include "../grammar/rule.h"
#include "wire.h"

/* Changes with every change of the encoding. */
#define PF_MODEL_VERSION      10

#define PF_MODEL_RULES_MOST   PF_RULES_LARGEST
#define PF_MODEL_ENTRIES_MOST 10000000

/*
 * Rules, with those of anchors in braces, tables and options, and the rulesets that are
 * loaded with it; not what -v echoes.
 * What the datapath does not enforce has no encoding: the buffer is then `failed`.
 */
void pf_model_encode(const struct pf_ruleset *rs, struct pf_buf *out);

/* What one rule says, without its line and without what stands in its braces: to compare. */
void pf_model_encode_rule(const struct pf_rule *r, struct pf_buf *out);

/*
 * Trusts nothing: every value is checked, and every rule by pf_rule_check().
 * 0 and *out, which the caller frees; -EPROTO if it is another version's,
 * -EINVAL if it is malformed, both with a message of at most errsize bytes in
 * err; -ENOMEM.
 */
int pf_model_decode(const void *data, size_t len, struct pf_ruleset **out, char *err,
		    size_t errsize);

#endif /* PF_LIB_MODEL_H */
