/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A line that ends in memory, for control commands to read and write.
 *
 * What the guest writes when nobody has read it for long is the policy's affair: it waits, is lost,
 * or the oldest makes room for it.  What is written to the guest has to fit.
 */
#include <errno.h>
#include <stdio.h>

#include "hosted/backends/line_internal.h"

#define RING_BYTES_DEFAULT 65536u

struct ringbuf {
	struct pv_line_base base;
	pthread_mutex_t lock;
	struct pv_byte_ring out, in; /* of the guest's; under the lock */
};

/* Returns how many bytes were lost. */
static uint64_t push(struct pv_byte_ring *ring, const struct pv_iov *iov, uint16_t pieces)
{
	uint64_t lost = 0;

	for (uint16_t i = 0; i < pieces; i++)
		lost += pv_byte_ring_push(ring, iov[i].base, iov[i].bytes);
	return lost;
}

static size_t write_ring(struct pv_line *line, const struct pv_iov *iov, uint16_t pieces)
{
	struct ringbuf *ringbuf = (struct ringbuf *)line;
	enum pv_line_closed policy = ringbuf->base.on_closed;
	uint64_t bytes = pv_line_bytes(iov, pieces), lost = 0, put = bytes;

	pthread_mutex_lock(&ringbuf->lock);
	if (policy == PV_LINE_KEEP)
		lost = push(&ringbuf->out, iov, pieces);
	else
		put = pv_byte_ring_put_pieces(&ringbuf->out, iov, pieces);
	pthread_mutex_unlock(&ringbuf->lock);
	line->has_room = policy != PV_LINE_WAIT || put == bytes;
	if (policy == PV_LINE_DROP)
		lost = bytes - put;
	pv_line_count(&ringbuf->base.counters.dropped, lost);
	return policy == PV_LINE_WAIT ? put : bytes;
}

static size_t read_ring(struct pv_line *line, const struct pv_iov *iov, uint16_t pieces)
{
	struct ringbuf *ringbuf = (struct ringbuf *)line;
	size_t got;

	pthread_mutex_lock(&ringbuf->lock);
	got = pv_byte_ring_get_pieces(&ringbuf->in, iov, pieces);
	line->has_input = ringbuf->in.bytes > 0;
	pthread_mutex_unlock(&ringbuf->lock);
	return got;
}

/* ---- from any thread ---- */

/* A bell that rings too often costs a turn of the loop; what changed meanwhile is found out there.
 */
static void rung(struct pv_line_base *base)
{
	base->line.has_room = true;
	pv_line_set_input(&base->line, true);
}

size_t pv_line_ring_read(struct pv_line *line, void *to, size_t bytes)
{
	struct ringbuf *ringbuf = (struct ringbuf *)line;
	size_t got;

	pthread_mutex_lock(&ringbuf->lock);
	got = pv_byte_ring_get(&ringbuf->out, to, bytes);
	pthread_mutex_unlock(&ringbuf->lock);
	if (got)
		pv_bell_ring(&ringbuf->base.bell);
	return got;
}

size_t pv_line_ring_write(struct pv_line *line, const void *from, size_t bytes)
{
	struct ringbuf *ringbuf = (struct ringbuf *)line;
	size_t put;

	pthread_mutex_lock(&ringbuf->lock);
	put = pv_byte_ring_put(&ringbuf->in, from, bytes);
	pthread_mutex_unlock(&ringbuf->lock);
	if (put)
		pv_bell_ring(&ringbuf->base.bell);
	return put;
}

/* ---- its life ---- */

static void close_ringbuf(struct pv_line_base *base)
{
	struct ringbuf *ringbuf = (struct ringbuf *)base;

	pv_byte_ring_fini(&ringbuf->in);
	pv_byte_ring_fini(&ringbuf->out);
	pthread_mutex_destroy(&ringbuf->lock);
}

static const struct pv_line_ops ops = {
	.write = write_ring,
	.read = read_ring,
	.write_emergency = pv_line_write_emergency,
};

static const struct pv_line_kind_ops kind = {
	.rung = rung,
	.close = close_ringbuf,
};

int pv_line_ringbuf_open(struct pv_line_opening *opening)
{
	uint32_t wanted = opening->options->ring_bytes;
	uint32_t bytes = wanted ? wanted : RING_BYTES_DEFAULT;
	struct ringbuf *ringbuf = pv_line_begin(opening, sizeof(*ringbuf), &ops, &kind);

	if (!ringbuf)
		return -ENOMEM;
	pthread_mutex_init(&ringbuf->lock, NULL);
	if (!pv_byte_ring_init(&ringbuf->in, bytes) || !pv_byte_ring_init(&ringbuf->out, bytes))
		return pv_line_no_memory(opening);
	pv_line_is_always_there(&ringbuf->base);
	snprintf(ringbuf->base.text, sizeof(ringbuf->base.text), "ringbuf");
	return 0;
}
