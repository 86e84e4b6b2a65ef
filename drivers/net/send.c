/* SPDX-License-Identifier: BSD-2-Clause */
/* The way of a packet out: checked, put on the ring behind its header, and ended. */
#include "drivers/net/internal.h"
#include "ring/err.h"

/* An Ethernet header and two VLAN tags, none of which an MTU counts. */
#define FRAME_HEAD_BYTES (PV_NETDRV_FRAME_MIN + 8u)

/* ---- what may go out ---- */

/* The bytes of all buffers; 0 when one has none, or there are too many for one frame. */
static uint32_t sum_bytes(const struct pv_netdrv_packet *packet)
{
	uint32_t bytes = 0;

	for (uint32_t i = 0; i < packet->buffers; i++) {
		const uint32_t more = packet->buffer[i].bytes;

		if (more == 0 || more > PV_NETDRV_FRAME_MAX - bytes)
			return 0;
		bytes += more;
	}
	return bytes;
}

/* The features that this work needs; 0 for work that does not exist. */
static uint64_t gso_features(uint8_t gso_type)
{
	const uint64_t ecn = gso_type & VIRTIO_NET_HDR_GSO_ECN ? VIRTIO_NET_F_HOST_ECN : 0;

	switch (gso_type & ~VIRTIO_NET_HDR_GSO_ECN) {
	case VIRTIO_NET_HDR_GSO_TCPV4:
		return VIRTIO_NET_F_HOST_TSO4 | ecn;
	case VIRTIO_NET_HDR_GSO_TCPV6:
		return VIRTIO_NET_F_HOST_TSO6 | ecn;
	case VIRTIO_NET_HDR_GSO_UDP:
		return ecn ? 0 : VIRTIO_NET_F_HOST_UFO;
	case VIRTIO_NET_HDR_GSO_UDP_L4:
		return ecn ? 0 : VIRTIO_NET_F_HOST_USO;
	default:
		return 0;
	}
}

/* Section 5.1.6.2.1: what is to be cut has a partial checksum, too. */
static int check_gso(const struct pv_netdrv_info *info, const struct pv_netdrv_packet *packet,
                     uint32_t bytes)
{
	const uint64_t needed = gso_features(packet->gso_type);

	if (needed == 0)
		return -PV_EINVAL;
	if ((info->features & needed) != needed)
		return -PV_ENOTSUP;
	if (packet->gso_size == 0 || !packet->needs_checksum)
		return -PV_EINVAL;
	return packet->hdr_len >= PV_NETDRV_FRAME_MIN && packet->hdr_len <= bytes ? 0 : -PV_EINVAL;
}

static int check_checksum(const struct pv_netdrv_info *info, const struct pv_netdrv_packet *packet,
                          uint32_t bytes)
{
	if (!(info->features & VIRTIO_NET_F_CSUM))
		return -PV_ENOTSUP;
	return (uint32_t)packet->csum_start + packet->csum_offset + 2 <= bytes ? 0 : -PV_EINVAL;
}

static int check(const struct pv_netdrv_info *info, const struct pv_netdrv_packet *packet,
                 uint32_t bytes)
{
	int error = 0;

	if (bytes < PV_NETDRV_FRAME_MIN)
		return -PV_EINVAL;
	if (packet->gso_type != VIRTIO_NET_HDR_GSO_NONE)
		error = check_gso(info, packet, bytes);
	else if (info->mtu && bytes > info->mtu + FRAME_HEAD_BYTES)
		error = -PV_EINVAL;
	if (!error && packet->needs_checksum)
		error = check_checksum(info, packet, bytes);
	return error;
}

/* ---- onto the ring ---- */

/*
 * All but its last field as one number: to copy a header that was just put together field by field
 * makes the processor wait until all it wrote before has gone out, to where the device looks too.
 */
static void write_header(const struct pv_netdrv_queue *queue, const struct pv_netdrv_packet *packet,
                         uint8_t *to)
{
	const uint32_t flags = packet->needs_checksum ? VIRTIO_NET_HDR_F_NEEDS_CSUM : 0;
	const uint32_t low = flags | (uint32_t)packet->gso_type << 8 |
	                     (uint32_t)packet->hdr_len << 16;
	const uint32_t high = packet->gso_size | (uint32_t)packet->csum_start << 16;
	const struct pv_le64 head = pv_le64_of((uint64_t)high << 32 | low);
	const struct pv_le16 tail = pv_le16_of(packet->csum_offset);

	__builtin_memset(to + sizeof(head), 0, queue->header_bytes - sizeof(head));
	__builtin_memcpy(to, &head, sizeof(head));
	__builtin_memcpy(to + sizeof(head), &tail, sizeof(tail));
}

static int add(struct pv_netdrv_queue *queue, const struct pv_sg *sg, uint16_t pieces,
               struct pv_netdrv_packet *packet)
{
	int error = pv_drv_ring_add(&queue->base.ring, sg, pieces, 0, packet);

	if (error)
		pv_netdrv_unmap(queue, &packet->place);
	return error;
}

/* Header and frame as one piece; -PV_EINVAL when they come in several. */
static int add_whole(struct pv_netdrv_queue *queue, struct pv_netdrv_packet *packet)
{
	uint8_t *begin = (uint8_t *)packet->buffer->memory - queue->header_bytes;
	int error;

	write_header(queue, packet, begin);
	error = pv_netdrv_map_whole(queue, &packet->place, begin,
	                            packet->buffer->bytes + queue->header_bytes);
	return error ? error : add(queue, &packet->place.piece, 1, packet);
}

/* The header from shared memory, and the frame in as many pieces as it comes in. */
static int add_pieces(struct pv_netdrv_queue *queue, struct pv_netdrv_packet *packet)
{
	struct pv_netdrv_place *place = &packet->place;
	struct pv_sg *sg;
	size_t header_at;
	int error = pv_netdrv_map_pieces(queue, place, packet->buffer, packet->buffers);

	if (error)
		return error;
	header_at = (size_t)PV_NETDRV_HEADROOM * place->slot;
	write_header(queue, packet, queue->slots.header + header_at);
	sg = pv_netdrv_slot_sg(queue, place->slot);
	sg[0] = (struct pv_sg){ pv_gpa_add(queue->slots.header_gpa, header_at),
		                queue->header_bytes };
	return add(queue, sg, (uint16_t)(place->pieces + 1), packet);
}

static int add_packet(struct pv_netdrv_queue *queue, struct pv_netdrv_packet *packet)
{
	int error = -PV_EINVAL;

	if (packet->has_headroom && packet->buffers == 1 && !queue->splits_header)
		error = add_whole(queue, packet);
	return error == -PV_EINVAL ? add_pieces(queue, packet) : error;
}

int pv_netdrv_send(struct pv_netdrv_queue *queue, struct pv_netdrv_packet *packet)
{
	const uint32_t bytes = sum_bytes(packet);
	int error;

	packet->is_done = false;
	if (queue->base.ring.is_broken)
		return -PV_EBROKEN;
	error = check(&queue->net->info, packet, bytes);
	if (!error)
		error = add_packet(queue, packet);
	if (error)
		return error;
	pv_driver_request_begin(&queue->base, &packet->base,
	                        packet->timeout_ns ? packet->timeout_ns
	                                           : queue->net->options.send_timeout_ns);
	queue->counters.bytes += bytes;
	return 0;
}

/* ---- and off it ---- */

static void end(struct pv_netdrv_queue *queue, struct pv_netdrv_packet *packet, int error)
{
	pv_netdrv_unmap(queue, &packet->place);
	if (error)
		queue->counters.errors++;
	else
		queue->counters.packets++;
	packet->error = error;
	packet->is_done = true;
	if (packet->done)
		packet->done(packet);
}

uint32_t pv_netdrv_poll_tx(struct pv_netdrv_queue *queue, uint32_t packets_max)
{
	uint32_t done = 0, written_bytes;
	void *token;

	while (done < packets_max &&
	       pv_drv_ring_take(&queue->base.ring, &token, &written_bytes) == PV_DRV_TAKEN) {
		end(queue, token, 0);
		done++;
	}
	return done;
}

/* ---- a device that was reset ---- */

static int repeat_packet(struct pv_driver_queue *base, struct pv_driver_request *request)
{
	struct pv_netdrv_packet *packet = (struct pv_netdrv_packet *)request;
	struct pv_netdrv_queue *queue = (struct pv_netdrv_queue *)base;

	pv_netdrv_unmap(queue, &packet->place);
	return add_packet(queue, packet);
}

static void end_packet(struct pv_driver_queue *base, struct pv_driver_request *request, int error)
{
	end((struct pv_netdrv_queue *)base, (struct pv_netdrv_packet *)request, error);
}

const struct pv_driver_request_ops pv_netdrv_send_ops = { repeat_packet, end_packet };
