/* SPDX-License-Identifier: BSD-2-Clause */
/* Both halves of a ring, facing each other across one piece of memory. */
#ifndef PV_TESTS_RING_PAIR_H
#define PV_TESTS_RING_PAIR_H

#include "ring/dev_ring.h"
#include "ring/drv_ring.h"
#include "tests/support/twin.h"

struct pv_ring_pair_options {
	uint64_t features;
	uint16_t size;
	uint16_t indirect_max; /* 0: no tables */
	uint16_t start;        /* first index (split) or position (packed, modulo size) */
	size_t data_bytes;     /* of scattered memory for buffers */
	uint32_t region_max;   /* bytes of its regions */
};

struct pv_ring_pair {
	struct pv_ring_pair_options options;
	struct pv_twin twin;
	struct pv_gpa data;
	struct pv_drv_ring driver;
	struct pv_dev_ring device;
	struct pv_drv_ring_memory memory;
	void *storage; /* the device's */
};

/* For messages: "packed size 8 indirect event in-order". */
void pv_ring_pair_name(const struct pv_ring_pair_options *options, char *name, size_t bytes);

void pv_ring_pair_open(struct pv_ring_pair *pair, const struct pv_ring_pair_options *options,
                       struct pv_random *random);
void pv_ring_pair_close(struct pv_ring_pair *pair);

#endif
