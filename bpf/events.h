/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * What becomes of states, told to who listens: made, changed, ended.  A ring for each CPU,
 * which the loader puts there with the first listener and takes away with the last; until
 * then one flag is read, where a state is made, changes or ends, and nowhere else.
 *
 * A change is that of a TCP peer's state, of which a connection has a handful: packets
 * tell nothing, so no stamp has to keep them from it.  What finds no room is counted, and
 * that is the limit of the rate: the loader empties the rings when its time comes, and
 * nobody wakes it.
 */
#ifndef PF_BPF_EVENTS_H
#define PF_BPF_EVENTS_H

#include "pf.h"

struct pf_event_ring {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 65536);
};
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, 1);
	__type(key, __u32);
	__array(values, struct pf_event_ring);
} pf_events SEC(".maps");

global_sub int event_send(const struct pf_state *s, __u32 kind)
{
	__u32 cpu = bpf_get_smp_processor_id();
	struct pf_event *e = NULL;
	void *ring;

	if (!s)
		return 0;
	ring = bpf_map_lookup_elem(&pf_events, &cpu);
	if (ring)
		e = bpf_ringbuf_reserve(ring, sizeof(*e), 0);
	if (!e) {
		count(PF_CNT_EVENTS_LOST);
		return 0;
	}
	e->time = bpf_ktime_get_ns();
	e->kind = kind;
	e->pad = 0;
	__builtin_memcpy(&e->state, s, sizeof(e->state));
	bpf_ringbuf_submit(e, BPF_RB_NO_WAKEUP);
	return 0;
}

inline_always void event(const struct pf_state *s, enum pf_event_kind kind)
{
	struct pf_config *cfg = config();

	if (cfg && unlikely(READ_ONCE(cfg->events)))
		event_send(s, kind);
}

#endif /* PF_BPF_EVENTS_H */
