/* SPDX-License-Identifier: BSD-2-Clause */
/* What the requests of all drivers have in common: deadlines, a device that was reset, waiting. */
#include "drivers/core/driver.h"
#include "ring/err.h"

void pv_driver_request_begin(struct pv_driver_queue *queue, struct pv_driver_request *request,
                             uint64_t timeout_ns)
{
	struct pv_os *os = queue->driver->os;
	uint64_t now_ns;

	request->deadline_ns = 0;
	if (timeout_ns == 0)
		return;
	now_ns = os->ops->now_ns(os);
	request->deadline_ns = timeout_ns < UINT64_MAX - now_ns ? now_ns + timeout_ns
	                                                        : UINT64_MAX - 1;
}

uint64_t pv_driver_queue_deadline_ns(const struct pv_driver_queue *queue)
{
	const struct pv_driver_request *request;
	uint64_t earliest_ns = UINT64_MAX;
	uint16_t at = 0;

	while ((request = pv_drv_ring_in_flight(&queue->ring, &at)))
		if (request->deadline_ns > 0 && request->deadline_ns < earliest_ns)
			earliest_ns = request->deadline_ns;
	return earliest_ns;
}

static struct pv_driver_request *pop(struct pv_driver_request **list)
{
	struct pv_driver_request *first = *list;

	if (first)
		*list = first->next;
	return first;
}

static void push(struct pv_driver_request **list, struct pv_driver_request *request)
{
	request->next = *list;
	*list = request;
}

int pv_driver_queue_begin_again(struct pv_driver_queue *queue)
{
	struct pv_driver_request *request;

	while ((request = pv_drv_ring_detach(&queue->ring)))
		push(&queue->aside, request);
	return pv_driver_queue_enable(queue);
}

static bool is_overdue(const struct pv_driver_request *request, uint64_t now_ns)
{
	return request->deadline_ns > 0 && now_ns >= request->deadline_ns;
}

static void end_list(struct pv_driver_queue *queue, struct pv_driver_request *list, int error)
{
	struct pv_driver_request *request;

	while ((request = pop(&list)))
		queue->requests->end(queue, request, error);
}

/*
 * Each fitted the ring before. Those that do not go on end last: what they call may submit, and
 * take the place of others.
 */
void pv_driver_queue_repeat(struct pv_driver_queue *queue, bool fails)
{
	struct pv_os *os = queue->driver->os;
	struct pv_driver_request *overdue = NULL, *failed = NULL, *request;
	const uint64_t now_ns = os->ops->now_ns(os);

	while ((request = pop(&queue->aside))) {
		if (is_overdue(request, now_ns)) {
			push(&overdue, request);
			queue->overdue++;
		} else if (fails || queue->requests->repeat(queue, request)) {
			push(&failed, request);
		} else {
			queue->repeats++;
		}
	}
	pv_driver_queue_publish(queue);
	end_list(queue, overdue, -PV_ETIMEDOUT);
	end_list(queue, failed, -PV_EBROKEN);
}

void pv_driver_queue_end_aside(struct pv_driver_queue *queue, int error)
{
	struct pv_driver_request *aside = queue->aside;

	queue->aside = NULL;
	end_list(queue, aside, error);
}

void pv_driver_queue_end_all(struct pv_driver_queue *queue, int error)
{
	struct pv_driver_request *request;

	pv_driver_queue_end_aside(queue, error);
	while ((request = pv_drv_ring_detach(&queue->ring)))
		queue->requests->end(queue, request, error);
}

int pv_driver_queue_wait(struct pv_driver_queue *queue, const bool *is_done,
                         uint32_t (*poll)(void *arg), void *arg, uint64_t timeout_ns)
{
	struct pv_os *os = queue->driver->os;
	const uint64_t begin_ns = os->ops->now_ns(os);

	while (!*is_done) {
		uint64_t waited_ns = os->ops->now_ns(os) - begin_ns;

		if (poll(arg) > 0)
			continue;
		if (queue->ring.is_broken)
			return -PV_EBROKEN;
		if (waited_ns >= timeout_ns)
			return -PV_ETIMEDOUT;
		if (!pv_drv_ring_interrupts_on(&queue->ring))
			os->ops->wait(os, timeout_ns - waited_ns);
		pv_drv_ring_interrupts_off(&queue->ring);
	}
	return 0;
}
