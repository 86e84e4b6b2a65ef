/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Guest memory, as one immutable sorted table.
 *
 * A table lists regions: guest addresses, and where the host sees them.  It is built once, by the
 * control side, and never changed; memory that comes or goes makes a new table, which is handed to
 * each queue (pv_dev_ring_mem_switch).  Looking up an address gives a pointer and the bytes that
 * run on from it inside the region, so a walk over a long buffer splits at region borders and
 * needs nothing else: a virtual machine's memory, a vhost-user map and a test that maps each
 * page somewhere else differ in their tables only.
 *
 * This is the one door to guest memory.  What it returns was checked for its whole length.
 */
#ifndef PV_RING_MEM_H
#define PV_RING_MEM_H

#include <stdbool.h>

#include "abi/linkage.h"
#include "abi/types.h"

PV_PUBLIC_BEGIN

struct pv_region {
	struct pv_gpa gpa;
	uint64_t bytes;
	uint8_t *host;
	/*
	 * For who gives memory back to the host (port->discard): the bytes of a page there, a power
	 * of two, which `host` is a multiple of; 0: it stays. In a file, others may have mapped it
	 * too.
	 */
	uint64_t page_bytes;
	bool is_file;
};

struct pv_mem {
	uint32_t count;
	struct pv_region region[];
};

/* Bytes of a table of so many regions. */
static inline size_t pv_mem_table_bytes(uint32_t regions)
{
	return sizeof(struct pv_mem) + sizeof(struct pv_region) * regions;
}

/*
 * Puts the `count` regions of a freshly filled table in order and checks it.
 * Returns 0, or -PV_EINVAL when a region is empty, wraps around, in the guest or on the host, or
 * overlaps another: the table is then sorted but must not be used.
 */
int pv_mem_seal(struct pv_mem *mem);

/* A table and the region that answered last. One for each queue: it is written on every look-up. */
struct pv_mem_view {
	const struct pv_mem *mem;
	uint32_t last;
};

static inline void pv_mem_view_init(struct pv_mem_view *view, const struct pv_mem *mem)
{
	view->mem = mem;
	view->last = 0;
}

/* The slow way of pv_mem_at(): the search through the table. */
void *pv_mem_search(struct pv_mem_view *view, struct pv_gpa gpa, uint64_t *run_bytes);

/*
 * The quick way, without a call: NULL too where it is another region than the one that answered
 * last.
 */
static inline void *pv_mem_at_last(const struct pv_mem_view *view, struct pv_gpa gpa,
                                   uint64_t *run_bytes)
{
	const struct pv_region *last;
	uint64_t offset;

	if (view->last >= view->mem->count)
		return NULL;
	last = &view->mem->region[view->last];
	offset = gpa.v - last->gpa.v;
	if (offset >= last->bytes)
		return NULL;
	*run_bytes = last->bytes - offset;
	return last->host + offset;
}

/*
 * Where guest address `gpa` is on the host, and in `*run_bytes` how many bytes (at least one) run
 * on from there without a break.  NULL where no memory is.  Valid until the table is replaced.
 */
static inline void *pv_mem_at(struct pv_mem_view *view, struct pv_gpa gpa, uint64_t *run_bytes)
{
	void *host = pv_mem_at_last(view, gpa, run_bytes);

	return host ? host : pv_mem_search(view, gpa, run_bytes);
}

/* The same for a range that must lie in one piece: NULL if `bytes` do not run on from `gpa`. */
static inline void *pv_mem_span(struct pv_mem_view *view, struct pv_gpa gpa, uint64_t bytes)
{
	uint64_t run_bytes;
	void *host = pv_mem_at(view, gpa, &run_bytes);

	return host && bytes <= run_bytes ? host : NULL;
}

/*
 * Copies `bytes` from guest memory, across region borders. Returns false, with the copy
 * incomplete, when part of the range is no memory.
 */
bool pv_mem_read(struct pv_mem_view *view, struct pv_gpa gpa, void *copy, size_t bytes);

/*
 * The guest address of a host pointer that a look-up in this table returned (for saving state,
 * not for a data path). Returns false for a pointer from anywhere else.
 */
bool pv_mem_gpa_of(const struct pv_mem *mem, const void *host, struct pv_gpa *gpa);

PV_PUBLIC_END

#endif
