/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The console device (virtio 1.3, section 5.3) as drivers without MULTIPORT know it: one port, its
 * size, and a byte for emergencies.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "ring/err.h"
#include "tests/support/serial_rig.h"

#define PORTS     4u
#define MULTIPORT VIRTIO_CONSOLE_F_MULTIPORT
#define SIZE      VIRTIO_CONSOLE_F_SIZE

static struct serial_rig rig;
static uint8_t pattern[100];

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

static void one_port_needs_no_messages(void **state)
{
	uint32_t bytes;

	(void)state;
	for (uint16_t i = 0; i < PV_RING_KINDS; i++) {
		open_rig(PORTS, i % 2);
		serial_rig_add(&rig, 0, 0, NULL, true);
		assert_false(pv_serial_is_guest_open(rig.device, 0));
		serial_rig_start(&rig, pv_ring_kind[i]);
		assert_true(pv_serial_is_guest_open(rig.device, 0));
		serial_rig_buffer(&rig, RX(0), 100);
		serial_rig_send(&rig, TX(0), pattern, 100);
		pv_memory_line_put(&rig.line[0], pattern, 60);
		serial_rig_run(&rig);
		assert_int_equal(rig.line[0].written_bytes, 100);
		assert_memory_equal(rig.line[0].written, pattern, 100);
		assert_non_null(device_rig_take(&rig.base, RX(0), &bytes));
		assert_int_equal(bytes, 60);
		assert_string_equal(rig.guest_change, "0 open");
		assert_int_equal(pv_device_reset(rig.device, (struct pv_waiter){ 0 }), 0);
		assert_string_equal(rig.guest_change, "0 closed");
		assert_int_equal(rig.guest_changes, 2);
		close_rig();
	}
}

static void config_is(uint16_t columns, uint16_t rows, uint32_t ports)
{
	struct virtio_console_config config;

	assert_int_equal(pv_device_config_read(rig.device, 0, &config, sizeof(config)), 0);
	assert_int_equal(pv_le16_get(config.cols), columns);
	assert_int_equal(pv_le16_get(config.rows), rows);
	assert_int_equal(pv_le32_get(config.max_nr_ports), ports);
}

static void the_configuration_has_the_size_of_port_0(void **state)
{
	(void)state;
	open_rig(PORTS, false);
	pv_memory_line_set_size(&rig.line[0], 80, 25);
	serial_rig_add(&rig, 0, 0, NULL, true);
	serial_rig_add(&rig, 1, 1, NULL, true);
	config_is(80, 25, PORTS);
	serial_rig_start(&rig, SIZE);
	serial_rig_run(&rig);
	assert_int_equal(rig.base.config_changes, 0);
	pv_memory_line_set_size(&rig.line[0], 132, 43);
	serial_rig_run(&rig);
	assert_int_equal(rig.base.config_changes, 1);
	config_is(132, 43, PORTS);
	pv_memory_line_set_size(&rig.line[1], 7, 7);
	serial_rig_run(&rig);
	config_is(132, 43, PORTS);
	assert_int_equal(rig.base.config_changes, 1);
	close_rig();
}

static void an_emergency_is_written_at_any_time(void **state)
{
	const struct pv_le32 value = pv_le32_of(0x11223341);
	const uint8_t byte = 'B';

	(void)state;
	open_rig(PORTS, false);
	assert_int_equal(pv_device_config_write(rig.device, 8, &value, 4), 0);
	serial_rig_add(&rig, 1, 1, NULL, false);
	serial_rig_add(&rig, 2, 2, NULL, true);
	assert_int_equal(pv_device_config_write(rig.device, 8, &value, 4), 0);
	assert_int_equal(rig.line[2].emergency, 'A');
	serial_rig_start(&rig, MULTIPORT);
	assert_int_equal(pv_device_config_write(rig.device, 8, &byte, 1), 0);
	assert_int_equal(rig.line[2].emergency, 'B');
	assert_int_equal(pv_device_config_write(rig.device, 9, &byte, 1), 0);
	assert_int_equal(pv_device_config_write(rig.device, 4, &value, 4), -PV_ENOTSUP);
	assert_int_equal(pv_device_config_write(rig.device, 9, &value, 4), -PV_EINVAL);
	assert_int_equal(rig.line[2].emergencies, 2);
	assert_int_equal(rig.line[1].emergencies, 0);
	close_rig();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_port_needs_no_messages),
		cmocka_unit_test(the_configuration_has_the_size_of_port_0),
		cmocka_unit_test(an_emergency_is_written_at_any_time),
	};

	for (size_t i = 0; i < sizeof(pattern); i++)
		pattern[i] = (uint8_t)(i + 1);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
