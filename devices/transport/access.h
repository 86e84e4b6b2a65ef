/* SPDX-License-Identifier: BSD-2-Clause */
/* What an access to a register carries: `bytes` of a value, little-endian, at most 8. */
#ifndef PV_DEVICES_TRANSPORT_ACCESS_H
#define PV_DEVICES_TRANSPORT_ACCESS_H

#include <stdbool.h>
#include <stdint.h>

static inline void pv_access_put(void *to, uint64_t value, unsigned int bytes)
{
	uint8_t *byte = (uint8_t *)to;

	for (unsigned int i = 0; i < bytes; i++)
		byte[i] = (uint8_t)(value >> 8 * i);
}

static inline uint64_t pv_access_get(const void *from, unsigned int bytes)
{
	const uint8_t *byte = (const uint8_t *)from;
	uint64_t value = 0;

	for (unsigned int i = 0; i < bytes; i++)
		value |= (uint64_t)byte[i] << 8 * i;
	return value;
}

/* The widths that there are. */
static inline bool pv_access_is_good(unsigned int bytes)
{
	return bytes == 1 || bytes == 2 || bytes == 4 || bytes == 8;
}

#endif
