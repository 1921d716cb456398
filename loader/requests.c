// SPDX-License-Identifier: BSD-2-Clause
/* What clients ask for: one handler a request, by a table. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "../grammar/check.h"
#include "../lib/model.h"
#include "control.h"
#include "dump.h"
#include "sources.h"
#include "tabledelta.h"

#define LOAD_MOST    ((size_t)1 << 30)
#define ENTRIES_MOST PF_MODEL_ENTRIES_MOST

typedef void request_fn(struct pf_client_conn *c, struct pf_cursor *p);

void pf_reply_u32(struct pf_client_conn *c, uint32_t v)
{
	pf_buf_auto b = {0};

	pf_put_u32(&b, v);
	pf_reply_ok(c, &b);
}

bool pf_request_complete(struct pf_client_conn *c, const struct pf_cursor *p)
{
	if (pf_cursor_done(p))
		return true;
	c->control->malformed++;
	pf_reply_error(c, -EINVAL, "malformed request");
	return false;
}

static void done(struct pf_client_conn *c, int err, const struct pf_error_text *e)
{
	if (err < 0)
		pf_reply_error(c, err, e->text);
	else
		pf_reply_ok(c, NULL);
}

/* The path of an anchor; "" is the main ruleset. */
static void get_path(struct pf_cursor *p, char *path, size_t size)
{
	*path = '\0';
	pf_get_string(p, path, size);
	if (*path && (*path == '/' || pf_anchor_path_error(path, false)))
		pf_cursor_fail(p);
}

/* The same, also one that pf has named. */
static void get_any_path(struct pf_cursor *p, char *path, size_t size)
{
	*path = '\0';
	pf_get_string(p, path, size);
	if (*path && (*path == '/' || pf_anchor_path_malformed(path, false)))
		pf_cursor_fail(p);
}

/* --- loading --- */

static void load_begin(struct pf_client_conn *c, struct pf_cursor *p)
{
	struct pf_control *ctl = c->control;
	pf_buf_auto b = {0};

	if (!pf_request_complete(c, p))
		return;
	/* a ticket given before is worth nothing from now on */
	if (getrandom(&ctl->ticket, sizeof(ctl->ticket), 0) != sizeof(ctl->ticket)) {
		pf_reply_error(c, -EIO, "no random numbers");
		return;
	}
	ctl->ticket |= 1;
	pf_buf_free(&ctl->load);
	pf_put_u64(&b, ctl->ticket);
	pf_reply_ok(c, &b);
}

static bool ticket_ok(struct pf_client_conn *c, struct pf_cursor *p)
{
	uint64_t ticket = pf_get_u64(p);

	if (!p->bad && ticket == c->control->ticket && ticket)
		return true;
	pf_reply_error(c, -EBUSY,
		       "another load has begun in the meantime: this one changes nothing");
	return false;
}

static void load_data(struct pf_client_conn *c, struct pf_cursor *p)
{
	struct pf_control *ctl = c->control;
	size_t len;

	if (!ticket_ok(c, p))
		return;
	len = (size_t)(p->end - p->at);
	if (ctl->load.len + len > LOAD_MOST) {
		pf_reply_error(c, -EFBIG, "the ruleset is too large");
		return;
	}
	pf_put(&ctl->load, p->at, len);
	if (ctl->load.failed)
		pf_reply_error(c, -ENOMEM, "out of memory");
	else
		pf_reply_ok(c, NULL);
}

static void load_commit(struct pf_client_conn *c, struct pf_cursor *p)
{
	struct pf_control *ctl = c->control;
	struct pf_error_text e;
	struct pf_loaded loaded;
	pf_buf_auto b = {0};
	char path[PF_ANCHOR_SIZE];
	uint32_t confirm;
	int err;

	if (!ticket_ok(c, p))
		return;
	confirm = pf_get_u32(p);
	get_path(p, path, sizeof(path));
	if (!pf_request_complete(c, p))
		return;
	ctl->ticket = 0;
	err = pf_engine_load(ctl->engine, path, ctl->load.data, ctl->load.len, confirm, &loaded,
			     &e);
	pf_buf_free(&ctl->load);
	if (err) {
		pf_reply_error(c, err, e.text);
		return;
	}
	ctl->engine->dp.config->loader_uid = c->uid;
	ctl->engine->dp.config->loader_pid = c->pid;
	pf_put_u32(&b, loaded.adopted);
	pf_put_u32(&b, loaded.room);
	pf_put_u32(&b, loaded.skipped);
	pf_reply_ok(c, &b);
}

static void confirm(struct pf_client_conn *c, struct pf_cursor *p)
{
	struct pf_error_text e;

	if (pf_request_complete(c, p))
		done(c, pf_engine_confirm(c->control->engine, &e), &e);
}

static void enable(struct pf_client_conn *c, struct pf_cursor *p)
{
	struct pf_error_text e;

	if (pf_request_complete(c, p))
		done(c, pf_engine_enable(c->control->engine, true, &e), &e);
}

static void disable(struct pf_client_conn *c, struct pf_cursor *p)
{
	struct pf_error_text e;

	if (pf_request_complete(c, p))
		done(c, pf_engine_enable(c->control->engine, false, &e), &e);
}

/* --- showing --- */

/* NOLINTBEGIN(misc-no-recursion): the parser bounds the depth of braces */

/*
 * The numbers of a ruleset's rules, those in braces without a name behind the rule
 * that they belong to: as the model has them.
 */
static void order_stats(const struct pf_policy *p, uint32_t set, const struct pf_wire_rule *stats,
			struct pf_buf *out)
{
	for (uint32_t i = p->sets[set].first; i < p->sets[set].first + p->sets[set].n; i++) {
		const struct pf_policy_call *call = pf_policy_call_of(p, i);

		pf_put(out, &stats[i], sizeof(stats[i]));
		if (call && call->n && !pf_rule_ext_of(p->rules[i])->anchor->path)
			order_stats(p, p->callees[call->first], stats, out);
	}
}

/* NOLINTEND(misc-no-recursion) */

/* An anchor may have tables alone, or others below it. */
static void reply_rules(struct pf_client_conn *c, const char *path,
			const struct pf_wire_rule *stats)
{
	const struct pf_generation *gen = c->control->engine->active;
	const struct pf_anchor_rules *a = pf_anchors_find(&gen->anchors, path);
	struct pf_ruleset alone = {.options = gen->rs->options};
	pf_buf_auto model = {0}, numbers = {0}, b = {0};

	if (a)
		alone.main = *a->block;
	pf_model_encode(*path ? &alone : gen->rs, &model);
	if (a)
		order_stats(gen->policy, pf_policy_find(gen->policy, path), stats, &numbers);
	if (model.failed || numbers.failed) {
		pf_reply_error(c, -ENOMEM, "out of memory");
		return;
	}
	pf_reply_list(c, model.data, model.len, 1);
	pf_reply_data(c, NULL, 0); /* here the model ends */
	pf_reply_list(c, numbers.data, numbers.len / sizeof(*stats), sizeof(*stats));
	pf_put_u32(&b, (uint32_t)(numbers.len / sizeof(*stats)));
	pf_put_u32(&b, c->control->engine->dp.config->loader_uid);
	pf_put_u32(&b, c->control->engine->dp.config->loader_pid);
	pf_reply_ok(c, &b);
}

static void rules(struct pf_client_conn *c, struct pf_cursor *p)
{
	const struct pf_generation *gen = c->control->engine->active;
	struct pf_wire_rule *stats;
	struct pf_error_text e;
	char path[PF_ANCHOR_SIZE];
	int err;

	get_any_path(p, path, sizeof(path));
	if (!pf_request_complete(c, p))
		return;
	if (!pf_engine_anchor_exists(c->control->engine, path)) {
		pf_reply_error(c, -ENOENT, "Anchor does not exist.");
		return;
	}
	stats = calloc((size_t)gen->policy->nrules + 1, sizeof(*stats));
	err = stats ? pf_engine_rule_stats(c->control->engine, stats, &e)
		    : pf_fail(&e, -ENOMEM, "out of memory");
	if (err)
		pf_reply_error(c, err, e.text);
	else
		reply_rules(c, path, stats);
	free(stats);
}

static int compare_paths(const void *a, const void *b)
{
	return pf_policy_compare_paths(*(const char *const *)a, *(const char *const *)b);
}

/* Paths of all anchors that have rules or tables of their own. */
static void anchors(struct pf_client_conn *c, struct pf_cursor *p)
{
	const struct pf_generation *gen = c->control->engine->active;
	const struct pf_policy *policy = gen->policy;
	const char **v;
	size_t n = 0;
	uint32_t sent = 0;

	if (!pf_request_complete(c, p))
		return;
	v = calloc(policy->nsets + gen->nbindings + 1, sizeof(*v));
	if (!v) {
		pf_reply_error(c, -ENOMEM, "out of memory");
		return;
	}
	for (size_t i = 1; i < policy->nsets; i++)
		v[n++] = policy->sets[i].path;
	for (size_t i = 0; i < gen->nbindings; i++)
		if (*gen->bindings[i].table->path)
			v[n++] = gen->bindings[i].table->path;
	qsort(v, n, sizeof(*v), compare_paths);
	for (size_t i = 0; i < n; i++) {
		pf_buf_auto b = {0};

		if (i && strcmp(v[i - 1], v[i]) == 0)
			continue;
		pf_put_string(&b, v[i]);
		pf_reply_data(c, b.data, b.len);
		sent++;
	}
	free(v);
	pf_reply_u32(c, sent);
}

static void dump(struct pf_client_conn *c, struct pf_cursor *p)
{
	const struct pf_engine *g = c->control->engine;
	bool all = pf_get_u8(p) != 0;
	char *text;
	size_t len;

	if (!pf_request_complete(c, p))
		return;
	if (pf_dump_text(g->active, g->gens.emitter, all, &text, &len)) {
		pf_reply_error(c, -ENOMEM, "out of memory");
		return;
	}
	pf_reply_list(c, text, len, 1);
	free(text);
	pf_reply_ok(c, NULL);
}

static void clear_rules(struct pf_client_conn *c, struct pf_cursor *p)
{
	if (!pf_request_complete(c, p))
		return;
	pf_engine_clear_rule_stats(c->control->engine);
	pf_reply_ok(c, NULL);
}

static void status(struct pf_client_conn *c, struct pf_cursor *p)
{
	struct pf_wire_status s;
	pf_buf_auto b = {0};

	if (!pf_request_complete(c, p))
		return;
	pf_engine_status(c->control->engine, &s);
	pf_put(&b, &s, sizeof(s));
	pf_reply_ok(c, &b);
}

static void clear_status(struct pf_client_conn *c, struct pf_cursor *p)
{
	if (!pf_request_complete(c, p))
		return;
	pf_engine_clear_status(c->control->engine);
	pf_reply_ok(c, NULL);
}

static void options(struct pf_client_conn *c, struct pf_cursor *p)
{
	const struct pf_options *o = &c->control->engine->active->rs->options;
	pf_buf_auto b = {0};

	if (!pf_request_complete(c, p))
		return;
	for (int i = 0; i < PF_TIMEOUT_MAX; i++)
		pf_put_u32(&b, o->timeout[i]);
	for (int i = 0; i < PF_LIMIT_MAX; i++)
		pf_put_u32(&b, o->limit[i]);
	pf_reply_ok(c, &b);
}

static void set_debug(struct pf_client_conn *c, struct pf_cursor *p)
{
	uint32_t level = pf_get_u32(p);

	if (!pf_request_complete(c, p))
		return;
	if (level > LOG_DEBUG) {
		pf_reply_error(c, -EINVAL, "unknown debug level");
		return;
	}
	pf_engine_debug(c->control->engine, level);
	pf_reply_ok(c, NULL);
}

static void reset(struct pf_client_conn *c, struct pf_cursor *p)
{
	struct pf_error_text e;

	if (pf_request_complete(c, p))
		done(c, pf_engine_reset(c->control->engine, &e), &e);
}

static void flush_rules(struct pf_client_conn *c, struct pf_cursor *p)
{
	char path[PF_ANCHOR_SIZE];
	struct pf_error_text e;

	get_path(p, path, sizeof(path));
	if (pf_request_complete(c, p))
		done(c, pf_engine_flush_rules(c->control->engine, path, &e), &e);
}

/* --- tables --- */

/* Those of one ruleset, or also of all below it. */
static void tables(struct pf_client_conn *c, struct pf_cursor *p)
{
	struct pf_engine *g = c->control->engine;
	const struct pf_generation *gen = g->active;
	char path[PF_ANCHOR_SIZE];
	struct pf_error_text e;
	bool below;
	uint32_t n = 0;
	int err;

	get_any_path(p, path, sizeof(path));
	below = pf_get_u8(p) != 0;
	if (!pf_request_complete(c, p))
		return;
	if (!pf_engine_anchor_exists(g, path)) {
		pf_reply_error(c, -ENOENT, "Anchor does not exist.");
		return;
	}
	/* for the numbers of entries */
	err = pf_tables_fold(&g->tables, &e);
	if (err) {
		pf_reply_error(c, err, e.text);
		return;
	}
	for (size_t i = 0; i < gen->nbindings; i++) {
		const struct pf_binding *b = &gen->bindings[i];
		pf_buf_auto out = {0};

		if (!b->active || !pf_engine_is_in(b->table->path, path, below))
			continue;
		n++;
		pf_put_string(&out, b->table->path);
		pf_put_string(&out, b->table->name);
		pf_put_u32(&out,
			   (b->constant ? PF_TABLE_FLAG_CONST : 0U) |
				   (b->persist ? PF_TABLE_FLAG_PERSIST : 0U) |
				   PF_TABLE_FLAG_ACTIVE |
				   (b->referenced ? PF_TABLE_FLAG_REFERENCED : 0U) |
				   (b->counters ? PF_TABLE_FLAG_COUNTERS : 0U) |
				   (pf_generation_anchored(gen, b) ? PF_TABLE_FLAG_ANCHORED : 0U));
		pf_put_u32(&out, b->table->entries);
		if (b->counters) {
			struct pf_wire_table_counts v;

			pf_table_counters(&g->tables, b->table, &v);
			pf_put(&out, &v, sizeof(v));
		}
		pf_reply_data(c, out.data, out.len);
	}
	pf_reply_u32(c, n);
}

static void flush_tables(struct pf_client_conn *c, struct pf_cursor *p)
{
	struct pf_engine *g = c->control->engine;
	char path[PF_ANCHOR_SIZE];
	struct pf_error_text e;
	bool below;
	uint32_t n;
	int err;

	get_any_path(p, path, sizeof(path));
	below = pf_get_u8(p) != 0;
	if (!pf_request_complete(c, p))
		return;
	if (!pf_engine_anchor_exists(g, path)) {
		pf_reply_error(c, -ENOENT, "Anchor does not exist.");
		return;
	}
	err = pf_engine_flush_tables(g, path, below, &n, &e);
	if (err)
		pf_reply_error(c, err, e.text);
	else
		pf_reply_u32(c, n);
}

/* One operation on one table. */
struct table_request {
	enum pf_table_op op;
	bool dry, details, all;
	char path[PF_ANCHOR_SIZE];
	char name[PF_TABLE_NAME_SIZE];
	struct pf_wire_entry *entries;
	uint32_t n;
	uint32_t seconds; /* of PF_TABLE_EXPIRE */
};

/* Those that were staged, and those of the message. */
static void get_entries(struct pf_cursor *p, const struct pf_buf *staged, struct table_request *r)
{
	uint32_t before = (uint32_t)(staged->len / sizeof(*r->entries)), n = pf_get_u32(p);

	if (p->bad || n > ENTRIES_MOST || n * sizeof(*r->entries) > (size_t)(p->end - p->at)) {
		pf_cursor_fail(p);
		return;
	}
	r->n = before + n;
	r->entries = calloc(r->n + 1, sizeof(*r->entries));
	if (!r->entries) {
		pf_cursor_fail(p);
		return;
	}
	if (before)
		memcpy(r->entries, staged->data, before * sizeof(*r->entries));
	pf_get(p, r->entries + before, n * sizeof(*r->entries));
	for (uint32_t i = 0; i < r->n; i++) {
		struct pf_wire_entry *e = &r->entries[i];
		struct pf_ip ip;

		if ((e->af != PF_FAMILY_INET && e->af != PF_FAMILY_INET6) || e->neg > 1 ||
		    e->bits > pf_family_bits((enum pf_family)e->af)) {
			pf_cursor_fail(p);
			return;
		}
		memcpy(ip.b, e->addr, sizeof(ip.b));
		pf_ip_mask(&ip, e->bits);
		memcpy(e->addr, ip.b, sizeof(ip.b));
	}
}

static void reply_table(struct pf_client_conn *c, const struct table_request *r,
			const struct pf_table_result *res, bool made)
{
	pf_buf_auto b = {0};

	pf_reply_list(c, res->feedback, r->n, sizeof(*res->feedback));
	pf_reply_list(c, res->entries, res->nentries, sizeof(*res->entries));
	switch (r->op) {
	case PF_TABLE_ADD:
		pf_put_u32(&b, res->added);
		pf_put_u32(&b, made);
		break;
	case PF_TABLE_REPLACE:
		pf_put_u32(&b, res->added);
		pf_put_u32(&b, res->deleted);
		pf_put_u32(&b, res->changed);
		pf_put_u32(&b, made);
		break;
	case PF_TABLE_TEST:
		pf_put_u32(&b, res->matched);
		pf_put_u32(&b, 0);
		break;
	case PF_TABLE_ZERO:
		pf_put_u32(&b, res->cleared);
		pf_put_u32(&b, 0);
		break;
	default:
		pf_put_u32(&b, res->deleted);
		pf_put_u32(&b, 0);
		break;
	}
	pf_reply_ok(c, &b);
}

static void table_show(struct pf_client_conn *c, const struct pf_table *table)
{
	struct pf_wire_entry *list;
	struct pf_error_text e;
	size_t n;
	int err = pf_table_list(&c->control->engine->tables, table, &list, &n, &e);

	if (err) {
		pf_reply_error(c, err, e.text);
		return;
	}
	pf_reply_list(c, list, n, sizeof(*list));
	free(list);
	pf_reply_u32(c, (uint32_t)n);
}

static void table_counters(struct pf_client_conn *c, const struct pf_binding *b)
{
	struct pf_wire_table_entry *list;
	struct pf_error_text e;
	size_t n;
	int err;

	if (!b->counters) {
		pf_reply_u32(c, 0);
		return;
	}
	err = pf_table_list_counters(&c->control->engine->tables, b->table, &list, &n, &e);
	if (err) {
		pf_reply_error(c, err, e.text);
		return;
	}
	pf_reply_list(c, list, n, sizeof(*list));
	free(list);
	pf_reply_u32(c, 1);
}

static int table_do(struct pf_engine *g, struct pf_table *t, const struct table_request *r,
		    struct pf_table_result *res, struct pf_error_text *e)
{
	switch (r->op) {
	case PF_TABLE_ADD:
		return pf_table_add(&g->tables, t, r->entries, r->n, r->dry, res, e);
	case PF_TABLE_DELETE:
		return pf_table_delete(&g->tables, t, r->entries, r->n, r->dry, res, e);
	case PF_TABLE_TEST:
		return pf_table_test(&g->tables, t, r->entries, r->n, res, e);
	case PF_TABLE_FLUSH:
		return pf_table_replace(&g->tables, t, NULL, 0, r->dry, res, e);
	case PF_TABLE_REPLACE:
		return pf_table_replace(&g->tables, t, r->entries, r->n, r->dry, res, e);
	case PF_TABLE_EXPIRE:
		return pf_table_expire(&g->tables, t, r->seconds, r->dry, res, e);
	case PF_TABLE_ZERO:
		return r->all ? pf_table_zero_all(&g->tables, t, r->dry, res, e)
			      : pf_table_zero(&g->tables, t, r->entries, r->n, r->dry, res, e);
	default:
		return pf_fail(e, -EINVAL, "unknown operation");
	}
}

static void table_kill(struct pf_client_conn *c, const struct table_request *r)
{
	struct table_request none = {.op = PF_TABLE_KILL};
	struct pf_table_result res = {0};
	struct pf_error_text e;
	int err = pf_engine_kill_table(c->control->engine, r->path, r->name, r->dry, &res.deleted,
				       &e);

	if (err)
		pf_reply_error(c, err, e.text);
	else
		reply_table(c, &none, &res, false);
}

static void table_run(struct pf_client_conn *c, const struct table_request *r)
{
	struct pf_engine *g = c->control->engine;
	bool makes = r->op == PF_TABLE_ADD || r->op == PF_TABLE_REPLACE, made = false;
	struct pf_table_result res = {.feedback = calloc(r->n + 1, 1), .details = r->details};
	struct pf_error_text e;
	struct pf_binding *b;
	int err;

	if (!res.feedback) {
		pf_reply_error(c, -ENOMEM, "out of memory");
		return;
	}
	b = makes ? pf_engine_table_make(g, r->path, r->name, r->dry, &made, &e)
		  : pf_engine_table(g, r->path, r->name, &e);
	if (!b && made) {
		reply_table(c, r, &res, true);
	} else if (!b) {
		pf_reply_error(c, -ESRCH, e.text);
	} else if (r->op == PF_TABLE_SHOW) {
		table_show(c, b->table);
	} else if (r->op == PF_TABLE_SHOW_COUNTERS) {
		table_counters(c, b);
	} else if (b->constant && r->op != PF_TABLE_TEST && r->op != PF_TABLE_ZERO) {
		pf_reply_error(c, -EPERM, "the table is const: only a load can change it");
	} else {
		err = table_do(g, b->table, r, &res, &e);
		if (err)
			pf_reply_error(c, err, e.text);
		else
			reply_table(c, r, &res, made);
	}
	free(res.feedback);
	free(res.entries);
}

static void table(struct pf_client_conn *c, struct pf_cursor *p)
{
	struct table_request r = {.op = (enum pf_table_op)pf_get_u8(p)};
	uint8_t flags;

	flags = pf_get_u8(p);
	r.dry = flags & PF_TABLE_DRY_RUN;
	r.details = flags & PF_TABLE_DETAILS;
	r.all = flags & PF_TABLE_ALL;
	get_any_path(p, r.path, sizeof(r.path));
	pf_get_string(p, r.name, sizeof(r.name));
	if (!pf_name_ok(r.name, sizeof(r.name)) || r.op >= PF_TABLE_OP_MOST)
		pf_cursor_fail(p);
	get_entries(p, &c->staged, &r);
	if (r.op == PF_TABLE_EXPIRE)
		r.seconds = pf_get_u32(p);
	pf_buf_free(&c->staged);
	if (!pf_request_complete(c, p))
		; /* said */
	else if (r.op == PF_TABLE_KILL)
		table_kill(c, &r);
	else
		table_run(c, &r);
	free(r.entries);
}

/* A replacement is one step, however many messages its entries need. */
static void table_data(struct pf_client_conn *c, struct pf_cursor *p)
{
	size_t len = (size_t)(p->end - p->at);

	if (len % sizeof(struct pf_wire_entry) ||
	    c->staged.len + len > ENTRIES_MOST * sizeof(struct pf_wire_entry)) {
		pf_reply_error(c, -EFBIG, "too many addresses in one request");
		return;
	}
	pf_put(&c->staged, p->at, len);
	if (c->staged.failed)
		pf_reply_error(c, -ENOMEM, "out of memory");
	else
		pf_reply_ok(c, NULL);
}

/* --- the table of requests --- */

static request_fn *const handlers[PF_REQ_MOST - PF_REQ_FIRST] = {
	[PF_REQ_LOAD_BEGIN - PF_REQ_FIRST] = load_begin,
	[PF_REQ_LOAD_DATA - PF_REQ_FIRST] = load_data,
	[PF_REQ_LOAD_COMMIT - PF_REQ_FIRST] = load_commit,
	[PF_REQ_CONFIRM - PF_REQ_FIRST] = confirm,
	[PF_REQ_ENABLE - PF_REQ_FIRST] = enable,
	[PF_REQ_DISABLE - PF_REQ_FIRST] = disable,
	[PF_REQ_RULES - PF_REQ_FIRST] = rules,
	[PF_REQ_CLEAR_RULES - PF_REQ_FIRST] = clear_rules,
	[PF_REQ_STATES - PF_REQ_FIRST] = pf_request_states,
	[PF_REQ_STATUS - PF_REQ_FIRST] = status,
	[PF_REQ_CLEAR_STATUS - PF_REQ_FIRST] = clear_status,
	[PF_REQ_OPTIONS - PF_REQ_FIRST] = options,
	[PF_REQ_TABLES - PF_REQ_FIRST] = tables,
	[PF_REQ_TABLE - PF_REQ_FIRST] = table,
	[PF_REQ_TABLE_DATA - PF_REQ_FIRST] = table_data,
	[PF_REQ_FLUSH_RULES - PF_REQ_FIRST] = flush_rules,
	[PF_REQ_FLUSH_TABLES - PF_REQ_FIRST] = flush_tables,
	[PF_REQ_KILL - PF_REQ_FIRST] = pf_request_kill,
	[PF_REQ_DEBUG - PF_REQ_FIRST] = set_debug,
	[PF_REQ_RESET - PF_REQ_FIRST] = reset,
	[PF_REQ_ANCHORS - PF_REQ_FIRST] = anchors,
	[PF_REQ_DUMP - PF_REQ_FIRST] = dump,
	[PF_REQ_STATES_SAVE - PF_REQ_FIRST] = pf_request_save,
	[PF_REQ_STATES_DATA - PF_REQ_FIRST] = pf_request_saved,
	[PF_REQ_STATES_LOAD - PF_REQ_FIRST] = pf_request_restore,
	[PF_REQ_MONITOR - PF_REQ_FIRST] = pf_request_monitor,
	[PF_REQ_SOURCES - PF_REQ_FIRST] = pf_request_sources,
	[PF_REQ_KILL_SOURCES - PF_REQ_FIRST] = pf_request_kill_sources,
	[PF_REQ_LIMITERS - PF_REQ_FIRST] = pf_request_limiters,
	[PF_REQ_LIMITED - PF_REQ_FIRST] = pf_request_limited,
};

void pf_request(struct pf_client_conn *c, uint16_t type, struct pf_cursor *p)
{
	if (type < PF_REQ_FIRST || type >= PF_REQ_MOST) {
		c->control->malformed++;
		pf_reply_error(c, -EOPNOTSUPP, "unknown request");
		return;
	}
	handlers[type - PF_REQ_FIRST](c, p);
}
