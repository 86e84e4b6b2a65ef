/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where the headers of a frame are: Ethernet with up to two VLAN tags, IPv4 or IPv6 with what
 * stands between it and the transport's header.  Everything here is found in the bytes at hand or
 * is said not to be there; nothing is trusted.
 */
#ifndef PV_DEVICES_NET_HEADERS_H
#define PV_DEVICES_NET_HEADERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PV_NET_IPV4_BYTES 20u /* without options */
#define PV_NET_IPV6_BYTES 40u
#define PV_NET_TCP_BYTES  20u /* without options */
#define PV_NET_UDP_BYTES  8u

/* Options of IPv4 (RFC 791, section 3.1). */
#define PV_NET_IPV4_OPTION_END    0u
#define PV_NET_IPV4_OPTION_NOP    1u
#define PV_NET_IPV4_OPTION_COPIED 0x80u /* a bit: it is in all fragments */

#define PV_NET_PROTOCOL_TCP      6u
#define PV_NET_PROTOCOL_UDP      17u
#define PV_NET_PROTOCOL_FRAGMENT 44u

/* Offsets into the frame. No header is at 0: that says that there is none. */
struct pv_net_headers {
	uint16_t network;   /* IPv4 or IPv6, all of it without options or extensions at hand */
	uint16_t transport; /* at hand as far as the four bytes of the ports */

	/*
	 * The addresses that a checksum covers: those of the IP header, but the last one of a route
	 * where the packet is on its way there, and the home address of a mobile node.
	 */
	uint16_t source, destination;
	uint16_t mobile_route; /* the address in a routing header of type 2 */

	/*
	 * Where an IPv6 fragment header has its place: behind what each router looks at. And the
	 * byte which says what stands there.
	 */
	uint16_t fragmentable, fragmentable_protocol;

	uint8_t protocol; /* of the transport */
	bool is_ipv6;
	bool has_extensions; /* IPv6 */
	bool is_fragment;    /* one of several: it has no transport */
};

/* Finds them in the first `bytes` of a frame, which nobody changes meanwhile. */
void pv_net_headers_find(struct pv_net_headers *headers, const uint8_t *frame, size_t bytes);

/* Bytes of an option of IPv4 that begins there, of a list with so many left. 0: the list ends here.
 */
size_t pv_net_ipv4_option_bytes(const uint8_t *option, size_t room);

/* ---- fields of headers, which are big-endian ---- */

static inline uint16_t pv_net_get16(const uint8_t *field)
{
	return (uint16_t)(field[0] << 8 | field[1]);
}

static inline uint32_t pv_net_get32(const uint8_t *field)
{
	return (uint32_t)pv_net_get16(field) << 16 | pv_net_get16(field + 2);
}

static inline void pv_net_put16(uint8_t *field, uint32_t value)
{
	field[0] = (uint8_t)(value >> 8);
	field[1] = (uint8_t)value;
}

static inline void pv_net_put32(uint8_t *field, uint32_t value)
{
	pv_net_put16(field, value >> 16);
	pv_net_put16(field + 2, value);
}

#endif
