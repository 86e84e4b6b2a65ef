/* SPDX-License-Identifier: BSD-2-Clause */
/* Statistics (virtio 1.3, section 5.5.6.3): when they are asked for, and what of them is kept. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "ring/err.h"
#include "tests/support/balloon_rig.h"

#define FEATURES  (VIRTIO_BALLOON_F_MUST_TELL_HOST | VIRTIO_BALLOON_F_STATS_VQ)
#define SECOND_NS 1000000000ull

#define JOURNAL_BYTES (64u << 10) /* more than enough for its places */

static struct balloon_rig rig;
static struct pv_balloon_stats stats;

static void open_rig(void)
{
	const struct pv_balloon_options options = { 0 };

	balloon_rig_open(&rig, &options, PAGE);
}

static void up_on(uint64_t ring_features)
{
	open_rig();
	balloon_rig_start(&rig, ring_features | FEATURES);
}

static void up(void)
{
	up_on(0);
}

static void down(void)
{
	assert_int_equal(rig.base.needs_resets, 0);
	balloon_rig_close(&rig);
}

/* A buffer that says one thing: so much memory is free. */
static void tell_free(uint64_t bytes)
{
	const struct virtio_balloon_stat stat = { pv_le16_of(VIRTIO_BALLOON_S_MEMFREE),
		                                  pv_le64_of(bytes) };

	balloon_rig_send(&rig, STATS, &stat, sizeof(stat), sizeof(stat));
	balloon_rig_run(&rig);
}

static void expect_free(uint64_t bytes, uint64_t count)
{
	pv_balloon_stats(rig.device, &stats);
	assert_int_equal(stats.count, count);
	assert_int_equal(stats.known, 1u << VIRTIO_BALLOON_S_MEMFREE);
	assert_int_equal(stats.value[VIRTIO_BALLOON_S_MEMFREE], bytes);
	assert_int_equal(rig.stats_came, count);
}

static void expect_asked(bool is_asked)
{
	balloon_rig_run(&rig);
	assert_int_equal(balloon_rig_take(&rig, STATS), is_asked);
}

static void a_buffer_is_kept_until_the_period_is_over(void **state)
{
	(void)state;
	for (uint16_t i = 0; i < PV_RING_KINDS; i++) {
		open_rig();
		pv_balloon_stats_period_set(rig.device, 2 * SECOND_NS);
		assert_false(pv_balloon_has_stats(rig.device));
		balloon_rig_start(&rig, pv_ring_kind[i] | FEATURES);
		assert_true(pv_balloon_has_stats(rig.device));
		for (uint64_t round = 1; round < 4; round++) {
			tell_free(round * 1000);
			expect_free(round * 1000, round);
			assert_int_equal(stats.at_ns, rig.base.now_ns);
			expect_asked(false);
			balloon_rig_pass(&rig, 2 * SECOND_NS - 1);
			expect_asked(false);
			balloon_rig_pass(&rig, 1);
			expect_asked(true);
		}
		/* Nothing happens while the driver does not answer. */
		balloon_rig_pass(&rig, 100 * SECOND_NS);
		expect_asked(false);
		expect_free(3000, 3);
		down();
	}
}

static void nobody_asks_without_a_period(void **state)
{
	(void)state;
	up();
	tell_free(5);
	expect_free(5, 1);
	balloon_rig_pass(&rig, 1000 * SECOND_NS);
	expect_asked(false);
	down();
}

static void another_period_is_in_force_at_once(void **state)
{
	(void)state;
	up();
	tell_free(5);
	pv_balloon_stats_period_set(rig.device, 60 * SECOND_NS);
	assert_int_equal(rig.base.wakes, 1);
	assert_int_equal(pv_balloon_stats_period(rig.device), 60 * SECOND_NS);
	expect_asked(true);
	tell_free(6);
	expect_free(6, 2);
	balloon_rig_pass(&rig, SECOND_NS);
	expect_asked(false);
	pv_balloon_stats_period_set(rig.device, SECOND_NS);
	expect_asked(true);
	tell_free(7);
	balloon_rig_pass(&rig, SECOND_NS);
	expect_asked(true);
	tell_free(8);
	/* The same again is no news; none is. */
	pv_balloon_stats_period_set(rig.device, SECOND_NS);
	assert_int_equal(rig.base.wakes, 2);
	expect_asked(false);
	pv_balloon_stats_period_set(rig.device, 0);
	balloon_rig_pass(&rig, 100 * SECOND_NS);
	expect_asked(false);
	expect_free(8, 4);
	down();
}

/* Section 5.5.5: the driver begins with an empty buffer, to be asked with. */
static void an_empty_buffer_is_what_the_driver_is_asked_with(void **state)
{
	struct pv_sg sg;

	(void)state;
	up();
	pv_balloon_stats_period_set(rig.device, SECOND_NS);
	sg = device_rig_alloc(&rig.base, 10);
	sg.bytes = 0;
	device_rig_offer(&rig.base, STATS, &sg, 1, 0);
	expect_asked(true);
	assert_int_equal(rig.stats_came, 0);
	/* Who has nothing to say is not asked all the time. */
	device_rig_offer(&rig.base, STATS, &sg, 1, 0);
	expect_asked(false);
	balloon_rig_pass(&rig, SECOND_NS);
	expect_asked(true);
	tell_free(3);
	expect_free(3, 1);
	assert_int_equal(rig.device->queue[STATS].counters.bad_chains, 0);
	down();
}

/* The legacy interface: what the first buffer says means nothing. */
static void a_legacy_drivers_first_buffer_is_not_believed(void **state)
{
	(void)state;
	open_rig();
	pv_balloon_stats_period_set(rig.device, SECOND_NS);
	balloon_rig_negotiate(&rig, FEATURES);
	assert_int_equal(device_rig_start_queue(&rig.base, STATS), 0);
	tell_free(0x5555);
	assert_int_equal(rig.stats_came, 0);
	expect_asked(true);
	tell_free(2);
	expect_free(2, 1);
	down();
}

static void all_that_is_told_is_kept(void **state)
{
	struct virtio_balloon_stat told[VIRTIO_BALLOON_S_KNOWN + 3];

	(void)state;
	for (uint16_t i = 0; i < VIRTIO_BALLOON_S_KNOWN + 3; i++)
		told[i] = (struct virtio_balloon_stat){
			pv_le16_of((uint16_t)(VIRTIO_BALLOON_S_KNOWN + 2 - i)),
			pv_le64_of(i == 3 ? UINT64_MAX : i * 0x100000000ull)
		};
	up();
	/* In pieces that no entry fits into. */
	balloon_rig_send(&rig, STATS, told, sizeof(told), 7);
	balloon_rig_run(&rig);
	pv_balloon_stats(rig.device, &stats);
	assert_int_equal(stats.known, (1u << VIRTIO_BALLOON_S_KNOWN) - 1);
	for (uint16_t i = 0; i < VIRTIO_BALLOON_S_KNOWN; i++) {
		uint16_t at = (uint16_t)(VIRTIO_BALLOON_S_KNOWN + 2 - i);

		assert_int_equal(stats.value[i], at == 3 ? UINT64_MAX : at * 0x100000000ull);
	}
	assert_int_equal(stats.unknown, 3);
	assert_int_equal(stats.unknown_tag[0], VIRTIO_BALLOON_S_KNOWN + 2);
	assert_int_equal(stats.unknown_tag[2], VIRTIO_BALLOON_S_KNOWN);
	assert_int_equal(stats.unknown_value[2], 2 * 0x100000000ull);
	assert_int_equal(pv_count_of(rig.device, STATS, "bad_stats"), 0);
	down();
}

static void what_is_too_much_or_half_an_entry_is_counted(void **state)
{
	struct virtio_balloon_stat told[400];
	const uint32_t sizes[] = { 1, 9, 11, 19, 4000 };

	(void)state;
	up();
	pv_balloon_stats_period_set(rig.device, 1);
	for (uint16_t i = 0; i < 400; i++)
		told[i] = (struct virtio_balloon_stat){ pv_le16_of((uint16_t)(i * 163)),
			                                pv_le64_of(i) };
	for (uint32_t i = 0; i < 5; i++) {
		balloon_rig_send(&rig, STATS, told, sizes[i], sizes[i]);
		balloon_rig_run(&rig);
		pv_balloon_stats(rig.device, &stats);
		assert_int_equal(stats.count, i + 1);
		assert_int_equal(stats.known, sizes[i] < 10 ? 0 : 1);
		assert_int_equal(pv_count_of(rig.device, STATS, "bad_stats"), i + 1);
		balloon_rig_pass(&rig, 1);
		expect_asked(true);
	}
	assert_int_equal(stats.unknown, PV_BALLOON_STATS_UNKNOWN);
	assert_int_equal(stats.unknown_value[15], 16);
	/* A tag that is there again has its last value, and a good buffer is good. */
	told[1].tag = told[0].tag;
	told[3].tag = told[2].tag;
	balloon_rig_send(&rig, STATS, told, 40, 40);
	balloon_rig_run(&rig);
	pv_balloon_stats(rig.device, &stats);
	assert_int_equal(stats.value[0], 1);
	assert_int_equal(stats.unknown, 1);
	assert_int_equal(stats.unknown_value[0], 3);
	assert_int_equal(pv_count_of(rig.device, STATS, "bad_stats"), 5);
	down();
}

static void chains_that_are_no_statistics_come_back(void **state)
{
	const struct pv_sg nowhere = { pv_gpa_of(DEVICE_RIG_NOWHERE), 20 };
	const struct pv_sg crumbs = { pv_gpa_of(DEVICE_RIG_CRUMBS_GPA), 100 };
	struct pv_sg sg;

	(void)state;
	up();
	sg = device_rig_alloc(&rig.base, 20);
	device_rig_offer(&rig.base, STATS, &sg, 0, 1);
	device_rig_offer(&rig.base, STATS, &nowhere, 1, 0);
	device_rig_offer(&rig.base, STATS, &crumbs, 1, 0);
	balloon_rig_run(&rig);
	balloon_rig_expect_back(&rig, STATS, 3);
	assert_int_equal(rig.device->queue[STATS].counters.bad_chains, 3);
	assert_int_equal(rig.stats_came, 0);
	/* Of memory in pieces that are not too many. */
	rig.base.crumbs_host[0] = VIRTIO_BALLOON_S_MEMFREE;
	rig.base.crumbs_host[4] = 77;
	device_rig_offer(&rig.base, STATS, &(struct pv_sg){ crumbs.addr, 10 }, 1, 0);
	balloon_rig_run(&rig);
	expect_free(77, 1);
	down();
}

/* One at a time (section 5.5.6.3); others wait their turn. */
static void only_one_buffer_is_held(void **state)
{
	(void)state;
	up();
	tell_free(1);
	tell_free(2);
	tell_free(3);
	expect_free(1, 1);
	assert_int_equal(rig.device->queue[STATS].held, 1);
	pv_balloon_stats_period_set(rig.device, SECOND_NS);
	expect_asked(true);
	expect_free(2, 2);
	expect_asked(false);
	down();
}

static void what_is_held_goes_back_when_the_queue_stops(void **state)
{
	(void)state;
	for (uint16_t i = 0; i < PV_RING_KINDS; i++) {
		up_on(pv_ring_kind[i]);
		tell_free(1);
		device_rig_stop_queue(&rig.base, STATS);
		assert_false(pv_balloon_has_stats(rig.device));
		assert_true(balloon_rig_take(&rig, STATS));
		device_rig_continue_queue(&rig.base, STATS);
		tell_free(2);
		expect_free(2, 2);
		down();
	}
}

static void what_is_held_comes_along(void **state)
{
	(void)state;
	for (uint16_t i = 0; i < PV_RING_KINDS; i++) {
		up_on(pv_ring_kind[i]);
		pv_balloon_stats_period_set(rig.device, SECOND_NS);
		tell_free(1);
		balloon_rig_switch(&rig, true);
		device_rig_pause(&rig.base);
		pv_device_resume(rig.device);
		expect_asked(false);
		balloon_rig_pass(&rig, SECOND_NS);
		expect_asked(true);
		tell_free(2);
		balloon_rig_move(&rig);
		pv_balloon_stats(rig.device, &stats);
		assert_int_equal(stats.count, 2);
		assert_int_equal(stats.value[VIRTIO_BALLOON_S_MEMFREE], 2);
		assert_int_equal(pv_balloon_stats_period(rig.device), 0);
		expect_asked(false);
		pv_balloon_stats_period_set(rig.device, SECOND_NS);
		expect_asked(true);
		tell_free(3);
		pv_balloon_stats(rig.device, &stats);
		assert_int_equal(stats.count, 3);
		down();
	}
}

/* What is in flight is written down outside: whoever starts the queue next has it. */
static void what_is_held_stays_in_the_journal(void **state)
{
	(void)state;
	for (uint16_t i = 0; i < PV_RING_KINDS; i++) {
		void *journal = calloc(1, JOURNAL_BYTES);

		up_on(pv_ring_kind[i]);
		device_rig_stop_queue(&rig.base, STATS);
		rig.base.queue[STATS].config.inflight = journal;
		rig.base.queue[STATS].config.inflight_places = DEVICE_RIG_SIZE;
		device_rig_continue_queue(&rig.base, STATS);
		tell_free(4);
		expect_free(4, 1);
		device_rig_stop_queue(&rig.base, STATS);
		assert_false(balloon_rig_take(&rig, STATS));
		device_rig_continue_queue(&rig.base, STATS);
		expect_asked(false);
		assert_int_equal(rig.device->queue[STATS].held, 1);
		expect_free(4, 2);
		pv_balloon_stats_period_set(rig.device, SECOND_NS);
		expect_asked(true);
		expect_asked(false);
		down();
		free(journal);
	}
}

/* The buffer is in memory that goes away: it still comes back. */
static void a_buffer_whose_memory_goes_comes_back(void **state)
{
	struct pv_sg sg = balloon_rig_free(PAGE_C, 10);

	(void)state;
	up();
	device_rig_offer(&rig.base, STATS, &sg, 1, 0);
	balloon_rig_run(&rig);
	balloon_rig_switch(&rig, false);
	balloon_rig_move(&rig);
	pv_balloon_stats_period_set(rig.device, SECOND_NS);
	expect_asked(true);
	down();
}

static void their_age_is_what_is_saved(void **state)
{
	uint8_t *saved;
	size_t bytes;

	(void)state;
	up();
	rig.base.now_ns = 50 * SECOND_NS;
	tell_free(1);
	balloon_rig_pass(&rig, 3 * SECOND_NS);
	device_rig_pause(&rig.base);
	saved = device_rig_save(&rig.base, &bytes);
	for (int is_young = 0; is_young <= 1; is_young++) {
		balloon_rig_replace(&rig);
		rig.base.now_ns = is_young ? SECOND_NS : 1000 * SECOND_NS;
		assert_int_equal(pv_device_load(rig.device, saved, bytes), 0);
		pv_balloon_stats(rig.device, &stats);
		assert_int_equal(stats.at_ns, is_young ? 1 : 997 * SECOND_NS);
	}
	free(saved);
	down();
}

static void a_reset_forgets_them_but_not_the_period(void **state)
{
	(void)state;
	up();
	pv_balloon_stats_period_set(rig.device, SECOND_NS);
	tell_free(1);
	assert_int_equal(pv_device_reset(rig.device, (struct pv_waiter){ 0 }), 0);
	balloon_rig_run(&rig);
	pv_balloon_stats(rig.device, &stats);
	assert_int_equal(stats.at_ns, 0);
	assert_int_equal(stats.known, 0);
	assert_int_equal(pv_balloon_stats_period(rig.device), SECOND_NS);
	rig.stats_came = 0;
	balloon_rig_start(&rig, FEATURES);
	tell_free(2);
	expect_free(2, 1);
	balloon_rig_pass(&rig, SECOND_NS);
	expect_asked(true);
	down();
}

/* A lane that stops late has said what it had to say. */
static void what_came_before_a_stop_is_heard(void **state)
{
	const struct virtio_balloon_stat stat = { pv_le16_of(VIRTIO_BALLOON_S_MEMFREE),
		                                  pv_le64_of(9) };

	(void)state;
	up();
	rig.base.is_slow = true;
	balloon_rig_send(&rig, STATS, &stat, sizeof(stat), sizeof(stat));
	assert_true(pv_queue_run(&rig.device->queue[STATS]));
	assert_int_equal(rig.stats_came, 0);
	device_rig_stop_queue(&rig.base, STATS);
	expect_free(9, 1);
	down();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_buffer_is_kept_until_the_period_is_over),
		cmocka_unit_test(nobody_asks_without_a_period),
		cmocka_unit_test(another_period_is_in_force_at_once),
		cmocka_unit_test(an_empty_buffer_is_what_the_driver_is_asked_with),
		cmocka_unit_test(a_legacy_drivers_first_buffer_is_not_believed),
		cmocka_unit_test(all_that_is_told_is_kept),
		cmocka_unit_test(what_is_too_much_or_half_an_entry_is_counted),
		cmocka_unit_test(chains_that_are_no_statistics_come_back),
		cmocka_unit_test(only_one_buffer_is_held),
		cmocka_unit_test(what_is_held_goes_back_when_the_queue_stops),
		cmocka_unit_test(what_is_held_comes_along),
		cmocka_unit_test(what_is_held_stays_in_the_journal),
		cmocka_unit_test(a_buffer_whose_memory_goes_comes_back),
		cmocka_unit_test(their_age_is_what_is_saved),
		cmocka_unit_test(a_reset_forgets_them_but_not_the_period),
		cmocka_unit_test(what_came_before_a_stop_is_heard),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
