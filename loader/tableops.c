// SPDX-License-Identifier: BSD-2-Clause
/* What can be done to the content of a table: requests, and what becomes of each entry. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "loop.h"
#include "tablecounts.h"
#include "tabledelta.h"
#include "tablelist.h"

/*
 * That many entries at once, and a part of the table that is not small, and it is
 * made anew in one step: that takes less time than one after the other.
 */
#define MANY	  256
#define MANY_PART 32

/* Are there too many, once the table has so many more, or `less` of it have gone? */
static int check_room(const struct pf_tables *t, const struct pf_table *table, size_t more,
		      size_t less, struct pf_error_text *e)
{
	if (more && t->nentries - less + more > t->limit_entries)
		return pf_fail(e, -ENOSPC,
			       "table entries would be more than the limit of %u "
			       "(set limit table-entries)",
			       t->limit_entries);
	if (more && table->entries - less + more > PF_TABLE_ENTRIES_MOST)
		return pf_fail(e, -ENOSPC,
			       "table " PF_TABLE_CALLED " would have more than %u entries",
			       pf_table_called(table->path, table->name), PF_TABLE_ENTRIES_MOST);
	return 0;
}

static void counted(struct pf_tables *t, struct pf_table *table, int64_t change)
{
	table->entries = (uint32_t)(table->entries + change);
	t->nentries = (uint64_t)((int64_t)t->nentries + change);
}

static int failed(const struct pf_table *table, int rc, struct pf_error_text *err)
{
	if (rc == -EDQUOT)
		return pf_counts_full(table, err);
	return pf_fail(err, rc, "table " PF_TABLE_CALLED ": %s",
		       pf_table_called(table->path, table->name), strerror(-rc));
}

static void feed(struct pf_table_result *r, const struct pf_prefix_key *k, enum pf_table_feedback f)
{
	if (r->feedback)
		r->feedback[k->at] = (uint8_t)f;
	r->added += f == PF_FEEDBACK_ADDED;
	r->deleted += f == PF_FEEDBACK_DELETED;
	r->changed += f == PF_FEEDBACK_CHANGED;
	r->cleared += f == PF_FEEDBACK_CLEARED;
}

/* The clock of pf_table_item.since. */
static uint32_t seconds_now(void)
{
	return (uint32_t)pf_boot_seconds();
}

static uint32_t age_of(const struct pf_table_item *item, uint32_t now)
{
	return now > item->since ? now - item->since : 0;
}

/* --- requests in order --- */

static struct pf_wire_entry wire_of(int f, const struct pf_prefix *p)
{
	struct pf_wire_entry e = {.af = pf_content_af(f), .bits = p->bits, .neg = p->neg};
	struct pf_addr addr = pf_prefix_addr(p, e.af);

	memcpy(e.addr, &addr, sizeof(e.addr));
	return e;
}

static int sorted(struct pf_content *c)
{
	int err = pf_prefix_sort(c->key[0], c->n[0]);

	return err ? err : pf_prefix_sort(c->key[1], c->n[1]);
}

static struct pf_prefix_key request_key(int f, const void *addr, uint8_t bits, bool neg, size_t at)
{
	struct pf_prefix_key k = pf_prefix_key_of(pf_content_af(f), addr, bits, neg, (uint32_t)at);

	k.since = seconds_now();
	return k;
}

/* What came twice stands beside each other then, in the order in which it came. */
static int sort_request(const struct pf_wire_entry *e, size_t n, struct pf_content *out)
{
	size_t n6 = 0;
	int err;

	for (size_t i = 0; i < n; i++)
		n6 += e[i].af == PF_FAMILY_INET6;
	err = pf_content_alloc(out, n - n6, n6);
	for (size_t i = 0; i < n && !err; i++) {
		int f = e[i].af == PF_FAMILY_INET6;

		out->key[f][out->n[f]++] = request_key(f, e[i].addr, e[i].bits, e[i].neg, i);
	}
	return err ? err : sorted(out);
}

/* As every operation on entries begins: the table is up to date, the entries are in order. */
static int take_request(struct pf_tables *t, const struct pf_table *table,
			const struct pf_wire_entry *e, size_t n, struct pf_content *out,
			struct pf_error_text *err)
{
	int rc = pf_tables_fold(t, err);

	if (rc)
		return rc;
	rc = sort_request(e, n, out);
	return rc ? failed(table, rc, err) : 0;
}

/* Entries of one prefix, and what the table has there. */
struct group {
	struct pf_prefix_key *key;
	size_t n;
	const struct pf_prefix *have; /* NULL: nothing */
	struct pf_table_item *item;   /* its */
};

/* Says what becomes of each of them; true: the first of the array is to be kept, for it is done. */
typedef bool group_fn(const struct group *g, struct pf_table_result *r);

/* Leaves those in *c that something is to be done about. */
static void each_group(const struct pf_table *table, struct pf_content *c, group_fn *fn,
		       struct pf_table_result *r)
{
	for (int f = 0; f < 2; f++) {
		size_t kept = 0, next;

		for (size_t i = 0; i < c->n[f]; i = next) {
			struct pf_prefix want = pf_prefix_of_key(&c->key[f][i]), have;
			struct pf_prefix_place at;
			struct group g = {.key = &c->key[f][i]};
			bool exact;

			for (next = i + 1; next < c->n[f]; next++)
				if (!pf_prefix_same(&c->key[f][i], &c->key[f][next]))
					break;
			g.n = next - i;
			at = pf_prefixes_find(&table->set[f], &want, &exact);
			if (exact) {
				have = pf_prefixes_get(&table->set[f], at);
				g.have = &have;
				g.item = pf_tablelist_item(table, f, at);
			}
			if (fn(&g, r))
				c->key[f][kept++] = c->key[f][i];
		}
		c->n[f] = kept;
	}
}

static bool many(const struct pf_table *table, const struct pf_content *c)
{
	size_t n = pf_content_size(c);

	return n >= MANY && n >= table->entries / MANY_PART;
}

/* --- add --- */

static bool add_group(const struct group *g, struct pf_table_result *r)
{
	for (size_t i = 0; i < g->n; i++) {
		enum pf_table_feedback f = PF_FEEDBACK_DUPLICATE;

		if (g->have)
			f = g->have->neg == g->key[i].neg ? PF_FEEDBACK_NONE : PF_FEEDBACK_CONFLICT;
		else if (i == 0)
			f = PF_FEEDBACK_ADDED;
		feed(r, &g->key[i], f);
	}
	return !g->have;
}

static int replace_by(struct pf_tables *t, struct pf_table *table, const struct pf_content *add,
		      const struct pf_content *without)
{
	pf_content_auto c = {.n = {0}};
	int rc = pf_content_of(table, add, without, &c);

	if (!rc)
		rc = pf_tablelist_set(t, table, &c);
	if (!rc)
		counted(t, table, (int64_t)pf_content_size(&c) - table->entries);
	return rc;
}

/* All, or none. */
static int add_each(struct pf_tables *t, struct pf_table *table, const struct pf_content *c)
{
	size_t done[2] = {0};
	int rc = 0;

	for (int f = 0; f < 2 && !rc; f++)
		for (size_t i = 0; i < c->n[f] && !rc; i++) {
			rc = pf_tablelist_add(t, table, f, &c->key[f][i]);
			done[f] += !rc;
		}
	for (int f = 0; f < 2 && rc; f++)
		for (size_t i = 0; i < done[f]; i++) {
			struct pf_prefix p = pf_prefix_of_key(&c->key[f][i]);

			pf_tablelist_delete(t, table, f, &p);
		}
	if (!rc)
		counted(t, table, (int64_t)pf_content_size(c));
	return rc;
}

static int add(struct pf_tables *t, struct pf_table *table, const struct pf_content *c)
{
	return many(table, c) ? replace_by(t, table, c, NULL) : add_each(t, table, c);
}

int pf_table_add(struct pf_tables *t, struct pf_table *table, const struct pf_wire_entry *e,
		 size_t n, bool dry, struct pf_table_result *r, struct pf_error_text *err)
{
	pf_content_auto c = {.n = {0}};
	int rc = take_request(t, table, e, n, &c, err);

	if (rc)
		return rc;
	each_group(table, &c, add_group, r);
	rc = check_room(t, table, pf_content_size(&c), 0, err);
	if (rc || dry)
		return rc;
	rc = add(t, table, &c);
	return rc ? failed(table, rc, err) : 0;
}

static int sort_nets(const struct pf_delta_net *h, size_t n, struct pf_content *out)
{
	int rc = pf_content_alloc(out, n, n);

	for (size_t i = 0; i < n && !rc; i++) {
		int f = h[i].net.af == PF_AF_INET6;
		struct pf_prefix_key *k = &out->key[f][out->n[f]++];

		*k = request_key(f, &h[i].net.addr, h[i].net.bits, false, i);
		k->since = h[i].since;
	}
	return rc ? rc : sorted(out);
}

/* Leaves those in *out that something is to be done about. */
static int take_nets(const struct pf_table *table, const struct pf_delta_net *h, size_t n,
		     group_fn *fn, struct pf_content *out)
{
	struct pf_table_result ignored = {0};
	int rc = sort_nets(h, n, out);

	if (!rc)
		each_group(table, out, fn, &ignored);
	return rc;
}

int pf_table_let_in(struct pf_tables *t, struct pf_table *table, const struct pf_delta_net *h,
		    size_t n)
{
	pf_content_auto c = {.n = {0}};
	int rc = take_nets(table, h, n, add_group, &c);

	return rc || !pf_content_size(&c) ? rc : add(t, table, &c);
}

/* --- delete --- */

static bool delete_group(const struct group *g, struct pf_table_result *r)
{
	bool gone = false;

	for (size_t i = 0; i < g->n; i++) {
		enum pf_table_feedback f = PF_FEEDBACK_NONE;

		if (g->have && g->have->neg != g->key[i].neg)
			f = PF_FEEDBACK_CONFLICT;
		else if (g->have)
			f = gone ? PF_FEEDBACK_DUPLICATE : PF_FEEDBACK_DELETED;
		gone |= f == PF_FEEDBACK_DELETED;
		feed(r, &g->key[i], f);
	}
	return gone;
}

static int delete_each(struct pf_tables *t, struct pf_table *table, const struct pf_content *c)
{
	int rc = 0;

	for (int f = 0; f < 2 && !rc; f++)
		for (size_t i = 0; i < c->n[f] && !rc; i++) {
			struct pf_prefix p = pf_prefix_of_key(&c->key[f][i]);

			rc = pf_tablelist_delete(t, table, f, &p);
			if (!rc)
				counted(t, table, -1);
		}
	return rc;
}

static int take_out(struct pf_tables *t, struct pf_table *table, const struct pf_content *c)
{
	return many(table, c) ? replace_by(t, table, NULL, c) : delete_each(t, table, c);
}

int pf_table_delete(struct pf_tables *t, struct pf_table *table, const struct pf_wire_entry *e,
		    size_t n, bool dry, struct pf_table_result *r, struct pf_error_text *err)
{
	pf_content_auto c = {.n = {0}};
	int rc = take_request(t, table, e, n, &c, err);

	if (rc)
		return rc;
	each_group(table, &c, delete_group, r);
	if (dry)
		return 0;
	rc = take_out(t, table, &c);
	return rc ? failed(table, rc, err) : 0;
}

int pf_table_let_out(struct pf_tables *t, struct pf_table *table, const struct pf_delta_net *h,
		     size_t n)
{
	pf_content_auto c = {.n = {0}};
	int rc = take_nets(table, h, n, delete_group, &c);

	return rc || !pf_content_size(&c) ? rc : take_out(t, table, &c);
}

/* --- expire --- */

/* Those that are older. */
static int collect_old(const struct pf_table *table, uint32_t seconds, struct pf_content *out)
{
	uint32_t now = seconds_now();
	int err = pf_content_alloc(out, table->set[0].n, table->set[1].n);

	for (int f = 0; f < 2 && !err; f++) {
		const struct pf_prefixes *set = &table->set[f];
		struct pf_prefix_place at = pf_prefixes_first();

		for (; !pf_prefixes_end(set, at); pf_prefixes_next(set, &at))
			if (age_of(pf_tablelist_item(table, f, at), now) > seconds)
				out->key[f][out->n[f]++] = pf_tablelist_key(table, f, at);
	}
	return err;
}

/* For the caller, if it has asked. */
static int tell(const struct pf_content *c, struct pf_table_result *r)
{
	if (!r->details)
		return 0;
	r->entries = calloc(pf_content_size(c) + 1, sizeof(*r->entries));
	if (!r->entries)
		return -ENOMEM;
	for (int f = 0; f < 2; f++)
		for (size_t i = 0; i < c->n[f]; i++) {
			struct pf_prefix p = pf_prefix_of_key(&c->key[f][i]);

			r->entries[r->nentries++] = wire_of(f, &p);
		}
	return 0;
}

int pf_table_expire(struct pf_tables *t, struct pf_table *table, uint32_t seconds, bool dry,
		    struct pf_table_result *r, struct pf_error_text *err)
{
	pf_content_auto c = {.n = {0}};
	int rc = pf_tables_fold(t, err);

	if (rc)
		return rc;
	rc = collect_old(table, seconds, &c);
	if (!rc)
		rc = tell(&c, r);
	if (!rc && !dry)
		rc = take_out(t, table, &c);
	r->deleted = (uint32_t)pf_content_size(&c);
	return rc ? failed(table, rc, err) : 0;
}

/* --- zero --- */

static bool find_group(const struct group *g, struct pf_table_result *r)
{
	for (size_t i = 0; i < g->n; i++)
		feed(r, &g->key[i], g->have ? PF_FEEDBACK_CLEARED : PF_FEEDBACK_NONE);
	return false;
}

static bool clear_group(const struct group *g, struct pf_table_result *r)
{
	if (g->have)
		g->item->since = g->key[0].since;
	find_group(g, r);
	return g->have;
}

int pf_table_zero(struct pf_tables *t, struct pf_table *table, const struct pf_wire_entry *e,
		  size_t n, bool dry, struct pf_table_result *r, struct pf_error_text *err)
{
	pf_content_auto c = {.n = {0}};
	int rc = take_request(t, table, e, n, &c, err);

	if (rc)
		return rc;
	each_group(table, &c, dry ? find_group : clear_group, r);
	for (int f = 0; f < 2; f++)
		for (size_t i = 0; i < c.n[f]; i++) {
			struct pf_prefix p = pf_prefix_of_key(&c.key[f][i]);

			pf_counts_zero(t, table, f, &p);
		}
	return 0;
}

int pf_table_zero_all(struct pf_tables *t, struct pf_table *table, bool dry,
		      struct pf_table_result *r, struct pf_error_text *err)
{
	int rc = pf_tables_fold(t, err);

	if (rc)
		return rc;
	for (uint32_t i = 0; i < table->used && !dry; i++)
		table->list.item[i].since = seconds_now();
	if (!dry)
		pf_counts_zero_all(t, table);
	r->cleared = table->entries;
	return 0;
}

/* --- test --- */

int pf_table_test(struct pf_tables *t, const struct pf_table *table, const struct pf_wire_entry *e,
		  size_t n, struct pf_table_result *r, struct pf_error_text *err)
{
	int rc = pf_tables_fold(t, err);

	if (rc)
		return rc;
	if (r->details) {
		r->entries = calloc(n + 1, sizeof(*r->entries));
		if (!r->entries)
			return pf_fail(err, -ENOMEM, "out of memory");
		r->nentries = n;
	}
	for (size_t i = 0; i < n; i++) {
		int f = e[i].af == PF_FAMILY_INET6;
		struct pf_prefix_key k = pf_prefix_key_of(pf_content_af(f), e[i].addr, e[i].bits,
							  false, (uint32_t)i);
		struct pf_prefix p = pf_prefix_of_key(&k), found;

		if (!pf_prefixes_cover(&table->set[f], p.addr, p.bits, &found))
			continue;
		feed(r, &k, found.neg ? PF_FEEDBACK_NOMATCH : PF_FEEDBACK_MATCH);
		r->matched += !found.neg;
		if (r->details)
			r->entries[i] = wire_of(f, &found);
	}
	return 0;
}

/* --- replace --- */

static bool replace_group(const struct group *g, struct pf_table_result *r)
{
	for (size_t i = 0; i < g->n; i++) {
		enum pf_table_feedback f = PF_FEEDBACK_NONE;

		if (i)
			f = PF_FEEDBACK_DUPLICATE;
		else if (!g->have)
			f = PF_FEEDBACK_ADDED;
		else if (g->have->neg != g->key[0].neg)
			f = PF_FEEDBACK_CHANGED;
		feed(r, &g->key[i], f);
	}
	/* one that stays as it is does so since then */
	if (g->have && g->have->neg == g->key[0].neg)
		g->key[0].since = g->item->since;
	return true;
}

static bool is_before(const struct pf_prefix *a, const struct pf_prefix *b)
{
	return a->addr < b->addr || (a->addr == b->addr && a->bits < b->bits);
}

/* Those that are not in the replacement. */
static int deleted(const struct pf_table *table, const struct pf_content *c,
		   struct pf_table_result *r)
{
	r->entries = calloc(r->deleted + 1U, sizeof(*r->entries));
	if (!r->entries)
		return -ENOMEM;
	for (int f = 0; f < 2; f++) {
		const struct pf_prefixes *set = &table->set[f];
		struct pf_prefix_place at = pf_prefixes_first();
		size_t i = 0;

		/* in order, both */
		for (; !pf_prefixes_end(set, at); pf_prefixes_next(set, &at)) {
			struct pf_prefix old = pf_prefixes_get(set, at), next = old;

			for (; i < c->n[f]; i++) {
				next = pf_prefix_of_key(&c->key[f][i]);
				if (!is_before(&next, &old))
					break;
			}
			if (i == c->n[f] || is_before(&old, &next))
				r->entries[r->nentries++] = wire_of(f, &old);
		}
	}
	return 0;
}

int pf_table_replace(struct pf_tables *t, struct pf_table *table, const struct pf_wire_entry *e,
		     size_t n, bool dry, struct pf_table_result *r, struct pf_error_text *err)
{
	pf_content_auto c = {.n = {0}};
	int rc = take_request(t, table, e, n, &c, err);
	size_t count;

	if (rc)
		return rc;
	each_group(table, &c, replace_group, r);
	count = pf_content_size(&c);
	rc = check_room(t, table, count, table->entries, err);
	if (rc)
		return rc;
	/* what is not new was there before; all else of the old ones goes */
	r->deleted = (uint32_t)(table->entries - (count - r->added));
	rc = r->details ? deleted(table, &c, r) : 0;
	if (!rc && !dry)
		rc = pf_tablelist_set(t, table, &c);
	if (rc)
		return failed(table, rc, err);
	if (!dry)
		counted(t, table, (int64_t)count - table->entries);
	return 0;
}

/* --- a definition, a list --- */

int pf_table_fill(struct pf_tables *t, struct pf_table *table, const struct pf_table *before,
		  const struct pf_table_entry *e, size_t n, struct pf_error_text *err)
{
	struct pf_table_result ignored = {0};
	pf_content_auto c = {.n = {0}};
	int rc = pf_content_alloc(&c, n, n);

	for (size_t i = 0; i < n && !rc; i++) {
		int f = e[i].af == PF_FAMILY_INET6;

		c.key[f][c.n[f]++] = request_key(f, e[i].ip.b, e[i].bits, e[i].neg, i);
	}
	if (!rc)
		rc = sorted(&c);
	if (rc)
		return failed(table, rc, err);
	/* the first of each counts, as in pf */
	each_group(before ? before : table, &c, replace_group, &ignored);
	rc = check_room(t, table, pf_content_size(&c), 0, err);
	if (rc)
		return rc;
	rc = pf_tablelist_set(t, table, &c);
	if (rc)
		return failed(table, rc, err);
	counted(t, table, (int64_t)pf_content_size(&c));
	return 0;
}

/* What is shown of an entry goes to *out. */
typedef void show_fn(const struct pf_tables *t, const struct pf_table *table, int f,
		     struct pf_prefix_place at, void *out);

static void show_entry(const struct pf_tables *t, const struct pf_table *table, int f,
		       struct pf_prefix_place at, void *out)
{
	struct pf_prefix p = pf_prefixes_get(&table->set[f], at);
	struct pf_wire_entry *e = out;

	(void)t;
	*e = wire_of(f, &p);
	e->age = age_of(pf_tablelist_item(table, f, at), seconds_now());
}

/* Of all, so many bytes each; malloced. */
static int list_all(struct pf_tables *t, const struct pf_table *table, size_t size, show_fn *show,
		    void **out, size_t *n, struct pf_error_text *err)
{
	int rc = pf_tables_fold(t, err);
	char *list = rc ? NULL : calloc(table->entries + 1U, size);

	if (rc)
		return rc;
	if (!list)
		return failed(table, -ENOMEM, err);
	*n = 0;
	for (int f = 0; f < 2; f++) {
		const struct pf_prefixes *set = &table->set[f];
		struct pf_prefix_place at = pf_prefixes_first();

		for (; !pf_prefixes_end(set, at); pf_prefixes_next(set, &at))
			show(t, table, f, at, list + (*n)++ * size);
	}
	*out = list;
	return 0;
}

int pf_table_list(struct pf_tables *t, const struct pf_table *table, struct pf_wire_entry **out,
		  size_t *n, struct pf_error_text *err)
{
	void *list = NULL;
	int rc = list_all(t, table, sizeof(**out), show_entry, &list, n, err);

	if (!rc)
		*out = list;
	return rc;
}

/* --- counters --- */

_Static_assert((int)PF_WIRE_TABLE_OPS == (int)PF_TABLE_OPS &&
		       sizeof(struct pf_wire_table_counts) ==
			       2 * PF_TABLE_COUNTERS_EACH * sizeof(uint64_t),
	       "as the datapath has them");

static struct pf_wire_table_counts wire_counts(const struct pf_table_count *c)
{
	struct pf_wire_table_counts w;

	memcpy(w.packets, c->packets, sizeof(w.packets));
	memcpy(w.bytes, c->bytes, sizeof(w.bytes));
	return w;
}

static void show_counters(const struct pf_tables *t, const struct pf_table *table, int f,
			  struct pf_prefix_place at, void *out)
{
	struct pf_prefix p = pf_prefixes_get(&table->set[f], at);
	struct pf_wire_table_entry *e = out;
	struct pf_table_count c;

	show_entry(t, table, f, at, &e->entry);
	pf_counts_read(t, table, f, &p, &c);
	e->counts = wire_counts(&c);
}

int pf_table_list_counters(struct pf_tables *t, const struct pf_table *table,
			   struct pf_wire_table_entry **out, size_t *n, struct pf_error_text *err)
{
	void *list = NULL;
	int rc = list_all(t, table, sizeof(**out), show_counters, &list, n, err);

	if (!rc)
		*out = list;
	return rc;
}

void pf_table_counters(const struct pf_tables *t, const struct pf_table *table,
		       struct pf_wire_table_counts *out)
{
	struct pf_table_count c;

	pf_counts_read(t, table, 0, NULL, &c);
	*out = wire_counts(&c);
}
