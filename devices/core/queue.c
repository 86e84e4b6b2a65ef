/* SPDX-License-Identifier: BSD-2-Clause */
#include "devices/core/queue.h"

#include "devices/core/device.h"
#include "ring/err.h"

#define COUNTER(field)                                                                             \
	{                                                                                          \
#field, offsetof(struct pv_queue_counters, field)                                  \
	}

const struct pv_counter_name pv_queue_counter_names[] = {
	COUNTER(requests),   COUNTER(completions), COUNTER(bursts),      COUNTER(kicks),
	COUNTER(interrupts), COUNTER(bad_chains),  COUNTER(ring_faults), { NULL, 0 },
};

static void report_broken(struct pv_queue *queue)
{
	struct pv_port *port = queue->device->port;

	if (queue->is_broke_reported)
		return;
	queue->is_broke_reported = true;
	pv_count(&queue->counters.ring_faults);
	port->ops->log(port, PV_LOG_WARNING, pv_ring_fault_name(queue->ring.fault));
	port->ops->queue_broke(port, queue);
}

void pv_queue_bad_chain(struct pv_queue *queue, const char *why)
{
	struct pv_port *port = queue->device->port;

	pv_count(&queue->counters.bad_chains);
	if (queue->is_bad_chain_reported)
		return;
	queue->is_bad_chain_reported = true;
	port->ops->log(port, PV_LOG_WARNING, why);
}

static const char incomplete[] = "a request with a buffer that is no memory, or in too many pieces";

bool pv_queue_take(struct pv_queue *queue, struct pv_chain *chain)
{
	if (queue->is_draining)
		return false;
	switch (pv_dev_ring_take(&queue->ring, chain)) {
	case PV_TAKEN:
		pv_count(&queue->counters.requests);
		if (chain->is_incomplete)
			pv_queue_bad_chain(queue, incomplete);
		return true;
	case PV_TAKE_BROKEN:
		report_broken(queue);
		return false;
	case PV_TAKE_NONE:
		break;
	}
	return false;
}

uint16_t pv_queue_take_run(struct pv_queue *queue, const struct pv_chain_room *room)
{
	uint16_t taken;

	if (queue->is_draining)
		return 0;
	taken = pv_dev_ring_take_run(&queue->ring, room);
	pv_count_add(&queue->counters.requests, taken);
	for (uint16_t i = 0; i < taken; i++)
		if (__builtin_expect(room->chain[i].is_incomplete, 0))
			pv_queue_bad_chain(queue, incomplete);
	if (queue->ring.fault)
		report_broken(queue);
	return taken;
}

void pv_queue_put_back(struct pv_queue *queue, const struct pv_chain *chain)
{
	pv_uncount(&queue->counters.requests);
	if (chain->is_incomplete)
		pv_uncount(&queue->counters.bad_chains);
	pv_dev_ring_put_back(&queue->ring, chain);
}

void pv_queue_return(struct pv_queue *queue, const struct pv_chain *chain, uint32_t written_bytes)
{
	pv_count(&queue->counters.completions);
	pv_dev_ring_return(&queue->ring, chain, written_bytes);
}

void pv_queue_return_run(struct pv_queue *queue, const struct pv_chain *chain,
                         const uint32_t *written_bytes, uint16_t count)
{
	pv_count_add(&queue->counters.completions, count);
	pv_dev_ring_return_run(&queue->ring, chain, written_bytes, count);
}

static void interrupt(struct pv_queue *queue)
{
	struct pv_port *port = queue->device->port;

	pv_count(&queue->counters.interrupts);
	port->ops->interrupt(port, queue);
}

bool pv_queue_publish(struct pv_queue *queue)
{
	bool is_new = pv_dev_ring_publish(&queue->ring);

	queue->is_quiet |= is_new;
	if (!queue->is_quiet || queue->is_muted)
		return is_new;
	queue->is_quiet = false;
	/* A broken ring cannot be asked whether it wants one. */
	if (queue->ring.fault || pv_dev_ring_must_interrupt(&queue->ring))
		interrupt(queue);
	return true;
}

void pv_queue_publish_quietly(struct pv_queue *queue)
{
	queue->is_quiet |= pv_dev_ring_publish(&queue->ring);
}

void pv_queue_mem_switch(struct pv_queue *queue, const struct pv_mem *mem)
{
	const struct pv_virtio_ops *virtio = queue->device->ops->virtio;

	pv_dev_ring_mem_switch(&queue->ring, mem);
	if (queue->held > 0)
		virtio->queue_move(queue);
}

void pv_queue_event(struct pv_queue *queue)
{
	queue->device->ops->virtio->queue_event(queue);
}

bool pv_queue_run(struct pv_queue *queue)
{
	uint64_t taken_before = queue->counters.requests;
	bool has_worked = queue->device->ops->virtio->queue_run(queue);

	if (queue->counters.requests != taken_before)
		pv_count(&queue->counters.bursts);
	if (__builtin_expect(queue->is_interrupt_due, 0)) {
		queue->is_interrupt_due = false;
		interrupt(queue);
	}
	return pv_queue_publish(queue) || has_worked;
}

bool pv_queue_may_sleep(struct pv_queue *queue)
{
	return queue->is_draining || queue->is_stalled || !pv_dev_ring_kicks_on(&queue->ring);
}

void pv_queue_log(struct pv_queue *queue)
{
	pv_dev_ring_log_set(&queue->ring, &queue->logging);
}

void pv_queue_drain(struct pv_queue *queue)
{
	const struct pv_virtio_ops *virtio = queue->device->ops->virtio;

	queue->is_draining = true;
	queue->is_woken = false;
	if (virtio->queue_drain)
		virtio->queue_drain(queue);
	/* The queue may be quiet now, and nothing that it returned may stay unseen. */
	queue->is_muted = false;
	pv_queue_publish(queue);
}
