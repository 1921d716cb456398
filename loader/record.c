// SPDX-License-Identifier: BSD-2-Clause
#include "record.h"

#include <bpf/bpf.h>
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../lib/model.h"
#include "../lib/wire.h"
#include "btf.h"

#define RECORD_MAGIC 0x70664732 /* "pfG2" */
#define PATCH_MAGIC  0x70665032 /* "pfP2" */
#define RECORD_MOST  (256U << 20)

/* --- maps of one value --- */

static int new_record(uint32_t n)
{
	LIBBPF_OPTS(bpf_map_create_opts, opts);
	int btf = pf_btf_numbers(n, 1, &opts);
	int fd = bpf_map_create(BPF_MAP_TYPE_ARRAY, "pf_model", sizeof(uint32_t), n, 1, &opts);

	if (btf >= 0)
		close(btf);
	return fd;
}

/* A new map that holds the bytes: its descriptor. */
static int store(struct pf_buf *b, struct pf_error_text *e)
{
	uint32_t zero = 0;
	int fd, err;

	while (b->len % 8) /* the kernel rounds up */
		pf_put_u8(b, 0);
	if (b->failed || b->len > RECORD_MOST)
		return pf_fail(e, -ENOMEM, "out of memory");
	fd = new_record((uint32_t)b->len);
	err = fd < 0 ? fd : bpf_map_update_elem(fd, &zero, b->data, BPF_ANY);
	if (!err)
		return fd;
	if (fd >= 0)
		close(fd);
	return pf_fail(e, err, "cannot keep the rules: %s", strerror(-err));
}

/* The map's bytes, for free(). */
static int fetch(int fd, uint8_t **data, struct pf_cursor *c)
{
	struct bpf_map_info info = {0};
	uint32_t len = sizeof(info), zero = 0;
	int err = bpf_obj_get_info_by_fd(fd, &info, &len);

	if (err || info.value_size > RECORD_MOST)
		return err ? err : -EINVAL;
	*data = malloc(info.value_size);
	if (!*data)
		return -ENOMEM;
	err = bpf_map_lookup_elem(fd, &zero, *data);
	*c = pf_cursor_of(*data, info.value_size);
	return err;
}

/* --- the whole --- */

int pf_record_make(struct pf_generation *gen, struct pf_error_text *e)
{
	const struct pf_policy *p = gen->policy;
	pf_buf_auto b = {0};
	int fd;

	pf_put_u32(&b, RECORD_MAGIC);
	pf_put_u32(&b, gen->id);
	pf_put_u32(&b, p->nrules - p->ndead);
	/* as they stand in a policy that is made of this */
	for (size_t s = 0; s < p->nsets; s++)
		for (uint32_t i = 0; i < p->sets[s].n; i++)
			pf_put_u32(&b, gen->rule_ids[p->sets[s].first + i]);
	pf_anchors_encode(&gen->anchors, &b);
	fd = store(&b, e);
	if (fd < 0)
		return fd;
	gen->model = fd;
	return 0;
}

/* --- patches --- */

static void patch_path(const struct pf_generations *g, const struct pf_generation *gen,
		       uint32_t number, char *buf, size_t size)
{
	char dir[300];

	pf_generation_dir(g, gen->id, dir, sizeof(dir));
	snprintf(buf, size, "%s/patch_%u", dir, number);
}

static int list_patch(struct pf_generation *gen, const char *path)
{
	struct pf_patch_pin *v = reallocarray(gen->patches, gen->npatches + 1, sizeof(*v));

	if (!v)
		return -ENOMEM;
	gen->patches = v;
	v[gen->npatches].path = strdup(path);
	if (!v[gen->npatches].path)
		return -ENOMEM;
	v[gen->npatches].number = gen->npatches ? v[gen->npatches - 1].number + 1 : 1;
	gen->npatches++;
	return 0;
}

static void forget(struct pf_generation *gen, size_t at)
{
	free(gen->patches[at].path);
	memmove(&gen->patches[at], &gen->patches[at + 1],
		(--gen->npatches - at) * sizeof(*gen->patches));
}

/* Those of the same anchor that came before the last one. */
static void drop_older(const struct pf_generations *g, struct pf_generation *gen)
{
	const char *path = gen->patches[gen->npatches - 1].path;

	for (size_t i = gen->npatches - 1; i-- > 0;) {
		char pinned[340];

		if (strcmp(gen->patches[i].path, path) != 0)
			continue;
		patch_path(g, gen, gen->patches[i].number, pinned, sizeof(pinned));
		unlink(pinned);
		forget(gen, i);
	}
}

int pf_record_patch(const struct pf_generations *g, struct pf_generation *gen, const char *path,
		    const struct pf_ruleset *rs, const uint32_t *ids, struct pf_error_text *e)
{
	uint32_t n = (uint32_t)rs->main.list[PF_LIST_FILTER].n;
	pf_buf_auto b = {0};
	pf_buf_auto model = {0};
	char pinned[340];
	int fd, err;

	pf_put_u32(&b, PATCH_MAGIC);
	pf_put_u32(&b, gen->id);
	pf_put_u32(&b, n);
	for (uint32_t i = 0; i < n; i++)
		pf_put_u32(&b, ids[i]);
	pf_put_string(&b, path);
	pf_model_encode(rs, &model);
	pf_put_u32(&b, (uint32_t)model.len);
	pf_put(&b, model.data, model.len);
	b.failed |= model.failed;
	if (list_patch(gen, path))
		return pf_fail(e, -ENOMEM, "out of memory");
	patch_path(g, gen, gen->patches[gen->npatches - 1].number, pinned, sizeof(pinned));
	fd = store(&b, e);
	err = fd < 0 ? fd : bpf_obj_pin(fd, pinned);
	if (fd >= 0)
		close(fd);
	if (fd >= 0 && err)
		pf_fail(e, err, "%s: %s", pinned, strerror(-err));
	if (err)
		forget(gen, gen->npatches - 1);
	else
		drop_older(g, gen);
	return err;
}

/* --- taking over --- */

/* The ids of one ruleset's rules, from a patch. */
struct patch_ids {
	char path[PF_ANCHOR_SIZE];
	uint32_t *ids;
	uint32_t n;
};

struct reading {
	struct pf_generations *g;
	struct pf_generation *gen;
	uint32_t *ids; /* of the whole, without patches */
	uint32_t nids;
	struct pf_policy *before; /* its policy */
	struct patch_ids *patches;
	size_t npatches;
	char *why;
	size_t size;
};

static int read_ids(struct pf_cursor *c, uint32_t **out, uint32_t *n)
{
	*n = pf_get_u32(c);
	if (c->bad || *n > PF_MODEL_RULES_MOST || *n > (size_t)(c->end - c->at) / sizeof(**out))
		return -EINVAL;
	*out = calloc((size_t)*n + 1, sizeof(**out));
	if (!*out)
		return -ENOMEM;
	for (uint32_t i = 0; i < *n; i++)
		(*out)[i] = pf_get_u32(c);
	return c->bad ? -EINVAL : 0;
}

static int read_whole(struct reading *r)
{
	uint8_t *data = NULL;
	struct pf_cursor c;
	int err = fetch(r->gen->model, &data, &c);

	if (!err && (pf_get_u32(&c) != RECORD_MAGIC || pf_get_u32(&c) != r->gen->id))
		err = -EINVAL;
	if (!err)
		err = read_ids(&c, &r->ids, &r->nids);
	if (!err)
		err = pf_anchors_decode(&c, &r->gen->anchors, r->why, r->size);
	if (!err)
		err = pf_anchors_policy(&r->gen->anchors, &r->before);
	if (!err && r->before->nrules != r->nids)
		err = -EINVAL;
	free(data);
	return err;
}

static int apply_patch(struct reading *r, struct pf_cursor *c)
{
	struct patch_ids *p = reallocarray(r->patches, r->npatches + 1, sizeof(*p));
	struct pf_anchors more = {0};
	struct pf_ruleset *rs = NULL;
	uint32_t len = 0;
	int err;

	if (!p)
		return -ENOMEM;
	r->patches = p;
	p += r->npatches;
	*p = (struct patch_ids){.ids = NULL};
	if (pf_get_u32(c) != PATCH_MAGIC || pf_get_u32(c) != r->gen->id)
		return -EINVAL;
	err = read_ids(c, &p->ids, &p->n);
	r->npatches++;
	if (!err && !pf_get_string(c, p->path, sizeof(p->path)))
		err = -EINVAL;
	if (!err) {
		len = pf_get_u32(c);
		err = c->bad || len > (size_t)(c->end - c->at) ? -EINVAL : 0;
	}
	if (!err)
		err = pf_model_decode(c->at, len, &rs, r->why, r->size);
	if (!err)
		err = pf_anchors_load(&r->gen->anchors, p->path, rs, &more);
	if (err)
		return err;
	pf_anchors_free(&r->gen->anchors);
	r->gen->anchors = more;
	return 0;
}

static int compare_numbers(const void *a, const void *b)
{
	uint32_t x, y;

	memcpy(&x, a, sizeof(x));
	memcpy(&y, b, sizeof(y));
	return x < y ? -1 : x > y;
}

struct numbers {
	uint32_t *v;
	size_t n;
};

static int add_number(struct numbers *l, uint32_t number)
{
	uint32_t *v = reallocarray(l->v, l->n + 1, sizeof(*v));

	if (!v)
		return -ENOMEM;
	v[l->n++] = number;
	l->v = v;
	return 0;
}

/* Those that are pinned, in order; l->v is the caller's to free, also on failure. */
static int list_pinned(const struct reading *r, struct numbers *l)
{
	char dir[300], rest;
	struct dirent *d;
	uint32_t number;
	int err = 0;
	DIR *at;

	pf_generation_dir(r->g, r->gen->id, dir, sizeof(dir));
	at = opendir(dir);
	if (!at)
		return -errno;
	for (errno = 0; !err && (d = readdir(at)); errno = 0)
		if (sscanf(d->d_name, "patch_%u%c", &number, &rest) == 1)
			err = add_number(l, number);
	if (!err)
		err = -errno;
	closedir(at);
	if (l->n)
		qsort(l->v, l->n, sizeof(*l->v), compare_numbers);
	return err;
}

static int read_patch(struct reading *r, uint32_t number)
{
	uint8_t *data = NULL;
	struct pf_cursor c;
	char pinned[340];
	int fd, err;

	patch_path(r->g, r->gen, number, pinned, sizeof(pinned));
	fd = bpf_obj_get(pinned);
	if (fd < 0)
		return fd;
	err = fetch(fd, &data, &c);
	if (!err)
		err = apply_patch(r, &c);
	close(fd);
	free(data);
	return err;
}

static int read_patches(struct reading *r)
{
	struct numbers l = {.v = NULL};
	int err = list_pinned(r, &l);

	for (size_t i = 0; i < l.n && !err; i++)
		err = read_patch(r, l.v[i]);
	free(l.v);
	return err;
}

/* The ids of the rules at `path`, from the last patch of it or from the whole. */
static const uint32_t *find_ids(const struct reading *r, const char *path, uint32_t n)
{
	uint32_t set;

	for (size_t i = r->npatches; i-- > 0;)
		if (strcmp(r->patches[i].path, path) == 0)
			return r->patches[i].n == n ? r->patches[i].ids : NULL;
	set = pf_policy_find(r->before, path);
	if (set == PF_POLICY_NONE || r->before->sets[set].n != n)
		return NULL;
	return r->ids + r->before->sets[set].first;
}

static int take_ids(struct reading *r)
{
	const struct pf_policy *p = r->gen->policy;
	uint32_t *ids = calloc((size_t)p->nrules + 1, sizeof(*ids));
	int err = ids ? 0 : -ENOMEM;

	for (size_t s = 0; s < p->nsets && !err; s++) {
		const uint32_t *from = find_ids(r, p->sets[s].path, p->sets[s].n);

		if (from)
			memcpy(ids + p->sets[s].first, from, p->sets[s].n * sizeof(*ids));
		else
			err = -EINVAL;
	}
	if (!err)
		err = pf_rulestats_adopt(&r->g->stats, ids, p->nrules);
	if (err)
		free(ids);
	else
		r->gen->rule_ids = ids;
	return err;
}

int pf_record_read(struct pf_generations *g, struct pf_generation *gen, bool *patched, char *why,
		   size_t size)
{
	struct reading r = {.g = g, .gen = gen, .why = why, .size = size};
	int err;

	snprintf(why, size, "its record is damaged");
	err = read_whole(&r);
	if (!err)
		err = read_patches(&r);
	if (!err)
		err = pf_generation_take_policy(gen);
	if (!err)
		err = take_ids(&r);
	if (!err) {
		*patched = r.npatches > 0;
		*why = '\0';
	}
	for (size_t i = 0; i < r.npatches; i++)
		free(r.patches[i].ids);
	free(r.patches);
	free(r.ids);
	pf_policy_free(r.before);
	return err;
}
