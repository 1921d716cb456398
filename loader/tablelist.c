// SPDX-License-Identifier: BSD-2-Clause
#include "tablelist.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../compiler/ranges.h"
#include "tablecounts.h"
#include "tablenots.h"

/* --- content --- */

void pf_content_free(struct pf_content *c)
{
	for (int f = 0; f < 2; f++)
		free(c->key[f]);
	memset(c, 0, sizeof(*c));
}

int pf_content_alloc(struct pf_content *c, size_t n4, size_t n6)
{
	const size_t n[2] = {n4, n6};

	memset(c, 0, sizeof(*c));
	for (int f = 0; f < 2; f++) {
		c->key[f] = reallocarray(NULL, n[f] + 1, sizeof(*c->key[f]));
		if (!c->key[f]) {
			pf_content_free(c);
			return -ENOMEM;
		}
	}
	return 0;
}

size_t pf_content_size(const struct pf_content *c)
{
	return c->n[0] + c->n[1];
}

struct pf_table_item *pf_tablelist_item(const struct pf_table *table, int f,
					struct pf_prefix_place at)
{
	return &table->list.item[pf_prefixes_ref(&table->set[f], at)];
}

struct pf_prefix_key pf_tablelist_key(const struct pf_table *table, int f,
				      struct pf_prefix_place at)
{
	struct pf_prefix p = pf_prefixes_get(&table->set[f], at);

	return (struct pf_prefix_key){.hi = (uint64_t)(p.addr >> 64),
				      .lo = (uint64_t)p.addr,
				      .since = pf_tablelist_item(table, f, at)->since,
				      .bits = p.bits,
				      .neg = p.neg};
}

static bool before(const struct pf_prefix_key *a, const struct pf_prefix_key *b)
{
	if (a->hi != b->hi)
		return a->hi < b->hi;
	return a->lo != b->lo ? a->lo < b->lo : a->bits < b->bits;
}

static void merge(const struct pf_table *table, int f, const struct pf_content *add,
		  const struct pf_content *without, struct pf_content *out)
{
	const struct pf_prefixes *set = &table->set[f];
	struct pf_prefix_place at = pf_prefixes_first();
	size_t more = 0, less = 0;

	for (; !pf_prefixes_end(set, at); pf_prefixes_next(set, &at)) {
		struct pf_prefix_key k = pf_tablelist_key(table, f, at);

		while (add && more < add->n[f] && before(&add->key[f][more], &k))
			out->key[f][out->n[f]++] = add->key[f][more++];
		if (without && less < without->n[f] && pf_prefix_same(&without->key[f][less], &k))
			less++;
		else
			out->key[f][out->n[f]++] = k;
	}
	while (add && more < add->n[f])
		out->key[f][out->n[f]++] = add->key[f][more++];
}

int pf_content_of(const struct pf_table *table, const struct pf_content *add,
		  const struct pf_content *without, struct pf_content *out)
{
	int err = pf_content_alloc(out, table->set[0].n + (add ? add->n[0] : 0),
				   table->set[1].n + (add ? add->n[1] : 0));

	for (int f = 0; f < 2 && !err; f++)
		merge(table, f, add, without, out);
	return err;
}

/* --- the list --- */

static void pin_path(const struct pf_tables *t, uint32_t slot, char *buf, size_t size)
{
	snprintf(buf, size, "%s/tables/%u", t->dp->pin_dir, slot);
}

/* The family says that it is there, so it comes last. */
static void write_item(struct pf_table_item *item, int f, const struct pf_prefix_key *k)
{
	pf_prefix_to_item(k, pf_content_af(f), item);
	__atomic_store_n(&item->af, pf_content_af(f), __ATOMIC_RELEASE);
}

static void put_hole(struct pf_table *table, uint32_t at)
{
	__atomic_store_n(&table->list.item[at].af, 0, __ATOMIC_RELEASE);
	table->list.item[at].addr.w[0] = table->hole;
	table->hole = at + 1;
}

/* A list twice as large in the place of the full one. */
static int grow(struct pf_tables *t, struct pf_table *table)
{
	struct pf_entries more;
	char path[512];
	int err = pf_entries_make(t->dp, table->list.room * 2, &more);

	if (err)
		return err;
	memcpy(more.item, table->list.item, table->used * sizeof(*more.item));
	pin_path(t, table->slot, path, sizeof(path));
	err = pf_entries_pin(&more, path);
	if (err) {
		pf_entries_close(&more);
		return err;
	}
	pf_entries_close(&table->list);
	table->list = more;
	for (int f = 0; f < 2; f++)
		table->set[f].items = more.item;
	return 0;
}

static int new_item(struct pf_tables *t, struct pf_table *table, uint32_t *at)
{
	int err;

	if (table->hole) {
		*at = table->hole - 1;
		table->hole = table->list.item[*at].addr.w[0];
		return 0;
	}
	if (table->used == table->list.room) {
		err = grow(t, table);
		if (err)
			return err;
	}
	*at = table->used++;
	return 0;
}

static int fill_list(struct pf_table *table, const struct pf_content *c)
{
	const size_t most = c->n[0] > c->n[1] ? c->n[0] : c->n[1];
	uint32_t *refs = reallocarray(NULL, most + 1, sizeof(*refs));
	int err = refs ? 0 : -ENOMEM;

	for (int f = 0; f < 2 && !err; f++) {
		for (size_t i = 0; i < c->n[f]; i++) {
			refs[i] = table->used;
			write_item(&table->list.item[table->used++], f, &c->key[f][i]);
		}
		err = pf_prefixes_fill(&table->set[f], refs, c->n[f]);
	}
	free(refs);
	return err;
}

void pf_tablelist_close(struct pf_table *table)
{
	for (int f = 0; f < 2; f++)
		pf_prefixes_free(&table->set[f]);
	pf_entries_close(&table->list);
}

static void init_sets(struct pf_table *table)
{
	for (int f = 0; f < 2; f++)
		pf_prefixes_init(&table->set[f], pf_content_af(f), table->list.item);
}

/* --- ranges --- */

static struct pf_table_roots build(struct pf_tables *t, const struct pf_table *table)
{
	struct pf_table_roots roots = {.word = {0}};

	for (int f = 0; f < 2; f++)
		roots.word[f] = pf_ranges_build(&t->store.nodes, &table->set[f]);
	return roots;
}

static void free_ranges(struct pf_tables *t, const struct pf_table *table)
{
	for (int f = 0; f < 2; f++)
		pf_ranges_free(&t->store.nodes, table->set[f].width,
			       t->store.roots[table->slot].word[f]);
}

/* Room to grow by an eighth: to make another list takes longer than an entry may. */
static uint32_t room_for(size_t n)
{
	return (uint32_t)(n + n / 8);
}

static int make_next(struct pf_tables *t, const struct pf_content *c, struct pf_table *next)
{
	int err = pf_entries_make(t->dp, room_for(pf_content_size(c)), &next->list);

	if (err)
		return err;
	init_sets(next);
	return fill_list(next, c);
}

static void take_over(struct pf_table *table, struct pf_table *next)
{
	table->list = next->list;
	table->used = next->used;
	table->hole = next->hole;
	memcpy(table->set, next->set, sizeof(table->set));
}

int pf_tablelist_set(struct pf_tables *t, struct pf_table *table, const struct pf_content *c)
{
	struct pf_table next = {.list.fd = -1}, old;
	struct pf_table_roots roots;
	char path[512];
	int err = make_next(t, c, &next);

	if (!err && table->written)
		err = pf_nots_add_all(t, table->slot, next.set);
	if (!err)
		err = pf_counts_add_all(t, table, next.set);
	if (!err) {
		roots = build(t, &next);
		if (table->list.item)
			free_ranges(t, table);
		err = t->store.nodes.error;
	}
	if (!err) {
		pin_path(t, table->slot, path, sizeof(path));
		err = pf_entries_pin(&next.list, path);
	}
	if (err) {
		pf_nodes_abort(&t->store.nodes);
		if (table->written)
			pf_nots_remove_all(t, table->slot, next.set, table->set);
		pf_counts_remove_all(t, table, next.set, table->set);
		pf_counts_add_all(t, table, table->set); /* where the sign was another */
		pf_tablelist_close(&next);
		return err;
	}
	pf_tablestore_set(&t->store, table->slot, roots);
	pf_nodes_commit(&t->store.nodes);
	pf_nodes_trim(&t->store.nodes);
	old = *table;
	take_over(table, &next);
	if (table->written)
		pf_nots_remove_all(t, table->slot, old.set, table->set);
	pf_counts_remove_all(t, table, old.set, table->set);
	if (old.list.item)
		pf_tablelist_close(&old);
	return 0;
}

/* What an earlier pfd's list holds, and where. */
static int read_list(struct pf_table *table, struct pf_content *c)
{
	int err = pf_content_alloc(c, table->list.room, table->list.room);

	for (uint32_t i = 0; i < table->list.room && !err; i++) {
		const struct pf_table_item *e = &table->list.item[i];
		int f = e->af == PF_AF_INET6;

		if (!e->af)
			continue;
		if ((e->af != PF_AF_INET && !f) || e->bits > pf_prefix_width(e->af)) {
			err = -EPROTO;
			break;
		}
		c->key[f][c->n[f]++] = pf_prefix_key_of(e->af, &e->addr, e->bits,
							e->flags & PF_TABLE_ENTRY_NOT, i);
		table->used = i + 1;
	}
	for (uint32_t i = 0; i < table->used && !err; i++)
		if (!table->list.item[i].af)
			put_hole(table, i);
	for (int f = 0; f < 2 && !err; f++)
		err = pf_prefix_sort(c->key[f], c->n[f]);
	return err;
}

static int fill_sets(struct pf_table *table, const struct pf_content *c)
{
	int err = 0;

	for (int f = 0; f < 2 && !err; f++) {
		uint32_t *refs = reallocarray(NULL, c->n[f] + 1, sizeof(*refs));

		for (size_t i = 0; refs && i < c->n[f]; i++)
			refs[i] = c->key[f][i].at;
		err = refs ? pf_prefixes_fill(&table->set[f], refs, c->n[f]) : -ENOMEM;
		free(refs);
	}
	return err;
}

int pf_tablelist_adopt(struct pf_tables *t, struct pf_table *table)
{
	pf_content_auto c = {.n = {0}};
	struct pf_table_roots roots;
	char path[512];
	int err;

	pin_path(t, table->slot, path, sizeof(path));
	err = pf_entries_open(path, &table->list);
	if (err)
		return err;
	init_sets(table);
	err = read_list(table, &c);
	if (!err)
		err = fill_sets(table, &c);
	if (err)
		return err;
	roots = build(t, table);
	if (t->store.nodes.error)
		return pf_nodes_abort(&t->store.nodes);
	pf_tablestore_set(&t->store, table->slot, roots);
	pf_nodes_commit(&t->store.nodes);
	return 0;
}

void pf_tablelist_drop(struct pf_tables *t, struct pf_table *table)
{
	char path[512];

	if (table->list.item) {
		free_ranges(t, table);
		pf_tablestore_set(&t->store, table->slot, (struct pf_table_roots){.word = {0}});
		/* without memory to note it the ranges are lost until the next pfd */
		if (t->store.nodes.error)
			pf_nodes_abort(&t->store.nodes);
		pf_nodes_commit(&t->store.nodes);
		pf_nodes_trim(&t->store.nodes);
	}
	pin_path(t, table->slot, path, sizeof(path));
	unlink(path);
	pf_tablelist_close(table);
}

/* The table's set has changed by this entry. */
static int update(struct pf_tables *t, struct pf_table *table, int f, const struct pf_prefix *p)
{
	uint32_t *root = &t->store.roots[table->slot].word[f];
	struct pf_ranges_change c = pf_ranges_update(&t->store.nodes, &table->set[f], *root, p);

	if (t->store.nodes.error)
		return pf_nodes_abort(&t->store.nodes);
	pf_tablestore_set_word(c.slot ? c.slot : root, c.word);
	pf_nodes_commit(&t->store.nodes);
	return 0;
}

static int add_item(struct pf_tables *t, struct pf_table *table, int f,
		    const struct pf_prefix_key *k)
{
	struct pf_prefix p = pf_prefix_of_key(k);
	struct pf_prefix_place at;
	uint32_t item;
	bool exact;
	int err = new_item(t, table, &item);

	if (err)
		return err;
	write_item(&table->list.item[item], f, k);
	at = pf_prefixes_find(&table->set[f], &p, &exact);
	err = pf_prefixes_insert(&table->set[f], at, item);
	if (!err) {
		err = update(t, table, f, &p);
		if (!err)
			return 0;
		at = pf_prefixes_find(&table->set[f], &p, &exact);
		pf_prefixes_remove(&table->set[f], at);
	}
	put_hole(table, item);
	return err;
}

int pf_tablelist_add(struct pf_tables *t, struct pf_table *table, int f,
		     const struct pf_prefix_key *k)
{
	struct pf_prefix p = pf_prefix_of_key(k);
	int err = pf_counts_add(t, table, f, &p);

	if (!err && table->written)
		err = pf_nots_add(t, table->slot, f, &p);
	if (!err)
		err = add_item(t, table, f, k);
	if (err) {
		if (table->written)
			pf_nots_remove(t, table->slot, f, &p);
		pf_counts_remove(t, table, f, &p);
	}
	return err;
}

int pf_tablelist_delete(struct pf_tables *t, struct pf_table *table, int f,
			const struct pf_prefix *p)
{
	bool exact;
	struct pf_prefix_place at = pf_prefixes_find(&table->set[f], p, &exact);
	struct pf_prefix old = pf_prefixes_get(&table->set[f], at);
	uint32_t item = pf_prefixes_ref(&table->set[f], at);
	int err;

	pf_prefixes_remove(&table->set[f], at);
	err = update(t, table, f, p);
	if (!err) {
		put_hole(table, item);
		if (table->written)
			pf_nots_remove(t, table->slot, f, &old);
		pf_counts_remove(t, table, f, &old);
		return 0;
	}
	/* the place that it had is there still */
	at = pf_prefixes_find(&table->set[f], p, &exact);
	pf_prefixes_insert(&table->set[f], at, item);
	return err;
}
