/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/support/slot_load.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "drivers/blk/internal.h"
#include "ring/barrier.h"
#include "tests/support/couple_move.h"

#define MOVES       20u
#define STATE_BYTES 16384u
#define SPOILS      2000u

void pv_slot_load_open(struct pv_slot_load *load, struct pv_couple *couple, struct pv_random random)
{
	load->couple = couple;
	load->os = &couple->os;
	load->random = random;
	for (uint32_t i = 0; i < PV_SLOTS; i++)
		load->slot[i].data = (struct pv_buffer){
			.memory = pv_twin_driver(&couple->twin,
			                         pv_twin_alloc(&couple->twin, 512, PV_CUT, 200,
			                                       &load->random)),
			.bytes = 512,
		};
}

const struct pv_slot_ring pv_slot_rings[PV_SLOT_RINGS] = {
	{ 0, false },
	{ VIRTIO_F_EVENT_IDX, false },
	{ VIRTIO_F_INDIRECT_DESC | VIRTIO_F_EVENT_IDX, false },
	{ VIRTIO_F_RING_PACKED, false },
	{ VIRTIO_F_RING_PACKED | VIRTIO_F_EVENT_IDX | VIRTIO_F_INDIRECT_DESC, false },
	{ VIRTIO_F_RING_PACKED | VIRTIO_F_IN_ORDER | VIRTIO_F_EVENT_IDX, false },
	{ 0, true },
	{ VIRTIO_F_EVENT_IDX, true },
	{ VIRTIO_F_INDIRECT_DESC | VIRTIO_F_EVENT_IDX, true },
};

struct pv_device *pv_slot_load_make_device(struct pv_slot_load *load)
{
	const struct pv_blk_options options = {
		.serial = "SLOTS",
		.queues = PV_SLOT_QUEUES,
		.queue_size_max = PV_SLOT_QUEUE_SIZE,
		.has_write_cache = true,
		.is_in_order = true,
	};
	struct pv_slow_store *store = &load->store[load->current];
	size_t bytes = (pv_blk_bytes(PV_SLOT_QUEUES) + 63) & ~63ul;
	void *storage = aligned_alloc(64, bytes);

	free(load->storage[load->current]);
	load->storage[load->current] = memset(storage, 0, bytes);
	pv_slow_store_open(store, load->disk, PV_SLOT_DISK_BYTES, &load->random);
	store->withdraw_percent = 50;
	return pv_blk_init(storage, &load->couple->port, &store->blk, &options);
}

void pv_slot_load_start(struct pv_slot_load *load, struct pv_bus *bus, uint64_t ring_features)
{
	const uint64_t ring_bits = VIRTIO_F_INDIRECT_DESC | VIRTIO_F_EVENT_IDX |
	                           VIRTIO_F_RING_PACKED | VIRTIO_F_IN_ORDER;
	const struct pv_blkdrv_options options = {
		.wanted = (PV_BLKDRV_FEATURES & ~ring_bits) | ring_features,
		.queues = PV_SLOT_QUEUES,
	};

	assert_int_equal(bus->device_id, 2);
	assert_int_equal(pv_blkdrv_create(&load->driver, bus, load->os, &options), 0);
	assert_int_equal(pv_blkdrv_disk(load->driver)->features & ring_bits, ring_features);
	assert_int_equal(load->couple->needs_resets + load->couple->logs, 0);
}

void pv_slot_load_stop(struct pv_slot_load *load)
{
	pv_blkdrv_destroy(load->driver);
	assert_int_equal(pv_device_status(load->couple->device), 0);
	assert_true(pv_twin_guards_hold(&load->couple->twin));
}

void pv_slot_load_close(struct pv_slot_load *load)
{
	free(load->storage[0]);
	free(load->storage[1]);
}

/* ---- requests ---- */

struct pv_blkdrv_queue *pv_slot_load_queue(struct pv_slot_load *load, uint32_t slot)
{
	return pv_blkdrv_queue(load->driver, (uint16_t)(slot % PV_SLOT_QUEUES));
}

static uint8_t *buffer_of(struct pv_slot_load *load, uint32_t slot)
{
	return load->slot[slot].data.memory;
}

/* Each slot has sectors of its own, so that the model is right whatever order they come in. */
void pv_slot_load_send(struct pv_slot_load *load, uint32_t index, enum pv_blkdrv_op op)
{
	struct pv_slot *slot = &load->slot[index];
	uint64_t sector =
		index + PV_SLOTS * pv_random_below(&load->random, PV_SLOT_SECTORS / PV_SLOTS);
	uint8_t *model = load->model + sector * 512;

	slot->request = (struct pv_blkdrv_request){
		.op = op, .sector = sector, .buffers = 1, .buffer = &slot->data
	};
	if (op == PV_BLKDRV_WRITE) {
		for (uint32_t i = 0; i < 512; i++)
			model[i] = (uint8_t)pv_random_below(&load->random, 256);
		memcpy(buffer_of(load, index), model, 512);
	} else {
		memset(buffer_of(load, index), 0xee, 512);
	}
	assert_int_equal(pv_blkdrv_submit(pv_slot_load_queue(load, index), &slot->request), 0);
	pv_blkdrv_publish(pv_slot_load_queue(load, index));
	slot->is_out = true;
}

void pv_slot_load_send_and_sleep(struct pv_slot_load *load, uint32_t slot)
{
	assert_false(pv_blkdrv_interrupts_on(pv_slot_load_queue(load, slot)));
	pv_slot_load_send(load, slot, PV_BLKDRV_READ);
}

void pv_slot_load_take_done(struct pv_slot_load *load)
{
	for (uint16_t i = 0; i < PV_SLOT_QUEUES; i++)
		pv_blkdrv_poll(pv_blkdrv_queue(load->driver, i));
	for (uint32_t i = 0; i < PV_SLOTS; i++) {
		struct pv_slot *slot = &load->slot[i];

		if (!slot->is_out || !slot->request.is_done)
			continue;
		slot->is_out = false;
		assert_int_equal(slot->request.error, 0);
		if (slot->request.op == PV_BLKDRV_READ)
			assert_memory_equal(buffer_of(load, i),
			                    load->model + slot->request.sector * 512, 512);
	}
}

static bool is_any_out(const struct pv_slot_load *load)
{
	for (uint32_t i = 0; i < PV_SLOTS; i++)
		if (load->slot[i].is_out)
			return true;
	return false;
}

void pv_slot_load_work(struct pv_slot_load *load)
{
	if (pv_slow_store_finish_one(&load->store[load->current]))
		for (uint16_t i = 0; i < PV_SLOT_QUEUES; i++)
			pv_couple_wake(load->couple, i);
	pv_couple_run(load->couple);
}

void pv_slot_load_work_all(struct pv_slot_load *load)
{
	for (int i = 0; i < 100; i++)
		pv_slot_load_work(load);
}

void pv_slot_load_finish(struct pv_slot_load *load)
{
	for (int i = 0; is_any_out(load); i++) {
		assert_in_range(i, 0, 10000);
		pv_slot_load_work(load);
		pv_slot_load_take_done(load);
	}
}

void pv_slot_load_expect_kick(struct pv_slot_load *load, uint16_t queue,
                              const struct pv_couple_kick *kick, unsigned int plain_bytes)
{
	const uint64_t features = pv_blkdrv_disk(load->driver)->features;
	const struct pv_drv_ring *ring = &pv_blkdrv_queue(load->driver, queue)->base.ring;
	uint32_t next = pv_read_le16(&ring->avail->idx);

	if (features & VIRTIO_F_RING_PACKED)
		next = ring->at.avail | (ring->at.avail_wrap ? VIRTQ_EVENT_WRAP : 0);
	if (!(features & VIRTIO_F_NOTIFICATION_DATA)) {
		assert_int_equal(kick->bytes, plain_bytes);
		assert_int_equal(kick->value, queue);
		return;
	}
	assert_int_equal(kick->bytes, 4);
	assert_int_equal(kick->value, queue | next << 16);
}

void pv_slot_load_round(struct pv_slot_load *load)
{
	for (uint32_t i = 0; i < PV_SLOTS; i++)
		pv_slot_load_send(load, i,
		                  pv_random_chance(&load->random, 50) ? PV_BLKDRV_WRITE
		                                                      : PV_BLKDRV_READ);
	pv_slot_load_finish(load);
}

/* ---- moving ---- */

static void note(void *arg)
{
	*(bool *)arg = true;
}

static size_t save(struct pv_slot_load *load, const struct pv_slot_transport *transport,
                   uint8_t *data, size_t *registers)
{
	struct pv_state_writer to = { .data = data, .capacity = STATE_BYTES };
	bool is_paused = false;
	int turns = 0;

	assert_int_equal(
		pv_device_pause(load->couple->device, (struct pv_waiter){ note, &is_paused }), 0);
	while (!is_paused) {
		assert_in_range(turns++, 0, 10000);
		for (uint16_t queue = 0; queue < PV_SLOT_QUEUES; queue++)
			pv_couple_wake(load->couple, queue);
		pv_slot_load_work(load);
	}
	transport->registers_save(&to);
	*registers = to.bytes;
	to.data += to.bytes;
	to.capacity -= to.bytes;
	to.bytes = 0;
	assert_int_equal(pv_device_save(load->couple->device, &to), 0);
	return to.bytes;
}

static void move(struct pv_slot_load *load, const struct pv_slot_transport *transport)
{
	static uint8_t data[STATE_BYTES];
	struct pv_couple *couple = load->couple;
	struct pv_device *old = couple->device, *device;
	size_t registers, bytes = save(load, transport, data, &registers);
	struct pv_state_reader from = { .data = data, .bytes = registers };
	enum pv_twin_view view = pv_couple_leave(couple);

	load->current = !load->current;
	device = pv_slot_load_make_device(load);
	transport->put(device, view);
	assert_int_equal(pv_device_load(device, data + registers, bytes), 0);
	/* It has no memory of the guest's any more. */
	assert_int_equal(pv_device_abandon(old), 0);
	transport->registers_load(&from);
	assert_false(from.is_bad);
	assert_int_equal(from.bytes, 0);
	pv_couple_resume(couple);
}

void pv_slot_load_move_often(struct pv_slot_load *load, const struct pv_slot_transport *transport)
{
	for (uint32_t i = 0; i < MOVES; i++) {
		for (uint32_t slot = 0; slot < PV_SLOTS; slot++)
			if (!load->slot[slot].is_out)
				pv_slot_load_send(load, slot, PV_BLKDRV_WRITE);
		for (uint32_t steps = pv_random_below(&load->random, 20); steps > 0; steps--) {
			pv_slot_load_work(load);
			pv_slot_load_take_done(load);
		}
		move(load, transport);
	}
	pv_slot_load_finish(load);
}

void pv_slot_load_spoil(struct pv_slot_load *load, const struct pv_slot_transport *transport)
{
	static uint8_t data[STATE_BYTES];
	size_t registers;

	save(load, transport, data, &registers);
	for (uint32_t i = 0; i < SPOILS; i++) {
		size_t bytes = pv_random_below(&load->random, (uint32_t)registers);
		struct pv_state_reader from = { .data = data, .bytes = bytes };

		transport->registers_load(&from);
		assert_true(from.is_bad);
		data[pv_random_below(&load->random, (uint32_t)registers)] ^=
			(uint8_t)(1u << pv_random_below(&load->random, 8));
		from = (struct pv_state_reader){ .data = data, .bytes = registers };
		transport->registers_load(&from);
	}
}
