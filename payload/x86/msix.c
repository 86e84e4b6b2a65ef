/* SPDX-License-Identifier: BSD-2-Clause */
#include "payload/x86/msix.h"

#include "payload/x86/machine.h"

#define BAR_MASK 7u

static struct pci_device *device_of(struct pv_bus *bus)
{
	return (struct pci_device *)((uint8_t *)bus - offsetof(struct pci_device, pci.bus));
}

/* ---- which entries belong to what ---- */

uint16_t msix_entry_of_queue(const struct pci_device *device, uint16_t queue)
{
	const uint16_t last = (uint16_t)(device->msix.entries - 1);

	return queue < last ? (uint16_t)(queue + 1) : last;
}

/* A reset forgets what was said before; this is the first step after it. */
static int features_set(struct pv_bus *bus, uint64_t features)
{
	struct pci_device *device = device_of(bus);
	int error = pv_pci_bus_config_vector_set(&device->pci, MSIX_ENTRY_CONFIG);

	return error ? error : device->msix.own_ops->features_set(bus, features);
}

static int queue_enable(struct pv_bus *bus, uint16_t index, const struct pv_bus_queue *queue)
{
	struct pci_device *device = device_of(bus);
	int error = pv_pci_bus_queue_vector_set(&device->pci, index,
	                                        msix_entry_of_queue(device, index));

	return error ? error : device->msix.own_ops->queue_enable(bus, index, queue);
}

static void take_bus(struct pci_device *device)
{
	struct pci_msix *msix = &device->msix;

	msix->own_ops = device->pci.bus.ops;
	msix->ops = *msix->own_ops;
	msix->ops.features_set = features_set;
	msix->ops.queue_enable = queue_enable;
	device->pci.bus.ops = &msix->ops;
}

/* ---- the table ---- */

static uint32_t config(struct pci_device *device, uint32_t offset, unsigned int bytes)
{
	return device->port.ops->config_read(&device->port, offset, bytes);
}

static void set_control(struct pci_device *device, uint32_t control)
{
	device->port.ops->config_write(&device->port, device->msix.at + PCI_MSIX_CONTROL, 2,
	                               control);
}

static void fill(struct pci_device *device, uint64_t table, uint32_t address, uint8_t vector)
{
	for (uint32_t i = 0; i < device->msix.entries; i++) {
		uint64_t at = table + i * sizeof(struct pci_msix_entry);

		mmio_write(at + offsetof(struct pci_msix_entry, address_low), 4, address);
		mmio_write(at + offsetof(struct pci_msix_entry, address_high), 4, 0);
		mmio_write(at + offsetof(struct pci_msix_entry, data), 4, vector + i);
		mmio_write(at + offsetof(struct pci_msix_entry, control), 4, 0);
	}
}

/* Where it can be written to; 0: nowhere. */
static uint64_t table_of(struct pci_device *device)
{
	const uint32_t where = config(device, device->msix.at + PCI_MSIX_TABLE, 4);
	const uint32_t bar = where & BAR_MASK, offset = where & ~BAR_MASK;
	const uint64_t bytes = device->msix.entries * sizeof(struct pci_msix_entry);

	if (bar >= PCI_BARS || device->is_io[bar] || offset > device->bytes[bar] ||
	    bytes > device->bytes[bar] - offset)
		return 0;
	return device->base[bar] + offset;
}

bool msix_begin(struct pci_device *device, uint32_t address, uint8_t vector)
{
	uint32_t control, entries;
	uint64_t table;

	device->msix = (struct pci_msix){ .at = pci_capability(device, PCI_CAP_ID_MSIX) };
	if (!device->msix.at)
		return false;
	control = config(device, device->msix.at + PCI_MSIX_CONTROL, 2);
	entries = (control & PCI_MSIX_SIZE_MASK) + 1;
	device->msix.entries = (uint16_t)(entries < MSIX_ENTRIES_MAX ? entries : MSIX_ENTRIES_MAX);
	table = table_of(device);
	if (device->msix.entries < 2 || !table)
		return false;
	control = (control | PCI_MSIX_ENABLE) & ~PCI_MSIX_FUNCTION_MASK;
	/* Entries are filled while none is sent. */
	set_control(device, control | PCI_MSIX_FUNCTION_MASK);
	fill(device, table, address, vector);
	set_control(device, control);
	take_bus(device);
	return true;
}

void msix_end(struct pci_device *device)
{
	device->pci.bus.ops = device->msix.own_ops;
	set_control(device,
	            config(device, device->msix.at + PCI_MSIX_CONTROL, 2) & ~PCI_MSIX_ENABLE);
}
