/* SPDX-License-Identifier: BSD-2-Clause */
/* What the files of pf_compiled_describe() share. */
#ifndef PF_COMPILER_DESCRIBE_H
#define PF_COMPILER_DESCRIBE_H

#include "compiler.h"

/* Lists that are longer are cut, unless all was asked for. */
#define PF_DESCRIBE_MOST 20

struct pf_describer {
	FILE *f;
	const struct pf_policy *p;
	const struct pf_compiled *c;
	const struct pf_describe_env *env;
	bool *reached; /* rules that a packet can come to */
	bool *led_to;  /* sets that a packet can come to */
	bool failed;   /* memory was short */
};

static inline const char *pf_describe_plural(size_t n)
{
	return n == 1 ? "" : "s";
}

/* "main ruleset", "anchor a/b" */
void pf_describe_set_name(const struct pf_describer *d, uint32_t set);

/* Which rules stand in a leaf. */
void pf_describe_in_leaves(const struct pf_compiled *c, bool *rules);
/* Emitter B's trees, of each ruleset. */
void pf_describe_trees(struct pf_describer *d);

#endif /* PF_COMPILER_DESCRIBE_H */
