/* SPDX-License-Identifier: BSD-2-Clause */
/* What the unit tests share: cmocka, parsing in one step, seeds. */
#ifndef PF_SELFTESTS_UNIT_H
#define PF_SELFTESTS_UNIT_H

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "../../grammar/parse.h"
#include "rnd.h"
#include "text.h"

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

/*
 * A test that failed has left by longjmp() and freed nothing: what leaked then is
 * not worth a word.  LeakSanitizer asks at exit.
 */
static int unit_failed;
int __lsan_is_turned_off(void);
int __lsan_is_turned_off(void)
{
	return unit_failed;
}

#define unit_run(tests) (unit_failed = cmocka_run_group_tests(tests, NULL, NULL))

/* --- parsing --- */

/* The result of pf_parse_text(); *said, which the caller frees, is what it wrote. */
static inline int parse_with(struct pf_parse_options opt, const char *text, size_t len,
			     struct pf_ruleset **rs, char **said, unsigned int *nerrors)
{
	struct pf_parse_result result;
	int err;

	if (!opt.optimize)
		opt.optimize = PF_OPTIMIZE_NONE;
	opt.err = text_open(said);
	if (!opt.name)
		opt.name = "t";
	err = pf_parse_text(text, len, &opt, rs, &result);
	if (nerrors)
		*nerrors = result.errors;
	fclose(opt.err);
	return err;
}

/* The ruleset of a text without errors; the test fails on others. */
static inline struct pf_ruleset *parse_ok(const char *text)
{
	struct pf_ruleset *rs = NULL;
	unsigned int nerrors = 77;
	text_auto said = NULL;
	int err;

	err = parse_with((struct pf_parse_options){0}, text, strlen(text), &rs, &said, &nerrors);
	if (err || nerrors || *said)
		fail_msg("%.2000s\nparsing it: %d, %u errors\n%.2000s", text, err, nerrors, said);
	return rs;
}

/* --- random numbers --- */

/*
 * PF_SEED if it is set, else another one each time.  It stands in the output, so
 * that a failure can be had again.
 */
static inline struct rnd rnd_seeded(void)
{
	const char *env = getenv("PF_SEED");
	struct timespec ts;
	uint64_t seed;

	if (env && *env) {
		seed = strtoull(env, NULL, 0);
	} else {
		clock_gettime(CLOCK_REALTIME, &ts);
		seed = ((uint64_t)ts.tv_sec * 1000000007ULL ^ (uint64_t)ts.tv_nsec) >> 8;
	}
	print_message("# PF_SEED=%llu\n", (unsigned long long)seed);
	fflush(stdout);
	return (struct rnd){.s = seed};
}

#endif /* PF_SELFTESTS_UNIT_H */
