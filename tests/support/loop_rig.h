/* SPDX-License-Identifier: BSD-2-Clause */
/* An event loop that a test makes and runs by hand.  Include after cmocka. */
#ifndef PV_TESTS_LOOP_RIG_H
#define PV_TESTS_LOOP_RIG_H

#include "hosted/loop/loop_internal.h"

/* Does the engine do as on an old kernel? */
extern bool loop_rig_is_plain;

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
