/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * #syscalls unlink close
 */
#define _GNU_SOURCE
#include "hosted/control/pidfile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "hosted/backends/refuse.h"

static bool cannot_have(const char *path, int error, char sentence[static PV_SENTENCE_BYTES])
{
	if (error == EAGAIN || error == EACCES)
		return pv_sentence_wrong(sentence,
		                         "option '--pidfile': %s is that of a program that runs; "
		                         "end it, or choose another file",
		                         path);
	return pv_sentence_wrong(sentence, "option '--pidfile': %s: %s", path, strerror(error));
}

static int lock(int fd)
{
	const struct flock whole = { .l_type = F_WRLCK, .l_whence = SEEK_SET };

	return fcntl(fd, F_SETLK, &whole) < 0 ? errno : 0;
}

static int write_pid(int fd)
{
	char text[16];
	int bytes = snprintf(text, sizeof(text), "%d\n", (int)getpid());

	if (ftruncate(fd, 0) < 0)
		return errno;
	return write(fd, text, (size_t)bytes) == bytes ? 0 : ENOSPC;
}

bool pv_pidfile_open(struct pv_pidfile *file, const char *path,
                     char sentence[static PV_SENTENCE_BYTES])
{
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0644);
	int error;

	if (fd < 0)
		return pv_sentence_wrong(sentence, "option '--pidfile': %s: %s", path,
		                         pv_why_not_made(-errno));
	error = lock(fd);
	if (error) {
		close(fd);
		return cannot_have(path, error, sentence);
	}
	*file = (struct pv_pidfile){ path, fd };
	error = write_pid(fd);
	if (!error)
		return true;
	pv_pidfile_close(file);
	return cannot_have(path, error, sentence);
}

void pv_pidfile_close(struct pv_pidfile *file)
{
	if (file->fd < 0)
		return;
	unlink(file->path);
	close(file->fd);
	file->fd = -1;
}
