/* SPDX-License-Identifier: BSD-2-Clause */
/* Within devices/rng. */
#ifndef PV_DEVICES_RNG_INTERNAL_H
#define PV_DEVICES_RNG_INTERNAL_H

#include "abi/virtio_rng.h"
#include "devices/rng/rng.h"

struct pv_rng_counters {
	pv_counter bytes;     /* given to the driver */
	pv_counter throttled; /* waits for the budget */
	pv_counter starved;   /* waits for the source */
};

extern const struct pv_counter_name pv_rng_counter_names[];

struct pv_rng {
	struct pv_device device;
	struct pv_rng_source *source;
	struct pv_rng_options options;

	/*
	 * Of the period under way, if anything was spent in it; whoever has the queue. Queues come
	 * and go, and resets do, but not this: who is limited cannot get round it.
	 */
	uint64_t spent_bytes;
	uint64_t period_end_ns;

	struct pv_rng_counters counters;
	struct pv_queue queue[VIRTIO_RNG_QUEUES];
};

static inline struct pv_rng *pv_rng_of(struct pv_device *device)
{
	return (struct pv_rng *)device;
}

static inline const struct pv_rng *pv_rng_of_const(const struct pv_device *device)
{
	return (const struct pv_rng *)device;
}

/* queue.c */
int pv_rng_queue_start(struct pv_queue *queue);
bool pv_rng_queue_run(struct pv_queue *queue);
void pv_rng_queue_stop(struct pv_queue *queue);

#endif
