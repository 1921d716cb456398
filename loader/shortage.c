// SPDX-License-Identifier: BSD-2-Clause
#include "shortage.h"

#include <string.h>
#include <time.h>

#define LOOK_MS 1000

static uint64_t boot_seconds(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_BOOTTIME, &ts);
	return (uint64_t)ts.tv_sec;
}

/*
 * A state too many for `set limit states' counts as memory, too, as in pf.  What is taken
 * away is read later than what it is taken from: rather too few for a moment than one that
 * was none.
 */
static uint64_t refused(const struct pf_datapath *dp, enum pf_shortage_kind kind)
{
	uint64_t n, full;

	switch (kind) {
	case PF_SHORTAGE_STATES:
		return pf_datapath_counter(dp, PF_CNT_STATES_FULL);
	case PF_SHORTAGE_SOURCES:
		return pf_datapath_counter(dp, PF_CNT_SOURCES_FULL);
	case PF_SHORTAGE_MEMORY:
		n = pf_datapath_counter(dp, PF_CNT_REASON + PFRES_MEMORY);
		full = pf_datapath_counter(dp, PF_CNT_STATES_FULL);
		return n > full ? n - full : 0;
	default:
		return pf_datapath_counter(dp, PF_CNT_NO_FLUSH);
	}
}

static void tell(const struct pf_datapath *dp, enum pf_shortage_kind kind, uint64_t n)
{
	unsigned long long count = n;

	switch (kind) {
	case PF_SHORTAGE_STATES:
		pf_say(LOG_WARNING,
		       "the limit of %u states (set limit states) is reached: %llu packets of new "
		       "connections were dropped",
		       dp->config->state_limit, count);
		break;
	case PF_SHORTAGE_SOURCES:
		pf_say(LOG_WARNING,
		       "the limit of %u tracked sources (set limit src-nodes) is reached: %llu "
		       "packets of new connections were dropped",
		       dp->config->source_limit, count);
		break;
	case PF_SHORTAGE_MEMORY:
		pf_say(LOG_WARNING,
		       "no room for a state or what belongs to it: %llu packets were dropped",
		       count);
		break;
	default:
		pf_say(LOG_WARNING,
		       "too many offenders at once: the states of %llu were not flushed", count);
		break;
	}
}

static void look(void *ctx)
{
	struct pf_shortage *s = ctx;
	uint64_t now = boot_seconds();

	for (int i = 0; i < PF_SHORTAGE_MAX; i++) {
		uint64_t n = pf_refusals_due(&s->refusals[i],
					     refused(s->dp, (enum pf_shortage_kind)i), now);

		if (n)
			tell(s->dp, (enum pf_shortage_kind)i, n);
	}
}

int pf_shortage_open(struct pf_shortage *s, const struct pf_datapath *dp, struct pf_loop *loop,
		     struct pf_error_text *e)
{
	int err;

	*s = (struct pf_shortage){.dp = dp, .loop = loop, .timer.source.fd = -1};
	for (int i = 0; i < PF_SHORTAGE_MAX; i++)
		s->refusals[i].told = refused(dp, (enum pf_shortage_kind)i);
	err = pf_timer_init(loop, &s->timer, look, s);
	if (!err)
		err = pf_timer_every(&s->timer, LOOK_MS);
	return err ? pf_fail(e, err, "timers: %s", strerror(-err)) : 0;
}

void pf_shortage_close(struct pf_shortage *s)
{
	pf_timer_close(s->loop, &s->timer);
}
