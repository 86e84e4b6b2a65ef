/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A guest's memory is moved while a device works in it: one whole copy, and from then on only the
 * pages that the device marked.  After every single step of the device the copy must equal the
 * memory, so each mark is needed at the step that wrote.  What the driver writes is copied by the
 * test, as a processor's own log would have it.
 *
 * Driver and device ring are the real ones, in every format; buffers are scattered; the memory
 * table changes under chains in flight; logging begins, ends and moves to another log at any time.
 */
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

#define CHAINS      24u
#define BUFFERS_MAX 5u
#define CELL_BYTES  6000u /* of memory for one chain: it lies on two pages or three */
#define PIECES      64u
#define STEPS       4000u

/* All guest addresses of a twin are below this. */
#define LOG_BYTES ((0x40000000ull + (64u << 20)) / PV_DIRTY_PAGE_BYTES / 8)

struct chain {
	bool is_out; /* with the driver's ring or the device */
	struct pv_chain taken;
	struct pv_iov iov[PIECES];
};

struct run {
	char name[96];
	struct pv_random random;
	struct pv_ring_pair pair;
	struct chain chain[CHAINS];
	struct chain *with_device[CHAINS];
	uint32_t with_device_count;
	enum pv_twin_view view;
	uint8_t *copy; /* of the twin's file */
	struct pv_dirty_log log[2];
	uint32_t current; /* of the logs */
	bool is_logging;
	uint64_t returned, switches, moves;
};

static uint8_t *memory_of(struct run *run)
{
	return run->pair.twin.base[PV_VIEW_DRIVER];
}

static void copy_all(struct run *run)
{
	memcpy(run->copy, memory_of(run), run->pair.twin.bytes);
}

/* ---- what a mover of guests does ---- */

static bool take_mark(struct pv_dirty_log *log, uint64_t page)
{
	const uint8_t bit = (uint8_t)(1u << page % 8);

	return __atomic_fetch_and(&log->bits[page / 8], (uint8_t)~bit, __ATOMIC_ACQUIRE) & bit;
}

static void copy_page(struct run *run, uint64_t page)
{
	const uint64_t first = page * PV_DIRTY_PAGE_BYTES, end = first + PV_DIRTY_PAGE_BYTES;

	for (uint32_t i = 0; i < run->pair.twin.pieces; i++) {
		const struct pv_twin_piece *piece = &run->pair.twin.piece[i];
		uint64_t from = piece->gpa > first ? piece->gpa : first;
		uint64_t to = piece->gpa + piece->bytes < end ? piece->gpa + piece->bytes : end;

		if (from < to)
			memcpy(run->copy + piece->offset + (from - piece->gpa),
			       memory_of(run) + piece->offset + (from - piece->gpa),
			       (size_t)(to - from));
	}
}

/* Copies what was marked. The log that is not in use has no mark. */
static void copy_marked(struct run *run)
{
	const struct pv_twin *twin = &run->pair.twin;

	for (uint64_t page = 0x40000000ull / PV_DIRTY_PAGE_BYTES;
	     page * PV_DIRTY_PAGE_BYTES < twin->next_gpa; page++) {
		if (run->log[!run->current].bits[page / 8])
			fail_msg("%s: a log that is out of use was marked", run->name);
		if (take_mark(&run->log[run->current], page))
			copy_page(run, page);
	}
}

/* After a step of the device. */
static void check_copy(struct run *run, const char *step)
{
	if (!run->is_logging) {
		copy_all(run);
		return;
	}
	copy_marked(run);
	if (memcmp(run->copy, memory_of(run), run->pair.twin.bytes))
		fail_msg("%s: after %s the copy is not the memory (%llu chains, %llu changes of "
		         "memory)",
		         run->name, step, (unsigned long long)run->returned,
		         (unsigned long long)run->moves);
	if (pv_dirty_log_has_missed(&run->log[run->current]))
		fail_msg("%s: %s missed a page", run->name, step);
}

static void log_switch(struct run *run)
{
	struct pv_ring_logging logging = { 0 };

	if (!run->is_logging || pv_random_chance(&run->random, 70)) {
		run->current = !run->current;
		logging.log = &run->log[run->current];
		logging.has_own_writes = true;
		logging.device_area = run->pair.device.config.device_area;
	}
	pv_dev_ring_log_set(&run->pair.device, &logging);
	run->is_logging = logging.log;
	run->switches++;
	copy_all(run);
}

/* ---- the driver ---- */

static void driver_adds(struct run *run)
{
	uint32_t index = pv_random_below(&run->random, CHAINS);
	struct chain *chain = &run->chain[index];
	struct pv_sg sg[BUFFERS_MAX];
	uint16_t buffers = (uint16_t)(1 + pv_random_below(&run->random, BUFFERS_MAX));
	uint16_t readable = (uint16_t)pv_random_below(&run->random, buffers);
	uint32_t bytes = CELL_BYTES / buffers;

	if (chain->is_out)
		return;
	for (uint16_t i = 0; i < buffers; i++) {
		uint32_t skip = pv_random_below(&run->random, bytes);

		sg[i] = (struct pv_sg){ pv_gpa_add(run->pair.data,
			                           (uint64_t)index * CELL_BYTES + i * bytes + skip),
			                1 + pv_random_below(&run->random, bytes - skip) };
	}
	if (pv_drv_ring_add(&run->pair.driver, sg, readable, (uint16_t)(buffers - readable),
	                    chain) == 0)
		chain->is_out = true;
	if (pv_random_chance(&run->random, 50))
		pv_drv_ring_publish(&run->pair.driver);
}

static void driver_takes(struct run *run)
{
	uint32_t written_bytes;
	void *token;

	while (pv_drv_ring_take(&run->pair.driver, &token, &written_bytes) == PV_DRV_TAKEN)
		((struct chain *)token)->is_out = false;
}

/* ---- the device ---- */

/* Some chains find no room for all their pieces. */
static void device_takes(struct run *run)
{
	struct chain *chain = NULL;

	for (uint32_t i = 0; i < CHAINS && !chain; i++)
		if (!run->chain[i].taken.iov)
			chain = &run->chain[i];
	if (!chain)
		return;
	chain->taken.iov = chain->iov;
	chain->taken.capacity = pv_random_chance(&run->random, 10) ? 2 : PIECES;
	if (pv_dev_ring_take(&run->pair.device, &chain->taken) == PV_TAKEN)
		run->with_device[run->with_device_count++] = chain;
	else
		chain->taken.iov = NULL;
}

/* All of it, or the last byte alone, as a device that fails a request does. */
static void write_chain(struct run *run, const struct pv_chain *chain)
{
	struct pv_cursor cursor = pv_chain_writer(chain);
	uint8_t data[CELL_BYTES];

	for (uint32_t i = 0; i < sizeof(data); i += 1 + i / 2)
		data[i] = (uint8_t)pv_random_below(&run->random, 256);
	memset(data, (int)pv_random_below(&run->random, 256), 100);
	if (!chain->is_incomplete && pv_random_chance(&run->random, 80))
		pv_cursor_write(&cursor, data, sizeof(data));
	if (chain->last_writable)
		*chain->last_writable = (uint8_t)pv_random_below(&run->random, 256);
}

static void device_returns(struct run *run)
{
	uint32_t pick;
	struct chain *chain;

	if (run->with_device_count == 0)
		return;
	pick = pv_random_below(&run->random, run->with_device_count);
	chain = run->with_device[pick];
	run->with_device[pick] = run->with_device[--run->with_device_count];
	write_chain(run, &chain->taken);
	pv_dev_ring_return(
		&run->pair.device, &chain->taken,
		pv_random_chance(&run->random, 50) ? 0 : (uint32_t)chain->taken.writable_bytes);
	chain->taken.iov = NULL;
	run->returned++;
}

/* As a host does it: no second change before the first is over. */
static void memory_changes(struct run *run)
{
	enum pv_twin_view other = pv_twin_other(run->view);

	if (run->pair.device.in_flight_before > 0)
		return;
	assert_int_equal(pv_dev_ring_mem_switch(&run->pair.device, run->pair.twin.table[other]), 0);
	run->view = other;
	run->moves++;
}

static void device_step(struct run *run)
{
	uint32_t dice = pv_random_below(&run->random, 100);

	if (dice < 35) {
		device_takes(run);
		check_copy(run, "a take");
	} else if (dice < 65) {
		device_returns(run);
		check_copy(run, "a return");
	} else if (dice < 80) {
		pv_dev_ring_publish(&run->pair.device);
		check_copy(run, "a publish");
	} else if (dice < 86) {
		pv_dev_ring_kicks_on(&run->pair.device);
		check_copy(run, "asking for kicks");
	} else if (dice < 92) {
		pv_dev_ring_kicks_off(&run->pair.device);
		check_copy(run, "asking for no kicks");
	} else if (dice < 96) {
		memory_changes(run);
		check_copy(run, "a change of memory");
	} else {
		log_switch(run);
	}
}

static void driver_step(struct run *run)
{
	if (pv_random_chance(&run->random, 60))
		driver_adds(run);
	else
		driver_takes(run);
	copy_all(run);
}

/* ---- the run ---- */

static void run_open(struct run *run, uint64_t features, uint16_t size, uint64_t number)
{
	struct pv_ring_pair_options options = {
		.features = features,
		.size = size,
		.start = 3,
		.data_bytes = CHAINS * CELL_BYTES,
		.region_max = 900,
	};

	memset(run, 0, sizeof(*run));
	run->random = pv_random_start(pv_random_seed(), number);
	if (features & VIRTIO_F_INDIRECT_DESC)
		options.indirect_max = 4;
	pv_ring_pair_name(&options, run->name, sizeof(run->name));
	pv_ring_pair_open(&run->pair, &options, &run->random);
	run->view = PV_VIEW_DEVICE;
	run->copy = malloc(run->pair.twin.bytes);
	for (int i = 0; i < 2; i++)
		run->log[i] = (struct pv_dirty_log){ calloc(1, LOG_BYTES), LOG_BYTES, false };
}

static void run_close(struct run *run)
{
	free(run->copy);
	free(run->log[0].bits);
	free(run->log[1].bits);
	pv_ring_pair_close(&run->pair);
}

static const uint64_t combinations[] = {
	0,
	VIRTIO_F_INDIRECT_DESC | VIRTIO_F_EVENT_IDX,
	VIRTIO_F_IN_ORDER,
	VIRTIO_F_IN_ORDER | VIRTIO_F_EVENT_IDX,
	VIRTIO_F_RING_PACKED,
	VIRTIO_F_RING_PACKED | VIRTIO_F_INDIRECT_DESC | VIRTIO_F_EVENT_IDX,
	VIRTIO_F_RING_PACKED | VIRTIO_F_IN_ORDER,
	VIRTIO_F_RING_PACKED | VIRTIO_F_IN_ORDER | VIRTIO_F_INDIRECT_DESC | VIRTIO_F_EVENT_IDX,
};
#define COMBINATIONS (sizeof(combinations) / sizeof(combinations[0]))

/* A large ring has its index, its entries and its event on pages of their own. */
static void a_copy_that_follows_the_marks_is_the_memory_after_every_step(void **state)
{
	static const uint16_t sizes[] = { 8, 16, 1024 };
	static struct run run;

	(void)state;
	/* In short: a small ring of each format. */
	for (size_t i = 0; i < COMBINATIONS * 3; i += getenv("PV_SHORT") ? 13 : 1) {
		run_open(&run, combinations[i / 3], sizes[i % 3], i);
		for (uint32_t step = 0; step < STEPS; step++) {
			if (pv_random_chance(&run.random, 40))
				driver_step(&run);
			else
				device_step(&run);
		}
		assert_true(run.returned > STEPS / 20);
		assert_true(run.moves > 5 && run.switches > 20);
		run_close(&run);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_copy_that_follows_the_marks_is_the_memory_after_every_step),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
