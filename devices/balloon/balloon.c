/* SPDX-License-Identifier: BSD-2-Clause */
/* The balloon: features, configuration, roles of queues. Its queues are in files of their own. */
#include "devices/balloon/internal.h"

#include "abi/virtio_ids.h"
#include "ring/err.h"

#define COUNTER(field)                                                                             \
	{                                                                                          \
#field, offsetof(struct pv_balloon_queue_counters, field)                          \
	}

const struct pv_counter_name pv_balloon_counter_names[] = {
	COUNTER(pages),           COUNTER(bad_pages),  COUNTER(repeated_pages), COUNTER(ranges),
	COUNTER(discarded_bytes), COUNTER(kept_bytes), COUNTER(poisoned_bytes), COUNTER(stats),
	COUNTER(bad_stats),       { NULL, 0 },
};

/* ---- features and configuration ---- */

static uint64_t features(const struct pv_device *device)
{
	const struct pv_balloon_options *options = &pv_balloon_of_const(device)->options;
	uint64_t bits = VIRTIO_BALLOON_F_MUST_TELL_HOST;

	if (!options->no_stats)
		bits |= VIRTIO_BALLOON_F_STATS_VQ;
	if (options->deflate_on_oom)
		bits |= VIRTIO_BALLOON_F_DEFLATE_ON_OOM;
	if (options->reporting)
		bits |= VIRTIO_BALLOON_F_PAGE_REPORTING | VIRTIO_BALLOON_F_PAGE_POISON;
	return bits;
}

static void config_read(const struct pv_device *device, uint16_t offset, void *to, uint16_t bytes)
{
	const struct pv_balloon *balloon = pv_balloon_of_const(device);
	const struct virtio_balloon_config config = {
		.num_pages = pv_le32_of(balloon->target_pages),
		.actual = pv_le32_of(balloon->written_actual),
		.poison_val = pv_le32_of(balloon->poison),
	};

	__builtin_memcpy(to, (const uint8_t *)&config + offset, bytes);
}

static bool is_in_field(uint16_t offset, uint16_t bytes, size_t field)
{
	return offset >= field && offset + bytes <= field + sizeof(struct pv_le32);
}

/* The field's bytes from `offset` on are written. */
static uint32_t overwrite(uint32_t value, size_t offset, const void *from, uint16_t bytes)
{
	struct pv_le32 field = pv_le32_of(value);

	__builtin_memcpy((uint8_t *)&field + offset, from, bytes);
	return pv_le32_get(field);
}

static void set_actual(struct pv_balloon *balloon, uint32_t actual)
{
	const struct pv_balloon_owner *owner = &balloon->options.owner;

	if (balloon->actual == actual)
		return;
	balloon->actual = actual;
	if (owner->actual_changed)
		owner->actual_changed(owner->arg);
}

/* Some drivers write byte by byte: it is not used before the last (section 5.5.6.2). */
static void write_actual(struct pv_balloon *balloon, size_t offset, const void *from,
                         uint16_t bytes)
{
	balloon->written_actual = overwrite(balloon->written_actual, offset, from, bytes);
	if (offset + bytes == sizeof(struct pv_le32))
		set_actual(balloon, balloon->written_actual);
}

static int config_write(struct pv_device *device, uint16_t offset, const void *from, uint16_t bytes)
{
	const size_t actual = offsetof(struct virtio_balloon_config, actual);
	const size_t poison = offsetof(struct virtio_balloon_config, poison_val);
	struct pv_balloon *balloon = pv_balloon_of(device);

	if (is_in_field(offset, bytes, actual)) {
		write_actual(balloon, offset - actual, from, bytes);
		return 0;
	}
	if (!is_in_field(offset, bytes, poison) ||
	    !(device->features & VIRTIO_BALLOON_F_PAGE_POISON))
		return -PV_ENOTSUP;
	__atomic_store_n(&balloon->poison, overwrite(balloon->poison, offset - poison, from, bytes),
	                 __ATOMIC_RELAXED);
	return 0;
}

/* ---- what the user wants and hears ---- */

int pv_balloon_target_set(struct pv_device *device, uint64_t bytes)
{
	struct pv_balloon *balloon = pv_balloon_of(device);
	uint64_t pages = bytes >> VIRTIO_BALLOON_PAGE_SHIFT;

	if (pages > UINT32_MAX)
		return -PV_EINVAL;
	if (balloon->target_pages == pages)
		return 0;
	balloon->target_pages = (uint32_t)pages;
	pv_device_config_changed(device);
	return 0;
}

uint64_t pv_balloon_target(const struct pv_device *device)
{
	return (uint64_t)pv_balloon_of_const(device)->target_pages << VIRTIO_BALLOON_PAGE_SHIFT;
}

uint64_t pv_balloon_actual(const struct pv_device *device)
{
	return (uint64_t)pv_balloon_of_const(device)->actual << VIRTIO_BALLOON_PAGE_SHIFT;
}

/* ---- queues ---- */

/*
 * The specification gives each queue a number; Linux and QEMU count only those that are there.
 * Since there never is a free_page_vq, each number means one thing to whoever uses it: without
 * STATS_VQ nobody counts statistics, and with PAGE_REPORTING all that is beyond is for reports.
 */
enum pv_balloon_role pv_balloon_role(const struct pv_balloon *balloon, uint16_t index)
{
	const uint64_t accepted = balloon->device.features;

	if (index == VIRTIO_BALLOON_INFLATEQ)
		return PV_BALLOON_INFLATES;
	if (index == VIRTIO_BALLOON_DEFLATEQ)
		return PV_BALLOON_DEFLATES;
	if (index == VIRTIO_BALLOON_STATSQ && accepted & VIRTIO_BALLOON_F_STATS_VQ)
		return PV_BALLOON_TELLS;
	return accepted & VIRTIO_BALLOON_F_PAGE_REPORTING ? PV_BALLOON_REPORTS : PV_BALLOON_UNUSED;
}

/* It depends on features: they stay as they are while any queue runs. */
static enum pv_balloon_role role_of(const struct pv_queue *queue)
{
	return pv_balloon_role(pv_balloon_of(queue->device), queue->index);
}

/* Marks are used where the driver's deflating can be relied on. */
static uint64_t marks_for(const struct pv_device *device)
{
	if (!(device->features & VIRTIO_BALLOON_F_MUST_TELL_HOST))
		return 0;
	return pv_balloon_marks_of(device->mem);
}

#define MARKS_OF_A_WORD 32u

static int make_lane(struct pv_balloon *balloon)
{
	struct pv_port *port = balloon->device.port;
	uint64_t marks = marks_for(&balloon->device);
	size_t bytes = sizeof(*balloon->lane) +
	               (size_t)((marks + MARKS_OF_A_WORD - 1) / MARKS_OF_A_WORD) * sizeof(uint32_t);

	balloon->lane = port->ops->alloc(port, bytes);
	if (!balloon->lane)
		return -PV_ENOMEM;
	balloon->lane->bytes = bytes;
	balloon->lane->marks.max = marks;
	balloon->lane->marks.word = balloon->lane->word;
	return 0;
}

static void let_go_of_lane(struct pv_balloon *balloon)
{
	struct pv_port *port = balloon->device.port;

	if (--balloon->started > 0)
		return;
	port->ops->free(port, balloon->lane, balloon->lane->bytes);
	balloon->lane = NULL;
}

/* Others may be running: only what is this queue's is touched. */
static int queue_start(struct pv_queue *queue)
{
	struct pv_balloon *balloon = pv_balloon_of(queue->device);
	int err;

	if (role_of(queue) == PV_BALLOON_UNUSED)
		return -PV_EINVAL;
	if (balloon->started == 0) {
		err = make_lane(balloon);
		if (err)
			return err;
	}
	balloon->started++;
	balloon->memory_of[queue->index] = 0;
	balloon->progress[queue->index] = (struct pv_balloon_progress){ 0 };
	return 0;
}

static void queue_stop(struct pv_queue *queue)
{
	if (role_of(queue) == PV_BALLOON_TELLS)
		pv_balloon_tells_stop(queue);
	let_go_of_lane(pv_balloon_of(queue->device));
}

static bool queue_run(struct pv_queue *queue)
{
	switch (role_of(queue)) {
	case PV_BALLOON_INFLATES:
	case PV_BALLOON_DEFLATES:
		return pv_balloon_pages_run(queue);
	case PV_BALLOON_TELLS:
		return pv_balloon_tells_run(queue);
	case PV_BALLOON_REPORTS:
		return pv_balloon_reports_run(queue);
	case PV_BALLOON_UNUSED:
		break;
	}
	return false;
}

static void queue_save(const struct pv_queue *queue, struct pv_state_writer *to)
{
	if (role_of(queue) == PV_BALLOON_TELLS)
		pv_balloon_tells_save(queue, to);
}

static void queue_load(struct pv_queue *queue, struct pv_state_reader *from)
{
	if (role_of(queue) == PV_BALLOON_TELLS)
		pv_balloon_tells_load(queue, from);
}

/* Of the others, none holds any. */
static void queue_move(struct pv_queue *queue)
{
	pv_balloon_tells_move(queue);
}

static void queue_event(struct pv_queue *queue)
{
	pv_balloon_stats_heard(pv_balloon_of(queue->device));
}

/* How large it should be, and how often to ask, stay. */
static void reset(struct pv_device *device)
{
	struct pv_balloon *balloon = pv_balloon_of(device);

	pv_balloon_stats_forget(balloon);
	balloon->poison = 0;
	balloon->written_actual = 0;
	set_actual(balloon, 0);
}

static const void *queue_counters(const struct pv_device *device, uint16_t index)
{
	return &pv_balloon_of_const(device)->counters[index];
}

static const struct pv_virtio_ops virtio_ops = {
	.id = VIRTIO_ID_BALLOON,
	.config_bytes = sizeof(struct virtio_balloon_config),
	.features = features,
	.config_read = config_read,
	.config_write = config_write,
	.queue_start = queue_start,
	.queue_run = queue_run,
	.queue_stop = queue_stop,
	.queue_move = queue_move,
	.queue_event = queue_event,
	.queue_save = queue_save,
	.queue_load = queue_load,
};

static const struct pv_device_ops balloon_ops = {
	.name = "balloon",
	.virtio = &virtio_ops,
	.reset = reset,
	.state_version = 1,
	.save = pv_balloon_save,
	.load = pv_balloon_load,
	.counter_names = pv_balloon_counter_names,
	.queue_counters = queue_counters,
};

/* ---- birth ---- */

size_t pv_balloon_bytes(void)
{
	return sizeof(struct pv_balloon);
}

/* The sheets of statistics: one for each side, and one between. */
static void deal_sheets(struct pv_balloon_asking *asking)
{
	asking->written_sheet = 0;
	asking->between = 1;
	asking->read_sheet = 2;
}

struct pv_device *pv_balloon_init(void *storage, struct pv_port *port,
                                  const struct pv_balloon_options *options)
{
	struct pv_balloon *balloon = storage;

	pv_device_init(&balloon->device, &balloon_ops, port,
	               pv_device_ring_features(options->is_in_order, options->no_packed),
	               balloon->queue, VIRTIO_BALLOON_QUEUES, options->queue_size_max);
	balloon->options = *options;
	deal_sheets(&balloon->asking);
	return &balloon->device;
}
