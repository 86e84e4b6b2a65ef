/* SPDX-License-Identifier: BSD-2-Clause */
#include "ring/dirty_log.h"

void pv_dirty_log_miss(struct pv_dirty_log *log)
{
	__atomic_store_n(&log->has_missed, true, __ATOMIC_RELAXED);
}

bool pv_dirty_log_has_missed(const struct pv_dirty_log *log)
{
	return __atomic_load_n(&log->has_missed, __ATOMIC_RELAXED);
}

/* The bits from `first` to `last` of one byte. */
static uint8_t bits_of(uint32_t first, uint32_t last)
{
	return (uint8_t)(0xffu << first & 0xffu >> (7 - last));
}

void pv_dirty_log_mark(struct pv_dirty_log *log, struct pv_gpa gpa, uint64_t bytes)
{
	uint64_t page = gpa.v / PV_DIRTY_PAGE_BYTES;
	uint64_t last_byte, last;

	if (bytes == 0)
		return;
	if (__builtin_add_overflow(gpa.v, bytes - 1, &last_byte))
		last_byte = UINT64_MAX;
	last = last_byte / PV_DIRTY_PAGE_BYTES;
	while (page <= last && page / 8 < log->bytes) {
		uint64_t end = page | 7;

		if (end > last)
			end = last;
		/* Release: what was written is there before its mark, for the reader who takes it.
		 */
		__atomic_fetch_or(&log->bits[page / 8], bits_of(page % 8, end % 8),
		                  __ATOMIC_RELEASE);
		page = end + 1;
	}
	if (page <= last)
		pv_dirty_log_miss(log);
}
