/* SPDX-License-Identifier: BSD-2-Clause */
#define _GNU_SOURCE
#include "hosted/driver_bus/arena.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "ring/err.h"

/* Pieces are whole cache lines, so that no two of them share one. */
#define LINE_BYTES 64u

static size_t round_up(size_t bytes, size_t to)
{
	return (bytes + to - 1) & ~(to - 1);
}

/* A file of fixed size: the device can rely on it, and so can we. */
static int file_make(size_t bytes)
{
	int fd = memfd_create("paravane-driver", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd < 0)
		return -errno;
	if (ftruncate(fd, (off_t)bytes) < 0 ||
	    fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0) {
		int code = -errno;

		close(fd);
		return code;
	}
	return fd;
}

/* Mapped at an address with the alignment that the device's addresses have too. */
static int map(struct pv_arena *arena)
{
	void *at;

	arena->mapping_bytes = arena->bytes + PV_ARENA_ALIGN_MAX;
	arena->mapping =
		mmap(NULL, arena->mapping_bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (arena->mapping == MAP_FAILED)
		return -errno;
	at = (void *)round_up((uintptr_t)arena->mapping, PV_ARENA_ALIGN_MAX);
	arena->base = mmap(at, arena->bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED,
	                   arena->fd, 0);
	if (arena->base == MAP_FAILED) {
		int code = -errno;

		munmap(arena->mapping, arena->mapping_bytes);
		return code;
	}
	/* Large pages where the system gives them; nothing depends on it. */
	madvise(arena->base, arena->bytes, MADV_HUGEPAGE);
	return 0;
}

static struct pv_arena_gap *gap_make(size_t offset, size_t bytes, struct pv_arena_gap *next)
{
	struct pv_arena_gap *gap = malloc(sizeof(*gap));

	if (gap)
		*gap = (struct pv_arena_gap){ next, offset, bytes };
	return gap;
}

int pv_arena_init(struct pv_arena *arena, size_t bytes)
{
	int code;

	*arena = (struct pv_arena){ .bytes = round_up(bytes ? bytes : 1, PV_ARENA_ALIGN_MAX) };
	arena->fd = file_make(arena->bytes);
	if (arena->fd < 0)
		return arena->fd;
	arena->gaps = gap_make(0, arena->bytes, NULL);
	code = arena->gaps ? map(arena) : -ENOMEM;
	if (code) {
		free(arena->gaps);
		close(arena->fd);
		return code;
	}
	pthread_mutex_init(&arena->lock, NULL);
	return 0;
}

void pv_arena_fini(struct pv_arena *arena)
{
	while (arena->gaps) {
		struct pv_arena_gap *gap = arena->gaps;

		arena->gaps = gap->next;
		free(gap);
	}
	munmap(arena->mapping, arena->mapping_bytes);
	close(arena->fd);
	pthread_mutex_destroy(&arena->lock);
}

/* Cuts [offset, offset + bytes) out of a gap; both may leave something. False without memory. */
static bool gap_cut(struct pv_arena_gap **link, size_t offset, size_t bytes)
{
	struct pv_arena_gap *gap = *link;
	size_t before = offset - gap->offset;
	size_t after = gap->bytes - before - bytes;

	if (before && after) {
		struct pv_arena_gap *rest = gap_make(offset + bytes, after, gap->next);

		if (!rest)
			return false;
		gap->next = rest;
		gap->bytes = before;
	} else if (before) {
		gap->bytes = before;
	} else if (after) {
		gap->offset = offset + bytes;
		gap->bytes = after;
	} else {
		*link = gap->next;
		free(gap);
	}
	return true;
}

static void *alloc_locked(struct pv_arena *arena, size_t bytes, size_t align)
{
	for (struct pv_arena_gap **link = &arena->gaps; *link; link = &(*link)->next) {
		size_t skip = round_up((*link)->offset, align) - (*link)->offset;
		size_t offset = (*link)->offset + skip;

		if (skip > (*link)->bytes || bytes > (*link)->bytes - skip)
			continue;
		return gap_cut(link, offset, bytes) ? arena->base + offset : NULL;
	}
	return NULL;
}

void *pv_arena_alloc(struct pv_arena *arena, size_t bytes, size_t align, struct pv_gpa *gpa)
{
	uint8_t *memory;

	if (bytes == 0 || bytes > arena->bytes || align > PV_ARENA_ALIGN_MAX)
		return NULL;
	bytes = round_up(bytes, LINE_BYTES);
	pthread_mutex_lock(&arena->lock);
	memory = alloc_locked(arena, bytes, align < LINE_BYTES ? LINE_BYTES : align);
	pthread_mutex_unlock(&arena->lock);
	if (!memory)
		return NULL;
	memset(memory, 0, bytes);
	*gpa = pv_gpa_of(PV_ARENA_GPA + (size_t)(memory - arena->base));
	return memory;
}

/* Puts a piece between its neighbours; it joins those that it touches. */
static void gap_insert(struct pv_arena_gap **link, struct pv_arena_gap *gap)
{
	struct pv_arena_gap *before = NULL;

	while (*link && (*link)->offset < gap->offset) {
		before = *link;
		link = &(*link)->next;
	}
	pv_bug_on(*link && gap->offset + gap->bytes > (*link)->offset);
	gap->next = *link;
	*link = gap;
	if (gap->next && gap->offset + gap->bytes == gap->next->offset) {
		struct pv_arena_gap *next = gap->next;

		gap->bytes += next->bytes;
		gap->next = next->next;
		free(next);
	}
	if (before && before->offset + before->bytes == gap->offset) {
		before->bytes += gap->bytes;
		before->next = gap->next;
		free(gap);
	}
}

void pv_arena_free(struct pv_arena *arena, void *memory, size_t bytes)
{
	size_t offset = (size_t)((uint8_t *)memory - arena->base);
	struct pv_arena_gap *gap = gap_make(offset, round_up(bytes, LINE_BYTES), NULL);

	/* Without memory to remember it the piece stays lost until the arena goes. */
	if (!gap)
		return;
	pthread_mutex_lock(&arena->lock);
	gap_insert(&arena->gaps, gap);
	pthread_mutex_unlock(&arena->lock);
}

void *pv_arena_at(const struct pv_arena *arena, struct pv_gpa gpa, size_t bytes)
{
	uint64_t offset = gpa.v - PV_ARENA_GPA;

	if (offset > arena->bytes || bytes > arena->bytes - offset)
		return NULL;
	return arena->base + offset;
}
