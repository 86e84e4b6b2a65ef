/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A file that lies in memory is mapped: it is as if it were not, but for the system calls. Holes
 * stay holes whatever is read, and what is cut short or has no room is told as an error.
 */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>
#include <cmocka.h>

#include "hosted/backends/store.h"
#include "hosted/control/guard.h"
#include "ring/err.h"
#include "tests/support/engine.h"
#include "tests/support/random.h"

#define PAGE       4096u
#define DISK_BYTES (4u << 20)
#define TURNS      4000u
#define PIECE_MAX  (600u << 10)

static struct pv_loop *loop;
static uint8_t memory[DISK_BYTES], expected[DISK_BYTES];
static char path[256];

/* ---- the system calls of I/O that is answered at once ---- */

static unsigned int calls;

ssize_t __real_preadv64(int fd, const struct iovec *iov, int iovs, off64_t offset);
ssize_t __real_pwritev64(int fd, const struct iovec *iov, int iovs, off64_t offset);
ssize_t __wrap_preadv64(int fd, const struct iovec *iov, int iovs, off64_t offset);
ssize_t __wrap_pwritev64(int fd, const struct iovec *iov, int iovs, off64_t offset);

ssize_t __wrap_preadv64(int fd, const struct iovec *iov, int iovs, off64_t offset)
{
	calls++;
	return __real_preadv64(fd, iov, iovs, offset);
}

ssize_t __wrap_pwritev64(int fd, const struct iovec *iov, int iovs, off64_t offset)
{
	calls++;
	return __real_pwritev64(fd, iov, iovs, offset);
}

static unsigned int calls_since(unsigned int before)
{
	return calls - before;
}

/* ---- a store and its I/O ---- */

struct step {
	struct pv_blk_io io;
	struct pv_iov iov[2];
	int error;
};

static void done(struct pv_blk_io *io, int error)
{
	((struct step *)io)->error = error;
	pv_loop_stop(loop);
}

/* In two pieces, where there are data. Returns the error. */
static int carry_out(struct pv_store *store, enum pv_blk_op op, uint64_t offset, void *data,
                     uint64_t bytes)
{
	struct pv_blk_store *blk = pv_store_blk(store);
	size_t first = (size_t)bytes / 3;
	struct step step = {
		.io = { .op = op,
		        .offset = offset,
		        .bytes = bytes,
		        .iov = step.iov,
		        .iovs = 2,
		        .may_unmap = true,
		        .done = done,
		        .lane = loop },
		.iov = { { data, first }, { (uint8_t *)data + first, (size_t)bytes - first } },
	};

	switch (blk->ops->submit(blk, &step.io)) {
	case PV_BLK_DONE:
		return 0;
	case PV_BLK_FAILED:
		return step.io.error;
	case PV_BLK_PENDING:
		break;
	}
	pv_loop_run(loop);
	return step.error;
}

static const struct pv_store_guard guard = { pv_guard_mapped, pv_guard_unmapped, pv_guard_trip_of };

/* A store that is at work, on a file that is there. */
static struct pv_store *begin(bool is_read_only)
{
	const struct pv_store_options options = { .path = path,
		                                  .null_bytes = -1,
		                                  .memory_bytes = -1,
		                                  .is_read_only = is_read_only,
		                                  .guard = &guard };
	struct pv_store *store = NULL;
	char error[256] = "";

	assert_int_equal(pv_guard_install(-1, 1),
	                 0); /* cmocka takes all signals before each test */
	if (pv_store_open(&store, &options, error, sizeof(error)))
		fail_msg("%s", error);
	assert_int_equal(pv_store_blk(store)->ops->begin(pv_store_blk(store)), 0);
	return store;
}

static void end(struct pv_store *store)
{
	pv_store_blk(store)->ops->end(pv_store_blk(store));
	pv_store_close(store);
}

static void make_file(const char *folder)
{
	int fd;

	snprintf(path, sizeof(path), "%s/pv-file-map-XXXXXX", folder);
	fd = mkstemp(path);
	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, DISK_BYTES), 0);
	close(fd);
}

static struct pv_store *begin_new(void)
{
	make_file("/dev/shm");
	return begin(false);
}

static void end_new(struct pv_store *store)
{
	end(store);
	unlink(path);
}

static int open_beside(void)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);

	assert_true(fd >= 0);
	return fd;
}

static blkcnt_t blocks(void)
{
	struct stat status;

	assert_int_equal(stat(path, &status), 0);
	return status.st_blocks;
}

static void is_full_of(uint8_t value, const uint8_t *data, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++)
		assert_int_equal(data[i], value);
}

/* ---- the tests ---- */

static void what_has_data_needs_no_system_call(void **state)
{
	struct pv_store *store = begin_new();
	unsigned int before = calls;

	(void)state;
	memset(memory, 1, 5 * PAGE);
	assert_int_equal(carry_out(store, PV_BLK_WRITE, PAGE, memory, 5 * PAGE), 0);
	assert_int_equal(calls_since(before), 1);
	before = calls;
	memset(memory, 2, PAGE);
	assert_int_equal(carry_out(store, PV_BLK_WRITE, 2 * PAGE + 512, memory, PAGE), 0);
	assert_int_equal(carry_out(store, PV_BLK_READ, PAGE, memory, 5 * PAGE), 0);
	assert_int_equal(calls_since(before), 0);
	is_full_of(1, memory, PAGE + 512);
	is_full_of(2, memory + PAGE + 512, PAGE);
	is_full_of(1, memory + 2 * PAGE + 512, 3 * PAGE - 512);
	/* One page of it is a hole. */
	assert_int_equal(carry_out(store, PV_BLK_READ, 5 * PAGE, memory, 2 * PAGE), 0);
	assert_int_equal(calls_since(before), 1);
	is_full_of(1, memory, PAGE);
	is_full_of(0, memory + PAGE, PAGE);
	end_new(store);
}

static void what_was_there_before_is_found(void **state)
{
	struct pv_store *store;
	unsigned int before;
	int fd;

	(void)state;
	make_file("/dev/shm");
	fd = open_beside();
	memset(memory, 7, 3 * PAGE);
	for (off_t at = 0; at < DISK_BYTES; at += 16 * PAGE)
		assert_int_equal(pwrite(fd, memory, 3 * PAGE, at), 3 * PAGE);
	close(fd);
	store = begin(true);
	before = calls;
	for (uint64_t at = 0; at < DISK_BYTES; at += 16 * PAGE) {
		memset(memory, 0, 3 * PAGE);
		assert_int_equal(carry_out(store, PV_BLK_READ, at, memory, 3 * PAGE), 0);
		is_full_of(7, memory, 3 * PAGE);
	}
	assert_int_equal(calls_since(before), 0);
	end_new(store);
}

static void a_thin_image_does_not_grow_by_being_read(void **state)
{
	struct pv_store *store = begin_new();

	(void)state;
	for (uint64_t at = 0; at < DISK_BYTES; at += 8 * PAGE)
		assert_int_equal(carry_out(store, PV_BLK_READ, at, memory, 8 * PAGE), 0);
	assert_int_equal(blocks(), 0);
	memset(memory, 3, 64 * PAGE);
	assert_int_equal(carry_out(store, PV_BLK_WRITE, 8 * PAGE, memory, 64 * PAGE), 0);
	assert_int_equal(blocks(), 64 * PAGE / 512);
	/* A page that is discarded in part is still there. */
	assert_int_equal(carry_out(store, PV_BLK_DISCARD, 9 * PAGE + 512, memory, 60 * PAGE), 0);
	assert_int_equal(carry_out(store, PV_BLK_READ, 0, memory, DISK_BYTES), 0);
	for (uint64_t at = 0; at < DISK_BYTES; at += PAGE)
		assert_int_equal(carry_out(store, PV_BLK_READ, at, memory, PAGE), 0);
	assert_int_equal(blocks(), 5 * PAGE / 512);
	end_new(store);
}

/* The same as an array, whatever is done, and nothing but writes makes it longer. */
static void it_is_as_an_array(void **state)
{
	struct pv_random dice = pv_random_start(pv_random_seed(), 0);
	struct pv_store *store = begin_new();
	unsigned int without_call = 0;

	(void)state;
	memset(expected, 0, sizeof(expected));
	for (uint32_t turn = 0; turn < TURNS; turn++) {
		uint32_t bytes = 512 * (1 + pv_random_below(&dice, pv_random_chance(&dice, 5)
		                                                           ? PIECE_MAX / 512
		                                                           : 24));
		uint32_t at = 512 * pv_random_below(&dice, (DISK_BYTES - bytes) / 512 + 1);
		blkcnt_t before = blocks();
		unsigned int calls_before = calls;

		switch (pv_random_below(&dice, 8)) {
		case 0:
			assert_int_equal(carry_out(store, PV_BLK_DISCARD, at, memory, bytes), 0);
			memset(expected + at, 0, bytes);
			assert_true(blocks() <= before);
			break;
		case 1:
			assert_int_equal(carry_out(store, PV_BLK_WRITE_ZEROES, at, memory, bytes),
			                 0);
			memset(expected + at, 0, bytes);
			assert_true(blocks() <= before);
			break;
		case 2:
		case 3:
		case 4:
			memset(memory, (int)(turn % 255 + 1), bytes);
			assert_int_equal(carry_out(store, PV_BLK_WRITE, at, memory, bytes), 0);
			memset(expected + at, (int)(turn % 255 + 1), bytes);
			without_call += calls == calls_before;
			break;
		default:
			assert_int_equal(carry_out(store, PV_BLK_READ, at, memory, bytes), 0);
			assert_memory_equal(memory, expected + at, bytes);
			assert_int_equal(blocks(), before);
			without_call += calls == calls_before;
			break;
		}
	}
	assert_true(without_call > TURNS / 20);
	end_new(store);
}

static void what_was_cut_off_is_an_error_and_what_is_left_is_there(void **state)
{
	struct pv_store *store = begin_new();
	int fd = open_beside();

	(void)state;
	memset(memory, 9, DISK_BYTES);
	assert_int_equal(carry_out(store, PV_BLK_WRITE, 0, memory, DISK_BYTES), 0);
	assert_int_equal(ftruncate(fd, DISK_BYTES / 2), 0);
	assert_int_equal(carry_out(store, PV_BLK_READ, DISK_BYTES - PAGE, memory, PAGE), -PV_EIO);
	assert_int_equal(carry_out(store, PV_BLK_READ, DISK_BYTES / 2, memory, PAGE), -PV_EIO);
	memset(memory, 0, PAGE);
	assert_int_equal(carry_out(store, PV_BLK_READ, DISK_BYTES / 2 - PAGE, memory, PAGE), 0);
	is_full_of(9, memory, PAGE);
	/* Nothing is written beside the file from now on. */
	memset(memory, 5, PAGE);
	assert_int_equal(carry_out(store, PV_BLK_WRITE, DISK_BYTES - PAGE, memory, PAGE), 0);
	assert_int_equal(carry_out(store, PV_BLK_WRITE, PAGE, memory, PAGE), 0);
	for (int i = 0; i < 2; i++) {
		memset(memory, 0, PAGE);
		assert_int_equal(pread(fd, memory, PAGE, i ? PAGE : DISK_BYTES - PAGE), PAGE);
		is_full_of(5, memory, PAGE);
	}
	close(fd);
	end_new(store);
}

static void a_write_is_not_lost_that_finds_its_page_cut_off(void **state)
{
	struct pv_store *store = begin_new();
	int fd = open_beside();

	(void)state;
	assert_int_equal(carry_out(store, PV_BLK_WRITE, 0, memory, DISK_BYTES), 0);
	assert_int_equal(ftruncate(fd, PAGE), 0);
	memset(memory, 6, 3 * PAGE);
	assert_int_equal(carry_out(store, PV_BLK_WRITE, 0, memory, 3 * PAGE), 0);
	memset(memory, 0, 3 * PAGE);
	assert_int_equal(pread(fd, memory, 3 * PAGE, 0), 3 * PAGE);
	is_full_of(6, memory, 3 * PAGE);
	close(fd);
	end_new(store);
}

/* Somebody makes a hole where data are, and takes the room. */
static void prove_full(void)
{
	struct pv_store *store = begin(false);
	int fd = open_beside(), other;
	char name[sizeof(path) + 8];

	memset(memory, 4, 4 * PAGE);
	assert_int_equal(carry_out(store, PV_BLK_WRITE, 0, memory, 4 * PAGE), 0);
	assert_int_equal(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, PAGE, PAGE), 0);
	snprintf(name, sizeof(name), "%s.other", path);
	other = open(name, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	while (write(other, memory, PAGE) > 0)
		;
	assert_int_equal(errno, ENOSPC);
	assert_int_equal(carry_out(store, PV_BLK_WRITE, PAGE, memory, PAGE), -PV_ENOSPC);
	memset(memory, 1, 4 * PAGE);
	assert_int_equal(carry_out(store, PV_BLK_READ, 0, memory, 4 * PAGE), 0);
	is_full_of(4, memory, PAGE);
	is_full_of(0, memory + PAGE, PAGE);
	is_full_of(4, memory + 2 * PAGE, 2 * PAGE);
	close(other);
	close(fd);
	end(store);
}

static void a_page_without_room_is_told_as_such(void **state)
{
	char folder[] = "/tmp/pv-small-XXXXXX";

	(void)state;
	if (unshare(geteuid() == 0 ? CLONE_NEWNS : CLONE_NEWNS | CLONE_NEWUSER) ||
	    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) || !mkdtemp(folder)) {
		print_message("no mount namespace here: %s\n", strerror(errno));
		skip();
	}
	assert_int_equal(mount("small", folder, "tmpfs", 0, "size=1m"), 0);
	make_file(folder);
	prove_full();
	umount2(folder, MNT_DETACH);
	rmdir(folder);
}

static void what_it_grows_by_is_mapped_when_it_begins_again(void **state)
{
	struct pv_store *store = begin_new();
	struct pv_blk_store *blk = pv_store_blk(store);

	(void)state;
	memset(memory, 8, 2 * PAGE);
	assert_int_equal(pv_store_resize(store, 2 * DISK_BYTES), 0);
	assert_int_equal(carry_out(store, PV_BLK_WRITE, DISK_BYTES - PAGE, memory, 2 * PAGE), 0);
	for (unsigned int turn = 0; turn < 2; turn++) {
		unsigned int before = calls;

		memset(memory, 0, 2 * PAGE);
		assert_int_equal(carry_out(store, PV_BLK_READ, DISK_BYTES - PAGE, memory, 2 * PAGE),
		                 0);
		is_full_of(8, memory, 2 * PAGE);
		assert_int_equal(calls_since(before), 1 - turn);
		blk->ops->end(blk);
		assert_int_equal(blk->ops->begin(blk), 0);
	}
	end_new(store);
}

static void what_was_cut_off_comes_back_as_a_hole(void **state)
{
	struct pv_store *store = begin_new();

	(void)state;
	memset(memory, 2, DISK_BYTES);
	assert_int_equal(carry_out(store, PV_BLK_WRITE, 0, memory, DISK_BYTES), 0);
	assert_int_equal(pv_store_resize(store, DISK_BYTES / 4), 0);
	assert_int_equal(pv_store_resize(store, 2 * DISK_BYTES), 0);
	for (uint64_t at = 0; at < DISK_BYTES; at += PAGE) {
		assert_int_equal(carry_out(store, PV_BLK_READ, at, memory, PAGE), 0);
		is_full_of(at < DISK_BYTES / 4 ? 2 : 0, memory, PAGE);
	}
	assert_int_equal(blocks(), DISK_BYTES / 4 / 512);
	end_new(store);
}

static int set_up(void **state)
{
	const struct pv_loop_options options = { .name = "test", .engine = test_engine() };

	(void)state;
	return pv_loop_create(&loop, &options);
}

static int tear_down(void **state)
{
	(void)state;
	pv_loop_destroy(loop);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_has_data_needs_no_system_call),
		cmocka_unit_test(what_was_there_before_is_found),
		cmocka_unit_test(a_thin_image_does_not_grow_by_being_read),
		cmocka_unit_test(it_is_as_an_array),
		cmocka_unit_test(what_was_cut_off_is_an_error_and_what_is_left_is_there),
		cmocka_unit_test(a_write_is_not_lost_that_finds_its_page_cut_off),
		cmocka_unit_test(a_page_without_room_is_told_as_such),
		cmocka_unit_test(what_it_grows_by_is_mapped_when_it_begins_again),
		cmocka_unit_test(what_was_cut_off_comes_back_as_a_hole),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
