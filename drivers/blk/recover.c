/* SPDX-License-Identifier: BSD-2-Clause */
/* A device that asked for a reset gets it, and goes on where it was. */
#include "drivers/blk/internal.h"
#include "ring/err.h"

/* Requests were made for a disk with these limits. Its size may be another one. */
static bool is_same(const struct pv_blkdrv_disk *before, const struct pv_blkdrv_disk *now)
{
	return now->block_bytes == before->block_bytes && now->queues == before->queues &&
	       now->segments_max >= before->segments_max &&
	       now->segment_bytes_max >= before->segment_bytes_max;
}

static int read_again(struct pv_blkdrv *blk)
{
	const struct pv_blkdrv_disk before = blk->disk;
	const struct pv_blkdrv_options options = { .queues = before.queues,
		                                   .segments_max = before.segments_max };
	int error = pv_blkdrv_config_load(blk, &options);

	if (error)
		return error;
	return is_same(&before, &blk->disk) ? 0 : -PV_EBROKEN;
}

static int start_again(struct pv_blkdrv *blk)
{
	int error = 0;

	for (uint16_t i = 0; !error && i < blk->started; i++) {
		struct pv_blkdrv_queue *queue = &blk->queue[i];

		pv_blkdrv_queue_set_aside(queue);
		queue->counters.lies += queue->base.ring.lies;
		error = pv_driver_queue_enable(&queue->base);
	}
	return error ? error : pv_driver_start(&blk->driver);
}

int pv_blkdrv_recover(struct pv_blkdrv *blk)
{
	int error = pv_driver_init_again(&blk->driver);

	if (!error)
		error = read_again(blk);
	if (!error)
		error = start_again(blk);
	if (error) {
		pv_driver_fail(&blk->driver);
		pv_blkdrv_fail(blk);
		return error;
	}
	for (uint16_t i = 0; i < blk->started; i++)
		pv_blkdrv_queue_repeat(&blk->queue[i]);
	return 0;
}
