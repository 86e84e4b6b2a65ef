/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A disk in memory, and a disk that is not there: every request succeeds at once.
 *
 * #syscalls mmap munmap madvise
 */
#define _GNU_SOURCE
#include "hosted/backends/store_internal.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "ring/err.h"

#define PAGE_BYTES 4096ull

static void set_plain_limits(struct pv_store *store, uint64_t bytes)
{
	store->blk.capacity_bytes = bytes;
	store->blk.limits.logical_block_bytes = 512;
	store->blk.limits.physical_block_bytes = 4096;
	store->blk.limits.discard_granularity = 4096;
	store->blk.limits.can_write_zeroes = true;
}

static int do_nothing(struct pv_store *store)
{
	(void)store;
	return 0;
}

static void close_nothing(struct pv_store *store)
{
	(void)store;
}

/* ---- memory ---- */

void pv_store_copy(uint8_t *disk, const struct pv_blk_io *io)
{
	for (uint16_t i = 0; i < io->iovs; i++) {
		if (io->op == PV_BLK_WRITE)
			memcpy(disk, io->iov[i].base, io->iov[i].bytes);
		else
			memcpy(io->iov[i].base, disk, io->iov[i].bytes);
		disk += io->iov[i].bytes;
	}
}

/* Whole pages are given back and read as zeros; their edges are cleared by hand. */
static void clear(struct pv_store *store, uint64_t offset, uint64_t bytes, bool may_unmap)
{
	uint64_t end = offset + bytes;
	uint64_t first_page = (offset + PAGE_BYTES - 1) & ~(PAGE_BYTES - 1);
	uint64_t last_page = end & ~(PAGE_BYTES - 1);

	if (!may_unmap || first_page >= last_page ||
	    madvise(store->memory + first_page, last_page - first_page, MADV_DONTNEED)) {
		memset(store->memory + offset, 0, bytes);
		return;
	}
	memset(store->memory + offset, 0, first_page - offset);
	memset(store->memory + last_page, 0, end - last_page);
}

static enum pv_blk_submit memory_submit(struct pv_blk_store *blk, struct pv_blk_io *io)
{
	struct pv_store *store = pv_store_of(blk);

	switch (io->op) {
	case PV_BLK_READ:
	case PV_BLK_WRITE:
		pv_store_copy(store->memory + io->offset, io);
		break;
	case PV_BLK_DISCARD:
		clear(store, io->offset, io->bytes, true);
		break;
	case PV_BLK_WRITE_ZEROES:
		clear(store, io->offset, io->bytes, io->may_unmap);
		break;
	case PV_BLK_FLUSH:
		break;
	case PV_BLK_SECURE_ERASE: /* not offered */
		io->error = -PV_ENOTSUP;
		return PV_BLK_FAILED;
	}
	return PV_BLK_DONE;
}

static int cannot_resize(struct pv_store *store, uint64_t bytes)
{
	(void)store;
	(void)bytes;
	return -EOPNOTSUPP; /* a lane may be in the midst of it */
}

static void memory_close(struct pv_store *store)
{
	munmap(store->memory, store->blk.capacity_bytes);
}

static const struct pv_blk_store_ops memory_ops = {
	.submit = memory_submit,
};

static const struct pv_store_kind memory_kind = {
	.name = "memory",
	.ops = &memory_ops,
	.resize = cannot_resize,
	.sync = do_nothing,
	.close = memory_close,
};

int pv_store_memory_open(struct pv_store *store, const struct pv_store_options *options,
                         char *error, size_t error_bytes)
{
	uint64_t bytes = (uint64_t)options->memory_bytes;
	void *memory = mmap(NULL, bytes ? bytes : PAGE_BYTES, PROT_READ | PROT_WRITE,
	                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (memory == MAP_FAILED) {
		snprintf(error, error_bytes, "--memory %llu: %s; choose a smaller size",
		         (unsigned long long)bytes, strerror(errno));
		return -ENOMEM;
	}
	store->kind = &memory_kind;
	store->blk.ops = &memory_ops;
	store->memory = memory;
	set_plain_limits(store, bytes);
	return 0;
}

/* ---- null ---- */

static enum pv_blk_submit null_submit(struct pv_blk_store *blk, struct pv_blk_io *io)
{
	(void)blk;
	(void)io;
	return PV_BLK_DONE;
}

static int null_resize(struct pv_store *store, uint64_t bytes)
{
	(void)store;
	(void)bytes;
	return 0;
}

static const struct pv_blk_store_ops null_ops = {
	.submit = null_submit,
};

static const struct pv_store_kind null_kind = {
	.name = "null",
	.ops = &null_ops,
	.resize = null_resize,
	.sync = do_nothing,
	.close = close_nothing,
};

int pv_store_null_open(struct pv_store *store, const struct pv_store_options *options, char *error,
                       size_t error_bytes)
{
	(void)error;
	(void)error_bytes;
	store->kind = &null_kind;
	store->blk.ops = &null_ops;
	set_plain_limits(store, (uint64_t)options->null_bytes);
	return 0;
}
