// SPDX-License-Identifier: BSD-2-Clause
/* Tables of the rules in force: looked up, made and unmade from outside. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "engine.h"

struct pf_binding *pf_engine_table(struct pf_engine *g, const char *path, const char *name,
				   struct pf_error_text *e)
{
	struct pf_binding *b = pf_generation_table(g->active, path, name);

	if (b && b->active)
		return b;
	pf_fail(e, -ESRCH, "Table does not exist");
	return NULL;
}

/* An anchor's rules have meant the main ruleset's table of this name: that changes. */
static int make(struct pf_engine *g, const char *path, const char *name, struct pf_error_text *e)
{
	bool meant = pf_generation_names(g->active, path, name);
	struct pf_table *table;
	int err;

	if (g->tables.ntables >= g->tables.limit_tables)
		return pf_fail(e, -ENOSPC, "the limit of %u tables is reached (set limit tables)",
			       g->tables.limit_tables);
	err = pf_table_new(&g->tables, path, name, &table, e);
	if (err)
		return err;
	err = pf_generation_bind(g->active, table, !meant);
	if (err) {
		pf_table_unref(&g->tables, table);
		return pf_fail(e, err, "cannot make table " PF_TABLE_CALLED ": %s",
			       pf_table_called(path, name), strerror(-err));
	}
	err = meant ? pf_engine_remake(g, e) : 0;
	if (err)
		pf_generation_unbind(&g->gens, g->active,
				     pf_generation_table(g->active, path, name));
	return err;
}

struct pf_binding *pf_engine_table_make(struct pf_engine *g, const char *path, const char *name,
					bool dry, bool *made, struct pf_error_text *e)
{
	struct pf_binding *b = pf_generation_table(g->active, path, name);

	*made = false;
	if (b && b->active)
		return b;
	*made = true;
	if (dry)
		return NULL;
	if (b) {
		pf_generation_activate(g->active, b, true);
		return b;
	}
	if (make(g, path, name, e)) {
		*made = false;
		return NULL;
	}
	return pf_generation_table(g->active, path, name);
}

/* --- unmaking --- */

bool pf_engine_is_in(const char *path, const char *of, bool below)
{
	size_t len = strlen(of);

	if (!below || strncmp(path, of, len) != 0)
		return strcmp(path, of) == 0;
	return !len || !path[len] || path[len] == '/';
}

/* The main ruleset's: rules that name it find an empty one from now on. */
static void leave_main(struct pf_engine *g, struct pf_binding *b)
{
	struct pf_table_result r = {0};
	struct pf_error_text e;

	if (!b->referenced && !pf_generation_anchored(g->active, b))
		pf_generation_unbind(&g->gens, g->active, b);
	else if (pf_table_replace(&g->tables, b->table, NULL, 0, false, &r, &e))
		pf_say(LOG_ERR, "%s", e.text);
	else
		pf_generation_activate(g->active, b, false);
}

/*
 * All that is marked goes.  Rules of an anchor that name one of its tables mean the main
 * ruleset's then, and this takes them in one step; so it is what can fail, and the first.
 */
static int take_marked(struct pf_engine *g, struct pf_error_text *e)
{
	struct pf_generation *gen = g->active;
	bool meant = false;
	int err = 0;

	for (size_t i = 0; i < gen->nbindings; i++)
		meant |= gen->bindings[i].leaves && gen->bindings[i].referenced &&
			 *gen->bindings[i].table->path;
	for (size_t i = gen->nbindings; i-- > 0 && !meant;)
		if (gen->bindings[i].leaves && *gen->bindings[i].table->path)
			pf_generation_unbind(&g->gens, gen, &gen->bindings[i]);
	if (meant)
		err = pf_engine_remake(g, e);
	for (size_t i = 0; err && i < gen->nbindings; i++)
		gen->bindings[i].leaves = false;
	return err;
}

int pf_engine_kill_table(struct pf_engine *g, const char *path, const char *name, bool dry,
			 uint32_t *n, struct pf_error_text *e)
{
	struct pf_binding *b = pf_generation_table(g->active, path, name);
	int err = 0;

	*n = b && b->active;
	if (!*n || dry)
		return 0;
	b->leaves = *path;
	if (*path)
		err = take_marked(g, e);
	else
		leave_main(g, b);
	return err;
}

int pf_engine_flush_tables(struct pf_engine *g, const char *path, bool below, uint32_t *n,
			   struct pf_error_text *e)
{
	uint32_t count = 0;
	int err;

	for (size_t i = 0; i < g->active->nbindings; i++) {
		struct pf_binding *b = &g->active->bindings[i];

		if (!b->active || !pf_engine_is_in(b->table->path, path, below))
			continue;
		count++;
		b->leaves = *b->table->path;
	}
	err = take_marked(g, e);
	if (err)
		return err;
	for (size_t i = *path ? 0 : g->active->nbindings; i-- > 0;) {
		struct pf_binding *b = &g->active->bindings[i];

		if (b->active && !*b->table->path)
			leave_main(g, b);
	}
	*n = count;
	return 0;
}

bool pf_engine_anchor_exists(const struct pf_engine *g, const char *path)
{
	const struct pf_generation *gen = g->active;
	bool found = false;

	for (size_t i = 0; i < gen->anchors.n && !found; i++)
		found = pf_engine_is_in(gen->anchors.v[i].path, path, true);
	for (size_t i = 0; i < gen->nbindings && !found; i++)
		found = pf_engine_is_in(gen->bindings[i].table->path, path, true);
	return found;
}
