/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * From the rule model to what the kernel runs.  An emitter turns the rules into
 * a program; the loader gives it its maps and loads it.
 *
 * What every emitter keeps to: the program starts with struct pf_pkt filled in
 * scratch memory; it leaves there the information of the last matching rule (or
 * of the default one), the `match` rules that matched and the tag, and jumps to
 * PF_GEN_APPLY of its generation.
 */
#ifndef PF_COMPILER_H
#define PF_COMPILER_H

#include <linux/bpf.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "../bpf/abi.h"
#include "../grammar/rule.h"
#include "code_maps.h"
#include "policy.h"

enum pf_emitter {
	PF_EMITTER_AUTO,   /* whichever is faster for the ruleset */
	PF_EMITTER_LINEAR, /* A: straight bytecode in pf's order; only some hundred rules fit */
	PF_EMITTER_TREE,   /* B: rules as data, found through decision trees */
	PF_EMITTER_MAX,
};
extern const char *const pf_emitter_names[PF_EMITTER_MAX];

#define PF_IFACE_DIRECT 1024

struct pf_reloc {
	uint32_t insn; /* of a two-slot load of an immediate */
	enum pf_code_map map;
};

/* pf's skip steps: where to go on when a criterion does not match. */
enum pf_skip {
	PF_SKIP_IFP,
	PF_SKIP_DIR,
	PF_SKIP_RDOM,
	PF_SKIP_AF,
	PF_SKIP_PROTO,
	PF_SKIP_SRC_ADDR,
	PF_SKIP_DST_ADDR,
	PF_SKIP_SRC_PORT,
	PF_SKIP_DST_PORT,
	PF_SKIP_MAX,
};

struct pf_skips {
	uint32_t to[PF_SKIP_MAX]; /* the number of rules is the end */
};

/* A jump that leaves rules out, counted: evaluations are worked out from these. */
struct pf_edge {
	uint32_t from;
	uint32_t to; /* the number of rules: it ends there */
};

/* How much of each there is. */
struct pf_tree_counts {
	uint32_t rules, nats, nodes, entries, sets;
};

/* What emitter B makes: the content of the program's arrays. */
struct pf_tree {
	struct pf_tree_node *nodes;
	size_t nnodes, nodes_capacity;
	uint32_t *entries;
	size_t nentries, entries_capacity;
	struct pf_tree_rule *rules; /* nrules */
	struct pf_tree_set *sets;   /* of the policy */
	size_t nsets;		    /* in the kernel: those that have been replaced as well */
	struct pf_tree_counts most; /* that the kernel's arrays have room for */
	struct pf_tree_call *calls; /* of the policy */
	size_t ncalls;
	struct pf_tree_callee *callees;
	size_t ncallees;
	/* for people */
	size_t nleaves, longest, depth;
};

struct pf_compiled {
	enum pf_emitter emitter;
	/* A's */
	struct bpf_insn *insns;
	size_t ninsns;
	struct pf_reloc *relocs;
	size_t nrelocs;
	/* where functions begin: tables are looked up, and so on; 0: there is none */
	size_t in_table, translate, ask_limits, meter;
	size_t nrules; /* of the policy */
	/* of each step with A, of each rule with B; then the default rule, then failure */
	struct pf_rule_info *infos;
	size_t ninfos;
	struct pf_skips *skips; /* nrules; numbers in the rule's own ruleset */
	bool *reachable;	/* nrules: the others can never be evaluated */
	struct pf_edge *edges;	/* from step to step */
	size_t nedges;
	uint32_t *step_rules; /* nsteps: the rule of each; PF_POLICY_NONE: the end of an anchor */
	size_t nsteps;
	struct pf_tree tree; /* B's */
	struct pf_nat *nats; /* translations, in the order of their rules */
	uint32_t *nat_rules;
	size_t nnats;
	bool nat_moves;			/* some are of `match` rules: others see what they do */
	bool asks_sport;		/* some rules ask for source ports */
	char (*ifaces)[PF_IFNAME_SIZE]; /* bit i of an interface's mask: it is ifaces[i] */
	bool *iface_own;		/* ... and none of the other names that are so, too */
	size_t nifaces;
	double linear_ns, tree_ns; /* by pf_costs_of(), when the choice was free; else 0 */
	bool random;		   /* rules ask for probability, ... */
	bool received;		   /* ... where a packet came in, */
	bool metered;		   /* ... or how many there were */
};
#define PF_INFOS_EXTRA 2

/* What the compiler needs to know from its caller. */
struct pf_compile_env {
	/* Slot of the table that rules of a set mean by that name; negative errno if none. */
	int (*table_slot)(void *ctx, uint32_t set, const char *name);
	/* Number of a tag; negative errno if there is no room for more. */
	int (*tag_id)(void *ctx, const char *name);
	/*
	 * Number of the limits, timeouts and limiters of a rule, 0 if it has none; negative errno:
	 * -ENOSPC if there is no room for more.  Asked twice, it says the same.
	 */
	int (*opts_number)(void *ctx, uint32_t set, uint32_t rule_id, const struct pf_rule *r);
	void *ctx;
	const uint32_t *rule_ids; /* one for each rule */
	enum pf_emitter emitter;
};

struct pf_compile_error {
	uint32_t line; /* of the rule, 0 if it is the ruleset as a whole */
	char text[192];
};

/*
 * Compiles p.  0 and *out, which the caller frees; -E2BIG when the ruleset is
 * more than the emitter takes, -EINVAL when it names what is not there, both
 * with a message in *err; -ENOMEM.
 */
int pf_policy_compile(const struct pf_policy *p, const struct pf_compile_env *env,
		      struct pf_compiled **out, struct pf_compile_error *err);
/*
 * What the kernel's arrays need so that a set has other rules: these parts of
 * the tree and of the translations, and then, in one write, the callee that leads to the new set.
 */
struct pf_compiled_patch {
	struct pf_tree_counts from; /* what there was before */
	uint32_t policy_set;
	struct pf_tree_set set, was; /* in the kernel number from.sets */
	uint32_t callee;
};

/*
 * Adds what pf_policy_replace() has put into p for a set to *c, which was compiled
 * from what p replaces.  0; -EOPNOTSUPP if all has to be compiled; -ENOMEM; *c is
 * then as it was.
 */
int pf_policy_append(const struct pf_policy *p, uint32_t set, const struct pf_compile_env *env,
		     struct pf_compiled *c, struct pf_compiled_patch *out);
/* It is not wanted. */
void pf_compiled_undo(struct pf_compiled *c, const struct pf_compiled_patch *patch);

/* The policy of rs alone. */
int pf_ruleset_compile(const struct pf_ruleset *rs, const struct pf_compile_env *env,
		       struct pf_compiled **out, struct pf_compile_error *err);
void pf_compiled_free(struct pf_compiled *c);
void pf_compiled_freep(struct pf_compiled **c);
#define pf_compiled_auto __attribute__((cleanup(pf_compiled_freep))) struct pf_compiled *

/* What the kernel holds of a ruleset: a map, or the program. */
struct pf_describe_part {
	const char *name;
	uint64_t bytes;
};

struct pf_describe_table {
	const char *name;
	const char *path; /* of its anchor */
	size_t addresses;
};

/* What a description tells beside the rules and their code. */
struct pf_describe_env {
	enum pf_emitter asked; /* AUTO: none in particular */
	bool all;	       /* also steps and trees, and lists however long */
	const struct pf_describe_part *parts;
	size_t nparts;
	/* The table that rules of a set mean by that name. */
	struct pf_describe_table (*table)(void *ctx, uint32_t set, const char *name);
	void *ctx;
};

/* Writes how p was lowered to c, in words; 0 or -ENOMEM.  Whether all was written f knows. */
int pf_compiled_describe(FILE *f, const struct pf_policy *p, const struct pf_compiled *c,
			 const struct pf_describe_env *env);

/* Number of u64 in the PF_CODE_EVALS value; with emitter B, in those of struct pf_evals. */
size_t pf_compiled_nevals(const struct pf_compiled *c);

/* evals summed over the CPUs -> how often each of the nrules rules was evaluated; or -ENOMEM. */
int pf_compiled_evaluations(const struct pf_compiled *c, const uint64_t *evals, uint64_t *out);

/* "i", "d", ... as pfctl -vv prints them. */
extern const char *const pf_skip_names[PF_SKIP_MAX];

/* Do two rules say the same in that criterion? */
bool pf_skip_agrees(enum pf_skip what, const struct pf_rule *a, const struct pf_rule *b);

/* skips[0 .. l->n - 1] */
void pf_skips_compute(const struct pf_rule_list *l, struct pf_skips *skips);

/* For emitters: room for n infos and the two behind them; and what a rule's says. */
int pf_infos_new(struct pf_compiled *c, size_t n);
struct pf_rule_info pf_rule_info_of(const struct pf_policy *p, const struct pf_compile_env *env,
				    const struct pf_compiled *c, uint32_t rule);
/* 1 + index of a rule's translation in c->nats; 0: it has none. */
uint32_t pf_nat_of(const struct pf_compiled *c, uint32_t rule);
/* Number of a tag that a rule names; or a negative errno, with a message. */
int pf_compile_tag(const struct pf_compile_env *env, const char *name, const struct pf_rule *r,
		   struct pf_compile_error *err);
/* A rule's limiters: PF_LIMITS_*. */
uint32_t pf_limits_of(const struct pf_rule *r);
/* Bit of an interface that a rule names; -ENOENT. */
int pf_iface_bit(const struct pf_compiled *c, const char *name);

#endif /* PF_COMPILER_H */
