// SPDX-License-Identifier: BSD-2-Clause
#include "tables.h"

#include <assert.h>
#include <bpf/bpf.h>
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tablecounts.h"
#include "tabledelta.h"
#include "tablelist.h"

static_assert(PF_TABLE_NAME_SIZE == sizeof(((struct pf_table_name *)0)->name), "table names");
static_assert(PF_ANCHOR_SIZE == sizeof(struct pf_table_anchor), "anchors");

int pf_tables_open(struct pf_tables *t, const struct pf_datapath *dp, struct pf_error_text *e)
{
	int err;

	memset(t, 0, sizeof(*t));
	t->dp = dp;
	t->limit_tables = 1000;
	t->limit_entries = 200000;
	err = pf_tablerules_open(&t->rules, dp);
	if (!err)
		err = pf_tablestore_open(&t->store, dp);
	return err ? pf_fail(e, err, "cannot map the tables: %s", strerror(-err)) : 0;
}

static int write_name(const struct pf_tables *t, uint32_t slot, const struct pf_table_name *n)
{
	return bpf_map_update_elem(pf_datapath_map(t->dp, "pf_table_names"), &slot, n, BPF_ANY);
}

/* The path first: where a name stands, all of it is right. */
int pf_table_record(const struct pf_tables *t, const struct pf_table *table)
{
	struct pf_table_name n = {.flags = PF_TABLE_USED, .counts = table->counts};
	struct pf_table_anchor a = {.path = ""};
	int err = 0;

	memcpy(n.name, table->name, sizeof(n.name));
	if (*table->path) {
		n.flags |= PF_TABLE_ANCHORED;
		snprintf(a.path, sizeof(a.path), "%s", table->path);
		err = bpf_map_update_elem(pf_datapath_map(t->dp, "pf_table_anchors"), &table->slot,
					  &a, BPF_ANY);
	}
	return err ? err : write_name(t, table->slot, &n);
}

static void clear_name(const struct pf_tables *t, uint32_t slot)
{
	const struct pf_table_name none = {.flags = 0};

	write_name(t, slot, &none);
	bpf_map_delete_elem(pf_datapath_map(t->dp, "pf_table_anchors"), &slot);
}

static void table_free(struct pf_table *table)
{
	free(table->path);
	free(table);
}

static struct pf_table *table_alloc(const char *path, const char *name, uint32_t slot)
{
	struct pf_table *table = calloc(1, sizeof(*table));

	if (!table)
		return NULL;
	table->path = strdup(path);
	if (!table->path) {
		table_free(table);
		return NULL;
	}
	snprintf(table->name, sizeof(table->name), "%s", name);
	table->slot = slot;
	table->list.fd = -1;
	return table;
}

static void drop(struct pf_tables *t, struct pf_table *table)
{
	pf_delta_drop(t, table);
	pf_counts_close(t, table);
	clear_name(t, table->slot);
	pf_tablelist_drop(t, table);
	t->slot[table->slot] = NULL;
	t->ntables--;
	t->nentries -= table->entries;
	table_free(table);
}

/*
 * Slots are given out in turn: a packet may still be judged by rules that are no
 * longer in force, and must not find another table where theirs was.
 */
static uint32_t free_slot(const struct pf_tables *t)
{
	uint32_t slot = t->last_slot;

	for (uint32_t i = 1; i < PF_MAX_TABLES; i++) {
		slot = slot + 1 < PF_MAX_TABLES ? slot + 1 : 1; /* 0 is always empty */
		if (!t->slot[slot])
			return slot;
	}
	return 0;
}

int pf_table_new(struct pf_tables *t, const char *path, const char *name, struct pf_table **out,
		 struct pf_error_text *e)
{
	const struct pf_content nothing = {.n = {0}};
	struct pf_table *table;
	uint32_t slot = free_slot(t);
	int err;

	if (!slot)
		return pf_fail(e, -ENOSPC,
			       "no place for table " PF_TABLE_CALLED ": at most %d tables",
			       pf_table_called(path, name), PF_MAX_TABLES - 1);
	table = table_alloc(path, name, slot);
	if (!table)
		return pf_fail(e, -ENOMEM, "out of memory");
	table->refs = 1;
	/* the name last: where one stands, a pfd that takes over looks for the list */
	err = pf_tablelist_set(t, table, &nothing);
	if (!err)
		err = pf_table_record(t, table);
	if (err) {
		clear_name(t, slot);
		pf_tablelist_drop(t, table);
		table_free(table);
		return pf_fail(e, err, "cannot make table " PF_TABLE_CALLED ": %s",
			       pf_table_called(path, name), strerror(-err));
	}
	t->slot[slot] = table;
	t->last_slot = slot;
	t->ntables++;
	*out = table;
	return 0;
}

void pf_table_unref(struct pf_tables *t, struct pf_table *table)
{
	if (--table->refs == 0)
		drop(t, table);
}

void pf_tables_collect(struct pf_tables *t)
{
	for (uint32_t i = 1; i < PF_MAX_TABLES; i++)
		if (t->slot[i] && !t->slot[i]->refs)
			drop(t, t->slot[i]);
}

static int read_path(const struct pf_tables *t, uint32_t slot, const struct pf_table_name *name,
		     struct pf_table_anchor *out)
{
	int err = 0;

	memset(out, 0, sizeof(*out));
	if (name->flags & PF_TABLE_ANCHORED)
		err = bpf_map_lookup_elem(pf_datapath_map(t->dp, "pf_table_anchors"), &slot, out);
	return !err && (!memchr(out->path, '\0', sizeof(out->path)) ||
			!memchr(name->name, '\0', sizeof(name->name)))
		       ? -EPROTO
		       : err;
}

static int adopt_one(struct pf_tables *t, uint32_t slot, const struct pf_table_name *name)
{
	struct pf_table_anchor anchor;
	struct pf_table *table;
	int err = read_path(t, slot, name, &anchor);

	if (err)
		return err;
	table = table_alloc(anchor.path, name->name, slot);
	if (!table)
		return -ENOMEM;
	err = pf_tablelist_adopt(t, table);
	if (err) {
		pf_tablelist_close(table);
		table_free(table);
		return err;
	}
	table->entries = (uint32_t)(table->set[0].n + table->set[1].n);
	table->counts = name->counts;
	t->slot[slot] = table;
	t->last_slot = slot;
	t->ntables++;
	t->nentries += table->entries;
	return 0;
}

/* Lists of a pfd that was killed while it made or unmade them. */
static void remove_strays(const struct pf_tables *t)
{
	char path[512];
	struct dirent *d;
	DIR *dir;

	snprintf(path, sizeof(path), "%s/tables", t->dp->pin_dir);
	dir = opendir(path);
	while (dir && (d = readdir(dir))) {
		char *end;
		unsigned long slot = strtoul(d->d_name, &end, 10);

		if (d->d_name[0] != '.' && (*end || slot >= PF_MAX_TABLES || !t->slot[slot]))
			unlinkat(dirfd(dir), d->d_name, 0);
	}
	if (dir)
		closedir(dir);
}

int pf_tables_adopt(struct pf_tables *t, struct pf_error_text *e)
{
	int names = pf_datapath_map(t->dp, "pf_table_names");
	int paths = pf_datapath_map(t->dp, "pf_table_anchors"), err;

	for (uint32_t slot = 1; slot < PF_MAX_TABLES; slot++) {
		struct pf_table_name name;

		err = bpf_map_lookup_elem(names, &slot, &name);
		if (!err && (name.flags & PF_TABLE_USED)) {
			err = adopt_one(t, slot, &name);
		} else if (!err) {
			pf_tablestore_set(&t->store, slot, (struct pf_table_roots){.word = {0}});
			/* of a pfd that was killed while it made or unmade one */
			bpf_map_delete_elem(paths, &slot);
		}
		if (err)
			return pf_fail(e, err, "cannot take over the table in slot %u: %s", slot,
				       strerror(-err));
	}
	remove_strays(t);
	err = pf_tablestore_forget(&t->store);
	if (!err)
		err = pf_delta_adopt(t);
	if (!err)
		err = pf_counts_adopt(t);
	return err ? pf_fail(e, err, "cannot take over the tables: %s", strerror(-err)) : 0;
}

void pf_tables_close(struct pf_tables *t)
{
	for (uint32_t i = 1; i < PF_MAX_TABLES; i++) {
		if (!t->slot[i])
			continue;
		pf_tablelist_close(t->slot[i]);
		table_free(t->slot[i]);
		t->slot[i] = NULL;
	}
	pf_tablestore_close(&t->store);
	pf_tablerules_close(&t->rules);
}
