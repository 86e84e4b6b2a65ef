/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Memory for pair tests: one memfd, mapped once for the driver and twice for the device, each at
 * an address of its own, so that a pointer of one side is of no use to the other.
 *
 * Guest addresses lead into it through tables cut on purpose: a piece of guest memory that looks
 * like one range lies scattered over the file in regions of a few bytes, with guard bytes between
 * them, and each of the device's two tables cuts it up in its own way.
 */
#ifndef PV_TESTS_TWIN_H
#define PV_TESTS_TWIN_H

#include "ring/mem.h"
#include "tests/support/random.h"

enum pv_twin_view {
	PV_VIEW_DRIVER,
	PV_VIEW_DEVICE,
	PV_VIEW_DEVICE_OTHER,
	PV_VIEWS,
};

/* Of the device's two the other one. */
static inline enum pv_twin_view pv_twin_other(enum pv_twin_view view)
{
	return view == PV_VIEW_DEVICE ? PV_VIEW_DEVICE_OTHER : PV_VIEW_DEVICE;
}

/* A region as the driver's table has it. */
struct pv_twin_piece {
	uint64_t gpa;
	size_t bytes;
	size_t offset;   /* in the file */
	bool can_be_cut; /* once more, in the device's tables */
};

struct pv_twin {
	size_t bytes;
	size_t used; /* of the file */
	uint8_t *base[PV_VIEWS];
	struct pv_mem *table[PV_VIEWS];
	struct pv_mem_view driver; /* look-ups through the driver's table */
	uint64_t next_gpa;
	uint8_t *handles; /* memory that nobody can touch, a byte for each guest address */

	struct pv_twin_piece *piece;
	uint32_t pieces;
	uint32_t pieces_max;
};

/* How a range of guest memory lies in the file. */
enum pv_twin_layout {
	PV_WHOLE,     /* one region in every table */
	PV_CUT,       /* in one piece for the driver, cut into regions for the device */
	PV_SCATTERED, /* all over the place for both */
};

void pv_twin_open(struct pv_twin *twin, size_t bytes);
void pv_twin_close(struct pv_twin *twin);

/*
 * A range of guest memory, zeroed, page-aligned; regions have 1 to `region_max` bytes unless it is
 * whole. Returns its guest address.
 */
struct pv_gpa pv_twin_alloc(struct pv_twin *twin, size_t bytes, enum pv_twin_layout layout,
                            uint32_t region_max, struct pv_random *random);

/* Builds the tables, when all is allocated. */
void pv_twin_seal(struct pv_twin *twin, struct pv_random *random);

/* The driver's pointer to memory that is not scattered. */
void *pv_twin_driver(struct pv_twin *twin, struct pv_gpa gpa);

/*
 * What stands for memory, scattered or not, where a driver wants a pointer that it does not look
 * behind; who does looks into nothing. And where such a pointer, or the driver's own, leads to.
 */
void *pv_twin_handle(struct pv_twin *twin, struct pv_gpa gpa);
struct pv_gpa pv_twin_gpa(const struct pv_twin *twin, const void *memory);

/* The driver's access to any memory. */
void pv_twin_write(struct pv_twin *twin, struct pv_gpa gpa, const void *data, size_t bytes);
void pv_twin_read(struct pv_twin *twin, struct pv_gpa gpa, void *data, size_t bytes);

/* Does a pointer lead into this view? */
bool pv_twin_has(const struct pv_twin *twin, enum pv_twin_view view, const void *host);

/* Takes a view's memory away, any access is a fault; or gives it back. */
void pv_twin_allow(struct pv_twin *twin, enum pv_twin_view view, bool is_allowed);

/* Are the guard bytes between the regions as they were? */
bool pv_twin_guards_hold(const struct pv_twin *twin);

#endif
