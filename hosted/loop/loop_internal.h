/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Within the loop: the line between the loop (iterations, pollers, messages, when to sleep) and its
 * engine (how the kernel is asked to do I/O and to wait).
 *
 * The engine calls back through `io->done` and pv_watch_event(), only from pv_uring_reap().
 */
#ifndef PV_HOSTED_LOOP_INTERNAL_H
#define PV_HOSTED_LOOP_INTERNAL_H

#include <liburing.h>
#include <pthread.h>
#include <semaphore.h>

#include "devices/core/counters.h"
#include "hosted/loop/loop.h"
#include "hosted/loop/pace.h"

/*
 * A watch is in the hands of the kernel (armed), or waits to be put there or taken away (due), or
 * both.  It is freed when the kernel has let go of it and nobody else wants it.
 */
struct pv_watch {
	struct pv_loop *loop;
	int fd;
	short events;
	bool is_armed;
	bool is_due;
	bool is_unwatched;
	uint64_t overflows; /* the engine's count when it was armed */
	void (*ready)(void *arg, int events);
	void *arg;
	struct pv_watch *next_due;
	struct pv_watch *next; /* all of the loop's */
	struct pv_watch **link;
};

/* What the kernel's answer about a watch means for the watch. */
enum pv_watch_fate {
	PV_WATCH_GOES_ON,
	PV_WATCH_DROPPED, /* the kernel let go of it, but there is more to be told */
	PV_WATCH_ENDED,
};

void pv_watch_event(struct pv_watch *watch, int result, enum pv_watch_fate fate);

/* ---- the engine: io_uring ---- */

struct pv_uring {
	struct io_uring ring;
	bool is_enabled;
	uint64_t overflows; /* times that completions were seen waiting for room */
	pv_counter *calls;  /* counts system calls */
};

/*
 * Sets up a ring that does nothing until it is begun. `is_plain`: with what every kernel that can
 * run this at all understands. Returns 0 or -errno.
 */
int pv_uring_init(struct pv_uring *uring, bool is_plain, pv_counter *calls);
void pv_uring_fini(struct pv_uring *uring);

/* On the thread that will use it: begin before the first use, end after the last. */
void pv_uring_begin(struct pv_uring *uring);
void pv_uring_end(struct pv_uring *uring);

/* Queue something for submission. False: no room even after submitting; try again later. */
bool pv_uring_io(struct pv_uring *uring, struct pv_loop_io *io);
bool pv_uring_arm(struct pv_uring *uring, struct pv_watch *watch);
bool pv_uring_cancel(struct pv_uring *uring, struct pv_watch *watch);

/* Submits what is queued and collects what the kernel holds ready. One system call, or none. */
void pv_uring_submit(struct pv_uring *uring);

/* The same, and waits until there is something to reap. May come back early. */
void pv_uring_wait(struct pv_uring *uring);

/* Would a submit make a system call? */
static inline bool pv_uring_must_submit(const struct pv_uring *uring)
{
	return io_uring_sq_ready(&uring->ring) > 0 ||
	       IO_URING_READ_ONCE(*uring->ring.sq.kflags) &
	               (IORING_SQ_CQ_OVERFLOW | IORING_SQ_TASKRUN);
}

/* Has the kernel left anything to reap? No system call. */
static inline bool pv_uring_has_news(const struct pv_uring *uring)
{
	return io_uring_cq_ready(&uring->ring) > 0;
}

/* Calls back for all that is there when it begins. */
void pv_uring_reap(struct pv_uring *uring);

/* ---- the loop ---- */

struct pv_loop {
	/* Written by other threads. */
	struct pv_loop_message *posted __attribute__((aligned(64))); /* newest first */
	bool is_stopping;

	/* Asks those threads to write to `wake_fd`. Written by both sides, seldom. */
	bool is_asleep __attribute__((aligned(64)));

	/* The loop's own. */
	struct pv_uring uring __attribute__((aligned(64)));
	struct pv_poller *pollers;
	struct pv_poller *next_poller; /* where the walk under way goes on */
	struct pv_pace pace;
	uint32_t idle_iterations; /* in a row */
	bool is_submit_held;      /* left to the next iteration, once */
	struct pv_watch *watches;
	struct pv_watch *due;
	struct pv_loop_io *waiting; /* for room in the engine */
	struct pv_loop_io **waiting_end;
	struct pv_loop_counters counters;

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

/* pv_loop_create() with a choice of engine. */
int pv_loop_create_plain(struct pv_loop **loop, const struct pv_loop_options *options,
                         bool is_plain);

#endif
