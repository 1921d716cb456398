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
#include "meter.h"
#include "shared.h"
#include "translate.h"

char _license[] SEC("license") = "Dual BSD/GPL";

const volatile __u32 nrules = 0; /* the default rule's place among the infos; then failure */
const volatile __u32 name_ifaces = 0;
const volatile __u32 name_received = 0;
const volatile __u32 random_rules = 0;
const volatile __u32 metered_rules = 0;

#define IFACE_DIRECT 1024
#define NEAR	     8 /* candidates looked at without a call for each */

#define RANGE_TABLES (&pf_tables)
#define RANGE_NODES  (&pf_table_nodes)
#define RANGE_DELTA  (&pf_table_delta)
#define RANGE_NOTS   (&pf_table_nots)
#define RANGE_SUB    global_sub
#include "ranges.h"

#define LIMITS_LIMITERS (&pf_limiters)
#define LIMITS_SOURCES	(&pf_limited)
#include "limits.h"

/* The generation's. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct pf_rule_info);
} pf_infos SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct pf_nat);
} pf_nats SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct pf_evals);
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
	__type(value, struct pf_tree_set);
} pf_sets SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct pf_tree_call);
} pf_calls SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct pf_tree_callee);
} pf_callees SEC(".maps");

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
inline_always int in_table(__u32 slot, const struct pf_pkt *p, const struct pf_addr *key)
{
	const __u64 *addr = (const void *)key;

	return in_ranges(slot, p->af, addr[0], addr[1]);
}

inline_always int words_differ(const struct pf_addr *a, const struct pf_addr *b,
			       const struct pf_addr *mask)
{
	return (((a->w[0] ^ b->w[0]) & mask->w[0]) | ((a->w[1] ^ b->w[1]) & mask->w[1]) |
		((a->w[2] ^ b->w[2]) & mask->w[2]) | ((a->w[3] ^ b->w[3]) & mask->w[3])) != 0;
}

/* Is it from `lo` to `hi`?  As numbers, in network order. */
inline_always int in_range(const struct pf_addr *a, const struct pf_addr *lo,
			   const struct pf_addr *hi)
{
	int below = 0, above = 0;

	/* from the last word to the first, which decides */
	for (int i = 3; i >= 0; i--) {
		__u32 w = bpf_ntohl(a->w[i]), l = bpf_ntohl(lo->w[i]), h = bpf_ntohl(hi->w[i]);

		below = w < l || (w == l && below);
		above = w > h || (w == h && above);
	}
	return !below && !above;
}

inline_always int mask_bit(const struct pf_ifmask *m, __u32 bit)
{
	return m->w[bit / 32 % PF_IFMASK_WORDS] >> bit % 32 & 1;
}

inline_always int denied(__u32 tests, __u32 which)
{
	return (tests & which) != 0;
}

inline_always int rare_hosts(const struct pf_tree_rule *r, const struct pf_pkt *p, __u32 tests)
{
	int src_not = denied(tests, PF_TEST_SRC_NOT), dst_not = denied(tests, PF_TEST_DST_NOT);

	if (tests & PF_TEST_SRC && words_differ(&p->src, &r->src, &r->src_mask) != src_not)
		return 0;
	if (tests & PF_TEST_DST && words_differ(&p->dst, &r->dst, &r->dst_mask) != dst_not)
		return 0;
	if (tests & PF_TEST_SRC_RANGE && in_range(&p->src, &r->src, &r->src_mask) == src_not)
		return 0;
	if (tests & PF_TEST_DST_RANGE && in_range(&p->dst, &r->dst, &r->dst_mask) == dst_not)
		return 0;
	if (tests & PF_TEST_SRC_TABLE && in_table(r->src.w[0], p, &p->src) == src_not)
		return 0;
	return !(tests & PF_TEST_DST_TABLE && in_table(r->dst.w[0], p, &p->dst) == dst_not);
}

/* Not static: the verifier looks at it once. */
__attribute__((noinline)) int rule_limits(struct pf_pkt *p, __u32 limits)
{
	return p ? ask_limits(p, limits) : LIMITS_NO_ROOM;
}

/* enum pf_meter_ask, of the rule's meter.  Not static: the verifier looks at it once. */
__attribute__((noinline)) int ask_meter(struct pf_pkt *p, __u32 at, __u32 ask)
{
	struct pf_rule_info *info = bpf_map_lookup_elem(&pf_infos, &at);
	__u32 id;

	if (!p || !info)
		return 0;
	id = info->id;
	return meter_ask(bpf_map_lookup_elem(&pf_meters, &id), p, ask);
}

/* In this order, for `probability` draws numbers only for who has come so far. */
inline_always int rare_last(const struct pf_tree_rule *r, struct pf_pkt *p, __u32 tests)
{
	if (tests & PF_TEST_TOS && p->tos != r->tos)
		return 0;
	if (tests & PF_TEST_PROB && draw(p) >= r->prob)
		return 0;
	if (tests & PF_TEST_TAG && (p->tag != r->tagged) != denied(tests, PF_TEST_TAG_NOT))
		return 0;
	if (tests & PF_TEST_RCV &&
	    mask_bit(&p->rcvmask, r->rcvbit) == denied(tests, PF_TEST_RCV_NOT))
		return 0;
	/* the last one: one that blocks is a match, and ends the walk */
	return !(tests & PF_TEST_LIMITS) || rule_limits(p, r->call) != LIMITS_NO_ROOM;
}

/*
 * What few rules ask: 1 if the packet meets it.  Not static: the verifier looks at
 * it once, and not at each place that calls it.
 */
__attribute__((noinline)) int rare_tests(const struct pf_tree_rule *r, struct pf_pkt *p,
					 __u32 asked)
{
	__u32 tests;

	if (!r || !p)
		return 0;
	tests = r->tests;
	if (tests & PF_TEST_IFACE &&
	    mask_bit(&p->ifmask, r->ifbit) == denied(tests, PF_TEST_IFACE_NOT))
		return 0;
	if (!rare_hosts(r, p, tests))
		return 0;
	/* asked only of packets that it matters to: see tests_of() */
	if (tests & asked & (PF_TEST_WHOLE | PF_TEST_FRAGMENT | PF_TEST_KEEP))
		return 0;
	if (tests & asked & PF_TEST_FLAGS &&
	    (p->frag == PF_FRAG_LATER || (p->tcp_flags & r->flagset) != r->flags))
		return 0;
	return rare_last(r, p, tests);
}

/* The tests that this packet can fail. */
inline_always __u32 tests_of(const struct pf_pkt *p)
{
	__u32 tests = PF_TEST_IFACE | PF_TEST_SRC | PF_TEST_DST | PF_TEST_SRC_TABLE |
		      PF_TEST_DST_TABLE | PF_TEST_SRC_RANGE | PF_TEST_DST_RANGE | PF_TEST_TOS |
		      PF_TEST_PROB | PF_TEST_TAG | PF_TEST_RCV | PF_TEST_LIMITS;

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

inline_always int rule_matches(const struct pf_tree_rule *r, struct pf_pkt *p, __u32 asked)
{
	__u32 differ = (*(const __u32 *)&p->af ^ r->head) & r->head_mask, tests = r->tests;

	differ |= (*(const __u32 *)&p->icmp_type ^ r->icmp) & r->icmp_mask;
	differ |= (p->src.w[0] ^ r->src0) & r->src0_mask;
	differ |= (p->dst.w[0] ^ r->dst0) & r->dst0_mask;
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
	__u32 via;   /* the anchor's rule that led to it; PF_TREE_NONE none */
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

/* --- the trees --- */

/* What the walk comes to; a global function returns a number. */
enum walked { WALK_ON, WALK_OVER, WALK_FAILED, WALK_MOVED };

inline_always void fill_fields(struct pf_pkt *p)
{
	__u32 *f = p->field;

	for (int i = 0; i < 4; i++) {
		f[PF_TREE_SRC + i] = bpf_ntohl(p->src.w[i]);
		f[PF_TREE_DST + i] = bpf_ntohl(p->dst.w[i]);
	}
	f[PF_TREE_SPORT] = p->sport;
	f[PF_TREE_DPORT] = p->dport;
	f[PF_TREE_PROTO] = p->proto;
	f[PF_TREE_DIR] = p->dir;
	f[PF_TREE_IFACE] = p->ifmask.name;
	f[PF_TREE_ICMP] = (__u32)p->icmp_type << 8 | p->icmp_code;
}

/* A tree on the way down: the node, and all ones if there is a tree. */
struct descent {
	__u32 at, there;
};

/*
 * Where there is no tree it stays at any node, and takes nothing from there.  Without a
 * branch: the verifier would go down for each combination of trees.
 */
inline_always struct descent root_of(__u32 root)
{
	__u64 none = ((__u64)root + 1) >> 32; /* PF_TREE_NONE is all ones */
	struct descent d;

	opaque(none);
	d.there = (__u32)none - 1;
	d.at = root & d.there;
	return d;
}

/*
 * One step down, or none from a leaf.  Without a branch, which could not be foretold;
 * `going` is all ones while there is a tree that has not come to its leaf.  What could
 * only be if the nodes were wrong ends it all: the verifier would follow it to the end.
 */
inline_always int step_down(struct descent *d, const struct pf_pkt *p, __u32 *going)
{
	struct pf_tree_node *n = bpf_map_lookup_elem(&pf_nodes, &d->at);
	__u32 field, next, on;
	__u64 value;

	if (!n)
		return -1;
	next = n->next_field;
	field = next & 15;
	value = n->value;
	value -= p->field[field];
	opaque(value);
	next = (next >> 4) + (__u32)(value >> 63);
	on = (((field + 1) >> 4) - 1) & d->there; /* PF_TREE_LEAF is 15 */
	opaque(on);
	*going |= on;
	d->at ^= (d->at ^ next) & on;
	return 0;
}

inline_always void take_leaf(const struct descent *d, struct pf_tree_list *l)
{
	__u32 at = d->at | ~d->there;
	struct pf_tree_node *n = bpf_map_lookup_elem(&pf_nodes, &at);

	l->left = n ? n->next_field >> 4 : 0;
	l->at = n ? n->value : 0;
	list_next(l);
}

/*
 * The lists of the leaves that the packet comes to.  Down all trees at once: each step
 * waits for the memory of the one before it, but not for that of the other trees.
 */
inline_always int descend(const __u32 root[PF_TREE_GROUPS], struct pf_pkt *p,
			  struct pf_walk_frame *f)
{
	struct descent a = root_of(root[0]), b = root_of(root[1]), c = root_of(root[2]);

	for (int depth = 0; depth < PF_TREE_DEPTH_MOST; depth++) {
		__u32 going = 0;

		if (step_down(&a, p, &going) || step_down(&b, p, &going) ||
		    step_down(&c, p, &going))
			return WALK_FAILED;
		if (!going)
			break;
	}
	take_leaf(&a, &f->list[0]);
	take_leaf(&b, &f->list[1]);
	take_leaf(&c, &f->list[2]);
	return WALK_ON;
}

/* The next candidate of all lists. */
inline_always __u32 walk_next(struct pf_walk_frame *f)
{
	__u32 a = list_rule(&f->list[0]), b = list_rule(&f->list[1]), c = list_rule(&f->list[2]);
	__u32 head;

	if (a <= b && a <= c) {
		head = f->list[0].head;
		list_next(&f->list[0]);
	} else if (b <= c) {
		head = f->list[1].head;
		list_next(&f->list[1]);
	} else {
		head = f->list[2].head;
		list_next(&f->list[2]);
	}
	return head;
}

/*
 * Begins with the rules of a set, or goes on behind those before `from`.  Not static: the
 * verifier looks at it once.
 */
__attribute__((noinline)) int begin_set(struct pf_pkt *p, __u32 depth, __u32 set, __u32 from)
{
	struct pf_tree_set *s = bpf_map_lookup_elem(&pf_sets, &set);
	struct pf_walk_frame *f;

	if (!p || !s || depth > PF_WALK_DEPTH)
		return WALK_FAILED;
	f = &p->frame[depth];
	f->set = set;
	f->from = from;
	f->moves = p->moves;
	return descend(s->root[p->af == PF_AF_INET6], p, f);
}

/* The packet is not what it was when the lists were looked up: others may hold what matches it. */
inline_always int look_up_again(struct pf_pkt *p, __u32 depth, __u32 from)
{
	if (depth > PF_WALK_DEPTH)
		return WALK_FAILED;
	fill_fields(p);
	return begin_set(p, depth, p->frame[depth].set, from);
}

/* --- anchors --- */

/*
 * A list has ended: on to the next ruleset that the anchor calls, or back to the one
 * that the anchor's rule is in.  If that is quick, and something in it has won, the
 * walk is over.
 */
__attribute__((noinline)) int end_of_list(struct pf_pkt *p)
{
	struct pf_walk_frame *f;
	struct pf_tree_callee *c;
	__u32 depth, at;

	if (!p)
		return WALK_FAILED;
	depth = p->depth;
	if (!depth)
		return WALK_OVER;
	if (depth > PF_WALK_DEPTH)
		return WALK_FAILED;
	f = &p->frame[depth];
	if (f->left) {
		at = f->at;
		c = bpf_map_lookup_elem(&pf_callees, &at);
		if (!c)
			return WALK_FAILED;
		f->at++;
		f->left--;
		return begin_set(p, depth, c->set, 0);
	}
	if (f->quick && f->won_before != p->won)
		return WALK_OVER;
	depth--;
	opaque(depth);
	if (depth > PF_WALK_DEPTH) /* never, which 6.1 does not see */
		return WALK_FAILED;
	p->depth = depth;
	if (p->frame[depth].moves != p->moves)
		return look_up_again(p, depth, f->rule + 1);
	return WALK_ON;
}

/* An anchor's rule has matched: down into what it calls. */
__attribute__((noinline)) int enter_anchor(struct pf_pkt *p, __u32 rule, __u32 call, __u32 quick)
{
	struct pf_tree_call *c = bpf_map_lookup_elem(&pf_calls, &call);
	struct pf_walk_frame *f;
	__u32 depth;

	if (!p || !c)
		return WALK_FAILED;
	depth = p->depth;
	if (depth >= PF_WALK_DEPTH)
		return WALK_FAILED;
	depth++;
	f = &p->frame[depth];
	f->rule = rule;
	f->at = c->first;
	f->left = c->n;
	f->quick = quick;
	f->won_before = p->won;
	/* no rules yet: the next step looks for those of the first callee */
	for (int i = 0; i < PF_TREE_GROUPS; i++) {
		f->list[i].head = PF_TREE_NONE;
		f->list[i].left = 0;
	}
	p->depth = depth;
	return WALK_ON;
}

/* The packet becomes another for the rules that follow. */
inline_always int move(struct pf_pkt *p, __u32 nat)
{
	__u32 index = nat - 1;
	struct pf_nat *n = bpf_map_lookup_elem(&pf_nats, &index);

	if (!n)
		return WALK_FAILED;
	translate(p, n, nat);
	return WALK_MOVED;
}

/* A `match` rule has matched; a packet with too many of them fails. */
__attribute__((noinline)) int add_match(struct pf_pkt *p, __u32 rule, __u32 via)
{
	struct pf_rule_info *info = bpf_map_lookup_elem(&pf_infos, &rule), *anchor;
	struct pf_matched *m;
	__u32 n;

	if (!p || !info)
		return WALK_FAILED;
	n = p->nmatched;
	if (n >= PF_MATCH_MOST)
		return WALK_FAILED;
	m = &p->matched[n];
	m->id = info->id;
	m->nr = info->nr;
	m->flags = info->flags & PF_RULE_LOG;
	m->anchor_nr = ~0U;
	anchor = bpf_map_lookup_elem(&pf_infos, &via);
	if (via != PF_TREE_NONE && anchor)
		m->anchor_nr = anchor->nr;
	p->nmatched = n + 1;
	return info->nat ? move(p, info->nat) : WALK_ON;
}

/* --- the walk --- */

inline_always int fail(struct walk *w)
{
	w->won = nrules + 1;
	return 1;
}

inline_always int walk_end(struct walk *w, int what)
{
	if (what == WALK_FAILED)
		return fail(w);
	return what == WALK_OVER;
}

inline_always int match_hit(struct walk *w, struct pf_walk_frame *f, __u32 at)
{
	int what = add_match(w->p, at, f->rule);

	if (what == WALK_MOVED)
		what = look_up_again(w->p, w->p->depth, at + 1);
	return what == WALK_FAILED ? fail(w) : 0;
}

inline_always __u32 verdict_hit(struct walk *w, struct pf_walk_frame *f, __u32 at)
{
	w->won = at;
	w->via = f->rule;
	w->p->won++;
	return 1;
}

/* All but the last test are met; 1 when the walk is over. */
inline_always int rule_hit(struct walk *w, struct pf_walk_frame *f, const struct pf_tree_rule *r,
			   __u32 at)
{
	__u32 kind_quick = r->kind_quick;

	/* its limiter blocks the packet: there the walk ends */
	if (unlikely(READ_ONCE(r->tests) & PF_TEST_LIMITS) && w->p->limited)
		return verdict_hit(w, f, at);
	/* the last test; read anew, or the verifier follows what is known of the bits */
	if (metered_rules && READ_ONCE(r->tests) & PF_TEST_RATE &&
	    !ask_meter(w->p, at, PF_METER_RATE))
		return 0;
	if (r->tag)
		w->p->tag = r->tag;
	if (likely(kind_quick >> 1 == PF_TREE_VERDICT))
		return verdict_hit(w, f, at) & kind_quick;
	/* if another packet was faster it does not match after all */
	if (kind_quick >> 1 == PF_TREE_ONCE)
		return ask_meter(w->p, at, PF_METER_TAKE) && verdict_hit(w, f, at) & kind_quick;
	if (kind_quick >> 1 == PF_TREE_MATCH) {
		if (match_hit(w, f, at))
			return 1;
		return kind_quick & 1;
	}
	return walk_end(w, enter_anchor(w->p, at, r->call, kind_quick & 1));
}

/* One candidate; 1 when the walk is over. */
inline_always int walk_step(struct walk *w)
{
	__u32 depth = w->p->depth, head, at;
	const struct pf_tree_rule *r;
	struct pf_walk_frame *f;
	struct pf_evals *evals;
	__u32 part;

	if (depth > PF_WALK_DEPTH)
		return fail(w);
	f = &w->p->frame[depth];
	head = walk_next(f);
	if (head == PF_TREE_NONE)
		return depth ? walk_end(w, end_of_list(w->p)) : 1;
	at = head & ~PF_TREE_SURE;
	if (unlikely(at < f->from))
		return 0;
	r = bpf_map_lookup_elem(&pf_rules, &at);
	part = at / PF_EVALS_EACH;
	evals = bpf_map_lookup_elem(&pf_evals, &part);
	if (!r || !evals)
		return fail(w);
	if (metered_rules && r->kind_quick >> 1 == PF_TREE_ONCE &&
	    !ask_meter(w->p, at, PF_METER_OPEN))
		return 0;
	evals->n[at % PF_EVALS_EACH]++;
	if (!(head & PF_TREE_SURE) && !rule_matches(r, w->p, w->asked))
		return 0;
	return rule_hit(w, f, r, at);
}

static long walk_on(__u32 i, struct walk *w)
{
	return walk_step(w);
}

/* --- around it --- */

/* Which of the interfaces that rules name this is. */
inline_always void fill_ifmask(__u32 ifindex, struct pf_ifmask *to)
{
	struct pf_ifmask *m;

	if (ifindex < IFACE_DIRECT)
		m = bpf_map_lookup_elem(&pf_ifaces, &ifindex);
	else
		m = bpf_map_lookup_elem(&pf_ifaces_far, &ifindex);
	if (m)
		*to = *m;
	else
		__builtin_memset(to, 0, sizeof(*to));
}

/* What the packet's numbers begin with: the kernel's, or the tests'. */
inline_always void fill_seed(struct pf_pkt *p)
{
	__u32 zero = 0;
	struct pf_config *cfg = bpf_map_lookup_elem(&pf_config, &zero);

	p->seed = cfg ? cfg->random_seed : 0;
	if (!p->seed)
		p->seed = bpf_get_prandom_u32();
}

inline_always int unjudged(void)
{
	__u32 which = PF_CNT_UNJUDGED;
	__u64 *n = bpf_map_lookup_elem(&pf_counters, &which);

	if (n)
		++*n;
	return VERDICT_DROP;
}

#define STEPS_MOST (1 << 23)

inline_always void walk_rules(struct walk *w)
{
	for (int i = 0; i < NEAR; i++)
		if (walk_step(w))
			return;
	if (bpf_loop(STEPS_MOST, walk_on, w, 0) == STEPS_MOST)
		fail(w);
}

/* The information of the rule that has won, and of the anchor that led to it. */
inline_always int take_info(struct walk *w)
{
	struct pf_rule_info *info = bpf_map_lookup_elem(&pf_infos, &w->won), *anchor;
	struct pf_pkt *p = w->p;

	if (!info)
		return 0;
	p->rule_index = w->won;
	p->rule = *info;
	if (info->nat && !p->limited && move(p, info->nat) == WALK_FAILED)
		return 0;
	if (w->via == PF_TREE_NONE || w->won >= nrules)
		return 1;
	anchor = bpf_map_lookup_elem(&pf_infos, &w->via);
	if (!anchor)
		return 0;
	p->rule.anchor = anchor->id;
	p->rule.anchor_nr = anchor->nr;
	return 1;
}

SEC("tc") int pf_rules_tree(struct __sk_buff *skb)
{
	__u32 zero = 0, unknown = unknown_zero();
	struct walk w = {.won = nrules + unknown, .via = PF_TREE_NONE + unknown};
	struct pf_pkt *p = bpf_map_lookup_elem(&pf_scratch, &zero);

	if (!p)
		return VERDICT_DROP;
	w.p = p;
	w.asked = tests_of(p);
	if (name_ifaces)
		fill_ifmask(p->ifindex, &p->ifmask);
	if (name_received)
		fill_ifmask(p->rcv_ifindex, &p->rcvmask);
	if (random_rules)
		fill_seed(p);
	fill_fields(p);
	p->won = 0;
	p->depth = 0;
	p->frame[0].rule = PF_TREE_NONE;
	if (begin_set(p, 0, 0, 0) != WALK_ON)
		return unjudged();
	walk_rules(&w);
	if (!take_info(&w))
		return unjudged();
	bpf_tail_call(skb, &pf_jump, PF_GEN_APPLY);
	return unjudged();
}
