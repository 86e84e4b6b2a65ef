/* SPDX-License-Identifier: BSD-2-Clause */
#include "hosted/driver_bus/arena_os.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "hosted/loop/clock.h"

#define LINE_BYTES 64u

static struct pv_arena *arena_of(struct pv_os *os)
{
	return &((struct pv_arena_os *)os)->arena;
}

void *pv_arena_os_shared_alloc(struct pv_os *os, size_t bytes, size_t align, struct pv_gpa *addr)
{
	return pv_arena_alloc(arena_of(os), bytes, align, addr);
}

void pv_arena_os_shared_free(struct pv_os *os, void *memory, size_t bytes)
{
	pv_arena_free(arena_of(os), memory, bytes);
}

uint32_t pv_arena_os_map(struct pv_os *os, void *memory, uint32_t bytes, bool is_written,
                         struct pv_gpa *addr)
{
	(void)is_written;
	return pv_arena_gpa(arena_of(os), memory, bytes, addr);
}

void *pv_arena_os_alloc(struct pv_os *os, size_t bytes)
{
	size_t rounded = (bytes + LINE_BYTES - 1) & ~(size_t)(LINE_BYTES - 1);
	void *memory = aligned_alloc(LINE_BYTES, rounded);

	(void)os;
	return memory ? memset(memory, 0, rounded) : NULL;
}

void pv_arena_os_free(struct pv_os *os, void *memory, size_t bytes)
{
	(void)os;
	(void)bytes;
	free(memory);
}

uint64_t pv_arena_os_now_ns(struct pv_os *os)
{
	(void)os;
	return pv_clock_ns(CLOCK_MONOTONIC);
}
