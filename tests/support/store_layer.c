/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/support/store_layer.h"

#include <stdlib.h>
#include <string.h>

#include "ring/err.h"

/* How a store says that an I/O failed in submit(). */
static enum pv_blk_submit failed(struct pv_blk_io *io, int error)
{
	io->error = error;
	return PV_BLK_FAILED;
}

static void came_back(struct pv_blk_io *io, int error)
{
	struct pv_layer_io *layer_io = (struct pv_layer_io *)io;
	int told = layer_io->layer->ops->end(layer_io, error);

	if (told != PV_LAYER_KEPT)
		pv_layer_end(layer_io, told);
}

static struct pv_layer_io *take(struct pv_layer *layer, struct pv_blk_io *above)
{
	struct pv_layer_io *io = layer->free;

	if (io)
		layer->free = io->next;
	else
		io = malloc(sizeof(*io));
	pv_bug_on(!io || above->iovs > PV_LAYER_PIECES);
	io->io = *above;
	io->io.iov = io->iov;
	io->io.done = came_back;
	io->above = above;
	io->layer = layer;
	io->own = NULL;
	io->mark = 0;
	io->error = 0;
	if (above->iovs > 0)
		memcpy(io->iov, above->iov, above->iovs * sizeof(io->iov[0]));
	above->store.pointer = io;
	layer->in_flight++;
	return io;
}

static void give_back(struct pv_layer_io *io)
{
	io->layer->in_flight--;
	io->next = io->layer->free;
	io->layer->free = io;
}

void pv_layer_end(struct pv_layer_io *io, int error)
{
	struct pv_blk_io *above = io->above;

	give_back(io);
	above->done(above, error);
}

static enum pv_blk_submit submit(struct pv_blk_store *blk, struct pv_blk_io *above)
{
	struct pv_layer *layer = (struct pv_layer *)blk;
	struct pv_layer_io *io = take(layer, above);
	int error = layer->ops->begin(io);

	if (!error) {
		enum pv_blk_submit submitted = layer->below->ops->submit(layer->below, &io->io);

		if (submitted == PV_BLK_PENDING)
			return PV_BLK_PENDING;
		error = layer->ops->end(io, submitted == PV_BLK_FAILED ? io->io.error : 0);
	}
	if (error == PV_LAYER_KEPT)
		return PV_BLK_PENDING;
	give_back(io);
	return error ? failed(above, error) : PV_BLK_DONE;
}

static bool withdraw(struct pv_blk_store *blk, struct pv_blk_io *above)
{
	struct pv_layer *layer = (struct pv_layer *)blk;
	struct pv_layer_io *io = above->store.pointer;

	if (!layer->below->ops->withdraw || !layer->below->ops->withdraw(layer->below, &io->io))
		return false;
	if (layer->ops->withdrawn)
		layer->ops->withdrawn(io);
	give_back(io);
	return true;
}

static const struct pv_blk_store_ops store_ops = {
	.submit = submit,
	.withdraw = withdraw,
};

void pv_layer_open(struct pv_layer *layer, const struct pv_layer_ops *ops,
                   struct pv_blk_store *below)
{
	*layer = (struct pv_layer){ .blk = *below, .ops = ops, .below = below };
	layer->blk.ops = &store_ops;
}

void pv_layer_close(struct pv_layer *layer)
{
	pv_bug_on(layer->in_flight > 0);
	while (layer->free) {
		struct pv_layer_io *io = layer->free;

		layer->free = io->next;
		free(io);
	}
}
