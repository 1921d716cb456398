/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* State options of rules: how many states a rule may have, and how long they live. */
#ifndef PF_BPF_OPTS_H
#define PF_BPF_OPTS_H

#include "pf.h"

#define FACTOR_ONE 65536

/*
 * pf.conf(5), adaptive timeouts: linear from 1 at the start to 0 at the end, by the
 * number of states.  `timeout` are the PFTM_*.
 */
inline_always __u32 adaptive_factor(const __u32 *timeout, __u32 states)
{
	__u32 start = timeout[PFTM_ADAPTIVE_START], end = timeout[PFTM_ADAPTIVE_END];

	if (!end || states <= start || start >= end)
		return FACTOR_ONE;
	if (states >= end)
		return 0;
	return (__u64)FACTOR_ONE * (end - states) / (end - start);
}

/* Ticks until a state of that timeout ends.  `factor` is that of the global ones. */
inline_always __u64 opts_lifetime(__u32 opts, __u32 rule, const struct pf_config *cfg, __u32 class,
				  __u32 factor)
{
	struct pf_opt_set *o = opt_set(opts);
	struct pf_rule_count *n;
	__u32 after;

	if (class >= PFTM_MAX)
		return 0;
	after = cfg->timeout[class];
	if (unlikely(o)) {
		if (o->timeout[class])
			after = o->timeout[class];
		if (o->timeout[PFTM_ADAPTIVE_START]) {
			n = bpf_map_lookup_elem(&pf_rule_states, &rule);
			factor = adaptive_factor(o->timeout, n ? n->states : 0);
		}
	}
	return ((__u64)after * factor) >> 16;
}

enum rule_room { ROOM_TAKEN, ROOM_NONE, ROOM_UNKNOWN };

/* One more state of a rule that has options: exact on any number of CPUs. */
global_sub int rule_state_take(__u32 rule, __u32 opts)
{
	struct pf_opt_set *o = opt_set(opts);
	struct pf_rule_count *n;
	__u32 max;

	if (!o)
		return ROOM_UNKNOWN;
	if (!(o->flags & PF_OPTS_COUNTED))
		return ROOM_TAKEN;
	n = bpf_map_lookup_elem(&pf_rule_states, &rule);
	if (!n)
		return ROOM_UNKNOWN;
	max = o->max ? o->max : ~0U;
	if (READ_ONCE(n->states) >= max)
		return ROOM_NONE;
	if (__sync_fetch_and_add(&n->states, 1) >= max) {
		__sync_fetch_and_add(&n->states, -1);
		return ROOM_NONE;
	}
	return ROOM_TAKEN;
}

/* So many more, or less: of states that are there or have ended, so no limit is asked. */
global_sub int rule_states_change(__u32 rule, __u32 opts, int by)
{
	struct pf_opt_set *o = opt_set(opts);
	struct pf_rule_count *n;

	if (!o || !(o->flags & PF_OPTS_COUNTED))
		return 0;
	n = bpf_map_lookup_elem(&pf_rule_states, &rule);
	if (n)
		__sync_fetch_and_add(&n->states, by);
	return 0;
}

#endif /* PF_BPF_OPTS_H */
