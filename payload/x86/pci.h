/* SPDX-License-Identifier: BSD-2-Clause */
/* PCI functions as firmware, or the monitor, has placed them; and the drivers' way to one. */
#ifndef PV_PAYLOAD_PCI_H
#define PV_PAYLOAD_PCI_H

#include "drivers/bus/pci.h"

/* Bus, device and function, as ECAM has them. */
struct pci_address {
	uint8_t bus, device, function;
};

/* Calls `found` for every virtio device, on bridges' buses too. */
void pci_for_each_virtio(void (*found)(struct pci_address address));

/* The ids of a function: the device's in the upper half. */
uint32_t pci_ids(struct pci_address address);

/* Its MSI-X, while that is on (msix.h). */
struct pci_msix {
	uint32_t at; /* the capability */
	uint16_t entries;
	const struct pv_bus_ops *own_ops; /* the bus's, and those that stand before them */
	struct pv_bus_ops ops;
};

struct pci_device {
	struct pv_pci_port port;
	struct pv_pci_bus pci;
	struct pci_address address;
	uint64_t base[PCI_BARS];
	uint64_t bytes[PCI_BARS];
	bool is_io[PCI_BARS];
	struct pci_msix msix;
};

/* Gives a device its memory and ports. Returns its bus; NULL where it has no registers that the
 * drivers know. */
struct pv_bus *pci_open(struct pci_device *device, struct pci_address address);
/* The same by legacy registers, of a device that has both too. */
struct pv_bus *pci_open_legacy(struct pci_device *device, struct pci_address address);

/* Where a capability is in configuration space; 0: the function has none of that id. */
uint32_t pci_capability(const struct pci_device *device, uint8_t id);

#endif
