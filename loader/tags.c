// SPDX-License-Identifier: BSD-2-Clause
#include "tags.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static bool is_mark(const struct pf_tags *t, uint32_t id)
{
	return id == t->dp->config->mark16;
}

static int grow(struct pf_tags *t)
{
	size_t want = t->n ? (size_t)t->n * 2 : 1;
	uint32_t *sorted;
	char **v;

	if (t->n & (t->n - 1))
		return 0;
	v = reallocarray(t->name, want, sizeof(*v));
	if (!v)
		return -ENOMEM;
	t->name = v;
	sorted = reallocarray(t->sorted, want, sizeof(*sorted));
	if (!sorted)
		return -ENOMEM;
	t->sorted = sorted;
	return 0;
}

/* The place of the first name that is not before this one. */
static uint32_t lower_bound(const struct pf_tags *t, const char *name)
{
	uint32_t lo = 0, hi = t->nsorted;

	while (lo < hi) {
		uint32_t mid = (lo + hi) / 2;

		if (strcmp(t->name[t->sorted[mid]], name) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

/* The next number; NULL: nobody's. */
static int append(struct pf_tags *t, const char *name)
{
	char *copy = name ? strdup(name) : NULL;
	int err = (name && !copy) ? -ENOMEM : grow(t);

	if (err) {
		free(copy);
		return err;
	}
	if (copy) {
		uint32_t at = lower_bound(t, copy);

		memmove(&t->sorted[at + 1], &t->sorted[at],
			(t->nsorted++ - at) * sizeof(*t->sorted));
		t->sorted[at] = t->n;
	}
	t->name[t->n++] = copy;
	return 0;
}

int pf_tags_open(struct pf_tags *t, const struct pf_datapath *dp, struct pf_error_text *e)
{
	int err;

	*t = (struct pf_tags){.dp = dp};
	err = append(t, NULL);
	while (!err && t->n <= PF_MAX_TAGS) {
		struct pf_tag_name name;

		if (is_mark(t, t->n)) {
			err = append(t, NULL);
			continue;
		}
		if (bpf_map_lookup_elem(pf_datapath_map(dp, "pf_tags"), &t->n, &name))
			break;
		name.name[sizeof(name.name) - 1] = '\0';
		err = append(t, name.name);
	}
	return err ? pf_fail(e, err, "out of memory") : 0;
}

void pf_tags_close(struct pf_tags *t)
{
	for (uint32_t i = 0; i < t->n; i++)
		free(t->name[i]);
	free(t->name);
	free(t->sorted);
	*t = (struct pf_tags){0};
}

const char *pf_tag_name(const struct pf_tags *t, uint32_t id)
{
	return id < t->n ? t->name[id] : NULL;
}

int pf_tag_id(struct pf_tags *t, const char *name)
{
	struct pf_tag_name value = {{0}};
	uint32_t at = lower_bound(t, name), id = t->n;
	int err = 0;

	if (at < t->nsorted && strcmp(t->name[t->sorted[at]], name) == 0)
		return (int)t->sorted[at];
	if (is_mark(t, id)) {
		err = append(t, NULL);
		id++;
	}
	if (!err && id > PF_MAX_TAGS)
		err = -ENOSPC;
	strncpy(value.name, name, sizeof(value.name) - 1);
	if (!err)
		err = bpf_map_update_elem(pf_datapath_map(t->dp, "pf_tags"), &id, &value, BPF_ANY);
	if (!err)
		err = append(t, name);
	return err ? err : (int)id;
}
