/* SPDX-License-Identifier: BSD-2-Clause */
/* The serial driver where a port goes, and where the device needs a reset: it is played by hand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "ring/err.h"
#include "tests/support/serdrv_rig.h"

#define SECOND_NS 1000000000ull

static struct serdrv_rig rig;
static uint8_t got[SERDRV_RIG_BYTES];

/* ---- a port that goes ---- */

static void what_is_in_flight_ends_when_the_port_is_removed(void **state)
{
	struct pv_serdrv_data in = { .buffer = { got, 16 } }, out = { .buffer = { rig.text, 16 } };

	(void)state;
	for (uint32_t has_reset = 0; has_reset < 2; has_reset++) {
		serdrv_rig_up(&rig, has_reset ? VIRTIO_F_RING_RESET : 0, NULL);
		assert_int_equal(pv_serdrv_read(serdrv_rig_port(&rig, 1), &in), 0);
		assert_int_equal(pv_serdrv_write(serdrv_rig_port(&rig, 1), &out), 0);
		pv_serdrv_publish(serdrv_rig_port(&rig, 1));
		serdrv_rig_say(&rig, 1, VIRTIO_CONSOLE_DEVICE_REMOVE, 0);
		pv_serdrv_poll(rig.serial);
		serdrv_rig_expect_change(&rig, 0, 1, PV_SERDRV_REMOVED);
		assert_false(serdrv_rig_state(&rig, 1)->is_there ||
		             serdrv_rig_state(&rig, 1)->is_open);
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
		assert_int_equal(pv_serdrv_write(serdrv_rig_port(&rig, 1), &out), -PV_EIO);
		serdrv_rig_close(&rig);
	}
}

static void a_port_that_was_removed_can_be_added_again(void **state)
{
	(void)state;
	for (uint32_t has_reset = 0; has_reset < 2; has_reset++) {
		serdrv_rig_up(&rig, has_reset ? VIRTIO_F_RING_RESET : 0, &serdrv_rig_own);
		for (uint32_t i = 0; i < 20; i++) {
			assert_int_equal(serdrv_rig_give(&rig, 1, "before", 6), 6);
			serdrv_rig_say(&rig, 1, VIRTIO_CONSOLE_DEVICE_REMOVE, 0);
			serdrv_rig_say(&rig, 1, VIRTIO_CONSOLE_DEVICE_ADD, 0);
			pv_serdrv_poll(rig.serial);
			serdrv_rig_expect_told(&rig, 1, VIRTIO_CONSOLE_PORT_READY, 1);
			assert_false(serdrv_rig_state(&rig, 1)->is_open);
			assert_int_equal(pv_serdrv_open(serdrv_rig_port(&rig, 1)), 0);
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
	struct pv_serdrv_data shown = { .buffer = { rig.text, 16 } },
			      unseen = { .buffer = { rig.text, 8 } };

	(void)state;
	for (uint32_t has_gone = 0; has_gone < 2; has_gone++) {
		serdrv_rig_up(&rig, 0, NULL);
		assert_int_equal(pv_serdrv_write(serdrv_rig_port(&rig, 1), &shown), 0);
		pv_serdrv_publish(serdrv_rig_port(&rig, 1));
		assert_int_equal(pv_serdrv_write(serdrv_rig_port(&rig, 1), &unseen), 0);
		serdrv_rig_say(&rig, 1, VIRTIO_CONSOLE_DEVICE_REMOVE, 0);
		serdrv_rig_say(&rig, 1, VIRTIO_CONSOLE_DEVICE_ADD, 0);
		if (has_gone)
			serdrv_rig_say(&rig, 1, VIRTIO_CONSOLE_DEVICE_REMOVE, 0);
		pv_serdrv_poll(rig.serial);
		assert_false(serdrv_rig_state(&rig, 1)->is_there);
		serdrv_rig_expect_told_no_more(&rig);
		assert_int_equal(serdrv_rig_sent(&rig, 1, got), 16);
		assert_int_equal(serdrv_rig_sent(&rig, 1, got), 8);
		pv_serdrv_poll(rig.serial);
		assert_int_equal(shown.error, -PV_EIO);
		assert_int_equal(unseen.error, -PV_EIO);
		assert_int_equal(serdrv_rig_state(&rig, 1)->is_there, !has_gone);
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
			data[i] = (struct pv_serdrv_data){ .buffer = { rig.text + i, 1 } };
			assert_int_equal(pv_serdrv_write(serdrv_rig_port(&rig, 1), &data[i]), 0);
		}
		pv_serdrv_publish(serdrv_rig_port(&rig, 1));
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
		assert_int_equal(got[0], rig.text[i]);
	}
	assert_int_equal(pv_serdrv_poll(rig.serial), 7);
	assert_int_equal(pv_serdrv_counters(serdrv_rig_port(&rig, 1)).repeats, 7);
	assert_int_equal(rig.changes, 0);
	serdrv_rig_close(&rig);
}

static void ports_that_do_not_come_back_were_removed(void **state)
{
	struct pv_serdrv_data out = { .buffer = { rig.text, 16 } };

	(void)state;
	serdrv_rig_up(&rig, 0, &serdrv_rig_own);
	serdrv_rig_say(&rig, 1, VIRTIO_CONSOLE_PORT_OPEN, 1);
	serdrv_rig_say(&rig, 2, VIRTIO_CONSOLE_DEVICE_ADD, 0);
	pv_serdrv_poll(rig.serial);
	assert_int_equal(pv_serdrv_open(serdrv_rig_port(&rig, 2)), 0);
	assert_int_equal(pv_serdrv_write(serdrv_rig_port(&rig, 2), &out), 0);
	pv_serdrv_publish(serdrv_rig_port(&rig, 2));
	rig.changes = 0;
	rig.announces = 1u << 0 | 1u << 1;
	assert_int_equal(pv_serdrv_recover(rig.serial), 0);
	/* Whether somebody is at the other end it has to say anew. */
	serdrv_rig_expect_change(&rig, 0, 0, PV_SERDRV_ADDED);
	serdrv_rig_expect_change(&rig, 1, 1, PV_SERDRV_HOST);
	serdrv_rig_expect_change(&rig, 2, 2, PV_SERDRV_REMOVED);
	assert_int_equal(rig.changes, 3);
	assert_true(out.is_done);
	assert_int_equal(out.error, -PV_EIO);
	assert_true(serdrv_rig_state(&rig, 1)->is_open && !serdrv_rig_state(&rig, 1)->host_is_open);
	assert_int_equal(serdrv_rig_give(&rig, 1, "abc", 3), 3);
	pv_serdrv_poll(rig.serial);
	assert_memory_equal(rig.received, "abc", 3);
	serdrv_rig_close(&rig);
}

static void a_write_that_takes_too_long_ends_and_the_device_is_brought_up_again(void **state)
{
	struct pv_serdrv_data slow = { .buffer = { rig.text, 16 }, .timeout_ns = SECOND_NS },
			      patient = { .buffer = { rig.text, 8 } };

	(void)state;
	serdrv_rig_up(&rig, 0, NULL);
	assert_int_equal(pv_serdrv_write(serdrv_rig_port(&rig, 1), &slow), 0);
	assert_int_equal(pv_serdrv_write(serdrv_rig_port(&rig, 1), &patient), 0);
	pv_serdrv_publish(serdrv_rig_port(&rig, 1));
	assert_int_equal(pv_serdrv_tend(rig.serial), 0);
	assert_int_equal(pv_serdrv_deadline_ns(rig.serial), rig.fake.now_ns + SECOND_NS);
	rig.fake.now_ns += SECOND_NS;
	assert_int_equal(pv_serdrv_tend(rig.serial), 1);
	assert_true(slow.is_done && !patient.is_done);
	assert_int_equal(slow.error, -PV_ETIMEDOUT);
	assert_int_equal(pv_serdrv_counters(serdrv_rig_port(&rig, 1)).overdue, 1);
	assert_int_equal(serdrv_rig_sent(&rig, 1, got), 8);
	serdrv_rig_close(&rig);
}

static void writes_end_with_the_reset_if_that_was_asked_for(void **state)
{
	const struct pv_serdrv_options options = { .ports_max = 2, .fails_on_reset = true };
	struct pv_serdrv_data in = { .buffer = { got, 16 } }, out = { .buffer = { rig.text, 16 } };

	(void)state;
	serdrv_rig_up(&rig, 0, &options);
	assert_int_equal(pv_serdrv_read(serdrv_rig_port(&rig, 1), &in), 0);
	assert_int_equal(pv_serdrv_write(serdrv_rig_port(&rig, 1), &out), 0);
	pv_serdrv_publish(serdrv_rig_port(&rig, 1));
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
	struct pv_serdrv_data out = { .buffer = { rig.text, 16 } };

	(void)state;
	serdrv_rig_open(&rig, 0);
	assert_int_equal(serdrv_rig_start(&rig, &serdrv_rig_own), 0);
	assert_int_equal(pv_serdrv_open(serdrv_rig_port(&rig, 0)), 0);
	assert_int_equal(pv_serdrv_write(serdrv_rig_port(&rig, 0), &out), 0);
	pv_serdrv_publish(serdrv_rig_port(&rig, 0));
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
	struct pv_serdrv_data in = { .buffer = { got, 16 } }, out = { .buffer = { rig.text, 16 } };

	(void)state;
	serdrv_rig_up(&rig, 0, NULL);
	assert_int_equal(pv_serdrv_read(serdrv_rig_port(&rig, 1), &in), 0);
	assert_int_equal(pv_serdrv_write(serdrv_rig_port(&rig, 1), &out), 0);
	pv_serdrv_publish(serdrv_rig_port(&rig, 1));
	serdrv_rig_config(&rig)->max_nr_ports = pv_le32_of(2); /* another device */
	assert_int_equal(pv_serdrv_recover(rig.serial), -PV_EBROKEN);
	assert_int_equal(in.error, -PV_EBROKEN);
	assert_int_equal(out.error, -PV_EBROKEN);
	assert_int_equal(pv_serdrv_write(serdrv_rig_port(&rig, 1), &out), -PV_EBROKEN);
	assert_true(pv_serdrv_is_broken(rig.serial));
	serdrv_rig_config(&rig)->max_nr_ports = pv_le32_of(3);
	assert_int_equal(pv_serdrv_recover(rig.serial), 0);
	assert_int_equal(pv_serdrv_write(serdrv_rig_port(&rig, 1), &out), 0);
	serdrv_rig_close(&rig);
}

static void a_port_can_be_taken_back_and_given_anew(void **state)
{
	struct pv_serdrv_data out = { .buffer = { rig.text, 16 } };

	(void)state;
	serdrv_rig_up(&rig, VIRTIO_F_RING_RESET, &serdrv_rig_own);
	assert_int_equal(pv_serdrv_write(serdrv_rig_port(&rig, 1), &out), 0);
	pv_serdrv_publish(serdrv_rig_port(&rig, 1));
	assert_int_equal(pv_serdrv_queues_reset(serdrv_rig_port(&rig, 1)), 0);
	assert_true(out.is_done);
	assert_int_equal(out.error, -PV_EIO);
	assert_int_equal(serdrv_rig_give(&rig, 1, "abc", 3), 3);
	pv_serdrv_poll(rig.serial);
	assert_int_equal(rig.received_bytes, 3);
	serdrv_rig_close(&rig);

	serdrv_rig_up(&rig, 0, NULL);
	assert_int_equal(pv_serdrv_queues_reset(serdrv_rig_port(&rig, 1)), -PV_ENOTSUP);
	serdrv_rig_close(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
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
