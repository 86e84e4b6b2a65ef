/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * From page numbers as a driver lists them to ranges of memory: sorted, joined, and cut where one
 * region ends and another begins.
 */
#include "devices/balloon/internal.h"

/* ---- sorting: by one digit after the other, in as many steps for any numbers ---- */

#define DIGIT_BITS  8u
#define DIGIT_MAX   (1u << DIGIT_BITS)
#define NUMBER_BITS 32u

static uint32_t digit(uint32_t number, uint32_t shift)
{
	return number >> shift & (DIGIT_MAX - 1);
}

/* False, and nothing was done, where all have the same. */
static bool sort_by(const uint32_t *from, uint32_t *to, uint32_t count, uint32_t shift)
{
	uint32_t place[DIGIT_MAX] = { 0 };
	uint32_t next = 0;

	for (uint32_t i = 0; i < count; i++)
		place[digit(from[i], shift)]++;
	if (place[digit(from[0], shift)] == count)
		return false;
	for (uint32_t i = 0; i < DIGIT_MAX; i++) {
		uint32_t here = place[i];

		place[i] = next;
		next += here;
	}
	for (uint32_t i = 0; i < count; i++)
		to[place[digit(from[i], shift)]++] = from[i];
	return true;
}

/* Returns where they are then. */
static const uint32_t *sorted(struct pv_balloon_batch *batch)
{
	uint32_t *from = batch->number, *to = batch->spare;

	for (uint32_t shift = 0; shift < NUMBER_BITS; shift += DIGIT_BITS) {
		uint32_t *before = from;

		if (!sort_by(from, to, batch->count, shift))
			continue;
		from = to;
		to = before;
	}
	return from;
}

/* ---- ranges ---- */

#define PAGE ((uint64_t)VIRTIO_BALLOON_PAGE_BYTES)

/* Of no memory: so far until there may be some. */
static uint64_t bytes_to_next_page(struct pv_gpa gpa)
{
	return PAGE - (gpa.v & (PAGE - 1));
}

static void use_range(struct pv_queue *queue, struct pv_gpa gpa, uint64_t bytes,
                      pv_balloon_use *use)
{
	struct pv_mem_view *view = &queue->ring.view;

	while (bytes > 0) {
		uint64_t here;
		const uint8_t *host = pv_mem_at(view, gpa, &here);

		if (!host) {
			pv_count(&pv_balloon_counters_of(queue)->bad_pages);
			here = bytes_to_next_page(gpa);
		} else {
			/* It has answered, so it is the last. */
			const struct pv_region *region = &view->mem->region[view->last];
			uint64_t first = gpa.v - region->gpa.v;

			if (here > bytes)
				here = bytes;
			use(queue, region, first, first + here);
		}
		gpa = pv_gpa_add(gpa, here);
		bytes -= here;
	}
}

/* How many from here on follow each other; `*repeated` of them are there again. */
static uint32_t run_from(const uint32_t *number, uint32_t count, uint32_t *repeated)
{
	uint32_t run = 1;

	*repeated = 0;
	for (; run < count && number[run] - number[run - 1] <= 1; run++)
		*repeated += number[run] == number[run - 1];
	return run;
}

void pv_balloon_ranges(struct pv_queue *queue, struct pv_balloon_batch *batch, pv_balloon_use *use)
{
	const uint32_t *number;
	uint32_t run, repeated;

	if (batch->count == 0)
		return;
	number = sorted(batch);
	for (uint32_t i = 0; i < batch->count; i += run) {
		run = run_from(number + i, batch->count - i, &repeated);
		pv_count_add(&pv_balloon_counters_of(queue)->repeated_pages, repeated);
		use_range(queue, pv_gpa_of(number[i] * PAGE), (run - repeated) * PAGE, use);
	}
}
