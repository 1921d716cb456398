// SPDX-License-Identifier: BSD-2-Clause
/* grammar/print: canonical text, and that it means what it was made of. */
#include "unit.h"

#include <netdb.h>

#include "../../grammar/names.h"

/* --- text of rules made by hand --- */

/* Initialisers, without their braces. */
#define IP4(w, x, y, z) .b[0] = (w), .b[1] = (x), .b[2] = (y), .b[3] = (z)
#define NET4(w, x, y, z, n) \
	.type = PF_HOST_PREFIX, .af = PF_FAMILY_INET, .bits = (n), .ip = {IP4(w, x, y, z)}
#define DOC6  .b[0] = 0x20, .b[1] = 0x01, .b[2] = 0x0d, .b[3] = 0xb8

#define BLOCK .action = PF_RULE_ACTION_BLOCK

struct text_case {
	struct pf_rule rule;
	const char *text; /* without its newline */
};

static const struct text_case actions[] = {
	{{.keep_state = true, .flags = 0x02, .flagset = 0x12}, "pass all flags S/SA"},
	{{0}, "pass all no state"},
	{{BLOCK}, "block drop all"},
	{{BLOCK, .block_kind = PF_BLOCK_RETURN, .return_icmp = 0x303, .return_icmp6 = 0x104},
	 "block return all"},
	{{BLOCK, .block_kind = PF_BLOCK_RETURN_RST, .proto = 6}, "block return-rst proto tcp all"},
	{{BLOCK, .block_kind = PF_BLOCK_RETURN_RST, .proto = 6, .return_ttl = 9},
	 "block return-rst(ttl 9) proto tcp all"},
	{{BLOCK, .block_kind = PF_BLOCK_RETURN_ICMP, .return_icmp = 0x301, .return_icmp6 = 0x104},
	 "block return-icmp(host-unr, port-unr) all"},
	{{BLOCK, .block_kind = PF_BLOCK_RETURN_ICMP, .af = 4, .return_icmp = 0x30d},
	 "block return-icmp(filter-prohib) inet all"},
	{{BLOCK, .block_kind = PF_BLOCK_RETURN_ICMP, .af = 6, .return_icmp6 = 0x101},
	 "block return-icmp6(admin-unr) inet6 all"},
	{{BLOCK, .block_kind = PF_BLOCK_RETURN_ICMP, .af = 4, .return_icmp = 0x3ff},
	 "block return-icmp(255) inet all"},
};

static const struct text_case heads[] = {
	{{BLOCK, .dir = PF_RULE_IN}, "block drop in all"},
	{{BLOCK, .dir = PF_RULE_OUT, .log = true, .quick = true}, "block drop out log quick all"},
	{{BLOCK, .quick = true}, "block drop quick all"},
	{{BLOCK, .ifname = "eth0"}, "block drop on eth0 all"},
	{{BLOCK, .ifname = "eth0.7", .ifnot = true}, "block drop on ! eth0.7 all"},
	{{BLOCK, .af = 4, .proto = 17}, "block drop inet proto udp all"},
	{{BLOCK, .af = 6, .proto = 58}, "block drop inet6 proto ipv6-icmp all"},
	{{BLOCK, .proto = 253}, "block drop proto 253 all"},
	{{.dir = PF_RULE_IN,
	  .log = true,
	  .quick = true,
	  .ifname = "e",
	  .af = 4,
	  .proto = 6,
	  .fragment = true,
	  .allow_opts = true,
	  .label = "all of it"},
	 "pass in log quick on e inet proto tcp all no state fragment allow-opts label \"all of "
	 "it\""},
};

static const struct text_case hosts[] = {
	{{BLOCK, .af = 4, .src = {NET4(192, 0, 2, 1, 32)}},
	 "block drop inet from 192.0.2.1 to any"},
	{{BLOCK, .af = 4, .dst = {NET4(10, 0, 0, 0, 8)}}, "block drop inet from any to 10.0.0.0/8"},
	{{BLOCK, .af = 4, .src = {NET4(128, 0, 0, 0, 1)}, .dst = {NET4(1, 2, 3, 4, 31)}},
	 "block drop inet from 128.0.0.0/1 to 1.2.3.4/31"},
	{{BLOCK, .af = 6,
	  .src = {.type = PF_HOST_PREFIX, .neg = true, .af = 6, .bits = 32, .ip = {DOC6}}},
	 "block drop inet6 from ! 2001:db8::/32 to any"},
	{{BLOCK, .af = 6, .dst = {.type = PF_HOST_PREFIX, .af = 6, .bits = 128, .ip = {DOC6}}},
	 "block drop inet6 from any to 2001:db8::"},
	{{BLOCK, .src = {.type = PF_HOST_TABLE, .table = "bad"}}, "block drop from <bad> to any"},
	{{BLOCK, .dst = {.type = PF_HOST_TABLE, .neg = true, .table = "good"}},
	 "block drop from any to ! <good>"},
};

#define PORT(o, l, h) .op = PF_PORT_##o, .lo = (l), .hi = (h)

static const struct text_case ports[] = {
	{{BLOCK, .proto = 6, .sport = {PORT(EQ, 80, 80)}},
	 "block drop proto tcp from any port = 80 to any"},
	{{BLOCK, .proto = 6, .dport = {PORT(NE, 0, 0)}},
	 "block drop proto tcp from any to any port != 0"},
	{{BLOCK, .proto = 17, .sport = {PORT(LT, 1, 1)}, .dport = {PORT(LE, 2, 2)}},
	 "block drop proto udp from any port < 1 to any port <= 2"},
	{{BLOCK, .proto = 17, .sport = {PORT(GT, 3, 3)}, .dport = {PORT(GE, 65535, 65535)}},
	 "block drop proto udp from any port > 3 to any port >= 65535"},
	{{BLOCK, .proto = 17, .sport = {PORT(RANGE, 1, 2)}, .dport = {PORT(INSIDE, 3, 9)}},
	 "block drop proto udp from any port 1:2 to any port 3 >< 9"},
	{{BLOCK, .proto = 17, .dport = {PORT(OUTSIDE, 0, 65535)}},
	 "block drop proto udp from any to any port 0 <> 65535"},
	{{BLOCK, .af = 4, .proto = 6, .src = {NET4(192, 0, 2, 1, 32)}, .sport = {PORT(EQ, 1, 1)},
	  .dst = {NET4(192, 0, 2, 2, 32)}, .dport = {PORT(EQ, 2, 2)}},
	 "block drop inet proto tcp from 192.0.2.1 port = 1 to 192.0.2.2 port = 2"},
};

static const struct text_case options[] = {
	{{BLOCK, .proto = 6, .flags = 0x02, .flagset = 0xff},
	 "block drop proto tcp all flags S/FSRPAUEW"},
	{{BLOCK, .proto = 6, .flagset = 0x05}, "block drop proto tcp all flags /FR"},
	/* "flags any" where the default would be another */
	{{.keep_state = true}, "pass all flags any"},
	{{.keep_state = true, .proto = 6}, "pass proto tcp all flags any"},
	{{.keep_state = true, .proto = 17}, "pass proto udp all"},
	{{.keep_state = true, .fragment = true}, "pass all fragment"},
	{{.proto = 6}, "pass proto tcp all no state"},
	{{BLOCK, .proto = 6}, "block drop proto tcp all"},
	{{BLOCK, .af = 4, .proto = 1, .icmp_type = 9},
	 "block drop inet proto icmp all icmp-type echoreq"},
	{{BLOCK, .af = 4, .proto = 1, .icmp_type = 2},
	 "block drop inet proto icmp all icmp-type 1"},
	{{BLOCK, .af = 4, .proto = 1, .icmp_type = 4, .icmp_code = 5},
	 "block drop inet proto icmp all icmp-type unreach code needfrag"},
	{{BLOCK, .af = 4, .proto = 1, .icmp_type = 256, .icmp_code = 256},
	 "block drop inet proto icmp all icmp-type 255 code 255"},
	{{BLOCK, .af = 6, .proto = 58, .icmp_type = 2, .icmp_code = 1},
	 "block drop inet6 proto ipv6-icmp all icmp6-type unreach code noroute-unr"},
	{{.af = 4, .proto = 1, .icmp_type = 9, .label = "p"},
	 "pass inet proto icmp all icmp-type echoreq no state label \"p\""},
	{{.allow_opts = true}, "pass all no state allow-opts"},

};

static void check_texts(const struct text_case *cases, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		text_auto text = rule_text(&cases[i].rule, 0, 0);
		text_auto want = NULL, again = NULL;
		pf_ruleset_auto rs = NULL;

		assert_true(asprintf(&want, "%s\n", cases[i].text) > 0);
		assert_string_equal(text, want);
		/* it is a fixed point of parsing and printing */
		rs = parse_ok(text);
		assert_int_equal(pf_filter(rs)->n, 1);
		again = rule_text(&pf_filter(rs)->v[0], 0, 0);
		assert_string_equal(again, want);
	}
}

static void text_of_actions(void **state)
{
	(void)state;
	check_texts(actions, ARRAY_SIZE(actions));
}

static void text_of_heads(void **state)
{
	(void)state;
	check_texts(heads, ARRAY_SIZE(heads));
}

static void text_of_hosts(void **state)
{
	(void)state;
	check_texts(hosts, ARRAY_SIZE(hosts));
}

static void text_of_ports(void **state)
{
	(void)state;
	check_texts(ports, ARRAY_SIZE(ports));
}

static void text_of_options(void **state)
{
	(void)state;
	check_texts(options, ARRAY_SIZE(options));
}

static void numbers_and_port_names(void **state)
{
	const struct pf_rule r = {BLOCK, .proto = 6, .sport = {PORT(EQ, 22, 22)},
				  .dport = {PORT(NE, 53, 53)}};
	const struct pf_rule order = {BLOCK, .proto = 17, .sport = {PORT(LT, 22, 22)},
				      .dport = {PORT(RANGE, 22, 53)}};
	text_auto numbered = rule_text(&r, 12, PF_PRINT_NUMBER);
	text_auto named = rule_text(&r, 0, PF_PRINT_PORT_NAMES);
	text_auto both = rule_text(&order, 0, PF_PRINT_PORT_NAMES | PF_PRINT_NUMBER);

	(void)state;
	assert_string_equal(numbered,
			    "@12 block drop proto tcp from any port = 22 to any port != 53\n");
	assert_string_equal(named,
			    "block drop proto tcp from any port = ssh to any port != domain\n");
	/* an order of ports has no names */
	assert_string_equal(both, "@0 block drop proto udp from any port < 22 to any port 22:53\n");
}

/* --- tables and whole files --- */

static void text_of_tables(void **state)
{
	struct pf_table_entry entries[] = {
		{.af = 4, .bits = 8, .ip = {IP4(10, 0, 0, 0)}},
		{.af = 4, .bits = 32, .neg = true, .ip = {IP4(10, 0, 0, 1)}},
		{.af = 6, .bits = 32, .ip = {DOC6}},
		{.af = 4, .bits = 0},
		{.af = 6, .bits = 0, .neg = true},
	};
	const struct {
		struct pf_table_def t;
		const char *text;
	} cases[] = {
		{{.name = "a"}, "table <a>\n"},
		{{.name = "a", .persist = true}, "table <a> persist\n"},
		{{.name = "a", .persist = true, .constant = true}, "table <a> const persist\n"},
		{{.name = "a", .has_list = true}, "table <a> { }\n"},
		{{.name = "a",
		  .constant = true,
		  .has_list = true,
		  .entries = entries,
		  .nentries = ARRAY_SIZE(entries)},
		 "table <a> const { 10.0.0.0/8 !10.0.0.1 2001:db8::/32 0.0.0.0/0 !::/0 }\n"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		text_auto text = NULL, again = NULL;
		pf_ruleset_auto rs = NULL;
		FILE *f = text_open(&text);

		pf_table_print(f, &cases[i].t);
		fclose(f);
		assert_string_equal(text, cases[i].text);
		rs = parse_ok(text);
		again = ruleset_text(rs, 0);
		assert_string_equal(again, text);
	}
}

/* What -v echoes, in the file's order. */
static void text_of_a_file(void **state)
{
	static const char in[] = "if = eth0\n"
				 "set skip on lo  # and a comment\n"
				 "quoted = 'it is \"so\"'\n"
				 "table <t> persist { 10/8, ! 10.0.0.1 }\n"
				 "set timeout { tcp.first 10, udp.single 20 }\n"
				 "set limit states 500\n"
				 "pass in on $if from <t> \\\n"
				 "	to { 192.0.2.1 2001:db8::1 } label \"x$nr\"\n"
				 "set block-policy return\n"
				 "block\n"
				 "two = a b 007\n";
	static const char out[] =
		"if = \"eth0\"\n"
		"set skip on { lo }\n"
		"quoted = \"it is \\\"so\\\"\"\n"
		"table <t> persist { 10.0.0.0/8 !10.0.0.1 }\n"
		"set timeout tcp.first 10\n"
		"set timeout udp.single 20\n"
		"set limit states 500\n"
		"set block-policy return\n"
		"two = \"a b 7\"\n"
		"pass in on eth0 inet from <t> to 192.0.2.1 flags S/SA label \"x0\"\n"
		"pass in on eth0 inet6 from <t> to 2001:db8::1 flags S/SA label \"x1\"\n"
		"block return all\n";
	pf_ruleset_auto rs = parse_ok(in);
	text_auto text = ruleset_text(rs, 0);
	text_auto numbered = ruleset_text(rs, PF_PRINT_NUMBER);
	pf_ruleset_auto rs2 = parse_ok(text);
	text_auto again = ruleset_text(rs2, 0);

	(void)state;
	assert_string_equal(text, out);
	assert_string_equal(again, out);
	assert_non_null(strstr(numbered, "\n@1 pass in on eth0 inet6"));
	assert_non_null(strstr(numbered, "\n@2 block return all\n"));
	assert_null(strstr(numbered, "@3"));
}

/* --- print.h: "Parsing this text gives the same ruleset." --- */

/*
 * Prints what `text` means, parses that, prints it again.  It says what went
 * wrong, and the test goes on to the next text.
 */
static bool fixed_point(const char *text)
{
	const struct pf_parse_options opt = {0};
	pf_ruleset_auto rs = NULL;
	pf_ruleset_auto rs2 = NULL;
	text_auto said = NULL;
	text_auto said2 = NULL;
	text_auto once = NULL;
	text_auto twice = NULL;

	if (parse_with(opt, text, strlen(text), &rs, &said, NULL)) {
		print_error("%.200s\nis not read:\n%.400s", text, said);
		return false;
	}
	once = ruleset_text(rs, 0);
	if (parse_with(opt, once, strlen(once), &rs2, &said2, NULL)) {
		print_error("%.200s\nis printed as\n%.200s\nwhich is not read:\n%.400s", text, once,
			    said2);
		return false;
	}
	twice = ruleset_text(rs2, 0);
	if (strcmp(once, twice) == 0 && pf_filter(rs)->n == pf_filter(rs2)->n)
		return true;
	print_error("%.200s\nis printed as\n%.200s\nand that as\n%.200s\n", text, once, twice);
	return false;
}

/* The same; but an error of the text is as good. */
static bool fixed_point_or_refused(const char *text)
{
	const struct pf_parse_options opt = {0};
	pf_ruleset_auto rs = NULL;
	text_auto said = NULL;

	return parse_with(opt, text, strlen(text), &rs, &said, NULL) || fixed_point(text);
}

static void every_protocol_is_read_back(void **state)
{
	bool good = true;

	(void)state;
	for (unsigned int n = 1; n < 256; n++) {
		char text[64];

		snprintf(text, sizeof(text), "block proto %u\n", n);
		good &= fixed_point(text);
	}
	assert_true(good);
}

/* -P's names: one of them might be a word of the language. */
static void every_port_name_is_read_back(void **state)
{
	static const uint8_t protos[] = {PF_PROTO_TCP, PF_PROTO_UDP};
	bool good = true;

	(void)state;
	setservent(1); /* the file stays open: there are many questions */
	for (uint32_t i = 0; i < 2 * 65536; i++) {
		const struct pf_parse_options opt = {0};
		struct pf_rule r = {BLOCK, .proto = protos[i & 1], .dport = {PORT(EQ, 0, 0)}};
		pf_ruleset_auto rs = NULL;
		text_auto text = NULL;
		text_auto said = NULL;

		r.dport.lo = r.dport.hi = (uint16_t)(i / 2);
		if (!pf_service_name(r.dport.lo, r.proto))
			continue;
		text = rule_text(&r, 0, PF_PRINT_PORT_NAMES);
		if (!parse_with(opt, text, strlen(text), &rs, &said, NULL) &&
		    pf_filter(rs)->v[0].dport.lo == r.dport.lo)
			continue;
		print_error("%u is printed as\n%sbut read as something else\n%s", r.dport.lo, text,
			    said);
		good = false;
	}
	endservent();
	assert_true(good);
}

static void every_icmp_type_is_read_back(void **state)
{
	bool good = true;

	(void)state;
	for (unsigned int n = 0; n < 256; n++) {
		char text[160];

		snprintf(text, sizeof(text),
			 "block inet proto icmp icmp-type %u\n"
			 "block inet6 proto icmp6 icmp6-type %u\n",
			 n, n);
		good &= fixed_point(text);
	}
	assert_true(good);
}

static void every_icmp_code_is_read_back(void **state)
{
	bool good = true;

	(void)state;
	for (unsigned int type = 0; type < 45; type++) {
		for (unsigned int code = 0; code < 20; code++) {
			char text[160];

			if (type == 39) /* every_icmp_type_is_read_back() */
				continue;
			snprintf(text, sizeof(text),
				 "block inet proto icmp icmp-type %u code %u\n"
				 "block inet6 proto icmp6 icmp6-type %u code %u\n",
				 type, code, type + 100, code);
			good &= fixed_point(text);
		}
	}
	assert_true(good);
}

static void every_return_code_is_read_back(void **state)
{
	bool good = true;

	(void)state;
	for (unsigned int code = 0; code < 256; code++) {
		char text[160];

		snprintf(text, sizeof(text),
			 "block return-icmp(%u)\n"
			 "block return-icmp(%u, %u)\n"
			 "block return-icmp6(%u) inet6\n",
			 code, code, 255 - code, code);
		good &= fixed_point(text);
	}
	assert_true(good);
}

static void every_flag_is_read_back(void **state)
{
	bool good = true;

	(void)state;
	for (unsigned int mask = 0; mask < 256; mask++) {
		char text[80], m[9], f[9];

		pf_tcp_flags_format((uint8_t)mask, m);
		pf_tcp_flags_format((uint8_t)(mask & mask * 7), f);
		if (!mask)
			snprintf(text, sizeof(text), "pass flags any\n");
		else
			snprintf(text, sizeof(text), "pass proto tcp flags %s/%s\n", f, m);
		good &= fixed_point(text);
	}
	assert_true(good);
}

static void nothing_but_some_address_is_read_back(void **state)
{
	bool good = true;

	(void)state;
	/* matches nothing, but is a rule */
	good &= fixed_point("block from ! 0.0.0.0/0\n");
	good &= fixed_point("block to ! ::/0\n");
	assert_true(good);
}

/* Names that must be quoted, or would be another token. */
static const char *const odd_names[] = {
	"1",	       "007", "in",  "out",	"port", "self", "a{b", "a}",  "{",
	"a!",	       "!a",  "a=b", "a/b",	"#a",	"a#b",	"$a",  "a,b", "a\\b",
	"a'b",	       "-a",  ".a",  "a-b",	"a:b",	"a.b",	"a$b", "(a)", "a|&;",
	"caf\xc3\xa9", "_a",  ":a",  "a\\\\\n", "'",	"@a",	"%a",  "-1",
};

/* Before a quote, a backslash needs a newline between them; names with one may be refused. */
static bool odd_name_ok(const char *name, const char *text)
{
	return strchr(name, '\\') ? fixed_point_or_refused(text) : fixed_point(text);
}

static void odd_interface_names_are_read_back(void **state)
{
	bool good = true;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(odd_names); i++) {
		char text[128];

		snprintf(text, sizeof(text), "block on { \"%s\" ! \"%s\" }\n", odd_names[i],
			 odd_names[i]);
		good &= odd_name_ok(odd_names[i], text);
	}
	assert_true(good);
}

static void odd_skip_names_are_read_back(void **state)
{
	bool good = true;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(odd_names); i++) {
		char text[128];

		snprintf(text, sizeof(text), "set skip on \"%s\"\n", odd_names[i]);
		good &= odd_name_ok(odd_names[i], text);
	}
	assert_true(good);
}

static void odd_table_names_are_read_back(void **state)
{
	bool good = true;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(odd_names); i++) {
		char text[128];

		snprintf(text, sizeof(text), "table <\"%s\"> persist\nblock from <\"%s\">\n",
			 odd_names[i], odd_names[i]);
		good &= odd_name_ok(odd_names[i], text);
	}
	assert_true(good);
}

static void labels_are_read_back(void **state)
{
	static const char *const texts[] = {
		"block label \"\"\n",
		"block label word\n",
		"block label \"two words\"\n",
		"block label 'it''s'\n",
		"block label \"it's\"\n",
		"block label \"it\\'s\"\n",
		"block label \"caf\xc3\xa9 \xff\"\n",
		"block label \"#{}()<>!=/,|&;*\"\n",
		"block label \"a\\b\"\n",
		"block label \"$ $1 $nosuch $$\"\n",
		"block label \"$nr $if $proto $srcaddr\"\n",
	};
	bool good = true;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		if (i != 3) /* two strings in a row are none */
			good &= fixed_point(texts[i]);
	assert_true(good);
}

/* A backslash stays one, whatever follows it. */
static void backslashes_are_read_back(void **state)
{
	bool good = true;

	(void)state;
	good &= fixed_point("block label \"a\\\\ b\"\n");
	good &= fixed_point("block label \"a\\\\\\ b\"\n");
	good &= fixed_point_or_refused("block label \"a\\\\\n\"\n");
	good &= fixed_point("block label 'a\\\\\\'b'\n");
	good &= fixed_point("m = 'a\\\\ b'\n");
	good &= fixed_point_or_refused("m = 'a\\\\\n'\n");
	good &= fixed_point("m = 'a\\\"b'\n");
	good &= fixed_point("m = 'a\\\\\"b'\n");
	good &= fixed_point("m = \"a\\\\'b\"\n");
	assert_true(good);
}

/* The words of a macro make one string: one that is too long to be read is an error at once. */
static void long_macros_are_read_back(void **state)
{
	enum { LONG = 4000 };
	text_auto word = malloc(LONG + 1);
	text_auto text = NULL;

	(void)state;
	memset(word, 'w', LONG);
	word[LONG] = '\0';
	assert_true(asprintf(&text, "m = %s %s\n", word, word) > 0);
	assert_true(fixed_point(text));
	free(text);
	assert_true(asprintf(&text, "m = %s %s %s\nblock label x\n", word, word, word) > 0);
	assert_true(fixed_point_or_refused(text));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(text_of_actions),
		cmocka_unit_test(text_of_heads),
		cmocka_unit_test(text_of_hosts),
		cmocka_unit_test(text_of_ports),
		cmocka_unit_test(text_of_options),
		cmocka_unit_test(numbers_and_port_names),
		cmocka_unit_test(text_of_tables),
		cmocka_unit_test(text_of_a_file),
		cmocka_unit_test(every_protocol_is_read_back),
		cmocka_unit_test(every_port_name_is_read_back),
		cmocka_unit_test(every_icmp_type_is_read_back),
		cmocka_unit_test(every_icmp_code_is_read_back),
		cmocka_unit_test(every_return_code_is_read_back),
		cmocka_unit_test(every_flag_is_read_back),
		cmocka_unit_test(nothing_but_some_address_is_read_back),
		cmocka_unit_test(odd_interface_names_are_read_back),
		cmocka_unit_test(odd_skip_names_are_read_back),
		cmocka_unit_test(odd_table_names_are_read_back),
		cmocka_unit_test(labels_are_read_back),
		cmocka_unit_test(backslashes_are_read_back),
		cmocka_unit_test(long_macros_are_read_back),
	};

	return unit_run(tests);
}
