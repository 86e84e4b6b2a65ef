/* SPDX-License-Identifier: BSD-2-Clause */
#include "hosted/backends/store_internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int set_block_sizes(struct pv_store *store, const struct pv_store_options *options,
                           char *error, size_t error_bytes)
{
	struct pv_blk_limits *limits = &store->blk.limits;

	if (options->logical_block_bytes) {
		if (options->logical_block_bytes < limits->logical_block_bytes) {
			snprintf(error, error_bytes,
			         "--logical-block-size %u is smaller than the %u bytes that %s can "
			         "do",
			         options->logical_block_bytes, limits->logical_block_bytes,
			         store->path ? store->path : "it");
			return -EINVAL;
		}
		limits->logical_block_bytes = options->logical_block_bytes;
	}
	if (limits->discard_granularity &&
	    limits->discard_granularity < limits->logical_block_bytes)
		limits->discard_granularity = limits->logical_block_bytes;
	if (limits->erase_granularity && limits->erase_granularity < limits->logical_block_bytes)
		limits->erase_granularity = limits->logical_block_bytes;
	if (options->physical_block_bytes)
		limits->physical_block_bytes = options->physical_block_bytes;
	else if (limits->physical_block_bytes < limits->logical_block_bytes)
		limits->physical_block_bytes = limits->logical_block_bytes;
	if (limits->physical_block_bytes < limits->logical_block_bytes) {
		snprintf(error, error_bytes,
		         "--physical-block-size %u is smaller than the logical block of %u bytes",
		         limits->physical_block_bytes, limits->logical_block_bytes);
		return -EINVAL;
	}
	return 0;
}

/* Only a file can be made larger as it is. */
static void add_size_remedy(const struct pv_store *store, char *error, size_t error_bytes)
{
	if (!store->path)
		snprintf(error, error_bytes, "give one that is");
	else if (store->is_block_device)
		snprintf(error, error_bytes, "leave out --logical-block-size");
	else
		snprintf(error, error_bytes, "round it up with truncate -s %%%u",
		         store->blk.limits.logical_block_bytes);
}

static int check_capacity(const struct pv_store *store, char *error, size_t error_bytes)
{
	const struct pv_blk_limits *limits = &store->blk.limits;
	const char *option = store->path ? "--blk-file " : store->memory ? "--memory" : "--null";

	if (store->blk.capacity_bytes == 0) {
		snprintf(error, error_bytes, "%s%s is empty; give it a size first (truncate -s 1G)",
		         option, store->path ? store->path : "");
		return -EINVAL;
	}
	if (store->blk.capacity_bytes % limits->logical_block_bytes == 0)
		return 0;
	snprintf(error, error_bytes,
	         "%s%s: a size of %llu bytes is no multiple of the logical block of %u bytes; ",
	         option, store->path ? store->path : "",
	         (unsigned long long)store->blk.capacity_bytes, limits->logical_block_bytes);
	add_size_remedy(store, error + strlen(error), error_bytes - strlen(error));
	return -EINVAL;
}

static int open_kind(struct pv_store *store, const struct pv_store_options *options, char *error,
                     size_t error_bytes)
{
	if (options->path)
		return pv_store_file_open(store, options, error, error_bytes);
	if (options->memory_bytes >= 0)
		return pv_store_memory_open(store, options, error, error_bytes);
	return pv_store_null_open(store, options, error, error_bytes);
}

int pv_store_open(struct pv_store **result, const struct pv_store_options *options, char *error,
                  size_t error_bytes)
{
	struct pv_store *store = calloc(1, sizeof(*store));
	int err;

	if (!store) {
		snprintf(error, error_bytes, "no memory for the disk");
		return -ENOMEM;
	}
	store->fd = -1;
	pthread_mutex_init(&store->resizing, NULL);
	store->lifetime = PV_LIFETIME_NONE;
	err = open_kind(store, options, error, error_bytes);
	if (err) {
		pthread_mutex_destroy(&store->resizing);
		free(store->path);
		free(store);
		return err;
	}
	store->blk.limits.is_read_only |= options->is_read_only;
	err = set_block_sizes(store, options, error, error_bytes);
	if (!err)
		err = check_capacity(store, error, error_bytes);
	if (err) {
		pv_store_close(store);
		return err;
	}
	*result = store;
	return 0;
}

void pv_store_close(struct pv_store *store)
{
	store->kind->close(store);
	pthread_mutex_destroy(&store->resizing);
	free(store->path);
	free(store);
}

struct pv_blk_store *pv_store_blk(struct pv_store *store)
{
	return &store->blk;
}

static void set_capacity(struct pv_store *store, uint64_t bytes)
{
	__atomic_store_n(&store->blk.capacity_bytes, bytes, __ATOMIC_SEQ_CST);
}

/*
 * A lane that finishes a write from before may make the file longer again. It looks at the capacity
 * after its write, which is why the capacity comes before the cut (pv_store_written).
 */
static int resize(struct pv_store *store, uint64_t bytes)
{
	uint64_t before = store->blk.capacity_bytes;
	int err;

	if (bytes < before)
		set_capacity(store, bytes);
	err = store->kind->resize(store, bytes);
	set_capacity(store, err ? before : bytes);
	return err;
}

void pv_store_cut(struct pv_store *store)
{
	pthread_mutex_lock(&store->resizing);
	store->kind->resize(store, store->blk.capacity_bytes);
	pthread_mutex_unlock(&store->resizing);
}

int pv_store_resize(struct pv_store *store, uint64_t bytes)
{
	const struct pv_blk_store_ops *ops = store->blk.ops;
	bool must_lock = store->has_locks && !store->is_locked;
	int err;

	if (bytes == 0 || bytes > INT64_MAX || bytes % store->blk.limits.logical_block_bytes)
		return -EINVAL;
	if (store->blk.limits.is_read_only)
		return -EROFS;
	/* While no guest uses the disk, somebody else may be using the image. */
	if (must_lock && ops->begin(&store->blk))
		return -EAGAIN;
	pthread_mutex_lock(&store->resizing);
	err = resize(store, bytes);
	pthread_mutex_unlock(&store->resizing);
	if (must_lock)
		ops->end(&store->blk);
	return err;
}

int pv_store_sync(struct pv_store *store)
{
	return store->kind->sync(store);
}

const char *pv_store_kind(const struct pv_store *store)
{
	return store->is_block_device ? "block" : store->kind->name;
}

const char *pv_store_path(const struct pv_store *store)
{
	return store->path ? store->path : "";
}
