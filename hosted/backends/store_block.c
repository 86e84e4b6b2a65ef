/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Opening a block device as a disk: what the kernel and its folder in /sys tell of it.
 *
 * #syscalls ioctl
 */
#define _GNU_SOURCE
#include "hosted/backends/store_internal.h"

#include <errno.h>
#include <linux/fs.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

/* The disk's folder in /sys; a partition's is below that of its disk. */
#define FOLDER_BYTES 64

static void disk_folder(dev_t device, char folder[static FOLDER_BYTES])
{
	char queue[FOLDER_BYTES + sizeof("/queue")];
	int chars = snprintf(folder, FOLDER_BYTES, "/sys/dev/block/%u:%u", major(device),
	                     minor(device));

	snprintf(queue, sizeof(queue), "%s/queue", folder);
	if (access(queue, F_OK))
		snprintf(folder + chars, FOLDER_BYTES - (size_t)chars, "/..");
}

static FILE *open_queue_file(const char *folder, const char *name)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/queue/%s", folder, name);
	return fopen(path, "r");
}

/* A number from the block device's queue directory; 0 where there is none. */
static uint64_t queue_limit(const char *folder, const char *name)
{
	FILE *file = open_queue_file(folder, name);
	unsigned long long value = 0;

	if (!file)
		return 0;
	if (fscanf(file, "%llu", &value) != 1)
		value = 0;
	fclose(file);
	return value;
}

bool pv_store_block_is_host_managed(dev_t device)
{
	char folder[FOLDER_BYTES], model[32] = "";
	FILE *file;

	disk_folder(device, folder);
	file = open_queue_file(folder, "zoned");
	if (!file)
		return false;
	if (fscanf(file, "%31s", model) != 1)
		model[0] = '\0';
	fclose(file);
	return strcmp(model, "host-managed") == 0;
}

/*
 * Asks for a range that begins and ends within a sector, which is refused as nonsense, but only
 * after it was looked whether the device can erase at all: nothing is changed either way. Kernels
 * before 5.19 look whether it can discard; whether it can erase is then seen when a request fails.
 */
static bool can_erase(int fd)
{
	const uint64_t no_sectors[2] = { 1, 1 };

	return ioctl(fd, BLKSECDISCARD, no_sectors) < 0 && errno == EINVAL;
}

static int learn_sizes(struct pv_store *store)
{
	struct pv_blk_limits *limits = &store->blk.limits;
	unsigned int physical_bytes;
	int logical_bytes;

	if (ioctl(store->fd, BLKGETSIZE64, &store->blk.capacity_bytes) ||
	    ioctl(store->fd, BLKSSZGET, &logical_bytes) ||
	    ioctl(store->fd, BLKPBSZGET, &physical_bytes))
		return -errno;
	limits->logical_block_bytes = (uint32_t)logical_bytes;
	limits->physical_block_bytes = physical_bytes;
	return 0;
}

static void learn_lifetime(struct pv_store *store, const char *disk)
{
	char folder[FOLDER_BYTES + sizeof("/device")];

	snprintf(folder, sizeof(folder), "%s/device", disk);
	store->blk.limits.has_lifetime = pv_lifetime_open(&store->lifetime, folder);
}

int pv_store_block_learn(struct pv_store *store, dev_t device)
{
	struct pv_blk_limits *limits = &store->blk.limits;
	char folder[FOLDER_BYTES];
	int err = learn_sizes(store);

	if (err)
		return err;
	store->is_block_device = true;
	disk_folder(device, folder);
	limits->optimal_io_bytes = (uint32_t)queue_limit(folder, "optimal_io_size");
	limits->discard_granularity = (uint32_t)queue_limit(folder, "discard_granularity");
	if (can_erase(store->fd))
		limits->erase_granularity = limits->discard_granularity
		                                    ? limits->discard_granularity
		                                    : limits->logical_block_bytes;
	if (queue_limit(folder, "discard_max_bytes") == 0)
		limits->discard_granularity = 0;
	store->can_punch = limits->discard_granularity > 0;
	learn_lifetime(store, folder);
	return 0;
}

int pv_store_block_lifetime(struct pv_blk_store *blk, struct pv_blk_lifetime *lifetime)
{
	return pv_lifetime_read(&pv_store_of(blk)->lifetime, lifetime);
}
