/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * I/O on files and block devices.
 *
 * What memory can answer is answered at once, on the lane: on tmpfs everything, mostly without a
 * system call (file_map.h), elsewhere reads that are in the page cache (RWF_NOWAIT) and cached
 * writes.  The loop's engine would hand such I/O to a thread, which costs several times the I/O
 * itself.  What has to wait for a disk goes to the loop, together with the rest of the burst.
 *
 * Answering at once is a guess.  A read that is not in the cache goes on through the loop where it
 * stopped, and a cached write that was slow (the host throttles whoever dirties too much memory)
 * sends the next ones through the loop for a while, so that other requests do not wait behind them.
 *
 * #syscalls preadv2 pwritev2 preadv pwritev fallocate
 */
#define _GNU_SOURCE
#include "hosted/backends/store_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <stdlib.h>
#include <sys/uio.h>

#include "hosted/loop/clock.h"
#include "ring/err.h"

/* Pieces of guest memory are passed to the kernel as they are. */
_Static_assert(sizeof(struct pv_iov) == sizeof(struct iovec) &&
                       offsetof(struct pv_iov, base) == offsetof(struct iovec, iov_base) &&
                       offsetof(struct pv_iov, bytes) == offsetof(struct iovec, iov_len),
               "struct pv_iov is struct iovec");

/* The store's part of an I/O. */
struct file_io {
	struct pv_loop_io loop_io; /* first: a completion leads back to the rest */
	struct pv_blk_io *blk_io;
	struct pv_store *store;
	/* A piece of the I/O's that is done in part, and how it came. */
	struct pv_iov *cut;
	struct pv_iov whole;
	uint64_t zeroed_bytes;
	/* Memory of our own in the place of the I/O's: zeros, or a bounce buffer. */
	struct iovec own;
	void *bounce;
};

_Static_assert(sizeof(struct file_io) <= sizeof(((struct pv_blk_io *)0)->store),
               "the store's part of an I/O has its room");

static struct file_io *file_io_of(struct pv_store *store, struct pv_blk_io *io)
{
	struct file_io *file_io = (struct file_io *)&io->store;

	file_io->blk_io = io;
	file_io->store = store;
	file_io->cut = NULL;
	file_io->bounce = NULL;
	return file_io;
}

static void submit(struct file_io *file_io, const struct pv_loop_io *loop_io)
{
	file_io->loop_io = *loop_io;
	pv_loop_io_submit(file_io->blk_io->lane, &file_io->loop_io);
}

/* Puts the piece that is done in part back as it came. Returns the bytes of it that are done. */
static uint64_t mend(struct file_io *file_io)
{
	struct pv_iov *cut = file_io->cut;
	uint64_t done_bytes;

	if (!cut)
		return 0;
	done_bytes = file_io->whole.bytes - cut->bytes;
	*cut = file_io->whole;
	file_io->cut = NULL;
	return done_bytes;
}

static void end(struct file_io *file_io, int error)
{
	mend(file_io);
	free(file_io->bounce);
	file_io->blk_io->done(file_io->blk_io, error);
}

/* What the kernel's answer is to a device: no room is told apart, because room can be made. */
static int error_of(int64_t result)
{
	return result == -ENOSPC || result == -EDQUOT ? -PV_ENOSPC : -PV_EIO;
}

static bool must_try_again(int64_t result)
{
	return result == -EAGAIN || result == -EINTR;
}

/* ---- flush ---- */

static void submit_sync(struct file_io *file_io,
                        void (*done)(struct pv_loop_io *loop_io, int64_t result))
{
	const struct pv_loop_io loop_io = {
		.op = PV_LOOP_SYNC,
		.fd = file_io->store->fd,
		.done = done,
	};

	submit(file_io, &loop_io);
}

static void sync_done(struct pv_loop_io *loop_io, int64_t result)
{
	struct file_io *file_io = (struct file_io *)loop_io;

	if (must_try_again(result))
		submit_sync(file_io, sync_done);
	else
		end(file_io, result < 0 ? error_of(result) : 0);
}

/* What is done so far ends here, unless it must be stable too. */
static void end_or_sync(struct file_io *file_io)
{
	if (file_io->blk_io->is_stable && !file_io->store->is_in_memory)
		submit_sync(file_io, sync_done);
	else
		end(file_io, 0);
}

/* ---- read and write ---- */

/* Moves past what was read or written. Returns whether that is all. */
static bool advance(struct file_io *file_io, uint64_t bytes)
{
	struct pv_blk_io *io = file_io->blk_io;

	io->offset += bytes;
	io->bytes -= bytes;
	bytes += mend(file_io);
	while (io->iovs > 0 && bytes >= io->iov->bytes) {
		bytes -= io->iov->bytes;
		io->iov++;
		io->iovs--;
	}
	if (bytes > 0) {
		file_io->cut = io->iov;
		file_io->whole = *io->iov;
		io->iov->base = (uint8_t *)io->iov->base + bytes;
		io->iov->bytes -= (size_t)bytes;
	}
	return io->bytes == 0;
}

static void data_done(struct pv_loop_io *loop_io, int64_t result);

static void submit_transfer(struct file_io *file_io, const struct iovec *iov, unsigned int iovs)
{
	const struct pv_blk_io *io = file_io->blk_io;
	bool is_write = io->op == PV_BLK_WRITE;
	const struct pv_loop_io loop_io = {
		.op = is_write ? PV_LOOP_WRITE : PV_LOOP_READ,
		.fd = file_io->store->fd,
		.flags = is_write && io->is_stable ? RWF_DSYNC : 0,
		.iov = iov,
		.iovs = iovs,
		.offset = io->offset,
		.done = data_done,
	};

	submit(file_io, &loop_io);
}

/*
 * O_DIRECT wants memory and lengths aligned; a driver may have them otherwise, though none is known
 * that does. The page cache is no way round: it and O_DIRECT on one page lose writes to each other.
 */
static bool must_bounce(const struct pv_store *store, const struct pv_blk_io *io)
{
	uint64_t bits = 0;

	if (store->direct_align == 0)
		return false;
	for (uint16_t i = 0; i < io->iovs; i++)
		bits |= (uintptr_t)io->iov[i].base | io->iov[i].bytes;
	return bits % store->direct_align != 0;
}

#define BOUNCE_BYTES (128u << 10)
#define BOUNCE_ALIGN 4096u

/* So much of the I/O as goes into the bounce buffer at once. */
static void submit_bounced(struct file_io *file_io)
{
	const struct pv_blk_io *io = file_io->blk_io;
	struct pv_cursor cursor = { io->iov, io->iovs, 0 };

	if (!file_io->bounce)
		file_io->bounce = aligned_alloc(BOUNCE_ALIGN, BOUNCE_BYTES);
	if (!file_io->bounce) {
		end(file_io, -PV_EIO);
		return;
	}
	file_io->own.iov_base = file_io->bounce;
	file_io->own.iov_len = io->bytes < BOUNCE_BYTES ? (size_t)io->bytes : BOUNCE_BYTES;
	if (io->op == PV_BLK_WRITE)
		pv_cursor_read(&cursor, file_io->bounce, file_io->own.iov_len);
	submit_transfer(file_io, &file_io->own, 1);
}

static void submit_data(struct file_io *file_io)
{
	const struct pv_blk_io *io = file_io->blk_io;

	if (file_io->bounce || must_bounce(file_io->store, io))
		submit_bounced(file_io);
	else
		submit_transfer(file_io, (const struct iovec *)io->iov, io->iovs);
}

static void data_done(struct pv_loop_io *loop_io, int64_t result)
{
	struct file_io *file_io = (struct file_io *)loop_io;
	const struct pv_blk_io *io = file_io->blk_io;
	struct pv_cursor cursor = { io->iov, io->iovs, 0 };

	if (io->op == PV_BLK_WRITE && result > 0)
		pv_store_written(file_io->store, io->offset, (uint64_t)result);
	else if (file_io->bounce && result > 0)
		pv_cursor_write(&cursor, file_io->bounce, (size_t)result);
	if (must_try_again(result))
		submit_data(file_io);
	else if (result <= 0) /* 0: the file ends before the disk does */
		end(file_io, error_of(result));
	else if (advance(file_io, (uint64_t)result))
		end(file_io, 0);
	else
		submit_data(file_io);
}

/* ---- zeros by writing them: for write zeroes where need be, and for secure erase ---- */

/* Never written to, so all of it is one page of zeros. */
#define ZEROS_BYTES (1u << 20)
static uint8_t zeros[ZEROS_BYTES] __attribute__((aligned(4096)));

static void zeros_done(struct pv_loop_io *loop_io, int64_t result);
static void erase_sync_done(struct pv_loop_io *loop_io, int64_t result);

static void submit_zeros(struct file_io *file_io)
{
	const struct pv_blk_io *io = file_io->blk_io;
	uint64_t left = io->bytes - file_io->zeroed_bytes;
	const struct pv_loop_io loop_io = {
		.op = PV_LOOP_WRITE,
		.fd = file_io->store->fd,
		.iov = &file_io->own,
		.iovs = 1,
		.offset = io->offset + file_io->zeroed_bytes,
		.done = zeros_done,
	};

	file_io->own.iov_base = zeros;
	file_io->own.iov_len = left < ZEROS_BYTES ? (size_t)left : ZEROS_BYTES;
	submit(file_io, &loop_io);
}

static void zeros_done(struct pv_loop_io *loop_io, int64_t result)
{
	struct file_io *file_io = (struct file_io *)loop_io;

	if (result <= 0 && !must_try_again(result)) {
		end(file_io, error_of(result));
		return;
	}
	if (result > 0) {
		pv_store_written(file_io->store, file_io->blk_io->offset + file_io->zeroed_bytes,
		                 (uint64_t)result);
		file_io->zeroed_bytes += (uint64_t)result;
	}
	if (file_io->zeroed_bytes < file_io->blk_io->bytes)
		submit_zeros(file_io);
	else if (file_io->blk_io->op == PV_BLK_SECURE_ERASE)
		submit_sync(file_io, erase_sync_done);
	else
		end_or_sync(file_io);
}

static void submit_overwrite(struct file_io *file_io)
{
	file_io->zeroed_bytes = 0;
	submit_zeros(file_io);
}

static void allocate_done(struct pv_loop_io *loop_io, int64_t result);

static void submit_allocate(struct file_io *file_io, int mode)
{
	const struct pv_loop_io loop_io = {
		.op = PV_LOOP_ALLOCATE,
		.fd = file_io->store->fd,
		.flags = mode | FALLOC_FL_KEEP_SIZE,
		.offset = file_io->blk_io->offset,
		.bytes = file_io->blk_io->bytes,
		.done = allocate_done,
	};

	if (mode & FALLOC_FL_PUNCH_HOLE)
		pv_file_map_freed(&file_io->store->map, loop_io.offset, loop_io.bytes);
	submit(file_io, &loop_io);
}

/* A file system need not know how to make holes or zeros: the zeros are then written. */
static void allocate_done(struct pv_loop_io *loop_io, int64_t result)
{
	struct file_io *file_io = (struct file_io *)loop_io;

	if (must_try_again(result)) {
		submit_allocate(file_io, loop_io->flags);
	} else if (result == 0 || file_io->blk_io->op == PV_BLK_SECURE_ERASE) {
		end_or_sync(
			file_io); /* what was overwritten is erased, with its space or without */
	} else if (result == -EOPNOTSUPP && file_io->blk_io->op == PV_BLK_WRITE_ZEROES) {
		submit_overwrite(file_io);
	} else {
		end(file_io, result == -EOPNOTSUPP ? -PV_ENOTSUP : error_of(result));
	}
}

/* The zeros are on the disk: the space may go, which must not come first. */
static void erase_sync_done(struct pv_loop_io *loop_io, int64_t result)
{
	struct file_io *file_io = (struct file_io *)loop_io;

	if (must_try_again(result))
		submit_sync(file_io, erase_sync_done);
	else if (result < 0)
		end(file_io, error_of(result));
	else if (file_io->store->can_punch)
		submit_allocate(file_io, FALLOC_FL_PUNCH_HOLE);
	else
		end(file_io, 0);
}

/* ---- secure erase by the block device ---- */

static void erase_done(struct pv_loop_io *loop_io, int64_t result);

static void submit_erase(struct file_io *file_io)
{
	struct pv_store *store = file_io->store;

	file_io->loop_io = (struct pv_loop_io){
		.op = PV_LOOP_ERASE,
		.fd = store->fd,
		.offset = file_io->blk_io->offset,
		.bytes = file_io->blk_io->bytes,
		.done = erase_done,
	};
	pv_pool_give(&store->eraser, file_io->blk_io->lane, &file_io->loop_io);
}

static void erase_done(struct pv_loop_io *loop_io, int64_t result)
{
	struct file_io *file_io = (struct file_io *)loop_io;

	if (must_try_again(result))
		submit_erase(file_io);
	else if (result == -EOPNOTSUPP)
		end(file_io, -PV_ENOTSUP);
	else if (result < 0)
		end(file_io, error_of(result));
	else
		end_or_sync(file_io);
}

/* ---- discard, write zeroes ---- */

static void submit_clear(struct file_io *file_io)
{
	const struct pv_blk_io *io = file_io->blk_io;
	bool can_free = io->op == PV_BLK_DISCARD || (io->may_unmap && file_io->store->can_punch);

	submit_allocate(file_io, can_free ? FALLOC_FL_PUNCH_HOLE : FALLOC_FL_ZERO_RANGE);
}

/* ---- at once ---- */

/*
 * Guesses about the next I/O from the last ones, for each lane's thread. A pause counts I/Os that
 * go straight to the loop before an answer at once is tried again.
 */
static _Thread_local struct {
	uint32_t read_misses; /* in a row */
	uint32_t read_pause;
	uint32_t write_pause;
} guess;

#define MISSES_TO_PAUSE 8u
#define READ_PAUSE      64u
#define WRITE_PAUSE     256u
#define WRITE_SLOW_NS   500000u

static bool is_pausing(uint32_t *pause)
{
	if (*pause == 0)
		return false;
	(*pause)--;
	return true;
}

/* Reads what memory has of it. Returns the bytes, 0 if none. */
static ssize_t read_at_once(struct pv_store *store, const struct pv_blk_io *io)
{
	const struct iovec *iov = (const struct iovec *)io->iov;
	ssize_t got;

	if (store->is_in_memory)
		return preadv(store->fd, iov, io->iovs, (off_t)io->offset);
	if (store->direct_align || is_pausing(&guess.read_pause))
		return 0;
	got = preadv2(store->fd, iov, io->iovs, (off_t)io->offset, RWF_NOWAIT);
	if (got > 0) {
		guess.read_misses = 0;
	} else if (++guess.read_misses >= MISSES_TO_PAUSE) {
		guess.read_misses = 0;
		guess.read_pause = READ_PAUSE;
	}
	return got;
}

static ssize_t write_at_once(struct pv_store *store, const struct pv_blk_io *io)
{
	const struct iovec *iov = (const struct iovec *)io->iov;
	uint64_t started_ns;
	ssize_t put;

	if (store->is_in_memory)
		return pwritev(store->fd, iov, io->iovs, (off_t)io->offset);
	if (store->direct_align || store->is_block_device || io->is_stable ||
	    is_pausing(&guess.write_pause))
		return 0;
	started_ns = pv_clock_ns(CLOCK_MONOTONIC);
	put = pwritev(store->fd, iov, io->iovs, (off_t)io->offset);
	if (pv_clock_ns(CLOCK_MONOTONIC) - started_ns > WRITE_SLOW_NS)
		guess.write_pause = WRITE_PAUSE;
	return put;
}

static enum pv_blk_submit transfer(struct pv_store *store, struct pv_blk_io *io)
{
	ssize_t bytes;
	struct file_io *file_io;

	if (pv_file_map_copy(&store->map, io))
		return PV_BLK_DONE;
	bytes = io->op == PV_BLK_WRITE ? write_at_once(store, io) : read_at_once(store, io);
	if (bytes > 0 && io->op == PV_BLK_WRITE)
		pv_store_written(store, io->offset, (uint64_t)bytes);
	if (bytes > 0 && (uint64_t)bytes == io->bytes)
		return PV_BLK_DONE;
	file_io = file_io_of(store, io);
	if (bytes > 0)
		advance(file_io, (uint64_t)bytes);
	submit_data(file_io); /* which finds out about errors too */
	return PV_BLK_PENDING;
}

static enum pv_blk_submit file_submit(struct pv_blk_store *blk, struct pv_blk_io *io)
{
	struct pv_store *store = pv_store_of(blk);

	switch (io->op) {
	case PV_BLK_READ:
	case PV_BLK_WRITE:
		return transfer(store, io);
	case PV_BLK_FLUSH:
		if (store->is_in_memory || store->blk.limits.is_read_only)
			return PV_BLK_DONE;
		submit_sync(file_io_of(store, io), sync_done);
		return PV_BLK_PENDING;
	case PV_BLK_DISCARD:
	case PV_BLK_WRITE_ZEROES:
		submit_clear(file_io_of(store, io));
		return PV_BLK_PENDING;
	case PV_BLK_SECURE_ERASE:
		if (store->has_eraser)
			submit_erase(file_io_of(store, io));
		else
			submit_overwrite(file_io_of(store, io));
		return PV_BLK_PENDING;
	}
	io->error = -PV_EIO;
	return PV_BLK_FAILED;
}

const struct pv_blk_store_ops pv_store_file_ops = {
	.submit = file_submit,
	.begin = pv_store_file_begin,
	.end = pv_store_file_end,
	.lifetime = pv_store_block_lifetime,
};
