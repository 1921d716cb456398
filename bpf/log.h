/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Log records: a header and the frame's first bytes, over the perf ring of this CPU;
 * and notes about packets that states refuse, for whoever debugs.
 */
#ifndef PF_BPF_LOG_H
#define PF_BPF_LOG_H

#include "pf.h"

#define PF_NO_RULE (~0U)

/* Which rule the record is of: the one that has won, ... */
inline_always void log_of_rule(struct pf_pkt *p)
{
	p->logged.id = p->rule.id;
	p->logged.nr = p->rule.nr;
	p->logged.anchor_nr = p->rule.anchor_nr;
}

/* ... or none: pf always logs malformed packets and such. */
inline_always void log_of_none(struct pf_pkt *p)
{
	p->logged.id = PF_RULE_DEFAULT;
	p->logged.nr = PF_NO_RULE;
	p->logged.anchor_nr = PF_NO_RULE;
}

global_sub int log_packet(struct __sk_buff *skb, struct pf_pkt *p, __u32 action, __u32 reason)
{
	struct pf_log_rec r = {};
	__u64 cap = skb->len;

	if (!p)
		return 0;
	r = (struct pf_log_rec){
		.kind = PF_LOG_PACKET,
		.ifindex = skb->ifindex,
		.time = bpf_ktime_get_ns(),
		.rule_nr = p->logged.nr,
		.rule_id = p->logged.id,
		.anchor_nr = p->logged.anchor_nr,
		.len = p->tot_len,
		.l3 = p->l3,
		.af = p->af,
		.action = action,
		.reason = reason,
		.dir = p->dir,
	};
	if (cap > PF_LOG_SNAPLEN)
		cap = PF_LOG_SNAPLEN;
	r.caplen = cap;
	if (p->frag != PF_FRAG_LATER &&
	    (p->proto == IPPROTO_TCP || p->proto == IPPROTO_UDP || p->proto == IPPROTO_SCTP)) {
		r.sport = bpf_htons(p->sport);
		r.dport = bpf_htons(p->dport);
	}
	count(PF_CNT_LOGGED);
	/* the kernel appends the frame (BPF_F_CTXLEN_MASK) */
	if (bpf_perf_event_output(skb, &pf_log, BPF_F_CURRENT_CPU | (cap << 32), &r, sizeof(r)))
		count(PF_CNT_LOG_LOST);
	return 0;
}

#define DEBUG_NOTICE 5 /* LOG_NOTICE: pf's level for these */

/*
 * p->note, of which the check has filled in what it was about.  Not counted, and lost
 * without a word when the ring is full: who debugs under a flood sees some of it.
 */
global_sub int log_note(struct __sk_buff *skb, const struct pf_state *s)
{
	struct pf_config *cfg = config();
	struct pf_pkt *p = scratch();

	if (!p || !cfg || READ_ONCE(cfg->debug) < DEBUG_NOTICE)
		return 0;
	p->note.kind = PF_LOG_NOTE;
	p->note.af = p->af;
	p->note.dir = p->dir;
	p->note.flags = p->tcp_flags;
	p->note.icmp_type = p->icmp_type;
	p->note.icmp_code = p->icmp_code;
	p->note.orig_seq = p->proto == IPPROTO_SCTP ? p->v_tag : p->seq;
	p->note.len = p->payload_len;
	p->note.src = p->src;
	p->note.dst = p->dst;
	if (s)
		p->note.state = *s;
	bpf_perf_event_output(skb, &pf_log, BPF_F_CURRENT_CPU, &p->note, sizeof(p->note));
	return 0;
}

#endif /* PF_BPF_LOG_H */
