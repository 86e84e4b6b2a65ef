/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The cheapest clock there is: a count that runs at a constant rate on all processors, to be
 * converted by comparing it with the system's clock at two instants.
 */
#ifndef PV_CLI_TICKS_H
#define PV_CLI_TICKS_H

#include <stdbool.h>
#include <stdint.h>

#if defined(__x86_64__)
#include <cpuid.h>

#include "hosted/loop/clock.h"
#endif

/* Does the processor have such a count? To be asked once; false: ticks are nanoseconds. */
static inline bool pv_ticks_are_cheap(void)
{
#if defined(__x86_64__)
	unsigned int a, b, c, d;

	return __get_cpuid(0x80000007, &a, &b, &c, &d) && (d & 1u << 8);
#elif defined(__aarch64__)
	return true;
#else
	return false;
#endif
}

static inline uint64_t pv_ticks(bool are_cheap)
{
#if defined(__x86_64__)
	if (__builtin_expect(are_cheap, 1))
		return __builtin_ia32_rdtsc();
#elif defined(__aarch64__)
	if (are_cheap) {
		uint64_t count;

		__asm__ volatile("mrs %0, cntvct_el0" : "=r"(count));
		return count;
	}
#endif
	return pv_clock_ns(CLOCK_MONOTONIC);
}

#endif
