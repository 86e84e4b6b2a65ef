/* SPDX-License-Identifier: BSD-2-Clause */
/* A driver's queues: their memory, and giving them to the device and back. */
#include "drivers/core/driver.h"
#include "ring/err.h"

/* What the two sides write lies on cache lines, and indirect tables on pages, of their own. */
#define LINE_BYTES 64u
#define PAGE_BYTES 4096u

static size_t round_up(size_t bytes, size_t align)
{
	return (bytes + align - 1) & ~(align - 1);
}

static uint16_t largest_power_of_two(uint16_t size)
{
	while (size & (size - 1))
		size &= (uint16_t)(size - 1);
	return size;
}

/* The size of the queue: what the device can, what the caller wants, what the format has. */
static int choose_size(struct pv_driver_queue *queue, uint16_t size_max)
{
	struct pv_driver *driver = queue->driver;
	uint16_t size;
	int error = driver->bus->ops->queue_size_max(driver->bus, queue->index, &size);

	if (error)
		return error;
	queue->place.size = size;
	if (driver->bus->has_fixed_queue_sizes)
		return size == 0 || size > VIRTQ_SIZE_MAX || largest_power_of_two(size) != size
		               ? -PV_EINVAL
		               : 0;
	if (size > VIRTQ_SIZE_MAX)
		size = VIRTQ_SIZE_MAX;
	if (size_max && size > size_max)
		size = size_max;
	if (!(driver->features & VIRTIO_F_RING_PACKED))
		size = largest_power_of_two(size);
	queue->place.size = size;
	return size == 0 ? -PV_EINVAL : 0;
}

static bool alloc_rings(struct pv_driver_queue *queue)
{
	struct pv_os *os = queue->driver->os;
	struct pv_ring_bytes bytes = pv_ring_bytes(queue->driver->features, queue->place.size);
	const bool is_legacy = queue->driver->bus->is_legacy;
	/* A legacy device expects no gap before the second area, and the third on a page. */
	const size_t align = is_legacy ? PV_BUS_LEGACY_PAGE_BYTES : LINE_BYTES;
	const size_t driver_at = round_up(bytes.desc_area, is_legacy ? 1 : align);
	const size_t device_at = round_up(driver_at + bytes.driver_area, align);
	struct pv_gpa gpa;
	uint8_t *rings;

	queue->rings_bytes = device_at + round_up(bytes.device_area, LINE_BYTES);
	rings = os->ops->shared_alloc(os, queue->rings_bytes, align, &gpa);
	if (!rings)
		return false;
	queue->memory.desc_area = rings;
	queue->memory.driver_area = rings + driver_at;
	queue->memory.device_area = rings + device_at;
	queue->place.desc_area = gpa;
	queue->place.driver_area = pv_gpa_add(gpa, driver_at);
	queue->place.device_area = pv_gpa_add(gpa, device_at);
	return true;
}

static bool alloc_tables(struct pv_driver_queue *queue, uint16_t indirect_max)
{
	struct pv_os *os = queue->driver->os;

	if (!(queue->driver->features & VIRTIO_F_INDIRECT_DESC) || indirect_max == 0)
		return true;
	/* No chain is longer than the ring. */
	if (indirect_max > queue->place.size)
		indirect_max = queue->place.size;
	/* The device has a say in the size, and an address may have 32 bits. */
	if (__builtin_mul_overflow(sizeof(struct virtq_desc) * queue->place.size, indirect_max,
	                           &queue->tables_bytes))
		return false;
	queue->memory.indirect_max = indirect_max;
	queue->memory.indirect = os->ops->shared_alloc(os, queue->tables_bytes, PAGE_BYTES,
	                                               &queue->memory.indirect_gpa);
	return queue->memory.indirect;
}

static bool alloc_private(struct pv_driver_queue *queue)
{
	struct pv_os *os = queue->driver->os;

	queue->private_bytes = pv_drv_ring_private_bytes(queue->place.size);
	queue->memory.private_area = os->ops->alloc(os, queue->private_bytes);
	return queue->memory.private_area;
}

static int start_ring(struct pv_driver_queue *queue)
{
	struct pv_driver *driver = queue->driver;
	int error =
		pv_drv_ring_init(&queue->ring, driver->features, queue->place.size, &queue->memory);

	if (error)
		return error;
	queue->is_lent = true;
	driver->is_reset = false;
	return driver->bus->ops->queue_enable(driver->bus, queue->index, &queue->place);
}

int pv_driver_queue_init(struct pv_driver_queue *queue, struct pv_driver *driver, uint16_t index,
                         const struct pv_driver_queue_options *options)
{
	int error;

	*queue = (struct pv_driver_queue){ .driver = driver,
		                           .index = index,
		                           .requests = options->requests };
	error = choose_size(queue, options->size_max);
	if (error)
		return error;
	if (!alloc_rings(queue) || !alloc_tables(queue, options->indirect_max) ||
	    !alloc_private(queue))
		error = -PV_ENOMEM;
	else
		error = start_ring(queue);
	if (!error)
		return 0;
	/* Whether it has the queue or not it has none after a reset. */
	if (queue->is_lent) {
		pv_driver_fail(driver);
		pv_driver_stop(driver);
	}
	pv_driver_queue_fini(queue);
	return error;
}

static void free_shared(struct pv_os *os, void *memory, size_t bytes)
{
	if (memory)
		os->ops->shared_free(os, memory, bytes);
}

void pv_driver_queue_fini(struct pv_driver_queue *queue)
{
	struct pv_os *os = queue->driver->os;

	if (queue->driver->is_reset || !queue->is_lent) {
		free_shared(os, queue->memory.indirect, queue->tables_bytes);
		free_shared(os, queue->memory.desc_area, queue->rings_bytes);
	}
	if (queue->memory.private_area)
		os->ops->free(os, queue->memory.private_area, queue->private_bytes);
	queue->memory = (struct pv_drv_ring_memory){ 0 };
}

int pv_driver_queue_reset(struct pv_driver_queue *queue)
{
	struct pv_driver *driver = queue->driver;
	int error;

	if (!(driver->features & VIRTIO_F_RING_RESET))
		return -PV_ENOTSUP;
	error = driver->bus->ops->queue_reset(driver->bus, queue->index);
	if (!error)
		queue->is_lent = false;
	return error;
}

int pv_driver_queue_enable(struct pv_driver_queue *queue)
{
	struct pv_ring_bytes bytes = pv_ring_bytes(queue->driver->features, queue->place.size);

	queue->lies += queue->ring.lies;
	__builtin_memset(queue->memory.desc_area, 0, bytes.desc_area);
	__builtin_memset(queue->memory.driver_area, 0, bytes.driver_area);
	__builtin_memset(queue->memory.device_area, 0, bytes.device_area);
	__builtin_memset(queue->memory.private_area, 0, queue->private_bytes);
	return start_ring(queue);
}

void pv_driver_queue_publish(struct pv_driver_queue *queue)
{
	struct pv_bus *bus = queue->driver->bus;

	if (!pv_drv_ring_publish(&queue->ring) || !pv_drv_ring_must_kick(&queue->ring))
		return;
	queue->kicks++;
	bus->ops->kick(bus, queue->index, pv_drv_ring_next(&queue->ring));
}
