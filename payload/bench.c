/* SPDX-License-Identifier: BSD-2-Clause */
/* How fast devices are, by polling or by interrupts: one queue, random places, so many in flight.
 */
#include "drivers/blk/blk.h"
#include "drivers/rng/rng.h"
#include "payload/payload.h"
#include "payload/stopwatch.h"
#include "payload/x86/interrupts.h"
#include "payload/x86/os.h"

#define TIMEOUT_NS STOPWATCH_LIMIT_NS
#define DEPTH_MAX  128u
#define BYTES_MAX  (2u << 20) /* of all that are in flight */
#define KICKS      1000u
#define MS         1000000ull
#define SECOND     1000000000ull

/* What a register costs that wakes nobody: the queue is empty. */
static void bench_kick(struct pv_bus *bus)
{
	const uint64_t begin = clock_ns();

	for (unsigned int i = 0; i < KICKS; i++)
		bus->ops->kick(bus, 0, 0);
	payload_note("a kick, ns", (clock_ns() - begin) / KICKS);
}

/* ---- disks ---- */

struct flight {
	struct pv_blkdrv_request request;
	struct pv_buffer data;
};

static struct flight flights[DEPTH_MAX];

static struct bench {
	struct pv_blkdrv_queue *queue;
	uint64_t blocks; /* of the disk */
	uint32_t bytes;
	uint64_t state; /* of the random numbers */
	struct stopwatch watch;
	uint32_t out;
	uint64_t done, errors;
} bench;

static uint64_t random_block(void)
{
	bench.state ^= bench.state << 13;
	bench.state ^= bench.state >> 7;
	bench.state ^= bench.state << 17;
	return bench.state % bench.blocks;
}

static void send(struct flight *flight)
{
	flight->request.sector = random_block() * (bench.bytes / VIRTIO_BLK_SECTOR_BYTES);
	if (pv_blkdrv_submit(bench.queue, &flight->request))
		bench.errors++;
	else
		bench.out++;
}

static void done(struct pv_blkdrv_request *request)
{
	bench.out--;
	bench.done++;
	bench.errors += request->error != 0;
	if (!stopwatch_is_over(&bench.watch))
		send((struct flight *)request);
}

static void prepare(uint32_t depth, uint8_t *data)
{
	for (uint32_t i = 0; i < depth; i++) {
		struct flight *flight = &flights[i];

		flight->data = (struct pv_buffer){ data + i * bench.bytes, bench.bytes };
		flight->request = (struct pv_blkdrv_request){
			.op = PV_BLKDRV_READ, .buffers = 1, .buffer = &flight->data, .done = done
		};
	}
}

/* Where interrupts are to be waited for. */
static void sleep(void)
{
	if (!interrupts_are_on())
		return;
	if (!pv_blkdrv_interrupts_on(bench.queue))
		interrupts_sleep(TIMEOUT_NS);
	pv_blkdrv_interrupts_off(bench.queue);
	stopwatch_look(&bench.watch);
}

/* Until the time is over and all is back, or nothing comes back any more. */
static bool run(uint32_t depth, uint64_t ms)
{
	bool is_alive = true;

	stopwatch_start(&bench.watch, ms);
	for (uint32_t i = 0; i < depth; i++)
		send(&flights[i]);
	pv_blkdrv_publish(bench.queue);
	while (is_alive && bench.out > 0) {
		const bool came = pv_blkdrv_poll(bench.queue) > 0;

		if (came)
			pv_blkdrv_publish(bench.queue);
		else
			sleep();
		is_alive = stopwatch_turn(&bench.watch, came);
	}
	return is_alive;
}

static void report(uint32_t depth, uint64_t took_ns)
{
	uint64_t done_max = bench.done ? bench.done : 1;

	payload_note("depth", depth);
	payload_note("bytes", bench.bytes);
	payload_note("reads a second", bench.done * SECOND / took_ns);
	payload_note("KB a second", bench.done * bench.bytes / 1000 * SECOND / took_ns);
	/* So many are always in flight. */
	payload_note("mean latency, ns", took_ns * depth / done_max);
	payload_note("kicks in 1000 reads",
	             pv_blkdrv_queue_counters(bench.queue).kicks * 1000 / done_max);
	payload_note("interrupts in 1000 reads", interrupts_of_queue(0) * 1000ull / done_max);
}

static void bench_disk(struct pv_blkdrv *blk, const struct payload_options *options)
{
	const uint32_t depth = options->depth < DEPTH_MAX ? options->depth : DEPTH_MAX;
	const uint64_t disk_bytes = pv_blkdrv_capacity(blk) * VIRTIO_BLK_SECTOR_BYTES;
	uint64_t begin;
	uint8_t *data;

	bench = (struct bench){ .queue = pv_blkdrv_queue(blk, 0),
		                .bytes = options->bytes,
		                .state = 0x9e3779b97f4a7c15u };
	if (!payload_ok(depth > 0 && options->bytes >= VIRTIO_BLK_SECTOR_BYTES &&
	                        options->bytes % VIRTIO_BLK_SECTOR_BYTES == 0 &&
	                        options->bytes <= BYTES_MAX / depth && options->bytes <= disk_bytes,
	                "depth and bytes make sense"))
		return;
	bench.blocks = disk_bytes / options->bytes;
	data = bare_alloc((size_t)depth * options->bytes, 4096);
	if (!payload_ok(data, "there is memory for it"))
		return;
	prepare(depth, data);
	begin = clock_ns();
	payload_ok(run(depth, options->ms) && bench.errors == 0, "it reads to the end");
	if (interrupts_are_on())
		payload_ok(interrupts_of_queue(0) > 0, "interrupts say when it has read");
	report(depth, clock_ns() - begin);
}

void payload_bench_blk(struct pv_bus *bus, const struct payload_options *options)
{
	const struct pv_blkdrv_options wanted = { .timeout_ns = TIMEOUT_NS };
	struct pv_blkdrv *blk;

	bare_forget();
	if (!payload_ok(pv_blkdrv_create(&blk, bus, &bare_os, &wanted) == 0, "it comes up"))
		return;
	bench_kick(bus);
	bench_disk(blk, options);
	pv_blkdrv_destroy(blk);
}

/* ---- entropy ---- */

void payload_bench_rng(struct pv_bus *bus, const struct payload_options *options)
{
	const struct pv_rngdrv_options wanted = { .timeout_ns = TIMEOUT_NS };
	static struct pv_rngdrv_request request;
	const uint64_t begin = clock_ns();
	uint64_t bytes = 0, requests = 0, now = begin;
	struct pv_rngdrv *rng;
	bool is_good = true;
	uint8_t *data;

	bare_forget();
	if (!payload_ok(pv_rngdrv_create(&rng, bus, &bare_os, &wanted) == 0, "it comes up"))
		return;
	data = bare_alloc(options->bytes, 4096);
	while (data && is_good && now - begin < options->ms * MS) {
		request = (struct pv_rngdrv_request){
			.buffer = { data, options->bytes },
		};
		is_good = pv_rngdrv_do(rng, &request, TIMEOUT_NS) == 0;
		bytes += request.random_bytes;
		requests++;
		now = clock_ns();
	}
	payload_ok(data && is_good, "it gives bytes to the end");
	payload_note("random bytes a second", bytes * SECOND / (now - begin + 1));
	payload_note("interrupts in 1000 requests", interrupts_of_queue(VIRTIO_RNG_REQUESTQ) *
	                                                    1000ull / (requests ? requests : 1));
	pv_rngdrv_destroy(rng);
}
