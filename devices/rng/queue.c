/* SPDX-License-Identifier: BSD-2-Clause */
/* The entropy device's queue: what one run does, and what it waits for. */
#include "devices/rng/internal.h"

#include "ring/err.h"

/* One run is a turn among those of other queues, whatever the driver asks for. */
#define RUN_CHAINS  64u
#define RUN_BYTES   (64u << 10)
#define CHAIN_BYTES RUN_BYTES /* a longer buffer is filled so far */

/* A buffer, for which one is enough, where memory is cut into regions. */
#define PIECES 32u

/* A source that has nothing is asked again after so long. */
#define STARVED_NS 100000000u

/* Bytes of the source that no chain was taken for yet: so one that is taken can have some. */
#define STOCK_BYTES 64u

struct pv_rng_lane {
	uint64_t wait_until_ns; /* the run of this time goes on; 0: it does not wait */
	size_t stock_bytes;     /* at the end of the stock */
	uint8_t stock[STOCK_BYTES];
	struct pv_iov iov[PIECES];
};

int pv_rng_queue_start(struct pv_queue *queue)
{
	struct pv_port *port = queue->device->port;

	queue->own = port->ops->alloc(port, sizeof(struct pv_rng_lane));
	return queue->own ? 0 : -PV_ENOMEM;
}

/* What one guest might have been given is of no use to the next owner of the memory. */
void pv_rng_queue_stop(struct pv_queue *queue)
{
	struct pv_port *port = queue->device->port;
	volatile struct pv_rng_lane *lane = queue->own;

	for (size_t i = 0; i < STOCK_BYTES; i++)
		lane->stock[i] = 0;
	port->ops->free(port, queue->own, sizeof(struct pv_rng_lane));
}

/* ---- the budget ---- */

static uint64_t now_ns(const struct pv_queue *queue)
{
	struct pv_port *port = queue->device->port;

	return port->ops->now_ns(port);
}

/* What may be given now. */
static uint64_t allowance(const struct pv_queue *queue)
{
	struct pv_rng *rng = pv_rng_of(queue->device);

	if (rng->options.max_bytes == 0)
		return CHAIN_BYTES;
	if (rng->spent_bytes > 0 && now_ns(queue) >= rng->period_end_ns)
		rng->spent_bytes = 0;
	return rng->options.max_bytes - rng->spent_bytes;
}

static void spend(const struct pv_queue *queue, uint64_t bytes)
{
	struct pv_rng *rng = pv_rng_of(queue->device);

	pv_count_add(&rng->counters.bytes, bytes);
	if (rng->options.max_bytes == 0 || bytes == 0)
		return;
	if (rng->spent_bytes == 0)
		rng->period_end_ns = now_ns(queue) + rng->options.period_ns;
	rng->spent_bytes += bytes;
}

/* ---- waiting ---- */

/* Nothing is taken until then, and kicks change nothing about it. */
static void wait_until(struct pv_queue *queue, uint64_t until_ns, pv_counter *why)
{
	struct pv_port *port = queue->device->port;
	struct pv_rng_lane *lane = queue->own;
	uint64_t now = now_ns(queue);

	pv_count(why);
	lane->wait_until_ns = until_ns;
	queue->is_stalled = true;
	port->ops->queue_timer(port, queue, until_ns > now ? until_ns - now : 0);
}

/* It is run for other reasons too: when others on its loop have work, and when it is to stop. */
static bool must_wait(struct pv_queue *queue)
{
	struct pv_rng_lane *lane = queue->own;

	if (lane->wait_until_ns == 0)
		return false;
	if (now_ns(queue) < lane->wait_until_ns)
		return true;
	lane->wait_until_ns = 0;
	queue->is_stalled = false;
	return false;
}

/* ---- bytes ---- */

static size_t ask(struct pv_rng *rng, void *to, size_t bytes)
{
	size_t filled = rng->source->ops->fill(rng->source, to, bytes);

	pv_bug_on(filled > bytes);
	return filled;
}

static bool has_stock(const struct pv_queue *queue)
{
	struct pv_rng_lane *lane = queue->own;

	if (lane->stock_bytes > 0)
		return true;
	lane->stock_bytes = ask(pv_rng_of(queue->device), lane->stock, STOCK_BYTES);
	/* Fewer lie at its beginning. */
	__builtin_memmove(lane->stock + STOCK_BYTES - lane->stock_bytes, lane->stock,
	                  lane->stock_bytes);
	return lane->stock_bytes > 0;
}

/* No byte is given twice. */
static size_t give_stock(struct pv_rng_lane *lane, uint8_t *to, size_t bytes)
{
	uint8_t *from = lane->stock + STOCK_BYTES - lane->stock_bytes;

	if (bytes > lane->stock_bytes)
		bytes = lane->stock_bytes;
	__builtin_memcpy(to, from, bytes);
	__builtin_memset(from, 0, bytes);
	lane->stock_bytes -= bytes;
	return bytes;
}

/* Fills a piece, as far as there is something. */
static size_t fill_piece(const struct pv_queue *queue, uint8_t *to, size_t bytes)
{
	size_t filled = give_stock(queue->own, to, bytes);

	if (filled < bytes)
		filled += ask(pv_rng_of(queue->device), to + filled, bytes - filled);
	return filled;
}

static size_t fill(const struct pv_queue *queue, const struct pv_chain *chain, size_t bytes)
{
	const struct pv_iov *iov = chain->iov + chain->readable;
	size_t filled = 0;

	for (uint16_t i = 0; i < chain->writable && filled < bytes; i++) {
		size_t left = bytes - filled;
		size_t wanted = iov[i].bytes < left ? iov[i].bytes : left;
		size_t got = fill_piece(queue, iov[i].base, wanted);

		filled += got;
		if (got < wanted)
			break;
	}
	return filled;
}

/* ---- a run ---- */

/* Section 5.4.6.1: what is for the device to read, or has no room, is no request. */
static bool is_request(struct pv_queue *queue, const struct pv_chain *chain)
{
	if (chain->is_incomplete)
		return false;
	if (chain->readable_bytes == 0 && chain->writable_bytes > 0)
		return true;
	pv_queue_bad_chain(queue, "a request that is not a buffer to fill");
	return false;
}

/* Returns the bytes that it cost. */
static size_t serve(struct pv_queue *queue, const struct pv_chain *chain, uint64_t bytes)
{
	size_t filled = 0;

	if (bytes > CHAIN_BYTES)
		bytes = CHAIN_BYTES;
	if (is_request(queue, chain))
		filled = fill(queue, chain, (size_t)bytes);
	spend(queue, filled);
	pv_queue_return(queue, chain, (uint32_t)filled);
	return filled;
}

/* May a chain be taken, so that there is something for it? If not the queue waits. */
static bool can_serve(struct pv_queue *queue, uint64_t allowed)
{
	struct pv_rng *rng = pv_rng_of(queue->device);

	if (allowed == 0)
		wait_until(queue, rng->period_end_ns, &rng->counters.throttled);
	else if (!has_stock(queue))
		wait_until(queue, now_ns(queue) + STARVED_NS, &rng->counters.starved);
	else
		return true;
	return false;
}

bool pv_rng_queue_run(struct pv_queue *queue)
{
	struct pv_rng_lane *lane = queue->own;
	bool has_worked = false;
	size_t bytes = 0;

	if (queue->is_draining || must_wait(queue))
		return false;
	for (uint32_t i = 0; i < RUN_CHAINS && bytes < RUN_BYTES; i++) {
		struct pv_chain chain = { .iov = lane->iov, .capacity = PIECES };
		uint64_t allowed = allowance(queue);

		if (!can_serve(queue, allowed) || !pv_queue_take(queue, &chain))
			break;
		has_worked = true;
		bytes += serve(queue, &chain, allowed);
	}
	return has_worked;
}
