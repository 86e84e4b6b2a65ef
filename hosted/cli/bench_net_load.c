/* SPDX-License-Identifier: BSD-2-Clause */
#include "hosted/cli/bench_net_load.h"

#include <stdlib.h>
#include <string.h>

#include "ring/barrier.h"
#include "ring/err.h"

#define CACHE_LINE   64u
#define BUFFER_ALIGN 4096u

/* A frame begins here in its place: the header's room is before it, and it is on a cache line. */
#define FRAME_AT 64u

/* What has not come back so long after the last one that did is lost. */
#define LOST_NS 500000000u

struct slot {
	struct pv_netdrv_packet packet;
	struct pv_bench_net_load *load;
	struct pv_buffer buffer;
	struct slot *next; /* that is free */
};

/* Pairs that frames may say they come from. */
#define SENDERS 128u

struct pv_bench_net_load {
	struct pv_bench_worker worker;
	struct pv_bench_net *bench;
	struct pv_netdrv_queue *rx, *tx;
	uint16_t pair;

	uint64_t now_ticks; /* at the beginning of this turn */
	bool is_stopping;
	uint32_t idle_spins;
	struct slot *free;
	uint32_t in_ring;                 /* frames that the device has not sent yet */
	uint32_t away;                    /* echoes that are expected */
	uint64_t number;                  /* of the next frame */
	uint64_t came_ns;                 /* when the last echo did, as far as was looked */
	struct pv_frame_sequence *sender; /* SENDERS of them, if there is checking */
	uint8_t *gathered;                /* a frame that came in several buffers */
	struct pv_bench_net_result result;

	struct slot *slots;
	uint8_t *frames;
	struct pv_gpa frames_gpa;
	size_t frames_bytes;

	/* Written by other threads: echoes that came by other pairs. */
	__attribute__((aligned(CACHE_LINE))) uint64_t strayed; /* atomic */
	uint64_t strayed_seen;                                 /* ours */
};

static const struct pv_bench_net_plan *plan_of(const struct pv_bench_net_load *load)
{
	return &load->bench->plan;
}

/* ---- receiving ---- */

static void check(struct pv_bench_net_load *load, const uint8_t *frame, uint32_t bytes,
                  const struct pv_frame_stamp *stamp)
{
	load->result.checked++;
	if (stamp->pair < SENDERS &&
	    pv_frame_is_whole(frame, bytes, stamp, plan_of(load)->frame_bytes))
		pv_frame_came(&load->sender[stamp->pair], stamp);
	else
		load->result.altered++;
}

/* An echo: its sender may send another. */
static void came_back(struct pv_bench_net_load *load, const struct pv_frame_stamp *stamp)
{
	if (stamp->pair != load->pair)
		__atomic_fetch_add(&load->bench->load[stamp->pair]->strayed, 1, __ATOMIC_RELAXED);
	else if (load->away > 0)
		load->away--;
	if (!load->is_stopping)
		pv_histogram_add(&load->result.latency, load->now_ticks - stamp->ticks);
}

/* Of echoes only those of this run: a back-end may have some of the last one. */
static bool is_ours(const struct pv_bench_net_load *load, const struct pv_frame_stamp *stamp)
{
	return plan_of(load)->mode != PV_BENCH_NET_ECHO ||
	       (stamp->run == plan_of(load)->run && stamp->pair < load->bench->loads);
}

static void frame_came(struct pv_bench_net_load *load, const uint8_t *frame, uint32_t bytes)
{
	struct pv_frame_stamp stamp;

	if (!pv_frame_read(frame, bytes, &stamp) || !is_ours(load, &stamp)) {
		load->result.foreign++;
		return;
	}
	if (!load->is_stopping)
		load->result.received++;
	if (plan_of(load)->mode == PV_BENCH_NET_ECHO)
		came_back(load, &stamp);
	if (load->sender)
		check(load, frame, bytes, &stamp);
}

static const uint8_t *gather(struct pv_bench_net_load *load,
                             const struct pv_netdrv_received *packet)
{
	const struct pv_netdrv_buffer *buffer = packet->buffer;
	uint32_t at = 0;

	if (packet->buffers == 1)
		return (const uint8_t *)buffer->memory.memory + buffer->at;
	for (; buffer; buffer = buffer->next) {
		memcpy(load->gathered + at, (const uint8_t *)buffer->memory.memory + buffer->at,
		       buffer->bytes);
		at += buffer->bytes;
	}
	return load->gathered;
}

void pv_bench_net_received(struct pv_netdrv_queue *rx, const struct pv_netdrv_received *packet,
                           void *arg)
{
	const struct pv_bench_net *bench = arg;
	struct pv_bench_net_load *load = bench->load[pv_netdrv_queue_index(rx) / 2u];

	frame_came(load, gather(load, packet), packet->bytes);
}

/* ---- sending ---- */

static void slot_free(struct slot *slot)
{
	slot->next = slot->load->free;
	slot->load->free = slot;
}

static void sent(struct pv_netdrv_packet *packet)
{
	struct slot *slot = packet->arg;
	struct pv_bench_net_load *load = slot->load;

	load->in_ring--;
	slot_free(slot);
	if (packet->error)
		pv_bench_fail(&load->bench->run, "a frame was not sent: the queue broke");
	else if (!load->is_stopping)
		load->result.sent++;
}

/* Returns whether there was room for it. */
static bool send_one(struct pv_bench_net_load *load)
{
	const struct pv_bench_net_plan *plan = plan_of(load);
	struct slot *slot = load->free;
	const struct pv_frame_stamp stamp = { plan->run, load->pair, load->number,
		                              load->now_ticks };
	int error;

	pv_frame_stamp(slot->buffer.memory, plan->frame_bytes, &stamp, plan->is_checking);
	error = pv_netdrv_send(load->tx, &slot->packet);
	if (error) {
		if (error != -PV_ENOSPC)
			pv_bench_fail(&load->bench->run, "the driver cannot send: error %d",
			              -error);
		return false;
	}
	load->free = slot->next;
	load->number++;
	load->in_ring++;
	load->away++;
	return true;
}

static uint32_t send_some(struct pv_bench_net_load *load)
{
	const struct pv_bench_net_plan *plan = plan_of(load);
	bool is_echo = plan->mode == PV_BENCH_NET_ECHO;
	uint32_t count = 0;

	while (count < plan->burst && load->free && (!is_echo || load->away < plan->depth) &&
	       send_one(load))
		count++;
	if (count > 0)
		pv_netdrv_publish(load->tx);
	return count;
}

/* ---- the thread ---- */

static void take_strays(struct pv_bench_net_load *load)
{
	uint64_t strayed = __atomic_load_n(&load->strayed, __ATOMIC_RELAXED);
	uint64_t more = strayed - load->strayed_seen;

	load->strayed_seen = strayed;
	load->away -= more < load->away ? (uint32_t)more : load->away;
}

/* Echoes that do not come for long will not: others may be sent in their place. */
static void look_for_lost(struct pv_bench_net_load *load)
{
	uint64_t now_ns;

	if (plan_of(load)->mode != PV_BENCH_NET_ECHO || load->away == 0)
		return;
	now_ns = pv_clock_ns(CLOCK_MONOTONIC);
	if (load->came_ns == 0) {
		load->came_ns = now_ns;
	} else if (now_ns - load->came_ns > LOST_NS) {
		if (!load->sender)
			load->result.lost += load->away;
		load->away = 0;
	}
}

static void nap(struct pv_bench_net_load *load)
{
	bool is_for_frames = plan_of(load)->mode == PV_BENCH_NET_RECEIVE ||
	                     (plan_of(load)->mode == PV_BENCH_NET_ECHO && load->away > 0);
	struct pv_netdrv_queue *queue = is_for_frames ? load->rx : load->tx;

	if (!pv_netdrv_interrupts_on(queue) &&
	    pv_vhu_bus_wait(load->bench->run.bus, pv_netdrv_queue_index(queue), PV_BENCH_SLEEP_NS) <
	            0)
		pv_bench_fail(&load->bench->run, "%s", pv_vhu_bus_error(load->bench->run.bus));
	pv_netdrv_interrupts_off(queue);
}

static void nothing_done(struct pv_bench_net_load *load)
{
	if (pv_netdrv_queue_is_broken(load->rx) || pv_netdrv_queue_is_broken(load->tx))
		pv_bench_fail(&load->bench->run,
		              "pair %u: the back-end has broken the rules of the ring", load->pair);
	look_for_lost(load);
	if (plan_of(load)->is_blocking)
		nap(load);
	else
		pv_bench_idle(&load->idle_spins);
}

static void turn(struct pv_bench_net_load *load)
{
	enum pv_bench_net_mode mode = plan_of(load)->mode;
	uint32_t came = 0, went = 0, added = 0;

	load->now_ticks = pv_ticks(load->bench->run.are_ticks_cheap);
	if (mode != PV_BENCH_NET_SEND)
		came = pv_netdrv_poll(load->rx, 0);
	if (mode != PV_BENCH_NET_RECEIVE) {
		went = pv_netdrv_poll(load->tx, 0);
		take_strays(load);
		if (!load->is_stopping)
			added = send_some(load);
	}
	if (came + went + added == 0) {
		nothing_done(load);
		return;
	}
	load->idle_spins = 0;
	if (came > 0)
		load->came_ns = 0;
	pv_bench_progress(&load->worker, mode == PV_BENCH_NET_SEND ? went : came);
}

static void count_notifications(struct pv_bench_net_load *load)
{
	struct pv_netdrv_queue *const queues[] = { load->rx, load->tx };

	for (size_t i = 0; i < 2; i++) {
		struct pv_vhu_bus_counters counters =
			pv_vhu_bus_counters(load->bench->run.bus, pv_netdrv_queue_index(queues[i]));

		load->result.kicks += counters.kicks;
		load->result.interrupts += counters.interrupts;
	}
}

static void measure(struct pv_bench_net_load *load)
{
	struct pv_bench_net_result *result = &load->result;
	uint64_t cpu_ns = pv_clock_ns(CLOCK_THREAD_CPUTIME_ID);
	uint64_t ns = pv_clock_ns(CLOCK_MONOTONIC);

	while (pv_bench_phase(&load->bench->run) == PV_BENCH_LOAD)
		turn(load);
	load->is_stopping = true;
	result->cpu_ns = pv_clock_ns(CLOCK_THREAD_CPUTIME_ID) - cpu_ns;
	result->ns = pv_clock_ns(CLOCK_MONOTONIC) - ns;
	count_notifications(load);
}

static bool is_clear(const struct pv_bench_net_load *load)
{
	return load->in_ring == 0 && (plan_of(load)->mode != PV_BENCH_NET_ECHO || load->away == 0);
}

/* Until all are back: those of other threads may come by this one's queue. */
static void finish(struct pv_bench_net_load *load)
{
	uint32_t *busy = &load->bench->busy;
	bool was_clear = false;

	while (__atomic_load_n(busy, __ATOMIC_ACQUIRE) > 0 &&
	       pv_bench_phase(&load->bench->run) != PV_BENCH_ABORT) {
		if (!was_clear && is_clear(load)) {
			was_clear = true;
			__atomic_fetch_sub(busy, 1, __ATOMIC_ACQ_REL);
		} else {
			turn(load);
		}
	}
}

static struct pv_bench_net_load *load_of(struct pv_bench_worker *worker)
{
	return (struct pv_bench_net_load *)((char *)worker -
	                                    offsetof(struct pv_bench_net_load, worker));
}

static void run(struct pv_bench_worker *worker)
{
	struct pv_bench_net_load *load = load_of(worker);

	measure(load);
	finish(load);
}

/* ---- making and unmaking ---- */

/* A frame's place: room before it, and whole cache lines. */
static size_t place_bytes(const struct pv_bench_net_plan *plan)
{
	return FRAME_AT + ((plan->frame_bytes + CACHE_LINE - 1) & ~(size_t)(CACHE_LINE - 1));
}

static size_t frames_bytes(const struct pv_bench_net_plan *plan)
{
	size_t bytes = place_bytes(plan) * plan->depth;

	return (bytes + BUFFER_ALIGN - 1) & ~(size_t)(BUFFER_ALIGN - 1);
}

size_t pv_bench_net_load_memory(const struct pv_bench_net_plan *plan)
{
	return frames_bytes(plan) + BUFFER_ALIGN;
}

static void slot_init(struct pv_bench_net_load *load, uint16_t index)
{
	const struct pv_bench_net_plan *plan = plan_of(load);
	struct slot *slot = &load->slots[index];
	uint8_t *frame = load->frames + index * place_bytes(plan) + FRAME_AT;

	*slot = (struct slot){ .load = load, .buffer = { frame, plan->frame_bytes } };
	slot->packet.buffer = &slot->buffer;
	slot->packet.buffers = 1;
	slot->packet.has_headroom = true;
	slot->packet.done = sent;
	slot->packet.arg = slot;
	pv_frame_init(frame, plan->frame_bytes, plan->to, plan->from);
	slot_free(slot);
}

/* What one sends to oneself begins with the first. */
static void senders_init(struct pv_bench_net_load *load)
{
	for (uint16_t i = 0; i < SENDERS && plan_of(load)->mode == PV_BENCH_NET_ECHO; i++)
		pv_frame_expect(&load->sender[i], plan_of(load)->run, 0);
}

static bool memory_init(struct pv_bench_net_load *load)
{
	const struct pv_bench_net_plan *plan = plan_of(load);
	struct pv_os *os = pv_vhu_bus_os(load->bench->run.bus);

	load->frames_bytes = frames_bytes(plan);
	load->frames =
		os->ops->shared_alloc(os, load->frames_bytes, BUFFER_ALIGN, &load->frames_gpa);
	load->slots = calloc(plan->depth, sizeof(*load->slots));
	load->gathered = malloc(PV_NETDRV_FRAME_MAX);
	if (!load->frames || !load->slots || !load->gathered)
		return false;
	if (plan->is_checking) {
		load->sender = calloc(SENDERS, sizeof(*load->sender));
		if (!load->sender)
			return false;
		senders_init(load);
	}
	for (uint16_t i = 0; i < plan->depth; i++)
		slot_init(load, i);
	return true;
}

struct pv_bench_net_load *pv_bench_net_load_create(struct pv_bench_net *bench, uint16_t pair)
{
	size_t bytes = (sizeof(struct pv_bench_net_load) + CACHE_LINE - 1) &
	               ~(size_t)(CACHE_LINE - 1);
	struct pv_bench_net_load *load = aligned_alloc(CACHE_LINE, bytes);

	if (!load) {
		pv_bench_fail(&bench->run, "out of memory");
		return NULL;
	}
	memset(load, 0, bytes);
	load->worker.body = run;
	load->bench = bench;
	load->pair = pair;
	load->rx = pv_netdrv_rx(bench->net, pair);
	load->tx = pv_netdrv_tx(bench->net, pair);
	if (memory_init(load))
		return load;
	pv_bench_fail(&bench->run, "out of memory; a smaller --size or --depth needs less");
	pv_bench_net_load_destroy(load);
	return NULL;
}

struct pv_bench_worker *pv_bench_net_load_worker(struct pv_bench_net_load *load)
{
	return &load->worker;
}

/* Those at the end that never came back: no later one has told of the gap. */
static uint64_t last_ones_lost(const struct pv_bench_net_load *load)
{
	const struct pv_bench_net *bench = load->bench;
	uint64_t next = 0;

	for (uint16_t i = 0; i < bench->loads; i++) {
		const struct pv_frame_sequence *came = &bench->load[i]->sender[load->pair];

		next = came->next > next ? came->next : next;
	}
	return load->number > next ? load->number - next : 0;
}

const struct pv_bench_net_result *pv_bench_net_load_result(struct pv_bench_net_load *load)
{
	struct pv_bench_net_result *result = &load->result;

	if (!load->sender)
		return result;
	result->lost = result->doubled = result->reordered = 0;
	for (uint16_t i = 0; i < SENDERS; i++) {
		result->lost += load->sender[i].lost;
		result->doubled += load->sender[i].doubled;
		result->reordered += load->sender[i].reordered;
	}
	if (plan_of(load)->mode == PV_BENCH_NET_ECHO)
		result->lost += last_ones_lost(load);
	return result;
}

void pv_bench_net_load_destroy(struct pv_bench_net_load *load)
{
	struct pv_os *os = pv_vhu_bus_os(load->bench->run.bus);

	if (load->frames)
		os->ops->shared_free(os, load->frames, load->frames_bytes);
	free(load->sender);
	free(load->gathered);
	free(load->slots);
	free(load);
}
