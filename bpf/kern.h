/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * The few things of the running kernel that no UAPI header tells; their
 * offsets are put in at load time from the kernel's BTF (CO-RE).
 */
#ifndef PF_BPF_KERN_H
#define PF_BPF_KERN_H

#include <linux/types.h>

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct sk_buff {
	__u8 ip_summed : 2;
};

struct seq_file;

struct bpf_iter_meta {
	struct seq_file *seq;
};

struct bpf_iter__bpf_map_elem {
	struct bpf_iter_meta *meta;
	void *map;
	void *key;
	void *value;
};

#pragma clang attribute pop

/* include/linux/skbuff.h */
#define CHECKSUM_NONE	     0
#define CHECKSUM_UNNECESSARY 1
#define CHECKSUM_COMPLETE    2
#define CHECKSUM_PARTIAL     3

#endif /* PF_BPF_KERN_H */
