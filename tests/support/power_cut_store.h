/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A disk whose power can be cut, on top of any store.
 *
 * The store below is what one reads: the disk with its cache.  Beside it lies the platter, what
 * the disk has without its cache.  A write reaches the platter when a flush ends that was issued
 * after the write had ended, or before it ends where it must be stable.  When the power is cut,
 * each write, discard and write of zeroes that has not reached it, ended or still in flight, is
 * kept, lost, or torn: some of its sectors kept, in no order.  What the platter holds then is what
 * the next start finds.
 *
 * The platter is memory of the caller's, such as a mapped file.
 */
#ifndef PV_TESTS_POWER_CUT_STORE_H
#define PV_TESTS_POWER_CUT_STORE_H

#include "tests/support/random.h"
#include "tests/support/store_layer.h"

/* More than that in the cache, and the oldest goes to the platter. */
#define PV_POWER_CUT_CACHE_BYTES (64u << 20)

struct pv_power_cut_write;

struct pv_power_cut_store {
	struct pv_layer layer; /* first */
	uint8_t *platter;
	struct pv_power_cut_write *oldest, *newest; /* that have not reached the platter */
	uint64_t cache_bytes;
	uint64_t clock; /* counts writes that ended */
	bool is_cut;
	uint32_t kept, lost, torn; /* at the cut */
};

/* `platter` has the size of the store below, and its content. */
void pv_power_cut_store_open(struct pv_power_cut_store *store, struct pv_blk_store *below,
                             uint8_t *platter);

/* When nothing is in flight. */
void pv_power_cut_store_close(struct pv_power_cut_store *store);

/* Cuts the power: the platter is final, and every I/O fails from here on. */
void pv_power_cut_store_cut(struct pv_power_cut_store *store, struct pv_random *random);

#endif
