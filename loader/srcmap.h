/* SPDX-License-Identifier: BSD-2-Clause */
/* Maps of sources: struct pf_src_key to a value whose first word is the number of its states. */
#ifndef PF_LOADER_SRCMAP_H
#define PF_LOADER_SRCMAP_H

#include <stddef.h>

/*
 * What is in the map, which has no more than `most`: elements of `size` bytes, a key with its
 * value right behind it, in order and no key twice.  Those that are being taken out are not
 * among them.  `out` is the address of a pointer, which the caller frees.  0 or a negative
 * errno.
 */
int pf_srcmap_read(int map, size_t size, size_t most, int (*compare)(const void *, const void *),
		   void *out, size_t *n);

#endif /* PF_LOADER_SRCMAP_H */
