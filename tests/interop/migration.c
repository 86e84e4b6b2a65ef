/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Our front-end moves a guest's memory away from under our program, as a monitor does it: one copy
 * of it all, then rounds of copying what is marked, while a driver reads into it without a pause;
 * last, when the device stands still, what is left.  The memory is written by the device alone, so
 * the copy must be the same to the byte.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

#include "abi/virtio_ids.h"
#include "drivers/blk/blk.h"
#include "hosted/driver_bus/arena.h"
#include "hosted/driver_bus/vhu_bus.h"
#include "ring/dirty_log.h"
#include "tests/support/random.h"
#include "tests/support/server.h"

#define SECTOR       VIRTIO_BLK_SECTOR_BYTES
#define DISK_BYTES   (8u << 20)
#define MEMORY_BYTES (16u << 20)
#define AREA_BYTES   (4u << 20)
#define READ_MAX     (64u << 10)
#define LOG_BYTES    ((PV_ARENA_GPA + MEMORY_BYTES) / PV_DIRTY_PAGE_BYTES / 8)
#define TIMEOUT_NS   20000000000ull
#define ROUNDS       300u
#define READS_MIN    20u /* of each reader */
#define QUEUES       2u

struct log {
	int fd;
	uint8_t *bits;
};

struct reader {
	pthread_t thread;
	uint16_t queue;
	struct pv_random random;
	uint64_t reads;
	int failure;
};

static struct server server;
static struct pv_vhu_bus *bus;
static struct pv_vhu_frontend *frontend;
static struct pv_blkdrv *blk;
static uint8_t *area, *copy;
static struct pv_gpa area_gpa;
static struct log logs[2];
static struct reader reader[QUEUES];
static bool must_stop; /* atomic */

/* ---- the driver ---- */

static int do_request(uint16_t queue, enum pv_blkdrv_op op, uint64_t sector, uint64_t at,
                      uint32_t bytes)
{
	const struct pv_buffer data = { area + at, bytes };
	struct pv_blkdrv_request request = {
		.op = op, .sector = sector, .buffers = 1, .buffer = &data
	};

	return pv_blkdrv_do(pv_blkdrv_queue(blk, queue), &request, TIMEOUT_NS);
}

/* Each sector has its own bytes. */
static void fill_disk(struct pv_random *random)
{
	for (uint64_t offset = 0; offset < DISK_BYTES; offset += READ_MAX) {
		for (uint32_t i = 0; i < READ_MAX; i++)
			area[i] = (uint8_t)pv_random_below(random, 256);
		assert_int_equal(do_request(0, PV_BLKDRV_WRITE, offset / SECTOR, 0, READ_MAX), 0);
	}
}

/* Anywhere, in any length; each queue has half of the memory. */
static void *read_on(void *arg)
{
	struct reader *self = arg;
	const uint64_t half = AREA_BYTES / QUEUES;

	while (!__atomic_load_n(&must_stop, __ATOMIC_ACQUIRE) && !self->failure) {
		uint32_t sectors = 1 + pv_random_below(&self->random, READ_MAX / SECTOR);
		uint64_t sector = pv_random_below(&self->random, DISK_BYTES / SECTOR - sectors);
		uint64_t at = pv_random_below(&self->random, (uint32_t)(half - sectors * SECTOR));

		__atomic_store_n(&self->failure,
		                 do_request(self->queue, PV_BLKDRV_READ, sector,
		                            self->queue * half + at, sectors * SECTOR),
		                 __ATOMIC_RELEASE);
		__atomic_store_n(&self->reads, self->reads + 1, __ATOMIC_RELEASE);
	}
	return NULL;
}

static void readers_start(void)
{
	__atomic_store_n(&must_stop, false, __ATOMIC_RELEASE);
	for (uint16_t i = 0; i < QUEUES; i++) {
		reader[i] = (struct reader){ .queue = i,
			                     .random = pv_random_start(pv_random_seed(), i) };
		assert_int_equal(pthread_create(&reader[i].thread, NULL, read_on, &reader[i]), 0);
	}
}

/* Not before each has read something, on a machine that has other things to do too. */
static void readers_stop(void)
{
	const struct timespec a_while = { .tv_nsec = 1000000 };

	for (uint16_t i = 0; i < QUEUES; i++)
		while (__atomic_load_n(&reader[i].reads, __ATOMIC_ACQUIRE) <= READS_MIN &&
		       !__atomic_load_n(&reader[i].failure, __ATOMIC_ACQUIRE))
			nanosleep(&a_while, NULL);
	__atomic_store_n(&must_stop, true, __ATOMIC_RELEASE);
	for (uint16_t i = 0; i < QUEUES; i++) {
		pthread_join(reader[i].thread, NULL);
		assert_int_equal(reader[i].failure, 0);
		assert_true(reader[i].reads > READS_MIN);
	}
}

/* ---- who moves the memory ---- */

static void log_open(struct log *log)
{
	log->fd = memfd_create("log", MFD_CLOEXEC);
	assert_int_equal(ftruncate(log->fd, LOG_BYTES), 0);
	log->bits = mmap(NULL, LOG_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, log->fd, 0);
	assert_ptr_not_equal(log->bits, MAP_FAILED);
}

static void log_close(struct log *log)
{
	munmap(log->bits, LOG_BYTES);
	close(log->fd);
}

/* Takes the marks away, and copies what they stand for, while it may change again. */
static uint32_t copy_marked(struct log *log)
{
	const uint64_t first = area_gpa.v / PV_DIRTY_PAGE_BYTES;
	uint32_t pages = 0;

	for (uint64_t page = 0; page < AREA_BYTES / PV_DIRTY_PAGE_BYTES; page++) {
		uint8_t *byte = &log->bits[(first + page) / 8];
		const uint8_t bit = (uint8_t)(1u << (first + page) % 8);

		if (!(__atomic_fetch_and(byte, (uint8_t)~bit, __ATOMIC_ACQUIRE) & bit))
			continue;
		memcpy(copy + page * PV_DIRTY_PAGE_BYTES, area + page * PV_DIRTY_PAGE_BYTES,
		       PV_DIRTY_PAGE_BYTES);
		pages++;
	}
	return pages;
}

/* ---- the tests ---- */

static int setup(void **state)
{
	struct pv_vhu_bus_options options = { .path = server.socket,
		                              .device_id = VIRTIO_ID_BLOCK,
		                              .memory_bytes = MEMORY_BYTES };
	const struct pv_blkdrv_options wish = { .wanted = PV_BLKDRV_FEATURES, .queues = QUEUES };
	struct pv_random random = pv_random_start(pv_random_seed(), 100);
	char sentence[256];
	struct pv_os *os;

	(void)state;
	server_start_own(&server, DISK_BYTES, (const char *const[]){ "--num-queues", "2", NULL });
	options.path = server.socket;
	if (pv_vhu_bus_create(&bus, &options, sentence, sizeof(sentence)))
		fail_msg("%s", sentence);
	frontend = pv_vhu_bus_frontend(bus);
	os = pv_vhu_bus_os(bus);
	assert_int_equal(pv_blkdrv_create(&blk, pv_vhu_bus_bus(bus), os, &wish), 0);
	area = os->ops->shared_alloc(os, AREA_BYTES, PV_DIRTY_PAGE_BYTES, &area_gpa);
	assert_non_null(area);
	copy = malloc(AREA_BYTES);
	log_open(&logs[0]);
	log_open(&logs[1]);
	fill_disk(&random);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	log_close(&logs[0]);
	log_close(&logs[1]);
	free(copy);
	pv_blkdrv_destroy(blk);
	pv_vhu_bus_destroy(bus);
	server_stop(&server);
	return 0;
}

static void begin_moving(void)
{
	assert_int_equal(pv_vhu_frontend_log_set(frontend, logs[0].fd, 0, LOG_BYTES), 0);
	assert_int_equal(pv_vhu_frontend_log_turn(frontend, true), 0);
	memcpy(copy, area, AREA_BYTES);
}

static void memory_that_is_copied_by_its_marks_under_load_is_the_same_at_the_end(void **state)
{
	uint32_t pages = 0;

	(void)state;
	readers_start();
	begin_moving();
	for (uint32_t round = 0; round < ROUNDS; round++) {
		pages += copy_marked(&logs[0]);
		usleep(500);
	}
	readers_stop();
	copy_marked(&logs[0]);
	assert_memory_equal(copy, area, AREA_BYTES);
	assert_true(pages > 100);
}

/* As a monitor does when memory is added: the new log first, then what is left in the old one. */
static void a_log_that_is_replaced_under_load_loses_nothing(void **state)
{
	(void)state;
	readers_start();
	begin_moving();
	for (uint32_t round = 1; round < ROUNDS; round++) {
		struct log *now = &logs[round % 2], *before = &logs[!(round % 2)];

		assert_int_equal(pv_vhu_frontend_log_set(frontend, now->fd, 0, LOG_BYTES), 0);
		copy_marked(before);
		usleep(200);
		assert_int_equal(copy_marked(before), 0);
	}
	readers_stop();
	copy_marked(&logs[0]);
	copy_marked(&logs[1]);
	assert_memory_equal(copy, area, AREA_BYTES);
}

static void memory_that_comes_and_goes_meanwhile_changes_nothing(void **state)
{
	int fd = memfd_create("extra", MFD_CLOEXEC);
	struct pv_vhu_region extra = { { 0x7700000000ull, 1u << 20, 0x5500000000ull, 0 }, fd };

	(void)state;
	assert_int_equal(ftruncate(fd, 1 << 20), 0);
	readers_start();
	begin_moving();
	for (uint32_t round = 0; round < ROUNDS / 3; round++) {
		assert_int_equal(pv_vhu_frontend_mem_add(frontend, &extra), 0);
		copy_marked(&logs[0]);
		assert_int_equal(pv_vhu_frontend_mem_remove(frontend, &extra), 0);
		copy_marked(&logs[0]);
	}
	readers_stop();
	copy_marked(&logs[0]);
	assert_memory_equal(copy, area, AREA_BYTES);
	close(fd);
}

static void logging_that_was_turned_off_marks_nothing(void **state)
{
	(void)state;
	readers_start();
	for (uint32_t round = 0; round < ROUNDS / 3; round++) {
		begin_moving();
		assert_int_equal(pv_vhu_frontend_log_turn(frontend, false), 0);
		copy_marked(&logs[0]);
		usleep(200);
		assert_int_equal(copy_marked(&logs[0]), 0);
	}
	readers_stop();
}

#define UNDER_LOAD(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		UNDER_LOAD(memory_that_is_copied_by_its_marks_under_load_is_the_same_at_the_end),
		UNDER_LOAD(a_log_that_is_replaced_under_load_loses_nothing),
		UNDER_LOAD(memory_that_comes_and_goes_meanwhile_changes_nothing),
		UNDER_LOAD(logging_that_was_turned_off_marks_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
