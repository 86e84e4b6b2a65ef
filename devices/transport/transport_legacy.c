/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Drivers before virtio 1.0: 32 feature bits, one address for all of a queue, and a queue that is
 * started by giving it that.
 */
#include "abi/virtio_ring.h"
#include "devices/transport/transport_internal.h"

void pv_transport_legacy_features_write(struct pv_transport *transport, uint32_t value)
{
	uint64_t wanted = value & (uint32_t)pv_device_features(transport->device);

	if (!pv_device_features_set(transport->device, wanted))
		transport->driver_features = wanted;
}

void pv_transport_legacy_status_write(struct pv_transport *transport, uint8_t status)
{
	pv_transport_status_set(transport, status);
	if (status == 0)
		pv_transport_wait_for_reset(transport);
}

void pv_transport_legacy_place(struct pv_transport *transport, uint64_t address, uint32_t align)
{
	struct pv_transport_queue *queue = pv_transport_selected(transport);
	uint64_t driver = address + (queue ? virtq_desc_bytes(queue->size) : 0);

	if (!queue || queue->is_enabled || align == 0)
		return;
	queue->area[PV_TRANSPORT_DESC] = address;
	queue->area[PV_TRANSPORT_DRIVER] = driver;
	queue->area[PV_TRANSPORT_DEVICE] = (driver + virtq_avail_bytes(queue->size) + align - 1) &
	                                   ~((uint64_t)align - 1);
	queue->is_enabled = true;
	pv_transport_queue_start(transport, (uint16_t)transport->queue_select);
}
