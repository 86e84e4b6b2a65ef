/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/support/fault_store.h"

#include "ring/err.h"

#define SECTOR 512u

static struct pv_fault_store *of(struct pv_layer_io *io)
{
	return (struct pv_fault_store *)io->layer;
}

/* ---- rules ---- */

static bool is_for(const struct pv_fault *fault, const struct pv_blk_io *io)
{
	if (!(fault->ops & PV_FAULT_OP(io->op)))
		return false;
	if (io->op == PV_BLK_FLUSH)
		return true;
	return io->offset + io->bytes > fault->begin &&
	       (fault->end == 0 || io->offset < fault->end);
}

static bool strikes(struct pv_fault_store *store, struct pv_fault *fault,
                    const struct pv_blk_io *io)
{
	if (!is_for(fault, io) || (fault->times > 0 && fault->strikes == fault->times))
		return false;
	if (fault->skip > 0) {
		fault->skip--;
		return false;
	}
	if (fault->percent > 0 && !pv_random_chance(store->random, fault->percent))
		return false;
	fault->strikes++;
	store->strikes++;
	return true;
}

static struct pv_fault *find(struct pv_fault_store *store, const struct pv_blk_io *io)
{
	for (uint32_t i = 0; i < store->faults; i++)
		if (strikes(store, &store->fault[i], io))
			return &store->fault[i];
	return NULL;
}

/* ---- I/O ---- */

/* False if there is no half of it. */
static bool halve(struct pv_blk_io *io)
{
	uint64_t bytes = io->bytes / 2 / SECTOR * SECTOR;

	if (io->op == PV_BLK_FLUSH || bytes == 0)
		return false;
	if (io->iovs > 0 && !pv_iov_cut(&io->iov, &io->iovs, 0, bytes))
		return false;
	io->bytes = bytes;
	return true;
}

/* An I/O's `mark` is when it may end, its `error` what it ends with all the same. */
static int begin(struct pv_layer_io *io)
{
	struct pv_fault_store *store = of(io);
	struct pv_fault *fault = find(store, &io->io);

	if (!fault)
		return 0;
	switch (fault->kind) {
	case PV_FAULT_SLOW:
		io->mark = store->now + 1 + pv_random_below(store->random, fault->ticks);
		return 0;
	case PV_FAULT_SHORT:
		if (!halve(&io->io))
			return fault->error;
		io->error = fault->error;
		return 0;
	case PV_FAULT_FAIL:
		break;
	}
	return fault->error;
}

static int end(struct pv_layer_io *io, int error)
{
	struct pv_fault_store *store = of(io);

	if (io->error)
		return io->error;
	if (error || io->mark <= store->now)
		return error;
	io->next = store->slow;
	store->slow = io;
	return PV_LAYER_KEPT;
}

static const struct pv_layer_ops ops = {
	.begin = begin,
	.end = end,
};

/* Takes one that is due off the list. */
static struct pv_layer_io *take_due(struct pv_fault_store *store)
{
	for (struct pv_layer_io **link = &store->slow; *link; link = &(*link)->next) {
		struct pv_layer_io *io = *link;

		if (io->mark <= store->now) {
			*link = io->next;
			return io;
		}
	}
	return NULL;
}

uint32_t pv_fault_store_tick(struct pv_fault_store *store)
{
	struct pv_layer_io *io;
	uint32_t ended = 0;

	store->now++;
	/* Another look each time: its end may bring new I/O. */
	while ((io = take_due(store))) {
		pv_layer_end(io, 0);
		ended++;
	}
	return ended;
}

/* ---- from the beginning to the end ---- */

void pv_fault_store_open(struct pv_fault_store *store, struct pv_blk_store *below,
                         struct pv_random *random)
{
	*store = (struct pv_fault_store){ .random = random };
	pv_layer_open(&store->layer, &ops, below);
}

void pv_fault_store_close(struct pv_fault_store *store)
{
	pv_layer_close(&store->layer);
}

void pv_fault_store_add(struct pv_fault_store *store, const struct pv_fault *fault)
{
	pv_bug_on(store->faults == PV_FAULTS_MAX);
	pv_bug_on(fault->kind == PV_FAULT_SLOW && fault->ticks == 0);
	store->fault[store->faults] = *fault;
	if (fault->error == 0)
		store->fault[store->faults].error = -PV_EIO;
	store->faults++;
}

void pv_fault_store_clear(struct pv_fault_store *store)
{
	store->faults = 0;
}
