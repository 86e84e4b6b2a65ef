/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What an entropy device stands on: something that has random bytes, or has none for the moment.
 */
#ifndef PV_DEVICES_RNG_SOURCE_H
#define PV_DEVICES_RNG_SOURCE_H

#include <stddef.h>

struct pv_rng_source;

struct pv_rng_source_ops {
	/*
	 * Lane. Writes up to `bytes` random bytes to `to`, which may be a guest's memory, and never
	 * waits for them. Returns how many it wrote, from the beginning on: fewer than wanted, or
	 * 0, when it has no more for now; it is asked again then.
	 */
	size_t (*fill)(struct pv_rng_source *source, void *to, size_t bytes);
};

struct pv_rng_source {
	const struct pv_rng_source_ops *ops;
};

#endif
