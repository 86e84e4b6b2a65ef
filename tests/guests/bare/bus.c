/* SPDX-License-Identifier: BSD-2-Clause */
/* The buses of the drivers' devices. */
#include "payload/x86/mmio.h"
#include "payload/x86/pci.h"
#include "tests/guests/bare/bare.h"

static struct pci_device pci[SLOTS];

struct pv_bus *pci_bus(unsigned int slot)
{
	if (!pci[slot].port.ops &&
	    !pci_open(&pci[slot], (struct pci_address){ 0, (uint8_t)slot, 0 }))
		bail_out("a device without registers");
	return &pci[slot].pci.bus;
}

void pci_bus_forget(unsigned int slot)
{
	pci[slot].port.ops = NULL;
}

/* Where nothing is, its magic is not. */
struct pv_bus *mmio_bus(unsigned int index)
{
	static struct mmio_device mmio;

	return mmio_open(&mmio, MMIO_PLACES + (uint64_t)index * MMIO_PLACE_BYTES);
}
