// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * The datapath.  A packet's way:
 *
 *   pf_in, pf_out (one pair for Ethernet, one for devices without a link
 *   header) -> established TCP and UDP: verdict.  Anything else:
 *   -> pf_slow: the whole parser
 *   -> pf_track, pf_icmp, pf_icmp_error: state look-up and tracking; no state:
 *   -> the generated rules of the generation in force (pf_top)
 *   -> pf_apply: log, answer, state, verdict; or pf_nat, if the packet is translated.
 *   pf_nat_error: ICMP errors about what is translated.
 *   pf_answer: RST, ACK or ICMP instead of the packet.
 *
 * Each step is a program of its own, for the verifier multiplies the paths
 * through one program and only adds those of several.
 * A tail call that finds no program is a drop, counted.
 */
#include "pf.h"
#include "answer.h"
#include "icmp.h"
#include "log.h"
#include "marks.h"
#include "nat.h"
#include "parse.h"
#include "state.h"
#include "sweep.h"
#include "table.h"
#include "tcp.h"

char _license[] SEC("license") = "Dual BSD/GPL";

/* --- the fast path --- */

inline_always int unjudged(void)
{
	count(PF_CNT_UNJUDGED);
	return VERDICT_DROP;
}

/* `prog` must be a constant: the jump is then patched in. */
inline_always int to_prog(struct __sk_buff *skb, const enum pf_prog prog)
{
	bpf_tail_call(skb, &pf_progs, prog);
	return unjudged();
}

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
	s = state_find(k, key_hash(k), dir);
	if (!s || !state_word_is(s, TCPS_ESTABLISHED, PFTM_TCP_ESTABLISHED))
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
	s = state_find(k, key_hash(k), dir);
	if (!s || !state_word_is(s, PF_MULTIPLE, PFTM_UDP_MULTIPLE))
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

SEC("tc") int pf_in(struct __sk_buff *skb)
{
	return entry(skb, PF_IN, ETH_HLEN);
}

SEC("tc") int pf_out(struct __sk_buff *skb)
{
	return entry(skb, PF_OUT, ETH_HLEN);
}

SEC("tc") int pf_in_l3(struct __sk_buff *skb)
{
	return entry(skb, PF_IN, 0);
}

SEC("tc") int pf_out_l3(struct __sk_buff *skb)
{
	return entry(skb, PF_OUT, 0);
}

/* Interfaces whose link header we do not know: IP cannot be told there. */
SEC("tc") int pf_unknown(struct __sk_buff *skb)
{
	if (skb->protocol != bpf_htons(ETH_P_IP) && skb->protocol != bpf_htons(ETH_P_IPV6)) {
		clear_tag(skb, PF_IN);
		return VERDICT_PASS;
	}
	count(PF_CNT_LINKTYPE);
	return VERDICT_DROP;
}

/* --- the slow path --- */

inline_always int to_rules(struct __sk_buff *skb, struct pf_pkt *p)
{
	bpf_tail_call(skb, &pf_top, READ_ONCE(p->top_slot));
	count(PF_CNT_MISS);
	return unjudged();
}

/*
 * Frames for another station, seen because the interface is promiscuous: the
 * stack will not take them, so there is nothing to judge and no state to make.
 */
inline_always int not_for_us(struct __sk_buff *skb, __u8 dir)
{
	__u32 ifindex = skb->ifindex;
	struct pf_iface *i;

	if (dir != PF_IN || skb->pkt_type != PACKET_OTHERHOST)
		return 0;
	i = bpf_map_lookup_elem(&pf_ifaces, &ifindex);
	return !i || !(i->flags & PF_IFACE_BRIDGED);
}

/* pf_normalize_tcp(): 0, or -1 to drop. */
inline_always int tcp_normalize(struct __sk_buff *skb, struct pf_pkt *p)
{
	__u8 flags = p->tcp_flags;
	__be16 old[4]; /* offset and flags, window, checksum, urgent pointer */
	__be16 word;

	if (flags & PF_TH_SYN) {
		if (flags & PF_TH_RST)
			return -1;
		flags &= ~PF_TH_FIN;
	} else if (!(flags & (PF_TH_ACK | PF_TH_RST))) {
		return -1;
	}
	if (!(flags & PF_TH_ACK) && (flags & (PF_TH_FIN | PF_TH_PUSH | PF_TH_URG)))
		return -1;
	if (bpf_skb_load_bytes(skb, p->l4 + 12, old, sizeof(old)))
		return -1;
	word = bpf_htons(p->th_off / 4 << 12 | flags);
	p->tcp_flags = flags;
	if (old[0] != word) {
		if (bpf_l4_csum_replace(skb, p->l4 + 16, old[0], word, 2) ||
		    bpf_skb_store_bytes(skb, p->l4 + 12, &word, 2, 0))
			return -1;
	}
	if (old[3] && !(flags & PF_TH_URG)) {
		word = 0;
		if (bpf_l4_csum_replace(skb, p->l4 + 16, old[3], word, 2) ||
		    bpf_skb_store_bytes(skb, p->l4 + 18, &word, 2, 0))
			return -1;
	}
	return 0;
}

inline_always int drop_logged(struct __sk_buff *skb, struct pf_pkt *p, __u32 reason)
{
	log_of_none(p);
	log_packet(skb, p, PF_BLOCK, reason);
	return drop(reason);
}

inline_always int finish_track(struct __sk_buff *skb, struct pf_pkt *p, enum track_result r)
{
	switch (r) {
	case TRACK_PASS:
		return VERDICT_PASS;
	case TRACK_RULES:
		return to_rules(skb, p);
	case TRACK_ANSWER:
		count(PF_CNT_MISS);
		count(PF_CNT_REASON + p->reason);
		return to_prog(skb, PF_PROG_ANSWER);
	default:
		count(PF_CNT_MISS);
		if (p->reason == PFRES_IPOPTIONS)
			return drop_logged(skb, p, p->reason);
		return drop(p->reason);
	}
}

inline_always int track_state(struct __sk_buff *skb, struct pf_state *s, struct pf_pkt *p)
{
	enum track_result r = state_track(s, p);

	if (r == TRACK_PASS) {
		carry_tag(skb, s, p->dir);
		if (unlikely(s->flags & PF_SF_NAT) && nat_rewrite(skb, s, p->dir, p->l3, p->l4))
			return drop(PFRES_TRANSLATE);
	}
	return finish_track(skb, p, r);
}

inline_always void key_begin(struct pf_pkt *p, __u8 proto)
{
	p->key.proto = proto;
	p->key.af = p->af;
	p->key.rdomain = 0;
}

inline_always void key_set_addrs(struct pf_pkt *p)
{
	__u32 si = p->dir != PF_IN;

	p->key.addr[si & 1] = p->src;
	p->key.addr[!(si & 1)] = p->dst;
}

/* An ICMP error: judged by the state of the packet that it quotes. */
SEC("tc") int pf_icmp_error(struct __sk_buff *skb)
{
	struct pf_pkt *p = scratch();
	struct icmp_quote q = {};
	struct pf_state *s;
	__u32 qi, from;
	int reason;

	if (!p)
		return VERDICT_DROP;
	reason = quote_parse(skb, p, &q);
	if (reason)
		return finish_track(skb, p, track_drop(p, reason));
	/* CVE-2019-5598: the error must be for who sent what it quotes */
	if (!addr_equal(&p->dst, &q.src))
		return finish_track(skb, p, track_drop(p, PFRES_BADSTATE));
	/* the quoted packet went the other way */
	qi = p->dir == PF_IN;
	key_begin(p, q.c.proto);
	p->key.addr[qi & 1] = q.src;
	p->key.addr[!(qi & 1)] = q.dst;
	p->key.port[qi & 1] = q.sport;
	p->key.port[!(qi & 1)] = q.dport;
	s = state_find(&p->key, key_hash(&p->key), p->dir);
	if (!s)
		return to_rules(skb, p);
	if (unlikely(s->flags & PF_SF_NAT) && p->frag != PF_FRAG_NONE)
		return finish_track(skb, p, track_drop(p, PFRES_FRAG));
	from = s->dir == p->dir; /* who sent the quoted packet */
	if (q.c.proto == IPPROTO_TCP) {
		if (!quote_tcp_inside(s, from, q.seq))
			return finish_track(skb, p, track_drop(p, PFRES_BADSTATE));
	} else if (q.c.proto == IPPROTO_ICMP || q.c.proto == IPPROTO_ICMPV6) {
		if ((s->dir != p->dir) != (q.role != ICMP_REPLY))
			return finish_track(skb, p, track_drop(p, PFRES_BADSTATE));
	}
	if (p->badopts && !(s->flags & PF_SF_ALLOWOPTS))
		return finish_track(skb, p, track_drop(p, PFRES_IPOPTIONS));
	/* the error counts, but does not keep the state alive */
	peer_count(&s->peer[state_sender(s, p->dir) & 1], p->tot_len);
	carry_tag(skb, s, p->dir);
	if (likely(!(s->flags & PF_SF_NAT)))
		return VERDICT_PASS;
	p->state = s->index;
	p->quote_l3 = p->l4 + ICMP_HLEN;
	p->quote_l4 = q.c.off;
	return to_prog(skb, PF_PROG_NAT_ERROR);
}

/* An ICMP error about a packet of a state that translates. */
SEC("tc") int pf_nat_error(struct __sk_buff *skb)
{
	struct pf_pkt *p = scratch();
	struct pf_state *s = p ? slot(p->state) : NULL;

	if (!s)
		return VERDICT_DROP;
	return nat_rewrite_error(skb, p, s) ? drop(PFRES_TRANSLATE) : VERDICT_PASS;
}

/* ICMP that speaks for itself; its ports are in the packet already. */
SEC("tc") int pf_icmp(struct __sk_buff *skb)
{
	struct pf_pkt *p = scratch();
	enum icmp_role role;
	struct pf_state *s;

	if (!p)
		return VERDICT_DROP;
	role = p->icmp_reply ? ICMP_REPLY : ICMP_QUERY;
	key_begin(p, p->proto);
	key_set_ports(p);
	if (icmp_key(skb, p, 0))
		return finish_track(skb, p, track_drop(p, PFRES_SHORT));
	s = state_find(&p->key, key_hash(&p->key), p->dir);
	if ((!s || !icmp_direction_ok(s, p->dir, role)) && p->af == PF_AF_INET6 &&
	    role == ICMP_REPLY) {
		struct pf_state *other = NULL;

		if (!icmp_key(skb, p, 1))
			other = state_find(&p->key, key_hash(&p->key), p->dir);
		if (other)
			s = other;
		else
			icmp_key(skb, p, 0);
	}
	if (!s)
		return to_rules(skb, p);
	if (!icmp_direction_ok(s, p->dir, role))
		return finish_track(skb, p, track_drop(p, PFRES_BADSTATE));
	return track_state(skb, s, p);
}

/* TCP, UDP and what has no ports. */
SEC("tc") int pf_track(struct __sk_buff *skb)
{
	struct pf_pkt *p = scratch();
	struct pf_state *s;

	if (!p)
		return VERDICT_DROP;
	if (p->proto == IPPROTO_TCP && tcp_normalize(skb, p))
		return drop_logged(skb, p, PFRES_NORM);
	key_begin(p, p->proto);
	key_set_addrs(p);
	key_set_ports(p);
	s = state_find(&p->key, key_hash(&p->key), p->dir);
	if (!s)
		return to_rules(skb, p);
	return track_state(skb, s, p);
}

inline_always void pkt_reset(struct __sk_buff *skb, struct pf_pkt *p)
{
	p->ifindex = skb->ifindex;
	p->af = 0;
	p->proto = 0;
	p->sport = 0;
	p->dport = 0;
	p->tcp_flags = 0;
	p->icmp_type = 0;
	p->icmp_code = 0;
	p->icmp_reply = 0;
	p->icmp_error = 0;
	p->keep_never = 0;
	p->frag = 0;
	p->badopts = 0;
	p->wscale = 0;
	p->payload_len = 0;
	p->tot_len = 0;
	p->reason = 0;
	p->answer = PF_ANSWER_NONE;
	p->answer_ttl = 0;
	p->draws = 0;
	p->nmatched = 0;
	p->moves = 0;
	p->nat = 0;
	p->nat_again = 0;
	p->walks = 0;
	p->rcv_ifindex = skb->ingress_ifindex;
}

SEC("tc") int pf_slow(struct __sk_buff *skb)
{
	struct pf_pkt *p = scratch();
	struct icmp_map m;

	if (!p)
		return VERDICT_DROP;
	/* a tag that a rule gave on the way in; what comes in has none yet */
	p->tag = p->dir == PF_IN ? 0 : tag_of(skb);
	if (our_own(skb, p))
		return VERDICT_PASS;
	clear_tag(skb, p->dir);
	if (not_for_us(skb, p->dir))
		return VERDICT_PASS;
	opaque(skb); /* or clang keeps the address of a field, which the verifier minds */
	pkt_reset(skb, p);
	switch (parse_packet(skb, p)) {
	case PARSE_IP:
		break;
	case PARSE_NOT_IP:
		return VERDICT_PASS;
	case PARSE_VLAN_DEEP:
		count(PF_CNT_VLAN);
		return VERDICT_DROP;
	default:
		return drop_logged(skb, p, p->reason);
	}
	if (p->frag == PF_FRAG_LATER)
		return to_rules(skb, p);
	if (p->proto != IPPROTO_ICMP && p->proto != IPPROTO_ICMPV6)
		return to_prog(skb, PF_PROG_TRACK);
	icmp_map(p, &m);
	icmp_set_ports(p, &m);
	if (m.role == ICMP_ERROR)
		return to_prog(skb, PF_PROG_ICMP_ERROR);
	return to_prog(skb, PF_PROG_ICMP);
}

/* --- after the rules --- */

global_sub int count_one(const struct pf_pkt *p, __u32 rule, int made_state)
{
	struct pf_rule_stats *rs = rule_stats(rule);

	if (!rs || !p)
		return 0;
	if (made_state) { /* packets are in the state until it ends */
		rs->states++;
	} else if (p->dir == PF_IN) {
		rs->packets[0]++;
		rs->bytes[0] += p->tot_len;
	} else {
		rs->packets[1]++;
		rs->bytes[1] += p->tot_len;
	}
	return 0;
}

global_sub int count_matches(const struct pf_pkt *p, int made_state)
{
	for (__u32 i = 0; p && i < PF_MATCH_MOST && i < p->nmatched; i++)
		count_one(p, p->matched[i].id, made_state);
	return 0;
}

/* The rule that has won, the anchor that led to it, and `match` rules. */
inline_always void rule_count(const struct pf_pkt *p, int made_state)
{
	count_one(p, p->rule.id, made_state);
	if (p->rule.anchor)
		count_one(p, p->rule.anchor, made_state);
	if (p->nmatched)
		count_matches(p, made_state);
}

/* `match log` has its own records, in front of the one of the rule that has won. */
global_sub int log_matches(struct __sk_buff *skb, struct pf_pkt *p)
{
	for (__u32 i = 0; p && i < PF_MATCH_MOST && i < p->nmatched; i++) {
		if (!(p->matched[i].flags & PF_RULE_LOG))
			continue;
		p->logged = p->matched[i];
		log_packet(skb, p, PF_MATCH, PFRES_MATCH);
	}
	return 0;
}

inline_always void log_rule(struct __sk_buff *skb, struct pf_pkt *p, __u32 action, __u32 reason)
{
	log_of_rule(p);
	log_packet(skb, p, action, reason);
}

/* Queries and their answers: pf's ICMP_INFOTYPE.  No others get an ICMP error. */
inline_always int icmp_info_type(__u32 type)
{
	const __u32 known = 1 << 0 | 1 << 8 | 1 << 9 | 1 << 10 | 1 << 13 | 1 << 14 | 1 << 15 |
			    1 << 16 | 1 << 17 | 1 << 18;

	return type < 32 && (known >> type & 1);
}

inline_always int ask_answer(struct __sk_buff *skb, struct pf_pkt *p)
{
	__u32 flags = p->rule.flags, icmp;

	if (!(flags & (PF_RULE_RETURN | PF_RULE_RETURN_RST | PF_RULE_RETURN_ICMP)) ||
	    !answerable(skb, p))
		return 0;
	if (p->proto == IPPROTO_TCP && (flags & (PF_RULE_RETURN | PF_RULE_RETURN_RST))) {
		__u32 ack = p->seq + p->payload_len;

		if (p->tcp_flags & PF_TH_RST)
			return 0;
		if (p->tcp_flags & PF_TH_SYN)
			ack++;
		if (p->tcp_flags & PF_TH_FIN)
			ack++;
		ask_tcp(p, PF_TH_RST | PF_TH_ACK, p->ack, ack, p->rule.return_ttl);
		return 1;
	}
	if (p->af == PF_AF_INET) {
		if (p->proto == IPPROTO_ICMP && !icmp_info_type(p->icmp_type))
			return 0;
		icmp = p->rule.return_icmp;
	} else {
		if (p->proto == IPPROTO_ICMPV6 &&
		    (p->icmp_type < 128 || p->icmp_type == ICMP6_ND_REDIRECT))
			return 0;
		icmp = p->rule.return_icmp6;
	}
	if (!icmp)
		return 0;
	p->answer = PF_ANSWER_ICMP;
	p->answer_icmp = icmp;
	return 1;
}

/* A refused packet: credited to no rule, logged if the rule asks for it. */
inline_always int refuse(struct __sk_buff *skb, struct pf_pkt *p, __u32 reason)
{
	count(PF_CNT_REASON + reason);
	if (p->rule.flags & PF_RULE_LOG)
		log_rule(skb, p, PF_BLOCK, reason);
	return VERDICT_DROP;
}

inline_always int refuse_state(struct __sk_buff *skb, struct pf_pkt *p, enum create_result why)
{
	if (why == CREATE_CLASH)
		return refuse(skb, p, PFRES_STATEINS);
	if (why != CREATE_LIMIT)
		return refuse(skb, p, PFRES_MEMORY);
	count(PF_CNT_REASON + PFRES_MEMORY);
	return refuse(skb, p, PFRES_MAXSTATES);
}

/* Does the packet leave as another?  Only with a state, which undoes it for the answers. */
inline_always int to_be_translated(const struct pf_pkt *p)
{
	__u32 flags = p->rule.flags;

	if ((flags & (PF_RULE_FAIL | PF_RULE_BLOCK)) || !(flags & PF_RULE_KEEP))
		return 0;
	if (p->frag == PF_FRAG_LATER || p->icmp_error ||
	    (p->badopts && !(flags & PF_RULE_ALLOWOPTS)))
		return 0;
	return p->sport != p->sport_was || p->dport != p->dport_was ||
	       !addr_equal(&p->src, &p->src_was) || !addr_equal(&p->dst, &p->dst_was);
}

/* The tag that the rules gave goes on with the packet. */
inline_always int pass(struct __sk_buff *skb, const struct pf_pkt *p)
{
	if (unlikely(p->tag != skb->tc_index))
		skb->tc_index = p->tag;
	return VERDICT_PASS;
}

SEC("tc") int pf_apply(struct __sk_buff *skb)
{
	struct pf_pkt *p = scratch();
	enum create_result made;
	__u32 flags;

	if (!p)
		return VERDICT_DROP;
	if (unlikely(p->moves)) {
		if (to_be_translated(p))
			return to_prog(skb, PF_PROG_NAT);
		untranslate(p);
	}
	flags = p->rule.flags;
	count(PF_CNT_MISS);
	if (p->nmatched)
		log_matches(skb, p);
	if (flags & PF_RULE_FAIL)
		return drop(PFRES_MEMORY);
	count(PF_CNT_REASON + PFRES_MATCH);
	if (flags & PF_RULE_BLOCK) {
		if (flags & PF_RULE_LOG)
			log_rule(skb, p, PF_BLOCK, PFRES_MATCH);
		rule_count(p, 0);
		if (ask_answer(skb, p))
			return to_prog(skb, PF_PROG_ANSWER);
		return VERDICT_DROP;
	}
	if (p->badopts && !(flags & PF_RULE_ALLOWOPTS)) {
		log_rule(skb, p, PF_BLOCK, PFRES_IPOPTIONS);
		return drop(PFRES_IPOPTIONS);
	}
	if (!(flags & PF_RULE_KEEP) || p->frag == PF_FRAG_LATER || p->icmp_error) {
		if (flags & PF_RULE_LOG)
			log_rule(skb, p, PF_PASS, PFRES_MATCH);
		rule_count(p, 0);
		return pass(skb, p);
	}
	made = state_create(p, 0);
	if (made != CREATE_OK && made != CREATE_EXISTS)
		return refuse_state(skb, p, made);
	if (flags & PF_RULE_LOG)
		log_rule(skb, p, PF_PASS, PFRES_MATCH);
	rule_count(p, made == CREATE_OK);
	if (made == CREATE_OK) /* the look-up counts with the state's first packet */
		count_n(PF_CNT_MISS, -1ULL);
	return pass(skb, p);
}

/* The rules once more, with the port that is free: they may ask for it. */
inline_always int walk_again(struct __sk_buff *skb, struct pf_pkt *p)
{
	__u32 nat = p->nat, port = p->nat_found;

	if (p->walks++ == PF_WALKS_MOST)
		return -1;
	untranslate(p);
	p->nat_again = nat;
	p->nat_port = port;
	p->draws = 0;
	p->nmatched = 0;
	p->tag = p->dir == PF_IN ? 0 : tag_of(skb);
	bpf_tail_call(skb, &pf_top, READ_ONCE(p->top_slot));
	return -1;
}

/* Somebody else has made the connection meanwhile: the packet is one of it. */
inline_always int track_after_all(struct __sk_buff *skb, struct pf_pkt *p)
{
	untranslate(p);
	p->nmatched = 0;
	p->draws = 0;
	if (p->proto == IPPROTO_ICMP || p->proto == IPPROTO_ICMPV6)
		return to_prog(skb, PF_PROG_ICMP);
	return to_prog(skb, PF_PROG_TRACK);
}

/* 0: p->nat_found is its port.  NAT_MADE: another CPU has made the connection, with that port. */
#define NAT_MADE PFRES_MAX
inline_always __u32 nat_choose(struct pf_pkt *p)
{
	__u32 ver;

	if (p->frag != PF_FRAG_NONE)
		return PFRES_FRAG;
	if (!nat_find_port(p))
		return 0;
	return state_exists(&p->key, p->dir, &ver) ? NAT_MADE : PFRES_TRANSLATE;
}

/* pf_apply for packets that leave as others. */
SEC("tc") int pf_nat(struct __sk_buff *skb)
{
	struct pf_pkt *p = scratch();
	enum create_result made = CREATE_CLASH;
	struct pf_state *s;
	__u32 why;

	if (!p)
		return VERDICT_DROP;
	nat_key_begin(p);
	why = nat_choose(p);
	if (why == NAT_MADE)
		return track_after_all(skb, p);
	if (!why && p->nat_found != p->sport && p->nat_seen && p->nat != p->rule.nat &&
	    walk_again(skb, p))
		why = PFRES_TRANSLATE;
	if (!why) {
		p->sport = p->nat_found;
		made = state_create(p, 1);
		if (made == CREATE_EXISTS)
			return track_after_all(skb, p);
		/* the port has gone since: another one, as long as the kernel lets us jump */
		if (made == CREATE_CLASH && p->nat && p->nat_lo < p->nat_hi)
			return to_prog(skb, PF_PROG_NAT);
	}
	count(PF_CNT_MISS);
	if (p->nmatched)
		log_matches(skb, p);
	count(PF_CNT_REASON + PFRES_MATCH);
	if (why)
		return refuse(skb, p, why);
	if (made != CREATE_OK)
		return refuse_state(skb, p, made);
	s = slot(p->state);
	if (!s || nat_rewrite(skb, s, p->dir, p->l3, p->l4))
		return refuse(skb, p, PFRES_TRANSLATE);
	if (p->rule.flags & PF_RULE_LOG)
		log_rule(skb, p, PF_PASS, PFRES_MATCH);
	rule_count(p, 1);
	/* the look-up counts with the state's first packet */
	count_n(PF_CNT_MISS, -1ULL);
	return pass(skb, p);
}

SEC("tc") int pf_answer(struct __sk_buff *skb)
{
	struct pf_pkt *p = scratch();

	if (!p)
		return VERDICT_DROP;
	if (p->answer == PF_ANSWER_ICMP)
		return answer_icmp(skb, p);
	/* pf answers no segment whose checksum is wrong: it may be a forged one */
	if ((p->answer_flags & PF_TH_RST) && skb_ip_summed(skb) != CHECKSUM_PARTIAL &&
	    skb_ip_summed(skb) != CHECKSUM_UNNECESSARY && tcp_cksum_bad(skb, p))
		return drop(PFRES_PROTCKSUM);
	return answer_tcp(skb, p);
}

/* --- run by the loader --- */

/*
 * Puts in the state that the packet's data is, a struct pf_state of status
 * EMBRYO; cb[0]: it is new, and counts for its rule.  Returns an enum create_result.
 */
SEC("tc") int pf_insert(struct __sk_buff *skb)
{
	struct pf_status *st = status();
	__u32 index, rule, fresh = skb->cb[0];
	enum create_result why;
	struct pf_rule_stats *rs;
	struct pf_state *s;

	if (!st)
		return CREATE_MEMORY;
	s = state_alloc(st, &why);
	if (!s)
		return why;
	index = s->index;
	if (bpf_skb_load_bytes(skb, 0, s, sizeof(*s))) {
		s->index = index;
		slot_offer(s);
		__sync_fetch_and_add(&st->states, -1);
		return CREATE_MEMORY;
	}
	s->index = index;
	s->status = PF_SLOT_EMBRYO;
	if (fresh)
		s->id = __sync_fetch_and_add(&st->next_id, 1);
	rule = s->rule;
	why = state_publish(s, st);
	if (why == CREATE_OK && fresh) {
		count(PF_CNT_INSERTS);
		rs = rule_stats(rule);
		if (rs)
			rs->states++;
	}
	return why;
}

/*
 * Takes out the states that userland has marked: cb[0] first slot, cb[1] number
 * of slots; cb[2] comes back as the number of states that ended.
 */
SEC("tc") int pf_purge(struct __sk_buff *skb)
{
	struct pf_config *cfg = config();
	struct sweep_ctx c = {.at = skb->cb[0], .kill_only = 1};

	if (!cfg)
		return -1;
	c.slots = cfg->slots;
	bpf_loop(skb->cb[1], sweep_step, &c, 0);
	skb->cb[2] = c.removed;
	return 0;
}

static long fill_step(__u32 i, struct sweep_ctx *c)
{
	struct pf_state *s = slot(c->at);

	if (!s)
		return 1;
	s->index = c->at++;
	slot_offer(s);
	return 0;
}

/* Puts the slots of a new table into the free queue: cb[0] first, cb[1] number; cb[2] done. */
SEC("tc") int pf_fill(struct __sk_buff *skb)
{
	struct sweep_ctx c = {.at = skb->cb[0]};

	bpf_loop(skb->cb[1], fill_step, &c, 0);
	skb->cb[2] = c.at - skb->cb[0];
	return 0;
}

/* Gives back all that rests in limbo: only after an RCU grace period.  cb[2]: how many. */
SEC("tc") int pf_drain(struct __sk_buff *skb)
{
	skb->cb[2] = limbo_release(0, 1 << 20);
	return 0;
}

/* One slice of the sweep, where there is no timer. */
SEC("tc") int pf_sweep(struct __sk_buff *skb)
{
	return sweep_slice() ? 0 : -1;
}

/* Starts the timer; 0 or a negative errno. */
SEC("tc") int pf_start(struct __sk_buff *skb)
{
	__u32 zero = 0;
	struct pf_sweeper *sw = bpf_map_lookup_elem(&pf_sweeper, &zero);
	struct pf_config *cfg = config();
	long err;

	if (!sw || !cfg)
		return -1;
	err = bpf_timer_init(&sw->timer, &pf_sweeper, 1 /* CLOCK_MONOTONIC */);
	if (err && err != -16 /* EBUSY: it is there already */)
		return (int)err;
	err = bpf_timer_set_callback(&sw->timer, sweep_timer);
	if (err)
		return (int)err;
	return (int)bpf_timer_start(&sw->timer, cfg->sweep_ns, 0);
}

/* The clock of states, for the loader: cb[0], cb[1] the low and high half of jiffies. */
SEC("tc") int pf_clock(struct __sk_buff *skb)
{
	__u64 j = bpf_jiffies64();

	skb->cb[0] = (__u32)j;
	skb->cb[1] = j >> 32;
	return 0;
}
