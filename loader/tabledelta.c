// SPDX-License-Identifier: BSD-2-Clause
#include "tabledelta.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tablelist.h"
#include "tablenots.h"

static int map_of(const struct pf_tables *t)
{
	return pf_datapath_map(t->dp, "pf_table_delta");
}

static struct pf_table_roots *roots(const struct pf_tables *t, const struct pf_table *table)
{
	return &t->store.roots[table->slot];
}

static uint32_t state(const struct pf_tables *t, const struct pf_table *table)
{
	return __atomic_load_n(&roots(t, table)->delta, __ATOMIC_ACQUIRE);
}

static void allow(const struct pf_tables *t, const struct pf_table *table,
		  enum pf_table_writes writes)
{
	__atomic_store_n(&roots(t, table)->writes, writes, __ATOMIC_SEQ_CST);
}

/* --- reading it --- */

static int by_slot(const void *a, const void *b)
{
	const struct pf_delta_net *x = a, *y = b;

	return (x->net.slot > y->net.slot) - (x->net.slot < y->net.slot);
}

static void free_nets(struct pf_delta_net **h)
{
	free(*h);
}

/* All there are, by slot; for the caller to free.  Keys that come meanwhile may be among them. */
static int read_nets(const struct pf_tables *t, struct pf_delta_net **out, size_t *n)
{
	struct pf_delta_net *h = calloc(PF_DELTA_MOST, sizeof(*h));
	int err = h ? 0 : -ENOMEM;
	size_t at = 0;

	while (!err && at < PF_DELTA_MOST) {
		err = bpf_map_get_next_key(map_of(t), at ? &h[at - 1].net : NULL, &h[at].net);
		/* only pfd takes one out */
		if (!err)
			err = bpf_map_lookup_elem(map_of(t), &h[at].net, &h[at].since) ? -EIO : 0;
		at += !err;
	}
	if (err && err != -ENOENT) {
		free(h);
		return err;
	}
	qsort(h, at, sizeof(*h), by_slot);
	*out = h;
	*n = at;
	return 0;
}

static void purge(const struct pf_tables *t, uint32_t slot)
{
	struct pf_table_net key, next;
	int err = bpf_map_get_next_key(map_of(t), NULL, &next);

	while (!err) {
		key = next;
		err = bpf_map_get_next_key(map_of(t), &key, &next);
		if (key.slot == slot)
			bpf_map_delete_elem(map_of(t), &key);
	}
}

/* --- folding --- */

static int let_in(struct pf_tables *t, const struct pf_delta_net *h, size_t n)
{
	struct pf_table *table = h->net.slot < PF_MAX_TABLES ? t->slot[h->net.slot] : NULL;

	if (!table) /* of a pfd that was killed while it unmade it */
		return 0;
	table->quiet = false;
	return pf_table_let_in(t, table, h, n);
}

/*
 * Packets that looked at the ranges before an address was there must find it in the
 * delta still, so the RCU period comes in between.  Each table for itself: those that
 * have found no memory stay.
 */
static int fold(struct pf_tables *t)
{
	struct pf_delta_net *h __attribute__((cleanup(free_nets))) = NULL;
	size_t n, next, done = 0;
	int failed = 0, err = read_nets(t, &h, &n);

	if (err)
		return err;
	for (size_t i = 0; i < n; i = next) {
		for (next = i + 1; next < n; next++)
			if (h[next].net.slot != h[i].net.slot)
				break;
		err = let_in(t, &h[i], next - i);
		if (err) {
			failed = err;
			continue;
		}
		memmove(&h[done], &h[i], (next - i) * sizeof(*h));
		done += next - i;
	}
	err = done ? pf_tablestore_wait(&t->store) : 0;
	for (size_t i = 0; i < done && !err; i++)
		bpf_map_delete_elem(map_of(t), &h[i].net);
	return failed ? failed : err;
}

/* What is written from here on is told anew.  Is there anything?  *quiet: any that was not. */
static bool begin(struct pf_tables *t, bool *quiet)
{
	bool any = false;

	*quiet = false;
	for (uint32_t i = 1; i < PF_MAX_TABLES; i++) {
		struct pf_table *table = t->slot[i];

		if (!table || state(t, table) == PF_DELTA_NONE)
			continue;
		any = true;
		table->quiet = __atomic_exchange_n(&roots(t, table)->delta, PF_DELTA_CLOSING,
						   __ATOMIC_SEQ_CST) == PF_DELTA_CLOSING;
		*quiet |= table->quiet;
	}
	return any;
}

/* Nothing was there, and nobody has said since that there is. */
static void end(struct pf_tables *t)
{
	for (uint32_t i = 1; i < PF_MAX_TABLES; i++) {
		struct pf_table *table = t->slot[i];
		uint32_t was = PF_DELTA_CLOSING;

		if (table && table->quiet)
			__atomic_compare_exchange_n(&roots(t, table)->delta, &was, PF_DELTA_NONE,
						    false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
		if (table)
			table->quiet = false;
	}
}

int pf_tables_fold(struct pf_tables *t, struct pf_error_text *e)
{
	bool quiet;
	int err = begin(t, &quiet) ? fold(t) : 0;

	return err ? pf_fail(e, err, "cannot take in the addresses that the datapath has added: %s",
			     strerror(-err))
		   : 0;
}

int pf_tables_settle(struct pf_tables *t, struct pf_error_text *e)
{
	int err = pf_tablestore_wait(&t->store);

	return err ? pf_fail(e, err, "tables: %s", strerror(-err)) : pf_tables_fold(t, e);
}

int pf_tables_let_out(struct pf_tables *t, struct pf_delta_net *h, size_t n)
{
	int failed = 0, err;

	if (n)
		qsort(h, n, sizeof(*h), by_slot);
	for (size_t i = 0, next; i < n; i = next) {
		const uint32_t slot = h[i].net.slot;
		struct pf_table *table = slot < PF_MAX_TABLES ? t->slot[slot] : NULL;

		for (next = i + 1; next < n; next++)
			if (h[next].net.slot != slot)
				break;
		err = table ? pf_table_let_out(t, table, &h[i], next - i) : 0;
		failed = err ? err : failed;
	}
	return failed;
}

/* Has it room for more?  Said when that changes. */
static void check_room(const struct pf_tables *t, const struct pf_table *table)
{
	bool all = t->nentries >= t->limit_entries;
	bool full = all || table->entries >= PF_TABLE_ENTRIES_MOST;
	enum pf_table_writes now = full ? PF_TABLE_FULL : PF_TABLE_OPEN;

	if (!table->written || roots(t, table)->writes == now)
		return;
	allow(t, table, now);
	if (full)
		pf_say(LOG_ERR,
		       "table " PF_TABLE_CALLED ": the datapath can add no more addresses: the "
		       "limit of %u%s is reached",
		       pf_table_called(table->path, table->name),
		       all ? t->limit_entries : PF_TABLE_ENTRIES_MOST,
		       all ? " for all tables (set limit table-entries)" : "");
	else
		pf_say(LOG_NOTICE,
		       "table " PF_TABLE_CALLED ": the datapath can add addresses again",
		       pf_table_called(table->path, table->name));
}

void pf_tables_poll(struct pf_tables *t)
{
	bool quiet;
	int err = 0;

	if (begin(t, &quiet)) {
		/* who had told it before is over, and what he wrote is there */
		err = quiet ? pf_tablestore_wait(&t->store) : 0;
		if (!err)
			err = fold(t);
		if (!err)
			end(t);
	}
	/* once, not ten times a second */
	if (err && err != t->fold_error)
		pf_say(LOG_ERR,
		       "cannot take in the addresses that the datapath has added to tables: %s: "
		       "they "
		       "are in force, and wait",
		       strerror(-err));
	t->fold_error = err;
	for (uint32_t i = 1; i < PF_MAX_TABLES; i++)
		if (t->slot[i])
			check_room(t, t->slot[i]);
}

/* --- who is written --- */

static int open_table(struct pf_tables *t, struct pf_table *table)
{
	int err = pf_nots_add_all(t, table->slot, table->set);

	if (err) {
		pf_nots_remove_all(t, table->slot, table->set, NULL);
		return err;
	}
	purge(t, table->slot);
	memset(roots(t, table)->nets, 0, sizeof(roots(t, table)->nets));
	table->written = true;
	t->nwritten++;
	allow(t, table, PF_TABLE_OPEN);
	return 0;
}

/* Nobody adds any more, and all look-ups that are to come find all in the ranges. */
static void closed(struct pf_tables *t, struct pf_table *table)
{
	__atomic_store_n(&roots(t, table)->delta, PF_DELTA_NONE, __ATOMIC_SEQ_CST);
	pf_nots_remove_all(t, table->slot, table->set, NULL);
	table->written = false;
	t->nwritten--;
}

static int close_table(struct pf_tables *t, struct pf_table *table)
{
	uint32_t before = roots(t, table)->writes;
	bool quiet;
	int err;

	allow(t, table, PF_TABLE_SHUT);
	err = pf_tablestore_wait(&t->store);
	if (!err && begin(t, &quiet))
		err = fold(t);
	if (err)
		allow(t, table, before);
	else
		closed(t, table);
	return err;
}

int pf_table_set_written(struct pf_tables *t, struct pf_table *table, bool on,
			 struct pf_error_text *e)
{
	int err;

	if (table->written == on)
		return 0;
	err = on ? open_table(t, table) : close_table(t, table);
	return err ? pf_fail(e, err, "table " PF_TABLE_CALLED " cannot be %s to the datapath: %s",
			     pf_table_called(table->path, table->name), on ? "opened" : "closed",
			     strerror(-err))
		   : 0;
}

/*
 * States outlive the rules that named the table: their offenders go nowhere from now on.
 * Nor do sources of limiters.  `slot` 0: so it is with all tables that are not there.
 */
static void forget_if(const struct pf_tables *t, uint32_t slot, uint32_t *of)
{
	uint32_t is = *of;

	if (is && (slot ? is == slot : is >= PF_MAX_TABLES || !t->slot[is]))
		__atomic_store_n(of, 0, __ATOMIC_RELAXED);
}

static void forget_overload(const struct pf_tables *t, uint32_t slot)
{
	for (uint32_t i = 1; i < PF_MAX_OPT_SETS; i++)
		forget_if(t, slot, &t->dp->opt_sets[i].overload);
	for (uint32_t i = PF_SOURCE_LIMITERS; i < PF_LIMITERS; i++)
		forget_if(t, slot, &t->dp->limiters[i].table);
}

void pf_delta_drop(struct pf_tables *t, struct pf_table *table)
{
	int err;

	if (!table->written)
		return;
	forget_overload(t, table->slot);
	allow(t, table, PF_TABLE_SHUT);
	err = pf_tablestore_wait(&t->store);
	if (err)
		pf_say(LOG_ERR, "table " PF_TABLE_CALLED ": %s",
		       pf_table_called(table->path, table->name), strerror(-err));
	purge(t, table->slot);
	closed(t, table);
}

int pf_delta_adopt(struct pf_tables *t)
{
	int err = 0;

	for (uint32_t i = 1; i < PF_MAX_TABLES; i++) {
		struct pf_table_roots *r = &t->store.roots[i];

		if (t->slot[i]) {
			/* one that was being closed is, by who wants it closed */
			t->slot[i]->written = r->writes != PF_TABLE_SHUT || r->delta;
			t->nwritten += t->slot[i]->written;
		} else {
			r->writes = PF_TABLE_SHUT;
			r->delta = PF_DELTA_NONE;
		}
	}
	forget_overload(t, 0);
	pf_nots_clean(t);
	for (uint32_t i = 1; i < PF_MAX_TABLES && !err; i++)
		if (t->slot[i] && t->slot[i]->written)
			err = pf_nots_add_all(t, i, t->slot[i]->set);
	/* also what is of no table */
	return err ? err : fold(t);
}
