/* SPDX-License-Identifier: BSD-2-Clause */
/* Within ring/: what the split and the packed driver role share. */
#ifndef PV_RING_DRV_CHAIN_H
#define PV_RING_DRV_CHAIN_H

#include "ring/barrier.h"
#include "ring/drv_ring.h"

/* A chain on its way in: checked, and known to fit. */
struct pv_drv_chain {
	const struct pv_sg *sg;
	uint16_t readable; /* the first ones of ... */
	uint16_t buffers;
	uint16_t places; /* in the ring */
	bool is_indirect;
};

static inline uint16_t pv_drv_direction(const struct pv_drv_chain *chain, uint16_t buffer)
{
	return buffer < chain->readable ? 0 : VIRTQ_DESC_F_WRITE;
}

static inline uint16_t pv_drv_link(const struct pv_drv_chain *chain, uint16_t buffer)
{
	return buffer + 1 < chain->buffers ? VIRTQ_DESC_F_NEXT : 0;
}

/* The indirect table that goes with a slot, and where the device sees it. */
static inline void *pv_drv_table(const struct pv_drv_ring *ring, uint16_t slot, struct pv_gpa *gpa)
{
	size_t offset = (size_t)slot * ring->indirect_max * sizeof(struct virtq_desc);

	*gpa = pv_gpa_add(ring->indirect_gpa, offset);
	return (uint8_t *)ring->indirect + offset;
}

/* A used entry: copied, and not yet believed. */
struct pv_drv_used {
	uint32_t id;
	uint32_t bytes;
};

/*
 * The two formats.  add() writes a chain and returns the slot that stands for it; look() copies
 * the used entry that is expected next, if it is there.
 */
uint16_t pv_drv_split_add(struct pv_drv_ring *ring, const struct pv_drv_chain *chain);
void pv_drv_split_publish(struct pv_drv_ring *ring);
bool pv_drv_split_must_kick(const struct pv_drv_ring *ring);
enum pv_drv_take pv_drv_split_look(struct pv_drv_ring *ring, struct pv_drv_used *used);
bool pv_drv_split_interrupts_on(struct pv_drv_ring *ring);
void pv_drv_split_interrupts_off(struct pv_drv_ring *ring);

uint16_t pv_drv_packed_add(struct pv_drv_ring *ring, const struct pv_drv_chain *chain);
void pv_drv_packed_publish(struct pv_drv_ring *ring);
bool pv_drv_packed_must_kick(const struct pv_drv_ring *ring);
enum pv_drv_take pv_drv_packed_look(struct pv_drv_ring *ring, struct pv_drv_used *used);
bool pv_drv_packed_interrupts_on(struct pv_drv_ring *ring);
void pv_drv_packed_interrupts_off(struct pv_drv_ring *ring);

#endif
