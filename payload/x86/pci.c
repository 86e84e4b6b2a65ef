/* SPDX-License-Identifier: BSD-2-Clause */
#include "payload/x86/pci.h"

#include "payload/x86/machine.h"

#define DEVICES             32u
#define FUNCTIONS           8u
#define BUSES               256u
#define HEADER_BRIDGE       0x01u
#define HEADER_TYPE         0x7fu
#define HEADER_HAS_MORE     0x80u
#define BRIDGE_SECONDARY    0x19u
#define NOTHING             0xffffu
#define FOUR_GIB            0x100000000ull
#define ALL_DECODED         (PCI_COMMAND_IO | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER)
#define PORT_REGISTERS_MASK 0xfcu

/* ---- configuration space ---- */

static uint64_t ecam_at(struct pci_address at, uint32_t offset)
{
	return acpi_ecam() + ((uint64_t)at.bus << 20) + ((uint32_t)at.device << 15) +
	       ((uint32_t)at.function << 12) + offset;
}

/* By ports where there is no window in memory. */
static uint16_t select(struct pci_address at, uint32_t offset)
{
	out32(PCI_PORT_ADDRESS, PCI_ADDRESS_ENABLE | (uint32_t)at.bus << 16 |
	                                (uint32_t)at.device << 11 | (uint32_t)at.function << 8 |
	                                (offset & PORT_REGISTERS_MASK));
	return (uint16_t)(PCI_PORT_DATA + (offset & 3));
}

static uint32_t read(struct pci_address at, uint32_t offset, unsigned int bytes)
{
	if (acpi_ecam())
		return (uint32_t)mmio_read(ecam_at(at, offset), bytes);
	return in(select(at, offset), bytes);
}

static void write(struct pci_address at, uint32_t offset, unsigned int bytes, uint32_t value)
{
	if (acpi_ecam())
		mmio_write(ecam_at(at, offset), bytes, value);
	else
		out(select(at, offset), bytes, value);
}

uint32_t pci_ids(struct pci_address at)
{
	return read(at, PCI_VENDOR_ID, 4);
}

/* ---- what there is ---- */

static bool has_been_there[BUSES];

static void walk(uint8_t bus, void (*found)(struct pci_address));

static void look_at(struct pci_address at, void (*found)(struct pci_address))
{
	uint8_t type = (uint8_t)read(at, PCI_HEADER_TYPE, 1);

	if ((type & HEADER_TYPE) == HEADER_BRIDGE)
		walk((uint8_t)read(at, BRIDGE_SECONDARY, 1), found);
	else if ((pci_ids(at) & 0xffff) == VIRTIO_PCI_VENDOR)
		found(at);
}

static void walk_device(struct pci_address at, void (*found)(struct pci_address))
{
	unsigned int functions = 1;

	for (unsigned int i = 0; i < functions; i++) {
		at.function = (uint8_t)i;
		if ((pci_ids(at) & 0xffff) == NOTHING)
			continue;
		if (i == 0 && read(at, PCI_HEADER_TYPE, 1) & HEADER_HAS_MORE)
			functions = FUNCTIONS;
		look_at(at, found);
	}
}

/* A bridge that nobody has set up leads to a bus where we have been. */
static void walk(uint8_t bus, void (*found)(struct pci_address))
{
	if (has_been_there[bus])
		return;
	has_been_there[bus] = true;
	for (uint8_t device = 0; device < DEVICES; device++)
		walk_device((struct pci_address){ bus, device, 0 }, found);
}

void pci_for_each_virtio(void (*found)(struct pci_address))
{
	for (unsigned int bus = 0; bus < BUSES; bus++)
		has_been_there[bus] = false;
	walk(0, found);
}

/* ---- a function's BARs ---- */

static struct pci_device *device_of(struct pv_pci_port *port)
{
	return (struct pci_device *)port;
}

/* All ones come back without those that are part of its size. */
static uint64_t measure(struct pci_address at, unsigned int bar, bool is_io, bool is_64)
{
	uint32_t flags = is_io ? PCI_BAR_IO_FLAGS : PCI_BAR_MEMORY_FLAGS;
	uint32_t low = read(at, PCI_BAR(bar), 4), high = UINT32_MAX;
	uint64_t mask;

	write(at, PCI_BAR(bar), 4, UINT32_MAX);
	mask = read(at, PCI_BAR(bar), 4) & ~flags;
	write(at, PCI_BAR(bar), 4, low);
	if (is_64) {
		high = read(at, PCI_BAR(bar + 1), 4);
		write(at, PCI_BAR(bar + 1), 4, UINT32_MAX);
		mask |= (uint64_t)read(at, PCI_BAR(bar + 1), 4) << 32;
		write(at, PCI_BAR(bar + 1), 4, high);
	} else if (mask) {
		/* Ports have 16 bits, and the rest may be missing. */
		mask |= is_io ? ~(uint64_t)UINT16_MAX : ~(uint64_t)UINT32_MAX;
	}
	return -mask;
}

/* Returns whether the next one is its upper half. */
static bool find_bar(struct pci_device *device, unsigned int bar)
{
	const struct pci_address at = device->address;
	uint32_t low = read(at, PCI_BAR(bar), 4);
	bool is_io = low & PCI_BAR_IO;
	bool is_64 = !is_io && low & PCI_BAR_MEMORY_64 && bar + 1 < PCI_BARS;
	uint32_t flags = is_io ? PCI_BAR_IO_FLAGS : PCI_BAR_MEMORY_FLAGS;
	uint64_t base = low & ~flags;

	if (is_64)
		base |= (uint64_t)read(at, PCI_BAR(bar + 1), 4) << 32;
	device->is_io[bar] = is_io;
	device->bytes[bar] = measure(at, bar, is_io, is_64);
	if (device->bytes[bar] && base + device->bytes[bar] > FOUR_GIB)
		base = window_keep(base, device->bytes[bar]);
	device->base[bar] = base;
	/* One without a place cannot be reached. */
	if (base == 0)
		device->bytes[bar] = 0;
	return is_64;
}

static void find_bars(struct pci_device *device)
{
	write(device->address, PCI_COMMAND, 2, 0);
	for (unsigned int bar = 0; bar < PCI_BARS; bar++)
		bar += find_bar(device, bar);
	write(device->address, PCI_COMMAND, 2, ALL_DECODED);
}

/* As many as there is room for: a list that loops ends. */
#define CAPABILITIES_MAX ((PCI_CONFIG_BYTES - PCI_FIRST_OWN_REGISTER) / 4)

uint32_t pci_capability(const struct pci_device *device, uint8_t id)
{
	const struct pci_address at = device->address;
	uint32_t next = 0;

	if (read(at, PCI_STATUS, 2) & PCI_STATUS_CAPABILITIES)
		next = read(at, PCI_CAPABILITIES, 1) & ~3u;
	for (uint32_t i = 0; i < CAPABILITIES_MAX && next >= PCI_FIRST_OWN_REGISTER; i++) {
		if (read(at, next, 1) == id)
			return next;
		next = read(at, next + 1, 1) & ~3u;
	}
	return 0;
}

/* ---- the drivers' port ---- */

static uint32_t config_read(struct pv_pci_port *port, uint32_t offset, unsigned int bytes)
{
	return read(device_of(port)->address, offset, bytes);
}

static void config_write(struct pv_pci_port *port, uint32_t offset, unsigned int bytes,
                         uint32_t value)
{
	write(device_of(port)->address, offset, bytes, value);
}

static uint64_t bar_bytes(struct pv_pci_port *port, unsigned int bar)
{
	return bar < PCI_BARS ? device_of(port)->bytes[bar] : 0;
}

static uint32_t bar_read(struct pv_pci_port *port, unsigned int bar, uint32_t offset,
                         unsigned int bytes)
{
	uint64_t at = device_of(port)->base[bar] + offset;

	return device_of(port)->is_io[bar] ? in((uint16_t)at, bytes)
	                                   : (uint32_t)mmio_read(at, bytes);
}

static void bar_write(struct pv_pci_port *port, unsigned int bar, uint32_t offset,
                      unsigned int bytes, uint32_t value)
{
	uint64_t at = device_of(port)->base[bar] + offset;

	if (device_of(port)->is_io[bar])
		out((uint16_t)at, bytes, value);
	else
		mmio_write(at, bytes, value);
}

static const struct pv_pci_port_ops port_ops = {
	.config_read = config_read,
	.config_write = config_write,
	.bar_bytes = bar_bytes,
	.bar_read = bar_read,
	.bar_write = bar_write,
};

static void begin(struct pci_device *device, struct pci_address address)
{
	*device = (struct pci_device){ .port = { &port_ops }, .address = address };
	find_bars(device);
}

struct pv_bus *pci_open(struct pci_device *device, struct pci_address address)
{
	begin(device, address);
	return pv_pci_bus_init(&device->pci, &device->port) ? NULL : &device->pci.bus;
}

struct pv_bus *pci_open_legacy(struct pci_device *device, struct pci_address address)
{
	begin(device, address);
	return pv_pci_bus_init_legacy(&device->pci, &device->port) ? NULL : &device->pci.bus;
}
