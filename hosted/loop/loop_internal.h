/* SPDX-License-Identifier: BSD-2-Clause */
/* Within the loop: what its files have in common. engine.h has the line to its engine. */
#ifndef PV_HOSTED_LOOP_INTERNAL_H
#define PV_HOSTED_LOOP_INTERNAL_H

#include <pthread.h>
#include <semaphore.h>

#include "devices/core/counters.h"
#include "hosted/loop/engine.h"
#include "hosted/loop/loop.h"
#include "hosted/loop/loop_epoll.h"
#include "hosted/loop/loop_uring.h"
#include "hosted/loop/mailbox.h"
#include "hosted/loop/pace.h"

/*
 * So many I/Os keep a disk busy: it does not stand idle when it gets more a little later.
 */
#define PV_LOOP_IOS_OF_BUSY_DISK 8u

struct pv_loop {
	/* Written by other threads. */
	struct pv_mailbox posted __attribute__((aligned(64)));
	bool is_stopping;

	/* Asks those threads to write to `wake_fd`. Written by both sides, seldom. */
	bool is_asleep __attribute__((aligned(64)));

	/* The loop's own. */
	union {
		struct pv_engine engine;
		struct pv_uring uring;
		struct pv_epoll epoll;
	} __attribute__((aligned(64)));
	bool is_on_uring;
	bool is_without_io;
	struct pv_poller *pollers;
	struct pv_poller *next_poller; /* where the walk under way goes on */
	/*
	 * Gaps while I/O is under way last as long as a disk takes, others as long as a driver
	 * does: each kind has a pace of its own. `gap` is that of the gap under way, or the next.
	 */
	struct pv_pace pace[2];
	struct pv_pace *gap;
	uint32_t ios_out;         /* given to the kernel or to threads, and not ended */
	uint32_t idle_iterations; /* in a row */
	bool is_submit_held;      /* left to the next iteration, once */
	struct pv_watch *watches;
	struct pv_watch *due;
	struct pv_loop_io *waiting; /* for room in the engine */
	struct pv_loop_io **waiting_end;
	struct pv_loop_counters counters;

	struct pv_loop_lock *lock; /* may be NULL */
	int wake_fd;
	struct pv_watch *wake;
	char name[16];
	pthread_t thread;
	sem_t begun;
};

/* Runs the messages that are there. Returns whether any were. */
bool pv_loop_run_messages(struct pv_loop *loop);

/* Hands to the engine what had no room before. Returns whether all of it has now. */
bool pv_loop_queue_rest(struct pv_loop *loop);

/* Iterates until it is told to stop. */
void pv_loop_iterate(struct pv_loop *loop);

/* pv_loop_create() on this engine and no other. */
int pv_loop_create_on(struct pv_loop **loop, const struct pv_loop_options *options,
                      const struct pv_engine_ops *engine);

/*
 * What is asked in each iteration is asked without a detour. Should the engine be made to submit,
 * though there is nothing to be queued?
 */
static inline bool pv_loop_engine_must_submit(const struct pv_loop *loop)
{
	return loop->is_on_uring ? pv_uring_must_submit(&loop->uring)
	                         : pv_epoll_must_submit(&loop->epoll, loop->counters.iterations);
}

/* Is there anything to reap? */
static inline bool pv_loop_engine_has_news(const struct pv_loop *loop)
{
	return loop->is_on_uring ? pv_uring_has_news(&loop->uring)
	                         : pv_epoll_has_news(&loop->epoll);
}

#endif
