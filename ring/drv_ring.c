/* SPDX-License-Identifier: BSD-2-Clause */
#include "ring/drv_ring.h"

#include "abi/virtio_features.h"
#include "ring/drv_chain.h"
#include "ring/err.h"

size_t pv_drv_ring_private_bytes(uint16_t size)
{
	return sizeof(struct pv_drv_slot) * size;
}

struct pv_ring_bytes pv_ring_bytes(uint64_t features, uint16_t size)
{
	if (features & VIRTIO_F_RING_PACKED)
		return (struct pv_ring_bytes){
			.desc_area = sizeof(struct pvirtq_desc) * (size_t)size,
			.driver_area = sizeof(struct pvirtq_event_suppress),
			.device_area = sizeof(struct pvirtq_event_suppress),
		};
	return (struct pv_ring_bytes){
		.desc_area = virtq_desc_bytes(size),
		.driver_area = virtq_avail_bytes(size),
		.device_area = virtq_used_bytes(size),
	};
}

static bool can_be_size(uint16_t size, bool is_packed)
{
	if (size == 0 || size > VIRTQ_SIZE_MAX)
		return false;
	return is_packed || (size & (size - 1)) == 0;
}

/* Each slot leads to the next: the free list, and in-order the order of the ring. */
static void link_slots(struct pv_drv_ring *ring)
{
	for (uint16_t i = 0; i < ring->size; i++)
		ring->slot[i].next = i + 1 < ring->size ? (uint16_t)(i + 1) : 0;
}

static void place_areas(struct pv_drv_ring *ring, const struct pv_drv_ring_memory *memory)
{
	if (ring->is_packed) {
		ring->packed = memory->desc_area;
		ring->driver_event = memory->driver_area;
		ring->device_event = memory->device_area;
	} else {
		ring->table = memory->desc_area;
		ring->avail = memory->driver_area;
		ring->used = memory->device_area;
	}
}

int pv_drv_ring_init(struct pv_drv_ring *ring, uint64_t features, uint16_t size,
                     const struct pv_drv_ring_memory *memory)
{
	const bool is_packed = features & VIRTIO_F_RING_PACKED;

	if (!can_be_size(size, is_packed))
		return -PV_EINVAL;
	*ring = (struct pv_drv_ring){
		.size = size,
		.is_packed = is_packed,
		.has_indirect = features & VIRTIO_F_INDIRECT_DESC && memory->indirect,
		.has_event_idx = features & VIRTIO_F_EVENT_IDX,
		.has_in_order = features & VIRTIO_F_IN_ORDER,
		.indirect = memory->indirect,
		.indirect_gpa = memory->indirect_gpa,
		.indirect_max = memory->indirect_max,
		.slot = memory->private_area,
		.free_descs = size,
		.at = pv_ring_position_fresh(),
		.published_wrap = true,
		.are_interrupts_on = true,
	};
	place_areas(ring, memory);
	link_slots(ring);
	pv_drv_ring_interrupts_off(ring);
	return 0;
}

/* Decides how a chain goes in. Returns 0 or why it does not. */
static int plan(const struct pv_drv_ring *ring, struct pv_drv_chain *chain, uint32_t buffers)
{
	if (buffers == 0 || buffers > ring->size)
		return -PV_EINVAL;
	chain->buffers = (uint16_t)buffers;
	chain->is_indirect = ring->has_indirect && buffers > 1 && buffers <= ring->indirect_max;
	chain->places = chain->is_indirect ? 1 : chain->buffers;
	return chain->places > ring->free_descs ? -PV_ENOSPC : 0;
}

static uint64_t sum_bytes(const struct pv_sg *sg, uint32_t count)
{
	uint64_t bytes = 0;

	for (uint32_t i = 0; i < count; i++)
		bytes += sg[i].bytes;
	return bytes;
}

int pv_drv_ring_add(struct pv_drv_ring *ring, const struct pv_sg *sg, uint16_t readable,
                    uint16_t writable, void *token)
{
	struct pv_drv_chain chain = { .sg = sg, .readable = readable };
	struct pv_drv_slot *slot;
	uint64_t writable_bytes;
	int error;

	if (ring->is_broken)
		return -PV_EBROKEN;
	error = plan(ring, &chain, (uint32_t)readable + writable);
	if (error)
		return error;
	writable_bytes = sum_bytes(sg + readable, writable);
	if (!token || sum_bytes(sg, readable) + writable_bytes > UINT32_MAX)
		return -PV_EINVAL;
	slot = &ring->slot[ring->is_packed ? pv_drv_packed_add(ring, &chain)
	                                   : pv_drv_split_add(ring, &chain)];
	slot->token = token;
	slot->writable_bytes = (uint32_t)writable_bytes;
	slot->descs = chain.places;
	ring->free_descs = (uint16_t)(ring->free_descs - chain.places);
	return 0;
}

bool pv_drv_ring_publish(struct pv_drv_ring *ring)
{
	if (ring->is_packed ? !ring->is_pending : ring->published == ring->at.avail)
		return false;
	if (ring->is_packed)
		pv_drv_packed_publish(ring);
	else
		pv_drv_split_publish(ring);
	return true;
}

bool pv_drv_ring_must_kick(struct pv_drv_ring *ring)
{
	bool must_kick;

	if (ring->undecided == 0)
		return false;
	pv_full_barrier(); /* publish - decide, with the device's arm - recheck */
	must_kick = ring->is_packed ? pv_drv_packed_must_kick(ring) : pv_drv_split_must_kick(ring);
	ring->undecided = 0;
	return must_kick;
}

/* Does the batch's used entry cover the chain that comes back next, as far as we can tell? */
static bool is_covered(const struct pv_drv_ring *ring)
{
	if (ring->is_packed)
		return !ring->is_pending || ring->at.used != ring->published;
	return ring->at.used != ring->used_seen;
}

static bool is_in_flight(const struct pv_drv_ring *ring, uint32_t id)
{
	return id < ring->size && ring->slot[id].descs > 0;
}

/* The next used entry; inside a batch there is none to read. */
static enum pv_drv_take look(struct pv_drv_ring *ring, struct pv_drv_used *used)
{
	enum pv_drv_take seen;

	if (ring->is_in_batch)
		return is_covered(ring) ? PV_DRV_TAKEN : PV_DRV_BROKEN;
	seen = ring->is_packed ? pv_drv_packed_look(ring, used) : pv_drv_split_look(ring, used);
	if (seen == PV_DRV_TAKEN && !is_in_flight(ring, used->id))
		return PV_DRV_BROKEN;
	return seen;
}

/*
 * In-order, the oldest chain comes back whatever the entry names: that is where its batch ends.
 * All chains in flight follow the oldest one, so the end is reached.
 */
static void keep_order(struct pv_drv_ring *ring, struct pv_drv_used *used)
{
	if (!ring->is_in_batch) {
		ring->batch_end = (uint16_t)used->id;
		ring->batch_end_bytes = used->bytes;
	}
	ring->is_in_batch = ring->oldest != ring->batch_end;
	used->id = ring->oldest;
	used->bytes = ring->is_in_batch ? ring->slot[ring->oldest].writable_bytes
	                                : ring->batch_end_bytes;
}

static uint16_t step(const struct pv_drv_ring *ring, uint16_t at, uint16_t places)
{
	uint32_t next = (uint32_t)at + places;

	return (uint16_t)(next < ring->size ? next : next - ring->size);
}

/* Behind the used entry of a chain of `descs` places. */
static void pass_used(struct pv_drv_ring *ring, uint16_t descs)
{
	uint16_t before = ring->at.used;

	if (!ring->is_packed) {
		ring->at.used++;
		return;
	}
	ring->at.used = step(ring, before, descs);
	if (ring->at.used <= before)
		ring->at.used_wrap = !ring->at.used_wrap;
}

/* Puts a chain's places back where the next ones are taken from. */
static void release(struct pv_drv_ring *ring, uint16_t id)
{
	struct pv_drv_slot *slot = &ring->slot[id];
	uint16_t descs = slot->descs, last = id;

	slot->descs = 0;
	ring->free_descs = (uint16_t)(ring->free_descs + descs);
	if (ring->has_in_order) {
		ring->oldest = step(ring, ring->oldest, descs);
		return;
	}
	if (!ring->is_packed)
		for (uint16_t i = 1; i < descs; i++)
			last = ring->slot[last].next;
	ring->slot[last].next = ring->free_head;
	ring->free_head = id;
}

enum pv_drv_take pv_drv_ring_take(struct pv_drv_ring *ring, void **token, uint32_t *written_bytes)
{
	struct pv_drv_used used = { 0 };
	enum pv_drv_take seen;
	struct pv_drv_slot *slot;

	if (__builtin_expect(ring->is_broken, 0))
		return PV_DRV_BROKEN;
	seen = look(ring, &used);
	if (seen != PV_DRV_TAKEN) {
		ring->is_broken = seen == PV_DRV_BROKEN;
		return seen;
	}
	if (ring->has_in_order)
		keep_order(ring, &used);
	slot = &ring->slot[used.id];
	if (used.bytes > slot->writable_bytes) {
		used.bytes = slot->writable_bytes;
		ring->lies++;
	}
	*token = slot->token;
	*written_bytes = used.bytes;
	pass_used(ring, slot->descs);
	release(ring, (uint16_t)used.id);
	return PV_DRV_TAKEN;
}

bool pv_drv_ring_interrupts_on(struct pv_drv_ring *ring)
{
	bool has_used;

	if (ring->is_broken)
		return false;
	has_used = ring->is_packed ? pv_drv_packed_interrupts_on(ring)
	                           : pv_drv_split_interrupts_on(ring);
	ring->are_interrupts_on = true;
	return has_used || ring->is_in_batch;
}

void pv_drv_ring_interrupts_off(struct pv_drv_ring *ring)
{
	if (!ring->are_interrupts_on)
		return;
	ring->are_interrupts_on = false;
	if (ring->is_packed)
		pv_drv_packed_interrupts_off(ring);
	else
		pv_drv_split_interrupts_off(ring);
}

uint16_t pv_drv_ring_next(const struct pv_drv_ring *ring)
{
	uint16_t wrap = ring->is_packed && ring->published_wrap ? VIRTQ_EVENT_WRAP : 0;

	return (uint16_t)(ring->published | wrap);
}

void *pv_drv_ring_in_flight(const struct pv_drv_ring *ring, uint16_t *at)
{
	while (*at < ring->size) {
		const struct pv_drv_slot *slot = &ring->slot[(*at)++];

		if (slot->descs > 0)
			return slot->token;
	}
	return NULL;
}

void *pv_drv_ring_detach(struct pv_drv_ring *ring)
{
	void *token = pv_drv_ring_in_flight(ring, &ring->detach_at);

	ring->is_broken = true;
	if (token)
		ring->slot[ring->detach_at - 1].descs = 0;
	return token;
}
