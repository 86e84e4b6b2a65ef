/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * #syscalls mmap munmap lseek
 */
#define _GNU_SOURCE
#include "hosted/backends/file_map.h"

#include <sys/mman.h>
#include <sys/types.h>
#include <unistd.h>

#include "hosted/backends/store_internal.h"

#define PAGE_BYTES  4096u
#define CHUNK_PAGES 64u
#define CHUNK_BYTES ((uint64_t)PAGE_BYTES * CHUNK_PAGES)

/* What is known of 64 pages. It is asked for when the first of them is wanted. */
struct pv_file_map_chunk {
	_Atomic uint64_t data; /* a bit each: there is some */
	atomic_bool is_known;
};

/* Pages in a row, `last` among them. */
struct pages {
	uint64_t first, last;
};

static struct pages pages_of(uint64_t offset, uint64_t bytes)
{
	return (struct pages){ offset / PAGE_BYTES, (offset + bytes - 1) / PAGE_BYTES };
}

/* Those of them that are in this chunk, as bits. */
static uint64_t bits_in(uint64_t chunk, struct pages pages)
{
	uint64_t begin = chunk * CHUNK_PAGES;
	uint64_t first = pages.first > begin ? pages.first - begin : 0;
	uint64_t last = pages.last - begin < CHUNK_PAGES ? pages.last - begin : CHUNK_PAGES - 1;

	return (~0ull >> (CHUNK_PAGES - 1 - (last - first))) << first;
}

static void note_data(struct pv_file_map *map, struct pages pages)
{
	for (uint64_t i = pages.first / CHUNK_PAGES; i <= pages.last / CHUNK_PAGES; i++) {
		_Atomic uint64_t *data = &map->chunk[i].data;
		uint64_t bits = bits_in(i, pages);

		if ((atomic_load_explicit(data, memory_order_relaxed) & bits) != bits)
			atomic_fetch_or_explicit(data, bits, memory_order_relaxed);
	}
}

/*
 * Asked page by page: where data end (SEEK_HOLE) the kernel would look for through all of the file.
 * The position that is left behind is nobody's.
 */
static void learn(struct pv_file_map *map, uint64_t chunk)
{
	off_t at = (off_t)(chunk * CHUNK_BYTES), end = at + (off_t)CHUNK_BYTES;

	for (; at < end; at += PAGE_BYTES) {
		at = lseek(map->fd, at, SEEK_DATA);
		if (at < 0 || at >= end)
			break;
		note_data(map, pages_of((uint64_t)at, 1));
	}
	atomic_store_explicit(&map->chunk[chunk].is_known, true, memory_order_release);
}

static bool has_data(struct pv_file_map *map, struct pages pages)
{
	for (uint64_t i = pages.first / CHUNK_PAGES; i <= pages.last / CHUNK_PAGES; i++) {
		struct pv_file_map_chunk *chunk = &map->chunk[i];
		uint64_t bits = bits_in(i, pages);

		if (!atomic_load_explicit(&chunk->is_known, memory_order_acquire))
			learn(map, i);
		if ((atomic_load_explicit(&chunk->data, memory_order_relaxed) & bits) != bits)
			return false;
	}
	return true;
}

static bool is_cut(const struct pv_file_map *map)
{
	return atomic_load_explicit(map->is_cut, memory_order_relaxed);
}

static bool is_within(const struct pv_file_map *map, uint64_t offset, uint64_t bytes)
{
	return bytes > 0 && offset < map->bytes && bytes <= map->bytes - offset;
}

bool pv_file_map_copy(struct pv_file_map *map, const struct pv_blk_io *io)
{
	if (!map->base || !is_within(map, io->offset, io->bytes) || is_cut(map) ||
	    !has_data(map, pages_of(io->offset, io->bytes)))
		return false;
	pv_store_copy(map->base + io->offset, io);
	/*
	 * The guard says that pages are gone before it puts others in their place: who has copied
	 * to or from those sees it.
	 */
	atomic_thread_fence(memory_order_seq_cst);
	return !is_cut(map);
}

void pv_file_map_written(struct pv_file_map *map, uint64_t offset, uint64_t bytes)
{
	if (map->base && is_within(map, offset, bytes))
		note_data(map, pages_of(offset, bytes));
}

/* Of pages that are freed in part the rest stays. What lies behind the map is not known of. */
void pv_file_map_freed(struct pv_file_map *map, uint64_t offset, uint64_t bytes)
{
	uint64_t freed_end = offset + bytes < map->bytes ? offset + bytes : map->bytes;
	uint64_t first = (offset + PAGE_BYTES - 1) / PAGE_BYTES, end = freed_end / PAGE_BYTES;
	struct pages pages = { first, end - 1 };

	if (!map->base || first >= end)
		return;
	for (uint64_t i = pages.first / CHUNK_PAGES; i <= pages.last / CHUNK_PAGES; i++)
		atomic_fetch_and_explicit(&map->chunk[i].data, ~bits_in(i, pages),
		                          memory_order_relaxed);
}

static size_t chunk_table_bytes(uint64_t file_bytes)
{
	return (size_t)(file_bytes / CHUNK_BYTES + 1) * sizeof(struct pv_file_map_chunk);
}

static void *map_pages(size_t bytes, int protection, int flags, int fd)
{
	void *base = mmap(NULL, bytes, protection, flags | MAP_NORESERVE, fd, 0);

	return base == MAP_FAILED ? NULL : base;
}

void pv_file_map_open(struct pv_file_map *map, int fd, uint64_t bytes, bool is_read_only,
                      const struct pv_store_guard *guard)
{
	*map = (struct pv_file_map){ .fd = fd, .bytes = bytes, .guard = guard };
	if (!guard || bytes == 0 || bytes > SIZE_MAX / 2)
		return;
	map->chunk = map_pages(chunk_table_bytes(bytes), PROT_READ | PROT_WRITE,
	                       MAP_PRIVATE | MAP_ANONYMOUS, -1);
	if (map->chunk)
		map->base = map_pages((size_t)bytes,
		                      is_read_only ? PROT_READ : PROT_READ | PROT_WRITE, MAP_SHARED,
		                      fd);
	if (map->base) {
		guard->mapped(map, map->base, (size_t)bytes);
		map->is_cut = guard->trip_of(map->base);
	}
	if (!map->is_cut)
		pv_file_map_close(map);
}

void pv_file_map_close(struct pv_file_map *map)
{
	if (map->base) {
		map->guard->unmapped(map->base);
		munmap(map->base, (size_t)map->bytes);
	}
	if (map->chunk)
		munmap(map->chunk, chunk_table_bytes(map->bytes));
	*map = (struct pv_file_map){ .fd = -1 };
}
