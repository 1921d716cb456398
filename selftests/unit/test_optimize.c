// SPDX-License-Identifier: BSD-2-Clause
/*
 * grammar/optimize: what the rules say before and after, by a plain reading of
 * them; and what is and is not done to some that are written by hand.
 */
#include "../../grammar/covers.h"
#include "../../grammar/names.h"
#include "../../grammar/optimize.h"
#include "judge.h"

/* Fixed: a failure names the seed that it takes. */
#define SEED	 0x0b5d0b5dULL
#define RULESETS 4000
#define PACKETS	 60

/* --- before and after --- */

/* What the optimiser was seen to do: a test in which it does nothing is none. */
static struct {
	size_t removed, tables, moved;
} seen;

static void count_changes(const struct pf_ruleset *rs, size_t had)
{
	const struct pf_rule_list *l = pf_filter(rs);

	seen.removed += had - l->n;
	for (size_t i = 0; i < rs->main.ntables; i++)
		seen.tables += rs->main.tables[i].automatic;
	for (size_t i = 1; i < l->n; i++)
		seen.moved += l->v[i].line < l->v[i - 1].line;
}

static void check_again(struct pf_ruleset *rs, enum pf_optimize level, uint64_t seed)
{
	size_t n = pf_filter(rs)->n, size = n * sizeof(struct pf_rule);
	struct pf_rule *once = malloc(size + 1);

	memcpy(once, pf_filter(rs)->v, size);
	assert_int_equal(pf_ruleset_optimize(rs, level, NULL), 0);
	if (pf_filter(rs)->n != n || memcmp(once, pf_filter(rs)->v, size) != 0)
		fail_msg("seed %#llx: optimised twice is not once", (unsigned long long)seed);
	free(once);
}

static void check_ruleset(uint64_t seed, bool profile)
{
	const enum pf_optimize level = profile ? PF_OPTIMIZE_PROFILE : PF_OPTIMIZE_BASIC;
	struct rnd before = {.s = seed}, after = {.s = seed};
	pf_ruleset_auto rs = random_ruleset(&before);
	pf_ruleset_auto best = random_ruleset(&after);
	uint64_t weights[64];

	for (size_t i = 0; i < ARRAY_SIZE(weights); i++)
		weights[i] = rnd_below(&before, 5);
	assert_int_equal(pf_ruleset_optimize(best, level, profile ? weights : NULL), 0);
	for (int i = 0; i < PACKETS; i++) {
		struct packet p = random_packet(&before);
		struct outcome a = judge(rs, &p), b = judge(best, &p);

		if (a.rule && b.rule && a.rule->x && a.rule->x->anchor)
			fail();
		if (!same_outcome(&a, &b))
			fail_msg("seed %#llx, packet %d: line %u before, %u after",
				 (unsigned long long)seed, i, a.rule ? a.rule->line : 0,
				 b.rule ? b.rule->line : 0);
	}
	count_changes(best, pf_filter(rs)->n);
	if (!profile)
		check_again(best, level, seed);
}

static void no_packet_can_tell_the_difference(void **state)
{
	(void)state;
	memset(&seen, 0, sizeof(seen));
	for (uint64_t i = 0; i < RULESETS; i++)
		check_ruleset(SEED + i, i % 4 == 0);
	if (seen.removed < RULESETS || seen.tables < RULESETS / 20 || seen.moved < RULESETS / 4)
		fail_msg("%zu removed, %zu tables, %zu moved", seen.removed, seen.tables,
			 seen.moved);
}

/* a covers b: no packet that b matches is not matched by a. */
static void what_covers_matches_as_much(void **state)
{
	const struct mood m = {.wide = 10, .block = 50};
	struct rnd r = {.s = SEED};
	pf_ruleset_auto rs = pf_ruleset_new();
	const struct outcome o = {.rule = NULL};
	size_t found = 0;

	(void)state;
	add_tables(rs);
	for (int i = 0; i < 60000; i++) {
		struct pf_rule a = random_rule(&r, &m), b = a;

		vary(&r, &a, &m);
		vary(&r, &b, &m);
		if (rnd_percent(&r, 20))
			b = random_rule(&r, &m);
		if (pf_rule_same_match(&a, &b, PF_BUT_NOTHING)) {
			assert_true(pf_rule_covers(&a, &b) && pf_rule_covers(&b, &a));
			assert_true(pf_rule_hash(&a, PF_BUT_NOTHING) ==
				    pf_rule_hash(&b, PF_BUT_NOTHING));
		}
		if (!pf_rule_covers(&a, &b))
			continue;
		found++;
		for (int j = 0; j < 12; j++) {
			struct packet p = random_packet(&r);

			if (rule_matches(rs, &rs->main, &b, &p, &o) &&
			    !rule_matches(rs, &rs->main, &a, &p, &o))
				fail_msg("pair %d, packet %d", i, j);
		}
	}
	assert_true(found > 5000);
}

/* nr: 0 to 489 */
static struct pf_rule_port port_of(uint32_t nr)
{
	static const uint16_t numbers[] = {0, 1, 2, 3, 4, 65534, 65535};

	return (struct pf_rule_port){.op = (enum pf_port_op)(nr % (PF_PORT_OUTSIDE + 1)),
				     .lo = numbers[nr / 10 % ARRAY_SIZE(numbers)],
				     .hi = numbers[nr / 10 / ARRAY_SIZE(numbers)]};
}

static void ports_cover_what_they_take(void **state)
{
	static const uint16_t tries[] = {0, 1, 2, 3, 4, 5, 1000, 65533, 65534, 65535};
	const uint32_t n = 10 * 7 * 7;
	const struct pf_rule udp = {.proto = PF_PROTO_UDP};
	size_t found = 0;

	(void)state;
	for (uint32_t i = 0; i < n * n; i++) {
		const struct pf_rule_port pa = port_of(i / n), pb = port_of(i % n);
		struct pf_rule a = udp, b = udp;

		a.dport = pa;
		b.dport = pb;
		if (!pf_rule_covers(&a, &b))
			continue;
		found++;
		for (size_t j = 0; j < ARRAY_SIZE(tries); j++)
			if (plain_port_matches(&pb, tries[j]) && !plain_port_matches(&pa, tries[j]))
				fail_msg("pair %u, port %u", i, tries[j]);
		/* a later fragment has no ports */
		assert_true(pb.op != PF_PORT_ANY || pa.op == PF_PORT_ANY);
		a = b = udp;
		a.sport = pa;
		assert_int_equal(pf_rule_covers(&a, &b), pa.op == PF_PORT_ANY);
		b.sport = pb;
		assert_true(pf_rule_covers(&a, &b));
	}
	assert_true(found > n);
}

/* All prefixes of the last eight bits. */
static void prefixes_cover_what_is_in_them(void **state)
{
	struct pf_rule a = {.af = 4}, b = {.af = 4};
	size_t found = 0;

	(void)state;
	a.src = (struct pf_rule_host){.type = PF_HOST_PREFIX, .af = 4};
	b.src = a.src;
	for (uint32_t i = 0; i < 64 * 64 * 9; i++) {
		uint32_t na = i % 64, nb = i / 64 % 64, ba = i / 4096;

		a.src.bits = (uint8_t)(24 + ba);
		a.src.ip.b[3] = (uint8_t)(na * 4 + na % 4);
		b.src.ip.b[3] = (uint8_t)(nb * 4 + nb % 3);
		for (b.src.bits = 24; b.src.bits <= 32; b.src.bits++) {
			uint32_t bits = a.src.bits < b.src.bits ? a.src.bits : b.src.bits;
			bool want = a.src.bits <= b.src.bits &&
				    plain_in_net(b.src.ip.b, a.src.ip.b, bits);

			assert_int_equal(pf_rule_covers(&a, &b), want);
			found += want;
		}
	}
	assert_true(found > 1000);
}

/* --- by hand --- */

/* 10.0.0.n/bits */
static struct pf_rule_host host(uint8_t n, uint8_t bits)
{
	struct pf_rule_host h = {.type = PF_HOST_PREFIX, .af = PF_FAMILY_INET, .bits = bits};

	h.ip.b[0] = 10;
	h.ip.b[3] = n;
	pf_ip_mask(&h.ip, bits);
	return h;
}

static struct pf_rule *add_from(struct pf_ruleset *rs, char what, uint8_t n, uint8_t bits)
{
	struct pf_rule *r = add(rs, what);

	r->af = PF_FAMILY_INET;
	r->src = host(n, bits);
	return r;
}

/* Which lines are left, and in which order. */
static void expect(struct pf_ruleset *rs, const char *lines)
{
	char have[256] = "";
	size_t len = 0;

	assert_int_equal(pf_ruleset_optimize(rs, PF_OPTIMIZE_BASIC, NULL), 0);
	for (size_t i = 0; i < pf_filter(rs)->n && len < sizeof(have); i++)
		len += (size_t)snprintf(have + len, sizeof(have) - len, "%s%u", i ? " " : "",
					pf_filter(rs)->v[i].line);
	assert_string_equal(have, lines);
}

static void duplicates_and_subsets_go(void **state)
{
	pf_ruleset_auto last = pf_ruleset_new();
	pf_ruleset_auto first = pf_ruleset_new();
	pf_ruleset_auto inner = pf_ruleset_new();
	pf_ruleset_auto quick = pf_ruleset_new();

	(void)state;
	add(last, 'b');
	add(last, 'p');
	add(last, 'b');
	expect(last, "3");
	add(first, 'B');
	add(first, 'P');
	add(first, 'p');
	expect(first, "1");
	/* the wider one first, with only its like between them */
	add_from(inner, 'p', 0, 8);
	add_port(inner, 'p', 22);
	add_from(inner, 'p', 1, 32);
	expect(inner, "1 2");
	/* the quick wider one last */
	add_from(quick, 'B', 1, 32);
	add(quick, 'p');
	add_from(quick, 'B', 0, 8);
	expect(quick, "2 3");
}

static void what_is_between_them_keeps_them(void **state)
{
	pf_ruleset_auto inner = pf_ruleset_new();
	pf_ruleset_auto quick = pf_ruleset_new();
	pf_ruleset_auto match = pf_ruleset_new();

	(void)state;
	add_from(inner, 'p', 0, 8);
	add_port(inner, 'b', 22);
	add_from(inner, 'p', 1, 32);
	expect(inner, "1 2 3");
	add_from(quick, 'B', 1, 32);
	add_port(quick, 'P', 22);
	add_from(quick, 'B', 0, 8);
	expect(quick, "1 2 3");
	add(match, 'b');
	add(match, 'p')->action = PF_RULE_ACTION_MATCH;
	add(match, 'b')->log = true;
	expect(match, "1 2 3");
}

/* What a match rule translates is another packet to the rules behind it, whatever came before. */
static void translation_keeps_its_neighbours(void **state)
{
	static const struct pf_pool pool;
	static const struct pf_rule_ext nat = {.nat = &pool}, rdr = {.rdr = &pool};
	const struct pf_rule_ext *const kinds[] = {&nat, &rdr};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		pf_ruleset_auto twice = pf_ruleset_new();
		pf_ruleset_auto last = pf_ruleset_new();
		pf_ruleset_auto quick = pf_ruleset_new();
		pf_ruleset_auto passes = pf_ruleset_new();
		struct pf_rule *r;

		add_from(twice, 'b', 1, 32);
		r = add(twice, 'p');
		r->action = PF_RULE_ACTION_MATCH;
		r->x = kinds[i];
		add_from(twice, 'b', 1, 32);
		expect(twice, "1 2 3");
		/* the later rule does not cover what the packet was */
		add_from(last, 'p', 1, 32);
		r = add(last, 'p');
		r->action = PF_RULE_ACTION_MATCH;
		r->x = kinds[i];
		add_from(last, 'b', 0, 8);
		expect(last, "1 2 3");
		add_from(quick, 'B', 0, 8);
		r = add(quick, 'p');
		r->action = PF_RULE_ACTION_MATCH;
		r->x = kinds[i];
		add_from(quick, 'P', 1, 32);
		expect(quick, "1 2 3");
		/* equal rules that translate are not one, nor does another stand for them */
		add(passes, 'p')->x = kinds[i];
		add(passes, 'p')->x = kinds[i];
		add(passes, 'p');
		expect(passes, "1 2 3");
	}
}

static void labels_and_logs_are_kept(void **state)
{
	pf_ruleset_auto labels = pf_ruleset_new();
	pf_ruleset_auto logs = pf_ruleset_new();
	pf_ruleset_auto matches = pf_ruleset_new();

	(void)state;
	add(labels, 'B');
	add(labels, 'p')->label = "";
	add(labels, 'p');
	expect(labels, "1 2");
	/* the other one's log is its own */
	add_from(logs, 'p', 0, 8);
	add_from(logs, 'p', 1, 32)->log = true;
	expect(logs, "1 2");
	/* rules that decide nothing are in the log */
	add(matches, 'b');
	add(matches, 'b');
	add(matches, 'b')->x = &ext_matches;
	expect(matches, "1 2 3");
}

/* An ICMP packet that may make no state is not matched by who would make one. */
static void states_make_a_difference_to_icmp(void **state)
{
	pf_ruleset_auto any = pf_ruleset_new();
	pf_ruleset_auto tcp = pf_ruleset_new();

	(void)state;
	add(any, 'P')->keep_state = PF_STATE_KEEP;
	add(any, 'b');
	expect(any, "1 2");
	add(tcp, 'P')->keep_state = PF_STATE_KEEP;
	add(tcp, 'b')->proto = PF_PROTO_TCP;
	expect(tcp, "1");
}

/* Those without a number are left out; names may be those of groups. */
static void interfaces_are_only_compared_by_name(void **state)
{
	pf_ruleset_auto rs = pf_ruleset_new();

	(void)state;
	add(rs, 'P')->ifname = PF_IF_ANY;
	add(rs, 'b')->ifname = "eth0";
	add(rs, 'b')->ifname = "lo0";
	add(rs, 'b')->ifname = "any";
	add(rs, 'b');
	expect(rs, "1 5");
}

static void neighbours_become_a_table(void **state)
{
	pf_ruleset_auto rs = pf_ruleset_new();
	const struct pf_table_def *t;

	(void)state;
	for (uint8_t i = 10; i > 0; i--)
		add_from(rs, 'p', i, 32)->dst = host((uint8_t)(i + 100), 24);
	for (uint8_t i = 0; i < 5; i++)
		add_from(rs, 'B', (uint8_t)(i + 20), 32);
	add_port(rs, 'b', 22);
	expect(rs, "1 11 12 13 14 15 16");
	assert_int_equal(rs->main.ntables, 1);
	t = &rs->main.tables[0];
	assert_true(t->automatic && t->constant && t->has_list && !t->persist);
	assert_int_equal(t->nentries, 10);
	assert_int_equal(t->npieces, 1);
	assert_int_equal(t->pieces[0].count, 10);
	assert_int_equal(t->entries[0].ip.b[3], 1);
	assert_int_equal(strncmp(t->name, "__automatic_", 12), 0);
	assert_int_equal(pf_filter(rs)->v[0].src.type, PF_HOST_TABLE);
	assert_string_equal(pf_filter(rs)->v[0].src.table, t->name);
}

/* Lists of sources, destinations and ports: what is multiplied out is one table each. */
static void products_become_two_tables(void **state)
{
	static const uint16_t numbers[] = {22, 80};
	pf_ruleset_auto rs = pf_ruleset_new();

	(void)state;
	for (uint8_t s = 0; s < 7; s++)
		for (uint8_t d = 0; d < 7; d++)
			for (size_t p = 0; p < ARRAY_SIZE(numbers); p++) {
				struct pf_rule *r = add_port(rs, 'p', numbers[p]);

				r->af = PF_FAMILY_INET;
				r->src = host(s, 32);
				r->dst = host((uint8_t)(d + 64), 32);
			}
	expect(rs, "1 2");
	assert_int_equal(rs->main.ntables, 2);
	assert_int_equal(rs->main.tables[0].nentries, 7);
}

static void limits_leave_rules_alone(void **state)
{
	pf_ruleset_auto tables = pf_ruleset_new();
	pf_ruleset_auto entries = pf_ruleset_new();
	pf_ruleset_auto names = pf_ruleset_new();

	(void)state;
	tables->options.limit[PF_LIMIT_TABLES] = 1;
	entries->options.limit[PF_LIMIT_TABLE_ENTRIES] = 11;
	for (uint8_t i = 0; i < 6; i++) {
		add_from(tables, 'p', i, 32);
		add_from(entries, 'p', i, 32);
		add_from(names, 'p', i, 32);
	}
	expect(tables, "1 2 3 4 5 6");
	expect(entries, "1 2 3 4 5 6");
	/* whose is that? */
	add(names, 'b')->src = (struct pf_rule_host){.type = PF_HOST_TABLE,
						     .table = "__automatic_1"};
	expect(names, "1 2 3 4 5 6 7");
}

static void anchors_have_their_own(void **state)
{
	pf_ruleset_auto rs = pf_ruleset_new();
	struct pf_block *b = pf_ruleset_add_block(rs);
	const struct pf_anchor anchor = {.block = b};
	const struct pf_rule_ext x = {.anchor = &anchor};

	(void)state;
	for (uint8_t i = 0; i < 6; i++)
		add_from(rs, 'b', i, 32);
	add(rs, 'p')->x = &x;
	for (uint8_t i = 0; i < 6; i++) {
		add_from(rs, 'b', i, 32);
		*pf_rule_list_add(&b->list[PF_LIST_FILTER]) = pf_filter(rs)->v[i];
	}
	expect(rs, "1 7 8");
	assert_int_equal(rs->main.ntables, 1);
	assert_int_equal(b->list[PF_LIST_FILTER].n, 1);
	assert_int_equal(b->ntables, 1);
	assert_string_equal(b->tables[0].name, rs->main.tables[0].name);
}

static void alike_rules_come_together(void **state)
{
	static const char *const names[] = {"eth0", "eth1"};
	pf_ruleset_auto rs = pf_ruleset_new();
	pf_ruleset_auto fine = pf_ruleset_new();

	(void)state;
	for (uint16_t i = 0; i < 6; i++)
		add_port(rs, 'p', (uint16_t)(80 + i))->ifname = names[i % 2];
	expect(rs, "1 3 5 2 4 6");
	/* an order that is as good is left as it was written */
	for (uint16_t i = 0; i < 6; i++)
		add_port(fine, 'p', (uint16_t)(80 - i))->ifname = names[i < 3];
	expect(fine, "1 2 3 4 5 6");
}

static void the_profile_orders_quick_rules(void **state)
{
	static const uint64_t weights[] = {1, 9, 9, 2, 7, 3, UINT64_MAX, 1, 1, 1, 1, 1};
	static const uint32_t lines[] = {1, 2, 3, 7, 5, 6, 4};
	pf_ruleset_auto rs = pf_ruleset_new();

	(void)state;
	add_port(rs, 'P', 80);
	add_port(rs, 'p', 22);
	add_port(rs, 'p', 21);
	add_port(rs, 'P', 1);
	add_port(rs, 'P', 2);
	add_port(rs, 'P', 3)->src = host(200, 32);
	pf_filter(rs)->v[5].af = PF_FAMILY_INET;
	for (uint8_t i = 0; i < 6; i++)
		add_from(rs, 'P', i, 32)->line = 7;
	assert_int_equal(pf_ruleset_optimize(rs, PF_OPTIMIZE_PROFILE, weights), 0);
	/* runs: 1; 2 3; 4 to 7, of which 7 is six rules, with more packets than a number has */
	assert_int_equal(pf_filter(rs)->n, ARRAY_SIZE(lines));
	for (size_t i = 0; i < ARRAY_SIZE(lines); i++)
		assert_int_equal(pf_filter(rs)->v[i].line, lines[i]);
}

static void none_does_nothing(void **state)
{
	pf_ruleset_auto rs = pf_ruleset_new();
	pf_ruleset_auto empty = pf_ruleset_new();

	(void)state;
	add(rs, 'b');
	add(rs, 'b');
	assert_int_equal(pf_ruleset_optimize(rs, PF_OPTIMIZE_NONE, NULL), 0);
	assert_int_equal(pf_filter(rs)->n, 2);
	assert_int_equal(pf_ruleset_optimize(rs, PF_OPTIMIZE_DEFAULT, NULL), 0);
	assert_int_equal(pf_filter(rs)->n, 1);
	assert_int_equal(pf_ruleset_optimize(empty, PF_OPTIMIZE_PROFILE, NULL), 0);
}

/* Rules that neither cover each other nor can be a table: all of the search, for nothing. */
static void many_rules_take_linear_time(void **state)
{
	pf_ruleset_auto rs = pf_ruleset_new();
	const uint32_t n = 20000;

	(void)state;
	for (uint32_t i = 0; i < n; i++) {
		struct pf_rule *r = add_from(rs, i % 3 ? 'P' : 'b', 0, 32);

		r->dst = host((uint8_t)(i % 7), 24);
		r->src.ip.b[1] = (uint8_t)(i >> 16);
		r->src.ip.b[2] = (uint8_t)(i >> 8);
		r->src.ip.b[3] = (uint8_t)i;
	}
	for (uint32_t i = 0; i < 1000; i++)
		*pf_ruleset_add_rule(rs) = pf_filter(rs)->v[i]; /* doubles, far away */
	assert_int_equal(pf_ruleset_optimize(rs, PF_OPTIMIZE_BASIC, NULL), 0);
	assert_int_equal(pf_filter(rs)->n, n);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_packet_can_tell_the_difference),
		cmocka_unit_test(what_covers_matches_as_much),
		cmocka_unit_test(ports_cover_what_they_take),
		cmocka_unit_test(prefixes_cover_what_is_in_them),
		cmocka_unit_test(duplicates_and_subsets_go),
		cmocka_unit_test(what_is_between_them_keeps_them),
		cmocka_unit_test(translation_keeps_its_neighbours),
		cmocka_unit_test(labels_and_logs_are_kept),
		cmocka_unit_test(states_make_a_difference_to_icmp),
		cmocka_unit_test(interfaces_are_only_compared_by_name),
		cmocka_unit_test(neighbours_become_a_table),
		cmocka_unit_test(products_become_two_tables),
		cmocka_unit_test(limits_leave_rules_alone),
		cmocka_unit_test(anchors_have_their_own),
		cmocka_unit_test(alike_rules_come_together),
		cmocka_unit_test(the_profile_orders_quick_rules),
		cmocka_unit_test(none_does_nothing),
		cmocka_unit_test(many_rules_take_linear_time),
	};

	return unit_run(tests);
}
