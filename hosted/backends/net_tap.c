/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The wire to a tap interface: its frames.
 *
 * A system call carries a frame, from the driver's memory or to it, behind the header that says
 * what is left to do to it; with that one call may carry 64 KiB, which the kernel or the guest
 * cuts.
 *
 * #syscalls readv writev
 */
#include "hosted/backends/net_tap.h"

#include <errno.h>
#include <stdio.h>
#include <sys/uio.h>

#include "hosted/loop/log.h"
#include "ring/err.h"

#define HEADER_BYTES ((uint32_t)sizeof(struct virtio_net_hdr))

/* The header's piece, if there is one, and those of the frame. A pv_iov is laid out as an iovec. */
static int put_pieces(const struct pv_tap *tap, struct iovec *to, const struct virtio_net_hdr *hdr,
                      const struct pv_iov *iov, uint16_t pieces)
{
	int count = 0;

	pv_bug_on(pieces > PV_WIRE_PIECES_MAX);
	if (tap->has_header)
		to[count++] = (struct iovec){ (void *)(uintptr_t)hdr, sizeof(*hdr) };
	memcpy(&to[count], iov, pieces * sizeof(*iov));
	return count + pieces;
}

static bool says_gone(int err)
{
	return err == EBADFD || err == ENODEV || err == ENXIO || err == EBADF;
}

static void mind_gone(struct pv_tap *tap)
{
	char line[128];

	if (__atomic_exchange_n(&tap->is_gone, true, __ATOMIC_RELAXED))
		return;
	snprintf(line, sizeof(line),
	         "interface %s is gone: nothing is sent or received any more; start again when it "
	         "is back",
	         tap->name);
	pv_log("net", PV_LOG_ERROR, line);
}

static bool is_gone(const struct pv_tap *tap)
{
	return __atomic_load_n(&tap->is_gone, __ATOMIC_RELAXED);
}

/* ---- sending ---- */

/* Returns 0 or an errno. */
static int send_one(const struct pv_tap *tap, const struct pv_tap_queue *queue,
                    const struct pv_net_frame *frame)
{
	struct iovec iov[1 + PV_WIRE_PIECES_MAX];
	int count = put_pieces(tap, iov, &frame->hdr, frame->iov, frame->pieces);
	ssize_t sent;

	do
		sent = writev(queue->fd, iov, count);
	while (sent < 0 && errno == EINTR);
	return sent < 0 ? errno : 0;
}

/*
 * The first of these frames was not sent. Returns how many are done with: one that the kernel finds
 * fault with costs itself, an interface that is down or gone all.
 */
static uint16_t mind_failure(struct pv_tap *tap, struct pv_wire_gate *gate, int fd, int err,
                             uint16_t frames)
{
	uint16_t lost = 1;

	if (err == EAGAIN && pv_wire_gate_shut(gate, fd))
		return 0;
	if (says_gone(err))
		mind_gone(tap);
	if (err == EAGAIN || err == EIO || says_gone(err))
		lost = frames;
	pv_wire_count(&tap->wire.counters.lost, lost);
	return lost;
}

static uint16_t send_frames(struct pv_net_wire *net, uint16_t pair,
                            const struct pv_net_frame *frame, uint16_t frames)
{
	struct pv_tap *tap = (struct pv_tap *)net;
	const struct pv_tap_queue *queue = &tap->queue[pair % tap->queues];
	struct pv_wire_gate *gate = &tap->gate[pair];
	uint16_t done = 0;

	if (is_gone(tap)) {
		pv_wire_count(&tap->wire.counters.lost, frames);
		return frames;
	}
	while (done < frames && !gate->watch) {
		int err = send_one(tap, queue, &frame[done]);

		if (err)
			done += mind_failure(tap, gate, queue->fd, err, frames - done);
		else
			done++;
	}
	return done;
}

/* ---- receiving ---- */

void pv_tap_see(void *arg, int events)
{
	struct pv_tap_queue *queue = arg;

	(void)events;
	queue->is_readable = true;
}

static uint32_t mind_nothing(struct pv_tap *tap, struct pv_tap_queue *queue, int err)
{
	if (err == EINTR)
		return 0;
	queue->is_readable = false;
	if (says_gone(err))
		mind_gone(tap);
	return 0;
}

/* Returns the bytes of the frame, 0 if there is none, or less than a frame's if what came is none.
 */
static uint32_t read_one(struct pv_tap *tap, struct pv_tap_queue *queue, const struct pv_iov *iov,
                         uint16_t pieces, struct virtio_net_hdr *hdr)
{
	struct iovec to[1 + PV_WIRE_PIECES_MAX];
	int count = put_pieces(tap, to, hdr, iov, pieces);
	ssize_t got = readv(queue->fd, to, count);

	if (got < 0)
		return mind_nothing(tap, queue, errno);
	if (!tap->has_header)
		return got > 0 ? (uint32_t)got : 1;
	return got > HEADER_BYTES ? (uint32_t)got - HEADER_BYTES : 1;
}

static uint32_t receive(struct pv_net_wire *net, uint16_t pair, const struct pv_iov *iov,
                        uint16_t pieces, struct virtio_net_hdr *hdr)
{
	struct pv_tap *tap = (struct pv_tap *)net;
	struct pv_tap_queue *queue = &tap->queue[pair];
	uint32_t bytes = 0;

	while (queue->is_readable && bytes < PV_NET_FRAME_MIN) {
		bytes = read_one(tap, queue, iov, pieces, hdr);
		if (bytes > 0 && bytes < PV_NET_FRAME_MIN)
			pv_wire_count(&tap->wire.counters.bad, 1);
	}
	return bytes < PV_NET_FRAME_MIN ? 0 : bytes;
}

const struct pv_net_wire_ops pv_tap_ops = {
	.send = send_frames,
	.receive = receive,
	.set_offloads = pv_tap_set_offloads,
	.set_pairs = pv_tap_set_pairs,
	.set_spread = pv_tap_set_spread,
};
