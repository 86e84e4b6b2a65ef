/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a device asks of whoever hosts it.
 *
 * A device has no threads, no clock and no descriptors of its own.  Its host (our programs, an
 * emulator, a test with virtual time) gives it these functions.  Each says which thread the
 * device calls it from: the control side is the one thread that sets the device up; the lane of a
 * queue is the one thread that runs it, from queue_attach to the answer to queue_detach.
 */
#ifndef PV_DEVICES_PORT_H
#define PV_DEVICES_PORT_H

#include <stddef.h>
#include <stdint.h>

struct pv_device;
struct pv_iov;
struct pv_port;
struct pv_queue;
struct pv_region;

enum pv_log_level {
	PV_LOG_ERROR,
	PV_LOG_WARNING,
	PV_LOG_INFO,
	PV_LOG_DEBUG,
};

struct pv_port_ops {
	/*
	 * Control side. Zeroed memory for cache-line-aligned use, or NULL. Called when a queue
	 * starts, never while one runs; large areas should cost nothing until they are touched.
	 */
	void *(*alloc)(struct pv_port *port, size_t bytes);
	void (*free)(struct pv_port *port, void *memory, size_t bytes);

	/*
	 * Control side. The queue was started: from now on its lane calls pv_queue_run() when the
	 * driver kicked or the device's own work came to an end.
	 */
	void (*queue_attach)(struct pv_port *port, struct pv_queue *queue);

	/*
	 * Control side. Have the lane call pv_queue_drain(), go on running the queue until
	 * pv_queue_is_quiet(), leave it alone from then on, and have the control side call
	 * pv_queue_stopped(). It may do all that before it returns.
	 */
	void (*queue_detach)(struct pv_port *port, struct pv_queue *queue);

	/* Lane. Used buffers were published and the driver wants to know. */
	void (*interrupt)(struct pv_port *port, struct pv_queue *queue);

	/* Lane. The queue broke: have the control side call pv_device_needs_reset(). */
	void (*queue_broke)(struct pv_port *port, struct pv_queue *queue);

	/*
	 * Lane. Something happened that the control side must hear of: have it call
	 * pv_queue_event(), once for any number of these that it has not heard of yet.
	 */
	void (*queue_event)(struct pv_port *port, struct pv_queue *queue);

	/*
	 * Control side, or the queue's lane. Have the lane of a running queue run it once, though
	 * nobody kicked.
	 */
	void (*queue_wake)(struct pv_port *port, struct pv_queue *queue);

	/*
	 * Lane. Have the lane run the queue once more when `ns` have passed, not before, though
	 * nobody kicks: for a device that has stalled its queue until then. A queue has one timer:
	 * the last call counts. It goes on while the queue is paused, and is over when it is
	 * stopped, though one that was set before may still go off after the next start.
	 * A device that uses it says so to who makes its host.
	 */
	void (*queue_timer)(struct pv_port *port, struct pv_queue *queue, uint64_t ns);

	/* Any thread. The clock of that timer: it never goes back, and counts nanoseconds. */
	uint64_t (*now_ns)(struct pv_port *port);

	/*
	 * Lane. The guest does without these pieces, one at least, each whole pages of a region of
	 * the queue's memory (struct pv_region): they go back to the host, and are zeroes when they
	 * are touched again. Returns 0, or a negative enum pv_err: some or all may have stayed.
	 * NULL: the host takes nothing back.
	 */
	int (*discard)(struct pv_port *port, const struct pv_region *region,
	               const struct pv_iov *piece, uint32_t pieces);

	/* Control side. The configuration space, or NEEDS_RESET in the status, changed. */
	void (*config_changed)(struct pv_port *port, struct pv_device *device);

	/* Any thread. One line, without a newline; the device's name is the host's to add. */
	void (*log)(struct pv_port *port, enum pv_log_level level, const char *line);
};

struct pv_port {
	const struct pv_port_ops *ops;
};

#endif
