/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/support/net_packet.h"

#include <stdlib.h>
#include <string.h>

#include "ring/err.h"

#define HEADERS_MAX 256u

enum { TCP = 6, UDP = 17, DESTINATION_OPTIONS = 60 };

static void put(struct pv_net_packet *packet, const void *data, size_t bytes)
{
	memcpy(packet->frame + packet->bytes, data, bytes);
	packet->bytes += (uint32_t)bytes;
}

static void put_random(struct pv_net_packet *packet, struct pv_random *random, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++)
		packet->frame[packet->bytes++] = (uint8_t)pv_random_below(random, 256);
}

static void put16(struct pv_net_packet *packet, uint32_t value)
{
	pv_net_be16_put(packet->frame + packet->bytes, value);
	packet->bytes += 2;
}

static void put_ethernet(struct pv_net_packet *packet, struct pv_random *random)
{
	uint32_t tags = pv_random_below(random, 3);

	put(packet, "\2\0\0\0\0\1\2\0\0\0\0\2", 12);
	for (uint32_t i = 0; i < tags; i++) {
		put16(packet, i + 1 < tags ? 0x88a8 : 0x8100);
		put16(packet, pv_random_below(random, 0x10000));
	}
	put16(packet, packet->is_ipv6 ? 0x86dd : 0x0800);
	packet->network = packet->bytes;
}

/* Options that do nothing, but for the last one of a list, which is not copied to fragments. */
static void put_ipv4(struct pv_net_packet *packet, struct pv_random *random)
{
	uint32_t options = pv_random_below(random, 4);
	uint8_t *ip = packet->frame + packet->network;

	put_random(packet, random, 20);
	ip[0] = (uint8_t)(0x45 + options);
	pv_net_be16_put(ip + 6, pv_random_chance(random, 50) ? 0x4000 : 0);
	ip[9] = packet->is_tcp ? TCP : UDP;
	pv_net_be16_put(ip + 10, 0);
	for (; options > 0; options--)
		put(packet, options > 1 ? "\1\1\1\1" : "\x58\4\7\7", 4);
}

static void put_ipv6(struct pv_net_packet *packet, struct pv_random *random)
{
	uint32_t extension_bytes = 8 * pv_random_below(random, 4);
	uint8_t *ip = packet->frame + packet->network, protocol = packet->is_tcp ? TCP : UDP;

	put_random(packet, random, 40);
	ip[0] = 0x60;
	ip[6] = extension_bytes ? DESTINATION_OPTIONS : protocol;
	if (extension_bytes == 0)
		return;
	put(packet, (uint8_t[]){ protocol, (uint8_t)(extension_bytes / 8 - 1) }, 2);
	memset(packet->frame + packet->bytes, 0, extension_bytes - 2);
	packet->bytes += extension_bytes - 2;
}

static void put_transport(struct pv_net_packet *packet, struct pv_random *random)
{
	uint32_t words = 5 + pv_random_below(random, 11);
	uint8_t *transport = packet->frame + packet->bytes;

	packet->transport = packet->bytes;
	put_random(packet, random, packet->is_tcp ? 4 * words : 8);
	if (packet->is_tcp)
		transport[12] = (uint8_t)(words << 4);
	packet->payload = packet->bytes;
}

/* The lengths of all of it, as far as they can be said, and the partial checksum. */
static void finish_as_driver(struct pv_net_packet *packet)
{
	uint8_t *ip = packet->frame + packet->network;
	uint8_t *transport = packet->frame + packet->transport;
	uint32_t transport_bytes = packet->bytes - packet->transport;

	if (packet->is_ipv6) {
		pv_net_be16_put(ip + 4, packet->bytes - packet->network - 40);
	} else {
		pv_net_be16_put(ip + 2, packet->bytes - packet->network);
		pv_net_be16_put(ip + 10,
		                0xffffu ^ pv_net_plain_sum(ip, packet->transport - packet->network,
		                                           0));
	}
	if (!packet->is_tcp)
		pv_net_be16_put(transport + 4, transport_bytes);
	pv_net_be16_put(transport + (packet->is_tcp ? 16 : 6),
	                pv_net_pseudo_sum(packet, packet->frame, transport_bytes));
}

void pv_net_packet_make(struct pv_net_packet *packet, struct pv_random *random, uint8_t kind,
                        uint32_t payload_bytes, uint16_t gso_size)
{
	bool is_any = pv_random_chance(random, 50);

	memset(packet, 0, sizeof(*packet));
	packet->frame = malloc(HEADERS_MAX + payload_bytes);
	pv_bug_on(!packet->frame);
	packet->is_tcp = kind == VIRTIO_NET_HDR_GSO_TCPV4 || kind == VIRTIO_NET_HDR_GSO_TCPV6 ||
	                 (kind == VIRTIO_NET_HDR_GSO_NONE && is_any);
	packet->is_ipv6 = kind == VIRTIO_NET_HDR_GSO_TCPV6 ||
	                  (kind != VIRTIO_NET_HDR_GSO_TCPV4 && pv_random_chance(random, 50));
	put_ethernet(packet, random);
	if (packet->is_ipv6)
		put_ipv6(packet, random);
	else
		put_ipv4(packet, random);
	put_transport(packet, random);
	put_random(packet, random, payload_bytes);
	finish_as_driver(packet);
	packet->hdr = (struct virtio_net_hdr){
		.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
		.gso_type = kind,
		.hdr_len = pv_le16_of((uint16_t)packet->payload),
		.gso_size = pv_le16_of(gso_size),
		.csum_start = pv_le16_of((uint16_t)packet->transport),
		.csum_offset = pv_le16_of(packet->is_tcp ? 16 : 6),
	};
}

void pv_net_packet_free(struct pv_net_packet *packet)
{
	free(packet->frame);
}

uint16_t pv_net_packet_pieces(const struct pv_net_packet *packet, struct pv_random *random,
                              struct pv_iov *iov)
{
	uint32_t at = 0;
	uint16_t pieces = 0;

	while (at < packet->bytes) {
		bool is_last = pieces + 1u == PV_NET_PACKET_PIECES || pv_random_chance(random, 20);
		uint32_t some = pv_random_below(random, pv_random_chance(random, 50) ? 70 : 5000);

		if (is_last || some > packet->bytes - at)
			some = packet->bytes - at;
		iov[pieces++] = (struct pv_iov){ packet->frame + at, some };
		at += some;
	}
	return pieces;
}

/* ---- what must come out ---- */

uint16_t pv_net_plain_sum(const uint8_t *data, uint32_t bytes, uint32_t before)
{
	uint32_t sum = before;

	for (uint32_t i = 0; i < bytes; i++) {
		sum += i % 2 ? data[i] : (uint32_t)data[i] << 8;
		sum = (sum & 0xffff) + (sum >> 16);
	}
	return (uint16_t)((sum & 0xffff) + (sum >> 16));
}

uint16_t pv_net_pseudo_sum(const struct pv_net_packet *packet, const uint8_t *frame,
                           uint32_t transport_bytes)
{
	const uint8_t *addresses = frame + packet->network + (packet->is_ipv6 ? 8 : 12);

	return pv_net_plain_sum(addresses, packet->is_ipv6 ? 32 : 8,
	                        (packet->is_tcp ? TCP : UDP) + transport_bytes);
}

bool pv_net_ip_is_sound(const struct pv_net_packet *packet, const uint8_t *frame, uint32_t bytes)
{
	const uint8_t *ip = frame + packet->network;

	if (packet->is_ipv6)
		return pv_net_be16(ip + 4) == bytes - packet->network - 40;
	return pv_net_be16(ip + 2) == bytes - packet->network &&
	       pv_net_plain_sum(ip, (ip[0] & 15u) * 4u, 0) == 0xffff;
}

bool pv_net_frame_is_sound(const struct pv_net_packet *packet, const uint8_t *frame, uint32_t bytes)
{
	const uint8_t *transport = frame + packet->transport;
	uint32_t transport_bytes = bytes - packet->transport;
	uint16_t before = pv_net_pseudo_sum(packet, frame, transport_bytes);

	if (!pv_net_ip_is_sound(packet, frame, bytes) ||
	    pv_net_plain_sum(transport, transport_bytes, before) != 0xffff)
		return false;
	return packet->is_tcp ||
	       (pv_net_be16(transport + 4) == transport_bytes && pv_net_be16(transport + 6) != 0);
}
