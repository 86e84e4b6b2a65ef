/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A random load for a disk through our driver, with a log of what it was promised (disk_log.h): to
 * see, after a crash or a failure, that the disk keeps its promises.
 *
 * The test fails when a request ends as it should not, or a read returns what was not there.
 */
#ifndef PV_TESTS_LOGGED_LOAD_H
#define PV_TESTS_LOGGED_LOAD_H

#include "drivers/blk/blk.h"
#include "tests/support/disk_log.h"
#include "tests/support/random.h"

#define LOGGED_LOAD_REQUESTS    16u
#define LOGGED_LOAD_SECTORS_MAX 16u

struct logged_load_slot {
	struct pv_blkdrv_request request; /* first */
	struct pv_buffer data;
	uint8_t *buffer;
	uint32_t first, sectors;
	bool is_out;
	bool is_stable; /* when it ends */
	struct disk_log_moment sent;
};

struct logged_load {
	struct disk_log log;
	struct pv_random *random;
	struct pv_os *os;
	struct pv_blkdrv_queue *queue;
	struct logged_load_slot slot[LOGGED_LOAD_REQUESTS];
	bool has_flush;
	bool is_cached;      /* a write that ended may be in a cache yet */
	bool may_fail;       /* requests may end with -PV_EIO ... */
	uint32_t fails_from; /* ... those that reach beyond this sector */
	bool is_over;        /* how a request ends, and with what, says nothing any more */
	uint32_t out;        /* in flight */
	uint64_t ends, errors, flushes;
};

/* On a disk of so many sectors, all zeroes. `random` must outlive it. */
void logged_load_init(struct logged_load *load, uint32_t sectors, struct pv_random *random);

/* Takes its buffers. To be called before a driver is made, for memory may be fixed then. */
void logged_load_prepare(struct logged_load *load, struct pv_os *os);

/* From here on through this driver, which was just started on the disk. */
void logged_load_start(struct logged_load *load, struct pv_blkdrv *driver, bool is_cached);

/* Gives its buffers back. Nothing is in flight. */
void logged_load_stop(struct logged_load *load);

/* Sends one more request, any one, if there is room for it. */
void logged_load_send(struct logged_load *load);

/* The driver has told the device to cache writes, or not to. */
void logged_load_switch_cache(struct logged_load *load, bool is_cached);

#endif
