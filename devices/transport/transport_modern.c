/* SPDX-License-Identifier: BSD-2-Clause */
/* Drivers since virtio 1.0: 64 feature bits, three areas for each queue, a queue that is enabled.
 */
#include "devices/transport/transport_internal.h"

static uint32_t half(uint64_t value, uint32_t which)
{
	return which > 1 ? 0 : (uint32_t)(value >> 32 * which);
}

static void set_half(uint64_t *value, uint32_t which, uint32_t to)
{
	*value = (*value & ~((uint64_t)UINT32_MAX << 32 * which)) | (uint64_t)to << 32 * which;
}

/* ---- features and status ---- */

void pv_transport_offer_notification_data(struct pv_transport *transport)
{
	transport->own_features |= VIRTIO_F_NOTIFICATION_DATA;
}

uint32_t pv_transport_device_features(const struct pv_transport *transport)
{
	return half(pv_device_features(transport->device) | transport->own_features,
	            transport->device_feature_select);
}

uint32_t pv_transport_driver_features(const struct pv_transport *transport)
{
	return half(transport->driver_features, transport->driver_feature_select);
}

void pv_transport_driver_features_write(struct pv_transport *transport, uint32_t value)
{
	uint32_t which = transport->driver_feature_select;

	if (which <= 1 && !(pv_device_status(transport->device) & VIRTIO_STATUS_FEATURES_OK))
		set_half(&transport->driver_features, which, value);
}

void pv_transport_status_write(struct pv_transport *transport, uint8_t status)
{
	uint8_t before = pv_device_status(transport->device);

	if (status & ~before & VIRTIO_STATUS_FEATURES_OK &&
	    (!(transport->driver_features & VIRTIO_F_VERSION_1) ||
	     pv_device_features_set(transport->device,
	                            transport->driver_features & ~transport->own_features)))
		status &= (uint8_t)~VIRTIO_STATUS_FEATURES_OK;
	pv_transport_status_set(transport, status);
}

/* ---- the selected queue ---- */

uint32_t pv_transport_area(const struct pv_transport *transport, unsigned int area, bool is_high)
{
	const struct pv_transport_queue *queue = pv_transport_selected(transport);

	return queue ? half(queue->area[area], is_high) : 0;
}

void pv_transport_area_write(struct pv_transport *transport, unsigned int area, bool is_high,
                             uint32_t value)
{
	struct pv_transport_queue *queue = pv_transport_selected(transport);

	if (queue && !queue->is_enabled)
		set_half(&queue->area[area], is_high, value);
}

void pv_transport_size_write(struct pv_transport *transport, uint64_t size)
{
	struct pv_transport_queue *queue = pv_transport_selected(transport);

	if (queue && !queue->is_enabled && size <= transport->device->queue_size_max)
		queue->size = (uint16_t)size;
}

void pv_transport_enable(struct pv_transport *transport)
{
	struct pv_transport_queue *queue = pv_transport_selected(transport);

	if (!queue || queue->is_enabled || queue->is_resetting || queue->size == 0)
		return;
	queue->is_enabled = true;
	if (pv_device_status(transport->device) & VIRTIO_STATUS_DRIVER_OK)
		pv_transport_queue_start(transport, (uint16_t)transport->queue_select);
}

void pv_transport_queue_reset_write(struct pv_transport *transport)
{
	if (transport->device->features & VIRTIO_F_RING_RESET)
		pv_transport_queue_reset(transport);
}
