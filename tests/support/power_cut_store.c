/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/support/power_cut_store.h"

#include <stdlib.h>
#include <string.h>

#include "ring/err.h"

#define SECTOR 512u

/* What changes the disk and has not reached the platter. */
struct pv_power_cut_write {
	struct pv_power_cut_write *older, *newer;
	uint64_t offset;
	uint64_t bytes;
	uint64_t ended_at; /* 0: still in flight */
	bool *is_gone;     /* for each sector: something newer there has reached the platter */
	uint8_t *data;     /* NULL: zeroes */
};

static struct pv_power_cut_store *of(struct pv_layer_io *io)
{
	return (struct pv_power_cut_store *)io->layer;
}

static bool changes_the_disk(const struct pv_blk_io *io)
{
	return io->op != PV_BLK_READ && io->op != PV_BLK_FLUSH;
}

/* ---- the cache ---- */

static void *zeroed(size_t bytes)
{
	void *memory = calloc(1, bytes);

	pv_bug_on(!memory);
	return memory;
}

static struct pv_power_cut_write *write_create(const struct pv_blk_io *io)
{
	struct pv_power_cut_write *write = zeroed(sizeof(*write));
	uint8_t *to;

	write->offset = io->offset;
	write->bytes = io->bytes;
	write->is_gone = zeroed((size_t)(io->bytes / SECTOR) * sizeof(bool));
	if (io->op != PV_BLK_WRITE)
		return write;
	to = write->data = zeroed((size_t)io->bytes);
	for (uint16_t i = 0; i < io->iovs; i++) {
		memcpy(to, io->iov[i].base, io->iov[i].bytes);
		to += io->iov[i].bytes;
	}
	return write;
}

static void add(struct pv_power_cut_store *store, struct pv_power_cut_write *write)
{
	write->older = store->newest;
	*(store->newest ? &store->newest->newer : &store->oldest) = write;
	store->newest = write;
	store->cache_bytes += write->data ? write->bytes : 0;
}

static void forget(struct pv_power_cut_store *store, struct pv_power_cut_write *write)
{
	*(write->older ? &write->older->newer : &store->oldest) = write->newer;
	*(write->newer ? &write->newer->older : &store->newest) = write->older;
	store->cache_bytes -= write->data ? write->bytes : 0;
	free(write->is_gone);
	free(write->data);
	free(write);
}

static void put_sector(struct pv_power_cut_store *store, const struct pv_power_cut_write *write,
                       uint64_t at)
{
	uint8_t *to = store->platter + write->offset + at;

	if (write->is_gone[at / SECTOR])
		return;
	if (write->data)
		memcpy(to, write->data + at, SECTOR);
	else
		memset(to, 0, SECTOR);
}

static void reach_platter(struct pv_power_cut_store *store, struct pv_power_cut_write *write)
{
	for (uint64_t at = 0; at < write->bytes; at += SECTOR)
		put_sector(store, write, at);
	forget(store, write);
}

/* ---- what is stable ---- */

/* All that had ended by then. */
static void flush(struct pv_power_cut_store *store, uint64_t ended_by)
{
	struct pv_power_cut_write *newer;

	for (struct pv_power_cut_write *write = store->oldest; write; write = newer) {
		newer = write->newer;
		if (write->ended_at > 0 && write->ended_at <= ended_by)
			reach_platter(store, write);
	}
}

/* What an older write still in the cache has for these sectors is not wanted any more. */
static void take_over(struct pv_power_cut_write *older, const struct pv_power_cut_write *newer)
{
	uint64_t begin = older->offset > newer->offset ? older->offset : newer->offset;
	uint64_t older_end = older->offset + older->bytes;
	uint64_t newer_end = newer->offset + newer->bytes;
	uint64_t end = older_end < newer_end ? older_end : newer_end;

	for (uint64_t at = begin; at < end; at += SECTOR)
		older->is_gone[(at - older->offset) / SECTOR] = true;
}

static void make_stable(struct pv_power_cut_store *store, struct pv_power_cut_write *stable)
{
	for (struct pv_power_cut_write *write = stable->older; write; write = write->older)
		take_over(write, stable);
	reach_platter(store, stable);
}

static void keep_cache_small(struct pv_power_cut_store *store)
{
	struct pv_power_cut_write *newer;

	for (struct pv_power_cut_write *write = store->oldest;
	     write && store->cache_bytes > PV_POWER_CUT_CACHE_BYTES; write = newer) {
		newer = write->newer;
		if (write->ended_at > 0)
			reach_platter(store, write);
	}
}

/* ---- I/O ---- */

static int begin(struct pv_layer_io *io)
{
	struct pv_power_cut_store *store = of(io);

	if (store->is_cut)
		return -PV_EIO;
	if (changes_the_disk(&io->io)) {
		io->own = write_create(&io->io);
		add(store, io->own);
	}
	io->mark = store->clock;
	return 0;
}

static void tear(struct pv_power_cut_store *store, struct pv_power_cut_write *write,
                 struct pv_random *random)
{
	for (uint64_t at = 0; at < write->bytes; at += SECTOR)
		if (pv_random_chance(random, 50))
			put_sector(store, write, at);
}

static void write_ended(struct pv_power_cut_store *store, struct pv_layer_io *io, int error)
{
	struct pv_power_cut_write *write = io->own;

	write->ended_at = ++store->clock;
	/* Of one that failed anything may be there: it stays what a cut decides on. */
	if (!error && io->io.is_stable)
		make_stable(store, write);
	keep_cache_small(store);
}

static int end(struct pv_layer_io *io, int error)
{
	struct pv_power_cut_store *store = of(io);

	if (store->is_cut)
		return -PV_EIO;
	if (io->own)
		write_ended(store, io, error);
	else if (io->io.op == PV_BLK_FLUSH && !error)
		flush(store, io->mark);
	return error;
}

static void withdrawn(struct pv_layer_io *io)
{
	struct pv_power_cut_store *store = of(io);

	if (io->own && !store->is_cut)
		forget(store, io->own);
}

static const struct pv_layer_ops ops = {
	.begin = begin,
	.end = end,
	.withdrawn = withdrawn,
};

/* ---- the power ---- */

static void decide(struct pv_power_cut_store *store, struct pv_power_cut_write *write,
                   uint32_t keep_percent, struct pv_random *random)
{
	if (pv_random_chance(random, 30)) {
		tear(store, write, random);
		forget(store, write);
		store->torn++;
	} else if (pv_random_chance(random, keep_percent)) {
		reach_platter(store, write);
		store->kept++;
	} else {
		forget(store, write);
		store->lost++;
	}
}

void pv_power_cut_store_cut(struct pv_power_cut_store *store, struct pv_random *random)
{
	/* Some disks have written most of their cache, some hardly begun. */
	uint32_t keep_percent = pv_random_below(random, 101);

	while (store->oldest)
		decide(store, store->oldest, keep_percent, random);
	store->is_cut = true;
}

void pv_power_cut_store_open(struct pv_power_cut_store *store, struct pv_blk_store *below,
                             uint8_t *platter)
{
	*store = (struct pv_power_cut_store){ .platter = platter };
	pv_layer_open(&store->layer, &ops, below);
}

void pv_power_cut_store_close(struct pv_power_cut_store *store)
{
	while (store->oldest)
		forget(store, store->oldest);
	pv_layer_close(&store->layer);
}
