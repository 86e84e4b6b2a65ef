/* SPDX-License-Identifier: BSD-2-Clause */
/* What is read of a host's memory, from folders that look like /proc, and do not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "hosted/control/host_memory.h"

#define MEMINFO                                                                                    \
	"MemTotal:       16384000 kB\nMemFree:  1 kB\nMemAvailable:    1024 kB\nSwapTotal: 0 kB\n"
#define PRESSURE                                                                                   \
	"some avg10=12.05 avg60=1.00 avg300=0.00 total=1\n"                                        \
	"full avg10=0.30 avg60=99.00 avg300=0.00 total=1\n"

static char folder[] = "/tmp/pv-host-XXXXXX";

static void put(const char *name, const char *text)
{
	char path[64];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	unlink(path);
	if (!text)
		return;
	file = fopen(path, "w");
	assert_non_null(file);
	fputs(text, file);
	fclose(file);
}

static bool read_with(const char *meminfo, const char *pressure, struct pv_host_memory *memory)
{
	char sentence[PV_SENTENCE_BYTES] = "";
	bool is_good;

	put("meminfo", meminfo);
	put("pressure/memory", pressure);
	is_good = pv_host_memory_read(memory, folder, sentence);
	assert_int_equal(is_good, sentence[0] == '\0');
	assert_true(is_good || strstr(sentence, "/meminfo"));
	return is_good;
}

static void what_the_kernel_says_is_read(void **state)
{
	struct pv_host_memory memory;

	(void)state;
	assert_true(read_with(MEMINFO, PRESSURE, &memory));
	assert_int_equal(memory.total, 16384000ull << 10);
	assert_int_equal(memory.available, 1024u << 10);
	assert_int_equal(memory.some, 1205);
	assert_int_equal(memory.full, 30);
	assert_true(memory.has_pressure);
	assert_true(read_with("MemAvailable: 7 kB\nMemTotal: 9 kB", PRESSURE, &memory));
	assert_int_equal(memory.total, 9u << 10);
}

static void a_kernel_without_pressure_has_none(void **state)
{
	static const char *const texts[] = { NULL, "", "some", "some avg10=x", "full avg10=1.00" };

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct pv_host_memory memory;

		assert_true(read_with(MEMINFO, texts[i], &memory));
		assert_false(memory.has_pressure);
		assert_int_equal(memory.some, 0);
	}
}

static void without_available_memory_nothing_can_be_said(void **state)
{
	static const char *const texts[] = { NULL,
		                             "",
		                             "MemTotal: 5 kB\n",
		                             "MemAvailable: 5 kB\n",
		                             "MemTotal: 5 kB\nMemAvailable: much kB\n",
		                             "MemTotal: 5 kB\nxMemAvailable: 5 kB\n" };

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct pv_host_memory memory;

		assert_false(read_with(texts[i], PRESSURE, &memory));
	}
}

static void this_host_says_something(void **state)
{
	char sentence[PV_SENTENCE_BYTES];
	struct pv_host_memory memory;

	(void)state;
	assert_true(pv_host_memory_read(&memory, "/proc", sentence));
	assert_in_range(memory.available, 1, memory.total);
	assert_in_range(memory.some, 0, 10000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_the_kernel_says_is_read),
		cmocka_unit_test(a_kernel_without_pressure_has_none),
		cmocka_unit_test(without_available_memory_nothing_can_be_said),
		cmocka_unit_test(this_host_says_something),
	};
	char pressure[64];
	int failed;

	if (!mkdtemp(folder))
		return EXIT_FAILURE;
	snprintf(pressure, sizeof(pressure), "%s/pressure", folder);
	mkdir(pressure, 0700);
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	put("meminfo", NULL);
	put("pressure/memory", NULL);
	rmdir(pressure);
	rmdir(folder);
	return failed;
}
