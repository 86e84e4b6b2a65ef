/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Situations for the policy of `paravane balance`: hosts and machines, and what is expected of a
 * machine.  Include after cmocka.
 */
#ifndef PV_TESTS_BALANCE_CASE_H
#define PV_TESTS_BALANCE_CASE_H

#include <string.h>

#include "hosted/control/balance_policy.h"

#define MIB (1ull << 20)
#define GIB (1ull << 30)

/* A host with plenty, and one that is short. */
static const struct pv_balance_host rich = { .available = 64 * GIB,
	                                     .reserve = GIB,
	                                     .pressure = PV_BALANCE_PRESSURE,
	                                     .calm_turns = PV_BALANCE_CALM_TURNS };
static const struct pv_balance_host poor = { .available = 900 * MIB,
	                                     .reserve = GIB,
	                                     .pressure = PV_BALANCE_PRESSURE,
	                                     .calm_turns = PV_BALANCE_CALM_TURNS };

/* Of 4 GiB, with head-room of a tenth: it has been calm for long, and says something new. */
static inline struct pv_balance_machine machine_with(uint64_t has, uint64_t available)
{
	return (struct pv_balance_machine){
		.memory = 4 * GIB,
		.actual = has,
		.target = has,
		.floor = PV_BALANCE_DEFAULT,
		.ceiling = PV_BALANCE_DEFAULT,
		.weight = PV_BALANCE_WEIGHT,
		.stats = { .is_fresh = true,
		           .has_available = true,
		           .updates = 10,
		           .available = available },
		.past = { .is_known = true, .actual = has, .calm_turns = 10, .updates_at_move = 1 },
	};
}

static inline void assert_changed(const struct pv_balance_machine *machine, uint64_t to,
                                  const char *because)
{
	assert_int_equal(machine->wanted, to);
	if (!strstr(machine->reason, because))
		fail_msg("'%s' does not say '%s'", machine->reason, because);
}

static inline void assert_unchanged(const struct pv_balance_machine *machine, const char *because)
{
	assert_changed(machine, machine->target, because);
}

#endif
