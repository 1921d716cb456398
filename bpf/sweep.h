/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * The end of states: one timer of the kernel's sweeps the slots in slices, so
 * that expiry goes on when pfd is dead.  Where the timer cannot be had, pfd runs
 * the same slices by BPF_PROG_TEST_RUN.
 */
#ifndef PF_BPF_SWEEP_H
#define PF_BPF_SWEEP_H

#include "opts.h"
#include "limiters.h"
#include "sources.h"
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
	if (st == PF_SLOT_ENDED ||
	    (st == PF_SLOT_LIVE &&
	     (READ_ONCE(s->kill) || (!c->kill_only && state_expired(s, c))))) {
		c->removed += state_take_out(s, st);
	} else if (st == PF_SLOT_LOST) {
		if (__sync_val_compare_and_swap(&s->status, PF_SLOT_LOST, PF_SLOT_DEAD) ==
		    PF_SLOT_LOST)
			slot_rest(s);
	}
	return 0;
}

/* --- nodes of sources --- */

#define SOURCES_A_SECOND 16384 /* are looked at */

static long source_step(void *map, struct pf_src_key *key, struct pf_src_node *v,
			struct sweep_ctx *c)
{
	struct pf_src_key k = *key;
	__u64 states = READ_ONCE(v->states);

	if (!(__u32)states && (__s32)(c->now - READ_ONCE(v->expire)) >= 0 && source_is(&k, v))
		source_unmake(&k, v, states);
	return 0;
}

/* One that pfd is to take out of its limiter's table waits for that. */
inline_always int limited_waits(const struct pf_src_key *k, __u64 states)
{
	struct pf_limiter *l;

	if (likely(!(states & PF_LIMITED_LEAVING)))
		return 0;
	l = limiter(PF_SOURCE_LIMITERS + (k->rule & 0xff));
	return l && READ_ONCE(l->table);
}

static long limited_step(void *map, struct pf_src_key *key, struct pf_limited *v,
			 struct sweep_ctx *c)
{
	struct pf_src_key k = *key;
	__u64 states = READ_ONCE(v->states);

	if (!((__u32)states & PF_SOURCE_COUNT) && !limited_waits(&k, states) &&
	    (__s32)(c->now - READ_ONCE(v->expire)) >= 0 && limited_is(&k, v))
		limited_unmake(&k, v, states);
	return 0;
}

/* The same of source limiters. */
noinline_sub void limited_sweep(struct pf_status *st, __u32 hz)
{
	struct sweep_ctx c = {.now = tick_now()};
	struct pf_limiter *all = limiter(PF_LIMITER_ALL);
	__u32 second = hz >> PF_TICK_SHIFT, n = all ? READ_ONCE(all->sources) : 0;

	if (!n || c.now - st->limited_at < second + second * (n / SOURCES_A_SECOND))
		return;
	st->limited_at = c.now;
	bpf_for_each_map_elem(&pf_limited, limited_step, &c, 0);
}

/* Those whose time is over, about once a second. */
noinline_sub void sources_sweep(struct pf_status *st, __u32 hz)
{
	struct sweep_ctx c = {.now = tick_now()};
	__u32 second = hz >> PF_TICK_SHIFT, wait;

	wait = second + second * (READ_ONCE(st->sources) / SOURCES_A_SECOND);
	if (!READ_ONCE(st->sources) || c.now - st->sources_at < wait)
		return;
	st->sources_at = c.now;
	bpf_for_each_map_elem(&pf_sources, source_step, &c, 0);
}

/*
 * --- states of offenders ---
 *
 * Taking a state out of the table takes some hundred nanoseconds, which an offender with a
 * million of them is not to have: the first pass over the slots ends his states, so that
 * they are no packet's any more, and takes but a few out; a second one takes out the rest.
 */

#define FLUSH_SLICE   131072
#define FLUSH_AT_ONCE 1024    /* in a slice: so many are taken out by the first pass */
#define FLUSH_ENDS    16384   /* ... and by the second one: some milliseconds */
#define HURRY_NS      1000000 /* between two slices, instead of pf_config.sweep_ns */
#define END_NS	      100000  /* ... of the first pass: while it lasts an offender goes on */

struct flush_ctx {
	struct pf_src_key who; /* whose state was the last that was to end; af 0: nobody's */
	__u64 before;	       /* of his entry */
	__u32 at;
	__u32 ended;
	__u32 taken;
};

inline_always int src_key_equal(const struct pf_src_key *a, const struct pf_src_key *b)
{
	return addr_equal(&a->addr, &b->addr) && a->rule == b->rule && a->af == b->af;
}

/* Has it been asked for that states of that source, and of that rule or of any, end? */
inline_always int flush_wants(const struct pf_state *s, __u32 rule, struct flush_ctx *c)
{
	struct pf_src_key k;
	struct pf_flush *f;

	if (s->dir == PF_IN)
		source_key(&k, &s->key.addr[0], s->key.af, rule);
	else
		source_key(&k, &s->stack.addr[1], s->key.af, rule);
	if (!src_key_equal(&k, &c->who)) {
		f = bpf_map_lookup_elem(&pf_flushes, &k);
		if (!f)
			return 0;
		c->who = k;
		c->before = f->before;
	}
	return s->id < c->before;
}

static long flush_step(__u32 i, struct flush_ctx *c)
{
	struct pf_status *st = status();
	struct pf_state *s = slot(c->at);
	__u32 h;

	if (!s || !st)
		return 1;
	c->at++;
	if (READ_ONCE(s->status) != PF_SLOT_LIVE)
		return 0;
	/* most states are looked at no further than their first line */
	if (s->dir == PF_IN)
		h = flush_hash(&s->key.addr[0]);
	else if (s->flags & PF_SF_NAT)
		h = flush_hash(&s->stack.addr[1]);
	else
		h = flush_hash(&s->key.addr[1]);
	if (!(st->flush_maybe[h / 64 % PF_FLUSH_WORDS] >> (h % 64) & 1))
		return 0;
	if (!flush_wants(s, 0, c) && !flush_wants(s, s->rule, c))
		return 0;
	if (c->taken < FLUSH_AT_ONCE)
		c->taken += state_remove(s);
	else if (__sync_val_compare_and_swap(&s->status, PF_SLOT_LIVE, PF_SLOT_ENDED) ==
		 PF_SLOT_LIVE)
		c->ended++;
	return 0;
}

static long take_out_step(__u32 i, struct flush_ctx *c)
{
	struct pf_state *s = slot(c->at);

	if (!s || c->taken >= FLUSH_ENDS)
		return 1;
	c->at++;
	if (READ_ONCE(s->status) == PF_SLOT_ENDED)
		c->taken += state_take_out(s, PF_SLOT_ENDED);
	return 0;
}

static long flush_begin_step(void *map, struct pf_src_key *key, struct pf_flush *f, void *ctx)
{
	struct pf_addr addr = key->addr;
	__u32 h = flush_hash(&addr);
	struct pf_status *status_now = status();

	f->begun = 1;
	if (status_now)
		status_now->flush_maybe[h / 64 % PF_FLUSH_WORDS] |= 1ULL << (h % 64);
	return 0;
}

static long flush_end_step(void *map, struct pf_src_key *key, struct pf_flush *f, void *ctx)
{
	struct pf_src_key k = *key;

	if (f->begun)
		bpf_map_delete_elem(&pf_flushes, &k);
	return 0;
}

/* For all offenders that there are now; what comes later waits for the next pass. */
noinline_sub void flush_begin(struct pf_status *st)
{
	struct flush_ctx c = {};

	/* so that at no time there seems to be nothing to be done */
	__sync_lock_test_and_set(&st->flush_on, PF_FLUSH_END);
	__sync_lock_test_and_set(&st->flush_asked, 0);
	for (int i = 0; i < PF_FLUSH_WORDS; i++)
		st->flush_maybe[i] = 0;
	bpf_for_each_map_elem(&pf_flushes, flush_begin_step, &c, 0);
	st->flush_at = 0;
}

/* A slice of a pass.  1: it goes on. */
noinline_sub int flush_slice(struct pf_status *st, __u32 slots)
{
	struct flush_ctx c = {.ended = unknown_zero(), .taken = unknown_zero()};

	/* who comes in the midst of the second pass does not wait for it: it begins again */
	if (st->flush_on != PF_FLUSH_END && READ_ONCE(st->flush_asked))
		flush_begin(st);
	if (!st->flush_on)
		return 0;
	c.at = st->flush_at;
	if (st->flush_on == PF_FLUSH_END)
		bpf_loop(FLUSH_SLICE, flush_step, &c, 0);
	else
		bpf_loop(FLUSH_SLICE, take_out_step, &c, 0);
	st->flush_at = c.at;
	if (c.ended) {
		st->flush_ended = 1;
		states_less(c.ended);
	}
	if (c.at < slots)
		return 1;
	st->flush_at = 0;
	if (st->flush_on == PF_FLUSH_END) {
		bpf_for_each_map_elem(&pf_flushes, flush_end_step, &c, 0);
		if (st->flush_ended) {
			st->flush_on = PF_FLUSH_TAKE_OUT;
			return 1;
		}
	}
	st->flush_ended = 0;
	st->flush_on = PF_FLUSH_NONE;
	return READ_ONCE(st->flush_asked) != 0;
}

/*
 * One slice, from where the last one ended.  0: there is no configuration; 2: the next one
 * is to come at once.
 */
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
	limbo_release(tick_now(), cfg->grace, 1024);
	sources_sweep(st, cfg->hz);
	limited_sweep(st, cfg->hz);
	/* under pressure: states with half their time, and less, should not be there for long */
	return flush_slice(st, cfg->slots) || c.factor < FACTOR_ONE / 2 ? 2 : 1;
}

static int sweep_timer(void *map, __u32 *key, struct pf_sweeper *sw)
{
	int more = sweep_slice() == 2;
	struct pf_config *cfg = config();
	struct pf_status *st = status();

	if (!cfg || !st)
		return 0;
	if (st->flush_on == PF_FLUSH_END)
		bpf_timer_start(&sw->timer, END_NS, 0);
	else
		bpf_timer_start(&sw->timer, more ? HURRY_NS : cfg->sweep_ns, 0);
	return 0;
}

#endif /* PF_BPF_SWEEP_H */
