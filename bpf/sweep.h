/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * The end of states: one timer of the kernel's sweeps the slots in slices, so
 * that expiry goes on when pfd is dead.  Where the timer cannot be had, pfd runs
 * the same slices by BPF_PROG_TEST_RUN.
 */
#ifndef PF_BPF_SWEEP_H
#define PF_BPF_SWEEP_H

#include "opts.h"
#include "table.h"

struct sweep_ctx {
	__u32 at;
	__u32 left;
	__u32 removed;
	__u32 now;
	__u32 slots;
	__u32 factor; /* adaptive: timeouts are scaled by factor / 65536 */
	__u8 kill_only;
};

struct pf_sweeper {
	struct bpf_timer timer;
	__u64 running;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct pf_sweeper);
} pf_sweeper SEC(".maps");

inline_always int state_expired(const struct pf_state *s, const struct sweep_ctx *c)
{
	__u32 class = s->timeout, last = s->peer[0].last, last1 = s->peer[1].last;
	struct pf_config *cfg = config();
	__u64 after;

	if (!cfg || class >= PFTM_MAX)
		return 0;
	if ((__s32)(last1 - last) > 0)
		last = last1;
	after = opts_lifetime(s->peer[0].opts, s->rule, cfg, class, c->factor);
	/* signed: a packet on another CPU may have renewed it after `now` was read */
	return (__s64)(__s32)(c->now - last) >= (__s64)after;
}

static long sweep_step(__u32 i, struct sweep_ctx *c)
{
	struct pf_state *s;
	__u32 st;

	if (c->at >= c->slots)
		c->at = 0;
	s = slot(c->at);
	c->at++;
	if (!s)
		return 1;
	st = READ_ONCE(s->status);
	if (st == PF_SLOT_LIVE) {
		if (READ_ONCE(s->kill) || (!c->kill_only && state_expired(s, c)))
			c->removed += state_remove(s);
	} else if (st == PF_SLOT_LOST) {
		if (__sync_val_compare_and_swap(&s->status, PF_SLOT_LOST, PF_SLOT_DEAD) ==
		    PF_SLOT_LOST)
			slot_rest(s);
	}
	return 0;
}

/* One slice, from where the last one ended.  0 when there is no configuration. */
noinline_sub int sweep_slice(void)
{
	struct pf_config *cfg = config();
	struct pf_status *st = status();
	struct sweep_ctx c = {};

	if (!cfg || !st)
		return 0;
	c.at = st->sweep_at;
	c.now = tick_now();
	c.slots = cfg->slots;
	c.factor = adaptive_factor(cfg->timeout, st->states);
	bpf_loop(cfg->sweep_slice, sweep_step, &c, 0);
	if (c.at < st->sweep_at)
		st->sweep_rounds++;
	st->sweep_at = c.at;
	st->sweeps++;
	limbo_release(cfg->grace, 1024);
	return 1;
}

static int sweep_timer(void *map, __u32 *key, struct pf_sweeper *sw)
{
	struct pf_config *cfg = config();

	sweep_slice();
	if (cfg)
		bpf_timer_start(&sw->timer, cfg->sweep_ns, 0);
	return 0;
}

#endif /* PF_BPF_SWEEP_H */
