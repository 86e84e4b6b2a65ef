/* SPDX-License-Identifier: BSD-2-Clause */
#include "drivers/bus/legacy.h"

#include "abi/virtio_ring.h"

bool pv_legacy_page(const struct pv_bus_queue *queue, uint32_t *page)
{
	const uint64_t bytes = PV_BUS_LEGACY_PAGE_BYTES;
	uint64_t driver = queue->desc_area.v + virtq_desc_bytes(queue->size);
	uint64_t device = (driver + virtq_avail_bytes(queue->size) + bytes - 1) / bytes * bytes;

	if (queue->desc_area.v % bytes != 0 || queue->desc_area.v / bytes > UINT32_MAX ||
	    queue->driver_area.v != driver || queue->device_area.v != device)
		return false;
	*page = (uint32_t)(queue->desc_area.v / bytes);
	return true;
}
