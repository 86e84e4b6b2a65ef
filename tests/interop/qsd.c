/* SPDX-License-Identifier: BSD-2-Clause */
/* Our driver on a foreign device: qemu-storage-daemon's vhost-user-blk export. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

#include "abi/virtio_ids.h"
#include "drivers/blk/blk.h"
#include "hosted/cli/bench_pattern.h"
#include "hosted/driver_bus/vhu_bus.h"
#include "hosted/loop/clock.h"
#include "ring/err.h"
#include "tests/support/disk_load.h"
#include "tests/support/random.h"
#include "tests/support/server.h"

#define SKIPPED       77
#define DISK_BYTES    DISK_LOAD_DISK_BYTES
#define LOAD_TURNS    2500u
#define SECTOR        VIRTIO_BLK_SECTOR_BYTES
#define TIMEOUT_NS    20000000000ull
#define RING_BITS     (VIRTIO_F_INDIRECT_DESC | VIRTIO_F_EVENT_IDX)
#define BUFFER        (64u << 10)
#define ALL_BUT(bits) (PV_BLKDRV_FEATURES & ~(bits))

static struct server foreign;
static struct pv_vhu_bus *bus;
static struct pv_blkdrv *blk;
static uint64_t seed;

/* One buffer for simple requests. */
static uint8_t *buffer;

static void connect_bus(void)
{
	const struct pv_vhu_bus_options options = { .path = foreign.socket,
		                                    .device_id = VIRTIO_ID_BLOCK,
		                                    .memory_bytes = 32u << 20 };
	char sentence[256];

	if (pv_vhu_bus_create(&bus, &options, sentence, sizeof(sentence)))
		fail_msg("%s", sentence);
}

static void connect_with(uint64_t wanted, uint16_t queues)
{
	struct pv_os *os;
	const struct pv_blkdrv_options options = { .wanted = wanted, .queues = queues };
	struct pv_gpa gpa;

	connect_bus();
	os = pv_vhu_bus_os(bus);
	assert_int_equal(pv_blkdrv_create(&blk, pv_vhu_bus_bus(bus), os, &options), 0);
	buffer = os->ops->shared_alloc(os, BUFFER, 4096, &gpa);
	assert_non_null(buffer);
}

static void disconnect(void)
{
	if (blk)
		pv_blkdrv_destroy(blk);
	pv_vhu_bus_destroy(bus);
	blk = NULL;
	bus = NULL;
}

static int setup(void **state)
{
	(void)state;
	server_start_foreign(&foreign, DISK_BYTES, ",writable=on,num-queues=2");
	return 0;
}

static int setup_read_only(void **state)
{
	(void)state;
	server_start_foreign(&foreign, DISK_BYTES, "");
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	disconnect();
	server_stop(&foreign);
	return 0;
}

/* ---- one request at a time ---- */

static int request(enum pv_blkdrv_op op, uint64_t offset, uint32_t bytes)
{
	const struct pv_buffer data = { buffer, bytes };
	struct pv_blkdrv_request one = { .op = op,
		                         .sector = offset / SECTOR,
		                         .sectors = bytes / SECTOR,
		                         .may_unmap = true,
		                         .buffers = 1,
		                         .buffer = &data };

	return pv_blkdrv_do(pv_blkdrv_queue(blk, 0), &one, TIMEOUT_NS);
}

static struct pv_pattern pattern_at(uint64_t offset, uint64_t generation)
{
	return (struct pv_pattern){ .offset = offset, .seed = seed, .generation = generation };
}

static void write_pattern(uint64_t offset, uint32_t bytes)
{
	const struct pv_pattern pattern = pattern_at(offset, 1);

	pv_pattern_fill(buffer, bytes, &pattern);
	assert_int_equal(request(PV_BLKDRV_WRITE, offset, bytes), 0);
}

static void read_back(uint64_t offset, uint32_t bytes)
{
	memset(buffer, 0xaa, bytes);
	assert_int_equal(request(PV_BLKDRV_READ, offset, bytes), 0);
}

static bool is_all_zero(const uint8_t *data, size_t bytes)
{
	return data[0] == 0 && memcmp(data, data + 1, bytes - 1) == 0;
}

static int64_t blocks_on_host(void)
{
	struct stat stat;

	assert_int_equal(lstat(foreign.image, &stat), 0);
	return stat.st_blocks;
}

static void the_disk_is_as_large_as_its_image(void **state)
{
	const struct pv_blkdrv_disk *disk;

	(void)state;
	connect_with(0, 1);
	disk = pv_blkdrv_disk(blk);
	assert_int_equal(pv_blkdrv_capacity(blk) * SECTOR, DISK_BYTES);
	assert_int_equal(disk->block_bytes, SECTOR);
	assert_true(disk->has_flush);
	assert_false(disk->is_read_only);
	assert_true(disk->discard_sectors_max > 0);
}

static void what_is_written_is_on_the_image_and_comes_back(void **state)
{
	static uint8_t copy[BUFFER];
	const struct pv_pattern pattern = pattern_at(1 << 20, 1);
	char sentence[256];
	int fd = open(foreign.image, O_RDONLY | O_CLOEXEC);

	(void)state;
	connect_with(0, 1);
	write_pattern(1 << 20, BUFFER);
	assert_int_equal(request(PV_BLKDRV_FLUSH, 0, 0), 0);
	assert_int_equal(pread(fd, copy, BUFFER, 1 << 20), BUFFER);
	assert_true(pv_pattern_check(copy, BUFFER, &pattern, sentence, sizeof(sentence)));
	read_back(1 << 20, BUFFER);
	assert_memory_equal(copy, buffer, BUFFER);
	close(fd);
}

static void discarded_space_goes_back_to_the_host(void **state)
{
	int64_t before;

	(void)state;
	connect_with(0, 1);
	for (uint64_t offset = 0; offset < 4 << 20; offset += BUFFER)
		write_pattern(offset, BUFFER);
	request(PV_BLKDRV_FLUSH, 0, 0);
	before = blocks_on_host();
	assert_int_equal(request(PV_BLKDRV_DISCARD, 0, 2 << 20), 0);
	assert_true(before - blocks_on_host() >= (1 << 20) / SECTOR);
	assert_int_equal(request(PV_BLKDRV_WRITE_ZEROES, 2 << 20, 1 << 20), 0);
	read_back(2 << 20, BUFFER);
	assert_true(is_all_zero(buffer, BUFFER));
	read_back(3 << 20, BUFFER);
	assert_false(is_all_zero(buffer, BUFFER));
}

static void the_device_says_who_it_is(void **state)
{
	char id[VIRTIO_BLK_ID_BYTES + 1] = "";

	(void)state;
	connect_with(0, 1);
	assert_int_equal(pv_blkdrv_id(pv_blkdrv_queue(blk, 0), id, TIMEOUT_NS), 0);
	assert_true(strlen(id) > 0);
}

static void the_write_cache_can_be_turned_off(void **state)
{
	bool is_on = false;

	(void)state;
	connect_with(0, 1);
	assert_int_equal(pv_blkdrv_set_write_cache(blk, false), 0);
	assert_int_equal(pv_blkdrv_write_cache(blk, &is_on), 0);
	assert_false(is_on);
	write_pattern(0, BUFFER);
	assert_int_equal(pv_blkdrv_set_write_cache(blk, true), 0);
	assert_int_equal(pv_blkdrv_write_cache(blk, &is_on), 0);
	assert_true(is_on);
}

static void a_read_only_export_takes_no_write(void **state)
{
	(void)state;
	connect_with(0, 1);
	assert_true(pv_blkdrv_disk(blk)->is_read_only);
	assert_int_equal(request(PV_BLKDRV_WRITE, 0, BUFFER), -PV_ENOTSUP);
	read_back(0, BUFFER);
	assert_true(is_all_zero(buffer, BUFFER));
}

/* It has no packed rings; should that change, this test says so and packed is to be tested too. */
static void packed_rings_are_refused_where_they_are_not_offered(void **state)
{
	const struct pv_blkdrv_options options = { .required = VIRTIO_F_RING_PACKED };
	uint64_t offered;

	(void)state;
	connect_bus();
	offered = pv_vhu_frontend_features(pv_vhu_bus_frontend(bus));
	assert_false(offered & VIRTIO_F_RING_PACKED);
	assert_int_equal(pv_blkdrv_create(&blk, pv_vhu_bus_bus(bus), pv_vhu_bus_os(bus), &options),
	                 -PV_EFEATURES);
}

static void front_ends_come_and_go(void **state)
{
	(void)state;
	for (uint64_t turn = 0; turn < 5; turn++) {
		connect_with(0, 2);
		if (turn > 0)
			read_back((turn - 1) * BUFFER, BUFFER);
		write_pattern(turn * BUFFER, BUFFER);
		disconnect();
	}
}

/* ---- many requests at a time ---- */

static void a_mixed_load_keeps_its_data(uint64_t without)
{
	const char *wrong;

	connect_with(ALL_BUT(without), 1);
	assert_int_equal(pv_blkdrv_disk(blk)->features & without, 0);
	wrong = disk_load_run(bus, blk, 0, true, LOAD_TURNS);
	if (wrong)
		fail_msg("%s", wrong);
}

static void a_load_over_direct_chains_keeps_its_data(void **state)
{
	(void)state;
	a_mixed_load_keeps_its_data(RING_BITS);
}

static void a_load_over_indirect_chains_keeps_its_data(void **state)
{
	(void)state;
	a_mixed_load_keeps_its_data(VIRTIO_F_EVENT_IDX);
}

static void a_load_with_the_event_index_keeps_its_data(void **state)
{
	(void)state;
	a_mixed_load_keeps_its_data(VIRTIO_F_INDIRECT_DESC);
}

static void a_load_with_everything_keeps_its_data(void **state)
{
	(void)state;
	a_mixed_load_keeps_its_data(0);
}

static void two_queues_on_two_threads_keep_their_data(void **state)
{
	const char *wrong;

	(void)state;
	connect_with(0, 2);
	assert_int_equal(pv_blkdrv_disk(blk)->queues, 2);
	wrong = disk_load_run_two(bus, blk, LOAD_TURNS);
	if (wrong)
		fail_msg("%s", wrong);
}

/* ---- a device that dies ---- */

static uint32_t ended;

static void count_end(struct pv_blkdrv_request *request)
{
	(void)request;
	ended++;
}

static void a_killed_device_ends_in_errors_and_no_hang(void **state)
{
	static struct pv_blkdrv_request flying[64];
	struct pv_buffer data;
	struct pv_blkdrv_queue *queue;
	uint64_t begin_ns;
	int waited = 0;

	(void)state;
	connect_with(0, 1);
	queue = pv_blkdrv_queue(blk, 0);
	data = (struct pv_buffer){ buffer, BUFFER };
	begin_ns = pv_clock_ns(CLOCK_MONOTONIC);
	for (int i = 0; i < 64; i++) {
		flying[i] = (struct pv_blkdrv_request){ .op = PV_BLKDRV_WRITE,
			                                .sector = (uint64_t)i * (BUFFER / SECTOR),
			                                .buffers = 1,
			                                .buffer = &data,
			                                .done = count_end };
		assert_int_equal(pv_blkdrv_submit(queue, &flying[i]), 0);
	}
	pv_blkdrv_publish(queue);
	server_kill(&foreign);
	while (waited >= 0) {
		pv_blkdrv_poll(queue);
		waited = pv_blkdrv_interrupts_on(queue) ? 0 : pv_vhu_bus_wait(bus, 0, TIMEOUT_NS);
	}
	assert_int_equal(waited, -PV_EIO);
	assert_true(pv_blkdrv_is_broken(blk));
	assert_int_not_equal(pv_blkdrv_fail(blk), 0);
	assert_int_equal(ended, 64);
	assert_true(pv_clock_ns(CLOCK_MONOTONIC) - begin_ns < 5000000000u);
	assert_int_equal(pv_blkdrv_write_cache(blk, &(bool){ false }), -PV_EIO);
}

#define ON_DISK(test)      cmocka_unit_test_setup_teardown(test, setup, teardown)
#define ON_READ_ONLY(test) cmocka_unit_test_setup_teardown(test, setup_read_only, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		ON_DISK(the_disk_is_as_large_as_its_image),
		ON_DISK(what_is_written_is_on_the_image_and_comes_back),
		ON_DISK(discarded_space_goes_back_to_the_host),
		ON_DISK(the_device_says_who_it_is),
		ON_DISK(the_write_cache_can_be_turned_off),
		ON_READ_ONLY(a_read_only_export_takes_no_write),
		ON_DISK(packed_rings_are_refused_where_they_are_not_offered),
		ON_DISK(front_ends_come_and_go),
		ON_DISK(a_load_over_direct_chains_keeps_its_data),
		ON_DISK(a_load_over_indirect_chains_keeps_its_data),
		ON_DISK(a_load_with_the_event_index_keeps_its_data),
		ON_DISK(a_load_with_everything_keeps_its_data),
		ON_DISK(two_queues_on_two_threads_keep_their_data),
		ON_DISK(a_killed_device_ends_in_errors_and_no_hang),
	};

	if (!server_is_foreign_there()) {
		printf("skipped: qemu-storage-daemon is not installed\n");
		return SKIPPED;
	}
	seed = pv_random_seed();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
