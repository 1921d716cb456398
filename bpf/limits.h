/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Has a limiter room for the state that a rule would make?  Asked while rules are walked,
 * and nothing is taken then: another rule may win.  What is taken when the state is made
 * is in limiters.h.
 */
#ifndef PF_BPF_LIMITS_H
#define PF_BPF_LIMITS_H

#include "base.h"

inline_always int rate_has_room(__u64 spent, __u64 token, __u64 now)
{
	return !token || (__s64)(now - spent) >= (__s64)token;
}

/*
 * A packet whose rules are walked once more, because of a port that nat-to has chosen, has
 * been counted.
 */
inline_always void count_limited(const struct pf_pkt *p, __u64 *counter)
{
	if (!p->nat_again)
		__sync_fetch_and_add(counter, 1);
}

inline_always int limit_met(struct pf_pkt *p, __u32 block, __u32 reason)
{
	if (!block)
		return LIMITS_NO_ROOM;
	p->limited = reason;
	return LIMITS_BLOCK;
}

/* One that is not there has no room, as in pf. */
inline_always int state_limit(struct pf_pkt *p, struct pf_limiter *l, __u32 block)
{
	if (!(READ_ONCE(l->flags) & PF_LIMITER_USED))
		return LIMITS_NO_ROOM;
	if (READ_ONCE(l->inuse) >= READ_ONCE(l->limit)) {
		count_limited(p, &l->hardlimited);
		return limit_met(p, block, PFRES_MAXSTATES);
	}
	if (!rate_has_room(READ_ONCE(l->spent), READ_ONCE(l->token), bpf_ktime_get_ns())) {
		count_limited(p, &l->ratelimited);
		return limit_met(p, block, PFRES_MAXSTATES);
	}
	return LIMITS_ROOM;
}

inline_always void limited_key(struct pf_src_key *k, const struct pf_limiter *l, __u32 id,
			       const struct pf_addr *addr, __u32 af)
{
	for (int i = 0; i < 4; i++)
		k->addr.w[i] = addr->w[i] & (af == PF_AF_INET6 ? l->mask[1].w[i] : l->mask[0].w[i]);
	k->rule = id;
	k->af = af;
}

/* There is room for one source more, and with it for its first state. */
inline_always int room_for_source(struct pf_pkt *p, struct pf_limiter *l, __u32 block)
{
	__u32 at = PF_LIMITER_ALL;
	struct pf_limiter *all = bpf_map_lookup_elem(LIMITS_LIMITERS, &at);

	if (READ_ONCE(l->sources) < READ_ONCE(l->entries) && all &&
	    READ_ONCE(all->sources) < PF_LIMITED_MOST)
		return LIMITS_ROOM;
	count_limited(p, &l->addrlimited);
	return limit_met(p, block, PFRES_SRCLIMIT);
}

/* Who sent it, before rules have translated it: as the state that it would make knows it. */
inline_always void limited_sender(const struct pf_pkt *p, struct pf_addr *out)
{
	const int keyed = p->frag != PF_FRAG_LATER && !p->icmp_error, in = p->dir == PF_IN;

	for (int i = 0; i < 4; i++) {
		if (keyed)
			out->w[i] = in ? p->key.addr[0].w[i] : p->key.addr[1].w[i];
		else
			out->w[i] = p->moves ? p->src_was.w[i] : p->src.w[i];
	}
}

inline_always int source_limit(struct pf_pkt *p, struct pf_limiter *l, __u32 id, __u32 block)
{
	struct pf_limited *v;
	struct pf_addr addr;
	struct pf_src_key k;
	__u32 states;

	if (!(READ_ONCE(l->flags) & PF_LIMITER_USED))
		return LIMITS_NO_ROOM;
	limited_sender(p, &addr);
	limited_key(&k, l, id, &addr, p->af);
	v = bpf_map_lookup_elem(LIMITS_SOURCES, &k);
	states = v ? (__u32)READ_ONCE(v->states) : 0;
	if (!v || (states & PF_SOURCE_DEAD))
		return room_for_source(p, l, block);
	if ((states & PF_SOURCE_COUNT) >= READ_ONCE(l->limit)) {
		count_limited(p, &v->hardlimited);
		count_limited(p, &l->hardlimited);
		return limit_met(p, block, PFRES_SRCLIMIT);
	}
	if (!rate_has_room(READ_ONCE(v->spent), READ_ONCE(l->token), bpf_ktime_get_ns())) {
		count_limited(p, &v->ratelimited);
		count_limited(p, &l->ratelimited);
		return limit_met(p, block, PFRES_SRCLIMIT);
	}
	return LIMITS_ROOM;
}

/* `limits`: the rule's word. */
inline_always int ask_limits(struct pf_pkt *p, __u32 limits)
{
	__u32 state = PF_LIMITS_STATE(limits), source = PF_LIMITS_SOURCE(limits), at;
	struct pf_limiter *l;
	int r = LIMITS_ROOM;

	if (state) {
		l = bpf_map_lookup_elem(LIMITS_LIMITERS, &state);
		if (!l)
			return LIMITS_NO_ROOM;
		r = state_limit(p, l, limits & PF_LIMITS_BLOCK_STATE);
	}
	if (source && r == LIMITS_ROOM) {
		at = PF_SOURCE_LIMITERS + source;
		l = bpf_map_lookup_elem(LIMITS_LIMITERS, &at);
		if (!l)
			return LIMITS_NO_ROOM;
		r = source_limit(p, l, source, limits & PF_LIMITS_BLOCK_SOURCE);
	}
	return r;
}

#endif /* PF_BPF_LIMITS_H */
