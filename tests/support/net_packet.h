/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Packets as drivers leave them for a device to finish, and whether a finished frame is sound: by
 * plain code, which takes each byte by itself and shares nothing with the device's.
 */
#ifndef PV_TESTS_NET_PACKET_H
#define PV_TESTS_NET_PACKET_H

#include "devices/net/wire.h"
#include "tests/support/random.h"

#define PV_NET_PACKET_PIECES 24u

/* Offsets into the frame. */
struct pv_net_packet {
	struct virtio_net_hdr hdr;
	uint32_t bytes;
	uint32_t network, transport, payload;
	bool is_ipv6, is_tcp;
	uint8_t *frame;
};

/*
 * A packet of any tags, options and extensions, with a partial checksum. `kind`, one of
 * VIRTIO_NET_HDR_GSO_*, says what it is: NONE is TCP or UDP. It is to be cut to `gso_size`.
 */
void pv_net_packet_make(struct pv_net_packet *packet, struct pv_random *random, uint8_t kind,
                        uint32_t payload_bytes, uint16_t gso_size);
void pv_net_packet_free(struct pv_net_packet *packet);

/* Cuts the frame into pieces anywhere. Returns how many of `iov`, PV_NET_PACKET_PIECES, there are.
 */
uint16_t pv_net_packet_pieces(const struct pv_net_packet *packet, struct pv_random *random,
                              struct pv_iov *iov);

/* The sum of big-endian words, folded: 0xffff for what has its checksum in it. */
uint16_t pv_net_plain_sum(const uint8_t *data, uint32_t bytes, uint32_t before);

/* The sum of a packet's pseudo header for so many bytes from the transport on. */
uint16_t pv_net_pseudo_sum(const struct pv_net_packet *packet, const uint8_t *frame,
                           uint32_t transport_bytes);

/* IP says how long the frame is, and the checksum of an IPv4 header is right. */
bool pv_net_ip_is_sound(const struct pv_net_packet *packet, const uint8_t *frame, uint32_t bytes);

/* That, and the same for the transport; headers being where they are in the packet. */
bool pv_net_frame_is_sound(const struct pv_net_packet *packet, const uint8_t *frame,
                           uint32_t bytes);

static inline uint16_t pv_net_be16(const uint8_t *field)
{
	return (uint16_t)(field[0] << 8 | field[1]);
}

static inline void pv_net_be16_put(uint8_t *field, uint32_t value)
{
	field[0] = (uint8_t)(value >> 8);
	field[1] = (uint8_t)value;
}

#endif
