/* SPDX-License-Identifier: BSD-2-Clause */
/* Within ring/: what the split and the packed device role share in walking a chain. */
#ifndef PV_RING_DEV_WALK_H
#define PV_RING_DEV_WALK_H

#include "ring/barrier.h"
#include "ring/dev_ring.h"

/* What is done for each chain of a run: a call would be a good part of it. */
#define PV_IN_ONE_PIECE inline __attribute__((always_inline))

/*
 * Descriptors in one indirect table. The specification allows as many as the queue has; Linux
 * goes by the device's segment limit instead, which on a small queue is more.
 */
#define PV_INDIRECT_MAX 1024u

static inline uint32_t pv_indirect_max(const struct pv_dev_ring *ring)
{
	return ring->size > PV_INDIRECT_MAX ? ring->size : PV_INDIRECT_MAX;
}

static inline void pv_walk_start(struct pv_dev_ring *ring, struct pv_chain *chain)
{
	chain->born = ring->born;
	chain->readable = 0;
	chain->writable = 0;
	chain->readable_bytes = 0;
	chain->writable_bytes = 0;
	chain->is_incomplete = false;
	chain->last_writable = NULL;
}

/* A buffer that does not lie in one region, or not in any, or that there is no room for. */
void pv_walk_pieces(struct pv_dev_ring *ring, struct pv_chain *chain, struct pv_gpa addr,
                    uint32_t bytes, bool is_writable);

/* Adds one buffer to the chain. Returns the fault of a buffer that breaks the order of buffers. */
static inline enum pv_ring_fault pv_walk_buffer(struct pv_dev_ring *ring, struct pv_chain *chain,
                                                struct pv_gpa addr, uint32_t bytes,
                                                bool is_writable)
{
	uint16_t pieces = (uint16_t)(chain->readable + chain->writable);
	uint64_t run_bytes;
	uint8_t *host;

	if (is_writable) {
		chain->writable_bytes += bytes;
	} else {
		if (chain->writable_bytes > 0)
			return PV_RING_BAD_ORDER;
		chain->readable_bytes += bytes;
	}
	if (bytes == 0)
		return PV_RING_SOUND;
	host = pv_mem_at(&ring->view, addr, &run_bytes);
	if (!host || bytes > run_bytes || pieces >= chain->capacity) {
		pv_walk_pieces(ring, chain, addr, bytes, is_writable);
		return PV_RING_SOUND;
	}
	chain->iov[pieces] = (struct pv_iov){ host, bytes };
	if (is_writable) {
		chain->writable++;
		chain->last_writable = host + bytes - 1;
	} else {
		chain->readable++;
	}
	return PV_RING_SOUND;
}

/*
 * A chain of one buffer, in the region of the one before, as most chains of a network are: what
 * pv_walk_start() and pv_walk_buffer() come to, in one go. Returns false, with the chain as it was,
 * for any other.
 */
static inline bool pv_walk_only(struct pv_dev_ring *ring, struct pv_chain *chain,
                                struct pv_gpa addr, uint32_t bytes, bool is_writable)
{
	uint64_t run_bytes;
	uint8_t *host = pv_mem_at_last(&ring->view, addr, &run_bytes);

	if (!host || bytes > run_bytes || bytes == 0 || chain->capacity == 0)
		return false;
	chain->born = ring->born;
	chain->readable = !is_writable;
	chain->writable = is_writable;
	chain->readable_bytes = is_writable ? 0 : bytes;
	chain->writable_bytes = is_writable ? bytes : 0;
	chain->is_incomplete = false;
	chain->last_writable = is_writable ? host + bytes - 1 : NULL;
	chain->iov[0] = (struct pv_iov){ host, bytes };
	return true;
}

/*
 * An indirect table, read one descriptor at a time: straight through a pointer when it lies in
 * one piece, which it nearly always does.
 */
struct pv_table {
	const uint8_t *host; /* NULL: in pieces, or nowhere */
	struct pv_gpa gpa;
	uint32_t count;
};

/* Returns the fault of a table that cannot be. */
enum pv_ring_fault pv_table_open(struct pv_dev_ring *ring, struct pv_gpa addr, uint32_t bytes,
                                 struct pv_table *table);

/* Copies a descriptor out. False where the table is no memory. */
static inline bool pv_table_read(struct pv_dev_ring *ring, const struct pv_table *table,
                                 uint32_t index, void *desc)
{
	size_t offset = sizeof(struct virtq_desc) * (size_t)index;

	if (!table->host)
		return pv_mem_read(&ring->view, pv_gpa_add(table->gpa, offset), desc,
		                   sizeof(struct virtq_desc));
	pv_copy_once(desc, table->host + offset, sizeof(struct virtq_desc));
	return true;
}

static inline void pv_walk_book(struct pv_dev_ring *ring, const struct pv_chain *chain)
{
	ring->in_flight++;
	ring->in_flight_descs = (uint16_t)(ring->in_flight_descs + chain->descs);
}

/* A chain is complete: take the books over. */
static inline void pv_walk_finish(struct pv_dev_ring *ring, struct pv_chain *chain)
{
	if (chain->readable_bytes > UINT32_MAX || chain->writable_bytes > UINT32_MAX)
		chain->is_incomplete = true; /* more than a used length can say */
	pv_walk_book(ring, chain);
}

/*
 * What pv_dev_ring_take_run() says, where `next` takes one chain.
 */
static PV_IN_ONE_PIECE uint16_t pv_walk_run(struct pv_dev_ring *ring,
                                            const struct pv_chain_room *room,
                                            enum pv_take (*next)(struct pv_dev_ring *ring,
                                                                 struct pv_chain *chain))
{
	struct pv_iov *iov = room->iov;
	uint16_t taken;

	for (taken = 0; taken < room->count; taken++) {
		struct pv_chain *chain = &room->chain[taken];

		chain->iov = iov;
		chain->capacity = room->chain_iovs;
		if (next(ring, chain) != PV_TAKEN)
			break;
		iov += chain->readable + chain->writable;
	}
	return taken;
}

/* The two formats. Runs are for rings where nothing stands between a chain and its place. */
enum pv_take pv_dev_split_take(struct pv_dev_ring *ring, struct pv_chain *chain);
uint16_t pv_dev_split_take_run(struct pv_dev_ring *ring, const struct pv_chain_room *room);

/* The whole chain of a head descriptor below the ring's size, into the books. */
enum pv_ring_fault pv_dev_split_walk(struct pv_dev_ring *ring, struct pv_chain *chain,
                                     uint16_t head);
bool pv_dev_split_publish(struct pv_dev_ring *ring);
bool pv_dev_split_must_interrupt(struct pv_dev_ring *ring);
bool pv_dev_split_kicks_on(struct pv_dev_ring *ring);
void pv_dev_split_kicks_off(struct pv_dev_ring *ring);

enum pv_take pv_dev_packed_take(struct pv_dev_ring *ring, struct pv_chain *chain);
uint16_t pv_dev_packed_take_run(struct pv_dev_ring *ring, const struct pv_chain_room *room);

#define PV_AVAIL_USED (VIRTQ_DESC_F_AVAIL | VIRTQ_DESC_F_USED)

/*
 * Does a descriptor say that it is available, in the lap that `wrap` stands for? It carries the
 * driver's wrap counter in one bit then, and its inverse in the other.
 */
static inline bool pv_dev_packed_is_available(uint16_t flags, bool wrap)
{
	return (flags & PV_AVAIL_USED) == (wrap ? VIRTQ_DESC_F_AVAIL : VIRTQ_DESC_F_USED);
}

/* Moves a position on by so many places, at most a lap. */
static inline void pv_dev_packed_step(const struct pv_dev_ring *ring, uint16_t *at, bool *wrap,
                                      uint16_t places)
{
	uint32_t next = (uint32_t)*at + places;

	if (next >= ring->size) {
		next -= ring->size;
		*wrap = !*wrap;
	}
	*at = (uint16_t)next;
}

/* Moves the available position back by so many places. */
void pv_dev_packed_step_back(struct pv_dev_ring *ring, uint16_t places);

/* One descriptor, the `chain->descs`th, with the flags that count: adds what it describes. */
enum pv_ring_fault pv_dev_packed_walk_desc(struct pv_dev_ring *ring, struct pv_chain *chain,
                                           const struct pvirtq_desc *desc, uint16_t flags);
bool pv_dev_packed_publish(struct pv_dev_ring *ring);
bool pv_dev_packed_must_interrupt(struct pv_dev_ring *ring);
bool pv_dev_packed_kicks_on(struct pv_dev_ring *ring);
void pv_dev_packed_kicks_off(struct pv_dev_ring *ring);

/* Write a used entry for a chain of `descs` places; visible with the next publish. */
void pv_dev_split_used(struct pv_dev_ring *ring, uint16_t id, uint16_t descs, uint32_t bytes);
void pv_dev_packed_used(struct pv_dev_ring *ring, uint16_t id, uint16_t descs, uint32_t bytes);

/* The same for each of a run of chains. */
void pv_dev_split_used_run(struct pv_dev_ring *ring, const struct pv_chain *chain,
                           const uint32_t *written_bytes, uint16_t count);
void pv_dev_packed_used_run(struct pv_dev_ring *ring, const struct pv_chain *chain,
                            const uint32_t *written_bytes, uint16_t count);

/* Breaks the ring and says so. */
enum pv_take pv_dev_ring_broken(struct pv_dev_ring *ring, enum pv_ring_fault fault);

#endif
