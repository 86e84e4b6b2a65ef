/* SPDX-License-Identifier: BSD-2-Clause */
/* The patterns of `bench --verify`: what was not written as it should be is found and named. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#include "hosted/cli/bench_pattern.h"

static uint8_t block[4096];
static char sentence[256];

static bool is_good(uint64_t offset, uint64_t seed, uint64_t generation)
{
	const struct pv_pattern pattern = { offset, seed, generation };

	return pv_pattern_check(block, sizeof(block), &pattern, sentence, sizeof(sentence));
}

static int fill(void **state)
{
	const struct pv_pattern pattern = { .offset = 8192, .seed = 7, .generation = 3 };

	(void)state;
	pv_pattern_fill(block, sizeof(block), &pattern);
	return 0;
}

static void what_was_written_is_good(void **state)
{
	(void)state;
	assert_true(is_good(8192, 7, 3));
}

static void every_flipped_bit_is_found(void **state)
{
	(void)state;
	for (size_t bit = 0; bit < 8 * sizeof(block); bit++) {
		block[bit / 8] ^= (uint8_t)(1u << bit % 8);
		assert_false(is_good(8192, 7, 3));
		block[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
	assert_true(is_good(8192, 7, 3));
}

static void a_changed_byte_is_named(void **state)
{
	(void)state;
	block[515] = (uint8_t)~block[515];
	assert_false(is_good(8192, 7, 3));
	assert_non_null(strstr(sentence, "at byte 8707 is 0x"));
	assert_non_null(strstr(sentence, "generation 3"));
}

static void a_block_at_the_wrong_place_is_named(void **state)
{
	(void)state;
	assert_false(is_good(4096, 7, 3));
	assert_string_equal(sentence,
	                    "at byte 4096 is what was written to byte 8192 as generation 3, "
	                    "instead of generation 3");
}

static void an_old_block_is_named(void **state)
{
	(void)state;
	assert_false(is_good(8192, 7, 4));
	assert_string_equal(sentence,
	                    "at byte 8192 is what was written to byte 8192 as generation 3, "
	                    "instead of generation 4");
	assert_false(is_good(8192, 8, 3));
	assert_non_null(strstr(sentence, "generation 3 of another run"));
}

static void a_torn_block_is_found_at_its_seam(void **state)
{
	const struct pv_pattern newer = { .offset = 8192, .seed = 7, .generation = 4 };

	(void)state;
	pv_pattern_fill(block, 1024, &newer);
	assert_false(is_good(8192, 7, 4));
	assert_non_null(strstr(sentence, "at byte 9216 is what was written to byte 9216 as "
	                                 "generation 3"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(what_was_written_is_good, fill),
		cmocka_unit_test_setup(every_flipped_bit_is_found, fill),
		cmocka_unit_test_setup(a_changed_byte_is_named, fill),
		cmocka_unit_test_setup(a_block_at_the_wrong_place_is_named, fill),
		cmocka_unit_test_setup(an_old_block_is_named, fill),
		cmocka_unit_test_setup(a_torn_block_is_found_at_its_seam, fill),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
