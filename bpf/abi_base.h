/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* What all parts of abi.h are made of. */
#ifndef PF_ABI_BASE_H
#define PF_ABI_BASE_H

#ifdef __bpf__
#include <linux/types.h>
#else
#include <assert.h>
#include <linux/types.h>
#include <stddef.h>
#endif

#if defined(__bpf__) || !defined(__cplusplus)
#define PF_ABI_ASSERT(expr) _Static_assert(expr, #expr)
#endif

/* OpenBSD's numbers, which pflog and pfctl's users know. */
enum pf_dir { PF_INOUT = 0, PF_IN = 1, PF_OUT = 2 };
enum pf_action { PF_PASS = 0, PF_BLOCK = 1, PF_MATCH = 12 };

/* Address families by IP version: the host's AF_INET6 differs between systems. */
enum pf_af { PF_AF_ANY = 0, PF_AF_INET = 4, PF_AF_INET6 = 6 };

struct pf_addr {
	__u32 w[4];
};

PF_ABI_ASSERT(sizeof(struct pf_addr) == 16);

#endif /* PF_ABI_BASE_H */
