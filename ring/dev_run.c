/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Runs of chains: what dev_ring.c does to one.  On a ring without a journal and an order of returns
 * a run is told of by a few numbers, and each chain of it costs its descriptors and its used entry;
 * on any other it is so many single chains.
 */
#include "ring/dev_walk.h"
#include "ring/err.h"

static bool is_plain(const struct pv_dev_ring *ring)
{
	return !ring->fault && !ring->inflight && !ring->has_in_order;
}

uint16_t pv_dev_ring_take_run(struct pv_dev_ring *ring, const struct pv_chain_room *room)
{
	if (!is_plain(ring))
		return pv_walk_run(ring, room, pv_dev_ring_take);
	return ring->is_packed ? pv_dev_packed_take_run(ring, room)
	                       : pv_dev_split_take_run(ring, room);
}

/* These chains are not with the device any more. */
static void book_out(struct pv_dev_ring *ring, const struct pv_chain *chain, uint16_t count)
{
	pv_bug_on(ring->in_flight < count);
	ring->in_flight = (uint16_t)(ring->in_flight - count);
	for (uint16_t i = 0; i < count; i++)
		ring->in_flight_descs = (uint16_t)(ring->in_flight_descs - chain[i].descs);
}

void pv_dev_ring_return_run(struct pv_dev_ring *ring, const struct pv_chain *chain,
                            const uint32_t *written_bytes, uint16_t count)
{
	if (!is_plain(ring) || ring->logging.log || ring->in_flight_before > 0) {
		for (uint16_t i = 0; i < count; i++)
			pv_dev_ring_return(ring, &chain[i], written_bytes ? written_bytes[i] : 0);
		return;
	}
	book_out(ring, chain, count);
	if (ring->is_packed)
		pv_dev_packed_used_run(ring, chain, written_bytes, count);
	else
		pv_dev_split_used_run(ring, chain, written_bytes, count);
}
