/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The registers of a PCI function and of virtio behind it, one rule at a time: PCI Local Bus 3.0,
 * chapter 6, and virtio 1.3, section 4.1.
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
#include "tests/support/pci_couple.h"
#include "tests/support/slow_store.h"

#define QUEUES     3u
#define QUEUE_SIZE 64u
#define DISK_BYTES 65536u

static struct rig {
	struct pv_pci_couple pci;
	struct pv_random random;
	struct pv_slow_store store;
	uint8_t disk[DISK_BYTES];
	void *storage;
} rig;

static struct pv_pci_function *const function = &rig.pci.virtio.function;

static void rig_open(bool is_transitional)
{
	const struct pv_blk_options options = { .queues = QUEUES, .queue_size_max = QUEUE_SIZE };

	memset(&rig, 0, sizeof(rig));
	rig.random = pv_random_start(pv_random_seed(), 0);
	pv_pci_couple_open(&rig.pci, 1u << 20, rig.random);
	rig.storage = aligned_alloc(64, (pv_blk_bytes(QUEUES) + 63) & ~63ul);
	memset(rig.storage, 0, pv_blk_bytes(QUEUES));
	pv_slow_store_open(&rig.store, rig.disk, DISK_BYTES, &rig.random);
	rig.store.at_once_percent = 100;
	pv_pci_couple_set_device(
		&rig.pci, pv_blk_init(rig.storage, &rig.pci.couple.port, &rig.store.blk, &options),
		PV_VIEW_DEVICE, is_transitional);
}

static int open_modern(void **state)
{
	(void)state;
	rig_open(false);
	return 0;
}

static int open_transitional(void **state)
{
	(void)state;
	rig_open(true);
	return 0;
}

static int rig_close(void **state)
{
	(void)state;
	pv_virtio_pci_reset(&rig.pci.virtio);
	pv_pci_couple_close(&rig.pci);
	free(rig.storage);
	return 0;
}

static uint64_t config(uint32_t offset, unsigned int bytes)
{
	return pv_pci_config_read(function, offset, bytes);
}

static void config_write(uint32_t offset, unsigned int bytes, uint64_t value)
{
	pv_pci_config_write(function, offset, bytes, value);
}

/* ---- header and BARs ---- */

static void a_modern_device_says_what_it_is(void **state)
{
	(void)state;
	assert_int_equal(config(PCI_VENDOR_ID, 4), 0x10421af4);
	assert_true(config(PCI_REVISION_ID, 1) >= 1);
	assert_true(config(PCI_SUBSYSTEM_ID, 2) >= 0x40);
	assert_int_equal(config(PCI_CLASS_DEVICE, 2), PCI_CLASS_STORAGE_SCSI);
	assert_int_equal(config(PCI_HEADER_TYPE, 1), 0);
	assert_int_equal(config(PCI_INTERRUPT_PIN, 1), 1);
}

static void a_transitional_device_has_the_old_ids(void **state)
{
	(void)state;
	assert_int_equal(config(PCI_VENDOR_ID, 4), 0x10011af4);
	assert_int_equal(config(PCI_REVISION_ID, 1), 0);
	assert_int_equal(config(PCI_SUBSYSTEM_ID, 2), 2);
}

static void what_is_read_only_stays(void **state)
{
	uint8_t before[PCI_CONFIG_BYTES];

	(void)state;
	memcpy(before, function->config, sizeof(before));
	for (uint32_t i = 0; i < PCI_CONFIG_BYTES; i++)
		if (!function->writable[i])
			config_write(i, 1, 0xff);
	assert_memory_equal(before, function->config, sizeof(before));
	assert_int_equal(config(PCI_CONFIG_BYTES - 4, 8), 0);
	assert_int_equal(config(PCI_CONFIG_BYTES, 4), 0);
	assert_int_equal(config(0, 3), 0);
}

static void a_bar_tells_its_size(void **state)
{
	(void)state;
	config_write(PCI_BAR(0), 4, UINT32_MAX);
	assert_int_equal(config(PCI_BAR(0), 4), 0xffffff01);
	config_write(PCI_BAR(1), 4, UINT32_MAX);
	assert_int_equal(config(PCI_BAR(1), 4), 0xfffff000);
	config_write(PCI_BAR(2), 4, UINT32_MAX);
	assert_int_equal(config(PCI_BAR(2), 4), 0);
	config_write(PCI_BAR(4), 4, UINT32_MAX);
	config_write(PCI_BAR(5), 4, UINT32_MAX);
	assert_int_equal(config(PCI_BAR(4), 4), 0xffffc00c);
	assert_int_equal(config(PCI_BAR(5), 4), UINT32_MAX);
}

static void a_window_is_where_the_bar_says_while_it_is_decoded(void **state)
{
	struct pv_pci_window window;
	uint32_t changes = rig.pci.windows_changed;

	(void)state;
	config_write(PCI_BAR(4), 4, 0x40000000);
	config_write(PCI_BAR(5), 4, 0x12);
	assert_false(pv_pci_window(function, 4, &window));
	config_write(PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
	assert_true(pv_pci_window(function, 4, &window));
	assert_false(window.is_io);
	assert_int_equal(window.base, 0x1240000000);
	assert_int_equal(window.bytes, 0x4000);
	assert_false(pv_pci_window(function, 0, &window)); /* ports are not decoded */
	assert_false(pv_pci_window(function, 2, &window)); /* there is none */
	assert_int_equal(rig.pci.windows_changed, changes + 3);
	/* One byte of it. */
	config_write(PCI_BAR(4) + 3, 1, 0x50);
	assert_true(pv_pci_window(function, 4, &window));
	assert_int_equal(window.base, 0x1250000000);
	pv_pci_place_bar(function, 0, 0xc000);
	config_write(PCI_COMMAND, 2, PCI_COMMAND_IO);
	assert_true(pv_pci_window(function, 0, &window));
	assert_true(window.is_io);
	assert_int_equal(window.base, 0xc000);
}

/* ---- capabilities (section 4.1.4) ---- */

static uint32_t find_capability(uint32_t type)
{
	uint32_t at = (uint32_t)config(PCI_CAPABILITIES, 1);

	assert_true(config(PCI_STATUS, 2) & PCI_STATUS_CAPABILITIES);
	for (int i = 0; at != 0; i++) {
		assert_in_range(i, 0, 48);
		assert_int_equal(at % 4, 0);
		if (config(at, 1) == PCI_CAP_ID_VENDOR && config(at + 3, 1) == type)
			return at;
		at = (uint32_t)config(at + 1, 1);
	}
	fail();
	return 0;
}

static void all_structures_are_there_and_do_not_overlap(void **state)
{
	uint64_t end = 0;

	(void)state;
	for (uint32_t type = VIRTIO_PCI_CAP_COMMON_CFG; type <= VIRTIO_PCI_CAP_DEVICE_CFG; type++) {
		uint32_t at = find_capability(type);

		assert_int_equal(config(at + 4, 1), PV_VIRTIO_PCI_BAR_MODERN);
		assert_int_equal(config(at + 8, 4) % 4096, 0);
		assert_int_equal(config(at + 12, 4), 4096);
		end += 4096;
	}
	assert_int_equal(function->bar_bytes[PV_VIRTIO_PCI_BAR_MODERN], end);
	find_capability(VIRTIO_PCI_CAP_PCI_CFG);
}

/* Section 4.1.4.9: the registers by way of configuration space. */
static void registers_can_be_reached_through_configuration_space(void **state)
{
	uint32_t at = find_capability(VIRTIO_PCI_CAP_PCI_CFG);

	(void)state;
	config_write(at + 4, 1, PV_VIRTIO_PCI_BAR_MODERN);
	config_write(at + 8, 4, offsetof(struct virtio_pci_common_cfg, num_queues));
	config_write(at + 12, 4, 2);
	assert_int_equal(config(at + 16, 2), QUEUES);
	config_write(at + 8, 4, offsetof(struct virtio_pci_common_cfg, queue_select));
	config_write(at + 16, 2, 2);
	assert_int_equal(rig.pci.virtio.transport.queue_select, 2);
	/* Of a width that cannot be, past the end, and of no BAR: nothing. */
	config_write(at + 12, 4, 3);
	config_write(at + 16, 4, 1);
	config_write(at + 12, 4, 2);
	config_write(at + 8, 4, 0x3fff);
	config_write(at + 16, 4, 1);
	config_write(at + 4, 1, 0xff);
	config_write(at + 16, 4, 1);
	assert_int_equal(rig.pci.virtio.transport.queue_select, 2);
}

/* ---- the modern registers ---- */

static uint64_t modern(uint32_t offset, unsigned int bytes)
{
	return pv_pci_bar_read(function, PV_VIRTIO_PCI_BAR_MODERN, offset, bytes);
}

static void modern_write(uint32_t offset, unsigned int bytes, uint64_t value)
{
	pv_pci_bar_write(function, PV_VIRTIO_PCI_BAR_MODERN, offset, bytes, value);
}

#define CFG(field) ((uint32_t)offsetof(struct virtio_pci_common_cfg, field))

static void a_queue_that_is_not_there_has_no_size(void **state)
{
	(void)state;
	modern_write(CFG(queue_select), 2, QUEUES);
	assert_int_equal(modern(CFG(queue_size), 2), 0);
	modern_write(CFG(queue_size), 2, 8);
	modern_write(CFG(queue_enable), 2, 1);
	assert_int_equal(modern(CFG(queue_size), 2), 0);
	modern_write(CFG(queue_select), 2, QUEUES - 1);
	assert_int_equal(modern(CFG(queue_size), 2), QUEUE_SIZE);
	modern_write(CFG(queue_size), 2, QUEUE_SIZE + 1);
	assert_int_equal(modern(CFG(queue_size), 2), QUEUE_SIZE);
}

static void addresses_come_whole_or_in_halves(void **state)
{
	(void)state;
	modern_write(CFG(queue_desc), 8, 0x1122334455667788);
	assert_int_equal(modern(CFG(queue_desc), 4), 0x55667788);
	assert_int_equal(modern(CFG(queue_desc) + 4, 4), 0x11223344);
	modern_write(CFG(queue_desc) + 4, 4, 0xaabbccdd);
	assert_int_equal(modern(CFG(queue_desc), 8), 0xaabbccdd55667788);
	modern_write(CFG(queue_desc), 2, 0);
	assert_int_equal(modern(CFG(queue_desc), 8), 0xaabbccdd55667788);
	/* Any read is answered with the bytes that lie there. */
	assert_int_equal(modern(CFG(queue_desc) + 3, 1), 0x55);
	assert_int_equal(modern(CFG(queue_desc) + 2, 4), 0xccdd5566);
}

/* Section 2.2.1: FEATURES_OK does not stay for what cannot be had. */
static void features_that_cannot_be_had_are_refused(void **state)
{
	(void)state;
	modern_write(CFG(driver_feature_select), 4, 1);
	modern_write(CFG(driver_feature), 4, UINT32_MAX);
	modern_write(CFG(device_status), 1, 3 | VIRTIO_STATUS_FEATURES_OK);
	assert_int_equal(modern(CFG(device_status), 1), 3);
	modern_write(CFG(driver_feature), 4,
	             0); /* no VERSION_1: a legacy driver does not come here */
	modern_write(CFG(device_status), 1, 3 | VIRTIO_STATUS_FEATURES_OK);
	assert_int_equal(modern(CFG(device_status), 1), 3);
	modern_write(CFG(driver_feature), 4, VIRTIO_F_VERSION_1 >> 32);
	modern_write(CFG(device_status), 1, 3 | VIRTIO_STATUS_FEATURES_OK);
	assert_int_equal(modern(CFG(device_status), 1), 3 | VIRTIO_STATUS_FEATURES_OK);
	modern_write(CFG(driver_feature), 4, 0);
	assert_int_equal(rig.pci.virtio.transport.driver_features, VIRTIO_F_VERSION_1);
	modern_write(CFG(device_status), 1, 0);
	assert_int_equal(modern(CFG(device_status), 1), 0);
	assert_int_equal(rig.pci.virtio.transport.driver_features, 0);
}

static void a_queue_that_cannot_start_asks_for_a_reset(void **state)
{
	(void)state;
	pv_twin_alloc(&rig.pci.couple.twin, 64, PV_WHOLE, 0, &rig.random);
	pv_couple_seal(&rig.pci.couple);
	modern_write(CFG(driver_feature_select), 4, 1);
	modern_write(CFG(driver_feature), 4, VIRTIO_F_VERSION_1 >> 32);
	modern_write(CFG(queue_desc), 8, 0x7000000000);
	modern_write(CFG(queue_enable), 2, 1);
	modern_write(CFG(device_status), 1, 3 | VIRTIO_STATUS_FEATURES_OK);
	modern_write(CFG(device_status), 1,
	             3 | VIRTIO_STATUS_FEATURES_OK | VIRTIO_STATUS_DRIVER_OK);
	assert_true(modern(CFG(device_status), 1) & VIRTIO_STATUS_NEEDS_RESET);
	assert_int_equal(rig.pci.couple.logs, 1);
}

/* ---- the legacy registers (section 4.1.4.10) ---- */

static uint64_t legacy(uint32_t offset, unsigned int bytes)
{
	return pv_pci_bar_read(function, PV_VIRTIO_PCI_BAR_LEGACY, offset, bytes);
}

static void legacy_write(uint32_t offset, unsigned int bytes, uint64_t value)
{
	pv_pci_bar_write(function, PV_VIRTIO_PCI_BAR_LEGACY, offset, bytes, value);
}

static void the_old_configuration_moves_when_vectors_are_on(void **state)
{
	const uint64_t sectors = DISK_BYTES / 512;

	(void)state;
	assert_int_equal(legacy(VIRTIO_PCI_LEGACY_CONFIG, 8), sectors);
	assert_int_equal(legacy(VIRTIO_PCI_LEGACY_CONFIG + 4, 4), 0);
	pv_pci_couple_msix_on(&rig.pci);
	assert_int_equal(legacy(VIRTIO_PCI_LEGACY_CONFIG_MSIX, 8), sectors);
	assert_int_equal(legacy(VIRTIO_PCI_LEGACY_CONFIG_VECTOR, 2), VIRTIO_MSI_NO_VECTOR);
	legacy_write(VIRTIO_PCI_LEGACY_QUEUE_VECTOR, 2, 2);
	assert_int_equal(legacy(VIRTIO_PCI_LEGACY_QUEUE_VECTOR, 2), 2);
	legacy_write(VIRTIO_PCI_LEGACY_QUEUE_VECTOR, 2, QUEUES + 1);
	assert_int_equal(legacy(VIRTIO_PCI_LEGACY_QUEUE_VECTOR, 2), VIRTIO_MSI_NO_VECTOR);
	assert_int_equal(legacy(0xf8, 8), 0);
}

#define RING_BYTES 8192u /* for 64 places: table and available ring, then the used ring */

/* A driver of old: features, a queue by its page, a request, and the interrupt. */
static void a_legacy_driver_reads_the_serial_number(void **state)
{
	struct pv_gpa ring =
		pv_twin_alloc(&rig.pci.couple.twin, RING_BYTES, PV_WHOLE, 0, &rig.random);
	struct pv_gpa data = pv_twin_alloc(&rig.pci.couple.twin, 64, PV_WHOLE, 0, &rig.random);
	uint8_t *memory = pv_twin_driver(&rig.pci.couple.twin, ring);
	uint8_t *bytes = pv_twin_driver(&rig.pci.couple.twin, data);
	struct virtq_desc *desc = (struct virtq_desc *)memory;
	struct virtq_avail *avail = (struct virtq_avail *)(memory + 16 * QUEUE_SIZE);
	const struct virtq_used *used = (const struct virtq_used *)(memory + 4096);

	(void)state;
	pv_couple_seal(&rig.pci.couple);
	legacy_write(VIRTIO_PCI_LEGACY_DEVICE_STATUS, 1, 3);
	/* Too much, and what an old driver cannot know: only what was offered is taken. */
	legacy_write(VIRTIO_PCI_LEGACY_DRIVER_FEATURES, 4, UINT32_MAX);
	assert_int_equal(legacy(VIRTIO_PCI_LEGACY_DRIVER_FEATURES, 4),
	                 legacy(VIRTIO_PCI_LEGACY_DEVICE_FEATURES, 4));
	legacy_write(VIRTIO_PCI_LEGACY_DRIVER_FEATURES, 4, 0);
	legacy_write(VIRTIO_PCI_LEGACY_QUEUE_SELECT, 2, QUEUES);
	assert_int_equal(legacy(VIRTIO_PCI_LEGACY_QUEUE_SIZE, 2), 0);
	legacy_write(VIRTIO_PCI_LEGACY_QUEUE_SELECT, 2, 0);
	assert_int_equal(legacy(VIRTIO_PCI_LEGACY_QUEUE_SIZE, 2), QUEUE_SIZE);
	legacy_write(VIRTIO_PCI_LEGACY_QUEUE_ADDRESS, 4, ring.v / 4096);
	assert_int_equal(legacy(VIRTIO_PCI_LEGACY_QUEUE_ADDRESS, 4), ring.v / 4096);
	legacy_write(VIRTIO_PCI_LEGACY_DEVICE_STATUS, 1, 7);

	bytes[0] = VIRTIO_BLK_T_GET_ID;
	bytes[40] = 0xee;
	desc[0] = (struct virtq_desc){ pv_le64_of(data.v), pv_le32_of(16), pv_le16_of(1),
		                       pv_le16_of(1) };
	desc[1] = (struct virtq_desc){ pv_le64_of(data.v + 16), pv_le32_of(20), pv_le16_of(3),
		                       pv_le16_of(2) };
	desc[2] = (struct virtq_desc){ pv_le64_of(data.v + 40), pv_le32_of(1), pv_le16_of(2),
		                       pv_le16_of(0) };
	avail->idx = pv_le16_of(1);
	legacy_write(VIRTIO_PCI_LEGACY_QUEUE_NOTIFY, 2, 0);
	pv_couple_run(&rig.pci.couple);
	assert_int_equal(pv_le16_get(used->idx), 1);
	assert_int_equal(bytes[40], VIRTIO_BLK_S_OK);
	assert_int_equal(legacy(VIRTIO_PCI_LEGACY_ISR_STATUS, 1), VIRTIO_PCI_ISR_QUEUE);
	assert_int_equal(legacy(VIRTIO_PCI_LEGACY_ISR_STATUS, 1), 0);

	/* A page of zero takes the queue back; it can be had again. */
	legacy_write(VIRTIO_PCI_LEGACY_QUEUE_ADDRESS, 4, 0);
	pv_couple_run(&rig.pci.couple);
	assert_int_equal(legacy(VIRTIO_PCI_LEGACY_QUEUE_ADDRESS, 4), 0);
	assert_int_equal(rig.pci.couple.allocs, 0);
	memset(memory, 0, RING_BYTES);
	legacy_write(VIRTIO_PCI_LEGACY_QUEUE_ADDRESS, 4, ring.v / 4096);
	assert_true(rig.pci.couple.allocs > 0);
}

/* They write zero and go on: the device must have come to rest when that write is over. */
static void a_legacy_reset_is_waited_for(void **state)
{
	struct pv_gpa ring =
		pv_twin_alloc(&rig.pci.couple.twin, RING_BYTES, PV_WHOLE, 0, &rig.random);
	struct pv_gpa data = pv_twin_alloc(&rig.pci.couple.twin, 64, PV_WHOLE, 0, &rig.random);
	uint8_t *memory = pv_twin_driver(&rig.pci.couple.twin, ring);
	struct virtq_desc *desc = (struct virtq_desc *)memory;

	(void)state;
	rig.store.at_once_percent = rig.store.withdraw_percent = 0;
	pv_couple_seal(&rig.pci.couple);
	legacy_write(VIRTIO_PCI_LEGACY_DEVICE_STATUS, 1, 3);
	legacy_write(VIRTIO_PCI_LEGACY_QUEUE_ADDRESS, 4, ring.v / 4096);
	legacy_write(VIRTIO_PCI_LEGACY_DEVICE_STATUS, 1, 7);
	desc[0] = (struct virtq_desc){ pv_le64_of(data.v), pv_le32_of(16), pv_le16_of(1),
		                       pv_le16_of(1) };
	desc[1] = (struct virtq_desc){ pv_le64_of(data.v + 40), pv_le32_of(1), pv_le16_of(2),
		                       pv_le16_of(0) };
	*(uint8_t *)pv_twin_driver(&rig.pci.couple.twin, data) = VIRTIO_BLK_T_FLUSH;
	((struct virtq_avail *)(memory + 16 * QUEUE_SIZE))->idx = pv_le16_of(1);
	pv_couple_run(&rig.pci.couple);
	assert_int_equal(rig.store.pendings, 1);
	legacy_write(VIRTIO_PCI_LEGACY_DEVICE_STATUS, 1, 0);
	assert_int_equal(rig.pci.waits, 1000);
	assert_int_not_equal(legacy(VIRTIO_PCI_LEGACY_DEVICE_STATUS, 1), 0);
	pv_slow_store_finish_one(&rig.store);
	pv_couple_wake(&rig.pci.couple, 0);
	pv_couple_run(&rig.pci.couple);
	assert_int_equal(legacy(VIRTIO_PCI_LEGACY_DEVICE_STATUS, 1), 0);
}

#define MODERN(test)       cmocka_unit_test_setup_teardown(test, open_modern, rig_close)
#define TRANSITIONAL(test) cmocka_unit_test_setup_teardown(test, open_transitional, rig_close)

int main(void)
{
	const struct CMUnitTest tests[] = {
		MODERN(a_modern_device_says_what_it_is),
		TRANSITIONAL(a_transitional_device_has_the_old_ids),
		TRANSITIONAL(what_is_read_only_stays),
		TRANSITIONAL(a_bar_tells_its_size),
		TRANSITIONAL(a_window_is_where_the_bar_says_while_it_is_decoded),
		MODERN(all_structures_are_there_and_do_not_overlap),
		MODERN(registers_can_be_reached_through_configuration_space),
		MODERN(a_queue_that_is_not_there_has_no_size),
		MODERN(addresses_come_whole_or_in_halves),
		MODERN(features_that_cannot_be_had_are_refused),
		MODERN(a_queue_that_cannot_start_asks_for_a_reset),
		TRANSITIONAL(the_old_configuration_moves_when_vectors_are_on),
		TRANSITIONAL(a_legacy_driver_reads_the_serial_number),
		TRANSITIONAL(a_legacy_reset_is_waited_for),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
