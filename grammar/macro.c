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

struct pf_macro *pf_macro_find(const struct pf_parser *p, const char *name)
{
	struct pf_macro *m = p->macros[bucket(name)];

	while (m && strcmp(m->name, name) != 0)
		m = m->next;
	return m;
}

struct pf_macro *pf_macro_set(struct pf_parser *p, const char *name, const char *value, bool define)
{
	struct pf_macro *m = pf_macro_find(p, name);
	const char *copy;

	if (m && m->define && !define)
		return m;
	copy = pf_arena_strdup(&p->keep_arena, value);
	if (!copy)
		return NULL;
	if (!m) {
		m = pf_arena_alloc(&p->keep_arena, sizeof(*m));
		if (!m)
			return NULL;
		m->name = pf_arena_strdup(&p->keep_arena, name);
		if (!m->name)
			return NULL;
		m->next = p->macros[bucket(name)];
		p->macros[bucket(name)] = m;
	}
	m->value = copy;
	m->define = define;
	return m;
}

const char *pf_macro_suggest(struct pf_parser *p, const char *name)
{
	size_t n = 0;
	const char **names;

	for (size_t i = 0; i < PF_MACRO_BUCKETS; i++)
		for (const struct pf_macro *m = p->macros[i]; m; m = m->next)
			n++;
	names = pf_stmt_alloc(p, (n + 1) * sizeof(*names));
	if (!names)
		return NULL;
	n = 0;
	for (size_t i = 0; i < PF_MACRO_BUCKETS; i++)
		for (const struct pf_macro *m = p->macros[i]; m; m = m->next)
			names[n++] = m->name;
	return pf_suggest(name, names);
}

void pf_macro_lint(struct pf_parser *p)
{
	for (size_t i = 0; i < PF_MACRO_BUCKETS; i++) {
		for (const struct pf_macro *m = p->macros[i]; m; m = m->next) {
			struct pf_loc loc = {.file = m->file, .line = m->line, .col = m->col};

			if (m->used || !m->file)
				continue;
			/* the line itself is not worth showing */
			loc.line_at = m->file->len + 1;
			pf_warn(p, &loc, "macro '%s' is never used", m->name);
		}
	}
}
