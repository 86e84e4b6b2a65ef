/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/support/pci_couple.h"

#include <stdlib.h>
#include <string.h>

#include "abi/virtio_ids.h"
#include "ring/err.h"

#define MEMBER_OF(pointer, type, member) ((type *)((char *)(pointer)-offsetof(type, member)))

static struct pv_pci_couple *of_function(const struct pv_pci_function *function)
{
	return MEMBER_OF(function, struct pv_pci_couple, virtio.function);
}

static struct pv_pci_couple *of_virtio(struct pv_virtio_pci *virtio)
{
	return MEMBER_OF(virtio, struct pv_pci_couple, virtio);
}

static struct pv_pci_couple *of_couple(struct pv_couple *couple)
{
	return MEMBER_OF(couple, struct pv_pci_couple, couple);
}

static struct pv_pci_couple *of_port(struct pv_pci_port *port)
{
	return MEMBER_OF(port, struct pv_pci_couple, port);
}

/* ---- the function's bus ---- */

static void windows_changed(struct pv_pci_function *function)
{
	of_function(function)->windows_changed++;
}

static void send(struct pv_pci_couple *pci, uint16_t index)
{
	struct pv_pci_couple_vector *vector = &pci->vector[index];

	if (vector->is_active)
		vector->sent++;
	else
		vector->is_pending = true;
}

static void vector_set(struct pv_pci_function *function, uint16_t index,
                       const struct pv_msi_message *message)
{
	struct pv_pci_couple *pci = of_function(function);
	struct pv_pci_couple_vector *vector = &pci->vector[index];

	vector->is_active = message != NULL;
	if (!message)
		return;
	vector->message = *message;
	if (vector->is_pending)
		send(pci, index);
	vector->is_pending = false;
}

static bool vector_is_pending(struct pv_pci_function *function, uint16_t vector)
{
	return of_function(function)->vector[vector].is_pending;
}

static void intx_raised(struct pv_pci_function *function)
{
	of_function(function)->intx_raised++;
}

static const struct pv_pci_bus_ops bus_ops = {
	.windows_changed = windows_changed,
	.vector_set = vector_set,
	.vector_is_pending = vector_is_pending,
	.intx_raised = intx_raised,
};

/* ---- the transport's host ---- */

static void host_route(struct pv_virtio_pci *virtio, uint16_t queue, uint16_t vector)
{
	of_virtio(virtio)->route[queue] = vector;
}

static void host_send(struct pv_virtio_pci *virtio, uint16_t vector)
{
	send(of_virtio(virtio), vector);
}

static void host_kick(struct pv_virtio_pci *virtio, uint16_t queue)
{
	of_virtio(virtio)->couple.lane[queue].is_kicked = true;
}

static void host_wait(struct pv_virtio_pci *virtio)
{
	struct pv_pci_couple *pci = of_virtio(virtio);

	pci->waits++;
	pv_couple_run(&pci->couple);
}

static const struct pv_virtio_pci_host_ops host_ops = {
	.route = host_route,
	.send = host_send,
	.kick = host_kick,
	.wait = host_wait,
};

static void on_interrupt(struct pv_couple *couple, uint16_t queue)
{
	struct pv_pci_couple *pci = of_couple(couple);

	if (pci->route[queue] == PV_VIRTIO_PCI_BY_CALL)
		pv_virtio_pci_call(&pci->virtio);
	else if (pci->route[queue] != PV_VIRTIO_PCI_BY_NONE)
		send(pci, pci->route[queue]);
}

static void on_config_change(struct pv_couple *couple)
{
	pv_virtio_pci_config_changed(&of_couple(couple)->virtio);
}

/* ---- the driver's port ---- */

static uint32_t config_read(struct pv_pci_port *port, uint32_t offset, unsigned int bytes)
{
	return (uint32_t)pv_pci_config_read(&of_port(port)->virtio.function, offset, bytes);
}

static void config_write(struct pv_pci_port *port, uint32_t offset, unsigned int bytes,
                         uint32_t value)
{
	pv_pci_config_write(&of_port(port)->virtio.function, offset, bytes, value);
}

static uint64_t bar_bytes(struct pv_pci_port *port, unsigned int bar)
{
	return of_port(port)->virtio.function.bar_bytes[bar];
}

static uint32_t bar_read(struct pv_pci_port *port, unsigned int bar, uint32_t offset,
                         unsigned int bytes)
{
	struct pv_pci_couple *pci = of_port(port);
	uint32_t value = (uint32_t)pv_pci_bar_read(&pci->virtio.function, bar, offset, bytes);

	/* A driver that looks again and again gives the device its time. */
	pv_couple_run(&pci->couple);
	return value;
}

static uint32_t status_at(const struct pv_pci_couple *pci)
{
	return pci->is_driver_legacy
	               ? VIRTIO_PCI_LEGACY_DEVICE_STATUS
	               : pci->bus.common.offset +
	                         (uint32_t)offsetof(struct virtio_pci_common_cfg, device_status);
}

static bool is_held_back(struct pv_pci_couple *pci, uint32_t offset, uint32_t value)
{
	if (!pci->is_driver_legacy || pci->couple.is_sealed)
		return false;
	if (offset == VIRTIO_PCI_LEGACY_QUEUE_SELECT)
		pci->selected = value;
	if (offset == VIRTIO_PCI_LEGACY_QUEUE_ADDRESS)
		pci->page[pci->selected % PV_COUPLE_QUEUES] = value;
	return offset == VIRTIO_PCI_LEGACY_QUEUE_ADDRESS;
}

static void tell_of_queues(struct pv_pci_couple *pci)
{
	struct pv_pci_function *function = &pci->virtio.function;

	for (uint32_t i = 0; i < PV_COUPLE_QUEUES; i++) {
		if (pci->page[i] == 0)
			continue;
		pv_pci_bar_write(function, PV_VIRTIO_PCI_BAR_LEGACY, VIRTIO_PCI_LEGACY_QUEUE_SELECT,
		                 2, i);
		pv_pci_bar_write(function, PV_VIRTIO_PCI_BAR_LEGACY,
		                 VIRTIO_PCI_LEGACY_QUEUE_ADDRESS, 4, pci->page[i]);
	}
}

/* Before the device looks at memory the driver has had all that it will have. */
static void bar_write(struct pv_pci_port *port, unsigned int bar, uint32_t offset,
                      unsigned int bytes, uint32_t value)
{
	struct pv_pci_couple *pci = of_port(port);

	if (bar == pci->bus.common.bar) {
		if (is_held_back(pci, offset, value))
			return;
		if (offset == status_at(pci) && value & VIRTIO_STATUS_DRIVER_OK &&
		    !pci->couple.is_sealed) {
			pv_couple_seal(&pci->couple);
			tell_of_queues(pci);
		}
	}
	if (pci->bus.notify.is_there && bar == pci->bus.notify.bar &&
	    offset >= pci->bus.notify.offset)
		pci->last_kick = (struct pv_couple_kick){ value, bytes };
	pv_pci_bar_write(&pci->virtio.function, bar, offset, bytes, value);
}

static const struct pv_pci_port_ops port_ops = {
	.config_read = config_read,
	.config_write = config_write,
	.bar_bytes = bar_bytes,
	.bar_read = bar_read,
	.bar_write = bar_write,
};

/* ---- the couple ---- */

void pv_pci_couple_open(struct pv_pci_couple *pci, size_t memory_bytes, struct pv_random random)
{
	memset(pci, 0, sizeof(*pci));
	pv_couple_open(&pci->couple, memory_bytes, random);
	pci->couple.on_interrupt = on_interrupt;
	pci->couple.on_config_change = on_config_change;
	pci->port.ops = &port_ops;
}

void pv_pci_couple_close(struct pv_pci_couple *pci)
{
	pv_couple_close(&pci->couple);
	free(pci->storage);
}

void pv_pci_couple_set_device(struct pv_pci_couple *pci, struct pv_device *device,
                              enum pv_twin_view view, bool is_transitional)
{
	const struct pv_virtio_pci_options options = {
		.bus = &bus_ops,
		.host = &host_ops,
		.device = device,
		.class_code = device->ops->virtio->id == VIRTIO_ID_ENTROPY ? PCI_CLASS_OTHERS
		                                                           : PCI_CLASS_STORAGE_SCSI,
		.is_transitional = is_transitional,
		.has_notification_data = pci->has_notification_data,
	};
	size_t bytes = (pv_virtio_pci_storage_bytes(device) + 63) & ~(size_t)63;

	pv_bug_on(device->queues > PV_COUPLE_QUEUES);
	free(pci->storage);
	pci->storage = aligned_alloc(64, bytes);
	memset(pci->storage, 0, bytes);
	memset(pci->vector, 0, sizeof(pci->vector));
	pv_couple_set_device(&pci->couple, device, view);
	pv_virtio_pci_init(&pci->virtio, &options, pci->storage);
}

int pv_pci_couple_probe(struct pv_pci_couple *pci)
{
	pci->couple.has_rings_on_pages = pci->is_driver_legacy;
	return pci->is_driver_legacy ? pv_pci_bus_init_legacy(&pci->bus, &pci->port)
	                             : pv_pci_bus_init(&pci->bus, &pci->port);
}

void pv_pci_couple_msix_on(struct pv_pci_couple *pci)
{
	const struct pv_msix *msix = &pci->virtio.msix;
	struct pv_pci_function *function = &pci->virtio.function;

	for (uint32_t i = 0; i < msix->vectors; i++) {
		uint32_t entry = i * (uint32_t)sizeof(struct pci_msix_entry);

		pv_pci_bar_write(function, PV_VIRTIO_PCI_BAR_MSIX, entry, 4, 0xfee00000u);
		pv_pci_bar_write(function, PV_VIRTIO_PCI_BAR_MSIX, entry + 8, 4, 0x40u + i);
		pv_pci_bar_write(function, PV_VIRTIO_PCI_BAR_MSIX, entry + 12, 4, 0);
	}
	pv_pci_config_write(function, msix->capability + PCI_MSIX_CONTROL, 2, PCI_MSIX_ENABLE);
}
