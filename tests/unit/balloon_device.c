/* SPDX-License-Identifier: BSD-2-Clause */
/* The balloon (virtio 1.3, section 5.5): features, configuration, numbers of queues, reports,
 * state. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "ring/err.h"
#include "tests/support/balloon_rig.h"

#define MUST_TELL VIRTIO_BALLOON_F_MUST_TELL_HOST
#define STATS_VQ  VIRTIO_BALLOON_F_STATS_VQ
#define OOM       VIRTIO_BALLOON_F_DEFLATE_ON_OOM
#define POISON    VIRTIO_BALLOON_F_PAGE_POISON
#define REPORTING VIRTIO_BALLOON_F_PAGE_REPORTING
#define OWN       0xffffffull

#define NUM_PAGES 0u
#define ACTUAL    4u
#define HINT      8u
#define POISON_AT 12u

static struct balloon_rig rig;

static void open_rig(void)
{
	const struct pv_balloon_options options = { .reporting = true };

	balloon_rig_open(&rig, &options, PAGE);
}

static void up(uint64_t features)
{
	open_rig();
	balloon_rig_start(&rig, features);
}

static void down(void)
{
	assert_int_equal(rig.base.needs_resets, 0);
	balloon_rig_close(&rig);
}

static uint32_t config(uint32_t offset)
{
	struct pv_le32 field;

	assert_int_equal(pv_device_config_read(rig.device, offset, &field, 4), 0);
	return pv_le32_get(field);
}

static int write_config(uint32_t offset, uint32_t value)
{
	const struct pv_le32 field = pv_le32_of(value);

	return pv_device_config_write(rig.device, offset, &field, 4);
}

static uint64_t offered(const struct pv_balloon_options *options)
{
	uint64_t features;

	balloon_rig_open(&rig, options, PAGE);
	features = pv_device_features(rig.device) & OWN;
	balloon_rig_close(&rig);
	return features;
}

static void what_is_offered_is_what_was_asked_for(void **state)
{
	(void)state;
	assert_int_equal(offered(&(struct pv_balloon_options){ 0 }), MUST_TELL | STATS_VQ);
	assert_int_equal(offered(&(struct pv_balloon_options){ .no_stats = true }), MUST_TELL);
	assert_int_equal(offered(&(struct pv_balloon_options){ .deflate_on_oom = true }),
	                 MUST_TELL | STATS_VQ | OOM);
	assert_int_equal(offered(&(struct pv_balloon_options){ .reporting = true }),
	                 MUST_TELL | STATS_VQ | REPORTING | POISON);
}

static void the_target_is_told_in_pages(void **state)
{
	(void)state;
	up(MUST_TELL);
	assert_int_equal(pv_balloon_target_set(rig.device, 5 * PAGE + 17), 0);
	assert_int_equal(pv_balloon_target(rig.device), 5 * PAGE);
	assert_int_equal(config(NUM_PAGES), 5);
	assert_int_equal(rig.base.config_changes, 1);
	assert_int_equal(pv_balloon_target_set(rig.device, 5 * PAGE), 0);
	assert_int_equal(rig.base.config_changes, 1);
	assert_int_equal(pv_balloon_target_set(rig.device, 1ull << 44), -PV_EINVAL);
	assert_int_equal(pv_balloon_target_set(rig.device, (1ull << 44) - 1), 0);
	assert_int_equal(config(NUM_PAGES), UINT32_MAX);
	assert_int_equal(pv_device_reset(rig.device, (struct pv_waiter){ 0 }), 0);
	assert_int_equal(config(NUM_PAGES), UINT32_MAX);
	down();
}

static void actual_is_what_the_driver_writes_at_any_time(void **state)
{
	(void)state;
	open_rig();
	assert_int_equal(write_config(ACTUAL, 3), 0);
	assert_int_equal(pv_balloon_actual(rig.device), 3 * PAGE);
	assert_int_equal(rig.actual_changes, 1);
	assert_int_equal(write_config(ACTUAL, 3), 0);
	assert_int_equal(rig.actual_changes, 1);
	/* Nonsense is not ours to judge. */
	assert_int_equal(write_config(ACTUAL, UINT32_MAX), 0);
	assert_int_equal(pv_balloon_actual(rig.device), (uint64_t)UINT32_MAX * PAGE);
	assert_int_equal(config(ACTUAL), UINT32_MAX);
	assert_int_equal(pv_device_reset(rig.device, (struct pv_waiter){ 0 }), 0);
	assert_int_equal(pv_balloon_actual(rig.device), 0);
	assert_int_equal(rig.actual_changes, 3);
	down();
}

/* Legacy drivers write it byte by byte. */
static void actual_is_not_used_before_its_last_byte(void **state)
{
	const uint8_t bytes[] = { 0x44, 0x33, 0x22, 0x11 };

	(void)state;
	up(MUST_TELL);
	for (uint32_t i = 0; i < 4; i++) {
		assert_int_equal(pv_balloon_actual(rig.device), 0);
		assert_int_equal(pv_device_config_write(rig.device, ACTUAL + i, &bytes[i], 1), 0);
	}
	assert_int_equal(pv_balloon_actual(rig.device), 0x11223344ull * PAGE);
	assert_int_equal(rig.actual_changes, 1);
	down();
}

static void nothing_else_can_be_written(void **state)
{
	const uint64_t value = 0;

	(void)state;
	up(MUST_TELL);
	assert_int_equal(write_config(NUM_PAGES, 1), -PV_ENOTSUP);
	assert_int_equal(write_config(HINT, 1), -PV_ENOTSUP);
	assert_int_equal(write_config(POISON_AT, 1), -PV_ENOTSUP);
	for (uint32_t offset = 0; offset < 16; offset++)
		for (uint32_t bytes = 5; bytes <= 8; bytes++)
			assert_true(pv_device_config_write(rig.device, offset, &value, bytes) < 0);
	assert_int_equal(write_config(2, 0), -PV_ENOTSUP);
	assert_int_equal(write_config(6, 0), -PV_ENOTSUP);
	assert_int_equal(write_config(13, 0), -PV_EINVAL);
	assert_int_equal(config(POISON_AT), 0);
	assert_int_equal(config(HINT), 0);
	down();
	up(MUST_TELL | POISON);
	assert_int_equal(write_config(POISON_AT, 0xaaaaaaaa), 0);
	assert_int_equal(config(POISON_AT), 0xaaaaaaaa);
	assert_int_equal(pv_device_reset(rig.device, (struct pv_waiter){ 0 }), 0);
	assert_int_equal(config(POISON_AT), 0);
	down();
}

/* ---- which queue is which ---- */

static void report(uint16_t queue)
{
	struct pv_sg sg = balloon_rig_free(PAGE_A, 2 * PAGE);

	device_rig_offer(&rig.base, queue, &sg, 0, 1);
	balloon_rig_run(&rig);
	balloon_rig_expect_back(&rig, queue, 1);
	balloon_rig_expect_gone(&rig, PAGE_A, 2);
	balloon_rig_expect_no_more(&rig);
}

static void the_reporting_queue_has_any_number_that_is_free(void **state)
{
	(void)state;
	for (uint16_t index = STATS; index < VIRTIO_BALLOON_QUEUES; index++)
		for (int has_stats = 0; has_stats <= 1; has_stats++) {
			open_rig();
			balloon_rig_negotiate(&rig, VIRTIO_F_VERSION_1 | REPORTING |
			                                    (has_stats ? STATS_VQ : 0));
			if (!has_stats || index > STATS) {
				assert_int_equal(device_rig_start_queue(&rig.base, index), 0);
				report(index);
			}
			down();
		}
}

static void queues_without_their_feature_are_refused(void **state)
{
	(void)state;
	open_rig();
	balloon_rig_negotiate(&rig, VIRTIO_F_VERSION_1);
	for (uint16_t i = STATS; i < VIRTIO_BALLOON_QUEUES; i++)
		assert_int_equal(device_rig_start_queue(&rig.base, i), -PV_EINVAL);
	assert_false(pv_balloon_has_stats(rig.device));
	down();
	open_rig();
	balloon_rig_negotiate(&rig, VIRTIO_F_VERSION_1 | STATS_VQ);
	assert_int_equal(device_rig_start_queue(&rig.base, STATS), 0);
	for (uint16_t i = STATS + 1; i < VIRTIO_BALLOON_QUEUES; i++)
		assert_int_equal(device_rig_start_queue(&rig.base, i), -PV_EINVAL);
	down();
}

/* ---- reports ---- */

static uint64_t count(const char *name)
{
	return pv_count_of(rig.device, STATS, name);
}

static void reported_pages_go_by_whole_pages(void **state)
{
	const struct pv_sg sg[] = {
		balloon_rig_free(PAGE_A + 2, 3 * PAGE),
		{ pv_gpa_of((uint64_t)PAGE_A * PAGE + 100), 2 * PAGE },
		{ pv_gpa_of((uint64_t)PAGE_C * PAGE + 1), PAGE },
		{ pv_gpa_of((uint64_t)PAGE_B * PAGE - PAGE), 2 * PAGE },
	};

	(void)state;
	for (uint16_t i = 0; i < PV_RING_KINDS; i++) {
		up(pv_ring_kind[i] | REPORTING);
		device_rig_offer(&rig.base, STATS, sg, 0, 4);
		balloon_rig_run(&rig);
		balloon_rig_expect_back(&rig, STATS, 1);
		balloon_rig_expect_gone(&rig, PAGE_A + 2, 3);
		balloon_rig_expect_gone(&rig, PAGE_A + 1, 1);
		balloon_rig_expect_gone(&rig, PAGE_B - 1, 1);
		balloon_rig_expect_gone(&rig, PAGE_B, 1);
		balloon_rig_expect_no_more(&rig);
		assert_int_equal(count("pages"), 8);
		assert_int_equal(count("discarded_bytes"), 6 * PAGE);
		assert_int_equal(count("kept_bytes"), 2 * PAGE);
		down();
	}
}

static void poisoned_pages_stay_and_are_counted(void **state)
{
	struct pv_sg sg = balloon_rig_free(PAGE_A, 2 * PAGE);

	(void)state;
	up(REPORTING | POISON);
	assert_int_equal(write_config(POISON_AT, 0xaa), 0);
	device_rig_offer(&rig.base, STATS, &sg, 0, 1);
	balloon_rig_run(&rig);
	balloon_rig_expect_back(&rig, STATS, 1);
	balloon_rig_expect_no_more(&rig);
	assert_int_equal(count("poisoned_bytes"), 2 * PAGE);
	/* What goes into the balloon is not expected to stay as it is. */
	balloon_rig_row(&rig, INFLATE, PAGE_A, 1);
	balloon_rig_run(&rig);
	balloon_rig_expect_gone(&rig, PAGE_A, 1);
	/* Pages filled with zeroes are as those that come back. */
	assert_int_equal(write_config(POISON_AT, 0), 0);
	report(STATS);
	assert_int_equal(count("poisoned_bytes"), 2 * PAGE);
	down();
}

static void chains_that_are_no_reports_come_back_and_do_nothing(void **state)
{
	struct pv_sg sg[2] = { balloon_rig_free(PAGE_A, PAGE), balloon_rig_free(PAGE_B, PAGE) };
	const struct pv_sg nowhere = { pv_gpa_of(DEVICE_RIG_NOWHERE), PAGE };
	const struct pv_sg hole = balloon_rig_free(PAGE_HOLE - 1, 2 * PAGE);

	(void)state;
	for (uint16_t i = 0; i < PV_RING_KINDS; i++) {
		up(pv_ring_kind[i] | REPORTING);
		device_rig_offer(&rig.base, STATS, sg, 1, 0);
		device_rig_offer(&rig.base, STATS, sg, 1, 1);
		device_rig_offer(&rig.base, STATS, &nowhere, 0, 1);
		device_rig_offer(&rig.base, STATS, &hole, 0, 1);
		balloon_rig_run(&rig);
		balloon_rig_expect_back(&rig, STATS, 4);
		balloon_rig_expect_no_more(&rig);
		assert_int_equal(rig.device->queue[STATS].counters.bad_chains, 4);
		report(STATS);
		down();
	}
}

/* ---- state ---- */

static void what_the_driver_wrote_is_saved_and_what_the_user_wants_is_not(void **state)
{
	(void)state;
	up(MUST_TELL | REPORTING | POISON);
	assert_int_equal(pv_balloon_target_set(rig.device, 7 * PAGE), 0);
	assert_int_equal(write_config(ACTUAL, 6), 0);
	assert_int_equal(write_config(POISON_AT, 0x55), 0);
	balloon_rig_move(&rig);
	assert_int_equal(pv_balloon_target(rig.device), 0);
	assert_int_equal(pv_balloon_actual(rig.device), 6 * PAGE);
	assert_int_equal(config(ACTUAL), 6);
	assert_int_equal(config(POISON_AT), 0x55);
	balloon_rig_run(&rig);
	balloon_rig_row(&rig, INFLATE, PAGE_A, 1);
	balloon_rig_run(&rig);
	balloon_rig_expect_gone(&rig, PAGE_A, 1);
	down();
}

/* A state that was cut, or is of something that cannot be, is refused, and costs nothing. */
static void a_state_that_cannot_be_is_refused(void **state)
{
	const struct virtio_balloon_stat stat = { pv_le16_of(99), pv_le64_of(1) };
	uint32_t refused = 0;
	uint8_t *saved;
	size_t bytes;

	(void)state;
	up(MUST_TELL | STATS_VQ);
	balloon_rig_send(&rig, STATS, &stat, sizeof(stat), sizeof(stat));
	balloon_rig_run(&rig);
	device_rig_pause(&rig.base);
	saved = device_rig_save(&rig.base, &bytes);
	for (size_t i = 16; i < bytes; i++) {
		struct pv_state_writer to = { saved + 12, 4, 0 };
		uint8_t before = saved[i];

		balloon_rig_replace(&rig);
		saved[i] ^= 0xff;
		/* Its checksum is as it should be. */
		pv_state_put_u32(&to, pv_state_checksum(saved + 16, bytes - 16));
		if (pv_device_load(rig.device, saved, bytes)) {
			refused++;
			assert_int_equal(rig.base.allocated, 0);
		}
		saved[i] = before;
	}
	assert_in_range(refused, 20, bytes);
	free(saved);
	balloon_rig_replace(&rig);
	down();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_offered_is_what_was_asked_for),
		cmocka_unit_test(the_target_is_told_in_pages),
		cmocka_unit_test(actual_is_what_the_driver_writes_at_any_time),
		cmocka_unit_test(actual_is_not_used_before_its_last_byte),
		cmocka_unit_test(nothing_else_can_be_written),
		cmocka_unit_test(the_reporting_queue_has_any_number_that_is_free),
		cmocka_unit_test(queues_without_their_feature_are_refused),
		cmocka_unit_test(reported_pages_go_by_whole_pages),
		cmocka_unit_test(poisoned_pages_stay_and_are_counted),
		cmocka_unit_test(chains_that_are_no_reports_come_back_and_do_nothing),
		cmocka_unit_test(what_the_driver_wrote_is_saved_and_what_the_user_wants_is_not),
		cmocka_unit_test(a_state_that_cannot_be_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
