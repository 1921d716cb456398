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
	struct pf_table_item item;
	struct pf_prefix_key k;

	if (!p)
		return key;
	k = (struct pf_prefix_key){
		.hi = (uint64_t)(p->addr >> 64), .lo = (uint64_t)p->addr, .bits = p->bits};
	pf_prefix_to_item(&k, pf_content_af(f), &item);
	key.bits = PF_TABLE_COUNT_PREFIX + p->bits;
	key.af = pf_content_af(f);
	key.addr = item.addr;
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

	if (now)
		v = *now;
	v.kind = kind_of(p);
	v.bits = key.bits;
	return bpf_map_update_elem(map_of(t), &key, &v, BPF_ANY);
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

static bool has(const struct pf_prefixes *set, const struct pf_prefix *p)
{
	bool exact;

	pf_prefixes_find(set, p, &exact);
	return exact;
}

/* Another table that counts in the same place: it is to take this one's, or the other way round. */
static const struct pf_table *twin(const struct pf_tables *t, const struct pf_table *table,
				   uint32_t from)
{
	for (uint32_t i = from; i < PF_MAX_TABLES; i++)
		if (t->slot[i] && t->slot[i] != table && t->slot[i]->counts == table->counts)
			return t->slot[i];
	return NULL;
}

static bool twins_have(const struct pf_tables *t, const struct pf_table *table, int f,
		       const struct pf_prefix *p)
{
	const struct pf_table *other = twin(t, table, 1);

	while (other && !has(&other->set[f], p))
		other = twin(t, table, other->slot + 1);
	return other;
}

void pf_counts_remove(const struct pf_tables *t, const struct pf_table *table, int f,
		      const struct pf_prefix *p)
{
	const struct pf_table_count_key key = key_of(table->counts, f, p);

	if (table->counts && !twins_have(t, table, f, p))
		bpf_map_delete_elem(map_of(t), &key);
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
	for (int f = 0; f < 2 && table->counts; f++) {
		struct pf_prefix_place at = pf_prefixes_first();

		for (; !pf_prefixes_end(&set[f], at); pf_prefixes_next(&set[f], &at)) {
			struct pf_prefix p = pf_prefixes_get(&set[f], at);

			if (!keep || !has(&keep[f], &p))
				pf_counts_remove(t, table, f, &p);
		}
	}
}

/* In turn, as a packet may still count for rules that are no longer in force; 0: none is free. */
static uint32_t free_number(struct pf_tables *t)
{
	for (uint32_t i = 1; i < NUMBERS; i++) {
		const struct pf_table next = {.counts = (t->last_counts + i) % NUMBERS};

		if (next.counts && !twin(t, &next, 1))
			return t->last_counts = next.counts;
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
static bool belongs(const struct pf_tables *t, const struct pf_table_count_key *key)
{
	const struct pf_table it = {.counts = key->counts};
	int f = key->af == PF_AF_INET6;
	struct pf_prefix_key k;
	struct pf_prefix p;

	if (key->bits < PF_TABLE_COUNT_PREFIX)
		return twin(t, &it, 1);
	k = pf_prefix_key_of(pf_content_af(f), &key->addr,
			     (uint8_t)(key->bits - PF_TABLE_COUNT_PREFIX), false, 0);
	p = pf_prefix_of_key(&k);
	return twins_have(t, &it, f, &p);
}

/* counts 0: of all numbers. */
static void clean(const struct pf_tables *t, uint32_t counts)
{
	struct pf_table_count_key key, next;
	int err = bpf_map_get_next_key(map_of(t), NULL, &next);

	while (!err) {
		key = next;
		err = bpf_map_get_next_key(map_of(t), &key, &next);
		if ((!counts || key.counts == counts) && !belongs(t, &key))
			bpf_map_delete_elem(map_of(t), &key);
	}
}

void pf_counts_close(struct pf_tables *t, struct pf_table *table)
{
	const struct pf_table_count_key all = key_of(table->counts, 0, NULL);

	if (!table->counts)
		return;
	pf_counts_remove_all(t, table, table->set, NULL);
	if (twin(t, table, 1))
		return;
	pf_tablerules_forget(&t->rules, table->counts);
	bpf_map_delete_elem(map_of(t), &all);
}

int pf_counts_adopt(const struct pf_tables *t)
{
	int err = 0;

	clean(t, 0);
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
