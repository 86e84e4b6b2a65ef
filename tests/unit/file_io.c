/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The I/O of a file store when system calls do less than they were asked, or nothing: what is short
 * goes on to its end, what was interrupted is tried again, an error ends the request; and what must
 * be stable is synced before it ends.
 *
 * The test stands between the store and what it calls, the loop and the system calls of I/O that
 * is answered at once.
 */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>
#include <cmocka.h>

#include "hosted/backends/store.h"
#include "ring/err.h"
#include "tests/support/random.h"

#define DISK_BYTES   (1u << 20)
#define PIECES_MAX   5u
#define DIRECT_BLOCK 4096u
#define TURNS        400u

static struct pv_random dice;

/* What the calls do, other than what they should. */
static struct {
	uint32_t short_percent;
	uint32_t again_percent; /* EINTR, EAGAIN */
	int error;              /* of every call; 0: none */
	bool cannot_allocate;
} fate;

/* How often they did. */
static uint32_t shorts, agains;

/* What they were asked for one I/O. */
static struct {
	uint32_t at_once_writes;
	uint64_t written_bytes, dsync_bytes;
	uint32_t allocates, syncs;
	bool is_synced_last;
} seen;

/* ---- the system calls ---- */

ssize_t __real_preadv64(int fd, const struct iovec *iov, int iovs, off64_t offset);
ssize_t __real_preadv64v2(int fd, const struct iovec *iov, int iovs, off64_t offset, int flags);
ssize_t __real_pwritev64(int fd, const struct iovec *iov, int iovs, off64_t offset);
ssize_t __wrap_preadv64(int fd, const struct iovec *iov, int iovs, off64_t offset);
ssize_t __wrap_preadv64v2(int fd, const struct iovec *iov, int iovs, off64_t offset, int flags);
ssize_t __wrap_pwritev64(int fd, const struct iovec *iov, int iovs, off64_t offset);
void __wrap_pv_loop_io_submit(struct pv_loop *loop, struct pv_loop_io *io);

/* What is short with O_DIRECT is so by whole blocks. */
static size_t part_of(int fd, size_t bytes)
{
	size_t part = 1 + pv_random_below(&dice, (uint32_t)bytes);

	if (fcntl(fd, F_GETFL) & O_DIRECT)
		part = (part + DIRECT_BLOCK - 1) / DIRECT_BLOCK * DIRECT_BLOCK;
	return part < bytes ? part : bytes;
}

/* A part of the pieces, at least one byte. Returns how many pieces are left. */
static int shorten(int fd, struct iovec *to, const struct iovec *iov, int iovs)
{
	size_t bytes = 0, at = 0;
	int count = 0;

	memcpy(to, iov, (size_t)iovs * sizeof(*iov));
	if (!pv_random_chance(&dice, fate.short_percent))
		return iovs;
	for (int i = 0; i < iovs; i++)
		bytes += iov[i].iov_len;
	bytes = part_of(fd, bytes);
	for (; at < bytes; count++) {
		if (to[count].iov_len > bytes - at)
			to[count].iov_len = bytes - at;
		at += to[count].iov_len;
	}
	shorts++;
	return count;
}

static int fails(void)
{
	if (fate.error)
		return fate.error;
	if (!pv_random_chance(&dice, fate.again_percent))
		return 0;
	agains++;
	return pv_random_chance(&dice, 50) ? -EINTR : -EAGAIN;
}

static ssize_t at_once(int error)
{
	errno = -error;
	return -1;
}

ssize_t __wrap_preadv64(int fd, const struct iovec *iov, int iovs, off64_t offset)
{
	struct iovec part[PIECES_MAX];
	int error = fails();

	return error ? at_once(error)
	             : __real_preadv64(fd, part, shorten(fd, part, iov, iovs), offset);
}

ssize_t __wrap_preadv64v2(int fd, const struct iovec *iov, int iovs, off64_t offset, int flags)
{
	struct iovec part[PIECES_MAX];
	int error = fails();

	return error ? at_once(error)
	             : __real_preadv64v2(fd, part, shorten(fd, part, iov, iovs), offset, flags);
}

ssize_t __wrap_pwritev64(int fd, const struct iovec *iov, int iovs, off64_t offset)
{
	struct iovec part[PIECES_MAX];
	int error = fails();

	seen.at_once_writes++;
	return error ? at_once(error)
	             : __real_pwritev64(fd, part, shorten(fd, part, iov, iovs), offset);
}

/* ---- the loop ---- */

static struct pv_loop_io *pending;

void __wrap_pv_loop_io_submit(struct pv_loop *loop, struct pv_loop_io *io)
{
	(void)loop;
	assert_null(pending);
	pending = io;
}

static int64_t result_of(ssize_t result)
{
	return result < 0 ? -errno : result;
}

static int64_t write_part(const struct pv_loop_io *io)
{
	struct iovec part[PIECES_MAX];
	int iovs = shorten(io->fd, part, io->iov, (int)io->iovs);
	int64_t put = result_of(pwritev2(io->fd, part, iovs, (off_t)io->offset, io->flags));

	seen.is_synced_last = io->flags & RWF_DSYNC;
	seen.written_bytes += put > 0 ? (uint64_t)put : 0;
	seen.dsync_bytes += put > 0 && io->flags & RWF_DSYNC ? (uint64_t)put : 0;
	return put;
}

static int64_t allocate(const struct pv_loop_io *io)
{
	seen.allocates++;
	seen.is_synced_last = false;
	if (fate.cannot_allocate)
		return -EOPNOTSUPP;
	return result_of(fallocate(io->fd, io->flags, (off_t)io->offset, (off_t)io->bytes));
}

static int64_t carry_out(const struct pv_loop_io *io)
{
	struct iovec part[PIECES_MAX];
	int error = fails();

	if (error)
		return error;
	switch (io->op) {
	case PV_LOOP_READ:
		return result_of(__real_preadv64v2(io->fd, part,
		                                   shorten(io->fd, part, io->iov, (int)io->iovs),
		                                   (off_t)io->offset, io->flags));
	case PV_LOOP_WRITE:
		return write_part(io);
	case PV_LOOP_SYNC:
		seen.syncs++;
		seen.is_synced_last = true;
		return result_of(fdatasync(io->fd));
	case PV_LOOP_ALLOCATE:
		return allocate(io);
	case PV_LOOP_ERASE: /* not of a file */
		break;
	}
	return -EINVAL;
}

/* ---- the store ---- */

struct step {
	struct pv_blk_io io;
	struct pv_iov iov[PIECES_MAX];
	int error;
	bool is_done;
};

static void done(struct pv_blk_io *io, int error)
{
	struct step *step = (struct step *)io;

	assert_false(step->is_done);
	step->is_done = true;
	step->error = error;
}

static struct pv_blk_store *blk;

/* Returns its error. */
static int run(struct step *step)
{
	enum pv_blk_submit submitted;

	memset(&seen, 0, sizeof(seen));
	step->io.done = done;
	step->io.iov = step->iov;
	step->is_done = false;
	submitted = blk->ops->submit(blk, &step->io);
	for (int i = 0; pending; i++) {
		struct pv_loop_io *io = pending;

		assert_true(i < 100000);
		pending = NULL;
		io->done(io, carry_out(io));
	}
	assert_int_equal(step->is_done, submitted == PV_BLK_PENDING);
	if (submitted == PV_BLK_FAILED)
		return -PV_EIO;
	return submitted == PV_BLK_DONE ? 0 : step->error;
}

static int simple(enum pv_blk_op op, bool is_stable)
{
	struct step step = {
		.io = { .op = op, .offset = 8192, .bytes = 65536, .is_stable = is_stable },
	};

	return run(&step);
}

/* ---- files ---- */

static char path[256];

static struct pv_store *open_file(const char *folder, bool is_direct)
{
	struct pv_store_options options = {
		.path = path, .null_bytes = -1, .memory_bytes = -1, .is_direct = is_direct
	};
	struct pv_store *store = NULL;
	char error[256];
	int fd, err;

	snprintf(path, sizeof(path), "%s/pv-file-io-XXXXXX", folder);
	fd = mkstemp(path);
	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, DISK_BYTES), 0);
	close(fd);
	memset(&fate, 0, sizeof(fate));
	err = pv_store_open(&store, &options, error, sizeof(error));
	if (err && !(is_direct && err == -EINVAL)) /* a file system without O_DIRECT */
		fail_msg("%s", error);
	blk = store ? pv_store_blk(store) : NULL;
	return store;
}

static void in_each_place(void (*prove)(void))
{
	static const struct {
		const char *folder;
		bool is_direct;
	} places[] = { { ".", false }, { ".", true }, { "/dev/shm", false } };

	dice = pv_random_start(pv_random_seed(), 0);
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		struct pv_store *store = open_file(places[i].folder, places[i].is_direct);

		if (store) {
			prove();
			pv_store_close(store);
		}
		unlink(path);
	}
}

/* ---- short and interrupted ---- */

static uint8_t model[DISK_BYTES];
static uint8_t memory[DISK_BYTES] __attribute__((aligned(4096)));

/* A read or write of sectors, in pieces cut anywhere, with what was there before all around. */
static void aim(struct step *step)
{
	uint32_t sectors = 1 + pv_random_below(&dice, 200);
	uint32_t first = pv_random_below(&dice, DISK_BYTES / 512 - sectors + 1);
	size_t left = sectors * 512u;
	uint8_t *at = memory + first * 512u;

	*step = (struct step){ .io = { .op = pv_random_chance(&dice, 50) ? PV_BLK_WRITE
		                                                         : PV_BLK_READ,
		                       .is_stable = pv_random_chance(&dice, 30),
		                       .offset = first * 512u,
		                       .bytes = left } };
	while (left > 0) {
		bool is_last = step->io.iovs == PIECES_MAX - 1;
		size_t bytes = is_last ? left : 1 + pv_random_below(&dice, (uint32_t)left);

		step->iov[step->io.iovs++] = (struct pv_iov){ at, bytes };
		at += bytes;
		left -= bytes;
	}
}

static void transfer(void)
{
	struct step step;
	uint64_t offset, bytes;
	uint8_t *data;

	aim(&step);
	offset = step.io.offset;
	bytes = step.io.bytes;
	data = step.iov[0].base;
	for (uint64_t i = 0; step.io.op == PV_BLK_WRITE && i < bytes; i++)
		model[offset + i] = data[i] = (uint8_t)pv_random_below(&dice, 256);
	if (step.io.op == PV_BLK_READ)
		memset(data, 0, bytes);
	assert_int_equal(run(&step), 0);
	assert_memory_equal(data, model + offset, bytes);
}

static void prove_short(void)
{
	memset(model, 0, sizeof(model));
	fate.short_percent = 50;
	fate.again_percent = 20;
	shorts = agains = 0;
	for (uint32_t i = 0; i < (getenv("PV_LONG") ? 100 * TURNS : TURNS); i++)
		transfer();
	assert_true(shorts > TURNS / 4 && agains > TURNS / 10);
}

static void what_is_short_or_interrupted_goes_on_to_its_end(void **state)
{
	(void)state;
	in_each_place(prove_short);
}

/* ---- errors ---- */

static void prove_errors(void)
{
	static const int errors[] = { -EIO, -ENOSPC, -EDQUOT, -EFBIG, -ENODEV, -EBADF };

	for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
		for (int op = PV_BLK_READ; op <= PV_BLK_WRITE_ZEROES; op++) {
			struct step step = {
				.io = { .op = (enum pv_blk_op)op,
				        .bytes = 4096,
				        .iovs = op == PV_BLK_READ || op == PV_BLK_WRITE },
				.iov = { { memory, 4096 } },
			};
			int error;

			fate.error = errors[i];
			error = run(&step);
			fate.error = 0;
			/* A flush of memory has nothing to do. */
			assert_true(error < 0 || op == PV_BLK_FLUSH);
		}
	}
}

static void an_error_of_a_system_call_ends_the_request(void **state)
{
	(void)state;
	in_each_place(prove_errors);
}

/* ---- stable ---- */

static int write_64k(bool is_stable)
{
	struct step step = {
		.io = { .op = PV_BLK_WRITE, .bytes = 65536, .iovs = 1, .is_stable = is_stable },
		.iov = { { memory, 65536 } },
	};

	return run(&step);
}

/* Of each write all is written with RWF_DSYNC, or the last thing is a sync. */
static void prove_stable(void)
{
	fate.short_percent = 60;
	fate.again_percent = 20;
	for (int i = 0; i < 20; i++) {
		assert_int_equal(write_64k(true), 0);
		assert_int_equal(seen.at_once_writes, 0);
		assert_int_equal(seen.dsync_bytes, 65536);
		for (int turn = 0; turn < 4; turn++) {
			fate.cannot_allocate = turn & 1;
			assert_int_equal(simple(turn & 2 ? PV_BLK_DISCARD : PV_BLK_WRITE_ZEROES,
			                        true),
			                 turn == 3 ? -PV_ENOTSUP : 0);
			assert_true(seen.is_synced_last || turn == 3);
		}
		fate.cannot_allocate = false;
		assert_int_equal(simple(PV_BLK_FLUSH, false), 0);
		assert_int_equal(seen.syncs, 1);
	}
}

static void what_must_be_stable_is_synced_before_it_ends(void **state)
{
	struct pv_store *store;

	(void)state;
	dice = pv_random_start(pv_random_seed(), 1);
	for (int is_direct = 0; is_direct < 2; is_direct++) {
		store = open_file(".", is_direct);
		if (store) {
			prove_stable();
			pv_store_close(store);
		}
		unlink(path);
	}
}

static void what_need_not_be_stable_is_not_synced(void **state)
{
	struct pv_store *store = open_file(".", false);

	(void)state;
	for (int i = 0; i < 20; i++) {
		assert_int_equal(write_64k(false), 0);
		assert_int_equal(seen.dsync_bytes + seen.syncs, 0);
		assert_int_equal(simple(PV_BLK_WRITE_ZEROES, false), 0);
		assert_int_equal(seen.allocates, 1);
		assert_int_equal(seen.syncs, 0);
	}
	pv_store_close(store);
	unlink(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_short_or_interrupted_goes_on_to_its_end),
		cmocka_unit_test(an_error_of_a_system_call_ends_the_request),
		cmocka_unit_test(what_must_be_stable_is_synced_before_it_ends),
		cmocka_unit_test(what_need_not_be_stable_is_not_synced),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
