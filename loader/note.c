// SPDX-License-Identifier: BSD-2-Clause
#include "note.h"

#include <arpa/inet.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "say.h"

#define MAXACKWINDOW (0xffff + 1500)

struct text {
	char *at;
	size_t left;
};

__attribute__((format(printf, 2, 3))) static void add(struct text *t, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(t->at, t->left, fmt, ap);
	va_end(ap);
	if (n < 0)
		return;
	if ((size_t)n >= t->left)
		n = t->left ? (int)t->left - 1 : 0;
	t->at += n;
	t->left -= (size_t)n;
}

/* --- pf_print_host(), pf_print_state(), pf_print_flags() --- */

static void add_host(struct text *t, uint8_t af, const struct pf_addr *addr, __be16 port)
{
	char host[INET6_ADDRSTRLEN] = "?";
	bool six = af == PF_AF_INET6;

	inet_ntop(six ? AF_INET6 : AF_INET, addr, host, sizeof(host));
	add(t, "%s", host);
	if (port)
		add(t, six ? "[%u]" : ":%u", ntohs(port));
}

static void add_key(struct text *t, const struct pf_state_key *k)
{
	add_host(t, k->af, &k->addr[0], k->port[0]);
	add(t, " ");
	add_host(t, k->af, &k->addr[1], k->port[1]);
}

static void add_proto(struct text *t, uint8_t proto)
{
	switch (proto) {
	case IPPROTO_TCP:
		add(t, "TCP");
		break;
	case IPPROTO_UDP:
		add(t, "UDP");
		break;
	case IPPROTO_ICMP:
		add(t, "ICMP");
		break;
	case IPPROTO_ICMPV6:
		add(t, "ICMPv6");
		break;
	default:
		add(t, "%u", proto);
		break;
	}
}

static void add_peer(struct text *t, const struct pf_note *n, int peer)
{
	const struct pf_note_peer *p = &n->peer[peer];
	const struct pf_state *s = &n->state;

	add(t, " [lo=%u high=%u win=%u modulator=%u", p->seqlo, p->seqhi, p->max_win,
	    s->peer[peer].seqdiff);
	if (s->wscale[0] && s->wscale[1])
		add(t, " wscale=%u", s->wscale[peer] & PF_WSCALE_MASK);
	add(t, "]");
}

/* windows: n->peer was filled in. */
static void add_state(struct text *t, const struct pf_note *n, uint32_t rule, bool windows)
{
	const struct pf_state *s = &n->state;

	add_proto(t, s->key.proto);
	add(t, "%s wire: (%u) ", s->dir == PF_IN ? " in" : " out", s->key.rdomain);
	add_key(t, &s->key);
	add(t, " stack: (%u) ", s->stack.rdomain);
	if (s->flags & PF_SF_NAT)
		add_key(t, &s->stack);
	else
		add(t, "-");
	if (windows) {
		add_peer(t, n, 0);
		add_peer(t, n, 1);
	}
	add(t, " %u:%u", s->peer_state[0], s->peer_state[1]);
	if (rule != UINT32_MAX)
		add(t, " @%u", rule);
}

static void add_flags(struct text *t, uint8_t flags)
{
	static const char letters[] = "FSRPAUEW";

	if (flags)
		add(t, " ");
	for (int i = 0; i < 8; i++)
		if (flags >> i & 1)
			add(t, "%c", letters[i]);
}

/* --- what is told --- */

static void add_segment(struct text *t, const struct pf_note *n)
{
	const struct pf_state *s = &n->state;

	add_flags(t, n->flags);
	add(t, " seq=%u (%u) ack=%u len=%u ackskew=%d pkts=%llu:%llu dir=%s,%s", n->seq,
	    n->orig_seq, n->ack, n->len, n->skew, s->peer[0].packets, s->peer[1].packets,
	    n->dir == PF_IN ? "in" : "out", n->dir == s->dir ? "fwd" : "rev");
}

static bool at_least(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b) >= 0;
}

/* Which conditions of the check failed: the four to be inside, and the two to be nearly so. */
static void add_failures(struct text *t, const struct pf_note *n)
{
	const int from = n->dir != n->state.dir;
	const struct pf_note_peer *src = &n->peer[from], *dst = &n->peer[!from];
	const bool met[] = {
		at_least(src->seqhi, n->data_end),
		at_least(n->seq, src->seqlo - (dst->max_win << n->dws)),
		n->skew >= -MAXACKWINDOW,
		n->skew <= MAXACKWINDOW << n->sws,
		at_least(src->seqhi + MAXACKWINDOW, n->data_end),
		at_least(n->seq, src->seqlo - MAXACKWINDOW),
	};

	add(t, "pf: State failure on:");
	for (int i = 0; i < 6; i++)
		add(t, "%s %c", i == 4 ? " |" : "", met[i] ? ' ' : '1' + i);
}

static void add_icmp_error(struct text *t, const struct pf_note *n)
{
	add(t, "pf: BAD ICMP %u:%u ", n->icmp_type, n->icmp_code);
	if (n->what == PF_NOTE_ICMP_OUTER)
		add(t, "outer dst: ");
	add_host(t, n->af, &n->src, 0);
	add(t, " -> ");
	add_host(t, n->af, &n->dst, 0);
}

void pf_note_format(const struct pf_note *n, uint32_t rule, struct pf_note_text *out)
{
	struct text t = {out->line[0], sizeof(out->line[0])};
	struct text second = {out->line[1], sizeof(out->line[1])};

	out->line[0][0] = out->line[1][0] = '\0';
	switch (n->what) {
	case PF_NOTE_BAD:
		add(&t, "pf: BAD state: ");
		add_state(&t, n, rule, true);
		add_segment(&t, n);
		add_failures(&second, n);
		break;
	case PF_NOTE_LOOSE:
		add(&t, "pf: loose state match: ");
		add_state(&t, n, rule, true);
		add_segment(&t, n);
		break;
	case PF_NOTE_CHALLENGE:
		add(&t, "pf: SYN in established state: ");
		add_state(&t, n, rule, false);
		add_flags(&t, n->flags);
		add(&t, " seq=%u", n->orig_seq);
		break;
	case PF_NOTE_REUSE:
		add(&t, "pf: state reuse ");
		add_state(&t, n, rule, false);
		add_flags(&t, n->flags);
		break;
	case PF_NOTE_ICMP:
		add_icmp_error(&t, n);
		add(&t, " state: ");
		add_state(&t, n, rule, false);
		add(&t, " seq=%u", n->seq);
		break;
	case PF_NOTE_ICMP_OUTER:
		add_icmp_error(&t, n);
		add(&t, " inner src: ");
		add_host(&t, n->af, &n->quoted_src, 0);
		add(&t, " -> ");
		add_host(&t, n->af, &n->quoted_dst, 0);
		break;
	case PF_NOTE_SCTP:
		add(&t, "pf: bad verification tag: ");
		add_state(&t, n, rule, false);
		add(&t, " tag=%u", n->orig_seq);
		break;
	case PF_NOTE_ICMP_WAY:
		add(&t, "pf: icmp type %u in wrong direction (%u): ", n->icmp_type, n->dir);
		add_state(&t, n, rule, false);
		break;
	}
}

void pf_note_say(struct pf_notes *notes, const struct pf_note *n, uint32_t rule, uint64_t now)
{
	struct pf_note_text text;

	if (now != notes->second) {
		if (notes->left_out)
			pf_say(LOG_NOTICE, "pf: %u more notes were left out", notes->left_out);
		*notes = (struct pf_notes){.second = now};
	}
	if (notes->said >= PF_NOTES_EACH_SECOND) {
		notes->left_out++;
		return;
	}
	notes->said++;
	pf_note_format(n, rule, &text);
	for (int i = 0; i < PF_NOTE_LINES; i++)
		if (text.line[i][0])
			pf_say(LOG_NOTICE, "%s", text.line[i]);
}
