/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a thread needs to begin its work and to end; none is made once the sandbox is entered.
 *
 * #syscalls futex set_robust_list rseq rt_sigprocmask madvise munmap exit
 */
#include "hosted/loop/thread.h"

#include <signal.h>
#include <stddef.h>

static void block_signals(sigset_t *before)
{
	static const int faults[] = { SIGBUS, SIGSEGV, SIGILL, SIGFPE, SIGTRAP, SIGABRT, SIGSYS };
	sigset_t blocked;

	sigfillset(&blocked);
	for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++)
		sigdelset(&blocked, faults[i]);
	pthread_sigmask(SIG_SETMASK, &blocked, before);
}

int pv_thread_start(pthread_t *thread, void *(*run)(void *arg), void *arg)
{
	sigset_t before;
	int err;

	block_signals(&before);
	err = pthread_create(thread, NULL, run, arg);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return -err;
}
