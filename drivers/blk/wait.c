/* SPDX-License-Identifier: BSD-2-Clause */
/* Waiting for a block request instead of being called back. */
#include "drivers/blk/internal.h"
#include "ring/err.h"

int pv_blkdrv_wait(struct pv_blkdrv_queue *queue, struct pv_blkdrv_request *request,
                   uint64_t timeout_ns)
{
	struct pv_os *os = queue->blk->driver.os;
	uint64_t begin_ns = os->ops->now_ns(os);

	while (!request->is_done) {
		uint64_t waited_ns = os->ops->now_ns(os) - begin_ns;

		if (pv_blkdrv_poll(queue) > 0)
			continue;
		if (pv_blkdrv_queue_is_broken(queue))
			return -PV_EBROKEN;
		if (waited_ns >= timeout_ns)
			return -PV_ETIMEDOUT;
		if (!pv_blkdrv_interrupts_on(queue))
			os->ops->wait(os, timeout_ns - waited_ns);
		pv_blkdrv_interrupts_off(queue);
	}
	return request->error;
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
	queue->id_sg = (struct pv_sg){ queue->slots.id_gpa, VIRTIO_BLK_ID_BYTES };
	*request = (struct pv_blkdrv_request){
		.op = PV_BLKDRV_GET_ID,
		.sgs = 1,
		.sg = &queue->id_sg,
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
