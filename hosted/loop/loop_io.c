/* SPDX-License-Identifier: BSD-2-Clause */
/* The loop: watches and I/O on their way to the engine. */
#include "hosted/loop/loop_internal.h"

#include <stdlib.h>

#include "ring/err.h"

static void put_due(struct pv_watch *watch)
{
	if (watch->is_due)
		return;
	watch->is_due = true;
	watch->next_due = watch->loop->due;
	watch->loop->due = watch;
}

struct pv_watch *pv_loop_watch(struct pv_loop *loop, int fd, short events,
                               void (*ready)(void *arg, int events), void *arg)
{
	struct pv_watch *watch = malloc(sizeof(*watch));

	if (!watch)
		return NULL;
	*watch = (struct pv_watch){
		.loop = loop,
		.fd = fd,
		.events = events,
		.ready = ready,
		.arg = arg,
		.next = loop->watches,
		.link = &loop->watches,
	};
	if (watch->next)
		watch->next->link = &watch->next;
	loop->watches = watch;
	put_due(watch);
	return watch;
}

void pv_loop_unwatch(struct pv_loop *loop, struct pv_watch *watch)
{
	pv_bug_on(watch->loop != loop || watch->is_unwatched);
	watch->is_unwatched = true;
	put_due(watch);
}

static void free_watch(struct pv_watch *watch)
{
	*watch->link = watch->next;
	if (watch->next)
		watch->next->link = watch->link;
	free(watch);
}

void pv_watch_event(struct pv_watch *watch, int result, enum pv_watch_fate fate)
{
	if (fate != PV_WATCH_GOES_ON)
		watch->is_armed = false;
	if (!watch->is_unwatched) {
		if (fate == PV_WATCH_DROPPED)
			put_due(watch);
		watch->ready(watch->arg, result);
	} else if (!watch->is_armed && !watch->is_due) {
		free_watch(watch);
	}
}

/* Does what is due. False if the engine has no room for it now. */
static bool settle(struct pv_loop *loop, struct pv_watch *watch)
{
	if (watch->is_unwatched && !watch->is_armed) {
		free_watch(watch);
		return true;
	}
	if (watch->is_unwatched ? !pv_uring_cancel(&loop->uring, watch)
	                        : !pv_uring_arm(&loop->uring, watch))
		return false;
	watch->is_armed = true;
	watch->is_due = false;
	return true;
}

static void settle_watches(struct pv_loop *loop)
{
	while (loop->due) {
		struct pv_watch *watch = loop->due;
		struct pv_watch *next = watch->next_due;

		if (!settle(loop, watch))
			return;
		loop->due = next;
	}
}

/* ---- file I/O ---- */

/*
 * The kernel holds a batch back until its last entry is prepared, and a disk stands idle meanwhile;
 * so a burst goes out in pieces. Measured on a disk with O_DIRECT, 32 requests in flight: pieces of
 * 4 give a fifth more requests than whole bursts, at the same CPU time each.
 */
#define SUBMIT_EVERY 4u

static bool is_piece_full(const struct pv_loop *loop)
{
	return loop->uring.is_enabled && io_uring_sq_ready(&loop->uring.ring) >= SUBMIT_EVERY;
}

void pv_loop_io_submit(struct pv_loop *loop, struct pv_loop_io *io)
{
	pv_count(&loop->counters.ios);
	if (!loop->waiting && pv_uring_io(&loop->uring, io)) {
		if (is_piece_full(loop))
			pv_uring_submit(&loop->uring);
		return;
	}
	io->next = NULL;
	*loop->waiting_end = io;
	loop->waiting_end = &io->next;
}

static void submit_waiting(struct pv_loop *loop)
{
	while (loop->waiting && pv_uring_io(&loop->uring, loop->waiting)) {
		loop->waiting = loop->waiting->next;
		if (!loop->waiting)
			loop->waiting_end = &loop->waiting;
	}
}

bool pv_loop_queue_rest(struct pv_loop *loop)
{
	if (loop->due)
		settle_watches(loop);
	if (loop->waiting)
		submit_waiting(loop);
	return !loop->due && !loop->waiting;
}
