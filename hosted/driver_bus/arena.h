/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Memory that a driver in a host process shares with its device: one sealed memory file, mapped
 * here, handed to the device by its descriptor, and given out in pieces.
 *
 * The device's addresses begin at PV_ARENA_GPA, which is no address of this process and not zero:
 * who mixes the two up is found out at once.
 *
 * Any thread may call alloc and free; neither is for a data path.
 */
#ifndef PV_HOSTED_ARENA_H
#define PV_HOSTED_ARENA_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

#include "abi/types.h"

#define PV_ARENA_GPA 0x100000000ull

/* The most that a piece can be aligned to, here and at the device. */
#define PV_ARENA_ALIGN_MAX (2u << 20)

/* A free piece; in the order of their addresses, with something in use between any two. */
struct pv_arena_gap {
	struct pv_arena_gap *next;
	size_t offset;
	size_t bytes;
};

struct pv_arena {
	int fd;
	uint8_t *base;
	size_t bytes;
	void *mapping;
	size_t mapping_bytes;
	struct pv_arena_gap *gaps;
	pthread_mutex_t lock;
};

/* Room for `bytes`, rounded up. Returns 0 or -errno. */
int pv_arena_init(struct pv_arena *arena, size_t bytes);
void pv_arena_fini(struct pv_arena *arena);

/*
 * A zeroed piece, its alignment a power of two up to PV_ARENA_ALIGN_MAX; NULL when there is none.
 */
void *pv_arena_alloc(struct pv_arena *arena, size_t bytes, size_t align, struct pv_gpa *gpa);

/* Exactly a piece that was handed out. */
void pv_arena_free(struct pv_arena *arena, void *memory, size_t bytes);

/*
 * The device's address of memory in the arena, and how many of `bytes` from there on are in it; 0:
 * it is not in the arena.
 */
static inline uint32_t pv_arena_gpa(const struct pv_arena *arena, const void *memory,
                                    uint32_t bytes, struct pv_gpa *gpa)
{
	uintptr_t offset = (uintptr_t)memory - (uintptr_t)arena->base;

	if (offset >= arena->bytes)
		return 0;
	*gpa = pv_gpa_of(PV_ARENA_GPA + offset);
	return bytes <= arena->bytes - offset ? bytes : (uint32_t)(arena->bytes - offset);
}

/* Where a range at the device's addresses is here; NULL for one that is not wholly inside. */
void *pv_arena_at(const struct pv_arena *arena, struct pv_gpa gpa, size_t bytes);

#endif
