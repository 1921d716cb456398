// SPDX-License-Identifier: BSD-2-Clause
#include "save.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "../grammar/check.h"
#include "../lib/model.h"
#include "states.h"

/*
 * What a rule is known by: the path of its ruleset, what it says, and the version of how
 * that is written.
 */
static int rule_digest(const struct pf_policy *p, uint32_t rule, struct pf_saved_rule *out)
{
	pf_buf_auto b = {0};
	SHA2_CTX sum;

	pf_put_u32(&b, PF_MODEL_VERSION);
	pf_put_string(&b, p->sets[p->set_of[rule]].path);
	pf_model_encode_rule(p->rules[rule], &b);
	if (b.failed)
		return -ENOMEM;
	SHA256Init(&sum);
	SHA256Update(&sum, b.data, b.len);
	SHA256Final(out->digest, &sum);
	return 0;
}

static uint64_t ticks_to_ms(const struct pf_datapath *dp, uint32_t ticks)
{
	return ((uint64_t)ticks << PF_TICK_SHIFT) * 1000 / dp->config->hz;
}

/* --- saving --- */

struct saver {
	const struct pf_engine *g;
	uint64_t now;
	uint32_t *number; /* of each rule in the block, 0 none as yet */
	struct pf_saved_block block;
	bool nomem;
};

/* Of a rule's id; none if it is not in force. */
static uint32_t rule_number(struct saver *sv, uint32_t id)
{
	const struct pf_generation *gen = sv->g->active;
	uint32_t rule = pf_generation_rule(gen, id);
	struct pf_saved_rule r;

	if (rule == UINT32_MAX)
		return 0;
	if (!sv->number[rule]) {
		if (rule_digest(gen->policy, rule, &r))
			sv->nomem = true;
		else
			sv->number[rule] = pf_saved_add_rule(&sv->block, &r);
	}
	return sv->number[rule];
}

/* Those that are in force still. */
static void take_matches(struct saver *sv, struct pf_saved_state *v)
{
	struct pf_match_more more = {{0}};
	uint32_t n = v->s.nmatch, kept = 0;

	if (n > PF_MATCH_INLINE &&
	    bpf_map_lookup_elem(pf_datapath_map(&sv->g->dp, "pf_match_more"), &v->s.id, &more))
		n = PF_MATCH_INLINE;
	for (uint32_t i = 0; i < n; i++) {
		uint32_t id = i < PF_MATCH_INLINE ? v->s.peer[i / 4].match[i % 4]
						  : more.id[i - PF_MATCH_INLINE];
		uint32_t number = rule_number(sv, id);

		if (number)
			v->match[kept++] = number;
	}
	v->s.nmatch = (uint8_t)kept;
}

static void save_gateway(struct saver *sv, const struct pf_state *s, struct pf_saved_state *v)
{
	const struct pf_hop *hop = pf_state_gateway(&sv->g->dp, s);

	if (!hop)
		return;
	v->gateway = hop->addr;
	if (pf_name_ok(hop->ifname, sizeof(hop->ifname)))
		v->gateway_if = pf_saved_add_ifname(&sv->block, hop->ifname);
}

static void save_state(struct saver *sv, const struct pf_state *s)
{
	const struct pf_engine *g = sv->g;
	const struct pf_netif *i = pf_netif_by_index(&g->ifs, (int)s->ifindex);
	const char *ifname = i ? i->name : pf_bound_name(&g->bound, s->ifindex);
	uint32_t tick = (uint32_t)(sv->now >> PF_TICK_SHIFT);
	struct pf_saved_state v = {.s = *s};
	const char *tag = s->flags & PF_SF_TAGGED ? pf_tag_name(&g->gens.tags, s->tag) : NULL;

	v.s.flags &= PF_SF_ALL;
	v.age = pf_state_age(s, sv->now) * 1000 / g->dp.config->hz;
	for (int p = 0; p < 2; p++)
		if ((int32_t)(tick - s->peer[p].last) > 0)
			v.idle[p] = ticks_to_ms(&g->dp, tick - s->peer[p].last);
	v.rule = rule_number(sv, s->rule);
	v.anchor = v.rule && s->anchor ? rule_number(sv, s->anchor) : 0;
	if (tag)
		v.tag = pf_saved_add_tag(&sv->block, tag);
	else
		v.s.flags &= (uint8_t)~PF_SF_TAGGED;
	if (ifname && pf_name_ok(ifname, IFNAMSIZ))
		v.ifname = pf_saved_add_ifname(&sv->block, ifname);
	save_gateway(sv, s, &v);
	take_matches(sv, &v);
	if (pf_saved_state_ok(&v))
		pf_saved_add(&sv->block, &v);
}

bool pf_save_block(const struct pf_engine *g, uint64_t now, uint32_t *at, struct pf_buf *out)
{
	struct saver sv = {.g = g, .now = now};

	sv.number = calloc((size_t)g->active->policy->nrules + 1, sizeof(*sv.number));
	sv.nomem = !sv.number;
	while (!sv.nomem && *at < g->dp.config->slots && !pf_saved_block_full(&sv.block)) {
		const struct pf_state *s = &g->dp.states[(*at)++];
		struct pf_state copy;

		if (__atomic_load_n(&s->status, __ATOMIC_ACQUIRE) != PF_SLOT_LIVE)
			continue;
		copy = *s;
		/* it may have died while we read it */
		if (__atomic_load_n(&s->status, __ATOMIC_ACQUIRE) == PF_SLOT_LIVE)
			save_state(&sv, &copy);
	}
	if (sv.block.nstates)
		pf_saved_put_block(&sv.block, out);
	out->failed |= sv.nomem;
	free(sv.number);
	pf_saved_block_free(&sv.block);
	return out->len || out->failed;
}

/* --- loading --- */

struct known_rule {
	struct pf_saved_rule name;
	uint32_t rule;
};

struct restorer {
	struct pf_engine *g;
	uint64_t now;
	struct known_rule *known; /* by name */
	size_t nknown;
	/* the last gateway of a state that no rule in force has made, and its number */
	struct pf_hop hop;
	int hop_number;
	bool bound; /* those that are bound to interfaces are taken, or the others */
	struct pf_restored n;
};

/* Of equal ones the last comes first: it is the one that wins. */
static int compare_known(const void *a, const void *b)
{
	const struct known_rule *x = a, *y = b;
	int order = memcmp(&x->name, &y->name, sizeof(x->name));

	return order ? order : (x->rule < y->rule) - (x->rule > y->rule);
}

static int know_rules(struct restorer *r)
{
	const struct pf_policy *p = r->g->active->policy;

	r->known = calloc((size_t)p->nrules + 1, sizeof(*r->known));
	if (!r->known)
		return -ENOMEM;
	for (uint32_t i = 0; i < p->nrules; i++) {
		struct known_rule *k = &r->known[r->nknown];

		if (p->rules[i] == &pf_policy_dead)
			continue;
		if (rule_digest(p, i, &k->name))
			return -ENOMEM;
		k->rule = i;
		r->nknown++;
	}
	qsort(r->known, r->nknown, sizeof(*r->known), compare_known);
	return 0;
}

/* The id of the rule in force that is the block's rule of this number; the default rule's. */
static uint32_t rule_id(const struct restorer *r, const struct pf_saved_names *names,
			uint32_t number)
{
	size_t lo = 0, hi = r->nknown;

	if (!number)
		return PF_RULE_DEFAULT;
	while (lo < hi) {
		size_t mid = (lo + hi) / 2;

		if (memcmp(&r->known[mid].name, &names->rules[number - 1],
			   sizeof(struct pf_saved_rule)) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	if (lo == r->nknown || memcmp(&r->known[lo].name, &names->rules[number - 1],
				      sizeof(struct pf_saved_rule)) != 0)
		return PF_RULE_DEFAULT;
	return r->g->active->rule_ids[r->known[lo].rule];
}

static uint32_t ifindex_of(const struct restorer *r, const char *name)
{
	for (const struct pf_netif *i = r->g->ifs.first; i; i = i->next)
		if (strcmp(i->name, name) == 0)
			return (uint32_t)i->ifindex;
	return 0;
}

/* A state that is bound waits for an interface that is not there. */
static void give_interface(const struct restorer *r, const struct pf_saved_names *names,
			   const struct pf_saved_state *v, struct pf_state *s)
{
	const char *name = v->ifname ? names->ifnames[v->ifname - 1].text : NULL;

	s->ifindex = name ? ifindex_of(r, name) : 0;
	if (name && r->bound && !s->ifindex)
		s->ifindex = pf_bound_await(&r->g->bound, name);
}

/* A number of its own, for its further match rules are found by that. */
static void give_matches(const struct restorer *r, const struct pf_saved_names *names,
			 const struct pf_saved_state *v, struct pf_state *s)
{
	const struct pf_datapath *dp = &r->g->dp;
	struct pf_match_more more = {{0}};
	uint32_t n = 0;

	for (int i = 0; i < v->s.nmatch; i++) {
		uint32_t id = rule_id(r, names, v->match[i]);

		if (id == PF_RULE_DEFAULT)
			continue;
		if (r->g->tables.rules.there[id])
			s->flags |= PF_SF_METERED;
		if (n < PF_MATCH_INLINE)
			s->peer[n / 4].match[n % 4] = id;
		else
			more.id[n - PF_MATCH_INLINE] = id;
		n++;
	}
	s->id = __atomic_fetch_add(&dp->status->next_id, 1, __ATOMIC_RELAXED);
	if (n > PF_MATCH_INLINE &&
	    bpf_map_update_elem(pf_datapath_map(dp, "pf_match_more"), &s->id, &more, BPF_ANY))
		n = PF_MATCH_INLINE;
	s->nmatch = (uint8_t)n;
}

/* Do packets of the rule's states count, for its tables or its max-pkt-rate? */
static bool is_metered(const struct pf_engine *g, uint32_t id)
{
	uint32_t rule = pf_generation_rule(g->active, id);
	const struct pf_rule *v = rule == UINT32_MAX ? NULL : g->active->policy->rules[rule];

	return v && (g->tables.rules.there[id] ||
		     (v->keep_state && pf_rule_ext_of(v)->max_pkt_rate.limit));
}

static void insert(struct restorer *r, const struct pf_state *s)
{
	switch (pf_datapath_insert(&r->g->dp, s, true)) {
	case PF_INSERTED:
		r->n.loaded++;
		r->n.unruled += s->rule == PF_RULE_DEFAULT;
		return;
	case PF_INSERT_EXISTS:
	case PF_INSERT_CLASH:
		r->n.there++;
		break;
	default:
		r->n.refused++;
		break;
	}
	if (s->nmatch > PF_MATCH_INLINE)
		bpf_map_delete_elem(pf_datapath_map(&r->g->dp, "pf_match_more"), &s->id);
}

/* The number of the gateway of a state whose rule has the options `opts'; or negative. */
static int give_gateway(struct restorer *r, const struct pf_saved_names *names,
			const struct pf_saved_state *v, uint16_t opts)
{
	struct pf_generations *gens = &r->g->gens;
	struct pf_hop hop = {.addr = v->gateway, .af = v->s.key.af};
	const char *name = v->gateway_if ? names->ifnames[v->gateway_if - 1].text : "";

	/* a rule that says the same has the same one */
	if (r->g->dp.opt_sets[opts].hop.af)
		return opts;
	if (strlen(name) >= sizeof(hop.ifname))
		return -EINVAL;
	memcpy(hop.ifname, name, strlen(name));
	if (r->hop_number <= 0 || memcmp(&r->hop, &hop, sizeof(hop)) != 0) {
		r->hop = hop;
		r->hop_number = pf_optsets_hop(&gens->opts, &hop, &gens->stats);
	}
	return r->hop_number;
}

static uint32_t ms_to_ticks(const struct pf_datapath *dp, uint64_t ms)
{
	const uint64_t most = INT32_MAX; /* the clock's half: what is older has ended anyway */
	uint64_t ticks;

	if (ms > most * 1000)
		return (uint32_t)most;
	ticks = ms * dp->config->hz / 1000 >> PF_TICK_SHIFT;
	return (uint32_t)(ticks < most ? ticks : most);
}

static int restore_state(void *ctx, const struct pf_saved_names *names,
			 const struct pf_saved_state *v)
{
	struct restorer *r = ctx;
	const struct pf_datapath *dp = &r->g->dp;
	uint32_t tick = (uint32_t)(r->now >> PF_TICK_SHIFT);
	struct pf_state s = v->s;
	int opts;

	if (!(s.flags & PF_SF_IFBOUND) == r->bound)
		return 0;
	for (int p = 0; p < 2; p++)
		s.peer[p].last = tick - ms_to_ticks(dp, v->idle[p]);
	s.creation = r->now - (v->age < UINT64_MAX / 1000000 ? v->age * dp->config->hz / 1000 : 0);
	s.rule = rule_id(r, names, v->rule);
	s.anchor = s.rule == PF_RULE_DEFAULT ? 0 : rule_id(r, names, v->anchor);
	if (v->tag) {
		int tag = pf_tag_id(&r->g->gens.tags, names->tags[v->tag - 1].text);

		if (tag < 0)
			return tag;
		s.tag = (uint16_t)tag;
	}
	give_interface(r, names, v, &s);
	if (r->bound && !s.ifindex) {
		r->n.refused++;
		return 0;
	}
	opts = r->g->gens.opts.of_rule[s.rule];
	if (s.route)
		opts = give_gateway(r, names, v, (uint16_t)opts);
	if (opts < 0) {
		r->n.refused++;
		return 0;
	}
	s.peer[0].opts = (uint16_t)opts;
	if (is_metered(r->g, s.rule))
		s.flags |= PF_SF_METERED;
	give_matches(r, names, v, &s);
	insert(r, &s);
	return 0;
}

/* A tag that cannot be had is found out before any state is made. */
static int know_tags(void *ctx, const struct pf_saved_names *names, const struct pf_saved_state *v)
{
	struct restorer *r = ctx;
	int tag = v->tag ? pf_tag_id(&r->g->gens.tags, names->tags[v->tag - 1].text) : 0;

	return tag < 0 ? tag : 0;
}

int pf_restore(struct pf_engine *g, const void *data, size_t len, struct pf_restored *out,
	       struct pf_error_text *e)
{
	struct restorer r = {.g = g, .now = pf_datapath_jiffies(&g->dp)};
	char why[200] = "out of memory";
	uint32_t n;
	int err = know_rules(&r);

	if (!err)
		err = pf_saved_read(data, len, know_tags, &r, &n, why, sizeof(why));
	/* bound ones first: see bpf/table.h */
	r.bound = true;
	if (!err)
		err = pf_saved_read(data, len, restore_state, &r, &n, why, sizeof(why));
	r.bound = false;
	if (!err)
		err = pf_saved_read(data, len, restore_state, &r, &n, why, sizeof(why));
	free(r.known);
	if (err)
		return pf_fail(e, err, "%s", why);
	*out = r.n;
	pf_say(LOG_INFO, "%u states loaded, %u were there already, %u refused", r.n.loaded,
	       r.n.there, r.n.refused);
	return 0;
}
