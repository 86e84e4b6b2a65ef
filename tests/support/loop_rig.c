/* SPDX-License-Identifier: BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <time.h>
#include <unistd.h>

#include "hosted/loop/clock.h"
#include "tests/support/loop_rig.h"

const struct pv_engine_ops *loop_rig_engine = &pv_uring_ops;

struct pv_loop *loop_rig_make_polling(uint32_t poll_max_us)
{
	const struct pv_loop_options options = { .name = "test", .poll_max_us = poll_max_us };
	struct pv_loop *loop;

	assert_int_equal(pv_loop_create_on(&loop, &options, loop_rig_engine), 0);
	return loop;
}

static bool is_refused(void)
{
	const struct pv_loop_options options = { .name = "test" };
	struct pv_loop *loop;
	int error = pv_loop_create_on(&loop, &options, loop_rig_engine);

	if (!error)
		pv_loop_destroy(loop);
	return pv_loop_uring_is_forbidden(error);
}

int loop_rig_run_tests(const struct CMUnitTest *tests, size_t count, size_t from_engine,
                       size_t to_engine)
{
	static const struct {
		const char *name;
		const struct pv_engine_ops *ops;
	} engine[] = { { "io_uring as offered", &pv_uring_ops },
		       { "io_uring of an old kernel", &pv_uring_plain_ops },
		       { "epoll", &pv_epoll_ops } };
	int failed = 0;

	for (size_t i = from_engine; i < to_engine; i++) {
		loop_rig_engine = engine[i].ops;
		if (is_refused())
			print_message("%s is refused on this machine\n", engine[i].name);
		else
			failed += _cmocka_run_group_tests(engine[i].name, tests, count, NULL, NULL);
	}
	return failed;
}

struct pv_loop *loop_rig_make(void)
{
	return loop_rig_make_polling(50);
}

uint64_t loop_rig_now_us(void)
{
	return pv_clock_ns(CLOCK_MONOTONIC) / 1000;
}

void loop_rig_write_one(int fd)
{
	const uint64_t one = 1;

	assert_int_equal(write(fd, &one, sizeof(one)), sizeof(one));
}

static void run_task(struct pv_loop_message *message)
{
	struct task *task = (struct task *)message;

	task->call(task->arg);
}

struct task loop_rig_task(void (*call)(void *arg), void *arg)
{
	return (struct task){ .message.run = run_task, .call = call, .arg = arg };
}

static void stop(void *arg)
{
	pv_loop_stop(arg);
}

void loop_rig_run_a_while(struct pv_loop *loop, int iterations)
{
	for (int i = 0; i < iterations; i++) {
		struct task end = loop_rig_task(stop, loop);

		pv_loop_post(loop, &end.message);
		pv_loop_run(loop);
	}
}

void loop_rig_run_until(struct pv_loop *loop, const int *count, int wanted)
{
	uint64_t end_us = loop_rig_now_us() + 10000000;

	while (*count < wanted && loop_rig_now_us() < end_us)
		loop_rig_run_a_while(loop, 1);
	assert_int_equal(*count, wanted);
}

void loop_rig_see(void *arg, int events)
{
	struct seen *seen = arg;

	seen->calls++;
	seen->events = events;
}
