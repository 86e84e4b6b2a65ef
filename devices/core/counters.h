/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Counters: each is written by one thread and may be read by any, so a plain add that is stored
 * whole is enough.  A table of names and offsets makes them readable without knowing the device.
 */
#ifndef PV_DEVICES_COUNTERS_H
#define PV_DEVICES_COUNTERS_H

#include <stddef.h>
#include <stdint.h>

/* Aligned on machines of 32 bits too, where eight bytes are stored whole only then. */
typedef uint64_t pv_counter __attribute__((aligned(8)));

static inline void pv_count_add(pv_counter *counter, uint64_t amount)
{
	__atomic_store_n(counter, *counter + amount, __ATOMIC_RELAXED);
}

static inline void pv_count(pv_counter *counter)
{
	pv_count_add(counter, 1);
}

/* What was counted too early. */
static inline void pv_uncount(pv_counter *counter)
{
	__atomic_store_n(counter, *counter - 1, __ATOMIC_RELAXED);
}

static inline uint64_t pv_count_read(const pv_counter *counter)
{
	return __atomic_load_n(counter, __ATOMIC_RELAXED);
}

/* One counter of a structure of counters: its name in query-stats, and where it is. */
struct pv_counter_name {
	const char *name;
	size_t offset;
};

static inline uint64_t pv_counter_at(const void *counters, const struct pv_counter_name *which)
{
	return pv_count_read((const pv_counter *)((const char *)counters + which->offset));
}

#endif
