/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * The fast path: TCP and UDP of established connections, plain headers, no lock, no
 * jump.  What it is not sure of goes to pf_slow.
 */
#ifndef PF_BPF_FAST_H
#define PF_BPF_FAST_H

#include "marks.h"
#include "nat.h"
#include "parse.h"
#include "state.h"

inline_always int to_slow(struct __sk_buff *skb, __u8 dir, __u32 l2)
{
	struct pf_pkt *p = scratch();

	if (!p)
		return VERDICT_DROP;
	p->dir = dir;
	p->l2 = l2;
	return to_prog(skb, PF_PROG_SLOW);
}

/* What the fast path makes of a packet. */
enum fast { FAST_NO, FAST_PASS, FAST_DROP };

/* Its state lets it pass. */
inline_always enum fast fast_pass(struct __sk_buff *skb, const struct pf_state *s, __u8 dir,
				  __u32 l2)
{
	__u32 l4 = l2 +
		   (s->key.af == PF_AF_INET ? sizeof(struct ipv4_hdr) : sizeof(struct ipv6_hdr));

	carry_tag(skb, s, dir);
	if (likely(!(s->flags & PF_SF_NAT)) || !nat_rewrite(skb, s, dir, l2, l4))
		return FAST_PASS;
	count(PF_CNT_REASON + PFRES_TRANSLATE);
	return FAST_DROP;
}

/* A TCP segment of l4len bytes at `th`. */
inline_always enum fast fast_tcp(struct __sk_buff *skb, const struct tcp_hdr *th,
				 struct pf_state_key *k, __u8 dir, __u32 l2, __u32 l4len,
				 __u32 tot_len)
{
	__u32 hlen = (th->off_x2 >> 4) * 4, from;
	struct pf_state *s;

	/*
	 * ACK, perhaps with PSH and ECN's bits; nothing that asks for repair.  A window
	 * of zero is rare, but our own challenge ACK has it, which is no packet of
	 * the state's and must lose its mark: see put_tcp().
	 */
	if (!th->win || (th->flags & ~(PF_TH_PUSH | PF_TH_ECE | PF_TH_CWR)) != PF_TH_ACK ||
	    (th->off_x2 & 15) || th->urg || hlen < sizeof(*th) || hlen > l4len)
		return FAST_NO;
	s = state_find(k, key_hash(k), dir, skb);
	if (!s || !state_word_is(s, TCPS_ESTABLISHED, PFTM_TCP_ESTABLISHED, dir))
		return FAST_NO;
	from = state_sender(s, dir);
	if (!tcp_fast(s, from, bpf_ntohl(th->seq), bpf_ntohl(th->ack), l4len - hlen,
		      bpf_ntohs(th->win)))
		return FAST_NO;
	peer_count(&s->peer[from & 1], tot_len);
	peer_renew(&s->peer[from & 1]);
	return fast_pass(skb, s, dir, l2);
}

inline_always enum fast fast_udp(struct __sk_buff *skb, const struct udp_hdr *uh,
				 struct pf_state_key *k, __u8 dir, __u32 l2, __u32 l4len,
				 __u32 tot_len)
{
	__u32 len = bpf_ntohs(uh->len), from;
	struct pf_state *s;

	if (len < sizeof(*uh) || len > l4len)
		return FAST_NO;
	s = state_find(k, key_hash(k), dir, skb);
	if (!s || !state_word_is(s, PF_MULTIPLE, PFTM_UDP_MULTIPLE, dir))
		return FAST_NO;
	from = state_sender(s, dir);
	peer_count(&s->peer[from & 1], tot_len);
	peer_renew(&s->peer[from & 1]);
	return fast_pass(skb, s, dir, l2);
}

inline_always enum fast fast_l4(struct __sk_buff *skb, void *l4, void *end, struct pf_state_key *k,
				__u8 dir, __u32 l2, __u32 l4len, __u32 tot_len)
{
	__u32 ports;

	if (k->proto == IPPROTO_TCP) {
		if (l4 + sizeof(struct tcp_hdr) > end)
			return FAST_NO;
	} else if (k->proto != IPPROTO_UDP || l4 + sizeof(struct udp_hdr) > end) {
		return FAST_NO;
	}
	ports = *(__u32 *)l4;
	/* network order: the source port comes first in memory, as port[0] does */
	*(__u32 *)k->port = dir == PF_IN ? ports : (ports >> 16 | ports << 16);
	if (k->proto == IPPROTO_TCP)
		return fast_tcp(skb, l4, k, dir, l2, l4len, tot_len);
	return fast_udp(skb, l4, k, dir, l2, l4len, tot_len);
}

inline_always enum fast fast_ip4(struct __sk_buff *skb, void *l3, void *end, __u8 dir, __u32 l2)
{
	const struct ipv4_hdr *ip = l3;
	struct pf_state_key k = {.af = PF_AF_INET};
	__u32 tot_len;

	if (l3 + sizeof(*ip) > end || ip->ver_ihl != 0x45 || (ip->frag_off & bpf_htons(0x3fff)))
		return FAST_NO;
	tot_len = bpf_ntohs(ip->tot_len);
	if (tot_len < sizeof(*ip) || tot_len > skb->len - l2)
		return FAST_NO;
	k.proto = ip->proto;
	k.addr[dir != PF_IN].w[0] = ip->saddr;
	k.addr[dir == PF_IN].w[0] = ip->daddr;
	return fast_l4(skb, l3 + sizeof(*ip), end, &k, dir, l2, tot_len - sizeof(*ip), tot_len);
}

inline_always enum fast fast_ip6(struct __sk_buff *skb, void *l3, void *end, __u8 dir, __u32 l2)
{
	const struct ipv6_hdr *ip6 = l3;
	struct pf_state_key k = {.af = PF_AF_INET6};
	__u32 len;

	if (l3 + sizeof(*ip6) > end || *(__u8 *)l3 >> 4 != 6)
		return FAST_NO;
	len = bpf_ntohs(ip6->payload_len);
	if (len + sizeof(*ip6) > skb->len - l2)
		return FAST_NO;
	k.proto = ip6->nexthdr;
	k.addr[dir != PF_IN] = ip6->saddr;
	k.addr[dir == PF_IN] = ip6->daddr;
	return fast_l4(skb, l3 + sizeof(*ip6), end, &k, dir, l2, len, len + sizeof(*ip6));
}

inline_always int entry(struct __sk_buff *skb, __u8 dir, __u32 l2)
{
	void *data = (void *)(long)skb->data, *end = (void *)(long)skb->data_end;
	enum fast f;
	__be16 proto;

	if (l2) {
		if (data + ETH_HLEN > end)
			return to_slow(skb, dir, l2);
		proto = *(__be16 *)(data + 12);
	} else {
		proto = skb->protocol;
	}
	if (proto == bpf_htons(ETH_P_IP)) {
		f = fast_ip4(skb, data + l2, end, dir, l2);
		if (likely(f))
			return f == FAST_PASS ? VERDICT_PASS : VERDICT_DROP;
	} else if (proto == bpf_htons(ETH_P_IPV6)) {
		f = fast_ip6(skb, data + l2, end, dir, l2);
		if (likely(f))
			return f == FAST_PASS ? VERDICT_PASS : VERDICT_DROP;
	} else if (proto != bpf_htons(ETH_P_8021Q) && proto != bpf_htons(ETH_P_8021AD)) {
		clear_tag(skb, dir);
		return VERDICT_PASS;
	}
	return to_slow(skb, dir, l2);
}

#endif /* PF_BPF_FAST_H */
