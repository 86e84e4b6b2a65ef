/* SPDX-License-Identifier: BSD-2-Clause */
#define _GNU_SOURCE
#include "tests/support/twin.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "ring/err.h"

#define GUARD      0xa5
#define PAGE_BYTES 4096u
#define FIRST_GPA  0x40000000ull
#define HANDLES    (256u << 20)

void pv_twin_open(struct pv_twin *twin, size_t bytes)
{
	int fd = memfd_create("twin", 0);

	pv_bug_on(fd < 0 || ftruncate(fd, (off_t)bytes));
	*twin = (struct pv_twin){ .bytes = bytes, .next_gpa = FIRST_GPA };
	for (int view = 0; view < PV_VIEWS; view++) {
		twin->base[view] = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		pv_bug_on(twin->base[view] == MAP_FAILED);
	}
	close(fd);
	twin->handles =
		mmap(NULL, HANDLES, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	pv_bug_on(twin->handles == MAP_FAILED);
	memset(twin->base[PV_VIEW_DRIVER], GUARD, bytes);
}

void pv_twin_close(struct pv_twin *twin)
{
	for (int view = 0; view < PV_VIEWS; view++) {
		munmap(twin->base[view], twin->bytes);
		free(twin->table[view]);
	}
	munmap(twin->handles, HANDLES);
	free(twin->piece);
}

static size_t take_file(struct pv_twin *twin, size_t bytes, size_t align)
{
	size_t offset = (twin->used + align - 1) & ~(align - 1);

	pv_bug_on(offset + bytes > twin->bytes);
	twin->used = offset + bytes;
	memset(twin->base[PV_VIEW_DRIVER] + offset, 0, bytes);
	return offset;
}

static void add_piece(struct pv_twin *twin, struct pv_twin_piece piece)
{
	if (twin->pieces == twin->pieces_max) {
		twin->pieces_max = twin->pieces_max ? twin->pieces_max * 2 : 64;
		twin->piece = realloc(twin->piece, twin->pieces_max * sizeof(*twin->piece));
		pv_bug_on(!twin->piece);
	}
	twin->piece[twin->pieces++] = piece;
}

/* Gives pieces their places in the file, in a random order, a guard before each. */
static void place(struct pv_twin *twin, uint32_t first, struct pv_random *random)
{
	for (uint32_t left = twin->pieces - first; left > 0; left--) {
		uint32_t pick = first + pv_random_below(random, left);
		struct pv_twin_piece picked = twin->piece[pick];

		twin->used += 1 + pv_random_below(random, 7);
		picked.offset = take_file(twin, picked.bytes, 1);
		/* Those with a place gather at the end. */
		twin->piece[pick] = twin->piece[first + left - 1];
		twin->piece[first + left - 1] = picked;
	}
}

struct pv_gpa pv_twin_alloc(struct pv_twin *twin, size_t bytes, enum pv_twin_layout layout,
                            uint32_t region_max, struct pv_random *random)
{
	struct pv_gpa gpa = pv_gpa_of(twin->next_gpa);
	size_t offset = layout == PV_SCATTERED ? 0 : take_file(twin, bytes, PAGE_BYTES);
	uint32_t first = twin->pieces;

	for (size_t done = 0, piece; done < bytes; done += piece) {
		piece = bytes - done;
		if (layout != PV_WHOLE && piece > 1) {
			size_t cut = 1 + pv_random_below(random, region_max);

			piece = cut < piece ? cut : piece;
		}
		add_piece(twin, (struct pv_twin_piece){ gpa.v + done, piece, offset + done,
		                                        layout != PV_WHOLE });
	}
	if (layout == PV_SCATTERED)
		place(twin, first, random);
	/* Nothing is mapped between two ranges. */
	twin->next_gpa += (bytes + 2 * PAGE_BYTES) & ~(uint64_t)(PAGE_BYTES - 1);
	return gpa;
}

/* One table: the pieces as they are, or some of them cut once more. */
static struct pv_mem *make_table(struct pv_twin *twin, uint8_t *base, struct pv_random *random)
{
	struct pv_mem *mem = calloc(1, pv_mem_table_bytes(twin->pieces * 2));
	uint32_t count = 0;

	pv_bug_on(!mem);
	for (uint32_t i = 0; i < twin->pieces; i++) {
		const struct pv_twin_piece *piece = &twin->piece[i];
		size_t cut = 0;

		if (random && piece->can_be_cut && piece->bytes > 1 && pv_random_chance(random, 30))
			cut = 1 + pv_random_below(random, (uint32_t)piece->bytes - 1);
		if (cut > 0)
			mem->region[count++] = (struct pv_region){ .gpa = { piece->gpa },
				                                   .bytes = cut,
				                                   .host = base + piece->offset };
		mem->region[count++] = (struct pv_region){ .gpa = { piece->gpa + cut },
			                                   .bytes = piece->bytes - cut,
			                                   .host = base + piece->offset + cut };
	}
	mem->count = count;
	return mem;
}

static int by_gpa(const void *left, const void *right)
{
	const struct pv_twin_piece *a = left, *b = right;

	return (a->gpa > b->gpa) - (a->gpa < b->gpa);
}

void pv_twin_seal(struct pv_twin *twin, struct pv_random *random)
{
	/* pv_mem_seal() sorts by insertion: it is given next to nothing to do. */
	qsort(twin->piece, twin->pieces, sizeof(*twin->piece), by_gpa);
	for (int view = 0; view < PV_VIEWS; view++) {
		twin->table[view] =
			make_table(twin, twin->base[view], view == PV_VIEW_DRIVER ? NULL : random);
		pv_bug_on(pv_mem_seal(twin->table[view]));
	}
	pv_mem_view_init(&twin->driver, twin->table[PV_VIEW_DRIVER]);
}

void *pv_twin_driver(struct pv_twin *twin, struct pv_gpa gpa)
{
	for (uint32_t i = 0; i < twin->pieces; i++) {
		const struct pv_twin_piece *piece = &twin->piece[i];

		if (gpa.v - piece->gpa < piece->bytes)
			return twin->base[PV_VIEW_DRIVER] + piece->offset + (gpa.v - piece->gpa);
	}
	return NULL;
}

void *pv_twin_handle(struct pv_twin *twin, struct pv_gpa gpa)
{
	pv_bug_on(gpa.v - FIRST_GPA >= HANDLES);
	return twin->handles + (gpa.v - FIRST_GPA);
}

struct pv_gpa pv_twin_gpa(const struct pv_twin *twin, const void *memory)
{
	const uintptr_t handle = (uintptr_t)memory - (uintptr_t)twin->handles;
	const uintptr_t offset = (uintptr_t)memory - (uintptr_t)twin->base[PV_VIEW_DRIVER];

	if (handle < HANDLES)
		return pv_gpa_of(FIRST_GPA + handle);
	for (uint32_t i = 0; i < twin->pieces; i++)
		if (offset - twin->piece[i].offset < twin->piece[i].bytes)
			return pv_gpa_of(twin->piece[i].gpa + (offset - twin->piece[i].offset));
	pv_bug_on(true);
}

static uint8_t *at(struct pv_twin *twin, struct pv_gpa gpa, size_t bytes, size_t *piece)
{
	uint64_t run_bytes;
	uint8_t *host = pv_mem_at(&twin->driver, gpa, &run_bytes);

	pv_bug_on(!host);
	*piece = bytes < run_bytes ? bytes : (size_t)run_bytes;
	return host;
}

void pv_twin_write(struct pv_twin *twin, struct pv_gpa gpa, const void *data, size_t bytes)
{
	size_t piece;

	for (size_t done = 0; done < bytes; done += piece) {
		uint8_t *host = at(twin, pv_gpa_add(gpa, done), bytes - done, &piece);

		memcpy(host, (const uint8_t *)data + done, piece);
	}
}

void pv_twin_read(struct pv_twin *twin, struct pv_gpa gpa, void *data, size_t bytes)
{
	size_t piece;

	for (size_t done = 0; done < bytes; done += piece) {
		const uint8_t *host = at(twin, pv_gpa_add(gpa, done), bytes - done, &piece);

		memcpy((uint8_t *)data + done, host, piece);
	}
}

bool pv_twin_has(const struct pv_twin *twin, enum pv_twin_view view, const void *host)
{
	return (uintptr_t)host - (uintptr_t)twin->base[view] < twin->bytes;
}

void pv_twin_allow(struct pv_twin *twin, enum pv_twin_view view, bool is_allowed)
{
	int access = is_allowed ? PROT_READ | PROT_WRITE : PROT_NONE;

	pv_bug_on(mprotect(twin->base[view], twin->bytes, access));
}

bool pv_twin_guards_hold(const struct pv_twin *twin)
{
	uint8_t *is_ours = calloc(1, twin->bytes);
	bool do_hold = true;

	pv_bug_on(!is_ours);
	for (uint32_t i = 0; i < twin->pieces; i++)
		memset(is_ours + twin->piece[i].offset, 1, twin->piece[i].bytes);
	for (size_t i = 0; i < twin->bytes; i++)
		do_hold = do_hold && (is_ours[i] || twin->base[PV_VIEW_DRIVER][i] == GUARD);
	free(is_ours);
	return do_hold;
}
