/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Base of the datapath: maps, counters, the clock.
 *
 * Maps are sized by the loader before they are made; the figures here are the
 * smallest that verify.  All of them are pinned, so that the firewall goes on
 * when pfd is dead; a restarted pfd finds them by the names here.
 */
#ifndef PF_BPF_H
#define PF_BPF_H

#include "shared.h"

/* The state table; see table.h. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct pf_state);
} pf_states SEC(".maps");

/* MMAPABLE, which it is not because of the locks: so it begins at a page, a bucket at a line. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
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
	__type(value, struct pf_status);
} pf_status SEC(".maps");

/* Counters of rules, by id: chunks that the loader makes as they are needed. */
struct pf_stats_chunk {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, PF_STATS_CHUNK);
	__type(key, __u32);
	__type(value, struct pf_rule_stats);
};
struct pf_stats_chunk pf_stats0 SEC(".maps");
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, PF_STATS_CHUNKS);
	__type(key, __u32);
	__array(values, struct pf_stats_chunk);
} pf_rule_stats SEC(".maps") = {
	.values = {[0] = &pf_stats0},
};

/* State options, by number; kept by the loader. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, PF_MAX_OPT_SETS);
	__type(key, __u32);
	__type(value, struct pf_opt_set);
} pf_opt_sets SEC(".maps");

/* How much there is of a rule, by its id; exact.  The loader puts the rules in. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 65536);
	__type(key, __u32);
	__type(value, struct pf_rule_count);
} pf_rule_states SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 65536);
	__type(key, __u32);
	__type(value, struct pf_iface);
} pf_ifaces SEC(".maps");

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

/* What arrays hold that the loader makes: the types are wanted, for bpftool. */
struct pf_table_item type_of_entries;
struct pf_nat type_of_nats;

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, PF_MAX_TABLES);
	__type(key, __u32);
	__type(value, struct pf_table_name);
} pf_table_names SEC(".maps");

/* The paths of those that are an anchor's: only these take the room. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, PF_MAX_TABLES);
	__type(key, __u32);
	__type(value, struct pf_table_anchor);
} pf_table_anchors SEC(".maps");

/* Counters of tables, and which tables of rules have them; the loader puts both in. */
struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, PF_TABLE_COUNTS_MOST);
	__type(key, struct pf_table_count_key);
	__type(value, struct pf_table_count);
} pf_table_counts SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, PF_RULE_TABLES_MOST);
	__type(key, __u32);
	__type(value, struct pf_rule_tables);
} pf_rule_tables SEC(".maps");

/* Names of tags, by their number; kept by the loader. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, PF_MAX_TAGS);
	__type(key, __u32);
	__type(value, struct pf_tag_name);
} pf_tags SEC(".maps");

/* Labels of rules that are gone, but have states, by the rule's id; kept by the loader. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 65536);
	__type(key, __u32);
	__type(value, struct pf_rule_labels);
} pf_labels SEC(".maps");

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

inline_always struct pf_rule_stats *rule_stats(__u32 id)
{
	__u32 at = id / PF_STATS_CHUNK, in = id % PF_STATS_CHUNK;
	void *chunk = bpf_map_lookup_elem(&pf_rule_stats, &at);

	return chunk ? bpf_map_lookup_elem(chunk, &in) : NULL;
}

/* NULL: it has none. */
inline_always struct pf_opt_set *opt_set(__u32 opts)
{
	return opts ? bpf_map_lookup_elem(&pf_opt_sets, &opts) : NULL;
}

inline_always __u32 tick_now(void)
{
	return bpf_jiffies64() >> PF_TICK_SHIFT;
}

/* A drop with its reason; the reason also goes into the log. */
inline_always int drop(__u32 reason)
{
	count(PF_CNT_REASON + reason);
	return VERDICT_DROP;
}

inline_always int unjudged(void)
{
	count(PF_CNT_UNJUDGED);
	return VERDICT_DROP;
}

/* `prog` must be a constant: the jump is then patched in. */
inline_always int to_prog(struct __sk_buff *skb, const enum pf_prog prog)
{
	bpf_tail_call(skb, &pf_progs, prog);
	return unjudged();
}

#endif /* PF_BPF_H */
