/* SPDX-License-Identifier: BSD-2-Clause */
/* A device that needs a reset gets it, and goes on where it was. */
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

	if (!error && !is_same(&before, &blk->disk))
		error = -PV_EBROKEN;
	if (error)
		blk->disk = before;
	return error;
}

static int start_again(struct pv_blkdrv *blk)
{
	int error = 0;

	for (uint16_t i = 0; !error && i < blk->started; i++)
		error = pv_driver_queue_begin_again(&blk->queue[i].base);
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
		pv_driver_queue_repeat(&blk->queue[i].base, blk->options.fails_on_reset);
	return 0;
}

uint64_t pv_blkdrv_deadline_ns(const struct pv_blkdrv *blk)
{
	uint64_t earliest_ns = UINT64_MAX;

	for (uint16_t i = 0; i < blk->started; i++) {
		uint64_t deadline_ns = pv_driver_queue_deadline_ns(&blk->queue[i].base);

		if (deadline_ns < earliest_ns)
			earliest_ns = deadline_ns;
	}
	return earliest_ns;
}

int pv_blkdrv_tend(struct pv_blkdrv *blk)
{
	struct pv_os *os = blk->driver.os;
	int error;

	for (uint16_t i = 0; i < blk->started; i++)
		pv_blkdrv_poll(&blk->queue[i]);
	if (!pv_blkdrv_is_broken(blk) && os->ops->now_ns(os) < pv_blkdrv_deadline_ns(blk))
		return 0;
	error = pv_blkdrv_recover(blk);
	return error ? error : 1;
}
