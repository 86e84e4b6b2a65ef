/* SPDX-License-Identifier: BSD-2-Clause */
/* Within hosted/backends: the kinds of stores. */
#ifndef PV_HOSTED_STORE_INTERNAL_H
#define PV_HOSTED_STORE_INTERNAL_H

#include <pthread.h>
#include <sys/types.h>

#include "hosted/backends/file_map.h"
#include "hosted/backends/lifetime.h"
#include "hosted/backends/store.h"
#include "hosted/loop/pool.h"

struct pv_store_kind {
	const char *name;
	const struct pv_blk_store_ops *ops;
	int (*resize)(struct pv_store *store, uint64_t bytes);
	int (*sync)(struct pv_store *store);
	void (*close)(struct pv_store *store);
};

struct pv_store {
	struct pv_blk_store blk;
	pthread_mutex_t resizing; /* held by who changes the size of what it is made of */
	const struct pv_store_kind *kind;
	char *path;

	/* Files and block devices. */
	int fd;
	uint32_t direct_align; /* of memory and lengths; 0: not O_DIRECT */
	bool is_block_device;
	bool is_in_memory; /* tmpfs: a system call never waits for a disk */
	bool can_punch;
	bool has_locks; /* takes locks on the image, and ... */
	bool is_locked; /* ... holds them */
	const struct pv_store_guard *guard;
	struct pv_file_map map; /* of what is in memory, while a device is at work on it */

	/* Block devices. */
	struct pv_lifetime_files lifetime;
	struct pv_pool eraser; /* one thread, where the device erases, ... */
	bool has_eraser;       /* ... which is not done by overwriting then */

	/* Memory. */
	uint8_t *memory;
};

/* Each fills in `kind`, `blk.ops`, capacity and limits. 0, or -errno and a sentence. */
int pv_store_file_open(struct pv_store *store, const struct pv_store_options *options, char *error,
                       size_t error_bytes);
int pv_store_memory_open(struct pv_store *store, const struct pv_store_options *options,
                         char *error, size_t error_bytes);
int pv_store_null_open(struct pv_store *store, const struct pv_store_options *options, char *error,
                       size_t error_bytes);

/* store_file.c: locks on the image. */
int pv_store_file_begin(struct pv_blk_store *blk);
void pv_store_file_end(struct pv_blk_store *blk);

/*
 * store_block.c: is it made of zones that can be written only from their beginning to their end?
 * Those of a host-aware device are better written so, and need not be.
 */
bool pv_store_block_is_host_managed(dev_t device);

/*
 * Fills in capacity and limits of the block device that is open. Returns 0 or
 * -errno.
 */
int pv_store_block_learn(struct pv_store *store, dev_t device);

/* Any thread. As pv_lifetime_read(). */
int pv_store_block_lifetime(struct pv_blk_store *blk, struct pv_blk_lifetime *lifetime);

/* store_memory.c: reads from, or writes to, this memory. */
void pv_store_copy(uint8_t *disk, const struct pv_blk_io *io);

/* file_io.c: the I/O of files and block devices. */
extern const struct pv_blk_store_ops pv_store_file_ops;

/* store.c: what it is made of is longer than the disk: it is cut to the disk's size. Any thread. */
void pv_store_cut(struct pv_store *store);

/*
 * After a write by system call. The disk may have become shorter meanwhile, and the write has made
 * the file longer again.
 */
static inline void pv_store_written(struct pv_store *store, uint64_t offset, uint64_t bytes)
{
	pv_file_map_written(&store->map, offset, bytes);
	if (__builtin_expect(offset + bytes >
	                             __atomic_load_n(&store->blk.capacity_bytes, __ATOMIC_SEQ_CST),
	                     0))
		pv_store_cut(store);
}

static inline struct pv_store *pv_store_of(struct pv_blk_store *blk)
{
	return (struct pv_store *)blk;
}

#endif
