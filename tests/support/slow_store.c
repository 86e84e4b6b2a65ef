/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/support/slow_store.h"

#include <string.h>

#include "ring/err.h"

static void carry_out(struct pv_slow_store *store, const struct pv_blk_io *io)
{
	uint8_t *disk = store->disk + io->offset;
	uint64_t done = 0;

	if (io->op == PV_BLK_FLUSH)
		return;
	pv_bug_on(io->offset + io->bytes > store->blk.capacity_bytes);
	if (io->op != PV_BLK_READ && io->op != PV_BLK_WRITE) {
		memset(disk, 0, (size_t)io->bytes);
		return;
	}
	for (uint16_t i = 0; i < io->iovs; i++) {
		if (io->op == PV_BLK_READ)
			memcpy(io->iov[i].base, disk + done, io->iov[i].bytes);
		else
			memcpy(disk + done, io->iov[i].base, io->iov[i].bytes);
		done += io->iov[i].bytes;
	}
	pv_bug_on(done != io->bytes);
}

static enum pv_blk_submit submit(struct pv_blk_store *blk, struct pv_blk_io *io)
{
	struct pv_slow_store *store = (struct pv_slow_store *)blk;

	if (io->op == PV_BLK_WRITE && !io->is_stable)
		store->unstable_writes++;
	if (pv_random_chance(store->random, store->at_once_percent)) {
		if (pv_random_chance(store->random, store->fail_percent)) {
			io->error = store->error;
			return PV_BLK_FAILED;
		}
		carry_out(store, io);
		return PV_BLK_DONE;
	}
	pv_bug_on(store->pendings == PV_SLOW_STORE_PENDING_MAX);
	store->pending[store->pendings++] = io;
	return PV_BLK_PENDING;
}

static void forget(struct pv_slow_store *store, uint32_t index)
{
	store->pending[index] = store->pending[--store->pendings];
}

static bool withdraw(struct pv_blk_store *blk, struct pv_blk_io *io)
{
	struct pv_slow_store *store = (struct pv_slow_store *)blk;

	if (!pv_random_chance(store->random, store->withdraw_percent))
		return false;
	for (uint32_t i = 0; i < store->pendings; i++) {
		if (store->pending[i] == io) {
			forget(store, i);
			return true;
		}
	}
	return false;
}

/* The last of its states with a name. */
static int lifetime(struct pv_blk_store *blk, struct pv_blk_lifetime *is)
{
	(void)blk;
	*is = (struct pv_blk_lifetime){ .pre_eol_info = 3, .type_a = 2, .type_b = 11 };
	return 0;
}

static const struct pv_blk_store_ops ops = {
	.submit = submit,
	.lifetime = lifetime,
	.withdraw = withdraw,
};

void pv_slow_store_open(struct pv_slow_store *store, uint8_t *disk, uint64_t bytes,
                        struct pv_random *random)
{
	*store = (struct pv_slow_store){
		.blk = {
			.ops = &ops,
			.capacity_bytes = bytes,
			.limits = {
				.logical_block_bytes = 512,
				.physical_block_bytes = 4096,
				.discard_granularity = 512,
				.erase_granularity = 512,
				.has_lifetime = true,
				.can_write_zeroes = true,
			},
		},
		.disk = disk,
		.random = random,
		.at_once_percent = 40,
		.withdraw_percent = 80,
		.error = -PV_EIO,
	};
}

bool pv_slow_store_finish_one(struct pv_slow_store *store)
{
	struct pv_blk_io *io;
	uint32_t index;

	if (store->pendings == 0)
		return false;
	index = pv_random_below(store->random, store->pendings);
	io = store->pending[index];
	forget(store, index);
	if (pv_random_chance(store->random, store->fail_percent)) {
		io->done(io, store->error);
		return true;
	}
	carry_out(store, io);
	io->done(io, 0);
	return true;
}
