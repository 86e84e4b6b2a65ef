/* SPDX-License-Identifier: BSD-2-Clause */
/* What the host's kernel says of its memory, and of who waits for it. */
#ifndef PV_HOSTED_HOST_MEMORY_H
#define PV_HOSTED_HOST_MEMORY_H

#include <stdint.h>

#include "hosted/control/sentence.h"

struct pv_host_memory {
	uint64_t total, available; /* bytes */
	/*
	 * Hundredths of a percent of the last 10 s in which some tasks, and all of them, waited for
	 * memory; 0 from a kernel that does not say.
	 */
	uint32_t some, full;
	bool has_pressure;
};

/*
 * Reads `folder`, which is /proc: meminfo, pressure/memory. Returns false with a sentence where
 * there is no telling how much memory is available.
 */
bool pv_host_memory_read(struct pv_host_memory *memory, const char *folder,
                         char sentence[static PV_SENTENCE_BYTES]);

#endif
