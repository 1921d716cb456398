// SPDX-License-Identifier: BSD-2-Clause
#include "policy.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../grammar/check.h"

const struct pf_rule pf_policy_dead;

/* --- what there is --- */

static int add_source(struct pf_policy_sources *to, const char *path, const struct pf_block *b)
{
	struct pf_policy_source *s;

	if (to->n == to->capacity) {
		size_t want = to->capacity ? to->capacity * 2 : 16;

		s = reallocarray(to->v, want, sizeof(*s));
		if (!s)
			return -ENOMEM;
		to->v = s;
		to->capacity = want;
	}
	s = &to->v[to->n];
	s->path = strdup(path);
	s->block = b;
	if (!s->path)
		return -ENOMEM;
	to->n++;
	return 0;
}

/* "a" and "b" make "a/b". */
static char *join(const char *path, const char *name)
{
	char *out;

	if (asprintf(&out, "%s%s%s", path, *path ? "/" : "", name) < 0)
		return NULL;
	return out;
}

/* The path of the braces of a rule; *unnamed counts those that have no name of their own. */
static char *braces_path(const char *path, const struct pf_anchor *a, unsigned int *unnamed)
{
	char name[16];

	if (a->path)
		return join(path, a->path);
	snprintf(name, sizeof(name), "_%u", ++*unnamed);
	return join(path, name);
}

/* NOLINTBEGIN(misc-no-recursion): the parser bounds the depth of braces */

int pf_policy_collect(struct pf_policy_sources *to, const char *path, const struct pf_block *b)
{
	const struct pf_rule_list *l = &b->list[PF_LIST_FILTER];
	unsigned int unnamed = 0;
	int err = add_source(to, path, b);

	for (size_t i = 0; i < l->n && !err; i++) {
		const struct pf_anchor *a = pf_rule_ext_of(&l->v[i])->anchor;
		char *inner;

		if (!a || !a->block)
			continue;
		inner = braces_path(path, a, &unnamed);
		err = inner ? pf_policy_collect(to, inner, a->block) : -ENOMEM;
		free(inner);
	}
	return err;
}

/* NOLINTEND(misc-no-recursion) */

void pf_policy_sources_free(struct pf_policy_sources *s)
{
	for (size_t i = 0; i < s->n; i++)
		free((char *)s->v[i].path);
	free(s->v);
	*s = (struct pf_policy_sources){0};
}

/* --- paths --- */

/* So that a path's own come right behind it, in alphabetical order. */
static int compare_paths(const char *a, const char *b)
{
	while (*a && *a == *b) {
		a++;
		b++;
	}
	/* the end first, then the bar */
	if (*a == *b)
		return 0;
	if (!*a || !*b)
		return *a ? 1 : -1;
	if (*a == '/' || *b == '/')
		return *a == '/' ? -1 : 1;
	return (unsigned char)*a < (unsigned char)*b ? -1 : 1;
}

int pf_policy_compare_paths(const char *a, const char *b)
{
	return compare_paths(a, b);
}

static int compare_sets(const void *a, const void *b)
{
	return compare_paths(((const struct pf_policy_set *)a)->path,
			     ((const struct pf_policy_set *)b)->path);
}

/* The first set whose path is not before this one. */
static size_t lower_bound(const struct pf_policy *p, const char *path)
{
	size_t lo = 0, hi = p->nsets;

	while (lo < hi) {
		size_t mid = (lo + hi) / 2;

		if (compare_paths(p->sets[mid].path, path) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

uint32_t pf_policy_find(const struct pf_policy *p, const char *path)
{
	size_t at = lower_bound(p, path);

	if (at < p->nsets && strcmp(p->sets[at].path, path) == 0)
		return (uint32_t)at;
	return PF_POLICY_NONE;
}

/* --- calls --- */

static int add_callee(struct pf_policy *p, struct pf_policy_call *c, uint32_t set)
{
	/* grows in powers of two */
	if (!(p->ncallees & (p->ncallees - 1))) {
		size_t want = p->ncallees ? p->ncallees * 2 : 1;
		uint32_t *v = reallocarray(p->callees, want, sizeof(*v));

		if (!v)
			return -ENOMEM;
		p->callees = v;
	}
	p->callees[p->ncallees++] = set;
	c->n++;
	return 0;
}

/* Those that are directly in `path`. */
static int add_children(struct pf_policy *p, struct pf_policy_call *c, const char *path)
{
	size_t len = strlen(path);
	int err = 0;

	for (size_t i = lower_bound(p, path); i < p->nsets && !err; i++) {
		const char *rest = p->sets[i].path;

		if (strncmp(rest, path, len) != 0)
			break;
		rest += len;
		if (len && *rest && *rest != '/')
			break;
		if (!*rest)
			continue;
		rest += len ? 1 : 0;
		if (!strchr(rest, '/'))
			err = add_callee(p, c, (uint32_t)i);
	}
	return err;
}

static int add_path(struct pf_policy *p, struct pf_policy_call *c, const char *from,
		    const char *path)
{
	size_t len = strlen(path);
	bool star = len >= 2 && strcmp(path + len - 2, "/*") == 0;
	char *wanted = strdup(path), *to = NULL;
	uint32_t set;
	int err = -ENOMEM;

	if (wanted) {
		if (star)
			wanted[len - 1] = '\0';
		to = pf_anchor_path_resolve(from, wanted);
	}
	if (to && star) {
		err = add_children(p, c, to);
	} else if (to) {
		set = pf_policy_find(p, to);
		err = set == PF_POLICY_NONE ? 0 : add_callee(p, c, set);
	}
	free(to);
	free(wanted);
	return err;
}

static int add_call(struct pf_policy *p, uint32_t rule, const char *from, const struct pf_anchor *a,
		    unsigned int *unnamed)
{
	struct pf_policy_call *c = &p->calls[p->ncalls];
	char name[16];

	*c = (struct pf_policy_call){.rule = rule, .first = (uint32_t)p->ncallees};
	p->ncalls++;
	if (a->path)
		return add_path(p, c, from, a->path);
	snprintf(name, sizeof(name), "_%u", ++*unnamed);
	return add_path(p, c, from, name);
}

static int add_calls(struct pf_policy *p)
{
	size_t n = 0;
	int err = 0;

	for (uint32_t i = 0; i < p->nrules; i++)
		n += pf_rule_ext_of(p->rules[i])->anchor != NULL;
	p->calls = calloc(n + 1, sizeof(*p->calls));
	if (!p->calls)
		return -ENOMEM;
	for (size_t s = 0; s < p->nsets; s++) {
		const struct pf_policy_set *set = &p->sets[s];
		unsigned int unnamed = 0;

		for (uint32_t i = set->first; i < set->first + set->n && !err; i++) {
			const struct pf_anchor *a = pf_rule_ext_of(p->rules[i])->anchor;

			if (a)
				err = add_call(p, i, set->path, a, &unnamed);
		}
	}
	return err;
}

const struct pf_policy_call *pf_policy_call_of(const struct pf_policy *p, uint32_t rule)
{
	size_t lo = 0, hi = p->ncalls;

	while (lo < hi) {
		size_t mid = (lo + hi) / 2;

		if (p->calls[mid].rule < rule)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < p->ncalls && p->calls[lo].rule == rule ? &p->calls[lo] : NULL;
}

/* --- the whole --- */

static int take_sets(struct pf_policy *p, const struct pf_policy_sources *from)
{
	p->sets = calloc(from->n + 1, sizeof(*p->sets));
	p->paths = calloc(from->n + 1, sizeof(*p->paths));
	if (!p->sets || !p->paths)
		return -ENOMEM;
	for (size_t i = 0; i < from->n; i++) {
		char *path = strdup(from->v[i].path);

		if (!path)
			return -ENOMEM;
		p->paths[p->npaths++] = path;
		p->sets[p->nsets++] = (struct pf_policy_set){.path = path,
							     .block = from->v[i].block};
	}
	/* the main one, "", comes first */
	qsort(p->sets, p->nsets, sizeof(*p->sets), compare_sets);
	return 0;
}

static int number_rules(struct pf_policy *p)
{
	for (size_t s = 0; s < p->nsets; s++) {
		struct pf_policy_set *set = &p->sets[s];

		set->first = p->nrules;
		set->n = (uint32_t)set->block->list[PF_LIST_FILTER].n;
		p->nrules += set->n;
	}
	p->rules = calloc((size_t)p->nrules + 1, sizeof(*p->rules));
	p->set_of = calloc((size_t)p->nrules + 1, sizeof(*p->set_of));
	if (!p->rules || !p->set_of)
		return -ENOMEM;
	for (size_t s = 0; s < p->nsets; s++) {
		for (uint32_t i = 0; i < p->sets[s].n; i++) {
			p->rules[p->sets[s].first + i] =
				&p->sets[s].block->list[PF_LIST_FILTER].v[i];
			p->set_of[p->sets[s].first + i] = (uint32_t)s;
		}
	}
	return 0;
}

int pf_policy_make(const struct pf_policy_sources *from, struct pf_policy **out)
{
	pf_policy_auto p = calloc(1, sizeof(*p));
	int err = p ? take_sets(p, from) : -ENOMEM;

	if (!err)
		err = number_rules(p);
	if (!err)
		err = add_calls(p);
	if (err)
		return err;
	*out = p;
	p = NULL;
	return 0;
}

int pf_policy_of(const struct pf_ruleset *rs, struct pf_policy **out)
{
	struct pf_policy_sources s = {0};
	int err = pf_policy_collect(&s, "", &rs->main);

	if (!err)
		err = pf_policy_make(&s, out);
	pf_policy_sources_free(&s);
	return err;
}

/* --- one set anew --- */

static void *copy_of(const void *v, size_t n, size_t size)
{
	void *out = calloc(n + 1, size);

	return out && n ? memcpy(out, v, n * size) : out;
}

static int copy_paths(struct pf_policy *p, const struct pf_policy *old)
{
	p->paths = calloc(old->nsets + 1, sizeof(*p->paths));
	if (!p->paths)
		return -ENOMEM;
	for (size_t i = 0; i < old->nsets; i++) {
		p->paths[i] = strdup(old->sets[i].path);
		if (!p->paths[i])
			return -ENOMEM;
		p->npaths++;
		p->sets[i].path = p->paths[i];
	}
	return 0;
}

static int copy_rules(struct pf_policy *p, const struct pf_policy *old, uint32_t more)
{
	size_t n = (size_t)old->nrules + more + 1;

	p->rules = calloc(n, sizeof(*p->rules));
	p->set_of = calloc(n, sizeof(*p->set_of));
	if (!p->rules || !p->set_of)
		return -ENOMEM;
	memcpy(p->rules, old->rules, old->nrules * sizeof(*p->rules));
	memcpy(p->set_of, old->set_of, old->nrules * sizeof(*p->set_of));
	p->nrules = old->nrules + more;
	p->ndead = old->ndead;
	return 0;
}

static void take_over(struct pf_policy *p, uint32_t set, const struct pf_block *block)
{
	struct pf_policy_set *s = &p->sets[set];
	const struct pf_rule_list *l = &block->list[PF_LIST_FILTER];

	for (uint32_t i = s->first; i < s->first + s->n; i++) {
		p->rules[i] = &pf_policy_dead;
		p->set_of[i] = 0;
	}
	p->ndead += s->n;
	s->block = block;
	s->n = (uint32_t)l->n;
	s->first = p->nrules - s->n;
	for (uint32_t i = 0; i < s->n; i++) {
		p->rules[s->first + i] = &l->v[i];
		p->set_of[s->first + i] = set;
	}
}

int pf_policy_replace(const struct pf_policy *old, uint32_t set, const struct pf_block *block,
		      struct pf_policy **out)
{
	pf_policy_auto p = calloc(1, sizeof(*p));
	int err;

	if (!p)
		return -ENOMEM;
	p->sets = copy_of(old->sets, old->nsets, sizeof(*p->sets));
	p->calls = copy_of(old->calls, old->ncalls, sizeof(*p->calls));
	p->callees = copy_of(old->callees, old->ncallees, sizeof(*p->callees));
	if (!p->sets || !p->calls || !p->callees)
		return -ENOMEM;
	p->nsets = old->nsets;
	p->ncalls = old->ncalls;
	p->ncallees = old->ncallees;
	err = copy_paths(p, old);
	if (!err)
		err = copy_rules(p, old, (uint32_t)block->list[PF_LIST_FILTER].n);
	if (err)
		return err;
	take_over(p, set, block);
	*out = p;
	p = NULL;
	return 0;
}

/* The callee that leads to the set, if there is only one; or PF_POLICY_NONE. */
static uint32_t only_callee(const struct pf_policy *p, uint32_t set)
{
	uint32_t found = PF_POLICY_NONE;

	for (uint32_t i = 0; i < p->ncallees; i++) {
		if (p->callees[i] != set)
			continue;
		if (found != PF_POLICY_NONE)
			return PF_POLICY_NONE;
		found = i;
	}
	return found;
}

static uint32_t caller_of(const struct pf_policy *p, uint32_t callee)
{
	for (size_t i = 0; i < p->ncalls; i++)
		if (callee >= p->calls[i].first && callee - p->calls[i].first < p->calls[i].n)
			return p->set_of[p->calls[i].rule];
	return PF_POLICY_NONE;
}

bool pf_policy_once(const struct pf_policy *p, uint32_t set, uint32_t *callee)
{
	uint32_t first = only_callee(p, set);

	/* up to the main ruleset; those that call each other in a ring never come there */
	for (size_t i = 0; i < p->nsets && set; i++) {
		uint32_t at = only_callee(p, set);

		if (at == PF_POLICY_NONE)
			return false;
		set = caller_of(p, at);
		if (set == PF_POLICY_NONE)
			return false;
	}
	if (set)
		return false;
	*callee = first;
	return true;
}

void pf_policy_free(struct pf_policy *p)
{
	if (!p)
		return;
	for (size_t i = 0; i < p->npaths; i++)
		free(p->paths[i]);
	free(p->paths);
	free(p->sets);
	free(p->rules);
	free(p->set_of);
	free(p->calls);
	free(p->callees);
	free(p);
}

void pf_policy_freep(struct pf_policy **p)
{
	pf_policy_free(*p);
	*p = NULL;
}
