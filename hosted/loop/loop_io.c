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
	const struct pv_engine_ops *ops = loop->engine.ops;

	if (watch->is_unwatched && !watch->is_armed) {
		free_watch(watch);
		return true;
	}
	if (!(watch->is_unwatched ? ops->cancel : ops->arm)(&loop->engine, watch))
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

void pv_loop_io_submit(struct pv_loop *loop, struct pv_loop_io *io)
{
	pv_bug_on(loop->is_without_io);
	pv_count(&loop->counters.ios);
	if (!loop->waiting && loop->engine.ops->io(&loop->engine, io))
		return;
	io->next = NULL;
	*loop->waiting_end = io;
	loop->waiting_end = &io->next;
}

static void submit_waiting(struct pv_loop *loop)
{
	while (loop->waiting && loop->engine.ops->io(&loop->engine, loop->waiting)) {
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
