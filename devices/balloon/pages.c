/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The inflateq and the deflateq (virtio 1.3, section 5.5.6): lists of page numbers.
 *
 * A run works on all the lists that are available, as far as they fit, at once, and returns them
 * when their pages are gone.  A list that is longer stays on the ring, with a note of how far it
 * has been worked on: other queues have their turn in between, and a list of any length is nothing
 * that a stop would have to wait for.  Where the note is lost the list begins anew, which does no
 * harm: until it is returned its pages are the device's.
 */
#include "devices/balloon/internal.h"

#define NUMBER_BYTES sizeof(struct pv_le32)

/* Nothing to write, and no more bytes than a used length can say (section 2.7.5). */
static bool is_list(struct pv_queue *queue, const struct pv_chain *chain)
{
	if (chain->is_incomplete)
		return false;
	if (chain->writable_bytes == 0 && chain->readable_bytes > 0 &&
	    chain->readable_bytes <= UINT32_MAX)
		return true;
	pv_queue_bad_chain(queue, "a list of pages that is to be written to, or empty");
	return false;
}

/* Adds what fits of a list from `skip` bytes on. Returns how many bytes that were. */
static uint64_t add_list(struct pv_queue *queue, struct pv_balloon_batch *batch,
                         const struct pv_chain *chain, uint64_t skip)
{
	struct pv_balloon_queue_counters *counters = pv_balloon_counters_of(queue);
	struct pv_cursor reader = pv_chain_reader(chain);
	uint32_t *number = batch->number + batch->count;
	uint32_t count;
	size_t bytes;

	pv_cursor_skip(&reader, (size_t)skip);
	bytes = pv_cursor_read(&reader, number,
	                       (PV_BALLOON_BATCH_PAGES - batch->count) * NUMBER_BYTES);
	count = (uint32_t)(bytes / NUMBER_BYTES);
	for (uint32_t i = 0; i < count; i++)
		number[i] = pv_le32_get((struct pv_le32){ number[i] });
	batch->count += count;
	pv_count_add(&counters->pages, count);
	if (bytes % NUMBER_BYTES)
		pv_count(&counters->bad_pages);
	return bytes;
}

/* What was done of the list that is now taken first. */
static uint64_t gone_before(const struct pv_balloon_progress *progress,
                            const struct pv_chain *chain)
{
	return progress->chain_bytes == chain->readable_bytes ? progress->gone_bytes : 0;
}

/* Returns whether all of it was added; if not it goes back, and there is a note. */
static bool add_chain(struct pv_queue *queue, struct pv_balloon_lane *lane,
                      const struct pv_chain *chain)
{
	struct pv_balloon_progress *progress =
		&pv_balloon_of(queue->device)->progress[queue->index];
	uint64_t gone;

	if (!is_list(queue, chain))
		return true;
	gone = gone_before(progress, chain);
	gone += add_list(queue, &lane->batch, chain, gone);
	*progress = (struct pv_balloon_progress){ 0 };
	if (gone == chain->readable_bytes)
		return true;
	*progress = (struct pv_balloon_progress){ gone, chain->readable_bytes };
	pv_queue_put_back(queue, chain);
	return false;
}

/* Returns how many chains there are to be returned. */
static uint32_t collect(struct pv_queue *queue, struct pv_balloon_lane *lane)
{
	uint32_t chains = 0;

	lane->batch.count = 0;
	while (chains < PV_BALLOON_BATCH_CHAINS && lane->batch.count < PV_BALLOON_BATCH_PAGES) {
		struct pv_chain *chain = &lane->chain[chains];

		/* The pieces are read at once: each can have the same place for them. */
		chain->iov = lane->iov;
		chain->capacity = PV_BALLOON_PIECES;
		if (!pv_queue_take(queue, chain) || !add_chain(queue, lane, chain))
			break;
		chains++;
	}
	return chains;
}

bool pv_balloon_pages_run(struct pv_queue *queue)
{
	struct pv_balloon_lane *lane = pv_balloon_of(queue->device)->lane;
	const bool is_inflating = queue->index == VIRTIO_BALLOON_INFLATEQ;
	uint32_t chains;

	if (queue->is_draining)
		return false;
	pv_balloon_marks_follow(queue);
	chains = collect(queue, lane);
	pv_balloon_ranges(queue, &lane->batch,
	                  is_inflating ? pv_balloon_give : pv_balloon_take_out);
	pv_balloon_discard_all(queue);
	for (uint32_t i = 0; i < chains; i++)
		pv_queue_return(queue, &lane->chain[i], 0);
	return chains > 0 || lane->batch.count > 0;
}
