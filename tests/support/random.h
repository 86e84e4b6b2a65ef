/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Random numbers for property-based tests: the seed is printed, and taken from the environment
 * (PV_SEED) to run a failure again.
 */
#ifndef PV_TESTS_RANDOM_H
#define PV_TESTS_RANDOM_H

#include <stdbool.h>
#include <stdint.h>

struct pv_random {
	uint64_t state;
};

/* The seed of this run: PV_SEED, or one of the clock's. Printed on the first call. */
uint64_t pv_random_seed(void);

/* A sequence of its own for each seed and number. */
struct pv_random pv_random_start(uint64_t seed, uint64_t number);

/* 0 to `bound` - 1. */
uint32_t pv_random_below(struct pv_random *random, uint32_t bound);

bool pv_random_chance(struct pv_random *random, uint32_t percent);

#endif
