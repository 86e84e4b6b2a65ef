/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * #syscalls preadv pwritev preadv2 pwritev2 fdatasync fallocate ioctl futex prctl
 */
#define _GNU_SOURCE
#include "hosted/loop/pool.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/uio.h>
#include <unistd.h>

#include "hosted/loop/loop_internal.h"
#include "hosted/loop/thread.h"
#include "ring/err.h"

static struct pv_loop_io *io_of(struct pv_loop_message *message)
{
	return (struct pv_loop_io *)((char *)message - offsetof(struct pv_loop_io, answer));
}

/* ---- the threads ---- */

static int64_t carry_out(const struct pv_loop_io *io)
{
	const uint64_t range[2] = { io->offset, io->bytes };
	int64_t result = -1;

	switch (io->op) {
	case PV_LOOP_READ:
		result = preadv2(io->fd, io->iov, (int)io->iovs, (off_t)io->offset, io->flags);
		break;
	case PV_LOOP_WRITE:
		result = pwritev2(io->fd, io->iov, (int)io->iovs, (off_t)io->offset, io->flags);
		break;
	case PV_LOOP_SYNC:
		result = fdatasync(io->fd);
		break;
	case PV_LOOP_ALLOCATE:
		result = fallocate(io->fd, io->flags, (off_t)io->offset, (off_t)io->bytes);
		break;
	case PV_LOOP_ERASE:
		result = ioctl(io->fd, BLKSECDISCARD, range);
		break;
	}
	return result < 0 ? -errno : result;
}

/* Waits for the oldest one. NULL: there will be no more. */
static struct pv_loop_io *take(struct pv_pool *pool)
{
	struct pv_loop_message *message;

	while (sem_wait(&pool->tokens))
		pv_bug_on(errno != EINTR);
	pthread_mutex_lock(&pool->mutex);
	if (!pool->next)
		pool->next = pv_mailbox_take(&pool->given);
	message = pool->next;
	if (message)
		pool->next = message->next;
	pthread_mutex_unlock(&pool->mutex);
	return message ? io_of(message) : NULL;
}

static void *work(void *arg)
{
	struct pv_pool *pool = arg;
	struct pv_loop_io *io;

	prctl(PR_SET_NAME, pool->name);
	while ((io = take(pool))) {
		io->result = carry_out(io);
		pv_loop_post(io->loop, &io->answer);
	}
	return NULL;
}

/* ---- the loop ---- */

static void answered(struct pv_loop_message *message)
{
	struct pv_loop_io *io = io_of(message);

	io->loop->ios_out--;
	io->done(io, io->result);
}

void pv_pool_give(struct pv_pool *pool, struct pv_loop *loop, struct pv_loop_io *io)
{
	io->loop = loop;
	loop->ios_out++;
	io->answer.run = answered;
	pv_mailbox_put(&pool->given, &io->answer);
	/* Fails only when it is full: at more I/Os than memory has room for. */
	pv_bug_on(sem_post(&pool->tokens));
}

/* ---- birth and death ---- */

int pv_pool_init(struct pv_pool *pool, const char *name, unsigned int threads)
{
	int err = 0;

	pv_bug_on(threads > PV_POOL_THREADS_MAX);
	*pool = (struct pv_pool){ 0 };
	snprintf(pool->name, sizeof(pool->name), "%s", name);
	sem_init(&pool->tokens, 0, 0);
	pthread_mutex_init(&pool->mutex, NULL);
	while (pool->threads < threads && !err) {
		err = pv_thread_start(&pool->thread[pool->threads], work, pool);
		pool->threads += !err;
	}
	if (err)
		pv_pool_fini(pool);
	return err;
}

void pv_pool_fini(struct pv_pool *pool)
{
	/* A token for each that finds nothing. */
	for (unsigned int i = 0; i < pool->threads; i++)
		sem_post(&pool->tokens);
	while (pool->threads > 0)
		pthread_join(pool->thread[--pool->threads], NULL);
	pthread_mutex_destroy(&pool->mutex);
	sem_destroy(&pool->tokens);
}
