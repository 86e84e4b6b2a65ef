/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The whole network device under a driver by script: chains of any pieces in its queues, packets
 * and commands that are nearly right, frames that come with any header, and a user who takes the
 * link away, lets the wire be full, and moves the device.  What goes out is a frame that a wire may
 * be given; a queue that has run holds nothing; and what was saved loads.
 */
#include <stdlib.h>
#include <string.h>

#include "devices/net/net.h"
#include "ring/err.h"
#include "tests/fuzz/device.h"
#include "tests/support/memory_wire.h"

#define PAIRS_MAX       2u
#define PUT_MAX         8u /* frames on their way in */
#define COMMAND_BYTES   200u
#define ANSWER_AT       0x300u
#define FRAME_BYTES_MAX 2048u
#define TICK_NS         30000000u

static struct fuzz_net {
	struct fuzz_device base;
	struct pv_memory_wire wire;
	struct pv_net_options options;
} net;

static struct pv_device *current(void)
{
	return fuzz_device_host(&net.base)->device;
}

/* ---- birth and death ---- */

static void make(struct fuzz_host *made)
{
	*made = fuzz_host_of(fuzz_storage(pv_net_bytes(net.options.pairs)));
	made->sets_timers = true;
	made->now_ns = fuzz_device_host(&net.base)->now_ns;
	made->device = pv_net_init(made->storage, &made->port, &net.wire.wire, &net.options);
	pv_device_mem_set(made->device, net.base.memory.mem);
}

/* The last of the queues that the driver knows of. */
static uint16_t control_queue(void)
{
	const uint64_t knows_pairs = VIRTIO_NET_F_MQ | VIRTIO_NET_F_RSS;

	return current()->features & knows_pairs ? (uint16_t)(2 * net.options.pairs) : 2;
}

/* Which way the pieces go that a driver of good will puts there. */
static bool is_for_writing(uint16_t queue, uint16_t piece, uint16_t pieces)
{
	if (queue == control_queue())
		return piece + 1 == pieces;
	return queue % 2 == 0;
}

static const struct fuzz_device_kind kind = {
	.make = make,
	.is_for_writing = is_for_writing,
	.places = { FUZZ_LOW_GPA, FUZZ_LOW_GPA, FUZZ_HIGH_GPA + 0x600, FUZZ_TOP_GPA, FUZZ_RING_GPA,
	            FUZZ_TINY_GPA, FUZZ_HIGH_GPA, 0x7000000000000000u },
	.step = 4u,
};

static void open_net(struct fuzz_input *input)
{
	const uint8_t bits = fuzz_u8(input), rate = fuzz_u8(input);

	memset(&net, 0, sizeof(net));
	net.base.kind = &kind;
	fuzz_memory_open(&net.base.memory);
	pv_memory_wire_open(&net.wire);
	net.wire.wire.knows_headers = bits & 1;
	net.wire.wire.can_segment = bits & 2 ? ~0ull : 0;
	net.options = (struct pv_net_options){ .mac = { 2, 0, 0, 0, 0, 1 },
		                               .pairs = bits & 4 ? PAIRS_MAX : 1,
		                               .mtu = bits & 8 ? 1500 : 0,
		                               .queue_size_max = FUZZ_SIZE,
		                               .rate_in.packets = bits & 16 ? rate : 0,
		                               .rate_out.bytes = bits & 32 ? rate * 64u : 0,
		                               .is_in_order = bits & 64 };
	net.wire.wire.sources = bits & 128 ? net.options.pairs : 1;
	net.base.refused = (uint64_t)fuzz_u32(input) << 32 | fuzz_u32(input);
	net.base.refused &= ~VIRTIO_F_VERSION_1;
	net.base.is_wild = true;
	fuzz_device_open(&net.base, NULL);
}

static void close_net(void)
{
	fuzz_host_close(fuzz_device_host(&net.base));
	pv_memory_wire_close(&net.wire);
	fuzz_memory_close(&net.base.memory);
}

/* ---- packets and commands that are nearly right ---- */

/* Ethernet, IPv4, TCP; Ethernet, IPv6, UDP. */
static const uint8_t tcp4[54] = { 2, 0, 0,    0, 0, 1, 2, 0, 0, 0, 0,    2,  8, 0, 0x45, 0, 4, 0,
	                          0, 1, 0x40, 0, 9, 6, 0, 0, 9, 9, 9,    9,  8, 8, 8,    8, 0, 80,
	                          1, 2, 3,    4, 5, 6, 7, 8, 9, 9, 0x50, 16, 1, 0, 0,    0, 0, 0 };
static const uint8_t udp6[62] = { 2, 0, 0, 0, 0,  1,  2, 0, 0, 0, 0, 2, 0x86, 0xdd, 0x60, 0,
	                          0, 0, 4, 0, 17, 64, 1, 2, 3, 4, 5, 6, 7,    8,    9,    1,
	                          2, 3, 4, 5, 6,  7,  7, 6, 5, 4, 3, 2, 1,    0,    1,    2,
	                          3, 4, 5, 6, 7,  8,  1, 1, 2, 2, 4, 0, 0,    0 };

/* A frame's first bytes, with some changed. Returns how many there are. */
static size_t any_head(uint8_t *to, struct fuzz_input *input)
{
	const uint8_t what = fuzz_u8(input);
	const size_t bytes = what & 1 ? sizeof(udp6) : sizeof(tcp4);

	memcpy(to, what & 1 ? udp6 : tcp4, bytes);
	for (uint8_t n = what / 2 % 8; n > 0; n--)
		to[fuzz_u8(input) % bytes] = fuzz_u8(input);
	return bytes;
}

static struct virtio_net_hdr any_header(struct fuzz_input *input)
{
	static const uint8_t kinds[] = { 0, VIRTIO_NET_HDR_GSO_TCPV4, VIRTIO_NET_HDR_GSO_TCPV6,
		                         VIRTIO_NET_HDR_GSO_UDP, VIRTIO_NET_HDR_GSO_UDP_L4 };
	const uint8_t what = fuzz_u8(input);
	struct virtio_net_hdr header = { .flags = what & 3,
		                         .gso_type = kinds[what / 4 % 5],
		                         .gso_size = pv_le16_of(1 + fuzz_u8(input)),
		                         .csum_start = pv_le16_of(what & 32 ? 54 : 34),
		                         .csum_offset = pv_le16_of(what & 32 ? 6 : 16) };

	if (what & 64)
		fuzz_copy(input, &header, sizeof(header));
	if (what & 128)
		header.gso_type |= VIRTIO_NET_HDR_GSO_ECN;
	return header;
}

/* The head, and what happens to lie somewhere, several times over. */
static void send_packet(struct fuzz_input *input)
{
	const struct virtio_net_hdr header = any_header(input);
	const size_t before = current()->features & VIRTIO_NET_F_HASH_REPORT
	                              ? sizeof(struct virtio_net_hdr_hash)
	                              : sizeof(struct virtio_net_hdr_mrg);
	uint8_t *memory = net.base.memory.host[1];
	const uint8_t what = fuzz_u8(input);
	const uint16_t queue = what & 1 && net.options.pairs > 1 ? 3 : 1;
	struct fuzz_piece piece[FUZZ_DEVICE_PIECES] = { { .gpa = FUZZ_LOW_GPA } };

	memset(memory, 0, before);
	memcpy(memory, &header, sizeof(header));
	piece[0].bytes = (uint32_t)(before + any_head(memory + before, input));
	for (uint32_t i = 1; i < FUZZ_DEVICE_PIECES; i++)
		piece[i] = (struct fuzz_piece){ FUZZ_TOP_GPA, 1 + fuzz_u16(input) % FUZZ_TOP_BYTES,
			                        false };
	fuzz_device_put(&net.base, queue, piece, 1 + what / 2 % FUZZ_DEVICE_PIECES);
}

static void say_command(struct fuzz_input *input)
{
	uint8_t *memory = net.base.memory.host[1];
	uint32_t bytes = 2 + fuzz_u8(input) % COMMAND_BYTES;
	const struct fuzz_piece piece[] = { { FUZZ_LOW_GPA, bytes, false },
		                            { FUZZ_LOW_GPA + ANSWER_AT, 1 + fuzz_u8(input),
		                              true } };

	memory[0] = fuzz_u8(input) % 9;
	memory[1] = fuzz_u8(input) % 6;
	fuzz_copy(input, memory + 2, bytes - 2);
	if (control_queue() < current()->queues)
		fuzz_device_put(&net.base, control_queue(), piece, 2);
}

/* ---- the wire ---- */

static void frame_comes(struct fuzz_input *input)
{
	static uint8_t frame[PV_NET_FRAME_MAX];
	const struct virtio_net_hdr header = any_header(input);
	const size_t head = any_head(frame, input);
	uint32_t bytes = (uint32_t)head + fuzz_u16(input) % FRAME_BYTES_MAX;

	if (net.wire.coming.count >= PUT_MAX)
		return;
	if (fuzz_u8(input) == 255)
		bytes = PV_NET_FRAME_MAX;
	pv_memory_wire_put(&net.wire, fuzz_u8(input) % net.options.pairs,
	                   net.wire.wire.knows_headers ? &header : NULL, frame, bytes);
}

static void check_frame(const struct pv_memory_frame *frame)
{
	const struct virtio_net_hdr *header = &frame->hdr;

	pv_bug_on(frame->bytes < PV_NET_FRAME_MIN || frame->bytes > PV_NET_FRAME_MAX);
	if (!net.wire.wire.knows_headers)
		pv_bug_on(header->flags || header->gso_type);
	if (header->gso_type)
		pv_bug_on(!net.wire.wire.can_segment || pv_le16_get(header->gso_size) == 0);
	if (header->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM)
		pv_bug_on(pv_le16_get(header->csum_start) + pv_le16_get(header->csum_offset) + 2u >
		          frame->bytes);
}

static void run(struct fuzz_input *input)
{
	struct pv_memory_frame frame;

	net.wire.room = fuzz_u8(input) / 2;
	fuzz_host_run(fuzz_device_host(&net.base));
	while (pv_memory_wire_get(&net.wire, &frame)) {
		check_frame(&frame);
		free(frame.data);
	}
	fuzz_device_expect_rest(&net.base);
}

/* ---- the user ---- */

static void interfere(struct fuzz_input *input)
{
	const uint8_t what = fuzz_u8(input);
	struct pv_net_rx_filter filter;

	switch (what % 8) {
	case 0:
		pv_net_set_link(current(), what & 8);
		break;
	case 1:
		pv_net_announce(current());
		break;
	case 2:
		pv_net_rx_filter(current(), &filter);
		pv_bug_on(filter.unicasts > PV_NET_MACS_MAX || filter.multicasts > PV_NET_MACS_MAX);
		break;
	case 3:
		fuzz_device_restart(&net.base);
		break;
	case 4:
	case 5:
		fuzz_device_move(&net.base, what & 1 ? input : NULL, NULL);
		break;
	default:
		fuzz_device_host(&net.base)->now_ns += TICK_NS;
		break;
	}
}

static void step(struct fuzz_input *input)
{
	switch (fuzz_u8(input) % 8) {
	case 0:
		fuzz_device_put_any(&net.base, input);
		break;
	case 1:
		send_packet(input);
		break;
	case 2:
		say_command(input);
		break;
	case 3:
		frame_comes(input);
		break;
	case 4:
		interfere(input);
		break;
	case 5:
		fuzz_memory_scribble(&net.base.memory, input);
		break;
	default:
		run(input);
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	struct fuzz_input input = { data, bytes };

	open_net(&input);
	while (input.bytes > 0)
		step(&input);
	close_net();
	return 0;
}
