/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Counters of tables (pf.conf(5), TABLES): each packet counts for the entry that its
 * address falls to, in the tables that its rules name, at the moment when it passes.  As
 * in pf that is a look-up for each, so states whose rules have such tables take the slower
 * path; where no rule has, one word is read.
 *
 * A rule sees the packet before translation or behind it, by where it stands: the
 * address that the table has is meant, and before translation comes first.
 */
#ifndef PF_BPF_COUNTS_H
#define PF_BPF_COUNTS_H

#include "pf.h"
#include "table.h"

inline_always struct pf_table_count *table_count(__u32 counts, __u32 af, const struct pf_addr *addr,
						 __u32 bits)
{
	struct pf_table_count_key key = {.bits = bits, .counts = counts, .af = af};

	if (addr)
		key.addr = *addr;
	return bpf_map_lookup_elem(&pf_table_counts, &key);
}

inline_always struct pf_table_count *host_count(__u32 counts, __u32 af, const struct pf_addr *addr)
{
	return table_count(counts, af, addr, PF_TABLE_COUNT_PREFIX + 128);
}

/* Does a rule that has the table so, negated or not, match by that? */
inline_always int count_fits(const struct pf_table_count *c, __u32 neg)
{
	return (c && c->kind == PF_TABLE_COUNT_ENTRY) == !neg;
}

inline_always void count_more(struct pf_table_count *c, const struct pf_pkt *p, __u32 op)
{
	__u32 at = ((p->dir == PF_OUT ? PF_TABLE_OPS : 0) + op) & (PF_TABLE_COUNTERS_EACH - 1);

	__sync_fetch_and_add(&c->packets[at], 1);
	__sync_fetch_and_add(&c->bytes[at], p->tot_len);
}

/* One end of the packet: 0 the source, 1 the destination. */
global_sub int table_count_end(const struct pf_pkt *p, __u32 counts, __u32 end, __u32 neg, __u32 op)
{
	struct pf_table_count *c;

	if (!p || !counts)
		return 0;
	c = host_count(counts, p->af, &p->ends[end & 1]);
	if (!count_fits(c, neg) && p->ends_moved)
		c = host_count(counts, p->af, &p->ends[2 + (end & 1)]);
	if (!count_fits(c, neg))
		op = PF_TABLE_OP_XPASS;
	else if (c && c->kind != PF_TABLE_COUNT_ALL)
		count_more(c, p, op);
	c = table_count(counts, 0, NULL, PF_TABLE_COUNT_TABLE);
	if (c)
		count_more(c, p, op);
	return 0;
}

/* The tables of one rule; `counts` 0: are there any? */
global_sub int rule_tables(const struct pf_pkt *p, __u32 rule, int counts)
{
	struct pf_rule_tables *t = bpf_map_lookup_elem(&pf_rule_tables, &rule);

	if (!t || !p)
		return 0;
	if (!counts)
		return 1;
	table_count_end(p, t->counts[0], 0, t->neg[0], t->op);
	table_count_end(p, t->counts[1], 1, t->neg[1], t->op);
	return 1;
}

/* A packet that rules have judged. */
global_sub int packet_tables(const struct pf_pkt *p, int counts)
{
	int any;

	if (!p)
		return 0;
	any = rule_tables(p, p->rule.id, counts);
	for (__u32 i = 0; i < PF_MATCH_MOST && i < p->nmatched; i++)
		any |= rule_tables(p, p->matched[i].id, counts);
	return any;
}

/* Before what rules have translated is undone, and before it is known what becomes of it. */
inline_always void tables_ask(struct pf_pkt *p)
{
	struct pf_config *cfg = config();

	p->counted = cfg && unlikely(cfg->rule_tables) && packet_tables(p, 0);
	if (likely(!p->counted))
		return;
	p->ends_moved = p->moves != 0;
	p->ends[0] = p->moves ? p->src_was : p->src;
	p->ends[1] = p->moves ? p->dst_was : p->dst;
	p->ends[2] = p->src;
	p->ends[3] = p->dst;
}

/* The ends as the one that made the state has them, whoever sends. */
inline_always void state_ends(const struct pf_state *s, struct pf_pkt *p)
{
	p->ends_moved = (s->flags & PF_SF_NAT) != 0;
	if (s->dir == PF_IN) {
		p->ends[0] = s->key.addr[0];
		p->ends[1] = s->key.addr[1];
		p->ends[2] = s->stack.addr[0];
		p->ends[3] = s->stack.addr[1];
		return;
	}
	p->ends[0] = s->stack.addr[1];
	p->ends[1] = s->stack.addr[0];
	p->ends[2] = s->key.addr[1];
	p->ends[3] = s->key.addr[0];
}

/* A packet that its state lets pass. */
global_sub int state_tables(const struct pf_state *s, struct pf_pkt *p)
{
	struct pf_config *cfg = config();
	struct pf_match_more *more;
	__u64 key;
	__u32 n;

	if (!s || !p || !cfg || !cfg->rule_tables)
		return 0;
	key = s->id;
	n = s->nmatch;
	state_ends(s, p);
	rule_tables(p, s->rule, 1);
	for (__u32 i = 0; i < PF_MATCH_INLINE && i < n; i++)
		rule_tables(p, i < 4 ? s->peer[0].match[i & 3] : s->peer[1].match[i & 3], 1);
	if (n <= PF_MATCH_INLINE)
		return 0;
	more = bpf_map_lookup_elem(&pf_match_more, &key);
	for (__u32 i = 0; more && i < PF_MATCH_MOST - PF_MATCH_INLINE && i + PF_MATCH_INLINE < n;
	     i++)
		rule_tables(p, more->id[i], 1);
	return 0;
}

#endif /* PF_BPF_COUNTS_H */
