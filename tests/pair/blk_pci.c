/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * virtio-blk with PCI between the two real halves: our driver on our PCI bus, its registers those
 * of our virtio function.  Kicks, vectors, INTx, resets of queues and of all; and the function with
 * its device saved and loaded into others at random instants under load.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "devices/blk/blk.h"
#include "drivers/blk/blk.h"
#include "ring/err.h"
#include "tests/support/pci_couple.h"
#include "tests/support/slow_store.h"

#define DISK_SECTORS 128u
#define DISK_BYTES   (DISK_SECTORS * 512u)
#define QUEUES       2u
#define QUEUE_SIZE   32u
#define REQUESTS     16u
#define TIMEOUT_NS   1000000000ull
#define MOVES        20u
#define STATE_BYTES  16384u

struct slot {
	struct pv_blkdrv_request request;
	struct pv_sg sg;
	bool is_out;
};

static struct rig {
	struct pv_pci_couple pci;
	struct pv_random random;
	struct pv_slow_store store[2];
	void *storage[2];
	unsigned int current; /* of the two devices */
	uint8_t disk[DISK_BYTES];
	uint8_t model[DISK_BYTES];
	struct pv_blkdrv *driver;
	struct slot slot[REQUESTS];
	bool is_transitional;
} rig;

static struct pv_device *make_device(unsigned int which)
{
	const struct pv_blk_options options = {
		.serial = "PCI",
		.queues = QUEUES,
		.queue_size_max = QUEUE_SIZE,
		.has_write_cache = true,
		.is_in_order = true,
	};

	free(rig.storage[which]);
	rig.storage[which] = aligned_alloc(64, (pv_blk_bytes(QUEUES) + 63) & ~63ul);
	memset(rig.storage[which], 0, pv_blk_bytes(QUEUES));
	pv_slow_store_open(&rig.store[which], rig.disk, DISK_BYTES, &rig.random);
	rig.store[which].withdraw_percent = 50;
	return pv_blk_init(rig.storage[which], &rig.pci.couple.port, &rig.store[which].blk,
	                   &options);
}

static void rig_open(uint64_t ring_features, uint64_t number)
{
	const uint64_t ring_bits = VIRTIO_F_INDIRECT_DESC | VIRTIO_F_EVENT_IDX |
	                           VIRTIO_F_RING_PACKED | VIRTIO_F_IN_ORDER;
	const struct pv_blkdrv_options options = {
		.wanted = (PV_BLKDRV_FEATURES & ~ring_bits) | ring_features,
		.queues = QUEUES,
	};

	memset(&rig, 0, sizeof(rig));
	rig.random = pv_random_start(pv_random_seed(), number);
	rig.is_transitional = number % 2;
	pv_pci_couple_open(&rig.pci, 4u << 20, rig.random);
	pv_pci_couple_set_device(&rig.pci, make_device(0), PV_VIEW_DEVICE, rig.is_transitional);
	for (uint32_t i = 0; i < REQUESTS; i++)
		rig.slot[i].sg = (struct pv_sg){
			.addr = pv_twin_alloc(&rig.pci.couple.twin, 512, PV_CUT, 200, &rig.random),
			.bytes = 512,
		};
	assert_int_equal(pv_pci_couple_probe(&rig.pci), 0);
	assert_int_equal(rig.pci.bus.bus.device_id, 2);
	assert_int_equal(
		pv_blkdrv_create(&rig.driver, &rig.pci.bus.bus, &rig.pci.couple.os, &options), 0);
	assert_int_equal(pv_blkdrv_disk(rig.driver)->features & ring_bits, ring_features);
}

static void rig_close(void)
{
	pv_blkdrv_destroy(rig.driver);
	assert_int_equal(pv_device_status(rig.pci.couple.device), 0);
	assert_true(pv_twin_guards_hold(&rig.pci.couple.twin));
	pv_pci_couple_close(&rig.pci);
	free(rig.storage[0]);
	free(rig.storage[1]);
}

/* ---- requests ---- */

static struct pv_blkdrv_queue *queue_of(uint32_t slot)
{
	return pv_blkdrv_queue(rig.driver, (uint16_t)(slot % QUEUES));
}

static uint8_t *buffer_of(uint32_t slot)
{
	return pv_twin_driver(&rig.pci.couple.twin, rig.slot[slot].sg.addr);
}

/* Each slot has sectors of its own, so that the model is right whatever order they come in. */
static void send(uint32_t index, enum pv_blkdrv_op op)
{
	struct slot *slot = &rig.slot[index];
	uint64_t sector = index + REQUESTS * pv_random_below(&rig.random, DISK_SECTORS / REQUESTS);

	slot->request =
		(struct pv_blkdrv_request){ .op = op, .sector = sector, .sgs = 1, .sg = &slot->sg };
	if (op == PV_BLKDRV_WRITE) {
		for (uint32_t i = 0; i < 512; i++)
			rig.model[sector * 512 + i] = (uint8_t)pv_random_below(&rig.random, 256);
		memcpy(buffer_of(index), rig.model + sector * 512, 512);
	} else {
		memset(buffer_of(index), 0xee, 512);
	}
	assert_int_equal(pv_blkdrv_submit(queue_of(index), &slot->request), 0);
	pv_blkdrv_publish(queue_of(index));
	slot->is_out = true;
}

static void take_done(void)
{
	for (uint16_t i = 0; i < QUEUES; i++)
		pv_blkdrv_poll(pv_blkdrv_queue(rig.driver, i));
	for (uint32_t i = 0; i < REQUESTS; i++) {
		struct slot *slot = &rig.slot[i];

		if (!slot->is_out || !slot->request.is_done)
			continue;
		slot->is_out = false;
		assert_int_equal(slot->request.error, 0);
		if (slot->request.op == PV_BLKDRV_READ)
			assert_memory_equal(buffer_of(i), rig.model + slot->request.sector * 512,
			                    512);
	}
}

static bool is_any_out(void)
{
	for (uint32_t i = 0; i < REQUESTS; i++)
		if (rig.slot[i].is_out)
			return true;
	return false;
}

/* The store ends something, and the device hears of it. */
static void work(void)
{
	if (pv_slow_store_finish_one(&rig.store[rig.current]))
		for (uint16_t i = 0; i < QUEUES; i++)
			pv_couple_wake(&rig.pci.couple, i);
	pv_couple_run(&rig.pci.couple);
}

static void finish_all(void)
{
	for (int i = 0; is_any_out(); i++) {
		assert_in_range(i, 0, 10000);
		work();
		take_done();
	}
}

static void a_round(void)
{
	for (uint32_t i = 0; i < REQUESTS; i++)
		send(i, pv_random_chance(&rig.random, 50) ? PV_BLKDRV_WRITE : PV_BLKDRV_READ);
	finish_all();
}

/* ---- the tests ---- */

static const uint64_t features[] = {
	0,
	VIRTIO_F_EVENT_IDX,
	VIRTIO_F_INDIRECT_DESC | VIRTIO_F_EVENT_IDX,
	VIRTIO_F_RING_PACKED,
	VIRTIO_F_RING_PACKED | VIRTIO_F_EVENT_IDX | VIRTIO_F_INDIRECT_DESC,
	VIRTIO_F_RING_PACKED | VIRTIO_F_IN_ORDER | VIRTIO_F_EVENT_IDX,
};

#define FEATURE_SETS (sizeof(features) / sizeof(features[0]))

static void on_every_ring(void (*body)(void))
{
	for (uint64_t i = 0; i < 2 * FEATURE_SETS; i++) {
		rig_open(features[i / 2], i);
		body();
		rig_close();
	}
}

#define ON_EVERY_RING(name)                                                                        \
	static void name##_body(void);                                                             \
	static void name(void **state)                                                             \
	{                                                                                          \
		(void)state;                                                                       \
		on_every_ring(name##_body);                                                        \
	}                                                                                          \
	static void name##_body(void)

ON_EVERY_RING(requests_go_through)
{
	for (int i = 0; i < 20; i++)
		a_round();
}

/* The loop of the device sleeps each time: a kick must get through the notification register. */
ON_EVERY_RING(a_sleeping_device_is_kicked)
{
	const struct pv_queue_counters *counters = &rig.pci.couple.device->queue[1].counters;

	for (int i = 0; i < 20; i++) {
		uint64_t kicks = counters->kicks;

		pv_couple_sleep(&rig.pci.couple);
		send(1, PV_BLKDRV_READ);
		pv_couple_run(&rig.pci.couple);
		assert_int_equal(counters->kicks, kicks + 1);
		finish_all();
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

static void send_and_sleep(uint32_t slot)
{
	assert_false(pv_blkdrv_interrupts_on(queue_of(slot)));
	send(slot, PV_BLKDRV_READ);
}

/* Without looking at the ring. */
static void work_all(void)
{
	for (int i = 0; i < 100; i++)
		work();
}

ON_EVERY_RING(each_queue_has_its_vector)
{
	set_vectors();
	for (uint32_t i = 0; i < 20; i++) {
		const struct pv_pci_couple_vector *vector = &rig.pci.vector[1 + i % QUEUES];
		const struct pv_pci_couple_vector *other = &rig.pci.vector[1 + (i + 1) % QUEUES];
		uint32_t sent = vector->sent, sent_other = other->sent;

		send_and_sleep(i % REQUESTS);
		work_all();
		assert_int_equal(vector->sent, sent + 1);
		assert_int_equal(other->sent, sent_other);
		assert_int_equal(vector->message.address, 0xfee00000u);
		assert_int_equal(vector->message.data, 0x41u + i % QUEUES);
		finish_all();
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
	send_and_sleep(1);
	work_all();
	assert_int_equal(rig.pci.vector[2].sent, 0);
	assert_int_equal(pending_bits(), 1u << 2);
	mask(2, false);
	assert_int_equal(rig.pci.vector[2].sent, 1);
	assert_int_equal(pending_bits(), 0);
	finish_all();
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
	send_and_sleep(0);
	work_all();
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
	finish_all();
}

ON_EVERY_RING(a_change_of_the_configuration_is_told)
{
	uint32_t generation, later;

	assert_int_equal(rig.pci.bus.bus.ops->config_generation(&rig.pci.bus.bus, &generation), 0);
	pv_device_config_changed(rig.pci.couple.device);
	assert_int_equal(pv_pci_bus_isr_get(&rig.pci.bus), VIRTIO_PCI_ISR_CONFIG);
	assert_int_equal(rig.pci.bus.bus.ops->config_generation(&rig.pci.bus.bus, &later), 0);
	assert_int_not_equal(generation, later);
	set_vectors();
	pv_device_config_changed(rig.pci.couple.device);
	assert_int_equal(rig.pci.vector[0].sent, 1);
}

ON_EVERY_RING(a_queue_is_reset_and_works_again)
{
	for (int i = 0; i < 5; i++) {
		a_round();
		assert_int_equal(pv_blkdrv_queue_reset(queue_of(1)), 0);
		a_round();
	}
}

/* ---- moving ---- */

static void note(void *arg)
{
	*(bool *)arg = true;
}

static size_t save(uint8_t *data, size_t *registers)
{
	struct pv_state_writer to = { .data = data, .capacity = STATE_BYTES };
	bool is_paused = false;
	int turns = 0;

	assert_int_equal(
		pv_device_pause(rig.pci.couple.device, (struct pv_waiter){ note, &is_paused }), 0);
	while (!is_paused) {
		assert_in_range(turns++, 0, 10000);
		for (uint16_t queue = 0; queue < QUEUES; queue++)
			pv_couple_wake(&rig.pci.couple, queue);
		work();
	}
	pv_virtio_pci_save(&rig.pci.virtio, &to);
	*registers = to.bytes;
	to.data += to.bytes;
	to.capacity -= to.bytes;
	to.bytes = 0;
	assert_int_equal(pv_device_save(rig.pci.couple.device, &to), 0);
	return to.bytes;
}

/* What the old device allocated is forgotten with it, as when its process ends. */
static void forget(struct pv_device *old)
{
	for (uint16_t i = 0; i < QUEUES; i++) {
		free(old->queue[i].own);
		free(old->queue[i].ring_storage);
		rig.pci.couple.allocs -= 1u + (old->queue[i].ring_storage != NULL);
	}
}

static void move(void)
{
	static uint8_t data[STATE_BYTES];
	struct pv_device *old = rig.pci.couple.device, *device;
	size_t registers, bytes = save(data, &registers);
	struct pv_state_reader from = { .data = data, .bytes = registers };
	enum pv_twin_view view = rig.pci.couple.view == PV_VIEW_DEVICE ? PV_VIEW_DEVICE_OTHER
	                                                               : PV_VIEW_DEVICE;

	pv_twin_allow(&rig.pci.couple.twin, rig.pci.couple.view, false);
	pv_twin_allow(&rig.pci.couple.twin, view, true);
	rig.current = !rig.current;
	device = make_device(rig.current);
	pv_pci_couple_set_device(&rig.pci, device, view, rig.is_transitional);
	assert_int_equal(pv_device_load(device, data + registers, bytes), 0);
	forget(old);
	pv_virtio_pci_load(&rig.pci.virtio, &from);
	assert_false(from.is_bad);
	assert_int_equal(from.bytes, 0);
	pv_device_resume(device);
	for (uint16_t i = 0; i < QUEUES; i++)
		rig.pci.couple.lane[i].is_kicked = true;
}

ON_EVERY_RING(a_function_moves_under_load)
{
	set_vectors();
	for (uint32_t i = 0; i < MOVES; i++) {
		for (uint32_t slot = 0; slot < REQUESTS; slot++)
			if (!rig.slot[slot].is_out)
				send(slot, PV_BLKDRV_WRITE);
		for (uint32_t steps = pv_random_below(&rig.random, 20); steps > 0; steps--) {
			work();
			take_done();
		}
		move();
	}
	finish_all();
	send_and_sleep(0);
	work_all();
	assert_int_equal(rig.pci.vector[1].sent, 1);
	finish_all();
	a_round();
	assert_memory_equal(rig.disk, rig.model, DISK_BYTES);
}

/* A state that is short, or has bits that cannot be, is found bad and harms nothing. */
static void a_state_that_was_altered_harms_nothing(void **state)
{
	uint8_t data[STATE_BYTES];
	size_t registers;

	(void)state;
	rig_open(VIRTIO_F_EVENT_IDX, 0);
	set_vectors();
	save(data, &registers);
	for (uint32_t i = 0; i < 2000; i++) {
		size_t bytes = pv_random_below(&rig.random, (uint32_t)registers);
		struct pv_state_reader from = { .data = data, .bytes = bytes };

		pv_virtio_pci_load(&rig.pci.virtio, &from);
		assert_true(from.is_bad);
		data[pv_random_below(&rig.random, (uint32_t)registers)] ^=
			(uint8_t)(1u << pv_random_below(&rig.random, 8));
		from = (struct pv_state_reader){ .data = data, .bytes = registers };
		pv_virtio_pci_load(&rig.pci.virtio, &from);
	}
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
