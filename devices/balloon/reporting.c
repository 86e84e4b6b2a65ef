/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The reporting queue (virtio 1.3, section 5.5.6): buffers that are free pages themselves, until
 * they are returned.
 */
#include "devices/balloon/internal.h"

/* A run is a turn among those of other queues. */
#define RUN_PIECES PV_BALLOON_PIECES

/* Each piece of a chain is in one region. */
static const struct pv_region *region_of(const struct pv_mem *mem, const uint8_t *host)
{
	for (uint32_t i = 0; i < mem->count; i++)
		if ((uintptr_t)host - (uintptr_t)mem->region[i].host < mem->region[i].bytes)
			return &mem->region[i];
	return NULL;
}

static void report_piece(struct pv_queue *queue, const struct pv_iov *piece)
{
	const uint8_t *host = piece->base;
	const struct pv_region *region = region_of(queue->ring.view.mem, host);
	uint64_t first, bytes = piece->bytes;

	if (!region)
		return;
	first = (uint64_t)(host - region->host);
	if (bytes > region->bytes - first)
		bytes = region->bytes - first;
	pv_balloon_discard(queue, region, first, first + bytes);
}

/* The driver finds in them what it filled them with, or nothing else but that (section 5.5.6.6). */
static bool is_poisoned(const struct pv_balloon *balloon)
{
	return balloon->device.features & VIRTIO_BALLOON_F_PAGE_POISON &&
	       __atomic_load_n(&balloon->poison, __ATOMIC_RELAXED) != 0;
}

static void report(struct pv_queue *queue, const struct pv_chain *chain)
{
	struct pv_balloon_queue_counters *counters = pv_balloon_counters_of(queue);

	if (chain->is_incomplete)
		return;
	if (chain->readable_bytes > 0 || chain->writable_bytes == 0) {
		pv_queue_bad_chain(queue, "a report of pages that are to be read, or of none");
		return;
	}
	pv_count_add(&counters->pages, chain->writable_bytes >> VIRTIO_BALLOON_PAGE_SHIFT);
	if (is_poisoned(pv_balloon_of(queue->device))) {
		pv_count_add(&counters->poisoned_bytes, chain->writable_bytes);
		return;
	}
	for (uint16_t i = 0; i < chain->writable; i++)
		report_piece(queue, &chain->iov[i]);
	pv_balloon_discard_all(queue);
}

bool pv_balloon_reports_run(struct pv_queue *queue)
{
	struct pv_balloon_lane *lane = pv_balloon_of(queue->device)->lane;
	uint32_t pieces = 0;

	while (pieces < RUN_PIECES) {
		struct pv_chain chain = { .iov = lane->iov, .capacity = PV_BALLOON_PIECES };

		if (!pv_queue_take(queue, &chain))
			break;
		report(queue, &chain);
		pieces += 1u + chain.writable;
		pv_queue_return(queue, &chain, 0);
	}
	return pieces > 0;
}
