/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef PV_RING_POSITION_H
#define PV_RING_POSITION_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Where a ring stands. Split: free-running indexes. Packed: ring positions, and the wrap
 * counters; a fresh packed ring starts at position 0 with both counters set.
 */
struct pv_ring_position {
	uint16_t avail;
	uint16_t used;
	bool avail_wrap;
	bool used_wrap;
};

static inline struct pv_ring_position pv_ring_position_fresh(void)
{
	return (struct pv_ring_position){ 0, 0, true, true };
}

#endif
