// SPDX-License-Identifier: BSD-2-Clause
#include <string.h>

#include "parser.h"

static size_t bucket(const char *name)
{
	size_t h = 5381;

	while (*name)
		h = h * 33 + (unsigned char)*name++;
	return h % PF_MACRO_BUCKETS;
}

static struct pf_macro *find(const struct pf_parser *p, const char *name)
{
	struct pf_macro *m = p->macros[bucket(name)];

	while (m && strcmp(m->name, name) != 0)
		m = m->next;
	return m;
}

bool pf_macro_set(struct pf_parser *p, const char *name, const char *value, bool define)
{
	struct pf_macro *m = find(p, name);
	const char *copy;

	if (m && m->define && !define)
		return true;
	copy = pf_arena_strdup(&p->macro_arena, value);
	if (!copy)
		return false;
	if (!m) {
		m = pf_arena_alloc(&p->macro_arena, sizeof(*m));
		if (!m)
			return false;
		m->name = pf_arena_strdup(&p->macro_arena, name);
		if (!m->name)
			return false;
		m->next = p->macros[bucket(name)];
		p->macros[bucket(name)] = m;
	}
	m->value = copy;
	m->define = define;
	return true;
}

const char *pf_macro_get(const struct pf_parser *p, const char *name)
{
	const struct pf_macro *m = find(p, name);

	return m ? m->value : NULL;
}
