/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The journal of a split ring.  An entry is named by its chain's head descriptor, whose chain the
 * driver leaves alone while it is in flight: what was in flight is read from the ring again.
 *
 * `used_idx` is the used index up to which the marks are right.  The ring's own index is ahead of
 * it only if we were killed between showing a batch and clearing its marks; the difference is the
 * length of the batch, whose chains are listed from `last_batch_head` on.
 */
#include "ring/err.h"
#include "ring/inflight.h"

static void note_state(struct pv_inflight *journal, uint16_t used_idx)
{
	const struct vhost_inflight_split_state state = { VHOST_INFLIGHT_VERSION, journal->places,
		                                          journal->last_batch_head, used_idx };

	pv_note_u64(&journal->split->state, &state);
}

static int start_unused(struct pv_dev_ring *ring)
{
	struct pv_inflight *journal = ring->inflight;

	for (uint32_t i = 0; i < journal->places; i++)
		pv_note_u8(&journal->split->desc[i].inflight, 0);
	note_state(journal, ring->at.used);
	return 0;
}

/* Clears the marks of a batch that the driver has seen. Once more does no harm. */
static int finish_batch(struct pv_dev_ring *ring, uint16_t chains)
{
	struct pv_inflight *journal = ring->inflight;
	uint16_t at = journal->last_batch_head;

	for (; chains > 0; chains--) {
		if (at >= ring->size)
			return -PV_ESTATE;
		pv_note_u8(&journal->split->desc[at].inflight, 0);
		at = pv_look_u16(&journal->split->desc[at].next);
	}
	return 0;
}

static int collect(struct pv_dev_ring *ring)
{
	struct pv_inflight *journal = ring->inflight;

	for (uint16_t i = 0; i < ring->size; i++) {
		struct vhost_inflight_split_desc desc;

		pv_copy_once(&desc, &journal->split->desc[i], sizeof(desc));
		if (desc.inflight > 1)
			return -PV_ESTATE;
		if (desc.inflight)
			journal->again[journal->agains++] =
				(struct pv_inflight_again){ desc.counter, i, 1 };
	}
	return 0;
}

static int go_on(struct pv_dev_ring *ring, const struct vhost_inflight_split *head)
{
	struct pv_inflight *journal = ring->inflight;
	uint16_t used = pv_observe_le16(&ring->used->idx);
	uint16_t batch = (uint16_t)(used - head->state.used_idx);

	if (head->state.version != VHOST_INFLIGHT_VERSION || head->features ||
	    head->state.desc_num != journal->places || batch > ring->size)
		return -PV_ESTATE;
	journal->was_in_use = true;
	journal->last_batch_head = head->state.last_batch_head;
	if (finish_batch(ring, batch))
		return -PV_ESTATE;
	note_state(journal, used);
	if (collect(ring))
		return -PV_ESTATE;
	ring->at.used = used;
	ring->at.avail = (uint16_t)(used + journal->agains);
	return 0;
}

int pv_inflight_split_open(struct pv_dev_ring *ring)
{
	struct vhost_inflight_split head;

	pv_copy_once(&head, ring->inflight->split, sizeof(head));
	return head.state.version == 0 ? start_unused(ring) : go_on(ring, &head);
}

enum pv_ring_fault pv_inflight_split_again(struct pv_dev_ring *ring, struct pv_chain *chain,
                                           const struct pv_inflight_again *again)
{
	return pv_dev_split_walk(ring, chain, again->entry);
}

void pv_inflight_split_mark(struct pv_dev_ring *ring, struct pv_chain *chain)
{
	struct pv_inflight *journal = ring->inflight;
	struct vhost_inflight_split_desc *desc = &journal->split->desc[chain->id];

	chain->entry = chain->id;
	pv_note_u64(&desc->counter, &journal->counter);
	journal->counter++;
	pv_note_u8(&desc->inflight, 1);
}

void pv_inflight_split_unmark(struct pv_dev_ring *ring, const struct pv_chain *chain)
{
	pv_note_u8(&ring->inflight->split->desc[chain->entry].inflight, 0);
}

void pv_inflight_split_link(struct pv_dev_ring *ring)
{
	struct pv_inflight *journal = ring->inflight;

	for (uint16_t i = 0; i < journal->batched; i++) {
		uint16_t entry = journal->batch[i];

		pv_note_u16(&journal->split->desc[entry].next, journal->last_batch_head);
		journal->last_batch_head = entry;
	}
	pv_note_u16(&journal->split->state.last_batch_head, journal->last_batch_head);
}

void pv_inflight_split_clear(struct pv_dev_ring *ring)
{
	struct pv_inflight *journal = ring->inflight;

	for (uint16_t i = 0; i < journal->batched; i++)
		pv_note_u8(&journal->split->desc[journal->batch[i]].inflight, 0);
	pv_note_u16(&journal->split->state.used_idx, ring->at.used);
}
