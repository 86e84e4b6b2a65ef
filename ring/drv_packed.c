/* SPDX-License-Identifier: BSD-2-Clause */
/* The driver's role on a packed ring (virtio 1.3, section 2.8). */
#include "ring/drv_chain.h"
#include "ring/notify.h"

#define AVAIL_USED (VIRTQ_DESC_F_AVAIL | VIRTQ_DESC_F_USED)

static void write_desc(struct pvirtq_desc *desc, const struct pv_sg *sg, uint16_t id)
{
	pv_write_le64(&desc->addr, sg->addr.v);
	pv_write_le32(&desc->len, sg->bytes);
	pv_write_le16(&desc->id, id);
}

/*
 * Writes a descriptor in the ring's next place.  The first one since the last publish gets its
 * flags from there: the device comes to it first and looks no further until it is available.
 */
static void put(struct pv_drv_ring *ring, const struct pv_sg *sg, uint16_t id, uint16_t flags)
{
	struct pvirtq_desc *desc = &ring->packed[ring->at.avail];

	flags |= ring->at.avail_wrap ? VIRTQ_DESC_F_AVAIL : VIRTQ_DESC_F_USED;
	write_desc(desc, sg, id);
	if (ring->is_pending) {
		pv_write_le16(&desc->flags, flags);
	} else {
		ring->is_pending = true;
		ring->pending_flags = flags;
	}
	if (++ring->at.avail == ring->size) {
		ring->at.avail = 0;
		ring->at.avail_wrap = !ring->at.avail_wrap;
	}
}

static struct pv_sg fill_table(struct pv_drv_ring *ring, const struct pv_drv_chain *chain,
                               uint16_t id)
{
	struct pv_gpa gpa;
	struct pvirtq_desc *table = pv_drv_table(ring, id, &gpa);

	for (uint16_t i = 0; i < chain->buffers; i++) {
		write_desc(&table[i], &chain->sg[i], 0);
		pv_write_le16(&table[i].flags, pv_drv_direction(chain, i));
	}
	return (struct pv_sg){ gpa, (uint32_t)(chain->buffers * sizeof(*table)) };
}

/* In-order, a chain goes by its place in the ring, so that the next one's id is known. */
static uint16_t take_id(struct pv_drv_ring *ring)
{
	uint16_t id = ring->free_head;

	if (ring->has_in_order)
		return ring->at.avail;
	ring->free_head = ring->slot[id].next;
	return id;
}

uint16_t pv_drv_packed_add(struct pv_drv_ring *ring, const struct pv_drv_chain *chain)
{
	uint16_t id = take_id(ring);

	if (chain->is_indirect) {
		struct pv_sg table = fill_table(ring, chain, id);

		put(ring, &table, id, VIRTQ_DESC_F_INDIRECT);
		return id;
	}
	for (uint16_t i = 0; i < chain->buffers; i++)
		put(ring, &chain->sg[i], id, pv_drv_direction(chain, i) | pv_drv_link(chain, i));
	return id;
}

/* Places from `from` to `to`, of which there is at least one. */
static uint32_t distance(const struct pv_drv_ring *ring, uint16_t from, uint16_t to)
{
	return to > from ? (uint32_t)(to - from) : (uint32_t)to + ring->size - from;
}

void pv_drv_packed_publish(struct pv_drv_ring *ring)
{
	/* Publish - observe: the whole batch, and what lies in its buffers. */
	pv_publish_le16(&ring->packed[ring->published].flags, ring->pending_flags);
	ring->is_pending = false;
	ring->undecided += distance(ring, ring->published, ring->at.avail);
	ring->published = ring->at.avail;
	ring->published_wrap = ring->at.avail_wrap;
}

bool pv_drv_packed_must_kick(const struct pv_drv_ring *ring)
{
	/* The device writes the offset before the flag that makes it count. */
	uint16_t flags = pv_observe_le16(&ring->device_event->flags) & VIRTQ_EVENT_F_MASK;
	uint32_t before;

	if (flags != VIRTQ_EVENT_F_DESC || !ring->has_event_idx)
		return flags != VIRTQ_EVENT_F_DISABLE;
	if (ring->undecided > ring->size)
		return true; /* more than once around: it passed everything */
	before = (ring->published + ring->size - ring->undecided) % ring->size;
	return pv_notify_passed_packed(pv_read_le16(&ring->device_event->off_wrap), ring->published,
	                               (uint16_t)before, ring->published_wrap, ring->size);
}

/* A used descriptor carries the device's wrap counter in both bits. */
static bool is_used(const struct pv_drv_ring *ring, uint16_t flags)
{
	/* What we have not published, the device cannot have used. */
	if (ring->is_pending && ring->at.used == ring->published)
		return false;
	return (flags & AVAIL_USED) == (ring->at.used_wrap ? AVAIL_USED : 0);
}

enum pv_drv_take pv_drv_packed_look(struct pv_drv_ring *ring, struct pv_drv_used *used)
{
	const struct pvirtq_desc *desc = &ring->packed[ring->at.used];
	/* Publish - observe, with the device's store of the flags. */
	uint16_t flags = pv_observe_le16(&desc->flags);

	if (!is_used(ring, flags))
		return PV_DRV_NONE;
	used->id = pv_read_le16(&desc->id);
	/* Section 2.8.5 wants WRITE where there is a length. QEMU gives the length and no WRITE. */
	used->bytes = pv_read_le32(&desc->len);
	return PV_DRV_TAKEN;
}

bool pv_drv_packed_interrupts_on(struct pv_drv_ring *ring)
{
	uint16_t flags = VIRTQ_EVENT_F_ENABLE;

	if (ring->has_event_idx) {
		uint16_t wrap = ring->at.used_wrap ? VIRTQ_EVENT_WRAP : 0;

		pv_write_le16(&ring->driver_event->off_wrap, ring->at.used | wrap);
		flags = VIRTQ_EVENT_F_DESC;
	}
	/* The offset must be there before the flag that makes it count. */
	if (!ring->are_interrupts_on)
		pv_publish_le16(&ring->driver_event->flags, flags);
	pv_full_barrier(); /* arm - recheck, with the device's publish - decide */
	return is_used(ring, pv_observe_le16(&ring->packed[ring->at.used].flags));
}

void pv_drv_packed_interrupts_off(struct pv_drv_ring *ring)
{
	pv_write_le16(&ring->driver_event->flags, VIRTQ_EVENT_F_DISABLE);
}
