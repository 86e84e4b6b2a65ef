/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * virtio-blk with PCI between the two real halves: our driver on our PCI bus, its registers those
 * of our virtio function, modern and legacy.  Kicks, vectors, INTx, resets of queues and of all;
 * and the function with its device saved and loaded into others at random instants under load.
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
#include "tests/support/pci_couple.h"
#include "tests/support/slot_load.h"

#define QUEUES PV_SLOT_QUEUES

static struct rig {
	struct pv_pci_couple pci;
	struct pv_slot_load load;
	bool is_transitional;
	bool is_legacy; /* the driver */
} rig;

static struct pv_slot_load *const load = &rig.load;

static void rig_open(uint64_t ring_features, uint64_t number, bool is_legacy)
{
	struct pv_random random = pv_random_start(pv_random_seed(), number);

	memset(&rig, 0, sizeof(rig));
	rig.is_legacy = is_legacy;
	rig.is_transitional = is_legacy || number % 2;
	pv_pci_couple_open(&rig.pci, 4u << 20, random);
	rig.pci.is_driver_legacy = is_legacy;
	rig.pci.has_notification_data = !rig.is_transitional;
	pv_slot_load_open(load, &rig.pci.couple, random);
	pv_pci_couple_set_device(&rig.pci, pv_slot_load_make_device(load), PV_VIEW_DEVICE,
	                         rig.is_transitional);
	assert_int_equal(pv_pci_couple_probe(&rig.pci), 0);
	assert_true(rig.pci.bus.bus.is_legacy == is_legacy);
	pv_slot_load_start(load, &rig.pci.bus.bus, ring_features);
}

static void rig_close(void)
{
	pv_slot_load_stop(load);
	pv_pci_couple_close(&rig.pci);
	pv_slot_load_close(load);
}

/* ---- the tests ---- */

static void on_every_ring(void (*body)(void))
{
	for (uint64_t i = 0; i < 2 * PV_SLOT_RINGS; i++) {
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
	for (int i = 0; i < 20; i++)
		pv_slot_load_round(load);
}

/* The loop of the device sleeps each time: a kick must get through the notification register. */
ON_EVERY_RING(a_sleeping_device_is_kicked)
{
	const struct pv_queue_counters *counters = &rig.pci.couple.device->queue[1].counters;

	for (int i = 0; i < 20; i++) {
		uint64_t kicks = counters->kicks;

		pv_couple_sleep(&rig.pci.couple);
		pv_slot_load_send(load, 1, PV_BLKDRV_READ);
		pv_couple_run(&rig.pci.couple);
		assert_int_equal(counters->kicks, kicks + 1);
		if (!rig.is_legacy)
			pv_slot_load_expect_kick(load, 1, &rig.pci.last_kick, 2);
		pv_slot_load_finish(load);
	}
}

static void set_vectors(void)
{
	pv_pci_couple_msix_on(&rig.pci);
	assert_int_equal(pv_pci_bus_config_vector_set(&rig.pci.bus, 0), 0);
	for (uint16_t i = 0; i < QUEUES; i++)
		assert_int_equal(pv_pci_bus_queue_vector_set(&rig.pci.bus, i, (uint16_t)(i + 1)),
		                 0);
	assert_int_equal(pv_pci_bus_queue_vector_set(&rig.pci.bus, 0, QUEUES + 1), -PV_ENOSPC);
	assert_int_equal(pv_pci_bus_queue_vector_set(&rig.pci.bus, 0, 1), 0);
}

ON_EVERY_RING(each_queue_has_its_vector)
{
	set_vectors();
	for (uint32_t i = 0; i < 20; i++) {
		const struct pv_pci_couple_vector *vector = &rig.pci.vector[1 + i % QUEUES];
		const struct pv_pci_couple_vector *other = &rig.pci.vector[1 + (i + 1) % QUEUES];
		uint32_t sent = vector->sent, sent_other = other->sent;

		pv_slot_load_send_and_sleep(load, i % PV_SLOTS);
		pv_slot_load_work_all(load);
		assert_int_equal(vector->sent, sent + 1);
		assert_int_equal(other->sent, sent_other);
		assert_int_equal(vector->message.address, 0xfee00000u);
		assert_int_equal(vector->message.data, 0x41u + i % QUEUES);
		pv_slot_load_finish(load);
	}
	assert_int_equal(rig.pci.virtio.transport.isr, 0);
}

static void mask(uint32_t vector, bool is_masked)
{
	pv_pci_bar_write(&rig.pci.virtio.function, PV_VIRTIO_PCI_BAR_MSIX, vector * 16 + 12, 4,
	                 is_masked);
}

static uint64_t pending_bits(void)
{
	return pv_pci_bar_read(&rig.pci.virtio.function, PV_VIRTIO_PCI_BAR_MSIX,
	                       rig.pci.virtio.msix.pba_offset, 8);
}

ON_EVERY_RING(a_masked_vector_is_sent_later)
{
	set_vectors();
	mask(2, true);
	pv_slot_load_send_and_sleep(load, 1);
	pv_slot_load_work_all(load);
	assert_int_equal(rig.pci.vector[2].sent, 0);
	assert_int_equal(pending_bits(), 1u << 2);
	mask(2, false);
	assert_int_equal(rig.pci.vector[2].sent, 1);
	assert_int_equal(pending_bits(), 0);
	pv_slot_load_finish(load);
}

static bool has_intx(void)
{
	const struct pv_pci_function *function = &rig.pci.virtio.function;

	return function->ops->has_intx(function);
}

ON_EVERY_RING(without_vectors_the_pin_is_pulled)
{
	struct pv_pci_function *function = &rig.pci.virtio.function;

	assert_false(has_intx());
	pv_slot_load_send_and_sleep(load, 0);
	pv_slot_load_work_all(load);
	assert_true(has_intx());
	assert_int_equal(pv_pci_config_read(function, PCI_STATUS, 2) & PCI_STATUS_INTERRUPT,
	                 PCI_STATUS_INTERRUPT);
	pv_pci_config_write(function, PCI_COMMAND, 2,
	                    PCI_COMMAND_MEMORY | PCI_COMMAND_INTX_DISABLE);
	assert_false(has_intx());
	pv_pci_config_write(function, PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
	assert_true(has_intx());
	assert_int_equal(pv_pci_bus_isr_get(&rig.pci.bus), VIRTIO_PCI_ISR_QUEUE);
	assert_false(has_intx());
	assert_int_equal(pv_pci_bus_isr_get(&rig.pci.bus), 0);
	pv_slot_load_finish(load);
}

ON_EVERY_RING(a_change_of_the_configuration_is_told)
{
	uint32_t generation, later;

	/* A legacy device has no generations. */
	assert_int_equal(rig.pci.bus.bus.ops->config_generation(&rig.pci.bus.bus, &generation), 0);
	pv_device_config_changed(rig.pci.couple.device);
	assert_int_equal(pv_pci_bus_isr_get(&rig.pci.bus), VIRTIO_PCI_ISR_CONFIG);
	assert_int_equal(rig.pci.bus.bus.ops->config_generation(&rig.pci.bus.bus, &later), 0);
	assert_true((generation == later) == rig.is_legacy);
	set_vectors();
	pv_device_config_changed(rig.pci.couple.device);
	assert_int_equal(rig.pci.vector[0].sent, 1);
}

ON_EVERY_RING(a_queue_is_reset_and_works_again)
{
	if (rig.is_legacy) {
		assert_int_equal(pv_blkdrv_queue_reset(pv_slot_load_queue(load, 1)), -PV_ENOTSUP);
		return;
	}
	for (int i = 0; i < 5; i++) {
		pv_slot_load_round(load);
		assert_int_equal(pv_blkdrv_queue_reset(pv_slot_load_queue(load, 1)), 0);
		pv_slot_load_round(load);
	}
}

/* ---- moving ---- */

static void put(struct pv_device *device, enum pv_twin_view view)
{
	pv_pci_couple_set_device(&rig.pci, device, view, rig.is_transitional);
}

static void registers_save(struct pv_state_writer *to)
{
	pv_virtio_pci_save(&rig.pci.virtio, to);
}

static void registers_load(struct pv_state_reader *from)
{
	pv_virtio_pci_load(&rig.pci.virtio, from);
}

static const struct pv_slot_transport transport = { put, registers_save, registers_load };

ON_EVERY_RING(a_function_moves_under_load)
{
	set_vectors();
	pv_slot_load_move_often(load, &transport);
	pv_slot_load_send_and_sleep(load, 0);
	pv_slot_load_work_all(load);
	assert_int_equal(rig.pci.vector[1].sent, 1);
	pv_slot_load_finish(load);
	pv_slot_load_round(load);
	assert_memory_equal(load->disk, load->model, PV_SLOT_DISK_BYTES);
}

/* A state that is short, or has bits that cannot be, is found bad and harms nothing. */
static void a_state_that_was_altered_harms_nothing(void **state)
{
	(void)state;
	rig_open(VIRTIO_F_EVENT_IDX, 0, false);
	set_vectors();
	pv_slot_load_spoil(load, &transport);
	pv_device_resume(rig.pci.couple.device);
	pv_virtio_pci_reset(&rig.pci.virtio);
	rig_close();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(requests_go_through),
		cmocka_unit_test(a_sleeping_device_is_kicked),
		cmocka_unit_test(each_queue_has_its_vector),
		cmocka_unit_test(a_masked_vector_is_sent_later),
		cmocka_unit_test(without_vectors_the_pin_is_pulled),
		cmocka_unit_test(a_change_of_the_configuration_is_told),
		cmocka_unit_test(a_queue_is_reset_and_works_again),
		cmocka_unit_test(a_function_moves_under_load),
		cmocka_unit_test(a_state_that_was_altered_harms_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
