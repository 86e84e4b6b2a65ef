/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The wire that gives back what it takes, to the pair that it came from. For measuring.
 *
 * When there is no room the wire is full, and nothing is lost.  Both lanes of a pair are on one
 * loop, which runs a queue again whenever another one did something: nobody need be woken.
 */
#include <errno.h>
#include <stdio.h>

#include "hosted/backends/net_fifo.h"

struct echo {
	struct pv_wire wire;
	struct pv_wire_fifo fifo[]; /* of each pair */
};

static uint16_t send_frames(struct pv_net_wire *net, uint16_t pair,
                            const struct pv_net_frame *frame, uint16_t frames)
{
	struct pv_wire_fifo *fifo = &((struct echo *)net)->fifo[pair];
	uint16_t sent = 0;

	while (sent < frames && pv_wire_fifo_put(fifo, &frame[sent]))
		sent++;
	return sent;
}

static uint32_t receive(struct pv_net_wire *net, uint16_t pair, const struct pv_iov *iov,
                        uint16_t pieces, struct virtio_net_hdr *hdr)
{
	(void)hdr;
	return pv_wire_fifo_get(&((struct echo *)net)->fifo[pair], iov, pieces);
}

static void close_echo(struct pv_wire *wire)
{
	struct echo *echo = (struct echo *)wire;

	for (uint16_t i = 0; i < wire->net.sources; i++)
		pv_wire_fifo_fini(&echo->fifo[i]);
	free(echo);
}

static bool make_fifos(struct echo *echo)
{
	for (uint16_t i = 0; i < echo->wire.net.sources; i++)
		if (!pv_wire_fifo_init(&echo->fifo[i]))
			return false;
	return true;
}

static const struct pv_net_wire_ops ops = {
	.send = send_frames,
	.receive = receive,
};

int pv_wire_echo_open(struct pv_wire_opening *opening)
{
	uint16_t pairs = opening->options->pairs;
	size_t bytes = sizeof(struct echo) + pairs * sizeof(struct pv_wire_fifo);
	struct echo *echo = aligned_alloc(64, (bytes + 63) & ~(size_t)63);

	if (!echo)
		return pv_wire_refuse(opening, -ENOMEM, "no memory for the network");
	memset(echo, 0, bytes);
	echo->wire.net = (struct pv_net_wire){ .ops = &ops, .sources = pairs };
	echo->wire.close = close_echo;
	snprintf(echo->wire.text, sizeof(echo->wire.text), "echo network");
	if (!make_fifos(echo)) {
		close_echo(&echo->wire);
		return pv_wire_refuse(opening, -ENOMEM, "no memory for the network");
	}
	opening->wire = &echo->wire;
	return 0;
}
