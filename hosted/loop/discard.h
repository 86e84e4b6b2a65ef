/* SPDX-License-Identifier: BSD-2-Clause */
/* Guest memory that goes back to the host. */
#ifndef PV_HOSTED_DISCARD_H
#define PV_HOSTED_DISCARD_H

#include "ring/chain.h"
#include "ring/mem.h"

/*
 * Gives up pieces, each whole pages of `region`: what is behind them is free, and they are zeroes
 * when they are touched again. Of memory in a file a hole is made in the file, for all who
 * have mapped it: to let go of this mapping alone would free nothing. Any thread. Returns 0 or
 * -errno; some of it may have gone then.
 */
int pv_memory_discard(const struct pv_region *region, const struct pv_iov *piece, uint32_t pieces);

#endif
