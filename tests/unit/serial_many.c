/* SPDX-License-Identifier: BSD-2-Clause */
/* The console device with as many ports as there can be: each is told of, and has its own bytes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "tests/support/serial_rig.h"
#include "ring/err.h"

static struct serial_rig rig;
static uint8_t pattern[16];

static struct pv_memory_line many[VIRTIO_CONSOLE_PORTS_MAX];

static void add_all(void)
{
	char name[16];

	for (uint16_t i = 0; i < VIRTIO_CONSOLE_PORTS_MAX; i++) {
		const struct pv_serial_port port = { .line = &many[i].line, .name = name };

		pv_memory_line_open(&many[i]);
		snprintf(name, sizeof(name), "port%u", i);
		assert_int_equal(pv_serial_free_port(rig.device), i);
		assert_int_equal(pv_serial_add_port(rig.device, i, &port), 0);
	}
	assert_int_equal(pv_serial_free_port(rig.device), -PV_ENOSPC);
}

/* Many at a time: each time all of 1024 queues are run. */
#define BATCH 10u

static void set_up_batch(uint16_t first, uint16_t end)
{
	char name[16];

	for (uint16_t i = first; i < end; i++)
		serial_rig_post(&rig, i, VIRTIO_CONSOLE_PORT_READY, 1);
	serial_rig_listen(&rig, 2u * (end - first));
	for (uint16_t i = first; i < end; i++) {
		snprintf(name, sizeof(name), "port%u", i);
		serial_rig_expect_back(&rig, CONTROL_TX);
		serial_rig_expect_message(&rig, i, VIRTIO_CONSOLE_PORT_NAME, 1, name,
		                          (uint32_t)strlen(name));
		serial_rig_expect_message(&rig, i, VIRTIO_CONSOLE_PORT_OPEN, 1, NULL, 0);
		serial_rig_post(&rig, i, VIRTIO_CONSOLE_PORT_OPEN, 1);
	}
	serial_rig_run(&rig);
	for (uint16_t i = first; i < end; i++) {
		serial_rig_expect_back(&rig, CONTROL_TX);
		assert_true(pv_serial_is_guest_open(rig.device, i));
	}
}

static void expect_told_of_batch(uint16_t first, uint16_t end, uint16_t event)
{
	serial_rig_listen(&rig, end - first);
	for (uint16_t i = first; i < end; i++)
		serial_rig_expect_message(&rig, i, event, 1, NULL, 0);
}

static uint16_t end_of_batch(uint16_t first)
{
	return first + BATCH < VIRTIO_CONSOLE_PORTS_MAX ? (uint16_t)(first + BATCH)
	                                                : VIRTIO_CONSOLE_PORTS_MAX;
}

static void bring_all_up(void)
{
	for (uint16_t i = 0; i < VIRTIO_CONSOLE_PORTS_MAX; i = end_of_batch(i))
		expect_told_of_batch(i, end_of_batch(i), VIRTIO_CONSOLE_DEVICE_ADD);
	for (uint16_t i = 0; i < VIRTIO_CONSOLE_PORTS_MAX; i = end_of_batch(i))
		set_up_batch(i, end_of_batch(i));
}

/* Each byte of port i is i. */
static void exchange_with_all(void)
{
	uint32_t bytes;

	for (uint16_t i = 0; i < VIRTIO_CONSOLE_PORTS_MAX; i++) {
		memset(pattern, (uint8_t)i, 10);
		serial_rig_send(&rig, TX(i), pattern, 10);
		serial_rig_buffer(&rig, RX(i), 20);
		pv_memory_line_put(&many[i], pattern, 10);
	}
	serial_rig_run(&rig);
	for (uint16_t i = 0; i < VIRTIO_CONSOLE_PORTS_MAX; i++) {
		uint8_t *buffer = device_rig_take(&rig.base, RX(i), &bytes);

		memset(pattern, (uint8_t)i, 10);
		assert_int_equal(many[i].written_bytes, 10);
		assert_memory_equal(many[i].written, pattern, 10);
		assert_non_null(buffer);
		assert_int_equal(bytes, 10);
		assert_memory_equal(buffer, pattern, 10);
	}
}

static void remove_all(void)
{
	for (uint16_t i = 0; i < VIRTIO_CONSOLE_PORTS_MAX; i++)
		serial_rig_remove(&rig, i);
	serial_rig_run(&rig);
	assert_int_equal(rig.removals, VIRTIO_CONSOLE_PORTS_MAX);
	for (uint16_t i = 0; i < VIRTIO_CONSOLE_PORTS_MAX; i = end_of_batch(i))
		expect_told_of_batch(i, end_of_batch(i), VIRTIO_CONSOLE_DEVICE_REMOVE);
	for (uint16_t i = 0; i < VIRTIO_CONSOLE_PORTS_MAX; i++)
		pv_memory_line_close(&many[i]);
}

static void all_511_ports_work(void **state)
{
	const struct pv_serial_options options = { .ports_max = VIRTIO_CONSOLE_PORTS_MAX };

	(void)state;
	serial_rig_open(&rig, &options);
	assert_int_equal(rig.device->queues, 1024);
	add_all();
	serial_rig_start(&rig, VIRTIO_F_RING_PACKED | VIRTIO_CONSOLE_F_MULTIPORT);
	serial_rig_say(&rig, 0, VIRTIO_CONSOLE_DEVICE_READY, 1);
	bring_all_up();
	exchange_with_all();
	remove_all();
	serial_rig_close(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_511_ports_work),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
