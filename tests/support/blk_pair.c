/* SPDX-License-Identifier: BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "tests/support/blk_pair.h"

#define MEMORY_BYTES (4u << 20)
#define DATA_BYTES   512u
#define REGION_MAX   100u

void blk_pair_open(struct blk_pair *pair, uint64_t number)
{
	*pair = (struct blk_pair){ .random = pv_random_start(pv_random_seed(), number) };
	pv_couple_open(&pair->couple, MEMORY_BYTES, pair->random);
	pv_slow_store_open(&pair->store, pair->disk, BLK_PAIR_DISK_BYTES, &pair->random);
	pair->gpa = pv_twin_alloc(&pair->couple.twin, DATA_BYTES, PV_SCATTERED, REGION_MAX,
	                          &pair->random);
	pair->data =
		(struct pv_buffer){ pv_twin_handle(&pair->couple.twin, pair->gpa), DATA_BYTES };
}

struct pv_device *blk_pair_make_device(struct blk_pair *pair, const struct pv_blk_options *options)
{
	const size_t bytes = (pv_blk_bytes(options->queues) + 63) & ~(size_t)63;

	pair->storage = aligned_alloc(64, bytes);
	memset(pair->storage, 0, bytes);
	return pv_blk_init(pair->storage, &pair->couple.port, &pair->store.blk, options);
}

void blk_pair_start(struct blk_pair *pair, const struct pv_blk_options *options,
                    const struct pv_blkdrv_options *chosen)
{
	struct pv_couple *couple = &pair->couple;

	pv_couple_set_device(couple, blk_pair_make_device(pair, options), PV_VIEW_DEVICE);
	assert_int_equal(pv_blkdrv_create(&pair->driver, &couple->bus, &couple->os, chosen), 0);
}

void blk_pair_close(struct blk_pair *pair)
{
	pv_blkdrv_destroy(pair->driver);
	pv_couple_close(&pair->couple);
	free(pair->storage);
}

static void count_end(struct pv_blkdrv_request *request)
{
	++*(uint32_t *)request->arg;
}

void blk_pair_read(struct blk_pair *pair, uint16_t queue, struct pv_blkdrv_request *request,
                   uint64_t sector)
{
	*request = (struct pv_blkdrv_request){
		.op = PV_BLKDRV_READ,
		.buffer = &pair->data,
		.buffers = 1,
		.sector = sector,
		.done = count_end,
		.arg = &pair->ends,
	};
	assert_int_equal(pv_blkdrv_submit(pv_blkdrv_queue(pair->driver, queue), request), 0);
}
