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
