/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * The full parser: from the frame to struct pf_pkt, or to a drop with its
 * reason.  It does not matter how the packet lies in memory.  Order and verdicts are OpenBSD's
 * pf_setup_pdesc(), pf_walk_header() and pf_walk_header6(), as pf.conf(5) and RFC 791, 8200 ask.
 */
#ifndef PF_BPF_PARSE_H
#define PF_BPF_PARSE_H

#include "pf.h"
#include "sctp.h"

/* What the parser makes of a frame; PARSE_DROP leaves the reason in the packet. */
enum parse_result { PARSE_IP, PARSE_NOT_IP, PARSE_DROP, PARSE_VLAN_DEEP };

#define PF_HDR_LIMIT 20	 /* extension headers, as in pf */
#define PKT_NEAR     256 /* bytes of headers that are looked for without the helper */

struct ipv4_hdr {
	__u8 ver_ihl;
	__u8 tos;
	__be16 tot_len;
	__be16 id;
	__be16 frag_off;
	__u8 ttl;
	__u8 proto;
	__be16 check;
	__be32 saddr;
	__be32 daddr;
};

struct ipv6_hdr {
	__be32 flow; /* version, class, label */
	__be16 payload_len;
	__u8 nexthdr;
	__u8 hop_limit;
	struct pf_addr saddr;
	struct pf_addr daddr;
};

struct tcp_hdr {
	__be16 sport;
	__be16 dport;
	__be32 seq;
	__be32 ack;
	__u8 off_x2; /* data offset, reserved bits */
	__u8 flags;
	__be16 win;
	__be16 check;
	__be16 urg;
};

struct udp_hdr {
	__be16 sport;
	__be16 dport;
	__be16 len;
	__be16 check;
};

struct icmp_hdr {
	__u8 type;
	__u8 code;
	__be16 check;
	union {
		struct {
			__be16 id;
			__be16 seq;
		};
		__be32 mtu; /* of "too big"; in IPv4 its lower half */
	};
};

#define ICMP_HLEN 8
#define ND_HLEN	  24 /* neighbour solicitation and advertisement, MLD, up to the address */

enum {
	ICMP6_MLD_QUERY = 130,
	ICMP6_MLD_REPORT = 131,
	ICMP6_MLD_DONE = 132,
	ICMP6_ND_RS = 133,
	ICMP6_ND_RA = 134,
	ICMP6_ND_NS = 135,
	ICMP6_ND_NA = 136,
	ICMP6_ND_REDIRECT = 137,
	ICMP6_MLD2_REPORT = 143,
};

inline_always enum parse_result parse_drop(struct pf_pkt *p, __u8 reason)
{
	p->reason = reason;
	return PARSE_DROP;
}

/* The header chain of one IP packet: the packet itself, or one quoted in an ICMP error. */
struct chain {
	struct __sk_buff *skb;
	__u32 off;     /* of the header at hand */
	__u32 end;     /* of the IP packet */
	__u32 fragoff; /* 0: no fragment; IPv6: where the header of one that is not atomic is */
	__u32 jumbolen;
	__u16 plen; /* IPv6 payload length */
	__u8 proto;
	__u8 hop_limit;
	__u8 linklocal; /* the source is */
	__u8 badopts;
	__u8 reason;
	__u8 later; /* not the first fragment */
	__u8 done;
	__u8 fail;
	__u8 routing;
	__u8 frags;
};

/*
 * n bytes of the packet, n a constant: from where they lie if that is at hand, for a call
 * of the helper costs as much as twenty comparisons; else it finds them in the fragments.
 */
inline_always long pkt_load(struct __sk_buff *skb, __u32 off, void *to, __u32 n)
{
	void *data = (void *)(long)skb->data, *end = (void *)(long)skb->data_end;
	__u32 *w = to;

	if (unlikely(off > PKT_NEAR || data + off + n > end))
		return bpf_skb_load_bytes(skb, off, to, n);
#pragma clang loop unroll(full)
	for (__u32 i = 0; i < n / 4; i++)
		w[i] = *(__u32 *)(data + off + 4 * i);
	if (n & 2)
		((__u16 *)to)[n / 2 - 1] = *(__u16 *)(data + off + n - 2);
	return 0;
}

/* --- IPv4 options (RFC 791 section 3.1) --- */

struct opt_walk {
	struct __sk_buff *skb;
	__u32 off;
	__u32 end;
	__u32 jumbolen;
	__u16 plen;
	__u8 badopts;
	__u8 reason;
};

static long opt4_step(__u32 i, struct opt_walk *w)
{
	__u8 o[2];

	if (w->off >= w->end)
		return 1;
	if (bpf_skb_load_bytes(w->skb, w->off, o, 1)) {
		w->reason = PFRES_SHORT;
		return 1;
	}
	if (o[0] == 0) /* end of options */
		return 1;
	if (o[0] == 1) { /* no operation */
		w->off++;
		return 0;
	}
	if (w->off + 2 > w->end || bpf_skb_load_bytes(w->skb, w->off, o, 2) || o[1] < 2 ||
	    w->off + o[1] > w->end) {
		w->reason = PFRES_IPOPTIONS;
		return 1;
	}
	w->badopts |= o[0] == 148 ? PF_OPT_ROUTER_ALERT : PF_OPT_OTHER;
	w->off += o[1];
	return 0;
}

inline_always void options_begin(struct opt_walk *w)
{
	__u32 zero = unknown_zero();

	w->jumbolen |= zero;
	w->badopts |= zero;
	w->reason |= zero;
}

noinline_sub int walk_options4(struct opt_walk *w)
{
	options_begin(w);
	bpf_loop(40, opt4_step, w, 0);
	if (w->reason)
		return -1;
	/* options that hold nothing but padding are odd enough to count */
	if (!w->badopts)
		w->badopts = PF_OPT_OTHER;
	return 0;
}

/* --- IPv6 hop-by-hop options (RFC 8200 section 4.2) --- */

static long opt6_step(__u32 i, struct opt_walk *w)
{
	__u8 o[2];
	__be32 jumbo;

	if (w->off >= w->end)
		return 1;
	if (bpf_skb_load_bytes(w->skb, w->off, o, 1)) {
		w->reason = PFRES_SHORT;
		return 1;
	}
	if (o[0] == 0) { /* Pad1 */
		w->off++;
		return 0;
	}
	if (bpf_skb_load_bytes(w->skb, w->off, o, 2)) {
		w->reason = PFRES_SHORT;
		return 1;
	}
	if (w->off + 2 + o[1] > w->end) {
		w->reason = PFRES_IPOPTIONS;
		return 1;
	}
	switch (o[0]) {
	case 1: /* PadN */
		break;
	case 0xc2: /* jumbo payload (RFC 2675) */
		w->badopts |= PF_OPT_JUMBO;
		if (w->jumbolen || w->plen || o[1] != 4 ||
		    bpf_skb_load_bytes(w->skb, w->off + 2, &jumbo, 4) ||
		    bpf_ntohl(jumbo) <= 65535) {
			w->reason = PFRES_IPOPTIONS;
			return 1;
		}
		w->jumbolen = bpf_ntohl(jumbo);
		break;
	case 5: /* router alert (RFC 2711) */
		w->badopts |= PF_OPT_ROUTER_ALERT;
		break;
	default:
		w->badopts |= PF_OPT_OTHER;
		break;
	}
	w->off += 2 + o[1];
	return 0;
}

noinline_sub int walk_options6(struct opt_walk *w)
{
	options_begin(w);
	bpf_loop(2048, opt6_step, w, 0);
	if (w->reason)
		return -1;
	if (!w->badopts)
		w->badopts = PF_OPT_OTHER;
	return 0;
}

/* --- the chain --- */

inline_always long chain_fail(struct chain *c, __u8 reason)
{
	c->reason = reason;
	c->fail = 1;
	return 1;
}

/* A fragment may end inside its headers: it is then judged as a fragment, no more. */
inline_always long chain_short_fragment(struct chain *c)
{
	c->off = c->fragoff;
	c->proto = IPPROTO_FRAGMENT;
	c->done = 1;
	return 1;
}

noinline_sub long chain_hopopts(struct chain *c, __u32 len)
{
	struct opt_walk w = {
		.skb = c->skb, .off = c->off + 2, .end = c->off + len, .plen = c->plen};

	if (walk_options6(&w))
		return chain_fail(c, w.reason);
	c->badopts |= w.badopts;
	c->jumbolen = w.jumbolen;
	return 0;
}

noinline_sub long chain_icmp6(struct chain *c)
{
	__u8 type;

	if (c->fragoff && c->end < c->off + ICMP_HLEN)
		return chain_short_fragment(c);
	if (bpf_skb_load_bytes(c->skb, c->off, &type, 1))
		return chain_fail(c, PFRES_SHORT);
	if ((type >= ICMP6_MLD_QUERY && type <= ICMP6_MLD_DONE) || type == ICMP6_MLD2_REPORT) {
		/* RFC 2710 section 3, RFC 3590: hop limit 1, link-local or no source */
		if (c->hop_limit != 1 || !c->linklocal)
			return chain_fail(c, PFRES_IPOPTIONS);
		c->badopts &= ~PF_OPT_ROUTER_ALERT;
	}
	c->done = 1;
	return 1;
}

static long chain6_step(__u32 i, struct chain *c)
{
	__u8 h[8];
	__u32 len;

	switch (c->proto) {
	case IPPROTO_FRAGMENT:
		if (c->frags++ || c->jumbolen)
			return chain_fail(c, PFRES_FRAG);
		if (c->end < c->off + 8 || bpf_skb_load_bytes(c->skb, c->off, h, 8))
			return chain_fail(c, PFRES_SHORT);
		if (h[2] || (h[3] & 0xf8)) {
			/* beyond the longest packet that there can be (RFC 8200 section 4.5) */
			if ((h[2] << 8 | (h[3] & 0xf8)) + c->end - c->off - 8 > 65535)
				return chain_fail(c, PFRES_FRAG);
			c->fragoff = c->off;
			c->proto = h[0];
			c->off += 8;
			c->later = 1;
			c->done = 1;
			return 1;
		}
		if (h[3] & 1) /* RFC 6946: an atomic fragment is none */
			c->fragoff = c->off;
		c->off += 8;
		c->proto = h[0];
		return 0;
	case IPPROTO_ROUTING:
	case IPPROTO_HOPOPTS:
	case IPPROTO_DSTOPTS:
	case IPPROTO_AH:
		if (c->fragoff && c->end < c->off + 8)
			return chain_short_fragment(c);
		if (c->end < c->off + 8 || bpf_skb_load_bytes(c->skb, c->off, h, 8))
			return chain_fail(c, PFRES_SHORT);
		len = (h[1] + 1) * 8;
		if (c->proto == IPPROTO_AH) {
			len = (h[1] + 2) * 4;
		} else if (c->proto == IPPROTO_HOPOPTS) {
			if (i != 0) /* RFC 8200 section 4.1 */
				return chain_fail(c, PFRES_IPOPTIONS);
			if (chain_hopopts(c, len))
				return 1;
		} else {
			c->badopts |= PF_OPT_OTHER;
			/* RFC 5095: type 0 routing headers are no more */
			if (c->proto == IPPROTO_ROUTING && (c->routing++ || h[2] == 0))
				return chain_fail(c, PFRES_IPOPTIONS);
		}
		c->off += len;
		c->proto = h[0];
		return 0;
	case IPPROTO_ICMPV6:
		return chain_icmp6(c);
	case IPPROTO_TCP:
	case IPPROTO_UDP:
		len = c->proto == IPPROTO_TCP ? sizeof(struct tcp_hdr) : sizeof(struct udp_hdr);
		if (c->fragoff && c->end < c->off + len)
			return chain_short_fragment(c);
		c->done = 1;
		return 1;
	default:
		c->done = 1;
		return 1;
	}
}

static long chain4_step(__u32 i, struct chain *c)
{
	__u8 h[2];

	if (c->proto != IPPROTO_AH) {
		c->done = 1;
		return 1;
	}
	if (c->fragoff && c->end < c->off + 2) {
		c->done = 1;
		return 1;
	}
	if (bpf_skb_load_bytes(c->skb, c->off, h, 2))
		return chain_fail(c, PFRES_SHORT);
	c->off += (h[1] + 2) * 4;
	c->proto = h[0];
	return 0;
}

inline_always void chain_begin(struct chain *c)
{
	__u32 zero = unknown_zero();

	c->fragoff |= zero;
	c->jumbolen |= zero;
	c->badopts |= zero;
	c->reason |= zero;
	c->later |= zero;
	c->done |= zero;
	c->fail |= zero;
	c->routing |= zero;
	c->frags |= zero;
}

/* 0 when the chain ends well: c->proto and c->off are the payload's. */
noinline_sub int chain_walk6(struct chain *c)
{
	chain_begin(c);
	bpf_loop(PF_HDR_LIMIT, chain6_step, c, 0);
	if (!c->fail && !c->done)
		chain_fail(c, PFRES_IPOPTIONS);
	return c->fail ? -1 : 0;
}

noinline_sub int chain_walk4(struct chain *c)
{
	chain_begin(c);
	bpf_loop(PF_HDR_LIMIT, chain4_step, c, 0);
	if (!c->fail && !c->done)
		chain_fail(c, PFRES_IPOPTIONS);
	return c->fail ? -1 : 0;
}

/*
 * Walks from an IPv4 header to what it carries.  `quoted`: inside an ICMP
 * error, where lengths speak of a packet that is not all there.
 */
inline_always int chain_begin4(struct chain *c, const struct ipv4_hdr *ip, __u32 l3)
{
	__u32 hlen = (ip->ver_ihl & 15) * 4, tot_len = bpf_ntohs(ip->tot_len);
	__u16 frag = bpf_ntohs(ip->frag_off);

	if (hlen < sizeof(*ip) || (tot_len && hlen > tot_len))
		return (int)-chain_fail(c, PFRES_SHORT);
	c->off = l3 + hlen;
	c->proto = ip->proto;
	if (frag & 0x3fff)
		c->fragoff = c->off; /* not l3, which is 0 where there is no Ethernet */
	if (frag & 0x1fff)
		c->later = 1;
	if (hlen > sizeof(*ip)) {
		struct opt_walk w = {.skb = c->skb, .off = l3 + sizeof(*ip), .end = l3 + hlen};

		if (walk_options4(&w))
			return (int)-chain_fail(c, w.reason);
		c->badopts |= w.badopts;
	}
	if (c->proto == IPPROTO_IGMP) {
		/* RFC 1112 appendix I: to all hosts with a TTL of 1 */
		if (ip->ttl != 1 && ip->daddr == bpf_htonl(0xe0000001))
			return (int)-chain_fail(c, PFRES_IPOPTIONS);
		c->badopts &= ~PF_OPT_ROUTER_ALERT;
	}
	if (c->later || likely(c->proto != IPPROTO_AH))
		return 0;
	return chain_walk4(c);
}

inline_always int chain_begin6(struct chain *c, const struct ipv6_hdr *ip6, __u32 l3)
{
	c->off = l3 + sizeof(*ip6);
	c->plen = bpf_ntohs(ip6->payload_len);
	c->proto = ip6->nexthdr;
	c->hop_limit = ip6->hop_limit;
	c->linklocal = (bpf_ntohl(ip6->saddr.w[0]) & 0xffc00000) == 0xfe800000 ||
		       !(ip6->saddr.w[0] | ip6->saddr.w[1] | ip6->saddr.w[2] | ip6->saddr.w[3]);
	return chain_walk6(c);
}

/* --- from the frame to IP --- */

/* Sets p->l3 and returns the ethertype in host order; 0: more than two VLAN tags. */
inline_always __u32 parse_l2(struct __sk_buff *skb, struct pf_pkt *p)
{
	__u32 off = 12;
	__be16 proto = 0;

	p->vlan_tags = 0;
	if (!p->l2) {
		p->l3 = 0;
		return bpf_ntohs(skb->protocol);
	}
	/* the frame's own word, not skb->protocol, which a local sender may choose */
	if (pkt_load(skb, off, &proto, 2))
		return 1;
#pragma clang loop unroll(full)
	for (int i = 0; i < 2; i++) {
		if (proto != bpf_htons(ETH_P_8021Q) && proto != bpf_htons(ETH_P_8021AD))
			break;
		off += 4;
		p->vlan_tags++;
		if (pkt_load(skb, off, &proto, 2))
			return 1;
	}
	if (proto == bpf_htons(ETH_P_8021Q) || proto == bpf_htons(ETH_P_8021AD))
		return 0;
	p->l3 = off + 2;
	return bpf_ntohs(proto);
}

inline_always enum parse_result parse_ip4(struct __sk_buff *skb, struct pf_pkt *p, struct chain *c)
{
	struct ipv4_hdr ip;
	__u32 room = skb->len - p->l3;

	if (skb->len < p->l3 + sizeof(ip) || pkt_load(skb, p->l3, &ip, sizeof(ip)))
		return parse_drop(p, PFRES_SHORT);
	if (ip.ver_ihl >> 4 != 4)
		return parse_drop(p, PFRES_NORM);
	p->tot_len = bpf_ntohs(ip.tot_len);
	/* a super-packet of more than 64 KB, which only our own stack can make */
	if (!p->tot_len && skb->gso_size)
		p->tot_len = room;
	if (room < p->tot_len)
		return parse_drop(p, PFRES_SHORT);
	p->af = PF_AF_INET;
	p->tos = ip.tos & 0xfc;
	p->ttl = ip.ttl;
	__builtin_memset(&p->src, 0, sizeof(p->src));
	__builtin_memset(&p->dst, 0, sizeof(p->dst));
	p->src.w[0] = ip.saddr;
	p->dst.w[0] = ip.daddr;
	c->end = p->l3 + p->tot_len;
	if (p->tot_len < sizeof(ip) || chain_begin4(c, &ip, p->l3))
		return parse_drop(p, c->fail ? c->reason : PFRES_SHORT);
	/* a fragment of what must not be fragmented, or beyond the longest packet */
	if (c->fragoff && ((ip.frag_off & bpf_htons(0x4000)) ||
			   (bpf_ntohs(ip.frag_off) & 0x1fff) * 8 + p->tot_len > 65535))
		return parse_drop(p, PFRES_FRAG);
	return PARSE_IP;
}

/*
 * Linux writes a hop-by-hop header with a jumbo option into its own
 * super-packets of more than 64 KB, until they are cut up: no option to judge.
 */
inline_always int own_jumbo(struct __sk_buff *skb, const struct pf_pkt *p, const struct chain *c)
{
	return skb->gso_size && c->badopts == PF_OPT_JUMBO &&
	       c->jumbolen == skb->len - p->l3 - sizeof(struct ipv6_hdr);
}

inline_always enum parse_result parse_ip6(struct __sk_buff *skb, struct pf_pkt *p, struct chain *c)
{
	struct ipv6_hdr ip6;
	__u32 room = skb->len - p->l3;

	if (skb->len < p->l3 + sizeof(ip6) || pkt_load(skb, p->l3, &ip6, sizeof(ip6)))
		return parse_drop(p, PFRES_SHORT);
	if (bpf_ntohl(ip6.flow) >> 28 != 6)
		return parse_drop(p, PFRES_NORM);
	p->tot_len = bpf_ntohs(ip6.payload_len) + sizeof(ip6);
	if (!ip6.payload_len && skb->gso_size)
		p->tot_len = room;
	if (room < p->tot_len)
		return parse_drop(p, PFRES_SHORT);
	p->af = PF_AF_INET6;
	p->tos = (bpf_ntohl(ip6.flow) >> 20) & 0xfc;
	p->ttl = ip6.hop_limit;
	p->src = ip6.saddr;
	p->dst = ip6.daddr;
	c->end = p->l3 + p->tot_len;
	/* a jumbogram's length stands in its options: they are looked at before it goes */
	if (!ip6.payload_len && ip6.nexthdr == IPPROTO_HOPOPTS)
		c->end = p->l3 + room;
	if (chain_begin6(c, &ip6, p->l3))
		return parse_drop(p, c->reason);
	if (c->jumbolen) {
		if (!own_jumbo(skb, p, c))
			return parse_drop(p, PFRES_NORM);
		c->badopts = 0;
	}
	return PARSE_IP;
}

/* --- transport --- */

struct tcp_opts {
	__u8 b[40];
	__u32 at, n, scale;
};

/*
 * The window scale among n bytes of TCP options (RFC 7323 section 2.2), with
 * PF_WSCALE_FLAG; 0 if there is none.  Of several the last counts, as at both ends of
 * the connection.  The position, the end and what was found live in memory, where the
 * verifier does not follow them: else it would look at every way to get anywhere.
 */
inline_always __u32 tcp_opt_wscale(struct tcp_opts *o)
{
	WRITE_ONCE(o->at, 0);
	WRITE_ONCE(o->scale, 0);
	for (int guard = 0; guard < 40; guard++) {
		__u32 i = READ_ONCE(o->at), n = READ_ONCE(o->n), kind, len;

		if (i >= n || i > 37)
			break;
		kind = o->b[i];
		if (kind == 0)
			break;
		len = o->b[i + 1];
		if (kind == 3 && len == 3 && i + 3 <= n) {
			__u32 scale = o->b[i + 2];

			WRITE_ONCE(o->scale, (scale > 14 ? 14 : scale) | PF_WSCALE_FLAG);
		}
		if (kind == 1)
			len = 1;
		else if (len < 2)
			break;
		WRITE_ONCE(o->at, i + len);
	}
	return READ_ONCE(o->scale);
}

/*
 * By itself: among others' registers m is stored before the check, of which 6.1 then
 * knows nothing.
 */
global_sub int tcp_wscale(struct __sk_buff *skb, struct pf_pkt *p)
{
	struct tcp_opts *o;
	__u32 m;

	if (!p)
		return 0;
	o = (struct tcp_opts *)p->buf;
	m = p->th_off - sizeof(struct tcp_hdr) - 1;
	opaque(m);
	if (m > 39 || bpf_skb_load_bytes(skb, p->l4 + sizeof(struct tcp_hdr), p->buf, m + 1))
		return 0;
	WRITE_ONCE(o->n, m + 1);
	return tcp_opt_wscale(o);
}

inline_always enum parse_result parse_tcp(struct __sk_buff *skb, struct pf_pkt *p)
{
	struct tcp_hdr th;
	__u32 end = p->l3 + p->tot_len;

	if (p->l4 + sizeof(th) > end || pkt_load(skb, p->l4, &th, sizeof(th)))
		return parse_drop(p, PFRES_SHORT);
	p->th_off = (th.off_x2 >> 4) * 4;
	if (!th.dport || p->th_off < sizeof(th) || p->l4 + p->th_off > end)
		return parse_drop(p, PFRES_SHORT);
	p->payload_len = end - p->l4 - p->th_off;
	p->tcp_flags = th.flags;
	p->sport = bpf_ntohs(th.sport);
	p->dport = bpf_ntohs(th.dport);
	p->seq = bpf_ntohl(th.seq);
	p->ack = bpf_ntohl(th.ack);
	p->win = bpf_ntohs(th.win);
	if (p->tcp_flags & PF_TH_SYN)
		p->wscale = tcp_wscale(skb, p);
	return PARSE_IP;
}

inline_always enum parse_result parse_udp(struct __sk_buff *skb, struct pf_pkt *p)
{
	struct udp_hdr uh;
	__u32 end = p->l3 + p->tot_len, len;

	if (p->l4 + sizeof(uh) > end || pkt_load(skb, p->l4, &uh, sizeof(uh)))
		return parse_drop(p, PFRES_SHORT);
	len = bpf_ntohs(uh.len);
	if (!len && skb->gso_size)
		len = end - p->l4;
	/* a first fragment's length is the whole datagram's */
	if (!uh.dport || len < sizeof(uh) || (!p->frag && p->l4 + len > end))
		return parse_drop(p, PFRES_SHORT);
	p->sport = bpf_ntohs(uh.sport);
	p->dport = bpf_ntohs(uh.dport);
	return PARSE_IP;
}

inline_always enum parse_result parse_sctp(struct __sk_buff *skb, struct pf_pkt *p)
{
	struct sctp_hdr sh;

	if (p->l4 + sizeof(sh) > p->l3 + p->tot_len || pkt_load(skb, p->l4, &sh, sizeof(sh)) ||
	    !sh.sport || !sh.dport)
		return parse_drop(p, PFRES_SHORT);
	p->sport = bpf_ntohs(sh.sport);
	p->dport = bpf_ntohs(sh.dport);
	p->v_tag = bpf_ntohl(sh.v_tag);
	return sctp_scan(skb, p) ? parse_drop(p, PFRES_SHORT) : PARSE_IP;
}

inline_always int icmp_needs_nd(const struct pf_pkt *p)
{
	return p->proto == IPPROTO_ICMPV6 &&
	       (p->icmp_type == ICMP6_ND_NS || p->icmp_type == ICMP6_ND_NA ||
		p->icmp_type == ICMP6_MLD_QUERY || p->icmp_type == ICMP6_MLD_REPORT);
}

inline_always enum parse_result parse_icmp(struct __sk_buff *skb, struct pf_pkt *p)
{
	struct icmp_hdr ih;
	__u32 end = p->l3 + p->tot_len;

	/* ICMP for the other family */
	if ((p->proto == IPPROTO_ICMPV6) != (p->af == PF_AF_INET6))
		return parse_drop(p, PFRES_NORM);
	if (p->l4 + sizeof(ih) > end || pkt_load(skb, p->l4, &ih, sizeof(ih)))
		return parse_drop(p, PFRES_SHORT);
	p->icmp_type = ih.type;
	p->icmp_code = ih.code;
	p->icmp_id = ih.id;
	if (icmp_needs_nd(p) && p->l4 + ND_HLEN > end)
		return parse_drop(p, PFRES_SHORT);
	/* RFC 4861 section 6.1, 7.1, 8.1: nobody from afar talks to our neighbour cache */
	if (p->proto == IPPROTO_ICMPV6 && p->icmp_type >= ICMP6_ND_RS &&
	    p->icmp_type <= ICMP6_ND_REDIRECT && p->ttl != 255)
		return parse_drop(p, PFRES_NORM);
	return PARSE_IP;
}

/* Everything about the packet but its state key.  p->l2, p->dir and p->ifindex are set. */
inline_always enum parse_result parse_packet(struct __sk_buff *skb, struct pf_pkt *p)
{
	struct chain c = {.skb = skb};
	enum parse_result r;
	__u32 ethertype = parse_l2(skb, p);

	if (ethertype == ETH_P_IP)
		r = parse_ip4(skb, p, &c);
	else if (ethertype == ETH_P_IPV6)
		r = parse_ip6(skb, p, &c);
	else
		return ethertype ? PARSE_NOT_IP : PARSE_VLAN_DEEP;
	if (r != PARSE_IP)
		return r;
	p->l4 = c.off;
	p->proto = c.proto;
	p->badopts = c.badopts;
	p->frag = c.later ? PF_FRAG_LATER : c.fragoff ? PF_FRAG_FIRST : PF_FRAG_NONE;
	if (c.later || c.proto == IPPROTO_FRAGMENT) {
		p->frag = PF_FRAG_LATER;
		return PARSE_IP;
	}
	if (c.off > c.end)
		return parse_drop(p, PFRES_SHORT);
	switch (p->proto) {
	case IPPROTO_TCP:
		return parse_tcp(skb, p);
	case IPPROTO_UDP:
		return parse_udp(skb, p);
	case IPPROTO_SCTP:
		return parse_sctp(skb, p);
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6:
		return parse_icmp(skb, p);
	default:
		return PARSE_IP;
	}
}

#endif /* PF_BPF_PARSE_H */
