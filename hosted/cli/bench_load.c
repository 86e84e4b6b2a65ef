/* SPDX-License-Identifier: BSD-2-Clause */
#include "hosted/cli/bench_load.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hosted/cli/bench_pattern.h"
#include "hosted/cli/ticks.h"
#include "ring/barrier.h"
#include "ring/err.h"

#define BUFFER_ALIGN 4096u

/* A block's record while verifying: how often it was written, and whether a request is at it. */
#define BLOCK_IS_BUSY 0x80000000u

struct slot {
	struct pv_blkdrv_request request;
	struct pv_bench_load *load;
	uint64_t begin_ticks;
	uint64_t block;
	uint8_t *buffer;
	struct pv_buffer data;
};

struct pv_bench_load {
	struct pv_bench_worker worker;
	struct pv_bench *bench;
	struct pv_blkdrv_queue *queue;
	uint16_t index;

	/* The piece of the disk that is this thread's, in blocks. */
	uint64_t first;
	uint64_t blocks;

	/* The run. */
	uint64_t now_ticks; /* at the beginning of this batch */
	uint64_t random;
	uint64_t next; /* sequential; later the block to be read again next */
	bool is_stopping;
	bool is_rereading;
	uint32_t in_flight;
	uint32_t idle_spins;
	uint32_t *written; /* verifying: a record for each block */
	struct pv_bench_result result;

	struct slot *slots;
	uint8_t *buffers;
	struct pv_gpa buffers_gpa;
	size_t buffers_bytes;
};

/* ---- which block, and what to do with it ---- */

static uint64_t random_next(struct pv_bench_load *load)
{
	uint64_t x = load->random;

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	load->random = x;
	return x * 0x2545f4914f6cdd1du;
}

static uint64_t random_below(struct pv_bench_load *load, uint64_t bound)
{
	return (uint64_t)(((unsigned __int128)random_next(load) * bound) >> 64);
}

static uint64_t block_next(struct pv_bench_load *load)
{
	uint64_t block;

	if (load->bench->plan.is_random)
		return random_below(load, load->blocks);
	block = load->next++;
	if (load->next == load->blocks)
		load->next = 0;
	return block;
}

static bool is_read_next(struct pv_bench_load *load)
{
	uint32_t percent = load->bench->plan.read_percent;

	return percent == 100 || (percent > 0 && random_below(load, 100) < percent);
}

/* A block that no request is at: there are at least as many blocks as requests. */
static uint64_t free_block_next(struct pv_bench_load *load)
{
	uint64_t block = block_next(load);

	while (load->written[block] & BLOCK_IS_BUSY)
		block = block + 1 < load->blocks ? block + 1 : 0;
	return block;
}

static uint64_t offset_of(const struct slot *slot)
{
	const struct pv_bench_load *load = slot->load;

	return (load->first + slot->block) * load->bench->plan.block_bytes;
}

static struct pv_pattern pattern_of(const struct slot *slot)
{
	const struct pv_bench_load *load = slot->load;

	return (struct pv_pattern){ .offset = offset_of(slot),
		                    .seed = load->bench->plan.seed,
		                    .generation = load->written[slot->block] & ~BLOCK_IS_BUSY };
}

/* What was never written cannot be compared: it is written first. */
static void choose_verified(struct pv_bench_load *load, struct slot *slot)
{
	uint32_t *written;

	slot->block = free_block_next(load);
	written = &load->written[slot->block];
	slot->request.op = PV_BLKDRV_READ;
	if (*written == 0 || !is_read_next(load)) {
		struct pv_pattern pattern;

		*written = (*written + 1) & ~BLOCK_IS_BUSY;
		pattern = pattern_of(slot);
		pv_pattern_fill(slot->buffer, load->bench->plan.block_bytes, &pattern);
		slot->request.op = PV_BLKDRV_WRITE;
	}
	*written |= BLOCK_IS_BUSY;
}

/* The next of the blocks that were written, to be read again. False when there are no more. */
static bool choose_written(struct pv_bench_load *load, struct slot *slot)
{
	while (load->next < load->blocks && load->written[load->next] == 0)
		load->next++;
	if (load->next == load->blocks)
		return false;
	slot->block = load->next++;
	load->written[slot->block] |= BLOCK_IS_BUSY;
	slot->request.op = PV_BLKDRV_READ;
	return true;
}

static bool choose(struct pv_bench_load *load, struct slot *slot)
{
	if (load->is_rereading)
		return choose_written(load, slot);
	if (load->is_stopping)
		return false;
	if (load->written) {
		choose_verified(load, slot);
		return true;
	}
	slot->block = block_next(load);
	slot->request.op = is_read_next(load) ? PV_BLKDRV_READ : PV_BLKDRV_WRITE;
	return true;
}

/* ---- requests ---- */

static const char *op_name(const struct slot *slot)
{
	return slot->request.op == PV_BLKDRV_READ ? "read" : "write";
}

static const char *error_text(int error)
{
	switch (-error) {
	case PV_EIO:
		return "the back-end reports an I/O error";
	case PV_ENOTSUP:
		return "the back-end does not support it";
	case PV_EBROKEN:
		return "the back-end has broken the rules of the ring";
	case PV_ENOSPC:
		return "the queue has no room for it";
	case PV_EINVAL:
		return "it does not fit the disk";
	default:
		return "unknown error";
	}
}

static void request_failed(struct slot *slot, int error)
{
	pv_bench_fail(&slot->load->bench->run, "a %s of %u bytes at byte %llu has failed: %s",
	              op_name(slot), slot->load->bench->plan.block_bytes,
	              (unsigned long long)offset_of(slot), error_text(error));
}

static void send_next(struct pv_bench_load *load, struct slot *slot)
{
	int error;

	if (!choose(load, slot)) {
		load->in_flight--;
		return;
	}
	slot->request.sector = offset_of(slot) >> VIRTIO_BLK_SECTOR_SHIFT;
	slot->begin_ticks = load->now_ticks;
	error = pv_blkdrv_submit(load->queue, &slot->request);
	if (__builtin_expect(error, 0)) {
		load->in_flight--;
		request_failed(slot, error);
	}
}

static void verify(struct pv_bench_load *load, struct slot *slot)
{
	struct pv_pattern pattern = pattern_of(slot);
	char sentence[192];

	load->written[slot->block] &= ~BLOCK_IS_BUSY;
	if (slot->request.op != PV_BLKDRV_READ)
		return;
	load->result.verified_blocks++;
	if (!pv_pattern_check(slot->buffer, load->bench->plan.block_bytes, &pattern, sentence,
	                      sizeof(sentence)))
		pv_bench_fail(&load->bench->run, "verification failed: %s", sentence);
}

static void done(struct pv_blkdrv_request *request)
{
	struct slot *slot = request->arg;
	struct pv_bench_load *load = slot->load;

	if (__builtin_expect(request->error, 0)) {
		load->in_flight--;
		request_failed(slot, request->error);
		return;
	}
	if (__builtin_expect(!load->is_stopping, 1)) {
		pv_histogram_add(&load->result.latency, load->now_ticks - slot->begin_ticks);
		if (request->op == PV_BLKDRV_READ)
			load->result.reads++;
		else
			load->result.writes++;
	}
	if (load->written)
		verify(load, slot);
	send_next(load, slot);
}

/* ---- the thread ---- */

static void nap(struct pv_bench_load *load)
{
	if (!pv_blkdrv_interrupts_on(load->queue) &&
	    pv_vhu_bus_wait(load->bench->run.bus, load->index, PV_BENCH_SLEEP_NS) < 0)
		pv_bench_fail(&load->bench->run, "%s", pv_vhu_bus_error(load->bench->run.bus));
	pv_blkdrv_interrupts_off(load->queue);
}

static void nothing_done(struct pv_bench_load *load)
{
	if (pv_blkdrv_queue_is_broken(load->queue)) {
		pv_bench_fail(&load->bench->run, "queue %u: %s", load->index,
		              error_text(-PV_EBROKEN));
	} else if (load->bench->plan.is_blocking) {
		nap(load);
	} else {
		pv_bench_idle(&load->idle_spins);
	}
}

static void turn(struct pv_bench_load *load)
{
	uint32_t count;

	load->now_ticks = pv_ticks(load->bench->run.are_ticks_cheap);
	count = pv_blkdrv_poll(load->queue);
	if (count == 0) {
		nothing_done(load);
		return;
	}
	pv_blkdrv_publish(load->queue);
	load->idle_spins = 0;
	pv_bench_progress(&load->worker, count);
}

static void send_all(struct pv_bench_load *load)
{
	load->now_ticks = pv_ticks(load->bench->run.are_ticks_cheap);
	for (uint16_t i = 0; i < load->bench->plan.depth; i++) {
		load->in_flight++;
		send_next(load, &load->slots[i]);
	}
	pv_blkdrv_publish(load->queue);
}

static void finish(struct pv_bench_load *load)
{
	while (load->in_flight && pv_bench_phase(&load->bench->run) != PV_BENCH_ABORT)
		turn(load);
}

static void reread(struct pv_bench_load *load)
{
	load->is_rereading = true;
	load->next = 0;
	send_all(load);
	finish(load);
}

static void measure(struct pv_bench_load *load)
{
	struct pv_bench_result *result = &load->result;
	uint64_t cpu_ns = pv_clock_ns(CLOCK_THREAD_CPUTIME_ID);
	uint64_t ns = pv_clock_ns(CLOCK_MONOTONIC);
	struct pv_vhu_bus_counters counters;

	send_all(load);
	while (pv_bench_phase(&load->bench->run) == PV_BENCH_LOAD)
		turn(load);
	load->is_stopping = true;
	result->cpu_ns = pv_clock_ns(CLOCK_THREAD_CPUTIME_ID) - cpu_ns;
	result->ns = pv_clock_ns(CLOCK_MONOTONIC) - ns;
	counters = pv_vhu_bus_counters(load->bench->run.bus, load->index);
	result->kicks = counters.kicks;
	result->interrupts = counters.interrupts;
}

static struct pv_bench_load *load_of(struct pv_bench_worker *worker)
{
	return (struct pv_bench_load *)((char *)worker - offsetof(struct pv_bench_load, worker));
}

static void run(struct pv_bench_worker *worker)
{
	struct pv_bench_load *load = load_of(worker);

	measure(load);
	finish(load);
	if (load->written)
		reread(load);
}

/* ---- making and unmaking ---- */

static size_t buffers_bytes(const struct pv_bench_plan *plan)
{
	size_t bytes = (size_t)plan->block_bytes * plan->depth;

	return (bytes + BUFFER_ALIGN - 1) & ~(size_t)(BUFFER_ALIGN - 1);
}

size_t pv_bench_load_memory(const struct pv_bench_plan *plan)
{
	return buffers_bytes(plan) + BUFFER_ALIGN;
}

static void slot_init(struct pv_bench_load *load, uint16_t index)
{
	const struct pv_bench_plan *plan = &load->bench->plan;
	struct slot *slot = &load->slots[index];
	uint8_t *buffer = load->buffers + (size_t)index * plan->block_bytes;

	*slot = (struct slot){ .load = load,
		               .buffer = buffer,
		               .data = { buffer, plan->block_bytes } };
	slot->request.buffer = &slot->data;
	slot->request.buffers = 1;
	slot->request.done = done;
	slot->request.arg = slot;
}

/* Random load without verification goes everywhere; all else keeps to a piece of its own. */
static void piece_init(struct pv_bench_load *load)
{
	const struct pv_bench_plan *plan = &load->bench->plan;

	load->blocks = plan->blocks;
	if (!plan->is_random || plan->is_verifying) {
		load->blocks = plan->blocks / plan->queues;
		load->first = load->blocks * load->index;
	}
	load->random = plan->seed * 0x9e3779b97f4a7c15u + load->index + 1;
}

static bool memory_init(struct pv_bench_load *load)
{
	const struct pv_bench_plan *plan = &load->bench->plan;
	struct pv_os *os = pv_vhu_bus_os(load->bench->run.bus);

	load->buffers_bytes = buffers_bytes(plan);
	load->buffers =
		os->ops->shared_alloc(os, load->buffers_bytes, BUFFER_ALIGN, &load->buffers_gpa);
	load->slots = calloc(plan->depth, sizeof(*load->slots));
	if (!load->buffers || !load->slots)
		return false;
	if (plan->is_verifying) {
		load->written = calloc(load->blocks, sizeof(*load->written));
		if (!load->written)
			return false;
	}
	for (uint16_t i = 0; i < plan->depth; i++)
		slot_init(load, i);
	return true;
}

struct pv_bench_load *pv_bench_load_create(struct pv_bench *bench, uint16_t index)
{
	struct pv_bench_load *load = aligned_alloc(64, (sizeof(*load) + 63) & ~(size_t)63);

	if (!load) {
		pv_bench_fail(&bench->run, "out of memory");
		return NULL;
	}
	memset(load, 0, sizeof(*load));
	load->worker.body = run;
	load->bench = bench;
	load->index = index;
	load->queue = pv_blkdrv_queue(bench->blk, index);
	piece_init(load);
	if (!memory_init(load)) {
		pv_bench_fail(&bench->run, "out of memory; a smaller --block-size, --depth or "
		                           "--size-limit needs less");
		pv_bench_load_destroy(load);
		return NULL;
	}
	return load;
}

struct pv_bench_worker *pv_bench_load_worker(struct pv_bench_load *load)
{
	return &load->worker;
}

const struct pv_bench_result *pv_bench_load_result(const struct pv_bench_load *load)
{
	return &load->result;
}

void pv_bench_load_destroy(struct pv_bench_load *load)
{
	struct pv_os *os = pv_vhu_bus_os(load->bench->run.bus);

	if (load->buffers)
		os->ops->shared_free(os, load->buffers, load->buffers_bytes);
	free(load->written);
	free(load->slots);
	free(load);
}
