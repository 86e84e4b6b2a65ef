/* SPDX-License-Identifier: BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "tests/support/netdrv_rig.h"

#define DESCS_MAX 16u

/* ---- what the driver hands on ---- */

static void received(struct pv_netdrv_queue *rx, const struct pv_netdrv_received *packet, void *arg)
{
	struct netdrv_rig *rig = arg;
	struct pv_netdrv_buffer *buffer = packet->buffer;
	uint32_t at = 0;

	for (uint16_t i = 0; i < packet->buffers; i++) {
		struct pv_netdrv_buffer *next = buffer->next;

		assert_true(buffer->at + buffer->bytes <= buffer->memory.bytes);
		memcpy(rig->frame + at, (uint8_t *)buffer->memory.memory + buffer->at,
		       buffer->bytes);
		at += buffer->bytes;
		if (rig->posts_again)
			pv_netdrv_post(rx, buffer);
		buffer = next;
	}
	assert_null(buffer);
	assert_int_equal(at, packet->bytes);
	rig->last = *packet;
	rig->received++;
}

static void returned(struct pv_netdrv_queue *rx, struct pv_netdrv_buffer *buffer, int error,
                     void *arg)
{
	struct netdrv_rig *rig = arg;

	(void)rx;
	(void)buffer;
	rig->returned++;
	rig->return_error = error;
}

/* ---- the control queue ---- */

static uint8_t *at_desc(const struct virtq_desc *desc)
{
	return pv_fake_at(pv_gpa_of(pv_le64_get(desc->addr)));
}

static bool is_writable(const struct virtq_desc *desc)
{
	return pv_le16_get(desc->flags) & VIRTQ_DESC_F_WRITE;
}

/* Section 5.1.6.6: class and command are a buffer of their own. */
static void note_command(struct netdrv_rig *rig, const struct virtq_desc *desc, uint16_t readable)
{
	struct netdrv_rig_command *command = &rig->command[rig->commands++];

	assert_true(rig->commands <= NETDRV_RIG_COMMANDS);
	assert_int_equal(pv_le32_get(desc[0].len), sizeof(struct virtio_net_ctrl));
	command->class = at_desc(&desc[0])[0];
	command->command = at_desc(&desc[0])[1];
	command->data_buffers = (uint16_t)(readable - 1);
	command->bytes = 0;
	for (uint16_t i = 1; i < readable; i++) {
		const uint32_t bytes = pv_le32_get(desc[i].len);

		assert_true(bytes <= NETDRV_RIG_COMMAND_BYTES - command->bytes);
		memcpy(command->data + command->bytes, at_desc(&desc[i]), bytes);
		command->bytes += bytes;
	}
}

static uint32_t answer(struct netdrv_rig *rig, const struct virtq_desc *desc, uint16_t writable)
{
	uint32_t bytes = 0;

	assert_int_equal(pv_le32_get(desc[0].len), 1);
	*at_desc(&desc[0]) = rig->ack;
	if (writable == 1)
		return 1;
	bytes = pv_le32_get(desc[1].len);
	if (bytes > rig->answer_bytes)
		bytes = rig->answer_bytes;
	memcpy(at_desc(&desc[1]), rig->answer, bytes);
	return bytes + 1;
}

static uint16_t control_index(const struct netdrv_rig *rig)
{
	struct virtio_net_config config;

	memcpy(&config, rig->fake.config, sizeof(config));
	if (rig->fake.accepted & (VIRTIO_NET_F_MQ | VIRTIO_NET_F_RSS))
		return (uint16_t)(2 * pv_le16_get(config.max_virtqueue_pairs));
	return 2;
}

static void serve_commands(struct pv_fake_bus *fake)
{
	struct netdrv_rig *rig = (struct netdrv_rig *)fake;
	const uint16_t queue = control_index(rig);
	struct virtq_desc desc[DESCS_MAX];
	uint16_t head, count, readable = 0;

	if (rig->is_silent || queue >= PV_FAKE_QUEUES || !fake->is_enabled[queue])
		return;
	count = pv_fake_take(fake, queue, desc, DESCS_MAX, &head);
	if (count == 0)
		return;
	while (readable < count && !is_writable(&desc[readable]))
		readable++;
	note_command(rig, desc, readable);
	pv_fake_return(fake, queue, head,
	               answer(rig, desc + readable, (uint16_t)(count - readable)) + rig->says_more);
}

/* ---- its life ---- */

struct virtio_net_config *netdrv_rig_config(struct netdrv_rig *rig)
{
	return (struct virtio_net_config *)(void *)rig->fake.config;
}

void netdrv_rig_open(struct netdrv_rig *rig, uint64_t offered)
{
	*rig = (struct netdrv_rig){ .ack = VIRTIO_NET_OK };
	pv_fake_bus_open(&rig->fake, offered | VIRTIO_F_VERSION_1);
	rig->fake.on_wait = serve_commands;
	*netdrv_rig_config(rig) = (struct virtio_net_config){
		.mac = { 0x52, 0x54, 0x00, 0x12, 0x34, 0x56 },
		.status = pv_le16_of(VIRTIO_NET_S_LINK_UP),
		.max_virtqueue_pairs = pv_le16_of(2),
		.mtu = pv_le16_of(1500),
		.speed = pv_le32_of(10000),
		.duplex = VIRTIO_NET_DUPLEX_FULL,
		.rss_max_key_size = VIRTIO_NET_RSS_KEY_MIN,
		.rss_max_indirection_table_length = pv_le16_of(VIRTIO_NET_RSS_TABLE_MIN),
		.supported_hash_types = pv_le32_of(0x1ff),
	};
}

int netdrv_rig_start(struct netdrv_rig *rig, const struct pv_netdrv_options *options)
{
	struct pv_netdrv_options own = { 0 };
	int error;

	if (options)
		own = *options;
	own.received = received;
	own.returned = returned;
	own.arg = rig;
	error = pv_netdrv_create(&rig->net, &rig->fake.bus, &rig->fake.os, &own);
	if (error)
		return error;
	rig->rx = pv_netdrv_rx(rig->net, 0);
	rig->tx = pv_netdrv_tx(rig->net, 0);
	return 0;
}

void netdrv_rig_up(struct netdrv_rig *rig, uint64_t offered,
                   const struct pv_netdrv_options *options)
{
	netdrv_rig_open(rig, offered);
	assert_int_equal(netdrv_rig_start(rig, options), 0);
}

void netdrv_rig_close(struct netdrv_rig *rig)
{
	pv_netdrv_destroy(rig->net);
	assert_int_equal(rig->fake.mapped_out, 0);
	assert_int_equal(rig->fake.shared_out + rig->fake.private_out, 0);
}

/* ---- packets ---- */

void netdrv_rig_post(struct netdrv_rig *rig, uint32_t buffers, uint32_t bytes)
{
	for (uint32_t i = 0; i < buffers; i++) {
		rig->buffer[i] = (struct pv_netdrv_buffer){ .memory = { rig->memory[i], bytes } };
		assert_int_equal(pv_netdrv_post(rig->rx, &rig->buffer[i]), 0);
	}
	pv_netdrv_publish(rig->rx);
}

/* Fills one chain from the begin of `from`. Returns the bytes that went in. */
static uint32_t fill(const struct virtq_desc *desc, uint16_t count, const uint8_t *from,
                     uint32_t bytes)
{
	uint32_t at = 0;

	for (uint16_t i = 0; i < count && at < bytes; i++) {
		uint32_t piece = pv_le32_get(desc[i].len);

		assert_true(is_writable(&desc[i]));
		if (piece > bytes - at)
			piece = bytes - at;
		memcpy(at_desc(&desc[i]), from + at, piece);
		at += piece;
	}
	return at;
}

uint16_t netdrv_rig_give(struct netdrv_rig *rig, uint16_t queue,
                         const struct virtio_net_hdr_hash *header, const uint8_t *frame,
                         uint32_t bytes)
{
	const uint16_t header_bytes = pv_netdrv_info(rig->net)->header_bytes;
	static uint8_t all[PV_NETDRV_FRAME_MAX + PV_NETDRV_HEADROOM + 64];
	struct virtq_desc desc[DESCS_MAX];
	uint8_t *num_buffers = NULL;
	uint16_t head, count, buffers = 0;
	uint32_t at = 0;

	memcpy(all, header, header_bytes);
	memcpy(all + header_bytes, frame, bytes);
	bytes += header_bytes;
	while (at < bytes && (count = pv_fake_take(&rig->fake, queue, desc, DESCS_MAX, &head))) {
		uint32_t filled = fill(desc, count, all + at, bytes - at);

		if (!num_buffers)
			num_buffers = at_desc(&desc[0]) +
			              offsetof(struct virtio_net_hdr_mrg, num_buffers);
		pv_fake_return(&rig->fake, queue, head, filled);
		at += filled;
		buffers++;
	}
	if (num_buffers && pv_le16_get(header->mrg.num_buffers) == 0 && header_bytes > 10)
		*(struct pv_le16 *)(void *)num_buffers = pv_le16_of(buffers);
	return buffers;
}

uint32_t netdrv_rig_sent(struct netdrv_rig *rig, uint16_t queue, struct virtio_net_hdr_hash *header,
                         uint16_t *buffers)
{
	const uint16_t header_bytes = pv_netdrv_info(rig->net)->header_bytes;
	static uint8_t all[PV_NETDRV_FRAME_MAX + PV_NETDRV_HEADROOM];
	struct virtq_desc desc[DESCS_MAX];
	uint32_t at = 0;
	uint16_t head, count = pv_fake_take(&rig->fake, queue, desc, DESCS_MAX, &head);

	*buffers = count;
	for (uint16_t i = 0; i < count; i++) {
		assert_false(is_writable(&desc[i]));
		assert_true(at + pv_le32_get(desc[i].len) <= sizeof(all));
		memcpy(all + at, at_desc(&desc[i]), pv_le32_get(desc[i].len));
		at += pv_le32_get(desc[i].len);
	}
	if (count == 0)
		return 0;
	pv_fake_return(&rig->fake, queue, head, 0);
	*header = (struct virtio_net_hdr_hash){ 0 };
	memcpy(header, all, header_bytes);
	memcpy(rig->frame, all + header_bytes, at - header_bytes);
	return at - header_bytes;
}
