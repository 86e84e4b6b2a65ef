/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/support/stream_source.h"

/* Neighbours differ, and so do stretches of the stream however they are cut. */
uint8_t pv_stream_at(uint64_t place)
{
	uint64_t mixed = (place + 1) * 0x9e3779b97f4a7c15ull;

	return (uint8_t)((mixed ^ mixed >> 29) * 0xbf58476d1ce4e5b9ull >> 56);
}

static size_t fill(struct pv_rng_source *rng, void *to, size_t bytes)
{
	struct pv_stream_source *source = (struct pv_stream_source *)rng;
	uint8_t *bytes_to = to;

	source->asked++;
	if (pv_random_chance(&source->random, source->dry_percent))
		return 0;
	if (pv_random_chance(&source->random, source->short_percent))
		bytes = pv_random_below(&source->random, (uint32_t)bytes + 1);
	for (size_t i = 0; i < bytes; i++)
		bytes_to[i] = pv_stream_at(source->given++);
	return bytes;
}

static const struct pv_rng_source_ops ops = { .fill = fill };

void pv_stream_source_open(struct pv_stream_source *source, struct pv_random random)
{
	*source = (struct pv_stream_source){ .rng = { .ops = &ops }, .random = random };
}
