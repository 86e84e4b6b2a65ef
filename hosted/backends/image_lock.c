/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * #syscalls fcntl
 */
#define _GNU_SOURCE
#include "hosted/backends/image_lock.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#define FIRST_DONE     100
#define FIRST_EXCLUDED 200

/*
 * What is done with an image, by the numbers of QEMU's permissions. There are more of them; a disk
 * of QEMU's own uses these two, and who resizes an image must write too.
 */
enum deed {
	READ_CONSISTENTLY,
	WRITE,
	DEEDS,
};

#define BIT(deed) (1u << (deed))

static struct flock byte_at(short type, int start, int bytes)
{
	return (struct flock){
		.l_type = type, .l_whence = SEEK_SET, .l_start = start, .l_len = bytes
	};
}

static int lock(int fd, int first, unsigned int deeds)
{
	for (int i = 0; i < DEEDS; i++) {
		struct flock byte = byte_at(F_RDLCK, first + i, 1);

		if (deeds & BIT(i) && fcntl(fd, F_OFD_SETLK, &byte))
			return -errno;
	}
	return 0;
}

/* A look whether anybody else holds one of these: a lock that would conflict with theirs is tried.
 */
static int look(int fd, int first, unsigned int deeds)
{
	for (int i = 0; i < DEEDS; i++) {
		struct flock byte = byte_at(F_WRLCK, first + i, 1);

		if (!(deeds & BIT(i)))
			continue;
		if (fcntl(fd, F_OFD_GETLK, &byte))
			return -errno;
		if (byte.l_type != F_UNLCK)
			return -EAGAIN;
	}
	return 0;
}

int pv_image_lock(int fd, bool is_writer)
{
	const unsigned int done = BIT(READ_CONSISTENTLY) | (is_writer ? BIT(WRITE) : 0);
	const unsigned int excluded = BIT(WRITE);
	int err = lock(fd, FIRST_DONE, done);

	if (!err)
		err = lock(fd, FIRST_EXCLUDED, excluded);
	if (!err)
		err = look(fd, FIRST_EXCLUDED, done);
	if (!err)
		err = look(fd, FIRST_DONE, excluded);
	if (err)
		pv_image_unlock(fd);
	return err;
}

void pv_image_unlock(int fd)
{
	struct flock all = byte_at(F_UNLCK, FIRST_DONE, FIRST_EXCLUDED + DEEDS - FIRST_DONE);

	(void)fcntl(fd, F_OFD_SETLK, &all);
}
