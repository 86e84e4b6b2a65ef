/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A balloon under a driver that means harm: lists and reports of anything, endless ones, ones that
 * are the balloon's own memory, statistics of noise, and all of it while the device is stopped,
 * moved and given other memory.  What is wrong comes back and is counted; nothing goes back to the
 * host that was not named; and the next page goes as before.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "ring/err.h"
#include "tests/support/balloon_rig.h"
#include "tests/support/random.h"

#define FEATURES                                                                                   \
	(VIRTIO_BALLOON_F_MUST_TELL_HOST | VIRTIO_BALLOON_F_STATS_VQ |                             \
	 VIRTIO_BALLOON_F_PAGE_REPORTING | VIRTIO_BALLOON_F_PAGE_POISON)
#define REPORT (STATS + 1)
#define QUEUES (REPORT + 1)

/* What devices/balloon promises of one run. */
#define RUN_PAGES  4096u
#define RUN_CHAINS 64u
#define RUN_PIECES 512u

static struct balloon_rig rig;

/* Of so many, as many as are worth their time. */
static uint32_t some_of(uint32_t many)
{
	return getenv("PV_SHORT") ? many / 10 : many;
}

static void rig_open(uint64_t kind, uint64_t page_bytes)
{
	const struct pv_balloon_options options = { .reporting = true };

	balloon_rig_open(&rig, &options, page_bytes);
	balloon_rig_start(&rig, kind | FEATURES);
}

static void take_all(void)
{
	for (uint16_t queue = 0; queue < QUEUES; queue++)
		while (balloon_rig_take(&rig, queue))
			;
	rig.base.area_at = 0;
	rig.ranges = 0;
}

static void expect_service(void)
{
	struct pv_sg sg = balloon_rig_free(PAGE_C, 16 * PAGE);

	balloon_rig_run(&rig);
	take_all();
	balloon_rig_row(&rig, INFLATE, PAGE_A, 16);
	balloon_rig_row(&rig, DEFLATE, PAGE_A, 16);
	device_rig_offer(&rig.base, REPORT, &sg, 0, 1);
	balloon_rig_run(&rig);
	balloon_rig_expect_gone(&rig, PAGE_A, 16);
	balloon_rig_expect_gone(&rig, PAGE_C, 16);
	balloon_rig_expect_no_more(&rig);
	balloon_rig_expect_back(&rig, INFLATE, 1);
	balloon_rig_expect_back(&rig, DEFLATE, 1);
	balloon_rig_expect_back(&rig, REPORT, 1);
	assert_int_equal(rig.base.needs_resets, 0);
}

#define EVIL(name)                                                                                 \
	static void name##_case(void);                                                             \
	static void name(void **state)                                                             \
	{                                                                                          \
		(void)state;                                                                       \
		for (uint16_t i = 0; i < PV_RING_KINDS; i++) {                                     \
			rig_open(pv_ring_kind[i], i % 2 ? PAGE : 16 * PAGE);                       \
			expect_service();                                                          \
			name##_case();                                                             \
			expect_service();                                                          \
			balloon_rig_close(&rig);                                                   \
		}                                                                                  \
	}                                                                                          \
	static void name##_case(void)

/* ---- chains that are nothing ---- */

EVIL(chains_that_are_nothing_come_back_from_every_queue)
{
	const struct pv_sg nothing[] = {
		{ pv_gpa_of(DEVICE_RIG_NOWHERE), 8 },
		{ pv_gpa_of(UINT64_MAX - 3), 8 },
		{ pv_gpa_of(UINT64_MAX - 7), UINT32_MAX },
		{ pv_gpa_of(DEVICE_RIG_CRUMBS_GPA), BALLOON_RIG_CRUMBS },
		balloon_rig_free(PAGE_HOLE - 1, 2 * PAGE),
		balloon_rig_free(PAGE_HOLE, PAGE),
	};
	struct pv_sg some[2] = { device_rig_alloc(&rig.base, 64), device_rig_alloc(&rig.base, 64) };

	for (uint16_t queue = 0; queue < QUEUES; queue++) {
		const bool is_written = queue == REPORT;
		uint64_t bad = rig.device->queue[queue].counters.bad_chains;

		for (size_t i = 0; i < sizeof(nothing) / sizeof(nothing[0]); i++)
			device_rig_offer(&rig.base, queue, &nothing[i], !is_written, is_written);
		device_rig_offer(&rig.base, queue, some, is_written, !is_written);
		device_rig_offer(&rig.base, queue, some, 1, 1);
		balloon_rig_run(&rig);
		balloon_rig_expect_back(&rig, queue, 8);
		assert_int_equal(rig.device->queue[queue].counters.bad_chains, bad + 8);
	}
	balloon_rig_expect_no_more(&rig);
}

/* ---- too much of it ---- */

EVIL(a_million_numbers_are_worked_on_in_turns)
{
	struct pv_random random = pv_random_start(pv_random_seed(), 3);
	const uint32_t count = some_of(1000000);
	struct pv_sg sg = device_rig_alloc(&rig.base, count * 4);
	struct pv_le32 *number = (struct pv_le32 *)device_rig_at(&rig.base, sg.addr);
	uint64_t before = pv_count_of(rig.device, INFLATE, "pages"), now;
	uint32_t runs = 0;

	for (uint32_t i = 0; i < count; i++)
		number[i] = pv_le32_of(i % 3 ? pv_random_below(&random, UINT32_MAX)
		                             : PAGE_A + pv_random_below(&random, 5 * PAGES));
	device_rig_offer(&rig.base, INFLATE, &sg, 1, 0);
	device_rig_offer(&rig.base, DEFLATE, &sg, 1, 0);
	do {
		now = pv_count_of(rig.device, INFLATE, "pages");
		assert_true(now - before <= runs * (uint64_t)RUN_PAGES);
		runs++;
	} while (balloon_rig_run_once(&rig, INFLATE));
	assert_int_equal(pv_count_of(rig.device, INFLATE, "pages") - before, count);
	balloon_rig_run(&rig);
	balloon_rig_expect_back(&rig, INFLATE, 1);
	balloon_rig_expect_back(&rig, DEFLATE, 1);
}

/* One list many times over, in one chain: it is as good as endless, and stops at once. */
EVIL(an_endless_list_holds_up_nobody)
{
	struct pv_sg sg[16];

	sg[0] = device_rig_alloc(&rig.base, 4u << 20);
	for (uint32_t i = 1; i < 16; i++)
		sg[i] = sg[0];
	device_rig_offer(&rig.base, INFLATE, sg, 16, 0);
	for (uint32_t i = 0; i < 100; i++)
		assert_true(balloon_rig_run_once(&rig, INFLATE));
	device_rig_stop_queue(&rig.base, INFLATE);
	assert_false(balloon_rig_take(&rig, INFLATE));
	balloon_rig_move(&rig);
	assert_int_equal(device_rig_start_queue(&rig.base, INFLATE), 0);
}

EVIL(a_run_takes_so_many_chains_and_no_more)
{
	struct pv_sg sg[DEVICE_RIG_INDIRECT_MAX];
	uint32_t counts[2] = { 0 };

	for (uint32_t i = 0; i < DEVICE_RIG_INDIRECT_MAX; i++)
		sg[i] = balloon_rig_free(PAGE_A, 16 * PAGE);
	for (uint32_t i = 0; i < 4; i++)
		device_rig_offer(&rig.base, REPORT, sg, 0, DEVICE_RIG_INDIRECT_MAX);
	counts[0] = rig.ranges;
	balloon_rig_run_once(&rig, REPORT);
	assert_in_range(rig.ranges - counts[0], 1, RUN_PIECES);
	for (uint32_t i = 0; i < DEVICE_RIG_SIZE; i++)
		balloon_rig_row(&rig, INFLATE, PAGE_A, 1);
	balloon_rig_run_once(&rig, INFLATE);
	while (balloon_rig_take(&rig, INFLATE))
		counts[1]++;
	assert_in_range(counts[1], 1, RUN_CHAINS);
}

/* Each asks for the next at once, as often as the driver likes to answer, and no oftener. */
EVIL(statistics_that_are_noise_are_kept_as_far_as_they_make_sense)
{
	struct pv_random random = pv_random_start(pv_random_seed(), 4);
	struct pv_balloon_stats stats;
	uint8_t noise[700];

	pv_balloon_stats_period_set(rig.device, 1);
	for (uint32_t i = 0; i < some_of(2000); i++) {
		uint32_t bytes = 1 + pv_random_below(&random, sizeof(noise) - 1);

		for (uint32_t at = 0; at < bytes; at++)
			noise[at] = (uint8_t)(pv_random_below(&random, 256) &
			                      (at % 10 == 1 ? 0 : 0xff));
		balloon_rig_send(&rig, STATS, noise, bytes, bytes);
		balloon_rig_run(&rig);
		balloon_rig_pass(&rig, 1);
		assert_true(balloon_rig_take(&rig, STATS));
		pv_balloon_stats(rig.device, &stats);
		assert_int_equal(stats.count, i + 1);
		assert_true(stats.known >> VIRTIO_BALLOON_S_KNOWN == 0);
		assert_in_range(stats.unknown, 0, PV_BALLOON_STATS_UNKNOWN);
		rig.base.area_at = 0;
	}
	pv_balloon_stats_period_set(rig.device, 0);
}

/* ---- its own memory ---- */

/* A driver that gives away what it uses loses what was in it, and nothing more. */
static void a_driver_that_gives_its_rings_away_harms_itself(void **state)
{
	(void)state;
	for (uint16_t i = 0; i < PV_RING_KINDS; i++) {
		uint32_t first;

		rig_open(pv_ring_kind[i], PAGE);
		rig.base.mem->region[0].page_bytes = PAGE;
		first = (uint32_t)(rig.base.mem->region[0].gpa.v / PAGE);
		for (uint32_t at = 0; at < 40; at += 8)
			balloon_rig_row(&rig, INFLATE, first + at, 8);
		for (uint16_t queue = 0; queue < QUEUES; queue++)
			rig.base.queue[queue].is_due = true;
		balloon_rig_run(&rig);
		assert_true(rig.ranges > 0);
		pv_device_reset(rig.device, (struct pv_waiter){ 0 });
		balloon_rig_run(&rig);
		rig.base.needs_resets = 0;
		balloon_rig_start(&rig, pv_ring_kind[i] | FEATURES);
		expect_service();
		balloon_rig_close(&rig);
	}
}

/* ---- anything at all ---- */

static struct pv_sg any_piece(struct pv_random *random)
{
	struct pv_sg sg = device_rig_alloc(&rig.base, 4 + pv_random_below(random, 1000));

	for (uint32_t i = 0; i + 4 <= sg.bytes; i += 4)
		*(struct pv_le32 *)device_rig_at(&rig.base, pv_gpa_add(sg.addr, i)) =
			pv_le32_of(PAGE_A - 20 + pv_random_below(random, 5 * PAGES));
	switch (pv_random_below(random, 8)) {
	case 0:
		sg.addr = pv_gpa_of((uint64_t)pv_random_below(random, UINT32_MAX)
		                    << pv_random_below(random, 33));
		break;
	case 1:
		sg.addr = pv_gpa_of(PAGE_A * (uint64_t)PAGE +
		                    pv_random_below(random, 5 * PAGES * PAGE));
		sg.bytes = 1 + pv_random_below(random, 20 * PAGE);
		break;
	case 2:
		sg.addr = pv_gpa_of(DEVICE_RIG_CRUMBS_GPA + pv_random_below(random, 100));
		sg.bytes = 1 + pv_random_below(random, 80);
		break;
	default:
		break;
	}
	return sg;
}

static void offer_anything(struct pv_random *random)
{
	const uint16_t queue = (uint16_t)pv_random_below(random, QUEUES);
	const uint16_t pieces = (uint16_t)(1 + pv_random_below(random, 6));
	uint16_t readable = queue == REPORT ? 0 : pieces;
	struct pv_sg sg[6];

	if (pv_random_chance(random, 10))
		readable = (uint16_t)pv_random_below(random, pieces + 1u);
	for (uint16_t i = 0; i < pieces; i++)
		sg[i] = any_piece(random);
	if (rig.base.queue[queue].ring.free_descs < 16)
		return;
	device_rig_offer(&rig.base, queue, sg, readable, (uint16_t)(pieces - readable));
}

static void interfere(struct pv_random *random)
{
	const uint16_t queue = (uint16_t)pv_random_below(random, QUEUES);
	const uint32_t value = pv_random_below(random, UINT32_MAX);

	switch (pv_random_below(random, 7)) {
	case 0:
		balloon_rig_switch(&rig, true);
		break;
	case 1:
		device_rig_stop_queue(&rig.base, queue);
		device_rig_continue_queue(&rig.base, queue);
		break;
	case 2:
		balloon_rig_move(&rig);
		break;
	case 3:
		pv_device_config_write(rig.device, value % 20, &value, value >> 8 & 7);
		break;
	case 4:
		pv_balloon_stats_period_set(rig.device, value % 4);
		break;
	case 5:
		rig.refusal = value % 4 ? 0 : -PV_EIO;
		break;
	default:
		rig.base.is_slow = value % 2;
		break;
	}
}

static void anything_at_random_is_survived(void **state)
{
	const uint32_t no_poison = 0;

	(void)state;
	for (uint32_t round = 0; round < some_of(300); round++) {
		struct pv_random random = pv_random_start(pv_random_seed(), round);

		rig_open(pv_ring_kind[round % PV_RING_KINDS], PAGE << pv_random_below(&random, 6));
		for (uint32_t step = 0; step < 100; step++) {
			offer_anything(&random);
			if (pv_random_chance(&random, 20))
				interfere(&random);
			if (pv_random_chance(&random, 50))
				balloon_rig_pass(&rig, 1);
			if (pv_random_chance(&random, 20)) {
				balloon_rig_run(&rig);
				take_all();
			}
		}
		rig.refusal = 0;
		assert_int_equal(pv_device_config_write(rig.device, 12, &no_poison, 4), 0);
		for (uint16_t queue = 0; queue < QUEUES; queue++)
			assert_int_equal(rig.device->queue[queue].ring.fault, PV_RING_SOUND);
		rig.base.mem->region[1].page_bytes = PAGE;
		rig.base.mem->region[3].page_bytes = PAGE;
		expect_service();
		balloon_rig_close(&rig);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(chains_that_are_nothing_come_back_from_every_queue),
		cmocka_unit_test(a_million_numbers_are_worked_on_in_turns),
		cmocka_unit_test(an_endless_list_holds_up_nobody),
		cmocka_unit_test(a_run_takes_so_many_chains_and_no_more),
		cmocka_unit_test(statistics_that_are_noise_are_kept_as_far_as_they_make_sense),
		cmocka_unit_test(a_driver_that_gives_its_rings_away_harms_itself),
		cmocka_unit_test(anything_at_random_is_survived),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
