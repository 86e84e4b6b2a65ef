/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A lying device under our serial driver: messages, lengths and used entries that cannot be, floods
 * and silence.  What makes no sense is counted and has no effect; each write and each read ends
 * once; and all of it in bounded time and memory.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "ring/barrier.h"
#include "ring/err.h"
#include "tests/support/random.h"
#include "tests/support/serdrv_rig.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

#define ROUNDS    300u
#define SECOND_NS 1000000000ull
#define DATA      6u

static struct serdrv_rig rig;
static uint8_t bytes_of[2][64];

static void use(uint16_t queue, uint32_t id, uint32_t bytes)
{
	struct virtq_used *used = pv_fake_at(rig.fake.queue[queue].device_area);
	uint16_t idx = pv_le16_get(used->idx);

	used->ring[idx % rig.fake.queue[queue].size] =
		(struct virtq_used_elem){ pv_le32_of(id), pv_le32_of(bytes) };
	pv_publish_le16(&used->idx, (uint16_t)(idx + 1));
}

/* ---- lengths ---- */

static void a_length_beyond_the_buffer_is_cut_and_counted(void **state)
{
	const uint32_t lengths[] = { 17, 0x10000, UINT32_MAX };

	(void)state;
	for (size_t i = 0; i < COUNT(lengths); i++) {
		struct pv_serdrv_data data = { .buffer = { bytes_of[0], 16 } };

		serdrv_rig_up(&rig, 0, NULL);
		assert_int_equal(pv_serdrv_read(serdrv_rig_port(&rig, 1), &data), 0);
		pv_serdrv_publish(serdrv_rig_port(&rig, 1));
		use(virtio_console_receiveq(1), 0, lengths[i]);
		assert_int_equal(pv_serdrv_poll(rig.serial), 1);
		assert_int_equal(data.bytes, 16);
		assert_int_equal(pv_serdrv_counters(serdrv_rig_port(&rig, 1)).lies, 1);
		serdrv_rig_close(&rig);

		serdrv_rig_up(&rig, 0, &serdrv_rig_own);
		use(virtio_console_receiveq(1), 0, lengths[i]);
		assert_int_equal(pv_serdrv_poll(rig.serial), 1);
		assert_int_equal(rig.received_bytes, 16);
		assert_int_equal(pv_serdrv_counters(serdrv_rig_port(&rig, 1)).lies, 1);
		serdrv_rig_close(&rig);
	}
}

static void a_message_longer_than_its_buffer_is_cut(void **state)
{
	(void)state;
	serdrv_rig_up(&rig, 0, NULL);
	serdrv_rig_say(&rig, 1, VIRTIO_CONSOLE_PORT_NAME, 0);
	pv_serdrv_poll(rig.serial);
	rig.changes = 0;
	/* The message of before, of which it says that it is 4 GiB long. */
	for (uint32_t i = 0; i < 16; i++)
		use(VIRTIO_CONSOLE_CONTROL_RECEIVEQ, i, UINT32_MAX);
	pv_serdrv_poll(rig.serial);
	assert_int_equal(pv_serdrv_control_counters(rig.serial).lies, 16);
	assert_int_equal(pv_serdrv_control_counters(rig.serial).malformed, 16);
	assert_int_equal(rig.changes, 0);
	serdrv_rig_close(&rig);
}

/* ---- used entries ---- */

static void an_id_that_is_not_in_flight_breaks_the_queue_until_it_is_tended(void **state)
{
	const uint16_t queues[] = { VIRTIO_CONSOLE_CONTROL_RECEIVEQ,
		                    VIRTIO_CONSOLE_CONTROL_TRANSMITQ, 4, 5 };
	const uint32_t ids[] = { 15, 16, 0xffff, UINT32_MAX };

	(void)state;
	for (size_t i = 0; i < COUNT(queues) * COUNT(ids); i++) {
		struct pv_serdrv_data out = { .buffer = { bytes_of[0], 16 } };
		const uint16_t queue = queues[i % COUNT(queues)];
		const uint32_t id = ids[i / COUNT(queues)];

		/* Of messages to the driver all 16 places are in flight. */
		if (queue == VIRTIO_CONSOLE_CONTROL_RECEIVEQ && id == 15)
			continue;
		serdrv_rig_up(&rig, 0, &serdrv_rig_own);
		assert_int_equal(pv_serdrv_write(serdrv_rig_port(&rig, 1), &out), 0);
		pv_serdrv_publish(serdrv_rig_port(&rig, 1));
		use(queue, id, 1);
		pv_serdrv_poll(rig.serial);
		assert_true(pv_serdrv_is_broken(rig.serial));
		assert_false(out.is_done);
		assert_int_equal(pv_serdrv_tend(rig.serial), 1);
		assert_false(pv_serdrv_is_broken(rig.serial));
		assert_int_equal(serdrv_rig_sent(&rig, 1, bytes_of[1]), 16);
		assert_int_equal(serdrv_rig_give(&rig, 1, "abc", 3), 3);
		pv_serdrv_poll(rig.serial);
		assert_true(out.is_done && out.error == 0);
		assert_int_equal(rig.received_bytes, 3);
		serdrv_rig_close(&rig);
	}
}

/* ---- floods, and silence ---- */

/* A poll ends, however many messages there are; and none of them costs anything that stays. */
static void ports_that_come_and_go_without_an_end_are_survived(void **state)
{
	(void)state;
	serdrv_rig_up(&rig, VIRTIO_F_RING_RESET, &serdrv_rig_own);
	rig.opens_all = true;
	for (uint32_t i = 0; i < 1000; i++) {
		uint32_t said = 0;

		while (serdrv_rig_say(
			&rig, i % 3,
			said % 2 ? VIRTIO_CONSOLE_DEVICE_REMOVE : VIRTIO_CONSOLE_DEVICE_ADD, 0))
			said++;
		assert_int_equal(said, 16);
		assert_true(pv_serdrv_poll(rig.serial) <= 16 + 2 * 16 * SERDRV_RIG_PORTS);
	}
	/* It has read none of the answers so far. */
	serdrv_rig_read_messages(&rig);
	assert_true(rig.messages - rig.looked <= 16);
	serdrv_rig_close(&rig);
}

static void empty_buffers_without_an_end_do_not_hold_up_a_poll(void **state)
{
	(void)state;
	serdrv_rig_up(&rig, 0, &serdrv_rig_own);
	for (uint32_t i = 0; i < 1000; i++) {
		assert_int_equal(serdrv_rig_give(&rig, 1, "", 0), 0);
		pv_serdrv_poll(rig.serial);
	}
	assert_int_equal(pv_serdrv_counters(serdrv_rig_port(&rig, 1)).empty, 1000);
	assert_int_equal(rig.received_bytes, 0);
	serdrv_rig_close(&rig);
}

static uint32_t floods;

/* As soon as there is a buffer again, 100 ms later. */
static void say_once_more(struct pv_fake_bus *fake, uint16_t queue)
{
	if (queue != VIRTIO_CONSOLE_CONTROL_RECEIVEQ || floods == 0)
		return;
	floods--;
	fake->now_ns += SECOND_NS / 10;
	serdrv_rig_say_more(&rig, 1, VIRTIO_CONSOLE_PORT_NAME, 0, "name", 4);
}

static void a_wait_ends_though_the_device_talks_without_an_end(void **state)
{
	const bool never = false;

	(void)state;
	serdrv_rig_up(&rig, 0, NULL);
	rig.fake.on_kick = say_once_more;
	floods = 10000;
	serdrv_rig_say_more(&rig, 1, VIRTIO_CONSOLE_PORT_NAME, 0, "name", 4);
	assert_int_equal(pv_serdrv_wait(rig.serial, &never, 10 * SECOND_NS), -PV_ETIMEDOUT);
	assert_true(floods > 9000);
	assert_int_equal(rig.fake.waits, 0);
	serdrv_rig_close(&rig);
}

static void a_device_that_says_nothing_after_a_reset_costs_a_timeout(void **state)
{
	struct pv_serdrv_data out = { .buffer = { bytes_of[0], 16 } };
	uint64_t begin_ns;

	(void)state;
	serdrv_rig_up(&rig, 0, &serdrv_rig_own);
	assert_int_equal(pv_serdrv_write(serdrv_rig_port(&rig, 1), &out), 0);
	pv_serdrv_publish(serdrv_rig_port(&rig, 1));
	rig.is_silent = true;
	begin_ns = rig.fake.now_ns;
	rig.fake.status |= VIRTIO_STATUS_NEEDS_RESET;
	assert_int_equal(pv_serdrv_tend(rig.serial), 1);
	assert_in_range(rig.fake.now_ns - begin_ns, SECOND_NS, 2 * SECOND_NS);
	assert_false(pv_serdrv_state(serdrv_rig_port(&rig, 1))->is_there);
	assert_int_equal(out.error, -PV_EIO);
	/* When it speaks in the end, all is well. */
	serdrv_rig_read_messages(&rig);
	pv_serdrv_poll(rig.serial);
	assert_true(pv_serdrv_state(serdrv_rig_port(&rig, 1))->is_there);
	serdrv_rig_close(&rig);
}

static void a_device_that_breaks_while_it_is_brought_up_again_ends_everything(void **state)
{
	struct pv_serdrv_data out = { .buffer = { bytes_of[0], 16 } };

	(void)state;
	for (uint32_t at = 1; at < 60; at++) {
		int error;

		serdrv_rig_up(&rig, 0, &serdrv_rig_own);
		assert_int_equal(pv_serdrv_write(serdrv_rig_port(&rig, 1), &out), 0);
		pv_serdrv_publish(serdrv_rig_port(&rig, 1));
		rig.fake.trouble_at = rig.fake.steps + at;
		rig.fake.trouble = PV_FAKE_FAILS;
		error = pv_serdrv_recover(rig.serial);
		rig.fake.trouble_at = 0;
		assert_true(error == 0 || (out.is_done && out.error == -PV_EBROKEN));
		if (error)
			assert_int_equal(pv_serdrv_recover(rig.serial), 0);
		assert_true(pv_serdrv_state(serdrv_rig_port(&rig, 1))->is_open);
		serdrv_rig_close(&rig);
	}
}

/* ---- anything at all ---- */

static struct pv_serdrv_data data[DATA];

static void done(struct pv_serdrv_data *which)
{
	bool *is_out = which->arg;

	assert_true(*is_out && which->is_done);
	assert_true(which->bytes <= which->buffer.bytes);
	*is_out = false;
}

static void lie(struct pv_random *random)
{
	const uint16_t queue = (uint16_t)pv_random_below(random, 2 * SERDRV_RIG_PORTS + 2);
	const struct pv_bus_queue *place = &rig.fake.queue[queue];
	uint8_t message[16];

	for (size_t i = 0; i < sizeof(message); i++)
		message[i] = (uint8_t)pv_random_below(random, i % 4 ? 2 : 10);
	if (pv_random_chance(random, 50))
		serdrv_rig_say_raw(&rig, message, pv_random_below(random, sizeof(message) + 1));
	if (pv_random_chance(random, 30))
		use(queue, pv_random_below(random, place->size + 1u), pv_random_below(random, 99));
	/* Where messages are to go to the rig finds here itself. */
	if (queue != VIRTIO_CONSOLE_CONTROL_RECEIVEQ && pv_random_chance(random, 10))
		((uint8_t *)pv_fake_at(place->desc_area))[pv_random_below(random, 64)] ^=
			(uint8_t)pv_random_below(random, 256);
}

static void act(struct pv_random *random, bool *is_out)
{
	const uint32_t which = pv_random_below(random, DATA);
	struct pv_serdrv_port *at =
		serdrv_rig_port(&rig, pv_random_below(random, SERDRV_RIG_PORTS));

	if (!is_out[which]) {
		data[which] = (struct pv_serdrv_data){
			.buffer = { bytes_of[which % 2], 1 + pv_random_below(random, 64) },
			.done = done,
			.arg = &is_out[which],
		};
		is_out[which] = true;
		if (which % 2 ? pv_serdrv_write(at, &data[which])
		              : pv_serdrv_read(at, &data[which]))
			is_out[which] = false;
	}
	if (pv_random_chance(random, 20))
		pv_serdrv_open(at);
	if (pv_random_chance(random, 5))
		pv_serdrv_close(at);
	if (pv_random_chance(random, 5))
		pv_serdrv_queues_reset(at);
	pv_serdrv_publish(at);
}

static void a_device_that_lies_at_random_is_survived(void **state)
{
	(void)state;
	for (uint32_t round = 0; round < ROUNDS; round++) {
		struct pv_random random = pv_random_start(pv_random_seed(), round);
		bool is_out[DATA] = { false };

		serdrv_rig_up(&rig, round % 2 ? VIRTIO_F_RING_RESET : 0,
		              round % 4 < 2 ? NULL : &serdrv_rig_own);
		rig.is_silent = true;
		rig.takes = 5;
		for (int step = 0; step < 40; step++) {
			lie(&random);
			act(&random, is_out);
			pv_serdrv_poll(rig.serial);
			if (pv_random_chance(&random, 10))
				pv_serdrv_tend(rig.serial);
			rig.received_bytes = 0;
		}
		pv_serdrv_fail(rig.serial);
		for (uint32_t i = 0; i < DATA; i++)
			assert_false(is_out[i]);
		serdrv_rig_close(&rig);
	}
}

static void a_device_without_one_of_its_queues_is_refused(void **state)
{
	(void)state;
	for (uint32_t queue = 0; queue < 2 * SERDRV_RIG_PORTS + 2; queue++) {
		serdrv_rig_open(&rig, VIRTIO_CONSOLE_F_MULTIPORT);
		rig.fake.size_max[queue] = 0;
		assert_int_equal(serdrv_rig_start(&rig, &serdrv_rig_own), -PV_EINVAL);
		assert_int_equal(rig.fake.shared_out + rig.fake.private_out, 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_length_beyond_the_buffer_is_cut_and_counted),
		cmocka_unit_test(a_message_longer_than_its_buffer_is_cut),
		cmocka_unit_test(an_id_that_is_not_in_flight_breaks_the_queue_until_it_is_tended),
		cmocka_unit_test(ports_that_come_and_go_without_an_end_are_survived),
		cmocka_unit_test(empty_buffers_without_an_end_do_not_hold_up_a_poll),
		cmocka_unit_test(a_wait_ends_though_the_device_talks_without_an_end),
		cmocka_unit_test(a_device_that_says_nothing_after_a_reset_costs_a_timeout),
		cmocka_unit_test(a_device_that_breaks_while_it_is_brought_up_again_ends_everything),
		cmocka_unit_test(a_device_that_lies_at_random_is_survived),
		cmocka_unit_test(a_device_without_one_of_its_queues_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
