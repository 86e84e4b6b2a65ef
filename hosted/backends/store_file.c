/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Opening a file or block device as a disk: what it is, how large, and what it can do.
 *
 * #syscalls ftruncate fdatasync ioctl fstat newfstatat
 */
#define _GNU_SOURCE
#include "hosted/backends/store_internal.h"

#include "abi/virtio_blk.h"
#include "hosted/backends/image_lock.h"
#include "hosted/loop/log.h"
#include "ring/err.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

/* The largest alignment that O_DIRECT asks for anywhere. */
#define DIRECT_ALIGN_MAX 4096u

int pv_store_file_begin(struct pv_blk_store *blk)
{
	struct pv_store *store = pv_store_of(blk);
	int err = store->has_locks ? pv_image_lock(store->fd, !blk->limits.is_read_only) : 0;

	/* What cannot be locked is used without: QEMU could not lock it either. */
	if (err == -ENOLCK || err == -EOPNOTSUPP || err == -EINVAL || err == -ENOSYS) {
		store->has_locks = false;
		pv_log(store->path, PV_LOG_WARNING,
		       "this image cannot be locked: see to it that nobody else uses it");
		err = 0;
	}
	store->is_locked = store->has_locks && !err;
	if (err)
		return -PV_ELOCKED;
	if (store->is_in_memory)
		pv_file_map_open(&store->map, store->fd, blk->capacity_bytes,
		                 blk->limits.is_read_only, store->guard);
	return 0;
}

void pv_store_file_end(struct pv_blk_store *blk)
{
	struct pv_store *store = pv_store_of(blk);

	pv_file_map_close(&store->map);
	if (store->is_locked)
		pv_image_unlock(store->fd);
	store->is_locked = false;
}

static int file_resize(struct pv_store *store, uint64_t bytes)
{
	uint64_t now_bytes;

	if (!store->is_block_device) {
		int err = ftruncate(store->fd, (off_t)bytes) ? -errno : 0;

		/* What is cut off comes back as a hole. */
		pv_file_map_freed(&store->map, bytes, store->map.bytes);
		return err;
	}
	/* A block device is resized elsewhere; here we can only follow. */
	if (ioctl(store->fd, BLKGETSIZE64, &now_bytes))
		return -errno;
	return bytes <= now_bytes ? 0 : -ENOSPC;
}

static int file_sync(struct pv_store *store)
{
	if (store->blk.limits.is_read_only)
		return 0;
	return fdatasync(store->fd) ? -errno : 0;
}

static void file_close(struct pv_store *store)
{
	if (store->has_eraser)
		pv_pool_fini(&store->eraser);
	pv_lifetime_close(&store->lifetime);
	close(store->fd);
}

static const struct pv_store_kind file_kind = {
	.name = "file",
	.ops = &pv_store_file_ops,
	.resize = file_resize,
	.sync = file_sync,
	.close = file_close,
};

/* A hole behind the end of the file changes nothing, but tells whether holes can be had. */
static bool can_punch_holes(int fd, off_t end)
{
	return fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, end, 4096) == 0;
}

static void learn_file(struct pv_store *store, const struct stat *status, bool is_writable)
{
	struct pv_blk_limits *limits = &store->blk.limits;
	struct statfs filesystem;

	store->blk.capacity_bytes = (uint64_t)status->st_size;
	store->is_in_memory =
		fstatfs(store->fd, &filesystem) == 0 &&
		(filesystem.f_type == TMPFS_MAGIC || filesystem.f_type == RAMFS_MAGIC);
	limits->logical_block_bytes = VIRTIO_BLK_SECTOR_BYTES;
	limits->physical_block_bytes = 4096;
	store->can_punch = is_writable && can_punch_holes(store->fd, status->st_size);
	limits->discard_granularity = store->can_punch ? 4096 : 0;
}

/* Where the kernel does not tell: the smallest that a read goes through with. */
static uint32_t probe_direct_align(int fd)
{
	uint32_t align = VIRTIO_BLK_SECTOR_BYTES;
	void *memory = aligned_alloc(DIRECT_ALIGN_MAX, DIRECT_ALIGN_MAX);

	while (align < DIRECT_ALIGN_MAX && (!memory || pread(fd, memory, align, 0) < 0))
		align *= 2;
	free(memory);
	return align;
}

static void learn_direct_align(struct pv_store *store)
{
	struct pv_blk_limits *limits = &store->blk.limits;
	uint32_t align = store->is_block_device ? limits->logical_block_bytes : 0;
#ifdef STATX_DIOALIGN
	struct statx extended;

	if (statx(store->fd, "", AT_EMPTY_PATH, STATX_DIOALIGN, &extended) == 0 &&
	    extended.stx_mask & STATX_DIOALIGN && extended.stx_dio_offset_align > 0) {
		align = extended.stx_dio_offset_align;
		if (align < extended.stx_dio_mem_align)
			align = extended.stx_dio_mem_align;
	}
#endif
	if (align == 0)
		align = probe_direct_align(store->fd);
	store->direct_align = align;
	if (!store->is_block_device && limits->logical_block_bytes < align)
		limits->logical_block_bytes = align;
}

static int open_failed(const char *path, bool is_read_only, char *error, size_t error_bytes)
{
	int err = errno;
	const char *remedy = "check the path";

	if (err == EACCES || err == EPERM || err == EROFS)
		remedy = is_read_only ? "check its permissions"
		                      : "check its permissions or add --read-only";
	else if (err == EINVAL)
		remedy = "its file system has no O_DIRECT, leave out --direct";
	snprintf(error, error_bytes, "--blk-file %s: %s; %s", path, strerror(err), remedy);
	return -err;
}

/* What a guest writes here and there would fail, and the guest not know why. */
static int refuse_zones(const char *path, char *error, size_t error_bytes)
{
	snprintf(error, error_bytes,
	         "--blk-file %s is a host-managed zoned device, which is not supported; put "
	         "dm-zoned on it (dmzadm --format) and serve that",
	         path);
	return -EOPNOTSUPP;
}

static int learn(struct pv_store *store, bool is_read_only, char *error, size_t error_bytes)
{
	const char *path = store->path;
	struct stat status;

	if (fstat(store->fd, &status))
		return open_failed(path, is_read_only, error, error_bytes);
	if (S_ISBLK(status.st_mode)) {
		if (pv_store_block_is_host_managed(status.st_rdev))
			return refuse_zones(path, error, error_bytes);
		if (pv_store_block_learn(store, status.st_rdev))
			return open_failed(path, is_read_only, error, error_bytes);
	} else if (S_ISREG(status.st_mode)) {
		learn_file(store, &status, !is_read_only);
	} else {
		snprintf(error, error_bytes, "--blk-file %s is neither a file nor a block device",
		         path);
		return -EINVAL;
	}
	store->blk.limits.can_write_zeroes = true;
	return 0;
}

/* A medium can take minutes to erase, and the kernel knows no way but to wait for it. */
static int start_eraser(struct pv_store *store, char *error, size_t error_bytes)
{
	int err = pv_pool_init(&store->eraser, "erase", 1);

	store->has_eraser = !err;
	if (err)
		snprintf(error, error_bytes, "--blk-file %s: cannot start a thread: %s",
		         store->path, strerror(-err));
	return err;
}

/* What the disk has to erase by is known; what was asked for? */
static int choose_erase(struct pv_store *store, const struct pv_store_options *options, char *error,
                        size_t error_bytes)
{
	struct pv_blk_limits *limits = &store->blk.limits;

	if (options->erase == PV_STORE_ERASE_OFF || options->is_read_only)
		limits->erase_granularity = 0;
	else if (options->erase == PV_STORE_ERASE_OVERWRITE)
		limits->erase_granularity = VIRTIO_BLK_SECTOR_BYTES;
	else if (limits->erase_granularity)
		return start_eraser(store, error, error_bytes);
	return 0;
}

int pv_store_file_open(struct pv_store *store, const struct pv_store_options *options, char *error,
                       size_t error_bytes)
{
	int flags = O_CLOEXEC | O_NONBLOCK | (options->is_read_only ? O_RDONLY : O_RDWR);
	int err;

	if (options->is_direct)
		flags |= O_DIRECT;
	store->kind = &file_kind;
	store->blk.ops = &pv_store_file_ops;
	store->has_locks = !options->has_no_locks;
	store->guard = options->guard;
	store->path = strdup(options->path);
	if (!store->path)
		return -ENOMEM;
	store->fd = open(options->path, flags);
	if (store->fd < 0)
		return open_failed(options->path, options->is_read_only, error, error_bytes);
	err = learn(store, options->is_read_only, error, error_bytes);
	/*
	 * O_NONBLOCK keeps open() from waiting for the other end of a pipe; on a file it would have
	 * io_uring give up where it should wait.
	 */
	if (!err && fcntl(store->fd, F_SETFL, flags & ~O_NONBLOCK))
		err = open_failed(options->path, options->is_read_only, error, error_bytes);
	if (!err)
		err = choose_erase(store, options, error, error_bytes);
	if (!err && options->is_direct)
		learn_direct_align(store);
	if (err)
		file_close(store);
	return err;
}
