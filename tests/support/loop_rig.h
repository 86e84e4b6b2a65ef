/* SPDX-License-Identifier: BSD-2-Clause */
/* An event loop that a test makes and runs by hand.  Include after cmocka. */
#ifndef PV_TESTS_LOOP_RIG_H
#define PV_TESTS_LOOP_RIG_H

#include "hosted/loop/loop_internal.h"

/* What the loops run on. */
extern const struct pv_engine_ops *loop_rig_engine;

/*
 * Run the tests on each engine (io_uring as the kernel offers it, io_uring as an old kernel would,
 * epoll), or only on some. One that is refused on this machine is passed over. Return how many
 * failed.
 */
#define loop_rig_run_on_each_engine(tests) loop_rig_run_tests(tests, ARRAY_LENGTH(tests), 0, 3)
#define loop_rig_run_on_io_uring(tests)    loop_rig_run_tests(tests, ARRAY_LENGTH(tests), 0, 2)
#define loop_rig_run_on_epoll(tests)       loop_rig_run_tests(tests, ARRAY_LENGTH(tests), 2, 3)
#define ARRAY_LENGTH(array)                (sizeof(array) / sizeof((array)[0]))
int loop_rig_run_tests(const struct CMUnitTest *tests, size_t count, size_t from_engine,
                       size_t to_engine);

struct pv_loop *loop_rig_make(void);
struct pv_loop *loop_rig_make_polling(uint32_t poll_max_us);

/* A message that calls a function. */
struct task {
	struct pv_loop_message message;
	void (*call)(void *arg);
	void *arg;
};

struct task loop_rig_task(void (*call)(void *arg), void *arg);

/* Lets the loop run until it has done all that it can do by itself. */
void loop_rig_run_a_while(struct pv_loop *loop, int iterations);

/* Runs until `*count` is `wanted`; fails after some seconds. */
void loop_rig_run_until(struct pv_loop *loop, const int *count, int wanted);

/* What a watch told. */
struct seen {
	int calls;
	int events; /* of the last call */
};

/* The callback of a watch whose `arg` is a struct seen. */
void loop_rig_see(void *arg, int events);

uint64_t loop_rig_now_us(void);
void loop_rig_write_one(int fd);

#endif
