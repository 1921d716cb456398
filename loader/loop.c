// SPDX-License-Identifier: BSD-2-Clause
#include "loop.h"

#include <errno.h>
#include <sys/timerfd.h>
#include <unistd.h>

int pf_loop_init(struct pf_loop *l)
{
	l->stop = false;
	l->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	return l->epoll_fd < 0 ? -errno : 0;
}

void pf_loop_close(struct pf_loop *l)
{
	if (l->epoll_fd >= 0)
		close(l->epoll_fd);
	l->epoll_fd = -1;
}

static int control(struct pf_loop *l, int op, struct pf_source *s, uint32_t events)
{
	struct epoll_event ev = {.events = events, .data.ptr = s};

	return epoll_ctl(l->epoll_fd, op, s->fd, &ev) ? -errno : 0;
}

int pf_loop_add(struct pf_loop *l, struct pf_source *s, uint32_t events)
{
	return control(l, EPOLL_CTL_ADD, s, events);
}

int pf_loop_change(struct pf_loop *l, struct pf_source *s, uint32_t events)
{
	return control(l, EPOLL_CTL_MOD, s, events);
}

void pf_loop_remove(struct pf_loop *l, struct pf_source *s)
{
	if (s->fd >= 0)
		control(l, EPOLL_CTL_DEL, s, 0);
}

int pf_loop_run(struct pf_loop *l)
{
	while (!l->stop) {
		/* one at a time: a source may be freed by the work for another */
		struct epoll_event ev;
		int n = epoll_wait(l->epoll_fd, &ev, 1, -1);

		if (n < 0 && errno != EINTR)
			return -errno;
		if (n == 1) {
			struct pf_source *s = ev.data.ptr;

			s->ready(s->ctx, ev.events);
		}
	}
	return 0;
}

static void timer_ready(void *ctx, uint32_t events)
{
	struct pf_timer *t = ctx;
	uint64_t times;

	(void)events;
	if (read(t->source.fd, &times, sizeof(times)) == sizeof(times))
		t->fire(t->ctx);
}

int pf_timer_init(struct pf_loop *l, struct pf_timer *t, void (*fire)(void *ctx), void *ctx)
{
	t->fire = fire;
	t->ctx = ctx;
	t->source.ready = timer_ready;
	t->source.ctx = t;
	/* boot time: what was to happen in a minute happens, though the machine slept */
	t->source.fd = timerfd_create(CLOCK_BOOTTIME, TFD_NONBLOCK | TFD_CLOEXEC);
	if (t->source.fd < 0)
		return -errno;
	return pf_loop_add(l, &t->source, EPOLLIN);
}

uint64_t pf_boot_seconds(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_BOOTTIME, &ts);
	return (uint64_t)ts.tv_sec;
}

static int set(struct pf_timer *t, uint64_t first_ms, uint64_t period_ms)
{
	struct itimerspec its = {
		.it_value = {.tv_sec = (time_t)(first_ms / 1000),
			     .tv_nsec = (long)(first_ms % 1000) * 1000000},
		.it_interval = {.tv_sec = (time_t)(period_ms / 1000),
				.tv_nsec = (long)(period_ms % 1000) * 1000000},
	};

	return timerfd_settime(t->source.fd, 0, &its, NULL) ? -errno : 0;
}

int pf_timer_every(struct pf_timer *t, uint64_t period_ms)
{
	return set(t, period_ms, period_ms);
}

int pf_timer_once(struct pf_timer *t, uint64_t after_ms)
{
	return set(t, after_ms, 0);
}

void pf_timer_close(struct pf_loop *l, struct pf_timer *t)
{
	if (t->source.fd < 0)
		return;
	pf_loop_remove(l, &t->source);
	close(t->source.fd);
	t->source.fd = -1;
}
