/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * virtio-blk, both real halves, on a store that fails: each error policy does what it says, a
 * stopped disk keeps what failed and takes nothing, and goes on where it was.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "devices/blk/internal.h"
#include "drivers/blk/blk.h"
#include "ring/err.h"
#include "tests/support/blk_pair.h"

#define QUEUES   2u
#define REQUESTS 6u
#define FAILURES 32u

struct rig {
	struct blk_pair pair;
	struct pv_blkdrv_request request[REQUESTS];
	struct pv_blk_failure failure[FAILURES]; /* that the control side heard of */
	uint32_t failures;
	uint32_t resumed; /* times that it heard of that */
};

static struct rig rig;

static void failed(void *arg, const struct pv_blk_failure *failure)
{
	assert_ptr_equal(arg, &rig);
	assert_true(rig.failures < FAILURES);
	rig.failure[rig.failures++] = *failure;
}

static void resumed(void *arg)
{
	assert_ptr_equal(arg, &rig);
	assert_false(pv_blk_is_stopped(rig.pair.couple.device));
	rig.resumed++;
}

static void rig_open(enum pv_blk_policy read_policy, enum pv_blk_policy write_policy)
{
	const struct pv_blk_options options = { .queues = QUEUES,
		                                .queue_size_max = 32,
		                                .has_write_cache = true,
		                                .read_policy = read_policy,
		                                .write_policy = write_policy,
		                                .failed = failed,
		                                .resumed = resumed,
		                                .failed_arg = &rig };
	const struct pv_blkdrv_options chosen = { .required = VIRTIO_F_RING_RESET,
		                                  .queues = QUEUES };

	memset(&rig, 0, sizeof(rig));
	blk_pair_open(&rig.pair, 0);
	rig.pair.store.withdraw_percent = 0;
	blk_pair_start(&rig.pair, &options, &chosen);
}

static void rig_close(void)
{
	blk_pair_close(&rig.pair);
}

static const struct pv_blk_counters *counters(uint16_t queue)
{
	return &pv_blk_of(rig.pair.couple.device)->counters[queue];
}

static void submit(uint32_t i, uint16_t queue, enum pv_blkdrv_op op)
{
	bool has_data = op == PV_BLKDRV_READ || op == PV_BLKDRV_WRITE;

	rig.request[i] = (struct pv_blkdrv_request){
		.op = op, .sector = i, .sectors = 1, .buffer = &rig.pair.data, .buffers = has_data
	};
	assert_int_equal(pv_blkdrv_submit(pv_blkdrv_queue(rig.pair.driver, queue), &rig.request[i]),
	                 0);
	pv_blkdrv_publish(pv_blkdrv_queue(rig.pair.driver, queue));
}

/* All that can happen happens: lanes run until they have nothing to do, and sleep. */
static void go_on(void)
{
	for (int i = 0; i < 100; i++) {
		if (pv_slow_store_finish_one(&rig.pair.store))
			for (uint16_t q = 0; q < QUEUES; q++)
				pv_couple_wake(&rig.pair.couple, q);
		if (!pv_couple_run(&rig.pair.couple))
			pv_couple_sleep(&rig.pair.couple);
		for (uint16_t q = 0; q < QUEUES; q++)
			pv_blkdrv_poll(pv_blkdrv_queue(rig.pair.driver, q));
	}
}

/* ---- the table of policies ---- */

static enum pv_blk_action expected(enum pv_blk_policy policy, int error)
{
	static const enum pv_blk_action table[][2] = {
		[PV_BLK_ALWAYS_REPORT] = { PV_BLK_REPORT, PV_BLK_REPORT },
		[PV_BLK_ALWAYS_IGNORE] = { PV_BLK_IGNORE, PV_BLK_IGNORE },
		[PV_BLK_ALWAYS_STOP] = { PV_BLK_STOP, PV_BLK_STOP },
		[PV_BLK_STOP_WITHOUT_SPACE] = { PV_BLK_REPORT, PV_BLK_STOP },
	};

	return table[policy][error == -PV_ENOSPC];
}

static void expect_one_failure(enum pv_blkdrv_op op, int error, enum pv_blk_action action)
{
	assert_int_equal(rig.failures, 1);
	assert_int_equal(rig.failure[0].is_write, op != PV_BLKDRV_READ);
	assert_int_equal(rig.failure[0].is_no_space, error == -PV_ENOSPC);
	assert_int_equal(rig.failure[0].action, action);
	assert_int_equal(counters(0)->errors, action == PV_BLK_REPORT);
	assert_int_equal(counters(0)->ignored, action == PV_BLK_IGNORE);
	assert_int_equal(counters(0)->kept, action == PV_BLK_STOP);
}

/* A request counts when it ends, however it does; bytes only where they came to where they belong.
 */
static void expect_counted(enum pv_blkdrv_op op, enum pv_blk_action action)
{
	const uint64_t bytes = action == PV_BLK_STOP ? 512 : 0;

	assert_int_equal(rig.pair.couple.device->queue[0].counters.completions, 1);
	assert_int_equal(counters(0)->reads, op == PV_BLKDRV_READ);
	assert_int_equal(counters(0)->writes, op == PV_BLKDRV_WRITE);
	assert_int_equal(counters(0)->bytes_read, op == PV_BLKDRV_READ ? bytes : 0);
	assert_int_equal(counters(0)->bytes_written, op == PV_BLKDRV_WRITE ? bytes : 0);
}

static void prove_policy(enum pv_blk_policy policy, enum pv_blkdrv_op op, int error, bool at_once)
{
	const bool is_read = op == PV_BLKDRV_READ;
	const enum pv_blk_action action = expected(policy, error);

	rig_open(is_read ? policy : PV_BLK_ALWAYS_REPORT, is_read ? PV_BLK_ALWAYS_REPORT : policy);
	rig.pair.store.at_once_percent = at_once ? 100 : 0;
	rig.pair.store.fail_percent = 100;
	rig.pair.store.error = error;
	submit(0, 0, op);
	go_on();
	expect_one_failure(op, error, action);
	assert_int_equal(rig.request[0].is_done, action != PV_BLK_STOP);
	assert_int_equal(pv_blk_is_stopped(rig.pair.couple.device), action == PV_BLK_STOP);
	rig.pair.store.fail_percent = 0;
	pv_blk_resume(rig.pair.couple.device);
	go_on();
	assert_true(rig.request[0].is_done);
	assert_int_equal(rig.request[0].error, action == PV_BLK_REPORT ? -PV_EIO : 0);
	assert_int_equal(rig.failures, 1);
	expect_counted(op, action);
	rig_close();
}

static void each_policy_does_what_it_says_to_each_kind_of_request(void **state)
{
	static const enum pv_blkdrv_op ops[] = { PV_BLKDRV_READ, PV_BLKDRV_WRITE, PV_BLKDRV_FLUSH,
		                                 PV_BLKDRV_DISCARD, PV_BLKDRV_WRITE_ZEROES };

	(void)state;
	for (int policy = PV_BLK_ALWAYS_REPORT; policy <= PV_BLK_STOP_WITHOUT_SPACE; policy++)
		for (size_t op = 0; op < sizeof(ops) / sizeof(ops[0]); op++)
			for (int i = 0; i < 4; i++)
				prove_policy((enum pv_blk_policy)policy, ops[op],
				             i & 1 ? -PV_EIO : -PV_ENOSPC, i & 2);
}

/* ---- a disk that is stopped ---- */

static void stop_with_one_kept(void)
{
	rig_open(PV_BLK_ALWAYS_STOP, PV_BLK_ALWAYS_STOP);
	rig.pair.store.at_once_percent = 100;
	rig.pair.store.fail_percent = 100;
	submit(0, 0, PV_BLKDRV_WRITE);
	go_on();
	assert_true(pv_blk_is_stopped(rig.pair.couple.device));
	assert_int_equal(rig.pair.couple.device->queue[0].held, 1);
}

static void a_stopped_disk_takes_nothing_on_any_queue_and_its_lanes_sleep(void **state)
{
	(void)state;
	stop_with_one_kept();
	submit(1, 0, PV_BLKDRV_READ);
	submit(2, 1, PV_BLKDRV_READ);
	go_on();
	assert_int_equal(pv_count_read(&rig.pair.couple.device->queue[0].counters.requests), 1);
	assert_int_equal(pv_count_read(&rig.pair.couple.device->queue[1].counters.requests), 0);
	for (uint16_t q = 0; q < QUEUES; q++)
		assert_true(rig.pair.couple.lane[q].is_asleep);

	rig.pair.store.fail_percent = 0;
	pv_blk_resume(rig.pair.couple.device);
	go_on();
	for (uint32_t i = 0; i < 3; i++) {
		assert_true(rig.request[i].is_done);
		assert_int_equal(rig.request[i].error, 0);
	}
	assert_int_equal(counters(0)->writes, 1);
	assert_int_equal(counters(0)->bytes_written, 512);
	rig_close();
}

static void what_fails_again_is_tried_once_for_each_resume(void **state)
{
	(void)state;
	rig_open(PV_BLK_ALWAYS_STOP, PV_BLK_ALWAYS_STOP);
	rig.pair.store.at_once_percent = 0;
	rig.pair.store.fail_percent = 100;
	for (uint32_t i = 0; i < REQUESTS; i++)
		submit(i, 0, PV_BLKDRV_READ);
	/* All of them are with the store when the first one fails. */
	go_on();
	assert_int_equal(rig.pair.couple.device->queue[0].held, REQUESTS);
	assert_int_equal(counters(0)->kept, REQUESTS);
	assert_true(rig.failures >= 1);
	rig.pair.store.at_once_percent = 100;
	for (uint32_t turn = 1; turn <= 3; turn++) {
		pv_blk_resume(rig.pair.couple.device);
		go_on();
		/* The first fails at once, and stops those behind it. */
		assert_int_equal(counters(0)->kept, REQUESTS + turn);
		assert_int_equal(rig.pair.couple.device->queue[0].held, REQUESTS);
	}
	rig.pair.store.fail_percent = 0;
	pv_blk_resume(rig.pair.couple.device);
	go_on();
	for (uint32_t i = 0; i < REQUESTS; i++)
		assert_true(rig.request[i].is_done && rig.request[i].error == 0);
	rig_close();
}

static void what_fails_after_the_disk_went_on_is_done_again_without_another_stop(void **state)
{
	(void)state;
	rig_open(PV_BLK_ALWAYS_STOP, PV_BLK_ALWAYS_STOP);
	rig.pair.store.at_once_percent = 0;
	rig.pair.store.fail_percent = 100;
	for (uint32_t i = 0; i < REQUESTS; i++)
		submit(i, 0, PV_BLKDRV_READ);
	pv_couple_run(&rig.pair.couple);
	assert_int_equal(rig.pair.store.pendings, REQUESTS);
	assert_true(pv_slow_store_finish_one(&rig.pair.store));
	pv_couple_wake(&rig.pair.couple, 0);
	pv_couple_run(&rig.pair.couple);
	assert_true(pv_blk_is_stopped(rig.pair.couple.device));
	pv_blk_resume(rig.pair.couple.device);
	for (uint32_t i = 1; i < REQUESTS; i++)
		assert_true(pv_slow_store_finish_one(&rig.pair.store));
	assert_false(pv_blk_is_stopped(rig.pair.couple.device));
	rig.pair.store.fail_percent = 0;
	go_on();
	for (uint32_t i = 0; i < REQUESTS; i++)
		assert_true(rig.request[i].is_done && rig.request[i].error == 0);
	assert_int_equal(pv_blk_stops(rig.pair.couple.device), 1);
	assert_int_equal(rig.failures, 1);
	rig_close();
}

static void a_queue_that_is_taken_back_fails_what_it_kept(void **state)
{
	(void)state;
	stop_with_one_kept();
	assert_int_equal(pv_blkdrv_fail(rig.pair.driver), 0);
	assert_true(rig.request[0].is_done);
	assert_false(pv_blk_is_stopped(rig.pair.couple.device));
	assert_int_equal(rig.resumed, 1);
	rig_close();
	assert_int_equal(rig.resumed, 1);
}

static void a_disk_without_anybody_to_tell_keeps_all_the_same(void **state)
{
	(void)state;
	stop_with_one_kept();
	pv_blk_of(rig.pair.couple.device)->options.failed = NULL;
	pv_blk_resume(rig.pair.couple.device);
	go_on();
	assert_int_equal(rig.failures, 1);
	assert_true(pv_blk_is_stopped(rig.pair.couple.device));
	rig_close();
}

static void memory_that_goes_while_a_request_is_kept_fails_that_request(void **state)
{
	static struct pv_mem *without;
	const struct pv_mem *table;
	uint32_t kept = 0;

	(void)state;
	stop_with_one_kept();
	/* All but the regions of the request's data. */
	table = rig.pair.couple.twin.table[PV_VIEW_DEVICE];
	without = malloc(pv_mem_table_bytes(table->count));
	for (uint32_t i = 0; i < table->count; i++)
		if (table->region[i].gpa.v - rig.pair.gpa.v >= 512)
			without->region[kept++] = table->region[i];
	without->count = kept;
	assert_true(kept < table->count);
	for (uint16_t q = 0; q < QUEUES; q++) {
		pv_queue_mem_switch(&rig.pair.couple.device->queue[q], without);
		assert_int_equal(rig.pair.couple.device->queue[q].ring.in_flight_before, 0);
	}
	pv_device_mem_set(rig.pair.couple.device, without);
	rig.pair.store.fail_percent = 0;
	pv_blk_resume(rig.pair.couple.device);
	go_on();
	assert_true(rig.request[0].is_done);
	assert_int_equal(rig.request[0].error, -PV_EIO);
	rig_close();
	free(without);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_policy_does_what_it_says_to_each_kind_of_request),
		cmocka_unit_test(a_stopped_disk_takes_nothing_on_any_queue_and_its_lanes_sleep),
		cmocka_unit_test(what_fails_again_is_tried_once_for_each_resume),
		cmocka_unit_test(
			what_fails_after_the_disk_went_on_is_done_again_without_another_stop),
		cmocka_unit_test(a_queue_that_is_taken_back_fails_what_it_kept),
		cmocka_unit_test(a_disk_without_anybody_to_tell_keeps_all_the_same),
		cmocka_unit_test(memory_that_goes_while_a_request_is_kept_fails_that_request),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
