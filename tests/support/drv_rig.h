/* SPDX-License-Identifier: BSD-2-Clause */
/* A driver's ring with a device played by hand. Include after cmocka. */
#ifndef PV_TESTS_DRV_RIG_H
#define PV_TESTS_DRV_RIG_H

#include "abi/virtio_features.h"
#include "ring/drv_ring.h"

#define PV_RIG_SIZE         8u
#define PV_RIG_INDIRECT_MAX 3u
#define PV_RIG_INDIRECT_GPA 0x770000u

#define AVAIL_USED (VIRTQ_DESC_F_AVAIL | VIRTQ_DESC_F_USED)
#define PACKED     VIRTIO_F_RING_PACKED
#define INDIRECT   VIRTIO_F_INDIRECT_DESC
#define EVENT      VIRTIO_F_EVENT_IDX
#define IN_ORDER   VIRTIO_F_IN_ORDER

struct pv_drv_rig {
	struct pv_drv_ring ring;
	struct pv_drv_ring_memory memory;
	struct virtq_desc *table;
	struct virtq_avail *avail;
	struct virtq_used *used;
	struct pvirtq_desc *packed;
	struct pvirtq_event_suppress *driver_event, *device_event;
	char token[4 * PV_RIG_SIZE];
};

void pv_drv_rig_open(struct pv_drv_rig *rig, uint64_t features);
void pv_drv_rig_close(struct pv_drv_rig *rig);

/* A chain of so many buffers of 16 bytes, 0x1000 apart from `number` * 0x10000 on. */
int pv_drv_rig_add(struct pv_drv_rig *rig, uint32_t number, uint16_t readable, uint16_t writable);

/* The same, which must succeed, and published. */
void pv_drv_rig_added(struct pv_drv_rig *rig, uint32_t number, uint16_t readable,
                      uint16_t writable);

/* The device's part: a used entry, and the split index moved on by `advance`. */
void pv_drv_rig_use_split(struct pv_drv_rig *rig, uint32_t id, uint32_t bytes, uint16_t advance);
void pv_drv_rig_use_packed(struct pv_drv_rig *rig, uint16_t at, uint16_t id, uint32_t bytes,
                           uint16_t flags);
struct pv_le16 *pv_drv_rig_avail_event(struct pv_drv_rig *rig);

/* What the driver must take next: this chain, or nothing for this reason. */
void pv_drv_rig_expect_taken(struct pv_drv_rig *rig, uint32_t number, uint32_t bytes);
void pv_drv_rig_expect_none(struct pv_drv_rig *rig, enum pv_drv_take what);

#endif
