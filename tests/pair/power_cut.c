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
#include "tests/support/disk_log.h"
#include "tests/support/power_cut_store.h"
#include "tests/support/slow_store.h"

#define DISK_SECTORS 256u
#define DISK_BYTES   (DISK_SECTORS * DISK_LOG_SECTOR)
#define SECTORS_MAX  16u
#define REQUESTS     16u
#define CUTS         100u
#define STEPS_MAX    600u

/* What the driver has negotiated or set, and so how long a write may stay in the cache. */
enum promise {
	ON_FLUSH,
	ON_EACH_WRITE,   /* the driver does not know of flushes */
	CACHE_OFF,       /* the user has turned the cache off */
	DRIVER_SWITCHES, /* the driver turns it off and on */
};

struct slot {
	struct pv_blkdrv_request request;
	struct pv_sg sg;
	struct pv_gpa buffer;
	uint32_t first, sectors;
	bool is_out;
	bool is_stable; /* when it ends */
	struct disk_log_moment sent;
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
	bool is_cached; /* as the driver sees it */
	bool is_over;
	struct slot slot[REQUESTS];
	uint32_t out;
	struct disk_log log;
	uint32_t kept, lost, torn; /* at cuts */
	uint32_t flushes;
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
		.queue_size_max = 2 * REQUESTS,
		.has_write_cache = rig->promise != CACHE_OFF,
	};
	const struct pv_blkdrv_options options = { .wanted = wanted_features(rig) };
	struct pv_twin *twin = &rig->couple.twin;

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
	for (uint32_t i = 0; i < REQUESTS; i++)
		rig->slot[i].buffer = pv_twin_alloc(twin, SECTORS_MAX * DISK_LOG_SECTOR,
		                                    PV_SCATTERED, 2000, &rig->random);
	assert_int_equal(
		pv_blkdrv_create(&rig->driver, &rig->couple.bus, &rig->couple.os, &options), 0);
	rig->is_cached = rig->promise == ON_FLUSH || rig->promise == DRIVER_SWITCHES;
	rig->is_over = false;
}

static void power_off(struct rig *rig)
{
	pv_blkdrv_destroy(rig->driver);
	pv_couple_close(&rig->couple);
	pv_power_cut_store_close(&rig->store);
	free(rig->storage);
}

/* ---- requests ---- */

static bool changes_the_disk(const struct pv_blkdrv_request *request)
{
	return request->op != PV_BLKDRV_READ && request->op != PV_BLKDRV_FLUSH;
}

static void check_read(struct rig *rig, const struct slot *slot)
{
	uint8_t data[SECTORS_MAX * DISK_LOG_SECTOR];

	pv_twin_read(&rig->couple.twin, slot->buffer, data, slot->sg.bytes);
	for (uint32_t i = 0; i < slot->sectors; i++)
		assert_true(disk_log_can_read(&rig->log, &slot->sent, slot->first + i,
		                              data + i * DISK_LOG_SECTOR));
}

static void request_done(struct pv_blkdrv_request *request)
{
	struct slot *slot = (struct slot *)request;
	struct rig *rig = request->arg;

	slot->is_out = false;
	rig->out--;
	if (rig->is_over)
		return;
	assert_int_equal(request->error, 0);
	if (request->op == PV_BLKDRV_READ)
		check_read(rig, slot);
	else if (request->op == PV_BLKDRV_FLUSH)
		disk_log_flushed(&rig->log, &slot->sent);
	else
		disk_log_ended(&rig->log, slot->first, slot->sectors, slot->is_stable);
	rig->flushes += request->op == PV_BLKDRV_FLUSH;
}

/* False if this one cannot be sent now. */
static bool log_request(struct rig *rig, struct slot *slot)
{
	uint8_t data[SECTORS_MAX * DISK_LOG_SECTOR];

	switch (slot->request.op) {
	case PV_BLKDRV_READ:
		disk_log_note(&rig->log, &slot->sent);
		return true;
	case PV_BLKDRV_FLUSH:
		disk_log_note(&rig->log, &slot->sent);
		return rig->promise != ON_EACH_WRITE;
	case PV_BLKDRV_WRITE:
		if (!disk_log_write(&rig->log, slot->first, slot->sectors, data))
			return false;
		pv_twin_write(&rig->couple.twin, slot->buffer, data, slot->sg.bytes);
		return true;
	default:
		return disk_log_write(&rig->log, slot->first, slot->sectors, NULL);
	}
}

static void aim(struct rig *rig, struct slot *slot)
{
	static const enum pv_blkdrv_op ops[] = {
		PV_BLKDRV_WRITE, PV_BLKDRV_WRITE,   PV_BLKDRV_WRITE,        PV_BLKDRV_READ,
		PV_BLKDRV_FLUSH, PV_BLKDRV_DISCARD, PV_BLKDRV_WRITE_ZEROES,
	};

	slot->sectors = 1 + pv_random_below(&rig->random, SECTORS_MAX);
	slot->first = pv_random_below(&rig->random, DISK_SECTORS - slot->sectors + 1);
	slot->sg = (struct pv_sg){ slot->buffer, slot->sectors * DISK_LOG_SECTOR };
	slot->is_stable = !rig->is_cached;
	slot->request = (struct pv_blkdrv_request){
		.op = ops[pv_random_below(&rig->random, sizeof(ops) / sizeof(ops[0]))],
		.sector = slot->first,
		.sectors = slot->sectors,
		.sg = &slot->sg,
		.done = request_done,
		.arg = rig,
	};
	slot->request.sgs = slot->request.op == PV_BLKDRV_READ ||
	                    slot->request.op == PV_BLKDRV_WRITE;
}

static void submit_one(struct rig *rig)
{
	struct slot *slot = &rig->slot[pv_random_below(&rig->random, REQUESTS)];
	struct pv_blkdrv_queue *queue = pv_blkdrv_queue(rig->driver, 0);
	int err;

	if (slot->is_out)
		return;
	aim(rig, slot);
	if (!log_request(rig, slot))
		return;
	err = pv_blkdrv_submit(queue, &slot->request);
	if (err) {
		assert_int_equal(err, -PV_ENOSPC);
		if (changes_the_disk(&slot->request))
			disk_log_unwrite(&rig->log, slot->first, slot->sectors);
		return;
	}
	pv_blkdrv_publish(queue);
	slot->is_out = true;
	rig->out++;
}

/* ---- a life between two cuts ---- */

static void finish_one(struct rig *rig)
{
	if (pv_slow_store_finish_one(&rig->slow))
		pv_couple_wake(&rig->couple, 0);
}

static void settle(struct rig *rig)
{
	for (int i = 0; i < 10000 && rig->out > 0; i++) {
		pv_couple_run(&rig->couple);
		finish_one(rig);
		pv_couple_sleep(&rig->couple);
		pv_blkdrv_poll(pv_blkdrv_queue(rig->driver, 0));
	}
	assert_int_equal(rig->out, 0);
}

/* The device may have either state in mind for what is in flight: that is promised nothing. */
static void switch_cache(struct rig *rig)
{
	for (uint32_t i = 0; i < REQUESTS; i++)
		rig->slot[i].is_stable = false;
	rig->is_cached = !rig->is_cached;
	assert_int_equal(pv_blkdrv_set_write_cache(rig->driver, rig->is_cached), 0);
}

static void one_step(struct rig *rig)
{
	uint32_t dice = pv_random_below(&rig->random, 100);

	if (dice < 30)
		submit_one(rig);
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
	rig->is_over = true;
	settle(rig);
	rig->kept += rig->store.kept;
	rig->lost += rig->store.lost;
	rig->torn += rig->store.torn;
	wrong = disk_log_restart(&rig->log, rig->platter);
	if (wrong)
		fail_msg("%s", wrong);
}

static void cut_again_and_again(struct rig *rig, enum promise promise)
{
	uint32_t cuts = getenv("PV_LONG") ? 100 * CUTS : CUTS;

	memset(rig, 0, sizeof(*rig));
	rig->promise = promise;
	rig->random = pv_random_start(pv_random_seed(), promise);
	disk_log_init(&rig->log, DISK_SECTORS);
	for (uint32_t i = 0; i < cuts; i++) {
		uint32_t steps = pv_random_below(&rig->random, STEPS_MAX);

		power_on(rig);
		for (uint32_t step = 0; step < steps; step++)
			one_step(rig);
		cut(rig);
		power_off(rig);
	}
	/* It was a hard life. */
	assert_true(rig->lost > cuts / 10 && rig->torn > cuts / 10 && rig->kept > cuts / 10);
}

static struct rig rig;

static void what_was_written_before_a_flush_that_ended_outlives_a_power_cut(void **state)
{
	(void)state;
	cut_again_and_again(&rig, ON_FLUSH);
	assert_true(rig.flushes > CUTS);
	assert_true(rig.log.lost > CUTS); /* and without a flush it does not */
}

static void every_write_outlives_a_power_cut_for_a_driver_without_flush(void **state)
{
	(void)state;
	cut_again_and_again(&rig, ON_EACH_WRITE);
	assert_int_equal(rig.log.lost, 0);
}

static void every_write_outlives_a_power_cut_with_the_cache_off(void **state)
{
	(void)state;
	cut_again_and_again(&rig, CACHE_OFF);
	assert_int_equal(rig.log.lost, 0);
}

static void a_driver_that_turns_the_cache_off_loses_no_write_from_then_on(void **state)
{
	(void)state;
	cut_again_and_again(&rig, DRIVER_SWITCHES);
	assert_true(rig.log.lost > 0);
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
