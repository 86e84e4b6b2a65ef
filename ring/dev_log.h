/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Within ring/: marking what the device role writes.
 *
 * The buffers of a chain are marked when it is returned, which is before the driver can see that it
 * is used.  The ring's own fields are marked right after each is written.  Without a log each costs
 * one branch that is never taken.
 */
#ifndef PV_RING_DEV_LOG_H
#define PV_RING_DEV_LOG_H

#include "ring/dev_ring.h"

/* The slow halves. */
void pv_dev_log_chain(struct pv_dev_ring *ring, const struct pv_chain *chain);
void pv_dev_log_device_area(struct pv_dev_ring *ring, const void *field, uint32_t bytes);
void pv_dev_log_descriptor(struct pv_dev_ring *ring, uint16_t slot);

/* All that the device may have written to a chain. */
static inline void pv_dev_wrote_chain(struct pv_dev_ring *ring, const struct pv_chain *chain)
{
	if (__builtin_expect(ring->logging.log != NULL, 0))
		pv_dev_log_chain(ring, chain);
}

/* A field of the device area (split: of the used ring). */
static inline void pv_dev_wrote_field(struct pv_dev_ring *ring, const void *field, uint32_t bytes)
{
	if (__builtin_expect(ring->logging.has_own_writes, 0))
		pv_dev_log_device_area(ring, field, bytes);
}

/* Packed: a descriptor. */
static inline void pv_dev_wrote_descriptor(struct pv_dev_ring *ring, uint16_t slot)
{
	if (__builtin_expect(ring->logging.has_own_writes, 0))
		pv_dev_log_descriptor(ring, slot);
}

#endif
