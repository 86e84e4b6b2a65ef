/* SPDX-License-Identifier: BSD-2-Clause */
/* Several machines on one host: who gives, and who gets what there is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/support/balance_case.h"

static void the_first_to_give_has_most_unused_for_its_weight(void **state)
{
	struct pv_balance_machine machine[3] = { machine_with(4 * GIB, 2 * GIB),
		                                 machine_with(4 * GIB, 3 * GIB),
		                                 machine_with(4 * GIB, 3 * GIB) };

	(void)state;
	machine[1].weight = 200;
	machine[2].weight = 150;
	pv_balance(&poor, machine, 3);
	/* 2.2, 2.2 and 1.2 GiB unused, by 2, 1.5 and 1. */
	assert_true(machine[2].wanted < machine[2].target);
	assert_unchanged(&machine[0], "enough");
	assert_unchanged(&machine[1], "enough");
}

static void what_one_cannot_give_the_next_gives(void **state)
{
	struct pv_balance_machine machine[3] = { machine_with(4 * GIB, 3 * GIB),
		                                 machine_with(4 * GIB, 3 * GIB + 1),
		                                 machine_with(4 * GIB, 3 * GIB) };
	struct pv_balance_host host = poor;

	(void)state;
	/* 602 MiB are missing. */
	host.available = 550 * MIB;
	pv_balance(&host, machine, 3);
	assert_changed(&machine[0], 4 * GIB - 90 * MIB, "unused");
	assert_changed(&machine[1], 4 * GIB - 512 * MIB, "unused");
	assert_unchanged(&machine[2], "enough");
}

static void what_is_not_enough_is_shared_by_weight(void **state)
{
	struct pv_balance_machine machine[3] = { machine_with(2 * GIB, 0), machine_with(2 * GIB, 0),
		                                 machine_with(2 * GIB, 400 * MIB) };
	struct pv_balance_host host = rich;
	uint64_t little = 2 * GIB - 400 * MIB + 4 * GIB / 10 + 4 * GIB / 10 / 2;

	(void)state;
	/* The third wants 214 MiB, and has the weight for more. */
	machine[1].weight = 300;
	machine[2].weight = 10000;
	host.available = pv_balance_comfort(&host) + little - 2 * GIB + 400 * MIB;
	pv_balance(&host, machine, 3);
	assert_int_equal(machine[2].wanted, little);
	assert_in_range(machine[0].wanted, 2 * GIB + 99 * MIB, 2 * GIB + 100 * MIB);
	assert_in_range(machine[1].wanted, 2 * GIB + 299 * MIB, 2 * GIB + 300 * MIB);
	/* Too little to be worth it. */
	host.available = pv_balance_comfort(&host) + 20 * MIB;
	machine[2].weight = machine[1].weight = machine[0].weight;
	pv_balance(&host, machine, 3);
	for (unsigned int i = 0; i < 3; i++)
		assert_unchanged(&machine[i], "nothing to spare");
}

static void who_has_much_gives_to_who_is_short_where_the_host_cannot(void **state)
{
	struct pv_balance_machine machine[2] = { machine_with(2 * GIB, 0),
		                                 machine_with(4 * GIB, 3 * GIB) };
	struct pv_balance_host host = rich;

	(void)state;
	host.available = host.reserve + MIB;
	pv_balance(&host, machine, 2);
	assert_unchanged(&machine[0], "nothing to spare");
	assert_changed(&machine[1], 4 * GIB - 512 * MIB, "others are short of 614 MiB");
}

static void what_is_promised_is_not_promised_twice(void **state)
{
	struct pv_balance_machine machine[2] = { machine_with(2 * GIB, 0),
		                                 machine_with(2 * GIB, 0) };
	struct pv_balance_host host = rich;

	(void)state;
	host.available = pv_balance_comfort(&host) + 500 * MIB;
	machine[0].target = 2 * GIB + 500 * MIB;
	pv_balance(&host, machine, 2);
	assert_unchanged(&machine[0], "on its way");
	assert_unchanged(&machine[1], "nothing to spare");
}

static void what_is_coming_is_not_taken_twice(void **state)
{
	struct pv_balance_machine machine[2] = { machine_with(4 * GIB, 3 * GIB),
		                                 machine_with(4 * GIB, 3 * GIB) };

	(void)state;
	machine[0].target -= 252 * MIB;
	pv_balance(&poor, machine, 2);
	assert_unchanged(&machine[0], "on its way");
	assert_unchanged(&machine[1], "enough");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_first_to_give_has_most_unused_for_its_weight),
		cmocka_unit_test(what_one_cannot_give_the_next_gives),
		cmocka_unit_test(what_is_not_enough_is_shared_by_weight),
		cmocka_unit_test(who_has_much_gives_to_who_is_short_where_the_host_cannot),
		cmocka_unit_test(what_is_promised_is_not_promised_twice),
		cmocka_unit_test(what_is_coming_is_not_taken_twice),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
