/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Lines that end in stream sockets: who is at the other end.
 *
 * A server has one client; others are hung up at once.  A Unix socket's peer may end its own
 * direction, and still read: it is there until it has closed both.  Of a peer on the Internet that
 * cannot be told from one that has gone, and it is taken for that.
 *
 * What a peer sent before it left is read when the guest gets to it, while the next one may be
 * there already.  What a peer had not read when it left is lost.
 *
 * #syscalls accept4 poll shutdown recvmsg close newfstatat unlink setsockopt
 */
#define _GNU_SOURCE
#include "hosted/backends/line_socket.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <unistd.h>

#include "hosted/backends/socket.h"

/* ---- what was read from ---- */

static void read_from(struct pv_line_socket *line, int fd, bool is_ending)
{
	line->fd.in_fd = fd;
	line->fd.is_ending = is_ending;
	pv_line_set_input(&line->fd.base.line, fd >= 0);
}

/* The oldest connection that has something to read. */
static void read_oldest(struct pv_line_socket *line)
{
	if (line->pasts)
		read_from(line, line->past[0], true);
	else
		read_from(line, line->peer_fd, false);
}

static void forget_oldest(struct pv_line_socket *line)
{
	close(line->past[0]);
	line->pasts--;
	memmove(line->past, line->past + 1, line->pasts * sizeof(line->past[0]));
	read_oldest(line);
}

static bool has_left_something(int fd)
{
	uint8_t byte;
	struct iovec iov = { &byte, sizeof(byte) };
	struct msghdr message = { .msg_iov = &iov, .msg_iovlen = 1 };

	return recvmsg(fd, &message, MSG_PEEK | MSG_DONTWAIT) > 0;
}

/*
 * Of peers that come, send and leave while the guest reads nothing the last few are minded. Those
 * that only look whether somebody is here take no place.
 */
static void put_into_past(struct pv_line_socket *line, int fd)
{
	if (!has_left_something(fd)) {
		close(fd);
		read_oldest(line);
		return;
	}
	if (line->pasts == PV_LINE_PAST_MAX)
		forget_oldest(line);
	line->past[line->pasts++] = fd;
	read_oldest(line);
}

/* ---- who is there ---- */

static short state_of(int fd)
{
	struct pollfd state = { .fd = fd, .events = POLLRDHUP };

	return poll(&state, 1, 0) > 0 ? state.revents : 0;
}

static bool has_left(const struct pv_line_socket *line)
{
	short gone = POLLHUP | POLLERR | (line->is_unix ? 0 : POLLRDHUP);

	return line->peer_fd >= 0 && state_of(line->peer_fd) & gone;
}

static void hang_up(struct pv_line_fd *fd)
{
	struct pv_line_socket *line = (struct pv_line_socket *)fd;
	int peer = line->peer_fd;

	pv_line_fd_ignore(fd);
	line->peer_fd = -1;
	/* No more than was sent until now: a peer could send for ever. */
	shutdown(peer, SHUT_RDWR);
	put_into_past(line, peer);
	pv_line_fd_lose(fd);
	if (line->reconnect_ms)
		pv_line_dial_again(line);
}

static void seen(struct pv_line_fd *fd, int events)
{
	(void)events;
	if (has_left((struct pv_line_socket *)fd))
		hang_up(fd);
}

/* A peer that still reads is still there. */
static void input_ended(struct pv_line_fd *fd)
{
	struct pv_line_socket *line = (struct pv_line_socket *)fd;

	if (line->pasts)
		forget_oldest(line);
	else if (!line->is_unix || has_left(line))
		hang_up(fd);
}

static const struct pv_line_fd_ops ops = {
	.seen = seen,
	.input_ended = input_ended,
	.output_failed = hang_up,
};

int pv_line_take_on(struct pv_line_socket *line, int fd)
{
	if (pv_line_fd_watch(&line->fd, fd))
		return -ENOMEM;
	pv_line_address_tune(fd, line->is_unix);
	line->peer_fd = fd;
	line->fd.has_urgent = false;
	line->delay_ms = line->reconnect_ms;
	read_oldest(line);
	pv_line_fd_meet(&line->fd, fd);
	return 0;
}

/* ---- servers ---- */

static void refuse(struct pv_line_socket *line, int fd)
{
	close(fd);
	pv_line_count(&line->fd.base.counters.refused, 1);
}

static void receive_client(struct pv_line_socket *line, int fd)
{
	if (has_left(line))
		hang_up(&line->fd);
	if (line->peer_fd >= 0)
		refuse(line, fd);
	else if (pv_line_take_on(line, fd))
		close(fd);
}

static void knock(void *arg, int events)
{
	struct pv_line_socket *line = arg;
	int fd;

	(void)events;
	do {
		fd = accept4(line->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
		if (fd >= 0)
			receive_client(line, fd);
	} while (fd >= 0 || errno == ECONNABORTED || errno == EINTR);
}

/* ---- its life ---- */

static int start_listening(struct pv_line_socket *line)
{
	line->listen_watch =
		pv_loop_watch(line->fd.base.loop, line->listen_fd, POLLIN, knock, line);
	return line->listen_watch ? 0 : -ENOMEM;
}

/* One that was connected before becomes known now. */
static int start_connected(struct pv_line_socket *line)
{
	if (line->fd.out_fd >= 0)
		return pv_line_fd_watch(&line->fd, line->peer_fd);
	return pv_line_take_on(line, line->peer_fd);
}

static void stop(struct pv_line_base *base)
{
	struct pv_line_socket *line = (struct pv_line_socket *)base;

	if (line->listen_watch)
		pv_loop_unwatch(base->loop, line->listen_watch);
	line->listen_watch = NULL;
	pv_line_dial_stop(line);
	pv_line_fd_ignore(&line->fd);
}

static int start(struct pv_line_base *base)
{
	struct pv_line_socket *line = (struct pv_line_socket *)base;
	int err = 0;

	if (line->reconnect_ms)
		err = pv_line_dial_start(line);
	if (!err && line->listen_fd >= 0)
		err = start_listening(line);
	if (!err && line->peer_fd >= 0)
		err = start_connected(line);
	if (err)
		stop(base);
	return err;
}

static void close_if_open(int fd)
{
	if (fd >= 0)
		close(fd);
}

static void close_socket(struct pv_line_base *base)
{
	struct pv_line_socket *line = (struct pv_line_socket *)base;

	for (unsigned int i = 0; i < line->pasts; i++)
		close(line->past[i]);
	close_if_open(line->peer_fd);
	close_if_open(line->dial_fd);
	close_if_open(line->listen_fd);
	if (line->path)
		pv_socket_unlink(&line->place, line->path);
	free(line->path);
}

static const struct pv_line_kind_ops kind = {
	.start = start,
	.stop = stop,
	.rung = pv_line_fd_rung,
	.close = close_socket,
};

static int open_server(struct pv_line_socket *line, struct pv_line_opening *opening)
{
	const struct pv_line_options *options = opening->options;
	int fd = pv_line_address_listen(opening, &line->to, &line->place);

	if (fd < 0)
		return fd;
	line->listen_fd = fd;
	pv_line_address_name(&line->fd.base, options, fd, &line->to);
	if (!line->is_unix)
		return 0;
	line->path = strdup(options->path);
	return line->path ? 0 : pv_line_no_memory(opening);
}

/*
 * It is taken last, when nothing can fail any more, and marked as ours: what has that mark, our own
 * descriptors as well, nobody can have passed to us.
 */
static int open_passed(struct pv_line_socket *line, struct pv_line_opening *opening)
{
	int fd = opening->options->fd, is_listening = 0, domain = AF_UNIX;
	socklen_t bytes = sizeof(int);
	int err = pv_socket_check(&opening->refusal, fd, SOCK_STREAM);

	if (err)
		return err;
	getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &is_listening, &bytes);
	getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &bytes);
	line->is_unix = domain == AF_UNIX;
	if (fcntl(fd, F_GETFD) & FD_CLOEXEC)
		return pv_refuse(
			&opening->refusal, -EBUSY,
			"fd=%d: is the program's own; give one that was passed to it, once", fd);
	if (fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK) < 0 ||
	    fcntl(fd, F_SETFD, FD_CLOEXEC) < 0)
		return pv_refuse(&opening->refusal, -errno, "fd=%d: %s", fd, strerror(errno));
	snprintf(line->fd.base.text, sizeof(line->fd.base.text), "socket:fd=%d%s", fd,
	         is_listening ? ",server=on" : "");
	*(is_listening ? &line->listen_fd : &line->peer_fd) = fd;
	return 0;
}

static int open_named(struct pv_line_socket *line, struct pv_line_opening *opening)
{
	const struct pv_line_options *options = opening->options;
	int err = pv_line_address_find(opening, &line->to);

	if (err)
		return err;
	if (options->is_server)
		return open_server(line, opening);
	line->reconnect_ms = line->delay_ms = options->reconnect_ms;
	if (options->reconnect_ms)
		line->fd.base.needs = line->is_unix ? PV_LINE_NEEDS_DIAL : PV_LINE_NEEDS_INTERNET;
	pv_line_address_name(&line->fd.base, options, -1, &line->to);
	return pv_line_dial_first(line, opening);
}

int pv_line_socket_open(struct pv_line_opening *opening)
{
	const struct pv_line_options *options = opening->options;
	struct pv_line_socket *line = pv_line_fd_begin(opening, sizeof(*line), &ops, &kind);

	if (!line)
		return -ENOMEM;
	line->fd.is_socket = line->fd.ends_short = true;
	line->peer_fd = line->listen_fd = line->dial_fd = -1;
	line->is_unix = options->kind == PV_LINE_SOCKET;
	pv_line_waits_for_peer(&line->fd.base);
	if (line->is_unix && options->fd >= 0)
		return open_passed(line, opening);
	return open_named(line, opening);
}
