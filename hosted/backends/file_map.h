/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A file that lies in memory, mapped while a device is at work on it: what a page of it holds is
 * copied without a system call, which is more than half of a small request.
 *
 * Two things a system call does not do, and a mapping would.  Reading a hole through it fills the
 * hole: a thin image would grow by being read.  So it is known of each page whether there is data
 * in it, and only such pages are touched; all else goes by system calls.  And a page that is gone
 * is a signal: the program's guard (struct pv_store_guard) takes it, and what was copied meanwhile
 * is done once more by a system call, which tells the error as it always did.  The same goes for
 * all after that.
 */
#ifndef PV_HOSTED_FILE_MAP_H
#define PV_HOSTED_FILE_MAP_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "devices/blk/store.h"
#include "hosted/backends/store.h"

struct pv_file_map_chunk;

struct pv_file_map {
	uint8_t *base; /* NULL: not mapped */
	uint64_t bytes;
	int fd; /* not its own */
	const struct pv_store_guard *guard;
	const atomic_bool *is_cut; /* pages were gone: nothing is copied any more */
	struct pv_file_map_chunk *chunk;
};

/*
 * Control side. `guard` may be NULL. Where a file cannot be mapped or guarded nothing is, and
 * nobody needs to know.
 */
void pv_file_map_open(struct pv_file_map *map, int fd, uint64_t bytes, bool is_read_only,
                      const struct pv_store_guard *guard);
void pv_file_map_close(struct pv_file_map *map);

/* Any lane. Reads or writes all of it; false: none of it counts. */
bool pv_file_map_copy(struct pv_file_map *map, const struct pv_blk_io *io);

/*
 * Any thread. There is data in this range from now on; and its space is about to be given back, or
 * was.
 */
void pv_file_map_written(struct pv_file_map *map, uint64_t offset, uint64_t bytes);
void pv_file_map_freed(struct pv_file_map *map, uint64_t offset, uint64_t bytes);

#endif
