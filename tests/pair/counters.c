/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a request may cost, counted and not timed: memory, submissions to the kernel, kicks and
 * interrupts, with 32 requests in flight.  And an idle device costs nothing at all.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <liburing.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <cmocka.h>

#include "tests/support/engine.h"
#include "tests/support/served_disk.h"

#define DISK_BYTES (4u << 20)
#define ROUNDS     100u
#define REQUESTS   ((uint64_t)ROUNDS * SERVED_DEPTH)

/* Requests are remembered in places that are made when they are first needed. */
#define WARM_UP_ROUNDS 4u

static struct served_disk served;

/* ---- what is counted by the linker's help (--wrap): all threads, between begin and end ---- */

static bool is_counting;
static uint64_t allocations;
static uint64_t submissions;
static uint64_t entries; /* of them */

void *__real_malloc(size_t bytes);
void *__real_calloc(size_t count, size_t bytes);
void *__real_realloc(void *memory, size_t bytes);
void *__real_aligned_alloc(size_t align, size_t bytes);
void *__real_mmap(void *at, size_t bytes, int protection, int flags, int fd, off_t offset);
int __real_io_uring_submit(struct io_uring *ring);
int __real_io_uring_submit_and_wait(struct io_uring *ring, unsigned int count);

void *__wrap_malloc(size_t bytes);
void *__wrap_calloc(size_t count, size_t bytes);
void *__wrap_realloc(void *memory, size_t bytes);
void *__wrap_aligned_alloc(size_t align, size_t bytes);
void *__wrap_mmap(void *at, size_t bytes, int protection, int flags, int fd, off_t offset);
int __wrap_io_uring_submit(struct io_uring *ring);
int __wrap_io_uring_submit_and_wait(struct io_uring *ring, unsigned int count);

static void count(uint64_t *counter, uint64_t amount)
{
	if (__atomic_load_n(&is_counting, __ATOMIC_ACQUIRE))
		__atomic_fetch_add(counter, amount, __ATOMIC_RELAXED);
}

static uint64_t counted(const uint64_t *counter)
{
	return __atomic_load_n(counter, __ATOMIC_RELAXED);
}

static void count_begin(void)
{
	allocations = submissions = entries = 0;
	__atomic_store_n(&is_counting, true, __ATOMIC_RELEASE);
}

static void count_end(void)
{
	__atomic_store_n(&is_counting, false, __ATOMIC_RELEASE);
}

void *__wrap_malloc(size_t bytes)
{
	count(&allocations, 1);
	return __real_malloc(bytes);
}

void *__wrap_calloc(size_t number, size_t bytes)
{
	count(&allocations, 1);
	return __real_calloc(number, bytes);
}

void *__wrap_realloc(void *memory, size_t bytes)
{
	count(&allocations, 1);
	return __real_realloc(memory, bytes);
}

void *__wrap_aligned_alloc(size_t align, size_t bytes)
{
	count(&allocations, 1);
	return __real_aligned_alloc(align, bytes);
}

void *__wrap_mmap(void *at, size_t bytes, int protection, int flags, int fd, off_t offset)
{
	count(&allocations, 1);
	return __real_mmap(at, bytes, protection, flags, fd, offset);
}

static void count_submission(const struct io_uring *ring)
{
	unsigned int ready = io_uring_sq_ready(ring);

	if (ready > 0) {
		count(&submissions, 1);
		count(&entries, ready);
	}
}

int __wrap_io_uring_submit(struct io_uring *ring)
{
	count_submission(ring);
	return __real_io_uring_submit(ring);
}

int __wrap_io_uring_submit_and_wait(struct io_uring *ring, unsigned int number)
{
	count_submission(ring);
	return __real_io_uring_submit_and_wait(ring, number);
}

/* ---- disks ---- */

enum store { NULL_STORE, MEMORY_STORE, FILE_STORE, DIRECT_STORE };

struct kind {
	enum store store;
	uint64_t ring_features;
};

static char image[] = "pv-counters-XXXXXX";

/* In the folder the test runs in, that of the build: most probably on a disk. */
static void image_make(void)
{
	static uint8_t noise[DISK_BYTES];
	int fd;

	strcpy(image, "pv-counters-XXXXXX");
	fd = mkstemp(image);
	assert_true(fd >= 0);
	memset(noise, 0x5a, sizeof(noise));
	assert_int_equal(write(fd, noise, sizeof(noise)), sizeof(noise));
	assert_int_equal(fsync(fd), 0);
	close(fd);
}

static bool has_direct(void)
{
	int fd = open(image, O_RDWR | O_DIRECT | O_CLOEXEC);

	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

static void start(const struct kind *kind)
{
	struct pv_disk_options options = PV_DISK_DEFAULTS;

	options.queues = 1;
	if (kind->store == NULL_STORE)
		options.null_bytes = DISK_BYTES;
	else if (kind->store == MEMORY_STORE)
		options.memory_bytes = DISK_BYTES;
	else
		options.blk_file = image;
	options.is_direct = kind->store == DIRECT_STORE;
	served_disk_start(&served, &options, kind->ring_features);
}

static int setup(void **state)
{
	const struct kind *kind = *state;

	image_make();
	if (kind->store == DIRECT_STORE && !has_direct()) {
		unlink(image);
		*state = NULL;
		return 0;
	}
	start(kind);
	return 0;
}

static int teardown(void **state)
{
	if (*state) {
		served_disk_stop(&served);
		unlink(image);
	}
	return 0;
}

static void skip_without_disk(void **state)
{
	if (*state)
		return;
	print_message("no O_DIRECT in the folder of the build\n");
	skip();
}

static void rounds(enum pv_blkdrv_op op, uint32_t number)
{
	for (uint32_t i = 0; i < number; i++) {
		served_disk_send(&served, op, false);
		served_disk_finish(&served);
	}
}

/* ---- memory ---- */

static void nothing_is_allocated_for_a_request(void **state)
{
	skip_without_disk(state);
	rounds(PV_BLKDRV_READ, WARM_UP_ROUNDS);
	count_begin();
	rounds(PV_BLKDRV_READ, ROUNDS);
	rounds(PV_BLKDRV_WRITE, ROUNDS);
	rounds(PV_BLKDRV_FLUSH, 1);
	rounds(PV_BLKDRV_WRITE_ZEROES, 1);
	count_end();
	assert_int_equal(counted(&allocations), 0);
}

static void memory_that_is_allocated_is_counted(void **state)
{
	void *volatile memory;

	(void)state;
	count_begin();
	memory = malloc(1);
	count_end();
	free(memory);
	assert_int_equal(counted(&allocations), 1);
}

/* ---- submissions ---- */

/* Of a burst: two of four, then, beside a busy disk, of eight. hosted/loop/loop_uring.c says why.
 */
#define PIECES (2 + (SERVED_DEPTH - 8) / 8)

/* These go through io_uring whatever the file system is. */
static void a_burst_is_submitted_in_pieces(void **state)
{
	(void)state;
	if (pv_blkdrv_disk(served.blk)->discard_sectors_max == 0) {
		print_message("no holes in files in the folder of the build\n");
		skip();
	}
	rounds(PV_BLKDRV_DISCARD, WARM_UP_ROUNDS);
	count_begin();
	rounds(PV_BLKDRV_DISCARD, ROUNDS);
	count_end();
	assert_int_equal(counted(&entries), REQUESTS);
	assert_int_equal(counted(&submissions), ROUNDS * PIECES);
}

static void a_burst_of_reads_is_submitted_in_pieces(void **state)
{
	skip_without_disk(state);
	rounds(PV_BLKDRV_READ, WARM_UP_ROUNDS);
	count_begin();
	rounds(PV_BLKDRV_READ, ROUNDS);
	count_end();
	/* None where O_DIRECT is granted by a file system in memory. */
	assert_true(counted(&entries) == REQUESTS || counted(&entries) == 0);
	assert_int_equal(counted(&submissions), counted(&entries) / SERVED_DEPTH * PIECES);
}

static void what_memory_answers_is_not_submitted(void **state)
{
	(void)state;
	rounds(PV_BLKDRV_READ, WARM_UP_ROUNDS);
	count_begin();
	rounds(PV_BLKDRV_READ, ROUNDS);
	rounds(PV_BLKDRV_WRITE, ROUNDS);
	count_end();
	assert_int_equal(counted(&submissions), 0);
}

/* ---- kicks and interrupts ---- */

static uint64_t kicks(void)
{
	return pv_blkdrv_queue_counters(served.queue).kicks;
}

static uint64_t interrupts(void)
{
	return pv_count_read(&served_disk_counters(&served)->interrupts);
}

static void a_device_that_is_awake_is_kicked_once_at_most(void **state)
{
	uint64_t before;

	(void)state;
	rounds(PV_BLKDRV_READ, WARM_UP_ROUNDS);
	/* A queue begins with kicks on; they go off when its loop wakes. */
	served_disk_rest(&served);
	for (uint32_t i = 0; i < ROUNDS; i++) {
		served_disk_hold(&served);
		before = kicks();
		served_disk_send(&served, PV_BLKDRV_READ, true);
		assert_in_range(kicks() - before, 0, 1);
		served_disk_release(&served);
		served_disk_finish(&served);
	}
}

static void a_driver_that_polls_is_not_interrupted(void **state)
{
	(void)state;
	rounds(PV_BLKDRV_READ, ROUNDS);
	assert_int_equal(interrupts(), 0);
}

/* It asks once, and all of the burst is done before it asks again. */
static void a_driver_that_sleeps_is_interrupted_once_for_a_burst(void **state)
{
	(void)state;
	rounds(PV_BLKDRV_READ, WARM_UP_ROUNDS);
	for (uint32_t i = 1; i <= ROUNDS; i++) {
		served_disk_hold(&served);
		assert_false(pv_blkdrv_interrupts_on(served.queue));
		served_disk_send(&served, PV_BLKDRV_READ, false);
		served_disk_release(&served);
		served_disk_finish(&served);
		/* The device has decided about the last of them when it has run once more. */
		served_disk_hold(&served);
		served_disk_release(&served);
		assert_int_equal(interrupts(), i);
	}
}

/* A burst is 128 KiB, and each time half of it is done there is enough to wake the driver for. */
static void a_driver_that_wants_each_interrupt_gets_one_for_64_KiB(void **state)
{
	(void)state;
	assert_false(pv_blkdrv_interrupts_on(served.queue));
	for (uint32_t i = 1; i <= ROUNDS; i++) {
		served_disk_hold(&served);
		served_disk_send(&served, PV_BLKDRV_READ, false);
		served_disk_release(&served);
		served_disk_finish(&served);
		served_disk_hold(&served);
		served_disk_release(&served);
		assert_int_equal(interrupts(), 2 * i);
	}
}

/* ---- rest ---- */

#define STILL_US 1000000u
#define TRIES    20

struct activity {
	struct pv_loop_counters control;
	struct pv_loop_counters data;
};

static struct activity activity(void)
{
	return (struct activity){ pv_loop_counters(served.control), pv_loop_counters(served.data) };
}

/* It may take a moment to come to rest; once it has, it stays so for a whole second. */
static void a_connected_device_without_requests_does_nothing(void **state)
{
	struct activity before, after;
	int tries = 0;

	(void)state;
	rounds(PV_BLKDRV_READ, ROUNDS);
	after = activity();
	do {
		before = after;
		usleep(STILL_US);
		after = activity();
	} while (memcmp(&before, &after, sizeof(before)) != 0 && ++tries < TRIES);
	assert_memory_equal(&before, &after, sizeof(before));
	assert_true(after.data.sleeps > 0);
	rounds(PV_BLKDRV_READ, 1);
}

/* ---- all of them ---- */

#define TEST(function, which)                                                                      \
	{                                                                                          \
		.name = #function " (" #which ")", .test_func = function, .setup_func = setup,     \
		.teardown_func = teardown, .initial_state = (void *)(uintptr_t)&which              \
	}

#define SPLIT  VIRTIO_F_EVENT_IDX
#define PACKED (VIRTIO_F_EVENT_IDX | VIRTIO_F_RING_PACKED)

static const struct kind null_split = { NULL_STORE, SPLIT };
static const struct kind null_packed = { NULL_STORE, PACKED };
static const struct kind memory_split = { MEMORY_STORE, SPLIT };
static const struct kind memory_packed = { MEMORY_STORE, PACKED };
static const struct kind file_split = { FILE_STORE, SPLIT };
static const struct kind file_packed = { FILE_STORE, PACKED };
static const struct kind direct_split = { DIRECT_STORE, SPLIT };
static const struct kind direct_packed = { DIRECT_STORE, PACKED };

/* Without the event index flags say who wants to be woken. */
static const struct kind split_with_flags = { MEMORY_STORE, 0 };
static const struct kind packed_with_flags = { MEMORY_STORE, VIRTIO_F_RING_PACKED };

static bool has_io_uring(void)
{
	const struct pv_loop_options options = { .name = "test", .engine = PV_LOOP_ENGINE_URING };
	struct pv_loop *loop;

	if (test_engine() == PV_LOOP_ENGINE_EPOLL || pv_loop_create(&loop, &options))
		return false;
	pv_loop_destroy(loop);
	return true;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(memory_that_is_allocated_is_counted),
		TEST(nothing_is_allocated_for_a_request, null_split),
		TEST(nothing_is_allocated_for_a_request, null_packed),
		TEST(nothing_is_allocated_for_a_request, memory_split),
		TEST(nothing_is_allocated_for_a_request, memory_packed),
		TEST(nothing_is_allocated_for_a_request, file_split),
		TEST(nothing_is_allocated_for_a_request, file_packed),
		TEST(nothing_is_allocated_for_a_request, direct_split),
		TEST(nothing_is_allocated_for_a_request, direct_packed),
		TEST(what_memory_answers_is_not_submitted, null_split),
		TEST(what_memory_answers_is_not_submitted, memory_packed),
		TEST(a_device_that_is_awake_is_kicked_once_at_most, memory_split),
		TEST(a_device_that_is_awake_is_kicked_once_at_most, memory_packed),
		TEST(a_device_that_is_awake_is_kicked_once_at_most, file_split),
		TEST(a_device_that_is_awake_is_kicked_once_at_most, file_packed),
		TEST(a_device_that_is_awake_is_kicked_once_at_most, split_with_flags),
		TEST(a_device_that_is_awake_is_kicked_once_at_most, packed_with_flags),
		TEST(a_driver_that_polls_is_not_interrupted, memory_split),
		TEST(a_driver_that_polls_is_not_interrupted, memory_packed),
		TEST(a_driver_that_polls_is_not_interrupted, split_with_flags),
		TEST(a_driver_that_polls_is_not_interrupted, packed_with_flags),
		TEST(a_driver_that_sleeps_is_interrupted_once_for_a_burst, memory_split),
		TEST(a_driver_that_sleeps_is_interrupted_once_for_a_burst, memory_packed),
		TEST(a_driver_that_sleeps_is_interrupted_once_for_a_burst, file_split),
		TEST(a_driver_that_sleeps_is_interrupted_once_for_a_burst, file_packed),
		TEST(a_driver_that_wants_each_interrupt_gets_one_for_64_KiB, split_with_flags),
		TEST(a_driver_that_wants_each_interrupt_gets_one_for_64_KiB, packed_with_flags),
		TEST(a_connected_device_without_requests_does_nothing, memory_split),
		TEST(a_connected_device_without_requests_does_nothing, file_packed),
	};

	const struct CMUnitTest uring_tests[] = {
		TEST(a_burst_is_submitted_in_pieces, file_split),
		TEST(a_burst_is_submitted_in_pieces, file_packed),
		TEST(a_burst_of_reads_is_submitted_in_pieces, direct_split),
		TEST(a_burst_of_reads_is_submitted_in_pieces, direct_packed),
	};
	int failed = cmocka_run_group_tests(tests, NULL, NULL);

	if (has_io_uring())
		failed += cmocka_run_group_tests(uring_tests, NULL, NULL);
	return failed;
}
