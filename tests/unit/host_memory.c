/* SPDX-License-Identifier: BSD-2-Clause */
/* The host of a device: its memory and its log change under queues that run, stop and break. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "ring/err.h"
#include "tests/support/host_world.h"

static void unmap_first_view(struct world *world)
{
	munmap(world->seen_at[0], WORLD_MEMORY_BYTES);
	world->seen_at[0] = NULL;
}

static void memory_changes_under_running_queues(void **state)
{
	struct world *world = world_open_running();

	(void)state;
	world_ask_and_wait(world, 0, 'x');
	pv_host_mem_switch(world->host, &world->toy.device, world->table[1], world_count,
	                   &world->switches);
	world_run_until(world, &world->switches, 1);
	assert_ptr_equal(world->toy.device.mem, world->table[1]);
	unmap_first_view(world);
	for (uint16_t queue = 0; queue < WORLD_QUEUES; queue++)
		world_ask_and_wait(world, queue, 'x');
	world_close(world);
}

static void old_memory_is_kept_while_a_request_is_in_it(void **state)
{
	struct world *world = world_open_running();
	volatile char *answer = world_send(world, 0, 0, 'k');

	(void)state;
	world_wait_until_taken(world, 1);
	pv_host_mem_switch(world->host, &world->toy.device, world->table[1], world_count,
	                   &world->switches);
	world_run_in_vain(world);
	assert_int_equal(world->switches, 0);
	/* New requests are served from the new table meanwhile. */
	world_send(world, 0, 1, 'x');
	world_take_until(world, 0, 1);
	world_end_all_kept(world, 0);
	world_run_until(world, &world->switches, 1);
	unmap_first_view(world);
	world_take_until(world, 0, 1);
	assert_int_equal(*answer, 'K');
	world_close(world);
}

static void a_queue_that_stops_lets_go_of_old_memory(void **state)
{
	struct world *world = world_open_running();
	struct pv_waiter waiter = { world_count, &world->stopped };

	(void)state;
	world->toy.kept[0].is_held_when_draining = true;
	world_send(world, 0, 0, 'k');
	world_wait_until_taken(world, 1);
	pv_host_mem_switch(world->host, &world->toy.device, world->table[1], world_count,
	                   &world->switches);
	world_run_in_vain(world);
	assert_int_equal(world->switches, 0);
	assert_int_equal(pv_device_queue_stop(&world->toy.device, 0, waiter), 0);
	world_run_until(world, &world->switches, 1);
	assert_int_equal(world->stopped, 1);
	unmap_first_view(world);
	world_take_until(world, 0, 1);
	world_ask_and_wait(world, 1, 'x');
	world_close(world);
}

static void memory_changes_at_once_when_nothing_runs(void **state)
{
	struct world *world = world_open();

	(void)state;
	pv_host_mem_switch(world->host, &world->toy.device, world->table[1], world_count,
	                   &world->switches);
	assert_int_equal(world->switches, 1);
	assert_ptr_equal(world->toy.device.mem, world->table[1]);
	unmap_first_view(world);
	world_close(world);
}

static void a_paused_queue_goes_on_in_new_memory(void **state)
{
	struct world *world = world_open_running();
	struct pv_waiter waiter = { world_count, &world->stopped };

	(void)state;
	world_ask_and_wait(world, 0, 'x');
	assert_int_equal(pv_device_pause(&world->toy.device, waiter), 0);
	pv_host_mem_switch(world->host, &world->toy.device, world->table[1], world_count,
	                   &world->switches);
	world_run_until(world, &world->switches, 1);
	world_run_until(world, &world->stopped, 1);
	unmap_first_view(world);
	pv_device_resume(&world->toy.device);
	for (uint16_t queue = 0; queue < WORLD_QUEUES; queue++)
		world_ask_and_wait(world, queue, 'x');
	world_close(world);
}

static void memory_without_the_ring_breaks_the_queue(void **state)
{
	struct world *world = world_open_running();
	struct pv_mem *nothing = calloc(1, pv_mem_table_bytes(0));

	(void)state;
	pv_host_mem_switch(world->host, &world->toy.device, nothing, world_count, &world->switches);
	world_run_until(world, &world->switches, 1);
	world_run_until(world, &world->config_changes, 1);
	unmap_first_view(world);
	world_close(world);
	free(nothing);
}

/* The two tables are two views of one file. */
static void memory_goes_back_by_the_port(void **state)
{
	struct world *world = world_open();
	struct pv_port *port = pv_host_port(world->host);
	struct pv_region region = world->table[0]->region[0];
	uint8_t *other = world->seen_at[1];
	struct pv_iov piece = { region.host + 4096, 4096 };

	(void)state;
	region.page_bytes = 4096;
	memset(region.host, 1, 3 * 4096);
	assert_int_equal(port->ops->discard(port, &region, &piece, 1), 0);
	assert_int_equal(other[4096], 1);
	region.is_file = true;
	assert_int_equal(port->ops->discard(port, &region, &piece, 1), 0);
	assert_int_equal(other[4096], 0);
	assert_int_equal(other[4095], 1);
	assert_int_equal(other[8192], 1);
	piece.base = region.host + 1;
	assert_int_equal(port->ops->discard(port, &region, &piece, 1), -PV_EIO);
	world_close(world);
}

/* ---- the dirty log ---- */

#define LOG_BYTES 64u

static void log_set(struct world *world, struct pv_dirty_log *log)
{
	const struct pv_ring_logging logging = { .log = log };

	for (uint16_t queue = 0; queue < WORLD_QUEUES; queue++)
		assert_int_equal(pv_device_queue_log_set(&world->toy.device, queue, &logging), 0);
}

static void log_switch(struct world *world, struct pv_dirty_log *log)
{
	int wanted = world->switches + 1;

	log_set(world, log);
	pv_host_log_switch(world->host, &world->toy.device, world_count, &world->switches);
	world_run_until(world, &world->switches, wanted);
}

/* Takes the marks away. */
static bool was_marked(struct pv_dirty_log *log)
{
	bool was = false;

	for (uint32_t i = 0; i < LOG_BYTES; i++)
		was |= __atomic_exchange_n(&log->bits[i], 0, __ATOMIC_ACQUIRE) != 0;
	return was;
}

static void each_write_is_in_the_log_that_was_set_last(void **state)
{
	uint8_t bits[2][LOG_BYTES] = { { 0 } };
	struct pv_dirty_log log[2] = { { bits[0], LOG_BYTES, false },
		                       { bits[1], LOG_BYTES, false } };
	struct world *world = world_open_running();

	(void)state;
	for (int turn = 0; turn < 200; turn++) {
		log_switch(world, &log[turn % 2]);
		for (uint16_t queue = 0; queue < WORLD_QUEUES; queue++) {
			world_ask_and_wait(world, queue, 'x');
			assert_true(was_marked(&log[turn % 2]));
			assert_false(was_marked(&log[!(turn % 2)]));
		}
	}
	log_switch(world, NULL);
	world_ask_and_wait(world, 0, 'x');
	assert_false(was_marked(&log[0]) || was_marked(&log[1]));
	world_close(world);
}

static void a_request_that_began_before_is_in_the_log_when_it_ends(void **state)
{
	uint8_t bits[LOG_BYTES] = { 0 };
	struct pv_dirty_log log = { bits, LOG_BYTES, false };
	struct world *world = world_open_running();

	(void)state;
	world_send(world, 0, 0, 'k');
	world_wait_until_taken(world, 1);
	log_switch(world, &log);
	assert_false(was_marked(&log));
	pv_host_mem_switch(world->host, &world->toy.device, world->table[1], world_count,
	                   &world->switches);
	world_end_all_kept(world, 0);
	world_run_until(world, &world->switches, 2);
	world_take_until(world, 0, 1);
	assert_true(was_marked(&log));
	assert_false(pv_dirty_log_has_missed(&log));
	log_switch(world, NULL);
	world_close(world);
}

static void a_queue_that_starts_or_goes_on_later_logs_too(void **state)
{
	uint8_t bits[LOG_BYTES] = { 0 };
	struct pv_dirty_log log = { bits, LOG_BYTES, false };
	struct world *world = world_open_running();
	struct pv_waiter waiter = { world_count, &world->stopped };

	(void)state;
	assert_int_equal(pv_device_pause(&world->toy.device, waiter), 0);
	world_run_until(world, &world->stopped, 1);
	log_switch(world, &log);
	pv_device_resume(&world->toy.device);
	world_ask_and_wait(world, 1, 'x');
	assert_true(was_marked(&log));
	assert_int_equal(pv_device_queue_stop(&world->toy.device, 0, waiter), 0);
	world_run_until(world, &world->stopped, 2);
	was_marked(&log);
	world_start_queue(world, 0);
	world_ask_and_wait(world, 0, 'x');
	assert_true(was_marked(&log));
	log_switch(world, NULL);
	world_close(world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(memory_changes_under_running_queues),
		cmocka_unit_test(old_memory_is_kept_while_a_request_is_in_it),
		cmocka_unit_test(a_queue_that_stops_lets_go_of_old_memory),
		cmocka_unit_test(memory_changes_at_once_when_nothing_runs),
		cmocka_unit_test(a_paused_queue_goes_on_in_new_memory),
		cmocka_unit_test(memory_without_the_ring_breaks_the_queue),
		cmocka_unit_test(memory_goes_back_by_the_port),
		cmocka_unit_test(each_write_is_in_the_log_that_was_set_last),
		cmocka_unit_test(a_request_that_began_before_is_in_the_log_when_it_ends),
		cmocka_unit_test(a_queue_that_starts_or_goes_on_later_logs_too),
	};
	int failed;

	failed = cmocka_run_group_tests_name("lanes on loops of their own", tests, NULL, NULL);
	world_is_one_loop = true;
	return failed + cmocka_run_group_tests_name("all on one loop", tests, NULL, NULL);
}
