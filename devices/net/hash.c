/* SPDX-License-Identifier: BSD-2-Clause */
#include "devices/net/hash.h"

#include "devices/net/headers.h"
#include "ring/err.h"

#define ADDRESSES_BYTES_IPV4 8u
#define ADDRESS_BYTES_IPV6   16u
#define PORTS_BYTES          4u

/* The enabled ones of three kinds are tried in this order. */
struct kinds {
	uint32_t tcp, udp, ip;
};

static const struct kinds kinds_ipv4 = {
	VIRTIO_NET_HASH_TYPE_TCPv4,
	VIRTIO_NET_HASH_TYPE_UDPv4,
	VIRTIO_NET_HASH_TYPE_IPv4,
};

static const struct kinds kinds_ipv6 = {
	VIRTIO_NET_HASH_TYPE_TCPv6,
	VIRTIO_NET_HASH_TYPE_UDPv6,
	VIRTIO_NET_HASH_TYPE_IPv6,
};

static const struct kinds kinds_ipv6_ex = {
	VIRTIO_NET_HASH_TYPE_TCP_EX,
	VIRTIO_NET_HASH_TYPE_UDP_EX,
	VIRTIO_NET_HASH_TYPE_IP_EX,
};

/* ---- Toeplitz ---- */

/*
 * Each bit of the input that is set adds the 32 bits of the key that begin where that bit stands.
 * What a byte adds is what its lowest bit adds, and what the byte without that bit does.
 */
static void fill_table(uint32_t *table, const uint8_t *key)
{
	uint64_t bits = 0;

	for (size_t i = 0; i < 5; i++)
		bits = bits << 8 | key[i];
	table[0] = 0;
	for (uint32_t byte = 1; byte < 256; byte++) {
		uint32_t lowest = (uint32_t)__builtin_ctz(byte);

		table[byte] = table[byte & (byte - 1)] ^ (uint32_t)(bits >> (lowest + 1));
	}
}

void pv_net_hasher_set(struct pv_net_hasher *hasher, uint32_t types, const uint8_t *key,
                       size_t key_bytes)
{
	uint8_t whole[PV_NET_HASH_KEY_BYTES] = { 0 };

	pv_bug_on(key_bytes > sizeof(whole));
	__builtin_memcpy(whole, key, key_bytes);
	hasher->types = types;
	for (size_t i = 0; i < PV_NET_HASH_INPUT_MAX; i++)
		fill_table(hasher->table[i], whole + i);
}

uint32_t pv_net_toeplitz(const struct pv_net_hasher *hasher, const uint8_t *input, size_t bytes)
{
	uint32_t hash = 0;

	pv_bug_on(bytes > PV_NET_HASH_INPUT_MAX);
	for (size_t i = 0; i < bytes; i++)
		hash ^= hasher->table[i][input[i]];
	return hash;
}

/* ---- which fields count ---- */

static uint32_t choose(uint32_t types, const struct pv_net_headers *headers,
                       const struct kinds *kinds)
{
	if (headers->transport && headers->protocol == PV_NET_PROTOCOL_TCP && types & kinds->tcp)
		return kinds->tcp;
	if (headers->transport && headers->protocol == PV_NET_PROTOCOL_UDP && types & kinds->udp)
		return kinds->udp;
	return types & kinds->ip;
}

static uint32_t choose_ipv6(uint32_t types, const struct pv_net_headers *headers)
{
	uint32_t type = 0;

	if (headers->has_extensions)
		type = choose(types, headers, &kinds_ipv6_ex);
	return type ? type : choose(types, headers, &kinds_ipv6);
}

/* The addresses that stand for a node while it moves, as far as the packet has them. */
static size_t put_mobile_addresses(uint8_t *input, const uint8_t *frame,
                                   const struct pv_net_headers *headers)
{
	uint16_t destination = (uint16_t)(headers->network + 24);

	if (headers->mobile_route)
		destination = headers->mobile_route;
	__builtin_memcpy(input, frame + headers->source, ADDRESS_BYTES_IPV6);
	__builtin_memcpy(input + ADDRESS_BYTES_IPV6, frame + destination, ADDRESS_BYTES_IPV6);
	return 2 * ADDRESS_BYTES_IPV6;
}

/* Those of the IP header, one behind the other. */
static size_t put_addresses(uint8_t *input, const uint8_t *frame,
                            const struct pv_net_headers *headers)
{
	if (headers->is_ipv6) {
		__builtin_memcpy(input, frame + headers->network + 8, 2 * ADDRESS_BYTES_IPV6);
		return 2 * ADDRESS_BYTES_IPV6;
	}
	__builtin_memcpy(input, frame + headers->network + 12, ADDRESSES_BYTES_IPV4);
	return ADDRESSES_BYTES_IPV4;
}

static uint32_t hash_of_type(const struct pv_net_hasher *hasher, uint32_t type,
                             const uint8_t *frame, const struct pv_net_headers *headers)
{
	const uint32_t mobile = kinds_ipv6_ex.tcp | kinds_ipv6_ex.udp | kinds_ipv6_ex.ip;
	const uint32_t no_ports = kinds_ipv4.ip | kinds_ipv6.ip | kinds_ipv6_ex.ip;
	uint8_t input[PV_NET_HASH_INPUT_MAX];
	size_t bytes;

	bytes = type & mobile ? put_mobile_addresses(input, frame, headers)
	                      : put_addresses(input, frame, headers);
	if (!(type & no_ports)) {
		__builtin_memcpy(input + bytes, frame + headers->transport, PORTS_BYTES);
		bytes += PORTS_BYTES;
	}
	return pv_net_toeplitz(hasher, input, bytes);
}

uint32_t pv_net_hash(const struct pv_net_hasher *hasher, const uint8_t *frame, size_t bytes,
                     uint8_t *report)
{
	struct pv_net_headers headers;
	uint32_t type = 0;

	pv_net_headers_find(&headers, frame,
	                    bytes < PV_NET_HASH_LOOKS_AT ? bytes : PV_NET_HASH_LOOKS_AT);
	if (headers.network)
		type = headers.is_ipv6 ? choose_ipv6(hasher->types, &headers)
		                       : choose(hasher->types, &headers, &kinds_ipv4);
	*report = VIRTIO_NET_HASH_REPORT_NONE;
	if (!type)
		return 0;
	*report = (uint8_t)(__builtin_ctz(type) + 1);
	return hash_of_type(hasher, type, frame, &headers);
}
