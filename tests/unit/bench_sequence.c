/* SPDX-License-Identifier: BSD-2-Clause */
/* What `paravane bench serial --check` finds out about bytes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "hosted/cli/bench_sequence.h"

#define BYTES 300u

static void bytes_are_the_same_in_whatever_pieces_they_come(void **state)
{
	uint8_t whole[BYTES], pieces[BYTES];

	(void)state;
	pv_sequence_fill(1000, whole, BYTES);
	for (size_t step = 1; step < 40; step++) {
		memset(pieces, 0, BYTES);
		for (size_t at = 0; at < BYTES; at += step) {
			size_t some = BYTES - at < step ? BYTES - at : step;

			pv_sequence_fill(1000 + at, pieces + at, some);
			assert_int_equal(pv_sequence_check(1000 + at, whole + at, some), some);
		}
		assert_memory_equal(pieces, whole, BYTES);
	}
}

static void the_first_byte_that_is_altered_is_found(void **state)
{
	uint8_t bytes[BYTES];

	(void)state;
	for (size_t at = 0; at < BYTES; at++) {
		pv_sequence_fill(3, bytes, BYTES);
		bytes[at] ^= 0x10;
		assert_int_equal(pv_sequence_check(3, bytes, BYTES), at);
	}
}

/* Lost or doubled bytes move all that follow. */
static void what_is_moved_is_found_within_a_word_or_two(void **state)
{
	uint8_t bytes[BYTES];

	(void)state;
	for (uint64_t by = 1; by < 5000; by++) {
		pv_sequence_fill(by, bytes, BYTES);
		assert_true(pv_sequence_check(0, bytes, BYTES) < 16);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bytes_are_the_same_in_whatever_pieces_they_come),
		cmocka_unit_test(the_first_byte_that_is_altered_is_found),
		cmocka_unit_test(what_is_moved_is_found_within_a_word_or_two),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
