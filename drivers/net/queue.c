/* SPDX-License-Identifier: BSD-2-Clause */
/* The queues of a pair: their memory, and what sending and receiving have in common. */
#include "drivers/net/internal.h"
#include "ring/err.h"

/* A header, and at least one piece. */
#define QUEUE_SIZE_MIN 2u

#define LINE_BYTES 64u

static uint32_t round_up(uint32_t bytes)
{
	return (bytes + LINE_BYTES - 1) & ~(LINE_BYTES - 1);
}

/* ---- memory ---- */

static bool alloc_headers(struct pv_netdrv_queue *queue)
{
	struct pv_os *os = queue->net->driver.os;
	struct pv_netdrv_slots *slots = &queue->slots;

	slots->header_bytes = (size_t)PV_NETDRV_HEADROOM * queue->base.place.size;
	slots->header =
		os->ops->shared_alloc(os, slots->header_bytes, LINE_BYTES, &slots->header_gpa);
	return slots->header;
}

static void fill_free_slots(struct pv_netdrv_queue *queue)
{
	const uint16_t size = queue->base.place.size;

	for (uint16_t i = 0; i < size; i++)
		queue->slots.free_slot[i] = (uint16_t)(size - 1 - i);
	queue->slots.free_slots = size;
}

static bool alloc_slots(struct pv_netdrv_queue *queue)
{
	struct pv_netdrv_slots *slots = &queue->slots;
	struct pv_os *os = queue->net->driver.os;
	const uint16_t chain_max = (uint16_t)(queue->net->segments_max + 1);
	const size_t chains = os->ops->unmap ? queue->base.place.size : 1;
	const size_t sg_bytes = sizeof(struct pv_sg) * chain_max * chains;

	slots->sg_apart = os->ops->unmap ? chain_max : 0;
	slots->private_bytes = sg_bytes + sizeof(uint16_t) * queue->base.place.size;
	slots->sg = os->ops->alloc(os, slots->private_bytes);
	if (!slots->sg)
		return false;
	slots->free_slot = (uint16_t *)(void *)((uint8_t *)slots->sg + sg_bytes);
	fill_free_slots(queue);
	return true;
}

/* Side by side, each on cache lines of its own. */
static bool alloc_own(struct pv_netdrv_queue *queue, uint32_t buffer_bytes)
{
	struct pv_netdrv_own *own = &queue->own;
	struct pv_os *os = queue->net->driver.os;
	const uint16_t size = queue->base.place.size;
	const uint32_t apart = round_up(buffer_bytes);

	if (__builtin_mul_overflow((size_t)apart, size, &own->bytes))
		return false;
	own->buffer = os->ops->alloc(os, sizeof(struct pv_netdrv_buffer) * size);
	own->memory = os->ops->shared_alloc(os, own->bytes, LINE_BYTES, &own->gpa);
	if (!own->buffer || !own->memory)
		return false;
	for (uint16_t i = 0; i < size; i++) {
		const size_t at = (size_t)apart * i;

		own->buffer[i] = (struct pv_netdrv_buffer){
			.memory = { own->memory + at, buffer_bytes },
			.place = { .piece = { pv_gpa_add(own->gpa, at), buffer_bytes },
			           .slot = PV_NETDRV_NO_SLOT },
			.is_own = true,
		};
	}
	return true;
}

static bool alloc_all(struct pv_netdrv_queue *queue)
{
	const struct pv_netdrv_info *info = &queue->net->info;
	uint32_t own_bytes = queue->net->options.own_buffer_bytes;

	if (!alloc_slots(queue))
		return false;
	if (!queue->is_rx)
		return alloc_headers(queue);
	if (own_bytes == 0)
		return true;
	if (own_bytes < info->buffer_bytes_min)
		own_bytes = info->buffer_bytes_min;
	return alloc_own(queue, own_bytes);
}

/* Section 5.1.6.6: a legacy device may want to find the header by itself. */
static bool must_split_header(const struct pv_netdrv_info *info, bool is_rx)
{
	if (info->features & (VIRTIO_F_VERSION_1 | VIRTIO_F_ANY_LAYOUT))
		return false;
	return !is_rx || !(info->features & VIRTIO_NET_F_MRG_RXBUF);
}

/* Tables are for packets; a buffer that is one of several has but a few pieces. */
static uint16_t indirect_max(const struct pv_netdrv *net, bool is_rx)
{
	if (is_rx && net->info.features & VIRTIO_NET_F_MRG_RXBUF)
		return 0;
	return (uint16_t)(net->segments_max + 1);
}

int pv_netdrv_queue_setup(struct pv_netdrv *net, uint16_t index)
{
	struct pv_netdrv_queue *queue = &net->queue[index];
	const bool is_rx = index % 2 == 0;
	const struct pv_driver_queue_options ring = {
		.size_max = net->options.queue_size,
		.indirect_max = indirect_max(net, is_rx),
		.requests = is_rx ? &pv_netdrv_receive_ops : &pv_netdrv_send_ops,
	};
	int error = pv_driver_queue_init(&queue->base, &net->driver, index, &ring);

	if (error)
		return error;
	queue->net = net;
	queue->is_rx = is_rx;
	queue->header_bytes = net->info.header_bytes;
	queue->splits_header = must_split_header(&net->info, is_rx);
	net->started++;
	if (queue->base.place.size < QUEUE_SIZE_MIN)
		return -PV_EINVAL;
	/* A packet must fit into the smallest of the rings. */
	if (net->segments_max >= queue->base.place.size)
		net->segments_max = (uint16_t)(queue->base.place.size - 1);
	return alloc_all(queue) ? 0 : -PV_ENOMEM;
}

void pv_netdrv_queue_teardown(struct pv_netdrv_queue *queue)
{
	const size_t own_bytes = sizeof(struct pv_netdrv_buffer) * queue->base.place.size;
	struct pv_driver *driver = &queue->net->driver;
	struct pv_os *os = driver->os;

	if (queue->slots.header && driver->is_reset)
		os->ops->shared_free(os, queue->slots.header, queue->slots.header_bytes);
	if (queue->own.memory && driver->is_reset)
		os->ops->shared_free(os, queue->own.memory, queue->own.bytes);
	if (queue->own.buffer)
		os->ops->free(os, queue->own.buffer, own_bytes);
	if (queue->slots.sg)
		os->ops->free(os, queue->slots.sg, queue->slots.private_bytes);
	pv_driver_queue_fini(&queue->base);
}

/* ---- what both kinds have in common ---- */

void pv_netdrv_publish(struct pv_netdrv_queue *queue)
{
	pv_driver_queue_publish(&queue->base);
}

uint32_t pv_netdrv_poll(struct pv_netdrv_queue *queue, uint32_t packets_max)
{
	if (packets_max == 0)
		packets_max = queue->base.ring.size;
	return queue->is_rx ? pv_netdrv_poll_rx(queue, packets_max)
	                    : pv_netdrv_poll_tx(queue, packets_max);
}

bool pv_netdrv_queue_is_broken(const struct pv_netdrv_queue *queue)
{
	return queue->base.ring.is_broken;
}

bool pv_netdrv_interrupts_on(struct pv_netdrv_queue *queue)
{
	return pv_drv_ring_interrupts_on(&queue->base.ring);
}

void pv_netdrv_interrupts_off(struct pv_netdrv_queue *queue)
{
	pv_drv_ring_interrupts_off(&queue->base.ring);
}

static uint32_t poll(void *queue)
{
	return pv_netdrv_poll(queue, 0);
}

int pv_netdrv_wait(struct pv_netdrv_queue *queue, const bool *is_done, uint64_t timeout_ns)
{
	return pv_driver_queue_wait(&queue->base, is_done, poll, queue, timeout_ns);
}

int pv_netdrv_queue_reset(struct pv_netdrv_queue *queue)
{
	int error = pv_driver_queue_reset(&queue->base);

	if (error)
		return error;
	pv_driver_queue_end_all(&queue->base, -PV_EIO);
	error = pv_driver_queue_enable(&queue->base);
	return error ? error : pv_netdrv_post_own(queue);
}

struct pv_netdrv_counters pv_netdrv_queue_counters(const struct pv_netdrv_queue *queue)
{
	struct pv_netdrv_counters counters = queue->counters;

	counters.kicks = queue->base.kicks;
	counters.repeats = queue->base.repeats;
	counters.overdue = queue->base.overdue;
	counters.lies = queue->base.lies + queue->base.ring.lies;
	return counters;
}

uint16_t pv_netdrv_queue_size(const struct pv_netdrv_queue *queue)
{
	return queue->base.ring.size;
}

uint16_t pv_netdrv_queue_index(const struct pv_netdrv_queue *queue)
{
	return queue->base.index;
}
