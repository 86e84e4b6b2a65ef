/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A virtqueue in the driver's role: the mirror of dev_ring.h.
 *
 * The driver adds chains of buffers, publishes them, decides whether the device wants a kick, and
 * takes back used chains in whatever order the device finishes them.  Each chain carries a token
 * of the caller's, which comes back with it.
 *
 * The device is hostile.  Which chains are out, how long they are and how much could be written
 * to them stands in private memory; a used entry that names no chain in flight breaks the ring, a
 * used length beyond what was writable is cut to it and counted (`lies`).
 *
 * One thread at a time may use a ring.
 */
#ifndef PV_RING_DRV_RING_H
#define PV_RING_DRV_RING_H

#include "abi/virtio_ring.h"
#include "ring/dev_ring.h"

/* A buffer as the device will see it. */
struct pv_sg {
	struct pv_gpa addr;
	uint32_t bytes;
};

/* What the driver remembers of each descriptor (split) or buffer id (packed). */
struct pv_drv_slot {
	void *token;
	uint32_t writable_bytes;
	uint16_t descs;   /* places it takes up in the ring; 0: not in flight */
	uint16_t next;    /* free list, or the chain's next descriptor */
};

struct pv_drv_ring {
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
	uint16_t *order;         /* in-order: slots in the order they were added */
	uint16_t order_head;
	uint16_t order_tail;
	uint16_t batch_end;      /* in-order: the slot at which the device's batch ends */
	bool is_in_batch;
	uint16_t free_head;
	uint16_t free_descs;     /* places free in the ring */
	struct pv_ring_position at;
	uint16_t used_seen;
	uint16_t published;
	uint16_t kicked;         /* `at.avail` when last decided on a kick */
	uint16_t pending_slot;   /* packed: head of the batch not yet visible ... */
	uint16_t pending_flags;  /* ... and its flags */
	bool is_pending;
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
	uint64_t desc_area;
	uint64_t driver_area;
	uint64_t device_area;
};
struct pv_ring_bytes pv_ring_bytes(uint64_t features, uint16_t size);

/*
 * Starts an empty ring on fresh memory, interrupts off. Returns 0, or -PV_EINVAL for a size that
 * cannot be. `config`'s addresses are not used: the device gets them elsewhere.
 */
int pv_drv_ring_init(struct pv_drv_ring *ring, uint64_t features, uint16_t size,
		     const struct pv_drv_ring_memory *memory);

/*
 * Adds a chain of `readable` then `writable` buffers, with `token` to come back. Returns 0;
 * -PV_ENOSPC while it does not fit; -PV_EINVAL for an empty chain or one longer than the ring
 * could ever hold; -PV_EBROKEN. The buffers belong to the device until the token comes back.
 */
int pv_drv_ring_add(struct pv_drv_ring *ring, const struct pv_sg *sg, uint16_t readable,
		    uint16_t writable, void *token);

/* Makes what was added visible. Returns whether there was anything new. */
bool pv_drv_ring_publish(struct pv_drv_ring *ring);

/* After a publish: does the device want a kick for what was published since the last call? */
bool pv_drv_ring_must_kick(struct pv_drv_ring *ring);

enum pv_drv_take {
	PV_DRV_NONE,   /* nothing used */
	PV_DRV_TAKEN,  /* a chain came back */
	PV_DRV_BROKEN, /* the device broke the ring */
};

/* Takes back one used chain: its token, and the bytes the device says it wrote. */
enum pv_drv_take pv_drv_ring_take(struct pv_drv_ring *ring, void **token, uint32_t *written_bytes);

/*
 * Asks for interrupts from here on; true if used chains are already there that no interrupt will
 * announce. Off is a hint to the device.
 */
bool pv_drv_ring_interrupts_on(struct pv_drv_ring *ring);
void pv_drv_ring_interrupts_off(struct pv_drv_ring *ring);

/*
 * After the device was stopped for good: hands out the tokens of the chains still in flight, one a
 * call, in no certain order; NULL when there are no more. The ring must be started anew then.
 */
void *pv_drv_ring_detach(struct pv_drv_ring *ring);

#endif
