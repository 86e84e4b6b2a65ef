/* SPDX-License-Identifier: BSD-2-Clause */
/* A virtio device in a slot of the machine's PCI bus: what KVM and the event loops do for it. */
#ifndef PV_HOSTED_VMM_PCI_SLOT_H
#define PV_HOSTED_VMM_PCI_SLOT_H

#include "hosted/vmm/pci_bus.h"

struct pv_pci_slot;

struct pv_pci_slot_options {
	const struct pv_pci_bus_options *bus; /* outlives it */
	struct pv_device *device;
	struct pv_host *host;
	uint16_t class_code;
	unsigned int index; /* on the bus: chooses the pin */
	bool is_transitional;
};

/* Its BARs have no place yet. Returns 0 or -errno. */
int pv_pci_slot_create(struct pv_pci_slot **slot, const struct pv_pci_slot_options *options);
/* The device may have gone, and so must the control loop have. */
void pv_pci_slot_destroy(struct pv_pci_slot *slot);

struct pv_virtio_pci *pv_pci_slot_virtio(struct pv_pci_slot *slot);

#endif
