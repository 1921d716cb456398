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
 *   pf_route: what leaves by a gateway of the rules.
 *   pf_answer: RST, ACK, ABORT or ICMP instead of the packet.
 *
 * Each step is a program of its own, for the verifier multiplies the paths
 * through one program and only adds those of several.
 * A tail call that finds no program is a drop, counted.
 */
#include "pf.h"
#include "answer.h"
#include "counts.h"
#include "fast.h"
#include "icmp.h"
#include "log.h"
#include "marks.h"
#include "nat.h"
#include "parse.h"
#include "route.h"
#include "state.h"
#include "sources.h"
#include "sweep.h"
#include "table.h"
#include "tcp.h"
#include "upkeep.h"

char _license[] SEC("license") = "Dual BSD/GPL";

/* --- at the interfaces --- */

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

/* What has been found out about a packet of a state is done. */
inline_always int tracked(struct __sk_buff *skb, struct pf_state *s, struct pf_pkt *p,
			  enum track_result r)
{
	if (unlikely(p->note.what))
		log_note(skb, s);
	if (r == TRACK_PASS) {
		carry_tag(skb, s, p->dir);
		if (unlikely(s->flags & PF_SF_METERED))
			state_tables(s, p);
		if (unlikely(s->route == p->dir))
			return to_gateway(skb, p, s->peer[0].opts, s->index + 1);
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

/* s: NULL if there is none to tell of. */
inline_always int icmp_bad(struct __sk_buff *skb, struct pf_pkt *p, const struct pf_state *s,
			   enum pf_note_what what)
{
	p->note.what = what;
	log_note(skb, s);
	return finish_track(skb, p, track_drop(p, PFRES_BADSTATE));
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
	if (!addr_equal(&p->dst, &q.src)) {
		p->note.quoted_src = q.src;
		p->note.quoted_dst = q.dst;
		return icmp_bad(skb, p, NULL, PF_NOTE_ICMP_OUTER);
	}
	/* the quoted packet went the other way */
	qi = p->dir == PF_IN;
	key_begin(p, q.c.proto);
	p->key.addr[qi & 1] = q.src;
	p->key.addr[!(qi & 1)] = q.dst;
	p->key.port[qi & 1] = q.sport;
	p->key.port[!(qi & 1)] = q.dport;
	s = state_of_packet(p);
	if (!s || state_is_over(s, p))
		return to_rules(skb, p);
	if (unlikely(s->flags & PF_SF_NAT) && p->frag != PF_FRAG_NONE)
		return finish_track(skb, p, track_drop(p, PFRES_FRAG));
	from = s->dir == p->dir; /* who sent the quoted packet */
	if (q.c.proto == IPPROTO_TCP) {
		p->note.seq = q.seq;
		if (!quote_tcp_inside(s, from, q.seq))
			return icmp_bad(skb, p, s, PF_NOTE_ICMP);
	} else if (q.c.proto == IPPROTO_SCTP) {
		p->note.seq = q.seq;
		if (!sctp_quote_ok(s, from, q.seq))
			return icmp_bad(skb, p, s, PF_NOTE_ICMP);
	} else if (q.c.proto == IPPROTO_ICMP || q.c.proto == IPPROTO_ICMPV6) {
		if (!icmp_direction_ok(s, p->dir == PF_IN ? PF_OUT : PF_IN, q.role))
			return icmp_bad(skb, p, s, PF_NOTE_ICMP_WAY);
	}
	if (p->badopts && !(s->flags & PF_SF_ALLOWOPTS))
		return finish_track(skb, p, track_drop(p, PFRES_IPOPTIONS));
	/* the error counts, but does not keep the state alive */
	peer_count(&s->peer[state_sender(s, p->dir) & 1], p->tot_len);
	if (unlikely(s->flags & PF_SF_METERED))
		state_tables(s, p);
	carry_tag(skb, s, p->dir);
	if (likely(!(s->flags & PF_SF_NAT))) {
		if (unlikely(s->route == p->dir))
			return to_gateway(skb, p, s->peer[0].opts, 0);
		return VERDICT_PASS;
	}
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
	if (nat_rewrite_error(skb, p, s))
		return drop(PFRES_TRANSLATE);
	if (s->route == p->dir)
		return to_gateway(skb, p, s->peer[0].opts, 0);
	return VERDICT_PASS;
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
	s = state_of_packet(p);
	if ((!s || !icmp_direction_ok(s, p->dir, role)) && p->af == PF_AF_INET6 &&
	    role == ICMP_REPLY) {
		struct pf_state *other = NULL;

		if (!icmp_key(skb, p, 1))
			other = state_of_packet(p);
		if (other)
			s = other;
		else
			icmp_key(skb, p, 0);
	}
	if (!s || state_is_over(s, p))
		return to_rules(skb, p);
	if (!icmp_direction_ok(s, p->dir, role))
		return icmp_bad(skb, p, s, PF_NOTE_ICMP_WAY);
	return tracked(skb, s, p, track_icmp(s, p));
}

/* All but ICMP. */
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
	s = state_of_packet(p);
	if (!s || state_is_over(s, p))
		return to_rules(skb, p);
	return tracked(skb, s, p, state_track(s, p));
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
	p->no_state = 0;
	p->over = 0;
	p->limited = 0;
	p->frag = 0;
	p->badopts = 0;
	p->wscale = 0;
	p->sctp = 0;
	p->init_tag = 0;
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
	p->once = 0;
	p->note.what = PF_NOTE_NONE;
	p->rcv_ifindex = skb->ingress_ifindex;
}

SEC("tc") int pf_slow(struct __sk_buff *skb)
{
	struct pf_pkt *p = scratch();
	struct icmp_map m;
	__u32 mark;

	if (!p)
		return VERDICT_DROP;
	/* a tag that a rule gave on the way in; what comes in has none yet */
	p->tag = p->dir == PF_IN ? 0 : tag_of(skb);
	mark = our_own(skb, p);
	if (unlikely(mark)) {
		/* devices without a link header have no neighbours */
		if (mark > 1 && p->l2)
			return to_gateway(skb, p, mark - 1, GATEWAY_AGAIN);
		return VERDICT_PASS;
	}
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
inline_always void rule_count(struct pf_pkt *p, int made_state)
{
	if (unlikely(p->counted))
		packet_tables(p, 1);
	count_one(p, p->rule.id, made_state);
	if (p->rule.anchor)
		count_one(p, p->rule.anchor, made_state);
	if (p->nmatched)
		count_matches(p, made_state);
}

global_sub int log_match(struct __sk_buff *skb, struct pf_pkt *p, __u32 i)
{
	if (!p || i >= PF_MATCH_MOST || !(p->matched[i].flags & PF_RULE_LOG))
		return 0;
	p->logged = p->matched[i];
	return log_packet(skb, p, PF_MATCH, PFRES_MATCH);
}

/* `match log` has its own records, in front of the one of the rule that has won. */
global_sub int log_matches(struct __sk_buff *skb, struct pf_pkt *p)
{
	for (__u32 i = 0; p && i < PF_MATCH_MOST && i < p->nmatched; i++)
		log_match(skb, p, i);
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

/* RFC 9260 section 8.4: no answer to what ends an association already. */
inline_always int ask_abort(struct pf_pkt *p)
{
	if (p->sctp & (PF_SCTP_ABORT | PF_SCTP_SHUTDOWN_COMPLETE))
		return 0;
	p->answer = PF_ANSWER_SCTP;
	p->answer_flags = p->sctp & PF_SCTP_INIT ? 0 : SCTP_T_BIT;
	p->answer_seq = p->sctp & PF_SCTP_INIT ? p->init_tag : p->v_tag;
	return 1;
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
	if (p->proto == IPPROTO_SCTP && (flags & PF_RULE_RETURN))
		return ask_abort(p);
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
	p->answer_seq = 0;
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
	if (why == CREATE_CLASH || why == CREATE_EXISTS)
		return refuse(skb, p, PFRES_STATEINS);
	if (why == CREATE_RULE_LIMIT) {
		count(PF_CNT_LIMIT + LCNT_STATES);
		return refuse(skb, p, PFRES_MAXSTATES);
	}
	if (why == CREATE_SRC_LIMIT)
		return refuse(skb, p, PFRES_SRCLIMIT);
	if (why == CREATE_LIMITER)
		return refuse(skb, p, PFRES_MAXSTATES);
	if (why == CREATE_NOROUTE)
		return refuse(skb, p, PFRES_NOROUTE);
	if (why != CREATE_LIMIT)
		return refuse(skb, p, PFRES_MEMORY);
	count(PF_CNT_STATES_FULL);
	count(PF_CNT_REASON + PFRES_MEMORY);
	return refuse(skb, p, PFRES_MAXSTATES);
}

/*
 * Does the packet leave as another?  Only with a state, which undoes it for the answers.
 * Fragments would, and are dropped then: they were let through for what they cannot become.
 */
inline_always int to_be_translated(const struct pf_pkt *p)
{
	__u32 flags = p->rule.flags;

	if ((flags & (PF_RULE_FAIL | PF_RULE_BLOCK)) || !(flags & PF_RULE_KEEP) || p->limited)
		return 0;
	if (p->no_state || (p->badopts && !(flags & PF_RULE_ALLOWOPTS)))
		return 0;
	return p->sport != p->sport_was || p->dport != p->dport_was ||
	       !addr_equal(&p->src, &p->src_was) || !addr_equal(&p->dst, &p->dst_was);
}

/* The tag that the rules gave goes on with the packet.  `state`: as to_gateway() takes it. */
inline_always int pass(struct __sk_buff *skb, struct pf_pkt *p, __u32 state)
{
	if (unlikely(p->tag != skb->tc_index))
		skb->tc_index = p->tag;
	if (unlikely(p->rule.flags & PF_RULE_ROUTE_TO))
		return to_gateway(skb, p, p->rule.opts, state);
	return VERDICT_PASS;
}

/* The rules once more; -1 if it cannot be. */
inline_always int rewalk(struct __sk_buff *skb, struct pf_pkt *p)
{
	if (p->walks++ >= PF_WALKS_MOST)
		return -1;
	p->draws = 0;
	p->nmatched = 0;
	p->tag = p->dir == PF_IN ? 0 : tag_of(skb);
	bpf_tail_call(skb, &pf_top, READ_ONCE(p->top_slot));
	return -1;
}

SEC("tc") int pf_apply(struct __sk_buff *skb)
{
	struct pf_pkt *p = scratch();
	enum create_result made;
	__u32 flags;

	if (!p)
		return VERDICT_DROP;
	tables_ask(p);
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
	if (unlikely(p->limited))
		return refuse(skb, p, p->limited % PFRES_MAX);
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
	if (!(flags & PF_RULE_KEEP) || p->frag == PF_FRAG_LATER || p->no_state) {
		if (flags & PF_RULE_LOG)
			log_rule(skb, p, PF_PASS, PFRES_MATCH);
		rule_count(p, 0);
		return pass(skb, p, 0);
	}
	made = state_create(p, 0);
	if (unlikely(made == CREATE_LIMITER)) {
		count_n(PF_CNT_MISS, -1ULL);
		count_n(PF_CNT_REASON + PFRES_MATCH, -1ULL);
		rewalk(skb, p);
		count(PF_CNT_MISS);
	}
	/* at the gateway's interface, of another connection; and not by another CPU just now */
	if (unlikely(made == CREATE_EXISTS && (flags & PF_RULE_IFBOUND) &&
		     (flags & PF_RULE_ROUTE_TO)) &&
	    (p->note.what == PF_NOTE_REUSE || !state_look_up(&p->key, p->dir, p->ifindex)))
		made = CREATE_CLASH;
	if (made != CREATE_OK && (made != CREATE_EXISTS || p->over))
		return refuse_state(skb, p, made);
	if (flags & PF_RULE_LOG)
		log_rule(skb, p, PF_PASS, PFRES_MATCH);
	rule_count(p, made == CREATE_OK);
	if (made == CREATE_OK) /* the look-up counts with the state's first packet */
		count_n(PF_CNT_MISS, -1ULL);
	return pass(skb, p, 0);
}

/* The same, with the port that is free: they may ask for it. */
inline_always int walk_again(struct __sk_buff *skb, struct pf_pkt *p)
{
	__u32 nat = p->nat, port = p->nat_found;

	if (p->walks >= PF_WALKS_MOST)
		return -1;
	untranslate(p);
	p->nat_again = nat;
	p->nat_port = port;
	return rewalk(skb, p);
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
	return (state_exists(&p->key, p->dir, p->ifindex, &ver) & KEY_THERE) ||
			       state_look_up(&p->key, p->dir, p->ifindex)
		       ? NAT_MADE
		       : PFRES_TRANSLATE;
}

/*
 * Is a state of the packet's own key, when it is to make one, that of another CPU?  Not if it
 * has too many packets; nor if the packet has ended the one that had hidden it.
 */
inline_always int made_just_now(const struct pf_pkt *p)
{
	return !p->over && p->note.what != PF_NOTE_REUSE;
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
	if (why == NAT_MADE && made_just_now(p))
		return track_after_all(skb, p);
	if (why == NAT_MADE)
		why = PFRES_TRANSLATE;
	if (!why && p->nat_found != p->sport && p->nat_seen && p->nat != p->rule.nat &&
	    walk_again(skb, p))
		why = PFRES_TRANSLATE;
	if (!why) {
		p->sport = p->nat_found;
		made = state_create(p, 1);
		if (made == CREATE_EXISTS && made_just_now(p))
			return track_after_all(skb, p);
		/* the port has gone since: another one, as long as the kernel lets us jump */
		if (made == CREATE_CLASH && p->nat && p->nat_lo < p->nat_hi)
			return to_prog(skb, PF_PROG_NAT);
		if (made == CREATE_LIMITER) {
			untranslate(p);
			rewalk(skb, p);
		}
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
	/* with a gateway, pf_route does it: errors quote the packet as it was */
	if (!s ||
	    (!(p->rule.flags & PF_RULE_ROUTE_TO) && nat_rewrite(skb, s, p->dir, p->l3, p->l4)))
		return refuse(skb, p, PFRES_TRANSLATE);
	if (p->rule.flags & PF_RULE_LOG)
		log_rule(skb, p, PF_PASS, PFRES_MATCH);
	rule_count(p, 1);
	/* the look-up counts with the state's first packet */
	count_n(PF_CNT_MISS, -1ULL);
	return pass(skb, p, p->state + 1);
}

/* What has passed, and leaves by the gateway of its rule or state. */
SEC("tc") int pf_route(struct __sk_buff *skb)
{
	struct pf_pkt *p = scratch();
	struct pf_opt_set *o = p ? opt_set(p->hop) : NULL;
	struct pf_state *s;
	struct way way;

	if (!o || way_read(p, o, &way))
		return drop(PFRES_NOROUTE);
	if (p->hop_state == GATEWAY_AGAIN)
		return to_neighbour(skb, p, &way, 0);
	switch (route_check(skb, p, &way)) {
	case ROUTE_GO:
		break;
	case ROUTE_ANSWER:
		count(PF_CNT_REASON + PFRES_NOROUTE);
		return to_prog(skb, PF_PROG_ANSWER);
	default:
		return drop(PFRES_NOROUTE);
	}
	s = p->hop_state ? slot(p->hop_state - 1) : NULL;
	if (s && (s->flags & PF_SF_NAT) && nat_rewrite(skb, s, p->dir, p->l3, p->l4))
		return drop(PFRES_TRANSLATE);
	return route_send(skb, p, &way);
}

SEC("tc") int pf_answer(struct __sk_buff *skb)
{
	struct pf_pkt *p = scratch();

	if (!p)
		return VERDICT_DROP;
	if (p->answer == PF_ANSWER_ICMP)
		return answer_icmp(skb, p);
	if (p->answer == PF_ANSWER_SCTP)
		return answer_sctp(skb, p);
	/* pf answers no segment whose checksum is wrong: it may be a forged one */
	if ((p->answer_flags & PF_TH_RST) && skb_ip_summed(skb) != CHECKSUM_PARTIAL &&
	    skb_ip_summed(skb) != CHECKSUM_UNNECESSARY && tcp_cksum_bad(skb, p))
		return drop(PFRES_PROTCKSUM);
	return answer_tcp(skb, p);
}
