/* SPDX-License-Identifier: BSD-2-Clause */
#define _GNU_SOURCE
#include "hosted/backends/pty.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#define FOLDER "/dev/pts/"

static int refuse(const struct pv_refusal *refusal)
{
	return pv_refuse(refusal, -errno, "pty: none is to be had: %s", strerror(errno));
}

/* A terminal that was never open is not hung up: it is opened once. */
static bool make_raw(const char *path)
{
	int fd = open(path, O_RDWR | O_NOCTTY | O_CLOEXEC);
	struct termios raw;
	bool is_good;

	if (fd < 0)
		return false;
	is_good = tcgetattr(fd, &raw) == 0;
	cfmakeraw(&raw);
	is_good = is_good && tcsetattr(fd, TCSANOW, &raw) == 0;
	close(fd);
	return is_good;
}

int pv_pty_open(struct pv_pty *pty, const struct pv_refusal *refusal)
{
	pty->fd = posix_openpt(O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
	if (pty->fd < 0)
		return refuse(refusal);
	if (grantpt(pty->fd) == 0 && unlockpt(pty->fd) == 0 &&
	    ptsname_r(pty->fd, pty->path, sizeof(pty->path)) == 0 && make_raw(pty->path))
		return 0;
	return refuse(refusal);
}

void pv_pty_close(struct pv_pty *pty)
{
	if (pty->fd >= 0)
		close(pty->fd);
}

/* ---- links ---- */

/* Returns whether there is a link that says something. */
static bool read_link(const char *path, char target[static PATH_MAX])
{
	ssize_t bytes = readlink(path, target, PATH_MAX - 1);

	target[bytes > 0 ? bytes : 0] = '\0';
	return bytes > 0;
}

static bool may_be_replaced(const char *path)
{
	char target[PATH_MAX];

	if (!read_link(path, target))
		return false;
	return strncmp(target, FOLDER, strlen(FOLDER)) == 0 || access(path, F_OK) < 0;
}

/* Whoever opens it meanwhile finds the old one or the new one. */
static int replace(const struct pv_pty *pty, const char *path)
{
	char beside[PATH_MAX];
	int err;

	if (snprintf(beside, sizeof(beside), "%s.%d", path, (int)getpid()) >= (int)sizeof(beside))
		return -ENAMETOOLONG;
	if (symlink(pty->path, beside) < 0)
		return -errno;
	if (rename(beside, path) == 0)
		return 0;
	err = -errno;
	unlink(beside);
	return err;
}

int pv_pty_link(const struct pv_pty *pty, const char *path, const struct pv_refusal *refusal)
{
	int err = symlink(pty->path, path) < 0 ? -errno : 0;

	if (err == -EEXIST && may_be_replaced(path))
		err = replace(pty, path);
	if (!err)
		return 0;
	return pv_refuse(refusal, err, "pty=%s: cannot be made a link to %s: %s", path, pty->path,
	                 err == -EEXIST
	                         ? "something else is there; remove it or choose another path"
	                         : pv_why_not_made(err));
}

static bool leads_to(const struct pv_pty *pty, const char *path)
{
	char target[PATH_MAX];

	return read_link(path, target) && strcmp(target, pty->path) == 0;
}

/* Where a link leads is not enough: one that a dead program left may lead to a new terminal. */
bool pv_pty_has_link(const struct pv_pty *pty, const char *link, const char *path)
{
	struct stat ours, theirs;

	return leads_to(pty, path) && lstat(link, &ours) == 0 && lstat(path, &theirs) == 0 &&
	       ours.st_dev == theirs.st_dev && ours.st_ino == theirs.st_ino;
}

void pv_pty_unlink(const struct pv_pty *pty, const char *path)
{
	if (leads_to(pty, path))
		unlink(path);
}
