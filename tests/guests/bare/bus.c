/* SPDX-License-Identifier: BSD-2-Clause */
/* The buses of the drivers, where there is no operating system. */
#include "drivers/bus/mmio.h"
#include "drivers/bus/pci.h"
#include "tests/guests/bare/bare.h"

/* ---- PCI ---- */

struct function {
	struct pv_pci_port port;
	unsigned int slot;
};

static unsigned int slot_of(const struct pv_pci_port *port)
{
	return ((const struct function *)port)->slot;
}

static uint64_t bar_at(const struct pv_pci_port *port, unsigned int bar, uint32_t offset)
{
	bool is_io;

	return pci_bar(slot_of(port), bar, &is_io) + offset;
}

static uint32_t config_read(struct pv_pci_port *port, uint32_t offset, unsigned int bytes)
{
	return pci_read(slot_of(port), offset, bytes);
}

static void config_write(struct pv_pci_port *port, uint32_t offset, unsigned int bytes,
                         uint32_t value)
{
	pci_write(slot_of(port), offset, bytes, value);
}

static uint64_t bar_bytes(struct pv_pci_port *port, unsigned int bar)
{
	bool is_io;

	pci_bar(slot_of(port), bar, &is_io);
	return is_io ? 0 : pci_bar_bytes(slot_of(port), bar);
}

static uint32_t bar_read(struct pv_pci_port *port, unsigned int bar, uint32_t offset,
                         unsigned int bytes)
{
	return (uint32_t)mmio_read(bar_at(port, bar, offset), bytes);
}

static void bar_write(struct pv_pci_port *port, unsigned int bar, uint32_t offset,
                      unsigned int bytes, uint32_t value)
{
	mmio_write(bar_at(port, bar, offset), bytes, value);
}

static const struct pv_pci_port_ops pci_port_ops = {
	.config_read = config_read,
	.config_write = config_write,
	.bar_bytes = bar_bytes,
	.bar_read = bar_read,
	.bar_write = bar_write,
};

static struct pv_pci_bus pci_buses[SLOTS];
static struct function functions[SLOTS];

struct pv_bus *pci_bus(unsigned int slot)
{
	if (!functions[slot].port.ops) {
		functions[slot] = (struct function){ { &pci_port_ops }, slot };
		if (pv_pci_bus_init(&pci_buses[slot], &functions[slot].port))
			bail_out("a device without registers");
	}
	return &pci_buses[slot].bus;
}

void pci_bus_forget(unsigned int slot)
{
	functions[slot].port.ops = NULL;
}

/* ---- MMIO ---- */

struct place {
	struct pv_mmio_port port;
	uint64_t address;
};

static uint64_t address_of(const struct pv_mmio_port *port)
{
	return ((const struct place *)port)->address;
}

static uint32_t place_bytes(struct pv_mmio_port *port)
{
	(void)port;
	return MMIO_PLACE_BYTES;
}

static uint32_t place_read(struct pv_mmio_port *port, uint32_t offset, unsigned int bytes)
{
	return (uint32_t)mmio_read(address_of(port) + offset, bytes);
}

static void place_write(struct pv_mmio_port *port, uint32_t offset, unsigned int bytes,
                        uint32_t value)
{
	mmio_write(address_of(port) + offset, bytes, value);
}

static const struct pv_mmio_port_ops place_ops = { place_bytes, place_read, place_write };

/* Where nothing is, its magic is not. */
struct pv_bus *mmio_bus(unsigned int index)
{
	static struct pv_mmio_bus bus;
	static struct place place;

	place = (struct place){ { &place_ops }, MMIO_PLACES + (uint64_t)index * MMIO_PLACE_BYTES };
	return pv_mmio_bus_init(&bus, &place.port) ? NULL : &bus.bus;
}
