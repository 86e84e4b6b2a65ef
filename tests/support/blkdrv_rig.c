/* SPDX-License-Identifier: BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/support/blkdrv_rig.h"

void pv_blkdrv_rig_prepare(struct pv_blkdrv_rig *rig, uint64_t features)
{
	*rig = (struct pv_blkdrv_rig){ 0 };
	pv_fake_bus_open(&rig->fake, features);
	rig->config = (struct virtio_blk_config *)(void *)rig->fake.config;
	*rig->config = (struct virtio_blk_config){
		.capacity = pv_le64_of(PV_RIG_CAPACITY),
		.size_max = pv_le32_of(4096),
		.seg_max = pv_le32_of(4),
		.blk_size = pv_le32_of(512),
		.topology = { 3, 1, pv_le16_of(2), pv_le32_of(8) },
		.writeback = 1,
		.num_queues = pv_le16_of(2),
		.max_discard_sectors = pv_le32_of(100),
		.max_discard_seg = pv_le32_of(1),
		.discard_sector_alignment = pv_le32_of(8),
		.max_write_zeroes_sectors = pv_le32_of(200),
		.max_write_zeroes_seg = pv_le32_of(1),
		.write_zeroes_may_unmap = 1,
		.max_secure_erase_sectors = pv_le32_of(300),
		.max_secure_erase_seg = pv_le32_of(1),
		.secure_erase_sector_alignment = pv_le32_of(16),
		.geometry = { pv_le16_of(1023), 16, 63 },
	};
}

int pv_blkdrv_rig_create(struct pv_blkdrv_rig *rig)
{
	int error = pv_blkdrv_create(&rig->blk, &rig->fake.bus, &rig->fake.os, &rig->options);

	if (!error)
		rig->queue = pv_blkdrv_queue(rig->blk, 0);
	return error;
}

void pv_blkdrv_rig_open(struct pv_blkdrv_rig *rig)
{
	pv_blkdrv_rig_prepare(rig, PV_RIG_FEATURES);
	assert_int_equal(pv_blkdrv_rig_create(rig), 0);
}

void pv_blkdrv_rig_close(struct pv_blkdrv_rig *rig)
{
	pv_blkdrv_destroy(rig->blk);
	assert_int_equal(rig->fake.shared_out + rig->fake.private_out, 0);
	assert_int_equal(rig->fake.mapped_out, 0);
}
