/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/support/bounce.h"

#include <string.h>

#include "ring/err.h"

#define POISON 0xdb

static struct pv_bounce *of_os(struct pv_os *os)
{
	return (struct pv_bounce *)((char *)os - offsetof(struct pv_bounce, os));
}

static struct pv_os *below(struct pv_os *os)
{
	return &of_os(os)->couple->os;
}

static void *shared_alloc(struct pv_os *os, size_t bytes, size_t align, struct pv_gpa *addr)
{
	return below(os)->ops->shared_alloc(below(os), bytes, align, addr);
}

static void shared_free(struct pv_os *os, void *memory, size_t bytes)
{
	below(os)->ops->shared_free(below(os), memory, bytes);
}

static void *private_alloc(struct pv_os *os, size_t bytes)
{
	return below(os)->ops->alloc(below(os), bytes);
}

static void private_free(struct pv_os *os, void *memory, size_t bytes)
{
	below(os)->ops->free(below(os), memory, bytes);
}

static uint64_t now_ns(struct pv_os *os)
{
	return below(os)->ops->now_ns(below(os));
}

static void wait(struct pv_os *os, uint64_t ns)
{
	below(os)->ops->wait(below(os), ns);
}

static struct pv_bounce_slot *free_slot(struct pv_bounce *bounce)
{
	uint32_t first = pv_random_below(&bounce->random, PV_BOUNCE_SLOTS);

	for (uint32_t i = 0; i < PV_BOUNCE_SLOTS; i++) {
		struct pv_bounce_slot *slot = &bounce->slot[(first + i) % PV_BOUNCE_SLOTS];

		if (!slot->is_mapped)
			return slot;
	}
	return NULL;
}

static uint32_t piece_of(struct pv_bounce *bounce, uint32_t bytes)
{
	uint32_t cut = bounce->piece_min +
	               pv_random_below(&bounce->random, PV_BOUNCE_BYTES - bounce->piece_min + 1);

	return bytes < cut ? bytes : cut;
}

static uint32_t map(struct pv_os *os, void *memory, uint32_t bytes, bool is_written,
                    struct pv_gpa *addr)
{
	struct pv_bounce *bounce = of_os(os);
	struct pv_bounce_slot *slot = free_slot(bounce);

	if (!slot) {
		bounce->refusals++;
		return 0;
	}
	slot->memory = memory;
	slot->bytes = piece_of(bounce, bytes);
	slot->is_written = is_written;
	slot->is_mapped = true;
	bounce->mapped++;
	if (!is_written)
		memcpy(slot->at, memory, slot->bytes);
	*addr = slot->gpa;
	return slot->bytes;
}

static void unmap(struct pv_os *os, struct pv_gpa addr, uint32_t bytes, bool is_written)
{
	struct pv_bounce *bounce = of_os(os);
	struct pv_bounce_slot *slot = bounce->slot;

	while (slot < bounce->slot + PV_BOUNCE_SLOTS && slot->gpa.v != addr.v)
		slot++;
	pv_bug_on(slot == bounce->slot + PV_BOUNCE_SLOTS || !slot->is_mapped ||
	          slot->bytes != bytes || slot->is_written != is_written);
	if (is_written)
		memcpy(slot->memory, slot->at, bytes);
	memset(slot->at, POISON, PV_BOUNCE_BYTES);
	slot->is_mapped = false;
	bounce->mapped--;
}

static const struct pv_os_ops ops = {
	.shared_alloc = shared_alloc,
	.shared_free = shared_free,
	.map = map,
	.unmap = unmap,
	.alloc = private_alloc,
	.free = private_free,
	.now_ns = now_ns,
	.wait = wait,
};

void pv_bounce_open(struct pv_bounce *bounce, struct pv_couple *couple, uint32_t piece_min,
                    struct pv_random random)
{
	*bounce = (struct pv_bounce){
		.couple = couple, .os = { &ops }, .random = random, .piece_min = piece_min
	};
	for (uint32_t i = 0; i < PV_BOUNCE_SLOTS; i++) {
		struct pv_bounce_slot *slot = &bounce->slot[i];

		slot->gpa =
			pv_twin_alloc(&couple->twin, PV_BOUNCE_BYTES, PV_CUT, 200, &bounce->random);
		slot->at = pv_twin_driver(&couple->twin, slot->gpa);
		memset(slot->at, POISON, PV_BOUNCE_BYTES);
	}
}
