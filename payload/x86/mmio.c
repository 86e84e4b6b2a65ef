/* SPDX-License-Identifier: BSD-2-Clause */
#include "payload/x86/mmio.h"

#include "payload/x86/machine.h"

/* As much as every such device has at least. */
#define PLACE_BYTES 0x200u

static uint64_t address_of(const struct pv_mmio_port *port)
{
	return ((const struct mmio_device *)port)->address;
}

static uint32_t bytes(struct pv_mmio_port *port)
{
	(void)port;
	return PLACE_BYTES;
}

static uint32_t read(struct pv_mmio_port *port, uint32_t offset, unsigned int width)
{
	return (uint32_t)mmio_read(address_of(port) + offset, width);
}

static void write(struct pv_mmio_port *port, uint32_t offset, unsigned int width, uint32_t value)
{
	mmio_write(address_of(port) + offset, width, value);
}

static const struct pv_mmio_port_ops ops = { bytes, read, write };

struct pv_bus *mmio_open(struct mmio_device *device, uint64_t address)
{
	*device = (struct mmio_device){ .port = { &ops }, .address = address };
	return pv_mmio_bus_init(&device->mmio, &device->port) ? NULL : &device->mmio.bus;
}
