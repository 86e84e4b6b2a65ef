/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A virtqueue in the driver's role: the mirror of dev_ring.h.
 *
 * The driver adds chains of buffers, publishes them, decides whether the device wants a kick, and
 * takes back used chains in whatever order the device finishes them.  Each chain carries a token
 * of the caller's, which comes back with it:
 *
 *     while (pv_drv_ring_add(ring, sg, readable, writable, token) == 0)
 *             ...
 *     if (pv_drv_ring_publish(ring) && pv_drv_ring_must_kick(ring))
 *             ... kick
 *     while (pv_drv_ring_take(ring, &token, &written_bytes) == PV_DRV_TAKEN)
 *             ...
 *
 * The device is hostile.  Which chains are out, how long they are and how much could be written
 * to them stands in private memory, and what we wrote to shared memory is never read back; a used
 * entry that names no chain in flight breaks the ring; a used length beyond what was writable is
 * cut to it and counted (`lies`).
 *
 * With IN_ORDER the descriptors are used in ring order and chains come back in the order they went
 * out.  The device may then write one used entry for several chains, with the id of the last: those
 * before it count as written to their end (virtio 1.3, sections 2.7.9 and 2.8.8).
 *
 * One thread at a time may use a ring.
 */
#ifndef PV_RING_DRV_RING_H
#define PV_RING_DRV_RING_H

#include "abi/virtio_ring.h"
#include "ring/position.h"

/* A buffer as the device will see it. */
struct pv_sg {
	struct pv_gpa addr;
	uint32_t bytes;
};

/*
 * What the driver remembers of each descriptor (split) or buffer id (packed). All but `next` is
 * the chain's that has it for its head.
 */
struct pv_drv_slot {
	void *token;
	uint32_t writable_bytes;
	uint16_t descs; /* places it takes up in the ring; 0: not in flight */
	uint16_t next;  /* in the free list, or in a chain; in-order: the next in the ring */
};

struct pv_drv_ring {
	/* The shape. */
	uint16_t size;
	bool is_packed;
	bool has_indirect;
	bool has_event_idx;
	bool has_in_order;
	union {
		struct virtq_desc *table;
		struct pvirtq_desc *packed;
	};
	union {
		struct virtq_avail *avail;
		struct pvirtq_event_suppress *driver_event;
	};
	union {
		const struct virtq_used *used;
		const struct pvirtq_event_suppress *device_event;
	};

	/* Indirect tables, `indirect_max` descriptors for each slot; NULL without. */
	void *indirect;
	struct pv_gpa indirect_gpa;
	uint16_t indirect_max;

	/* In private memory. */
	struct pv_drv_slot *slot;
	uint16_t free_head;  /* the descriptor (split) or buffer id (packed) to go out next */
	uint16_t free_descs; /* places free in the ring */
	uint16_t detach_at;  /* slots before it were detached */

	/* Where the next chain goes, and where the next used entry is expected. */
	struct pv_ring_position at;
	uint16_t used_seen;     /* split: the device's index when last read */
	uint16_t published;     /* `at.avail` when last made visible ... */
	bool published_wrap;    /* ... and its wrap counter */
	bool is_pending;        /* packed: the head at `published` waits for ... */
	uint16_t pending_flags; /* ... these flags, which make the batch visible */
	uint32_t undecided;     /* published since the last decision: chains, or packed places */

	/* In-order: the chain to come back next, and a batch of which one entry tells. */
	uint16_t oldest;
	bool is_in_batch;
	uint16_t batch_end;
	uint32_t batch_end_bytes;

	bool are_interrupts_on;
	bool is_broken;
	uint64_t lies;
};

/* The memory that the driver lends to a ring, all zeroed. */
struct pv_drv_ring_memory {
	/* Shared with the device, at the alignments and sizes of abi/virtio_ring.h. */
	void *desc_area;
	void *driver_area;
	void *device_area;
	/* Optional, shared: size * indirect_max * 16 bytes, 16-aligned, and its device address. */
	void *indirect;
	struct pv_gpa indirect_gpa;
	uint16_t indirect_max;
	/* Private: pv_drv_ring_private_bytes(). */
	void *private_area;
};

size_t pv_drv_ring_private_bytes(uint16_t size);

/* Bytes of each shared area of a ring (the same for driver and device area of a packed one). */
struct pv_ring_bytes {
	size_t desc_area;
	size_t driver_area;
	size_t device_area;
};
struct pv_ring_bytes pv_ring_bytes(uint64_t features, uint16_t size);

/*
 * Starts an empty ring on fresh memory, interrupts off. Of the negotiated `features` the ring obeys
 * INDIRECT_DESC, EVENT_IDX, RING_PACKED and IN_ORDER. Returns 0, or -PV_EINVAL for a size that
 * cannot be. The memory stays with the ring until its last use.
 */
int pv_drv_ring_init(struct pv_drv_ring *ring, uint64_t features, uint16_t size,
                     const struct pv_drv_ring_memory *memory);

/*
 * Adds a chain of `readable` then `writable` buffers, with `token` (not NULL) to come back. A chain
 * of several buffers goes through an indirect table where there is one with room for it, and takes
 * one place then.
 * Returns 0; -PV_ENOSPC while it does not fit; -PV_EINVAL for an empty chain, one of more buffers
 * than the ring has places, or of 4 GiB and more; -PV_EBROKEN. The buffers belong to the device
 * until the token comes back; the list does not.
 */
int pv_drv_ring_add(struct pv_drv_ring *ring, const struct pv_sg *sg, uint16_t readable,
                    uint16_t writable, void *token);

/* Makes what was added visible. Returns whether there was anything new. */
bool pv_drv_ring_publish(struct pv_drv_ring *ring);

/* After a publish: does the device want a kick for what was published since the last call? */
bool pv_drv_ring_must_kick(struct pv_drv_ring *ring);

/*
 * Where the next chain will be made available, as a kick tells it (section 2.9): split: the index;
 * packed: the place in the ring and, above it, the wrap counter.
 */
uint16_t pv_drv_ring_next(const struct pv_drv_ring *ring);

enum pv_drv_take {
	PV_DRV_NONE,   /* nothing used */
	PV_DRV_TAKEN,  /* a chain came back */
	PV_DRV_BROKEN, /* the device broke the ring */
};

/* Takes back one used chain: its token, and the bytes the device says it wrote. */
enum pv_drv_take pv_drv_ring_take(struct pv_drv_ring *ring, void **token, uint32_t *written_bytes);

/*
 * Asks for an interrupt when the next chain comes back; true if there are used chains already that
 * no interrupt will announce, on a broken ring never. To be called anew before each sleep: with the
 * event index it asks for one interrupt, without it interrupts go on until turned off. Off is a
 * hint to the device.
 */
bool pv_drv_ring_interrupts_on(struct pv_drv_ring *ring);
void pv_drv_ring_interrupts_off(struct pv_drv_ring *ring);

/* The tokens in flight, one a call, in no certain order; NULL: no more. `*at` begins at 0. */
void *pv_drv_ring_in_flight(const struct pv_drv_ring *ring, uint16_t *at);

/*
 * After the device was stopped for good: hands out the tokens of the chains still in flight, one a
 * call, in no certain order; NULL when there are no more. The ring must be started anew then.
 */
void *pv_drv_ring_detach(struct pv_drv_ring *ring);

#endif
