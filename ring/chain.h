/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A chain: the buffers of one request, as the device sees them, and cursors to read and write
 * through them without minding where one buffer ends and the next begins.
 *
 * All that a chain says was copied and checked when it was taken; only the bytes behind its
 * pointers still belong to the guest, which may change them at any time.
 */
#ifndef PV_RING_CHAIN_H
#define PV_RING_CHAIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "abi/linkage.h"

PV_PUBLIC_BEGIN

/* One piece of host memory. Same layout as POSIX struct iovec. */
struct pv_iov {
	void *base;
	size_t bytes;
} __attribute__((may_alias));

struct pv_chain {
	/* For the taker to fill in before: where the pieces go, and how many fit. */
	struct pv_iov *iov;
	uint16_t capacity;

	/* Who it is: what goes back to the driver. Opaque to devices. */
	uint16_t id;    /* split: head descriptor; packed: buffer id */
	uint16_t descs; /* places it takes up in the ring */
	uint16_t order; /* in-order queues: its place in the queue of returns */
	uint16_t entry; /* queues with a journal: its entry there */
	bool is_again;  /* ... which it had before the queue was started */
	uint32_t born;  /* the memory table it points into */

	/*
	 * iov[0 .. readable) the device may read, iov[readable .. readable + writable) it may
	 * write; the pieces of a zero-length buffer do not appear.
	 */
	uint16_t readable;
	uint16_t writable;
	uint64_t readable_bytes;
	uint64_t writable_bytes;

	/*
	 * Not all of it is here: part of a buffer was no memory, or there were more pieces than
	 * `capacity`. The byte counts still cover the whole chain. `last_writable` is its last
	 * writable byte where that can be reached, so that a device can report the failure.
	 */
	bool is_incomplete;
	uint8_t *last_writable;
};

/* Room for several chains, whose pieces come to lie one behind the other. */
struct pv_chain_room {
	struct pv_chain *chain;
	uint16_t count;
	struct pv_iov *iov;  /* `count` times as many pieces as ... */
	uint16_t chain_iovs; /* ... a chain may have */
};

/* A place in a list of pieces, moving forward. */
struct pv_cursor {
	const struct pv_iov *iov;
	size_t left;   /* pieces, the one under the cursor included */
	size_t offset; /* bytes into that one */
};

static inline struct pv_cursor pv_chain_reader(const struct pv_chain *chain)
{
	return (struct pv_cursor){ chain->iov, chain->readable, 0 };
}

static inline struct pv_cursor pv_chain_writer(const struct pv_chain *chain)
{
	return (struct pv_cursor){ chain->iov + chain->readable, chain->writable, 0 };
}

/* Copy up to `bytes` and move on. Return the bytes copied: fewer at the end of the list. */
size_t pv_cursor_read(struct pv_cursor *cursor, void *copy, size_t bytes);
size_t pv_cursor_write(struct pv_cursor *cursor, const void *data, size_t bytes);

/* Moves on by up to `bytes`. Returns how far it went. */
size_t pv_cursor_skip(struct pv_cursor *cursor, size_t bytes);

/*
 * Cuts a list of `*count` pieces to the `bytes` that follow the first `skip` bytes, in place:
 * `*iov` and `*count` change, and so may the first and last piece. Returns false when the list
 * is shorter than that (it is then unchanged).
 */
bool pv_iov_cut(struct pv_iov **iov, uint16_t *count, uint64_t skip, uint64_t bytes);

/* Bytes in a list of pieces. */
uint64_t pv_iov_bytes(const struct pv_iov *iov, size_t count);

PV_PUBLIC_END

#endif
