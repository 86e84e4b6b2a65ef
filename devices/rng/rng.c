/* SPDX-License-Identifier: BSD-2-Clause */
/* The entropy device: features, state, operations. Its queue is in queue.c. */
#include "devices/rng/internal.h"

#include "abi/virtio_ids.h"
#include "ring/err.h"

#define COUNTER(field)                                                                             \
	{                                                                                          \
#field, offsetof(struct pv_rng_counters, field)                                    \
	}

const struct pv_counter_name pv_rng_counter_names[] = {
	COUNTER(bytes),
	COUNTER(throttled),
	COUNTER(starved),
	{ NULL, 0 },
};

/* Section 5.4.3: none are defined. */
static uint64_t features(const struct pv_device *device)
{
	(void)device;
	return 0;
}

/* What was spent of the budget stays spent. */
static void reset(struct pv_device *device)
{
	(void)device;
}

/* Clocks of two hosts have nothing to do with each other: what is left of the period goes along. */
static void save(const struct pv_device *device, struct pv_state_writer *to)
{
	const struct pv_rng *rng = pv_rng_of_const(device);
	uint64_t now_ns = device->port->ops->now_ns(device->port);
	bool is_under_way = rng->spent_bytes > 0 && rng->period_end_ns > now_ns;

	pv_state_put_u64(to, is_under_way ? rng->spent_bytes : 0);
	pv_state_put_u64(to, is_under_way ? rng->period_end_ns - now_ns : 0);
}

/* The limit may be another here: no more is spent than there is, and no period is longer. */
static int load(struct pv_device *device, struct pv_state_reader *from, uint16_t version)
{
	struct pv_rng *rng = pv_rng_of(device);
	uint64_t spent_bytes = pv_state_get_u64(from);
	uint64_t left_ns = pv_state_get_u64(from);

	(void)version;
	if (from->is_bad)
		return -PV_ESTATE;
	if (left_ns > rng->options.period_ns)
		left_ns = rng->options.period_ns;
	if (spent_bytes > rng->options.max_bytes)
		spent_bytes = rng->options.max_bytes;
	rng->spent_bytes = spent_bytes;
	rng->period_end_ns = device->port->ops->now_ns(device->port) + left_ns;
	return 0;
}

static const void *queue_counters(const struct pv_device *device, uint16_t index)
{
	(void)index;
	return &pv_rng_of_const(device)->counters;
}

static const struct pv_virtio_ops virtio_ops = {
	.id = VIRTIO_ID_ENTROPY,
	.features = features,
	.queue_start = pv_rng_queue_start,
	.queue_run = pv_rng_queue_run,
	.queue_stop = pv_rng_queue_stop,
};

static const struct pv_device_ops rng_ops = {
	.name = "rng",
	.virtio = &virtio_ops,
	.reset = reset,
	.state_version = 1,
	.save = save,
	.load = load,
	.counter_names = pv_rng_counter_names,
	.queue_counters = queue_counters,
};

size_t pv_rng_bytes(void)
{
	return sizeof(struct pv_rng);
}

#define PERIOD_MAX_NS (1ull << 62)

struct pv_device *pv_rng_init(void *storage, struct pv_port *port, struct pv_rng_source *source,
                              const struct pv_rng_options *options)
{
	struct pv_rng *rng = storage;

	pv_bug_on(options->period_ns > PERIOD_MAX_NS);
	pv_device_init(&rng->device, &rng_ops, port,
	               pv_device_ring_features(options->is_in_order, options->no_packed),
	               rng->queue, VIRTIO_RNG_QUEUES, options->queue_size_max);
	rng->source = source;
	rng->options = *options;
	return &rng->device;
}
