// SPDX-License-Identifier: BSD-2-Clause
/* grammar: queues of both languages, ether rules and limiters: read, checked, printed. */
#include "unit.h"

struct text_case {
	const char *text;
	const char *printed; /* NULL: as it is */
};

/* What is printed is read back to the same text. */
static void check_texts(const struct text_case *cases, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const char *want = cases[i].printed ? cases[i].printed : cases[i].text;
		pf_ruleset_auto rs = parse_ok(cases[i].text);
		text_auto text = ruleset_text(rs, 0);
		pf_ruleset_auto again = NULL;
		text_auto second = NULL;

		if (strcmp(text, want) != 0)
			fail_msg("%s\nis printed as\n%s\nand not as\n%s", cases[i].text, text,
				 want);
		again = parse_ok(text);
		second = ruleset_text(again, 0);
		assert_string_equal(text, second);
	}
}

static int parse_for(struct pf_parse_options opt, const char *text, char **said)
{
	pf_ruleset_auto rs = NULL;

	return parse_with(opt, text, strlen(text), &rs, said, NULL);
}

struct error_case {
	const char *text;
	const char *said; /* line, column and message of the one error */
};

static void check_errors(const struct error_case *cases, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		text_auto said = NULL, first = NULL;
		int err = parse_for((struct pf_parse_options){0}, cases[i].text, &said);

		first = strndup(said, strcspn(said, "\n"));
		if (err != -EINVAL || strncmp(said, "t:", 2) != 0 ||
		    strcmp(first + 2, cases[i].said) != 0)
			fail_msg("%s\nsays (%d)\n%s\nand not\n%s", cases[i].text, err, said,
				 cases[i].said);
		if (strstr(said, "\nt:"))
			fail_msg("%s\nsays more than once\n%s", cases[i].text, said);
	}
}

/* --- OpenBSD's queues --- */

static void new_queues(void **state)
{
	static const struct text_case cases[] = {
		{"queue std on em0 bandwidth 100M\n"
		 "queue ssh parent std bandwidth 10M, min 5M, max 20M default qlimit 100\n",
		 NULL},
		{"queue a on em0 bandwidth 100000000 max 1500K min 64000\n",
		 "queue a on em0 bandwidth 100M, min 64K, max 1500K\n"},
		{"queue a on em0 bandwidth 1001\n", NULL},
		{"queue a on em0 bandwidth 1.5M\n", "queue a on em0 bandwidth 1500K\n"},
		{"queue a on em0 bandwidth 10Mb\n", "queue a on em0 bandwidth 10M\n"},
		{"queue a on em0 bandwidth 10Mbit default\n",
		 "queue a on em0 bandwidth 10M default\n"},
		{"queue a on em0 bandwidth 10M burst 20M for 100ms, max 1G burst 2G for 1ms\n",
		 NULL},
		{"queue a on em0 bandwidth 10M burst 20M for 0ms\n",
		 "queue a on em0 bandwidth 10M\n"},
		{"queue a on em0 flows 1024 qlimit 1024 default\n",
		 "queue a on em0 flows 1024 default qlimit 1024\n"},
		{"queue a on em0 quantum 300 flows 1024 bandwidth 68M max 69M\n",
		 "queue a on em0 flows 1024 quantum 300 bandwidth 68M, max 69M\n"},
		/* each interface has one of its own; a child is where its parent is */
		{"queue a on { em0, em1 } bandwidth 10M\nqueue b parent a bandwidth 1M default\n",
		 "queue a on em0 bandwidth 10M\nqueue a on em1 bandwidth 10M\n"
		 "queue b parent a bandwidth 1M default\n"},
		{"queue a on { em0 em1 } bandwidth 10M\nqueue b on em1 parent a bandwidth 1M\n",
		 "queue a on em0 bandwidth 10M\nqueue a on em1 bandwidth 10M\n"
		 "queue b on em1 parent a bandwidth 1M\n"},
		{"queue a on em0 bandwidth 10M\nqueue b on em0 parent a bandwidth 1M\n",
		 "queue a on em0 bandwidth 10M\nqueue b parent a bandwidth 1M\n"},
		{"queue \"a queue\" on em0 bandwidth 10M\nqueue \"pass\" parent \"a queue\" flows "
		 "1\n",
		 NULL},
		{"q = \"10M\"\nqueue a on em0 bandwidth $q\n",
		 "q = \"10M\"\nqueue a on em0 bandwidth 10M\n"},
		{"queue cbq on em0 bandwidth 1K\nqueue min parent cbq bandwidth 1K\n", NULL},
	};

	(void)state;
	check_texts(cases, ARRAY_SIZE(cases));
}

static void new_queues_that_are_wrong(void **state)
{
	static const struct error_case cases[] = {
		{"queue a bandwidth 10M\n", "1:7: root queue 'a' without interface"},
		{"queue a on em0\n", "1:7: queue 'a' has no bandwidth or flows"},
		{"queue a on em0 bandwidth 0\n", "1:7: queue 'a' has no bandwidth or flows"},
		{"queue a on em0 bandwidth 10% default\n", "1:26: no bandwidth in % yet"},
		{"queue a on em0 bandwidth 10M, max 50%\n", "1:35: no bandwidth in % yet"},
		{"queue a on em0 bandwidth 10M qlimit 65536\n",
		 "1:37: qlimit 65536 is out of range (0 to 65535)"},
		{"queue a on em0 flows 0\n", "1:22: flows 0 is out of range (1 to 32767)"},
		{"queue a on em0 flows 32768\n", "1:22: flows 32768 is out of range (1 to 32767)"},
		{"queue a on em0 flows 1 quantum 65536\n",
		 "1:32: quantum 65536 is out of range (1 to 65535)"},
		{"queue a on em0 bandwidth 1M quantum 300\n",
		 "1:29: quantum is for a queue with flows"},
		{"queue a on em0 bandwidth 1M\nqueue a on em0 bandwidth 1M\n",
		 "2:7: queue 'a' is already defined on em0"},
		{"queue a on em0 bandwidth 1M\nqueue b parent c bandwidth 1M\n",
		 "2:16: parent queue 'c' is not defined"},
		{"queue standard on em0 bandwidth 1M\nqueue b parent standart bandwidth 1M\n",
		 "2:16: parent queue 'standart' is not defined; did you mean 'standard'?"},
		{"queue a on em0 bandwidth 1M\nqueue b on em1 parent a bandwidth 1M\n",
		 "2:12: parent queue 'a' is not on em1"},
		{"queue a on em0 bandwidth 1M default\nqueue b parent a bandwidth 1M\n",
		 "2:16: default queue 'a' cannot have children"},
		{"queue a on em0 bandwidth 1M bandwidth 2M\n", "1:29: bandwidth is given twice"},
		{"queue a on em0 bandwidth 1M, min 1M, min 2M\n", "1:38: min is given twice"},
		{"queue a on em0 max 1M bandwidth 1M\n",
		 "1:16: max stands behind the bandwidth: bandwidth 10M, max 5M"},
		{"queue a on em0 bandwidth 1M, default\n",
		 "1:30: syntax error: unexpected \"default\", expected \"min\" or \"max\""},
		{"queue a on em0 bandwidth 1M burst 2M\n",
		 "1:37: syntax error: unexpected end of line, expected \"for\""},
		{"queue a on em0 bandwidth 1M burst 2M for 10\n",
		 "1:42: '10' is not a time in milliseconds, such as 10ms"},
		{"queue a on em0 bandwidth 1m\n",
		 "1:26: unknown unit 'm' of a bandwidth (b, K, M or G, or %)"},
		{"queue a on em0 bandwidth fast\n",
		 "1:26: 'fast' is not a bandwidth (such as 64K, 1.5M or 1G)"},
		{"queue a on em0 bandwidth -1\n",
		 "1:26: '-1' is not a bandwidth (such as 64K, 1.5M or 1G)"},
		{"queue a on em0 bandwidth 9999999999G\n",
		 "1:26: bandwidth 9999999999G is too large"},
		{"queue a on em0 bandwith 1M\n",
		 "1:16: syntax error: unexpected \"bandwith\", expected an option of the queue; "
		 "did you mean \"bandwidth\"?"},
		{"queue a on ! em0 bandwidth 1M\n",
		 "1:14: a queue is on an interface that is named"},
		{"queue a on em0 bandwidth 1M default priority 3\n",
		 "1:37: priority is altq's, default is OpenBSD's: no queue has both"},
		{"queue a on em0 bandwidth 1M tbrsize 3\n",
		 "1:29: tbrsize belongs to the altq statement"},
		{"queue\n",
		 "1:6: syntax error: unexpected end of line, expected the name of a queue"},
		{"queue "
		 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa on em0 flows "
		 "1\n",
		 "1:7: queue name "
		 "'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa'"
		 " is too long (at most 63 characters)"},
		/* what refers to a queue that is wrong is not to blame */
		{"queue a on em0\nqueue b parent a bandwidth 1M\nqueue c parent b bandwidth 1M\n",
		 "1:7: queue 'a' has no bandwidth or flows"},
	};

	(void)state;
	check_errors(cases, ARRAY_SIZE(cases));
}

/* --- ALTQ --- */

#define PRIQ "altq on em0 priq bandwidth 1Mb tbrsize 1500 queue { a b }\n"

static void altq(void **state)
{
	static const struct text_case cases[] = {
		{PRIQ "queue a priority 2 priq( default )\nqueue b\n", NULL},
		/* an exact rate, and what pfctl makes of the bandwidth */
		{"altq on em0 cbq bandwidth 1.7Mb queue { a }\nqueue a cbq(default)\n",
		 "altq on em0 cbq bandwidth 1.70Mb tbrsize 6000 queue { a }\nqueue a cbq( default "
		 ")\n"},
		{"altq on em0 cbq bandwidth 1234567b queue a\nqueue a cbq(default)\n",
		 "altq on em0 cbq bandwidth 1234567b tbrsize 6000 queue { a }\n"
		 "queue a cbq( default )\n"},
		{"altq on em0 cbq bandwidth 1234.5Kb queue a\nqueue a cbq(default)\n",
		 "altq on em0 cbq bandwidth 1234.50Kb tbrsize 6000 queue { a }\n"
		 "queue a cbq( default )\n"},
		{"altq on em0 bandwidth 200Mb cbq qlimit 100 queue { a }\n"
		 "queue a qlimit 50 cbq(default)\n",
		 "altq on em0 cbq bandwidth 200Mb qlimit 100 tbrsize 12000 queue { a }\n"
		 "queue a cbq( default )\n"},
		{"altq on em0 cbq bandwidth 10Gb queue { a }\nqueue a cbq(default)\n",
		 "altq on em0 cbq bandwidth 10Gb tbrsize 192000 queue { a }\nqueue a cbq( default "
		 ")\n"},
		/* the interface's speed is not asked */
		{"altq on em0 cbq bandwidth 100% queue { a }\nqueue a cbq(default)\n",
		 "altq on em0 cbq queue { a }\nqueue a cbq( default )\n"},
		{"altq on em0 cbq bandwidth 50% queue { a }\nqueue a cbq( default )\n", NULL},
		/* all options, in pfctl's order */
		{"altq on em0 cbq(borrow) queue { a }\n"
		 "queue a cbq(default borrow ecn, rio codel)\n",
		 "altq on em0 cbq( borrow ) queue { a }\n"
		 "queue a cbq( red ecn rio codel borrow default )\n"},
		{"altq on em0 hfsc bandwidth 10Mb queue { a b }\n"
		 "queue a bandwidth 5Mb hfsc(upperlimit 8Mb realtime (3Mb 10 2Mb) "
		 "linkshare (0Mb, 20, 1Mb)) { c }\n"
		 "queue b bandwidth 2Mb hfsc(linkshare 2Mb default)\n"
		 "queue c hfsc(linkshare (1Mb 0 500Kb))\n",
		 "altq on em0 hfsc bandwidth 10Mb tbrsize 6000 queue { a b }\n"
		 "queue a bandwidth 5Mb hfsc( realtime(3Mb 10 2Mb) linkshare(0b 20 1Mb) "
		 "upperlimit 8Mb ) { c }\n"
		 "queue b bandwidth 2Mb hfsc( default )\nqueue c hfsc( linkshare 500Kb )\n"},
		{"altq on em0 fairq bandwidth 10Mb tbrsize 6000 queue { a }\n"
		 "queue a bandwidth 5Mb fairq( default linkshare 4Mb buckets 64 hogs 1Mb )\n",
		 NULL},
		{"altq on em0 codel bandwidth 10Mb tbrsize 6000\n", NULL},
		{"altq on em0 codel( ecn interval 100, target 5) bandwidth 10Mb\n",
		 "altq on em0 codel( target 5 interval 100 ecn ) bandwidth 10Mb tbrsize 6000\n"},
		/* several interfaces, and queues on some of them */
		{"altq on { em0 em1 } priq queue { a b }\nqueue a priq(default)\n"
		 "queue b on em1 priority 3\nqueue b on em0 priority 4\n",
		 "altq on em0 priq queue { a b }\naltq on em1 priq queue { a b }\n"
		 "queue a priq( default )\nqueue b on em1 priority 3\nqueue b on em0 priority 4\n"},
		{"altq on { em0 em1 } priq queue a\nqueue a on ! em0 priq(default)\n",
		 "altq on em0 priq queue { a }\naltq on em1 priq queue { a }\n"
		 "queue a on em1 priq( default )\n"},
		/* nothing but the list says which language it is */
		{"altq on em0 cbq queue { a }\nqueue a bandwidth 10M\n",
		 "altq on em0 cbq queue { a }\nqueue a bandwidth 10Mb\n"},
		{"altq on em0 cbq queue { a }\nqueue a { b, \"c d\" }\nqueue b\nqueue \"c d\"\n",
		 "altq on em0 cbq queue { a }\nqueue a { b \"c d\" }\nqueue b\nqueue \"c d\"\n"},
		{"altq on em0 cbq queue { a }\nqueue a bandwidth 50% b\nqueue b\n",
		 "altq on em0 cbq queue { a }\nqueue a bandwidth 50% { b }\nqueue b\n"},
	};

	(void)state;
	check_texts(cases, ARRAY_SIZE(cases));
}

#define CBQ "altq on em0 cbq queue { a }\n"

static void altq_that_is_wrong(void **state)
{
	static const struct error_case cases[] = {
		{"altq em0 cbq queue { a }\nqueue a cbq(default)\n",
		 "1:6: syntax error: unexpected \"em0\", expected \"on\""},
		{"altq on em0 queue { a }\nqueue a\n",
		 "1:1: altq has no scheduler (cbq, priq, hfsc, fairq or codel)"},
		{"altq on em0 cbq\n", "1:1: altq has no queues"},
		{"altq on em0 cqb queue { a }\nqueue a\n",
		 "1:13: syntax error: unexpected \"cqb\", expected an option of altq, or "
		 "\"queue\"; "
		 "did you mean \"cbq\"?"},
		{"altq on ! em0 cbq queue { a }\nqueue a\n",
		 "1:11: altq is on an interface that is named"},
		{CBQ "altq on em0 cbq queue { b }\nqueue a\nqueue b\n",
		 "2:9: em0 already has altq"},
		{CBQ "queue b on em0 bandwidth 1M default\nqueue a\n",
		 "2:12: em0 has altq: its queues are listed there"},
		{"queue b on em0 bandwidth 1M\n" CBQ "queue a\n", "2:9: em0 already has queues"},
		{"altq on em0 cbq hfsc queue { a }\nqueue a\n", "1:17: a scheduler is given twice"},
		{CBQ "queue a cbq(defalt)\n",
		 "2:13: syntax error: unexpected \"defalt\", expected an option of cbq; "
		 "did you mean \"default\"?"},
		{CBQ "queue a cbq(linkshare 1Mb)\n",
		 "2:13: syntax error: unexpected \"linkshare\", expected an option of cbq"},
		{CBQ "queue a cbq()\n",
		 "2:13: syntax error: unexpected \")\", expected an option of cbq"},
		{CBQ "queue a hfsc(default)\n", "2:9: em0 has cbq: its queues cannot have hfsc"},
		{CBQ "queue a priority 8\n", "2:18: priority 8 is out of range (0 to 7)"},
		{CBQ "queue a priority 256\n", "2:18: priority 256 is out of range (0 to 255)"},
		{CBQ "queue a\nqueue a\n", "3:7: queue 'a' is already defined on em0"},
		{CBQ "queue a { a }\n", "2:11: queue 'a' is already listed on em0"},
		{CBQ "queue a on em1\n", "2:12: queue 'a' is not listed on that interface"},
		{CBQ "queue a default\n", "2:9: queue 'a' is listed by altq, which has no default"},
		{CBQ "queue a { b c }\nqueue b\n",
		 "2:13: queue 'c' is listed here, but not defined"},
		{CBQ "queue a bandwidth 101%\n",
		 "2:19: bandwidth 101% is out of range (0% to 100%)"},
		{CBQ "queue a bandwidth 5% b c\nqueue b\n",
		 "2:24: syntax error: unexpected \"c\", expected the end of the line"},
		{PRIQ "queue a priority 16\nqueue b\n",
		 "2:18: priority 16 is out of range (0 to 15)"},
		{PRIQ "queue a\nqueue b\n", "3:7: another queue on em0 has priority 1"},
		{PRIQ "queue a { c }\nqueue b\nqueue c\n",
		 "2:11: priq queues cannot have child queues"},
		{PRIQ "queue a bandwidth 1Mb\nqueue b\n", "2:19: priq queues have no bandwidth"},
		{"queue a bandwidth 1Mb cbq(default)\n",
		 "1:7: queue 'a' has no parent: no altq or queue lists it"},
		{"queue a bandwidth 10%\n",
		 "1:7: queue 'a' has no parent: no altq or queue lists it"},
		{"altq on em0 hfsc queue { a }\nqueue a hfsc(realtime (1Mb 5 2Mb))\n",
		 "2:14: the first bandwidth of realtime must be zero, or not below the second"},
		{"altq on em0 hfsc queue { a }\nqueue a hfsc(realtime (1Mb 5 0b))\n",
		 "2:14: the second bandwidth of realtime is zero"},
		{"altq on em0 hfsc queue { a }\nqueue a hfsc(default realtime 1Mb realtime 2Mb)\n",
		 "2:35: realtime is given twice"},
		{"altq on em0 hfsc queue { a }\nqueue a hfsc(default) { b }\nqueue b\n",
		 "2:25: default queue 'a' cannot have children"},
		{"altq on em0 cbq queue { }\n",
		 "1:25: syntax error: unexpected \"}\", expected the name of a queue"},
	};

	(void)state;
	check_errors(cases, ARRAY_SIZE(cases));
}

/* --- names --- */

static void rules_name_queues(void **state)
{
	static const struct text_case cases[] = {
		{CBQ "queue a cbq( default )\npass all flags S/SA queue a\n", NULL},
		/* listed is enough in front of a rule, and ether rules come before queues */
		{CBQ "pass all flags S/SA queue a\nqueue a cbq( default )\n",
		 CBQ "queue a cbq( default )\npass all flags S/SA queue a\n"},
		{"ether pass queue a\n" CBQ "queue a cbq( default )\n",
		 CBQ "queue a cbq( default )\nether pass l3 all queue a\n"},
	};
	static const struct error_case errors[] = {
		{"ether pass queue (aaa)\nqueue aab on em0 flows 1 default\n",
		 "1:19: queue 'aaa' is not defined; did you mean 'aab'?"},
	};

	(void)state;
	check_texts(cases, ARRAY_SIZE(cases));
	check_errors(errors, ARRAY_SIZE(errors));
}

/* Each is looked up a few times: this takes minutes if it is done by walking a list. */
static void many_names(void **state)
{
	enum { MANY = 20000 };
	char *text = NULL;
	FILE *f = text_open(&text);
	pf_ruleset_auto rs = NULL;

	(void)state;
	fputs("queue q0 on em0 bandwidth 1G\n", f);
	for (unsigned int i = 1; i < MANY; i++)
		fprintf(f, "queue q%u parent q%u bandwidth 1M\n", i, i / 2);
	fclose(f);
	rs = parse_ok(text);
	free(text);
	assert_int_equal(rs->nitems, MANY);
}

/* --- ether --- */

static void ether(void **state)
{
	static const struct text_case cases[] = {
		{"ether block out on igb0 to ! 00:01:02:03:04:05 l3 all\n", NULL},
		{"ether block drop out quick on igb0 to !00:01:02:03:04:05/24\n",
		 "ether block out quick on igb0 to ! 00:01:02:03:04:05/24 l3 all\n"},
		{"ether pass in on ! igb0 bridge-to igb1 proto 0x0806 from aa:bb:cc:dd:ee:ff&"
		 "ff:00:ff:00:00:00 l3 all\n",
		 NULL},
		{"ether pass from 0:1:2:3:4:A&ff:ff:ff:ff:00:00\n",
		 "ether pass from 00:01:02:03:04:0a/32 l3 all\n"},
		{"ether pass from 00:01:02:03:04:05/0 l3 all\n", NULL},
		{"ether pass all\nether pass proto 2048 all l3 all\n",
		 "ether pass l3 all\nether pass proto 0x0800 l3 all\n"},
		{"ether pass proto { arp ip6, 0x88cc }\n",
		 "ether pass proto 0x0806 l3 all\nether pass proto 0x86dd l3 all\n"
		 "ether pass proto 0x88cc l3 all\n"},
		{"ether block label \"a\" label \"b c\" ridentifier 7 queue q tag x ! tagged y "
		 "dnpipe 3\n"
		 "queue q on em0 flows 1 default\n",
		 "queue q on em0 flows 1 default\nether block l3 all label \"a\" label \"b c\" "
		 "ridentifier 7 queue q tag x ! tagged y dnpipe 3\n"},
		{"ether block l3 all dnqueue 3\n", NULL},
		/* addresses give the type of the frames; families are not mixed */
		{"ether pass l3 from 10.0.0.0/8 to any\n",
		 "ether pass proto 0x0800 l3 from 10.0.0.0/8 to any\n"},
		{"ether pass l3 to { 10.0.0.1 ::1 }\n",
		 "ether pass proto 0x0800 l3 from any to 10.0.0.1\n"
		 "ether pass proto 0x86dd l3 from any to ::1\n"},
		{"ether pass l3 from { 10.0.0.1 ::1 } to { ! ::2 ! 10.0.0.2 }\n",
		 "ether pass proto 0x0800 l3 from 10.0.0.1 to ! 10.0.0.2\n"
		 "ether pass proto 0x86dd l3 from ::1 to ! ::2\n"},
		{"ether pass proto 0x0806 l3 from <t> to any\n", NULL},
		/* lists, the outermost first */
		{"ether pass on { a b } proto { 1 2 } from { 1:1:1:1:1:1 ! 2:2:2:2:2:2 }\n",
		 "ether pass on a proto 0x0001 from 01:01:01:01:01:01 l3 all\n"
		 "ether pass on a proto 0x0001 from ! 02:02:02:02:02:02 l3 all\n"
		 "ether pass on a proto 0x0002 from 01:01:01:01:01:01 l3 all\n"
		 "ether pass on a proto 0x0002 from ! 02:02:02:02:02:02 l3 all\n"
		 "ether pass on b proto 0x0001 from 01:01:01:01:01:01 l3 all\n"
		 "ether pass on b proto 0x0001 from ! 02:02:02:02:02:02 l3 all\n"
		 "ether pass on b proto 0x0002 from 01:01:01:01:01:01 l3 all\n"
		 "ether pass on b proto 0x0002 from ! 02:02:02:02:02:02 l3 all\n"},
		{"mac = \"00:01:02:03:04:05\"\nether pass from $mac/24 to { $mac }\n",
		 "mac = \"00:01:02:03:04:05\"\n"
		 "ether pass from 00:01:02:03:04:05/24 to 00:01:02:03:04:05 l3 all\n"},
	};

	(void)state;
	check_texts(cases, ARRAY_SIZE(cases));
}

static void ether_anchors(void **state)
{
	static const struct text_case cases[] = {
		{"ether anchor \"foo/*\" in on igb0 l3 all\n", NULL},
		{"ether anchor foo out quick proto arp\n",
		 "ether anchor \"foo\" out quick proto 0x0806 l3 all\n"},
		{"ether anchor \"foo\" in on igb0 {\n\n  ether pass label \"$if\"\n"
		 "ether anchor {\nether block quick\n}\n# that is all\n}\nether pass\n",
		 "ether anchor \"foo\" in on igb0 l3 all {\n  ether pass l3 all label \"$if\"\n"
		 "  ether anchor l3 all {\n    ether block quick l3 all\n  }\n}\n"
		 "ether pass l3 all\n"},
		{"ether anchor { ether pass }\n",
		 "ether anchor l3 all {\n  ether pass l3 all\n}\n"},
	};

	(void)state;
	check_texts(cases, ARRAY_SIZE(cases));
}

static void ether_that_is_wrong(void **state)
{
	static const struct error_case cases[] = {
		{"ether match\n", "1:7: syntax error: unexpected \"match\", expected \"pass\", "
				  "\"block\" or \"anchor\""},
		{"ether blok\n",
		 "1:7: syntax error: unexpected \"blok\", expected \"pass\", \"block\" or "
		 "\"anchor\"; did you mean \"block\"?"},
		{"ether pass from 00:01:02:03:04\n",
		 "1:17: '00:01:02:03:04' is not a MAC address, such as 00:11:22:33:44:55"},
		{"ether pass from 00:01:02:03:04:05:06\n",
		 "1:17: '00:01:02:03:04:05:06' is not a MAC address, such as 00:11:22:33:44:55"},
		{"ether pass from 000:01:02:03:04:05\n",
		 "1:17: '000:01:02:03:04:05' is not a MAC address, such as 00:11:22:33:44:55"},
		{"ether pass from 00:01:02:03:04:05/49\n",
		 "1:35: length of the mask 49 is out of range (0 to 48)"},
		{"ether pass from 00:01:02:03:04:05&ff\n",
		 "1:17: the mask in '00:01:02:03:04:05&ff' is not six pairs of hex digits"},
		{"ether pass from any\n",
		 "1:17: syntax error: unexpected \"any\", expected a MAC address"},
		{"ether pass proto 0\n", "1:18: frame type 0 is out of range (1 to 65535)"},
		{"ether pass proto rap\n",
		 "1:18: syntax error: unexpected \"rap\", expected a frame type (a number such as "
		 "0x0800, or its name); did you mean \"arp\"?"},
		{"ether pass l3 from 10.0.0.1 port 80\n",
		 "1:15: ether rules know addresses, but no ports and no os"},
		{"ether pass l3 from no-route\n", "1:20: from must be an address or table"},
		{"ether pass l3 to (em0)\n", "1:18: to must be an address or table"},
		{"ether pass l3 from 10.0.0.1 to ::1\n",
		 "1:1: no addresses of one family: the rule never matches"},
		{"ether pass l3\n", "1:14: syntax error: unexpected end of line, expected \"all\", "
				    "\"from\" or \"to\""},
		{"ether pass lable \"a\"\n",
		 "1:12: syntax error: unexpected \"lable\", expected an option of the ether rule; "
		 "did you mean \"label\"?"},
		{"ether pass label a label a label a label a label a label a\n",
		 "1:52: a rule has at most 5 labels"},
		{"ether pass ! tag a\n",
		 "1:14: syntax error: unexpected \"tag\", expected \"tagged\""},
		{"ether pass dnpipe (1, 2)\n", "1:12: an ether rule has one dnpipe"},
		{"ether pass bridge-to any\n", "1:22: bridge-to needs the name of an interface"},
		{"ether anchor in\n", "1:1: an anchor without rules in braces must have a name"},
		{"ether anchor \"_a\"\n", "1:14: anchor names that begin with '_' are reserved"},
		{"ether anchor \"a/b\" {\n}\n",
		 "1:14: anchor paths with '/' cannot be used for rules in braces"},
		{"ether anchor a {\n}\nether anchor a {\n}\n",
		 "3:14: an anchor of this name with rules in braces already exists"},
		{"ether anchor a label x\n",
		 "1:16: syntax error: unexpected \"label\", expected \"{\" or the end of the line"},
		{"ether anchor a {\npass\nether pass\n}\n",
		 "2:1: syntax error: unexpected \"pass\", expected \"ether\""},
		{"ether anchor a {\nether pass\n", "1:1: the anchor's braces are not closed"},
	};

	(void)state;
	check_errors(cases, ARRAY_SIZE(cases));
}

static void rules_that_explode(void **state)
{
	char list[600] = "{", text[4000];
	text_auto said = NULL;
	int n = 1;

	(void)state;
	for (int i = 1; i <= 40; i++)
		n += snprintf(list + n, sizeof(list) - (size_t)n, " %d:0:0:0:0:0%s", i,
			      i < 40 ? "" : " }");
	snprintf(text, sizeof(text),
		 "ether pass proto { 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 "
		 "24 } "
		 "from %s to %s l3 from { 1.1.1.1 1.1.1.2 1.1.1.3 1.1.1.4 1.1.1.5 } "
		 "to { 1.1.1.1 1.1.1.2 1.1.1.3 1.1.1.4 1.1.1.5 1.1.1.6 }\n",
		 list, list);
	assert_int_equal(parse_for((struct pf_parse_options){0}, text, &said), -EINVAL);
	assert_non_null(strstr(said, "too many ether rules (at most 1000000)"));
}

/* --- limiters --- */

static void limiters(void **state)
{
	static const struct text_case cases[] = {
		{"state limiter \"dns-server\" id 1 limit 1000\n",
		 "state limiter dns-server id 1 limit 1000\n"},
		{"state limiter a rate 1/5, limit 16777216, id 255\n",
		 "state limiter a id 255 limit 16777216 rate 1/5\n"},
		{"state limiter \"a b\" id 1 limit 1\nstate limiter \"pass\" id 2 limit 1\n", NULL},
		{"source limiter \"internet\" id 1 entries 10000 \\\n\tlimit 1000 rate 100/10 \\\n"
		 "\tinet6 mask 64\n",
		 "source limiter internet id 1 entries 10000 limit 1000 rate 100/10 inet6 mask "
		 "64\n"},
		{"source limiter a id 1 limit 10 states 5\n",
		 "source limiter a id 1 entries 10 limit 5\n"},
		{"source limiter a inet mask 24 table <t> above 10 below 5 inet6 mask 128 "
		 "id 1 entries 2 limit 3\n",
		 "source limiter a id 1 entries 2 limit 3 table <t> above 10 below 5 inet mask "
		 "24\n"},
		{"source limiter a id 1 entries 2 limit 3 table <t> above 10\n", NULL},
		/* the two kinds have names and numbers of their own */
		{"state limiter a id 1 limit 2\nsource limiter a id 1 entries 2 limit 3\n", NULL},
	};

	(void)state;
	check_texts(cases, ARRAY_SIZE(cases));
}

static void limiters_that_are_wrong(void **state)
{
	static const struct error_case cases[] = {
		{"state limiter a id 0 limit 1\n", "1:20: id 0 is out of range (1 to 255)"},
		{"state limiter a id 256 limit 1\n", "1:20: id 256 is out of range (1 to 255)"},
		{"state limiter a id 1 limit 0\n", "1:28: limit 0 is out of range (1 to 16777216)"},
		{"state limiter a limit 1\n", "1:15: state limiter 'a' has no id"},
		{"state limiter a id 1\n", "1:15: state limiter 'a' has no limit"},
		{"source limiter a id 1 limit 2\n",
		 "1:16: source limiter 'a' has no number of entries"},
		{"state limiter a id 1 id 2 limit 1\n", "1:22: id is given twice"},
		{"source limiter a id 1 entries 5 limit 1 states 2\n",
		 "1:41: the number of entries is given twice"},
		{"state limiter a id 1 limit 1 rate 5\n",
		 "1:36: syntax error: unexpected end of line, expected \"/\""},
		{"state limiter a id 1 limit 1 rate 0/5\n",
		 "1:35: rate 0 is out of range (1 to 4294967295)"},
		{"state limiter a id 1 limit 1 entries 5\n",
		 "1:30: syntax error: unexpected \"entries\", expected an option of a state "
		 "limiter"},
		{"state limiter a id 1 limti 1\n",
		 "1:22: syntax error: unexpected \"limti\", expected an option of a state limiter; "
		 "did you mean \"limit\"?"},
		{"state limiter a id 1 limit 1,\n", "1:30: syntax error: unexpected end of line, "
						    "expected an option of a state limiter"},
		{"source limiter a id 1 entries 1 limit 1 inet mask 33\n",
		 "1:51: mask 33 is out of range (0 to 32)"},
		{"source limiter a id 1 entries 1 limit 1 table <t>\n",
		 "1:50: syntax error: unexpected end of line, expected \"above\""},
		{"source limiter a id 1 entries 1 limit 1 table <t> above 5 below 6\n",
		 "1:65: below 6 is more than above 5"},
		{"source limiter a id 1 entries 1 limit 1 table t above 5\n",
		 "1:47: syntax error: unexpected \"t\", expected a table"},
		{"state limiter a id 1 limit 1\nstate limiter a id 2 limit 1\n",
		 "2:15: state limiter 'a' is already defined"},
		{"state limiter a id 1 limit 1\nstate limiter b id 1 limit 1\n",
		 "2:20: id 1 is that of limiter 'a'"},
		{"state limiter aaaaaaaaaaaaaaaa id 1 limit 1\n",
		 "1:15: limiter name 'aaaaaaaaaaaaaaaa' is too long (at most 15 characters)"},
		{"state limiter\n",
		 "1:14: syntax error: unexpected end of line, expected the name of the limiter"},
	};

	(void)state;
	check_errors(cases, ARRAY_SIZE(cases));
}

/* --- what is not built yet, and what is only odd --- */

static void nothing_of_it_is_enforced(void **state)
{
	static const struct error_case cases[] = {
		{"queue a on em0 flows 1 default\n", "1:1: queue"},
		{"altq on em0 codel\n", "1:1: altq"},
		{"ether pass\n", "1:1: ether"},
		{"source limiter a id 1 entries 1 limit 1 table <t> above 5 inet mask 24\n"
		 "source limiter b id 2 entries 1 limit 1 table <t> above 5 inet mask 0\n"
		 "source limiter c id 3 entries 1 limit 1 table <t> above 5 inet mask 25 inet6 "
		 "mask 64\n"
		 "source limiter d id 4 entries 1 limit 1 table <t> above 5 inet mask 31\n"
		 "source limiter e id 5 entries 1 limit 1 table <t> above 5 inet mask 24\n"
		 "source limiter f id 6 entries 1 limit 1 table <u> above 5 inet mask 22\n"
		 "source limiter g id 7 entries 1 limit 1 inet mask 22\n"
		 "source limiter h id 8 entries 1 limit 1 table <t> above 5 inet mask 22\n",
		 "8:41: a table of source limiters with more than 4 different masks"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const struct pf_parse_options opt = {.enforce = true};
		char want[80];
		text_auto said = NULL;

		assert_int_equal(parse_for(opt, cases[i].text, &said), -EINVAL);
		snprintf(want, sizeof(want), "t:%s: not enforced yet", cases[i].said);
		if (strncmp(said, want, strlen(want)) != 0 || strstr(said, "\nt:"))
			fail_msg("%s\nsays\n%s", cases[i].text, said);
	}
}

static void default_queues_are_missed(void **state)
{
	static const struct error_case cases[] = {
		{CBQ "queue a\n", "t:1:9: warning: no queue on em0 is the default one"},
		{PRIQ "queue a priority 2 priq(default)\nqueue b priq(default)\n",
		 "t:1:9: warning: 2 queues on em0 are the default one"},
		{CBQ "queue a cbq(default)\n", ""},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const struct pf_parse_options opt = {.lint = true, .offline = true};
		text_auto said = NULL;

		assert_int_equal(parse_for(opt, cases[i].text, &said), 0);
		said[strcspn(said, "\n")] = '\0';
		assert_string_equal(said, cases[i].said);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(new_queues),
		cmocka_unit_test(new_queues_that_are_wrong),
		cmocka_unit_test(altq),
		cmocka_unit_test(altq_that_is_wrong),
		cmocka_unit_test(rules_name_queues),
		cmocka_unit_test(many_names),
		cmocka_unit_test(ether),
		cmocka_unit_test(ether_anchors),
		cmocka_unit_test(ether_that_is_wrong),
		cmocka_unit_test(rules_that_explode),
		cmocka_unit_test(limiters),
		cmocka_unit_test(limiters_that_are_wrong),
		cmocka_unit_test(nothing_of_it_is_enforced),
		cmocka_unit_test(default_queues_are_missed),
	};

	return unit_run(tests);
}
