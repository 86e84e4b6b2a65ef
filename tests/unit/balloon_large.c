/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A balloon on memory whose pages are larger than its own: they go when all of one is in the
 * balloon, whatever it took to get there, and not while the driver has any of it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "tests/support/balloon_rig.h"
#include "tests/support/random.h"

#define LARGE     16u /* pages of the balloon in one of the host */
#define MUST_TELL VIRTIO_BALLOON_F_MUST_TELL_HOST

static struct balloon_rig rig;

static void up(uint64_t features)
{
	const struct pv_balloon_options options = { .reporting = true };

	balloon_rig_open(&rig, &options, LARGE * PAGE);
	balloon_rig_start(&rig, features);
}

static void down(void)
{
	assert_int_equal(rig.base.needs_resets, 0);
	balloon_rig_close(&rig);
}

static void give(uint32_t first, uint32_t count)
{
	balloon_rig_row(&rig, INFLATE, first, count);
	balloon_rig_run(&rig);
	balloon_rig_expect_back(&rig, INFLATE, 1);
}

static void take_out(uint32_t first, uint32_t count)
{
	balloon_rig_row(&rig, DEFLATE, first, count);
	balloon_rig_run(&rig);
	balloon_rig_expect_back(&rig, DEFLATE, 1);
}

static uint64_t count(const char *name)
{
	return pv_count_of(rig.device, INFLATE, name);
}

static void whole_ones_of_a_range_go(void **state)
{
	(void)state;
	for (int is_told = 0; is_told <= 1; is_told++) {
		up(is_told ? MUST_TELL : 0);
		give(PAGE_A + 5, 3 * LARGE);
		balloon_rig_expect_gone(&rig, PAGE_A + LARGE, 2 * LARGE);
		balloon_rig_expect_no_more(&rig);
		assert_int_equal(count("discarded_bytes"), 2 * LARGE * PAGE);
		assert_int_equal(count("kept_bytes"), LARGE * PAGE);
		down();
	}
}

static void pieces_are_remembered_until_they_are_whole(void **state)
{
	(void)state;
	up(MUST_TELL);
	for (uint32_t i = 0; i < LARGE; i++) {
		balloon_rig_expect_no_more(&rig);
		/* In an order that is none. */
		give(PAGE_A + LARGE + i * 7 % LARGE, 1);
	}
	balloon_rig_expect_gone(&rig, PAGE_A + LARGE, LARGE);
	balloon_rig_expect_no_more(&rig);
	assert_int_equal(count("kept_bytes"), (LARGE - 1) * PAGE);
	assert_int_equal(count("discarded_bytes"), LARGE * PAGE);
	down();
}

static void a_range_completes_those_that_it_begins_and_ends_in(void **state)
{
	(void)state;
	up(MUST_TELL);
	give(PAGE_A + LARGE, 3);
	give(PAGE_A + 3 * LARGE + 5, LARGE - 5);
	balloon_rig_expect_no_more(&rig);
	give(PAGE_A + LARGE + 3, 2 * LARGE + 2);
	balloon_rig_expect_gone(&rig, PAGE_A + LARGE, 3 * LARGE);
	balloon_rig_expect_no_more(&rig);
	down();
}

static void what_is_taken_out_is_not_there_any_more(void **state)
{
	(void)state;
	up(MUST_TELL);
	give(PAGE_A, LARGE - 1);
	take_out(PAGE_A + 3, 1);
	give(PAGE_A + LARGE - 1, 1);
	balloon_rig_expect_no_more(&rig);
	give(PAGE_A + 3, 1);
	balloon_rig_expect_gone(&rig, PAGE_A, LARGE);
	/* Part of one that has gone comes back, is used, and goes again. */
	take_out(PAGE_A + 8, 2);
	give(PAGE_A + 8, 1);
	balloon_rig_expect_no_more(&rig);
	give(PAGE_A + 9, 1);
	balloon_rig_expect_gone(&rig, PAGE_A, LARGE);
	balloon_rig_expect_no_more(&rig);
	down();
}

/* It may use what it has not told of yet. */
static void nothing_is_remembered_of_a_driver_that_need_not_tell(void **state)
{
	(void)state;
	up(0);
	give(PAGE_A, LARGE - 1);
	give(PAGE_A + LARGE - 1, 1);
	balloon_rig_expect_no_more(&rig);
	/* What comes at once is together. */
	balloon_rig_row(&rig, INFLATE, PAGE_A, LARGE - 1);
	balloon_rig_row(&rig, INFLATE, PAGE_A + LARGE - 1, 1);
	balloon_rig_run(&rig);
	balloon_rig_expect_gone(&rig, PAGE_A, LARGE);
	down();
}

static void a_region_that_ends_within_one_keeps_it(void **state)
{
	(void)state;
	up(MUST_TELL);
	rig.base.mem->region[1].bytes -= PAGE;
	balloon_rig_switch(&rig, true);
	/* The mark behind its last. */
	give(PAGE_B, 1);
	give(PAGE_A, PAGES - 1);
	balloon_rig_expect_gone(&rig, PAGE_A, PAGES - LARGE);
	give(PAGE_B - LARGE, LARGE - 1);
	balloon_rig_expect_no_more(&rig);
	down();
}

static void another_table_of_memory_forgets_them(void **state)
{
	(void)state;
	up(MUST_TELL);
	give(PAGE_C, LARGE - 1);
	give(PAGE_A, LARGE - 1);
	balloon_rig_switch(&rig, false);
	give(PAGE_A + LARGE - 1, 1);
	balloon_rig_expect_no_more(&rig);
	balloon_rig_switch(&rig, true);
	give(PAGE_A, LARGE - 1);
	balloon_rig_expect_no_more(&rig);
	give(PAGE_A + LARGE - 1, 1);
	balloon_rig_expect_gone(&rig, PAGE_A, LARGE);
	balloon_rig_expect_no_more(&rig);
	down();
}

/* Queues change over one after the other, and may be run in between. */
static void queues_of_different_tables_forget_each_others(void **state)
{
	struct pv_mem *other;

	(void)state;
	up(MUST_TELL);
	other = malloc(pv_mem_table_bytes(rig.base.mem->count));
	memcpy(other, rig.base.mem, pv_mem_table_bytes(rig.base.mem->count));
	take_out(PAGE_B, 1);
	pv_queue_mem_switch(&rig.device->queue[INFLATE], other);
	rig.other_mem = other;
	give(PAGE_A, LARGE - 1);
	take_out(PAGE_B + LARGE, 1);
	give(PAGE_A + LARGE - 1, 1);
	balloon_rig_expect_no_more(&rig);
	give(PAGE_A, LARGE);
	balloon_rig_expect_gone(&rig, PAGE_A, LARGE);
	balloon_rig_switch(&rig, true);
	rig.other_mem = NULL;
	free(other);
	down();
}

/* Either queue's end is the end of what both know. */
static void a_queue_that_stops_forgets_them(void **state)
{
	const uint16_t queues[] = { INFLATE, DEFLATE };

	(void)state;
	for (int i = 0; i < 2; i++) {
		up(MUST_TELL);
		give(PAGE_A, LARGE - 1);
		device_rig_stop_queue(&rig.base, queues[i]);
		device_rig_continue_queue(&rig.base, queues[i]);
		balloon_rig_run(&rig);
		give(PAGE_A + LARGE - 1, 1);
		balloon_rig_expect_no_more(&rig);
		give(PAGE_A, LARGE);
		balloon_rig_expect_gone(&rig, PAGE_A, LARGE);
		down();
	}
}

static void more_memory_than_there_was_is_given_away_whole_only(void **state)
{
	(void)state;
	up(MUST_TELL);
	balloon_rig_switch(&rig, false);
	device_rig_pause(&rig.base);
	assert_int_equal(pv_device_stop(rig.device, (struct pv_waiter){ 0 }), 0);
	balloon_rig_run(&rig);
	for (uint16_t i = 0; i < STATS; i++)
		device_rig_continue_queue(&rig.base, i);
	/* There is no room for marks of the last region now. */
	rig.base.mem->count++;
	memmove(&rig.base.mem->region[4], &rig.base.mem->region[3],
	        (rig.base.mem->count - 4) * sizeof(rig.base.mem->region[0]));
	rig.base.mem->region[3] = (struct pv_region){ pv_gpa_of((uint64_t)PAGE_C * PAGE),
		                                      (uint64_t)PAGES * PAGE, rig.pages[2],
		                                      LARGE * PAGE, false };
	balloon_rig_switch(&rig, true);
	give(PAGE_C, LARGE - 1);
	give(PAGE_C + LARGE - 1, 1);
	balloon_rig_expect_no_more(&rig);
	give(PAGE_C, LARGE);
	balloon_rig_expect_gone(&rig, PAGE_C, LARGE);
	give(PAGE_B, LARGE - 1);
	give(PAGE_B + LARGE - 1, 1);
	balloon_rig_expect_gone(&rig, PAGE_B, LARGE);
	down();
}

static void reports_are_not_remembered(void **state)
{
	struct pv_sg sg;

	(void)state;
	up(MUST_TELL | VIRTIO_BALLOON_F_PAGE_REPORTING);
	sg = balloon_rig_free(PAGE_A, (LARGE - 1) * PAGE);
	device_rig_offer(&rig.base, STATS, &sg, 0, 1);
	balloon_rig_run(&rig);
	give(PAGE_A + LARGE - 1, 1);
	balloon_rig_expect_no_more(&rig);
	down();
}

/* Against a bitmap of what the driver has given away: after each step all that can go has gone. */
static void random_lists_give_back_what_is_whole(void **state)
{
	struct pv_random random = pv_random_start(pv_random_seed(), 2);
	bool is_in[2 * PAGES];

	(void)state;
	for (uint32_t round = 0; round < 50; round++) {
		up(MUST_TELL);
		memset(is_in, 0, sizeof(is_in));
		for (uint32_t step = 0; step < 60; step++) {
			bool is_given = pv_random_chance(&random, 70);
			uint32_t first = pv_random_below(&random, 2 * PAGES);
			uint32_t length = 1 + pv_random_below(&random, 2 * PAGES - first);
			bool has_gone[2 * PAGES / LARGE] = { false };

			if (is_given)
				give(PAGE_A + first, length);
			else
				take_out(PAGE_A + first, length);
			memset(is_in + first, is_given, length);
			for (uint32_t i = 0; i < rig.ranges; i++)
				for (uint64_t at = 0; at < rig.range[i].bytes; at += LARGE * PAGE)
					has_gone[(rig.range[i].gpa + at) / PAGE / LARGE -
					         PAGE_A / LARGE] = true;
			rig.ranges = 0;
			for (uint32_t large = 0; large < 2 * PAGES / LARGE; large++) {
				uint32_t from = large * LARGE, end = from + LARGE;
				bool is_whole = is_given && first < end && from < first + length;

				for (uint32_t i = from; i < end; i++)
					is_whole &= is_in[i];
				assert_int_equal(has_gone[large], is_whole);
			}
		}
		down();
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(whole_ones_of_a_range_go),
		cmocka_unit_test(pieces_are_remembered_until_they_are_whole),
		cmocka_unit_test(a_range_completes_those_that_it_begins_and_ends_in),
		cmocka_unit_test(what_is_taken_out_is_not_there_any_more),
		cmocka_unit_test(nothing_is_remembered_of_a_driver_that_need_not_tell),
		cmocka_unit_test(a_region_that_ends_within_one_keeps_it),
		cmocka_unit_test(another_table_of_memory_forgets_them),
		cmocka_unit_test(queues_of_different_tables_forget_each_others),
		cmocka_unit_test(a_queue_that_stops_forgets_them),
		cmocka_unit_test(more_memory_than_there_was_is_given_away_whole_only),
		cmocka_unit_test(reports_are_not_remembered),
		cmocka_unit_test(random_lists_give_back_what_is_whole),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
