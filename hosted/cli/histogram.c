/* SPDX-License-Identifier: BSD-2-Clause */
#include "hosted/cli/histogram.h"

#include <stddef.h>

void pv_histogram_merge(struct pv_histogram *into, const struct pv_histogram *from)
{
	into->count += from->count;
	into->sum += from->sum;
	if (from->max > into->max)
		into->max = from->max;
	for (size_t i = 0; i < PV_HISTOGRAM_BUCKETS; i++)
		into->bucket[i] += from->bucket[i];
}

static uint64_t middle_of(uint32_t bucket)
{
	uint32_t shift;
	uint64_t low;

	if (bucket < 2 * PV_HISTOGRAM_STEPS)
		return bucket;
	shift = bucket / PV_HISTOGRAM_STEPS - 1;
	low = (uint64_t)(bucket % PV_HISTOGRAM_STEPS + PV_HISTOGRAM_STEPS) << shift;
	return low + ((1ull << shift) >> 1);
}

uint64_t pv_histogram_quantile(const struct pv_histogram *histogram, uint32_t per_mille)
{
	uint64_t rank = (histogram->count * per_mille + 999) / 1000;
	uint64_t seen = 0;

	for (uint32_t i = 0; i < PV_HISTOGRAM_BUCKETS; i++) {
		seen += histogram->bucket[i];
		if (histogram->bucket[i] && seen >= rank) {
			uint64_t value = middle_of(i);

			return value < histogram->max ? value : histogram->max;
		}
	}
	return 0;
}
