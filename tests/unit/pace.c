/* SPDX-License-Identifier: BSD-2-Clause */
/* When a loop polls and when it sleeps, in virtual time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "hosted/loop/pace.h"

#define MAX_US   100
#define MAX_NS   (MAX_US * 1000u)
#define LOOK_NS  500u
#define WAKE_NS  33000u
#define SHORT_NS 20000u
#define LONG_NS  10000000u

struct world {
	struct pv_pace pace;
	uint64_t now_ns;
	uint64_t yield_ns;  /* what a yield takes */
	uint64_t polled_ns; /* in the last gap */
	unsigned int yields;
	unsigned int sleeps;
};

static struct world world_with(uint32_t max_us)
{
	struct world world = { .now_ns = 1000000, .yield_ns = 300 };

	pv_pace_init(&world.pace, max_us);
	return world;
}

/* Lives through a gap at whose end there is work. Returns whether it slept. */
static bool gap(struct world *world, uint64_t gap_ns)
{
	uint64_t start_ns = world->now_ns, end_ns = start_ns + gap_ns;

	while (world->now_ns < end_ns) {
		switch (pv_pace_idle(&world->pace, world->now_ns)) {
		case PV_PACE_POLL:
			world->now_ns += LOOK_NS;
			break;
		case PV_PACE_YIELD:
			world->yields++;
			world->now_ns += world->yield_ns;
			pv_pace_yielded(&world->pace, world->now_ns);
			break;
		case PV_PACE_SLEEP:
			world->sleeps++;
			world->polled_ns = world->now_ns - start_ns;
			world->now_ns = end_ns + WAKE_NS;
			pv_pace_woke(&world->pace, world->now_ns);
			return true;
		}
	}
	world->polled_ns = world->now_ns - start_ns;
	pv_pace_worked(&world->pace);
	return false;
}

static struct world polling_world(void)
{
	struct world world = world_with(MAX_US);

	for (int i = 0; i < 4; i++)
		gap(&world, SHORT_NS);
	assert_true(pv_pace_will_poll(&world.pace));
	return world;
}

static void it_begins_by_sleeping(void **state)
{
	struct world world = world_with(MAX_US);

	(void)state;
	assert_true(gap(&world, SHORT_NS));
	assert_int_equal(world.polled_ns, 0);
}

static void it_polls_once_two_gaps_were_short(void **state)
{
	struct world world = world_with(MAX_US);

	(void)state;
	assert_true(gap(&world, SHORT_NS));
	assert_true(gap(&world, SHORT_NS));
	assert_false(gap(&world, SHORT_NS));
	assert_false(gap(&world, SHORT_NS));
}

static void a_short_gap_between_long_ones_is_not_believed(void **state)
{
	struct world world = world_with(MAX_US);

	(void)state;
	for (int i = 0; i < 10; i++) {
		gap(&world, LONG_NS);
		assert_int_equal(world.polled_ns, 0);
		gap(&world, SHORT_NS);
		assert_int_equal(world.polled_ns, 0);
	}
}

static void it_stops_polling_after_a_few_long_gaps(void **state)
{
	struct world world = polling_world();
	uint64_t polled_ns = 0;
	int gaps = 0;

	(void)state;
	while (pv_pace_will_poll(&world.pace)) {
		assert_true(gap(&world, LONG_NS));
		polled_ns += world.polled_ns;
		gaps++;
	}
	assert_in_range(gaps, 1, 4);
	assert_in_range(polled_ns, 1, 2 * MAX_NS);
	gap(&world, LONG_NS);
	assert_int_equal(world.polled_ns, 0);
}

static void it_never_polls_longer_than_allowed(void **state)
{
	struct world world = world_with(MAX_US);

	(void)state;
	for (int i = 0; i < 20; i++)
		gap(&world, MAX_NS - 10000);
	gap(&world, LONG_NS);
	assert_in_range(world.polled_ns, 1, MAX_NS + LOOK_NS + world.yield_ns);
}

static void it_polls_no_longer_than_the_gaps_it_sees_call_for(void **state)
{
	struct world world = polling_world();

	(void)state;
	for (int i = 0; i < 200; i++)
		assert_false(gap(&world, 3000));
	gap(&world, LONG_NS);
	assert_in_range(world.polled_ns, 3000, 20000);
}

/* Longer than a poll may be, but with the wake-up not by much: as of a disk. */
#define JUST_TOO_LONG_NS (MAX_NS + 2000u)

static void gaps_that_are_just_too_long_are_polled_through_in_vain_but_seldom(void **state)
{
	struct world world = polling_world();
	uint64_t polled_ns = 0;

	(void)state;
	for (int i = 0; i < 1000; i++) {
		gap(&world, JUST_TOO_LONG_NS);
		polled_ns += world.polled_ns;
	}
	/* A sixth of what polling through them all would take would be too much. */
	assert_in_range(polled_ns, 0, 30u * MAX_NS);
	/* It is not given up for good. */
	for (int i = 0; i < 3000 && !pv_pace_will_poll(&world.pace); i++)
		gap(&world, SHORT_NS);
	assert_false(gap(&world, SHORT_NS));
}

static void with_no_time_allowed_it_never_polls(void **state)
{
	struct world world = world_with(0);

	(void)state;
	for (int i = 0; i < 20; i++) {
		assert_true(gap(&world, 1000));
		assert_int_equal(world.polled_ns, 0);
	}
}

static void while_it_polls_it_yields_every_few_microseconds(void **state)
{
	struct world world = polling_world();

	(void)state;
	world.yields = 0;
	assert_false(gap(&world, 40000));
	assert_in_range(world.yields, 5, 10);
}

/* With somebody busy on the same processor a yield takes as long as they are let run. */
static void on_a_processor_in_demand_little_time_is_lost_to_polling(void **state)
{
	struct world world = polling_world();
	const uint64_t start_ns = world.now_ns;
	uint64_t lost_ns;

	(void)state;
	world.yield_ns = 3000000;
	world.yields = 0;
	while (world.now_ns - start_ns < 2000000000u)
		gap(&world, SHORT_NS);
	lost_ns = world.yields * world.yield_ns;
	assert_in_range(world.yields, 1, 1000);
	assert_in_range(lost_ns, 1, (world.now_ns - start_ns) / 12);
}

static void when_the_processor_is_free_again_it_polls_again(void **state)
{
	struct world world = polling_world();

	(void)state;
	world.yield_ns = 3000000;
	gap(&world, SHORT_NS);
	assert_false(pv_pace_will_poll(&world.pace));
	world.yield_ns = 300;
	for (int i = 0; i < 4000; i++)
		gap(&world, SHORT_NS);
	assert_false(gap(&world, SHORT_NS));
}

static void refused_sleep_it_yields_now_and_then_and_tries_again(void **state)
{
	struct world world = world_with(0);
	unsigned int polls = 0, yields = 0, refusals = 0;

	(void)state;
	for (int i = 0; i < 1000; i++) {
		world.now_ns += LOOK_NS;
		switch (pv_pace_idle(&world.pace, world.now_ns)) {
		case PV_PACE_POLL:
			polls++;
			break;
		case PV_PACE_YIELD:
			yields++;
			pv_pace_yielded(&world.pace, world.now_ns);
			break;
		case PV_PACE_SLEEP:
			refusals++;
			pv_pace_refused(&world.pace);
			break;
		}
	}
	assert_in_range(yields, 50, 110);
	assert_in_range(refusals, 50, 110);
	assert_in_range(polls, 700, 900);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_begins_by_sleeping),
		cmocka_unit_test(it_polls_once_two_gaps_were_short),
		cmocka_unit_test(a_short_gap_between_long_ones_is_not_believed),
		cmocka_unit_test(it_stops_polling_after_a_few_long_gaps),
		cmocka_unit_test(it_never_polls_longer_than_allowed),
		cmocka_unit_test(it_polls_no_longer_than_the_gaps_it_sees_call_for),
		cmocka_unit_test(gaps_that_are_just_too_long_are_polled_through_in_vain_but_seldom),
		cmocka_unit_test(with_no_time_allowed_it_never_polls),
		cmocka_unit_test(while_it_polls_it_yields_every_few_microseconds),
		cmocka_unit_test(on_a_processor_in_demand_little_time_is_lost_to_polling),
		cmocka_unit_test(when_the_processor_is_free_again_it_polls_again),
		cmocka_unit_test(refused_sleep_it_yields_now_and_then_and_tries_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
