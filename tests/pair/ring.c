/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Driver and device ring against each other, and both against a model that only knows lists: what
 * was added, published, taken, returned, used.  Steps are random; the model says what each must
 * answer, and follows every chain until its token has come back, once, with the right length and
 * the right bytes.
 *
 * A side may go to sleep when the ring tells it that nothing is there.  It is then only woken when
 * the other side's decision to notify says so: a notification too few and work is left behind.
 */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "abi/virtio_features.h"
#include "ring/err.h"
#include "tests/support/ring_pair.h"

#define INDIRECT_MAX 4u
#define BUFFERS_MAX  12u
#define CELL_MAX     96u
#define UNTOUCHED    0xee

struct chain {
	uint32_t number;
	struct pv_sg sg[BUFFERS_MAX];
	uint16_t readable, writable;
	uint32_t readable_bytes, writable_bytes;
	uint16_t places;
	/* With the device. */
	struct pv_chain taken;
	struct pv_iov *iov;
	enum pv_twin_view view;
	uint32_t written_bytes;
	bool is_returned;
};

/* First in, first out, of chains. */
struct list {
	uint16_t *item;
	uint32_t head, count, room;
};

struct run {
	char name[96];
	struct pv_random random;
	struct pv_ring_pair pair;
	bool has_event_idx, has_in_order, has_indirect, is_packed;
	uint16_t size;
	uint32_t cell_bytes;

	struct chain *chain;
	struct pv_iov *iov;
	struct list unused, added, visible, taken, returned, used;
	uint32_t free_places;
	uint32_t added_total, done_total;

	enum pv_twin_view view; /* the device's */
	uint32_t taken_before;  /* chains with the device, from before the last change of memory */
	bool are_kicks_off, are_interrupts_off;
	bool does_device_sleep, does_driver_sleep;
	uint32_t arms, surplus_kicks, surplus_interrupts;
};

static void broke(const struct run *run, int line, const char *rule)
{
	fail_msg("%s: after %" PRIu32 " chains, line %d: %s", run->name, run->done_total, line,
	         rule);
}

#define check(run, rule)                                                                           \
	do {                                                                                       \
		if (!(rule))                                                                       \
			broke(run, __LINE__, #rule);                                               \
	} while (0)

static void put(struct list *list, uint16_t item)
{
	list->item[(list->head + list->count++) % list->room] = item;
}

static uint16_t get(struct list *list)
{
	uint16_t item = list->item[list->head];

	list->head = (list->head + 1) % list->room;
	list->count--;
	return item;
}

static void move_all(struct list *to, struct list *from)
{
	while (from->count > 0)
		put(to, get(from));
}

/* Takes one out of the middle; the order of the others may change. */
static uint16_t get_any(struct list *list, struct pv_random *random)
{
	uint32_t pick = (list->head + pv_random_below(random, list->count)) % list->room;
	uint16_t item = list->item[pick];

	list->item[pick] = list->item[list->head];
	list->head = (list->head + 1) % list->room;
	list->count--;
	return item;
}

static uint8_t pattern(uint32_t number, uint32_t at, bool is_answer)
{
	return (uint8_t)(number * 29 + at * 7 + (number >> 9) + (is_answer ? 101 : 0));
}

/* ---- the driver ---- */

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

static void driver_adds(struct run *run)
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

static void driver_publishes(struct run *run)
{
	check(run, pv_drv_ring_publish(&run->pair.driver) == (run->added.count > 0));
	move_all(&run->visible, &run->added);
}

static void driver_decides(struct run *run)
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

static void driver_takes(struct run *run)
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

static void driver_sleeps(struct run *run)
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

/* ---- the device ---- */

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

static void device_takes(struct run *run)
{
	struct pv_chain taken = { .iov = spare(run), .capacity = (uint16_t)run->cell_bytes };
	enum pv_take took = pv_dev_ring_take(&run->pair.device, &taken);

	check(run, took == (run->visible.count > 0 ? PV_TAKEN : PV_TAKE_NONE));
	if (took == PV_TAKEN)
		was_taken(run, &taken);
}

#define RUN_MAX 6u

static void device_takes_run(struct run *run)
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
static void device_takes_in_vain(struct run *run)
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

static void device_returns(struct run *run)
{
	const struct chain *chain = answer(run);

	if (!chain)
		return;
	pv_dev_ring_return(&run->pair.device, &chain->taken, chain->written_bytes);
	was_returned(run, chain);
	check(run, run->pair.device.in_flight_before == run->taken_before);
}

/* What is not written to may be told of by leaving it out. */
static void device_returns_run(struct run *run)
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

static void device_publishes(struct run *run)
{
	while (run->has_in_order && run->taken.count > 0 &&
	       run->chain[run->taken.item[run->taken.head]].is_returned)
		put(&run->returned, get(&run->taken));
	check(run, pv_dev_ring_publish(&run->pair.device) == (run->returned.count > 0));
	move_all(&run->used, &run->returned);
}

static void device_decides(struct run *run)
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

static void device_sleeps(struct run *run)
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
static void memory_changes(struct run *run)
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

/* ---- the run ---- */

typedef void step_function(struct run *run);

static void repeat(struct run *run, step_function *step)
{
	uint32_t times = 1 + pv_random_below(&run->random,
	                                     pv_random_chance(&run->random, 20) ? run->size : 4);

	for (uint32_t i = 0; i < times; i++)
		step(run);
}

static void driver_step(struct run *run, uint32_t dice)
{
	if (dice < 45)
		repeat(run, driver_adds);
	else if (dice < 65)
		driver_publishes(run);
	else if (dice < 95)
		repeat(run, driver_takes);
	else
		driver_sleeps(run);
	if (!run->does_driver_sleep && dice % 4)
		driver_decides(run);
}

static void device_step(struct run *run, uint32_t dice)
{
	if (dice < 20)
		repeat(run, device_takes);
	else if (dice < 40)
		device_takes_run(run);
	else if (dice < 44)
		device_takes_in_vain(run);
	else if (dice < 60)
		repeat(run, device_returns);
	else if (dice < 75)
		device_returns_run(run);
	else if (dice < 94)
		device_publishes(run);
	else
		device_sleeps(run);
	if (!run->does_device_sleep && dice % 4)
		device_decides(run);
}

static void random_step(struct run *run)
{
	uint32_t dice = pv_random_below(&run->random, 100);

	if (run->does_driver_sleep && run->does_device_sleep) {
		/* Nobody has anything to do, or somebody was not woken. */
		check(run, run->visible.count == 0 && run->used.count == 0);
		run->does_driver_sleep = false;
	}
	if (pv_random_chance(&run->random, 50)) {
		if (!run->does_driver_sleep)
			driver_step(run, dice);
	} else if (!run->does_device_sleep) {
		device_step(run, dice);
	}
	if (pv_random_below(&run->random, 1000) == 0)
		memory_changes(run);
}

/* Everything that is out comes home. */
static void finish(struct run *run)
{
	driver_publishes(run);
	while (run->visible.count > 0)
		device_takes(run);
	while (run->done_total < run->added_total) {
		repeat(run, device_returns);
		device_publishes(run);
		repeat(run, driver_takes);
	}
	check(run, run->free_places == run->size);
	check(run, run->pair.driver.free_descs == run->size);
	check(run, run->pair.driver.lies == 0);
	check(run, run->pair.device.in_flight == 0 && run->pair.device.in_flight_descs == 0);
	check(run, run->surplus_kicks <= (run->done_total >> 15) + 1);
	check(run, run->surplus_interrupts <= run->arms + 2 * (run->done_total >> 16) + 2);
}

static void set_up(struct run *run, const struct pv_ring_pair_options *options)
{
	struct list *lists[] = { &run->unused, &run->added,    &run->visible,
		                 &run->taken,  &run->returned, &run->used };

	for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
		lists[i]->room = options->size;
		lists[i]->item = calloc(options->size, sizeof(uint16_t));
	}
	run->chain = calloc(options->size, sizeof(*run->chain));
	run->iov = calloc((size_t)(options->size + RUN_MAX) * run->cell_bytes, sizeof(*run->iov));
	for (uint16_t i = 0; i < options->size; i++) {
		run->chain[i].iov = run->iov + (size_t)i * run->cell_bytes;
		put(&run->unused, i);
	}
	pv_ring_pair_open(&run->pair, options, &run->random);
	run->view = PV_VIEW_DEVICE;
	run->free_places = options->size;
	run->are_interrupts_off = true;
}

static void tear_down(struct run *run)
{
	struct list *lists[] = { &run->unused, &run->added,    &run->visible,
		                 &run->taken,  &run->returned, &run->used };

	for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++)
		free(lists[i]->item);
	free(run->chain);
	free(run->iov);
	pv_ring_pair_close(&run->pair);
}

/* `chains` there and back on one ring. */
static void play(uint64_t features, uint16_t size, uint32_t chains, uint64_t number)
{
	struct run run = {
		.random = pv_random_start(pv_random_seed(), number),
		.has_event_idx = features & VIRTIO_F_EVENT_IDX,
		.has_in_order = features & VIRTIO_F_IN_ORDER,
		.has_indirect = features & VIRTIO_F_INDIRECT_DESC,
		.is_packed = features & VIRTIO_F_RING_PACKED,
		.size = size,
		.cell_bytes = size > 1024 ? 24 : CELL_MAX,
	};
	struct pv_ring_pair_options options = {
		.features = features,
		.size = size,
		.indirect_max = run.has_indirect ? INDIRECT_MAX : 0,
		.start = pv_random_chance(&run.random, 50)
		                 ? (uint16_t)(0 - pv_random_below(&run.random, 2 * size))
		                 : 0,
		.data_bytes = (size_t)size * run.cell_bytes,
		.region_max = 1u << (size > 1024 ? 5 : pv_random_below(&run.random, 7)),
	};

	pv_ring_pair_name(&options, run.name, sizeof(run.name));
	set_up(&run, &options);
	while (run.done_total < chains)
		random_step(&run);
	finish(&run);
	assert_true(pv_twin_guards_hold(&run.pair.twin));
	tear_down(&run);
}

static void play_all(uint64_t format, const uint16_t *sizes, size_t count)
{
	const bool is_short = getenv("PV_SHORT");

	for (size_t i = 0; i < count; i++) {
		/* The smallest far enough for every 16-bit index to come round from any start. */
		uint32_t chains = sizes[i] == 1 ? 70000 : sizes[i] > 256 ? 36000 : 6000;

		if (is_short)
			chains /= 10;
		for (uint32_t mix = 0; mix < 8; mix += is_short ? 3 : 1)
			play(format | VIRTIO_F_VERSION_1 | (mix & 1 ? VIRTIO_F_INDIRECT_DESC : 0) |
			             (mix & 2 ? VIRTIO_F_EVENT_IDX : 0) |
			             (mix & 4 ? VIRTIO_F_IN_ORDER : 0),
			     sizes[i], chains, format ^ (sizes[i] * 8u + mix));
	}
}

static void every_token_of_a_split_ring_comes_back_once_and_right(void **state)
{
	static const uint16_t sizes[] = { 1, 2, 4, 8, 64, 256, 32768 };

	(void)state;
	play_all(0, sizes, sizeof(sizes) / sizeof(sizes[0]));
}

static void every_token_of_a_packed_ring_comes_back_once_and_right(void **state)
{
	static const uint16_t sizes[] = { 1, 2, 3, 4, 8, 64, 256, 32768 };

	(void)state;
	play_all(VIRTIO_F_RING_PACKED, sizes, sizeof(sizes) / sizeof(sizes[0]));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_token_of_a_split_ring_comes_back_once_and_right),
		cmocka_unit_test(every_token_of_a_packed_ring_comes_back_once_and_right),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
