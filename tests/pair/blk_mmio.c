/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * virtio-blk with MMIO between the two real halves: our driver on our MMIO bus, its registers
 * those of our transport, of version 2 and of version 1.  Kicks, the interrupt line, resets of
 * queues and of all; and the registers with the device saved and loaded into others under load.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "drivers/bus/legacy.h"
#include "ring/err.h"
#include "tests/support/each.h"
#include "tests/support/mmio_couple.h"
#include "tests/support/slot_load.h"

static struct rig {
	struct pv_mmio_couple mmio;
	struct pv_slot_load load;
	bool is_legacy;
} rig;

static struct pv_slot_load *const load = &rig.load;

static void rig_open(uint64_t ring_features, uint64_t number, bool is_legacy)
{
	struct pv_random random = pv_random_start(pv_random_seed(), number);

	memset(&rig, 0, sizeof(rig));
	rig.is_legacy = is_legacy;
	pv_mmio_couple_open(&rig.mmio, 4u << 20, random);
	rig.mmio.has_notification_data = number % 2;
	pv_slot_load_open(load, &rig.mmio.couple, random);
	pv_mmio_couple_set_device(&rig.mmio, pv_slot_load_make_device(load), PV_VIEW_DEVICE,
	                          rig.is_legacy);
	assert_int_equal(pv_mmio_couple_probe(&rig.mmio), 0);
	pv_slot_load_start(load, &rig.mmio.bus.bus, ring_features);
}

static void rig_close(void)
{
	pv_slot_load_stop(load);
	pv_mmio_couple_close(&rig.mmio);
	pv_slot_load_close(load);
}

/* ---- the tests ---- */

static void on_every_ring(void (*body)(void))
{
	for (size_t i = 0; i < 2 * PV_SLOT_RINGS; i++) {
		if (pv_slot_rings[i / 2].is_legacy && !PV_LEGACY_IS_KNOWN)
			continue;
		rig_open(pv_slot_rings[i / 2].features, i, pv_slot_rings[i / 2].is_legacy);
		body();
		rig_close();
	}
}

#define ON_EVERY_RING(name) PV_TEST_EACH(on_every_ring, name)

ON_EVERY_RING(requests_go_through)
{
	uint64_t version_1 = pv_blkdrv_disk(load->driver)->features & VIRTIO_F_VERSION_1;

	assert_int_equal(version_1, rig.is_legacy ? 0 : VIRTIO_F_VERSION_1);
	for (int i = 0; i < 20; i++)
		pv_slot_load_round(load);
}

/* The loop of the device sleeps each time: a kick must get through the notification register. */
ON_EVERY_RING(a_sleeping_device_is_kicked)
{
	const struct pv_queue_counters *counters = &rig.mmio.couple.device->queue[1].counters;

	for (int i = 0; i < 20; i++) {
		uint64_t kicks = counters->kicks;

		pv_couple_sleep(&rig.mmio.couple);
		pv_slot_load_send(load, 1, PV_BLKDRV_READ);
		pv_couple_run(&rig.mmio.couple);
		assert_int_equal(counters->kicks, kicks + 1);
		pv_slot_load_expect_kick(load, 1, &rig.mmio.last_kick, 4);
		pv_slot_load_finish(load);
	}
}

/* It is high from the first used buffer until the driver says that it has seen it. */
ON_EVERY_RING(the_line_follows_the_status)
{
	for (uint32_t i = 0; i < 20; i++) {
		uint32_t raised = rig.mmio.raised;

		assert_false(rig.mmio.is_line_high);
		pv_slot_load_send_and_sleep(load, i % PV_SLOTS);
		pv_slot_load_work_all(load);
		assert_true(rig.mmio.is_line_high);
		assert_int_equal(rig.mmio.raised, raised + 1);
		assert_int_equal(pv_mmio_bus_interrupt_take(&rig.mmio.bus), VIRTIO_MMIO_INT_QUEUE);
		assert_false(rig.mmio.is_line_high);
		assert_int_equal(pv_mmio_bus_interrupt_take(&rig.mmio.bus), 0);
		pv_slot_load_finish(load);
		/* What it took while it looked by itself may have raised the line too. */
		pv_mmio_bus_interrupt_take(&rig.mmio.bus);
	}
}

ON_EVERY_RING(a_change_of_the_configuration_is_told)
{
	struct pv_bus *bus = &rig.mmio.bus.bus;
	uint32_t generation, later;

	assert_int_equal(bus->ops->config_generation(bus, &generation), 0);
	pv_device_config_changed(rig.mmio.couple.device);
	assert_int_equal(pv_mmio_bus_interrupt_take(&rig.mmio.bus), VIRTIO_MMIO_INT_CONFIG);
	assert_int_equal(bus->ops->config_generation(bus, &later), 0);
	/* Version 1 has no such register. */
	assert_int_equal(generation != later, !rig.is_legacy);
}

ON_EVERY_RING(a_queue_is_reset_and_works_again)
{
	int expected = rig.is_legacy ? -PV_ENOTSUP : 0;

	for (int i = 0; i < 5; i++) {
		pv_slot_load_round(load);
		assert_int_equal(pv_blkdrv_queue_reset(pv_slot_load_queue(load, 1)), expected);
		pv_slot_load_round(load);
	}
}

/* ---- moving ---- */

static void put(struct pv_device *device, enum pv_twin_view view)
{
	pv_mmio_couple_set_device(&rig.mmio, device, view, rig.is_legacy);
}

static void registers_save(struct pv_state_writer *to)
{
	pv_virtio_mmio_save(&rig.mmio.mmio, to);
}

static void registers_load(struct pv_state_reader *from)
{
	pv_virtio_mmio_load(&rig.mmio.mmio, from);
}

static const struct pv_slot_transport transport = { put, registers_save, registers_load };

ON_EVERY_RING(a_device_moves_under_load)
{
	pv_slot_load_move_often(load, &transport);
	pv_mmio_bus_interrupt_take(&rig.mmio.bus);
	pv_slot_load_send_and_sleep(load, 0);
	pv_slot_load_work_all(load);
	assert_true(rig.mmio.is_line_high);
	pv_slot_load_finish(load);
	pv_slot_load_round(load);
	assert_memory_equal(load->disk, load->model, PV_SLOT_DISK_BYTES);
}

/* An interrupt that nobody has seen goes along. */
ON_EVERY_RING(what_was_not_acknowledged_moves_too)
{
	uint8_t data[4096];
	struct pv_state_writer to = { .data = data, .capacity = sizeof(data) };
	struct pv_state_reader from = { .data = data };

	pv_device_config_changed(rig.mmio.couple.device);
	registers_save(&to);
	assert_in_range(to.bytes, 1, sizeof(data));
	from.bytes = to.bytes;
	assert_int_equal(pv_mmio_bus_interrupt_take(&rig.mmio.bus), VIRTIO_MMIO_INT_CONFIG);
	assert_false(rig.mmio.is_line_high);
	registers_load(&from);
	assert_false(from.is_bad);
	assert_true(rig.mmio.is_line_high);
	assert_int_equal(pv_mmio_bus_interrupt_take(&rig.mmio.bus), VIRTIO_MMIO_INT_CONFIG);
}

/* A state that is short, or has bits that cannot be, is found bad and harms nothing. */
static void a_state_that_was_altered_harms_nothing(void **state)
{
	(void)state;
	for (int is_legacy = 0; is_legacy <= PV_LEGACY_IS_KNOWN; is_legacy++) {
		rig_open(VIRTIO_F_EVENT_IDX, 0, is_legacy);
		pv_slot_load_spoil(load, &transport);
		pv_device_resume(rig.mmio.couple.device);
		pv_virtio_mmio_reset(&rig.mmio.mmio);
		rig_close();
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(requests_go_through),
		cmocka_unit_test(a_sleeping_device_is_kicked),
		cmocka_unit_test(the_line_follows_the_status),
		cmocka_unit_test(a_change_of_the_configuration_is_told),
		cmocka_unit_test(a_queue_is_reset_and_works_again),
		cmocka_unit_test(a_device_moves_under_load),
		cmocka_unit_test(what_was_not_acknowledged_moves_too),
		cmocka_unit_test(a_state_that_was_altered_harms_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
