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

#include "drivers/bus/legacy.h"
#include "tests/support/noisy_driver.h"
#include "tests/support/pci_couple.h"

static struct pv_pci_couple pci;

/* ---- a driver of noise ---- */

static struct pv_couple *open_pci(struct pv_noisy *noisy, bool is_legacy)
{
	pv_pci_couple_open(&pci, PV_NOISY_MEMORY_BYTES, noisy->random);
	pv_pci_couple_set_device(&pci, pv_noisy_device(noisy, &pci.couple), PV_VIEW_DEVICE,
	                         is_legacy);
	return &pci.couple;
}

static void close_pci(void)
{
	pv_pci_couple_close(&pci);
}

static unsigned int any_width(struct pv_noisy *noisy)
{
	static const unsigned int widths[] = { 1, 1, 2, 2, 4, 4, 4, 8, 0, 3, 16, 4096 };

	return widths[pv_noisy_below(noisy, sizeof(widths) / sizeof(widths[0]))];
}

static uint64_t any_offset(struct pv_noisy *noisy)
{
	static const uint32_t limits[] = { 64, 64, 256, 4096, 0x4010, 0x3020 };
	uint32_t limit = limits[pv_noisy_below(noisy, sizeof(limits) / sizeof(limits[0]))];

	if (pv_random_chance(&noisy->random, 1))
		return pv_noisy_value(noisy);
	if (pv_random_chance(&noisy->random, 20))
		return (pv_noisy_below(noisy, 4) << 12) + pv_noisy_below(noisy, 64);
	return pv_noisy_below(noisy, limit);
}

static void one_access(struct pv_noisy *noisy)
{
	struct pv_pci_function *function = &pci.virtio.function;
	uint64_t offset = any_offset(noisy), value = pv_noisy_value(noisy);
	unsigned int width = any_width(noisy), bar = pv_noisy_below(noisy, 8);

	switch (pv_noisy_below(noisy, 8)) {
	case 0:
		pv_pci_config_read(function, (uint32_t)offset, width);
		break;
	case 1:
		pv_pci_config_write(function, (uint32_t)offset, width, value);
		break;
	case 2:
	case 3:
		pv_pci_bar_read(function, bar, offset, width);
		break;
	default:
		pv_pci_bar_write(function, bar, offset, width, value);
		break;
	}
}

static void modern_write(uint32_t offset, unsigned int bytes, uint64_t value)
{
	pv_pci_bar_write(&pci.virtio.function, PV_VIRTIO_PCI_BAR_MODERN, offset, bytes, value);
}

static void start_a_queue(struct pv_noisy *noisy)
{
	const uint64_t version_1 = VIRTIO_F_VERSION_1 >> 32, area = noisy->area.v;

	modern_write(offsetof(struct virtio_pci_common_cfg, driver_feature_select), 4, 1);
	modern_write(offsetof(struct virtio_pci_common_cfg, driver_feature), 4, version_1);
	modern_write(offsetof(struct virtio_pci_common_cfg, queue_select), 2,
	             pv_noisy_below(noisy, PV_NOISY_QUEUES));
	modern_write(offsetof(struct virtio_pci_common_cfg, queue_size), 2,
	             1u << pv_noisy_below(noisy, 7));
	modern_write(offsetof(struct virtio_pci_common_cfg, queue_desc), 8, area);
	modern_write(offsetof(struct virtio_pci_common_cfg, queue_driver), 8, area + 4096);
	modern_write(offsetof(struct virtio_pci_common_cfg, queue_device), 8, area + 8192);
	modern_write(offsetof(struct virtio_pci_common_cfg, queue_enable), 2, 1);
	modern_write(offsetof(struct virtio_pci_common_cfg, device_status), 1,
	             VIRTIO_STATUS_ACKNOWLEDGE | VIRTIO_STATUS_DRIVER | VIRTIO_STATUS_FEATURES_OK);
	modern_write(offsetof(struct virtio_pci_common_cfg, device_status), 1,
	             VIRTIO_STATUS_DRIVER_OK);
}

static void reset_pci(void)
{
	pv_virtio_pci_reset(&pci.virtio);
}

static struct pv_bus *probe_pci(void)
{
	assert_int_equal(pv_pci_couple_probe(&pci), 0);
	return &pci.bus.bus;
}

static const struct pv_noisy_bus noisy_bus = {
	.open = open_pci,
	.close = close_pci,
	.access = one_access,
	.start_queue = start_a_queue,
	.reset = reset_pci,
	.probe = probe_pci,
};

static void registers_answer_whatever_is_done_to_them(void **state)
{
	(void)state;
	pv_noisy_registers_answer(&noisy_bus);
}

static void a_driver_after_noise_is_served(void **state)
{
	(void)state;
	pv_noisy_driver_after_is_served(&noisy_bus);
}

/* ---- a device of noise ---- */

static struct noise {
	struct pv_pci_port port;
	struct pv_random random;
	uint8_t config[PCI_CONFIG_BYTES];
	uint64_t bar_bytes[PCI_BARS];
	uint64_t accesses;
	bool is_fickle; /* whether MSI-X is on changes from one look to the next */
} noise;

static uint32_t noise_config_read(struct pv_pci_port *port, uint32_t offset, unsigned int bytes)
{
	(void)port;
	noise.accesses++;
	assert_in_range(offset, 0, PCI_CONFIG_BYTES - bytes);
	if (noise.is_fickle && bytes == 2 && offset >= PCI_FIRST_OWN_REGISTER)
		return pv_random_below(&noise.random, 0x10000);
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

	memcpy(noise.config, pci.virtio.function.config, sizeof(noise.config));
	for (uint32_t i = 0; i < spoilt; i++)
		noise.config[4 + pv_random_below(&noise.random, PCI_CONFIG_BYTES - 4)] =
			(uint8_t)pv_random_below(&noise.random, 256);
	for (uint32_t i = 0; i < PCI_BARS; i++)
		noise.bar_bytes[i] = pv_random_chance(&noise.random, 70) ? 0x4000 : 16;
}

static void use_bus(struct pv_pci_bus *pci_bus)
{
	struct pv_bus *bus = &pci_bus->bus;
	/* Where a legacy device would look for it. */
	const struct pv_bus_queue queue = { .size = 8,
		                            .desc_area = pv_gpa_of(0x1000),
		                            .driver_area = pv_gpa_of(0x1080),
		                            .device_area = pv_gpa_of(0x2000) };
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
			bus->ops->kick(bus, i, 0x8000);
		pv_pci_bus_queue_vector_set(pci_bus, i, i);
	}
	pv_pci_bus_isr_get(pci_bus);
}

static void a_configuration_space_of_noise_is_survived(void **state)
{
	uint32_t found = 0, refused = 0;
	static struct pv_noisy noisy;
	struct pv_pci_bus bus;

	(void)state;
	pv_noisy_open(&noisy, &noisy_bus, 0);
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
	pv_noisy_close(&noisy);
}

/* A legacy function, spoilt in the same way, whose MSI-X is on now and then. */
static void make_legacy_noise(void)
{
	make_noise();
	pv_access_put(noise.config + PCI_VENDOR_ID, VIRTIO_PCI_VENDOR, 2);
	pv_access_put(noise.config + PCI_DEVICE_ID, VIRTIO_PCI_DEVICE_BLOCK, 2);
	noise.config[PCI_BAR(0)] |= PCI_BAR_IO;
	noise.bar_bytes[0] = pv_random_below(&noise.random, 100);
}

static void a_legacy_device_of_noise_is_survived(void **state)
{
	uint32_t found = 0, refused = 0;
	struct pv_pci_bus bus;

	(void)state;
	noise.port.ops = &noise_ops;
	noise.random = pv_random_start(pv_random_seed(), 2);
	noise.is_fickle = true;
	for (uint32_t i = 0; i < 20000; i++) {
		make_legacy_noise();
		noise.accesses = 0;
		if (pv_pci_bus_init_legacy(&bus, &noise.port)) {
			refused++;
			if (!PV_LEGACY_IS_KNOWN)
				continue;
		} else {
			found++;
			assert_true(bus.bus.is_legacy);
			use_bus(&bus);
		}
		assert_in_range(noise.accesses, 1, 2000);
	}
	assert_true((found > 0) == PV_LEGACY_IS_KNOWN && refused > 0);
	noise.is_fickle = false;
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
		cmocka_unit_test(a_legacy_device_of_noise_is_survived),
		cmocka_unit_test(a_list_of_capabilities_that_loops_ends),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
