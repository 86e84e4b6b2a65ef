/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Error policies: what becomes of an I/O that the store failed at.
 *
 * A lane that finds a reason to stop marks the whole disk as stopped: each lane sees that before
 * its next request, keeps what fails from then on as the policy says, and stalls.  Kinds of
 * failures are left as bits for the control side, which is told of them by the port's queue_event.
 */
#include "devices/blk/internal.h"

#include "ring/err.h"

/* A kind of failure as the number of a bit, and back. */
#define KIND_WRITE        1u
#define KIND_NO_SPACE     2u
#define KIND_ACTION_SHIFT 2u
#define KINDS             ((PV_BLK_STOP + 1u) << KIND_ACTION_SHIFT)

static uint32_t kind_of(const struct pv_blk_failure *failure)
{
	return (uint32_t)failure->action << KIND_ACTION_SHIFT |
	       (failure->is_no_space ? KIND_NO_SPACE : 0) | (failure->is_write ? KIND_WRITE : 0);
}

static struct pv_blk_failure failure_of(uint32_t kind)
{
	return (struct pv_blk_failure){
		.is_write = kind & KIND_WRITE,
		.is_no_space = kind & KIND_NO_SPACE,
		.action = (enum pv_blk_action)(kind >> KIND_ACTION_SHIFT),
	};
}

static enum pv_blk_action action_of(enum pv_blk_policy policy, bool is_no_space)
{
	switch (policy) {
	case PV_BLK_ALWAYS_IGNORE:
		return PV_BLK_IGNORE;
	case PV_BLK_ALWAYS_STOP:
		return PV_BLK_STOP;
	case PV_BLK_STOP_WITHOUT_SPACE:
		return is_no_space ? PV_BLK_STOP : PV_BLK_REPORT;
	case PV_BLK_ALWAYS_REPORT:
		break;
	}
	return PV_BLK_REPORT;
}

static void stop(struct pv_blk *blk)
{
	if (!__atomic_exchange_n(&blk->is_stopped, true, __ATOMIC_ACQUIRE))
		__atomic_fetch_add(&blk->stops, 1, __ATOMIC_RELAXED);
}

enum pv_blk_action pv_blk_io_failed(struct pv_blk_request *request, int error)
{
	struct pv_queue *queue = request->queue;
	struct pv_blk *blk = pv_blk_of(queue->device);
	struct pv_blk_counters *counters = &blk->counters[queue->index];
	struct pv_blk_lane *lane = queue->own;
	struct pv_port *port = queue->device->port;
	struct pv_blk_failure failure = {
		.is_write = request->io.op != PV_BLK_READ,
		.is_no_space = error == -PV_ENOSPC,
	};

	failure.action =
		action_of(failure.is_write ? blk->options.write_policy : blk->options.read_policy,
	                  failure.is_no_space);
	if (failure.action == PV_BLK_IGNORE)
		pv_count(&counters->ignored);
	if (failure.action == PV_BLK_STOP) {
		pv_count(&counters->kept);
		if (request->resumes != pv_blk_resumes(blk))
			return PV_BLK_STOP;
		stop(blk);
	}
	__atomic_fetch_or(&lane->failures, 1u << kind_of(&failure), __ATOMIC_RELEASE);
	port->ops->queue_event(port, queue);
	return failure.action;
}

void pv_blk_queue_event(struct pv_queue *queue)
{
	const struct pv_blk_options *options = &pv_blk_of(queue->device)->options;
	struct pv_blk_lane *lane = queue->own;
	uint32_t kinds = __atomic_exchange_n(&lane->failures, 0, __ATOMIC_ACQUIRE);

	for (uint32_t kind = 0; kind < KINDS; kind++) {
		const struct pv_blk_failure failure = failure_of(kind);

		if (kinds & 1u << kind && options->failed)
			options->failed(options->failed_arg, &failure);
	}
}

bool pv_blk_is_stopped(const struct pv_device *device)
{
	return pv_blk_has_stopped(pv_blk_of_const(device));
}

uint32_t pv_blk_stops(const struct pv_device *device)
{
	return __atomic_load_n(&pv_blk_of_const(device)->stops, __ATOMIC_RELAXED);
}

/*
 * What was with the store when the disk stopped may fail after this: it is kept, but is done again
 * without another stop, for its failure is as old as the others.
 */
void pv_blk_resume(struct pv_device *device)
{
	struct pv_blk *blk = pv_blk_of(device);
	struct pv_port *port = device->port;

	if (!pv_blk_has_stopped(blk))
		return;
	__atomic_fetch_add(&blk->resumes, 1, __ATOMIC_RELAXED);
	__atomic_store_n(&blk->is_stopped, false, __ATOMIC_RELEASE);
	for (uint16_t i = 0; i < device->queues; i++)
		if (device->queue[i].state == PV_QUEUE_RUNNING)
			port->ops->queue_wake(port, &device->queue[i]);
}
