/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The load of `paravane bench serial`: one thread with the driver, for all ports, and perhaps
 * another that is the other end of the one port.
 *
 * With --check both ends know how many bytes there were, and wait for all of them in the end.
 */
#ifndef PV_CLI_BENCH_SERIAL_LOAD_H
#define PV_CLI_BENCH_SERIAL_LOAD_H

#include "drivers/serial/serial.h"
#include "hosted/cli/bench_run.h"
#include "hosted/cli/histogram.h"

#define PV_BENCH_SERIAL_PORTS_MAX 256u

enum pv_bench_serial_mode { PV_BENCH_SERIAL_OUT, PV_BENCH_SERIAL_IN, PV_BENCH_SERIAL_ECHO };

/* What to do: from the options. */
struct pv_bench_serial_plan {
	enum pv_bench_serial_mode mode;
	uint16_t port, ports;
	uint16_t first, end; /* those that are open */
	uint32_t write_bytes;
	uint16_t depth;
	bool is_blocking;
	bool is_checking;
	const char *peer;
};

struct pv_bench_serial_load;
struct pv_bench_serial_peer;

/* What both threads share. */
struct pv_bench_serial {
	struct pv_bench_run run;
	struct pv_bench_serial_plan plan;
	struct pv_serdrv *serial;
	struct pv_bench_serial_load *load;
	struct pv_bench_serial_peer *peer; /* NULL: there is none */

	/* Each is written by one of the two, once, when it will send no more. Atomic. */
	uint64_t sent_out, sent_in; /* PV_BENCH_SERIAL_GOING_ON until then */
	bool is_load_over;          /* atomic */
};

#define PV_BENCH_SERIAL_GOING_ON UINT64_MAX

/* Bytes that have not come so long after the last ones are lost. */
#define PV_BENCH_SERIAL_LOST_NS 3000000000ull

/* What was measured until the load's thread looked at PV_BENCH_STOP first. */
struct pv_bench_serial_result {
	uint64_t bytes_out, bytes_in;
	uint64_t writes, reads;
	uint64_t cpu_ns, ns;
	uint64_t kicks, interrupts;
	struct pv_histogram latency; /* of writes, until taken or echoed; in ticks */

	uint64_t checked; /* bytes, to the end */
};

/*
 * The thread of the driver, not started; NULL after pv_bench_fail(). Its ports are there and open.
 * Buffers come from the bus: pv_bench_serial_load_memory() says how much.
 */
struct pv_bench_serial_load *pv_bench_serial_load_create(struct pv_bench_serial *bench);
size_t pv_bench_serial_load_memory(const struct pv_bench_serial_plan *plan);
struct pv_bench_worker *pv_bench_serial_load_worker(struct pv_bench_serial_load *load);

/* When all threads have ended. */
const struct pv_bench_serial_result *
pv_bench_serial_load_result(const struct pv_bench_serial_load *load);

/* The device must be done with the buffers. */
void pv_bench_serial_load_destroy(struct pv_bench_serial_load *load);

/* The thread at the other end, connected, not started; NULL after pv_bench_fail(). */
struct pv_bench_serial_peer *pv_bench_serial_peer_create(struct pv_bench_serial *bench);
struct pv_bench_worker *pv_bench_serial_peer_worker(struct pv_bench_serial_peer *peer);
uint64_t pv_bench_serial_peer_checked(const struct pv_bench_serial_peer *peer);
void pv_bench_serial_peer_destroy(struct pv_bench_serial_peer *peer);

#endif
