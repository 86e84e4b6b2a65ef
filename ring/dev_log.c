/* SPDX-License-Identifier: BSD-2-Clause */
#include "ring/dev_log.h"

static void log_all_own_writes(struct pv_dev_ring *ring)
{
	if (!ring->is_packed) {
		pv_dev_log_device_area(ring, ring->used, (uint32_t)virtq_used_bytes(ring->size));
		return;
	}
	pv_dev_log_device_area(ring, ring->device_event, sizeof(*ring->device_event));
	pv_dirty_log_mark(ring->logging.log, ring->config.desc_area,
	                  sizeof(struct pvirtq_desc) * (uint64_t)ring->size);
}

/*
 * Whoever ran the ring before may have died between a write and its mark, and going on after it has
 * written too.
 */
void pv_dev_ring_log_set(struct pv_dev_ring *ring, const struct pv_ring_logging *logging)
{
	ring->logging = *logging;
	if (!logging->log)
		ring->logging.has_own_writes = false;
	if (ring->logging.has_own_writes && pv_dev_ring_was_in_use(ring))
		log_all_own_writes(ring);
}

/* A piece lies in one region, so its pages follow each other. */
static void log_piece(struct pv_dirty_log *log, const struct pv_mem *mem, const void *host,
                      uint64_t bytes)
{
	struct pv_gpa gpa;

	if (mem && pv_mem_gpa_of(mem, host, &gpa))
		pv_dirty_log_mark(log, gpa, bytes);
	else
		pv_dirty_log_miss(log);
}

/*
 * The last byte is marked by itself: a chain that did not fit into its pieces has one that is in
 * none of them.  Of a chain whose length no used entry can say the device writes nothing else; to
 * go through its pieces, gigabytes each, would take a lane from its other queues.
 */
void pv_dev_log_chain(struct pv_dev_ring *ring, const struct pv_chain *chain)
{
	const struct pv_mem *mem = chain->born == ring->born ? ring->view.mem : ring->mem_before;
	const struct pv_iov *piece = chain->iov + chain->readable;

	for (uint16_t i = 0; i < chain->writable && chain->writable_bytes <= UINT32_MAX; i++)
		log_piece(ring->logging.log, mem, piece[i].base, piece[i].bytes);
	if (chain->last_writable)
		log_piece(ring->logging.log, mem, chain->last_writable, 1);
}

void pv_dev_log_device_area(struct pv_dev_ring *ring, const void *field, uint32_t bytes)
{
	const void *area = ring->is_packed ? (void *)ring->device_event : (void *)ring->used;
	uint64_t offset = (uint64_t)((const uint8_t *)field - (const uint8_t *)area);

	pv_dirty_log_mark(ring->logging.log, pv_gpa_add(ring->logging.device_area, offset), bytes);
}

void pv_dev_log_descriptor(struct pv_dev_ring *ring, uint16_t slot)
{
	const uint64_t bytes = sizeof(struct pvirtq_desc);

	pv_dirty_log_mark(ring->logging.log, pv_gpa_add(ring->config.desc_area, slot * bytes),
	                  bytes);
}
