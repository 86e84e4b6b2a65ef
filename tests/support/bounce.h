/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A port of drivers with bounce buffers: the memory of requests is the process's own, which no
 * device can reach.  What a driver maps is copied into small slots of the couple's memory, in
 * pieces of a random length, and copied back when it is unmapped; a slot that is not mapped holds
 * poison.  So data that arrives has gone through map() and unmap(), in the right direction and at
 * the right time.
 */
#ifndef PV_TESTS_BOUNCE_H
#define PV_TESTS_BOUNCE_H

#include "tests/support/couple.h"

#define PV_BOUNCE_SLOTS 40u
#define PV_BOUNCE_BYTES 512u

struct pv_bounce {
	struct pv_couple *couple;
	struct pv_os os; /* for the driver */
	struct pv_random random;
	uint32_t piece_min; /* bytes, unless there are no more */
	uint32_t mapped;    /* slots */
	uint32_t refusals;  /* no slot was free */
	struct pv_bounce_slot {
		struct pv_gpa gpa;
		uint8_t *at; /* the driver's view of it */
		uint8_t *memory;
		uint32_t bytes;
		bool is_mapped;
		bool is_written;
	} slot[PV_BOUNCE_SLOTS];
};

/* The couple is open and not sealed. */
void pv_bounce_open(struct pv_bounce *bounce, struct pv_couple *couple, uint32_t piece_min,
                    struct pv_random random);

#endif
