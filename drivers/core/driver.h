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
	 VIRTIO_F_EVENT_IDX | VIRTIO_F_RING_PACKED | VIRTIO_F_IN_ORDER | VIRTIO_F_RING_RESET)

/* How long a device may take to confirm a reset when nothing else is said. */
#define PV_DRIVER_TIMEOUT_NS 1000000000ull

struct pv_driver_wish {
	uint64_t required;   /* without these it is of no use; VERSION_1 is, but on legacy buses */
	uint64_t wanted;     /* accepted when offered */
	uint64_t timeout_ns; /* for the confirmation of a reset; 0: PV_DRIVER_TIMEOUT_NS */
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
 * Resets the device and negotiates features. `bus` and `os` must outlive the driver.
 * Returns 0; -PV_EFEATURES when a required feature is not offered or the device does not accept the
 * choice; -PV_ETIMEDOUT when it does not confirm the reset; or an error of the bus. After an error
 * the device has been told FAILED, where it listens, and needs no pv_driver_stop().
 */
int pv_driver_init(struct pv_driver *driver, struct pv_bus *bus, struct pv_os *os,
                   const struct pv_driver_wish *wish);

/*
 * The same for a device that was up before and is to be brought up anew: with the features that it
 * has now, no more and no fewer. Its queues have to be enabled again.
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

struct pv_driver_queue_options {
	uint16_t size_max;     /* 0: as large as the device can */
	uint16_t indirect_max; /* buffers that an indirect table has room for; 0: no tables */
};

struct pv_driver_queue {
	struct pv_drv_ring ring;
	struct pv_driver *driver;
	uint16_t index;
	uint64_t kicks; /* sent */

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
 * -PV_ENOMEM; or an error of the bus.
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

#endif
