/* SPDX-License-Identifier: BSD-2-Clause */
/* The device's role on a split ring (virtio 1.3, section 2.7). */
#include "ring/dev_log.h"
#include "ring/inflight.h"
#include "ring/notify.h"

static const struct pv_le16 *used_event(const struct pv_dev_ring *ring)
{
	return &ring->avail->ring[ring->size];
}

static struct pv_le16 *avail_event(struct pv_dev_ring *ring)
{
	return (struct pv_le16 *)&ring->used->ring[ring->size];
}

/* How many chains the driver says it has made available that were not taken. Not yet checked. */
static uint16_t available(const struct pv_dev_ring *ring)
{
	/* Publish - observe, with the driver's store of its index. */
	return (uint16_t)(pv_observe_le16(&ring->avail->idx) - ring->at.avail);
}

/* Walks an indirect table, whose descriptors are chained by `next` like those of the ring. */
static enum pv_ring_fault walk_table(struct pv_dev_ring *ring, struct pv_chain *chain,
                                     struct pv_gpa addr, uint32_t bytes)
{
	struct pv_table table;
	enum pv_ring_fault fault = pv_table_open(ring, addr, bytes, &table);
	uint32_t at = 0;

	if (fault)
		return fault;
	for (uint32_t step = 0; step < pv_indirect_max(ring); step++) {
		struct virtq_desc desc;
		uint16_t flags;

		if (!pv_table_read(ring, &table, at, &desc)) {
			chain->is_incomplete = true;
			return PV_RING_SOUND;
		}
		flags = pv_le16_get(desc.flags);
		if (flags & VIRTQ_DESC_F_INDIRECT)
			return PV_RING_BAD_INDIRECT;
		fault = pv_walk_buffer(ring, chain, pv_gpa_of(pv_le64_get(desc.addr)),
		                       pv_le32_get(desc.len), flags & VIRTQ_DESC_F_WRITE);
		if (fault || !(flags & VIRTQ_DESC_F_NEXT))
			return fault;
		at = pv_le16_get(desc.next);
		if (at >= table.count)
			return PV_RING_BAD_NEXT;
	}
	return PV_RING_LOOP;
}

/* Walks a chain through the descriptor table; its last descriptor may name an indirect table. */
static enum pv_ring_fault walk(struct pv_dev_ring *ring, struct pv_chain *chain)
{
	uint16_t at = chain->id;

	for (uint32_t step = 0; step < ring->size; step++) {
		enum pv_ring_fault fault;
		struct virtq_desc desc;
		uint16_t flags;

		pv_copy_once(&desc, &ring->table[at], sizeof(desc));
		flags = pv_le16_get(desc.flags);
		if (flags & VIRTQ_DESC_F_INDIRECT) {
			if (flags & VIRTQ_DESC_F_NEXT)
				return PV_RING_BAD_INDIRECT;
			return walk_table(ring, chain, pv_gpa_of(pv_le64_get(desc.addr)),
			                  pv_le32_get(desc.len));
		}
		fault = pv_walk_buffer(ring, chain, pv_gpa_of(pv_le64_get(desc.addr)),
		                       pv_le32_get(desc.len), flags & VIRTQ_DESC_F_WRITE);
		if (fault || !(flags & VIRTQ_DESC_F_NEXT))
			return fault;
		at = pv_le16_get(desc.next);
		if (at >= ring->size)
			return PV_RING_BAD_NEXT;
	}
	return PV_RING_LOOP;
}

/* A chain that is its head alone, or else false; then what was read of it counts for nothing. */
static inline bool walk_only(struct pv_dev_ring *ring, struct pv_chain *chain)
{
	struct virtq_desc desc;
	uint16_t flags;

	pv_copy_once(&desc, &ring->table[chain->id], sizeof(desc));
	flags = pv_le16_get(desc.flags);
	return !(flags & (VIRTQ_DESC_F_NEXT | VIRTQ_DESC_F_INDIRECT)) &&
	       pv_walk_only(ring, chain, pv_gpa_of(pv_le64_get(desc.addr)), pv_le32_get(desc.len),
	                    flags & VIRTQ_DESC_F_WRITE);
}

/* Apart, so that it costs nothing where it is not needed. */
static __attribute__((noinline)) enum pv_ring_fault walk_any(struct pv_dev_ring *ring,
                                                             struct pv_chain *chain)
{
	enum pv_ring_fault fault;

	pv_walk_start(ring, chain);
	fault = walk(ring, chain);
	if (!fault)
		pv_walk_finish(ring, chain);
	return fault;
}

static PV_IN_ONE_PIECE enum pv_ring_fault walk_from(struct pv_dev_ring *ring,
                                                    struct pv_chain *chain, uint16_t head)
{
	chain->id = head;
	chain->descs = 1;
	if (!walk_only(ring, chain))
		return walk_any(ring, chain);
	pv_walk_book(ring, chain);
	return PV_RING_SOUND;
}

enum pv_ring_fault pv_dev_split_walk(struct pv_dev_ring *ring, struct pv_chain *chain,
                                     uint16_t head)
{
	return walk_from(ring, chain, head);
}

static PV_IN_ONE_PIECE enum pv_take take_next(struct pv_dev_ring *ring, struct pv_chain *chain)
{
	enum pv_ring_fault fault;
	uint16_t head;

	if (ring->at.avail == ring->avail_seen) {
		uint16_t waiting = available(ring);

		if (waiting == 0)
			return PV_TAKE_NONE;
		if (waiting > ring->size)
			return pv_dev_ring_broken(ring, PV_RING_BAD_INDEX);
		ring->avail_seen = (uint16_t)(ring->at.avail + waiting);
	}
	if (ring->in_flight + pv_batched(ring) >= ring->size)
		return pv_dev_ring_broken(ring, PV_RING_TOO_MANY);
	head = pv_read_le16(&ring->avail->ring[ring->at.avail & (ring->size - 1)]);
	if (head >= ring->size)
		return pv_dev_ring_broken(ring, PV_RING_BAD_HEAD);
	fault = walk_from(ring, chain, head);
	if (fault)
		return pv_dev_ring_broken(ring, fault);
	ring->at.avail++;
	return PV_TAKEN;
}

enum pv_take pv_dev_split_take(struct pv_dev_ring *ring, struct pv_chain *chain)
{
	return take_next(ring, chain);
}

uint16_t pv_dev_split_take_run(struct pv_dev_ring *ring, const struct pv_chain_room *room)
{
	return pv_walk_run(ring, room, take_next);
}

static inline void write_used(struct pv_dev_ring *ring, uint16_t id, uint32_t bytes)
{
	struct virtq_used_elem *entry = &ring->used->ring[ring->at.used & (ring->size - 1)];

	pv_write_le32(&entry->id, id);
	pv_write_le32(&entry->len, bytes);
	pv_dev_wrote_field(ring, entry, sizeof(*entry));
}

/*
 * `places` counts the chains that this entry covers: one, or on an in-order queue those skipped
 * before it too, which the used index counts although their entries stay unwritten.
 */
void pv_dev_split_used(struct pv_dev_ring *ring, uint16_t id, uint16_t places, uint32_t bytes)
{
	write_used(ring, id, bytes);
	ring->at.used = (uint16_t)(ring->at.used + places);
}

void pv_dev_split_used_run(struct pv_dev_ring *ring, const struct pv_chain *chain,
                           const uint32_t *written_bytes, uint16_t count)
{
	for (uint16_t i = 0; i < count; i++, ring->at.used++)
		write_used(ring, chain[i].id, written_bytes ? written_bytes[i] : 0);
}

bool pv_dev_split_publish(struct pv_dev_ring *ring)
{
	if (ring->published == ring->at.used)
		return false;
	/* Publish - observe: the used entries, and all the device wrote to their buffers. */
	pv_publish_le16(&ring->used->idx, ring->at.used);
	pv_dev_wrote_field(ring, &ring->used->idx, sizeof(ring->used->idx));
	ring->published = ring->at.used;
	return true;
}

bool pv_dev_split_must_interrupt(struct pv_dev_ring *ring)
{
	uint16_t before = ring->signalled;

	ring->signalled = ring->published;
	if (ring->has_event_idx)
		return pv_notify_passed(pv_read_le16(used_event(ring)), ring->published, before);
	return !(pv_read_le16(&ring->avail->flags) & VIRTQ_AVAIL_F_NO_INTERRUPT);
}

static void write_flags(struct pv_dev_ring *ring, uint16_t flags)
{
	pv_write_le16(&ring->used->flags, flags);
	pv_dev_wrote_field(ring, &ring->used->flags, sizeof(ring->used->flags));
}

static void write_event(struct pv_dev_ring *ring, uint16_t index)
{
	pv_write_le16(avail_event(ring), index);
	pv_dev_wrote_field(ring, avail_event(ring), sizeof(struct pv_le16));
}

bool pv_dev_split_kicks_on(struct pv_dev_ring *ring)
{
	ring->are_kicks_on = true;
	if (ring->has_event_idx)
		write_event(ring, ring->at.avail);
	else
		write_flags(ring, 0);
	pv_full_barrier(); /* arm - recheck, with the driver's publish - decide */
	return available(ring) != 0;
}

void pv_dev_split_kicks_off(struct pv_dev_ring *ring)
{
	/*
	 * An index that the driver has passed asks for no kick until it comes round, 65536 chains
	 * later. One that it has not passed, since something else than a kick woke the device,
	 * would ask for one at the very next chain: it is moved as far away as it goes.
	 */
	if (!ring->has_event_idx)
		write_flags(ring, VIRTQ_USED_F_NO_NOTIFY);
	else if (available(ring) == 0)
		write_event(ring, ring->at.avail + 0x8000);
}
