// SPDX-License-Identifier: BSD-2-Clause
/* lib/model: a ruleset as bytes and back, and bytes that nobody should send. */
#include "unit.h"

#include "../../grammar/check.h"
#include "model_bytes.h"
#include "same.h"

static const char rich[] =
	"set skip on { lo dummy0 }\n"
	"set timeout { tcp.first 9 interval 1 adaptive.start 0 adaptive.end 2147483647 }\n"
	"set limit { states 16777216 frags 7 table-entries 2147483647 }\n"
	"set optimization aggressive\n"
	"table <t> persist const { 10/8 !10.1.2.3 2001:db8::/32 0/0 }\n"
	"table <none>\n"
	"table <list> { }\n"
	"pass\n"
	"pass no state\n"
	"set block-policy return\n"
	"block\n"
	"block drop quick\n"
	"block return-rst(ttl 64) proto tcp\n"
	"block return-icmp(net-unr, 3) log quick on ! eth0 inet proto { tcp 17 } \\\n"
	" from { 10.0.0.1, <t> } port { 80:90, != 5 } to ! 10/8 port { 1 >< 9 2 <> 3 }\n"
	"pass in inet6 from ::/0 to ! 2001:db8:1:2:3::/81 allow-opts\n"
	"pass inet6 proto icmp6 icmp6-type { echoreq 1 code 2 } label \"$nr LXT$if\" \\\n"
	" label b label \"c $nr\"\n"
	"pass inet proto icmp icmp-type { echorep 255 code 255 }\n"
	"pass out on eth1 flags S/SA keep state, label \"\"\n"
	"pass proto udp to port { < 1 <= 2 > 3 >= 4 5 }\n"
	"pass proto tcp flags /FSRPAUEW\n"
	"pass from <fifteen-and-more> fragment\n"
	"match out on eth0 inet from 10/8 tag t nat-to 192.0.2.1\n"
	"match out on eth0 inet from 10/8 tag t nat-to 192.0.2.1 port 1024:2048\n"
	"match out on eth0 inet6 nat-to 2001:db8::1 static-port\n"
	"pass in on eth0 inet proto tcp to 192.0.2.1 port 80 rdr-to 10.0.0.1 port 8080:8089\n"
	"pass in inet6 proto udp rdr-to 2001:db8:1::1 port 53\n"
	"pass on eth0 from 10.1.2.0/24 binat-to 192.0.2.0/24\n";

static const char of_sources[] =
	"pass keep state (source-track global, max-src-states 4, src.track 5)\n"
	"pass keep state (max-src-nodes 4294967295, if-bound)\n"
	"pass keep state (max-src-conn 1, overload <t> flush)\n"
	"pass keep state (max-src-conn-rate 4294967/16777215, overload <u> flush global)\n";

/* --- there and back --- */

static void check_truncations(const struct pf_ruleset *rs);

static void check_round_trip(const struct pf_ruleset *rs)
{
	pf_buf_auto b = encoded(rs);
	pf_ruleset_auto back = NULL;
	pf_buf_auto again = {0};
	const char *what;
	char err[80];

	assert_int_equal(decode(&b, &back, err, sizeof(err)), 0);
	what = ruleset_difference(rs, back);
	if (what)
		fail_msg("%s has changed", what);
	for (size_t i = 0; i < pf_filter(rs)->n; i++)
		assert_int_equal(pf_filter(rs)->v[i].line, pf_filter(back)->v[i].line);
	/* what -v echoes does not travel */
	assert_int_equal(back->nitems, 0);
	again = encoded(back);
	assert_int_equal(again.len, b.len);
	assert_memory_equal(again.data, b.data, b.len);
}

static void all_of_the_language_comes_back(void **state)
{
	pf_ruleset_auto rs = parse_ok(rich);

	(void)state;
	assert_int_equal(pf_filter(rs)->n, 41);
	check_round_trip(rs);
}

static void options_of_sources_come_back(void **state)
{
	pf_ruleset_auto rs = parse_ok(of_sources);

	(void)state;
	assert_int_equal(pf_filter(rs)->n, 4);
	check_round_trip(rs);
}

static void limiters_come_back(void **state)
{
	pf_ruleset_auto rs = parse_ok(
		"state limiter \"a b\" id 255 limit 16777216 rate 3/5\n"
		"state limiter x id 1 limit 1\n"
		"source limiter fifteen-letters id 1 entries 9 limit 4 rate 1/60 inet mask 0 "
		"inet6 mask 64\nsource limiter y id 2 entries 1 limit 1\n"
		"source limiter z id 3 entries 1 limit 1 inet mask 24 table <t> above 5 below 2\n"
		"pass state limiter x\npass state limiter \"a b\" (block)\n"
		"pass source limiter y (no-match)\npass source limiter id 1 (block)\n"
		"pass keep state (max 3) state limiter x (no-match) source limiter y\n");

	(void)state;
	assert_int_equal(rs->nlimiters, 5);
	assert_int_equal(pf_filter(rs)->n, 5);
	check_round_trip(rs);
	check_truncations(rs);
}

static void an_empty_ruleset_comes_back(void **state)
{
	pf_ruleset_auto rs = pf_ruleset_new();

	(void)state;
	check_round_trip(rs);
}

/* A rule that matches nothing is one, and pfd must take what the parser takes. */
static void rules_for_no_address_come_back(void **state)
{
	pf_ruleset_auto rs = parse_ok("block from ! 0.0.0.0/0\nblock inet6 to ! ::/0\n");

	(void)state;
	check_round_trip(rs);
}

static void the_longest_names_come_back(void **state)
{
	pf_ruleset_auto rs = parse_ok(
		"set skip on fifteen-letters\n"
		"table <t123456789012345678901234567890>\n"
		"block on ! fifteen-letters from <t123456789012345678901234567890> label "
		"\"l23456789012345678901234567890123456789012345678901234567890123\"\n");

	(void)state;
	check_round_trip(rs);
}

/* With a table in it, and one more in the anchor in that. */
static const char anchored[] = "table <t> { 10.0.0.1 }\n"
			       "anchor a {\n"
			       "	table <t> persist const { !10.0.0.2 2001:db8::/32 }\n"
			       "	table <other> { }\n"
			       "	pass from <t>\n"
			       "	anchor {\n"
			       "		table <t>\n"
			       "		block to <t>\n"
			       "	}\n"
			       "}\n"
			       "anchor b\n";

static void load_at(struct pf_ruleset *rs, const char *path, struct pf_ruleset *file)
{
	struct pf_load *load = pf_ruleset_add_load(rs, path);

	assert_non_null(load);
	load->rs = file;
}

/* "load anchor": one that loads one, and one beside it. */
static struct pf_ruleset *loading(void)
{
	struct pf_ruleset *rs = parse_ok(anchored), *file = parse_ok(rich);

	load_at(file, "b/c", parse_ok(anchored));
	load_at(rs, "b", file);
	load_at(rs, "d", parse_ok("pass\n"));
	return rs;
}

static void tables_in_anchors_come_back(void **state)
{
	pf_ruleset_auto rs = parse_ok(anchored);

	(void)state;
	assert_int_equal(rs->nblocks, 2);
	assert_int_equal(rs->blocks[0]->ntables, 2);
	check_round_trip(rs);
}

static void loaded_rulesets_come_back(void **state)
{
	pf_ruleset_auto rs = loading();

	(void)state;
	check_round_trip(rs);
}

static void many_rules_and_entries_come_back(void **state)
{
	pf_ruleset_auto rs = pf_ruleset_new();
	struct pf_table_def *t;

	(void)state;
	t = pf_ruleset_add_table(rs, "big");
	t->has_list = t->automatic = t->counters = true;
	for (int i = 0; i < 20000; i++) {
		struct pf_table_entry *e = pf_table_def_add(t);
		struct pf_rule *r = pf_ruleset_add_rule(rs);

		e->af = PF_FAMILY_INET;
		e->bits = 32;
		memcpy(e->ip.b, &i, sizeof(i));
		r->line = (uint32_t)i;
		r->label = i % 3 ? "a" : "b";
	}
	check_round_trip(rs);
}

/* --- what is refused --- */

static void other_versions(void **state)
{
	pf_ruleset_auto rs = pf_ruleset_new();
	pf_buf_auto b = encoded(rs);
	uint32_t version;

	(void)state;
	memcpy(&version, b.data + 4, sizeof(version));
	assert_int_equal(version, PF_MODEL_VERSION);
	for (int d = -1; d <= 1; d += 2) {
		version = PF_MODEL_VERSION + (uint32_t)d;
		memcpy(b.data + 4, &version, sizeof(version));
		check_refused(&b, -EPROTO, "of another version");
	}
	/* no matter what follows */
	b.len = 8;
	check_refused(&b, -EPROTO, "of another version");
	b.data[0] ^= 1;
	check_refused(&b, -EINVAL, "malformed");
}

static void no_bytes(void **state)
{
	const struct pf_buf none = {0};
	struct pf_ruleset *rs = NULL;
	char err[32] = "";

	(void)state;
	check_refused(&none, -EINVAL, "truncated");
	assert_int_equal(pf_model_decode(NULL, 0, &rs, err, sizeof(err)), -EINVAL);
	assert_null(rs);
}

static void check_truncations(const struct pf_ruleset *rs)
{
	pf_buf_auto b = encoded(rs);
	const size_t len = b.len;

	for (b.len = 0; b.len < 4; b.len++)
		check_refused(&b, -EINVAL, "truncated");
	for (b.len = 8; b.len < len; b.len++)
		check_refused(&b, -EINVAL, "truncated");
}

static void every_truncation(void **state)
{
	pf_ruleset_auto rs = parse_ok(rich);
	pf_ruleset_auto with_files = loading();

	(void)state;
	check_truncations(rs);
	check_truncations(with_files);
}

static void loads_that_are_refused(void **state)
{
	static const char *const paths[] = {"", "/a", "_1", "a/_b", "a//b", "a/*", "a\"b"};
	pf_ruleset_auto deep = NULL;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
		pf_ruleset_auto rs = pf_ruleset_new();
		pf_buf_auto b = {0};

		load_at(rs, paths[i], pf_ruleset_new());
		b = encoded(rs);
		check_refused(&b, -EINVAL, "an anchor's name is not one");
	}
	for (int depth = 0; depth <= 17; depth++) {
		struct pf_ruleset *rs = pf_ruleset_new();
		pf_buf_auto b = {0};

		if (deep)
			load_at(rs, "a", deep);
		deep = rs;
		b = encoded(deep);
		if (depth == 16)
			check_round_trip(deep);
		else if (depth == 17)
			check_refused(&b, -EINVAL, "anchors load files too deeply");
	}
}

/* They count together against the limit: here one, and what the second file claims to have. */
static void rules_of_all_files_are_too_many(void **state)
{
	const uint32_t most = PF_MODEL_RULES_MOST;
	pf_ruleset_auto rs = pf_ruleset_new();
	pf_buf_auto b = {0};

	(void)state;
	load_at(rs, "a", parse_ok("pass\n"));
	load_at(rs, "b", pf_ruleset_new());
	b = encoded(rs);
	/* its number of rules is the last but one */
	memcpy(b.data + b.len - 8, &most, sizeof(most));
	check_refused(&b, -EINVAL, "1000000 rules are too many (at most 1000000)");
}

static void trailing_bytes(void **state)
{
	pf_ruleset_auto rs = parse_ok(rich);
	pf_buf_auto b = encoded(rs);

	(void)state;
	pf_put_u8(&b, 0);
	check_refused(&b, -EINVAL, "malformed");
	pf_put_u64(&b, 0);
	check_refused(&b, -EINVAL, "malformed");
}

/* The last four numbers of an empty ruleset: interfaces, tables, rules and files. */
static void counts_without_content(void **state)
{
	static const uint32_t counts[] = {1, PF_MODEL_RULES_MOST, PF_MODEL_RULES_MOST + 1, 1U << 31,
					  UINT32_MAX};
	pf_ruleset_auto rs = pf_ruleset_new();

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(counts); i++) {
		for (size_t which = 1; which <= 4; which++) {
			pf_buf_auto b = encoded(rs);

			memcpy(b.data + b.len - 4 * which, &counts[i], 4);
			if (which == 2 && counts[i] > PF_MODEL_RULES_MOST)
				check_refused(&b, -EINVAL, "are too many (at most 1000000)");
			else
				check_refused(&b, -EINVAL, "");
		}
	}
}

static void too_many_entries(void **state)
{
	const uint32_t n = PF_MODEL_ENTRIES_MOST + 1;
	pf_ruleset_auto rs = pf_ruleset_new();
	pf_buf_auto b = {0};

	(void)state;
	pf_ruleset_add_table(rs, "t");
	b = encoded(rs);
	/* in front of the numbers of rules and files */
	memcpy(b.data + b.len - 12, &n, sizeof(n));
	check_refused(&b, -EINVAL, "too many entries");
}

/* A message longer than its buffer is cut. */
static void messages_fit_their_buffer(void **state)
{
	pf_ruleset_auto rs = pf_ruleset_new();
	pf_buf_auto b = encoded(rs);
	struct pf_ruleset *out = NULL;

	(void)state;
	for (int truncated = 0; truncated < 2; truncated++) {
		for (size_t size = 1; size < 16; size++) {
			char *err = malloc(size);

			assert_int_equal(pf_model_decode(b.data, b.len - 1, &out, err, size),
					 -EINVAL);
			assert_true(strlen(err) < size);
			free(err);
		}
		/* the last number but one is now one of rules that there are not */
		memset(b.data + b.len - 8, 0xff, 4);
		b.len += !truncated;
		b.data = realloc(b.data, b.len);
		b.data[b.len - 1] = 0;
	}
}

/* --- rules and tables that are wrong, encoded as they are --- */

struct bad_rule {
	const char *what;
	struct pf_rule rule;
	const char *msg;
};

#define PREFIX(f, n) .type = PF_HOST_PREFIX, .af = (f), .bits = (n)
#define BLOCK	     .action = PF_RULE_ACTION_BLOCK

static const struct pf_ip ip1 = {{1}}, ip6 = {{[15] = 1}};
static const struct pf_anchor nameless, reserved = {.path = "_1"}, named = {.path = "a"};

#define SOURCES(track, ...)                                          \
	{                                                            \
		.keep_state = true, .x = &(const struct pf_rule_ext) \
		{                                                    \
			.state = &(const struct pf_state_opts)       \
			{                                            \
				.source_track = (track), __VA_ARGS__ \
			}                                            \
		}                                                    \
	}

static const struct bad_rule bad_rules[] = {
	{"action", {.action = PF_RULE_ACTION_SCRUB}, "action 3 is unknown"},
	{"direction", {.dir = 3}, "direction 3 is unknown"},
	{"family", {.af = 5}, "address family 5 is unknown"},
	{"family", {.af = 2}, "address family 2 is unknown"},
	{"block kind", {BLOCK, .block_kind = 4}, "block action 4 is unknown"},
	{"icmp type", {.af = 4, .proto = 1, .icmp_type = 257}, "icmp type or code is out of range"},
	{"icmp code",
	 {.af = 4, .proto = 1, .icmp_type = 1, .icmp_code = 257},
	 "icmp type or code is out of range"},
	{"host type", {.src = {.type = PF_HOST_DYNAMIC}}, "address type 4 is unknown"},
	{"range",
	 {.af = 4, .src = {.type = PF_HOST_RANGE, .af = 4, .ip = {{2}}, .hi = &ip1}},
	 "ends before it begins"},
	{"range",
	 {.af = 4, .src = {.type = PF_HOST_RANGE, .af = 4, .hi = &ip6}},
	 "bits behind its prefix"},
	{"range",
	 {.af = 6, .src = {.type = PF_HOST_RANGE, .af = 4, .hi = &ip1}},
	 "not of the rule's family"},
	{"received",
	 {.x = &(const struct pf_rule_ext){.received_not = true}},
	 "denies what it does not say"},
	{"received", {.x = &(const struct pf_rule_ext){.received_on = "a b"}}, "odd characters"},
	{"tagged",
	 {.x = &(const struct pf_rule_ext){.tagged_not = true}},
	 "denies what it does not say"},
	{"tagged", {.x = &(const struct pf_rule_ext){.tagged = ""}}, "a tag is empty"},
	{"tag", {.x = &(const struct pf_rule_ext){.tag = ""}}, "a tag is empty"},
	{"tag", {.x = &(const struct pf_rule_ext){.tag = "a\"b"}}, "odd characters"},
	{"anchor",
	 {.x = &(const struct pf_rule_ext){.anchor = &nameless}},
	 "an anchor has no name"},
	{"anchor",
	 {.x = &(const struct pf_rule_ext){.anchor = &reserved}},
	 "an anchor's name is not one"},
	{"anchor", {BLOCK, .x = &(const struct pf_rule_ext){.anchor = &named}}, "is no pass rule"},
	{"host family", {.af = 4, .dst = {PREFIX(0, 8)}}, "address family 0 is unknown"},
	{"prefix length", {.af = 4, .dst = {PREFIX(4, 33)}}, "prefix length 33 is too long"},
	{"prefix length", {.af = 6, .dst = {PREFIX(6, 129)}}, "prefix length 129 is too long"},
	{"no prefix", {.af = 4, .src = {PREFIX(4, 0)}}, "a prefix of length 0 is any"},
	{"bits behind",
	 {.af = 4, .src = {PREFIX(4, 8), .ip = {.b[1] = 1}}},
	 "bits behind its prefix"},
	{"bits behind",
	 {.af = 4, .src = {PREFIX(4, 32), .ip = {.b[4] = 1}}},
	 "bits behind its prefix"},
	{"other family", {.af = 6, .src = {PREFIX(4, 8)}}, "not of the rule's family"},
	{"other family", {.af = 0, .dst = {PREFIX(6, 8)}}, "not of the rule's family"},
	{"no table", {.dst = {.type = PF_HOST_TABLE}}, "a table has no name"},
	{"table", {.dst = {.type = PF_HOST_TABLE, .table = ""}}, "odd characters"},
	{"table", {.dst = {.type = PF_HOST_TABLE, .table = "a>b"}}, "odd characters"},
	{"interface", {.ifname = ""}, "odd characters"},
	{"interface", {.ifname = "a b"}, "odd characters"},
	{"interface", {.ifname = "sixteen--letters"}, ""},
	{"label", {.label = "a\"b"}, "odd characters"},
	{"label", {.label = "a\nb"}, "odd characters"},
	{"label",
	 {.label = "l234567890123456789012345678901234567890123456789012345678901234"},
	 ""},
	{"port", {.proto = 6, .sport = {.op = (enum pf_port_op)10}}, "operator 10 is unknown"},
	{"port", {.proto = 6, .sport = {PF_PORT_RANGE, 2, 1}}, "ends before it begins"},
	{"port", {.proto = 6, .dport = {PF_PORT_OUTSIDE, 2, 1}}, "ends before it begins"},
	/* pf_rule_check()'s */
	{"port", {.sport = {PF_PORT_EQ, 2, 2}}, "port only applies to tcp/udp/sctp"},
	{"flags", {.proto = 17, .flags = 2, .flagset = 2}, "flags only apply to tcp"},
	{"state", {BLOCK, .keep_state = true}, "only for pass rules"},
	{"limiter",
	 {.x = &(const struct pf_rule_ext){.state_limiter = {.id = 1}}},
	 "limiters are for pass rules that keep state"},
	{"limiter",
	 {BLOCK, .x = &(const struct pf_rule_ext){.source_limiter = {.id = 1}}},
	 "limiters are for pass rules that keep state"},
	/* of sources */
	{"global", SOURCES(PF_TRACK_GLOBAL, .max_src_nodes = 1), "say what is unknown"},
	{"global", SOURCES(PF_TRACK_GLOBAL, .max_src_conn = 1), "say what is unknown"},
	{"rate", SOURCES(PF_TRACK_RULE, .max_src_conn_rate = {1, 0}), "say what is unknown"},
	{"rate", SOURCES(PF_TRACK_RULE, .max_src_conn_rate = {0, 1}), "say what is unknown"},
	{"rate", SOURCES(PF_TRACK_RULE, .max_src_conn_rate = {PF_RATE_LARGEST + 1, 1}),
	 "say what is unknown"},
	{"rate", SOURCES(PF_TRACK_RULE, .max_src_conn_rate = {1, PF_TIMEOUT_LARGEST + 1}),
	 "say what is unknown"},
	{"overload", SOURCES(PF_TRACK_RULE, .overload = "t"), "say what is unknown"},
	{"overload", SOURCES(PF_TRACK_RULE, .max_src_conn = 1, .overload = "a>b"),
	 "odd characters"},
	{"flush", SOURCES(PF_TRACK_RULE, .max_src_conn = 1, .flush = true), "say what is unknown"},
	{"flush global",
	 SOURCES(PF_TRACK_RULE, .max_src_conn = 1, .overload = "t", .flush_global = true),
	 "say what is unknown"},
};

static void bad_rules_are_refused(void **state)
{
	bool good = true;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad_rules); i++) {
		const struct bad_rule *bad = &bad_rules[i];
		pf_ruleset_auto rs = pf_ruleset_new();
		pf_ruleset_auto back = NULL;
		pf_buf_auto b = {0};
		char err[200] = "";
		int r;

		*pf_ruleset_add_rule(rs) = (struct pf_rule){0};
		*pf_ruleset_add_rule(rs) = bad->rule;
		b = encoded(rs);
		r = decode(&b, &back, err, sizeof(err));
		if (r == -EINVAL && strstr(err, bad->msg))
			continue;
		print_error("case %zu, %s: %d \"%s\", want \"%s\"\n", i, bad->what, r, err,
			    bad->msg);
		good = false;
	}
	assert_true(good);
}

static void bad_tables_are_refused(void **state)
{
	static const struct {
		const char *name;
		struct pf_table_entry e;
		const char *msg;
	} cases[] = {
		{"", {.af = 4, .bits = 32}, "no name"},
		{"a\"b", {.af = 4, .bits = 32}, "odd characters"},
		{"twice", {.af = 4, .bits = 32}, "comes twice"},
		{"t", {.af = 0, .bits = 32}, "address family 0 is unknown"},
		{"t", {.af = 4, .bits = 33}, "prefix length 33 is too long"},
		{"t", {.af = 6, .bits = 200}, "prefix length 200 is too long"},
		{"t", {.af = 6, .bits = 0, .ip = {.b[15] = 1}}, "bits behind its prefix"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		pf_ruleset_auto rs = pf_ruleset_new();
		pf_buf_auto b = {0};

		pf_ruleset_add_table(rs, "twice");
		*pf_table_def_add(pf_ruleset_add_table(rs, cases[i].name)) = cases[i].e;
		b = encoded(rs);
		/* the first message stays, or the table's own */
		check_refused(&b, -EINVAL, *cases[i].name ? cases[i].msg : "");
	}
}

static void bad_limiters_are_refused(void **state)
{
	static const struct pf_limiter_def
		good = {.name = "g", .id = 1, .limit = 1},
		cases[] = {
			{.name = "a", .limit = 1},
			{.name = "a", .id = 2},
			{.name = "", .id = 2, .limit = 1},
			{.name = "a\nb", .id = 2, .limit = 1},
			{.name = "a", .id = 2, .limit = 1, .rate = {1, 0}},
			{.name = "a", .id = 2, .limit = 1, .rate = {0, 1}},
			{.name = "a", .id = 2, .limit = 1, .rate = {1, PF_TIMEOUT_LARGEST + 1}},
			{.name = "a", .id = 1, .limit = 1},
			{.name = "a", .source = true, .id = 1, .limit = 1},
			{.name = "a",
			 .source = true,
			 .id = 1,
			 .limit = 1,
			 .entries = 1,
			 .mask = {33}},
			{.name = "a",
			 .source = true,
			 .id = 1,
			 .limit = 1,
			 .entries = 1,
			 .mask = {0, 129}},
		};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		pf_ruleset_auto rs = pf_ruleset_new();
		pf_buf_auto b = {0};

		*pf_ruleset_add_limiter(rs) = good;
		*pf_ruleset_add_limiter(rs) = cases[i];
		b = encoded(rs);
		check_refused(&b, -EINVAL, "a limiter is none, or comes twice");
	}
}

/* A table cannot take in networks of more lengths than these. */
static void too_many_masks_are_refused(void **state)
{
	(void)state;
	for (int f = 0; f < 2; f++) {
		pf_ruleset_auto rs = pf_ruleset_new();
		pf_buf_auto b = {0};

		for (uint8_t id = 1; id <= PF_LIMITER_LENGTHS + 1; id++) {
			struct pf_limiter_def d = {.name = "a",
						   .source = true,
						   .id = id,
						   .limit = 1,
						   .entries = 1,
						   .mask = {32, 128},
						   .table = "t",
						   .above = 1};

			d.mask[f] = id;
			if (id > PF_LIMITER_LENGTHS)
				check_round_trip(rs);
			*pf_ruleset_add_limiter(rs) = d;
		}
		b = encoded(rs);
		check_refused(&b, -EINVAL, "a limiter is none, or comes twice");
	}
}

static void bad_options_are_refused(void **state)
{
	struct pf_options *o;
	pf_ruleset_auto rs = pf_ruleset_new();
	pf_buf_auto b = {0};

	(void)state;
	o = &rs->options;
	for (int which = 0; which < 6; which++) {
		pf_options_init(o);
		switch (which) {
		case 0:
			o->timeout[PF_TIMEOUT_INTERVAL] = 0;
			break;
		case 1:
			o->timeout[PF_TIMEOUT_TCP_FIRST] = PF_TIMEOUT_LARGEST + 1;
			break;
		case 2:
			o->timeout[PF_TIMEOUT_TCP_TSDIFF] = UINT32_MAX;
			break;
		case 3:
			o->limit[PF_LIMIT_STATES] = 0;
			break;
		case 4:
			o->limit[PF_LIMIT_STATES] = PF_STATES_LARGEST + 1;
			break;
		default:
			pf_ruleset_add_skip(rs, "a b");
			break;
		}
		b = encoded(rs);
		check_refused(&b, -EINVAL, which < 5 ? "out of range" : "odd characters");
		pf_buf_free(&b);
	}
}

/* --- hostile bytes --- */

/* What was accepted can be printed, read back, and printed again. */
static bool text_is_fixed(const struct pf_ruleset *rs)
{
	const struct pf_parse_options opt = {0};
	text_auto text = content_text(rs);
	pf_ruleset_auto parsed = NULL;
	text_auto said = NULL;
	text_auto again = NULL;

	if (parse_with(opt, text, strlen(text), &parsed, &said, NULL)) {
		print_error("not read back: %.300s", said);
		return false;
	}
	again = content_text(parsed);
	if (strcmp(again, text) == 0)
		return true;
	print_error("read back as another ruleset:\n%s---\n%s", text, again);
	return false;
}

static bool encoding_is_fixed(const struct pf_ruleset *rs)
{
	pf_buf_auto b = encoded(rs);
	pf_ruleset_auto back = NULL;
	const char *what;
	char err[200];

	if (decode(&b, &back, err, sizeof(err))) {
		print_error("encoded again, it is refused: %s\n", err);
		return false;
	}
	what = ruleset_difference(rs, back);
	if (what)
		print_error("encoded again, %s is different\n", what);
	return !what;
}

static bool survives(const struct pf_buf *b, bool *accepted)
{
	struct pf_ruleset *rs = NULL;
	char err[200] = "";
	int r = decode(b, &rs, err, sizeof(err));
	bool good = true;

	*accepted = r == 0;
	if (r) {
		assert_null(rs);
		return (r == -EINVAL || r == -EPROTO) && *err;
	}
	for (size_t i = 0; i < pf_filter(rs)->n; i++) {
		enum pf_rule_part part;

		good &= !pf_rule_check(&pf_filter(rs)->v[i], &part);
	}
	good = good && encoding_is_fixed(rs) && text_is_fixed(rs);
	pf_ruleset_free(rs);
	return good;
}

/*
 * Rules that the parser does not make.  They may be refused; but what is accepted
 * must mean in print what it is.
 */
static const struct pf_rule odd_rules[] = {
	{.src = {.neg = true}},
	{.af = 4, .dst = {.neg = true}},
	{.af = 4, .src = {.type = PF_HOST_PREFIX, .af = 4, .neg = true}},
	{BLOCK, .block_kind = PF_BLOCK_RETURN},
	{BLOCK, .block_kind = PF_BLOCK_RETURN_ICMP},
	{BLOCK, .af = 4, .block_kind = PF_BLOCK_RETURN_ICMP, .return_icmp = 0x0b00},
	{BLOCK, .af = 6, .block_kind = PF_BLOCK_RETURN_ICMP, .return_icmp6 = 0x0300},
	{.proto = 6, .sport = {PF_PORT_RANGE, 6, 6}},
	{.proto = 6, .sport = {PF_PORT_INSIDE, 6, 6}},
	{.proto = 6, .sport = {PF_PORT_OUTSIDE, 6, 6}},
	{.proto = 6, .sport = {PF_PORT_EQ, 6, 7}},
	{.proto = 6, .sport = {PF_PORT_ANY, 6, 7}},
	{.label = ""},
	{.label = "a\\"},
	{.label = "a\\ b"},
	{.label = "a'b\\'c"},
	{.label = "\x7f\xff"},
	{.ifname = "a\\"},
	{.ifname = "any"},
	{.ifname = "in", .ifnot = true},
	{.ifnot = true},
	{.src = {.type = PF_HOST_TABLE, .table = "a\\"}},
	{.src = {.type = PF_HOST_TABLE, .table = "1"}},
	{BLOCK, .allow_opts = true},
	{.block_kind = PF_BLOCK_RETURN_ICMP, .return_ttl = 7},
	{BLOCK, .return_ttl = 7},
	{.proto = 57},
	{.af = 4, .proto = 1, .icmp_type = 40, .icmp_code = 256},
};

static void odd_rules_are_refused_or_printed(void **state)
{
	bool good = true;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(odd_rules); i++) {
		pf_ruleset_auto rs = pf_ruleset_new();
		pf_buf_auto b = {0};
		bool accepted;

		*pf_ruleset_add_rule(rs) = odd_rules[i];
		b = encoded(rs);
		if (survives(&b, &accepted))
			continue;
		print_error("odd rule %zu\n", i);
		good = false;
	}
	assert_true(good);
}

static void every_flipped_bit(void **state)
{
	pf_ruleset_auto rs = parse_ok(rich);
	pf_buf_auto b = encoded(rs);
	size_t accepted = 0, bad = 0;

	(void)state;
	for (size_t bit = 0; bit < b.len * 8 && bad < 20; bit++) {
		bool ok;

		b.data[bit / 8] ^= (uint8_t)(1U << bit % 8);
		if (!survives(&b, &ok)) {
			print_error("byte %zu, bit %zu\n", bit / 8, bit % 8);
			bad++;
		}
		b.data[bit / 8] ^= (uint8_t)(1U << bit % 8);
		accepted += ok;
	}
	print_message("# %zu bits, %zu of them accepted\n", b.len * 8, accepted);
	assert_int_equal(bad, 0);
	/* else this test would not test much */
	assert_true(accepted > b.len);
}

static void random_changes(void **state)
{
	static const uint8_t likely[] = {0, 1, 2, 3, 4, 6, 17, 32, 58, 128, 255};
	struct rnd r = rnd_seeded();
	pf_ruleset_auto rs = parse_ok(rich);
	pf_buf_auto b = encoded(rs);
	size_t bad = 0;

	(void)state;
	for (int round = 0; round < 20000 && bad < 5; round++) {
		pf_buf_auto copy = {0};
		bool ok;

		pf_put(&copy, b.data, b.len);
		for (uint32_t n = 1 + rnd_below(&r, 4); n; n--) {
			size_t at = rnd_below(&r, (uint32_t)b.len);

			copy.data[at] = rnd_percent(&r, 70) ? rnd_pick(&r, likely)
							    : (uint8_t)rnd_next(&r);
		}
		if (!survives(&copy, &ok))
			bad++;
	}
	assert_int_equal(bad, 0);
}

static void random_bytes(void **state)
{
	struct rnd r = rnd_seeded();
	pf_ruleset_auto rs = pf_ruleset_new();
	pf_buf_auto head = encoded(rs);

	(void)state;
	for (int round = 0; round < 5000; round++) {
		pf_buf_auto b = {0};
		bool ok;

		/* behind a good head every other time */
		if (round & 1)
			pf_put(&b, head.data, 8 + rnd_below(&r, (uint32_t)head.len - 8));
		for (uint32_t n = rnd_below(&r, 300); n; n--)
			pf_put_u8(&b, (uint8_t)(rnd_percent(&r, 50) ? 0 : rnd_next(&r)));
		assert_true(survives(&b, &ok));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_of_the_language_comes_back),
		cmocka_unit_test(options_of_sources_come_back),
		cmocka_unit_test(limiters_come_back),
		cmocka_unit_test(bad_limiters_are_refused),
		cmocka_unit_test(too_many_masks_are_refused),
		cmocka_unit_test(an_empty_ruleset_comes_back),
		cmocka_unit_test(rules_for_no_address_come_back),
		cmocka_unit_test(the_longest_names_come_back),
		cmocka_unit_test(tables_in_anchors_come_back),
		cmocka_unit_test(loaded_rulesets_come_back),
		cmocka_unit_test(many_rules_and_entries_come_back),
		cmocka_unit_test(other_versions),
		cmocka_unit_test(no_bytes),
		cmocka_unit_test(every_truncation),
		cmocka_unit_test(trailing_bytes),
		cmocka_unit_test(loads_that_are_refused),
		cmocka_unit_test(rules_of_all_files_are_too_many),
		cmocka_unit_test(counts_without_content),
		cmocka_unit_test(too_many_entries),
		cmocka_unit_test(messages_fit_their_buffer),
		cmocka_unit_test(bad_rules_are_refused),
		cmocka_unit_test(bad_tables_are_refused),
		cmocka_unit_test(bad_options_are_refused),
		cmocka_unit_test(odd_rules_are_refused_or_printed),
		cmocka_unit_test(every_flipped_bit),
		cmocka_unit_test(random_changes),
		cmocka_unit_test(random_bytes),
	};

	return unit_run(tests);
}
