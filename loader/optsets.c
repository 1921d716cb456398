// SPDX-License-Identifier: BSD-2-Clause
#include "optsets.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "../compiler/compiler.h"
#include "rulestats.h"

int pf_optsets_open(struct pf_optsets *s, const struct pf_datapath *dp, struct pf_hops *hops)
{
	memset(s, 0, sizeof(*s));
	s->dp = dp;
	s->hops = hops;
	s->of_rule = calloc(PF_MAX_RULE_IDS, sizeof(*s->of_rule));
	return s->of_rule ? 0 : -ENOMEM;
}

void pf_optsets_close(struct pf_optsets *s)
{
	free(s->of_rule);
	s->of_rule = NULL;
}

static bool is_used(const struct pf_opt_set *set)
{
	return set->flags & PF_OPTS_USED;
}

static void set_sources(const struct pf_datapath *dp, const struct pf_state_opts *o,
			uint32_t overload, struct pf_opt_set *set)
{
	set->flags |= PF_OPTS_TRACK;
	/* nodes of a rule are counted: its id stays as long as they do */
	if (o->source_track == PF_TRACK_RULE)
		set->flags |= PF_OPTS_BY_RULE | PF_OPTS_COUNTED;
	if (o->flush)
		set->flags |= PF_OPTS_FLUSH;
	if (o->flush_global)
		set->flags |= PF_OPTS_GLOBAL;
	set->max_src_nodes = o->max_src_nodes;
	set->max_src_states = o->max_src_states;
	set->max_src_conn = o->max_src_conn;
	set->rate_limit = o->max_src_conn_rate.limit;
	set->rate_seconds = o->max_src_conn_rate.seconds;
	set->rate_ticks = pf_datapath_ticks(dp, o->max_src_conn_rate.seconds);
	set->overload = overload;
}

static struct pf_opt_set set_of(const struct pf_optsets *s, const struct pf_rule *r,
				uint32_t overload)
{
	const struct pf_datapath *dp = s->dp;
	static const struct pf_state_opts none;
	const struct pf_state_opts *o = r->x->state ? r->x->state : &none;
	struct pf_opt_set set = {.max = o->max, .limits = pf_limits_of(r)};

	for (int i = 0; i < PFTM_MAX; i++) {
		bool count = i == PFTM_ADAPTIVE_START || i == PFTM_ADAPTIVE_END;

		set.timeout[i] = count ? o->timeout[i] : pf_datapath_ticks(dp, o->timeout[i]);
	}
	if (set.max || set.timeout[PFTM_ADAPTIVE_START])
		set.flags |= PF_OPTS_COUNTED;
	if (o->source_track)
		set_sources(dp, o, overload, &set);
	if (r->x->route)
		pf_hops_of(s->hops, r, &set.hop);
	return set;
}

/* --- numbers --- */

/* Takes back what no rule and no state has.  Returns whether there was any. */
static bool collect(struct pf_optsets *s)
{
	struct pf_opt_set *sets = s->dp->opt_sets;
	uint8_t *kept = calloc(PF_MAX_OPT_SETS, 1);
	bool any = false;

	if (!kept)
		return false;
	for (uint32_t i = 0; i < s->dp->config->slots; i++) {
		const struct pf_state *st = &s->dp->states[i];

		if (pf_state_counts(st))
			kept[st->peer[0].opts % PF_MAX_OPT_SETS] = 1;
	}
	for (uint32_t i = 1; i < PF_MAX_OPT_SETS; i++) {
		if (kept[i] || s->refs[i] || s->before[i])
			continue;
		__atomic_store_n(&sets[i].flags, 0, __ATOMIC_RELEASE);
		any = true;
	}
	free(kept);
	return any;
}

/* Ways to a gateway change. */
static bool is_same(const struct pf_opt_set *a, const struct pf_opt_set *b)
{
	return memcmp(a, b, offsetof(struct pf_opt_set, hop_moves)) == 0 &&
	       memcmp(&a->hop, &b->hop, offsetof(struct pf_hop, ifindex)) == 0;
}

/* The number of that content, or the lowest that is free; 0: there is none. */
static uint32_t look_up(const struct pf_optsets *s, const struct pf_opt_set *want)
{
	const struct pf_opt_set *sets = s->dp->opt_sets;
	uint32_t free_one = 0;

	for (uint32_t i = 1; i < PF_MAX_OPT_SETS; i++) {
		if (is_used(&sets[i]) && is_same(&sets[i], want))
			return i;
		if (!is_used(&sets[i]) && !free_one)
			free_one = i;
	}
	return free_one;
}

_Static_assert(offsetof(struct pf_opt_set, hop) ==
			       offsetof(struct pf_opt_set, hop_moves) + sizeof(uint32_t) &&
		       offsetof(struct pf_hop, via) ==
			       offsetof(struct pf_hop, ifindex) + sizeof(uint32_t) &&
		       offsetof(struct pf_hop, via) + sizeof(struct pf_addr) ==
			       sizeof(struct pf_hop),
	       "all is compared but for what changes");

static int number_of(struct pf_optsets *s, struct pf_opt_set want, const struct pf_rulestats *stats)
{
	struct pf_opt_set *set;
	uint32_t nr;

	want.flags |= PF_OPTS_USED;
	nr = look_up(s, &want);
	if (!nr) {
		/* a packet may still be making a state for a rule that is gone */
		int err = pf_rulestats_wait(stats);

		if (err)
			return err;
		nr = collect(s) ? look_up(s, &want) : 0;
	}
	if (!nr)
		return -ENOSPC;
	set = &s->dp->opt_sets[nr];
	if (is_used(set))
		return (int)nr;
	memcpy((char *)set + sizeof(set->flags), (char *)&want + sizeof(set->flags),
	       sizeof(*set) - sizeof(set->flags));
	__atomic_store_n(&set->flags, want.flags, __ATOMIC_RELEASE);
	return (int)nr;
}

/* --- rules --- */

static int make_count(const struct pf_optsets *s, uint32_t rule)
{
	const struct pf_rule_count none = {0};
	int err = bpf_map_update_elem(pf_datapath_map(s->dp, "pf_rule_states"), &rule, &none,
				      BPF_NOEXIST);

	if (err == -EEXIST) /* of rules that go on */
		return 0;
	return err == -E2BIG ? -ENOSPC : err;
}

int pf_optsets_take(struct pf_optsets *s, uint32_t rule, const struct pf_rule *r, uint32_t overload,
		    const struct pf_rulestats *stats)
{
	static const struct pf_opt_set nothing;
	struct pf_opt_set want = set_of(s, r, overload);
	int nr, err;

	if (memcmp(&want, &nothing, sizeof(want)) == 0)
		return 0;
	nr = number_of(s, want, stats);
	if (nr < 0)
		return nr;
	err = want.flags & PF_OPTS_COUNTED ? make_count(s, rule) : 0;
	if (err)
		return err;
	if (s->of_rule[rule] == nr)
		return nr;
	/* a rule that has its id from before says the same, but of another table */
	if (s->of_rule[rule]) {
		s->refs[s->of_rule[rule]]--;
		s->before[s->of_rule[rule]] = true;
	}
	s->of_rule[rule] = (uint16_t)nr;
	s->refs[nr]++;
	return nr;
}

int pf_optsets_hop(struct pf_optsets *s, const struct pf_hop *hop, const struct pf_rulestats *stats)
{
	struct pf_opt_set want = {.hop = *hop};

	pf_hops_find(s->hops, &want.hop);
	return number_of(s, want, stats);
}

void pf_optsets_settle(struct pf_optsets *s)
{
	memset(s->before, 0, sizeof(s->before));
}

void pf_optsets_release(struct pf_optsets *s, uint32_t rule)
{
	struct pf_rule_count n = {0};

	if (!s->of_rule[rule])
		return;
	s->refs[s->of_rule[rule]]--;
	s->of_rule[rule] = 0;
	/* with states or nodes it is needed as long as they live */
	if (!bpf_map_lookup_elem(pf_datapath_map(s->dp, "pf_rule_states"), &rule, &n) &&
	    !n.states && !n.nodes)
		pf_optsets_forget(s, rule);
}

bool pf_optsets_free(const struct pf_optsets *s, uint32_t rule)
{
	struct pf_rule_count n;

	return bpf_map_lookup_elem(pf_datapath_map(s->dp, "pf_rule_states"), &rule, &n) || !n.nodes;
}

void pf_optsets_forget(const struct pf_optsets *s, uint32_t rule)
{
	bpf_map_delete_elem(pf_datapath_map(s->dp, "pf_rule_states"), &rule);
}
