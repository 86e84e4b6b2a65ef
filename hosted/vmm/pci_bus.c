/* SPDX-License-Identifier: BSD-2-Clause */
#include "hosted/vmm/pci_bus.h"

#include <errno.h>

#include "hosted/vmm/memory.h"
#include "hosted/vmm/pci_slot.h"

#define BRIDGE_VENDOR 0x1b36u
#define BRIDGE_DEVICE 0x0008u

/* ---- slots ---- */

/* As firmware would: one after the other, each at a multiple of its size. */
static void place_bars(struct pv_machine_pci *pci, struct pv_pci_function *function)
{
	for (unsigned int bar = 0; bar < PCI_BARS; bar++) {
		uint32_t bytes = (uint32_t)function->bar_bytes[bar];
		bool is_io = function->config[PCI_BAR(bar)] & PCI_BAR_IO;
		uint32_t *next = is_io ? &pci->next_io : &pci->next_memory;

		if (bytes == 0)
			continue;
		*next = (*next + bytes - 1) & ~(bytes - 1);
		pv_pci_place_bar(function, bar, *next);
		*next += bytes;
	}
}

/*
 * Transitional where the device has such an id and there are ports left: 64 devices' worth. (A
 * modern driver does not mind.)
 */
static bool is_transitional(const struct pv_machine_pci *pci)
{
	return pci->next_io + 256 <= PV_PCI_IO_END;
}

static int fill_slot(struct pv_machine_pci *pci, const struct pv_pci_slot_options *options)
{
	struct pv_pci_slot *slot;
	int error = pv_pci_slot_create(&slot, options);

	if (error)
		return error;
	place_bars(pci, &pv_pci_slot_virtio(slot)->function);
	pci->slot[options->index] = slot;
	return 0;
}

int pv_machine_pci_add(struct pv_machine_pci *pci, struct pv_device *device, struct pv_host *host,
                       uint16_t class_code)
{
	struct pv_pci_slot_options options = {
		.bus = &pci->options,
		.device = device,
		.host = host,
		.class_code = class_code,
		.is_transitional = is_transitional(pci),
	};

	for (options.index = 1; options.index < PV_PCI_SLOTS; options.index++)
		if (!pci->slot[options.index])
			return fill_slot(pci, &options);
	return -ENOSPC;
}

/* ---- configuration space ---- */

static struct pv_pci_function *function_at(struct pv_machine_pci *pci, uint32_t bus, uint32_t slot,
                                           uint32_t function)
{
	if (bus != 0 || function != 0)
		return NULL;
	if (slot == 0)
		return &pci->bridge;
	return pci->slot[slot] ? &pv_pci_slot_virtio(pci->slot[slot])->function : NULL;
}

static uint64_t config_access(struct pv_pci_function *function, uint32_t offset, unsigned int bytes,
                              bool is_write, uint64_t value)
{
	if (!function)
		return UINT64_MAX;
	if (!is_write)
		return pv_pci_config_read(function, offset, bytes);
	pv_pci_config_write(function, offset, bytes, value);
	return 0;
}

static uint64_t ecam_access(struct pv_machine_pci *pci, uint64_t offset, unsigned int bytes,
                            bool is_write, uint64_t value)
{
	return config_access(function_at(pci, (uint32_t)(offset >> 20), offset >> 15 & 31,
	                                 offset >> 12 & 7),
	                     offset & 0xfff, bytes, is_write, value);
}

static uint64_t ecam_read(void *arg, uint64_t offset, unsigned int bytes)
{
	return ecam_access(arg, offset, bytes, false, 0);
}

static void ecam_write(void *arg, uint64_t offset, unsigned int bytes, uint64_t value)
{
	ecam_access(arg, offset, bytes, true, value);
}

static const struct pv_io_ops ecam_ops = { ecam_read, ecam_write };

static uint64_t address_read(void *arg, uint64_t offset, unsigned int bytes)
{
	const struct pv_machine_pci *pci = arg;

	return offset == 0 && bytes == 4 ? pci->address : UINT64_MAX;
}

static void address_write(void *arg, uint64_t offset, unsigned int bytes, uint64_t value)
{
	struct pv_machine_pci *pci = arg;

	if (offset == 0 && bytes == 4)
		pci->address = (uint32_t)value;
}

static const struct pv_io_ops address_ops = { address_read, address_write };

static uint64_t data_access(struct pv_machine_pci *pci, uint64_t offset, unsigned int bytes,
                            bool is_write, uint64_t value)
{
	uint32_t at = pci->address;

	if (!(at & PCI_ADDRESS_ENABLE))
		return UINT64_MAX;
	return config_access(function_at(pci, at >> 16 & 0xff, at >> 11 & 31, at >> 8 & 7),
	                     (uint32_t)((at & 0xfc) + offset), bytes, is_write, value);
}

static uint64_t data_read(void *arg, uint64_t offset, unsigned int bytes)
{
	return data_access(arg, offset, bytes, false, 0);
}

static void data_write(void *arg, uint64_t offset, unsigned int bytes, uint64_t value)
{
	data_access(arg, offset, bytes, true, value);
}

static const struct pv_io_ops data_ops = { data_read, data_write };

/* ---- the bridge ---- */

static void bridge_nothing(struct pv_pci_function *function)
{
	(void)function;
}

static const struct pv_pci_ops bridge_ops = { 0 };
static const struct pv_pci_bus_ops bridge_bus_ops = {
	.windows_changed = bridge_nothing,
	.intx_raised = bridge_nothing,
};

int pv_machine_pci_init(struct pv_machine_pci *pci, const struct pv_pci_bus_options *options)
{
	const struct pv_pci_identity identity = {
		.vendor = BRIDGE_VENDOR,
		.device = BRIDGE_DEVICE,
		.class_code = PCI_CLASS_BRIDGE_HOST,
	};
	const struct pv_io_range ports[] = {
		{ PCI_PORT_ADDRESS, 4, &address_ops, pci },
		{ PCI_PORT_DATA, 4, &data_ops, pci },
	};
	const struct pv_io_range ecam = { PV_PCI_ECAM, PV_PCI_ECAM_BYTES, &ecam_ops, pci };

	*pci = (struct pv_machine_pci){ .options = *options,
		                        .next_memory = PV_PCI_MEMORY,
		                        .next_io = PV_PCI_IO };
	pv_pci_init(&pci->bridge, &bridge_ops, &bridge_bus_ops, &identity);
	return pv_io_add(options->ports, &ports[0]) && pv_io_add(options->ports, &ports[1]) &&
	                       pv_io_add(options->memory, &ecam)
	               ? 0
	               : -ENOSPC;
}

void pv_machine_pci_fini(struct pv_machine_pci *pci)
{
	for (unsigned int i = 0; i < PV_PCI_SLOTS; i++)
		if (pci->slot[i])
			pv_pci_slot_destroy(pci->slot[i]);
}

/* Slots were filled one after the other: each BAR comes back to the place that it had at first. */
void pv_machine_pci_reset(struct pv_machine_pci *pci)
{
	pci->address = 0;
	pci->next_memory = PV_PCI_MEMORY;
	pci->next_io = PV_PCI_IO;
	pv_pci_reset(&pci->bridge);
	for (unsigned int i = 1; i < PV_PCI_SLOTS; i++) {
		struct pv_virtio_pci *virtio;

		if (!pci->slot[i])
			continue;
		virtio = pv_pci_slot_virtio(pci->slot[i]);
		pv_virtio_pci_reset(virtio);
		place_bars(pci, &virtio->function);
	}
}
