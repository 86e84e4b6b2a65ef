/* SPDX-License-Identifier: BSD-2-Clause */
#include "ring/mem.h"

#include "ring/barrier.h"
#include "ring/err.h"

static void sort_by_address(struct pv_mem *mem)
{
	for (uint32_t i = 1; i < mem->count; i++) {
		struct pv_region moving = mem->region[i];
		uint32_t hole = i;

		for (; hole > 0 && mem->region[hole - 1].gpa.v > moving.gpa.v; hole--)
			mem->region[hole] = mem->region[hole - 1];
		mem->region[hole] = moving;
	}
}

/* An address here may be shorter than a guest's. */
static bool is_on_host(const struct pv_region *region)
{
	return region->bytes - 1 <= UINTPTR_MAX - (uintptr_t)region->host;
}

int pv_mem_seal(struct pv_mem *mem)
{
	sort_by_address(mem);
	for (uint32_t i = 0; i < mem->count; i++) {
		const struct pv_region *region = &mem->region[i];
		uint64_t last = region->gpa.v + region->bytes - 1;

		if (region->bytes == 0 || last < region->gpa.v || !is_on_host(region))
			return -PV_EINVAL;
		if (i + 1 < mem->count && last >= mem->region[i + 1].gpa.v)
			return -PV_EINVAL;
	}
	return 0;
}

void *pv_mem_search(struct pv_mem_view *view, struct pv_gpa gpa, uint64_t *run_bytes)
{
	const struct pv_mem *mem = view->mem;
	uint32_t low = 0, high = mem->count;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		const struct pv_region *region = &mem->region[middle];

		if (gpa.v < region->gpa.v) {
			high = middle;
		} else if (gpa.v - region->gpa.v >= region->bytes) {
			low = middle + 1;
		} else {
			view->last = middle;
			*run_bytes = region->bytes - (gpa.v - region->gpa.v);
			return region->host + (gpa.v - region->gpa.v);
		}
	}
	return NULL;
}

bool pv_mem_read(struct pv_mem_view *view, struct pv_gpa gpa, void *copy, size_t bytes)
{
	uint8_t *to = copy;

	while (bytes > 0) {
		uint64_t run_bytes;
		const void *from = pv_mem_at(view, gpa, &run_bytes);
		size_t piece = bytes;

		if (!from)
			return false;
		if (piece > run_bytes)
			piece = (size_t)run_bytes;
		pv_copy_once(to, from, piece);
		to += piece;
		gpa = pv_gpa_add(gpa, piece);
		bytes -= piece;
	}
	return true;
}

bool pv_mem_gpa_of(const struct pv_mem *mem, const void *host, struct pv_gpa *gpa)
{
	for (uint32_t i = 0; i < mem->count; i++) {
		const struct pv_region *region = &mem->region[i];
		uintptr_t offset = (uintptr_t)host - (uintptr_t)region->host;

		if (offset < region->bytes) {
			*gpa = pv_gpa_add(region->gpa, offset);
			return true;
		}
	}
	return false;
}
