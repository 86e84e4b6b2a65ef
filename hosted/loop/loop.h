/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The event loop: one thread, one loop.
 *
 * A loop runs pollers (queues whose rings can be looked at for nothing), waits for file
 * descriptors, carries out file I/O, and receives messages from other threads.  An iteration reaps
 * what the kernel finished, runs the messages, then the pollers, and submits all that was queued
 * meanwhile with one system call, or with none where nothing was.  When nothing happens it first
 * goes on polling for a short time that adjusts itself, yielding now and then; then it arms the
 * pollers (which asks the guests for kicks), looks once more, and sleeps.  An idle loop uses no
 * CPU.
 *
 * The engine behind it is io_uring, or, where the kernel refuses that, epoll and a few threads that
 * do the file I/O.  The two differ in speed and in nothing else.
 *
 * Unless said otherwise a function may be called only on the loop's own thread; while the loop does
 * not run, by whoever owns it.  What is begun then is carried out when it runs.
 */
#ifndef PV_HOSTED_LOOP_H
#define PV_HOSTED_LOOP_H

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

struct pv_loop;

enum pv_loop_engine {
	PV_LOOP_ENGINE_AUTO, /* io_uring if it is to be had, otherwise epoll */
	PV_LOOP_ENGINE_URING,
	PV_LOOP_ENGINE_EPOLL,
};

/* What helps where the kernel says -EPERM, -EACCES or -ENOSYS to io_uring: containers often do. */
#define PV_LOOP_URING_REMEDY                                                                       \
	"allow it in the container's seccomp profile, or with sysctl kernel.io_uring_disabled=0"

static inline bool pv_loop_uring_is_forbidden(int error)
{
	return error == -EPERM || error == -EACCES || error == -ENOSYS;
}

struct pv_loop_options {
	const char *name;     /* of its thread; at most 15 characters are shown */
	uint32_t poll_max_us; /* the longest time to poll before sleeping; 0: never poll */
	enum pv_loop_engine engine;
	bool is_without_io; /* pv_loop_io_submit() is not called: no threads for it are needed */
	/*
	 * A lock that the loop holds except while it sleeps: what it works on may then be worked on
	 * by other threads, which take the lock and keep to messages in what they want of the loop.
	 * NULL: none. It is held by whoever calls pv_loop_run().
	 */
	struct pv_loop_lock *lock;
};

struct pv_loop_lock {
	void (*take)(struct pv_loop_lock *lock);
	void (*leave)(struct pv_loop_lock *lock);
};

/*
 * Returns 0 and the loop, or -errno: what the kernel said to the engine, or want of memory. The
 * threads that file I/O may need are started here, and none later. Where io_uring was refused and
 * the choice was left to us a log line says so, once in a process.
 */
int pv_loop_create(struct pv_loop **loop, const struct pv_loop_options *options);

/* The loop must not be running, and no I/O may be pending on it. Watches end with it. */
void pv_loop_destroy(struct pv_loop *loop);

/*
 * Runs until pv_loop_stop(), on the calling thread. A loop may run again after that, on the same
 * thread: the kernel ties the engine to the thread that runs it first.
 */
void pv_loop_run(struct pv_loop *loop);

/*
 * Any thread, and signal handlers. The loop returns from pv_loop_run() after its iteration; one
 * that does not run yet returns at once when it does.
 */
void pv_loop_stop(struct pv_loop *loop);

/*
 * Runs the loop on a thread of its own, with all signals blocked but those of a fault. What the
 * thread must ask of the kernel before it runs has been asked when this returns. Returns 0 or
 * -errno.
 */
int pv_loop_thread_start(struct pv_loop *loop);

/* Stops that thread and waits for it. */
void pv_loop_thread_join(struct pv_loop *loop);

/* ---- messages between loops ---- */

/* Lives in the sender's own structure until `run` is called, on the receiving loop. */
struct pv_loop_message {
	void (*run)(struct pv_loop_message *message);
	struct pv_loop_message *next;
};

/*
 * Any thread. Messages from one thread arrive in the order they were posted, each in an iteration
 * of the loop and never from within this call. What was written before is seen by `run`.
 */
void pv_loop_post(struct pv_loop *loop, struct pv_loop_message *message);

/* ---- pollers ---- */

struct pv_poller {
	/* Does what there is to do. Returns whether there was anything. */
	bool (*poll)(struct pv_poller *poller);
	/* About to sleep: ask to be woken. Returns true if there is work after all. */
	bool (*arm)(struct pv_poller *poller);
	/* Awake: asking is not necessary. Also called for a poller that did not ask. */
	void (*disarm)(struct pv_poller *poller);
	struct pv_poller *next; /* the loop's */
};

/* A poller may be removed, by itself too, at any time; a poller that was armed is not disarmed. */
void pv_loop_poller_add(struct pv_loop *loop, struct pv_poller *poller);
void pv_loop_poller_remove(struct pv_loop *loop, struct pv_poller *poller);

/* ---- file descriptors ---- */

struct pv_watch;

/*
 * Calls `ready(arg, events)` whenever `fd` becomes ready for one of `events` (POLLIN, POLLOUT), or
 * fails (POLLERR, POLLHUP); -errno in place of the events, once, if it cannot be waited for. The
 * callback is told of each change, and at the beginning of the state it finds, but not as long as a
 * state lasts: it must read until EAGAIN, or, for an eventfd that only wakes, may leave it alone
 * (each write to one is a change). A file that is always ready is told once. Returns NULL without
 * memory.
 */
struct pv_watch *pv_loop_watch(struct pv_loop *loop, int fd, short events,
                               void (*ready)(void *arg, int events), void *arg);

/*
 * Ends it: the callback is not called any more. The descriptor may be closed at once; the file
 * behind it stays open until the end of this iteration. The watch is freed by the loop.
 */
void pv_loop_unwatch(struct pv_loop *loop, struct pv_watch *watch);

/* ---- file I/O ---- */

enum pv_loop_io_op {
	PV_LOOP_READ,     /* preadv2 */
	PV_LOOP_WRITE,    /* pwritev2 */
	PV_LOOP_SYNC,     /* fdatasync */
	PV_LOOP_ALLOCATE, /* fallocate; `flags` is its mode */
	PV_LOOP_ERASE,    /* BLKSECDISCARD; only a pool of the caller's can do it: pool.h */
};

/* Lives in the caller's structure until `done`, as do the buffers. */
struct pv_loop_io {
	enum pv_loop_io_op op;
	int fd;
	int flags; /* read, write: RWF_* */
	const struct iovec *iov;
	unsigned int iovs;
	uint64_t offset;
	uint64_t bytes; /* allocate, erase */
	/* `result` as the system call's: bytes or 0, or -errno. */
	void (*done)(struct pv_loop_io *io, int64_t result);

	/* The loop's. */
	struct pv_loop_io *next;
	struct pv_loop *loop; /* a pool's: whom to answer */
	struct pv_loop_message answer;
	int64_t result;
};

/*
 * Queues an I/O; it is submitted with a few others or with the rest of this iteration, or with the
 * next where the loop is about to sleep and one system call can do both. Any number may be pending.
 * `done` is never called from within this call.
 */
void pv_loop_io_submit(struct pv_loop *loop, struct pv_loop_io *io);

/* ---- counters ---- */

struct pv_loop_counters {
	uint64_t iterations;
	uint64_t submits; /* system calls that submitted or waited */
	uint64_t ios;     /* I/Os submitted */
	uint64_t sleeps;
	uint64_t yields;
	uint64_t messages; /* with those by which threads answer I/Os, on epoll */
};

/* Any thread. Each value is whole; together they are of about one time. */
struct pv_loop_counters pv_loop_counters(const struct pv_loop *loop);

#endif
