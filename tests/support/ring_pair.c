/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/support/ring_pair.h"

#include <stdio.h>
#include <stdlib.h>

#include "abi/virtio_features.h"
#include "ring/barrier.h"
#include "ring/err.h"

void pv_ring_pair_name(const struct pv_ring_pair_options *options, char *name, size_t bytes)
{
	snprintf(name, bytes, "%s size %u start %u%s%s%s",
	         options->features & VIRTIO_F_RING_PACKED ? "packed" : "split", options->size,
	         options->start, options->features & VIRTIO_F_INDIRECT_DESC ? " indirect" : "",
	         options->features & VIRTIO_F_EVENT_IDX ? " event" : "",
	         options->features & VIRTIO_F_IN_ORDER ? " in-order" : "");
}

/* The driver goes on where a ring of the same shape might have been after a while. */
static void start_driver_at(struct pv_drv_ring *ring, const struct pv_ring_position *at)
{
	ring->at = *at;
	ring->published = at->avail;
	ring->published_wrap = at->avail_wrap;
	ring->used_seen = at->used;
	if (ring->is_packed) {
		/* What lies behind was used in this lap. */
		for (uint16_t i = 0; i < at->used; i++)
			pv_write_le16(&ring->packed[i].flags,
			              VIRTQ_DESC_F_AVAIL | VIRTQ_DESC_F_USED);
		ring->oldest = at->used;
	} else {
		pv_write_le16(&ring->avail->idx, at->avail);
		pv_write_le16((struct pv_le16 *)&ring->used->idx, at->used);
	}
	pv_drv_ring_interrupts_on(ring);
	pv_drv_ring_interrupts_off(ring);
}

static struct pv_ring_position position_of(const struct pv_ring_pair_options *options)
{
	struct pv_ring_position at = pv_ring_position_fresh();

	at.avail = options->start;
	if (options->features & VIRTIO_F_RING_PACKED)
		at.avail = options->start % options->size;
	at.used = at.avail;
	return at;
}

static struct pv_gpa alloc_area(struct pv_ring_pair *pair, uint64_t bytes, void **driver)
{
	struct pv_gpa gpa = pv_twin_alloc(&pair->twin, (size_t)bytes, PV_WHOLE, 0, NULL);

	*driver = pv_twin_driver(&pair->twin, gpa);
	return gpa;
}

static void alloc_rings(struct pv_ring_pair *pair, struct pv_ring_config *config)
{
	struct pv_ring_bytes bytes = pv_ring_bytes(config->features, config->size);
	struct pv_drv_ring_memory *memory = &pair->memory;

	config->desc_area = alloc_area(pair, bytes.desc_area, &memory->desc_area);
	config->driver_area = alloc_area(pair, bytes.driver_area, &memory->driver_area);
	config->device_area = alloc_area(pair, bytes.device_area, &memory->device_area);
	memory->private_area = calloc(1, pv_drv_ring_private_bytes(config->size));
	pv_bug_on(!memory->private_area);
}

static void alloc_tables(struct pv_ring_pair *pair, struct pv_random *random)
{
	const struct pv_ring_pair_options *options = &pair->options;
	size_t bytes = sizeof(struct virtq_desc) * options->size * options->indirect_max;

	if (bytes == 0)
		return;
	/* The device finds them in pieces that end in the middle of descriptors. */
	pair->memory.indirect_gpa =
		pv_twin_alloc(&pair->twin, bytes, PV_CUT, options->region_max * 4, random);
	pair->memory.indirect = pv_twin_driver(&pair->twin, pair->memory.indirect_gpa);
	pair->memory.indirect_max = options->indirect_max;
}

void pv_ring_pair_open(struct pv_ring_pair *pair, const struct pv_ring_pair_options *options,
                       struct pv_random *random)
{
	struct pv_ring_position at = position_of(options);
	struct pv_ring_config config = { .features = options->features, .size = options->size };
	size_t storage_bytes = pv_dev_ring_storage_bytes(&config);

	*pair = (struct pv_ring_pair){ .options = *options };
	pv_twin_open(&pair->twin, (size_t)options->size * (32 + 16u * options->indirect_max) +
	                                  options->data_bytes * 8 + (64 << 10));
	alloc_rings(pair, &config);
	alloc_tables(pair, random);
	pair->data = pv_twin_alloc(&pair->twin, options->data_bytes, PV_SCATTERED,
	                           options->region_max, random);
	pv_twin_seal(&pair->twin, random);
	pair->storage = storage_bytes ? calloc(1, storage_bytes) : NULL;
	pv_bug_on(pv_drv_ring_init(&pair->driver, options->features, options->size, &pair->memory));
	start_driver_at(&pair->driver, &at);
	pv_bug_on(pv_dev_ring_init(&pair->device, &config, &at, pair->twin.table[PV_VIEW_DEVICE],
	                           pair->storage));
}

void pv_ring_pair_close(struct pv_ring_pair *pair)
{
	free(pair->memory.private_area);
	free(pair->storage);
	pv_twin_close(&pair->twin);
}
