// SPDX-License-Identifier: BSD-2-Clause
/* lib/model: state options, good ones and bytes that nobody should send. */
#include "model_bytes.h"
#include "same.h"

static void options_come_back(void **state)
{
	static const char *const texts[] = {
		"pass keep state (max 7)\n",
		"pass keep state (max 4294967295)\n",
		"pass keep state (sloppy, no-sync, if-bound)\n",
		"set state-policy if-bound\npass\npass keep state (floating)\n",
		"pass keep state (tcp.first 1, tcp.established 16777215, tcp.tsdiff 3, udp.first "
		"4, "
		"icmp.error 5, other.multiple 6, src.track 7, adaptive.start 1, adaptive.end 2)\n",
		"set state-defaults max 3, sloppy\npass\npass keep state\n",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		pf_ruleset_auto rs = parse_ok(texts[i]);
		pf_buf_auto b = encoded(rs);
		pf_ruleset_auto back = NULL;
		char err[80];

		assert_int_equal(decode(&b, &back, err, sizeof(err)), 0);
		assert_int_equal(pf_filter(back)->n, pf_filter(rs)->n);
		for (size_t k = 0; k < pf_filter(rs)->n; k++)
			assert_null(rule_difference(&pf_filter(rs)->v[k], &pf_filter(back)->v[k]));
	}
}

/* Most rules have the same ones: they share them. */
static void equal_options_are_shared(void **state)
{
	pf_ruleset_auto rs = parse_ok("set state-defaults sloppy, max 5\npass\npass tag t\n"
				      "pass keep state (max 6)\n");
	pf_buf_auto b = encoded(rs);
	pf_ruleset_auto back = NULL;
	const struct pf_rule *v;
	char err[80];

	(void)state;
	assert_int_equal(decode(&b, &back, err, sizeof(err)), 0);
	v = pf_filter(back)->v;
	assert_ptr_not_equal(v[0].x, v[1].x);
	assert_ptr_equal(v[0].x->state, v[1].x->state);
	assert_ptr_not_equal(v[1].x->state, v[2].x->state);
}

/* The last rule's as bytes, which stand at the end but for the number of files. */
enum {
	STATE_RARE = -4,
	STATE_FLAGS = 0,
	STATE_MAX = 1,
	STATE_GIVEN = 5,
	STATE_TIME = 9, /* one */
	STATE_SIZE = 13,
};

static void bad_options_are_refused(void **state)
{
	static const struct {
		const char *text;
		int at, size;
		uint32_t value;
		int want;
		const char *msg;
	} cases[] = {
		{"pass keep state (udp.first 9)\n", STATE_FLAGS, 1, 64, -EINVAL, "unknown"},
		{"pass keep state (udp.first 9)\n", STATE_FLAGS, 1, 10, -EINVAL, "unknown"},
		{"pass keep state (udp.first 9)\n", STATE_GIVEN, 4, 1U << PF_TIMEOUT_MAX, -EINVAL,
		 ""},
		{"pass keep state (udp.first 9)\n", STATE_GIVEN, 4, 0, -EINVAL, ""},
		{"pass keep state (udp.first 9)\n", STATE_TIME, 4, PF_TIMEOUT_LARGEST + 1, -EINVAL,
		 "a timeout is out of range"},
		{"pass keep state (udp.first 9)\n", STATE_RARE, 2, 0, -EINVAL, ""},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		pf_ruleset_auto rs = parse_ok(cases[i].text);
		pf_buf_auto b = encoded(rs);
		const size_t at = b.len - 4 - STATE_SIZE;

		memcpy(b.data + at + cases[i].at, &cases[i].value, (size_t)cases[i].size);
		check_refused(&b, cases[i].want, cases[i].msg);
	}
}

/* A limit that would not be kept must not get lost on the way. */
static void options_that_are_not_enforced_have_no_encoding(void **state)
{
	static const char *const texts[] = {
		"pass keep state (pflow)\n",
		"pass proto sctp keep state (allow-related)\n",
		"set state-defaults max 3, pflow\npass\n",
	};

	(void)state;
	check_no_encoding(texts, ARRAY_SIZE(texts));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(options_come_back),
		cmocka_unit_test(equal_options_are_shared),
		cmocka_unit_test(bad_options_are_refused),
		cmocka_unit_test(options_that_are_not_enforced_have_no_encoding),
	};

	return unit_run(tests);
}
