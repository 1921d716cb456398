// SPDX-License-Identifier: BSD-2-Clause
/* grammar/expand: one rule with lists is many rules, in pf's order. */
#include "unit.h"

struct expand_case {
	const char *text;
	const char *rules; /* as printed */
};

static void check(const struct expand_case *cases, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		pf_ruleset_auto rs = parse_ok(cases[i].text);
		text_auto got = ruleset_text(rs, 0);

		assert_string_equal(got, cases[i].rules);
	}
}

/* The interface is the slowest; then protocol, ICMP type, the hosts, their ports. */
static void lists_are_multiplied_in_pfs_order(void **state)
{
	static const struct expand_case cases[] = {
		{"block on { a b } proto { tcp udp }\n", "block drop on a proto tcp all\n"
							 "block drop on a proto udp all\n"
							 "block drop on b proto tcp all\n"
							 "block drop on b proto udp all\n"},
		{"block proto { udp tcp } from { 10.0.0.1 10.0.0.2 }\n",
		 "block drop inet proto udp from 10.0.0.1 to any\n"
		 "block drop inet proto udp from 10.0.0.2 to any\n"
		 "block drop inet proto tcp from 10.0.0.1 to any\n"
		 "block drop inet proto tcp from 10.0.0.2 to any\n"},
		{"block inet proto icmp from { <a> <b> } icmp-type { 0 8 }\n",
		 "block drop inet proto icmp from <a> to any icmp-type echorep\n"
		 "block drop inet proto icmp from <b> to any icmp-type echorep\n"
		 "block drop inet proto icmp from <a> to any icmp-type echoreq\n"
		 "block drop inet proto icmp from <b> to any icmp-type echoreq\n"},
		{"block proto tcp from { <a> <b> } port { 1 2 } to { <c> <d> }\n",
		 "block drop proto tcp from <a> port = 1 to <c>\n"
		 "block drop proto tcp from <a> port = 2 to <c>\n"
		 "block drop proto tcp from <a> port = 1 to <d>\n"
		 "block drop proto tcp from <a> port = 2 to <d>\n"
		 "block drop proto tcp from <b> port = 1 to <c>\n"
		 "block drop proto tcp from <b> port = 2 to <c>\n"
		 "block drop proto tcp from <b> port = 1 to <d>\n"
		 "block drop proto tcp from <b> port = 2 to <d>\n"},
		{"block proto tcp to { <c> <d> } port { 3 4 }\n",
		 "block drop proto tcp from any to <c> port = 3\n"
		 "block drop proto tcp from any to <c> port = 4\n"
		 "block drop proto tcp from any to <d> port = 3\n"
		 "block drop proto tcp from any to <d> port = 4\n"},
	};

	(void)state;
	check(cases, ARRAY_SIZE(cases));
}

static void lists_in_lists_are_flat(void **state)
{
	static const struct expand_case cases[] = {
		{"h = \"{ 10.0.0.2 10.0.0.3 }\"\nblock from { 10.0.0.1 $h, { 10.0.0.4 } }\n",
		 "h = \"{ 10.0.0.2 10.0.0.3 }\"\n"
		 "block drop inet from 10.0.0.1 to any\n"
		 "block drop inet from 10.0.0.2 to any\n"
		 "block drop inet from 10.0.0.3 to any\n"
		 "block drop inet from 10.0.0.4 to any\n"},
		{"block proto udp to port { 1 { 2, { 3:4 } } != 5 }\n",
		 "block drop proto udp from any to any port = 1\n"
		 "block drop proto udp from any to any port = 2\n"
		 "block drop proto udp from any to any port 3:4\n"
		 "block drop proto udp from any to any port != 5\n"},
	};

	(void)state;
	check(cases, ARRAY_SIZE(cases));
}

/* A combination of two families is none; the others stay. */
static void families_are_kept_apart(void **state)
{
	static const struct expand_case cases[] = {
		{"block from { 10.0.0.1 ::1 } to { 10.0.0.2 ::2 <t> }\n",
		 "block drop inet from 10.0.0.1 to 10.0.0.2\n"
		 "block drop inet from 10.0.0.1 to <t>\n"
		 "block drop inet6 from ::1 to ::2\n"
		 "block drop inet6 from ::1 to <t>\n"},
		{"block inet6 from { 10.0.0.1 ::1 <t> }\n", "block drop inet6 from ::1 to any\n"
							    "block drop inet6 from <t> to any\n"},
		{"block from { 0.0.0.0/0 ::/0 } to <t>\n", "block drop inet from any to <t>\n"
							   "block drop inet6 from any to <t>\n"},
		{"block from 0.0.0.0/0 to { ::1 10.0.0.1 }\n",
		 "block drop inet from any to 10.0.0.1\n"},
		/* what is wrong for one family only is no combination, not an error */
		{"block inet from { ::1 10.0.0.1 } to { ::2 10.0.0.2 }\n",
		 "block drop inet from 10.0.0.1 to 10.0.0.2\n"},
	};

	(void)state;
	check(cases, ARRAY_SIZE(cases));
}

/* With `any' among them the others say nothing. */
static void any_swallows_its_list(void **state)
{
	static const struct expand_case cases[] = {
		{"block from { 10.0.0.1 any <t> } to { <t> }\n", "block drop from any to <t>\n"},
	};

	(void)state;
	check(cases, ARRAY_SIZE(cases));
}

static void negation_is_of_each_item(void **state)
{
	static const struct expand_case cases[] = {
		{"block on { ! a, b } from { !10.0.0.1 ! <t> }\n",
		 "block drop on ! a inet from ! 10.0.0.1 to any\n"
		 "block drop on ! a from ! <t> to any\n"
		 "block drop on b inet from ! 10.0.0.1 to any\n"
		 "block drop on b from ! <t> to any\n"},
	};

	(void)state;
	check(cases, ARRAY_SIZE(cases));
}

/* What a protocol of the list does not have is left out of its rule. */
static void defaults_are_of_each_rule(void **state)
{
	static const struct expand_case cases[] = {
		{"pass proto { tcp udp 47 }\n", "pass proto tcp all flags S/SA\n"
						"pass proto udp all\n"
						"pass proto gre all\n"},
		{"pass proto { tcp udp } flags /R\n", "pass proto tcp all flags /R\n"
						      "pass proto udp all\n"},
		{"pass proto { tcp udp } no state\n", "pass proto tcp all no state\n"
						      "pass proto udp all no state\n"},
		{"pass proto { tcp udp } flags any\n", "pass proto tcp all flags any\n"
						       "pass proto udp all\n"},

	};

	(void)state;
	check(cases, ARRAY_SIZE(cases));
}

/* --- labels --- */

static void macros_of_labels(void **state)
{
	static const struct expand_case cases[] = {
		{"block label \"$nr\"\nblock label \"rule $nr.\"\n",
		 "block drop all label \"0\"\nblock drop all label \"rule 1.\"\n"},
		{"block on { a ! b } label \"$if\"\n", "block drop on a all label \"a\"\n"
						       "block drop on ! b all label \"b\"\n"},
		{"block label \"$if/$proto/$srcaddr/$dstaddr/$srcport/$dstport\"\n",
		 "block drop all label \"any/ip/any/any//\"\n"},
		{"block proto { tcp 253 } label \"<$proto>\"\n",
		 "block drop proto tcp all label \"<tcp>\"\n"
		 "block drop proto 253 all label \"<253>\"\n"},
		{"block from { 10/8 ! ::1 ! <t> } label \"$srcaddr-$dstaddr\"\n",
		 "block drop inet from 10.0.0.0/8 to any label \"10.0.0.0/8-any\"\n"
		 "block drop inet6 from ! ::1 to any label \"! ::1-any\"\n"
		 "block drop from ! <t> to any label \"! <t>-any\"\n"},
		{"block proto udp from port 1 to port { 2:3 != 4 <= 5 6 >< 7 8 <> 9 > 10 }"
		 " label \"$srcport,$dstport\"\n",
		 "block drop proto udp from any port = 1 to any port 2:3 label \"1,2:3\"\n"
		 "block drop proto udp from any port = 1 to any port != 4 label \"1,!=4\"\n"
		 "block drop proto udp from any port = 1 to any port <= 5 label \"1,<=5\"\n"
		 "block drop proto udp from any port = 1 to any port 6 >< 7 label \"1,6><7\"\n"
		 "block drop proto udp from any port = 1 to any port 8 <> 9 label \"1,8<>9\"\n"
		 "block drop proto udp from any port = 1 to any port > 10 label \"1,>10\"\n"},
		/* the longest name that there is; the rest is text */
		{"block label \"$nrx $iff $srcaddress $protocol\"\n",
		 "block drop all label \"0x anyf anyess ipcol\"\n"},
		{"block label \"$ $$ $n $NR $1 $nosuch $\"\n",
		 "block drop all label \"$ $$ $n $NR $1 $nosuch $\"\n"},
		{"block label \"$nr$nr$nr\"\n", "block drop all label \"000\"\n"},
	};

	(void)state;
	check(cases, ARRAY_SIZE(cases));
}

/* Outside of quotes a name is a macro of the file. */
static void labels_take_macros_of_the_file(void **state)
{
	static const struct expand_case cases[] = {
		{"l = \"$nr of it\"\nblock label \"x\"\nblock label \"$nr\"\n",
		 "l = \"$nr of it\"\nblock drop all label \"x\"\nblock drop all label \"1\"\n"},
		{"nr = word\nblock label $nr\nblock label \"$nr\"\n",
		 "nr = \"word\"\nblock drop all label \"word\"\nblock drop all label \"1\"\n"},
	};

	(void)state;
	check(cases, ARRAY_SIZE(cases));
}

/* 63 characters, counted behind the expansion. */
static void labels_have_a_length(void **state)
{
	const struct pf_parse_options opt = {0};
	char label[128], text[160];

	(void)state;
	for (size_t len = 60; len < 68; len++) {
		struct pf_ruleset *rs = NULL;
		text_auto said = NULL;
		int err;

		memset(label, 'l', len);
		/* "$nr" is one character for the first rule */
		snprintf(label + len - 1, sizeof(label) - len, "$nr");
		snprintf(text, sizeof(text), "block label \"%s\"\n", label);
		err = parse_with(opt, text, strlen(text), &rs, &said, NULL);
		if (len < PF_LABEL_SIZE) {
			assert_int_equal(err, 0);
			assert_int_equal(strlen(pf_filter(rs)->v[0].label), len);
		} else {
			assert_int_equal(err, -EINVAL);
		}
		pf_ruleset_free(rs);
	}
}

/* --- strings --- */

/* They are the ruleset's, not the parser's: it is gone when they are read. */
static void strings_outlive_the_parser(void **state)
{
	pf_ruleset_auto rs = parse_ok("i = eth0\nblock on $i from <a> to <b> label \"x\"\n"
				      "block on $i from <a> to <b> label \"x\"\n");

	(void)state;
	assert_int_equal(pf_filter(rs)->n, 2);
	for (size_t i = 0; i < 2; i++) {
		assert_string_equal(pf_filter(rs)->v[i].ifname, "eth0");
		assert_string_equal(pf_filter(rs)->v[i].src.table, "a");
		assert_string_equal(pf_filter(rs)->v[i].dst.table, "b");
		assert_string_equal(pf_filter(rs)->v[i].label, "x");
	}
}

/* As many rules as the product of the lists; the last of them is the last of all lists. */
static void a_large_product(void **state)
{
	enum { N = 40 };
	text_auto ports = calloc(N, 6);
	text_auto text = NULL;
	pf_ruleset_auto rs = NULL;
	const struct pf_rule *r;
	size_t n = 0;

	(void)state;
	for (int i = 0; i < N; i++)
		n += (size_t)sprintf(ports + n, "%d ", i + 1);
	assert_true(asprintf(&text, "block proto { tcp udp } from port { %s} to port { %s}\n",
			     ports, ports) > 0);
	rs = parse_ok(text);
	assert_int_equal(pf_filter(rs)->n, 2 * N * N);
	for (size_t i = 0; i < pf_filter(rs)->n; i++) {
		r = &pf_filter(rs)->v[i];
		assert_int_equal(r->proto, i < N * N ? 6 : 17);
		assert_int_equal(r->sport.lo, i / N % N + 1);
		assert_int_equal(r->dport.lo, i % N + 1);
		assert_int_equal(r->line, 1);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lists_are_multiplied_in_pfs_order),
		cmocka_unit_test(lists_in_lists_are_flat),
		cmocka_unit_test(families_are_kept_apart),
		cmocka_unit_test(any_swallows_its_list),
		cmocka_unit_test(negation_is_of_each_item),
		cmocka_unit_test(defaults_are_of_each_rule),
		cmocka_unit_test(macros_of_labels),
		cmocka_unit_test(labels_take_macros_of_the_file),
		cmocka_unit_test(labels_have_a_length),
		cmocka_unit_test(strings_outlive_the_parser),
		cmocka_unit_test(a_large_product),
	};

	return unit_run(tests);
}
