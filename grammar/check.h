/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What makes a rule one that pf takes: used by the parser on what a user wrote,
 * and by the daemon on what a client sent.
 */
#ifndef PF_GRAMMAR_CHECK_H
#define PF_GRAMMAR_CHECK_H

#include "rule.h"

/* The part of a rule that an error is about. */
enum pf_rule_part {
	PF_PART_RULE,
	PF_PART_PORT,
	PF_PART_ICMP,
	PF_PART_BLOCK,
	PF_PART_STATE,
	PF_PART_ROUTE,
	PF_PART_NAT,
	PF_PART_RDR,
	PF_PART_DIVERT,
	PF_PART_SCRUB,
	PF_PART_USER,
	PF_PART_OS,
	PF_PART_MAX,
};

/* NULL if the rule is consistent, else a message, and in *part what it is about. */
const char *pf_rule_check(const struct pf_rule *r, enum pf_rule_part *part);

/*
 * Names that can be printed and parsed back: no quotes, backslashes, control characters
 * or blanks.
 */
bool pf_name_ok(const char *name, size_t size);

#endif /* PF_GRAMMAR_CHECK_H */
