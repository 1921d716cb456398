// SPDX-License-Identifier: BSD-2-Clause
/*
 * SCTP by its chunks and tags (RFC 9260).  Where pf-linux lets pass what FreeBSD's pf does
 * not (pf.conf(5), "Differences from FreeBSD"), so does this.
 */
#include "model.h"

static bool has(const struct model_packet *p, enum model_chunk chunk)
{
	for (unsigned int i = 0; i < p->nchunks; i++)
		if (p->chunk[i] == chunk)
			return true;
	return false;
}

static bool begins(const struct model_packet *p)
{
	return has(p, MODEL_C_INIT) || has(p, MODEL_C_INIT_ACK);
}

static bool ends(const struct model_packet *p)
{
	return has(p, MODEL_C_SHUTDOWN_COMPLETE) || has(p, MODEL_C_ABORT);
}

bool model_sctp_well_formed(const struct model_packet *p)
{
	if (!p->sport || !p->dport)
		return false;
	if ((begins(p) || has(p, MODEL_C_SHUTDOWN_COMPLETE)) && p->nchunks > 1)
		return false;
	if (has(p, MODEL_C_ABORT) && has(p, MODEL_C_DATA))
		return false;
	if (begins(p) && !p->init_tag)
		return false;
	return !has(p, MODEL_C_INIT) || !p->v_tag;
}

/* What an ABORT would answer has no ABORT of its own, and is no last word. */
bool model_sctp_answerable(const struct model_packet *p)
{
	return !ends(p);
}

void model_sctp_begin(struct model_state *s, const struct model_packet *p)
{
	s->peer[0].seqlo = p->v_tag;
	s->peer[1].seqlo = has(p, MODEL_C_INIT) || has(p, MODEL_C_INIT_ACK) ? p->init_tag : 0;
	s->peer[0].state = MODEL_S_COOKIE_WAIT;
	s->peer[1].state = MODEL_S_CLOSED;
	s->sctp_time = MODEL_T_FIRST;
}

/* Is it the tag that was agreed on?  The first one of a side that is not known is believed. */
static bool tag_fits(struct model_peer *src, const struct model_peer *dst,
		     const struct model_packet *p)
{
	if (has(p, MODEL_C_INIT))
		return true;
	if (p->t_bit && ends(p))
		return dst->seqlo == 0 || dst->seqlo == p->v_tag;
	if (src->seqlo == 0)
		src->seqlo = p->v_tag;
	return src->seqlo == p->v_tag;
}

/* The sender names the tag of the other side; a second name while they meet unsettles it. */
static bool name_tag(const struct model_state *s, struct model_peer *dst,
		     const struct model_packet *p)
{
	const bool met = s->peer[0].state >= MODEL_S_ESTABLISHED &&
			 s->peer[1].state >= MODEL_S_ESTABLISHED;

	if (dst->seqlo == 0 || dst->seqlo == p->init_tag) {
		dst->seqlo = p->init_tag;
		return true;
	}
	if (!met)
		dst->seqlo = 0;
	return !met;
}

static void move_on(struct model_state *s, unsigned int from, const struct model_packet *p)
{
	struct model_peer *src = &s->peer[from], *dst = &s->peer[!from];

	if (has(p, MODEL_C_INIT) && src->state == MODEL_S_CLOSED)
		src->state = MODEL_S_COOKIE_WAIT;
	if (begins(p) && s->sctp_time == MODEL_T_FIRST)
		s->sctp_time = MODEL_T_OPENING;
	if ((has(p, MODEL_C_COOKIE_ECHO) || has(p, MODEL_C_COOKIE_ACK) ||
	     has(p, MODEL_C_HEARTBEAT_ACK)) &&
	    src->state < MODEL_S_ESTABLISHED) {
		src->state = MODEL_S_ESTABLISHED;
		s->sctp_time = dst->packets ? MODEL_T_ESTABLISHED : MODEL_T_OPENING;
	}
	if ((has(p, MODEL_C_SHUTDOWN) || has(p, MODEL_C_SHUTDOWN_ACK) ||
	     has(p, MODEL_C_SHUTDOWN_COMPLETE)) &&
	    src->state < MODEL_S_SHUTDOWN) {
		src->state = MODEL_S_SHUTDOWN;
		s->sctp_time = MODEL_T_CLOSING;
	}
	if (ends(p)) {
		src->state = MODEL_S_ENDED;
		s->sctp_time = MODEL_T_CLOSED;
	}
	if (has(p, MODEL_C_ABORT))
		dst->state = MODEL_S_ENDED;
}

enum model_sctp model_sctp(struct model_state *s, unsigned int from, const struct model_packet *p)
{
	struct model_peer *src = &s->peer[from], *dst = &s->peer[!from];

	if (has(p, MODEL_C_INIT) && src->state >= MODEL_S_SHUTDOWN &&
	    dst->state >= MODEL_S_SHUTDOWN)
		return MODEL_SCTP_NEW;
	if (!tag_fits(src, dst, p) || (begins(p) && !name_tag(s, dst, p)))
		return MODEL_SCTP_DROP;
	move_on(s, from, p);
	return MODEL_SCTP_PASS;
}

/* INITs have no tag, so what is quoted without one may be one. */
bool model_sctp_quoted(const struct model_state *s, unsigned int from, uint32_t v_tag)
{
	return !v_tag || !s->peer[from].seqlo || s->peer[from].seqlo == v_tag;
}
