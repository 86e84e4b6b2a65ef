/* SPDX-License-Identifier: BSD-2-Clause */
/* The console device: features, configuration, roles of queues. Its queues and its ports are in
 * files of their own. */
#include "devices/serial/internal.h"

#include "abi/virtio_ids.h"
#include "devices/core/storage.h"
#include "ring/err.h"

#define COUNTER(field)                                                                             \
	{                                                                                          \
#field, offsetof(struct pv_serial_counters, field)                                 \
	}

const struct pv_counter_name pv_serial_counter_names[] = {
	COUNTER(bytes),    COUNTER(dropped),      COUNTER(stalls),
	COUNTER(messages), COUNTER(bad_messages), { NULL, 0 },
};

/* ---- features and configuration ---- */

static uint64_t features(const struct pv_device *device)
{
	uint64_t bits = VIRTIO_CONSOLE_F_SIZE | VIRTIO_CONSOLE_F_EMERG_WRITE;

	if (!pv_serial_of_const(device)->options.is_single)
		bits |= VIRTIO_CONSOLE_F_MULTIPORT;
	return bits;
}

static void config_read(const struct pv_device *device, uint16_t offset, void *to, uint16_t bytes)
{
	const struct pv_serial *serial = pv_serial_of_const(device);
	const struct virtio_console_config config = {
		.cols = pv_le16_of((uint16_t)serial->shown_size),
		.rows = pv_le16_of((uint16_t)(serial->shown_size >> 16)),
		.max_nr_ports = pv_le32_of(serial->options.ports_max),
	};

	__builtin_memcpy(to, (const uint8_t *)&config + offset, bytes);
}

/* Section 5.3.5.1: at any time, and whatever was negotiated. */
static int config_write(struct pv_device *device, uint16_t offset, const void *from, uint16_t bytes)
{
	struct pv_line *line = pv_serial_emergency_line(pv_serial_of(device));

	(void)bytes;
	if (offset < offsetof(struct virtio_console_config, emerg_wr))
		return -PV_ENOTSUP;
	/* The other bytes of the field say nothing. */
	if (offset == offsetof(struct virtio_console_config, emerg_wr) && line)
		line->ops->write_emergency(line, *(const uint8_t *)from);
	return 0;
}

/* ---- queues ---- */

enum pv_serial_role pv_serial_role(const struct pv_serial *serial, uint16_t index)
{
	if (index >= VIRTIO_CONSOLE_CONTROL_RECEIVEQ && !pv_serial_is_multiport(serial))
		return PV_SERIAL_UNUSED;
	if (index == VIRTIO_CONSOLE_CONTROL_RECEIVEQ)
		return PV_SERIAL_TELLS;
	if (index == VIRTIO_CONSOLE_CONTROL_TRANSMITQ)
		return PV_SERIAL_HEARS;
	return index % 2 ? PV_SERIAL_TRANSMITS : PV_SERIAL_RECEIVES;
}

/* It depends on features: they stay as they are while any queue runs. */
static enum pv_serial_role role_of(const struct pv_queue *queue)
{
	return pv_serial_role(pv_serial_of(queue->device), queue->index);
}

static int queue_start(struct pv_queue *queue)
{
	enum pv_serial_role role = role_of(queue);

	if (role == PV_SERIAL_UNUSED)
		return -PV_EINVAL;
	if (role == PV_SERIAL_TRANSMITS)
		pv_serial_transmit_start(queue);
	/* Without MULTIPORT this is how the driver opens the port. */
	if (queue->index == 0)
		pv_serial_raise_news(pv_serial_of(queue->device));
	return 0;
}

static void queue_drain(struct pv_queue *queue)
{
	if (role_of(queue) == PV_SERIAL_HEARS)
		pv_serial_hear_drain(queue);
}

static void queue_stop(struct pv_queue *queue)
{
	if (role_of(queue) == PV_SERIAL_TRANSMITS)
		pv_serial_transmit_stop(queue);
}

static bool run(struct pv_queue *queue)
{
	switch (role_of(queue)) {
	case PV_SERIAL_RECEIVES:
		return pv_serial_receive(queue);
	case PV_SERIAL_TRANSMITS:
		return pv_serial_transmit(queue);
	case PV_SERIAL_TELLS:
		return pv_serial_tell(queue);
	case PV_SERIAL_HEARS:
		return pv_serial_hear(queue);
	case PV_SERIAL_UNUSED:
		break;
	}
	return false;
}

/* A change of ports or lines may be work for any queue: all are run once more after it. */
static bool queue_run(struct pv_queue *queue)
{
	struct pv_serial *serial = pv_serial_of(queue->device);
	bool has_worked = pv_serial_follow(serial);

	if (!queue->is_draining)
		has_worked |= run(queue);
	pv_serial_tell_control(serial, queue);
	return has_worked;
}

static void queue_event(struct pv_queue *queue)
{
	pv_serial_heard(pv_serial_of(queue->device));
}

static void queue_rested(struct pv_queue *queue)
{
	pv_serial_rested(pv_serial_of(queue->device));
}

/* Ports are the user's, and stay. */
static void reset(struct pv_device *device)
{
	struct pv_serial *serial = pv_serial_of(device);

	pv_serial_begin_anew(serial);
	pv_serial_rested(serial);
}

static const void *queue_counters(const struct pv_device *device, uint16_t index)
{
	return &pv_serial_of_const(device)->counters[index];
}

static const struct pv_virtio_ops virtio_ops = {
	.id = VIRTIO_ID_CONSOLE,
	.config_bytes = sizeof(struct virtio_console_config),
	.features = features,
	.config_read = config_read,
	.config_write = config_write,
	.queue_start = queue_start,
	.queue_run = queue_run,
	.queue_drain = queue_drain,
	.queue_stop = queue_stop,
	.queue_event = queue_event,
	.queue_rested = queue_rested,
};

static const struct pv_device_ops serial_ops = {
	.name = "serial",
	.virtio = &virtio_ops,
	.reset = reset,
	.state_version = 1,
	.save = pv_serial_save,
	.load = pv_serial_load,
	.counter_names = pv_serial_counter_names,
	.queue_counters = queue_counters,
};

/* ---- birth ---- */

uint16_t pv_serial_queues(const struct pv_serial_options *options)
{
	return options->is_single ? VIRTIO_CONSOLE_CONTROL_RECEIVEQ
	                          : virtio_console_queues(options->ports_max);
}

size_t pv_serial_bytes(const struct pv_serial_options *options)
{
	uint16_t queues = pv_serial_queues(options);

	return pv_storage_bytes(sizeof(struct pv_serial)) +
	       pv_storage_bytes(sizeof(struct pv_serial_slot) * options->ports_max) +
	       pv_storage_bytes(sizeof(struct pv_serial_counters) * queues) +
	       pv_storage_bytes(sizeof(struct pv_queue) * queues);
}

struct pv_device *pv_serial_init(void *storage, struct pv_port *port,
                                 const struct pv_serial_options *options)
{
	uint16_t queues = pv_serial_queues(options);
	uint8_t *rest = storage;
	struct pv_serial *serial = pv_storage_take(&rest, sizeof(*serial));

	pv_bug_on(options->ports_max == 0 || options->ports_max > VIRTIO_CONSOLE_PORTS_MAX);
	serial->slot = pv_storage_take(&rest, sizeof(struct pv_serial_slot) * options->ports_max);
	serial->counters = pv_storage_take(&rest, sizeof(struct pv_serial_counters) * queues);
	serial->queue = pv_storage_take(&rest, sizeof(struct pv_queue) * queues);
	serial->options = *options;
	if (options->is_single)
		serial->options.ports_max = 1;
	for (uint16_t i = 0; i < serial->options.ports_max; i++)
		serial->slot[i].serial = serial;
	pv_device_init(&serial->device, &serial_ops, port,
	               pv_device_ring_features(options->is_in_order, options->no_packed),
	               serial->queue, queues, options->queue_size_max);
	return &serial->device;
}
