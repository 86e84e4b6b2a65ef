/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The engine on io_uring.
 *
 * The ring belongs to one thread, and the kernel does its part of the work (running completions)
 * only when that thread enters it: a loop that computes is not interrupted, and one call submits a
 * batch and collects another.  While there is something to collect that needs a call, the kernel
 * says so by a flag in the shared memory of the ring; everything else is read there without one.
 *
 * The ring starts disabled, is restricted to the operations below, and is enabled by the thread
 * that will use it.  So it does not matter which thread creates it, and a process that may use its
 * ring but not make new ones cannot open or execute anything through it.
 *
 * #syscalls io_uring_enter io_uring_register
 */
#include "hosted/loop/loop_internal.h"

#include <errno.h>

#include "ring/err.h"

/* More than are queued in one iteration by any device of ours; a full queue is submitted early. */
#define SQ_ENTRIES 256
/* Completions beyond these wait in the kernel, at some cost, and are not lost. */
#define CQ_ENTRIES 2048

/* What a completion is about: the low bits of its user data. */
enum tag {
	TAG_IO,
	TAG_WATCH,
	TAG_NOTHING,
	TAG_MASK = 3,
};

static struct pv_uring *uring_of(struct pv_engine *engine)
{
	return (struct pv_uring *)engine;
}

/* ---- birth and death ---- */

#define SQE_OP(op)                                                                                 \
	{                                                                                          \
		.opcode = IORING_RESTRICTION_SQE_OP, .sqe_op = (op)                                \
	}
#define REGISTER_OP(op)                                                                            \
	{                                                                                          \
		.opcode = IORING_RESTRICTION_REGISTER_OP, .register_op = (op)                      \
	}

static int restrict_ring(struct io_uring *ring)
{
	struct io_uring_restriction allowed[] = {
		SQE_OP(IORING_OP_POLL_ADD),
		SQE_OP(IORING_OP_ASYNC_CANCEL),
		SQE_OP(IORING_OP_READ),
		SQE_OP(IORING_OP_READV),
		SQE_OP(IORING_OP_WRITE),
		SQE_OP(IORING_OP_WRITEV),
		SQE_OP(IORING_OP_FSYNC),
		SQE_OP(IORING_OP_FALLOCATE),
		REGISTER_OP(IORING_REGISTER_ENABLE_RINGS),
		REGISTER_OP(IORING_REGISTER_RING_FDS),
		REGISTER_OP(IORING_UNREGISTER_RING_FDS),
	};

	return io_uring_register((unsigned int)ring->ring_fd, IORING_REGISTER_RESTRICTIONS, allowed,
	                         sizeof(allowed) / sizeof(allowed[0]));
}

static int set_up(struct io_uring *ring, unsigned int flags)
{
	struct io_uring_params params = {
		.flags = IORING_SETUP_R_DISABLED | IORING_SETUP_CQSIZE | flags,
		.cq_entries = CQ_ENTRIES,
	};

	return io_uring_queue_init_params(SQ_ENTRIES, ring, &params);
}

static int init_ring(struct io_uring *ring, bool is_plain)
{
	int err = -EINVAL;

	if (!is_plain)
		err = set_up(ring, IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN |
		                           IORING_SETUP_TASKRUN_FLAG | IORING_SETUP_SUBMIT_ALL);
	if (err == -EINVAL)
		err = set_up(ring, 0);
	if (err)
		return err;
	err = restrict_ring(ring);
	if (err)
		io_uring_queue_exit(ring);
	return err;
}

static int init_as(struct pv_engine *engine, const struct pv_engine_ops *ops, struct pv_loop *loop)
{
	struct pv_uring *uring = uring_of(engine);

	*uring = (struct pv_uring){ .engine = { ops, loop } };
	return init_ring(&uring->ring, ops == &pv_uring_plain_ops);
}

static int init(struct pv_engine *engine, struct pv_loop *loop,
                const struct pv_loop_options *options)
{
	(void)options;
	return init_as(engine, &pv_uring_ops, loop);
}

static int init_plain(struct pv_engine *engine, struct pv_loop *loop,
                      const struct pv_loop_options *options)
{
	(void)options;
	return init_as(engine, &pv_uring_plain_ops, loop);
}

static void begin(struct pv_engine *engine)
{
	struct pv_uring *uring = uring_of(engine);
	struct io_uring *ring = &uring->ring;

	if (!uring->is_enabled) {
		int err = io_uring_register((unsigned int)ring->ring_fd,
		                            IORING_REGISTER_ENABLE_RINGS, NULL, 0);

		pv_bug_on(err);
		uring->is_enabled = true;
		uring->owner = pthread_self();
	}
	/*
	 * Saves the kernel the look-up of the descriptor on each call; if refused, nothing is lost.
	 */
	io_uring_register_ring_fd(ring);
}

static void end(struct pv_engine *engine)
{
	io_uring_unregister_ring_fd(&uring_of(engine)->ring);
}

/* ---- entering the kernel ---- */

static void check_entered(int result)
{
	/* Interrupted, or short of memory or room for a moment. What is queued stays queued. */
	if (result >= 0 || result == -EINTR || result == -EAGAIN || result == -EBUSY ||
	    result == -EBADR || result == -ENOMEM)
		return;
	/* Another thread's ring, or a damaged one. */
	pv_bug_on(true);
}

/* The mark is there until a call has brought in all that waited: it is seen before each call. */
static void note_overflow(struct pv_uring *uring)
{
	if (IO_URING_READ_ONCE(*uring->ring.sq.kflags) & IORING_SQ_CQ_OVERFLOW)
		uring->overflows++;
}

static void count_call(struct pv_uring *uring)
{
	note_overflow(uring);
	pv_count(&uring->engine.loop->counters.submits);
}

/* One system call, or none. */
static void submit_queued(struct pv_uring *uring)
{
	if (!pv_uring_must_submit(uring))
		return;
	count_call(uring);
	check_entered(io_uring_submit(&uring->ring));
}

static void submit(struct pv_engine *engine)
{
	submit_queued(uring_of(engine));
}

static void submit_and_wait(struct pv_engine *engine)
{
	struct pv_uring *uring = uring_of(engine);

	count_call(uring);
	check_entered(io_uring_submit_and_wait(&uring->ring, 1));
}

/* ---- the end ---- */

/*
 * What is watched keeps its file open until the ring is gone, and the kernel sees to that when the
 * process has long ended: a port or an interface would be in use still. What comes of it now is
 * of no importance. (Before Linux 5.19 this is refused, and all is as late as it was.)
 */
static void leave(struct pv_engine *engine)
{
	struct pv_uring *uring = uring_of(engine);
	struct io_uring_sqe *sqe;

	submit_queued(uring);
	sqe = io_uring_get_sqe(&uring->ring);
	if (!sqe)
		return;
	io_uring_prep_cancel64(sqe, 0, IORING_ASYNC_CANCEL_ANY | IORING_ASYNC_CANCEL_ALL);
	sqe->user_data = TAG_NOTHING;
	check_entered(io_uring_submit_and_wait(&uring->ring, io_uring_cq_ready(&uring->ring) + 1));
	check_entered(io_uring_get_events(&uring->ring));
}

/* Only the thread that had the ring can do anything with it. */
static void fini(struct pv_engine *engine)
{
	struct pv_uring *uring = uring_of(engine);

	if (uring->is_enabled && pthread_equal(uring->owner, pthread_self()))
		leave(engine);
	io_uring_queue_exit(&uring->ring);
}

/* ---- queueing ---- */

static struct io_uring_sqe *next_sqe(struct pv_uring *uring)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&uring->ring);

	if (sqe || !uring->is_enabled)
		return sqe;
	submit_queued(uring);
	return io_uring_get_sqe(&uring->ring);
}

static void prepare_transfer(struct io_uring_sqe *sqe, const struct pv_loop_io *io)
{
	bool is_read = io->op == PV_LOOP_READ;

	/* One piece needs no list for the kernel to copy. */
	if (io->iovs == 1 && io->iov->iov_len <= INT32_MAX)
		io_uring_prep_rw(is_read ? IORING_OP_READ : IORING_OP_WRITE, sqe, io->fd,
		                 io->iov->iov_base, (unsigned int)io->iov->iov_len, io->offset);
	else
		io_uring_prep_rw(is_read ? IORING_OP_READV : IORING_OP_WRITEV, sqe, io->fd, io->iov,
		                 io->iovs, io->offset);
	sqe->rw_flags = io->flags;
}

static void prepare(struct io_uring_sqe *sqe, const struct pv_loop_io *io)
{
	switch (io->op) {
	case PV_LOOP_READ:
	case PV_LOOP_WRITE:
		prepare_transfer(sqe, io);
		break;
	case PV_LOOP_SYNC:
		io_uring_prep_fsync(sqe, io->fd, IORING_FSYNC_DATASYNC);
		break;
	case PV_LOOP_ALLOCATE:
		io_uring_prep_rw(IORING_OP_FALLOCATE, sqe, io->fd, NULL, (unsigned int)io->flags,
		                 io->offset);
		sqe->addr = io->bytes;
		break;
	case PV_LOOP_ERASE: /* never comes this way: io_uring does not know it */
		pv_bug_on(true);
	}
}

/*
 * The kernel holds a batch back until its last entry is prepared, and a disk stands idle meanwhile;
 * so a burst goes out in pieces. Measured on a disk with O_DIRECT, 32 requests in flight: pieces of
 * 4 give a fifth more requests than whole bursts, at the same CPU time each. A disk that is busy is
 * not kept waiting by pieces of 8, which cost a twentieth less CPU time.
 */
static unsigned int piece(const struct pv_loop *loop, unsigned int queued)
{
	return loop->ios_out >= queued + PV_LOOP_IOS_OF_BUSY_DISK ? 8 : 4;
}

static void submit_piece(struct pv_uring *uring)
{
	unsigned int queued = io_uring_sq_ready(&uring->ring);

	if (queued >= piece(uring->engine.loop, queued))
		submit_queued(uring);
}

static bool queue_io(struct pv_engine *engine, struct pv_loop_io *io)
{
	struct pv_uring *uring = uring_of(engine);
	struct io_uring_sqe *sqe = next_sqe(uring);

	if (!sqe)
		return false;
	prepare(sqe, io);
	sqe->user_data = (uintptr_t)io | TAG_IO;
	engine->loop->ios_out++;
	if (uring->is_enabled)
		submit_piece(uring);
	return true;
}

static bool arm(struct pv_engine *engine, struct pv_watch *watch)
{
	struct pv_uring *uring = uring_of(engine);
	struct io_uring_sqe *sqe = next_sqe(uring);

	if (!sqe)
		return false;
	io_uring_prep_poll_multishot(sqe, watch->fd, (unsigned int)watch->events);
	sqe->user_data = (uintptr_t)watch | TAG_WATCH;
	watch->uring.overflows = uring->overflows;
	return true;
}

static bool cancel(struct pv_engine *engine, struct pv_watch *watch)
{
	struct io_uring_sqe *sqe = next_sqe(uring_of(engine));

	if (!sqe)
		return false;
	/* Unlike a poll's own removal this also stops one that is about to complete. */
	io_uring_prep_cancel64(sqe, (uintptr_t)watch | TAG_WATCH, 0);
	sqe->user_data = TAG_NOTHING;
	return true;
}

/* ---- reaping ---- */

/*
 * The kernel drops a watch that has something to tell when there is no room for it; it is armed
 * again then. One that ends at once though there is room is always ready, like a regular file:
 * armed again it would end at once for ever.
 */
static enum pv_watch_fate fate_of(const struct pv_uring *uring, const struct pv_watch *watch,
                                  int result, uint32_t flags)
{
	if (flags & IORING_CQE_F_MORE)
		return PV_WATCH_GOES_ON;
	if (result >= 0 && watch->uring.overflows != uring->overflows)
		return PV_WATCH_DROPPED;
	return PV_WATCH_ENDED;
}

static void dispatch(struct pv_uring *uring, uint64_t user_data, int result, uint32_t flags)
{
	void *what = (void *)(uintptr_t)(user_data & ~(uint64_t)TAG_MASK);
	struct pv_loop_io *io = what;

	switch (user_data & TAG_MASK) {
	case TAG_IO:
		uring->engine.loop->ios_out--;
		io->done(io, result);
		break;
	case TAG_WATCH:
		pv_watch_event(what, result, fate_of(uring, what, result, flags));
		break;
	default:
		break;
	}
}

static void reap(struct pv_engine *engine)
{
	struct pv_uring *uring = uring_of(engine);
	struct io_uring_cq *cq = &uring->ring.cq;
	unsigned int head = *cq->khead;
	unsigned int tail = io_uring_smp_load_acquire(cq->ktail);

	note_overflow(uring);
	while (head != tail) {
		const struct io_uring_cqe *cqe = &cq->cqes[head & cq->ring_mask];
		uint64_t user_data = cqe->user_data;
		int result = cqe->res;
		uint32_t flags = cqe->flags;

		/* The place is given back first: the callback may submit, and need it. */
		io_uring_smp_store_release(cq->khead, ++head);
		dispatch(uring, user_data, result, flags);
	}
}

#define OPS(init_function)                                                                         \
	{                                                                                          \
		.init = (init_function), .fini = fini, .begin = begin, .end = end, .leave = leave, \
		.io = queue_io, .arm = arm, .cancel = cancel, .submit = submit,                    \
		.wait = submit_and_wait, .reap = reap                                              \
	}

const struct pv_engine_ops pv_uring_ops = OPS(init);
const struct pv_engine_ops pv_uring_plain_ops = OPS(init_plain);
