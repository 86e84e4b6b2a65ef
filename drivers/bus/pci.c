/* SPDX-License-Identifier: BSD-2-Clause */
#include "drivers/bus/pci.h"

#include "drivers/bus/config.h"
#include "drivers/bus/pci_legacy.h"
#include "ring/err.h"

#define COMMON(field) ((uint32_t)offsetof(struct virtio_pci_common_cfg, field))

static struct pv_pci_bus *bus_of(struct pv_bus *bus)
{
	return (struct pv_pci_bus *)bus;
}

/* ---- registers ---- */

static uint32_t region_read(const struct pv_pci_bus *bus, const struct pv_pci_region *region,
                            uint32_t offset, unsigned int bytes)
{
	return bus->port->ops->bar_read(bus->port, region->bar, region->offset + offset, bytes);
}

static void region_write(const struct pv_pci_bus *bus, const struct pv_pci_region *region,
                         uint32_t offset, unsigned int bytes, uint32_t value)
{
	bus->port->ops->bar_write(bus->port, region->bar, region->offset + offset, bytes, value);
}

static uint32_t common_read(const struct pv_pci_bus *bus, uint32_t offset, unsigned int bytes)
{
	return region_read(bus, &bus->common, offset, bytes);
}

static void common_write(const struct pv_pci_bus *bus, uint32_t offset, unsigned int bytes,
                         uint32_t value)
{
	region_write(bus, &bus->common, offset, bytes, value);
}

/* ---- features, status, configuration ---- */

static int features_get(struct pv_bus *generic, uint64_t *features)
{
	const struct pv_pci_bus *bus = bus_of(generic);

	*features = 0;
	for (uint32_t half = 0; half < 2; half++) {
		common_write(bus, COMMON(device_feature_select), 4, half);
		*features |= (uint64_t)common_read(bus, COMMON(device_feature), 4) << 32 * half;
	}
	return 0;
}

static int features_set(struct pv_bus *generic, uint64_t features)
{
	struct pv_pci_bus *bus = bus_of(generic);

	bus->tells_next = features & VIRTIO_F_NOTIFICATION_DATA;
	for (uint32_t half = 0; half < 2; half++) {
		common_write(bus, COMMON(driver_feature_select), 4, half);
		common_write(bus, COMMON(driver_feature), 4, (uint32_t)(features >> 32 * half));
	}
	return 0;
}

static int status_get(struct pv_bus *generic, uint8_t *status)
{
	*status = (uint8_t)common_read(bus_of(generic), COMMON(device_status), 1);
	return 0;
}

static int status_set(struct pv_bus *generic, uint8_t status)
{
	common_write(bus_of(generic), COMMON(device_status), 1, status);
	return 0;
}

static bool is_in(const struct pv_pci_region *region, uint32_t offset, uint32_t bytes)
{
	return region->is_there && offset <= region->bytes && bytes <= region->bytes - offset;
}

static uint32_t config_register_read(struct pv_bus *generic, uint32_t offset, unsigned int bytes)
{
	const struct pv_pci_bus *bus = bus_of(generic);

	return region_read(bus, &bus->config, offset, bytes);
}

static void config_register_write(struct pv_bus *generic, uint32_t offset, unsigned int bytes,
                                  uint32_t value)
{
	const struct pv_pci_bus *bus = bus_of(generic);

	region_write(bus, &bus->config, offset, bytes, value);
}

static const struct pv_config_access config_access = { config_register_read,
	                                               config_register_write };

static int config_read(struct pv_bus *generic, uint32_t offset, void *to, uint32_t bytes)
{
	if (!is_in(&bus_of(generic)->config, offset, bytes))
		return -PV_EINVAL;
	pv_config_read(&config_access, generic, offset, to, bytes);
	return 0;
}

static int config_write(struct pv_bus *generic, uint32_t offset, const void *from, uint32_t bytes)
{
	if (!is_in(&bus_of(generic)->config, offset, bytes))
		return -PV_EINVAL;
	pv_config_write(&config_access, generic, offset, from, bytes);
	return 0;
}

static int config_generation(struct pv_bus *generic, uint32_t *generation)
{
	*generation = common_read(bus_of(generic), COMMON(config_generation), 1);
	return 0;
}

/* ---- queues ---- */

static void select(const struct pv_pci_bus *bus, uint16_t index)
{
	common_write(bus, COMMON(queue_select), 2, index);
}

static int queue_size_max(struct pv_bus *generic, uint16_t index, uint16_t *size)
{
	const struct pv_pci_bus *bus = bus_of(generic);

	*size = 0;
	if (index >= PV_PCI_BUS_QUEUES_MAX || index >= common_read(bus, COMMON(num_queues), 2))
		return 0;
	select(bus, index);
	*size = (uint16_t)common_read(bus, COMMON(queue_size), 2);
	return 0;
}

static void area_write(const struct pv_pci_bus *bus, uint32_t offset, struct pv_gpa area)
{
	common_write(bus, offset, 4, (uint32_t)area.v);
	common_write(bus, offset + 4, 4, (uint32_t)(area.v >> 32));
}

/* How wide a kick is (section 4.1.5.2). */
static unsigned int kick_bytes(const struct pv_pci_bus *bus)
{
	return bus->tells_next ? 4 : 2;
}

/* Where the selected queue is kicked; false if that is not in the region. */
static bool find_kick(struct pv_pci_bus *bus, uint16_t index)
{
	uint64_t at =
		(uint64_t)common_read(bus, COMMON(queue_notify_off), 2) * bus->notify_multiplier;

	if (at > UINT32_MAX || (uint32_t)at % kick_bytes(bus) ||
	    !is_in(&bus->notify, (uint32_t)at, kick_bytes(bus)))
		return false;
	bus->kick_at[index] = (uint32_t)at;
	return true;
}

static int queue_enable(struct pv_bus *generic, uint16_t index, const struct pv_bus_queue *queue)
{
	struct pv_pci_bus *bus = bus_of(generic);

	if (index >= PV_PCI_BUS_QUEUES_MAX)
		return -PV_EINVAL;
	select(bus, index);
	if (!find_kick(bus, index))
		return -PV_EBROKEN;
	common_write(bus, COMMON(queue_size), 2, queue->size);
	area_write(bus, COMMON(queue_desc), queue->desc_area);
	area_write(bus, COMMON(queue_driver), queue->driver_area);
	area_write(bus, COMMON(queue_device), queue->device_area);
	common_write(bus, COMMON(queue_enable), 2, 1);
	return 0;
}

/* A device that does not come to an end is not waited for for ever. */
#define RESET_LOOKS 1000000u

static int queue_reset(struct pv_bus *generic, uint16_t index)
{
	const struct pv_pci_bus *bus = bus_of(generic);

	if (!is_in(&bus->common, COMMON(queue_reset), 2))
		return -PV_ENOTSUP;
	select(bus, index);
	common_write(bus, COMMON(queue_reset), 2, 1);
	for (uint32_t i = 0; i < RESET_LOOKS; i++)
		if (common_read(bus, COMMON(queue_reset), 2) == 0)
			return common_read(bus, COMMON(queue_enable), 2) ? -PV_ENOTSUP : 0;
	return -PV_ETIMEDOUT;
}

static void kick(struct pv_bus *generic, uint16_t index, uint16_t next)
{
	const struct pv_pci_bus *bus = bus_of(generic);
	uint32_t data = bus->tells_next ? (uint32_t)next << 16 : 0;

	region_write(bus, &bus->notify, bus->kick_at[index], kick_bytes(bus), index | data);
}

int pv_pci_bus_queue_vector_set(struct pv_pci_bus *bus, uint16_t queue, uint16_t vector)
{
	if (bus->bus.is_legacy)
		return pv_pci_legacy_queue_vector_set(bus, queue, vector);
	select(bus, queue);
	common_write(bus, COMMON(queue_msix_vector), 2, vector);
	return common_read(bus, COMMON(queue_msix_vector), 2) == vector ? 0 : -PV_ENOSPC;
}

int pv_pci_bus_config_vector_set(struct pv_pci_bus *bus, uint16_t vector)
{
	if (bus->bus.is_legacy)
		return pv_pci_legacy_config_vector_set(bus, vector);
	common_write(bus, COMMON(config_msix_vector), 2, vector);
	return common_read(bus, COMMON(config_msix_vector), 2) == vector ? 0 : -PV_ENOSPC;
}

uint8_t pv_pci_bus_isr_get(struct pv_pci_bus *bus)
{
	if (bus->bus.is_legacy)
		return pv_pci_legacy_isr_get(bus);
	return (uint8_t)region_read(bus, &bus->isr, 0, 1);
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

static uint32_t config(const struct pv_pci_bus *bus, uint32_t offset, unsigned int bytes)
{
	return bus->port->ops->config_read(bus->port, offset, bytes);
}

static struct pv_pci_region *region_of(struct pv_pci_bus *bus, uint32_t type)
{
	switch (type) {
	case VIRTIO_PCI_CAP_COMMON_CFG:
		return &bus->common;
	case VIRTIO_PCI_CAP_NOTIFY_CFG:
		return &bus->notify;
	case VIRTIO_PCI_CAP_ISR_CFG:
		return &bus->isr;
	case VIRTIO_PCI_CAP_DEVICE_CFG:
		return &bus->config;
	default:
		return NULL;
	}
}

/* Of several of one kind the first that can be used counts (section 4.1.4). */
static void take_capability(struct pv_pci_bus *bus, uint32_t at)
{
	uint32_t type = config(bus, at + (uint32_t)offsetof(struct virtio_pci_cap, cfg_type), 1);
	struct pv_pci_region *region = region_of(bus, type);
	struct pv_pci_region found = {
		.is_there = true,
		.bar = (uint8_t)config(bus, at + (uint32_t)offsetof(struct virtio_pci_cap, bar), 1),
		.offset = config(bus, at + (uint32_t)offsetof(struct virtio_pci_cap, offset), 4),
		.bytes = config(bus, at + (uint32_t)offsetof(struct virtio_pci_cap, length), 4),
	};
	uint64_t bar_bytes;

	if (!region || region->is_there || found.bar >= PCI_BARS || found.offset % 4)
		return;
	if (type == VIRTIO_PCI_CAP_NOTIFY_CFG &&
	    at + sizeof(struct virtio_pci_notify_cap) > PCI_CONFIG_BYTES)
		return;
	bar_bytes = bus->port->ops->bar_bytes(bus->port, found.bar);
	if (found.offset >= bar_bytes || found.bytes > bar_bytes - found.offset)
		return;
	*region = found;
	if (type == VIRTIO_PCI_CAP_NOTIFY_CFG)
		bus->notify_multiplier =
			config(bus,
		               at + (uint32_t)offsetof(struct virtio_pci_notify_cap,
		                                       notify_off_multiplier),
		               4);
}

/* As many as fit: a list that loops ends here. */
#define CAPABILITIES_MAX ((PCI_CONFIG_BYTES - PCI_FIRST_OWN_REGISTER) / 4)

struct pv_pci_walk pv_pci_walk_begin(const struct pv_pci_bus *bus)
{
	bool has_list = config(bus, PCI_STATUS, 2) & PCI_STATUS_CAPABILITIES;

	return (struct pv_pci_walk){ .next = config(bus, PCI_CAPABILITIES, 1) & ~3u,
		                     .left = has_list ? CAPABILITIES_MAX : 0 };
}

uint32_t pv_pci_walk_to(const struct pv_pci_bus *bus, struct pv_pci_walk *walk, uint32_t id)
{
	while (walk->left > 0 && walk->next >= PCI_FIRST_OWN_REGISTER) {
		uint32_t at = walk->next;

		walk->left--;
		walk->next = config(bus, at + 1, 1) & ~3u;
		if (config(bus, at, 1) == id)
			return at;
	}
	return 0;
}

static void take_capabilities(struct pv_pci_bus *bus)
{
	struct pv_pci_walk walk = pv_pci_walk_begin(bus);
	uint32_t at;

	while ((at = pv_pci_walk_to(bus, &walk, PCI_CAP_ID_VENDOR)) != 0)
		if (at + sizeof(struct virtio_pci_cap) <= PCI_CONFIG_BYTES)
			take_capability(bus, at);
}

bool pv_pci_is_virtio(const struct pv_pci_bus *bus)
{
	return config(bus, PCI_VENDOR_ID, 2) == VIRTIO_PCI_VENDOR;
}

void pv_pci_begin(struct pv_pci_bus *bus, uint32_t command)
{
	struct pv_pci_port *port = bus->port;
	uint16_t id = (uint16_t)config(bus, PCI_DEVICE_ID, 2);

	bus->bus.device_id = id >= VIRTIO_PCI_DEVICE_BASE
	                             ? (uint16_t)(id - VIRTIO_PCI_DEVICE_BASE)
	                             : (uint16_t)config(bus, PCI_SUBSYSTEM_ID, 2);
	command |= config(bus, PCI_COMMAND, 2) | PCI_COMMAND_MASTER;
	port->ops->config_write(port, PCI_COMMAND, 2, command);
}

int pv_pci_bus_init(struct pv_pci_bus *bus, struct pv_pci_port *port)
{
	*bus = (struct pv_pci_bus){ .bus = { .ops = &bus_ops, .has_room_in_kicks = true },
		                    .port = port };
	if (!pv_pci_is_virtio(bus))
		return -PV_ENOTSUP;
	take_capabilities(bus);
	/* All but the last registers of the common structure, which came later. */
	if (!is_in(&bus->common, 0, COMMON(queue_notif_config_data)) ||
	    !is_in(&bus->notify, 0, 2) || !is_in(&bus->isr, 0, 1))
		return pv_pci_bus_init_legacy(bus, port);
	pv_pci_begin(bus, PCI_COMMAND_MEMORY);
	return 0;
}
