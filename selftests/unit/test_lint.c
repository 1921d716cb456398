// SPDX-License-Identifier: BSD-2-Clause
/* grammar/lint: what is warned about, and what is not. */
#include "../../grammar/lint.h"
#include "../../grammar/names.h"
#include "judge.h"

/* Fixed: a failure names the seed that it takes. */
#define SEED	 0x7e57ab1eULL
#define RULESETS 3000
#define PACKETS	 40

/* --- rules by hand --- */

static struct pf_rule *add_table(struct pf_ruleset *rs, const char *table)
{
	struct pf_rule *r = add(rs, 'p');

	r->src = (struct pf_rule_host){.type = PF_HOST_TABLE, .table = table};
	return r;
}

static struct pf_table_def *define(struct pf_ruleset *rs, const char *name, uint32_t line)
{
	struct pf_table_def *t = pf_ruleset_add_table(rs, name);

	assert_non_null(t);
	t->line = line;
	return t;
}

static void take(void *ctx, uint16_t file, uint32_t line, const char *text)
{
	fprintf(ctx, "%u:%u: %s\n", file, line, text);
}

/* All that is said, each in a line with file and line in front. */
static void expect(const struct pf_ruleset *rs, const char *want)
{
	text_auto have = NULL;
	FILE *f = text_open(&have);
	size_t lines = 0, n;

	n = pf_ruleset_lint(rs, take, f);
	fclose(f);
	assert_string_equal(have, want);
	for (const char *c = have; *c; c++)
		lines += *c == '\n';
	assert_int_equal(n, lines);
}

/* --- rules that never match --- */

static void quick_rules_cover_later_ones(void **state)
{
	pf_ruleset_auto rs = pf_ruleset_new();

	(void)state;
	expect(rs, "");
	add_port(rs, 'P', 22);
	add(rs, 'b')->dir = PF_RULE_IN;
	add(rs, 'b')->dir = PF_RULE_OUT;
	add_port(rs, 'B', 22);
	add_port(rs, 'p', 22)->label = "label";
	add_port(rs, 'm', 22);
	add_port(rs, 'p', 23);
	expect(rs, "0:4: rule can never match: the quick rule at line 1 covers it\n"
		   "0:5: rule can never match: the quick rule at line 1 covers it\n"
		   "0:6: rule can never match: the quick rule at line 1 covers it\n");
}

static void what_narrows_a_rule_covers_nothing(void **state)
{
	static const struct pf_rule_ext user = {.user = {.op = PF_PORT_EQ}};
	static const struct pf_rule_ext once = {.once = true};
	static const struct pf_rule_ext tagged = {.tagged = "t"};
	static const struct pf_rule_ext prob = {.prob = 1};
	static const struct pf_rule_ext queue = {.queue = "q"};
	const struct pf_rule_ext *const narrow[] = {&user, &once, &tagged, &prob};
	pf_ruleset_auto rs = pf_ruleset_new();

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(narrow); i++)
		add(rs, 'P')->x = narrow[i];
	add_port(rs, 'P', 1)->x = &user;
	expect(rs, "");
	/* a queue asks nothing */
	add(rs, 'P')->x = &queue;
	add_port(rs, 'P', 1)->x = &user;
	expect(rs, "0:7: rule can never match: the quick rule at line 6 covers it\n");
}

static void translation_makes_other_packets(void **state)
{
	static const struct pf_pool pool;
	static const struct pf_rule_ext nat = {.nat = &pool}, tag = {.tag = "t"};
	static const struct pf_anchor anchor = {.path = "a"};
	static const struct pf_rule_ext call = {.anchor = &anchor};
	pf_ruleset_auto rs = pf_ruleset_new();

	(void)state;
	add_port(rs, 'P', 1);
	add(rs, 'm')->x = &nat;
	add_port(rs, 'P', 1);
	add(rs, 'p')->x = &call;
	add_port(rs, 'P', 1);
	add(rs, 'm')->x = &tag;
	expect(rs, "");
	add_port(rs, 'B', 1);
	expect(rs, "0:7: rule can never match: the quick rule at line 5 covers it\n");
}

/* --- rules without effect --- */

static void later_rules_undo_earlier_ones(void **state)
{
	pf_ruleset_auto rs = pf_ruleset_new();

	(void)state;
	add_port(rs, 'p', 1);
	add_port(rs, 'b', 2);
	add_port(rs, 'p', 3);
	add_port(rs, 'b', 1);
	add_port(rs, 'P', 2);
	add(rs, 'b')->dir = PF_RULE_IN;
	add(rs, 'b')->proto = PF_PROTO_TCP;
	/* of the same action: not asked for */
	expect(rs, "0:1: rule has no effect: the block rule at line 4 undoes it\n"
		   "0:2: rule has no effect: the rule at line 5 covers it\n"
		   "0:3: rule has no effect: the rule at line 7 covers it\n");
}

static void rules_that_do_something_have_an_effect(void **state)
{
	static const struct pf_rule_ext tag = {.tag = "t"};
	pf_ruleset_auto rs = pf_ruleset_new();

	(void)state;
	add_port(rs, 'p', 1)->x = &tag;
	add_port(rs, 'm', 1);
	add_port(rs, 'P', 1);
	add_port(rs, 'b', 2);
	add(rs, 'b')->dir = PF_RULE_IN;
	expect(rs, "");
}

static void later_rules_that_may_not_match_undo_nothing(void **state)
{
	static const struct pf_pool pool;
	static const struct pf_rule_ext nat = {.nat = &pool}, user = {.user = {.op = PF_PORT_EQ}};
	pf_ruleset_auto rs = pf_ruleset_new();

	(void)state;
	add_port(rs, 'p', 1);
	add(rs, 'm'); /* decides nothing */
	add(rs, 'b')->x = &user;
	expect(rs, "");
	add_port(rs, 'b', 2);
	add(rs, 'm')->x = &nat;
	add_port(rs, 'b', 1);
	add_port(rs, 'p', 2);
	expect(rs, "");
	add(rs, 'm')->quick = true; /* ends it: the last match decides, and that may be the first */
	add(rs, 'p');
	expect(rs, "");
	/* a pass rule's translation comes after all rules */
	add_port(rs, 'b', 3);
	add(rs, 'p')->x = &nat;
	expect(rs, "0:10: rule has no effect: the rule at line 11 covers it\n");
}

/* "pass" keeps state with flags S/SA: a "block" before it still blocks others. */
static void the_usual_block_and_pass_are_fine(void **state)
{
	pf_ruleset_auto rs = pf_ruleset_new();
	struct pf_rule *r;

	(void)state;
	add(rs, 'b');
	r = add(rs, 'p');
	r->keep_state = PF_STATE_KEEP;
	r->flags = 0x02;
	r->flagset = 0x12;
	expect(rs, "");
}

/* --- statements --- */

static void lists_are_one_statement(void **state)
{
	pf_ruleset_auto rs = pf_ruleset_new();

	(void)state;
	/* of line 1: port { 1:9 5 } */
	add_port(rs, 'P', 1)->dport = (struct pf_rule_port){PF_PORT_RANGE, 1, 9};
	add_port(rs, 'P', 5)->line = 1;
	expect(rs, "");
	/* of line 3: port { 2 3 }; of line 5: port { 4 10 } */
	add_port(rs, 'b', 2);
	add_port(rs, 'b', 3)->line = 3;
	add_port(rs, 'b', 4);
	add_port(rs, 'b', 10)->line = 5;
	expect(rs, "0:3: rule can never match: the quick rule at line 1 covers it\n"
		   "0:5: part of the rule can never match: the quick rule at line 1 covers it\n");
	/* another quick rule takes the rest */
	add_port(rs, 'P', 10);
	add_port(rs, 'b', 4);
	add_port(rs, 'b', 10)->line = 8;
	expect(rs, "0:3: rule can never match: the quick rule at line 1 covers it\n"
		   "0:5: part of the rule can never match: the quick rule at line 1 covers it\n"
		   "0:5: part of the rule has no effect: the rule at line 7 covers it\n"
		   "0:8: part of the rule can never match: the quick rule at line 1 covers it\n"
		   "0:8: part of the rule can never match: the quick rule at line 7 covers it\n");
}

static void other_files_are_named(void **state)
{
	pf_ruleset_auto rs = pf_ruleset_new();

	(void)state;
	assert_int_equal(pf_ruleset_add_file(rs, "a.conf"), 0);
	assert_int_equal(pf_ruleset_add_file(rs, "b.conf"), 1);
	add_port(rs, 'P', 1)->file = 1;
	add_port(rs, 'p', 1)->line = 1;
	add_port(rs, 'p', 1)->file = 1;
	expect(rs, "0:1: rule can never match: the quick rule at line 1 of b.conf covers it\n"
		   "1:3: rule can never match: the quick rule at line 1 covers it\n");
}

static void anchors_have_rules_of_their_own(void **state)
{
	pf_ruleset_auto rs = pf_ruleset_new();
	struct pf_block *b = pf_ruleset_add_block(rs);
	const struct pf_anchor anchor = {.block = b};
	const struct pf_rule_ext call = {.anchor = &anchor};

	(void)state;
	add_port(rs, 'P', 1);
	add(rs, 'p')->x = &call;
	for (uint32_t i = 0; i < 2; i++) {
		struct pf_rule *r = pf_rule_list_add(&b->list[PF_LIST_FILTER]);

		*r = pf_filter(rs)->v[0];
		r->line = 20 + i;
	}
	expect(rs, "0:21: rule can never match: the quick rule at line 20 covers it\n");
}

/* --- by chance --- */

struct dead {
	struct pf_ruleset *rs;
	uint64_t seed;
	size_t never, undone;
};

/* The list that has the rule of that line: those of blocks come after 1000. */
static struct pf_rule_list *list_of(const struct dead *d, uint32_t line)
{
	return line > 1000 ? &d->rs->blocks[0]->list[PF_LIST_FILTER] : pf_filter(d->rs);
}

/* Without the rule that is complained about, nothing is different. */
static void check_dead(struct pf_ruleset *rs, struct pf_rule_list *l, size_t at, uint64_t seed)
{
	const struct pf_rule rule = l->v[at];
	const size_t rest = (l->n - at - 1) * sizeof(*l->v);
	struct outcome with[PACKETS], without;
	struct pf_rule rules[PACKETS];
	struct rnd r = {.s = seed}, again = r;

	for (size_t i = 0; i < PACKETS; i++) {
		struct packet p = random_packet(&r);

		with[i] = judge(rs, &p);
		if (with[i].rule == &l->v[at])
			fail_msg("seed %#llx: rule %zu decides", (unsigned long long)seed, at);
		if (with[i].rule) { /* it will be elsewhere */
			rules[i] = *with[i].rule;
			with[i].rule = &rules[i];
		}
	}
	memmove(&l->v[at], &l->v[at + 1], rest);
	l->n--;
	for (size_t i = 0; i < PACKETS; i++) {
		struct packet p = random_packet(&again);

		without = judge(rs, &p);
		if (!same_outcome(&with[i], &without))
			fail_msg("seed %#llx: rule %zu does something", (unsigned long long)seed,
				 at);
	}
	l->n++;
	memmove(&l->v[at + 1], &l->v[at], rest);
	l->v[at] = rule;
}

static void check_warning(void *ctx, uint16_t file, uint32_t line, const char *text)
{
	struct dead *d = ctx;

	assert_int_equal(file, 0);
	if (strncmp(text, "table", 5) == 0)
		return;
	if (strncmp(text, "rule can never match", 20) == 0)
		d->never++;
	else
		d->undone++;
	check_dead(d->rs, list_of(d, line), (line - 1) % 1000, d->seed);
}

static bool logs_matches(const struct pf_rule_list *l)
{
	for (size_t i = 0; i < l->n; i++)
		if (l->v[i].x == &ext_matches)
			return true;
	return false;
}

static void warnings_are_true(void **state)
{
	size_t never = 0, undone = 0;

	(void)state;
	for (uint64_t seed = SEED; seed < SEED + RULESETS; seed++) {
		struct rnd r = {.s = seed};
		pf_ruleset_auto rs = random_ruleset(&r);
		struct dead d = {.rs = rs, .seed = seed};
		bool matches = logs_matches(pf_filter(rs));

		for (size_t k = 0; k < rs->nblocks; k++) {
			struct pf_rule_list *l = &rs->blocks[k]->list[PF_LIST_FILTER];

			matches |= logs_matches(l);
			for (size_t i = 0; i < l->n; i++)
				l->v[i].line += 1000;
		}
		/* the log of matches has those, too, that decide nothing */
		if (matches)
			continue;
		for (size_t i = 0; i < pf_filter(rs)->n; i++)
			pf_filter(rs)->v[i].line = (uint32_t)i + 1;
		pf_ruleset_lint(rs, check_warning, &d);
		never += d.never;
		undone += d.undone;
	}
	if (never < RULESETS || undone < RULESETS / 8)
		fail_msg("%zu never match, %zu have no effect", never, undone);
}

/* --- tables --- */

static void unknown_tables_are_named(void **state)
{
	pf_ruleset_auto rs = pf_ruleset_new();

	(void)state;
	define(rs, "badhosts", 1);
	define(rs, "a", 2);
	add_table(rs, "badhosts")->dst = add_table(rs, "a")->src;
	add_table(rs, "bdahosts")->line = 10;
	add_table(rs, "bdahosts")->line = 10;
	add_table(rs, "badhost")->line = 9;
	add_table(rs, "goodhosts")->line = 11;
	add_table(rs, "b")->line = 12;
	/* neither what is the optimiser's nor an anchor's own is meant */
	define(rs, "__automatic_1_0", 0)->automatic = true;
	add_table(rs, "__automatic_1_1")->line = 13;
	pf_block_add_table(rs, pf_ruleset_add_block(rs), "goodhost")->line = 14;
	expect(rs, "0:9: table <badhost> is not defined; did you mean <badhosts>?\n"
		   "0:10: table <bdahosts> is not defined; did you mean <badhosts>?\n"
		   "0:11: table <goodhosts> is not defined\n"
		   "0:12: table <b> is not defined\n"
		   "0:13: table <__automatic_1_1> is not defined\n"
		   "0:14: table <goodhost> is never used\n");
}

static void unused_tables_are_named(void **state)
{
	static const struct pf_pool_host target = {
		.host = {.type = PF_HOST_TABLE, .table = "pool"}};
	static const struct pf_pool pool = {.hosts = &target, .nhosts = 1};
	static const struct pf_state_opts opts = {.overload = "flood"};
	static const struct pf_rule_ext x = {.rdr = &pool, .state = &opts};
	pf_ruleset_auto rs = pf_ruleset_new();

	(void)state;
	define(rs, "old", 3);
	define(rs, "filled", 2)->persist = true;
	define(rs, "pool", 1);
	define(rs, "flood", 4);
	define(rs, "limited", 5);
	define(rs, "__automatic_1_0", 0)->automatic = true;
	assert_int_equal(pf_ruleset_add_item(rs, PF_ITEM_TEXT,
					     "source limiter l id 1 entries 9 limit 9 table "
					     "<limited> above 5",
					     0),
			 0);
	add(rs, 'p')->x = &x;
	expect(rs, "0:2: table <filled> is never used\n"
		   "0:3: table <old> is never used\n");
}

static void anchors_may_use_the_main_tables(void **state)
{
	pf_ruleset_auto rs = pf_ruleset_new();
	struct pf_block *b = pf_ruleset_add_block(rs);
	struct pf_anchor anchor = {.path = "a", .block = b};
	const struct pf_rule_ext call = {.anchor = &anchor};

	(void)state;
	define(rs, "mine", 1);
	define(rs, "yours", 2);
	add_table(rs, "yours")->line = 3;
	*pf_rule_list_add(&b->list[PF_LIST_FILTER]) = *add_table(rs, "mine");
	*pf_rule_list_add(&b->list[PF_LIST_FILTER]) = *add_table(rs, "yours");
	pf_filter(rs)->n = 1;
	add(rs, 'p')->x = &call;
	expect(rs, "");
	/* one of its own hides that of the main ruleset */
	pf_block_add_table(rs, b, "mine")->line = 7;
	expect(rs, "0:1: table <mine> is never used\n");
	pf_block_add_table(rs, b, "none")->line = 8;
	/* who knows what comes into it */
	anchor.block = NULL;
	expect(rs, "0:8: table <none> is never used\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(quick_rules_cover_later_ones),
		cmocka_unit_test(what_narrows_a_rule_covers_nothing),
		cmocka_unit_test(translation_makes_other_packets),
		cmocka_unit_test(later_rules_undo_earlier_ones),
		cmocka_unit_test(rules_that_do_something_have_an_effect),
		cmocka_unit_test(later_rules_that_may_not_match_undo_nothing),
		cmocka_unit_test(the_usual_block_and_pass_are_fine),
		cmocka_unit_test(lists_are_one_statement),
		cmocka_unit_test(other_files_are_named),
		cmocka_unit_test(anchors_have_rules_of_their_own),
		cmocka_unit_test(warnings_are_true),
		cmocka_unit_test(unknown_tables_are_named),
		cmocka_unit_test(unused_tables_are_named),
		cmocka_unit_test(anchors_may_use_the_main_tables),
	};

	return unit_run(tests);
}
