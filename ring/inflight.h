/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Within ring/: the journal of chains in flight, which outlives the process.
 *
 * A ring that has a journal marks each chain there when it is taken and takes the mark away after
 * the chain was given back, so that whoever serves the ring next, after this process was killed at
 * any instant, knows what is left to do.  docs/concepts/in-flight.md shows why no instant is
 * between two chairs; the layout is that of the vhost-user specification (abi/vhost_inflight.h).
 *
 * The journal's memory is shared with the front-end, and hostile: it is read once, at the start,
 * each field copied and compared before it is used; from then on all that is in it is also here,
 * and it is only written.
 *
 * One store is not seen without those before it by whoever comes after us: a process that is killed
 * has done all its stores up to some instruction and none behind that.  So it is the compiler that
 * must keep their order, not the processor (pv_note_*() in barrier.h).
 */
#ifndef PV_RING_INFLIGHT_H
#define PV_RING_INFLIGHT_H

#include "abi/vhost_inflight.h"
#include "ring/dev_walk.h"

/* A chain that was in flight when the journal was opened. */
struct pv_inflight_again {
	uint64_t counter;
	uint16_t entry;
	uint16_t descs;
};

struct pv_inflight {
	union {
		struct vhost_inflight_split *split;
		struct vhost_inflight_packed *packed;
	};
	uint16_t places; /* descriptors that the region has room for: at least the ring's size */
	bool was_in_use; /* somebody served this ring before us */
	uint64_t counter;

	/* Chains returned and not published: their entries, and the places they take up. */
	uint16_t *batch;
	uint16_t batched;
	uint16_t batched_descs;

	/* Chains to be taken again before new ones, oldest first. */
	struct pv_inflight_again *again;
	uint16_t agains;
	uint16_t again_at;

	uint16_t last_batch_head; /* split */

	/* Packed: the list of free entries, which goes on in `next` and ends at `places`; ... */
	uint16_t free_head;
	uint16_t *next;
	uint16_t *last; /* ... the last entry of each chain, at its first; ... */
	uint16_t noted; /* ... and where the descriptor before this one was written. */
};

/* Bytes of storage for a ring of this kind, 0 without a journal. A multiple of eight. */
size_t pv_inflight_storage_bytes(const struct pv_ring_config *config);

/*
 * Opens the journal of a ring whose areas are found, on zeroed `storage`: starts an unused one at
 * the ring's position; of one that was in use it finishes what was half done, collects the chains
 * to be taken again, and moves the ring to where it stood. Returns 0, or -PV_ESTATE for a region
 * that makes no sense.
 */
int pv_inflight_open(struct pv_dev_ring *ring, void *storage);

/* Takes a chain of those in flight before, or a new one, and marks it. */
enum pv_take pv_inflight_take(struct pv_dev_ring *ring, struct pv_chain *chain);

/*
 * The chain that was taken last is not in flight any more, and will be taken next. Returns whether
 * it is the journal that it will be taken from: it was in flight when that was opened, and stays
 * marked.
 */
bool pv_inflight_put_back(struct pv_dev_ring *ring, const struct pv_chain *chain);

/* Publishes what was returned. Returns whether there was any. */
bool pv_inflight_publish(struct pv_dev_ring *ring);

/*
 * What is returned and not published is the driver's to make available only after it has seen it:
 * a driver that does so before has made more available than the ring holds.
 */
static inline uint16_t pv_batched(const struct pv_dev_ring *ring)
{
	return ring->inflight ? ring->inflight->batched : 0;
}

static inline uint16_t pv_batched_descs(const struct pv_dev_ring *ring)
{
	return ring->inflight ? ring->inflight->batched_descs : 0;
}

/* A chain was returned. There is room: a walk leaves out of the ring's size what is batched. */
static inline void pv_inflight_returned(struct pv_inflight *journal, uint16_t entry, uint16_t descs)
{
	journal->batch[journal->batched++] = entry;
	journal->batched_descs = (uint16_t)(journal->batched_descs + descs);
}

/* The two formats. */
int pv_inflight_split_open(struct pv_dev_ring *ring);
void pv_inflight_split_mark(struct pv_dev_ring *ring, struct pv_chain *chain);
void pv_inflight_split_unmark(struct pv_dev_ring *ring, const struct pv_chain *chain);
enum pv_ring_fault pv_inflight_split_again(struct pv_dev_ring *ring, struct pv_chain *chain,
                                           const struct pv_inflight_again *again);
/* Before and after the store that shows a batch to the driver. */
void pv_inflight_split_link(struct pv_dev_ring *ring);
void pv_inflight_split_clear(struct pv_dev_ring *ring);

int pv_inflight_packed_open(struct pv_dev_ring *ring);
void pv_inflight_packed_mark(struct pv_dev_ring *ring, struct pv_chain *chain);
void pv_inflight_packed_unmark(struct pv_dev_ring *ring, const struct pv_chain *chain);
enum pv_ring_fault pv_inflight_packed_again(struct pv_dev_ring *ring, struct pv_chain *chain,
                                            const struct pv_inflight_again *again);
void pv_inflight_packed_link(struct pv_dev_ring *ring);
void pv_inflight_packed_clear(struct pv_dev_ring *ring);

/* Packed, while a chain is walked: a descriptor of it. Without effect unless it is marked. */
void pv_inflight_packed_note(struct pv_inflight *journal, const struct pvirtq_desc *desc,
                             uint16_t flags, bool is_head);

#endif
