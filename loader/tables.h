/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Address tables: slots of the datapath's array of tables.  A table belongs to the
 * generations that have it (see generation.h), and is gone with the last of them.
 *
 * What a table holds stands in a pinned list, which outlives pfd; packets are judged
 * by ranges made of it (see abi.h), which a pfd that takes over makes anew.  So the
 * list is written first, and a pfd that is killed in between has only done its work
 * by half, not left two truths.
 *
 * A slot's list, name and pin are made before any rules refer to it, and unmade
 * after none do any more.
 */
#ifndef PF_LOADER_TABLES_H
#define PF_LOADER_TABLES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../grammar/rule.h"
#include "../compiler/prefixes.h"
#include "../lib/proto.h"
#include "datapath.h"
#include "say.h"
#include "tablerules.h"
#include "tablestore.h"

#define PF_TABLE_ENTRIES_MOST	    (1U << 24) /* of one table; see pf.conf(5), LIMITS */

/* For messages. */
#define PF_TABLE_CALLED		    "<%s>%s%.200s"
#define pf_table_called(path, name) (name), *(path) ? "@" : "", (path)

struct pf_table {
	char name[PF_TABLE_NAME_SIZE];
	char *path; /* of its anchor; "" the main ruleset */
	uint32_t slot;
	uint32_t entries;
	uint32_t refs;	 /* generations */
	uint32_t counts; /* number of its counters, 0 none: see tablecounts.h */
	struct pf_entries list;
	uint32_t used;		   /* of the list: from here on none ever was */
	uint32_t hole;		   /* below that: 1 + the first that is free, 0 none */
	bool written;		   /* by the datapath: see tabledelta.h */
	bool quiet;		   /* ... which has not written since we last looked */
	struct pf_prefixes set[2]; /* IPv4, IPv6 */
};

struct pf_tables {
	const struct pf_datapath *dp;
	struct pf_tablestore store;
	struct pf_table *slot[PF_MAX_TABLES];
	uint32_t last_slot; /* that was given out */
	uint32_t last_counts;
	struct pf_tablerules rules;
	uint32_t limit_tables;
	uint32_t limit_entries;
	uint32_t ntables;
	uint64_t nentries; /* in all tables */
	uint32_t nwritten; /* tables that the datapath writes */
	int fold_error;	   /* of the last poll */
};

int pf_tables_open(struct pf_tables *t, const struct pf_datapath *dp, struct pf_error_text *err);
/* Takes over the tables of an earlier pfd, with no references yet. */
int pf_tables_adopt(struct pf_tables *t, struct pf_error_text *err);
void pf_tables_close(struct pf_tables *t);
/* Unmakes those that no generation has. */
void pf_tables_collect(struct pf_tables *t);

/* Makes an empty table with one reference. */
int pf_table_new(struct pf_tables *t, const char *path, const char *name, struct pf_table **out,
		 struct pf_error_text *err);
void pf_table_unref(struct pf_tables *t, struct pf_table *table);
/* Who it is, for a pfd that takes over. */
int pf_table_record(const struct pf_tables *t, const struct pf_table *table);

/*
 * Puts a definition's entries into a table that is not yet in use.  before: the one that
 * it replaces, or NULL; what is in both has its age from there.
 */
int pf_table_fill(struct pf_tables *t, struct pf_table *table, const struct pf_table *before,
		  const struct pf_table_entry *e, size_t n, struct pf_error_text *err);

/* What an operation has done. */
struct pf_table_result {
	uint32_t added, deleted, changed, matched, cleared;
	uint8_t *feedback; /* one enum pf_table_feedback an entry, or NULL */
	/*
	 * If asked for, malloced for the caller to free: of a test what decided, one an
	 * entry, af 0 if nothing did; of a replacement and of -T expire what was deleted.
	 */
	bool details;
	struct pf_wire_entry *entries;
	size_t nentries;
};

/*
 * What the datapath has added is put into the table first, so each of these sees and
 * changes that as well.
 *
 * Few in place, entry by entry: each packet sees each entry before or after; many in
 * one step.
 */
int pf_table_add(struct pf_tables *t, struct pf_table *table, const struct pf_wire_entry *e,
		 size_t n, bool dry, struct pf_table_result *r, struct pf_error_text *err);
int pf_table_delete(struct pf_tables *t, struct pf_table *table, const struct pf_wire_entry *e,
		    size_t n, bool dry, struct pf_table_result *r, struct pf_error_text *err);
int pf_table_test(struct pf_tables *t, const struct pf_table *table, const struct pf_wire_entry *e,
		  size_t n, struct pf_table_result *r, struct pf_error_text *err);
/* Those that were made, or last cleared, more than so many seconds ago. */
int pf_table_expire(struct pf_tables *t, struct pf_table *table, uint32_t seconds, bool dry,
		    struct pf_table_result *r, struct pf_error_text *err);
int pf_table_zero(struct pf_tables *t, struct pf_table *table, const struct pf_wire_entry *e,
		  size_t n, bool dry, struct pf_table_result *r, struct pf_error_text *err);
int pf_table_zero_all(struct pf_tables *t, struct pf_table *table, bool dry,
		      struct pf_table_result *r, struct pf_error_text *err);
/* In one step. */
int pf_table_replace(struct pf_tables *t, struct pf_table *table, const struct pf_wire_entry *e,
		     size_t n, bool dry, struct pf_table_result *r, struct pf_error_text *err);

/* All entries, malloced, for the caller to free. */
int pf_table_list(struct pf_tables *t, const struct pf_table *table, struct pf_wire_entry **out,
		  size_t *n, struct pf_error_text *err);

/* The same with what each has counted; and what the table has in whole. */
int pf_table_list_counters(struct pf_tables *t, const struct pf_table *table,
			   struct pf_wire_table_entry **out, size_t *n, struct pf_error_text *err);
void pf_table_counters(const struct pf_tables *t, const struct pf_table *table,
		       struct pf_wire_table_counts *out);

#endif /* PF_LOADER_TABLES_H */
