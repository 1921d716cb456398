// SPDX-License-Identifier: BSD-2-Clause
#include "states.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- reading --- */

static uint32_t states_of_rule(const struct pf_datapath *dp, uint32_t rule)
{
	struct pf_rule_count n;

	return bpf_map_lookup_elem(pf_datapath_map(dp, "pf_rule_states"), &rule, &n) ? 0 : n.states;
}

/* As the datapath's sweep reckons, adaptive timeouts and the rule's own included. */
static uint64_t lifetime(const struct pf_datapath *dp, const struct pf_state *s)
{
	const struct pf_opt_set *o = &dp->opt_sets[s->peer[0].opts % PF_MAX_OPT_SETS];
	const uint32_t *global = dp->config->timeout, *adaptive = global;
	uint32_t start, end, states = dp->status->states;
	uint64_t after = s->timeout < PFTM_MAX ? global[s->timeout] : 0;

	if (s->peer[0].opts && s->timeout < PFTM_MAX && o->timeout[s->timeout])
		after = o->timeout[s->timeout];
	if (s->peer[0].opts && o->timeout[PFTM_ADAPTIVE_START]) {
		adaptive = o->timeout;
		states = states_of_rule(dp, s->rule);
	}
	start = adaptive[PFTM_ADAPTIVE_START];
	end = adaptive[PFTM_ADAPTIVE_END];
	if (end && start < end && states > start)
		after = states >= end ? 0 : after * (end - states) / (end - start);
	return after;
}

/* In ticks of the kernel's: of one that was made since we have looked at the clock, none. */
uint64_t pf_state_age(const struct pf_state *s, uint64_t now)
{
	int64_t age = (int64_t)(now - s->creation);

	return age > 0 ? (uint64_t)age : 0;
}

static uint32_t expires_in(const struct pf_datapath *dp, const struct pf_state *s, uint32_t now)
{
	const struct pf_config *c = dp->config;
	uint32_t last = s->peer[0].last;
	uint64_t after = lifetime(dp, s);
	int64_t left;

	if ((int32_t)(s->peer[1].last - last) > 0)
		last = s->peer[1].last;
	if ((int32_t)(last - now) > 0)
		last = now;
	left = (int64_t)after - (int32_t)(now - last);
	return left <= 0 ? 0 : (uint32_t)((uint64_t)left * (1U << PF_TICK_SHIFT) / c->hz);
}

/* "" if it is gone, or was never known. */
static const char *interface_name(struct pf_states_query *q, uint32_t ifindex)
{
	if (q->known != ifindex) {
		const struct pf_netif *i = pf_netif_by_index(q->ifs, (int)ifindex);
		const char *name = i ? i->name : pf_bound_name(q->bound, ifindex);

		q->known = ifindex;
		snprintf(q->name, sizeof(q->name), "%s", name ? name : "");
	}
	return q->name;
}

const struct pf_hop *pf_state_gateway(const struct pf_datapath *dp, const struct pf_state *s)
{
	return s->route ? &dp->opt_sets[s->peer[0].opts % PF_MAX_OPT_SETS].hop : NULL;
}

void pf_states_fill(struct pf_states_query *q, const struct pf_state *s, struct pf_wire_state *out)
{
	const struct pf_datapath *dp = q->dp;
	const struct pf_state_key *keys[2] = {&s->key, &s->stack};
	const struct pf_hop *hop;
	const char *tag;

	memset(out, 0, sizeof(*out));
	out->id = s->id;
	for (int k = 0; k < 2; k++) {
		for (int side = 0; side < 2; side++) {
			memcpy(out->addr[k][side], &keys[k]->addr[side], 16);
			out->port[k][side] = keys[k]->port[side];
		}
	}
	out->proto = s->key.proto;
	out->af = s->key.af;
	out->dir = s->dir;
	out->flags = (uint8_t)((s->flags & PF_SF_LOOSE ? PF_WIRE_STATE_LOOSE : 0) |
			       (s->flags & PF_SF_SLOPPY ? PF_WIRE_STATE_SLOPPY : 0) |
			       (s->peer[0].source ? PF_WIRE_STATE_SOURCE : 0));
	for (int p = 0; p < 2; p++) {
		out->peer_state[p] = s->peer_state[p];
		out->wscale[p] = s->wscale[p];
		out->seqlo[p] = s->peer[p].seqlo;
		out->seqhi[p] = s->peer[!p].other_seqhi;
		out->seqdiff[p] = s->peer[p].seqdiff;
		out->packets[p] = s->peer[p].packets;
		out->bytes[p] = s->peer[p].bytes;
	}
	out->age = (uint32_t)(pf_state_age(s, q->now) / dp->config->hz);
	out->expires = expires_in(dp, s, (uint32_t)(q->now >> PF_TICK_SHIFT));
	out->rule = pf_generation_number(q->gen, s->rule);
	out->anchor = s->anchor ? pf_generation_number(q->gen, s->anchor) : UINT32_MAX;
	hop = pf_state_gateway(dp, s);
	if (hop) {
		out->route = s->route == s->dir ? PF_ROUTE_TO : PF_REPLY_TO;
		memcpy(out->gateway, &hop->addr, sizeof(out->gateway));
		memcpy(out->gateway_if, hop->ifname, sizeof(out->gateway_if));
	}
	tag = s->flags & PF_SF_TAGGED ? pf_tag_name(q->tags, s->tag) : NULL;
	if (tag)
		strncpy(out->tag, tag, sizeof(out->tag) - 1);
	snprintf(out->origin, sizeof(out->origin), "%s", interface_name(q, s->ifindex));
	if (s->flags & PF_SF_IFBOUND)
		snprintf(out->ifname, sizeof(out->ifname), "%s", *out->origin ? out->origin : "-");
	else
		snprintf(out->ifname, sizeof(out->ifname), "all");
}

bool pf_states_next(struct pf_states_query *q, uint32_t *at, struct pf_wire_state *out)
{
	while (*at < q->dp->config->slots) {
		const struct pf_state *s = &q->dp->states[(*at)++];

		if (!pf_state_is_live(s) || (q->ifindex && q->ifindex != s->ifindex))
			continue;
		pf_states_fill(q, s, out);
		if (q->rule != UINT32_MAX && q->rule != out->rule)
			continue;
		/* it may have died while we read it */
		if (pf_state_is_live(s))
			return true;
	}
	return false;
}

void pf_states_sum(const struct pf_datapath *dp, struct pf_states_sum *out)
{
	memset(out, 0, sizeof(*out));
	for (uint32_t i = 0; i < dp->config->slots; i++) {
		const struct pf_state *s = &dp->states[i];

		if (!pf_state_is_live(s))
			continue;
		out->states++;
		out->packets += s->peer[0].packets + s->peer[1].packets;
		if (s->key.proto == 6 && s->peer_state[0] < TCPS_ESTABLISHED)
			out->half_open++;
	}
}

/* What a live state has counted, to one of the rules that it counts for. */
static void add_to_rule(const struct pf_generation *gen, const struct pf_state *s, uint32_t id,
			struct pf_rule_stats *stats)
{
	uint32_t rule = pf_generation_rule(gen, id);
	int in = s->dir == PF_IN ? 0 : 1;
	struct pf_rule_stats *r;

	if (rule == UINT32_MAX)
		return;
	r = &stats[rule];
	r->packets[0] += s->peer[in].packets;
	r->packets[1] += s->peer[!in].packets;
	r->bytes[0] += s->peer[in].bytes;
	r->bytes[1] += s->peer[!in].bytes;
}

static void add_to_matches(const struct pf_datapath *dp, const struct pf_generation *gen,
			   const struct pf_state *s, struct pf_rule_stats *stats)
{
	uint32_t n = s->nmatch;
	struct pf_match_more more;

	for (uint32_t i = 0; i < PF_MATCH_INLINE && i < n; i++)
		add_to_rule(gen, s, s->peer[i / 4].match[i % 4], stats);
	if (n <= PF_MATCH_INLINE ||
	    bpf_map_lookup_elem(pf_datapath_map(dp, "pf_match_more"), &s->id, &more))
		return;
	for (uint32_t i = PF_MATCH_INLINE; i < n && i < PF_MATCH_MOST; i++)
		add_to_rule(gen, s, more.id[i - PF_MATCH_INLINE], stats);
}

void pf_states_add_to_rules(const struct pf_datapath *dp, const struct pf_generation *gen,
			    struct pf_rule_stats *stats)
{
	for (uint32_t i = 0; i < dp->config->slots; i++) {
		const struct pf_state *s = &dp->states[i];

		if (!pf_state_is_live(s))
			continue;
		add_to_rule(gen, s, s->rule, stats);
		if (s->anchor)
			add_to_rule(gen, s, s->anchor, stats);
		if (s->nmatch)
			add_to_matches(dp, gen, s, stats);
	}
}
