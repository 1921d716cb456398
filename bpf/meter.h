/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * What a rule remembers of the packets that it has met: that it has matched `once', and
 * how many came by its `max-pkt-rate'.  pf.conf(5); in pf's order the rate is the last
 * question, and a rule expires when it has matched, be it overruled by a later one.
 *
 * Rules may be walked again for one packet, see walk_again(): what it has taken is its
 * own then, and it is not counted a second time.
 */
#ifndef PF_BPF_METER_H
#define PF_BPF_METER_H

#include "threshold.h"

/* Has the rule not expired, or by this packet in an earlier walk? */
inline_always int meter_open(__u64 by, const struct pf_pkt *p)
{
	if (!by)
		return 1;
	return (by & ~(__u64)PF_METER_WALK) == p->once && (by & PF_METER_WALK) != p->walks;
}

/* It matches: is this packet the one? */
inline_always int meter_take(struct pf_meter *m, struct pf_pkt *p)
{
	__u64 by = READ_ONCE(m->expired);

	if (!meter_open(by, p))
		return 0;
	if (!p->once) /* no two packets have the same */
		p->once = bpf_ktime_get_boot_ns() << PF_METER_TIME |
			  (bpf_get_smp_processor_id() & 1023) << PF_METER_CPU;
	return __sync_val_compare_and_swap(&m->expired, by, p->once | p->walks) == by;
}

/* One packet more; is it within the rate? */
inline_always int meter_rate(struct pf_meter *m, const struct pf_pkt *p)
{
	__u32 now = bpf_jiffies64() >> PF_TICK_SHIFT;
	__u64 n;

	if (p->walks)
		n = threshold_left(READ_ONCE(m->rate), m->ticks, now);
	else
		n = threshold_add(&m->rate, m->ticks, now);
	return n <= (__u64)m->limit * PF_THRESHOLD_ONE;
}

/* enum pf_meter_ask: 1, or 0 and the rule does not match.  One that is gone matches nothing. */
inline_always int meter_ask(struct pf_meter *m, struct pf_pkt *p, __u32 ask)
{
	if (!m || !p)
		return 0;
	if (ask == PF_METER_OPEN)
		return meter_open(READ_ONCE(m->expired), p);
	return ask == PF_METER_TAKE ? meter_take(m, p) : meter_rate(m, p);
}

#endif /* PF_BPF_METER_H */
