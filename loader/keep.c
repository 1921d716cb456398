// SPDX-License-Identifier: BSD-2-Clause
#include "keep.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "../lib/model.h"

/* A rule as bytes, its ruleset's path in front. */
struct key {
	const uint8_t *bytes;
	size_t len, at;
	uint32_t rule;
};

struct keys {
	struct key *v;
	struct pf_buf bytes;
	uint32_t n;
};

static void free_keys(struct keys *k)
{
	free(k->v);
	pf_buf_free(&k->bytes);
}

static int same_bytes(const struct key *a, const struct key *b)
{
	int order = memcmp(a->bytes, b->bytes, a->len < b->len ? a->len : b->len);

	return order ? order : (a->len > b->len) - (a->len < b->len);
}

/* Of equal ones the first comes first. */
static int compare_keys(const void *a, const void *b)
{
	const struct key *x = a, *y = b;
	int order = same_bytes(x, y);

	return order ? order : (x->rule > y->rule) - (x->rule < y->rule);
}

/* Of n rules from `first` on. */
static int make_keys(const struct pf_policy *p, uint32_t first, uint32_t n, struct keys *out)
{
	out->v = calloc((size_t)n + 1, sizeof(*out->v));
	if (!out->v)
		return -ENOMEM;
	for (uint32_t i = first; i < first + n; i++) {
		struct key *k = &out->v[out->n];

		if (p->rules[i] == &pf_policy_dead)
			continue;
		out->n++;
		k->at = out->bytes.len;
		k->rule = i;
		pf_put_string(&out->bytes, p->sets[p->set_of[i]].path);
		pf_model_encode_rule(p->rules[i], &out->bytes);
		k->len = out->bytes.len - k->at;
	}
	if (out->bytes.failed)
		return -ENOMEM;
	for (uint32_t i = 0; i < out->n; i++)
		out->v[i].bytes = out->bytes.data + out->v[i].at;
	qsort(out->v, out->n, sizeof(*out->v), compare_keys);
	return 0;
}

/* Rule `first` of the new ones is kept[0]. */
static void pair(const struct keys *a, const struct keys *b, uint32_t first, uint32_t *kept)
{
	uint32_t i = 0;

	for (uint32_t k = 0; k < b->n; k++) {
		while (i < a->n && same_bytes(&a->v[i], &b->v[k]) < 0)
			i++;
		kept[b->v[k].rule - first] = PF_POLICY_NONE;
		if (i < a->n && same_bytes(&a->v[i], &b->v[k]) == 0)
			kept[b->v[k].rule - first] = a->v[i++].rule;
	}
}

static int keep(const struct pf_policy *old, struct pf_policy_set was, const struct pf_policy *new,
		struct pf_policy_set now, uint32_t *kept)
{
	struct keys a = {0}, b = {0};
	int err = make_keys(old, was.first, was.n, &a);

	if (!err)
		err = make_keys(new, now.first, now.n, &b);
	if (!err)
		pair(&a, &b, now.first, kept);
	/* one that is loaded anew has not expired */
	for (uint32_t i = 0; i < now.n && !err; i++)
		if (pf_rule_ext_of(new->rules[now.first + i])->once)
			kept[i] = PF_POLICY_NONE;
	free_keys(&a);
	free_keys(&b);
	return err;
}

int pf_keep_rules(const struct pf_policy *old, const struct pf_policy *new, uint32_t *kept)
{
	return keep(old, (struct pf_policy_set){.n = old->nrules}, new,
		    (struct pf_policy_set){.n = new->nrules}, kept);
}

int pf_keep_set(const struct pf_policy *old, const struct pf_policy *new, uint32_t set,
		uint32_t *kept)
{
	return keep(old, old->sets[set], new, new->sets[set], kept);
}
