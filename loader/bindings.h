/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The tables that a generation has: of the main ruleset and of each anchor, by the
 * anchor's path and the name.
 *
 * A rule means the table of its own ruleset if that is active, and else the main
 * ruleset's, never that of an anchor above it.  What is not active is not there, but
 * for the main ruleset's that rules name: these hold nothing, and have a place all the
 * same, as more rules may mean them than are at hand.
 */
#ifndef PF_LOADER_BINDINGS_H
#define PF_LOADER_BINDINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../grammar/rule.h"
#include "say.h"
#include "tables.h"

struct pf_generation;
struct pf_generations;
struct pf_policy;

/* A table as a generation has it. */
struct pf_binding {
	struct pf_table *table;
	bool persist;
	bool constant;
	bool counters;
	bool active;	 /* or empty, and not there for any but the rules */
	bool referenced; /* by a rule of its own ruleset */
	bool anchored;	 /* the main ruleset's: anchors' rules mean it */
	bool leaves;	 /* the next generation is not to have it */
};

/* By what name rules of a ruleset call a table, and which one that is. */
struct pf_table_use {
	const char *name;
	uint32_t set; /* of the policy */
	uint32_t slot;
};

/* The names of the tables that a rule names; returns how many. */
#define PF_TABLES_OF_RULE 3
size_t pf_tables_of_rule(const struct pf_rule *r, const char *names[PF_TABLES_OF_RULE]);

/*
 * Those of a generation whose policy stands: tables of the rulesets that come with it,
 * tables that rules name, and persistent ones of `old`, which may be NULL.
 */
int pf_bindings_make(struct pf_generations *g, struct pf_generation *gen,
		     const struct pf_generation *old, struct pf_error_text *err);
/* Which table of which slot it has, for a pfd that takes over; and that taken over. */
int pf_bindings_pin(const struct pf_generations *g, struct pf_generation *gen,
		    struct pf_error_text *err);
int pf_bindings_read(struct pf_generations *g, struct pf_generation *gen);
void pf_bindings_free(struct pf_generation *gen);

/* The slot of the table that rules of a set mean by the name; -ENOENT. */
int pf_generation_slot(const struct pf_generation *gen, uint32_t set, const char *name);
/*
 * Notes which tables that count rules name, by their ids: rules `first' to first + n of the
 * policy, which is gen->policy or about to be.  Nothing that is in force counts less.
 */
int pf_bindings_count(const struct pf_generations *g, const struct pf_generation *gen,
		      const struct pf_policy *policy, const uint32_t *ids, uint32_t first,
		      uint32_t n, struct pf_error_text *err);
/* The generation is in force: rules of before whose tables count no more. */
void pf_bindings_uncount(const struct pf_generations *g, const struct pf_generation *gen);
/* Do rules of the anchor at this path, or of the main ruleset, name such a table? */
bool pf_generation_names(const struct pf_generation *gen, const char *path, const char *name);

/* The generation's table of that path and name, or NULL; it holds until one comes or goes. */
struct pf_binding *pf_generation_table(const struct pf_generation *gen, const char *path,
				       const char *name);
/* Is it the main ruleset's, and does an anchor have or mean one of its name? */
bool pf_generation_anchored(const struct pf_generation *gen, const struct pf_binding *b);
/*
 * Adds one, with the caller's reference unless it fails: active, persistent, and meant by
 * no rule.  It is kept for a pfd that takes over if `kept`: else it is for a generation
 * that comes next.
 */
int pf_generation_bind(struct pf_generation *gen, struct pf_table *table, bool kept);
/* Takes one out, and its reference. */
void pf_generation_unbind(struct pf_generations *g, struct pf_generation *gen,
			  struct pf_binding *b);
/* Inactive, for the rules need it, or there again, as if it was made by hand: persistent. */
void pf_generation_activate(const struct pf_generation *gen, struct pf_binding *b, bool on);

#endif /* PF_LOADER_BINDINGS_H */
