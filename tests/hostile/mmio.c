/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * MMIO under hostile peers: a driver that reads and writes registers at random, of any width and at
 * any offset; and a device whose registers are noise, under our driver's bus.
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
#include "tests/support/mmio_couple.h"
#include "tests/support/noisy_driver.h"

#define WINDOW 4096u

static struct pv_mmio_couple mmio;

static uint64_t get(uint64_t offset, unsigned int bytes)
{
	return pv_virtio_mmio_read(&mmio.mmio, offset, bytes);
}

static void set(uint64_t offset, unsigned int bytes, uint64_t value)
{
	pv_virtio_mmio_write(&mmio.mmio, offset, bytes, value);
}

/* ---- a driver of noise ---- */

/* For legacy drivers the device is of version 1. */
static struct pv_couple *open_mmio(struct pv_noisy *noisy, bool is_legacy)
{
	pv_mmio_couple_open(&mmio, PV_NOISY_MEMORY_BYTES, noisy->random);
	pv_mmio_couple_set_device(&mmio, pv_noisy_device(noisy, &mmio.couple), PV_VIEW_DEVICE,
	                          is_legacy && PV_LEGACY_IS_KNOWN);
	return &mmio.couple;
}

static void close_mmio(void)
{
	pv_mmio_couple_close(&mmio);
}

static unsigned int any_width(struct pv_noisy *noisy)
{
	static const unsigned int widths[] = { 1, 2, 4, 4, 4, 4, 4, 8, 0, 3, 16, 4096 };

	return widths[pv_noisy_below(noisy, sizeof(widths) / sizeof(widths[0]))];
}

static uint64_t any_offset(struct pv_noisy *noisy)
{
	if (pv_random_chance(&noisy->random, 1))
		return pv_noisy_value(noisy);
	return pv_noisy_below(noisy, 10) ? pv_noisy_below(noisy, VIRTIO_MMIO_CONFIG / 4) * 4
	                                 : pv_noisy_below(noisy, WINDOW + 16);
}

static void one_access(struct pv_noisy *noisy)
{
	uint64_t offset = any_offset(noisy);
	unsigned int width = any_width(noisy);

	if (pv_noisy_below(noisy, 3) == 0)
		get(offset, width);
	else
		set(offset, width, pv_noisy_value(noisy));
}

static void set_area(uint32_t low, uint64_t address)
{
	set(low, 4, (uint32_t)address);
	set(low + 4, 4, address >> 32);
}

static void start_a_queue(struct pv_noisy *noisy)
{
	uint64_t area = noisy->area.v;

	set(VIRTIO_MMIO_DRIVER_FEATURES_SEL, 4, 1);
	set(VIRTIO_MMIO_DRIVER_FEATURES, 4, VIRTIO_F_VERSION_1 >> 32);
	set(VIRTIO_MMIO_QUEUE_SEL, 4, pv_noisy_below(noisy, PV_NOISY_QUEUES));
	set(VIRTIO_MMIO_QUEUE_SIZE, 4, 1u << pv_noisy_below(noisy, 7));
	set_area(VIRTIO_MMIO_QUEUE_DESC_LOW, area);
	set_area(VIRTIO_MMIO_QUEUE_DRIVER_LOW, area + 4096);
	set_area(VIRTIO_MMIO_QUEUE_DEVICE_LOW, area + 8192);
	set(VIRTIO_MMIO_QUEUE_READY, 4, 1);
	set(VIRTIO_MMIO_LEGACY_GUEST_PAGE_SIZE, 4, 4096);
	set(VIRTIO_MMIO_LEGACY_QUEUE_ALIGN, 4, 1u << pv_noisy_below(noisy, 13));
	set(VIRTIO_MMIO_LEGACY_QUEUE_PFN, 4, area / 4096);
	set(VIRTIO_MMIO_STATUS, 4,
	    VIRTIO_STATUS_ACKNOWLEDGE | VIRTIO_STATUS_DRIVER | VIRTIO_STATUS_FEATURES_OK);
	set(VIRTIO_MMIO_STATUS, 4, VIRTIO_STATUS_DRIVER_OK);
}

static void check_line(void)
{
	assert_int_equal(mmio.is_line_high, get(VIRTIO_MMIO_INTERRUPT_STATUS, 4) != 0);
}

static void reset_mmio(void)
{
	pv_virtio_mmio_reset(&mmio.mmio);
}

static struct pv_bus *probe_mmio(void)
{
	assert_int_equal(pv_mmio_couple_probe(&mmio), 0);
	return &mmio.bus.bus;
}

static const struct pv_noisy_bus noisy_bus = {
	.open = open_mmio,
	.close = close_mmio,
	.access = one_access,
	.start_queue = start_a_queue,
	.check = check_line,
	.reset = reset_mmio,
	.probe = probe_mmio,
};

/* Each offset with each width, some values each; what was never one does nothing. */
static void every_offset_and_width_is_answered(void **state)
{
	static const unsigned int widths[] = { 0, 1, 2, 3, 4, 5, 8, 16 };
	static const uint64_t values[] = { 0, 1, 0x80, UINT64_MAX };

	static struct pv_noisy noisy;

	(void)state;
	for (uint64_t number = 0; number < 2; number++) {
		pv_noisy_open(&noisy, &noisy_bus, number);
		for (uint64_t at = 0; at < WINDOW + 64; at++)
			for (size_t i = 0; i < 8; i++) {
				uint64_t value = get(at, widths[i]);

				if (widths[i] < 8)
					assert_int_equal(value >> 8 * widths[i], 0);
				for (size_t k = 0; k < 4; k++)
					set(at, widths[i], values[k]);
			}
		assert_int_equal(get(UINT64_MAX, 4), 0);
		assert_int_equal(get(UINT64_MAX - 3, 4), 0);
		set(UINT64_MAX - 3, 4, 1);
		reset_mmio();
		pv_noisy_settle(&noisy);
		pv_noisy_expect_service(&noisy);
		pv_noisy_close(&noisy);
	}
}

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
	struct pv_mmio_port port;
	struct pv_random random;
	uint32_t bytes;
	uint32_t fixed[3]; /* magic, version and id */
	bool is_stuck;     /* all else reads as ones */
	uint64_t accesses;
} noise;

static uint32_t noise_bytes(struct pv_mmio_port *port)
{
	(void)port;
	return noise.bytes;
}

static void check_access(uint32_t offset, unsigned int bytes)
{
	noise.accesses++;
	assert_true(bytes == 1 || bytes == 2 || bytes == 4);
	assert_int_equal(offset % bytes, 0);
	assert_true((uint64_t)offset + bytes <= noise.bytes);
	if (offset < VIRTIO_MMIO_CONFIG)
		assert_int_equal(bytes, 4);
}

static uint32_t noise_read(struct pv_mmio_port *port, uint32_t offset, unsigned int bytes)
{
	(void)port;
	check_access(offset, bytes);
	if (offset <= VIRTIO_MMIO_DEVICE_ID)
		return noise.fixed[offset / 4];
	if (noise.is_stuck)
		return UINT32_MAX;
	return pv_random_below(&noise.random, pv_random_chance(&noise.random, 50) ? 4 : UINT32_MAX);
}

static void noise_write(struct pv_mmio_port *port, uint32_t offset, unsigned int bytes,
                        uint32_t value)
{
	(void)port;
	(void)value;
	check_access(offset, bytes);
	assert_true(offset > VIRTIO_MMIO_VENDOR_ID);
}

static const struct pv_mmio_port_ops noise_ops = {
	.bytes = noise_bytes,
	.read = noise_read,
	.write = noise_write,
};

static void noise_open(uint32_t bytes, uint32_t version)
{
	noise = (struct noise){ .port = { .ops = &noise_ops },
		                .random = pv_random_start(pv_random_seed(), 1),
		                .bytes = bytes,
		                .fixed = { VIRTIO_MMIO_MAGIC, version, 2 } };
}

static void use_bus(struct pv_mmio_bus *mmio_bus)
{
	struct pv_bus *bus = &mmio_bus->bus;
	const struct pv_bus_queue queue = {
		.size = 8,
		.desc_area = { 4096 },
		.driver_area = { 4096 + 128 },
		.device_area = { 8192 },
	};
	uint8_t bytes[300], status;
	uint64_t features;
	uint32_t generation;
	uint16_t size;

	bus->ops->features_get(bus, &features);
	if (bus->is_legacy)
		assert_int_equal(features >> 32, 0);
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
		assert_in_range(size, 0, VIRTQ_SIZE_MAX);
		if (bus->ops->queue_enable(bus, i, &queue) == 0)
			bus->ops->kick(bus, i, 0x8000);
		bus->ops->queue_reset(bus, i);
	}
	assert_in_range(pv_mmio_bus_interrupt_take(mmio_bus), 0, 3);
}

static void registers_of_noise_are_survived(void **state)
{
	struct pv_mmio_bus bus;

	(void)state;
	noise_open(WINDOW, 2);
	for (uint32_t i = 0; i < 20000; i++) {
		noise.bytes = VIRTIO_MMIO_CONFIG + pv_random_below(&noise.random, 400);
		noise.fixed[1] = PV_LEGACY_IS_KNOWN ? 1 + i % 2 : 2;
		noise.accesses = 0;
		assert_int_equal(pv_mmio_bus_init(&bus, &noise.port), 0);
		use_bus(&bus);
		assert_in_range(noise.accesses, 1, 4000);
	}
}

/* Section 4.2.3.1.1: who is no device is left alone after the register that says so. */
static void what_is_no_device_is_left_alone(void **state)
{
	static const struct {
		uint32_t bytes, magic, version, id;
		uint64_t accesses;
	} cases[] = {
		{ VIRTIO_MMIO_CONFIG - 1, VIRTIO_MMIO_MAGIC, 2, 2, 0 },
		{ WINDOW, VIRTIO_MMIO_MAGIC + 1, 2, 2, 1 },
		{ WINDOW, UINT32_MAX, UINT32_MAX, UINT32_MAX, 1 },
		{ WINDOW, VIRTIO_MMIO_MAGIC, 0, 2, 2 },
		{ WINDOW, VIRTIO_MMIO_MAGIC, 3, 2, 2 },
		{ WINDOW, VIRTIO_MMIO_MAGIC, 2, 0, 3 },
		{ WINDOW, VIRTIO_MMIO_MAGIC, 1, 0x10000, PV_LEGACY_IS_KNOWN ? 3 : 2 },
	};
	struct pv_mmio_bus bus;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		noise_open(cases[i].bytes, cases[i].version);
		noise.fixed[0] = cases[i].magic;
		noise.fixed[2] = cases[i].id;
		assert_int_equal(pv_mmio_bus_init(&bus, &noise.port), -PV_ENOTSUP);
		assert_int_equal(noise.accesses, cases[i].accesses);
	}
}

/* A device whose registers are stuck: nothing is waited for for ever, and no queue given away. */
static void a_device_that_is_stuck_is_given_up(void **state)
{
	const struct pv_bus_queue queue = { .size = 8 };
	struct pv_mmio_bus bus;
	uint16_t size;

	(void)state;
	noise_open(WINDOW, 2);
	noise.is_stuck = true;
	assert_int_equal(pv_mmio_bus_init(&bus, &noise.port), 0);
	assert_int_equal(bus.bus.ops->queue_size_max(&bus.bus, 0, &size), 0);
	assert_int_equal(size, VIRTQ_SIZE_MAX);
	assert_int_equal(bus.bus.ops->queue_enable(&bus.bus, 0, &queue), -PV_EBROKEN);
	assert_int_equal(bus.bus.ops->queue_reset(&bus.bus, 0), -PV_ETIMEDOUT);
	assert_in_range(noise.accesses, 1, 2000000);
}

/* Areas that a legacy device would look for elsewhere are not given to it. */
static void a_legacy_device_gets_pages_only(void **state)
{
	static const struct pv_bus_queue queues[] = {
		{ 8, { 4096 + 64 }, { 4096 + 64 + 128 }, { 8192 } },
		{ 8, { 4096 }, { 4096 + 192 }, { 8192 } },
		{ 8, { 4096 }, { 4096 + 128 }, { 4096 + 192 } },
		{ 8, { 4096ull << 32 }, { (4096ull << 32) + 128 }, { (4096ull << 32) + 4096 } },
	};
	struct pv_mmio_bus bus;

	(void)state;
	noise_open(WINDOW, 1);
	assert_int_equal(pv_mmio_bus_init(&bus, &noise.port), PV_LEGACY_IS_KNOWN ? 0 : -PV_ENOTSUP);
	if (!PV_LEGACY_IS_KNOWN)
		return;
	for (size_t i = 0; i < sizeof(queues) / sizeof(queues[0]); i++)
		assert_int_equal(bus.bus.ops->queue_enable(&bus.bus, 0, &queues[i]), -PV_EINVAL);
	assert_int_equal(bus.bus.ops->queue_reset(&bus.bus, 0), -PV_ENOTSUP);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_offset_and_width_is_answered),
		cmocka_unit_test(registers_answer_whatever_is_done_to_them),
		cmocka_unit_test(a_driver_after_noise_is_served),
		cmocka_unit_test(registers_of_noise_are_survived),
		cmocka_unit_test(what_is_no_device_is_left_alone),
		cmocka_unit_test(a_device_that_is_stuck_is_given_up),
		cmocka_unit_test(a_legacy_device_gets_pages_only),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
