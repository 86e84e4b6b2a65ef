/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Pages, by lists of their numbers.  A request is cut into lists, each of which is filled anew with
 * what comes next when it is back.
 */
#include "drivers/balloon/internal.h"
#include "ring/err.h"

#define NUMBERS_END (1ull << 32)

static struct pv_driver_queue *queue_of(struct pv_baldrv *balloon, enum pv_baldrv_queue which)
{
	return &balloon->queue[which];
}

void pv_baldrv_ways_init(struct pv_baldrv *balloon)
{
	for (uint32_t way = 0; way < 2; way++)
		for (uint32_t i = 0; i < PV_BALDRV_LISTS; i++) {
			struct pv_baldrv_list *list = &balloon->way[way].list[i];

			list->number = balloon->shared->list[way][i];
			list->piece.addr = pv_gpa_add(
				balloon->shared_gpa,
				(uint64_t)((uint8_t *)list->number - (uint8_t *)balloon->shared));
		}
}

/* ---- listing ---- */

static bool is_good_range(const struct pv_baldrv_range *range)
{
	const uint64_t first = range->address >> VIRTIO_BALLOON_PAGE_SHIFT;

	return range->pages > 0 && range->address % VIRTIO_BALLOON_PAGE_BYTES == 0 &&
	       first < NUMBERS_END && range->pages <= NUMBERS_END - first;
}

static bool is_good(const struct pv_baldrv_request *request)
{
	for (uint32_t i = 0; i < request->ranges; i++)
		if (!is_good_range(&request->range[i]))
			return false;
	return request->ranges > 0;
}

/* The pages that come next. Returns how many fit; 0: there are no more. */
static uint32_t fill(struct pv_baldrv_request *request, struct pv_le32 *number)
{
	uint32_t count = 0;

	while (count < PV_BALDRV_LIST_PAGES && request->range_at < request->ranges) {
		const struct pv_baldrv_range *range = &request->range[request->range_at];
		const uint32_t first = (uint32_t)(range->address >> VIRTIO_BALLOON_PAGE_SHIFT);

		number[count++] = pv_le32_of(first + request->page_at);
		if (++request->page_at == range->pages) {
			request->range_at++;
			request->page_at = 0;
		}
	}
	return count;
}

static int add(struct pv_driver_queue *queue, struct pv_baldrv_list *list)
{
	int error = pv_drv_ring_add(&queue->ring, &list->piece, 1, 0, list);

	list->is_out = !error;
	return error;
}

/* Each list that is there goes out, filled; a ring that is smaller has what fits. */
static void send(struct pv_driver_queue *queue, struct pv_baldrv_way *way)
{
	struct pv_baldrv_request *request = way->request;

	for (uint32_t i = 0; i < PV_BALDRV_LISTS; i++) {
		struct pv_baldrv_list *list = &way->list[i];
		const uint32_t range_at = request->range_at, page_at = request->page_at;
		uint32_t count;

		if (list->is_out)
			continue;
		count = fill(request, list->number);
		if (count == 0)
			break;
		list->piece.bytes = count * (uint32_t)sizeof(list->number[0]);
		list->base.deadline_ns = request->base.deadline_ns;
		if (add(queue, list)) {
			request->range_at = range_at;
			request->page_at = page_at;
			break;
		}
		request->lists_out++;
	}
	pv_driver_queue_publish(queue);
}

/* ---- ending ---- */

static void count_pages(struct pv_baldrv *balloon, bool is_inflating, uint32_t pages)
{
	if (is_inflating) {
		balloon->counters.inflated += pages;
		balloon->actual += pages;
		return;
	}
	balloon->counters.deflated += pages;
	balloon->actual -= pages < balloon->actual ? pages : balloon->actual;
}

static void finish(struct pv_baldrv *balloon, struct pv_baldrv_way *way)
{
	struct pv_baldrv_request *request = way->request;

	way->request = NULL;
	balloon->counters.errors += request->error != 0;
	/* Of a bus that fails at it the next look at the device finds out. */
	if (request->pages > 0)
		pv_baldrv_write_actual(balloon);
	request->is_done = true;
	if (request->done)
		request->done(request);
}

/* Nothing more of it is listed. */
static void give_up(struct pv_baldrv_request *request, int error)
{
	if (!request->error)
		request->error = error;
	request->range_at = request->ranges;
}

static void take_back(struct pv_driver_queue *queue, enum pv_baldrv_queue which,
                      struct pv_baldrv_list *list, int error)
{
	struct pv_baldrv *balloon = pv_baldrv_of(queue, which);
	struct pv_baldrv_way *way = &balloon->way[which];
	struct pv_baldrv_request *request = way->request;
	const uint32_t pages = list->piece.bytes / (uint32_t)sizeof(list->number[0]);

	list->is_out = false;
	request->lists_out--;
	if (error) {
		give_up(request, error);
	} else {
		request->pages += pages;
		count_pages(balloon, which == PV_BALDRV_INFLATE, pages);
		send(queue, way);
	}
	if (request->lists_out == 0) {
		/* What is left is left by a ring that broke. */
		if (request->range_at < request->ranges)
			give_up(request, -PV_EBROKEN);
		finish(balloon, way);
	}
}

static int repeat(struct pv_driver_queue *queue, struct pv_driver_request *list)
{
	return add(queue, (struct pv_baldrv_list *)list);
}

static void end_inflating(struct pv_driver_queue *queue, struct pv_driver_request *list, int error)
{
	take_back(queue, PV_BALDRV_INFLATE, (struct pv_baldrv_list *)list, error);
}

static void end_deflating(struct pv_driver_queue *queue, struct pv_driver_request *list, int error)
{
	take_back(queue, PV_BALDRV_DEFLATE, (struct pv_baldrv_list *)list, error);
}

const struct pv_driver_request_ops pv_baldrv_inflate_ops = { repeat, end_inflating };
const struct pv_driver_request_ops pv_baldrv_deflate_ops = { repeat, end_deflating };

uint32_t pv_baldrv_poll_way(struct pv_baldrv *balloon, enum pv_baldrv_queue which)
{
	struct pv_driver_queue *queue = queue_of(balloon, which);
	uint32_t written_bytes, count = 0;
	void *token;

	while (count < queue->ring.size &&
	       pv_drv_ring_take(&queue->ring, &token, &written_bytes) == PV_DRV_TAKEN) {
		take_back(queue, which, token, 0);
		count++;
	}
	return count;
}

/* ---- beginning ---- */

static int begin(struct pv_baldrv *balloon, enum pv_baldrv_queue which,
                 struct pv_baldrv_request *request)
{
	struct pv_driver_queue *queue = queue_of(balloon, which);
	struct pv_baldrv_way *way = &balloon->way[which];

	if (queue->ring.is_broken || balloon->driver.is_reset)
		return -PV_EBROKEN;
	if (way->request)
		return -PV_EBUSY;
	if (!is_good(request))
		return -PV_EINVAL;
	request->error = 0;
	request->is_done = false;
	request->pages = 0;
	request->range_at = request->page_at = request->lists_out = 0;
	pv_driver_request_begin(queue, &request->base,
	                        request->timeout_ns ? request->timeout_ns
	                                            : balloon->options.request_timeout_ns);
	way->request = request;
	send(queue, way);
	return 0;
}

int pv_baldrv_inflate(struct pv_baldrv *balloon, struct pv_baldrv_request *request)
{
	return begin(balloon, PV_BALDRV_INFLATE, request);
}

int pv_baldrv_deflate(struct pv_baldrv *balloon, struct pv_baldrv_request *request)
{
	return begin(balloon, PV_BALDRV_DEFLATE, request);
}
