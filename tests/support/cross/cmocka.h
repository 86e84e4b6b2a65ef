/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * As much of cmocka's interface as the tests of the freestanding rooms use, for machines that a
 * cross compiler is here for.  Debian packages compilers and C libraries that way, but no cmocka:
 * theirs would have to come from another machine's package lists, fetched aside and bound to
 * another loader.  This is small enough to be sure of, and asks for nothing but the compiler.
 *
 * An assertion that fails ends its test, and the teardown runs; one that fails where no test runs
 * (a thread of one) ends the process.
 */
#ifndef PV_TESTS_CROSS_CMOCKA_H
#define PV_TESTS_CROSS_CMOCKA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef void (*CMUnitTestFunction)(void **state);
typedef int (*CMFixtureFunction)(void **state);

struct CMUnitTest {
	const char *name;
	CMUnitTestFunction test_func;
	CMFixtureFunction setup_func;
	CMFixtureFunction teardown_func;
};

#define cmocka_unit_test_setup_teardown(test, setup, teardown)                                     \
	{                                                                                          \
#test, test, setup, teardown                                                       \
	}
#define cmocka_unit_test(test)                                                                     \
	{                                                                                          \
#test, test, NULL, NULL                                                            \
	}

/* Runs an array of tests. Returns how many failed; all of them where the group's own setup did. */
#define cmocka_run_group_tests(tests, setup, teardown)                                             \
	pv_cross_run(tests, sizeof(tests) / sizeof((tests)[0]), setup, teardown)
int pv_cross_run(const struct CMUnitTest *tests, size_t count, CMFixtureFunction setup,
                 CMFixtureFunction teardown);

#define print_message(...) pv_cross_print(__VA_ARGS__)
void pv_cross_print(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Where an assertion stands, and what it says. */
struct pv_cross_place {
	const char *file;
	int line;
	const char *text;
};

#define PV_CROSS_HERE(text) (&(const struct pv_cross_place){ __FILE__, __LINE__, text })

void pv_cross_fail(const struct pv_cross_place *place, const char *format, ...)
	__attribute__((noreturn, format(printf, 2, 3)));
void pv_cross_int(const struct pv_cross_place *place, uintmax_t a, uintmax_t b,
                  bool is_same_wanted);
void pv_cross_range(const struct pv_cross_place *place, uintmax_t value, uintmax_t low,
                    uintmax_t high);
void pv_cross_memory(const struct pv_cross_place *place, const void *a, const void *b,
                     size_t bytes);
void pv_cross_string(const struct pv_cross_place *place, const char *a, const char *b);

#define fail()        pv_cross_fail(PV_CROSS_HERE("fail"), " ")
#define fail_msg(...) pv_cross_fail(PV_CROSS_HERE("fail"), __VA_ARGS__)

#define PV_CROSS_TRUE(is_good, text)                                                               \
	((is_good) ? (void)0 : pv_cross_fail(PV_CROSS_HERE(text), "does not hold"))
#define assert_true(c)     PV_CROSS_TRUE(c, #c)
#define assert_false(c)    PV_CROSS_TRUE(!(c), "!(" #c ")")
#define assert_non_null(p) PV_CROSS_TRUE((p) != NULL, #p " != NULL")
#define assert_null(p)     PV_CROSS_TRUE((p) == NULL, #p " == NULL")

#define assert_int_equal(a, b)                                                                     \
	pv_cross_int(PV_CROSS_HERE(#a " == " #b), (uintmax_t)(a), (uintmax_t)(b), true)
#define assert_int_not_equal(a, b)                                                                 \
	pv_cross_int(PV_CROSS_HERE(#a " != " #b), (uintmax_t)(a), (uintmax_t)(b), false)
#define assert_ptr_equal(a, b)                                                                     \
	pv_cross_int(PV_CROSS_HERE(#a " == " #b), (uintptr_t)(a), (uintptr_t)(b), true)
#define assert_ptr_not_equal(a, b)                                                                 \
	pv_cross_int(PV_CROSS_HERE(#a " != " #b), (uintptr_t)(a), (uintptr_t)(b), false)
#define assert_in_range(value, low, high)                                                          \
	pv_cross_range(PV_CROSS_HERE(#value), (uintmax_t)(value), (uintmax_t)(low),                \
	               (uintmax_t)(high))
#define assert_memory_equal(a, b, bytes) pv_cross_memory(PV_CROSS_HERE(#a " is " #b), a, b, bytes)
#define assert_string_equal(a, b)        pv_cross_string(PV_CROSS_HERE(#a " is " #b), a, b)

#endif
