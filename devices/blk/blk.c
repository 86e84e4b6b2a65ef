/* SPDX-License-Identifier: BSD-2-Clause */
/* The block device: features, configuration, state. Its requests are in request.c. */
#include "devices/blk/internal.h"
#include "devices/core/storage.h"

#include "abi/virtio_ids.h"
#include "ring/err.h"

#define COUNTER(field)                                                                             \
	{                                                                                          \
#field, offsetof(struct pv_blk_counters, field)                                    \
	}

const struct pv_counter_name pv_blk_counter_names[] = {
	COUNTER(reads),        COUNTER(writes),        COUNTER(flushes), COUNTER(discards),
	COUNTER(write_zeroes), COUNTER(secure_erases), COUNTER(get_ids), COUNTER(get_lifetimes),
	COUNTER(bytes_read),   COUNTER(bytes_written), COUNTER(errors),  COUNTER(unsupported),
	COUNTER(ignored),      COUNTER(kept),          { NULL, 0 },
};

static uint64_t features(const struct pv_device *device)
{
	const struct pv_blk *blk = pv_blk_of_const(device);
	uint64_t bits = VIRTIO_BLK_F_SIZE_MAX | VIRTIO_BLK_F_SEG_MAX | VIRTIO_BLK_F_BLK_SIZE |
	                VIRTIO_BLK_F_TOPOLOGY | VIRTIO_BLK_F_FLUSH | VIRTIO_BLK_F_CONFIG_WCE;

	if (device->queues > 1)
		bits |= VIRTIO_BLK_F_MQ;
	if (blk->options.geometry.cylinders > 0)
		bits |= VIRTIO_BLK_F_GEOMETRY;
	if (blk->store->limits.has_lifetime)
		bits |= VIRTIO_BLK_F_LIFETIME;
	if (blk->options.is_read_only)
		return bits | VIRTIO_BLK_F_RO;
	if (blk->store->limits.discard_granularity > 0)
		bits |= VIRTIO_BLK_F_DISCARD;
	if (blk->store->limits.erase_granularity > 0)
		bits |= VIRTIO_BLK_F_SECURE_ERASE;
	if (blk->store->limits.can_write_zeroes)
		bits |= VIRTIO_BLK_F_WRITE_ZEROES;
	return bits;
}

static uint8_t log2_of(uint32_t power)
{
	return (uint8_t)(31 - __builtin_clz(power));
}

static void config_read(const struct pv_device *device, uint16_t offset, void *to, uint16_t bytes)
{
	const struct pv_blk *blk = pv_blk_of_const(device);
	const struct pv_blk_limits *limits = &blk->store->limits;
	const uint32_t block = limits->logical_block_bytes;
	const uint32_t physical_blocks = limits->physical_block_bytes / block;
	struct virtio_blk_config config = {
		.capacity = pv_le64_of(blk->capacity_bytes >> VIRTIO_BLK_SECTOR_SHIFT),
		.size_max = pv_le32_of(PV_BLK_SIZE_MAX),
		.seg_max = pv_le32_of(PV_BLK_SEG_MAX),
		.geometry = {
			.cylinders = pv_le16_of(blk->options.geometry.cylinders),
			.heads = blk->options.geometry.heads,
			.sectors = blk->options.geometry.sectors,
		},
		.blk_size = pv_le32_of(block),
		.topology = {
			.physical_block_exp = log2_of(physical_blocks),
			.min_io_size = pv_le16_of((uint16_t)physical_blocks),
			.opt_io_size = pv_le32_of(limits->optimal_io_bytes / block),
		},
		.writeback = blk->is_write_back,
		.num_queues = pv_le16_of(device->queues),
		.max_discard_sectors = pv_le32_of(PV_BLK_RANGE_SECTORS),
		.max_discard_seg = pv_le32_of(PV_BLK_RANGES_MAX),
		.discard_sector_alignment =
			pv_le32_of(limits->discard_granularity >> VIRTIO_BLK_SECTOR_SHIFT),
		.max_write_zeroes_sectors = pv_le32_of(PV_BLK_RANGE_SECTORS),
		.max_write_zeroes_seg = pv_le32_of(PV_BLK_RANGES_MAX),
		.write_zeroes_may_unmap = limits->discard_granularity > 0,
		.max_secure_erase_sectors = pv_le32_of(PV_BLK_RANGE_SECTORS),
		.max_secure_erase_seg = pv_le32_of(PV_BLK_RANGES_MAX),
		.secure_erase_sector_alignment =
			pv_le32_of(limits->erase_granularity >> VIRTIO_BLK_SECTOR_SHIFT),
	};

	__builtin_memcpy(to, (const uint8_t *)&config + offset, bytes);
}

/* The one field that is the driver's is `writeback`, and only with CONFIG_WCE (section 5.2.5.1). */
static int config_write(struct pv_device *device, uint16_t offset, const void *from, uint16_t bytes)
{
	const uint8_t *value = from;

	if (offset != offsetof(struct virtio_blk_config, writeback) || bytes != 1 || *value > 1 ||
	    !(device->features & VIRTIO_BLK_F_CONFIG_WCE))
		return -PV_ENOTSUP;
	__atomic_store_n(&pv_blk_of(device)->is_write_back, *value, __ATOMIC_RELAXED);
	return 0;
}

static void reset(struct pv_device *device)
{
	struct pv_blk *blk = pv_blk_of(device);
	bool was_stopped = blk->is_stopped;

	blk->is_write_back = blk->options.has_write_cache;
	blk->is_stopped = false;
	if (was_stopped && blk->options.resumed)
		blk->options.resumed(blk->options.failed_arg);
}

static void save(const struct pv_device *device, struct pv_state_writer *to)
{
	const struct pv_blk *blk = pv_blk_of_const(device);

	pv_state_put_u64(to, blk->capacity_bytes);
	pv_state_put_u8(to, blk->is_write_back);
}

static int load(struct pv_device *device, struct pv_state_reader *from, uint16_t version)
{
	struct pv_blk *blk = pv_blk_of(device);
	uint64_t capacity_bytes = pv_state_get_u64(from);
	bool is_write_back = pv_state_get_u8(from);

	(void)version;
	/* The driver knows the size by now: on another disk it would write past the end. */
	if (!pv_state_check(from, capacity_bytes == blk->capacity_bytes))
		return -PV_ESTATE;
	blk->is_write_back = is_write_back;
	return 0;
}

int pv_blk_resized(struct pv_device *device, uint64_t capacity_bytes)
{
	struct pv_blk *blk = pv_blk_of(device);

	if (capacity_bytes & (blk->store->limits.logical_block_bytes - 1))
		return -PV_EINVAL;
	__atomic_store_n(&blk->capacity_bytes, capacity_bytes, __ATOMIC_RELAXED);
	pv_device_config_changed(device);
	return 0;
}

static const void *queue_counters(const struct pv_device *device, uint16_t index)
{
	return &pv_blk_of_const(device)->counters[index];
}

static const struct pv_virtio_ops virtio_ops = {
	.id = VIRTIO_ID_BLOCK,
	.config_bytes = sizeof(struct virtio_blk_config),
	.features = features,
	.config_read = config_read,
	.config_write = config_write,
	.queue_start = pv_blk_queue_start,
	.queue_run = pv_blk_queue_run,
	.queue_drain = pv_blk_queue_drain,
	.queue_stop = pv_blk_queue_stop,
	.queue_save = pv_blk_queue_save,
	.queue_load = pv_blk_queue_load,
	.queue_move = pv_blk_queue_move,
	.queue_event = pv_blk_queue_event,
};

static const struct pv_device_ops blk_ops = {
	.name = "blk",
	.virtio = &virtio_ops,
	.reset = reset,
	.state_version = 1,
	.save = save,
	.load = load,
	.counter_names = pv_blk_counter_names,
	.queue_counters = queue_counters,
};

size_t pv_blk_bytes(uint16_t queues)
{
	return pv_storage_bytes(sizeof(struct pv_blk)) +
	       pv_storage_bytes(sizeof(struct pv_queue) * queues) +
	       pv_storage_bytes(sizeof(struct pv_blk_counters)) * queues;
}

struct pv_device *pv_blk_init(void *storage, struct pv_port *port, struct pv_blk_store *store,
                              const struct pv_blk_options *options)
{
	struct pv_blk *blk = storage;
	struct pv_queue *queue = (void *)((char *)storage + pv_storage_bytes(sizeof(*blk)));

	pv_device_init(&blk->device, &blk_ops, port,
	               pv_device_ring_features(options->is_in_order, options->no_packed), queue,
	               options->queues, options->queue_size_max);
	blk->store = store;
	blk->options = *options;
	blk->options.is_read_only |= store->limits.is_read_only;
	blk->capacity_bytes = store->capacity_bytes;
	blk->counters =
		(void *)((char *)queue + pv_storage_bytes(sizeof(*queue) * options->queues));
	for (size_t i = 0; options->serial && options->serial[i] && i < sizeof(blk->serial); i++)
		blk->serial[i] = options->serial[i];
	reset(&blk->device);
	return &blk->device;
}
