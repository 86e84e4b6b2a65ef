/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Driver and device ring against each other, and both against a model that only knows lists: what
 * was added, published, taken, returned, used.  Steps are random; the model says what each must
 * answer, and follows every chain until its token has come back, once, with the right length and
 * the right bytes.
 *
 * A side may go to sleep when the ring tells it that nothing is there.  It is then only woken when
 * the other side's decision to notify says so: a notification too few and work is left behind.
 */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <cmocka.h>

#include "abi/virtio_features.h"
#include "tests/pair/ring_model.h"

void ring_model_broke(const struct run *run, int line, const char *rule)
{
	fail_msg("%s: after %" PRIu32 " chains, line %d: %s", run->name, run->done_total, line,
	         rule);
}

typedef void step_function(struct run *run);

static void repeat(struct run *run, step_function *step)
{
	uint32_t times = 1 + pv_random_below(&run->random,
	                                     pv_random_chance(&run->random, 20) ? run->size : 4);

	for (uint32_t i = 0; i < times; i++)
		step(run);
}

static void driver_step(struct run *run, uint32_t dice)
{
	if (dice < 45)
		repeat(run, driver_adds);
	else if (dice < 65)
		driver_publishes(run);
	else if (dice < 95)
		repeat(run, driver_takes);
	else
		driver_sleeps(run);
	if (!run->does_driver_sleep && dice % 4)
		driver_decides(run);
}

static void device_step(struct run *run, uint32_t dice)
{
	if (dice < 20)
		repeat(run, device_takes);
	else if (dice < 40)
		device_takes_run(run);
	else if (dice < 44)
		device_takes_in_vain(run);
	else if (dice < 60)
		repeat(run, device_returns);
	else if (dice < 75)
		device_returns_run(run);
	else if (dice < 94)
		device_publishes(run);
	else
		device_sleeps(run);
	if (!run->does_device_sleep && dice % 4)
		device_decides(run);
}

static void random_step(struct run *run)
{
	uint32_t dice = pv_random_below(&run->random, 100);

	if (run->does_driver_sleep && run->does_device_sleep) {
		/* Nobody has anything to do, or somebody was not woken. */
		check(run, run->visible.count == 0 && run->used.count == 0);
		run->does_driver_sleep = false;
	}
	if (pv_random_chance(&run->random, 50)) {
		if (!run->does_driver_sleep)
			driver_step(run, dice);
	} else if (!run->does_device_sleep) {
		device_step(run, dice);
	}
	if (pv_random_below(&run->random, 1000) == 0)
		memory_changes(run);
}

/* Everything that is out comes home. */
static void finish(struct run *run)
{
	driver_publishes(run);
	while (run->visible.count > 0)
		device_takes(run);
	while (run->done_total < run->added_total) {
		repeat(run, device_returns);
		device_publishes(run);
		repeat(run, driver_takes);
	}
	check(run, run->free_places == run->size);
	check(run, run->pair.driver.free_descs == run->size);
	check(run, run->pair.driver.lies == 0);
	check(run, run->pair.device.in_flight == 0 && run->pair.device.in_flight_descs == 0);
	check(run, run->surplus_kicks <= (run->done_total >> 15) + 1);
	check(run, run->surplus_interrupts <= run->arms + 2 * (run->done_total >> 16) + 2);
}

static void set_up(struct run *run, const struct pv_ring_pair_options *options)
{
	struct list *lists[] = { &run->unused, &run->added,    &run->visible,
		                 &run->taken,  &run->returned, &run->used };

	for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
		lists[i]->room = options->size;
		lists[i]->item = calloc(options->size, sizeof(uint16_t));
	}
	run->chain = calloc(options->size, sizeof(*run->chain));
	run->iov = calloc((size_t)(options->size + RUN_MAX) * run->cell_bytes, sizeof(*run->iov));
	for (uint16_t i = 0; i < options->size; i++) {
		run->chain[i].iov = run->iov + (size_t)i * run->cell_bytes;
		put(&run->unused, i);
	}
	pv_ring_pair_open(&run->pair, options, &run->random);
	run->view = PV_VIEW_DEVICE;
	run->free_places = options->size;
	run->are_interrupts_off = true;
}

static void tear_down(struct run *run)
{
	struct list *lists[] = { &run->unused, &run->added,    &run->visible,
		                 &run->taken,  &run->returned, &run->used };

	for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++)
		free(lists[i]->item);
	free(run->chain);
	free(run->iov);
	pv_ring_pair_close(&run->pair);
}

/* `chains` there and back on one ring. */
static void play(uint64_t features, uint16_t size, uint32_t chains, uint64_t number)
{
	struct run run = {
		.random = pv_random_start(pv_random_seed(), number),
		.has_event_idx = features & VIRTIO_F_EVENT_IDX,
		.has_in_order = features & VIRTIO_F_IN_ORDER,
		.has_indirect = features & VIRTIO_F_INDIRECT_DESC,
		.is_packed = features & VIRTIO_F_RING_PACKED,
		.size = size,
		.cell_bytes = size > 1024 ? 24 : CELL_MAX,
	};
	struct pv_ring_pair_options options = {
		.features = features,
		.size = size,
		.indirect_max = run.has_indirect ? INDIRECT_MAX : 0,
		.start = pv_random_chance(&run.random, 50)
		                 ? (uint16_t)(0 - pv_random_below(&run.random, 2 * size))
		                 : 0,
		.data_bytes = (size_t)size * run.cell_bytes,
		.region_max = 1u << (size > 1024 ? 5 : pv_random_below(&run.random, 7)),
	};

	pv_ring_pair_name(&options, run.name, sizeof(run.name));
	set_up(&run, &options);
	while (run.done_total < chains)
		random_step(&run);
	finish(&run);
	assert_true(pv_twin_guards_hold(&run.pair.twin));
	tear_down(&run);
}

static void play_all(uint64_t format, const uint16_t *sizes, size_t count)
{
	const bool is_short = getenv("PV_SHORT");

	for (size_t i = 0; i < count; i++) {
		/* The smallest far enough for every 16-bit index to come round from any start. */
		uint32_t chains = sizes[i] == 1 ? 70000 : sizes[i] > 256 ? 36000 : 6000;

		if (is_short)
			chains /= 10;
		for (uint32_t mix = 0; mix < 8; mix += is_short ? 3 : 1)
			play(format | VIRTIO_F_VERSION_1 | (mix & 1 ? VIRTIO_F_INDIRECT_DESC : 0) |
			             (mix & 2 ? VIRTIO_F_EVENT_IDX : 0) |
			             (mix & 4 ? VIRTIO_F_IN_ORDER : 0),
			     sizes[i], chains, format ^ (sizes[i] * 8u + mix));
	}
}

static void every_token_of_a_split_ring_comes_back_once_and_right(void **state)
{
	static const uint16_t sizes[] = { 1, 2, 4, 8, 64, 256, 32768 };

	(void)state;
	play_all(0, sizes, sizeof(sizes) / sizeof(sizes[0]));
}

static void every_token_of_a_packed_ring_comes_back_once_and_right(void **state)
{
	static const uint16_t sizes[] = { 1, 2, 3, 4, 8, 64, 256, 32768 };

	(void)state;
	play_all(VIRTIO_F_RING_PACKED, sizes, sizeof(sizes) / sizeof(sizes[0]));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_token_of_a_split_ring_comes_back_once_and_right),
		cmocka_unit_test(every_token_of_a_packed_ring_comes_back_once_and_right),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
