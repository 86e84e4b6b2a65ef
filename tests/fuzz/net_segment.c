/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Frames that are to be finished, of any content and in pieces that the input chooses, whose
 * headers change while they come out; and the hash of each. Whatever is said of a frame, each byte
 * of its body comes out once, and no frame is longer than its room.
 */
#include <stdlib.h>
#include <string.h>

#include "devices/net/hash.h"
#include "devices/net/headers.h"
#include "devices/net/segment.h"
#include "devices/net/wire.h"
#include "ring/err.h"
#include "tests/fuzz/fuzz.h"

#define PIECES_MAX   8u
#define PAYLOAD_MAX  3000u
#define FRAMES_TO_DO 300u

struct frame {
	struct pv_iov iov[PIECES_MAX];
	uint16_t pieces;
	uint32_t bytes;
};

/* A piece is an allocation of its own: the sanitizer guards its borders. */
static void add_piece(struct frame *frame, const uint8_t *data, size_t bytes)
{
	uint8_t *copy = malloc(bytes ? bytes : 1);

	pv_bug_on(!copy);
	if (bytes > 0)
		memcpy(copy, data, bytes);
	frame->iov[frame->pieces++] = (struct pv_iov){ copy, bytes };
	frame->bytes += (uint32_t)bytes;
}

/* The input's bytes, cut where it says, and behind them a payload that costs no input. */
static void open_frame(struct frame *frame, struct fuzz_input *input)
{
	static const uint8_t payload[PAYLOAD_MAX];
	uint32_t payload_bytes = fuzz_u16(input) % (PAYLOAD_MAX + 1);
	uint8_t cuts = fuzz_u8(input) % (PIECES_MAX - 1);
	uint8_t cut[PIECES_MAX] = { 0 };

	memset(frame, 0, sizeof(*frame));
	fuzz_copy(input, cut, cuts);
	for (uint8_t i = 0; i < cuts; i++) {
		size_t some = cut[i] < input->bytes ? cut[i] : input->bytes;

		add_piece(frame, input->data, some);
		input->data += some;
		input->bytes -= some;
	}
	add_piece(frame, input->data, input->bytes);
	if (frame->bytes + payload_bytes < PV_NET_FRAME_MIN)
		payload_bytes = PV_NET_FRAME_MIN;
	add_piece(frame, payload, payload_bytes);
}

static void close_frame(struct frame *frame)
{
	for (uint16_t i = 0; i < frame->pieces; i++)
		free(frame->iov[i].base);
}

/* The sender writes to what it has sent. */
static void scribble(const struct frame *frame, uint8_t with)
{
	for (uint16_t i = 0; i < frame->pieces; i++)
		memset(frame->iov[i].base, with, frame->iov[i].bytes);
}

/* What IP says of a frame that was cut is how long it is. */
static void check_length(const struct pv_net_cutter *cutter, const uint8_t *frame, uint32_t bytes)
{
	const uint8_t *ip = frame + cutter->network;

	if (cutter->kind == VIRTIO_NET_HDR_GSO_NONE)
		return;
	if (cutter->is_ipv6)
		pv_bug_on(cutter->network + 40u + pv_net_get16(ip + 4) != bytes);
	else
		pv_bug_on((uint32_t)cutter->network + pv_net_get16(ip + 2) != bytes);
}

static uint32_t take(struct pv_net_cutter *cutter, uint32_t head_bytes)
{
	uint32_t room = head_bytes + cutter->segment_bytes, bytes;
	uint8_t *to = malloc(room);

	pv_bug_on(!to);
	bytes = pv_net_cutter_next(cutter, to, room);
	pv_bug_on(bytes < head_bytes || bytes > room);
	check_length(cutter, to, bytes);
	free(to);
	return bytes - head_bytes;
}

static void cut(struct pv_net_cutter *cutter, const struct frame *frame, struct fuzz_input how)
{
	uint16_t count = pv_net_cutter_count(cutter), skip = fuzz_u8(&how);
	uint32_t body_bytes = cutter->body_bytes, done = 0;

	pv_bug_on(count == 0 || count > PV_NET_SEGMENTS_MAX);
	for (uint16_t i = 0; i < count && i < FRAMES_TO_DO; i++) {
		done += take(cutter, cutter->head_bytes);
		if (fuzz_u8(&how) & 1)
			scribble(frame, (uint8_t)i);
	}
	pv_bug_on(count <= FRAMES_TO_DO && done != body_bytes);
	pv_net_cutter_skip(cutter, skip);
	if (count <= FRAMES_TO_DO)
		pv_bug_on(pv_net_cutter_next(cutter, NULL, 0) != 0);
}

static void hash(const struct frame *frame, uint32_t types)
{
	static struct pv_net_hasher hasher;
	static const uint8_t key[PV_NET_HASH_KEY_BYTES] = { 0x6d, 0x5a, 0x56, 0xda };
	uint8_t *copy = malloc(frame->bytes), report;
	struct pv_cursor cursor = { frame->iov, frame->pieces, 0 };

	pv_bug_on(!copy || pv_cursor_read(&cursor, copy, frame->bytes) != frame->bytes);
	if (hasher.table[0][1] == 0)
		pv_net_hasher_set(&hasher, 0, key, sizeof(key));
	hasher.types = types & PV_NET_HASH_TYPES;
	pv_net_hash(&hasher, copy, frame->bytes, &report);
	pv_bug_on(report && !(hasher.types & 1u << (report - 1)));
	free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	struct fuzz_input input = { data, bytes };
	struct virtio_net_hdr hdr = { 0 };
	struct pv_net_cutter cutter;
	struct frame frame;
	uint8_t how = fuzz_u8(&input);
	uint16_t types = fuzz_u16(&input);

	fuzz_copy(&input, &hdr, sizeof(hdr));
	open_frame(&frame, &input);
	hash(&frame, types);
	memset(&cutter, how, sizeof(cutter));
	if (pv_net_cutter_begin(&cutter, &hdr, frame.iov, frame.pieces, frame.bytes, how & 1) == 0)
		cut(&cutter, &frame, (struct fuzz_input){ data, bytes });
	close_frame(&frame);
	return 0;
}
