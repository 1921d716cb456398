// SPDX-License-Identifier: BSD-2-Clause
#include "tablerules.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int map_of(const struct pf_tablerules *r)
{
	return pf_datapath_map(r->dp, "pf_rule_tables");
}

int pf_tablerules_open(struct pf_tablerules *r, const struct pf_datapath *dp)
{
	uint32_t id, n = 0, *at = NULL;

	r->dp = dp;
	r->there = calloc(PF_MAX_RULE_IDS, 1);
	if (!r->there)
		return -ENOMEM;
	for (; bpf_map_get_next_key(map_of(r), at, &id) == 0; at = &id) {
		if (id < PF_MAX_RULE_IDS)
			r->there[id] = 1;
		n++;
	}
	dp->config->rule_tables = n;
	return 0;
}

void pf_tablerules_close(struct pf_tablerules *r)
{
	free(r->there);
	r->there = NULL;
}

static uint8_t op_of(const struct pf_rule *rule)
{
	static const uint8_t ops[] = {[PF_RULE_ACTION_PASS] = PF_TABLE_OP_PASS,
				      [PF_RULE_ACTION_BLOCK] = PF_TABLE_OP_BLOCK,
				      [PF_RULE_ACTION_MATCH] = PF_TABLE_OP_MATCH};

	return ops[rule->action];
}

int pf_tablerules_set(struct pf_tablerules *r, uint32_t id, const struct pf_rule *rule,
		      const uint32_t *counts)
{
	struct pf_rule_tables v = {.counts = {(uint16_t)counts[0], (uint16_t)counts[1]},
				   .neg = {rule->src.neg, rule->dst.neg},
				   .op = op_of(rule)};
	int err;

	err = bpf_map_update_elem(map_of(r), &id, &v, BPF_ANY);
	if (err)
		return err;
	r->dp->config->rule_tables += !r->there[id];
	r->there[id] = 1;
	return 0;
}

void pf_tablerules_drop(struct pf_tablerules *r, uint32_t id)
{
	if (!r->there[id])
		return;
	bpf_map_delete_elem(map_of(r), &id);
	r->there[id] = 0;
	r->dp->config->rule_tables--;
}

void pf_tablerules_forget(struct pf_tablerules *r, uint32_t counts)
{
	uint32_t id, next;
	int err = bpf_map_get_next_key(map_of(r), NULL, &next);

	while (!err) {
		struct pf_rule_tables v;

		id = next;
		err = bpf_map_get_next_key(map_of(r), &id, &next);
		if (bpf_map_lookup_elem(map_of(r), &id, &v))
			continue;
		for (int i = 0; i < 2; i++)
			if (v.counts[i] == counts)
				v.counts[i] = 0;
		if (v.counts[0] || v.counts[1])
			bpf_map_update_elem(map_of(r), &id, &v, BPF_EXIST);
		else
			pf_tablerules_drop(r, id);
	}
}
