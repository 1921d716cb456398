/* SPDX-License-Identifier: BSD-2-Clause */
/* Type information for maps that are made at run time, so that bpftool can show them. */
#ifndef PF_LOADER_BTF_H
#define PF_LOADER_BTF_H

#include <bpf/bpf.h>

#include "datapath.h"

/*
 * Sets key and value type by the names that they have in the datapath's own
 * type information; "u32" is __u32.  Leaves *opts without types if one is not
 * to be found: the map works all the same.
 */
void pf_btf_map_types(const struct pf_datapath *dp, const char *key, const char *value,
		      struct bpf_map_create_opts *opts);

/*
 * Types for an array map whose one value is `n` numbers of `size` bytes, made for
 * the occasion.  Returns its descriptor, which must stay open until the map is
 * made, or a negative errno; *opts is set only on success.
 */
int pf_btf_numbers(uint32_t n, uint32_t size, struct bpf_map_create_opts *opts);

#define PF_BTF_FUNCS 5

/*
 * Types of a generated program's functions: the program, and pf_in_table() of
 * bpf/ranges.bpf.c, pf_translate() of bpf/translate.bpf.c, pf_ask_limits() of
 * bpf/limits.bpf.c and pf_meter() of bpf/meter.bpf.c, which begin at these instructions, 0
 * if they are not there.  Returns a descriptor, which must stay open until the program is
 * loaded, or a negative errno; *nfuncs is set on success.
 */
int pf_btf_functions(struct bpf_func_info funcs[PF_BTF_FUNCS], const size_t at[PF_BTF_FUNCS - 1],
		     uint32_t *nfuncs);

#endif /* PF_LOADER_BTF_H */
