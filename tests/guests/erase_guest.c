/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Runs in a guest, whose disk is a block device that erases for good: our program serves that disk,
 * and our driver uses it. What is erased is told by the back-end of the guest's own disk.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "abi/virtio_ids.h"
#include "drivers/blk/blk.h"
#include "hosted/driver_bus/vhu_bus.h"
#include "ring/err.h"
#include "tests/support/server.h"

#define SECTOR     VIRTIO_BLK_SECTOR_BYTES
#define TIMEOUT_NS 20000000000ull

/* Of the pattern, the second of four equal parts is erased. */
#define PATTERN_BYTES (256u << 10)
#define PART_BYTES    (PATTERN_BYTES / 4)
#define PATTERN       0x5a

static const char *disk_path;
static struct server server;
static struct pv_vhu_bus *bus;
static struct pv_blkdrv *blk;
static uint8_t *buffer;

static void serve(const char *const *options)
{
	const struct pv_vhu_bus_options bus_options = { .path = server.socket,
		                                        .device_id = VIRTIO_ID_BLOCK,
		                                        .memory_bytes = 4u << 20 };
	const struct pv_blkdrv_options driver_options = { 0 };
	char sentence[256];
	struct pv_os *os;
	struct pv_gpa gpa;

	server_start_own_on(&server, disk_path, options);
	if (pv_vhu_bus_create(&bus, &bus_options, sentence, sizeof(sentence)))
		fail_msg("%s", sentence);
	os = pv_vhu_bus_os(bus);
	assert_int_equal(pv_blkdrv_create(&blk, pv_vhu_bus_bus(bus), os, &driver_options), 0);
	buffer = os->ops->shared_alloc(os, PATTERN_BYTES, 4096, &gpa);
	assert_non_null(buffer);
}

static void end(void)
{
	pv_blkdrv_destroy(blk);
	pv_vhu_bus_destroy(bus);
	assert_int_equal(server_end(&server), 0);
	server_stop(&server);
}

static int request(enum pv_blkdrv_op op, uint64_t offset, uint32_t bytes)
{
	const struct pv_buffer data = { buffer, bytes };
	bool has_data = op == PV_BLKDRV_READ || op == PV_BLKDRV_WRITE;
	struct pv_blkdrv_request request = {
		.op = op,
		.sector = offset / SECTOR,
		.sectors = has_data ? 0 : bytes / SECTOR,
		.buffers = has_data,
		.buffer = &data,
	};

	return pv_blkdrv_do(pv_blkdrv_queue(blk, 0), &request, TIMEOUT_NS);
}

static void expect_bytes(const uint8_t *at, uint8_t wanted)
{
	for (size_t i = 0; i < PART_BYTES; i++)
		assert_int_equal(at[i], wanted);
}

static void prove_erase(const char *const *options)
{
	const struct pv_blkdrv_disk *disk;

	serve(options);
	disk = pv_blkdrv_disk(blk);
	assert_true(disk->features & VIRTIO_BLK_F_SECURE_ERASE);
	assert_true(disk->secure_erase_sectors_max >= PART_BYTES / SECTOR);
	memset(buffer, PATTERN, PATTERN_BYTES);
	assert_int_equal(request(PV_BLKDRV_WRITE, 0, PATTERN_BYTES), 0);
	assert_int_equal(request(PV_BLKDRV_FLUSH, 0, 0), 0);
	assert_int_equal(request(PV_BLKDRV_SECURE_ERASE, PART_BYTES, PART_BYTES), 0);
	assert_int_equal(request(PV_BLKDRV_READ, 0, PATTERN_BYTES), 0);
	expect_bytes(buffer, PATTERN);
	expect_bytes(buffer + PART_BYTES, 0);
	expect_bytes(buffer + 2 * PART_BYTES, PATTERN);
	expect_bytes(buffer + 3 * PART_BYTES, PATTERN);
	end();
}

static void what_is_erased_reads_as_zeros_and_its_neighbours_as_before(void **state)
{
	(void)state;
	prove_erase((const char *const[]){ NULL });
	prove_erase((const char *const[]){ "--direct", NULL });
	prove_erase((const char *const[]){ "--engine", "epoll", NULL });
}

static void nothing_is_offered_that_was_turned_off(void **state)
{
	(void)state;
	serve((const char *const[]){ "--secure-erase", "off", NULL });
	assert_int_equal(pv_blkdrv_disk(blk)->features & VIRTIO_BLK_F_SECURE_ERASE, 0);
	assert_int_equal(request(PV_BLKDRV_SECURE_ERASE, 0, PART_BYTES), -PV_ENOTSUP);
	end();
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_erased_reads_as_zeros_and_its_neighbours_as_before),
		cmocka_unit_test(nothing_is_offered_that_was_turned_off),
	};

	if (argc != 2) {
		fprintf(stderr, "usage: %s DISK\n", argv[0]);
		return EXIT_FAILURE;
	}
	disk_path = argv[1];
	return cmocka_run_group_tests(tests, NULL, NULL);
}
