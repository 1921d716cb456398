/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * ICMP in states, as OpenBSD's pf_icmp_mapping(), pf_icmp_state_lookup() and
 * pf_test_state_icmp(): a query and its answers have one state, whose ports are
 * the query's id and type; an error is judged by the packet that it quotes.
 */
#ifndef PF_BPF_ICMP_H
#define PF_BPF_ICMP_H

#include "parse.h"
#include "table.h"
#include "tcp.h"

enum icmp_role {
	ICMP_QUERY, /* also what stands for itself, such as a router advertisement */
	ICMP_REPLY,
	ICMP_ERROR, /* speaks about another packet */
};

struct icmp_map {
	enum icmp_role role;
	__be16 id;
	__u8 type; /* the query's, for both */
};

/* RFC 792, 950, 1256, 1788 (domain name: as any other type) */
inline_always void icmp4_map(__u8 type, __be16 id, struct icmp_map *m)
{
	m->role = ICMP_QUERY;
	m->type = type;
	m->id = 0;
	switch (type) {
	case 3:	 /* unreachable */
	case 4:	 /* source quench */
	case 5:	 /* redirect */
	case 11: /* time exceeded */
	case 12: /* parameter problem */
		m->role = ICMP_ERROR;
		break;
	case 8:	 /* echo */
	case 13: /* timestamp */
	case 15: /* information */
	case 17: /* address mask */
		m->id = id;
		break;
	case 0:
		m->role = ICMP_REPLY;
		m->type = 8;
		m->id = id;
		break;
	case 14:
	case 16:
	case 18:
		m->role = ICMP_REPLY;
		m->type = type - 1;
		m->id = id;
		break;
	case 9: /* router advertisement answers a solicitation */
		m->role = ICMP_REPLY;
		m->type = 10;
		break;
	case 34: /* IPv6 I-am-here answers where-are-you */
	case 36: /* mobile registration */
		m->role = ICMP_REPLY;
		m->type = type - 1;
		break;
	}
}

/* RFC 4443, 2710, 4861, 4620 */
inline_always void icmp6_map(__u8 type, __be16 id, struct icmp_map *m)
{
	m->role = ICMP_QUERY;
	m->type = type;
	m->id = 0;
	switch (type) {
	case 1:
	case 2:
	case 3:
	case 4:
		m->role = ICMP_ERROR;
		break;
	case 128:
		m->id = id;
		break;
	case 129:
		m->role = ICMP_REPLY;
		m->type = 128;
		m->id = id;
		break;
	case ICMP6_MLD_REPORT: /* also sent unasked, and never to who asked */
		m->type = ICMP6_MLD_QUERY;
		break;
	case ICMP6_ND_NA:
		m->role = ICMP_REPLY;
		m->type = ICMP6_ND_NS;
		break;
	case 140: /* node information reply */
		m->role = ICMP_REPLY;
		m->type = 139;
		break;
	case 200: /* mtrace */
		m->role = ICMP_REPLY;
		m->type = 201;
		break;
	}
}

inline_always void icmp_map(const struct pf_pkt *p, struct icmp_map *m)
{
	if (p->af == PF_AF_INET)
		icmp4_map(p->icmp_type, p->icmp_id, m);
	else
		icmp6_map(p->icmp_type, p->icmp_id, m);
}

/* Sets the ports that rules, states and logs see. */
inline_always void icmp_set_ports(struct pf_pkt *p, const struct icmp_map *m)
{
	__u16 id = bpf_ntohs(m->id), type = m->type;

	p->icmp_error = m->role == ICMP_ERROR;
	p->icmp_reply = m->role == ICMP_REPLY;
	/*
	 * An answer makes no state.  Neighbours may speak first, and more than once, and nobody
	 * answers them: rules that keep state let them pass without one.
	 */
	p->no_state = p->icmp_error || (p->proto == IPPROTO_ICMPV6 && p->icmp_type == ICMP6_ND_NA);
	p->keep_never = p->icmp_reply && !p->no_state;
	p->sport = m->role == ICMP_REPLY ? type : id;
	p->dport = m->role == ICMP_REPLY ? id : type;
}

/*
 * The key of a query or a reply.  Neighbour discovery: the target stands for
 * the address that the multicast hides (RFC 4861 section 7.2).  `multi`: the
 * second try for an IPv6 answer, whose query went to all nodes.
 */
inline_always int icmp_key(struct __sk_buff *skb, struct pf_pkt *p, int multi)
{
	__u32 si = p->dir != PF_IN;
	struct pf_addr *src = &p->key.addr[si & 1], *dst = &p->key.addr[!(si & 1)];

	*src = p->src;
	*dst = p->dst;
	if (p->proto != IPPROTO_ICMPV6)
		return 0;
	if (p->icmp_type == ICMP6_ND_NS || p->icmp_type == ICMP6_ND_NA) {
		if (multi)
			return -1;
		if (p->icmp_type == ICMP6_ND_NS)
			return (int)bpf_skb_load_bytes(skb, p->l4 + ICMP_HLEN, dst, sizeof(*dst));
		if ((bpf_ntohl(p->dst.w[0]) >> 24) == 0xff)
			__builtin_memset(dst, 0, sizeof(*dst));
		return (int)bpf_skb_load_bytes(skb, p->l4 + ICMP_HLEN, src, sizeof(*src));
	}
	if (multi) {
		src->w[0] = bpf_htonl(0xff020000);
		src->w[1] = src->w[2] = 0;
		src->w[3] = bpf_htonl(1);
	}
	return 0;
}

/* p->key.port from the ports that icmp_set_ports() chose. */
inline_always void key_set_ports(struct pf_pkt *p)
{
	__u32 si = p->dir != PF_IN;

	p->key.port[si & 1] = bpf_htons(p->sport);
	p->key.port[!(si & 1)] = bpf_htons(p->dport);
}

/*
 * Does the message flow the way that its role in the state asks for?  A sloppy one may have
 * been made by a reply.
 */
inline_always int icmp_direction_ok(const struct pf_state *s, __u8 dir, enum icmp_role role)
{
	return (s->dir == dir) == (role != ICMP_REPLY) || (s->flags & PF_SF_SLOPPY);
}

/* --- errors --- */

/* What an ICMP error quotes. */
struct icmp_quote {
	struct chain c;
	struct pf_addr src;
	struct pf_addr dst;
	__u32 seq; /* TCP; SCTP: the verification tag */
	__be16 sport;
	__be16 dport;
	__u8 role;
};

inline_always int quote_ports(struct __sk_buff *skb, struct pf_pkt *p, struct icmp_quote *q)
{
	struct icmp_map m;
	__be32 w[2];
	struct icmp_hdr *ih = (struct icmp_hdr *)w;

	switch (q->c.proto) {
	case IPPROTO_TCP:
	case IPPROTO_UDP:
	case IPPROTO_SCTP:
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6:
		break;
	default:
		q->sport = q->dport = 0;
		return 0;
	}
	if (bpf_skb_load_bytes(skb, q->c.off, w, 8))
		return PFRES_SHORT;
	if (q->c.proto != IPPROTO_ICMP && q->c.proto != IPPROTO_ICMPV6) {
		q->sport = ((__be16 *)w)[0];
		q->dport = ((__be16 *)w)[1];
		q->seq = bpf_ntohl(w[1]);
		return 0;
	}
	if ((q->c.proto == IPPROTO_ICMPV6) != (p->af == PF_AF_INET6))
		return PFRES_NORM;
	if (p->af == PF_AF_INET)
		icmp4_map(ih->type, ih->id, &m);
	else
		icmp6_map(ih->type, ih->id, &m);
	q->role = m.role;
	q->sport = m.role == ICMP_REPLY ? bpf_htons(m.type) : m.id;
	q->dport = m.role == ICMP_REPLY ? m.id : bpf_htons(m.type);
	return 0;
}

/* 0, or the reason to drop. */
noinline_sub int quote_parse(struct __sk_buff *skb, struct pf_pkt *p, struct icmp_quote *q)
{
	__u32 l3 = p->l4 + ICMP_HLEN;

	q->c.skb = skb;
	q->c.end = p->l3 + p->tot_len;
	if (p->af == PF_AF_INET) {
		struct ipv4_hdr ip;

		if (l3 + sizeof(ip) > q->c.end || bpf_skb_load_bytes(skb, l3, &ip, sizeof(ip)))
			return PFRES_SHORT;
		if (ip.frag_off & bpf_htons(0x1fff))
			return PFRES_FRAG;
		if (chain_begin4(&q->c, &ip, l3))
			return q->c.reason;
		q->src.w[0] = ip.saddr;
		q->dst.w[0] = ip.daddr;
	} else {
		struct ipv6_hdr ip6;

		if (l3 + sizeof(ip6) > q->c.end || bpf_skb_load_bytes(skb, l3, &ip6, sizeof(ip6)))
			return PFRES_SHORT;
		if (chain_begin6(&q->c, &ip6, l3))
			return q->c.reason;
		if (q->c.later)
			return PFRES_FRAG;
		q->src = ip6.saddr;
		q->dst = ip6.daddr;
	}
	return quote_ports(skb, p, q);
}

/* Is the quoted segment one that the state has let pass?  There is no ack to look at. */
inline_always int quote_tcp_inside(const struct pf_state *s, __u32 from, __u32 seq)
{
	const struct pf_state_peer *src = &s->peer[from & 1], *dst = &s->peer[!(from & 1)];
	__u32 dws = 0;

	if (s->flags & PF_SF_SLOPPY)
		return 1;
	if ((s->flags & PF_SF_LOOSE) && !src->seqlo)
		return 1;
	if (s->wscale[0] && s->wscale[1])
		dws = s->wscale[!(from & 1)] & PF_WSCALE_MASK;
	seq -= src->seqdiff;
	return SEQ_GEQ(dst->other_seqhi, seq) && SEQ_GEQ(seq, src->seqlo - (dst->max_win << dws));
}

#endif /* PF_BPF_ICMP_H */
