/* SPDX-License-Identifier: BSD-2-Clause */
#include "hosted/cli/bench_serial_load.h"

#include <stdlib.h>
#include <string.h>

#include "hosted/cli/bench_sequence.h"
#include "ring/err.h"

#define BUFFER_ALIGN 4096u
#define SPINS_A_LOOK 64u

struct lane;

/* A write, or a buffer to read into. */
struct slot {
	struct pv_serdrv_data data;
	struct lane *lane;
	uint64_t ticks;
	bool is_out; /* with the device */
};

/* What there is of each port. */
struct lane {
	struct pv_bench_serial_load *load;
	struct pv_serdrv_port *port;
	struct slot *write, *read; /* `depth` of them each, or none */
	uint64_t sent, taken;      /* writes */
	uint64_t echoed;           /* of them, wholly */
	uint64_t in;               /* bytes */
	bool has_news;             /* to be published */
};

struct pv_bench_serial_load {
	struct pv_bench_worker worker;
	struct pv_bench_serial *bench;
	bool is_stopping;
	uint32_t idle_spins;
	uint64_t now_ticks, came_ns;
	uint64_t finished; /* for progress: bytes */
	struct pv_bench_serial_result result;
	struct lane *lane;
	struct slot *slots;
	uint8_t *memory;
	struct pv_gpa gpa;
	size_t memory_bytes;
};

static const struct pv_bench_serial_plan *plan_of(const struct pv_bench_serial_load *load)
{
	return &load->bench->plan;
}

static bool is_writing(const struct pv_bench_serial_plan *plan)
{
	return plan->mode != PV_BENCH_SERIAL_IN;
}

static bool is_reading(const struct pv_bench_serial_plan *plan)
{
	return plan->mode != PV_BENCH_SERIAL_OUT;
}

static void fail_data(struct lane *lane, const char *what, int error)
{
	pv_bench_fail(&lane->load->bench->run, "port %u: %s: error %d",
	              pv_serdrv_state(lane->port)->number, what, -error);
}

/* ---- out ---- */

static bool may_send(const struct lane *lane)
{
	const struct pv_bench_serial_plan *plan = plan_of(lane->load);
	uint64_t back = plan->mode == PV_BENCH_SERIAL_ECHO ? lane->echoed : lane->taken;

	return !lane->load->is_stopping && lane->sent - back < plan->depth &&
	       !lane->write[lane->sent % plan->depth].is_out;
}

static void send_some(struct lane *lane)
{
	const struct pv_bench_serial_plan *plan = plan_of(lane->load);

	while (may_send(lane)) {
		struct slot *slot = &lane->write[lane->sent % plan->depth];
		int error;

		if (plan->is_checking)
			pv_sequence_fill(lane->sent * plan->write_bytes, slot->data.buffer.memory,
			                 plan->write_bytes);
		slot->ticks = lane->load->now_ticks;
		error = pv_serdrv_write(lane->port, &slot->data);
		if (error == -PV_ENOSPC)
			return;
		if (error) {
			fail_data(lane, "it cannot be written to", error);
			return;
		}
		slot->is_out = true;
		lane->sent++;
		lane->has_news = true;
	}
}

static void took_time(struct pv_bench_serial_load *load, const struct slot *slot)
{
	if (!load->is_stopping)
		pv_histogram_add(&load->result.latency, load->now_ticks - slot->ticks);
}

static void written(struct pv_serdrv_data *data)
{
	struct slot *slot = data->arg;
	struct lane *lane = slot->lane;
	struct pv_bench_serial_load *load = lane->load;

	slot->is_out = false;
	lane->taken++;
	if (data->error) {
		fail_data(lane, "a write failed", data->error);
		return;
	}
	if (!load->is_stopping) {
		load->result.bytes_out += data->bytes;
		load->result.writes++;
	}
	if (plan_of(load)->mode == PV_BENCH_SERIAL_OUT) {
		load->finished += data->bytes;
		took_time(load, slot);
	}
	send_some(lane);
}

/* ---- in ---- */

static void check(struct lane *lane, const void *from, uint32_t bytes)
{
	struct pv_bench_serial_load *load = lane->load;
	size_t good = pv_sequence_check(lane->in, from, bytes);

	load->result.checked += good;
	if (good < bytes)
		pv_bench_fail(&load->bench->run,
		              "check failed: port %u: byte %llu is not the one that was sent",
		              pv_serdrv_state(lane->port)->number,
		              (unsigned long long)(lane->in + good));
}

/* Writes that have come back as a whole. */
static void count_echoes(struct lane *lane)
{
	const struct pv_bench_serial_plan *plan = plan_of(lane->load);

	for (; lane->echoed < lane->sent && (lane->echoed + 1) * plan->write_bytes <= lane->in;
	     lane->echoed++)
		took_time(lane->load, &lane->write[lane->echoed % plan->depth]);
	send_some(lane);
}

static void post(struct slot *slot)
{
	int error = pv_serdrv_read(slot->lane->port, &slot->data);

	if (error)
		fail_data(slot->lane, "it cannot be read from", error);
	slot->lane->has_news = true;
}

static void came(struct pv_serdrv_data *data)
{
	struct slot *slot = data->arg;
	struct lane *lane = slot->lane;
	struct pv_bench_serial_load *load = lane->load;

	if (data->error) {
		if (!load->is_stopping)
			fail_data(lane, "a read failed", data->error);
		return;
	}
	if (plan_of(load)->is_checking)
		check(lane, data->buffer.memory, data->bytes);
	lane->in += data->bytes;
	load->finished += data->bytes;
	if (!load->is_stopping) {
		load->result.bytes_in += data->bytes;
		load->result.reads++;
	}
	if (plan_of(load)->mode == PV_BENCH_SERIAL_ECHO)
		count_echoes(lane);
	post(slot);
}

/* ---- the thread ---- */

static void publish(struct pv_bench_serial_load *load)
{
	for (uint16_t i = 0; i < plan_of(load)->ports; i++) {
		if (load->lane[i].has_news)
			pv_serdrv_publish(load->lane[i].port);
		load->lane[i].has_news = false;
	}
}

/* One port's data alone where there is one: its queues are looked at all the time. */
static uint32_t poll_ports(struct pv_bench_serial_load *load)
{
	uint32_t done = 0;

	for (uint16_t i = 0; i < plan_of(load)->ports; i++)
		done += pv_serdrv_poll_port(load->lane[i].port);
	return done;
}

/*
 * Ports that only stand open, and what is said about all of them, wait a little while those that
 * are measured are polled: there may be hundreds.
 */
static uint32_t poll_all(struct pv_bench_serial_load *load)
{
	if (!plan_of(load)->is_blocking && load->idle_spins % SPINS_A_LOOK != SPINS_A_LOOK - 1)
		return 0;
	return pv_serdrv_poll(load->bench->serial);
}

static void nothing_done(struct pv_bench_serial_load *load)
{
	struct pv_os *os = pv_vhu_bus_os(load->bench->run.bus);

	if (poll_all(load) == 0 && plan_of(load)->is_blocking) {
		if (!pv_serdrv_interrupts_on(load->bench->serial))
			os->ops->wait(os, PV_BENCH_SLEEP_NS);
		pv_serdrv_interrupts_off(load->bench->serial);
		return;
	}
	publish(load);
	pv_bench_idle(&load->idle_spins);
}

static void turn(struct pv_bench_serial_load *load)
{
	uint64_t before = load->finished;
	uint32_t done;

	load->now_ticks = pv_ticks(load->bench->run.are_ticks_cheap);
	done = poll_ports(load);
	publish(load);
	if (done == 0) {
		nothing_done(load);
		return;
	}
	load->idle_spins = 0;
	pv_bench_progress(&load->worker, load->finished - before);
}

static void begin(struct pv_bench_serial_load *load)
{
	const struct pv_bench_serial_plan *plan = plan_of(load);

	load->now_ticks = pv_ticks(load->bench->run.are_ticks_cheap);
	for (uint16_t i = 0; i < plan->ports; i++) {
		struct lane *lane = &load->lane[i];

		for (uint16_t j = 0; is_reading(plan) && j < plan->depth; j++)
			post(&lane->read[j]);
		if (is_writing(plan))
			send_some(lane);
	}
	publish(load);
}

static void count_notifications(struct pv_bench_serial_load *load)
{
	const struct pv_bench_serial_plan *plan = plan_of(load);

	for (uint32_t i = plan->port; i < plan->port + plan->ports; i++) {
		struct pv_vhu_bus_counters in =
			pv_vhu_bus_counters(load->bench->run.bus, virtio_console_receiveq(i));
		struct pv_vhu_bus_counters out =
			pv_vhu_bus_counters(load->bench->run.bus, virtio_console_transmitq(i));

		load->result.kicks += in.kicks + out.kicks;
		load->result.interrupts += in.interrupts + out.interrupts;
	}
}

static void measure(struct pv_bench_serial_load *load)
{
	struct pv_bench_serial_result *result = &load->result;
	uint64_t cpu_ns = pv_clock_ns(CLOCK_THREAD_CPUTIME_ID);
	uint64_t ns = pv_clock_ns(CLOCK_MONOTONIC);

	begin(load);
	while (pv_bench_phase(&load->bench->run) == PV_BENCH_LOAD)
		turn(load);
	load->is_stopping = true;
	result->cpu_ns = pv_clock_ns(CLOCK_THREAD_CPUTIME_ID) - cpu_ns;
	result->ns = pv_clock_ns(CLOCK_MONOTONIC) - ns;
	count_notifications(load);
}

/* Bytes that are still to come in; PV_BENCH_SERIAL_GOING_ON: the peer sends on. */
static uint64_t missing(const struct pv_bench_serial_load *load)
{
	const struct pv_bench_serial_plan *plan = plan_of(load);
	const struct pv_bench_serial *bench = load->bench;
	uint64_t sum = 0;

	if (plan->mode == PV_BENCH_SERIAL_IN && bench->peer) {
		uint64_t sent = __atomic_load_n(&bench->sent_in, __ATOMIC_ACQUIRE);

		return sent == PV_BENCH_SERIAL_GOING_ON ? sent : sent - load->lane[0].in;
	}
	for (uint16_t i = 0; plan->mode == PV_BENCH_SERIAL_ECHO && i < plan->ports; i++)
		sum += load->lane[i].sent * plan->write_bytes - load->lane[i].in;
	return sum;
}

/* One whose writes are not all taken; NULL: there is none. */
static const struct lane *standing(const struct pv_bench_serial_load *load)
{
	for (uint16_t i = 0; i < plan_of(load)->ports; i++)
		if (load->lane[i].sent != load->lane[i].taken)
			return &load->lane[i];
	return NULL;
}

static void fail_finish(struct pv_bench_serial_load *load)
{
	const struct lane *lane = standing(load);

	if (lane)
		pv_bench_fail(&load->bench->run,
		              "port %u: it has not taken all writes for %llu seconds; let somebody "
		              "read at its other end",
		              pv_serdrv_state(lane->port)->number,
		              PV_BENCH_SERIAL_LOST_NS / 1000000000);
	else
		pv_bench_fail(&load->bench->run, "check failed: %llu bytes have not come",
		              (unsigned long long)missing(load));
}

/* Until all writes are taken, and all that will come has: it is lost what does not for long. */
static void finish(struct pv_bench_serial_load *load)
{
	struct pv_bench_serial *bench = load->bench;
	uint64_t last = load->finished, since = pv_clock_ns(CLOCK_MONOTONIC);

	while (!pv_bench_is_aborted(&bench->run) && (standing(load) || missing(load) > 0)) {
		turn(load);
		if (load->finished != last) {
			last = load->finished;
			since = pv_clock_ns(CLOCK_MONOTONIC);
		} else if (pv_clock_ns(CLOCK_MONOTONIC) - since > PV_BENCH_SERIAL_LOST_NS) {
			fail_finish(load);
		}
	}
	__atomic_store_n(&bench->sent_out, load->lane[0].sent * plan_of(load)->write_bytes,
	                 __ATOMIC_RELEASE);
	__atomic_store_n(&bench->is_load_over, true, __ATOMIC_RELEASE);
}

static struct pv_bench_serial_load *load_of(struct pv_bench_worker *worker)
{
	return (struct pv_bench_serial_load *)((char *)worker -
	                                       offsetof(struct pv_bench_serial_load, worker));
}

static void run(struct pv_bench_worker *worker)
{
	struct pv_bench_serial_load *load = load_of(worker);

	measure(load);
	finish(load);
}

/* ---- making and unmaking ---- */

static size_t slots_of(const struct pv_bench_serial_plan *plan)
{
	return (size_t)plan->depth * (is_writing(plan) + is_reading(plan));
}

static size_t place_bytes(const struct pv_bench_serial_plan *plan)
{
	return (plan->write_bytes + BUFFER_ALIGN - 1) & ~(size_t)(BUFFER_ALIGN - 1);
}

size_t pv_bench_serial_load_memory(const struct pv_bench_serial_plan *plan)
{
	return plan->ports * slots_of(plan) * place_bytes(plan) + BUFFER_ALIGN;
}

static void slot_init(struct lane *lane, struct slot *slot, void (*done)(struct pv_serdrv_data *))
{
	struct pv_bench_serial_load *load = lane->load;
	size_t place = (size_t)(slot - load->slots) * place_bytes(plan_of(load));

	slot->lane = lane;
	slot->data.buffer.memory = load->memory + place;
	slot->data.buffer.bytes = plan_of(load)->write_bytes;
	slot->data.done = done;
	slot->data.arg = slot;
}

static void lane_init(struct pv_bench_serial_load *load, uint16_t index)
{
	const struct pv_bench_serial_plan *plan = plan_of(load);
	struct lane *lane = &load->lane[index];
	struct slot *slot = load->slots + index * slots_of(plan);

	lane->load = load;
	lane->port = pv_serdrv_port(load->bench->serial, plan->port + index);
	lane->write = slot;
	lane->read = is_writing(plan) ? slot + plan->depth : slot;
	for (uint16_t i = 0; is_writing(plan) && i < plan->depth; i++)
		slot_init(lane, &lane->write[i], written);
	for (uint16_t i = 0; is_reading(plan) && i < plan->depth; i++)
		slot_init(lane, &lane->read[i], came);
}

static bool memory_init(struct pv_bench_serial_load *load)
{
	const struct pv_bench_serial_plan *plan = plan_of(load);
	struct pv_os *os = pv_vhu_bus_os(load->bench->run.bus);

	load->memory_bytes = pv_bench_serial_load_memory(plan);
	load->memory = os->ops->shared_alloc(os, load->memory_bytes, BUFFER_ALIGN, &load->gpa);
	load->lane = calloc(plan->ports, sizeof(*load->lane));
	load->slots = calloc(plan->ports * slots_of(plan), sizeof(*load->slots));
	if (!load->memory || !load->lane || !load->slots)
		return false;
	/* Not in the time that is measured: the kernel makes pages when they are touched. */
	memset(load->memory, 0, load->memory_bytes);
	for (uint16_t i = 0; i < plan->ports; i++)
		lane_init(load, i);
	return true;
}

struct pv_bench_serial_load *pv_bench_serial_load_create(struct pv_bench_serial *bench)
{
	struct pv_bench_serial_load *load = calloc(1, sizeof(*load));

	if (!load) {
		pv_bench_fail(&bench->run, "out of memory");
		return NULL;
	}
	load->worker.body = run;
	load->bench = bench;
	if (memory_init(load))
		return load;
	pv_bench_fail(&bench->run, "out of memory; a smaller --size or --depth needs less");
	pv_bench_serial_load_destroy(load);
	return NULL;
}

struct pv_bench_worker *pv_bench_serial_load_worker(struct pv_bench_serial_load *load)
{
	return &load->worker;
}

const struct pv_bench_serial_result *
pv_bench_serial_load_result(const struct pv_bench_serial_load *load)
{
	return &load->result;
}

void pv_bench_serial_load_destroy(struct pv_bench_serial_load *load)
{
	struct pv_os *os = pv_vhu_bus_os(load->bench->run.bus);

	if (load->memory)
		os->ops->shared_free(os, load->memory, load->memory_bytes);
	free(load->slots);
	free(load->lane);
	free(load);
}
