/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * An entropy source for tests: a stream of bytes of which each can be told by its place, so that a
 * test sees what a device gave, in which order, and that it gave nothing twice.  It runs dry, and
 * gives less than it was asked for, when it is told to.
 */
#ifndef PV_TESTS_STREAM_SOURCE_H
#define PV_TESTS_STREAM_SOURCE_H

#include "devices/rng/source.h"
#include "tests/support/random.h"

struct pv_stream_source {
	struct pv_rng_source rng;
	struct pv_random random;
	uint64_t given;         /* bytes of the stream */
	uint64_t asked;         /* times */
	uint32_t dry_percent;   /* of these it has nothing, and ... */
	uint32_t short_percent; /* ... of these only a part */
};

void pv_stream_source_open(struct pv_stream_source *source, struct pv_random random);

/* The byte at a place of the stream. */
uint8_t pv_stream_at(uint64_t place);

#endif
