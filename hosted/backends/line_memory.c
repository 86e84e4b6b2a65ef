/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Lines that end in this process, for measuring: one takes everything and gives nothing, the other
 * gives back what it takes.
 *
 * When there is no room the echo is full, and nothing is lost.  Both queues of a port are on one
 * loop, which runs a queue again whenever another one did something: nobody need be woken.
 */
#include <errno.h>
#include <stdio.h>

#include "hosted/backends/line_internal.h"

/* A few long writes. It fits into an L2 cache. */
#define ECHO_BYTES 0x40000u

static const struct pv_line_kind_ops no_more;

/* ---- null ---- */

static size_t write_nowhere(struct pv_line *line, const struct pv_iov *iov, uint16_t pieces)
{
	(void)line;
	return pv_line_bytes(iov, pieces);
}

static size_t read_nothing(struct pv_line *line, const struct pv_iov *iov, uint16_t pieces)
{
	(void)iov;
	(void)pieces;
	line->has_input = false;
	return 0;
}

static const struct pv_line_ops null_ops = {
	.write = write_nowhere,
	.read = read_nothing,
	.write_emergency = pv_line_write_emergency,
};

int pv_line_null_open(struct pv_line_opening *opening)
{
	struct pv_line_base *base = pv_line_begin(opening, sizeof(*base), &null_ops, &no_more);

	if (!base)
		return -ENOMEM;
	pv_line_is_always_there(base);
	snprintf(base->text, sizeof(base->text), "null");
	return 0;
}

/* ---- echo ---- */

struct echo {
	struct pv_line_base base;
	struct pv_byte_ring ring;
};

static void set_flags(struct echo *echo)
{
	pv_line_set_input(&echo->base.line, echo->ring.bytes > 0);
	echo->base.line.has_room = pv_byte_ring_room(&echo->ring) > 0;
}

static size_t write_echo(struct pv_line *line, const struct pv_iov *iov, uint16_t pieces)
{
	struct echo *echo = (struct echo *)line;
	size_t written = pv_byte_ring_put_pieces(&echo->ring, iov, pieces);

	set_flags(echo);
	return written;
}

static size_t read_echo(struct pv_line *line, const struct pv_iov *iov, uint16_t pieces)
{
	struct echo *echo = (struct echo *)line;
	size_t got = pv_byte_ring_get_pieces(&echo->ring, iov, pieces);

	set_flags(echo);
	return got;
}

static void close_echo(struct pv_line_base *base)
{
	pv_byte_ring_fini(&((struct echo *)base)->ring);
}

static const struct pv_line_ops echo_ops = {
	.write = write_echo,
	.read = read_echo,
	.write_emergency = pv_line_write_emergency,
};

static const struct pv_line_kind_ops echo_kind = { .close = close_echo };

int pv_line_echo_open(struct pv_line_opening *opening)
{
	struct echo *echo = pv_line_begin(opening, sizeof(*echo), &echo_ops, &echo_kind);

	if (!echo)
		return -ENOMEM;
	if (!pv_byte_ring_init(&echo->ring, ECHO_BYTES))
		return pv_line_no_memory(opening);
	pv_line_is_always_there(&echo->base);
	snprintf(echo->base.text, sizeof(echo->base.text), "echo");
	return 0;
}
