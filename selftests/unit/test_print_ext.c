// SPDX-License-Identifier: BSD-2-Clause
/* grammar/print: the text of every part of the model, made by hand. */
#include "unit.h"

/* --- initialisers, without their braces --- */

#define IP4(w, x, y, z) .b[0] = (w), .b[1] = (x), .b[2] = (y), .b[3] = (z)
#define DOC6		.b[0] = 0x20, .b[1] = 0x01, .b[2] = 0x0d, .b[3] = 0xb8

#define NET4(w, x, y, z, n) \
	.type = PF_HOST_PREFIX, .af = PF_FAMILY_INET, .bits = (n), .ip = {IP4(w, x, y, z)}
#define NET6(n)	   .type = PF_HOST_PREFIX, .af = PF_FAMILY_INET6, .bits = (n), .ip = {DOC6}
#define DYN(n)	   .type = PF_HOST_DYNAMIC, .name = (n), .bits = 128
#define NAME(n)	   .type = PF_HOST_NAME, .name = (n)

#define MATCH	   .action = PF_RULE_ACTION_MATCH
#define BLOCK	   .action = PF_RULE_ACTION_BLOCK
#define ACTION(a)  .action = PF_RULE_ACTION_##a
#define UDP	   .proto = 17
#define KEEP	   .keep_state = PF_STATE_KEEP

/* The rarer parts; outside of functions, these live as long as the program. */
#define X(...)	   .x = (&(const struct pf_rule_ext){__VA_ARGS__})
#define STATE(...) .state = (&(const struct pf_state_opts){__VA_ARGS__})
#define POOL(...)  (&(const struct pf_pool){__VA_ARGS__})
#define HOSTS(...)                                           \
	.hosts = (const struct pf_pool_host[]){__VA_ARGS__}, \
	.nhosts = ARRAY_SIZE(((const struct pf_pool_host[]){__VA_ARGS__}))

#define ONE4 .host = {NET4(192, 0, 2, 1, 32)}
#define TWO4 .host = {NET4(192, 0, 2, 2, 32)}

struct text_case {
	struct pf_rule rule;
	const char *text; /* without its newline */
};

static void check_texts(const struct text_case *cases, size_t n, unsigned int flags)
{
	for (size_t i = 0; i < n; i++) {
		text_auto text = rule_text(&cases[i].rule, 0, flags);
		text_auto want = NULL;

		assert_true(asprintf(&want, "%s\n", cases[i].text) > 0);
		assert_string_equal(text, want);
	}
}

#define TEXTS_TEST(name)                                \
	static void text_of_##name(void **state)        \
	{                                               \
		(void)state;                            \
		check_texts(name, ARRAY_SIZE(name), 0); \
	}

/* --- heads --- */

static const struct text_case actions[] = {
	{{MATCH}, "match all"},
	{{ACTION(SCRUB)}, "scrub all fragment reassemble"},
	{{ACTION(NO_SCRUB)}, "no scrub all"},
	{{ACTION(NAT)}, "nat all"},
	{{ACTION(NO_NAT)}, "no nat all"},
	{{ACTION(RDR)}, "rdr all"},
	{{ACTION(NO_RDR)}, "no rdr all"},
	{{ACTION(BINAT)}, "binat all"},
	{{ACTION(NO_BINAT)}, "no binat all"},
	{{ACTION(NAT), .log = true, X(.nat_pass = true)}, "nat pass log all"},
	{{ACTION(RDR), X(.nat_pass = true)}, "rdr pass all"},
	{{ACTION(BINAT), X(.nat_pass = true)}, "binat pass all"},
};
TEXTS_TEST(actions)

#define ANCHOR(...) X(.anchor = (&(const struct pf_anchor){__VA_ARGS__}))

static const struct text_case anchors[] = {
	{{ANCHOR(.path = "a/b")}, "anchor \"a/b\" all"},
	{{BLOCK, ANCHOR(.path = "a")}, "anchor \"a\" all"},
	{{MATCH, ANCHOR(.path = "a/*")}, "anchor \"a/*\" all"},
	{{ANCHOR(0)}, "anchor all"},
	{{ACTION(SCRUB), ANCHOR(.path = "a")}, "scrub-anchor \"a\" all"},
	{{ACTION(NAT), ANCHOR(.path = "a")}, "nat-anchor \"a\" all"},
	{{ACTION(RDR), ANCHOR(.path = "a")}, "rdr-anchor \"a\" all"},
	{{ACTION(BINAT), ANCHOR(.path = "a")}, "binat-anchor \"a\" all"},
	{{ACTION(DUMMYNET), ANCHOR(.path = "a")}, "dummynet-anchor \"a\" all"},
	{{.dir = PF_RULE_IN, .quick = true, .ifname = "e", .proto = 6, ANCHOR(.path = "a")},
	 "anchor \"a\" in quick on e proto tcp all"},
	/* no default of a pass rule is one of theirs */
	{{.proto = 6, ANCHOR(.path = "a")}, "anchor \"a\" proto tcp all"},
	{{.proto = 6, KEEP, ANCHOR(.path = "a")}, "anchor \"a\" proto tcp all"},
};
TEXTS_TEST(anchors)

#define ROUTE(kind, ...) .route_kind = PF_##kind, .route = POOL(__VA_ARGS__)

static const struct text_case heads[] = {
	{{MATCH, X(.log_all = true)}, "match all"},
	{{MATCH, .log = true, X(.log_all = true)}, "match log (all) all"},
	{{MATCH, .log = true, X(.log_matches = true)}, "match log (matches) all"},
	{{MATCH, .log = true, X(.log_user = true)}, "match log (user) all"},
	{{MATCH, .log = true, X(.logif = 7)}, "match log (to pflog7) all"},
	{{MATCH, .log = true, .quick = true,
	  X(.log_all = true, .log_matches = true, .log_user = true, .logif = 1)},
	 "match log (all, matches, user, to pflog1) quick all"},
	{{MATCH, .ifname = PF_IF_ANY}, "match on any all"},
	{{MATCH, .ifname = "port", .ifnot = true}, "match on ! \"port\" all"},
	{{MATCH, X(.rdomain = 1)}, "match on rdomain 0 all"},
	{{MATCH, .ifnot = true, X(.rdomain = 256)}, "match on ! rdomain 255 all"},
};
TEXTS_TEST(heads)

static const struct text_case old_routes[] = {
	{{MATCH, .dir = PF_RULE_IN, .ifname = "e", .af = 4,
	  X(.route_old = true,
	    ROUTE(ROUTE_TO, HOSTS({.ifname = "f", .host = {NET4(192, 0, 2, 1, 32)}})))},
	 "match in on e route-to (f 192.0.2.1) inet all"},
	{{MATCH, X(.route_old = true,
		   ROUTE(REPLY_TO, HOSTS({.ifname = "1", .host = {NET4(192, 0, 2, 0, 24)}})))},
	 "match reply-to (\"1\" 192.0.2.0/24) all"},
	{{MATCH, X(.route_old = true, ROUTE(DUP_TO, HOSTS({.ifname = "f", .no_address = true})))},
	 "match dup-to f all"},
	{{MATCH, X(.route_old = true, ROUTE(ROUTE_TO, HOSTS({ONE4})))},
	 "match route-to 192.0.2.1 all"},
	{{MATCH,
	  X(.route_old = true,
	    ROUTE(ROUTE_TO,
		  HOSTS({.ifname = "f", .no_address = true}, {.ifname = "g", .host = {NET6(128)}}),
		  .type = PF_POOL_ROUND_ROBIN, .sticky = true, .prefer_ipv6_nexthop = true))},
	 "match route-to { f, (g 2001:db8::) } round-robin sticky-address "
	 "prefer-ipv6-nexthop all"},
};
TEXTS_TEST(old_routes)

/* --- what the packet is asked --- */

static const struct pf_ip hi4 = {IP4(192, 0, 2, 9)};
static const struct pf_ip hi6 = {DOC6, .b[15] = 9};

static const struct text_case hosts[] = {
	{{MATCH, .src = {.type = PF_HOST_TABLE, .table = "t"}}, "match from <t> to any"},
	{{MATCH, .src = {.type = PF_HOST_TABLE, .neg = true, .table = "port"}},
	 "match from ! <port> to any"},
	{{MATCH, .dst = {.type = PF_HOST_RANGE, .af = 4, .ip = {IP4(192, 0, 2, 1)}, .hi = &hi4}},
	 "match from any to 192.0.2.1 - 192.0.2.9"},
	{{MATCH, .dst = {.type = PF_HOST_RANGE, .af = 6, .ip = {DOC6}, .hi = &hi6}},
	 "match from any to 2001:db8:: - 2001:db8::9"},
	{{MATCH, .src = {.type = PF_HOST_NO_ROUTE}}, "match from no-route to any"},
	{{MATCH, .src = {.type = PF_HOST_URPF, .neg = true}}, "match from ! urpf-failed to any"},
	{{MATCH, .src = {.type = PF_HOST_RTLABEL, .name = "l"}}, "match from route \"l\" to any"},
	{{MATCH, .src = {.type = PF_HOST_ANY, .neg = true}}, "match from ! any to any"},
	/* names */
	{{MATCH, .src = {NAME("host.example")}}, "match from host.example to any"},
	{{MATCH, .src = {NAME("host.example/24")}}, "match from host.example/24 to any"},
	{{MATCH, .src = {NAME("to/24")}}, "match from \"to\"/24 to any"},
	{{MATCH, .src = {NAME("a/b")}}, "match from \"a/b\" to any"},
	{{MATCH, .src = {NAME("a/")}}, "match from \"a/\" to any"},
	{{MATCH, .src = {NAME("a/b/24"), .neg = true}}, "match from ! \"a/b\"/24 to any"},
	/* os */
	{{MATCH, X(.os = "Linux")}, "match from any os \"Linux\" to any"},
	{{MATCH, .proto = 6, .src = {NET4(10, 0, 0, 0, 8)}, .sport = {PF_PORT_EQ, 22, 22},
	  .dport = {PF_PORT_RANGE, 1, 2}, X(.os = "OpenBSD 3.3")},
	 "match proto tcp from 10.0.0.0/8 port = 22 os \"OpenBSD 3.3\" to any port 1:2"},
};
TEXTS_TEST(hosts)

#define DYNM(n, m) .type = PF_HOST_DYNAMIC, .name = (n), .bits = 128, .modifiers = (m)
#define DYNB(n, b) .type = PF_HOST_DYNAMIC, .name = (n), .bits = (b)

static const struct text_case dynamic_hosts[] = {
	{{MATCH, .src = {DYN("e")}}, "match from (e) to any"},
	{{MATCH, .src = {DYN("self"), .neg = true}}, "match from ! (self) to any"},
	{{MATCH, .src = {DYNM("e", PF_HOST_NETWORK)}}, "match from (e:network) to any"},
	{{MATCH, .src = {DYNM("e", PF_HOST_BROADCAST)}}, "match from (e:broadcast) to any"},
	{{MATCH, .src = {DYNM("e", PF_HOST_PEER)}}, "match from (e:peer) to any"},
	{{MATCH, .src = {DYNM("e", PF_HOST_NOALIAS)}}, "match from (e:0) to any"},
	{{MATCH, .src = {DYNM("e", 15)}}, "match from (e:network:broadcast:peer:0) to any"},
	{{MATCH, .src = {DYNM("a b", 9)}}, "match from (\"a b:network:0\") to any"},
	{{MATCH, .src = {DYN("7")}}, "match from (\"7\") to any"},
	{{MATCH, .src = {DYNB("e", 24)}}, "match from (e)/24 to any"},
	{{MATCH, .src = {DYNB("e", 32)}}, "match from (e)/32 to any"},
	{{MATCH, .src = {DYNB("e", 0)}}, "match from (e)/0 to any"},
	{{MATCH, .af = 6, .src = {DYNB("e", 64)}}, "match inet6 from (e)/64 to any"},
	{{MATCH, .af = 6, .src = {DYN("e")}}, "match inet6 from (e) to any"},
	{{MATCH, .af = 4, .src = {DYNB("e", 24)}}, "match inet from (e)/24 to any"},
	{{MATCH, .af = 4, .src = {DYNB("e", 32)}}, "match inet from (e) to any"},
	{{MATCH, .af = 4, .src = {DYN("e")}}, "match inet from (e) to any"},
};
TEXTS_TEST(dynamic_hosts)

static void text_of_one_host(void **state)
{
	static const struct {
		struct pf_rule_host host;
		const char *text;
	} cases[] = {
		{{0}, "any"},
		{{NET4(10, 0, 0, 0, 8), .neg = true}, "! 10.0.0.0/8"},
		{{DYNB("e", 32)}, "(e)/32"},
		{{DYN("e")}, "(e)"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		text_auto text = NULL;
		FILE *f = text_open(&text);

		pf_rule_host_print(f, &cases[i].host);
		fclose(f);
		assert_string_equal(text, cases[i].text);
	}
}

static const struct text_case matches[] = {
	{{MATCH, X(.received_on = "e")}, "match all received-on e"},
	{{MATCH, X(.received_on = "e", .received_not = true)}, "match all !received-on e"},
	{{MATCH, X(.received_on = PF_IF_ANY)}, "match all received-on any"},
	{{MATCH, X(.user = {PF_PORT_EQ, 1000, 1000})}, "match all user = 1000"},
	{{MATCH, X(.user = {PF_PORT_NE, 0, 0})}, "match all user != 0"},
	{{MATCH, X(.user = {PF_PORT_LT, 5, 5})}, "match all user < 5"},
	{{MATCH, X(.user = {PF_PORT_LE, 5, 5})}, "match all user <= 5"},
	{{MATCH, X(.user = {PF_PORT_GT, 5, 5})}, "match all user > 5"},
	{{MATCH, X(.user = {PF_PORT_GE, 5, 5})}, "match all user >= 5"},
	{{MATCH, X(.user = {PF_PORT_INSIDE, 1, 5})}, "match all user 1 >< 5"},
	{{MATCH, X(.user = {PF_PORT_OUTSIDE, 1, 70000})}, "match all user 1 <> 70000"},
	{{MATCH, X(.user = {PF_PORT_EQ, PF_ID_UNKNOWN, PF_ID_UNKNOWN})},
	 "match all user = unknown"},
	{{MATCH, X(.group = {PF_PORT_NE, PF_ID_UNKNOWN, PF_ID_UNKNOWN})},
	 "match all group != unknown"},
	{{MATCH, X(.user = {PF_PORT_EQ, 1, 1}, .group = {PF_PORT_INSIDE, 2, 3})},
	 "match all user = 1 group 2 >< 3"},
	{{MATCH, X(.tos_given = true)}, "match all tos 0x00"},
	{{MATCH, X(.tos_given = true, .tos = 0xb8)}, "match all tos 0xb8"},
	{{MATCH, X(.prio = 1)}, "match all prio 0"},
	{{MATCH, X(.prio = 8)}, "match all prio 7"},
	{{MATCH, X(.max_pkt_rate = {100, 10})}, "match all max-pkt-rate 100/10"},
	{{MATCH, X(.max_pkt_size = 1500)}, "match all max-pkt-size 1500"},
	/* their order */
	{{.af = 4,
	  .proto = 1,
	  .icmp_type = 9,
	  X(.received_on = "e", .user = {PF_PORT_EQ, 1, 1}, .group = {PF_PORT_EQ, 2, 2},
	    .tos_given = true, .tos = 4, .prio = 3, .max_pkt_rate = {1, 2}, .max_pkt_size = 3,
	    .set_prio_given = true)},
	 "pass inet proto icmp all received-on e user = 1 group = 2 icmp-type echoreq tos 0x04 "
	 "prio 2 max-pkt-rate 1/2 max-pkt-size 3 set (prio 0) no state"},
	{{.flags = 2, .flagset = 0x12, KEEP, X(.user = {PF_PORT_EQ, 1, 1}, .tos_given = true)},
	 "pass all user = 1 flags S/SA tos 0x00"},
};
TEXTS_TEST(matches)

/* --- states --- */

static const struct text_case states[] = {
	{{UDP}, "pass proto udp all no state"},
	{{UDP, KEEP}, "pass proto udp all"},
	{{UDP, .keep_state = PF_STATE_MODULATE}, "pass proto udp all modulate state"},
	{{UDP, .keep_state = PF_STATE_SYNPROXY}, "pass proto udp all synproxy state"},
	{{UDP, KEEP, X(STATE(0))}, "pass proto udp all"},
	{{UDP, KEEP, X(STATE(.max = 5))}, "pass proto udp all keep state (max 5)"},
	{{UDP, .keep_state = PF_STATE_MODULATE, X(STATE(.max = 5))},
	 "pass proto udp all modulate state (max 5)"},
	{{UDP, .keep_state = PF_STATE_SYNPROXY, X(STATE(.max = 5))},
	 "pass proto udp all synproxy state (max 5)"},
	{{UDP, X(STATE(.max = 5))}, "pass proto udp all no state"},
	{{MATCH, X(STATE(.max = 5))}, "match all"},
	{{UDP, KEEP, X(STATE(.no_sync = true))}, "pass proto udp all keep state (no-sync)"},
	{{UDP, KEEP, X(STATE(.source_track = PF_TRACK_RULE))},
	 "pass proto udp all keep state (source-track rule)"},
	{{UDP, KEEP, X(STATE(.source_track = PF_TRACK_GLOBAL))},
	 "pass proto udp all keep state (source-track global)"},
	{{UDP, KEEP, X(STATE(.overload = "t"))}, "pass proto udp all keep state (overload <t>)"},
	{{UDP, KEEP, X(STATE(.overload = "t", .flush = true))},
	 "pass proto udp all keep state (overload <t> flush)"},
	{{UDP, KEEP, X(STATE(.overload = "t", .flush = true, .flush_global = true))},
	 "pass proto udp all keep state (overload <t> flush global)"},
	{{UDP, KEEP, X(STATE(.if_bound = true))}, "pass proto udp all keep state (if-bound)"},
	{{UDP, KEEP, X(STATE(.floating = true))}, "pass proto udp all keep state (floating)"},
	{{UDP, KEEP, X(STATE(.sloppy = true, .pflow = true))},
	 "pass proto udp all keep state (sloppy, pflow)"},
	{{UDP, KEEP,
	  X(STATE(.max = 1, .no_sync = true, .source_track = PF_TRACK_RULE, .max_src_states = 2,
		  .max_src_conn = 3, .max_src_conn_rate = {4, 5}, .max_src_nodes = 6,
		  .overload = "t", .if_bound = true, .sloppy = true, .pflow = true,
		  .timeout[PF_TIMEOUT_SCTP_CLOSED] = 9, .timeout[PF_TIMEOUT_TCP_FIRST] = 7,
		  .timeout[PF_TIMEOUT_TCP_TSDIFF] = 8))},
	 "pass proto udp all keep state (max 1, no-sync, source-track rule, max-src-states 2, "
	 "max-src-conn 3, max-src-conn-rate 4/5, max-src-nodes 6, overload <t>, if-bound, sloppy, "
	 "pflow, tcp.first 7, tcp.tsdiff 8, sctp.closed 9)"},
};
TEXTS_TEST(states)

/* Where if-bound is the default. */
static const struct text_case floating[] = {
	{{UDP, KEEP}, "pass proto udp all keep state (floating)"},
	{{UDP}, "pass proto udp all no state"},
	{{UDP, .keep_state = PF_STATE_MODULATE}, "pass proto udp all modulate state (floating)"},
	{{UDP, KEEP, X(STATE(.max = 1, .if_bound = true))},
	 "pass proto udp all keep state (max 1, if-bound)"},
	{{BLOCK}, "block drop all"},
	{{.proto = 6, ANCHOR(.path = "a")}, "anchor \"a\" proto tcp all"},
};

static void text_of_floating_states(void **state)
{
	(void)state;
	check_texts(floating, ARRAY_SIZE(floating), PF_PRINT_IF_BOUND);
}

static const struct text_case limiters[] = {
	{{MATCH, X(.state_limiter = {.name = "a"})}, "match all state limiter \"a\""},
	{{MATCH, X(.state_limiter = {.name = "a", .id = 3})}, "match all state limiter id 3"},
	{{MATCH, X(.source_limiter = {.id = 255})}, "match all source limiter id 255"},
	{{MATCH, X(.source_limiter = {.name = "a b", .action_given = true})},
	 "match all source limiter \"a b\" (no-match)"},
	{{UDP, KEEP,
	  X(STATE(.max = 1), .prob = 1U << 31,
	    .state_limiter = {.id = 1, .action_given = true, .action = PF_LIMITER_BLOCK},
	    .source_limiter = {.id = 2, .action_given = true})},
	 "pass proto udp all keep state (max 1) state limiter id 1 (block) "
	 "source limiter id 2 (no-match) probability 50%"},
};
TEXTS_TEST(limiters)

static void text_of_probabilities(void **state)
{
	static const struct {
		uint32_t prob;
		const char *text;
	} cases[] = {
		{1, "0.00000002%"},	      {42949673, "1%"},
		{858993459, "20%"},	      {1431655751, "33.333333%"},
		{1431655765, "33.33333333%"}, {1U << 31, "50%"},
		{3221225471, "75%"},	      {UINT32_MAX - 1, "99.99999998%"},
		{UINT32_MAX, "100%"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct pf_rule r = {MATCH, X(.prob = cases[i].prob)};
		text_auto text = rule_text(&r, 0, 0);
		text_auto want = NULL;

		assert_true(asprintf(&want, "match all probability %s\n", cases[i].text) > 0);
		assert_string_equal(text, want);
	}
}

/* The parser's formula gives the number back. */
static void probabilities_are_read_back(void **state)
{
	struct rnd rnd = rnd_seeded();

	(void)state;
	for (int i = 0; i < 20000; i++) {
		/* both ends of the range, too */
		uint32_t prob = (uint32_t)rnd_next(&rnd) >> (i % 3 ? 0 : rnd_below(&rnd, 32));
		struct pf_rule r = {MATCH, X(.prob = i % 5 ? prob : ~prob)};
		const struct pf_rule_ext *x = r.x;
		text_auto text = NULL;
		double percent;

		if (!x->prob)
			continue;
		text = rule_text(&r, 0, 0);
		assert_int_equal(sscanf(text, "match all probability %lf%%\n", &percent), 1);
		assert_true((uint64_t)(percent / 100 * UINT32_MAX + 0.5) == x->prob);
	}
}

/* --- what is done --- */

static const struct text_case sets[] = {
	{{MATCH, X(.set_prio_given = true, .set_prio = {6, 6})}, "match all set (prio 6)"},
	{{MATCH, X(.set_prio_given = true, .set_prio = {5, 2})}, "match all set (prio(5, 2))"},
	{{MATCH, X(.set_prio = {5, 2})}, "match all"},
	{{MATCH, X(.set_queue = true, .queue = "q")}, "match all set (queue q)"},
	{{MATCH, X(.set_queue = true, .queue = "q", .pqueue = "1")},
	 "match all set (queue(q, \"1\"))"},
	{{MATCH, X(.set_queue = true)}, "match all"},
	{{MATCH, X(.set_tos_given = true, .set_tos = 8)}, "match all set (tos 0x08)"},
	{{MATCH, X(.set_delay_given = true, .set_delay = 300)}, "match all set (delay 300)"},
	{{MATCH, X(.set_prio_given = true, .set_prio = {5, 2}, .set_queue = true, .queue = "q",
		   .pqueue = "r", .set_tos_given = true, .set_delay_given = true)},
	 "match all set (prio(5, 2), queue(q, r), tos 0x00, delay 0)"},
	{{MATCH, X(.queue = "q")}, "match all queue q"},
	{{MATCH, X(.queue = "q", .pqueue = "in")}, "match all queue(q, \"in\")"},
	{{MATCH, X(.dn_given = true, .dn = {3, 4})}, "match all dnpipe 3"},
	{{MATCH, X(.dn_given = true, .dn_pair = true, .dn = {0, 4})}, "match all dnpipe(0, 4)"},
	{{MATCH, X(.dn_given = true, .dn_queue = true, .dn = {3})}, "match all dnqueue 3"},
	{{MATCH, X(.dn_given = true, .dn_queue = true, .dn_pair = true, .dn = {3, 4})},
	 "match all dnqueue(3, 4)"},
};
TEXTS_TEST(sets)

#define SCRUB(...) .scrub_given = true, .scrub = {__VA_ARGS__}

static const struct text_case scrubs[] = {
	{{MATCH, X(SCRUB(.no_df = true))}, "match all scrub (no-df)"},
	{{MATCH, X(SCRUB(.max_mss = 224))}, "match all scrub (max-mss 224)"},
	{{MATCH, X(.scrub = {.max_mss = 224})}, "match all"},
	{{MATCH, X(SCRUB(0))}, "match all"},
	{{KEEP, UDP, .fragment = true, .allow_opts = true,
	  X(SCRUB(.no_df = true, .random_id = true, .min_ttl = 25, .reassemble_tcp = true,
		  .max_mss = 1440))},
	 "pass proto udp all fragment scrub (no-df random-id min-ttl 25 reassemble tcp "
	 "max-mss 1440) allow-opts"},
	{{ACTION(SCRUB), .dir = PF_RULE_IN, .allow_opts = true, .label = "l",
	  X(SCRUB(.no_df = true, .random_id = true, .min_ttl = 25, .reassemble_tcp = true,
		  .max_mss = 1440, .set_tos_given = true, .set_tos = 4))},
	 "scrub in all no-df random-id min-ttl 25 max-mss 1440 set-tos 0x04 allow-opts "
	 "reassemble tcp fragment reassemble label \"l\""},
	{{ACTION(SCRUB), X(SCRUB(.fragment_no_reassemble = true))},
	 "scrub all fragment no reassemble"},
	{{ACTION(NO_SCRUB), X(SCRUB(.no_df = true, .fragment_no_reassemble = true))},
	 "no scrub all no-df"},
};
TEXTS_TEST(scrubs)

#define TO(a, ...) .divert = {.type = PF_DIVERT_TO, .af = (a), __VA_ARGS__}

static const struct text_case tails[] = {
	{{MATCH, .label = "a", X(.labels = {"b", "c \"d\"", "e", "f"})},
	 "match all label \"a\" label \"b\" label \"c \\\"d\\\"\" label \"e\" label \"f\""},
	{{MATCH, X(.once = true)}, "match all once"},
	{{MATCH, X(.ridentifier = 4294967295)}, "match all ridentifier 4294967295"},
	{{MATCH, X(.tag = "a")}, "match all tag a"},
	{{MATCH, X(.tag = "two words")}, "match all tag \"two words\""},
	{{MATCH, X(.tagged = "57")}, "match all tagged \"57\""},
	{{MATCH, X(.tagged = "a", .tagged_not = true)}, "match all ! tagged a"},
	{{MATCH, X(.tag = "a", .tagged = "b")}, "match all tag a tagged b"},
	{{MATCH, X(.rtable = 1)}, "match all rtable 0"},
	{{MATCH, X(.rtable = 256)}, "match all rtable 255"},
	{{MATCH, X(TO(4, .port = 8080, .ip = {IP4(127, 0, 0, 1)}))},
	 "match all divert-to 127.0.0.1 port 8080"},
	{{MATCH, X(TO(6, .port = 1, .ip = {.b[15] = 1}))}, "match all divert-to ::1 port 1"},
	{{MATCH, X(TO(0, .port = 8000))}, "match all divert-to 8000"},
	{{MATCH, X(.divert = {.type = PF_DIVERT_REPLY})}, "match all divert-reply"},
	{{MATCH, X(.divert = {.type = PF_DIVERT_PACKET, .port = 700})},
	 "match all divert-packet port 700"},
	/* their order */
	{{UDP, .fragment = true, .allow_opts = true, .label = "a",
	  X(.prob = UINT32_MAX, .labels = {"b"}, .once = true, .ridentifier = 1, .dn_given = true,
	    .queue = "q", .tag = "t", .tagged = "u", .rtable = 2,
	    .divert = {.type = PF_DIVERT_REPLY}, .nat = POOL(HOSTS({ONE4})),
	    ROUTE(ROUTE_TO, HOSTS({TWO4})))},
	 "pass proto udp all no state probability 100% fragment allow-opts label \"a\" label \"b\" "
	 "once ridentifier 1 dnpipe 0 queue q tag t tagged u rtable 1 divert-reply "
	 "nat-to 192.0.2.1 route-to 192.0.2.2"},
};
TEXTS_TEST(tails)

/* --- pools --- */

static const struct text_case pools[] = {
	{{MATCH, X(.nat = POOL(HOSTS({ONE4})))}, "match all nat-to 192.0.2.1"},
	{{MATCH, X(.rdr = POOL(HOSTS({ONE4}, {TWO4})))},
	 "match all rdr-to { 192.0.2.1, 192.0.2.2 }"},
	{{MATCH, X(.nat = POOL(HOSTS({ONE4})), .rdr = POOL(HOSTS({TWO4})))},
	 "match all nat-to 192.0.2.1 rdr-to 192.0.2.2"},
	{{MATCH, X(.rdr = POOL(HOSTS({.host = {NET4(192, 0, 2, 1, 32)}, .weight = 3},
				     {.host = {.type = PF_HOST_TABLE, .table = "t"}, .weight = 1}),
			       .type = PF_POOL_LEAST_STATES))},
	 "match all rdr-to { 192.0.2.1 weight 3, <t> weight 1 } least-states"},
	/* ports */
	{{MATCH, X(.rdr = POOL(HOSTS({ONE4}), .port = 80))}, "match all rdr-to 192.0.2.1 port 80"},
	{{MATCH, X(.rdr = POOL(HOSTS({ONE4}), .port = 80, .port_hi = 80))},
	 "match all rdr-to 192.0.2.1 port 80"},
	{{MATCH, X(.rdr = POOL(HOSTS({ONE4}), .port = 80, .port_hi = 90, .port_range = true))},
	 "match all rdr-to 192.0.2.1 port 80:90"},
	{{MATCH, X(.nat = POOL(HOSTS({ONE4}), .port = 1024, .port_hi = 65535))},
	 "match all nat-to 192.0.2.1 port 1024:65535"},
	/* an interface, and the family of its bits */
	{{MATCH, .af = 4, X(.nat = POOL(HOSTS({.host = {DYNB("e", 32)}})))},
	 "match inet all nat-to (e)"},
	{{MATCH, X(.nat = POOL(HOSTS({.host = {DYNB("e", 32)}})))}, "match all nat-to (e)/32"},
	{{MATCH, .af = 6, X(.af_to = 4, .nat = POOL(HOSTS({.host = {DYNB("e", 32)}})))},
	 "match inet6 all af-to inet from (e)"},
	{{MATCH, .af = 4,
	  X(.af_to = 6, .nat = POOL(HOSTS({.host = {NET6(96)}})),
	    .rdr = POOL(HOSTS({.host = {DYNB("e", 32)}})))},
	 "match inet all af-to inet6 from 2001:db8::/96 to (e)/32"},
	/* the new form of routes */
	{{MATCH, X(ROUTE(ROUTE_TO, HOSTS({ONE4})))}, "match all route-to 192.0.2.1"},
	{{MATCH, X(ROUTE(REPLY_TO, HOSTS({ONE4})))}, "match all reply-to 192.0.2.1"},
	{{MATCH, .af = 6, X(ROUTE(DUP_TO, HOSTS({.host = {NET6(128)}})))},
	 "match inet6 all dup-to 2001:db8::"},
	/* the old dialect */
	{{ACTION(NAT), .ifname = "e", X(.tag = "t", .target = POOL(HOSTS({.host = {DYN("e")}})))},
	 "nat on e all tag t -> (e)"},
	{{ACTION(RDR), X(.nat_pass = true, .target = POOL(HOSTS({ONE4}), .port = 80))},
	 "rdr pass all -> 192.0.2.1 port 80"},
	{{ACTION(BINAT), .af = 4, X(.target = POOL(HOSTS({.host = {NET4(192, 0, 2, 0, 24)}})))},
	 "binat inet all -> 192.0.2.0/24"},
};
TEXTS_TEST(pools)

#define NAT(...) .action = PF_RULE_ACTION_NAT, X(.target = POOL(HOSTS({ONE4}), __VA_ARGS__))

static const struct text_case pool_options[] = {
	{{NAT(.type = PF_POOL_NONE)}, "nat all -> 192.0.2.1"},
	{{NAT(.type = PF_POOL_BITMASK)}, "nat all -> 192.0.2.1 bitmask"},
	{{NAT(.type = PF_POOL_RANDOM)}, "nat all -> 192.0.2.1 random"},
	{{NAT(.type = PF_POOL_ROUND_ROBIN)}, "nat all -> 192.0.2.1 round-robin"},
	{{NAT(.type = PF_POOL_LEAST_STATES)}, "nat all -> 192.0.2.1 least-states"},
	{{NAT(.type = PF_POOL_SOURCE_HASH)}, "nat all -> 192.0.2.1 source-hash"},
	{{NAT(.type = PF_POOL_SOURCE_HASH, .key = "0x00112233445566778899aabbccddeeff")},
	 "nat all -> 192.0.2.1 source-hash 0x00112233445566778899aabbccddeeff"},
	{{NAT(.type = PF_POOL_SOURCE_HASH, .key = "sticky-address")},
	 "nat all -> 192.0.2.1 source-hash \"sticky-address\""},
	{{NAT(.sticky = true)}, "nat all -> 192.0.2.1 sticky-address"},
	{{NAT(.endpoint_independent = true)}, "nat all -> 192.0.2.1 endpoint-independent"},
	{{NAT(.static_port = true)}, "nat all -> 192.0.2.1 static-port"},
	{{NAT(.mape_offset = 6, .mape_psid_len = 8, .mape_psid = 52)},
	 "nat all -> 192.0.2.1 map-e-portset 6/8/52"},
	{{NAT(.prefer_ipv6_nexthop = true)}, "nat all -> 192.0.2.1 prefer-ipv6-nexthop"},
	{{NAT(.type = PF_POOL_RANDOM, .port = 1, .port_hi = 2, .sticky = true,
	      .endpoint_independent = true, .static_port = true)},
	 "nat all -> 192.0.2.1 port 1:2 random sticky-address endpoint-independent static-port"},
};
TEXTS_TEST(pool_options)

/* --- tables --- */

static struct pf_table_entry entries[] = {
	{.af = 4, .bits = 8, .ip = {IP4(10, 0, 0, 0)}},
	{.af = 4, .bits = 32, .neg = true, .ip = {IP4(10, 0, 0, 1)}},
	{.af = 6, .bits = 32, .ip = {DOC6}, .weight = 3},
};

static void check_table(const struct pf_table_def *t, const char *want)
{
	text_auto text = NULL;
	FILE *f = text_open(&text);

	pf_table_print(f, t);
	fclose(f);
	assert_string_equal(text, want);
}

#define TABLE(...) (&(const struct pf_table_def){.name = "t", __VA_ARGS__})
#define ENTRIES	   .entries = entries, .nentries = ARRAY_SIZE(entries)
#define PIECES(...)                                       \
	.pieces = (struct pf_table_piece[]){__VA_ARGS__}, \
	.npieces = ARRAY_SIZE(((struct pf_table_piece[]){__VA_ARGS__}))

static void text_of_tables(void **state)
{
	const char *names[] = {"a.example", "!b.example/24", "in"};

	(void)state;
	check_table(TABLE(.has_list = false), "table <t>\n");
	check_table(TABLE(.counters = true), "table <t> counters\n");
	check_table(TABLE(.timeout = 60), "table <t> timeout 60\n");
	check_table(TABLE(.persist = true, .constant = true, .counters = true, .timeout = 9,
			  .has_list = true),
		    "table <t> const persist counters timeout 9 { }\n");
	check_table(TABLE(.has_list = true, ENTRIES),
		    "table <t> { 10.0.0.0/8 !10.0.0.1 2001:db8::/32 weight 3 }\n");
	/* as it was written */
	check_table(TABLE(.has_list = true, PIECES({0})), "table <t> { }\n");
	check_table(TABLE(.has_list = true, ENTRIES, PIECES({.first = 0, .count = 2})),
		    "table <t> { 10.0.0.0/8 !10.0.0.1 }\n");
	check_table(TABLE(.has_list = true, ENTRIES, PIECES({.file = "/a b", .count = 3})),
		    "table <t> file \"/a b\"\n");
	check_table(TABLE(.has_list = true, ENTRIES,
			  PIECES({.first = 0, .count = 1}, {.first = 1, .count = 1},
				 {.file = "f", .first = 2, .count = 0}, {.file = "g"},
				 {.first = 2, .count = 1})),
		    "table <t> { 10.0.0.0/8 !10.0.0.1 } file \"f\" file \"g\" "
		    "{ 2001:db8::/32 weight 3 }\n");
	check_table(TABLE(.has_list = true, ENTRIES,
			  PIECES({.count = 1, .names = names, .nnames = ARRAY_SIZE(names)})),
		    "table <t> { 10.0.0.0/8 a.example !b.example/24 \"in\" }\n");
}

/* --- Ethernet rules --- */

#define MAC(...)  .given = true, .addr = {0, 1, 2, 3, 4, 0xfe}, .mask = {__VA_ARGS__}
#define MAC_WHOLE MAC(0xff, 0xff, 0xff, 0xff, 0xff, 0xff)
static const struct {
	struct pf_ether_rule rule;
	const char *text;
} ether_rules[] = {
	{{0}, "ether pass l3 all"},
	{{BLOCK, .dir = PF_RULE_IN, .quick = true}, "ether block in quick l3 all"},
	{{BLOCK, .dir = PF_RULE_OUT, .ifname = "e", .ifnot = true},
	 "ether block out on ! e l3 all"},
	{{BLOCK, .ifname = "e", .bridge_to = "f", .proto = 0x800},
	 "ether block on e bridge-to f proto 0x0800 l3 all"},
	{{BLOCK, .src = {MAC_WHOLE}}, "ether block from 00:01:02:03:04:fe l3 all"},
	{{BLOCK, .dst = {MAC_WHOLE, .neg = true}}, "ether block to ! 00:01:02:03:04:fe l3 all"},
	{{BLOCK, .src = {MAC(0xff, 0xff, 0xff)}, .dst = {MAC(0xff, 0x80)}},
	 "ether block from 00:01:02:03:04:fe/24 to 00:01:02:03:04:fe/9 l3 all"},
	{{BLOCK, .dst = {MAC(0xff, 0, 0xff, 0, 0, 1)}},
	 "ether block to 00:01:02:03:04:fe&ff:00:ff:00:00:01 l3 all"},
	{{BLOCK, .dst = {MAC(0)}}, "ether block to 00:01:02:03:04:fe/0 l3 all"},
	{{BLOCK, .l3_src = {NET4(10, 0, 0, 0, 8)}, .af = 4},
	 "ether block l3 from 10.0.0.0/8 to any"},
	{{BLOCK, .l3_src = {NET4(10, 0, 0, 0, 8)}, .l3_not_src = true,
	  .l3_dst = {.type = PF_HOST_TABLE, .table = "t", .neg = true}},
	 "ether block l3 from ! 10.0.0.0/8 to ! <t>"},
	{{BLOCK, .l3_dst = {DYNB("e", 32)}, .af = 4, .l3_not_dst = true},
	 "ether block l3 from any to ! (e)"},
	{{BLOCK, .labels = {"test", "another label"}},
	 "ether block l3 all label \"test\" label \"another label\""},
	{{BLOCK, .ridentifier = 12345678}, "ether block l3 all ridentifier 12345678"},
	{{BLOCK, .queue = "q", .tag = "t", .tagged = "u", .tagged_not = true, .dn_given = true,
	  .dn = 3, .ridentifier = 4, .labels = {"l"}},
	 "ether block l3 all label \"l\" ridentifier 4 queue q tag t ! tagged u dnpipe 3"},
	{{BLOCK, .dn_given = true, .dn_queue = true}, "ether block l3 all dnqueue 0"},
	{{BLOCK, .anchor = &(const struct pf_anchor){.path = "a"}}, "ether anchor \"a\" l3 all"},
};

static void text_of_ether_rules(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(ether_rules); i++) {
		text_auto text = NULL, want = NULL;
		FILE *f = text_open(&text);

		pf_ether_rule_print(f, &ether_rules[i].rule, i, PF_PRINT_NUMBER);
		fclose(f);
		assert_true(asprintf(&want, "@%zu %s\n", i, ether_rules[i].text) > 0);
		assert_string_equal(text, want);
	}
}

/* --- whole rulesets --- */

static void add_rule(struct pf_block *b, struct pf_rule rule)
{
	struct pf_rule *r =
		pf_rule_list_add(&b->list[pf_action_list((enum pf_rule_action)rule.action)]);

	assert_non_null(r);
	*r = rule;
}

static struct pf_ether_rule *add_ether(struct pf_block *b)
{
	struct pf_ether_rule *r = pf_block_add_ether(b);

	assert_non_null(r);
	return r;
}

/* Main rules of every kind, and an anchor in an anchor. */
static struct pf_ruleset *nested(void)
{
	static struct pf_anchor outer, inner, ether;
	static const struct pf_anchor dummynet = {.path = "d"};
	static const struct pf_rule_ext calls_outer = {.anchor = &outer};
	static const struct pf_rule_ext calls_inner = {.anchor = &inner};
	static const struct pf_rule_ext calls_dummynet = {.anchor = &dummynet};
	struct pf_ruleset *rs = pf_ruleset_new();

	assert_non_null(rs);
	outer = (struct pf_anchor){.path = "outer", .block = pf_ruleset_add_block(rs)};
	inner = (struct pf_anchor){.block = pf_ruleset_add_block(rs)};
	ether = (struct pf_anchor){.path = "e", .block = pf_ruleset_add_block(rs)};
	assert_true(outer.block && inner.block && ether.block);

	assert_non_null(pf_ruleset_add_table(rs, "one"));
	assert_non_null(pf_ruleset_add_table(rs, "made"));
	assert_non_null(pf_ruleset_add_table(rs, "two"));
	rs->main.tables[1].automatic = true;
	assert_int_equal(pf_ruleset_add_item(rs, PF_ITEM_TEXT, "a = \"b\"", 0), 0);
	assert_int_equal(pf_ruleset_add_item(rs, PF_ITEM_TABLE, NULL, 2), 0);
	assert_int_equal(pf_ruleset_add_item(rs, PF_ITEM_TEXT, "set limit states 5", 0), 0);
	assert_int_equal(pf_ruleset_add_item(rs, PF_ITEM_TABLE, NULL, 0), 0);

	add_rule(&rs->main, (struct pf_rule){BLOCK});
	add_rule(&rs->main, (struct pf_rule){.x = &calls_outer});
	add_rule(&rs->main, (struct pf_rule){UDP, KEEP});
	add_rule(&rs->main, (struct pf_rule){ACTION(DUMMYNET), .x = &calls_dummynet});
	add_rule(&rs->main, (struct pf_rule){ACTION(NO_BINAT)});
	add_rule(&rs->main, (struct pf_rule){ACTION(NO_RDR)});
	add_rule(&rs->main, (struct pf_rule){ACTION(NO_NAT)});
	add_rule(&rs->main, (struct pf_rule){ACTION(SCRUB)});
	add_ether(&rs->main)->action = PF_RULE_ACTION_BLOCK;
	add_ether(&rs->main)->anchor = &ether;
	add_ether(ether.block)->dir = PF_RULE_IN;

	assert_non_null(pf_block_add_table(rs, outer.block, "inside"));
	add_rule(outer.block, (struct pf_rule){.dir = PF_RULE_IN, .x = &calls_inner});
	add_rule(outer.block, (struct pf_rule){BLOCK});
	add_rule(outer.block, (struct pf_rule){ACTION(NO_NAT)});
	add_rule(inner.block, (struct pf_rule){UDP, KEEP});
	add_rule(inner.block, (struct pf_rule){BLOCK, .quick = true});
	return rs;
}

static void text_of_a_ruleset(void **state)
{
	pf_ruleset_auto rs = nested();
	text_auto text = ruleset_text(rs, 0);

	(void)state;
	assert_string_equal(text, "a = \"b\"\n"
				  "table <two>\n"
				  "set limit states 5\n"
				  "table <one>\n"
				  "table <made>\n"
				  "scrub all fragment reassemble\n"
				  "ether block l3 all\n"
				  "ether anchor \"e\" l3 all {\n"
				  "  ether pass in l3 all\n"
				  "}\n"
				  "no nat all\n"
				  "no rdr all\n"
				  "no binat all\n"
				  "dummynet-anchor \"d\" all\n"
				  "block drop all\n"
				  "anchor \"outer\" all {\n"
				  "  table <inside>\n"
				  "  no nat all\n"
				  "  anchor in all {\n"
				  "    pass proto udp all\n"
				  "    block drop quick all\n"
				  "  }\n"
				  "  block drop all\n"
				  "}\n"
				  "pass proto udp all\n");
}

/* Numbers begin anew in each list and in each block. */
static void text_with_numbers(void **state)
{
	pf_ruleset_auto rs = nested();
	text_auto one = rule_text(&pf_filter(rs)->v[1], 1, PF_PRINT_NUMBER);
	text_auto text = NULL;

	(void)state;
	assert_string_equal(one, "@1 anchor \"outer\" all {\n"
				 "  table <inside>\n"
				 "  @0 no nat all\n"
				 "  @0 anchor in all {\n"
				 "    @0 pass proto udp all\n"
				 "    @1 block drop quick all\n"
				 "  }\n"
				 "  @1 block drop all\n"
				 "}\n");
	text = ruleset_text(rs, PF_PRINT_NUMBER);
	assert_non_null(strstr(text, "\n@0 no nat all\n@0 no rdr all\n"));
	assert_non_null(strstr(text, "\n@1 ether anchor \"e\" l3 all {\n  @0 ether pass in"));
	assert_non_null(strstr(text, "\n@2 pass proto udp all\n"));
}

/* Of the whole file, and so inside of anchors. */
static void text_of_floating_rules(void **state)
{
	pf_ruleset_auto rs = nested();
	text_auto text = NULL;

	(void)state;
	rs->options.if_bound = true;
	text = ruleset_text(rs, 0);
	assert_non_null(strstr(text, "\npass proto udp all keep state (floating)\n"));
	assert_non_null(strstr(text, "\n    pass proto udp all keep state (floating)\n"));
	assert_non_null(strstr(text, "\n  anchor in all {\n"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(text_of_actions),
		cmocka_unit_test(text_of_anchors),
		cmocka_unit_test(text_of_heads),
		cmocka_unit_test(text_of_old_routes),
		cmocka_unit_test(text_of_hosts),
		cmocka_unit_test(text_of_dynamic_hosts),
		cmocka_unit_test(text_of_one_host),
		cmocka_unit_test(text_of_matches),
		cmocka_unit_test(text_of_states),
		cmocka_unit_test(text_of_floating_states),
		cmocka_unit_test(text_of_limiters),
		cmocka_unit_test(text_of_probabilities),
		cmocka_unit_test(probabilities_are_read_back),
		cmocka_unit_test(text_of_sets),
		cmocka_unit_test(text_of_scrubs),
		cmocka_unit_test(text_of_tails),
		cmocka_unit_test(text_of_pools),
		cmocka_unit_test(text_of_pool_options),
		cmocka_unit_test(text_of_tables),
		cmocka_unit_test(text_of_ether_rules),
		cmocka_unit_test(text_of_a_ruleset),
		cmocka_unit_test(text_with_numbers),
		cmocka_unit_test(text_of_floating_rules),
	};

	return unit_run(tests);
}
