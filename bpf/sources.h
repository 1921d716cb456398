/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Sources that are tracked, as pf's source nodes: how many states they have, how many
 * connections, and how fast those came.
 *
 * A node's memory is another node's as soon as it is out of the map, while a packet
 * may still hold it.  So each node has a serial number that no other has, beside each
 * number in it that is held against something: changes compare both.  A node that has
 * states is taken out by userland alone: its states then find a number that is not
 * theirs, or no node, and have none.  One that has no states any more is marked DEAD,
 * by compare-and-exchange, by who takes it out.
 */
#ifndef PF_BPF_SOURCES_H
#define PF_BPF_SOURCES_H

#include "opts.h"
#include "threshold.h"

#define SOURCE_TRIES 32 /* each one that fails is another CPU's success */

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, PF_SOURCES_MOST);
	__type(key, struct pf_src_key);
	__type(value, struct pf_src_node);
} pf_sources SEC(".maps");

/* Whose states are to end: see sweep.h. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, PF_FLUSHES_MOST);
	__type(key, struct pf_src_key);
	__type(value, struct pf_flush);
} pf_flushes SEC(".maps");

/* Runs sweep_timer(). */
struct pf_sweeper {
	struct bpf_timer timer;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct pf_sweeper);
} pf_sweeper SEC(".maps");

inline_always __u32 serial_of(__u64 word)
{
	return word >> 32;
}

/* Who made the state, before translation. */
inline_always const struct pf_addr *source_addr(const struct pf_state *s)
{
	return s->dir == PF_IN ? &s->key.addr[0] : &s->stack.addr[1];
}

inline_always void source_key(struct pf_src_key *k, const struct pf_addr *addr, __u32 af,
			      __u32 rule)
{
	for (int i = 0; i < 4; i++)
		k->addr.w[i] = addr->w[i];
	k->af = af;
	k->rule = rule;
}

/* By what its options say. */
inline_always __u32 source_rule(const struct pf_opt_set *o, __u32 rule)
{
	return o->flags & PF_OPTS_BY_RULE ? rule : 0;
}

/* Adds `by`, 1 or -1, if the word is of that serial, and no more than `most` come of it. */
enum source_change { CHANGE_NONE = -1, CHANGE_FULL = -2, CHANGE_AGAIN = -3 };
global_sub __s64 source_change_try(__u64 *word, __u32 serial, __s32 by, __u32 most)
{
	__u64 was, now;
	__u32 n;

	if (!word)
		return CHANGE_NONE;
	was = READ_ONCE(*word);
	n = (__u32)was & PF_SOURCE_COUNT;
	if (serial_of(was) != serial || (was & PF_SOURCE_DEAD) || (by < 0 && !n))
		return CHANGE_NONE;
	if (by > 0 && n >= most)
		return CHANGE_FULL;
	n += by;
	now = (was & ~(__u64)PF_SOURCE_COUNT) | n;
	if (__sync_val_compare_and_swap(word, was, now) != was)
		return CHANGE_AGAIN;
	return n;
}

inline_always __s64 source_change(__u64 *word, __u32 serial, __s32 by, __u32 most)
{
	for (int i = 0; i < SOURCE_TRIES; i++) {
		__s64 n = source_change_try(word, serial, by, most);

		if (n != CHANGE_AGAIN)
			return n;
	}
	return CHANGE_NONE;
}

/* The same, for those who are not called from so deep that one call more is too many. */
global_sub __s64 source_adjust(__u64 *word, __u32 serial, __s32 by, __u32 most)
{
	return word ? source_change(word, serial, by, most) : CHANGE_NONE;
}

/*
 * Is it the key's node?  Then a number that was read of it before is its own, or is no more
 * there to be changed.
 */
inline_always int source_is(const struct pf_src_key *k, const struct pf_src_node *v)
{
	return bpf_map_lookup_elem(&pf_sources, k) == v;
}

/* --- out --- */

/* A node whose word of states is still `was`; 1 if it was ours to take out. */
inline_always int source_unmake(const struct pf_src_key *k, struct pf_src_node *v, __u64 was)
{
	struct pf_status *st = status();
	struct pf_rule_count *n;
	__u32 rule = k->rule;

	if (!st || __sync_val_compare_and_swap(&v->states, was, was | PF_SOURCE_DEAD) != was)
		return 0;
	bpf_map_delete_elem(&pf_sources, k);
	__sync_fetch_and_add(&st->sources, -1);
	count(PF_CNT_SRC_REMOVALS);
	if (!rule)
		return 1;
	n = bpf_map_lookup_elem(&pf_rule_states, &rule);
	if (n)
		__sync_fetch_and_add(&n->nodes, -1);
	return 1;
}

/* One state less.  The node stays for the time that src.track says. */
inline_always void source_less(const struct pf_src_key *k, struct pf_src_node *v, __u32 serial,
			       const struct pf_opt_set *o)
{
	struct pf_config *cfg = config();
	__u32 after = o->timeout[PFTM_SRC_NODE];
	__s64 left;

	if (!after && cfg)
		after = cfg->timeout[PFTM_SRC_NODE];
	if (serial_of(READ_ONCE(v->states)) == serial)
		WRITE_ONCE(v->expire, tick_now() + after);
	left = source_change(&v->states, serial, -1, 0);
	if (!left && !after)
		source_unmake(k, v, (__u64)serial << 32);
}

/* A state ends, or was not made after all. */
global_sub int source_leave(struct pf_state *s)
{
	struct pf_src_key k;
	struct pf_opt_set *o;
	struct pf_src_node *v;
	__u32 link, serial;

	if (!s)
		return 0;
	link = __sync_lock_test_and_set(&s->peer[0].source, 0);
	serial = link & PF_SOURCE_SERIAL;
	o = opt_set(s->peer[0].opts);
	if (!link || !o)
		return 0;
	source_key(&k, source_addr(s), s->key.af, source_rule(o, s->rule));
	v = bpf_map_lookup_elem(&pf_sources, &k);
	if (!v || serial_of(READ_ONCE(v->states)) != serial)
		return 0;
	if (s->dir == PF_OUT) {
		__sync_fetch_and_add(&v->packets[1], s->peer[0].packets);
		__sync_fetch_and_add(&v->bytes[1], s->peer[0].bytes);
		__sync_fetch_and_add(&v->packets[0], s->peer[1].packets);
		__sync_fetch_and_add(&v->bytes[0], s->peer[1].bytes);
	} else {
		__sync_fetch_and_add(&v->packets[0], s->peer[0].packets);
		__sync_fetch_and_add(&v->bytes[0], s->peer[0].bytes);
		__sync_fetch_and_add(&v->packets[1], s->peer[1].packets);
		__sync_fetch_and_add(&v->bytes[1], s->peer[1].bytes);
	}
	if (link & PF_SOURCE_CONNECTED)
		source_change(&v->conns, serial, -1, 0);
	source_less(&k, v, serial, o);
	return 0;
}

/* --- in --- */

enum source_room {
	SOURCE_TAKEN,
	SOURCE_STATES, /* max-src-states */
	SOURCE_NODES,  /* max-src-nodes */
	SOURCE_LIMIT,  /* set limit src-nodes */
	SOURCE_UNKNOWN,
	SOURCE_AGAIN, /* another CPU was faster */
};

/* One more state of a node that was found. */
inline_always enum source_room source_join(const struct pf_src_key *k, struct pf_src_node *v,
					   const struct pf_opt_set *o, __u32 *link)
{
	__u32 most = o->max_src_states ? o->max_src_states : PF_SOURCE_DEAD - 1, serial;
	__s64 n;

	serial = serial_of(READ_ONCE(v->states));
	n = source_adjust(&v->states, serial, 1, most);
	if (n == CHANGE_NONE)
		return SOURCE_AGAIN;
	/*
	 * Is it this source's?  If we are counted it stays where it is; and a number
	 * that is full is looked at while it was found.
	 */
	if (source_is(k, v)) {
		*link = serial;
		return n == CHANGE_FULL ? SOURCE_STATES : SOURCE_TAKEN;
	}
	if (n != CHANGE_FULL)
		source_adjust(&v->states, serial, -1, 0);
	return SOURCE_AGAIN;
}

/* Room for one more node: of all, and of the rule. */
inline_always enum source_room source_reserve(struct pf_status *st, struct pf_rule_count *n,
					      __u32 most)
{
	struct pf_config *cfg = config();
	__u32 limit = cfg ? READ_ONCE(cfg->source_limit) : 0;

	if (n && __sync_fetch_and_add(&n->nodes, 1) >= (most ? most : ~0U)) {
		__sync_fetch_and_add(&n->nodes, -1);
		return SOURCE_NODES;
	}
	if (__sync_fetch_and_add(&st->sources, 1) < limit)
		return SOURCE_TAKEN;
	__sync_fetch_and_add(&st->sources, -1);
	if (n)
		__sync_fetch_and_add(&n->nodes, -1);
	return SOURCE_LIMIT;
}

/* A serial number that no other node has: never 0. */
inline_always __u32 source_serial(struct pf_status *st)
{
	__u32 serial = __sync_fetch_and_add(&st->next_source, 1) & PF_SOURCE_SERIAL;

	return serial ? serial : __sync_fetch_and_add(&st->next_source, 1) & PF_SOURCE_SERIAL;
}

inline_always enum source_room source_make(const struct pf_src_key *k, const struct pf_opt_set *o,
					   __u32 *link)
{
	struct pf_status *st = status();
	struct pf_rule_count *n = NULL;
	struct pf_src_node v = {};
	enum source_room room;
	__u32 rule = k->rule, serial;
	long err;

	if (!st)
		return SOURCE_UNKNOWN;
	if (rule) {
		n = bpf_map_lookup_elem(&pf_rule_states, &rule);
		if (!n)
			return SOURCE_UNKNOWN;
	}
	room = source_reserve(st, n, o->max_src_nodes);
	if (room != SOURCE_TAKEN)
		return room;
	serial = source_serial(st);
	v.states = (__u64)serial << 32 | 1;
	v.conns = (__u64)serial << 32;
	v.rate = (__u64)tick_now() << 32;
	v.creation = bpf_jiffies64();
	v.seconds = o->rate_seconds;
	err = bpf_map_update_elem(&pf_sources, k, &v, BPF_NOEXIST);
	if (!err) {
		count(PF_CNT_SRC_INSERTS);
		*link = serial;
		return SOURCE_TAKEN;
	}
	__sync_fetch_and_add(&st->sources, -1);
	if (n)
		__sync_fetch_and_add(&n->nodes, -1);
	return err == -17 /* EEXIST */ ? SOURCE_AGAIN : SOURCE_UNKNOWN;
}

/*
 * One more state of a packet's source: p->source is what it is to hold.  enum source_room;
 * exact on any number of CPUs.
 */
global_sub int source_take(struct pf_pkt *p)
{
	struct pf_src_key k;
	struct pf_opt_set *o;
	struct pf_src_node *v;
	enum source_room room;
	__u32 link = 0;

	if (!p)
		return SOURCE_UNKNOWN;
	p->source = 0;
	o = opt_set(p->rule.opts);
	if (!o)
		return SOURCE_UNKNOWN;
	if (!(o->flags & PF_OPTS_TRACK))
		return SOURCE_TAKEN;
	if (p->dir == PF_IN)
		source_key(&k, &p->key.addr[0], p->key.af, source_rule(o, p->rule.id));
	else
		source_key(&k, &p->key.addr[1], p->key.af, source_rule(o, p->rule.id));
	count(PF_CNT_SRC_SEARCHES);
	for (int i = 0; i < 4; i++) {
		v = bpf_map_lookup_elem(&pf_sources, &k);
		room = v ? source_join(&k, v, o, &link) : source_make(&k, o, &link);
		if (room != SOURCE_AGAIN)
			break;
	}
	p->source = room == SOURCE_TAKEN ? link : 0;
	return room;
}

/* What source_take() has taken goes back. */
global_sub int source_give(struct pf_pkt *p)
{
	struct pf_src_key k;
	struct pf_opt_set *o;
	struct pf_src_node *v;

	if (!p || !p->source)
		return 0;
	o = opt_set(p->rule.opts);
	if (!o)
		return 0;
	if (p->dir == PF_IN)
		source_key(&k, &p->key.addr[0], p->key.af, source_rule(o, p->rule.id));
	else
		source_key(&k, &p->key.addr[1], p->key.af, source_rule(o, p->rule.id));
	v = bpf_map_lookup_elem(&pf_sources, &k);
	if (v)
		source_less(&k, v, p->source, o);
	p->source = 0;
	return 0;
}

/* A state that is taken over from another table, where it had that node. */
global_sub int source_add(struct pf_state *s)
{
	__u32 link, serial;
	struct pf_src_key k;
	struct pf_opt_set *o;
	struct pf_src_node *v;

	if (!s)
		return 0;
	link = s->peer[0].source;
	serial = link & PF_SOURCE_SERIAL;
	o = opt_set(s->peer[0].opts);
	if (!link || !o)
		return 0;
	source_key(&k, source_addr(s), s->key.af, source_rule(o, s->rule));
	v = bpf_map_lookup_elem(&pf_sources, &k);
	if (v && source_adjust(&v->states, serial, 1, PF_SOURCE_DEAD - 1) >= 0) {
		if (link & PF_SOURCE_CONNECTED)
			source_adjust(&v->conns, serial, 1, PF_SOURCE_DEAD - 1);
	} else {
		s->peer[0].source = 0;
	}
	return 0;
}

/* --- connections --- */

/* A TCP handshake is done: counted.  1: it is one connection more than its source may have. */
global_sub int source_connected(struct pf_state *s)
{
	struct pf_src_key k;
	struct pf_opt_set *o;
	struct pf_src_node *v;
	__u32 link, over = 0;
	__s64 n;

	if (!s)
		return 0;
	link = READ_ONCE(s->peer[0].source);
	o = opt_set(s->peer[0].opts);
	if (!link || (link & PF_SOURCE_CONNECTED) || !o)
		return 0;
	source_key(&k, source_addr(s), s->key.af, source_rule(o, s->rule));
	v = bpf_map_lookup_elem(&pf_sources, &k);
	if (!v)
		return 0;
	n = source_adjust(&v->conns, link, 1, PF_SOURCE_DEAD - 1);
	if (n < 0)
		return 0;
	if (__sync_val_compare_and_swap(&s->peer[0].source, link, link | PF_SOURCE_CONNECTED) !=
	    link) {
		/* it has ended meanwhile */
		source_adjust(&v->conns, link, -1, 0);
		return 0;
	}
	if (o->max_src_conn && n > o->max_src_conn) {
		count(PF_CNT_LIMIT + LCNT_SRCCONN);
		over = 1;
	}
	if (o->rate_limit && threshold_add(&v->rate, o->rate_ticks, tick_now()) >
				     (__u64)o->rate_limit * PF_THRESHOLD_ONE) {
		count(PF_CNT_LIMIT + LCNT_SRCCONNRATE);
		over = 1;
	}
	return over;
}

/* --- offenders --- */

inline_always __u32 flush_hash(const struct pf_addr *addr)
{
	__u32 h = (addr->w[0] ^ addr->w[1] * 3 ^ addr->w[2] * 5 ^ addr->w[3] * 7) * 0x9e3779b9U;

	return h >> 22; /* 10 bits: PF_FLUSH_WORDS of 64 */
}

/* At once, not when the next slice of the sweep is due; where there is no timer pfd has it. */
inline_always void flush_hurry(const struct pf_status *st)
{
	__u32 zero = 0;
	struct pf_sweeper *sw = bpf_map_lookup_elem(&pf_sweeper, &zero);

	if (sw && !READ_ONCE(st->flush_on))
		bpf_timer_start(&sw->timer, 0, 0);
}

inline_always void flush_ask(const struct pf_state *s, __u32 rule)
{
	struct pf_status *st = status();
	struct pf_src_key k;
	struct pf_flush f = {};

	if (!st)
		return;
	source_key(&k, source_addr(s), s->key.af, rule);
	f.before = READ_ONCE(st->next_id);
	if (bpf_map_update_elem(&pf_flushes, &k, &f, BPF_ANY))
		count(PF_CNT_NO_FLUSH);
	/* also if there was no room: the pass makes some */
	if (!__sync_lock_test_and_set(&st->flush_asked, 1))
		flush_hurry(st);
}

#endif /* PF_BPF_SOURCES_H */
