/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The engine on epoll, and on threads for file I/O (pool.h).
 *
 * An edge-triggered epoll set tells of each change as a multishot poll of io_uring does.  It knows
 * a file by its descriptor, so each watch is there with a descriptor of its own: one file may be
 * watched twice, and whoever ends a watch may close theirs at once.
 *
 * What the set cannot say the engine answers itself: that a file is always ready, that one cannot
 * be waited for, that a watch has ended.  The loop hears of it when it reaps, as of all else.
 *
 * #syscalls epoll_ctl epoll_wait epoll_pwait fcntl close
 */
#include "hosted/loop/loop_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <unistd.h>

#include "ring/err.h"

/*
 * A thread is a request at the disk: so many make it busy, and what is not busy only takes up the
 * memory of its stack.  What makes data stable can take a disk's whole attention for long, and has
 * threads of its own so that reads do not wait for those behind it.
 */
#define TRANSFER_THREADS 8u
#define FLUSH_THREADS    4u

static struct pv_epoll *epoll_of(struct pv_engine *engine)
{
	return (struct pv_epoll *)engine;
}

/* ---- birth and death ---- */

static int start_pools(struct pv_epoll *epoll, const char *name)
{
	char thread_name[32];
	int err;

	snprintf(thread_name, sizeof(thread_name), "%.9s-io", name);
	err = pv_pool_init(&epoll->transfers, thread_name, TRANSFER_THREADS);
	if (err)
		return err;
	snprintf(thread_name, sizeof(thread_name), "%.9s-flush", name);
	err = pv_pool_init(&epoll->flushes, thread_name, FLUSH_THREADS);
	if (err)
		pv_pool_fini(&epoll->transfers);
	return err;
}

static int init(struct pv_engine *engine, struct pv_loop *loop,
                const struct pv_loop_options *options)
{
	struct pv_epoll *epoll = epoll_of(engine);
	int err;

	*epoll = (struct pv_epoll){ .engine = { &pv_epoll_ops, loop } };
	epoll->fd = epoll_create1(EPOLL_CLOEXEC);
	if (epoll->fd < 0)
		return -errno;
	err = options->is_without_io ? 0 : start_pools(epoll, options->name);
	if (err)
		close(epoll->fd);
	return err;
}

static void fini(struct pv_engine *engine)
{
	struct pv_epoll *epoll = epoll_of(engine);

	if (!engine->loop->is_without_io) {
		pv_pool_fini(&epoll->transfers);
		pv_pool_fini(&epoll->flushes);
	}
	for (const struct pv_watch *watch = engine->loop->watches; watch; watch = watch->next)
		if (watch->is_armed && watch->epoll.fd >= 0)
			close(watch->epoll.fd);
	close(epoll->fd);
}

/* Any thread will do. */
static void do_nothing(struct pv_engine *engine)
{
	(void)engine;
}

/* ---- file I/O ---- */

static bool is_flush(const struct pv_loop_io *io)
{
	return io->op == PV_LOOP_SYNC || io->op == PV_LOOP_ALLOCATE ||
	       (io->op == PV_LOOP_WRITE && io->flags & (RWF_DSYNC | RWF_SYNC));
}

static bool give(struct pv_engine *engine, struct pv_loop_io *io)
{
	struct pv_epoll *epoll = epoll_of(engine);

	pv_pool_give(is_flush(io) ? &epoll->flushes : &epoll->transfers, engine->loop, io);
	return true;
}

/* ---- watches ---- */

/* The first answer is the one that counts: a watch that has ended by itself ends no more. */
static void answer(struct pv_epoll *epoll, struct pv_watch *watch, int result)
{
	if (watch->epoll.is_answered)
		return;
	watch->epoll.is_answered = true;
	watch->epoll.answer = result;
	watch->epoll.next_answered = epoll->answered;
	epoll->answered = watch;
}

static void take_out(struct pv_epoll *epoll, struct pv_watch *watch)
{
	if (watch->epoll.fd < 0)
		return;
	/* Closing alone would not do: others may have the same file open. */
	epoll_ctl(epoll->fd, EPOLL_CTL_DEL, watch->epoll.fd, NULL);
	close(watch->epoll.fd);
	watch->epoll.fd = -1;
}

/* Returns 0 or -errno. */
static int put_in(const struct pv_epoll *epoll, struct pv_watch *watch)
{
	struct epoll_event wanted = { .events = (uint16_t)watch->events | (uint32_t)EPOLLET,
		                      .data.ptr = watch };

	watch->epoll.fd = fcntl(watch->fd, F_DUPFD_CLOEXEC, 0);
	if (watch->epoll.fd < 0 ||
	    epoll_ctl(epoll->fd, EPOLL_CTL_ADD, watch->epoll.fd, &wanted) < 0)
		return -errno;
	return 0;
}

static bool arm(struct pv_engine *engine, struct pv_watch *watch)
{
	struct pv_epoll *epoll = epoll_of(engine);
	int err;

	watch->epoll.is_answered = false;
	err = put_in(epoll, watch);
	if (!err)
		return true;
	take_out(epoll, watch);
	/* A file that cannot be polled is always ready. */
	answer(epoll, watch, err == -EPERM ? watch->events & (POLLIN | POLLOUT) : err);
	return true;
}

/* What the last look said of it, and was not told yet, is not to be told any more. */
static void forget(struct pv_epoll *epoll, const struct pv_watch *watch)
{
	for (int i = epoll->told; i < epoll->events; i++)
		if (epoll->event[i].data.ptr == watch)
			epoll->event[i].data.ptr = NULL;
}

static bool cancel(struct pv_engine *engine, struct pv_watch *watch)
{
	struct pv_epoll *epoll = epoll_of(engine);

	take_out(epoll, watch);
	forget(epoll, watch);
	answer(epoll, watch, -ECANCELED);
	return true;
}

/* ---- looking, waiting, telling ---- */

static void look(struct pv_epoll *epoll, int timeout_ms)
{
	struct pv_loop_counters *counters = &epoll->engine.loop->counters;

	/* One look's events are told before the next is taken. */
	if (pv_epoll_has_news(epoll))
		return;
	pv_count(&counters->submits);
	epoll->looked_at = counters->iterations;
	epoll->told = 0;
	/* A signal is no news: a handler that stops the loop writes to what is waited for. */
	do
		epoll->events = epoll_wait(epoll->fd, epoll->event, PV_EPOLL_EVENTS, timeout_ms);
	while (epoll->events < 0 && errno == EINTR);
	pv_bug_on(epoll->events < 0);
}

static void submit(struct pv_engine *engine)
{
	look(epoll_of(engine), 0);
}

static void wait_for_news(struct pv_engine *engine)
{
	look(epoll_of(engine), -1);
}

static void reap(struct pv_engine *engine)
{
	struct pv_epoll *epoll = epoll_of(engine);

	while (epoll->answered) {
		struct pv_watch *watch = epoll->answered;

		epoll->answered = watch->epoll.next_answered;
		pv_watch_event(watch, watch->epoll.answer, PV_WATCH_ENDED);
	}
	while (epoll->told < epoll->events) {
		const struct epoll_event *event = &epoll->event[epoll->told++];

		if (event->data.ptr)
			pv_watch_event(event->data.ptr, (int)event->events, PV_WATCH_GOES_ON);
	}
}

const struct pv_engine_ops pv_epoll_ops = {
	.init = init,
	.fini = fini,
	.begin = do_nothing,
	.end = do_nothing,
	.leave = do_nothing,
	.io = give,
	.arm = arm,
	.cancel = cancel,
	.submit = submit,
	.wait = wait_for_news,
	.reap = reap,
};
