/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Stores on a real loop and real files: what is written is read, through every way that an I/O can
 * take; space really comes back; and what goes wrong is said in one sentence.
 *
 * Files are made in the folder of the test, on a file system with a page cache, and on tmpfs.
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
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>
#include <cmocka.h>

#include "hosted/backends/store.h"
#include "tests/support/engine.h"
#include "ring/err.h"

#define DISK_BYTES (4u << 20)

static struct pv_loop *loop;
static uint8_t memory[1 << 20] __attribute__((aligned(4096)));

struct step {
	struct pv_blk_io io;
	struct pv_iov iov[3];
	int error;
	bool is_done;
};

static void done(struct pv_blk_io *io, int error)
{
	struct step *step = (struct step *)io;

	assert_false(step->is_done);
	step->is_done = true;
	step->error = error;
	pv_loop_stop(loop);
}

/* Carries one I/O out. Returns its error. */
static int carry_out(struct pv_store *store, struct step *step)
{
	struct pv_blk_store *blk = pv_store_blk(store);

	step->io.done = done;
	step->io.lane = loop;
	step->io.iov = step->iov;
	step->is_done = false;
	switch (blk->ops->submit(blk, &step->io)) {
	case PV_BLK_DONE:
		return 0;
	case PV_BLK_FAILED:
		return step->io.error;
	case PV_BLK_PENDING:
		break;
	}
	pv_loop_run(loop);
	assert_true(step->is_done);
	return step->error;
}

static int transfer(struct pv_store *store, enum pv_blk_op op, uint64_t offset, void *data,
                    size_t bytes, bool is_stable)
{
	struct step step = {
		.io = { .op = op,
		        .offset = offset,
		        .bytes = bytes,
		        .iovs = 1,
		        .is_stable = is_stable },
		.iov = { { data, bytes } },
	};

	return carry_out(store, &step);
}

static int clear(struct pv_store *store, enum pv_blk_op op, uint64_t offset, uint64_t bytes,
                 bool may_unmap, bool is_stable)
{
	struct step step = {
		.io = { .op = op,
		        .offset = offset,
		        .bytes = bytes,
		        .may_unmap = may_unmap,
		        .is_stable = is_stable },
	};

	return carry_out(store, &step);
}

static int flush(struct pv_store *store)
{
	struct step step = { .io = { .op = PV_BLK_FLUSH } };

	return carry_out(store, &step);
}

/* ---- files ---- */

static char path[256];

static void make_file(const char *folder, off_t bytes)
{
	int fd;

	snprintf(path, sizeof(path), "%s/pv-store-XXXXXX", folder);
	fd = mkstemp(path);
	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, bytes), 0);
	close(fd);
}

static struct pv_store *open_path(bool is_direct)
{
	const struct pv_store_options options = {
		.path = path,
		.null_bytes = -1,
		.memory_bytes = -1,
		.is_direct = is_direct,
	};
	struct pv_store *store = NULL;
	char error[256] = "";
	int err = pv_store_open(&store, &options, error, sizeof(error));

	if (err == -EINVAL && is_direct)
		return NULL; /* a file system without O_DIRECT */
	if (err)
		fail_msg("%s", error);
	return store;
}

static blkcnt_t blocks_on_disk(void)
{
	struct stat status;

	assert_int_equal(stat(path, &status), 0);
	return status.st_blocks;
}

/* Throws the file out of the page cache, so that the next read has to wait for the disk. */
static void forget_cache(void)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	assert_int_equal(fsync(fd), 0);
	assert_int_equal(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED), 0);
	close(fd);
}

static void fill(uint8_t *data, size_t bytes, unsigned int seed)
{
	for (size_t i = 0; i < bytes; i++)
		data[i] = (uint8_t)(seed + i * 7 + i / 256);
}

static void check(const uint8_t *data, size_t bytes, unsigned int seed)
{
	for (size_t i = 0; i < bytes; i++)
		assert_int_equal(data[i], (uint8_t)(seed + i * 7 + i / 256));
}

static void write_and_read(struct pv_store *store, uint64_t offset, size_t shift, size_t bytes)
{
	uint8_t *data = memory + shift;

	fill(data, bytes, (unsigned int)offset);
	assert_int_equal(transfer(store, PV_BLK_WRITE, offset, data, bytes, false), 0);
	memset(data, 0, bytes);
	assert_int_equal(transfer(store, PV_BLK_READ, offset, data, bytes, false), 0);
	check(data, bytes, (unsigned int)offset);
	assert_int_equal(flush(store), 0);
	memset(data, 0, bytes);
	forget_cache();
	assert_int_equal(transfer(store, PV_BLK_READ, offset, data, bytes, false), 0);
	check(data, bytes, (unsigned int)offset);
}

static void in_each_place(void (*prove)(struct pv_store *store, bool is_tmpfs))
{
	const struct {
		const char *folder;
		bool is_direct;
	} places[] = {
		{ ".", false },
		{ ".", true },
		{ "/dev/shm", false },
	};

	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		struct pv_store *store;

		make_file(places[i].folder, DISK_BYTES);
		store = open_path(places[i].is_direct);
		if (store) {
			prove(store, i == 2);
			pv_store_close(store);
		}
		unlink(path);
	}
}

static void prove_read_write(struct pv_store *store, bool is_tmpfs)
{
	(void)is_tmpfs;
	write_and_read(store, 0, 0, 4096);
	write_and_read(store, 8192, 0, 1 << 19);
	write_and_read(store, DISK_BYTES - 4096, 4096, 4096);
	/* Not aligned as O_DIRECT wants it: in memory, and then in length. */
	write_and_read(store, 4096, 10, 4096);
	write_and_read(store, 65536, 3, 512 * 5);
	write_and_read(store, 1 << 20, 5, 1 << 19); /* more than a bounce buffer holds */
}

static void what_is_written_is_read_from_the_cache_and_from_the_disk(void **state)
{
	(void)state;
	in_each_place(prove_read_write);
}

static void prove_pieces(struct pv_store *store, bool is_tmpfs)
{
	struct step step = {
		.io = { .op = PV_BLK_WRITE, .offset = 12288, .bytes = 4096, .iovs = 3 },
		.iov = { { memory, 100 }, { memory + 100, 3000 }, { memory + 3100, 996 } },
	};

	(void)is_tmpfs;
	fill(memory, 4096, 5);
	assert_int_equal(carry_out(store, &step), 0);
	memset(memory, 0, 4096);
	assert_int_equal(transfer(store, PV_BLK_READ, 12288, memory, 4096, false), 0);
	check(memory, 4096, 5);
}

/* Is this page of a file that is mapped in the page cache? Does not bring it there. */
static bool is_cached(uint8_t *page)
{
	uint8_t resident = 0;

	assert_int_equal(mincore(page, 4096, &resident), 0);
	return resident & 1;
}

/* Both at once on one page would lose writes to each other. */
static void o_direct_leaves_the_page_cache_alone_whatever_the_memory(void **state)
{
	struct pv_store *store;
	uint8_t *map;
	int fd;

	(void)state;
	make_file(".", DISK_BYTES);
	store = open_path(true);
	fd = open(path, O_RDONLY);
	map = mmap(NULL, DISK_BYTES, PROT_READ, MAP_SHARED, fd, 0);
	assert_ptr_not_equal(map, MAP_FAILED);
	if (store) {
		fill(memory + 3, 4096, 1);
		assert_int_equal(transfer(store, PV_BLK_WRITE, 4096, memory + 3, 4096, false), 0);
		assert_int_equal(clear(store, PV_BLK_WRITE_ZEROES, 8192, 4096, false, false), 0);
		assert_false(is_cached(map + 4096));
		assert_false(is_cached(map + 8192));
		pv_store_close(store);
		/* It would be seen. */
		assert_int_equal(map[4096], memory[3]);
		assert_true(is_cached(map + 4096));
	}
	munmap(map, DISK_BYTES);
	close(fd);
	unlink(path);
}

static void pieces_of_any_length_are_one_request(void **state)
{
	(void)state;
	in_each_place(prove_pieces);
}

static void prove_clear(struct pv_store *store, bool is_tmpfs)
{
	static const uint8_t zeros[1 << 18];
	blkcnt_t full;

	(void)is_tmpfs;
	fill(memory, sizeof(memory), 9);
	assert_int_equal(transfer(store, PV_BLK_WRITE, 0, memory, sizeof(memory), true), 0);
	full = blocks_on_disk();
	assert_true(full >= (blkcnt_t)sizeof(memory) / 512);
	/* Written zeros keep the space, or need not; what may be unmapped and is discarded goes. */
	assert_int_equal(clear(store, PV_BLK_WRITE_ZEROES, 0, 1 << 18, false, false), 0);
	assert_int_equal(clear(store, PV_BLK_WRITE_ZEROES, 1 << 18, 1 << 18, true, true), 0);
	assert_int_equal(clear(store, PV_BLK_DISCARD, 1 << 19, 1 << 18, false, true), 0);
	assert_int_equal(flush(store), 0);
	assert_true(blocks_on_disk() <= full - 2 * (1 << 18) / 512);
	for (uint64_t at = 0; at < 3; at++) {
		assert_int_equal(transfer(store, PV_BLK_READ, at << 18, memory, 1 << 18, false), 0);
		assert_memory_equal(memory, zeros, 1 << 18);
	}
	assert_int_equal(transfer(store, PV_BLK_READ, 3 << 18, memory, 1 << 18, false), 0);
	assert_int_equal(memory[0], (uint8_t)(9 + (3u << 18) * 7 + (3u << 18) / 256));
}

static void discard_and_write_zeroes_clear_and_give_space_back(void **state)
{
	(void)state;
	in_each_place(prove_clear);
}

/* What is erased is written over and on the disk before its space goes. */
static void prove_erase(const char *folder)
{
	static const uint8_t zeros[1 << 16];
	struct pv_store_options options = { .null_bytes = -1,
		                            .memory_bytes = -1,
		                            .erase = PV_STORE_ERASE_OVERWRITE };
	struct pv_store *store;
	char error[256];
	uint64_t ios;
	blkcnt_t full;

	make_file(folder, DISK_BYTES);
	options.path = path;
	assert_int_equal(pv_store_open(&store, &options, error, sizeof(error)), 0);
	assert_int_equal(pv_store_blk(store)->limits.erase_granularity, 512);
	memset(memory, 0x5a, sizeof(memory));
	assert_int_equal(transfer(store, PV_BLK_WRITE, 0, memory, sizeof(memory), false), 0);
	assert_int_equal(flush(store), 0);
	full = blocks_on_disk();
	ios = pv_loop_counters(loop).ios;
	assert_int_equal(clear(store, PV_BLK_SECURE_ERASE, 1 << 16, 1 << 19, false, false), 0);
	/* Zeros, a sync, a hole. */
	assert_int_equal(pv_loop_counters(loop).ios - ios, 3);
	assert_true(blocks_on_disk() <= full - (1 << 19) / 512);
	assert_int_equal(transfer(store, PV_BLK_READ, 1 << 16, memory, 1 << 16, false), 0);
	assert_memory_equal(memory, zeros, 1 << 16);
	assert_int_equal(transfer(store, PV_BLK_READ, 0, memory, 1 << 16, false), 0);
	assert_int_equal(memory[(1 << 16) - 1], 0x5a);
	pv_store_close(store);
	unlink(path);
}

static void a_file_is_erased_by_writing_over_it(void **state)
{
	(void)state;
	prove_erase(".");
	prove_erase("/dev/shm");
}

static void prove_cut_short(struct pv_store *store, bool is_tmpfs)
{
	(void)is_tmpfs;
	assert_int_equal(truncate(path, 8192), 0);
	assert_int_equal(transfer(store, PV_BLK_READ, 0, memory, 4096, false), 0);
	assert_int_equal(transfer(store, PV_BLK_READ, 4096, memory, 8192, false), -PV_EIO);
	assert_int_equal(transfer(store, PV_BLK_READ, 65536, memory, 4096, false), -PV_EIO);
}

/* A device may have to do it again, or save it: its list of pieces must not have suffered. */
static void prove_pieces_are_whole(struct pv_store *store, bool is_tmpfs)
{
	const struct pv_iov came[3] = { { memory, 4096 },
		                        { memory + 8192, 8192 },
		                        { memory + 65536, 4096 } };
	struct step step = { .io = { .op = PV_BLK_READ, .bytes = 16384, .iovs = 3 } };

	(void)is_tmpfs;
	assert_int_equal(truncate(path, 6000), 0);
	memcpy(step.iov, came, sizeof(came));
	assert_int_equal(carry_out(store, &step), -PV_EIO);
	assert_memory_equal(step.iov, came, sizeof(came));
}

static void pieces_are_as_they_came_after_an_io_that_was_done_in_part(void **state)
{
	(void)state;
	in_each_place(prove_pieces_are_whole);
}

/* A file system of a megabyte, seen by this process alone; without the right to one: a skip. */
static void enter_small_place(char folder[static 64])
{
	strcpy(folder, "/tmp/pv-small-XXXXXX");
	assert_non_null(mkdtemp(folder));
	if (unshare(geteuid() == 0 ? CLONE_NEWNS : CLONE_NEWNS | CLONE_NEWUSER) ||
	    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
	    mount("small", folder, "tmpfs", 0, "size=1m")) {
		rmdir(folder);
		print_message("no mount namespace here: %s\n", strerror(errno));
		skip();
	}
}

static void a_full_disk_is_told_apart_from_a_failing_one(void **state)
{
	struct pv_store *store;
	char folder[64];

	(void)state;
	enter_small_place(folder);
	make_file(folder, 4 << 20);
	store = open_path(false);
	assert_int_equal(transfer(store, PV_BLK_WRITE, 0, memory, sizeof(memory) / 2, false), 0);
	assert_int_equal(transfer(store, PV_BLK_WRITE, 2 << 20, memory, sizeof(memory), false),
	                 -PV_ENOSPC);
	assert_int_equal(clear(store, PV_BLK_WRITE_ZEROES, 0, 2 << 20, false, false), -PV_ENOSPC);
	assert_int_equal(clear(store, PV_BLK_DISCARD, 0, 4 << 20, true, false), 0);
	assert_int_equal(transfer(store, PV_BLK_WRITE, 3 << 20, memory, sizeof(memory) / 2, true),
	                 0);
	pv_store_close(store);
	umount2(folder, MNT_DETACH);
	rmdir(folder);
}

static void an_image_that_is_cut_short_gives_errors_and_no_signal(void **state)
{
	(void)state;
	in_each_place(prove_cut_short);
}

static void prove_resize(struct pv_store *store, bool is_tmpfs)
{
	struct stat status;

	(void)is_tmpfs;
	assert_int_equal(pv_store_resize(store, 2 * DISK_BYTES), 0);
	assert_int_equal(pv_store_blk(store)->capacity_bytes, 2 * DISK_BYTES);
	assert_int_equal(stat(path, &status), 0);
	assert_int_equal(status.st_size, 2 * DISK_BYTES);
	assert_int_equal(pv_store_resize(store, 1000), -EINVAL);
	assert_int_equal(pv_store_resize(store, 0), -EINVAL);
	assert_int_equal(pv_store_resize(store, UINT64_MAX & ~4095ull), -EINVAL);
	assert_int_equal(pv_store_blk(store)->capacity_bytes, 2 * DISK_BYTES);
}

/* As a lane does that was in the midst of it: checked against the old size, written after the cut.
 */
static void prove_shrink(struct pv_store *store, bool is_tmpfs)
{
	struct stat status;

	(void)is_tmpfs;
	assert_int_equal(pv_store_resize(store, DISK_BYTES / 2), 0);
	assert_int_equal(transfer(store, PV_BLK_WRITE, DISK_BYTES - 8192, memory, 4096, false), 0);
	assert_int_equal(stat(path, &status), 0);
	assert_int_equal(status.st_size, DISK_BYTES / 2);
	assert_int_equal(transfer(store, PV_BLK_WRITE, DISK_BYTES / 2 - 4096, memory, 8192, true),
	                 0);
	assert_int_equal(stat(path, &status), 0);
	assert_int_equal(status.st_size, DISK_BYTES / 2);
	assert_int_equal(transfer(store, PV_BLK_READ, 0, memory, 4096, false), 0);
}

static void a_write_that_ends_after_a_shrink_does_not_make_the_file_longer(void **state)
{
	(void)state;
	in_each_place(prove_shrink);
}

static void a_file_is_made_longer_and_nonsense_is_refused(void **state)
{
	(void)state;
	in_each_place(prove_resize);
}

static void memory_reads_what_was_written_and_zeros_after_a_discard(void **state)
{
	const struct pv_store_options options = { .null_bytes = -1, .memory_bytes = DISK_BYTES };
	static const uint8_t zeros[16384];
	struct pv_store *store;
	char error[256];

	(void)state;
	assert_int_equal(pv_store_open(&store, &options, error, sizeof(error)), 0);
	fill(memory, 65536, 3);
	assert_int_equal(transfer(store, PV_BLK_WRITE, 512, memory, 65536, false), 0);
	memset(memory, 1, 65536);
	assert_int_equal(transfer(store, PV_BLK_READ, 512, memory, 65536, false), 0);
	check(memory, 65536, 3);
	assert_int_equal(clear(store, PV_BLK_DISCARD, 1024, 16384, false, false), 0);
	assert_int_equal(transfer(store, PV_BLK_READ, 1024, memory, 16384, false), 0);
	assert_memory_equal(memory, zeros, 16384);
	assert_int_equal(transfer(store, PV_BLK_READ, 512, memory, 512, false), 0);
	check(memory, 512, 3);
	pv_store_close(store);
}

/* ---- what cannot be opened ---- */

static void refused(const struct pv_store_options *options, const char *option, const char *remedy)
{
	struct pv_store *store;
	char error[256] = "";

	assert_true(pv_store_open(&store, options, error, sizeof(error)) < 0);
	if (!strstr(error, option) || !strstr(error, remedy))
		fail_msg("'%s' lacks '%s' or '%s'", error, option, remedy);
	assert_null(strchr(error, '\n'));
}

static void what_cannot_be_a_disk_is_refused_in_a_sentence(void **state)
{
	struct pv_store_options options = { .path = "./no-such-file",
		                            .null_bytes = -1,
		                            .memory_bytes = -1 };

	(void)state;
	refused(&options, "--blk-file", "check the path");
	assert_int_equal(access("./no-such-file", F_OK), -1);
	options.path = "/dev/null";
	refused(&options, "--blk-file", "neither a file nor a block device");
	make_file(".", 1000);
	options.path = path;
	refused(&options, "--blk-file", "truncate -s %512");
	assert_int_equal(truncate(path, 0), 0);
	refused(&options, "--blk-file", "empty");
	assert_int_equal(truncate(path, 512 * 3), 0);
	options.logical_block_bytes = 4096;
	refused(&options, "--blk-file", "truncate -s %4096");
	unlink(path);
	options.path = NULL;
	options.memory_bytes = 512;
	refused(&options, "--memory", "of 4096 bytes; give one that is");
}

static int make_loop(void **state)
{
	const struct pv_loop_options options = { .name = "test", .engine = test_engine() };

	(void)state;
	return pv_loop_create(&loop, &options);
}

static int destroy_loop(void **state)
{
	(void)state;
	pv_loop_destroy(loop);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_written_is_read_from_the_cache_and_from_the_disk),
		cmocka_unit_test(o_direct_leaves_the_page_cache_alone_whatever_the_memory),
		cmocka_unit_test(pieces_of_any_length_are_one_request),
		cmocka_unit_test(discard_and_write_zeroes_clear_and_give_space_back),
		cmocka_unit_test(a_file_is_erased_by_writing_over_it),
		cmocka_unit_test(an_image_that_is_cut_short_gives_errors_and_no_signal),
		cmocka_unit_test(pieces_are_as_they_came_after_an_io_that_was_done_in_part),
		cmocka_unit_test(a_full_disk_is_told_apart_from_a_failing_one),
		cmocka_unit_test(a_write_that_ends_after_a_shrink_does_not_make_the_file_longer),
		cmocka_unit_test(a_file_is_made_longer_and_nonsense_is_refused),
		cmocka_unit_test(memory_reads_what_was_written_and_zeros_after_a_discard),
		cmocka_unit_test(what_cannot_be_a_disk_is_refused_in_a_sentence),
	};

	return cmocka_run_group_tests(tests, make_loop, destroy_loop);
}
