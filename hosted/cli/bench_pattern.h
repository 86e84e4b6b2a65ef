/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What --verify writes: every sector says where it belongs, in which run and for the how manyth
 * time it was written, and the rest of it follows from that.  So a sector that is lost, old,
 * torn, or at the wrong place is found out and can be named.
 */
#ifndef PV_CLI_BENCH_PATTERN_H
#define PV_CLI_BENCH_PATTERN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pv_pattern {
	uint64_t offset; /* on the disk, of the first byte; whole sectors */
	uint64_t seed;
	uint64_t generation;
};

/* Fills whole sectors. */
void pv_pattern_fill(void *to, size_t bytes, const struct pv_pattern *pattern);

/*
 * Returns whether whole sectors hold the pattern; if not, what is wrong goes to `sentence` (of
 * `sentence_bytes`).
 */
bool pv_pattern_check(const void *data, size_t bytes, const struct pv_pattern *pattern,
                      char *sentence, size_t sentence_bytes);

#endif
