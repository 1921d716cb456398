// SPDX-License-Identifier: BSD-2-Clause
/* compiler: skip steps, rule information, limits, and the shape of the code. */
#include "naive.h"

#define MAX_RULES      512
#define MAX_CONDITIONS 8000
#define MAX_INSNS      32000
#define MAX_IFACES     512

/* --- skip steps --- */

static void skips_are_pfs(void **state)
{
	struct rnd r = rnd_seeded();

	(void)state;
	for (int round = 0; round < 2000; round++) {
		pf_ruleset_auto rs = naive_ruleset(&r, rnd_below(&r, 40));
		struct pf_skips *skips = calloc(pf_filter(rs)->n + 1, sizeof(*skips));

		pf_skips_compute(pf_filter(rs), skips);
		for (size_t i = 0; i < pf_filter(rs)->n; i++)
			for (int what = 0; what < PF_SKIP_MAX; what++)
				assert_int_equal(skips[i].to[what], naive_skip(rs, i, what));
		free(skips);
	}
}

static void skips_of_no_rules(void **state)
{
	pf_ruleset_auto rs = pf_ruleset_new();
	struct pf_skips untouched = {{77}};

	(void)state;
	pf_skips_compute(pf_filter(rs), &untouched);
	assert_int_equal(untouched.to[0], 77);
}

/* Written by hand, so that the naive ones are tested too. */
static void skips_of_a_known_ruleset(void **state)
{
	pf_ruleset_auto rs = parse_ok("block in on a proto tcp from 10/8 to port 1\n"
				      "block in on a proto tcp from 10/8 to port 2\n"
				      "block in on ! a proto tcp from ! 10/8 to port 2\n"
				      "block out proto udp from <t>\n"
				      "block out proto udp from <t> to <t>\n");
	static const uint32_t want[][PF_SKIP_MAX] = {
		/* i, d, r, f, p, sa, da, sp, dp */
		{2, 3, 5, 3, 3, 2, 4, 5, 1}, {2, 3, 5, 3, 3, 2, 4, 5, 3},
		{3, 3, 5, 3, 3, 3, 4, 5, 3}, {5, 5, 5, 5, 5, 5, 4, 5, 5},
		{5, 5, 5, 5, 5, 5, 5, 5, 5},
	};
	struct pf_skips skips[5];

	(void)state;
	pf_skips_compute(pf_filter(rs), skips);
	for (size_t i = 0; i < 5; i++)
		for (int what = 0; what < PF_SKIP_MAX; what++)
			if (skips[i].to[what] != want[i][what])
				fail_msg("rule %zu, %s: %u, want %u", i, pf_skip_names[what],
					 skips[i].to[what], want[i][what]);
}

/* --- what apply needs to know --- */

static void rule_information(void **state)
{
	pf_ruleset_auto rs = parse_ok("pass\n"
				      "pass no state allow-opts\n"
				      "block log\n"
				      "block return\n"
				      "block return-rst(ttl 9) proto tcp\n"
				      "block return-icmp(net-unr, 3) log\n");
	static const struct {
		uint32_t flags;
		uint8_t ttl;
		uint16_t icmp, icmp6;
	} want[] = {
		{PF_RULE_KEEP, 0, 0, 0},
		{PF_RULE_ALLOWOPTS, 0, 0, 0},
		{PF_RULE_BLOCK | PF_RULE_LOG, 0, 0, 0},
		{PF_RULE_BLOCK | PF_RULE_RETURN, 0, 0x303, 0x104},
		{PF_RULE_BLOCK | PF_RULE_RETURN_RST, 9, 0, 0},
		{PF_RULE_BLOCK | PF_RULE_LOG | PF_RULE_RETURN_ICMP, 0, 0x300, 0x103},
		/* the default rule: pass, without a state */
		{0, 0, 0, 0},
	};
	pf_compiled_auto c = naive_compile(rs);
	uint32_t *ids = naive_ids(6);

	(void)state;
	assert_int_equal(c->nrules, 6);
	for (size_t i = 0; i <= 6; i++) {
		const struct pf_rule_info *info = &c->infos[i];

		assert_int_equal(info->id, i < 6 ? ids[i] : PF_RULE_DEFAULT);
		assert_int_equal(info->nr, i < 6 ? i : UINT32_MAX);
		assert_int_equal(info->flags, want[i].flags);
		assert_int_equal(info->return_ttl, want[i].ttl);
		assert_int_equal(info->return_icmp, want[i].icmp);
		assert_int_equal(info->return_icmp6, want[i].icmp6);
	}
	free(ids);
}

static int compile_error(const struct pf_ruleset *rs, struct pf_compile_error *err)
{
	uint32_t *ids = naive_ids(pf_filter(rs)->n);
	const struct pf_compile_env env = {.table_slot = naive_slot,
					   .tag_id = naive_tag,
					   .opts_number = naive_opts,
					   .rule_ids = ids,
					   .emitter = PF_EMITTER_LINEAR};
	struct pf_compiled *c = (void *)&c;
	int r;

	memset(err, 0xff, sizeof(*err));
	r = pf_ruleset_compile(rs, &env, &c, err);
	free(ids);
	if (r == 0)
		pf_compiled_free(c);
	else
		assert_ptr_equal(c, &c);
	return r;
}

static void rules_know_their_state_options(void **state)
{
	pf_ruleset_auto rs = parse_ok("pass keep state (max 7, sloppy)\n"
				      "pass keep state (if-bound, sloppy)\n"
				      "pass keep state (no-sync)\npass no state\n"
				      "pass max-pkt-rate 5/1\npass no state max-pkt-rate 5/1\n");
	pf_ruleset_auto full = parse_ok("pass\npass keep state (max 4000)\n");
	struct pf_compile_error err;

	(void)state;
	for (enum pf_emitter e = PF_EMITTER_LINEAR; e <= PF_EMITTER_TREE; e++) {
		pf_compiled_auto c = naive_compile_by(rs, e);

		assert_int_equal(c->infos[0].opts, 7);
		assert_int_equal(c->infos[0].flags, PF_RULE_KEEP | PF_RULE_SLOPPY);
		assert_int_equal(c->infos[1].opts, 0);
		assert_int_equal(c->infos[1].flags,
				 PF_RULE_KEEP | PF_RULE_SLOPPY | PF_RULE_IFBOUND);
		assert_int_equal(c->infos[2].opts, 0);
		assert_int_equal(c->infos[2].flags, PF_RULE_KEEP);
		assert_int_equal(c->infos[3].flags, 0);
		assert_int_equal(c->infos[4].flags, PF_RULE_KEEP | PF_RULE_METERED);
		assert_int_equal(c->infos[5].flags, 0);
	}
	assert_int_equal(compile_error(full, &err), -ENOSPC);
	assert_int_equal(err.line, 2);
	assert_string_equal(err.text, "no room for more rules with state options");
}

static void interfaces_are_listed_once(void **state)
{
	pf_ruleset_auto rs = parse_ok("block on { b a b ! a }\nblock\nblock on c\n");
	pf_compiled_auto c = naive_compile(rs);

	(void)state;
	assert_int_equal(c->nifaces, 3);
	assert_string_equal(c->ifaces[0], "b");
	assert_string_equal(c->ifaces[1], "a");
	assert_string_equal(c->ifaces[2], "c");
}

/* Of names that an interface can have together, the longest is its own. */
static void own_names_are_known(void **state)
{
	static const struct {
		const char *rules, *own;
	} cases[] = {
		{"wan wan0 eth0 ppp", "-+++"},
		{"wan eth0 eth0.7 eth", "+++-"},
		{"egress \"all\" any lo lo0", "-----"},
		{"tun tun1x tun1x5 tun1", "--++"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char text[100], own[16] = "";

		snprintf(text, sizeof(text), "block on { %s }\n", cases[i].rules);
		pf_ruleset_auto rs = parse_ok(text);
		pf_compiled_auto c = naive_compile(rs);

		for (size_t bit = 0; bit < c->nifaces; bit++)
			own[bit] = c->iface_own[bit] ? '+' : '-';
		assert_string_equal(own, cases[i].own);
	}
}

static void unreachable_rules_are_known(void **state)
{
	pf_ruleset_auto rs = parse_ok("block proto udp\nblock quick\nblock\npass\n");
	pf_ruleset_auto nothing = parse_ok("block from <empty>\nblock from any\n");
	pf_compiled_auto c = naive_compile(rs);
	pf_compiled_auto c2 = naive_compile(nothing);

	(void)state;
	assert_true(c->reachable[0] && c->reachable[1]);
	assert_false(c->reachable[2] || c->reachable[3]);
	assert_true(c2->reachable[0] && c2->reachable[1]);
}

/* --- evaluations --- */

static void evaluations_are_worked_out_from_edges(void **state)
{
	struct pf_edge edges[] = {{0, 2}, {1, 4}, {2, 4}};
	uint32_t rules[] = {0, 1, 2, 3};
	const struct pf_compiled c = {
		.nrules = 4, .nsteps = 4, .step_rules = rules, .edges = edges, .nedges = 3};
	/* of 100, 30 leave rule 0 for rule 2; of 70, 50 leave rule 1 for the end; 45 rule 2 */
	const uint64_t evals[] = {100, 30, 50, 45};
	/* counters of other CPUs have moved while they were read */
	const uint64_t torn[] = {100, 101, 50, 45};
	uint64_t out[4];

	(void)state;
	assert_int_equal(pf_compiled_nevals(&c), 4);
	assert_int_equal(pf_compiled_evaluations(&c, evals, out), 0);
	assert_int_equal(out[0], 100);
	assert_int_equal(out[1], 70);
	assert_int_equal(out[2], 50);
	assert_int_equal(out[3], 5);
	assert_int_equal(pf_compiled_evaluations(&c, torn, out), 0);
	assert_int_equal(out[0], 100);
	assert_int_equal(out[1], 0);
	for (int i = 0; i < 4; i++)
		assert_true(out[i] < 1000);
}

/* --- limits --- */

/* "the ruleset has N things after expansion; at most M fit: N - M too many" */
static void check_too_big(const struct pf_ruleset *rs, const char *what, size_t most)
{
	struct pf_compile_error err;
	unsigned long long have = 0, fit = 0, more = 0;
	const char *rest;
	text_auto want = NULL;

	assert_int_equal(compile_error(rs, &err), -E2BIG);
	assert_int_equal(err.line, 0);
	print_message("# %s\n", err.text);
	assert_true(asprintf(&want, " %s after expansion; at most ", what) > 0);
	rest = strstr(err.text, want);
	if (!rest || sscanf(err.text, "the ruleset has %llu", &have) != 1 ||
	    sscanf(rest + strlen(want), "%llu fit: %llu too many", &fit, &more) != 2)
		fail_msg("%s", err.text);
	assert_int_equal(fit, most);
	assert_true(have > fit);
	assert_true(have - fit == more);
}

static void too_many_rules(void **state)
{
	pf_ruleset_auto rs = pf_ruleset_new();
	pf_compiled_auto c = NULL;

	(void)state;
	while (pf_filter(rs)->n < MAX_RULES)
		pf_ruleset_add_rule(rs);
	c = naive_compile(rs);
	pf_ruleset_add_rule(rs);
	check_too_big(rs, "rules", MAX_RULES);
	while (pf_filter(rs)->n < 100000)
		pf_ruleset_add_rule(rs);
	check_too_big(rs, "rules", MAX_RULES);
}

/* Neighbours that differ in their interface share no code; 17 conditions each. */
static void too_many_conditions(void **state)
{
	const struct pf_rule_host whole = {
		.type = PF_HOST_PREFIX, .af = PF_FAMILY_INET6, .bits = 128};
	pf_ruleset_auto rs = pf_ruleset_new();

	(void)state;
	while (pf_filter(rs)->n < MAX_RULES) {
		*pf_ruleset_add_rule(rs) = (struct pf_rule){
			.ifname = pf_filter(rs)->n & 1 ? "a" : "b",
			.dir = PF_RULE_IN,
			.af = PF_FAMILY_INET6,
			.flags = 2,
			.flagset = 18,
			.src = whole,
			.dst = whole,
			.sport = {PF_PORT_RANGE, 1, 2},
			.dport = {PF_PORT_RANGE, 3, 4},
			.keep_state = true,
			.fragment = true,
		};
	}
	check_too_big(rs, "conditions", MAX_CONDITIONS);
}

/*
 * Neighbours differ in their interface, and each other criterion changes at
 * places of its own: so nearly every one leads somewhere else.
 */
static void staggered(struct pf_ruleset *rs, size_t n)
{
	const struct pf_rule_host whole = {
		.type = PF_HOST_PREFIX, .af = PF_FAMILY_INET6, .bits = 128};

	for (size_t i = 0; i < n; i++) {
#define TURN(k) ((i + (k)*7) / 60 & 1)
		struct pf_rule r = {
			.ifname = i & 1 ? "a" : "b",
			.dir = TURN(1) ? PF_RULE_IN : PF_RULE_OUT,
			.af = PF_FAMILY_INET6,
			.proto = TURN(3) ? 6 : 17,
			.src = whole,
			.dst = whole,
			.sport = {PF_PORT_RANGE, TURN(6), 9},
			.dport = {PF_PORT_RANGE, TURN(7), 9},
		};

		r.src.ip.b[0] = TURN(4);
		r.dst.ip.b[0] = TURN(5);
		*pf_ruleset_add_rule(rs) = r;
#undef TURN
	}
}

/*
 * Few conditions and few steps, but so much code that a jump to its end might
 * not reach.  The limit is met with the first rule that is too much.
 */
static void too_many_instructions(void **state)
{
	pf_ruleset_auto rs = pf_ruleset_new();
	struct pf_compile_error err;
	unsigned int have = 0;

	(void)state;
	staggered(rs, MAX_RULES);
	check_too_big(rs, "instructions", MAX_INSNS);
	while (compile_error(rs, &err) == -E2BIG) {
		assert_int_equal(sscanf(err.text, "the ruleset has %u", &have), 1);
		pf_filter(rs)->n--;
	}
	/* no rule has more */
	assert_true(have > MAX_INSNS && have < MAX_INSNS + 200);
}

/* The most steps that there can be fit: this limit is met only together with another. */
static void many_skip_steps(void **state)
{
	pf_ruleset_auto rs = pf_ruleset_new();
	pf_compiled_auto c = NULL;

	(void)state;
	staggered(rs, 400);
	c = naive_compile(rs);
	assert_true(c->nedges > 400 * 6);
}

static void too_many_interfaces(void **state)
{
	static char names[MAX_IFACES + 1][PF_IFNAME_SIZE];
	pf_ruleset_auto rs = pf_ruleset_new();
	struct pf_compile_error err;

	(void)state;
	for (size_t i = 0; i <= MAX_IFACES; i++) {
		struct pf_rule *r = pf_ruleset_add_rule(rs);

		snprintf(names[i], sizeof(names[i]), "if%zu", i);
		r->ifname = names[i];
		r->line = (uint32_t)i + 1;
	}
	assert_int_equal(compile_error(rs, &err), -E2BIG);
	assert_string_equal(err.text, "the rules name more than 512 interfaces");
	assert_int_equal(err.line, MAX_IFACES + 1);
	pf_filter(rs)->n = MAX_IFACES;
	assert_int_equal(compile_error(rs, &err), 0);
}

/* -EINVAL, whatever the caller's own error for it is: see compiler.h. */
static void missing_tables(void **state)
{
	pf_ruleset_auto rs = parse_ok("block from <ta>\n\nblock to ! <nosuch>\n");
	struct pf_compile_error err;
	int r = compile_error(rs, &err);

	(void)state;
	assert_int_equal(err.line, 3);
	assert_non_null(strstr(err.text, "<nosuch>"));
	assert_int_equal(r, -EINVAL);
}

static void the_error_is_cleared(void **state)
{
	pf_ruleset_auto rs = parse_ok("block\n");
	struct pf_compile_error err;

	(void)state;
	assert_int_equal(compile_error(rs, &err), 0);
	assert_int_equal(err.line, 0);
	assert_string_equal(err.text, "");
}

/* --- the shape of the code --- */

static bool is_jump(const struct bpf_insn *in)
{
	const uint8_t cls = BPF_CLASS(in->code);

	return (cls == BPF_JMP || cls == BPF_JMP32) && BPF_OP(in->code) != BPF_CALL &&
	       BPF_OP(in->code) != BPF_EXIT;
}

static bool is_wide(const struct bpf_insn *in)
{
	return in->code == (BPF_LD | BPF_IMM | BPF_DW);
}

/* The second slot of a wide load is no instruction. */
static bool *second_slots(const struct pf_compiled *c)
{
	bool *second = calloc(c->ninsns, sizeof(*second));

	for (size_t i = 0; i < c->ninsns; i++) {
		if (!is_wide(&c->insns[i]))
			continue;
		assert_true(i + 1 < c->ninsns);
		assert_int_equal(c->insns[i + 1].code, 0);
		second[++i] = true;
	}
	return second;
}

/* Where the program itself ends: behind it is what it calls, made by clang. */
static size_t end_of(const struct pf_compiled *c)
{
	return c->in_table ? c->in_table : c->ninsns;
}

/* Forward, inside of the program, onto an instruction; calls to the function. */
static void check_jumps(const struct pf_compiled *c, const bool *second)
{
	for (size_t i = 0; i < c->ninsns; i++) {
		const struct bpf_insn *in = &c->insns[i];
		long to = (long)i + 1 + in->off;

		if (in->code == (BPF_JMP | BPF_CALL) && in->src_reg == BPF_PSEUDO_CALL)
			assert_int_equal(i + 1 + (size_t)in->imm, c->in_table);
		if (second[i] || !is_jump(in))
			continue;
		if (i >= end_of(c) && to >= (long)end_of(c) && to < (long)c->ninsns && !second[to])
			continue;
		if (to <= (long)i || to >= (long)c->ninsns || second[to])
			fail_msg("instruction %zu of %zu jumps to %ld", i, c->ninsns, to);
	}
}

/* What the verifier refuses: code that nothing gets to, and an end that is none. */
static void check_flow(const struct pf_compiled *c, const bool *second)
{
	bool *seen = calloc(c->ninsns, sizeof(*seen));

	seen[0] = true;
	/* jumps go forward: one pass is enough */
	for (size_t i = 0; i < end_of(c); i++) {
		const struct bpf_insn *in = &c->insns[i];

		if (second[i])
			continue;
		if (!seen[i])
			fail_msg("nothing gets to instruction %zu of %zu", i, c->ninsns);
		if (is_jump(in))
			seen[i + 1 + (size_t)in->off] = true;
		if (in->code == (BPF_JMP | BPF_EXIT) || in->code == (BPF_JMP | BPF_JA))
			continue;
		if (i + 1 + is_wide(in) >= end_of(c))
			fail_msg("it runs off its end");
		seen[i + 1 + is_wide(in)] = true;
	}
	free(seen);
}

/* Every wide load has its map, and each map once. */
static void check_relocs(const struct pf_compiled *c)
{
	size_t wide = 0;

	for (size_t i = 0; i < c->ninsns; i++)
		wide += is_wide(&c->insns[i]);
	assert_int_equal(wide, c->nrelocs);
	for (size_t i = 0; i < c->nrelocs; i++) {
		const struct pf_reloc *r = &c->relocs[i];

		assert_true(r->insn + 1 < c->ninsns);
		assert_true(is_wide(&c->insns[r->insn]));
		assert_int_equal(c->insns[r->insn].src_reg, BPF_PSEUDO_MAP_FD);
		assert_true((unsigned int)r->map < PF_CODE_MAP_MAX);
		assert_true(i == 0 || r->insn > c->relocs[i - 1].insn);
	}
}

static void check_edges(const struct pf_compiled *c)
{
	assert_int_equal(pf_compiled_nevals(c), c->nedges + 1);
	for (size_t i = 0; i < c->nedges; i++) {
		const struct pf_edge *e = &c->edges[i];

		assert_true(e->from < e->to);
		assert_true(e->to <= c->nrules);
		assert_true(c->reachable[e->from]);
		if (e->to < c->nrules)
			assert_true(c->reachable[e->to]);
	}
}

static void check_shape(const struct pf_ruleset *rs)
{
	pf_compiled_auto c = naive_compile(rs);
	bool *second = second_slots(c);

	assert_int_equal(c->emitter, PF_EMITTER_LINEAR);
	assert_int_equal(c->nrules, pf_filter(rs)->n);
	check_jumps(c, second);
	check_flow(c, second);
	check_relocs(c);
	check_edges(c);
	free(second);
}

static void code_is_what_the_verifier_takes(void **state)
{
	struct rnd r = rnd_seeded();

	(void)state;
	for (int round = 0; round < 5000; round++) {
		pf_ruleset_auto rs = naive_ruleset(&r, rnd_below(&r, 30));

		check_shape(rs);
	}
	for (size_t n = 50; n <= 250; n += 50) {
		pf_ruleset_auto rs = naive_ruleset(&r, n);

		check_shape(rs);
	}
}

static void code_of_odd_rulesets(void **state)
{
	static const char *const texts[] = {
		"",
		"block quick\n",
		"block quick\nblock quick\n",
		"block from ! 0.0.0.0/0\n",
		"block from ! 0.0.0.0/0\nblock from ! 0.0.0.0/0\nblock\n",
		"block inet from ! 0.0.0.0/0\nblock inet6 from ! ::/0 to ! ::/0\n",
		"block quick\nblock on a from <ta>\n",
		"block proto tcp flags S/SA\nblock flags S/SA\nblock quick proto tcp flags S/SA\n",
		"block on a\nblock quick on a\nblock on ! a\n",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		pf_ruleset_auto rs = parse_ok(texts[i]);

		check_shape(rs);
	}
}

/* The same rules, the same code: nothing is left to chance or to addresses. */
static void code_is_the_same_each_time(void **state)
{
	struct rnd r = rnd_seeded();
	pf_ruleset_auto rs = naive_ruleset(&r, 60);
	pf_compiled_auto a = naive_compile(rs);
	pf_compiled_auto b = naive_compile(rs);

	(void)state;
	assert_int_equal(a->ninsns, b->ninsns);
	assert_memory_equal(a->insns, b->insns, a->ninsns * sizeof(*a->insns));
	assert_int_equal(a->nedges, b->nedges);
	assert_memory_equal(a->infos, b->infos, (a->nrules + 1) * sizeof(*a->infos));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(skips_are_pfs),
		cmocka_unit_test(skips_of_no_rules),
		cmocka_unit_test(skips_of_a_known_ruleset),
		cmocka_unit_test(rule_information),
		cmocka_unit_test(rules_know_their_state_options),
		cmocka_unit_test(interfaces_are_listed_once),
		cmocka_unit_test(own_names_are_known),
		cmocka_unit_test(unreachable_rules_are_known),
		cmocka_unit_test(evaluations_are_worked_out_from_edges),
		cmocka_unit_test(too_many_rules),
		cmocka_unit_test(too_many_conditions),
		cmocka_unit_test(too_many_instructions),
		cmocka_unit_test(many_skip_steps),
		cmocka_unit_test(too_many_interfaces),
		cmocka_unit_test(missing_tables),
		cmocka_unit_test(the_error_is_cleared),
		cmocka_unit_test(code_is_what_the_verifier_takes),
		cmocka_unit_test(code_of_odd_rulesets),
		cmocka_unit_test(code_is_the_same_each_time),
	};

	return unit_run(tests);
}
