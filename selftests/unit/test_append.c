// SPDX-License-Identifier: BSD-2-Clause
/* compiler: other rules for one set, added to what was compiled without them. */
#include "naive.h"

#define IDS 1024 /* more than any ruleset here has rules */

static const char *const main_text = "match out inet from 10.0.0.9 nat-to 192.0.2.9 port 9\n"
				     "anchor \"a\" {\n"
				     "pass out inet nat-to 192.0.2.10 port 10\n"
				     "}\n"
				     "pass in inet proto tcp to 192.0.2.1 rdr-to 10.0.0.1\n";

struct compiled {
	struct pf_ruleset *rs, *with; /* the main rules, and what is to stand in the anchor */
	struct pf_policy *policy, *next;
	struct pf_compiled *c;
	struct pf_compiled_patch patch;
	uint32_t set;
};

static void done(struct compiled *x)
{
	pf_compiled_free(x->c);
	pf_policy_free(x->policy);
	pf_policy_free(x->next);
	pf_ruleset_free(x->rs);
	pf_ruleset_free(x->with);
}
#define compiled_auto __attribute__((cleanup(done))) struct compiled

static struct pf_compile_env env_of(uint32_t ids[IDS])
{
	for (uint32_t i = 0; i < IDS; i++)
		ids[i] = 1000 + i;
	return (struct pf_compile_env){.table_slot = naive_slot,
				       .tag_id = naive_tag,
				       .rule_ids = ids,
				       .emitter = PF_EMITTER_TREE};
}

static void begin(struct compiled *x, const char *text)
{
	uint32_t ids[IDS];
	const struct pf_compile_env env = env_of(ids);
	struct pf_compile_error err;

	x->rs = parse_ok(text);
	assert_int_equal(pf_policy_of(x->rs, &x->policy), 0);
	assert_int_equal(pf_policy_compile(x->policy, &env, &x->c, &err), 0);
	x->set = pf_policy_find(x->policy, "a");
	assert_int_not_equal(x->set, PF_POLICY_NONE);
}

/* What was there before goes when the next one comes. */
static int append(struct compiled *x, const char *text)
{
	uint32_t ids[IDS];
	const struct pf_compile_env env = env_of(ids);
	struct pf_ruleset *with = parse_ok(text);
	struct pf_policy *next = NULL;
	int err;

	assert_int_equal(pf_policy_replace(x->policy, x->set, &with->main, &next), 0);
	err = pf_policy_append(next, x->set, &env, x->c, &x->patch);
	pf_policy_free(x->next);
	pf_ruleset_free(x->with);
	x->next = next;
	x->with = with;
	return err;
}

/* It is in force: another one may follow. */
static void keep(struct compiled *x)
{
	pf_policy_free(x->policy);
	x->policy = x->next;
	x->next = NULL;
}

static const struct pf_nat *nat_of(const struct compiled *x, uint32_t nr)
{
	uint32_t nat = x->c->infos[x->next->sets[x->set].first + nr].nat;

	assert_true(nat <= x->c->nnats);
	return nat ? &x->c->nats[nat - 1] : NULL;
}

static void are_as_text(const struct compiled *x, uint16_t port)
{
	assert_int_equal(nat_of(x, 0)->lo, port);
	assert_int_equal(nat_of(x, 0)->flags, PF_NAT_SRC);
	assert_null(nat_of(x, 1));
	assert_int_equal(nat_of(x, 2)->lo, port + 1);
	assert_int_equal(nat_of(x, 2)->flags, 0);
}

/* Behind those that are there; what was undone has left nothing. */
static void translations(void **state)
{
	compiled_auto x = {0};
	struct pf_nat before[3];

	(void)state;
	begin(&x, main_text);
	assert_int_equal(x.c->nnats, 3);
	memcpy(before, x.c->nats, sizeof(before));
	for (uint16_t i = 0; i < 20; i++) {
		const size_t n = x.c->nnats;
		const uint16_t port = 100 + 2 * i;
		char text[256];

		snprintf(text, sizeof(text),
			 "pass out inet proto udp nat-to 192.0.2.1 port %u\nblock\n"
			 "match in inet proto udp rdr-to 10.0.0.1 port %u\n",
			 port, port + 1);
		/* it has one translation more, and at other rules */
		assert_int_equal(append(&x, "block\npass out inet nat-to 192.0.2.8 port 8\n"
					    "pass out inet nat-to 192.0.2.8 port 8\n"
					    "pass out inet nat-to 192.0.2.8 port 8\n"),
				 0);
		assert_int_equal(x.c->nnats, n + 3);
		pf_compiled_undo(x.c, &x.patch);
		assert_int_equal(x.c->nnats, n);
		assert_int_equal(append(&x, text), 0);
		assert_int_equal(x.patch.from.nats, n);
		assert_int_equal(x.c->nnats, n + 2);
		are_as_text(&x, port);
		keep(&x);
	}
	assert_memory_equal(before, x.c->nats, sizeof(before));
}

/* Each rule of those for which there is room may have one. */
static void room_for_translations(void **state)
{
	compiled_auto x = {0};
	int err = 0;

	(void)state;
	begin(&x, main_text);
	for (uint32_t i = 0; !err; i++) {
		assert_true(i < IDS);
		assert_true(x.c->nnats <= x.c->tree.most.nats);
		err = append(&x, "pass out inet nat-to 192.0.2.1\n");
		if (!err)
			keep(&x);
	}
	assert_int_equal(err, -EOPNOTSUPP);
	assert_int_equal(x.c->nrules, x.c->tree.most.rules);
	assert_int_equal(x.c->nnats, x.c->tree.most.nats);
}

static void what_was_not_asked_for_before(void **state)
{
	static const struct {
		const char *main, *rule;
		int want;
	} cases[] = {
		{"pass", "pass out inet nat-to 192.0.2.1", -EOPNOTSUPP},
		{"pass probability 50%", "pass out inet nat-to 192.0.2.1", 0},
		{"pass probability 50%", "match out inet nat-to 192.0.2.1", -EOPNOTSUPP},
		{"match in inet rdr-to 192.0.2.1", "match out inet nat-to 192.0.2.1", -EOPNOTSUPP},
		{"match out inet nat-to 192.0.2.1", "match in inet rdr-to 192.0.2.1", 0},
		{"pass", "pass in inet rdr-to 192.0.2.1", 0},
		{"pass", "match in inet rdr-to 192.0.2.1", -EOPNOTSUPP},
		{"match out inet nat-to 192.0.2.1", "pass proto udp from port 1", -EOPNOTSUPP},
		{"match out inet nat-to 192.0.2.1\npass proto udp from port 2",
		 "pass proto udp from port 1", 0},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		compiled_auto x = {0};
		char text[256];
		size_t n;

		snprintf(text, sizeof(text), "%s\nanchor \"a\" {\npass\n}\n", cases[i].main);
		begin(&x, text);
		n = x.c->nnats;
		snprintf(text, sizeof(text), "%s\n", cases[i].rule);
		if (append(&x, text) != cases[i].want)
			fail_msg("%s, then %s: not %d", cases[i].main, cases[i].rule,
				 cases[i].want);
		if (cases[i].want)
			assert_int_equal(x.c->nnats, n);
	}
}

/* Rules elsewhere ask for source ports: what comes tells them which one it was. */
static void ports_that_rules_ask_for(void **state)
{
	static const char *const asks[] = {"", "pass proto udp from port 1\n"};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(asks); i++) {
		compiled_auto x = {0};
		char text[512];

		snprintf(text, sizeof(text), "%s%s", main_text, asks[i]);
		begin(&x, text);
		assert_int_equal(append(&x, "match out inet nat-to 192.0.2.1\n"
					    "pass out inet nat-to 192.0.2.1\n"),
				 0);
		assert_int_equal(nat_of(&x, 0)->flags, PF_NAT_SRC | (i ? PF_NAT_SEEN : 0));
		assert_int_equal(nat_of(&x, 1)->flags, PF_NAT_SRC);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(translations),
		cmocka_unit_test(room_for_translations),
		cmocka_unit_test(what_was_not_asked_for_before),
		cmocka_unit_test(ports_that_rules_ask_for),
	};

	return unit_run(tests);
}
