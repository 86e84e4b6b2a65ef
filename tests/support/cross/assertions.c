/* SPDX-License-Identifier: BSD-2-Clause */
/* Every assertion of the small cmocka ends its test where it must, and there only. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/wait.h>

#include <cmocka.h>

static int teardowns;

static void good(void **state)
{
	const char *null = NULL, text[] = "text";

	(void)state;
	assert_true(teardowns >= 0);
	assert_false(null);
	assert_non_null(text);
	assert_null(null);
	assert_int_equal(UINT64_MAX, -1);
	assert_int_not_equal(1ull << 32, 0);
	assert_ptr_equal(text, &text[0]);
	assert_ptr_not_equal(text, &text[1]);
	assert_in_range(1ull << 32, 1ull << 32, 1ull << 32);
	assert_memory_equal(text, "text!", 4);
	assert_string_equal(text, "text");
}

#define BAD(name, assertion)                                                                       \
	static void name(void **state)                                                             \
	{                                                                                          \
		(void)state;                                                                       \
		assertion;                                                                         \
	}

BAD(bad_true, assert_true(teardowns < 0))
BAD(bad_false, assert_false(teardowns >= 0))
BAD(bad_non_null, assert_non_null((void *)0))
BAD(bad_null, assert_null("text"))
BAD(bad_int_equal, assert_int_equal(1ull << 32, 0))
BAD(bad_int_not_equal, assert_int_not_equal(1, 1))
BAD(bad_ptr_equal, assert_ptr_equal(&teardowns, NULL))
BAD(bad_ptr_not_equal, assert_ptr_not_equal(&teardowns, &teardowns))
BAD(bad_range_below, assert_in_range(4, 5, 6))
BAD(bad_range_above, assert_in_range(7, 5, 6))
BAD(bad_memory_equal, assert_memory_equal("text", "tex!", 4))
BAD(bad_string_equal, assert_string_equal("text", "tex"))
BAD(bad_fail, fail())
BAD(bad_fail_msg, fail_msg("%d of these", 1))

static int refuse(void **state)
{
	(void)state;
	return -1;
}

static int refuse_by_assertion(void **state)
{
	(void)state;
	assert_int_equal(1, 2);
	return 0;
}

static int count_teardown(void **state)
{
	(void)state;
	teardowns++;
	return 0;
}

static void require(int is_so, const char *what)
{
	if (is_so)
		return;
	print_message("not so: %s\n", what);
	exit(1);
}

/* In a thread of a test, or outside of all: nobody could go on. */
static int ends_the_process(void)
{
	int status = 0;
	pid_t child = fork();

	if (child == 0) {
		assert_true(teardowns < 0);
		_exit(0);
	}
	return child > 0 && waitpid(child, &status, 0) == child && WIFSIGNALED(status);
}

int main(void)
{
	const struct CMUnitTest all_good[] = {
		cmocka_unit_test(good),
		cmocka_unit_test_setup_teardown(good, count_teardown, count_teardown),
	};
	const struct CMUnitTest all_bad[] = {
		cmocka_unit_test(bad_true),
		cmocka_unit_test(bad_false),
		cmocka_unit_test(bad_non_null),
		cmocka_unit_test(bad_null),
		cmocka_unit_test(bad_int_equal),
		cmocka_unit_test(bad_int_not_equal),
		cmocka_unit_test(bad_ptr_equal),
		cmocka_unit_test(bad_ptr_not_equal),
		cmocka_unit_test(bad_range_below),
		cmocka_unit_test(bad_range_above),
		cmocka_unit_test(bad_memory_equal),
		cmocka_unit_test(bad_string_equal),
		cmocka_unit_test(bad_fail),
		cmocka_unit_test(bad_fail_msg),
		cmocka_unit_test_setup_teardown(bad_fail, NULL, count_teardown),
		cmocka_unit_test_setup_teardown(good, refuse, NULL),
		cmocka_unit_test_setup_teardown(good, refuse_by_assertion, NULL),
		cmocka_unit_test_setup_teardown(good, NULL, refuse),
	};
	const int bad = sizeof(all_bad) / sizeof(all_bad[0]);

	require(cmocka_run_group_tests(all_good, NULL, NULL) == 0, "good tests pass");
	require(teardowns == 2, "a setup and a teardown ran");
	require(cmocka_run_group_tests(all_bad, NULL, NULL) == bad, "each bad test fails");
	require(teardowns == 3, "a test that fails is torn down");
	require(cmocka_run_group_tests(all_good, refuse, NULL) == 2,
	        "without its setup no test passes");
	require(cmocka_run_group_tests(all_good, NULL, refuse) == 1, "a group's teardown may fail");
	require(ends_the_process(), "an assertion outside of tests ends the process");
	return 0;
}
