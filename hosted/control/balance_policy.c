/* SPDX-License-Identifier: BSD-2-Clause */
/* The policy's first part: what is to be said of each machine, and of the host. */
#include "hosted/control/balance_policy.h"

#include <stdarg.h>
#include <stdio.h>

#include "hosted/control/balance_internal.h"
#include "hosted/control/ballast.h"

#define SWAP_IN_BYTES PV_MIB /* in a turn, from which on a guest swaps */
#define MAJOR_FAULTS  1000u
#define STUCK_TURNS   3u

/* ---- measures ---- */

uint64_t pv_balance_ceiling(const struct pv_balance_machine *machine)
{
	return pv_balance_at_most(machine->ceiling, machine->memory);
}

uint64_t pv_balance_floor(const struct pv_balance_machine *machine)
{
	uint64_t floor = machine->floor;

	if (floor == PV_BALANCE_DEFAULT)
		floor = pv_balance_at_least(machine->memory / 4, PV_BALANCE_FLOOR_MIN);
	floor = pv_balance_at_least(floor, pv_ballast_floor(machine->memory));
	return pv_balance_at_most(floor, pv_balance_ceiling(machine));
}

uint64_t pv_balance_headroom(const struct pv_balance_machine *machine)
{
	return pv_balance_at_least(machine->memory / 10, 32 * PV_MIB);
}

uint64_t pv_balance_comfort(const struct pv_balance_host *host)
{
	return host->reserve + pv_balance_at_least(host->reserve / 8, 64 * PV_MIB);
}

uint64_t pv_balance_least(const struct pv_balance_machine *machine, enum pv_balance_verdict verdict)
{
	uint64_t parts = verdict == PV_BALANCE_SHORT ? 128 : 64;

	return pv_balance_at_least(machine->memory / parts, 4 * PV_MIB);
}

/* What is taken in a turn, at most: a guest is to notice, and may change its mind. */
static uint64_t step(const struct pv_balance_machine *machine)
{
	return pv_balance_at_least(machine->memory / 8, 16 * PV_MIB);
}

/* Balloons do not hit a target to the byte. */
static uint64_t tolerance(const struct pv_balance_machine *machine)
{
	return pv_balance_at_least(machine->memory / 256, 2 * PV_MIB);
}

static uint64_t distance(uint64_t a, uint64_t b)
{
	return a > b ? a - b : b - a;
}

void pv_balance_because(struct pv_balance_machine *machine, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(machine->reason, sizeof(machine->reason), format, arguments);
	va_end(arguments);
}

/* ---- what has happened since the last turn ---- */

static bool is_on_its_way(const struct pv_balance_machine *machine)
{
	return distance(machine->actual, machine->target) > tolerance(machine);
}

static void note_way(struct pv_balance_machine *machine)
{
	struct pv_balance_past *past = &machine->past;
	uint64_t before = distance(past->actual, machine->target);
	uint64_t now = distance(machine->actual, machine->target);

	if (!is_on_its_way(machine) || now + tolerance(machine) / 4 <= before)
		past->stuck_turns = 0;
	else if (past->stuck_turns < STUCK_TURNS)
		past->stuck_turns++;
}

static void note_move(struct pv_balance_machine *machine)
{
	struct pv_balance_past *past = &machine->past;

	if (distance(past->actual, machine->actual) <= tolerance(machine))
		return;
	past->has_grown = machine->actual > past->actual;
	past->updates_at_move = machine->stats.updates;
}

static bool note_swapping(struct pv_balance_machine *machine)
{
	const struct pv_balance_stats *stats = &machine->stats;
	struct pv_balance_past *past = &machine->past;
	bool swaps = past->is_known &&
	             (pv_balance_less(stats->swap_in, past->swap_in) >= SWAP_IN_BYTES ||
	              pv_balance_less(stats->major_faults, past->major_faults) >= MAJOR_FAULTS);

	past->swap_in = stats->swap_in;
	past->major_faults = stats->major_faults;
	return swaps;
}

static void look(struct pv_balance_case *one)
{
	struct pv_balance_machine *machine = one->machine;
	struct pv_balance_past *past = &machine->past;

	/* A guest may say anything. */
	machine->stats.available = pv_balance_at_most(machine->stats.available, machine->actual);
	if (past->is_known) {
		note_way(machine);
		note_move(machine);
	}
	one->swaps = note_swapping(machine);
	one->is_stuck = past->stuck_turns >= STUCK_TURNS;
	past->actual = machine->actual;
	past->is_known = true;
}

/* ---- verdicts ---- */

static enum pv_balance_verdict alone(struct pv_balance_case *one, const char *why)
{
	pv_balance_because(one->machine, "left alone: %s", why);
	return PV_BALANCE_ALONE;
}

static enum pv_balance_verdict on_its_way(struct pv_balance_case *one)
{
	struct pv_balance_machine *machine = one->machine;

	pv_balance_because(machine,
	                   one->is_stuck ? "left alone: it does not follow, and has %llu MiB where "
	                                   "it is to have %llu MiB"
	                                 : "on its way from %llu MiB to %llu MiB",
	                   pv_balance_mib(machine->actual), pv_balance_mib(machine->target));
	return PV_BALANCE_ALONE;
}

static bool is_short(const struct pv_balance_case *one)
{
	uint64_t available = one->machine->stats.available;

	return available < one->headroom || (one->swaps && available < 2 * one->headroom);
}

static enum pv_balance_verdict want_more(struct pv_balance_case *one)
{
	const struct pv_balance_machine *machine = one->machine;
	uint64_t used = pv_balance_less(machine->actual, machine->stats.available);
	uint64_t goal = used + one->headroom + one->headroom / 2;

	if (one->swaps)
		goal = pv_balance_at_least(goal, machine->actual + one->headroom / 2);
	/* One that was shrinking, or did not follow, goes on from where it is. */
	one->base = pv_balance_at_most(pv_balance_at_least(machine->target, machine->actual),
	                               one->ceiling);
	one->more = pv_balance_less(pv_balance_at_most(goal, one->ceiling), one->base);
	one->machine->past.calm_turns = 0;
	return PV_BALANCE_SHORT;
}

static enum pv_balance_verdict want_less(struct pv_balance_case *one)
{
	struct pv_balance_machine *machine = one->machine;
	uint64_t unused = pv_balance_less(machine->stats.available, 2 * one->headroom);

	one->base = machine->target;
	one->more = pv_balance_at_most(unused, pv_balance_less(one->base, one->floor));
	one->more = pv_balance_at_most(one->more, step(machine));
	if (one->more < pv_balance_least(machine, PV_BALANCE_STEADY))
		one->more = 0;
	if (machine->past.calm_turns < UINT32_MAX)
		machine->past.calm_turns++;
	pv_balance_because(machine, "enough: %llu MiB available",
	                   pv_balance_mib(machine->stats.available));
	return PV_BALANCE_STEADY;
}

/* Its bounds come before what it needs; they may be new. */
static bool is_out_of_bounds(struct pv_balance_case *one)
{
	struct pv_balance_machine *machine = one->machine;

	if (machine->target < one->floor) {
		machine->wanted = one->floor;
		pv_balance_because(machine, "below its floor of %llu MiB",
		                   pv_balance_mib(one->floor));
	} else if (machine->target > one->ceiling) {
		machine->wanted = one->ceiling;
		pv_balance_because(machine, "above its ceiling of %llu MiB",
		                   pv_balance_mib(one->ceiling));
	}
	return machine->wanted != machine->target;
}

static enum pv_balance_verdict judge(struct pv_balance_case *one)
{
	const struct pv_balance_machine *machine = one->machine;
	const struct pv_balance_past *past = &machine->past;
	bool is_old = machine->stats.updates == past->updates_at_move;

	if (machine->memory == 0)
		return alone(one, "there is no guest");
	if (!machine->stats.is_fresh)
		return alone(one, "its guest has not said lately how it uses its memory");
	if (!machine->stats.has_available)
		return alone(one, "its guest does not say how much it has available");
	if (is_out_of_bounds(one))
		return PV_BALANCE_ALONE;
	if (is_on_its_way(machine) && machine->actual < machine->target)
		return on_its_way(one);
	if (is_short(one) && !(is_old && past->has_grown))
		return want_more(one);
	if (is_on_its_way(machine))
		return on_its_way(one);
	return is_old ? alone(one,
	                      "its balloon has just moved, and its guest has said nothing since")
	              : want_less(one);
}

/* ---- the host ---- */

struct sums {
	uint64_t promised; /* that machines are to have, and have not taken yet */
	uint64_t coming;   /* that they are to give, and have not given yet */
	uint64_t asked;    /* that those who are short want */
};

static struct sums sums_of(const struct pv_balance_case *cases, unsigned int count)
{
	struct sums sums = { 0 };

	for (unsigned int i = 0; i < count; i++) {
		const struct pv_balance_machine *machine = cases[i].machine;

		sums.promised += pv_balance_less(machine->wanted, machine->actual);
		if (!cases[i].is_stuck)
			sums.coming += pv_balance_less(machine->actual, machine->wanted);
		if (cases[i].verdict == PV_BALANCE_SHORT)
			sums.asked += cases[i].more;
	}
	return sums;
}

/* All tasks wait at once: half as much of that is as bad. */
static bool is_stalled(const struct pv_balance_host *host)
{
	return host->pressure < PV_BALANCE_PRESSURE_NONE && host->full >= host->pressure / 2 + 1;
}

static bool is_pressed(const struct pv_balance_host *host)
{
	return host->some >= host->pressure || is_stalled(host);
}

static bool is_urgent(const struct pv_balance_host *host)
{
	return host->available < host->reserve / 2 || is_stalled(host);
}

/* Only those that have been calm for long enough are taken from. */
static void spare_the_restless(const struct pv_balance_host *host, struct pv_balance_case *cases,
                               unsigned int count)
{
	uint32_t calm = is_urgent(host) && host->calm_turns > 1 ? 1 : host->calm_turns;

	for (unsigned int i = 0; i < count; i++)
		if (cases[i].verdict == PV_BALANCE_STEADY &&
		    cases[i].machine->past.calm_turns < calm)
			cases[i].more = 0;
}

static void reclaim(const struct pv_balance_host *host, struct pv_balance_case *cases,
                    unsigned int count, uint64_t unmet)
{
	struct sums sums = sums_of(cases, count);
	uint64_t bytes = pv_balance_comfort(host) + sums.promised + unmet;
	char why[PV_BALANCE_REASON_BYTES / 2];

	if (host->available < host->reserve)
		snprintf(why, sizeof(why), "the host has %llu MiB left, its reserve is %llu MiB",
		         pv_balance_mib(host->available), pv_balance_mib(host->reserve));
	else if (is_pressed(host))
		snprintf(why, sizeof(why), "the host's tasks wait for memory (%u.%02u %%)",
		         host->some / 100, host->some % 100);
	else if (unmet > 0)
		snprintf(why, sizeof(why), "others are short of %llu MiB", pv_balance_mib(unmet));
	else
		return;
	bytes = pv_balance_less(bytes, host->available);
	if (is_pressed(host))
		bytes = pv_balance_at_least(bytes,
		                            pv_balance_at_least(host->reserve / 8, 64 * PV_MIB));
	spare_the_restless(host, cases, count);
	pv_balance_take(cases, count, pv_balance_less(bytes, sums.coming), why);
}

void pv_balance(const struct pv_balance_host *host, struct pv_balance_machine *machine,
                unsigned int machines)
{
	struct pv_balance_case cases[PV_BALANCE_MACHINES_MAX];
	uint64_t spare, given;
	struct sums sums;

	for (unsigned int i = 0; i < machines; i++) {
		cases[i] = (struct pv_balance_case){
			.machine = &machine[i],
			.floor = pv_balance_floor(&machine[i]),
			.ceiling = pv_balance_ceiling(&machine[i]),
			.headroom = pv_balance_headroom(&machine[i]),
		};
		machine[i].wanted = machine[i].target;
		look(&cases[i]);
		cases[i].verdict = judge(&cases[i]);
	}
	sums = sums_of(cases, machines);
	spare = pv_balance_less(host->available, pv_balance_comfort(host) + sums.promised);
	given = pv_balance_give(cases, machines, is_pressed(host) ? 0 : spare);
	reclaim(host, cases, machines, sums.asked - given);
}
