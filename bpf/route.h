/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * route-to and reply-to: packets that leave by a gateway of the rules, whatever the routes
 * of the system say.  What passes here passes the routing and the forwarding of the kernel
 * by, so that it is for us to lower the TTL, and to look whether it fits.
 *
 * What came in goes through the rules of the interface where it leaves, as all that
 * is forwarded.  What went out already has been through rules: it has our mark, and is
 * not asked again.  But it is sent to the neighbour again from there: if the address of
 * that had to be asked for, the kernel has taken, when the answer was there, that of the
 * neighbour that the route says which the packet has still (__neigh_update()).
 */
#ifndef PF_BPF_ROUTE_H
#define PF_BPF_ROUTE_H

#include "answer.h"
#include "marks.h"
#include "parse.h"
#include "translate.h"

/* linux/socket.h */
#define LINUX_AF_INET	 2
#define LINUX_AF_INET6	 10

#define ICMP_UNREACH	 3
#define ICMP_NEEDFRAG	 4
#define ICMP_TIMXCEED	 11
#define ICMP6_TOO_BIG	 2
#define ICMP6_TIMXCEED	 3

#define IP_DONT_FRAGMENT 0x4000

/* `state`: 1 + index of that which may translate the packet first, 0 none; or */
#define GATEWAY_AGAIN	 ~0U /* it is there already, and only sent */
inline_always int to_gateway(struct __sk_buff *skb, struct pf_pkt *p, __u32 opts, __u32 state)
{
	p->hop = opts;
	p->hop_state = state;
	return to_prog(skb, PF_PROG_ROUTE);
}

enum route_result { ROUTE_GO, ROUTE_DROP, ROUTE_ANSWER };

/* RFC 1812 section 4.3.2.7, RFC 4443 section 2.4: no error about an error. */
inline_always enum route_result route_answer(struct __sk_buff *skb, struct pf_pkt *p, __u32 icmp)
{
	if (p->icmp_error || !answerable(skb, p))
		return ROUTE_DROP;
	if (p->proto == IPPROTO_ICMPV6 && (p->icmp_type < 128 || p->icmp_type == ICMP6_ND_REDIRECT))
		return ROUTE_DROP;
	/* who sent it knows it as it came */
	if (p->moves)
		untranslate(p);
	p->answer = PF_ANSWER_ICMP;
	p->answer_icmp = icmp;
	return ROUTE_ANSWER;
}

inline_always enum route_result route_too_big(struct __sk_buff *skb, struct pf_pkt *p, __u32 mtu)
{
	__be16 frag;

	p->answer_seq = mtu;
	if (p->af == PF_AF_INET6)
		return route_answer(skb, p, ICMP6_TOO_BIG << 8);
	/* there is nobody who would cut it */
	if (bpf_skb_load_bytes(skb, p->l3 + 6, &frag, sizeof(frag)) ||
	    !(frag & bpf_htons(IP_DONT_FRAGMENT)))
		return ROUTE_DROP;
	return route_answer(skb, p, ICMP_UNREACH << 8 | ICMP_NEEDFRAG);
}

/* A gateway's neighbour and the interface that it is at: both of one moment. */
struct way {
	__u32 af; /* enum pf_af */
	__u32 ifindex;
	struct pf_addr via;
};

/* An exchange is a full barrier: what is read after it is not older than what was before. */
inline_always void read_fence(struct pf_pkt *p)
{
	__sync_lock_test_and_set(&p->fence, 0);
}

/* 0, or there is none: perhaps the loader changes it just now. */
inline_always int way_read(struct pf_pkt *p, const struct pf_opt_set *o, struct way *way)
{
	__u32 moves = READ_ONCE(o->hop_moves);

	way->af = o->hop.af;
	read_fence(p);
	way->ifindex = READ_ONCE(o->hop.ifindex);
	for (int i = 0; i < 4; i++)
		way->via.w[i] = READ_ONCE(o->hop.via.w[i]);
	read_fence(p);
	return moves & 1 || moves != READ_ONCE(o->hop_moves) || !way->ifindex ? -1 : 0;
}

/* Can it go there? */
inline_always enum route_result route_check(struct __sk_buff *skb, struct pf_pkt *p,
					    const struct way *way)
{
	__u32 gso = skb->gso_size, mtu = gso ? 0 : p->tot_len;
	long r;

	if (way->af != p->af)
		return ROUTE_DROP;
	p->answer_seq = 0;
	if (p->dir == PF_IN && p->ttl <= 1)
		return route_answer(skb, p,
				    p->af == PF_AF_INET ? ICMP_TIMXCEED << 8 : ICMP6_TIMXCEED << 8);
	/* of those that are cut later the parts must fit; it sets the MTU */
	r = bpf_check_mtu(skb, way->ifindex, &mtu, 0, gso ? BPF_MTU_CHK_SEGS : 0);
	if (r < 0)
		return ROUTE_DROP;
	return r ? route_too_big(skb, p, mtu) : ROUTE_GO;
}

inline_always int ttl_down(struct __sk_buff *skb, const struct pf_pkt *p)
{
	__u8 ttl = p->ttl - 1;
	__be16 from, to;

	if (p->af == PF_AF_INET6)
		return (int)bpf_skb_store_bytes(skb, p->l3 + 7, &ttl, 1, BPF_F_RECOMPUTE_CSUM);
	if (bpf_skb_load_bytes(skb, p->l3 + 8, &from, sizeof(from)))
		return -1;
	to = from - bpf_htons(1 << 8);
	if (bpf_l3_csum_replace(skb, p->l3 + 10, from, to, 2))
		return -1;
	return (int)bpf_skb_store_bytes(skb, p->l3 + 8, &to, sizeof(to), 0);
}

/* bpf_redirect_neigh() wants a plain Ethernet header to take away, to no group of stations. */
inline_always int plain_ethernet(struct __sk_buff *skb, const struct pf_pkt *p)
{
	static const __u8 nobody[6];

	if (!p->l2)
		return (int)bpf_skb_change_head(skb, ETH_HLEN, 0);
	/* one or two tags, one of them perhaps beside the packet */
	if ((p->vlan_tags || skb->vlan_present) && bpf_skb_vlan_pop(skb))
		return -1;
	if (skb->vlan_present && bpf_skb_vlan_pop(skb))
		return -1;
	return (int)bpf_skb_store_bytes(skb, 0, nobody, sizeof(nobody), 0);
}

/* `again`: as put_mark() takes it.  Of a packet that is only sent again p knows nothing else. */
inline_always int to_neighbour(struct __sk_buff *skb, struct pf_pkt *p, const struct way *way,
			       __u32 again)
{
	__u32 ifindex = way->ifindex;
	struct pf_iface *i = bpf_map_lookup_elem(&pf_ifaces, &ifindex);
	struct bpf_redir_neigh nh = {};
	struct pf_config *cfg = config();

	if (!cfg)
		return VERDICT_DROP;
	if (way->af == PF_AF_INET) {
		nh.nh_family = LINUX_AF_INET;
		nh.ipv4_nh = way->via.w[0];
	} else {
		nh.nh_family = LINUX_AF_INET6;
		__builtin_memcpy(nh.ipv6_nh, &way->via, sizeof(nh.ipv6_nh));
	}
	/* where no hook of ours ends it, the mark would leave the host */
	if (p->dir == PF_OUT && i && (i->flags & PF_IFACE_HOOKED))
		put_mark(skb, cfg, again);
	return (int)bpf_redirect_neigh(ifindex, &nh, sizeof(nh), 0);
}

inline_always int route_send(struct __sk_buff *skb, struct pf_pkt *p, const struct way *way)
{
	if ((p->dir == PF_IN && ttl_down(skb, p)) || plain_ethernet(skb, p))
		return drop(PFRES_NOROUTE);
	return to_neighbour(skb, p, way, p->hop);
}

#endif /* PF_BPF_ROUTE_H */
