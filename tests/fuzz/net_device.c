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
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/moved.h"
#include "tests/fuzz/put.h"
#include "tests/support/memory_wire.h"

#define PAIRS_MAX       2u
#define QUEUES_MAX      (2u * PAIRS_MAX + 1u)
#define RINGS_GPA       FUZZ_HIGH_GPA
#define PIECES_MAX      7u
#define PUT_MAX         8u /* frames on their way in */
#define COMMAND_BYTES   200u
#define ANSWER_AT       0x300u
#define FRAME_BYTES_MAX 2048u
#define TICK_NS         30000000u

static struct fuzz_net {
	struct fuzz_memory memory;
	struct pv_memory_wire wire;
	struct pv_net_options options;
	struct fuzz_host host[2];
	unsigned int current;
	uint64_t refused; /* bits that the driver does without */
	struct fuzz_place place[QUEUES_MAX];
} net;

static struct fuzz_host *host(void)
{
	return &net.host[net.current];
}

/* ---- birth and death ---- */

static void make_device(unsigned int which)
{
	struct fuzz_host *made = &net.host[which];

	*made = fuzz_host_of(fuzz_storage(pv_net_bytes(net.options.pairs)));
	made->sets_timers = true;
	made->now_ns = host()->now_ns;
	made->device = pv_net_init(made->storage, &made->port, &net.wire.wire, &net.options);
	pv_device_mem_set(made->device, net.memory.mem);
}

static uint8_t *ring_of(uint16_t index)
{
	return net.memory.host[2] + index * FUZZ_PUT_BYTES;
}

static void start_queue(uint16_t index)
{
	fuzz_put_start(host()->device, index, ring_of(index), RINGS_GPA + index * FUZZ_PUT_BYTES,
	               &net.place[index]);
}

/* Of features that do not go together none but the ring's are taken. */
static void start(void)
{
	struct pv_device *device = host()->device;
	const uint64_t features = pv_device_features(device) & ~net.refused;

	if (pv_device_features_set(device, features | VIRTIO_F_VERSION_1))
		pv_bug_on(pv_device_features_set(device,
		                                 (features & 0xff0000000ull) | VIRTIO_F_VERSION_1));
	pv_device_status_set(device, 0xf);
	for (uint16_t i = 0; i < device->queues; i++)
		start_queue(i);
}

static void restart(void)
{
	pv_bug_on(pv_device_reset(host()->device, (struct pv_waiter){ 0 }));
	start();
}

static void open_net(struct fuzz_input *input)
{
	const uint8_t bits = fuzz_u8(input), rate = fuzz_u8(input);

	memset(&net, 0, sizeof(net));
	fuzz_memory_open(&net.memory);
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
	net.refused = (uint64_t)fuzz_u32(input) << 32 | fuzz_u32(input);
	make_device(0);
	start();
}

static void close_net(void)
{
	fuzz_host_close(host());
	pv_memory_wire_close(&net.wire);
	fuzz_memory_close(&net.memory);
}

/* ---- the driver's rings ---- */

static void put(uint16_t index, const struct fuzz_piece *piece, uint16_t pieces)
{
	fuzz_put(ring_of(index), &net.place[index], host()->device->features & VIRTIO_F_RING_PACKED,
	         piece, pieces);
}

/* The last of the queues that the driver knows of. */
static uint16_t control_queue(void)
{
	const uint64_t knows_pairs = VIRTIO_NET_F_MQ | VIRTIO_NET_F_RSS;

	return host()->device->features & knows_pairs ? (uint16_t)(2 * net.options.pairs) : 2;
}

/* Which way the pieces go that a driver of good will puts there. */
static bool is_for_writing(uint16_t queue, uint16_t piece, uint16_t pieces)
{
	if (queue == control_queue())
		return piece + 1 == pieces;
	return queue % 2 == 0;
}

static void put_anything(struct fuzz_input *input)
{
	static const uint64_t places[] = { FUZZ_LOW_GPA,  FUZZ_LOW_GPA,       FUZZ_HIGH_GPA + 0x600,
		                           FUZZ_TOP_GPA,  FUZZ_RING_GPA,      FUZZ_TINY_GPA,
		                           FUZZ_HIGH_GPA, 0x7000000000000000u };
	const uint8_t what = fuzz_u8(input), wild = fuzz_u8(input);
	const uint16_t queue = what % host()->device->queues, pieces = 1 + what / 8 % PIECES_MAX;
	struct fuzz_piece piece[PIECES_MAX];

	for (uint16_t i = 0; i < pieces; i++)
		piece[i] = fuzz_any_piece(input, places, 4u,
		                          is_for_writing(queue, i, pieces) != (wild >> i & 1));
	put(queue, piece, pieces);
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
	const size_t before = host()->device->features & VIRTIO_NET_F_HASH_REPORT
	                              ? sizeof(struct virtio_net_hdr_hash)
	                              : sizeof(struct virtio_net_hdr_mrg);
	uint8_t *memory = net.memory.host[1];
	const uint8_t what = fuzz_u8(input);
	const uint16_t queue = what & 1 && net.options.pairs > 1 ? 3 : 1;
	struct fuzz_piece piece[PIECES_MAX] = { { .gpa = FUZZ_LOW_GPA } };

	memset(memory, 0, before);
	memcpy(memory, &header, sizeof(header));
	piece[0].bytes = (uint32_t)(before + any_head(memory + before, input));
	for (uint32_t i = 1; i < PIECES_MAX; i++)
		piece[i] = (struct fuzz_piece){ FUZZ_TOP_GPA, 1 + fuzz_u16(input) % FUZZ_TOP_BYTES,
			                        false };
	put(queue, piece, 1 + what / 2 % PIECES_MAX);
}

static void say_command(struct fuzz_input *input)
{
	uint8_t *memory = net.memory.host[1];
	uint32_t bytes = 2 + fuzz_u8(input) % COMMAND_BYTES;
	const struct fuzz_piece piece[] = { { FUZZ_LOW_GPA, bytes, false },
		                            { FUZZ_LOW_GPA + ANSWER_AT, 1 + fuzz_u8(input),
		                              true } };

	memory[0] = fuzz_u8(input) % 9;
	memory[1] = fuzz_u8(input) % 6;
	fuzz_copy(input, memory + 2, bytes - 2);
	if (control_queue() < host()->device->queues)
		put(control_queue(), piece, 2);
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
	fuzz_host_run(host());
	while (pv_memory_wire_get(&net.wire, &frame)) {
		check_frame(&frame);
		free(frame.data);
	}
	for (uint16_t i = 0; i < host()->device->queues; i++) {
		const struct pv_dev_ring *ring = &host()->device->queue[i].ring;

		pv_bug_on(ring->fault == PV_RING_SOUND && ring->in_flight > 0);
	}
}

/* ---- the user ---- */

/* To another device, which goes on, or, where what it is told makes no sense, begins anew. */
static void move(struct fuzz_input *input, bool is_changed)
{
	static struct fuzz_state state;
	struct fuzz_host *from = host();

	fuzz_state_save(&state, from->device, is_changed ? input : NULL);
	make_device(!net.current);
	pv_bug_on(pv_device_abandon(from->device));
	net.current = !net.current;
	if (!fuzz_state_load(&state, host(), is_changed || from->has_broken))
		start();
	fuzz_host_close(from);
}

static void interfere(struct fuzz_input *input)
{
	const uint8_t what = fuzz_u8(input);
	struct pv_net_rx_filter filter;

	switch (what % 8) {
	case 0:
		pv_net_set_link(host()->device, what & 8);
		break;
	case 1:
		pv_net_announce(host()->device);
		break;
	case 2:
		pv_net_rx_filter(host()->device, &filter);
		pv_bug_on(filter.unicasts > PV_NET_MACS_MAX || filter.multicasts > PV_NET_MACS_MAX);
		break;
	case 3:
		restart();
		break;
	case 4:
	case 5:
		move(input, what & 1);
		break;
	default:
		host()->now_ns += TICK_NS;
		break;
	}
}

static void step(struct fuzz_input *input)
{
	switch (fuzz_u8(input) % 8) {
	case 0:
		put_anything(input);
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
		fuzz_memory_scribble(&net.memory, input);
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
