/* SPDX-License-Identifier: BSD-2-Clause */
/* The kernel as a source: all that is asked for, what there is of it, or nothing; never a wait. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/random.h>
#include <cmocka.h>

#include "hosted/backends/kernel_entropy.h"

#define BYTES 100000u

/* What the kernel says: nothing before the `first_failure`th call fails, or gives that much. */
static int calls, first_failure, error;
static size_t short_bytes;
static unsigned int flags_seen;

ssize_t __real_getrandom(void *to, size_t bytes, unsigned int flags);
ssize_t __wrap_getrandom(void *to, size_t bytes, unsigned int flags);

ssize_t __wrap_getrandom(void *to, size_t bytes, unsigned int flags)
{
	flags_seen = flags;
	if (++calls < first_failure || first_failure == 0)
		return __real_getrandom(to, bytes, flags);
	if (short_bytes > 0 && calls == first_failure)
		return __real_getrandom(to, bytes < short_bytes ? bytes : short_bytes, flags);
	errno = error;
	return error ? -1 : __real_getrandom(to, bytes, flags);
}

static void the_kernel(int at_call, size_t gives_bytes, int then_says)
{
	calls = 0;
	first_failure = at_call;
	short_bytes = gives_bytes;
	error = then_says;
}

static size_t fill(void *to, size_t bytes)
{
	struct pv_rng_source *source = pv_kernel_entropy();

	return source->ops->fill(source, to, bytes);
}

/* Of so many random bytes each value comes 390 times, give or take 20; 200 is never seen. */
static void all_that_is_asked_for_is_random(void **state)
{
	static uint8_t data[BYTES + 1];
	uint32_t times[256] = { 0 };

	(void)state;
	the_kernel(0, 0, 0);
	data[BYTES] = 0x5a;
	assert_int_equal(fill(data, BYTES), BYTES);
	assert_int_equal(data[BYTES], 0x5a);
	for (uint32_t i = 0; i < BYTES; i++)
		times[data[i]]++;
	for (int i = 0; i < 256; i++)
		assert_in_range(times[i], 250, 550);
	assert_int_equal(flags_seen, GRND_NONBLOCK);
}

static void two_times_are_not_the_same(void **state)
{
	uint8_t first[64], second[64];

	(void)state;
	assert_int_equal(fill(first, sizeof(first)), sizeof(first));
	assert_int_equal(fill(second, sizeof(second)), sizeof(second));
	assert_memory_not_equal(first, second, sizeof(first));
}

static void a_kernel_that_has_nothing_is_not_waited_for(void **state)
{
	uint8_t data[64] = { 0 };
	const uint8_t nothing[64] = { 0 };

	(void)state;
	the_kernel(1, 0, EAGAIN);
	assert_int_equal(fill(data, sizeof(data)), 0);
	assert_int_equal(calls, 1);
	assert_memory_equal(data, nothing, sizeof(data));
}

/* What comes in pieces is put together; where it ends, no byte behind is touched. */
static void what_there_is_is_given(void **state)
{
	uint8_t data[1024] = { 0 };
	const uint8_t nothing[1024] = { 0 };

	(void)state;
	the_kernel(1, 7, 0);
	assert_int_equal(fill(data, sizeof(data)), sizeof(data));
	memset(data, 0, sizeof(data));
	the_kernel(2, 9, EINTR);
	assert_int_equal(fill(data, sizeof(data)), 256 + 9);
	assert_memory_equal(data + 256 + 9, nothing, sizeof(data) - 256 - 9);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_that_is_asked_for_is_random),
		cmocka_unit_test(two_times_are_not_the_same),
		cmocka_unit_test(a_kernel_that_has_nothing_is_not_waited_for),
		cmocka_unit_test(what_there_is_is_given),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
