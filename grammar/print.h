/* SPDX-License-Identifier: BSD-2-Clause */
/* From the rule model back to text: OpenBSD's canonical form, FreeBSD's for the old dialect. */
#ifndef PF_GRAMMAR_PRINT_H
#define PF_GRAMMAR_PRINT_H

#include <stdio.h>

#include "rule.h"

#define PF_PRINT_NUMBER	    1 /* "@0 " in front of a rule */
#define PF_PRINT_PORT_NAMES 2
/* "set state-policy if-bound" stands in front: rules that are not say so. */
#define PF_PRINT_IF_BOUND   4
/* Of an anchor's braces only the opening one is printed. */
#define PF_PRINT_OPEN	    8

/*
 * One rule with its newline, and the block of an anchor's; nr is only used with
 * PF_PRINT_NUMBER.
 */
void pf_rule_print(FILE *f, const struct pf_rule *r, size_t nr, unsigned int flags);
/* Two blanks in front for each level. */
void pf_rule_print_at(FILE *f, const struct pf_rule *r, size_t nr, unsigned int flags,
		      unsigned int depth);
void pf_ether_rule_print(FILE *f, const struct pf_ether_rule *r, size_t nr, unsigned int flags);

/* One table definition as in a file, with its newline. */
void pf_table_print(FILE *f, const struct pf_table_def *t);

/* A host by itself, outside of a rule. */
void pf_rule_host_print(FILE *f, const struct pf_rule_host *h);

/* What stands behind "nat-to " and kin; af is the family of its addresses, if one was given. */
void pf_pool_print(FILE *f, const struct pf_pool *p, enum pf_family af);

/*
 * Everything that the file said: macros, options and tables in its order, then
 * the rules by kind.  Parsing this text gives the same ruleset.
 */
void pf_ruleset_print(FILE *f, const struct pf_ruleset *rs, unsigned int flags);

#endif /* PF_GRAMMAR_PRINT_H */
