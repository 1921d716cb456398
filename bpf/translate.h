/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * What a rule's translation makes of the packet that the rules see.  The packet itself
 * is rewritten when it passes: see nat.h.
 */
#ifndef PF_BPF_TRANSLATE_H
#define PF_BPF_TRANSLATE_H

#include "draw.h"

/* RFC 4861, RFC 2710, RFC 3810: their addresses stand in the message as well. */
inline_always int never_translated(const struct pf_pkt *p)
{
	__u8 type = p->icmp_type;

	return p->proto == IPPROTO_ICMPV6 && ((type >= 130 && type <= 137) || type == 143);
}

inline_always int has_ports(const struct pf_pkt *p)
{
	return (p->proto == IPPROTO_TCP || p->proto == IPPROTO_UDP) && p->frag != PF_FRAG_LATER;
}

inline_always int is_echo(const struct pf_pkt *p)
{
	if (p->frag == PF_FRAG_LATER)
		return 0;
	return (p->proto == IPPROTO_ICMP && p->icmp_type == 8) ||
	       (p->proto == IPPROTO_ICMPV6 && p->icmp_type == 128);
}

inline_always void remember_what_was(struct pf_pkt *p)
{
	p->src_was = p->src;
	p->dst_was = p->dst;
	p->sport_was = p->sport;
	p->dport_was = p->dport;
}

/* As it came. */
inline_always void untranslate(struct pf_pkt *p)
{
	p->src = p->src_was;
	p->dst = p->dst_was;
	p->sport = p->sport_was;
	p->dport = p->dport_was;
	p->moves = 0;
	p->nat = 0;
}

inline_always void translate_addr(struct pf_addr *a, const struct pf_nat *n)
{
	for (int i = 0; i < 4; i++)
		a->w[i] = (a->w[i] & ~n->mask.w[i]) | n->addr.w[i];
}

/* The port is a guess: whether it is free is looked up when the state is made. */
inline_always void nat_to(struct pf_pkt *p, const struct pf_nat *n, __u32 nat)
{
	__u32 lo = n->lo, hi = n->hi, port;

	translate_addr(&p->src, n);
	if (is_echo(p)) {
		lo = 1;
		hi = 65535;
	} else if (!has_ports(p)) {
		lo = hi = 0;
	}
	port = lo;
	if (lo < hi) {
		port = lo + draw(p) % (hi - lo + 1);
		/* of other rules, if they have been replaced since */
		if (p->nat_again == nat && p->nat_port >= lo && p->nat_port <= hi)
			port = p->nat_port;
	}
	if (port)
		p->sport = port;
	p->nat = nat;
	p->nat_lo = lo;
	p->nat_hi = hi;
	p->nat_seen = (n->flags & PF_NAT_SEEN) != 0;
}

inline_always void rdr_to(struct pf_pkt *p, const struct pf_nat *n)
{
	__u32 lo = n->lo, span = n->hi - lo + 1;

	translate_addr(&p->dst, n);
	if (has_ports(p) && lo)
		p->dport = lo + (__u16)(p->dport - n->base) % span;
}

/* nat: 1 + index of *n. */
inline_always void translate(struct pf_pkt *p, const struct pf_nat *n, __u32 nat)
{
	if (never_translated(p))
		return;
	if (!p->moves)
		remember_what_was(p);
	p->moves++;
	if (n->flags & PF_NAT_SRC)
		nat_to(p, n, nat);
	else
		rdr_to(p, n);
}

#endif /* PF_BPF_TRANSLATE_H */
