// SPDX-License-Identifier: BSD-2-Clause
/* grammar/names, addr, check and arena: the small parts that the rest stands on. */
#include "unit.h"

#include "../../grammar/arena.h"
#include "../../grammar/check.h"
#include "../../grammar/names.h"

/* --- names --- */

static void timeouts_and_limits(void **state)
{
	(void)state;
	for (int i = 0; i < PF_TIMEOUT_MAX; i++) {
		assert_non_null(pf_timeout_names[i]);
		assert_int_equal(pf_timeout_by_name(pf_timeout_names[i]), i);
	}
	for (int i = 0; i < PF_LIMIT_MAX; i++) {
		assert_non_null(pf_limit_names[i]);
		assert_int_equal(pf_limit_by_name(pf_limit_names[i]), i);
	}
	assert_int_equal(pf_timeout_by_name("tcp.established"), PF_TIMEOUT_TCP_ESTABLISHED);
	assert_int_equal(pf_timeout_by_name("frag"), PF_TIMEOUT_FRAG);
	assert_int_equal(pf_timeout_by_name("tcp"), -1);
	assert_int_equal(pf_timeout_by_name(""), -1);
	assert_int_equal(pf_timeout_by_name("TCP.FIRST"), -1);
	assert_int_equal(pf_limit_by_name("table-entries"), PF_LIMIT_TABLE_ENTRIES);
	assert_int_equal(pf_limit_by_name("state"), -1);
}

static void protocols(void **state)
{
	static const struct {
		const char *name;
		int number;
	} own[] = {{"icmp", 1},	  {"tcp", 6},	     {"udp", 17},   {"gre", 47},    {"esp", 50},
		   {"ah", 51},	  {"ipv6-icmp", 58}, {"icmp6", 58}, {"ospf", 89},   {"pim", 103},
		   {"carp", 112}, {"vrrp", 112},     {"sctp", 132}, {"pfsync", 240}};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(own); i++)
		assert_int_equal(pf_proto_by_name(own[i].name), own[i].number);
	/* two names: the one that OpenBSD prints */
	assert_string_equal(pf_proto_name(58), "ipv6-icmp");
	assert_string_equal(pf_proto_name(112), "carp");
	assert_string_equal(pf_proto_name(6), "tcp");
	assert_null(pf_proto_name(253));
	assert_int_equal(pf_proto_by_name("nosuchproto"), -1);
	assert_int_equal(pf_proto_by_name(""), -1);
	/* the system's database knows more */
	assert_int_equal(pf_proto_by_name("egp"), 8);
	assert_string_equal(pf_proto_name(8), "egp");
}

static void services(void **state)
{
	(void)state;
	assert_int_equal(pf_service_by_name("ssh"), 22);
	assert_int_equal(pf_service_by_name("domain"), 53);
	assert_int_equal(pf_service_by_name("tftp"), 69); /* UDP's alone */
	assert_int_equal(pf_service_by_name("nosuchservice"), -1);
	assert_string_equal(pf_service_name(22, PF_PROTO_TCP), "ssh");
	assert_string_equal(pf_service_name(69, PF_PROTO_UDP), "tftp");
	assert_null(pf_service_name(69, PF_PROTO_TCP));
	assert_null(pf_service_name(1, 0));
}

static void icmp_types_and_codes(void **state)
{
	const enum pf_family v4 = PF_FAMILY_INET, v6 = PF_FAMILY_INET6;

	(void)state;
	assert_int_equal(pf_icmp_type_by_name("echoreq", v4), 8);
	assert_int_equal(pf_icmp_type_by_name("echoreq", v6), 128);
	assert_int_equal(pf_icmp_type_by_name("unreach", v4), 3);
	assert_int_equal(pf_icmp_type_by_name("unreach", v6), 1);
	assert_int_equal(pf_icmp_type_by_name("toobig", v6), 2);
	assert_int_equal(pf_icmp_type_by_name("toobig", v4), -1);
	assert_int_equal(pf_icmp_type_by_name("squench", v6), -1);
	assert_int_equal(pf_icmp_type_by_name("", v4), -1);
	assert_string_equal(pf_icmp_type_name(0, v4), "echorep");
	assert_string_equal(pf_icmp_type_name(128, v6), "echoreq");
	assert_null(pf_icmp_type_name(1, v4));
	assert_null(pf_icmp_type_name(255, v6));
	assert_int_equal(pf_icmp_code_by_name(3, "port-unr", v4), 3);
	assert_int_equal(pf_icmp_code_by_name(1, "port-unr", v6), 4);
	assert_int_equal(pf_icmp_code_by_name(3, "needfrag", v4), 4);
	/* a code belongs to its type */
	assert_int_equal(pf_icmp_code_by_name(11, "port-unr", v4), -1);
	assert_int_equal(pf_icmp_code_by_name(11, "transit", v4), 0);
	assert_int_equal(pf_icmp_code_by_name(3, "transit", v6), 0);
	assert_string_equal(pf_icmp_code_name(3, 13, v4), "filter-prohib");
	assert_string_equal(pf_icmp_code_name(1, 0, v6), "noroute-unr");
	assert_null(pf_icmp_code_name(3, 16, v4));
	assert_null(pf_icmp_code_name(8, 0, v4));
}

/* A name that is printed must mean the number that it stands for. */
static void names_of_numbers_lead_back(void **state)
{
	static const enum pf_family afs[] = {PF_FAMILY_INET, PF_FAMILY_INET6};

	(void)state;
	for (unsigned int n = 0; n < 256; n++) {
		const char *name = pf_proto_name((uint8_t)n);

		if (name)
			assert_int_equal(pf_proto_by_name(name), n);
	}
	for (size_t a = 0; a < ARRAY_SIZE(afs); a++) {
		for (unsigned int type = 0; type < 256; type++) {
			const char *name = pf_icmp_type_name(type, afs[a]);

			if (name)
				assert_int_equal(pf_icmp_type_by_name(name, afs[a]), type);
			for (unsigned int code = 0; code < 256; code++) {
				name = pf_icmp_code_name(type, code, afs[a]);
				if (name)
					assert_int_equal(pf_icmp_code_by_name(type, name, afs[a]),
							 code);
			}
		}
	}
}

static void tcp_flags(void **state)
{
	char buf[9];

	(void)state;
	assert_int_equal(pf_tcp_flags_parse(""), 0);
	assert_int_equal(pf_tcp_flags_parse("F"), 0x01);
	assert_int_equal(pf_tcp_flags_parse("S"), 0x02);
	assert_int_equal(pf_tcp_flags_parse("R"), 0x04);
	assert_int_equal(pf_tcp_flags_parse("P"), 0x08);
	assert_int_equal(pf_tcp_flags_parse("A"), 0x10);
	assert_int_equal(pf_tcp_flags_parse("U"), 0x20);
	assert_int_equal(pf_tcp_flags_parse("E"), 0x40);
	assert_int_equal(pf_tcp_flags_parse("W"), 0x80);
	assert_int_equal(pf_tcp_flags_parse("AS"), 0x12);
	assert_int_equal(pf_tcp_flags_parse("SSS"), 0x02);
	assert_int_equal(pf_tcp_flags_parse("s"), -1);
	assert_int_equal(pf_tcp_flags_parse("SX"), -1);
	pf_tcp_flags_format(0, buf);
	assert_string_equal(buf, "");
	pf_tcp_flags_format(0xff, buf);
	assert_string_equal(buf, "FSRPAUEW");
	for (int f = 0; f < 256; f++) {
		pf_tcp_flags_format((uint8_t)f, buf);
		assert_int_equal(pf_tcp_flags_parse(buf), f);
	}
}

/* --- addresses --- */

static void addresses_are_parsed(void **state)
{
	static const char *const bad[] = {"",	       "1.2.3", "1.2.3.4.5", "256.1.1.1",
					  "1.2.3.4/8", "::1::", "1.2.3.4 ",  "g::1",
					  "12345::",   "any",	"01.2.3.4x"};
	static const uint8_t four[16] = {192, 0, 2, 1};
	static const uint8_t six[16] = {0x20, 1, 0xd, 0xb8, [15] = 1};
	enum pf_family af = PF_FAMILY_ANY;
	struct pf_ip ip;

	(void)state;
	memset(&ip, 0xff, sizeof(ip));
	assert_true(pf_ip_parse("192.0.2.1", &af, &ip));
	assert_int_equal(af, PF_FAMILY_INET);
	assert_memory_equal(ip.b, four, 16);
	memset(&ip, 0xff, sizeof(ip));
	assert_true(pf_ip_parse("2001:DB8::1", &af, &ip));
	assert_int_equal(af, PF_FAMILY_INET6);
	assert_memory_equal(ip.b, six, 16);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		af = (enum pf_family)99;
		assert_false(pf_ip_parse(bad[i], &af, &ip));
		assert_int_equal(af, 99);
		assert_memory_equal(ip.b, six, 16);
	}
}

static void short_addresses(void **state)
{
	static const struct {
		const char *text;
		uint8_t b[4];
		bool good;
	} cases[] = {
		{"10", {10, 0, 0, 0}, true},
		{"172.16", {172, 16, 0, 0}, true},
		{"192.0.2", {192, 0, 2, 0}, true},
		{"1.2.3.4", {1, 2, 3, 4}, true},
		{"0", {0, 0, 0, 0}, true},
		{"255.255", {255, 255, 0, 0}, true},
		{"256", {0}, false},
		{"", {0}, false},
		{"10.", {0}, false},
		{".10", {0}, false},
		{"1..2", {0}, false},
		{"1.2.3.4.5", {0}, false},
		{"1.2.3.4.", {0}, false},
		{"a", {0}, false},
		{"1a", {0}, false},
		{"-1", {0}, false},
		{" 1", {0}, false},
		{"1. 2", {0}, false},
		{"4294967297", {0}, false},
		{"0001", {0}, false},
	};
	struct pf_ip untouched;

	(void)state;
	memset(&untouched, 0xee, sizeof(untouched));
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct pf_ip ip = untouched, want = {0};

		memcpy(want.b, cases[i].b, 4);
		if (pf_ip_parse_short(cases[i].text, &ip) != cases[i].good)
			fail_msg("%s", cases[i].text);
		assert_true(pf_ip_equal(&ip, cases[i].good ? &want : &untouched));
	}
}

static void masks(void **state)
{
	(void)state;
	for (unsigned int bits = 0; bits <= 128; bits++) {
		struct pf_ip ip;

		memset(&ip, 0xff, sizeof(ip));
		pf_ip_mask(&ip, bits);
		for (unsigned int i = 0; i < 128; i++)
			assert_int_equal(ip.b[i / 8] >> (7 - i % 8) & 1, i < bits);
	}
	assert_int_equal(pf_family_bits(PF_FAMILY_INET), 32);
	assert_int_equal(pf_family_bits(PF_FAMILY_INET6), 128);
}

static void addresses_are_formatted(void **state)
{
	static const char *const same[] = {"0.0.0.0",
					   "192.0.2.1",
					   "255.255.255.255",
					   "::",
					   "::1",
					   "2001:db8::1",
					   "fe80::1:2:3:4",
					   "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"};
	char buf[PF_IP_STRLEN], want[PF_IP_STRLEN];
	enum pf_family af;
	struct pf_ip ip;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(same); i++) {
		assert_true(pf_ip_parse(same[i], &af, &ip));
		pf_ip_format(af, &ip, pf_family_bits(af), buf, sizeof(buf));
		assert_string_equal(buf, same[i]);
		for (unsigned int bits = 0; bits < pf_family_bits(af); bits += 7) {
			snprintf(want, sizeof(want), "%s/%u", same[i], bits);
			pf_ip_format(af, &ip, bits, buf, sizeof(buf));
			assert_string_equal(buf, want);
		}
	}
	/* a buffer that is too small is not overrun */
	pf_ip_format(af, &ip, 128, buf, 5);
	assert_string_equal(buf, "ffff");
}

/* --- names that users give --- */

static void names_of_things(void **state)
{
	static const char *const bad[] = {"",	  " ",	"a b", "a\tb",	"a\nb",
					  "a\"b", "<a", "a>",  "a\x7f", "\x01"};

	(void)state;
	assert_true(pf_name_ok("a", 2));
	assert_true(pf_name_ok("eth0.100", PF_IFNAME_SIZE));
	assert_true(pf_name_ok("fifteen-letters", PF_IFNAME_SIZE));
	assert_false(pf_name_ok("sixteen--letters", PF_IFNAME_SIZE));
	assert_false(pf_name_ok("ab", 2));
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_false(pf_name_ok(bad[i], 32));
}

/* --- consistency of rules --- */

struct check_case {
	struct pf_rule rule;
	enum pf_rule_part part;
	const char *msg;
};

static const struct check_case check_cases[] = {
	{{0}, 0, NULL},
	{{.proto = 6, .dport = {PF_PORT_EQ, 80, 80}}, 0, NULL},
	{{.proto = 17, .sport = {PF_PORT_EQ, 80, 80}}, 0, NULL},
	{{.dport = {PF_PORT_EQ, 80, 80}}, PF_PART_PORT, "port only applies to tcp/udp/sctp"},
	{{.proto = 132, .sport = {PF_PORT_EQ, 80, 80}}, 0, NULL},
	{{.proto = 47, .sport = {PF_PORT_EQ, 80, 80}},
	 PF_PART_PORT,
	 "port only applies to tcp/udp/sctp"},
	{{.proto = 1, .af = 4, .icmp_type = 9, .icmp_code = 1}, 0, NULL},
	{{.proto = 58, .af = 6, .icmp_type = 129}, 0, NULL},
	{{.proto = 6, .af = 4, .icmp_type = 9},
	 PF_PART_ICMP,
	 "icmp-type/code only applies to icmp"},
	{{.proto = 1, .icmp_type = 9},
	 PF_PART_ICMP,
	 "must indicate address family with icmp-type/code"},
	{{.proto = 1, .af = 4, .icmp_code = 1}, PF_PART_ICMP, "icmp code without a type"},
	{{.proto = 1, .af = 6}, PF_PART_RULE, "proto icmp doesn't match address family inet6"},
	{{.proto = 58, .af = 4}, PF_PART_RULE, "proto ipv6-icmp doesn't match address family inet"},
	{{.proto = 17, .flags = 2, .flagset = 2}, PF_PART_RULE, "flags only apply to tcp"},
	{{.flags = 2, .flagset = 0x12}, 0, NULL},
	{{.proto = 6, .flags = 3, .flagset = 2}, PF_PART_RULE, "flags can never match"},
	{{.flags = 1}, PF_PART_RULE, "flags can never match"},
	{{.action = PF_RULE_ACTION_BLOCK, .block_kind = PF_BLOCK_RETURN_RST, .proto = 6}, 0, NULL},
	{{.action = PF_RULE_ACTION_BLOCK, .block_kind = PF_BLOCK_RETURN_RST},
	 PF_PART_BLOCK,
	 "return-rst can only be applied to TCP rules"},
	{{.action = PF_RULE_ACTION_BLOCK, .keep_state = true},
	 PF_PART_STATE,
	 "keep state is great, but only for pass rules"},
	{{.fragment = true, .keep_state = true}, 0, NULL},
	{{.fragment = true, .proto = 17, .dport = {PF_PORT_EQ, 80, 80}},
	 PF_PART_RULE,
	 "fragments can be filtered only on IP header fields"},
	{{.fragment = true, .flags = 2, .flagset = 2},
	 PF_PART_RULE,
	 "fragments can be filtered only on IP header fields"},
	{{.fragment = true, .proto = 1, .af = 4, .icmp_type = 1},
	 PF_PART_RULE,
	 "fragments can be filtered only on IP header fields"},
};

static void rules_are_checked(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(check_cases); i++) {
		enum pf_rule_part part = (enum pf_rule_part)99;
		const char *msg = pf_rule_check(&check_cases[i].rule, &part);

		if (!check_cases[i].msg) {
			if (msg)
				fail_msg("case %zu: %s", i, msg);
			continue;
		}
		if (!msg)
			fail_msg("case %zu: no \"%s\"", i, check_cases[i].msg);
		assert_string_equal(msg, check_cases[i].msg);
		assert_int_equal(part, check_cases[i].part);
	}
}

/* --- memory --- */

static void the_arena_gives_zeroed_memory(void **state)
{
	static const size_t sizes[] = {1, 7, 16, 17, 1000, 65536, 65537, 200000, 3};
	struct pf_arena a = {0};

	(void)state;
	for (int round = 0; round < 3; round++) {
		for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
			char *p = pf_arena_alloc(&a, sizes[i]);

			assert_non_null(p);
			assert_int_equal((uintptr_t)p % 16, 0);
			for (size_t b = 0; b < sizes[i]; b++)
				assert_int_equal(p[b], 0);
			memset(p, 0x5a, sizes[i]);
		}
		pf_arena_reset(&a);
	}
	assert_string_equal(pf_arena_strdup(&a, "abc"), "abc");
	assert_string_equal(pf_arena_strndup(&a, "abc", 2), "ab");
	assert_string_equal(pf_arena_strndup(&a, "abc", 0), "");
	pf_arena_free(&a);
	pf_arena_free(&a);
	pf_arena_reset(&a);
	assert_null(a.blocks);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(timeouts_and_limits),
		cmocka_unit_test(protocols),
		cmocka_unit_test(services),
		cmocka_unit_test(icmp_types_and_codes),
		cmocka_unit_test(names_of_numbers_lead_back),
		cmocka_unit_test(tcp_flags),
		cmocka_unit_test(addresses_are_parsed),
		cmocka_unit_test(short_addresses),
		cmocka_unit_test(masks),
		cmocka_unit_test(addresses_are_formatted),
		cmocka_unit_test(names_of_things),
		cmocka_unit_test(rules_are_checked),
		cmocka_unit_test(the_arena_gives_zeroed_memory),
	};

	return unit_run(tests);
}
