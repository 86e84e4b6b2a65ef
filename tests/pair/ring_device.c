/* SPDX-License-Identifier: BSD-2-Clause */
/* What a device does to a ring, beside the model. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#include "ring/err.h"
#include "tests/pair/ring_model.h"

static void check_pieces(const struct run *run, const struct chain *chain)
{
	const struct pv_chain *taken = &chain->taken;
	const struct pv_iov *last = &taken->iov[taken->readable + taken->writable - 1];

	for (uint16_t i = 0; i < taken->readable + taken->writable; i++) {
		check(run, pv_twin_has(&run->pair.twin, chain->view, taken->iov[i].base));
		check(run, taken->iov[i].bytes > 0);
	}
	if (taken->writable > 0)
		check(run, taken->last_writable == (uint8_t *)last->base + last->bytes - 1);
}

static void check_question(const struct run *run, const struct chain *chain)
{
	struct pv_cursor reader = pv_chain_reader(&chain->taken);
	uint8_t bytes[CELL_MAX];

	check(run, !chain->taken.is_incomplete);
	check(run, chain->taken.readable_bytes == chain->readable_bytes);
	check(run, chain->taken.writable_bytes == chain->writable_bytes);
	check(run, pv_cursor_read(&reader, bytes, sizeof(bytes)) == chain->readable_bytes);
	for (uint32_t i = 0; i < chain->readable_bytes; i++)
		check(run, bytes[i] == pattern(chain->number, i, false));
}

/* Pieces that nobody has: those of a run. */
static struct pv_iov *spare(const struct run *run)
{
	return run->iov + (size_t)run->size * run->cell_bytes;
}

/* It is the next one; its pieces go where its own are. */
static void was_taken(struct run *run, const struct pv_chain *taken)
{
	uint16_t index = get(&run->visible);
	struct chain *chain = &run->chain[index];

	memcpy(chain->iov, taken->iov,
	       ((size_t)taken->readable + taken->writable) * sizeof(*taken->iov));
	chain->taken = *taken;
	chain->taken.iov = chain->iov;
	chain->view = run->view;
	check_pieces(run, chain);
	check_question(run, chain);
	put(&run->taken, index);
}

void device_takes(struct run *run)
{
	struct pv_chain taken = { .iov = spare(run), .capacity = (uint16_t)run->cell_bytes };
	enum pv_take took = pv_dev_ring_take(&run->pair.device, &taken);

	check(run, took == (run->visible.count > 0 ? PV_TAKEN : PV_TAKE_NONE));
	if (took == PV_TAKEN)
		was_taken(run, &taken);
}

void device_takes_run(struct run *run)
{
	struct pv_chain taken[RUN_MAX];
	const struct pv_chain_room room = {
		taken,
		(uint16_t)pv_random_below(&run->random, RUN_MAX + 1),
		spare(run),
		(uint16_t)run->cell_bytes,
	};
	uint32_t visible = run->visible.count;
	uint16_t count = pv_dev_ring_take_run(&run->pair.device, &room);

	check(run, count == (visible < room.count ? visible : room.count));
	for (uint16_t i = 0; i < count; i++)
		was_taken(run, &taken[i]);
}

#define IN_VAIN_MAX 4u

/* Takes some and puts them back: as if nothing had been. */
void device_takes_in_vain(struct run *run)
{
	struct pv_chain taken[IN_VAIN_MAX];
	uint32_t count = pv_random_below(&run->random, IN_VAIN_MAX + 1);

	for (uint32_t i = 0; i < count && i < run->visible.count; i++) {
		uint32_t at = (run->visible.head + i) % run->visible.room;

		taken[i] = (struct pv_chain){ .iov = spare(run),
			                      .capacity = (uint16_t)run->cell_bytes };
		check(run, pv_dev_ring_take(&run->pair.device, &taken[i]) == PV_TAKEN);
		check(run,
		      taken[i].readable_bytes == run->chain[run->visible.item[at]].readable_bytes);
	}
	if (count > run->visible.count)
		count = run->visible.count;
	while (count > 0)
		pv_dev_ring_put_back(&run->pair.device, &taken[--count]);
}

/* Any chain that the device has; in-order they stay listed in the order they were taken. */
static uint16_t pick_taken(struct run *run)
{
	uint32_t pick;

	if (!run->has_in_order)
		return get_any(&run->taken, &run->random);
	pick = pv_random_below(&run->random, run->taken.count);
	return run->taken.item[(run->taken.head + pick) % run->taken.room];
}

static void allow_old_view(struct run *run, bool is_allowed)
{
	enum pv_twin_view other = pv_twin_other(run->view);

	pv_twin_allow(&run->pair.twin, other, is_allowed);
}

/* Writes to a chain that is to be returned. NULL: it cannot be any. */
static struct chain *answer(struct run *run)
{
	struct pv_cursor writer;
	uint8_t bytes[CELL_MAX];
	struct chain *chain;

	if (run->taken.count == 0)
		return NULL;
	chain = &run->chain[pick_taken(run)];
	if (chain->is_returned)
		return NULL;
	chain->written_bytes = pv_random_chance(&run->random, 50)
	                               ? chain->writable_bytes
	                               : pv_random_below(&run->random, chain->writable_bytes + 1);
	for (uint32_t i = 0; i < chain->written_bytes; i++)
		bytes[i] = pattern(chain->number, i, true);
	writer = pv_chain_writer(&chain->taken);
	check(run, pv_cursor_write(&writer, bytes, chain->written_bytes) == chain->written_bytes);
	chain->is_returned = true;
	if (!run->has_in_order)
		put(&run->returned, (uint16_t)(chain - run->chain));
	return chain;
}

static void was_returned(struct run *run, const struct chain *chain)
{
	if (chain->view != run->view && --run->taken_before == 0)
		allow_old_view(run, false);
}

void device_returns(struct run *run)
{
	const struct chain *chain = answer(run);

	if (!chain)
		return;
	pv_dev_ring_return(&run->pair.device, &chain->taken, chain->written_bytes);
	was_returned(run, chain);
	check(run, run->pair.device.in_flight_before == run->taken_before);
}

/* What is not written to may be told of by leaving it out. */
void device_returns_run(struct run *run)
{
	uint32_t wanted = pv_random_below(&run->random, RUN_MAX + 1), written_total = 0;
	const struct chain *chain[RUN_MAX];
	struct pv_chain taken[RUN_MAX];
	uint32_t written_bytes[RUN_MAX];
	uint16_t count = 0;

	while (count < wanted && (chain[count] = answer(run))) {
		taken[count] = chain[count]->taken;
		written_bytes[count] = chain[count]->written_bytes;
		written_total += written_bytes[count++];
	}
	pv_dev_ring_return_run(&run->pair.device, taken, written_total ? written_bytes : NULL,
	                       count);
	for (uint16_t i = 0; i < count; i++)
		was_returned(run, chain[i]);
	check(run, run->pair.device.in_flight_before == run->taken_before);
}

void device_publishes(struct run *run)
{
	while (run->has_in_order && run->taken.count > 0 &&
	       run->chain[run->taken.item[run->taken.head]].is_returned)
		put(&run->returned, get(&run->taken));
	check(run, pv_dev_ring_publish(&run->pair.device) == (run->returned.count > 0));
	move_all(&run->used, &run->returned);
}

void device_decides(struct run *run)
{
	bool must_interrupt = pv_dev_ring_must_interrupt(&run->pair.device);

	if (run->does_driver_sleep)
		check(run, must_interrupt || run->used.count == 0);
	if (run->are_interrupts_off && must_interrupt) {
		/* Only an event index that was left behind may still fire. */
		check(run, run->has_event_idx && !run->is_packed);
		run->surplus_interrupts++;
	}
	if (must_interrupt && run->does_driver_sleep) {
		run->does_driver_sleep = false;
		run->are_interrupts_off = pv_random_chance(&run->random, 70);
		if (run->are_interrupts_off)
			pv_drv_ring_interrupts_off(&run->pair.driver);
	}
}

void device_sleeps(struct run *run)
{
	bool has_chains;

	device_publishes(run);
	device_decides(run);
	has_chains = pv_dev_ring_kicks_on(&run->pair.device);
	run->are_kicks_off = false;
	run->arms++;
	check(run, has_chains == (run->visible.count > 0));
	/* A device with work at its back-end is woken by that, without a kick. */
	run->does_device_sleep = !has_chains && run->taken.count == 0;
	if (!has_chains && !run->does_device_sleep && pv_random_chance(&run->random, 70)) {
		pv_dev_ring_kicks_off(&run->pair.device);
		run->are_kicks_off = true;
	}
}

/* Only chains that are taken and not returned can keep the old table busy, and one change at a
 * time. */
void memory_changes(struct run *run)
{
	enum pv_twin_view other = pv_twin_other(run->view);
	int error;

	if (run->taken_before > 0)
		return;
	pv_twin_allow(&run->pair.twin, other, true);
	error = pv_dev_ring_mem_switch(&run->pair.device, run->pair.twin.table[other]);
	check(run, error == 0);
	run->view = other;
	for (uint32_t i = 0; i < run->taken.count; i++) {
		uint16_t index = run->taken.item[(run->taken.head + i) % run->taken.room];

		if (!run->chain[index].is_returned)
			run->taken_before++;
	}
	check(run, run->pair.device.in_flight_before == run->taken_before);
	if (run->taken_before == 0)
		allow_old_view(run, false);
}
