/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Lines that connect to somebody else's socket, and again when that has closed.
 *
 * Each attempt that fails doubles the time to the next; a connection that is made sets it back.
 *
 * #syscalls getsockopt getsockname getpeername close
 * #syscalls [dial] socket connect
 * #syscalls [internet] socket connect
 */
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <unistd.h>

#include "hosted/backends/line_socket.h"

#define RETRY_MS_MAX     30000u
#define FIRST_PATIENCE_S 10

/* Begins to connect. Returns the socket, or -errno. */
static int begin(const struct pv_line_socket *line)
{
	int family = line->to.address.ss_family;
	int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int err;

	if (fd < 0)
		return -errno;
	if (connect(fd, (const struct sockaddr *)&line->to.address, line->to.bytes) == 0 ||
	    errno == EINPROGRESS)
		return fd;
	err = -errno;
	close(fd);
	return err;
}

/* Returns 0, or -errno: what became of it. */
static int outcome(int fd)
{
	socklen_t bytes = sizeof(int);
	int err = 0;

	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &bytes) < 0)
		return -errno;
	return -err;
}

/* On the loopback a client may be given the very port that it dials, and be its own peer then. */
static bool is_own_peer(int fd)
{
	struct sockaddr_storage own = { 0 }, peer = { 0 };
	socklen_t own_bytes = sizeof(own), peer_bytes = sizeof(peer);

	return getsockname(fd, (struct sockaddr *)&own, &own_bytes) == 0 &&
	       getpeername(fd, (struct sockaddr *)&peer, &peer_bytes) == 0 &&
	       own.ss_family != AF_UNIX && own_bytes == peer_bytes &&
	       memcmp(&own, &peer, own_bytes) == 0;
}

/* ---- again and again ---- */

static void dial_later(struct pv_line_socket *line)
{
	pv_timer_set(&line->timer, line->delay_ms * 1000000ull);
	if (line->delay_ms < RETRY_MS_MAX / 2)
		line->delay_ms *= 2;
	else if (line->delay_ms < RETRY_MS_MAX)
		line->delay_ms = RETRY_MS_MAX;
}

static void forget_watch(struct pv_line_socket *line)
{
	if (line->dial_watch)
		pv_loop_unwatch(line->fd.base.loop, line->dial_watch);
	line->dial_watch = NULL;
}

static void answered(void *arg, int events)
{
	struct pv_line_socket *line = arg;
	int fd = line->dial_fd;

	(void)events;
	forget_watch(line);
	line->dial_fd = -1;
	if (outcome(fd) == 0 && !is_own_peer(fd) && pv_line_take_on(line, fd) == 0)
		return;
	close(fd);
	dial_later(line);
}

/* What was connected at once is writable at once. */
static void dial(void *arg)
{
	struct pv_line_socket *line = arg;
	int fd = begin(line);

	if (fd >= 0)
		line->dial_watch = pv_loop_watch(line->fd.base.loop, fd, POLLOUT, answered, line);
	if (line->dial_watch) {
		line->dial_fd = fd;
		return;
	}
	if (fd >= 0)
		close(fd);
	dial_later(line);
}

void pv_line_dial_again(struct pv_line_socket *line)
{
	dial_later(line);
}

int pv_line_dial_start(struct pv_line_socket *line)
{
	int err = pv_timer_init(&line->timer, line->fd.base.loop, dial, line);

	if (err)
		return err;
	if (line->peer_fd < 0)
		dial(line);
	return 0;
}

void pv_line_dial_stop(struct pv_line_socket *line)
{
	forget_watch(line);
	if (line->dial_fd >= 0)
		close(line->dial_fd);
	line->dial_fd = -1;
	pv_timer_fini(&line->timer);
	line->timer.watch = NULL;
}

/* ---- once ---- */

static int wait_until_connected(int fd)
{
	struct pollfd state = { .fd = fd, .events = POLLOUT };
	int got;

	do
		got = poll(&state, 1, FIRST_PATIENCE_S * 1000);
	while (got < 0 && errno == EINTR);
	return got == 0 ? -ETIMEDOUT : outcome(fd);
}

int pv_line_dial_first(struct pv_line_socket *line, struct pv_line_opening *opening)
{
	int fd, err;

	if (line->reconnect_ms)
		return 0;
	fd = begin(line);
	err = fd < 0 ? fd : wait_until_connected(fd);
	if (!err) {
		line->peer_fd = fd;
		return 0;
	}
	if (fd >= 0)
		close(fd);
	return pv_refuse(&opening->refusal, err,
	                 "%s: cannot connect: %s; start the peer first, or give reconnect-ms",
	                 line->fd.base.text,
	                 err == -ECONNREFUSED ? "nobody listens there" : strerror(-err));
}
