/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A load for our block driver with a transport between it and our block device: requests in slots,
 * each on sectors of its own, checked against a model of the disk.  It can move to another device,
 * as a migration would.
 */
#ifndef PV_TESTS_SLOT_LOAD_H
#define PV_TESTS_SLOT_LOAD_H

#include "devices/blk/blk.h"
#include "drivers/blk/blk.h"
#include "tests/support/couple.h"
#include "tests/support/slow_store.h"

#define PV_SLOT_SECTORS    128u
#define PV_SLOT_DISK_BYTES (PV_SLOT_SECTORS * 512u)
#define PV_SLOT_QUEUES     2u
#define PV_SLOT_QUEUE_SIZE 32u
#define PV_SLOTS           16u

struct pv_slot {
	struct pv_blkdrv_request request;
	struct pv_buffer data;
	bool is_out;
};

struct pv_slot_load {
	struct pv_couple *couple;
	struct pv_os *os; /* the driver's; the couple's, if the test does not say */
	struct pv_random random;
	struct pv_slow_store store[2];
	void *storage[2];
	unsigned int current; /* of the two devices */
	uint8_t disk[PV_SLOT_DISK_BYTES];
	uint8_t model[PV_SLOT_DISK_BYTES];
	struct pv_blkdrv *driver;
	struct pv_slot slot[PV_SLOTS];
};

/* The couple is open; `load` is zeroed. */
void pv_slot_load_open(struct pv_slot_load *load, struct pv_couple *couple,
                       struct pv_random random);

/* The device to put behind the transport: the first, and later the one that takes over. */
struct pv_device *pv_slot_load_make_device(struct pv_slot_load *load);

/* The rings that a driver can have, and whether it is one of before virtio 1.0. */
#define PV_SLOT_RINGS 9u
extern const struct pv_slot_ring {
	uint64_t features;
	bool is_legacy;
} pv_slot_rings[PV_SLOT_RINGS];

/* When the bus has found the device: the driver, with exactly these features of the ring. */
void pv_slot_load_start(struct pv_slot_load *load, struct pv_bus *bus, uint64_t ring_features);

/* Ends the driver, and checks that the device is at its beginning. The couple is still open. */
void pv_slot_load_stop(struct pv_slot_load *load);

/* When the couple is closed. */
void pv_slot_load_close(struct pv_slot_load *load);

/* The queue of a slot's requests. */
struct pv_blkdrv_queue *pv_slot_load_queue(struct pv_slot_load *load, uint32_t slot);

/* Fills a slot that is not out and publishes it. */
void pv_slot_load_send(struct pv_slot_load *load, uint32_t slot, enum pv_blkdrv_op op);

/* The same, by a driver that wants an interrupt for it and does not look. */
void pv_slot_load_send_and_sleep(struct pv_slot_load *load, uint32_t slot);

/* The store ends something, the device hears of it, and its lanes run. */
void pv_slot_load_work(struct pv_slot_load *load);
/* So often that all is done that can be, without the driver's looking. */
void pv_slot_load_work_all(struct pv_slot_load *load);

/* Takes what is done, and checks it. */
void pv_slot_load_take_done(struct pv_slot_load *load);

/* Works until no slot is out. */
void pv_slot_load_finish(struct pv_slot_load *load);

/*
 * The driver's last kick of a queue was as it should be: the queue's number, in so many bytes, or,
 * in four, with where the next buffers will be.
 */
void pv_slot_load_expect_kick(struct pv_slot_load *load, uint16_t queue,
                              const struct pv_couple_kick *kick, unsigned int plain_bytes);

/* Every slot once, reads and writes. */
void pv_slot_load_round(struct pv_slot_load *load);

/*
 * Moves the device at random instants under load. `registers_*` are the transport's, `put` sets it
 * up anew on a device and a view of memory.
 */
struct pv_slot_transport {
	void (*put)(struct pv_device *device, enum pv_twin_view view);
	void (*registers_save)(struct pv_state_writer *to);
	void (*registers_load)(struct pv_state_reader *from);
};

void pv_slot_load_move_often(struct pv_slot_load *load, const struct pv_slot_transport *transport);

/* Registers that were cut off or altered are found bad, or do no harm. The device is paused. */
void pv_slot_load_spoil(struct pv_slot_load *load, const struct pv_slot_transport *transport);

#endif
