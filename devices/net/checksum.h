/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The checksum of IP, TCP and UDP (RFC 1071): the ones' complement of the ones' complement sum of
 * 16-bit words.  Such a sum does not mind the order of bytes as long as it is the same for all
 * words and for the result, so words are added, and the result is stored, as they lie in memory.
 */
#ifndef PV_DEVICES_NET_CHECKSUM_H
#define PV_DEVICES_NET_CHECKSUM_H

#include <stddef.h>
#include <stdint.h>

/*
 * The sum of up to 64 MiB, not folded. A last odd byte counts as a word with a zero behind it. The
 * sums of pieces may be added if all but the last have even lengths.
 */
uint64_t pv_net_sum(const void *data, size_t bytes);

/* The same of one word that stands for this number. */
static inline uint64_t pv_net_sum_of(uint16_t value)
{
	const uint8_t word[2] = { (uint8_t)(value >> 8), (uint8_t)value };
	uint16_t raw;

	__builtin_memcpy(&raw, word, sizeof(raw));
	return raw;
}

static inline uint16_t pv_net_sum_fold(uint64_t sum)
{
	sum = (sum & 0xffffffffu) + (sum >> 32);
	sum = (sum & 0xffffffffu) + (sum >> 32);
	sum = (sum & 0xffffu) + (sum >> 16);
	sum = (sum & 0xffffu) + (sum >> 16);
	return (uint16_t)((sum & 0xffffu) + (sum >> 16));
}

/* Stores the checksum of what has this sum, the field itself being zero in it. */
static inline void pv_net_checksum_put(uint8_t *field, uint64_t sum)
{
	uint16_t checksum = (uint16_t)~pv_net_sum_fold(sum);

	__builtin_memcpy(field, &checksum, sizeof(checksum));
}

/* The same for UDP, where zero says that there is none (RFC 768). */
static inline void pv_net_checksum_put_udp(uint8_t *field, uint64_t sum)
{
	uint16_t checksum = (uint16_t)~pv_net_sum_fold(sum);

	if (checksum == 0)
		checksum = 0xffff;
	__builtin_memcpy(field, &checksum, sizeof(checksum));
}

#endif
