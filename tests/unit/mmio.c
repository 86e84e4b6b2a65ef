/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The registers of virtio over MMIO, one rule at a time: virtio 1.3, section 4.2, version 2 and the
 * legacy version 1.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "abi/virtio_blk.h"
#include "devices/blk/blk.h"
#include "tests/support/mmio_couple.h"
#include "tests/support/slow_store.h"

#define QUEUES     3u
#define QUEUE_SIZE 64u
#define DISK_BYTES 65536u

static struct rig {
	struct pv_mmio_couple mmio;
	struct pv_random random;
	struct pv_slow_store store;
	uint8_t disk[DISK_BYTES];
	void *storage;
	struct pv_gpa ring, data;
} rig;

#define RING_BYTES 8192u /* for 64 places: table and available ring, then the used ring */

static void rig_open(bool is_legacy)
{
	const struct pv_blk_options options = { .queues = QUEUES, .queue_size_max = QUEUE_SIZE };
	struct pv_twin *twin = &rig.mmio.couple.twin;

	memset(&rig, 0, sizeof(rig));
	rig.random = pv_random_start(pv_random_seed(), 0);
	pv_mmio_couple_open(&rig.mmio, 1u << 20, rig.random);
	rig.storage = aligned_alloc(64, (pv_blk_bytes(QUEUES) + 63) & ~63ul);
	memset(rig.storage, 0, pv_blk_bytes(QUEUES));
	pv_slow_store_open(&rig.store, rig.disk, DISK_BYTES, &rig.random);
	rig.store.at_once_percent = 100;
	pv_mmio_couple_set_device(&rig.mmio,
	                          pv_blk_init(rig.storage, &rig.mmio.couple.port, &rig.store.blk,
	                                      &options),
	                          PV_VIEW_DEVICE, is_legacy);
	rig.ring = pv_twin_alloc(twin, RING_BYTES, PV_WHOLE, 0, &rig.random);
	rig.data = pv_twin_alloc(twin, 64, PV_WHOLE, 0, &rig.random);
	pv_couple_seal(&rig.mmio.couple);
}

static int open_modern(void **state)
{
	(void)state;
	rig_open(false);
	return 0;
}

static int open_legacy(void **state)
{
	(void)state;
	rig_open(true);
	return 0;
}

static int rig_close(void **state)
{
	(void)state;
	pv_virtio_mmio_reset(&rig.mmio.mmio);
	pv_mmio_couple_close(&rig.mmio);
	free(rig.storage);
	return 0;
}

static uint32_t get(uint32_t offset)
{
	return (uint32_t)pv_virtio_mmio_read(&rig.mmio.mmio, offset, 4);
}

static void set(uint32_t offset, uint32_t value)
{
	pv_virtio_mmio_write(&rig.mmio.mmio, offset, 4, value);
}

static uint64_t config(uint64_t offset, unsigned int bytes)
{
	return pv_virtio_mmio_read(&rig.mmio.mmio, VIRTIO_MMIO_CONFIG + offset, bytes);
}

/* ---- both versions ---- */

static void a_device_says_what_it_is(void **state)
{
	(void)state;
	assert_int_equal(get(VIRTIO_MMIO_MAGIC_VALUE), 0x74726976);
	assert_int_equal(get(VIRTIO_MMIO_VERSION), 2);
	assert_int_equal(get(VIRTIO_MMIO_DEVICE_ID), 2);
	assert_int_equal(get(VIRTIO_MMIO_VENDOR_ID), PV_MMIO_COUPLE_VENDOR);
}

static void a_legacy_device_says_so(void **state)
{
	(void)state;
	assert_int_equal(get(VIRTIO_MMIO_VERSION), 1);
	assert_int_equal(get(VIRTIO_MMIO_DEVICE_ID), 2);
}

/* Section 4.2.2.2: the registers are for aligned accesses of 32 bits, ... */
static void no_other_width_reaches_a_register(void **state)
{
	static const unsigned int widths[] = { 0, 1, 2, 3, 8, 16 };
	struct pv_virtio_mmio *mmio = &rig.mmio.mmio;

	(void)state;
	for (size_t i = 0; i < sizeof(widths) / sizeof(widths[0]); i++) {
		assert_int_equal(pv_virtio_mmio_read(mmio, 0, widths[i]), 0);
		pv_virtio_mmio_write(mmio, VIRTIO_MMIO_QUEUE_SEL, widths[i], 1);
		pv_virtio_mmio_write(mmio, VIRTIO_MMIO_STATUS, widths[i], 1);
	}
	for (uint32_t offset = 1; offset < 4; offset++)
		assert_int_equal(pv_virtio_mmio_read(mmio, offset, 4), 0);
	pv_virtio_mmio_write(mmio, VIRTIO_MMIO_STATUS + 1, 4, 1);
	assert_int_equal(mmio->transport.queue_select, 0);
	assert_int_equal(get(VIRTIO_MMIO_STATUS), 0);
}

/* ... and the configuration for any, also across its end and beyond. */
static void the_configuration_is_read_by_any_width(void **state)
{
	const uint64_t sectors = DISK_BYTES / 512;

	(void)state;
	assert_int_equal(config(0, 8), sectors);
	assert_int_equal(config(0, 4), sectors);
	assert_int_equal(config(0, 2), sectors);
	assert_int_equal(config(0, 1), sectors);
	assert_int_equal(config(1, 1), 0);
	assert_int_equal(config(0, 3), 0);
	assert_int_equal(config(sizeof(struct virtio_blk_config), 4), 0);
	assert_int_equal(config(UINT16_MAX - VIRTIO_MMIO_CONFIG, 8), 0);
	assert_int_equal(config(UINT64_MAX - 0x1ff, 8), 0);
	assert_int_equal(config((1ull << 32), 8), 0);
}

static void what_is_read_only_stays(void **state)
{
	(void)state;
	set(VIRTIO_MMIO_MAGIC_VALUE, 0);
	set(VIRTIO_MMIO_DEVICE_ID, 0);
	set(VIRTIO_MMIO_QUEUE_SIZE_MAX, 1);
	set(VIRTIO_MMIO_CONFIG_GENERATION, 1);
	pv_virtio_mmio_write(&rig.mmio.mmio, VIRTIO_MMIO_CONFIG, 8, 0);
	assert_int_equal(get(VIRTIO_MMIO_MAGIC_VALUE), 0x74726976);
	assert_int_equal(get(VIRTIO_MMIO_DEVICE_ID), 2);
	assert_int_equal(get(VIRTIO_MMIO_QUEUE_SIZE_MAX), QUEUE_SIZE);
	assert_int_equal(get(VIRTIO_MMIO_CONFIG_GENERATION), 0);
	assert_int_equal(config(0, 8), DISK_BYTES / 512);
}

/* Section 4.2.2.1: each event's bit is there from the moment it takes place until acknowledged. */
static void an_event_stays_until_it_is_acknowledged(void **state)
{
	struct pv_virtio_mmio *mmio = &rig.mmio.mmio;

	(void)state;
	assert_int_equal(get(VIRTIO_MMIO_INTERRUPT_STATUS), 0);
	pv_virtio_mmio_call(mmio);
	pv_device_config_changed(rig.mmio.couple.device);
	assert_true(rig.mmio.is_line_high);
	assert_int_equal(rig.mmio.raised, 1);
	assert_int_equal(get(VIRTIO_MMIO_INTERRUPT_STATUS), 3);
	assert_int_equal(get(VIRTIO_MMIO_INTERRUPT_STATUS), 3);
	set(VIRTIO_MMIO_INTERRUPT_ACK, 1);
	assert_int_equal(get(VIRTIO_MMIO_INTERRUPT_STATUS), 2);
	assert_true(rig.mmio.is_line_high);
	set(VIRTIO_MMIO_INTERRUPT_ACK, 0xfffffffe);
	assert_int_equal(get(VIRTIO_MMIO_INTERRUPT_STATUS), 0);
	assert_false(rig.mmio.is_line_high);
	pv_virtio_mmio_call(mmio);
	assert_int_equal(rig.mmio.raised, 2);
	/* A reset takes them all. */
	set(VIRTIO_MMIO_STATUS, 1);
	set(VIRTIO_MMIO_STATUS, 0);
	assert_int_equal(get(VIRTIO_MMIO_INTERRUPT_STATUS), 0);
	assert_false(rig.mmio.is_line_high);
}

static void a_change_of_the_configuration_changes_its_generation(void **state)
{
	uint32_t before = get(VIRTIO_MMIO_CONFIG_GENERATION);

	(void)state;
	pv_device_config_changed(rig.mmio.couple.device);
	assert_int_not_equal(get(VIRTIO_MMIO_CONFIG_GENERATION), before);
}

static void a_queue_that_is_not_there_has_no_size(void **state)
{
	static const uint32_t none[] = { QUEUES, UINT16_MAX, 1u << 16, UINT32_MAX };

	(void)state;
	for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++) {
		set(VIRTIO_MMIO_QUEUE_SEL, none[i]);
		assert_int_equal(get(VIRTIO_MMIO_QUEUE_SIZE_MAX), 0);
		set(VIRTIO_MMIO_QUEUE_SIZE, 8);
		set(VIRTIO_MMIO_QUEUE_READY, 1);
		set(VIRTIO_MMIO_LEGACY_QUEUE_PFN, 1);
		assert_int_equal(get(VIRTIO_MMIO_QUEUE_READY), 0);
		assert_int_equal(get(VIRTIO_MMIO_LEGACY_QUEUE_PFN), 0);
		set(VIRTIO_MMIO_QUEUE_RESET, 1);
		set(VIRTIO_MMIO_QUEUE_NOTIFY, none[i]);
	}
	set(VIRTIO_MMIO_QUEUE_SEL, QUEUES - 1);
	assert_int_equal(get(VIRTIO_MMIO_QUEUE_SIZE_MAX), QUEUE_SIZE);
}

static void a_kick_reaches_its_queue(void **state)
{
	(void)state;
	set(VIRTIO_MMIO_QUEUE_NOTIFY, 1);
	assert_false(rig.mmio.couple.lane[0].is_kicked);
	assert_true(rig.mmio.couple.lane[1].is_kicked);
	/* The index in the upper half is for drivers with NOTIFICATION_DATA. */
	set(VIRTIO_MMIO_QUEUE_NOTIFY, 0x00050002);
	assert_true(rig.mmio.couple.lane[2].is_kicked);
}

/* ---- a request by hand ---- */

static void put_request(uint64_t driver_area)
{
	struct pv_twin *twin = &rig.mmio.couple.twin;
	uint8_t *bytes = pv_twin_driver(twin, rig.data);
	struct virtq_desc *desc = pv_twin_driver(twin, rig.ring);
	struct virtq_avail *avail = pv_twin_driver(twin, pv_gpa_of(driver_area));

	bytes[0] = VIRTIO_BLK_T_GET_ID;
	bytes[40] = 0xee;
	desc[0] = (struct virtq_desc){ pv_le64_of(rig.data.v), pv_le32_of(16), pv_le16_of(1),
		                       pv_le16_of(1) };
	desc[1] = (struct virtq_desc){ pv_le64_of(rig.data.v + 16), pv_le32_of(20), pv_le16_of(3),
		                       pv_le16_of(2) };
	desc[2] = (struct virtq_desc){ pv_le64_of(rig.data.v + 40), pv_le32_of(1), pv_le16_of(2),
		                       pv_le16_of(0) };
	avail->idx = pv_le16_of(1);
}

static void expect_request_done(uint64_t device_area)
{
	struct pv_twin *twin = &rig.mmio.couple.twin;
	const struct virtq_used *used = pv_twin_driver(twin, pv_gpa_of(device_area));

	assert_int_equal(pv_le16_get(used->idx), 1);
	assert_int_equal(((uint8_t *)pv_twin_driver(twin, rig.data))[40], VIRTIO_BLK_S_OK);
	assert_int_equal(get(VIRTIO_MMIO_INTERRUPT_STATUS), VIRTIO_MMIO_INT_QUEUE);
	assert_true(rig.mmio.is_line_high);
	set(VIRTIO_MMIO_INTERRUPT_ACK, VIRTIO_MMIO_INT_QUEUE);
	assert_false(rig.mmio.is_line_high);
}

/* ---- version 2 ---- */

#define STATUS_BEFORE (VIRTIO_STATUS_ACKNOWLEDGE | VIRTIO_STATUS_DRIVER | VIRTIO_STATUS_FEATURES_OK)

static void negotiate(uint64_t features)
{
	set(VIRTIO_MMIO_STATUS, 3);
	for (uint32_t half = 0; half < 2; half++) {
		set(VIRTIO_MMIO_DRIVER_FEATURES_SEL, half);
		set(VIRTIO_MMIO_DRIVER_FEATURES, (uint32_t)(features >> 32 * half));
	}
	set(VIRTIO_MMIO_STATUS, STATUS_BEFORE);
	assert_int_equal(get(VIRTIO_MMIO_STATUS), STATUS_BEFORE);
}

static void area_set(uint32_t low, uint64_t address)
{
	set(low, (uint32_t)address);
	set(low + 4, (uint32_t)(address >> 32));
}

static void place_queue(uint16_t size)
{
	set(VIRTIO_MMIO_QUEUE_SIZE, size);
	area_set(VIRTIO_MMIO_QUEUE_DESC_LOW, rig.ring.v);
	area_set(VIRTIO_MMIO_QUEUE_DRIVER_LOW, rig.ring.v + 2048);
	area_set(VIRTIO_MMIO_QUEUE_DEVICE_LOW, rig.ring.v + 4096);
	set(VIRTIO_MMIO_QUEUE_READY, 1);
}

static void features_come_in_halves(void **state)
{
	uint64_t features = pv_device_features(rig.mmio.couple.device);

	(void)state;
	assert_int_equal(get(VIRTIO_MMIO_DEVICE_FEATURES), (uint32_t)features);
	set(VIRTIO_MMIO_DEVICE_FEATURES_SEL, 1);
	assert_int_equal(get(VIRTIO_MMIO_DEVICE_FEATURES), (uint32_t)(features >> 32));
	set(VIRTIO_MMIO_DEVICE_FEATURES_SEL, 2);
	assert_int_equal(get(VIRTIO_MMIO_DEVICE_FEATURES), 0);
	set(VIRTIO_MMIO_DEVICE_FEATURES_SEL, 0x08000000);
	assert_int_equal(get(VIRTIO_MMIO_DEVICE_FEATURES), 0);
}

/* Section 2.2.1: FEATURES_OK does not stay for what cannot be had. */
static void features_that_cannot_be_had_are_refused(void **state)
{
	(void)state;
	set(VIRTIO_MMIO_DRIVER_FEATURES_SEL, 1);
	set(VIRTIO_MMIO_DRIVER_FEATURES, UINT32_MAX);
	set(VIRTIO_MMIO_STATUS, STATUS_BEFORE);
	assert_int_equal(get(VIRTIO_MMIO_STATUS), 3);
	set(VIRTIO_MMIO_DRIVER_FEATURES, 0); /* no VERSION_1 */
	set(VIRTIO_MMIO_STATUS, STATUS_BEFORE);
	assert_int_equal(get(VIRTIO_MMIO_STATUS), 3);
	/* A selection that there is not changes neither half. */
	set(VIRTIO_MMIO_DRIVER_FEATURES_SEL, 0x08000000);
	set(VIRTIO_MMIO_DRIVER_FEATURES, UINT32_MAX);
	negotiate(VIRTIO_F_VERSION_1);
	set(VIRTIO_MMIO_DRIVER_FEATURES, 0);
	assert_int_equal(rig.mmio.mmio.transport.driver_features, VIRTIO_F_VERSION_1);
}

/* Section 4.2.2.1: a region that does not exist has the length and the base of -1. */
static void there_is_no_shared_memory(void **state)
{
	(void)state;
	for (uint32_t id = 0; id < 3; id++) {
		set(VIRTIO_MMIO_SHM_SEL, id);
		for (uint32_t at = VIRTIO_MMIO_SHM_LEN_LOW; at <= VIRTIO_MMIO_SHM_BASE_HIGH;
		     at += 4)
			assert_int_equal(get(at), UINT32_MAX);
	}
}

static void a_request_is_served(void **state)
{
	(void)state;
	negotiate(VIRTIO_F_VERSION_1);
	place_queue(QUEUE_SIZE);
	put_request(rig.ring.v + 2048);
	assert_int_equal(get(VIRTIO_MMIO_QUEUE_READY), 1);
	assert_int_equal(rig.mmio.couple.allocs, 0);
	set(VIRTIO_MMIO_STATUS, STATUS_BEFORE | VIRTIO_STATUS_DRIVER_OK);
	set(VIRTIO_MMIO_QUEUE_NOTIFY, 0);
	pv_couple_run(&rig.mmio.couple);
	expect_request_done(rig.ring.v + 4096);
}

static void a_queue_that_is_ready_does_not_change(void **state)
{
	(void)state;
	place_queue(QUEUE_SIZE);
	area_set(VIRTIO_MMIO_QUEUE_DESC_LOW, 0);
	set(VIRTIO_MMIO_QUEUE_SIZE, 1);
	assert_int_equal(rig.mmio.mmio.transport.queue[0].area[PV_TRANSPORT_DESC], rig.ring.v);
	assert_int_equal(rig.mmio.mmio.transport.queue[0].size, QUEUE_SIZE);
	set(VIRTIO_MMIO_QUEUE_READY, 2);
	assert_int_equal(get(VIRTIO_MMIO_QUEUE_READY), 1);
}

static void a_queue_that_cannot_start_asks_for_a_reset(void **state)
{
	(void)state;
	negotiate(VIRTIO_F_VERSION_1);
	area_set(VIRTIO_MMIO_QUEUE_DESC_LOW, 0x7000000000);
	set(VIRTIO_MMIO_QUEUE_READY, 1);
	set(VIRTIO_MMIO_STATUS, STATUS_BEFORE | VIRTIO_STATUS_DRIVER_OK);
	assert_true(get(VIRTIO_MMIO_STATUS) & VIRTIO_STATUS_NEEDS_RESET);
	assert_int_equal(get(VIRTIO_MMIO_INTERRUPT_STATUS), VIRTIO_MMIO_INT_CONFIG);
	assert_int_equal(rig.mmio.couple.logs, 1);
}

/* A request that the store keeps: the queue cannot come to rest. */
static void hold_a_request(uint64_t features)
{
	struct virtq_desc *desc = pv_twin_driver(&rig.mmio.couple.twin, rig.ring);
	uint8_t *bytes = pv_twin_driver(&rig.mmio.couple.twin, rig.data);

	rig.store.at_once_percent = rig.store.withdraw_percent = 0;
	negotiate(VIRTIO_F_VERSION_1 | features);
	place_queue(QUEUE_SIZE);
	put_request(rig.ring.v + 2048);
	bytes[0] = VIRTIO_BLK_T_FLUSH;
	desc[1] = desc[2];
	set(VIRTIO_MMIO_STATUS, STATUS_BEFORE | VIRTIO_STATUS_DRIVER_OK);
	set(VIRTIO_MMIO_QUEUE_NOTIFY, 0);
	pv_couple_run(&rig.mmio.couple);
	assert_int_equal(rig.store.pendings, 1);
}

static void let_it_go(void)
{
	pv_slow_store_finish_one(&rig.store);
	pv_couple_wake(&rig.mmio.couple, 0);
	pv_couple_run(&rig.mmio.couple);
}

/* Drivers write zero and go on: what can be waited for is waited for, but not for ever. */
static void a_reset_is_waited_for(void **state)
{
	(void)state;
	hold_a_request(0);
	set(VIRTIO_MMIO_STATUS, 0);
	assert_int_equal(rig.mmio.waits, 1000);
	assert_int_not_equal(get(VIRTIO_MMIO_STATUS), 0);
	let_it_go();
	assert_int_equal(get(VIRTIO_MMIO_STATUS), 0);
	assert_int_equal(get(VIRTIO_MMIO_QUEUE_READY), 0);
}

/* Section 4.2.2.2: a queue ends when zero is written, and zero is read back when it has ended. */
static void the_end_of_a_queue_is_waited_for(void **state)
{
	(void)state;
	hold_a_request(0);
	set(VIRTIO_MMIO_QUEUE_READY, 0);
	assert_int_equal(rig.mmio.waits, 1000);
	assert_int_equal(get(VIRTIO_MMIO_QUEUE_READY), 1);
	let_it_go();
	assert_int_equal(get(VIRTIO_MMIO_QUEUE_READY), 0);
	assert_int_equal(rig.mmio.couple.allocs, 0);
	rig.store.at_once_percent = 100;
	memset(pv_twin_driver(&rig.mmio.couple.twin, rig.ring), 0, RING_BYTES);
	put_request(rig.ring.v + 2048);
	set(VIRTIO_MMIO_INTERRUPT_ACK, 3);
	place_queue(QUEUE_SIZE);
	pv_couple_run(&rig.mmio.couple);
	expect_request_done(rig.ring.v + 4096);
}

/* Section 4.2.2.1: QueueReset reads 1 as long as it is under way, then both registers read 0. */
static void a_queue_is_reset_where_that_was_negotiated(void **state)
{
	(void)state;
	hold_a_request(VIRTIO_F_RING_RESET);
	set(VIRTIO_MMIO_QUEUE_RESET, 1);
	assert_int_equal(rig.mmio.waits, 0);
	assert_int_equal(get(VIRTIO_MMIO_QUEUE_RESET), 1);
	let_it_go();
	assert_int_equal(get(VIRTIO_MMIO_QUEUE_RESET), 0);
	assert_int_equal(get(VIRTIO_MMIO_QUEUE_READY), 0);
}

static void a_queue_is_not_reset_where_it_was_not(void **state)
{
	(void)state;
	hold_a_request(0);
	set(VIRTIO_MMIO_QUEUE_RESET, 1);
	assert_int_equal(get(VIRTIO_MMIO_QUEUE_RESET), 0);
	assert_int_equal(get(VIRTIO_MMIO_QUEUE_READY), 1);
	let_it_go();
}

/* ---- version 1 ---- */

static void legacy_place(uint32_t page_bytes, uint32_t size, uint32_t align)
{
	set(VIRTIO_MMIO_LEGACY_GUEST_PAGE_SIZE, page_bytes);
	set(VIRTIO_MMIO_QUEUE_SIZE, size);
	set(VIRTIO_MMIO_LEGACY_QUEUE_ALIGN, align);
	set(VIRTIO_MMIO_LEGACY_QUEUE_PFN, (uint32_t)(rig.ring.v / 4096));
}

static void a_legacy_driver_reads_the_serial_number(void **state)
{
	(void)state;
	set(VIRTIO_MMIO_LEGACY_GUEST_PAGE_SIZE, 4096);
	/* The page's size stays, as Linux says it once and resets then. */
	set(VIRTIO_MMIO_STATUS, 0);
	set(VIRTIO_MMIO_STATUS, 3);
	/* Too much, and what an old driver cannot know: only what was offered is taken. */
	set(VIRTIO_MMIO_DRIVER_FEATURES, UINT32_MAX);
	set(VIRTIO_MMIO_DRIVER_FEATURES_SEL, 1);
	set(VIRTIO_MMIO_DRIVER_FEATURES, UINT32_MAX);
	assert_int_equal(rig.mmio.mmio.transport.driver_features, get(VIRTIO_MMIO_DEVICE_FEATURES));
	set(VIRTIO_MMIO_DEVICE_FEATURES_SEL, 1);
	assert_int_equal(get(VIRTIO_MMIO_DEVICE_FEATURES), 0);
	set(VIRTIO_MMIO_DRIVER_FEATURES_SEL, 0);
	set(VIRTIO_MMIO_DRIVER_FEATURES, 0);
	assert_int_equal(get(VIRTIO_MMIO_LEGACY_QUEUE_PFN), 0);
	put_request(rig.ring.v + 16u * 32u);
	set(VIRTIO_MMIO_QUEUE_SIZE, 32);
	set(VIRTIO_MMIO_LEGACY_QUEUE_ALIGN, 1024);
	set(VIRTIO_MMIO_LEGACY_QUEUE_PFN, (uint32_t)(rig.ring.v / 4096));
	assert_int_equal(get(VIRTIO_MMIO_LEGACY_QUEUE_PFN), rig.ring.v / 4096);
	set(VIRTIO_MMIO_STATUS, 7);
	set(VIRTIO_MMIO_QUEUE_NOTIFY, 0);
	pv_couple_run(&rig.mmio.couple);
	expect_request_done(rig.ring.v + 1024);

	/* A page of zero takes the queue back; it can be had again. */
	set(VIRTIO_MMIO_LEGACY_QUEUE_PFN, 0);
	assert_int_equal(get(VIRTIO_MMIO_LEGACY_QUEUE_PFN), 0);
	assert_int_equal(rig.mmio.couple.allocs, 0);
	memset(pv_twin_driver(&rig.mmio.couple.twin, rig.ring), 0, RING_BYTES);
	legacy_place(4096, QUEUE_SIZE, 4096);
	assert_true(rig.mmio.couple.allocs > 0);
	assert_int_equal(rig.mmio.mmio.transport.queue[0].area[PV_TRANSPORT_DEVICE],
	                 rig.ring.v + 4096);
}

static void without_the_size_of_a_page_there_is_no_queue(void **state)
{
	(void)state;
	legacy_place(0, QUEUE_SIZE, 4096);
	assert_int_equal(get(VIRTIO_MMIO_LEGACY_QUEUE_PFN), 0);
	legacy_place(4095, QUEUE_SIZE, 4096); /* nor by what is no power of two */
	assert_int_equal(get(VIRTIO_MMIO_LEGACY_QUEUE_PFN), 0);
	legacy_place(4096, QUEUE_SIZE, 0); /* nor without an alignment */
	assert_int_equal(get(VIRTIO_MMIO_LEGACY_QUEUE_PFN), 0);
	assert_int_equal(rig.mmio.couple.logs, 0);
	legacy_place(1u << 31, QUEUE_SIZE, 1u << 31);
	assert_true(get(VIRTIO_MMIO_STATUS) & VIRTIO_STATUS_NEEDS_RESET);
}

static void the_registers_of_the_other_version_are_not_there(void **state)
{
	bool is_legacy = rig.mmio.mmio.is_legacy;

	(void)state;
	if (is_legacy) {
		place_queue(QUEUE_SIZE);
		assert_int_equal(get(VIRTIO_MMIO_QUEUE_READY), 0);
		assert_int_equal(get(VIRTIO_MMIO_SHM_LEN_LOW), 0);
		assert_int_equal(get(VIRTIO_MMIO_CONFIG_GENERATION), 0);
	} else {
		legacy_place(4096, QUEUE_SIZE, 4096);
		assert_int_equal(get(VIRTIO_MMIO_LEGACY_QUEUE_PFN), 0);
	}
	assert_false(rig.mmio.mmio.transport.queue[0].is_enabled);
	assert_int_equal(rig.mmio.couple.allocs, 0);
}

#define MODERN(test) cmocka_unit_test_setup_teardown(test, open_modern, rig_close)
#define LEGACY(test) cmocka_unit_test_setup_teardown(test, open_legacy, rig_close)

int main(void)
{
	const struct CMUnitTest tests[] = {
		MODERN(a_device_says_what_it_is),
		LEGACY(a_legacy_device_says_so),
		MODERN(no_other_width_reaches_a_register),
		LEGACY(no_other_width_reaches_a_register),
		MODERN(the_configuration_is_read_by_any_width),
		LEGACY(the_configuration_is_read_by_any_width),
		MODERN(what_is_read_only_stays),
		MODERN(an_event_stays_until_it_is_acknowledged),
		LEGACY(an_event_stays_until_it_is_acknowledged),
		MODERN(a_change_of_the_configuration_changes_its_generation),
		MODERN(a_queue_that_is_not_there_has_no_size),
		LEGACY(a_queue_that_is_not_there_has_no_size),
		MODERN(a_kick_reaches_its_queue),
		LEGACY(a_kick_reaches_its_queue),
		MODERN(features_come_in_halves),
		MODERN(features_that_cannot_be_had_are_refused),
		MODERN(there_is_no_shared_memory),
		MODERN(a_request_is_served),
		MODERN(a_queue_that_is_ready_does_not_change),
		MODERN(a_queue_that_cannot_start_asks_for_a_reset),
		MODERN(a_reset_is_waited_for),
		MODERN(the_end_of_a_queue_is_waited_for),
		MODERN(a_queue_is_reset_where_that_was_negotiated),
		MODERN(a_queue_is_not_reset_where_it_was_not),
		LEGACY(a_legacy_driver_reads_the_serial_number),
		LEGACY(without_the_size_of_a_page_there_is_no_queue),
		MODERN(the_registers_of_the_other_version_are_not_there),
		LEGACY(the_registers_of_the_other_version_are_not_there),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
