/* SPDX-License-Identifier: BSD-2-Clause */
#include "hosted/cli/bench_run.h"

#include <errno.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "hosted/cli/process_cpu.h"
#include "ring/barrier.h"

/* How often the main thread looks at what happens. */
#define WATCH_NS 50000000u

/* A back-end that finishes nothing for so long is given up. */
#define STALL_NS 15000000000ull

#define NS_PER_S  1000000000ull
#define NS_PER_MS 1000000ull

#define IDLE_SPINS 400u

static uint64_t monotonic_ns(void)
{
	return pv_clock_ns(CLOCK_MONOTONIC);
}

/* ---- the workers' side ---- */

void pv_bench_fail(struct pv_bench_run *run, const char *format, ...)
{
	va_list arguments;

	if (!__atomic_exchange_n(&run->is_failure_claimed, 1, __ATOMIC_ACQ_REL)) {
		va_start(arguments, format);
		vsnprintf(run->failure, sizeof(run->failure), format, arguments);
		va_end(arguments);
	}
	__atomic_store_n(&run->phase, PV_BENCH_ABORT, __ATOMIC_RELEASE);
}

bool pv_bench_is_aborted(const struct pv_bench_run *run)
{
	return __atomic_load_n(&run->phase, __ATOMIC_ACQUIRE) == PV_BENCH_ABORT;
}

void pv_bench_idle(uint32_t *spins)
{
	pv_cpu_relax();
	if (++*spins == IDLE_SPINS) {
		*spins = 0;
		sched_yield();
	}
}

static void *thread_main(void *arg)
{
	struct pv_bench_worker *worker = arg;

	worker->body(worker);
	__atomic_store_n(&worker->has_ended, true, __ATOMIC_RELEASE);
	return NULL;
}

/* ---- watching ---- */

static uint64_t progress_of(const struct pv_bench_run *run)
{
	uint64_t progress = 0;

	for (uint16_t i = 0; i < run->workers; i++)
		progress += __atomic_load_n(&run->worker[i]->progress, __ATOMIC_RELAXED);
	return progress;
}

static void stop(struct pv_bench_run *run)
{
	enum pv_bench_phase phase = PV_BENCH_LOAD;

	__atomic_compare_exchange_n(&run->phase, &phase, PV_BENCH_STOP, false, __ATOMIC_ACQ_REL,
	                            __ATOMIC_ACQUIRE);
}

static bool is_connected(const struct pv_bench_run *run)
{
	struct pv_vhu_frontend *frontend = pv_vhu_bus_frontend(run->bus);

	return pv_vhu_frontend_is_connected(frontend) && !pv_vhu_frontend_channel_serve(frontend);
}

/* A back-end that is not there yet is tried again, until nothing has moved for too long. */
static void reconnect(struct pv_bench_run *run)
{
	char sentence[256];
	int code =
		pv_vhu_bus_reconnect(run->bus, run->reconnect_path, -1, sentence, sizeof(sentence));

	if (code == -ENOTSUP)
		pv_bench_fail(run, "%s", sentence);
	else if (!code)
		run->reconnects++;
}

/* Is the back-end there, and does it get on? Sleeps for so long, or less. */
static void watch(struct pv_bench_run *run, uint64_t ns)
{
	struct timespec nap = { 0, ns < WATCH_NS ? (long)ns : WATCH_NS };
	uint64_t progress = progress_of(run);
	uint64_t now = monotonic_ns();

	clock_nanosleep(CLOCK_MONOTONIC, 0, &nap, NULL);
	if (progress != run->moved_at) {
		run->moved_at = progress;
		run->moved_ns = now;
	}
	if (!is_connected(run) && run->reconnect_path)
		reconnect(run);
	else if (!is_connected(run))
		pv_bench_fail(run, "%s", pv_vhu_bus_error(run->bus));
	if (now - run->moved_ns > STALL_NS)
		pv_bench_fail(run, "the back-end has finished nothing for %llu seconds",
		              STALL_NS / NS_PER_S);
}

static void progress_show(const struct pv_bench_run *run, uint64_t second, uint64_t progress)
{
	double rate = (double)progress;

	if (!isatty(STDERR_FILENO))
		return;
	fprintf(stderr, "\r%4llu s %10.1f %s %10.1f MB/s ", (unsigned long long)second, rate / 1e3,
	        run->unit, rate * run->unit_bytes / 1e6);
}

static void progress_clear(void)
{
	if (isatty(STDERR_FILENO))
		fprintf(stderr, "\r\033[K");
}

static void load_watch(struct pv_bench_run *run)
{
	uint64_t second = 1;
	uint64_t shown = 0;

	while (!pv_bench_is_aborted(run)) {
		uint64_t all = run->milliseconds * NS_PER_MS;
		uint64_t passed = monotonic_ns() - run->begin_ns;

		if (passed >= all)
			break;
		if (passed >= second * NS_PER_S) {
			uint64_t progress = progress_of(run);

			progress_show(run, second++, progress - shown);
			shown = progress;
		}
		watch(run, all - passed);
	}
}

/* ---- from the beginning to the end ---- */

static bool have_all_ended(const struct pv_bench_run *run)
{
	for (uint16_t i = 0; i < run->workers; i++) {
		if (!__atomic_load_n(&run->worker[i]->has_ended, __ATOMIC_ACQUIRE))
			return false;
	}
	return true;
}

static void worker_start(struct pv_bench_run *run, struct pv_bench_worker *worker)
{
	int error = pthread_create(&worker->thread, NULL, thread_main, worker);

	if (error)
		pv_bench_fail(run, "cannot start a thread: %s", strerror(error));
	worker->is_started = !error;
}

static void workers_start(struct pv_bench_run *run)
{
	uint64_t cpu_ns = 0;

	run->backend = pv_vhu_frontend_peer(pv_vhu_bus_frontend(run->bus));
	run->has_backend_cpu = pv_process_cpu_ns(run->backend, &cpu_ns);
	run->backend_cpu_ns = cpu_ns;
	run->begin_ns = monotonic_ns();
	run->begin_ticks = pv_ticks(run->are_ticks_cheap);
	run->moved_ns = run->begin_ns;
	for (uint16_t i = 0; i < run->workers && !pv_bench_is_aborted(run); i++)
		worker_start(run, run->worker[i]);
}

/* At the end of the load, before what is in flight has come back. */
static void clocks_stop(struct pv_bench_run *run)
{
	uint64_t cpu_ns;
	uint64_t ticks = pv_ticks(run->are_ticks_cheap) - run->begin_ticks;

	run->ns_per_tick = (double)(monotonic_ns() - run->begin_ns) / (double)ticks;
	/* Not that of several processes. */
	run->has_backend_cpu = run->has_backend_cpu && run->reconnects == 0 &&
	                       pv_process_cpu_ns(run->backend, &cpu_ns);
	if (run->has_backend_cpu)
		run->backend_cpu_ns = cpu_ns - run->backend_cpu_ns;
}

static void workers_join(struct pv_bench_run *run)
{
	for (uint16_t i = 0; i < run->workers; i++) {
		struct pv_bench_worker *worker = run->worker[i];

		if (worker->is_started)
			pthread_join(worker->thread, NULL);
		worker->is_started = false;
	}
}

void pv_bench_run_measure(struct pv_bench_run *run)
{
	workers_start(run);
	load_watch(run);
	clocks_stop(run);
	stop(run);
	progress_clear();
	while (!have_all_ended(run) && !pv_bench_is_aborted(run))
		watch(run, WATCH_NS);
	workers_join(run);
}
