/* SPDX-License-Identifier: BSD-2-Clause */
/* A device that needs a reset gets it, and goes on with what it had; and waiting for it. */
#include "drivers/balloon/internal.h"
#include "ring/err.h"

static int begin_again(struct pv_baldrv *balloon)
{
	int error = pv_baldrv_write_poison(balloon);

	for (uint32_t i = 0; !error && i < PV_BALDRV_QUEUES; i++)
		if (balloon->has_queue[i])
			error = pv_driver_queue_begin_again(&balloon->queue[i]);
	if (!error)
		error = pv_driver_start(&balloon->driver);
	return error ? error : pv_baldrv_write_actual(balloon);
}

/* The one buffer for statistics goes on like anything else; one that had ended begins anew. */
static void repeat(struct pv_baldrv *balloon)
{
	struct pv_driver_queue *stats = &balloon->queue[PV_BALDRV_STATSQ];

	if (balloon->has_queue[PV_BALDRV_STATSQ]) {
		pv_driver_queue_repeat(stats, false);
		if (stats->ring.free_descs == stats->ring.size)
			pv_baldrv_stats_begin(balloon);
	}
	for (uint32_t i = 0; i < PV_BALDRV_QUEUES; i++)
		if (i != PV_BALDRV_STATSQ && balloon->has_queue[i])
			pv_driver_queue_repeat(&balloon->queue[i], balloon->options.fails_on_reset);
}

int pv_baldrv_recover(struct pv_baldrv *balloon)
{
	int error = pv_driver_init_again(&balloon->driver);

	if (!error)
		error = begin_again(balloon);
	if (error) {
		pv_driver_fail(&balloon->driver);
		pv_baldrv_fail(balloon);
		return error;
	}
	repeat(balloon);
	return 0;
}

bool pv_baldrv_has_broken_queue(const struct pv_baldrv *balloon)
{
	for (uint32_t i = 0; i < PV_BALDRV_QUEUES; i++)
		if (balloon->has_queue[i] && balloon->queue[i].ring.is_broken)
			return true;
	return false;
}

bool pv_baldrv_is_broken(struct pv_baldrv *balloon)
{
	return pv_baldrv_has_broken_queue(balloon) || pv_driver_needs_reset(&balloon->driver);
}

uint64_t pv_baldrv_deadline_ns(const struct pv_baldrv *balloon)
{
	uint64_t earliest_ns = UINT64_MAX;

	for (uint32_t i = 0; i < PV_BALDRV_QUEUES; i++) {
		uint64_t queue_ns = UINT64_MAX;

		if (balloon->has_queue[i])
			queue_ns = pv_driver_queue_deadline_ns(&balloon->queue[i]);
		if (queue_ns < earliest_ns)
			earliest_ns = queue_ns;
	}
	return earliest_ns;
}

int pv_baldrv_tend(struct pv_baldrv *balloon)
{
	struct pv_os *os = balloon->driver.os;
	int error;

	pv_baldrv_poll(balloon);
	if (!pv_baldrv_is_broken(balloon) && os->ops->now_ns(os) < pv_baldrv_deadline_ns(balloon))
		return 0;
	error = pv_baldrv_recover(balloon);
	return error ? error : 1;
}

int pv_baldrv_wait(struct pv_baldrv *balloon, const bool *is_done, uint64_t timeout_ns)
{
	struct pv_os *os = balloon->driver.os;
	const uint64_t begin_ns = os->ops->now_ns(os);

	while (!*is_done) {
		const uint64_t waited_ns = os->ops->now_ns(os) - begin_ns;
		const uint32_t came = pv_baldrv_poll(balloon);

		if (*is_done)
			break;
		if (pv_baldrv_has_broken_queue(balloon))
			return -PV_EBROKEN;
		/* Also while a device asks without an end. */
		if (waited_ns >= timeout_ns)
			return -PV_ETIMEDOUT;
		if (came == 0 && !pv_baldrv_interrupts_on(balloon))
			os->ops->wait(os, timeout_ns - waited_ns);
		pv_baldrv_interrupts_off(balloon);
	}
	return 0;
}
