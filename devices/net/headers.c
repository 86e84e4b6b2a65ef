/* SPDX-License-Identifier: BSD-2-Clause */
#include "devices/net/headers.h"

#define ETHERTYPE_AT       12u
#define ETHERTYPE_IPV4     0x0800u
#define ETHERTYPE_IPV6     0x86ddu
#define ETHERTYPE_VLAN     0x8100u
#define ETHERTYPE_PROVIDER 0x88a8u /* the outer one of two tags */
#define VLAN_TAGS_MAX      2
#define VLAN_TAG_BYTES     4u

#define IPV4_MORE_OR_OFFSET 0x3fffu
#define IPV4_ADDRESS_BYTES  4u
#define PORTS_BYTES         4u

/* Options of IPv4 (RFC 791, section 3.1). */
enum {
	LOOSE_ROUTE = 131,
	STRICT_ROUTE = 137,
};

/* What may stand between IPv6 and the transport (RFC 8200 and IANA's list of extension headers). */
enum {
	HOP_BY_HOP = 0,
	ROUTING = 43,
	FRAGMENT = PV_NET_PROTOCOL_FRAGMENT,
	AUTHENTICATION = 51,
	DESTINATION_OPTIONS = 60,
	MOBILITY = 135,
	HOST_IDENTITY = 139,
	SHIM6 = 140,
};

/* All of them but FRAGMENT have the next header's number first, then their length. */
#define EXTENSION_BYTES_MIN 8u

#define OPTION_PAD1         0u
#define OPTION_HOME_ADDRESS 0xc9u
#define ADDRESS_BYTES       16u

/* The frame, as far as it is at hand, and how far it has been looked at. */
struct walk {
	const uint8_t *frame;
	size_t bytes;
	size_t at;
};

static bool has(const struct walk *walk, size_t bytes)
{
	return walk->at <= walk->bytes && bytes <= walk->bytes - walk->at;
}

/* Stands behind Ethernet and its tags afterwards. Returns the type of what is there; 0: nothing. */
static uint16_t pass_ethernet(struct walk *walk)
{
	uint16_t type;

	walk->at = ETHERTYPE_AT;
	for (int tags = 0; has(walk, 2); tags++) {
		type = pv_net_get16(walk->frame + walk->at);
		if (type != ETHERTYPE_VLAN && type != ETHERTYPE_PROVIDER) {
			walk->at += 2;
			return type;
		}
		if (tags == VLAN_TAGS_MAX)
			return 0;
		walk->at += VLAN_TAG_BYTES;
	}
	return 0;
}

/* The transport is here, if it is one with ports, that are at hand. */
static void found_transport(struct pv_net_headers *headers, const struct walk *walk,
                            uint8_t protocol)
{
	headers->protocol = protocol;
	if (has(walk, PORTS_BYTES))
		headers->transport = (uint16_t)walk->at;
}

size_t pv_net_ipv4_option_bytes(const uint8_t *option, size_t room)
{
	if (room == 0 || option[0] == PV_NET_IPV4_OPTION_END)
		return 0;
	if (option[0] == PV_NET_IPV4_OPTION_NOP)
		return 1;
	return room >= 2 && option[1] >= 2 && option[1] <= room ? option[1] : 0;
}

/*
 * A packet on its way along a source route has its last address there (RFC 791, section 3.1): it is
 * behind the first three bytes, of which the third says where the next one stands.
 */
static void look_at_ipv4_options(struct pv_net_headers *headers, const uint8_t *frame, size_t at,
                                 size_t end)
{
	size_t bytes;

	while ((bytes = pv_net_ipv4_option_bytes(frame + at, end - at)) > 0) {
		bool is_route = frame[at] == LOOSE_ROUTE || frame[at] == STRICT_ROUTE;

		if (is_route && bytes >= 3 + IPV4_ADDRESS_BYTES && frame[at + 2] <= bytes)
			headers->destination = (uint16_t)(at + bytes - IPV4_ADDRESS_BYTES);
		at += bytes;
	}
}

static void find_ipv4(struct pv_net_headers *headers, struct walk *walk)
{
	const uint8_t *ip = walk->frame + walk->at;
	size_t ip_bytes;

	if (!has(walk, PV_NET_IPV4_BYTES) || ip[0] >> 4 != 4)
		return;
	ip_bytes = (ip[0] & 15u) * 4u;
	if (ip_bytes < PV_NET_IPV4_BYTES)
		return;
	headers->network = (uint16_t)walk->at;
	headers->source = (uint16_t)(walk->at + 12);
	headers->destination = (uint16_t)(walk->at + 16);
	headers->is_fragment = pv_net_get16(ip + 6) & IPV4_MORE_OR_OFFSET;
	if (has(walk, ip_bytes))
		look_at_ipv4_options(headers, walk->frame, walk->at + PV_NET_IPV4_BYTES,
		                     walk->at + ip_bytes);
	walk->at += ip_bytes;
	headers->fragmentable = (uint16_t)walk->at;
	if (!headers->is_fragment)
		found_transport(headers, walk, ip[9]);
}

/* ---- IPv6 ---- */

static bool is_extension(uint8_t protocol)
{
	return protocol == HOP_BY_HOP || protocol == ROUTING || protocol == FRAGMENT ||
	       protocol == AUTHENTICATION || protocol == DESTINATION_OPTIONS ||
	       protocol == MOBILITY || protocol == HOST_IDENTITY || protocol == SHIM6;
}

static size_t extension_bytes(uint8_t protocol, uint8_t length)
{
	if (protocol == FRAGMENT)
		return 8;
	return protocol == AUTHENTICATION ? (length + 2u) * 4u : (length + 1u) * 8u;
}

/* A home address among the options of a header (RFC 6275, section 6.3). */
static void look_at_options(struct pv_net_headers *headers, const uint8_t *frame, size_t at,
                            size_t end)
{
	while (at + 2 <= end) {
		size_t bytes = frame[at] == OPTION_PAD1 ? 1 : frame[at + 1] + 2u;

		if (frame[at] == OPTION_HOME_ADDRESS && bytes == 2 + ADDRESS_BYTES &&
		    at + bytes <= end)
			headers->source = (uint16_t)(at + 2);
		at += bytes;
	}
}

/*
 * A packet on its way has its last address in the routing header: the first one of type 2 (RFC
 * 6275, section 6.4) and of segment routing (RFC 8754), the last one of type 0.
 */
static void look_at_route(struct pv_net_headers *headers, const uint8_t *frame, size_t at,
                          size_t end)
{
	uint8_t type = frame[at + 2], segments_left = frame[at + 3];

	if (segments_left == 0 || end - at < 8 + ADDRESS_BYTES)
		return;
	if (type == 2 && segments_left == 1)
		headers->mobile_route = (uint16_t)(at + 8);
	if (type == 2 || type == 4)
		headers->destination = (uint16_t)(at + 8);
	else if (type == 0)
		headers->destination = (uint16_t)(end - ADDRESS_BYTES);
}

static void look_at_extension(struct pv_net_headers *headers, const struct walk *walk,
                              uint8_t protocol, size_t bytes)
{
	size_t end = walk->at + bytes;

	if (protocol == DESTINATION_OPTIONS)
		look_at_options(headers, walk->frame, walk->at + 2, end);
	else if (protocol == ROUTING)
		look_at_route(headers, walk->frame, walk->at, end);
	else if (protocol == FRAGMENT)
		headers->is_fragment = pv_net_get16(walk->frame + walk->at + 2) & 0xfff9u;
	/* Destination options in front of a route are for each hop on it, and stay before it. */
	if (protocol == HOP_BY_HOP || protocol == ROUTING) {
		headers->fragmentable = (uint16_t)end;
		headers->fragmentable_protocol = (uint16_t)walk->at;
	}
}

/* Each step is one of EXTENSION_BYTES_MIN at least, so that it ends. */
static void find_ipv6_transport(struct pv_net_headers *headers, struct walk *walk, uint8_t protocol)
{
	while (is_extension(protocol)) {
		const uint8_t *extension = walk->frame + walk->at;
		size_t bytes;

		headers->has_extensions = true;
		if (!has(walk, EXTENSION_BYTES_MIN))
			return;
		bytes = extension_bytes(protocol, extension[1]);
		if (!has(walk, bytes))
			return;
		look_at_extension(headers, walk, protocol, bytes);
		if (headers->is_fragment)
			return;
		protocol = extension[0];
		walk->at += bytes;
	}
	found_transport(headers, walk, protocol);
}

static void find_ipv6(struct pv_net_headers *headers, struct walk *walk)
{
	const uint8_t *ip = walk->frame + walk->at;
	uint16_t network = (uint16_t)walk->at;

	if (!has(walk, PV_NET_IPV6_BYTES) || ip[0] >> 4 != 6)
		return;
	headers->is_ipv6 = true;
	headers->network = network;
	headers->source = (uint16_t)(network + 8);
	headers->destination = (uint16_t)(network + 24);
	headers->fragmentable_protocol = (uint16_t)(network + 6);
	walk->at += PV_NET_IPV6_BYTES;
	headers->fragmentable = (uint16_t)walk->at;
	find_ipv6_transport(headers, walk, ip[6]);
}

void pv_net_headers_find(struct pv_net_headers *headers, const uint8_t *frame, size_t bytes)
{
	struct walk walk = { frame, bytes, 0 };
	uint16_t type = pass_ethernet(&walk);

	*headers = (struct pv_net_headers){ 0 };
	if (type == ETHERTYPE_IPV4)
		find_ipv4(headers, &walk);
	else if (type == ETHERTYPE_IPV6)
		find_ipv6(headers, &walk);
}
