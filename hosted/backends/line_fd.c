/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Lines that end in descriptors: bytes go between them and the device's buffers without a copy.
 *
 * A descriptor that takes no more is waited for by a gate, which costs nothing while it does.
 *
 * #syscalls sendmsg recvmsg readv writev
 */
#define _GNU_SOURCE
#include "hosted/backends/line_fd.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/uio.h>

/* ---- one call ---- */

/* A pv_iov is laid out as an iovec. */
static struct iovec *as_iovec(const struct pv_iov *iov)
{
	return (struct iovec *)(uintptr_t)iov;
}

/* Returns the bytes, or -errno. */
static ssize_t put(const struct pv_line_fd *fd, const struct pv_iov *iov, uint16_t pieces)
{
	struct msghdr message = { .msg_iov = as_iovec(iov), .msg_iovlen = pieces };
	ssize_t sent;

	do
		sent = fd->is_socket ? sendmsg(fd->out_fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL)
		                     : writev(fd->out_fd, message.msg_iov, pieces);
	while (sent < 0 && errno == EINTR);
	return sent < 0 ? -errno : sent;
}

/*
 * Returns the bytes, 0: the end, or -errno. Descriptors that come along are not taken, but end what
 * one call reads.
 */
static ssize_t get(const struct pv_line_fd *fd, const struct pv_iov *iov, uint16_t pieces,
                   bool *is_cut)
{
	struct msghdr message = { .msg_iov = as_iovec(iov), .msg_iovlen = pieces };
	ssize_t got;

	do
		got = fd->is_socket ? recvmsg(fd->in_fd, &message, MSG_DONTWAIT)
		                    : readv(fd->in_fd, message.msg_iov, pieces);
	while (got < 0 && errno == EINTR);
	*is_cut = message.msg_flags & MSG_CTRUNC;
	return got < 0 ? -errno : got;
}

static uint16_t at_once(uint16_t pieces)
{
	return pieces < IOV_MAX ? pieces : IOV_MAX;
}

/* ---- writing ---- */

/* Without memory for a gate it is tried again at once. */
static void await_room(struct pv_line_fd *fd)
{
	fd->base.line.has_room = false;
	if (!pv_gate_shut(&fd->gate, fd->out_fd))
		pv_bell_ring(&fd->base.bell);
}

static size_t lose(struct pv_line_fd *fd, uint64_t bytes)
{
	pv_line_count(&fd->base.counters.dropped, bytes);
	return bytes;
}

/*
 * Writes what one call takes. Returns how many bytes are done with; when these are not all the line
 * has no room, or, with none of them, nobody is at its other end any more. Of memory of the
 * driver's that went away what was in it cannot be had.
 */
static size_t write_once(struct pv_line_fd *fd, const struct pv_iov *iov, uint16_t pieces)
{
	uint64_t bytes = pv_line_bytes(iov, pieces);
	ssize_t sent = put(fd, iov, pieces);

	if (sent < 0 && sent != -EAGAIN) {
		if (sent != -EFAULT)
			fd->ops->output_failed(fd);
		return fd->out_fd >= 0 ? lose(fd, bytes) : 0;
	}
	if (sent < 0 || (uint64_t)sent < bytes)
		await_room(fd);
	return sent < 0 ? 0 : (size_t)sent;
}

static bool can_write(const struct pv_line_fd *fd)
{
	return fd->out_fd >= 0 && fd->base.line.has_room;
}

static void write_kept(struct pv_line_fd *fd)
{
	struct pv_byte_ring *kept = &fd->base.kept;

	while (kept->bytes && can_write(fd)) {
		struct pv_iov iov[2];
		uint16_t pieces = pv_byte_ring_pieces(kept, iov);

		pv_byte_ring_skip(kept, write_once(fd, iov, pieces));
	}
	__atomic_store_n(&fd->base.counters.kept, kept->bytes, __ATOMIC_RELAXED);
}

size_t pv_line_fd_write(struct pv_line *line, const struct pv_iov *iov, uint16_t pieces)
{
	struct pv_line_fd *fd = (struct pv_line_fd *)line;
	size_t written = 0;

	if (fd->base.kept.bytes)
		write_kept(fd);
	while (pieces && can_write(fd)) {
		uint16_t some = at_once(pieces);

		written += write_once(fd, iov, some);
		if (!can_write(fd))
			break;
		iov += some;
		pieces -= some;
	}
	if (pieces && fd->out_fd < 0)
		written += pv_line_write_to_nobody(&fd->base, iov, pieces);
	return written;
}

static void has_room_again(void *arg, uint16_t number)
{
	struct pv_line_fd *fd = arg;

	(void)number;
	fd->base.line.has_room = true;
	write_kept(fd);
}

/* ---- reading ---- */

static size_t read_once(struct pv_line_fd *fd, const struct pv_iov *iov, uint16_t pieces)
{
	struct pv_line *line = &fd->base.line;
	bool is_cut;
	ssize_t got = get(fd, iov, pieces, &is_cut);

	if (got > 0) {
		if (fd->ends_short && !fd->has_urgent && !fd->is_ending && !is_cut)
			line->has_input = (uint64_t)got == pv_line_bytes(iov, pieces);
		return (size_t)got;
	}
	line->has_input = false;
	/* Memory of the driver's that went away is the driver's own loss, and that of time. */
	if (got != -EAGAIN && got != -EFAULT)
		fd->ops->input_ended(fd);
	return 0;
}

size_t pv_line_fd_read(struct pv_line *line, const struct pv_iov *iov, uint16_t pieces)
{
	struct pv_line_fd *fd = (struct pv_line_fd *)line;
	size_t got = 0;

	/* Each turn reads something, or ends something of which there is little. */
	while (got == 0 && line->has_input && fd->in_fd >= 0)
		got = read_once(fd, iov, at_once(pieces));
	if (got == 0)
		line->has_input = false;
	return got;
}

static const struct pv_line_ops line_ops = {
	.write = pv_line_fd_write,
	.read = pv_line_fd_read,
	.write_emergency = pv_line_write_emergency,
};

/* ---- who is there ---- */

/* A file that cannot be waited for is always ready. */
static void see(void *arg, int events)
{
	struct pv_line_fd *fd = arg;

	if (events > 0 && events & POLLPRI)
		fd->has_urgent = true;
	pv_line_set_input(&fd->base.line, true);
	if (fd->ops->seen)
		fd->ops->seen(fd, events);
}

int pv_line_fd_watch(struct pv_line_fd *fd, int watched)
{
	fd->watch = pv_loop_watch(fd->base.loop, watched, POLLIN | POLLPRI | POLLRDHUP, see, fd);
	return fd->watch ? 0 : -ENOMEM;
}

void pv_line_fd_ignore(struct pv_line_fd *fd)
{
	if (fd->watch)
		pv_loop_unwatch(fd->base.loop, fd->watch);
	fd->watch = NULL;
	if (fd->gate.watch)
		fd->base.line.has_room = true;
	pv_gate_fini(&fd->gate);
}

void pv_line_fd_meet(struct pv_line_fd *fd, int out_fd)
{
	fd->out_fd = out_fd;
	pv_line_peer_came(&fd->base);
	write_kept(fd);
}

void pv_line_fd_lose(struct pv_line_fd *fd)
{
	if (fd->out_fd < 0)
		return;
	pv_gate_fini(&fd->gate);
	fd->out_fd = -1;
	pv_line_peer_left(&fd->base);
}

void pv_line_fd_rung(struct pv_line_base *base)
{
	struct pv_line_fd *fd = (struct pv_line_fd *)base;

	if (fd->out_fd >= 0 && !fd->gate.watch && !base->line.has_room)
		has_room_again(fd, 0);
}

void *pv_line_fd_begin(struct pv_line_opening *opening, size_t bytes,
                       const struct pv_line_fd_ops *ops, const struct pv_line_kind_ops *kind)
{
	struct pv_line_fd *fd = pv_line_begin(opening, bytes, &line_ops, kind);

	if (!fd)
		return NULL;
	fd->ops = ops;
	fd->in_fd = fd->out_fd = -1;
	fd->gate = (struct pv_gate){ .loop = fd->base.loop, .opened = has_room_again, .arg = fd };
	return fd;
}
