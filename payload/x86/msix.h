/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * MSI-X of a device (PCI Local Bus 3.0, section 6.8.2): its table is filled and it is turned on.
 * The driver knows nothing of it: the bus says which entries belong to what, each time that a
 * queue is enabled.
 */
#ifndef PV_PAYLOAD_MSIX_H
#define PV_PAYLOAD_MSIX_H

#include "payload/x86/pci.h"

/* As many as a driver here has queues, and one. */
#define MSIX_ENTRIES_MAX  9u
#define MSIX_ENTRY_CONFIG 0u

/*
 * Messages go to `address`, entry n's with vector `vector` + n. To be called before the driver's
 * begin. False: the device has no MSI-X, or none with an entry for a queue.
 */
bool msix_begin(struct pci_device *device, uint32_t address, uint8_t vector);

/* After the driver's end. */
void msix_end(struct pci_device *device);

/* The last one is for all queues that have none of their own. */
uint16_t msix_entry_of_queue(const struct pci_device *device, uint16_t queue);

#endif
