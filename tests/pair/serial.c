/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * virtio-serial, both real halves against each other on lines in memory: bytes in both directions
 * on three ports, on memory cut into small regions, with every combination of ring features; and in
 * between, at random instants, the device is saved and loaded into another one, asks for a reset,
 * or loses and gets ports.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "ring/err.h"
#include "tests/support/serial_pair.h"

#define STEPS (getenv("PV_LONG") ? 30000u : getenv("PV_SHORT") ? 300u : 1200u)

#define SECOND_NS 1000000000ull

static struct serial_pair pair;

/* All rings, with buffers of the driver's own and without. */
static void on_every_kind(uint64_t without, void (*body)(void))
{
	for (uint64_t i = 0; i < 2 * PV_RING_KINDS; i++) {
		const struct serial_pair_options options = {
			.ring_features = pv_ring_kind[i / 2],
			.without = without,
			.has_own_buffers = i % 2,
			.number = i,
		};

		serial_pair_open(&pair, &options);
		body();
		serial_pair_close(&pair);
	}
}

#define ON_EVERY_KIND(name, without)                                                               \
	static void name##_body(void);                                                             \
	static void name(void **state)                                                             \
	{                                                                                          \
		(void)state;                                                                       \
		on_every_kind(without, name##_body);                                               \
	}                                                                                          \
	static void name##_body(void)

static uint32_t any_port(void)
{
	return pv_random_below(&pair.random, SERIAL_PAIR_PORTS);
}

/* A line that has room now and then, for a byte or for many. */
static void change_room(void)
{
	struct pv_memory_line *line = &pair.port[any_port()].line;

	pv_memory_line_allow(line, pv_random_chance(&pair.random, 50)
	                                   ? pv_random_below(&pair.random, 3)
	                                   : pv_random_below(&pair.random, 5000));
}

static void one_step(void (*seldom)(void))
{
	uint32_t dice = pv_random_below(&pair.random, 100);

	if (dice < 25)
		serial_pair_write(&pair, any_port());
	else if (dice < 45)
		serial_pair_put(&pair, any_port());
	else if (dice < 55)
		change_room();
	else if (dice < 75)
		pv_couple_run(&pair.couple);
	else if (dice < 80)
		pv_couple_sleep(&pair.couple);
	else if (dice < 98 || !seldom)
		serial_pair_look(&pair);
	else
		seldom();
}

static void run_steps(void (*seldom)(void))
{
	uint64_t bytes_in = 0, bytes_out = 0;

	for (uint32_t step = 0; step < STEPS; step++)
		one_step(seldom);
	if (seldom)
		seldom(); /* at least once */
	serial_pair_settle(&pair);
	assert_int_equal(pair.couple.needs_resets, 0);
	for (uint32_t i = 0; i < SERIAL_PAIR_PORTS; i++) {
		const struct pv_serdrv_counters counters =
			pv_serdrv_counters(pv_serdrv_port(pair.driver, i));

		bytes_in += counters.bytes_in;
		bytes_out += counters.bytes_out;
		assert_int_equal(counters.lies + counters.empty, 0);
	}
	assert_true(bytes_in > 10000 && bytes_out > 10000);
	assert_int_equal(pv_serdrv_control_counters(pair.driver).malformed, 0);
}

/* ---- bytes ---- */

ON_EVERY_KIND(bytes_go_both_ways_once_and_in_order, 0)
{
	run_steps(NULL);
	for (uint32_t i = 0; i < SERIAL_PAIR_PORTS; i++) {
		const struct pv_serdrv_counters counters =
			pv_serdrv_counters(pv_serdrv_port(pair.driver, i));

		assert_int_equal(counters.bytes_in, pair.port[i].in.begun);
		assert_int_equal(counters.bytes_out, pair.port[i].out.begun);
	}
}

static void move(void)
{
	serial_pair_move(&pair);
}

ON_EVERY_KIND(a_device_that_moves_under_load_loses_and_doubles_no_byte, 0)
{
	run_steps(move);
	assert_true(pair.moves > 0);
}

ON_EVERY_KIND(a_line_that_takes_a_byte_at_a_time_gets_all_of_them, 0)
{
	struct serial_pair_port *port = &pair.port[2];

	pv_memory_line_allow(&port->line, 0);
	for (uint32_t i = 0; i < 3; i++)
		while (!serial_pair_write(&pair, 2))
			;
	pv_serdrv_publish(pv_serdrv_port(pair.driver, 2));
	while (port->out.come < port->out.begun) {
		const size_t before = port->out.come;

		pv_memory_line_allow(&port->line, 1);
		serial_pair_look(&pair);
		pv_couple_run(&pair.couple);
		serial_pair_look(&pair);
		assert_int_equal(port->out.come, before + 1);
		if (before % 500 == 0)
			serial_pair_move(&pair);
	}
	serial_pair_settle(&pair);
}

/* Both sleep: each is woken by the other. */
ON_EVERY_KIND(bytes_can_be_waited_for, 0)
{
	struct pv_serdrv_port *port = pv_serdrv_port(pair.driver, 1);
	struct pv_memory_line *line = &pair.port[1].line;

	for (uint32_t i = 0; i < 10; i++) {
		pv_couple_run(&pair.couple);
		pv_couple_sleep(&pair.couple);
		assert_int_equal(pv_serdrv_put(port, "hello", 5, SECOND_NS), 0);
		assert_int_equal(line->written_bytes, 5);
		assert_memory_equal(line->written, "hello", 5);
		pv_memory_line_forget(line);
	}
}

/* ---- ports ---- */

static void what_the_device_says_of_a_port_is_known(void **state)
{
	const struct serial_pair_options options = { .number = 100 };
	struct pv_serdrv_port *port;

	(void)state;
	serial_pair_open(&pair, &options);
	port = pv_serdrv_find(pair.driver, "org.example.1");
	assert_ptr_equal(port, pv_serdrv_port(pair.driver, 1));
	assert_false(pv_serdrv_state(port)->is_console);
	assert_true(pv_serdrv_state(pv_serdrv_port(pair.driver, 0))->is_console);
	pv_memory_line_set_size(&pair.port[0].line, 132, 50);
	pv_memory_line_set_open(&pair.port[1].line, false);
	for (uint32_t i = 0; i < 10; i++) {
		serial_pair_look(&pair);
		pv_couple_run(&pair.couple);
	}
	pv_serdrv_config_changed(pair.driver);
	assert_int_equal(pv_serdrv_state(pv_serdrv_port(pair.driver, 0))->columns, 132);
	assert_int_equal(pv_serdrv_state(pv_serdrv_port(pair.driver, 0))->rows, 50);
	assert_false(pv_serdrv_state(port)->host_is_open);
	pv_serdrv_close(port);
	for (uint32_t i = 0; i < 10; i++)
		pv_couple_run(&pair.couple);
	assert_false(pv_serial_is_guest_open(pair.couple.device, 1));
	serial_pair_close(&pair);
}

static void an_emergency_byte_goes_past_everything(void **state)
{
	const struct serial_pair_options options = { .number = 101 };

	(void)state;
	serial_pair_open(&pair, &options);
	pv_memory_line_allow(&pair.port[0].line, 0);
	assert_int_equal(pv_serdrv_emergency(&pair.couple.bus, '!'), 0);
	assert_int_equal(pair.port[0].line.emergencies, 1);
	assert_int_equal(pair.port[0].line.emergency, '!');
	serial_pair_close(&pair);
}

/* The others go on. */
static void come_or_go(void)
{
	const uint32_t port = 1 + pv_random_below(&pair.random, 2);

	pair.may_fail = true;
	if (pair.port[port].is_added)
		serial_pair_remove(&pair, port);
	else
		serial_pair_add(&pair, port);
}

ON_EVERY_KIND(ports_come_and_go_under_traffic, 0)
{
	run_steps(come_or_go);
	assert_int_equal(pair.couple.needs_resets, 0);
}

ON_EVERY_KIND(ports_come_and_go_where_queues_cannot_be_taken_back, VIRTIO_F_RING_RESET)
{
	run_steps(come_or_go);
	assert_int_equal(pair.couple.needs_resets, 0);
}

/* ---- a device that needs a reset ---- */

/* At rest: what was in flight then might come twice. */
ON_EVERY_KIND(a_device_that_was_reset_goes_on_with_all_its_ports, 0)
{
	for (uint32_t round = 0; round < 5; round++) {
		for (uint32_t i = 0; i < SERIAL_PAIR_PORTS; i++) {
			pv_memory_line_allow(&pair.port[i].line, 0);
			while (!serial_pair_write(&pair, i))
				;
			pv_serdrv_publish(pv_serdrv_port(pair.driver, i));
		}
		pv_device_needs_reset(pair.couple.device);
		assert_int_equal(pv_serdrv_tend(pair.driver), 1);
		assert_false(pv_serdrv_is_broken(pair.driver));
		for (uint32_t i = 0; i < SERIAL_PAIR_PORTS; i++) {
			assert_true(pv_serdrv_state(pv_serdrv_port(pair.driver, i))->is_open);
			serial_pair_put(&pair, i);
		}
		serial_pair_settle(&pair);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bytes_go_both_ways_once_and_in_order),
		cmocka_unit_test(a_device_that_moves_under_load_loses_and_doubles_no_byte),
		cmocka_unit_test(a_line_that_takes_a_byte_at_a_time_gets_all_of_them),
		cmocka_unit_test(bytes_can_be_waited_for),
		cmocka_unit_test(what_the_device_says_of_a_port_is_known),
		cmocka_unit_test(an_emergency_byte_goes_past_everything),
		cmocka_unit_test(ports_come_and_go_under_traffic),
		cmocka_unit_test(ports_come_and_go_where_queues_cannot_be_taken_back),
		cmocka_unit_test(a_device_that_was_reset_goes_on_with_all_its_ports),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
