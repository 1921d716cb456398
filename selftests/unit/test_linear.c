// SPDX-License-Identifier: BSD-2-Clause
/*
 * What the compiled rules do: run by an interpreter on packets made by chance,
 * and compared with a plain reading of the rules.  selftests/test_rules.py does
 * the like through the kernel, with fewer of them.
 */
#include "bpfvm.h"
#include "naive.h"
#include "ranges_mem.h"

/* What stands in a program for a map, and for a chunk in the map of nodes. */
#define HANDLE(map)  (((uint64_t)1 << 32) + (map))
#define CHUNK(at)    (((uint64_t)2 << 32) + (at))

#define VERDICT_DROP 2

struct machine {
	struct vm vm;
	const struct pf_compiled *c;
	struct bpf_insn *insns; /* with their maps */
	uint64_t *evals;
	uint64_t counters[PF_CNT_MAX];
	struct pf_ifmask masks[ARRAY_SIZE(naive_ifaces)];
	struct pf_ifmask no_mask;
	bool missing[PF_CODE_MAP_MAX]; /* look-ups in them find nothing */
	struct pf_pkt pkt __attribute__((aligned(8)));
};

/* --- maps --- */

static size_t key_size(void *ctx, uint64_t map)
{
	(void)ctx;
	if (map >= HANDLE(0) && map < HANDLE(PF_CODE_MAP_MAX))
		return sizeof(uint32_t);
	return map == CHUNK(0) ? sizeof(uint32_t) : 0;
}

static uint64_t address(const void *p)
{
	return (uint64_t)(uintptr_t)p;
}

/* The tables, as the loader would have them: made once, never changed. */
static struct pf_nodes nodes;
static struct mem_table tables[ARRAY_SIZE(naive_tables)];

static void open_tables(void)
{
	mem_open(&nodes);
	for (size_t i = 0; i < ARRAY_SIZE(naive_tables); i++) {
		mem_table_open(&tables[i], &nodes, ARRAY_SIZE(naive_entries[0]));
		for (size_t j = 0; j < ARRAY_SIZE(naive_entries[0]); j++) {
			const struct pf_table_entry *e = &naive_entries[i][j];
			struct pf_prefix_key k;

			if (!e->af)
				continue;
			k = pf_prefix_key_of(e->af, e->ip.b, e->bits, e->neg, 0);
			mem_add(&tables[i], e->af == PF_AF_INET6, &k);
		}
	}
}

static void close_tables(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(naive_tables); i++)
		mem_table_close(&tables[i]);
	mem_close(&nodes);
}

static uint64_t lookup_table(uint32_t slot)
{
	for (size_t i = 0; i < ARRAY_SIZE(naive_tables); i++)
		if (NAIVE_SLOT(i) == (int)slot)
			return address(&tables[i].roots);
	return 0;
}

static uint64_t lookup_iface(struct machine *m, uint32_t ifindex, bool direct)
{
	if (direct != (ifindex < PF_IFACE_DIRECT))
		fail_msg("interface %u in the wrong map", ifindex);
	for (size_t i = 0; i < ARRAY_SIZE(naive_ifaces); i++)
		if (naive_ifaces[i].index == ifindex)
			return address(&m->masks[i]);
	return direct ? address(&m->no_mask) : 0;
}

static uint64_t lookup(void *ctx, uint64_t map, const void *key)
{
	struct machine *m = ctx;
	uint32_t k;

	memcpy(&k, key, sizeof(k));
	if (map == CHUNK(0))
		return k == 0 ? address(mem_now.chunk[0]) : 0;
	if (m->missing[map - HANDLE(0)])
		return 0;
	switch (map - HANDLE(0)) {
	case PF_CODE_SCRATCH:
		return k == 0 ? address(&m->pkt) : 0;
	case PF_CODE_EVALS:
		return k == 0 ? address(m->evals) : 0;
	case PF_CODE_COUNTERS:
		return k < PF_CNT_MAX ? address(&m->counters[k]) : 0;
	case PF_CODE_INFOS:
		return k < m->c->ninfos ? address(&m->c->infos[k]) : 0;
	case PF_CODE_TABLES:
		return lookup_table(k);
	case PF_CODE_TABLE_NODES:
		return k == 0 && mem_now.chunk[0] ? CHUNK(0) : 0;
	case PF_CODE_IFACES:
		return lookup_iface(m, k, true);
	case PF_CODE_IFACES_FAR:
		return lookup_iface(m, k, false);
	default:
		return 0;
	}
}

/* --- a compiled ruleset, ready to run --- */

static void fill_masks(struct machine *m)
{
	for (size_t i = 0; i < ARRAY_SIZE(naive_ifaces); i++)
		for (size_t bit = 0; bit < m->c->nifaces; bit++)
			if (naive_iface_is(&naive_ifaces[i], m->c->ifaces[bit]))
				m->masks[i].w[bit / 32] |= 1U << bit % 32;
}

static struct machine *machine_new(const struct pf_compiled *c)
{
	struct machine *m = calloc(1, sizeof(*m));
	struct vm *vm = &m->vm;

	m->c = c;
	m->insns = calloc(c->ninsns, sizeof(*m->insns));
	memcpy(m->insns, c->insns, c->ninsns * sizeof(*m->insns));
	for (size_t i = 0; i < c->nrelocs; i++) {
		const uint64_t handle = HANDLE(c->relocs[i].map);

		m->insns[c->relocs[i].insn].imm = (int32_t)handle;
		m->insns[c->relocs[i].insn + 1].imm = (int32_t)(handle >> 32);
	}
	m->evals = calloc(pf_compiled_nevals(c), sizeof(*m->evals));
	fill_masks(m);
	vm->insns = m->insns;
	vm->ninsns = c->ninsns;
	vm->key_size = key_size;
	vm->lookup = lookup;
	vm->ctx = m;
	vm->prog_ctx = 0x5eed;
	vm_region_add(vm, &m->pkt, sizeof(m->pkt), true);
	vm_region_add(vm, m->evals, pf_compiled_nevals(c) * sizeof(*m->evals), true);
	vm_region_add(vm, m->counters, sizeof(m->counters), true);
	vm_region_add(vm, c->infos, c->ninfos * sizeof(*c->infos), false);
	vm_region_add(vm, m->masks, sizeof(m->masks), false);
	vm_region_add(vm, &m->no_mask, sizeof(m->no_mask), false);
	vm_region_add(vm, tables, sizeof(tables), false);
	if (mem_now.chunk[0])
		vm_region_add(vm, mem_now.chunk[0], PF_NODE_CHUNK, false);
	return m;
}

static void machine_free(struct machine *m)
{
	free(m->insns);
	free(m->evals);
	free(m);
}

/* Runs one packet: the number of the rule that won, which must be `want`. */
static void run_packet(struct machine *m, const struct pf_ruleset *rs, size_t want)
{
	struct pf_pkt before = m->pkt;
	enum vm_end end = vm_run(&m->vm);

	if (end != VM_TAIL_CALL || m->pkt.rule_index != want ||
	    memcmp(&m->pkt.rule, &m->c->infos[want], sizeof(m->pkt.rule)) != 0) {
		naive_say_rules(rs);
		naive_say_packet(&before);
		fail_msg("end %d (%s) at %zu, rule %u, want %zu", end,
			 m->vm.error ? m->vm.error : "", m->vm.pc, m->pkt.rule_index, want);
	}
	assert_true(m->vm.tail_map == HANDLE(PF_CODE_JUMP));
	assert_int_equal(m->vm.tail_index, PF_GEN_APPLY);
	/* nothing else of the packet has changed */
	before.rule_index = m->pkt.rule_index;
	before.rule = m->pkt.rule;
	before.ifmask = m->pkt.ifmask;
	assert_memory_equal(&before, &m->pkt, sizeof(before));
}

static void check_evaluations(const struct machine *m, const struct pf_ruleset *rs,
			      const uint64_t *want)
{
	uint64_t *got = calloc(pf_filter(rs)->n + 1, sizeof(*got));

	pf_compiled_evaluations(m->c, m->evals, got);
	for (size_t i = 0; i < pf_filter(rs)->n; i++) {
		if (want[i] && !m->c->reachable[i])
			fail_msg("rule %zu was evaluated, but is not marked reachable", i);
		if (got[i] == want[i])
			continue;
		naive_say_rules(rs);
		fail_msg("rule %zu: %llu evaluations, want %llu", i, (unsigned long long)got[i],
			 (unsigned long long)want[i]);
	}
	free(got);
}

static void check_ruleset(struct rnd *r, const struct pf_ruleset *rs, size_t packets)
{
	pf_compiled_auto c = naive_compile(rs);
	struct machine *m = machine_new(c);
	uint64_t *evaluations = calloc(pf_filter(rs)->n + 1, sizeof(*evaluations));

	for (size_t i = 0; i < packets; i++) {
		size_t won;

		naive_packet(r, &m->pkt);
		won = naive_walk(rs, &m->pkt, evaluations);
		/* what skip steps leave out does not match */
		assert_int_equal(won, naive_winner(rs, &m->pkt));
		run_packet(m, rs, won);
	}
	assert_int_equal(m->evals[0], packets);
	check_evaluations(m, rs, evaluations);
	free(evaluations);
	machine_free(m);
}

/* --- tests --- */

static void check_many(size_t rulesets, size_t rules, size_t packets)
{
	struct rnd r = rnd_seeded();
	const clock_t began = clock();
	double took;

	for (size_t i = 0; i < rulesets; i++) {
		size_t n = rnd_below(&r, (uint32_t)rules + 1);
		pf_ruleset_auto rs = naive_ruleset(&r, n);

		check_ruleset(&r, rs, packets);
	}
	took = (double)(clock() - began) / CLOCKS_PER_SEC;
	print_message("# %.0f rulesets, %.0f packets a second\n", (double)rulesets / took,
		      (double)(rulesets * packets) / took);
}

/* One rule alone tells most about its own criteria. */
static void single_rules(void **state)
{
	(void)state;
	check_many(30000, 1, 8);
}

static void small_rulesets(void **state)
{
	(void)state;
	check_many(15000, 8, 16);
}

static void middling_rulesets(void **state)
{
	(void)state;
	check_many(2000, 60, 50);
}

/* The sizes up to the limit; what is beyond it is test_compiler.c's. */
static void large_rulesets(void **state)
{
	struct rnd r = rnd_seeded();

	(void)state;
	for (size_t n = 100; n <= 300; n += 50) {
		pf_ruleset_auto rs = naive_ruleset(&r, n);

		check_ruleset(&r, rs, 200);
	}
}

/* Changes one part that rules of its protocol can have. */
static void change_one_part(struct rnd *r, struct pf_rule *rule)
{
	const bool ports = rule->proto == 6 || rule->proto == 17;

	switch (rnd_below(r, 8)) {
	case 0:
		rule->src = naive_host(r, rule->af);
		break;
	case 1:
		rule->dst = naive_host(r, rule->af);
		break;
	case 2:
		if (ports && !rule->fragment)
			rule->dport = naive_port(r);
		break;
	case 3:
		if (ports && !rule->fragment)
			rule->sport = naive_port(r);
		break;
	case 4:
		if (rule->proto == 6 && !rule->fragment) {
			rule->flagset = 0x12;
			rule->flags = (uint8_t)(rnd_below(r, 2) * 0x10 + 2);
		}
		break;
	case 5:
		if (rule->proto == 1 && !rule->fragment) {
			rule->icmp_type = (uint16_t)(1 + rnd_below(r, 2) * 127);
			rule->icmp_code = (uint16_t)(rnd_below(r, 2) * 256);
		}
		break;
	case 6:
		rule->fragment = !rule->fragment && !rule->sport.op && !rule->dport.op &&
				 !rule->flagset && !rule->icmp_type;
		break;
	default:
		rule->ifname = rnd_percent(r, 50) ? "ext" : "int";
		rule->ifnot = rnd_percent(r, 50);
		break;
	}
}

/* What lists expand to: runs of rules with one difference, so that jumps enter in the middle. */
static void rules_that_differ_in_one_part(void **state)
{
	static const uint8_t protos[] = {6, 6, 17, 1, 47};
	struct rnd r = rnd_seeded();

	(void)state;
	for (int round = 0; round < 6000; round++) {
		pf_ruleset_auto rs = pf_ruleset_new();
		struct pf_rule rule = {.af = PF_FAMILY_INET, .proto = rnd_pick(&r, protos)};

		for (size_t n = 2 + rnd_below(&r, 20); n; n--) {
			change_one_part(&r, &rule);
			rule.quick = rnd_percent(&r, 5);
			*pf_ruleset_add_rule(rs) = rule;
		}
		check_ruleset(&r, rs, 16);
	}
}

/* So many interfaces that their bits need all words of the mask. */
static void rules_on_many_interfaces(void **state)
{
	static char names[PF_IFMASK_WORDS * 32][PF_IFNAME_SIZE];
	struct rnd r = rnd_seeded();

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		snprintf(names[i], sizeof(names[i]), "if%zu", i);
	for (int round = 0; round < 60; round++) {
		pf_ruleset_auto rs = pf_ruleset_new();
		uint32_t n = round % 3 ? 40 : ARRAY_SIZE(names) - ARRAY_SIZE(naive_ifaces);

		for (uint32_t i = 0; i < n; i++) {
			struct pf_rule *rule = pf_ruleset_add_rule(rs);

			rule->ifname = names[i];
			/* on any other interface than one that is not there is all */
			rule->ifnot = rnd_percent(&r, 2);
		}
		for (size_t i = 0; i < ARRAY_SIZE(naive_ifaces); i++)
			pf_filter(rs)->v[rnd_below(&r, n)].ifname = naive_ifaces[i].name;
		check_ruleset(&r, rs, 50);
	}
}

static void no_rules(void **state)
{
	struct rnd r = rnd_seeded();
	pf_ruleset_auto rs = pf_ruleset_new();

	(void)state;
	check_ruleset(&r, rs, 20);
}

/* Rules without any criterion: each matches, the last or the first quick one wins. */
static void rules_that_match_all(void **state)
{
	struct rnd r = rnd_seeded();

	(void)state;
	for (size_t quick = 0; quick < 6; quick++) {
		pf_ruleset_auto rs = pf_ruleset_new();

		for (size_t i = 0; i < 5; i++)
			pf_ruleset_add_rule(rs)->quick = i == quick;
		check_ruleset(&r, rs, 3);
	}
}

/* "! any" matches nothing; the code behind it must not be written. */
static void rules_that_match_nothing(void **state)
{
	struct rnd r = rnd_seeded();

	(void)state;
	for (int round = 0; round < 200; round++) {
		pf_ruleset_auto rs = pf_ruleset_new();

		for (size_t i = 0; i < 1 + rnd_below(&r, 5); i++) {
			struct pf_rule rule = naive_rule(&r, false);

			if (rnd_percent(&r, 70))
				rule.src = (struct pf_rule_host){.neg = true};
			if (rnd_percent(&r, 30))
				rule.dst = (struct pf_rule_host){.neg = true};
			*pf_ruleset_add_rule(rs) = rule;
		}
		check_ruleset(&r, rs, 6);
	}
}

/* --- when something is missing --- */

static struct pf_ruleset *all_maps_ruleset(void)
{
	return parse_ok("table <ta>\nblock\nblock on ext\npass from <ta> to ! <tb> no state\n");
}

/* No scratch memory, counters or rule information: a drop, and nothing else touched. */
static void missing_maps_drop(void **state)
{
	static const enum pf_code_map maps[] = {PF_CODE_SCRATCH, PF_CODE_EVALS, PF_CODE_INFOS};
	struct rnd r = rnd_seeded();
	pf_ruleset_auto rs = all_maps_ruleset();
	pf_compiled_auto c = naive_compile(rs);

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(maps); i++) {
		struct machine *m = machine_new(c);

		m->missing[maps[i]] = true;
		naive_packet(&r, &m->pkt);
		assert_int_equal(vm_run(&m->vm), VM_EXIT);
		assert_int_equal(m->vm.r0, VERDICT_DROP);
		machine_free(m);
	}
}

/* Which rule wins, whatever packet comes, if look-ups in these maps find nothing. */
static void check_missing(const char *rules, const enum pf_code_map *maps, size_t n, size_t won)
{
	struct rnd r = rnd_seeded();
	pf_ruleset_auto rs = parse_ok(rules);
	pf_compiled_auto c = naive_compile(rs);
	struct machine *m = machine_new(c);

	for (size_t i = 0; i < n; i++)
		m->missing[maps[i]] = true;
	for (int i = 0; i < 50; i++) {
		naive_packet(&r, &m->pkt);
		run_packet(m, rs, won);
	}
	machine_free(m);
}

static void missing_tables_are_empty(void **state)
{
	static const enum pf_code_map maps[] = {PF_CODE_TABLES};

	(void)state;
	check_missing("pass no state\nblock from <ta>\n", maps, ARRAY_SIZE(maps), 0);
	check_missing("pass no state\nblock from ! <ta>\n", maps, ARRAY_SIZE(maps), 1);
}

static void missing_masks_match_no_interface(void **state)
{
	static const enum pf_code_map maps[] = {PF_CODE_IFACES, PF_CODE_IFACES_FAR};

	(void)state;
	check_missing("pass no state\nblock on ext\n", maps, ARRAY_SIZE(maps), 0);
	check_missing("pass no state\nblock on ! ext\n", maps, ARRAY_SIZE(maps), 1);
}

/* No program behind the tail call: a drop that is counted, if there is a counter. */
static void failed_tail_calls_drop(void **state)
{
	struct rnd r = rnd_seeded();
	pf_ruleset_auto rs = all_maps_ruleset();
	pf_compiled_auto c = naive_compile(rs);
	struct machine *m = machine_new(c);

	(void)state;
	m->vm.tail_call_fails = true;
	for (int i = 1; i <= 4; i++) {
		m->missing[PF_CODE_COUNTERS] = i == 4;
		naive_packet(&r, &m->pkt);
		assert_int_equal(vm_run(&m->vm), VM_EXIT);
		assert_int_equal(m->vm.r0, VERDICT_DROP);
		for (size_t n = 0; n < PF_CNT_MAX; n++)
			assert_int_equal(m->counters[n],
					 n == PF_CNT_UNJUDGED ? (i < 4 ? i : 3) : 0);
	}
	machine_free(m);
}

/* Random packets should reach nearly all of the code, or these tests test little. */
static void packets_reach_the_code(void **state)
{
	struct rnd r = {.s = 1}; /* others have a quick rule in front */
	pf_ruleset_auto rs = naive_ruleset(&r, 30);
	pf_compiled_auto c = naive_compile(rs);
	struct machine *m = machine_new(c);
	bool *visited = calloc(c->ninsns, sizeof(*visited));
	size_t n = 0;

	(void)state;
	m->vm.visited = visited;
	for (int i = 0; i < 20000; i++) {
		naive_packet(&r, &m->pkt);
		assert_int_equal(vm_run(&m->vm), VM_TAIL_CALL);
	}
	for (size_t i = 0; i < c->ninsns; i++)
		n += visited[i];
	print_message("# %zu of %zu instructions\n", n, c->ninsns);
	assert_true(n * 10 > c->ninsns * 6);
	free(visited);
	machine_free(m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(single_rules),
		cmocka_unit_test(small_rulesets),
		cmocka_unit_test(middling_rulesets),
		cmocka_unit_test(large_rulesets),
		cmocka_unit_test(rules_that_differ_in_one_part),
		cmocka_unit_test(rules_on_many_interfaces),
		cmocka_unit_test(no_rules),
		cmocka_unit_test(rules_that_match_all),
		cmocka_unit_test(rules_that_match_nothing),
		cmocka_unit_test(missing_maps_drop),
		cmocka_unit_test(missing_tables_are_empty),
		cmocka_unit_test(missing_masks_match_no_interface),
		cmocka_unit_test(failed_tail_calls_drop),
		cmocka_unit_test(packets_reach_the_code),
	};

	int failed;

	open_tables();
	failed = unit_run(tests);
	close_tables();
	return failed;
}
