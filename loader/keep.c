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

static int make_keys(const struct pf_policy *p, struct keys *out)
{
	out->n = p->nrules;
	out->v = calloc((size_t)p->nrules + 1, sizeof(*out->v));
	if (!out->v)
		return -ENOMEM;
	for (uint32_t i = 0; i < p->nrules; i++) {
		struct key *k = &out->v[i];

		k->at = out->bytes.len;
		k->rule = i;
		pf_put_string(&out->bytes, p->sets[p->set_of[i]].path);
		pf_model_encode_rule(p->rules[i], &out->bytes);
		k->len = out->bytes.len - k->at;
	}
	if (out->bytes.failed)
		return -ENOMEM;
	for (uint32_t i = 0; i < p->nrules; i++)
		out->v[i].bytes = out->bytes.data + out->v[i].at;
	qsort(out->v, out->n, sizeof(*out->v), compare_keys);
	return 0;
}

int pf_keep_rules(const struct pf_policy *old, const struct pf_policy *new, uint32_t *kept)
{
	struct keys a = {0}, b = {0};
	int err = make_keys(old, &a);
	uint32_t i = 0;

	if (!err)
		err = make_keys(new, &b);
	for (uint32_t k = 0; k < b.n && !err; k++) {
		while (i < a.n && same_bytes(&a.v[i], &b.v[k]) < 0)
			i++;
		kept[b.v[k].rule] = PF_POLICY_NONE;
		if (i < a.n && same_bytes(&a.v[i], &b.v[k]) == 0)
			kept[b.v[k].rule] = a.v[i++].rule;
	}
	free_keys(&a);
	free_keys(&b);
	return err;
}
