// SPDX-License-Identifier: BSD-2-Clause
/*
 * The reference model itself: cases written by hand from pf.conf(5), whose answers
 * anybody can check by reading.
 */
#include "../model/model.h"
#include "unit.h"

/* A UDP packet that comes in. */
static struct model_packet udp(uint16_t dport)
{
	return (struct model_packet){.dir = PF_RULE_IN,
				     .af = PF_FAMILY_INET,
				     .proto = MODEL_P_UDP,
				     .ttl = 64,
				     .ifname = "ext",
				     .received = "ext",
				     .src = {.b = {10, 0, 0, 1}},
				     .dst = {.b = {10, 0, 0, 2}},
				     .sport = 1000,
				     .dport = dport};
}

/*
 * What the rules make of the packet, as the lines of the winner and of the match
 * rules, and the tag: "4 [2 3] RED"; "-" is the default rule.
 */
static void judged(const char *rules, const struct model_packet *p, const char *want)
{
	pf_ruleset_auto rs = parse_ok(rules);
	struct model_answer a;
	char got[256];
	size_t n = 0;
	model_auto m;

	model_init(&m, rs);
	model_packet(&m, p, &a);
	if (a.rule)
		n += (size_t)snprintf(got + n, sizeof(got) - n, "%u", a.rule->line);
	else
		n += (size_t)snprintf(got + n, sizeof(got) - n, "-");
	for (size_t i = 0; i < a.nmatches; i++)
		n += (size_t)snprintf(got + n, sizeof(got) - n, "%s%u", i ? " " : " [",
				      a.matches[i]->line);
	if (a.nmatches)
		n += (size_t)snprintf(got + n, sizeof(got) - n, "]");
	if (a.tag)
		n += (size_t)snprintf(got + n, sizeof(got) - n, " %s", a.tag);
	if (a.reason == MODEL_R_DEPTH)
		snprintf(got, sizeof(got), "deep");
	if (strcmp(got, want) != 0)
		fail_msg("%s\ngot \"%s\", want \"%s\"", rules, got, want);
}

static void judged_udp(const char *rules, uint16_t dport, const char *want)
{
	struct model_packet p = udp(dport);

	judged(rules, &p, want);
}

static void last_match_wins(void **state)
{
	(void)state;
	judged_udp("block\npass proto udp\nblock proto tcp\n", 53, "2");
	judged_udp("block\npass\nblock\n", 53, "3");
	judged_udp("", 53, "-");
	judged_udp("pass out\nblock on int\n", 53, "-");
}

static void quick_ends(void **state)
{
	(void)state;
	judged_udp("block\npass quick proto udp\nblock\n", 53, "2");
	judged_udp("block\npass quick proto tcp\nblock\n", 53, "3");
	/* a quick match ends the walk, and leaves what was */
	judged_udp("pass\nmatch quick proto udp\nblock\n", 53, "1 [2]");
	judged_udp("match quick proto udp\nblock\n", 53, "- [1]");
}

static void match_gathers(void **state)
{
	(void)state;
	judged_udp("match\nblock\nmatch proto udp\nmatch proto tcp\npass\nmatch\n", 53,
		   "5 [1 3 6]");
}

static void tags_hold_at_once(void **state)
{
	(void)state;
	judged_udp("match tag RED\npass tagged RED\nblock tagged BLUE\n", 53, "2 [1] RED");
	/* of a rule that is overruled, too */
	judged_udp("block tag RED\npass\nblock tagged RED\n", 53, "3 RED");
	judged_udp("block tag RED\npass ! tagged RED\npass tag BLUE tagged RED\n", 53, "3 BLUE");
	judged_udp("anchor in tag RED {\nblock out\n}\npass tagged RED\n", 53, "4 RED");
}

static void anchor_quick_needs_a_winner_inside(void **state)
{
	(void)state;
	judged_udp("anchor quick {\npass\n}\nblock\n", 53, "2");
	judged_udp("anchor quick {\npass out\n}\nblock\n", 53, "4");
	/* a match rule is no winner, nor is one from before */
	judged_udp("pass\nanchor quick {\nmatch\n}\nblock\n", 53, "5 [3]");
	/* of an anchor inside */
	judged_udp("anchor quick {\nanchor {\npass\n}\n}\nblock\n", 53, "3");
	judged_udp("anchor {\nanchor quick {\npass\n}\nblock\n}\nblock\n", 53, "3");
	/* a quick rule ends it all */
	judged_udp("anchor {\nanchor {\npass quick\n}\nblock\n}\nblock\n", 53, "3");
	/* only what the anchor rule itself asks for comes in */
	judged_udp("anchor out {\npass quick\n}\nblock\n", 53, "4");
}

static void anchors_by_name(void **state)
{
	(void)state;
	judged_udp("anchor \"a\" out {\npass\n}\nblock\nanchor \"a\"\n", 53, "2");
	judged_udp("anchor \"a\" out {\nanchor \"b\" {\npass\n}\n}\nblock\nanchor \"a/b\"\n", 53,
		   "3");
	judged_udp("block\nanchor \"b\"\n", 53, "1");
	/* relative to where the call stands; absolute; one up */
	judged_udp("anchor \"b\" out {\nblock\n}\nanchor \"a\" {\nanchor \"b\" out {\npass\n}\n"
		   "anchor \"b\"\n}\n",
		   53, "6");
	judged_udp("anchor \"b\" out {\nblock\n}\nanchor \"a\" {\nanchor \"b\" out {\npass\n}\n"
		   "anchor \"/b\"\n}\n",
		   53, "2");
	judged_udp("anchor \"b\" out {\nblock\n}\nanchor \"a\" {\nanchor \"b\" out {\npass\n}\n"
		   "anchor \"../b\"\n}\n",
		   53, "2");
}

static void stars_go_by_the_alphabet(void **state)
{
	(void)state;
	judged_udp("anchor \"a\" out {\nanchor \"z\" {\nblock\n}\nanchor \"b\" {\npass\n}\n}\n"
		   "anchor \"a/*\"\n",
		   53, "3");
	/* each child, but not what is in them, unless they call it */
	judged_udp("anchor \"a\" out {\nanchor \"b\" {\nmatch\nanchor \"c\" out {\nmatch\n}\n}\n"
		   "anchor \"Z\" {\nmatch\n}\n}\nanchor \"a/*\"\n",
		   53, "- [9 3]");
	judged_udp(
		"anchor \"a\" out {\nanchor \"b\" {\npass quick\n}\nanchor \"c\" {\nblock\n}\n}\n"
		"anchor \"/a/*\"\nblock\n",
		53, "3");
}

static void endless_anchors_drop(void **state)
{
	(void)state;
	judged_udp("anchor \"a\" {\npass\nanchor \"/a\"\n}\n", 53, "deep");
	judged_udp("anchor \"a\" {\npass quick\nanchor \"/a\"\n}\n", 53, "2");
}

/* What is loaded at a path takes the place of the braces that had it, where they stood. */
static void anchors_are_loaded_alone(void **state)
{
	pf_ruleset_auto rs = parse_ok("anchor \"a\" {\nblock\nanchor \"b\" {\nmatch\n}\n}\n"
				      "match\nanchor \"a/b\"\n");
	pf_ruleset_auto late = parse_ok("\n\n\n\n\n\n\n\n\n\npass\n");
	struct model_packet p = udp(53);
	struct model_answer a;
	model_auto m;

	(void)state;
	model_init(&m, rs);
	model_load_anchor(&m, "a", late);
	model_packet(&m, &p, &a);
	assert_non_null(a.rule);
	assert_int_equal(a.rule->line, 11);
	assert_int_equal(a.anchor->line, 1);
	/* what was in it by name is still there for others */
	assert_int_equal(a.nmatches, 2);
	assert_int_equal(a.matches[0]->line, 7);
	assert_int_equal(a.matches[1]->line, 4);
}

static void ports_and_their_ends(void **state)
{
	static const struct {
		const char *port;
		const char *in, *out; /* ports that match, and that do not */
	} cases[] = {
		{"= 80", "80", "79 81"},	   {"!= 80", "79 81", "80"},
		{"< 80", "1 79", "80 81"},	   {"<= 80", "79 80", "81"},
		{"> 80", "81 65535", "80"},	   {">= 80", "80 65535", "79"},
		{"80:90", "80 85 90", "79 91"},	   {"80 >< 90", "81 89", "80 90"},
		{"80 <> 90", "79 91", "80 81 90"},
	};
	char rules[128];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const char *lists[] = {cases[i].in, cases[i].out};

		snprintf(rules, sizeof(rules), "block\npass proto udp to port %s\n", cases[i].port);
		for (int k = 0; k < 2; k++)
			for (const char *c = lists[k]; *c; c += strcspn(c, " "), c += *c == ' ')
				judged_udp(rules, (uint16_t)atoi(c), k ? "1" : "2");
	}
}

static void tables_by_the_longest(void **state)
{
	const char *rules = "table <t> { 10.0.0.0/8 !10.0.0.0/24 10.0.0.2 }\nblock\npass to <t>\n"
			    "match to ! <t>\n";
	struct model_packet p = udp(53);

	(void)state;
	judged(rules, &p, "3");
	p.dst.b[3] = 3;
	judged(rules, &p, "2 [4]");
	p.dst.b[2] = 1;
	judged(rules, &p, "3");
	p.dst.b[0] = 11;
	judged(rules, &p, "2 [4]");
}

static void later_fragments_have_no_ports(void **state)
{
	struct model_packet p = udp(53);

	(void)state;
	p.frag = MODEL_FRAG_LATER;
	judged("block\npass proto udp to port 53\npass proto udp to port != 1\n", &p, "1");
	judged("block\npass proto udp no state\n", &p, "2");
	judged("block fragment\n", &p, "1");
	p.frag = MODEL_WHOLE;
	judged("block fragment\n", &p, "-");
}

static void received_on_needs_an_interface(void **state)
{
	const char *rules = "match out received-on int\nmatch out ! received-on int\n";
	struct model_packet p = udp(53);

	(void)state;
	p.dir = PF_RULE_OUT;
	p.received = "int";
	judged(rules, &p, "- [1]");
	p.received = "dmz";
	judged(rules, &p, "- [2]");
	p.received = NULL;
	judged(rules, &p, "- [2]");
}

/* A reply is matched by no rule that keeps state; the query's state lets it pass. */
static void states_carry_replies(void **state)
{
	pf_ruleset_auto rs = parse_ok("block\npass proto icmp\n");
	struct model_packet ping = udp(0), pong;
	struct model_answer a;
	model_auto m;

	(void)state;
	model_init(&m, rs);
	ping.proto = MODEL_P_ICMP;
	ping.icmp_type = 8;
	ping.icmp_id = 7;
	pong = ping;
	pong.dir = PF_RULE_OUT;
	pong.src = ping.dst;
	pong.dst = ping.src;
	pong.icmp_type = 0;
	model_packet(&m, &pong, &a);
	assert_int_equal(a.verdict, MODEL_DROP);
	model_packet(&m, &ping, &a);
	assert_int_equal(a.verdict, MODEL_PASS);
	assert_int_equal(a.use, MODEL_STATE_MADE);
	model_packet(&m, &pong, &a);
	assert_int_equal(a.verdict, MODEL_PASS);
	assert_int_equal(a.use, MODEL_STATE_USED);
	/* an answer from who asked */
	pong.dir = PF_RULE_IN;
	pong.src = ping.src;
	pong.dst = ping.dst;
	model_packet(&m, &pong, &a);
	assert_int_equal(a.verdict, MODEL_DROP);
}

/* A number is drawn for those rules alone that match so far. */
static void chances_are_drawn_in_order(void **state)
{
	pf_ruleset_auto rs = parse_ok("pass proto tcp probability 50%\npass probability 50%\n"
				      "pass tagged NONE probability 50%\n");
	struct model_packet p = udp(53);
	struct model_answer a;
	unsigned int hits = 0;
	model_auto m;

	(void)state;
	model_init(&m, rs);
	for (uint32_t i = 1; i <= 1000; i++) {
		p.sport = (uint16_t)(i + 1000); /* a state each */
		p.seed = i * 2654435761U;
		model_packet(&m, &p, &a);
		assert_int_equal(a.draws, 2);
		hits += a.rule != NULL;
	}
	assert_in_range(hits, 420, 580);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(last_match_wins),
		cmocka_unit_test(quick_ends),
		cmocka_unit_test(match_gathers),
		cmocka_unit_test(tags_hold_at_once),
		cmocka_unit_test(anchor_quick_needs_a_winner_inside),
		cmocka_unit_test(anchors_by_name),
		cmocka_unit_test(stars_go_by_the_alphabet),
		cmocka_unit_test(endless_anchors_drop),
		cmocka_unit_test(anchors_are_loaded_alone),
		cmocka_unit_test(ports_and_their_ends),
		cmocka_unit_test(tables_by_the_longest),
		cmocka_unit_test(later_fragments_have_no_ports),
		cmocka_unit_test(received_on_needs_an_interface),
		cmocka_unit_test(states_carry_replies),
		cmocka_unit_test(chances_are_drawn_in_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
