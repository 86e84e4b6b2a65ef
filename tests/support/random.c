/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/support/random.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

uint64_t pv_random_seed(void)
{
	static uint64_t seed;
	const char *given = getenv("PV_SEED");

	if (seed)
		return seed;
	if (given) {
		seed = strtoull(given, NULL, 0);
	} else {
		struct timespec now;

		clock_gettime(CLOCK_REALTIME, &now);
		seed = (uint64_t)now.tv_sec * 1000000007u ^ (uint64_t)now.tv_nsec;
	}
	seed |= 1;
	printf("PV_SEED=%" PRIu64 "\n", seed);
	fflush(stdout);
	return seed;
}

/* splitmix64: every state is as good as any other, so seeds need no care. */
static uint64_t next(struct pv_random *random)
{
	uint64_t z = random->state += 0x9e3779b97f4a7c15ull;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
	return z ^ (z >> 31);
}

struct pv_random pv_random_start(uint64_t seed, uint64_t number)
{
	struct pv_random random = { seed };

	random.state = next(&random) ^ number * 0x9e3779b97f4a7c15ull;
	return random;
}

uint32_t pv_random_below(struct pv_random *random, uint32_t bound)
{
	return (uint32_t)(next(random) >> 32) % bound;
}

bool pv_random_chance(struct pv_random *random, uint32_t percent)
{
	return pv_random_below(random, 100) < percent;
}
