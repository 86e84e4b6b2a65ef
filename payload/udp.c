/* SPDX-License-Identifier: BSD-2-Clause */
#include "payload/udp.h"

#define MAC_BYTES   6u
#define ETHER_BYTES 14u
#define IP_BYTES    20u
#define OUR_PORT    4000u

static const uint8_t guest[4] = { 10, 0, 2, 15 };
static const uint8_t host[4] = { 10, 0, 2, 2 };

static uint8_t *put(uint8_t *at, const uint8_t *bytes, uint32_t count)
{
	__builtin_memcpy(at, bytes, count);
	return at + count;
}

static uint8_t *put_be16(uint8_t *at, uint32_t number)
{
	at[0] = (uint8_t)(number >> 8);
	at[1] = (uint8_t)number;
	return at + 2;
}

static uint32_t ip_checksum(const uint8_t *ip)
{
	uint32_t sum = 0;

	for (uint32_t i = 0; i < IP_BYTES; i += 2)
		sum += (uint32_t)ip[i] << 8 | ip[i + 1];
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return ~sum & 0xffff;
}

/* To everybody: whoever the host is takes it. */
static uint8_t *put_ether(uint8_t *frame, const uint8_t *mac, uint16_t protocol)
{
	__builtin_memset(frame, 0xff, MAC_BYTES);
	return put_be16(put(frame + MAC_BYTES, mac, MAC_BYTES), protocol);
}

void udp_head(uint8_t *frame, const uint8_t *mac, uint16_t bytes, uint16_t port)
{
	static const uint8_t since_length[] = { 0, 0, 0x40, 0, 64, 17, 0, 0 };
	uint8_t *ip = put_ether(frame, mac, 0x0800), *at = ip;

	*at++ = 0x45;
	*at++ = 0;
	at = put_be16(at, bytes - ETHER_BYTES);
	at = put(at, since_length, sizeof(since_length));
	at = put(put(at, guest, sizeof(guest)), host, sizeof(host));
	put_be16(ip + 10, ip_checksum(ip));
	at = put_be16(put_be16(at, OUR_PORT), port);
	at = put_be16(at, bytes - ETHER_BYTES - IP_BYTES);
	put_be16(at, 0);
}

void udp_arp(uint8_t *frame, const uint8_t *mac)
{
	static const uint8_t question[] = { 0, 1, 8, 0, 6, 4, 0, 1 };
	uint8_t *at = put_ether(frame, mac, 0x0806);

	at = put(put(at, question, sizeof(question)), mac, MAC_BYTES);
	at = put(at, guest, sizeof(guest));
	__builtin_memset(at, 0, MAC_BYTES);
	at = put(at + MAC_BYTES, host, sizeof(host));
	__builtin_memset(at, 0, (size_t)(frame + ARP_BYTES - at));
}
