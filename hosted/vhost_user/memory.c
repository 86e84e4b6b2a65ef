/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * #syscalls mmap munmap fstat newfstatat fstatfs fcntl
 */
#define _GNU_SOURCE
#include "hosted/vhost_user/memory.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#define PAGE_BYTES 4096u

struct pv_vhu_map {
	unsigned int sets; /* that have it */
	struct vhost_user_region region;
	void *base;
	size_t bytes; /* mapped, in whole pages of the file */
	uint8_t *host;
	uint64_t page_bytes; /* as struct pv_region has them */
};

struct pv_vhu_memory *pv_vhu_memory_create(void (*mapped)(void *arg, void *base, size_t bytes),
                                           void (*unmapped)(void *base), void *mapped_arg)
{
	struct pv_vhu_memory *memory = calloc(1, sizeof(*memory));

	if (!memory)
		return NULL;
	memory->mapped = mapped;
	memory->unmapped = unmapped;
	memory->mapped_arg = mapped_arg;
	return memory;
}

struct pv_vhu_memory *pv_vhu_memory_copy(const struct pv_vhu_memory *from)
{
	struct pv_vhu_memory *memory = malloc(sizeof(*memory));

	if (!memory)
		return NULL;
	*memory = *from;
	memory->table = NULL;
	for (uint32_t i = 0; i < memory->count; i++)
		memory->map[i]->sets++;
	return memory;
}

static const char *check_region(const struct vhost_user_region *region)
{
	uint64_t end;

	if (region->bytes == 0)
		return "a memory region is empty";
	if (__builtin_add_overflow(region->guest_addr, region->bytes, &end) ||
	    __builtin_add_overflow(region->user_addr, region->bytes, &end) ||
	    __builtin_add_overflow(region->mmap_offset, region->bytes, &end) || end > INT64_MAX)
		return "a memory region wraps around";
	return NULL;
}

/*
 * The region's file must reach as far as the region does, and must not get shorter afterwards: a
 * sealed one cannot, one that can be sealed is, and against the rest the program has its guard.
 */
static const char *check_file(const struct vhost_user_region *region, int fd, struct stat *status)
{
	if (fstat(fd, status))
		return "a memory region comes with a bad descriptor";
	if (S_ISCHR(status->st_mode))
		return NULL;
	if (!S_ISREG(status->st_mode))
		return "a memory region is not in a file";
	if ((uint64_t)status->st_size < region->mmap_offset + region->bytes)
		return "a memory region is longer than its file";
	(void)fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK);
	return NULL;
}

static const char *map_region(struct pv_vhu_map *map, int fd, uint64_t page_bytes)
{
	const struct vhost_user_region *region = &map->region;
	uint64_t lead = region->mmap_offset % page_bytes;
	uint64_t bytes = (lead + region->bytes + page_bytes - 1) / page_bytes * page_bytes;

	map->bytes = (size_t)bytes;
	map->base = mmap(NULL, map->bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd,
	                 (off_t)(region->mmap_offset - lead));
	if (map->base == MAP_FAILED)
		return "a memory region cannot be mapped";
	map->host = (uint8_t *)map->base + lead;
	return NULL;
}

/*
 * Holes are made of pages of the file: huge ones, or those of the machine. A device's memory (DAX)
 * is nobody else's to have, and a region that begins within a page has none of its own.
 */
static uint64_t pages_that_go_back(const struct pv_vhu_map *map, int fd, const struct stat *status)
{
	uint64_t page_bytes = PAGE_BYTES;
	struct statfs system;

	if (!S_ISREG(status->st_mode) || fstatfs(fd, &system))
		return 0;
	if (system.f_type == HUGETLBFS_MAGIC)
		page_bytes = (uint64_t)system.f_bsize;
	return (uintptr_t)map->host % page_bytes ? 0 : page_bytes;
}

const char *pv_vhu_memory_add(struct pv_vhu_memory *memory, const struct vhost_user_region *region,
                              int fd)
{
	const char *error = check_region(region);
	struct pv_vhu_map *map;
	struct stat status;

	if (!error)
		error = check_file(region, fd, &status);
	if (!error && memory->count == VHOST_USER_MEM_SLOTS)
		error = "there are too many memory regions";
	if (error)
		return error;
	map = calloc(1, sizeof(*map));
	if (!map)
		return "there is no memory for another region";
	map->region = *region;
	map->sets = 1;
	error = map_region(map, fd,
	                   status.st_blksize > 0 ? (uint64_t)status.st_blksize : PAGE_BYTES);
	if (error) {
		free(map);
		return error;
	}
	map->page_bytes = pages_that_go_back(map, fd, &status);
	if (memory->mapped)
		memory->mapped(memory->mapped_arg, map->base, map->bytes);
	memory->said_again[memory->count] = 0;
	memory->map[memory->count++] = map;
	return NULL;
}

static void let_go(const struct pv_vhu_memory *memory, struct pv_vhu_map *map)
{
	if (--map->sets > 0)
		return;
	if (memory->unmapped)
		memory->unmapped(map->base);
	munmap(map->base, map->bytes);
	free(map);
}

/* Its place in the set, or `count`. */
static uint32_t find(const struct pv_vhu_memory *memory, const struct vhost_user_region *region)
{
	uint32_t i = 0;

	for (; i < memory->count; i++) {
		const struct vhost_user_region *here = &memory->map[i]->region;

		if (here->guest_addr == region->guest_addr &&
		    here->user_addr == region->user_addr && here->bytes == region->bytes)
			break;
	}
	return i;
}

bool pv_vhu_memory_say_again(struct pv_vhu_memory *memory, const struct vhost_user_region *region)
{
	uint32_t i = find(memory, region);

	if (i == memory->count || memory->said_again[i] == UINT16_MAX)
		return false;
	memory->said_again[i]++;
	return true;
}

bool pv_vhu_memory_unsay(struct pv_vhu_memory *memory, const struct vhost_user_region *region)
{
	uint32_t i = find(memory, region);

	if (i == memory->count || memory->said_again[i] == 0)
		return false;
	memory->said_again[i]--;
	return true;
}

const char *pv_vhu_memory_remove(struct pv_vhu_memory *memory,
                                 const struct vhost_user_region *region)
{
	uint32_t i = find(memory, region);

	if (i == memory->count)
		return "a memory region to be removed is not there";
	let_go(memory, memory->map[i]);
	memory->count--;
	memory->map[i] = memory->map[memory->count];
	memory->said_again[i] = memory->said_again[memory->count];
	return NULL;
}

const char *pv_vhu_memory_seal(struct pv_vhu_memory *memory)
{
	struct pv_mem *table = malloc(pv_mem_table_bytes(memory->count));

	if (!table)
		return "there is no memory for the memory table";
	table->count = memory->count;
	for (uint32_t i = 0; i < memory->count; i++) {
		const struct pv_vhu_map *map = memory->map[i];

		table->region[i] = (struct pv_region){
			.gpa = { map->region.guest_addr },
			.bytes = map->region.bytes,
			.host = map->host,
			.page_bytes = map->page_bytes,
			.is_file = true,
		};
	}
	if (pv_mem_seal(table)) {
		free(table);
		return "memory regions overlap";
	}
	memory->table = table;
	return NULL;
}

bool pv_vhu_memory_gpa_of(const struct pv_vhu_memory *memory, uint64_t user_addr,
                          struct pv_gpa *gpa)
{
	for (uint32_t i = 0; i < memory->count; i++) {
		const struct vhost_user_region *region = &memory->map[i]->region;

		if (user_addr - region->user_addr < region->bytes) {
			gpa->v = user_addr - region->user_addr + region->guest_addr;
			return true;
		}
	}
	return false;
}

void pv_vhu_memory_destroy(struct pv_vhu_memory *memory)
{
	if (!memory)
		return;
	for (uint32_t i = 0; i < memory->count; i++)
		let_go(memory, memory->map[i]);
	free(memory->table);
	free(memory);
}
