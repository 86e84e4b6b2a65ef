/* SPDX-License-Identifier: BSD-2-Clause */
/* The registers of version 2 (virtio 1.3, section 4.2.2). */
#include "devices/transport/mmio/virtio_internal.h"

/* There is no shared memory: it has no length and no place. */
#define SHM_NONE UINT32_MAX

uint32_t pv_virtio_mmio_modern_read(const struct pv_virtio_mmio *mmio, uint32_t offset)
{
	const struct pv_transport *transport = &mmio->transport;
	const struct pv_transport_queue *queue = pv_transport_selected(transport);

	switch (offset) {
	case VIRTIO_MMIO_DEVICE_FEATURES:
		return pv_transport_device_features(transport);
	case VIRTIO_MMIO_QUEUE_READY:
		return queue && queue->is_enabled;
	case VIRTIO_MMIO_SHM_LEN_LOW:
	case VIRTIO_MMIO_SHM_LEN_HIGH:
	case VIRTIO_MMIO_SHM_BASE_LOW:
	case VIRTIO_MMIO_SHM_BASE_HIGH:
		return SHM_NONE;
	case VIRTIO_MMIO_QUEUE_RESET:
		return queue && queue->is_resetting;
	case VIRTIO_MMIO_CONFIG_GENERATION:
		return transport->device->config_generation;
	default:
		return 0;
	}
}

/* Drivers write 0 to either and go on at once, or after one look. */
static void status(struct pv_transport *transport, uint8_t value)
{
	pv_transport_status_write(transport, value);
	if (value == 0)
		pv_transport_wait_for_reset(transport);
}

static void ready(struct pv_transport *transport, uint32_t value)
{
	if (value == 1)
		pv_transport_enable(transport);
	else if (value == 0)
		pv_transport_queue_end(transport);
}

void pv_virtio_mmio_modern_write(struct pv_virtio_mmio *mmio, uint32_t offset, uint32_t value)
{
	struct pv_transport *transport = &mmio->transport;

	switch (offset) {
	case VIRTIO_MMIO_DRIVER_FEATURES:
		pv_transport_driver_features_write(transport, value);
		break;
	case VIRTIO_MMIO_QUEUE_READY:
		ready(transport, value);
		break;
	case VIRTIO_MMIO_STATUS:
		status(transport, (uint8_t)value);
		break;
	case VIRTIO_MMIO_QUEUE_DESC_LOW:
	case VIRTIO_MMIO_QUEUE_DESC_HIGH:
		pv_transport_area_write(transport, PV_TRANSPORT_DESC, offset % 8 != 0, value);
		break;
	case VIRTIO_MMIO_QUEUE_DRIVER_LOW:
	case VIRTIO_MMIO_QUEUE_DRIVER_HIGH:
		pv_transport_area_write(transport, PV_TRANSPORT_DRIVER, offset % 8 != 0, value);
		break;
	case VIRTIO_MMIO_QUEUE_DEVICE_LOW:
	case VIRTIO_MMIO_QUEUE_DEVICE_HIGH:
		pv_transport_area_write(transport, PV_TRANSPORT_DEVICE, offset % 8 != 0, value);
		break;
	case VIRTIO_MMIO_QUEUE_RESET:
		if (value == 1)
			pv_transport_queue_reset_write(transport);
		break;
	default:
		break;
	}
}
