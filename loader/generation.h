/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A generation: one ruleset as it runs.  It is made completely, with its own
 * maps and program, pinned below PINDIR/gen/ID, and then put in force by one
 * write; so a packet is judged by one generation as a whole.
 */
#ifndef PF_LOADER_GENERATION_H
#define PF_LOADER_GENERATION_H

#include <stdbool.h>
#include <stdint.h>

#include "../compiler/compiler.h"
#include "../grammar/rule.h"
#include "anchors.h"
#include "bindings.h"
#include "datapath.h"
#include "labels.h"
#include "netif.h"
#include "optsets.h"
#include "program.h"
#include "rulestats.h"
#include "say.h"
#include "tables.h"
#include "tags.h"

/* From ids to rules: of id first + i it is rules[i], ~0 none. */
struct pf_id_index {
	uint32_t *rules;
	uint32_t first, n;
};

/* A patch of its record: see record.h. */
struct pf_patch_pin {
	char *path; /* the anchor's */
	uint32_t number;
};

struct pf_generation {
	uint32_t id;
	struct pf_anchors anchors;
	struct pf_ruleset *rs; /* what was loaded with the main ruleset: one of `anchors` */
	struct pf_policy *policy;
	struct pf_compiled *code;
	uint32_t *rule_ids; /* policy->nrules */
	struct pf_id_index index;
	struct pf_binding *bindings; /* by name and path */
	size_t nbindings;
	struct pf_table_use *uses; /* by name and set */
	size_t nuses;
	struct pf_program program;
	int bound, model;
	struct pf_patch_pin *patches;
	size_t npatches;
	/* what the counters were when they were last cleared */
	struct pf_rule_stats *base;
	uint64_t *base_evals;
	/* set keepcounters; NULL: nothing is kept */
	uint32_t *kept;	      /* the rules of the generation before that go on here */
	uint64_t *kept_evals; /* their evaluations until then */
};

/* What makes and keeps generations. */
struct pf_generations {
	const struct pf_datapath *dp;
	struct pf_tables *tables;
	const struct pf_netifs *ifs;
	struct pf_rulestats stats;
	struct pf_labels labels;
	struct pf_hops hops;
	struct pf_optsets opts;
	struct pf_meters meters;
	struct pf_tags tags;
	uint32_t next_id;
	enum pf_emitter emitter; /* of those that are made */
};

/* g->emitter is the caller's. */
int pf_generations_open(struct pf_generations *g, const struct pf_datapath *dp,
			struct pf_tables *tables, const struct pf_netifs *ifs,
			struct pf_error_text *err);
void pf_generations_close(struct pf_generations *g);

/*
 * Makes a generation of rs, loaded at an anchor's path or as the main ruleset (""),
 * which it then owns, also on failure.  `old`, which may be NULL, is the one in force:
 * other rulesets, and tables that rs does not fill, are its.
 * Nothing that is in force changes.
 */
int pf_generation_make(struct pf_generations *g, const char *path, struct pf_ruleset *rs,
		       const struct pf_generation *old, struct pf_generation **out,
		       struct pf_error_text *err);
/* The same rulesets once more, and all that has been counted: rules of it mean other tables. */
int pf_generation_remake(struct pf_generations *g, const struct pf_generation *old,
			 struct pf_generation **out, struct pf_error_text *err);

/*
 * Takes over the one that is in force; -ENOENT if there is none.  One that was patched is
 * made anew, with another number, and put in force.
 */
int pf_generation_adopt(struct pf_generations *g, struct pf_generation **out,
			struct pf_error_text *err);
/* Takes over a pinned one by its number, which changes if it was patched. */
int pf_generation_open(struct pf_generations *g, uint32_t id, struct pf_generation **out,
		       struct pf_error_text *err);

/* Puts it in force. */
int pf_generation_switch(const struct pf_generations *g, const struct pf_generation *gen,
			 struct pf_error_text *err);

/* It is in force instead of `old`: what its rules keep of that one's counters. */
void pf_generation_carry(struct pf_generations *g, struct pf_generation *gen,
			 const struct pf_generation *old);

/* Takes its pins, tables and rule ids away: it is not in force, nor will be. */
void pf_generation_destroy(struct pf_generations *g, struct pf_generation *gen);
/* Only lets go of it; pins stay. */
void pf_generation_release(struct pf_generation *gen);
/* Removes the pins of all generations but these, NULL allowed. */
void pf_generations_clean(const struct pf_generations *g, const struct pf_generation *a,
			  const struct pf_generation *b);

/* Keeps what has changed in its ruleset: what its code does not depend on. */
int pf_generation_record(const struct pf_generations *g, struct pf_generation *gen,
			 struct pf_error_text *err);

/* "PINDIR/gen/ID" */
void pf_generation_dir(const struct pf_generations *g, uint32_t id, char *buf, size_t size);
/* The policy of its anchors; 0 or -ENOMEM. */
int pf_generation_take_policy(struct pf_generation *gen);
/* out->rules is for free(); 0 or -ENOMEM. */
int pf_id_index_make(const struct pf_policy *p, const uint32_t *ids, struct pf_id_index *out);
/* Numbers of tags and tables for the compiler; gen is asked later. */
struct pf_compile_ctx {
	struct pf_generations *g;
	const struct pf_generation *gen;
};
struct pf_compile_env pf_generation_env(struct pf_compile_ctx *ctx, const uint32_t *rule_ids,
					enum pf_emitter emitter);

/* Index, in the policy, of the rule that has this id; ~0 if none of them does. */
uint32_t pf_generation_rule(const struct pf_generation *gen, uint32_t id);
/* Its number as its own ruleset numbers it; ~0 likewise. */
uint32_t pf_generation_number(const struct pf_generation *gen, uint32_t id);

/*
 * The ids of all rules that have this label: of these generations, NULL allowed, and of
 * those that are gone.  PF_MAX_RULE_IDS for free(), or NULL: no memory.
 */
uint8_t *pf_generations_labelled(const struct pf_generations *g, const struct pf_generation *a,
				 const struct pf_generation *b, const char *label);

/* Counters of all its rules as they stand in the kernel, live states not counted. */
int pf_generation_stats(const struct pf_generations *g, const struct pf_generation *gen,
			struct pf_rule_stats *stats, uint64_t *evaluations);

#endif /* PF_LOADER_GENERATION_H */
