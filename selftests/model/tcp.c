// SPDX-License-Identifier: BSD-2-Clause
/*
 * TCP's windows, without scales (no packet of the tests has that option).
 * Where pf-linux is stricter than pf by intent, so is this; it is said where.
 */
#include "model.h"

#define MAXACKWINDOW (65535 + 1500)

enum { CLOSED = 0, SYN_SENT = 2, ESTABLISHED = 4, CLOSING = 7, FIN_WAIT_2 = 9, TIME_WAIT = 10 };

/* Numbers go round: which one is before the other? */
static bool at_least(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b) >= 0;
}

static uint32_t larger(uint32_t a, uint32_t b)
{
	return a > b ? a : b;
}

void model_tcp_begin(struct model_state *s, const struct model_packet *p)
{
	struct model_peer *src = &s->peer[0], *dst = &s->peer[1];

	src->seqlo = p->seq;
	src->seqhi = p->seq + p->len + 1 + !!(p->flags & TH_SYN) + !!(p->flags & TH_FIN);
	src->max_win = larger(p->win, 1);
	src->state = SYN_SENT;
	dst->seqhi = dst->max_win = 1;
	dst->seqlo = 0;
	dst->state = CLOSED;
}

struct segment {
	uint32_t seq, orig_seq, ack, end, data_end, win;
	int32_t skew;
	bool acks;
	uint8_t flags;
};

static void first_of_peer(struct model_peer *src, const struct model_peer *dst,
			  const struct segment *x)
{
	uint32_t room = larger(1, dst->max_win);

	src->seqlo = x->seq;
	if (src->state < SYN_SENT)
		src->state = SYN_SENT;
	if (src->seqhi == 1 || at_least(x->end + room, src->seqhi))
		src->seqhi = x->end + room;
	src->max_win = larger(src->max_win, x->win);
}

static bool reset_inside(const struct model_peer *src, const struct model_peer *dst,
			 const struct segment *x)
{
	uint32_t seq = x->orig_seq;

	if (seq == src->seqlo || seq == src->seqlo + 1 || seq == src->seqlo - 1)
		return true;
	/* stricter than pf: the ack must be one of the packet's own */
	return x->acks && x->skew == 0 && at_least(seq, src->seqlo - dst->max_win) &&
	       at_least(src->seqlo + 1, seq);
}

static bool inside(const struct model_peer *src, const struct model_peer *dst,
		   const struct segment *x)
{
	if (!at_least(src->seqhi, x->data_end))
		return false;
	if (!at_least(x->seq, src->seqlo - dst->max_win))
		return false;
	if (x->skew < -MAXACKWINDOW || x->skew > MAXACKWINDOW)
		return false;
	return !(x->flags & TH_RST) || reset_inside(src, dst, x);
}

static bool nearly_inside(const struct model_peer *src, const struct model_peer *dst,
			  const struct segment *x)
{
	if (dst->state >= SYN_SENT && dst->state < FIN_WAIT_2 && src->state < FIN_WAIT_2)
		return false;
	return at_least(src->seqhi + MAXACKWINDOW, x->data_end) &&
	       at_least(x->seq, src->seqlo - MAXACKWINDOW);
}

static void slide(struct model_peer *src, struct model_peer *dst, const struct segment *x)
{
	src->max_win = larger(src->max_win, x->win);
	if (at_least(x->end, src->seqlo))
		src->seqlo = x->end;
	/* stricter than pf: a window that nobody has seen yet does not slide */
	if (dst->seqlo && at_least(x->ack + x->win, dst->seqhi))
		dst->seqhi = x->ack + larger(x->win, 1);
}

static void close_by(struct model_peer *src, struct model_peer *dst, const struct segment *x,
		     bool acks_too)
{
	if ((x->flags & TH_SYN) && acks_too && src->state < SYN_SENT)
		src->state = SYN_SENT;
	if ((x->flags & TH_FIN) && src->state < CLOSING)
		src->state = CLOSING;
	if ((x->flags & TH_ACK) && acks_too) {
		if (dst->state == SYN_SENT)
			dst->state = ESTABLISHED;
		else if (dst->state == CLOSING)
			dst->state = FIN_WAIT_2;
	}
	if (x->flags & TH_RST)
		src->state = dst->state = TIME_WAIT;
}

static struct segment read_segment(struct model_peer *src, const struct model_peer *dst,
				   const struct model_packet *p)
{
	struct segment x = {.seq = p->seq, .orig_seq = p->seq, .win = p->win, .flags = p->flags};

	x.data_end = p->seq + p->len + !!(p->flags & TH_SYN);
	x.end = x.data_end + !!(p->flags & TH_FIN);
	if (src->seqlo == 0)
		first_of_peer(src, dst, &x);
	x.ack = p->ack;
	x.acks = (p->flags & TH_ACK) && p->ack;
	if (!(p->flags & TH_ACK) || (p->ack == 0 && (p->flags & TH_RST)) || dst->state < SYN_SENT)
		x.ack = dst->seqlo;
	if (x.seq == x.end)
		x.seq = x.data_end = x.end = src->seqlo;
	x.skew = (int32_t)(dst->seqlo - x.ack);
	return x;
}

/* Numbers do not matter.  Perhaps only one side's packets come along here. */
static void sloppy(struct model_peer *src, struct model_peer *dst, uint8_t flags)
{
	if (flags & TH_SYN)
		src->state = src->state < SYN_SENT ? SYN_SENT : src->state;
	if (flags & TH_FIN)
		src->state = src->state < CLOSING ? CLOSING : src->state;
	if (flags & TH_ACK) {
		const bool silent = dst->seqlo ==
				    0; /* that it has not begun is all that is known */

		switch (dst->state) {
		case SYN_SENT:
			dst->state = ESTABLISHED;
			break;
		case CLOSING:
			dst->state = FIN_WAIT_2;
			break;
		case ESTABLISHED:
			if (src->state == CLOSING && silent)
				dst->state = CLOSING;
			break;
		case CLOSED:
			if (src->state == SYN_SENT)
				src->state = dst->state = ESTABLISHED;
			break;
		default:
			break;
		}
	}
	if (flags & TH_RST)
		src->state = dst->state = TIME_WAIT;
}

bool model_is_open(const struct model_state *s)
{
	return s->peer[0].state == ESTABLISHED && s->peer[1].state == ESTABLISHED;
}

enum model_tcp model_tcp(struct model_state *s, unsigned int from, const struct model_packet *p)
{
	struct model_peer *src = &s->peer[from], *dst = &s->peer[!from];
	struct segment x;

	if ((p->flags & (TH_SYN | TH_ACK)) == TH_SYN) {
		if (src->state >= FIN_WAIT_2 && dst->state >= FIN_WAIT_2)
			return MODEL_TCP_NEW;
		if (src->state >= ESTABLISHED && dst->state >= ESTABLISHED)
			return MODEL_TCP_ACK;
	}
	if (s->sloppy) {
		sloppy(src, dst, p->flags);
		return MODEL_TCP_PASS;
	}
	x = read_segment(src, dst, p);
	if (inside(src, dst, &x)) {
		slide(src, dst, &x);
		close_by(src, dst, &x, true);
		return MODEL_TCP_PASS;
	}
	if (nearly_inside(src, dst, &x)) {
		slide(src, dst, &x);
		close_by(src, dst, &x, false);
		return MODEL_TCP_PASS;
	}
	if (src->state != SYN_SENT || dst->state != SYN_SENT)
		return MODEL_TCP_DROP;
	src->seqlo = 0;
	src->seqhi = src->max_win = 1;
	return p->flags & TH_RST ? MODEL_TCP_DROP : MODEL_TCP_RST;
}
