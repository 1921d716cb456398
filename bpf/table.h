/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * The state table: two-choice buckets of eight tags and slot indexes over an
 * array of slots.  One table for IPv4 and IPv6.
 *
 * Life of a slot: FREE (in pf_free) -> EMBRYO (its maker's alone, though its
 * index may already stand in a bucket) -> LIVE -> DEAD (out of its bucket, in
 * pf_limbo) -> FREE.  Who turns LIVE into DEAD, by compare-and-exchange, takes
 * it out.  A packet may still hold a slot that has just died; it rests for
 * pf_config.grace ticks before it can become another connection.  Where very many
 * end at once, LIVE -> ENDED comes first, and ENDED -> DEAD when there is time:
 * in its buckets it is in nobody's way, for only what is LIVE is found.
 *
 * Look-ups take no lock: they read tag, index, status, key in this order and
 * use a slot only if it is LIVE and its key is theirs.  A state that translates
 * stands in the table twice, under each of its keys.
 *
 * Insertion: a bucket's `ver` moves, under its lock, with every insertion of a
 * key whose *first* bucket it is.  A maker reads `ver`, looks its key up, and
 * inserts only if `ver` has not moved since; so of two that make the same
 * connection at once, one sees the other.  A key that finds its first bucket
 * full is put into the second one *before* this check: then nobody can pass
 * the check for the same key without having been able to see it there.
 *
 * If-bound states: several may have one key, each on an interface of its own.  Of
 * a floating one and one that is bound to the packet's interface the bound one is
 * meant, as in pf.  The floating one must be the later one then, since a packet that
 * finds a state makes none, and knows of it: PF_SF_SHADOWED.  One whose gateway takes
 * what goes out is found by that on any interface, if there is none of this very one.
 *
 * `ver` moves by an exchange, a full barrier: who sees it moved sees what moved it.
 *
 * A translating state whose two keys share tag and a bucket finds itself there, and
 * is refused as if its port were taken.  So the entries of a state in one bucket are
 * never mixed up, and each is taken out with the count that it went in with.
 *
 * Locks: one bucket's at a time, never with a TCP lock; no helper under them.
 *
 * table.pml is this protocol for a model checker: what is changed here is to be
 * changed there, and `make spin' to be run.
 */
#ifndef PF_BPF_TABLE_H
#define PF_BPF_TABLE_H

#include "events.h"
#include "limiters.h"
#include "opts.h"
#include "pf.h"
#include "sources.h"

/* Set before load; constants for the verifier and the JIT. */
const volatile __u32 hash_key[10] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10};
const volatile __u32 buckets = 1;

/* CLASH: the key is another connection's. */
enum pf_insert_result { INSERT_OK, INSERT_EXISTS, INSERT_CLASH, INSERT_NOROOM };
/* OTHERS: not by who makes the same connection at the same time */
enum key_there { KEY_FREE, KEY_TAKEN, KEY_OTHERS };
#define KEY_THERE     0x0f
#define KEY_ELSEWHERE 0x10 /* also, or only: of states that are bound to other interfaces */
enum place_result { PLACE_OK, PLACE_FULL, PLACE_MOVED };

/*
 * NH, as in RFC 4418, section 5.2, with secret keys, then mixed.  Products of 32 bits are
 * not cut off: with factors of 64 bits, an address's last byte would be their highest one,
 * and addresses that differ there alone might have one hash.
 */
inline_always __u64 key_hash(const struct pf_state_key *key)
{
	const __u32 *w = (const __u32 *)key;
	__u64 h = 0;

#pragma clang loop unroll(full)
	for (int i = 0; i < 10; i += 2)
		h += (__u64)(w[i] + hash_key[i]) * (__u32)(w[i + 1] + hash_key[i + 1]);
	h *= 0x9e3779b97f4a7c15ULL;
	h ^= h >> 29;
	h *= 0xbf58476d1ce4e5b9ULL;
	return h ^ (h >> 32);
}

inline_always int key_equal(const struct pf_state_key *a, const struct pf_state_key *b)
{
	const __u64 *x = (const __u64 *)a;
	const __u64 *y = (const __u64 *)b;

	return !((x[0] ^ y[0]) | (x[1] ^ y[1]) | (x[2] ^ y[2]) | (x[3] ^ y[3]) | (x[4] ^ y[4]));
}

inline_always __u16 hash_tag(__u64 hash)
{
	return (hash >> 48) | 1;
}

/* By a product, not by bits: memory for any number of buckets, not for a power of two. */
inline_always __u32 hash_bucket1(__u64 hash)
{
	return ((__u64)(__u32)hash * buckets) >> 32;
}

/* By other bits than the first one, and than most of the tag's. */
inline_always __u32 hash_bucket2(__u64 hash)
{
	return ((__u64)(__u32)(hash >> 20) * buckets) >> 32;
}

inline_always struct pf_bucket *bucket(__u32 nr)
{
	return bpf_map_lookup_elem(&pf_buckets, &nr);
}

inline_always struct pf_state *slot(__u32 index)
{
	return bpf_map_lookup_elem(&pf_states, &index);
}

/*
 * Which of a state's keys is meant: packets that come in are found by the one on the
 * wire, those that go out by the one behind translation.
 */
#define KEY_WIRE  PF_IN
#define KEY_STACK PF_OUT
#define KEY_BOTH  (KEY_WIRE | KEY_STACK)

/* What is not translated has one key: the other one need not be looked at. */
inline_always int state_has_key(const struct pf_state *s, const struct pf_state_key *key,
				const __u32 which)
{
	if (likely(key_equal(&s->key, key)))
		return (which & KEY_WIRE) || !(READ_ONCE(s->flags) & PF_SF_NAT);
	return (which & KEY_STACK) && unlikely(READ_ONCE(s->flags) & PF_SF_NAT) &&
	       key_equal(&s->stack, key);
}

/*
 * The state of that key in a place of a bucket, or NULL.  `min` PF_SLOT_LIVE for packets;
 * PF_SLOT_EMBRYO for makers, who must see each other.
 */
inline_always struct pf_state *bucket_at(struct pf_bucket *b, int place, __u16 tag,
					 const struct pf_state_key *key, __u32 which, __u32 min)
{
	struct pf_state *s;
	__u32 status;

	if (READ_ONCE(b->tag[place]) != tag)
		return NULL;
	s = slot(READ_ONCE(b->index[place]));
	if (!s)
		return NULL;
	status = READ_ONCE(s->status);
	if (status < min || status > PF_SLOT_LIVE)
		return NULL;
	return likely(state_has_key(s, key, which)) ? s : NULL;
}

/* For the fast path: packets that are counted by a rule's rate take the other one. */
inline_always int state_is_here(const struct pf_state *s, const struct __sk_buff *skb)
{
	__u8 flags = READ_ONCE(s->flags);

	if (likely(!(flags & (PF_SF_IFBOUND | PF_SF_SHADOWED | PF_SF_METERED))))
		return 1;
	return (flags & (PF_SF_IFBOUND | PF_SF_METERED)) == PF_SF_IFBOUND &&
	       s->ifindex == skb->ifindex;
}

inline_always struct pf_state *bucket_find(struct pf_bucket *b, __u16 tag,
					   const struct pf_state_key *key, __u32 which,
					   const struct __sk_buff *skb)
{
	struct pf_state *s;

#pragma clang loop unroll(full)
	for (int i = 0; i < PF_BUCKET_SLOTS; i++) {
		s = bucket_at(b, i, tag, key, which, PF_SLOT_LIVE);
		if (s && likely(state_is_here(s, skb)))
			return s;
	}
	return NULL;
}

/*
 * The state of a packet's key, or NULL; `which`: the packet's direction.  On the fast
 * path: it does not find all, see state_is_here() and state_look_up().
 */
inline_always struct pf_state *state_find(const struct pf_state_key *key, __u64 hash, __u32 which,
					  const struct __sk_buff *skb)
{
	__u16 tag = hash_tag(hash);
	struct pf_state *s;
	struct pf_bucket *b;

	b = bucket(hash_bucket1(hash));
	if (!b)
		return NULL;
	s = bucket_find(b, tag, key, which, skb);
	if (s || likely(!READ_ONCE(b->overflow)))
		return s;
	b = bucket(hash_bucket2(hash));
	if (!b)
		return NULL;
	return bucket_find(b, tag, key, which, skb);
}

/* What a search looks for, beside a key, and what it has met. */
struct search {
	__u32 which, min;
	__u32 ifindex; /* where the packet is; 0: states on any interface are meant */
	__u32 found;   /* 1 + index */
	__u64 roaming; /* its id, if it is bound to another interface: the oldest is meant */
	__u8 flags;    /* of what was found */
	__u8 elsewhere;
	__u16 tag;
};

/* Is the search over?  One that is bound to the interface ends it. */
inline_always int search_met(struct search *x, const struct pf_state *s)
{
	__u8 flags = READ_ONCE(s->flags);

	if ((flags & PF_SF_IFBOUND) && x->ifindex && s->ifindex != x->ifindex) {
		x->elsewhere = 1;
		/* what it sends by its gateway is its own wherever the routes lead it out */
		if (x->min == PF_SLOT_LIVE && x->which == PF_OUT && s->route == PF_OUT &&
		    (!(x->flags & PF_SF_IFBOUND) || s->id < x->roaming)) {
			x->found = s->index + 1;
			x->flags = flags | PF_SF_SHADOWED;
			x->roaming = s->id;
		}
		return 0;
	}
	if (x->found && !(flags & PF_SF_IFBOUND))
		return 0;
	x->found = s->index + 1;
	x->flags = flags;
	x->roaming = 0;
	return !(flags & PF_SF_SHADOWED);
}

inline_always int search_at(struct pf_bucket *b, int place, const struct pf_state_key *key,
			    struct search *x)
{
	struct pf_state *s = bucket_at(b, place, x->tag, key, x->which, x->min);

	return s && search_met(x, s);
}

/* A loop by hand: clang does not unroll it, and 6.1 does not take it. */
inline_always int bucket_search(struct pf_bucket *b, const struct pf_state_key *key,
				struct search *x)
{
	_Static_assert(PF_BUCKET_SLOTS == 8, "all places");
	return search_at(b, 0, key, x) || search_at(b, 1, key, x) || search_at(b, 2, key, x) ||
	       search_at(b, 3, key, x) || search_at(b, 4, key, x) || search_at(b, 5, key, x) ||
	       search_at(b, 6, key, x) || search_at(b, 7, key, x);
}

/*
 * Of makers, which tell more of what they have met.  1: the key's other bucket is to be
 * searched as well.  Global, or the verifier follows each combination of that; and with a
 * number, for no pointer to a bucket, which has a lock, may be given away.
 */
global_sub int bucket_search_nr(__u32 nr, const struct pf_state_key *key, struct search *x)
{
	struct pf_bucket *b = bucket(nr);

	if (!b || !key || !x || bucket_search(b, key, x))
		return 0;
	return READ_ONCE(b->overflow) != 0;
}

/* 1 + the index of the state that a packet at that interface belongs to; 0: there is none. */
global_sub __u32 state_look_up(const struct pf_state_key *key, __u32 which, __u32 ifindex)
{
	struct search x = {.which = which, .min = PF_SLOT_LIVE, .ifindex = ifindex};
	struct pf_bucket *b;
	__u64 hash;

	if (!key)
		return 0;
	hash = key_hash(key);
	x.tag = hash_tag(hash);
	b = bucket(hash_bucket1(hash));
	if (!b || bucket_search(b, key, &x) || !READ_ONCE(b->overflow))
		return x.found;
	b = bucket(hash_bucket2(hash));
	if (b)
		bucket_search(b, key, &x);
	return x.found;
}

inline_always struct pf_state *state_of_packet(const struct pf_pkt *p)
{
	__u32 found = state_look_up(&p->key, p->dir, p->ifindex);

	return found ? slot(found - 1) : NULL;
}

/*
 * Is the key there, or being made, for packets at that interface, 0 at any?  enum
 * key_there, perhaps with KEY_ELSEWHERE.  *ver is what the first bucket's was before.
 */
global_sub int state_exists(const struct pf_state_key *key, __u32 which, __u32 ifindex, __u32 *ver)
{
	struct search x = {.which = which, .min = PF_SLOT_EMBRYO, .ifindex = ifindex};
	struct pf_bucket *b;
	__u64 hash;
	int elsewhere;

	if (!key || !ver)
		return KEY_FREE;
	hash = key_hash(key);
	b = bucket(hash_bucket1(hash));
	if (!b)
		return KEY_FREE;
	/* an atomic read is a full barrier: the look-up cannot run ahead of it */
	*ver = __sync_fetch_and_add(&b->ver, 0);
	x.tag = hash_tag(hash);
	if (bucket_search_nr(hash_bucket1(hash), key, &x))
		bucket_search_nr(hash_bucket2(hash), key, &x);
	forget(x.elsewhere);
	forget(x.found);
	elsewhere = x.elsewhere ? KEY_ELSEWHERE : 0;
	if (!x.found)
		return elsewhere | KEY_FREE;
	/* a shadowed one comes to light when the bound one ends for a SYN that reuses it */
	return elsewhere | (x.flags & (PF_SF_NAT | PF_SF_SHADOWED) ? KEY_OTHERS : KEY_TAKEN);
}

/* Into the first bucket, if its version is still `ver`. */
inline_always enum place_result place_first(struct pf_bucket *b, __u16 tag, __u32 index, __u32 ver)
{
	enum place_result r = PLACE_FULL;

	bpf_spin_lock(&b->lock);
	if (b->ver != ver) {
		r = PLACE_MOVED;
	} else {
#pragma clang loop unroll(full)
		for (int i = 0; i < PF_BUCKET_SLOTS; i++) {
			if (r == PLACE_FULL && b->tag[i] == 0) {
				WRITE_ONCE(b->index[i], index);
				barrier();
				WRITE_ONCE(b->tag[i], tag);
				r = PLACE_OK;
			}
		}
		if (r == PLACE_OK)
			__sync_lock_test_and_set(&b->ver, ver + 1);
	}
	bpf_spin_unlock(&b->lock);
	return r;
}

inline_always enum place_result place_second(struct pf_bucket *b, __u16 tag, __u32 index)
{
	enum place_result r = PLACE_FULL;

	bpf_spin_lock(&b->lock);
#pragma clang loop unroll(full)
	for (int i = 0; i < PF_BUCKET_SLOTS; i++) {
		if (r == PLACE_FULL && b->tag[i] == 0) {
			WRITE_ONCE(b->index[i], index);
			barrier();
			WRITE_ONCE(b->tag[i], tag);
			r = PLACE_OK;
		}
	}
	bpf_spin_unlock(&b->lock);
	return r;
}

inline_always int unplace(struct pf_bucket *b, __u16 tag, __u32 index)
{
	int found = 0;

	bpf_spin_lock(&b->lock);
#pragma clang loop unroll(full)
	for (int i = 0; i < PF_BUCKET_SLOTS; i++) {
		if (!found && b->tag[i] == tag && b->index[i] == index) {
			WRITE_ONCE(b->tag[i], 0);
			found = 1;
		}
	}
	bpf_spin_unlock(&b->lock);
	return found;
}

/* The first bucket was full: into the second one, then the first one's consent. */
inline_always enum place_result place_overflow(struct pf_bucket *b1, __u64 hash, __u32 index,
					       __u32 ver)
{
	struct pf_bucket *b2 = bucket(hash_bucket2(hash));
	__u16 tag = hash_tag(hash);
	int moved = 0;

	if (!b2)
		return PLACE_FULL;
	/*
	 * The count goes up first, and stays up when we fail only as long as it
	 * takes to undo: too high costs a look-up, too low would hide a state.
	 */
	__sync_fetch_and_add(&b1->overflow, 1);
	if (place_second(b2, tag, index) != PLACE_OK) {
		__sync_fetch_and_add(&b1->overflow, -1);
		return PLACE_FULL;
	}
	bpf_spin_lock(&b1->lock);
	if (b1->ver != ver)
		moved = 1;
	else
		__sync_lock_test_and_set(&b1->ver, ver + 1);
	bpf_spin_unlock(&b1->lock);
	if (!moved)
		return PLACE_OK;
	unplace(b2, tag, index);
	__sync_fetch_and_add(&b1->overflow, -1);
	return PLACE_MOVED;
}

#define INSERT_TRIES 4

/*
 * Makes the EMBRYO in slot `index` findable under one of its keys, for packets at that
 * interface at least.  PLACED tells whether the index has stood in a bucket, so that it
 * may not be reused at once; BEHIND that states which are bound to other interfaces have
 * the key.
 */
#define PLACED	     0x100
#define BEHIND	     0x200
global_sub int place_key(const struct pf_state_key *key, __u32 index, __u32 which, __u32 ifindex)
{
	__u32 ver = 0, placed = 0, behind;
	int there;
	struct pf_bucket *b1;
	enum place_result r;
	__u64 hash;

	if (!key)
		return INSERT_NOROOM;
	hash = key_hash(key);
	b1 = bucket(hash_bucket1(hash));
	if (!b1)
		return INSERT_NOROOM;
	for (int try = 0; try < INSERT_TRIES; try++) {
		there = state_exists(key, which, ifindex, &ver);
		behind = there & KEY_ELSEWHERE ? BEHIND : 0;
		there &= KEY_THERE;
		if (there)
			return placed | (there == KEY_OTHERS ? INSERT_CLASH : INSERT_EXISTS);
		r = place_first(b1, hash_tag(hash), index, ver);
		if (r == PLACE_FULL) {
			placed = PLACED;
			r = place_overflow(b1, hash, index, ver);
			if (r == PLACE_FULL)
				return placed | INSERT_NOROOM;
		}
		if (r == PLACE_OK)
			return PLACED | behind | INSERT_OK;
	}
	return placed | INSERT_NOROOM;
}

/* Takes a slot out of the bucket where it stands under that key. */
global_sub int unplace_key(const struct pf_state_key *key, __u32 index)
{
	struct pf_bucket *b1, *b2;
	__u64 hash;

	if (!key)
		return 0;
	hash = key_hash(key);
	b1 = bucket(hash_bucket1(hash));
	if (!b1 || unplace(b1, hash_tag(hash), index))
		return 0;
	b2 = bucket(hash_bucket2(hash));
	if (b2 && unplace(b2, hash_tag(hash), index))
		__sync_fetch_and_add(&b1->overflow, -1);
	return 0;
}

#define PLACE_RESULT 0xff
/* It is nobody else's yet: its flags are its maker's. */
inline_always void state_behind(struct pf_state *s, int placed)
{
	if (unlikely(placed & BEHIND) && !(s->flags & PF_SF_IFBOUND))
		s->flags |= PF_SF_SHADOWED;
}

/*
 * Makes an EMBRYO findable.  INSERT_EXISTS if somebody else has made the same
 * connection meanwhile, INSERT_CLASH if a key that it needs is another connection's.
 * The translated key comes first: who has it has won the port.
 */
inline_always int state_place(struct pf_state *s, int *published)
{
	const int out = s->dir == PF_OUT;
	int r, second;

	if (likely(!(s->flags & PF_SF_NAT))) {
		r = place_key(&s->key, s->index, KEY_BOTH, s->ifindex);
		*published = r & PLACED;
		state_behind(s, r);
		return r & PLACE_RESULT;
	}
	r = place_key(out ? &s->key : &s->stack, s->index, out ? KEY_WIRE : KEY_STACK, s->ifindex);
	*published = r & PLACED;
	state_behind(s, r);
	r &= PLACE_RESULT;
	if (r != INSERT_OK)
		return r == INSERT_EXISTS ? INSERT_CLASH : r;
	second = place_key(out ? &s->stack : &s->key, s->index, out ? KEY_STACK : KEY_WIRE,
			   s->ifindex);
	state_behind(s, second);
	second &= PLACE_RESULT;
	if (second == INSERT_OK)
		return INSERT_OK;
	unplace_key(out ? &s->key : &s->stack, s->index);
	return second == INSERT_CLASH ? INSERT_EXISTS : second;
}

inline_always void slot_offer(struct pf_state *s)
{
	__u32 index = s->index;

	WRITE_ONCE(s->status, PF_SLOT_FREE);
	if (bpf_map_push_elem(&pf_free, &index, 0))
		WRITE_ONCE(s->status, PF_SLOT_LOST);
}

inline_always void slot_rest(struct pf_state *s)
{
	struct pf_limbo_entry e = {.index = s->index, .since = tick_now()};

	if (bpf_map_push_elem(&pf_limbo, &e, 0))
		WRITE_ONCE(s->status, PF_SLOT_LOST);
}

/* Signed: another CPU may have read the clock after we did. */
inline_always int has_rested(const struct pf_limbo_entry *e, __u32 now, __u32 grace)
{
	return (__s32)(now - e->since) >= (__s32)grace;
}

/* Gives back one slot whose rest is over; 0 when there is none. */
inline_always int limbo_release_one(__u32 now, __u32 grace)
{
	struct pf_limbo_entry e;
	struct pf_state *s;

	if (bpf_map_peek_elem(&pf_limbo, &e) || !has_rested(&e, now, grace))
		return 0;
	if (bpf_map_pop_elem(&pf_limbo, &e))
		return 0;
	s = slot(e.index);
	if (!s)
		return 1;
	if (!has_rested(&e, now, grace)) { /* another CPU took the one we had seen */
		if (bpf_map_push_elem(&pf_limbo, &e, 0))
			WRITE_ONCE(s->status, PF_SLOT_LOST);
		return 0;
	}
	slot_offer(s);
	return 1;
}

struct limbo_ctx {
	__u32 now;
	__u32 grace;
	__u32 released;
};

static long limbo_step(__u32 i, struct limbo_ctx *c)
{
	if (!limbo_release_one(c->now, c->grace))
		return 1;
	c->released++;
	return 0;
}

noinline_sub __u32 limbo_release(__u32 now, __u32 grace, __u32 most)
{
	struct limbo_ctx c = {.now = now, .grace = grace};

	bpf_loop(most, limbo_step, &c, 0);
	return c.released;
}

/* A slot of one's own, EMBRYO, key not yet set; NULL when none is free. */
noinline_sub struct pf_state *slot_take(__u32 grace)
{
	struct pf_state *s;
	__u32 index;

	if (bpf_map_pop_elem(&pf_free, &index)) {
		if (!limbo_release(tick_now(), grace, 8) || bpf_map_pop_elem(&pf_free, &index))
			return NULL;
	}
	s = slot(index);
	if (!s)
		return NULL;
	WRITE_ONCE(s->status, PF_SLOT_EMBRYO);
	s->index = index;
	return s;
}

/* The ids of `match` rules that a state has no room for, by the state's id. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 65536);
	__type(key, __u64);
	__type(value, struct pf_match_more);
} pf_match_more SEC(".maps");

/* Adds what a state has counted to the totals of a rule. */
global_sub int state_credit(const struct pf_state *s, __u32 rule)
{
	struct pf_rule_stats *rs = rule_stats(rule);

	if (!rs || !s)
		return 0;
	rs->states_gone++;
	/* constant indexes: 6.1 loses the bounds of variable ones */
	if (s->dir == PF_OUT) {
		rs->packets[1] += s->peer[0].packets;
		rs->bytes[1] += s->peer[0].bytes;
		rs->packets[0] += s->peer[1].packets;
		rs->bytes[0] += s->peer[1].bytes;
	} else {
		rs->packets[0] += s->peer[0].packets;
		rs->bytes[0] += s->peer[0].bytes;
		rs->packets[1] += s->peer[1].packets;
		rs->bytes[1] += s->peer[1].bytes;
	}
	return 0;
}

global_sub int state_counted(__u32 rule)
{
	struct pf_rule_stats *rs = rule_stats(rule);

	if (rs)
		rs->states++;
	return 0;
}

inline_always void state_counts_for(const struct pf_state *s, __u32 rule, const int ends)
{
	if (ends)
		state_credit(s, rule);
	else
		state_counted(rule);
}

/* The rules that a state counts for, when it has been made or `ends`. */
inline_always void state_count(const struct pf_state *s, const int ends)
{
	struct pf_match_more *more;
	__u32 n = s->nmatch;
	__u64 key = s->id;

	state_counts_for(s, s->rule, ends);
	if (s->anchor)
		state_counts_for(s, s->anchor, ends);
	for (__u32 i = 0; i < PF_MATCH_INLINE && i < n; i++)
		state_counts_for(s, i < 4 ? s->peer[0].match[i & 3] : s->peer[1].match[i & 3],
				 ends);
	if (n <= PF_MATCH_INLINE)
		return;
	more = bpf_map_lookup_elem(&pf_match_more, &key);
	if (!more)
		return;
	for (__u32 i = 0; i < PF_MATCH_MOST - PF_MATCH_INLINE && i + PF_MATCH_INLINE < n; i++)
		state_counts_for(s, more->id[i], ends);
	if (ends)
		bpf_map_delete_elem(&pf_match_more, &key);
}

global_sub int state_count_end(const struct pf_state *s)
{
	if (s)
		state_count(s, 1);
	return 0;
}

/* What a state has counted goes to the totals of its rules and of the firewall. */
inline_always void state_retire(struct pf_state *s)
{
	state_count_end(s);
	count_n(PF_CNT_HITS_RETIRED, s->peer[0].packets + s->peer[1].packets);
	count(PF_CNT_REMOVALS);
}

inline_always void states_less(__u32 n)
{
	struct pf_status *st = status();

	if (st)
		__sync_fetch_and_add(&st->states, -n);
}

/* Takes out a state that is `was', LIVE or ENDED: 1 if it was ours to take out, 0 if somebody else
 * was faster. */
global_sub int state_take_out(struct pf_state *s, __u32 was)
{
	if (!s || __sync_val_compare_and_swap(&s->status, was, PF_SLOT_DEAD) != was)
		return 0;
	unplace_key(&s->key, s->index);
	if (unlikely(s->flags & PF_SF_NAT))
		unplace_key(&s->stack, s->index);
	if (likely(READ_ONCE(s->kill) != PF_KILL_COPY)) {
		event(s, PF_EVENT_DELETE);
		state_retire(s);
	}
	if (unlikely(s->peer[0].opts))
		rule_states_change(s->rule, s->peer[0].opts, -1);
	if (unlikely(READ_ONCE(s->peer[0].source)))
		source_leave(s);
	if (unlikely(s->peer[1].opts))
		limiters_leave(s, 0);
	/* what has ended does not count any more */
	if (likely(was == PF_SLOT_LIVE))
		states_less(1);
	slot_rest(s);
	return 1;
}

/* Ends a state: 1 if it was ours to end. */
inline_always int state_remove(struct pf_state *s)
{
	return state_take_out(s, PF_SLOT_LIVE);
}

/* Reserves one of the limit's states: exact on any number of CPUs. */
inline_always int state_reserve(struct pf_status *st, __u32 limit)
{
	if (READ_ONCE(st->states) >= limit)
		return 0;
	if (__sync_fetch_and_add(&st->states, 1) >= limit) {
		__sync_fetch_and_add(&st->states, -1);
		return 0;
	}
	return 1;
}

#endif /* PF_BPF_TABLE_H */
