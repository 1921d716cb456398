// SPDX-License-Identifier: BSD-2-Clause
/*
 * A warning is certain: what covers.h does not know, what a match rule's
 * translation or an anchor may change, and what rules from elsewhere may use, is
 * kept quiet about.  The bounds of struct pf_cover_set hold here, too.
 */
#include "lint.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "covers.h"

#define MAX_DISTANCE 2 /* of names that may be meant for each other */

struct warning {
	uint16_t file;
	uint32_t line;
	size_t seq;
	char *text;
};

struct lint {
	const struct pf_ruleset *rs;
	struct warning *v;
	size_t n, capacity;
};

/* --- warnings --- */

/* When memory is short, there are fewer of them. */
__attribute__((format(printf, 4, 5))) static void say(struct lint *l, uint16_t file, uint32_t line,
						      const char *fmt, ...)
{
	va_list ap;
	char *text;

	if (l->n == l->capacity) {
		size_t want = l->capacity ? l->capacity * 2 : 16;
		struct warning *v = reallocarray(l->v, want, sizeof(*v));

		if (!v)
			return;
		l->v = v;
		l->capacity = want;
	}
	va_start(ap, fmt);
	if (vasprintf(&text, fmt, ap) < 0)
		text = NULL;
	va_end(ap);
	if (!text)
		return;
	l->v[l->n] = (struct warning){.file = file, .line = line, .seq = l->n, .text = text};
	l->n++;
}

static int compare_lines(const struct warning *a, const struct warning *b)
{
	if (a->file != b->file)
		return a->file < b->file ? -1 : 1;
	return a->line < b->line ? -1 : a->line > b->line;
}

static int compare_texts(const void *va, const void *vb)
{
	const struct warning *a = va, *b = vb;
	int c = compare_lines(a, b);

	c = c ? c : strcmp(a->text, b->text);
	return c ? c : a->seq < b->seq ? -1 : 1;
}

static int compare_order(const void *va, const void *vb)
{
	const struct warning *a = va, *b = vb;
	int c = compare_lines(a, b);

	return c ? c : a->seq < b->seq ? -1 : 1;
}

/* Each text once per line. */
static void drop_doubles(struct lint *l)
{
	size_t kept = 0;

	qsort(l->v, l->n, sizeof(*l->v), compare_texts);
	for (size_t i = 0; i < l->n; i++) {
		if (kept && compare_lines(&l->v[kept - 1], &l->v[i]) == 0 &&
		    strcmp(l->v[kept - 1].text, l->v[i].text) == 0)
			free(l->v[i].text);
		else
			l->v[kept++] = l->v[i];
	}
	l->n = kept;
	qsort(l->v, l->n, sizeof(*l->v), compare_order);
}

static size_t finish(struct lint *l, pf_lint_fn *warn, void *ctx)
{
	size_t n;

	if (l->n)
		drop_doubles(l);
	n = l->n;
	for (size_t i = 0; i < n; i++) {
		warn(ctx, l->v[i].file, l->v[i].line, l->v[i].text);
		free(l->v[i].text);
	}
	free(l->v);
	return n;
}

/* --- rules without effect --- */

/* Of one list: which rule covers each, or PF_COVER_NONE. */
struct dead {
	const struct pf_rule_list *list;
	uint64_t *hash;
	uint32_t *never;  /* an earlier quick rule */
	uint32_t *undone; /* a later rule of the other action */
	struct pf_cover_set sets[2];
};

static void dead_free(struct dead *d)
{
	free(d->hash);
	free(d->never);
	free(d->undone);
	for (int i = 0; i < 2; i++)
		pf_cover_set_free(&d->sets[i]);
}

static bool dead_init(struct dead *d, const struct pf_rule_list *list)
{
	*d = (struct dead){.list = list};
	d->hash = calloc(list->n, sizeof(*d->hash));
	d->never = calloc(list->n, sizeof(*d->never));
	d->undone = calloc(list->n, sizeof(*d->undone));
	if (!d->hash || !d->never || !d->undone)
		return false;
	for (size_t i = 0; i < list->n; i++)
		d->hash[i] = pf_rule_hash(&list->v[i], PF_BUT_NOTHING);
	for (int i = 0; i < 2; i++)
		if (pf_cover_set_init(&d->sets[i], list->v, d->hash, list->n))
			return false;
	return true;
}

static bool passes_or_blocks(const struct pf_rule *r)
{
	return r->action == PF_RULE_ACTION_PASS || r->action == PF_RULE_ACTION_BLOCK;
}

/* Is it the last match for each packet that meets its criteria? */
static bool decides(const struct pf_rule *r)
{
	return passes_or_blocks(r) && !pf_rule_narrowed(r);
}

static void find_never(struct dead *d)
{
	struct pf_cover_set *quick = &d->sets[0];

	pf_cover_set_clear(quick);
	for (uint32_t i = 0; i < d->list->n; i++) {
		const struct pf_rule *r = &d->list->v[i];

		d->never[i] = pf_cover_set_find(quick, i, true);
		if (pf_rule_translates(r))
			pf_cover_set_clear(quick);
		else if (r->quick && decides(r) && d->never[i] == PF_COVER_NONE)
			pf_cover_set_add(quick, i);
	}
}

/*
 * A rule that is not quick, and whose match does nothing else, has no effect when
 * another one that matches as much comes after it: see optimize.c, case 2.  But a
 * quick match rule between them ends evaluation, and the first of them decides.
 */
static void find_undone(struct dead *d)
{
	struct pf_cover_set *pass = &d->sets[0], *block = &d->sets[1];

	pf_cover_set_clear(pass);
	pf_cover_set_clear(block);
	for (uint32_t i = (uint32_t)d->list->n; i-- > 0;) {
		const struct pf_rule *r = &d->list->v[i];
		bool passes = r->action == PF_RULE_ACTION_PASS;

		d->undone[i] = PF_COVER_NONE;
		if (!r->quick && pf_rule_plain(r) && d->never[i] == PF_COVER_NONE)
			d->undone[i] = pf_cover_set_find(passes ? block : pass, i, true);
		if (pf_rule_translates(r) || (r->quick && !passes_or_blocks(r))) {
			pf_cover_set_clear(pass);
			pf_cover_set_clear(block);
		} else if (decides(r)) {
			pf_cover_set_add(passes ? pass : block, i);
		}
	}
}

static bool alike(const struct pf_rule *a, const struct pf_rule *b)
{
	return pf_rule_covers(a, b) && pf_rule_covers(b, a);
}

/* "at line 7", or "at line 7 of FILE"; the caller's buffer. */
static const char *place_of(const struct lint *l, const struct pf_rule *at,
			    const struct pf_rule *seen_from, char *buf, size_t size)
{
	if (at->file == seen_from->file || at->file >= l->rs->nfiles)
		snprintf(buf, size, "at line %u", at->line);
	else
		snprintf(buf, size, "at line %u of %s", at->line, l->rs->files[at->file]);
	return buf;
}

static void say_dead(struct lint *l, const struct dead *d, size_t i, bool whole)
{
	const struct pf_rule *v = d->list->v, *b = &v[i], *a;
	const char *part = whole ? "" : "part of the ";
	char place[320];

	if (d->never[i] != PF_COVER_NONE) {
		a = &v[d->never[i]];
		say(l, b->file, b->line, "%srule can never match: the quick rule %s covers it",
		    part, place_of(l, a, b, place, sizeof(place)));
		return;
	}
	a = &v[d->undone[i]];
	place_of(l, a, b, place, sizeof(place));
	if (a->action == PF_RULE_ACTION_BLOCK && alike(a, b))
		say(l, b->file, b->line, "%srule has no effect: the block rule %s undoes it", part,
		    place);
	else
		say(l, b->file, b->line, "%srule has no effect: the rule %s covers it", part,
		    place);
}

/* Is what is wrong with both the same? */
static bool same_fate(const struct dead *d, size_t a, size_t b)
{
	const struct pf_rule *v = d->list->v;

	if (d->never[a] != PF_COVER_NONE)
		return d->never[b] != PF_COVER_NONE &&
		       pf_rule_same_line(&v[d->never[a]], &v[d->never[b]]);
	return d->never[b] == PF_COVER_NONE && d->undone[a] != PF_COVER_NONE &&
	       d->undone[b] != PF_COVER_NONE &&
	       pf_rule_same_line(&v[d->undone[a]], &v[d->undone[b]]);
}

/* The rules that one statement's lists made: all of them, or some. */
static void say_statement(struct lint *l, const struct dead *d, size_t begin, size_t end)
{
	bool whole = true;

	for (size_t i = begin; i < end && whole; i++)
		whole = same_fate(d, begin, i);
	for (size_t i = begin; i < end; i++)
		if (d->never[i] != PF_COVER_NONE || d->undone[i] != PF_COVER_NONE)
			say_dead(l, d, i, whole);
}

static void lint_rules(struct lint *l, const struct pf_rule_list *list)
{
	struct dead d;
	size_t end;

	if (!list->n)
		return;
	if (dead_init(&d, list)) {
		find_never(&d);
		find_undone(&d);
		for (size_t i = 0; i < list->n; i = end) {
			end = i + 1;
			while (end < list->n && pf_rule_same_line(&list->v[i], &list->v[end]))
				end++;
			say_statement(l, &d, i, end);
		}
	}
	dead_free(&d);
}

/* --- tables --- */

struct known {
	size_t block; /* 0 the main one */
	const struct pf_table_def *table;
	bool used;
};

struct unknown {
	size_t block;
	const char *name;
	uint16_t file;
	uint32_t line;
};

struct tables {
	struct lint *lint;
	struct known *known; /* by block and name */
	size_t nknown;
	struct unknown *unknown;
	size_t nunknown, unknown_capacity;
	size_t block;	  /* the one at hand */
	const char *last; /* the last name that was looked up there */
};

static const struct pf_block *block_of(const struct pf_ruleset *rs, size_t i)
{
	return i ? rs->blocks[i - 1] : &rs->main;
}

static int compare_known(const void *va, const void *vb)
{
	const struct known *a = va, *b = vb;

	if (a->block != b->block)
		return a->block < b->block ? -1 : 1;
	return strcmp(a->table->name, b->table->name);
}

static int compare_unknown(const void *va, const void *vb)
{
	const struct unknown *a = va, *b = vb;
	int c;

	if (a->block != b->block)
		return a->block < b->block ? -1 : 1;
	c = strcmp(a->name, b->name);
	if (c)
		return c;
	if (a->file != b->file)
		return a->file < b->file ? -1 : 1;
	return a->line < b->line ? -1 : a->line > b->line;
}

static bool collect_known(struct tables *t)
{
	const struct pf_ruleset *rs = t->lint->rs;
	size_t n = 0;

	for (size_t k = 0; k <= rs->nblocks; k++)
		n += block_of(rs, k)->ntables;
	t->known = calloc(n + 1, sizeof(*t->known));
	if (!t->known)
		return false;
	for (size_t k = 0; k <= rs->nblocks; k++)
		for (size_t i = 0; i < block_of(rs, k)->ntables; i++)
			t->known[t->nknown++] =
				(struct known){.block = k, .table = &block_of(rs, k)->tables[i]};
	qsort(t->known, t->nknown, sizeof(*t->known), compare_known);
	return true;
}

static struct known *find_known(const struct tables *t, size_t block, const char *name)
{
	const struct pf_table_def table = {.name = name};
	const struct known key = {.block = block, .table = &table};

	return bsearch(&key, t->known, t->nknown, sizeof(*t->known), compare_known);
}

static void add_unknown(struct tables *t, const char *name, uint16_t file, uint32_t line)
{
	if (t->nunknown == t->unknown_capacity) {
		size_t want = t->unknown_capacity ? t->unknown_capacity * 2 : 16;
		struct unknown *u = reallocarray(t->unknown, want, sizeof(*u));

		if (!u)
			return;
		t->unknown = u;
		t->unknown_capacity = want;
	}
	t->unknown[t->nunknown++] =
		(struct unknown){.block = t->block, .name = name, .file = file, .line = line};
}

/* A table of its own hides the main ruleset's from an anchor. */
static void table_used(void *ctx, const char *name, uint16_t file, uint32_t line)
{
	struct tables *t = ctx;
	struct known *k;

	if (name == t->last) /* lists make many rules that share it */
		return;
	k = find_known(t, t->block, name);
	if (!k)
		k = find_known(t, 0, name);
	if (!k) {
		add_unknown(t, name, file, line);
		return;
	}
	k->used = true;
	t->last = name;
}

static size_t smallest(size_t a, size_t b, size_t c)
{
	size_t ab = a < b ? a : b;

	return ab < c ? ab : c;
}

/* How many letters must be put in, taken out or changed, to make b of a. */
static size_t distance(const char *a, const char *b)
{
	size_t row[PF_TABLE_NAME_SIZE + 1], na = strlen(a), nb = strlen(b);

	if (nb > PF_TABLE_NAME_SIZE || na > nb + MAX_DISTANCE || nb > na + MAX_DISTANCE)
		return SIZE_MAX;
	for (size_t j = 0; j <= nb; j++)
		row[j] = j;
	for (size_t i = 1; i <= na; i++) {
		size_t diagonal = row[0];

		row[0] = i;
		for (size_t j = 1; j <= nb; j++) {
			size_t here = diagonal + (a[i - 1] != b[j - 1]);

			diagonal = row[j];
			row[j] = smallest(here, row[j] + 1, row[j - 1] + 1);
		}
	}
	return row[nb];
}

/* The table that the name may be meant for, or NULL. */
static const char *suggestion(const struct tables *t, size_t block, const char *name)
{
	size_t best = MAX_DISTANCE + 1;
	const char *found = NULL;

	for (size_t i = 0; i < t->nknown; i++) {
		const struct known *k = &t->known[i];
		size_t d;

		if ((k->block && k->block != block) || k->table->automatic)
			continue;
		d = distance(name, k->table->name);
		/* <a> is not meant for <b>: something must be left of it */
		if (d < best && d < strlen(name) && d < strlen(k->table->name)) {
			best = d;
			found = k->table->name;
		}
	}
	return found;
}

static void say_unknown(struct tables *t)
{
	const char *meant = NULL;

	if (t->nunknown)
		qsort(t->unknown, t->nunknown, sizeof(*t->unknown), compare_unknown);
	for (size_t i = 0; i < t->nunknown; i++) {
		const struct unknown *u = &t->unknown[i];

		if (!i || u[-1].block != u->block || strcmp(u[-1].name, u->name) != 0)
			meant = suggestion(t, u->block, u->name);
		else if (u[-1].file == u->file && u[-1].line == u->line)
			continue;
		if (meant)
			say(t->lint, u->file, u->line,
			    "table <%s> is not defined; did you mean <%s>?", u->name, meant);
		else
			say(t->lint, u->file, u->line, "table <%s> is not defined", u->name);
	}
}

/* In what -v echoes: limiters may name a table, and macros may be used by other files. */
static bool in_items(const struct pf_ruleset *rs, const char *name)
{
	char ref[PF_TABLE_NAME_SIZE + 3];

	snprintf(ref, sizeof(ref), "<%s>", name);
	for (size_t i = 0; i < rs->nitems; i++)
		if (rs->items[i].kind == PF_ITEM_TEXT && rs->items[i].text &&
		    strstr(rs->items[i].text, ref))
			return true;
	return false;
}

/* An anchor that is filled from elsewhere, whose rules may use the main tables. */
static bool has_open_anchor(const struct pf_ruleset *rs)
{
	for (size_t k = 0; k <= rs->nblocks; k++) {
		const struct pf_block *b = block_of(rs, k);

		for (size_t kind = 0; kind < PF_LIST_MAX; kind++)
			for (size_t i = 0; i < b->list[kind].n; i++) {
				const struct pf_rule_ext *x = b->list[kind].v[i].x;

				if (x && x->anchor && !x->anchor->block)
					return true;
			}
		for (size_t i = 0; i < b->nether; i++)
			if (b->ether[i].anchor && !b->ether[i].anchor->block)
				return true;
	}
	return false;
}

static void lint_tables(struct lint *l)
{
	struct tables t = {.lint = l};
	bool open = has_open_anchor(l->rs);

	if (!collect_known(&t))
		return;
	for (t.block = 0; t.block <= l->rs->nblocks; t.block++) {
		t.last = NULL;
		pf_block_table_refs(block_of(l->rs, t.block), table_used, &t);
	}
	/* an anchor's rules may mean the main ruleset's */
	if (!l->rs->in_anchor)
		say_unknown(&t);
	for (size_t i = 0; i < t.nknown; i++) {
		const struct pf_table_def *def = t.known[i].table;

		if (!t.known[i].used && !def->automatic && !(open && !t.known[i].block) &&
		    !in_items(l->rs, def->name))
			say(l, def->file, def->line, "table <%s> is never used", def->name);
	}
	free(t.known);
	free(t.unknown);
}

size_t pf_ruleset_lint(const struct pf_ruleset *rs, pf_lint_fn *warn, void *ctx)
{
	struct lint l = {.rs = rs};

	for (size_t k = 0; k <= rs->nblocks; k++)
		lint_rules(&l, &block_of(rs, k)->list[PF_LIST_FILTER]);
	lint_tables(&l);
	return finish(&l, warn, ctx);
}
