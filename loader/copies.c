// SPDX-License-Identifier: BSD-2-Clause
#include "copies.h"

#include <stdlib.h>

static bool is_live(const struct pf_state *s)
{
	return __atomic_load_n(&s->status, __ATOMIC_ACQUIRE) == PF_SLOT_LIVE;
}

static int compare_ids(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

/* The ids of all live states, sorted; NULL without memory. */
static uint64_t *live_ids(const struct pf_datapath *dp, size_t *n)
{
	uint64_t *ids = calloc(dp->config->slots + 1U, sizeof(*ids));

	*n = 0;
	if (!ids)
		return NULL;
	for (uint32_t i = 0; i < dp->config->slots; i++)
		if (is_live(&dp->states[i]))
			ids[(*n)++] = dp->states[i].id;
	qsort(ids, *n, sizeof(*ids), compare_ids);
	return ids;
}

void pf_copies_settle(const struct pf_datapath *dp, const struct pf_datapath *old)
{
	size_t n;
	uint64_t *ids = live_ids(old, &n);
	/* those of the new table begin far behind */
	uint64_t copies = __atomic_load_n(&old->status->next_id, __ATOMIC_ACQUIRE);

	/* without memory they end by themselves */
	for (uint32_t i = 0; ids && i < dp->config->slots; i++) {
		struct pf_state *s = &dp->states[i];

		if (is_live(s) && s->id < copies &&
		    !bsearch(&s->id, ids, n, sizeof(*ids), compare_ids))
			__atomic_store_n(&s->kill, PF_KILL_COPY, __ATOMIC_RELEASE);
	}
	free(ids);
	pf_datapath_purge(dp, 0, dp->config->slots);
}
