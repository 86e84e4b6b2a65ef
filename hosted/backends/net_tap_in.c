/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The wire to a tap interface: what is received.
 *
 * As long as there are several frames at a time they are read ahead, with one system call, and
 * copied when they are asked for: that is cheaper than a call for each.  Long ones, which the
 * driver cuts or takes whole, go right to its memory.
 *
 * #syscalls readv
 */
#include <errno.h>
#include <stdlib.h>

#include "hosted/backends/net_tap.h"

#define HEADER_BYTES ((uint32_t)sizeof(struct virtio_net_hdr))

/* From so many bytes on a copy costs more than a system call. */
#define LONG_BYTES 8192u

/* ---- one at a time ---- */

/*
 * What one read gave: the bytes of the frame, 0 if there is none, or less than a frame's if what
 * came is none.
 */
static uint32_t frame_bytes(const struct pv_tap *tap, int result)
{
	uint32_t before = tap->has_header ? HEADER_BYTES : 0;

	if (result < 0)
		return 0;
	return (uint32_t)result > before ? (uint32_t)result - before : 1;
}

static void mind_failure(struct pv_tap *tap, struct pv_tap_queue *queue, int err)
{
	if (err == EINTR)
		return;
	queue->is_readable = false;
	pv_tap_mind_gone(tap, err);
}

static uint32_t read_one(struct pv_tap *tap, struct pv_tap_queue *queue, const struct pv_iov *iov,
                         uint16_t pieces, struct virtio_net_hdr *hdr)
{
	struct iovec to[1 + PV_WIRE_PIECES_MAX];
	int count = pv_tap_put_pieces(tap, to, hdr, iov, pieces);
	ssize_t got = readv(queue->fd, to, count);

	if (got < 0)
		mind_failure(tap, queue, errno);
	queue->ahead.want = got > 0 && got < LONG_BYTES ? 2 : 1;
	return frame_bytes(tap, (int)got);
}

/* ---- many at a time ---- */

void pv_tap_read_ahead(struct pv_tap *tap, struct pv_tap_queue *queue)
{
	struct pv_tap_ahead *ahead = &queue->ahead;

	ahead->want = 1;
	if (!tap->ring[queue - tap->queue].is_there)
		return;
	ahead->memory = malloc(PV_TAP_BATCH * sizeof(*ahead->memory));
	for (uint16_t i = 0; ahead->memory && i < PV_TAP_BATCH; i++) {
		const struct pv_iov iov = { ahead->memory[i], sizeof(ahead->memory[i]) };

		ahead->transfer[i].iov = ahead->iov[i];
		ahead->transfer[i].iovs =
			pv_tap_put_pieces(tap, ahead->iov[i], &ahead->hdr[i], &iov, 1);
	}
}

/* Asks for twice as many as long as that many come. */
static void set_want(struct pv_tap_ahead *ahead, uint16_t came, uint64_t bytes)
{
	if (came < ahead->count)
		ahead->want = came ? came : 1;
	else if (bytes / came >= LONG_BYTES)
		ahead->want = 1;
	else
		ahead->want = (uint16_t)(came < PV_TAP_BATCH / 2 ? 2u * came : PV_TAP_BATCH);
}

/* When the last found nothing there is nothing: of the next frame a change will tell. */
static void fill(struct pv_tap *tap, struct pv_tap_queue *queue)
{
	struct pv_tap_ahead *ahead = &queue->ahead;
	uint64_t bytes = 0;
	uint16_t came = 0;
	int last;

	ahead->next = 0;
	ahead->count = ahead->want;
	pv_tap_ring_read(&tap->ring[queue - tap->queue], ahead->transfer, ahead->count);
	for (uint16_t i = 0; i < ahead->count; i++) {
		if (ahead->transfer[i].result >= 0)
			came++;
		bytes += frame_bytes(tap, ahead->transfer[i].result);
	}
	last = ahead->transfer[ahead->count - 1].result;
	if (last < 0)
		mind_failure(tap, queue, -last);
	set_want(ahead, came, bytes);
}

/* Returns what one of them gave, as frame_bytes(), or 0 when all have been given. */
static uint32_t give_next(struct pv_tap *tap, struct pv_tap_ahead *ahead, const struct pv_iov *iov,
                          uint16_t pieces, struct virtio_net_hdr *hdr)
{
	while (ahead->next < ahead->count) {
		uint16_t i = ahead->next++;
		uint32_t bytes = frame_bytes(tap, ahead->transfer[i].result);

		if (bytes >= PV_NET_FRAME_MIN) {
			if (tap->has_header)
				*hdr = ahead->hdr[i];
			pv_wire_scatter(iov, pieces, ahead->memory[i], bytes);
		}
		if (bytes)
			return bytes;
	}
	return 0;
}

/* ---- the wire ---- */

void pv_tap_see(void *arg, int events)
{
	struct pv_tap_queue *queue = arg;

	(void)events;
	queue->is_readable = true;
}

uint32_t pv_tap_receive(struct pv_net_wire *net, uint16_t pair, const struct pv_iov *iov,
                        uint16_t pieces, struct virtio_net_hdr *hdr)
{
	struct pv_tap *tap = (struct pv_tap *)net;
	struct pv_tap_queue *queue = &tap->queue[pair];
	uint32_t bytes = give_next(tap, &queue->ahead, iov, pieces, hdr);

	while (queue->is_readable && bytes < PV_NET_FRAME_MIN) {
		if (queue->ahead.memory && queue->ahead.want > 1) {
			fill(tap, queue);
			bytes = give_next(tap, &queue->ahead, iov, pieces, hdr);
		} else {
			bytes = read_one(tap, queue, iov, pieces, hdr);
		}
		if (bytes > 0 && bytes < PV_NET_FRAME_MIN)
			pv_wire_count(&tap->wire.counters.bad, 1);
	}
	return bytes < PV_NET_FRAME_MIN ? 0 : bytes;
}
