/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A virtqueue in the device's role.
 *
 * The device takes chains, works on them in any order, returns each, publishes what it returned,
 * and then decides whether the driver wants to be interrupted.  Returning, publishing and
 * deciding are three steps so that one index store and one decision can serve a batch:
 *
 *     while (pv_dev_ring_take(ring, &chain) == PV_TAKEN)
 *             ... pv_dev_ring_return(ring, &chain, written_bytes);
 *     if (pv_dev_ring_publish(ring) && pv_dev_ring_must_interrupt(ring))
 *             ... interrupt
 *
 * Where a device works on many chains at a time each of the first two steps is one for a run of
 * them (pv_dev_ring_take_run), and what is waited for in one chain is there when the next is looked
 * at.
 *
 * While it polls, a device keeps kicks off; before it sleeps it turns them on and looks once more
 * (pv_dev_ring_kicks_on).
 *
 * The driver is hostile.  Each descriptor is read once; indexes, heads and lengths are checked
 * before their first use; a walk ends after as many descriptors as the queue has; what we wrote
 * is kept in this structure and never read back.  A driver that breaks the rules of the ring makes
 * it broken: pv_dev_ring_take() says PV_TAKE_BROKEN from then on, the ring's memory is not touched
 * any more, what is in flight returns to nowhere, and only a new start helps.  A buffer that is no
 * memory harms only its own chain (pv_chain.is_incomplete).
 *
 * One thread at a time may use a ring.
 */
#ifndef PV_RING_DEV_RING_H
#define PV_RING_DEV_RING_H

#include "abi/linkage.h"
#include "abi/virtio_ring.h"
#include "ring/chain.h"
#include "ring/dirty_log.h"
#include "ring/mem.h"
#include "ring/position.h"

PV_PUBLIC_BEGIN

/*
 * What the driver set up. `features` are the negotiated ones; the ring obeys INDIRECT_DESC,
 * EVENT_IDX, RING_PACKED and IN_ORDER. The areas have their names from the specification: the
 * descriptor, driver and device area (split: table, available ring, used ring).
 */
struct pv_ring_config {
	uint64_t features;
	uint16_t size;
	struct pv_gpa desc_area;
	struct pv_gpa driver_area;
	struct pv_gpa device_area;
	/*
	 * A journal of what is in flight, or NULL: the queue's own region of shared memory
	 * (abi/vhost_inflight.h), with room for `inflight_places` descriptors, 8-aligned. It stays
	 * with the ring until its last use. One that was in use says where the ring stands, and
	 * which chains are to be taken again before new ones.
	 */
	void *inflight;
	uint16_t inflight_places;
};

enum pv_take {
	PV_TAKE_NONE,   /* nothing is available */
	PV_TAKEN,       /* a chain was taken */
	PV_TAKE_BROKEN, /* the driver broke the ring */
};

/* Why a ring is broken; PV_RING_SOUND if it is not. */
enum pv_ring_fault {
	PV_RING_SOUND,
	PV_RING_BAD_INDEX,    /* the available index runs ahead of the ring's size */
	PV_RING_BAD_HEAD,     /* an available entry names no descriptor */
	PV_RING_BAD_NEXT,     /* a chain goes on to no descriptor */
	PV_RING_LOOP,         /* a chain is longer than the ring: it loops */
	PV_RING_BAD_INDIRECT, /* a table not negotiated, nested, mixed in, empty or misshapen */
	PV_RING_BAD_ORDER,    /* a readable buffer behind a writable one */
	PV_RING_TOO_MANY,     /* more chains available than the ring can hold */
	PV_RING_NO_MEMORY,    /* after a change of memory the ring itself is gone */
	PV_RING_BAD_INFLIGHT, /* its journal describes no chain */
};

/* A fault in a few words, for logs. */
const char *pv_ring_fault_name(enum pv_ring_fault fault);

/* Where what the device writes is marked, for whoever moves the guest (ring/dirty_log.h). */
struct pv_ring_logging {
	struct pv_dirty_log *log; /* NULL: nothing is marked */
	/*
	 * The ring's own writes are marked too: those to the device area from `device_area` of the
	 * log on, and a packed ring's descriptors where they are.
	 */
	bool has_own_writes;
	struct pv_gpa device_area;
};

/* In-order queues: a chain that was taken, in its place in the order of taking. */
struct pv_ring_order {
	uint16_t id;
	uint16_t descs;
	uint16_t entry; /* in the journal */
	uint32_t written_bytes;
	bool is_returned;
	bool is_filled;  /* all it could be written to was written */
	bool is_adopted; /* loaded: its chain has been found */
};

struct pv_inflight;

/* No used descriptor of a packed ring waits to be made visible. */
#define PV_NO_SLOT UINT16_MAX

struct pv_dev_ring {
	/* The shape. */
	uint16_t size;
	bool is_packed;
	bool has_indirect;
	bool has_event_idx;
	bool has_in_order;
	struct pv_ring_config config;
	struct pv_mem_view view;
	union {
		const struct virtq_desc *table;
		struct pvirtq_desc *packed;
	};
	union {
		const struct virtq_avail *avail;
		const struct pvirtq_event_suppress *driver_event;
	};
	union {
		struct virtq_used *used;
		struct pvirtq_event_suppress *device_event;
	};

	/* Where we are, in our own memory only. */
	struct pv_ring_position at;
	uint16_t avail_seen;    /* split: the driver's index when last read and found good */
	uint16_t published;     /* `at.used` when last made visible ... */
	bool published_wrap;    /* ... and, packed, its wrap counter */
	uint16_t signalled;     /* split: `at.used` when last decided on an interrupt; ... */
	uint32_t undecided;     /* ... packed: places published since then, see dev_packed.c */
	uint16_t pending_slot;  /* packed: the first used descriptor of the batch ... */
	uint16_t pending_flags; /* ... and the flags that will make it visible */
	bool are_kicks_on;
	enum pv_ring_fault fault;

	/* Chains out with the device. */
	uint16_t in_flight;
	uint16_t in_flight_descs;        /* places in the ring they take up */
	uint32_t born;                   /* count of memory tables so far */
	uint16_t in_flight_before;       /* of them, born under earlier tables ... */
	const struct pv_mem *mem_before; /* ... of which this is the last */
	struct pv_ring_logging logging;

	uint16_t waiting; /* of them, returned, but behind older ones in order */

	struct pv_ring_order *order; /* in-order queues: `size` entries, a ring of its own */
	uint16_t order_head;         /* the oldest chain not yet returned in order */
	uint16_t order_tail;

	struct pv_inflight *inflight; /* the journal, or NULL */
};

/* Bytes of storage that pv_dev_ring_init() needs for a queue of this kind; may be 0. */
size_t pv_dev_ring_storage_bytes(const struct pv_ring_config *config);

/*
 * Puts a ring on what the driver set up, at `position`; nothing is written to it yet, so kicks may
 * come. `storage` is the caller's, of pv_dev_ring_storage_bytes(), zeroed, and stays with the ring
 * until its last use, as does `mem` until pv_dev_ring_mem_switch().
 * A journal that was in use moves it to another position, and only then is written to.
 * Returns 0; -PV_EINVAL for a size or position that cannot be, -PV_EALIGN for a misaligned area,
 * -PV_EFAULT for an area that is not wholly in one region of memory, -PV_ESTATE for a journal that
 * makes no sense.
 */
int pv_dev_ring_init(struct pv_dev_ring *ring, const struct pv_ring_config *config,
                     const struct pv_ring_position *position, const struct pv_mem *mem,
                     void *storage);

/* Takes the next chain. `chain->iov` and `chain->capacity` are the caller's to set before. */
enum pv_take pv_dev_ring_take(struct pv_dev_ring *ring, struct pv_chain *chain);

/*
 * Takes chains, one after another, as long as there are any and there is room. Returns how many. Of
 * `room` only the chains and pieces are written to. A ring that breaks says so by its `fault`, and
 * at the next take; what was taken before that counts.
 */
uint16_t pv_dev_ring_take_run(struct pv_dev_ring *ring, const struct pv_chain_room *room);

/*
 * Gives a chain back, with `written_bytes` of its writable part written. The driver does not see
 * it before pv_dev_ring_publish(). On an in-order queue it may wait for older chains.
 */
void pv_dev_ring_return(struct pv_dev_ring *ring, const struct pv_chain *chain,
                        uint32_t written_bytes);

/* The same of `count` chains, in their order; `written_bytes` of each, or NULL: none of any. */
void pv_dev_ring_return_run(struct pv_dev_ring *ring, const struct pv_chain *chain,
                            const uint32_t *written_bytes, uint16_t count);

/*
 * Makes as if the chain had not been taken: it will be the next one to be. For the chain that was
 * taken last of all that have neither been returned nor put back; what was taken after it must have
 * been put back too. What was written to its buffers stays there, and means nothing to the driver.
 */
void pv_dev_ring_put_back(struct pv_dev_ring *ring, const struct pv_chain *chain);

/* Makes what was returned visible. Returns whether there was anything new. */
bool pv_dev_ring_publish(struct pv_dev_ring *ring);

/* After a publish: does the driver want an interrupt for what was published since the last call? */
bool pv_dev_ring_must_interrupt(struct pv_dev_ring *ring);

/*
 * Asks for kicks from here on. Returns true if chains are already there that no kick will
 * announce (the caller goes on instead of sleeping). Kicks stay on until turned off.
 */
bool pv_dev_ring_kicks_on(struct pv_dev_ring *ring);

/* Asks the driver to leave kicks out. A hint: it may still kick. */
void pv_dev_ring_kicks_off(struct pv_dev_ring *ring);

/*
 * Changes to another memory table. Chains in flight still point into the old one:
 * `in_flight_before` counts them, and the old table and its memory may go when it is 0; until then
 * there is no other change.
 * Returns 0, or -PV_EFAULT when the ring's own areas are not in the new table: it is broken then.
 */
int pv_dev_ring_mem_switch(struct pv_dev_ring *ring, const struct pv_mem *mem);

/*
 * A chain in flight that was born under the table before this one points into this one now: the
 * caller has seen to it.
 */
void pv_dev_ring_moved(struct pv_dev_ring *ring, struct pv_chain *chain);

/*
 * From here on what is written is marked in this log, or in none. Chains that are in flight are
 * marked when they are returned. The log stays until it is replaced here, or the ring is out of
 * use.
 */
void pv_dev_ring_log_set(struct pv_dev_ring *ring, const struct pv_ring_logging *logging);

/* The ring breaks by a rule that the device itself found broken. */
void pv_dev_ring_break(struct pv_dev_ring *ring, enum pv_ring_fault fault);

/*
 * On a fresh ring at a saved position: a chain that was in flight when it was saved is in flight
 * here. False, and nothing happens, where it cannot be; so it is on a ring with a journal, which
 * says itself what was in flight.
 */
bool pv_dev_ring_adopt(struct pv_dev_ring *ring, struct pv_chain *chain);

/* Are there chains of the journal left to be taken again? */
bool pv_dev_ring_has_again(const struct pv_dev_ring *ring);

/*
 * Was the ring served with this journal before? Then what was published last may never have been
 * announced: one interrupt is due.
 */
bool pv_dev_ring_was_in_use(const struct pv_dev_ring *ring);

PV_PUBLIC_END

#endif
