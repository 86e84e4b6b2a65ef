/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Ports of the console device that come and go (virtio 1.3, section 5.3.6.2): under a driver that
 * works, sleeps, stops or is not there, and with bytes on their way.
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
static uint8_t pattern[10000];

static void open_rig(uint16_t ports)
{
	const struct pv_serial_options options = { .ports_max = ports };

	serial_rig_open(&rig, &options);
}

static void start(uint64_t features)
{
	serial_rig_start(&rig, features | MULTIPORT);
	serial_rig_say(&rig, 0, VIRTIO_CONSOLE_DEVICE_READY, 1);
}

/* Told of it, the driver opens it. */
static void bring_up(uint32_t id)
{
	serial_rig_expect_told(&rig, id, VIRTIO_CONSOLE_DEVICE_ADD, 1, NULL, 0);
	serial_rig_say(&rig, id, VIRTIO_CONSOLE_PORT_READY, 1);
	serial_rig_expect_told(&rig, id, VIRTIO_CONSOLE_PORT_OPEN, 1, NULL, 0);
	serial_rig_say(&rig, id, VIRTIO_CONSOLE_PORT_OPEN, 1);
}

static void on_every_ring(void (*body)(void))
{
	for (uint16_t i = 0; i < PV_RING_KINDS; i++) {
		open_rig(PORTS);
		start(pv_ring_kind[i]);
		serial_rig_add(&rig, 1, 1, NULL, false);
		bring_up(1);
		body();
		assert_int_equal(rig.base.needs_resets, 0);
		serial_rig_close(&rig);
	}
}

#define ON_EVERY_RING(name) PV_TEST_EACH(on_every_ring, name)

static void expect_gone(uint32_t removals)
{
	assert_int_equal(rig.removals, removals);
	assert_null(rig.line[1].line.user);
}

/* ---- who may what ---- */

static void numbers_are_given_and_checked(void **state)
{
	const struct pv_serial_port port = { .line = &rig.line[0].line };

	(void)state;
	open_rig(2);
	assert_int_equal(pv_serial_free_port(rig.device), 0);
	assert_int_equal(pv_serial_add_port(rig.device, 2, &port), -PV_EINVAL);
	assert_int_equal(pv_serial_remove_port(rig.device, 2, (struct pv_waiter){ 0 }), -PV_EINVAL);
	assert_int_equal(pv_serial_remove_port(rig.device, 0, (struct pv_waiter){ 0 }), -PV_EINVAL);
	assert_int_equal(pv_serial_add_port(rig.device, 0, &port), 0);
	assert_int_equal(pv_serial_add_port(rig.device, 0, &port), -PV_EBUSY);
	assert_int_equal(pv_serial_free_port(rig.device), 1);
	serial_rig_add(&rig, 1, 1, NULL, false);
	assert_int_equal(pv_serial_free_port(rig.device), -PV_ENOSPC);
	assert_false(pv_serial_is_guest_open(rig.device, 2));
	serial_rig_close(&rig);
}

static void a_long_name_is_cut(void **state)
{
	char name[100];

	(void)state;
	memset(name, 'n', sizeof(name));
	name[sizeof(name) - 1] = 0;
	open_rig(1);
	serial_rig_add(&rig, 0, 0, name, false);
	start(0);
	serial_rig_expect_told(&rig, 0, VIRTIO_CONSOLE_DEVICE_ADD, 1, NULL, 0);
	serial_rig_say(&rig, 0, VIRTIO_CONSOLE_PORT_READY, 1);
	serial_rig_expect_told(&rig, 0, VIRTIO_CONSOLE_PORT_NAME, 1, name, PV_SERIAL_NAME_MAX);
	serial_rig_close(&rig);
}

/* ---- when it has gone ---- */

static void without_a_driver_a_port_goes_at_once(void **state)
{
	(void)state;
	open_rig(PORTS);
	serial_rig_add(&rig, 1, 1, NULL, false);
	assert_non_null(rig.line[1].line.user);
	serial_rig_remove(&rig, 1);
	expect_gone(1);
	serial_rig_close(&rig);
}

ON_EVERY_RING(a_port_goes_with_its_lanes_next_run)
{
	serial_rig_remove(&rig, 1);
	assert_int_equal(rig.removals, 0);
	assert_true(rig.base.wakes > 0);
	assert_int_equal(pv_serial_remove_port(rig.device, 1, (struct pv_waiter){ 0 }), -PV_EBUSY);
	assert_int_equal(pv_serial_free_port(rig.device), 0);
	assert_true(pv_serial_is_guest_open(rig.device, 1));
	serial_rig_run(&rig);
	expect_gone(1);
	assert_false(pv_serial_is_guest_open(rig.device, 1));
	assert_string_equal(rig.guest_change, "1 closed");
	serial_rig_expect_told(&rig, 1, VIRTIO_CONSOLE_DEVICE_REMOVE, 1, NULL, 0);
}

ON_EVERY_RING(a_port_goes_though_the_queues_pause_meanwhile)
{
	rig.base.is_slow = true;
	serial_rig_remove(&rig, 1);
	device_rig_pause(&rig.base);
	expect_gone(1);
	/* And at once while they are at rest. */
	serial_rig_add(&rig, 2, 2, NULL, false);
	serial_rig_remove(&rig, 2);
	expect_gone(2);
	pv_device_resume(rig.device);
	serial_rig_expect_told(&rig, 1, VIRTIO_CONSOLE_DEVICE_REMOVE, 1, NULL, 0);
	serial_rig_buffer(&rig, CONTROL_RX, 64);
	serial_rig_expect_silence(&rig);
}

/* All have been asked to stop, and no run comes any more: the last answer is what there is. */
static void is_removed_while_stopping(int (*stop)(struct pv_device *, struct pv_waiter))
{
	rig.base.is_slow = true;
	assert_int_equal(stop(rig.device, (struct pv_waiter){ 0 }), 0);
	serial_rig_remove(&rig, 1);
	assert_int_equal(rig.removals, 0);
	serial_rig_answer(&rig);
	expect_gone(1);
	rig.base.is_slow = false;
}

ON_EVERY_RING(a_port_goes_while_the_queues_pause)
{
	is_removed_while_stopping(pv_device_pause);
	pv_device_resume(rig.device);
	serial_rig_expect_told(&rig, 1, VIRTIO_CONSOLE_DEVICE_REMOVE, 1, NULL, 0);
}

ON_EVERY_RING(a_port_goes_while_the_queues_stop)
{
	is_removed_while_stopping(pv_device_stop);
}

ON_EVERY_RING(a_port_goes_while_the_device_is_reset)
{
	is_removed_while_stopping(pv_device_reset);
	assert_int_equal(pv_device_status(rig.device), 0);
}

ON_EVERY_RING(a_port_that_goes_before_it_came_was_never_there)
{
	serial_rig_add(&rig, 2, 2, NULL, false);
	serial_rig_remove(&rig, 2);
	serial_rig_run(&rig);
	assert_int_equal(rig.removals, 1);
	serial_rig_buffer(&rig, CONTROL_RX, 64);
	serial_rig_expect_silence(&rig);
}

/* ---- what the driver hears of it ---- */

ON_EVERY_RING(a_port_that_was_not_told_of_goes_without_a_word)
{
	serial_rig_add(&rig, 2, 2, NULL, false);
	serial_rig_run(&rig);
	serial_rig_remove(&rig, 2);
	serial_rig_run(&rig);
	serial_rig_buffer(&rig, CONTROL_RX, 64);
	serial_rig_expect_silence(&rig);
}

/* However often it was replaced: one has gone, and one has come. */
ON_EVERY_RING(a_port_in_place_of_another_is_added_when_that_was_removed)
{
	for (int i = 0; i < 3; i++) {
		serial_rig_remove(&rig, 1);
		serial_rig_run(&rig);
		serial_rig_add(&rig, 1, 2, "second", false);
		serial_rig_run(&rig);
	}
	serial_rig_expect_told(&rig, 1, VIRTIO_CONSOLE_DEVICE_REMOVE, 1, NULL, 0);
	serial_rig_expect_told(&rig, 1, VIRTIO_CONSOLE_DEVICE_ADD, 1, NULL, 0);
	serial_rig_say(&rig, 1, VIRTIO_CONSOLE_PORT_READY, 1);
	serial_rig_expect_told(&rig, 1, VIRTIO_CONSOLE_PORT_NAME, 1, "second", 6);
	serial_rig_expect_told(&rig, 1, VIRTIO_CONSOLE_PORT_OPEN, 1, NULL, 0);
	serial_rig_buffer(&rig, CONTROL_RX, 64);
	serial_rig_expect_silence(&rig);
}

/* What it says about the port that it still thinks is there is not about the new one. */
ON_EVERY_RING(what_is_said_about_the_port_before_is_ignored)
{
	serial_rig_remove(&rig, 1);
	serial_rig_run(&rig);
	serial_rig_say(&rig, 1, VIRTIO_CONSOLE_PORT_OPEN, 1);
	serial_rig_add(&rig, 1, 2, NULL, false);
	serial_rig_say(&rig, 1, VIRTIO_CONSOLE_PORT_READY, 1);
	serial_rig_say(&rig, 1, VIRTIO_CONSOLE_PORT_OPEN, 1);
	assert_false(pv_serial_is_guest_open(rig.device, 1));
	assert_int_equal(pv_count_of(rig.device, CONTROL_TX, "bad_messages"), 0);
	serial_rig_expect_told(&rig, 1, VIRTIO_CONSOLE_DEVICE_REMOVE, 1, NULL, 0);
	bring_up(1);
}

ON_EVERY_RING(a_driver_that_failed_with_a_port_is_told_no_more_about_it)
{
	serial_rig_say(&rig, 1, VIRTIO_CONSOLE_PORT_READY, 0);
	assert_string_equal(rig.guest_change, "1 closed");
	pv_memory_line_set_open(&rig.line[1], false);
	serial_rig_buffer(&rig, CONTROL_RX, 64);
	serial_rig_expect_silence(&rig);
}

ON_EVERY_RING(a_driver_that_failed_is_told_of_no_port)
{
	serial_rig_say(&rig, 0, VIRTIO_CONSOLE_DEVICE_READY, 0);
	serial_rig_add(&rig, 2, 2, NULL, false);
	serial_rig_remove(&rig, 1);
	serial_rig_buffer(&rig, CONTROL_RX, 64);
	serial_rig_expect_silence(&rig);
	assert_false(pv_serial_is_guest_open(rig.device, 1));
	assert_int_equal(rig.removals, 1);
}

ON_EVERY_RING(after_a_reset_all_is_told_anew)
{
	assert_int_equal(pv_device_reset(rig.device, (struct pv_waiter){ 0 }), 0);
	start(0);
	bring_up(1);
}

/* ---- bytes on their way ---- */

ON_EVERY_RING(a_port_goes_with_bytes_on_their_way)
{
	pv_memory_line_allow(&rig.line[1], 130);
	for (int i = 0; i < 3; i++)
		serial_rig_send(&rig, TX(1), pattern + 100 * i, 100);
	serial_rig_run(&rig);
	serial_rig_expect_back(&rig, TX(1));
	serial_rig_expect_none(&rig, TX(1));
	serial_rig_remove(&rig, 1);
	serial_rig_run(&rig);
	expect_gone(1);
	serial_rig_expect_back(&rig, TX(1));
	serial_rig_expect_back(&rig, TX(1));
	assert_int_equal(rig.line[1].written_bytes, 130);
	assert_int_equal(pv_count_of(rig.device, TX(1), "dropped"), 200);
	/* Of what is sent next, all of it. */
	serial_rig_add(&rig, 1, 2, NULL, false);
	serial_rig_expect_told(&rig, 1, VIRTIO_CONSOLE_DEVICE_REMOVE, 1, NULL, 0);
	bring_up(1);
	serial_rig_send(&rig, TX(1), pattern, 100);
	serial_rig_run(&rig);
	assert_int_equal(rig.line[2].written_bytes, 100);
}

/* Until the driver has set up the new one, what it sends was meant for the old one. */
ON_EVERY_RING(a_new_port_gets_nothing_that_was_for_the_old_one)
{
	pv_memory_line_put(&rig.line[2], pattern, 10);
	serial_rig_remove(&rig, 1);
	serial_rig_run(&rig);
	serial_rig_add(&rig, 1, 2, NULL, false);
	serial_rig_buffer(&rig, RX(1), 100);
	serial_rig_send(&rig, TX(1), pattern, 100);
	serial_rig_run(&rig);
	serial_rig_expect_back(&rig, TX(1));
	serial_rig_expect_told(&rig, 1, VIRTIO_CONSOLE_DEVICE_REMOVE, 1, NULL, 0);
	serial_rig_expect_told(&rig, 1, VIRTIO_CONSOLE_DEVICE_ADD, 1, NULL, 0);
	serial_rig_send(&rig, TX(1), pattern, 100);
	serial_rig_run(&rig);
	serial_rig_expect_back(&rig, TX(1));
	assert_int_equal(rig.line[2].written_bytes, 0);
	assert_int_equal(rig.line[2].reads, 0);
	serial_rig_say(&rig, 1, VIRTIO_CONSOLE_PORT_READY, 1);
	serial_rig_send(&rig, TX(1), pattern, 50);
	serial_rig_run(&rig);
	assert_int_equal(rig.line[2].written_bytes, 50);
}

/* Whichever of the two queues is run first. */
ON_EVERY_RING(what_is_sent_to_a_new_port_as_soon_as_it_is_set_up_goes_out)
{
	const struct virtio_console_control ready = { pv_le32_of(1),
		                                      pv_le16_of(VIRTIO_CONSOLE_PORT_READY),
		                                      pv_le16_of(1) };

	serial_rig_remove(&rig, 1);
	serial_rig_run(&rig);
	serial_rig_add(&rig, 1, 2, NULL, false);
	serial_rig_expect_told(&rig, 1, VIRTIO_CONSOLE_DEVICE_REMOVE, 1, NULL, 0);
	serial_rig_expect_told(&rig, 1, VIRTIO_CONSOLE_DEVICE_ADD, 1, NULL, 0);
	serial_rig_send(&rig, CONTROL_TX, &ready, sizeof(ready));
	serial_rig_send(&rig, TX(1), pattern, 50);
	pv_queue_run(&rig.device->queue[TX(1)]);
	serial_rig_run(&rig);
	assert_int_equal(rig.line[2].written_bytes, 50);
	serial_rig_expect_back(&rig, CONTROL_TX);
}

/* A ring that begins anew has other chains: none of them has gone in part. */
ON_EVERY_RING(a_queue_that_was_reset_begins_with_the_first_byte)
{
	serial_rig_send(&rig, TX(1), pattern, 10);
	serial_rig_run(&rig);
	pv_memory_line_allow(&rig.line[1], 30);
	serial_rig_send(&rig, TX(1), pattern, 100);
	serial_rig_run(&rig);
	device_rig_stop_queue(&rig.base, TX(1));
	assert_int_equal(device_rig_start_queue(&rig.base, TX(1)), 0);
	pv_memory_line_forget(&rig.line[1]);
	pv_memory_line_allow(&rig.line[1], 1000);
	serial_rig_send(&rig, TX(1), pattern, 100);
	serial_rig_run(&rig);
	assert_int_equal(rig.line[1].written_bytes, 100);
	assert_memory_equal(rig.line[1].written, pattern, 100);
}

static void a_device_that_was_reset_begins_with_the_first_byte(void **state)
{
	(void)state;
	open_rig(1);
	serial_rig_add(&rig, 0, 0, NULL, true);
	for (int i = 0; i < 2; i++) {
		pv_memory_line_allow(&rig.line[0], 30);
		serial_rig_start(&rig, 0);
		serial_rig_send(&rig, TX(0), pattern, 100);
		serial_rig_run(&rig);
		assert_int_equal(rig.line[0].written_bytes, 30);
		assert_memory_equal(rig.line[0].written, pattern, 30);
		pv_memory_line_forget(&rig.line[0]);
		assert_int_equal(pv_device_reset(rig.device, (struct pv_waiter){ 0 }), 0);
	}
	serial_rig_close(&rig);
}

/* As a front-end does for a while; nothing goes out twice. */
ON_EVERY_RING(a_queue_that_was_stopped_goes_on_with_the_next_byte)
{
	pv_memory_line_allow(&rig.line[1], 30);
	serial_rig_send(&rig, TX(1), pattern, 100);
	serial_rig_run(&rig);
	device_rig_stop_queue(&rig.base, TX(1));
	device_rig_continue_queue(&rig.base, TX(1));
	pv_memory_line_allow(&rig.line[1], 1000);
	serial_rig_run(&rig);
	assert_int_equal(rig.line[1].written_bytes, 100);
	assert_memory_equal(rig.line[1].written, pattern, 100);
}

/* ---- turns ---- */

/* One that changes all the time does not keep the others from being told of. */
static void every_port_has_its_turn(void **state)
{
	(void)state;
	open_rig(PORTS);
	start(0);
	serial_rig_add(&rig, 0, 0, NULL, false);
	bring_up(0);
	serial_rig_add(&rig, 3, 3, NULL, false);
	bring_up(3);
	pv_memory_line_set_open(&rig.line[3], false);
	pv_memory_line_set_open(&rig.line[0], false);
	serial_rig_expect_told(&rig, 0, VIRTIO_CONSOLE_PORT_OPEN, 0, NULL, 0);
	pv_memory_line_set_open(&rig.line[0], true);
	serial_rig_expect_told(&rig, 3, VIRTIO_CONSOLE_PORT_OPEN, 0, NULL, 0);
	pv_memory_line_set_open(&rig.line[3], true);
	serial_rig_expect_told(&rig, 0, VIRTIO_CONSOLE_PORT_OPEN, 1, NULL, 0);
	serial_rig_expect_told(&rig, 3, VIRTIO_CONSOLE_PORT_OPEN, 1, NULL, 0);
	serial_rig_close(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(numbers_are_given_and_checked),
		cmocka_unit_test(a_long_name_is_cut),
		cmocka_unit_test(without_a_driver_a_port_goes_at_once),
		cmocka_unit_test(a_port_goes_with_its_lanes_next_run),
		cmocka_unit_test(a_port_goes_though_the_queues_pause_meanwhile),
		cmocka_unit_test(a_port_goes_while_the_queues_pause),
		cmocka_unit_test(a_port_goes_while_the_queues_stop),
		cmocka_unit_test(a_port_goes_while_the_device_is_reset),
		cmocka_unit_test(a_port_that_goes_before_it_came_was_never_there),
		cmocka_unit_test(a_port_that_was_not_told_of_goes_without_a_word),
		cmocka_unit_test(a_port_in_place_of_another_is_added_when_that_was_removed),
		cmocka_unit_test(what_is_said_about_the_port_before_is_ignored),
		cmocka_unit_test(a_driver_that_failed_with_a_port_is_told_no_more_about_it),
		cmocka_unit_test(a_driver_that_failed_is_told_of_no_port),
		cmocka_unit_test(after_a_reset_all_is_told_anew),
		cmocka_unit_test(a_port_goes_with_bytes_on_their_way),
		cmocka_unit_test(a_new_port_gets_nothing_that_was_for_the_old_one),
		cmocka_unit_test(what_is_sent_to_a_new_port_as_soon_as_it_is_set_up_goes_out),
		cmocka_unit_test(a_queue_that_was_reset_begins_with_the_first_byte),
		cmocka_unit_test(a_device_that_was_reset_begins_with_the_first_byte),
		cmocka_unit_test(a_queue_that_was_stopped_goes_on_with_the_next_byte),
		cmocka_unit_test(every_port_has_its_turn),
	};

	for (size_t i = 0; i < sizeof(pattern); i++)
		pattern[i] = (uint8_t)(i * 7 + (i >> 8));
	return cmocka_run_group_tests(tests, NULL, NULL);
}
