/* SPDX-License-Identifier: BSD-2-Clause */
#include "ring/dev_ring.h"

#include "abi/virtio_features.h"
#include "ring/dev_log.h"
#include "ring/dev_walk.h"
#include "ring/err.h"
#include "ring/inflight.h"

const char *pv_ring_fault_name(enum pv_ring_fault fault)
{
	static const char *const names[] = {
		[PV_RING_SOUND] = "sound",
		[PV_RING_BAD_INDEX] = "the available index runs ahead of the ring",
		[PV_RING_BAD_HEAD] = "an available entry names no descriptor",
		[PV_RING_BAD_NEXT] = "a chain goes on to no descriptor",
		[PV_RING_LOOP] = "a chain loops",
		[PV_RING_BAD_INDIRECT] = "an indirect table that must not be",
		[PV_RING_BAD_ORDER] = "a readable buffer behind a writable one",
		[PV_RING_TOO_MANY] = "more chains than the ring can hold",
		[PV_RING_NO_MEMORY] = "the memory of the ring is gone",
		[PV_RING_BAD_INFLIGHT] = "its in-flight region makes no sense",
	};

	return names[fault];
}

static bool is_packed(const struct pv_ring_config *config)
{
	return config->features & VIRTIO_F_RING_PACKED;
}

size_t pv_dev_ring_storage_bytes(const struct pv_ring_config *config)
{
	size_t bytes = pv_inflight_storage_bytes(config);

	if (config->features & VIRTIO_F_IN_ORDER)
		bytes += sizeof(struct pv_ring_order) * config->size;
	return bytes;
}

static int check_shape(const struct pv_ring_config *config, const struct pv_ring_position *position)
{
	if (config->size == 0 || config->size > VIRTQ_SIZE_MAX)
		return -PV_EINVAL;
	if (!is_packed(config))
		return config->size & (config->size - 1) ? -PV_EINVAL : 0;
	if (position->avail >= config->size || position->used >= config->size)
		return -PV_EINVAL;
	return 0;
}

/* One area of the ring on the host: whole, and aligned, to a power of two, on both sides. */
static int find_area(struct pv_mem_view *view, struct pv_gpa gpa, uint64_t bytes, uint64_t align,
                     void **host)
{
	if (gpa.v & (align - 1))
		return -PV_EALIGN;
	*host = pv_mem_span(view, gpa, bytes);
	if (!*host)
		return -PV_EFAULT;
	return (uintptr_t)*host & (align - 1) ? -PV_EALIGN : 0;
}

static int find_areas(struct pv_dev_ring *ring, struct pv_mem_view *view)
{
	const struct pv_ring_config *config = &ring->config;
	void *desc, *driver, *device;
	int err;

	err = find_area(view, config->desc_area, virtq_desc_bytes(ring->size), VIRTQ_ALIGN_DESC,
	                &desc);
	if (err)
		return err;
	err = find_area(view, config->driver_area,
	                ring->is_packed ? sizeof(struct pvirtq_event_suppress)
	                                : virtq_avail_bytes(ring->size),
	                ring->is_packed ? PVIRTQ_ALIGN_EVENT : VIRTQ_ALIGN_AVAIL, &driver);
	if (err)
		return err;
	err = find_area(view, config->device_area,
	                ring->is_packed ? sizeof(struct pvirtq_event_suppress)
	                                : virtq_used_bytes(ring->size),
	                ring->is_packed ? PVIRTQ_ALIGN_EVENT : VIRTQ_ALIGN_USED, &device);
	if (err)
		return err;
	if (ring->is_packed) {
		ring->packed = desc;
		ring->driver_event = driver;
		ring->device_event = device;
	} else {
		ring->table = desc;
		ring->avail = driver;
		ring->used = device;
	}
	return 0;
}

int pv_dev_ring_init(struct pv_dev_ring *ring, const struct pv_ring_config *config,
                     const struct pv_ring_position *position, const struct pv_mem *mem,
                     void *storage)
{
	size_t inflight_bytes = pv_inflight_storage_bytes(config);
	int err = check_shape(config, position);

	if (err)
		return err;
	*ring = (struct pv_dev_ring){
		.size = config->size,
		.is_packed = is_packed(config),
		.has_indirect = config->features & VIRTIO_F_INDIRECT_DESC,
		.has_event_idx = config->features & VIRTIO_F_EVENT_IDX,
		.has_in_order = config->features & VIRTIO_F_IN_ORDER,
		.config = *config,
		.at = *position,
		.avail_seen = position->avail,
		.published = position->used,
		.published_wrap = position->used_wrap,
		.signalled = position->used,
		.pending_slot = PV_NO_SLOT,
		.are_kicks_on = true,
	};
	if (ring->has_in_order)
		ring->order = (void *)((char *)storage + inflight_bytes);
	pv_mem_view_init(&ring->view, mem);
	err = find_areas(ring, &ring->view);
	if (!err && config->inflight)
		err = pv_inflight_open(ring, storage);
	return err;
}

/* Chains that came back early and wait for their turn are dropped: nobody will return them. */
static void drop_returned(struct pv_dev_ring *ring)
{
	for (uint16_t at = ring->order_head, n = ring->in_flight; n > 0;
	     n--, at = (uint16_t)((at + 1) % ring->size)) {
		if (!ring->order[at].is_returned)
			continue;
		ring->in_flight--;
		ring->in_flight_descs = (uint16_t)(ring->in_flight_descs - ring->order[at].descs);
	}
	ring->waiting = 0;
}

void pv_dev_ring_break(struct pv_dev_ring *ring, enum pv_ring_fault fault)
{
	if (ring->fault)
		return;
	ring->fault = fault;
	if (ring->has_in_order)
		drop_returned(ring);
}

enum pv_take pv_dev_ring_broken(struct pv_dev_ring *ring, enum pv_ring_fault fault)
{
	pv_dev_ring_break(ring, fault);
	return PV_TAKE_BROKEN;
}

void pv_walk_pieces(struct pv_dev_ring *ring, struct pv_chain *chain, struct pv_gpa addr,
                    uint32_t bytes, bool is_writable)
{
	/* Each turn reaches the end of a region: there are at most as many as the table has. */
	while (bytes > 0) {
		uint16_t pieces = (uint16_t)(chain->readable + chain->writable);
		uint64_t run_bytes;
		uint8_t *host = pv_mem_at(&ring->view, addr, &run_bytes);

		if (is_writable)
			chain->last_writable = NULL;
		if (!host) {
			chain->is_incomplete = true;
			return;
		}
		if (run_bytes > bytes)
			run_bytes = bytes;
		if (is_writable)
			chain->last_writable = host + run_bytes - 1;
		if (pieces < chain->capacity) {
			chain->iov[pieces] = (struct pv_iov){ host, (size_t)run_bytes };
			if (is_writable)
				chain->writable++;
			else
				chain->readable++;
		} else {
			chain->is_incomplete = true;
		}
		addr = pv_gpa_add(addr, run_bytes);
		bytes -= (uint32_t)run_bytes;
	}
}

enum pv_ring_fault pv_table_open(struct pv_dev_ring *ring, struct pv_gpa addr, uint32_t bytes,
                                 struct pv_table *table)
{
	if (!ring->has_indirect || bytes == 0 || bytes % sizeof(struct virtq_desc))
		return PV_RING_BAD_INDIRECT;
	table->gpa = addr;
	table->count = bytes / (uint32_t)sizeof(struct virtq_desc);
	table->host = pv_mem_span(&ring->view, addr, bytes);
	return PV_RING_SOUND;
}

/* An in-order queue remembers each chain in the order it was taken. */
static void remember_order(struct pv_dev_ring *ring, struct pv_chain *chain)
{
	chain->order = ring->order_tail;
	ring->order[ring->order_tail] = (struct pv_ring_order){
		.id = chain->id,
		.descs = chain->descs,
		.entry = chain->entry,
	};
	ring->order_tail = (uint16_t)((ring->order_tail + 1) % ring->size);
}

enum pv_take pv_dev_ring_take(struct pv_dev_ring *ring, struct pv_chain *chain)
{
	enum pv_take taken;

	if (__builtin_expect(ring->fault != PV_RING_SOUND, 0))
		return PV_TAKE_BROKEN;
	if (__builtin_expect(ring->inflight != NULL, 0))
		taken = pv_inflight_take(ring, chain);
	else
		taken = ring->is_packed ? pv_dev_packed_take(ring, chain)
		                        : pv_dev_split_take(ring, chain);
	if (taken == PV_TAKEN && ring->has_in_order)
		remember_order(ring, chain);
	return taken;
}

/* The chains in order end with this one, which has not come back. */
static void forget_order(struct pv_dev_ring *ring, const struct pv_chain *chain)
{
	uint16_t last = (uint16_t)((ring->order_tail + ring->size - 1u) % ring->size);

	pv_bug_on(chain->order != last || ring->order[last].is_returned);
	ring->order_tail = last;
}

void pv_dev_ring_put_back(struct pv_dev_ring *ring, const struct pv_chain *chain)
{
	pv_bug_on(ring->in_flight == 0 || chain->born != ring->born);
	ring->in_flight--;
	ring->in_flight_descs = (uint16_t)(ring->in_flight_descs - chain->descs);
	if (ring->has_in_order)
		forget_order(ring, chain);
	if (ring->fault)
		return;
	if (__builtin_expect(ring->inflight != NULL, 0) && pv_inflight_put_back(ring, chain))
		return;
	if (ring->is_packed)
		pv_dev_packed_step_back(ring, chain->descs);
	else
		ring->at.avail--;
}

/* A chain of the ring came back: with the next publish the driver has it. */
static void came_back(struct pv_dev_ring *ring, uint16_t entry, uint16_t descs)
{
	ring->in_flight--;
	ring->in_flight_descs = (uint16_t)(ring->in_flight_descs - descs);
	if (__builtin_expect(ring->inflight != NULL, 0) && !ring->fault)
		pv_inflight_returned(ring->inflight, entry, descs);
}

static void used(struct pv_dev_ring *ring, uint16_t id, uint16_t descs, uint32_t bytes)
{
	if (ring->is_packed)
		pv_dev_packed_used(ring, id, descs, bytes);
	else
		pv_dev_split_used(ring, id, descs, bytes);
}

void pv_dev_ring_return(struct pv_dev_ring *ring, const struct pv_chain *chain,
                        uint32_t written_bytes)
{
	pv_bug_on(ring->in_flight == 0);
	pv_dev_wrote_chain(ring, chain);
	if (chain->born != ring->born)
		ring->in_flight_before--;
	if (!ring->has_in_order || ring->fault) {
		came_back(ring, chain->entry, chain->descs);
		if (!ring->fault)
			used(ring, chain->id, chain->descs, written_bytes);
		return;
	}
	ring->order[chain->order].written_bytes = written_bytes;
	ring->order[chain->order].is_filled = written_bytes == chain->writable_bytes;
	ring->order[chain->order].is_returned = true;
	ring->waiting++;
}

/*
 * Returns what is at the front of the order. A chain that was written to its end needs no used
 * entry of its own where another follows: the driver concludes it from the next one's id (virtio
 * 1.3, sections 2.7.9 and 2.8.8).
 */
static void return_in_order(struct pv_dev_ring *ring)
{
	uint16_t skipped_descs = 0;

	while (ring->in_flight > 0 && ring->order[ring->order_head].is_returned) {
		struct pv_ring_order *oldest = &ring->order[ring->order_head];
		uint16_t next = (uint16_t)((ring->order_head + 1) % ring->size);
		bool has_follower = ring->in_flight > 1 && ring->order[next].is_returned;

		came_back(ring, oldest->entry, oldest->descs);
		skipped_descs = (uint16_t)(skipped_descs + oldest->descs);
		if (!oldest->is_filled || !has_follower) {
			used(ring, oldest->id, skipped_descs, oldest->written_bytes);
			skipped_descs = 0;
		}
		oldest->is_returned = false;
		ring->waiting--;
		ring->order_head = next;
	}
}

bool pv_dev_ring_publish(struct pv_dev_ring *ring)
{
	if (ring->fault)
		return false;
	if (ring->has_in_order)
		return_in_order(ring);
	if (__builtin_expect(ring->inflight != NULL, 0))
		return pv_inflight_publish(ring);
	return ring->is_packed ? pv_dev_packed_publish(ring) : pv_dev_split_publish(ring);
}

bool pv_dev_ring_must_interrupt(struct pv_dev_ring *ring)
{
	pv_full_barrier(); /* publish - decide, with the driver's arm - recheck */
	return ring->is_packed ? pv_dev_packed_must_interrupt(ring)
	                       : pv_dev_split_must_interrupt(ring);
}

bool pv_dev_ring_kicks_on(struct pv_dev_ring *ring)
{
	if (ring->fault)
		return false;
	return (ring->is_packed ? pv_dev_packed_kicks_on(ring) : pv_dev_split_kicks_on(ring)) ||
	       pv_dev_ring_has_again(ring);
}

void pv_dev_ring_kicks_off(struct pv_dev_ring *ring)
{
	if (!ring->are_kicks_on || ring->fault)
		return;
	ring->are_kicks_on = false;
	if (ring->is_packed)
		pv_dev_packed_kicks_off(ring);
	else
		pv_dev_split_kicks_off(ring);
}

int pv_dev_ring_mem_switch(struct pv_dev_ring *ring, const struct pv_mem *mem)
{
	struct pv_mem_view view;
	int err;

	pv_mem_view_init(&view, mem);
	err = find_areas(ring, &view);
	ring->mem_before = ring->view.mem;
	ring->view = view;
	ring->born++;
	ring->in_flight_before = (uint16_t)(ring->in_flight - ring->waiting);
	if (err)
		pv_dev_ring_break(ring, PV_RING_NO_MEMORY);
	return err ? -PV_EFAULT : 0;
}

void pv_dev_ring_moved(struct pv_dev_ring *ring, struct pv_chain *chain)
{
	if (chain->born == ring->born)
		return;
	pv_bug_on(ring->in_flight_before == 0);
	chain->born = ring->born;
	ring->in_flight_before--;
}

/* The chain's place in the order, which no other chain has and which says the same of it. */
static bool adopt_order(struct pv_dev_ring *ring, const struct pv_chain *chain)
{
	struct pv_ring_order *entry;

	if (chain->order >= ring->size)
		return false;
	entry = &ring->order[chain->order];
	if (entry->is_adopted || entry->is_returned || entry->id != chain->id ||
	    entry->descs != chain->descs)
		return false;
	entry->is_adopted = true;
	return true;
}

bool pv_dev_ring_adopt(struct pv_dev_ring *ring, struct pv_chain *chain)
{
	if (ring->inflight || chain->descs == 0 ||
	    chain->descs > ring->size - ring->in_flight_descs)
		return false;
	if (ring->has_in_order && !adopt_order(ring, chain))
		return false;
	chain->born = ring->born;
	ring->in_flight++;
	ring->in_flight_descs = (uint16_t)(ring->in_flight_descs + chain->descs);
	return true;
}
