// SPDX-License-Identifier: BSD-2-Clause
#include "meters.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int map_of(const struct pf_meters *m)
{
	return pf_datapath_map(m->dp, "pf_meters");
}

int pf_meters_open(struct pf_meters *m, const struct pf_datapath *dp)
{
	uint32_t id, *at = NULL;

	m->dp = dp;
	m->there = calloc(PF_MAX_RULE_IDS, 1);
	if (!m->there)
		return -ENOMEM;
	for (; bpf_map_get_next_key(map_of(m), at, &id) == 0; at = &id)
		if (id < PF_MAX_RULE_IDS)
			m->there[id] = 1;
	return 0;
}

void pf_meters_close(struct pf_meters *m)
{
	free(m->there);
	m->there = NULL;
}

static int make(struct pf_meters *m, const struct pf_rule *r, uint32_t id)
{
	const struct pf_rate *rate = &pf_rule_ext_of(r)->max_pkt_rate;
	const struct pf_meter fresh = {.limit = rate->limit,
				       .ticks = pf_datapath_ticks(m->dp, rate->seconds)};
	int err;

	if (m->there[id])
		return 0;
	err = bpf_map_update_elem(map_of(m), &id, &fresh, BPF_ANY);
	m->there[id] = !err;
	return err;
}

int pf_meters_make(struct pf_meters *m, const struct pf_rule **rules, const uint32_t *ids, size_t n,
		   struct pf_error_text *e)
{
	for (size_t i = 0; i < n; i++) {
		int err = pf_rule_metered(rules[i]) ? make(m, rules[i], ids[i]) : 0;

		if (err == -E2BIG)
			return pf_fail(e, -ENOSPC,
				       "rule of line %u: no room for more than %d rules with once "
				       "or max-pkt-rate",
				       rules[i]->line, PF_METERS_MOST);
		if (err)
			return pf_fail(e, err, "rule of line %u: %s", rules[i]->line,
				       strerror(-err));
	}
	return 0;
}

bool pf_meters_have(const struct pf_meters *m, const uint32_t *ids, size_t n)
{
	bool any = false;

	for (size_t i = 0; i < n && !any; i++)
		any = m->there[ids[i]];
	return any;
}

bool pf_meters_drop(struct pf_meters *m, uint32_t id)
{
	bool there = m->there[id];

	if (there)
		bpf_map_delete_elem(map_of(m), &id);
	m->there[id] = 0;
	return there;
}

bool pf_meter_expired(const struct pf_meters *m, uint32_t id)
{
	struct pf_meter v;

	return m->there[id] && !bpf_map_lookup_elem(map_of(m), &id, &v) && v.expired;
}
