/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Base of every program: includes, small macros, the kernel's numbers. */
#ifndef PF_BPF_BASE_H
#define PF_BPF_BASE_H

#include <linux/bpf.h>
#include <linux/types.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "abi.h"

#define inline_always	 static inline __attribute__((always_inline))
#define noinline_sub	 static __attribute__((noinline))
/* The verifier looks at it once, with arguments of which it knows nothing. */
#define global_sub	 __attribute__((noinline))

#define READ_ONCE(x)	 (*(volatile typeof(x) *)&(x))
#define WRITE_ONCE(x, v) (*(volatile typeof(x) *)&(x) = (v))
#define barrier()	 asm volatile("" ::: "memory")
#define likely(x)	 __builtin_expect(!!(x), 1)
#define unlikely(x)	 __builtin_expect(!!(x), 0)
/* Hides a value's origin from clang, which would reorder the check away from the use. */
#define opaque(x)	 asm volatile("" : "+r"(x))

/*
 * A zero of which the verifier knows nothing.  Before Linux 6.7 (commit ab5cfac139ab)
 * it looked at the callback of bpf_loop() once, with what the context began with, and
 * cut out as dead what only a later round reaches: a flag that the callback sets and
 * reads was never set.  Such a context gets this into each of its fields.
 */
static __u32 zero_of_bss;
#define unknown_zero()	 (*(volatile __u32 *)&zero_of_bss)

/*
 * Where paths meet with a number that is 0 on one and 1 on another, the verifier goes on
 * once for each as soon as somebody asks what it is.  Of this one it knows nothing any more,
 * and goes on once.  Costs a load.
 */
#define forget(x)	 ((x) ^= unknown_zero())

/* linux/pkt_cls.h: go on with the chain; drop. */
#define VERDICT_PASS	 (-1)
#define VERDICT_DROP	 2

/* linux/if_packet.h */
#define PACKET_HOST	 0
#define PACKET_OTHERHOST 3

#define ETH_HLEN	 14
#define ETH_P_IP	 0x0800
#define ETH_P_IPV6	 0x86dd
#define ETH_P_8021Q	 0x8100
#define ETH_P_8021AD	 0x88a8

enum {
	IPPROTO_HOPOPTS = 0,
	IPPROTO_ICMP = 1,
	IPPROTO_IGMP = 2,
	IPPROTO_TCP = 6,
	IPPROTO_UDP = 17,
	IPPROTO_ROUTING = 43,
	IPPROTO_FRAGMENT = 44,
	IPPROTO_AH = 51,
	IPPROTO_ICMPV6 = 58,
	IPPROTO_DSTOPTS = 60,
	IPPROTO_SCTP = 132,
};

inline_always int addr_equal(const struct pf_addr *a, const struct pf_addr *b)
{
	return !((a->w[0] ^ b->w[0]) | (a->w[1] ^ b->w[1]) | (a->w[2] ^ b->w[2]) |
		 (a->w[3] ^ b->w[3]));
}

#endif /* PF_BPF_BASE_H */
