/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * What a state takes of its rule's limiters, and gives back when it ends.  Exact on any
 * number of CPUs: whether there is room was asked when the rule matched (limits.h), but here
 * it is settled; who finds that another CPU was faster has the rules walked once more.
 */
#ifndef PF_BPF_LIMITERS_H
#define PF_BPF_LIMITERS_H

#include "delta.h"
#include "sources.h"

#define LIMITS_LIMITERS (&pf_limiters)
#define LIMITS_SOURCES	(&pf_limited)
#include "limits.h"

#define LIMITER_TRIES 32 /* each one that fails is another CPU's success */

inline_always struct pf_limiter *limiter(__u32 at)
{
	return bpf_map_lookup_elem(&pf_limiters, &at);
}

/* Takes a token; 0: there is none; -1: another CPU was faster. */
global_sub int rate_try(__u64 *spent, __u64 token, __u64 bucket)
{
	__u64 now = bpf_ktime_get_ns(), was, from;

	if (!spent)
		return 0;
	was = from = READ_ONCE(*spent);
	if (!rate_has_room(was, token, now))
		return 0;
	if (now - was > bucket)
		from = now - bucket;
	return __sync_val_compare_and_swap(spent, was, from + token) == was ? 1 : -1;
}

/* 1: has a token. */
global_sub int rate_take(__u64 *spent, const struct pf_limiter *l)
{
	__u64 token, bucket;

	if (!spent || !l)
		return 0;
	token = READ_ONCE(l->token);
	bucket = READ_ONCE(l->bucket);
	if (!token)
		return 1;
	for (int i = 0; i < LIMITER_TRIES; i++) {
		int r = rate_try(spent, token, bucket);

		if (r >= 0)
			return r;
	}
	return 0;
}

/* One state less; never below none, for userland may have said so meanwhile. */
global_sub int limiter_less(struct pf_limiter *l)
{
	for (int i = 0; l && i < LIMITER_TRIES; i++) {
		__u32 was = READ_ONCE(l->inuse);

		if (!was || __sync_val_compare_and_swap(&l->inuse, was, was - 1) == was)
			break;
	}
	return 0;
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

/* --- sources --- */

/* Is it the key's, still?  See source_is(). */
inline_always int limited_is(const struct pf_src_key *k, const struct pf_limited *v)
{
	return bpf_map_lookup_elem(&pf_limited, k) == v;
}

inline_always void limited_count(struct pf_limiter *l, __u32 by)
{
	struct pf_limiter *all = limiter(PF_LIMITER_ALL);

	__sync_fetch_and_add(&l->sources, by);
	if (all)
		__sync_fetch_and_add(&all->sources, by);
}

/* A source whose word of states is still `was`, with which it may have some; 1: it is out. */
inline_always int limited_unmake(const struct pf_src_key *k, struct pf_limited *v, __u64 was)
{
	struct pf_limiter *l = limiter(PF_SOURCE_LIMITERS + (k->rule & 0xff));

	if (__sync_val_compare_and_swap(&v->states, was, was | PF_SOURCE_DEAD) != was)
		return 0;
	bpf_map_delete_elem(&pf_limited, k);
	if (l) {
		limited_count(l, -1);
		__sync_fetch_and_add(&l->inuse, -((__u32)was & PF_SOURCE_COUNT));
	}
	return 1;
}

/*
 * The limiter's table.  A source is put into it here, when a state that has been made is one
 * above; so the next packet finds it there.  It is taken out by pfd, who alone can change the
 * ranges: when it has fewer than `below' it is marked, and pfd is told.  That it enters or
 * leaves is decided in the word of its states, so only one ever does it; and who rises above
 * again before pfd has come just stays.
 */
inline_always void limited_enter(const struct pf_src_key *k, struct pf_limited *v,
				 const struct pf_limiter *l, __u32 serial, __u32 bits)
{
	__u32 table = READ_ONCE(l->table);

	for (int i = 0; i < LIMITER_TRIES && table; i++) {
		__u64 was = READ_ONCE(v->states), now = was | PF_LIMITED_IN;

		now &= ~(__u64)PF_LIMITED_LEAVING;
		if (serial_of(was) != serial || now == was ||
		    ((__u32)was & PF_SOURCE_COUNT) <= READ_ONCE(l->above))
			return;
		if (__sync_val_compare_and_swap(&v->states, was, now) != was)
			continue;
		if (!(was & PF_LIMITED_IN))
			table_add_net(table, k->af, bits, &k->addr);
		return;
	}
}

/* It has a state less. */
inline_always void limited_fall(struct pf_limited *v, struct pf_limiter *l, __u32 serial)
{
	for (int i = 0; i < LIMITER_TRIES && READ_ONCE(l->table); i++) {
		__u64 was = READ_ONCE(v->states);

		if (serial_of(was) != serial || !(was & PF_LIMITED_IN) ||
		    (was & PF_LIMITED_LEAVING) ||
		    ((__u32)was & PF_SOURCE_COUNT) >= READ_ONCE(l->below))
			return;
		if (__sync_val_compare_and_swap(&v->states, was, was | PF_LIMITED_LEAVING) != was)
			continue;
		__sync_fetch_and_add(&l->leaves, 1);
		return;
	}
}

/* One state less of a source of that serial; it stays for as long as its rate needs it. */
inline_always int limited_less(struct pf_limited *v, struct pf_limiter *l, __u32 serial)
{
	if (serial_of(READ_ONCE(v->states)) == serial)
		WRITE_ONCE(v->expire, tick_now() + READ_ONCE(l->keep));
	if (source_change(&v->states, serial, -1, 0) < 0)
		return 0;
	limiter_less(l);
	limited_fall(v, l, serial);
	return 1;
}

inline_always enum source_room limited_join(const struct pf_src_key *k, struct pf_limited *v,
					    struct pf_limiter *l, __u32 *link)
{
	__u32 serial = serial_of(READ_ONCE(v->states));
	__s64 n = source_adjust(&v->states, serial, 1, READ_ONCE(l->limit));

	if (n == CHANGE_NONE)
		return SOURCE_AGAIN;
	/* if we are counted it stays where it is: see source_join() */
	if (!limited_is(k, v)) {
		if (n != CHANGE_FULL)
			source_adjust(&v->states, serial, -1, 0);
		return SOURCE_AGAIN;
	}
	if (n == CHANGE_FULL)
		return SOURCE_STATES;
	__sync_fetch_and_add(&l->inuse, 1);
	if (!rate_take(&v->spent, l)) {
		limited_less(v, l, serial);
		return SOURCE_STATES;
	}
	__sync_fetch_and_add(&v->admitted, 1);
	__sync_fetch_and_add(&l->admitted, 1);
	*link = serial;
	return SOURCE_TAKEN;
}

inline_always enum source_room limited_make(const struct pf_src_key *k, struct pf_limiter *l,
					    __u32 *link)
{
	struct pf_status *st = status();
	struct pf_limited v = {};
	__u32 serial;
	long err;

	if (!st)
		return SOURCE_UNKNOWN;
	limited_count(l, 1);
	if (READ_ONCE(l->sources) > READ_ONCE(l->entries)) {
		limited_count(l, -1);
		return SOURCE_NODES;
	}
	serial = source_serial(st);
	v.states = (__u64)serial << 32 | 1;
	v.spent = bpf_ktime_get_ns() - READ_ONCE(l->bucket) + READ_ONCE(l->token);
	v.admitted = 1;
	/* before anybody can find it, and end its state */
	__sync_fetch_and_add(&l->inuse, 1);
	err = bpf_map_update_elem(&pf_limited, k, &v, BPF_NOEXIST);
	if (!err) {
		__sync_fetch_and_add(&l->admitted, 1);
		*link = serial;
		return SOURCE_TAKEN;
	}
	limiter_less(l);
	limited_count(l, -1);
	return err == -17 /* EEXIST */ ? SOURCE_AGAIN : SOURCE_UNKNOWN;
}

/* One more state of the packet's source: p->limited_source. */
global_sub int source_limiter_take(struct pf_pkt *p, __u32 id)
{
	struct pf_limiter *l = limiter(PF_SOURCE_LIMITERS + (id & 0xff));
	enum source_room room;
	struct pf_src_key k;
	struct pf_limited *v;
	__u32 link = 0;

	if (!p || !l || !(READ_ONCE(l->flags) & PF_LIMITER_USED))
		return 0;
	if (p->dir == PF_IN)
		limited_key(&k, l, id, &p->key.addr[0], p->key.af);
	else
		limited_key(&k, l, id, &p->key.addr[1], p->key.af);
	for (int i = 0; i < 4; i++) {
		v = bpf_map_lookup_elem(&pf_limited, &k);
		room = v ? limited_join(&k, v, l, &link) : limited_make(&k, l, &link);
		if (room != SOURCE_AGAIN)
			break;
	}
	p->limited_source = link;
	return room == SOURCE_TAKEN;
}

inline_always __u32 limited_bits(const struct pf_limiter *l, __u32 af)
{
	return af == PF_AF_INET6 ? READ_ONCE(l->bits[1]) : READ_ONCE(l->bits[0]);
}

/*
 * A state has been made: does its source go into the limiter's table?  Not while the masks
 * change: it is none of the new limiter's.
 */
global_sub int source_limiter_made(const struct pf_addr *addr, __u32 af, __u32 id, __u32 serial)
{
	struct pf_limiter *l = limiter(PF_SOURCE_LIMITERS + (id & 0xff));
	struct pf_src_key k;
	struct pf_limited *v;
	__u32 bits;

	if (!addr || !l || !READ_ONCE(l->table))
		return 0;
	bits = limited_bits(l, af);
	barrier();
	limited_key(&k, l, id, addr, af);
	v = bpf_map_lookup_elem(&pf_limited, &k);
	if (v && bits != PF_LIMITER_CHANGING && limited_bits(l, af) == bits)
		limited_enter(&k, v, l, serial, bits);
	return 0;
}

/* One state less of a source; `undo`: it was not made after all. */
global_sub int source_limiter_leave(const struct pf_addr *addr, __u32 af, __u32 id, __u32 serial,
				    int undo)
{
	struct pf_limiter *l = limiter(PF_SOURCE_LIMITERS + (id & 0xff));
	struct pf_src_key k;
	struct pf_limited *v;

	if (!addr || !l || !serial)
		return 0;
	limited_key(&k, l, id, addr, af);
	v = bpf_map_lookup_elem(&pf_limited, &k);
	if (!v || serial_of(READ_ONCE(v->states)) != serial)
		return 0;
	if (undo) {
		__sync_fetch_and_add(&v->admitted, -1);
		__sync_fetch_and_add(&l->admitted, -1);
		__sync_fetch_and_add(&v->spent, -READ_ONCE(l->token));
	}
	limited_less(v, l, serial);
	return 0;
}

/* --- both --- */

/* 1: p->limits and p->limited_source are those that the new state has. */
global_sub int limiters_take(struct pf_pkt *p)
{
	struct pf_limiter *l = NULL;
	__u32 state, source;
	struct pf_opt_set *o;

	if (!p)
		return 0;
	p->limits = 0;
	p->limited_source = 0;
	o = opt_set(p->rule.opts);
	if (!o)
		return 0;
	state = PF_LIMITS_STATE(o->limits);
	source = PF_LIMITS_SOURCE(o->limits);
	if (state) {
		l = limiter(state);
		if (!l || !state_limiter_take(l))
			return 0;
	}
	if (source && !source_limiter_take(p, source)) {
		if (l)
			state_limiter_undo(l);
		return 0;
	}
	p->limits = state | source << 8;
	return 1;
}

/* What limiters_take() has taken goes back. */
global_sub int limiters_give(struct pf_pkt *p)
{
	struct pf_limiter *l;
	__u32 limits;

	if (!p || !p->limits)
		return 0;
	limits = p->limits;
	l = limiter(PF_LIMITS_STATE(limits));
	if (l && PF_LIMITS_STATE(limits))
		state_limiter_undo(l);
	if (p->dir == PF_IN)
		source_limiter_leave(&p->key.addr[0], p->key.af, PF_LIMITS_SOURCE(limits),
				     p->limited_source, 1);
	else
		source_limiter_leave(&p->key.addr[1], p->key.af, PF_LIMITS_SOURCE(limits),
				     p->limited_source, 1);
	p->limits = 0;
	p->limited_source = 0;
	return 0;
}

/* A packet's state is there. */
inline_always void limiters_made(const struct pf_state *s)
{
	__u32 serial = s->peer[1].source, id = PF_LIMITS_SOURCE((__u32)s->peer[1].opts);

	if (likely(!serial))
		return;
	if (s->dir == PF_IN)
		source_limiter_made(&s->key.addr[0], s->key.af, id, serial);
	else
		source_limiter_made(&s->stack.addr[1], s->key.af, id, serial);
}

/* A state ends; `undo`: it was not made after all. */
global_sub int limiters_leave(struct pf_state *s, int undo)
{
	struct pf_limiter *l;
	__u32 limits, serial;

	if (!s)
		return 0;
	limits = s->peer[1].opts;
	serial = s->peer[1].source;
	l = limiter(PF_LIMITS_STATE(limits));
	if (l && PF_LIMITS_STATE(limits)) {
		if (undo)
			state_limiter_undo(l);
		else
			limiter_less(l);
	}
	if (!serial)
		return 0;
	if (s->dir == PF_IN)
		return source_limiter_leave(&s->key.addr[0], s->key.af, PF_LIMITS_SOURCE(limits),
					    serial, undo);
	return source_limiter_leave(&s->stack.addr[1], s->key.af, PF_LIMITS_SOURCE(limits), serial,
				    undo);
}

/* A state that is taken over from another table, which gives up its own one later. */
global_sub int limiters_add(struct pf_state *s)
{
	struct pf_limiter *l;
	struct pf_src_key k;
	struct pf_limited *v;
	__u32 limits, id;

	if (!s)
		return 0;
	limits = s->peer[1].opts;
	l = limiter(PF_LIMITS_STATE(limits));
	if (l && PF_LIMITS_STATE(limits))
		__sync_fetch_and_add(&l->inuse, 1);
	id = PF_LIMITS_SOURCE(limits);
	l = limiter(PF_SOURCE_LIMITERS + id);
	if (!l || !s->peer[1].source)
		return 0;
	if (s->dir == PF_IN)
		limited_key(&k, l, id, &s->key.addr[0], s->key.af);
	else
		limited_key(&k, l, id, &s->stack.addr[1], s->key.af);
	v = bpf_map_lookup_elem(&pf_limited, &k);
	if (v && source_adjust(&v->states, s->peer[1].source, 1, PF_SOURCE_DEAD - 1) >= 0)
		__sync_fetch_and_add(&l->inuse, 1);
	else
		s->peer[1].source = 0;
	return 0;
}

#endif /* PF_BPF_LIMITERS_H */
