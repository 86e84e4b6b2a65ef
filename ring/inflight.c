/* SPDX-License-Identifier: BSD-2-Clause */
#include "ring/inflight.h"

#include "abi/virtio_features.h"
#include "ring/err.h"

static size_t rounded(size_t bytes)
{
	return (bytes + 7) & ~(size_t)7;
}

size_t pv_inflight_storage_bytes(const struct pv_ring_config *config)
{
	size_t places = config->inflight_places;

	if (!config->inflight)
		return 0;
	return rounded(sizeof(struct pv_inflight)) + sizeof(struct pv_inflight_again) * places +
	       rounded(sizeof(uint16_t) * 3 * places);
}

static void lay_out(struct pv_inflight *journal, const struct pv_ring_config *config)
{
	uint16_t places = config->inflight_places;

	journal->split = config->inflight;
	journal->places = places;
	journal->again = (void *)((char *)journal + rounded(sizeof(*journal)));
	journal->batch = (void *)(journal->again + places);
	journal->next = journal->batch + places;
	journal->last = journal->next + places;
}

/* ---- the order of what was in flight ---- */

static void sink(struct pv_inflight_again *heap, uint32_t at, uint32_t count)
{
	struct pv_inflight_again sinking = heap[at];

	for (uint32_t child = 2 * at + 1; child < count; child = 2 * at + 1) {
		if (child + 1 < count && heap[child + 1].counter > heap[child].counter)
			child++;
		if (sinking.counter >= heap[child].counter)
			break;
		heap[at] = heap[child];
		at = child;
	}
	heap[at] = sinking;
}

/* A heap sort: no order that a front-end thinks of makes it slow. */
static void sort_by_counter(struct pv_inflight_again *again, uint32_t count)
{
	for (uint32_t at = count / 2; at > 0; at--)
		sink(again, at - 1, count);
	for (uint32_t end = count; end > 1; end--) {
		struct pv_inflight_again largest = again[0];

		again[0] = again[end - 1];
		again[end - 1] = largest;
		sink(again, 0, end - 1);
	}
}

/* ---- the journal of a ring ---- */

int pv_inflight_open(struct pv_dev_ring *ring, void *storage)
{
	const struct pv_ring_config *config = &ring->config;
	struct pv_inflight *journal = storage;
	int err;

	if ((uintptr_t)config->inflight % sizeof(uint64_t) ||
	    config->inflight_places < config->size || config->inflight_places > VIRTQ_SIZE_MAX)
		return -PV_ESTATE;
	lay_out(journal, config);
	ring->inflight = journal;
	err = ring->is_packed ? pv_inflight_packed_open(ring) : pv_inflight_split_open(ring);
	if (err)
		return err;
	sort_by_counter(journal->again, journal->agains);
	if (journal->agains > 0)
		journal->counter = journal->again[journal->agains - 1].counter + 1;
	ring->avail_seen = ring->at.avail;
	ring->published = ring->at.used;
	ring->published_wrap = ring->at.used_wrap;
	ring->signalled = ring->at.used;
	return 0;
}

static enum pv_take take_again(struct pv_dev_ring *ring, struct pv_chain *chain)
{
	struct pv_inflight *journal = ring->inflight;
	const struct pv_inflight_again *again = &journal->again[journal->again_at];
	enum pv_ring_fault fault;

	chain->entry = again->entry;
	fault = ring->is_packed ? pv_inflight_packed_again(ring, chain, again)
	                        : pv_inflight_split_again(ring, chain, again);
	if (fault)
		return pv_dev_ring_broken(ring, fault);
	journal->again_at++;
	return PV_TAKEN;
}

enum pv_take pv_inflight_take(struct pv_dev_ring *ring, struct pv_chain *chain)
{
	enum pv_take taken;

	chain->is_again = pv_dev_ring_has_again(ring);
	if (chain->is_again)
		return take_again(ring, chain);
	if (ring->is_packed) {
		taken = pv_dev_packed_take(ring, chain);
		if (taken == PV_TAKEN)
			pv_inflight_packed_mark(ring, chain);
	} else {
		taken = pv_dev_split_take(ring, chain);
		if (taken == PV_TAKEN)
			pv_inflight_split_mark(ring, chain);
	}
	return taken;
}

bool pv_inflight_put_back(struct pv_dev_ring *ring, const struct pv_chain *chain)
{
	struct pv_inflight *journal = ring->inflight;

	if (chain->is_again) {
		journal->again_at--;
		pv_bug_on(journal->again[journal->again_at].entry != chain->entry);
	} else if (ring->is_packed) {
		pv_inflight_packed_unmark(ring, chain);
	} else {
		pv_inflight_split_unmark(ring, chain);
	}
	return chain->is_again;
}

bool pv_inflight_publish(struct pv_dev_ring *ring)
{
	struct pv_inflight *journal = ring->inflight;

	if (journal->batched == 0)
		return false;
	if (ring->is_packed) {
		pv_inflight_packed_link(ring);
		pv_dev_packed_publish(ring);
		pv_inflight_packed_clear(ring);
	} else {
		pv_inflight_split_link(ring);
		pv_dev_split_publish(ring);
		pv_inflight_split_clear(ring);
	}
	journal->batched = 0;
	journal->batched_descs = 0;
	return true;
}

bool pv_dev_ring_has_again(const struct pv_dev_ring *ring)
{
	return ring->inflight && ring->inflight->again_at < ring->inflight->agains;
}

bool pv_dev_ring_was_in_use(const struct pv_dev_ring *ring)
{
	return ring->inflight && ring->inflight->was_in_use;
}
