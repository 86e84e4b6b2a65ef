/* SPDX-License-Identifier: BSD-2-Clause */
/* The serial driver against a device played by hand: its ports, and the bytes that they carry. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "ring/err.h"
#include "tests/support/serdrv_rig.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define SECOND_NS    1000000000ull

static struct serdrv_rig rig;
static uint8_t text[SERDRV_RIG_BYTES], got[SERDRV_RIG_BYTES];

static const struct pv_serdrv_options with_own = { .ports_max = SERDRV_RIG_PORTS,
	                                           .own_buffer_bytes = 16,
	                                           .own_buffers = 2 };

static struct pv_serdrv_port *port(uint32_t number)
{
	return pv_serdrv_port(rig.serial, number);
}

static const struct pv_serdrv_state *state_of(uint32_t number)
{
	return pv_serdrv_state(port(number));
}

static void expect_change(uint32_t at, uint16_t number, uint32_t what)
{
	assert_true(at < rig.changes);
	assert_int_equal(rig.change[at].port, number);
	assert_int_equal(rig.change[at].what, what);
}

/* ---- what it is ---- */

static void a_device_without_multiport_is_one_console_that_is_there(void **state)
{
	(void)state;
	serdrv_rig_open(&rig, VIRTIO_CONSOLE_F_SIZE);
	rig.fake.config_bytes = 4;
	assert_int_equal(serdrv_rig_start(&rig, NULL), 0);
	assert_false(pv_serdrv_info(rig.serial)->has_control);
	assert_int_equal(pv_serdrv_info(rig.serial)->ports, 1);
	assert_null(port(1));
	assert_true(state_of(0)->is_there && state_of(0)->is_console);
	assert_true(state_of(0)->host_is_open);
	assert_int_equal(state_of(0)->columns, 80);
	assert_int_equal(state_of(0)->rows, 25);
	expect_change(0, 0, PV_SERDRV_ADDED);
	for (uint16_t i = 0; i < PV_FAKE_QUEUES; i++)
		assert_int_equal(rig.fake.is_enabled[i], i < 2);
	serdrv_rig_close(&rig);
}

static void as_many_ports_are_set_up_as_both_sides_want(void **state)
{
	const struct {
		uint16_t wanted;
		uint32_t has;
		uint16_t ports;
	} cases[] = { { 0, 3, 1 }, { 2, 3, 2 }, { 600, 3, 3 }, { 2, UINT32_MAX, 2 }, { 3, 1, 1 } };

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		const struct pv_serdrv_options options = { .ports_max = cases[i].wanted };

		serdrv_rig_open(&rig, VIRTIO_CONSOLE_F_MULTIPORT);
		rig.fake.config_bytes = 8;
		serdrv_rig_config(&rig)->max_nr_ports = pv_le32_of(cases[i].has);
		assert_int_equal(serdrv_rig_start(&rig, &options), 0);
		assert_int_equal(pv_serdrv_info(rig.serial)->ports, cases[i].ports);
		for (uint16_t q = 0; q < PV_FAKE_QUEUES; q++)
			assert_int_equal(rig.fake.is_enabled[q], q < 2 + 2 * cases[i].ports);
		assert_false(state_of(0)->is_there);
		serdrv_rig_close(&rig);
	}
}

static void a_device_without_room_for_a_port_is_refused(void **state)
{
	(void)state;
	serdrv_rig_open(&rig, VIRTIO_CONSOLE_F_MULTIPORT);
	serdrv_rig_config(&rig)->max_nr_ports = pv_le32_of(0);
	assert_int_equal(serdrv_rig_start(&rig, NULL), -PV_EBROKEN);
	assert_int_equal(rig.fake.shared_out + rig.fake.private_out, 0);
}

static void nothing_is_left_when_memory_runs_out_at_the_start(void **state)
{
	uint32_t at = 1;
	int error;

	(void)state;
	do {
		serdrv_rig_open(&rig, VIRTIO_CONSOLE_F_MULTIPORT);
		rig.fake.fail_alloc = at++;
		error = serdrv_rig_start(&rig, &with_own);
		if (error) {
			assert_int_equal(error, -PV_ENOMEM);
			assert_int_equal(rig.fake.shared_out + rig.fake.private_out, 0);
		}
	} while (error);
	assert_true(at > 20);
	serdrv_rig_close(&rig);
}

static void the_size_of_port_0_follows_the_configuration(void **state)
{
	(void)state;
	serdrv_rig_open(&rig, VIRTIO_CONSOLE_F_SIZE);
	assert_int_equal(serdrv_rig_start(&rig, NULL), 0);
	rig.changes = 0;
	assert_int_equal(pv_serdrv_config_changed(rig.serial), 0);
	assert_int_equal(rig.changes, 0);
	serdrv_rig_config(&rig)->cols = pv_le16_of(132);
	assert_int_equal(pv_serdrv_config_changed(rig.serial), 0);
	expect_change(0, 0, PV_SERDRV_RESIZED);
	assert_int_equal(state_of(0)->columns, 132);
	rig.fake.status |= VIRTIO_STATUS_NEEDS_RESET;
	assert_int_equal(pv_serdrv_config_changed(rig.serial), -PV_EBROKEN);
	serdrv_rig_close(&rig);
}

/* Section 5.3.4: at any time. */
static void an_emergency_byte_needs_no_driver(void **state)
{
	(void)state;
	serdrv_rig_open(&rig, VIRTIO_CONSOLE_F_EMERG_WRITE);
	assert_int_equal(pv_serdrv_emergency(&rig.fake.bus, 'x'), 0);
	assert_int_equal(pv_le32_get(serdrv_rig_config(&rig)->emerg_wr), 'x');
	assert_int_equal(pv_le16_get(serdrv_rig_config(&rig)->cols), 80);
	rig.fake.offered = VIRTIO_F_VERSION_1;
	assert_int_equal(pv_serdrv_emergency(&rig.fake.bus, 'y'), -PV_ENOTSUP);
	rig.fake.is_gone = true;
	assert_int_equal(pv_serdrv_emergency(&rig.fake.bus, 'y'), -PV_EIO);
}

/* ---- ports ---- */

/* Section 5.3.5 and 5.3.6.2. */
static void a_port_that_is_added_is_answered_and_one_that_is_opened_is_told_of(void **state)
{
	(void)state;
	serdrv_rig_open(&rig, VIRTIO_CONSOLE_F_MULTIPORT);
	assert_int_equal(serdrv_rig_start(&rig, NULL), 0);
	serdrv_rig_expect_told(&rig, 0, VIRTIO_CONSOLE_DEVICE_READY, 1);
	assert_int_equal(pv_serdrv_open(port(1)), -PV_EIO);
	assert_true(serdrv_rig_say(&rig, 1, VIRTIO_CONSOLE_DEVICE_ADD, 0));
	assert_int_equal(pv_serdrv_poll(rig.serial), 1);
	expect_change(0, 1, PV_SERDRV_ADDED);
	assert_true(state_of(1)->is_there && !state_of(1)->is_open && !state_of(1)->is_console);
	serdrv_rig_expect_told(&rig, 1, VIRTIO_CONSOLE_PORT_READY, 1);
	serdrv_rig_expect_told_no_more(&rig);
	assert_int_equal(pv_serdrv_open(port(1)), 0);
	assert_int_equal(pv_serdrv_open(port(1)), 0);
	serdrv_rig_expect_told(&rig, 1, VIRTIO_CONSOLE_PORT_OPEN, 1);
	pv_serdrv_close(port(1));
	pv_serdrv_close(port(1));
	serdrv_rig_expect_told(&rig, 1, VIRTIO_CONSOLE_PORT_OPEN, 0);
	serdrv_rig_expect_told_no_more(&rig);
	serdrv_rig_close(&rig);
}

/* Section 5.3.6.2.2: MUST. */
static void a_console_is_answered_with_open(void **state)
{
	(void)state;
	serdrv_rig_open(&rig, VIRTIO_CONSOLE_F_MULTIPORT);
	assert_int_equal(serdrv_rig_start(&rig, NULL), 0);
	serdrv_rig_expect_told(&rig, 0, VIRTIO_CONSOLE_DEVICE_READY, 1);
	serdrv_rig_say(&rig, 0, VIRTIO_CONSOLE_DEVICE_ADD, 0);
	serdrv_rig_say(&rig, 0, VIRTIO_CONSOLE_CONSOLE_PORT, 1);
	assert_int_equal(pv_serdrv_poll(rig.serial), 2);
	expect_change(1, 0, PV_SERDRV_IS_CONSOLE);
	assert_true(state_of(0)->is_console && !state_of(0)->is_open);
	serdrv_rig_expect_told(&rig, 0, VIRTIO_CONSOLE_PORT_READY, 1);
	serdrv_rig_expect_told(&rig, 0, VIRTIO_CONSOLE_PORT_OPEN, 1);
	serdrv_rig_expect_told_no_more(&rig);
	serdrv_rig_close(&rig);
}

/* A device may have more ports than this driver was asked for. */
static void a_port_without_queues_is_refused(void **state)
{
	const struct pv_serdrv_options one = { .ports_max = 1 };

	(void)state;
	serdrv_rig_open(&rig, VIRTIO_CONSOLE_F_MULTIPORT);
	serdrv_rig_config(&rig)->max_nr_ports = pv_le32_of(400);
	assert_int_equal(serdrv_rig_start(&rig, &one), 0);
	serdrv_rig_expect_told(&rig, 0, VIRTIO_CONSOLE_DEVICE_READY, 1);
	serdrv_rig_say(&rig, 399, VIRTIO_CONSOLE_DEVICE_ADD, 0);
	serdrv_rig_say(&rig, 1, VIRTIO_CONSOLE_DEVICE_ADD, 0);
	serdrv_rig_say(&rig, 1, VIRTIO_CONSOLE_PORT_OPEN, 1);
	assert_int_equal(pv_serdrv_poll(rig.serial), 3);
	serdrv_rig_expect_told(&rig, 1, VIRTIO_CONSOLE_PORT_READY, 0);
	serdrv_rig_expect_told(&rig, 399, VIRTIO_CONSOLE_PORT_READY, 0);
	serdrv_rig_expect_told_no_more(&rig);
	assert_int_equal(pv_serdrv_control_counters(rig.serial).malformed, 0);
	assert_int_equal(rig.changes, 0);
	serdrv_rig_close(&rig);
}

static void a_port_has_the_name_size_and_other_end_that_it_was_told(void **state)
{
	const struct virtio_console_resize size = { pv_le16_of(120), pv_le16_of(40) };

	(void)state;
	serdrv_rig_up(&rig, 0, NULL);
	serdrv_rig_say_more(&rig, 1, VIRTIO_CONSOLE_PORT_NAME, 0, "org.example", 11);
	serdrv_rig_say_more(&rig, 1, VIRTIO_CONSOLE_RESIZE, 0, &size, sizeof(size));
	serdrv_rig_say(&rig, 1, VIRTIO_CONSOLE_PORT_OPEN, 1);
	serdrv_rig_say(&rig, 1, VIRTIO_CONSOLE_PORT_OPEN, 1);
	pv_serdrv_poll(rig.serial);
	expect_change(0, 1, PV_SERDRV_NAMED);
	expect_change(1, 1, PV_SERDRV_RESIZED);
	expect_change(2, 1, PV_SERDRV_HOST);
	assert_int_equal(rig.changes, 3);
	assert_string_equal(state_of(1)->name, "org.example");
	assert_ptr_equal(pv_serdrv_find(rig.serial, "org.example"), port(1));
	assert_null(pv_serdrv_find(rig.serial, "org.exampl"));
	assert_null(pv_serdrv_find(rig.serial, "org.example2"));
	assert_int_equal(state_of(1)->columns, 120);
	assert_int_equal(state_of(1)->rows, 40);
	assert_true(state_of(1)->host_is_open);
	serdrv_rig_say(&rig, 1, VIRTIO_CONSOLE_PORT_OPEN, 0);
	pv_serdrv_poll(rig.serial);
	assert_false(state_of(1)->host_is_open);
	serdrv_rig_close(&rig);
}

static void a_name_that_cannot_be_shown_is_none(void **state)
{
	static const struct {
		const char *name;
		bool is_good;
	} cases[] = {
		{ "a b/c", true },
		{ "gr\xc3\xbc\xc3\x9f", true },            /* two bytes */
		{ "\xe2\x82\xac \xf0\x9f\x90\xa7", true }, /* three and four */
		{ "tab\there", false },
		{ "\x7f", false },
		{ "\xc2\x9b", false },         /* a control character */
		{ "\xc0\xaf", false },         /* '/' written longer */
		{ "\xe0\x82\xac", false },     /* the same of two bytes */
		{ "\xed\xa0\x80", false },     /* half a pair of UTF-16 */
		{ "\xf4\x90\x80\x80", false }, /* beyond the last */
		{ "\xf8\x88\x80\x80\x80", false },
		{ "\xe2\x82", false }, /* cut off */
		{ "\xe2\x82z", false },
		{ "\x80", false },
	};

	(void)state;
	serdrv_rig_up(&rig, 0, NULL);
	for (size_t i = 0; i < COUNT(cases); i++) {
		const uint32_t bytes = (uint32_t)strlen(cases[i].name);

		serdrv_rig_say_more(&rig, 1, VIRTIO_CONSOLE_PORT_NAME, 0, "before", 6);
		serdrv_rig_say_more(&rig, 1, VIRTIO_CONSOLE_PORT_NAME, 0, cases[i].name, bytes);
		pv_serdrv_poll(rig.serial);
		assert_string_equal(state_of(1)->name, cases[i].is_good ? cases[i].name : "before");
		rig.changes = 0;
	}
	serdrv_rig_close(&rig);
}

static void a_name_is_as_long_as_it_may_be_and_no_longer(void **state)
{
	char name[PV_SERDRV_NAME_MAX + 8];

	(void)state;
	memset(name, 'n', sizeof(name));
	serdrv_rig_up(&rig, 0, NULL);
	serdrv_rig_say_more(&rig, 1, VIRTIO_CONSOLE_PORT_NAME, 0, name, PV_SERDRV_NAME_MAX + 1);
	serdrv_rig_say_more(&rig, 1, VIRTIO_CONSOLE_PORT_NAME, 0, name, PV_SERDRV_NAME_MAX + 8);
	pv_serdrv_poll(rig.serial);
	assert_string_equal(state_of(1)->name, "");
	assert_int_equal(pv_serdrv_control_counters(rig.serial).malformed, 2);
	name[PV_SERDRV_NAME_MAX] = 0; /* an end, as some devices write it */
	serdrv_rig_say_more(&rig, 1, VIRTIO_CONSOLE_PORT_NAME, 0, name, PV_SERDRV_NAME_MAX + 1);
	pv_serdrv_poll(rig.serial);
	assert_string_equal(state_of(1)->name, name);
	serdrv_rig_close(&rig);
}

static void a_message_that_makes_no_sense_has_no_effect(void **state)
{
	const struct {
		uint32_t id;
		uint16_t event, value;
		uint32_t bytes;
	} cases[] = {
		{ 1, VIRTIO_CONSOLE_DEVICE_ADD, 0, 0 },    /* is there */
		{ 3, VIRTIO_CONSOLE_DEVICE_ADD, 0, 0 },    /* cannot be */
		{ 2, VIRTIO_CONSOLE_DEVICE_REMOVE, 0, 0 }, /* is not there, all of these */
		{ 2, VIRTIO_CONSOLE_CONSOLE_PORT, 1, 0 },
		{ 2, VIRTIO_CONSOLE_PORT_OPEN, 1, 0 },
		{ 2, VIRTIO_CONSOLE_PORT_NAME, 0, 4 },
		{ 2, VIRTIO_CONSOLE_RESIZE, 0, 4 },
		{ UINT32_MAX, VIRTIO_CONSOLE_PORT_OPEN, 1, 0 },
		{ 1, VIRTIO_CONSOLE_RESIZE, 0, 3 },       /* cut off */
		{ 1, VIRTIO_CONSOLE_PORT_OPEN, 2, 0 },    /* neither */
		{ 1, VIRTIO_CONSOLE_DEVICE_READY, 1, 0 }, /* the driver's */
		{ 1, VIRTIO_CONSOLE_PORT_READY, 1, 0 },
		{ 1, 8, 0, 0 },
	};

	(void)state;
	serdrv_rig_up(&rig, 0, NULL);
	for (size_t i = 0; i < COUNT(cases); i++) {
		serdrv_rig_say_more(&rig, cases[i].id, cases[i].event, cases[i].value, "abcd",
		                    cases[i].bytes);
		assert_int_equal(pv_serdrv_poll(rig.serial), 1);
		assert_int_equal(pv_serdrv_control_counters(rig.serial).malformed, i + 1);
	}
	for (uint32_t bytes = 0; bytes < sizeof(struct virtio_console_control); bytes++)
		serdrv_rig_say_raw(&rig, "\1\0\0\0\2\0\0\0", bytes);
	pv_serdrv_poll(rig.serial);
	assert_int_equal(pv_serdrv_control_counters(rig.serial).malformed, COUNT(cases) + 8);
	assert_int_equal(rig.changes, 0);
	serdrv_rig_expect_told_no_more(&rig);
	serdrv_rig_close(&rig);
}

/* Marks, not messages: they do not pile up with a device that reads none, and none is lost. */
static void a_device_that_reads_no_messages_is_told_the_last_of_them_in_the_end(void **state)
{
	(void)state;
	serdrv_rig_up(&rig, 0, NULL);
	for (uint32_t i = 0; i < 1000; i++) {
		pv_serdrv_close(port(1));
		assert_int_equal(pv_serdrv_open(port(1)), 0);
	}
	pv_serdrv_close(port(1));
	serdrv_rig_say(&rig, 2, VIRTIO_CONSOLE_DEVICE_ADD, 0);
	pv_serdrv_poll(rig.serial);
	serdrv_rig_read_messages(&rig);
	assert_true(rig.messages - rig.looked <= 16);
	assert_int_equal(rig.message[rig.messages - 1].value, 1);
	pv_serdrv_poll(rig.serial);
	rig.looked = rig.messages;
	serdrv_rig_expect_told(&rig, 1, VIRTIO_CONSOLE_PORT_OPEN, 0);
	serdrv_rig_expect_told(&rig, 2, VIRTIO_CONSOLE_PORT_READY, 1);
	serdrv_rig_expect_told_no_more(&rig);
	serdrv_rig_close(&rig);
}

/* ---- data ---- */

static void a_write_goes_out_as_it_is_and_is_done_when_the_device_has_it(void **state)
{
	struct pv_serdrv_data data[2] = { { .buffer = { text, 1000 } },
		                          { .buffer = { text + 1000, 24 } } };

	(void)state;
	serdrv_rig_up(&rig, 0, NULL);
	for (uint32_t i = 0; i < 2; i++)
		assert_int_equal(pv_serdrv_write(port(1), &data[i]), 0);
	assert_int_equal(serdrv_rig_sent(&rig, 1, got), 0);
	pv_serdrv_publish(port(1));
	assert_int_equal(pv_serdrv_poll(rig.serial), 0);
	assert_false(data[0].is_done);
	assert_int_equal(serdrv_rig_sent(&rig, 1, got), 1000);
	assert_memory_equal(got, text, 1000);
	assert_int_equal(pv_serdrv_poll_port(port(1)), 1);
	assert_true(data[0].is_done && !data[1].is_done);
	assert_int_equal(data[0].error, 0);
	assert_int_equal(data[0].bytes, 1000);
	assert_int_equal(serdrv_rig_sent(&rig, 1, got), 24);
	assert_int_equal(pv_serdrv_poll(rig.serial), 1);
	assert_int_equal(pv_serdrv_counters(port(1)).writes, 2);
	assert_int_equal(pv_serdrv_counters(port(1)).bytes_out, 1024);
	serdrv_rig_close(&rig);
}

static void memory_in_pieces_is_one_write(void **state)
{
	struct pv_serdrv_data data = { .buffer = { text, 15 * 100 } };

	(void)state;
	serdrv_rig_up(&rig, 0, NULL);
	rig.fake.map_max = 100;
	assert_int_equal(pv_serdrv_write(port(1), &data), 0);
	pv_serdrv_publish(port(1));
	assert_int_equal(serdrv_rig_sent(&rig, 1, got), 1500);
	assert_memory_equal(got, text, 1500);
	assert_int_equal(pv_serdrv_poll(rig.serial), 1);
	data.buffer.bytes = 18 * 100;
	assert_int_equal(pv_serdrv_write(port(1), &data), -PV_EINVAL);
	data.buffer.bytes = 17 * 100; /* more than the ring of 16 has places */
	assert_int_equal(pv_serdrv_write(port(1), &data), -PV_EINVAL);
	rig.fake.fail_map = rig.fake.maps + 3;
	assert_int_equal(pv_serdrv_write(port(1), &data), -PV_ENOMEM);
	assert_int_equal(rig.fake.mapped_out, 0);
	serdrv_rig_close(&rig);
}

static void what_cannot_go_out_is_refused(void **state)
{
	static struct pv_serdrv_data data[17];
	struct pv_serdrv_data none = { .buffer = { text, 0 } };

	(void)state;
	serdrv_rig_up(&rig, 0, NULL);
	assert_int_equal(pv_serdrv_write(port(1), &none), -PV_EINVAL);
	for (uint32_t i = 0; i < 17; i++) {
		data[i] = (struct pv_serdrv_data){ .buffer = { text, 1 } };
		assert_int_equal(pv_serdrv_write(port(1), &data[i]), i < 16 ? 0 : -PV_ENOSPC);
		assert_int_equal(pv_serdrv_read(port(1), &data[i]), i < 16 ? 0 : -PV_ENOSPC);
	}
	assert_int_equal(pv_serdrv_write(port(2), &none), -PV_EIO);
	pv_serdrv_close(port(1));
	assert_int_equal(pv_serdrv_write(port(1), &data[16]), -PV_EIO);
	assert_int_equal(pv_serdrv_read(port(1), &data[16]), -PV_EIO);
	serdrv_rig_close(&rig);
}

static void a_read_is_done_with_what_came(void **state)
{
	struct pv_serdrv_data data = { .buffer = { got, 100 } };

	(void)state;
	serdrv_rig_up(&rig, 0, NULL);
	assert_int_equal(pv_serdrv_read(port(1), &data), 0);
	pv_serdrv_publish(port(1));
	assert_true(rig.fake.is_mapped_written);
	assert_int_equal(serdrv_rig_give(&rig, 1, "hello", 5), 5);
	assert_int_equal(pv_serdrv_poll(rig.serial), 1);
	assert_true(data.is_done);
	assert_int_equal(data.error, 0);
	assert_int_equal(data.bytes, 5);
	assert_memory_equal(got, "hello", 5);
	assert_int_equal(pv_serdrv_counters(port(1)).bytes_in, 5);
	serdrv_rig_close(&rig);
}

static void a_buffer_that_comes_back_empty_is_posted_again(void **state)
{
	struct pv_serdrv_data data = { .buffer = { got, 100 } };

	(void)state;
	serdrv_rig_up(&rig, 0, NULL);
	assert_int_equal(pv_serdrv_read(port(1), &data), 0);
	pv_serdrv_publish(port(1));
	for (uint32_t i = 0; i < 40; i++) {
		serdrv_rig_give(&rig, 1, "", 0);
		assert_int_equal(pv_serdrv_poll(rig.serial), 0);
		assert_false(data.is_done);
	}
	assert_int_equal(pv_serdrv_counters(port(1)).empty, 40);
	assert_int_equal(serdrv_rig_give(&rig, 1, "x", 1), 1);
	assert_int_equal(pv_serdrv_poll(rig.serial), 1);
	assert_int_equal(data.bytes, 1);
	serdrv_rig_close(&rig);
}

/* ---- buffers of the driver's own ---- */

static void buffers_are_posted_when_the_port_is_opened_and_not_before(void **state)
{
	(void)state;
	serdrv_rig_open(&rig, VIRTIO_CONSOLE_F_MULTIPORT);
	assert_int_equal(serdrv_rig_start(&rig, &with_own), 0);
	assert_int_equal(serdrv_rig_give(&rig, 1, "abc", 3), 0);
	serdrv_rig_say(&rig, 1, VIRTIO_CONSOLE_DEVICE_ADD, 0);
	pv_serdrv_poll(rig.serial);
	assert_int_equal(serdrv_rig_give(&rig, 1, "abc", 3), 0);
	assert_int_equal(pv_serdrv_open(port(1)), 0);
	assert_int_equal(serdrv_rig_give(&rig, 1, "abc", 3), 3);
	assert_int_equal(serdrv_rig_give(&rig, 1, "0123456789abcdefg", 17), 16);
	assert_int_equal(serdrv_rig_give(&rig, 1, "z", 1), 0);
	pv_serdrv_poll(rig.serial);
	assert_int_equal(rig.received_bytes, 19);
	assert_memory_equal(rig.received, "abc0123456789abcdef", 19);
	assert_int_equal(pv_serdrv_read(port(1), NULL), -PV_ENOTSUP);
	serdrv_rig_close(&rig);
}

static void what_is_not_taken_stays_and_the_sender_stops(void **state)
{
	uint32_t given = 0, taken = 0;

	(void)state;
	for (size_t i = 0; i < sizeof(text); i++)
		text[i] = (uint8_t)(i * 7 + i / 256);
	serdrv_rig_up(&rig, 0, &with_own);
	rig.takes = 0;
	for (uint32_t i = 0; i < 100; i++) {
		given += serdrv_rig_give(&rig, 1, text + given, 16);
		pv_serdrv_poll(rig.serial);
	}
	assert_int_equal(given, 32);
	rig.takes = 3;
	while (taken < 1000) {
		pv_serdrv_poll(rig.serial);
		assert_true(rig.received_bytes - taken <= 3 * 16);
		taken = rig.received_bytes;
		given += serdrv_rig_give(&rig, 1, text + given, 16);
		assert_true(given - taken <= 32);
	}
	assert_memory_equal(rig.received, text, taken);
	serdrv_rig_close(&rig);
}

static void what_comes_while_it_is_closed_is_dropped(void **state)
{
	(void)state;
	serdrv_rig_up(&rig, 0, &with_own);
	rig.takes = 0;
	serdrv_rig_give(&rig, 1, "waits", 5);
	pv_serdrv_poll(rig.serial);
	pv_serdrv_close(port(1));
	serdrv_rig_give(&rig, 1, "late", 4);
	pv_serdrv_poll(rig.serial);
	assert_int_equal(pv_serdrv_counters(port(1)).dropped, 9);
	rig.takes = 16;
	assert_int_equal(pv_serdrv_open(port(1)), 0);
	serdrv_rig_give(&rig, 1, "new", 3);
	pv_serdrv_poll(rig.serial);
	assert_int_equal(rig.received_bytes, 3);
	serdrv_rig_close(&rig);
}

/* ---- waiting ---- */

static uint32_t out_bytes;

/* The device takes what is there, and answers with it, in no time. */
static void echo(struct pv_fake_bus *fake)
{
	uint8_t bytes[SERDRV_RIG_BYTES];
	uint32_t count = serdrv_rig_sent((struct serdrv_rig *)fake, 1, bytes);

	if (count > 0)
		fake->now_ns = 0;
	serdrv_rig_read_messages((struct serdrv_rig *)fake);
	memcpy(got + out_bytes, bytes, count);
	out_bytes += count;
	if (count > 0)
		serdrv_rig_give((struct serdrv_rig *)fake, 1, bytes, count);
}

static void put_waits_until_the_device_has_everything(void **state)
{
	(void)state;
	out_bytes = 0;
	serdrv_rig_up(&rig, 0, NULL);
	rig.fake.on_wait = echo;
	assert_int_equal(pv_serdrv_put(port(1), text, 2000, 10 * SECOND_NS), 0);
	assert_int_equal(out_bytes, 2000);
	assert_memory_equal(got, text, 2000);
	rig.fake.on_wait = NULL;
	assert_int_equal(pv_serdrv_put(port(1), "lost", 4, SECOND_NS), -PV_ETIMEDOUT);
	assert_int_equal(pv_serdrv_put(port(1), "lost", 4, SECOND_NS), -PV_EBUSY);
	assert_int_equal(serdrv_rig_sent(&rig, 1, got), 4);
	rig.fake.on_wait = echo;
	assert_int_equal(pv_serdrv_put(port(1), "good", 4, SECOND_NS), 0);
	assert_int_equal(pv_serdrv_put(port(2), "none", 4, SECOND_NS), -PV_EIO);
	assert_int_equal(pv_serdrv_put(port(1), "again", 5, SECOND_NS), 0);
	serdrv_rig_close(&rig);
}

static void get_waits_for_bytes_and_gives_no_more_than_there_is_room_for(void **state)
{
	size_t bytes = 3;

	(void)state;
	out_bytes = 0;
	serdrv_rig_open(&rig, VIRTIO_CONSOLE_F_MULTIPORT);
	rig.takes = 0;
	assert_int_equal(serdrv_rig_start(&rig, &with_own), 0);
	assert_int_equal(pv_serdrv_get(port(1), got, &bytes, SECOND_NS), -PV_EIO);
	assert_int_equal(bytes, 0);
	serdrv_rig_say(&rig, 1, VIRTIO_CONSOLE_DEVICE_ADD, 0);
	pv_serdrv_poll(rig.serial);
	assert_int_equal(pv_serdrv_open(port(1)), 0);
	rig.fake.on_wait = echo;
	assert_int_equal(pv_serdrv_put(port(1), "hello", 5, SECOND_NS), 0);
	bytes = 3;
	assert_int_equal(pv_serdrv_get(port(1), got, &bytes, SECOND_NS), 0);
	assert_int_equal(bytes, 3);
	assert_memory_equal(got, "hel", 3);
	bytes = 3;
	assert_int_equal(pv_serdrv_get(port(1), got, &bytes, SECOND_NS), 0);
	assert_int_equal(bytes, 2);
	assert_memory_equal(got, "lo", 2);
	bytes = 3;
	assert_int_equal(pv_serdrv_get(port(1), got, &bytes, SECOND_NS), -PV_ETIMEDOUT);
	assert_int_equal(bytes, 0);
	serdrv_rig_close(&rig);
}

/* ---- a port that goes ---- */

static void what_is_in_flight_ends_when_the_port_is_removed(void **state)
{
	struct pv_serdrv_data in = { .buffer = { got, 16 } }, out = { .buffer = { text, 16 } };

	(void)state;
	for (uint32_t has_reset = 0; has_reset < 2; has_reset++) {
		serdrv_rig_up(&rig, has_reset ? VIRTIO_F_RING_RESET : 0, NULL);
		assert_int_equal(pv_serdrv_read(port(1), &in), 0);
		assert_int_equal(pv_serdrv_write(port(1), &out), 0);
		pv_serdrv_publish(port(1));
		serdrv_rig_say(&rig, 1, VIRTIO_CONSOLE_DEVICE_REMOVE, 0);
		pv_serdrv_poll(rig.serial);
		expect_change(0, 1, PV_SERDRV_REMOVED);
		assert_false(state_of(1)->is_there || state_of(1)->is_open);
		assert_int_equal(in.is_done, has_reset);
		assert_int_equal(out.is_done, has_reset);
		if (!has_reset) {
			/* It has them still: they end as it gives them back. */
			serdrv_rig_sent(&rig, 1, got);
			serdrv_rig_give(&rig, 1, "", 0);
			assert_int_equal(pv_serdrv_poll(rig.serial), 2);
		}
		assert_int_equal(in.error, -PV_EIO);
		assert_int_equal(out.error, -PV_EIO);
		assert_int_equal(rig.fake.mapped_out, 0);
		assert_int_equal(pv_serdrv_write(port(1), &out), -PV_EIO);
		serdrv_rig_close(&rig);
	}
}

static void a_port_that_was_removed_can_be_added_again(void **state)
{
	(void)state;
	for (uint32_t has_reset = 0; has_reset < 2; has_reset++) {
		serdrv_rig_up(&rig, has_reset ? VIRTIO_F_RING_RESET : 0, &with_own);
		for (uint32_t i = 0; i < 20; i++) {
			assert_int_equal(serdrv_rig_give(&rig, 1, "before", 6), 6);
			serdrv_rig_say(&rig, 1, VIRTIO_CONSOLE_DEVICE_REMOVE, 0);
			serdrv_rig_say(&rig, 1, VIRTIO_CONSOLE_DEVICE_ADD, 0);
			pv_serdrv_poll(rig.serial);
			serdrv_rig_expect_told(&rig, 1, VIRTIO_CONSOLE_PORT_READY, 1);
			assert_false(state_of(1)->is_open);
			assert_int_equal(pv_serdrv_open(port(1)), 0);
			serdrv_rig_expect_told(&rig, 1, VIRTIO_CONSOLE_PORT_OPEN, 1);
			assert_int_equal(serdrv_rig_give(&rig, 1, "after!", 6), 6);
			pv_serdrv_poll(rig.serial);
			assert_int_equal(rig.received_bytes, 12 * (i + 1));
		}
		serdrv_rig_close(&rig);
	}
}

/* Its bytes are none of the new port's: the device drops them while there is no port. */
static void a_port_is_not_there_again_before_the_writes_of_the_last_are_back(void **state)
{
	struct pv_serdrv_data shown = { .buffer = { text, 16 } },
			      unseen = { .buffer = { text, 8 } };

	(void)state;
	for (uint32_t has_gone = 0; has_gone < 2; has_gone++) {
		serdrv_rig_up(&rig, 0, NULL);
		assert_int_equal(pv_serdrv_write(port(1), &shown), 0);
		pv_serdrv_publish(port(1));
		assert_int_equal(pv_serdrv_write(port(1), &unseen), 0);
		serdrv_rig_say(&rig, 1, VIRTIO_CONSOLE_DEVICE_REMOVE, 0);
		serdrv_rig_say(&rig, 1, VIRTIO_CONSOLE_DEVICE_ADD, 0);
		if (has_gone)
			serdrv_rig_say(&rig, 1, VIRTIO_CONSOLE_DEVICE_REMOVE, 0);
		pv_serdrv_poll(rig.serial);
		assert_false(state_of(1)->is_there);
		serdrv_rig_expect_told_no_more(&rig);
		assert_int_equal(serdrv_rig_sent(&rig, 1, got), 16);
		assert_int_equal(serdrv_rig_sent(&rig, 1, got), 8);
		pv_serdrv_poll(rig.serial);
		assert_int_equal(shown.error, -PV_EIO);
		assert_int_equal(unseen.error, -PV_EIO);
		assert_int_equal(state_of(1)->is_there, !has_gone);
		if (!has_gone)
			serdrv_rig_expect_told(&rig, 1, VIRTIO_CONSOLE_PORT_READY, 1);
		serdrv_rig_expect_told_no_more(&rig);
		assert_int_equal(pv_serdrv_control_counters(rig.serial).malformed, 0);
		serdrv_rig_close(&rig);
	}
}

/* ---- a device that needs a reset ---- */

static void writes_go_on_in_their_order_after_a_reset(void **state)
{
	static struct pv_serdrv_data data[8];

	(void)state;
	serdrv_rig_up(&rig, 0, NULL);
	/* The ring's places are in another order than the writes by now. */
	for (uint32_t round = 0; round < 3; round++) {
		for (uint32_t i = 0; i < 7; i++) {
			data[i] = (struct pv_serdrv_data){ .buffer = { text + i, 1 } };
			assert_int_equal(pv_serdrv_write(port(1), &data[i]), 0);
		}
		pv_serdrv_publish(port(1));
		if (round == 2)
			break;
		for (uint32_t i = 0; i < 7; i++)
			assert_int_equal(serdrv_rig_sent(&rig, 1, got), 1);
		assert_int_equal(pv_serdrv_poll(rig.serial), 7);
	}
	rig.fake.status |= VIRTIO_STATUS_NEEDS_RESET;
	assert_int_equal(pv_serdrv_tend(rig.serial), 1);
	serdrv_rig_expect_told(&rig, 0, VIRTIO_CONSOLE_DEVICE_READY, 1);
	serdrv_rig_expect_told(&rig, 1, VIRTIO_CONSOLE_PORT_READY, 1);
	serdrv_rig_expect_told(&rig, 1, VIRTIO_CONSOLE_PORT_OPEN, 1);
	serdrv_rig_expect_told_no_more(&rig);
	for (uint32_t i = 0; i < 7; i++) {
		assert_int_equal(serdrv_rig_sent(&rig, 1, got), 1);
		assert_int_equal(got[0], text[i]);
	}
	assert_int_equal(pv_serdrv_poll(rig.serial), 7);
	assert_int_equal(pv_serdrv_counters(port(1)).repeats, 7);
	assert_int_equal(rig.changes, 0);
	serdrv_rig_close(&rig);
}

static void ports_that_do_not_come_back_were_removed(void **state)
{
	struct pv_serdrv_data out = { .buffer = { text, 16 } };

	(void)state;
	serdrv_rig_up(&rig, 0, &with_own);
	serdrv_rig_say(&rig, 1, VIRTIO_CONSOLE_PORT_OPEN, 1);
	serdrv_rig_say(&rig, 2, VIRTIO_CONSOLE_DEVICE_ADD, 0);
	pv_serdrv_poll(rig.serial);
	assert_int_equal(pv_serdrv_open(port(2)), 0);
	assert_int_equal(pv_serdrv_write(port(2), &out), 0);
	pv_serdrv_publish(port(2));
	rig.changes = 0;
	rig.announces = 1u << 0 | 1u << 1;
	assert_int_equal(pv_serdrv_recover(rig.serial), 0);
	/* Whether somebody is at the other end it has to say anew. */
	expect_change(0, 0, PV_SERDRV_ADDED);
	expect_change(1, 1, PV_SERDRV_HOST);
	expect_change(2, 2, PV_SERDRV_REMOVED);
	assert_int_equal(rig.changes, 3);
	assert_true(out.is_done);
	assert_int_equal(out.error, -PV_EIO);
	assert_true(state_of(1)->is_open && !state_of(1)->host_is_open);
	assert_int_equal(serdrv_rig_give(&rig, 1, "abc", 3), 3);
	pv_serdrv_poll(rig.serial);
	assert_memory_equal(rig.received, "abc", 3);
	serdrv_rig_close(&rig);
}

static void a_write_that_takes_too_long_ends_and_the_device_is_brought_up_again(void **state)
{
	struct pv_serdrv_data slow = { .buffer = { text, 16 }, .timeout_ns = SECOND_NS },
			      patient = { .buffer = { text, 8 } };

	(void)state;
	serdrv_rig_up(&rig, 0, NULL);
	assert_int_equal(pv_serdrv_write(port(1), &slow), 0);
	assert_int_equal(pv_serdrv_write(port(1), &patient), 0);
	pv_serdrv_publish(port(1));
	assert_int_equal(pv_serdrv_tend(rig.serial), 0);
	assert_int_equal(pv_serdrv_deadline_ns(rig.serial), rig.fake.now_ns + SECOND_NS);
	rig.fake.now_ns += SECOND_NS;
	assert_int_equal(pv_serdrv_tend(rig.serial), 1);
	assert_true(slow.is_done && !patient.is_done);
	assert_int_equal(slow.error, -PV_ETIMEDOUT);
	assert_int_equal(pv_serdrv_counters(port(1)).overdue, 1);
	assert_int_equal(serdrv_rig_sent(&rig, 1, got), 8);
	serdrv_rig_close(&rig);
}

static void writes_end_with_the_reset_if_that_was_asked_for(void **state)
{
	const struct pv_serdrv_options options = { .ports_max = 2, .fails_on_reset = true };
	struct pv_serdrv_data in = { .buffer = { got, 16 } }, out = { .buffer = { text, 16 } };

	(void)state;
	serdrv_rig_up(&rig, 0, &options);
	assert_int_equal(pv_serdrv_read(port(1), &in), 0);
	assert_int_equal(pv_serdrv_write(port(1), &out), 0);
	pv_serdrv_publish(port(1));
	rig.fake.status |= VIRTIO_STATUS_NEEDS_RESET;
	assert_int_equal(pv_serdrv_tend(rig.serial), 1);
	assert_true(out.is_done && !in.is_done);
	assert_int_equal(out.error, -PV_EBROKEN);
	assert_int_equal(serdrv_rig_give(&rig, 1, "abc", 3), 3);
	assert_int_equal(pv_serdrv_poll(rig.serial), 1);
	assert_true(in.is_done);
	serdrv_rig_close(&rig);
}

static void a_console_without_multiport_goes_on_at_once(void **state)
{
	struct pv_serdrv_data out = { .buffer = { text, 16 } };

	(void)state;
	serdrv_rig_open(&rig, 0);
	assert_int_equal(serdrv_rig_start(&rig, &with_own), 0);
	assert_int_equal(pv_serdrv_open(port(0)), 0);
	assert_int_equal(pv_serdrv_write(port(0), &out), 0);
	pv_serdrv_publish(port(0));
	assert_int_equal(pv_serdrv_recover(rig.serial), 0);
	assert_int_equal(serdrv_rig_sent(&rig, 0, got), 16);
	assert_int_equal(serdrv_rig_give(&rig, 0, "abc", 3), 3);
	pv_serdrv_poll(rig.serial);
	assert_true(out.is_done && out.error == 0);
	assert_int_equal(rig.received_bytes, 3);
	serdrv_rig_close(&rig);
}

static void a_device_that_cannot_be_brought_up_again_ends_everything(void **state)
{
	struct pv_serdrv_data in = { .buffer = { got, 16 } }, out = { .buffer = { text, 16 } };

	(void)state;
	serdrv_rig_up(&rig, 0, NULL);
	assert_int_equal(pv_serdrv_read(port(1), &in), 0);
	assert_int_equal(pv_serdrv_write(port(1), &out), 0);
	pv_serdrv_publish(port(1));
	serdrv_rig_config(&rig)->max_nr_ports = pv_le32_of(2); /* another device */
	assert_int_equal(pv_serdrv_recover(rig.serial), -PV_EBROKEN);
	assert_int_equal(in.error, -PV_EBROKEN);
	assert_int_equal(out.error, -PV_EBROKEN);
	assert_int_equal(pv_serdrv_write(port(1), &out), -PV_EBROKEN);
	assert_true(pv_serdrv_is_broken(rig.serial));
	serdrv_rig_config(&rig)->max_nr_ports = pv_le32_of(3);
	assert_int_equal(pv_serdrv_recover(rig.serial), 0);
	assert_int_equal(pv_serdrv_write(port(1), &out), 0);
	serdrv_rig_close(&rig);
}

static void a_port_can_be_taken_back_and_given_anew(void **state)
{
	struct pv_serdrv_data out = { .buffer = { text, 16 } };

	(void)state;
	serdrv_rig_up(&rig, VIRTIO_F_RING_RESET, &with_own);
	assert_int_equal(pv_serdrv_write(port(1), &out), 0);
	pv_serdrv_publish(port(1));
	assert_int_equal(pv_serdrv_queues_reset(port(1)), 0);
	assert_true(out.is_done);
	assert_int_equal(out.error, -PV_EIO);
	assert_int_equal(serdrv_rig_give(&rig, 1, "abc", 3), 3);
	pv_serdrv_poll(rig.serial);
	assert_int_equal(rig.received_bytes, 3);
	serdrv_rig_close(&rig);

	serdrv_rig_up(&rig, 0, NULL);
	assert_int_equal(pv_serdrv_queues_reset(port(1)), -PV_ENOTSUP);
	serdrv_rig_close(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_device_without_multiport_is_one_console_that_is_there),
		cmocka_unit_test(as_many_ports_are_set_up_as_both_sides_want),
		cmocka_unit_test(a_device_without_room_for_a_port_is_refused),
		cmocka_unit_test(nothing_is_left_when_memory_runs_out_at_the_start),
		cmocka_unit_test(the_size_of_port_0_follows_the_configuration),
		cmocka_unit_test(an_emergency_byte_needs_no_driver),
		cmocka_unit_test(
			a_port_that_is_added_is_answered_and_one_that_is_opened_is_told_of),
		cmocka_unit_test(a_console_is_answered_with_open),
		cmocka_unit_test(a_port_without_queues_is_refused),
		cmocka_unit_test(a_port_has_the_name_size_and_other_end_that_it_was_told),
		cmocka_unit_test(a_name_that_cannot_be_shown_is_none),
		cmocka_unit_test(a_name_is_as_long_as_it_may_be_and_no_longer),
		cmocka_unit_test(a_message_that_makes_no_sense_has_no_effect),
		cmocka_unit_test(
			a_device_that_reads_no_messages_is_told_the_last_of_them_in_the_end),
		cmocka_unit_test(a_write_goes_out_as_it_is_and_is_done_when_the_device_has_it),
		cmocka_unit_test(memory_in_pieces_is_one_write),
		cmocka_unit_test(what_cannot_go_out_is_refused),
		cmocka_unit_test(a_read_is_done_with_what_came),
		cmocka_unit_test(a_buffer_that_comes_back_empty_is_posted_again),
		cmocka_unit_test(buffers_are_posted_when_the_port_is_opened_and_not_before),
		cmocka_unit_test(what_is_not_taken_stays_and_the_sender_stops),
		cmocka_unit_test(what_comes_while_it_is_closed_is_dropped),
		cmocka_unit_test(put_waits_until_the_device_has_everything),
		cmocka_unit_test(get_waits_for_bytes_and_gives_no_more_than_there_is_room_for),
		cmocka_unit_test(what_is_in_flight_ends_when_the_port_is_removed),
		cmocka_unit_test(a_port_that_was_removed_can_be_added_again),
		cmocka_unit_test(a_port_is_not_there_again_before_the_writes_of_the_last_are_back),
		cmocka_unit_test(writes_go_on_in_their_order_after_a_reset),
		cmocka_unit_test(ports_that_do_not_come_back_were_removed),
		cmocka_unit_test(
			a_write_that_takes_too_long_ends_and_the_device_is_brought_up_again),
		cmocka_unit_test(writes_end_with_the_reset_if_that_was_asked_for),
		cmocka_unit_test(a_console_without_multiport_goes_on_at_once),
		cmocka_unit_test(a_device_that_cannot_be_brought_up_again_ends_everything),
		cmocka_unit_test(a_port_can_be_taken_back_and_given_anew),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
