/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * An entropy device under a driver that means harm: chains that are no requests, chains that are
 * endless, more than one run can be, rings that change under the device.  What is no request comes
 * back with nothing and the next one is served; nothing is written but what the source gave.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "devices/rng/rng.h"
#include "drivers/core/driver.h"
#include "ring/err.h"
#include "tests/support/couple.h"
#include "tests/support/each.h"
#include "tests/support/stream_source.h"

#define COUNT(array) ((uint16_t)(sizeof(array) / sizeof((array)[0])))

#define MEMORY_BYTES (4u << 20)
#define QUEUE_SIZE   128u
#define BIG_BYTES    (256u << 10)
#define SMALL_BYTES  256u
#define CRUMBS_BYTES 256u
#define INDIRECT_MAX 64u
#define UNTOUCHED    0xee
#define NOWHERE      0x7000000000ull

/* What devices/rng promises of one run. */
#define RUN_BYTES  (64u << 10)
#define RUN_CHAINS 64u

static const uint64_t kinds[] = {
	0,
	VIRTIO_F_INDIRECT_DESC | VIRTIO_F_EVENT_IDX,
	VIRTIO_F_IN_ORDER,
	VIRTIO_F_RING_PACKED,
	VIRTIO_F_RING_PACKED | VIRTIO_F_INDIRECT_DESC | VIRTIO_F_EVENT_IDX,
	VIRTIO_F_RING_PACKED | VIRTIO_F_IN_ORDER,
};

static struct rig {
	struct pv_couple couple;
	struct pv_random random;
	struct pv_stream_source source;
	void *storage;
	struct pv_device *device;
	struct pv_driver driver;
	struct pv_driver_queue queue;
	struct pv_gpa big, small, crumbs;
	uint64_t place; /* in the stream */
	char token;
} rig;

static const struct pv_queue_counters *counters(void)
{
	return &rig.device->queue[0].counters;
}

static void make_device(void)
{
	const struct pv_rng_options options = { .queue_size_max = QUEUE_SIZE, .is_in_order = true };
	size_t bytes = (pv_rng_bytes() + 63) & ~(size_t)63;

	rig.storage = aligned_alloc(64, bytes);
	memset(rig.storage, 0, bytes);
	rig.device = pv_rng_init(rig.storage, &rig.couple.port, &rig.source.rng, &options);
	pv_couple_set_device(&rig.couple, rig.device, PV_VIEW_DEVICE);
}

static void start_driver(uint64_t kind)
{
	const struct pv_driver_wish wish = { .wanted = kind };
	const struct pv_driver_queue_options ring = { .indirect_max = INDIRECT_MAX };

	assert_int_equal(pv_driver_init(&rig.driver, &rig.couple.bus, &rig.couple.os, &wish), 0);
	assert_int_equal(pv_driver_queue_init(&rig.queue, &rig.driver, 0, &ring), 0);
	assert_int_equal(pv_driver_start(&rig.driver), 0);
}

static void rig_open(uint64_t kind, uint64_t number)
{
	memset(&rig, 0, sizeof(rig));
	rig.random = pv_random_start(pv_random_seed(), number);
	pv_couple_open(&rig.couple, MEMORY_BYTES, rig.random);
	pv_stream_source_open(&rig.source, rig.random);
	make_device();
	rig.big = pv_twin_alloc(&rig.couple.twin, BIG_BYTES, PV_WHOLE, 0, &rig.random);
	rig.small = pv_twin_alloc(&rig.couple.twin, SMALL_BYTES, PV_WHOLE, 0, &rig.random);
	rig.crumbs = pv_twin_alloc(&rig.couple.twin, CRUMBS_BYTES, PV_SCATTERED, 1, &rig.random);
	start_driver(kind);
}

static void rig_close(void)
{
	assert_int_equal(pv_driver_stop(&rig.driver), 0);
	pv_driver_queue_fini(&rig.queue);
	assert_true(pv_twin_guards_hold(&rig.couple.twin));
	pv_couple_close(&rig.couple);
	free(rig.storage);
}

static void offer(const struct pv_sg *sg, uint16_t readable, uint16_t writable)
{
	assert_int_equal(pv_drv_ring_add(&rig.queue.ring, sg, readable, writable, &rig.token), 0);
	pv_driver_queue_publish(&rig.queue);
}

static void run(void)
{
	rig.couple.lane[0].is_kicked = true;
	pv_couple_run(&rig.couple);
	pv_couple_sleep(&rig.couple);
}

static uint32_t take(void)
{
	uint32_t bytes;
	void *token;

	assert_int_equal(pv_drv_ring_take(&rig.queue.ring, &token, &bytes), PV_DRV_TAKEN);
	return bytes;
}

static void fill(struct pv_gpa gpa, size_t bytes)
{
	uint8_t *data = malloc(bytes);

	memset(data, UNTOUCHED, bytes);
	pv_twin_write(&rig.couple.twin, gpa, data, bytes);
	free(data);
}

/* The next of the stream at the beginning, and nothing behind it. */
static void expect_at(struct pv_gpa gpa, size_t bytes, uint32_t random_bytes)
{
	uint8_t *data = malloc(bytes);

	pv_twin_read(&rig.couple.twin, gpa, data, bytes);
	for (size_t i = 0; i < bytes; i++)
		assert_int_equal(data[i], i < random_bytes ? pv_stream_at(rig.place++) : UNTOUCHED);
	free(data);
}

static void expect_service(void)
{
	fill(rig.small, SMALL_BYTES);
	offer(&(struct pv_sg){ rig.small, 100 }, 0, 1);
	run();
	assert_int_equal(take(), 100);
	expect_at(rig.small, SMALL_BYTES, 100);
	assert_int_equal(rig.couple.needs_resets, 0);
}

/* It is counted, is said once, and costs no byte. */
static void expect_bare(const struct pv_sg *sg, uint16_t readable, uint16_t writable)
{
	uint64_t bad = counters()->bad_chains;

	fill(rig.small, SMALL_BYTES);
	fill(rig.crumbs, CRUMBS_BYTES);
	offer(sg, readable, writable);
	run();
	assert_int_equal(take(), 0);
	assert_int_equal(counters()->bad_chains, bad + 1);
	assert_int_equal(rig.couple.logs, 1);
	expect_at(rig.small, SMALL_BYTES, 0);
	expect_at(rig.crumbs, CRUMBS_BYTES, 0);
	expect_service();
}

static void on_every_ring(void (*evil)(void))
{
	for (uint16_t i = 0; i < COUNT(kinds); i++) {
		rig_open(kinds[i], i);
		evil();
		expect_service();
		rig_close();
	}
}

#define EVIL(name) PV_TEST_EACH(on_every_ring, name)

/* ---- chains that are no requests ---- */

EVIL(what_is_for_the_device_to_read_is_no_request)
{
	const struct pv_sg sg[] = { { rig.small, 16 }, { pv_gpa_add(rig.small, 16), 64 } };

	expect_bare(sg, 1, 0);
	expect_bare(sg, 1, 1);
	expect_bare(sg, 2, 0);
}

EVIL(buffers_of_no_length_are_nothing)
{
	const struct pv_sg empty[] = { { rig.small, 0 }, { pv_gpa_of(NOWHERE), 0 } };
	const struct pv_sg between[] = { { pv_gpa_of(UINT64_MAX), 0 },
		                         { rig.small, 10 },
		                         { pv_gpa_of(NOWHERE), 0 },
		                         { pv_gpa_add(rig.small, 10), 20 } };

	expect_bare(empty, 0, 1);
	expect_bare(empty, 0, 2);
	expect_bare(empty, 1, 1);
	fill(rig.small, SMALL_BYTES);
	offer(between, 0, COUNT(between));
	run();
	assert_int_equal(take(), 30);
	expect_at(rig.small, SMALL_BYTES, 30);
}

EVIL(what_is_no_memory_is_not_written_to)
{
	const struct pv_sg sg[][2] = {
		{ { rig.small, 16 }, { pv_gpa_of(NOWHERE), 16 } },
		{ { pv_gpa_of(NOWHERE), 16 }, { rig.small, 16 } },
		{ { rig.small, 16 }, { pv_gpa_of(UINT64_MAX - 3), 16 } },
		{ { rig.small, 16 }, { rig.big, BIG_BYTES + 1 } },
	};

	for (uint16_t i = 0; i < COUNT(sg); i++)
		expect_bare(sg[i], 0, 2);
}

EVIL(more_pieces_than_there_is_room_for_are_no_request)
{
	const struct pv_sg sg = { rig.crumbs, CRUMBS_BYTES };
	const struct pv_sg fits = { rig.crumbs, 32 };

	expect_bare(&sg, 0, 1);
	fill(rig.crumbs, CRUMBS_BYTES);
	offer(&fits, 0, 1);
	run();
	assert_int_equal(take(), 32);
	expect_at(rig.crumbs, CRUMBS_BYTES, 32);
}

/* ---- too much of it ---- */

EVIL(a_buffer_of_any_size_gets_what_one_run_gives)
{
	fill(rig.big, BIG_BYTES);
	offer(&(struct pv_sg){ rig.big, BIG_BYTES }, 0, 1);
	run();
	assert_int_equal(take(), RUN_BYTES);
	expect_at(rig.big, BIG_BYTES, RUN_BYTES);
}

/* Others on the loop have their turn after each run. */
EVIL(a_run_is_bounded_whatever_is_asked_for)
{
	const struct pv_sg big = { rig.big, BIG_BYTES }, tiny = { rig.small, 1 };
	const struct pv_sg bad = { pv_gpa_of(NOWHERE), 1 };

	for (uint32_t i = 0; i < 16; i++)
		offer(&big, 0, 1);
	for (uint64_t i = 0; i < 16; i++) {
		uint64_t given = rig.source.given;

		assert_int_equal(counters()->completions, i);
		run();
		assert_in_range(rig.source.given - given, 1, 2 * RUN_BYTES);
		assert_int_equal(take(), RUN_BYTES);
	}
	rig.place += 16 * RUN_BYTES;
	for (uint32_t i = 0; i < QUEUE_SIZE; i++)
		offer(i % 2 ? &bad : &tiny, 0, 1);
	run();
	assert_int_equal(counters()->completions, 16 + RUN_CHAINS);
	run();
	assert_int_equal(counters()->completions, 16 + 2 * RUN_CHAINS);
	for (uint32_t i = 0; i < QUEUE_SIZE; i++)
		assert_int_equal(take(), i % 2 ? 0 : 1);
	rig.place += QUEUE_SIZE / 2;
}

EVIL(one_buffer_in_many_chains_and_twice_in_one_is_the_drivers_loss)
{
	const struct pv_sg twice[] = { { rig.small, 64 }, { rig.small, 64 } };

	offer(twice, 0, 2);
	offer(twice, 0, 2);
	run();
	assert_int_equal(take(), 128);
	assert_int_equal(take(), 128);
	rig.place += 256;
}

/* Kicks without anything to do, as many as it likes. */
EVIL(kicks_for_nothing_cost_nothing_of_the_source)
{
	uint64_t asked;

	run();
	asked = rig.source.asked;
	for (int i = 0; i < 1000; i++)
		run();
	assert_int_equal(rig.source.asked, asked);
}

/* ---- rings of noise ---- */

static void scribble(struct pv_gpa gpa, uint32_t bytes)
{
	uint8_t *area = pv_twin_driver(&rig.couple.twin, gpa);

	for (uint32_t n = pv_random_below(&rig.random, 12); n > 0; n--)
		area[pv_random_below(&rig.random, bytes)] =
			(uint8_t)pv_random_below(&rig.random, 256);
}

static void a_ring_of_noise_breaks_the_queue_at_most(void **state)
{
	uint32_t broken = 0;

	(void)state;
	for (uint32_t round = 0; round < 20 * COUNT(kinds); round++) {
		struct pv_ring_bytes bytes;

		rig_open(kinds[round % COUNT(kinds)], 1000 + round);
		bytes = pv_ring_bytes(rig.driver.features, QUEUE_SIZE);
		for (int step = 0; step < 10; step++) {
			for (int i = 0; i < 4; i++)
				pv_drv_ring_add(&rig.queue.ring, &(struct pv_sg){ rig.small, 64 },
				                0, 1, &rig.token);
			pv_driver_queue_publish(&rig.queue);
			scribble(rig.queue.place.desc_area, (uint32_t)bytes.desc_area);
			scribble(rig.queue.place.driver_area, (uint32_t)bytes.driver_area);
			run();
		}
		broken += rig.couple.needs_resets;
		assert_in_range(rig.couple.needs_resets, 0, 1);
		assert_true(pv_queue_is_quiet(&rig.device->queue[0]));
		rig_close();
	}
	assert_true(broken > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_for_the_device_to_read_is_no_request),
		cmocka_unit_test(buffers_of_no_length_are_nothing),
		cmocka_unit_test(what_is_no_memory_is_not_written_to),
		cmocka_unit_test(more_pieces_than_there_is_room_for_are_no_request),
		cmocka_unit_test(a_buffer_of_any_size_gets_what_one_run_gives),
		cmocka_unit_test(a_run_is_bounded_whatever_is_asked_for),
		cmocka_unit_test(one_buffer_in_many_chains_and_twice_in_one_is_the_drivers_loss),
		cmocka_unit_test(kicks_for_nothing_cost_nothing_of_the_source),
		cmocka_unit_test(a_ring_of_noise_breaks_the_queue_at_most),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
