/* SPDX-License-Identifier: BSD-2-Clause */
/* The real programs, in a network namespace of their own, fed by BPF_PROG_TEST_RUN. */
#ifndef PF_SELFTESTS_MODEL_REAL_H
#define PF_SELFTESTS_MODEL_REAL_H

#include "../../loader/datapath.h"
#include "../../loader/egress.h"
#include "../../loader/generation.h"
#include "../../loader/patch.h"
#include "frame.h"
#include "gen.h"

#define REAL_NONE    UINT32_MAX /* no rule, the default one */
#define REAL_UNKNOWN (UINT32_MAX - 1)

struct real {
	struct pf_loop loop;
	struct pf_datapath dp;
	struct pf_netifs ifs;
	struct pf_egress egress; /* nobody follows it */
	struct pf_route_hop hop; /* its only one */
	struct pf_tables tables;
	uint64_t leaves; /* of struct pf_limiter, all of them */
	struct pf_generations gens;
	struct pf_generation *active;
	/* rulesets that took an anchor's place in what is loaded; those that translate */
	uint64_t patched, patched_nats;
	uint32_t *nr_of; /* by the policy's index: number as in the model */
	int ifindex[GEN_IFACES];
	uint8_t mac[GEN_IFACES][6];
	char pin_dir[128]; /* "": none has been made */
	int cpu, scratch;
	size_t scratch_size; /* of one CPU's */
	uint8_t *before, *after;
};

struct real_answer {
	enum model_verdict verdict;
	uint16_t icmp;
	uint32_t hop; /* MODEL_AWAY: number of the options that have the gateway */
	bool from_rules;
	/* numbers as in the model, or REAL_NONE */
	uint32_t rule, anchor;
	bool logged;
	uint32_t logged_rule; /* of the last record */
	uint32_t match[PF_MATCH_MOST];
	uint32_t nmatches;
	const char *tag;
	uint32_t draws;
	uint8_t sent[FRAME_MOST], left[FRAME_MOST]; /* frames */
	size_t nsent, nleft;
};

/* The caller's namespace is left; interfaces are made, and pin_dir, which must not be there. */
int real_open(struct real *r, const char *pin_dir, struct pf_error_text *e);
void real_close(struct real *r);

/* Puts a copy of rs in force, as the main ruleset ("") or at an anchor's path; in place if it can.
 */
int real_load(struct real *r, const char *path, const struct pf_ruleset *rs,
	      enum pf_emitter emitter, struct pf_error_text *e);
/* An entry of a table in or out; tables that no rule has are not there. */
int real_change(struct real *r, const char *table, const struct pf_table_entry *entry, bool add,
		struct pf_error_text *e);
/* Ends all states. */
void real_flush(struct real *r);
/* 0, or a negative errno. */
int real_run(struct real *r, const struct model_packet *p, struct real_answer *a);
/* Finds the model's rules among its own; those of rulesets that it does not have are UNKNOWN. */
int real_number(struct real *r, const struct model *m);
/* The rule of that id as the model numbers it. */
uint32_t real_rule(const struct real *r, uint32_t id);
/* Numbers of all rules, those of live states among them, in the policy's order; the caller frees
 * both. */
struct pf_rule_stats *real_stats(struct real *r, uint64_t **evaluations);
uint64_t real_logged(const struct real *r);

/* How many packets were judged for each reason. */
struct real_reasons {
	uint64_t n[PFRES_MAX];
};
struct real_reasons real_reasons(const struct real *r);

#endif /* PF_SELFTESTS_MODEL_REAL_H */
