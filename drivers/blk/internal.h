/* SPDX-License-Identifier: BSD-2-Clause */
/* Within drivers/blk/: the driver and its queues. */
#ifndef PV_DRIVERS_BLK_INTERNAL_H
#define PV_DRIVERS_BLK_INTERNAL_H

#include "drivers/blk/blk.h"

/* Header and status take a buffer each; a request with data at least one more. */
#define PV_BLKDRV_FRAME_BUFFERS 2u

/*
 * What a request needs in shared memory beside its data, one of each for every slot.  Each kind
 * lies dense, so that a batch of status bytes comes over in one cache line.
 */
struct pv_blkdrv_slots {
	struct virtio_blk_req_header *header;
	struct virtio_blk_range *range;
	uint8_t *status;
	char *id; /* one, for pv_blkdrv_id() */
	struct pv_gpa header_gpa;
	struct pv_gpa range_gpa;
	struct pv_gpa status_gpa;
	size_t bytes;
};

struct pv_blkdrv_queue {
	struct pv_driver_queue base;
	struct pv_blkdrv *blk;
	struct pv_blkdrv_slots slots;

	/*
	 * Chains as the device sees them: header, data, status. Each slot has room for its own
	 * where what is mapped is unmapped again; otherwise (0 places apart) all use the same.
	 */
	struct pv_sg *sg;
	uint16_t sg_apart;

	/* The free slots, last in first out: the warmest next. */
	uint16_t *free_slot;
	uint16_t free_slots;
	size_t private_bytes; /* of both */

	struct pv_blkdrv_request id_request;
	struct pv_buffer id_buffer;
	struct pv_blkdrv_counters counters;

	/* Neighbours, each on a thread of its own, stay off each other's cache lines. */
	uint8_t gap[64];
};

/*
 * Written by control, read by all, on machines too that have no atomic access to 64 bits: the
 * writer fills the half of the array that nobody reads, and whoever sees that it was filled
 * meanwhile reads again.
 */
struct pv_blkdrv_capacity {
	uint32_t generation; /* its last bit is which one counts */
	uint32_t sectors[2][2];
};

struct pv_blkdrv {
	struct pv_driver driver;
	struct pv_blkdrv_options options;
	struct pv_blkdrv_disk disk;
	struct pv_blkdrv_capacity capacity;
	size_t bytes;
	uint16_t started; /* queues that were set up */
	struct pv_blkdrv_queue queue[];
};

/* config.c: reads and checks the configuration. Returns 0, -PV_EBROKEN or an error of the bus. */
int pv_blkdrv_config_load(struct pv_blkdrv *blk, const struct pv_blkdrv_options *options);

/* request.c: what becomes of its requests when the device is reset. */
extern const struct pv_driver_request_ops pv_blkdrv_request_ops;

#endif
