/* SPDX-License-Identifier: BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "ring/err.h"
#include "tests/support/couple_move.h"
#include "tests/support/net_rig.h"

#define QUEUE_SIZE   16u
#define STEP_NS      1000u
#define REGION_MAX   900u
#define OWN_BYTES    300u /* or what a frame needs */
#define ROUNDS_LOSSY 1000
#define STATE_BYTES  (64u << 10)

#define CAN_SEGMENT                                                                                \
	(VIRTIO_NET_F_HOST_TSO4 | VIRTIO_NET_F_HOST_TSO6 | VIRTIO_NET_F_HOST_ECN |                 \
	 VIRTIO_NET_F_HOST_UFO | VIRTIO_NET_F_HOST_USO)

static const uint8_t our_mac[VIRTIO_NET_MAC_BYTES] = { 0x52, 0x54, 0, 1, 2, 3 };

/* ---- frames ---- */

/* Ours or anybody's address, a local experiment's protocol, a number and a pair, and a pattern. */
static void make_frame(uint8_t *frame, uint32_t bytes, uint32_t id, uint16_t pair)
{
	memcpy(frame, our_mac, sizeof(our_mac));
	memcpy(frame + 6, our_mac, sizeof(our_mac));
	frame[12] = 0x88;
	frame[13] = 0xb5;
	memcpy(frame + 14, &id, sizeof(id));
	memcpy(frame + 18, &pair, sizeof(pair));
	frame[20] = (uint8_t)bytes;
	frame[21] = (uint8_t)(bytes >> 8);
	for (uint32_t i = NET_RIG_HEAD_BYTES; i < bytes; i++)
		frame[i] = (uint8_t)(id * 31 + i * 7);
}

static uint32_t check_frame(const uint8_t *frame, uint32_t bytes, uint16_t *pair)
{
	uint8_t expected[NET_RIG_FRAME_BYTES];
	uint32_t id;

	assert_in_range(bytes, NET_RIG_HEAD_BYTES, NET_RIG_FRAME_BYTES);
	memcpy(&id, frame + 14, sizeof(id));
	memcpy(pair, frame + 18, sizeof(*pair));
	make_frame(expected, bytes, id, *pair);
	assert_memory_equal(frame, expected, bytes);
	assert_in_range(id, 1, NET_RIG_FRAMES - 1);
	return id;
}

/* What is left to do to a frame where the wire knows of that: nothing, a checksum, or cuts as well.
 */
static struct virtio_net_hdr work_of(const struct net_rig *rig, uint32_t id, uint32_t bytes)
{
	static const uint8_t kinds[] = { VIRTIO_NET_HDR_GSO_TCPV4, VIRTIO_NET_HDR_GSO_TCPV6,
		                         VIRTIO_NET_HDR_GSO_UDP_L4,
		                         VIRTIO_NET_HDR_GSO_TCPV4 | VIRTIO_NET_HDR_GSO_ECN };
	struct virtio_net_hdr hdr = { 0 };

	if (!rig->wire.wire.knows_headers || id % 3 == 0)
		return hdr;
	hdr.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
	hdr.csum_start = pv_le16_of((uint16_t)(14 + id % (bytes - 19)));
	hdr.csum_offset = pv_le16_of((uint16_t)(id % 4));
	if (id % 3 == 1)
		return hdr;
	hdr.gso_type = kinds[id / 3 % sizeof(kinds)];
	hdr.gso_size = pv_le16_of((uint16_t)(1 + id % 1000));
	hdr.hdr_len = pv_le16_of((uint16_t)(pv_le16_get(hdr.csum_start) + 4));
	return hdr;
}

static uint32_t any_bytes(struct net_rig *rig)
{
	return NET_RIG_HEAD_BYTES +
	       pv_random_below(&rig->random, NET_RIG_FRAME_BYTES - NET_RIG_HEAD_BYTES + 1);
}

/* ---- sending ---- */

static void packet_done(struct pv_netdrv_packet *packet)
{
	struct net_rig_slot *slot = (struct net_rig_slot *)packet;
	struct net_rig *rig = packet->arg;

	assert_true(slot->is_out);
	slot->is_out = false;
	rig->out--;
	assert_int_equal(packet->error != 0, rig->is_over);
}

/* In one piece behind room for a header, or scattered, in one buffer or in three. */
static void lay_out(struct net_rig *rig, struct net_rig_slot *slot, const uint8_t *frame,
                    uint32_t bytes)
{
	struct pv_twin *twin = &rig->couple.twin;
	uint8_t *memory = pv_twin_handle(twin, slot->scattered);
	uint32_t first = 14, second = 1 + pv_random_below(&rig->random, bytes - 15);

	slot->packet =
		(struct pv_netdrv_packet){ .buffer = slot->part, .done = packet_done, .arg = rig };
	if (pv_random_chance(&rig->random, 50)) {
		memcpy(slot->plain, frame, bytes);
		slot->part[0] = (struct pv_buffer){ slot->plain, bytes };
		slot->packet.buffers = 1;
		slot->packet.has_headroom = true;
		return;
	}
	pv_twin_write(twin, slot->scattered, frame, bytes);
	slot->packet.buffers = pv_random_chance(&rig->random, 50) ? 1 : 3;
	if (slot->packet.buffers == 1)
		first = bytes;
	slot->part[0] = (struct pv_buffer){ memory, first };
	slot->part[1] = (struct pv_buffer){ memory + first, second };
	slot->part[2] = (struct pv_buffer){ memory + first + second, bytes - first - second };
}

static void leave_work(struct pv_netdrv_packet *packet, const struct virtio_net_hdr *hdr)
{
	packet->needs_checksum = hdr->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM;
	packet->gso_type = hdr->gso_type;
	packet->hdr_len = pv_le16_get(hdr->hdr_len);
	packet->gso_size = pv_le16_get(hdr->gso_size);
	packet->csum_start = pv_le16_get(hdr->csum_start);
	packet->csum_offset = pv_le16_get(hdr->csum_offset);
}

bool net_rig_send(struct net_rig *rig, uint16_t pair)
{
	struct net_rig_slot *slot = &rig->slot[pv_random_below(&rig->random, NET_RIG_PACKETS)];
	struct pv_netdrv_queue *tx = pv_netdrv_tx(rig->driver, pair);
	uint8_t frame[NET_RIG_FRAME_BYTES];
	uint32_t bytes = any_bytes(rig);
	struct virtio_net_hdr hdr = work_of(rig, rig->next_out, bytes);
	int error;

	if (slot->is_out || rig->next_out == NET_RIG_FRAMES)
		return false;
	make_frame(frame, bytes, rig->next_out, pair);
	lay_out(rig, slot, frame, bytes);
	leave_work(&slot->packet, &hdr);
	error = pv_netdrv_send(tx, &slot->packet);
	if (error) {
		assert_int_equal(error, -PV_ENOSPC);
		pv_netdrv_publish(tx);
		return false;
	}
	rig->next_out++;
	slot->is_out = true;
	rig->out++;
	if (pv_random_chance(&rig->random, 70))
		pv_netdrv_publish(tx);
	return true;
}

static void look_at_sent(struct net_rig *rig)
{
	struct pv_memory_frame frame;

	while (pv_memory_wire_get(&rig->wire, &frame)) {
		uint16_t pair;
		uint32_t id = check_frame(frame.data, frame.bytes, &pair);
		struct virtio_net_hdr hdr = work_of(rig, id, frame.bytes);

		assert_memory_equal(&frame.hdr, &hdr, sizeof(hdr));
		rig->uncut_out += hdr.gso_type != VIRTIO_NET_HDR_GSO_NONE;
		assert_int_equal(pair, frame.pair);
		assert_int_equal(rig->sent[id]++, 0);
		if (!rig->is_mixed)
			assert_true(id > rig->last_out[pair]);
		rig->last_out[pair] = id;
		rig->frames_out++;
		free(frame.data);
	}
}

/* ---- receiving ---- */

/* The wire is watched: lanes wake up while there is something on it. */
static void watch(struct net_rig *rig)
{
	for (uint16_t i = 0; rig->wire.coming.count > 0 && i < 2 * rig->pairs; i += 2)
		if (rig->couple.lane[i].is_attached)
			pv_couple_wake(&rig->couple, i);
}

void net_rig_put(struct net_rig *rig, uint16_t pair)
{
	uint8_t frame[NET_RIG_FRAME_BYTES];
	uint32_t bytes = any_bytes(rig), id = rig->next_in;
	struct virtio_net_hdr hdr = work_of(rig, id, bytes);

	if (id == NET_RIG_FRAMES || rig->wire.coming.count == PV_MEMORY_FRAMES)
		return;
	rig->next_in++;
	rig->in_bytes[id] = (uint16_t)bytes;
	make_frame(frame, bytes, id, pair);
	pv_memory_wire_put(&rig->wire, pair, &hdr, frame, bytes);
	watch(rig);
}

static void check_work(struct net_rig *rig, const struct pv_netdrv_received *packet, uint32_t id)
{
	struct virtio_net_hdr hdr = work_of(rig, id, packet->bytes);

	assert_int_equal(packet->checksum,
	                 hdr.flags ? PV_NETDRV_CHECKSUM_PARTIAL : PV_NETDRV_CHECKSUM_UNKNOWN);
	assert_int_equal(packet->csum_start, pv_le16_get(hdr.csum_start));
	assert_int_equal(packet->csum_offset, pv_le16_get(hdr.csum_offset));
	assert_int_equal(packet->gso_type, hdr.gso_type);
	assert_int_equal(packet->gso_size, pv_le16_get(hdr.gso_size));
	rig->uncut_in += hdr.gso_type != VIRTIO_NET_HDR_GSO_NONE;
	rig->checksums[packet->checksum]++;
}

static void received(struct pv_netdrv_queue *rx, const struct pv_netdrv_received *packet, void *arg)
{
	const uint16_t on = pv_netdrv_queue_index(rx) / 2;
	struct pv_netdrv_buffer *buffer = packet->buffer;
	uint8_t frame[NET_RIG_FRAME_BYTES];
	struct net_rig *rig = arg;
	uint32_t at = 0, id;
	uint16_t pair;

	assert_true(packet->bytes <= sizeof(frame));
	for (uint16_t i = 0; i < packet->buffers; i++) {
		struct pv_netdrv_buffer *next = buffer->next;

		memcpy(frame + at, (uint8_t *)buffer->memory.memory + buffer->at, buffer->bytes);
		at += buffer->bytes;
		if (!buffer->is_own)
			assert_int_equal(pv_netdrv_post(rx, buffer), 0);
		buffer = next;
	}
	pv_netdrv_publish(rx);
	id = check_frame(frame, packet->bytes, &pair);
	assert_int_equal(packet->bytes, rig->in_bytes[id]);
	assert_int_equal(rig->received[id]++, 0);
	assert_true(id > rig->last_in[on]);
	rig->last_in[on] = id;
	rig->frames_in++;
	rig->hashes += packet->hash_report != VIRTIO_NET_HASH_REPORT_NONE;
	check_work(rig, packet, id);
	assert_true(on < rig->pairs);
	if (rig->wire.wire.sources > 1)
		assert_int_equal(on, pair);
}

static void returned(struct pv_netdrv_queue *rx, struct pv_netdrv_buffer *buffer, int error,
                     void *arg)
{
	const struct net_rig *rig = arg;

	(void)rx;
	(void)buffer;
	(void)error;
	assert_true(rig->is_over);
}

void net_rig_look(struct net_rig *rig)
{
	watch(rig);
	look_at_sent(rig);
	for (uint16_t pair = 0; pair < rig->pairs; pair++) {
		pv_netdrv_poll(pv_netdrv_tx(rig->driver, pair), 0);
		pv_netdrv_poll(pv_netdrv_rx(rig->driver, pair), 0);
	}
}

/* ---- life ---- */

static void filter_changed(void *arg)
{
	((struct net_rig *)arg)->filter_changes++;
}

static struct pv_device *make_device(struct net_rig *rig)
{
	unsigned int which = rig->driver ? !rig->current : rig->current;
	size_t bytes = (pv_net_bytes(rig->options.pairs) + 63) & ~(size_t)63;

	free(rig->storage[which]);
	rig->storage[which] = aligned_alloc(64, bytes);
	memset(rig->storage[which], 0, bytes);
	return pv_net_init(rig->storage[which], &rig->couple.port, &rig->wire.wire, &rig->options);
}

static void make_memory(struct net_rig *rig)
{
	struct pv_twin *twin = &rig->couple.twin;

	for (uint32_t i = 0; i < NET_RIG_PACKETS; i++) {
		struct net_rig_slot *slot = &rig->slot[i];
		struct pv_gpa plain = pv_twin_alloc(twin, PV_NETDRV_HEADROOM + NET_RIG_FRAME_BYTES,
		                                    PV_CUT, REGION_MAX, &rig->random);

		slot->scattered = pv_twin_alloc(twin, NET_RIG_FRAME_BYTES, PV_SCATTERED, REGION_MAX,
		                                &rig->random);
		slot->plain = (uint8_t *)pv_twin_driver(twin, plain) + PV_NETDRV_HEADROOM;
	}
}

/* Big ones are only where a packet of any length must fit into one. */
static uint32_t buffers_apart(const struct net_rig_options *options)
{
	return options->without & VIRTIO_NET_F_MRG_RXBUF &&
	                       !(options->without & VIRTIO_NET_F_GUEST_TSO4)
	               ? 66000
	               : 2048;
}

static uint32_t buffer_bytes(struct net_rig *rig, const struct net_rig_options *options)
{
	const uint32_t least = pv_netdrv_info(rig->driver)->buffer_bytes_min;

	if (options->buffer_bytes > least)
		return options->buffer_bytes;
	/* Where packets come in several, some of them do. */
	return least < 100 ? 100 + pv_random_below(&rig->random, 1000) : least;
}

/* Allocated before the driver starts the device: the tables are made then. */
static void post_buffers(struct net_rig *rig, uint8_t *memory, uint32_t apart, uint32_t bytes)
{
	for (uint16_t pair = 0; pair < pv_netdrv_info(rig->driver)->pairs; pair++) {
		struct pv_netdrv_queue *rx = pv_netdrv_rx(rig->driver, pair);

		for (uint32_t i = 0; i < NET_RIG_BUFFERS; i++) {
			struct pv_netdrv_buffer *buffer = &rig->buffer[pair][i];

			*buffer = (struct pv_netdrv_buffer){ .memory = { memory, bytes } };
			if (pv_netdrv_post(rx, buffer))
				break;
			memory += apart;
		}
		pv_netdrv_publish(rx);
	}
}

static void make_driver(struct net_rig *rig, const struct net_rig_options *options)
{
	const struct pv_netdrv_options wish = {
		.wanted = (PV_NETDRV_FEATURES & ~PV_RING_BITS & ~options->without) |
		          options->ring_features,
		.pairs = rig->options.pairs,
		.own_buffer_bytes = options->has_own_buffers ? OWN_BYTES : 0,
		.received = received,
		.returned = returned,
		.arg = rig,
	};
	const uint32_t apart = buffers_apart(options);
	struct pv_gpa memory = { 0 };

	if (!options->has_own_buffers)
		memory = pv_twin_alloc(&rig->couple.twin,
		                       (size_t)apart * NET_RIG_BUFFERS * rig->options.pairs, PV_CUT,
		                       REGION_MAX * 20, &rig->random);
	assert_int_equal(pv_netdrv_create(&rig->driver, &rig->couple.bus, &rig->couple.os, &wish),
	                 0);
	assert_int_equal(pv_netdrv_info(rig->driver)->features & PV_RING_BITS,
	                 options->ring_features);
	if (!options->has_own_buffers)
		post_buffers(rig, pv_twin_driver(&rig->couple.twin, memory), apart,
		             buffer_bytes(rig, options));
	if (rig->options.pairs > 1)
		assert_int_equal(pv_netdrv_set_pairs(rig->driver, rig->options.pairs), 0);
}

/* Packets and rings take little; the rest is buffers. */
static size_t memory_bytes(const struct net_rig *rig, const struct net_rig_options *options)
{
	const size_t pair_bytes =
		(size_t)buffers_apart(options) * 2 * NET_RIG_BUFFERS + (300u << 10);

	return (512u << 10) + pair_bytes * rig->pairs;
}

void net_rig_open(struct net_rig *rig, const struct net_rig_options *options)
{
	memset(rig, 0, sizeof(*rig));
	rig->random = pv_random_start(pv_random_seed(), options->number);
	rig->pairs = options->pairs ? options->pairs : 1;
	rig->next_in = rig->next_out = 1;
	rig->options = (struct pv_net_options){ .pairs = rig->pairs,
		                                .mtu = 1500,
		                                .queue_size_max = QUEUE_SIZE,
		                                .is_in_order = true,
		                                .is_link_down = options->is_link_down,
		                                .rx_filter_changed = filter_changed,
		                                .arg = rig };
	memcpy(rig->options.mac, our_mac, sizeof(our_mac));
	pv_memory_wire_open(&rig->wire);
	if (options->has_source_for_each_pair)
		rig->wire.wire.sources = rig->pairs;
	rig->wire.wire.knows_headers = options->knows_headers;
	if (options->knows_headers)
		rig->wire.wire.can_segment = CAN_SEGMENT;
	pv_couple_open(&rig->couple, memory_bytes(rig, options), rig->random);
	rig->couple.has_whole_lines = true;
	pv_couple_set_device(&rig->couple, make_device(rig), PV_VIEW_DEVICE);
	make_memory(rig);
	make_driver(rig, options);
}

void net_rig_close(struct net_rig *rig)
{
	rig->is_over = true;
	pv_netdrv_destroy(rig->driver);
	assert_int_equal(rig->out, 0);
	assert_int_equal(pv_device_status(rig->couple.device), 0);
	assert_true(pv_twin_guards_hold(&rig->couple.twin));
	pv_memory_wire_close(&rig->wire);
	pv_couple_close(&rig->couple);
	free(rig->storage[0]);
	free(rig->storage[1]);
}

/* Of a device that has moved a frame may be gone that had no buffers yet. */
static bool is_quiet(const struct net_rig *rig, int rounds)
{
	if (rig->out > 0 || rig->wire.coming.count > 0)
		return false;
	return rig->frames_in == rig->next_in - 1 || (rig->is_lossy && rounds > ROUNDS_LOSSY);
}

void net_rig_settle(struct net_rig *rig)
{
	for (uint16_t pair = 0; pair < rig->pairs; pair++)
		pv_netdrv_publish(pv_netdrv_tx(rig->driver, pair));
	for (int i = 0; !is_quiet(rig, i); i++) {
		assert_in_range(i, 0, 100000);
		pv_couple_run(&rig->couple);
		pv_couple_sleep(&rig->couple);
		pv_couple_pass(&rig->couple, STEP_NS);
		net_rig_look(rig);
	}
	look_at_sent(rig);
	for (uint32_t id = 1; id < rig->next_out; id++)
		assert_true(rig->sent[id] == 1 || rig->may_lose);
}

/* ---- moving ---- */

static size_t save(struct net_rig *rig, uint8_t *state)
{
	struct pv_state_writer to = { .data = state, .capacity = STATE_BYTES };

	pv_couple_pause(&rig->couple, NULL, NULL);
	assert_int_equal(pv_device_save(rig->couple.device, &to), 0);
	return to.bytes;
}

void net_rig_move(struct net_rig *rig)
{
	static uint8_t state[STATE_BYTES];
	struct pv_device *old = rig->couple.device, *device;
	size_t bytes = save(rig, state);
	enum pv_twin_view view = pv_couple_leave(&rig->couple);

	device = make_device(rig);
	rig->current = !rig->current;
	pv_couple_set_device(&rig->couple, device, view);
	assert_int_equal(pv_device_load(device, state, bytes), 0);
	pv_couple_forget(&rig->couple, old);
	rig->moves++;
	rig->is_lossy = true;
	pv_couple_resume(&rig->couple);
}
