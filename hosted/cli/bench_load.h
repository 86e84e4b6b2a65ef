/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The load of `paravane bench blk`: one thread for each queue keeps `depth` requests in flight.
 *
 * What is measured must not be the meter.  A thread reads the cycle counter once for each batch of
 * completions, counts in its own memory, and asks no one anything; the main thread looks at the
 * clock, at the connection and at the progress, and tells the threads when to stop.
 */
#ifndef PV_CLI_BENCH_LOAD_H
#define PV_CLI_BENCH_LOAD_H

#include "drivers/blk/blk.h"
#include "hosted/cli/histogram.h"
#include "hosted/driver_bus/vhu_bus.h"

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

enum pv_bench_phase {
	PV_BENCH_LOAD,
	PV_BENCH_STOP,  /* finish what is in flight; then read again what was written */
	PV_BENCH_ABORT, /* leave everything as it is: something has failed */
};

/* What all threads share. */
struct pv_bench {
	struct pv_bench_plan plan;
	struct pv_blkdrv *blk;
	struct pv_vhu_bus *bus;
	bool are_ticks_cheap;
	enum pv_bench_phase phase; /* atomic */
	int is_failure_claimed;    /* atomic: by whom `failure` is written */
	char failure[256];
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

/* Notes why the run has failed, if nothing has failed before, and ends it. Any thread. */
__attribute__((format(printf, 2, 3))) void pv_bench_fail(struct pv_bench *bench, const char *format,
                                                         ...);

/*
 * A thread for queue `index`, not started; NULL after pv_bench_fail(). Buffers come from the bus:
 * pv_bench_load_memory() says how much.
 */
struct pv_bench_load *pv_bench_load_create(struct pv_bench *bench, uint16_t index);
size_t pv_bench_load_memory(const struct pv_bench_plan *plan);

/* False after pv_bench_fail(). */
bool pv_bench_load_start(struct pv_bench_load *load);

/* Any time. Requests done so far, and whether the thread has come to its end. */
uint64_t pv_bench_load_progress(const struct pv_bench_load *load);
bool pv_bench_load_has_ended(const struct pv_bench_load *load);

/* Waits for the thread's end. */
const struct pv_bench_result *pv_bench_load_join(struct pv_bench_load *load);

/* The device must be done with the buffers. */
void pv_bench_load_destroy(struct pv_bench_load *load);

#endif
