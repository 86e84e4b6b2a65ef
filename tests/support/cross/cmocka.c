/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/support/cross/cmocka.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Where the test that this thread runs is left. */
static __thread jmp_buf *way_out;

void pv_cross_print(const char *format, ...)
{
	va_list values;

	va_start(values, format);
	vprintf(format, values);
	va_end(values);
	fflush(stdout);
}

void pv_cross_fail(const struct pv_cross_place *place, const char *format, ...)
{
	va_list values;

	fflush(stdout);
	fprintf(stderr, "%s:%d: %s: ", place->file, place->line, place->text);
	va_start(values, format);
	vfprintf(stderr, format, values);
	va_end(values);
	fputc('\n', stderr);
	if (!way_out)
		abort();
	longjmp(*way_out, 1);
}

void pv_cross_int(const struct pv_cross_place *place, uintmax_t a, uintmax_t b, bool is_same_wanted)
{
	if ((a == b) != is_same_wanted)
		pv_cross_fail(place, "0x%" PRIxMAX " and 0x%" PRIxMAX, a, b);
}

void pv_cross_range(const struct pv_cross_place *place, uintmax_t value, uintmax_t low,
                    uintmax_t high)
{
	if (value < low || value > high)
		pv_cross_fail(place, "%" PRIuMAX " is not within %" PRIuMAX " and %" PRIuMAX, value,
		              low, high);
}

void pv_cross_memory(const struct pv_cross_place *place, const void *a, const void *b, size_t bytes)
{
	const uint8_t *one = a, *other = b;

	for (size_t i = 0; i < bytes; i++)
		if (one[i] != other[i])
			pv_cross_fail(place, "byte %zu of %zu is 0x%02x and 0x%02x", i, bytes,
			              one[i], other[i]);
}

void pv_cross_string(const struct pv_cross_place *place, const char *a, const char *b)
{
	if (strcmp(a, b) != 0)
		pv_cross_fail(place, "\"%s\" and \"%s\"", a, b);
}

/* One function of a test, with its assertions. Returns whether all went well. */
static bool run_fixture(CMFixtureFunction fixture, void **state)
{
	jmp_buf out;
	volatile bool is_good = false;

	if (!fixture)
		return true;
	way_out = &out;
	if (setjmp(out) == 0)
		is_good = fixture(state) == 0;
	way_out = NULL;
	return is_good;
}

static bool run_body(CMUnitTestFunction body, void **state)
{
	jmp_buf out;
	volatile bool is_good = false;

	way_out = &out;
	if (setjmp(out) == 0) {
		body(state);
		is_good = true;
	}
	way_out = NULL;
	return is_good;
}

static bool run_test(const struct CMUnitTest *test, void *group_state)
{
	void *state = group_state;
	bool is_good;

	pv_cross_print("[ RUN      ] %s\n", test->name);
	is_good = run_fixture(test->setup_func, &state);
	if (is_good)
		is_good = run_body(test->test_func, &state);
	if (!run_fixture(test->teardown_func, &state))
		is_good = false;
	pv_cross_print("[ %s ] %s\n", is_good ? "      OK" : " FAILED ", test->name);
	return is_good;
}

int pv_cross_run(const struct CMUnitTest *tests, size_t count, CMFixtureFunction setup,
                 CMFixtureFunction teardown)
{
	void *state = NULL;
	int failed = 0;

	if (run_fixture(setup, &state)) {
		for (size_t i = 0; i < count; i++)
			failed += !run_test(&tests[i], state);
	} else {
		failed = (int)count;
	}
	if (!run_fixture(teardown, &state))
		failed++;
	pv_cross_print("%d of %zu tests failed\n", failed, count);
	return failed;
}
