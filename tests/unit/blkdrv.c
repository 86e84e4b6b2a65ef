/* SPDX-License-Identifier: BSD-2-Clause */
/* The block driver: what it believes of a device's configuration. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "ring/err.h"
#include "tests/support/blkdrv_rig.h"

static void the_disk_is_what_its_configuration_says(void **state)
{
	const struct pv_blkdrv_disk *disk;
	struct pv_blkdrv_rig rig;

	(void)state;
	pv_blkdrv_rig_open(&rig);
	disk = pv_blkdrv_disk(rig.blk);
	assert_int_equal(pv_blkdrv_capacity(rig.blk), PV_RIG_CAPACITY);
	assert_int_equal(disk->features, PV_RIG_FEATURES);
	assert_int_equal(disk->block_bytes, 512);
	assert_int_equal(disk->physical_block_bytes, 4096);
	assert_int_equal(disk->alignment_offset_bytes, 512);
	assert_int_equal(disk->min_io_bytes, 1024);
	assert_int_equal(disk->opt_io_bytes, 4096);
	assert_int_equal(disk->segments_max, 4);
	assert_int_equal(disk->segment_bytes_max, 4096);
	assert_int_equal(disk->discard_sectors_max, 100);
	assert_int_equal(disk->discard_alignment_sectors, 8);
	assert_int_equal(disk->write_zeroes_sectors_max, 200);
	assert_int_equal(disk->secure_erase_sectors_max, 300);
	assert_int_equal(disk->secure_erase_alignment_sectors, 16);
	assert_int_equal(disk->geometry.cylinders, 1023);
	assert_int_equal(disk->geometry.heads, 16);
	assert_int_equal(disk->geometry.sectors, 63);
	assert_true(disk->can_unmap && disk->has_flush && disk->has_cache_switch);
	assert_true(disk->has_lifetime);
	assert_false(disk->is_read_only);
	assert_int_equal(disk->queues, 1); /* more were not asked for */
	assert_null(pv_blkdrv_queue(rig.blk, 1));
	pv_blkdrv_rig_close(&rig);
}

static void expect_nonsense(struct pv_blkdrv_rig *rig)
{
	assert_int_equal(pv_blkdrv_rig_create(rig), -PV_EBROKEN);
	assert_int_equal(rig->fake.shared_out + rig->fake.private_out, 0);
	assert_true(rig->fake.status & VIRTIO_STATUS_FAILED);
}

static void a_configuration_that_makes_no_sense_is_refused(void **state)
{
	static const uint32_t block_sizes[] = { 0, 1, 511, 513, 768, 1u << 21, UINT32_MAX };
	struct pv_blkdrv_rig rig;

	(void)state;
	for (size_t i = 0; i < sizeof(block_sizes) / sizeof(block_sizes[0]); i++) {
		pv_blkdrv_rig_prepare(&rig, PV_RIG_FEATURES);
		rig.config->blk_size = pv_le32_of(block_sizes[i]);
		expect_nonsense(&rig);
	}
	pv_blkdrv_rig_prepare(&rig, PV_RIG_FEATURES);
	rig.config->capacity = pv_le64_of(UINT64_MAX / 512 + 1);
	expect_nonsense(&rig);
	pv_blkdrv_rig_prepare(&rig, PV_RIG_FEATURES);
	rig.config->size_max = pv_le32_of(511);
	expect_nonsense(&rig);
	pv_blkdrv_rig_prepare(&rig, PV_RIG_FEATURES);
	rig.config->num_queues = pv_le16_of(0);
	expect_nonsense(&rig);
}

static void limits_that_are_absurd_are_bounded(void **state)
{
	struct pv_blkdrv_rig rig;

	(void)state;
	pv_blkdrv_rig_prepare(&rig, PV_RIG_FEATURES);
	rig.config->seg_max = pv_le32_of(UINT32_MAX);
	rig.config->topology.physical_block_exp = 255;
	rig.config->num_queues = pv_le16_of(UINT16_MAX);
	rig.config->max_discard_seg = pv_le32_of(0);
	rig.config->max_write_zeroes_sectors = pv_le32_of(0);
	rig.options.queues = 3;
	rig.options.segments_max = UINT16_MAX;
	assert_int_equal(pv_blkdrv_rig_create(&rig), 0);
	assert_int_equal(pv_blkdrv_disk(rig.blk)->segments_max, 16 - 2); /* the ring has 16 */
	assert_int_equal(pv_blkdrv_disk(rig.blk)->physical_block_bytes, 512);
	assert_int_equal(pv_blkdrv_disk(rig.blk)->queues, 3);
	assert_int_equal(pv_blkdrv_disk(rig.blk)->discard_sectors_max, 0);
	assert_int_equal(pv_blkdrv_disk(rig.blk)->write_zeroes_sectors_max, 0);
	pv_blkdrv_rig_close(&rig);

	pv_blkdrv_rig_prepare(&rig, PV_RIG_FEATURES);
	rig.config->seg_max = pv_le32_of(0);
	assert_int_equal(pv_blkdrv_rig_create(&rig), 0);
	assert_int_equal(pv_blkdrv_disk(rig.blk)->segments_max, 1);
	pv_blkdrv_rig_close(&rig);
}

static void an_old_device_with_a_short_configuration_is_driven(void **state)
{
	struct pv_blkdrv_rig rig;

	(void)state;
	pv_blkdrv_rig_prepare(&rig, VIRTIO_F_VERSION_1);
	rig.fake.config_bytes = 8;
	rig.options.queues = 4;
	assert_int_equal(pv_blkdrv_rig_create(&rig), 0);
	assert_int_equal(pv_blkdrv_disk(rig.blk)->queues, 1);
	assert_int_equal(pv_blkdrv_disk(rig.blk)->segments_max, 1);
	assert_int_equal(pv_blkdrv_disk(rig.blk)->block_bytes, 512);
	pv_blkdrv_rig_close(&rig);
}

static void a_ring_too_small_for_a_request_is_refused(void **state)
{
	struct pv_blkdrv_rig rig;

	(void)state;
	pv_blkdrv_rig_prepare(&rig, PV_RIG_FEATURES);
	rig.fake.size_max[0] = 2;
	assert_int_equal(pv_blkdrv_rig_create(&rig), -PV_EINVAL);
	assert_int_equal(rig.fake.shared_out + rig.fake.private_out, 0);
}

static void whatever_allocation_fails_nothing_is_left_behind(void **state)
{
	struct pv_blkdrv_rig rig;
	uint32_t failed = 0;

	(void)state;
	for (uint32_t nth = 1;; nth++) {
		pv_blkdrv_rig_prepare(&rig, PV_RIG_FEATURES | VIRTIO_F_INDIRECT_DESC);
		rig.options.queues = 2;
		rig.fake.fail_alloc = nth;
		if (pv_blkdrv_rig_create(&rig) == 0)
			break;
		assert_int_equal(rig.fake.shared_out + rig.fake.private_out, 0);
		failed++;
	}
	assert_int_equal(failed, 1 + 2 * 5);
	pv_blkdrv_rig_close(&rig);
}

static void the_capacity_follows_the_device_as_far_as_it_makes_sense(void **state)
{
	struct pv_blkdrv_rig rig;

	(void)state;
	pv_blkdrv_rig_open(&rig);
	rig.config->capacity = pv_le64_of(PV_RIG_CAPACITY * 2);
	assert_int_equal(pv_blkdrv_config_changed(rig.blk), 0);
	assert_int_equal(pv_blkdrv_capacity(rig.blk), PV_RIG_CAPACITY * 2);
	rig.config->capacity = pv_le64_of(UINT64_MAX);
	assert_int_equal(pv_blkdrv_config_changed(rig.blk), -PV_EBROKEN);
	assert_int_equal(pv_blkdrv_capacity(rig.blk), PV_RIG_CAPACITY * 2);
	rig.fake.status |= VIRTIO_STATUS_NEEDS_RESET;
	assert_int_equal(pv_blkdrv_config_changed(rig.blk), -PV_EBROKEN);
	pv_blkdrv_rig_close(&rig);
}

static void the_write_cache_can_be_switched(void **state)
{
	struct pv_blkdrv_rig rig;
	bool is_on;

	(void)state;
	pv_blkdrv_rig_open(&rig);
	assert_int_equal(pv_blkdrv_set_write_cache(rig.blk, false), 0);
	assert_int_equal(rig.config->writeback, 0);
	assert_int_equal(pv_blkdrv_write_cache(rig.blk, &is_on), 0);
	assert_false(is_on);
	rig.config->writeback = 0x80; /* no value of the specification: better flush */
	assert_int_equal(pv_blkdrv_write_cache(rig.blk, &is_on), 0);
	assert_true(is_on);
	pv_blkdrv_rig_close(&rig);

	pv_blkdrv_rig_prepare(&rig, PV_RIG_FEATURES & ~VIRTIO_BLK_F_CONFIG_WCE);
	assert_int_equal(pv_blkdrv_rig_create(&rig), 0);
	assert_int_equal(pv_blkdrv_set_write_cache(rig.blk, false), -PV_ENOTSUP);
	pv_blkdrv_rig_close(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_disk_is_what_its_configuration_says),
		cmocka_unit_test(a_configuration_that_makes_no_sense_is_refused),
		cmocka_unit_test(limits_that_are_absurd_are_bounded),
		cmocka_unit_test(an_old_device_with_a_short_configuration_is_driven),
		cmocka_unit_test(a_ring_too_small_for_a_request_is_refused),
		cmocka_unit_test(whatever_allocation_fails_nothing_is_left_behind),
		cmocka_unit_test(the_capacity_follows_the_device_as_far_as_it_makes_sense),
		cmocka_unit_test(the_write_cache_can_be_switched),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
