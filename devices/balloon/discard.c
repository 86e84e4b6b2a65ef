/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * From ranges of a region to whole pages of the host, which go back to it.
 *
 * A host page that is larger than the balloon's goes when all of it is in the balloon.  What is
 * given away in one piece needs no memory for that; to know it of pieces, pages in the balloon are
 * marked.  That is for drivers that tell before they use a page again (MUST_TELL_HOST): one that
 * tells later could have data in a page that is marked still.
 */
#include "devices/balloon/internal.h"

static uint64_t down(uint64_t bytes, uint64_t unit)
{
	return bytes & ~(unit - 1);
}

static uint64_t up(uint64_t bytes, uint64_t unit)
{
	return down(bytes + unit - 1, unit);
}

/* ---- to the port, many at once ---- */

static struct pv_balloon_going *going_of(const struct pv_queue *queue)
{
	return &pv_balloon_of(queue->device)->lane->going;
}

/* Of those that wait. Returns whether all of them went. */
static bool ask_port(struct pv_queue *queue, uint32_t first, uint32_t pieces)
{
	const struct pv_balloon_going *going = going_of(queue);
	struct pv_port *port = queue->device->port;
	struct pv_balloon_queue_counters *counters = pv_balloon_counters_of(queue);

	if (port->ops->discard(port, going->region, going->piece + first, pieces))
		return false;
	for (uint32_t i = first; i < first + pieces; i++)
		pv_count_add(&counters->discarded_bytes, going->piece[i].bytes);
	return true;
}

/* Where one is refused each is asked for once more, so that one alone counts as kept. */
void pv_balloon_discard_all(struct pv_queue *queue)
{
	struct pv_balloon_going *going = going_of(queue);
	const uint32_t pieces = going->pieces;

	going->pieces = 0;
	if (pieces == 0 || (pieces > 1 && ask_port(queue, 0, pieces)))
		return;
	for (uint32_t i = 0; i < pieces; i++)
		if (!ask_port(queue, i, 1))
			pv_count_add(&pv_balloon_counters_of(queue)->kept_bytes,
			             going->named_bytes[i]);
}

static void add(struct pv_queue *queue, const struct pv_region *region, uint64_t first,
                uint64_t end, uint64_t named_bytes)
{
	struct pv_balloon_going *going = going_of(queue);

	if (going->pieces == PV_BALLOON_GOING || going->region != region)
		pv_balloon_discard_all(queue);
	going->region = region;
	going->piece[going->pieces] =
		(struct pv_iov){ region->host + first, (size_t)(end - first) };
	going->named_bytes[going->pieces++] = named_bytes;
	pv_count(&pv_balloon_counters_of(queue)->ranges);
}

/* ---- which ---- */

/* Of [first, end) the pages [whole, whole_end) go, which may reach further. */
static void discard_whole(struct pv_queue *queue, const struct pv_region *region, uint64_t first,
                          uint64_t end, uint64_t whole, uint64_t whole_end)
{
	uint64_t named = 0;

	if (whole < whole_end) {
		named = (whole_end < end ? whole_end : end) - (whole > first ? whole : first);
		add(queue, region, whole, whole_end, named);
	}
	pv_count_add(&pv_balloon_counters_of(queue)->kept_bytes, end - first - named);
}

static bool goes_back(const struct pv_queue *queue, const struct pv_region *region)
{
	return region->page_bytes > 0 && queue->device->port->ops->discard;
}

void pv_balloon_discard(struct pv_queue *queue, const struct pv_region *region, uint64_t first,
                        uint64_t end)
{
	if (!goes_back(queue, region))
		discard_whole(queue, region, first, end, 0, 0);
	else
		discard_whole(queue, region, first, end, up(first, region->page_bytes),
		              down(end, region->page_bytes));
}

static bool find_marks(const struct pv_queue *queue, const struct pv_region *region,
                       uint64_t *region_marks)
{
	return pv_balloon_marks_at(&pv_balloon_of(queue->device)->lane->marks, region,
	                           region_marks);
}

static bool is_in_balloon(const struct pv_queue *queue, uint64_t region_marks, uint64_t first,
                          uint64_t end)
{
	return pv_balloon_all_marked(&pv_balloon_of(queue->device)->lane->marks,
	                             region_marks + (first >> VIRTIO_BALLOON_PAGE_SHIFT),
	                             region_marks + (end >> VIRTIO_BALLOON_PAGE_SHIFT));
}

void pv_balloon_give(struct pv_queue *queue, const struct pv_region *region, uint64_t first,
                     uint64_t end)
{
	const uint64_t unit = region->page_bytes;
	uint64_t marks, whole, whole_end, inner, inner_end;

	if (!goes_back(queue, region) || !find_marks(queue, region, &marks)) {
		pv_balloon_discard(queue, region, first, end);
		return;
	}
	inner = up(first, VIRTIO_BALLOON_PAGE_BYTES);
	inner_end = down(end, VIRTIO_BALLOON_PAGE_BYTES);
	pv_balloon_mark(&pv_balloon_of(queue->device)->lane->marks,
	                marks + (inner >> VIRTIO_BALLOON_PAGE_SHIFT),
	                marks + (inner_end >> VIRTIO_BALLOON_PAGE_SHIFT));
	/* The larger pages that it begins and ends in, if the rest of them is in the balloon too.
	 */
	whole = down(inner, unit);
	if (!is_in_balloon(queue, marks, whole, inner))
		whole += unit;
	whole_end = up(inner_end, unit);
	if (whole_end > region->bytes || !is_in_balloon(queue, marks, inner_end, whole_end))
		whole_end = down(inner_end, unit);
	discard_whole(queue, region, first, end, whole, whole_end);
}

void pv_balloon_take_out(struct pv_queue *queue, const struct pv_region *region, uint64_t first,
                         uint64_t end)
{
	uint64_t marks;

	if (!find_marks(queue, region, &marks))
		return;
	pv_balloon_unmark(&pv_balloon_of(queue->device)->lane->marks,
	                  marks + (first >> VIRTIO_BALLOON_PAGE_SHIFT),
	                  marks + (up(end, VIRTIO_BALLOON_PAGE_BYTES) >>
	                           VIRTIO_BALLOON_PAGE_SHIFT));
}
