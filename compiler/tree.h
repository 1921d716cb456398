/* SPDX-License-Identifier: BSD-2-Clause */
/* Emitter B: rules as data, found through a decision tree. */
#ifndef PF_COMPILER_TREE_H
#define PF_COMPILER_TREE_H

#include "compiler.h"

/* Fills out->tree and out->emitter; errors as those of pf_ruleset_compile(). */
int pf_emit_tree(const struct pf_policy *p, const struct pf_compile_env *env,
		 struct pf_compiled *out, struct pf_compile_error *err);

/* The part of pf_policy_append() that is the tree's. */
int pf_tree_append(const struct pf_policy *p, uint32_t set, const struct pf_compile_env *env,
		   struct pf_compiled *out, struct pf_compiled_patch *patch,
		   struct pf_compile_error *err);

/* A set's rule as the tree's program reads it. */
int pf_tree_rule_fill(const struct pf_rule *r, uint32_t set, const struct pf_compile_env *env,
		      const struct pf_compiled *c, struct pf_tree_rule *out,
		      struct pf_compile_error *err);

/* The values of the fields between which a rule can match. */
struct pf_tree_box {
	uint32_t lo[PF_TREE_FIELDS];
	uint32_t hi[PF_TREE_FIELDS];
	bool sure;  /* it matches every packet in there */
	bool empty; /* it matches none */
};

/* `t` is the same rule's. */
void pf_tree_box_fill(const struct pf_compiled *c, const struct pf_rule *r,
		      const struct pf_tree_rule *t, struct pf_tree_box *out);

#endif /* PF_COMPILER_TREE_H */
