/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The memory and the time of a driver in a host process: what it shares with its device comes from
 * an arena, what it has for itself from the C library.  How it waits is its owner's to say: these
 * functions are for a table of his own (struct pv_os_ops).
 */
#ifndef PV_HOSTED_ARENA_OS_H
#define PV_HOSTED_ARENA_OS_H

#include "drivers/port/port.h"
#include "hosted/driver_bus/arena.h"

struct pv_arena_os {
	struct pv_os os; /* first */
	struct pv_arena arena;
};

void *pv_arena_os_shared_alloc(struct pv_os *os, size_t bytes, size_t align, struct pv_gpa *addr);
void pv_arena_os_shared_free(struct pv_os *os, void *memory, size_t bytes);

/* The device has the arena before it as long as it has a driver. */
uint32_t pv_arena_os_map(struct pv_os *os, void *memory, uint32_t bytes, bool is_written,
                         struct pv_gpa *addr);

/* Zeroed, on cache lines of its own. */
void *pv_arena_os_alloc(struct pv_os *os, size_t bytes);
void pv_arena_os_free(struct pv_os *os, void *memory, size_t bytes);

uint64_t pv_arena_os_now_ns(struct pv_os *os);

/* What such a table begins with: all but how its owner waits. */
#define PV_ARENA_OS_OPS                                                                            \
	.shared_alloc = pv_arena_os_shared_alloc, .shared_free = pv_arena_os_shared_free,          \
	.map = pv_arena_os_map, .alloc = pv_arena_os_alloc, .free = pv_arena_os_free,              \
	.now_ns = pv_arena_os_now_ns

#endif
