/* SPDX-License-Identifier: BSD-2-Clause */
/* Who is to have how much memory: situations, and what is decided in each. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/support/balance_case.h"

static void turn(const struct pv_balance_host *host, struct pv_balance_machine *machine)
{
	pv_balance(host, machine, 1);
}

static void bounds_have_defaults_and_an_order(void **state)
{
	static const struct {
		uint64_t memory, floor, ceiling, least, most;
	} cases[] = {
		{ 4 * GIB, PV_BALANCE_DEFAULT, PV_BALANCE_DEFAULT, GIB, 4 * GIB },
		{ 256 * MIB, PV_BALANCE_DEFAULT, PV_BALANCE_DEFAULT, 128 * MIB, 256 * MIB },
		{ 64 * MIB, PV_BALANCE_DEFAULT, PV_BALANCE_DEFAULT, 64 * MIB, 64 * MIB },
		{ 4 * GIB, 2 * GIB, 3 * GIB, 2 * GIB, 3 * GIB },
		{ 4 * GIB, 8 * GIB, 8 * GIB, 4 * GIB, 4 * GIB },
		{ 4 * GIB, PV_BALANCE_DEFAULT, 512 * MIB, 512 * MIB, 512 * MIB },
		/* What the server would refuse. */
		{ 4 * GIB, 1, PV_BALANCE_DEFAULT, 160 * MIB, 4 * GIB },
		{ 64 * MIB, 1, PV_BALANCE_DEFAULT, 32 * MIB, 64 * MIB },
		{ 0, PV_BALANCE_DEFAULT, PV_BALANCE_DEFAULT, 0, 0 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct pv_balance_machine machine = { .memory = cases[i].memory,
			                              .floor = cases[i].floor,
			                              .ceiling = cases[i].ceiling };

		assert_int_equal(pv_balance_floor(&machine), cases[i].least);
		assert_int_equal(pv_balance_ceiling(&machine), cases[i].most);
	}
}

static void nothing_happens_while_all_have_enough(void **state)
{
	struct pv_balance_machine machine = machine_with(4 * GIB, 3 * GIB);

	(void)state;
	turn(&rich, &machine);
	assert_unchanged(&machine, "enough: 3072 MiB available");
}

static void a_short_guest_grows_at_once_up_to_its_ceiling(void **state)
{
	struct pv_balance_machine machine = machine_with(2 * GIB, 300 * MIB);
	/* To half more than the head-room of 409.6 MiB. */
	uint64_t goal = 2 * GIB - 300 * MIB + 4 * GIB / 10 + 4 * GIB / 10 / 2;

	(void)state;
	machine.past = (struct pv_balance_past){ 0 };
	turn(&rich, &machine);
	assert_changed(&machine, goal, "short: 300 MiB available, head-room 409 MiB");
	machine = machine_with(2 * GIB, 0);
	machine.ceiling = 2 * GIB + 100 * MIB;
	turn(&rich, &machine);
	assert_changed(&machine, 2 * GIB + 100 * MIB, "short");
	machine = machine_with(2 * GIB, 0);
	machine.ceiling = 2 * GIB + MIB;
	turn(&rich, &machine);
	assert_changed(&machine, 2 * GIB + MIB, "short");
	machine = machine_with(2 * GIB, 0);
	machine.ceiling = 2 * GIB;
	turn(&rich, &machine);
	assert_unchanged(&machine, "all that it may have");
}

static void who_swaps_is_short_with_less_than_twice_its_headroom(void **state)
{
	(void)state;
	for (unsigned int faults = 0; faults < 2; faults++) {
		struct pv_balance_machine machine = machine_with(2 * GIB, 700 * MIB);

		machine.past.swap_in = machine.past.major_faults = 5000;
		machine.stats.swap_in = 5000 + MIB - 1;
		machine.stats.major_faults = 5999;
		turn(&rich, &machine);
		assert_unchanged(&machine, "enough");
		machine.stats.swap_in += faults ? 0 : MIB;
		machine.stats.major_faults += faults ? 1000 : 0;
		turn(&rich, &machine);
		assert_true(machine.wanted > machine.target);
		assert_non_null(strstr(machine.reason, "it swaps"));
		/* Once. */
		turn(&rich, &machine);
		assert_unchanged(&machine, "enough");
		/* Not with a lot available. */
		machine.stats.swap_in += 5 * MIB;
		machine.stats.available = GIB;
		turn(&rich, &machine);
		assert_unchanged(&machine, "enough");
	}
}

static void what_a_new_guest_has_swapped_before_does_not_count(void **state)
{
	struct pv_balance_machine machine = machine_with(2 * GIB, 700 * MIB);

	(void)state;
	machine.past = (struct pv_balance_past){ 0 };
	machine.stats.swap_in = 10 * GIB;
	turn(&rich, &machine);
	assert_unchanged(&machine, "enough");
}

static void a_short_host_takes_what_is_unused_in_steps(void **state)
{
	struct pv_balance_machine machine = machine_with(4 * GIB, 3 * GIB);

	(void)state;
	/* Up to its reserve and an eighth: 1152 MiB. */
	turn(&poor, &machine);
	assert_changed(&machine, 4 * GIB - 252 * MIB, "the host has 900 MiB left");
	for (unsigned int urgent = 0; urgent < 2; urgent++) {
		struct pv_balance_host host = poor;

		host.available = urgent ? 0 : 530 * MIB;
		machine = machine_with(4 * GIB, 3 * GIB);
		turn(&host, &machine);
		assert_changed(&machine, 4 * GIB - 512 * MIB, "unused");
	}
	/* Not what is head-room, twice. */
	machine = machine_with(4 * GIB, 2 * (4 * GIB / 10) + 100 * MIB);
	turn(&poor, &machine);
	assert_changed(&machine, 4 * GIB - 100 * MIB, "100 MiB unused");
	machine = machine_with(4 * GIB, 2 * (4 * GIB / 10) + 63 * MIB);
	turn(&poor, &machine);
	assert_unchanged(&machine, "enough");
	/* Not below the floor. */
	machine = machine_with(GIB + 70 * MIB, GIB);
	turn(&poor, &machine);
	assert_changed(&machine, GIB, "unused");
	machine = machine_with(GIB, GIB);
	turn(&poor, &machine);
	assert_unchanged(&machine, "enough");
}

static void a_small_lack_is_not_made_good_in_many_small_steps(void **state)
{
	struct pv_balance_machine machine = machine_with(4 * GIB, 3 * GIB);
	struct pv_balance_host host = poor;

	(void)state;
	host.available = host.reserve - 1;
	host.reserve = 0;
	turn(&host, &machine);
	assert_unchanged(&machine, "enough");
	host.reserve = 512 * MIB;
	host.available = 511 * MIB;
	turn(&host, &machine);
	assert_changed(&machine, 4 * GIB - 65 * MIB, "unused");
	host.reserve = 64 * MIB;
	host.available = 64 * MIB - 1;
	machine = machine_with(4 * GIB, 3 * GIB);
	turn(&host, &machine);
	/* A 64th at least, which is 64 MiB. */
	assert_true(4 * GIB - machine.wanted >= 64 * MIB);
}

static void tasks_that_wait_are_a_short_host_too(void **state)
{
	static const struct {
		uint32_t some, full, pressure;
		bool takes;
	} cases[] = {
		{ 999, 0, 1000, false },  { 1000, 0, 1000, true },
		{ 0, 500, 1000, false },  { 0, 501, 1000, true },
		{ 2000, 0, 5000, false }, { 10000, 10000, PV_BALANCE_PRESSURE_NONE, false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct pv_balance_machine machine = machine_with(4 * GIB, 3 * GIB);
		struct pv_balance_host host = rich;

		host.some = cases[i].some;
		host.full = cases[i].full;
		host.pressure = cases[i].pressure;
		turn(&host, &machine);
		assert_int_equal(machine.wanted < machine.target, cases[i].takes);
		assert_true(!cases[i].takes || strstr(machine.reason, "tasks wait"));
		/* And then it gives nothing. */
		machine = machine_with(2 * GIB, 0);
		turn(&host, &machine);
		assert_int_equal(machine.wanted == machine.target, cases[i].takes);
	}
}

static void shrinking_waits_for_calm(void **state)
{
	struct pv_balance_machine machine = machine_with(4 * GIB, 3 * GIB);
	struct pv_balance_host host = poor;

	(void)state;
	machine.past.calm_turns = 0;
	for (unsigned int i = 1; i < PV_BALANCE_CALM_TURNS; i++) {
		turn(&poor, &machine);
		assert_unchanged(&machine, "enough");
	}
	turn(&poor, &machine);
	assert_true(machine.wanted < machine.target);
	/* To have been short is the end of it. */
	machine.stats.available = MIB;
	turn(&poor, &machine);
	machine.stats.available = 3 * GIB;
	turn(&poor, &machine);
	assert_unchanged(&machine, "enough");
	/* Where it is urgent a turn is enough, and with --once none is needed. */
	machine.past.calm_turns = 0;
	host.available = 100 * MIB;
	turn(&host, &machine);
	assert_true(machine.wanted < machine.target);
	machine.past = (struct pv_balance_past){ 0 };
	host = poor;
	host.calm_turns = 0;
	turn(&host, &machine);
	assert_true(machine.wanted < machine.target);
}

static void without_statistics_a_machine_is_left_alone(void **state)
{
	struct pv_balance_machine machine = machine_with(4 * GIB, 3 * GIB);

	(void)state;
	machine.stats.is_fresh = false;
	turn(&poor, &machine);
	assert_unchanged(&machine, "left alone: its guest has not said lately");
	machine.stats.is_fresh = true;
	machine.stats.has_available = false;
	turn(&poor, &machine);
	assert_unchanged(&machine, "left alone: its guest does not say");
	machine.memory = machine.actual = machine.target = 0;
	turn(&poor, &machine);
	assert_unchanged(&machine, "left alone: there is no guest");
}

static void statistics_older_than_a_movement_do_not_count(void **state)
{
	struct pv_balance_machine machine = machine_with(4 * GIB, 3 * GIB);

	(void)state;
	/* Half a GiB has gone into the balloon since. */
	machine.actual = machine.target = 4 * GIB - 512 * MIB;
	turn(&poor, &machine);
	assert_unchanged(&machine, "has just moved");
	turn(&poor, &machine);
	assert_unchanged(&machine, "has just moved");
	machine.stats.updates++;
	machine.stats.available = 3 * GIB - 512 * MIB;
	turn(&poor, &machine);
	assert_true(machine.wanted < machine.target);

	/* Who was short before it has been given something may have enough now. */
	machine = machine_with(2 * GIB, 0);
	machine.actual = machine.target = 3 * GIB;
	turn(&rich, &machine);
	assert_unchanged(&machine, "has just moved");
	/* Who was short before something has been taken is so now. */
	machine = machine_with(2 * GIB, 0);
	machine.actual = machine.target = 2 * GIB - 512 * MIB;
	turn(&rich, &machine);
	assert_true(machine.wanted > machine.target);
}

static void who_becomes_short_while_it_shrinks_is_turned_round(void **state)
{
	struct pv_balance_machine machine = machine_with(3 * GIB, 100 * MIB);

	(void)state;
	machine.target = 2 * GIB;
	turn(&rich, &machine);
	assert_true(machine.wanted > 3 * GIB);
	/* At no cost for the host if it has nothing. */
	machine = machine_with(3 * GIB, 100 * MIB);
	machine.target = 2 * GIB;
	turn(&poor, &machine);
	assert_true(machine.wanted <= 3 * GIB);
}

static void who_does_not_follow_is_not_asked_for_more(void **state)
{
	struct pv_balance_machine machine[2] = { machine_with(4 * GIB, 3 * GIB),
		                                 machine_with(4 * GIB, 2 * GIB) };

	(void)state;
	machine[0].target = 3 * GIB + 512 * MIB;
	for (unsigned int i = 0; i < 2; i++) {
		pv_balance(&poor, machine, 2);
		assert_unchanged(&machine[0], "on its way from 4096 MiB to 3584 MiB");
		assert_unchanged(&machine[1], "enough");
	}
	pv_balance(&poor, machine, 2);
	assert_unchanged(&machine[0], "does not follow, and has 4096 MiB");
	/* What it does not give is not counted on any more. */
	assert_true(machine[1].wanted < machine[1].target);
	/* It gives some. */
	machine[0].actual -= 100 * MIB;
	machine[0].stats.updates++;
	pv_balance(&poor, machine, 2);
	assert_unchanged(&machine[0], "on its way");

	machine[0] = machine_with(2 * GIB, 0);
	machine[0].target = 3 * GIB;
	for (unsigned int i = 0; i < 5; i++)
		turn(&rich, machine);
	assert_unchanged(&machine[0], "does not follow, and has 2048 MiB");
}

static void bounds_hold_whatever_is_needed(void **state)
{
	struct pv_balance_machine machine = machine_with(2 * GIB, 2 * GIB);

	(void)state;
	machine.floor = 3 * GIB;
	turn(&poor, &machine);
	assert_changed(&machine, 3 * GIB, "below its floor of 3072 MiB");
	machine = machine_with(2 * GIB, 0);
	machine.ceiling = GIB + 512 * MIB;
	turn(&rich, &machine);
	assert_changed(&machine, GIB + 512 * MIB, "above its ceiling of 1536 MiB");
}

static void absurd_statistics_do_no_harm_to_others(void **state)
{
	struct pv_balance_machine machine[2] = { machine_with(4 * GIB, UINT64_MAX),
		                                 machine_with(4 * GIB, 3 * GIB) };

	(void)state;
	machine[0].stats.swap_in = machine[0].stats.major_faults = UINT64_MAX;
	machine[0].weight = PV_BALANCE_WEIGHT_MAX;
	pv_balance(&poor, machine, 2);
	assert_unchanged(&machine[0], "enough: 4096 MiB available");
	assert_true(machine[1].wanted < machine[1].target);
	machine[0].stats = (struct pv_balance_stats){ .is_fresh = true, .has_available = true };
	machine[0].stats.updates = UINT64_MAX;
	pv_balance(&poor, machine, 2);
	assert_unchanged(&machine[0], "short: 0 MiB available");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bounds_have_defaults_and_an_order),
		cmocka_unit_test(nothing_happens_while_all_have_enough),
		cmocka_unit_test(a_short_guest_grows_at_once_up_to_its_ceiling),
		cmocka_unit_test(who_swaps_is_short_with_less_than_twice_its_headroom),
		cmocka_unit_test(what_a_new_guest_has_swapped_before_does_not_count),
		cmocka_unit_test(a_short_host_takes_what_is_unused_in_steps),
		cmocka_unit_test(a_small_lack_is_not_made_good_in_many_small_steps),
		cmocka_unit_test(tasks_that_wait_are_a_short_host_too),
		cmocka_unit_test(shrinking_waits_for_calm),
		cmocka_unit_test(without_statistics_a_machine_is_left_alone),
		cmocka_unit_test(statistics_older_than_a_movement_do_not_count),
		cmocka_unit_test(who_becomes_short_while_it_shrinks_is_turned_round),
		cmocka_unit_test(who_does_not_follow_is_not_asked_for_more),
		cmocka_unit_test(bounds_hold_whatever_is_needed),
		cmocka_unit_test(absurd_statistics_do_no_harm_to_others),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
