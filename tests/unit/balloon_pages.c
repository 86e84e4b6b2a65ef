/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Page lists (virtio 1.3, section 5.5.6): which memory goes back to the host, in which ranges, and
 * that every list comes back, whatever it says.
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

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define BATCH        4096u /* what is sorted at once */

static struct balloon_rig rig;

static void up_on(uint64_t ring_features, uint64_t page_bytes)
{
	const struct pv_balloon_options options = { 0 };

	balloon_rig_open(&rig, &options, page_bytes);
	balloon_rig_start(&rig, ring_features | VIRTIO_BALLOON_F_MUST_TELL_HOST);
}

static void up(void)
{
	up_on(0, PAGE);
}

static void down(void)
{
	assert_int_equal(rig.base.needs_resets, 0);
	balloon_rig_close(&rig);
}

static uint64_t count(uint16_t queue, const char *name)
{
	return pv_count_of(rig.device, queue, name);
}

static void a_list_becomes_ranges_in_any_order_on_any_ring(void **state)
{
	const uint32_t list[] = { PAGE_A + 5, PAGE_A + 3, PAGE_A + 4, PAGE_A + 9, PAGE_A };

	(void)state;
	for (uint16_t i = 0; i < PV_RING_KINDS; i++) {
		up_on(pv_ring_kind[i], PAGE);
		balloon_rig_list(&rig, INFLATE, list, COUNT(list));
		balloon_rig_run(&rig);
		balloon_rig_expect_back(&rig, INFLATE, 1);
		balloon_rig_expect_gone(&rig, PAGE_A, 1);
		balloon_rig_expect_gone(&rig, PAGE_A + 3, 3);
		balloon_rig_expect_gone(&rig, PAGE_A + 9, 1);
		balloon_rig_expect_no_more(&rig);
		assert_int_equal(rig.pages[0][3 * PAGE], 0);
		assert_int_equal(rig.pages[0][2 * PAGE], 0xaa);
		assert_int_equal(rig.pages[0][6 * PAGE], 0xaa);
		assert_int_equal(count(INFLATE, "pages"), 5);
		assert_int_equal(count(INFLATE, "ranges"), 3);
		assert_int_equal(count(INFLATE, "discarded_bytes"), 5 * PAGE);
		assert_int_equal(count(INFLATE, "kept_bytes"), 0);
		down();
	}
}

/* Each part of a number counts. */
static void numbers_of_all_sizes_are_sorted(void **state)
{
	const uint32_t list[] = { PAGE_A + 1,         PAGE_A + 0x1000000,  PAGE_A,
		                  PAGE_A + 0x2000000, PAGE_A + 0x80000000, PAGE_A + 3,
		                  PAGE_A + 2 };

	(void)state;
	up();
	balloon_rig_list(&rig, INFLATE, list, COUNT(list));
	balloon_rig_run(&rig);
	balloon_rig_expect_gone(&rig, PAGE_A, 4);
	balloon_rig_expect_no_more(&rig);
	assert_int_equal(count(INFLATE, "bad_pages"), 3);
	down();
}

static void lists_that_wait_together_are_joined(void **state)
{
	(void)state;
	up();
	for (uint32_t i = 0; i < 16; i++)
		balloon_rig_row(&rig, INFLATE, PAGE_A + (15 - i) * 4, 4);
	balloon_rig_run(&rig);
	balloon_rig_expect_back(&rig, INFLATE, 16);
	balloon_rig_expect_gone(&rig, PAGE_A, 64);
	balloon_rig_expect_no_more(&rig);
	down();
}

/* It is over for the driver when the pages are gone, and not before. */
static void a_list_is_not_returned_before_its_pages_are_gone(void **state)
{
	(void)state;
	up();
	balloon_rig_row(&rig, INFLATE, PAGE_A, 4);
	assert_int_equal(rig.ranges, 0);
	assert_true(balloon_rig_run_once(&rig, INFLATE));
	assert_int_equal(rig.ranges, 1);
	balloon_rig_expect_back(&rig, INFLATE, 1);
	down();
}

static void a_range_is_cut_where_a_region_ends(void **state)
{
	(void)state;
	up();
	balloon_rig_row(&rig, INFLATE, PAGE_B - 2, 4);
	balloon_rig_run(&rig);
	balloon_rig_expect_gone(&rig, PAGE_B - 2, 2);
	balloon_rig_expect_gone(&rig, PAGE_B, 2);
	balloon_rig_expect_no_more(&rig);
	assert_int_equal(rig.pages[0][(PAGES - 2) * PAGE], 0);
	assert_int_equal(rig.pages[0][(PAGES - 3) * PAGE], 0xaa);
	assert_int_equal(rig.pages[1][2 * PAGE - 1], 0);
	assert_int_equal(rig.pages[1][2 * PAGE], 0xaa);
	assert_int_equal(rig.pages[2][0], 0xaa);
	down();
}

static void what_is_no_memory_is_counted_and_passed_over(void **state)
{
	const uint32_t list[] = { 0,           UINT32_MAX,     PAGE_A - 1,
		                  PAGE_A,      PAGE_HOLE,      PAGE_HOLE + 63,
		                  PAGE_BEHIND, UINT32_MAX - 1, 0x80000000u };

	(void)state;
	up();
	balloon_rig_list(&rig, INFLATE, list, COUNT(list));
	balloon_rig_row(&rig, DEFLATE, PAGE_HOLE, 7);
	balloon_rig_run(&rig);
	balloon_rig_expect_back(&rig, INFLATE, 1);
	balloon_rig_expect_back(&rig, DEFLATE, 1);
	balloon_rig_expect_gone(&rig, PAGE_A, 1);
	balloon_rig_expect_no_more(&rig);
	assert_int_equal(count(INFLATE, "pages"), COUNT(list));
	assert_int_equal(count(INFLATE, "bad_pages"), COUNT(list) - 1);
	assert_int_equal(count(DEFLATE, "bad_pages"), 7);
	assert_int_equal(rig.device->queue[INFLATE].counters.bad_chains, 0);
	down();
}

static void a_range_goes_on_behind_a_hole(void **state)
{
	(void)state;
	up();
	balloon_rig_row(&rig, INFLATE, PAGE_HOLE - 1, PAGES + 2);
	balloon_rig_run(&rig);
	balloon_rig_expect_gone(&rig, PAGE_HOLE - 1, 1);
	balloon_rig_expect_gone(&rig, PAGE_C, 1);
	balloon_rig_expect_no_more(&rig);
	assert_int_equal(count(INFLATE, "bad_pages"), PAGES);
	down();
}

static void a_page_that_is_there_twice_goes_once(void **state)
{
	const uint32_t list[] = { PAGE_A + 1, PAGE_A,     PAGE_A + 1, PAGE_A + 1,
		                  PAGE_A + 2, UINT32_MAX, UINT32_MAX };

	(void)state;
	up();
	balloon_rig_list(&rig, INFLATE, list, COUNT(list));
	balloon_rig_row(&rig, INFLATE, PAGE_A + 2, 2);
	balloon_rig_run(&rig);
	balloon_rig_expect_back(&rig, INFLATE, 2);
	balloon_rig_expect_gone(&rig, PAGE_A, 4);
	balloon_rig_expect_no_more(&rig);
	assert_int_equal(count(INFLATE, "repeated_pages"), 4);
	assert_int_equal(count(INFLATE, "bad_pages"), 1);
	/* Given away again, without being taken back: that is the driver's affair. */
	balloon_rig_row(&rig, INFLATE, PAGE_A, 4);
	balloon_rig_run(&rig);
	balloon_rig_expect_gone(&rig, PAGE_A, 4);
	down();
}

static void the_rest_of_a_word_is_no_page(void **state)
{
	const struct pv_le32 list[] = { pv_le32_of(PAGE_A), pv_le32_of(PAGE_A + 1) };

	(void)state;
	up();
	for (uint32_t bytes = 1; bytes < 8; bytes++)
		balloon_rig_send(&rig, INFLATE, list, bytes, 3);
	for (uint32_t i = 0; i < 7; i++) {
		balloon_rig_run_once(&rig, INFLATE);
		balloon_rig_run(&rig);
	}
	balloon_rig_expect_back(&rig, INFLATE, 7);
	balloon_rig_expect_gone(&rig, PAGE_A, 1);
	balloon_rig_expect_no_more(&rig);
	assert_int_equal(count(INFLATE, "pages"), 4);
	assert_int_equal(count(INFLATE, "bad_pages"), 6);
	down();
}

static void chains_that_are_no_lists_come_back_and_do_nothing(void **state)
{
	const struct pv_sg nowhere = { pv_gpa_of(DEVICE_RIG_NOWHERE), 16 };
	struct pv_sg sg[2];

	(void)state;
	for (uint16_t i = 0; i < PV_RING_KINDS; i++) {
		up_on(pv_ring_kind[i], PAGE);
		sg[0] = device_rig_alloc(&rig.base, 4);
		sg[1] = device_rig_alloc(&rig.base, 4);
		for (uint16_t j = 0; j < 2; j++)
			*(struct pv_le32 *)device_rig_at(&rig.base, sg[j].addr) =
				pv_le32_of(PAGE_A);
		for (uint16_t queue = INFLATE; queue <= DEFLATE; queue++) {
			device_rig_offer(&rig.base, queue, sg, 0, 1);
			balloon_rig_row(&rig, queue, PAGE_B, 1);
			device_rig_offer(&rig.base, queue, sg, 1, 1);
			device_rig_offer(&rig.base, queue, &nowhere, 1, 0);
			balloon_rig_run(&rig);
			balloon_rig_expect_back(&rig, queue, 4);
			assert_int_equal(rig.device->queue[queue].counters.bad_chains, 3);
		}
		balloon_rig_expect_gone(&rig, PAGE_B, 1);
		balloon_rig_expect_no_more(&rig);
		assert_int_equal(count(INFLATE, "pages"), 1);
		down();
	}
}

/* The same pages over and over, but each round by ranges of its own. */
static void fill_list(struct pv_le32 *list, uint32_t numbers)
{
	for (uint32_t i = 0; i < numbers; i++)
		list[i] = pv_le32_of(PAGE_A + (i / BATCH + i) % (2 * PAGES));
}

#define LONG (20u * BATCH + 7u)

static void a_list_of_any_length_is_worked_on_in_rounds(void **state)
{
	struct pv_sg sg[2];

	(void)state;
	for (uint16_t i = 0; i < PV_RING_KINDS; i++) {
		uint32_t runs = 0;

		up_on(pv_ring_kind[i], PAGE);
		balloon_rig_row(&rig, INFLATE, PAGE_C, 3);
		sg[0] = device_rig_alloc(&rig.base, LONG * 4);
		fill_list((struct pv_le32 *)device_rig_at(&rig.base, sg[0].addr), LONG);
		sg[1] = (struct pv_sg){ pv_gpa_add(sg[0].addr, 4002), sg[0].bytes - 4002 };
		sg[0].bytes = 4002;
		device_rig_offer(&rig.base, INFLATE, sg, 2, 0);
		balloon_rig_row(&rig, INFLATE, PAGE_C + 10, 1);
		while (balloon_rig_run_once(&rig, INFLATE)) {
			runs++;
			assert_true(count(INFLATE, "pages") <= runs * BATCH);
			if (runs > 1 && runs < 20)
				assert_false(balloon_rig_take(&rig, INFLATE));
			if (runs == 1)
				assert_true(balloon_rig_take(&rig, INFLATE));
		}
		balloon_rig_expect_back(&rig, INFLATE, 2);
		assert_int_equal(count(INFLATE, "pages"), LONG + 4);
		assert_int_equal(count(INFLATE, "bad_pages"), 0);
		assert_int_equal(runs, 21);
		/* As what is sorted at once each round has all the pages, but the last. */
		assert_int_equal(rig.device->queue[INFLATE].counters.requests, 3);
		assert_int_equal(rig.range[0].gpa, (uint64_t)PAGE_A * PAGE);
		assert_int_equal(rig.range[0].bytes, (uint64_t)PAGES * PAGE);
		assert_int_equal(rig.pages[2][10 * PAGE], 0);
		down();
	}
}

static void a_list_under_way_holds_up_no_stop_and_begins_anew(void **state)
{
	struct pv_sg sg;

	(void)state;
	up();
	sg = device_rig_alloc(&rig.base, LONG * 4);
	fill_list((struct pv_le32 *)device_rig_at(&rig.base, sg.addr), LONG);
	device_rig_offer(&rig.base, INFLATE, &sg, 1, 0);
	balloon_rig_run_once(&rig, INFLATE);
	device_rig_stop_queue(&rig.base, INFLATE);
	assert_false(balloon_rig_take(&rig, INFLATE));
	assert_int_equal(count(INFLATE, "pages"), BATCH);
	device_rig_continue_queue(&rig.base, INFLATE);
	balloon_rig_run_once(&rig, INFLATE);
	balloon_rig_move(&rig);
	balloon_rig_run(&rig);
	balloon_rig_expect_back(&rig, INFLATE, 1);
	assert_int_equal(count(INFLATE, "pages"), LONG);
	down();
}

/* What was noted of one list is not so of another, though it is as long. */
static void a_queue_that_begins_anew_has_other_lists(void **state)
{
	struct pv_sg sg;

	(void)state;
	up();
	sg = device_rig_alloc(&rig.base, LONG * 4);
	fill_list((struct pv_le32 *)device_rig_at(&rig.base, sg.addr), LONG);
	device_rig_offer(&rig.base, INFLATE, &sg, 1, 0);
	balloon_rig_run_once(&rig, INFLATE);
	device_rig_stop_queue(&rig.base, INFLATE);
	assert_int_equal(device_rig_start_queue(&rig.base, INFLATE), 0);
	device_rig_offer(&rig.base, INFLATE, &sg, 1, 0);
	balloon_rig_run(&rig);
	balloon_rig_expect_back(&rig, INFLATE, 1);
	assert_int_equal(count(INFLATE, "pages"), BATCH + LONG);
	down();
}

/* A list that the driver makes shorter under way, or replaces, harms nobody. */
static void a_list_that_changes_under_way_is_read_as_it_is(void **state)
{
	struct pv_sg sg;

	(void)state;
	up();
	sg = device_rig_alloc(&rig.base, LONG * 4);
	fill_list((struct pv_le32 *)device_rig_at(&rig.base, sg.addr), LONG);
	device_rig_offer(&rig.base, INFLATE, &sg, 1, 0);
	balloon_rig_run_once(&rig, INFLATE);
	/* Its descriptor is the first of the table. */
	((struct virtq_desc *)rig.base.memory)->len = pv_le32_of(12);
	balloon_rig_run(&rig);
	balloon_rig_expect_back(&rig, INFLATE, 1);
	assert_int_equal(count(INFLATE, "pages"), BATCH + 3);
	down();
}

/* Each byte of it is a region. */
static void a_list_in_crumbs_is_read(void **state)
{
	const struct pv_sg few = { pv_gpa_of(DEVICE_RIG_CRUMBS_GPA), 400 };
	const struct pv_sg many = { pv_gpa_of(DEVICE_RIG_CRUMBS_GPA), BALLOON_RIG_CRUMBS };

	(void)state;
	up();
	for (uint32_t i = 0; i < 400; i++)
		rig.base.crumbs_host[2 * i] = (uint8_t)((PAGE_A + i / 4 % PAGES) >> (i % 4 * 8));
	device_rig_offer(&rig.base, INFLATE, &few, 1, 0);
	balloon_rig_run(&rig);
	balloon_rig_expect_gone(&rig, PAGE_A, PAGES);
	balloon_rig_expect_no_more(&rig);
	/* More pieces than are followed. */
	device_rig_offer(&rig.base, INFLATE, &many, 1, 0);
	balloon_rig_run(&rig);
	balloon_rig_expect_back(&rig, INFLATE, 2);
	balloon_rig_expect_no_more(&rig);
	assert_int_equal(rig.device->queue[INFLATE].counters.bad_chains, 1);
	down();
}

static void what_cannot_go_back_is_kept_and_counted(void **state)
{
	(void)state;
	up();
	rig.refusal = -PV_ENOTSUP;
	balloon_rig_row(&rig, INFLATE, PAGE_A, 4);
	balloon_rig_run(&rig);
	rig.refusal = 0;
	rig.base.ops.discard = NULL;
	balloon_rig_row(&rig, INFLATE, PAGE_A, 2);
	balloon_rig_run(&rig);
	balloon_rig_expect_back(&rig, INFLATE, 2);
	balloon_rig_expect_no_more(&rig);
	assert_int_equal(count(INFLATE, "kept_bytes"), 6 * PAGE);
	assert_int_equal(count(INFLATE, "ranges"), 1);
	assert_int_equal(count(INFLATE, "discarded_bytes"), 0);
	down();
	/* One of several. */
	up();
	rig.refusal = -PV_EIO;
	rig.refused_gpa = (PAGE_A + 2ull) * PAGE;
	for (uint32_t i = 0; i < 10; i += 2)
		balloon_rig_row(&rig, INFLATE, PAGE_A + i, 1);
	balloon_rig_run(&rig);
	for (uint32_t i = 0; i < 10; i += 2)
		if (i != 2)
			balloon_rig_expect_gone(&rig, PAGE_A + i, 1);
	balloon_rig_expect_no_more(&rig);
	assert_int_equal(count(INFLATE, "kept_bytes"), PAGE);
	assert_int_equal(count(INFLATE, "ranges"), 5);
	assert_int_equal(count(INFLATE, "discarded_bytes"), 4 * PAGE);
	down();
	/* Memory that stays. */
	up_on(0, 0);
	balloon_rig_row(&rig, INFLATE, PAGE_A, 4);
	balloon_rig_run(&rig);
	balloon_rig_expect_back(&rig, INFLATE, 1);
	assert_int_equal(count(INFLATE, "kept_bytes"), 4 * PAGE);
	down();
}

static void deflating_needs_nothing_of_the_host(void **state)
{
	(void)state;
	up();
	balloon_rig_row(&rig, INFLATE, PAGE_A, 4);
	balloon_rig_run(&rig);
	balloon_rig_expect_gone(&rig, PAGE_A, 4);
	balloon_rig_row(&rig, DEFLATE, PAGE_A, 4);
	balloon_rig_run(&rig);
	balloon_rig_expect_back(&rig, DEFLATE, 1);
	balloon_rig_expect_no_more(&rig);
	assert_int_equal(count(DEFLATE, "pages"), 4);
	assert_int_equal(count(DEFLATE, "ranges"), 0);
	down();
}

/* Against a plain bitmap. */
static void random_lists_give_back_what_they_name(void **state)
{
	struct pv_random random = pv_random_start(pv_random_seed(), 1);
	uint32_t list[300];

	(void)state;
	for (uint32_t round = 0; round < 200; round++) {
		bool is_named[4 * PAGES + 2] = { false }, is_gone[4 * PAGES + 2] = { false };
		uint64_t end = 0;

		up_on(pv_ring_kind[round % PV_RING_KINDS], PAGE);
		for (uint32_t chain = 0; chain < 5; chain++) {
			uint32_t length = 1 + pv_random_below(&random, COUNT(list) - 1);

			for (uint32_t i = 0; i < length; i++) {
				uint32_t at = pv_random_below(&random, 4 * PAGES + 2);

				list[i] = PAGE_A - 1 + at;
				is_named[at] = true;
			}
			balloon_rig_list(&rig, INFLATE, list, length);
		}
		balloon_rig_run(&rig);
		balloon_rig_expect_back(&rig, INFLATE, 5);
		for (uint32_t i = 0; i < rig.ranges; i++) {
			uint64_t first = rig.range[i].gpa / PAGE;

			/* In order; and one for each, but where a region ends. */
			assert_true(first > end || (first == end && first == PAGE_B) || i == 0);
			end = first + rig.range[i].bytes / PAGE;
			for (uint64_t page = first; page < end; page++)
				is_gone[page - (PAGE_A - 1)] = true;
		}
		for (uint32_t at = 0; at < 4 * PAGES + 2; at++) {
			uint32_t page = PAGE_A - 1 + at;
			bool is_memory = (page >= PAGE_A && page < PAGE_HOLE) ||
			                 (page >= PAGE_C && page < PAGE_BEHIND);

			assert_int_equal(is_gone[at], is_named[at] && is_memory);
		}
		down();
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_list_becomes_ranges_in_any_order_on_any_ring),
		cmocka_unit_test(numbers_of_all_sizes_are_sorted),
		cmocka_unit_test(lists_that_wait_together_are_joined),
		cmocka_unit_test(a_list_is_not_returned_before_its_pages_are_gone),
		cmocka_unit_test(a_range_is_cut_where_a_region_ends),
		cmocka_unit_test(what_is_no_memory_is_counted_and_passed_over),
		cmocka_unit_test(a_range_goes_on_behind_a_hole),
		cmocka_unit_test(a_page_that_is_there_twice_goes_once),
		cmocka_unit_test(the_rest_of_a_word_is_no_page),
		cmocka_unit_test(chains_that_are_no_lists_come_back_and_do_nothing),
		cmocka_unit_test(a_list_of_any_length_is_worked_on_in_rounds),
		cmocka_unit_test(a_list_under_way_holds_up_no_stop_and_begins_anew),
		cmocka_unit_test(a_queue_that_begins_anew_has_other_lists),
		cmocka_unit_test(a_list_that_changes_under_way_is_read_as_it_is),
		cmocka_unit_test(a_list_in_crumbs_is_read),
		cmocka_unit_test(what_cannot_go_back_is_kept_and_counted),
		cmocka_unit_test(deflating_needs_nothing_of_the_host),
		cmocka_unit_test(random_lists_give_back_what_they_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
