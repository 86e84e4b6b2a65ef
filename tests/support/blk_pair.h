/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The block device and its driver as a couple, on a store that answers when the test says so, with
 * a sector's memory for all requests.  Include after cmocka.
 */
#ifndef PV_TESTS_BLK_PAIR_H
#define PV_TESTS_BLK_PAIR_H

#include "devices/blk/blk.h"
#include "drivers/blk/blk.h"
#include "tests/support/couple.h"
#include "tests/support/slow_store.h"

#define BLK_PAIR_DISK_BYTES (64u << 10)

struct blk_pair {
	struct pv_couple couple;
	struct pv_random random;
	struct pv_slow_store store;
	void *storage; /* the device's */
	uint8_t disk[BLK_PAIR_DISK_BYTES];
	struct pv_blkdrv *driver;
	struct pv_gpa gpa;     /* of the sector */
	struct pv_buffer data; /* the same */
	uint32_t ends;         /* of blk_pair_read() */
};

/* Memory and a store; neither device nor driver. `number` is of the sequence of random numbers. */
void blk_pair_open(struct blk_pair *pair, uint64_t number);

/* A device on storage of its own, which is the pair's from here on. */
struct pv_device *blk_pair_make_device(struct blk_pair *pair, const struct pv_blk_options *options);

/* Brings both up. */
void blk_pair_start(struct blk_pair *pair, const struct pv_blk_options *options,
                    const struct pv_blkdrv_options *chosen);
void blk_pair_close(struct blk_pair *pair);

/* Submits the reading of a sector. Its end is counted. */
void blk_pair_read(struct blk_pair *pair, uint16_t queue, struct pv_blkdrv_request *request,
                   uint64_t sector);

#endif
