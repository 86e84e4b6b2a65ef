/* SPDX-License-Identifier: BSD-2-Clause */
/* The device's role on a packed ring (virtio 1.3, section 2.8). */
#include "ring/dev_log.h"
#include "ring/inflight.h"
#include "ring/notify.h"

void pv_dev_packed_step_back(struct pv_dev_ring *ring, uint16_t places)
{
	if (ring->at.avail >= places) {
		ring->at.avail = (uint16_t)(ring->at.avail - places);
		return;
	}
	ring->at.avail = (uint16_t)(ring->at.avail + ring->size - places);
	ring->at.avail_wrap = !ring->at.avail_wrap;
}

/* A table's descriptors are its buffers, all of them, one after another. */
static enum pv_ring_fault walk_table(struct pv_dev_ring *ring, struct pv_chain *chain,
                                     struct pv_gpa addr, uint32_t bytes)
{
	struct pv_table table;
	enum pv_ring_fault fault = pv_table_open(ring, addr, bytes, &table);

	if (fault)
		return fault;
	if (table.count > pv_indirect_max(ring))
		return PV_RING_BAD_INDIRECT;
	for (uint32_t at = 0; at < table.count; at++) {
		struct pvirtq_desc desc;

		if (!pv_table_read(ring, &table, at, &desc)) {
			chain->is_incomplete = true;
			return PV_RING_SOUND;
		}
		fault = pv_walk_buffer(ring, chain, pv_gpa_of(pv_le64_get(desc.addr)),
		                       pv_le32_get(desc.len),
		                       pv_le16_get(desc.flags) & VIRTQ_DESC_F_WRITE);
		if (fault)
			return fault;
	}
	return PV_RING_SOUND;
}

enum pv_ring_fault pv_dev_packed_walk_desc(struct pv_dev_ring *ring, struct pv_chain *chain,
                                           const struct pvirtq_desc *desc, uint16_t flags)
{
	chain->id = pv_le16_get(desc->id);
	if (flags & VIRTQ_DESC_F_INDIRECT) {
		if (chain->descs > 1 || flags & VIRTQ_DESC_F_NEXT)
			return PV_RING_BAD_INDIRECT;
		return walk_table(ring, chain, pv_gpa_of(pv_le64_get(desc->addr)),
		                  pv_le32_get(desc->len));
	}
	return pv_walk_buffer(ring, chain, pv_gpa_of(pv_le64_get(desc->addr)),
	                      pv_le32_get(desc->len), flags & VIRTQ_DESC_F_WRITE);
}

/* Walks a chain from `position`, which ends up behind it. The head's flags were read already. */
static enum pv_ring_fault walk(struct pv_dev_ring *ring, struct pv_chain *chain, uint16_t flags,
                               struct pv_ring_position *position)
{
	const uint32_t room = (uint32_t)ring->size - ring->in_flight_descs - pv_batched_descs(ring);

	for (chain->descs = 1; chain->descs <= room; chain->descs++) {
		enum pv_ring_fault fault;
		struct pvirtq_desc desc;

		pv_copy_once(&desc, &ring->packed[position->avail], sizeof(desc));
		if (chain->descs > 1) {
			flags = pv_le16_get(desc.flags);
			if (!pv_dev_packed_is_available(flags, position->avail_wrap))
				return PV_RING_BAD_NEXT;
		}
		pv_dev_packed_step(ring, &position->avail, &position->avail_wrap, 1);
		if (__builtin_expect(ring->inflight != NULL, 0))
			pv_inflight_packed_note(ring->inflight, &desc, flags, chain->descs == 1);
		fault = pv_dev_packed_walk_desc(ring, chain, &desc, flags);
		if (fault || !(flags & VIRTQ_DESC_F_NEXT))
			return fault;
	}
	return room < ring->size ? PV_RING_TOO_MANY : PV_RING_LOOP;
}

/*
 * A chain that is its head alone, whose flags were read already, or else false; then what was read
 * of it counts for nothing. A journal has other things to note.
 */
static inline bool walk_only(struct pv_dev_ring *ring, struct pv_chain *chain, uint16_t flags)
{
	struct pvirtq_desc desc;

	if (flags & (VIRTQ_DESC_F_NEXT | VIRTQ_DESC_F_INDIRECT) || ring->inflight ||
	    ring->in_flight_descs >= ring->size)
		return false;
	pv_copy_once(&desc, &ring->packed[ring->at.avail], sizeof(desc));
	chain->id = pv_le16_get(desc.id);
	chain->descs = 1;
	return pv_walk_only(ring, chain, pv_gpa_of(pv_le64_get(desc.addr)), pv_le32_get(desc.len),
	                    flags & VIRTQ_DESC_F_WRITE);
}

/* Apart, so that it costs nothing where it is not needed. */
static __attribute__((noinline)) enum pv_take take_any(struct pv_dev_ring *ring,
                                                       struct pv_chain *chain, uint16_t flags)
{
	struct pv_ring_position position = ring->at;
	enum pv_ring_fault fault;

	pv_walk_start(ring, chain);
	fault = walk(ring, chain, flags, &position);
	if (fault)
		return pv_dev_ring_broken(ring, fault);
	ring->at = position;
	pv_walk_finish(ring, chain);
	return PV_TAKEN;
}

static PV_IN_ONE_PIECE enum pv_take take_next(struct pv_dev_ring *ring, struct pv_chain *chain)
{
	/* Publish - observe, with the driver's store of the head's flags. */
	uint16_t flags = pv_observe_le16(&ring->packed[ring->at.avail].flags);

	if (!pv_dev_packed_is_available(flags, ring->at.avail_wrap))
		return PV_TAKE_NONE;
	if (!walk_only(ring, chain, flags))
		return take_any(ring, chain, flags);
	pv_walk_book(ring, chain);
	pv_dev_packed_step(ring, &ring->at.avail, &ring->at.avail_wrap, 1);
	return PV_TAKEN;
}

enum pv_take pv_dev_packed_take(struct pv_dev_ring *ring, struct pv_chain *chain)
{
	return take_next(ring, chain);
}

uint16_t pv_dev_packed_take_run(struct pv_dev_ring *ring, const struct pv_chain_room *room)
{
	return pv_walk_run(ring, room, take_next);
}

/*
 * The first used descriptor of a batch gets its flags last, in publish: the driver looks at that
 * one next and finds the others behind it, in any order they were written.
 */
static inline void write_used(struct pv_dev_ring *ring, uint16_t id, uint16_t places,
                              uint32_t bytes)
{
	struct pvirtq_desc *desc = &ring->packed[ring->at.used];
	uint16_t flags = ring->at.used_wrap ? PV_AVAIL_USED : 0;

	if (bytes > 0)
		flags |= VIRTQ_DESC_F_WRITE;
	pv_write_le16(&desc->id, id);
	pv_write_le32(&desc->len, bytes);
	if (ring->pending_slot == PV_NO_SLOT) {
		ring->pending_slot = ring->at.used;
		ring->pending_flags = flags;
	} else {
		pv_write_le16(&desc->flags, flags);
	}
	pv_dev_wrote_descriptor(ring, ring->at.used);
	pv_dev_packed_step(ring, &ring->at.used, &ring->at.used_wrap, places);
}

void pv_dev_packed_used(struct pv_dev_ring *ring, uint16_t id, uint16_t places, uint32_t bytes)
{
	write_used(ring, id, places, bytes);
}

void pv_dev_packed_used_run(struct pv_dev_ring *ring, const struct pv_chain *chain,
                            const uint32_t *written_bytes, uint16_t count)
{
	for (uint16_t i = 0; i < count; i++)
		write_used(ring, chain[i].id, chain[i].descs, written_bytes ? written_bytes[i] : 0);
}

/* Places published since the last decision, at most one more than a lap. */
static void count_undecided(struct pv_dev_ring *ring)
{
	uint32_t moved = (uint32_t)ring->at.used + ring->size - ring->published;

	ring->undecided += moved > ring->size ? moved - ring->size : moved;
	if (ring->undecided > ring->size)
		ring->undecided = ring->size + 1u;
}

bool pv_dev_packed_publish(struct pv_dev_ring *ring)
{
	if (ring->pending_slot == PV_NO_SLOT)
		return false;
	count_undecided(ring);
	/* Publish - observe: the batch, and all the device wrote to its buffers. */
	pv_publish_le16(&ring->packed[ring->pending_slot].flags, ring->pending_flags);
	pv_dev_wrote_descriptor(ring, ring->pending_slot);
	ring->pending_slot = PV_NO_SLOT;
	ring->published = ring->at.used;
	ring->published_wrap = ring->at.used_wrap;
	return true;
}

bool pv_dev_packed_must_interrupt(struct pv_dev_ring *ring)
{
	/* The driver writes the offset before the flag that makes it count. */
	uint16_t flags = pv_observe_le16(&ring->driver_event->flags) & VIRTQ_EVENT_F_MASK;
	uint32_t undecided = ring->undecided;
	uint32_t before;

	ring->undecided = 0;
	if (flags != VIRTQ_EVENT_F_DESC || !ring->has_event_idx)
		return flags != VIRTQ_EVENT_F_DISABLE;
	if (undecided > ring->size)
		return true; /* more than once around: it passed everything */
	before = (ring->published + ring->size - undecided) % ring->size;
	return pv_notify_passed_packed(pv_read_le16(&ring->driver_event->off_wrap), ring->published,
	                               (uint16_t)before, ring->published_wrap, ring->size);
}

bool pv_dev_packed_kicks_on(struct pv_dev_ring *ring)
{
	uint16_t flags = VIRTQ_EVENT_F_ENABLE;

	ring->are_kicks_on = true;
	if (ring->has_event_idx) {
		uint16_t wrap = ring->at.avail_wrap ? VIRTQ_EVENT_WRAP : 0;

		pv_write_le16(&ring->device_event->off_wrap, ring->at.avail | wrap);
		flags = VIRTQ_EVENT_F_DESC;
	}
	/* The offset must be there before the flag that makes it count. */
	pv_publish_le16(&ring->device_event->flags, flags);
	pv_dev_wrote_field(ring, ring->device_event, sizeof(*ring->device_event));
	pv_full_barrier(); /* arm - recheck, with the driver's publish - decide */
	return pv_dev_packed_is_available(pv_observe_le16(&ring->packed[ring->at.avail].flags),
	                                  ring->at.avail_wrap);
}

void pv_dev_packed_kicks_off(struct pv_dev_ring *ring)
{
	pv_write_le16(&ring->device_event->flags, VIRTQ_EVENT_F_DISABLE);
	pv_dev_wrote_field(ring, ring->device_event, sizeof(*ring->device_event));
}
