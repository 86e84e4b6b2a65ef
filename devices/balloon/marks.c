/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Marks: the pages of 4 KiB that are in the balloon, where the host has larger ones.
 *
 * To forget one is safe: the larger page stays with the guest then.  So they are good for one table
 * of memory and for queues that go on, and are forgotten with a change of either, rather than
 * moved.
 */
#include "devices/balloon/internal.h"

#define WORD_BITS 32u

static bool is_marked_in(const struct pv_region *region)
{
	return region->page_bytes > VIRTIO_BALLOON_PAGE_BYTES;
}

static uint64_t pages_of(const struct pv_region *region)
{
	return (region->bytes + VIRTIO_BALLOON_PAGE_BYTES - 1) >> VIRTIO_BALLOON_PAGE_SHIFT;
}

uint64_t pv_balloon_marks_of(const struct pv_mem *mem)
{
	uint64_t count = 0;

	for (uint32_t i = 0; i < mem->count; i++)
		if (is_marked_in(&mem->region[i]))
			count += pages_of(&mem->region[i]);
	return count;
}

static void forget(struct pv_balloon_marks *marks)
{
	if (marks->has_any)
		__builtin_memset(marks->word, 0,
		                 (size_t)((marks->max + WORD_BITS - 1) / WORD_BITS) *
		                         sizeof(marks->word[0]));
	marks->has_any = false;
}

void pv_balloon_marks_follow(struct pv_queue *queue)
{
	struct pv_balloon *balloon = pv_balloon_of(queue->device);
	struct pv_balloon_marks *marks = &balloon->lane->marks;
	const uint64_t memory = queue->ring.born + 1ull;

	if (balloon->memory_of[queue->index] == memory && marks->mem == queue->ring.view.mem)
		return;
	balloon->memory_of[queue->index] = memory;
	marks->mem = queue->ring.view.mem;
	forget(marks);
}

bool pv_balloon_marks_at(const struct pv_balloon_marks *marks, const struct pv_region *region,
                         uint64_t *first)
{
	*first = 0;
	if (marks->max == 0 || !is_marked_in(region))
		return false;
	for (const struct pv_region *before = marks->mem->region; before < region; before++)
		if (is_marked_in(before))
			*first += pages_of(before);
	return *first <= marks->max && pages_of(region) <= marks->max - *first;
}

/* The bits of the word that `first` is in, from there on and before `end`; and where it ends. */
static uint32_t part_of_word(uint64_t *first, uint64_t end)
{
	const uint32_t from = (uint32_t)(*first % WORD_BITS);
	const uint64_t next = *first - from + WORD_BITS;
	uint32_t bits = UINT32_MAX << from;

	if (end < next)
		bits &= ~(UINT32_MAX << end % WORD_BITS);
	*first = next;
	return bits;
}

void pv_balloon_mark(struct pv_balloon_marks *marks, uint64_t first, uint64_t end)
{
	marks->has_any |= first < end;
	while (first < end) {
		uint32_t *word = &marks->word[first / WORD_BITS];

		*word |= part_of_word(&first, end);
	}
}

void pv_balloon_unmark(struct pv_balloon_marks *marks, uint64_t first, uint64_t end)
{
	while (first < end) {
		uint32_t *word = &marks->word[first / WORD_BITS];

		*word &= ~part_of_word(&first, end);
	}
}

bool pv_balloon_all_marked(const struct pv_balloon_marks *marks, uint64_t first, uint64_t end)
{
	while (first < end) {
		const uint32_t word = marks->word[first / WORD_BITS];
		const uint32_t bits = part_of_word(&first, end);

		if ((word & bits) != bits)
			return false;
	}
	return true;
}
