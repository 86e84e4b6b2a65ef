/* SPDX-License-Identifier: BSD-2-Clause */
/* What a driver does to a ring, beside the model. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "ring/err.h"
#include "tests/pair/ring_model.h"

/* Random buffers inside the chain's own cell, in any order, some of them empty. */
static void shape(struct run *run, uint16_t index)
{
	struct chain *chain = &run->chain[index];
	uint32_t max = run->size < BUFFERS_MAX ? run->size : BUFFERS_MAX;
	uint32_t buffers =
		1 + pv_random_below(&run->random,
	                            max > 5 && pv_random_chance(&run->random, 90) ? 5 : max);
	struct pv_gpa at = pv_gpa_add(run->pair.data, (uint64_t)index * run->cell_bytes);

	chain->readable = (uint16_t)pv_random_below(&run->random, buffers + 1);
	chain->writable = (uint16_t)(buffers - chain->readable);
	chain->readable_bytes = 0;
	chain->writable_bytes = 0;
	for (uint32_t i = 0; i < buffers; i++)
		chain->sg[i].bytes = UINT32_MAX;
	for (uint32_t i = 0; i < buffers; i++) {
		uint32_t pick = pv_random_below(&run->random, buffers);

		while (chain->sg[pick].bytes != UINT32_MAX)
			pick = (pick + 1) % buffers;
		chain->sg[pick].addr = at;
		chain->sg[pick].bytes =
			pv_random_below(&run->random, run->cell_bytes / buffers + 1);
		at = pv_gpa_add(at, chain->sg[pick].bytes);
		if (pick < chain->readable)
			chain->readable_bytes += chain->sg[pick].bytes;
		else
			chain->writable_bytes += chain->sg[pick].bytes;
	}
	chain->places = (uint16_t)(run->has_indirect && buffers > 1 && buffers <= INDIRECT_MAX
	                                   ? 1
	                                   : buffers);
}

static void fill(struct run *run, const struct chain *chain)
{
	uint8_t bytes[CELL_MAX];
	uint32_t at = 0;

	for (uint16_t i = 0; i < chain->readable + chain->writable; i++) {
		for (uint32_t j = 0; j < chain->sg[i].bytes; j++)
			bytes[j] = i < chain->readable ? pattern(chain->number, at++, false)
			                               : UNTOUCHED;
		pv_twin_write(&run->pair.twin, chain->sg[i].addr, bytes, chain->sg[i].bytes);
	}
}

void driver_adds(struct run *run)
{
	uint16_t index;
	struct chain *chain;
	int error;

	if (run->unused.count == 0)
		return;
	index = get(&run->unused);
	chain = &run->chain[index];
	chain->number = run->added_total;
	chain->is_returned = false;
	shape(run, index);
	fill(run, chain);
	error = pv_drv_ring_add(&run->pair.driver, chain->sg, chain->readable, chain->writable,
	                        chain);
	check(run, error == (chain->places <= run->free_places ? 0 : -PV_ENOSPC));
	if (error) {
		put(&run->unused, index);
		return;
	}
	run->free_places -= chain->places;
	run->added_total++;
	put(&run->added, index);
}

void driver_publishes(struct run *run)
{
	check(run, pv_drv_ring_publish(&run->pair.driver) == (run->added.count > 0));
	move_all(&run->visible, &run->added);
}

void driver_decides(struct run *run)
{
	bool must_kick = pv_drv_ring_must_kick(&run->pair.driver);

	if (run->does_device_sleep)
		check(run, must_kick || run->visible.count == 0);
	if (run->are_kicks_off && must_kick) {
		/* Only an event index may still fire, once it comes round. */
		check(run, run->has_event_idx && !run->is_packed);
		run->surplus_kicks++;
	}
	if (must_kick && run->does_device_sleep) {
		run->does_device_sleep = false;
		run->are_kicks_off = pv_random_chance(&run->random, 70);
		if (run->are_kicks_off)
			pv_dev_ring_kicks_off(&run->pair.device);
	}
}

/* The answer is there as far as it is said to be, and nothing behind it was touched. */
static void verify(struct run *run, const struct chain *chain)
{
	uint8_t bytes[CELL_MAX];
	uint32_t at = 0;

	for (uint16_t i = chain->readable; i < chain->readable + chain->writable; i++) {
		pv_twin_read(&run->pair.twin, chain->sg[i].addr, bytes, chain->sg[i].bytes);
		for (uint32_t j = 0; j < chain->sg[i].bytes; j++, at++)
			check(run, bytes[j] == (at < chain->written_bytes
			                                ? pattern(chain->number, at, true)
			                                : UNTOUCHED));
	}
}

void driver_takes(struct run *run)
{
	void *token;
	uint32_t written_bytes;
	enum pv_drv_take took = pv_drv_ring_take(&run->pair.driver, &token, &written_bytes);
	struct chain *chain;
	uint16_t index;

	check(run, took == (run->used.count > 0 ? PV_DRV_TAKEN : PV_DRV_NONE));
	if (took != PV_DRV_TAKEN)
		return;
	index = get(&run->used);
	chain = &run->chain[index];
	check(run, token == chain);
	check(run, written_bytes == chain->written_bytes);
	verify(run, chain);
	run->free_places += chain->places;
	run->done_total++;
	put(&run->unused, index);
}

void driver_sleeps(struct run *run)
{
	bool has_used;

	driver_publishes(run);
	driver_decides(run);
	has_used = pv_drv_ring_interrupts_on(&run->pair.driver);
	run->are_interrupts_off = false;
	run->arms++;
	check(run, has_used == (run->used.count > 0));
	run->does_driver_sleep = !has_used;
}
