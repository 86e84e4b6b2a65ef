/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What all drivers have in common: bringing a device up, its queues, and taking it down again
 * (virtio 1.3, section 3.1).
 *
 * A driver negotiates, sets up its queues, starts, and in the end stops:
 *
 *     pv_driver_init()         reset, ACKNOWLEDGE, DRIVER, features, FEATURES_OK
 *     pv_driver_queue_init()   memory and ring of one queue; the device is told
 *     pv_driver_start()        DRIVER_OK: the device works from here on
 *     pv_driver_stop()         reset; the device touches no memory any more
 *     pv_driver_queue_fini()
 *
 * Memory that a device may write belongs to the device until it has confirmed a reset.  A device
 * that does not confirm keeps it: pv_driver_queue_fini() then leaves the shared part alone.
 *
 * The control functions are for one thread.  Each queue is for one thread at a time.
 */
#ifndef PV_DRIVERS_DRIVER_H
#define PV_DRIVERS_DRIVER_H

#include "drivers/core/bus.h"
#include "drivers/port/port.h"
#include "ring/drv_ring.h"

/* Feature bits of ring and transport that every driver can work with. */
#define PV_DRIVER_FEATURES                                                                         \
	(VIRTIO_F_VERSION_1 | VIRTIO_F_ACCESS_PLATFORM | VIRTIO_F_INDIRECT_DESC |                  \
	 VIRTIO_F_EVENT_IDX | VIRTIO_F_RING_PACKED | VIRTIO_F_IN_ORDER |                           \
	 VIRTIO_F_NOTIFICATION_DATA | VIRTIO_F_RING_RESET)

/* How long a device may take to confirm a reset when nothing else is said. */
#define PV_DRIVER_TIMEOUT_NS 1000000000ull

struct pv_driver;

struct pv_driver_wish {
	uint64_t required;   /* without these it is of no use; VERSION_1 is, but on legacy buses */
	uint64_t wanted;     /* accepted when offered */
	uint64_t timeout_ns; /* for the confirmation of a reset; 0: PV_DRIVER_TIMEOUT_NS */
	/* Of features that both can, those that go together; NULL: all do. */
	uint64_t (*choose)(uint64_t features);
	/*
	 * What comes after the negotiation: the configuration, the queues, pv_driver_start().
	 * Returns 0 or why not; what it has made by then is its caller's to tear down. NULL: who
	 * called pv_driver_init() does it.
	 */
	int (*bring_up)(struct pv_driver *driver);
};

struct pv_driver {
	struct pv_bus *bus;
	struct pv_os *os;
	uint64_t offered;
	uint64_t features; /* negotiated */
	uint64_t timeout_ns;
	bool is_reset; /* the device has confirmed a reset and was given no queue since */
};

/*
 * Resets the device, negotiates features, and brings it up, where the wish says how. `bus` and `os`
 * must outlive the driver.
 * Returns 0; -PV_EFEATURES when a required feature is not offered or the device does not accept the
 * choice; -PV_ETIMEDOUT when it does not confirm the reset; an error of the bus, or of `bring_up`.
 * After an error the device has been told FAILED, where it listens, and needs no pv_driver_stop().
 */
int pv_driver_init(struct pv_driver *driver, struct pv_bus *bus, struct pv_os *os,
                   const struct pv_driver_wish *wish);

/*
 * The same for a device that was up before and is to be brought up anew: with the features that it
 * has now, no more and no fewer. Its queues have to be enabled again. After an error it may be
 * tried once more.
 */
int pv_driver_init_again(struct pv_driver *driver);

/* DRIVER_OK. Returns 0 or an error of the bus. */
int pv_driver_start(struct pv_driver *driver);

/*
 * Resets the device and waits until it says so. Returns 0; -PV_ETIMEDOUT, or an error of the bus:
 * then the device may still write to all memory it was ever given.
 */
int pv_driver_stop(struct pv_driver *driver);

/* Gives up on a device that makes no sense: FAILED, as far as it listens. Still to be stopped. */
void pv_driver_fail(struct pv_driver *driver);

/*
 * Has the device asked for a reset (NEEDS_RESET), or is it not the device any more that was started
 * (status without DRIVER_OK, or a bus that answers with an error)?
 */
bool pv_driver_needs_reset(struct pv_driver *driver);

/*
 * Reads a piece of the configuration, all of it from one generation. Returns 0, an error of the
 * bus, or -PV_EIO when the configuration does not stop changing. What it says is the device's word:
 * check it before use.
 */
int pv_driver_config_read(struct pv_driver *driver, uint32_t offset, void *to, uint32_t bytes);

/* Returns 0 or an error of the bus. */
int pv_driver_config_write(struct pv_driver *driver, uint32_t offset, const void *from,
                           uint32_t bytes);

/*
 * What the requests of all drivers begin with, in their user's storage: what the core needs to find
 * those that take too long, and to hand over to a device that was reset what it had before. They
 * are the tokens of their ring.
 */
struct pv_driver_request {
	uint64_t deadline_ns; /* of the port's clock; 0: none */
	struct pv_driver_request *next;
};

struct pv_driver_queue;

/* What a driver does with one of its requests when the core says so. */
struct pv_driver_request_ops {
	/* Adds one that was in flight to the ring once more. Returns 0, or why it cannot be. */
	int (*repeat)(struct pv_driver_queue *queue, struct pv_driver_request *request);
	/* Ends one that came to nothing. */
	void (*end)(struct pv_driver_queue *queue, struct pv_driver_request *request, int error);
};

struct pv_driver_queue_options {
	uint16_t size_max;     /* 0: as large as the device can */
	uint16_t indirect_max; /* buffers that an indirect table has room for; 0: no tables */
	const struct pv_driver_request_ops *requests; /* what its tokens are; or NULL */
};

struct pv_driver_queue {
	struct pv_drv_ring ring;
	struct pv_driver *driver;
	uint16_t index;
	uint64_t kicks;   /* sent */
	uint64_t repeats; /* requests that a device was given once more, after a reset */
	uint64_t overdue; /* requests ended since they took too long */
	uint64_t lies;    /* of the rings before this one (pv_drv_ring) */

	/* Its requests, and those that were in flight when the device was reset. */
	const struct pv_driver_request_ops *requests;
	struct pv_driver_request *aside;

	/* What it was set up with, and whether the device has it. */
	bool is_lent;
	struct pv_bus_queue place;
	struct pv_drv_ring_memory memory;
	size_t rings_bytes;
	size_t tables_bytes;
	size_t private_bytes;
};

/*
 * Allocates a queue's memory and tells the device about it; between pv_driver_init() and
 * pv_driver_start(). The storage is the caller's and stays where it is until
 * pv_driver_queue_fini(). Returns 0; -PV_EINVAL for a queue that the device does not have;
 * -PV_ENOMEM; or an error of the bus, and the device has been reset if it had heard of the queue.
 */
int pv_driver_queue_init(struct pv_driver_queue *queue, struct pv_driver *driver, uint16_t index,
                         const struct pv_driver_queue_options *options);

/* After pv_driver_stop(). Frees what the device cannot write to any more, see above. */
void pv_driver_queue_fini(struct pv_driver_queue *queue);

/*
 * Takes one queue back from the device (section 2.6.1); its ring can be detached from then on.
 * Returns 0; -PV_ENOTSUP without VIRTIO_F_RING_RESET; or an error of the bus.
 */
int pv_driver_queue_reset(struct pv_driver_queue *queue);

/* Gives the device a queue that was taken back, empty. Returns 0 or an error of the bus. */
int pv_driver_queue_enable(struct pv_driver_queue *queue);

/* Publishes what was added to the queue's ring, and kicks if the device wants it. */
void pv_driver_queue_publish(struct pv_driver_queue *queue);

/* ---- memory of requests ---- */

/* A piece of its user's memory, for the device. What the pointer means is the port's affair. */
struct pv_buffer {
	void *memory;
	uint32_t bytes;
};

/*
 * Maps buffers through the port: into `sg`, in their order, in pieces of at most `piece_bytes_max`
 * (0: no limit), for the device to write or to read. Returns the number of pieces, at most
 * `pieces_max`; or, with nothing left mapped, -PV_EINVAL for more than that or for a buffer of no
 * bytes, -PV_ENOMEM when the port has no room.
 */
int pv_driver_map(struct pv_os *os, const struct pv_buffer *buffer, uint16_t buffers,
                  uint32_t piece_bytes_max, bool is_written, struct pv_sg *sg, uint16_t pieces_max);

/* Takes them back: the device is done with them, or was reset. */
void pv_driver_unmap(struct pv_os *os, const struct pv_sg *sg, uint16_t pieces, bool is_written);

/* ---- requests ---- */

/* From now on, `timeout_ns` long; 0: for ever. */
void pv_driver_request_begin(struct pv_driver_queue *queue, struct pv_driver_request *request,
                             uint64_t timeout_ns);

/* The earliest deadline of those in flight; UINT64_MAX: there is none. */
uint64_t pv_driver_queue_deadline_ns(const struct pv_driver_queue *queue);

/*
 * The device was reset: sets aside what was in flight, and gives it the queue anew, empty. Returns
 * 0 or an error of the bus.
 */
int pv_driver_queue_begin_again(struct pv_driver_queue *queue);

/*
 * Then, when the device has been started: gives it what was set aside, and publishes it; but ends
 * with -PV_ETIMEDOUT what is overdue, and, if `fails`, all else with -PV_EBROKEN.
 */
void pv_driver_queue_repeat(struct pv_driver_queue *queue, bool fails);

/* Or ends what was set aside, while the queue works. */
void pv_driver_queue_end_aside(struct pv_driver_queue *queue, int error);

/* Ends all requests, of which the device has no hold any more. */
void pv_driver_queue_end_all(struct pv_driver_queue *queue, int error);

/*
 * Polls and, between polls, sleeps (port: wait), until `*is_done`. Returns 0; -PV_EBROKEN when the
 * queue broke; -PV_ETIMEDOUT after `timeout_ns`. `poll` gets `arg`, and returns how many requests
 * it has ended.
 */
int pv_driver_queue_wait(struct pv_driver_queue *queue, const bool *is_done,
                         uint32_t (*poll)(void *arg), void *arg, uint64_t timeout_ns);

#endif
