/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A run of `paravane bench DEVICE`: threads that keep a device busy, and a main thread that watches
 * the clock, the connection and their progress, and tells them when to stop.
 *
 * What is measured must not be the meter: a thread counts in its own memory and asks no one
 * anything but the phase.
 */
#ifndef PV_CLI_BENCH_RUN_H
#define PV_CLI_BENCH_RUN_H

#include <pthread.h>
#include <sys/types.h>

#include "hosted/cli/ticks.h"
#include "hosted/driver_bus/vhu_bus.h"

enum pv_bench_phase {
	PV_BENCH_LOAD,
	PV_BENCH_STOP,  /* finish what is in flight, and look back where that was asked for */
	PV_BENCH_ABORT, /* leave everything as it is: something has failed */
};

/* How long one may last. */
#define PV_BENCH_MS_MIN 1u
#define PV_BENCH_MS_MAX 86400000u

struct pv_bench_run;

/* One of the threads. */
struct pv_bench_worker {
	void (*body)(struct pv_bench_worker *worker);
	pthread_t thread;
	bool is_started;
	uint64_t progress; /* atomic: what it has finished, requests or packets */
	bool has_ended;    /* atomic */
};

struct pv_bench_run {
	/* The caller's, before pv_bench_run_measure(). */
	struct pv_vhu_bus *bus;
	uint64_t milliseconds;
	const char *reconnect_path; /* where another back-end may come; NULL: it may not */
	const char *unit;           /* of progress, thousands of it, "kIOPS" */
	uint32_t unit_bytes;        /* what one is worth */
	struct pv_bench_worker **worker;
	uint16_t workers;
	bool are_ticks_cheap;

	/* What was found out. */
	double ns_per_tick;
	uint32_t reconnects;
	bool has_backend_cpu;
	uint64_t backend_cpu_ns;

	enum pv_bench_phase phase; /* atomic */
	int is_failure_claimed;    /* atomic: by whom `failure` is written */
	char failure[256];

	/* Its own. */
	pid_t backend;
	uint64_t begin_ns, begin_ticks;
	uint64_t moved_ns, moved_at; /* the last time anything had moved */
};

/* Notes why the run has failed, if nothing has failed before, and ends it. Any thread. */
__attribute__((format(printf, 2, 3))) void pv_bench_fail(struct pv_bench_run *run,
                                                         const char *format, ...);

static inline enum pv_bench_phase pv_bench_phase(const struct pv_bench_run *run)
{
	return __atomic_load_n(&run->phase, __ATOMIC_RELAXED);
}

bool pv_bench_is_aborted(const struct pv_bench_run *run);

/* A worker's, on its thread. */
static inline void pv_bench_progress(struct pv_bench_worker *worker, uint64_t more)
{
	__atomic_store_n(&worker->progress, worker->progress + more, __ATOMIC_RELAXED);
}

/*
 * A poller that finds nothing for some microseconds lets others have the processor: where it is
 * shared with the back-end, waiting for the scheduler's tick would be much longer. `spins` counts.
 */
void pv_bench_idle(uint32_t *spins);

/*
 * Starts the workers, has them load the device for as long as was asked for, and waits for their
 * ends; it has failed if pv_bench_is_aborted().
 */
void pv_bench_run_measure(struct pv_bench_run *run);

/* The longest sleep of a worker: how late it may hear that it is to stop. */
#define PV_BENCH_SLEEP_NS 50000000u

#endif
