// SPDX-License-Identifier: BSD-2-Clause
#include "limiters.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#define SECOND_NS 1000000000ULL

static uint32_t place_of(const struct pf_limiter_def *d)
{
	return (d->source ? PF_SOURCE_LIMITERS : 0U) + d->id;
}

static const struct pf_limiter_def *find(const struct pf_ruleset *rs, uint32_t place)
{
	for (size_t i = 0; rs && i < rs->nlimiters; i++)
		if (place_of(&rs->limiters[i]) == place)
			return &rs->limiters[i];
	return NULL;
}

/* The datapath's clock. */
static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * SECOND_NS + (uint64_t)ts.tv_nsec;
}

/* Of an id that was defined before, what it has counted goes on. */
static void define(struct pf_limiter *l, const struct pf_limiter_def *d)
{
	uint64_t bucket = d->rate.limit ? d->rate.seconds * SECOND_NS : 0;
	uint64_t token = bucket ? bucket / d->rate.limit : 0;

	if (!(__atomic_load_n(&l->flags, __ATOMIC_ACQUIRE) & PF_LIMITER_USED))
		memset(l, 0, sizeof(*l));
	/* another rate begins anew, as in pf; one that is as before is not given away */
	if (l->token != token || l->bucket != bucket) {
		__atomic_store_n(&l->spent, now_ns() - bucket, __ATOMIC_RELAXED);
		__atomic_store_n(&l->bucket, bucket, __ATOMIC_RELAXED);
		__atomic_store_n(&l->token, token, __ATOMIC_RELAXED);
	}
	__atomic_store_n(&l->limit, d->limit, __ATOMIC_RELAXED);
	__atomic_store_n(&l->flags, PF_LIMITER_USED, __ATOMIC_RELEASE);
}

void pf_limiters_define(const struct pf_datapath *dp, const struct pf_ruleset *rs)
{
	for (size_t i = 0; i < rs->nlimiters; i++)
		define(&dp->limiters[place_of(&rs->limiters[i])], &rs->limiters[i]);
}

/* --- those that are not defined any more --- */

/* No state has the ones that are marked: `gone`, by their places. */
static void unlink_states(const struct pf_datapath *dp, const bool *gone)
{
	for (uint32_t i = 0; i < dp->config->slots; i++) {
		struct pf_state *s = &dp->states[i];
		uint16_t limits = __atomic_load_n(&s->peer[1].opts, __ATOMIC_RELAXED);

		if (!limits || __atomic_load_n(&s->status, __ATOMIC_ACQUIRE) != PF_SLOT_LIVE)
			continue;
		if (gone[PF_LIMITS_STATE(limits)])
			limits &= 0xff00;
		__atomic_store_n(&s->peer[1].opts, limits, __ATOMIC_RELAXED);
	}
}

/*
 * A packet that the rules of before have let in may be making a state still: so all wait
 * before the states are looked at, and again before the number can be another one's.
 */
int pf_limiters_settle(const struct pf_datapath *dp, const struct pf_rulestats *stats,
		       const struct pf_ruleset *a, const struct pf_ruleset *b)
{
	bool gone[PF_LIMITERS] = {false}, any = false;
	int err;

	for (uint32_t i = 1; i < PF_LIMITERS; i++) {
		struct pf_limiter *l = &dp->limiters[i];

		if (!(l->flags & PF_LIMITER_USED) || find(a, i) || find(b, i))
			continue;
		gone[i] = any = true;
	}
	if (!any)
		return 0;
	err = pf_rulestats_wait(stats);
	if (err)
		return err;
	unlink_states(dp, gone);
	err = pf_rulestats_wait(stats);
	for (uint32_t i = 1; i < PF_LIMITERS && !err; i++)
		if (gone[i])
			__atomic_store_n(&dp->limiters[i].flags, 0, __ATOMIC_RELEASE);
	return err;
}

/* --- reading --- */

static uint64_t load(const __u64 *v)
{
	return __atomic_load_n(v, __ATOMIC_RELAXED);
}

void pf_limiters_list(const struct pf_datapath *dp, const struct pf_ruleset *rs,
		      struct pf_wire_limiter *out)
{
	for (size_t i = 0; i < rs->nlimiters; i++, out++) {
		const struct pf_limiter_def *d = &rs->limiters[i];
		const struct pf_limiter *l = &dp->limiters[place_of(d)];

		memset(out, 0, sizeof(*out));
		snprintf(out->name, sizeof(out->name), "%s", d->name);
		out->id = d->id;
		out->source = d->source;
		out->limit = d->limit;
		out->rate = d->rate.limit;
		out->seconds = d->rate.seconds;
		out->states = __atomic_load_n(&l->inuse, __ATOMIC_RELAXED);
		out->admitted = load(&l->admitted);
		out->hardlimited = load(&l->hardlimited);
		out->ratelimited = load(&l->ratelimited);
	}
}
