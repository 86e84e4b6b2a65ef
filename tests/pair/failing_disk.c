/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The disk fails now and then: the request that it fails at ends with an error, is counted, and
 * harms no other one.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "devices/blk/blk.h"
#include "devices/blk/internal.h"
#include "drivers/blk/blk.h"
#include "ring/err.h"
#include "tests/support/couple.h"
#include "tests/support/fault_store.h"
#include "tests/support/logged_load.h"
#include "tests/support/slow_store.h"

#define DISK_SECTORS 512u
#define DISK_BYTES   (DISK_SECTORS * DISK_LOG_SECTOR)
#define STEPS        20000u
#define STRIPES      8u
#define STRIPE       (64u * DISK_LOG_SECTOR)

struct rig {
	struct pv_couple couple;
	struct pv_random random;
	struct pv_slow_store slow;
	struct pv_fault_store store;
	uint8_t disk[DISK_BYTES];
	void *storage;
	struct pv_blkdrv *driver;
	struct pv_blkdrv_queue *queue;
	struct logged_load load;
	uint8_t *data; /* a whole disk's */
};

static struct rig rig;

static int setup(void **state)
{
	const struct pv_blk_options device_options = { .queues = 1, .queue_size_max = 32 };
	const struct pv_blkdrv_options options = { .wanted = PV_BLKDRV_FEATURES };
	struct pv_os *os = &rig.couple.os;
	struct pv_gpa gpa;

	(void)state;
	memset(&rig, 0, sizeof(rig));
	rig.random = pv_random_start(pv_random_seed(), 0);
	pv_couple_open(&rig.couple, 2u << 20, rig.random);
	pv_slow_store_open(&rig.slow, rig.disk, DISK_BYTES, &rig.random);
	pv_fault_store_open(&rig.store, &rig.slow.blk, &rig.random);
	rig.storage = aligned_alloc(64, (pv_blk_bytes(1) + 63) & ~(size_t)63);
	memset(rig.storage, 0, pv_blk_bytes(1));
	pv_couple_set_device(&rig.couple,
	                     pv_blk_init(rig.storage, &rig.couple.port, &rig.store.layer.blk,
	                                 &device_options),
	                     PV_VIEW_DEVICE);
	logged_load_init(&rig.load, DISK_SECTORS, &rig.random);
	rig.couple.region_max = 8000; /* or a request has more pieces than the device takes */
	logged_load_prepare(&rig.load, os);
	rig.data = os->ops->shared_alloc(os, DISK_BYTES, 512, &gpa);
	assert_int_equal(pv_blkdrv_create(&rig.driver, &rig.couple.bus, &rig.couple.os, &options),
	                 0);
	rig.queue = pv_blkdrv_queue(rig.driver, 0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	logged_load_stop(&rig.load);
	pv_blkdrv_destroy(rig.driver);
	pv_couple_close(&rig.couple);
	pv_fault_store_close(&rig.store);
	free(rig.storage);
	return 0;
}

static void finish_one(void)
{
	if (pv_slow_store_finish_one(&rig.slow) + pv_fault_store_tick(&rig.store) > 0)
		pv_couple_wake(&rig.couple, 0);
}

static void turn(void)
{
	pv_couple_run(&rig.couple);
	finish_one();
	pv_couple_sleep(&rig.couple);
	pv_blkdrv_poll(rig.queue);
}

static uint64_t counted_errors(void)
{
	const struct pv_blk_counters *counters =
		rig.couple.device->ops->queue_counters(rig.couple.device, 0);

	return counters->errors;
}

/* ---- one fault ---- */

struct volley {
	struct pv_blkdrv_request request[STRIPES];
	struct pv_buffer data[STRIPES];
};

/* One request for each stripe of the disk, all at once. Returns when they have ended. */
static void send_all(struct volley *volley, enum pv_blkdrv_op op)
{
	bool has_data = op == PV_BLKDRV_READ || op == PV_BLKDRV_WRITE;

	for (uint32_t i = 0; i < STRIPES; i++) {
		volley->request[i] = (struct pv_blkdrv_request){
			.op = op,
			.sector = i * STRIPE / DISK_LOG_SECTOR,
			.sectors = STRIPE / DISK_LOG_SECTOR,
			.buffer = &volley->data[i],
			.buffers = has_data,
		};
		assert_int_equal(pv_blkdrv_submit(rig.queue, &volley->request[i]), 0);
	}
	pv_blkdrv_publish(rig.queue);
	for (int i = 0; i < 1000; i++)
		turn();
}

static void expect_data(enum pv_blkdrv_op op, uint32_t failed)
{
	for (uint32_t i = 0; i < STRIPES; i++) {
		const uint8_t *disk = rig.disk + i * STRIPE;
		bool is_cleared = op == PV_BLKDRV_DISCARD || op == PV_BLKDRV_WRITE_ZEROES;

		if (i == failed)
			continue;
		for (uint32_t b = 0; op != PV_BLKDRV_FLUSH && b < STRIPE; b++)
			assert_int_equal(disk[b], is_cleared ? 0 : rig.data[i * STRIPE + b]);
	}
}

static void strike(struct volley *volley, enum pv_blkdrv_op op, const struct pv_fault *fault)
{
	uint64_t errors = counted_errors();
	uint32_t failed = STRIPES;

	memset(rig.data, 0x30 + (int)op, DISK_BYTES);
	if (op == PV_BLKDRV_READ)
		memset(rig.disk, 0x66, DISK_BYTES);
	pv_fault_store_add(&rig.store, fault);
	send_all(volley, op);
	for (uint32_t i = 0; i < STRIPES; i++) {
		assert_true(volley->request[i].is_done);
		if (volley->request[i].error == 0)
			continue;
		assert_int_equal(volley->request[i].error, -PV_EIO);
		assert_int_equal(failed, STRIPES);
		failed = i;
	}
	assert_true(failed < STRIPES);
	assert_true(op == PV_BLKDRV_FLUSH || failed == fault->begin / STRIPE);
	assert_int_equal(counted_errors(), errors + 1);
	expect_data(op, failed);

	/* It was this once. */
	send_all(volley, op);
	for (uint32_t i = 0; i < STRIPES; i++)
		assert_int_equal(volley->request[i].error, 0);
	expect_data(op, STRIPES);
	pv_fault_store_clear(&rig.store);
}

static void a_fault_ends_the_one_request_that_it_strikes(void **state)
{
	static const enum pv_blkdrv_op ops[] = { PV_BLKDRV_READ, PV_BLKDRV_WRITE, PV_BLKDRV_FLUSH,
		                                 PV_BLKDRV_DISCARD, PV_BLKDRV_WRITE_ZEROES };
	static struct volley volley;

	(void)state;
	for (uint32_t i = 0; i < STRIPES; i++)
		volley.data[i] = (struct pv_buffer){ rig.data + i * STRIPE, STRIPE };
	for (size_t i = 0; i < sizeof(ops) / sizeof(ops[0]); i++) {
		for (uint32_t kind = 0; kind < 4; kind++) {
			const struct pv_fault fault = {
				.kind = kind & 1 ? PV_FAULT_SHORT : PV_FAULT_FAIL,
				.error = kind & 2 ? -PV_ENOSPC : -PV_EIO,
				.ops = PV_FAULT_OP(i),
				.begin = (2 * kind + 1) * STRIPE,
				.end = (2 * kind + 2) * STRIPE,
				.times = 1,
			};

			strike(&volley, ops[i], &fault);
		}
	}
}

/* ---- many ---- */

static void add_faults(void)
{
	const struct pv_fault slow = {
		.kind = PV_FAULT_SLOW, .ops = PV_FAULT_OP_ANY, .percent = 20, .ticks = 30
	};
	const struct pv_fault failing = { .kind = PV_FAULT_FAIL,
		                          .ops = PV_FAULT_OP_ANY,
		                          .percent = 10 };
	const struct pv_fault half = {
		.kind = PV_FAULT_SHORT, .ops = PV_FAULT_OP_ANY, .percent = 10, .error = -PV_ENOSPC
	};
	/* A bad spot. */
	const struct pv_fault bad = { .kind = PV_FAULT_FAIL,
		                      .ops = PV_FAULT_OP_ANY & ~PV_FAULT_OP(PV_BLK_FLUSH),
		                      .begin = 100 * DISK_LOG_SECTOR,
		                      .end = 101 * DISK_LOG_SECTOR };

	pv_fault_store_add(&rig.store, &bad);
	pv_fault_store_add(&rig.store, &failing);
	pv_fault_store_add(&rig.store, &half);
	pv_fault_store_add(&rig.store, &slow);
}

/* Every write that ended well is there; of the others it may be, or a part of it. */
static void check_disk(void)
{
	const char *wrong = disk_log_restart(&rig.load.log, rig.disk);

	if (wrong)
		fail_msg("%s", wrong);
}

static void settle(void)
{
	for (int i = 0; i < 10000 && rig.load.out > 0; i++)
		turn();
	assert_int_equal(rig.load.out, 0);
}

static void errors_by_the_hundred_harm_no_other_request(void **state)
{
	uint32_t steps = getenv("PV_LONG") ? 100 * STEPS : STEPS;
	uint32_t slow_strikes;

	(void)state;
	logged_load_start(&rig.load, rig.driver, false);
	rig.load.may_fail = true;
	add_faults();
	for (uint32_t step = 0; step < steps; step++) {
		logged_load_send(&rig.load);
		turn();
		if (step % 500 == 0) {
			settle();
			check_disk();
		}
	}
	settle();
	check_disk();
	slow_strikes = rig.store.fault[3].strikes;
	assert_true(rig.load.errors > steps / 50);
	assert_int_equal(rig.load.errors, rig.store.strikes - slow_strikes);
	assert_int_equal(rig.load.errors, counted_errors());
	assert_int_equal(rig.couple.needs_resets, 0);
}

#define ON_RIG(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		ON_RIG(a_fault_ends_the_one_request_that_it_strikes),
		ON_RIG(errors_by_the_hundred_harm_no_other_request),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
