// SPDX-License-Identifier: BSD-2-Clause
#include "anchors.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../lib/model.h"

static void unref(struct pf_loaded_rules *from)
{
	if (!from || --from->refs)
		return;
	pf_ruleset_free(from->rs);
	free(from);
}

static int add(struct pf_anchors *a, const struct pf_anchor_rules *r)
{
	char *copy = strdup(r->path);

	if (copy && a->n == a->capacity) {
		size_t want = a->capacity ? a->capacity * 2 : 8;
		struct pf_anchor_rules *v = reallocarray(a->v, want, sizeof(*v));

		if (v) {
			a->v = v;
			a->capacity = want;
		}
	}
	if (!copy || a->n == a->capacity) {
		free(copy);
		return -ENOMEM;
	}
	r->from->refs++;
	a->v[a->n] = *r;
	a->v[a->n++].path = copy;
	return 0;
}

void pf_anchors_free(struct pf_anchors *a)
{
	for (size_t i = 0; i < a->n; i++) {
		free(a->v[i].path);
		unref(a->v[i].from);
	}
	free(a->v);
	*a = (struct pf_anchors){0};
}

const struct pf_anchor_rules *pf_anchors_find(const struct pf_anchors *a, const char *path)
{
	for (size_t i = 0; i < a->n; i++)
		if (strcmp(a->v[i].path, path) == 0)
			return &a->v[i];
	return NULL;
}

/* --- loading --- */

/*
 * Braces with a name are rulesets of their own from now on: what stands there may be
 * replaced alone.  The rule then calls it by its name.
 */
static int detach(struct pf_ruleset *rs, struct pf_block *b)
{
	struct pf_rule_list *l = &b->list[PF_LIST_FILTER];

	for (size_t i = 0; i < l->n; i++) {
		const struct pf_anchor *a = pf_rule_ext_of(&l->v[i])->anchor;
		struct pf_rule_ext *x;
		struct pf_anchor *call;

		if (!a || !a->block || !a->path)
			continue;
		x = pf_arena_alloc(&rs->arena, sizeof(*x));
		call = pf_arena_alloc(&rs->arena, sizeof(*call));
		if (!x || !call)
			return -ENOMEM;
		memcpy(x, l->v[i].x, sizeof(*x));
		call->path = a->path;
		x->anchor = call;
		l->v[i].x = x;
	}
	return 0;
}

/* Is it one of those without a name in the ruleset at `path`, or in such a one? */
static bool is_unnamed_in(const char *entry, const char *path)
{
	size_t len = strlen(path);

	if (strncmp(entry, path, len) != 0)
		return false;
	entry += len;
	if (len && *entry++ != '/')
		return false;
	return *entry == '_';
}

static int add_new(struct pf_anchors *to, const struct pf_policy_sources *s,
		   struct pf_loaded_rules *from)
{
	int err = 0;

	for (size_t i = 0; i < s->n && !err; i++)
		err = add(to, &(struct pf_anchor_rules){.path = (char *)s->v[i].path,
							.block = (struct pf_block *)s->v[i].block,
							.from = from,
							.fresh = true});
	for (size_t i = 0; i < to->n && !err; i++)
		err = detach(from->rs, to->v[i].block);
	return err;
}

static int add_old(struct pf_anchors *to, const struct pf_anchors *old, const char *path)
{
	const size_t fresh = to->n;
	int err = 0;

	for (size_t i = 0; i < old->n && !err; i++) {
		bool replaced = is_unnamed_in(old->v[i].path, path);

		for (size_t k = 0; k < fresh && !replaced; k++)
			replaced = strcmp(to->v[k].path, old->v[i].path) == 0 ||
				   is_unnamed_in(old->v[i].path, to->v[k].path);
		if (!replaced)
			err = add(to, &old->v[i]);
	}
	return err;
}

/* *a becomes what there is after this one was loaded, without its files. */
static int load_one(struct pf_anchors *a, const char *path, struct pf_loaded_rules *from)
{
	struct pf_policy_sources s = {0};
	struct pf_anchors next = {0};
	int err = pf_policy_collect(&s, path, &from->rs->main);

	if (!err)
		err = add_new(&next, &s, from);
	if (!err)
		err = add_old(&next, a, path);
	pf_policy_sources_free(&s);
	if (err) {
		pf_anchors_free(&next);
		return err;
	}
	pf_anchors_free(a);
	*a = next;
	return 0;
}

/* Rulesets that are being loaded, and those of their files behind them. */
struct loads {
	struct pf_loaded_rules **from;
	const char **path;
	size_t n, capacity;
};

/* Takes over rs. */
static int add_load(struct loads *l, const char *path, struct pf_ruleset *rs)
{
	struct pf_loaded_rules *from = calloc(1, sizeof(*from));
	const size_t want = l->n == l->capacity ? l->n * 2 + 1 : l->capacity;
	struct pf_loaded_rules **more = reallocarray(l->from, want, sizeof(*more));
	const char **paths = reallocarray(l->path, want, sizeof(*paths));

	l->from = more ? more : l->from;
	l->path = paths ? paths : l->path;
	if (!from || !more || !paths) {
		free(from);
		pf_ruleset_free(rs);
		return -ENOMEM;
	}
	l->capacity = want;
	*from = (struct pf_loaded_rules){.rs = rs, .refs = 1};
	l->from[l->n] = from;
	l->path[l->n++] = path;
	return 0;
}

static void free_loads(struct loads *l)
{
	for (size_t i = 0; i < l->n; i++)
		unref(l->from[i]);
	free(l->from);
	free(l->path);
}

/* Each file's ruleset goes on by itself. */
static int add_files(struct loads *l, struct pf_ruleset *rs)
{
	int err = 0;

	for (size_t i = 0; i < rs->nloads && !err; i++) {
		struct pf_ruleset *file = rs->loads[i].rs;

		rs->loads[i].rs = NULL;
		file->options = rs->options;
		err = add_load(l, rs->loads[i].path, file);
	}
	if (!err)
		rs->nloads = 0;
	return err;
}

/* In pfctl's order: those that a file loads come behind all that stand beside the file. */
static int load_all(struct pf_anchors *a, const char *path, struct pf_ruleset *rs)
{
	struct loads l = {0};
	int err = add_load(&l, path, rs);

	for (size_t i = 0; i < l.n && !err; i++) {
		err = load_one(a, l.path[i], l.from[i]);
		if (!err)
			err = add_files(&l, l.from[i]->rs);
	}
	free_loads(&l);
	return err;
}

int pf_anchors_load(const struct pf_anchors *old, const char *path, struct pf_ruleset *rs,
		    struct pf_anchors *out)
{
	struct pf_anchors a = {0};
	int err = old ? pf_anchors_copy(old, &a) : 0;

	if (err)
		pf_ruleset_free(rs);
	else
		err = load_all(&a, path, rs);
	if (err) {
		pf_anchors_free(&a);
		return err;
	}
	*out = a;
	return 0;
}

int pf_anchors_copy(const struct pf_anchors *from, struct pf_anchors *out)
{
	struct pf_anchors a = {0};
	int err = 0;

	for (size_t i = 0; i < from->n && !err; i++) {
		err = add(&a, &from->v[i]);
		if (!err)
			a.v[i].fresh = false;
	}
	if (err) {
		pf_anchors_free(&a);
		return err;
	}
	*out = a;
	return 0;
}

int pf_anchors_policy(const struct pf_anchors *a, struct pf_policy **out)
{
	struct pf_policy_source *v = calloc(a->n + 1, sizeof(*v));
	const struct pf_policy_sources s = {.v = v, .n = a->n, .capacity = a->n};
	int err;

	if (!v)
		return -ENOMEM;
	for (size_t i = 0; i < a->n; i++)
		v[i] = (struct pf_policy_source){.path = a->v[i].path, .block = a->v[i].block};
	err = pf_policy_make(&s, out);
	free(v);
	return err;
}

/* --- as bytes --- */

/* Rules without a name stand in the ruleset that calls them. */
static bool is_part(const char *path)
{
	const char *last = strrchr(path, '/');

	return *(last ? last + 1 : path) == '_';
}

void pf_anchors_encode(const struct pf_anchors *a, struct pf_buf *out)
{
	uint32_t n = 0;

	for (size_t i = 0; i < a->n; i++)
		n += !is_part(a->v[i].path);
	pf_put_u32(out, n);
	for (size_t i = 0; i < a->n; i++) {
		const struct pf_anchor_rules *r = &a->v[i];
		struct pf_ruleset alone = {.options = r->from->rs->options};
		pf_buf_auto b = {0};

		if (is_part(r->path))
			continue;
		alone.main = *r->block;
		pf_model_encode(*r->path ? &alone : r->from->rs, &b);
		if (b.failed)
			out->failed = true;
		pf_put_string(out, r->path);
		pf_put_u32(out, (uint32_t)b.len);
		pf_put(out, b.data, b.len);
	}
}

static int decode_one(struct pf_cursor *c, struct pf_anchors *a, char *err, size_t errsize)
{
	struct pf_ruleset *rs = NULL;
	struct pf_anchors more = {0};
	char path[PF_ANCHOR_SIZE];
	uint32_t len;
	int e;

	if (!pf_get_string(c, path, sizeof(path)))
		return -EINVAL;
	len = pf_get_u32(c);
	if (c->bad || len > (size_t)(c->end - c->at))
		return -EINVAL;
	e = pf_model_decode(c->at, len, &rs, err, errsize);
	if (e)
		return e;
	c->at += len;
	e = pf_anchors_load(a, path, rs, &more);
	if (e)
		return e;
	pf_anchors_free(a);
	*a = more;
	return 0;
}

int pf_anchors_decode(struct pf_cursor *c, struct pf_anchors *out, char *err, size_t errsize)
{
	uint32_t n = pf_get_u32(c);
	struct pf_anchors a = {0};
	int e = c->bad ? -EINVAL : 0;

	snprintf(err, errsize, "its record is damaged");
	for (uint32_t i = 0; i < n && !e; i++)
		e = decode_one(c, &a, err, errsize);
	if (!e && !pf_anchors_find(&a, ""))
		e = -EINVAL;
	if (e) {
		pf_anchors_free(&a);
		return e;
	}
	*out = a;
	return 0;
}
