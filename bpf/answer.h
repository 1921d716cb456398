/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Answers: the offending packet is cut down and rewritten into the RST, ACK or
 * ICMP error, and sent back where it came from.  At ingress it leaves by the
 * same interface; at egress it enters by it, as if the peer had answered, for
 * what comes from an own address would be a martian there; but an ICMP error for
 * a forwarded packet goes out where the packet had come in.  On the loopback
 * interface it just goes on, for it is delivered here anyway.
 *
 * Checksums: a packet whose checksum is left to the device (CHECKSUM_PARTIAL)
 * keeps the place where the device will put it, whatever we write there.  A TCP
 * answer then carries the pseudo header's sum, as the device expects.  A quoted
 * header will sum to the complement of its seed once the device has filled it
 * in, and that is what the ICMP checksum takes it for.
 */
#ifndef PF_BPF_ANSWER_H
#define PF_BPF_ANSWER_H

#include <bpf/bpf_core_read.h>

#include "kern.h"
#include "marks.h"
#include "parse.h"

#define LOOPBACK_IFINDEX 1
#define ANSWER_TTL	 64

/* A context pointer is opaque to the verifier; through a map value it becomes a number. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} pf_launder SEC(".maps");

inline_always __u32 skb_ip_summed(struct __sk_buff *skb)
{
	__u32 zero = 0;
	volatile __u64 *v = bpf_map_lookup_elem(&pf_launder, &zero);
	struct sk_buff *kskb;

	if (!v)
		return CHECKSUM_PARTIAL;
	*v = (__u64)(unsigned long)skb;
	kskb = (struct sk_buff *)(unsigned long)*v;
	return BPF_CORE_READ_BITFIELD_PROBED(kskb, ip_summed);
}

inline_always __u32 sum(const void *p, __u32 len, __u32 seed)
{
	return (__u32)bpf_csum_diff(NULL, 0, (__be32 *)p, len, seed);
}

inline_always __u16 fold(__u32 s)
{
	s = (s & 0xffff) + (s >> 16);
	return (s & 0xffff) + (s >> 16);
}

/* --- is the offending TCP segment's own checksum right? --- */

#define CKSUM_CHUNK 128

struct cksum_walk {
	struct __sk_buff *skb;
	__u8 *buf;
	__u32 off;
	__u32 end;
	__u32 sum;
	__u32 fail;
};

static long cksum_step(__u32 i, struct cksum_walk *w)
{
	__u32 n = w->end - w->off, m;
	__u32 zero = 0;
	struct pf_pkt *p = bpf_map_lookup_elem(&pf_scratch, &zero);

	if (!p || w->off >= w->end)
		return 1;
	if (n > CKSUM_CHUNK)
		n = CKSUM_CHUNK;
	__builtin_memset(p->buf, 0, CKSUM_CHUNK);
	m = n - 1;
	opaque(m);
	if (m > CKSUM_CHUNK - 1)
		return 1;
	n = m + 1;
	if (bpf_skb_load_bytes(w->skb, w->off, p->buf, n)) {
		w->fail = 1;
		return 1;
	}
	w->sum = sum(p->buf, CKSUM_CHUNK, w->sum);
	w->off += n;
	return 0;
}

inline_always __u32 pseudo_sum(const struct pf_pkt *p, __u32 len, __u8 proto)
{
	__be32 tail[2] = {bpf_htonl(len), bpf_htonl(proto)};
	__u32 s = sum(tail, sizeof(tail), 0);

	/* zero words of an IPv4 address add nothing */
	s = sum(&p->src, sizeof(p->src), s);
	return sum(&p->dst, sizeof(p->dst), s);
}

noinline_sub int tcp_cksum_bad(struct __sk_buff *skb, struct pf_pkt *p)
{
	__u32 end = p->l3 + p->tot_len;
	struct cksum_walk w = {.skb = skb,
			       .off = p->l4,
			       .end = end,
			       .sum = pseudo_sum(p, end - p->l4, IPPROTO_TCP)};

	bpf_loop(65536 / CKSUM_CHUNK, cksum_step, &w, 0);
	return w.fail || w.off < w.end || fold(w.sum) != 0xffff;
}

/* --- sending back --- */

inline_always int multicast(const struct pf_pkt *p, const struct pf_addr *a)
{
	__u32 top = bpf_ntohl(a->w[0]) >> 24;

	if (p->af == PF_AF_INET)
		return top >= 224 || top == 0;
	return top == 0xff || !(a->w[0] | a->w[1] | a->w[2] | a->w[3]);
}

/* RFC 1122 section 3.2.2, RFC 4443 section 2.4: whom not to answer. */
inline_always int answerable(struct __sk_buff *skb, const struct pf_pkt *p)
{
	__u8 to;

	/* a broadcast of our own is known by its frame only */
	if (p->l2 && (bpf_skb_load_bytes(skb, 0, &to, 1) || (to & 1)))
		return 0;
	if (p->frag != PF_FRAG_NONE || multicast(p, &p->src) || multicast(p, &p->dst))
		return 0;
	return p->dir == PF_OUT || skb->pkt_type == PACKET_HOST ||
	       skb->pkt_type == PACKET_OTHERHOST;
}

/* way_back: 0, or the interface where it is to be sent to the neighbour that routes say. */
inline_always int send_back(struct __sk_buff *skb, struct pf_pkt *p, __u32 way_back)
{
	struct pf_config *cfg = config();
	__u8 mac[12], swapped[12];

	if (!cfg)
		return VERDICT_DROP;
	if (p->l2 && !way_back) {
		if (bpf_skb_load_bytes(skb, 0, mac, sizeof(mac)))
			return VERDICT_DROP;
		__builtin_memcpy(swapped, mac + 6, 6);
		__builtin_memcpy(swapped + 6, mac, 6);
		if (bpf_skb_store_bytes(skb, 0, swapped, sizeof(swapped), BPF_F_INVALIDATE_HASH))
			return VERDICT_DROP;
	}
	/*
	 * cb[] is for our own hook on the way, which ends it; tc_index survives
	 * forwarding.  The way back may be skipped, with no hook that ends cb[].
	 */
	skb->tc_index = cfg->mark16;
	barrier();
	count(PF_CNT_ANSWERS);
	if (way_back)
		return (int)bpf_redirect_neigh(way_back, NULL, 0, 0);
	put_mark(skb, cfg, 0);
	if (skb->ifindex == LOOPBACK_IFINDEX)
		return VERDICT_PASS;
	if (p->dir == PF_IN)
		return (int)bpf_redirect(skb->ifindex, 0);
	return (int)bpf_redirect(skb->ifindex, BPF_F_INGRESS);
}

inline_always int no_answer(void)
{
	count(PF_CNT_NO_ANSWER);
	return VERDICT_DROP;
}

/* --- headers, written into p->buf --- */

inline_always void put_ipv4(struct pf_pkt *p, __u32 len, __u8 proto, __be32 from, __u8 ttl)
{
	struct ipv4_hdr *ip = (struct ipv4_hdr *)p->buf;

	__builtin_memset(ip, 0, sizeof(*ip));
	ip->ver_ihl = 0x45;
	ip->tot_len = bpf_htons(len);
	ip->frag_off = bpf_htons(0x4000);
	ip->ttl = ttl;
	ip->proto = proto;
	ip->saddr = from;
	ip->daddr = p->src.w[0];
	ip->check = ~fold(sum(ip, sizeof(*ip), 0));
}

inline_always void put_ipv6(struct pf_pkt *p, __u32 len, __u8 proto, const struct pf_addr *from,
			    __u8 hop_limit)
{
	struct ipv6_hdr *ip6 = (struct ipv6_hdr *)p->buf;

	ip6->flow = bpf_htonl(6U << 28);
	ip6->payload_len = bpf_htons(len - sizeof(*ip6));
	ip6->nexthdr = proto;
	ip6->hop_limit = hop_limit;
	ip6->saddr = *from;
	ip6->daddr = p->src;
}

/* --- TCP --- */

inline_always void put_tcp(struct pf_pkt *p, struct tcp_hdr *th, int partial)
{
	__u32 s;

	__builtin_memset(th, 0, sizeof(*th));
	th->sport = bpf_htons(p->dport);
	th->dport = bpf_htons(p->sport);
	th->seq = bpf_htonl(p->answer_seq);
	th->ack = bpf_htonl(p->answer_ack);
	th->off_x2 = sizeof(*th) / 4 << 4;
	th->flags = p->answer_flags;
	/* the window stays 0: so none of these takes the fast path, see fast_tcp() */
	s = pseudo_sum(p, sizeof(*th), IPPROTO_TCP);
	th->check = partial ? fold(s) : (__u16)~fold(sum(th, sizeof(*th), s));
}

inline_always int answer_tcp(struct __sk_buff *skb, struct pf_pkt *p)
{
	__u32 hlen = p->af == PF_AF_INET ? sizeof(struct ipv4_hdr) : sizeof(struct ipv6_hdr);
	__u32 summed = skb_ip_summed(skb), ttl = p->answer_ttl ? p->answer_ttl : ANSWER_TTL;
	int partial = summed == CHECKSUM_PARTIAL;
	long err;

	/* the place of the device's checksum cannot move: options would have to stay */
	if (partial && p->l4 != p->l3 + hlen)
		return no_answer();
	if (bpf_skb_change_tail(skb, p->l3 + hlen + sizeof(struct tcp_hdr), 0))
		return no_answer();
	if (p->af == PF_AF_INET) {
		put_ipv4(p, 40, IPPROTO_TCP, p->dst.w[0], ttl);
		put_tcp(p, (struct tcp_hdr *)(p->buf + 20), partial);
		err = bpf_skb_store_bytes(skb, p->l3, p->buf, 40, BPF_F_RECOMPUTE_CSUM);
	} else {
		put_ipv6(p, 60, IPPROTO_TCP, &p->dst, ttl);
		put_tcp(p, (struct tcp_hdr *)(p->buf + 40), partial);
		err = bpf_skb_store_bytes(skb, p->l3, p->buf, 60, BPF_F_RECOMPUTE_CSUM);
	}
	return err ? no_answer() : send_back(skb, p, 0);
}

/* --- SCTP --- */

/* RFC 9260 appendix A. */
inline_always __u32 crc32c(const __u8 *b, __u32 n)
{
	__u32 crc = ~0U;

	for (__u32 i = 0; i < n; i++) {
		crc ^= b[i];
		for (int bit = 0; bit < 8; bit++) {
			__u32 odd = crc & 1;

			/* no branch, no mask of 0 or -1: the verifier would go 2^128 ways */
			opaque(odd);
			crc = crc >> 1 ^ odd * 0x82f63b78;
		}
	}
	return ~crc;
}

#define ABORT_LEN (sizeof(struct sctp_hdr) + sizeof(struct sctp_chunk))

/* A packet of one ABORT without a cause. */
noinline_sub int put_abort(struct pf_pkt *p, __u32 at, int partial)
{
	struct sctp_hdr *sh;
	struct sctp_chunk *c;
	__u32 crc;

	if (at > sizeof(struct ipv6_hdr))
		return -1;
	sh = (struct sctp_hdr *)(p->buf + at);
	c = (struct sctp_chunk *)(sh + 1);
	sh->sport = bpf_htons(p->dport);
	sh->dport = bpf_htons(p->sport);
	sh->v_tag = bpf_htonl(p->answer_seq);
	sh->checksum = 0;
	c->type = SCTP_ABORT;
	c->flags = p->answer_flags;
	c->len = bpf_htons(sizeof(*c));
	if (partial) /* the device counts it in */
		return 0;
	crc = crc32c((const __u8 *)sh, ABORT_LEN);
	/* its bytes from the lowest on */
	sh->checksum = bpf_htonl(__builtin_bswap32(crc));
	return 0;
}

inline_always int answer_sctp(struct __sk_buff *skb, struct pf_pkt *p)
{
	__u32 hlen = p->af == PF_AF_INET ? sizeof(struct ipv4_hdr) : sizeof(struct ipv6_hdr);
	int partial = skb_ip_summed(skb) == CHECKSUM_PARTIAL;
	long err;

	/* as in answer_tcp() */
	if (partial && p->l4 != p->l3 + hlen)
		return no_answer();
	if (bpf_skb_change_tail(skb, p->l3 + hlen + ABORT_LEN, 0) || put_abort(p, hlen, partial))
		return no_answer();
	if (p->af == PF_AF_INET) {
		put_ipv4(p, sizeof(struct ipv4_hdr) + ABORT_LEN, IPPROTO_SCTP, p->dst.w[0],
			 ANSWER_TTL);
		err = bpf_skb_store_bytes(skb, p->l3, p->buf, sizeof(struct ipv4_hdr) + ABORT_LEN,
					  BPF_F_RECOMPUTE_CSUM);
	} else {
		put_ipv6(p, sizeof(struct ipv6_hdr) + ABORT_LEN, IPPROTO_SCTP, &p->dst, ANSWER_TTL);
		err = bpf_skb_store_bytes(skb, p->l3, p->buf, sizeof(struct ipv6_hdr) + ABORT_LEN,
					  BPF_F_RECOMPUTE_CSUM);
	}
	return err ? no_answer() : send_back(skb, p, 0);
}

/* --- ICMP --- */

#define QUOTE_L4   8  /* RFC 792 */
#define QUOTE_TCP  20 /* so that the checksum field, which a device may fill in, is there */
#define ICMP4_HDRS (sizeof(struct ipv4_hdr) + ICMP_HLEN)
#define ICMP6_HDRS (sizeof(struct ipv6_hdr) + ICMP_HLEN)
#define QUOTE_MAX  (PF_ANSWER_BUF - 48)

/* The address that the interface has for one who is to hear from it; 0 if it has none. */
inline_always int own_address(__u32 ifindex, const struct pf_pkt *p, struct pf_addr *from)
{
	struct pf_iface *i = bpf_map_lookup_elem(&pf_ifaces, &ifindex);

	if (!i)
		return 0;
	if (p->af == PF_AF_INET) {
		if (i->addr4)
			from->w[0] = i->addr4;
		return i->addr4 != 0;
	}
	if ((bpf_ntohl(p->src.w[0]) & 0xffc00000) == 0xfe800000) {
		if (i->linklocal.w[0])
			*from = i->linklocal;
		return i->linklocal.w[0] != 0;
	}
	if (i->addr6.w[0])
		*from = i->addr6;
	return i->addr6.w[0] != 0;
}

/* Of a forwarded packet on its way out: where it came in, if that is the way back; else 0. */
noinline_sub __u32 icmp_way_back(struct __sk_buff *skb, const struct pf_pkt *p)
{
	struct bpf_fib_lookup f = {.family = p->af == PF_AF_INET ? 2 : 10};
	__u32 in = skb->ingress_ifindex;
	long r;

	/* bpf_redirect_neigh() minds anything but a plain Ethernet header */
	if (p->dir != PF_OUT || !in || !p->l2 || p->vlan_tags || skb->vlan_present)
		return 0;
	f.ifindex = in;
	if (p->af == PF_AF_INET) {
		f.ipv4_src = p->dst.w[0];
		f.ipv4_dst = p->src.w[0];
	} else {
		__builtin_memcpy(f.ipv6_src, &p->dst, 16);
		__builtin_memcpy(f.ipv6_dst, &p->src, 16);
	}
	r = bpf_fib_lookup(skb, &f, sizeof(f), 0);
	if (r != BPF_FIB_LKUP_RET_SUCCESS && r != BPF_FIB_LKUP_RET_NO_NEIGH)
		return 0;
	return f.ifindex == in ? in : 0;
}

/* Sets the source of the ICMP error; returns the way back. */
inline_always __u32 icmp_source(struct __sk_buff *skb, const struct pf_pkt *p, struct pf_addr *from)
{
	__u32 way = icmp_way_back(skb, p);

	*from = p->dst;
	if (way)
		return own_address(way, p, from) ? way : 0;
	if (p->dir == PF_IN && skb->ifindex != LOOPBACK_IFINDEX)
		own_address(skb->ifindex, p, from);
	return 0;
}

/* Loads the quote behind the headers; the rest of the buffer is 0 and adds nothing to sums. */
inline_always int load_quote(struct __sk_buff *skb, struct pf_pkt *p, __u32 hdrs, __u32 len)
{
	__u32 m = len - 1;

	__builtin_memset(p->buf, 0, sizeof(p->buf));
	opaque(m);
	if (m > QUOTE_MAX - 1)
		return -1;
	return (int)bpf_skb_load_bytes(skb, p->l3, p->buf + hdrs, m + 1);
}

/* Makes room for the headers in front of the quote; the packet is then headers + quote. */
inline_always int make_room(struct __sk_buff *skb, struct pf_pkt *p, __u32 hdrs, __u32 quote,
			    int partial)
{
	if (!partial)
		return (int)bpf_skb_change_tail(skb, p->l3 + hdrs + quote, 0);
	if (p->vlan_tags)
		return -1;
	if (bpf_skb_change_tail(skb, p->l3 + quote, 0))
		return -1;
	return (int)bpf_skb_adjust_room(skb, hdrs, BPF_ADJ_ROOM_MAC, 0);
}

/* What the quoted transport header adds to the sum, when the device will fill its checksum in. */
inline_always __u32 partial_sum(const struct pf_pkt *p, __u32 l4)
{
	const __u8 *h = p->buf + l4;
	__u16 seed = *(const __u16 *)(h + (p->proto == IPPROTO_TCP ? 16 : 6));

	return (__u16)~seed;
}

inline_always int store_answer(struct __sk_buff *skb, struct pf_pkt *p, __u32 len)
{
	__u32 m = len - 1;

	opaque(m);
	if (m > PF_ANSWER_BUF - 1)
		return -1;
	return (int)bpf_skb_store_bytes(skb, p->l3, p->buf, m + 1, BPF_F_RECOMPUTE_CSUM);
}

inline_always void put_icmp4(struct pf_pkt *p, __u32 quote, __be32 from, int partial)
{
	struct icmp_hdr *ih = (struct icmp_hdr *)(p->buf + sizeof(struct ipv4_hdr));
	__u32 s;

	put_ipv4(p, ICMP4_HDRS + quote, IPPROTO_ICMP, from, ANSWER_TTL);
	ih->type = p->answer_icmp >> 8;
	ih->code = p->answer_icmp & 0xff;
	ih->mtu = bpf_htonl(p->answer_seq);
	if (partial)
		s = sum(ih, ICMP_HLEN + sizeof(struct ipv4_hdr),
			partial_sum(p, ICMP4_HDRS + sizeof(struct ipv4_hdr)));
	else
		s = sum(ih, PF_ANSWER_BUF - sizeof(struct ipv4_hdr), 0);
	ih->check = ~fold(s);
}

inline_always void put_icmp6(struct pf_pkt *p, __u32 quote, const struct pf_addr *from, int partial)
{
	struct icmp_hdr *ih = (struct icmp_hdr *)(p->buf + sizeof(struct ipv6_hdr));
	__be32 tail[2] = {bpf_htonl(ICMP_HLEN + quote), bpf_htonl(IPPROTO_ICMPV6)};
	__u32 s;

	put_ipv6(p, ICMP6_HDRS + quote, IPPROTO_ICMPV6, from, ANSWER_TTL);
	ih->type = p->answer_icmp >> 8;
	ih->code = p->answer_icmp & 0xff;
	ih->mtu = bpf_htonl(p->answer_seq);
	s = sum(tail, sizeof(tail), 0);
	s = sum(from, sizeof(*from), s);
	s = sum(&p->src, sizeof(p->src), s);
	if (partial)
		s = sum(ih, ICMP_HLEN + sizeof(struct ipv6_hdr),
			fold(s) + partial_sum(p, ICMP6_HDRS + sizeof(struct ipv6_hdr)));
	else
		s = sum(ih, PF_ANSWER_BUF - sizeof(struct ipv6_hdr), s);
	ih->check = ~fold(s);
}

inline_always int answer_icmp(struct __sk_buff *skb, struct pf_pkt *p)
{
	__u32 v4 = p->af == PF_AF_INET, quote = p->l4 - p->l3;
	__u32 hdrs = v4 ? ICMP4_HDRS : ICMP6_HDRS;
	int partial = skb_ip_summed(skb) == CHECKSUM_PARTIAL;
	struct pf_addr from;
	__u32 way;
	int err;

	if (partial && ((p->proto != IPPROTO_TCP && p->proto != IPPROTO_UDP) ||
			quote != (v4 ? sizeof(struct ipv4_hdr) : sizeof(struct ipv6_hdr))))
		return no_answer();
	quote += p->proto == IPPROTO_TCP ? QUOTE_TCP : QUOTE_L4;
	if (quote > p->tot_len)
		quote = p->tot_len;
	if (v4)
		err = load_quote(skb, p, ICMP4_HDRS, quote);
	else
		err = load_quote(skb, p, ICMP6_HDRS, quote);
	if (err || make_room(skb, p, hdrs, quote, partial))
		return no_answer();
	way = icmp_source(skb, p, &from);
	if (v4)
		put_icmp4(p, quote, from.w[0], partial);
	else
		put_icmp6(p, quote, &from, partial);
	return store_answer(skb, p, hdrs + quote) ? no_answer() : send_back(skb, p, way);
}

#endif /* PF_BPF_ANSWER_H */
