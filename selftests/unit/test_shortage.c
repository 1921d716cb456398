// SPDX-License-Identifier: BSD-2-Clause
/* How often it is told that something runs full. */
#include "../../loader/shortage.h"
#include "unit.h"

static void nothing_refused(void **unused)
{
	struct pf_refusals r = {.told = 7};

	(void)unused;
	assert_int_equal(pf_refusals_due(&r, 7, 100), 0);
	/* a sum over CPUs, one taken away from another, may seem to fall */
	assert_int_equal(pf_refusals_due(&r, 6, 101), 0);
	assert_int_equal(pf_refusals_due(&r, 8, 102), 1);
}

static void at_once_then_each_minute(void **unused)
{
	struct pf_refusals r = {.told = 5};
	uint64_t counter = 5, told = 0;
	unsigned int times = 0;

	(void)unused;
	for (uint64_t now = 1000; now < 1000 + 3 * PF_SHORTAGE_SECONDS; now++) {
		uint64_t n = pf_refusals_due(&r, counter += 1000, now);

		assert_true((n != 0) == (now % PF_SHORTAGE_SECONDS == 1000 % PF_SHORTAGE_SECONDS));
		told += n;
		times += n != 0;
	}
	assert_int_equal(times, 3);
	/* what has come since is not forgotten, though nothing more comes */
	told += pf_refusals_due(&r, counter, 1000 + 3 * PF_SHORTAGE_SECONDS);
	assert_int_equal(told, counter - 5);
}

static void after_a_quiet_hour(void **unused)
{
	struct pf_refusals r = {0};

	(void)unused;
	assert_int_equal(pf_refusals_due(&r, 3, 50), 3);
	assert_int_equal(pf_refusals_due(&r, 4, 50 + 3600), 1);
	assert_int_equal(pf_refusals_due(&r, 5, 51 + 3600), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_refused),
		cmocka_unit_test(at_once_then_each_minute),
		cmocka_unit_test(after_a_quiet_hour),
	};

	return unit_run(tests);
}
