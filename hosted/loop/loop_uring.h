/* SPDX-License-Identifier: BSD-2-Clause */
/* The engine on io_uring: its state, and what the loop asks in each iteration. */
#ifndef PV_HOSTED_LOOP_URING_H
#define PV_HOSTED_LOOP_URING_H

#include <liburing.h>
#include <pthread.h>

#include "hosted/loop/engine.h"

struct pv_uring {
	struct pv_engine engine; /* first */
	struct io_uring ring;
	bool is_enabled;
	pthread_t owner;    /* once it is enabled: the thread whose ring it is */
	uint64_t overflows; /* times that completions were seen waiting for room */
};

/* Would a submit make a system call? */
static inline bool pv_uring_must_submit(const struct pv_uring *uring)
{
	return io_uring_sq_ready(&uring->ring) > 0 ||
	       IO_URING_READ_ONCE(*uring->ring.sq.kflags) &
	               (IORING_SQ_CQ_OVERFLOW | IORING_SQ_TASKRUN);
}

/* Has the kernel left anything to reap? No system call. */
static inline bool pv_uring_has_news(const struct pv_uring *uring)
{
	return io_uring_cq_ready(&uring->ring) > 0;
}

#endif
