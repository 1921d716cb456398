// SPDX-License-Identifier: BSD-2-Clause
/* grammar: what texts mean, field by field.  Their errors are in test_errors.c. */
#include "unit.h"

#include <netdb.h>
#include <unistd.h>

#include "../../grammar/names.h"
#include "same.h"

/* --- rules --- */

#define IP4(w, x, y, z) .b[0] = (w), .b[1] = (x), .b[2] = (y), .b[3] = (z)
#define NET4(w, x, y, z, n) \
	.type = PF_HOST_PREFIX, .af = PF_FAMILY_INET, .bits = (n), .ip = {IP4(w, x, y, z)}
#define NET6(n)	      .type = PF_HOST_PREFIX, .af = PF_FAMILY_INET6, .bits = (n)
#define DOC6	      .b[0] = 0x20, .b[1] = 0x01, .b[2] = 0x0d, .b[3] = 0xb8
#define PORT(o, l, h) .op = PF_PORT_##o, .lo = (l), .hi = (h)
#define BLOCK	      .action = PF_RULE_ACTION_BLOCK
/* what every pass rule has that does not say otherwise */
#define KEEP	      .keep_state = true
#define S_SA	      .flags = 0x02, .flagset = 0x12
#define UNREACH	      .return_icmp = 0x303, .return_icmp6 = 0x104

struct rule_case {
	const char *text;
	struct pf_rule rule;
};

static void check_rules(const struct rule_case *cases, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		pf_ruleset_auto rs = parse_ok(cases[i].text);
		const char *what;

		if (pf_filter(rs)->n != 1)
			fail_msg("%s: %zu rules", cases[i].text, pf_filter(rs)->n);
		what = rule_difference(&pf_filter(rs)->v[0], &cases[i].rule);
		if (what)
			fail_msg("%s: %s is not as it should be", cases[i].text, what);
		assert_int_equal(pf_filter(rs)->v[0].line, 1);
	}
}

static void actions_and_their_defaults(void **state)
{
	static const struct rule_case cases[] = {
		{"pass", {KEEP, S_SA}},
		{"pass all", {KEEP, S_SA}},
		{"pass from any to any", {KEEP, S_SA}},
		{"pass keep state", {KEEP, S_SA}},
		{"pass no state", {0}},
		{"pass flags any", {KEEP}},
		{"pass flags any no state", {0}},
		{"pass flags S/SA no state", {S_SA}},
		{"pass proto tcp", {.proto = 6, KEEP, S_SA}},
		{"pass proto udp", {.proto = 17, KEEP}},
		{"pass proto 47", {.proto = 47, KEEP}},
		{"pass fragment", {KEEP, .fragment = true}},
		{"block", {BLOCK}},
		{"block drop", {BLOCK}},
		{"block no state", {BLOCK}},
		{"block return", {BLOCK, .block_kind = PF_BLOCK_RETURN, UNREACH}},
		{"block return-rst proto tcp",
		 {BLOCK, .block_kind = PF_BLOCK_RETURN_RST, .proto = 6}},
		{"block return-rst(ttl 77) proto tcp",
		 {BLOCK, .block_kind = PF_BLOCK_RETURN_RST, .proto = 6, .return_ttl = 77}},
		{"block return-icmp", {BLOCK, .block_kind = PF_BLOCK_RETURN_ICMP, UNREACH}},
		{"block return-icmp6", {BLOCK, .block_kind = PF_BLOCK_RETURN_ICMP, UNREACH}},
		{"block return-icmp(host-unr)",
		 {BLOCK, .block_kind = PF_BLOCK_RETURN_ICMP, .return_icmp = 0x301,
		  .return_icmp6 = 0x104}},
		{"block return-icmp6(admin-unr)",
		 {BLOCK, .block_kind = PF_BLOCK_RETURN_ICMP, .return_icmp = 0x303,
		  .return_icmp6 = 0x101}},
		{"block return-icmp(13, 5)",
		 {BLOCK, .block_kind = PF_BLOCK_RETURN_ICMP, .return_icmp = 0x30d,
		  .return_icmp6 = 0x105}},
	};

	(void)state;
	check_rules(cases, ARRAY_SIZE(cases));
}

static void heads_of_rules(void **state)
{
	static const struct rule_case cases[] = {
		{"block in", {BLOCK, .dir = PF_RULE_IN}},
		{"block out", {BLOCK, .dir = PF_RULE_OUT}},
		{"block log", {BLOCK, .log = true}},
		{"block quick", {BLOCK, .quick = true}},
		{"block log quick", {BLOCK, .log = true, .quick = true}},
		{"block in quick log", {BLOCK, .dir = PF_RULE_IN, .log = true, .quick = true}},
		{"block on eth0", {BLOCK, .ifname = "eth0"}},
		{"block on \"eth0\"", {BLOCK, .ifname = "eth0"}},
		{"block on ! eth0.5", {BLOCK, .ifname = "eth0.5", .ifnot = true}},
		{"block on !wg-1", {BLOCK, .ifname = "wg-1", .ifnot = true}},
		{"block on any", {BLOCK, .ifname = PF_IF_ANY}},
		{"block on ! any", {BLOCK, .ifname = PF_IF_ANY, .ifnot = true}},
		{"block on { fifteen-letters }", {BLOCK, .ifname = "fifteen-letters"}},
		{"block inet", {BLOCK, .af = 4}},
		{"block inet6", {BLOCK, .af = 6}},
		{"block proto tcp", {BLOCK, .proto = 6}},
		{"block proto \"udp\"", {BLOCK, .proto = 17}},
		{"block proto icmp6", {BLOCK, .proto = 58}},
		{"block proto 255", {BLOCK, .proto = 255}},
		{"block inet proto icmp", {BLOCK, .af = 4, .proto = 1}},
		{"pass out log quick on lo inet6 proto udp all",
		 {.dir = PF_RULE_OUT,
		  .log = true,
		  .quick = true,
		  .ifname = "lo",
		  .af = 6,
		  .proto = 17,
		  KEEP}},
	};

	(void)state;
	check_rules(cases, ARRAY_SIZE(cases));
}

static void hosts(void **state)
{
	static const struct rule_case cases[] = {
		{"block from 192.0.2.1", {BLOCK, .af = 4, .src = {NET4(192, 0, 2, 1, 32)}}},
		{"block to 192.0.2.255/24", {BLOCK, .af = 4, .dst = {NET4(192, 0, 2, 0, 24)}}},
		{"block from 10/8", {BLOCK, .af = 4, .src = {NET4(10, 0, 0, 0, 8)}}},
		{"block from 172.31/12", {BLOCK, .af = 4, .src = {NET4(172, 16, 0, 0, 12)}}},
		{"block from 10.1.2/24", {BLOCK, .af = 4, .src = {NET4(10, 1, 2, 0, 24)}}},
		{"block from 255.255.255.255/1", {BLOCK, .af = 4, .src = {NET4(128, 0, 0, 0, 1)}}},
		{"block from ! 10.0.0.1 to any",
		 {BLOCK, .af = 4, .src = {NET4(10, 0, 0, 1, 32), .neg = true}}},
		{"block from 2001:db8:ffff::1/32",
		 {BLOCK, .af = 6, .src = {NET6(32), .ip = {DOC6}}}},
		{"block to ::1", {BLOCK, .af = 6, .dst = {NET6(128), .ip = {.b[15] = 1}}}},
		{"block from any to !2001:db8::/33",
		 {BLOCK, .af = 6, .dst = {NET6(33), .neg = true, .ip = {DOC6}}}},
		{"block from ::ffff:192.0.2.1/96",
		 {BLOCK, .af = 6, .src = {NET6(96), .ip = {.b[10] = 0xff, .b[11] = 0xff}}}},
		/* every address of a family */
		{"block from 0.0.0.0/0", {BLOCK, .af = 4}},
		{"block from 10/0", {BLOCK, .af = 4}},
		{"block from any to ::/0", {BLOCK, .af = 6}},
		{"block from <t>", {BLOCK, .src = {.type = PF_HOST_TABLE, .table = "t"}}},
		{"block to ! <a.b-c_d>",
		 {BLOCK, .dst = {.type = PF_HOST_TABLE, .neg = true, .table = "a.b-c_d"}}},
		{"block from 10.0.0.1 to 10.0.0.2",
		 {BLOCK, .af = 4, .src = {NET4(10, 0, 0, 1, 32)}, .dst = {NET4(10, 0, 0, 2, 32)}}},
		{"block inet from <t> to 10.0.0.2",
		 {BLOCK, .af = 4, .src = {.type = PF_HOST_TABLE, .table = "t"},
		  .dst = {NET4(10, 0, 0, 2, 32)}}},
	};

	(void)state;
	check_rules(cases, ARRAY_SIZE(cases));
}

static void ports(void **state)
{
	static const struct rule_case cases[] = {
		{"block proto tcp to port 80", {BLOCK, .proto = 6, .dport = {PORT(EQ, 80, 80)}}},
		{"block proto tcp to port = 80", {BLOCK, .proto = 6, .dport = {PORT(EQ, 80, 80)}}},
		{"block proto tcp to port ssh", {BLOCK, .proto = 6, .dport = {PORT(EQ, 22, 22)}}},
		{"block proto tcp from port != 0", {BLOCK, .proto = 6, .sport = {PORT(NE, 0, 0)}}},
		{"block proto udp to port < 65535",
		 {BLOCK, .proto = 17, .dport = {PORT(LT, 65535, 65535)}}},
		{"block proto udp to any port <=1",
		 {BLOCK, .proto = 17, .dport = {PORT(LE, 1, 1)}}},
		{"block proto udp to any port > 2",
		 {BLOCK, .proto = 17, .dport = {PORT(GT, 2, 2)}}},
		{"block proto udp to any port >= 3",
		 {BLOCK, .proto = 17, .dport = {PORT(GE, 3, 3)}}},
		{"block proto udp to port 4:5", {BLOCK, .proto = 17, .dport = {PORT(RANGE, 4, 5)}}},
		{"block proto udp to port ssh:domain",
		 {BLOCK, .proto = 17, .dport = {PORT(RANGE, 22, 53)}}},
		{"block proto udp to port 6:6", {BLOCK, .proto = 17, .dport = {PORT(EQ, 6, 6)}}},
		{"block proto udp to port 7 >< 9",
		 {BLOCK, .proto = 17, .dport = {PORT(INSIDE, 7, 9)}}},
		{"block proto udp to port 1<>2",
		 {BLOCK, .proto = 17, .dport = {PORT(OUTSIDE, 1, 2)}}},
		{"block proto tcp from 10.0.0.1 port 1 to 10.0.0.2 port 2",
		 {BLOCK, .af = 4, .proto = 6, .src = {NET4(10, 0, 0, 1, 32)},
		  .dst = {NET4(10, 0, 0, 2, 32)}, .sport = {PORT(EQ, 1, 1)},
		  .dport = {PORT(EQ, 2, 2)}}},
	};

	(void)state;
	check_rules(cases, ARRAY_SIZE(cases));
}

static void options_of_rules(void **state)
{
	static const struct rule_case cases[] = {
		{"pass proto tcp flags /SFRA", {.proto = 6, KEEP, .flagset = 0x17}},
		{"pass proto tcp flags SA/FSRPAUEW",
		 {.proto = 6, KEEP, .flags = 0x12, .flagset = 0xff}},
		{"block proto tcp flags F/F", {BLOCK, .proto = 6, .flags = 1, .flagset = 1}},

		{"pass inet proto icmp icmp-type echoreq",
		 {.af = 4, .proto = 1, KEEP, .icmp_type = 9}},
		{"pass inet proto icmp icmp-type 3 code 4",
		 {.af = 4, .proto = 1, KEEP, .icmp_type = 4, .icmp_code = 5}},
		{"pass inet proto icmp icmp-type unreach code port-unr",
		 {.af = 4, .proto = 1, KEEP, .icmp_type = 4, .icmp_code = 4}},
		{"pass inet proto icmp icmp-type 255 code 255",
		 {.af = 4, .proto = 1, KEEP, .icmp_type = 256, .icmp_code = 256}},
		{"pass inet6 proto icmp6 icmp6-type 0 code 0",
		 {.af = 6, .proto = 58, KEEP, .icmp_type = 1, .icmp_code = 1}},
		{"pass inet6 proto ipv6-icmp icmp6-type neighbrsol",
		 {.af = 6, .proto = 58, KEEP, .icmp_type = 136}},
		/* the family may come from an address */
		{"block proto icmp from 10.0.0.1 icmp-type 8",
		 {BLOCK, .af = 4, .proto = 1, .icmp_type = 9, .src = {NET4(10, 0, 0, 1, 32)}}},
		{"block label x", {BLOCK, .label = "x"}},
		{"block label \"two words\"", {BLOCK, .label = "two words"}},
		/* as if there were none */ {"block label \"\"", {BLOCK}},
		{"pass no state allow-opts", {.allow_opts = true}},
		{"block fragment", {BLOCK, .fragment = true}},
		{"pass no state, allow-opts, label a, flags S/SA",
		 {.allow_opts = true, .label = "a", S_SA}},
		{"pass label a flags any allow-opts keep state",
		 {.allow_opts = true, .label = "a", KEEP}},
	};

	(void)state;
	check_rules(cases, ARRAY_SIZE(cases));
}

/* --- the text as such --- */

static void white_space_and_comments(void **state)
{
	static const char *const same[] = {
		"block in on eth0",
		"block in on eth0\n",
		"\n\n  block\tin   on eth0  \n\n",
		"# a comment\nblock in on eth0 # another\n#",
		"block \\\n in \\\n\ton eth0\n",
		"block in \\ \t\r\non eth0\n",
		"block in on eth0\r\n\r\n",
		"\fblock in on\feth0\n\f",
		"block in on { eth0 }\n",
		"block in on {\n\n eth0\n\n}\n",
		"block in on { # list\n eth0 # it\n}\n",
		"# continued \\\n block out\nblock in on eth0",
		"block in on \"eth\\\n0\"",
		"block in on 'eth0'#",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(same); i++) {
		const struct pf_rule want = {BLOCK, .dir = PF_RULE_IN, .ifname = "eth0"};
		pf_ruleset_auto rs = parse_ok(same[i]);

		if (pf_filter(rs)->n != 1 || rule_difference(&pf_filter(rs)->v[0], &want))
			fail_msg("text %zu is another rule", i);
	}
}

static void empty_texts(void **state)
{
	static const char *const texts[] = {"",	     "\n",   "\n\n\n", " ", "#",
					    "# x\n", "\\\n", "\f",     "\r"};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		pf_ruleset_auto rs = parse_ok(texts[i]);
		struct pf_options want;

		pf_options_init(&want);
		assert_int_equal(pf_filter(rs)->n + rs->main.ntables + rs->nskip + rs->nitems, 0);
		assert_null(options_difference(&rs->options, &want));
	}
}

static void rules_know_their_lines(void **state)
{
	pf_ruleset_auto rs = parse_ok("# 1\n"
				      "pass in on { a\n"
				      "  b }\n"
				      "\n"
				      "block \\\n"
				      " in\n"
				      "m = \"block\n"
				      "  quick\"\n"
				      "$m\n");
	static const uint32_t lines[] = {2, 2, 5, 9};

	(void)state;
	assert_int_equal(pf_filter(rs)->n, ARRAY_SIZE(lines));
	for (size_t i = 0; i < ARRAY_SIZE(lines); i++)
		assert_int_equal(pf_filter(rs)->v[i].line, lines[i]);
	assert_true(pf_filter(rs)->v[3].quick);
}

/* --- macros --- */

struct macro_case {
	const char *text;
	const char *rules; /* as printed, in order */
};

static void check_macros(const struct macro_case *cases, size_t n,
			 const struct pf_parse_options *opt)
{
	for (size_t i = 0; i < n; i++) {
		pf_ruleset_auto rs = NULL;
		text_auto said = NULL;
		text_auto got = calloc(1, 1);

		if (parse_with(*opt, cases[i].text, strlen(cases[i].text), &rs, &said, NULL))
			fail_msg("%s\n%s", cases[i].text, said);
		for (size_t r = 0; r < pf_filter(rs)->n; r++) {
			text_auto rule = rule_text(&pf_filter(rs)->v[r], 0, 0);
			char *more = NULL;

			assert_true(asprintf(&more, "%s%s", got, rule) > 0);
			free(got);
			got = more;
		}
		assert_string_equal(got, cases[i].rules);
	}
}

static void macros_are_text(void **state)
{
	static const struct macro_case cases[] = {
		{"i = eth0\nblock on $i\n", "block drop on eth0 all\n"},
		{"i = \"eth0\"\nblock on { $i }\n", "block drop on eth0 all\n"},
		{"i = \"{ a, b }\"\nblock on $i\n", "block drop on a all\nblock drop on b all\n"},
		{"i = \"a b\"\nblock on { $i c }\n",
		 "block drop on a all\nblock drop on b all\nblock drop on c all\n"},
		{"r = \"block in\"\n$r\n$r quick\n",
		 "block drop in all\nblock drop in quick all\n"},
		{"p = 80\nblock proto tcp to port $p\n",
		 "block drop proto tcp from any to any port = 80\n"},
		/* several words, numbers among them */
		{"p = 80 443\nblock proto tcp to port { $p }\n",
		 "block drop proto tcp from any to any port = 80\n"
		 "block drop proto tcp from any to any port = 443\n"},
		{"a = x\nb = $a\na = y\nblock label $b\nblock label $a\n",
		 "block drop all label \"x\"\nblock drop all label \"y\"\n"},
		/* inside of quotes a macro stays a name, and is expanded at its use */
		{"b = \"$a\"\na = late\nblock label $b\n", "block drop all label \"late\"\n"},
		{"a = x\nblock label \"$a\"\n", "block drop all label \"$a\"\n"},
		{"n = 'label \"two words\"'\nblock $n\n", "block drop all label \"two words\"\n"},
		{"e = \"\"\nblock $e in $e\n", "block drop in all\n"},
		{"A_1 = \"in\"\n_ = 'out'\n9x = \"quick\"\nblock $A_1\nblock $_\nblock $9x\n",
		 "block drop in all\nblock drop out all\nblock drop quick all\n"},
		{"nl = 'block in\n'\n$nl\n", "block drop in all\n"},
	};
	const struct pf_parse_options opt = {0};

	(void)state;
	check_macros(cases, ARRAY_SIZE(cases), &opt);
}

static void defines_win_over_the_file(void **state)
{
	static const struct pf_define defines[] = {
		{"i", "eth9"}, {"empty", ""}, {"rule", "block out"}, {"i2", "$i"}};
	static const struct macro_case cases[] = {
		{"block on $i\n", "block drop on eth9 all\n"},
		{"i = eth0\nblock on $i\n", "block drop on eth9 all\n"},
		{"i = eth0\ni = eth1\nj = $i\nblock on $j\n", "block drop on eth9 all\n"},
		{"$rule $empty\n", "block drop out all\n"},
		{"block on $i2\n", "block drop on eth9 all\n"},
		{"k = eth1\nblock on $k\n", "block drop on eth1 all\n"},
	};
	const struct pf_parse_options opt = {.defines = defines, .ndefines = ARRAY_SIZE(defines)};

	(void)state;
	check_macros(cases, ARRAY_SIZE(cases), &opt);
}

static void the_last_of_two_defines_wins(void **state)
{
	static const struct pf_define defines[] = {{"i", "eth1"}, {"i", "eth2"}};
	static const struct macro_case cases[] = {
		{"i = eth3\nblock on $i\n", "block drop on eth2 all\n"},
	};
	const struct pf_parse_options opt = {.defines = defines, .ndefines = ARRAY_SIZE(defines)};

	(void)state;
	check_macros(cases, 1, &opt);
}

/* --- options and tables --- */

static void options_are_set(void **state)
{
	pf_ruleset_auto rs = parse_ok("set timeout tcp.first 1\n"
				      "set timeout { udp.single 2, frag 3\n interval 4 }\n"
				      "set limit states 5000\n"
				      "set limit { frags 6 tables 7 }\n"
				      "set block-policy return\n"
				      "set state-policy floating\n"
				      "set reassemble no\n"
				      "set ruleset-optimization none\n"
				      "set skip on lo\n"
				      "set skip on { a b, a }\n");
	struct pf_options want;

	(void)state;
	pf_options_init(&want);
	want.timeout[PF_TIMEOUT_TCP_FIRST] = 1;
	want.timeout[PF_TIMEOUT_UDP_SINGLE] = 2;
	want.timeout[PF_TIMEOUT_FRAG] = 3;
	want.timeout[PF_TIMEOUT_INTERVAL] = 4;
	want.timeout[PF_TIMEOUT_ADAPTIVE_START] = 3000;
	want.timeout[PF_TIMEOUT_ADAPTIVE_END] = 6000;
	want.timeout_set = 1U << PF_TIMEOUT_TCP_FIRST | 1U << PF_TIMEOUT_UDP_SINGLE |
			   1U << PF_TIMEOUT_FRAG | 1U << PF_TIMEOUT_INTERVAL;
	want.limit[PF_LIMIT_STATES] = 5000;
	want.limit[PF_LIMIT_FRAGS] = 6;
	want.limit[PF_LIMIT_TABLES] = 7;
	want.limit_set = 1U << PF_LIMIT_STATES | 1U << PF_LIMIT_FRAGS | 1U << PF_LIMIT_TABLES;
	want.block_return = true;
	assert_null(options_difference(&rs->options, &want));
	assert_int_equal(rs->nskip, 4);
	assert_string_equal(rs->skip[0], "lo");
	assert_string_equal(rs->skip[1], "a");
	assert_string_equal(rs->skip[2], "b");
	assert_string_equal(rs->skip[3], "a");
}

static void options_have_openbsds_defaults(void **state)
{
	pf_ruleset_auto rs = parse_ok("block\n");
	const struct pf_options *o = &rs->options;

	(void)state;
	assert_int_equal(o->timeout[PF_TIMEOUT_TCP_FIRST], 120);
	assert_int_equal(o->timeout[PF_TIMEOUT_TCP_ESTABLISHED], 86400);
	assert_int_equal(o->timeout[PF_TIMEOUT_UDP_MULTIPLE], 60);
	assert_int_equal(o->timeout[PF_TIMEOUT_INTERVAL], 10);
	assert_int_equal(o->limit[PF_LIMIT_STATES], 100000);
	assert_int_equal(o->timeout[PF_TIMEOUT_ADAPTIVE_START], 60000);
	assert_int_equal(o->timeout[PF_TIMEOUT_ADAPTIVE_END], 120000);
	assert_int_equal(o->timeout_set | o->limit_set, 0);
	assert_false(o->block_return);
}

static void adaptive_timeouts_as_written_stay(void **state)
{
	pf_ruleset_auto rs = parse_ok("set timeout adaptive.start 0\nset limit states 10\n");
	pf_ruleset_auto most = parse_ok(
		"set timeout { adaptive.start 2147483647 tcp.first 16777215 }\n"
		"set limit states 16777216\n");

	(void)state;
	assert_int_equal(rs->options.timeout[PF_TIMEOUT_ADAPTIVE_START], 0);
	assert_int_equal(rs->options.timeout[PF_TIMEOUT_ADAPTIVE_END], 120000);
	assert_int_equal(most->options.timeout[PF_TIMEOUT_ADAPTIVE_START], 2147483647);
	assert_int_equal(most->options.timeout[PF_TIMEOUT_TCP_FIRST], PF_TIMEOUT_LARGEST);
	assert_int_equal(most->options.limit[PF_LIMIT_STATES], PF_STATES_LARGEST);
}

/* Those that nobody asked for leave the states of a full table, or rule, some time. */
static void adaptive_timeouts_end_behind_the_limit(void **state)
{
	static const struct {
		const char *limit;
		uint32_t start, end;
	} of_all[] = {{"1", 0, 2}, {"4", 2, 5}, {"12", 7, 14}, {"54321", 32592, 65185}},
	  of_rule[] = {{"9", 0, 0}, {"10", 6, 12}, {"12", 6, 13}, {"19", 6, 20}, {"105", 60, 120}};
	char text[64];

	(void)state;
	for (size_t i = 0; i < sizeof(of_all) / sizeof(of_all[0]); i++) {
		snprintf(text, sizeof(text), "set limit states %s\n", of_all[i].limit);
		pf_ruleset_auto rs = parse_ok(text);

		assert_int_equal(rs->options.timeout[PF_TIMEOUT_ADAPTIVE_START], of_all[i].start);
		assert_int_equal(rs->options.timeout[PF_TIMEOUT_ADAPTIVE_END], of_all[i].end);
	}
	for (size_t i = 0; i < sizeof(of_rule) / sizeof(of_rule[0]); i++) {
		snprintf(text, sizeof(text), "pass keep state (max %s)\n", of_rule[i].limit);
		pf_ruleset_auto rs = parse_ok(text);
		const struct pf_state_opts *o = pf_rule_ext_of(&pf_filter(rs)->v[0])->state;

		assert_int_equal(o->timeout[PF_TIMEOUT_ADAPTIVE_START], of_rule[i].start);
		assert_int_equal(o->timeout[PF_TIMEOUT_ADAPTIVE_END], of_rule[i].end);
	}
}

static void optimizations(void **state)
{
	static const struct {
		const char *name;
		uint32_t first, established, closed;
	} cases[] = {
		{"normal", 120, 86400, 90},	  {"default", 120, 86400, 90},
		{"high-latency", 180, 86400, 95}, {"satellite", 180, 86400, 95},
		{"aggressive", 30, 18000, 30},	  {"conservative", 3600, 432000, 180},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char text[64];
		pf_ruleset_auto rs = NULL;
		const uint32_t *t;

		snprintf(text, sizeof(text), "set optimization %s\n", cases[i].name);
		rs = parse_ok(text);
		t = rs->options.timeout;
		assert_int_equal(t[PF_TIMEOUT_TCP_FIRST], cases[i].first);
		assert_int_equal(t[PF_TIMEOUT_TCP_ESTABLISHED], cases[i].established);
		assert_int_equal(t[PF_TIMEOUT_TCP_CLOSED], cases[i].closed);
		assert_int_equal(t[PF_TIMEOUT_UDP_FIRST], 60);
	}
}

/* The policy holds for the rules behind it, and for those without a kind of their own. */
static void block_policy_is_of_its_place(void **state)
{
	pf_ruleset_auto rs = parse_ok("block\n"
				      "set block-policy return\n"
				      "block\n"
				      "block drop\n"
				      "set block-policy drop\n"
				      "block\n");
	static const uint8_t kinds[] = {PF_BLOCK_DROP, PF_BLOCK_RETURN, PF_BLOCK_DROP,
					PF_BLOCK_DROP};

	(void)state;
	assert_int_equal(pf_filter(rs)->n, ARRAY_SIZE(kinds));
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		assert_int_equal(pf_filter(rs)->v[i].block_kind, kinds[i]);
	assert_int_equal(pf_filter(rs)->v[1].return_icmp, 0x303);
}

static void tables_are_defined(void **state)
{
	pf_ruleset_auto rs = parse_ok("table <a>\n"
				      "table <b> persist const { }\n"
				      "table <\"c\"> { 10/8, !10.1/16 2001:db8::1/127\n"
				      "  { 192.0.2.1 ! 192.0.2.2 } 0/0 }\n"
				      "table <d> const { 10.0.0.1 } persist { 10.0.0.2 }\n");
	struct pf_table_entry c[] = {
		{.af = 4, .bits = 8, .ip = {IP4(10, 0, 0, 0)}},
		{.af = 4, .bits = 16, .neg = true, .ip = {IP4(10, 1, 0, 0)}},
		{.af = 6, .bits = 127, .ip = {DOC6}},
		{.af = 4, .bits = 32, .ip = {IP4(192, 0, 2, 1)}},
		{.af = 4, .bits = 32, .neg = true, .ip = {IP4(192, 0, 2, 2)}},
		{.af = 4, .bits = 0},
	};
	struct pf_table_entry d[] = {{.af = 4, .bits = 32, .ip = {IP4(10, 0, 0, 1)}},
				     {.af = 4, .bits = 32, .ip = {IP4(10, 0, 0, 2)}}};
	const struct pf_table_def want[] = {
		{.name = "a"},
		{.name = "b", .persist = true, .constant = true, .has_list = true},
		{.name = "c", .has_list = true, .entries = c, .nentries = ARRAY_SIZE(c)},
		{.name = "d",
		 .persist = true,
		 .constant = true,
		 .has_list = true,
		 .entries = d,
		 .nentries = 2},
	};

	(void)state;
	assert_int_equal(rs->main.ntables, ARRAY_SIZE(want));
	for (size_t i = 0; i < ARRAY_SIZE(want); i++) {
		const char *what = table_difference(&rs->main.tables[i], &want[i]);

		if (what)
			fail_msg("table <%s>: %s", want[i].name, what);
		assert_ptr_equal(pf_ruleset_find_table(rs, want[i].name), &rs->main.tables[i]);
	}
	assert_null(pf_ruleset_find_table(rs, "e"));
}

static void items_are_in_the_files_order(void **state)
{
	pf_ruleset_auto rs = parse_ok("block\ntable <a>\nm = x\npass on { a b }\nset skip on lo\n");
	static const enum pf_item_kind kinds[] = {PF_ITEM_TABLE, PF_ITEM_TEXT, PF_ITEM_TEXT};
	static const size_t index[] = {0, 0, 0};

	(void)state;
	assert_int_equal(rs->nitems, ARRAY_SIZE(kinds));
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		assert_int_equal(rs->items[i].kind, kinds[i]);
		assert_int_equal(rs->items[i].index, index[i]);
	}
}

/* --- host names: a resolver of our own, so that no network is asked --- */

static struct addrinfo *answer_add(struct addrinfo *next, int family, const void *sa, size_t len)
{
	struct addrinfo *a = calloc(1, sizeof(*a) + len);

	a->ai_family = family;
	a->ai_addr = (void *)(a + 1);
	a->ai_addrlen = (socklen_t)len;
	memcpy(a->ai_addr, sa, len);
	a->ai_next = next;
	return a;
}

int getaddrinfo(const char *name, const char *service, const struct addrinfo *hints,
		struct addrinfo **res)
{
	const struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_addr = {htonl(0xc0000207)}};
	const struct sockaddr_in6 v6 = {.sin6_family = AF_INET6,
					.sin6_addr = {.s6_addr = {0x20, 1, 0xd, 0xb8, [15] = 7}}};

	(void)service;
	(void)hints;
	*res = NULL;
	if (strcmp(name, "both.example") != 0 && strcmp(name, "v6.example") != 0)
		return EAI_NONAME;
	*res = answer_add(NULL, AF_INET6, &v6, sizeof(v6));
	if (*name == 'b')
		*res = answer_add(*res, AF_INET, &v4, sizeof(v4));
	return 0;
}

void freeaddrinfo(struct addrinfo *a)
{
	while (a) {
		struct addrinfo *next = a->ai_next;

		free(a);
		a = next;
	}
}

static void host_names_are_resolved(void **state)
{
	pf_ruleset_auto rs = parse_ok("block from both.example\n"
				      "block to ! v6.example\n"
				      "table <t> { ! both.example }\n");
	const struct pf_rule four = {BLOCK, .af = 4, .src = {NET4(192, 0, 2, 7, 32)}};
	const struct pf_rule six = {BLOCK, .af = 6, .src = {NET6(128), .ip = {DOC6, .b[15] = 7}}};
	const struct pf_rule not_six = {BLOCK, .af = 6,
					.dst = {NET6(128), .neg = true, .ip = {DOC6, .b[15] = 7}}};

	(void)state;
	assert_int_equal(pf_filter(rs)->n, 3);
	assert_null(rule_difference(&pf_filter(rs)->v[0], &four));
	assert_null(rule_difference(&pf_filter(rs)->v[1], &six));
	assert_null(rule_difference(&pf_filter(rs)->v[2], &not_six));
	assert_int_equal(rs->main.tables[0].nentries, 2);
	assert_true(rs->main.tables[0].entries[0].neg && rs->main.tables[0].entries[1].neg);
	assert_int_equal(rs->main.tables[0].entries[1].af, PF_FAMILY_INET6);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(actions_and_their_defaults),
		cmocka_unit_test(heads_of_rules),
		cmocka_unit_test(hosts),
		cmocka_unit_test(ports),
		cmocka_unit_test(options_of_rules),
		cmocka_unit_test(white_space_and_comments),
		cmocka_unit_test(empty_texts),
		cmocka_unit_test(rules_know_their_lines),
		cmocka_unit_test(macros_are_text),
		cmocka_unit_test(defines_win_over_the_file),
		cmocka_unit_test(the_last_of_two_defines_wins),
		cmocka_unit_test(options_are_set),
		cmocka_unit_test(options_have_openbsds_defaults),
		cmocka_unit_test(adaptive_timeouts_as_written_stay),
		cmocka_unit_test(adaptive_timeouts_end_behind_the_limit),
		cmocka_unit_test(optimizations),
		cmocka_unit_test(block_policy_is_of_its_place),
		cmocka_unit_test(tables_are_defined),
		cmocka_unit_test(items_are_in_the_files_order),
		cmocka_unit_test(host_names_are_resolved),
	};

	return unit_run(tests);
}
