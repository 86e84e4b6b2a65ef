/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A queue of the block device: where its requests are kept, those that are begun in one turn, and
 * those that wait.
 */
#include "devices/blk/internal.h"

#include "ring/err.h"

static size_t lane_bytes(uint32_t requests)
{
	return sizeof(struct pv_blk_lane) + sizeof(struct pv_blk_request) * requests;
}

/* The store is begun while any queue is started. */
static int begin_store(struct pv_blk *blk)
{
	struct pv_blk_store *store = blk->store;
	int err = 0;

	if (blk->started == 0 && store->ops->begin)
		err = store->ops->begin(store);
	if (!err)
		blk->started++;
	return err;
}

static void end_store(struct pv_blk *blk)
{
	if (--blk->started == 0 && blk->store->ops->end)
		blk->store->ops->end(blk->store);
}

int pv_blk_queue_start(struct pv_queue *queue)
{
	struct pv_port *port = queue->device->port;
	/* One more than the ring can hold: so it is the ring that finds out about too many. */
	uint32_t requests = queue->config.size + 1u;
	struct pv_blk_lane *lane;
	int err = begin_store(pv_blk_of(queue->device));

	if (err)
		return err;
	lane = port->ops->alloc(port, lane_bytes(requests));
	if (!lane) {
		end_store(pv_blk_of(queue->device));
		return -PV_ENOMEM;
	}
	lane->requests = requests;
	lane->held_end = &lane->held;
	queue->own = lane;
	return 0;
}

/* A free request: one used before while there is any, so that the hot ones stay few. */
static struct pv_blk_request *get_free(struct pv_queue *queue)
{
	struct pv_blk_lane *lane = queue->own;
	struct pv_blk_request *request = lane->free;

	if (request) {
		lane->free = request->next;
		return request;
	}
	if (lane->touched == lane->requests)
		return NULL;
	request = &lane->request[lane->touched++];
	pv_blk_request_init(request, queue);
	return request;
}

/* Takes all that is held off the list: the caller goes through it. */
static struct pv_blk_request *let_go_of_held(struct pv_queue *queue)
{
	struct pv_blk_lane *lane = queue->own;
	struct pv_blk_request *held = lane->held;

	lane->held = NULL;
	lane->held_end = &lane->held;
	queue->held = 0;
	return held;
}

/* Once each: one that fails again waits again, and so do those behind it. */
static void take_up_held(struct pv_queue *queue)
{
	const struct pv_blk *blk = pv_blk_of(queue->device);
	struct pv_blk_request *request = let_go_of_held(queue);

	while (request) {
		struct pv_blk_request *next = request->next;

		request->io.lane = queue->lane;
		if (pv_blk_has_stopped(blk))
			pv_blk_request_hold(request);
		else
			pv_blk_request_begin(request);
		request = next;
	}
}

/*
 * A burst is long enough to make its fixed costs small.  What a store finished at once is published
 * every few requests, so that a driver that polls works on those while we work on the next.  To
 * wake one that sleeps costs as much as some small requests: it is left until there is enough for
 * it to do, or no more to come.
 */
#define BURST_MAX       64u
#define PUBLISH_EVERY   8u
#define INTERRUPT_BYTES (64u << 10)

/* Returns how many of the `bytes` that came since the last interrupt still wait for one. */
static uint64_t publish_meanwhile(struct pv_queue *queue, uint64_t bytes)
{
	if (bytes < INTERRUPT_BYTES) {
		pv_queue_publish_quietly(queue);
		return bytes;
	}
	pv_queue_publish(queue);
	return 0;
}

bool pv_blk_queue_run(struct pv_queue *queue)
{
	const struct pv_blk *blk = pv_blk_of(queue->device);
	struct pv_blk_lane *lane = queue->own;
	uint64_t bytes = 0;
	bool has_worked = false;

	if (lane->held && !queue->is_draining && !pv_blk_has_stopped(blk)) {
		take_up_held(queue);
		has_worked = true;
	}
	for (uint32_t i = 0; i < BURST_MAX && !pv_blk_has_stopped(blk); i++) {
		struct pv_blk_request *request = get_free(queue);

		if (!request)
			break;
		if (!pv_queue_take(queue, &request->chain)) {
			pv_blk_request_free(lane, request);
			break;
		}
		has_worked = true;
		request->io.lane = queue->lane;
		bytes += request->chain.readable_bytes + request->chain.writable_bytes;
		pv_blk_request_begin(request);
		if (i % PUBLISH_EVERY == PUBLISH_EVERY - 1)
			bytes = publish_meanwhile(queue, bytes);
	}
	queue->is_stalled = pv_blk_has_stopped(blk);
	return has_worked;
}

void pv_blk_queue_move(struct pv_queue *queue)
{
	struct pv_blk_lane *lane = queue->own;

	for (struct pv_blk_request *request = lane->held; request; request = request->next)
		pv_blk_request_move(request);
}

void pv_blk_queue_drain(struct pv_queue *queue)
{
	struct pv_blk_lane *lane = queue->own;
	struct pv_blk_store *store = pv_blk_of(queue->device)->store;

	if (!store->ops->withdraw)
		return;
	for (uint16_t i = 0; i < lane->touched; i++) {
		struct pv_blk_request *request = &lane->request[i];

		if (request->state == PV_BLK_WORKED_ON && store->ops->withdraw(store, &request->io))
			pv_blk_request_hold(request);
	}
}

void pv_blk_queue_stop(struct pv_queue *queue)
{
	struct pv_port *port = queue->device->port;
	struct pv_blk_lane *lane = queue->own;
	struct pv_blk_request *request = let_go_of_held(queue);

	while (request) {
		struct pv_blk_request *next = request->next;

		request->written_bytes = 0;
		if (!pv_queue_keeps_held(queue))
			pv_blk_request_end(request, VIRTIO_BLK_S_IOERR);
		request = next;
	}
	port->ops->free(port, lane, lane_bytes(lane->requests));
	end_store(pv_blk_of(queue->device));
}

void pv_blk_queue_save(const struct pv_queue *queue, struct pv_state_writer *to)
{
	const struct pv_blk_lane *lane = queue->own;

	pv_state_put_u16(to, queue->held);
	for (const struct pv_blk_request *request = lane->held; request; request = request->next)
		pv_queue_chain_save(queue, &request->chain, to);
}

void pv_blk_queue_load(struct pv_queue *queue, struct pv_state_reader *from)
{
	uint16_t held = pv_state_get_u16(from);

	for (uint16_t i = 0; i < held; i++) {
		struct pv_blk_request *request = get_free(queue);

		if (!pv_state_check(from, request != NULL))
			return;
		pv_queue_chain_load(queue, &request->chain, from);
		if (from->is_bad)
			return;
		pv_blk_request_hold(request);
	}
}
