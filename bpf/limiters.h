/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * What a state takes of its rule's limiters, and gives back when it ends.  Exact on any
 * number of CPUs: whether there is room was asked when the rule matched (limits.h), but here
 * it is settled; who finds that another CPU was faster has the rules walked once more.
 */
#ifndef PF_BPF_LIMITERS_H
#define PF_BPF_LIMITERS_H

#include "opts.h"

#define LIMITS_LIMITERS (&pf_limiters)
#include "limits.h"

#define LIMITER_TRIES 32 /* each one that fails is another CPU's success */

inline_always struct pf_limiter *limiter(__u32 at)
{
	return bpf_map_lookup_elem(&pf_limiters, &at);
}

/* Takes a token; 0: there is none. */
inline_always int rate_take(__u64 *spent, const struct pf_limiter *l)
{
	__u64 token = READ_ONCE(l->token), bucket = READ_ONCE(l->bucket);

	if (!token)
		return 1;
	for (int i = 0; i < LIMITER_TRIES; i++) {
		__u64 now = bpf_ktime_get_ns(), was = READ_ONCE(*spent), from = was;

		if (!rate_has_room(was, token, now))
			return 0;
		if (now - was > bucket)
			from = now - bucket;
		if (__sync_val_compare_and_swap(spent, was, from + token) == was)
			return 1;
	}
	return 0;
}

/* One state less; never below none, for userland may have said so meanwhile. */
inline_always void limiter_less(struct pf_limiter *l)
{
	for (int i = 0; i < LIMITER_TRIES; i++) {
		__u32 was = READ_ONCE(l->inuse);

		if (!was || __sync_val_compare_and_swap(&l->inuse, was, was - 1) == was)
			return;
	}
}

inline_always int state_limiter_take(struct pf_limiter *l)
{
	__u32 limit = READ_ONCE(l->limit);

	if (!(READ_ONCE(l->flags) & PF_LIMITER_USED) || READ_ONCE(l->inuse) >= limit)
		return 0;
	if (__sync_fetch_and_add(&l->inuse, 1) >= limit || !rate_take(&l->spent, l)) {
		limiter_less(l);
		return 0;
	}
	__sync_fetch_and_add(&l->admitted, 1);
	return 1;
}

/* A state that was not made after all. */
inline_always void state_limiter_undo(struct pf_limiter *l)
{
	limiter_less(l);
	__sync_fetch_and_add(&l->admitted, -1);
	__sync_fetch_and_add(&l->spent, -READ_ONCE(l->token));
}

/* 1: p->limits are those that the new state has. */
global_sub int limiters_take(struct pf_pkt *p)
{
	struct pf_opt_set *o;
	struct pf_limiter *l;
	__u32 state;

	if (!p)
		return 0;
	p->limits = 0;
	o = opt_set(p->rule.opts);
	if (!o)
		return 0;
	state = PF_LIMITS_STATE(o->limits);
	if (state) {
		l = limiter(state);
		if (!l || !state_limiter_take(l))
			return 0;
	}
	p->limits = state;
	return 1;
}

/* What limiters_take() has taken goes back. */
global_sub int limiters_give(struct pf_pkt *p)
{
	struct pf_limiter *l;

	if (!p || !p->limits)
		return 0;
	l = limiter(PF_LIMITS_STATE(p->limits));
	if (l && PF_LIMITS_STATE(p->limits))
		state_limiter_undo(l);
	p->limits = 0;
	return 0;
}

/* A state ends; `undo`: it was not made after all. */
global_sub int limiters_leave(struct pf_state *s, int undo)
{
	struct pf_limiter *l;
	__u32 limits;

	if (!s)
		return 0;
	limits = s->peer[1].opts;
	l = limiter(PF_LIMITS_STATE(limits));
	if (!l || !PF_LIMITS_STATE(limits))
		return 0;
	if (undo)
		state_limiter_undo(l);
	else
		limiter_less(l);
	return 0;
}

/* A state that is taken over from another table, which gives up its own one later. */
global_sub int limiters_add(struct pf_state *s)
{
	struct pf_limiter *l;
	__u32 limits;

	if (!s)
		return 0;
	limits = s->peer[1].opts;
	l = limiter(PF_LIMITS_STATE(limits));
	if (l && PF_LIMITS_STATE(limits))
		__sync_fetch_and_add(&l->inuse, 1);
	return 0;
}

#endif /* PF_BPF_LIMITERS_H */
