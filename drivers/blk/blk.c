/* SPDX-License-Identifier: BSD-2-Clause */
#include "drivers/blk/blk.h"

#include "drivers/blk/internal.h"
#include "ring/err.h"

#define QUEUE_SIZE_MIN (PV_BLKDRV_FRAME_BUFFERS + 1)

#define LINE_BYTES 64u

static size_t round_up(size_t bytes)
{
	return (bytes + LINE_BYTES - 1) & ~(size_t)(LINE_BYTES - 1);
}

static bool alloc_slots(struct pv_blkdrv_queue *queue)
{
	const size_t size = queue->base.place.size;
	const size_t range_at = round_up(sizeof(struct virtio_blk_req_header) * size);
	const size_t status_at = range_at + round_up(sizeof(struct virtio_blk_range) * size);
	const size_t id_at = status_at + round_up(size);
	struct pv_blkdrv_slots *slots = &queue->slots;
	struct pv_os *os = queue->blk->driver.os;
	struct pv_gpa gpa;
	uint8_t *shared;

	slots->bytes = id_at + round_up(VIRTIO_BLK_ID_BYTES);
	shared = os->ops->shared_alloc(os, slots->bytes, LINE_BYTES, &gpa);
	if (!shared)
		return false;
	slots->header = (struct virtio_blk_req_header *)(void *)shared;
	slots->range = (struct virtio_blk_range *)(void *)(shared + range_at);
	slots->status = shared + status_at;
	slots->id = (char *)shared + id_at;
	slots->header_gpa = gpa;
	slots->range_gpa = pv_gpa_add(gpa, range_at);
	slots->status_gpa = pv_gpa_add(gpa, status_at);
	return true;
}

static void fill_free_slots(struct pv_blkdrv_queue *queue)
{
	const uint16_t size = queue->base.place.size;

	for (uint16_t i = 0; i < size; i++)
		queue->free_slot[i] = (uint16_t)(size - 1 - i);
	queue->free_slots = size;
}

/* No chain is longer than the ring. */
static uint16_t chain_buffers_max(const struct pv_blkdrv_queue *queue)
{
	const uint16_t most = (uint16_t)(queue->blk->disk.segments_max + PV_BLKDRV_FRAME_BUFFERS);

	return most < queue->base.place.size ? most : queue->base.place.size;
}

static bool alloc_private(struct pv_blkdrv_queue *queue)
{
	const uint16_t chain_max = chain_buffers_max(queue);
	struct pv_os *os = queue->blk->driver.os;
	const size_t chains = os->ops->unmap ? queue->base.place.size : 1;
	const size_t sg_bytes = sizeof(struct pv_sg) * chain_max * chains;

	queue->sg_apart = os->ops->unmap ? chain_max : 0;
	queue->private_bytes = sg_bytes + sizeof(uint16_t) * queue->base.place.size;
	queue->sg = os->ops->alloc(os, queue->private_bytes);
	if (!queue->sg)
		return false;
	queue->free_slot = (uint16_t *)(void *)((uint8_t *)queue->sg + sg_bytes);
	fill_free_slots(queue);
	return true;
}

static int queue_setup(struct pv_blkdrv *blk, uint16_t index)
{
	struct pv_blkdrv_queue *queue = &blk->queue[index];
	const struct pv_driver_queue_options ring = {
		.size_max = blk->options.queue_size,
		.indirect_max = (uint16_t)(blk->disk.segments_max + PV_BLKDRV_FRAME_BUFFERS),
		.requests = &pv_blkdrv_request_ops,
	};
	int error = pv_driver_queue_init(&queue->base, &blk->driver, index, &ring);

	if (error)
		return error;
	queue->blk = blk;
	blk->started++;
	if (queue->base.place.size < QUEUE_SIZE_MIN)
		return -PV_EINVAL;
	return alloc_slots(queue) && alloc_private(queue) ? 0 : -PV_ENOMEM;
}

static void queue_teardown(struct pv_blkdrv_queue *queue)
{
	struct pv_driver *driver = &queue->blk->driver;
	struct pv_os *os = driver->os;

	if (queue->slots.header && driver->is_reset)
		os->ops->shared_free(os, queue->slots.header, queue->slots.bytes);
	if (queue->sg)
		os->ops->free(os, queue->sg, queue->private_bytes);
	pv_driver_queue_fini(&queue->base);
}

/* A request's buffers must fit into the smallest of the rings. */
static void bound_segments(struct pv_blkdrv *blk)
{
	for (uint16_t i = 0; i < blk->disk.queues; i++) {
		uint16_t room = (uint16_t)(blk->queue[i].base.place.size - PV_BLKDRV_FRAME_BUFFERS);

		if (blk->disk.segments_max > room)
			blk->disk.segments_max = room;
	}
}

static int bring_up(struct pv_driver *driver)
{
	struct pv_blkdrv *blk = (struct pv_blkdrv *)driver;
	int error = pv_blkdrv_config_load(blk, &blk->options);

	for (uint16_t i = 0; !error && i < blk->disk.queues; i++)
		error = queue_setup(blk, i);
	if (error)
		return error;
	bound_segments(blk);
	return pv_driver_start(&blk->driver);
}

static void release(struct pv_blkdrv *blk)
{
	struct pv_os *os = blk->driver.os;

	for (uint16_t i = 0; i < blk->started; i++)
		queue_teardown(&blk->queue[i]);
	os->ops->free(os, blk, blk->bytes);
}

static struct pv_blkdrv *alloc_driver(struct pv_os *os, uint16_t queues)
{
	size_t bytes = sizeof(struct pv_blkdrv) + sizeof(struct pv_blkdrv_queue) * queues;
	struct pv_blkdrv *blk = os->ops->alloc(os, bytes);

	if (blk)
		blk->bytes = bytes;
	return blk;
}

int pv_blkdrv_create(struct pv_blkdrv **blk, struct pv_bus *bus, struct pv_os *os,
                     const struct pv_blkdrv_options *options)
{
	const struct pv_driver_wish wish = {
		.required = options->required,
		.wanted = options->wanted ? options->wanted | VIRTIO_BLK_F_RO : PV_BLKDRV_FEATURES,
		.timeout_ns = options->timeout_ns,
		.bring_up = bring_up,
	};
	struct pv_blkdrv *made = alloc_driver(os, options->queues ? options->queues : 1);
	int error;

	if (!made)
		return -PV_ENOMEM;
	made->options = *options;
	error = pv_driver_init(&made->driver, bus, os, &wish);
	if (error)
		release(made);
	else
		*blk = made;
	return error;
}

int pv_blkdrv_fail(struct pv_blkdrv *blk)
{
	int error = pv_driver_stop(&blk->driver);

	for (uint16_t i = 0; i < blk->started; i++)
		pv_driver_queue_end_all(&blk->queue[i].base, -PV_EBROKEN);
	return error;
}

void pv_blkdrv_destroy(struct pv_blkdrv *blk)
{
	pv_blkdrv_fail(blk);
	release(blk);
}

bool pv_blkdrv_is_broken(struct pv_blkdrv *blk)
{
	for (uint16_t i = 0; i < blk->started; i++)
		if (pv_blkdrv_queue_is_broken(&blk->queue[i]))
			return true;
	return pv_driver_needs_reset(&blk->driver);
}

int pv_blkdrv_queue_reset(struct pv_blkdrv_queue *queue)
{
	int error = pv_driver_queue_reset(&queue->base);

	if (error)
		return error;
	pv_driver_queue_end_all(&queue->base, -PV_EIO);
	return pv_driver_queue_enable(&queue->base);
}

const struct pv_blkdrv_disk *pv_blkdrv_disk(const struct pv_blkdrv *blk)
{
	return &blk->disk;
}

struct pv_blkdrv_queue *pv_blkdrv_queue(struct pv_blkdrv *blk, uint16_t index)
{
	return index < blk->disk.queues ? &blk->queue[index] : NULL;
}
