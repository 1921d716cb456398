/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Base of the datapath: includes, maps, counters, the clock.
 *
 * Maps are sized by the loader before they are made; the figures here are the
 * smallest that verify.  All of them are pinned, so that the firewall goes on
 * when pfd is dead; a restarted pfd finds them by the names here.
 */
#ifndef PF_BPF_H
#define PF_BPF_H

#include <linux/bpf.h>
#include <linux/types.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "abi.h"

#define inline_always	 static inline __attribute__((always_inline))
#define noinline_sub	 static __attribute__((noinline))

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
};

/* The state table; see table.h. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct pf_state);
} pf_states SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct pf_bucket);
} pf_buckets SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_QUEUE);
	__uint(max_entries, 1);
	__type(value, __u32);
} pf_free SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_QUEUE);
	__uint(max_entries, 1);
	__type(value, struct pf_limbo_entry);
} pf_limbo SEC(".maps");

/* Locks of the full TCP check, striped by slot: slots are mmapable and can hold none. */
#define PF_TCP_LOCKS 1024
struct pf_tcp_lock {
	struct bpf_spin_lock lock;
};
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, PF_TCP_LOCKS);
	__type(key, __u32);
	__type(value, struct pf_tcp_lock);
} pf_tcp_locks SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct pf_config);
} pf_config SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct pf_status);
} pf_status SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, PF_CNT_MAX);
	__type(key, __u32);
	__type(value, __u64);
} pf_counters SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, PF_MAX_RULE_IDS);
	__type(key, __u32);
	__type(value, struct pf_rule_stats);
} pf_rule_stats SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 65536);
	__type(key, __u32);
	__type(value, struct pf_iface);
} pf_ifaces SEC(".maps");

/*
 * The packet at hand.  No program of ours runs inside another on one CPU:
 * softirqs and bottom-half-disabled sections do not nest, and nothing here
 * sends a clone.
 */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct pf_pkt);
} pf_scratch SEC(".maps");

/* Static programs, by constant index: patched into direct jumps. */
struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, PF_PROG_MAX);
	__type(key, __u32);
	__type(value, __u32);
} pf_progs SEC(".maps");

/*
 * The rules in force.  One slot, and its index is read from memory: the kernel
 * then changes it in one step for all programs, which it does not for constant
 * indexes (they are patched one program after another).
 */
struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} pf_top SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERF_EVENT_ARRAY);
	__type(key, __u32);
	__type(value, __u32);
} pf_log SEC(".maps");

/*
 * Address tables; slots are given out by the loader.  The generated rules look
 * them up; no program here does, but the template gives libbpf the inner type.
 */
struct pf_table_map {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 1);
	__type(key, struct pf_table_key);
	__type(value, struct pf_table_value);
};
struct pf_table_map pf_table0 SEC(".maps");
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, PF_MAX_TABLES);
	__type(key, __u32);
	__array(values, struct pf_table_map);
} pf_tables SEC(".maps") = {
	.values = {[0] = &pf_table0},
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, PF_MAX_TABLES);
	__type(key, __u32);
	__type(value, struct pf_table_name);
} pf_table_names SEC(".maps");

inline_always struct pf_config *config(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&pf_config, &zero);
}

inline_always struct pf_status *status(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&pf_status, &zero);
}

inline_always struct pf_pkt *scratch(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&pf_scratch, &zero);
}

inline_always void count_n(__u32 which, __u64 n)
{
	__u64 *v = bpf_map_lookup_elem(&pf_counters, &which);

	if (v)
		*v += n;
}

inline_always void count(__u32 which)
{
	count_n(which, 1);
}

inline_always __u32 tick_now(void)
{
	return bpf_jiffies64() >> PF_TICK_SHIFT;
}

inline_always int addr_equal(const struct pf_addr *a, const struct pf_addr *b)
{
	return !((a->w[0] ^ b->w[0]) | (a->w[1] ^ b->w[1]) | (a->w[2] ^ b->w[2]) |
		 (a->w[3] ^ b->w[3]));
}

/* A drop with its reason; the reason also goes into the log. */
inline_always int drop(__u32 reason)
{
	count(PF_CNT_REASON + reason);
	return VERDICT_DROP;
}

#endif /* PF_BPF_H */
