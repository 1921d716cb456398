/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Translated packets: the port of a new connection, and the rewriting of all of them.
 *
 * A state that translates has two keys.  A packet that has found it by one of them
 * takes what the other one says; what is the same in both stays as it is.
 *
 * Checksums are changed by the difference, by helpers that know of those that a
 * device will fill in.  Where an IPv6 address changes, skb->csum of CHECKSUM_COMPLETE
 * stays right because the store counts in what the pseudo header's change has counted
 * out; in IPv4 the header's own checksum does that.
 */
#ifndef PF_BPF_NAT_H
#define PF_BPF_NAT_H

#include "parse.h"
#include "state.h"
#include "table.h"
#include "translate.h"

/* --- rewriting --- */

/* Where the checksum is that addresses are part of, and how it is changed; off 0: there is none. */
struct l4_cksum {
	__u32 off;   /* from the header's start */
	__u64 flags; /* of bpf_l4_csum_replace() */
};

inline_always struct l4_cksum l4_cksum_of(__u8 proto)
{
	switch (proto) {
	case IPPROTO_TCP:
		return (struct l4_cksum){16, BPF_F_PSEUDO_HDR};
	case IPPROTO_UDP:
		return (struct l4_cksum){6, BPF_F_PSEUDO_HDR | BPF_F_MARK_MANGLED_0};
	case IPPROTO_ICMPV6:
		return (struct l4_cksum){2, BPF_F_PSEUDO_HDR};
	default:
		return (struct l4_cksum){0, 0};
	}
}

/* Where an address of the IP header is, and what it is of. */
struct addr_at {
	__u32 l3, off; /* it is at l3 + off */
	__u32 l4;
	__u8 af, proto;
};

noinline_sub int rewrite_addr(struct __sk_buff *skb, const struct addr_at *at,
			      const struct pf_addr *from, const struct pf_addr *to)
{
	struct l4_cksum ck = l4_cksum_of(at->proto);
	__s64 diff;

	if (at->af == PF_AF_INET) {
		if (bpf_l3_csum_replace(skb, at->l3 + 10, from->w[0], to->w[0], 4))
			return -1;
		if (ck.off &&
		    bpf_l4_csum_replace(skb, at->l4 + ck.off, from->w[0], to->w[0], ck.flags | 4))
			return -1;
		return (int)bpf_skb_store_bytes(skb, at->l3 + at->off, to, 4,
						BPF_F_INVALIDATE_HASH);
	}
	diff = bpf_csum_diff((__be32 *)from, sizeof(*from), (__be32 *)to, sizeof(*to), 0);
	if (diff < 0)
		return -1;
	if (ck.off && bpf_l4_csum_replace(skb, at->l4 + ck.off, 0, diff, ck.flags))
		return -1;
	return (int)bpf_skb_store_bytes(skb, at->l3 + at->off, to, sizeof(*to),
					BPF_F_RECOMPUTE_CSUM | BPF_F_INVALIDATE_HASH);
}

inline_always __u32 src_off(__u8 af)
{
	return af == PF_AF_INET ? 12 : 8;
}

inline_always __u32 dst_off(__u8 af)
{
	return af == PF_AF_INET ? 16 : 24;
}

/* A port, or what stands for it: at l4 + off. */
inline_always int rewrite_port(struct __sk_buff *skb, __u32 l4, __u32 off, __u32 ck_off,
			       __be16 from, __be16 to, __u64 flags)
{
	if (bpf_l4_csum_replace(skb, l4 + ck_off, from, to, flags | 2))
		return -1;
	return (int)bpf_skb_store_bytes(skb, l4 + off, &to, 2, BPF_F_INVALIDATE_HASH);
}

inline_always int rewrite_ports(struct __sk_buff *skb, const struct pf_state_key *from,
				const struct pf_state_key *to, __u32 si, __u32 l4)
{
	/* what the ports are is plain data: no branch on them outlives a call */
	__be16 sport = from->port[si & 1], dport = from->port[!(si & 1)];
	__be16 new_sport = to->port[si & 1], new_dport = to->port[!(si & 1)];

	switch (from->proto) {
	case IPPROTO_TCP:
		if (sport != new_sport && rewrite_port(skb, l4, 0, 16, sport, new_sport, 0))
			return -1;
		return dport == new_dport ? 0 : rewrite_port(skb, l4, 2, 16, dport, new_dport, 0);
	case IPPROTO_UDP:
		if (sport != new_sport &&
		    rewrite_port(skb, l4, 0, 6, sport, new_sport, BPF_F_MARK_MANGLED_0))
			return -1;
		return dport == new_dport ? 0
					  : rewrite_port(skb, l4, 2, 6, dport, new_dport,
							 BPF_F_MARK_MANGLED_0);
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6:
		/* the id; the type, which is the other one's port, never changes */
		if (sport != new_sport)
			return rewrite_port(skb, l4, 4, 2, sport, new_sport, 0);
		return dport == new_dport ? 0 : rewrite_port(skb, l4, 4, 2, dport, new_dport, 0);
	default:
		return 0;
	}
}

/* The packet of a state that translates, with its headers at l3 and l4. */
noinline_sub int nat_rewrite(struct __sk_buff *skb, const struct pf_state *s, __u32 dir, __u32 l3,
			     __u32 l4)
{
	const struct pf_state_key *from = dir == PF_IN ? &s->key : &s->stack;
	const struct pf_state_key *to = dir == PF_IN ? &s->stack : &s->key;
	struct addr_at at = {.l3 = l3, .l4 = l4, .af = s->key.af, .proto = s->key.proto};
	__u32 si = dir != PF_IN;

	at.off = src_off(at.af);
	if (!addr_equal(&from->addr[si & 1], &to->addr[si & 1]) &&
	    rewrite_addr(skb, &at, &from->addr[si & 1], &to->addr[si & 1]))
		return -1;
	at.off = dst_off(at.af);
	if (!addr_equal(&from->addr[!(si & 1)], &to->addr[!(si & 1)]) &&
	    rewrite_addr(skb, &at, &from->addr[!(si & 1)], &to->addr[!(si & 1)]))
		return -1;
	return rewrite_ports(skb, from, to, si, l4);
}

/* --- the port of a new connection --- */

/* p->nat_key with the port. */
inline_always void nat_key_port(struct pf_pkt *p, __u32 port)
{
	/* nat-to is for packets that go out: their source is the inside */
	p->nat_key.port[1] = bpf_htons(port);
}

inline_always int nat_key_free(const struct pf_pkt *p)
{
	__u32 ver;

	/* on whichever interface, as pf */
	return state_exists(&p->nat_key, KEY_WIRE, 0, &ver) == KEY_FREE;
}

/* The drawn port is taken: upwards from it, then downwards. */
static long nat_port_step(__u32 i, void *unused)
{
	struct pf_pkt *p = scratch();
	__u32 port, up;

	if (!p)
		return 1;
	up = p->nat_hi - p->sport;
	port = i < up ? p->sport + 1 + i : p->sport - 1 - (i - up);
	if ((__s32)port < p->nat_lo)
		return 1;
	nat_key_port(p, port);
	if (!nat_key_free(p))
		return 0;
	p->nat_found = port;
	return 1;
}

/* Sets p->nat_found to the port that is free, and that of p->nat_key; -1: none is. */
noinline_sub int nat_find_port(struct pf_pkt *p)
{
	p->nat_found = p->sport;
	if (!p->nat || nat_key_free(p))
		return 0;
	if (p->nat_lo >= p->nat_hi)
		return -1;
	p->nat_found = 0;
	bpf_loop(65536, nat_port_step, NULL, 0);
	return p->nat_found ? 0 : -1;
}

/* The key of the packet as rules have left it. */
inline_always void nat_key_begin(struct pf_pkt *p)
{
	__u32 si = p->dir != PF_IN;

	p->nat_key = p->key;
	p->nat_key.addr[si & 1] = p->src;
	p->nat_key.addr[!(si & 1)] = p->dst;
	p->nat_key.port[si & 1] = bpf_htons(p->sport);
	p->nat_key.port[!(si & 1)] = bpf_htons(p->dport);
}

/* --- ICMP errors --- */

/* Of an error about a packet of a state that translates. */
struct quote_at {
	__u32 l3, l4;	  /* of the quote */
	__u32 icmp_cksum; /* of the error */
	__u8 af, proto;	  /* of the quote */
	/* its checksum that addresses are part of: where in its header; 0 none */
	__u8 sum;
	__u8 pad;
	__u64 flags; /* of bpf_l4_csum_replace() for it */
};

/*
 * An address of the quote.  In IPv4 its header's checksum makes up for it, so that the
 * error's own does not change; in IPv6 that of its transport may.
 */
global_sub int quote_addr(struct __sk_buff *skb, const struct quote_at *q, __u32 off,
			  const struct pf_addr *from, const struct pf_addr *to)
{
	__s64 diff;

	if (!q || !from || !to)
		return -1;
	if (q->af == PF_AF_INET) {
		if (bpf_l3_csum_replace(skb, q->l3 + 10, from->w[0], to->w[0], 4) ||
		    bpf_skb_store_bytes(skb, q->l3 + off, to, 4, 0))
			return -1;
		if (!q->sum)
			return 0;
		/* the error's goes the other way */
		if (bpf_l4_csum_replace(skb, q->l4 + q->sum, from->w[0], to->w[0], q->flags | 4))
			return -1;
		return (int)bpf_l4_csum_replace(skb, q->icmp_cksum, to->w[0], from->w[0], 4);
	}
	diff = bpf_csum_diff((__be32 *)from, sizeof(*from), (__be32 *)to, sizeof(*to), 0);
	if (diff < 0 || bpf_skb_store_bytes(skb, q->l3 + off, to, sizeof(*to), 0))
		return -1;
	if (q->sum)
		return (int)bpf_l4_csum_replace(skb, q->l4 + q->sum, 0, diff, q->flags);
	return (int)bpf_l4_csum_replace(skb, q->icmp_cksum, 0, diff, 0);
}

/*
 * A port of the quote.  The checksum of UDP or of an echo makes up for it; that of TCP
 * is not in the eight bytes that there need be (RFC 792), and stays.
 */
global_sub int quote_port(struct __sk_buff *skb, const struct quote_at *q, __u32 off, __u32 from,
			  __u32 to)
{
	__be16 port = to;
	__u64 flags = 2;
	__u32 ck;

	if (!q || from == to)
		return 0;
	ck = q->icmp_cksum;
	if (q->proto == IPPROTO_ICMP) {
		ck = q->l4 + 2;
	} else if (q->sum) {
		ck = q->l4 + q->sum;
		flags |= q->flags;
	}
	if (bpf_l4_csum_replace(skb, ck, from, to, flags))
		return -1;
	return (int)bpf_skb_store_bytes(skb, q->l4 + off, &port, 2, 0);
}

/* qi: the index of the quoted packet's source in keys. */
inline_always int quote_ports_rewrite(struct __sk_buff *skb, const struct quote_at *q,
				      const struct pf_state_key *from,
				      const struct pf_state_key *to, __u32 qi)
{
	__u32 src = from->port[qi & 1], dst = from->port[!(qi & 1)];
	__u32 new_src = to->port[qi & 1], new_dst = to->port[!(qi & 1)];

	switch (q->proto) {
	case IPPROTO_TCP:
	case IPPROTO_UDP:
		return quote_port(skb, q, 0, src, new_src) || quote_port(skb, q, 2, dst, new_dst);
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6:
		return quote_port(skb, q, 4, src, new_src) || quote_port(skb, q, 4, dst, new_dst);
	default:
		return 0;
	}
}

/* The outer addresses: who is told of it is who sent the quoted packet, by whom it was sent to. */
inline_always int rewrite_outer(struct __sk_buff *skb, const struct pf_pkt *p,
				const struct pf_state_key *from, const struct pf_state_key *to,
				__u32 qi)
{
	struct addr_at at = {.l3 = p->l3, .l4 = p->l4, .af = p->af, .proto = p->proto};

	at.off = dst_off(at.af);
	if (!addr_equal(&from->addr[qi & 1], &to->addr[qi & 1]) &&
	    rewrite_addr(skb, &at, &p->dst, &to->addr[qi & 1]))
		return -1;
	/* not to tell who is behind the translation */
	at.off = src_off(at.af);
	if (!addr_equal(&from->addr[!(qi & 1)], &to->addr[!(qi & 1)]) &&
	    rewrite_addr(skb, &at, &p->src, &to->addr[!(qi & 1)]))
		return -1;
	return 0;
}

/* UDP may go without, in IPv4 (RFC 768). */
inline_always int quote_sum(struct __sk_buff *skb, struct quote_at *q)
{
	__u16 sum = 0;

	if (q->proto == IPPROTO_ICMPV6)
		q->sum = 2;
	if (q->proto != IPPROTO_UDP)
		return 0;
	if (bpf_skb_load_bytes(skb, q->l4 + 6, &sum, 2))
		return -1;
	if (sum) {
		q->sum = 6;
		q->flags = BPF_F_MARK_MANGLED_0;
	}
	return 0;
}

inline_always int nat_rewrite_error(struct __sk_buff *skb, const struct pf_pkt *p,
				    const struct pf_state *s)
{
	const struct pf_state_key *from = p->dir == PF_IN ? &s->key : &s->stack;
	const struct pf_state_key *to = p->dir == PF_IN ? &s->stack : &s->key;
	struct quote_at q = {.l3 = p->quote_l3,
			     .l4 = p->quote_l4,
			     .icmp_cksum = p->l4 + 2,
			     .af = p->af,
			     .proto = s->key.proto};
	__u32 qi = p->dir == PF_IN; /* the quoted packet went the other way */

	if (quote_sum(skb, &q))
		return -1;
	if (!addr_equal(&from->addr[qi & 1], &to->addr[qi & 1]) &&
	    quote_addr(skb, &q, src_off(q.af), &from->addr[qi & 1], &to->addr[qi & 1]))
		return -1;
	if (!addr_equal(&from->addr[!(qi & 1)], &to->addr[!(qi & 1)]) &&
	    quote_addr(skb, &q, dst_off(q.af), &from->addr[!(qi & 1)], &to->addr[!(qi & 1)]))
		return -1;
	if (quote_ports_rewrite(skb, &q, from, to, qi))
		return -1;
	return rewrite_outer(skb, p, from, to, qi);
}

#endif /* PF_BPF_NAT_H */
