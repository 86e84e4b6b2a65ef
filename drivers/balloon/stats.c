/* SPDX-License-Identifier: BSD-2-Clause */
/* Statistics: one buffer, which the device gives back to ask for the next. */
#include "drivers/balloon/internal.h"
#include "ring/err.h"

static int add(struct pv_baldrv *balloon)
{
	return pv_drv_ring_add(&balloon->queue[PV_BALDRV_STATSQ].ring, &balloon->question.piece, 1,
	                       0, &balloon->question);
}

static int tell(struct pv_baldrv *balloon)
{
	struct virtio_balloon_stat *stat = balloon->shared->stat;
	uint32_t count = balloon->options.stats(stat, PV_BALDRV_STATS, balloon->options.arg);
	int error;

	pv_bug_on(count > PV_BALDRV_STATS);
	/* The buffer is there to be asked with, and an empty one cannot be. */
	if (count == 0)
		stat[count++] =
			(struct virtio_balloon_stat){ pv_le16_of(UINT16_MAX), pv_le64_of(0) };
	balloon->question.piece = (struct pv_sg){
		pv_gpa_add(balloon->shared_gpa, offsetof(struct pv_baldrv_shared, stat)),
		count * (uint32_t)sizeof(*stat),
	};
	error = add(balloon);
	if (error)
		return error;
	balloon->counters.stats++;
	pv_driver_queue_publish(&balloon->queue[PV_BALDRV_STATSQ]);
	return 0;
}

int pv_baldrv_stats_begin(struct pv_baldrv *balloon)
{
	return balloon->has_queue[PV_BALDRV_STATSQ] ? tell(balloon) : 0;
}

/* As many questions as there are; that it is no more than one the ring sees to. */
uint32_t pv_baldrv_poll_stats(struct pv_baldrv *balloon)
{
	struct pv_drv_ring *ring = &balloon->queue[PV_BALDRV_STATSQ].ring;
	uint32_t written_bytes;
	void *token;

	if (!balloon->has_queue[PV_BALDRV_STATSQ] ||
	    pv_drv_ring_take(ring, &token, &written_bytes) != PV_DRV_TAKEN)
		return 0;
	tell(balloon);
	return 1;
}

static int repeat(struct pv_driver_queue *queue, struct pv_driver_request *question)
{
	(void)question;
	return add(pv_baldrv_of(queue, PV_BALDRV_STATSQ));
}

static void end(struct pv_driver_queue *queue, struct pv_driver_request *question, int error)
{
	(void)queue;
	(void)question;
	(void)error;
}

const struct pv_driver_request_ops pv_baldrv_stats_ops = { repeat, end };
