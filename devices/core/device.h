/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A device: what all of them have in common, and the operations in which they differ.
 *
 * docs/concepts/device.md is the page to read first.  In short: a transport (PCI, MMIO,
 * vhost-user) speaks to a device through the functions of this header and never knows what kind it
 * is; the device does what is its own through `struct pv_device_ops`; what it needs of the world it
 * asks of its port.  A device whose queues are served elsewhere has the same operations.
 *
 * All functions here are for the control side.  Those that wait for a lane do not block: they
 * answer through a callback, at once when nothing was running.
 */
#ifndef PV_DEVICES_DEVICE_H
#define PV_DEVICES_DEVICE_H

#include "abi/linkage.h"
#include "abi/virtio_features.h"
#include "devices/core/queue.h"
#include "devices/core/state.h"
#include "devices/port/port.h"

PV_PUBLIC_BEGIN

/* The virtio side of a device. */
struct pv_virtio_ops {
	uint16_t id;           /* abi/virtio_ids.h */
	uint16_t config_bytes; /* of the device-specific configuration */

	/* The feature bits of the device type that this device offers. */
	uint64_t (*features)(const struct pv_device *device);

	/* May the driver have this combination? NULL: any subset of what is offered. */
	bool (*features_are_good)(const struct pv_device *device, uint64_t features);

	/* Reads the configuration; the range was checked. NULL, and below: there is none. */
	void (*config_read)(const struct pv_device *device, uint16_t offset, void *to,
	                    uint16_t bytes);

	/* A write to it. Returns 0, or -PV_ENOTSUP for a field that is not the driver's. */
	int (*config_write)(struct pv_device *device, uint16_t offset, const void *from,
	                    uint16_t bytes);

	/*
	 * Control side, queue idle, its ring not there yet. Allocates what its requests will need,
	 * so that running allocates nothing. Returns 0 or a negative enum pv_err. Should the ring
	 * not come after it, queue_stop does, with nothing held.
	 */
	int (*queue_start)(struct pv_queue *queue);

	/* Lane. Takes chains and works on them. Returns whether it took any or finished any. */
	bool (*queue_run)(struct pv_queue *queue);

	/*
	 * Lane. Withdraws what it can from its back-end; each chain withdrawn counts as held and
	 * is saved with the queue. NULL: all in flight is left to finish.
	 */
	void (*queue_drain)(struct pv_queue *queue);

	/*
	 * Control side, queue quiet. Fails what it holds, or forgets it where it will be taken
	 * again (pv_queue_keeps_held), and frees what queue_start made.
	 */
	void (*queue_stop)(struct pv_queue *queue);

	/*
	 * Whoever runs the queue. Memory is another table from here on: each chain that the queue
	 * holds is to be moved there by pv_queue_chain_move(). NULL: it never holds any.
	 */
	void (*queue_move)(struct pv_queue *queue);

	/* Control side, queue running or stopping. The answer to port->queue_event. */
	void (*queue_event)(struct pv_queue *queue);

	/*
	 * Control side. The lane has let go of a queue, which is paused now, or idle. NULL: it does
	 * not matter.
	 */
	void (*queue_rested)(struct pv_queue *queue);

	/*
	 * Control side, queue quiet. Writes the chains that it holds (pv_queue_chain_save). Loading
	 * happens in a new device, right after queue_start: the chains are held again, and taken up
	 * by the first run; what cannot be marks the state bad. NULL, both: it never holds any.
	 */
	void (*queue_save)(const struct pv_queue *queue, struct pv_state_writer *to);
	void (*queue_load)(struct pv_queue *queue, struct pv_state_reader *from);
};

struct pv_device_ops {
	const char *name;
	const struct pv_virtio_ops *virtio; /* NULL: a device with registers of its own (QXL) */

	/* To the state after creation, but for what the user configured. All queues are idle. */
	void (*reset)(struct pv_device *device);

	/* What the driver can change and no queue holds. The version is the device's own. */
	uint16_t state_version;
	void (*save)(const struct pv_device *device, struct pv_state_writer *to);
	int (*load)(struct pv_device *device, struct pv_state_reader *from, uint16_t version);

	/* Counters of the device's own for one queue; an entry without a name ends the list. */
	const struct pv_counter_name *counter_names;
	const void *(*queue_counters)(const struct pv_device *device, uint16_t index);
};

/* Somebody to be told, once. */
struct pv_waiter {
	void (*call)(void *arg);
	void *arg;
};

struct pv_device {
	const struct pv_device_ops *ops;
	struct pv_port *port;

	/* What the user allows beyond the device type's own bits. */
	uint64_t ring_features;

	const struct pv_mem *mem;
	uint64_t features; /* accepted by the driver */
	uint8_t status;
	bool is_resetting; /* a reset waits for queues to stop */
	uint32_t config_generation;

	struct pv_queue *queue;
	uint16_t queues;
	uint16_t queue_size_max;

	/* Who waits for queues to stop, for a reset, and for a pause that is to begin after both.
	 */
	struct pv_waiter stop_waiter;
	struct pv_waiter reset_waiter;
	struct pv_waiter pause_waiter;
	bool is_stopping;  /* the first of the three is in force */
	bool is_pause_due; /* the last is */
};

/*
 * The bits 24 to 41 that a device of ours offers: all that rings can do, IN_ORDER if it is asked
 * for, and RING_PACKED but for those who do without.
 */
uint64_t pv_device_ring_features(bool is_in_order, bool no_packed);

/*
 * Sets up the common part on the caller's storage, with `queues` queues, also the caller's, zeroed.
 * `ring_features` are the bits 24 to 41 to offer.
 */
void pv_device_init(struct pv_device *device, const struct pv_device_ops *ops, struct pv_port *port,
                    uint64_t ring_features, struct pv_queue *queue, uint16_t queues,
                    uint16_t queue_size_max);

/* ---- features and status (virtio 1.3, sections 2.1, 2.2 and 3.1) ---- */

uint64_t pv_device_features(const struct pv_device *device);

/*
 * The driver accepts `features`. Returns 0; -PV_EFEATURES for bits not offered or a combination
 * the device cannot have (nothing changes); -PV_EBUSY while a queue runs.
 */
int pv_device_features_set(struct pv_device *device, uint64_t features);

/* The status to show the driver: non-zero until a reset has reached all queues. */
uint8_t pv_device_status(const struct pv_device *device);

/*
 * The driver writes its status. Zero resets (see pv_device_reset); bits cannot be taken back but by
 * a reset, and NEEDS_RESET is not the driver's. A transport calls pv_device_features_set() first
 * and leaves FEATURES_OK out when that fails.
 */
void pv_device_status_set(struct pv_device *device, uint8_t status);

/*
 * Stops all queues and puts the device back to its beginning; memory and the user's options stay.
 * `done.call` is called when that is reached, if it is not NULL. A stop or pause that is under way
 * ends first, and is answered. Who comes while a reset is under way that nobody waits for is called
 * at its end. Returns 0, or -PV_EBUSY.
 */
int pv_device_reset(struct pv_device *device, struct pv_waiter done);

/* Something is wrong that only a reset mends: NEEDS_RESET, and the driver is told. */
void pv_device_needs_reset(struct pv_device *device);

/* ---- configuration space (section 2.5) ---- */

/* Return 0, or -PV_EINVAL for a range outside, -PV_ENOTSUP for a field not the driver's. */
int pv_device_config_read(const struct pv_device *device, uint32_t offset, void *to,
                          uint32_t bytes);
int pv_device_config_write(struct pv_device *device, uint32_t offset, const void *from,
                           uint32_t bytes);

/* For devices: the configuration changed. New generation, and the driver is told. */
void pv_device_config_changed(struct pv_device *device);

/* ---- memory ---- */

/*
 * The table that queues will be started on. While queues run, each lane must first have changed to
 * the new one by pv_queue_mem_switch() and let go of the old.
 */
void pv_device_mem_set(struct pv_device *device, const struct pv_mem *mem);

/* ---- queues ---- */

/* Does no queue run, stop or pause? */
bool pv_device_is_idle(const struct pv_device *device);

/*
 * Describes a queue while it is idle; the features are the device's. Returns 0, -PV_EINVAL or
 * -PV_EBUSY. The addresses are checked when it starts.
 */
int pv_device_queue_set(struct pv_device *device, uint16_t index,
                        const struct pv_ring_config *config,
                        const struct pv_ring_position *position);

/*
 * Where a queue marks what it writes, from its next start on; a running queue goes by the old one
 * until its lane calls pv_queue_log(), and nothing is set again before that. Whatever else happens
 * to the device leaves this as it is. Returns 0, or -PV_EINVAL for a queue that is not there.
 */
int pv_device_queue_log_set(struct pv_device *device, uint16_t index,
                            const struct pv_ring_logging *logging);

/*
 * Starts a queue that was described. Returns 0 or why not: an error of pv_dev_ring_init(), or
 * -PV_ENOMEM, -PV_EBUSY; -PV_ELOCKED when somebody else uses what the device stands on, and it may
 * be worth trying again. With a journal, what was in flight is taken up first.
 */
int pv_device_queue_start(struct pv_device *device, uint16_t index);

/*
 * Stops a queue for good: what it holds fails, or stays in the journal of a queue that has one and
 * whose guest is not being moved (pv_queue_keeps_held). When `stopped` is called its lane has
 * answered and `queue->position` says where it stopped. Returns 0, or -PV_EBUSY while another stop,
 * pause or reset is under way.
 */
int pv_device_queue_stop(struct pv_device *device, uint16_t index, struct pv_waiter stopped);

/* The same for all queues. */
int pv_device_stop(struct pv_device *device, struct pv_waiter stopped);

/*
 * Has all running queues come to rest, keeping what they hold, so that the device can be saved;
 * then it can go on, or be stopped. A stop or reset that is under way ends first. Returns 0, or
 * -PV_EBUSY while another pause waits for that.
 */
int pv_device_pause(struct pv_device *device, struct pv_waiter paused);
void pv_device_resume(struct pv_device *device);

/* For the host, on the control side: the lane has answered a queue_detach. */
void pv_queue_stopped(struct pv_queue *queue);

/* For the host, on the control side: the lane has called queue_event. */
void pv_queue_event(struct pv_queue *queue);

/* ---- state ---- */

/*
 * Writes the state of a device that is paused or not running. `to->bytes` says how long it is, also
 * when there was no room (-PV_ENOSPC) or no buffer. -PV_EBUSY while a queue runs, or has chains of
 * its journal that were not taken yet. The state does not need the journal, nor is it in it.
 */
int pv_device_save(const struct pv_device *device, struct pv_state_writer *to);

/*
 * Loads it into a fresh device of the same kind and options, with memory set; the queues that ran
 * are paused, and pv_device_resume() lets them go on; they have no journal. Returns 0, -PV_ESTATE
 * for a state that is damaged, newer or of another kind, -PV_EFEATURES where this device offers
 * less; the device is as after a reset then.
 */
int pv_device_load(struct pv_device *device, const uint8_t *data, size_t bytes);

/*
 * For a device that is paused, or was, and goes on elsewhere: lets go of all that its queues hold,
 * and does not touch the guest's memory for it, as a stop or a reset would. What it stands on is
 * ended, and it is as after a reset. Returns 0, or -PV_EBUSY while a queue runs.
 */
int pv_device_abandon(struct pv_device *device);

/*
 * For a transport whose other end moves features, status and queues by itself: takes only what is
 * the device's own out of a state, and NEEDS_RESET. All queues must be idle, here and in the state,
 * and the features in it those that were accepted here, or, where none were yet, ones that could
 * be. Returns 0; or as pv_device_load() does, and the device's own part is as after a reset,
 * nothing else having changed; or -PV_EBUSY, and nothing has.
 */
int pv_device_load_own(struct pv_device *device, const uint8_t *data, size_t bytes);

PV_PUBLIC_END

#endif
