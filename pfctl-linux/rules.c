// SPDX-License-Identifier: BSD-2-Clause
/* -s rules, labels and Anchors.  Layouts are OpenBSD's. */
#include <inttypes.h>
#include <md5.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../grammar/check.h"
#include "../grammar/print.h"
#include "../lib/model.h"
#include "json.h"

/* What pfd says of one ruleset. */
struct rules {
	struct pf_buf model;
	bool model_complete;
	struct pf_buf stats;
	struct pf_ruleset *rs;
	size_t at; /* the next of the numbers */
	uint32_t n, uid, pid;
};

static void free_rules(struct rules *r)
{
	pf_buf_free(&r->model);
	pf_buf_free(&r->stats);
	pf_ruleset_free(r->rs);
}
#define rules_auto __attribute__((cleanup(free_rules))) struct rules

static int rules_data(void *ctx, const void *payload, size_t len)
{
	struct rules *r = ctx;

	if (r->model_complete)
		pf_put(&r->stats, payload, len);
	else if (len)
		pf_put(&r->model, payload, len);
	else
		r->model_complete = true;
	return r->model.failed || r->stats.failed ? -1 : 0;
}

static void print_skips(const struct pf_wire_rule *w, size_t nr, size_t nrules)
{
	static const char *const names[] = {"i", "d", "r", "f", "p", "sa", "da", "sp", "dp"};

	fputs("  [ Skip steps: ", stdout);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (w->skip[i] == nrules)
			printf("%s=end ", names[i]);
		else if (w->skip[i] != nr + 1)
			printf("%s=%u ", names[i], w->skip[i]);
	}
	fputs("]\n", stdout);
}

static void print_counters(const struct pf_wire_rule *w, uint32_t uid, uint32_t pid)
{
	printf("  [ Evaluations: %-8" PRIu64 "  Packets: %-8" PRIu64 "  Bytes: %-10" PRIu64
	       "  States: %-6" PRIu64 "]\n",
	       w->evaluations, w->packets[0] + w->packets[1], w->bytes[0] + w->bytes[1],
	       w->states_now);
	printf("  [ Inserted: uid %u pid %u State Creations: %-6" PRIu64 "]\n", uid, pid,
	       w->states_made);
}

/* NOLINTBEGIN(misc-no-recursion): the daemon and the parser bound the depth of braces */

static size_t count_rules(const struct pf_block *b)
{
	const struct pf_rule_list *l = &b->list[PF_LIST_FILTER];
	size_t n = l->n;

	for (size_t i = 0; i < l->n; i++) {
		const struct pf_anchor *a = pf_rule_ext_of(&l->v[i])->anchor;

		if (a && a->block)
			n += count_rules(a->block);
	}
	return n;
}

/* NOLINTEND(misc-no-recursion) */

static int fetch(struct pfctl *c, const char *path, struct rules *r)
{
	pf_buf_auto ask = {0};
	pf_buf_auto ok = {0};
	struct pf_cursor cur;
	char err[256];

	pf_put_string(&ask, path);
	if (pfctl_call(c, PF_REQ_RULES, &ask, rules_data, r, &ok))
		return 1;
	cur = pf_cursor_of(ok.data, ok.len);
	r->n = pf_get_u32(&cur);
	r->uid = pf_get_u32(&cur);
	r->pid = pf_get_u32(&cur);
	if (pf_model_decode(r->model.data, r->model.len, &r->rs, err, sizeof(err))) {
		pfctl_warn("pfd: %s", err);
		return 1;
	}
	if (cur.bad || r->n != count_rules(&r->rs->main) ||
	    r->stats.len != r->n * sizeof(struct pf_wire_rule)) {
		pfctl_warn("pfd: malformed answer");
		return 1;
	}
	return 0;
}

static struct pf_wire_rule next_stats(struct rules *r)
{
	struct pf_wire_rule w;

	memcpy(&w, r->stats.data + r->at++ * sizeof(w), sizeof(w));
	return w;
}

int pfctl_fetch_rules(struct pfctl *c, struct pf_ruleset **rs, struct pf_wire_rule **stats)
{
	rules_auto r = {0};
	struct pf_wire_rule *v;
	size_t n;

	if (fetch(c, "", &r))
		return 1;
	n = pf_filter(r.rs)->n;
	v = calloc(n + 1, sizeof(*v));
	if (!v) {
		pfctl_warn("out of memory");
		return 1;
	}
	for (size_t i = 0; i < n; i++) {
		const struct pf_anchor *a = pf_rule_ext_of(&pf_filter(r.rs)->v[i])->anchor;

		v[i] = next_stats(&r);
		if (a && a->block) /* those in braces are none of the main ruleset's */
			r.at += count_rules(a->block);
	}
	*stats = v;
	*rs = r.rs;
	r.rs = NULL;
	return 0;
}

/* --- labels --- */

struct label {
	char *name;
	struct pf_wire_rule sum;
};

struct labels {
	struct label *v;
	size_t n, capacity;
};

static struct label *find_label(struct labels *l, const char *name)
{
	for (size_t i = 0; i < l->n; i++)
		if (strcmp(l->v[i].name, name) == 0)
			return &l->v[i];
	if (l->n == l->capacity) {
		size_t want = l->capacity ? l->capacity * 2 : 16;
		struct label *v = reallocarray(l->v, want, sizeof(*v));

		if (!v)
			return NULL;
		l->v = v;
		l->capacity = want;
	}
	l->v[l->n] = (struct label){.name = strdup(name)};
	return l->v[l->n].name ? &l->v[l->n++] : NULL;
}

/* Rules that have the same label count together. */
static int add_label(struct labels *l, const char *name, const struct pf_wire_rule *w)
{
	struct label *to = find_label(l, name);

	if (!to)
		return -1;
	to->sum.evaluations += w->evaluations;
	to->sum.states_made += w->states_made;
	for (int d = 0; d < 2; d++) {
		to->sum.packets[d] += w->packets[d];
		to->sum.bytes[d] += w->bytes[d];
	}
	return 0;
}

/* For each of its labels, but once for one that it has twice. */
static int add_labels(struct labels *l, const struct pf_rule *r, const struct pf_wire_rule *w)
{
	int err = 0;

	for (unsigned int i = 0; i < PF_LABELS_MOST && !err; i++) {
		const char *name = pf_rule_label_at(r, i);
		bool again = false;

		for (unsigned int k = 0; k < i && name; k++) {
			const char *before = pf_rule_label_at(r, k);

			again |= before && strcmp(before, name) == 0;
		}
		if (name && !again)
			err = add_label(l, name, w);
	}
	return err;
}

static json_t *json_counters(const struct pf_wire_rule *w)
{
	return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o}", "evaluations",
			 pfctl_json_u64(w->evaluations), "packets-in",
			 pfctl_json_u64(w->packets[0]), "bytes-in", pfctl_json_u64(w->bytes[0]),
			 "packets-out", pfctl_json_u64(w->packets[1]), "bytes-out",
			 pfctl_json_u64(w->bytes[1]), "state-creations",
			 pfctl_json_u64(w->states_made));
}

static int json_label(struct pfctl *c, const struct label *l)
{
	json_t *item = json_counters(&l->sum);

	json_object_set_new(item, "label", pfctl_json_text(l->name));
	return pfctl_json_item(c, item);
}

static int print_labels(struct pfctl *c, struct labels *l)
{
	int status = 0;

	for (size_t i = 0; i < l->n; i++) {
		const struct pf_wire_rule *w = &l->v[i].sum;

		if (c->json) {
			status |= json_label(c, &l->v[i]);
			continue;
		}
		pfctl_print_title(c);
		printf("%s %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64
		       " %" PRIu64 " %" PRIu64 "\n",
		       l->v[i].name, w->evaluations, w->packets[0] + w->packets[1],
		       w->bytes[0] + w->bytes[1], w->packets[0], w->bytes[0], w->packets[1],
		       w->bytes[1], w->states_made);
	}
	return status;
}

static void free_labels(struct labels *l)
{
	for (size_t i = 0; i < l->n; i++)
		free(l->v[i].name);
	free(l->v);
}

/* --- printing --- */

#define COUNTED_SIZE (PF_TABLE_NAME_SIZE + 16)

/* Behind a table's name the number of its addresses, or "*" if it is not active. */
static void count_table(struct pf_rule_host *h, const char *path, const struct pfctl_tables *tables,
			char buf[COUNTED_SIZE])
{
	const struct pfctl_table_line *t;

	if (h->type != PF_HOST_TABLE)
		return;
	t = pfctl_tables_find(tables, path, h->table);
	if (t)
		snprintf(buf, COUNTED_SIZE, "%s:%u", h->table, t->addresses);
	else
		snprintf(buf, COUNTED_SIZE, "%s:*", h->table);
	h->table = buf;
}

static void print_with_counts(const struct pf_rule *r, size_t nr, unsigned int flags,
			      unsigned int depth, const char *path,
			      const struct pfctl_tables *tables)
{
	struct pf_rule counted = *r;
	char src[COUNTED_SIZE], dst[COUNTED_SIZE];

	count_table(&counted.src, path, tables, src);
	count_table(&counted.dst, path, tables, dst);
	pf_rule_print_at(stdout, &counted, nr, flags, depth);
}

/* What the parts of one listing share. */
struct listing {
	struct pfctl *c;
	unsigned int flags;
	struct pfctl_tables tables;
	struct labels labels;
	bool only_labels;
};

/* The rule in one line, without the brace that rules in braces begin with; for free(). */
static char *rule_text(const struct pf_rule *rule, unsigned int flags)
{
	char *text = NULL;
	size_t len = 0;
	FILE *f = open_memstream(&text, &len);

	if (!f)
		return NULL;
	pf_rule_print(f, rule, 0, flags | PF_PRINT_OPEN);
	if (fclose(f)) {
		free(text);
		return NULL;
	}
	while (len && strchr("\n {", text[len - 1]))
		text[--len] = '\0';
	return text;
}

static json_t *json_labels(const struct pf_rule *rule)
{
	json_t *list = json_array();

	for (unsigned int i = 0; i < PF_LABELS_MOST; i++) {
		const char *name = pf_rule_label_at(rule, i);

		if (name && json_array_append_new(list, pfctl_json_text(name))) {
			json_decref(list);
			return NULL;
		}
	}
	return list;
}

static int json_one(struct listing *l, const struct rules *r, const char *path,
		    const struct pf_rule *rule, size_t nr, const struct pf_wire_rule *w)
{
	char *text = rule_text(rule, l->flags & PF_PRINT_PORT_NAMES);
	json_t *item = text ? json_counters(w) : NULL;
	int err;

	err = json_object_set_new(item, "anchor", pfctl_json_text(path)) |
	      json_object_set_new(item, "number", json_integer((json_int_t)nr)) |
	      json_object_set_new(item, "rule", text ? pfctl_json_text(text) : NULL) |
	      json_object_set_new(item, "label",
				  rule->label ? pfctl_json_text(rule->label) : json_null()) |
	      json_object_set_new(item, "labels", json_labels(rule)) |
	      json_object_set_new(item, "states", pfctl_json_u64(w->states_now)) |
	      json_object_set_new(item, "expired", json_boolean(w->expired)) |
	      json_object_set_new(item, "inserted-uid", json_integer(r->uid)) |
	      json_object_set_new(item, "inserted-pid", json_integer(r->pid));
	free(text);
	if (err) {
		json_decref(item);
		item = NULL;
	}
	return pfctl_json_item(l->c, item);
}

static void print_one(struct listing *l, const struct rules *r, const char *path,
		      const struct pf_rule *rule, size_t nr, size_t nrules, unsigned int depth,
		      const struct pf_wire_rule *w, bool open)
{
	unsigned int flags = l->flags | (open ? PF_PRINT_OPEN : 0U);

	/* as pfctl hides them */
	if (w->expired && l->c->verbose < 2)
		return;
	if (l->c->verbose > 1)
		print_with_counts(rule, nr, flags, depth, path, &l->tables);
	else
		pf_rule_print_at(stdout, rule, nr, flags, depth);
	if (l->c->verbose > 1)
		print_skips(w, nr, nrules);
	if (l->c->verbose)
		print_counters(w, r->uid, r->pid);
}

/* NOLINTBEGIN(misc-no-recursion): the daemon and the parser bound the depth of braces */

static int list_path(struct listing *l, const char *path, unsigned int depth);

static int list_block(struct listing *l, struct rules *r, const char *path,
		      const struct pf_block *b, unsigned int depth);

/* What an anchor's rule calls: rules in braces without a name; with -a '*' also by name. */
static int list_anchor(struct listing *l, struct rules *r, const char *path,
		       const struct pf_anchor *a, unsigned int unnamed, unsigned int depth)
{
	char *to;
	int status;
	char name[16];

	snprintf(name, sizeof(name), "_%u", unnamed);
	to = pf_anchor_path_resolve(path, a->path ? a->path : name);
	if (!to)
		status = 1;
	else if (a->block)
		status = list_block(l, r, to, a->block, depth);
	else
		status = list_path(l, to, depth);
	free(to);
	return status;
}

static bool opens(const struct listing *l, const struct pf_anchor *a, unsigned int depth)
{
	return a && (a->block || (l->c->recurse && depth < 64 && !strchr(a->path, '*')));
}

static int list_block(struct listing *l, struct rules *r, const char *path,
		      const struct pf_block *b, unsigned int depth)
{
	const struct pf_rule_list *rules = &b->list[PF_LIST_FILTER];
	unsigned int unnamed = 0;
	int status = 0;

	for (size_t i = 0; i < rules->n && !status; i++) {
		const struct pf_rule *rule = &rules->v[i];
		const struct pf_rule_ext *x = pf_rule_ext_of(rule);
		struct pf_wire_rule w = next_stats(r);
		bool open = opens(l, x->anchor, depth);

		unnamed += x->anchor && !x->anchor->path;
		if (!depth && !l->only_labels && l->c->rule != PFCTL_ANY_RULE && l->c->rule != i) {
			if (x->anchor && x->anchor->block)
				r->at += count_rules(x->anchor->block);
			continue;
		}
		if (l->c->json && !l->only_labels)
			status = json_one(l, r, path, rule, i, &w);
		else if (l->only_labels)
			status = add_labels(&l->labels, rule, &w);
		else
			print_one(l, r, path, rule, i, rules->n, depth, &w, open);
		if (open && !status)
			status = list_anchor(l, r, path, x->anchor, unnamed, depth + 1);
		if (open && !l->only_labels && !l->c->json)
			printf("%*s}\n", (int)depth * 2, "");
	}
	return status;
}

static int list_path(struct listing *l, const char *path, unsigned int depth)
{
	rules_auto r = {0};

	/* a call of what nobody has filled yet is no error */
	if (depth && !pfctl_anchor_exists(l->c, path))
		return 0;
	if (fetch(l->c, path, &r))
		return 1;
	return list_block(l, &r, path, &r.rs->main, depth);
}

/* NOLINTEND(misc-no-recursion) */

int pfctl_show_rules(struct pfctl *c, bool labels)
{
	struct listing l = {.c = c, .only_labels = labels};
	int status = 0;

	l.flags = (c->verbose > 1 ? PF_PRINT_NUMBER : 0U) |
		  (c->port_names ? PF_PRINT_PORT_NAMES : 0U);
	if (c->json)
		pfctl_json_begin(c);
	if (c->verbose > 1 && !labels && !c->json)
		status = pfctl_tables(c, "", true, &l.tables);
	if (!status)
		status = list_path(&l, c->anchor ? c->anchor : "", 0);
	if (!status)
		status = print_labels(c, &l.labels);
	if (c->json && !status)
		pfctl_json_end();
	free_labels(&l.labels);
	pfctl_tables_free(&l.tables);
	return status ? 1 : 0;
}

int pfctl_rules_checksum(struct pfctl *c, char sum[PFCTL_CHECKSUM_SIZE])
{
	rules_auto r = {0};
	uint8_t digest[MD5_DIGEST_LENGTH];
	MD5_CTX md5;

	if (fetch(c, "", &r))
		return 1;
	MD5Init(&md5);
	for (size_t i = 0; i < pf_filter(r.rs)->n; i++) {
		char *text = NULL;
		size_t len = 0;
		FILE *f = open_memstream(&text, &len);

		if (f)
			pf_rule_print(f, &pf_filter(r.rs)->v[i], 0, 0);
		if (!f || fclose(f)) {
			free(text);
			pfctl_warn("out of memory");
			return 1;
		}
		MD5Update(&md5, (const uint8_t *)text, len);
		free(text);
	}
	MD5Final(digest, &md5);
	for (size_t i = 0; i < sizeof(digest); i++)
		snprintf(sum + 2 * i, 3, "%02x", digest[i]);
	return 0;
}
