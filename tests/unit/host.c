/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The host of a device: kicks, calls, and the rest of the port, with lanes on threads of their own
 * and on the control side's.
 */
#define _GNU_SOURCE /* memfd_create */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "hosted/loop/log.h"
#include "tests/support/descriptors.h"
#include "tests/support/host_world.h"

/* ---- kicks and calls ---- */

/*
 * A loop that looks for work is not kicked: it is given time to fall asleep, until it is. One that
 * the test runs itself never sleeps.
 */
static uint64_t ask_until_kicked(struct world *world, uint16_t queue)
{
	const pv_counter *kicks = &world->toy.queue[queue].counters.kicks;
	uint64_t asked = 0;

	while (!world_is_one_loop && pv_count_read(kicks) == 0) {
		assert_in_range(asked, 0, 1000);
		usleep(10000);
		world_ask_and_wait(world, queue, 'x');
		asked++;
	}
	return asked;
}

static void kicks_and_interrupts_go_by_eventfd(void **state)
{
	struct world *world = world_open_running();

	(void)state;
	for (uint16_t queue = 0; queue < WORLD_QUEUES; queue++) {
		const struct pv_queue_counters *counters = &world->toy.queue[queue].counters;
		uint64_t asked = ask_until_kicked(world, queue);

		for (int i = 0; i < 200; i++)
			world_ask_and_wait(world, queue, (char)('a' + i % 10));
		asked += 200;
		assert_int_equal(pv_count_read(&counters->requests), asked);
		assert_int_equal(pv_count_read(&counters->interrupts), asked);
		assert_in_range(pv_count_read(&counters->kicks), world_is_one_loop ? 0 : 1,
		                asked + 1);
	}
	world_close(world);
}

static void eventfds_may_block_and_a_call_may_be_a_socket(void **state)
{
	struct world *world = world_open();
	int pair[2];

	(void)state;
	world_by_eventfd(world, 0, 0);
	world_by_eventfd(world, 1, 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	close(world->call[1]);
	world->call[1] = pair[0];
	world->called[1] = pair[1];
	assert_int_equal(pv_host_set_call(world->host, 1, world->call[1]), 0);
	for (uint16_t queue = 0; queue < WORLD_QUEUES; queue++) {
		world_start_queue(world, queue);
		for (int i = 0; i < 100; i++)
			world_ask_and_wait(world, queue, 'x');
	}
	world_close(world);
}

static void kicks_go_by_message_and_calls_by_function(void **state)
{
	struct world *world = world_open();

	(void)state;
	world->kicks_by_message = true;
	world_start_queue(world, 0);
	for (int i = 1; i <= 200; i++) {
		world_send(world, 0, 0, 'x');
		world_run_until(world, &world->calls, i);
		assert_int_equal(world_take(world, 0), 1);
	}
	world_close(world);
}

static void a_polled_queue_needs_no_kicks(void **state)
{
	struct world *world = world_open();

	(void)state;
	assert_int_equal(pv_host_set_kick(world->host, 0, -1, true), 0);
	world_start_queue(world, 0);
	for (int i = 0; i < 50; i++) {
		world_send(world, 0, 0, 'x');
		world_take_until(world, 0, 1);
		world_run_control(world);
	}
	assert_int_equal(pv_count_read(&world->toy.queue[0].counters.kicks), 0);
	world_close(world);
}

static void what_came_before_the_queue_started_needs_no_kick(void **state)
{
	struct world *world = world_open_running();
	struct pv_waiter waiter = { world_count, &world->stopped };
	struct pv_queue *queue = &world->toy.queue[0];
	int kick_fd = world->kick[0];

	(void)state;
	world_ask_and_wait(world, 0, 'x');
	assert_int_equal(pv_device_queue_stop(&world->toy.device, 0, waiter), 0);
	world_run_until(world, &world->stopped, 1);
	world->kick[0] = -1;
	world_send(world, 0, 0, 'y');
	world->kick[0] = kick_fd;
	assert_int_equal(
		pv_device_queue_set(&world->toy.device, 0, &queue->config, &queue->position), 0);
	assert_int_equal(pv_device_queue_start(&world->toy.device, 0), 0);
	world_take_until(world, 0, 1);
	world_close(world);
}

/* The lane may serve a request before it hears of the new descriptor: either may be called. */
static void wait_for_either(struct world *world, const int fd[2])
{
	uint64_t end_us = world_now_us() + 10000000, value;
	bool is_called = false;

	while (!is_called && world_now_us() < end_us) {
		for (int i = 0; i < 2; i++)
			is_called |= read(fd[i], &value, sizeof(value)) == sizeof(value);
		world_run_control(world);
	}
	assert_true(is_called);
}

static void descriptors_change_while_the_queue_runs(void **state)
{
	struct world *world = world_open_running();
	int kicks[2] = { world->kick[0], eventfd(0, EFD_NONBLOCK) };
	int calls[2] = { world->call[0], eventfd(0, EFD_NONBLOCK) };
	int before;

	(void)state;
	/* A loop may wait, with a descriptor of its own, only from its second iteration on. */
	world_run_control(world);
	for (int i = 0; i < 3; i++)
		for (uint16_t queue = 0; queue < WORLD_QUEUES; queue++)
			world_ask_and_wait(world, queue, 'x');
	before = descriptors_open();
	for (int i = 0; i < 300; i++) {
		int which = i % 3 == 1;

		world->kick[0] = kicks[which];
		/* Twice, as fast as can be: the first may be replaced before it is picked up. */
		for (int k = 0; k < 2; k++) {
			assert_int_equal(pv_host_set_kick(world->host, 0, kicks[which], false), 0);
			assert_int_equal(pv_host_set_call(world->host, 0, calls[which]), 0);
		}
		world_send(world, 0, 0, 'x');
		/* A new call descriptor is written once for what may have been lost: look again
		 * then. */
		do
			wait_for_either(world, calls);
		while (world_take(world, 0) == 0);
	}
	world_run_in_vain(world);
	assert_int_equal(descriptors_open(), before);
	world->kick[0] = kicks[0];
	close(kicks[1]);
	close(calls[1]);
	world_close(world);
}

static void only_eventfds_kick_and_only_eventfds_and_sockets_are_called(void **state)
{
	struct world *world = world_open();
	int file = memfd_create("file", 0), pipes[2], pair[2];
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	(void)state;
	assert_int_equal(pipe(pipes), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	assert_int_equal(pv_host_set_kick(world->host, 0, file, false), -EINVAL);
	assert_int_equal(pv_host_set_kick(world->host, 0, pipes[0], false), -EINVAL);
	assert_int_equal(pv_host_set_kick(world->host, 0, null, false), -EINVAL);
	assert_int_equal(pv_host_set_kick(world->host, 0, pair[0], false), -EINVAL);
	assert_int_equal(pv_host_set_kick(world->host, 0, 12345, false), -EBADF);
	assert_int_equal(pv_host_set_call(world->host, 0, file), -EINVAL);
	assert_int_equal(pv_host_set_call(world->host, 0, pipes[1]), -EINVAL);
	assert_int_equal(pv_host_set_call(world->host, 0, null), -EINVAL);
	assert_int_equal(pv_host_set_call(world->host, 0, 12345), -EBADF);
	assert_int_equal(pv_host_set_call(world->host, 0, pair[0]), 0);
	for (int i = 0; i < 2; i++) {
		close(pipes[i]);
		close(pair[i]);
	}
	close(file);
	close(null);
	world_close(world);
}

/* The engine on epoll needs a descriptor of its own for that, and there may be none left. */
static void a_queue_whose_kicks_cannot_be_watched_is_served(void **state)
{
	struct world *world = world_open();
	int first_free = dup(0);
	struct rlimit before, none_left;

	(void)state;
	close(first_free);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	none_left = before;
	world_by_eventfd(world, 0, EFD_NONBLOCK);
	world_run_in_vain(world);
	none_left.rlim_cur = (rlim_t)first_free;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none_left), 0);
	world_start_queue(world, 0);
	for (int i = 0; i < 20; i++) {
		world_ask_and_wait(world, 0, 'x');
		usleep(1000);
	}
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	world_close(world);
}

static void a_full_call_descriptor_holds_nobody_up(void **state)
{
	const uint64_t full = UINT64_MAX - 1;
	struct world *world = world_open();

	(void)state;
	world_by_eventfd(world, 0, 0);
	assert_int_equal(write(world->call[0], &full, sizeof(full)), sizeof(full));
	world_start_queue(world, 0);
	for (int i = 0; i < 10; i++) {
		world_send(world, 0, 0, 'x');
		world_take_until(world, 0, 1);
	}
	world_close(world);
}

static void a_call_socket_that_is_full_or_gone_harms_nobody(void **state)
{
	struct world *world = world_open_running();
	char bytes[4096] = { 0 };
	int pair[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	while (send(pair[0], bytes, sizeof(bytes), MSG_DONTWAIT) > 0)
		;
	assert_int_equal(pv_host_set_call(world->host, 0, pair[0]), 0);
	for (int i = 0; i < 20; i++) {
		if (i == 10)
			close(pair[1]);
		world_send(world, 0, 0, 'x');
		world_take_until(world, 0, 1);
	}
	close(pair[0]);
	world_close(world);
}

/* ---- the timer ---- */

static void a_timer_runs_a_stalled_queue_in_time_and_not_before(void **state)
{
	struct world *world = world_open_running();

	(void)state;
	for (int i = 0; i < 3; i++) {
		uint64_t begin_us = world_now_us();
		volatile char *answer = world_send(world, 0, 0, 't');
		volatile char *later = world_send(world, 0, 1, 'x');

		world_take_until(world, 0, 2);
		assert_true(world_now_us() - begin_us >= WORLD_TIMER_NS / 1000);
		assert_int_equal(*answer, 'T');
		assert_int_equal(*later, 'y');
	}
	world_close(world);
}

/* So long that there is time for something meanwhile, if not on every machine each time. */
#define LONG_TIMER_NS 300000000u

static void nap(void)
{
	usleep(LONG_TIMER_NS / 1000 / 3);
}

/* Neither kicks nor polls are made use of: the loop sleeps. */
static void a_loop_whose_queues_wait_for_a_timer_sleeps(void **state)
{
	struct world *world = world_open_running();
	struct pv_loop_counters before, after;
	volatile char *answer;

	(void)state;
	world->toy.timer_ns = LONG_TIMER_NS;
	answer = world_send(world, 0, 0, 't');
	world_wait_until_taken(world, 1);
	nap();
	before = pv_loop_counters(world->lane[0]);
	nap();
	after = pv_loop_counters(world->lane[0]);
	/* One that the test runs itself never sleeps. */
	if (!world_is_one_loop && !*answer)
		assert_int_equal(after.sleeps, before.sleeps);
	if (!world_is_one_loop && !*answer)
		assert_int_equal(after.iterations, before.iterations);
	world_take_until(world, 0, 1);
	world_close(world);
}

/* Returns the answer that will be, of a queue that is paused now and waits. */
static volatile char *pause_while_it_waits(struct world *world)
{
	struct pv_waiter waiter = { world_count, &world->stopped };
	uint64_t taken = 0;

	for (;;) {
		volatile char *answer = world_send(world, 0, 0, 't');
		int stopped = world->stopped;

		assert_in_range(taken, 0, 100);
		world_wait_until_taken(world, ++taken);
		assert_int_equal(pv_device_pause(&world->toy.device, waiter), 0);
		world_run_until(world, &world->stopped, stopped + 1);
		if (!*answer)
			return answer;
		/* Its time came first. */
		pv_device_resume(&world->toy.device);
		world_take_until(world, 0, 1);
	}
}

static void a_timer_goes_on_through_a_pause(void **state)
{
	struct world *world = world_open_running();
	volatile char *answer;

	(void)state;
	world->toy.timer_ns = LONG_TIMER_NS;
	world->toy.kept[0].is_held_when_draining = true;
	answer = pause_while_it_waits(world);
	usleep(LONG_TIMER_NS / 1000);
	world_run_in_vain(world);
	assert_int_equal(*answer, 0);
	pv_device_resume(&world->toy.device);
	world_take_until(world, 0, 1);
	assert_int_equal(*answer, 'T');
	world_close(world);
}

static void a_queue_that_waits_is_stopped_and_starts_again(void **state)
{
	struct world *world = world_open_running();
	struct pv_waiter waiter = { world_count, &world->stopped };

	(void)state;
	world->toy.kept[0].is_held_when_draining = true;
	for (int i = 1; i <= 3; i++) {
		volatile char *answer = world_send(world, 0, 0, 't');

		world_wait_until_taken(world, 2 * (uint64_t)i - 1);
		assert_int_equal(pv_device_queue_stop(&world->toy.device, 0, waiter), 0);
		world_run_until(world, &world->stopped, i);
		assert_true(*answer == 'F' || *answer == 'T');
		/* The old timer may go off here, and does no harm. */
		world_start_queue(world, 0);
		world_send(world, 0, 0, 'x');
		world_take_until(world, 0, 1);
		usleep(WORLD_TIMER_NS / 1000);
	}
	world_close(world);
}

/* ---- the rest of the port ---- */

static void memory_of_the_port_is_zeroed_and_aligned(void **state)
{
	const size_t sizes[] = { 1, 64, 65, 4096, 65535, 65536, 3000000 };
	struct world *world = world_open();
	struct pv_port *port = pv_host_port(world->host);

	(void)state;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		uint8_t *memory = port->ops->alloc(port, sizes[i]);

		assert_non_null(memory);
		assert_int_equal((uintptr_t)memory % 64, 0);
		for (size_t k = 0; k < sizes[i]; k++)
			assert_int_equal(memory[k], 0);
		memset(memory, 0xff, sizes[i]);
		port->ops->free(port, memory, sizes[i]);
	}
	world_close(world);
}

/* What goes to standard error meanwhile. */
static void log_to(char *text, size_t bytes, enum pv_log_level level, const char *line)
{
	int file = memfd_create("log", MFD_CLOEXEC), saved = dup(STDERR_FILENO);
	ssize_t got;

	dup2(file, STDERR_FILENO);
	pv_log("toy", level, line);
	dup2(saved, STDERR_FILENO);
	got = pread(file, text, bytes - 1, 0);
	text[got] = 0;
	close(file);
	close(saved);
}

static void log_lines_name_program_device_and_level(void **state)
{
	char text[4096], longest[4000];

	(void)state;
	log_to(text, sizeof(text), PV_LOG_ERROR, "it broke");
	assert_string_equal(text, "paravane: toy: error: it broke\n");
	log_to(text, sizeof(text), PV_LOG_WARNING, "it may break");
	assert_string_equal(text, "paravane: toy: warning: it may break\n");
	log_to(text, sizeof(text), PV_LOG_INFO, "a\033[2Jb\nc\x7f\xc3\xa4");
	assert_string_equal(text, "paravane: toy: a?[2Jb?c?\xc3\xa4\n");
	log_to(text, sizeof(text), PV_LOG_DEBUG, "nothing");
	assert_string_equal(text, "");
	memset(longest, 'x', sizeof(longest));
	longest[sizeof(longest) - 1] = 0;
	log_to(text, sizeof(text), PV_LOG_INFO, longest);
	assert_int_equal(strlen(text), 1024);
	assert_int_equal(text[1023], '\n');
}

/* ---- lanes that rest ---- */

static unsigned int runs_of(const struct world *world, uint16_t queue)
{
	return __atomic_load_n(&world->toy.runs[queue], __ATOMIC_RELAXED);
}

static void *stop_soon(void *loop)
{
	usleep(2000);
	pv_loop_stop(loop);
	return NULL;
}

static void let_look(struct world *world)
{
	pthread_t thread;

	assert_int_equal(pthread_create(&thread, NULL, stop_soon, world->control), 0);
	pv_loop_run(world->control);
	pthread_join(thread, NULL);
}

/* Has a queue do something again and again, and the loop fall asleep in between. */
static void let_work(struct world *world, uint16_t queue)
{
	for (int i = 0; i < 8; i++) {
		world_ask_and_wait(world, queue, 'x');
		let_look(world);
	}
}

static void a_silent_queue_is_not_looked_at_until_its_driver_kicks(void **state)
{
	struct world *world = world_open_running();
	unsigned int before;

	(void)state;
	world_ask_and_wait(world, 0, 'x');
	let_work(world, 1);
	before = runs_of(world, 0);
	let_work(world, 1);
	assert_int_equal(runs_of(world, 0), before);
	world_ask_and_wait(world, 0, 'x');
	assert_true(runs_of(world, 0) > before);
	/* The other one rests now, and is woken as well: there is always one that does not. */
	let_work(world, 0);
	before = runs_of(world, 1);
	let_work(world, 0);
	assert_int_equal(runs_of(world, 1), before);
	world_ask_and_wait(world, 1, 'x');
	world_close(world);
}

static void a_silent_queue_is_not_looked_at_by_a_loop_that_never_sleeps(void **state)
{
	struct world *world = world_open_running();
	unsigned int before, before_other;

	(void)state;
	assert_int_equal(pv_host_set_kick(world->host, 1, -1, true), 0);
	world_ask_and_wait(world, 0, 'x');
	for (int tries = 0; tries < 100; tries++) {
		before = runs_of(world, 0);
		before_other = runs_of(world, 1);
		let_look(world);
		if (runs_of(world, 0) == before && runs_of(world, 1) > before_other)
			break;
	}
	assert_int_equal(runs_of(world, 0), before);
	world_ask_and_wait(world, 0, 'x');
	assert_true(runs_of(world, 0) > before);
	world_close(world);
}

static void a_queue_that_rests_stops_and_starts(void **state)
{
	struct world *world = world_open_running();
	struct pv_waiter waiter = { world_count, &world->stopped };

	(void)state;
	for (int i = 1; i <= 3; i++) {
		let_work(world, 1);
		assert_int_equal(pv_device_queue_stop(&world->toy.device, 0, waiter), 0);
		world_run_until(world, &world->stopped, i);
		world_start_queue(world, 0);
		world_ask_and_wait(world, 0, 'x');
	}
	world_close(world);
}

static void what_is_kept_ends_though_the_driver_is_silent(void **state)
{
	struct world *world = world_open_running();

	(void)state;
	world_send(world, 0, 0, 'k');
	world_wait_until_taken(world, 1);
	let_work(world, 1);
	world_end_all_kept(world, 0);
	world_take_until(world, 0, 1);
	world_close(world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(kicks_and_interrupts_go_by_eventfd),
		cmocka_unit_test(eventfds_may_block_and_a_call_may_be_a_socket),
		cmocka_unit_test(kicks_go_by_message_and_calls_by_function),
		cmocka_unit_test(a_polled_queue_needs_no_kicks),
		cmocka_unit_test(what_came_before_the_queue_started_needs_no_kick),
		cmocka_unit_test(descriptors_change_while_the_queue_runs),
		cmocka_unit_test(only_eventfds_kick_and_only_eventfds_and_sockets_are_called),
		cmocka_unit_test(a_queue_whose_kicks_cannot_be_watched_is_served),
		cmocka_unit_test(a_full_call_descriptor_holds_nobody_up),
		cmocka_unit_test(a_call_socket_that_is_full_or_gone_harms_nobody),
		cmocka_unit_test(a_timer_runs_a_stalled_queue_in_time_and_not_before),
		cmocka_unit_test(a_loop_whose_queues_wait_for_a_timer_sleeps),
		cmocka_unit_test(a_timer_goes_on_through_a_pause),
		cmocka_unit_test(a_queue_that_waits_is_stopped_and_starts_again),
		cmocka_unit_test(memory_of_the_port_is_zeroed_and_aligned),
		cmocka_unit_test(log_lines_name_program_device_and_level),
	};
	const struct CMUnitTest resting[] = {
		cmocka_unit_test(a_silent_queue_is_not_looked_at_until_its_driver_kicks),
		cmocka_unit_test(a_silent_queue_is_not_looked_at_by_a_loop_that_never_sleeps),
		cmocka_unit_test(a_queue_that_rests_stops_and_starts),
		cmocka_unit_test(what_is_kept_ends_though_the_driver_is_silent),
	};
	int failed;

	failed = cmocka_run_group_tests_name("lanes on loops of their own", tests, NULL, NULL);
	world_is_one_loop = true;
	failed += cmocka_run_group_tests_name("all on one loop", tests, NULL, NULL);
	world_may_rest = true;
	failed += cmocka_run_group_tests_name("where lanes rest", resting, NULL, NULL);
	return failed + cmocka_run_group_tests_name("the same, resting", tests, NULL, NULL);
}
