/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef PV_HOSTED_THREAD_H
#define PV_HOSTED_THREAD_H

#include <pthread.h>

/*
 * Any thread. Starts one with all signals blocked but those of a fault: signals are for the main
 * thread, and a fault can only be taken by the thread that made it. Returns 0 or -errno.
 */
int pv_thread_start(pthread_t *thread, void *(*run)(void *arg), void *arg);

#endif
