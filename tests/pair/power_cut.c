/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The power is cut: what the device promised is on the disk, whatever else is lost.
 *
 * Our driver sends random writes, discards, zeroes, reads and flushes to the device, whose disk
 * ends them in any order; at a random moment the disk loses its power and with it what its cache
 * holds, or pieces of it.  Every sector must then have the value that was promised last or a newer
 * one, whole.  A promise is a flush that ended (virtio 1.3, section 5.2.6.2), and where there is
 * no write cache to the driver's knowledge, each write that ended.
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
#include "tests/support/couple.h"
#include "tests/support/logged_load.h"
#include "tests/support/power_cut_store.h"
#include "tests/support/slow_store.h"

#define DISK_SECTORS 256u
#define DISK_BYTES   (DISK_SECTORS * DISK_LOG_SECTOR)
#define CUTS         100u
#define STEPS_MAX    600u

/* What the driver has negotiated or set, and so how long a write may stay in the cache. */
enum promise {
	ON_FLUSH,
	ON_EACH_WRITE,   /* the driver does not know of flushes */
	CACHE_OFF,       /* the user has turned the cache off */
	DRIVER_SWITCHES, /* the driver turns it off and on */
};

struct rig {
	struct pv_couple couple;
	struct pv_random random;
	enum promise promise;
	struct pv_slow_store slow;
	struct pv_power_cut_store store;
	uint8_t disk[DISK_BYTES], platter[DISK_BYTES];
	void *storage;
	struct pv_blkdrv *driver;
	struct logged_load load;
	uint32_t kept, lost, torn; /* at cuts */
};

/* ---- a start ---- */

static uint64_t wanted_features(struct rig *rig)
{
	uint64_t wanted = PV_BLKDRV_FEATURES;

	if (pv_random_chance(&rig->random, 50))
		wanted &= ~VIRTIO_F_RING_PACKED;
	if (pv_random_chance(&rig->random, 50))
		wanted &= ~VIRTIO_F_INDIRECT_DESC;
	if (rig->promise == ON_EACH_WRITE)
		wanted &= ~(VIRTIO_BLK_F_FLUSH | VIRTIO_BLK_F_CONFIG_WCE);
	return wanted;
}

static void power_on(struct rig *rig)
{
	const struct pv_blk_options device_options = {
		.queues = 1,
		.queue_size_max = 2 * LOGGED_LOAD_REQUESTS,
		.has_write_cache = rig->promise != CACHE_OFF,
	};
	const struct pv_blkdrv_options options = { .wanted = wanted_features(rig) };

	memcpy(rig->disk, rig->platter, DISK_BYTES);
	pv_couple_open(&rig->couple, 1u << 20, rig->random);
	pv_slow_store_open(&rig->slow, rig->disk, DISK_BYTES, &rig->random);
	pv_power_cut_store_open(&rig->store, &rig->slow.blk, rig->platter);
	rig->storage = aligned_alloc(64, (pv_blk_bytes(1) + 63) & ~(size_t)63);
	memset(rig->storage, 0, pv_blk_bytes(1));
	pv_couple_set_device(&rig->couple,
	                     pv_blk_init(rig->storage, &rig->couple.port, &rig->store.layer.blk,
	                                 &device_options),
	                     PV_VIEW_DEVICE);
	rig->couple.region_max = 2000; /* or a request has more pieces than the device takes */
	logged_load_prepare(&rig->load, &rig->couple.os);
	assert_int_equal(
		pv_blkdrv_create(&rig->driver, &rig->couple.bus, &rig->couple.os, &options), 0);
	logged_load_start(&rig->load, rig->driver,
	                  rig->promise == ON_FLUSH || rig->promise == DRIVER_SWITCHES);
}

static void power_off(struct rig *rig)
{
	logged_load_stop(&rig->load);
	pv_blkdrv_destroy(rig->driver);
	pv_couple_close(&rig->couple);
	pv_power_cut_store_close(&rig->store);
	free(rig->storage);
}

/* ---- a life between two cuts ---- */

static void finish_one(struct rig *rig)
{
	if (pv_slow_store_finish_one(&rig->slow))
		pv_couple_wake(&rig->couple, 0);
}

static void settle(struct rig *rig)
{
	for (int i = 0; i < 10000 && rig->load.out > 0; i++) {
		pv_couple_run(&rig->couple);
		finish_one(rig);
		pv_couple_sleep(&rig->couple);
		pv_blkdrv_poll(pv_blkdrv_queue(rig->driver, 0));
	}
	assert_int_equal(rig->load.out, 0);
}

static void switch_cache(struct rig *rig)
{
	bool is_cached = !rig->load.is_cached;

	assert_int_equal(pv_blkdrv_set_write_cache(rig->driver, is_cached), 0);
	logged_load_switch_cache(&rig->load, is_cached);
}

static void one_step(struct rig *rig)
{
	uint32_t dice = pv_random_below(&rig->random, 100);

	if (dice < 30)
		logged_load_send(&rig->load);
	else if (dice < 55)
		pv_couple_run(&rig->couple);
	else if (dice < 75)
		finish_one(rig);
	else if (dice < 98)
		pv_blkdrv_poll(pv_blkdrv_queue(rig->driver, 0));
	else if (rig->promise == DRIVER_SWITCHES)
		switch_cache(rig);
}

static void cut(struct rig *rig)
{
	const char *wrong;

	pv_power_cut_store_cut(&rig->store, &rig->random);
	rig->load.is_over = true;
	settle(rig);
	rig->kept += rig->store.kept;
	rig->lost += rig->store.lost;
	rig->torn += rig->store.torn;
	wrong = disk_log_restart(&rig->load.log, rig->platter);
	if (wrong)
		fail_msg("%s", wrong);
}

/* Of each kind of harm there was some. */
static bool was_hard(const struct rig *rig, uint32_t cuts)
{
	return rig->lost > cuts / 10 && rig->torn > cuts / 10 && rig->kept > cuts / 10;
}

static void cut_again_and_again(struct rig *rig, enum promise promise)
{
	uint32_t cuts = getenv("PV_LONG") ? 100 * CUTS : CUTS;

	memset(rig, 0, sizeof(*rig));
	rig->promise = promise;
	rig->random = pv_random_start(pv_random_seed(), promise);
	logged_load_init(&rig->load, DISK_SECTORS, &rig->random);
	/* With some seeds it takes longer until the life was a hard one. */
	for (uint32_t i = 0; i < cuts || (!was_hard(rig, cuts) && i < 4 * cuts); i++) {
		uint32_t steps = pv_random_below(&rig->random, STEPS_MAX);

		power_on(rig);
		for (uint32_t step = 0; step < steps; step++)
			one_step(rig);
		cut(rig);
		power_off(rig);
	}
	assert_true(was_hard(rig, cuts));
}

static struct rig rig;

static void what_was_written_before_a_flush_that_ended_outlives_a_power_cut(void **state)
{
	(void)state;
	cut_again_and_again(&rig, ON_FLUSH);
	assert_true(rig.load.flushes > CUTS);
	assert_true(rig.load.log.lost > CUTS); /* and without a flush it does not */
}

static void every_write_outlives_a_power_cut_for_a_driver_without_flush(void **state)
{
	(void)state;
	cut_again_and_again(&rig, ON_EACH_WRITE);
	assert_int_equal(rig.load.log.lost, 0);
}

static void every_write_outlives_a_power_cut_with_the_cache_off(void **state)
{
	(void)state;
	cut_again_and_again(&rig, CACHE_OFF);
	assert_int_equal(rig.load.log.lost, 0);
}

static void a_driver_that_turns_the_cache_off_loses_no_write_from_then_on(void **state)
{
	(void)state;
	cut_again_and_again(&rig, DRIVER_SWITCHES);
	assert_true(rig.load.log.lost > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_written_before_a_flush_that_ended_outlives_a_power_cut),
		cmocka_unit_test(every_write_outlives_a_power_cut_for_a_driver_without_flush),
		cmocka_unit_test(every_write_outlives_a_power_cut_with_the_cache_off),
		cmocka_unit_test(a_driver_that_turns_the_cache_off_loses_no_write_from_then_on),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
