// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * Emitter B's program: rules as data.  Each generation loads one, with arrays of
 * its own; what stands in them is written by compiler/tree.c.
 *
 * A decision tree tells, for a packet, which rules may match it: its leaf holds
 * them in the order of the rules.  There are up to three trees for each family, so
 * that rules which are wide in one dimension are not repeated all over; their
 * lists are merged, so that rules are looked at in pf's order, and each one's own
 * words decide.  A tree may say too much, but never leaves out a rule that matches.
 */
#include "base.h"

char _license[] SEC("license") = "Dual BSD/GPL";

/* Roots by family and group; PF_TREE_NONE: that group has no rules. */
const volatile __u32 roots[2][PF_TREE_GROUPS] = {
	{PF_TREE_NONE, PF_TREE_NONE, PF_TREE_NONE},
	{PF_TREE_NONE, PF_TREE_NONE, PF_TREE_NONE},
};
const volatile __u32 nrules = 0; /* the default rule's place among the infos */
const volatile __u32 name_ifaces = 0;

#define IFACE_DIRECT 1024
#define NEAR	     8 /* candidates looked at without a call for each */

/* The datapath's maps. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct pf_pkt);
} pf_scratch SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, PF_CNT_MAX);
	__type(key, __u32);
	__type(value, __u64);
} pf_counters SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, PF_MAX_TABLES);
	__type(key, __u32);
	__type(value, struct pf_table_roots);
} pf_tables SEC(".maps");

struct pf_node_map {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, sizeof(struct pf_node_chunk));
};
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, PF_NODE_CHUNKS);
	__type(key, __u32);
	__array(values, struct pf_node_map);
} pf_table_nodes SEC(".maps");

#define RANGE_TABLES (&pf_tables)
#define RANGE_NODES  (&pf_table_nodes)
#include "ranges.h"

/* The generation's. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct pf_rule_info);
} pf_infos SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} pf_evals SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, IFACE_DIRECT);
	__type(key, __u32);
	__type(value, struct pf_ifmask);
} pf_ifaces SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 65536);
	__type(key, __u32);
	__type(value, struct pf_ifmask);
} pf_ifaces_far SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, PF_GEN_MAX);
	__type(key, __u32);
	__type(value, __u32);
} pf_jump SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct pf_tree_node);
} pf_nodes SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct pf_tree_entries);
} pf_entries SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct pf_tree_rule);
} pf_rules SEC(".maps");

/* --- one rule --- */

/* Does the table hold the address? */
inline_always int in_table(__u32 slot, const struct pf_pkt *p, const struct pf_table_key *key)
{
	const __u64 *addr = (const void *)&key->addr;

	return in_ranges(slot, p->af, addr[0], addr[1]);
}

inline_always int words_differ(const struct pf_addr *a, const struct pf_addr *b,
			       const struct pf_addr *mask)
{
	return (((a->w[0] ^ b->w[0]) & mask->w[0]) | ((a->w[1] ^ b->w[1]) & mask->w[1]) |
		((a->w[2] ^ b->w[2]) & mask->w[2]) | ((a->w[3] ^ b->w[3]) & mask->w[3])) != 0;
}

/*
 * What few rules ask: 1 if the packet meets it.  Not static: the verifier looks at
 * it once, and not at each place that calls it.
 */
__attribute__((noinline)) int rare_tests(const struct pf_tree_rule *r, const struct pf_pkt *p,
					 __u32 asked)
{
	__u32 tests, bit;

	if (!r || !p)
		return 0;
	tests = r->tests;
	bit = r->ifbit;
	if (tests & PF_TEST_IFACE) {
		__u32 set = p->ifmask.w[bit / 32 % PF_IFMASK_WORDS] >> bit % 32 & 1;

		if (set == !!(tests & PF_TEST_IFACE_NOT))
			return 0;
	}
	if (tests & PF_TEST_SRC &&
	    words_differ(&p->src.addr, &r->src, &r->src_mask) != !!(tests & PF_TEST_SRC_NOT))
		return 0;
	if (tests & PF_TEST_DST &&
	    words_differ(&p->dst.addr, &r->dst, &r->dst_mask) != !!(tests & PF_TEST_DST_NOT))
		return 0;
	if (tests & PF_TEST_SRC_TABLE &&
	    in_table(r->src_table, p, &p->src) == !!(tests & PF_TEST_SRC_NOT))
		return 0;
	if (tests & PF_TEST_DST_TABLE &&
	    in_table(r->dst_table, p, &p->dst) == !!(tests & PF_TEST_DST_NOT))
		return 0;
	/* asked only of packets that it matters to: see tests_of() */
	if (tests & asked & (PF_TEST_WHOLE | PF_TEST_FRAGMENT | PF_TEST_KEEP))
		return 0;
	if (tests & asked & PF_TEST_FLAGS &&
	    (p->frag == PF_FRAG_LATER || (p->tcp_flags & r->flagset) != r->flags))
		return 0;
	return 1;
}

/* The tests that this packet can fail. */
inline_always __u32 tests_of(const struct pf_pkt *p)
{
	__u32 tests = PF_TEST_IFACE | PF_TEST_SRC | PF_TEST_DST | PF_TEST_SRC_TABLE |
		      PF_TEST_DST_TABLE;

	if (p->frag == PF_FRAG_LATER)
		tests |= PF_TEST_WHOLE;
	if (p->frag == PF_FRAG_NONE)
		tests |= PF_TEST_FRAGMENT;
	if (p->keep_never)
		tests |= PF_TEST_KEEP;
	if (p->proto == IPPROTO_TCP)
		tests |= PF_TEST_FLAGS;
	return tests;
}

inline_always int rule_matches(const struct pf_tree_rule *r, const struct pf_pkt *p, __u32 asked)
{
	__u32 differ = (*(const __u32 *)&p->af ^ r->head) & r->head_mask, tests = r->tests;

	differ |= (*(const __u32 *)&p->icmp_type ^ r->icmp) & r->icmp_mask;
	differ |= (p->src.addr.w[0] ^ r->src0) & r->src0_mask;
	differ |= (p->dst.addr.w[0] ^ r->dst0) & r->dst0_mask;
	if (differ)
		return 0;
	if (((__u16)(p->sport - r->sport) > r->sport_span) != !!(tests & PF_TEST_SPORT_NOT))
		return 0;
	if (((__u16)(p->dport - r->dport) > r->dport_span) != !!(tests & PF_TEST_DPORT_NOT))
		return 0;
	if (likely(!(tests & asked)))
		return 1;
	return rare_tests(r, p, asked);
}

/* --- candidates --- */

/*
 * The lists stand in the packet: of what it reads from there the verifier knows
 * nothing.  On the stack it would follow each combination of lists that have ended
 * and lists that have not, a hundred times the work.
 */
struct walk {
	struct pf_pkt *p;
	__u32 won;
	__u32 asked; /* tests_of() */
};

inline_always void list_next(struct pf_tree_list *l)
{
	struct pf_tree_entries *e;
	__u32 pair = l->at / 2;

	l->head = PF_TREE_NONE;
	if (!l->left)
		return;
	e = bpf_map_lookup_elem(&pf_entries, &pair);
	if (!e)
		return;
	l->head = e->rule[l->at & 1];
	l->at++;
	l->left--;
}

/* Rules of a list are compared without the mark; none is the highest. */
inline_always __u32 list_rule(const struct pf_tree_list *l)
{
	return l->head == PF_TREE_NONE ? PF_TREE_NONE : l->head & ~PF_TREE_SURE;
}

/* The next candidate of all lists. */
inline_always __u32 walk_next(struct walk *w)
{
	__u32 a = list_rule(&w->p->list[0]), b = list_rule(&w->p->list[1]),
	      c = list_rule(&w->p->list[2]);
	__u32 head;

	if (a <= b && a <= c) {
		head = w->p->list[0].head;
		list_next(&w->p->list[0]);
	} else if (b <= c) {
		head = w->p->list[1].head;
		list_next(&w->p->list[1]);
	} else {
		head = w->p->list[2].head;
		list_next(&w->p->list[2]);
	}
	return head;
}

/* One candidate; 1 when the walk is over. */
inline_always int walk_step(struct walk *w)
{
	__u32 head = walk_next(w), at = head & ~PF_TREE_SURE;
	const struct pf_tree_rule *r;
	__u64 *evals;

	if (head == PF_TREE_NONE)
		return 1;
	r = bpf_map_lookup_elem(&pf_rules, &at);
	evals = bpf_map_lookup_elem(&pf_evals, &at);
	if (!r || !evals)
		return 1;
	++*evals;
	if (!(head & PF_TREE_SURE) && !rule_matches(r, w->p, w->asked))
		return 0;
	w->won = at;
	return r->quick & 1;
}

static long walk_on(__u32 i, struct walk *w)
{
	return walk_step(w);
}

/* --- the trees --- */

inline_always void fill_fields(struct pf_pkt *p)
{
	__u32 *f = p->field;

	for (int i = 0; i < 4; i++) {
		f[PF_TREE_SRC + i] = bpf_ntohl(p->src.addr.w[i]);
		f[PF_TREE_DST + i] = bpf_ntohl(p->dst.addr.w[i]);
	}
	f[PF_TREE_SPORT] = p->sport;
	f[PF_TREE_DPORT] = p->dport;
	f[PF_TREE_PROTO] = p->proto;
	f[PF_TREE_DIR] = p->dir;
	f[PF_TREE_IFACE] = p->ifmask.name;
	f[PF_TREE_ICMP] = (__u32)p->icmp_type << 8 | p->icmp_code;
}

/* The list of the leaf that the packet comes to. */
inline_always void descend(__u32 root, struct pf_pkt *p, struct pf_tree_list *l)
{
	__u32 at = root;

	l->head = PF_TREE_NONE;
	l->left = 0;
	if (root == PF_TREE_NONE)
		return;
	for (int depth = 0; depth <= PF_TREE_DEPTH_MOST; depth++) {
		struct pf_tree_node *n = bpf_map_lookup_elem(&pf_nodes, &at);
		__u64 value, field;

		if (!n)
			return;
		at = n->next_field >> 4;
		field = n->next_field & 15;
		value = n->value;
		if (field == PF_TREE_LEAF) {
			l->left = at;
			l->at = value;
			list_next(l);
			return;
		}
		/* without a branch, which could not be foretold */
		value -= p->field[field];
		opaque(value);
		at += (__u32)(value >> 63);
	}
}

/* --- around it --- */

/* Which of the interfaces that rules name this is. */
inline_always void fill_ifmask(struct pf_pkt *p)
{
	__u32 ifindex = p->ifindex;
	struct pf_ifmask *m;

	if (ifindex < IFACE_DIRECT)
		m = bpf_map_lookup_elem(&pf_ifaces, &ifindex);
	else
		m = bpf_map_lookup_elem(&pf_ifaces_far, &ifindex);
	if (m)
		p->ifmask = *m;
	else
		__builtin_memset(&p->ifmask, 0, sizeof(p->ifmask));
}

inline_always int unjudged(void)
{
	__u32 which = PF_CNT_UNJUDGED;
	__u64 *n = bpf_map_lookup_elem(&pf_counters, &which);

	if (n)
		++*n;
	return VERDICT_DROP;
}

inline_always void walk_rules(struct walk *w)
{
	for (int i = 0; i < NEAR; i++)
		if (walk_step(w))
			return;
	bpf_loop(1 << 23, walk_on, w, 0);
}

SEC("tc") int pf_rules_tree(struct __sk_buff *skb)
{
	__u32 zero = 0;
	struct walk w = {.won = nrules + unknown_zero()};
	struct pf_rule_info *info;
	struct pf_pkt *p = bpf_map_lookup_elem(&pf_scratch, &zero);
	__u32 six;

	if (!p)
		return VERDICT_DROP;
	w.p = p;
	w.asked = tests_of(p);
	if (name_ifaces)
		fill_ifmask(p);
	fill_fields(p);
	six = p->af == PF_AF_INET6;
	descend(roots[six][0], p, &p->list[0]);
	descend(roots[six][1], p, &p->list[1]);
	descend(roots[six][2], p, &p->list[2]);
	walk_rules(&w);
	info = bpf_map_lookup_elem(&pf_infos, &w.won);
	if (!info)
		return unjudged();
	p->rule_index = w.won;
	p->rule = *info;
	bpf_tail_call(skb, &pf_jump, PF_GEN_APPLY);
	return unjudged();
}
