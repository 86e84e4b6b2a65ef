/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The console device (virtio 1.3, section 5.3) under a driver that is the test: what each message
 * leads to and when, bytes that the line takes in parts, ports that come and go, and moves in
 * between.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "ring/err.h"
#include "tests/support/each.h"
#include "tests/support/serial_rig.h"

#define PORTS     4u
#define MULTIPORT VIRTIO_CONSOLE_F_MULTIPORT

static struct serial_rig rig;
static uint8_t pattern[1u << 20];

static void open_rig(uint16_t ports, bool is_single)
{
	const struct pv_serial_options options = { .ports_max = ports, .is_single = is_single };

	serial_rig_open(&rig, &options);
}

static void close_rig(void)
{
	assert_int_equal(rig.base.needs_resets, 0);
	serial_rig_close(&rig);
}

/* Console 0, and port 1 with a name, both with somebody at the line's other end. */
static void add_two(struct serial_rig *to)
{
	serial_rig_add(to, 0, 0, NULL, true);
	serial_rig_add(to, 1, 1, "org.test.1", false);
}

/* The driver has the port, and nothing more is to be told. */
static void set_up(uint32_t id, const char *name, bool is_console)
{
	serial_rig_say(&rig, id, VIRTIO_CONSOLE_PORT_READY, 1);
	if (is_console)
		serial_rig_expect_told(&rig, id, VIRTIO_CONSOLE_CONSOLE_PORT, 1, NULL, 0);
	if (name)
		serial_rig_expect_told(&rig, id, VIRTIO_CONSOLE_PORT_NAME, 1, name,
		                       (uint32_t)strlen(name));
	serial_rig_expect_told(&rig, id, VIRTIO_CONSOLE_PORT_OPEN, 1, NULL, 0);
	serial_rig_say(&rig, id, VIRTIO_CONSOLE_PORT_OPEN, 1);
}

static void start_two(uint64_t features)
{
	serial_rig_start(&rig, features | MULTIPORT);
	serial_rig_say(&rig, 0, VIRTIO_CONSOLE_DEVICE_READY, 1);
	serial_rig_expect_told(&rig, 0, VIRTIO_CONSOLE_DEVICE_ADD, 1, NULL, 0);
	serial_rig_expect_told(&rig, 1, VIRTIO_CONSOLE_DEVICE_ADD, 1, NULL, 0);
	set_up(0, NULL, true);
	set_up(1, "org.test.1", false);
}

static void on_every_ring(void (*body)(void))
{
	for (uint16_t i = 0; i < PV_RING_KINDS; i++) {
		open_rig(PORTS, false);
		add_two(&rig);
		start_two(pv_ring_kind[i]);
		body();
		close_rig();
	}
}

#define ON_EVERY_RING(name) PV_TEST_EACH(on_every_ring, name)

static void expect_written(uint32_t line, const void *data, size_t bytes)
{
	assert_int_equal(rig.line[line].written_bytes, bytes);
	assert_memory_equal(rig.line[line].written, data, bytes);
	pv_memory_line_forget(&rig.line[line]);
}

/* ---- what the driver is told ---- */

static void nothing_is_told_before_the_driver_is_ready(void **state)
{
	(void)state;
	open_rig(PORTS, false);
	add_two(&rig);
	serial_rig_start(&rig, MULTIPORT);
	serial_rig_buffer(&rig, CONTROL_RX, 64);
	serial_rig_expect_silence(&rig);
	close_rig();
}

ON_EVERY_RING(each_port_is_added_and_then_described)
{
	serial_rig_buffer(&rig, CONTROL_RX, 64);
	serial_rig_expect_silence(&rig);
	assert_true(pv_serial_is_guest_open(rig.device, 0));
	assert_int_equal(pv_count_of(rig.device, CONTROL_RX, "messages"), 6);
	assert_int_equal(pv_count_of(rig.device, CONTROL_TX, "messages"), 5);
	assert_int_equal(pv_count_of(rig.device, CONTROL_TX, "bad_messages"), 0);
}

ON_EVERY_RING(who_comes_and_goes_at_the_line_is_told)
{
	for (int i = 0; i < 3; i++) {
		pv_memory_line_set_open(&rig.line[1], false);
		serial_rig_expect_told(&rig, 1, VIRTIO_CONSOLE_PORT_OPEN, 0, NULL, 0);
		pv_memory_line_set_open(&rig.line[1], true);
		serial_rig_expect_told(&rig, 1, VIRTIO_CONSOLE_PORT_OPEN, 1, NULL, 0);
	}
	/* Nobody looked meanwhile: it is as it was. */
	pv_memory_line_set_open(&rig.line[1], false);
	serial_rig_run(&rig);
	pv_memory_line_set_open(&rig.line[1], true);
	serial_rig_run(&rig);
	serial_rig_buffer(&rig, CONTROL_RX, 64);
	serial_rig_expect_silence(&rig);
}

ON_EVERY_RING(a_console_is_told_its_size_and_a_port_is_not)
{
	const uint8_t told[] = { 132, 0, 43, 0 };

	pv_memory_line_set_size(&rig.line[0], 132, 0);
	pv_memory_line_set_size(&rig.line[1], 80, 25);
	serial_rig_run(&rig);
	pv_memory_line_set_size(&rig.line[0], 132, 43);
	serial_rig_expect_told(&rig, 0, VIRTIO_CONSOLE_RESIZE, 0, told, sizeof(told));
	serial_rig_buffer(&rig, CONTROL_RX, 64);
	serial_rig_expect_silence(&rig);
}

static void a_size_may_be_told_with_rows_first(void **state)
{
	const struct pv_serial_port port = { .line = &rig.line[0].line,
		                             .is_console = true,
		                             .has_legacy_resize = true };
	const uint8_t told[] = { 43, 0, 132, 0 };

	(void)state;
	open_rig(1, false);
	pv_memory_line_set_size(&rig.line[0], 132, 43);
	assert_int_equal(pv_serial_add_port(rig.device, 0, &port), 0);
	serial_rig_start(&rig, MULTIPORT);
	serial_rig_say(&rig, 0, VIRTIO_CONSOLE_DEVICE_READY, 1);
	serial_rig_expect_told(&rig, 0, VIRTIO_CONSOLE_DEVICE_ADD, 1, NULL, 0);
	serial_rig_say(&rig, 0, VIRTIO_CONSOLE_PORT_READY, 1);
	serial_rig_expect_told(&rig, 0, VIRTIO_CONSOLE_CONSOLE_PORT, 1, NULL, 0);
	serial_rig_expect_told(&rig, 0, VIRTIO_CONSOLE_RESIZE, 0, told, sizeof(told));
	serial_rig_expect_told(&rig, 0, VIRTIO_CONSOLE_PORT_OPEN, 1, NULL, 0);
	close_rig();
}

ON_EVERY_RING(a_buffer_without_room_is_given_back_and_the_message_kept)
{
	struct pv_sg readable;

	serial_rig_add(&rig, 2, 2, NULL, false);
	serial_rig_run(&rig);
	readable = device_rig_alloc(&rig.base, 64);
	serial_rig_buffer(&rig, CONTROL_RX, 7);
	device_rig_offer(&rig.base, CONTROL_RX, &readable, 1, 0);
	serial_rig_run(&rig);
	serial_rig_expect_back(&rig, CONTROL_RX);
	serial_rig_expect_back(&rig, CONTROL_RX);
	assert_int_equal(serial_rig_counters(&rig, CONTROL_RX)->bad_chains, 2);
	serial_rig_expect_told(&rig, 2, VIRTIO_CONSOLE_DEVICE_ADD, 1, NULL, 0);
}

/* ---- what the driver says ---- */

static void say_wrongly(const void *bytes, uint32_t count)
{
	uint64_t bad = pv_count_of(rig.device, CONTROL_TX, "bad_messages");

	serial_rig_send(&rig, CONTROL_TX, bytes, count);
	serial_rig_run(&rig);
	serial_rig_expect_back(&rig, CONTROL_TX);
	assert_int_equal(pv_count_of(rig.device, CONTROL_TX, "bad_messages"), bad + 1);
}

static void say_badly(uint32_t id, uint16_t event, uint16_t value)
{
	const struct virtio_console_control message = { pv_le32_of(id), pv_le16_of(event),
		                                        pv_le16_of(value) };

	say_wrongly(&message, sizeof(message));
}

ON_EVERY_RING(what_cannot_be_said_is_counted_and_changes_nothing)
{
	serial_rig_add(&rig, 2, 2, NULL, false);
	serial_rig_expect_told(&rig, 2, VIRTIO_CONSOLE_DEVICE_ADD, 1, NULL, 0);
	serial_rig_buffer(&rig, CONTROL_RX, 64);
	for (uint32_t bytes = 1; bytes < 20; bytes++)
		if (bytes != sizeof(struct virtio_console_control))
			say_wrongly(pattern, bytes);
	say_badly(0, VIRTIO_CONSOLE_DEVICE_ADD, 1);
	say_badly(0, VIRTIO_CONSOLE_CONSOLE_PORT, 1);
	say_badly(0, 8, 1);
	say_badly(0, UINT16_MAX, 1);
	say_badly(0, VIRTIO_CONSOLE_PORT_OPEN, 2);
	say_badly(PORTS, VIRTIO_CONSOLE_PORT_READY, 1);
	say_badly(UINT32_MAX, VIRTIO_CONSOLE_PORT_OPEN, 1);
	say_badly(3, VIRTIO_CONSOLE_PORT_READY, 1); /* it is not there */
	say_badly(3, VIRTIO_CONSOLE_PORT_OPEN, 0);
	say_badly(2, VIRTIO_CONSOLE_PORT_OPEN, 1); /* it is not ready */
	serial_rig_expect_silence(&rig);
	assert_false(pv_serial_is_guest_open(rig.device, 2));
}

/* As User Mode Linux does when a module is loaded again; what had partly gone is the old one's. */
ON_EVERY_RING(a_driver_that_begins_anew_without_a_reset_has_all_ports)
{
	serial_rig_say(&rig, 1, VIRTIO_CONSOLE_PORT_OPEN, 1);
	pv_memory_line_allow(&rig.line[1], 100);
	serial_rig_send(&rig, TX(1), pattern, 300);
	serial_rig_run(&rig);
	expect_written(1, pattern, 100);
	serial_rig_say(&rig, 0, VIRTIO_CONSOLE_DEVICE_READY, 1);
	serial_rig_expect_told(&rig, 0, VIRTIO_CONSOLE_DEVICE_ADD, 1, NULL, 0);
	serial_rig_expect_told(&rig, 1, VIRTIO_CONSOLE_DEVICE_ADD, 1, NULL, 0);
	assert_false(pv_serial_is_guest_open(rig.device, 1));
	set_up(0, NULL, true);
	set_up(1, "org.test.1", false);
	pv_memory_line_allow(&rig.line[1], 300);
	serial_rig_run(&rig);
	expect_written(1, pattern, 300);
	serial_rig_expect_back(&rig, TX(1));
	assert_int_equal(pv_count_of(rig.device, CONTROL_TX, "bad_messages"), 0);
}

ON_EVERY_RING(the_user_hears_what_the_driver_opens)
{
	uint32_t changes = rig.guest_changes;

	assert_string_equal(rig.guest_change, "1 open");
	serial_rig_say(&rig, 1, VIRTIO_CONSOLE_PORT_OPEN, 0);
	assert_string_equal(rig.guest_change, "1 closed");
	assert_false(pv_serial_is_guest_open(rig.device, 1));
	serial_rig_say(&rig, 1, VIRTIO_CONSOLE_PORT_OPEN, 0);
	assert_int_equal(rig.guest_changes, changes + 1);
	serial_rig_say(&rig, 1, VIRTIO_CONSOLE_PORT_OPEN, 1);
	assert_int_equal(pv_device_reset(rig.device, (struct pv_waiter){ 0 }), 0);
	assert_int_equal(rig.guest_changes, changes + 4);
	assert_string_equal(rig.guest_change, "1 closed");
}

/* Linux, when it wakes up: the device was reset, and the ports are those from before. */
static void a_driver_that_wakes_up_goes_on_with_its_ports(void **state)
{
	(void)state;
	open_rig(PORTS, false);
	add_two(&rig);
	serial_rig_start(&rig, MULTIPORT);
	set_up(0, NULL, true);
	set_up(1, "org.test.1", false);
	/* One that has gone meanwhile, and one that is new. */
	serial_rig_say(&rig, 2, VIRTIO_CONSOLE_PORT_READY, 1);
	serial_rig_expect_told(&rig, 2, VIRTIO_CONSOLE_DEVICE_REMOVE, 1, NULL, 0);
	serial_rig_add(&rig, 3, 3, NULL, false);
	serial_rig_expect_told(&rig, 3, VIRTIO_CONSOLE_DEVICE_ADD, 1, NULL, 0);
	serial_rig_buffer(&rig, CONTROL_RX, 64);
	serial_rig_expect_silence(&rig);
	close_rig();
}

/* ---- bytes to the line ---- */

ON_EVERY_RING(what_is_sent_goes_out_in_order_and_in_one_call)
{
	for (uint32_t i = 0; i < 10; i++)
		serial_rig_send(&rig, TX(1), pattern + 100 * i, 100);
	serial_rig_run(&rig);
	expect_written(1, pattern, 1000);
	assert_int_equal(rig.line[1].writes, 1);
	for (uint32_t i = 0; i < 10; i++)
		serial_rig_expect_back(&rig, TX(1));
	assert_int_equal(pv_count_of(rig.device, TX(1), "bytes"), 1000);
	assert_in_range(rig.base.queue[TX(1)].interrupts, 0, 1);
}

/* However the line cuts it. */
ON_EVERY_RING(a_line_that_takes_parts_loses_and_doubles_nothing)
{
	size_t sent = 0, out = 0, back = 0;
	uint32_t bytes;

	pv_memory_line_allow(&rig.line[1], 0);
	for (uint32_t i = 0; i < 12; i++) {
		uint32_t length = 1 + pv_random_below(&rig.random, 3000);

		serial_rig_send(&rig, TX(1), pattern + sent, length);
		sent += length;
	}
	while (rig.line[1].written_bytes < sent) {
		size_t room = 1 + pv_random_below(&rig.random, 2000);

		pv_memory_line_allow(&rig.line[1], room);
		serial_rig_run(&rig);
		out += room;
		if (out < sent) {
			assert_int_equal(rig.line[1].written_bytes, out);
			assert_true(rig.device->queue[TX(1)].is_stalled);
			assert_int_equal(rig.device->queue[TX(1)].ring.in_flight, 0);
		}
		while (device_rig_take(&rig.base, TX(1), &bytes))
			back++;
	}
	assert_int_equal(back, 12);
	expect_written(1, pattern, sent);
}

ON_EVERY_RING(while_the_line_is_full_it_is_not_called_and_nothing_spins)
{
	uint32_t writes;

	pv_memory_line_allow(&rig.line[1], 10);
	serial_rig_send(&rig, TX(1), pattern, 100);
	serial_rig_run(&rig);
	writes = rig.line[1].writes;
	for (int i = 0; i < 10; i++)
		assert_false(pv_queue_run(&rig.device->queue[TX(1)]));
	assert_true(pv_queue_may_sleep(&rig.device->queue[TX(1)]));
	assert_int_equal(rig.line[1].writes, writes);
	assert_int_equal(pv_count_of(rig.device, TX(1), "stalls"), 1);
	serial_rig_expect_none(&rig, TX(1));
}

ON_EVERY_RING(output_that_is_none_is_given_back_in_its_turn)
{
	struct pv_sg sg = device_rig_alloc(&rig.base, 64);
	struct pv_sg nowhere = { pv_gpa_of(DEVICE_RIG_NOWHERE), 64 };
	struct pv_sg crumbs = { rig.base.crumbs, SERIAL_RIG_CRUMBS };

	pv_memory_line_allow(&rig.line[1], 40);
	serial_rig_send(&rig, TX(1), pattern, 100);
	device_rig_offer(&rig.base, TX(1), &nowhere, 1, 0);
	device_rig_offer(&rig.base, TX(1), &sg, 0, 1);
	device_rig_offer(&rig.base, TX(1), &crumbs, 1, 0);
	serial_rig_send(&rig, TX(1), pattern + 100, 100);
	serial_rig_run(&rig);
	serial_rig_expect_none(&rig, TX(1));
	assert_int_equal(serial_rig_counters(&rig, TX(1))->bad_chains, 0);
	pv_memory_line_allow(&rig.line[1], SIZE_MAX);
	serial_rig_run(&rig);
	expect_written(1, pattern, 200);
	for (int i = 0; i < 5; i++)
		serial_rig_expect_back(&rig, TX(1));
	assert_int_equal(serial_rig_counters(&rig, TX(1))->bad_chains, 3);
}

/* A driver that waits for its bytes to go is not to wait for ever. */
ON_EVERY_RING(what_is_sent_to_no_port_is_dropped_and_counted)
{
	serial_rig_send(&rig, TX(3), pattern, 100);
	serial_rig_run(&rig);
	serial_rig_expect_back(&rig, TX(3));
	assert_int_equal(pv_count_of(rig.device, TX(3), "dropped"), 100);
	assert_int_equal(pv_count_of(rig.device, TX(3), "bytes"), 0);
}

/* ---- bytes from the line ---- */

ON_EVERY_RING(what_comes_fills_buffers_in_order)
{
	size_t got = 0;
	uint32_t bytes;
	uint8_t *buffer;

	for (uint32_t i = 0; i < 20; i++)
		serial_rig_buffer(&rig, RX(1), 1000);
	serial_rig_run(&rig);
	assert_int_equal(rig.line[1].reads, 0);
	pv_memory_line_put(&rig.line[1], pattern, 15500);
	serial_rig_run(&rig);
	while ((buffer = device_rig_take(&rig.base, RX(1), &bytes))) {
		assert_memory_equal(buffer, pattern + got, bytes);
		got += bytes;
	}
	assert_int_equal(got, 15500);
	assert_true(rig.device->queue[RX(1)].is_stalled);
	assert_int_equal(rig.device->queue[RX(1)].ring.in_flight, 0);
	assert_int_equal(pv_count_of(rig.device, RX(1), "bytes"), 15500);
}

ON_EVERY_RING(a_line_is_read_only_while_the_driver_has_the_port_open)
{
	uint32_t bytes;

	serial_rig_say(&rig, 1, VIRTIO_CONSOLE_PORT_OPEN, 0);
	serial_rig_buffer(&rig, RX(1), 1000);
	pv_memory_line_put(&rig.line[1], pattern, 100);
	serial_rig_run(&rig);
	serial_rig_expect_none(&rig, RX(1));
	assert_int_equal(rig.line[1].reads, 0);
	serial_rig_say(&rig, 1, VIRTIO_CONSOLE_PORT_OPEN, 1);
	assert_non_null(device_rig_take(&rig.base, RX(1), &bytes));
	assert_int_equal(bytes, 100);
}

ON_EVERY_RING(without_buffers_a_line_is_not_read)
{
	pv_memory_line_put(&rig.line[1], pattern, 100);
	serial_rig_run(&rig);
	assert_int_equal(rig.line[1].reads, 0);
	assert_false(rig.device->queue[RX(1)].is_stalled); /* a kick is asked for */
	serial_rig_buffer(&rig, RX(1), 30);
	serial_rig_buffer(&rig, RX(1), 0);
	serial_rig_buffer(&rig, RX(1), 100);
	serial_rig_run(&rig);
	assert_int_equal(serial_rig_counters(&rig, RX(1))->bad_chains, 1);
	assert_int_equal(pv_count_of(rig.device, RX(1), "bytes"), 100);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_is_told_before_the_driver_is_ready),
		cmocka_unit_test(each_port_is_added_and_then_described),
		cmocka_unit_test(who_comes_and_goes_at_the_line_is_told),
		cmocka_unit_test(a_console_is_told_its_size_and_a_port_is_not),
		cmocka_unit_test(a_size_may_be_told_with_rows_first),
		cmocka_unit_test(a_buffer_without_room_is_given_back_and_the_message_kept),
		cmocka_unit_test(what_cannot_be_said_is_counted_and_changes_nothing),
		cmocka_unit_test(a_driver_that_begins_anew_without_a_reset_has_all_ports),
		cmocka_unit_test(the_user_hears_what_the_driver_opens),
		cmocka_unit_test(a_driver_that_wakes_up_goes_on_with_its_ports),
		cmocka_unit_test(what_is_sent_goes_out_in_order_and_in_one_call),
		cmocka_unit_test(a_line_that_takes_parts_loses_and_doubles_nothing),
		cmocka_unit_test(while_the_line_is_full_it_is_not_called_and_nothing_spins),
		cmocka_unit_test(output_that_is_none_is_given_back_in_its_turn),
		cmocka_unit_test(what_is_sent_to_no_port_is_dropped_and_counted),
		cmocka_unit_test(what_comes_fills_buffers_in_order),
		cmocka_unit_test(a_line_is_read_only_while_the_driver_has_the_port_open),
		cmocka_unit_test(without_buffers_a_line_is_not_read),
	};
	struct pv_random random = pv_random_start(pv_random_seed(), 0);

	for (size_t i = 0; i < sizeof(pattern); i++)
		pattern[i] = (uint8_t)pv_random_below(&random, 256);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
