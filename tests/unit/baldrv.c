/* SPDX-License-Identifier: BSD-2-Clause */
/* The balloon driver against a device played by hand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "ring/err.h"
#include "tests/support/baldrv_rig.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define SECOND_NS    1000000000ull
#define PAGE         4096ull

static struct baldrv_rig rig;

static struct pv_baldrv_request request_of(const struct pv_baldrv_range *range, uint32_t ranges)
{
	return (struct pv_baldrv_request){ .range = range, .ranges = ranges };
}

/* ---- what it is ---- */

static void features_and_queues_go_together(void **state)
{
	const struct {
		uint64_t offered;
		bool has_poison;
		uint64_t accepted;
		int reporting; /* its number */
	} cases[] = {
		{ 0, false, 0, -PV_ENOTSUP },
		{ ALL, true, ALL, 3 },
		{ ALL, false, ALL & ~POISON, 3 },
		{ MUST_TELL | REPORTING, false, MUST_TELL | REPORTING, 2 },
		{ ALL | HINT, false, ALL & ~POISON, 4 },
		{ STATS_VQ | REPORTING, true, STATS_VQ, -PV_ENOTSUP },
		{ HINT, false, 0, -PV_ENOTSUP },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		const struct pv_baldrv_options options = { .has_poison = cases[i].has_poison };
		int number;

		baldrv_rig_up(&rig, cases[i].offered, &options);
		assert_int_equal(pv_baldrv_features(rig.balloon) & 0xff, cases[i].accepted);
		number = pv_baldrv_queue_number(rig.balloon, PV_BALDRV_REPORTING);
		assert_int_equal(number, cases[i].reporting);
		for (int q = 0; q < (int)PV_FAKE_QUEUES; q++)
			assert_int_equal(rig.fake.is_enabled[q],
			                 q < 2 || q == number ||
			                         (q == 2 && cases[i].accepted & STATS_VQ));
		baldrv_rig_close(&rig);
	}
}

/* A device of the specification's numbers, which has none between. */
static void the_reporting_queue_is_where_the_device_has_it(void **state)
{
	(void)state;
	baldrv_rig_open(&rig, ALL);
	rig.fake.size_max[3] = 0;
	assert_int_equal(baldrv_rig_start(&rig, NULL), 0);
	assert_int_equal(pv_baldrv_queue_number(rig.balloon, PV_BALDRV_REPORTING), 4);
	assert_true(rig.fake.is_enabled[4]);
	baldrv_rig_close(&rig);
}

static void nothing_is_left_when_memory_runs_out_at_the_start(void **state)
{
	uint32_t at = 1;
	int error;

	(void)state;
	do {
		baldrv_rig_open(&rig, ALL | VIRTIO_F_INDIRECT_DESC);
		rig.fake.fail_alloc = at++;
		error = baldrv_rig_start(&rig, NULL);
		if (error) {
			assert_int_equal(error, -PV_ENOMEM);
			assert_int_equal(rig.fake.shared_out + rig.fake.private_out, 0);
		}
	} while (error);
	assert_true(at > 10);
	baldrv_rig_close(&rig);
}

static void the_poison_is_told_before_the_device_works(void **state)
{
	const struct pv_baldrv_options options = { .has_poison = true, .poison = 0xaaaaaaaa };

	(void)state;
	baldrv_rig_up(&rig, ALL, &options);
	assert_int_equal(pv_le32_get(baldrv_rig_config(&rig)->poison_val), 0xaaaaaaaa);
	assert_int_equal(rig.fake.statuses[rig.fake.status_count - 1] & VIRTIO_STATUS_DRIVER_OK,
	                 VIRTIO_STATUS_DRIVER_OK);
	baldrv_rig_close(&rig);
	baldrv_rig_up(&rig, ALL & ~POISON, &options);
	assert_int_equal(pv_le32_get(baldrv_rig_config(&rig)->poison_val), 0);
	baldrv_rig_close(&rig);
}

static void the_target_is_the_devices_word(void **state)
{
	uint32_t pages = 1;

	(void)state;
	baldrv_rig_up(&rig, ALL, NULL);
	assert_int_equal(pv_baldrv_target(rig.balloon, &pages), 0);
	assert_int_equal(pages, 0);
	baldrv_rig_config(&rig)->num_pages = pv_le32_of(0xfffffff0);
	assert_int_equal(pv_baldrv_target(rig.balloon, &pages), 0);
	assert_int_equal(pages, 0xfffffff0);
	rig.fake.status |= VIRTIO_STATUS_NEEDS_RESET;
	assert_int_equal(pv_baldrv_target(rig.balloon, &pages), -PV_EBROKEN);
	rig.fake.status &= (uint8_t)~VIRTIO_STATUS_NEEDS_RESET;
	rig.fake.torn_reads = UINT32_MAX;
	assert_int_equal(pv_baldrv_target(rig.balloon, &pages), -PV_EIO);
	baldrv_rig_close(&rig);
}

/* ---- pages ---- */

static void ranges_become_lists_of_numbers(void **state)
{
	const struct pv_baldrv_range ranges[] = { { 7 * PAGE, 1 },
		                                  { 0x123456000, 3 },
		                                  { (1ull << 44) - PAGE, 1 } };
	const uint32_t expected[] = { 7, 0x123456, 0x123457, 0x123458, UINT32_MAX };
	struct pv_baldrv_request request = request_of(ranges, COUNT(ranges));

	(void)state;
	baldrv_rig_up(&rig, ALL, NULL);
	assert_int_equal(pv_baldrv_inflate(rig.balloon, &request), 0);
	assert_int_equal(rig.fake.kicks, 2); /* the first for statistics */
	assert_true(baldrv_rig_read(&rig, INFLATE));
	assert_int_equal(rig.pages, COUNT(expected));
	assert_memory_equal(rig.number, expected, sizeof(expected));
	assert_int_equal(pv_baldrv_poll(rig.balloon), 0);
	assert_false(request.is_done);
	baldrv_rig_give_back(&rig, INFLATE);
	assert_int_equal(pv_baldrv_poll(rig.balloon), 1);
	assert_true(request.is_done && request.error == 0);
	assert_int_equal(request.pages, 5);
	assert_int_equal(pv_baldrv_actual(rig.balloon), 5);
	assert_int_equal(pv_le32_get(baldrv_rig_config(&rig)->actual), 5);
	request = request_of(ranges, 2);
	assert_int_equal(pv_baldrv_deflate(rig.balloon, &request), 0);
	assert_int_equal(baldrv_rig_serve(&rig, DEFLATE), 4);
	assert_true(request.is_done);
	assert_int_equal(pv_le32_get(baldrv_rig_config(&rig)->actual), 1);
	assert_int_equal(pv_baldrv_counters(rig.balloon).inflated, 5);
	assert_int_equal(pv_baldrv_counters(rig.balloon).deflated, 4);
	baldrv_rig_close(&rig);
}

/* Each number once and in order, by rings of any size. */
static void a_large_request_goes_by_many_lists(void **state)
{
	const struct pv_baldrv_range ranges[] = { { 0, 700 }, { 1000 * PAGE, 9000 } };

	(void)state;
	for (uint16_t size = 1; size <= 8; size = (uint16_t)(size * 2)) {
		const struct pv_baldrv_options options = { .queue_size = size };
		struct pv_baldrv_request request = request_of(ranges, COUNT(ranges));
		uint32_t seen = 0, lists = 0;

		baldrv_rig_up(&rig, ALL, &options);
		assert_int_equal(pv_baldrv_inflate(rig.balloon, &request), 0);
		while (baldrv_rig_read(&rig, INFLATE)) {
			for (uint32_t i = 0; i < rig.pages; i++, seen++)
				assert_int_equal(rig.number[i], seen < 700 ? seen : seen + 300);
			assert_false(request.is_done);
			baldrv_rig_give_back(&rig, INFLATE);
			pv_baldrv_poll(rig.balloon);
			lists++;
		}
		assert_int_equal(seen, 9700);
		assert_int_equal(lists, 10);
		assert_true(request.is_done);
		assert_int_equal(request.pages, 9700);
		baldrv_rig_close(&rig);
	}
}

static void several_lists_are_on_the_way_at_once(void **state)
{
	const struct pv_baldrv_range range = { 0, 10 * BALDRV_RIG_LIST };
	struct pv_baldrv_request request = request_of(&range, 1);
	uint32_t lists = 0;

	(void)state;
	baldrv_rig_up(&rig, ALL, NULL);
	assert_int_equal(pv_baldrv_inflate(rig.balloon, &request), 0);
	while (baldrv_rig_read(&rig, INFLATE))
		lists++;
	assert_int_equal(lists, 4);
	baldrv_rig_close(&rig);
	assert_true(request.is_done);
	assert_int_equal(request.error, -PV_EBROKEN);
	assert_int_equal(request.pages, 0);
}

static void what_is_no_request_is_refused(void **state)
{
	const struct pv_baldrv_range bad[] = { { 1, 1 },
		                               { PAGE, 0 },
		                               { 1ull << 44, 1 },
		                               { (1ull << 44) - PAGE, 2 },
		                               { UINT64_MAX & ~(PAGE - 1), 1 } };
	const struct pv_baldrv_range good[2] = { { 0, UINT32_MAX }, { PAGE, 1 } };
	struct pv_baldrv_request request, other = request_of(good, 1);

	(void)state;
	baldrv_rig_up(&rig, ALL, NULL);
	for (size_t i = 0; i < COUNT(bad); i++) {
		request = request_of(&bad[i], 1);
		assert_int_equal(pv_baldrv_inflate(rig.balloon, &request), -PV_EINVAL);
		assert_int_equal(pv_baldrv_deflate(rig.balloon, &request), -PV_EINVAL);
	}
	request = request_of(good, 0);
	assert_int_equal(pv_baldrv_inflate(rig.balloon, &request), -PV_EINVAL);
	assert_int_equal(pv_baldrv_inflate(rig.balloon, &other), 0);
	request = request_of(good, 2);
	assert_int_equal(pv_baldrv_inflate(rig.balloon, &request), -PV_EBUSY);
	request = request_of(good + 1, 1);
	assert_int_equal(pv_baldrv_deflate(rig.balloon, &request), 0);
	assert_int_equal(baldrv_rig_serve(&rig, DEFLATE), 1);
	/* More was taken out than was ever in. */
	assert_int_equal(pv_baldrv_actual(rig.balloon), 0);
	assert_int_equal(pv_baldrv_fail(rig.balloon), 0);
	request = request_of(good, 2);
	assert_int_equal(pv_baldrv_inflate(rig.balloon, &request), -PV_EBROKEN);
	baldrv_rig_close(&rig);
}

/* ---- statistics ---- */

static void expect_told(uint32_t time)
{
	const struct virtio_balloon_stat *stat;

	assert_true(baldrv_rig_read(&rig, STATS));
	assert_int_equal(pv_le32_get(rig.piece[0].len), rig.stats * sizeof(*stat));
	stat = pv_fake_at(pv_gpa_of(pv_le64_get(rig.piece[0].addr)));
	for (uint32_t i = 0; i < rig.stats; i++) {
		assert_int_equal(pv_le16_get(stat[i].tag), i);
		assert_int_equal(pv_le64_get(stat[i].val), time * 100 + i);
	}
	assert_false(baldrv_rig_read(&rig, STATS));
}

static void statistics_are_told_at_the_start_and_when_asked_for(void **state)
{
	(void)state;
	baldrv_rig_up(&rig, ALL, NULL);
	expect_told(1);
	for (uint32_t time = 2; time < 40; time++) {
		assert_int_equal(pv_baldrv_poll(rig.balloon), 0);
		baldrv_rig_give_back(&rig, STATS);
		assert_int_equal(pv_baldrv_poll(rig.balloon), 1);
		assert_int_equal(rig.asked, time);
		expect_told(time);
	}
	assert_int_equal(pv_baldrv_counters(rig.balloon).stats, 39);
	baldrv_rig_close(&rig);
}

static void who_has_nothing_to_tell_can_be_asked_all_the_same(void **state)
{
	const struct virtio_balloon_stat *stat;

	(void)state;
	baldrv_rig_open(&rig, ALL);
	rig.stats = 0;
	assert_int_equal(baldrv_rig_start(&rig, NULL), 0);
	assert_true(baldrv_rig_read(&rig, STATS));
	assert_int_equal(pv_le32_get(rig.piece[0].len), sizeof(*stat));
	stat = pv_fake_at(pv_gpa_of(pv_le64_get(rig.piece[0].addr)));
	assert_true(pv_le16_get(stat->tag) >= VIRTIO_BALLOON_S_KNOWN);
	baldrv_rig_close(&rig);
}

/* ---- reports ---- */

static void free_pages_are_reported_as_they_are(void **state)
{
	const struct pv_sg ranges[] = { { { 0x200000 }, 0x200000 }, { { 0x900000 }, 0x1000 } };
	struct pv_baldrv_report report = { .range = ranges, .ranges = 2 }, bad = report;
	struct pv_sg too_many[PV_BALDRV_REPORT_RANGES + 1];

	(void)state;
	baldrv_rig_up(&rig, ALL, NULL);
	assert_int_equal(pv_baldrv_report(rig.balloon, &report), 0);
	assert_true(baldrv_rig_read(&rig, REPORT));
	assert_int_equal(rig.pieces, 2);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(pv_le64_get(rig.piece[i].addr), ranges[i].addr.v);
		assert_int_equal(pv_le32_get(rig.piece[i].len), ranges[i].bytes);
		assert_true(pv_le16_get(rig.piece[i].flags) & VIRTQ_DESC_F_WRITE);
	}
	assert_int_equal(pv_baldrv_poll(rig.balloon), 0);
	baldrv_rig_give_back(&rig, REPORT);
	assert_int_equal(pv_baldrv_poll(rig.balloon), 1);
	assert_true(report.is_done && report.error == 0);
	assert_int_equal(pv_baldrv_counters(rig.balloon).reports, 1);
	bad.ranges = 0;
	assert_int_equal(pv_baldrv_report(rig.balloon, &bad), -PV_EINVAL);
	for (uint16_t i = 0; i <= PV_BALDRV_REPORT_RANGES; i++)
		too_many[i] = ranges[1];
	bad.range = too_many;
	bad.ranges = PV_BALDRV_REPORT_RANGES + 1;
	assert_int_equal(pv_baldrv_report(rig.balloon, &bad), -PV_EINVAL);
	/* For this queue of 16 it would be too many for ever. */
	bad.ranges = 17;
	assert_int_equal(pv_baldrv_report(rig.balloon, &bad), -PV_EINVAL);
	bad.ranges = 16;
	too_many[15].bytes = 0;
	assert_int_equal(pv_baldrv_report(rig.balloon, &bad), -PV_EINVAL);
	baldrv_rig_close(&rig);
	baldrv_rig_up(&rig, MUST_TELL, NULL);
	assert_int_equal(pv_baldrv_report(rig.balloon, &report), -PV_ENOTSUP);
	baldrv_rig_close(&rig);
}

static void a_full_queue_says_so(void **state)
{
	const struct pv_sg range = { { 0x200000 }, 0x200000 };
	struct pv_baldrv_report report[17];

	(void)state;
	baldrv_rig_up(&rig, ALL, NULL);
	for (int i = 0; i < 17; i++) {
		report[i] = (struct pv_baldrv_report){ .range = &range, .ranges = 1 };
		assert_int_equal(pv_baldrv_report(rig.balloon, &report[i]),
		                 i < 16 ? 0 : -PV_ENOSPC);
	}
	assert_int_equal(pv_baldrv_fail(rig.balloon), 0);
	for (int i = 0; i < 16; i++)
		assert_int_equal(report[i].error, -PV_EBROKEN);
	assert_false(report[16].is_done);
	baldrv_rig_close(&rig);
}

/* ---- waiting and recovering ---- */

static void serve_all(struct pv_fake_bus *fake, uint16_t queue)
{
	(void)fake;
	if (queue != INFLATE)
		return;
	while (baldrv_rig_read(&rig, INFLATE))
		baldrv_rig_give_back(&rig, INFLATE);
}

static void a_wait_ends_with_the_request_or_its_time(void **state)
{
	const struct pv_baldrv_range range = { 0, 10 * BALDRV_RIG_LIST };
	struct pv_baldrv_request request = request_of(&range, 1);

	(void)state;
	baldrv_rig_up(&rig, ALL, NULL);
	assert_int_equal(pv_baldrv_inflate(rig.balloon, &request), 0);
	assert_int_equal(pv_baldrv_wait(rig.balloon, &request.is_done, SECOND_NS), -PV_ETIMEDOUT);
	rig.fake.on_kick = serve_all;
	serve_all(&rig.fake, INFLATE);
	assert_int_equal(pv_baldrv_wait(rig.balloon, &request.is_done, SECOND_NS), 0);
	assert_int_equal(rig.fake.waits, 1);
	assert_int_equal(request.pages, 10 * BALDRV_RIG_LIST);
	baldrv_rig_close(&rig);
}

static void a_device_that_asks_for_a_reset_goes_on_where_it_was(void **state)
{
	const struct pv_baldrv_options options = { .has_poison = true, .poison = 0x11 };
	const struct pv_baldrv_range range = { 0, 6 * BALDRV_RIG_LIST + 5 }, few = { 0, 3 };
	const struct pv_sg free_range = { { 0x200000 }, 0x200000 };
	struct pv_baldrv_request request = request_of(&range, 1), back = request_of(&few, 1);
	struct pv_baldrv_report report = { .range = &free_range, .ranges = 1 };
	uint64_t pages;

	(void)state;
	baldrv_rig_up(&rig, ALL, &options);
	assert_int_equal(pv_baldrv_inflate(rig.balloon, &request), 0);
	assert_int_equal(pv_baldrv_deflate(rig.balloon, &back), 0);
	assert_int_equal(pv_baldrv_report(rig.balloon, &report), 0);
	assert_true(baldrv_rig_read(&rig, INFLATE));
	baldrv_rig_give_back(&rig, INFLATE);
	pv_baldrv_poll(rig.balloon);
	assert_int_equal(pv_baldrv_tend(rig.balloon), 0);
	rig.fake.status |= VIRTIO_STATUS_NEEDS_RESET;
	memset(rig.fake.config, 0, sizeof(rig.fake.config));
	assert_true(pv_baldrv_is_broken(rig.balloon));
	assert_int_equal(pv_baldrv_tend(rig.balloon), 1);
	assert_false(pv_baldrv_is_broken(rig.balloon));
	assert_int_equal(pv_le32_get(baldrv_rig_config(&rig)->poison_val), 0x11);
	assert_int_equal(pv_le32_get(baldrv_rig_config(&rig)->actual), BALDRV_RIG_LIST);
	pages = baldrv_rig_serve(&rig, INFLATE);
	assert_int_equal(pages, 5 * BALDRV_RIG_LIST + 5);
	assert_true(request.is_done && request.error == 0);
	assert_int_equal(request.pages, range.pages);
	assert_int_equal(baldrv_rig_serve(&rig, DEFLATE), 3);
	assert_true(back.is_done && back.error == 0);
	assert_int_equal(pv_le32_get(baldrv_rig_config(&rig)->actual), range.pages - 3);
	assert_true(baldrv_rig_read(&rig, REPORT));
	baldrv_rig_give_back(&rig, REPORT);
	pv_baldrv_poll(rig.balloon);
	assert_true(report.is_done && report.error == 0);
	expect_told(1);
	assert_int_equal(pv_baldrv_counters(rig.balloon).repeats, 4 + 1 + 1 + 1);
	baldrv_rig_close(&rig);
}

static void requests_that_are_not_to_go_on_end(void **state)
{
	const struct pv_baldrv_options options = { .fails_on_reset = true };
	const struct pv_baldrv_range range = { 0, 9 * BALDRV_RIG_LIST };
	struct pv_baldrv_request request = request_of(&range, 1);

	(void)state;
	baldrv_rig_up(&rig, ALL, &options);
	assert_int_equal(pv_baldrv_inflate(rig.balloon, &request), 0);
	assert_true(baldrv_rig_read(&rig, INFLATE));
	baldrv_rig_give_back(&rig, INFLATE);
	pv_baldrv_poll(rig.balloon);
	assert_int_equal(pv_baldrv_recover(rig.balloon), 0);
	assert_true(request.is_done);
	assert_int_equal(request.error, -PV_EBROKEN);
	assert_int_equal(request.pages, BALDRV_RIG_LIST);
	assert_int_equal(pv_baldrv_actual(rig.balloon), BALDRV_RIG_LIST);
	assert_int_equal(pv_baldrv_counters(rig.balloon).errors, 1);
	request = request_of(&range, 1);
	assert_int_equal(pv_baldrv_inflate(rig.balloon, &request), 0);
	assert_int_equal(baldrv_rig_serve(&rig, INFLATE), range.pages);
	expect_told(1);
	baldrv_rig_close(&rig);
}

static void a_device_that_is_silent_is_reset_in_time(void **state)
{
	const struct pv_baldrv_options options = { .request_timeout_ns = 5 * SECOND_NS };
	const struct pv_baldrv_range range = { 0, 9 * BALDRV_RIG_LIST };
	struct pv_baldrv_request request = request_of(&range, 1);

	(void)state;
	baldrv_rig_up(&rig, ALL, &options);
	assert_true(pv_baldrv_deadline_ns(rig.balloon) == UINT64_MAX);
	assert_int_equal(pv_baldrv_inflate(rig.balloon, &request), 0);
	assert_int_equal(pv_baldrv_deadline_ns(rig.balloon), rig.fake.now_ns + 5 * SECOND_NS);
	rig.fake.now_ns += 5 * SECOND_NS - 1;
	assert_int_equal(pv_baldrv_tend(rig.balloon), 0);
	rig.fake.now_ns++;
	assert_int_equal(pv_baldrv_tend(rig.balloon), 1);
	assert_true(request.is_done);
	assert_int_equal(request.error, -PV_ETIMEDOUT);
	assert_int_equal(request.pages, 0);
	assert_int_equal(pv_baldrv_counters(rig.balloon).overdue, 4);
	assert_false(baldrv_rig_read(&rig, INFLATE));
	baldrv_rig_close(&rig);
}

/* What ended by a failure begins anew with a recovery. */
static void after_a_failure_it_can_be_brought_up_again(void **state)
{
	const struct pv_baldrv_range range = { 0, 5 };
	struct pv_baldrv_request request = request_of(&range, 1);

	(void)state;
	baldrv_rig_up(&rig, ALL, NULL);
	assert_int_equal(pv_baldrv_fail(rig.balloon), 0);
	assert_int_equal(pv_baldrv_poll(rig.balloon), 0);
	assert_int_equal(pv_baldrv_recover(rig.balloon), 0);
	expect_told(2);
	assert_int_equal(pv_baldrv_inflate(rig.balloon, &request), 0);
	assert_int_equal(baldrv_rig_serve(&rig, INFLATE), 5);
	baldrv_rig_close(&rig);
}

static uint32_t chained;

static void begin_next(struct pv_baldrv_request *request)
{
	static const struct pv_baldrv_range range = { 0, 5 };

	chained++;
	if (chained == 10)
		return;
	*request = request_of(&range, 1);
	request->done = begin_next;
	assert_int_equal(pv_baldrv_inflate(rig.balloon, request), 0);
}

static void the_next_can_begin_when_one_is_done(void **state)
{
	const struct pv_baldrv_range range = { 0, 3000 };
	struct pv_baldrv_request request = request_of(&range, 1);

	(void)state;
	chained = 0;
	request.done = begin_next;
	baldrv_rig_up(&rig, ALL, NULL);
	assert_int_equal(pv_baldrv_inflate(rig.balloon, &request), 0);
	assert_int_equal(baldrv_rig_serve(&rig, INFLATE), 3000 + 9 * 5);
	assert_int_equal(chained, 10);
	baldrv_rig_close(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(features_and_queues_go_together),
		cmocka_unit_test(the_reporting_queue_is_where_the_device_has_it),
		cmocka_unit_test(nothing_is_left_when_memory_runs_out_at_the_start),
		cmocka_unit_test(the_poison_is_told_before_the_device_works),
		cmocka_unit_test(the_target_is_the_devices_word),
		cmocka_unit_test(ranges_become_lists_of_numbers),
		cmocka_unit_test(a_large_request_goes_by_many_lists),
		cmocka_unit_test(several_lists_are_on_the_way_at_once),
		cmocka_unit_test(what_is_no_request_is_refused),
		cmocka_unit_test(statistics_are_told_at_the_start_and_when_asked_for),
		cmocka_unit_test(who_has_nothing_to_tell_can_be_asked_all_the_same),
		cmocka_unit_test(free_pages_are_reported_as_they_are),
		cmocka_unit_test(a_full_queue_says_so),
		cmocka_unit_test(a_wait_ends_with_the_request_or_its_time),
		cmocka_unit_test(a_device_that_asks_for_a_reset_goes_on_where_it_was),
		cmocka_unit_test(requests_that_are_not_to_go_on_end),
		cmocka_unit_test(a_device_that_is_silent_is_reset_in_time),
		cmocka_unit_test(after_a_failure_it_can_be_brought_up_again),
		cmocka_unit_test(the_next_can_begin_when_one_is_done),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
