/* SPDX-License-Identifier: BSD-2-Clause */
/* The event loop: what it watches, and what it stops watching. */
#define _GNU_SOURCE /* memfd_create */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/support/descriptors.h"
#include "tests/support/loop_rig.h"

static void each_write_to_an_eventfd_that_nobody_reads_is_told(void **state)
{
	struct pv_loop *loop = loop_rig_make();
	struct seen seen = { 0 };
	int fd = eventfd(0, 0);

	(void)state;
	assert_non_null(pv_loop_watch(loop, fd, POLLIN, loop_rig_see, &seen));
	loop_rig_run_a_while(loop, 2);
	assert_int_equal(seen.calls, 0);
	for (int i = 1; i <= 1000; i++) {
		loop_rig_write_one(fd);
		loop_rig_run_until(loop, &seen.calls, i);
		assert_int_equal(seen.events, POLLIN);
	}
	loop_rig_run_a_while(loop, 3);
	assert_int_equal(seen.calls, 1000);
	close(fd);
	pv_loop_destroy(loop);
}

static void a_write_before_the_watch_is_told_too(void **state)
{
	struct pv_loop *loop = loop_rig_make();
	struct seen seen = { 0 };
	int fd = eventfd(1, 0);

	(void)state;
	pv_loop_watch(loop, fd, POLLIN, loop_rig_see, &seen);
	loop_rig_run_until(loop, &seen.calls, 1);
	close(fd);
	pv_loop_destroy(loop);
}

static void a_socket_whose_other_end_leaves_is_told(void **state)
{
	struct pv_loop *loop = loop_rig_make();
	struct seen seen = { 0 };
	int fd[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fd), 0);
	pv_loop_watch(loop, fd[0], POLLIN, loop_rig_see, &seen);
	loop_rig_run_a_while(loop, 2);
	close(fd[1]);
	while (!(seen.events & POLLHUP))
		loop_rig_run_until(loop, &seen.calls, seen.calls + 1);
	close(fd[0]);
	pv_loop_destroy(loop);
}

struct ending {
	struct pv_loop *loop;
	struct pv_watch *watch[2];
	int calls;
};

static void end_both(void *arg, int events)
{
	struct ending *ending = arg;

	(void)events;
	ending->calls++;
	pv_loop_unwatch(ending->loop, ending->watch[0]);
	pv_loop_unwatch(ending->loop, ending->watch[1]);
}

static void a_callback_may_end_its_own_watch_and_one_that_is_ready_too(void **state)
{
	struct ending ending = { .loop = loop_rig_make() };
	int fd[2] = { eventfd(0, 0), eventfd(0, 0) };

	(void)state;
	for (int i = 0; i < 2; i++)
		ending.watch[i] = pv_loop_watch(ending.loop, fd[i], POLLIN, end_both, &ending);
	loop_rig_run_a_while(ending.loop, 2);
	for (int k = 0; k < 10; k++)
		for (int i = 0; i < 2; i++)
			loop_rig_write_one(fd[i]);
	loop_rig_run_a_while(ending.loop, 5);
	assert_int_equal(ending.calls, 1);
	/* Only the loop's own is left. */
	assert_ptr_equal(ending.loop->watches, ending.loop->wake);
	assert_null(ending.loop->wake->next);
	close(fd[0]);
	close(fd[1]);
	pv_loop_destroy(ending.loop);
}

static void a_watch_ended_before_the_loop_ran_was_never_there(void **state)
{
	struct pv_loop *loop = loop_rig_make();
	struct seen seen = { 0 };
	int fd = eventfd(1, 0);

	(void)state;
	pv_loop_unwatch(loop, pv_loop_watch(loop, fd, POLLIN, loop_rig_see, &seen));
	loop_rig_run_a_while(loop, 3);
	assert_int_equal(seen.calls, 0);
	assert_ptr_equal(loop->watches, loop->wake);
	close(fd);
	pv_loop_destroy(loop);
}

static void a_descriptor_closed_and_taken_by_another_file_is_not_mixed_up(void **state)
{
	struct pv_loop *loop = loop_rig_make();
	struct seen before = { 0 }, after = { 0 };
	struct pv_watch *watch;
	int fd = eventfd(0, 0), again;

	(void)state;
	watch = pv_loop_watch(loop, fd, POLLIN, loop_rig_see, &before);
	loop_rig_run_a_while(loop, 2);
	pv_loop_unwatch(loop, watch);
	close(fd);
	again = eventfd(0, 0);
	assert_int_equal(again, fd);
	pv_loop_watch(loop, again, POLLIN, loop_rig_see, &after);
	loop_rig_run_a_while(loop, 2);
	loop_rig_write_one(again);
	loop_rig_run_until(loop, &after.calls, 1);
	assert_int_equal(before.calls, 0);
	close(again);
	pv_loop_destroy(loop);
}

/* The other end of a pair of which a watched end was closed learns of it once the watch is gone. */
static void a_socket_closed_after_its_watch_ended_is_really_closed(void **state)
{
	struct pv_loop *loop = loop_rig_make();
	struct seen seen = { 0 };
	struct pv_watch *watch;
	int fd[2];
	char byte;

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fd), 0);
	watch = pv_loop_watch(loop, fd[0], POLLIN, loop_rig_see, &seen);
	loop_rig_run_a_while(loop, 2);
	pv_loop_unwatch(loop, watch);
	close(fd[0]);
	loop_rig_run_a_while(loop, 2);
	assert_int_equal(read(fd[1], &byte, 1), 0);
	close(fd[1]);
	pv_loop_destroy(loop);
}

static void what_cannot_be_waited_for_is_told_once(void **state)
{
	struct pv_loop *loop = loop_rig_make();
	struct seen seen = { 0 };
	struct pv_watch *watch;

	(void)state;
	watch = pv_loop_watch(loop, 12345, POLLIN, loop_rig_see, &seen);
	loop_rig_run_a_while(loop, 5);
	assert_int_equal(seen.calls, 1);
	assert_int_equal(seen.events, -EBADF);
	pv_loop_unwatch(loop, watch);
	loop_rig_run_a_while(loop, 2);
	assert_ptr_equal(loop->watches, loop->wake);
	pv_loop_destroy(loop);
}

static void a_file_that_is_always_ready_is_told_once(void **state)
{
	struct pv_loop *loop = loop_rig_make();
	struct seen seen = { 0 };
	int fd = memfd_create("file", 0);

	(void)state;
	pv_loop_watch(loop, fd, POLLIN, loop_rig_see, &seen);
	loop_rig_run_a_while(loop, 5);
	assert_int_equal(seen.calls, 1);
	assert_int_equal(seen.events, POLLIN);
	close(fd);
	pv_loop_destroy(loop);
}

/* Whoever has the same file under another descriptor is another watcher, or the same again. */
static void a_file_may_be_watched_twice(void **state)
{
	struct pv_loop *loop = loop_rig_make();
	struct seen seen[3] = { { 0 } };
	struct pv_watch *watch[3];
	int fd = eventfd(0, 0), again = dup(fd);

	(void)state;
	for (int i = 0; i < 3; i++)
		watch[i] = pv_loop_watch(loop, i < 2 ? fd : again, POLLIN, loop_rig_see, &seen[i]);
	loop_rig_run_a_while(loop, 2);
	loop_rig_write_one(fd);
	for (int i = 0; i < 3; i++)
		loop_rig_run_until(loop, &seen[i].calls, 1);
	pv_loop_unwatch(loop, watch[0]);
	pv_loop_unwatch(loop, watch[2]);
	loop_rig_run_a_while(loop, 2);
	loop_rig_write_one(fd);
	loop_rig_run_until(loop, &seen[1].calls, 2);
	loop_rig_run_a_while(loop, 2);
	assert_int_equal(seen[0].calls, 1);
	assert_int_equal(seen[2].calls, 1);
	close(fd);
	close(again);
	pv_loop_destroy(loop);
}

/* What the kernel has told the engine by then is not told to anybody. */
static void a_watch_ended_between_two_runs_hears_nothing_of_what_came_before(void **state)
{
	struct pv_loop *loop = loop_rig_make();
	struct seen seen[2] = { { 0 } };
	struct pv_watch *watch[2];
	int fd = eventfd(0, 0);

	(void)state;
	for (int i = 0; i < 2; i++)
		watch[i] = pv_loop_watch(loop, fd, POLLIN, loop_rig_see, &seen[i]);
	loop_rig_run_a_while(loop, 2);
	loop_rig_write_one(fd);
	/* Without an iteration: it ends with a look at what is there. */
	pv_loop_stop(loop);
	pv_loop_run(loop);
	pv_loop_unwatch(loop, watch[0]);
	pv_loop_stop(loop);
	pv_loop_run(loop);
	loop_rig_run_until(loop, &seen[1].calls, 1);
	loop_rig_run_a_while(loop, 2);
	assert_int_equal(seen[0].calls, 0);
	assert_ptr_equal(loop->watches, watch[1]);
	close(fd);
	pv_loop_destroy(loop);
}

/* More than an engine takes from the kernel at a time. */
#define MANY 300

static void many_files_that_are_ready_at_once_are_all_told(void **state)
{
	struct pv_loop *loop = loop_rig_make();
	struct seen seen[MANY] = { { 0 } };
	int fd[MANY];

	(void)state;
	for (int i = 0; i < MANY; i++) {
		fd[i] = eventfd(1, EFD_CLOEXEC);
		assert_non_null(pv_loop_watch(loop, fd[i], POLLIN, loop_rig_see, &seen[i]));
	}
	for (int i = 0; i < MANY; i++)
		loop_rig_run_until(loop, &seen[i].calls, 1);
	for (int i = 0; i < MANY; i++)
		close(fd[i]);
	pv_loop_destroy(loop);
}

static void a_loop_leaves_no_descriptor_behind(void **state)
{
	int fd = eventfd(1, 0), file = memfd_create("file", 0);
	int before = descriptors_open();
	struct pv_loop *loop = loop_rig_make();
	struct seen seen = { 0 };

	(void)state;
	pv_loop_watch(loop, fd, POLLIN, loop_rig_see, &seen);
	pv_loop_watch(loop, file, POLLIN, loop_rig_see, &seen);
	loop_rig_run_until(loop, &seen.calls, 2);
	/* One that is never begun, and one that is ended but not let go of. */
	pv_loop_unwatch(loop, pv_loop_watch(loop, fd, POLLIN, loop_rig_see, &seen));
	pv_loop_watch(loop, fd, POLLIN, loop_rig_see, &seen);
	pv_loop_destroy(loop);
	assert_int_equal(descriptors_open(), before);
	close(fd);
	close(file);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_write_to_an_eventfd_that_nobody_reads_is_told),
		cmocka_unit_test(a_write_before_the_watch_is_told_too),
		cmocka_unit_test(a_socket_whose_other_end_leaves_is_told),
		cmocka_unit_test(a_callback_may_end_its_own_watch_and_one_that_is_ready_too),
		cmocka_unit_test(a_watch_ended_before_the_loop_ran_was_never_there),
		cmocka_unit_test(a_descriptor_closed_and_taken_by_another_file_is_not_mixed_up),
		cmocka_unit_test(a_socket_closed_after_its_watch_ended_is_really_closed),
		cmocka_unit_test(what_cannot_be_waited_for_is_told_once),
		cmocka_unit_test(a_file_that_is_always_ready_is_told_once),
		cmocka_unit_test(a_file_may_be_watched_twice),
		cmocka_unit_test(a_watch_ended_between_two_runs_hears_nothing_of_what_came_before),
		cmocka_unit_test(many_files_that_are_ready_at_once_are_all_told),
		cmocka_unit_test(a_loop_leaves_no_descriptor_behind),
	};

	return loop_rig_run_on_each_engine(tests);
}
