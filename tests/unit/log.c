/* SPDX-License-Identifier: BSD-2-Clause */
/* Lines that a peer causes, in virtual time: so many in a while, and how many were left out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "hosted/loop/log.h"

#define BEGIN_NS 1000u

/* How many of `lines` are admitted; none of them ends a while in which some were left out. */
static unsigned int admitted(struct pv_log_pace *pace, uint64_t now_ns, unsigned int lines)
{
	unsigned int count = 0;
	uint64_t left_out;

	for (unsigned int i = 0; i < lines; i++) {
		count += pv_log_pace_admits(pace, now_ns + i, &left_out);
		assert_int_equal(left_out, 0);
	}
	return count;
}

static void test_a_while_has_so_many_lines_and_no_more(void **state)
{
	struct pv_log_pace pace = { 0 };

	(void)state;
	assert_int_equal(admitted(&pace, BEGIN_NS, PV_LOG_PACE_LINES), PV_LOG_PACE_LINES);
	assert_int_equal(admitted(&pace, BEGIN_NS, 100000), 0);
	assert_int_equal(admitted(&pace, BEGIN_NS + PV_LOG_PACE_NS - 2, 2), 0);
}

static void test_the_next_while_says_what_was_left_out(void **state)
{
	struct pv_log_pace pace = { 0 };
	uint64_t left_out;

	(void)state;
	admitted(&pace, BEGIN_NS, PV_LOG_PACE_LINES + 70);
	assert_true(pv_log_pace_admits(&pace, BEGIN_NS + PV_LOG_PACE_NS, &left_out));
	assert_int_equal(left_out, 70);
	assert_int_equal(admitted(&pace, BEGIN_NS + PV_LOG_PACE_NS + 1, PV_LOG_PACE_LINES),
	                 PV_LOG_PACE_LINES - 1);
}

static void test_who_is_silent_loses_nothing(void **state)
{
	struct pv_log_pace pace = { 0 };

	(void)state;
	for (uint64_t i = 0; i < 1000; i++)
		assert_int_equal(admitted(&pace, BEGIN_NS + i * PV_LOG_PACE_NS, 1), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_while_has_so_many_lines_and_no_more),
		cmocka_unit_test(test_the_next_while_says_what_was_left_out),
		cmocka_unit_test(test_who_is_silent_loses_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
