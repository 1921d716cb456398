// SPDX-License-Identifier: BSD-2-Clause
#include "steps.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct writer {
	const struct pf_policy *p;
	struct pf_steps *out;
	uint32_t most;
	uint32_t depth;
};

static struct pf_step *add_step(struct writer *w)
{
	if (w->out->n == w->most)
		return NULL;
	return &w->out->v[w->out->n++];
}

/*
 * The steps of one list, at[0 .. n - 1], know where the next one of the list is;
 * those that agree are skipped together.
 */
static void add_skips(struct writer *w, const uint32_t *at, uint32_t n)
{
	struct pf_step *v = w->out->v;

	for (uint32_t i = n; i-- > 0;) {
		struct pf_step *s = &v[at[i]];

		for (int what = 0; what < PF_SKIP_MAX; what++) {
			uint32_t to = s->next;

			if (i + 1 < n && pf_skip_agrees((enum pf_skip)what, s->r, v[to].r))
				to = v[to].skip.to[what];
			s->skip.to[what] = to;
		}
	}
}

/* NOLINTBEGIN(misc-no-recursion): depth is bounded */

static int write_set(struct writer *w, uint32_t set, uint32_t anchor);

static int write_call(struct writer *w, uint32_t rule, uint32_t begin)
{
	const struct pf_policy_call *c = pf_policy_call_of(w->p, rule);
	uint32_t outer = w->out->v[begin].anchor;
	struct pf_step *end;
	int err = 0;

	w->out->v[begin].call = true;
	if (w->depth == PF_POLICY_DEPTH)
		return -E2BIG;
	w->depth++;
	for (uint32_t i = 0; i < c->n && !err; i++)
		err = write_set(w, w->p->callees[c->first + i], begin);
	w->depth--;
	end = err ? NULL : add_step(w);
	if (!end)
		return err ? err : -E2BIG;
	*end = (struct pf_step){.rule = rule, .begin = begin, .anchor = outer};
	end->next = w->out->n;
	return 0;
}

static int write_set(struct writer *w, uint32_t set, uint32_t anchor)
{
	const struct pf_policy_set *s = &w->p->sets[set];
	uint32_t *at;
	int err = 0;

	if (s->n > w->most)
		return -E2BIG;
	at = calloc((size_t)s->n + 1, sizeof(*at));
	if (!at)
		return -ENOMEM;
	for (uint32_t i = 0; i < s->n && !err; i++) {
		struct pf_step *step = add_step(w);

		if (!step) {
			err = -E2BIG;
			break;
		}
		at[i] = (uint32_t)(step - w->out->v);
		*step = (struct pf_step){
			.r = w->p->rules[s->first + i], .rule = s->first + i, .anchor = anchor};
		if (pf_rule_ext_of(step->r)->anchor)
			err = write_call(w, step->rule, at[i]);
		w->out->v[at[i]].next = w->out->n;
	}
	if (!err)
		add_skips(w, at, s->n);
	free(at);
	return err;
}

/* NOLINTEND(misc-no-recursion) */

int pf_steps_make(const struct pf_policy *p, uint32_t most, struct pf_steps *out)
{
	struct pf_steps s = {.v = calloc((size_t)most + 1, sizeof(*s.v))};
	struct writer w = {.p = p, .out = &s, .most = most};
	int err = s.v ? write_set(&w, 0, PF_STEP_NONE) : -ENOMEM;

	if (err) {
		pf_steps_free(&s);
		return err;
	}
	*out = s;
	return 0;
}

void pf_steps_free(struct pf_steps *s)
{
	free(s->v);
	*s = (struct pf_steps){0};
}
