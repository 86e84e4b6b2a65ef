/* SPDX-License-Identifier: BSD-2-Clause */
/* The driver's role on a split ring (virtio 1.3, section 2.7). */
#include "ring/drv_chain.h"
#include "ring/notify.h"

static struct pv_le16 *used_event(struct pv_drv_ring *ring)
{
	return &ring->avail->ring[ring->size];
}

static const struct pv_le16 *avail_event(const struct pv_drv_ring *ring)
{
	return (const struct pv_le16 *)&ring->used->ring[ring->size];
}

static void write_desc(struct virtq_desc *desc, const struct pv_sg *sg, uint16_t flags,
                       uint16_t next)
{
	pv_write_le64(&desc->addr, sg->addr.v);
	pv_write_le32(&desc->len, sg->bytes);
	pv_write_le16(&desc->flags, flags);
	pv_write_le16(&desc->next, next);
}

static struct pv_sg fill_table(struct pv_drv_ring *ring, const struct pv_drv_chain *chain,
                               uint16_t head)
{
	struct pv_gpa gpa;
	struct virtq_desc *table = pv_drv_table(ring, head, &gpa);

	for (uint16_t i = 0; i < chain->buffers; i++)
		write_desc(&table[i], &chain->sg[i],
		           pv_drv_direction(chain, i) | pv_drv_link(chain, i), (uint16_t)(i + 1));
	return (struct pv_sg){ gpa, (uint32_t)(chain->buffers * sizeof(*table)) };
}

uint16_t pv_drv_split_add(struct pv_drv_ring *ring, const struct pv_drv_chain *chain)
{
	uint16_t head = ring->free_head, at = head;

	if (chain->is_indirect) {
		struct pv_sg table = fill_table(ring, chain, head);

		write_desc(&ring->table[head], &table, VIRTQ_DESC_F_INDIRECT, 0);
		at = ring->slot[head].next;
	} else {
		for (uint16_t i = 0; i < chain->buffers; i++) {
			uint16_t next = ring->slot[at].next;

			write_desc(&ring->table[at], &chain->sg[i],
			           pv_drv_direction(chain, i) | pv_drv_link(chain, i), next);
			at = next;
		}
	}
	ring->free_head = at;
	pv_write_le16(&ring->avail->ring[ring->at.avail & (ring->size - 1)], head);
	ring->at.avail++;
	return head;
}

void pv_drv_split_publish(struct pv_drv_ring *ring)
{
	/* Publish - observe: the entries, their descriptors, and what lies in the buffers. */
	pv_publish_le16(&ring->avail->idx, ring->at.avail);
	ring->undecided += (uint16_t)(ring->at.avail - ring->published);
	ring->published = ring->at.avail;
}

bool pv_drv_split_must_kick(const struct pv_drv_ring *ring)
{
	if (!ring->has_event_idx)
		return !(pv_read_le16(&ring->used->flags) & VIRTQ_USED_F_NO_NOTIFY);
	if (ring->undecided > UINT16_MAX)
		return true; /* the index came round: it passed everything */
	return pv_notify_passed(pv_read_le16(avail_event(ring)), ring->published,
	                        (uint16_t)(ring->published - ring->undecided));
}

enum pv_drv_take pv_drv_split_look(struct pv_drv_ring *ring, struct pv_drv_used *used)
{
	const struct virtq_used_elem *entry;

	if (ring->used_seen == ring->at.used) {
		uint16_t in_flight = (uint16_t)(ring->published - ring->at.used);
		/* Publish - observe, with the device's store of its index. */
		uint16_t seen = pv_observe_le16(&ring->used->idx);

		if ((uint16_t)(seen - ring->at.used) > in_flight)
			return PV_DRV_BROKEN;
		if (seen == ring->at.used)
			return PV_DRV_NONE;
		ring->used_seen = seen;
	}
	entry = &ring->used->ring[ring->at.used & (ring->size - 1)];
	used->id = pv_read_le32(&entry->id);
	used->bytes = pv_read_le32(&entry->len);
	return PV_DRV_TAKEN;
}

bool pv_drv_split_interrupts_on(struct pv_drv_ring *ring)
{
	if (ring->has_event_idx)
		pv_write_le16(used_event(ring), ring->at.used);
	else if (!ring->are_interrupts_on)
		pv_write_le16(&ring->avail->flags, 0);
	pv_full_barrier(); /* arm - recheck, with the device's publish - decide */
	return pv_observe_le16(&ring->used->idx) != ring->at.used;
}

void pv_drv_split_interrupts_off(struct pv_drv_ring *ring)
{
	/* An event left behind asks for nothing until the index comes round, 65535 chains later. */
	if (ring->has_event_idx)
		pv_write_le16(used_event(ring), (uint16_t)(ring->at.used - 1));
	else
		pv_write_le16(&ring->avail->flags, VIRTQ_AVAIL_F_NO_INTERRUPT);
}
