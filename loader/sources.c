// SPDX-License-Identifier: BSD-2-Clause
#include "sources.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "srcmap.h"

/* A node as it was read. */
struct node {
	struct pf_src_key key;
	struct pf_src_node v;
};

static int compare(const void *a, const void *b)
{
	const struct node *x = a, *y = b;

	return memcmp(&x->key, &y->key, sizeof(x->key));
}

/* By key; for the caller to free. */
static int read_nodes(const struct pf_datapath *dp, struct node **out, size_t *n)
{
	return pf_srcmap_read(pf_datapath_map(dp, "pf_sources"), sizeof(**out), PF_SOURCES_MOST,
			      compare, out, n);
}

/* --- reading --- */

static struct node *find(struct node *v, size_t n, const struct pf_src_key *key)
{
	const struct node want = {.key = *key};

	return n ? bsearch(&want, v, n, sizeof(*v), compare) : NULL;
}

/* What live states have counted. */
static void add_states(const struct pf_datapath *dp, struct node *v, size_t n)
{
	for (uint32_t i = 0; n && i < dp->config->slots; i++) {
		const struct pf_state *s = &dp->states[i];
		const struct pf_opt_set *o = &dp->opt_sets[s->peer[0].opts % PF_MAX_OPT_SETS];
		uint32_t link = s->peer[0].source & PF_SOURCE_SERIAL;
		int in = s->dir == PF_IN ? 0 : 1;
		struct pf_src_key key = {.af = s->key.af};
		struct node *node;

		if (!link || !pf_state_counts(s))
			continue;
		key.addr = in ? s->stack.addr[1] : s->key.addr[0];
		key.rule = o->flags & PF_OPTS_BY_RULE ? s->rule : 0;
		node = find(v, n, &key);
		if (!node || (uint32_t)(node->v.states >> 32) != link)
			continue;
		for (int d = 0; d < 2; d++) {
			node->v.packets[d] += s->peer[d ? !in : in].packets;
			node->v.bytes[d] += s->peer[d ? !in : in].bytes;
		}
	}
}

/* As it has faded by now. */
static uint32_t rate_now(const struct pf_datapath *dp, const struct pf_src_node *v, uint32_t now)
{
	uint32_t ticks = pf_datapath_ticks(dp, v->seconds), since = now - (uint32_t)(v->rate >> 32);
	uint64_t n = (uint32_t)v->rate;

	if ((int32_t)since < 0)
		since = 0;
	return !ticks || since >= ticks ? 0 : (uint32_t)(n - n * since / ticks);
}

static void fill(const struct pf_datapath *dp, const struct pf_generation *gen, uint64_t jiffies,
		 const struct node *node, struct pf_wire_source *out)
{
	uint32_t now = (uint32_t)(jiffies >> PF_TICK_SHIFT);
	const struct pf_src_node *v = &node->v;
	int32_t left = (int32_t)(v->expire - now);

	memset(out, 0, sizeof(*out));
	memcpy(out->addr, &node->key.addr, sizeof(out->addr));
	out->af = (uint8_t)node->key.af;
	out->states = (uint32_t)v->states;
	out->connections = (uint32_t)v->conns;
	out->rate = rate_now(dp, v, now);
	out->seconds = v->seconds;
	out->age = (uint32_t)((jiffies - v->creation) / dp->config->hz);
	if (!out->states && left > 0)
		out->expires = (uint32_t)((uint64_t)left * (1U << PF_TICK_SHIFT) / dp->config->hz);
	out->packets = v->packets[0] + v->packets[1];
	out->bytes = v->bytes[0] + v->bytes[1];
	out->rule = node->key.rule ? pf_generation_number(gen, node->key.rule) : UINT32_MAX;
}

int pf_sources_list(const struct pf_datapath *dp, const struct pf_generation *gen,
		    struct pf_wire_source **out, size_t *n)
{
	uint64_t jiffies = pf_datapath_jiffies(dp);
	struct pf_wire_source *w;
	struct node *v;
	size_t have;
	int err = read_nodes(dp, &v, &have);

	if (err)
		return err;
	w = calloc(have + 1, sizeof(*w));
	if (!w) {
		free(v);
		return -ENOMEM;
	}
	add_states(dp, v, have);
	for (size_t i = 0; i < have; i++)
		fill(dp, gen, jiffies, &v[i], &w[i]);
	free(v);
	*out = w;
	*n = have;
	return 0;
}

/* --- taking out --- */

int pf_sources_kill(const struct pf_datapath *dp, const struct pf_kill_host *hosts,
		    unsigned int nhosts, uint32_t *n)
{
	static const struct pf_addr none;
	uint32_t killed = 0;
	struct node *v;
	size_t have;
	int err = read_nodes(dp, &v, &have);

	if (err)
		return err;
	for (size_t i = 0; i < have; i++) {
		uint8_t af = (uint8_t)v[i].key.af;

		if (!pf_kill_host_matches(&hosts[0], af, &v[i].key.addr) ||
		    (nhosts > 1 && !pf_kill_host_matches(&hosts[1], af, &none)))
			continue;
		killed += pf_datapath_forget_source(dp, &v[i].key);
	}
	free(v);
	*n = killed;
	return 0;
}
