// SPDX-License-Identifier: BSD-2-Clause
/* A test that went wrong is made small. */
#include <stdlib.h>
#include <string.h>

#include "diff.h"

#define SHRINK_SECONDS 60

struct shrinker {
	struct test *t;
	struct real *real;
	struct result last; /* of the smallest so far */
	double until;
	bool smaller;
};

/* With something taken out: does it still go wrong?  If not, *what comes back. */
static bool still(struct shrinker *s)
{
	struct result r;

	if (stopped > 1 || now() > s->until)
		return false;
	r = run_test(s->t, s->real);
	if (r.outcome != s->last.outcome)
		return false;
	/* the reasons of a refusal are many: it is the same one that we look for */
	if (r.outcome == NOT_LOADED && strncmp(r.text, s->last.text, 24) != 0)
		return false;
	s->last = r;
	s->smaller = true;
	return true;
}

static void try_off(struct shrinker *s, bool *off)
{
	if (*off)
		return;
	*off = true;
	if (!still(s))
		*off = false;
}

/* Runs of rules first, then single ones, then what stands in braces. */
static void shrink_rules(struct shrinker *s, struct gen_rules *l)
{
	for (size_t step = l->n; step; step /= 2) {
		for (size_t at = 0; at < l->n; at += step) {
			size_t n = l->n - at < step ? l->n - at : step;
			bool *was = calloc(n, sizeof(*was)), any = false;

			if (!was)
				abort();
			for (size_t i = 0; i < n; i++) {
				was[i] = l->v[at + i].off;
				any = any || !was[i];
				l->v[at + i].off = true;
			}
			if (!any || !still(s))
				for (size_t i = 0; i < n; i++)
					l->v[at + i].off = was[i];
			free(was);
		}
	}
	for (size_t i = 0; i < l->n; i++)
		if (!l->v[i].off)
			shrink_rules(s, &l->v[i].body);
}

static void shrink_parts(struct shrinker *s, struct gen_rules *l)
{
	for (size_t i = 0; i < l->n; i++) {
		struct gen_rule *x = &l->v[i];

		for (int p = GEN_ACTION + 1; p < GEN_PARTS && !x->off; p++) {
			const char *was = x->part[p];

			x->part[p] = NULL;
			if (was && !still(s))
				x->part[p] = was;
		}
		if (!x->off)
			shrink_parts(s, &x->body);
	}
}

/* What comes behind the packet cannot matter; then half of them, a quarter, ... */
static void shrink_packets(struct shrinker *s)
{
	struct packets *p = &s->t->packets;

	if (s->last.packet + 1 < p->n)
		p->n = s->last.packet + 1;
	for (size_t step = p->n; step; step /= 2) {
		for (size_t at = 0; at < p->n; at += step) {
			size_t n = p->n - at < step ? p->n - at : step;
			bool *was = malloc(n * sizeof(*was));

			if (!was)
				abort();
			memcpy(was, p->off + at, n * sizeof(*was));
			if (memchr(was, 0, n)) {
				memset(p->off + at, 1, n * sizeof(*was));
				if (!still(s))
					memcpy(p->off + at, was, n * sizeof(*was));
			}
			free(was);
		}
	}
}

static void shrink_tables(struct shrinker *s)
{
	for (uint32_t i = 0; i < s->t->rules.ntables; i++) {
		try_off(s, &s->t->rules.table[i].off);
		for (size_t k = 0; k < s->t->rules.table[i].n; k++)
			try_off(s, &s->t->rules.table[i].entry[k].off);
	}
}

static void shrink_changes(struct shrinker *s)
{
	for (size_t i = 0; i < s->t->packets.n; i++) {
		const char **table = &s->t->packets.change[i].table, *was = *table;

		if (!was || s->t->packets.off[i])
			continue;
		*table = NULL;
		if (!still(s))
			*table = was;
	}
}

static void shrink_late(struct shrinker *s)
{
	const char *was = s->t->rules.late_path;

	if (!was)
		return;
	s->t->rules.late_path = NULL;
	if (still(s))
		return;
	s->t->rules.late_path = was;
	shrink_rules(s, &s->t->rules.late);
}

/* All of it, or nothing. */
static void shrink_text(struct shrinker *s, const char **text)
{
	const char *was = *text;

	if (!was || !*was)
		return;
	*text = "";
	if (!still(s))
		*text = was;
}

struct result shrink(struct test *t, struct real *real, const struct result *first)
{
	struct shrinker s = {.t = t, .real = real, .last = *first, .until = now() + SHRINK_SECONDS};

	do {
		s.smaller = false;
		shrink_packets(&s);
		shrink_rules(&s, &t->rules.rules);
		shrink_late(&s);
		shrink_text(&s, &t->rules.head);
		shrink_text(&s, &t->rules.limiters);
		shrink_tables(&s);
		shrink_changes(&s);
		shrink_parts(&s, &t->rules.rules);
		shrink_parts(&s, &t->rules.late);
	} while (s.smaller && now() < s.until);
	return s.last;
}
