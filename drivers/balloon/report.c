/* SPDX-License-Identifier: BSD-2-Clause */
/* Reports: chains whose buffers are the free pages themselves. */
#include "drivers/balloon/internal.h"
#include "ring/err.h"

static int add(struct pv_driver_queue *queue, struct pv_baldrv_report *report)
{
	return pv_drv_ring_add(&queue->ring, report->piece, 0, report->ranges, report);
}

static void end(struct pv_baldrv *balloon, struct pv_baldrv_report *report, int error)
{
	balloon->counters.reports += error == 0;
	balloon->counters.errors += error != 0;
	report->error = error;
	report->is_done = true;
	if (report->done)
		report->done(report);
}

static int repeat_report(struct pv_driver_queue *queue, struct pv_driver_request *report)
{
	return add(queue, (struct pv_baldrv_report *)report);
}

static void end_report(struct pv_driver_queue *queue, struct pv_driver_request *report, int error)
{
	end(pv_baldrv_of(queue, PV_BALDRV_REPORTING), (struct pv_baldrv_report *)report, error);
}

const struct pv_driver_request_ops pv_baldrv_report_ops = { repeat_report, end_report };

int pv_baldrv_report(struct pv_baldrv *balloon, struct pv_baldrv_report *report)
{
	struct pv_driver_queue *queue = &balloon->queue[PV_BALDRV_REPORTING];
	int error;

	if (!balloon->has_queue[PV_BALDRV_REPORTING])
		return -PV_ENOTSUP;
	if (queue->ring.is_broken || balloon->driver.is_reset)
		return -PV_EBROKEN;
	if (report->ranges == 0 || report->ranges > PV_BALDRV_REPORT_RANGES ||
	    report->ranges > queue->ring.size)
		return -PV_EINVAL;
	for (uint16_t i = 0; i < report->ranges; i++) {
		if (report->range[i].bytes == 0)
			return -PV_EINVAL;
		report->piece[i] = report->range[i];
	}
	report->is_done = false;
	error = add(queue, report);
	if (error)
		return error;
	pv_driver_request_begin(queue, &report->base,
	                        report->timeout_ns ? report->timeout_ns
	                                           : balloon->options.request_timeout_ns);
	pv_driver_queue_publish(queue);
	return 0;
}

uint32_t pv_baldrv_poll_reports(struct pv_baldrv *balloon)
{
	struct pv_drv_ring *ring = &balloon->queue[PV_BALDRV_REPORTING].ring;
	uint32_t written_bytes, count = 0;
	void *token;

	if (!balloon->has_queue[PV_BALDRV_REPORTING])
		return 0;
	while (count < ring->size &&
	       pv_drv_ring_take(ring, &token, &written_bytes) == PV_DRV_TAKEN) {
		end(balloon, token, 0);
		count++;
	}
	return count;
}
