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
#include "pin.h"

#define RECORD_MAGIC   0x70664731 /* "pfG1" */
#define RECORD_MOST    (256U << 20)

/* In "PINDIR/gen/ID/tables", beside the flags of abi.h. */
#define BOUND_INACTIVE 0x100

void pf_generations_init(struct pf_generations *g, const struct pf_datapath *dp,
			 struct pf_tables *tables, const struct pf_netifs *ifs)
{
	memset(g, 0, sizeof(*g));
	g->dp = dp;
	g->tables = tables;
	g->ifs = ifs;
	g->next_id = 1;
	g->ids.next = 1;
}

/* --- rule ids --- */

static int read_stats(const struct pf_generations *g, uint32_t id, struct pf_rule_stats *out)
{
	size_t n = (size_t)g->dp->ncpus;
	struct pf_rule_stats *v = calloc(n, sizeof(*v));
	int err = v ? bpf_map_lookup_elem(pf_datapath_map(g->dp, "pf_rule_stats"), &id, v)
		    : -ENOMEM;

	memset(out, 0, sizeof(*out));
	for (size_t i = 0; i < n && !err; i++) {
		for (int d = 0; d < 2; d++) {
			out->packets[d] += v[i].packets[d];
			out->bytes[d] += v[i].bytes[d];
		}
		out->states += v[i].states;
		out->states_gone += v[i].states_gone;
	}
	free(v);
	return err;
}

static int zero_stats(const struct pf_generations *g, uint32_t id)
{
	struct pf_rule_stats *v = calloc((size_t)g->dp->ncpus, sizeof(*v));
	int err = v ? bpf_map_update_elem(pf_datapath_map(g->dp, "pf_rule_stats"), &id, v, BPF_ANY)
		    : -ENOMEM;

	free(v);
	return err;
}

/* An id that no generation has and no state points at, its counters 0. */
static int take_id(struct pf_generations *g, uint32_t *out)
{
	for (uint32_t tries = 1; tries < PF_MAX_RULE_IDS; tries++) {
		uint32_t id = g->ids.next;
		struct pf_rule_stats s;

		g->ids.next = id + 1 < PF_MAX_RULE_IDS ? id + 1 : 1;
		if (g->ids.refs[id])
			continue;
		if (read_stats(g, id, &s) || s.states != s.states_gone)
			continue;
		if (zero_stats(g, id))
			continue;
		g->ids.refs[id] = 1;
		*out = id;
		return 0;
	}
	return -ENOSPC;
}

static int take_ids(struct pf_generations *g, struct pf_generation *gen, struct pf_error_text *e)
{
	size_t n = pf_filter(gen->rs)->n;

	gen->rule_ids = calloc(n + 1, sizeof(*gen->rule_ids));
	if (!gen->rule_ids)
		return pf_fail(e, -ENOMEM, "out of memory");
	for (size_t i = 0; i < n; i++)
		if (take_id(g, &gen->rule_ids[i]))
			return pf_fail(e, -ENOSPC,
				       "no counters left for %zu rules: states of earlier rulesets "
				       "still use them",
				       n);
	return 0;
}

/* --- tables --- */

struct pf_binding *pf_generation_table(const struct pf_generation *gen, const char *name)
{
	for (size_t i = 0; gen && i < gen->nbindings; i++)
		if (strcmp(gen->bindings[i].table->name, name) == 0)
			return &gen->bindings[i];
	return NULL;
}

/* What "PINDIR/gen/ID/tables" says of the slot. */
static int record_binding(const struct pf_generation *gen, const struct pf_binding *b, bool there)
{
	uint32_t flags = 0;

	if (gen->bound < 0)
		return 0;
	if (there)
		flags = PF_TABLE_USED | (b->persist ? PF_TABLE_PERSIST : 0) |
			(b->constant ? PF_TABLE_CONST : 0) | (b->active ? 0 : BOUND_INACTIVE);
	return bpf_map_update_elem(gen->bound, &b->table->slot, &flags, BPF_ANY);
}

/* Takes over the caller's reference. */
static struct pf_binding *add_binding(struct pf_generation *gen, struct pf_table *table)
{
	struct pf_binding *b = reallocarray(gen->bindings, gen->nbindings + 1,
					    sizeof(*gen->bindings));

	if (!b)
		return NULL;
	gen->bindings = b;
	b += gen->nbindings++;
	memset(b, 0, sizeof(*b));
	b->table = table;
	b->active = true;
	return b;
}

int pf_generation_bind(struct pf_generations *g, struct pf_generation *gen, struct pf_table *table,
		       bool persist, bool constant, bool referenced)
{
	struct pf_binding *b = add_binding(gen, table);

	(void)g;
	if (!b)
		return -ENOMEM;
	b->persist = persist;
	b->constant = constant;
	b->referenced = referenced;
	return record_binding(gen, b, true);
}

void pf_generation_unbind(struct pf_generations *g, struct pf_generation *gen, struct pf_binding *b)
{
	struct pf_table *table = b->table;

	record_binding(gen, b, false);
	*b = gen->bindings[--gen->nbindings];
	pf_table_unref(g->tables, table);
}

void pf_generation_activate(const struct pf_generation *gen, struct pf_binding *b, bool on)
{
	b->active = b->persist = on;
	b->constant = false;
	record_binding(gen, b, true);
}

/* The old generation's table, or a new one. */
static int bind_table(struct pf_generations *g, struct pf_generation *gen,
		      const struct pf_generation *old, const char *name,
		      const struct pf_table_def *def, bool referenced, struct pf_error_text *e)
{
	struct pf_binding *was = pf_generation_table(old, name), *b;
	struct pf_table *table;
	int err;

	if (was && !(def && def->has_list)) {
		table = was->table;
		table->refs++;
	} else {
		if (g->tables->ntables >= g->tables->limit_tables)
			return pf_fail(e, -ENOSPC,
				       "table <%s> would be more than the limit of %u tables "
				       "(set limit tables)",
				       name, g->tables->limit_tables);
		err = pf_table_new(g->tables, name, &table, e);
		if (!err && def)
			err = pf_table_fill(g->tables, table, def->entries, def->nentries, e);
		if (err)
			return err;
	}
	b = add_binding(gen, table);
	if (!b) {
		pf_table_unref(g->tables, table);
		return pf_fail(e, -ENOMEM, "out of memory");
	}
	b->persist = def ? def->persist : was && was->persist;
	b->constant = def ? def->constant : was && was->constant;
	/* one that rules name and nobody has defined or filled is there for them alone */
	b->active = def || (was && was->active);
	b->referenced = referenced;
	return 0;
}

static bool references(const struct pf_ruleset *rs, const char *name)
{
	for (size_t i = 0; i < pf_filter(rs)->n; i++) {
		const struct pf_rule *r = &pf_filter(rs)->v[i];

		if ((r->src.type == PF_HOST_TABLE && strcmp(r->src.table, name) == 0) ||
		    (r->dst.type == PF_HOST_TABLE && strcmp(r->dst.table, name) == 0))
			return true;
	}
	return false;
}

static int bind_host(struct pf_generations *g, struct pf_generation *gen,
		     const struct pf_generation *old, const struct pf_rule_host *h,
		     struct pf_error_text *e)
{
	struct pf_binding *b;

	if (h->type != PF_HOST_TABLE)
		return 0;
	b = pf_generation_table(gen, h->table);
	if (b) {
		b->referenced = true;
		return 0;
	}
	return bind_table(g, gen, old, h->table, NULL, true, e);
}

/*
 * Tables of the file, tables that rules name, and persistent ones of before.  A
 * table that is neither persistent nor named by a rule is not kept, as in pf.
 */
static int bind_tables(struct pf_generations *g, struct pf_generation *gen,
		       const struct pf_generation *old, struct pf_error_text *e)
{
	const struct pf_ruleset *rs = gen->rs;
	int err = 0;

	for (size_t i = 0; i < rs->main.ntables && !err; i++) {
		const struct pf_table_def *def = &rs->main.tables[i];
		bool used = references(rs, def->name);

		if (used || def->persist)
			err = bind_table(g, gen, old, def->name, def, used, e);
	}
	for (size_t i = 0; i < pf_filter(rs)->n && !err; i++) {
		err = bind_host(g, gen, old, &pf_filter(rs)->v[i].src, e);
		if (!err)
			err = bind_host(g, gen, old, &pf_filter(rs)->v[i].dst, e);
	}
	for (size_t i = 0; old && i < old->nbindings && !err; i++) {
		const struct pf_binding *b = &old->bindings[i];

		if (b->persist && !pf_generation_table(gen, b->table->name))
			err = bind_table(g, gen, old, b->table->name, NULL, false, e);
	}
	return err;
}

static int table_slot(void *ctx, const char *name)
{
	const struct pf_binding *b = pf_generation_table(ctx, name);

	return b ? (int)b->table->slot : -ENOENT;
}

/* --- code --- */

static int compile(struct pf_generation *gen, struct pf_error_text *e)
{
	const struct pf_compile_env env = {
		.table_slot = table_slot, .ctx = gen, .rule_ids = gen->rule_ids};
	struct pf_compile_error why;
	int err = pf_ruleset_compile(gen->rs, &env, &gen->code, &why);

	if (!err)
		return 0;
	if (err == -ENOMEM)
		return pf_fail(e, err, "out of memory");
	if (why.line)
		return pf_fail(e, err, "rule of line %u: %s", why.line, why.text);
	return pf_fail(e, err, "%s", why.text);
}

/* --- maps --- */

static int new_array(const struct pf_datapath *dp, const char *name, const char *value_type,
		     uint32_t value_size, uint32_t n)
{
	LIBBPF_OPTS(bpf_map_create_opts, opts);

	pf_btf_map_types(dp, "u32", value_type, &opts);
	return bpf_map_create(BPF_MAP_TYPE_ARRAY, name, sizeof(uint32_t), value_size, n, &opts);
}

/* An array of one value that holds n numbers. */
static int new_numbers(enum bpf_map_type type, const char *name, uint32_t n, uint32_t size)
{
	LIBBPF_OPTS(bpf_map_create_opts, opts);
	int btf = pf_btf_numbers(n, size, &opts);
	int fd = bpf_map_create(type, name, sizeof(uint32_t), n * size, 1, &opts);

	if (btf >= 0)
		close(btf);
	return fd;
}

static int new_far(const struct pf_datapath *dp)
{
	LIBBPF_OPTS(bpf_map_create_opts, opts, .map_flags = BPF_F_NO_PREALLOC);

	pf_btf_map_types(dp, "u32", "pf_ifmask", &opts);
	return bpf_map_create(BPF_MAP_TYPE_HASH, "pf_ifaces_far", sizeof(uint32_t),
			      sizeof(struct pf_ifmask), 65536, &opts);
}

static int make_maps(const struct pf_generations *g, struct pf_generation *gen,
		     struct pf_error_text *e)
{
	const struct pf_datapath *dp = g->dp;
	LIBBPF_OPTS(bpf_map_create_opts, jump);
	LIBBPF_OPTS(bpf_map_create_opts, bound);

	gen->infos = new_array(dp, "pf_rules", "pf_rule_info", sizeof(struct pf_rule_info),
			       (uint32_t)pf_filter(gen->rs)->n + 1);
	gen->evals = new_numbers(BPF_MAP_TYPE_PERCPU_ARRAY, "pf_evals",
				 (uint32_t)pf_compiled_nevals(gen->code), sizeof(uint64_t));
	gen->ifaces = new_array(dp, "pf_ifaces", "pf_ifmask", sizeof(struct pf_ifmask),
				PF_IFACE_DIRECT);
	gen->ifaces_far = new_far(dp);
	pf_btf_map_types(dp, "u32", "u32", &jump);
	gen->jump = bpf_map_create(BPF_MAP_TYPE_PROG_ARRAY, "pf_jump", sizeof(uint32_t),
				   sizeof(uint32_t), PF_GEN_MAX, &jump);
	pf_btf_map_types(dp, "u32", "u32", &bound);
	gen->bound = bpf_map_create(BPF_MAP_TYPE_ARRAY, "pf_bound", sizeof(uint32_t),
				    sizeof(uint32_t), PF_MAX_TABLES, &bound);
	if (gen->infos < 0 || gen->evals < 0 || gen->ifaces < 0 || gen->ifaces_far < 0 ||
	    gen->jump < 0 || gen->bound < 0)
		return pf_fail(e, -errno, "cannot make maps for the rules: %s", strerror(errno));
	return 0;
}

static void iface_mask(const struct pf_generation *gen, const struct pf_netif *i,
		       struct pf_ifmask *m)
{
	memset(m, 0, sizeof(*m));
	for (size_t bit = 0; bit < gen->code->nifaces; bit++)
		if (pf_netif_is(i, gen->code->ifaces[bit]))
			m->w[bit / 32] |= 1U << bit % 32;
}

void pf_generation_netif(const struct pf_generation *gen, const struct pf_netif *i, bool gone)
{
	uint32_t ifindex = (uint32_t)i->ifindex;
	struct pf_ifmask m;

	if (!gen->code || !gen->code->nifaces)
		return;
	iface_mask(gen, i, &m);
	if (gone)
		memset(&m, 0, sizeof(m));
	if (ifindex < PF_IFACE_DIRECT)
		bpf_map_update_elem(gen->ifaces, &ifindex, &m, BPF_ANY);
	else if (gone)
		bpf_map_delete_elem(gen->ifaces_far, &ifindex);
	else
		bpf_map_update_elem(gen->ifaces_far, &ifindex, &m, BPF_ANY);
}

static int fill_maps(const struct pf_generations *g, struct pf_generation *gen,
		     struct pf_error_text *e)
{
	const uint32_t slot = PF_GEN_APPLY;
	int apply = pf_datapath_apply(g->dp), err = 0;

	for (uint32_t i = 0; i <= pf_filter(gen->rs)->n && !err; i++)
		err = bpf_map_update_elem(gen->infos, &i, &gen->code->infos[i], BPF_ANY);
	if (!err)
		err = bpf_map_update_elem(gen->jump, &slot, &apply, BPF_ANY);
	for (size_t i = 0; i < gen->nbindings && !err; i++)
		err = record_binding(gen, &gen->bindings[i], true);
	for (const struct pf_netif *i = g->ifs->first; i; i = i->next)
		pf_generation_netif(gen, i, false);
	return err ? pf_fail(e, err, "cannot fill the maps of the rules: %s", strerror(-err)) : 0;
}

/* --- the program --- */

static void relocate(const struct pf_generations *g, struct pf_generation *gen)
{
	const int fds[PF_CODE_MAP_MAX] = {
		[PF_CODE_SCRATCH] = pf_datapath_map(g->dp, "pf_scratch"),
		[PF_CODE_COUNTERS] = pf_datapath_map(g->dp, "pf_counters"),
		[PF_CODE_TABLES] = pf_datapath_map(g->dp, "pf_tables"),
		[PF_CODE_INFOS] = gen->infos,
		[PF_CODE_EVALS] = gen->evals,
		[PF_CODE_IFACES] = gen->ifaces,
		[PF_CODE_IFACES_FAR] = gen->ifaces_far,
		[PF_CODE_JUMP] = gen->jump,
	};
	const struct pf_compiled *c = gen->code;

	for (size_t i = 0; i < c->nrelocs; i++)
		c->insns[c->relocs[i].insn].imm = fds[c->relocs[i].map];
}

static int load(const struct pf_generations *g, struct pf_generation *gen, struct pf_error_text *e)
{
	static char log[65536];
	LIBBPF_OPTS(bpf_prog_load_opts, opts);
	int err;

	relocate(g, gen);
	gen->prog = bpf_prog_load(BPF_PROG_TYPE_SCHED_CLS, "pf_rules", "Dual BSD/GPL",
				  gen->code->insns, gen->code->ninsns, &opts);
	if (gen->prog >= 0)
		return 0;
	err = gen->prog;
	/* once more for the reason: a log costs time, so there was none */
	opts.log_level = 1;
	opts.log_buf = log;
	opts.log_size = sizeof(log);
	gen->prog = bpf_prog_load(BPF_PROG_TYPE_SCHED_CLS, "pf_rules", "Dual BSD/GPL",
				  gen->code->insns, gen->code->ninsns, &opts);
	if (gen->prog >= 0)
		return 0;
	pf_say(LOG_DEBUG, "verifier: %s", log);
	return pf_fail(e, err, "the kernel does not take the program of %zu rules: %s",
		       pf_filter(gen->rs)->n, strerror(-err));
}

/* --- pins --- */

struct gen_pin {
	const char *name;
	size_t fd; /* offset of the descriptor in struct pf_generation */
};

static const struct gen_pin pins[] = {
	{"infos", offsetof(struct pf_generation, infos)},
	{"evals", offsetof(struct pf_generation, evals)},
	{"ifaces", offsetof(struct pf_generation, ifaces)},
	{"ifaces_far", offsetof(struct pf_generation, ifaces_far)},
	{"jump", offsetof(struct pf_generation, jump)},
	{"tables", offsetof(struct pf_generation, bound)},
	{"model", offsetof(struct pf_generation, model)},
	{"rules", offsetof(struct pf_generation, prog)},
};
#define NPINS (sizeof(pins) / sizeof(pins[0]))

static int *pin_fd(struct pf_generation *gen, const struct gen_pin *p)
{
	return (int *)((char *)gen + p->fd);
}

static void gen_dir(const struct pf_generations *g, uint32_t id, char *buf, size_t size)
{
	snprintf(buf, size, "%s/gen/%u", g->dp->pin_dir, id);
}

/* The ruleset beside its program, so that a restarted pfd knows it. */
static int make_record(struct pf_generation *gen, struct pf_error_text *e)
{
	pf_buf_auto b = {0};
	uint32_t zero = 0;
	int err;

	pf_put_u32(&b, RECORD_MAGIC);
	pf_put_u32(&b, gen->id);
	pf_put_u32(&b, (uint32_t)pf_filter(gen->rs)->n);
	for (size_t i = 0; i < pf_filter(gen->rs)->n; i++)
		pf_put_u32(&b, gen->rule_ids[i]);
	pf_model_encode(gen->rs, &b);
	while (b.len % 8) /* the kernel rounds up */
		pf_put_u8(&b, 0);
	if (b.failed || b.len > RECORD_MOST)
		return pf_fail(e, -ENOMEM, "out of memory");
	gen->model = new_numbers(BPF_MAP_TYPE_ARRAY, "pf_model", (uint32_t)b.len, 1);
	err = gen->model < 0 ? gen->model : bpf_map_update_elem(gen->model, &zero, b.data, BPF_ANY);
	return err ? pf_fail(e, err, "cannot keep the rules: %s", strerror(-err)) : 0;
}

static int pin(const struct pf_generations *g, struct pf_generation *gen, struct pf_error_text *e)
{
	char dir[300], path[320];
	int err;

	gen_dir(g, gen->id, dir, sizeof(dir));
	pf_pin_remove_tree(dir); /* of a pfd that was killed while it made it */
	if (mkdir(dir, 0700))
		return pf_fail(e, -errno, "%s: %s", dir, strerror(errno));
	for (size_t i = 0; i < NPINS; i++) {
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
	gen_dir(g, gen->id, dir, sizeof(dir));
	snprintf(path, sizeof(path), "%s/model", dir);
	snprintf(next, sizeof(next), "%s/next_model", dir);
	err = make_record(gen, e);
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

static struct pf_generation *new_generation(uint32_t id, struct pf_ruleset *rs)
{
	struct pf_generation *gen = calloc(1, sizeof(*gen));

	if (!gen)
		return NULL;
	gen->id = id;
	gen->rs = rs;
	for (size_t i = 0; i < NPINS; i++)
		*pin_fd(gen, &pins[i]) = -1;
	return gen;
}

static int new_bases(struct pf_generation *gen)
{
	gen->base = calloc(pf_filter(gen->rs)->n + 1, sizeof(*gen->base));
	gen->base_evals = calloc(pf_filter(gen->rs)->n + 1, sizeof(*gen->base_evals));
	return gen->base && gen->base_evals ? 0 : -ENOMEM;
}

int pf_generation_make(struct pf_generations *g, struct pf_ruleset *rs,
		       const struct pf_generation *old, struct pf_generation **out,
		       struct pf_error_text *e)
{
	struct pf_generation *gen = new_generation(g->next_id, rs);
	int err;

	if (!gen) {
		pf_ruleset_free(rs);
		return pf_fail(e, -ENOMEM, "out of memory");
	}
	g->next_id++;
	err = new_bases(gen) ? pf_fail(e, -ENOMEM, "out of memory") : 0;
	if (!err)
		err = bind_tables(g, gen, old, e);
	if (!err)
		err = take_ids(g, gen, e);
	if (!err)
		err = compile(gen, e);
	if (!err)
		err = make_maps(g, gen, e);
	if (!err)
		err = fill_maps(g, gen, e);
	if (!err)
		err = load(g, gen, e);
	if (!err)
		err = make_record(gen, e);
	if (!err)
		err = pin(g, gen, e);
	if (err) {
		pf_generation_destroy(g, gen);
		return err;
	}
	*out = gen;
	return 0;
}

int pf_generation_switch(const struct pf_generations *g, const struct pf_generation *gen,
			 struct pf_error_text *e)
{
	uint32_t zero = 0;
	int err = bpf_map_update_elem(pf_datapath_map(g->dp, "pf_top"), &zero, &gen->prog, BPF_ANY);

	return err ? pf_fail(e, err, "cannot put the rules in force: %s", strerror(-err)) : 0;
}

void pf_generation_release(struct pf_generation *gen)
{
	if (!gen)
		return;
	for (size_t i = 0; i < NPINS; i++)
		if (*pin_fd(gen, &pins[i]) >= 0)
			close(*pin_fd(gen, &pins[i]));
	free(gen->bindings);
	free(gen->rule_ids);
	free(gen->base);
	free(gen->base_evals);
	pf_compiled_free(gen->code);
	pf_ruleset_free(gen->rs);
	free(gen);
}

void pf_generation_destroy(struct pf_generations *g, struct pf_generation *gen)
{
	char dir[300];

	if (!gen)
		return;
	gen_dir(g, gen->id, dir, sizeof(dir));
	pf_pin_remove_tree(dir);
	for (size_t i = 0; gen->rule_ids && i < pf_filter(gen->rs)->n; i++)
		if (gen->rule_ids[i])
			g->ids.refs[gen->rule_ids[i]] = 0;
	while (gen->nbindings)
		pf_table_unref(g->tables, gen->bindings[--gen->nbindings].table);
	pf_generation_release(gen);
}

/* --- taking over --- */

static int open_pins(const struct pf_generations *g, struct pf_generation *gen)
{
	char dir[300], path[320];

	gen_dir(g, gen->id, dir, sizeof(dir));
	for (size_t i = 0; i < NPINS; i++) {
		int *fd = pin_fd(gen, &pins[i]);

		snprintf(path, sizeof(path), "%s/%s", dir, pins[i].name);
		*fd = bpf_obj_get(path);
		if (*fd < 0)
			return *fd;
	}
	return 0;
}

static int read_ids(struct pf_generations *g, struct pf_generation *gen, struct pf_cursor *c,
		    uint32_t n)
{
	gen->rule_ids = calloc((size_t)n + 1, sizeof(*gen->rule_ids));
	if (!gen->rule_ids)
		return -ENOMEM;
	for (uint32_t i = 0; i < n; i++) {
		gen->rule_ids[i] = pf_get_u32(c);
		if (gen->rule_ids[i] >= PF_MAX_RULE_IDS)
			return -EINVAL;
		g->ids.refs[gen->rule_ids[i]] = 1;
	}
	return c->bad ? -EINVAL : 0;
}

/* The record's padding is not the model's: its length is found by reading. */
static int read_model(struct pf_generation *gen, const struct pf_cursor *c, char *why, size_t size)
{
	size_t len = (size_t)(c->end - c->at);
	int err = -EINVAL;

	for (size_t pad = 0; pad < 8 && pad <= len; pad++) {
		err = pf_model_decode(c->at, len - pad, &gen->rs, why, size);
		if (err != -EINVAL)
			break;
	}
	return err;
}

static int read_record(struct pf_generations *g, struct pf_generation *gen, char *why, size_t size)
{
	struct bpf_map_info info = {0};
	uint32_t len = sizeof(info), zero = 0, n;
	struct pf_cursor c;
	uint8_t *data;
	int err = bpf_obj_get_info_by_fd(gen->model, &info, &len);

	snprintf(why, size, "its record is damaged");
	if (err || info.value_size > RECORD_MOST)
		return err ? err : -EINVAL;
	data = malloc(info.value_size);
	if (!data)
		return -ENOMEM;
	err = bpf_map_lookup_elem(gen->model, &zero, data);
	c = pf_cursor_of(data, info.value_size);
	if (!err && (pf_get_u32(&c) != RECORD_MAGIC || pf_get_u32(&c) != gen->id))
		err = -EINVAL;
	n = pf_get_u32(&c);
	if (!err && n > PF_MODEL_RULES_MOST)
		err = -EINVAL;
	if (!err)
		err = read_ids(g, gen, &c, n);
	if (!err)
		err = read_model(gen, &c, why, size);
	if (!err && pf_filter(gen->rs)->n != n)
		err = -EINVAL;
	free(data);
	return err;
}

static int read_bindings(struct pf_generations *g, struct pf_generation *gen)
{
	for (uint32_t slot = 1; slot < PF_MAX_TABLES; slot++) {
		struct pf_table *table = g->tables->slot[slot];
		struct pf_binding *b;
		uint32_t flags;

		if (!table || bpf_map_lookup_elem(gen->bound, &slot, &flags) ||
		    !(flags & PF_TABLE_USED))
			continue;
		b = add_binding(gen, table);
		if (!b)
			return -ENOMEM;
		table->refs++;
		b->persist = flags & PF_TABLE_PERSIST;
		b->constant = flags & PF_TABLE_CONST;
		b->active = !(flags & BOUND_INACTIVE);
		b->referenced = references(gen->rs, table->name);
	}
	return 0;
}

int pf_generation_open(struct pf_generations *g, uint32_t id, struct pf_generation **out,
		       struct pf_error_text *e)
{
	struct pf_generation *gen = new_generation(id, NULL);
	char why[256] = "";
	int err = gen ? open_pins(g, gen) : -ENOMEM;

	if (!err)
		err = read_record(g, gen, why, sizeof(why));
	if (!err)
		err = new_bases(gen);
	if (!err)
		err = read_bindings(g, gen);
	if (!err)
		err = compile(gen, e);
	if (!err)
		err = fill_maps(g, gen, e);
	if (err) {
		pf_generation_release(gen);
		return pf_fail(e, err, "cannot take over the rules in force: %s%s%s",
			       strerror(-err), *why ? ": " : "", why);
	}
	if (g->next_id <= id)
		g->next_id = id + 1;
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
	gen_dir(g, id, dir, sizeof(dir));
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
	uint32_t zero = 0;

	/* reading a program array yields the program's number */
	if (bpf_map_lookup_elem(pf_datapath_map(g->dp, "pf_top"), &zero, &f.prog_id))
		return pf_fail(e, -ENOENT, "no rules are in force");
	each_pinned(g, find_prog, &f);
	if (g->next_id <= f.highest)
		g->next_id = f.highest + 1;
	if (!f.id)
		return pf_fail(e, -ENOENT, "the rules in force are not pinned");
	return pf_generation_open(g, f.id, out, e);
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
	gen_dir(g, id, dir, sizeof(dir));
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
	size_t nevals = pf_compiled_nevals(gen->code), ncpus = (size_t)g->dp->ncpus;
	uint64_t *v = calloc(nevals * ncpus, sizeof(*v)), *sum = calloc(nevals, sizeof(*sum));
	uint32_t zero = 0;
	int err = v && sum ? bpf_map_lookup_elem(gen->evals, &zero, v) : -ENOMEM;

	for (size_t i = 0; i < nevals * ncpus && !err; i++)
		sum[i % nevals] += v[i];
	if (!err)
		pf_compiled_evaluations(gen->code, sum, evaluations);
	for (size_t i = 0; i < pf_filter(gen->rs)->n && !err; i++)
		err = read_stats(g, gen->rule_ids[i], &stats[i]);
	free(v);
	free(sum);
	return err;
}
