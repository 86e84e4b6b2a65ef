/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A new pseudo terminal.
 *
 * Whoever opens its terminal is at the other end until the last has closed it. The kernel says when
 * that was, by a hang-up that lasts, but not when somebody opened it: that the terminal's file was
 * opened is told by inotify. What was read from nobody any more is there for who comes next, and
 * what was written before a hang-up is still read.
 *
 * #syscalls read poll ioctl readlink newfstatat unlink close
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "hosted/backends/line_fd.h"
#include "hosted/backends/pty.h"

struct line_pty {
	struct pv_line_fd fd;
	struct pv_pty pty;
	struct winsize size; /* as it was when we last looked */
	int opened_fd;       /* inotify */
	struct pv_watch *opened_watch;
	char *link;
};

static bool is_hung_up(const struct line_pty *line)
{
	struct pollfd state = { .fd = line->pty.fd };

	return poll(&state, 1, 0) > 0 && state.revents & POLLHUP;
}

/* Whoever uses the terminal may say at any time how large it is, and that is told to nobody. */
static void look_at_size(struct line_pty *line)
{
	struct winsize size;

	if (ioctl(line->pty.fd, TIOCGWINSZ, &size) < 0 ||
	    (size.ws_col == line->size.ws_col && size.ws_row == line->size.ws_row))
		return;
	line->size = size;
	pv_line_set_size(&line->fd.base, size.ws_col, size.ws_row);
}

static void look_who_is_there(struct line_pty *line)
{
	bool is_there = !is_hung_up(line);

	if (is_there)
		look_at_size(line);
	if (is_there && line->fd.out_fd < 0)
		pv_line_fd_meet(&line->fd, line->pty.fd);
	else if (!is_there)
		pv_line_fd_lose(&line->fd);
}

static void seen(struct pv_line_fd *fd, int events)
{
	(void)events;
	look_who_is_there((struct line_pty *)fd);
}

static void opened(void *arg, int events)
{
	struct line_pty *line = arg;
	char told[sizeof(struct inotify_event) * 16];

	(void)events;
	while (read(line->opened_fd, told, sizeof(told)) > 0)
		;
	pv_line_set_input(&line->fd.base.line, true);
	look_who_is_there(line);
}

/* The last one has closed the terminal, and all that he wrote was read. */
static void wait_for_next(struct pv_line_fd *fd)
{
	look_who_is_there((struct line_pty *)fd);
}

static const struct pv_line_fd_ops ops = {
	.seen = seen,
	.input_ended = wait_for_next,
	.output_failed = pv_line_fd_lose,
};

/* ---- its life ---- */

static int start(struct pv_line_base *base)
{
	struct line_pty *line = (struct line_pty *)base;

	line->opened_watch = pv_loop_watch(base->loop, line->opened_fd, POLLIN, opened, line);
	if (!line->opened_watch)
		return -ENOMEM;
	if (pv_line_fd_watch(&line->fd, line->pty.fd) == 0)
		return 0;
	pv_loop_unwatch(base->loop, line->opened_watch);
	return -ENOMEM;
}

static void stop(struct pv_line_base *base)
{
	struct line_pty *line = (struct line_pty *)base;

	pv_loop_unwatch(base->loop, line->opened_watch);
	pv_line_fd_ignore(&line->fd);
}

static void close_pty(struct pv_line_base *base)
{
	struct line_pty *line = (struct line_pty *)base;

	if (line->link)
		pv_pty_unlink(&line->pty, line->link);
	free(line->link);
	if (line->opened_fd >= 0)
		close(line->opened_fd);
	pv_pty_close(&line->pty);
}

static const struct pv_line_kind_ops kind = {
	.start = start,
	.stop = stop,
	.rung = pv_line_fd_rung,
	.close = close_pty,
};

static int watch_opening(struct line_pty *line, struct pv_line_opening *opening)
{
	line->opened_fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	if (line->opened_fd >= 0 &&
	    inotify_add_watch(line->opened_fd, line->pty.path, IN_OPEN) >= 0)
		return 0;
	return pv_refuse(&opening->refusal, -errno,
	                 "pty: cannot be watched: %s; raise fs.inotify.max_user_instances",
	                 strerror(errno));
}

static int make_link(struct line_pty *line, struct pv_line_opening *opening)
{
	const char *path = opening->options->path;
	int err;

	if (!path)
		return 0;
	err = pv_pty_link(&line->pty, path, &opening->refusal);
	if (err)
		return err;
	line->link = strdup(path);
	if (line->link)
		return 0;
	pv_pty_unlink(&line->pty, path);
	return pv_line_no_memory(opening);
}

int pv_line_pty_open(struct pv_line_opening *opening)
{
	struct line_pty *line = pv_line_fd_begin(opening, sizeof(*line), &ops, &kind);
	int err;

	if (!line)
		return -ENOMEM;
	line->opened_fd = -1;
	err = pv_pty_open(&line->pty, &opening->refusal);
	if (!err)
		err = watch_opening(line, opening);
	if (!err)
		err = make_link(line, opening);
	if (err)
		return err;
	line->fd.in_fd = line->pty.fd;
	pv_line_waits_for_peer(&line->fd.base);
	snprintf(line->fd.base.text, sizeof(line->fd.base.text), "pty:%s", line->pty.path);
	return 0;
}

const char *pv_line_pty(const struct pv_line *line)
{
	const struct pv_line_base *base = (const struct pv_line_base *)line;

	return base->kind == &kind ? ((const struct line_pty *)line)->pty.path : NULL;
}

bool pv_line_pty_has_link(const struct pv_line *line, const char *path)
{
	const struct line_pty *pty = (const struct line_pty *)line;

	return pv_line_pty(line) && pty->link && pv_pty_has_link(&pty->pty, pty->link, path);
}
