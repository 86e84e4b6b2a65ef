/* SPDX-License-Identifier: BSD-2-Clause */
/* The way of a packet in: buffers onto the ring, and off it what came, if it makes sense. */
#include "drivers/net/internal.h"
#include "ring/barrier.h"
#include "ring/err.h"

/* ---- onto the ring ---- */

static int add(struct pv_netdrv_queue *queue, const struct pv_sg *sg, uint16_t pieces,
               struct pv_netdrv_buffer *buffer)
{
	int error = pv_drv_ring_add(&queue->base.ring, sg, 0, pieces, buffer);

	if (error)
		pv_netdrv_unmap(queue, &buffer->place);
	return error;
}

static int add_whole(struct pv_netdrv_queue *queue, struct pv_netdrv_buffer *buffer)
{
	int error = pv_netdrv_map_whole(queue, &buffer->place, buffer->memory.memory,
	                                buffer->memory.bytes);

	return error ? error : add(queue, &buffer->place.piece, 1, buffer);
}

/* The header apart where it has to be. */
static int add_pieces(struct pv_netdrv_queue *queue, struct pv_netdrv_buffer *buffer)
{
	const uint32_t header_bytes = queue->splits_header ? queue->header_bytes : 0;
	const struct pv_buffer part[] = {
		{ buffer->memory.memory, header_bytes },
		{ (uint8_t *)buffer->memory.memory + header_bytes,
		  buffer->memory.bytes - header_bytes },
	};
	const uint16_t first = header_bytes ? 0 : 1;
	struct pv_netdrv_place *place = &buffer->place;
	int error = pv_netdrv_map_pieces(queue, place, part + first, (uint16_t)(2 - first));

	if (error)
		return error;
	return add(queue, pv_netdrv_slot_sg(queue, place->slot) + 1, place->pieces, buffer);
}

/* The driver's own are in one piece of shared memory. */
static int add_own(struct pv_netdrv_queue *queue, struct pv_netdrv_buffer *buffer)
{
	const struct pv_sg part[] = {
		{ buffer->place.piece.addr, queue->header_bytes },
		{ pv_gpa_add(buffer->place.piece.addr, queue->header_bytes),
		  buffer->place.piece.bytes - queue->header_bytes },
	};

	const int error = queue->splits_header ? add(queue, part, 2, buffer)
	                                       : add(queue, &buffer->place.piece, 1, buffer);

	buffer->is_posted = !error;
	return error;
}

static int add_buffer(struct pv_netdrv_queue *queue, struct pv_netdrv_buffer *buffer)
{
	int error = -PV_EINVAL;

	if (buffer->is_own)
		return add_own(queue, buffer);
	if (!queue->splits_header)
		error = add_whole(queue, buffer);
	return error == -PV_EINVAL ? add_pieces(queue, buffer) : error;
}

int pv_netdrv_post(struct pv_netdrv_queue *queue, struct pv_netdrv_buffer *buffer)
{
	if (queue->base.ring.is_broken)
		return -PV_EBROKEN;
	if (buffer->memory.bytes < queue->net->info.buffer_bytes_min)
		return -PV_EINVAL;
	buffer->is_own = false;
	buffer->base.deadline_ns = 0; /* nobody knows when something comes */
	return add_buffer(queue, buffer);
}

int pv_netdrv_post_own(struct pv_netdrv_queue *queue)
{
	int error = 0;

	if (!queue->own.buffer)
		return 0;
	/* A buffer of two pieces takes two places where there are no tables: not all fit then. */
	for (uint16_t i = 0; !error && i < queue->base.place.size; i++)
		if (!queue->own.buffer[i].is_posted)
			error = add_own(queue, &queue->own.buffer[i]);
	pv_driver_queue_publish(&queue->base);
	return error == -PV_ENOSPC ? 0 : error;
}

static void take_back(struct pv_netdrv_queue *queue, struct pv_netdrv_buffer *buffer)
{
	pv_netdrv_unmap(queue, &buffer->place);
	buffer->is_posted = false;
}

/* ---- is it a packet? ---- */

/* What may come unfinished, by its kind; 0 for kinds that do not exist. */
static uint64_t gso_features(uint8_t kind)
{
	switch (kind) {
	case VIRTIO_NET_HDR_GSO_TCPV4:
		return VIRTIO_NET_F_GUEST_TSO4;
	case VIRTIO_NET_HDR_GSO_TCPV6:
		return VIRTIO_NET_F_GUEST_TSO6;
	case VIRTIO_NET_HDR_GSO_UDP:
		return VIRTIO_NET_F_GUEST_UFO;
	case VIRTIO_NET_HDR_GSO_UDP_L4:
		return VIRTIO_NET_F_GUEST_USO4 | VIRTIO_NET_F_GUEST_USO6;
	default:
		return 0;
	}
}

/* Section 5.1.6.4.2: kinds that were not negotiated are not to be believed. */
static bool take_gso(struct pv_netdrv_received *packet, const struct virtio_net_hdr *header,
                     uint64_t features)
{
	const uint8_t kind = header->gso_type & (uint8_t)~VIRTIO_NET_HDR_GSO_ECN;

	packet->gso_type = header->gso_type;
	if (header->gso_type == VIRTIO_NET_HDR_GSO_NONE)
		return true;
	packet->gso_size = pv_le16_get(header->gso_size);
	packet->hdr_len = pv_le16_get(header->hdr_len);
	if (packet->hdr_len > packet->bytes)
		packet->hdr_len = (uint16_t)packet->bytes;
	if (header->gso_type != kind && !(features & VIRTIO_NET_F_GUEST_ECN))
		return false;
	return features & gso_features(kind) && packet->gso_size > 0;
}

static bool take_checksum(struct pv_netdrv_received *packet, const struct virtio_net_hdr *header,
                          uint64_t features)
{
	packet->checksum = PV_NETDRV_CHECKSUM_UNKNOWN;
	if (header->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) {
		packet->checksum = PV_NETDRV_CHECKSUM_PARTIAL;
		packet->csum_start = pv_le16_get(header->csum_start);
		packet->csum_offset = pv_le16_get(header->csum_offset);
		return features & VIRTIO_NET_F_GUEST_CSUM &&
		       (uint32_t)packet->csum_start + packet->csum_offset + 2 <= packet->bytes;
	}
	if (header->flags & VIRTIO_NET_HDR_F_DATA_VALID && features & VIRTIO_NET_F_GUEST_CSUM)
		packet->checksum = PV_NETDRV_CHECKSUM_VALID;
	return true;
}

/* Advice: a kind that does not exist is none. */
static void take_hash(struct pv_netdrv_received *packet, const struct virtio_net_hdr_hash *header,
                      uint64_t features)
{
	const uint16_t report = pv_le16_get(header->hash_report);

	if (!(features & VIRTIO_NET_F_HASH_REPORT) || report == VIRTIO_NET_HASH_REPORT_NONE ||
	    report > VIRTIO_NET_HASH_REPORT_UDPv6_EX)
		return;
	packet->hash_report = (uint8_t)report;
	packet->hash_value = pv_le32_get(header->hash_value);
}

static bool take_header(const struct pv_netdrv_queue *queue, struct pv_netdrv_received *packet,
                        const struct virtio_net_hdr_hash *header)
{
	const uint64_t features = queue->net->info.features;

	if (packet->bytes < PV_NETDRV_FRAME_MIN || packet->bytes > PV_NETDRV_FRAME_MAX)
		return false;
	take_hash(packet, header, features);
	return take_gso(packet, &header->mrg.hdr, features) &&
	       take_checksum(packet, &header->mrg.hdr, features);
}

/* ---- off the ring ---- */

/*
 * The other buffers of a packet, behind the first one. They are there if the device tells the
 * truth: it shows all of them at once (section 5.1.6.4).
 */
static bool gather(struct pv_netdrv_queue *queue, struct pv_netdrv_received *packet,
                   uint16_t buffers)
{
	struct pv_netdrv_buffer *last = packet->buffer;
	bool makes_sense = buffers > 0;

	while (packet->buffers < buffers) {
		uint32_t written_bytes;
		void *token;

		if (pv_drv_ring_take(&queue->base.ring, &token, &written_bytes) != PV_DRV_TAKEN)
			return false;
		last->next = token;
		last = token;
		take_back(queue, last);
		last->at = 0;
		last->bytes = written_bytes;
		last->next = NULL;
		packet->buffers++;
		if (written_bytes == 0 || written_bytes > PV_NETDRV_FRAME_MAX - packet->bytes)
			makes_sense = false;
		else
			packet->bytes += written_bytes;
	}
	return makes_sense;
}

/* A packet from its first buffer on, in which `written_bytes` are. */
static bool take_packet(struct pv_netdrv_queue *queue, struct pv_netdrv_received *packet,
                        uint32_t written_bytes)
{
	struct pv_netdrv_buffer *first = packet->buffer;
	struct virtio_net_hdr_hash header = { 0 };

	take_back(queue, first);
	first->at = queue->header_bytes;
	first->bytes = written_bytes - queue->header_bytes;
	first->next = NULL;
	packet->buffers = 1;
	if (written_bytes < queue->header_bytes)
		return false;
	pv_copy_once(&header, first->memory.memory, queue->header_bytes);
	packet->bytes = first->bytes;
	if (queue->net->info.features & VIRTIO_NET_F_MRG_RXBUF) {
		if (packet->bytes > PV_NETDRV_FRAME_MAX ||
		    !gather(queue, packet, pv_le16_get(header.mrg.num_buffers)))
			return false;
	}
	return take_header(queue, packet, &header);
}

/* For the device once more; published when the poll is over. What cannot be posted goes back. */
static void post_again(struct pv_netdrv_queue *queue, struct pv_netdrv_buffer *buffer)
{
	const struct pv_netdrv_options *options = &queue->net->options;
	int error = add_buffer(queue, buffer);

	queue->has_added = true;
	if (error && !buffer->is_own && options->returned)
		options->returned(queue, buffer, error, options->arg);
}

static void post_all_again(struct pv_netdrv_queue *queue, struct pv_netdrv_buffer *buffer)
{
	while (buffer) {
		struct pv_netdrv_buffer *next = buffer->next;

		post_again(queue, buffer);
		buffer = next;
	}
}

static bool receive(struct pv_netdrv_queue *queue, struct pv_netdrv_buffer *first,
                    uint32_t written_bytes)
{
	const struct pv_netdrv_options *options = &queue->net->options;
	struct pv_netdrv_received packet = { .buffer = first };
	const bool makes_sense = take_packet(queue, &packet, written_bytes);
	const bool is_own = first->is_own;

	if (makes_sense) {
		queue->counters.packets++;
		queue->counters.bytes += packet.bytes;
		if (options->received)
			options->received(queue, &packet, options->arg);
	} else {
		queue->counters.malformed++;
	}
	if (is_own || !makes_sense)
		post_all_again(queue, first);
	return makes_sense;
}

/* What is posted meanwhile is published when it is over, so that there is an end. */
uint32_t pv_netdrv_poll_rx(struct pv_netdrv_queue *queue, uint32_t packets_max)
{
	uint32_t written_bytes, packets = 0, looks = queue->base.ring.size;
	void *token;

	while (packets < packets_max && looks-- > 0 &&
	       pv_drv_ring_take(&queue->base.ring, &token, &written_bytes) == PV_DRV_TAKEN)
		packets += receive(queue, token, written_bytes);
	if (queue->has_added)
		pv_driver_queue_publish(&queue->base);
	queue->has_added = false;
	return packets;
}

/* ---- a device that was reset ---- */

static int repeat_buffer(struct pv_driver_queue *base, struct pv_driver_request *request)
{
	struct pv_netdrv_queue *queue = (struct pv_netdrv_queue *)base;

	take_back(queue, (struct pv_netdrv_buffer *)request);
	return add_buffer(queue, (struct pv_netdrv_buffer *)request);
}

static void end_buffer(struct pv_driver_queue *base, struct pv_driver_request *request, int error)
{
	struct pv_netdrv_buffer *buffer = (struct pv_netdrv_buffer *)request;
	struct pv_netdrv_queue *queue = (struct pv_netdrv_queue *)base;
	const struct pv_netdrv_options *options = &queue->net->options;

	take_back(queue, buffer);
	if (!buffer->is_own && options->returned)
		options->returned(queue, buffer, error, options->arg);
}

const struct pv_driver_request_ops pv_netdrv_receive_ops = { repeat_buffer, end_buffer };
