/* SPDX-License-Identifier: BSD-2-Clause */
/* Waiting for a block request instead of being called back. */
#include "drivers/blk/internal.h"
#include "ring/err.h"

static uint32_t poll(void *queue)
{
	return pv_blkdrv_poll(queue);
}

int pv_blkdrv_wait(struct pv_blkdrv_queue *queue, struct pv_blkdrv_request *request,
                   uint64_t timeout_ns)
{
	int error = pv_driver_queue_wait(&queue->base, &request->is_done, poll, queue, timeout_ns);

	return error ? error : request->error;
}

int pv_blkdrv_do(struct pv_blkdrv_queue *queue, struct pv_blkdrv_request *request,
                 uint64_t timeout_ns)
{
	int error = pv_blkdrv_submit(queue, request);

	if (error)
		return error;
	pv_blkdrv_publish(queue);
	return pv_blkdrv_wait(queue, request, timeout_ns);
}

int pv_blkdrv_id(struct pv_blkdrv_queue *queue, char id[VIRTIO_BLK_ID_BYTES + 1],
                 uint64_t timeout_ns)
{
	struct pv_blkdrv_request *request = &queue->id_request;
	int error;

	/* The buffer is the device's while the one before is out. */
	if (request->inward_bytes > 0 && !request->is_done)
		return -PV_EBUSY;
	queue->id_buffer = (struct pv_buffer){ queue->slots.id, VIRTIO_BLK_ID_BYTES };
	*request = (struct pv_blkdrv_request){
		.op = PV_BLKDRV_GET_ID,
		.buffers = 1,
		.buffer = &queue->id_buffer,
	};
	__builtin_memset(queue->slots.id, 0, VIRTIO_BLK_ID_BYTES);
	error = pv_blkdrv_submit(queue, request);
	if (error) {
		request->inward_bytes = 0;
		return error;
	}
	pv_blkdrv_publish(queue);
	error = pv_blkdrv_wait(queue, request, timeout_ns);
	if (error)
		return error;
	__builtin_memcpy(id, queue->slots.id, VIRTIO_BLK_ID_BYTES);
	id[VIRTIO_BLK_ID_BYTES] = '\0';
	return 0;
}
