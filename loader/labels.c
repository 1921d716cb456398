// SPDX-License-Identifier: BSD-2-Clause
#include "labels.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

_Static_assert(sizeof(((struct pf_rule_labels *)NULL)->name) == PF_LABELS_MOST * PF_LABEL_SIZE,
	       "all labels that a rule may have");

int pf_labels_open(struct pf_labels *l, const struct pf_datapath *dp, struct pf_error_text *e)
{
	/* of its own: a table that grows changes the others */
	l->fd = fcntl(pf_datapath_map(dp, "pf_labels"), F_DUPFD_CLOEXEC, 3);
	if (l->fd >= 0)
		return 0;
	return pf_fail(e, -errno, "the map of labels: %s", strerror(errno));
}

void pf_labels_close(struct pf_labels *l)
{
	if (l->fd > 0)
		close(l->fd);
	l->fd = -1;
}

/* --- what is kept --- */

/* Ids, for free(). */
struct ids {
	uint32_t *v;
	size_t n, capacity;
};

static int add_id(struct ids *l, uint32_t id)
{
	if (l->n == l->capacity) {
		size_t want = l->capacity ? l->capacity * 2 : 64;
		uint32_t *more = reallocarray(l->v, want, sizeof(*more));

		if (!more)
			return -ENOMEM;
		l->v = more;
		l->capacity = want;
	}
	l->v[l->n++] = id;
	return 0;
}

static int all_ids(const struct pf_labels *l, struct ids *out)
{
	uint32_t id;
	int err = 0;

	while (!err && out->n < PF_MAX_RULE_IDS &&
	       bpf_map_get_next_key(l->fd, out->n ? &out->v[out->n - 1] : NULL, &id) == 0)
		err = add_id(out, id);
	return err;
}

static int compare(const void *a, const void *b)
{
	const uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

/* The counters of these rules, whose ids it sorts; for free(), or NULL. */
static struct pf_rule_stats *stats_of(const struct pf_rulestats *s, struct ids *l)
{
	struct pf_rule_stats *stats = calloc(l->n + 1, sizeof(*stats));

	if (l->n)
		qsort(l->v, l->n, sizeof(*l->v), compare);
	if (stats && pf_rulestats_read(s, l->v, l->n, stats) == 0)
		return stats;
	free(stats);
	return NULL;
}

/* What has no states; and what is in use again, for that has its label by itself. */
static int forget(const struct pf_labels *l, const struct pf_rulestats *s)
{
	struct pf_rule_stats *stats = NULL;
	struct ids kept = {0};
	int err = all_ids(l, &kept);

	if (!err && kept.n) {
		stats = stats_of(s, &kept);
		err = stats ? 0 : -ENOMEM;
	}
	for (size_t i = 0; i < kept.n && !err; i++)
		if (s->used[kept.v[i]] || stats[i].states == stats[i].states_gone)
			bpf_map_delete_elem(l->fd, &kept.v[i]);
	free(stats);
	free(kept.v);
	return err;
}

/* Those of the rules that have one of these ids, and states. */
static int keep_some(const struct pf_labels *l, const struct pf_rulestats *s, struct ids *released,
		     const uint32_t *ids, const struct pf_rule *const *rules, size_t n)
{
	struct pf_rule_stats *stats = stats_of(s, released);
	int err = stats ? 0 : -ENOMEM;

	for (size_t i = 0; i < n && !err; i++) {
		const uint32_t *at = bsearch(&ids[i], released->v, released->n, sizeof(ids[i]),
					     compare);
		const struct pf_rule_stats *v = at ? &stats[at - released->v] : NULL;
		struct pf_rule_labels value = {{""}};

		if (!v || v->states == v->states_gone)
			continue;
		for (unsigned int k = 0; k < PF_LABELS_MOST; k++) {
			const char *label = pf_rule_label_at(rules[i], k);

			snprintf(value.name[k], sizeof(value.name[k]), "%s", label ? label : "");
		}
		err = bpf_map_update_elem(l->fd, &ids[i], &value, BPF_ANY);
	}
	free(stats);
	return err;
}

void pf_labels_keep(const struct pf_labels *l, const struct pf_rulestats *s, const uint32_t *ids,
		    const struct pf_rule *const *rules, size_t n)
{
	struct ids released = {0};
	int err = forget(l, s);

	for (size_t i = 0; i < n && !err; i++)
		if (ids[i] != PF_RULE_DEFAULT && s->used[ids[i]] == 1 &&
		    pf_rule_is_labelled(rules[i]))
			err = add_id(&released, ids[i]);
	if (!err && released.n)
		err = keep_some(l, s, &released, ids, rules, n);
	free(released.v);
	if (err)
		pf_say(LOG_WARNING,
		       "states of rules that are gone will not be known by their labels: %s",
		       strerror(-err));
}

int pf_labels_mark(const struct pf_labels *l, const struct pf_rulestats *s, const char *label,
		   uint8_t *marks)
{
	struct ids kept = {0};
	int err = all_ids(l, &kept);

	for (size_t i = 0; i < kept.n && !err; i++) {
		struct pf_rule_labels value;

		if (s->used[kept.v[i]] || bpf_map_lookup_elem(l->fd, &kept.v[i], &value))
			continue;
		for (int k = 0; k < PF_RULE_LABELS; k++)
			if (*label && strncmp(value.name[k], label, sizeof(value.name[k])) == 0)
				marks[kept.v[i]] = 1;
	}
	free(kept.v);
	return err;
}
