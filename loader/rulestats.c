// SPDX-License-Identifier: BSD-2-Clause
#include "rulestats.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "btf.h"

/* The counters of one chunk, summed; read once for the ids that follow each other. */
struct reader {
	const struct pf_rulestats *s;
	uint32_t chunk; /* PF_STATS_CHUNKS: none yet */
	struct pf_rule_stats sum[PF_STATS_CHUNK];
	struct pf_rule_stats *each; /* of all CPUs */
};

static void path_of(const struct pf_rulestats *s, uint32_t chunk, char *buf, size_t size)
{
	snprintf(buf, size, "%s/stats/%u", s->dp->pin_dir, chunk);
}

int pf_rulestats_open(struct pf_rulestats *s, const struct pf_datapath *dp, struct pf_optsets *opts,
		      struct pf_meters *meters, struct pf_tablerules *tables,
		      struct pf_error_text *e)
{
	char path[320];

	memset(s, 0, sizeof(*s));
	s->dp = dp;
	s->opts = opts;
	s->meters = meters;
	s->tables = tables;
	s->used = calloc(PF_MAX_RULE_IDS, 1);
	if (!s->used)
		return pf_fail(e, -ENOMEM, "out of memory");
	s->used[PF_RULE_DEFAULT] = 1;
	while (dp->adopted && s->nchunks < PF_STATS_CHUNKS) {
		int fd;

		path_of(s, s->nchunks, path, sizeof(path));
		fd = bpf_obj_get(path);
		if (fd < 0)
			break;
		s->chunk[s->nchunks++] = fd;
	}
	return 0;
}

void pf_rulestats_close(struct pf_rulestats *s)
{
	while (s->nchunks)
		close(s->chunk[--s->nchunks]);
	free(s->used);
	s->used = NULL;
}

static int make_chunk(struct pf_rulestats *s, struct pf_error_text *e)
{
	uint32_t chunk = s->nchunks;
	LIBBPF_OPTS(bpf_map_create_opts, opts);
	char path[320];
	int fd, err;

	pf_btf_map_types(s->dp, "u32", "pf_rule_stats", &opts);
	fd = bpf_map_create(BPF_MAP_TYPE_PERCPU_ARRAY, "pf_stats", sizeof(uint32_t),
			    sizeof(struct pf_rule_stats), PF_STATS_CHUNK, &opts);
	if (fd < 0)
		return pf_fail(e, fd, "cannot make counters for the rules: %s", strerror(-fd));
	path_of(s, chunk, path, sizeof(path));
	unlink(path); /* of a pfd that was killed here */
	err = bpf_map_update_elem(pf_datapath_map(s->dp, "pf_rule_stats"), &chunk, &fd, BPF_ANY);
	if (!err)
		err = bpf_obj_pin(fd, path);
	if (err) {
		close(fd);
		return pf_fail(e, err, "%s: %s", path, strerror(-err));
	}
	s->chunk[s->nchunks++] = fd;
	return 0;
}

/* The kernel does not return from an update of an array of maps before an RCU period is over. */
int pf_rulestats_wait(const struct pf_rulestats *s)
{
	const uint32_t first = 0;

	return bpf_map_update_elem(pf_datapath_map(s->dp, "pf_rule_stats"), &first, &s->chunk[0],
				   BPF_ANY);
}

/* --- reading --- */

static struct reader *new_reader(const struct pf_rulestats *s)
{
	struct reader *r = calloc(1, sizeof(*r));

	if (!r)
		return NULL;
	r->s = s;
	r->chunk = PF_STATS_CHUNKS;
	r->each = calloc((size_t)PF_STATS_CHUNK * (size_t)s->dp->ncpus, sizeof(*r->each));
	if (r->each)
		return r;
	free(r);
	return NULL;
}

static void free_reader(struct reader *r)
{
	free(r->each);
	free(r);
}

static int read_each(struct reader *r, int fd)
{
	LIBBPF_OPTS(bpf_map_batch_opts, opts);
	uint32_t keys[PF_STATS_CHUNK], cursor, n = PF_STATS_CHUNK;
	int err = bpf_map_lookup_batch(fd, NULL, &cursor, keys, r->each, &n, &opts);

	/* ENOENT: it was all that there is */
	if ((!err || err == -ENOENT) && n == PF_STATS_CHUNK)
		return 0;
	err = 0;
	for (uint32_t i = 0; i < PF_STATS_CHUNK && !err; i++)
		err = bpf_map_lookup_elem(fd, &i, &r->each[(size_t)i * (size_t)r->s->dp->ncpus]);
	return err;
}

static int reader_get(struct reader *r, uint32_t id, const struct pf_rule_stats **out)
{
	uint32_t chunk = id / PF_STATS_CHUNK;
	size_t ncpus = (size_t)r->s->dp->ncpus;
	int err;

	if (r->chunk != chunk) {
		r->chunk = PF_STATS_CHUNKS;
		memset(r->sum, 0, sizeof(r->sum));
		err = chunk >= r->s->nchunks ? -ENOENT : read_each(r, r->s->chunk[chunk]);
		if (err)
			return err;
		for (size_t i = 0; i < PF_STATS_CHUNK * ncpus; i++) {
			const struct pf_rule_stats *v = &r->each[i];
			struct pf_rule_stats *sum = &r->sum[i / ncpus];

			for (int d = 0; d < 2; d++) {
				sum->packets[d] += v->packets[d];
				sum->bytes[d] += v->bytes[d];
			}
			sum->states += v->states;
			sum->states_gone += v->states_gone;
		}
		r->chunk = chunk;
	}
	*out = &r->sum[id % PF_STATS_CHUNK];
	return 0;
}

int pf_rulestats_read(const struct pf_rulestats *s, const uint32_t *ids, size_t n,
		      struct pf_rule_stats *out)
{
	struct reader *r = new_reader(s);
	int err = r ? 0 : -ENOMEM;

	for (size_t i = 0; i < n && !err; i++) {
		const struct pf_rule_stats *v;

		err = reader_get(r, ids[i], &v);
		if (!err)
			out[i] = *v;
	}
	if (r)
		free_reader(r);
	return err;
}

/* --- ids --- */

static int zero(const struct pf_rulestats *s, struct reader *r, uint32_t id)
{
	const uint32_t in = id % PF_STATS_CHUNK;

	pf_optsets_forget(s->opts, id);
	memset(r->each, 0, (size_t)s->dp->ncpus * sizeof(*r->each));
	return bpf_map_update_elem(s->chunk[id / PF_STATS_CHUNK], &in, r->each, BPF_ANY);
}

/* May the id be given out?  1 and its counters are 0; 0 if not; or a negative errno. */
static int is_free(const struct pf_rulestats *s, struct reader *r, uint32_t id)
{
	static const struct pf_rule_stats none;
	const struct pf_rule_stats *v;
	int err;

	if (s->used[id])
		return 0;
	err = reader_get(r, id, &v);
	if (err)
		return err;
	if (v->states != v->states_gone)
		return 0;
	if (memcmp(v, &none, sizeof(none)) == 0)
		return 1;
	if (!pf_optsets_free(s->opts, id))
		return 0;
	err = zero(s, r, id);
	return err ? err : 1;
}

/* The next in turn of those that chunks are there for; a new chunk when none is free. */
static int next_id(struct pf_rulestats *s, struct reader *r, uint32_t *out, struct pf_error_text *e)
{
	uint32_t capacity = s->nchunks * PF_STATS_CHUNK;
	int err;

	for (uint32_t tries = 0; tries < capacity; tries++) {
		uint32_t id = s->next < capacity ? s->next : 0;

		s->next = id + 1;
		err = is_free(s, r, id);
		if (err < 0)
			return pf_fail(e, err, "cannot read counters: %s", strerror(-err));
		if (err) {
			if (pf_meters_drop(s->meters, id)) /* of a pfd that was killed */
				pf_rulestats_wait(s);
			pf_tablerules_drop(s->tables, id);
			*out = id;
			return 0;
		}
	}
	if (s->nchunks == PF_STATS_CHUNKS)
		return pf_fail(e, -ENOSPC,
			       "no counters left for the rules: states of earlier rulesets still "
			       "use them");
	err = make_chunk(s, e);
	if (err)
		return err;
	/* the default rule has the first one of all */
	*out = capacity ? capacity : 1;
	s->next = *out + 1;
	return 0;
}

int pf_rulestats_take(struct pf_rulestats *s, uint32_t *ids, size_t n, struct pf_error_text *e)
{
	struct reader *r = new_reader(s);
	size_t taken = 0;
	int err = r ? 0 : pf_fail(e, -ENOMEM, "out of memory");

	for (; taken < n && !err; taken++) {
		if (ids[taken] == PF_RULE_DEFAULT)
			err = next_id(s, r, &ids[taken], e);
		if (err)
			break;
		s->used[ids[taken]]++;
	}
	if (r)
		free_reader(r);
	if (err)
		pf_rulestats_release(s, ids, taken);
	return err;
}

int pf_rulestats_adopt(struct pf_rulestats *s, const uint32_t *ids, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (ids[i] == PF_RULE_DEFAULT || ids[i] / PF_STATS_CHUNK >= s->nchunks)
			return -EINVAL;
	for (size_t i = 0; i < n; i++)
		s->used[ids[i]]++;
	return 0;
}

void pf_rulestats_release(struct pf_rulestats *s, const uint32_t *ids, size_t n)
{
	/* packets that rules of before judge may hold one still */
	bool meters = pf_meters_have(s->meters, ids, n);
	bool drop = meters && !pf_rulestats_wait(s), dropped = false;

	for (size_t i = 0; i < n; i++) {
		if (ids[i] == PF_RULE_DEFAULT || --s->used[ids[i]])
			continue;
		pf_optsets_release(s->opts, ids[i]);
		if (drop)
			dropped |= pf_meters_drop(s->meters, ids[i]);
	}
	/* and those of its states: the memory is another meter's next */
	if (dropped)
		pf_rulestats_wait(s);
}
