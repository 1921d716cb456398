// SPDX-License-Identifier: BSD-2-Clause
#include "tables.h"

#include <arpa/inet.h>
#include <assert.h>
#include <bpf/bpf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "btf.h"

/* Of one map; the real limit is ours, and can change. */
#define MAP_ENTRIES_MOST (1U << 24)

static_assert(PF_TABLE_NAME_SIZE == sizeof(((struct pf_table_name *)0)->name), "table names");

/* --- keys --- */

static struct pf_table_key key_of(const struct pf_wire_entry *e)
{
	struct pf_table_key k = {.prefixlen = 32U + e->bits, .af = htonl(e->af)};

	memcpy(&k.addr, e->addr, sizeof(k.addr));
	return k;
}

static struct pf_table_value value_of(const struct pf_wire_entry *e)
{
	return (struct pf_table_value){.flags = e->neg ? PF_TABLE_ENTRY_NOT : 0,
				       .prefixlen = 32U + e->bits};
}

static struct pf_wire_entry entry_of(const struct pf_table_key *k, const struct pf_table_value *v)
{
	struct pf_wire_entry e = {.af = (uint8_t)ntohl(k->af),
				  .bits = (uint8_t)(k->prefixlen - 32),
				  .neg = v->flags & PF_TABLE_ENTRY_NOT};

	memcpy(e.addr, &k->addr, sizeof(e.addr));
	return e;
}

/* The entry with exactly this prefix: 1 and *v, or 0. */
static int exact(int fd, const struct pf_wire_entry *e, struct pf_table_value *v)
{
	struct pf_table_key k = key_of(e);

	/* a look-up finds what covers the prefix */
	return bpf_map_lookup_elem(fd, &k, v) == 0 && v->prefixlen == k.prefixlen;
}

static int put(int fd, const struct pf_wire_entry *e)
{
	struct pf_table_key k = key_of(e);
	struct pf_table_value v = value_of(e);

	return bpf_map_update_elem(fd, &k, &v, BPF_ANY);
}

/* --- slots --- */

void pf_tables_init(struct pf_tables *t, const struct pf_datapath *dp)
{
	memset(t, 0, sizeof(*t));
	t->dp = dp;
	t->limit_tables = 1000;
	t->limit_entries = 200000;
}

static void pin_path(const struct pf_tables *t, uint32_t slot, char *buf, size_t size)
{
	snprintf(buf, size, "%s/tables/%u", t->dp->pin_dir, slot);
}

static int set_name(const struct pf_tables *t, uint32_t slot, const char *name)
{
	struct pf_table_name n = {.flags = *name ? PF_TABLE_USED : 0};

	snprintf(n.name, sizeof(n.name), "%s", name);
	return bpf_map_update_elem(pf_datapath_map(t->dp, "pf_table_names"), &slot, &n, BPF_ANY);
}

static int new_map(const struct pf_tables *t)
{
	LIBBPF_OPTS(bpf_map_create_opts, opts, .map_flags = BPF_F_NO_PREALLOC);

	pf_btf_map_types(t->dp, "pf_table_key", "pf_table_value", &opts);
	return bpf_map_create(BPF_MAP_TYPE_LPM_TRIE, "pf_table", sizeof(struct pf_table_key),
			      sizeof(struct pf_table_value), MAP_ENTRIES_MOST, &opts);
}

/* Puts the table's map into its slot, pinned so that it can be found again. */
static int publish(struct pf_tables *t, const struct pf_table *table)
{
	char path[512];
	int err;

	pin_path(t, table->slot, path, sizeof(path));
	unlink(path);
	err = bpf_obj_pin(table->fd, path);
	if (!err)
		err = bpf_map_update_elem(pf_datapath_map(t->dp, "pf_tables"), &table->slot,
					  &table->fd, BPF_ANY);
	return err;
}

static void unpublish(struct pf_tables *t, const struct pf_table *table)
{
	char path[512];

	bpf_map_delete_elem(pf_datapath_map(t->dp, "pf_tables"), &table->slot);
	set_name(t, table->slot, "");
	pin_path(t, table->slot, path, sizeof(path));
	unlink(path);
}

static void drop(struct pf_tables *t, struct pf_table *table)
{
	unpublish(t, table);
	t->slot[table->slot] = NULL;
	t->ntables--;
	t->nentries -= table->entries;
	close(table->fd);
	free(table);
}

int pf_table_new(struct pf_tables *t, const char *name, struct pf_table **out,
		 struct pf_error_text *e)
{
	struct pf_table *table;
	uint32_t slot = 1; /* 0 is always empty */
	int err;

	while (slot < PF_MAX_TABLES && t->slot[slot])
		slot++;
	if (slot == PF_MAX_TABLES)
		return pf_fail(e, -ENOSPC, "no place for table <%s>: at most %d tables", name,
			       PF_MAX_TABLES - 1);
	table = calloc(1, sizeof(*table));
	if (!table)
		return pf_fail(e, -ENOMEM, "out of memory");
	snprintf(table->name, sizeof(table->name), "%s", name);
	table->slot = slot;
	table->refs = 1;
	table->fd = new_map(t);
	err = table->fd < 0 ? table->fd : set_name(t, slot, name);
	if (!err)
		err = publish(t, table);
	if (err) {
		if (table->fd >= 0)
			close(table->fd);
		free(table);
		set_name(t, slot, "");
		return pf_fail(e, err, "cannot make table <%s>: %s", name, strerror(-err));
	}
	t->slot[slot] = table;
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

static int adopt_one(struct pf_tables *t, uint32_t slot, const struct pf_table_name *name)
{
	struct pf_table *table = calloc(1, sizeof(*table));
	struct pf_wire_entry *entries;
	char path[512];
	size_t n;
	int err;

	if (!table)
		return -ENOMEM;
	snprintf(table->name, sizeof(table->name), "%s", name->name);
	table->slot = slot;
	pin_path(t, slot, path, sizeof(path));
	table->fd = bpf_obj_get(path);
	if (table->fd < 0) {
		err = table->fd;
		free(table);
		return err;
	}
	err = pf_table_list(table, &entries, &n);
	if (!err)
		free(entries);
	table->entries = err ? 0 : (uint32_t)n;
	t->slot[slot] = table;
	t->ntables++;
	t->nentries += table->entries;
	return 0;
}

int pf_tables_adopt(struct pf_tables *t, struct pf_error_text *e)
{
	int names = pf_datapath_map(t->dp, "pf_table_names");

	for (uint32_t slot = 1; slot < PF_MAX_TABLES; slot++) {
		struct pf_table_name name;
		int err = bpf_map_lookup_elem(names, &slot, &name);

		if (!err && (name.flags & PF_TABLE_USED))
			err = adopt_one(t, slot, &name);
		if (err)
			return pf_fail(e, err, "cannot take over the table in slot %u: %s", slot,
				       strerror(-err));
	}
	return 0;
}

void pf_tables_close(struct pf_tables *t)
{
	for (uint32_t i = 1; i < PF_MAX_TABLES; i++) {
		if (!t->slot[i])
			continue;
		close(t->slot[i]->fd);
		free(t->slot[i]);
		t->slot[i] = NULL;
	}
}

/* --- content --- */

static int full(const struct pf_tables *t, struct pf_error_text *e)
{
	return pf_fail(e, -ENOSPC,
		       "table entries would be more than the limit of %u "
		       "(set limit table-entries)",
		       t->limit_entries);
}

static void counted(struct pf_tables *t, struct pf_table *table, int64_t change)
{
	table->entries = (uint32_t)(table->entries + change);
	t->nentries = (uint64_t)((int64_t)t->nentries + change);
}

int pf_table_fill(struct pf_tables *t, struct pf_table *table, const struct pf_table_entry *e,
		  size_t n, struct pf_error_text *err)
{
	for (size_t i = 0; i < n; i++) {
		struct pf_wire_entry w = {.af = e[i].af, .bits = e[i].bits, .neg = e[i].neg};
		struct pf_table_value old;
		int r;

		memcpy(w.addr, e[i].ip.b, sizeof(w.addr));
		if (exact(table->fd, &w, &old))
			continue; /* the first one counts, as in pf */
		if (t->nentries >= t->limit_entries)
			return full(t, err);
		r = put(table->fd, &w);
		if (r)
			return pf_fail(err, r, "table <%s>: %s", table->name, strerror(-r));
		counted(t, table, 1);
	}
	return 0;
}

static void feed(struct pf_table_result *r, size_t i, enum pf_table_feedback f)
{
	if (r->feedback)
		r->feedback[i] = (uint8_t)f;
}

static bool negated(const struct pf_table_value *v)
{
	return v->flags & PF_TABLE_ENTRY_NOT;
}

static int map_failed(int rc, struct pf_error_text *err)
{
	return pf_fail(err, rc, "cannot make a map: %s", strerror(-rc));
}

static int table_failed(const struct pf_table *table, int rc, struct pf_error_text *err)
{
	return pf_fail(err, rc, "table <%s>: %s", table->name, strerror(-rc));
}

/* One entry: what became of it.  In `seen` are those of the same request that were done. */
typedef int one_fn(struct pf_tables *t, struct pf_table *table, const struct pf_wire_entry *e,
		   int seen, bool dry, struct pf_error_text *err);

static one_fn add_one;

/* Takes out again those of the first n entries that were added. */
static void undo_adding(struct pf_tables *t, struct pf_table *table, const struct pf_wire_entry *e,
			size_t n, int seen)
{
	for (size_t i = 0; i < n; i++) {
		struct pf_table_key k = key_of(&e[i]);
		struct pf_table_value v;

		if (exact(seen, &e[i], &v) && bpf_map_delete_elem(table->fd, &k) == 0)
			counted(t, table, -1);
	}
}

static int each(struct pf_tables *t, struct pf_table *table, const struct pf_wire_entry *e,
		size_t n, bool dry, one_fn *one, struct pf_table_result *r,
		struct pf_error_text *err)
{
	int seen = new_map(t), f = 0;
	size_t i;

	if (seen < 0)
		return map_failed(seen, err);
	for (i = 0; i < n; i++) {
		f = one(t, table, &e[i], seen, dry, err);
		if (f < 0)
			break;
		feed(r, i, (enum pf_table_feedback)f);
		r->added += f == PF_FEEDBACK_ADDED;
		r->deleted += f == PF_FEEDBACK_DELETED;
	}
	if (f < 0 && one == add_one && !dry)
		undo_adding(t, table, e, i, seen);
	close(seen);
	return f < 0 ? f : 0;
}

static int add_one(struct pf_tables *t, struct pf_table *table, const struct pf_wire_entry *e,
		   int seen, bool dry, struct pf_error_text *err)
{
	struct pf_table_value old;
	int rc;

	if (exact(seen, e, &old))
		return PF_FEEDBACK_DUPLICATE;
	if (exact(table->fd, e, &old))
		return negated(&old) == !!e->neg ? PF_FEEDBACK_NONE : PF_FEEDBACK_CONFLICT;
	if (t->nentries >= t->limit_entries)
		return full(t, err);
	rc = put(seen, e);
	if (!rc && !dry)
		rc = put(table->fd, e);
	if (rc)
		return table_failed(table, rc, err);
	if (!dry)
		counted(t, table, 1);
	return PF_FEEDBACK_ADDED;
}

static int delete_one(struct pf_tables *t, struct pf_table *table, const struct pf_wire_entry *e,
		      int seen, bool dry, struct pf_error_text *err)
{
	struct pf_table_key k = key_of(e);
	struct pf_table_value old;
	bool again = exact(seen, e, &old);
	int rc;

	if (!again && !exact(table->fd, e, &old))
		return PF_FEEDBACK_NONE;
	if (negated(&old) != !!e->neg)
		return PF_FEEDBACK_CONFLICT;
	if (again)
		return PF_FEEDBACK_DUPLICATE;
	rc = put(seen, e);
	if (!rc && !dry)
		rc = bpf_map_delete_elem(table->fd, &k);
	if (rc)
		return table_failed(table, rc, err);
	if (!dry)
		counted(t, table, -1);
	return PF_FEEDBACK_DELETED;
}

int pf_table_add(struct pf_tables *t, struct pf_table *table, const struct pf_wire_entry *e,
		 size_t n, bool dry, struct pf_table_result *r, struct pf_error_text *err)
{
	return each(t, table, e, n, dry, add_one, r, err);
}

int pf_table_delete(struct pf_tables *t, struct pf_table *table, const struct pf_wire_entry *e,
		    size_t n, bool dry, struct pf_table_result *r, struct pf_error_text *err)
{
	return each(t, table, e, n, dry, delete_one, r, err);
}

/* The entry that a look-up of an address has found. */
static struct pf_wire_entry found(struct pf_table_key k, const struct pf_table_value *v)
{
	struct pf_wire_entry e;
	struct pf_ip ip;

	k.prefixlen = v->prefixlen;
	e = entry_of(&k, v);
	memcpy(ip.b, e.addr, sizeof(ip.b));
	pf_ip_mask(&ip, e.bits);
	memcpy(e.addr, ip.b, sizeof(e.addr));
	return e;
}

int pf_table_test(const struct pf_table *table, const struct pf_wire_entry *e, size_t n,
		  struct pf_table_result *r, struct pf_error_text *err)
{
	if (r->details) {
		r->entries = calloc(n + 1, sizeof(*r->entries));
		if (!r->entries)
			return pf_fail(err, -ENOMEM, "out of memory");
		r->nentries = n;
	}
	for (size_t i = 0; i < n; i++) {
		struct pf_table_key k = key_of(&e[i]);
		struct pf_table_value v;

		if (bpf_map_lookup_elem(table->fd, &k, &v))
			continue;
		feed(r, i, negated(&v) ? PF_FEEDBACK_NOMATCH : PF_FEEDBACK_MATCH);
		r->matched += !negated(&v);
		if (r->details)
			r->entries[i] = found(k, &v);
	}
	return 0;
}

/* A map with these entries, and what is different in it from the table's. */
static int replacement(struct pf_tables *t, struct pf_table *table, const struct pf_wire_entry *e,
		       size_t n, struct pf_table_result *r, uint32_t *count,
		       struct pf_error_text *err)
{
	int fd = new_map(t), rc;

	if (fd < 0)
		return map_failed(fd, err);
	*count = 0;
	for (size_t i = 0; i < n; i++) {
		struct pf_table_value old;

		if (exact(fd, &e[i], &old)) {
			feed(r, i, PF_FEEDBACK_DUPLICATE);
			continue;
		}
		if (t->nentries - table->entries + *count >= t->limit_entries) {
			close(fd);
			return full(t, err);
		}
		rc = put(fd, &e[i]);
		if (rc) {
			close(fd);
			return table_failed(table, rc, err);
		}
		(*count)++;
		if (!exact(table->fd, &e[i], &old)) {
			feed(r, i, PF_FEEDBACK_ADDED);
			r->added++;
		} else if (negated(&old) != !!e[i].neg) {
			feed(r, i, PF_FEEDBACK_CHANGED);
			r->changed++;
		} else {
			feed(r, i, PF_FEEDBACK_NONE);
		}
	}
	/* what is not new was there before; all else of the old ones goes */
	r->deleted = table->entries - (*count - r->added);
	return fd;
}

/* Those that are not in the replacement. */
static int deleted(const struct pf_table *table, int replacement_fd, struct pf_table_result *r,
		   struct pf_error_text *err)
{
	struct pf_table_value v;
	size_t n;
	int rc = pf_table_list(table, &r->entries, &n);

	if (rc)
		return table_failed(table, rc, err);
	for (size_t i = 0; i < n; i++)
		if (!exact(replacement_fd, &r->entries[i], &v))
			r->entries[r->nentries++] = r->entries[i];
	return 0;
}

int pf_table_replace(struct pf_tables *t, struct pf_table *table, const struct pf_wire_entry *e,
		     size_t n, bool dry, struct pf_table_result *r, struct pf_error_text *err)
{
	uint32_t count = 0;
	int fd = replacement(t, table, e, n, r, &count, err), old = table->fd, rc;

	if (fd < 0)
		return fd;
	rc = r->details ? deleted(table, fd, r, err) : 0;
	if (rc || dry) {
		close(fd);
		return rc;
	}
	table->fd = fd;
	rc = publish(t, table);
	if (rc) {
		table->fd = old;
		close(fd);
		return table_failed(table, rc, err);
	}
	close(old);
	counted(t, table, (int64_t)count - table->entries);
	return 0;
}

int pf_table_list(const struct pf_table *table, struct pf_wire_entry **out, size_t *n)
{
	struct pf_wire_entry *list = NULL;
	struct pf_table_key key, *prev = NULL;
	size_t count = 0, capacity = 0;

	while (bpf_map_get_next_key(table->fd, prev, &key) == 0) {
		struct pf_table_value v;

		prev = &key;
		if (bpf_map_lookup_elem(table->fd, &key, &v) || v.prefixlen != key.prefixlen)
			continue; /* deleted meanwhile */
		if (count == capacity) {
			struct pf_wire_entry *more;

			capacity = capacity ? capacity * 2 : 64;
			more = reallocarray(list, capacity, sizeof(*more));
			if (!more) {
				free(list);
				return -ENOMEM;
			}
			list = more;
		}
		list[count++] = entry_of(&key, &v);
	}
	*out = list;
	*n = count;
	return 0;
}
