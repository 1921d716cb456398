// SPDX-License-Identifier: BSD-2-Clause
/*
 * Text -> rules.  What is accepted is printed, read again and printed again: the
 * two texts are the same, and so are the two rulesets, as a model and back too.
 */
#include "fuzz.h"

/* More takes too long to do it a hundred times a second. */
#define RULES_MOST 5000

/* As the model has it, but for the lines. */
static void encode(struct pf_ruleset *rs, struct pf_buf *b)
{
	for (size_t i = 0; i < rs->nrules; i++)
		rs->rules[i].line = 0;
	pf_model_encode(rs, b);
}

static void check_model(const struct pf_buf *b)
{
	struct pf_ruleset *rs = NULL;
	struct pf_buf again = {0};
	char err[200] = "";

	if (pf_model_decode(b->data, b->len, &rs, err, sizeof(err)) != 0) {
		fprintf(stderr, "the model is refused: %s\n", err);
		abort();
	}
	pf_model_encode(rs, &again);
	REQUIRE(fuzz_same_bytes(b, &again));
	pf_buf_free(&again);
	pf_ruleset_free(rs);
}

static void check_text(const char *text, struct pf_ruleset *rs, const struct pf_buf *model,
		       unsigned int flags)
{
	char *once = fuzz_print(rs, flags), *twice;
	struct pf_ruleset *back;
	struct pf_buf b = {0};

	if (fuzz_parse(once, strlen(once), stderr, &back) != 0) {
		fprintf(stderr, "not read back:\n%s", once);
		abort();
	}
	twice = fuzz_print(back, 0);
	if (strcmp(twice, text) != 0) {
		fprintf(stderr, "printed, read and printed:\n%s---\n%s", text, twice);
		abort();
	}
	encode(back, &b);
	REQUIRE(fuzz_same_bytes(model, &b));
	pf_buf_free(&b);
	pf_ruleset_free(back);
	free(once);
	free(twice);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct pf_ruleset *rs;
	struct pf_buf model = {0};
	char *text;

	if (fuzz_parse((const char *)data, size, fuzz_null(), &rs) != 0)
		return 0;
	if (rs->nrules <= RULES_MOST && !fuzz_has_dollar(rs)) {
		text = fuzz_print(rs, 0);
		encode(rs, &model);
		check_model(&model);
		check_text(text, rs, &model, 0);
		check_text(text, rs, &model, PF_PRINT_PORT_NAMES);
		free(text);
	}
	pf_buf_free(&model);
	pf_ruleset_free(rs);
	return 0;
}
