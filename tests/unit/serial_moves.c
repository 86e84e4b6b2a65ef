/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The console device's state: saved and loaded at any instant under traffic no byte is lost or
 * comes twice, and the driver is told what has changed and nothing else; and what is no state of
 * this device is refused.
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
#define STEPS     1500u
#define IN_RING   40u /* at most, with their pieces */

static struct serial_rig rig;

static void open_rig(uint64_t features, uint16_t ports, void (*add)(struct serial_rig *rig))
{
	const struct pv_serial_options options = { .ports_max = ports };

	serial_rig_open(&rig, &options);
	add(&rig);
	serial_rig_start(&rig, features | MULTIPORT);
	serial_rig_say(&rig, 0, VIRTIO_CONSOLE_DEVICE_READY, 1);
}

static void add_0_and_1(struct serial_rig *to)
{
	serial_rig_add(to, 0, 0, NULL, false);
	serial_rig_add(to, 1, 1, NULL, false);
}

static void add_1_and_2(struct serial_rig *to)
{
	serial_rig_add(to, 1, 1, NULL, false);
	serial_rig_add(to, 2, 2, NULL, false);
}

static void bring_up(uint32_t id)
{
	serial_rig_expect_told(&rig, id, VIRTIO_CONSOLE_DEVICE_ADD, 1, NULL, 0);
	serial_rig_say(&rig, id, VIRTIO_CONSOLE_PORT_READY, 1);
	serial_rig_expect_told(&rig, id, VIRTIO_CONSOLE_PORT_OPEN, 1, NULL, 0);
	serial_rig_say(&rig, id, VIRTIO_CONSOLE_PORT_OPEN, 1);
}

static void open_up(uint64_t features)
{
	open_rig(features, PORTS, add_0_and_1);
	for (uint32_t i = 0; i < 2; i++)
		serial_rig_expect_told(&rig, i, VIRTIO_CONSOLE_DEVICE_ADD, 1, NULL, 0);
	for (uint32_t i = 0; i < 2; i++) {
		serial_rig_say(&rig, i, VIRTIO_CONSOLE_PORT_READY, 1);
		serial_rig_expect_told(&rig, i, VIRTIO_CONSOLE_PORT_OPEN, 1, NULL, 0);
		serial_rig_say(&rig, i, VIRTIO_CONSOLE_PORT_OPEN, 1);
	}
}

static void expect_nothing_more(void)
{
	serial_rig_buffer(&rig, CONTROL_RX, 64);
	serial_rig_expect_silence(&rig);
}

static void on_every_ring(void (*body)(void))
{
	for (uint16_t i = 0; i < PV_RING_KINDS; i++) {
		open_up(pv_ring_kind[i]);
		body();
		assert_int_equal(rig.base.needs_resets, 0);
		serial_rig_close(&rig);
	}
}

#define ON_EVERY_RING(name) PV_TEST_EACH(on_every_ring, name)

/* ---- under traffic ---- */

/* A byte stream each way, of which each byte says where it is. */
static struct {
	size_t sent, out, fed, got;
	uint32_t in_tx, in_rx;
} stream;

static uint8_t byte_at(size_t place)
{
	return (uint8_t)(place * 31 + (place >> 8) * 7);
}

static void fill(uint8_t *to, size_t bytes, size_t place)
{
	for (size_t i = 0; i < bytes; i++)
		to[i] = byte_at(place + i);
}

static void expect_stream(const uint8_t *data, size_t bytes, size_t place)
{
	for (size_t i = 0; i < bytes; i++)
		if (data[i] != byte_at(place + i))
			fail_msg("byte %zu of the stream is not the one", place + i);
}

static void send_some(void)
{
	uint8_t data[600];
	uint32_t bytes = 1 + pv_random_below(&rig.random, sizeof(data));

	if (stream.in_tx >= IN_RING / 3)
		return;
	fill(data, bytes, stream.sent);
	serial_rig_send(&rig, TX(1), data, bytes);
	stream.sent += bytes;
	stream.in_tx++;
}

static void feed_some(void)
{
	uint8_t data[600];
	uint32_t bytes = 1 + pv_random_below(&rig.random, sizeof(data));

	fill(data, bytes, stream.fed);
	pv_memory_line_put(&rig.line[1], data, bytes);
	stream.fed += bytes;
}

static void give_buffer(void)
{
	if (stream.in_rx >= IN_RING)
		return;
	serial_rig_buffer(&rig, RX(1), 1 + pv_random_below(&rig.random, 400));
	stream.in_rx++;
}

static void take_what_came(void)
{
	uint32_t bytes;
	uint8_t *buffer;

	while (device_rig_take(&rig.base, TX(1), &bytes))
		stream.in_tx--;
	while ((buffer = device_rig_take(&rig.base, RX(1), &bytes))) {
		stream.in_rx--;
		assert_true(bytes > 0);
		expect_stream(buffer, bytes, stream.got);
		stream.got += bytes;
	}
	expect_stream(rig.line[1].written, rig.line[1].written_bytes, stream.out);
	stream.out += rig.line[1].written_bytes;
	pv_memory_line_forget(&rig.line[1]);
}

static void stop_and_go_on(void)
{
	device_rig_stop_queue(&rig.base, TX(1));
	device_rig_continue_queue(&rig.base, TX(1));
}

static void one_step(void)
{
	uint32_t dice = pv_random_below(&rig.random, 100);

	if (dice < 20)
		send_some();
	else if (dice < 35)
		feed_some();
	else if (dice < 50)
		give_buffer();
	else if (dice < 60)
		pv_memory_line_allow(&rig.line[1], pv_random_below(&rig.random, 900));
	else if (dice < 85)
		serial_rig_run_once(&rig);
	else if (dice < 93)
		take_what_came();
	else if (dice < 97)
		serial_rig_move(&rig, add_0_and_1);
	else
		stop_and_go_on();
}

ON_EVERY_RING(a_device_that_moves_under_traffic_loses_and_doubles_nothing)
{
	memset(&stream, 0, sizeof(stream));
	for (uint32_t step = 0; step < (getenv("PV_SHORT") ? STEPS / 5 : STEPS); step++) {
		rig.base.is_slow = pv_random_chance(&rig.random, 50);
		one_step();
	}
	pv_memory_line_allow(&rig.line[1], SIZE_MAX);
	for (int i = 0; i < 10000 && (stream.got < stream.fed || stream.out < stream.sent); i++) {
		give_buffer();
		serial_rig_run(&rig);
		take_what_came();
	}
	assert_int_equal(stream.out, stream.sent);
	assert_int_equal(stream.got, stream.fed);
	assert_true(stream.sent > 0 && stream.fed > 0);
	expect_nothing_more();
	rig.base.is_slow = false;
}

/* ---- messages ---- */

static void add_console(struct serial_rig *to)
{
	serial_rig_add(to, 0, 0, NULL, false);
	serial_rig_add(to, 1, 1, "name", true);
}

static void move_if(bool is_due)
{
	if (is_due)
		serial_rig_move(&rig, add_console);
}

/* At each instant between two messages. */
static void messages_that_were_not_told_are_told_after_a_move(void **state)
{
	static const struct {
		uint32_t id;
		uint16_t event;
		const char *more;
	} messages[] = {
		{ 0, VIRTIO_CONSOLE_DEVICE_ADD, "" },
		{ 1, VIRTIO_CONSOLE_DEVICE_ADD, "" },
		{ 1, VIRTIO_CONSOLE_CONSOLE_PORT, "" },
		{ 1, VIRTIO_CONSOLE_PORT_NAME, "name" },
		{ 1, VIRTIO_CONSOLE_RESIZE, "\x50\x01\x19\x01" },
		{ 1, VIRTIO_CONSOLE_PORT_OPEN, "" },
	};

	(void)state;
	for (size_t when = 0; when <= 6; when++) {
		open_rig(0, PORTS, add_console);
		pv_memory_line_set_size(&rig.line[1], 0x150, 0x119);
		for (size_t i = 0; i < 6; i++) {
			bool is_size = messages[i].event == VIRTIO_CONSOLE_RESIZE;

			if (i == 2)
				serial_rig_say(&rig, 1, VIRTIO_CONSOLE_PORT_READY, 1);
			move_if(when == i);
			serial_rig_expect_told(&rig, messages[i].id, messages[i].event, !is_size,
			                       messages[i].more,
			                       (uint32_t)strlen(messages[i].more));
		}
		move_if(when == 6);
		expect_nothing_more();
		serial_rig_close(&rig);
	}
}

/* The user of the new device hears what the driver has open there. */
ON_EVERY_RING(what_is_open_stays_open_and_is_told_where_it_goes)
{
	uint32_t changes;

	device_rig_pause(&rig.base);
	changes = rig.guest_changes;
	pv_device_resume(rig.device);
	serial_rig_move(&rig, add_0_and_1);
	assert_int_equal(rig.guest_changes, changes + 4); /* closed there, open here */
	assert_string_equal(rig.guest_change, "1 open");
	assert_true(pv_serial_is_guest_open(rig.device, 0));
	expect_nothing_more();
}

ON_EVERY_RING(a_line_that_is_another_there_is_told)
{
	rig.line[1].line.is_open = false;
	serial_rig_move(&rig, add_0_and_1);
	serial_rig_expect_told(&rig, 1, VIRTIO_CONSOLE_PORT_OPEN, 0, NULL, 0);
	expect_nothing_more();
}

/* The driver knows 0 and 1, and finds 1 and 2. */
ON_EVERY_RING(other_ports_there_are_removed_and_added)
{
	serial_rig_move(&rig, add_1_and_2);
	assert_false(pv_serial_is_guest_open(rig.device, 0));
	serial_rig_expect_told(&rig, 0, VIRTIO_CONSOLE_DEVICE_REMOVE, 1, NULL, 0);
	bring_up(2);
	expect_nothing_more();
	serial_rig_send(&rig, TX(0), "gone", 4);
	serial_rig_send(&rig, TX(1), "here", 4);
	serial_rig_send(&rig, TX(2), "new", 3);
	serial_rig_run(&rig);
	assert_int_equal(rig.line[0].written_bytes, 0);
	assert_memory_equal(rig.line[1].written, "here", 4);
	assert_memory_equal(rig.line[2].written, "new", 3);
}

ON_EVERY_RING(a_port_that_was_being_replaced_is_replaced_there)
{
	serial_rig_remove(&rig, 1);
	serial_rig_run(&rig);
	serial_rig_add(&rig, 1, 2, NULL, false);
	serial_rig_run(&rig);
	serial_rig_move(&rig, add_0_and_1);
	serial_rig_expect_told(&rig, 1, VIRTIO_CONSOLE_DEVICE_REMOVE, 1, NULL, 0);
	bring_up(1);
	expect_nothing_more();
}

/* ---- a front-end that moves the queues itself ---- */

ON_EVERY_RING(its_own_part_alone_knows_where_a_stopped_queue_was)
{
	uint8_t data[100];
	uint8_t *state;
	size_t bytes;
	struct pv_ring_position position;

	fill(data, sizeof(data), 0);
	pv_memory_line_allow(&rig.line[1], 30);
	serial_rig_send(&rig, TX(1), data, sizeof(data));
	serial_rig_run(&rig);
	assert_int_equal(pv_device_stop(rig.device, (struct pv_waiter){ 0 }), 0);
	position = rig.device->queue[TX(1)].position;
	state = device_rig_save(&rig.base, &bytes);
	serial_rig_replace(&rig, add_0_and_1);
	assert_int_equal(pv_device_features_set(rig.device, rig.base.features), 0);
	assert_int_equal(pv_device_load_own(rig.device, state, bytes), 0);
	free(state);
	rig.device->queue[TX(1)].position = position;
	device_rig_continue_queue(&rig.base, TX(1));
	pv_memory_line_allow(&rig.line[1], SIZE_MAX);
	serial_rig_run(&rig);
	assert_int_equal(rig.line[1].written_bytes, sizeof(data));
	expect_stream(rig.line[1].written, sizeof(data), 0);
}

/* ---- what is no state ---- */

#define HEADER_BYTES 16u
#define CHECKSUM_AT  12u
#define OWN_AT       (HEADER_BYTES + 15u) /* behind id, version, features, status, queues */
#define VERSION_AT   (HEADER_BYTES + 2u)
#define SLOT_BYTES   25u
#define SLOT_AT      (OWN_AT + 3u)

static void mend_checksum(uint8_t *state, size_t bytes)
{
	uint32_t sum = pv_state_checksum(state + HEADER_BYTES, bytes - HEADER_BYTES);

	for (uint32_t i = 0; i < 4; i++)
		state[CHECKSUM_AT + i] = (uint8_t)(sum >> 8 * i);
}

static int load_changed(const uint8_t *state, size_t bytes, size_t at, uint8_t value)
{
	uint8_t *copy = malloc(bytes);
	int err;

	memcpy(copy, state, bytes);
	copy[at] = value;
	mend_checksum(copy, bytes);
	err = pv_device_load(rig.device, copy, bytes);
	free(copy);
	return err;
}

static void expect_refused(const uint8_t *state, size_t bytes, size_t at, uint8_t value)
{
	assert_int_equal(load_changed(state, bytes, at, value), -PV_ESTATE);
	assert_true(pv_device_is_idle(rig.device));
	assert_false(pv_serial_is_guest_open(rig.device, 0));
}

static void add_none(struct serial_rig *to)
{
	(void)to;
}

static void what_is_no_state_of_this_device_is_refused(void **unused)
{
	const size_t slot_1 = SLOT_AT + SLOT_BYTES;
	uint8_t *state;
	size_t bytes;

	(void)unused;
	open_up(0);
	device_rig_pause(&rig.base);
	state = device_rig_save(&rig.base, &bytes);
	serial_rig_replace(&rig, add_none);
	for (size_t cut = 0; cut < bytes; cut++)
		assert_int_equal(pv_device_load(rig.device, state, cut), -PV_ESTATE);
	expect_refused(state, bytes, VERSION_AT, 2);
	expect_refused(state, bytes, OWN_AT, 0); /* ports of a driver that is not there */
	expect_refused(state, bytes, OWN_AT, 4); /* an unknown flag */
	expect_refused(state, bytes, OWN_AT, 2); /* it said so, and is not */
	expect_refused(state, bytes, OWN_AT + 1, PORTS - 1);
	expect_refused(state, bytes, SLOT_AT, 0x20);     /* an unknown flag */
	expect_refused(state, bytes, SLOT_AT, 0x02);     /* ready, and not known */
	expect_refused(state, bytes, SLOT_AT, 0x09);     /* open, and not ready */
	expect_refused(state, bytes, SLOT_AT + 1, 0x40); /* an unknown mark */
	expect_refused(state, bytes, SLOT_AT + 1, 0x01); /* to be removed, and ready */
	expect_refused(state, bytes, slot_1 + 6, 1);     /* a byte has gone of no chain */
	expect_refused(state, bytes, slot_1 + 14, 1);    /* of a chain, none */
	assert_int_equal(pv_device_load(rig.device, state, bytes), 0);
	free(state);
	serial_rig_close(&rig);
}

/* It loads or it does not; and then the device works, or begins anew. */
static void states_of_noise_break_nothing(void **unused)
{
	uint8_t *state;
	size_t bytes;
	uint32_t loaded = 0;

	(void)unused;
	open_up(0);
	pv_memory_line_allow(&rig.line[1], 30);
	serial_rig_send(&rig, TX(1), "0123456789012345678901234567890123456789", 40);
	serial_rig_run(&rig);
	device_rig_pause(&rig.base);
	state = device_rig_save(&rig.base, &bytes);
	for (int i = 0; i < 2000; i++) {
		size_t at = OWN_AT + pv_random_below(&rig.random, (uint32_t)(bytes - OWN_AT));

		serial_rig_replace(&rig, add_0_and_1);
		if (load_changed(state, bytes, at, (uint8_t)pv_random_below(&rig.random, 256))) {
			assert_true(pv_device_is_idle(rig.device));
			continue;
		}
		loaded++;
		pv_device_resume(rig.device);
		serial_rig_run(&rig);
		device_rig_pause(&rig.base);
	}
	assert_true(loaded > 0);
	free(state);
	serial_rig_close(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_device_that_moves_under_traffic_loses_and_doubles_nothing),
		cmocka_unit_test(messages_that_were_not_told_are_told_after_a_move),
		cmocka_unit_test(what_is_open_stays_open_and_is_told_where_it_goes),
		cmocka_unit_test(a_line_that_is_another_there_is_told),
		cmocka_unit_test(other_ports_there_are_removed_and_added),
		cmocka_unit_test(a_port_that_was_being_replaced_is_replaced_there),
		cmocka_unit_test(its_own_part_alone_knows_where_a_stopped_queue_was),
		cmocka_unit_test(what_is_no_state_of_this_device_is_refused),
		cmocka_unit_test(states_of_noise_break_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
