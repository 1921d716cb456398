/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * TCP state tracking after Guido van Rooij, "Real Stateful TCP Packet Filtering
 * in IP Filter", as OpenBSD's pf does it.
 *
 * tcp_fast() is for segments inside an established connection and takes no
 * lock: a direction writes only its own peer's line, and losing a race against
 * its own direction loses at most one raise of a maximum, which the next
 * segment repairs.  All else goes through tcp_full() under the state's stripe
 * of pf_tcp_locks.  tcp_full() writes the other peer's line only while the
 * connection is not established on both sides, when no tcp_fast() runs.
 */
#ifndef PF_BPF_TCP_H
#define PF_BPF_TCP_H

#include "pf.h"

#define SEQ_GT(a, b)  ((__s32)((__u32)(a) - (__u32)(b)) > 0)
#define SEQ_GEQ(a, b) ((__s32)((__u32)(a) - (__u32)(b)) >= 0)
#define SEQ_LEQ(a, b) ((__s32)((__u32)(a) - (__u32)(b)) <= 0)

#define MAXACKWINDOW  (0xffff + 1500)
#define TCP_MAXWIN    65535U

inline_always __u32 max_u32(__u32 a, __u32 b)
{
	return a > b ? a : b;
}

/* Which peer sends: 0 the one that made the state. */
inline_always __u32 state_sender(const struct pf_state *s, __u8 dir)
{
	return s->dir != dir;
}

inline_always void peer_count(struct pf_state_peer *peer, __u32 bytes)
{
	__sync_fetch_and_add(&peer->packets, 1);
	__sync_fetch_and_add(&peer->bytes, bytes);
}

inline_always void peer_renew(struct pf_state_peer *peer)
{
	__u32 now = tick_now();

	if (READ_ONCE(peer->last) != now)
		WRITE_ONCE(peer->last, now);
}

/* The bytes peer_state[0..1], timeout and flags of an established connection, compared at once. */
union state_word {
	struct {
		__u8 peer_state[2];
		__u8 wscale[2];
		__u8 timeout;
		__u8 flags;
		__u8 dir;
		__u8 route;
	};
	__u64 all;
};

/* `dir`: the packet's, which no gateway takes. */
inline_always int state_word_is(const struct pf_state *s, __u8 peer, __u8 timeout, __u8 dir)
{
	const union state_word mask = {.peer_state = {0xff, 0xff},
				       .timeout = 0xff,
				       .flags = PF_SF_LOOSE | PF_SF_SLOPPY,
				       .route = dir};
	const union state_word want = {.peer_state = {peer, peer}, .timeout = timeout};

	return (READ_ONCE(*(const __u64 *)&s->peer_state) & mask.all) == want.all;
}

/*
 * 1: the segment is inside the windows, and they have moved; 0: ask tcp_full().
 * The caller has seen to it that of SYN, FIN, RST, ACK only ACK is set.
 */
inline_always int tcp_fast(struct pf_state *s, __u32 from, __u32 seq, __u32 ack, __u32 len,
			   __u32 win)
{
	struct pf_state_peer *src = &s->peer[from & 1];
	struct pf_state_peer *dst = &s->peer[!(from & 1)];
	__u32 sws = 0, dws = 0, end, seqlo, acked, skew_max, top;
	__s32 skew;

	if (s->wscale[0] && s->wscale[1]) {
		sws = s->wscale[from & 1] & PF_WSCALE_MASK;
		dws = s->wscale[!(from & 1)] & PF_WSCALE_MASK;
	}
	seqlo = READ_ONCE(src->seqlo);
	acked = READ_ONCE(dst->seqlo);
	if (!seqlo || !acked) /* none seen yet, or exactly zero */
		return 0;
	ack -= dst->seqdiff;
	end = seq + len;
	if (seq == end)
		seq = end = seqlo;
	skew = acked - ack;
	skew_max = MAXACKWINDOW << sws;
	if (!SEQ_GEQ(READ_ONCE(dst->other_seqhi), end) ||
	    !SEQ_GEQ(seq, seqlo - (READ_ONCE(dst->max_win) << dws)) || skew < -MAXACKWINDOW ||
	    skew > (__s32)skew_max)
		return 0;
	if (src->max_win < win)
		WRITE_ONCE(src->max_win, win);
	if (SEQ_GT(end, seqlo))
		WRITE_ONCE(src->seqlo, end);
	top = ack + (win << sws);
	if (SEQ_GEQ(top, READ_ONCE(src->other_seqhi)))
		WRITE_ONCE(src->other_seqhi, ack + max_u32(win << sws, 1));
	return 1;
}

enum tcp_verdict {
	TCP_PASS,
	TCP_LOOSE, /* let through, but not for long: see tcp_full() */
	TCP_DROP,
	TCP_DROP_RST,  /* both sides still say SYN: the sender is told */
	TCP_CHALLENGE, /* SYN into a living connection */
	TCP_REUSE,     /* SYN over a dead one: to be judged as new */
};

/* What one segment is to the check; `x` stands for the connection's two sides as seen from it. */
struct tcp_seg {
	__u32 seq;
	__u32 orig_seq;
	__u32 ack;
	__u32 orig_ack; /* not the one that is put in for what cannot be held against anything */
	__u32 end;
	__u32 data_end; /* without FIN, which may stand one beyond the window */
	__u32 win;
	__u32 sws;
	__u32 dws;
	__s32 skew;
	__u8 flags;
	__u8 src_state;
	__u8 dst_state;
};

inline_always void tcp_first_of_peer(struct pf_state *s, __u32 from, struct tcp_seg *x,
				     const struct pf_pkt *p)
{
	struct pf_state_peer *src = &s->peer[from & 1];
	struct pf_state_peer *dst = &s->peer[!(from & 1)];
	__u8 *src_ws = &s->wscale[from & 1], *dst_ws = &s->wscale[!(from & 1)];
	__u32 room;

	if (x->flags & PF_TH_SYN) {
		x->end++;
		if (*dst_ws & PF_WSCALE_FLAG) {
			*src_ws = p->wscale;
			if (*src_ws & PF_WSCALE_FLAG) {
				/* the window of a SYN is never scaled: take the scale off */
				x->sws = *src_ws & PF_WSCALE_MASK;
				x->win = (x->win + (1U << x->sws) - 1) >> x->sws;
				x->dws = *dst_ws & PF_WSCALE_MASK;
			} else {
				__u32 w = dst->max_win << (*dst_ws & PF_WSCALE_MASK);

				dst->max_win = w < TCP_MAXWIN ? w : TCP_MAXWIN;
				*dst_ws = 0;
			}
		}
	}
	x->data_end = x->end;
	if (x->flags & PF_TH_FIN)
		x->end++;
	WRITE_ONCE(src->seqlo, x->seq);
	if (x->src_state < TCPS_SYN_SENT)
		x->src_state = TCPS_SYN_SENT;
	room = max_u32(1, dst->max_win << x->dws);
	if (dst->other_seqhi == 1 || SEQ_GEQ(x->end + room, dst->other_seqhi))
		WRITE_ONCE(dst->other_seqhi, x->end + room);
	if (x->win > src->max_win)
		WRITE_ONCE(src->max_win, x->win);
}

/* The three updates that an accepted segment makes. */
inline_always void tcp_slide(struct pf_state_peer *src, const struct pf_state_peer *dst,
			     const struct tcp_seg *x)
{
	if (src->max_win < x->win)
		WRITE_ONCE(src->max_win, x->win);
	if (SEQ_GT(x->end, src->seqlo))
		WRITE_ONCE(src->seqlo, x->end);
	/*
	 * While nothing is known of the other side, x->ack is none: its window stays
	 * unknown (1) until its first segment sets it.  pf slides from zero here,
	 * after a second SYN too, and then takes half of all sequence numbers for
	 * old ones.
	 */
	if (dst->seqlo && SEQ_GEQ(x->ack + (x->win << x->sws), src->other_seqhi))
		WRITE_ONCE(src->other_seqhi, x->ack + max_u32(x->win << x->sws, 1));
}

inline_always int tcp_inside(const struct pf_state_peer *src, const struct pf_state_peer *dst,
			     const struct tcp_seg *x)
{
	__u32 low = src->seqlo - (dst->max_win << x->dws);
	__s32 skew_max = MAXACKWINDOW << x->sws;

	if (!SEQ_GEQ(dst->other_seqhi, x->data_end) || !SEQ_GEQ(x->seq, low) ||
	    x->skew < -MAXACKWINDOW || x->skew > skew_max)
		return 0;
	if (!(x->flags & PF_TH_RST))
		return 1;
	/* RFC 5961 section 3.2 in pf's form: a reset must hit the edge, give or take one */
	if (x->orig_seq == src->seqlo || x->orig_seq == src->seqlo + 1 ||
	    x->orig_seq + 1 == src->seqlo)
		return 1;
	/*
	 * One behind the edge needs an exact acknowledgment of its own: not the one
	 * that is put in for a zero, with which a guess of the window would do.
	 */
	return SEQ_GEQ(x->orig_seq, low) && SEQ_LEQ(x->orig_seq, src->seqlo + 1) && x->skew == 0 &&
	       (x->flags & PF_TH_ACK) && x->orig_ack;
}

inline_always void tcp_advance(struct tcp_seg *x)
{
	if ((x->flags & PF_TH_SYN) && x->src_state < TCPS_SYN_SENT)
		x->src_state = TCPS_SYN_SENT;
	if ((x->flags & PF_TH_FIN) && x->src_state < TCPS_CLOSING)
		x->src_state = TCPS_CLOSING;
	if (x->flags & PF_TH_ACK) {
		if (x->dst_state == TCPS_SYN_SENT)
			x->dst_state = TCPS_ESTABLISHED;
		else if (x->dst_state == TCPS_CLOSING)
			x->dst_state = TCPS_FIN_WAIT_2;
	}
	if (x->flags & PF_TH_RST)
		x->src_state = x->dst_state = TCPS_TIME_WAIT;
}

inline_always __u8 tcp_timeout(__u8 a, __u8 b)
{
	if (a >= TCPS_FIN_WAIT_2 && b >= TCPS_FIN_WAIT_2)
		return PFTM_TCP_CLOSED;
	if (a >= TCPS_CLOSING && b >= TCPS_CLOSING)
		return PFTM_TCP_FIN_WAIT;
	if (a < TCPS_ESTABLISHED || b < TCPS_ESTABLISHED)
		return PFTM_TCP_OPENING;
	if (a >= TCPS_CLOSING || b >= TCPS_CLOSING)
		return PFTM_TCP_CLOSING;
	return PFTM_TCP_ESTABLISHED;
}

/*
 * pf.conf(5), sloppy: which states the flags lead to, whatever the sequence numbers say.
 * Perhaps one side alone is seen.
 */
inline_always enum tcp_verdict tcp_sloppy(struct pf_state *s, __u32 from, __u8 flags, __u32 now)
{
	struct pf_state_peer *src = &s->peer[from & 1], *dst = &s->peer[!(from & 1)];
	__u8 a = s->peer_state[from & 1], b = s->peer_state[!(from & 1)];

	if ((flags & PF_TH_SYN) && a < TCPS_SYN_SENT)
		a = TCPS_SYN_SENT;
	if ((flags & PF_TH_FIN) && a < TCPS_CLOSING)
		a = TCPS_CLOSING;
	if (flags & PF_TH_ACK) {
		if (b == TCPS_SYN_SENT)
			b = TCPS_ESTABLISHED;
		else if (b == TCPS_CLOSING)
			b = TCPS_FIN_WAIT_2;
		else if (a == TCPS_SYN_SENT && b < TCPS_SYN_SENT)
			a = b = TCPS_ESTABLISHED; /* the answer went another way */
		else if (a == TCPS_CLOSING && b == TCPS_ESTABLISHED && !dst->seqlo)
			b = TCPS_CLOSING; /* so does the other's end */
	}
	if (flags & PF_TH_RST)
		a = b = TCPS_TIME_WAIT;
	s->peer_state[from & 1] = a;
	s->peer_state[!(from & 1)] = b;
	WRITE_ONCE(src->last, now);
	s->timeout = tcp_timeout(a, b);
	return TCP_PASS;
}

/* What the check was about, for a note; before anything changes. */
inline_always void tcp_note(struct pf_note *n, const struct pf_state *s, const struct tcp_seg *x)
{
	n->seq = x->seq;
	n->ack = x->ack;
	n->data_end = x->data_end;
	n->skew = x->skew;
	n->sws = x->sws;
	n->dws = x->dws;
	for (int i = 0; i < 2; i++) {
		n->peer[i].seqlo = s->peer[i].seqlo;
		n->peer[i].seqhi = s->peer[!i].other_seqhi;
		n->peer[i].max_win = s->peer[i].max_win;
	}
}

/* The whole check.  Under the state's lock: no calls. */
inline_always enum tcp_verdict tcp_full(struct pf_state *s, __u32 from, struct pf_pkt *p, __u32 now)
{
	struct pf_state_peer *src = &s->peer[from & 1];
	struct pf_state_peer *dst = &s->peer[!(from & 1)];
	struct tcp_seg x = {
		.flags = p->tcp_flags, .seq = p->seq, .orig_seq = p->seq, .win = p->win};
	enum tcp_verdict v = TCP_PASS;

	x.src_state = s->peer_state[from & 1];
	x.dst_state = s->peer_state[!(from & 1)];

	if ((x.flags & (PF_TH_SYN | PF_TH_ACK)) == PF_TH_SYN) {
		if (x.src_state >= TCPS_FIN_WAIT_2 && x.dst_state >= TCPS_FIN_WAIT_2)
			return TCP_REUSE;
		if (x.src_state >= TCPS_ESTABLISHED && x.dst_state >= TCPS_ESTABLISHED) {
			p->answer_seq = dst->seqlo;
			p->answer_ack = src->seqlo;
			return TCP_CHALLENGE;
		}
	}
	if (s->flags & PF_SF_SLOPPY)
		return tcp_sloppy(s, from, x.flags, now);

	if (s->wscale[0] && s->wscale[1] && !(x.flags & PF_TH_SYN)) {
		x.sws = s->wscale[from & 1] & PF_WSCALE_MASK;
		x.dws = s->wscale[!(from & 1)] & PF_WSCALE_MASK;
	}
	x.end = x.seq + p->payload_len;
	if (src->seqlo == 0) {
		tcp_first_of_peer(s, from, &x, p);
	} else {
		if (x.flags & PF_TH_SYN)
			x.end++;
		x.data_end = x.end;
		if (x.flags & PF_TH_FIN)
			x.end++;
	}
	forget(x.src_state);
	x.ack = x.orig_ack = p->ack - dst->seqdiff;
	if (!(x.flags & PF_TH_ACK) || (x.ack == 0 && (x.flags & PF_TH_RST)) ||
	    x.dst_state < TCPS_SYN_SENT || ((s->flags & PF_SF_LOOSE) && dst->seqlo == 0))
		x.ack = dst->seqlo; /* nothing to hold it against */
	if (x.seq == x.end)
		x.seq = x.data_end = x.end = src->seqlo;
	x.skew = dst->seqlo - x.ack;

	if (tcp_inside(src, dst, &x)) {
		tcp_slide(src, dst, &x);
		tcp_advance(&x);
		forget(x.src_state);
		forget(x.dst_state);
		WRITE_ONCE(src->last, now);
		s->timeout = tcp_timeout(x.src_state, x.dst_state);
		if ((s->flags & PF_SF_LOOSE) && src->seqlo && dst->seqlo)
			s->flags &= ~PF_SF_LOOSE;
	} else if ((x.dst_state < TCPS_SYN_SENT || x.dst_state >= TCPS_FIN_WAIT_2 ||
		    x.src_state >= TCPS_FIN_WAIT_2) &&
		   SEQ_GEQ(dst->other_seqhi + MAXACKWINDOW, x.data_end) &&
		   SEQ_GEQ(x.seq, src->seqlo - MAXACKWINDOW)) {
		/*
		 * Loosely: SYNs sent in a burst before any answer, and what comes
		 * late after a close.  Expiry is not renewed, so that a flood of
		 * them cannot keep a state alive.
		 */
		v = TCP_LOOSE;
		tcp_note(&p->note, s, &x);
		tcp_slide(src, dst, &x);
		if ((x.flags & PF_TH_FIN) && x.src_state < TCPS_CLOSING)
			x.src_state = TCPS_CLOSING;
		if (x.flags & PF_TH_RST)
			x.src_state = x.dst_state = TCPS_TIME_WAIT;
	} else {
		v = TCP_DROP;
		tcp_note(&p->note, s, &x);
		if (x.dst_state == TCPS_SYN_SENT && x.src_state == TCPS_SYN_SENT) {
			src->seqlo = 0;
			dst->other_seqhi = 1;
			src->max_win = 1;
			if (!(x.flags & PF_TH_RST))
				v = TCP_DROP_RST;
		}
	}
	s->peer_state[from & 1] = x.src_state;
	s->peer_state[!(from & 1)] = x.dst_state;
	return v;
}

/* The first segment of a new state: `s` is still nobody else's. */
inline_always void tcp_begin(struct pf_state *s, const struct pf_pkt *p)
{
	struct pf_state_peer *src = &s->peer[0], *dst = &s->peer[1];
	__u32 seqhi = p->seq + p->payload_len + 1, win = max_u32(p->win, 1), ws;

	if (p->tcp_flags & PF_TH_SYN) {
		seqhi++;
		s->wscale[0] = p->wscale;
	}
	ws = s->wscale[0] & PF_WSCALE_MASK;
	if (p->tcp_flags & PF_TH_FIN)
		seqhi++;
	src->seqlo = p->seq;
	dst->other_seqhi = seqhi;
	src->max_win = (win + (1U << ws) - 1) >> ws;
	src->other_seqhi = 1;
	dst->max_win = 1;
	s->peer_state[0] = TCPS_SYN_SENT;
	s->peer_state[1] = TCPS_CLOSED;
	s->timeout = PFTM_TCP_FIRST_PACKET;
}

#endif /* PF_BPF_TCP_H */
