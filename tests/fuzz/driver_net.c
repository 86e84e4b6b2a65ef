/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The network driver on a device by script: whatever that does, each packet ends once, each buffer
 * comes back once, what is received lies in buffers that were posted and means something, and
 * nothing is left behind.
 */
#include <string.h>

#include "drivers/net/net.h"
#include "ring/err.h"
#include "tests/fuzz/scripted.h"

#define TIMEOUT_NS 20000000u
#define PACKETS    (SCRIPTED_BUFFERS / 2)

static struct scripted scripted;
static struct pv_netdrv *net;

/* The first half of the script's buffers is sent, the other half is received into. */
static struct slot {
	struct pv_netdrv_packet packet;
	struct pv_buffer part[2];
	bool is_out;
} slots[PACKETS];

static struct pv_netdrv_buffer buffers[PACKETS];
static bool are_posted[PACKETS];

static void done(struct pv_netdrv_packet *packet)
{
	struct slot *slot = (struct slot *)(void *)packet;

	pv_bug_on(!slot->is_out || !packet->is_done);
	slot->is_out = false;
}

static void came_back(struct pv_netdrv_buffer *buffer)
{
	bool *is_posted = buffer->arg;

	if (buffer->is_own)
		return;
	pv_bug_on(!*is_posted);
	*is_posted = false;
}

static void check_meaning(const struct pv_netdrv_received *packet)
{
	const uint64_t features = pv_netdrv_info(net)->features;

	pv_bug_on(packet->bytes < PV_NETDRV_FRAME_MIN || packet->bytes > PV_NETDRV_FRAME_MAX);
	pv_bug_on(packet->hdr_len > packet->bytes);
	pv_bug_on(packet->gso_type && packet->gso_size == 0);
	pv_bug_on(packet->hash_report > VIRTIO_NET_HASH_REPORT_UDPv6_EX);
	pv_bug_on(packet->hash_report && !(features & VIRTIO_NET_F_HASH_REPORT));
	if (packet->checksum == PV_NETDRV_CHECKSUM_PARTIAL)
		pv_bug_on(packet->csum_start + packet->csum_offset + 2u > packet->bytes);
	pv_bug_on(packet->checksum && !(features & VIRTIO_NET_F_GUEST_CSUM));
}

static void received(struct pv_netdrv_queue *rx, const struct pv_netdrv_received *packet, void *arg)
{
	struct pv_netdrv_buffer *buffer = packet->buffer;
	volatile uint8_t last = 0;
	uint32_t bytes = 0;

	(void)rx;
	(void)arg;
	check_meaning(packet);
	for (uint16_t i = 0; i < packet->buffers; i++) {
		struct pv_netdrv_buffer *next = buffer->next;

		pv_bug_on(buffer->at + buffer->bytes > buffer->memory.bytes);
		if (buffer->bytes > 0)
			last = ((uint8_t *)buffer->memory.memory)[buffer->at + buffer->bytes - 1];
		bytes += buffer->bytes;
		came_back(buffer);
		buffer = next;
	}
	(void)last;
	pv_bug_on(buffer || bytes != packet->bytes);
}

static void returned(struct pv_netdrv_queue *rx, struct pv_netdrv_buffer *buffer, int error,
                     void *arg)
{
	(void)rx;
	(void)arg;
	pv_bug_on(error == 0);
	came_back(buffer);
}

/* A plausible device, of which the script then changes this and that. */
static void configure(struct fuzz_input *input)
{
	struct virtio_net_config config = {
		.mac = { 2, 0, 0, 0, 0, 1 },
		.status = pv_le16_of(VIRTIO_NET_S_LINK_UP),
		.max_virtqueue_pairs = pv_le16_of(2),
		.mtu = pv_le16_of(1500),
		.rss_max_key_size = 40,
		.rss_max_indirection_table_length = pv_le16_of(128),
		.supported_hash_types = pv_le32_of(0x1ff),
	};

	memcpy(scripted.config, &config, sizeof(config));
	for (uint8_t n = fuzz_u8(input) % 4; n > 0; n--)
		fuzz_copy(input, scripted.config + fuzz_u8(input) % (sizeof(config) - 1), 2);
	scripted.more = (uint64_t)fuzz_u32(input) << 32 | fuzz_u32(input);
	scripted.head_bytes = sizeof(struct virtio_net_hdr_hash);
}

static void send(struct pv_netdrv_queue *tx, struct slot *slot, struct fuzz_input *input)
{
	uint8_t *memory = scripted.buffer[slot - slots].memory + PV_NETDRV_HEADROOM;
	const uint32_t first = 1 + fuzz_u16(input) % 700u, second = fuzz_u16(input) % 700u;
	uint8_t what = fuzz_u8(input);

	if (slot->is_out)
		return;
	slot->part[0] = (struct pv_buffer){ memory, first };
	slot->part[1] = (struct pv_buffer){ memory + first, second };
	slot->packet = (struct pv_netdrv_packet){ .buffer = slot->part,
		                                  .buffers = what & 1 ? 2 : 1,
		                                  .has_headroom = what & 2,
		                                  .needs_checksum = what & 4,
		                                  .gso_type = what & 8 ? fuzz_u8(input) : 0,
		                                  .hdr_len = fuzz_u8(input),
		                                  .gso_size = fuzz_u8(input),
		                                  .csum_start = fuzz_u16(input),
		                                  .csum_offset = fuzz_u8(input),
		                                  .timeout_ns = what & 16 ? TIMEOUT_NS : 0,
		                                  .done = done };
	slot->is_out = true;
	if (pv_netdrv_send(tx, &slot->packet))
		slot->is_out = false;
}

static void post(struct pv_netdrv_queue *rx, uint32_t i, struct fuzz_input *input)
{
	const struct scripted_piece *memory = &scripted.buffer[PACKETS + i];
	uint32_t bytes = fuzz_u8(input) * 8u;

	if (are_posted[i])
		return;
	if (bytes > memory->bytes || bytes == 0)
		bytes = (uint32_t)memory->bytes;
	buffers[i] = (struct pv_netdrv_buffer){ .memory = { memory->memory, bytes },
		                                .arg = &are_posted[i] };
	are_posted[i] = true;
	if (pv_netdrv_post(rx, &buffers[i]))
		are_posted[i] = false;
}

static void command_more(struct pv_netdrv_queue *queue, uint8_t what)
{
	const struct pv_netdrv_coalescing coalescing = { what, what };
	struct pv_netdrv_coalescing got;
	uint8_t replies[256];
	uint32_t bytes = sizeof(replies);
	uint64_t types;

	switch (what % 8) {
	case 0:
		pv_netdrv_set_coalescing(net, true, coalescing);
		break;
	case 1:
		pv_netdrv_set_coalescing(net, false, coalescing);
		break;
	case 2:
		pv_netdrv_set_queue_coalescing(queue, coalescing);
		break;
	case 3:
		pv_netdrv_queue_coalescing(queue, &got);
		break;
	case 4:
		pv_netdrv_stats_types(net, &types);
		break;
	default:
		pv_netdrv_stats(net, what % 16, ~0ull, replies, &bytes);
		pv_bug_on(bytes > sizeof(replies));
		break;
	}
}

static void command(struct pv_netdrv_queue *queue, uint8_t what)
{
	static const uint8_t mac[18] = { 2, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 2, 1 };
	static const uint16_t table[] = { 0, 0 };
	const struct pv_netdrv_rss rss = { .hash_types = what,
		                           .pairs = 1 + what % 2,
		                           .table = table,
		                           .table_length = 2,
		                           .key = mac,
		                           .key_bytes = sizeof(mac) };

	switch (what % 10) {
	case 0:
		pv_netdrv_set_rx_mode(net, what / 16 % 8, what & 128);
		break;
	case 1:
		pv_netdrv_set_macs(net, mac, 2, mac + 12, what & 128 ? 1 : 0);
		break;
	case 2:
		pv_netdrv_set_mac(net, mac);
		break;
	case 3:
		pv_netdrv_set_vlan(net, (uint16_t)(what * 17u), what & 128);
		break;
	case 4:
		pv_netdrv_announced(net);
		break;
	case 5:
		pv_netdrv_set_pairs(net, what % 3);
		break;
	case 6:
		pv_netdrv_set_rss(net, &rss);
		break;
	case 7:
		pv_netdrv_set_hash(net, what, mac, sizeof(mac));
		break;
	case 8:
		pv_netdrv_set_guest_offloads(net,
		                             pv_netdrv_info(net)->features & (uint64_t)what << 7);
		break;
	default:
		command_more(queue, what / 10);
		break;
	}
}

static void step(struct fuzz_input *input)
{
	const uint8_t what = fuzz_u8(input);
	const uint16_t pair = what / 16 % pv_netdrv_info(net)->pairs;
	struct pv_netdrv_queue *rx = pv_netdrv_rx(net, pair), *tx = pv_netdrv_tx(net, pair);
	struct pv_netdrv_queue *either = what & 32 ? rx : tx;

	switch (what % 16) {
	case 0:
		pv_netdrv_publish(either);
		break;
	case 1:
		pv_netdrv_tend(net);
		break;
	case 2:
		pv_netdrv_config_changed(net);
		pv_netdrv_link(net);
		break;
	case 3:
		pv_netdrv_queue_reset(either);
		break;
	case 4:
	case 5:
		command(either, fuzz_u8(input));
		break;
	case 6:
		if (!pv_netdrv_interrupts_on(either))
			pv_netdrv_interrupts_off(either);
		break;
	case 7:
		scripted.now_ns += 10000000;
		break;
	case 8:
	case 9:
		pv_bug_on(pv_netdrv_poll(either, 0) > pv_netdrv_queue_size(either));
		break;
	case 10:
	case 11:
		scripted_act(&scripted);
		break;
	case 12:
	case 13:
		post(rx, what / 64, input);
		break;
	default:
		send(tx, &slots[what / 64], input);
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	struct fuzz_input input = { data, bytes };
	uint8_t bits = fuzz_u8(&input);
	const struct pv_netdrv_options options = {
		.pairs = 2,
		.segments_max = bits & 1 ? 2 : 0,
		.queue_size = bits & 2 ? 4 : 0,
		.fails_on_reset = bits & 4,
		.send_timeout_ns = bits & 8 ? TIMEOUT_NS : 0,
		.command_timeout_ns = TIMEOUT_NS,
		.command_bytes = bits & 16 ? 512 : 0,
		.own_buffer_bytes = bits & 32 ? 128 : 0,
		.received = received,
		.returned = returned,
	};

	memset(slots, 0, sizeof(slots));
	memset(are_posted, 0, sizeof(are_posted));
	scripted_open(&scripted, &input);
	configure(&input);
	if (pv_netdrv_create(&net, &scripted.bus, &scripted.os, &options) == 0) {
		while (input.bytes > 0)
			step(&input);
		pv_netdrv_destroy(net);
	}
	for (uint32_t i = 0; i < PACKETS; i++)
		pv_bug_on(slots[i].is_out || are_posted[i]);
	scripted_close(&scripted);
	return 0;
}
