/* SPDX-License-Identifier: BSD-2-Clause */
/* Buffers of the driver's own: for what comes in, for messages, and for bytes that are copied. */
#include "drivers/serial/internal.h"
#include "ring/err.h"

#define LINE_BYTES 64u

int pv_serdrv_own_alloc(struct pv_os *os, struct pv_serdrv_own *own, uint16_t buffers,
                        uint32_t bytes)
{
	const size_t apart = ((size_t)bytes + LINE_BYTES - 1) & ~(size_t)(LINE_BYTES - 1);
	struct pv_gpa gpa;

	if (apart < bytes || __builtin_mul_overflow(apart, buffers, &own->bytes))
		return -PV_ENOMEM;
	own->buffers = buffers;
	own->buffer = os->ops->alloc(os, sizeof(*own->buffer) * buffers);
	own->memory = os->ops->shared_alloc(os, own->bytes, LINE_BYTES, &gpa);
	if (!own->buffer || !own->memory)
		return -PV_ENOMEM;
	for (uint32_t i = 0; i < buffers; i++)
		own->buffer[i] = (struct pv_serdrv_own_buffer){
			.memory = own->memory + apart * i,
			.piece = { pv_gpa_add(gpa, apart * i), bytes },
		};
	return 0;
}

void pv_serdrv_own_free(struct pv_driver *driver, struct pv_serdrv_own *own)
{
	struct pv_os *os = driver->os;

	if (own->memory && driver->is_reset)
		os->ops->shared_free(os, own->memory, own->bytes);
	if (own->buffer)
		os->ops->free(os, own->buffer, sizeof(*own->buffer) * own->buffers);
	*own = (struct pv_serdrv_own){ 0 };
}

int pv_serdrv_own_add(struct pv_driver_queue *queue, struct pv_serdrv_own_buffer *buffer)
{
	int error = pv_drv_ring_add(&queue->ring, &buffer->piece, 0, 1, buffer);

	buffer->is_posted = !error;
	return error;
}

int pv_serdrv_own_post(struct pv_driver_queue *queue, struct pv_serdrv_own *own,
                       const struct pv_serdrv_own_buffer *but)
{
	int error = 0;

	for (uint32_t i = 0; !error && i < own->buffers; i++)
		if (!own->buffer[i].is_posted && &own->buffer[i] != but)
			error = pv_serdrv_own_add(queue, &own->buffer[i]);
	pv_driver_queue_publish(queue);
	return error == -PV_ENOSPC ? 0 : error;
}

static int repeat(struct pv_driver_queue *queue, struct pv_driver_request *request)
{
	return pv_serdrv_own_add(queue, (struct pv_serdrv_own_buffer *)request);
}

static void end(struct pv_driver_queue *queue, struct pv_driver_request *request, int error)
{
	(void)queue;
	(void)error;
	((struct pv_serdrv_own_buffer *)request)->is_posted = false;
}

const struct pv_driver_request_ops pv_serdrv_own_ops = { repeat, end };
