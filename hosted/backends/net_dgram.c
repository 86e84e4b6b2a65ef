/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The wire of datagrams: a Unix socket, each message of which is a frame.
 *
 * Many messages go, and come, with one system call.  Those that came wait in memory of ours until
 * they are asked for.  A peer that is not there, or not any more, is looked for again when there is
 * something to send, not more often than now and then.
 *
 * #syscalls sendmmsg recvmmsg clock_gettime newfstatat unlink close
 * #syscalls [dial] connect
 */
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "hosted/backends/net_wire_internal.h"
#include "hosted/loop/clock.h"
#include "ring/err.h"

#define SEND_BATCH    64u
#define RECEIVE_BATCH 32u
#define RETRY_NS      100000000u
/* Messages that are no frames, and are passed over at a time. */
#define BATCHES_AT_A_TIME 2u

struct dgram {
	struct pv_wire wire;
	uint16_t pairs;
	int fd;
	char *path;       /* of the peer's end, or NULL */
	char *local_path; /* of ours */
	struct pv_socket_place place;
	uint64_t retry_ns; /* when the peer may be looked for again; relaxed atomic */
	struct pv_gate *gate;

	/* Pair 0's lane. */
	struct pv_loop *loop;
	struct pv_watch *watch;
	struct pv_bell bell;
	bool is_readable;
	uint16_t next, count; /* of the messages that came */
	struct mmsghdr message[RECEIVE_BATCH];
	struct iovec iov[RECEIVE_BATCH];
	uint8_t (*memory)[PV_NET_FRAME_MAX];
};

/* ---- sending ---- */

static void put_messages(struct mmsghdr *message, const struct pv_net_frame *frame, uint16_t count)
{
	for (uint16_t i = 0; i < count; i++) {
		pv_bug_on(frame[i].pieces > PV_WIRE_PIECES_MAX);
		/* It is only read. A pv_iov is laid out as an iovec. */
		message[i] = (struct mmsghdr){
			.msg_hdr.msg_iov = (struct iovec *)(uintptr_t)frame[i].iov,
			.msg_hdr.msg_iovlen = frame[i].pieces,
		};
	}
}

/* Returns how many went, or -errno. */
static int send_some(const struct dgram *dgram, const struct pv_net_frame *frame, uint16_t frames)
{
	struct mmsghdr message[SEND_BATCH];
	uint16_t count = frames < SEND_BATCH ? frames : SEND_BATCH;
	int sent;

	put_messages(message, frame, count);
	do
		sent = sendmmsg(dgram->fd, message, count, MSG_DONTWAIT | MSG_NOSIGNAL);
	while (sent < 0 && errno == EINTR);
	return sent < 0 ? -errno : sent;
}

static bool is_absence(int err)
{
	return err == -ECONNREFUSED || err == -ENOTCONN || err == -ECONNRESET || err == -EPIPE ||
	       err == -EDESTADDRREQ || err == -ENOENT;
}

/* Returns whether the peer is there now. */
static bool find_peer(struct dgram *dgram)
{
	uint64_t now_ns = pv_clock_ns(CLOCK_MONOTONIC);

	if (!dgram->path || now_ns < __atomic_load_n(&dgram->retry_ns, __ATOMIC_RELAXED))
		return false;
	__atomic_store_n(&dgram->retry_ns, now_ns + RETRY_NS, __ATOMIC_RELAXED);
	if (pv_socket_connect(dgram->fd, dgram->path))
		return false;
	pv_wire_count(&dgram->wire.counters.reconnects, 1);
	return true;
}

/*
 * A call failed at the first of these frames. Returns how many of them are done with, which is none
 * when they are to be tried again.
 */
static uint16_t mind_failure(struct dgram *dgram, struct pv_gate *gate, int err, uint16_t frames)
{
	uint16_t lost = 1;

	if (err == -EAGAIN) {
		if (pv_gate_shut(gate, dgram->fd))
			return 0;
		lost = frames;
	} else if (is_absence(err)) {
		if (find_peer(dgram))
			return 0;
		lost = frames;
	}
	pv_wire_count(&dgram->wire.counters.lost, lost);
	return lost;
}

static uint16_t send_frames(struct pv_net_wire *net, uint16_t pair,
                            const struct pv_net_frame *frame, uint16_t frames)
{
	struct dgram *dgram = (struct dgram *)net;
	struct pv_gate *gate = &dgram->gate[pair];
	uint16_t done = 0;

	while (done < frames && !gate->watch) {
		int sent = send_some(dgram, frame + done, frames - done);

		if (sent < 0)
			done += mind_failure(dgram, gate, sent, frames - done);
		else
			done += (uint16_t)sent;
	}
	return done;
}

/* ---- receiving ---- */

static void see(void *arg, int events)
{
	struct dgram *dgram = arg;

	(void)events;
	dgram->is_readable = true;
}

/* Fewer than were asked for are all there were: of the next one a change will tell. */
static void fill(struct dgram *dgram)
{
	int count = recvmmsg(dgram->fd, dgram->message, RECEIVE_BATCH, MSG_DONTWAIT, NULL);

	dgram->next = 0;
	dgram->count = count > 0 ? (uint16_t)count : 0;
	dgram->is_readable = count == RECEIVE_BATCH ||
	                     (count < 0 && (errno == EINTR || errno == ECONNREFUSED));
}

/* Returns the bytes of the next message that is a frame, or 0: there is none here any more. */
static uint32_t take(struct dgram *dgram, const struct pv_iov *iov, uint16_t pieces)
{
	while (dgram->next < dgram->count) {
		uint16_t i = dgram->next++;
		const struct mmsghdr *message = &dgram->message[i];

		if (message->msg_len >= PV_NET_FRAME_MIN &&
		    !(message->msg_hdr.msg_flags & MSG_TRUNC)) {
			pv_wire_scatter(iov, pieces, dgram->memory[i], message->msg_len);
			return message->msg_len;
		}
		pv_wire_count(&dgram->wire.counters.bad, 1);
	}
	return 0;
}

static uint32_t receive(struct pv_net_wire *net, uint16_t pair, const struct pv_iov *iov,
                        uint16_t pieces, struct virtio_net_hdr *hdr)
{
	struct dgram *dgram = (struct dgram *)net;
	uint32_t bytes = take(dgram, iov, pieces);

	(void)pair;
	(void)hdr;
	for (unsigned int i = 0; bytes == 0 && dgram->is_readable; i++) {
		if (i == BATCHES_AT_A_TIME) {
			pv_bell_ring(&dgram->bell);
			break;
		}
		fill(dgram);
		bytes = take(dgram, iov, pieces);
	}
	return bytes;
}

/* ---- opening and closing ---- */

static void close_dgram(struct pv_wire *wire)
{
	struct dgram *dgram = (struct dgram *)wire;

	if (dgram->watch)
		pv_loop_unwatch(dgram->loop, dgram->watch);
	pv_bell_fini(&dgram->bell);
	pv_wire_gates_destroy(dgram->gate, dgram->pairs);
	if (dgram->fd >= 0)
		close(dgram->fd);
	if (dgram->local_path)
		pv_socket_unlink(&dgram->place, dgram->local_path);
	free(dgram->path);
	free(dgram->local_path);
	free(dgram->memory);
	free(dgram);
}

static const struct pv_net_wire_ops ops = {
	.send = send_frames,
	.receive = receive,
};

static struct dgram *create(const struct pv_net_wire_options *options)
{
	struct dgram *dgram = calloc(1, sizeof(*dgram));

	if (!dgram)
		return NULL;
	dgram->wire.net = (struct pv_net_wire){ .ops = &ops, .sources = 1 };
	dgram->wire.close = close_dgram;
	if (!options->fds)
		dgram->wire.needs = PV_NET_WIRE_NEEDS_DIAL;
	dgram->pairs = options->pairs;
	dgram->fd = -1;
	dgram->loop = pv_wire_loop(options, 0);
	dgram->gate = pv_wire_gates_create(options, NULL, NULL);
	dgram->memory = malloc(RECEIVE_BATCH * sizeof(*dgram->memory));
	if (!dgram->gate || !dgram->memory) {
		close_dgram(&dgram->wire);
		return NULL;
	}
	for (uint16_t i = 0; i < RECEIVE_BATCH; i++) {
		dgram->iov[i] = (struct iovec){ dgram->memory[i], sizeof(dgram->memory[i]) };
		dgram->message[i].msg_hdr =
			(struct msghdr){ .msg_iov = &dgram->iov[i], .msg_iovlen = 1 };
	}
	return dgram;
}

static int open_paths(struct dgram *dgram, struct pv_wire_opening *opening)
{
	const struct pv_net_wire_options *options = opening->options;
	int fd = pv_socket_bind(&opening->refusal, SOCK_DGRAM, "local-path", options->local_path,
	                        &dgram->place);

	if (fd < 0)
		return fd;
	dgram->fd = fd;
	dgram->local_path = options->local_path ? strdup(options->local_path) : NULL;
	dgram->path = strdup(options->path);
	if (!dgram->path || (options->local_path && !dgram->local_path))
		return pv_wire_refuse(opening, -ENOMEM, "no memory for the network");
	/* Where nobody is there yet somebody will be later. */
	pv_socket_connect(fd, dgram->path);
	snprintf(dgram->wire.text, sizeof(dgram->wire.text), "datagram socket %s", dgram->path);
	return 0;
}

static int start_watching(struct dgram *dgram)
{
	dgram->watch = pv_loop_watch(dgram->loop, dgram->fd, POLLIN, see, dgram);
	if (!dgram->watch)
		return -ENOMEM;
	return pv_bell_init(&dgram->bell, dgram->loop, NULL, NULL);
}

/* The passed descriptor becomes ours when nothing can fail any more. */
static int open_passed(struct dgram *dgram, struct pv_wire_opening *opening)
{
	int fd = opening->options->fd[0];
	int err = pv_socket_check(&opening->refusal, fd, SOCK_DGRAM);

	if (err)
		return err;
	dgram->fd = fd;
	snprintf(dgram->wire.text, sizeof(dgram->wire.text), "datagram socket %d", fd);
	return 0;
}

int pv_wire_dgram_open(struct pv_wire_opening *opening)
{
	const struct pv_net_wire_options *options = opening->options;
	struct dgram *dgram;
	int err;

	if (options->fds == 0 && !options->path)
		return pv_wire_refuse(opening, -EINVAL, "path: the peer's socket is not named");
	dgram = create(options);
	if (!dgram)
		return pv_wire_refuse(opening, -ENOMEM, "no memory for the network");
	err = options->fds ? open_passed(dgram, opening) : open_paths(dgram, opening);
	if (!err) {
		err = start_watching(dgram);
		if (err)
			pv_wire_refuse(opening, err, "no memory for the network");
	}
	if (!err) {
		opening->wire = &dgram->wire;
		return 0;
	}
	if (options->fds)
		dgram->fd = -1;
	close_dgram(&dgram->wire);
	return err;
}
