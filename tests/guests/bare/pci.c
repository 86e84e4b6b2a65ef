/* SPDX-License-Identifier: BSD-2-Clause */
/* Configuration space by both ways, and where its functions were when the power came on. */
#include "abi/pci.h"
#include "abi/virtio_ids.h"
#include "abi/virtio_pci.h"
#include "tests/guests/bare/bare.h"

#define ALL_DECODED (PCI_COMMAND_IO | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER)
#define SLOT_SHIFT  15
#define NOT_BAR     0xffffffffu

static struct {
	bool is_virtio, is_disk;
	uint32_t bar[PCI_BARS];
	uint64_t bytes[PCI_BARS];
} slots[SLOTS];

/* ---- access ---- */

static uint64_t ecam_at(unsigned int slot, uint32_t offset)
{
	return acpi_ecam() + (slot << SLOT_SHIFT) + offset;
}

uint32_t pci_read(unsigned int slot, uint32_t offset, unsigned int bytes)
{
	return (uint32_t)mmio_read(ecam_at(slot, offset), bytes);
}

void pci_write(unsigned int slot, uint32_t offset, unsigned int bytes, uint32_t value)
{
	mmio_write(ecam_at(slot, offset), bytes, value);
}

static void select(unsigned int slot, uint32_t offset)
{
	out32(PCI_PORT_ADDRESS, PCI_ADDRESS_ENABLE | slot << 11 | (offset & 0xfc));
}

static uint32_t port_read(unsigned int slot, uint32_t offset)
{
	select(slot, offset);
	return in32(PCI_PORT_DATA);
}

static void port_write(unsigned int slot, uint32_t offset, uint32_t value)
{
	select(slot, offset);
	out32(PCI_PORT_DATA, value);
}

/* ---- BARs ---- */

static bool is_64(uint32_t bar)
{
	return !(bar & PCI_BAR_IO) && bar & PCI_BAR_MEMORY_64;
}

static uint64_t measure(unsigned int slot, unsigned int bar)
{
	uint32_t before = port_read(slot, PCI_BAR(bar)), mask;

	port_write(slot, PCI_BAR(bar), UINT32_MAX);
	mask = port_read(slot, PCI_BAR(bar));
	port_write(slot, PCI_BAR(bar), before);
	mask &= before & PCI_BAR_IO ? ~PCI_BAR_IO_FLAGS : ~PCI_BAR_MEMORY_FLAGS;
	return mask ? (uint32_t)-mask : 0;
}

static void look_at(unsigned int slot)
{
	uint32_t id = port_read(slot, PCI_VENDOR_ID);

	slots[slot].is_virtio = (id & 0xffff) == VIRTIO_PCI_VENDOR;
	slots[slot].is_disk = slots[slot].is_virtio &&
	                      (id >> 16 == VIRTIO_PCI_DEVICE_BLOCK ||
	                       id >> 16 == VIRTIO_PCI_DEVICE_BASE + VIRTIO_ID_BLOCK);
	for (unsigned int bar = 0; slots[slot].is_virtio && bar < PCI_BARS; bar++) {
		slots[slot].bar[bar] = port_read(slot, PCI_BAR(bar));
		slots[slot].bytes[bar] = measure(slot, bar);
		/* The upper half is no BAR. */
		if (is_64(slots[slot].bar[bar]) && bar + 1 < PCI_BARS)
			slots[slot].bar[++bar] = NOT_BAR;
	}
}

void pci_begin(void)
{
	for (unsigned int slot = 0; slot < SLOTS; slot++)
		look_at(slot);
	pci_put_back();
}

/* Decoding is turned off first, by both ways: a BAR may lie over one of them. */
void pci_put_back(void)
{
	for (unsigned int slot = 0; slot < SLOTS; slot++)
		if (slots[slot].is_virtio)
			pci_write(slot, PCI_COMMAND, 2, 0);
	for (unsigned int slot = 0; slot < SLOTS; slot++)
		if (slots[slot].is_virtio)
			port_write(slot, PCI_COMMAND, 0);
	for (unsigned int slot = 0; slot < SLOTS; slot++) {
		if (!slots[slot].is_virtio)
			continue;
		for (unsigned int bar = 0; bar < PCI_BARS; bar++)
			port_write(slot, PCI_BAR(bar),
			           slots[slot].bar[bar] == NOT_BAR ? 0 : slots[slot].bar[bar]);
		port_write(slot, PCI_COMMAND, ALL_DECODED);
	}
}

bool pci_is_virtio(unsigned int slot)
{
	return slots[slot].is_virtio;
}

bool pci_is_disk(unsigned int slot)
{
	return slots[slot].is_disk;
}

uint64_t pci_bar(unsigned int slot, unsigned int bar, bool *is_io)
{
	uint32_t value = slots[slot].bar[bar];

	*is_io = value & PCI_BAR_IO;
	return value & (*is_io ? ~PCI_BAR_IO_FLAGS : ~PCI_BAR_MEMORY_FLAGS);
}

uint64_t pci_bar_bytes(unsigned int slot, unsigned int bar)
{
	return bar < PCI_BARS ? slots[slot].bytes[bar] : 0;
}
