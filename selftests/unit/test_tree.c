// SPDX-License-Identifier: BSD-2-Clause
/*
 * Emitter B's trees and records, walked here by plain code, against a plain reading
 * of the rules.  selftests/test_rules.py does the like with the program itself.
 */
#include "../../compiler/tree.h"
#include "naive.h"

/* --- the walk --- */

static uint32_t field_of(const struct pf_pkt *p, uint32_t field, uint32_t iface)
{
	switch (field) {
	case PF_TREE_SPORT:
		return p->sport;
	case PF_TREE_DPORT:
		return p->dport;
	case PF_TREE_PROTO:
		return p->proto;
	case PF_TREE_DIR:
		return p->dir;
	case PF_TREE_IFACE:
		return iface;
	case PF_TREE_ICMP:
		return (uint32_t)p->icmp_type << 8 | p->icmp_code;
	default:
		assert_true(field < PF_TREE_SPORT);
		return ntohl(field < PF_TREE_DST ? p->src.w[field] : p->dst.w[field - PF_TREE_DST]);
	}
}

/* The leaf that the packet comes to, each node looked at once at the most. */
static const struct pf_tree_node *leaf_of(const struct pf_tree *t, uint32_t at,
					  const struct pf_pkt *p, uint32_t iface)
{
	for (int depth = 0; depth <= PF_TREE_DEPTH_MOST; depth++) {
		const struct pf_tree_node *n = &t->nodes[at];
		uint32_t field = n->next_field & 15;

		assert_true(at < t->nnodes);
		if (field == PF_TREE_LEAF)
			return n;
		at = (n->next_field >> 4) + (field_of(p, field, iface) > n->value);
	}
	fail_msg("the tree is deeper than the program looks");
	return NULL;
}

/* In the mask: the bits of what the interface is, and its own name. */
static struct pf_ifmask mask_of(const struct pf_compiled *c, uint32_t ifindex)
{
	struct pf_ifmask m;

	memset(&m, 0, sizeof(m));
	for (size_t i = 0; i < ARRAY_SIZE(naive_ifaces); i++) {
		if (naive_ifaces[i].index != ifindex)
			continue;
		for (size_t bit = 0; bit < c->nifaces; bit++) {
			if (!naive_iface_is(&naive_ifaces[i], c->ifaces[bit]))
				continue;
			m.w[bit / 32] |= 1U << bit % 32;
			if (!c->iface_own[bit])
				continue;
			assert_int_equal(m.name, 0);
			m.name = (uint32_t)bit + 1;
		}
	}
	return m;
}

static bool table_holds(uint32_t slot, uint8_t af, const struct pf_addr *addr)
{
	for (size_t i = 0; i < ARRAY_SIZE(naive_tables); i++) {
		const struct pf_table_entry *e;

		if (NAIVE_SLOT(i) != (int)slot)
			continue;
		e = naive_longest(i, af, (const uint8_t *)addr);
		return e && !e->neg;
	}
	fail_msg("slot %u is no table's", slot);
	return false;
}

static bool words_match(const struct pf_addr *a, const struct pf_addr *b, const struct pf_addr *m)
{
	for (int i = 0; i < 4; i++)
		if ((a->w[i] ^ b->w[i]) & m->w[i])
			return false;
	return true;
}

static uint32_t word_at(const void *p)
{
	uint32_t w;

	memcpy(&w, p, sizeof(w));
	return w;
}

/* pf_tree_rule, as abi.h describes it. */
static bool record_matches(const struct pf_tree_rule *r, const struct pf_pkt *p,
			   const struct pf_ifmask *m)
{
	const uint32_t t = r->tests;
	const bool sport = p->sport >= r->sport && p->sport <= r->sport + r->sport_span;
	const bool dport = p->dport >= r->dport && p->dport <= r->dport + r->dport_span;

	if ((word_at(&p->af) ^ r->head) & r->head_mask ||
	    (word_at(&p->icmp_type) ^ r->icmp) & r->icmp_mask ||
	    (p->src.w[0] ^ r->src0) & r->src0_mask || (p->dst.w[0] ^ r->dst0) & r->dst0_mask)
		return false;
	if (sport == !!(t & PF_TEST_SPORT_NOT) || dport == !!(t & PF_TEST_DPORT_NOT))
		return false;
	if (t & PF_TEST_IFACE &&
	    (m->w[r->ifbit / 32] >> r->ifbit % 32 & 1) == !!(t & PF_TEST_IFACE_NOT))
		return false;
	if (t & PF_TEST_SRC &&
	    words_match(&p->src, &r->src, &r->src_mask) == !!(t & PF_TEST_SRC_NOT))
		return false;
	if (t & PF_TEST_DST &&
	    words_match(&p->dst, &r->dst, &r->dst_mask) == !!(t & PF_TEST_DST_NOT))
		return false;
	if (t & PF_TEST_SRC_TABLE &&
	    table_holds(r->src.w[0], p->af, &p->src) == !!(t & PF_TEST_SRC_NOT))
		return false;
	if (t & PF_TEST_DST_TABLE &&
	    table_holds(r->dst.w[0], p->af, &p->dst) == !!(t & PF_TEST_DST_NOT))
		return false;
	return !(t & PF_TEST_WHOLE && p->frag == PF_FRAG_LATER) &&
	       !(t & PF_TEST_FRAGMENT && p->frag == PF_FRAG_NONE) &&
	       !(t & PF_TEST_KEEP && p->keep_never) &&
	       !(t & PF_TEST_FLAGS && p->proto == 6 &&
		 (p->frag == PF_FRAG_LATER || (p->tcp_flags & r->flagset) != r->flags));
}

/* Which rules the leaves name for the packet; *sure of them match it for certain. */
static void candidates(const struct pf_compiled *c, const struct pf_pkt *p, bool *named, bool *sure)
{
	const struct pf_tree *t = &c->tree;
	const struct pf_ifmask m = mask_of(c, p->ifindex);

	memset(named, 0, c->nrules);
	memset(sure, 0, c->nrules);
	for (int g = 0; g < PF_TREE_GROUPS; g++) {
		uint32_t root = t->sets[0].root[p->af == PF_AF_INET6][g];
		const struct pf_tree_node *leaf;
		uint32_t last = 0;

		if (root == PF_TREE_NONE)
			continue;
		leaf = leaf_of(t, root, p, m.name);
		for (uint32_t i = 0; i < leaf->next_field >> 4; i++) {
			uint32_t entry = t->entries[leaf->value + i];
			uint32_t rule = entry & ~PF_TREE_SURE;

			assert_true(leaf->value + i < t->nentries);
			if (rule >= c->nrules || (i && rule <= last))
				fail_msg("leaf entry %u: rule %u behind %u", i, rule, last);
			if (named[rule])
				fail_msg("rule %u is in two trees", rule);
			last = rule;
			named[rule] = true;
			sure[rule] = entry & PF_TREE_SURE;
		}
	}
}

static void check_packet(const struct pf_compiled *c, const struct pf_ruleset *rs,
			 const struct pf_pkt *p, bool *named, bool *sure)
{
	const struct pf_ifmask m = mask_of(c, p->ifindex);

	candidates(c, p, named, sure);
	for (size_t i = 0; i < c->nrules; i++) {
		bool matches = naive_misses(&pf_filter(rs)->v[i], p) == NAIVE_MATCH;
		const char *what = NULL;

		if (record_matches(&c->tree.rules[i], p, &m) != matches &&
		    !(c->tree.rules[i].tests & PF_TEST_NEVER))
			what = "its record is wrong";
		else if (matches && !named[i])
			what = "it is in no leaf";
		else if (sure[i] && !matches)
			what = "it is said to match for sure";
		if (what) {
			naive_say_rules(rs);
			naive_say_packet(p);
			fail_msg("rule %zu, which %s: %s", i,
				 matches ? "matches" : "does not match", what);
		}
		/* what stands behind it need not be named */
		if (matches && pf_filter(rs)->v[i].quick)
			return;
	}
}

/* --- tests --- */

static void check_many(size_t rulesets, size_t rules, size_t packets)
{
	struct rnd r = rnd_seeded();

	for (size_t i = 0; i < rulesets; i++) {
		size_t n = rules < 100 ? rnd_below(&r, (uint32_t)rules + 1) : rules;
		pf_ruleset_auto rs = naive_ruleset(&r, n);
		pf_compiled_auto c = naive_compile_by(rs, PF_EMITTER_TREE);
		bool *named = calloc(n + 1, sizeof(*named)), *sure = calloc(n + 1, sizeof(*sure));

		for (size_t k = 0; k < packets; k++) {
			struct pf_pkt p;

			naive_packet(&r, &p);
			check_packet(c, rs, &p, named, sure);
		}
		free(named);
		free(sure);
	}
}

static void single_rules(void **state)
{
	(void)state;
	check_many(20000, 1, 8);
}

static void small_rulesets(void **state)
{
	(void)state;
	check_many(10000, 12, 16);
}

static void middling_rulesets(void **state)
{
	(void)state;
	check_many(1000, 90, 50);
}

static void large_rulesets(void **state)
{
	(void)state;
	check_many(4, 3000, 300);
}

/* Rules that overlap in every dimension would make a tree without an end. */
static void copies_are_bounded(void **state)
{
	struct rnd r = rnd_seeded();
	const size_t n = 2000;
	pf_ruleset_auto rs = pf_ruleset_new();
	pf_compiled_auto c = NULL;

	(void)state;
	for (size_t i = 0; i < n; i++) {
		struct pf_rule *rule = pf_ruleset_add_rule(rs);

		rule->proto = 17;
		rule->sport = (struct pf_rule_port){.op = PF_PORT_RANGE,
						    .lo = (uint16_t)rnd_below(&r, 30000),
						    .hi = (uint16_t)(30001 + rnd_below(&r, 30000))};
		rule->dport = (struct pf_rule_port){.op = PF_PORT_RANGE,
						    .lo = (uint16_t)rnd_below(&r, 30000),
						    .hi = (uint16_t)(30001 + rnd_below(&r, 30000))};
	}
	c = naive_compile_by(rs, PF_EMITTER_TREE);
	/* two families; a leaf more or less when the budget ends */
	assert_true(c->tree.nentries < 2 * (n * 8 + 4096) + 100 * n);
	assert_true(c->tree.depth <= PF_TREE_DEPTH_MOST);
}

static void no_rules(void **state)
{
	pf_ruleset_auto rs = pf_ruleset_new();
	pf_compiled_auto c = naive_compile_by(rs, PF_EMITTER_TREE);

	(void)state;
	assert_int_equal(c->emitter, PF_EMITTER_TREE);
	assert_int_equal(c->tree.nnodes, 0);
	for (int family = 0; family < 2; family++)
		for (int group = 0; group < PF_TREE_GROUPS; group++)
			assert_int_equal(c->tree.sets[0].root[family][group], PF_TREE_NONE);
}

/* As many hosts: a packet meets each rule of A's, and hardly any of B's. */
static void the_cheaper_emitter_is_chosen(void **state)
{
	static const struct {
		uint32_t rules;
		bool hosts; /* or: all is said with the first, which is quick */
		enum pf_emitter want;
	} cases[] = {{60, true, PF_EMITTER_LINEAR},
		     {480, true, PF_EMITTER_TREE},
		     {480, false, PF_EMITTER_LINEAR}};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		pf_ruleset_auto rs = pf_ruleset_new();
		pf_compiled_auto c = NULL;

		for (uint32_t k = 0; k < cases[i].rules; k++) {
			struct pf_rule *r = pf_ruleset_add_rule(rs);

			r->quick = !cases[i].hosts;
			if (!cases[i].hosts)
				continue;
			r->af = PF_FAMILY_INET;
			r->dst = (struct pf_rule_host){
				.type = PF_HOST_PREFIX, .af = PF_FAMILY_INET, .bits = 32};
			r->dst.ip.b[0] = 10;
			r->dst.ip.b[2] = (uint8_t)(k >> 8);
			r->dst.ip.b[3] = (uint8_t)k;
		}
		c = naive_compile_by(rs, PF_EMITTER_AUTO);
		assert_int_equal(c->emitter, cases[i].want);
	}
}

/* Few rules are A's, many are B's, and few that A cannot hold are, too. */
static void emitters_are_chosen(void **state)
{
	static const struct {
		size_t rules;
		enum pf_emitter want;
	} cases[] = {{1, PF_EMITTER_LINEAR}, {100, PF_EMITTER_LINEAR}, {5000, PF_EMITTER_TREE}};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		pf_ruleset_auto rs = pf_ruleset_new();
		pf_compiled_auto c = NULL;

		for (size_t k = 0; k < cases[i].rules; k++)
			assert_non_null(pf_ruleset_add_rule(rs));
		c = naive_compile_by(rs, PF_EMITTER_AUTO);
		assert_int_equal(c->emitter, cases[i].want);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(single_rules),
		cmocka_unit_test(small_rulesets),
		cmocka_unit_test(middling_rulesets),
		cmocka_unit_test(large_rulesets),
		cmocka_unit_test(copies_are_bounded),
		cmocka_unit_test(no_rules),
		cmocka_unit_test(emitters_are_chosen),
		cmocka_unit_test(the_cheaper_emitter_is_chosen),
	};

	return unit_run(tests);
}
