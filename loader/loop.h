/* SPDX-License-Identifier: BSD-2-Clause */
/* The event loop: epoll, and timers by timerfd.  One thread. */
#ifndef PF_LOADER_LOOP_H
#define PF_LOADER_LOOP_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/epoll.h>

struct pf_loop {
	int epoll_fd;
	bool stop;
};

/* Owned by its user, who keeps it alive while it is in a loop. */
struct pf_source {
	int fd;
	void (*ready)(void *ctx, uint32_t events);
	void *ctx;
};

int pf_loop_init(struct pf_loop *l);
void pf_loop_close(struct pf_loop *l);
/* Negative errno on failure. */
int pf_loop_add(struct pf_loop *l, struct pf_source *s, uint32_t events);
int pf_loop_change(struct pf_loop *l, struct pf_source *s, uint32_t events);
void pf_loop_remove(struct pf_loop *l, struct pf_source *s);
/* Until l->stop. */
int pf_loop_run(struct pf_loop *l);

/* CLOCK_BOOTTIME, which timers go by. */
uint64_t pf_boot_seconds(void);

struct pf_timer {
	struct pf_source source;
	void (*fire)(void *ctx);
	void *ctx;
};

/* Fires every `period_ms`, or once after it; 0 stops it. */
int pf_timer_init(struct pf_loop *l, struct pf_timer *t, void (*fire)(void *ctx), void *ctx);
int pf_timer_every(struct pf_timer *t, uint64_t period_ms);
int pf_timer_once(struct pf_timer *t, uint64_t after_ms);
void pf_timer_close(struct pf_loop *l, struct pf_timer *t);

#endif /* PF_LOADER_LOOP_H */
