/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The entropy device's limits, in virtual time: never more than the budget in a period, never much
 * less while somebody wants it, and no work at all while it waits; whatever becomes of queue and
 * device meanwhile.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "ring/err.h"
#include "tests/support/rng_rig.h"

#define MS        1000000ull
#define MAX_BYTES 500u
#define PERIOD_NS (10 * MS)
#define TICK_NS   100000u
#define PERIODS   50u
#define TICKS     (PERIODS * (PERIOD_NS / TICK_NS))

static struct rng_rig rig;

static void open_limited(uint64_t ring_features, uint64_t number)
{
	const struct rng_rig_options options = { .ring_features = ring_features,
		                                 .number = number,
		                                 .max_bytes = MAX_BYTES,
		                                 .period_ns = PERIOD_NS,
		                                 .is_on_pci = number % 2 };

	rng_rig_open(&rig, &options);
}

/* As much as the queue has room for. */
static void keep_full(void)
{
	for (uint32_t i = 0; i < 4; i++)
		if (!rig.slot[i].is_out)
			rng_rig_submit(&rig, i, 100 + i);
}

/* A turn of driver and device, which both go to sleep; then time passes. */
static void tick(void)
{
	keep_full();
	pv_couple_run(rig.couple);
	pv_couple_sleep(rig.couple);
	pv_rngdrv_poll(rig.driver);
	pv_couple_pass(rig.couple, TICK_NS);
}

/* Bytes given by the end of each tick. */
static uint64_t given[TICKS + 1];

/* A period begins with its first byte, so that the last of one and the first of the next may meet.
 */
static void check_rate(uint64_t ticks)
{
	const uint64_t ticks_per_period = PERIOD_NS / TICK_NS;

	for (uint64_t i = 0; i + ticks_per_period < ticks; i++)
		assert_true(given[i + ticks_per_period] - given[i] <= 2 * MAX_BYTES);
	for (uint64_t periods = 1; periods * ticks_per_period <= ticks; periods++)
		assert_true(given[periods * ticks_per_period] <= (periods + 1) * MAX_BYTES);
}

static void a_period_has_its_bytes_and_no_more(void **state)
{
	(void)state;
	for (uint64_t ring = 0; ring < 2 * PV_RING_KINDS; ring++) {
		open_limited(pv_ring_kind[ring / 2], ring);
		for (uint64_t i = 0; i < TICKS; i++) {
			tick();
			given[i + 1] = rig.bytes;
		}
		check_rate(TICKS);
		assert_true(rig.bytes >= (PERIODS - 1) * MAX_BYTES);
		assert_in_range(pv_count_of(rig.couple->device, 0, "throttled"), PERIODS - 2,
		                PERIODS + 2);
		rng_rig_close(&rig);
	}
}

/* Kicks come all the time, and others on the loop have work: nothing is done about it. */
static void a_queue_that_waits_does_nothing_until_its_time(void **state)
{
	const struct pv_queue_counters *counters;
	uint64_t bursts, asked, throttled;

	(void)state;
	open_limited(0, 100);
	while (rig.bytes < MAX_BYTES)
		tick();
	keep_full();
	pv_couple_run(rig.couple);
	counters = &rig.couple->device->queue[0].counters;
	bursts = counters->bursts;
	asked = rig.source.asked;
	throttled = pv_count_of(rig.couple->device, 0, "throttled");
	for (int i = 0; i < 100; i++) {
		rig.couple->lane[0].is_kicked = true;
		assert_false(pv_couple_run(rig.couple));
		pv_couple_sleep(rig.couple);
		assert_true(rig.couple->lane[0].is_asleep);
		pv_couple_pass(rig.couple, 1000);
	}
	assert_int_equal(counters->bursts, bursts);
	assert_int_equal(rig.source.asked, asked);
	assert_int_equal(pv_count_of(rig.couple->device, 0, "throttled"), throttled);
	assert_int_equal(rig.out, 4);
	rng_rig_settle(&rig);
	rng_rig_close(&rig);
}

/* Nobody asks: after the period in which something was given the timer goes off no more. */
static void a_queue_that_nobody_uses_has_no_timer(void **state)
{
	(void)state;
	open_limited(VIRTIO_F_EVENT_IDX, 101);
	while (rig.bytes < MAX_BYTES)
		tick();
	rng_rig_settle(&rig);
	pv_couple_pass(rig.couple, 2 * PERIOD_NS);
	pv_couple_run(rig.couple);
	pv_couple_sleep(rig.couple);
	assert_true(rig.couple->lane[0].is_asleep);
	assert_false(rig.couple->lane[0].has_timer);
	rng_rig_submit(&rig, 0, 100);
	assert_true(rig.couple->lane[0].is_kicked);
	rng_rig_settle(&rig);
	rng_rig_close(&rig);
}

static void note(void *arg)
{
	*(bool *)arg = true;
}

/* What is waiting stays on the ring: stop and go on are at once, and nothing is lost. */
static void a_queue_that_waits_is_paused_and_goes_on(void **state)
{
	(void)state;
	for (uint64_t ring = 0; ring < PV_RING_KINDS; ring++) {
		open_limited(pv_ring_kind[ring], 200 + ring);
		for (uint64_t i = 0; i < TICKS; i++) {
			bool is_paused = false;
			struct pv_device *device = rig.couple->device;

			tick();
			given[i + 1] = rig.bytes;
			if (i % 7 != 3)
				continue;
			assert_int_equal(
				pv_device_pause(device, (struct pv_waiter){ note, &is_paused }), 0);
			assert_true(is_paused);
			pv_device_resume(device);
		}
		check_rate(TICKS);
		assert_true(rig.bytes >= (PERIODS - 2) * MAX_BYTES);
		rng_rig_settle(&rig);
		rng_rig_close(&rig);
	}
}

/* Moving a guest gives it no more than staying would have. */
static void the_budget_goes_along_with_the_device(void **state)
{
	(void)state;
	for (uint64_t ring = 0; ring < 2 * PV_RING_KINDS; ring++) {
		open_limited(pv_ring_kind[ring / 2], 300 + ring);
		for (uint64_t i = 0; i < TICKS; i++) {
			tick();
			given[i + 1] = rig.bytes;
			if (i % 13 == 5)
				rng_rig_move(&rig);
		}
		check_rate(TICKS);
		assert_true(rig.bytes >= (PERIODS - 2) * MAX_BYTES);
		rng_rig_settle(&rig);
		rng_rig_close(&rig);
	}
}

static void a_reset_gives_no_more(void **state)
{
	uint64_t bytes = 0;

	(void)state;
	open_limited(0, 400);
	for (int i = 0; i < 20; i++) {
		rig.is_over = false;
		tick();
		tick();
		rig.is_over = true;
		assert_int_equal(pv_rngdrv_queue_reset(rig.driver), 0);
		rig.place = rig.source.given;
	}
	bytes = pv_count_of(rig.couple->device, 0, "bytes");
	assert_int_equal(bytes, MAX_BYTES);
	rng_rig_close(&rig);
}

/* A limit that was changed from one process to the next. */
static void a_smaller_budget_counts_where_the_device_goes(void **state)
{
	(void)state;
	open_limited(0, 500);
	while (rig.bytes < MAX_BYTES / 2)
		tick();
	rig.options.max_bytes = 50;
	rig.options.period_ns = PERIOD_NS / 2;
	rng_rig_move(&rig);
	keep_full();
	pv_couple_run(rig.couple);
	assert_int_equal(pv_count_of(rig.couple->device, 0, "bytes"), 0);
	pv_couple_pass(rig.couple, PERIOD_NS / 2);
	pv_couple_run(rig.couple);
	assert_int_equal(pv_count_of(rig.couple->device, 0, "bytes"), 50);
	rng_rig_settle(&rig);
	rng_rig_close(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_period_has_its_bytes_and_no_more),
		cmocka_unit_test(a_queue_that_waits_does_nothing_until_its_time),
		cmocka_unit_test(a_queue_that_nobody_uses_has_no_timer),
		cmocka_unit_test(a_queue_that_waits_is_paused_and_goes_on),
		cmocka_unit_test(the_budget_goes_along_with_the_device),
		cmocka_unit_test(a_reset_gives_no_more),
		cmocka_unit_test(a_smaller_budget_counts_where_the_device_goes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
