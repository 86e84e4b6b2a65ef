/* SPDX-License-Identifier: BSD-2-Clause */
/* What a clock of the system says. */
#ifndef PV_HOSTED_CLOCK_H
#define PV_HOSTED_CLOCK_H

#include <stdint.h>
#include <time.h>

/* In nanoseconds, from where that clock counts: CLOCK_MONOTONIC, CLOCK_THREAD_CPUTIME_ID ... */
static inline uint64_t pv_clock_ns(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

#endif
