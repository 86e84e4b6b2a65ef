/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Shared memory that the peer's processor has in its cache, asked for before it is needed: the
 * first two lines of a buffer, which are a header and a small frame.  Nothing is read or written,
 * and an address that is none does no harm.
 */
#ifndef PV_RING_PREFETCH_H
#define PV_RING_PREFETCH_H

#include "abi/types.h"

#define PV_CACHE_LINE 64u

static inline void pv_prefetch_to_read(const void *at)
{
	__builtin_prefetch(at);
	__builtin_prefetch((const uint8_t *)at + PV_CACHE_LINE);
}

#endif
