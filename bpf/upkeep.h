/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Programs of the datapath's object that the loader runs: the state table's upkeep. */
#ifndef PF_BPF_UPKEEP_H
#define PF_BPF_UPKEEP_H

#include "state.h"
#include "sweep.h"

/* A state of the loader's counts for its rules as one that a packet has made. */
global_sub int count_inserted(const struct pf_state *s)
{
	if (!s)
		return 0;
	count(PF_CNT_INSERTS);
	event(s, PF_EVENT_INSERT);
	state_count(s, 0);
	return 0;
}

/* What a growing table learns of a connection at the end. */
struct settling {
	struct pf_state_key key;
	struct pf_state_peer peer[2];
	__u64 id;
	__u32 ifindex;
	__u8 wscale[2];
	__u8 flags;
};

/* Sides that have sent nothing meanwhile; the others' numbers are known better here. */
inline_always void settle_peers(struct pf_state *s, const struct settling *w)
{
	if (!s->peer[0].seqlo && !s->peer[1].seqlo)
		*(__u16 *)s->wscale = *(__u16 *)w->wscale;
	for (int i = 0; i < 2; i++) {
		if (s->peer[i].seqlo)
			continue;
		s->peer[i].seqlo = w->peer[i].seqlo;
		s->peer[i].max_win = w->peer[i].max_win;
		if (s->peer[!i].other_seqhi == 1)
			s->peer[!i].other_seqhi = w->peer[!i].other_seqhi;
	}
}

/*
 * The state that the packet's data is had been copied while packets still moved it, so without
 * its sequence numbers.  Now they stand still: the copy gets them, or it would take anybody's
 * first segment for the connection's.
 */
noinline_sub int settle(struct __sk_buff *skb)
{
	struct settling w = {};
	struct pf_tcp_lock *l;
	struct pf_state *s;
	__u32 found, stripe;

	if (bpf_skb_load_bytes(skb, offsetof(struct pf_state, key), &w.key, sizeof(w.key)) ||
	    bpf_skb_load_bytes(skb, offsetof(struct pf_state, peer), w.peer, sizeof(w.peer)) ||
	    bpf_skb_load_bytes(skb, offsetof(struct pf_state, id), &w.id, sizeof(w.id)) ||
	    bpf_skb_load_bytes(skb, offsetof(struct pf_state, ifindex), &w.ifindex, 4) ||
	    bpf_skb_load_bytes(skb, offsetof(struct pf_state, wscale), w.wscale, 2) ||
	    bpf_skb_load_bytes(skb, offsetof(struct pf_state, flags), &w.flags, 1))
		return -1;
	if (w.key.proto != IPPROTO_TCP || (w.flags & (PF_SF_LOOSE | PF_SF_SLOPPY)))
		return 0;
	found = state_look_up(&w.key, PF_IN, w.ifindex);
	s = found ? slot(found - 1) : NULL;
	if (!s || s->id != w.id || !(s->flags & PF_SF_LOOSE))
		return 0;
	stripe = s->index % PF_TCP_LOCKS;
	l = bpf_map_lookup_elem(&pf_tcp_locks, &stripe);
	if (!l)
		return -1;
	bpf_spin_lock(&l->lock);
	settle_peers(s, &w);
	bpf_spin_unlock(&l->lock);
	return 0;
}

/*
 * Puts in the state that the packet's data is, a struct pf_state of status
 * EMBRYO; cb[0]: it is new, gets a number unless it has one, and counts for its
 * rules.  Returns an enum create_result.
 */
SEC("tc") int pf_insert(struct __sk_buff *skb)
{
	struct pf_status *st = status();
	__u32 index, rule, opts, fresh = skb->cb[0];
	enum create_result why;
	struct pf_state *s;

	if (!st)
		return CREATE_MEMORY;
	s = state_alloc(st, &why);
	if (!s)
		return why;
	index = s->index;
	if (bpf_skb_load_bytes(skb, 0, s, sizeof(*s))) {
		s->index = index;
		state_give_back(s, st);
		return CREATE_MEMORY;
	}
	s->index = index;
	s->status = PF_SLOT_EMBRYO;
	if (fresh && !s->id)
		s->id = __sync_fetch_and_add(&st->next_id, 1);
	rule = s->rule;
	opts = s->peer[0].opts;
	/* as it may end as soon as it is there */
	if (opts)
		rule_states_change(rule, opts, 1);
	if (s->peer[0].source)
		source_add(s);
	if (s->peer[1].opts)
		limiters_add(s);
	why = state_publish(s, st, 0);
	if (why != CREATE_OK && opts)
		rule_states_change(rule, opts, -1);
	if (why == CREATE_OK && fresh)
		count_inserted(s);
	if (why != CREATE_OK && !fresh)
		settle(skb);
	return why;
}

/*
 * Takes out the states that userland has marked: cb[0] first slot, cb[1] number
 * of slots; cb[2] comes back as the number of states that ended.
 */
SEC("tc") int pf_purge(struct __sk_buff *skb)
{
	struct pf_config *cfg = config();
	struct sweep_ctx c = {.at = skb->cb[0], .kill_only = 1};

	if (!cfg)
		return -1;
	c.slots = cfg->slots;
	bpf_loop(skb->cb[1], sweep_step, &c, 0);
	skb->cb[2] = c.removed;
	return 0;
}

static long abandon_step(__u32 i, struct sweep_ctx *c)
{
	struct pf_state *s = slot(c->at);
	__u32 st;

	if (!s)
		return 1;
	c->at++;
	st = READ_ONCE(s->status);
	if (s->peer[1].opts && (st == PF_SLOT_LIVE || st == PF_SLOT_ENDED) &&
	    __sync_val_compare_and_swap(&s->status, st, PF_SLOT_DEAD) == st)
		limiters_leave(s, 0);
	return 0;
}

/* Ends the states that have limiters, of a table whose states are copied: cb[0] first, cb[1] n. */
SEC("tc") int pf_abandon(struct __sk_buff *skb)
{
	struct sweep_ctx c = {.at = skb->cb[0]};

	bpf_loop(skb->cb[1], abandon_step, &c, 0);
	return 0;
}

/* 1: it is out; 0: it was not there; -1: a packet was faster. */
global_sub int forget_source(struct __sk_buff *skb)
{
	struct pf_src_key k;
	struct pf_src_node *v;
	__u64 states;

	if (bpf_skb_load_bytes(skb, 0, &k, sizeof(k)))
		return 0;
	v = bpf_map_lookup_elem(&pf_sources, &k);
	if (!v)
		return 0;
	states = READ_ONCE(v->states) & ~(__u64)PF_SOURCE_DEAD;
	return source_is(&k, v) && source_unmake(&k, v, states) ? 1 : -1;
}

/*
 * Takes out the node of a source whose key the packet's data is, whatever states it has:
 * they have none from now on.  Returns 1 if it was there.
 */
SEC("tc") int pf_forget_source(struct __sk_buff *skb)
{
	for (int i = 0; i < SOURCE_TRIES; i++) {
		int r = forget_source(skb);

		if (r >= 0)
			return r;
	}
	return 0;
}

global_sub int forget_limited(struct __sk_buff *skb)
{
	struct pf_src_key k;
	struct pf_limited *v;
	__u64 states;

	if (bpf_skb_load_bytes(skb, 0, &k, sizeof(k)))
		return 0;
	v = bpf_map_lookup_elem(&pf_limited, &k);
	if (!v)
		return 0;
	states = READ_ONCE(v->states) & ~(__u64)PF_SOURCE_DEAD;
	return limited_is(&k, v) && limited_unmake(&k, v, states) ? 1 : -1;
}

/* The same of a source limiter's. */
SEC("tc") int pf_forget_limited(struct __sk_buff *skb)
{
	for (int i = 0; i < LIMITER_TRIES; i++) {
		int r = forget_limited(skb);

		if (r >= 0)
			return r;
	}
	return 0;
}

/*
 * The source of a limiter whose key the packet's data is, if it is to leave the limiter's
 * table: it has, from now on.  Returns 1 if it was.
 */
SEC("tc") int pf_left(struct __sk_buff *skb)
{
	struct pf_src_key k;
	struct pf_limited *v;
	__u64 was;

	if (bpf_skb_load_bytes(skb, 0, &k, sizeof(k)))
		return 0;
	for (int i = 0; i < LIMITER_TRIES; i++) {
		v = bpf_map_lookup_elem(&pf_limited, &k);
		if (!v)
			return 0;
		was = READ_ONCE(v->states);
		if (!limited_is(&k, v))
			continue;
		if (!(was & PF_LIMITED_LEAVING))
			return 0;
		if (__sync_val_compare_and_swap(
			    &v->states, was, was & ~(__u64)(PF_LIMITED_IN | PF_LIMITED_LEAVING)) ==
		    was)
			return 1;
	}
	return 0;
}

static long fill_step(__u32 i, struct sweep_ctx *c)
{
	struct pf_state *s = slot(c->at);

	if (!s)
		return 1;
	s->index = c->at++;
	slot_offer(s);
	return 0;
}

/* Puts the slots of a new table into the free queue: cb[0] first, cb[1] number; cb[2] done. */
SEC("tc") int pf_fill(struct __sk_buff *skb)
{
	struct sweep_ctx c = {.at = skb->cb[0]};

	bpf_loop(skb->cb[1], fill_step, &c, 0);
	skb->cb[2] = c.at - skb->cb[0];
	return 0;
}

/*
 * Gives back all that rests in limbo since the tick cb[0] or longer: only when an RCU grace
 * period has begun after that tick, and has ended.  cb[2]: how many.
 */
SEC("tc") int pf_drain(struct __sk_buff *skb)
{
	skb->cb[2] = limbo_release(skb->cb[0], 0, 1 << 20);
	return 0;
}

/* One slice of the sweep, where there is no timer. */
SEC("tc") int pf_sweep(struct __sk_buff *skb)
{
	return sweep_slice() ? 0 : -1;
}

/* Starts the timer; 0 or a negative errno. */
SEC("tc") int pf_start(struct __sk_buff *skb)
{
	__u32 zero = 0;
	struct pf_sweeper *sw = bpf_map_lookup_elem(&pf_sweeper, &zero);
	struct pf_config *cfg = config();
	long err;

	if (!sw || !cfg)
		return -1;
	err = bpf_timer_init(&sw->timer, &pf_sweeper, 1 /* CLOCK_MONOTONIC */);
	if (err && err != -16 /* EBUSY: it is there already */)
		return (int)err;
	err = bpf_timer_set_callback(&sw->timer, sweep_timer);
	if (err)
		return (int)err;
	return (int)bpf_timer_start(&sw->timer, cfg->sweep_ns, 0);
}

/* The clock of states, for the loader: cb[0], cb[1] the low and high half of jiffies. */
SEC("tc") int pf_clock(struct __sk_buff *skb)
{
	__u64 j = bpf_jiffies64();

	skb->cb[0] = (__u32)j;
	skb->cb[1] = j >> 32;
	return 0;
}

#endif /* PF_BPF_UPKEEP_H */
