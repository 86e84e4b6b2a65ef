/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The loop: its life and its thread, messages, and how it is woken.
 *
 * #syscalls write close prctl futex
 */
#include "hosted/loop/loop_internal.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "hosted/loop/log.h"
#include "hosted/loop/thread.h"
#include "ring/err.h"

/* ---- birth and death ---- */

/* A write to it is all that is wanted: the message or the order to stop says the rest. */
static void woken(void *arg, int events)
{
	(void)arg;
	pv_bug_on(events < 0);
}

static int set_up_wake(struct pv_loop *loop)
{
	loop->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (loop->wake_fd < 0)
		return -errno;
	loop->wake = pv_loop_watch(loop, loop->wake_fd, POLLIN, woken, NULL);
	if (loop->wake)
		return 0;
	close(loop->wake_fd);
	return -ENOMEM;
}

int pv_loop_create_on(struct pv_loop **created, const struct pv_loop_options *options,
                      const struct pv_engine_ops *engine)
{
	struct pv_loop *loop = aligned_alloc(64, sizeof(*loop));
	int err;

	if (!loop)
		return -ENOMEM;
	*loop = (struct pv_loop){ .waiting_end = &loop->waiting,
		                  .is_on_uring = engine != &pv_epoll_ops,
		                  .is_without_io = options->is_without_io,
		                  .lock = options->lock };
	snprintf(loop->name, sizeof(loop->name), "%s", options->name);
	pv_pace_init(&loop->pace[0], options->poll_max_us);
	pv_pace_init(&loop->pace[1], options->poll_max_us);
	loop->gap = &loop->pace[0];
	sem_init(&loop->begun, 0, 0);
	err = engine->init(&loop->engine, loop, options);
	if (err)
		goto no_engine;
	err = set_up_wake(loop);
	if (err)
		goto no_wake;
	*created = loop;
	return 0;
no_wake:
	engine->fini(&loop->engine);
no_engine:
	sem_destroy(&loop->begun);
	free(loop);
	return err;
}

/*
 * It is forbidden, or the kernel has too little of it, or counts its memory as locked, as old ones
 * do, of which there may be little.
 */
static bool is_refusal(int err)
{
	return pv_loop_uring_is_forbidden(err) || err == -EINVAL || err == -ENOMEM;
}

static void say_refused_once(int err)
{
	static bool is_said;
	char line[256];

	if (__atomic_exchange_n(&is_said, true, __ATOMIC_RELAXED))
		return;
	snprintf(
		line, sizeof(line),
		"io_uring is refused here (%s): threads do the file I/O, at more CPU time for each "
		"request%s",
		strerror(-err), pv_loop_uring_is_forbidden(err) ? "; " PV_LOOP_URING_REMEDY : "");
	pv_log("loop", PV_LOG_WARNING, line);
}

int pv_loop_create(struct pv_loop **loop, const struct pv_loop_options *options)
{
	int err;

	if (options->engine != PV_LOOP_ENGINE_EPOLL) {
		err = pv_loop_create_on(loop, options, &pv_uring_ops);
		if (options->engine == PV_LOOP_ENGINE_URING || !is_refusal(err))
			return err;
		say_refused_once(err);
	}
	return pv_loop_create_on(loop, options, &pv_epoll_ops);
}

void pv_loop_destroy(struct pv_loop *loop)
{
	loop->engine.ops->fini(&loop->engine);
	while (loop->watches) {
		struct pv_watch *watch = loop->watches;

		loop->watches = watch->next;
		free(watch);
	}
	close(loop->wake_fd);
	sem_destroy(&loop->begun);
	free(loop);
}

/* ---- messages, stopping, and waking ---- */

/*
 * Publish - decide: what was published before this call is seen by the loop before it sleeps, or
 * its wish to be woken is seen here.  Pairs with arm - recheck where the loop falls asleep; all
 * accesses of the pair are sequentially consistent.
 */
static void wake_if_asleep(struct pv_loop *loop)
{
	static const uint64_t one = 1;
	int saved = errno;

	if (!__atomic_load_n(&loop->is_asleep, __ATOMIC_SEQ_CST))
		return;
	/* Who takes the wish away writes: one write is enough for all. */
	if (!__atomic_exchange_n(&loop->is_asleep, false, __ATOMIC_SEQ_CST))
		return;
	/* Fails only when the counter is full, which it is not within a lifetime. */
	(void)!write(loop->wake_fd, &one, sizeof(one));
	errno = saved;
}

void pv_loop_post(struct pv_loop *loop, struct pv_loop_message *message)
{
	pv_mailbox_put(&loop->posted, message);
	wake_if_asleep(loop);
}

void pv_loop_stop(struct pv_loop *loop)
{
	__atomic_store_n(&loop->is_stopping, true, __ATOMIC_SEQ_CST);
	wake_if_asleep(loop);
}

bool pv_loop_run_messages(struct pv_loop *loop)
{
	struct pv_loop_message *message;

	if (pv_mailbox_is_empty(&loop->posted, __ATOMIC_RELAXED))
		return false;
	message = pv_mailbox_take(&loop->posted);
	while (message) {
		struct pv_loop_message *next = message->next;

		pv_count(&loop->counters.messages);
		/* It is the sender's again from here on. */
		message->run(message);
		message = next;
	}
	return true;
}

void pv_loop_run(struct pv_loop *loop)
{
	loop->engine.ops->begin(&loop->engine);
	pv_loop_iterate(loop);
	loop->engine.ops->end(&loop->engine);
}

/* ---- a thread of its own ---- */

static void *thread_main(void *arg)
{
	struct pv_loop *loop = arg;

	prctl(PR_SET_NAME, loop->name);
	loop->engine.ops->begin(&loop->engine);
	sem_post(&loop->begun);
	pv_loop_iterate(loop);
	loop->engine.ops->leave(&loop->engine);
	loop->engine.ops->end(&loop->engine);
	return NULL;
}

int pv_loop_thread_start(struct pv_loop *loop)
{
	int err = pv_thread_start(&loop->thread, thread_main, loop);

	if (err)
		return err;
	while (sem_wait(&loop->begun) && errno == EINTR)
		;
	return 0;
}

void pv_loop_thread_join(struct pv_loop *loop)
{
	pv_loop_stop(loop);
	pthread_join(loop->thread, NULL);
}

/* ---- counters ---- */

struct pv_loop_counters pv_loop_counters(const struct pv_loop *loop)
{
	const struct pv_loop_counters *from = &loop->counters;

	return (struct pv_loop_counters){
		.iterations = pv_count_read(&from->iterations),
		.submits = pv_count_read(&from->submits),
		.ios = pv_count_read(&from->ios),
		.sleeps = pv_count_read(&from->sleeps),
		.yields = pv_count_read(&from->yields),
		.messages = pv_count_read(&from->messages),
	};
}
