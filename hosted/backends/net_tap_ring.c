/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The ring of a tap interface's lane.
 *
 * #syscalls io_uring_enter
 */
#define _GNU_SOURCE
#include "hosted/backends/net_tap_ring.h"

#include <errno.h>

#include "ring/err.h"

/* Old kernels would let a thread do it, in any order: they say that the file cannot be asked so. */
static bool can_be_asked(int fd)
{
	char byte;
	const struct iovec iov = { &byte, 1 };

	return preadv2(fd, &iov, 1, -1, RWF_NOWAIT) >= 0 || errno == EAGAIN || errno == EIO;
}

void pv_tap_ring_init(struct pv_tap_ring *ring, int fd)
{
	ring->fd = fd;
	ring->is_there = can_be_asked(fd) && io_uring_queue_init(PV_TAP_BATCH, &ring->ring, 0) == 0;
}

void pv_tap_ring_fini(struct pv_tap_ring *ring)
{
	if (ring->is_there)
		io_uring_queue_exit(&ring->ring);
	ring->is_there = false;
}

static void reap(struct pv_tap_ring *ring)
{
	struct io_uring_cqe *cqe;
	unsigned int head, count = 0;

	io_uring_for_each_cqe(&ring->ring, head, cqe)
	{
		struct pv_tap_transfer *transfer = io_uring_cqe_get_data(cqe);

		transfer->result = cqe->res;
		count++;
	}
	io_uring_cq_advance(&ring->ring, count);
}

/*
 * The transfers are the caller's: this does not return before all are over, which they are at once.
 * A kernel that has no memory for one, for a moment, is asked again.
 */
static void submit(struct pv_tap_ring *ring, uint16_t count)
{
	unsigned int left = count;

	while (left > 0) {
		int submitted = io_uring_submit_and_wait(&ring->ring, left);

		if (submitted > 0)
			left -= (unsigned int)submitted;
		else
			pv_bug_on(submitted != -EINTR && submitted != -EAGAIN &&
			          submitted != -EBUSY && submitted != -ENOMEM);
	}
	reap(ring);
}

static struct io_uring_sqe *next_sqe(struct pv_tap_ring *ring)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&ring->ring);

	pv_bug_on(!sqe);
	return sqe;
}

static void finish(struct io_uring_sqe *sqe, struct pv_tap_transfer *transfer)
{
	/* That the file does not wait is not enough: the ring would wait for it. */
	sqe->rw_flags = RWF_NOWAIT;
	io_uring_sqe_set_data(sqe, transfer);
}

void pv_tap_ring_write(struct pv_tap_ring *ring, struct pv_tap_transfer *transfer, uint16_t count)
{
	for (uint16_t i = 0; i < count; i++) {
		struct io_uring_sqe *sqe = next_sqe(ring);

		io_uring_prep_writev(sqe, ring->fd, transfer[i].iov, (unsigned int)transfer[i].iovs,
		                     0);
		finish(sqe, &transfer[i]);
	}
	submit(ring, count);
}

void pv_tap_ring_read(struct pv_tap_ring *ring, struct pv_tap_transfer *transfer, uint16_t count)
{
	for (uint16_t i = 0; i < count; i++) {
		struct io_uring_sqe *sqe = next_sqe(ring);

		io_uring_prep_readv(sqe, ring->fd, transfer[i].iov, (unsigned int)transfer[i].iovs,
		                    0);
		finish(sqe, &transfer[i]);
	}
	submit(ring, count);
}
