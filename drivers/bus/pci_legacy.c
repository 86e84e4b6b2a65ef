/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The legacy registers (section 4.1.4.10): all in BAR 0, queues of the device's own size, and a
 * configuration that begins four bytes later while MSI-X is on.
 */
#include "drivers/bus/pci_legacy.h"

#include "drivers/bus/config.h"
#include "drivers/bus/legacy.h"
#include "ring/err.h"

#define BAR 0u

static struct pv_pci_bus *bus_of(struct pv_bus *bus)
{
	return (struct pv_pci_bus *)bus;
}

static uint32_t get(const struct pv_pci_bus *bus, uint32_t offset, unsigned int bytes)
{
	return bus->port->ops->bar_read(bus->port, BAR, offset, bytes);
}

static void set(const struct pv_pci_bus *bus, uint32_t offset, unsigned int bytes, uint32_t value)
{
	bus->port->ops->bar_write(bus->port, BAR, offset, bytes, value);
}

/* ---- features, status, configuration ---- */

static int features_get(struct pv_bus *generic, uint64_t *features)
{
	*features = get(bus_of(generic), VIRTIO_PCI_LEGACY_DEVICE_FEATURES, 4);
	return 0;
}

static int features_set(struct pv_bus *generic, uint64_t features)
{
	set(bus_of(generic), VIRTIO_PCI_LEGACY_DRIVER_FEATURES, 4, (uint32_t)features);
	return 0;
}

static int status_get(struct pv_bus *generic, uint8_t *status)
{
	*status = (uint8_t)get(bus_of(generic), VIRTIO_PCI_LEGACY_DEVICE_STATUS, 1);
	return 0;
}

static int status_set(struct pv_bus *generic, uint8_t status)
{
	set(bus_of(generic), VIRTIO_PCI_LEGACY_DEVICE_STATUS, 1, status);
	return 0;
}

/* Whether MSI-X is on is its port's affair, and may change. */
static uint32_t config_at(const struct pv_pci_bus *bus)
{
	bool is_on = bus->msix_at != 0 &&
	             bus->port->ops->config_read(bus->port, bus->msix_at + PCI_MSIX_CONTROL, 2) &
	                     PCI_MSIX_ENABLE;

	return is_on ? VIRTIO_PCI_LEGACY_CONFIG_MSIX : VIRTIO_PCI_LEGACY_CONFIG;
}

static uint32_t config_register_read(struct pv_bus *generic, uint32_t offset, unsigned int bytes)
{
	const struct pv_pci_bus *bus = bus_of(generic);

	return get(bus, config_at(bus) + offset, bytes);
}

static void config_register_write(struct pv_bus *generic, uint32_t offset, unsigned int bytes,
                                  uint32_t value)
{
	const struct pv_pci_bus *bus = bus_of(generic);

	set(bus, config_at(bus) + offset, bytes, value);
}

static const struct pv_config_access config_access = { config_register_read,
	                                               config_register_write };

/* As if MSI-X were on: a device may say one thing now and another when it is read. */
static bool is_in_config(const struct pv_pci_bus *bus, uint32_t offset, uint32_t bytes)
{
	uint64_t end = bus->legacy_bytes - VIRTIO_PCI_LEGACY_CONFIG_MSIX;

	return offset <= end && bytes <= end - offset;
}

static int config_read(struct pv_bus *generic, uint32_t offset, void *to, uint32_t bytes)
{
	if (!is_in_config(bus_of(generic), offset, bytes))
		return -PV_EINVAL;
	pv_config_read(&config_access, generic, offset, to, bytes);
	return 0;
}

static int config_write(struct pv_bus *generic, uint32_t offset, const void *from, uint32_t bytes)
{
	if (!is_in_config(bus_of(generic), offset, bytes))
		return -PV_EINVAL;
	pv_config_write(&config_access, generic, offset, from, bytes);
	return 0;
}

/* There is no such register. */
static int config_generation(struct pv_bus *generic, uint32_t *generation)
{
	(void)generic;
	*generation = 0;
	return 0;
}

/* ---- queues ---- */

static void select(const struct pv_pci_bus *bus, uint16_t index)
{
	set(bus, VIRTIO_PCI_LEGACY_QUEUE_SELECT, 2, index);
}

static int queue_size_max(struct pv_bus *generic, uint16_t index, uint16_t *size)
{
	const struct pv_pci_bus *bus = bus_of(generic);

	select(bus, index);
	*size = (uint16_t)get(bus, VIRTIO_PCI_LEGACY_QUEUE_SIZE, 2);
	return 0;
}

static int queue_enable(struct pv_bus *generic, uint16_t index, const struct pv_bus_queue *queue)
{
	const struct pv_pci_bus *bus = bus_of(generic);
	uint32_t page;

	if (!pv_legacy_page(queue, &page))
		return -PV_EINVAL;
	select(bus, index);
	/* It is as large as the device says, and may say something else by now. */
	if (get(bus, VIRTIO_PCI_LEGACY_QUEUE_SIZE, 2) != queue->size ||
	    get(bus, VIRTIO_PCI_LEGACY_QUEUE_ADDRESS, 4) != 0)
		return -PV_EBROKEN;
	set(bus, VIRTIO_PCI_LEGACY_QUEUE_ADDRESS, 4, page);
	return 0;
}

static int queue_reset(struct pv_bus *generic, uint16_t index)
{
	(void)generic;
	(void)index;
	return -PV_ENOTSUP;
}

static void kick(struct pv_bus *generic, uint16_t index, uint16_t next)
{
	(void)next;
	set(bus_of(generic), VIRTIO_PCI_LEGACY_QUEUE_NOTIFY, 2, index);
}

int pv_pci_legacy_queue_vector_set(struct pv_pci_bus *bus, uint16_t queue, uint16_t vector)
{
	select(bus, queue);
	set(bus, VIRTIO_PCI_LEGACY_QUEUE_VECTOR, 2, vector);
	return get(bus, VIRTIO_PCI_LEGACY_QUEUE_VECTOR, 2) == vector ? 0 : -PV_ENOSPC;
}

int pv_pci_legacy_config_vector_set(struct pv_pci_bus *bus, uint16_t vector)
{
	set(bus, VIRTIO_PCI_LEGACY_CONFIG_VECTOR, 2, vector);
	return get(bus, VIRTIO_PCI_LEGACY_CONFIG_VECTOR, 2) == vector ? 0 : -PV_ENOSPC;
}

uint8_t pv_pci_legacy_isr_get(struct pv_pci_bus *bus)
{
	return (uint8_t)get(bus, VIRTIO_PCI_LEGACY_ISR_STATUS, 1);
}

static const struct pv_bus_ops bus_ops = {
	.features_get = features_get,
	.features_set = features_set,
	.status_get = status_get,
	.status_set = status_set,
	.config_read = config_read,
	.config_write = config_write,
	.config_generation = config_generation,
	.queue_size_max = queue_size_max,
	.queue_enable = queue_enable,
	.queue_reset = queue_reset,
	.kick = kick,
};

/* ---- finding the registers ---- */

int pv_pci_bus_init_legacy(struct pv_pci_bus *bus, struct pv_pci_port *port)
{
	const struct pv_pci_port_ops *ops = port->ops;
	struct pv_pci_walk walk;
	uint32_t msix_at;

	*bus = (struct pv_pci_bus){
		.bus = { .ops = &bus_ops, .is_legacy = true, .has_fixed_queue_sizes = true },
		.port = port,
	};
	if (!PV_LEGACY_IS_KNOWN || !pv_pci_is_virtio(bus) ||
	    ops->config_read(port, PCI_DEVICE_ID, 2) >= VIRTIO_PCI_DEVICE_BASE ||
	    !(ops->config_read(port, PCI_BAR(BAR), 4) & PCI_BAR_IO))
		return -PV_ENOTSUP;
	bus->legacy_bytes = ops->bar_bytes(port, BAR);
	if (bus->legacy_bytes < VIRTIO_PCI_LEGACY_CONFIG_MSIX)
		return -PV_ENOTSUP;
	walk = pv_pci_walk_begin(bus);
	msix_at = pv_pci_walk_to(bus, &walk, PCI_CAP_ID_MSIX);
	if (msix_at + PCI_MSIX_BYTES <= PCI_CONFIG_BYTES)
		bus->msix_at = msix_at;
	pv_pci_begin(bus, PCI_COMMAND_IO);
	return 0;
}
