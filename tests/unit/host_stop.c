/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The host of a device: queues that stop, with work in flight and without, are reset and start
 * again.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "ring/err.h"
#include "tests/support/host_world.h"

#define DEADLINE_US 5000000u

static void wait_until_idle(struct world *world, uint16_t queue)
{
	uint64_t end_us = world_now_us() + DEADLINE_US;

	while (world->toy.queue[queue].state != PV_QUEUE_IDLE && world_now_us() < end_us)
		world_run_control(world);
	assert_int_equal(world->toy.queue[queue].state, PV_QUEUE_IDLE);
}

/* A loop that sleeps counts nothing any more; when it falls asleep is up to the machine's load. */
static void wait_until_asleep(struct world *world, uint16_t lane)
{
	uint64_t end_us = world_now_us() + DEADLINE_US;
	struct pv_loop_counters before, after = pv_loop_counters(world->lane[lane]);

	do {
		before = after;
		usleep(50000);
		after = pv_loop_counters(world->lane[lane]);
	} while (memcmp(&before, &after, sizeof(before)) != 0 && world_now_us() < end_us);
	assert_memory_equal(&before, &after, sizeof(before));
}

static void a_stop_waits_for_what_is_in_flight(void **state)
{
	struct world *world = world_open_running();
	struct pv_waiter waiter = { world_count, &world->stopped };

	(void)state;
	for (unsigned int i = 0; i < 5; i++)
		world_send(world, 0, i, 'k');
	world_wait_until_taken(world, 5);
	assert_int_equal(pv_device_stop(&world->toy.device, waiter), 0);
	wait_until_idle(world, 1);
	world_run_in_vain(world);
	assert_int_equal(world->stopped, 0);
	world_end_all_kept(world, 0);
	world_run_until(world, &world->stopped, 1);
	assert_int_equal(world_take(world, 0), 5);
	world_wait_for_interrupt(world, world->called[0]);
	world_close(world);
}

static void a_draining_queue_with_work_left_lets_its_loop_sleep(void **state)
{
	struct world *world = world_open_running();
	struct pv_waiter waiter = { world_count, &world->stopped };

	(void)state;
	world_send(world, 0, 0, 'k');
	world_wait_until_taken(world, 1);
	assert_int_equal(pv_device_queue_stop(&world->toy.device, 0, waiter), 0);
	world_run_in_vain(world);
	world_send(world, 0, 1, 'x');
	world_run_in_vain(world);
	wait_until_asleep(world, 0);
	world_end_all_kept(world, 0);
	world_run_until(world, &world->stopped, 1);
	world_close(world);
}

static void what_a_queue_held_fails_at_its_stop_with_an_interrupt(void **state)
{
	struct world *world = world_open_running();
	struct pv_waiter waiter = { world_count, &world->stopped };
	volatile char *answer;

	(void)state;
	world->toy.kept[0].is_held_when_draining = true;
	answer = world_send(world, 0, 0, 'k');
	world_wait_until_taken(world, 1);
	assert_int_equal(pv_device_queue_stop(&world->toy.device, 0, waiter), 0);
	world_run_until(world, &world->stopped, 1);
	world_wait_for_interrupt(world, world->called[0]);
	assert_int_equal(world_take(world, 0), 1);
	assert_int_equal(*answer, 'F');
	world_close(world);
}

/* The transport may be gone as soon as the queue has stopped: no lane calls through it any more. */
static void what_fails_at_the_stop_is_called_for_on_the_control_side(void **state)
{
	struct world *world = world_open();
	struct pv_waiter waiter = { world_count, &world->stopped };

	(void)state;
	world->kicks_by_message = true;
	world_start_queue(world, 0);
	world->toy.kept[0].is_held_when_draining = true;
	world_send(world, 0, 0, 'k');
	world_kick(world, 0);
	world_wait_until_taken(world, 1);
	assert_int_equal(pv_device_queue_stop(&world->toy.device, 0, waiter), 0);
	world_run_until(world, &world->stopped, 1);
	world_run_until(world, &world->calls, 1);
	assert_true(pthread_equal(world->caller, pthread_self()));
	world_close(world);
}

static void a_pause_that_comes_while_a_queue_stops_begins_after_it(void **state)
{
	struct world *world = world_open_running();
	struct pv_waiter stopped = { world_count, &world->stopped };
	struct pv_waiter paused = { world_count, &world->resets };

	(void)state;
	world_send(world, 0, 0, 'k');
	world_wait_until_taken(world, 1);
	assert_int_equal(pv_device_queue_stop(&world->toy.device, 0, stopped), 0);
	assert_int_equal(pv_device_pause(&world->toy.device, paused), 0);
	assert_int_equal(pv_device_pause(&world->toy.device, paused), -PV_EBUSY);
	world_run_in_vain(world);
	assert_int_equal(world->resets, 0);
	world_end_all_kept(world, 0);
	world_run_until(world, &world->resets, 1);
	assert_int_equal(world->stopped, 1);
	assert_int_equal(world->toy.queue[0].state, PV_QUEUE_IDLE);
	assert_int_equal(world->toy.queue[1].state, PV_QUEUE_PAUSED);
	pv_device_resume(&world->toy.device);
	world_ask_and_wait(world, 1, 'x');
	world_close(world);
}

static void a_pause_that_comes_while_a_reset_waits_is_answered_after_it(void **state)
{
	struct world *world = world_open_running();
	struct pv_waiter was_reset = { world_count, &world->stopped };
	struct pv_waiter paused = { world_count, &world->resets };

	(void)state;
	world_send(world, 0, 0, 'k');
	world_wait_until_taken(world, 1);
	assert_int_equal(pv_device_reset(&world->toy.device, was_reset), 0);
	assert_int_equal(pv_device_pause(&world->toy.device, paused), 0);
	world_run_in_vain(world);
	assert_int_equal(world->resets, 0);
	world_end_all_kept(world, 0);
	world_run_until(world, &world->resets, 1);
	assert_int_equal(world->stopped, 1);
	assert_true(pv_device_is_idle(&world->toy.device));
	world_close(world);
}

static void queues_start_and_stop_again_and_again(void **state)
{
	struct world *world = world_open_running();
	struct pv_waiter waiter = { world_count, &world->resets };

	(void)state;
	for (int i = 1; i <= 100; i++) {
		for (uint16_t queue = 0; queue < WORLD_QUEUES; queue++)
			world_ask_and_wait(world, queue, 'x');
		assert_int_equal(pv_device_reset(&world->toy.device, waiter), 0);
		world_run_until(world, &world->resets, i);
		assert_int_equal(pv_device_features_set(&world->toy.device, WORLD_FEATURES), 0);
		for (uint16_t queue = 0; queue < WORLD_QUEUES; queue++)
			world_start_queue(world, queue);
	}
	world_close(world);
}

static void an_idle_lane_sleeps(void **state)
{
	struct world *world = world_open_running();

	(void)state;
	for (int i = 0; i < 100; i++)
		world_ask_and_wait(world, 0, 'x');
	world_run_in_vain(world);
	wait_until_asleep(world, 0);
	world_close(world);
}

static void a_broken_queue_asks_for_a_reset_which_brings_it_back(void **state)
{
	struct world *world = world_open_running();
	struct pv_waiter waiter = { world_count, &world->resets };

	(void)state;
	/* The available index runs off. */
	world->ring[0].avail->idx.raw = 0x8000;
	world_kick(world, 0);
	world_run_until(world, &world->config_changes, 1);
	assert_int_equal(pv_device_status(&world->toy.device), VIRTIO_STATUS_NEEDS_RESET);
	world_kick(world, 0);
	world_run_in_vain(world);
	assert_int_equal(world->config_changes, 1);
	assert_int_equal(pv_count_read(&world->toy.queue[0].counters.ring_faults), 1);
	world_ask_and_wait(world, 1, 'x');
	assert_int_equal(pv_device_reset(&world->toy.device, waiter), 0);
	world_run_until(world, &world->resets, 1);
	assert_int_equal(pv_device_features_set(&world->toy.device, WORLD_FEATURES), 0);
	world_start_queue(world, 0);
	world_ask_and_wait(world, 0, 'x');
	world_close(world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_stop_waits_for_what_is_in_flight),
		cmocka_unit_test(a_draining_queue_with_work_left_lets_its_loop_sleep),
		cmocka_unit_test(what_a_queue_held_fails_at_its_stop_with_an_interrupt),
		cmocka_unit_test(what_fails_at_the_stop_is_called_for_on_the_control_side),
		cmocka_unit_test(a_pause_that_comes_while_a_queue_stops_begins_after_it),
		cmocka_unit_test(a_pause_that_comes_while_a_reset_waits_is_answered_after_it),
		cmocka_unit_test(queues_start_and_stop_again_and_again),
		cmocka_unit_test(an_idle_lane_sleeps),
		cmocka_unit_test(a_broken_queue_asks_for_a_reset_which_brings_it_back),
	};
	int failed;

	failed = cmocka_run_group_tests_name("lanes on loops of their own", tests, NULL, NULL);
	world_is_one_loop = true;
	failed += cmocka_run_group_tests_name("all on one loop", tests, NULL, NULL);
	world_may_rest = true;
	return failed + cmocka_run_group_tests_name("the same, resting", tests, NULL, NULL);
}
