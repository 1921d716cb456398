// SPDX-License-Identifier: BSD-2-Clause
#include "engine.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "../lib/model.h"
#include "adopt.h"
#include "conntrack.h"
#include "pin.h"
#include "tabledelta.h"

#define DEFAULT_STATES	  100000
#define SWEEP_FALLBACK_MS 10
#define WRITTEN_MS	  100 /* what the datapath adds to tables waits so long */

/* --- options --- */

static uint32_t source_limit(const struct pf_options *o)
{
	uint32_t limit = o->limit[PF_LIMIT_SRC_NODES];

	if (limit <= PF_SOURCES_MOST)
		return limit;
	pf_say(LOG_WARNING, "room for %u src-nodes only, not for the limit of %u", PF_SOURCES_MOST,
	       limit);
	return PF_SOURCES_MOST;
}

static void apply_options(struct pf_engine *g, const struct pf_options *o)
{
	struct pf_config *c = g->dp.config;
	uint64_t slice;

	for (int i = 0; i < PF_TIMEOUT_MAX; i++) {
		bool count = i == PF_TIMEOUT_ADAPTIVE_START || i == PF_TIMEOUT_ADAPTIVE_END;

		c->timeout[i] = count ? o->timeout[i] : pf_datapath_ticks(&g->dp, o->timeout[i]);
	}
	/* one round over all slots in each interval */
	slice = (uint64_t)c->slots * c->sweep_ns /
			((uint64_t)o->timeout[PF_TIMEOUT_INTERVAL] * 1000000000) +
		1;
	c->sweep_slice = (uint32_t)slice;
	__atomic_store_n(&c->state_limit, o->limit[PF_LIMIT_STATES], __ATOMIC_RELAXED);
	__atomic_store_n(&c->source_limit, source_limit(o), __ATOMIC_RELAXED);
	g->tables.limit_tables = o->limit[PF_LIMIT_TABLES];
	g->tables.limit_entries = o->limit[PF_LIMIT_TABLE_ENTRIES];
}

/* --- growing the state table --- */

static int relink(struct pf_engine *g, const struct pf_datapath *dp, struct pf_error_text *e)
{
	struct pf_attach attach = {.dp = dp, .kind = g->attach.kind};
	int err = 0;

	for (const struct pf_netif *i = g->ifs.first; i && !err; i = i->next)
		if (dp->config->enabled && !pf_engine_skips(g, i))
			err = pf_attach_on(&attach, i, e);
	return err;
}

static int grow(struct pf_engine *g, uint32_t states, struct pf_error_text *e)
{
	struct pf_datapath next, *old = malloc(sizeof(*old));
	struct pf_generation *gens[] = {g->active, g->fallback};
	const uint32_t slot = PF_GEN_APPLY;
	struct pf_error_text ignored;
	int err, apply;

	if (!old)
		return pf_fail(e, -ENOMEM, "out of memory");
	err = pf_datapath_grow(&next, &g->dp, states, e);
	if (err) {
		pf_datapath_close(&next);
		free(old);
		return err;
	}
	apply = pf_datapath_apply(&next);
	for (size_t i = 0; i < 2; i++)
		if (gens[i] && !err)
			err = bpf_map_update_elem(gens[i]->program.jump, &slot, &apply, BPF_ANY);
	if (err)
		pf_fail(e, err, "cannot enlarge the state table: %s", strerror(-err));
	else
		err = relink(g, &next, e);
	if (err) {
		/* back: nothing of the old one has gone */
		apply = pf_datapath_apply(&g->dp);
		for (size_t i = 0; i < 2; i++)
			if (gens[i])
				bpf_map_update_elem(gens[i]->program.jump, &slot, &apply, BPF_ANY);
		relink(g, &g->dp, &ignored);
		g->dp.config->sweep_slice = next.config->sweep_slice;
		pf_datapath_close(&next);
		free(old);
		return err;
	}
	*old = g->dp;
	g->dp = next;
	err = pf_datapath_grown(&g->dp, old, e);
	free(old);
	return err;
}

/*
 * A limit is no promise of memory: what it allows beyond this machine's is
 * refused when it comes, and counted, as at a limit.
 */
static int make_room(struct pf_engine *g, const struct pf_options *o, uint32_t *room,
		     struct pf_error_text *e)
{
	uint32_t wanted = o->limit[PF_LIMIT_STATES], states, have = pf_datapath_capacity(&g->dp);
	int err = 0;

	*room = 0;
	if (wanted <= have)
		return 0;
	states = pf_datapath_affordable(wanted);
	if (states > have)
		err = grow(g, states, e);
	have = pf_datapath_capacity(&g->dp);
	if (!err && have < wanted) {
		*room = have;
		pf_say(LOG_WARNING, "memory for %u states only, not for the limit of %u", have,
		       wanted);
	}
	return err;
}

/* --- rulesets --- */

/* The one that `gen` replaces is gone, unless it may come back. */
static void retire(struct pf_engine *g, struct pf_generation *old, bool keep)
{
	if (!old)
		return;
	if (!keep) {
		pf_generation_destroy(&g->gens, old);
		return;
	}
	/* if one waits already, that is the one that was confirmed: `old` never was */
	if (g->fallback && g->fallback != old)
		pf_generation_destroy(&g->gens, old);
	else
		g->fallback = old;
}

static void drop_fallback(struct pf_engine *g)
{
	if (g->fallback)
		pf_generation_destroy(&g->gens, g->fallback);
	g->fallback = NULL;
	g->dp.config->confirm_at = 0;
	g->dp.config->confirm_gen = 0;
	pf_timer_once(&g->confirm, 0);
}

/* Limiters that no rules which are or may come into force define. */
static void settle_limiters(const struct pf_engine *g)
{
	const struct pf_ruleset *back = g->fallback ? g->fallback->rs : NULL;
	int err = pf_limiters_settle(&g->dp, &g->gens.stats, g->active->rs, back);

	if (err)
		pf_say(LOG_ERR, "limiters that are not defined any more: %s", strerror(-err));
}

static void expect_confirm(struct pf_engine *g, uint32_t seconds)
{
	g->dp.config->confirm_gen = g->fallback->id;
	g->dp.config->confirm_at = pf_boot_seconds() + seconds;
	pf_timer_once(&g->confirm, (uint64_t)seconds * 1000);
}

/* Log records come later than the packets: the rules may be of a generation before. */
static const char *path_of_rule(void *ctx, uint32_t id)
{
	const struct pf_engine *g = ctx;
	const struct pf_generation *gens[] = {g->active, g->retiring, g->fallback};

	for (size_t i = 0; i < sizeof(gens) / sizeof(gens[0]); i++) {
		uint32_t rule = pf_generation_rule(gens[i], id);

		if (rule != UINT32_MAX)
			return gens[i]->policy->sets[gens[i]->policy->set_of[rule]].path;
	}
	if (g->retiring_patch && pf_patch_had(g->retiring_patch, id))
		return g->retiring_patch->path;
	return "";
}

static uint32_t number_of_rule(void *ctx, uint32_t id)
{
	const struct pf_engine *g = ctx;
	const struct pf_generation *gens[] = {g->active, g->retiring, g->fallback};
	uint32_t number = UINT32_MAX;

	for (size_t i = 0; i < sizeof(gens) / sizeof(gens[0]) && number == UINT32_MAX; i++)
		number = pf_generation_number(gens[i], id);
	return number;
}

static void write_last_logs(struct pf_engine *g, struct pf_generation *of)
{
	g->retiring = of;
	pf_pflog_drain(&g->log);
	g->retiring = NULL;
}

/* Only tables that the datapath writes are looked at. */
static void watch_tables(struct pf_engine *g)
{
	pf_timer_every(&g->written, g->tables.nwritten ? WRITTEN_MS : 0);
}

/* A made generation into force; if that fails, all is as it was. */
static int put_in_force(struct pf_engine *g, struct pf_generation *gen, struct pf_error_text *e)
{
	int err = pf_engine_attach(g, gen, e);
	struct pf_error_text ignored;

	if (!err)
		err = pf_limiters_define(&g->tables, gen, e);
	if (!err)
		err = pf_generation_switch(&g->gens, gen, e);
	if (err) {
		if (g->active)
			pf_limiters_define(&g->tables, g->active, &ignored);
		pf_engine_settle(g);
		return err;
	}
	g->active = gen;
	pf_bindings_uncount(&g->gens, gen);
	apply_options(g, &gen->rs->options);
	pf_engine_settle(g);
	watch_tables(g);
	return 0;
}

/* Connections that have no state, for everything passed without one. */
static void adopt_connections(struct pf_engine *g, struct pf_loaded *out)
{
	struct pf_conntracked tracked = {0};
	struct pf_error_text e;
	int n = pf_adopt_sockets(&g->dp, &e);

	if (n < 0)
		pf_say(LOG_WARNING, "connections that exist are not taken in: %s", e.text);
	else
		out->adopted += (uint32_t)n;
	if (pf_adopt_conntrack(&g->dp, &g->ifs, &tracked, &e))
		pf_say(LOG_WARNING, "connections that exist are not taken in: %s", e.text);
	out->adopted += tracked.made;
	out->skipped = tracked.skipped;
}

static void restore_table_limits(struct pf_engine *g, uint32_t tables, uint32_t entries)
{
	g->tables.limit_tables = tables;
	g->tables.limit_entries = entries;
}

/* An anchor's rules alone; -EOPNOTSUPP if more has to be made. */
static int patch_ruleset(struct pf_engine *g, const char *path, struct pf_ruleset *rs,
			 struct pf_error_text *e)
{
	struct pf_patch patch;
	int err = pf_generation_patch(&g->gens, g->active, path, rs, &patch, e);

	if (err)
		return err;
	g->retiring_patch = &patch;
	pf_pflog_drain(&g->log);
	g->retiring_patch = NULL;
	pf_patch_free(&g->gens, &patch);
	watch_tables(g);
	return 0;
}

static int load_ruleset(struct pf_engine *g, const char *path, struct pf_ruleset *rs,
			uint32_t confirm, struct pf_loaded *out, struct pf_error_text *e)
{
	struct pf_generation *gen = NULL, *old = g->active;
	uint32_t entries = g->tables.limit_entries, tables = g->tables.limit_tables;
	bool first;
	int err;

	memset(out, 0, sizeof(*out));
	/* options are the main ruleset's */
	if (*path)
		rs->options = old->rs->options;
	/* what may come back stays as it is */
	if (*path && !confirm && !g->fallback) {
		err = patch_ruleset(g, path, rs, e);
		if (err != -EOPNOTSUPP)
			return err;
	}
	err = *path ? 0 : pf_limiters_check(rs, old ? old->rs : NULL, &g->dp, e);
	if (err) {
		pf_ruleset_free(rs);
		return err;
	}
	/* the new limits hold for what comes with them */
	g->tables.limit_tables = rs->options.limit[PF_LIMIT_TABLES];
	g->tables.limit_entries = rs->options.limit[PF_LIMIT_TABLE_ENTRIES];
	err = make_room(g, &rs->options, &out->room, e);
	if (err)
		pf_ruleset_free(rs);
	else
		err = pf_generation_make(&g->gens, path, rs, old, &gen, e);
	if (err) {
		restore_table_limits(g, tables, entries);
		return err;
	}
	first = gen->policy->nrules && (!old || !old->policy->nrules);
	if (first)
		adopt_connections(g, out);
	err = put_in_force(g, gen, e);
	if (err) {
		restore_table_limits(g, tables, entries);
		pf_generation_destroy(&g->gens, gen);
		return err;
	}
	/* and those that came between the look at the sockets and the switch */
	if (first)
		adopt_connections(g, out);
	if (old) {
		write_last_logs(g, old);
		pf_generation_carry(&g->gens, gen, old);
	}
	retire(g, old, confirm);
	if (confirm) {
		expect_confirm(g, confirm);
	} else {
		drop_fallback(g);
		pf_optsets_settle(&g->gens.opts);
	}
	settle_limiters(g);
	return 0;
}

static uint32_t rules_in_force(const struct pf_engine *g)
{
	return g->active->policy->nrules - g->active->policy->ndead;
}

int pf_engine_load(struct pf_engine *g, const char *path, const void *model, size_t len,
		   uint32_t confirm, struct pf_loaded *out, struct pf_error_text *e)
{
	struct pf_ruleset *rs = NULL;
	char why[256];
	int err = pf_model_decode(model, len, &rs, why, sizeof(why));

	if (err)
		return pf_fail(e, err, "%s", err == -ENOMEM ? "out of memory" : why);
	err = load_ruleset(g, path, rs, confirm, out, e);
	if (!err)
		pf_say(LOG_INFO, "%u rules loaded%s", rules_in_force(g),
		       confirm ? ", to be confirmed" : "");
	return err;
}

int pf_engine_remake(struct pf_engine *g, struct pf_error_text *e)
{
	struct pf_generation *gen = NULL, *old = g->active;
	int err = pf_generation_remake(&g->gens, old, &gen, e);

	if (err)
		return err;
	err = put_in_force(g, gen, e);
	if (err) {
		pf_generation_destroy(&g->gens, gen);
		return err;
	}
	write_last_logs(g, old);
	pf_generation_carry(&g->gens, gen, old);
	pf_generation_destroy(&g->gens, old);
	return 0;
}

int pf_engine_confirm(struct pf_engine *g, struct pf_error_text *e)
{
	if (!g->fallback)
		return pf_fail(e, -ENOENT, "there is nothing to confirm");
	drop_fallback(g);
	settle_limiters(g);
	pf_say(LOG_INFO, "the rules are confirmed");
	return 0;
}

static void roll_back(void *ctx)
{
	struct pf_engine *g = ctx;
	struct pf_generation *unconfirmed = g->active, *back = g->fallback;
	struct pf_error_text e;

	if (!back)
		return;
	g->fallback = NULL;
	if (put_in_force(g, back, &e)) {
		pf_say(LOG_CRIT, "cannot go back to the rules of before: %s", e.text);
		g->fallback = back;
		return;
	}
	write_last_logs(g, unconfirmed);
	pf_generation_destroy(&g->gens, unconfirmed);
	drop_fallback(g);
	settle_limiters(g);
	pf_say(LOG_WARNING, "the rules were not confirmed: those of before are back");
}

int pf_engine_flush_rules(struct pf_engine *g, const char *path, struct pf_error_text *e)
{
	struct pf_ruleset *rs;
	struct pf_loaded ignored;

	if (!pf_engine_anchor_exists(g, path))
		return pf_fail(e, -ENOENT, "Anchor does not exist.");
	if (!pf_anchors_find(&g->active->anchors, path))
		return 0; /* tables alone, or others below it */
	rs = pf_ruleset_new();
	if (!rs)
		return pf_fail(e, -ENOMEM, "out of memory");
	rs->options = g->active->rs->options;
	for (size_t i = 0; i < g->active->rs->nskip; i++) {
		if (pf_ruleset_add_skip(rs, g->active->rs->skip[i])) {
			pf_ruleset_free(rs);
			return pf_fail(e, -ENOMEM, "out of memory");
		}
	}
	return load_ruleset(g, path, rs, 0, &ignored, e);
}

void pf_engine_debug(struct pf_engine *g, uint32_t level)
{
	pf_say_level((int)level);
	g->dp.config->debug = level;
}

int pf_engine_reset(struct pf_engine *g, struct pf_error_text *e)
{
	struct pf_ruleset *rs = g->active->rs;
	struct pf_options options = rs->options;
	size_t nskip = rs->nskip;
	uint32_t room;
	int err;

	pf_options_init(&rs->options);
	rs->nskip = 0;
	err = make_room(g, &rs->options, &room, e);
	if (!err)
		err = pf_engine_attach(g, g->active, e);
	if (!err)
		err = pf_generation_record(&g->gens, g->active, e);
	if (err) {
		rs->options = options;
		rs->nskip = nskip;
	} else {
		apply_options(g, &rs->options);
		pf_engine_debug(g, LOG_ERR);
	}
	pf_engine_settle(g);
	return err;
}

int pf_engine_enable(struct pf_engine *g, bool on, struct pf_error_text *e)
{
	if (g->dp.config->enabled == on)
		return pf_fail(e, on ? -EEXIST : -ENOENT, "%s",
			       on ? "pf already enabled" : "pf not enabled");
	g->dp.config->enabled = on;
	g->dp.config->since = pf_boot_seconds();
	if (pf_engine_settle(g))
		return pf_fail(e, -EIO, "not all interfaces could be attached: see pfd's log");
	return 0;
}

/* --- counters --- */

static uint64_t since(uint64_t now, uint64_t base)
{
	return now > base ? now - base : 0;
}

static int raw_stats(struct pf_engine *g, struct pf_rule_stats *stats, uint64_t *evals)
{
	int err = pf_generation_stats(&g->gens, g->active, stats, evals);

	if (!err)
		pf_states_add_to_rules(&g->dp, g->active, stats);
	return err;
}

int pf_engine_rule_stats(struct pf_engine *g, struct pf_wire_rule *out, struct pf_error_text *e)
{
	const struct pf_generation *gen = g->active;
	size_t n = gen->policy->nrules;
	struct pf_rule_stats *stats = calloc(n + 1, sizeof(*stats));
	uint64_t *evals = calloc(n + 1, sizeof(*evals));
	int err = stats && evals ? raw_stats(g, stats, evals) : -ENOMEM;

	for (size_t i = 0; i < n && !err; i++) {
		const struct pf_rule_stats *s = &stats[i], *base = &gen->base[i];
		struct pf_wire_rule *o = &out[i];

		memset(o, 0, sizeof(*o));
		o->evaluations = since(evals[i], gen->base_evals[i]);
		for (int d = 0; d < 2; d++) {
			o->packets[d] = since(s->packets[d], base->packets[d]);
			o->bytes[d] = since(s->bytes[d], base->bytes[d]);
		}
		o->states_made = since(s->states, base->states);
		o->states_now = since(s->states, s->states_gone);
		for (int k = 0; k < PF_SKIP_MAX; k++)
			o->skip[k] = gen->code->skips[i].to[k];
		o->reachable = gen->code->reachable[i];
		o->expired = pf_meter_expired(&g->gens.meters, gen->rule_ids[i]);
	}
	free(stats);
	free(evals);
	return err ? pf_fail(e, err, "cannot read the counters: %s", strerror(-err)) : 0;
}

void pf_engine_clear_rule_stats(struct pf_engine *g)
{
	raw_stats(g, g->active->base, g->active->base_evals);
}

static uint64_t searches(const struct pf_engine *g, const struct pf_states_sum *sum)
{
	return pf_datapath_counter(&g->dp, PF_CNT_MISS) +
	       pf_datapath_counter(&g->dp, PF_CNT_HITS_RETIRED) + sum->packets;
}

static uint64_t counter(const struct pf_engine *g, uint32_t which)
{
	return since(pf_datapath_counter(&g->dp, which), g->dp.config->cleared[which]);
}

static uint32_t attached(const struct pf_engine *g)
{
	uint32_t n = 0;

	for (const struct pf_netif *i = g->ifs.first; i; i = i->next)
		n += g->dp.config->enabled && !pf_engine_skips(g, i);
	return n;
}

void pf_engine_status(struct pf_engine *g, struct pf_wire_status *out)
{
	const struct pf_config *c = g->dp.config;
	uint64_t now = pf_boot_seconds();
	struct pf_states_sum sum;

	memset(out, 0, sizeof(*out));
	pf_states_sum(&g->dp, &sum);
	out->enabled = c->enabled;
	out->debug = c->debug;
	out->since = since(now, c->since);
	out->states = g->dp.status->states;
	out->half_open = sum.half_open;
	out->searches = since(searches(g, &sum), c->cleared_searches);
	out->inserts = counter(g, PF_CNT_INSERTS);
	out->removals = counter(g, PF_CNT_REMOVALS);
	for (uint32_t i = 0; i < PF_WIRE_REASONS; i++)
		out->reasons[i] = counter(g, PF_CNT_REASON + i);
	for (uint32_t i = 0; i < PF_WIRE_LIMITS; i++)
		out->limits[i] = counter(g, PF_CNT_LIMIT + i);
	out->logged = counter(g, PF_CNT_LOGGED);
	out->log_lost = counter(g, PF_CNT_LOG_LOST);
	out->answers = counter(g, PF_CNT_ANSWERS);
	out->no_answer = counter(g, PF_CNT_NO_ANSWER);
	out->unjudged = counter(g, PF_CNT_UNJUDGED);
	out->vlan_deep = counter(g, PF_CNT_VLAN);
	out->unknown_link = counter(g, PF_CNT_LINKTYPE);
	out->no_flush = counter(g, PF_CNT_NO_FLUSH);
	out->sources = g->dp.status->sources;
	out->source_searches = counter(g, PF_CNT_SRC_SEARCHES);
	out->source_inserts = counter(g, PF_CNT_SRC_INSERTS);
	out->source_removals = counter(g, PF_CNT_SRC_REMOVALS);
	out->no_room = counter(g, PF_CNT_NO_ROOM);
	out->interfaces = attached(g);
	/* the clock counts whole seconds: within the last one the rules still wait */
	out->confirm_left = c->confirm_at ? (uint32_t)since(c->confirm_at, now) : 0;
	if (c->confirm_at && !out->confirm_left)
		out->confirm_left = 1;
	out->rules = rules_in_force(g);
	out->tables = g->tables.ntables;
}

void pf_engine_clear_status(struct pf_engine *g)
{
	struct pf_config *c = g->dp.config;
	struct pf_states_sum sum;

	pf_states_sum(&g->dp, &sum);
	for (uint32_t i = 0; i < PF_CNT_MAX; i++)
		c->cleared[i] = pf_datapath_counter(&g->dp, i);
	c->cleared_searches = searches(g, &sum);
	c->since = pf_boot_seconds();
}

/* --- life --- */

/* What an earlier pfd has left, or an empty ruleset. */
static int first_generation(struct pf_engine *g, struct pf_error_text *e)
{
	struct pf_ruleset *rs;
	struct pf_loaded ignored;
	int err;

	if (g->dp.adopted) {
		pf_engine_take_over_egress(g);
		err = pf_tables_adopt(&g->tables, e);
		if (!err)
			err = pf_generation_adopt(&g->gens, &g->active, e);
		if (err != -ENOENT)
			return err;
	}
	rs = pf_ruleset_new();
	if (!rs)
		return pf_fail(e, -ENOMEM, "out of memory");
	g->dp.config->enabled = 1;
	g->dp.config->since = pf_boot_seconds();
	return load_ruleset(g, "", rs, 0, &ignored, e);
}

/* A load that was not confirmed when the last pfd ended: its time goes on. */
static int resume_confirm(struct pf_engine *g, struct pf_error_text *e)
{
	struct pf_config *c = g->dp.config;
	uint64_t now = pf_boot_seconds();
	int err;

	if (!c->confirm_at)
		return 0;
	err = pf_generation_open(&g->gens, c->confirm_gen, &g->fallback, e);
	if (err == -ENOMEM) /* there may be some the next time: their pins must stay */
		return err;
	if (err) {
		pf_say(LOG_ERR, "rules wait to be confirmed, but %s", e->text);
		c->confirm_at = 0;
		return 0;
	}
	c->confirm_gen = g->fallback->id;
	pf_timer_once(&g->confirm, since(c->confirm_at, now) * 1000 + 1);
	return 0;
}

static void sweep_fire(void *ctx)
{
	struct pf_engine *g = ctx;

	pf_datapath_sweep(&g->dp);
}

static void written_fire(void *ctx)
{
	struct pf_engine *g = ctx;

	pf_tables_poll(&g->tables);
	pf_limiters_poll(&g->leaving, &g->tables);
	if (!g->tables.nwritten)
		watch_tables(g);
}

static int open_timers(struct pf_engine *g, struct pf_error_text *e)
{
	int err = pf_timer_init(g->loop, &g->sweep, sweep_fire, g);

	if (!err)
		err = pf_timer_init(g->loop, &g->confirm, roll_back, g);
	if (!err)
		err = pf_timer_init(g->loop, &g->written, written_fire, g);
	if (!err && g->dp.timer_failed)
		err = pf_timer_every(&g->sweep, SWEEP_FALLBACK_MS);
	return err ? pf_fail(e, err, "timers: %s", strerror(-err)) : 0;
}

static int lock_pins(struct pf_engine *g, const char *pin_dir, struct pf_error_text *e)
{
	int err = pf_pin_prepare(pin_dir, e);

	if (err)
		return err;
	g->pin_lock = pf_pin_lock(pin_dir, e);
	return g->pin_lock < 0 ? g->pin_lock : 0;
}

bool pf_engine_foreign_pins(const char *pin_dir)
{
	uint64_t owner = pf_datapath_owner(pin_dir);

	return owner && owner != pf_netns_cookie() && pf_attach_alive(pin_dir);
}

/*
 * Pins of another network namespace are not ours to take over: its interfaces
 * may have the numbers of ours.  Those of one that is gone make room.
 */
static int claim_pins(struct pf_engine *g, const char *pin_dir, struct pf_error_text *e)
{
	int err = lock_pins(g, pin_dir, e);
	uint64_t owner;

	if (err)
		return err;
	owner = pf_datapath_owner(pin_dir);
	if (!owner || owner == pf_netns_cookie())
		return 0;
	if (pf_engine_foreign_pins(pin_dir))
		return pf_fail(e, -EBUSY,
			       "%s belongs to the firewall of another network namespace: give this "
			       "one a directory of its own with -P",
			       pin_dir);
	pf_say(LOG_NOTICE, "%s is of a network namespace that is gone: it is made anew", pin_dir);
	err = pf_datapath_unpin(pin_dir, e);
	close(g->pin_lock);
	return err ? err : lock_pins(g, pin_dir, e);
}

int pf_engine_open(struct pf_engine *g, struct pf_loop *loop, const struct pf_engine_options *o,
		   struct pf_error_text *e)
{
	bool hurry;
	int err;

	memset(g, 0, sizeof(*g));
	g->loop = loop;
	g->sweep.source.fd = g->confirm.source.fd = g->written.source.fd = -1;
	g->log.source.fd = -1;
	g->pin_lock = -1;
	g->log.timer.source.fd = -1;
	g->events.timer.source.fd = g->shortage.timer.source.fd = -1;
	g->resting.look.source.fd = g->resting.drain.source.fd = -1;
	pf_egress_init(&g->egress, loop, pf_engine_egress_changed, g);
	err = claim_pins(g, o->pin_dir, e);
	if (!err)
		err = pf_datapath_open(&g->dp, o->pin_dir, DEFAULT_STATES, e);
	if (!err)
		err = pf_netifs_open(&g->ifs, loop, pf_engine_netif_changed, g, e);
	if (err)
		return err;
	pf_bound_open(&g->bound, &g->dp);
	if (g->dp.config->debug > LOG_INFO)
		pf_say_level((int)g->dp.config->debug);
	g->ifs.egress = &g->egress;
	pf_engine_know_netifs(g);
	/* 6.1 waits for an RCU period after each look at a map of maps */
	hurry = pf_attach_hurry_begin();
	err = pf_tables_open(&g->tables, &g->dp, e);
	pf_attach_hurry_end(hurry);
	if (err)
		return err;
	g->gens.emitter = o->emitter;
	err = pf_generations_open(&g->gens, &g->dp, &g->tables, &g->ifs, e);
	if (!err)
		pf_hops_listen(&g->gens.hops, loop);
	if (!err)
		err = pf_attach_init(&g->attach, &g->dp, o->attach, e);
	if (!err)
		err = open_timers(g, e);
	if (!err)
		err = first_generation(g, e);
	if (err)
		return err;
	if (g->dp.adopted) {
		apply_options(g, &g->active->rs->options);
		err = resume_confirm(g, e);
		if (err)
			return err;
		pf_engine_settle(g);
		for (const struct pf_netif *i = g->ifs.first; i; i = i->next)
			pf_attach_other_off(&g->attach, i);
	}
	pf_tables_collect(&g->tables);
	watch_tables(g);
	pf_generations_clean(&g->gens, g->active, g->fallback);
	err = pf_events_open(&g->events, &g->dp, loop, e);
	if (!err)
		err = pf_shortage_open(&g->shortage, &g->dp, loop, e);
	if (!err)
		err = pf_resting_open(&g->resting, &g->dp, loop, e);
	if (err)
		return err;
	err = pf_pflog_open(&g->log, &g->dp, &g->ifs, loop, o->log_path, e);
	g->log.path_of = path_of_rule;
	g->log.number_of = number_of_rule;
	g->log.ctx = g;
	return err;
}

void pf_engine_close(struct pf_engine *g)
{
	pf_pflog_close(&g->log, g->loop);
	pf_events_close(&g->events);
	pf_shortage_close(&g->shortage);
	pf_resting_close(&g->resting);
	pf_timer_close(g->loop, &g->sweep);
	pf_timer_close(g->loop, &g->confirm);
	pf_timer_close(g->loop, &g->written);
	pf_egress_leave(&g->egress);
	pf_netifs_close(&g->ifs, g->loop);
	pf_generation_release(g->active);
	pf_generation_release(g->fallback);
	pf_generations_close(&g->gens);
	pf_tables_close(&g->tables);
	pf_bound_close(&g->bound);
	pf_datapath_close(&g->dp);
	if (g->pin_lock >= 0)
		close(g->pin_lock);
}
