/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Stores for block devices (devices/blk/store.h): a file or block device, a piece of memory, and
 * one that answers without doing anything, for measuring.
 *
 * An image that is cut short under us gives an I/O error: it is read and written by system calls,
 * and mapped only where somebody keeps guard (file_map.h).
 */
#ifndef PV_HOSTED_STORE_H
#define PV_HOSTED_STORE_H

#include <stdatomic.h>

#include "devices/blk/store.h"
#include "hosted/loop/loop.h"

struct pv_store;

/* What a store does to erase for good. */
enum pv_store_erase {
	PV_STORE_ERASE_AUTO,      /* what the block device has for it; a file has nothing */
	PV_STORE_ERASE_OFF,       /* not offered */
	PV_STORE_ERASE_OVERWRITE, /* write zeros, have them on the disk, then give the space back */
};

/*
 * Who takes the signal when pages of a file are gone that is mapped (hosted/control/guard.h): a
 * range is mapped from now on, is about to be unmapped, and where it is told that it has lost
 * pages, which any thread may look at; NULL: it is not guarded. `owner` says whose it is.
 */
struct pv_store_guard {
	void (*mapped)(void *owner, void *base, size_t bytes);
	void (*unmapped)(void *base);
	const atomic_bool *(*trip_of)(const void *base);
};

struct pv_store_options {
	const char *path;     /* a file or block device; or ... */
	int64_t null_bytes;   /* ... a store without content of this size; or ... */
	int64_t memory_bytes; /* ... memory of this size; unused ones are -1 */
	bool is_read_only;
	bool is_direct;    /* O_DIRECT */
	bool has_no_locks; /* leave QEMU's locks on the image out of account */
	enum pv_store_erase erase;
	uint32_t logical_block_bytes;       /* 0: the store's own */
	uint32_t physical_block_bytes;      /* 0: the store's own */
	const struct pv_store_guard *guard; /* stays; NULL: files are not mapped */
};

/*
 * Returns 0, or -errno with a sentence in `error` (of `error_bytes`) that names the option at
 * fault as the command line spells it and the remedy. Nothing is created on failure.
 */
int pv_store_open(struct pv_store **store, const struct pv_store_options *options, char *error,
                  size_t error_bytes);
void pv_store_close(struct pv_store *store);

/* The device's view of it. An I/O's `lane` is the struct pv_loop it is submitted on. */
struct pv_blk_store *pv_store_blk(struct pv_store *store);

/*
 * Control side. Makes a file longer or shorter, or follows a block device that has changed;
 * `capacity_bytes` of the store is the new size then. Returns 0 or -errno: -EAGAIN when somebody
 * else has the image.
 */
int pv_store_resize(struct pv_store *store, uint64_t bytes);

/* Writes what the host's cache holds to the disk. Returns 0 or -errno. Blocks. */
int pv_store_sync(struct pv_store *store);

/* For reports: "file", "block", "null" or "memory", and the path or "". */
const char *pv_store_kind(const struct pv_store *store);
const char *pv_store_path(const struct pv_store *store);

#endif
