/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The loop: its life and its thread, messages, and how it is woken.
 *
 * #syscalls write close prctl
 * #syscalls futex set_robust_list rseq rt_sigprocmask madvise munmap exit
 */
#include "hosted/loop/loop_internal.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <unistd.h>

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

int pv_loop_create_plain(struct pv_loop **created, const struct pv_loop_options *options,
                         bool is_plain)
{
	struct pv_loop *loop = aligned_alloc(64, sizeof(*loop));
	int err;

	if (!loop)
		return -ENOMEM;
	*loop = (struct pv_loop){ .waiting_end = &loop->waiting };
	snprintf(loop->name, sizeof(loop->name), "%s", options->name);
	pv_pace_init(&loop->pace, options->poll_max_us);
	sem_init(&loop->begun, 0, 0);
	err = pv_uring_init(&loop->uring, is_plain, &loop->counters.submits);
	if (err)
		goto no_ring;
	err = set_up_wake(loop);
	if (err)
		goto no_wake;
	*created = loop;
	return 0;
no_wake:
	pv_uring_fini(&loop->uring);
no_ring:
	sem_destroy(&loop->begun);
	free(loop);
	return err;
}

int pv_loop_create(struct pv_loop **loop, const struct pv_loop_options *options)
{
	return pv_loop_create_plain(loop, options, false);
}

void pv_loop_destroy(struct pv_loop *loop)
{
	pv_uring_fini(&loop->uring);
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
	message->next = __atomic_load_n(&loop->posted, __ATOMIC_RELAXED);
	while (!__atomic_compare_exchange_n(&loop->posted, &message->next, message, true,
	                                    __ATOMIC_SEQ_CST, __ATOMIC_RELAXED))
		;
	wake_if_asleep(loop);
}

void pv_loop_stop(struct pv_loop *loop)
{
	__atomic_store_n(&loop->is_stopping, true, __ATOMIC_SEQ_CST);
	wake_if_asleep(loop);
}

static struct pv_loop_message *oldest_first(struct pv_loop_message *newest)
{
	struct pv_loop_message *oldest = NULL;

	while (newest) {
		struct pv_loop_message *older = newest->next;

		newest->next = oldest;
		oldest = newest;
		newest = older;
	}
	return oldest;
}

bool pv_loop_run_messages(struct pv_loop *loop)
{
	struct pv_loop_message *message;

	if (!__atomic_load_n(&loop->posted, __ATOMIC_RELAXED))
		return false;
	message = oldest_first(__atomic_exchange_n(&loop->posted, NULL, __ATOMIC_ACQUIRE));
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
	pv_uring_begin(&loop->uring);
	pv_loop_iterate(loop);
	pv_uring_end(&loop->uring);
}

/* ---- a thread of its own ---- */

static void *thread_main(void *arg)
{
	struct pv_loop *loop = arg;

	prctl(PR_SET_NAME, loop->name);
	pv_uring_begin(&loop->uring);
	sem_post(&loop->begun);
	pv_loop_iterate(loop);
	pv_uring_end(&loop->uring);
	return NULL;
}

/*
 * Signals are for the thread that started us; faults can only be taken by the one that made them.
 */
static void block_signals(sigset_t *before)
{
	static const int faults[] = { SIGBUS, SIGSEGV, SIGILL, SIGFPE, SIGTRAP, SIGABRT, SIGSYS };
	sigset_t blocked;

	sigfillset(&blocked);
	for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++)
		sigdelset(&blocked, faults[i]);
	pthread_sigmask(SIG_SETMASK, &blocked, before);
}

int pv_loop_thread_start(struct pv_loop *loop)
{
	sigset_t before;
	int err;

	block_signals(&before);
	err = pthread_create(&loop->thread, NULL, thread_main, loop);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (err)
		return -err;
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
