/* SPDX-License-Identifier: BSD-2-Clause */
/* A block driver on a device played by hand. */
#ifndef PV_TESTS_BLKDRV_RIG_H
#define PV_TESTS_BLKDRV_RIG_H

#include "drivers/blk/blk.h"
#include "tests/support/fake_bus.h"

/* All but indirect tables, which the device played by hand cannot read. */
#define PV_RIG_FEATURES                                                                            \
	(VIRTIO_F_VERSION_1 | VIRTIO_BLK_F_SIZE_MAX | VIRTIO_BLK_F_SEG_MAX |                       \
	 VIRTIO_BLK_F_BLK_SIZE | VIRTIO_BLK_F_FLUSH | VIRTIO_BLK_F_TOPOLOGY |                      \
	 VIRTIO_BLK_F_CONFIG_WCE | VIRTIO_BLK_F_MQ | VIRTIO_BLK_F_DISCARD |                        \
	 VIRTIO_BLK_F_WRITE_ZEROES | VIRTIO_BLK_F_SECURE_ERASE | VIRTIO_BLK_F_LIFETIME |           \
	 VIRTIO_BLK_F_GEOMETRY | VIRTIO_F_RING_RESET)

#define PV_RIG_CAPACITY 1000u /* sectors */

struct pv_blkdrv_rig {
	struct pv_fake_bus fake;
	struct virtio_blk_config *config; /* the device's, as a structure */
	struct pv_blkdrv_options options;
	struct pv_blkdrv *blk;
	struct pv_blkdrv_queue *queue;
	uint8_t data[8192];
};

/* A device with these features and a good configuration, for the test to spoil. */
void pv_blkdrv_rig_prepare(struct pv_blkdrv_rig *rig, uint64_t features);

/* The driver on it: as pv_blkdrv_create(). */
int pv_blkdrv_rig_create(struct pv_blkdrv_rig *rig);

/* Both, with PV_RIG_FEATURES. */
void pv_blkdrv_rig_open(struct pv_blkdrv_rig *rig);

/* Ends the driver; nothing may be left behind. */
void pv_blkdrv_rig_close(struct pv_blkdrv_rig *rig);

#endif
