// SPDX-License-Identifier: BSD-2-Clause
#include "btf.h"

#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "bpf/datapath.skel.h"

static int type_id(const struct btf *btf, const char *name)
{
	if (strcmp(name, "u32") == 0)
		return btf__find_by_name_kind(btf, "__u32", BTF_KIND_TYPEDEF);
	return btf__find_by_name_kind(btf, name, BTF_KIND_STRUCT);
}

void pf_btf_map_types(const struct pf_datapath *dp, const char *key, const char *value,
		      struct bpf_map_create_opts *opts)
{
	const struct btf *btf = bpf_object__btf(dp->skel->obj);
	int fd = bpf_object__btf_fd(dp->skel->obj), k, v;

	if (!btf || fd < 0)
		return;
	k = type_id(btf, key);
	v = type_id(btf, value);
	if (k < 0 || v < 0)
		return;
	opts->btf_fd = (__u32)fd;
	opts->btf_key_type_id = (__u32)k;
	opts->btf_value_type_id = (__u32)v;
}

int pf_btf_numbers(uint32_t n, uint32_t size, struct bpf_map_create_opts *opts)
{
	struct btf *btf = btf__new_empty();
	int key, number, array, fd, err;

	if (!btf)
		return -errno;
	key = btf__add_int(btf, "u32", 4, 0);
	number = btf__add_int(btf, size == 1 ? "u8" : "u64", size, 0);
	array = btf__add_array(btf, key, number, n);
	if (key < 0 || number < 0 || array < 0) {
		btf__free(btf);
		return -ENOMEM;
	}
	err = btf__load_into_kernel(btf);
	fd = err ? err : dup(btf__fd(btf));
	btf__free(btf);
	if (fd < 0)
		return fd;
	opts->btf_fd = (__u32)fd;
	opts->btf_key_type_id = (__u32)key;
	opts->btf_value_type_id = (__u32)array;
	return fd;
}

/* int name(parameters): the function's type. */
static int add_function(struct btf *btf, const char *name, enum btf_func_linkage linkage,
			const int *types, size_t n, int result)
{
	static const char *const names[] = {"a", "b", "c", "d"};
	int proto = btf__add_func_proto(btf, result), err = proto < 0 ? proto : 0;

	for (size_t i = 0; i < n && !err; i++)
		err = btf__add_func_param(btf, names[i], types[i]);
	return err ? err : btf__add_func(btf, name, linkage, proto);
}

int pf_btf_functions(struct bpf_func_info funcs[PF_BTF_FUNCS], const size_t at[PF_BTF_FUNCS - 1],
		     uint32_t *nfuncs)
{
	struct btf *btf = btf__new_empty();
	int number, u32, u64, ctx, program, types[PF_BTF_FUNCS - 1], n = 1, fd;

	if (!btf)
		return -errno;
	number = btf__add_int(btf, "int", 4, BTF_INT_SIGNED);
	u32 = btf__add_int(btf, "u32", 4, 0);
	u64 = btf__add_int(btf, "u64", 8, 0);
	ctx = btf__add_ptr(btf, btf__add_struct(btf, "__sk_buff", 4));
	program = add_function(btf, "pf_rules", BTF_FUNC_STATIC, (int[]){ctx}, 1, number);
	types[0] = add_function(btf, "pf_in_table", BTF_FUNC_GLOBAL, (int[]){u32, u32, u64, u64}, 4,
				number);
	types[1] = add_function(btf, "pf_translate", BTF_FUNC_GLOBAL, (int[]){u32}, 1, number);
	types[2] = add_function(btf, "pf_ask_limits", BTF_FUNC_GLOBAL, (int[]){u32}, 1, number);
	types[3] = add_function(btf, "pf_meter", BTF_FUNC_GLOBAL, (int[]){u32, u32}, 2, number);
	fd = program < 0 ? -ENOMEM : 0;
	funcs[0] = (struct bpf_func_info){.insn_off = 0, .type_id = (uint32_t)program};
	for (size_t i = 0; i < PF_BTF_FUNCS - 1; i++) {
		if (types[i] < 0)
			fd = -ENOMEM;
		if (at[i])
			funcs[n++] = (struct bpf_func_info){.insn_off = (uint32_t)at[i],
							    .type_id = (uint32_t)types[i]};
	}
	if (!fd)
		fd = btf__load_into_kernel(btf);
	if (!fd)
		fd = dup(btf__fd(btf));
	btf__free(btf);
	if (fd >= 0)
		*nfuncs = (uint32_t)n;
	return fd;
}
