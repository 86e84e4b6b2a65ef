/* SPDX-License-Identifier: BSD-2-Clause */
/* The memory of packets and buffers on its way through the port: in one piece, or in several. */
#include "drivers/net/internal.h"
#include "ring/err.h"

static uint16_t take_slot(struct pv_netdrv_slots *slots)
{
	return slots->free_slots > 0 ? slots->free_slot[--slots->free_slots] : PV_NETDRV_NO_SLOT;
}

int pv_netdrv_map_whole(struct pv_netdrv_queue *queue, struct pv_netdrv_place *place, void *memory,
                        uint32_t bytes)
{
	struct pv_os *os = queue->net->driver.os;

	place->slot = PV_NETDRV_NO_SLOT;
	place->pieces = 0;
	place->piece.bytes = os->ops->map(os, memory, bytes, queue->is_rx, &place->piece.addr);
	if (place->piece.bytes == 0)
		return -PV_ENOMEM;
	place->pieces = 1;
	if (place->piece.bytes == bytes)
		return 0;
	pv_netdrv_unmap(queue, place);
	return -PV_EINVAL;
}

int pv_netdrv_map_pieces(struct pv_netdrv_queue *queue, struct pv_netdrv_place *place,
                         const struct pv_buffer *buffer, uint16_t buffers)
{
	int pieces;

	place->pieces = 0;
	place->slot = take_slot(&queue->slots);
	if (place->slot == PV_NETDRV_NO_SLOT)
		return -PV_ENOSPC;
	pieces = pv_driver_map(queue->net->driver.os, buffer, buffers, 0, queue->is_rx,
	                       pv_netdrv_slot_sg(queue, place->slot) + 1, queue->net->segments_max);
	if (pieces < 0) {
		pv_netdrv_unmap(queue, place);
		return pieces;
	}
	place->pieces = (uint16_t)pieces;
	return 0;
}

void pv_netdrv_unmap(struct pv_netdrv_queue *queue, struct pv_netdrv_place *place)
{
	struct pv_netdrv_slots *slots = &queue->slots;
	const struct pv_sg *sg = &place->piece;

	if (place->slot != PV_NETDRV_NO_SLOT) {
		sg = pv_netdrv_slot_sg(queue, place->slot) + 1;
		slots->free_slot[slots->free_slots++] = place->slot;
	}
	pv_driver_unmap(queue->net->driver.os, sg, place->pieces, queue->is_rx);
	place->slot = PV_NETDRV_NO_SLOT;
	place->pieces = 0;
}
