/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Within hosted/backends: frames that wait in memory of ours, in order.
 *
 * A frame lies in one piece, behind its length, so that it is copied in one go.
 */
#ifndef PV_HOSTED_NET_FIFO_H
#define PV_HOSTED_NET_FIFO_H

#include <stdlib.h>

#include "hosted/backends/net_wire_internal.h"

/* A few of the longest frames, or thousands of short ones. It fits into an L2 cache. */
#define PV_WIRE_FIFO_BYTES 0x80000u
#define PV_WIRE_FIFO_ALIGN 16u

/*
 * Frames lie from `first` to `next`, or, where `next` is not beyond `first`, from `first` to `end`
 * and from 0 to `next`.
 */
struct pv_wire_fifo {
	uint8_t *memory;
	uint32_t first, next, end;
	uint32_t frames;
} __attribute__((aligned(64)));

/* Returns false without memory. */
static inline bool pv_wire_fifo_init(struct pv_wire_fifo *fifo)
{
	*fifo = (struct pv_wire_fifo){ .memory = aligned_alloc(64, PV_WIRE_FIFO_BYTES) };
	return fifo->memory;
}

static inline void pv_wire_fifo_fini(struct pv_wire_fifo *fifo)
{
	free(fifo->memory);
}

static inline uint32_t pv_wire_fifo_record(uint32_t bytes)
{
	return ((uint32_t)sizeof(uint32_t) + bytes + PV_WIRE_FIFO_ALIGN - 1) &
	       ~(PV_WIRE_FIFO_ALIGN - 1);
}

/*
 * Makes room for a record at `next`. What is empty begins anew, so that it is always the same few
 * cache lines that a slow sender uses.
 */
static inline bool pv_wire_fifo_make_room(struct pv_wire_fifo *fifo, uint32_t record)
{
	if (fifo->frames == 0)
		fifo->first = fifo->next = 0;
	else if (fifo->next <= fifo->first)
		return fifo->first - fifo->next >= record;
	if (PV_WIRE_FIFO_BYTES - fifo->next >= record)
		return true;
	if (fifo->first < record)
		return false;
	fifo->end = fifo->next;
	fifo->next = 0;
	return true;
}

/* Returns false, and takes nothing, when it is full. */
static inline bool pv_wire_fifo_put(struct pv_wire_fifo *fifo, const struct pv_net_frame *frame)
{
	uint32_t record = pv_wire_fifo_record(frame->bytes);
	uint8_t *to;

	if (!pv_wire_fifo_make_room(fifo, record))
		return false;
	to = fifo->memory + fifo->next;
	memcpy(to, &frame->bytes, sizeof(frame->bytes));
	pv_wire_gather(to + sizeof(frame->bytes), frame);
	fifo->next += record;
	fifo->frames++;
	return true;
}

/* Copies the first frame to the pieces, which have room for it. Returns its bytes, 0: none. */
static inline uint32_t pv_wire_fifo_get(struct pv_wire_fifo *fifo, const struct pv_iov *iov,
                                        uint16_t pieces)
{
	const uint8_t *from = fifo->memory + fifo->first;
	uint32_t bytes;

	if (fifo->frames == 0)
		return 0;
	memcpy(&bytes, from, sizeof(bytes));
	pv_wire_scatter(iov, pieces, from + sizeof(bytes), bytes);
	fifo->first += pv_wire_fifo_record(bytes);
	fifo->frames--;
	if (fifo->first == fifo->end && fifo->next < fifo->first)
		fifo->first = 0;
	return bytes;
}

/* The bytes that are taken up, about. */
static inline uint32_t pv_wire_fifo_bytes(const struct pv_wire_fifo *fifo)
{
	if (fifo->frames == 0)
		return 0;
	return fifo->next > fifo->first ? fifo->next - fifo->first
	                                : fifo->end - fifo->first + fifo->next;
}

#endif
