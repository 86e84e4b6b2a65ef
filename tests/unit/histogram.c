/* SPDX-License-Identifier: BSD-2-Clause */
/* The latency histogram: every value has a bucket, and quantiles are right to about 3 %. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "hosted/cli/histogram.h"

static struct pv_histogram histogram;

static int clear(void **state)
{
	(void)state;
	memset(&histogram, 0, sizeof(histogram));
	return 0;
}

static void buckets_follow_each_other_without_a_gap(void **state)
{
	uint32_t last = 0;

	(void)state;
	for (uint64_t value = 1; value < 1000000; value++) {
		uint32_t bucket = pv_histogram_bucket(value);

		assert_true(bucket == last || bucket == last + 1);
		last = bucket;
	}
	assert_int_equal(pv_histogram_bucket(0), 0);
	assert_int_equal(pv_histogram_bucket(UINT64_MAX), PV_HISTOGRAM_BUCKETS - 1);
}

static void one_value_is_every_quantile(void **state)
{
	(void)state;
	for (uint64_t value = 1; value < UINT64_MAX / 3; value = value * 3 / 2 + 1) {
		uint64_t found;

		clear(NULL);
		pv_histogram_add(&histogram, value);
		found = pv_histogram_quantile(&histogram, 500);
		assert_true(found <= value && value - found <= value / 32);
		assert_int_equal(pv_histogram_quantile(&histogram, 999), found);
		assert_int_equal(histogram.max, value);
	}
}

static void quantiles_of_equally_spread_values_are_right_to_three_per_cent(void **state)
{
	const uint32_t per_mille[] = { 1, 10, 500, 900, 990, 999 };

	(void)state;
	for (uint64_t value = 1; value <= 1000000; value++)
		pv_histogram_add(&histogram, value);
	assert_int_equal(histogram.count, 1000000);
	assert_int_equal(histogram.sum, 500000500000);
	for (size_t i = 0; i < sizeof(per_mille) / sizeof(per_mille[0]); i++) {
		int64_t right = per_mille[i] * 1000;
		int64_t found = (int64_t)pv_histogram_quantile(&histogram, per_mille[i]);

		assert_true(llabs(found - right) * 100 <= right * 3);
	}
	assert_in_range(pv_histogram_quantile(&histogram, 1000), 970000, 1000000);
}

static void merged_histograms_count_as_one(void **state)
{
	static struct pv_histogram other;

	(void)state;
	for (uint64_t value = 0; value < 1000; value++) {
		pv_histogram_add(&histogram, value);
		pv_histogram_add(&other, value + 1000);
	}
	pv_histogram_merge(&histogram, &other);
	assert_int_equal(histogram.count, 2000);
	assert_int_equal(histogram.max, 1999);
	assert_in_range(pv_histogram_quantile(&histogram, 500), 970, 1030);
}

static void an_empty_histogram_has_no_quantile(void **state)
{
	(void)state;
	assert_int_equal(pv_histogram_quantile(&histogram, 500), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(buckets_follow_each_other_without_a_gap, clear),
		cmocka_unit_test_setup(one_value_is_every_quantile, clear),
		cmocka_unit_test_setup(
			quantiles_of_equally_spread_values_are_right_to_three_per_cent, clear),
		cmocka_unit_test_setup(merged_histograms_count_as_one, clear),
		cmocka_unit_test_setup(an_empty_histogram_has_no_quantile, clear),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
