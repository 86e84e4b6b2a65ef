/* SPDX-License-Identifier: BSD-2-Clause */
/* The engine on epoll: its state, and what the loop asks in each iteration. */
#ifndef PV_HOSTED_LOOP_EPOLL_H
#define PV_HOSTED_LOOP_EPOLL_H

#include <sys/epoll.h>

#include "hosted/loop/engine.h"
#include "hosted/loop/pool.h"

#define PV_EPOLL_EVENTS 64

/*
 * A loop that does not sleep looks at the set once in so many iterations: nothing in memory says
 * that there is something to tell, and a look is a system call.
 */
#define PV_EPOLL_ITERATIONS_PER_LOOK 64u

struct pv_epoll {
	struct pv_engine engine; /* first */
	int fd;                  /* the set */
	uint64_t looked_at;      /* the iteration of the last look */

	/* What a look brought, from `told` on. The watch of an event may have left: NULL. */
	struct epoll_event event[PV_EPOLL_EVENTS];
	int events;
	int told;
	struct pv_watch *answered;

	struct pv_pool transfers;
	struct pv_pool flushes;
};

/* Is it time for a look? */
static inline bool pv_epoll_must_submit(const struct pv_epoll *epoll, uint64_t iteration)
{
	return iteration - epoll->looked_at >= PV_EPOLL_ITERATIONS_PER_LOOK;
}

/* Is there anything to reap? No system call. */
static inline bool pv_epoll_has_news(const struct pv_epoll *epoll)
{
	return epoll->told < epoll->events || epoll->answered;
}

#endif
