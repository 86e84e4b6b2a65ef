/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A disk as `paravane serve blk` has it (control loop, data loop, vhost-user) and our driver on it,
 * both in this process, so that what a request costs either of them can be counted.
 *
 * The driver is the test's thread.  The data loop can be held: it then stands within an iteration,
 * awake, before it looks at its queues.
 */
#ifndef PV_TESTS_SERVED_DISK_H
#define PV_TESTS_SERVED_DISK_H

#include <semaphore.h>

#include "drivers/blk/blk.h"
#include "hosted/control/disk.h"
#include "hosted/driver_bus/vhu_bus.h"
#include "hosted/vhost_user/backend.h"

#define SERVED_DEPTH       32u
#define SERVED_BLOCK_BYTES 4096u

/* The data loop runs `message` when it is held; the two semaphores are the driver's. */
struct served_gate {
	struct pv_loop_message message;
	sem_t is_held;
	sem_t may_go_on;
};

struct served_disk {
	struct pv_loop *control;
	struct pv_loop *data;
	struct pv_disk disk;
	struct pv_vhu_backend *backend;
	struct pv_vhu_bus *bus;
	struct pv_blkdrv *blk;
	struct pv_blkdrv_queue *queue;
	struct served_gate gate;
	bool is_held;

	struct pv_blkdrv_request request[SERVED_DEPTH];
	struct pv_buffer buffer[SERVED_DEPTH];
	uint32_t in_flight;
	uint32_t errors;
	uint64_t next_block;
};

/*
 * The test fails, with a sentence, when anything goes wrong. Of RING_PACKED and EVENT_IDX the ring
 * has just those in `ring_features`.
 */
void served_disk_start(struct served_disk *served, const struct pv_disk_options *options,
                       uint64_t ring_features);
void served_disk_stop(struct served_disk *served);

void served_disk_hold(struct served_disk *served);
void served_disk_release(struct served_disk *served);

/* Waits until the data loop has gone to sleep. There must be nothing in flight. */
void served_disk_rest(struct served_disk *served);

/* Adds SERVED_DEPTH requests of one block each, published all at once or one by one. */
void served_disk_send(struct served_disk *served, enum pv_blkdrv_op op, bool is_one_by_one);

/* Polls until all of them are done. None may have failed. */
void served_disk_finish(struct served_disk *served);

/* As query-stats shows them. */
const struct pv_queue_counters *served_disk_counters(const struct served_disk *served);

#endif
