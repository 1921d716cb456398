// SPDX-License-Identifier: BSD-2-Clause
/*
 * Text -> rules.  What is accepted is printed, read again and printed again: the
 * two texts are the same; also what the optimiser makes of it.  What can be put in
 * force comes back the same as a model, too.
 */
#include "fuzz.h"

/* More takes too long to do it a hundred times a second. */
#define RULES_MOST 2000

static void check_model(const struct pf_ruleset *rs)
{
	struct pf_ruleset *back = NULL;
	struct pf_buf once = {0}, again = {0};
	char err[200] = "";

	pf_model_encode(rs, &once);
	if (pf_model_decode(once.data, once.len, &back, err, sizeof(err)) != 0) {
		fprintf(stderr, "the model is refused: %s\n", err);
		abort();
	}
	pf_model_encode(back, &again);
	REQUIRE(fuzz_same_bytes(&once, &again));
	pf_buf_free(&once);
	pf_buf_free(&again);
	pf_ruleset_free(back);
}

static void check_text(const char *text, const struct pf_ruleset *rs, int optimize,
		       unsigned int flags)
{
	char *once = ruleset_text(rs, flags), *twice;
	struct pf_ruleset *back;

	if (fuzz_parse(once, strlen(once), stderr, optimize, false, &back) != 0) {
		fprintf(stderr, "not read back:\n%s", once);
		abort();
	}
	twice = ruleset_text(back, 0);
	if (strcmp(twice, text) != 0) {
		fprintf(stderr, "printed, read and printed:\n%s---\n%s", text, twice);
		abort();
	}
	pf_ruleset_free(back);
	free(once);
	free(twice);
}

static void check(const char *data, size_t size, int optimize)
{
	struct pf_ruleset *rs;
	char *text;

	if (fuzz_parse(data, size, fuzz_null(), optimize, false, &rs) != 0)
		return;
	if (fuzz_rules(rs) <= RULES_MOST && !fuzz_has_dollar(rs)) {
		text = ruleset_text(rs, 0);
		check_text(text, rs, optimize, 0);
		check_text(text, rs, optimize, PF_PRINT_PORT_NAMES);
		free(text);
	}
	pf_ruleset_free(rs);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data;
	struct pf_ruleset *rs;

	check(text, size, PF_OPTIMIZE_NONE);
	check(text, size, PF_OPTIMIZE_BASIC);
	if (fuzz_parse(text, size, fuzz_null(), PF_OPTIMIZE_NONE, true, &rs) == 0) {
		if (pf_filter(rs)->n <= RULES_MOST)
			check_model(rs);
		pf_ruleset_free(rs);
	}
	return 0;
}
