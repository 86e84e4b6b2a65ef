/* SPDX-License-Identifier: BSD-2-Clause */
/* The serial driver against a device played by hand: what it is, and its ports. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#include "ring/err.h"
#include "tests/support/serdrv_rig.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static struct serdrv_rig rig;

/* ---- what it is ---- */

static void a_device_without_multiport_is_one_console_that_is_there(void **state)
{
	(void)state;
	serdrv_rig_open(&rig, VIRTIO_CONSOLE_F_SIZE);
	rig.fake.config_bytes = 4;
	assert_int_equal(serdrv_rig_start(&rig, NULL), 0);
	assert_false(pv_serdrv_info(rig.serial)->has_control);
	assert_int_equal(pv_serdrv_info(rig.serial)->ports, 1);
	assert_null(serdrv_rig_port(&rig, 1));
	assert_true(serdrv_rig_state(&rig, 0)->is_there && serdrv_rig_state(&rig, 0)->is_console);
	assert_true(serdrv_rig_state(&rig, 0)->host_is_open);
	assert_int_equal(serdrv_rig_state(&rig, 0)->columns, 80);
	assert_int_equal(serdrv_rig_state(&rig, 0)->rows, 25);
	serdrv_rig_expect_change(&rig, 0, 0, PV_SERDRV_ADDED);
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
		assert_false(serdrv_rig_state(&rig, 0)->is_there);
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
		error = serdrv_rig_start(&rig, &serdrv_rig_own);
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
	serdrv_rig_expect_change(&rig, 0, 0, PV_SERDRV_RESIZED);
	assert_int_equal(serdrv_rig_state(&rig, 0)->columns, 132);
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
	assert_int_equal(pv_serdrv_open(serdrv_rig_port(&rig, 1)), -PV_EIO);
	assert_true(serdrv_rig_say(&rig, 1, VIRTIO_CONSOLE_DEVICE_ADD, 0));
	assert_int_equal(pv_serdrv_poll(rig.serial), 1);
	serdrv_rig_expect_change(&rig, 0, 1, PV_SERDRV_ADDED);
	assert_true(serdrv_rig_state(&rig, 1)->is_there && !serdrv_rig_state(&rig, 1)->is_open &&
	            !serdrv_rig_state(&rig, 1)->is_console);
	serdrv_rig_expect_told(&rig, 1, VIRTIO_CONSOLE_PORT_READY, 1);
	serdrv_rig_expect_told_no_more(&rig);
	assert_int_equal(pv_serdrv_open(serdrv_rig_port(&rig, 1)), 0);
	assert_int_equal(pv_serdrv_open(serdrv_rig_port(&rig, 1)), 0);
	serdrv_rig_expect_told(&rig, 1, VIRTIO_CONSOLE_PORT_OPEN, 1);
	pv_serdrv_close(serdrv_rig_port(&rig, 1));
	pv_serdrv_close(serdrv_rig_port(&rig, 1));
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
	serdrv_rig_expect_change(&rig, 1, 0, PV_SERDRV_IS_CONSOLE);
	assert_true(serdrv_rig_state(&rig, 0)->is_console && !serdrv_rig_state(&rig, 0)->is_open);
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
	serdrv_rig_expect_change(&rig, 0, 1, PV_SERDRV_NAMED);
	serdrv_rig_expect_change(&rig, 1, 1, PV_SERDRV_RESIZED);
	serdrv_rig_expect_change(&rig, 2, 1, PV_SERDRV_HOST);
	assert_int_equal(rig.changes, 3);
	assert_string_equal(serdrv_rig_state(&rig, 1)->name, "org.example");
	assert_ptr_equal(pv_serdrv_find(rig.serial, "org.example"), serdrv_rig_port(&rig, 1));
	assert_null(pv_serdrv_find(rig.serial, "org.exampl"));
	assert_null(pv_serdrv_find(rig.serial, "org.example2"));
	assert_int_equal(serdrv_rig_state(&rig, 1)->columns, 120);
	assert_int_equal(serdrv_rig_state(&rig, 1)->rows, 40);
	assert_true(serdrv_rig_state(&rig, 1)->host_is_open);
	serdrv_rig_say(&rig, 1, VIRTIO_CONSOLE_PORT_OPEN, 0);
	pv_serdrv_poll(rig.serial);
	assert_false(serdrv_rig_state(&rig, 1)->host_is_open);
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
		assert_string_equal(serdrv_rig_state(&rig, 1)->name,
		                    cases[i].is_good ? cases[i].name : "before");
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
	assert_string_equal(serdrv_rig_state(&rig, 1)->name, "");
	assert_int_equal(pv_serdrv_control_counters(rig.serial).malformed, 2);
	name[PV_SERDRV_NAME_MAX] = 0; /* an end, as some devices write it */
	serdrv_rig_say_more(&rig, 1, VIRTIO_CONSOLE_PORT_NAME, 0, name, PV_SERDRV_NAME_MAX + 1);
	pv_serdrv_poll(rig.serial);
	assert_string_equal(serdrv_rig_state(&rig, 1)->name, name);
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
		pv_serdrv_close(serdrv_rig_port(&rig, 1));
		assert_int_equal(pv_serdrv_open(serdrv_rig_port(&rig, 1)), 0);
	}
	pv_serdrv_close(serdrv_rig_port(&rig, 1));
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
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
