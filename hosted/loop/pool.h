/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Threads that do file I/O with plain system calls: a loop's, where io_uring is not to be had, and
 * whoever's has I/O that no engine can do without waiting.
 *
 * The loop puts an I/O into a mailbox and counts a semaphore up; a thread that the semaphore lets
 * through takes the oldest one, makes the system call and posts the answer to the loop as a
 * message, which wakes the loop if it sleeps.  The loop never waits for the threads: the lock is
 * between these alone.  All of them are there from the beginning, and sleep while there is nothing
 * to do.
 */
#ifndef PV_HOSTED_POOL_H
#define PV_HOSTED_POOL_H

#include <pthread.h>
#include <semaphore.h>

#include "hosted/loop/loop.h"
#include "hosted/loop/mailbox.h"

#define PV_POOL_THREADS_MAX 8u

struct pv_pool {
	char name[16];
	unsigned int threads;
	pthread_t thread[PV_POOL_THREADS_MAX];

	struct pv_mailbox given;
	sem_t tokens; /* one for each I/O that no thread has taken; more than those: the end */

	/* The threads'. */
	pthread_mutex_t mutex;
	struct pv_loop_message *next; /* taken out of the mailbox, the oldest first */
};

/*
 * Starts so many threads, all called `name` (of which 15 characters are shown). Returns 0 or
 * -errno; nothing is left then.
 */
int pv_pool_init(struct pv_pool *pool, const char *name, unsigned int threads);

/*
 * Ends the threads and waits for them. No I/O may be pending; the loops that gave it must still be
 * there.
 */
void pv_pool_fini(struct pv_pool *pool);

/*
 * Any thread, for a loop of its own. `io->done` is called by that loop, in one of its iterations.
 * Any number may be pending.
 */
void pv_pool_give(struct pv_pool *pool, struct pv_loop *loop, struct pv_loop_io *io);

#endif
