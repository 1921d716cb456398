/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* What happens to a packet that has a state, and how a state is made. */
#ifndef PF_BPF_STATE_H
#define PF_BPF_STATE_H

#include "delta.h"
#include "icmp.h"
#include "sctp.h"
#include "table.h"
#include "tcp.h"

global_sub int meter_state(const struct pf_state *s)
{
	struct pf_meter *m;
	__u32 rule;

	if (!s)
		return 0;
	rule = s->rule;
	m = bpf_map_lookup_elem(&pf_meters, &rule);
	if (!m)
		return 0;
	return threshold_add(&m->rate, m->ticks, tick_now()) > (__u64)m->limit * PF_THRESHOLD_ONE;
}

/*
 * A packet that has found its state counts for the rule's max-pkt-rate, if it goes the way
 * of the one that made the state.  The meter goes with the rule.  1: it is one too many, and
 * as in pf the rules judge it, of which that one does not match.
 */
inline_always int state_is_over(const struct pf_state *s, struct pf_pkt *p)
{
	if (likely(!(s->flags & PF_SF_METERED)) || s->dir != p->dir)
		return 0;
	p->over = meter_state(s) != 0;
	return p->over;
}

/* What state_track() leaves to its caller. */
enum track_result {
	TRACK_PASS,
	TRACK_DROP,   /* p->reason */
	TRACK_ANSWER, /* drop, and p->answer goes back */
	TRACK_RULES,  /* the state is gone: to be judged as new */
};

inline_always enum track_result track_drop(struct pf_pkt *p, __u8 reason)
{
	p->reason = reason;
	return TRACK_DROP;
}

/* Asks for a TCP segment from the packet's destination to its source. */
inline_always void ask_tcp(struct pf_pkt *p, __u8 flags, __u32 seq, __u32 ack, __u8 ttl)
{
	p->answer = PF_ANSWER_TCP;
	p->answer_flags = flags;
	p->answer_seq = seq;
	p->answer_ack = ack;
	p->answer_ttl = ttl;
}

inline_always int tcp_is_open(const struct pf_state *s)
{
	return s->peer_state[0] == TCPS_ESTABLISHED && s->peer_state[1] == TCPS_ESTABLISHED;
}

/* A connection more than its source may have: it ends, and what the rule asks for is done. */
global_sub int source_offends(struct pf_state *s)
{
	struct pf_opt_set *o;

	if (!s)
		return 0;
	o = opt_set(s->peer[0].opts);
	if (o && o->overload) {
		count(PF_CNT_LIMIT + LCNT_OVERLOAD_TABLE);
		if (s->dir == PF_IN)
			table_add_host(o->overload, s->key.af, &s->key.addr[0]);
		else
			table_add_host(o->overload, s->key.af, &s->stack.addr[1]);
		if (o->flags & PF_OPTS_FLUSH) {
			count(PF_CNT_LIMIT + LCNT_OVERLOAD_FLUSH);
			flush_ask(s, o->flags & PF_OPTS_GLOBAL ? 0 : s->rule);
		}
	}
	return state_remove(s);
}

/*
 * enum track_result.  Global, as all that has many paths, for they are not multiplied by its
 * caller's then; and `from' is any number here, where it is 0 on one path and 1 on another there.
 */
global_sub int track_tcp(struct pf_state *s, struct pf_pkt *p, __u32 from)
{
	__u32 stripe, now = tick_now();
	struct pf_tcp_lock *l;
	enum tcp_verdict v;
	__u16 was;
	int opened;

	if (!s || !p)
		return TRACK_DROP;
	stripe = s->index % PF_TCP_LOCKS;
	l = bpf_map_lookup_elem(&pf_tcp_locks, &stripe);
	if (!l)
		return track_drop(p, PFRES_MEMORY);
	was = READ_ONCE(*(__u16 *)s->peer_state);
	bpf_spin_lock(&l->lock);
	opened = !tcp_is_open(s);
	v = tcp_full(s, from, p, now);
	forget(v);
	opened = opened && tcp_is_open(s);
	forget(opened);
	bpf_spin_unlock(&l->lock);
	if (unlikely(READ_ONCE(*(__u16 *)s->peer_state) != was))
		event(s, PF_EVENT_UPDATE);
	if (unlikely(opened && READ_ONCE(s->peer[0].source)) && source_connected(s)) {
		source_offends(s);
		return track_drop(p, PFRES_SRCLIMIT);
	}
	switch (v) {
	case TCP_PASS:
		return TRACK_PASS;
	case TCP_LOOSE:
		p->note.what = PF_NOTE_LOOSE;
		return TRACK_PASS;
	case TCP_REUSE:
		p->note.what = PF_NOTE_REUSE;
		state_remove(s);
		return TRACK_RULES;
	case TCP_CHALLENGE:
		/* RFC 5961 section 4.2 */
		ask_tcp(p, PF_TH_ACK, p->answer_seq, p->answer_ack, 0);
		p->note.what = PF_NOTE_CHALLENGE;
		p->reason = PFRES_BADSTATE;
		return TRACK_ANSWER;
	case TCP_DROP_RST:
		ask_tcp(p, PF_TH_RST, p->ack, 0, 0);
		p->note.what = PF_NOTE_BAD;
		p->reason = PFRES_BADSTATE;
		return TRACK_ANSWER;
	default:
		p->note.what = PF_NOTE_BAD;
		return track_drop(p, PFRES_BADSTATE);
	}
}

/* UDP and all that has no flags: traffic seen from one side, or from both. */
inline_always void track_simple(struct pf_state *s, __u32 from, __u8 single, __u8 multiple)
{
	__u8 *src = &s->peer_state[from & 1], *dst = &s->peer_state[!(from & 1)];

	/* stores of bytes that only ever rise: two CPUs at once do no harm */
	if (*src < PF_SINGLE)
		WRITE_ONCE(*src, PF_SINGLE);
	if (*dst == PF_SINGLE)
		WRITE_ONCE(*dst, PF_MULTIPLE);
	WRITE_ONCE(s->timeout, *src == PF_MULTIPLE && *dst == PF_MULTIPLE ? multiple : single);
}

inline_always enum track_result track_sctp(struct pf_state *s, struct pf_pkt *p, __u32 from)
{
	switch (sctp_track(s, p, from)) {
	case SCTP_PASS:
		return TRACK_PASS;
	case SCTP_REUSE:
		p->note.what = PF_NOTE_REUSE;
		state_remove(s);
		return TRACK_RULES;
	default:
		p->note.what = PF_NOTE_SCTP;
		return track_drop(p, PFRES_BADSTATE);
	}
}

/* Packets that a state does not let pass, whatever they are of it. */
inline_always enum track_result track_odd(const struct pf_state *s, struct pf_pkt *p)
{
	/* those that follow would not be translated */
	if (unlikely(s->flags & PF_SF_NAT) && p->frag != PF_FRAG_NONE)
		return track_drop(p, PFRES_FRAG);
	if (p->badopts && !(s->flags & PF_SF_ALLOWOPTS))
		return track_drop(p, PFRES_IPOPTIONS);
	return TRACK_PASS;
}

/* A query or a reply of a state. */
inline_always enum track_result track_icmp(struct pf_state *s, struct pf_pkt *p)
{
	__u32 from = state_sender(s, p->dir);

	if (track_odd(s, p) != TRACK_PASS)
		return TRACK_DROP;
	WRITE_ONCE(s->timeout, PFTM_ICMP_ERROR_REPLY);
	peer_renew(&s->peer[from & 1]);
	peer_count(&s->peer[from & 1], p->tot_len);
	return TRACK_PASS;
}

/* A packet of a state, ICMP apart. */
inline_always enum track_result state_track(struct pf_state *s, struct pf_pkt *p)
{
	__u32 from = state_sender(s, p->dir);
	enum track_result r;

	if (track_odd(s, p) != TRACK_PASS)
		return TRACK_DROP;
	switch (p->proto) {
	case IPPROTO_TCP:
		r = track_tcp(s, p, from);
		if (r != TRACK_PASS)
			return r;
		break;
	case IPPROTO_SCTP:
		r = track_sctp(s, p, from);
		if (r != TRACK_PASS)
			return r;
		break;
	case IPPROTO_UDP:
		track_simple(s, from, PFTM_UDP_SINGLE, PFTM_UDP_MULTIPLE);
		peer_renew(&s->peer[from & 1]);
		break;
	default:
		track_simple(s, from, PFTM_OTHER_SINGLE, PFTM_OTHER_MULTIPLE);
		peer_renew(&s->peer[from & 1]);
		break;
	}
	peer_count(&s->peer[from & 1], p->tot_len);
	return TRACK_PASS;
}

/* --- making one --- */

inline_always void state_fill(struct pf_state *s, const struct pf_state_key *key, __u32 rule,
			      __u32 ifindex, __u8 dir)
{
	__u32 now = tick_now();
	struct pf_status *st = status();

	s->key = *key;
	s->stack = *key;
	s->rule = rule;
	s->ifindex = ifindex;
	s->dir = dir;
	*(__u16 *)s->peer_state = 0;
	*(__u16 *)s->wscale = 0;
	s->flags = 0;
	s->route = 0;
	s->anchor = 0;
	s->tag = 0;
	s->nmatch = 0;
	s->kill = 0;
	s->creation = bpf_jiffies64();
	s->id = st ? __sync_fetch_and_add(&st->next_id, 1) : 0;
	__builtin_memset(s->peer, 0, sizeof(s->peer));
	s->peer[0].last = now;
	s->peer[1].last = now;
}

/* CLASH: a key that it needs is another connection's. */
enum create_result {
	CREATE_OK,
	CREATE_EXISTS,
	CREATE_CLASH,
	CREATE_LIMIT,
	CREATE_MEMORY,
	CREATE_RULE_LIMIT, /* the rule has all the states that it may have */
	CREATE_SRC_LIMIT,  /* the source, or the rule all the sources; counted */
	CREATE_LIMITER,	   /* another CPU was faster: the rules are to be asked again */
	CREATE_NOROUTE,	   /* nothing leads to its gateway */
};

/* Publishes a filled EMBRYO, or gives it back; `fresh`: it has been admitted by its limiters. */
inline_always enum create_result state_publish(struct pf_state *s, struct pf_status *st,
					       const int fresh)
{
	int published = 0, r = state_place(s, &published);

	if (r == INSERT_OK) {
		/* an exchange is a full barrier: all of the above is seen before LIVE */
		__sync_lock_test_and_set(&s->status, PF_SLOT_LIVE);
		return CREATE_OK;
	}
	__sync_fetch_and_add(&st->states, -1);
	if (s->peer[0].source) {
		s->peer[0].packets = s->peer[0].bytes = 0;
		s->peer[1].packets = s->peer[1].bytes = 0;
		source_leave(s);
	}
	if (s->peer[1].opts)
		limiters_leave(s, fresh);
	if (published) {
		WRITE_ONCE(s->status, PF_SLOT_DEAD);
		slot_rest(s);
	} else {
		slot_offer(s);
	}
	if (r == INSERT_CLASH)
		return CREATE_CLASH;
	return r == INSERT_EXISTS ? CREATE_EXISTS : CREATE_MEMORY;
}

/* One of the limit's states and a slot for it; NULL with *why. */
inline_always struct pf_state *state_alloc(struct pf_status *st, enum create_result *why)
{
	struct pf_config *cfg = config();
	struct pf_state *s;

	*why = CREATE_MEMORY;
	if (!cfg)
		return NULL;
	if (!state_reserve(st, READ_ONCE(cfg->state_limit))) {
		*why = CREATE_LIMIT;
		return NULL;
	}
	s = slot_take(cfg->grace);
	if (!s)
		__sync_fetch_and_add(&st->states, -1);
	return s;
}

/* What state_alloc() gave, and nobody else has seen. */
inline_always void state_give_back(struct pf_state *s, struct pf_status *st)
{
	slot_offer(s);
	__sync_fetch_and_add(&st->states, -1);
}

/*
 * The `match` rules that the packet has met go with its state; -1: no memory.  The packet
 * is looked up, for helpers of 6.1 take no other memory for a value.
 */
global_sub int state_take_matches(struct pf_state *s)
{
	struct pf_pkt *p = scratch();
	__u32 n;
	__u64 key;

	if (!s || !p)
		return -1;
	n = p->nmatched;
	key = s->id;
	for (__u32 i = 0; i < 4; i++) {
		s->peer[0].match[i] = p->matched[i].id;
		s->peer[1].match[i] = p->matched[i + 4].id;
	}
	if (n > PF_MATCH_INLINE) {
		for (__u32 i = 0; i < PF_MATCH_MOST - PF_MATCH_INLINE; i++)
			p->more.id[i] = p->matched[i + PF_MATCH_INLINE].id;
		if (bpf_map_update_elem(&pf_match_more, &key, &p->more, BPF_ANY))
			return -1;
	}
	s->nmatch = n;
	return 0;
}

/*
 * The gateway of a rule; -1: nothing leads there.  One that sends its own direction's packets
 * out elsewhere belongs there if it is bound: that is where the answers come in.
 */
global_sub int state_take_gateway(struct pf_state *s, __u32 flags)
{
	struct pf_opt_set *o = s ? opt_set(s->peer[0].opts) : NULL;
	__u32 ifindex = o ? READ_ONCE(o->hop.ifindex) : 0;

	if (!s || !ifindex)
		return -1;
	if (flags & PF_RULE_REPLY_TO)
		s->route = s->dir == PF_IN ? PF_OUT : PF_IN;
	else
		s->route = s->dir;
	if ((s->flags & PF_SF_IFBOUND) && s->dir == PF_OUT && s->route == PF_OUT)
		s->ifindex = ifindex;
	return 0;
}

/* What the rules that matched leave in the state. */
inline_always enum create_result state_take_rules(struct pf_state *s, struct pf_pkt *p)
{
	s->anchor = p->rule.anchor;
	s->peer[0].opts = p->rule.opts;
	s->peer[0].source = p->rule.opts ? p->source : 0;
	s->peer[1].opts = p->rule.opts ? p->limits : 0;
	s->peer[1].source = p->rule.opts ? p->limited_source : 0;
	s->tag = p->tag;
	if (p->tag)
		s->flags |= PF_SF_TAGGED;
	if (p->rule.flags & PF_RULE_ALLOWOPTS)
		s->flags |= PF_SF_ALLOWOPTS;
	if (p->rule.flags & PF_RULE_SLOPPY)
		s->flags |= PF_SF_SLOPPY;
	if (p->rule.flags & PF_RULE_IFBOUND)
		s->flags |= PF_SF_IFBOUND;
	if ((p->rule.flags & PF_RULE_METERED) || p->counted)
		s->flags |= PF_SF_METERED;
	if (unlikely(p->rule.flags & (PF_RULE_ROUTE_TO | PF_RULE_REPLY_TO)) &&
	    state_take_gateway(s, p->rule.flags))
		return CREATE_NOROUTE;
	return p->nmatched && state_take_matches(s) ? CREATE_MEMORY : CREATE_OK;
}

/* The rule's number of states is settled already. */
inline_always enum create_result state_make(struct pf_pkt *p, const int nat)
{
	struct pf_status *st = status();
	enum create_result why;
	struct pf_state *s;
	__u64 id;

	if (!st)
		return CREATE_MEMORY;
	s = state_alloc(st, &why);
	if (!s)
		return why;
	state_fill(s, &p->key, p->rule.id, p->ifindex, p->dir);
	if (nat) {
		/* the only port that was free may be its own: that is no translation */
		if (!key_equal(&p->nat_key, &p->key))
			s->flags |= PF_SF_NAT;
		if (p->dir == PF_OUT)
			s->key = p->nat_key;
		else
			s->stack = p->nat_key;
		p->state = s->index;
	}
	why = state_take_rules(s, p);
	if (why != CREATE_OK) {
		state_give_back(s, st);
		return why;
	}
	switch (p->proto) {
	case IPPROTO_TCP:
		tcp_begin(s, p);
		break;
	case IPPROTO_SCTP:
		sctp_begin(s, p);
		break;
	case IPPROTO_UDP:
		s->peer_state[0] = PF_SINGLE;
		s->timeout = PFTM_UDP_FIRST_PACKET;
		break;
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6:
		s->timeout = PFTM_ICMP_FIRST_PACKET;
		break;
	default:
		s->peer_state[0] = PF_SINGLE;
		s->timeout = PFTM_OTHER_FIRST_PACKET;
		break;
	}
	s->peer[0].packets = 1;
	s->peer[0].bytes = p->tot_len;
	p->source = 0; /* the state has it */
	p->limits = 0;
	p->limited_source = 0;
	id = s->id;
	why = state_publish(s, st, 1);
	if (why == CREATE_OK) {
		count(PF_CNT_INSERTS);
		limiters_made(s);
		event(s, PF_EVENT_INSERT);
	} else if (p->nmatched > PF_MATCH_INLINE) {
		bpf_map_delete_elem(&pf_match_more, &id);
	}
	return why;
}

/* The source's limits come before the rule's, as in pf. */
inline_always enum create_result room_take(struct pf_pkt *p)
{
	int room = source_take(p);

	if (room == SOURCE_STATES)
		count(PF_CNT_LIMIT + LCNT_SRCSTATES);
	if (room == SOURCE_NODES)
		count(PF_CNT_LIMIT + LCNT_SRCNODES);
	if (room == SOURCE_LIMIT)
		count(PF_CNT_SOURCES_FULL);
	if (room != SOURCE_TAKEN)
		return room == SOURCE_UNKNOWN || room == SOURCE_AGAIN ? CREATE_MEMORY
								      : CREATE_SRC_LIMIT;
	room = rule_state_take(p->rule.id, p->rule.opts);
	if (room == ROOM_TAKEN) {
		if (limiters_take(p))
			return CREATE_OK;
		rule_states_change(p->rule.id, p->rule.opts, -1);
		source_give(p);
		return CREATE_LIMITER;
	}
	source_give(p);
	return room == ROOM_NONE ? CREATE_RULE_LIMIT : CREATE_MEMORY;
}

/* `nat`: p->nat_key is what the packet is translated to. */
inline_always enum create_result state_create(struct pf_pkt *p, const int nat)
{
	enum create_result why;

	if (likely(!p->rule.opts))
		return state_make(p, nat);
	why = room_take(p);
	if (why != CREATE_OK)
		return why;
	why = state_make(p, nat);
	if (why != CREATE_OK) {
		rule_states_change(p->rule.id, p->rule.opts, -1);
		source_give(p);
		limiters_give(p);
	}
	return why;
}

#endif /* PF_BPF_STATE_H */
