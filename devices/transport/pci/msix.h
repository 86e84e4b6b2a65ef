/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * MSI-X (PCI Local Bus 3.0, section 6.8.2): a table of messages, each with a mask, and one mask
 * over all.  What the guest writes ends in one question to the bus for each vector: may it be sent
 * now, and as what?  Pending bits are the bus's to know.
 */
#ifndef PV_DEVICES_PCI_MSIX_H
#define PV_DEVICES_PCI_MSIX_H

#include "abi/linkage.h"
#include "devices/transport/pci/function.h"

PV_PUBLIC_BEGIN

#define PV_MSIX_VECTORS_MAX 2048u

struct pv_msix {
	struct pv_pci_function *function;
	uint16_t vectors;
	uint16_t capability; /* its offset */
	uint32_t pba_offset; /* of the pending bits; the table is at the beginning of the BAR */
	bool is_enabled;
	struct pci_msix_entry *table;
	bool *is_active; /* what the bus was told last */
};

/* What the table of so many vectors takes, and the BAR that holds it and the pending bits. */
size_t pv_msix_storage_bytes(uint16_t vectors);
uint64_t pv_msix_bar_bytes(uint16_t vectors);

/* Adds capability and BAR to a function. `storage` is the caller's, zeroed, 8-aligned. */
void pv_msix_init(struct pv_msix *msix, struct pv_pci_function *function, unsigned int bar,
                  uint16_t vectors, void *storage);

/* Any thread. */
static inline bool pv_msix_is_enabled(const struct pv_msix *msix)
{
	return __atomic_load_n(&msix->is_enabled, __ATOMIC_ACQUIRE);
}

/* Accesses to its BAR. */
uint64_t pv_msix_read(const struct pv_msix *msix, uint32_t offset, unsigned int bytes);
void pv_msix_write(struct pv_msix *msix, uint32_t offset, unsigned int bytes, uint64_t value);

PV_PUBLIC_END

#endif
