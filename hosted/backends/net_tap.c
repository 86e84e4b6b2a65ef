/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The wire to a tap interface: its frames.
 *
 * A system call carries a frame, from the driver's memory or to it, behind the header that says
 * what is left to do to it; with that one call may carry 64 KiB, which the kernel or the guest
 * cuts.
 *
 * #syscalls write writev
 */
#include "hosted/backends/net_tap.h"

#include <errno.h>
#include <stdio.h>
#include <sys/uio.h>
#include <unistd.h>

#include "hosted/loop/log.h"
#include "ring/err.h"

/* Pieces that go with one call: so many of the least fragmented frames, or a few of the others. */
#define IOVECS (PV_WIRE_PIECES_MAX + 1 + 256u)

/* A pv_iov is laid out as an iovec. */
int pv_tap_put_pieces(const struct pv_tap *tap, struct iovec *to, const struct virtio_net_hdr *hdr,
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

void pv_tap_mind_gone(struct pv_tap *tap, int err)
{
	char line[128];

	if (!says_gone(err) || __atomic_exchange_n(&tap->is_gone, true, __ATOMIC_RELAXED))
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

/* Up to so many bytes a copy costs less than what the kernel has to do about a list of pieces: that
 * changes at about 1 KiB. */
#define SHORT_BYTES 512u

static ssize_t write_short(const struct pv_tap *tap, int fd, const struct pv_net_frame *frame)
{
	uint8_t whole[sizeof(frame->hdr) + SHORT_BYTES];
	size_t before = tap->has_header ? sizeof(frame->hdr) : 0;

	memcpy(whole, &frame->hdr, sizeof(frame->hdr));
	pv_wire_gather(whole + before, frame);
	return write(fd, whole, before + frame->bytes);
}

static ssize_t write_pieces(const struct pv_tap *tap, int fd, const struct pv_net_frame *frame)
{
	struct iovec iov[1 + PV_WIRE_PIECES_MAX];
	int count = pv_tap_put_pieces(tap, iov, &frame->hdr, frame->iov, frame->pieces);

	return writev(fd, iov, count);
}

/* Returns 0 or an errno. */
static int send_one(const struct pv_tap *tap, const struct pv_tap_queue *queue,
                    const struct pv_net_frame *frame)
{
	ssize_t sent;

	do
		sent = frame->bytes <= SHORT_BYTES ? write_short(tap, queue->fd, frame)
		                                   : write_pieces(tap, queue->fd, frame);
	while (sent < 0 && errno == EINTR);
	return sent < 0 ? errno : 0;
}

/*
 * The first of these frames was not sent. Returns how many are done with: one that the kernel finds
 * fault with costs itself, an interface that is down or gone all.
 */
static uint16_t mind_failure(struct pv_tap *tap, struct pv_gate *gate, int fd, int err,
                             uint16_t frames)
{
	uint16_t lost = 1;

	if (err == EAGAIN && pv_gate_shut(gate, fd))
		return 0;
	pv_tap_mind_gone(tap, err);
	if (err == EAGAIN || err == EIO || says_gone(err))
		lost = frames;
	pv_wire_count(&tap->wire.counters.lost, lost);
	return lost;
}

/* Puts as many as fit. Returns how many. */
static uint16_t put_frames(const struct pv_tap *tap, struct iovec iov[static IOVECS],
                           struct pv_tap_transfer *transfer, const struct pv_net_frame *frame,
                           uint16_t frames)
{
	uint32_t used = 0;
	uint16_t i;

	for (i = 0; i < frames && i < PV_TAP_BATCH; i++) {
		if (used + 1 + frame[i].pieces > IOVECS)
			break;
		transfer[i].iov = &iov[used];
		transfer[i].iovs = pv_tap_put_pieces(tap, &iov[used], &frame[i].hdr, frame[i].iov,
		                                     frame[i].pieces);
		used += (uint32_t)transfer[i].iovs;
	}
	return i;
}

/*
 * Returns how many are done with. Where the last ones found no room they come again; one before
 * them that failed is lost, whatever it failed at, for what is behind it has overtaken it.
 */
static uint16_t account(struct pv_tap *tap, struct pv_gate *gate, int fd,
                        const struct pv_tap_transfer *transfer, uint16_t count)
{
	uint16_t done = count;
	uint64_t lost = 0;

	while (done > 0 && transfer[done - 1].result == -EAGAIN)
		done--;
	if (done < count && !pv_gate_shut(gate, fd))
		done = count;
	for (uint16_t i = 0; i < done; i++) {
		lost += transfer[i].result < 0;
		pv_tap_mind_gone(tap, -transfer[i].result);
	}
	if (lost)
		pv_wire_count(&tap->wire.counters.lost, lost);
	return done;
}

static uint16_t send_batch(struct pv_tap *tap, uint16_t pair, const struct pv_net_frame *frame,
                           uint16_t frames)
{
	struct pv_tap_transfer transfer[PV_TAP_BATCH];
	struct iovec iov[IOVECS];
	uint16_t count = put_frames(tap, iov, transfer, frame, frames);

	pv_tap_ring_write(&tap->ring[pair], transfer, count);
	return account(tap, &tap->gate[pair], tap->queue[pair % tap->queues].fd, transfer, count);
}

static uint16_t send_plainly(struct pv_tap *tap, uint16_t pair, const struct pv_net_frame *frame,
                             uint16_t frames)
{
	const struct pv_tap_queue *queue = &tap->queue[pair % tap->queues];
	int err = send_one(tap, queue, frame);

	return err ? mind_failure(tap, &tap->gate[pair], queue->fd, err, frames) : 1;
}

static uint16_t send_frames(struct pv_net_wire *net, uint16_t pair,
                            const struct pv_net_frame *frame, uint16_t frames)
{
	struct pv_tap *tap = (struct pv_tap *)net;
	uint16_t done = 0;

	if (is_gone(tap)) {
		pv_wire_count(&tap->wire.counters.lost, frames);
		return frames;
	}
	while (done < frames && !tap->gate[pair].watch) {
		uint16_t left = frames - done;

		if (left > 1 && tap->ring[pair].is_there)
			done += send_batch(tap, pair, frame + done, left);
		else
			done += send_plainly(tap, pair, frame + done, left);
	}
	return done;
}

const struct pv_net_wire_ops pv_tap_ops = {
	.send = send_frames,
	.receive = pv_tap_receive,
	.set_offloads = pv_tap_set_offloads,
	.set_pairs = pv_tap_set_pairs,
	.set_spread = pv_tap_set_spread,
};
