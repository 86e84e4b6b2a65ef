/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Frames that one receiving queue took from the wire for another on the same lane: one behind the
 * other in a ring of bytes, each behind what is known of it.
 */
#include "devices/net/internal.h"

#define MASK (PV_NET_INBOX_BYTES - 1u)

PV_STATIC_ASSERT((PV_NET_INBOX_BYTES & MASK) == 0, "an inbox is a power of two long");

/* The part of a range before the end of the ring. */
static size_t before_end(uint32_t at, size_t bytes)
{
	size_t left = PV_NET_INBOX_BYTES - (at & MASK);

	return bytes < left ? bytes : left;
}

static void write(struct pv_net_inbox *inbox, const void *from, size_t bytes)
{
	size_t here = before_end(inbox->tail, bytes);

	__builtin_memcpy(inbox->data + (inbox->tail & MASK), from, here);
	__builtin_memcpy(inbox->data, (const uint8_t *)from + here, bytes - here);
	inbox->tail += (uint32_t)bytes;
}

static void read(struct pv_net_inbox *inbox, void *to, size_t bytes)
{
	size_t here = before_end(inbox->head, bytes);

	__builtin_memcpy(to, inbox->data + (inbox->head & MASK), here);
	__builtin_memcpy((uint8_t *)to + here, inbox->data, bytes - here);
	inbox->head += (uint32_t)bytes;
}

static uint32_t room(const struct pv_net_inbox *inbox)
{
	return PV_NET_INBOX_BYTES - (inbox->tail - inbox->head);
}

bool pv_net_inbox_has_room(const struct pv_net_inbox *inbox)
{
	return room(inbox) >= sizeof(struct pv_net_pending);
}

bool pv_net_inbox_put(struct pv_net_inbox *inbox, const struct pv_net_pending *frame)
{
	uint32_t bytes = (uint32_t)sizeof(frame->arrival) + frame->arrival.bytes;

	if (bytes > room(inbox))
		return false;
	write(inbox, &frame->arrival, sizeof(frame->arrival));
	write(inbox, frame->data, frame->arrival.bytes);
	return true;
}

bool pv_net_inbox_get(struct pv_net_inbox *inbox, struct pv_net_pending *frame)
{
	if (inbox->head == inbox->tail)
		return false;
	read(inbox, &frame->arrival, sizeof(frame->arrival));
	read(inbox, frame->data, frame->arrival.bytes);
	return true;
}
