// SPDX-License-Identifier: BSD-2-Clause
/* Translation in the reference model: cases written by hand, whose answers can be read. */
#include "../model/model.h"
#include "unit.h"

struct lab {
	struct pf_ruleset *rs;
	struct model m;
	struct model_answer a;
};

static void lab_open(struct lab *l, const char *rules)
{
	l->rs = parse_ok(rules);
	model_init(&l->m, l->rs);
}

static void lab_close(struct lab *l)
{
	model_free(&l->m);
	pf_ruleset_free(l->rs);
}
#define lab_auto __attribute__((cleanup(lab_close))) struct lab

static struct pf_ip ip4(uint8_t net, uint8_t host)
{
	return (struct pf_ip){.b = {10, 0, net, host}};
}

/* From the inner host out, or from 10.0.9.9 to our outer address. */
static struct model_packet udp(uint8_t dir, uint16_t sport, uint16_t dport)
{
	const bool out = dir == PF_RULE_OUT;

	return (struct model_packet){.dir = dir,
				     .af = PF_FAMILY_INET,
				     .proto = MODEL_P_UDP,
				     .ttl = 64,
				     .ifname = "ext",
				     .received = out ? "int" : "ext",
				     .src = out ? ip4(1, 1) : ip4(9, 9),
				     .dst = out ? ip4(9, 9) : ip4(2, 1),
				     .sport = sport,
				     .dport = dport,
				     .seed = 77};
}

static struct model_packet ping(uint8_t dir, uint16_t id)
{
	struct model_packet p = udp(dir, 0, 0);

	p.proto = MODEL_P_ICMP;
	p.icmp_type = 8;
	p.icmp_id = id;
	return p;
}

static struct model_packet reply_to(const struct model_packet *p)
{
	struct model_packet r = *p;

	r.dir = p->dir == PF_RULE_IN ? PF_RULE_OUT : PF_RULE_IN;
	r.src = p->dst;
	r.dst = p->src;
	r.sport = p->dport;
	r.dport = p->sport;
	if (p->icmp_type == 8)
		r.icmp_type = 0;
	return r;
}

static struct model_packet error_about(const struct model_packet *p, struct pf_ip from)
{
	struct model_packet e = {.dir = p->dir == PF_RULE_IN ? PF_RULE_OUT : PF_RULE_IN,
				 .af = p->af,
				 .proto = MODEL_P_ICMP,
				 .ttl = 64,
				 .ifname = p->ifname,
				 .icmp_type = 3,
				 .src = from,
				 .dst = p->src};

	e.quote = (struct model_quote){.proto = p->proto,
				       .src = p->src,
				       .dst = p->dst,
				       .sport = p->sport,
				       .dport = p->dport,
				       .icmp_type = p->icmp_type,
				       .icmp_id = p->icmp_id};
	return e;
}

static void run(struct lab *l, const struct model_packet *p)
{
	model_packet(&l->m, p, &l->a);
}

/* "10.0.1.1:1000 10.0.9.9:53"; an id of ICMP stands for the source's port. */
static void ends_text(const struct model_packet *p, char *buf, size_t size)
{
	const bool icmp = model_is_icmp(p);

	snprintf(buf, size, "%u.%u.%u.%u:%u %u.%u.%u.%u:%u", p->src.b[0], p->src.b[1], p->src.b[2],
		 p->src.b[3], icmp ? p->icmp_id : p->sport, p->dst.b[0], p->dst.b[1], p->dst.b[2],
		 p->dst.b[3], p->dport);
}

static void leaves(struct lab *l, const struct model_packet *p, const char *want)
{
	char got[128];

	run(l, p);
	assert_int_equal(l->a.verdict, MODEL_PASS);
	ends_text(&l->a.out, got, sizeof(got));
	assert_string_equal(got, want);
}

static void dropped(struct lab *l, const struct model_packet *p, enum model_reason why)
{
	run(l, p);
	assert_int_equal(l->a.verdict, MODEL_DROP);
	assert_int_equal(l->a.reason, why);
	assert_int_equal(l->a.use, MODEL_NO_STATE);
}

static void once(const char *rules, const struct model_packet *p, const char *want)
{
	lab_auto l;

	lab_open(&l, rules);
	leaves(&l, p, want);
}

/* --- what rules make of a packet --- */

static void ports_of_nat(void **state)
{
	struct model_packet p = udp(PF_RULE_OUT, 1000, 53), q = ping(PF_RULE_OUT, 7);
	lab_auto l;

	(void)state;
	once("pass out nat-to 10.0.2.1 static-port\n", &p, "10.0.2.1:1000 10.0.9.9:53");
	once("pass out nat-to 10.0.2.1 port 4000\n", &p, "10.0.2.1:4000 10.0.9.9:53");
	once("pass out nat-to 10.0.2.0/24 port 4000 bitmask\n", &p, "10.0.2.1:4000 10.0.9.9:53");
	once("match out nat-to 10.0.2.0/28 bitmask static-port\npass\n", &p,
	     "10.0.2.1:1000 10.0.9.9:53");
	lab_open(&l, "pass out nat-to 10.0.2.1\n");
	run(&l, &p);
	assert_true(l.a.out.sport > 50000);
	assert_int_equal(l.a.draws, 1);
	/* an id of ping may be any but 0, whatever the rule says */
	run(&l, &q);
	assert_int_equal(l.a.draws, 1);
	assert_int_not_equal(l.a.out.icmp_id, 7);
	assert_int_not_equal(l.a.out.icmp_id, 0);
	q.icmp_type = 13;
	leaves(&l, &q, "10.0.2.1:7 10.0.9.9:0");
	assert_int_equal(l.a.draws, 0);
}

static void pings_are_not_static(void **state)
{
	struct model_packet q = ping(PF_RULE_OUT, 7);
	lab_auto l;

	(void)state;
	lab_open(&l, "pass out nat-to 10.0.2.1 static-port\n");
	run(&l, &q);
	assert_int_equal(l.a.draws, 1);
	assert_int_not_equal(l.a.out.icmp_id, 7);
}

static void ports_of_rdr(void **state)
{
	struct model_packet p = udp(PF_RULE_IN, 1000, 85), q = ping(PF_RULE_IN, 7);

	(void)state;
	once("pass in rdr-to 10.0.1.1\n", &p, "10.0.9.9:1000 10.0.1.1:85");
	once("pass in rdr-to 10.0.1.1 port 90\n", &p, "10.0.9.9:1000 10.0.1.1:90");
	/* as far from the first as the port was from the rule's first */
	once("pass in proto udp to port 80:90 rdr-to 10.0.1.1 port 180:190\n", &p,
	     "10.0.9.9:1000 10.0.1.1:185");
	once("pass in proto udp to port 80:90 rdr-to 10.0.1.1 port 180:*\n", &p,
	     "10.0.9.9:1000 10.0.1.1:185");
	once("pass in proto udp to port 80:90 rdr-to 10.0.1.1 port 180:182\n", &p,
	     "10.0.9.9:1000 10.0.1.1:182");
	once("pass in proto udp to port 85 rdr-to 10.0.1.1 port 180:182\n", &p,
	     "10.0.9.9:1000 10.0.1.1:180");
	/* other operators have no first port: 85 % 3 is 1 */
	once("pass in proto udp to port > 80 rdr-to 10.0.1.1 port 180:182\n", &p,
	     "10.0.9.9:1000 10.0.1.1:181");
	once("pass in rdr-to 10.0.1.1 port 90\n", &q, "10.0.9.9:7 10.0.1.1:0");
}

static void rules_behind_see_it(void **state)
{
	struct model_packet p = udp(PF_RULE_OUT, 1000, 53), q = udp(PF_RULE_IN, 1000, 53);
	lab_auto l;

	(void)state;
	lab_open(&l, "anchor {\nmatch out nat-to 10.0.2.1 port 4000\n}\nblock\n"
		     "pass proto udp from 10.0.2.1 port 4000\nblock from 10.0.1.1\n");
	leaves(&l, &p, "10.0.2.1:4000 10.0.9.9:53");
	assert_int_equal(l.a.rule->line, 5);
	once("match in rdr-to 10.0.1.1 port 90\nblock\npass proto udp to 10.0.1.1 port 90\n", &q,
	     "10.0.9.9:1000 10.0.1.1:90");
	/* one upon the other; the winner's last */
	once("match out nat-to 10.0.2.1 port 4000\nmatch out from 10.0.2.1 nat-to 10.0.3.1 "
	     "static-port\npass\n",
	     &p, "10.0.3.1:4000 10.0.9.9:53");
	once("match out nat-to 10.0.2.1 port 4000\npass out from 10.0.2.1 nat-to 10.0.3.1 port 5\n"
	     "match out from 10.0.3.1 nat-to 10.0.4.1\n",
	     &p, "10.0.3.1:5 10.0.9.9:53");
}

static void binat_is_two_rules(void **state)
{
	const char *rules = "match from 10.0.1.1 to any binat-to 10.0.2.1\npass\n";
	struct model_packet p = udp(PF_RULE_OUT, 1000, 53), q = udp(PF_RULE_IN, 1000, 53);

	(void)state;
	once(rules, &p, "10.0.2.1:1000 10.0.9.9:53");
	once(rules, &q, "10.0.9.9:1000 10.0.1.1:53");
}

static void undone_without_a_state(void **state)
{
	struct model_packet p = udp(PF_RULE_OUT, 1000, 53), e;
	lab_auto l;

	(void)state;
	once("match out nat-to 10.0.2.1\npass no state\n", &p, "10.0.1.1:1000 10.0.9.9:53");
	once("match out nat-to 10.0.2.1\n", &p, "10.0.1.1:1000 10.0.9.9:53");
	e = error_about(&(struct model_packet){.af = PF_FAMILY_INET,
					       .dir = PF_RULE_IN,
					       .proto = MODEL_P_UDP,
					       .ifname = "ext",
					       .src = ip4(9, 9),
					       .dst = ip4(1, 1)},
			ip4(1, 1));
	lab_open(&l, "match out nat-to 10.0.2.1\nblock\npass from 10.0.2.1\n");
	leaves(&l, &e, "10.0.1.1:0 10.0.9.9:0");
	assert_false(l.a.translated);
	p.frag = MODEL_FRAG_LATER; /* let through as what it cannot become */
	dropped(&l, &p, MODEL_R_FRAG);
	p.frag = MODEL_FRAG_FIRST;
	dropped(&l, &p, MODEL_R_FRAG);
	p.frag = MODEL_WHOLE;
	p.options = true;
	dropped(&l, &p, MODEL_R_IPOPTION);
	assert_int_equal(l.m.nstates, 0);
}

static void neighbours_are_left_alone(void **state)
{
	struct model_packet p = {.dir = PF_RULE_OUT,
				 .af = PF_FAMILY_INET6,
				 .proto = MODEL_P_ICMP6,
				 .ifname = "ext",
				 .src = {.b = {0x20, 1, [15] = 1}},
				 .dst = {.b = {0x20, 1, [15] = 2}}};
	lab_auto l;

	(void)state;
	lab_open(&l, "match out nat-to 2001:db8::9\npass\n");
	for (unsigned int type = 127; type < 145; type++) {
		const bool never = (type >= 130 && type <= 137) || type == 143;

		p.icmp_type = (uint8_t)type;
		run(&l, &p);
		if (l.a.use != MODEL_STATE_MADE)
			continue; /* answers and the like make none */
		assert_int_equal(l.a.nmatches, 1);
		assert_int_equal(l.a.translated, !never);
	}
}

/* --- ports that are taken --- */

static void next_free_port(void **state)
{
	struct model_packet p = udp(PF_RULE_OUT, 1, 53);
	bool seen[4] = {false};
	lab_auto l;

	(void)state;
	lab_open(&l, "pass out nat-to 10.0.2.1 port 2000:2003\n");
	for (uint16_t i = 0; i < 4; i++, p.sport++) {
		run(&l, &p);
		assert_int_equal(l.a.verdict, MODEL_PASS);
		assert_in_range(l.a.out.sport, 2000, 2003);
		assert_false(seen[l.a.out.sport - 2000]);
		seen[l.a.out.sport - 2000] = true;
	}
	dropped(&l, &p, MODEL_R_TRANSLATE);
	/* elsewhere they are free */
	p.dport = 54;
	run(&l, &p);
	assert_int_equal(l.a.verdict, MODEL_PASS);
}

/* 2002 is drawn (the seed is looked for): up to the end first, then down. */
static void upwards_then_downwards(void **state)
{
	static const uint16_t order[] = {2002, 2003, 2001, 2000};
	struct model_packet p = udp(PF_RULE_OUT, 1, 53);
	uint32_t draws = 0;
	lab_auto l;

	(void)state;
	for (p.seed = 1; model_draw(&p, &draws) % 4 != 2; p.seed++)
		draws = 0;
	lab_open(&l, "pass out nat-to 10.0.2.1 port 2000:2003\n");
	for (size_t i = 0; i < ARRAY_SIZE(order); i++, p.sport++) {
		run(&l, &p);
		assert_int_equal(l.a.out.sport, order[i]);
	}
}

static void taken_without_a_choice(void **state)
{
	struct model_packet p = udp(PF_RULE_OUT, 1, 53), gre = p;
	lab_auto l;

	(void)state;
	lab_open(&l, "pass out nat-to 10.0.2.1 port 2000\n");
	leaves(&l, &p, "10.0.2.1:2000 10.0.9.9:53");
	p.sport = 2;
	dropped(&l, &p, MODEL_R_TRANSLATE);
	gre.proto = 47;
	gre.sport = gre.dport = 0;
	leaves(&l, &gre, "10.0.2.1:0 10.0.9.9:0");
	gre.src = ip4(1, 2);
	dropped(&l, &gre, MODEL_R_TRANSLATE);
	assert_int_equal(l.m.nstates, 2);
	/* who has that address himself */
	p.src = ip4(2, 1);
	p.sport = 2000;
	dropped(&l, &p, MODEL_R_STATEINS);
}

/* Two outer addresses, one inner: the answers could not be told apart. */
static void stack_key_taken(void **state)
{
	struct model_packet p = udp(PF_RULE_IN, 1000, 53);
	lab_auto l;

	(void)state;
	lab_open(&l, "pass in rdr-to 10.0.1.1 port 80\n");
	leaves(&l, &p, "10.0.9.9:1000 10.0.1.1:80");
	p.dst = ip4(2, 2);
	dropped(&l, &p, MODEL_R_STATEINS);
	p.sport++;
	leaves(&l, &p, "10.0.9.9:1001 10.0.1.1:80");
}

/* Whose first two numbers are even: of two ports they choose the lower one. */
static uint32_t even_seed(const struct model_packet *p)
{
	struct model_packet try = *p;

	for (try.seed = 1;; try.seed++) {
		uint32_t draws = 0, odd = model_draw(&try, &draws) & 1;

		odd |= model_draw(&try, &draws) & 1;
		if (!odd)
			return try.seed;
	}
}

/* Rules behind have seen the port that was drawn: they are asked about the other one. */
static void asked_again(void **state)
{
	const char *rules = "match out log nat-to 10.0.2.1 port 2000:2001\nblock log\n"
			    "pass proto udp from port 2000\nmatch proto udp from port 2001 tag T\n";
	struct model_packet p = udp(PF_RULE_OUT, 1, 53);
	lab_auto l;

	(void)state;
	p.seed = even_seed(&p);
	lab_open(&l, rules);
	leaves(&l, &p, "10.0.2.1:2000 10.0.9.9:53");
	assert_null(l.a.tag);
	assert_int_equal(l.m.counts[0].evaluations, 1);
	p.sport++;
	run(&l, &p);
	assert_int_equal(l.a.verdict, MODEL_DROP);
	assert_int_equal(l.a.reason, MODEL_R_MATCH);
	assert_int_equal(l.a.rule->line, 2);
	assert_string_equal(l.a.tag, "T");
	assert_int_equal(l.a.nmatches, 2);
	assert_int_equal(l.a.nlogs, 2);
	assert_int_equal(l.a.draws, 1);
	/* each walk counts for evaluations, the last alone for packets */
	assert_int_equal(l.m.counts[0].evaluations, 3);
	assert_int_equal(l.m.counts[0].packets[1], 2);
}

/* Where nobody asks for source ports, one walk will do. */
static void not_asked_again(void **state)
{
	struct model_packet p = udp(PF_RULE_OUT, 1, 53);
	lab_auto l;

	(void)state;
	lab_open(&l, "match out nat-to 10.0.2.1 port 2000:2001\npass\n");
	run(&l, &p);
	p.sport++;
	run(&l, &p);
	assert_int_equal(l.a.verdict, MODEL_PASS);
	assert_int_equal(l.m.counts[0].evaluations, 2);
}

/*
 * The found port leads to another rule with nat-to, whose port leads back, and so on:
 * given up in the end.
 */
static void asked_too_often(void **state)
{
	const char *rules = "match out from 10.0.1.1 nat-to 10.0.2.1 port 2000:2001\n"
			    "match out proto udp from 10.0.2.1 port 2001 nat-to 10.0.3.1 "
			    "port 3000:3001\npass\n";
	struct model_packet p = udp(PF_RULE_OUT, 1, 53), q = p;
	lab_auto l;

	(void)state;
	p.seed = even_seed(&p);
	lab_open(&l, rules);
	leaves(&l, &p, "10.0.2.1:2000 10.0.9.9:53");
	/* whose source is 10.0.2.1:2001 of its own: 3000 is taken then */
	q.src = ip4(2, 1);
	q.sport = 2001;
	q.seed = even_seed(&q);
	leaves(&l, &q, "10.0.3.1:3000 10.0.9.9:53");
	p.sport++;
	dropped(&l, &p, MODEL_R_TRANSLATE);
	assert_int_equal(l.m.counts[0].evaluations, 2 + 1 + MODEL_REPEATS_MOST);
	assert_int_equal(l.m.counts[2].packets[1], 2);
}

/* --- states --- */

static void replies_go_back(void **state)
{
	struct model_packet p = udp(PF_RULE_OUT, 1000, 53), r, q = ping(PF_RULE_OUT, 7);
	lab_auto l;

	(void)state;
	lab_open(&l, "block\npass out nat-to 10.0.2.1 port 4000\n");
	leaves(&l, &p, "10.0.2.1:4000 10.0.9.9:53");
	r = reply_to(&l.a.out);
	leaves(&l, &r, "10.0.9.9:53 10.0.1.1:1000");
	leaves(&l, &p, "10.0.2.1:4000 10.0.9.9:53");
	assert_int_equal(l.a.use, MODEL_STATE_USED);
	/* what is not translated finds nothing from outside */
	r = reply_to(&p);
	dropped(&l, &r, MODEL_R_MATCH);
	run(&l, &q);
	r = reply_to(&l.a.out);
	leaves(&l, &r, "10.0.9.9:7 10.0.1.1:0");
	assert_int_equal(l.m.nstates, 2);
}

static void replies_of_rdr(void **state)
{
	struct model_packet p = udp(PF_RULE_IN, 1000, 53), r;
	lab_auto l;

	(void)state;
	lab_open(&l, "block\npass in rdr-to 10.0.1.1 port 80\n");
	leaves(&l, &p, "10.0.9.9:1000 10.0.1.1:80");
	r = reply_to(&l.a.out);
	leaves(&l, &r, "10.0.2.1:53 10.0.9.9:1000");
	r.frag = MODEL_FRAG_FIRST;
	r.options = true;
	p.frag = MODEL_FRAG_FIRST;
	dropped(&l, &r, MODEL_R_FRAG); /* that comes before the options */
	dropped(&l, &p, MODEL_R_FRAG);
}

static void quote_text(const struct model_packet *p, char *buf, size_t size)
{
	const struct model_quote *q = &p->quote;
	struct model_packet quoted = {.proto = q->proto,
				      .src = q->src,
				      .dst = q->dst,
				      .sport = q->sport,
				      .dport = q->dport,
				      .icmp_id = q->icmp_id};

	ends_text(&quoted, buf, size);
}

static void error_leaves(struct lab *l, const struct model_packet *e, const char *src,
			 const char *want)
{
	char got[128];

	run(l, e);
	assert_int_equal(l->a.verdict, MODEL_PASS);
	assert_true(l->a.translated);
	quote_text(&l->a.out, got, sizeof(got));
	assert_string_equal(got, want);
	assert_true(pf_ip_equal(&l->a.out.dst, &l->a.out.quote.src));
	pf_ip_format(PF_FAMILY_INET, &l->a.out.src, 32, got, sizeof(got));
	assert_string_equal(got, src);
}

static void errors_go_back(void **state)
{
	struct model_packet p = udp(PF_RULE_OUT, 1000, 53), q = ping(PF_RULE_OUT, 7), e;
	lab_auto l;

	(void)state;
	lab_open(&l, "block\npass out nat-to 10.0.2.1 port 4000\n");
	leaves(&l, &p, "10.0.2.1:4000 10.0.9.9:53");
	/* from a router on the way: who says so stays as it is */
	e = error_about(&l.a.out, ip4(8, 8));
	error_leaves(&l, &e, "10.0.8.8", "10.0.1.1:1000 10.0.9.9:53");
	e = error_about(&p, ip4(8, 8));
	dropped(&l, &e, MODEL_R_MATCH);
	run(&l, &q);
	e = error_about(&l.a.out, ip4(9, 9));
	error_leaves(&l, &e, "10.0.9.9", "10.0.1.1:7 10.0.9.9:0");
}

/* An inner host, or a router there, is not seen from outside. */
static void errors_hide_inner_hosts(void **state)
{
	struct model_packet p = udp(PF_RULE_IN, 1000, 53), e;
	lab_auto l;

	(void)state;
	lab_open(&l, "block\npass in rdr-to 10.0.1.1 port 80\n");
	leaves(&l, &p, "10.0.9.9:1000 10.0.1.1:80");
	e = error_about(&l.a.out, ip4(1, 254));
	error_leaves(&l, &e, "10.0.2.1", "10.0.9.9:1000 10.0.2.1:53");
	e.frag = MODEL_FRAG_FIRST;
	dropped(&l, &e, MODEL_R_FRAG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ports_of_nat),
		cmocka_unit_test(pings_are_not_static),
		cmocka_unit_test(ports_of_rdr),
		cmocka_unit_test(rules_behind_see_it),
		cmocka_unit_test(binat_is_two_rules),
		cmocka_unit_test(undone_without_a_state),
		cmocka_unit_test(neighbours_are_left_alone),
		cmocka_unit_test(next_free_port),
		cmocka_unit_test(upwards_then_downwards),
		cmocka_unit_test(taken_without_a_choice),
		cmocka_unit_test(stack_key_taken),
		cmocka_unit_test(asked_again),
		cmocka_unit_test(not_asked_again),
		cmocka_unit_test(asked_too_often),
		cmocka_unit_test(replies_go_back),
		cmocka_unit_test(replies_of_rdr),
		cmocka_unit_test(errors_go_back),
		cmocka_unit_test(errors_hide_inner_hosts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
