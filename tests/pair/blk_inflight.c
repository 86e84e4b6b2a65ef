/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * virtio-blk, both real halves, with a journal of what is in flight: requests that a stop finds
 * with the store, and those of a device that is no more, are done by whoever starts the queue next.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "abi/vhost_inflight.h"
#include "devices/blk/blk.h"
#include "drivers/blk/internal.h"
#include "ring/err.h"
#include "tests/support/couple.h"
#include "tests/support/slow_store.h"

#define DISK_BYTES (64u << 10)
#define SIZE       32u
#define REQUESTS   6u

struct rig {
	struct pv_couple couple;
	struct pv_random random;
	struct pv_slow_store store;
	void *storage;
	uint8_t disk[DISK_BYTES];
	struct pv_blkdrv *driver;
	struct pv_blkdrv_request request[REQUESTS];
	struct pv_gpa gpa;
	struct pv_buffer data;
	uint32_t ends;
	_Alignas(8) uint8_t journal[VHOST_INFLIGHT_ALIGN * SIZE];
};

static const struct pv_blk_options options = { .queues = 1,
	                                       .queue_size_max = SIZE,
	                                       .is_in_order = true };

/* A device, on memory of its own. */
static struct pv_device *device_make(struct rig *rig)
{
	rig->storage = aligned_alloc(64, (pv_blk_bytes(1) + 63) & ~(size_t)63);
	memset(rig->storage, 0, pv_blk_bytes(1));
	return pv_blk_init(rig->storage, &rig->couple.port, &rig->store.blk, &options);
}

static void rig_open(struct rig *rig, uint64_t features)
{
	const struct pv_blkdrv_options chosen = {
		.required = features,
		.wanted = (PV_BLKDRV_FEATURES & ~(VIRTIO_F_RING_PACKED | VIRTIO_F_IN_ORDER)) |
		          features,
		.queues = 1,
	};

	*rig = (struct rig){ .random = pv_random_start(pv_random_seed(), features) };
	pv_couple_open(&rig->couple, 4u << 20, rig->random);
	pv_slow_store_open(&rig->store, rig->disk, DISK_BYTES, &rig->random);
	rig->store.at_once_percent = 0;
	rig->store.withdraw_percent = 100;
	rig->couple.lane[0].inflight = rig->journal;
	rig->couple.inflight_places = SIZE;
	pv_couple_set_device(&rig->couple, device_make(rig), PV_VIEW_DEVICE);
	rig->gpa = pv_twin_alloc(&rig->couple.twin, 512, PV_SCATTERED, 100, &rig->random);
	rig->data = (struct pv_buffer){ pv_twin_handle(&rig->couple.twin, rig->gpa), 512 };
	assert_int_equal(pv_blkdrv_create(&rig->driver, &rig->couple.bus, &rig->couple.os, &chosen),
	                 0);
}

static void rig_close(struct rig *rig)
{
	pv_blkdrv_destroy(rig->driver);
	pv_couple_close(&rig->couple);
	free(rig->storage);
}

static void count_end(struct pv_blkdrv_request *request)
{
	++*(uint32_t *)request->arg;
}

/* Requests that are with the store, none of them answered. */
static void load(struct rig *rig)
{
	struct pv_blkdrv_queue *queue = pv_blkdrv_queue(rig->driver, 0);

	for (uint32_t i = 0; i < REQUESTS; i++) {
		rig->request[i] = (struct pv_blkdrv_request){
			.op = PV_BLKDRV_READ,
			.buffer = &rig->data,
			.buffers = 1,
			.sector = i,
			.done = count_end,
			.arg = &rig->ends,
		};
		assert_int_equal(pv_blkdrv_submit(queue, &rig->request[i]), 0);
	}
	pv_blkdrv_publish(queue);
	pv_couple_run(&rig->couple);
	assert_int_equal(rig->store.pendings, REQUESTS);
}

static void finish_some(struct rig *rig, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++)
		assert_true(pv_slow_store_finish_one(&rig->store));
	pv_couple_wake(&rig->couple, 0);
	pv_couple_run(&rig->couple);
	pv_blkdrv_poll(pv_blkdrv_queue(rig->driver, 0));
}

/* All that is left is with the store again, oldest first, and ends well. */
static void expect_the_rest(struct rig *rig, uint32_t done)
{
	uint32_t interrupts = rig->couple.interrupts;

	pv_couple_wake(&rig->couple, 0);
	pv_couple_run(&rig->couple);
	/* What was done before may have been announced by nobody. */
	assert_true(rig->couple.interrupts > interrupts);
	assert_int_equal(rig->store.pendings, REQUESTS - done);
	for (uint32_t i = 1; i < rig->store.pendings; i++)
		assert_true(rig->store.pending[i - 1]->offset < rig->store.pending[i]->offset);
	finish_some(rig, REQUESTS - done);
	assert_int_equal(rig->ends, REQUESTS);
	for (uint32_t i = 0; i < REQUESTS; i++)
		assert_int_equal(rig->request[i].error, 0);
}

static void note(void *arg)
{
	*(bool *)arg = true;
}

static void stop_and_start(uint64_t features)
{
	static struct rig rig;
	struct pv_queue *queue;
	bool has_stopped = false;
	uint32_t done;

	rig_open(&rig, features);
	queue = &rig.couple.device->queue[0];
	load(&rig);
	finish_some(&rig, 2);
	done = rig.ends;
	assert_int_equal(pv_device_queue_stop(rig.couple.device, 0,
	                                      (struct pv_waiter){ note, &has_stopped }),
	                 0);
	assert_true(has_stopped);
	pv_blkdrv_poll(pv_blkdrv_queue(rig.driver, 0));
	/* Nothing failed, and the position is behind all that was taken. */
	assert_int_equal(rig.ends, done);
	if (!(features & VIRTIO_F_RING_PACKED))
		assert_int_equal(queue->position.avail, REQUESTS);
	assert_int_equal(pv_couple_start_queue(&rig.couple, 0), 0);
	expect_the_rest(&rig, done);
	rig_close(&rig);
}

/*
 * A monitor that moves a guest takes the rings along and leaves the journal: what nobody would take
 * again has to end before.
 */
static void stop_to_move(uint64_t features)
{
	static struct rig rig;
	static uint8_t bits[1];
	struct pv_dirty_log log = { .bits = bits };
	const struct pv_ring_logging logging = { .log = &log }, none = { 0 };
	bool has_stopped = false;
	uint32_t failures = 0;

	rig_open(&rig, features);
	assert_int_equal(pv_device_queue_log_set(rig.couple.device, 0, &logging), 0);
	pv_queue_log(&rig.couple.device->queue[0]);
	load(&rig);
	finish_some(&rig, 2);
	pv_device_queue_stop(rig.couple.device, 0, (struct pv_waiter){ note, &has_stopped });
	assert_true(has_stopped);
	pv_blkdrv_poll(pv_blkdrv_queue(rig.driver, 0));
	assert_int_equal(rig.ends, REQUESTS);
	for (uint32_t i = 0; i < REQUESTS; i++)
		failures += rig.request[i].error == -PV_EIO;
	assert_int_equal(failures, REQUESTS - 2);
	/* And the journal has nothing left. */
	assert_int_equal(pv_device_queue_log_set(rig.couple.device, 0, &none), 0);
	assert_int_equal(pv_couple_start_queue(&rig.couple, 0), 0);
	pv_couple_wake(&rig.couple, 0);
	pv_couple_run(&rig.couple);
	assert_int_equal(rig.store.pendings, 0);
	rig_close(&rig);
}

static int begin_locked(struct pv_blk_store *store)
{
	(void)store;
	return -PV_EBUSY;
}

/*
 * Whoever has the image may have the ring too, and be about to finish what is in flight: a device
 * that cannot have the image touches neither ring nor journal.
 */
static void start_without_the_image(uint64_t features)
{
	static struct rig rig;
	static uint8_t journal[sizeof(rig.journal)];
	struct pv_blk_store_ops locked;
	uint8_t *memory, *copy;
	uint32_t done;

	rig_open(&rig, features);
	load(&rig);
	finish_some(&rig, 2);
	done = rig.ends;
	pv_device_queue_stop(rig.couple.device, 0, (struct pv_waiter){ 0 });
	memory = rig.couple.twin.base[PV_VIEW_DRIVER];
	copy = malloc(rig.couple.twin.bytes);
	memcpy(copy, memory, rig.couple.twin.bytes);
	memcpy(journal, rig.journal, sizeof(journal));

	locked = *rig.store.blk.ops;
	locked.begin = begin_locked;
	rig.store.blk.ops = &locked;
	assert_int_equal(pv_couple_start_queue(&rig.couple, 0), -PV_EBUSY);
	assert_memory_equal(memory, copy, rig.couple.twin.bytes);
	assert_memory_equal(rig.journal, journal, sizeof(journal));
	free(copy);

	locked.begin = NULL;
	assert_int_equal(pv_couple_start_queue(&rig.couple, 0), 0);
	expect_the_rest(&rig, done);
	rig_close(&rig);
}

static void replace_device(uint64_t features)
{
	static struct rig rig;
	struct pv_device *old;
	void *old_storage;
	uint32_t done;
	bool has_reset = false;

	rig_open(&rig, features);
	load(&rig);
	finish_some(&rig, 2);
	done = rig.ends;
	old = rig.couple.device;
	old_storage = rig.storage;
	rig.store.pendings = 0;
	rig.couple.lane[0].is_attached = false;
	pv_couple_set_device(&rig.couple, device_make(&rig), PV_VIEW_DEVICE);
	assert_int_equal(pv_device_features_set(rig.couple.device, old->features), 0);
	pv_device_status_set(rig.couple.device, old->status);
	assert_int_equal(pv_couple_start_queue(&rig.couple, 0), 0);
	expect_the_rest(&rig, done);
	/* Only its memory is given back: what it had is gone. */
	pv_dev_ring_break(&old->queue[0].ring, PV_RING_NO_MEMORY);
	old->queue[0].ring.in_flight = old->queue[0].ring.waiting = 0;
	old->queue[0].state = PV_QUEUE_PAUSED;
	pv_device_reset(old, (struct pv_waiter){ note, &has_reset });
	assert_true(has_reset);
	free(old_storage);
	rig_close(&rig);
}

static void each_kind(void (*play)(uint64_t features))
{
	for (uint32_t mix = 0; mix < 4; mix++)
		play((mix & 1 ? VIRTIO_F_RING_PACKED : 0) | (mix & 2 ? VIRTIO_F_IN_ORDER : 0));
}

static void what_a_stop_finds_with_the_store_is_done_after_the_next_start(void **state)
{
	(void)state;
	each_kind(stop_and_start);
}

static void what_a_stop_finds_while_the_guest_is_being_moved_fails(void **state)
{
	(void)state;
	each_kind(stop_to_move);
}

static void without_the_image_ring_and_journal_are_not_touched(void **state)
{
	(void)state;
	each_kind(start_without_the_image);
}

static void what_a_dead_device_had_is_done_by_the_next_one(void **state)
{
	(void)state;
	each_kind(replace_device);
}

/* They would be in no state: nobody holds them, and the ring is past them. */
static void a_device_with_chains_left_to_be_taken_again_is_not_saved(void **state)
{
	static struct rig rig;
	struct pv_state_writer nowhere = { 0 };
	bool has_stopped = false, is_paused = false;

	(void)state;
	rig_open(&rig, 0);
	load(&rig);
	pv_device_queue_stop(rig.couple.device, 0, (struct pv_waiter){ note, &has_stopped });
	assert_int_equal(pv_couple_start_queue(&rig.couple, 0), 0);
	assert_int_equal(pv_device_pause(rig.couple.device, (struct pv_waiter){ note, &is_paused }),
	                 0);
	assert_true(is_paused);
	assert_int_equal(pv_device_save(rig.couple.device, &nowhere), -PV_EBUSY);
	pv_device_resume(rig.couple.device);
	expect_the_rest(&rig, 0);
	rig_close(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_a_stop_finds_with_the_store_is_done_after_the_next_start),
		cmocka_unit_test(what_a_stop_finds_while_the_guest_is_being_moved_fails),
		cmocka_unit_test(without_the_image_ring_and_journal_are_not_touched),
		cmocka_unit_test(what_a_dead_device_had_is_done_by_the_next_one),
		cmocka_unit_test(a_device_with_chains_left_to_be_taken_again_is_not_saved),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
