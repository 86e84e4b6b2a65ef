/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The policy in a world of its own: a host, guests that use more and less memory over time, and
 * balloons that take their time.  Random ones: bounds always hold, the host is never promised away,
 * what stands still stays, and what can be got is got.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "hosted/control/balance_policy.h"
#include "tests/support/random.h"

#define MIB      (1ull << 20)
#define GUESTS   6u
#define WORLDS   400u
#define TURNS    120u
#define SETTLING 150u

struct guest {
	struct pv_balance_machine machine;
	uint64_t used;  /* cannot be had back */
	uint64_t speed; /* bytes that a balloon moves in a turn */
	uint32_t stats_lag, stats_due;
};

struct world {
	struct pv_random random;
	uint64_t memory, others; /* the host's, and what else needs it */
	struct pv_balance_host host;
	unsigned int guests;
	struct guest guest[GUESTS];
};

static uint64_t between(struct world *world, uint64_t least, uint64_t most)
{
	return least + pv_random_below(&world->random, (uint32_t)((most - least) / MIB + 1)) * MIB;
}

static void say_stats(struct guest *guest)
{
	struct pv_balance_stats *stats = &guest->machine.stats;
	uint64_t actual = guest->machine.actual;

	stats->is_fresh = stats->has_available = true;
	stats->updates++;
	stats->available = actual > guest->used ? actual - guest->used : 0;
	stats->swap_in += actual < guest->used ? 10 * MIB : 0;
}

static void make_guest(struct world *world, struct guest *guest)
{
	uint64_t memory = between(world, 256 * MIB, 8192 * MIB);

	*guest = (struct guest){
		.machine = { .memory = memory,
		             .actual = memory,
		             .target = memory,
		             .floor = PV_BALANCE_DEFAULT,
		             .ceiling = PV_BALANCE_DEFAULT,
		             .weight = 1 + pv_random_below(&world->random, 1000) },
		.used = between(world, 64 * MIB, memory / 2),
		.speed = between(world, memory / 16, memory),
		.stats_lag = 1 + pv_random_below(&world->random, 2),
	};
	if (pv_random_chance(&world->random, 30))
		guest->machine.floor = between(world, 64 * MIB, memory);
	if (pv_random_chance(&world->random, 30))
		guest->machine.ceiling = between(world, memory / 2, memory);
	say_stats(guest);
}

static uint64_t given_out(const struct world *world)
{
	uint64_t bytes = 0;

	for (unsigned int i = 0; i < world->guests; i++)
		bytes += world->guest[i].machine.actual;
	return bytes;
}

static void look_at_host(struct world *world)
{
	uint64_t taken = given_out(world) + world->others;

	world->host.available = world->memory > taken ? world->memory - taken : 0;
}

static struct world make_world(uint64_t number)
{
	struct world world = { .random = pv_random_start(pv_random_seed(), number) };
	uint64_t all;

	world.guests = 1 + pv_random_below(&world.random, GUESTS);
	for (unsigned int i = 0; i < world.guests; i++)
		make_guest(&world, &world.guest[i]);
	all = given_out(&world);
	/* From what is far too little to what is plenty. */
	world.memory = between(&world, all / 2, all * 3 / 2) + 512 * MIB;
	world.host = (struct pv_balance_host){ .reserve = between(&world, 0, 512 * MIB),
		                               .pressure = PV_BALANCE_PRESSURE,
		                               .calm_turns = PV_BALANCE_CALM_TURNS };
	look_at_host(&world);
	return world;
}

static void move_towards(uint64_t *value, uint64_t target, uint64_t step)
{
	uint64_t way = *value < target ? target - *value : *value - target;

	if (way > step)
		way = step;
	*value = *value < target ? *value + way : *value - way;
}

/* Statistics are of a moment somewhere in the movement. */
static void live(struct guest *guest)
{
	uint64_t half = guest->speed / 2;

	move_towards(&guest->machine.actual, guest->machine.target, half);
	if (++guest->stats_due >= guest->stats_lag) {
		guest->stats_due = 0;
		say_stats(guest);
	}
	move_towards(&guest->machine.actual, guest->machine.target, half);
}

static uint64_t promised(const struct world *world, bool is_after)
{
	uint64_t bytes = 0;

	for (unsigned int i = 0; i < world->guests; i++) {
		const struct pv_balance_machine *machine = &world->guest[i].machine;
		uint64_t target = is_after ? machine->wanted : machine->target;

		bytes += target > machine->actual ? target - machine->actual : 0;
	}
	return bytes;
}

static bool is_left_alone(const struct pv_balance_machine *machine)
{
	return !machine->stats.is_fresh || !machine->stats.has_available;
}

/* Floors are for who set them to answer for. */
static uint64_t forced(const struct world *world)
{
	uint64_t bytes = 0;

	for (unsigned int i = 0; i < world->guests; i++) {
		const struct pv_balance_machine *machine = &world->guest[i].machine;
		uint64_t floor = pv_balance_floor(machine);

		bytes += floor > machine->target ? floor - machine->target : 0;
	}
	return bytes;
}

static void check_turn(const struct world *world)
{
	uint64_t comfort = pv_balance_comfort(&world->host);
	uint64_t spare = world->host.available > comfort ? world->host.available - comfort : 0;
	uint64_t before = promised(world, false), after = promised(world, true);

	for (unsigned int i = 0; i < world->guests; i++) {
		const struct pv_balance_machine *machine = &world->guest[i].machine;

		assert_true(machine->reason[0]);
		if (is_left_alone(machine)) {
			assert_int_equal(machine->wanted, machine->target);
			continue;
		}
		assert_true(machine->wanted >= pv_balance_floor(machine));
		assert_true(machine->wanted <= pv_balance_ceiling(machine));
	}
	if (after > before)
		assert_true(after <= (spare > before ? spare : before) + forced(world));
}

/* Returns how many targets were changed. */
static unsigned int turn(struct world *world)
{
	struct pv_balance_machine machines[GUESTS];
	unsigned int changes = 0;

	look_at_host(world);
	for (unsigned int i = 0; i < world->guests; i++)
		machines[i] = world->guest[i].machine;
	pv_balance(&world->host, machines, world->guests);
	for (unsigned int i = 0; i < world->guests; i++)
		world->guest[i].machine = machines[i];
	check_turn(world);
	for (unsigned int i = 0; i < world->guests; i++) {
		struct guest *guest = &world->guest[i];

		changes += guest->machine.wanted != guest->machine.target;
		guest->machine.target = guest->machine.wanted;
		live(guest);
	}
	return changes;
}

static void disturb(struct world *world)
{
	struct guest *guest = &world->guest[pv_random_below(&world->random, world->guests)];

	if (pv_random_chance(&world->random, 20))
		guest->used = between(world, 32 * MIB, guest->machine.memory);
	if (pv_random_chance(&world->random, 10))
		world->others = between(world, 0, world->memory / 2);
	if (pv_random_chance(&world->random, 5))
		guest->speed = between(world, 0, guest->machine.memory);
	if (pv_random_chance(&world->random, 5))
		guest->machine.stats.is_fresh = !guest->machine.stats.is_fresh;
	if (pv_random_chance(&world->random, 5))
		guest->machine.stats.available = UINT64_MAX - pv_random_below(&world->random, 9);
	/* Someone else gives it a target, or it helps itself. */
	if (pv_random_chance(&world->random, 5))
		guest->machine.target = between(world, 0, guest->machine.memory);
	if (pv_random_chance(&world->random, 5))
		guest->machine.actual = between(world, 0, guest->machine.memory);
	world->host.some = pv_random_chance(&world->random, 10) ? 5000 : 0;
}

static void bounds_hold_and_nothing_is_promised_that_is_not_there(void **state)
{
	(void)state;
	for (uint64_t number = 0; number < WORLDS; number++) {
		struct world world = make_world(number);

		for (unsigned int i = 0; i < TURNS; i++) {
			disturb(&world);
			turn(&world);
		}
	}
}

/* Everybody's use stays as it is: then so do the targets, after a while. */
static void what_stands_still_stays(void **state)
{
	(void)state;
	for (uint64_t number = 0; number < WORLDS; number++) {
		struct world world = make_world(number);
		unsigned int changes = 0;

		for (unsigned int i = 0; i < SETTLING; i++)
			turn(&world);
		for (unsigned int i = 0; i < TURNS; i++)
			changes += turn(&world);
		if (changes > 0)
			fail_msg("world %llu: %u changes in %u turns that nothing happened in",
			         (unsigned long long)number, changes, TURNS);
	}
}

static uint64_t available_of(const struct guest *guest)
{
	return guest->machine.actual > guest->used ? guest->machine.actual - guest->used : 0;
}

/* Nothing is left that would be taken: what is unused, less what is not worth a change. */
static bool has_nothing_to_give(const struct guest *guest)
{
	const struct pv_balance_machine *machine = &guest->machine;
	uint64_t keeps = 2 * pv_balance_headroom(machine);
	uint64_t least = machine->memory / 64 > 4 * MIB ? machine->memory / 64 : 4 * MIB;
	uint64_t unused = available_of(guest) > keeps ? available_of(guest) - keeps : 0;

	return unused < least + MIB || machine->actual < pv_balance_floor(machine) + least + MIB;
}

static bool has_what_it_may(const struct guest *guest)
{
	const struct pv_balance_machine *machine = &guest->machine;

	return available_of(guest) + 4 * MIB >= pv_balance_headroom(machine) ||
	       machine->target == pv_balance_ceiling(machine);
}

/* Where the host or a guest still has something, nobody is short, and neither is the host. */
static void what_can_be_got_is_got(void **state)
{
	unsigned int short_hosts = 0, short_guests = 0;

	(void)state;
	for (uint64_t number = 0; number < WORLDS; number++) {
		struct world world = make_world(number);
		bool has_all_given = true, is_short = false;

		for (unsigned int i = 0; i < world.guests; i++)
			world.guest[i].used =
				between(&world, 32 * MIB, world.guest[i].machine.memory * 3 / 4);
		for (unsigned int i = 0; i < SETTLING; i++)
			turn(&world);
		look_at_host(&world);
		for (unsigned int i = 0; i < world.guests; i++) {
			has_all_given &= has_nothing_to_give(&world.guest[i]);
			is_short |= !has_what_it_may(&world.guest[i]);
		}
		short_hosts += world.host.available < world.host.reserve;
		short_guests += is_short;
		if (!has_all_given && (is_short || world.host.available < world.host.reserve))
			fail_msg("world %llu: there is something to be got",
			         (unsigned long long)number);
	}
	/* There were such and such. */
	assert_in_range(short_hosts + short_guests, 1, 2 * WORLDS - 1);
}

/* Two that need much by turns, on a host that has enough for one. */
static void what_one_does_not_need_any_more_goes_to_another(void **state)
{
	struct world world = { .memory = 7168 * MIB, .guests = 2 };

	(void)state;
	world.random = pv_random_start(pv_random_seed(), 0);
	world.host = (struct pv_balance_host){ .reserve = 512 * MIB,
		                               .pressure = PV_BALANCE_PRESSURE,
		                               .calm_turns = PV_BALANCE_CALM_TURNS };
	for (unsigned int i = 0; i < 2; i++) {
		make_guest(&world, &world.guest[i]);
		world.guest[i].machine.memory = world.guest[i].speed = 4096 * MIB;
		world.guest[i].machine.floor = world.guest[i].machine.ceiling = PV_BALANCE_DEFAULT;
		world.guest[i].machine.actual = world.guest[i].machine.target = 3072 * MIB;
	}
	for (unsigned int phase = 0; phase < 6; phase++) {
		struct guest *busy = &world.guest[phase % 2], *idle = &world.guest[1 - phase % 2];

		busy->used = 3400 * MIB;
		idle->used = 500 * MIB;
		for (unsigned int i = 0; i < 60; i++)
			turn(&world);
		assert_true(available_of(busy) >= pv_balance_headroom(&busy->machine));
		assert_true(available_of(idle) >= pv_balance_headroom(&idle->machine));
		look_at_host(&world);
		assert_true(world.host.available >= world.host.reserve);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bounds_hold_and_nothing_is_promised_that_is_not_there),
		cmocka_unit_test(what_stands_still_stays),
		cmocka_unit_test(what_can_be_got_is_got),
		cmocka_unit_test(what_one_does_not_need_any_more_goes_to_another),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
