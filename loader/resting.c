// SPDX-License-Identifier: BSD-2-Clause
#include "resting.h"

#include <string.h>

#define LOOK_MS	 1000
#define DRAIN_MS 70 /* with HZ 250 a tick is 64 ms */

static void drain_fire(void *ctx)
{
	struct pf_resting *r = ctx;

	if (!pf_datapath_drain(r->dp, r->tick))
		pf_timer_once(&r->drain, DRAIN_MS);
	else if (r->busy)
		pf_resting_hurry(r);
}

void pf_resting_hurry(struct pf_resting *r)
{
	r->tick = pf_datapath_tick(r->dp);
	pf_timer_once(&r->drain, DRAIN_MS);
}

static void look_fire(void *ctx)
{
	struct pf_resting *r = ctx;
	const struct pf_config *c = r->dp->config;
	uint64_t n = pf_datapath_counter(r->dp, PF_CNT_REMOVALS), ended = n - r->removals;
	uint64_t rest = c->grace / pf_datapath_ticks(r->dp, 1) + 1; /* seconds */
	bool was = r->busy;

	r->removals = n;
	r->busy = ended * rest > (c->slots - c->state_limit) / 2;
	if (r->busy && !was)
		pf_resting_hurry(r);
}

int pf_resting_open(struct pf_resting *r, const struct pf_datapath *dp, struct pf_loop *loop,
		    struct pf_error_text *e)
{
	int err;

	*r = (struct pf_resting){.dp = dp,
				 .loop = loop,
				 .look.source.fd = -1,
				 .drain.source.fd = -1,
				 .removals = pf_datapath_counter(dp, PF_CNT_REMOVALS)};
	err = pf_timer_init(loop, &r->look, look_fire, r);
	if (!err)
		err = pf_timer_init(loop, &r->drain, drain_fire, r);
	if (!err)
		err = pf_timer_every(&r->look, LOOK_MS);
	return err ? pf_fail(e, err, "timers: %s", strerror(-err)) : 0;
}

void pf_resting_close(struct pf_resting *r)
{
	pf_timer_close(r->loop, &r->look);
	pf_timer_close(r->loop, &r->drain);
}
