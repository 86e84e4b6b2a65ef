/* SPDX-License-Identifier: BSD-2-Clause */
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/support/descriptors.h"

int descriptors_open(void)
{
	DIR *dir = opendir("/proc/self/fd");
	int descriptors = 0;

	assert_non_null(dir);
	while (readdir(dir))
		descriptors++;
	closedir(dir);
	return descriptors;
}
