/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Any framing of a block request (virtio 1.3, section 2.7.4.1: "the device MUST NOT make
 * assumptions about the particular arrangement of descriptors"): header, data and status byte cut
 * into descriptors at random places, single bytes too, header and data in one descriptor, data and
 * status in one, empty descriptors in between.  Every arrangement must give the same result.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "abi/virtio_blk.h"
#include "devices/blk/blk.h"
#include "drivers/core/driver.h"
#include "tests/support/couple.h"
#include "tests/support/slow_store.h"

#define DISK_BYTES (64u * 512u)
#define QUEUE_SIZE 128u
#define DATA_MAX   (8u * 512u)
#define HEADER     sizeof(struct virtio_blk_req_header)
#define SGS_MAX    40u

struct rig {
	struct pv_couple couple;
	struct pv_random random;
	struct pv_slow_store store;
	struct pv_driver driver;
	struct pv_driver_queue queue;
	struct pv_gpa out; /* header and data to write, one after the other */
	struct pv_gpa in;  /* data read and status, likewise */
	void *storage;
	uint8_t disk[DISK_BYTES];
	uint8_t model[DISK_BYTES];
};

static void rig_open(struct rig *rig, uint64_t ring_features, uint64_t number)
{
	const struct pv_blk_options options = { .serial = "FRAMING",
		                                .queues = 1,
		                                .queue_size_max = QUEUE_SIZE,
		                                .has_write_cache = true };
	const struct pv_driver_wish wish = {
		.wanted = VIRTIO_F_VERSION_1 | ring_features | VIRTIO_BLK_F_FLUSH |
		          VIRTIO_BLK_F_DISCARD | VIRTIO_BLK_F_WRITE_ZEROES,
	};
	const struct pv_driver_queue_options queue_options = { .indirect_max = SGS_MAX };

	memset(rig, 0, sizeof(*rig));
	rig->random = pv_random_start(pv_random_seed(), number);
	pv_couple_open(&rig->couple, 4u << 20, rig->random);
	rig->storage = aligned_alloc(64, (pv_blk_bytes(1) + 63) & ~63ul);
	memset(rig->storage, 0, pv_blk_bytes(1));
	pv_slow_store_open(&rig->store, rig->disk, DISK_BYTES, &rig->random);
	pv_couple_set_device(&rig->couple,
	                     pv_blk_init(rig->storage, &rig->couple.port, &rig->store.blk,
	                                 &options),
	                     PV_VIEW_DEVICE);
	rig->out = pv_twin_alloc(&rig->couple.twin, HEADER + DATA_MAX, PV_SCATTERED, 400,
	                         &rig->random);
	rig->in = pv_twin_alloc(&rig->couple.twin, DATA_MAX + 1, PV_SCATTERED, 400, &rig->random);
	assert_int_equal(pv_driver_init(&rig->driver, &rig->couple.bus, &rig->couple.os, &wish), 0);
	assert_int_equal(pv_driver_queue_init(&rig->queue, &rig->driver, 0, &queue_options), 0);
	assert_int_equal(pv_driver_start(&rig->driver), 0);
}

static void rig_close(struct rig *rig)
{
	assert_int_equal(pv_driver_stop(&rig->driver), 0);
	pv_driver_queue_fini(&rig->queue);
	assert_true(pv_twin_guards_hold(&rig->couple.twin));
	pv_couple_close(&rig->couple);
	free(rig->storage);
}

/* Cuts `bytes` into at most `count_max` descriptors, some of them empty or of a single byte. */
static uint16_t cut(struct rig *rig, struct pv_gpa gpa, uint32_t bytes, struct pv_sg *sg,
                    uint16_t count_max)
{
	uint16_t count = 0;
	uint32_t at = 0;

	while (at < bytes) {
		uint32_t left = bytes - at, piece = left;

		if (count + 1 < count_max) {
			uint32_t dice = pv_random_below(&rig->random, 10);

			piece = dice == 0  ? 0
			        : dice < 4 ? 1
			        : dice < 6 ? (left < HEADER ? left : (uint32_t)HEADER)
			                   : 1 + pv_random_below(&rig->random, left);
		}
		sg[count++] = (struct pv_sg){ pv_gpa_add(gpa, at), piece };
		at += piece;
	}
	return count;
}

/* Sends one request in a random framing and returns its status. */
static uint8_t request(struct rig *rig, uint32_t type, uint64_t sector, uint32_t out_bytes,
                       uint32_t in_bytes, uint32_t *written_bytes)
{
	const struct virtio_blk_req_header header = {
		.type = pv_le32_of(type),
		.sector = pv_le64_of(sector),
	};
	const uint8_t unset = 0xee;
	struct pv_sg sg[SGS_MAX];
	uint16_t readable, writable;
	uint8_t status;
	void *token = NULL;

	pv_twin_write(&rig->couple.twin, rig->out, &header, HEADER);
	pv_twin_write(&rig->couple.twin, pv_gpa_add(rig->in, in_bytes), &unset, 1);
	readable = cut(rig, rig->out, (uint32_t)HEADER + out_bytes, sg, SGS_MAX / 2);
	writable = cut(rig, rig->in, in_bytes + 1, sg + readable, SGS_MAX / 2);
	assert_int_equal(pv_drv_ring_add(&rig->queue.ring, sg, readable, writable, rig), 0);
	pv_driver_queue_publish(&rig->queue);
	for (int i = 0; i < 100 && !token; i++) {
		pv_slow_store_finish_one(&rig->store);
		pv_couple_wake(&rig->couple, 0);
		pv_couple_run(&rig->couple);
		pv_drv_ring_take(&rig->queue.ring, &token, written_bytes);
	}
	assert_ptr_equal(token, rig);
	pv_twin_read(&rig->couple.twin, pv_gpa_add(rig->in, in_bytes), &status, 1);
	return status;
}

static void one_write(struct rig *rig, uint64_t sector, uint32_t bytes)
{
	uint32_t written_bytes;

	for (uint32_t i = 0; i < bytes; i++)
		rig->model[sector * 512 + i] = (uint8_t)pv_random_below(&rig->random, 256);
	pv_twin_write(&rig->couple.twin, pv_gpa_add(rig->out, HEADER), rig->model + sector * 512,
	              bytes);
	assert_int_equal(request(rig, VIRTIO_BLK_T_OUT, sector, bytes, 0, &written_bytes),
	                 VIRTIO_BLK_S_OK);
	assert_int_equal(written_bytes, 1);
	assert_memory_equal(rig->disk, rig->model, DISK_BYTES);
}

static void one_read(struct rig *rig, uint64_t sector, uint32_t bytes)
{
	uint8_t data[DATA_MAX];
	uint32_t written_bytes;

	assert_int_equal(request(rig, VIRTIO_BLK_T_IN, sector, 0, bytes, &written_bytes),
	                 VIRTIO_BLK_S_OK);
	assert_int_equal(written_bytes, bytes + 1);
	pv_twin_read(&rig->couple.twin, rig->in, data, bytes);
	assert_memory_equal(data, rig->model + sector * 512, bytes);
}

static void one_clear(struct rig *rig, uint32_t type)
{
	struct virtio_blk_range ranges[3];
	uint32_t count = 1 + pv_random_below(&rig->random, 3), written_bytes;

	for (uint32_t i = 0; i < count; i++) {
		uint32_t sectors = pv_random_below(&rig->random, 9);
		uint64_t sector = pv_random_below(&rig->random, 64 - 9);

		ranges[i] = (struct virtio_blk_range){ pv_le64_of(sector), pv_le32_of(sectors),
			                               pv_le32_of(0) };
		memset(rig->model + sector * 512, 0, sectors * 512);
	}
	pv_twin_write(&rig->couple.twin, pv_gpa_add(rig->out, HEADER), ranges,
	              count * sizeof(ranges[0]));
	assert_int_equal(request(rig, type, 0, count * (uint32_t)sizeof(ranges[0]), 0,
	                         &written_bytes),
	                 VIRTIO_BLK_S_OK);
	assert_memory_equal(rig->disk, rig->model, DISK_BYTES);
}

static void one_get_id(struct rig *rig)
{
	char id[VIRTIO_BLK_ID_BYTES];
	uint32_t written_bytes;

	assert_int_equal(request(rig, VIRTIO_BLK_T_GET_ID, 0, 0, sizeof(id), &written_bytes),
	                 VIRTIO_BLK_S_OK);
	assert_int_equal(written_bytes, sizeof(id) + 1);
	pv_twin_read(&rig->couple.twin, rig->in, id, sizeof(id));
	assert_memory_equal(id, "FRAMING\0\0\0\0\0\0\0\0\0\0\0\0\0", sizeof(id));
}

static void any_arrangement_of_descriptors_gives_the_same_result(void **state)
{
	static const uint64_t rings[] = {
		0,
		VIRTIO_F_INDIRECT_DESC,
		VIRTIO_F_RING_PACKED,
		VIRTIO_F_RING_PACKED | VIRTIO_F_INDIRECT_DESC,
	};
	static struct rig rig;

	(void)state;
	for (size_t i = 0; i < sizeof(rings) / sizeof(rings[0]); i++) {
		rig_open(&rig, rings[i], i);
		for (int round = 0; round < 1500; round++) {
			uint32_t sectors = 1 + pv_random_below(&rig.random, 8);
			uint64_t sector = pv_random_below(&rig.random, 64 - sectors);
			uint32_t written_bytes;

			switch (pv_random_below(&rig.random, 6)) {
			case 0:
			case 1:
				one_read(&rig, sector, sectors * 512);
				break;
			case 2:
				one_write(&rig, sector, sectors * 512);
				break;
			case 3:
				one_clear(&rig, VIRTIO_BLK_T_DISCARD);
				break;
			case 4:
				one_clear(&rig, VIRTIO_BLK_T_WRITE_ZEROES);
				break;
			default:
				one_get_id(&rig);
				assert_int_equal(request(&rig, VIRTIO_BLK_T_FLUSH, 0, 0, 0,
				                         &written_bytes),
				                 VIRTIO_BLK_S_OK);
			}
		}
		rig_close(&rig);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(any_arrangement_of_descriptors_gives_the_same_result),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
