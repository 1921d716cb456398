/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A policy: the main ruleset and those of all anchors, and where anchor rules lead.
 * This is what is compiled.
 *
 * A set is one ruleset, the main one or an anchor's; each is here once, however
 * many rules call it.  Rules are numbered through all sets: a rule's index.
 */
#ifndef PF_COMPILER_POLICY_H
#define PF_COMPILER_POLICY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../grammar/rule.h"

/* Anchors that call each other deeper than that drop the packet, as in pf. */
#define PF_POLICY_DEPTH 64
#define PF_POLICY_NONE	UINT32_MAX

/* The rules of an anchor, from wherever they were loaded. */
struct pf_policy_source {
	const char *path; /* "a/b"; "" for the main ruleset */
	const struct pf_block *block;
};

struct pf_policy_sources {
	struct pf_policy_source *v;
	size_t n, capacity;
};

struct pf_policy_set {
	const char *path;
	const struct pf_block *block;
	uint32_t first; /* index of its first rule */
	uint32_t n;
};

/* What an anchor's rule calls: callees[first], n of them, in this order. */
struct pf_policy_call {
	uint32_t rule; /* index */
	uint32_t first, n;
};

/* In the place of a rule that another has replaced: of no set, and never met. */
extern const struct pf_rule pf_policy_dead;

struct pf_policy {
	struct pf_policy_set *sets; /* [0] is the main one; the others by path */
	size_t nsets;
	const struct pf_rule **rules;
	uint32_t *set_of; /* of each rule */
	uint32_t nrules;  /* dead ones as well */
	uint32_t ndead;
	struct pf_policy_call *calls; /* by rule, ascending */
	size_t ncalls;
	uint32_t *callees; /* sets */
	size_t ncallees;
	char **paths; /* of the sources that it was made of */
	size_t npaths;
};

/*
 * Appends the rulesets that a block holds in braces, and the block itself, under
 * the path where it is loaded.  Those without a name are called "_1" and so on.
 * The paths are allocated: pf_policy_sources_free().
 */
int pf_policy_collect(struct pf_policy_sources *to, const char *path, const struct pf_block *b);
void pf_policy_sources_free(struct pf_policy_sources *s);

/*
 * Makes the policy of these sources, which hold the main ruleset ("") and each path
 * at most once; the blocks must outlive it.  0 or -ENOMEM.
 */
int pf_policy_make(const struct pf_policy_sources *from, struct pf_policy **out);
/* That of a ruleset alone. */
int pf_policy_of(const struct pf_ruleset *rs, struct pf_policy **out);
void pf_policy_free(struct pf_policy *p);
void pf_policy_freep(struct pf_policy **p);
#define pf_policy_auto __attribute__((cleanup(pf_policy_freep))) struct pf_policy *

/* As strcmp(); in this order a path's own come right behind it. */
int pf_policy_compare_paths(const char *a, const char *b);

/*
 * `old` with another block for a set, neither with anchors' rules: its rules stand
 * behind all others, those of before are dead.  All others keep their places.  0 or
 * -ENOMEM.
 */
int pf_policy_replace(const struct pf_policy *old, uint32_t set, const struct pf_block *block,
		      struct pf_policy **out);

/* Can a packet come into the set once at most?  Then *callee is the only one that leads there. */
bool pf_policy_once(const struct pf_policy *p, uint32_t set, uint32_t *callee);

/* The set of that path, or PF_POLICY_NONE. */
uint32_t pf_policy_find(const struct pf_policy *p, const char *path);
/* What the rule calls; NULL if it is no anchor's. */
const struct pf_policy_call *pf_policy_call_of(const struct pf_policy *p, uint32_t rule);

#endif /* PF_COMPILER_POLICY_H */
