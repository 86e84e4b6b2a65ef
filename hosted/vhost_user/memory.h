/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A front-end's memory: regions mapped from its descriptors, and the table made of them.
 *
 * The set of regions changes by making a new one: what both have in common stays mapped, and the
 * old set is closed when no queue uses it any more.
 */
#ifndef PV_HOSTED_MEMORY_H
#define PV_HOSTED_MEMORY_H

#include <stdbool.h>

#include "abi/vhost_user.h"
#include "ring/mem.h"

struct pv_vhu_map;

struct pv_vhu_memory {
	struct pv_mem *table;
	uint32_t count;
	struct pv_vhu_map *map[VHOST_USER_MEM_SLOTS];
	uint16_t said_again[VHOST_USER_MEM_SLOTS]; /* by who says a region more than once */
	/* Told of each map; see pv_vhu_backend_options. */
	void (*mapped)(void *arg, void *base, size_t bytes);
	void (*unmapped)(void *base);
	void *mapped_arg;
};

/* An empty set; NULL without memory. */
struct pv_vhu_memory *pv_vhu_memory_create(void (*mapped)(void *arg, void *base, size_t bytes),
                                           void (*unmapped)(void *base), void *mapped_arg);

/* The same regions in a set of its own; NULL without memory. */
struct pv_vhu_memory *pv_vhu_memory_copy(const struct pv_vhu_memory *from);

/*
 * Adds a region behind `fd`, which stays the caller's. Returns NULL, or a sentence that says why it
 * cannot be: the set is unchanged then.
 */
const char *pv_vhu_memory_add(struct pv_vhu_memory *memory, const struct vhost_user_region *region,
                              int fd);

/*
 * A region that is there already is said once more: it stays until it has been removed as often.
 * (QEMU before 8.1 tells it for each pair of a network's queues.) False: it is not there, or said
 * too often; the caller adds it then.
 */
bool pv_vhu_memory_say_again(struct pv_vhu_memory *memory, const struct vhost_user_region *region);

/* One that was said more than once is to be removed: once less from here on. False: it was not. */
bool pv_vhu_memory_unsay(struct pv_vhu_memory *memory, const struct vhost_user_region *region);

/* Removes a region, named by its addresses and size. */
const char *pv_vhu_memory_remove(struct pv_vhu_memory *memory,
                                 const struct vhost_user_region *region);

/* Makes the table. NULL, or a sentence: regions overlap, or there is no memory. */
const char *pv_vhu_memory_seal(struct pv_vhu_memory *memory);

/* The guest address of `bytes` at an address of the front-end's own. */
bool pv_vhu_memory_gpa_of(const struct pv_vhu_memory *memory, uint64_t user_addr,
                          struct pv_gpa *gpa);

/* Unmaps what no other set has. NULL is allowed. */
void pv_vhu_memory_destroy(struct pv_vhu_memory *memory);

#endif
