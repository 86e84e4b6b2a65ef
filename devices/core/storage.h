/* SPDX-License-Identifier: BSD-2-Clause */
/* How a device cuts the storage that it is given in parts, each on cache lines of its own. */
#ifndef PV_DEVICES_STORAGE_H
#define PV_DEVICES_STORAGE_H

#include <stddef.h>
#include <stdint.h>

#define PV_STORAGE_LINE_BYTES 64u

/* What a part of so many bytes takes. */
static inline size_t pv_storage_bytes(size_t bytes)
{
	return (bytes + PV_STORAGE_LINE_BYTES - 1) & ~(size_t)(PV_STORAGE_LINE_BYTES - 1);
}

/* Takes a part: `*rest` is where the next one begins. */
static inline void *pv_storage_take(uint8_t **rest, size_t bytes)
{
	void *here = *rest;

	*rest += pv_storage_bytes(bytes);
	return here;
}

#endif
