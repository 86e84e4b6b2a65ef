/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A dirty log: one bit for each page of guest memory, set by a device that wrote there.
 *
 * Whoever moves a running guest copies its memory while it changes, and copies again what was
 * marked meanwhile.  A reader takes marks away before it copies a page; so a page is marked after
 * it was written, and marked each time, seen as set or not: a mark that was left out because it
 * seemed to be there already could be one that the reader is just taking away.
 *
 * Page n is bit n % 8 of byte n / 8.  Any thread may mark, several at a time.
 */
#ifndef PV_RING_DIRTY_LOG_H
#define PV_RING_DIRTY_LOG_H

#include <stdbool.h>

#include "abi/linkage.h"
#include "abi/types.h"

PV_PUBLIC_BEGIN

#define PV_DIRTY_PAGE_BYTES 4096u

struct pv_dirty_log {
	uint8_t *bits; /* shared with the reader */
	uint64_t bytes;
	bool has_missed; /* a page was written that the log does not reach to; atomic */
};

/* Marks all pages of `bytes` from `gpa` on. Those beyond the log's end are missed. */
void pv_dirty_log_mark(struct pv_dirty_log *log, struct pv_gpa gpa, uint64_t bytes);

/* Something was written that has no guest address any more: the log is not complete. */
void pv_dirty_log_miss(struct pv_dirty_log *log);

/* Was anything missed since the log was made? Any thread. */
bool pv_dirty_log_has_missed(const struct pv_dirty_log *log);

PV_PUBLIC_END

#endif
