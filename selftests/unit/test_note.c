// SPDX-License-Identifier: BSD-2-Clause
/* What is told of packets that states refuse. */
#include <arpa/inet.h>

#include "../../loader/note.h"
#include "unit.h"

static void set_end(struct pf_state_key *k, int side, const char *addr, uint16_t port)
{
	int af = k->af == PF_AF_INET6 ? AF_INET6 : AF_INET;

	assert_int_equal(inet_pton(af, addr, &k->addr[side]), 1);
	k->port[side] = htons(port);
}

/* A connection that came in. */
static struct pf_note some_note(enum pf_note_what what)
{
	struct pf_note n = {.kind = PF_LOG_NOTE,
			    .what = what,
			    .af = PF_AF_INET,
			    .dir = PF_IN,
			    .flags = PF_TH_ACK,
			    .seq = 100,
			    .orig_seq = 100,
			    .ack = 500,
			    .data_end = 100,
			    .peer = {{100, 8292, 1000}, {500, 1500, 8192}}};

	n.state.key = (struct pf_state_key){.af = PF_AF_INET, .proto = 6};
	set_end(&n.state.key, 0, "192.0.2.1", 1000);
	set_end(&n.state.key, 1, "198.51.100.1", 80);
	n.state.stack = n.state.key;
	n.state.dir = PF_IN;
	n.state.peer_state[0] = n.state.peer_state[1] = TCPS_ESTABLISHED;
	n.state.peer[0].packets = 3;
	n.state.peer[1].packets = 2;
	return n;
}

static void expect(const struct pf_note *n, uint32_t rule, const char *first, const char *second)
{
	struct pf_note_text t;

	pf_note_format(n, rule, &t);
	assert_string_equal(t.line[0], first);
	assert_string_equal(t.line[1], second);
}

#define STATE                                                           \
	"TCP in wire: (0) 192.0.2.1:1000 198.51.100.1:80 stack: (0) - " \
	"[lo=100 high=8292 win=1000 modulator=0] [lo=500 high=1500 win=8192 modulator=0] 4:4"
#define NUMBERS " A seq=100 (100) ack=500 len=0 ackskew=0 pkts=3:2 dir=in,fwd"

static void each_condition(void **unused)
{
	static const char *const want[] = {"1       |    ", "  2     |    ", "    3   |    ",
					   "      4 |    ", "1       | 5  ", "  2     |   6"};
	struct pf_note n = some_note(PF_NOTE_BAD);
	struct pf_note_text t;
	char failed[64];

	(void)unused;
	expect(&n, 7, "pf: BAD state: " STATE " @7" NUMBERS, "pf: State failure on:         |    ");
	/* one beyond the edge, and one beyond the wider edge */
	for (int i = 0; i < 6; i++) {
		n = some_note(PF_NOTE_BAD);
		if (i == 0)
			n.data_end = 8293;
		if (i == 1)
			n.seq = 100 - 8192 - 1;
		if (i == 2)
			n.skew = -(65535 + 1500) - 1;
		if (i == 3)
			n.skew = 65535 + 1500 + 1;
		if (i == 4)
			n.data_end = 8292 + 65535 + 1500 + 1;
		if (i == 5)
			n.seq = 100 - 65535 - 1500 - 1;
		pf_note_format(&n, 7, &t);
		snprintf(failed, sizeof(failed), "pf: State failure on: %s", want[i]);
		assert_string_equal(t.line[1], failed);
	}
	/* each at its edge */
	n = some_note(PF_NOTE_BAD);
	n.data_end = 8292;
	n.sws = 2;
	n.dws = 1;
	n.seq = 100 - 2 * 8192;
	n.skew = 4 * (65535 + 1500);
	pf_note_format(&n, 7, &t);
	assert_string_equal(t.line[1], "pf: State failure on:         |    ");
}

/* The sender's windows are those of who sent it, whichever way the state was made. */
static void from_the_other_side(void **unused)
{
	struct pf_note n = some_note(PF_NOTE_BAD);

	(void)unused;
	n.dir = PF_OUT;
	n.flags = PF_TH_FIN | PF_TH_SYN | PF_TH_RST | PF_TH_PUSH | PF_TH_ACK | PF_TH_URG |
		  PF_TH_ECE | PF_TH_CWR;
	n.seq = n.orig_seq = 500;
	n.data_end = 1501;
	n.len = 1001;
	n.skew = -3;
	n.state.wscale[0] = PF_WSCALE_FLAG | 7;
	n.state.wscale[1] = PF_WSCALE_FLAG;
	expect(&n, UINT32_MAX,
	       "pf: BAD state: TCP in wire: (0) 192.0.2.1:1000 198.51.100.1:80 stack: (0) - "
	       "[lo=100 high=8292 win=1000 modulator=0 wscale=7] "
	       "[lo=500 high=1500 win=8192 modulator=0 wscale=0] 4:4"
	       " FSRPAUEW seq=500 (500) ack=500 len=1001 ackskew=-3 pkts=3:2 dir=out,rev",
	       "pf: State failure on: 1       |    ");
}

static void other_notes(void **unused)
{
	struct pf_note n = some_note(PF_NOTE_LOOSE);

	(void)unused;
	expect(&n, 7, "pf: loose state match: " STATE " @7" NUMBERS, "");
	n.what = PF_NOTE_CHALLENGE;
	n.flags = PF_TH_SYN;
	n.state.flags = PF_SF_NAT;
	set_end(&n.state.stack, 1, "10.0.0.1", 8080);
	expect(&n, 0,
	       "pf: SYN in established state: TCP in wire: (0) 192.0.2.1:1000 198.51.100.1:80 "
	       "stack: (0) 192.0.2.1:1000 10.0.0.1:8080 4:4 @0 S seq=100",
	       "");
	n.what = PF_NOTE_REUSE;
	n.state.dir = PF_OUT;
	expect(&n, 0,
	       "pf: state reuse TCP out wire: (0) 192.0.2.1:1000 198.51.100.1:80 "
	       "stack: (0) 192.0.2.1:1000 10.0.0.1:8080 4:4 @0 S",
	       "");
}

static void icmp_notes(void **unused)
{
	struct pf_note n = some_note(PF_NOTE_ICMP);

	(void)unused;
	n.icmp_type = 3;
	n.icmp_code = 4;
	inet_pton(AF_INET, "203.0.113.9", &n.src);
	inet_pton(AF_INET, "192.0.2.1", &n.dst);
	expect(&n, 2,
	       "pf: BAD ICMP 3:4 203.0.113.9 -> 192.0.2.1 state: TCP in wire: (0) 192.0.2.1:1000 "
	       "198.51.100.1:80 stack: (0) - 4:4 @2 seq=100",
	       "");
	n.what = PF_NOTE_ICMP_OUTER;
	inet_pton(AF_INET, "192.0.2.7", &n.quoted_src);
	inet_pton(AF_INET, "198.51.100.1", &n.quoted_dst);
	expect(&n, UINT32_MAX,
	       "pf: BAD ICMP 3:4 outer dst: 203.0.113.9 -> 192.0.2.1 inner src: 192.0.2.7 -> "
	       "198.51.100.1",
	       "");
	n.what = PF_NOTE_ICMP_WAY;
	n.icmp_type = 129;
	n.state.key = (struct pf_state_key){.af = PF_AF_INET6, .proto = 58};
	set_end(&n.state.key, 0, "2001:db8::1", 7);
	set_end(&n.state.key, 1, "ff02::1", 128);
	n.state.peer_state[0] = n.state.peer_state[1] = 0;
	expect(&n, 2,
	       "pf: icmp type 129 in wrong direction (1): ICMPv6 in wire: (0) 2001:db8::1[7] "
	       "ff02::1[128] stack: (0) - 0:0 @2",
	       "");
}

/* A flood is cut off, and what was left out is told in the next second. */
static void flood(void **unused)
{
	struct pf_note n = some_note(PF_NOTE_REUSE);
	struct pf_notes notes = {0};

	(void)unused;
	for (unsigned int i = 0; i < PF_NOTES_EACH_SECOND + 5; i++)
		pf_note_say(&notes, &n, 0, 10);
	assert_int_equal(notes.said, PF_NOTES_EACH_SECOND);
	assert_int_equal(notes.left_out, 5);
	pf_note_say(&notes, &n, 0, 11);
	assert_int_equal(notes.said, 1);
	assert_int_equal(notes.left_out, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_condition), cmocka_unit_test(from_the_other_side),
		cmocka_unit_test(other_notes),	  cmocka_unit_test(icmp_notes),
		cmocka_unit_test(flood),
	};

	return unit_run(tests);
}
