/* SPDX-License-Identifier: BSD-2-Clause */
/* The bytes that ports of the serial driver carry, against a device played by hand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#include "ring/err.h"
#include "tests/support/serdrv_rig.h"

#define SECOND_NS 1000000000ull

static struct serdrv_rig rig;
static uint8_t got[SERDRV_RIG_BYTES];

/* ---- data ---- */

static void a_write_goes_out_as_it_is_and_is_done_when_the_device_has_it(void **state)
{
	struct pv_serdrv_data data[2] = { { .buffer = { rig.text, 1000 } },
		                          { .buffer = { rig.text + 1000, 24 } } };

	(void)state;
	serdrv_rig_up(&rig, 0, NULL);
	for (uint32_t i = 0; i < 2; i++)
		assert_int_equal(pv_serdrv_write(serdrv_rig_port(&rig, 1), &data[i]), 0);
	assert_int_equal(serdrv_rig_sent(&rig, 1, got), 0);
	pv_serdrv_publish(serdrv_rig_port(&rig, 1));
	assert_int_equal(pv_serdrv_poll(rig.serial), 0);
	assert_false(data[0].is_done);
	assert_int_equal(serdrv_rig_sent(&rig, 1, got), 1000);
	assert_memory_equal(got, rig.text, 1000);
	assert_int_equal(pv_serdrv_poll_port(serdrv_rig_port(&rig, 1)), 1);
	assert_true(data[0].is_done && !data[1].is_done);
	assert_int_equal(data[0].error, 0);
	assert_int_equal(data[0].bytes, 1000);
	assert_int_equal(serdrv_rig_sent(&rig, 1, got), 24);
	assert_int_equal(pv_serdrv_poll(rig.serial), 1);
	assert_int_equal(pv_serdrv_counters(serdrv_rig_port(&rig, 1)).writes, 2);
	assert_int_equal(pv_serdrv_counters(serdrv_rig_port(&rig, 1)).bytes_out, 1024);
	serdrv_rig_close(&rig);
}

static void memory_in_pieces_is_one_write(void **state)
{
	struct pv_serdrv_data data = { .buffer = { rig.text, 15 * 100 } };

	(void)state;
	serdrv_rig_up(&rig, 0, NULL);
	rig.fake.map_max = 100;
	assert_int_equal(pv_serdrv_write(serdrv_rig_port(&rig, 1), &data), 0);
	pv_serdrv_publish(serdrv_rig_port(&rig, 1));
	assert_int_equal(serdrv_rig_sent(&rig, 1, got), 1500);
	assert_memory_equal(got, rig.text, 1500);
	assert_int_equal(pv_serdrv_poll(rig.serial), 1);
	data.buffer.bytes = 18 * 100;
	assert_int_equal(pv_serdrv_write(serdrv_rig_port(&rig, 1), &data), -PV_EINVAL);
	data.buffer.bytes = 17 * 100; /* more than the ring of 16 has places */
	assert_int_equal(pv_serdrv_write(serdrv_rig_port(&rig, 1), &data), -PV_EINVAL);
	rig.fake.fail_map = rig.fake.maps + 3;
	assert_int_equal(pv_serdrv_write(serdrv_rig_port(&rig, 1), &data), -PV_ENOMEM);
	assert_int_equal(rig.fake.mapped_out, 0);
	serdrv_rig_close(&rig);
}

static void what_cannot_go_out_is_refused(void **state)
{
	static struct pv_serdrv_data data[17];
	struct pv_serdrv_data none = { .buffer = { rig.text, 0 } };

	(void)state;
	serdrv_rig_up(&rig, 0, NULL);
	assert_int_equal(pv_serdrv_write(serdrv_rig_port(&rig, 1), &none), -PV_EINVAL);
	for (uint32_t i = 0; i < 17; i++) {
		data[i] = (struct pv_serdrv_data){ .buffer = { rig.text, 1 } };
		assert_int_equal(pv_serdrv_write(serdrv_rig_port(&rig, 1), &data[i]),
		                 i < 16 ? 0 : -PV_ENOSPC);
		assert_int_equal(pv_serdrv_read(serdrv_rig_port(&rig, 1), &data[i]),
		                 i < 16 ? 0 : -PV_ENOSPC);
	}
	assert_int_equal(pv_serdrv_write(serdrv_rig_port(&rig, 2), &none), -PV_EIO);
	pv_serdrv_close(serdrv_rig_port(&rig, 1));
	assert_int_equal(pv_serdrv_write(serdrv_rig_port(&rig, 1), &data[16]), -PV_EIO);
	assert_int_equal(pv_serdrv_read(serdrv_rig_port(&rig, 1), &data[16]), -PV_EIO);
	serdrv_rig_close(&rig);
}

static void a_read_is_done_with_what_came(void **state)
{
	struct pv_serdrv_data data = { .buffer = { got, 100 } };

	(void)state;
	serdrv_rig_up(&rig, 0, NULL);
	assert_int_equal(pv_serdrv_read(serdrv_rig_port(&rig, 1), &data), 0);
	pv_serdrv_publish(serdrv_rig_port(&rig, 1));
	assert_true(rig.fake.is_mapped_written);
	assert_int_equal(serdrv_rig_give(&rig, 1, "hello", 5), 5);
	assert_int_equal(pv_serdrv_poll(rig.serial), 1);
	assert_true(data.is_done);
	assert_int_equal(data.error, 0);
	assert_int_equal(data.bytes, 5);
	assert_memory_equal(got, "hello", 5);
	assert_int_equal(pv_serdrv_counters(serdrv_rig_port(&rig, 1)).bytes_in, 5);
	serdrv_rig_close(&rig);
}

static void a_buffer_that_comes_back_empty_is_posted_again(void **state)
{
	struct pv_serdrv_data data = { .buffer = { got, 100 } };

	(void)state;
	serdrv_rig_up(&rig, 0, NULL);
	assert_int_equal(pv_serdrv_read(serdrv_rig_port(&rig, 1), &data), 0);
	pv_serdrv_publish(serdrv_rig_port(&rig, 1));
	for (uint32_t i = 0; i < 40; i++) {
		serdrv_rig_give(&rig, 1, "", 0);
		assert_int_equal(pv_serdrv_poll(rig.serial), 0);
		assert_false(data.is_done);
	}
	assert_int_equal(pv_serdrv_counters(serdrv_rig_port(&rig, 1)).empty, 40);
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
	assert_int_equal(serdrv_rig_start(&rig, &serdrv_rig_own), 0);
	assert_int_equal(serdrv_rig_give(&rig, 1, "abc", 3), 0);
	serdrv_rig_say(&rig, 1, VIRTIO_CONSOLE_DEVICE_ADD, 0);
	pv_serdrv_poll(rig.serial);
	assert_int_equal(serdrv_rig_give(&rig, 1, "abc", 3), 0);
	assert_int_equal(pv_serdrv_open(serdrv_rig_port(&rig, 1)), 0);
	assert_int_equal(serdrv_rig_give(&rig, 1, "abc", 3), 3);
	assert_int_equal(serdrv_rig_give(&rig, 1, "0123456789abcdefg", 17), 16);
	assert_int_equal(serdrv_rig_give(&rig, 1, "z", 1), 0);
	pv_serdrv_poll(rig.serial);
	assert_int_equal(rig.received_bytes, 19);
	assert_memory_equal(rig.received, "abc0123456789abcdef", 19);
	assert_int_equal(pv_serdrv_read(serdrv_rig_port(&rig, 1), NULL), -PV_ENOTSUP);
	serdrv_rig_close(&rig);
}

static void what_is_not_taken_stays_and_the_sender_stops(void **state)
{
	uint32_t given = 0, taken = 0;

	(void)state;
	serdrv_rig_up(&rig, 0, &serdrv_rig_own);
	rig.takes = 0;
	for (uint32_t i = 0; i < 100; i++) {
		given += serdrv_rig_give(&rig, 1, rig.text + given, 16);
		pv_serdrv_poll(rig.serial);
	}
	assert_int_equal(given, 32);
	rig.takes = 3;
	while (taken < 1000) {
		pv_serdrv_poll(rig.serial);
		assert_true(rig.received_bytes - taken <= 3 * 16);
		taken = rig.received_bytes;
		given += serdrv_rig_give(&rig, 1, rig.text + given, 16);
		assert_true(given - taken <= 32);
	}
	assert_memory_equal(rig.received, rig.text, taken);
	serdrv_rig_close(&rig);
}

static void what_comes_while_it_is_closed_is_dropped(void **state)
{
	(void)state;
	serdrv_rig_up(&rig, 0, &serdrv_rig_own);
	rig.takes = 0;
	serdrv_rig_give(&rig, 1, "waits", 5);
	pv_serdrv_poll(rig.serial);
	pv_serdrv_close(serdrv_rig_port(&rig, 1));
	serdrv_rig_give(&rig, 1, "late", 4);
	pv_serdrv_poll(rig.serial);
	assert_int_equal(pv_serdrv_counters(serdrv_rig_port(&rig, 1)).dropped, 9);
	rig.takes = 16;
	assert_int_equal(pv_serdrv_open(serdrv_rig_port(&rig, 1)), 0);
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
	assert_int_equal(pv_serdrv_put(serdrv_rig_port(&rig, 1), rig.text, 2000, 10 * SECOND_NS),
	                 0);
	assert_int_equal(out_bytes, 2000);
	assert_memory_equal(got, rig.text, 2000);
	rig.fake.on_wait = NULL;
	assert_int_equal(pv_serdrv_put(serdrv_rig_port(&rig, 1), "lost", 4, SECOND_NS),
	                 -PV_ETIMEDOUT);
	assert_int_equal(pv_serdrv_put(serdrv_rig_port(&rig, 1), "lost", 4, SECOND_NS), -PV_EBUSY);
	assert_int_equal(serdrv_rig_sent(&rig, 1, got), 4);
	rig.fake.on_wait = echo;
	assert_int_equal(pv_serdrv_put(serdrv_rig_port(&rig, 1), "good", 4, SECOND_NS), 0);
	assert_int_equal(pv_serdrv_put(serdrv_rig_port(&rig, 2), "none", 4, SECOND_NS), -PV_EIO);
	assert_int_equal(pv_serdrv_put(serdrv_rig_port(&rig, 1), "again", 5, SECOND_NS), 0);
	serdrv_rig_close(&rig);
}

static void get_waits_for_bytes_and_gives_no_more_than_there_is_room_for(void **state)
{
	size_t bytes = 3;

	(void)state;
	out_bytes = 0;
	serdrv_rig_open(&rig, VIRTIO_CONSOLE_F_MULTIPORT);
	rig.takes = 0;
	assert_int_equal(serdrv_rig_start(&rig, &serdrv_rig_own), 0);
	assert_int_equal(pv_serdrv_get(serdrv_rig_port(&rig, 1), got, &bytes, SECOND_NS), -PV_EIO);
	assert_int_equal(bytes, 0);
	serdrv_rig_say(&rig, 1, VIRTIO_CONSOLE_DEVICE_ADD, 0);
	pv_serdrv_poll(rig.serial);
	assert_int_equal(pv_serdrv_open(serdrv_rig_port(&rig, 1)), 0);
	rig.fake.on_wait = echo;
	assert_int_equal(pv_serdrv_put(serdrv_rig_port(&rig, 1), "hello", 5, SECOND_NS), 0);
	bytes = 3;
	assert_int_equal(pv_serdrv_get(serdrv_rig_port(&rig, 1), got, &bytes, SECOND_NS), 0);
	assert_int_equal(bytes, 3);
	assert_memory_equal(got, "hel", 3);
	bytes = 3;
	assert_int_equal(pv_serdrv_get(serdrv_rig_port(&rig, 1), got, &bytes, SECOND_NS), 0);
	assert_int_equal(bytes, 2);
	assert_memory_equal(got, "lo", 2);
	bytes = 3;
	assert_int_equal(pv_serdrv_get(serdrv_rig_port(&rig, 1), got, &bytes, SECOND_NS),
	                 -PV_ETIMEDOUT);
	assert_int_equal(bytes, 0);
	serdrv_rig_close(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
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
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
