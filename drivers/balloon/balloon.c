/* SPDX-License-Identifier: BSD-2-Clause */
#include "drivers/balloon/balloon.h"

#include "drivers/balloon/internal.h"
#include "ring/err.h"

#define QUEUE_SIZE_DEFAULT 16u
#define SHARED_ALIGN       4096u

/* ---- numbers of queues ---- */

static bool has_number(struct pv_baldrv *balloon, uint16_t index)
{
	struct pv_bus *bus = balloon->driver.bus;
	uint16_t size = 0;

	return bus->ops->queue_size_max(bus, index, &size) == 0 && size > 0;
}

/*
 * The specification gives each queue a number; QEMU counts those that it offers.  Where its number
 * is none of the device's the queue has that of the specification.
 */
static uint16_t reporting_number(struct pv_baldrv *balloon)
{
	uint16_t index = VIRTIO_BALLOON_STATSQ;

	if (balloon->driver.offered & VIRTIO_BALLOON_F_STATS_VQ)
		index++;
	if (balloon->driver.offered & VIRTIO_BALLOON_F_FREE_PAGE_HINT)
		index++;
	return has_number(balloon, index) ? index : VIRTIO_BALLOON_REPORTINGQ;
}

static int number_of(struct pv_baldrv *balloon, enum pv_baldrv_queue which)
{
	const uint64_t features = balloon->driver.features;

	switch (which) {
	case PV_BALDRV_INFLATE:
		return VIRTIO_BALLOON_INFLATEQ;
	case PV_BALDRV_DEFLATE:
		return VIRTIO_BALLOON_DEFLATEQ;
	case PV_BALDRV_STATSQ:
		return features & VIRTIO_BALLOON_F_STATS_VQ ? (int)VIRTIO_BALLOON_STATSQ
		                                            : -PV_ENOTSUP;
	case PV_BALDRV_REPORTING:
		return features & VIRTIO_BALLOON_F_PAGE_REPORTING ? reporting_number(balloon)
		                                                  : -PV_ENOTSUP;
	case PV_BALDRV_QUEUES:
		break;
	}
	return -PV_ENOTSUP;
}

int pv_baldrv_queue_number(const struct pv_baldrv *balloon, enum pv_baldrv_queue which)
{
	if (which >= PV_BALDRV_QUEUES || !balloon->has_queue[which])
		return -PV_ENOTSUP;
	return balloon->queue[which].index;
}

/* ---- its life ---- */

static int setup_queue(struct pv_baldrv *balloon, enum pv_baldrv_queue which)
{
	static const struct pv_driver_request_ops *const requests[PV_BALDRV_QUEUES] = {
		[PV_BALDRV_INFLATE] = &pv_baldrv_inflate_ops,
		[PV_BALDRV_DEFLATE] = &pv_baldrv_deflate_ops,
		[PV_BALDRV_STATSQ] = &pv_baldrv_stats_ops,
		[PV_BALDRV_REPORTING] = &pv_baldrv_report_ops,
	};
	const struct pv_driver_queue_options options = {
		.size_max = balloon->options.queue_size,
		.indirect_max = which == PV_BALDRV_REPORTING ? PV_BALDRV_REPORT_RANGES : 0,
		.requests = requests[which],
	};
	int number = number_of(balloon, which);
	int error;

	if (number < 0)
		return 0;
	error = pv_driver_queue_init(&balloon->queue[which], &balloon->driver, (uint16_t)number,
	                             &options);
	balloon->has_queue[which] = !error;
	return error;
}

static int alloc_shared(struct pv_baldrv *balloon)
{
	struct pv_os *os = balloon->driver.os;

	balloon->shared = os->ops->shared_alloc(os, sizeof(*balloon->shared), SHARED_ALIGN,
	                                        &balloon->shared_gpa);
	return balloon->shared ? 0 : -PV_ENOMEM;
}

static int bring_up(struct pv_driver *driver)
{
	struct pv_baldrv *balloon = (struct pv_baldrv *)driver;
	int error = alloc_shared(balloon);

	if (error)
		return error;
	pv_baldrv_ways_init(balloon);
	for (uint32_t i = 0; !error && i < PV_BALDRV_QUEUES; i++)
		error = setup_queue(balloon, (enum pv_baldrv_queue)i);
	if (!error)
		error = pv_baldrv_write_poison(balloon);
	if (!error)
		error = pv_driver_start(&balloon->driver);
	return error ? error : pv_baldrv_stats_begin(balloon);
}

/* What is shared stays with a device that has not confirmed its reset. */
static void release(struct pv_baldrv *balloon)
{
	struct pv_os *os = balloon->driver.os;

	for (uint32_t i = 0; i < PV_BALDRV_QUEUES; i++)
		if (balloon->has_queue[i])
			pv_driver_queue_fini(&balloon->queue[i]);
	if (balloon->shared && balloon->driver.is_reset)
		os->ops->shared_free(os, balloon->shared, sizeof(*balloon->shared));
	os->ops->free(os, balloon, sizeof(*balloon));
}

/* Section 5.5.6.7: pages that keep what they are filled with are reported with PAGE_POISON only. */
static uint64_t choose_poisoned(uint64_t features)
{
	if (!(features & VIRTIO_BALLOON_F_PAGE_POISON))
		features &= ~VIRTIO_BALLOON_F_PAGE_REPORTING;
	return features;
}

static struct pv_driver_wish wish_of(const struct pv_baldrv_options *options)
{
	struct pv_driver_wish wish = {
		.required = options->required,
		.wanted = options->wanted ? options->wanted : PV_BALDRV_FEATURES,
		.timeout_ns = options->timeout_ns,
		.bring_up = bring_up,
	};

	if (options->has_poison)
		wish.choose = choose_poisoned;
	else
		wish.wanted &= ~VIRTIO_BALLOON_F_PAGE_POISON;
	if (!options->stats)
		wish.wanted &= ~VIRTIO_BALLOON_F_STATS_VQ;
	return wish;
}

int pv_baldrv_create(struct pv_baldrv **balloon, struct pv_bus *bus, struct pv_os *os,
                     const struct pv_baldrv_options *options)
{
	const struct pv_driver_wish wish = wish_of(options);
	struct pv_baldrv *made = os->ops->alloc(os, sizeof(*made));
	int error;

	if (!made)
		return -PV_ENOMEM;
	made->options = *options;
	if (options->queue_size == 0)
		made->options.queue_size = QUEUE_SIZE_DEFAULT;
	error = pv_driver_init(&made->driver, bus, os, &wish);
	if (error)
		release(made);
	else
		*balloon = made;
	return error;
}

int pv_baldrv_fail(struct pv_baldrv *balloon)
{
	int error = pv_driver_stop(&balloon->driver);

	for (uint32_t i = 0; i < PV_BALDRV_QUEUES; i++)
		if (balloon->has_queue[i])
			pv_driver_queue_end_all(&balloon->queue[i], -PV_EBROKEN);
	return error;
}

void pv_baldrv_destroy(struct pv_baldrv *balloon)
{
	pv_baldrv_fail(balloon);
	release(balloon);
}

uint64_t pv_baldrv_features(const struct pv_baldrv *balloon)
{
	return balloon->driver.features;
}

/* ---- configuration ---- */

int pv_baldrv_target(struct pv_baldrv *balloon, uint32_t *pages)
{
	struct pv_le32 num_pages;
	int error;

	if (pv_driver_needs_reset(&balloon->driver))
		return -PV_EBROKEN;
	error = pv_driver_config_read(&balloon->driver,
	                              offsetof(struct virtio_balloon_config, num_pages), &num_pages,
	                              sizeof(num_pages));
	if (!error)
		*pages = pv_le32_get(num_pages);
	return error;
}

uint32_t pv_baldrv_actual(const struct pv_baldrv *balloon)
{
	return balloon->actual;
}

static int write_config(struct pv_baldrv *balloon, uint32_t offset, uint32_t value)
{
	const struct pv_le32 field = pv_le32_of(value);

	return pv_driver_config_write(&balloon->driver, offset, &field, sizeof(field));
}

int pv_baldrv_write_actual(struct pv_baldrv *balloon)
{
	return write_config(balloon, offsetof(struct virtio_balloon_config, actual),
	                    balloon->actual);
}

int pv_baldrv_write_poison(struct pv_baldrv *balloon)
{
	if (!(balloon->driver.features & VIRTIO_BALLOON_F_PAGE_POISON))
		return 0;
	return write_config(balloon, offsetof(struct virtio_balloon_config, poison_val),
	                    balloon->options.poison);
}

/* ---- all queues ---- */

uint32_t pv_baldrv_poll(struct pv_baldrv *balloon)
{
	return pv_baldrv_poll_way(balloon, PV_BALDRV_INFLATE) +
	       pv_baldrv_poll_way(balloon, PV_BALDRV_DEFLATE) + pv_baldrv_poll_stats(balloon) +
	       pv_baldrv_poll_reports(balloon);
}

bool pv_baldrv_interrupts_on(struct pv_baldrv *balloon)
{
	bool has_some = false;

	for (uint32_t i = 0; i < PV_BALDRV_QUEUES; i++)
		if (balloon->has_queue[i])
			has_some |= pv_drv_ring_interrupts_on(&balloon->queue[i].ring);
	return has_some;
}

void pv_baldrv_interrupts_off(struct pv_baldrv *balloon)
{
	for (uint32_t i = 0; i < PV_BALDRV_QUEUES; i++)
		if (balloon->has_queue[i])
			pv_drv_ring_interrupts_off(&balloon->queue[i].ring);
}

struct pv_baldrv_counters pv_baldrv_counters(const struct pv_baldrv *balloon)
{
	struct pv_baldrv_counters counters = balloon->counters;

	for (uint32_t i = 0; i < PV_BALDRV_QUEUES; i++) {
		const struct pv_driver_queue *queue = &balloon->queue[i];

		if (!balloon->has_queue[i])
			continue;
		counters.kicks += queue->kicks;
		counters.repeats += queue->repeats;
		counters.overdue += queue->overdue;
		counters.lies += queue->lies + queue->ring.lies;
	}
	return counters;
}
