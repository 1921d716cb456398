// SPDX-License-Identifier: BSD-2-Clause
/*
 * Bytes -> rules, as pfd gets them from a client.  What is accepted is encoded
 * again, printed, read back and compiled.
 *
 * The bytes are those behind the model's head, so that a new version of it makes
 * no seed worthless.  With --encode as the first argument it makes seeds:
 * --encode DIRECTORY FILE...
 */
#include "fuzz.h"

#include <errno.h>
#include <libgen.h>

#include "../../compiler/compiler.h"
#include "../../grammar/check.h"

#define HEAD	   8
#define RULES_MOST 2000

static int slot(void *ctx, uint32_t set, const char *name)
{
	(void)ctx;
	(void)set;
	/* now and then there is none */
	return *name == 'n' ? -ENOENT : *name + 1;
}

static int tag(void *ctx, const char *name)
{
	(void)ctx;
	return *name == 'n' ? -ENOSPC : *name + 1;
}

static int opts(void *ctx, uint32_t set, uint32_t rule_id, const struct pf_rule *r)
{
	const struct pf_state_opts *o = pf_rule_ext_of(r)->state;

	(void)set;
	(void)ctx;
	(void)rule_id;
	return !o ? 1 : o->max == 7 ? -ENOSPC : (int)(o->max & 1023);
}

static void check_compile(const struct pf_policy *p, enum pf_emitter emitter)
{
	uint32_t *ids = calloc((size_t)p->nrules + 1, sizeof(*ids));
	const struct pf_compile_env env = {.table_slot = slot,
					   .tag_id = tag,
					   .opts_number = opts,
					   .rule_ids = ids,
					   .emitter = emitter};
	struct pf_compile_error err;
	struct pf_compiled *c = NULL;
	int r = pf_policy_compile(p, &env, &c, &err);

	if (r == 0) {
		uint64_t *evals = calloc(pf_compiled_nevals(c), sizeof(*evals));
		uint64_t *evaluations = calloc((size_t)p->nrules + 1, sizeof(*evaluations));

		REQUIRE(pf_compiled_evaluations(c, evals, evaluations) == 0);
		free(evals);
		free(evaluations);
		pf_compiled_free(c);
	} else {
		REQUIRE(r < 0 && !c && memchr(err.text, '\0', sizeof(err.text)) && *err.text);
	}
	free(ids);
}

static void check_encoding(const struct pf_ruleset *rs)
{
	struct pf_buf once = {0}, twice = {0};
	struct pf_ruleset *back = NULL;
	char err[200];

	pf_model_encode(rs, &once);
	REQUIRE(pf_model_decode(once.data, once.len, &back, err, sizeof(err)) == 0);
	pf_model_encode(back, &twice);
	REQUIRE(fuzz_same_bytes(&once, &twice));
	pf_buf_free(&once);
	pf_buf_free(&twice);
	pf_ruleset_free(back);
}

static void check_text(const struct pf_ruleset *rs)
{
	char *once = content_text(rs), *twice;
	struct pf_ruleset *back;

	if (fuzz_parse(once, strlen(once), stderr, PF_OPTIMIZE_NONE, false, &back) != 0) {
		fprintf(stderr, "not read back:\n%s", once);
		abort();
	}
	twice = content_text(back);
	if (strcmp(once, twice) != 0) {
		fprintf(stderr, "printed, read and printed:\n%s---\n%s", once, twice);
		abort();
	}
	pf_ruleset_free(back);
	free(once);
	free(twice);
}

static void check(const struct pf_ruleset *rs)
{
	enum pf_rule_part part;
	pf_policy_auto policy = NULL;

	for (size_t i = 0; i < pf_filter(rs)->n; i++)
		REQUIRE(!pf_rule_check(&pf_filter(rs)->v[i], &part));
	check_encoding(rs);
	REQUIRE(pf_policy_of(rs, &policy) == 0);
	check_compile(policy, PF_EMITTER_LINEAR);
	check_compile(policy, PF_EMITTER_TREE);
	if (!fuzz_has_dollar(rs))
		check_text(rs);
}

/* The bytes that every model of this version begins with. */
static const uint8_t *head(void)
{
	static struct pf_buf b;

	if (!b.len) {
		struct pf_ruleset *rs = pf_ruleset_new();

		pf_model_encode(rs, &b);
		REQUIRE(b.len > HEAD);
		pf_ruleset_free(rs);
	}
	return b.data;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	/* memory of its own and no more, so that a byte too far is seen */
	uint8_t *copy = malloc(HEAD + size);
	struct pf_ruleset *rs = NULL;
	char err[80] = "";
	int r;

	memcpy(copy, head(), HEAD);
	if (size)
		memcpy(copy + HEAD, data, size);
	r = pf_model_decode(copy, HEAD + size, &rs, err, sizeof(err));
	free(copy);
	if (r) {
		REQUIRE(r == -EINVAL && !rs && memchr(err, '\0', sizeof(err)) && *err);
		return 0;
	}
	if (pf_filter(rs)->n <= RULES_MOST)
		check(rs);
	pf_ruleset_free(rs);
	return 0;
}

/* --- seeds --- */

static void encode_file(const char *directory, char *path)
{
	const struct pf_parse_options opt = {.name = path};
	struct pf_ruleset *rs = NULL;
	struct pf_buf b = {0};
	char out[4096];
	FILE *f;

	if (pf_parse_file(path, &opt, &rs, NULL) != 0)
		return;
	pf_model_encode(rs, &b);
	snprintf(out, sizeof(out), "%s/%s", directory, basename(path));
	f = fopen(out, "w");
	if (!f || fwrite(b.data + HEAD, 1, b.len - HEAD, f) != b.len - HEAD || fclose(f)) {
		perror(out);
		exit(1);
	}
	pf_buf_free(&b);
	pf_ruleset_free(rs);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	if (*argc < 3 || strcmp((*argv)[1], "--encode") != 0)
		return 0;
	for (int i = 3; i < *argc; i++)
		encode_file((*argv)[2], (*argv)[i]);
	exit(0);
}
