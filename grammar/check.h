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
	PF_PART_LIMITER,
	PF_PART_MAX,
};

/* NULL if the rule is consistent, else a message, and in *part what it is about. */
const char *pf_rule_check(const struct pf_rule *r, enum pf_rule_part *part);

/*
 * What of a consistent rule's translation or rate the datapath does not do, as
 * pf_unenforced() says it, and in *part where it stands; NULL if it does all of it.
 */
const char *pf_rule_unenforced(const struct pf_rule *r, enum pf_rule_part *part);

/*
 * Does the datapath do all that the rule's rarer parts say?  The parser has told the
 * user already; this is for what must not be passed on without it being noticed.
 */
bool pf_rule_ext_enforced(const struct pf_rule *r);

/*
 * Names that can be printed and parsed back: no quotes, backslashes, control characters
 * or blanks.
 */
bool pf_name_ok(const char *name, size_t size);

/* "a/b/c", "/a", "../a", "a" and, if it may be, a star at the end: NULL if it is good. */
const char *pf_anchor_path_error(const char *path, bool star_ok);
/* The same, but for names that pf gives itself. */
const char *pf_anchor_path_malformed(const char *path, bool star_ok);

/*
 * Where a call of `path`, without a star, leads from the ruleset at `from`: a path from the
 * main ruleset without "/" at its ends, for the caller to free; NULL: no memory.
 */
char *pf_anchor_path_resolve(const char *from, const char *path);

#endif /* PF_GRAMMAR_CHECK_H */
