/* SPDX-License-Identifier: BSD-2-Clause */
/* What the kernel's files say of a medium's wear, or fail to say: a folder made up for the test. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "hosted/backends/lifetime.h"
#include "ring/err.h"

static char folder[64];

static void path_of(const char *name, char path[static 128])
{
	snprintf(path, 128, "%s/%s", folder, name);
}

/* In place, so that a file that is open says it too. */
static void put(const char *name, const char *text)
{
	char path[128];
	int fd;

	path_of(name, path);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
}

static void take_away(const char *name)
{
	char path[128];

	path_of(name, path);
	unlink(path);
}

static int setup(void **state)
{
	(void)state;
	snprintf(folder, sizeof(folder), "pv-lifetime-XXXXXX");
	return mkdtemp(folder) ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	take_away("life_time");
	take_away("pre_eol_info");
	return rmdir(folder);
}

static void expect(const struct pv_lifetime_files *files, unsigned int pre_eol, unsigned int type_a,
                   unsigned int type_b)
{
	struct pv_blk_lifetime lifetime = { 99, 99, 99 };

	assert_int_equal(pv_lifetime_read(files, &lifetime), 0);
	assert_int_equal(lifetime.pre_eol_info, pre_eol);
	assert_int_equal(lifetime.type_a, type_a);
	assert_int_equal(lifetime.type_b, type_b);
}

static void what_the_files_say_is_told_as_it_changes(void **state)
{
	struct pv_lifetime_files files;

	(void)state;
	put("life_time", "0x01 0x02\n");
	put("pre_eol_info", "0x01\n");
	assert_true(pv_lifetime_open(&files, folder));
	expect(&files, 1, 1, 2);
	put("life_time", "0x0a 0x0b\n");
	put("pre_eol_info", "0x03\n");
	expect(&files, 3, 10, 11);
	pv_lifetime_close(&files);
}

static void what_has_no_meaning_is_not_known(void **state)
{
	struct pv_lifetime_files files;

	(void)state;
	put("life_time", "0x0c 0xff\n");
	put("pre_eol_info", "0x04\n");
	assert_true(pv_lifetime_open(&files, folder));
	expect(&files, 0, 0, 0);
	put("life_time", "0x10001 0xfffffffe\n");
	put("pre_eol_info", "0x00\n");
	expect(&files, 0, 0, 0);
	pv_lifetime_close(&files);
}

static void what_is_no_number_is_an_error(void **state)
{
	const char *const life_times[] = { "", "\n", "0x01\n", "worn\n", "0x01 worn\n" };
	struct pv_lifetime_files files;
	struct pv_blk_lifetime lifetime;

	(void)state;
	put("pre_eol_info", "0x01\n");
	for (size_t i = 0; i < sizeof(life_times) / sizeof(life_times[0]); i++) {
		put("life_time", life_times[i]);
		assert_true(pv_lifetime_open(&files, folder));
		assert_int_equal(pv_lifetime_read(&files, &lifetime), -PV_EIO);
		pv_lifetime_close(&files);
	}
	put("life_time", "0x01 0x01\n");
	put("pre_eol_info", "fine\n");
	assert_true(pv_lifetime_open(&files, folder));
	assert_int_equal(pv_lifetime_read(&files, &lifetime), -PV_EIO);
	pv_lifetime_close(&files);
}

/* As for a device that was pulled out: its files stay open and cannot be read. */
static void what_cannot_be_read_any_more_is_an_error(void **state)
{
	struct pv_lifetime_files files;
	struct pv_blk_lifetime lifetime;

	(void)state;
	put("life_time", "0x01 0x02\n");
	put("pre_eol_info", "0x01\n");
	assert_true(pv_lifetime_open(&files, folder));
	close(files.life_time_fd);
	files.life_time_fd = open(folder, O_RDONLY | O_CLOEXEC); /* a folder: EISDIR */
	assert_int_equal(pv_lifetime_read(&files, &lifetime), -PV_EIO);
	pv_lifetime_close(&files);
}

static void a_device_without_both_files_has_no_lifetime(void **state)
{
	struct pv_lifetime_files files;

	(void)state;
	assert_false(pv_lifetime_open(&files, folder));
	put("life_time", "0x01 0x02\n");
	assert_false(pv_lifetime_open(&files, folder));
	assert_int_equal(files.life_time_fd, -1);
	take_away("life_time");
	put("pre_eol_info", "0x01\n");
	assert_false(pv_lifetime_open(&files, folder));
	assert_int_equal(files.pre_eol_fd, -1);
}

#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_FOLDER(what_the_files_say_is_told_as_it_changes),
		IN_FOLDER(what_has_no_meaning_is_not_known),
		IN_FOLDER(what_is_no_number_is_an_error),
		IN_FOLDER(what_cannot_be_read_any_more_is_an_error),
		IN_FOLDER(a_device_without_both_files_has_no_lifetime),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
