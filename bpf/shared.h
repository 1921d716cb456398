/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* The datapath's maps that the rules' program uses as well. */
#ifndef PF_BPF_SHARED_H
#define PF_BPF_SHARED_H

#include "base.h"

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct pf_config);
} pf_config SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, PF_CNT_MAX);
	__type(key, __u32);
	__type(value, __u64);
} pf_counters SEC(".maps");

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

/*
 * Address tables by slot, which the loader gives out, and the nodes that their
 * words lead to.  Rules look them up; in the datapath the templates give libbpf the types.
 */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, PF_MAX_TABLES);
	__type(key, __u32);
	__type(value, struct pf_table_roots);
} pf_tables SEC(".maps");

struct pf_node_map {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, sizeof(struct pf_node_chunk));
};
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, PF_NODE_CHUNKS);
	__type(key, __u32);
	__array(values, struct pf_node_map);
} pf_table_nodes SEC(".maps");

/* By kind and id; the loader makes them. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, PF_LIMITERS);
	__type(key, __u32);
	__type(value, struct pf_limiter);
} pf_limiters SEC(".maps");

/* The sources of source limiters. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, PF_LIMITED_MOST);
	__type(key, struct pf_src_key);
	__type(value, struct pf_limited);
} pf_limited SEC(".maps");

/*
 * What the datapath has added to tables since the loader last looked: see delta.h.
 * Preallocated, for it is written in the packet's path; the value is the
 * entry's pf_table_item.since.
 */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, PF_DELTA_MOST);
	__type(key, struct pf_table_net);
	__type(value, __u32);
} pf_table_delta SEC(".maps");

/*
 * What a table which the datapath writes has as `!prefix': these it does not add, and
 * addresses in them are not in a shorter prefix of the delta.  The value is the length.
 */
struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, PF_TABLE_NOTS_MOST);
	__type(key, struct pf_table_not);
	__type(value, __u32);
} pf_table_nots SEC(".maps");

/* What rules remember, by their ids; the loader puts them in. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, PF_METERS_MOST);
	__type(key, __u32);
	__type(value, struct pf_meter);
} pf_meters SEC(".maps");

#endif /* PF_BPF_SHARED_H */
