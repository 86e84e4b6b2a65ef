/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * #syscalls pread64 close
 */
#define _GNU_SOURCE
#include "hosted/backends/lifetime.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "ring/err.h"

#define LIFE_TIME_MAX 11u /* all of the life expected is used up */
#define PRE_EOL_MAX   3u  /* urgent */

static int open_in(const char *folder, const char *name)
{
	char path[256];

	if (snprintf(path, sizeof(path), "%s/%s", folder, name) >= (int)sizeof(path))
		return -1;
	return open(path, O_RDONLY | O_CLOEXEC);
}

static void close_one(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

bool pv_lifetime_open(struct pv_lifetime_files *files, const char *folder)
{
	files->life_time_fd = open_in(folder, "life_time");
	files->pre_eol_fd = open_in(folder, "pre_eol_info");
	if (files->life_time_fd >= 0 && files->pre_eol_fd >= 0)
		return true;
	pv_lifetime_close(files);
	return false;
}

void pv_lifetime_close(struct pv_lifetime_files *files)
{
	close_one(&files->life_time_fd);
	close_one(&files->pre_eol_fd);
}

/* Returns how many numbers there are, at most two. */
static int read_numbers(int fd, unsigned int number[static 2])
{
	char text[32];
	ssize_t bytes = pread(fd, text, sizeof(text) - 1, 0);

	if (bytes <= 0)
		return 0;
	text[bytes] = '\0';
	/* No number of more digits than it can hold. */
	return sscanf(text, "0x%8x 0x%8x", &number[0], &number[1]);
}

static uint16_t known(unsigned int number, unsigned int max)
{
	return number <= max ? (uint16_t)number : 0;
}

int pv_lifetime_read(const struct pv_lifetime_files *files, struct pv_blk_lifetime *lifetime)
{
	unsigned int life_time[2], pre_eol[2];

	if (read_numbers(files->life_time_fd, life_time) != 2 ||
	    read_numbers(files->pre_eol_fd, pre_eol) < 1)
		return -PV_EIO;
	*lifetime = (struct pv_blk_lifetime){
		.pre_eol_info = known(pre_eol[0], PRE_EOL_MAX),
		.type_a = known(life_time[0], LIFE_TIME_MAX),
		.type_b = known(life_time[1], LIFE_TIME_MAX),
	};
	return 0;
}
