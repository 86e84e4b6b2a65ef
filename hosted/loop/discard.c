/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What frees private memory is what the C library needs too, and always allowed.
 *
 * #syscalls [balloon] madvise process_madvise
 */
#define _GNU_SOURCE
#include "hosted/loop/discard.h"

#include <errno.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Linux 6.14: the process itself, where a descriptor of one is wanted. */
#define PIDFD_SELF (-10000)
#define PIECES_MAX 1024u /* of one call */

/* Of all threads. */
static bool takes_no_lists;

/*
 * The kernel takes huge pages of a pool by either advice, but only whole ones (private ones from
 * Linux 5.18 on), and those of ours that it does not take it refuses: page_bytes is what they are.
 */
static int discard_one(const struct pv_region *region, const struct pv_iov *piece)
{
	int advice = region->is_file ? MADV_REMOVE : MADV_DONTNEED;

	return madvise(piece->base, piece->bytes, advice) < 0 ? -errno : 0;
}

/*
 * Of private memory the kernel takes lists: other processors are told once for many pages, and not
 * for each. Returns how many pieces have gone: none where it does not know them, fewer than all
 * where one was refused or has gone in part.
 */
static uint32_t discard_list(const struct pv_iov *piece, uint32_t pieces)
{
	const long told = syscall(SYS_process_madvise, PIDFD_SELF, piece, (unsigned long)pieces,
	                          MADV_DONTNEED, 0u);
	size_t bytes = told < 0 ? 0 : (size_t)told;
	uint32_t gone = 0;

	for (; gone < pieces && piece[gone].bytes <= bytes; gone++)
		bytes -= piece[gone].bytes;
	return gone;
}

/* Returns how many have gone. */
static uint32_t discard_many(const struct pv_region *region, const struct pv_iov *piece,
                             uint32_t pieces)
{
	if (pieces < 2 || region->is_file || __atomic_load_n(&takes_no_lists, __ATOMIC_RELAXED))
		return 0;
	return discard_list(piece, pieces < PIECES_MAX ? pieces : PIECES_MAX);
}

int pv_memory_discard(const struct pv_region *region, const struct pv_iov *piece, uint32_t pieces)
{
	int error = 0;

	while (pieces > 0) {
		uint32_t gone = discard_many(region, piece, pieces);

		if (gone == 0) {
			int refused = discard_one(region, piece);

			/* What it takes alone, but not in a list, it does not take in lists. */
			if (!refused && pieces > 1)
				__atomic_store_n(&takes_no_lists, true, __ATOMIC_RELAXED);
			error = error ? error : refused;
			gone = 1;
		}
		piece += gone;
		pieces -= gone;
	}
	return error;
}
