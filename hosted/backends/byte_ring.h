/* SPDX-License-Identifier: BSD-2-Clause */
/* Within hosted/backends: bytes that wait in memory of ours, in order. */
#ifndef PV_HOSTED_BYTE_RING_H
#define PV_HOSTED_BYTE_RING_H

#include <stdlib.h>
#include <string.h>

#include "ring/chain.h"

struct pv_byte_ring {
	uint8_t *memory;
	size_t size;
	size_t first; /* where the oldest byte is */
	size_t bytes; /* that wait */
};

/* Returns false without memory. */
static inline bool pv_byte_ring_init(struct pv_byte_ring *ring, size_t size)
{
	*ring = (struct pv_byte_ring){ .memory = malloc(size), .size = size };
	return ring->memory;
}

static inline void pv_byte_ring_fini(struct pv_byte_ring *ring)
{
	free(ring->memory);
}

static inline size_t pv_byte_ring_room(const struct pv_byte_ring *ring)
{
	return ring->size - ring->bytes;
}

static inline size_t pv_byte_ring_min(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* Forgets the oldest, of which there are so many. */
static inline void pv_byte_ring_skip(struct pv_byte_ring *ring, size_t bytes)
{
	ring->bytes -= bytes;
	/* What is empty begins anew: it is always the same cache lines that a slow sender uses. */
	ring->first = ring->bytes ? (ring->first + bytes) % ring->size : 0;
}

/* The oldest, in at most two pieces. Returns how many. */
static inline uint16_t pv_byte_ring_pieces(const struct pv_byte_ring *ring, struct pv_iov iov[2])
{
	size_t run = pv_byte_ring_min(ring->bytes, ring->size - ring->first);

	iov[0] = (struct pv_iov){ ring->memory + ring->first, run };
	iov[1] = (struct pv_iov){ ring->memory, ring->bytes - run };
	return ring->bytes == 0 ? 0 : run < ring->bytes ? 2 : 1;
}

/* Returns how many of the bytes there was room for. */
static inline size_t pv_byte_ring_put(struct pv_byte_ring *ring, const void *from, size_t bytes)
{
	size_t next = (ring->first + ring->bytes) % ring->size, run;

	bytes = pv_byte_ring_min(bytes, pv_byte_ring_room(ring));
	run = pv_byte_ring_min(bytes, ring->size - next);
	memcpy(ring->memory + next, from, run);
	memcpy(ring->memory, (const uint8_t *)from + run, bytes - run);
	ring->bytes += bytes;
	return bytes;
}

/* Returns how many bytes there were, of as many. */
static inline size_t pv_byte_ring_get(struct pv_byte_ring *ring, void *to, size_t bytes)
{
	struct pv_iov iov[2];
	struct pv_cursor from = { iov, pv_byte_ring_pieces(ring, iov), 0 };
	size_t got = pv_cursor_read(&from, to, bytes);

	pv_byte_ring_skip(ring, got);
	return got;
}

/* The same with pieces. */
static inline size_t pv_byte_ring_put_pieces(struct pv_byte_ring *ring, const struct pv_iov *iov,
                                             uint16_t pieces)
{
	size_t done = 0;

	for (uint16_t i = 0; i < pieces; i++)
		done += pv_byte_ring_put(ring, iov[i].base, iov[i].bytes);
	return done;
}

static inline size_t pv_byte_ring_get_pieces(struct pv_byte_ring *ring, const struct pv_iov *iov,
                                             uint16_t pieces)
{
	size_t done = 0;

	for (uint16_t i = 0; i < pieces; i++)
		done += pv_byte_ring_get(ring, iov[i].base, iov[i].bytes);
	return done;
}

/* The newest of the bytes, the oldest making room. Returns how many were lost for it. */
static inline size_t pv_byte_ring_push(struct pv_byte_ring *ring, const void *from, size_t bytes)
{
	size_t too_old = bytes > ring->size ? bytes - ring->size : 0;
	size_t lost = 0;

	bytes -= too_old;
	if (bytes > pv_byte_ring_room(ring)) {
		lost = bytes - pv_byte_ring_room(ring);
		pv_byte_ring_skip(ring, lost);
	}
	pv_byte_ring_put(ring, (const uint8_t *)from + too_old, bytes);
	return too_old + lost;
}

#endif
