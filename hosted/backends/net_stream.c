/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The wire of a stream: its connection, and what is sent on it.  Each frame follows its length,
 * 32 bits big-endian: QEMU's `-netdev stream` and passt speak so.
 *
 * A call may send part of a frame.  The rest is kept, and goes before anything else, so that the
 * stream stays whole.  While there is no peer frames are lost, and counted.  Lanes of several pairs
 * may send: the connection has a lock.
 *
 * #syscalls accept4 shutdown sendmsg newfstatat unlink close
 * #syscalls [dial] socket connect
 */
#define _GNU_SOURCE
#include "hosted/backends/net_stream.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ring/err.h"

#define BATCH        32u
#define RETRY_MS_MAX 30000u

/* ---- sending ---- */

/* What goes with one call. */
struct batch {
	struct iovec iov[BATCH * 4 + 1 + PV_WIRE_PIECES_MAX];
	uint32_t length[BATCH]; /* as it is sent */
	int iovs;
	uint16_t frames;
};

static void put_rest(struct batch *batch, struct pv_stream *stream)
{
	batch->iovs = 0;
	batch->frames = 0;
	if (stream->rest_bytes)
		batch->iov[batch->iovs++] =
			(struct iovec){ stream->rest + stream->rest_first, stream->rest_bytes };
}

static void put_frame(struct batch *batch, const struct pv_net_frame *frame)
{
	uint32_t *length = &batch->length[batch->frames++];

	pv_bug_on(frame->pieces > PV_WIRE_PIECES_MAX);
	*length = __builtin_bswap32(frame->bytes);
	batch->iov[batch->iovs++] = (struct iovec){ length, sizeof(*length) };
	/* A pv_iov is laid out as an iovec. */
	memcpy(&batch->iov[batch->iovs], frame->iov, frame->pieces * sizeof(*frame->iov));
	batch->iovs += frame->pieces;
}

static void put_frames(struct batch *batch, const struct pv_net_frame *frame, uint16_t frames)
{
	const int enough = (int)(sizeof(batch->iov) / sizeof(batch->iov[0])) - 1;

	for (uint16_t i = 0; i < frames && i < BATCH; i++) {
		if (batch->iovs + frame[i].pieces > enough)
			return;
		put_frame(batch, &frame[i]);
	}
}

/* Keeps what has not gone of the frame of which `sent` bytes have, its length included. */
static void keep_rest(struct pv_stream *stream, const struct pv_net_frame *frame, size_t sent)
{
	uint32_t length = __builtin_bswap32(frame->bytes);

	memcpy(stream->rest, &length, sizeof(length));
	pv_wire_gather(stream->rest + sizeof(length), frame);
	stream->rest_first = (uint32_t)sent;
	stream->rest_bytes = (uint32_t)(sizeof(length) + frame->bytes - sent);
}

/* So many bytes of a batch went. Returns how many of its frames are done with. */
static uint16_t account(struct pv_stream *stream, const struct batch *batch,
                        const struct pv_net_frame *frame, size_t sent)
{
	size_t of_rest = sent < stream->rest_bytes ? sent : stream->rest_bytes;
	uint16_t i = 0;

	stream->rest_first += (uint32_t)of_rest;
	stream->rest_bytes -= (uint32_t)of_rest;
	sent -= of_rest;
	for (; i < batch->frames && sent; i++) {
		size_t bytes = sizeof(uint32_t) + frame[i].bytes;

		if (sent < bytes) {
			keep_rest(stream, &frame[i], sent);
			return i + 1;
		}
		sent -= bytes;
	}
	return i;
}

/*
 * Sends frames, as many as one call takes. Returns how many are done with, or -errno. Something of
 * them remains only when no more fits.
 */
static int send_batch(struct pv_stream *stream, const struct pv_net_frame *frame, uint16_t frames)
{
	struct batch batch;
	struct msghdr message = { .msg_iov = batch.iov };
	ssize_t sent;

	put_rest(&batch, stream);
	put_frames(&batch, frame, frames);
	message.msg_iovlen = (size_t)batch.iovs;
	do
		sent = sendmsg(stream->fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
	while (sent < 0 && errno == EINTR);
	return sent < 0 ? -errno : account(stream, &batch, frame, (size_t)sent);
}

static uint16_t lose(struct pv_stream *stream, uint16_t frames)
{
	pv_wire_count(&stream->wire.counters.lost, frames);
	return frames;
}

/* Receiving takes what there is, and then hangs up. */
static void end_sending(struct pv_stream *stream)
{
	stream->is_deaf = true;
	stream->rest_bytes = 0;
	shutdown(stream->fd, SHUT_RDWR);
}

/*
 * The call failed with no byte sent. Memory of the driver's that went away costs one frame; what is
 * not want of room is the end of the connection.
 */
static uint16_t mind_failure(struct pv_stream *stream, struct pv_gate *gate, int err,
                             uint16_t frames)
{
	if (err == -EAGAIN && pv_gate_shut(gate, stream->fd))
		return 0;
	if (err == -EFAULT && frames)
		return lose(stream, 1);
	end_sending(stream);
	return lose(stream, frames);
}

/* Whatever remains of a frame goes as soon as it can, be there another one or not. */
static uint16_t send_locked(struct pv_stream *stream, struct pv_gate *gate,
                            const struct pv_net_frame *frame, uint16_t frames)
{
	uint16_t done = 0;

	while ((done < frames || stream->rest_bytes) && !gate->watch) {
		int sent;

		if (stream->fd < 0 || stream->is_deaf)
			return done + lose(stream, frames - done);
		sent = send_batch(stream, frame + done, frames - done);
		if (sent < 0)
			done += mind_failure(stream, gate, sent, frames - done);
		else
			done += (uint16_t)sent;
	}
	return done;
}

static void send_rest(void *arg, uint16_t pair)
{
	static const struct pv_net_frame none;
	struct pv_stream *stream = arg;

	pthread_mutex_lock(&stream->lock);
	send_locked(stream, &stream->gate[pair], &none, 0);
	pthread_mutex_unlock(&stream->lock);
}

static uint16_t send_frames(struct pv_net_wire *net, uint16_t pair,
                            const struct pv_net_frame *frame, uint16_t frames)
{
	struct pv_stream *stream = (struct pv_stream *)net;
	struct pv_gate *gate = &stream->gate[pair];
	uint16_t done;

	if (gate->watch)
		return 0;
	pthread_mutex_lock(&stream->lock);
	done = send_locked(stream, gate, frame, frames);
	pthread_mutex_unlock(&stream->lock);
	return done;
}

/* ---- the connection: pair 0's loop ---- */

/*
 * Whether or not the device asks for frames, that the peer left is found out as far as what it sent
 * before can be read ahead.
 */
static void see(void *arg, int events)
{
	struct pv_stream *stream = arg;

	stream->is_readable = true;
	if (events > 0 && !(events & (POLLHUP | POLLRDHUP | POLLERR)))
		return;
	stream->is_ending = true;
	while (stream->is_readable && pv_stream_fill(stream))
		;
}

/* Takes a connection on. Returns 0 or -errno. */
static int take_on(struct pv_stream *stream, int fd)
{
	struct pv_watch *watch = pv_loop_watch(stream->loop, fd, POLLIN | POLLRDHUP, see, stream);

	if (!watch)
		return -ENOMEM;
	pthread_mutex_lock(&stream->lock);
	stream->fd = fd;
	stream->is_deaf = false;
	pthread_mutex_unlock(&stream->lock);
	stream->watch = watch;
	stream->is_ending = false;
	stream->delay_ms = stream->reconnect_ms;
	return 0;
}

static void meet_again(struct pv_stream *stream, int fd)
{
	if (take_on(stream, fd))
		close(fd);
	else
		pv_wire_count(&stream->wire.counters.reconnects, 1);
}

static void accept_next(struct pv_stream *stream)
{
	int fd;

	if (stream->fd >= 0)
		return;
	fd = accept4(stream->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (fd >= 0)
		meet_again(stream, fd);
}

static void knock(void *arg, int events)
{
	(void)events;
	accept_next(arg);
}

/* Returns the connected socket or -errno. */
static int dial(const struct pv_stream *stream)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int err;

	if (fd < 0)
		return -errno;
	err = pv_socket_connect(fd, stream->path);
	if (!err)
		return fd;
	close(fd);
	return err;
}

static void dial_later(struct pv_stream *stream)
{
	pv_timer_set(&stream->timer, stream->delay_ms * 1000000ull);
	if (stream->delay_ms < RETRY_MS_MAX / 2)
		stream->delay_ms *= 2;
	else if (stream->delay_ms < RETRY_MS_MAX)
		stream->delay_ms = RETRY_MS_MAX;
}

static void dial_again(void *arg)
{
	struct pv_stream *stream = arg;
	int fd = dial(stream);

	if (fd >= 0)
		meet_again(stream, fd);
	if (stream->fd < 0)
		dial_later(stream);
}

/* Lanes may be waiting for room on the connection: once it is shut down they wait no more. */
void pv_stream_hang_up(struct pv_stream *stream)
{
	pv_loop_unwatch(stream->loop, stream->watch);
	stream->watch = NULL;
	stream->is_readable = false;
	pthread_mutex_lock(&stream->lock);
	shutdown(stream->fd, SHUT_RDWR);
	close(stream->fd);
	stream->fd = -1;
	stream->rest_bytes = 0;
	pthread_mutex_unlock(&stream->lock);
	if (stream->listen_fd >= 0)
		accept_next(stream);
	else if (stream->reconnect_ms)
		dial_later(stream);
}

/* ---- opening and closing ---- */

static void close_stream(struct pv_wire *wire)
{
	struct pv_stream *stream = (struct pv_stream *)wire;

	if (stream->watch)
		pv_loop_unwatch(stream->loop, stream->watch);
	if (stream->listen_watch)
		pv_loop_unwatch(stream->loop, stream->listen_watch);
	pv_timer_fini(&stream->timer);
	pv_wire_gates_destroy(stream->gate, stream->pairs);
	if (stream->fd >= 0)
		close(stream->fd);
	if (stream->listen_fd >= 0) {
		close(stream->listen_fd);
		pv_socket_unlink(&stream->place, stream->path);
	}
	pthread_mutex_destroy(&stream->lock);
	free(stream->path);
	free(stream->in);
	free(stream);
}

static const struct pv_net_wire_ops ops = {
	.send = send_frames,
	.receive = pv_stream_receive,
};

static struct pv_stream *create(const struct pv_net_wire_options *options)
{
	struct pv_stream *stream = calloc(1, sizeof(*stream));

	if (!stream)
		return NULL;
	stream->wire.net = (struct pv_net_wire){ .ops = &ops, .sources = 1 };
	stream->wire.close = close_stream;
	/* Servers, and descriptors that were passed, dial nobody. */
	if (!options->is_server && !options->fds && options->reconnect_ms)
		stream->wire.needs = PV_NET_WIRE_NEEDS_DIAL;
	stream->pairs = options->pairs;
	stream->loop = pv_wire_loop(options, 0);
	stream->fd = stream->listen_fd = -1;
	stream->reconnect_ms = stream->delay_ms = options->reconnect_ms;
	pthread_mutex_init(&stream->lock, NULL);
	stream->gate = pv_wire_gates_create(options, send_rest, stream);
	stream->in = malloc(PV_STREAM_IN_BYTES);
	stream->path = options->path ? strdup(options->path) : NULL;
	if (stream->gate && stream->in && (stream->path || !options->path))
		return stream;
	close_stream(&stream->wire);
	return NULL;
}

static int no_memory(struct pv_wire_opening *opening)
{
	return pv_wire_refuse(opening, -ENOMEM, "no memory for the network");
}

static int open_server(struct pv_stream *stream, struct pv_wire_opening *opening)
{
	int fd = pv_socket_bind(&opening->refusal, SOCK_STREAM, "path", stream->path,
	                        &stream->place);

	if (fd < 0)
		return fd;
	stream->listen_fd = fd;
	if (listen(fd, 1) < 0)
		return pv_wire_refuse(opening, -errno, "path=%s: cannot listen: %s", stream->path,
		                      strerror(errno));
	stream->listen_watch = pv_loop_watch(stream->loop, fd, POLLIN, knock, stream);
	return stream->listen_watch ? 0 : no_memory(opening);
}

static int open_client(struct pv_stream *stream, struct pv_wire_opening *opening)
{
	int fd, err;

	if (stream->reconnect_ms && pv_timer_init(&stream->timer, stream->loop, dial_again, stream))
		return no_memory(opening);
	fd = dial(stream);
	if (fd < 0 && !stream->reconnect_ms)
		return pv_wire_refuse(opening, fd,
		                      "path=%s: cannot connect: %s; start the peer first, or give "
		                      "reconnect-ms",
		                      stream->path,
		                      fd == -ECONNREFUSED ? "nobody listens there" : strerror(-fd));
	if (fd < 0) {
		dial_later(stream);
		return 0;
	}
	err = take_on(stream, fd);
	if (err)
		close(fd);
	return err ? no_memory(opening) : 0;
}

static int open_kind(struct pv_stream *stream, struct pv_wire_opening *opening)
{
	const struct pv_net_wire_options *options = opening->options;
	int err;

	if (options->fds) {
		snprintf(stream->wire.text, sizeof(stream->wire.text), "stream socket %d",
		         options->fd[0]);
		err = pv_socket_check(&opening->refusal, options->fd[0], SOCK_STREAM);
		if (err)
			return err;
		return take_on(stream, options->fd[0]) ? no_memory(opening) : 0;
	}
	snprintf(stream->wire.text, sizeof(stream->wire.text), "stream socket %s", stream->path);
	return options->is_server ? open_server(stream, opening) : open_client(stream, opening);
}

int pv_wire_stream_open(struct pv_wire_opening *opening)
{
	const struct pv_net_wire_options *options = opening->options;
	struct pv_stream *stream;
	int err;

	if (options->fds == 0 && !options->path)
		return pv_wire_refuse(opening, -EINVAL, "path: the socket is not named");
	stream = create(options);
	if (!stream)
		return no_memory(opening);
	/* A passed descriptor that connects nobody again is not dialled. */
	if (options->fds)
		stream->reconnect_ms = 0;
	err = open_kind(stream, opening);
	if (err)
		close_stream(&stream->wire);
	else
		opening->wire = &stream->wire;
	return err;
}
