/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The time for a loop that turns a million times a second. A look at the clock is an exit where the
 * hypervisor counts for its guest, one or two microseconds, more than a request may take; so this
 * one is looked at every few turns, and whenever the processor has slept.
 */
#ifndef PV_PAYLOAD_STOPWATCH_H
#define PV_PAYLOAD_STOPWATCH_H

#include "payload/x86/machine.h"

#define STOPWATCH_TURNS    512u
#define STOPWATCH_LIMIT_NS 10000000000ull /* nothing came of it for so long: it is stuck */

struct stopwatch {
	uint64_t now_ns;
	uint64_t end_ns;
	uint64_t last_ns; /* when something came of it */
	uint32_t turns;
};

static inline void stopwatch_look(struct stopwatch *watch)
{
	watch->now_ns = clock_ns();
	watch->turns = 0;
}

static inline void stopwatch_start(struct stopwatch *watch, uint64_t ms)
{
	stopwatch_look(watch);
	watch->last_ns = watch->now_ns;
	watch->end_ns = watch->now_ns + ms * 1000000;
}

/* A turn has been made, and something came of it, or not. False: it is stuck. */
static inline bool stopwatch_turn(struct stopwatch *watch, bool came)
{
	if (++watch->turns >= STOPWATCH_TURNS)
		stopwatch_look(watch);
	if (came)
		watch->last_ns = watch->now_ns;
	return watch->now_ns - watch->last_ns < STOPWATCH_LIMIT_NS;
}

static inline bool stopwatch_is_over(const struct stopwatch *watch)
{
	return watch->now_ns >= watch->end_ns;
}

#endif
