/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The journal of a packed ring.  A used entry overwrites descriptors that need not be its own
 * chain's, so each descriptor is copied: an entry for each, those of a chain linked in its order,
 * the others in a list of free ones.
 *
 * Both ways are one store that counts.  Taking: the copies are written to free entries, and the
 * chain is in flight once both heads of the free list have moved past them.  Giving back: the new
 * state is written beside the old one (`free_head`, `used_idx` and its wrap counter; the old have
 * `old_` before them), then the driver is shown the batch, then old becomes new.  Whoever finds
 * them different looks at the ring to learn whether the driver was shown it.
 *
 * The heads and the used positions, old and new, are stored as eight bytes at once.  Field by field
 * as in the specification there would be an instant at which the used index is new and its wrap
 * counter old, and nothing tells.
 */
#include "ring/err.h"
#include "ring/inflight.h"

/* In `next` while a journal is opened: belongs to no list yet. */
#define NOWHERE UINT16_MAX

static void note_heads(struct pv_inflight *journal, uint16_t free_head, uint16_t old_free_head)
{
	const struct vhost_inflight_packed_heads heads = { VHOST_INFLIGHT_VERSION, journal->places,
		                                           free_head, old_free_head };

	pv_note_u64(&journal->packed->heads, &heads);
}

static void note_used(struct pv_inflight *journal, uint16_t used, bool wrap, uint16_t old_used,
                      bool old_wrap)
{
	const struct vhost_inflight_packed_used word = { .used_idx = used,
		                                         .old_used_idx = old_used,
		                                         .used_wrap_counter = wrap,
		                                         .old_used_wrap_counter = old_wrap };

	pv_note_u64(&journal->packed->used, &word);
}

static int start_unused(struct pv_dev_ring *ring)
{
	struct pv_inflight *journal = ring->inflight;

	for (uint16_t i = 0; i < journal->places; i++) {
		journal->next[i] = (uint16_t)(i + 1);
		pv_note_u8(&journal->packed->desc[i].inflight, 0);
		pv_note_u16(&journal->packed->desc[i].next, journal->next[i]);
	}
	note_used(journal, ring->at.used, ring->at.used_wrap, ring->at.used, ring->at.used_wrap);
	note_heads(journal, 0, 0);
	return 0;
}

/* ---- after a crash ---- */

static bool is_head_good(const struct pv_dev_ring *ring, const struct vhost_inflight_packed *head)
{
	const struct vhost_inflight_packed_used *used = &head->used;

	return head->features == 0 && head->heads.version == VHOST_INFLIGHT_VERSION &&
	       head->heads.desc_num == ring->inflight->places && used->used_idx < ring->size &&
	       used->old_used_idx < ring->size && used->used_wrap_counter <= 1 &&
	       used->old_used_wrap_counter <= 1;
}

/* Was the driver shown the batch between the old state and the new? */
static bool was_shown(const struct pv_dev_ring *ring, const struct vhost_inflight_packed_used *used)
{
	uint16_t flags;

	if (used->used_idx == used->old_used_idx &&
	    used->used_wrap_counter == used->old_used_wrap_counter)
		return false;
	flags = pv_observe_le16(&ring->packed[used->old_used_idx].flags);
	return !pv_dev_packed_is_available(flags, used->old_used_wrap_counter);
}

/* Goes to the new state or back to the old one. */
static void settle(struct pv_dev_ring *ring, const struct vhost_inflight_packed *head)
{
	struct pv_inflight *journal = ring->inflight;
	bool is_new = was_shown(ring, &head->used);

	journal->free_head = is_new ? head->heads.free_head : head->heads.old_free_head;
	ring->at.used = is_new ? head->used.used_idx : head->used.old_used_idx;
	ring->at.used_wrap = is_new ? head->used.used_wrap_counter
	                            : head->used.old_used_wrap_counter;
	note_heads(journal, journal->free_head, journal->free_head);
	note_used(journal, ring->at.used, ring->at.used_wrap, ring->at.used, ring->at.used_wrap);
}

/* Takes over where an entry's list goes on. False for an entry that cannot be. */
static bool claim(struct pv_inflight *journal, uint16_t entry)
{
	uint16_t next;

	if (entry >= journal->places || journal->next[entry] != NOWHERE)
		return false;
	next = pv_look_u16(&journal->packed->desc[entry].next);
	journal->next[entry] = next < journal->places ? next : journal->places;
	return true;
}

/* What is free is not in flight, whatever its mark says. */
static int walk_free(struct pv_inflight *journal)
{
	if (journal->free_head > journal->places)
		return -PV_ESTATE;
	for (uint16_t at = journal->free_head; at < journal->places; at = journal->next[at]) {
		if (!claim(journal, at))
			return -PV_ESTATE;
		pv_note_u8(&journal->packed->desc[at].inflight, 0);
	}
	return 0;
}

static int collect_chain(struct pv_inflight *journal, uint16_t entry, uint16_t room)
{
	struct vhost_inflight_packed_desc head;
	uint16_t at = entry;

	pv_copy_once(&head, &journal->packed->desc[entry], sizeof(head));
	if (head.inflight == 0)
		return 0;
	if (head.inflight > 1 || head.num == 0 || head.num > room)
		return -PV_ESTATE;
	for (uint16_t i = 0; i < head.num; i++) {
		journal->last[entry] = at;
		if (!claim(journal, at))
			return -PV_ESTATE;
		at = journal->next[at];
	}
	if (head.last != journal->last[entry])
		return -PV_ESTATE;
	journal->again[journal->agains++] =
		(struct pv_inflight_again){ head.counter, entry, head.num };
	return head.num;
}

/* Returns the places in the ring that all of them take up. */
static int collect(struct pv_dev_ring *ring)
{
	struct pv_inflight *journal = ring->inflight;
	uint16_t descs = 0;

	for (uint16_t i = 0; i < journal->places; i++) {
		int more = 0;

		if (journal->next[i] == NOWHERE)
			more = collect_chain(journal, i, (uint16_t)(ring->size - descs));
		if (more < 0)
			return more;
		descs = (uint16_t)(descs + more);
	}
	return descs;
}

/* Entries that are on no list: nothing of ours leaves any, but they are free. */
static void gather_lost(struct pv_inflight *journal)
{
	for (uint16_t i = 0; i < journal->places; i++) {
		if (journal->next[i] != NOWHERE)
			continue;
		journal->next[i] = journal->free_head;
		pv_note_u16(&journal->packed->desc[i].next, journal->free_head);
		journal->free_head = i;
		note_heads(journal, i, i);
	}
}

/*
 * Moves the available position past what is in flight. A batch that was not shown may have left
 * used descriptors there, all but its first: in front of a shorter batch of ours, the driver would
 * go on to them. They are made again what they are, taken and not used.
 */
static void unsay_used(struct pv_dev_ring *ring, uint16_t descs)
{
	ring->at.avail = ring->at.used;
	ring->at.avail_wrap = ring->at.used_wrap;
	for (; descs > 0; descs--) {
		pv_write_le16(&ring->packed[ring->at.avail].flags,
		              ring->at.avail_wrap ? VIRTQ_DESC_F_AVAIL : VIRTQ_DESC_F_USED);
		pv_dev_packed_step(ring, &ring->at.avail, &ring->at.avail_wrap, 1);
	}
}

static int go_on(struct pv_dev_ring *ring, const struct vhost_inflight_packed *head)
{
	struct pv_inflight *journal = ring->inflight;
	int descs;

	if (!is_head_good(ring, head))
		return -PV_ESTATE;
	journal->was_in_use = true;
	for (uint16_t i = 0; i < journal->places; i++)
		journal->next[i] = NOWHERE;
	settle(ring, head);
	if (walk_free(journal))
		return -PV_ESTATE;
	descs = collect(ring);
	if (descs < 0)
		return descs;
	gather_lost(journal);
	unsay_used(ring, (uint16_t)descs);
	return 0;
}

int pv_inflight_packed_open(struct pv_dev_ring *ring)
{
	struct vhost_inflight_packed head;

	pv_copy_once(&head, ring->inflight->packed, sizeof(head));
	return head.heads.version == 0 ? start_unused(ring) : go_on(ring, &head);
}

/* Which entries are the chain's is known; what they say is read now, once, and checked as ever. */
enum pv_ring_fault pv_inflight_packed_again(struct pv_dev_ring *ring, struct pv_chain *chain,
                                            const struct pv_inflight_again *again)
{
	const struct pv_inflight *journal = ring->inflight;
	uint16_t at = again->entry;

	pv_walk_start(ring, chain);
	for (chain->descs = 1; chain->descs <= again->descs; chain->descs++) {
		struct vhost_inflight_packed_desc copy;
		struct pvirtq_desc desc;
		enum pv_ring_fault fault;
		bool is_last = chain->descs == again->descs;

		pv_copy_once(&copy, &journal->packed->desc[at], sizeof(copy));
		if (is_last != !(copy.flags & VIRTQ_DESC_F_NEXT))
			return PV_RING_BAD_INFLIGHT;
		desc = (struct pvirtq_desc){ pv_le64_of(copy.addr), pv_le32_of(copy.len),
			                     pv_le16_of(copy.id), pv_le16_of(copy.flags) };
		fault = pv_dev_packed_walk_desc(ring, chain, &desc, copy.flags);
		if (fault)
			return fault;
		if (is_last)
			break;
		at = journal->next[at];
	}
	pv_walk_finish(ring, chain);
	return PV_RING_SOUND;
}

/* ---- while it runs ---- */

void pv_inflight_packed_note(struct pv_inflight *journal, const struct pvirtq_desc *desc,
                             uint16_t flags, bool is_head)
{
	uint16_t at = is_head ? journal->free_head : journal->next[journal->noted];
	struct vhost_inflight_packed_desc *copy = &journal->packed->desc[at];
	uint64_t addr = pv_le64_get(desc->addr);

	pv_note_u64(&copy->addr, &addr);
	pv_note_u32(&copy->len, pv_le32_get(desc->len));
	pv_note_u16(&copy->flags, flags);
	pv_note_u16(&copy->id, pv_le16_get(desc->id));
	journal->noted = at;
}

void pv_inflight_packed_mark(struct pv_dev_ring *ring, struct pv_chain *chain)
{
	struct pv_inflight *journal = ring->inflight;
	struct vhost_inflight_packed_desc *desc = &journal->packed->desc[journal->free_head];

	chain->entry = journal->free_head;
	journal->last[chain->entry] = journal->noted;
	pv_note_u16(&desc->num, chain->descs);
	pv_note_u16(&desc->last, journal->noted);
	pv_note_u64(&desc->counter, &journal->counter);
	journal->counter++;
	pv_note_u8(&desc->inflight, 1);
	journal->free_head = journal->next[journal->noted];
	note_heads(journal, journal->free_head, journal->free_head);
}

/* Entries without a mark that are on no list are free to whoever comes after us. */
void pv_inflight_packed_unmark(struct pv_dev_ring *ring, const struct pv_chain *chain)
{
	struct pv_inflight *journal = ring->inflight;
	uint16_t last = journal->last[chain->entry];

	pv_note_u8(&journal->packed->desc[chain->entry].inflight, 0);
	journal->next[last] = journal->free_head;
	pv_note_u16(&journal->packed->desc[last].next, journal->free_head);
	journal->free_head = chain->entry;
	note_heads(journal, journal->free_head, journal->free_head);
}

void pv_inflight_packed_link(struct pv_dev_ring *ring)
{
	struct pv_inflight *journal = ring->inflight;
	uint16_t old_free_head = journal->free_head;

	for (uint16_t i = 0; i < journal->batched; i++) {
		uint16_t entry = journal->batch[i];
		uint16_t last = journal->last[entry];

		journal->next[last] = journal->free_head;
		pv_note_u16(&journal->packed->desc[last].next, journal->free_head);
		journal->free_head = entry;
	}
	note_heads(journal, journal->free_head, old_free_head);
	note_used(journal, ring->at.used, ring->at.used_wrap, ring->published,
	          ring->published_wrap);
}

void pv_inflight_packed_clear(struct pv_dev_ring *ring)
{
	struct pv_inflight *journal = ring->inflight;

	for (uint16_t i = 0; i < journal->batched; i++)
		pv_note_u8(&journal->packed->desc[journal->batch[i]].inflight, 0);
	note_heads(journal, journal->free_head, journal->free_head);
	note_used(journal, ring->at.used, ring->at.used_wrap, ring->at.used, ring->at.used_wrap);
}
