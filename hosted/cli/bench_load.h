/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The load of `paravane bench blk`: one thread for each queue keeps `depth` requests in flight.
 *
 * A thread reads the cycle counter once for each batch of completions.
 */
#ifndef PV_CLI_BENCH_LOAD_H
#define PV_CLI_BENCH_LOAD_H

#include "drivers/blk/blk.h"
#include "hosted/cli/bench_run.h"
#include "hosted/cli/histogram.h"

/* What to do: from the options, checked against the disk. */
struct pv_bench_plan {
	uint32_t block_bytes;
	uint16_t segments; /* of one block */
	uint16_t depth;
	uint16_t queues;
	uint32_t read_percent;
	bool is_random;
	bool is_blocking;
	bool is_verifying;
	uint64_t blocks; /* of the disk that may be used */
	uint64_t seed;
};

/* What all threads share. */
struct pv_bench {
	struct pv_bench_run run;
	struct pv_bench_plan plan;
	struct pv_blkdrv *blk;
};

/* What one thread has measured, from its first request to its first look at PV_BENCH_STOP. */
struct pv_bench_result {
	uint64_t reads;
	uint64_t writes;
	uint64_t cpu_ns;
	uint64_t ns;
	uint64_t verified_blocks;
	uint64_t kicks;
	uint64_t interrupts;
	struct pv_histogram latency; /* in ticks */
};

struct pv_bench_load;

/*
 * A thread for queue `index`, not started; NULL after pv_bench_fail(). Buffers come from the bus:
 * pv_bench_load_memory() says how much.
 */
struct pv_bench_load *pv_bench_load_create(struct pv_bench *bench, uint16_t index);
size_t pv_bench_load_memory(const struct pv_bench_plan *plan);

struct pv_bench_worker *pv_bench_load_worker(struct pv_bench_load *load);

/* When its thread has ended. */
const struct pv_bench_result *pv_bench_load_result(const struct pv_bench_load *load);

/* The device must be done with the buffers. */
void pv_bench_load_destroy(struct pv_bench_load *load);

#endif
