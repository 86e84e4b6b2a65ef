/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A store for tests: a small disk in memory that answers when it is told to, in any order, fails
 * when it is told to, and gives back what it has not begun.
 */
#ifndef PV_TESTS_SLOW_STORE_H
#define PV_TESTS_SLOW_STORE_H

#include "devices/blk/store.h"
#include "tests/support/random.h"

#define PV_SLOW_STORE_PENDING_MAX 1024

struct pv_slow_store {
	struct pv_blk_store blk;
	uint8_t *disk;
	struct pv_random *random;
	uint32_t at_once_percent; /* I/Os answered in submit */
	uint32_t fail_percent;
	int error;                 /* what a failure is */
	uint32_t withdraw_percent; /* of what is pending when a queue drains */
	struct pv_blk_io *pending[PV_SLOW_STORE_PENDING_MAX];
	uint32_t pendings;
	uint32_t unstable_writes; /* writes that need not be stable */
};

void pv_slow_store_open(struct pv_slow_store *store, uint8_t *disk, uint64_t bytes,
                        struct pv_random *random);

/* Ends one pending I/O, any one. False if there is none. */
bool pv_slow_store_finish_one(struct pv_slow_store *store);

#endif
