/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a block device stands on.
 *
 * A store is an array of bytes that can be read, written, made stable and made empty.  The device
 * hands it one piece of I/O at a time, on the lane of the queue it came from; the store answers at
 * once or later, on the same lane.  Ranges were checked against the capacity by the device.  A
 * store never sees a ring, and the device never sees what the store is made of.
 */
#ifndef PV_DEVICES_BLK_STORE_H
#define PV_DEVICES_BLK_STORE_H

#include <stdbool.h>
#include <stdint.h>

#include "ring/chain.h"

enum pv_blk_op {
	PV_BLK_READ,
	PV_BLK_WRITE,
	PV_BLK_FLUSH,
	PV_BLK_DISCARD, /* content undefined from here on, space given back */
	PV_BLK_WRITE_ZEROES,
	PV_BLK_SECURE_ERASE, /* as discard, and the content cannot be had back */
};

struct pv_blk_io {
	/* The device's. */
	enum pv_blk_op op;
	bool is_stable; /* all that changes content: on stable storage before it ends */
	bool may_unmap; /* write zeroes: space may be given back */
	uint64_t offset;
	uint64_t bytes;
	/*
	 * Read, write: exactly `bytes` long. While it works the store may move along the list and
	 * cut a piece; when the I/O ends, well or not, the pieces are as they came.
	 */
	struct pv_iov *iov;
	uint16_t iovs;

	/*
	 * Called once, on the lane, for an I/O that submit() left pending. `error` is 0 or a
	 * negative enum pv_err: -PV_ENOSPC where room was wanting, -PV_ENOTSUP for what it turns
	 * out it cannot do, -PV_EIO for all else.
	 */
	void (*done)(struct pv_blk_io *io, int error);

	int error; /* the same, from a submit() that failed */

	/* The store's. */
	void *lane;
	union {
		uint64_t word[24];
		void *pointer;
	} store;
};

enum pv_blk_submit {
	PV_BLK_DONE,    /* it succeeded; done() will not be called */
	PV_BLK_FAILED,  /* it failed, as `error` says; done() will not be called */
	PV_BLK_PENDING, /* done() will be called */
};

/* How worn the medium is, as in struct virtio_blk_lifetime. */
struct pv_blk_lifetime {
	uint16_t pre_eol_info;
	uint16_t type_a;
	uint16_t type_b;
};

struct pv_blk_store;

struct pv_blk_store_ops {
	/* Lane. */
	enum pv_blk_submit (*submit)(struct pv_blk_store *store, struct pv_blk_io *io);

	/*
	 * Lane. Takes back a pending I/O that has had no effect yet: true if it did, and done()
	 * will not be called then. NULL: never possible.
	 */
	bool (*withdraw)(struct pv_blk_store *store, struct pv_blk_io *io);

	/*
	 * Control side. The device's first queue is about to start: from here until `end`, which
	 * follows when the last one has stopped, nobody else may change what is stored. Returns 0,
	 * or -PV_ELOCKED when somebody does or might. NULL, both: there is nobody else.
	 */
	int (*begin)(struct pv_blk_store *store);
	void (*end)(struct pv_blk_store *store);

	/* Lane. Never waits for the medium. Returns 0, or -PV_EIO. */
	int (*lifetime)(struct pv_blk_store *store, struct pv_blk_lifetime *lifetime);
};

/* What the device tells the driver about the store. Bytes unless said otherwise. */
struct pv_blk_limits {
	uint32_t logical_block_bytes; /* a power of two */
	uint32_t physical_block_bytes;
	uint32_t optimal_io_bytes;    /* 0: nothing to tell */
	uint32_t discard_granularity; /* 0: no discard */
	uint32_t erase_granularity;   /* 0: no secure erase */
	bool can_write_zeroes;
	bool has_lifetime; /* `lifetime` is there */
	bool is_read_only;
};

struct pv_blk_store {
	const struct pv_blk_store_ops *ops;
	uint64_t capacity_bytes; /* the device follows it through pv_blk_resized() */
	struct pv_blk_limits limits;
};

#endif
