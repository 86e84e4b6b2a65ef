/* SPDX-License-Identifier: BSD-2-Clause */
/* Memory that a device, or what joins it to a bus, is made in. */
#ifndef PV_HOSTED_DEVICE_STORAGE_H
#define PV_HOSTED_DEVICE_STORAGE_H

#include <stdlib.h>
#include <string.h>

#include "devices/core/storage.h"

/* Zeroed, on cache lines of its own; free() gives it back. NULL without memory. */
static inline void *pv_device_storage(size_t bytes)
{
	size_t rounded = pv_storage_bytes(bytes);
	void *storage = aligned_alloc(PV_STORAGE_LINE_BYTES, rounded);

	return storage ? memset(storage, 0, rounded) : NULL;
}

#endif
