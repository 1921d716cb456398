// SPDX-License-Identifier: BSD-2-Clause
#include "tablecounts.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <string.h>

#include "tablelist.h"

#define NUMBERS 65536 /* of struct pf_rule_tables; 0 is none */

static int map_of(const struct pf_tables *t)
{
	return pf_datapath_map(t->dp, "pf_table_counts");
}

/* p NULL: the table in whole. */
static struct pf_table_count_key key_of(uint32_t counts, int f, const struct pf_prefix *p)
{
	struct pf_table_count_key key = {.bits = PF_TABLE_COUNT_TABLE, .counts = counts};

	if (p) {
		key.bits = PF_TABLE_COUNT_PREFIX + p->bits;
		key.af = pf_content_af(f);
		key.addr = pf_prefix_addr(p, pf_content_af(f));
	}
	return key;
}

static uint32_t kind_of(const struct pf_prefix *p)
{
	return !p ? PF_TABLE_COUNT_ALL : p->neg ? PF_TABLE_COUNT_NOT : PF_TABLE_COUNT_ENTRY;
}

/* The trie finds shorter prefixes, too; and older kernels' take no notice of BPF_NOEXIST there. */
static bool find(const struct pf_tables *t, const struct pf_table *table, int f,
		 const struct pf_prefix *p, struct pf_table_count *out)
{
	const struct pf_table_count_key key = key_of(table->counts, f, p);

	return bpf_map_lookup_elem(map_of(t), &key, out) == 0 && out->bits == key.bits;
}

/* As it is, but for what it is; else with zeroes. */
static int put(const struct pf_tables *t, const struct pf_table *table, int f,
	       const struct pf_prefix *p, const struct pf_table_count *now)
{
	const struct pf_table_count_key key = key_of(table->counts, f, p);
	struct pf_table_count v = {.kind = 0};
	int err;

	if (now)
		v = *now;
	v.kind = kind_of(p);
	v.bits = key.bits;
	err = bpf_map_update_elem(map_of(t), &key, &v, BPF_ANY);
	return err == -ENOSPC ? -EDQUOT : err;
}

/* p NULL: the table itself. */
static int make(const struct pf_tables *t, const struct pf_table *table, int f,
		const struct pf_prefix *p)
{
	struct pf_table_count v;

	if (!find(t, table, f, p, &v))
		return put(t, table, f, p, NULL);
	/* if it was the other way round its counters go on */
	return v.kind == kind_of(p) ? 0 : put(t, table, f, p, &v);
}

int pf_counts_add(const struct pf_tables *t, const struct pf_table *table, int f,
		  const struct pf_prefix *p)
{
	return table->counts ? make(t, table, f, p) : 0;
}

int pf_counts_full(const struct pf_table *table, struct pf_error_text *e)
{
	return pf_fail(e, -ENOSPC,
		       "table " PF_TABLE_CALLED
		       ": all tables with counters would have more than %u entries",
		       pf_table_called(table->path, table->name), PF_TABLE_COUNTS_MOST);
}

static bool has(const struct pf_prefixes *set, const struct pf_prefix *p)
{
	bool exact;

	pf_prefixes_find(set, p, &exact);
	return exact;
}

/* The tables that count in one place: one of them is to take the others'. */
struct twins {
	uint32_t counts;
	uint32_t n;
	const struct pf_table *table[PF_MAX_TABLES];
};

/* But for `except`, which may be NULL. */
static void find_twins(const struct pf_tables *t, uint32_t counts, const struct pf_table *except,
		       struct twins *out)
{
	out->counts = counts;
	out->n = 0;
	for (uint32_t i = 1; i < PF_MAX_TABLES && counts; i++)
		if (t->slot[i] && t->slot[i] != except && t->slot[i]->counts == counts)
			out->table[out->n++] = t->slot[i];
}

static bool twins_have(const struct twins *w, int f, const struct pf_prefix *p)
{
	for (uint32_t i = 0; i < w->n; i++)
		if (has(&w->table[i]->set[f], p))
			return true;
	return false;
}

static void remove_entry(const struct pf_tables *t, const struct twins *others, uint32_t counts,
			 int f, const struct pf_prefix *p)
{
	const struct pf_table_count_key key = key_of(counts, f, p);

	if (!twins_have(others, f, p))
		bpf_map_delete_elem(map_of(t), &key);
}

void pf_counts_remove(const struct pf_tables *t, const struct pf_table *table, int f,
		      const struct pf_prefix *p)
{
	struct twins others;

	if (!table->counts)
		return;
	find_twins(t, table->counts, table, &others);
	remove_entry(t, &others, table->counts, f, p);
}

int pf_counts_add_all(const struct pf_tables *t, const struct pf_table *table,
		      const struct pf_prefixes *set)
{
	int err = 0;

	for (int f = 0; f < 2 && table->counts; f++) {
		struct pf_prefix_place at = pf_prefixes_first();

		for (; !pf_prefixes_end(&set[f], at) && !err; pf_prefixes_next(&set[f], &at)) {
			struct pf_prefix p = pf_prefixes_get(&set[f], at);

			err = pf_counts_add(t, table, f, &p);
		}
	}
	return err;
}

void pf_counts_remove_all(const struct pf_tables *t, const struct pf_table *table,
			  const struct pf_prefixes *set, const struct pf_prefixes *keep)
{
	struct twins others;

	find_twins(t, table->counts, table, &others);
	for (int f = 0; f < 2 && table->counts; f++) {
		struct pf_prefix_place at = pf_prefixes_first();

		for (; !pf_prefixes_end(&set[f], at); pf_prefixes_next(&set[f], &at)) {
			struct pf_prefix p = pf_prefixes_get(&set[f], at);

			if (!keep || !has(&keep[f], &p))
				remove_entry(t, &others, table->counts, f, &p);
		}
	}
}

/* In turn, as a packet may still count for rules that are no longer in force; 0: none is free. */
static uint32_t free_number(struct pf_tables *t)
{
	struct twins users;

	for (uint32_t i = 1; i < NUMBERS; i++) {
		uint32_t next = (t->last_counts + i) % NUMBERS;

		find_twins(t, next, NULL, &users);
		if (next && !users.n)
			return t->last_counts = next;
	}
	return 0;
}

int pf_counts_open(struct pf_tables *t, struct pf_table *table, const struct pf_table *before)
{
	int err;

	if (table->counts)
		return 0;
	table->counts = before && before->counts ? before->counts : free_number(t);
	if (!table->counts)
		return -ENOSPC;
	err = pf_table_record(t, table);
	if (!err)
		err = make(t, table, 0, NULL);
	return err ? err : pf_counts_add_all(t, table, table->set);
}

/* Is what the key says an entry of a table that counts? */
static bool belongs(const struct twins *users, const struct pf_table_count_key *key)
{
	int f = key->af == PF_AF_INET6;
	struct pf_prefix_key k;
	struct pf_prefix p;

	if (key->bits < PF_TABLE_COUNT_PREFIX)
		return users->n;
	k = pf_prefix_key_of(pf_content_af(f), &key->addr,
			     (uint8_t)(key->bits - PF_TABLE_COUNT_PREFIX), false, 0);
	p = pf_prefix_of_key(&k);
	return twins_have(users, f, &p);
}

/* What is of no table.  Those of one number stand together. */
static void clean(const struct pf_tables *t)
{
	struct pf_table_count_key key, next;
	struct twins users = {.counts = 0};
	int err = bpf_map_get_next_key(map_of(t), NULL, &next);

	while (!err) {
		key = next;
		err = bpf_map_get_next_key(map_of(t), &key, &next);
		if (key.counts != users.counts)
			find_twins(t, key.counts, NULL, &users);
		if (!belongs(&users, &key))
			bpf_map_delete_elem(map_of(t), &key);
	}
}

void pf_counts_close(struct pf_tables *t, struct pf_table *table)
{
	const struct pf_table_count_key all = key_of(table->counts, 0, NULL);
	struct twins others;

	if (!table->counts)
		return;
	pf_counts_remove_all(t, table, table->set, NULL);
	find_twins(t, table->counts, table, &others);
	if (others.n)
		return;
	pf_tablerules_forget(&t->rules, table->counts);
	bpf_map_delete_elem(map_of(t), &all);
}

int pf_counts_adopt(const struct pf_tables *t)
{
	int err = 0;

	clean(t);
	for (uint32_t i = 1; i < PF_MAX_TABLES && !err; i++) {
		const struct pf_table *table = t->slot[i];

		if (!table || !table->counts)
			continue;
		err = make(t, table, 0, NULL);
		if (!err)
			err = pf_counts_add_all(t, table, table->set);
	}
	return err;
}

void pf_counts_read(const struct pf_tables *t, const struct pf_table *table, int f,
		    const struct pf_prefix *p, struct pf_table_count *out)
{
	if (!table->counts || !find(t, table, f, p, out))
		memset(out, 0, sizeof(*out));
}

void pf_counts_zero(const struct pf_tables *t, const struct pf_table *table, int f,
		    const struct pf_prefix *p)
{
	const struct pf_table_count_key key = key_of(table->counts, f, p);
	struct pf_table_count v, fresh = {.bits = key.bits};

	if (!table->counts || !find(t, table, f, p, &v))
		return;
	fresh.kind = v.kind;
	bpf_map_update_elem(map_of(t), &key, &fresh, BPF_ANY);
}

void pf_counts_zero_all(const struct pf_tables *t, const struct pf_table *table)
{
	pf_counts_zero(t, table, 0, NULL);
	for (int f = 0; f < 2 && table->counts; f++) {
		struct pf_prefix_place at = pf_prefixes_first();

		for (; !pf_prefixes_end(&table->set[f], at);
		     pf_prefixes_next(&table->set[f], &at)) {
			struct pf_prefix p = pf_prefixes_get(&table->set[f], at);

			pf_counts_zero(t, table, f, &p);
		}
	}
}
