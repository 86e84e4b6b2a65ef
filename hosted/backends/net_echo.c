/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The wire that gives back what it takes, to the pair that it came from. For measuring.
 *
 * Between sending and receiving a frame lies in memory of the pair's, behind its length; it is in
 * one piece, so that it is copied in one go.  When there is no room the wire is full, and nothing
 * is lost.  Both lanes of a pair are on one loop, which runs a queue again whenever another one did
 * something: nobody need be woken.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "hosted/backends/net_wire_internal.h"

/* Of a pair: a few of the longest frames, or some hundred short ones. It fits into a L2 cache. */
#define BYTES 0x80000u
#define ALIGN 16u

/*
 * Frames lie from `first` to `next`, or, where `next` is not beyond `first`, from `first` to `end`
 * and from 0 to `next`.
 */
struct lane {
	uint8_t *memory;
	uint32_t first, next, end;
	uint32_t frames;
} __attribute__((aligned(64)));

struct echo {
	struct pv_wire wire;
	struct lane lane[];
};

static uint32_t record_bytes(uint32_t bytes)
{
	return ((uint32_t)sizeof(uint32_t) + bytes + ALIGN - 1) & ~(ALIGN - 1);
}

/*
 * Makes room for a record at `next`. What is empty begins anew, so that it is always the same few
 * cache lines that a slow sender uses.
 */
static bool make_room(struct lane *lane, uint32_t record)
{
	if (lane->frames == 0)
		lane->first = lane->next = 0;
	else if (lane->next <= lane->first)
		return lane->first - lane->next >= record;
	if (BYTES - lane->next >= record)
		return true;
	if (lane->first < record)
		return false;
	lane->end = lane->next;
	lane->next = 0;
	return true;
}

static bool put(struct lane *lane, const struct pv_net_frame *frame)
{
	uint32_t record = record_bytes(frame->bytes);
	uint8_t *to;

	if (!make_room(lane, record))
		return false;
	to = lane->memory + lane->next;
	memcpy(to, &frame->bytes, sizeof(frame->bytes));
	pv_wire_gather(to + sizeof(frame->bytes), frame);
	lane->next += record;
	lane->frames++;
	return true;
}

static uint16_t send_frames(struct pv_net_wire *net, uint16_t pair,
                            const struct pv_net_frame *frame, uint16_t frames)
{
	struct lane *lane = &((struct echo *)net)->lane[pair];
	uint16_t sent = 0;

	while (sent < frames && put(lane, &frame[sent]))
		sent++;
	return sent;
}

static uint32_t receive(struct pv_net_wire *net, uint16_t pair, const struct pv_iov *iov,
                        uint16_t pieces, struct virtio_net_hdr *hdr)
{
	struct lane *lane = &((struct echo *)net)->lane[pair];
	const uint8_t *from = lane->memory + lane->first;
	uint32_t bytes;

	(void)hdr;
	if (lane->frames == 0)
		return 0;
	memcpy(&bytes, from, sizeof(bytes));
	pv_wire_scatter(iov, pieces, from + sizeof(bytes), bytes);
	lane->first += record_bytes(bytes);
	lane->frames--;
	if (lane->first == lane->end && lane->next < lane->first)
		lane->first = 0;
	return bytes;
}

static void close_echo(struct pv_wire *wire)
{
	struct echo *echo = (struct echo *)wire;

	for (uint16_t i = 0; i < wire->net.sources; i++)
		free(echo->lane[i].memory);
	free(echo);
}

static bool make_lanes(struct echo *echo)
{
	for (uint16_t i = 0; i < echo->wire.net.sources; i++) {
		echo->lane[i].memory = aligned_alloc(64, BYTES);
		if (!echo->lane[i].memory)
			return false;
	}
	return true;
}

static const struct pv_net_wire_ops ops = {
	.send = send_frames,
	.receive = receive,
};

int pv_wire_echo_open(struct pv_wire_opening *opening)
{
	uint16_t pairs = opening->options->pairs;
	size_t bytes = sizeof(struct echo) + pairs * sizeof(struct lane);
	struct echo *echo = aligned_alloc(64, (bytes + 63) & ~(size_t)63);

	if (!echo)
		return pv_wire_refuse(opening, -ENOMEM, "no memory for the network");
	memset(echo, 0, bytes);
	echo->wire.net = (struct pv_net_wire){ .ops = &ops, .sources = pairs };
	echo->wire.close = close_echo;
	snprintf(echo->wire.text, sizeof(echo->wire.text), "echo network");
	if (!make_lanes(echo)) {
		close_echo(&echo->wire);
		return pv_wire_refuse(opening, -ENOMEM, "no memory for the network");
	}
	opening->wire = &echo->wire;
	return 0;
}
