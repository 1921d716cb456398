/* SPDX-License-Identifier: BSD-2-Clause */
/* Warnings about rules and tables that are in order, but cannot be meant. */
#ifndef PF_GRAMMAR_LINT_H
#define PF_GRAMMAR_LINT_H

#include "rule.h"

typedef void pf_lint_fn(void *ctx, uint16_t file, uint32_t line, const char *text);

/*
 * Calls warn for each, in the order of files and lines, and returns how many
 * there were.  For a ruleset as it was written: before it is optimised.
 */
size_t pf_ruleset_lint(const struct pf_ruleset *rs, pf_lint_fn *warn, void *ctx);

#endif /* PF_GRAMMAR_LINT_H */
