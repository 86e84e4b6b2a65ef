/* SPDX-License-Identifier: BSD-2-Clause */
/* The way of a block request: checked, put on the ring, and ended. */
#include "drivers/blk/internal.h"
#include "ring/barrier.h"
#include "ring/err.h"

/* No device writes this: a request whose status byte still reads so was not worked on. */
#define STATUS_UNWRITTEN 0xffu

static bool is_on_disk(const struct pv_blkdrv *blk, uint64_t sector, uint64_t sectors)
{
	uint64_t capacity = pv_blkdrv_capacity(blk);

	return sector <= capacity && sectors <= capacity - sector;
}

/* The bytes of all buffers: whether each has some, and there are not too many for one request. */
static bool sum_data(const struct pv_blkdrv_request *request, uint64_t *bytes)
{
	*bytes = 0;
	for (uint16_t i = 0; i < request->buffers; i++) {
		if (request->buffer[i].bytes == 0)
			return false;
		*bytes += request->buffer[i].bytes;
	}
	return *bytes > 0 && *bytes < UINT32_MAX;
}

static int check_data(const struct pv_blkdrv *blk, struct pv_blkdrv_request *request)
{
	uint64_t bytes;

	if (request->op == PV_BLKDRV_WRITE && blk->disk.is_read_only)
		return -PV_ENOTSUP;
	if (!sum_data(request, &bytes) || bytes % VIRTIO_BLK_SECTOR_BYTES)
		return -PV_EINVAL;
	if (request->op == PV_BLKDRV_READ)
		request->inward_bytes = (uint32_t)bytes;
	if (!is_on_disk(blk, request->sector, bytes >> VIRTIO_BLK_SECTOR_SHIFT))
		return -PV_EINVAL;
	return 0;
}

static uint32_t range_sectors_max(const struct pv_blkdrv_disk *disk, enum pv_blkdrv_op op)
{
	switch (op) {
	case PV_BLKDRV_DISCARD:
		return disk->discard_sectors_max;
	case PV_BLKDRV_WRITE_ZEROES:
		return disk->write_zeroes_sectors_max;
	default:
		return disk->secure_erase_sectors_max;
	}
}

static int check_range(const struct pv_blkdrv *blk, const struct pv_blkdrv_request *request)
{
	uint32_t sectors_max = range_sectors_max(&blk->disk, request->op);

	if (sectors_max == 0 || blk->disk.is_read_only)
		return -PV_ENOTSUP;
	if (request->sectors == 0 || request->sectors > sectors_max)
		return -PV_EINVAL;
	return is_on_disk(blk, request->sector, request->sectors) ? 0 : -PV_EINVAL;
}

/* Something of a fixed size that the device says about itself. */
static int check_answer(struct pv_blkdrv_request *request, uint32_t answer_bytes)
{
	uint64_t bytes;

	if (!sum_data(request, &bytes) || bytes != answer_bytes)
		return -PV_EINVAL;
	request->inward_bytes = answer_bytes;
	return 0;
}

static int check(const struct pv_blkdrv *blk, struct pv_blkdrv_request *request)
{
	request->inward_bytes = 0;
	switch (request->op) {
	case PV_BLKDRV_READ:
	case PV_BLKDRV_WRITE:
		return check_data(blk, request);
	case PV_BLKDRV_FLUSH:
		return blk->disk.has_flush ? 0 : -PV_ENOTSUP;
	case PV_BLKDRV_DISCARD:
	case PV_BLKDRV_WRITE_ZEROES:
	case PV_BLKDRV_SECURE_ERASE:
		return check_range(blk, request);
	case PV_BLKDRV_GET_ID:
		return check_answer(request, VIRTIO_BLK_ID_BYTES);
	case PV_BLKDRV_GET_LIFETIME:
		if (!blk->disk.has_lifetime)
			return -PV_ENOTSUP;
		return check_answer(request, sizeof(struct virtio_blk_lifetime));
	}
	return -PV_EINVAL;
}

static void write_header(struct pv_blkdrv_queue *queue, const struct pv_blkdrv_request *request)
{
	static const uint8_t type[] = {
		[PV_BLKDRV_READ] = VIRTIO_BLK_T_IN,
		[PV_BLKDRV_WRITE] = VIRTIO_BLK_T_OUT,
		[PV_BLKDRV_FLUSH] = VIRTIO_BLK_T_FLUSH,
		[PV_BLKDRV_DISCARD] = VIRTIO_BLK_T_DISCARD,
		[PV_BLKDRV_WRITE_ZEROES] = VIRTIO_BLK_T_WRITE_ZEROES,
		[PV_BLKDRV_GET_ID] = VIRTIO_BLK_T_GET_ID,
		[PV_BLKDRV_SECURE_ERASE] = VIRTIO_BLK_T_SECURE_ERASE,
		[PV_BLKDRV_GET_LIFETIME] = VIRTIO_BLK_T_GET_LIFETIME,
	};
	bool has_sector = request->op == PV_BLKDRV_READ || request->op == PV_BLKDRV_WRITE;

	queue->slots.header[request->slot] = (struct virtio_blk_req_header){
		.type = pv_le32_of(type[request->op]),
		.sector = pv_le64_of(has_sector ? request->sector : 0),
	};
	queue->slots.status[request->slot] = STATUS_UNWRITTEN;
}

static void write_range(struct pv_blkdrv_queue *queue, const struct pv_blkdrv_request *request)
{
	bool unmap = request->op == PV_BLKDRV_WRITE_ZEROES && request->may_unmap;

	queue->slots.range[request->slot] = (struct virtio_blk_range){
		.sector = pv_le64_of(request->sector),
		.num_sectors = pv_le32_of(request->sectors),
		.flags = pv_le32_of(unmap ? VIRTIO_BLK_RANGE_F_UNMAP : 0),
	};
}

static struct pv_sg *chain_of(struct pv_blkdrv_queue *queue,
                              const struct pv_blkdrv_request *request)
{
	return queue->sg + (size_t)queue->sg_apart * request->slot;
}

/* The data of a request, behind the header. Returns the number of its pieces, or an error. */
static int put_data(struct pv_blkdrv_queue *queue, struct pv_blkdrv_request *request)
{
	const struct pv_blkdrv_disk *disk = &queue->blk->disk;
	struct pv_sg *sg = chain_of(queue, request) + 1;
	int pieces;

	request->pieces = 0;
	switch (request->op) {
	case PV_BLKDRV_FLUSH:
		return 0;
	case PV_BLKDRV_DISCARD:
	case PV_BLKDRV_WRITE_ZEROES:
	case PV_BLKDRV_SECURE_ERASE:
		write_range(queue, request);
		sg->addr = pv_gpa_add(queue->slots.range_gpa,
		                      sizeof(struct virtio_blk_range) * request->slot);
		sg->bytes = sizeof(struct virtio_blk_range);
		return 1;
	default:
		pieces = pv_driver_map(queue->blk->driver.os, request->buffer, request->buffers,
		                       disk->segment_bytes_max, request->inward_bytes > 0, sg,
		                       disk->segments_max);
		if (pieces > 0)
			request->pieces = (uint16_t)pieces;
		return pieces;
	}
}

static void take_data_back(struct pv_blkdrv_queue *queue, struct pv_blkdrv_request *request)
{
	pv_driver_unmap(queue->blk->driver.os, chain_of(queue, request) + 1, request->pieces,
	                request->inward_bytes > 0);
	request->pieces = 0;
}

/* Header, data and status as one chain. */
static int add_chain(struct pv_blkdrv_queue *queue, struct pv_blkdrv_request *request)
{
	const bool is_inward = request->inward_bytes > 0;
	struct pv_sg *sg = chain_of(queue, request);
	int data, error;

	write_header(queue, request);
	data = put_data(queue, request);
	if (data < 0)
		return data;
	sg[0].addr = pv_gpa_add(queue->slots.header_gpa,
	                        sizeof(struct virtio_blk_req_header) * request->slot);
	sg[0].bytes = sizeof(struct virtio_blk_req_header);
	sg[data + 1].addr = pv_gpa_add(queue->slots.status_gpa, request->slot);
	sg[data + 1].bytes = 1;
	error = pv_drv_ring_add(&queue->base.ring, sg, (uint16_t)(is_inward ? 1 : data + 1),
	                        (uint16_t)(is_inward ? data + 1 : 1), request);
	if (error)
		take_data_back(queue, request);
	return error;
}

int pv_blkdrv_submit(struct pv_blkdrv_queue *queue, struct pv_blkdrv_request *request)
{
	int error;

	request->is_done = false;
	if (queue->base.ring.is_broken)
		return -PV_EBROKEN;
	error = check(queue->blk, request);
	if (error)
		return error;
	if (queue->free_slots == 0)
		return -PV_ENOSPC;
	request->slot = queue->free_slot[queue->free_slots - 1];
	error = add_chain(queue, request);
	if (error)
		return error;
	pv_driver_request_begin(&queue->base, &request->base,
	                        request->timeout_ns ? request->timeout_ns
	                                            : queue->blk->options.request_timeout_ns);
	queue->free_slots--;
	queue->counters.requests++;
	return 0;
}

void pv_blkdrv_publish(struct pv_blkdrv_queue *queue)
{
	pv_driver_queue_publish(&queue->base);
}

static int error_of(uint8_t status)
{
	switch (status) {
	case VIRTIO_BLK_S_OK:
		return 0;
	case VIRTIO_BLK_S_UNSUPP:
		return -PV_ENOTSUP;
	default:
		return -PV_EIO;
	}
}

static void end(struct pv_blkdrv_queue *queue, struct pv_blkdrv_request *request, int error,
                uint32_t written_bytes)
{
	take_data_back(queue, request);
	queue->free_slot[queue->free_slots++] = request->slot;
	queue->counters.completions++;
	if (error)
		queue->counters.errors++;
	request->error = error;
	request->written_bytes = written_bytes;
	request->is_done = true;
	if (request->done)
		request->done(request);
}

uint32_t pv_blkdrv_poll(struct pv_blkdrv_queue *queue)
{
	uint32_t done = 0;
	uint32_t written_bytes;
	void *token;

	while (done < queue->base.ring.size &&
	       pv_drv_ring_take(&queue->base.ring, &token, &written_bytes) == PV_DRV_TAKEN) {
		struct pv_blkdrv_request *request = token;
		uint8_t status;

		pv_copy_once(&status, &queue->slots.status[request->slot], sizeof(status));
		if (written_bytes > request->inward_bytes)
			written_bytes = request->inward_bytes; /* the rest is the status */
		end(queue, request, error_of(status), written_bytes);
		done++;
	}
	return done;
}

static int repeat_request(struct pv_driver_queue *base, struct pv_driver_request *request)
{
	struct pv_blkdrv_queue *queue = (struct pv_blkdrv_queue *)base;

	take_data_back(queue, (struct pv_blkdrv_request *)request);
	return add_chain(queue, (struct pv_blkdrv_request *)request);
}

static void end_request(struct pv_driver_queue *base, struct pv_driver_request *request, int error)
{
	end((struct pv_blkdrv_queue *)base, (struct pv_blkdrv_request *)request, error, 0);
}

const struct pv_driver_request_ops pv_blkdrv_request_ops = { repeat_request, end_request };

bool pv_blkdrv_queue_is_broken(const struct pv_blkdrv_queue *queue)
{
	return queue->base.ring.is_broken;
}

bool pv_blkdrv_interrupts_on(struct pv_blkdrv_queue *queue)
{
	return pv_drv_ring_interrupts_on(&queue->base.ring);
}

void pv_blkdrv_interrupts_off(struct pv_blkdrv_queue *queue)
{
	pv_drv_ring_interrupts_off(&queue->base.ring);
}

struct pv_blkdrv_counters pv_blkdrv_queue_counters(const struct pv_blkdrv_queue *queue)
{
	struct pv_blkdrv_counters counters = queue->counters;

	counters.kicks = queue->base.kicks;
	counters.repeats = queue->base.repeats;
	counters.overdue = queue->base.overdue;
	counters.lies = queue->base.lies + queue->base.ring.lies;
	return counters;
}

uint16_t pv_blkdrv_queue_size(const struct pv_blkdrv_queue *queue)
{
	return queue->base.ring.size;
}
