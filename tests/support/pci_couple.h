/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A couple (couple.h) with PCI between driver and device: the driver's bus is our PCI bus, its
 * registers are those of our virtio function, and this is the PCI bus between the two.
 */
#ifndef PV_TESTS_PCI_COUPLE_H
#define PV_TESTS_PCI_COUPLE_H

#include "devices/transport/pci/virtio.h"
#include "drivers/bus/pci.h"
#include "tests/support/couple.h"

#define PV_PCI_COUPLE_VECTORS (PV_COUPLE_QUEUES + 1)

struct pv_pci_couple_vector {
	bool is_active; /* it may be sent */
	bool is_pending;
	struct pv_msi_message message;
	uint32_t sent;
};

struct pv_pci_couple {
	struct pv_couple couple;
	struct pv_virtio_pci virtio;
	struct pv_pci_port port;
	struct pv_pci_bus bus;
	void *storage;
	struct pv_pci_couple_vector vector[PV_PCI_COUPLE_VECTORS];
	uint16_t route[PV_COUPLE_QUEUES];
	uint32_t intx_raised;
	uint32_t windows_changed;
	uint32_t waits;
	bool is_driver_legacy; /* for the test to set: legacy registers, where there are both */
	bool has_notification_data; /* for the test to set before there is a device */
	struct pv_couple_kick last_kick;
	/* A legacy device looks at memory when it is told of a queue, so it is told at the start.
	 */
	uint32_t selected;
	uint32_t page[PV_COUPLE_QUEUES];
};

/* The device comes next: its port is `pci->couple.port`. */
void pv_pci_couple_open(struct pv_pci_couple *pci, size_t memory_bytes, struct pv_random random);
void pv_pci_couple_close(struct pv_pci_couple *pci);

/* Makes the function for a device, or for the one that takes over; the driver's end is not touched.
 */
void pv_pci_couple_set_device(struct pv_pci_couple *pci, struct pv_device *device,
                              enum pv_twin_view view, bool is_transitional);

/* The driver's bus finds the registers: `pci->bus.bus` from here on. Returns what that says. */
int pv_pci_couple_probe(struct pv_pci_couple *pci);

/* Switches MSI-X on, with a message for each vector, none masked. */
void pv_pci_couple_msix_on(struct pv_pci_couple *pci);

#endif
