/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A lying device under our balloon driver: used entries that cannot be, lengths that nobody could
 * have written, questions without an end, and silence.  Each request and report ends once, in
 * bounded time, and no page is counted that was not confirmed.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "ring/barrier.h"
#include "ring/err.h"
#include "tests/support/baldrv_rig.h"
#include "tests/support/random.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define ROUNDS       300u
#define SECOND_NS    1000000000ull
#define REPORTS      4u

static struct baldrv_rig rig;
static const struct pv_baldrv_range many = { 0, 6 * BALDRV_RIG_LIST }, few = { 0x5000, 5 };
static const struct pv_sg free_range = { { 0x200000 }, 0x200000 };

static void use(uint16_t queue, uint32_t id, uint32_t bytes)
{
	struct virtq_used *used = pv_fake_at(rig.fake.queue[queue].device_area);
	uint16_t idx = pv_le16_get(used->idx);

	used->ring[idx % rig.fake.queue[queue].size] =
		(struct virtq_used_elem){ pv_le32_of(id), pv_le32_of(bytes) };
	pv_publish_le16(&used->idx, (uint16_t)(idx + 1));
}

static void an_id_that_is_not_in_flight_breaks_the_queue_until_it_is_tended(void **state)
{
	const uint32_t ids[] = { 15, 16, 0xffff, UINT32_MAX };

	(void)state;
	for (size_t i = 0; i < 4 * COUNT(ids); i++) {
		struct pv_baldrv_request in = { .range = &many, .ranges = 1 }, out = in;
		struct pv_baldrv_report report = { .range = &free_range, .ranges = 1 };

		baldrv_rig_up(&rig, ALL, NULL);
		assert_int_equal(pv_baldrv_inflate(rig.balloon, &in), 0);
		assert_int_equal(pv_baldrv_deflate(rig.balloon, &out), 0);
		assert_int_equal(pv_baldrv_report(rig.balloon, &report), 0);
		use((uint16_t)(i % 4), ids[i / 4], 0);
		pv_baldrv_poll(rig.balloon);
		assert_true(pv_baldrv_is_broken(rig.balloon));
		assert_false(in.is_done || out.is_done || report.is_done);
		assert_int_equal(pv_baldrv_actual(rig.balloon), 0);
		assert_int_equal(pv_baldrv_wait(rig.balloon, &in.is_done, SECOND_NS), -PV_EBROKEN);
		assert_int_equal(pv_baldrv_tend(rig.balloon), 1);
		assert_int_equal(baldrv_rig_serve(&rig, INFLATE), many.pages);
		assert_int_equal(baldrv_rig_serve(&rig, DEFLATE), many.pages);
		assert_true(in.is_done && out.is_done && in.error + out.error == 0);
		assert_true(baldrv_rig_read(&rig, REPORT));
		assert_true(baldrv_rig_read(&rig, STATS));
		baldrv_rig_close(&rig);
		assert_int_equal(report.error, -PV_EBROKEN);
	}
}

/* Lists are only read, and what is reported is nobody's to look at. */
static void a_length_means_nothing_and_is_counted(void **state)
{
	const uint32_t lengths[] = { 1, 0x10000, UINT32_MAX };

	(void)state;
	for (size_t i = 0; i < COUNT(lengths); i++) {
		struct pv_baldrv_request request = { .range = &few, .ranges = 1 };

		baldrv_rig_up(&rig, ALL, NULL);
		assert_int_equal(pv_baldrv_inflate(rig.balloon, &request), 0);
		assert_true(baldrv_rig_read(&rig, INFLATE));
		use(INFLATE, rig.head, lengths[i]);
		use(STATS, 0, lengths[i]);
		assert_int_equal(pv_baldrv_poll(rig.balloon), 2);
		assert_true(request.is_done && request.error == 0);
		assert_int_equal(request.pages, 5);
		assert_int_equal(pv_baldrv_counters(rig.balloon).lies, 2);
		baldrv_rig_close(&rig);
	}
}

static void the_same_list_twice_is_a_lie(void **state)
{
	struct pv_baldrv_request request = { .range = &few, .ranges = 1 };

	(void)state;
	baldrv_rig_up(&rig, ALL, NULL);
	assert_int_equal(pv_baldrv_inflate(rig.balloon, &request), 0);
	assert_true(baldrv_rig_read(&rig, INFLATE));
	baldrv_rig_give_back(&rig, INFLATE);
	pv_baldrv_poll(rig.balloon);
	baldrv_rig_give_back(&rig, INFLATE);
	pv_baldrv_poll(rig.balloon);
	assert_int_equal(pv_baldrv_actual(rig.balloon), 5);
	assert_true(pv_baldrv_is_broken(rig.balloon));
	assert_int_equal(pv_baldrv_tend(rig.balloon), 1);
	assert_int_equal(pv_baldrv_actual(rig.balloon), 5);
	baldrv_rig_close(&rig);
}

static void ask_once_more(struct pv_fake_bus *fake, uint16_t queue)
{
	if (queue != STATS)
		return;
	fake->now_ns += SECOND_NS / 100;
	if (baldrv_rig_read(&rig, STATS))
		baldrv_rig_give_back(&rig, STATS);
}

static void a_wait_ends_though_the_device_asks_without_an_end(void **state)
{
	struct pv_baldrv_request request = { .range = &few, .ranges = 1 };

	(void)state;
	baldrv_rig_up(&rig, ALL, NULL);
	rig.fake.on_kick = ask_once_more;
	assert_int_equal(pv_baldrv_inflate(rig.balloon, &request), 0);
	assert_true(baldrv_rig_read(&rig, STATS));
	baldrv_rig_give_back(&rig, STATS);
	assert_int_equal(pv_baldrv_wait(rig.balloon, &request.is_done, SECOND_NS), -PV_ETIMEDOUT);
	assert_in_range(rig.asked, 100, 103);
	assert_int_equal(rig.fake.waits, 0);
	baldrv_rig_close(&rig);
}

static void a_device_that_breaks_while_it_is_brought_up_again_ends_everything(void **state)
{
	(void)state;
	for (uint32_t at = 1; at < 60; at++) {
		struct pv_baldrv_request request = { .range = &many, .ranges = 1 };
		int error;

		baldrv_rig_up(&rig, ALL, NULL);
		assert_int_equal(pv_baldrv_inflate(rig.balloon, &request), 0);
		rig.fake.trouble_at = rig.fake.steps + at;
		rig.fake.trouble = PV_FAKE_FAILS;
		error = pv_baldrv_recover(rig.balloon);
		rig.fake.trouble_at = 0;
		assert_true(error == 0 || (request.is_done && request.error == -PV_EBROKEN));
		if (error)
			assert_int_equal(pv_baldrv_recover(rig.balloon), 0);
		else
			assert_int_equal(baldrv_rig_serve(&rig, INFLATE), many.pages);
		assert_true(request.is_done);
		baldrv_rig_close(&rig);
	}
}

static void a_device_that_does_not_confirm_its_reset_keeps_its_memory(void **state)
{
	struct pv_baldrv_request request = { .range = &many, .ranges = 1 };

	(void)state;
	baldrv_rig_up(&rig, ALL, NULL);
	assert_int_equal(pv_baldrv_inflate(rig.balloon, &request), 0);
	rig.fake.reset_looks = UINT32_MAX;
	assert_int_equal(pv_baldrv_fail(rig.balloon), -PV_ETIMEDOUT);
	assert_int_equal(request.error, -PV_EBROKEN);
	assert_int_equal(pv_baldrv_inflate(rig.balloon, &request), -PV_EBROKEN);
	assert_int_equal(pv_baldrv_recover(rig.balloon), -PV_ETIMEDOUT);
	rig.fake.reset_looks = 0;
	assert_int_equal(pv_baldrv_recover(rig.balloon), 0);
	request = (struct pv_baldrv_request){ .range = &many, .ranges = 1 };
	assert_int_equal(pv_baldrv_inflate(rig.balloon, &request), 0);
	assert_true(baldrv_rig_read(&rig, INFLATE));
	rig.fake.reset_looks = UINT32_MAX;
	pv_baldrv_destroy(rig.balloon);
	/* The rings, and what lists are in, of which this was the first. */
	assert_int_equal(rig.fake.private_out, 0);
	assert_int_equal(rig.fake.shared_out, 5);
	for (uint32_t i = 0; i < 4; i++)
		free(pv_fake_at(rig.fake.queue[i].desc_area));
	free(pv_fake_at(pv_gpa_of(pv_le64_get(rig.piece[0].addr))));
}

static void a_device_without_one_of_its_queues_is_refused(void **state)
{
	(void)state;
	for (uint32_t queue = 0; queue < 3; queue++) {
		baldrv_rig_open(&rig, ALL);
		rig.fake.size_max[queue] = 0;
		assert_int_equal(baldrv_rig_start(&rig, NULL), -PV_EINVAL);
		assert_int_equal(rig.fake.shared_out + rig.fake.private_out, 0);
	}
	baldrv_rig_open(&rig, ALL);
	rig.fake.size_max[3] = rig.fake.size_max[4] = 0;
	assert_int_equal(baldrv_rig_start(&rig, NULL), -PV_EINVAL);
	assert_int_equal(rig.fake.shared_out + rig.fake.private_out, 0);
}

/* ---- anything at all ---- */

struct flight {
	struct pv_baldrv_request way[2];
	struct pv_baldrv_report report[REPORTS];
	bool is_out[2 + REPORTS];
};

static struct flight flight;

static void request_done(struct pv_baldrv_request *request)
{
	bool *is_out = request->arg;
	const uint64_t most = request->range->pages;

	assert_true(*is_out && request->is_done);
	assert_true(request->pages <= most);
	assert_true((request->error == 0) == (request->pages == most));
	*is_out = false;
}

static void report_done(struct pv_baldrv_report *report)
{
	bool *is_out = report->arg;

	assert_true(*is_out && report->is_done);
	*is_out = false;
}

static void act(struct pv_random *random)
{
	const uint32_t which = pv_random_below(random, 2 + REPORTS);
	int error;

	if (flight.is_out[which])
		return;
	flight.is_out[which] = true;
	if (which < 2) {
		flight.way[which] = (struct pv_baldrv_request){
			.range = pv_random_chance(random, 50) ? &many : &few,
			.ranges = 1,
			.done = request_done,
			.arg = &flight.is_out[which],
		};
		error = which ? pv_baldrv_deflate(rig.balloon, &flight.way[which])
		              : pv_baldrv_inflate(rig.balloon, &flight.way[which]);
	} else {
		flight.report[which - 2] = (struct pv_baldrv_report){
			.range = &free_range,
			.ranges = 1,
			.done = report_done,
			.arg = &flight.is_out[which],
		};
		error = pv_baldrv_report(rig.balloon, &flight.report[which - 2]);
	}
	if (error)
		flight.is_out[which] = false;
}

static void lie(struct pv_random *random)
{
	const uint16_t queue = (uint16_t)pv_random_below(random, 4);
	const struct pv_bus_queue *place = &rig.fake.queue[queue];

	if (pv_random_chance(random, 70) && baldrv_rig_read(&rig, queue)) {
		/* Whatever it writes to a list changes nothing. */
		if (queue < 2 && pv_random_chance(random, 20))
			memset(pv_fake_at(pv_gpa_of(pv_le64_get(rig.piece[0].addr))), 0xff, 4);
		baldrv_rig_give_back(&rig, queue);
	}
	if (pv_random_chance(random, 10))
		use(queue, pv_random_below(random, place->size + 1u), pv_random_below(random, 99));
}

static void a_device_that_lies_at_random_is_survived(void **state)
{
	(void)state;
	for (uint32_t round = 0; round < ROUNDS; round++) {
		struct pv_random random = pv_random_start(pv_random_seed(), round);

		memset(&flight, 0, sizeof(flight));
		baldrv_rig_up(&rig, ALL | (round % 2 ? VIRTIO_F_RING_RESET : 0), NULL);
		for (int step = 0; step < 100; step++) {
			lie(&random);
			act(&random);
			pv_baldrv_poll(rig.balloon);
			if (pv_random_chance(&random, 10))
				pv_baldrv_tend(rig.balloon);
		}
		pv_baldrv_fail(rig.balloon);
		for (uint32_t i = 0; i < 2 + REPORTS; i++)
			assert_false(flight.is_out[i]);
		baldrv_rig_close(&rig);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_id_that_is_not_in_flight_breaks_the_queue_until_it_is_tended),
		cmocka_unit_test(a_length_means_nothing_and_is_counted),
		cmocka_unit_test(the_same_list_twice_is_a_lie),
		cmocka_unit_test(a_wait_ends_though_the_device_asks_without_an_end),
		cmocka_unit_test(a_device_that_breaks_while_it_is_brought_up_again_ends_everything),
		cmocka_unit_test(a_device_that_does_not_confirm_its_reset_keeps_its_memory),
		cmocka_unit_test(a_device_without_one_of_its_queues_is_refused),
		cmocka_unit_test(a_device_that_lies_at_random_is_survived),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
