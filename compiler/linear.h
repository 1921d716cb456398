/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef PF_COMPILER_LINEAR_H
#define PF_COMPILER_LINEAR_H

#include "compiler.h"

/*
 * Fills insns, relocs, edges and reachable of *out, whose skips and ifaces are
 * there already.  Errors as pf_ruleset_compile().
 */
int pf_emit_linear(const struct pf_policy *p, const struct pf_compile_env *env,
		   struct pf_compiled *out, struct pf_compile_error *err);

#endif /* PF_COMPILER_LINEAR_H */
