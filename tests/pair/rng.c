/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * virtio-rng, both real halves against each other, with PCI between them and without: random
 * requests on memory cut into small regions, with every combination of ring features, at rates of
 * all kinds, from a source that runs dry; and in between, at random instants, the device is saved
 * and loaded into another one, or its queue is taken back.  What the source gave must arrive in
 * order, nothing twice, and nothing else.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "ring/err.h"
#include "tests/support/each.h"
#include "tests/support/rng_rig.h"

#define STEPS      1500u
#define TIMEOUT_NS 10000000000ull
#define MS         1000000ull

static struct rng_rig rig;

static const struct {
	uint64_t max_bytes, period_ns;
} rates[] = { { 0, 0 }, { 1, 5 * MS }, { 100, MS }, { 1000, 20 * MS }, { 100000, MS } };

#define RATES (sizeof(rates) / sizeof(rates[0]))

/* All rings, at a rate each, with PCI and without. */
static void on_every_ring(void (*body)(void))
{
	for (uint64_t i = 0; i < 2 * RATES * PV_RING_KINDS; i++) {
		const uint64_t which = i / 2;
		const struct rng_rig_options options = {
			.ring_features = pv_ring_kind[which % PV_RING_KINDS],
			.number = i,
			.max_bytes = rates[which / PV_RING_KINDS].max_bytes,
			.period_ns = rates[which / PV_RING_KINDS].period_ns,
			.is_on_pci = i % 2,
		};

		rng_rig_open(&rig, &options);
		body();
		rng_rig_close(&rig);
	}
}

#define ON_EVERY_RING(name) PV_TEST_EACH(on_every_ring, name)

static void one_step(bool may_move)
{
	uint32_t dice = pv_random_below(&rig.random, 100);

	if (dice < 40)
		rng_rig_submit_any(&rig);
	else if (dice < 65)
		pv_couple_run(rig.couple);
	else if (dice < 75)
		pv_couple_sleep(rig.couple);
	else if (dice < 85)
		pv_couple_pass(rig.couple, pv_random_below(&rig.random, 20 * MS));
	else if (dice < 98 || !may_move)
		pv_rngdrv_poll(rig.driver);
	else
		rng_rig_move(&rig);
}

static void run_steps(bool may_move)
{
	uint32_t steps = getenv("PV_LONG") ? 50 * STEPS : STEPS;
	uint32_t allocs = rig.couple->allocs;

	rig.source.dry_percent = pv_random_below(&rig.random, 30);
	rig.source.short_percent = pv_random_below(&rig.random, 50);
	for (uint32_t step = 0; step < steps; step++)
		one_step(may_move);
	rng_rig_settle(&rig);
	assert_int_equal(rig.couple->needs_resets, 0);
	assert_int_equal(rig.couple->allocs, allocs);
	assert_true(rig.done > 10);
}

ON_EVERY_RING(what_the_source_gave_arrives_in_order_and_once)
{
	run_steps(false);
	assert_int_equal(pv_count_of(rig.couple->device, 0, "bytes"), rig.bytes);
	/* All that was taken from the source was given, but for the stock. */
	assert_in_range(rig.source.given - rig.bytes, 0, RNG_RIG_STOCK_BYTES);
	assert_int_equal(pv_rngdrv_counters(rig.driver).bytes, rig.bytes);
}

ON_EVERY_RING(a_device_that_moves_under_load_loses_and_doubles_nothing)
{
	run_steps(true);
	/* What each device had in stock is gone with it. */
	assert_true(rig.may_skip > 0);
	assert_in_range(rig.source.given - rig.bytes, 0, rig.may_skip + RNG_RIG_STOCK_BYTES);
}

/* The device's lane sleeps each time: each request is a kick, unless it waits for its budget. */
ON_EVERY_RING(a_sleeping_device_is_kicked)
{
	const pv_counter *kicks = &rig.couple->device->queue[0].counters.kicks;

	for (int i = 0; i < 20; i++) {
		uint64_t before;

		pv_couple_run(rig.couple);
		pv_couple_sleep(rig.couple);
		before = *kicks;
		if (rig.couple->device->queue[0].is_stalled)
			break;
		rng_rig_submit(&rig, 0, 1);
		pv_couple_run(rig.couple);
		assert_int_equal(*kicks, before + 1);
		rng_rig_settle(&rig);
	}
}

/* The driver sleeps until it is interrupted, and the device until it is kicked or its time comes.
 */
ON_EVERY_RING(a_request_can_be_waited_for)
{
	for (int i = 0; i < 10; i++) {
		struct pv_rngdrv_request request = { .buffer = { rig.slot[0].memory, 64 } };
		uint32_t interrupts = rig.couple->interrupts;

		assert_int_equal(pv_rngdrv_do(rig.driver, &request, TIMEOUT_NS), 0);
		assert_in_range(request.random_bytes, 1, 64);
		assert_true(rig.couple->interrupts > interrupts);
	}
}

ON_EVERY_RING(a_wait_ends_though_the_source_stays_dry)
{
	struct pv_rngdrv_request request = { .buffer = { rig.slot[0].memory, 64 } };
	uint64_t begin_ns = rig.couple->now_ns;

	/* One run too many may have filled the stock already. */
	rig.source.dry_percent = 100;
	rng_rig_move(&rig);
	assert_int_equal(pv_rngdrv_do(rig.driver, &request, 50 * MS), -PV_ETIMEDOUT);
	assert_false(request.is_done);
	assert_in_range(rig.couple->now_ns - begin_ns, 50 * MS, 60 * MS);
	/* It is not lost: it is filled when there is something. */
	rig.source.dry_percent = 0;
	assert_int_equal(pv_rngdrv_wait(rig.driver, &request, TIMEOUT_NS), 0);
	assert_int_equal(pv_count_of(rig.couple->device, 0, "starved"), 1);
}

ON_EVERY_RING(a_queue_is_taken_back_and_works_again)
{
	uint64_t features = pv_rngdrv_features(rig.driver);

	assert_true(features & VIRTIO_F_RING_RESET);
	for (int i = 0; i < 5; i++) {
		for (int n = 0; n < 6; n++)
			rng_rig_submit_any(&rig);
		rig.is_over = true;
		rig.source.dry_percent = 100;
		assert_int_equal(pv_rngdrv_queue_reset(rig.driver), 0);
		rig.source.dry_percent = 0;
		rig.is_over = false;
		assert_int_equal(rig.out, 0);
		rig.place = rig.source.given - RNG_RIG_STOCK_BYTES;
		rig.may_skip = RNG_RIG_STOCK_BYTES;
		rng_rig_submit(&rig, 0, 100);
		rng_rig_settle(&rig);
	}
}

ON_EVERY_RING(a_device_that_needs_a_reset_gets_everything_once_more)
{
	for (int i = 0; i < 5; i++) {
		uint32_t out;

		rig.source.dry_percent = 100;
		for (int n = 0; n < 6; n++)
			rng_rig_submit_any(&rig);
		out = rig.out;
		pv_device_needs_reset(rig.couple->device);
		assert_true(pv_rngdrv_is_broken(rig.driver));
		assert_int_equal(pv_rngdrv_recover(rig.driver), 0);
		assert_false(pv_rngdrv_is_broken(rig.driver));
		assert_int_equal(rig.out, out);
		rig.source.dry_percent = 0;
		rig.place = rig.source.given - RNG_RIG_STOCK_BYTES;
		rig.may_skip = RNG_RIG_STOCK_BYTES;
		rig.is_repeated = true;
		rng_rig_settle(&rig);
		rig.is_repeated = false;
	}
}

/* ---- states that are no good ---- */

static void open_plain(uint64_t number)
{
	const struct rng_rig_options options = { .number = number,
		                                 .max_bytes = 1000,
		                                 .period_ns = MS };

	rng_rig_open(&rig, &options);
	for (uint32_t step = 0; step < 200; step++)
		one_step(false);
}

static void go_on_and_close(void)
{
	pv_device_resume(rig.couple->device);
	rig.couple->lane[0].is_kicked = true;
	rng_rig_settle(&rig);
	rng_rig_close(&rig);
}

static void a_state_that_is_cut_altered_or_foreign_is_refused(void **state)
{
	uint8_t data[RNG_RIG_STATE_BYTES];
	struct pv_device *fresh;
	size_t bytes, registers;

	(void)state;
	open_plain(1000);
	bytes = rng_rig_save(&rig, data, &registers);
	fresh = rng_rig_make_device(&rig);
	pv_device_mem_set(fresh, rig.couple->twin.table[PV_VIEW_DEVICE]);
	for (size_t cut = 0; cut < bytes; cut++)
		assert_int_equal(pv_device_load(fresh, data, cut), -PV_ESTATE);
	for (size_t at = 0; at < bytes; at++) {
		data[at] ^= 0x10;
		assert_int_equal(pv_device_load(fresh, data, bytes), -PV_ESTATE);
		data[at] ^= 0x10;
	}
	go_on_and_close();
}

/* With the checksum made right again: each field itself must be checked. */
static void seal(uint8_t *data, size_t bytes)
{
	uint32_t crc = pv_state_checksum(data + 16, bytes - 16);

	for (int i = 0; i < 4; i++)
		data[12 + i] = (uint8_t)(crc >> (8 * i));
}

static void a_state_with_altered_fields_never_harms_the_device(void **state)
{
	uint8_t data[RNG_RIG_STATE_BYTES], copy[RNG_RIG_STATE_BYTES];
	struct pv_device *fresh;
	size_t bytes, registers;

	(void)state;
	open_plain(1001);
	bytes = rng_rig_save(&rig, data, &registers);
	fresh = rng_rig_make_device(&rig);
	pv_device_mem_set(fresh, rig.couple->twin.table[PV_VIEW_DEVICE]);
	for (uint32_t try = 0; try < 2000; try++) {
		memcpy(copy, data, bytes);
		for (uint32_t n = 1 + pv_random_below(&rig.random, 3); n > 0; n--)
			copy[16 + pv_random_below(&rig.random, (uint32_t)bytes - 16)] =
				(uint8_t)pv_random_below(&rig.random, 256);
		seal(copy, bytes);
		if (pv_device_load(fresh, copy, bytes) == 0)
			assert_int_equal(pv_device_abandon(fresh), 0);
		assert_int_equal(fresh->status, 0);
	}
	go_on_and_close();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_the_source_gave_arrives_in_order_and_once),
		cmocka_unit_test(a_device_that_moves_under_load_loses_and_doubles_nothing),
		cmocka_unit_test(a_sleeping_device_is_kicked),
		cmocka_unit_test(a_request_can_be_waited_for),
		cmocka_unit_test(a_wait_ends_though_the_source_stays_dry),
		cmocka_unit_test(a_queue_is_taken_back_and_works_again),
		cmocka_unit_test(a_device_that_needs_a_reset_gets_everything_once_more),
		cmocka_unit_test(a_state_that_is_cut_altered_or_foreign_is_refused),
		cmocka_unit_test(a_state_with_altered_fields_never_harms_the_device),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
