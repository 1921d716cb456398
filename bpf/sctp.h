/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * SCTP (RFC 9260) as FreeBSD's pf has it: a packet is told by its chunks, and belongs
 * to an association only with the verification tag that its sender was given.
 *
 * Where this goes beyond FreeBSD: an INIT or INIT ACK that comes once more with another
 * tag during the handshake (section 5.2; who answers an INIT keeps no state and makes a
 * tag each time) leaves the tag to be learned from the next packet, and an ABORT ends
 * the association for both sides.
 */
#ifndef PF_BPF_SCTP_H
#define PF_BPF_SCTP_H

#include "pf.h"

struct sctp_hdr {
	__be16 sport;
	__be16 dport;
	__be32 v_tag;
	__le32 checksum; /* CRC32c of the packet alone: addresses are no part of it */
};

struct sctp_chunk {
	__u8 type;
	__u8 flags;
	__be16 len; /* with this header, without the padding */
};

/* An INIT or INIT ACK, up to its parameters. */
struct sctp_init {
	struct sctp_chunk chunk;
	__be32 tag;
	__be32 a_rwnd;
	__be16 out_streams;
	__be16 in_streams;
	__be32 tsn;
};

enum {
	SCTP_INIT = 1,
	SCTP_INIT_ACK = 2,
	SCTP_HEARTBEAT_ACK = 5,
	SCTP_ABORT = 6,
	SCTP_SHUTDOWN = 7,
	SCTP_SHUTDOWN_ACK = 8,
	SCTP_COOKIE_ECHO = 10,
	SCTP_COOKIE_ACK = 11,
	SCTP_SHUTDOWN_COMPLETE = 14,
	SCTP_DATA = 0,
};

#define SCTP_T_BIT    0x01 /* the tag is the receiver's own, sent back */
#define SCTP_RWND_MIN 1500 /* section 3.3.2 */
#define SCTP_CHUNKS   (65536 / sizeof(struct sctp_chunk))

/* --- reading --- */

struct sctp_walk {
	struct __sk_buff *skb;
	__u32 off;
	__u32 end;
	__u32 chunks;
	__u32 flags; /* PF_SCTP_* */
	__u32 init_tag;
	__u32 fail;
};

inline_always int sctp_read_init(struct sctp_walk *w, __u32 len)
{
	struct sctp_init in;

	if (len < sizeof(in) || bpf_skb_load_bytes(w->skb, w->off, &in, sizeof(in)) || !in.tag ||
	    !in.out_streams || !in.in_streams || bpf_ntohl(in.a_rwnd) < SCTP_RWND_MIN)
		return -1;
	w->init_tag = bpf_ntohl(in.tag);
	return 0;
}

inline_always __u32 sctp_chunk_flag(const struct sctp_chunk *c)
{
	__u32 reflected = c->flags & SCTP_T_BIT ? PF_SCTP_REFLECTED : 0;

	switch (c->type) {
	case SCTP_DATA:
		return PF_SCTP_DATA;
	case SCTP_INIT:
		return PF_SCTP_INIT;
	case SCTP_INIT_ACK:
		return PF_SCTP_INIT_ACK;
	case SCTP_HEARTBEAT_ACK:
		return PF_SCTP_HEARTBEAT_ACK;
	case SCTP_ABORT:
		return PF_SCTP_ABORT | reflected;
	case SCTP_SHUTDOWN:
	case SCTP_SHUTDOWN_ACK:
		return PF_SCTP_SHUTDOWN;
	case SCTP_COOKIE_ECHO:
	case SCTP_COOKIE_ACK:
		return PF_SCTP_COOKIE;
	case SCTP_SHUTDOWN_COMPLETE:
		return PF_SCTP_SHUTDOWN_COMPLETE | reflected;
	default:
		return 0;
	}
}

static long sctp_step(__u32 i, struct sctp_walk *w)
{
	struct sctp_chunk c;
	__u32 len, flag;

	if (w->off >= w->end)
		return 1;
	if (bpf_skb_load_bytes(w->skb, w->off, &c, sizeof(c))) {
		w->fail = 1;
		return 1;
	}
	len = bpf_ntohs(c.len);
	flag = sctp_chunk_flag(&c);
	if (len < sizeof(c) ||
	    ((flag & (PF_SCTP_INIT | PF_SCTP_INIT_ACK)) && sctp_read_init(w, len))) {
		w->fail = 1;
		return 1;
	}
	w->flags |= flag;
	w->chunks++;
	w->off += (len + 3) & ~3U;
	return 0;
}

/* What the packet's chunks are, of which the last ends with it; -1 if they are not well-formed. */
noinline_sub int sctp_scan(struct __sk_buff *skb, struct pf_pkt *p)
{
	__u32 zero = unknown_zero();
	struct sctp_walk w = {.skb = skb,
			      .off = p->l4 + sizeof(struct sctp_hdr),
			      .end = p->l3 + p->tot_len,
			      .chunks = zero,
			      .flags = zero,
			      .init_tag = zero,
			      .fail = zero};
	const __u32 alone = PF_SCTP_INIT | PF_SCTP_INIT_ACK | PF_SCTP_SHUTDOWN_COMPLETE;

	bpf_loop(SCTP_CHUNKS, sctp_step, &w, 0);
	if (w.fail || w.off < w.end || (p->frag == PF_FRAG_NONE && w.off != w.end))
		return -1;
	/* sections 4, 3.3.7, 8.5.1 */
	if ((w.flags & alone) && w.chunks > 1)
		return -1;
	if ((w.flags & PF_SCTP_ABORT) && (w.flags & PF_SCTP_DATA))
		return -1;
	if ((w.flags & PF_SCTP_INIT) && p->v_tag)
		return -1;
	p->sctp = w.flags;
	p->init_tag = w.init_tag;
	return 0;
}

/* --- tracking --- */

/* The tag that packets from this peer must carry; 0: not known yet. */
#define sctp_tag seqlo

inline_always int sctp_tag_ok(struct pf_state_peer *src, const struct pf_state_peer *dst,
			      const struct pf_pkt *p)
{
	if (p->sctp & PF_SCTP_INIT)
		return 1;
	if (p->sctp & PF_SCTP_REFLECTED)
		return !dst->sctp_tag || p->v_tag == dst->sctp_tag;
	if (!src->sctp_tag)
		src->sctp_tag = p->v_tag;
	return p->v_tag == src->sctp_tag;
}

/* INIT and INIT ACK: the sender says which tag it wants to see. */
inline_always int sctp_take_tag(struct pf_state_peer *dst, const struct pf_pkt *p, int up)
{
	if (!dst->sctp_tag)
		dst->sctp_tag = p->init_tag;
	else if (dst->sctp_tag != p->init_tag && up)
		return 0;
	else if (dst->sctp_tag != p->init_tag)
		dst->sctp_tag = 0;
	return 1;
}

inline_always void sctp_advance(struct pf_state *s, __u32 from, __u32 flags)
{
	__u8 *src = &s->peer_state[from & 1], *dst = &s->peer_state[!(from & 1)];

	if ((flags & PF_SCTP_INIT) && *src < SCTPS_COOKIE_WAIT)
		*src = SCTPS_COOKIE_WAIT;
	if ((flags & (PF_SCTP_INIT | PF_SCTP_INIT_ACK)) && s->timeout == PFTM_SCTP_FIRST_PACKET)
		s->timeout = PFTM_SCTP_OPENING;
	if ((flags & (PF_SCTP_COOKIE | PF_SCTP_HEARTBEAT_ACK)) && *src < SCTPS_ESTABLISHED) {
		*src = SCTPS_ESTABLISHED;
		/* what nobody has answered does not live for long, whatever it says */
		s->timeout = s->peer[!(from & 1)].packets ? PFTM_SCTP_ESTABLISHED
							  : PFTM_SCTP_OPENING;
	}
	if ((flags & (PF_SCTP_SHUTDOWN | PF_SCTP_SHUTDOWN_COMPLETE)) &&
	    *src < SCTPS_SHUTDOWN_PENDING) {
		*src = SCTPS_SHUTDOWN_PENDING;
		s->timeout = PFTM_SCTP_CLOSING;
	}
	if (flags & (PF_SCTP_SHUTDOWN_COMPLETE | PF_SCTP_ABORT)) {
		*src = SCTPS_ENDED;
		s->timeout = PFTM_SCTP_CLOSED;
	}
	if (flags & PF_SCTP_ABORT)
		*dst = SCTPS_ENDED;
}

enum sctp_verdict {
	SCTP_PASS,
	SCTP_DROP,
	SCTP_REUSE, /* INIT over a dying association: to be judged as new */
};

/* Under the state's lock: no calls. */
inline_always enum sctp_verdict sctp_full(struct pf_state *s, __u32 from, const struct pf_pkt *p,
					  __u32 now)
{
	struct pf_state_peer *src = &s->peer[from & 1], *dst = &s->peer[!(from & 1)];
	__u8 a = s->peer_state[0], b = s->peer_state[1];
	int up = a >= SCTPS_ESTABLISHED && b >= SCTPS_ESTABLISHED;

	if ((p->sctp & PF_SCTP_INIT) && a >= SCTPS_SHUTDOWN_PENDING && b >= SCTPS_SHUTDOWN_PENDING)
		return SCTP_REUSE;
	if (!sctp_tag_ok(src, dst, p))
		return SCTP_DROP;
	if ((p->sctp & (PF_SCTP_INIT | PF_SCTP_INIT_ACK)) && !sctp_take_tag(dst, p, up))
		return SCTP_DROP;
	sctp_advance(s, from, p->sctp);
	WRITE_ONCE(src->last, now);
	return SCTP_PASS;
}

/* enum sctp_verdict; global, for it is called where each path costs. */
global_sub int sctp_track(struct pf_state *s, const struct pf_pkt *p, __u32 from)
{
	__u32 stripe, now = tick_now();
	enum sctp_verdict v;
	struct pf_tcp_lock *l;

	if (!s || !p)
		return SCTP_DROP;
	stripe = s->index % PF_TCP_LOCKS;
	l = bpf_map_lookup_elem(&pf_tcp_locks, &stripe);
	if (!l)
		return SCTP_DROP;
	bpf_spin_lock(&l->lock);
	v = sctp_full(s, from, p, now);
	bpf_spin_unlock(&l->lock);
	return v;
}

/* The first packet of a new state: `s` is still nobody else's. */
inline_always void sctp_begin(struct pf_state *s, const struct pf_pkt *p)
{
	s->peer[0].sctp_tag = p->v_tag;
	s->peer[1].sctp_tag = p->init_tag;
	s->peer_state[0] = SCTPS_COOKIE_WAIT;
	s->peer_state[1] = SCTPS_CLOSED;
	s->timeout = PFTM_SCTP_FIRST_PACKET;
}

/* The verification tag of a packet that an ICMP error quotes; an INIT's is 0. */
inline_always int sctp_quote_ok(const struct pf_state *s, __u32 from, __u32 v_tag)
{
	__u32 tag = s->peer[from & 1].sctp_tag;

	return !v_tag || !tag || v_tag == tag;
}

#endif /* PF_BPF_SCTP_H */
