// SPDX-License-Identifier: BSD-2-Clause
/* grammar: what is said about texts with errors, where, and how often. */
#include "unit.h"

#include <netdb.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../../lib/model.h"
#include "../../lib/wire.h"

/* No network is asked. */
int getaddrinfo(const char *name, const char *service, const struct addrinfo *hints,
		struct addrinfo **res)
{
	(void)name;
	(void)service;
	(void)hints;
	*res = NULL;
	return EAI_NONAME;
}

/* Line and column, message; then the line and a caret, which show_line() makes. */
struct error_case {
	const char *text;
	const char *said; /* of each error the first line, without the name of the source */
	unsigned int nerrors;
};

/* The lines of `said` that begin with the name of the source, without it. */
static char *messages_of(const char *said)
{
	char *out = calloc(1, strlen(said) + 1);
	size_t n = 0;

	assert_non_null(out);
	while (*said) {
		size_t len = strcspn(said, "\n") + 1;

		if (strncmp(said, "t:", 2) == 0) {
			memcpy(out + n, said + 2, len - 2);
			n += len - 2;
		}
		said += len;
	}
	return out;
}

static void check_errors(const struct error_case *cases, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const struct pf_parse_options opt = {0};
		struct pf_ruleset *rs = (void *)&rs;
		unsigned int nerrors = 99;
		text_auto said = NULL;
		text_auto messages = NULL;
		int err;

		err = parse_with(opt, cases[i].text, strlen(cases[i].text), &rs, &said, &nerrors);
		messages = messages_of(said);
		assert_string_equal(messages, cases[i].said);
		assert_int_equal(err, -EINVAL);
		assert_int_equal(nerrors, cases[i].nerrors);
		/* *out only on success */
		assert_ptr_equal(rs, &rs);
	}
}

static void syntax_errors(void **state)
{
	static const struct error_case cases[] = {
		{"pass in on eth0 form any\n",
		 "1:17: syntax error: unexpected \"form\"; did you mean \"from\"?\n", 1},
		{"block in in", "1:10: syntax error: unexpected \"in\"\n", 1},
		{"\n\n\tblock\tin in", "3:11: syntax error: unexpected \"in\"\n", 1},
		{"block \\\n\\\n  in in", "3:6: syntax error: unexpected \"in\"\n", 1},
		{"x\n", "1:1: syntax error: unexpected \"x\"\n", 1},
		{"table <a {\n", "1:10: syntax error: unexpected \"{\", expected \">\"\n", 1},
		{"set timeout { frag 1 interval }\n",
		 "1:31: syntax error: unexpected \"}\", expected a number (interval)\n", 1},
		{"block from {}\n", "1:13: syntax error: unexpected \"}\", expected an address\n",
		 1},
		{"block to { , }\n", "1:12: syntax error: unexpected \",\", expected an address\n",
		 1},
		{"block flags S/SA,\n", "1:18: syntax error: unexpected end of line\n", 1},
		{"block proto tcp port 80\n", "1:17: syntax error: unexpected \"port\"\n", 1},
		/* a macro that closes an anchor goes on behind it */
		{"m = \"} in\"\nanchor a {\n\tpass\n$m\n",
		 "4:1: syntax error: unexpected \"in\" (in $m), expected end of line\n", 1},
		/* a dash is looked behind even where the macro ends */
		{"m = \"-1\"\npass from $m.5\n",
		 "2:11: syntax error: unexpected \"$m\", expected an address\n", 1},
		{"i = in\n", "1:5: syntax error: unexpected \"in\", expected a value\n", 1},
	};

	(void)state;
	check_errors(cases, ARRAY_SIZE(cases));
}

static void bytes_that_are_no_token(void **state)
{
	static const struct error_case cases[] = {
		{"@\n", "1:1: unexpected character '@'\n", 1},
		{"block ?\n", "1:7: unexpected character '?'\n", 1},
		{"block \x01", "1:7: unexpected byte 0x01\n", 1},
		{"block \xe9\n", "1:7: unexpected byte 0xe9\n", 1},
		{"block \\ x\n", "1:7: unexpected character '\\'\n", 1},
		{"m = \"abc\n\nblock\n", "1:5: string has no end\n", 1},
		{"m = 'abc\"\n", "1:5: string has no end\n", 1},
		{"set limit states 99999999999999999999\n",
		 "1:18: number 99999999999999999999 is too large\n", 1},
	};

	(void)state;
	check_errors(cases, ARRAY_SIZE(cases));
}

static void nul_bytes(void **state)
{
	static const char text[] = "block\0\nblock label \"a\0b\"\nblock in in\n";
	static const char want[] = "1:6: NUL byte\n2:15: NUL byte in a string\n";
	const struct pf_parse_options opt = {0};
	struct pf_ruleset *rs = NULL;
	unsigned int nerrors = 0;
	text_auto said = NULL;
	text_auto messages = NULL;

	(void)state;
	assert_int_equal(parse_with(opt, text, sizeof(text) - 1, &rs, &said, &nerrors), -EINVAL);
	messages = messages_of(said);
	/* the quote behind it begins another string */
	assert_memory_equal(messages, want, strlen(want));
	assert_int_equal(nerrors, 3);
}

static void values_out_of_range(void **state)
{
	static const struct error_case cases[] = {
		{"block from 1.2.3.4/33\n", "1:12: prefix length 33 is out of range (0 to 32)\n",
		 1},
		{"block from ::1/129\n", "1:12: prefix length 129 is out of range (0 to 128)\n", 1},
		{"block from ::1/-2\n", "1:12: prefix length -2 is out of range (0 to 128)\n", 1},
		{"block proto tcp to port 65536\n",
		 "1:25: port 65536 is out of range (0 to 65535)\n", 1},
		{"block proto tcp to port -1\n", "1:25: port -1 is out of range (0 to 65535)\n", 1},
		{"block proto tcp to port 1:65536\n",
		 "1:25: port 65536 is out of range (0 to 65535)\n", 1},
		{"block proto udp to port 9:5\n",
		 "1:25: invalid port range: 9:5 ends before it begins\n", 1},
		{"block proto udp to port 9 >< 5\n",
		 "1:25: invalid port range: 9 >< 5 ends before it begins\n", 1},
		{"block proto udp to port { 1, 9 <> 5 }\n",
		 "1:30: invalid port range: 9 <> 5 ends before it begins\n", 1},
		{"block proto 256\n", "1:13: protocol 256 is out of range (0 to 255)\n", 1},
		{"block inet proto icmp icmp-type 256\n",
		 "1:33: icmp-type 256 is out of range (0 to 255)\n", 1},
		{"block inet proto icmp icmp-type 3 code 256\n",
		 "1:40: code 256 is out of range (0 to 255)\n", 1},
		{"block return-rst(ttl 256) proto tcp\n",
		 "1:22: ttl 256 is out of range (0 to 255)\n", 1},
		{"block return-icmp(256)\n", "1:19: icmp code 256 is out of range (0 to 255)\n", 1},
		{"set timeout interval 0\n", "1:22: interval 0 is out of range (1 to 16777215)\n",
		 1},
		{"set timeout tcp.first 16777216\n",
		 "1:23: tcp.first 16777216 is out of range (0 to 16777215)\n", 1},
		{"set limit states 0\n", "1:18: states 0 is out of range (1 to 16777216)\n", 1},
		{"set limit states 16777217\n",
		 "1:18: states 16777217 is out of range (1 to 16777216)\n", 1},
	};

	(void)state;
	check_errors(cases, ARRAY_SIZE(cases));
}

static void negative_prefix_lengths(void **state)
{
	static const struct error_case cases[] = {
		{"block from 1.2.3.4/-1\n", "1:12: prefix length -1 is out of range (0 to 32)\n",
		 1},
		{"block from 10/-1\n", "1:12: prefix length -1 is out of range (0 to 32)\n", 1},
		{"table <t> { ::1/-1 }\n", "1:13: prefix length -1 is out of range (0 to 128)\n",
		 1},
	};

	(void)state;
	check_errors(cases, ARRAY_SIZE(cases));
}

static void names_that_are_not_known(void **state)
{
	static const struct error_case cases[] = {
		{"block on $x\n", "1:10: macro 'x' is not defined\n", 1},
		{"block proto foo\n", "1:13: unknown protocol foo\n", 1},
		{"block proto tcp to port foo\n", "1:25: unknown port foo\n", 1},
		{"block inet proto icmp icmp-type toobig\n", "1:33: unknown icmp-type toobig\n", 1},
		{"block inet6 proto icmp6 icmp6-type squench\n",
		 "1:36: unknown icmp6-type squench\n", 1},
		{"block inet proto icmp icmp-type 3 code transit\n",
		 "1:40: unknown code transit of this type\n", 1},
		{"block return-icmp(foo)\n", "1:19: unknown icmp code foo\n", 1},
		{"set timeout foo 3\n", "1:13: unknown timeout foo\n", 1},
		{"set limit foo 3\n", "1:11: unknown limit foo\n", 1},
		{"set optimization foo\n", "1:18: unknown optimization foo\n", 1},
		{"block proto tcp flags X/SA\n",
		 "1:17: unknown TCP flag in X/SA (they are F S R P A U E W)\n", 1},
		{"block from foo.example\n",
		 "1:12: could not resolve \"foo.example\": Name or service not known\n", 1},
		{"block from 1.2.3\n", "1:12: 1.2.3 is not an address\n", 1},
		{"block from 300.1.1.1\n", "1:12: 300.1.1.1 is not an address\n", 1},
		{"block from 1.2.3.4.5/8\n", "1:12: 1.2.3.4.5 is not an address\n", 1},
	};

	(void)state;
	check_errors(cases, ARRAY_SIZE(cases));
}

static void names_that_cannot_be(void **state)
{
	static const struct error_case cases[] = {
		{"block on abcdefghijklmnop\n",
		 "1:10: interface name 'abcdefghijklmnop' is too long (at most 15 characters)\n",
		 1},
		{"block on \"a b\"\n", "1:10: 'a b' is no interface name\n", 1},
		{"block on { \"\" }\n", "1:12: '' is no interface name\n", 1},
		{"set skip on ! lo\n", "1:15: set skip on ! lo is not supported\n", 1},
		{"table <\"a b\">\n", "1:8: 'a b' is no table name\n", 1},
		{"table <t123456789012345678901234567890a> { 10/8 }\n",
		 "1:8: table name 't123456789012345678901234567890a' is too long"
		 " (at most 31 characters)\n",
		 1},
		{"block from <\"\">\n", "1:13: '' is no table name\n", 1},
		{"a-b = c\n", "1:1: macro name 'a-b' may hold letters, digits and _ only\n", 1},
		{"block label 'a\"b'\n", "1:13: a label cannot hold quotes or control characters\n",
		 1},
		{"block label \"a\tb\"\n",
		 "1:13: a label cannot hold quotes or control characters\n", 1},
		{"pass tag \"a\tb\"\n", "1:10: a tag cannot hold control characters\n", 1},
		{"pass tagged \"a\001b\"\n", "1:13: a tag cannot hold control characters\n", 1},
		{"pass tag 'a\"b'\n",
		 "1:10: a tag cannot be empty, or hold quotes or backslashes\n", 1},
	};

	(void)state;
	check_errors(cases, ARRAY_SIZE(cases));
}

static void rules_that_make_no_sense(void **state)
{
	static const struct error_case cases[] = {
		{"block to port 80\n", "1:15: port only applies to tcp/udp/sctp\n", 1},
		{"block proto { tcp udp icmp } from port 1 to port 2\n",
		 "1:40: port only applies to tcp/udp/sctp\n", 1},
		{"block inet proto tcp icmp-type 8\n",
		 "1:22: icmp-type/code only applies to icmp\n", 1},
		{"block inet6 proto icmp6 icmp-type 8\n",
		 "1:25: icmp-type does not belong to proto ipv6-icmp\n", 1},
		{"block inet proto icmp icmp6-type 8\n",
		 "1:23: icmp6-type does not belong to proto icmp\n", 1},
		{"block proto icmp icmp-type 8\n",
		 "1:18: must indicate address family with icmp-type/code\n", 1},
		{"block inet6 proto icmp\n", "1:1: proto icmp doesn't match address family inet6\n",
		 1},
		{"block inet proto icmp6\n",
		 "1:1: proto ipv6-icmp doesn't match address family inet\n", 1},
		{"block return-rst\n", "1:7: return-rst can only be applied to TCP rules\n", 1},
		{"block allow-opts\n", "1:1: allow-opts can only be specified for pass rules\n", 1},
		{"pass proto udp flags S/SA\n", "1:16: flags only apply to tcp\n", 1},
		{"block proto 0\n", "1:13: proto 0 cannot be used\n", 1},
		{"block keep state\n", "1:7: keep state is great, but only for pass rules\n", 1},
		{"pass inet from ::1\n",
		 "1:1: rule expands to no valid combination: ::1 is no IPv4 address\n", 1},
		{"pass from 1.1.1.1 to ::1\n",
		 "1:1: rule expands to no valid combination: ::1 is no IPv4 address\n", 1},
		{"pass proto tcp to port == 80\n",
		 "1:25: syntax error: unexpected \"=\", expected a port\n", 1},
		{"pass proto tcp to port { 22 == 80 }\n",
		 "1:30: syntax error: unexpected \"=\", expected a port\n", 1},
		{"pass proto tcp user == 0\n",
		 "1:22: syntax error: unexpected \"=\", expected a user\n", 1},
		{"a == 1\n", "1:4: syntax error: unexpected \"=\", expected a value\n", 1},
		{"block fragment flags S/SA\n",
		 "1:1: fragments can be filtered only on IP header fields\n", 1},
		{"pass from 10.0.0.1 label "
		 "\"$srcaddr$srcaddr$srcaddr$srcaddr$srcaddr$srcaddr$srcaddr$srcaddr\"\n",
		 "1:26: rule label is too long (at most 63 characters)\n", 1},
		{"table <a> { 10/8 <b> }\n", "1:18: a table cannot hold a table\n", 1},
		{"table <a> { any }\n", "1:13: a table holds addresses: 'any' is none\n", 1},
		{"table <a>\ntable <b>\ntable <a> { 10/8 }\n", "3:8: table <a> is defined twice\n",
		 1},
	};

	(void)state;
	check_errors(cases, ARRAY_SIZE(cases));
}

static void what_is_given_twice(void **state)
{
	static const struct error_case cases[] = {
		{"block proto tcp flags S/S flags A/A\n", "1:27: flags is given twice\n", 1},
		{"block label a label b label c label d label e label f\n",
		 "1:47: a rule has at most 5 labels\n", 1},
		{"block fragment fragment\n", "1:16: fragment is given twice\n", 1},
		{"pass allow-opts allow-opts\n", "1:17: allow-opts is given twice\n", 1},
		{"pass no state keep state\n", "1:15: state is given twice\n", 1},
		{"block inet proto icmp icmp-type 1 icmp-type 2\n",
		 "1:35: icmp-type is given twice\n", 1},
	};

	(void)state;
	check_errors(cases, ARRAY_SIZE(cases));
}

/* One mistake, one message. */
static void flags_that_never_match(void **state)
{
	static const struct error_case cases[] = {
		{"block proto tcp flags S/A\n", "1:17: flags S/A can never match\n", 1},
	};

	(void)state;
	check_errors(cases, ARRAY_SIZE(cases));
}

/* -f refuses by name what the datapath cannot enforce; -n accepts it. */
static void what_is_not_enforced(void **state)
{
	static const struct error_case cases[] = {
		{"nat on e from any to any -> 192.0.2.1\n",
		 "1:1: translation of the old dialect (nat, rdr, binat)", 1},
		{"block in prio 3\n", "1:10: prio", 1},
		{"match in scrub (no-df)\n", "1:10: scrub", 1},
		{"pass keep state (udp.first 3, pflow)\n", "1:31: pflow", 1},
		{"pass proto sctp keep state (allow-related)\n", "1:29: allow-related", 1},
		{"set state-defaults max 3, pflow\n", "1:27: pflow", 1},
		{"pass in log (all) on e\n", "1:9: log with options", 1},
		{"block from (eth0)\n", "1:12: an interface in parentheses as an address", 1},
		{"set reassemble yes\n", "1:5: set reassemble yes", 1},
		{"block on { egress e } from fe80::1%e\n",
		 "1:28: an address at one interface in a rule for a group", 1},
		{"pass in route-to 192.0.2.1@egress\n", "1:18: a group of interfaces as a way", 1},
		{"table <t> timeout 5\n", "1:19: a table's timeout", 1},
		{"pass in nat-to 192.0.2.1\n", "1:9: nat-to on rules for incoming packets", 1},
		{"pass out rdr-to 192.0.2.1\n", "1:10: rdr-to on rules for outgoing packets", 1},
		{"pass out inet nat-to 192.0.2.1 rdr-to 192.0.2.2\n",
		 "1:15: nat-to and rdr-to in one rule", 1},
		{"match out nat-to { 192.0.2.1 192.0.2.2 }\n", "1:11: a pool of several addresses",
		 1},
		{"match out nat-to <t>\n", "1:11: a table as a pool", 1},
		{"match out nat-to (eth0)\n", "1:11: an interface in parentheses as a pool", 1},
		{"match out nat-to 192.0.2.1 weight 2\n", "1:11: the weight of an address", 1},
		{"match out nat-to 192.0.2.1 sticky-address\n", "1:11: sticky-address", 1},
		{"match out nat-to 192.0.2.1 endpoint-independent\n", "1:11: endpoint-independent",
		 1},
		{"match out nat-to 192.0.2.1 map-e-portset 6/8/1\n", "1:11: map-e-portset", 1},
		{"match out nat-to 192.0.2.0/28\n", "1:11: a prefix as a pool, without bitmask", 1},
		{"match out nat-to 0.0.0.0/0 bitmask\n", "1:11: a pool of all addresses", 1},
		{"match out nat-to 192.0.2.0/28 random\n", "1:11: a random pool", 1},
		{"match out nat-to 192.0.2.0/28 source-hash\n", "1:11: a source-hash pool", 1},
		{"match out nat-to 192.0.2.0/28 round-robin\n", "1:11: a round-robin pool", 1},
		{"match out nat-to 192.0.2.0/28 least-states\n", "1:11: a least-states pool", 1},
		{"pass in proto tcp rdr-to 127.0.0.1 port 80\n", "1:19: rdr-to a loopback address",
		 1},
		{"pass in rdr-to 127.1.0.0/16 bitmask\n", "1:9: rdr-to a loopback address", 1},
		{"pass in rdr-to 64.0.0.0/2 bitmask\n", "1:9: rdr-to a loopback address", 1},
		{"pass in rdr-to ::1\n", "1:9: rdr-to a loopback address", 1},
		{"pass in rdr-to ::/96 bitmask\n", "1:9: rdr-to a loopback address", 1},
		{"pass from 127.0.0.1 binat-to 192.0.2.1\n", "1:21: rdr-to a loopback address", 1},
		{"pass from 10.0.0.1 binat-to 192.0.2.1 random\n", "1:20: a random pool", 1},
		{"pass in inet af-to inet6 from 2001:db8::1\n", "1:14: af-to", 1},
		{"nat-anchor a\n", "1:1: an anchor of the old dialect", 1},
		{"scrub in\n", "1:1: scrub", 1},
		{"scrub in\nblock in in\n", "1:1: scrub\n2:10: syntax error: unexpected \"in\"", 2},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const struct pf_parse_options load = {.enforce = true}, check = {0};
		struct pf_ruleset *rs = NULL;
		text_auto said = NULL;
		text_auto nothing = NULL;
		text_auto messages = NULL;
		unsigned int nerrors = 99;
		const char *text = cases[i].text;
		char *tail;

		assert_int_equal(parse_with(load, text, strlen(text), &rs, &said, &nerrors),
				 -EINVAL);
		assert_int_equal(nerrors, cases[i].nerrors);
		messages = messages_of(said);
		tail = strstr(messages, ": not enforced yet, so these rules cannot be loaded "
					"(-n accepts them)");
		assert_non_null(tail);
		memmove(tail, strchr(tail, '\n'), strlen(strchr(tail, '\n')) + 1);
		messages[strlen(messages) - 1] = '\0';
		assert_string_equal(messages, cases[i].said);
		if (nerrors > 1)
			continue;
		assert_int_equal(parse_with(check, text, strlen(text), &rs, &nothing, &nerrors), 0);
		assert_string_equal(nothing, "");
		pf_ruleset_free(rs);
	}
}

/* --- more than one --- */

static void reading_goes_on_behind_an_error(void **state)
{
	static const struct error_case cases[] = {
		{"block in in\nblock out\nblock out out\n",
		 "1:10: syntax error: unexpected \"in\"\n3:11: syntax error: unexpected \"out\"\n",
		 2},
		/* an open list does not swallow the file */
		{"block from { 10.0.0.1\nfoo\npass in\nblock bogus\n",
		 "2:1: could not resolve \"foo\": Name or service not known\n"
		 "3:1: syntax error: unexpected \"pass\", expected an address\n"
		 "4:7: syntax error: unexpected \"bogus\"\n",
		 3},
		/* a list is skipped to its end */
		{"block bogus { a\n b } c\nblock in in\n",
		 "1:7: syntax error: unexpected \"bogus\"\n"
		 "3:10: syntax error: unexpected \"in\"\n",
		 2},
		{"block } in\nblock in in\n",
		 "1:7: syntax error: unexpected \"}\"\n2:10: syntax error: unexpected \"in\"\n", 2},
		/* two errors of meaning in one statement */
		{"block proto 300 from 1.1.1.1/99 label 'a\"'\n",
		 "1:13: protocol 300 is out of range (0 to 255)\n"
		 "1:22: prefix length 99 is out of range (0 to 32)\n"
		 "1:39: a label cannot hold quotes or control characters\n",
		 3},
	};

	(void)state;
	check_errors(cases, ARRAY_SIZE(cases));
}

/* Tokens out of a macro have the place of its use. */
static void errors_in_macros(void **state)
{
	static const struct error_case cases[] = {
		{"m = \"from 300.0.0.1\"\nblock in $m\n", "2:10: 300.0.0.1 is not an address\n", 1},
		{"m = \"x y z\"\nblock $m\n", "2:7: syntax error: unexpected \"x\" (in $m)\n", 1},
		{"n = 'label \"x'\nblock $n\nblock in in\n",
		 "2:7: string has no end\n3:10: syntax error: unexpected \"in\"\n", 2},
		{"i = \"$j\"\nj = \"$k\"\nblock on $i\n", "3:10: macro 'k' is not defined\n", 1},
	};

	(void)state;
	check_errors(cases, ARRAY_SIZE(cases));
}

static void endless_macros_are_reported_once(void **state)
{
	static const struct error_case cases[] = {
		{"m = \"$m\"\nblock $m\nblock in in\n",
		 "2:7: macro 'm' expands without an end\n3:10: syntax error: unexpected \"in\"\n",
		 2},
		{"m = \"$m $m\"\nblock $m\nblock in in\n",
		 "2:7: macro 'm' expands without an end\n3:10: syntax error: unexpected \"in\"\n",
		 2},
	};

	(void)state;
	check_errors(cases, ARRAY_SIZE(cases));
}

static void the_line_is_shown_with_a_caret(void **state)
{
	static const struct {
		const char *text;
		const char *said;
	} cases[] = {
		{"block from 1.2.3.4/33 to any\n",
		 "t:1:12: prefix length 33 is out of range (0 to 32)\n"
		 "    block from 1.2.3.4/33 to any\n"
		 "               ^~~~~~~~~~\n"},
		{"# one\n\tblock\tin  in", "t:2:12: syntax error: unexpected \"in\"\n"
					   "    \tblock\tin  in\n"
					   "    \t     \t    ^~\n"},
		{"block \x01\n", "t:1:7: unexpected byte 0x01\n"
				 "    block ?\n"
				 "          ^\n"},
		{"set limit frags\n",
		 "t:1:16: syntax error: unexpected end of line, expected a number (frags)\n"
		 "    set limit frags\n"
		 "                   ^\n"},
		{"m = 'ab\n", "t:1:5: string has no end\n"
			      "    m = 'ab\n"
			      "        ^\n"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const struct pf_parse_options opt = {0};
		struct pf_ruleset *rs = NULL;
		text_auto said = NULL;

		assert_int_equal(
			parse_with(opt, cases[i].text, strlen(cases[i].text), &rs, &said, NULL),
			-EINVAL);
		assert_string_equal(said, cases[i].said);
	}
}

/* Only the first 200 characters of a line are shown, and a caret only if it is in them. */
static void long_lines_are_cut(void **state)
{
	const struct pf_parse_options opt = {.name = "long"};
	struct pf_ruleset *rs = NULL;
	text_auto text = NULL;
	text_auto said = NULL;
	text_auto want = NULL;

	(void)state;
	assert_true(asprintf(&text, "block x%300s\n%250sblock x\n", "y", "") > 0);
	assert_true(asprintf(&want,
			     "long:1:7: syntax error: unexpected \"x\"\n    block x%193s\n"
			     "          ^\n"
			     "long:2:257: syntax error: unexpected \"x\"\n",
			     "") > 0);
	assert_int_equal(parse_with(opt, text, strlen(text), &rs, &said, NULL), -EINVAL);
	assert_string_equal(said, want);
}

static void count_errors(unsigned int max_errors, size_t lines, unsigned int want, bool full)
{
	const struct pf_parse_options opt = {.max_errors = max_errors};
	struct pf_ruleset *rs = NULL;
	unsigned int nerrors = 0;
	text_auto text = calloc(lines + 1, 2);
	text_auto said = NULL;

	for (size_t i = 0; i < lines; i++)
		memcpy(text + 2 * i, "@\n", 2);
	assert_int_equal(parse_with(opt, text, 2 * lines, &rs, &said, &nerrors), -EINVAL);
	assert_int_equal(nerrors, want);
	assert_int_equal(strstr(said, "\nt: too many errors\n") != NULL, full);
}

static void errors_end_at_their_limit(void **state)
{
	(void)state;
	count_errors(0, 19, 19, false);
	count_errors(0, 20, 20, true);
	count_errors(0, 1000, 20, true);
	count_errors(1, 1, 1, true);
	count_errors(1, 5, 1, true);
	count_errors(3, 2, 2, false);
	count_errors(3, 100, 3, true);
	count_errors(2000, 1999, 1999, false);
}

/*
 * The end may come deep in macros, and nothing is forgotten there.  This test is
 * the first, because what one that failed has left behind would be seen here too.
 */
int __lsan_do_recoverable_leak_check(void) __attribute__((weak));

static void errors_end_inside_of_macros(void **state)
{
	static const char text[] = "a = '@ in'\nb = \"$a @\"\nblock $b\nblock in in\n";

	(void)state;
	for (unsigned int most = 1; most < 5; most++) {
		const struct pf_parse_options opt = {.max_errors = most};
		struct pf_ruleset *rs = NULL;
		text_auto said = NULL;

		assert_int_equal(parse_with(opt, text, strlen(text), &rs, &said, NULL), -EINVAL);
	}
	if (__lsan_do_recoverable_leak_check)
		assert_int_equal(__lsan_do_recoverable_leak_check(), 0);
}

/* --- sizes --- */

static void long_words_and_strings(void **state)
{
	const size_t most[] = {8095, 1 << 20}; /* of words, of strings */
	const struct pf_parse_options opt = {0};

	(void)state;
	for (int quoted = 0; quoted < 2; quoted++) {
		for (size_t len = most[quoted]; len <= most[quoted] + 1; len++) {
			pf_ruleset_auto rs = NULL;
			text_auto text = NULL;
			text_auto said = NULL;
			text_auto word = malloc(len + 1);
			const char *q = quoted ? "\"" : "";

			memset(word, 'w', len);
			word[len] = '\0';
			assert_true(asprintf(&text, "m = %s%s%s\n", q, word, q) > 0);
			assert_int_equal(parse_with(opt, text, strlen(text), &rs, &said, NULL),
					 len == most[quoted] ? 0 : -EINVAL);
			if (len > most[quoted])
				assert_non_null(strstr(said, " is too long\n"));
		}
	}
}

/* The stack of the parser has an end: that is an error of the text, not of the machine. */
static void deep_lists(void **state)
{
	const struct pf_parse_options opt = {0};

	(void)state;
	for (size_t depth = 100; depth <= 1000000; depth *= 100) {
		struct pf_ruleset *rs = NULL;
		text_auto text = malloc(depth * 2 + 64);
		text_auto said = NULL;
		unsigned int nerrors = 0;
		int n = sprintf(text, "block from ");
		int err;

		memset(text + n, '{', depth);
		n += (int)depth;
		n += sprintf(text + n, "10.0.0.1");
		memset(text + n, '}', depth);
		err = parse_with(opt, text, (size_t)n + depth, &rs, &said, &nerrors);
		pf_ruleset_free(rs);
		assert_int_equal(err, depth == 100 ? 0 : -EINVAL);
		assert_int_equal(nerrors, depth == 100 ? 0 : 1);
	}
}

/* 32 macros, each twice the one before: the sum is what is limited. */
static void macros_that_explode(void **state)
{
	const struct pf_parse_options opt = {.max_errors = 1};
	struct pf_ruleset *rs = NULL;
	text_auto text = calloc(1, 4096);
	text_auto said = NULL;
	size_t n = 0;

	(void)state;
	n += (size_t)sprintf(text, "m0 = x\n");
	for (int i = 1; i < 31; i++)
		n += (size_t)sprintf(text + n, "m%d = \"$m%d $m%d\"\n", i, i - 1, i - 1);
	n += (size_t)sprintf(text + n, "# $m30\nblock label x # $m30\n$m30\n");
	assert_int_equal(parse_with(opt, text, n, &rs, &said, NULL), -EINVAL);
	assert_non_null(strstr(said, "t:34:1: "));
}

/*
 * What the parser accepts, pfd must be able to take: so a rule that stands for
 * more rules than a model may hold is an error here, where its line is known.
 */
static void rules_that_explode(void **state)
{
	enum { PORTS = 1001 };
	const struct pf_parse_options opt = {0};
	struct pf_ruleset *rs = NULL;
	text_auto ports = calloc(PORTS, 6);
	text_auto text = NULL;
	text_auto said = NULL;
	size_t n = 0;
	int err;

	(void)state;
	assert_true((size_t)PORTS * PORTS > PF_MODEL_RULES_MOST);
	for (int i = 0; i < PORTS; i++)
		n += (size_t)sprintf(ports + n, "%d ", i + 1);
	assert_true(asprintf(&text, "block proto tcp from port { %s} to port { %s}\n", ports,
			     ports) > 0);
	err = parse_with(opt, text, strlen(text), &rs, &said, NULL);
	pf_ruleset_free(rs);
	assert_int_equal(err, -EINVAL);
	assert_non_null(strstr(said, "t:1:1: "));
}

/* --- files --- */

static void files(void **state)
{
	const struct pf_parse_options opt = {.name = "t", .err = stderr};
	struct pf_ruleset *rs = NULL;
	struct pf_parse_result result = {.errors = 5};
	char path[] = "/tmp/pf-unit-XXXXXX";
	int fd = mkstemp(path);

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(write(fd, "block in\nblock out", 18), 18);
	assert_int_equal(pf_parse_file(path, &opt, &rs, &result), 0);
	assert_int_equal(result.errors, 0);
	assert_int_equal(pf_filter(rs)->n, 2);
	pf_ruleset_free(rs);
	close(fd);
	unlink(path);
	result.errors = 5;
	assert_int_equal(pf_parse_file(path, &opt, &rs, &result), -ENOENT);
	assert_int_equal(result.errors, 0);
	assert_int_equal(pf_parse_file("/", &opt, &rs, &result), -EISDIR);
	assert_int_equal(pf_parse_file("/nosuch/file", &opt, &rs, NULL), -ENOENT);
}

/* A large file comes through in pieces; its end needs no newline. */
static void large_files(void **state)
{
	const struct pf_parse_options opt = {.name = "large", .optimize = PF_OPTIMIZE_NONE};
	struct pf_ruleset *rs = NULL;
	char path[] = "/tmp/pf-unit-XXXXXX";
	int fd = mkstemp(path);
	FILE *f = fdopen(fd, "w");

	(void)state;
	assert_non_null(f);
	for (int i = 0; i < 20000; i++)
		fprintf(f, "%sblock in quick from 10.%d.%d.0/24", i ? "\n" : "", i / 256, i % 256);
	fclose(f);
	assert_int_equal(pf_parse_file(path, &opt, &rs, NULL), 0);
	assert_int_equal(pf_filter(rs)->n, 20000);
	assert_int_equal(pf_filter(rs)->v[19999].line, 20000);
	assert_int_equal(pf_filter(rs)->v[19999].src.ip.b[2], 19999 % 256);
	pf_ruleset_free(rs);
	unlink(path);
}

/* --- whatever comes: nothing leaks, nothing breaks --- */

static const char rich[] =
	"i = \"{ eth0, ! eth1 }\"  # a comment\n"
	"set skip on lo\nset timeout { tcp.first 9, frag 8 }\nset limit states 5\n"
	"table <t> persist const { 10/8 !10.1.2.3 2001:db8::/32 }\n"
	"block return-icmp(host-unr, 3) log quick on $i \\\n inet proto { tcp 17 } \\\n"
	" from { 10.0.0.1, <t> } port { 80:90, != 5 } to ! <t> port 1 >< 9\n"
	"pass inet6 proto icmp6 icmp6-type { echoreq 1 code 2 } label \"$nr $if\"\n"
	"pass out flags S/SA keep state, allow-opts\n";

static void cut_texts(void **state)
{
	const struct pf_parse_options opt = {0};

	(void)state;
	for (size_t len = 0; len <= strlen(rich); len++) {
		/* in memory of its own, so that a byte too far is seen */
		text_auto copy = malloc(len + !len);
		struct pf_ruleset *rs = NULL;
		text_auto said = NULL;

		memcpy(copy, rich, len);
		if (parse_with(opt, copy, len, &rs, &said, NULL) == 0)
			pf_ruleset_free(rs);
		else
			assert_string_not_equal(said, "");
	}
}

static void texts_with_another_byte(void **state)
{
	static const char bytes[] = "\0\n\"'\\{}()<>!$#,-/=0a:\xff";
	const struct pf_parse_options opt = {0};

	(void)state;
	for (size_t at = 0; at < strlen(rich); at++) {
		for (size_t b = 0; b < sizeof(bytes) - 1; b++) {
			char copy[sizeof(rich)];
			struct pf_ruleset *rs = NULL;
			text_auto said = NULL;
			int err;

			memcpy(copy, rich, sizeof(rich));
			copy[at] = bytes[b];
			err = parse_with(opt, copy, strlen(rich), &rs, &said, NULL);
			if (err == 0)
				pf_ruleset_free(rs);
			else
				assert_int_equal(err, -EINVAL);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(errors_end_inside_of_macros),
		cmocka_unit_test(syntax_errors),
		cmocka_unit_test(bytes_that_are_no_token),
		cmocka_unit_test(nul_bytes),
		cmocka_unit_test(values_out_of_range),
		cmocka_unit_test(negative_prefix_lengths),
		cmocka_unit_test(names_that_are_not_known),
		cmocka_unit_test(names_that_cannot_be),
		cmocka_unit_test(rules_that_make_no_sense),
		cmocka_unit_test(what_is_given_twice),
		cmocka_unit_test(flags_that_never_match),
		cmocka_unit_test(what_is_not_enforced),
		cmocka_unit_test(reading_goes_on_behind_an_error),
		cmocka_unit_test(errors_in_macros),
		cmocka_unit_test(endless_macros_are_reported_once),
		cmocka_unit_test(the_line_is_shown_with_a_caret),
		cmocka_unit_test(long_lines_are_cut),
		cmocka_unit_test(errors_end_at_their_limit),
		cmocka_unit_test(long_words_and_strings),
		cmocka_unit_test(deep_lists),
		cmocka_unit_test(macros_that_explode),
		cmocka_unit_test(rules_that_explode),
		cmocka_unit_test(files),
		cmocka_unit_test(large_files),
		cmocka_unit_test(cut_texts),
		cmocka_unit_test(texts_with_another_byte),
	};

	return unit_run(tests);
}
