/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * virtio-blk, both real halves against each other: random requests, finished in any order by the
 * store, on memory cut into small regions, with every combination of ring features; and in between,
 * at random instants, the device's memory moves elsewhere, its state is saved and loaded into
 * another device, and requests fail and are kept until the disk goes on.  A model of the disk says
 * what each read must return; each request must end once.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "devices/blk/blk.h"
#include "drivers/blk/blk.h"
#include "ring/err.h"
#include "tests/support/couple_move.h"
#include "tests/support/slow_store.h"

#define DISK_SECTORS 256u
#define DISK_BYTES   (DISK_SECTORS * 512u)
#define QUEUE_SIZE   16u
#define REQUESTS     24u
#define SECTORS_MAX  8u
#define SGS_MAX      5u
#define QUEUES       2u
#define TIMEOUT_NS   1000000000ull

struct slot {
	struct pv_blkdrv_request request;
	struct pv_buffer data[SGS_MAX];
	struct pv_gpa buffer;
	uint64_t first;
	uint32_t sectors;
	bool is_out;
	uint32_t times_done;
};

struct rig {
	struct pv_couple couple;
	struct pv_random random;
	struct pv_slow_store store[2];
	unsigned int current; /* of the two devices */
	void *storage[2];
	uint8_t disk[DISK_BYTES];
	uint8_t model[DISK_BYTES];
	bool is_locked[DISK_SECTORS]; /* a request in flight touches it */
	struct pv_blkdrv *driver;
	struct slot slot[REQUESTS];
	uint32_t out;
	uint64_t done;
	uint64_t loads;
	uint64_t switches; /* of memory */
	uint64_t stops;    /* of the disk, by its policy */
	uint32_t fail_percent;
	bool is_old_memory_in_use;
	struct pv_blk_options options;
	bool is_over; /* what is in flight fails now */
};

static struct pv_slow_store *store_of(struct rig *rig)
{
	return &rig->store[rig->current];
}

static struct pv_device *make_device(struct rig *rig, unsigned int which)
{
	free(rig->storage[which]);
	rig->storage[which] = aligned_alloc(64, (pv_blk_bytes(QUEUES) + 63) & ~63ul);
	memset(rig->storage[which], 0, pv_blk_bytes(QUEUES));
	pv_slow_store_open(&rig->store[which], rig->disk, DISK_BYTES, &rig->random);
	rig->store[which].fail_percent = rig->fail_percent;
	return pv_blk_init(rig->storage[which], &rig->couple.port, &rig->store[which].blk,
	                   &rig->options);
}

static void rig_open(struct rig *rig, uint64_t features, uint64_t number)
{
	const struct pv_blkdrv_options driver_options = {
		.wanted = features | PV_BLKDRV_FEATURES,
		.queues = QUEUES,
		.segments_max = SGS_MAX,
	};
	const uint64_t ring_bits = VIRTIO_F_INDIRECT_DESC | VIRTIO_F_EVENT_IDX |
	                           VIRTIO_F_RING_PACKED | VIRTIO_F_IN_ORDER;
	struct pv_blkdrv_options chosen = driver_options;

	memset(rig, 0, sizeof(*rig));
	rig->random = pv_random_start(pv_random_seed(), number);
	rig->options = (struct pv_blk_options){
		.serial = "PAIR",
		.queues = QUEUES,
		.queue_size_max = QUEUE_SIZE,
		.has_write_cache = true,
		.is_in_order = true,
		.read_policy = PV_BLK_ALWAYS_STOP,
		.write_policy = PV_BLK_ALWAYS_STOP,
	};
	chosen.wanted = (PV_BLKDRV_FEATURES & ~ring_bits) | (features & ring_bits);
	pv_couple_open(&rig->couple, 8u << 20, rig->random);
	pv_couple_set_device(&rig->couple, make_device(rig, 0), PV_VIEW_DEVICE);
	for (uint32_t i = 0; i < REQUESTS; i++)
		rig->slot[i].buffer = pv_twin_alloc(&rig->couple.twin, SECTORS_MAX * 512u,
		                                    PV_SCATTERED, 500, &rig->random);
	assert_int_equal(pv_blkdrv_create(&rig->driver, &rig->couple.bus, &rig->couple.os, &chosen),
	                 0);
	assert_int_equal(pv_blkdrv_disk(rig->driver)->features & ring_bits, features & ring_bits);
}

static void rig_close(struct rig *rig)
{
	pv_blkdrv_destroy(rig->driver);
	assert_true(pv_twin_guards_hold(&rig->couple.twin));
	pv_couple_close(&rig->couple);
	free(rig->storage[0]);
	free(rig->storage[1]);
}

/* ---- one request ---- */

static void fill(struct rig *rig, uint8_t *data, uint32_t bytes)
{
	for (uint32_t i = 0; i < bytes; i++)
		data[i] = (uint8_t)pv_random_below(&rig->random, 256);
}

static void check_read(struct rig *rig, const struct slot *slot)
{
	uint8_t data[SECTORS_MAX * 512];

	pv_twin_read(&rig->couple.twin, slot->buffer, data, slot->sectors * 512);
	assert_memory_equal(data, rig->model + slot->first * 512, slot->sectors * 512);
	assert_int_equal(slot->request.written_bytes, slot->sectors * 512);
}

static struct rig *of_slot(struct slot *slot)
{
	return slot->request.arg;
}

static void request_done(struct pv_blkdrv_request *request)
{
	struct slot *slot = (struct slot *)request;
	struct rig *rig = of_slot(slot);

	assert_true(slot->is_out);
	assert_int_equal(request->error, rig->is_over ? -PV_EBROKEN : 0);
	slot->times_done++;
	assert_int_equal(slot->times_done, 1);
	if (request->op == PV_BLKDRV_READ && !rig->is_over)
		check_read(rig, slot);
	for (uint32_t i = 0; i < slot->sectors; i++)
		rig->is_locked[slot->first + i] = false;
	slot->is_out = false;
	rig->out--;
	rig->done++;
}

/* Cuts the data into buffers at random places, not at sectors. */
static uint16_t cut_data(struct rig *rig, struct slot *slot, uint32_t bytes)
{
	uint16_t count = 0;
	uint32_t at = 0;

	while (at < bytes) {
		uint32_t piece = bytes - at;

		if (count < SGS_MAX - 1)
			piece = 1 + pv_random_below(&rig->random, piece);
		slot->data[count++] = (struct pv_buffer){
			pv_twin_handle(&rig->couple.twin, pv_gpa_add(slot->buffer, at)), piece
		};
		at += piece;
	}
	return count;
}

static bool lock_range(struct rig *rig, struct slot *slot)
{
	slot->sectors = 1 + pv_random_below(&rig->random, SECTORS_MAX);
	slot->first = pv_random_below(&rig->random, DISK_SECTORS - slot->sectors + 1);
	for (uint32_t i = 0; i < slot->sectors; i++)
		if (rig->is_locked[slot->first + i])
			return false;
	for (uint32_t i = 0; i < slot->sectors; i++)
		rig->is_locked[slot->first + i] = true;
	return true;
}

static void unlock_range(struct rig *rig, struct slot *slot)
{
	for (uint32_t i = 0; i < slot->sectors; i++)
		rig->is_locked[slot->first + i] = false;
}

/* The model changes at submission: no other request in flight touches these sectors. */
static void predict(struct rig *rig, struct slot *slot)
{
	uint8_t *model = rig->model + slot->first * 512;
	uint32_t bytes = slot->sectors * 512;

	switch (slot->request.op) {
	case PV_BLKDRV_WRITE:
		fill(rig, model, bytes);
		pv_twin_write(&rig->couple.twin, slot->buffer, model, bytes);
		break;
	case PV_BLKDRV_DISCARD:
	case PV_BLKDRV_WRITE_ZEROES:
	case PV_BLKDRV_SECURE_ERASE:
		memset(model, 0, bytes);
		break;
	default:
		break;
	}
}

static void submit_one(struct rig *rig)
{
	static const enum pv_blkdrv_op ops[] = {
		PV_BLKDRV_READ,    PV_BLKDRV_READ,         PV_BLKDRV_READ,
		PV_BLKDRV_WRITE,   PV_BLKDRV_WRITE,        PV_BLKDRV_FLUSH,
		PV_BLKDRV_DISCARD, PV_BLKDRV_WRITE_ZEROES, PV_BLKDRV_SECURE_ERASE,
	};
	struct slot *slot = &rig->slot[pv_random_below(&rig->random, REQUESTS)];
	struct pv_blkdrv_queue *queue;
	uint8_t before[SECTORS_MAX * 512];
	int err;

	if (slot->is_out || !lock_range(rig, slot))
		return;
	slot->request = (struct pv_blkdrv_request){
		.op = ops[pv_random_below(&rig->random, sizeof(ops) / sizeof(ops[0]))],
		.may_unmap = false,
		.sector = slot->first,
		.sectors = slot->sectors,
		.buffer = slot->data,
		.done = request_done,
		.arg = rig,
	};
	if (slot->request.op == PV_BLKDRV_READ || slot->request.op == PV_BLKDRV_WRITE)
		slot->request.buffers = cut_data(rig, slot, slot->sectors * 512);
	memcpy(before, rig->model + slot->first * 512, slot->sectors * 512);
	predict(rig, slot);
	queue = pv_blkdrv_queue(rig->driver, (uint16_t)pv_random_below(&rig->random, QUEUES));
	err = pv_blkdrv_submit(queue, &slot->request);
	if (err) {
		assert_int_equal(err, -PV_ENOSPC);
		pv_blkdrv_publish(queue);
		memcpy(rig->model + slot->first * 512, before, slot->sectors * 512);
		unlock_range(rig, slot);
		return;
	}
	slot->is_out = true;
	slot->times_done = 0;
	rig->out++;
	if (pv_random_chance(&rig->random, 60))
		pv_blkdrv_publish(queue);
}

/* ---- memory that moves ---- */

static enum pv_twin_view other_view(const struct rig *rig)
{
	return pv_twin_other(rig->couple.view);
}

static void let_old_memory_go(struct rig *rig)
{
	if (!rig->is_old_memory_in_use)
		return;
	for (uint16_t i = 0; i < QUEUES; i++)
		if (rig->couple.device->queue[i].ring.in_flight_before > 0)
			return;
	rig->is_old_memory_in_use = false;
	pv_twin_allow(&rig->couple.twin, other_view(rig), false);
}

static void switch_memory(struct rig *rig)
{
	struct pv_device *device = rig->couple.device;
	const struct pv_mem *table = rig->couple.twin.table[other_view(rig)];

	if (rig->is_old_memory_in_use)
		return;
	pv_twin_allow(&rig->couple.twin, other_view(rig), true);
	for (uint16_t i = 0; i < QUEUES; i++)
		pv_queue_mem_switch(&device->queue[i], table);
	pv_device_mem_set(device, table);
	rig->couple.view = other_view(rig);
	rig->is_old_memory_in_use = true;
	rig->switches++;
}

/* ---- saving and loading ---- */

static void look_at_store(void *arg)
{
	struct rig *rig = arg;

	pv_slow_store_finish_one(store_of(rig));
	for (uint16_t i = 0; i < QUEUES; i++)
		pv_couple_wake(&rig->couple, i);
}

static void pause_device(struct rig *rig)
{
	pv_couple_pause(&rig->couple, look_at_store, rig);
}

static uint8_t *save_state(struct rig *rig, size_t *bytes)
{
	struct pv_state_writer to = { 0 };
	uint8_t *data;

	assert_int_equal(pv_device_save(rig->couple.device, &to), -PV_ENOSPC);
	*bytes = to.bytes;
	data = malloc(*bytes);
	to = (struct pv_state_writer){ .data = data, .capacity = *bytes };
	assert_int_equal(pv_device_save(rig->couple.device, &to), 0);
	assert_int_equal(to.bytes, *bytes);
	return data;
}

/* The device moves: its state goes into a fresh one, whose memory is mapped elsewhere. */
static void move_device(struct rig *rig)
{
	unsigned int other = !rig->current;
	enum pv_twin_view view;
	struct pv_device *device;
	uint8_t *state;
	size_t bytes;

	assert_int_equal(pv_device_abandon(rig->couple.device), -PV_EBUSY);
	pause_device(rig);
	let_old_memory_go(rig);
	assert_false(rig->is_old_memory_in_use);
	state = save_state(rig, &bytes);
	view = pv_couple_leave(&rig->couple);
	device = make_device(rig, other);
	pv_couple_set_device(&rig->couple, device, view);
	assert_int_equal(pv_device_load(device, state, bytes), 0);
	/* It has no memory of the guest's any more. */
	assert_int_equal(pv_device_abandon(rig->storage[rig->current]), 0);
	rig->current = other;
	pv_couple_resume(&rig->couple);
	rig->loads++;
	free(state);
}

/* ---- the run ---- */

static void poll_driver(struct rig *rig)
{
	for (uint16_t i = 0; i < QUEUES; i++)
		pv_blkdrv_poll(pv_blkdrv_queue(rig->driver, i));
}

static void resume(struct rig *rig)
{
	if (!pv_blk_is_stopped(rig->couple.device))
		return;
	rig->stops++;
	pv_blk_resume(rig->couple.device);
}

static void one_step(struct rig *rig, bool may_move)
{
	uint32_t dice = pv_random_below(&rig->random, 103);

	let_old_memory_go(rig);
	if (dice >= 101) {
		resume(rig);
	} else if (dice >= 100) {
		switch_memory(rig);
	} else if (dice < 40) {
		submit_one(rig);
	} else if (dice < 60) {
		pv_couple_run(&rig->couple);
	} else if (dice < 75) {
		if (pv_slow_store_finish_one(store_of(rig)))
			for (uint16_t i = 0; i < QUEUES; i++)
				pv_couple_wake(&rig->couple, i);
	} else if (dice < 85) {
		pv_couple_sleep(&rig->couple);
	} else if (dice < 99) {
		poll_driver(rig);
	} else if (may_move) {
		move_device(rig);
	}
}

/* All that is in flight comes to an end, by kicks and interrupts alone. */
static void settle(struct rig *rig)
{
	for (uint16_t i = 0; i < QUEUES; i++)
		pv_blkdrv_publish(pv_blkdrv_queue(rig->driver, i));
	store_of(rig)->fail_percent = 0;
	for (int i = 0; i < 10000 && rig->out > 0; i++) {
		let_old_memory_go(rig);
		resume(rig);
		pv_couple_run(&rig->couple);
		if (pv_slow_store_finish_one(store_of(rig)))
			for (uint16_t q = 0; q < QUEUES; q++)
				pv_couple_wake(&rig->couple, q);
		else
			pv_couple_sleep(&rig->couple);
		poll_driver(rig);
	}
	assert_int_equal(rig->out, 0);
	assert_memory_equal(rig->disk, rig->model, DISK_BYTES);
}

static const uint64_t ring_combinations[] = {
	0,
	VIRTIO_F_INDIRECT_DESC,
	VIRTIO_F_EVENT_IDX,
	VIRTIO_F_INDIRECT_DESC | VIRTIO_F_EVENT_IDX,
	VIRTIO_F_IN_ORDER,
	VIRTIO_F_IN_ORDER | VIRTIO_F_INDIRECT_DESC | VIRTIO_F_EVENT_IDX,
	VIRTIO_F_RING_PACKED,
	VIRTIO_F_RING_PACKED | VIRTIO_F_INDIRECT_DESC,
	VIRTIO_F_RING_PACKED | VIRTIO_F_EVENT_IDX,
	VIRTIO_F_RING_PACKED | VIRTIO_F_INDIRECT_DESC | VIRTIO_F_EVENT_IDX,
	VIRTIO_F_RING_PACKED | VIRTIO_F_IN_ORDER,
	VIRTIO_F_RING_PACKED | VIRTIO_F_IN_ORDER | VIRTIO_F_INDIRECT_DESC | VIRTIO_F_EVENT_IDX,
};
#define COMBINATIONS (sizeof(ring_combinations) / sizeof(ring_combinations[0]))

static void run_all(uint32_t steps, bool may_move, uint32_t fail_percent)
{
	static struct rig rig;

	if (getenv("PV_LONG"))
		steps *= 100;
	else if (getenv("PV_SHORT"))
		steps /= 3;
	for (size_t i = 0; i < COMBINATIONS; i++) {
		rig_open(&rig, ring_combinations[i], i);
		rig.fail_percent = fail_percent;
		store_of(&rig)->fail_percent = fail_percent;
		for (uint32_t step = 0; step < steps; step++)
			one_step(&rig, may_move);
		settle(&rig);
		assert_true(rig.done > steps / (fail_percent ? 100 : 10));
		assert_int_equal(rig.couple.needs_resets, 0);
		assert_true(rig.switches > 0);
		if (may_move)
			assert_true(rig.loads > 0);
		if (fail_percent > 0)
			assert_true(rig.stops > 0);
		rig_close(&rig);
	}
}

static void every_request_ends_once_and_reads_return_what_was_written(void **state)
{
	(void)state;
	run_all(6000, false, 0);
}

static void a_device_that_is_saved_and_loaded_elsewhere_loses_and_doubles_nothing(void **state)
{
	(void)state;
	run_all(6000, true, 0);
}

static void requests_that_fail_and_are_kept_end_well_when_the_disk_goes_on(void **state)
{
	(void)state;
	run_all(6000, true, 5);
}

static void a_state_that_is_cut_altered_newer_or_foreign_is_refused(void **state)
{
	static struct rig rig;
	struct pv_device *fresh;
	uint8_t *data;
	size_t bytes;

	(void)state;
	rig_open(&rig, VIRTIO_F_RING_PACKED | VIRTIO_F_INDIRECT_DESC, 100);
	for (uint32_t step = 0; step < 200; step++)
		one_step(&rig, false);
	pause_device(&rig);
	data = save_state(&rig, &bytes);
	fresh = make_device(&rig, 1);
	pv_device_mem_set(fresh, rig.couple.twin.table[PV_VIEW_DEVICE]);
	for (size_t cut = 0; cut < bytes; cut++)
		assert_int_equal(pv_device_load(fresh, data, cut), -PV_ESTATE);
	for (size_t at = 0; at < bytes; at++) {
		data[at] ^= 0x10;
		assert_int_equal(pv_device_load(fresh, data, bytes), -PV_ESTATE);
		data[at] ^= 0x10;
	}
	/* A device that offers less. */
	rig.options.no_packed = true;
	fresh = make_device(&rig, 1);
	pv_device_mem_set(fresh, rig.couple.twin.table[PV_VIEW_DEVICE]);
	assert_int_equal(pv_device_load(fresh, data, bytes), -PV_EFEATURES);
	assert_int_equal(fresh->status, 0);
	free(data);
	pv_device_resume(rig.couple.device);
	settle(&rig);
	rig_close(&rig);
}

/* As above, but with the checksum made right again: each field itself must be checked. */
static void a_state_with_altered_fields_never_harms_the_device(void **state)
{
	static struct rig rig;
	struct pv_device *fresh;
	uint8_t *data;
	size_t bytes;

	(void)state;
	for (size_t i = 0; i < COMBINATIONS; i++) {
		rig_open(&rig, ring_combinations[i], 200 + i);
		for (uint32_t step = 0; step < 300; step++)
			one_step(&rig, false);
		pause_device(&rig);
		data = save_state(&rig, &bytes);
		fresh = make_device(&rig, 1);
		pv_device_mem_set(fresh, rig.couple.twin.table[PV_VIEW_DEVICE]);
		for (uint32_t try = 0; try < 150; try++) {
			uint8_t *copy = malloc(bytes);
			uint32_t crc;

			memcpy(copy, data, bytes);
			for (uint32_t n = 1 + pv_random_below(&rig.random, 3); n > 0; n--)
				copy[16 + pv_random_below(&rig.random, (uint32_t)bytes - 16)] =
					(uint8_t)pv_random_below(&rig.random, 256);
			crc = pv_state_checksum(copy + 16, bytes - 16);
			for (int b = 0; b < 4; b++)
				copy[12 + b] = (uint8_t)(crc >> (8 * b));
			if (pv_device_load(fresh, copy, bytes) == 0)
				assert_int_equal(pv_device_abandon(fresh), 0);
			assert_int_equal(fresh->status, 0);
			free(copy);
		}
		free(data);
		pv_device_resume(rig.couple.device);
		settle(&rig);
		rig_close(&rig);
	}
}

/* The driver's index runs off, and the lane finds out. */
static void break_queue(struct rig *rig, uint16_t index)
{
	struct virtq_avail *avail =
		pv_twin_driver(&rig->couple.twin, rig->couple.lane[index].place.driver_area);

	avail->idx = pv_le16_of((uint16_t)(pv_le16_get(avail->idx) + 0x4000));
	rig->couple.lane[index].is_kicked = true;
	pv_couple_run(&rig->couple);
	assert_int_equal(rig->couple.device->queue[index].ring.fault, PV_RING_BAD_INDEX);
}

static void a_queue_that_broke_is_idle_in_the_device_that_loads_it(void **state)
{
	static struct rig rig;
	struct pv_device *device;

	(void)state;
	for (int is_in_order = 0; is_in_order < 2; is_in_order++) {
		rig_open(&rig, is_in_order ? VIRTIO_F_IN_ORDER : 0, 300 + (uint64_t)is_in_order);
		for (uint32_t step = 0; step < 200; step++)
			one_step(&rig, false);
		break_queue(&rig, 0);
		move_device(&rig);
		device = rig.couple.device;
		assert_true(pv_device_status(device) & VIRTIO_STATUS_NEEDS_RESET);
		assert_int_equal(device->queue[0].state, PV_QUEUE_IDLE);
		assert_int_equal(device->queue[1].state, PV_QUEUE_RUNNING);
		rig.is_over = true;
		assert_int_equal(pv_blkdrv_fail(rig.driver), 0);
		assert_int_equal(pv_device_status(device), 0);
		assert_int_equal(rig.out, 0);
		rig_close(&rig);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_request_ends_once_and_reads_return_what_was_written),
		cmocka_unit_test(
			a_device_that_is_saved_and_loaded_elsewhere_loses_and_doubles_nothing),
		cmocka_unit_test(requests_that_fail_and_are_kept_end_well_when_the_disk_goes_on),
		cmocka_unit_test(a_state_that_is_cut_altered_newer_or_foreign_is_refused),
		cmocka_unit_test(a_state_with_altered_fields_never_harms_the_device),
		cmocka_unit_test(a_queue_that_broke_is_idle_in_the_device_that_loads_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
