/* SPDX-License-Identifier: BSD-2-Clause */
/* The virtio block device (virtio 1.3, section 5.2) on a store. */
#ifndef PV_DEVICES_BLK_H
#define PV_DEVICES_BLK_H

#include "devices/blk/store.h"
#include "devices/core/device.h"

struct pv_blk_options {
	const char *serial; /* at most VIRTIO_BLK_ID_BYTES are shown; NULL: none */
	uint16_t queues;
	uint16_t queue_size_max;
	bool is_read_only;
	bool has_write_cache; /* the state of `writeback` after a reset */
	bool is_in_order;     /* offer IN_ORDER: a slow request then holds the rest */
	bool no_packed;       /* do not offer RING_PACKED */
};

struct pv_blk;

/* Bytes of storage that pv_blk_init() needs, cache-line aligned. */
size_t pv_blk_bytes(uint16_t queues);

/*
 * A block device on the caller's zeroed storage. `port` and `store` must outlive it. Returns the
 * device's common part, which everything else goes through.
 */
struct pv_device *pv_blk_init(void *storage, struct pv_port *port, struct pv_blk_store *store,
                              const struct pv_blk_options *options);

/*
 * Control side. The store has another size now; the driver is told. Requests past a new end fail
 * from here on. Returns 0, or -PV_EINVAL for a size that is no multiple of the logical block.
 */
int pv_blk_resized(struct pv_device *device, uint64_t capacity_bytes);

#endif
