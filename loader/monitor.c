// SPDX-License-Identifier: BSD-2-Clause
/* Clients that listen to what becomes of states: PF_REQ_MONITOR. */
#include "monitor.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <time.h>

#include "control.h"
#include "states.h"

#define OUT_MOST \
	((size_t)8 << 20) /* bytes: what comes for a client that has more to read is lost */
#define EVENTS_FRAME 2048

static_assert((int)PF_EVENT_INSERT == PF_WIRE_INSERT && (int)PF_EVENT_UPDATE == PF_WIRE_UPDATE &&
		      (int)PF_EVENT_DELETE == PF_WIRE_DELETE,
	      "one numbering");

static int64_t realtime_offset(void)
{
	struct timespec m, r;

	clock_gettime(CLOCK_MONOTONIC, &m);
	clock_gettime(CLOCK_REALTIME, &r);
	return ((int64_t)r.tv_sec - m.tv_sec) * 1000000000 + r.tv_nsec - m.tv_nsec;
}

static void put_frame(const struct pf_control *ctl, const struct pf_event *v, size_t n,
		      struct pf_buf *out)
{
	const struct pf_engine *g = ctl->engine;
	struct pf_states_query q = {
		.dp = &g->dp,
		.gen = g->active,
		.ifs = &g->ifs,
		.bound = &g->bound,
		.tags = &g->gens.tags,
		.now = pf_datapath_jiffies(&g->dp),
	};
	int64_t offset = realtime_offset();

	for (size_t i = 0; i < n; i++) {
		struct pf_wire_event w;

		memset(&w, 0, sizeof(w));
		w.time = v[i].time + (uint64_t)offset;
		w.kind = v[i].kind;
		pf_states_fill(&q, &v[i].state, &w.state);
		pf_put(out, &w, sizeof(w));
	}
}

/* One frame of events to all; who is too slow loses them. */
static void send_all(struct pf_control *ctl, const struct pf_buf *events, size_t n, uint64_t lost)
{
	for (struct pf_client_conn *c = ctl->clients, *next; c; c = next) {
		pf_buf_auto b = {0};

		next = c->next;
		if (!c->listening || c->closing)
			continue;
		c->lost += lost;
		if (c->out.len > OUT_MOST) {
			c->lost += n;
			continue;
		}
		pf_put_u64(&b, c->lost);
		pf_put(&b, events->data, events->len);
		c->lost = 0;
		pf_reply_data(c, b.data, b.len);
		pf_client_push(c);
	}
}

static void tell(void *ctx, const struct pf_event *v, size_t n, uint64_t lost)
{
	struct pf_control *ctl = ctx;
	size_t at = 0;

	do {
		size_t some = n - at < EVENTS_FRAME ? n - at : EVENTS_FRAME;
		pf_buf_auto b = {0};

		put_frame(ctl, v + at, some, &b);
		if (b.failed) {
			lost += some;
			b.len = 0;
		}
		send_all(ctl, &b, some, lost);
		lost = 0;
		at += some;
	} while (at < n);
}

void pf_monitor(struct pf_client_conn *c)
{
	struct pf_events *e = &c->control->engine->events;
	struct pf_error_text text;
	pf_buf_auto b = {0};
	int err;

	e->tell = tell;
	e->ctx = c->control;
	err = pf_events_join(e, &text);
	if (err) {
		pf_reply_error(c, err, text.text);
		return;
	}
	c->listening = true;
	c->lost = 0;
	/* no events as yet, but it is heard from here on */
	pf_put_u64(&b, 0);
	pf_reply_data(c, b.data, b.len);
}

void pf_monitor_end(struct pf_client_conn *c)
{
	if (c->listening)
		pf_events_leave(&c->control->engine->events);
	c->listening = false;
}
