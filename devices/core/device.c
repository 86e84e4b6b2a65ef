/* SPDX-License-Identifier: BSD-2-Clause */
#include "devices/core/device.h"

#include "ring/err.h"

#define RING_FEATURES                                                                              \
	(VIRTIO_F_INDIRECT_DESC | VIRTIO_F_EVENT_IDX | VIRTIO_F_VERSION_1 | VIRTIO_F_RING_PACKED | \
	 VIRTIO_F_IN_ORDER | VIRTIO_F_RING_RESET)

uint64_t pv_device_ring_features(bool is_in_order, bool no_packed)
{
	uint64_t features = RING_FEATURES;

	if (!is_in_order)
		features &= ~VIRTIO_F_IN_ORDER;
	if (no_packed)
		features &= ~VIRTIO_F_RING_PACKED;
	return features;
}

void pv_device_init(struct pv_device *device, const struct pv_device_ops *ops, struct pv_port *port,
                    uint64_t ring_features, struct pv_queue *queue, uint16_t queues,
                    uint16_t queue_size_max)
{
	pv_bug_on(ring_features & ~RING_FEATURES);
	*device = (struct pv_device){
		.ops = ops,
		.port = port,
		.ring_features = ring_features,
		.queue = queue,
		.queues = queues,
		.queue_size_max = queue_size_max,
	};
	for (uint16_t i = 0; i < queues; i++) {
		queue[i].device = device;
		queue[i].index = i;
		queue[i].position = pv_ring_position_fresh();
	}
}

/* ---- features and status ---- */

uint64_t pv_device_features(const struct pv_device *device)
{
	return device->ops->virtio->features(device) | device->ring_features;
}

bool pv_device_is_idle(const struct pv_device *device)
{
	for (uint16_t i = 0; i < device->queues; i++)
		if (device->queue[i].state != PV_QUEUE_IDLE)
			return false;
	return true;
}

int pv_device_features_set(struct pv_device *device, uint64_t features)
{
	const struct pv_virtio_ops *virtio = device->ops->virtio;

	if (features & ~pv_device_features(device))
		return -PV_EFEATURES;
	if (virtio->features_are_good && !virtio->features_are_good(device, features))
		return -PV_EFEATURES;
	if (features == device->features)
		return 0;
	if (!pv_device_is_idle(device))
		return -PV_EBUSY;
	device->features = features;
	return 0;
}

uint8_t pv_device_status(const struct pv_device *device)
{
	return device->status;
}

void pv_device_status_set(struct pv_device *device, uint8_t status)
{
	if (status == 0) {
		if (device->status != 0 || !pv_device_is_idle(device))
			pv_device_reset(device, (struct pv_waiter){ 0 });
		return;
	}
	if (device->is_resetting)
		return;
	device->status |= status & (uint8_t)~VIRTIO_STATUS_NEEDS_RESET;
}

void pv_device_needs_reset(struct pv_device *device)
{
	if (device->is_resetting || device->status & VIRTIO_STATUS_NEEDS_RESET)
		return;
	device->status |= VIRTIO_STATUS_NEEDS_RESET;
	pv_device_config_changed(device);
}

/* ---- configuration space ---- */

static bool is_in_config(const struct pv_device *device, uint32_t offset, uint32_t bytes)
{
	uint32_t end = device->ops->virtio->config_bytes;

	return bytes > 0 && offset <= end && bytes <= end - offset;
}

int pv_device_config_read(const struct pv_device *device, uint32_t offset, void *to, uint32_t bytes)
{
	if (!is_in_config(device, offset, bytes))
		return -PV_EINVAL;
	device->ops->virtio->config_read(device, (uint16_t)offset, to, (uint16_t)bytes);
	return 0;
}

int pv_device_config_write(struct pv_device *device, uint32_t offset, const void *from,
                           uint32_t bytes)
{
	if (!is_in_config(device, offset, bytes))
		return -PV_EINVAL;
	return device->ops->virtio->config_write(device, (uint16_t)offset, from, (uint16_t)bytes);
}

void pv_device_config_changed(struct pv_device *device)
{
	device->config_generation++;
	device->port->ops->config_changed(device->port, device);
}

/* ---- memory and queues ---- */

void pv_device_mem_set(struct pv_device *device, const struct pv_mem *mem)
{
	device->mem = mem;
}

int pv_device_queue_set(struct pv_device *device, uint16_t index,
                        const struct pv_ring_config *config,
                        const struct pv_ring_position *position)
{
	struct pv_queue *queue;

	if (index >= device->queues || config->size == 0 || config->size > device->queue_size_max)
		return -PV_EINVAL;
	queue = &device->queue[index];
	if (queue->state != PV_QUEUE_IDLE)
		return -PV_EBUSY;
	queue->config = *config;
	queue->config.features = device->features;
	queue->position = *position;
	return 0;
}

int pv_device_queue_log_set(struct pv_device *device, uint16_t index,
                            const struct pv_ring_logging *logging)
{
	if (index >= device->queues)
		return -PV_EINVAL;
	device->queue[index].logging = *logging;
	return 0;
}
