/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * PCI under hostile peers: a driver that reads and writes registers at random, of any width and at
 * any offset; and a device whose configuration space is noise, under our driver's bus.
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
#include "tests/support/pci_couple.h"
#include "tests/support/slow_store.h"

#define DISK_BYTES 65536u
#define QUEUES     3u
#define STEPS      200000u
#define AREA_BYTES 16384u

static struct rig {
	struct pv_pci_couple pci;
	struct pv_random random;
	struct pv_slow_store store;
	uint8_t disk[DISK_BYTES];
	void *storage;
	struct pv_gpa area; /* of guest memory, for rings and buffers of the wildest kind */
} rig;

static void rig_open(uint64_t number)
{
	const struct pv_blk_options options = { .queues = QUEUES, .queue_size_max = 64 };
	struct pv_device *device;

	memset(&rig, 0, sizeof(rig));
	rig.random = pv_random_start(pv_random_seed(), number);
	pv_pci_couple_open(&rig.pci, 4u << 20, rig.random);
	rig.storage = aligned_alloc(64, (pv_blk_bytes(QUEUES) + 63) & ~63ul);
	memset(rig.storage, 0, pv_blk_bytes(QUEUES));
	pv_slow_store_open(&rig.store, rig.disk, DISK_BYTES, &rig.random);
	device = pv_blk_init(rig.storage, &rig.pci.couple.port, &rig.store.blk, &options);
	pv_pci_couple_set_device(&rig.pci, device, PV_VIEW_DEVICE, number % 2);
	rig.area = pv_twin_alloc(&rig.pci.couple.twin, AREA_BYTES, PV_WHOLE, 0, &rig.random);
}

static void rig_close(void)
{
	pv_pci_couple_close(&rig.pci);
	free(rig.storage);
}

static void run_device(void)
{
	if (pv_slow_store_finish_one(&rig.store))
		for (uint16_t i = 0; i < QUEUES; i++)
			pv_couple_wake(&rig.pci.couple, i);
	pv_couple_run(&rig.pci.couple);
	if (pv_random_chance(&rig.random, 10))
		pv_couple_sleep(&rig.pci.couple);
}

/* ---- a driver of noise ---- */

static uint32_t below(uint32_t limit)
{
	return pv_random_below(&rig.random, limit);
}

static unsigned int any_width(void)
{
	static const unsigned int widths[] = { 1, 1, 2, 2, 4, 4, 4, 8, 0, 3, 16, 4096 };

	return widths[below(sizeof(widths) / sizeof(widths[0]))];
}

/* Values that mean something more often than not. */
static uint64_t any_value(void)
{
	switch (below(8)) {
	case 0:
		return 0;
	case 1:
		return 1;
	case 2:
		return below(16);
	case 3:
		return rig.area.v + below(AREA_BYTES) / 16 * 16;
	case 4:
		return (rig.area.v + below(AREA_BYTES)) / 4096;
	case 5:
		return 1ull << below(64);
	case 6:
		return UINT64_MAX;
	default:
		return (uint64_t)below(UINT32_MAX) << 32 | below(UINT32_MAX);
	}
}

static uint64_t any_offset(void)
{
	static const uint32_t limits[] = { 64, 64, 256, 4096, 0x4010, 0x3020 };

	if (pv_random_chance(&rig.random, 1))
		return any_value();
	if (pv_random_chance(&rig.random, 20))
		return (below(4) << 12) + below(64);
	return below(limits[below(sizeof(limits) / sizeof(limits[0]))]);
}

static void one_access(void)
{
	struct pv_pci_function *function = &rig.pci.virtio.function;

	switch (below(8)) {
	case 0:
		pv_pci_config_read(function, (uint32_t)any_offset(), any_width());
		break;
	case 1:
		pv_pci_config_write(function, (uint32_t)any_offset(), any_width(), any_value());
		break;
	case 2:
	case 3:
		pv_pci_bar_read(function, below(8), any_offset(), any_width());
		break;
	default:
		pv_pci_bar_write(function, below(8), any_offset(), any_width(), any_value());
		break;
	}
}

static void modern_write(uint32_t offset, unsigned int bytes, uint64_t value)
{
	pv_pci_bar_write(&rig.pci.virtio.function, PV_VIRTIO_PCI_BAR_MODERN, offset, bytes, value);
}

/* Noise alone seldom gets a queue to run. */
static void start_a_queue(void)
{
	const uint64_t version_1 = VIRTIO_F_VERSION_1 >> 32;

	modern_write(offsetof(struct virtio_pci_common_cfg, driver_feature_select), 4, 1);
	modern_write(offsetof(struct virtio_pci_common_cfg, driver_feature), 4, version_1);
	modern_write(offsetof(struct virtio_pci_common_cfg, queue_select), 2, below(QUEUES));
	modern_write(offsetof(struct virtio_pci_common_cfg, queue_size), 2, 1u << below(7));
	modern_write(offsetof(struct virtio_pci_common_cfg, queue_desc), 8, rig.area.v);
	modern_write(offsetof(struct virtio_pci_common_cfg, queue_driver), 8, rig.area.v + 4096);
	modern_write(offsetof(struct virtio_pci_common_cfg, queue_device), 8, rig.area.v + 8192);
	modern_write(offsetof(struct virtio_pci_common_cfg, queue_enable), 2, 1);
	modern_write(offsetof(struct virtio_pci_common_cfg, device_status), 1,
	             VIRTIO_STATUS_ACKNOWLEDGE | VIRTIO_STATUS_DRIVER | VIRTIO_STATUS_FEATURES_OK);
	modern_write(offsetof(struct virtio_pci_common_cfg, device_status), 1,
	             VIRTIO_STATUS_DRIVER_OK);
}

static void scribble(void)
{
	uint8_t *memory = pv_twin_driver(&rig.pci.couple.twin, rig.area);

	memory[below(AREA_BYTES)] = (uint8_t)below(256);
}

/* A driver that means well comes after it: a reset is all it needs. */
static void expect_service(void)
{
	const struct pv_blkdrv_options options = { .queues = QUEUES };
	struct pv_blkdrv *driver;
	char id[VIRTIO_BLK_ID_BYTES + 1];

	assert_int_equal(pv_pci_couple_probe(&rig.pci), 0);
	assert_int_equal(pv_blkdrv_create(&driver, &rig.pci.bus.bus, &rig.pci.couple.os, &options),
	                 0);
	rig.store.at_once_percent = 100;
	assert_int_equal(pv_blkdrv_id(pv_blkdrv_queue(driver, QUEUES - 1), id, 1000000000ull), 0);
	pv_blkdrv_destroy(driver);
}

static void settle(void)
{
	for (int i = 0; pv_device_status(rig.pci.couple.device) != 0; i++) {
		assert_in_range(i, 0, 10000);
		for (uint16_t queue = 0; queue < QUEUES; queue++)
			pv_couple_wake(&rig.pci.couple, queue);
		run_device();
	}
}

static void registers_answer_whatever_is_done_to_them(void **state)
{
	(void)state;
	for (uint64_t number = 0; number < 4; number++) {
		uint32_t starts = 0;

		rig_open(number);
		for (uint32_t i = 0; i < 4096; i++)
			scribble();
		/* Before the driver of the end has its memory nothing can be sealed: give it some.
		 */
		pv_couple_seal(&rig.pci.couple);
		for (uint32_t i = 0; i < STEPS; i++) {
			one_access();
			if (below(200) == 0)
				start_a_queue();
			scribble();
			starts += rig.pci.couple.allocs > 0;
			run_device();
		}
		/* It did get as far as running queues. */
		assert_true(starts > 0);
		pv_virtio_pci_reset(&rig.pci.virtio);
		settle();
		assert_int_equal(rig.pci.couple.allocs, 0);
		rig_close();
	}
}

static void a_driver_after_noise_is_served(void **state)
{
	(void)state;
	for (uint64_t number = 0; number < 20; number++) {
		rig_open(number);
		/* Whatever was set, no queue can start: there is no memory yet. */
		for (uint32_t i = 0; i < 2000; i++)
			if (pv_device_is_idle(rig.pci.couple.device))
				one_access();
		pv_virtio_pci_reset(&rig.pci.virtio);
		settle();
		expect_service();
		rig_close();
	}
}

/* ---- a device of noise ---- */

static struct noise {
	struct pv_pci_port port;
	struct pv_random random;
	uint8_t config[PCI_CONFIG_BYTES];
	uint64_t bar_bytes[PCI_BARS];
	uint64_t accesses;
} noise;

static uint32_t noise_config_read(struct pv_pci_port *port, uint32_t offset, unsigned int bytes)
{
	(void)port;
	noise.accesses++;
	assert_in_range(offset, 0, PCI_CONFIG_BYTES - bytes);
	return (uint32_t)pv_access_get(noise.config + offset, bytes);
}

static void noise_config_write(struct pv_pci_port *port, uint32_t offset, unsigned int bytes,
                               uint32_t value)
{
	(void)port;
	(void)value;
	assert_int_equal(offset, PCI_COMMAND);
	assert_int_equal(bytes, 2);
}

static uint64_t noise_bar_bytes(struct pv_pci_port *port, unsigned int bar)
{
	(void)port;
	assert_in_range(bar, 0, PCI_BARS - 1);
	return noise.bar_bytes[bar];
}

static void check_access(unsigned int bar, uint32_t offset, unsigned int bytes)
{
	noise.accesses++;
	assert_in_range(bar, 0, PCI_BARS - 1);
	assert_true(bytes == 1 || bytes == 2 || bytes == 4);
	assert_int_equal(offset % bytes, 0);
	assert_true((uint64_t)offset + bytes <= noise.bar_bytes[bar]);
}

static uint32_t noise_bar_read(struct pv_pci_port *port, unsigned int bar, uint32_t offset,
                               unsigned int bytes)
{
	(void)port;
	check_access(bar, offset, bytes);
	return pv_random_below(&noise.random, pv_random_chance(&noise.random, 50) ? 4 : UINT32_MAX);
}

static void noise_bar_write(struct pv_pci_port *port, unsigned int bar, uint32_t offset,
                            unsigned int bytes, uint32_t value)
{
	(void)port;
	(void)value;
	check_access(bar, offset, bytes);
}

static const struct pv_pci_port_ops noise_ops = {
	.config_read = noise_config_read,
	.config_write = noise_config_write,
	.bar_bytes = noise_bar_bytes,
	.bar_read = noise_bar_read,
	.bar_write = noise_bar_write,
};

/* A good function's configuration space, spoilt in some places. */
static void make_noise(void)
{
	uint32_t spoilt = 1 + pv_random_below(&noise.random, 8);

	memcpy(noise.config, rig.pci.virtio.function.config, sizeof(noise.config));
	for (uint32_t i = 0; i < spoilt; i++)
		noise.config[4 + pv_random_below(&noise.random, PCI_CONFIG_BYTES - 4)] =
			(uint8_t)pv_random_below(&noise.random, 256);
	for (uint32_t i = 0; i < PCI_BARS; i++)
		noise.bar_bytes[i] = pv_random_chance(&noise.random, 70) ? 0x4000 : 16;
}

static void use_bus(struct pv_pci_bus *pci)
{
	struct pv_bus *bus = &pci->bus;
	const struct pv_bus_queue queue = { .size = 8 };
	uint8_t bytes[300], status;
	uint64_t features;
	uint32_t generation;
	uint16_t size;

	bus->ops->features_get(bus, &features);
	bus->ops->features_set(bus, features);
	bus->ops->status_set(bus, 1);
	bus->ops->status_get(bus, &status);
	bus->ops->config_generation(bus, &generation);
	for (uint32_t i = 0; i < 8; i++) {
		bus->ops->config_read(bus, i, bytes, pv_random_below(&noise.random, 300));
		bus->ops->config_write(bus, i, bytes, i);
	}
	for (uint16_t i = 0; i < 4; i++) {
		bus->ops->queue_size_max(bus, i, &size);
		if (bus->ops->queue_enable(bus, i, &queue) == 0)
			bus->ops->kick(bus, i);
		pv_pci_bus_queue_vector_set(pci, i, i);
	}
	pv_pci_bus_isr_get(pci);
}

static void a_configuration_space_of_noise_is_survived(void **state)
{
	uint32_t found = 0, refused = 0;
	struct pv_pci_bus bus;

	(void)state;
	rig_open(0);
	noise.port.ops = &noise_ops;
	noise.random = pv_random_start(pv_random_seed(), 1);
	for (uint32_t i = 0; i < 20000; i++) {
		make_noise();
		noise.accesses = 0;
		if (pv_pci_bus_init(&bus, &noise.port)) {
			refused++;
		} else {
			found++;
			use_bus(&bus);
		}
		assert_in_range(noise.accesses, 1, 2000);
	}
	assert_true(found > 0 && refused > 0);
	rig_close();
}

/* A list that loops, and one whose entries lie at its end. */
static void a_list_of_capabilities_that_loops_ends(void **state)
{
	struct pv_pci_bus bus;

	(void)state;
	noise.port.ops = &noise_ops;
	for (uint32_t at = 0x40; at < 0x100; at += 4) {
		memset(noise.config, 0, sizeof(noise.config));
		pv_access_put(noise.config + PCI_VENDOR_ID, VIRTIO_PCI_VENDOR, 2);
		noise.config[PCI_STATUS] = PCI_STATUS_CAPABILITIES;
		noise.config[PCI_CAPABILITIES] = (uint8_t)at;
		noise.config[at] = PCI_CAP_ID_VENDOR;
		noise.config[at + 1] = (uint8_t)at;
		noise.config[at + 3] = VIRTIO_PCI_CAP_NOTIFY_CFG;
		assert_true(pv_pci_bus_init(&bus, &noise.port) != 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(registers_answer_whatever_is_done_to_them),
		cmocka_unit_test(a_driver_after_noise_is_served),
		cmocka_unit_test(a_configuration_space_of_noise_is_survived),
		cmocka_unit_test(a_list_of_capabilities_that_loops_ends),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
