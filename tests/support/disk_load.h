/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A load for a disk through our driver that knows what every byte should be: reads, writes, zeroes
 * and flushes of any length, in buffers cut anywhere, many at a time.
 */
#ifndef PV_TESTS_DISK_LOAD_H
#define PV_TESTS_DISK_LOAD_H

#include "drivers/blk/blk.h"
#include "hosted/driver_bus/vhu_bus.h"

#define DISK_LOAD_QUEUES 2u

/* What the disk must hold, and the memory that a load takes. */
#define DISK_LOAD_DISK_BYTES   (32u << 20)
#define DISK_LOAD_MEMORY_BYTES (4u << 20)

/* Runs `turns` requests on one queue. Returns NULL, or what was wrong first. Any thread. */
const char *disk_load_run(struct pv_vhu_bus *bus, struct pv_blkdrv *blk, uint16_t queue,
                          bool is_blocking, uint32_t turns);

/* The first two queues at once: the first as above and blocking, the second on another thread. */
const char *disk_load_run_two(struct pv_vhu_bus *bus, struct pv_blkdrv *blk, uint32_t turns);

/* Has loads that run come to their end before. Any thread. */
void disk_load_end(void);

#endif
