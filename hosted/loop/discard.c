/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What frees private memory is what the C library needs too, and always allowed.
 *
 * #syscalls [balloon] madvise
 */
#define _GNU_SOURCE
#include "hosted/loop/discard.h"

#include <errno.h>
#include <sys/mman.h>

/*
 * The kernel takes huge pages of a pool by either advice, but only whole ones (private ones from
 * Linux 5.18 on), and those of ours that it does not take it refuses: page_bytes is what they are.
 */
int pv_memory_discard(const struct pv_region *region, uint8_t *host, uint64_t bytes)
{
	int advice = region->is_file ? MADV_REMOVE : MADV_DONTNEED;

	return madvise(host, bytes, advice) < 0 ? -errno : 0;
}
