/* SPDX-License-Identifier: BSD-2-Clause */
/* How the rules in force run, as text for people. */
#ifndef PF_LOADER_DUMP_H
#define PF_LOADER_DUMP_H

#include <stdbool.h>
#include <stddef.h>

#include "generation.h"

/*
 * The text, which the caller frees, and its length; `all`: with every step and tree.
 * `asked` is the emitter that pfd was told to use.  0 or -ENOMEM.
 */
int pf_dump_text(const struct pf_generation *gen, enum pf_emitter asked, bool all, char **text,
		 size_t *len);

#endif /* PF_LOADER_DUMP_H */
