/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A bus for drivers: one virtio device behind PCI (virtio 1.3, section 4.1), by its modern
 * registers where it has them, otherwise by its legacy ones.
 *
 * How configuration space and BARs are reached is the port's to say.  The device is hostile: a list
 * of capabilities that loops ends, one that points outside is not followed, and what a queue is
 * said to be kicked at is checked against the region it should be in.
 */
#ifndef PV_DRIVERS_BUS_PCI_H
#define PV_DRIVERS_BUS_PCI_H

#include "abi/pci.h"
#include "abi/virtio_pci.h"
#include "drivers/core/bus.h"

struct pv_pci_port;

/*
 * A device's registers. Accesses are of 1, 2, 4 bytes, at multiples of that, and keep the order
 * that drivers/bus/mmio.h describes.
 */
struct pv_pci_port_ops {
	uint32_t (*config_read)(struct pv_pci_port *port, uint32_t offset, unsigned int bytes);
	void (*config_write)(struct pv_pci_port *port, uint32_t offset, unsigned int bytes,
	                     uint32_t value);

	/* How many bytes of a BAR can be reached; 0 for none. Asked once. */
	uint64_t (*bar_bytes)(struct pv_pci_port *port, unsigned int bar);
	uint32_t (*bar_read)(struct pv_pci_port *port, unsigned int bar, uint32_t offset,
	                     unsigned int bytes);
	void (*bar_write)(struct pv_pci_port *port, unsigned int bar, uint32_t offset,
	                  unsigned int bytes, uint32_t value);
};

struct pv_pci_port {
	const struct pv_pci_port_ops *ops;
};

/* Where a structure of registers lies. */
struct pv_pci_region {
	bool is_there;
	uint8_t bar;
	uint32_t offset;
	uint32_t bytes;
};

#define PV_PCI_BUS_QUEUES_MAX 256u

struct pv_pci_bus {
	struct pv_bus bus;
	struct pv_pci_port *port;
	struct pv_pci_region common, notify, isr, config;
	uint32_t notify_multiplier;
	bool tells_next;       /* NOTIFICATION_DATA was negotiated */
	uint64_t legacy_bytes; /* in BAR 0, of a legacy device ... */
	uint32_t msix_at;      /* ... and where its MSI-X capability is; 0: none */
	uint32_t kick_at[PV_PCI_BUS_QUEUES_MAX]; /* in the notify region, of queues that are enabled
	                                          */
};

/*
 * Finds the device's registers and lets it use memory. Returns 0; -PV_ENOTSUP for what is no virtio
 * device or has no registers that are known here. `port` must outlive the bus.
 */
int pv_pci_bus_init(struct pv_pci_bus *bus, struct pv_pci_port *port);

/*
 * The same by legacy registers, of a device that has both too. It needs a machine of x86's byte
 * order; its queues have the device's own sizes, and none can be reset by itself.
 */
int pv_pci_bus_init_legacy(struct pv_pci_bus *bus, struct pv_pci_port *port);

/*
 * With MSI-X on: the vector of a queue, or of changes of the configuration; VIRTIO_MSI_NO_VECTOR
 * for none. Returns 0, -PV_ENOSPC if the device has no room for it.
 */
int pv_pci_bus_queue_vector_set(struct pv_pci_bus *bus, uint16_t queue, uint16_t vector);
int pv_pci_bus_config_vector_set(struct pv_pci_bus *bus, uint16_t vector);

/* Without MSI-X, from an interrupt: was it the device's, and what for? VIRTIO_PCI_ISR_*; clears it.
 */
uint8_t pv_pci_bus_isr_get(struct pv_pci_bus *bus);

#endif
