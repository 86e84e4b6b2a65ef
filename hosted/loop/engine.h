/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Within the loop: the line between the loop (iterations, pollers, messages, when to sleep) and its
 * engine (how the kernel is asked to wait for descriptors and to do file I/O).
 *
 * There are two engines: io_uring (loop_uring.c), and epoll with threads for file I/O
 * (loop_epoll.c) where that is refused.  Both behave as one: what is queued is begun at the latest
 * by the next submit or wait, and what the kernel finished is told by pv_watch_event() from reap,
 * or by `io->done` from reap or as a message; never from within another call.  Everything here is
 * the loop's thread's.
 */
#ifndef PV_HOSTED_ENGINE_H
#define PV_HOSTED_ENGINE_H

#include "hosted/loop/loop.h"

struct pv_engine;

/*
 * A watch is in the hands of the engine (armed), or waits to be put there or taken away (due), or
 * both.  It is freed when the engine has let go of it and nobody else wants it.
 */
struct pv_watch {
	struct pv_loop *loop;
	int fd;
	short events;
	bool is_armed;
	bool is_due;
	bool is_unwatched;
	void (*ready)(void *arg, int events);
	void *arg;
	struct pv_watch *next_due;
	struct pv_watch *next; /* all of the loop's */
	struct pv_watch **link;

	/* The engine's, from when it is armed. */
	union {
		struct {
			uint64_t overflows; /* the engine's count at that time */
		} uring;
		struct {
			int fd; /* its own, in the epoll set; -1: it is not there (any more) */
			int answer;
			bool is_answered; /* by the engine, once, to be told at the next reap */
			struct pv_watch *next_answered;
		} epoll;
	};
};

/* What an engine's answer about a watch means for the watch. */
enum pv_watch_fate {
	PV_WATCH_GOES_ON,
	PV_WATCH_DROPPED, /* the engine let go of it, but there is more to be told */
	PV_WATCH_ENDED,
};

/* The engine tells the loop: `result` is events, or -errno. */
void pv_watch_event(struct pv_watch *watch, int result, enum pv_watch_fate fate);

struct pv_engine_ops {
	/* Sets up the engine of a loop; it does nothing until it is begun. Returns 0 or -errno. */
	int (*init)(struct pv_engine *engine, struct pv_loop *loop,
	            const struct pv_loop_options *options);
	/* No I/O is pending. Watches end with it. */
	void (*fini)(struct pv_engine *engine);

	/* On the thread that will use it: begin before the first use, end after the last. */
	void (*begin)(struct pv_engine *engine);
	void (*end)(struct pv_engine *engine);

	/* There, before the end that is the last: nothing that is watched is held on to any more.
	 */
	void (*leave)(struct pv_engine *engine);

	/* Queue something. False: no room even after submitting; try again later. */
	bool (*io)(struct pv_engine *engine, struct pv_loop_io *io);
	bool (*arm)(struct pv_engine *engine, struct pv_watch *watch);
	/* Answered, as the last that is told of the watch, with PV_WATCH_ENDED. */
	bool (*cancel)(struct pv_engine *engine, struct pv_watch *watch);

	/* Begins what is queued and collects what the kernel holds ready. */
	void (*submit)(struct pv_engine *engine);
	/* The same, and waits until there is something to reap. May come back early. */
	void (*wait)(struct pv_engine *engine);
	/* Tells all that is there when it begins. */
	void (*reap)(struct pv_engine *engine);
};

/* The beginning of each engine's own structure. */
struct pv_engine {
	const struct pv_engine_ops *ops;
	struct pv_loop *loop;
};

extern const struct pv_engine_ops pv_uring_ops;
extern const struct pv_engine_ops pv_uring_plain_ops; /* with what each kernel understands */
extern const struct pv_engine_ops pv_epoll_ops;

#endif
