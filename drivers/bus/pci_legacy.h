/* SPDX-License-Identifier: BSD-2-Clause */
/* Within the PCI bus: what its modern and its legacy half have of each other. */
#ifndef PV_DRIVERS_BUS_PCI_LEGACY_H
#define PV_DRIVERS_BUS_PCI_LEGACY_H

#include "drivers/bus/pci.h"

/* As those of pci.h, for a device that was found to be legacy. */
int pv_pci_legacy_queue_vector_set(struct pv_pci_bus *bus, uint16_t queue, uint16_t vector);
int pv_pci_legacy_config_vector_set(struct pv_pci_bus *bus, uint16_t vector);
uint8_t pv_pci_legacy_isr_get(struct pv_pci_bus *bus);

/* Is this a virtio device? Only configuration space is touched. */
bool pv_pci_is_virtio(const struct pv_pci_bus *bus);

/* A walk along the list of capabilities, which ends where a list that loops does not. */
struct pv_pci_walk {
	uint32_t next, left;
};

struct pv_pci_walk pv_pci_walk_begin(const struct pv_pci_bus *bus);
/* Where the next one with this id is; 0: there are no more. */
uint32_t pv_pci_walk_to(const struct pv_pci_bus *bus, struct pv_pci_walk *walk, uint32_t id);

/* Finds out what it is, and lets it use memory, and what `command` has. */
void pv_pci_begin(struct pv_pci_bus *bus, uint32_t command);

#endif
