/* SPDX-License-Identifier: BSD-2-Clause */
/* From the rule model back to text: OpenBSD's canonical form. */
#ifndef PF_GRAMMAR_PRINT_H
#define PF_GRAMMAR_PRINT_H

#include <stdio.h>

#include "rule.h"

#define PF_PRINT_NUMBER	    1 /* "@0 " in front of a rule */
#define PF_PRINT_PORT_NAMES 2

/* One rule with its newline; nr is only used with PF_PRINT_NUMBER. */
void pf_rule_print(FILE *f, const struct pf_rule *r, size_t nr, unsigned int flags);

/* One table definition as in a file, with its newline. */
void pf_table_print(FILE *f, const struct pf_table_def *t);

/*
 * Everything that the file said, in its order: macros, options, tables, rules.
 * Parsing this text gives the same ruleset.
 */
void pf_ruleset_print(FILE *f, const struct pf_ruleset *rs, unsigned int flags);

#endif /* PF_GRAMMAR_PRINT_H */
