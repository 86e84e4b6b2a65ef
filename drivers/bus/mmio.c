/* SPDX-License-Identifier: BSD-2-Clause */
#include "drivers/bus/mmio.h"

#include "abi/virtio_ring.h"
#include "drivers/bus/config.h"
#include "drivers/bus/legacy.h"
#include "ring/err.h"

/* A device that does not come to an end is not waited for for ever. */
#define RESET_LOOKS 1000000u

static struct pv_mmio_bus *bus_of(struct pv_bus *bus)
{
	return (struct pv_mmio_bus *)bus;
}

/* ---- registers ---- */

static uint32_t get(struct pv_bus *bus, uint32_t offset)
{
	struct pv_mmio_port *port = bus_of(bus)->port;

	return port->ops->read(port, offset, 4);
}

static void set(struct pv_bus *bus, uint32_t offset, uint32_t value)
{
	struct pv_mmio_port *port = bus_of(bus)->port;

	port->ops->write(port, offset, 4, value);
}

/* ---- features and status ---- */

/* A legacy device has the lower half only. */
static uint32_t halves(const struct pv_bus *bus)
{
	return bus->is_legacy ? 1 : 2;
}

static int features_get(struct pv_bus *bus, uint64_t *features)
{
	*features = 0;
	for (uint32_t half = 0; half < halves(bus); half++) {
		set(bus, VIRTIO_MMIO_DEVICE_FEATURES_SEL, half);
		*features |= (uint64_t)get(bus, VIRTIO_MMIO_DEVICE_FEATURES) << 32 * half;
	}
	return 0;
}

/* After a reset and before any queue: that is when a legacy device is told of pages. */
static int features_set(struct pv_bus *bus, uint64_t features)
{
	bus_of(bus)->tells_next = features & VIRTIO_F_NOTIFICATION_DATA;
	for (uint32_t half = 0; half < halves(bus); half++) {
		set(bus, VIRTIO_MMIO_DRIVER_FEATURES_SEL, half);
		set(bus, VIRTIO_MMIO_DRIVER_FEATURES, (uint32_t)(features >> 32 * half));
	}
	if (bus->is_legacy)
		set(bus, VIRTIO_MMIO_LEGACY_GUEST_PAGE_SIZE, PV_BUS_LEGACY_PAGE_BYTES);
	return 0;
}

static int status_get(struct pv_bus *bus, uint8_t *status)
{
	*status = (uint8_t)get(bus, VIRTIO_MMIO_STATUS);
	return 0;
}

static int status_set(struct pv_bus *bus, uint8_t status)
{
	set(bus, VIRTIO_MMIO_STATUS, status);
	return 0;
}

/* ---- configuration ---- */

static uint32_t config_register_read(struct pv_bus *bus, uint32_t offset, unsigned int bytes)
{
	struct pv_mmio_port *port = bus_of(bus)->port;

	return port->ops->read(port, VIRTIO_MMIO_CONFIG + offset, bytes);
}

static void config_register_write(struct pv_bus *bus, uint32_t offset, unsigned int bytes,
                                  uint32_t value)
{
	struct pv_mmio_port *port = bus_of(bus)->port;

	port->ops->write(port, VIRTIO_MMIO_CONFIG + offset, bytes, value);
}

static const struct pv_config_access config_access = { config_register_read,
	                                               config_register_write };

static bool is_in_config(struct pv_bus *bus, uint32_t offset, uint32_t bytes)
{
	uint32_t end = bus_of(bus)->config_bytes;

	return offset <= end && bytes <= end - offset;
}

static int config_read(struct pv_bus *bus, uint32_t offset, void *to, uint32_t bytes)
{
	if (!is_in_config(bus, offset, bytes))
		return -PV_EINVAL;
	pv_config_read(&config_access, bus, offset, to, bytes);
	return 0;
}

static int config_write(struct pv_bus *bus, uint32_t offset, const void *from, uint32_t bytes)
{
	if (!is_in_config(bus, offset, bytes))
		return -PV_EINVAL;
	pv_config_write(&config_access, bus, offset, from, bytes);
	return 0;
}

/* Version 1 has no such register. */
static int config_generation(struct pv_bus *bus, uint32_t *generation)
{
	*generation = bus->is_legacy ? 0 : get(bus, VIRTIO_MMIO_CONFIG_GENERATION);
	return 0;
}

/* ---- queues ---- */

static int queue_size_max(struct pv_bus *bus, uint16_t index, uint16_t *size)
{
	uint32_t max;

	set(bus, VIRTIO_MMIO_QUEUE_SEL, index);
	max = get(bus, VIRTIO_MMIO_QUEUE_SIZE_MAX);
	*size = max < VIRTQ_SIZE_MAX ? (uint16_t)max : VIRTQ_SIZE_MAX;
	return 0;
}

static void area_set(struct pv_bus *bus, uint32_t low, struct pv_gpa area)
{
	set(bus, low, (uint32_t)area.v);
	set(bus, low + 4, (uint32_t)(area.v >> 32));
}

static int modern_enable(struct pv_bus *bus, const struct pv_bus_queue *queue)
{
	if (get(bus, VIRTIO_MMIO_QUEUE_READY) != 0)
		return -PV_EBROKEN;
	set(bus, VIRTIO_MMIO_QUEUE_SIZE, queue->size);
	area_set(bus, VIRTIO_MMIO_QUEUE_DESC_LOW, queue->desc_area);
	area_set(bus, VIRTIO_MMIO_QUEUE_DRIVER_LOW, queue->driver_area);
	area_set(bus, VIRTIO_MMIO_QUEUE_DEVICE_LOW, queue->device_area);
	set(bus, VIRTIO_MMIO_QUEUE_READY, 1);
	return 0;
}

static int legacy_enable(struct pv_bus *bus, const struct pv_bus_queue *queue)
{
	uint32_t page;

	if (!pv_legacy_page(queue, &page))
		return -PV_EINVAL;
	if (get(bus, VIRTIO_MMIO_LEGACY_QUEUE_PFN) != 0)
		return -PV_EBROKEN;
	set(bus, VIRTIO_MMIO_QUEUE_SIZE, queue->size);
	set(bus, VIRTIO_MMIO_LEGACY_QUEUE_ALIGN, PV_BUS_LEGACY_PAGE_BYTES);
	set(bus, VIRTIO_MMIO_LEGACY_QUEUE_PFN, page);
	return 0;
}

static int queue_enable(struct pv_bus *bus, uint16_t index, const struct pv_bus_queue *queue)
{
	set(bus, VIRTIO_MMIO_QUEUE_SEL, index);
	return bus->is_legacy ? legacy_enable(bus, queue) : modern_enable(bus, queue);
}

static int queue_reset(struct pv_bus *bus, uint16_t index)
{
	if (bus->is_legacy)
		return -PV_ENOTSUP;
	set(bus, VIRTIO_MMIO_QUEUE_SEL, index);
	set(bus, VIRTIO_MMIO_QUEUE_RESET, 1);
	for (uint32_t i = 0; i < RESET_LOOKS; i++)
		if (get(bus, VIRTIO_MMIO_QUEUE_RESET) == 0)
			return get(bus, VIRTIO_MMIO_QUEUE_READY) ? -PV_ENOTSUP : 0;
	return -PV_ETIMEDOUT;
}

static void kick(struct pv_bus *bus, uint16_t index, uint16_t next)
{
	uint32_t data = bus_of(bus)->tells_next ? (uint32_t)next << 16 : 0;

	set(bus, VIRTIO_MMIO_QUEUE_NOTIFY, index | data);
}

uint32_t pv_mmio_bus_interrupt_take(struct pv_mmio_bus *bus)
{
	uint32_t bits = get(&bus->bus, VIRTIO_MMIO_INTERRUPT_STATUS) &
	                (VIRTIO_MMIO_INT_QUEUE | VIRTIO_MMIO_INT_CONFIG);

	if (bits)
		set(&bus->bus, VIRTIO_MMIO_INTERRUPT_ACK, bits);
	return bits;
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

/* ---- finding the device ---- */

/* Section 4.2.3.1.1: nothing else is touched where one of these is wrong. */
static bool identify(struct pv_bus *bus)
{
	uint32_t version, id;

	if (get(bus, VIRTIO_MMIO_MAGIC_VALUE) != VIRTIO_MMIO_MAGIC)
		return false;
	version = get(bus, VIRTIO_MMIO_VERSION);
	bus->is_legacy = version == VIRTIO_MMIO_VERSION_LEGACY;
	if ((version != VIRTIO_MMIO_VERSION_MODERN && !bus->is_legacy) ||
	    (bus->is_legacy && !PV_LEGACY_IS_KNOWN))
		return false;
	id = get(bus, VIRTIO_MMIO_DEVICE_ID);
	bus->device_id = (uint16_t)id;
	return id != 0 && id <= UINT16_MAX;
}

int pv_mmio_bus_init(struct pv_mmio_bus *bus, struct pv_mmio_port *port)
{
	uint32_t bytes = port->ops->bytes(port);

	if (bytes < VIRTIO_MMIO_CONFIG)
		return -PV_ENOTSUP;
	*bus = (struct pv_mmio_bus){ .bus = { .ops = &bus_ops, .has_room_in_kicks = true },
		                     .port = port,
		                     .config_bytes = bytes - VIRTIO_MMIO_CONFIG };
	return identify(&bus->bus) ? 0 : -PV_ENOTSUP;
}
