/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/support/memory_wire.h"

#include <stdlib.h>
#include <string.h>

#include "ring/err.h"

static struct pv_memory_wire *wire_of(struct pv_net_wire *wire)
{
	return (struct pv_memory_wire *)wire;
}

static struct pv_memory_frame *put(struct pv_memory_frames *frames, uint32_t bytes)
{
	struct pv_memory_frame *frame =
		&frames->frame[(frames->head + frames->count++) % PV_MEMORY_FRAMES];

	pv_bug_on(frames->count > PV_MEMORY_FRAMES);
	*frame = (struct pv_memory_frame){ .bytes = bytes, .data = malloc(bytes) };
	pv_bug_on(!frame->data);
	return frame;
}

static struct pv_memory_frame get(struct pv_memory_frames *frames)
{
	struct pv_memory_frame frame = frames->frame[frames->head];

	frames->head = (frames->head + 1) % PV_MEMORY_FRAMES;
	frames->count--;
	return frame;
}

static uint16_t op_send(struct pv_net_wire *net, uint16_t pair, const struct pv_net_frame *frame,
                        uint16_t frames)
{
	struct pv_memory_wire *wire = wire_of(net);
	uint16_t sent;

	wire->sends++;
	for (sent = 0; sent < frames && wire->room > 0; sent++, wire->room--) {
		struct pv_memory_frame *copy = put(&wire->sent, frame[sent].bytes);
		struct pv_cursor reader = { frame[sent].iov, frame[sent].pieces, 0 };

		copy->hdr = frame[sent].hdr;
		copy->pair = pair;
		pv_bug_on(pv_iov_bytes(frame[sent].iov, frame[sent].pieces) != frame[sent].bytes);
		pv_cursor_read(&reader, copy->data, copy->bytes);
	}
	return sent;
}

/* Where each pair has a source of its own, the oldest for that one must be the oldest of all. */
static uint32_t op_receive(struct pv_net_wire *net, uint16_t pair, const struct pv_iov *iov,
                           uint16_t pieces, struct virtio_net_hdr *hdr)
{
	struct pv_memory_wire *wire = wire_of(net);
	struct pv_cursor writer = { iov, pieces, 0 };
	struct pv_memory_frame frame;

	if (wire->coming.count == 0 ||
	    (net->sources > 1 && wire->coming.frame[wire->coming.head].pair != pair))
		return 0;
	frame = get(&wire->coming);
	*hdr = frame.hdr;
	pv_bug_on(pv_cursor_write(&writer, frame.data, frame.bytes) != frame.bytes);
	free(frame.data);
	return frame.bytes;
}

static void op_set_offloads(struct pv_net_wire *net, uint64_t guest_offloads)
{
	wire_of(net)->offloads = guest_offloads;
}

static bool op_set_pairs(struct pv_net_wire *net, uint16_t pairs)
{
	wire_of(net)->pairs = pairs;
	return true;
}

static const struct pv_net_wire_ops ops = {
	.send = op_send,
	.receive = op_receive,
	.set_offloads = op_set_offloads,
	.set_pairs = op_set_pairs,
};

void pv_memory_wire_open(struct pv_memory_wire *wire)
{
	*wire = (struct pv_memory_wire){
		.wire = { .ops = &ops, .sources = 1 },
		.room = UINT32_MAX,
	};
}

void pv_memory_wire_close(struct pv_memory_wire *wire)
{
	while (wire->sent.count > 0)
		free(get(&wire->sent).data);
	while (wire->coming.count > 0)
		free(get(&wire->coming).data);
}

void pv_memory_wire_put(struct pv_memory_wire *wire, uint16_t pair,
                        const struct virtio_net_hdr *hdr, const void *data, uint32_t bytes)
{
	struct pv_memory_frame *frame = put(&wire->coming, bytes);

	frame->pair = pair;
	if (hdr)
		frame->hdr = *hdr;
	memcpy(frame->data, data, bytes);
}

bool pv_memory_wire_get(struct pv_memory_wire *wire, struct pv_memory_frame *frame)
{
	if (wire->sent.count == 0)
		return false;
	*frame = get(&wire->sent);
	return true;
}
