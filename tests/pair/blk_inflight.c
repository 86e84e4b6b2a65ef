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
#include "tests/support/blk_pair.h"

#define SIZE     32u
#define REQUESTS 6u

struct rig {
	struct blk_pair pair;
	struct pv_blkdrv_request request[REQUESTS];
	_Alignas(8) uint8_t journal[VHOST_INFLIGHT_ALIGN * SIZE];
};

static const struct pv_blk_options options = { .queues = 1,
	                                       .queue_size_max = SIZE,
	                                       .is_in_order = true };

static void rig_open(struct rig *rig, uint64_t features)
{
	const struct pv_blkdrv_options chosen = {
		.required = features,
		.wanted = (PV_BLKDRV_FEATURES & ~(VIRTIO_F_RING_PACKED | VIRTIO_F_IN_ORDER)) |
		          features,
		.queues = 1,
	};

	memset(rig, 0, sizeof(*rig));
	blk_pair_open(&rig->pair, features);
	rig->pair.store.at_once_percent = 0;
	rig->pair.store.withdraw_percent = 100;
	rig->pair.couple.lane[0].inflight = rig->journal;
	rig->pair.couple.inflight_places = SIZE;
	blk_pair_start(&rig->pair, &options, &chosen);
}

static void rig_close(struct rig *rig)
{
	blk_pair_close(&rig->pair);
}

/* Requests that are with the store, none of them answered. */
static void load(struct rig *rig)
{
	struct pv_blkdrv_queue *queue = pv_blkdrv_queue(rig->pair.driver, 0);

	for (uint32_t i = 0; i < REQUESTS; i++)
		blk_pair_read(&rig->pair, 0, &rig->request[i], i);
	pv_blkdrv_publish(queue);
	pv_couple_run(&rig->pair.couple);
	assert_int_equal(rig->pair.store.pendings, REQUESTS);
}

static void finish_some(struct rig *rig, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++)
		assert_true(pv_slow_store_finish_one(&rig->pair.store));
	pv_couple_wake(&rig->pair.couple, 0);
	pv_couple_run(&rig->pair.couple);
	pv_blkdrv_poll(pv_blkdrv_queue(rig->pair.driver, 0));
}

/* All that is left is with the store again, oldest first, and ends well. */
static void expect_the_rest(struct rig *rig, uint32_t done)
{
	uint32_t interrupts = rig->pair.couple.interrupts;

	pv_couple_wake(&rig->pair.couple, 0);
	pv_couple_run(&rig->pair.couple);
	/* What was done before may have been announced by nobody. */
	assert_true(rig->pair.couple.interrupts > interrupts);
	assert_int_equal(rig->pair.store.pendings, REQUESTS - done);
	for (uint32_t i = 1; i < rig->pair.store.pendings; i++)
		assert_true(rig->pair.store.pending[i - 1]->offset <
		            rig->pair.store.pending[i]->offset);
	finish_some(rig, REQUESTS - done);
	assert_int_equal(rig->pair.ends, REQUESTS);
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
	queue = &rig.pair.couple.device->queue[0];
	load(&rig);
	finish_some(&rig, 2);
	done = rig.pair.ends;
	assert_int_equal(pv_device_queue_stop(rig.pair.couple.device, 0,
	                                      (struct pv_waiter){ note, &has_stopped }),
	                 0);
	assert_true(has_stopped);
	pv_blkdrv_poll(pv_blkdrv_queue(rig.pair.driver, 0));
	/* Nothing failed, and the position is behind all that was taken. */
	assert_int_equal(rig.pair.ends, done);
	if (!(features & VIRTIO_F_RING_PACKED))
		assert_int_equal(queue->position.avail, REQUESTS);
	assert_int_equal(pv_couple_start_queue(&rig.pair.couple, 0), 0);
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
	assert_int_equal(pv_device_queue_log_set(rig.pair.couple.device, 0, &logging), 0);
	pv_queue_log(&rig.pair.couple.device->queue[0]);
	load(&rig);
	finish_some(&rig, 2);
	pv_device_queue_stop(rig.pair.couple.device, 0, (struct pv_waiter){ note, &has_stopped });
	assert_true(has_stopped);
	pv_blkdrv_poll(pv_blkdrv_queue(rig.pair.driver, 0));
	assert_int_equal(rig.pair.ends, REQUESTS);
	for (uint32_t i = 0; i < REQUESTS; i++)
		failures += rig.request[i].error == -PV_EIO;
	assert_int_equal(failures, REQUESTS - 2);
	/* And the journal has nothing left. */
	assert_int_equal(pv_device_queue_log_set(rig.pair.couple.device, 0, &none), 0);
	assert_int_equal(pv_couple_start_queue(&rig.pair.couple, 0), 0);
	pv_couple_wake(&rig.pair.couple, 0);
	pv_couple_run(&rig.pair.couple);
	assert_int_equal(rig.pair.store.pendings, 0);
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
	done = rig.pair.ends;
	pv_device_queue_stop(rig.pair.couple.device, 0, (struct pv_waiter){ 0 });
	memory = rig.pair.couple.twin.base[PV_VIEW_DRIVER];
	copy = malloc(rig.pair.couple.twin.bytes);
	memcpy(copy, memory, rig.pair.couple.twin.bytes);
	memcpy(journal, rig.journal, sizeof(journal));

	locked = *rig.pair.store.blk.ops;
	locked.begin = begin_locked;
	rig.pair.store.blk.ops = &locked;
	assert_int_equal(pv_couple_start_queue(&rig.pair.couple, 0), -PV_EBUSY);
	assert_memory_equal(memory, copy, rig.pair.couple.twin.bytes);
	assert_memory_equal(rig.journal, journal, sizeof(journal));
	free(copy);

	locked.begin = NULL;
	assert_int_equal(pv_couple_start_queue(&rig.pair.couple, 0), 0);
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
	done = rig.pair.ends;
	old = rig.pair.couple.device;
	old_storage = rig.pair.storage;
	rig.pair.store.pendings = 0;
	rig.pair.couple.lane[0].is_attached = false;
	pv_couple_set_device(&rig.pair.couple, blk_pair_make_device(&rig.pair, &options),
	                     PV_VIEW_DEVICE);
	assert_int_equal(pv_device_features_set(rig.pair.couple.device, old->features), 0);
	pv_device_status_set(rig.pair.couple.device, old->status);
	assert_int_equal(pv_couple_start_queue(&rig.pair.couple, 0), 0);
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
	pv_device_queue_stop(rig.pair.couple.device, 0, (struct pv_waiter){ note, &has_stopped });
	assert_int_equal(pv_couple_start_queue(&rig.pair.couple, 0), 0);
	assert_int_equal(
		pv_device_pause(rig.pair.couple.device, (struct pv_waiter){ note, &is_paused }), 0);
	assert_true(is_paused);
	assert_int_equal(pv_device_save(rig.pair.couple.device, &nowhere), -PV_EBUSY);
	pv_device_resume(rig.pair.couple.device);
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
