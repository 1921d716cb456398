/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* What travels with a packet, in tc_index and cb[]: tags, and the mark of our own answers. */
#ifndef PF_BPF_MARKS_H
#define PF_BPF_MARKS_H

#include "pf.h"

/*
 * tc_index carries a tag from the way in to the way out.  A neighbour in another
 * namespace can send packets that have one: it goes when they come in.
 */
inline_always void clear_tag(struct __sk_buff *skb, __u8 dir)
{
	if (dir == PF_IN && unlikely(skb->tc_index))
		skb->tc_index = 0;
}

/* A packet that came in has the tag of its state, and no other. */
inline_always void carry_tag(struct __sk_buff *skb, const struct pf_state *s, __u8 dir)
{
	if (dir == PF_IN && unlikely((s->flags & PF_SF_TAGGED) | skb->tc_index))
		skb->tc_index = s->flags & PF_SF_TAGGED ? s->tag : 0;
}

/*
 * Marks what is to pass our hook on its way out, or in, by has_mark(): that must be there.
 * `again`: what that returns then, less 1.
 */
inline_always void put_mark(struct __sk_buff *skb, const struct pf_config *cfg, __u32 again)
{
	/* barriers, for clang would merge the stores and the verifier minds */
	skb->cb[0] = cfg->mark[0];
	barrier();
	skb->cb[1] = cfg->mark[1];
	barrier();
	skb->cb[2] = cfg->mark[2];
	barrier();
	skb->cb[3] = cfg->mark[3];
	barrier();
	skb->cb[4] = again;
	barrier();
}

/*
 * Sent by pf_answer, or by pf_route: passes as it is, as pf's own packets do.  On the way in only
 * by a secret that is too long to guess, for a neighbour in another namespace can
 * set cb[] and tc_index of what it sends.  It ends here and leaves the host nowhere.
 */
noinline_sub __u32 has_mark(struct __sk_buff *skb)
{
	struct pf_config *cfg = config();
	__u32 again;

	if (!cfg || skb->cb[0] != cfg->mark[0] || skb->cb[1] != cfg->mark[1] ||
	    skb->cb[2] != cfg->mark[2] || skb->cb[3] != cfg->mark[3])
		return 0;
	skb->cb[0] = 0;
	barrier();
	skb->cb[1] = 0;
	barrier();
	skb->cb[2] = 0;
	barrier();
	skb->cb[3] = 0;
	barrier();
	again = skb->cb[4] + 1;
	skb->cb[4] = 0;
	return again;
}

/*
 * What tc_index says on the way out; nothing where no hook of ours has looked at it
 * before.  Not what did not come in at all: it need not be the host's own, for
 * a macvlan or ipvlan of another namespace sends through our interface.
 */
noinline_sub __u32 tag_of(struct __sk_buff *skb)
{
	__u32 in = skb->ingress_ifindex;
	struct pf_iface *i;

	if (!in)
		return 0;
	i = bpf_map_lookup_elem(&pf_ifaces, &in);
	return i && (i->flags & PF_IFACE_HOOKED) ? skb->tc_index : 0;
}

/* As has_mark(). */
inline_always __u32 our_own(struct __sk_buff *skb, const struct pf_pkt *p)
{
	struct pf_config *cfg = config();
	__u32 mark = has_mark(skb);

	if (mark)
		return mark;
	return cfg && p->dir == PF_OUT && p->tag == cfg->mark16;
}

#endif /* PF_BPF_MARKS_H */
