// SPDX-License-Identifier: BSD-2-Clause
/* The buckets of limiters' rates. */
#include "../../loader/limiters.h"
#include "unit.h"

static void no_rate(void **unused)
{
	const struct pf_rate r = {.limit = 0};

	(void)unused;
	assert_int_equal(pf_limiter_token(&r), 0);
	assert_int_equal(pf_limiter_bucket(&r), 0);
}

static void a_part_of_the_time(void **unused)
{
	const struct pf_rate even = {.limit = 5, .seconds = 10}, odd = {.limit = 3, .seconds = 1};

	(void)unused;
	assert_int_equal(pf_limiter_token(&even), 2000000000);
	assert_int_equal(pf_limiter_bucket(&even), 10000000000);
	assert_int_equal(pf_limiter_token(&odd), 333333334);
	assert_int_equal(pf_limiter_bucket(&odd), 1000000002);
}

/* However high: never none, so many at once and no more, and not more in the long run. */
static void any_rate(void **unused)
{
	static const uint32_t limits[] = {1,	      7,	  999999999, 600000000,
					  1000000000, 1000000001, 4294967295};
	static const uint32_t seconds[] = {1, 3, 86400, 16777215};

	(void)unused;
	for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++)
		for (size_t k = 0; k < sizeof(seconds) / sizeof(seconds[0]); k++) {
			const struct pf_rate r = {.limit = limits[i], .seconds = seconds[k]};
			uint64_t token = pf_limiter_token(&r), bucket = pf_limiter_bucket(&r);

			assert_true(token > 0);
			assert_int_equal(bucket / token, r.limit);
			assert_true(bucket >= r.seconds * PF_LIMITER_SECOND);
			assert_true(bucket - r.seconds * PF_LIMITER_SECOND <= r.limit);
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_rate),
		cmocka_unit_test(a_part_of_the_time),
		cmocka_unit_test(any_rate),
	};

	return unit_run(tests);
}
