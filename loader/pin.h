/* SPDX-License-Identifier: BSD-2-Clause */
/* The BPF file system, where everything stands that outlives pfd. */
#ifndef PF_LOADER_PIN_H
#define PF_LOADER_PIN_H

#include <stdint.h>

#include "say.h"

/* Makes the pin directory and those in it; mounts the file system if it is not there. */
int pf_pin_prepare(const char *pin_dir, struct pf_error_text *err);

/*
 * One pfd a pin directory: a descriptor to keep open, or -EBUSY with a message;
 * -ENOENT without one if the directory is not there.
 */
int pf_pin_lock(const char *pin_dir, struct pf_error_text *err);

/* Removes a directory with all that is in it; -ENOENT if it is not there. */
int pf_pin_remove_tree(const char *path);

/* What libbpf last complained about, for error messages; "" if nothing. */
const char *pf_libbpf_words(void);
/* Makes libbpf tell us instead of stderr. */
void pf_libbpf_quiet(void);

#endif /* PF_LOADER_PIN_H */
