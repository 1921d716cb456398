/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Log records: a header and the frame's first bytes, over the perf ring of this CPU. */
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
		.time = bpf_ktime_get_ns(),
		.ifindex = skb->ifindex,
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
	if (p->frag != PF_FRAG_LATER && (p->proto == IPPROTO_TCP || p->proto == IPPROTO_UDP)) {
		r.sport = bpf_htons(p->sport);
		r.dport = bpf_htons(p->dport);
	}
	count(PF_CNT_LOGGED);
	/* the kernel appends the frame (BPF_F_CTXLEN_MASK) */
	if (bpf_perf_event_output(skb, &pf_log, BPF_F_CURRENT_CPU | (cap << 32), &r, sizeof(r)))
		count(PF_CNT_LOG_LOST);
	return 0;
}

#endif /* PF_BPF_LOG_H */
