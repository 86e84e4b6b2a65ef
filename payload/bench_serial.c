/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How fast a serial device is, by what its ports are called: to "sink" so many writes of a size are
 * in flight, from "source" as many reads, and through "echo" 64 bytes go there and back, one piece
 * at a time.  A device without names is written to.
 */
#include "drivers/serial/serial.h"
#include "payload/payload.h"
#include "payload/stopwatch.h"
#include "payload/x86/interrupts.h"
#include "payload/x86/os.h"

#define TIMEOUT_NS  STOPWATCH_LIMIT_NS
#define PORTS       8u
#define DEPTH_MAX   64u
#define QUEUE_SIZE  128u       /* eight of 64 KiB, all in pages */
#define BYTES_MAX   (2u << 20) /* of all that are in flight */
#define ROUND_BYTES 64u
#define QUIET_NS    50000000ull
#define SECOND      1000000000ull

static struct pv_serdrv_data flights[DEPTH_MAX];
static uint8_t *memory;

static struct bench {
	struct pv_serdrv *serial;
	struct pv_serdrv_port *port;
	bool has_port;
	bool is_read;
	struct stopwatch watch;
	uint32_t out;
	uint64_t ended, bytes, errors;
} bench;

static void changed(struct pv_serdrv_port *port, uint32_t what, void *arg)
{
	(void)arg;
	if (what & PV_SERDRV_ADDED) {
		bench.has_port = true;
		pv_serdrv_open(port);
	}
}

static void send(struct pv_serdrv_data *data)
{
	if (bench.is_read ? pv_serdrv_read(bench.port, data) : pv_serdrv_write(bench.port, data))
		bench.errors++;
	else
		bench.out++;
}

static void done(struct pv_serdrv_data *data)
{
	bench.out--;
	bench.ended++;
	bench.bytes += data->bytes;
	bench.errors += data->error != 0;
	if (data->error == 0 && !stopwatch_is_over(&bench.watch))
		send(data);
}

/* Where interrupts are to be waited for. */
static void sleep(void)
{
	if (!interrupts_are_on())
		return;
	if (!pv_serdrv_interrupts_on(bench.serial))
		interrupts_sleep(TIMEOUT_NS);
	pv_serdrv_interrupts_off(bench.serial);
	stopwatch_look(&bench.watch);
}

/* False: nothing has come of it for long. */
static bool look(void)
{
	const bool came = pv_serdrv_poll_port(bench.port) > 0;

	if (came)
		pv_serdrv_publish(bench.port);
	else
		sleep();
	return stopwatch_turn(&bench.watch, came);
}

/* ---- as much as possible ---- */

/* Reads that are left when the time is over wait on. */
static bool run(uint32_t depth, uint32_t bytes, uint64_t ms)
{
	bool is_alive = true;

	bench.out = 0;
	bench.ended = bench.bytes = bench.errors = 0;
	stopwatch_start(&bench.watch, ms);
	for (uint32_t i = 0; i < depth; i++) {
		flights[i] =
			(struct pv_serdrv_data){ .buffer = { memory + (size_t)i * bytes, bytes },
			                         .done = done };
		send(&flights[i]);
	}
	pv_serdrv_publish(bench.port);
	while (is_alive && (!stopwatch_is_over(&bench.watch) || (!bench.is_read && bench.out > 0)))
		is_alive = look();
	return is_alive && bench.errors == 0 && bench.bytes > 0;
}

static void bench_stream(struct pv_serdrv_port *port, bool is_read,
                         const struct payload_options *options)
{
	const uint32_t depth = options->depth < DEPTH_MAX ? options->depth : DEPTH_MAX;
	const uint64_t kicks = pv_serdrv_counters(port).kicks, begin = clock_ns();
	const uint32_t interrupts = interrupts_taken();
	uint64_t took_ns, ended;

	bench.port = port;
	bench.is_read = is_read;
	payload_ok(run(depth, options->serial_bytes, options->ms),
	           is_read ? "it is read to the end" : "it is written to the end");
	took_ns = clock_ns() - begin;
	ended = bench.ended ? bench.ended : 1;
	payload_note("depth", depth);
	payload_note("bytes", options->serial_bytes);
	payload_note(is_read ? "KB read a second" : "KB written a second",
	             bench.bytes / 1000 * SECOND / took_ns);
	payload_note(is_read ? "reads a second" : "writes a second", ended * SECOND / took_ns);
	payload_note("kicks in 1000 pieces",
	             (pv_serdrv_counters(port).kicks - kicks) * 1000 / ended);
	payload_note("interrupts in 1000 pieces",
	             (interrupts_taken() - interrupts) * 1000ull / ended);
}

/* ---- there and back ---- */

static bool is_back(struct pv_serdrv_data *there, struct pv_serdrv_data *back)
{
	uint32_t bytes = 0;

	while (!there->is_done || bytes < ROUND_BYTES) {
		if (back->is_done) {
			bytes += back->bytes;
			back->buffer = (struct pv_buffer){ memory + ROUND_BYTES + bytes,
				                           ROUND_BYTES - bytes };
			if (back->error || bytes > ROUND_BYTES)
				return false;
			back->is_done = false;
			if (bytes < ROUND_BYTES && pv_serdrv_read(bench.port, back))
				return false;
			pv_serdrv_publish(bench.port);
			continue;
		}
		if (!look())
			return false;
	}
	return there->error == 0;
}

static bool go_round(void)
{
	struct pv_serdrv_data *there = &flights[0], *back = &flights[1];

	*there = (struct pv_serdrv_data){ .buffer = { memory, ROUND_BYTES } };
	*back = (struct pv_serdrv_data){ .buffer = { memory + ROUND_BYTES, ROUND_BYTES } };
	if (pv_serdrv_read(bench.port, back) || pv_serdrv_write(bench.port, there))
		return false;
	pv_serdrv_publish(bench.port);
	return is_back(there, back);
}

static void bench_round_trips(struct pv_serdrv_port *port, const struct payload_options *options)
{
	const uint64_t begin = clock_ns();
	uint64_t rounds = 0;
	bool is_good = true;

	bench.port = port;
	stopwatch_start(&bench.watch, options->ms);
	while (is_good && !stopwatch_is_over(&bench.watch)) {
		is_good = go_round();
		rounds += is_good;
	}
	payload_ok(is_good && rounds > 0, "64 bytes come back to the end");
	payload_note("a round trip of 64 bytes, ns", (clock_ns() - begin) / (rounds ? rounds : 1));
}

/* ---- all of it ---- */

static void bench_ports(const struct payload_options *options)
{
	struct pv_serdrv_port *sink = pv_serdrv_find(bench.serial, "sink"),
			      *source = pv_serdrv_find(bench.serial, "source"),
			      *echo = pv_serdrv_find(bench.serial, "echo");

	if (!sink && !source && !echo)
		sink = pv_serdrv_port(bench.serial, 0);
	if (sink)
		bench_stream(sink, false, options);
	if (source)
		bench_stream(source, true, options);
	if (echo)
		bench_round_trips(echo, options);
}

static bool makes_sense(const struct payload_options *options)
{
	return options->depth > 0 && options->serial_bytes > 0 &&
	       options->serial_bytes <= BYTES_MAX / options->depth;
}

void payload_bench_serial(struct pv_bus *bus, const struct payload_options *options)
{
	const struct pv_serdrv_options wanted = { .ports_max = PORTS,
		                                  .queue_size = QUEUE_SIZE,
		                                  .timeout_ns = TIMEOUT_NS,
		                                  .changed = changed };
	const bool never = false;

	bare_forget();
	bench = (struct bench){ 0 };
	if (!payload_ok(makes_sense(options), "depth and bytes make sense") ||
	    !payload_ok(pv_serdrv_create(&bench.serial, bus,
	                                 options->is_paged ? &bare_os_paged : &bare_os,
	                                 &wanted) == 0,
	                "it comes up"))
		return;
	memory = bare_alloc(BYTES_MAX, 8192);
	pv_serdrv_wait(bench.serial, &bench.has_port, TIMEOUT_NS);
	pv_serdrv_wait(bench.serial, &never, QUIET_NS);
	if (payload_ok(memory && bench.has_port, "there is memory for it, and a port"))
		bench_ports(options);
	pv_serdrv_destroy(bench.serial);
}
