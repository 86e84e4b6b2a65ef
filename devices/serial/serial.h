/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The virtio console device (virtio 1.3, section 5.3), with up to 511 ports, each on a line.
 *
 * Ports come and go while the device works.  What the driver is to be told is never a queue of
 * messages but a set of marks on each port, turned into messages as the driver gives buffers for
 * them: a driver that gives none costs nothing.
 *
 * Bytes go between the driver's buffers and the line without a copy, several chains at a time.
 * What the line did not take, and buffers that nothing came for, is put back on the ring, with a
 * note of how much of the first chain has gone: a queue at rest holds nothing.  A line is read only
 * while the driver has the port open (without MULTIPORT always), and a queue that waits for its
 * line stalls: no byte is lost, and nobody spins.  Only what is sent to a port that is not there is
 * dropped, and counted: a driver may wait for it to go.
 *
 * All queues of a device must be on one lane's thread.
 */
#ifndef PV_DEVICES_SERIAL_H
#define PV_DEVICES_SERIAL_H

#include "abi/linkage.h"
#include "abi/virtio_console.h"
#include "devices/core/device.h"
#include "devices/serial/line.h"

PV_PUBLIC_BEGIN

#define PV_SERIAL_NAME_MAX 63u

struct pv_serial_port {
	struct pv_line *line;
	const char *name; /* a tag for the guest, copied; NULL or empty: none */
	bool is_console;
	bool has_legacy_resize; /* RESIZE with rows first, as older Linux drivers read it */
};

struct pv_serial_options {
	uint16_t ports_max; /* 1 to VIRTIO_CONSOLE_PORTS_MAX */
	uint16_t queue_size_max;
	bool is_single;   /* do not offer MULTIPORT: port 0 is all there is */
	bool is_in_order; /* offer IN_ORDER */
	bool no_packed;   /* do not offer RING_PACKED */

	/* Control side. The driver opened or closed a port. May be NULL. */
	void (*guest_changed)(void *arg, uint16_t port, bool is_open);
	void *arg;
};

/* Bytes of storage that pv_serial_init() needs for so many ports, cache-line aligned. */
size_t pv_serial_bytes(const struct pv_serial_options *options);

/* Queues of such a device. */
uint16_t pv_serial_queues(const struct pv_serial_options *options);

/*
 * A device without ports on the caller's zeroed storage. `port` must outlive it. Returns the
 * device's common part, which everything else goes through.
 */
struct pv_device *pv_serial_init(void *storage, struct pv_port *port,
                                 const struct pv_serial_options *options);

/* Control side, all: */

/* The first port without a line, 0 to ports_max - 1; -PV_ENOSPC when all have one. */
int pv_serial_free_port(const struct pv_device *device);

/*
 * Adds a port; a driver that is there is told of it. The line must last until the port was removed,
 * or the device is used no more, and should not work yet: where no queue runs it is looked at right
 * here. Returns 0, -PV_EINVAL for a number that cannot be, or -PV_EBUSY
 * for a port that is there, or is being removed.
 */
int pv_serial_add_port(struct pv_device *device, uint16_t index, const struct pv_serial_port *port);

/*
 * Removes a port: `removed` is called, perhaps from within this call, when the device does not use
 * the line any more; a driver is told. Returns 0, -PV_EINVAL for a port that is not there, or
 * -PV_EBUSY for one that is being removed.
 */
int pv_serial_remove_port(struct pv_device *device, uint16_t index, struct pv_waiter removed);

/* Has the driver opened the port? Without MULTIPORT: is there a driver? */
bool pv_serial_is_guest_open(const struct pv_device *device, uint16_t index);

PV_PUBLIC_END

#endif
