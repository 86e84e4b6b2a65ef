/* SPDX-License-Identifier: BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "devices/blk/blk.h"
#include "drivers/blk/blk.h"
#include "tests/support/noisy_driver.h"

#define STEPS 200000u

struct pv_device *pv_noisy_device(struct pv_noisy *noisy, struct pv_couple *couple)
{
	const struct pv_blk_options options = { .queues = PV_NOISY_QUEUES, .queue_size_max = 64 };

	noisy->storage = aligned_alloc(64, (pv_blk_bytes(PV_NOISY_QUEUES) + 63) & ~63ul);
	memset(noisy->storage, 0, pv_blk_bytes(PV_NOISY_QUEUES));
	pv_slow_store_open(&noisy->store, noisy->disk, PV_NOISY_DISK_BYTES, &noisy->random);
	return pv_blk_init(noisy->storage, &couple->port, &noisy->store.blk, &options);
}

void pv_noisy_open(struct pv_noisy *noisy, const struct pv_noisy_bus *bus, uint64_t number)
{
	memset(noisy, 0, sizeof(*noisy));
	noisy->bus = bus;
	noisy->random = pv_random_start(pv_random_seed(), number);
	noisy->couple = bus->open(noisy, number % 2);
	noisy->area = pv_twin_alloc(&noisy->couple->twin, PV_NOISY_AREA_BYTES, PV_WHOLE, 0,
	                            &noisy->random);
}

void pv_noisy_close(struct pv_noisy *noisy)
{
	noisy->bus->close();
	free(noisy->storage);
}

uint32_t pv_noisy_below(struct pv_noisy *noisy, uint32_t limit)
{
	return pv_random_below(&noisy->random, limit);
}

uint64_t pv_noisy_value(struct pv_noisy *noisy)
{
	uint32_t within = pv_noisy_below(noisy, PV_NOISY_AREA_BYTES);

	switch (pv_noisy_below(noisy, 8)) {
	case 0:
		return 0;
	case 1:
		return 1;
	case 2:
		return within % 16;
	case 3:
		return noisy->area.v + within / 16 * 16;
	case 4:
		return (noisy->area.v + within) / 4096;
	case 5:
		return 1ull << within % 64;
	case 6:
		return UINT64_MAX;
	default:
		return (uint64_t)pv_noisy_below(noisy, UINT32_MAX) << 32 |
		       pv_noisy_below(noisy, UINT32_MAX);
	}
}

static void run_device(struct pv_noisy *noisy)
{
	if (pv_slow_store_finish_one(&noisy->store))
		for (uint16_t i = 0; i < PV_NOISY_QUEUES; i++)
			pv_couple_wake(noisy->couple, i);
	pv_couple_run(noisy->couple);
	if (pv_random_chance(&noisy->random, 10))
		pv_couple_sleep(noisy->couple);
}

static void scribble(struct pv_noisy *noisy)
{
	uint8_t *memory = pv_twin_driver(&noisy->couple->twin, noisy->area);

	memory[pv_noisy_below(noisy, PV_NOISY_AREA_BYTES)] = (uint8_t)pv_noisy_below(noisy, 256);
}

void pv_noisy_settle(struct pv_noisy *noisy)
{
	for (int i = 0; pv_device_status(noisy->couple->device) != 0; i++) {
		assert_in_range(i, 0, 10000);
		for (uint16_t queue = 0; queue < PV_NOISY_QUEUES; queue++)
			pv_couple_wake(noisy->couple, queue);
		run_device(noisy);
	}
}

/* A reset is all that a driver which means well needs. */
void pv_noisy_expect_service(struct pv_noisy *noisy)
{
	const struct pv_blkdrv_options options = { .queues = PV_NOISY_QUEUES };
	struct pv_bus *bus = noisy->bus->probe();
	struct pv_blkdrv *driver;
	char id[VIRTIO_BLK_ID_BYTES + 1];

	assert_int_equal(pv_blkdrv_create(&driver, bus, &noisy->couple->os, &options), 0);
	noisy->store.at_once_percent = 100;
	assert_int_equal(
		pv_blkdrv_id(pv_blkdrv_queue(driver, PV_NOISY_QUEUES - 1), id, 1000000000ull), 0);
	pv_blkdrv_destroy(driver);
}

static void one_step(struct pv_noisy *noisy)
{
	noisy->bus->access(noisy);
	if (pv_noisy_below(noisy, 200) == 0)
		noisy->bus->start_queue(noisy);
	scribble(noisy);
}

void pv_noisy_registers_answer(const struct pv_noisy_bus *bus)
{
	static struct pv_noisy noisy;

	for (uint64_t number = 0; number < 4; number++) {
		uint32_t starts = 0;

		pv_noisy_open(&noisy, bus, number);
		for (uint32_t i = 0; i < 4096; i++)
			scribble(&noisy);
		/* Before the driver of the end has its memory nothing can be sealed: give it some.
		 */
		pv_couple_seal(noisy.couple);
		for (uint32_t i = 0; i < STEPS; i++) {
			one_step(&noisy);
			starts += noisy.couple->allocs > 0;
			run_device(&noisy);
			if (bus->check)
				bus->check();
		}
		/* It did get as far as running queues. */
		assert_true(starts > 0);
		bus->reset();
		pv_noisy_settle(&noisy);
		assert_int_equal(noisy.couple->allocs, 0);
		pv_noisy_close(&noisy);
	}
}

void pv_noisy_driver_after_is_served(const struct pv_noisy_bus *bus)
{
	static struct pv_noisy noisy;

	for (uint64_t number = 0; number < 20; number++) {
		pv_noisy_open(&noisy, bus, number);
		/* Whatever was set, no queue can start: there is no memory yet. */
		for (uint32_t i = 0; i < 2000; i++)
			if (pv_device_is_idle(noisy.couple->device))
				bus->access(&noisy);
		bus->reset();
		pv_noisy_settle(&noisy);
		pv_noisy_expect_service(&noisy);
		pv_noisy_close(&noisy);
	}
}
