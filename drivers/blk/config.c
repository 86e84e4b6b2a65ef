/* SPDX-License-Identifier: BSD-2-Clause */
/* What a block device says about itself, believed only as far as it makes sense. */
#include "drivers/blk/internal.h"
#include "ring/err.h"

#define BLOCK_BYTES_MAX      (1u << 20)
#define CAPACITY_MAX         (UINT64_MAX >> VIRTIO_BLK_SECTOR_SHIFT)
#define SEGMENTS_MAX_DEFAULT 16u

/* Bytes of the configuration that exist with these features: older devices have less of it. */
static uint32_t config_bytes(uint64_t features)
{
	if (features & VIRTIO_BLK_F_SECURE_ERASE)
		return sizeof(struct virtio_blk_config);
	if (features & VIRTIO_BLK_F_WRITE_ZEROES)
		return offsetof(struct virtio_blk_config, unused1);
	if (features & VIRTIO_BLK_F_DISCARD)
		return offsetof(struct virtio_blk_config, max_write_zeroes_sectors);
	if (features & VIRTIO_BLK_F_MQ)
		return offsetof(struct virtio_blk_config, max_discard_sectors);
	if (features & VIRTIO_BLK_F_TOPOLOGY)
		return offsetof(struct virtio_blk_config, writeback);
	if (features & VIRTIO_BLK_F_BLK_SIZE)
		return offsetof(struct virtio_blk_config, topology);
	if (features & VIRTIO_BLK_F_GEOMETRY)
		return offsetof(struct virtio_blk_config, blk_size);
	if (features & VIRTIO_BLK_F_SEG_MAX)
		return offsetof(struct virtio_blk_config, geometry);
	if (features & VIRTIO_BLK_F_SIZE_MAX)
		return offsetof(struct virtio_blk_config, seg_max);
	return offsetof(struct virtio_blk_config, size_max);
}

static bool take_blocks(struct pv_blkdrv_disk *disk, const struct virtio_blk_config *config)
{
	uint32_t bytes = VIRTIO_BLK_SECTOR_BYTES;

	if (disk->features & VIRTIO_BLK_F_BLK_SIZE)
		bytes = pv_le32_get(config->blk_size);
	if (bytes < VIRTIO_BLK_SECTOR_BYTES || bytes > BLOCK_BYTES_MAX || bytes & (bytes - 1))
		return false;
	disk->block_bytes = bytes;
	disk->physical_block_bytes = bytes;
	return true;
}

/* Advice: what makes no sense is not taken. */
static void take_topology(struct pv_blkdrv_disk *disk, const struct virtio_blk_config *config)
{
	uint8_t exponent = config->topology.physical_block_exp;

	if (!(disk->features & VIRTIO_BLK_F_TOPOLOGY))
		return;
	if (exponent < 32 && (uint64_t)disk->block_bytes << exponent <= 1u << 31)
		disk->physical_block_bytes = disk->block_bytes << exponent;
	disk->alignment_offset_bytes = disk->block_bytes * config->topology.alignment_offset;
	disk->min_io_bytes =
		(uint64_t)disk->block_bytes * pv_le16_get(config->topology.min_io_size);
	disk->opt_io_bytes =
		(uint64_t)disk->block_bytes * pv_le32_get(config->topology.opt_io_size);
}

static bool take_segments(struct pv_blkdrv_disk *disk, const struct virtio_blk_config *config,
                          uint16_t wanted)
{
	uint32_t segments = 1, bytes = UINT32_MAX;

	if (disk->features & VIRTIO_BLK_F_SEG_MAX)
		segments = pv_le32_get(config->seg_max);
	/* Some devices offer a limit and then leave it at zero, which can only mean "none". */
	if (disk->features & VIRTIO_BLK_F_SIZE_MAX && pv_le32_get(config->size_max) > 0)
		bytes = pv_le32_get(config->size_max);
	if (wanted == 0)
		wanted = SEGMENTS_MAX_DEFAULT;
	if (segments > wanted)
		segments = wanted;
	if (segments > VIRTQ_SIZE_MAX - PV_BLKDRV_FRAME_BUFFERS)
		segments = VIRTQ_SIZE_MAX - PV_BLKDRV_FRAME_BUFFERS;
	disk->segments_max = segments ? (uint16_t)segments : 1;
	disk->segment_bytes_max = bytes;
	return bytes >= VIRTIO_BLK_SECTOR_BYTES;
}

static bool take_queues(struct pv_blkdrv_disk *disk, const struct virtio_blk_config *config,
                        uint16_t wanted)
{
	uint16_t queues = 1;

	if (disk->features & VIRTIO_BLK_F_MQ)
		queues = pv_le16_get(config->num_queues);
	if (wanted == 0)
		wanted = 1;
	disk->queues = queues < wanted ? queues : wanted;
	return queues > 0;
}

/* A limit of zero means that the operation is of no use. */
static void take_ranges(struct pv_blkdrv_disk *disk, const struct virtio_blk_config *config)
{
	if (disk->features & VIRTIO_BLK_F_DISCARD && pv_le32_get(config->max_discard_seg) > 0) {
		disk->discard_sectors_max = pv_le32_get(config->max_discard_sectors);
		disk->discard_alignment_sectors = pv_le32_get(config->discard_sector_alignment);
	}
	if (disk->features & VIRTIO_BLK_F_WRITE_ZEROES &&
	    pv_le32_get(config->max_write_zeroes_seg) > 0) {
		disk->write_zeroes_sectors_max = pv_le32_get(config->max_write_zeroes_sectors);
		disk->can_unmap = config->write_zeroes_may_unmap;
	}
	if (disk->features & VIRTIO_BLK_F_SECURE_ERASE &&
	    pv_le32_get(config->max_secure_erase_seg) > 0) {
		disk->secure_erase_sectors_max = pv_le32_get(config->max_secure_erase_sectors);
		disk->secure_erase_alignment_sectors =
			pv_le32_get(config->secure_erase_sector_alignment);
	}
}

/* Of no use to us; for those who have to write it down, such as a partition table. */
static void take_geometry(struct pv_blkdrv_disk *disk, const struct virtio_blk_config *config)
{
	if (!(disk->features & VIRTIO_BLK_F_GEOMETRY))
		return;
	disk->geometry.cylinders = pv_le16_get(config->geometry.cylinders);
	disk->geometry.heads = config->geometry.heads;
	disk->geometry.sectors = config->geometry.sectors;
}

static void store_capacity(struct pv_blkdrv_capacity *to, uint64_t sectors)
{
	uint32_t next = to->generation + 1;
	uint32_t *half = to->sectors[next % 2];

	/* Whoever still reads this one must see that the other counts. */
	__atomic_thread_fence(__ATOMIC_RELEASE);
	__atomic_store_n(&half[0], (uint32_t)sectors, __ATOMIC_RELAXED);
	__atomic_store_n(&half[1], (uint32_t)(sectors >> 32), __ATOMIC_RELAXED);
	__atomic_store_n(&to->generation, next, __ATOMIC_RELEASE);
}

static int take_capacity(struct pv_blkdrv *blk, struct pv_le64 field)
{
	uint64_t sectors = pv_le64_get(field);

	if (sectors > CAPACITY_MAX)
		return -PV_EBROKEN;
	store_capacity(&blk->capacity, sectors);
	return 0;
}

int pv_blkdrv_config_load(struct pv_blkdrv *blk, const struct pv_blkdrv_options *options)
{
	struct pv_blkdrv_disk *disk = &blk->disk;
	struct virtio_blk_config config = { 0 };
	int error;

	disk->features = blk->driver.features;
	error = pv_driver_config_read(&blk->driver, 0, &config, config_bytes(disk->features));
	if (error)
		return error;
	disk->is_read_only = disk->features & VIRTIO_BLK_F_RO;
	disk->has_flush = disk->features & VIRTIO_BLK_F_FLUSH;
	disk->has_cache_switch = disk->features & VIRTIO_BLK_F_CONFIG_WCE;
	if (!take_blocks(disk, &config) || !take_segments(disk, &config, options->segments_max) ||
	    !take_queues(disk, &config, options->queues))
		return -PV_EBROKEN;
	take_topology(disk, &config);
	take_ranges(disk, &config);
	take_geometry(disk, &config);
	disk->has_lifetime = disk->features & VIRTIO_BLK_F_LIFETIME;
	return take_capacity(blk, config.capacity);
}

uint64_t pv_blkdrv_capacity(const struct pv_blkdrv *blk)
{
	const struct pv_blkdrv_capacity *from = &blk->capacity;
	uint32_t generation, low, high;

	do {
		generation = __atomic_load_n(&from->generation, __ATOMIC_ACQUIRE);
		low = __atomic_load_n(&from->sectors[generation % 2][0], __ATOMIC_RELAXED);
		high = __atomic_load_n(&from->sectors[generation % 2][1], __ATOMIC_RELAXED);
		__atomic_thread_fence(__ATOMIC_ACQUIRE);
	} while (__atomic_load_n(&from->generation, __ATOMIC_RELAXED) != generation);
	return (uint64_t)high << 32 | low;
}

int pv_blkdrv_config_changed(struct pv_blkdrv *blk)
{
	struct pv_le64 capacity;
	int error;

	if (pv_driver_needs_reset(&blk->driver))
		return -PV_EBROKEN;
	error = pv_driver_config_read(&blk->driver, offsetof(struct virtio_blk_config, capacity),
	                              &capacity, sizeof(capacity));
	return error ? error : take_capacity(blk, capacity);
}

int pv_blkdrv_set_write_cache(struct pv_blkdrv *blk, bool is_on)
{
	uint8_t writeback = is_on;

	if (!blk->disk.has_cache_switch)
		return -PV_ENOTSUP;
	return pv_driver_config_write(&blk->driver, offsetof(struct virtio_blk_config, writeback),
	                              &writeback, sizeof(writeback));
}

int pv_blkdrv_write_cache(struct pv_blkdrv *blk, bool *is_on)
{
	uint8_t writeback;
	int error;

	if (!blk->disk.has_cache_switch)
		return -PV_ENOTSUP;
	error = pv_driver_config_read(&blk->driver, offsetof(struct virtio_blk_config, writeback),
	                              &writeback, sizeof(writeback));
	/* Anything but "off" may lose writes: take it for "on". */
	*is_on = writeback != 0;
	return error;
}
