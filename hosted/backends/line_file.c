/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Lines that end in files and in named pipes.
 *
 * A file takes everything; what finds no place on its disk is lost, and counted.
 *
 * Named pipes are called as QEMU calls them: PATH.in leads to the guest, PATH.out comes from it.
 * Both ends of each are ours as well, so that nobody who comes and goes is noticed: what is written
 * while nobody reads waits in the pipe, and then with the guest.
 *
 * #syscalls close
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "hosted/backends/line_fd.h"
#include "hosted/loop/log.h"

/* A few long writes. What all of a user's pipes may hold is limited. */
#define PIPE_BYTES (1 << 18)

struct line_file {
	struct pv_line_fd fd;
	struct pv_log_pace log_pace;
};

/* ---- both ---- */

static void input_ended(struct pv_line_fd *fd)
{
	fd->in_fd = -1;
}

static int start(struct pv_line_base *base)
{
	struct pv_line_fd *fd = (struct pv_line_fd *)base;

	return fd->in_fd >= 0 ? pv_line_fd_watch(fd, fd->in_fd) : 0;
}

static void stop(struct pv_line_base *base)
{
	pv_line_fd_ignore((struct pv_line_fd *)base);
}

static void close_file(struct pv_line_base *base)
{
	struct pv_line_fd *fd = (struct pv_line_fd *)base;

	if (fd->in_fd >= 0)
		close(fd->in_fd);
	if (fd->out_fd >= 0)
		close(fd->out_fd);
}

static const struct pv_line_kind_ops kind = {
	.start = start,
	.stop = stop,
	.rung = pv_line_fd_rung,
	.close = close_file,
};

/* ---- files ---- */

static void output_failed(struct pv_line_fd *fd)
{
	struct line_file *file = (struct line_file *)fd;
	char text[256];

	snprintf(text, sizeof(text), "%s: the file takes no more: %s; what is written is lost",
	         fd->base.name, strerror(errno));
	pv_log_paced(&file->log_pace, "serial", PV_LOG_WARNING, text);
}

static const struct pv_line_fd_ops ops = {
	.input_ended = input_ended,
	.output_failed = output_failed,
};

static int open_path(struct pv_line_opening *opening, const char *path, int flags)
{
	const char *key = opening->options->kind == PV_LINE_FILE ? "file" : "pipe";
	int fd = open(path, flags | O_NONBLOCK | O_CLOEXEC | O_NOCTTY, 0666);
	int err = -errno;

	if (fd >= 0)
		return fd;
	return pv_refuse(&opening->refusal, err, "%s=%s: %s", key, path,
	                 flags & O_CREAT ? pv_why_not_made(err) : pv_why_not_opened(err));
}

/* What is no file of a disk may be one that is read by somebody later: a pipe would refuse that. */
int pv_line_file_open(struct pv_line_opening *opening)
{
	const struct pv_line_options *options = opening->options;
	int how = options->is_appending ? O_APPEND : O_TRUNC;
	struct line_file *file;

	if (!options->path)
		return pv_refuse(&opening->refusal, -EINVAL, "file: the path is missing");
	file = pv_line_fd_begin(opening, sizeof(*file), &ops, &kind);
	if (!file)
		return -ENOMEM;
	file->fd.out_fd = open_path(opening, options->path, O_WRONLY | O_CREAT | how);
	if (file->fd.out_fd < 0)
		return file->fd.out_fd;
	pv_line_is_always_there(&file->fd.base);
	snprintf(file->fd.base.text, sizeof(file->fd.base.text), "file");
	return 0;
}

/* ---- named pipes ---- */

static int refuse_pipe(struct pv_line_opening *opening, const char *path, int err)
{
	return pv_refuse(&opening->refusal, err, "pipe=%s: there is no pipe %s; make it: mkfifo %s",
	                 opening->options->path, path, path);
}

/* It may hold more than the kernel gives at first; where that is refused it holds less. */
static int open_pipe(struct pv_line_opening *opening, const char *path)
{
	struct stat is;
	int fd;

	if (stat(path, &is) < 0 || !S_ISFIFO(is.st_mode))
		return refuse_pipe(opening, path, -ENOENT);
	fd = open_path(opening, path, O_RDWR);
	if (fd >= 0)
		fcntl(fd, F_SETPIPE_SZ, PIPE_BYTES);
	return fd;
}

static int open_pair(struct line_file *pipe, struct pv_line_opening *opening)
{
	const char *path = opening->options->path;
	char name[PATH_MAX];

	snprintf(name, sizeof(name), "%s.in", path);
	pipe->fd.in_fd = open_pipe(opening, name);
	if (pipe->fd.in_fd < 0)
		return pipe->fd.in_fd;
	snprintf(name, sizeof(name), "%s.out", path);
	pipe->fd.out_fd = open_pipe(opening, name);
	return pipe->fd.out_fd < 0 ? pipe->fd.out_fd : 0;
}

static int open_one(struct line_file *pipe, struct pv_line_opening *opening)
{
	pipe->fd.out_fd = open_pipe(opening, opening->options->path);
	return pipe->fd.out_fd < 0 ? pipe->fd.out_fd : 0;
}

int pv_line_pipe_open(struct pv_line_opening *opening)
{
	const char *path = opening->options->path;
	struct line_file *pipe;
	int err;

	if (!path || strlen(path) > PATH_MAX - sizeof(".out"))
		return pv_refuse(&opening->refusal, -EINVAL, "pipe: the path is missing");
	if (opening->options->on_closed != PV_LINE_WAIT)
		return pv_refuse(&opening->refusal, -EINVAL,
		                 "on-closed: of a pipe it cannot be told whether somebody reads; "
		                 "leave it at wait");
	pipe = pv_line_fd_begin(opening, sizeof(*pipe), &ops, &kind);
	if (!pipe)
		return -ENOMEM;
	pipe->fd.ends_short = true;
	err = access(path, F_OK) == 0 ? open_one(pipe, opening) : open_pair(pipe, opening);
	if (err)
		return err;
	pv_line_is_always_there(&pipe->fd.base);
	snprintf(pipe->fd.base.text, sizeof(pipe->fd.base.text), "pipe:%.240s", path);
	return 0;
}
