// SPDX-License-Identifier: BSD-2-Clause
#include "events.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "attach.h"

/* Packets wake nobody: the rings are emptied that often. */
#define TICK_MS	   50
#define RING_BYTES (1U << 20)  /* some 75000 events a second and CPU */
#define RINGS_MOST (64U << 20) /* all of them together */
#define RING_LEAST (1U << 16)
/* In one go, so that other clients have their turn. */
#define TAKE_MOST  65536

static uint64_t monotonic(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

static void set_flag(const struct pf_events *e, bool on)
{
	__atomic_store_n(&e->dp->config->events, on, __ATOMIC_RELEASE);
}

/* --- the rings --- */

static int take(void *ctx, void *data, size_t len)
{
	struct pf_events *e = ctx;

	if (len != sizeof(*e->v))
		return 0;
	if (e->n == e->capacity) {
		size_t want = e->capacity ? e->capacity * 2 : 256;
		struct pf_event *v = reallocarray(e->v, want, sizeof(*v));

		if (!v) {
			e->lost_here++;
			return 0;
		}
		e->v = v;
		e->capacity = want;
	}
	memcpy(&e->v[e->n++], data, sizeof(*e->v));
	return e->n < TAKE_MOST ? 0 : -E2BIG;
}

static uint32_t ring_bytes(int ncpus)
{
	uint32_t bytes = RING_BYTES;

	while (bytes > RING_LEAST && (uint64_t)bytes * (uint32_t)ncpus > RINGS_MOST)
		bytes /= 2;
	return bytes;
}

/* Takes the rings out of the datapath, whoever has put them there. */
static void empty_slots(const struct pf_events *e)
{
	int slots = pf_datapath_map(e->dp, "pf_events");

	for (uint32_t cpu = 0; cpu < (uint32_t)e->dp->ncpus; cpu++)
		bpf_map_delete_elem(slots, &cpu);
}

/* The ring of one CPU: libbpf keeps it, and so does the datapath. */
static int add_ring(struct pf_events *e, uint32_t cpu, uint32_t bytes)
{
	int fd = bpf_map_create(BPF_MAP_TYPE_RINGBUF, "pf_event_ring", 0, 0, bytes, NULL), err;

	if (fd < 0)
		return fd;
	if (e->rings) {
		err = ring_buffer__add(e->rings, fd, take, e);
	} else {
		e->rings = ring_buffer__new(fd, take, e, NULL);
		err = e->rings ? 0 : -errno;
	}
	if (!err)
		err = bpf_map_update_elem(pf_datapath_map(e->dp, "pf_events"), &cpu, &fd, BPF_ANY);
	close(fd);
	return err;
}

static void stop(struct pf_events *e)
{
	bool hurry;

	set_flag(e, false);
	pf_timer_once(&e->timer, 0);
	hurry = pf_attach_hurry_begin();
	empty_slots(e);
	pf_attach_hurry_end(hurry);
	ring_buffer__free(e->rings);
	e->rings = NULL;
	e->n = 0;
}

static int start(struct pf_events *e)
{
	uint32_t bytes = ring_bytes(e->dp->ncpus);
	bool hurry = pf_attach_hurry_begin();
	int err = 0;

	for (uint32_t cpu = 0; cpu < (uint32_t)e->dp->ncpus && !err; cpu++)
		err = add_ring(e, cpu, bytes);
	pf_attach_hurry_end(hurry);
	if (!err)
		err = pf_timer_every(&e->timer, TICK_MS);
	if (err) {
		stop(e);
		return err;
	}
	e->lost_before = pf_datapath_counter(e->dp, PF_CNT_EVENTS_LOST);
	e->lost_here = 0;
	set_flag(e, true);
	return 0;
}

/* --- telling --- */

static int compare_times(const void *a, const void *b)
{
	const struct pf_event *x = a, *y = b;

	return (x->time > y->time) - (x->time < y->time);
}

/*
 * What one CPU has said may be later than what another one says while we look at the
 * first: events from behind the beginning of the look wait for the next one.
 */
static void tick(void *ctx)
{
	struct pf_events *e = ctx;
	uint64_t before = monotonic(), lost;
	size_t n = 0;

	ring_buffer__consume(e->rings);
	if (e->n)
		qsort(e->v, e->n, sizeof(*e->v), compare_times);
	while (n < e->n && e->v[n].time < before)
		n++;
	lost = pf_datapath_counter(e->dp, PF_CNT_EVENTS_LOST);
	if (!n && lost == e->lost_before && !e->lost_here)
		return;
	e->tell(e->ctx, e->v, n, lost - e->lost_before + e->lost_here);
	e->lost_before = lost;
	e->lost_here = 0;
	/* the last one may have gone */
	if (!e->rings) {
		free(e->v);
		e->v = NULL;
		e->n = e->capacity = 0;
		return;
	}
	e->n -= n;
	if (e->n)
		memmove(e->v, e->v + n, e->n * sizeof(*e->v));
}

int pf_events_join(struct pf_events *e, struct pf_error_text *err)
{
	int r = e->listeners ? 0 : start(e);

	if (r)
		return pf_fail(err, r, "cannot make the rings of events: %s", strerror(-r));
	e->listeners++;
	return 0;
}

void pf_events_leave(struct pf_events *e)
{
	if (e->dp && --e->listeners == 0)
		stop(e);
}

int pf_events_open(struct pf_events *e, const struct pf_datapath *dp, struct pf_loop *loop,
		   struct pf_error_text *text)
{
	int err;

	*e = (struct pf_events){.dp = dp, .loop = loop, .timer.source.fd = -1};
	if (dp->config->events) {
		set_flag(e, false);
		empty_slots(e);
	}
	err = pf_timer_init(loop, &e->timer, tick, e);
	return err ? pf_fail(text, err, "timers: %s", strerror(-err)) : 0;
}

void pf_events_close(struct pf_events *e)
{
	if (!e->dp)
		return;
	if (e->rings)
		stop(e);
	pf_timer_close(e->loop, &e->timer);
	free(e->v);
	*e = (struct pf_events){.dp = NULL};
}
