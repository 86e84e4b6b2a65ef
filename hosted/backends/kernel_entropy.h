/* SPDX-License-Identifier: BSD-2-Clause */
/* The kernel as a source of random bytes: getrandom(2). */
#ifndef PV_HOSTED_KERNEL_ENTROPY_H
#define PV_HOSTED_KERNEL_ENTROPY_H

#include "devices/rng/source.h"

/*
 * For any number of devices, on any thread, as long as the process lives. It has nothing only while
 * the kernel has not yet gathered what it needs, early at its boot.
 */
struct pv_rng_source *pv_kernel_entropy(void);

#endif
