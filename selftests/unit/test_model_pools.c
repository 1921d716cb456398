// SPDX-License-Identifier: BSD-2-Clause
/* lib/model: the pools of translation, good ones and bytes that nobody should send. */
#include "model_bytes.h"

/* Many rules of one list have one pool, and one set of rarer parts. */
static void equal_pools_are_shared(void **state)
{
	pf_ruleset_auto rs = parse_ok("match out inet from { 10/8 11/8 } nat-to 192.0.2.1\n"
				      "match out inet nat-to 192.0.2.1 port 7\n"
				      "match out inet tag t nat-to 192.0.2.1 port 7\n"
				      "match out inet nat-to 192.0.2.2 port 7\n");
	pf_buf_auto b = encoded(rs);
	pf_ruleset_auto back = NULL;
	const struct pf_rule *v;
	char err[80];

	(void)state;
	assert_int_equal(decode(&b, &back, err, sizeof(err)), 0);
	v = pf_filter(back)->v;
	assert_ptr_equal(v[0].x, v[1].x);
	assert_ptr_not_equal(v[1].x->nat, v[2].x->nat);
	assert_ptr_not_equal(v[2].x, v[3].x);
	assert_ptr_equal(v[2].x->nat, v[3].x->nat);
	assert_ptr_not_equal(v[3].x->nat, v[4].x->nat);
}

/* A pool as bytes, which stand at the end but for the number of files. */
enum {
	POOL_RARE = -4, /* of 32 bits */
	POOL_HOST = 0,
	POOL_NEG = 1,
	POOL_AF = 2,
	POOL_BITS = 3,
	POOL_IP = 4,
	POOL_TYPE = 20,
	POOL_STATIC = 21,
	POOL_PORT = 22,
	POOL_PORT_HI = 24,
	POOL_SIZE = 26,
	RARE_NAT = 256,
	RARE_RDR = 512,
};

static const char nat_rule[] = "match out inet nat-to 192.0.2.0/28 port 2000:3000 bitmask\n";
static const char rdr_rule[] = "match in inet rdr-to 192.0.2.1 port 2000:3000\n";

static void bad_pools_are_refused(void **state)
{
	static const struct {
		const char *text;
		int at, size; /* of the number that is another one */
		uint16_t value;
		const char *msg;
	} cases[] = {
		{nat_rule, POOL_HOST, 1, PF_HOST_ANY, ""},
		{nat_rule, POOL_HOST, 1, PF_HOST_TABLE, ""},
		{nat_rule, POOL_HOST, 1, PF_HOST_DYNAMIC, "address type 4 is unknown"},
		{nat_rule, POOL_NEG, 1, 1, "this kind of pool: not enforced yet"},
		{nat_rule, POOL_AF, 1, 0, "address family 0 is unknown"},
		{nat_rule, POOL_AF, 1, PF_FAMILY_INET6, "this kind of pool: not enforced yet"},
		{nat_rule, POOL_BITS, 1, 33, "prefix length 33 is too long"},
		{nat_rule, POOL_BITS, 1, 3, "bits behind its prefix"},
		{nat_rule, POOL_BITS, 1, 0, ""},
		{nat_rule, POOL_IP + 3, 1, 8, "bits behind its prefix"},
		{nat_rule, POOL_IP + 4, 1, 1, "bits behind its prefix"},
		{nat_rule, POOL_TYPE, 1, PF_POOL_NONE, "without bitmask: not enforced yet"},
		{nat_rule, POOL_TYPE, 1, PF_POOL_RANDOM, "pool type 2 is unknown"},
		{nat_rule, POOL_STATIC, 1, 1, "static-port with ports"},
		{nat_rule, POOL_STATIC, 1, 2, "static-port 2 is unknown"},
		{nat_rule, POOL_PORT, 2, 3001, "ports end before they begin"},
		{nat_rule, POOL_PORT, 2, 0, "ports end before they begin"},
		{nat_rule, POOL_PORT_HI, 2, 0, "ports end before they begin"},
		{nat_rule, POOL_RARE, 2, RARE_RDR, "rdr-to on rules for outgoing packets"},
		{nat_rule, POOL_RARE, 2, 0, ""},
		{nat_rule, POOL_RARE + 2, 2, 1, "says what is unknown"},
		{rdr_rule, POOL_RARE, 2, RARE_NAT, "nat-to on rules for incoming packets"},
		{rdr_rule, POOL_RARE, 2, RARE_NAT | RARE_RDR, ""},
		{rdr_rule, POOL_STATIC, 1, 1, "static-port 1 is unknown"},
		{rdr_rule, POOL_IP, 1, 127, "rdr-to a loopback address"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		pf_ruleset_auto rs = parse_ok(cases[i].text);
		pf_buf_auto b = encoded(rs);
		const size_t pool = b.len - 4 - POOL_SIZE;

		memcpy(b.data + pool + cases[i].at, &cases[i].value, (size_t)cases[i].size);
		check_refused(&b, -EINVAL, cases[i].msg);
	}
}

/* What translates a packet must not get lost on the way. */
static void pools_that_are_not_enforced_have_no_encoding(void **state)
{
	static const char *const texts[] = {
		"match in inet nat-to 192.0.2.1\n",
		"match out inet rdr-to 192.0.2.1\n",
		"match out inet nat-to { 192.0.2.1 192.0.2.2 }\n",
		"match out inet nat-to 192.0.2.0/28\n",
		"match out inet nat-to <t>\n",
		"match out inet nat-to (eth0)\n",
		"match out inet nat-to 192.0.2.1 sticky-address\n",
		"match out inet nat-to 192.0.2.0/28 source-hash\n",
		"match in inet rdr-to 127.0.0.1\n",
		"pass in inet af-to inet6 from 2001:db8::1\n",
		"nat on eth0 inet from 10/8 to any -> 192.0.2.1\n",
	};

	(void)state;
	check_no_encoding(texts, ARRAY_SIZE(texts));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(equal_pools_are_shared),
		cmocka_unit_test(bad_pools_are_refused),
		cmocka_unit_test(pools_that_are_not_enforced_have_no_encoding),
	};

	return unit_run(tests);
}
