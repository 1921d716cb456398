/* SPDX-License-Identifier: BSD-2-Clause */
/* Rulesets as bytes, for the tests of lib/model. */
#ifndef PF_SELFTESTS_UNIT_MODEL_BYTES_H
#define PF_SELFTESTS_UNIT_MODEL_BYTES_H

#include "unit.h"

#include "../../lib/model.h"
#include "../../lib/wire.h"

static inline struct pf_buf encoded(const struct pf_ruleset *rs)
{
	struct pf_buf b = {0};

	pf_model_encode(rs, &b);
	assert_false(b.failed);
	return b;
}

static inline int decode(const struct pf_buf *b, struct pf_ruleset **rs, char *err, size_t errsize)
{
	/* in memory of its own, so that a byte too far is seen */
	uint8_t *copy = calloc(1, b->len + !b->len);
	int r;

	if (b->len)
		memcpy(copy, b->data, b->len);
	r = pf_model_decode(copy, b->len, rs, err, errsize);
	free(copy);
	return r;
}

static inline void check_refused(const struct pf_buf *b, int want, const char *what)
{
	struct pf_ruleset *rs = (void *)&rs;
	char err[200] = "untouched";
	int r = decode(b, &rs, err, sizeof(err));

	if (r != want || !strstr(err, what))
		fail_msg("got %d \"%s\", want %d \"%s\"", r, err, want, what);
	assert_ptr_equal(rs, &rs);
}

/* What is not enforced must not get lost on the way. */
static inline void check_no_encoding(const char *const *texts, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		pf_ruleset_auto rs = parse_ok(texts[i]);
		pf_buf_auto b = {0};

		pf_model_encode(rs, &b);
		if (!b.failed)
			fail_msg("%s has an encoding", texts[i]);
	}
}

#endif /* PF_SELFTESTS_UNIT_MODEL_BYTES_H */
