/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A store that stands on another: the frame of test stores that lie between a device and the store
 * it really has.
 *
 * Each I/O goes down as a copy, pieces and all, so that the one from above stays as it came and
 * the store below can do with its copy what it does.  What a layer is about are two functions: one
 * sees an I/O before it goes down, one when it comes back.
 *
 * One lane only: everything is called on the thread of that lane.
 */
#ifndef PV_TESTS_STORE_LAYER_H
#define PV_TESTS_STORE_LAYER_H

#include "devices/blk/store.h"

#define PV_LAYER_PIECES 192u

struct pv_layer;

struct pv_layer_io {
	struct pv_blk_io io; /* what the store below gets; first */
	struct pv_blk_io *above;
	struct pv_layer *layer;
	struct pv_layer_io *next; /* the layer's, while it is free or kept */
	/* The kind's. */
	void *own;
	uint64_t mark;
	int error;
	struct pv_iov iov[PV_LAYER_PIECES];
};

/* What `end` returns to keep an I/O: pv_layer_end() is called for it later. */
#define PV_LAYER_KEPT 1

struct pv_layer_ops {
	/* Before it goes down, where the copy may be changed. An error: it does not go. */
	int (*begin)(struct pv_layer_io *io);
	/* It came back from below. Returns 0 or the error to tell above, or PV_LAYER_KEPT. */
	int (*end)(struct pv_layer_io *io, int error);
	/* The store below gave it back without an effect. May be NULL. */
	void (*withdrawn)(struct pv_layer_io *io);
};

struct pv_layer {
	struct pv_blk_store blk; /* for the device; first */
	const struct pv_layer_ops *ops;
	struct pv_blk_store *below;
	struct pv_layer_io *free;
	uint32_t in_flight;
};

/* Has the size and the limits of the store below, which must outlive it. */
void pv_layer_open(struct pv_layer *layer, const struct pv_layer_ops *ops,
                   struct pv_blk_store *below);

/* When nothing is in flight. */
void pv_layer_close(struct pv_layer *layer);

/* Tells above that an I/O that was kept has ended. */
void pv_layer_end(struct pv_layer_io *io, int error);

#endif
