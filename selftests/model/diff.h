/* SPDX-License-Identifier: BSD-2-Clause */
/* What the parts of diff share: a test, and what came of it. */
#ifndef PF_SELFTESTS_MODEL_DIFF_H
#define PF_SELFTESTS_MODEL_DIFF_H

#include <signal.h>

#include "real.h"

struct packets {
	struct model_packet *v;
	struct gen_change *change; /* in front of each */
	bool *off;
	size_t n;
};

struct test {
	struct gen_ruleset rules;
	struct packets packets;
	enum pf_emitter emitter;
	int optimize;	  /* enum pf_optimize: what the real one's rules have been through */
	uint64_t weights; /* seed of what PROFILE is told */
};

static inline bool is_optimized(const struct test *t)
{
	return t->optimize != PF_OPTIMIZE_NONE;
}

enum outcome { SAME, DIFFERENT, NOT_LOADED };

/* How packets were judged. */
struct tally {
	uint64_t judged, by_rule, by_state, by_match, by_anchor, tagged, drew, translated, routed,
		no_place, limited, sources, offended;
	uint64_t established, refused; /* of TCP connections that are open both ways */
};

struct result {
	enum outcome outcome;
	size_t packet; /* that was judged differently, or the number of packets */
	struct tally tally;
	char text[2048];
};

struct result run_test(const struct test *t, struct real *real);

/* --- compare.c --- */

/* Have both made the same of a packet? */
bool compare_packet(const struct test *t, const struct model *m, const struct model_answer *want,
		    const struct real *real, const struct real_answer *got);
void compare_tell(char *buf, size_t size, const struct model *m, const struct model_answer *want,
		  const struct real *real, const struct real_answer *got);
/* And what is left at the end?  false: r->text says what is not. */
bool compare_states(const struct test *t, const struct real *real, const struct model *m,
		    struct result *r);
bool compare_reasons(const struct real_reasons *before, const struct real_reasons *after,
		     const uint64_t want[MODEL_REASONS], struct result *r);
bool compare_counts(struct real *real, const struct model *m, struct result *r);

/* --- shrink.c --- */

/* Takes out of the test what the disagreement does not need; what is said of the rest. */
struct result shrink(struct test *t, struct real *real, const struct result *first);

/* --- diff.c --- */

extern volatile sig_atomic_t stopped; /* how often we were told to */
double now(void);

#endif /* PF_SELFTESTS_MODEL_DIFF_H */
