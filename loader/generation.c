// SPDX-License-Identifier: BSD-2-Clause
#include "generation.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../lib/model.h"
#include "../lib/wire.h"
#include "btf.h"
#include "keep.h"
#include "pin.h"
#include "record.h"
#include "tabledelta.h"

int pf_generations_open(struct pf_generations *g, const struct pf_datapath *dp,
			struct pf_tables *tables, const struct pf_netifs *ifs,
			struct pf_error_text *e)
{
	enum pf_emitter emitter = g->emitter;
	int err;

	memset(g, 0, sizeof(*g));
	g->emitter = emitter;
	g->dp = dp;
	g->tables = tables;
	g->ifs = ifs;
	g->next_id = 1;
	err = pf_tags_open(&g->tags, dp, e);
	if (!err)
		err = pf_labels_open(&g->labels, dp, e);
	pf_hops_open(&g->hops, dp, ifs);
	if (!err && pf_optsets_open(&g->opts, dp, &g->hops))
		err = pf_fail(e, -ENOMEM, "out of memory");
	if (!err && pf_meters_open(&g->meters, dp))
		err = pf_fail(e, -ENOMEM, "out of memory");
	return err ? err
		   : pf_rulestats_open(&g->stats, dp, &g->opts, &g->meters, &tables->rules, e);
}

void pf_generations_close(struct pf_generations *g)
{
	pf_rulestats_close(&g->stats);
	pf_labels_close(&g->labels);
	pf_optsets_close(&g->opts);
	pf_hops_close(&g->hops);
	pf_meters_close(&g->meters);
	pf_tags_close(&g->tags);
}

int pf_id_index_make(const struct pf_policy *p, const uint32_t *ids, struct pf_id_index *out)
{
	uint32_t first = UINT32_MAX, last = 0, *rules;

	for (uint32_t i = 0; i < p->nrules; i++) {
		if (p->rules[i] == &pf_policy_dead)
			continue;
		first = ids[i] < first ? ids[i] : first;
		last = ids[i] > last ? ids[i] : last;
	}
	if (first > last)
		first = last = 0;
	rules = malloc(((size_t)last - first + 1) * sizeof(*rules));
	if (!rules)
		return -ENOMEM;
	memset(rules, 0xff, ((size_t)last - first + 1) * sizeof(*rules));
	for (uint32_t i = 0; i < p->nrules; i++)
		if (p->rules[i] != &pf_policy_dead)
			rules[ids[i] - first] = i;
	*out = (struct pf_id_index){.rules = rules, .first = first, .n = last - first + 1};
	return 0;
}

uint32_t pf_generation_rule(const struct pf_generation *gen, uint32_t id)
{
	if (!gen || id < gen->index.first || id - gen->index.first >= gen->index.n)
		return UINT32_MAX;
	return gen->index.rules[id - gen->index.first];
}

uint32_t pf_generation_number(const struct pf_generation *gen, uint32_t id)
{
	uint32_t rule = pf_generation_rule(gen, id);

	return rule == UINT32_MAX ? rule
				  : rule - gen->policy->sets[gen->policy->set_of[rule]].first;
}

/* Rulesets that were not loaded anew are the same: so are their rules; or `once' ones alone. */
static void keep_sets(struct pf_generation *gen, const struct pf_generation *old, bool all)
{
	const struct pf_policy *p = gen->policy;

	for (size_t s = 0; s < p->nsets; s++) {
		const struct pf_policy_set *set = &p->sets[s];
		uint32_t was = pf_policy_find(old->policy, set->path);

		if (was == PF_POLICY_NONE || old->policy->sets[was].block != set->block)
			continue;
		for (uint32_t i = 0; i < set->n; i++)
			if (all || pf_rule_ext_of(p->rules[set->first + i])->once)
				gen->kept[set->first + i] = old->policy->sets[was].first + i;
	}
}

/* The ids of rules that are as they were go on, and with them their counters. */
static int keep_ids(struct pf_generation *gen, const struct pf_generation *old, bool all,
		    uint32_t *ids)
{
	uint32_t n = gen->policy->nrules;
	int err = 0;

	gen->kept = calloc((size_t)n + 1, sizeof(*gen->kept));
	gen->kept_evals = calloc((size_t)n + 1, sizeof(*gen->kept_evals));
	if (!gen->kept || !gen->kept_evals)
		return -ENOMEM;
	memset(gen->kept, 0xff, n * sizeof(*gen->kept)); /* PF_POLICY_NONE */
	if (all)
		err = pf_keep_rules(old->policy, gen->policy, gen->kept);
	keep_sets(gen, old, !all);
	for (uint32_t i = 0; i < n && !err; i++)
		if (gen->kept[i] != PF_POLICY_NONE)
			ids[i] = old->rule_ids[gen->kept[i]];
	return err;
}

static int take_ids(struct pf_generations *g, struct pf_generation *gen,
		    const struct pf_generation *old, bool keep, struct pf_error_text *e)
{
	size_t n = gen->policy->nrules;
	uint32_t *ids = calloc(n + 1, sizeof(*ids));
	int err = ids ? 0 : -ENOMEM;

	if (!err && old)
		err = keep_ids(gen, old, keep, ids);
	err = err ? pf_fail(e, err, "out of memory") : pf_rulestats_take(&g->stats, ids, n, e);
	if (err) {
		free(ids);
		return err;
	}
	gen->rule_ids = ids;
	err = pf_id_index_make(gen->policy, ids, &gen->index);
	if (err)
		return pf_fail(e, err, "out of memory");
	err = pf_meters_make(&g->meters, gen->policy->rules, ids, n, e);
	return err ? err : pf_bindings_count(g, gen, gen->policy, ids, 0, (uint32_t)n, e);
}

/* --- code --- */

static int table_slot(void *ctx, uint32_t set, const char *name)
{
	const struct pf_compile_ctx *c = ctx;

	return pf_generation_slot(c->gen, set, name);
}

static int tag_id(void *ctx, const char *name)
{
	const struct pf_compile_ctx *c = ctx;

	return pf_tag_id(&c->g->tags, name);
}

/* The slot of a table which the datapath may write from now on. */
static int written_slot(const struct pf_compile_ctx *c, uint32_t set, const char *name)
{
	struct pf_error_text why;
	int slot, err;

	slot = pf_generation_slot(c->gen, set, name);
	if (slot <= 0)
		return -ENOENT;
	err = pf_table_set_written(c->g->tables, c->g->tables->slot[slot], true, &why);
	if (err)
		pf_say(LOG_ERR, "%s", why.text);
	if (err)
		return err;
	/* it is there, for anybody, as in pf, though nobody may have defined it */
	for (size_t i = 0; i < c->gen->nbindings; i++)
		if (c->gen->bindings[i].table->slot == (uint32_t)slot)
			c->gen->bindings[i].active = true;
	return slot;
}

static int opts_number(void *ctx, uint32_t set, uint32_t rule_id, const struct pf_rule *r)
{
	const struct pf_compile_ctx *c = ctx;
	const struct pf_state_opts *o = r->x->state;
	int slot = o && o->overload ? written_slot(c, set, o->overload) : 0;

	if (slot < 0)
		return slot;
	return pf_optsets_take(&c->g->opts, rule_id, r, (uint32_t)slot, &c->g->stats);
}

struct pf_compile_env pf_generation_env(struct pf_compile_ctx *ctx, const uint32_t *rule_ids,
					enum pf_emitter emitter)
{
	return (struct pf_compile_env){.table_slot = table_slot,
				       .tag_id = tag_id,
				       .opts_number = opts_number,
				       .ctx = ctx,
				       .rule_ids = rule_ids,
				       .emitter = emitter};
}

static int compile(struct pf_generations *g, struct pf_generation *gen, enum pf_emitter emitter,
		   struct pf_error_text *e)
{
	struct pf_compile_ctx ctx = {.g = g, .gen = gen};
	const struct pf_compile_env env = pf_generation_env(&ctx, gen->rule_ids, emitter);
	struct pf_compile_error why;
	int err = pf_policy_compile(gen->policy, &env, &gen->code, &why), slot;

	for (size_t i = 0; i < gen->rs->nlimiters && !err; i++) {
		if (!gen->rs->limiters[i].table)
			continue;
		slot = written_slot(&ctx, 0, gen->rs->limiters[i].table);
		if (slot < 0)
			return pf_fail(e, slot, "source limiter \"%s\": its table: %s",
				       gen->rs->limiters[i].name, strerror(-slot));
	}
	if (!err)
		return 0;
	if (err == -ENOMEM)
		return pf_fail(e, err, "out of memory");
	if (why.line)
		return pf_fail(e, err, "rule of line %u: %s", why.line, why.text);
	return pf_fail(e, err, "%s", why.text);
}

/* --- pins --- */

struct gen_pin {
	const char *name;
	size_t fd; /* offset of the descriptor in struct pf_generation */
	bool tree; /* only emitter B has it */
};

static const struct gen_pin pins[] = {
	{"infos", offsetof(struct pf_generation, program.infos), false},
	{"nats", offsetof(struct pf_generation, program.nats), false},
	{"evals", offsetof(struct pf_generation, program.evals), false},
	{"ifaces", offsetof(struct pf_generation, program.ifaces), false},
	{"ifaces_far", offsetof(struct pf_generation, program.ifaces_far), false},
	{"jump", offsetof(struct pf_generation, program.jump), false},
	{"sets", offsetof(struct pf_generation, program.sets), true},
	{"calls", offsetof(struct pf_generation, program.calls), true},
	{"callees", offsetof(struct pf_generation, program.callees), true},
	{"nodes", offsetof(struct pf_generation, program.nodes), true},
	{"entries", offsetof(struct pf_generation, program.entries), true},
	{"tree_rules", offsetof(struct pf_generation, program.rules), true},
	{"tables", offsetof(struct pf_generation, bound), false},
	{"model", offsetof(struct pf_generation, model), false},
	{"rules", offsetof(struct pf_generation, program.prog), false},
};
#define NPINS (sizeof(pins) / sizeof(pins[0]))

static int *pin_fd(struct pf_generation *gen, const struct gen_pin *p)
{
	return (int *)((char *)gen + p->fd);
}

void pf_generation_dir(const struct pf_generations *g, uint32_t id, char *buf, size_t size)
{
	snprintf(buf, size, "%s/gen/%u", g->dp->pin_dir, id);
}

static int pin(const struct pf_generations *g, struct pf_generation *gen, struct pf_error_text *e)
{
	char dir[300], path[320];
	int err;

	pf_generation_dir(g, gen->id, dir, sizeof(dir));
	pf_pin_remove_tree(dir); /* of a pfd that was killed while it made it */
	if (mkdir(dir, 0700))
		return pf_fail(e, -errno, "%s: %s", dir, strerror(errno));
	for (size_t i = 0; i < NPINS; i++) {
		if (pins[i].tree && gen->code->emitter != PF_EMITTER_TREE)
			continue;
		snprintf(path, sizeof(path), "%s/%s", dir, pins[i].name);
		err = bpf_obj_pin(*pin_fd(gen, &pins[i]), path);
		if (err)
			return pf_fail(e, err, "%s: %s", path, strerror(-err));
	}
	return 0;
}

int pf_generation_record(const struct pf_generations *g, struct pf_generation *gen,
			 struct pf_error_text *e)
{
	char dir[300], path[320], next[320];
	int old = gen->model, err;

	gen->model = -1;
	pf_generation_dir(g, gen->id, dir, sizeof(dir));
	snprintf(path, sizeof(path), "%s/model", dir);
	snprintf(next, sizeof(next), "%s/next_model", dir);
	err = pf_record_make(gen, e);
	if (!err) {
		unlink(next); /* of a pfd that was killed here */
		err = bpf_obj_pin(gen->model, next);
		if (!err && rename(next, path))
			err = -errno;
		if (err)
			pf_fail(e, err, "%s: %s", path, strerror(-err));
	}
	if (err) {
		if (gen->model >= 0)
			close(gen->model);
		gen->model = old;
		return err;
	}
	close(old);
	return 0;
}

/* --- life --- */

static struct pf_generation *new_generation(uint32_t id)
{
	struct pf_generation *gen = calloc(1, sizeof(*gen));

	if (!gen)
		return NULL;
	gen->id = id;
	pf_program_init(&gen->program);
	gen->bound = gen->model = -1;
	return gen;
}

static int new_bases(struct pf_generation *gen)
{
	gen->base = calloc((size_t)gen->policy->nrules + 1, sizeof(*gen->base));
	gen->base_evals = calloc((size_t)gen->policy->nrules + 1, sizeof(*gen->base_evals));
	return gen->base && gen->base_evals ? 0 : -ENOMEM;
}

/* The policy of what has been loaded. */
int pf_generation_take_policy(struct pf_generation *gen)
{
	gen->rs = pf_anchors_find(&gen->anchors, "")->from->rs;
	return pf_anchors_policy(&gen->anchors, &gen->policy);
}

/* What the kernel does not take as a program it takes as data. */
static int load(struct pf_generations *g, struct pf_generation *gen, struct pf_error_text *e)
{
	int err = pf_program_load(&gen->program, g->dp, gen->code, g->ifs, e);

	if (!err || g->emitter != PF_EMITTER_AUTO || gen->code->emitter != PF_EMITTER_LINEAR)
		return err;
	pf_say(LOG_NOTICE, "%s: they become a decision tree", e->text);
	pf_program_close(&gen->program);
	pf_compiled_free(gen->code);
	gen->code = NULL;
	err = compile(g, gen, PF_EMITTER_TREE, e);
	return err ? err : pf_program_load(&gen->program, g->dp, gen->code, g->ifs, e);
}

/* All behind its rulesets, which are there if err is 0; gen goes if it cannot be. */
static int complete(struct pf_generations *g, struct pf_generation *gen, int err,
		    const struct pf_generation *old, bool keep, struct pf_generation **out,
		    struct pf_error_text *e)
{
	g->next_id++;
	if (!err)
		err = pf_generation_take_policy(gen);
	if (!err)
		err = new_bases(gen);
	if (err)
		err = pf_fail(e, err, "out of memory");
	if (!err)
		err = pf_bindings_make(g, gen, old, e);
	if (!err)
		err = take_ids(g, gen, old, keep || gen->rs->options.keep_counters, e);
	if (!err)
		err = compile(g, gen, g->emitter, e);
	if (!err)
		err = load(g, gen, e);
	if (!err)
		err = pf_bindings_pin(g, gen, e);
	if (!err)
		err = pf_record_make(gen, e);
	if (!err)
		err = pin(g, gen, e);
	if (err) {
		pf_generation_destroy(g, gen);
		return err;
	}
	*out = gen;
	return 0;
}

int pf_generation_make(struct pf_generations *g, const char *path, struct pf_ruleset *rs,
		       const struct pf_generation *old, struct pf_generation **out,
		       struct pf_error_text *e)
{
	struct pf_generation *gen = new_generation(g->next_id);
	int err;

	if (!gen) {
		pf_ruleset_free(rs);
		return pf_fail(e, -ENOMEM, "out of memory");
	}
	err = pf_anchors_load(old ? &old->anchors : NULL, path, rs, &gen->anchors);
	return complete(g, gen, err, old, false, out, e);
}

int pf_generation_remake(struct pf_generations *g, const struct pf_generation *old,
			 struct pf_generation **out, struct pf_error_text *e)
{
	struct pf_generation *gen = new_generation(g->next_id);

	if (!gen)
		return pf_fail(e, -ENOMEM, "out of memory");
	return complete(g, gen, pf_anchors_copy(&old->anchors, &gen->anchors), old, true, out, e);
}

int pf_generation_switch(const struct pf_generations *g, const struct pf_generation *gen,
			 struct pf_error_text *e)
{
	uint32_t zero = 0;
	int err = bpf_map_update_elem(pf_datapath_map(g->dp, "pf_top"), &zero, &gen->program.prog,
				      BPF_ANY);

	return err ? pf_fail(e, err, "cannot put the rules in force: %s", strerror(-err)) : 0;
}

void pf_generation_release(struct pf_generation *gen)
{
	if (!gen)
		return;
	pf_program_close(&gen->program);
	if (gen->bound >= 0)
		close(gen->bound);
	if (gen->model >= 0)
		close(gen->model);
	for (size_t i = 0; i < gen->npatches; i++)
		free(gen->patches[i].path);
	free(gen->patches);
	pf_bindings_free(gen);
	free(gen->rule_ids);
	free(gen->index.rules);
	free(gen->base);
	free(gen->base_evals);
	free(gen->kept);
	free(gen->kept_evals);
	pf_compiled_free(gen->code);
	pf_policy_free(gen->policy);
	pf_anchors_free(&gen->anchors);
	free(gen);
}

/* All of it but its pins. */
static void forget(struct pf_generations *g, struct pf_generation *gen)
{
	if (gen->rule_ids) {
		pf_labels_keep(&g->labels, &g->stats, gen->rule_ids, gen->policy->rules,
			       gen->policy->nrules);
		pf_rulestats_release(&g->stats, gen->rule_ids, gen->policy->nrules);
	}
	while (gen->nbindings)
		pf_table_unref(g->tables, gen->bindings[--gen->nbindings].table);
	pf_generation_release(gen);
}

void pf_generation_destroy(struct pf_generations *g, struct pf_generation *gen)
{
	char dir[300];

	if (!gen)
		return;
	pf_generation_dir(g, gen->id, dir, sizeof(dir));
	pf_pin_remove_tree(dir);
	forget(g, gen);
}

/* --- taking over --- */

static int open_pins(const struct pf_generations *g, struct pf_generation *gen)
{
	char dir[300], path[320];

	pf_generation_dir(g, gen->id, dir, sizeof(dir));
	for (size_t i = 0; i < NPINS; i++) {
		int *fd = pin_fd(gen, &pins[i]);

		snprintf(path, sizeof(path), "%s/%s", dir, pins[i].name);
		*fd = bpf_obj_get(path);
		if (*fd < 0 && !(pins[i].tree && *fd == -ENOENT))
			return *fd;
	}
	return 0;
}

/*
 * Of a generation that was patched the policy says less than the kernel's arrays hold:
 * it is made anew of its rulesets.
 */
static int open_patched(struct pf_generations *g, struct pf_generation **gen,
			struct pf_error_text *e)
{
	struct pf_generation *was = *gen, *now = NULL;
	enum pf_emitter emitter = g->emitter;
	int err;

	/* by whatever pfd was started with: another emitter need not hold the rules */
	g->emitter = PF_EMITTER_TREE;
	err = pf_generation_remake(g, was, &now, e);
	g->emitter = emitter;
	if (err)
		return err;
	*gen = now;
	/* its pins are needed until the new one is in force */
	forget(g, was);
	return 0;
}

static int open_as_it_is(struct pf_generations *g, struct pf_generation *gen,
			 struct pf_error_text *e)
{
	int err = compile(g, gen, gen->program.nodes < 0 ? PF_EMITTER_LINEAR : PF_EMITTER_TREE, e);

	return err ? err : pf_program_refill(&gen->program, g->dp, gen->code, g->ifs, e);
}

int pf_generation_open(struct pf_generations *g, uint32_t id, struct pf_generation **out,
		       struct pf_error_text *e)
{
	struct pf_generation *gen = new_generation(id);
	struct pf_error_text later = {""};
	char why[256] = "";
	bool patched = false;
	int err = gen ? open_pins(g, gen) : -ENOMEM;

	if (!err)
		err = pf_record_read(g, gen, &patched, why, sizeof(why));
	if (!err)
		err = pf_id_index_make(gen->policy, gen->rule_ids, &gen->index);
	if (!err)
		err = new_bases(gen);
	if (!err)
		err = pf_bindings_read(g, gen);
	if (g->next_id <= id)
		g->next_id = id + 1;
	if (!err)
		err = patched ? open_patched(g, &gen, &later) : open_as_it_is(g, gen, &later);
	if (err) {
		const char *reason = *later.text ? later.text : why;

		/* no table loses a reference: that would empty it under the rules in force */
		if (gen && gen->rule_ids)
			pf_rulestats_release(&g->stats, gen->rule_ids, gen->policy->nrules);
		pf_generation_release(gen);
		/* of a record that could not be had nothing is wrong */
		if (err != -EINVAL && err != -EPROTO && reason == why)
			reason = "";
		return pf_fail(e, err, "cannot take over the rules: %s%s%.255s", strerror(-err),
			       *reason ? ": " : "", reason);
	}
	*out = gen;
	return 0;
}

/* Runs `each` for every generation that is pinned. */
static void each_pinned(const struct pf_generations *g,
			void (*each)(const struct pf_generations *g, uint32_t id, void *ctx),
			void *ctx)
{
	char path[300];
	struct dirent *d;
	DIR *dir;

	snprintf(path, sizeof(path), "%s/gen", g->dp->pin_dir);
	dir = opendir(path);
	while (dir && (d = readdir(dir))) {
		char *end;
		unsigned long id = strtoul(d->d_name, &end, 10);

		if (end != d->d_name && !*end && id <= UINT32_MAX)
			each(g, (uint32_t)id, ctx);
	}
	if (dir)
		closedir(dir);
}

struct find_ctx {
	uint32_t prog_id;
	uint32_t id;
	uint32_t highest;
};

static void find_prog(const struct pf_generations *g, uint32_t id, void *ctx)
{
	struct find_ctx *f = ctx;
	struct bpf_prog_info info = {0};
	uint32_t len = sizeof(info);
	char dir[300], path[320];
	int fd;

	if (id > f->highest)
		f->highest = id;
	pf_generation_dir(g, id, dir, sizeof(dir));
	snprintf(path, sizeof(path), "%s/rules", dir);
	fd = bpf_obj_get(path);
	if (fd < 0)
		return;
	if (bpf_obj_get_info_by_fd(fd, &info, &len) == 0 && info.id == f->prog_id)
		f->id = id;
	close(fd);
}

int pf_generation_adopt(struct pf_generations *g, struct pf_generation **out,
			struct pf_error_text *e)
{
	struct find_ctx f = {0};
	struct pf_generation *gen = NULL;
	uint32_t zero = 0;
	int err;

	/* reading a program array yields the program's number */
	if (bpf_map_lookup_elem(pf_datapath_map(g->dp, "pf_top"), &zero, &f.prog_id))
		return pf_fail(e, -ENOENT, "no rules are in force");
	each_pinned(g, find_prog, &f);
	if (g->next_id <= f.highest)
		g->next_id = f.highest + 1;
	if (!f.id)
		return pf_fail(e, -ENOENT, "the rules in force are not pinned");
	err = pf_generation_open(g, f.id, &gen, e);
	if (!err && gen && gen->id != f.id) /* it was made anew */
		err = pf_generation_switch(g, gen, e);
	if (err) /* something was in force, whatever is missing */
		return err == -ENOENT ? -EIO : err;
	*out = gen;
	return 0;
}

struct clean_ctx {
	const struct pf_generation *keep[2];
};

static void clean_one(const struct pf_generations *g, uint32_t id, void *ctx)
{
	const struct clean_ctx *c = ctx;
	char dir[300];

	for (int i = 0; i < 2; i++)
		if (c->keep[i] && c->keep[i]->id == id)
			return;
	pf_generation_dir(g, id, dir, sizeof(dir));
	pf_pin_remove_tree(dir);
}

void pf_generations_clean(const struct pf_generations *g, const struct pf_generation *a,
			  const struct pf_generation *b)
{
	struct clean_ctx c = {.keep = {a, b}};

	each_pinned(g, clean_one, &c);
}

/* --- counters --- */

int pf_generation_stats(const struct pf_generations *g, const struct pf_generation *gen,
			struct pf_rule_stats *stats, uint64_t *evaluations)
{
	int err = pf_program_evaluations(&gen->program, g->dp, gen->code, evaluations);

	for (uint32_t i = 0; i < gen->policy->nrules && gen->kept_evals && !err; i++)
		evaluations[i] += gen->kept_evals[i];
	if (!err)
		err = pf_rulestats_read(&g->stats, gen->rule_ids, gen->policy->nrules, stats);
	return err;
}

void pf_generation_carry(struct pf_generations *g, struct pf_generation *gen,
			 const struct pf_generation *old)
{
	size_t n = (size_t)old->policy->nrules + 1;
	struct pf_rule_stats *stats = calloc(n, sizeof(*stats));
	uint64_t *evals = calloc(n, sizeof(*evals));

	if (gen->kept && stats && evals && !pf_generation_stats(g, old, stats, evals)) {
		for (uint32_t i = 0; i < gen->policy->nrules; i++) {
			uint32_t was = gen->kept[i];

			if (was == PF_POLICY_NONE)
				continue;
			gen->kept_evals[i] = evals[was];
			gen->base[i] = old->base[was];
			gen->base_evals[i] = old->base_evals[was];
		}
	}
	free(stats);
	free(evals);
}

/* --- labels --- */

uint8_t *pf_generations_labelled(const struct pf_generations *g, const struct pf_generation *a,
				 const struct pf_generation *b, const char *label)
{
	const struct pf_generation *gens[] = {a, b};
	uint8_t *marks = calloc(PF_MAX_RULE_IDS, 1);

	if (!marks)
		return NULL;
	for (size_t i = 0; i < 2; i++) {
		const struct pf_policy *p = gens[i] ? gens[i]->policy : NULL;

		for (uint32_t r = 0; p && r < p->nrules; r++)
			if (pf_rule_has_label(p->rules[r], label))
				marks[gens[i]->rule_ids[r]] = 1;
	}
	/* what has no id */
	marks[PF_RULE_DEFAULT] = 0;
	if (pf_labels_mark(&g->labels, &g->stats, label, marks) == 0)
		return marks;
	free(marks);
	return NULL;
}
