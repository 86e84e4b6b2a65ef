/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The registers of version 1 (virtio 1.3, section 4.2.4): a queue is one page number, of pages as
 * large as the driver said.
 */
#include "devices/transport/mmio/virtio_internal.h"

static uint32_t page_of(const struct pv_virtio_mmio *mmio)
{
	const struct pv_transport_queue *queue = pv_transport_selected(&mmio->transport);

	if (!queue || !queue->is_enabled || mmio->page_bytes == 0)
		return 0;
	return (uint32_t)(queue->area[PV_TRANSPORT_DESC] >> __builtin_ctz(mmio->page_bytes));
}

uint32_t pv_virtio_mmio_legacy_read(const struct pv_virtio_mmio *mmio, uint32_t offset)
{
	const struct pv_transport *transport = &mmio->transport;

	switch (offset) {
	case VIRTIO_MMIO_DEVICE_FEATURES:
		/* What these drivers cannot know is not shown. */
		return transport->device_feature_select == 0
		               ? pv_transport_device_features(transport)
		               : 0;
	case VIRTIO_MMIO_LEGACY_QUEUE_PFN:
		return page_of(mmio);
	default:
		return 0;
	}
}

static void align(struct pv_transport *transport, uint32_t value)
{
	struct pv_transport_queue *queue = pv_transport_selected(transport);

	if (queue && pv_virtio_mmio_is_power_or_0(value))
		queue->own = value;
}

/* Before it is known how large a page is, no queue can be placed. */
static void place(struct pv_virtio_mmio *mmio, uint32_t page)
{
	struct pv_transport *transport = &mmio->transport;
	const struct pv_transport_queue *queue = pv_transport_selected(transport);

	if (page == 0)
		pv_transport_queue_end(transport);
	else if (queue && mmio->page_bytes != 0)
		pv_transport_legacy_place(transport, (uint64_t)page * mmio->page_bytes, queue->own);
}

void pv_virtio_mmio_legacy_write(struct pv_virtio_mmio *mmio, uint32_t offset, uint32_t value)
{
	struct pv_transport *transport = &mmio->transport;

	switch (offset) {
	case VIRTIO_MMIO_DRIVER_FEATURES:
		if (transport->driver_feature_select == 0)
			pv_transport_legacy_features_write(transport, value);
		break;
	case VIRTIO_MMIO_LEGACY_GUEST_PAGE_SIZE:
		if (pv_virtio_mmio_is_power_or_0(value))
			mmio->page_bytes = value;
		break;
	case VIRTIO_MMIO_LEGACY_QUEUE_ALIGN:
		align(transport, value);
		break;
	case VIRTIO_MMIO_LEGACY_QUEUE_PFN:
		place(mmio, value);
		break;
	case VIRTIO_MMIO_STATUS:
		pv_transport_legacy_status_write(transport, (uint8_t)value);
		break;
	default:
		break;
	}
}
