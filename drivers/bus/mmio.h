/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A bus for drivers: one virtio device behind memory-mapped registers (virtio 1.3, section 4.2), of
 * version 2, or of version 1, the legacy one.
 *
 * Where the registers are, and what interrupt goes with them, firmware says (ACPI: LNRO0005; a
 * device tree: virtio,mmio); how they are reached is the port's to say.  The device is hostile:
 * nothing is waited for for ever, and what it says of itself is bounded.
 *
 * A legacy device does not know VERSION_1, and a queue is one piece of pages for it; the core of
 * the drivers minds that (struct pv_bus, is_legacy).
 */
#ifndef PV_DRIVERS_BUS_MMIO_H
#define PV_DRIVERS_BUS_MMIO_H

#include "abi/virtio_mmio.h"
#include "drivers/core/bus.h"

struct pv_mmio_port;

/*
 * A device's registers. Accesses are of 1, 2, 4 bytes, at multiples of that, and inside. What the
 * driver wrote to memory before a write is there when the device sees that write, and what it reads
 * from memory after a read is not read earlier: a processor that does not keep them in order gets a
 * barrier in here.
 */
struct pv_mmio_port_ops {
	/* How many bytes can be reached. */
	uint32_t (*bytes)(struct pv_mmio_port *port);
	uint32_t (*read)(struct pv_mmio_port *port, uint32_t offset, unsigned int bytes);
	void (*write)(struct pv_mmio_port *port, uint32_t offset, unsigned int bytes,
	              uint32_t value);
};

struct pv_mmio_port {
	const struct pv_mmio_port_ops *ops;
};

struct pv_mmio_bus {
	struct pv_bus bus;
	struct pv_mmio_port *port;
	uint32_t config_bytes; /* that can be reached */
	bool tells_next;       /* NOTIFICATION_DATA was negotiated */
};

/*
 * Looks whether a device is there. Returns 0; -PV_ENOTSUP where there is none, or none of a version
 * that is known, or, on a big-endian machine, one of version 1. `port` must outlive the bus.
 */
int pv_mmio_bus_init(struct pv_mmio_bus *bus, struct pv_mmio_port *port);

/*
 * From an interrupt, in any context that may touch registers: was it the device's, and what for?
 * VIRTIO_MMIO_INT_*, which are acknowledged: queues are to be looked at after it.
 */
uint32_t pv_mmio_bus_interrupt_take(struct pv_mmio_bus *bus);

#endif
