/* SPDX-License-Identifier: BSD-2-Clause */
#include "devices/transport/transport_internal.h"

#include "ring/err.h"

/* How often a driver's write waits for something to be over. */
#define WAITS_MAX 1000

/* ---- the interrupt status ---- */

void pv_transport_isr_raise(struct pv_transport *transport, uint32_t bits)
{
	__atomic_fetch_or(&transport->isr, bits, __ATOMIC_SEQ_CST);
}

void pv_transport_isr_clear(struct pv_transport *transport, uint32_t bits)
{
	__atomic_fetch_and(&transport->isr, ~bits, __ATOMIC_SEQ_CST);
}

uint32_t pv_transport_isr_take(struct pv_transport *transport)
{
	return __atomic_exchange_n(&transport->isr, 0, __ATOMIC_SEQ_CST);
}

uint32_t pv_transport_isr(const struct pv_transport *transport)
{
	return __atomic_load_n(&transport->isr, __ATOMIC_SEQ_CST);
}

/* ---- queues ---- */

struct pv_transport_queue *pv_transport_selected(const struct pv_transport *transport)
{
	return transport->queue_select < transport->device->queues
	               ? &transport->queue[transport->queue_select]
	               : NULL;
}

void pv_transport_kick(struct pv_transport *transport, uint32_t queue)
{
	if (queue < transport->device->queues)
		transport->ops->kick(transport, (uint16_t)queue);
}

static void forget_queue(struct pv_transport *transport, uint16_t index)
{
	transport->queue[index] = (struct pv_transport_queue){
		.transport = transport,
		.size = transport->device->queue_size_max,
	};
	transport->ops->queue_forgotten(transport, index);
}

static void complain(const struct pv_transport *transport, const char *line)
{
	struct pv_port *port = transport->device->port;

	port->ops->log(port, PV_LOG_WARNING, line);
}

void pv_transport_queue_start(struct pv_transport *transport, uint16_t index)
{
	const struct pv_transport_queue *queue = &transport->queue[index];
	const struct pv_ring_config config = {
		.size = queue->size,
		.desc_area = pv_gpa_of(queue->area[PV_TRANSPORT_DESC]),
		.driver_area = pv_gpa_of(queue->area[PV_TRANSPORT_DRIVER]),
		.device_area = pv_gpa_of(queue->area[PV_TRANSPORT_DEVICE]),
	};
	const struct pv_ring_position position = pv_ring_position_fresh();
	int err = pv_device_queue_set(transport->device, index, &config, &position);

	if (!err)
		err = pv_device_queue_start(transport->device, index);
	if (!err)
		return;
	complain(transport, err == -PV_ELOCKED
	                            ? "a queue does not start: its disk is locked by somebody else"
	                            : "a queue does not start: its size or areas cannot be");
	pv_device_needs_reset(transport->device);
}

static void start_enabled(struct pv_transport *transport)
{
	const struct pv_device *device = transport->device;

	for (uint16_t i = 0; i < device->queues; i++)
		if (transport->queue[i].is_enabled && device->queue[i].state == PV_QUEUE_IDLE)
			pv_transport_queue_start(transport, i);
}

/* One after the other: a device stops one queue at a time. */
static void reset_next(struct pv_transport *transport);

static void queue_stopped(void *arg)
{
	struct pv_transport_queue *queue = arg;
	struct pv_transport *transport = queue->transport;

	transport->is_stopping_queue = false;
	forget_queue(transport, (uint16_t)(queue - transport->queue));
	reset_next(transport);
}

static void reset_next(struct pv_transport *transport)
{
	for (uint16_t i = 0; i < transport->device->queues && !transport->is_stopping_queue; i++) {
		const struct pv_waiter waiter = { queue_stopped, &transport->queue[i] };

		if (!transport->queue[i].is_resetting)
			continue;
		/* It may be stopped before this returns. */
		transport->is_stopping_queue = true;
		if (pv_device_queue_stop(transport->device, i, waiter)) {
			transport->is_stopping_queue = false;
			return;
		}
	}
}

void pv_transport_queue_reset(struct pv_transport *transport)
{
	struct pv_transport_queue *queue = pv_transport_selected(transport);

	if (!queue || !queue->is_enabled)
		return;
	queue->is_resetting = true;
	reset_next(transport);
}

void pv_transport_queue_end(struct pv_transport *transport)
{
	const struct pv_transport_queue *queue = pv_transport_selected(transport);

	pv_transport_queue_reset(transport);
	for (int i = 0; i < WAITS_MAX && queue && queue->is_resetting; i++)
		transport->ops->wait(transport);
}

/* ---- status ---- */

static void forget(struct pv_transport *transport)
{
	transport->device_feature_select = 0;
	transport->driver_feature_select = 0;
	transport->driver_features = 0;
	transport->queue_select = 0;
	for (uint16_t i = 0; i < transport->device->queues; i++)
		forget_queue(transport, i);
	pv_transport_isr_take(transport);
	transport->ops->forgotten(transport);
}

/* A queue that was stopping is answered before: its waiter finds nothing to be reset any more. */
void pv_transport_reset(struct pv_transport *transport)
{
	pv_device_status_set(transport->device, 0);
	forget(transport);
}

void pv_transport_status_set(struct pv_transport *transport, uint8_t status)
{
	uint8_t before = pv_device_status(transport->device);

	if (status == 0) {
		pv_transport_reset(transport);
		return;
	}
	pv_device_status_set(transport->device, status);
	if (pv_device_status(transport->device) & ~before & VIRTIO_STATUS_DRIVER_OK)
		start_enabled(transport);
}

void pv_transport_wait_for_reset(struct pv_transport *transport)
{
	for (int i = 0; i < WAITS_MAX && pv_device_status(transport->device) != 0; i++)
		transport->ops->wait(transport);
}

/* ---- the device's configuration ---- */

uint64_t pv_transport_config_read(const struct pv_transport *transport, uint32_t offset,
                                  unsigned int bytes)
{
	uint8_t data[8] = { 0 };

	if (pv_device_config_read(transport->device, offset, data, bytes))
		for (unsigned int i = 0; i < bytes; i++)
			pv_device_config_read(transport->device, offset + i, data + i, 1);
	return pv_access_get(data, bytes);
}

void pv_transport_config_write(struct pv_transport *transport, uint32_t offset, unsigned int bytes,
                               uint64_t value)
{
	uint8_t data[8];

	pv_access_put(data, value, bytes);
	pv_device_config_write(transport->device, offset, data, bytes);
}

/* ---- making one ---- */

void pv_transport_init(struct pv_transport *transport, const struct pv_transport_ops *ops,
                       struct pv_device *device, struct pv_transport_queue *queue)
{
	*transport = (struct pv_transport){ .ops = ops, .device = device, .queue = queue };
	forget(transport);
}

/* ---- state ---- */

static void save_queue(const struct pv_transport_queue *queue, struct pv_state_writer *to)
{
	pv_state_put_u16(to, queue->size);
	pv_state_put_u8(to, queue->is_enabled);
	pv_state_put_u8(to, queue->is_resetting);
	for (unsigned int area = 0; area < PV_TRANSPORT_AREAS; area++)
		pv_state_put_u64(to, queue->area[area]);
	pv_state_put_u32(to, queue->own);
}

void pv_transport_save(const struct pv_transport *transport, struct pv_state_writer *to)
{
	pv_state_put_u32(to, pv_transport_isr(transport));
	pv_state_put_u32(to, transport->device_feature_select);
	pv_state_put_u32(to, transport->driver_feature_select);
	pv_state_put_u64(to, transport->driver_features);
	pv_state_put_u32(to, transport->queue_select);
	for (uint16_t i = 0; i < transport->device->queues; i++)
		save_queue(&transport->queue[i], to);
}

static void load_queue(struct pv_transport_queue *queue, struct pv_state_reader *from)
{
	queue->size = pv_state_get_u16(from);
	queue->is_enabled = pv_state_get_u8(from) == 1;
	queue->is_resetting = pv_state_get_u8(from) == 1;
	for (unsigned int area = 0; area < PV_TRANSPORT_AREAS; area++)
		queue->area[area] = pv_state_get_u64(from);
	queue->own = pv_state_get_u32(from);
	pv_state_check(from, queue->size <= queue->transport->device->queue_size_max);
}

void pv_transport_load(struct pv_transport *transport, struct pv_state_reader *from)
{
	__atomic_store_n(&transport->isr, pv_state_get_u32(from), __ATOMIC_SEQ_CST);
	transport->device_feature_select = pv_state_get_u32(from);
	transport->driver_feature_select = pv_state_get_u32(from);
	transport->driver_features = pv_state_get_u64(from);
	pv_state_check(from, !(pv_device_status(transport->device) & VIRTIO_STATUS_FEATURES_OK) ||
	                             !(transport->driver_features & ~transport->own_features &
	                               VIRTIO_F_NOTIFICATION_DATA));
	transport->queue_select = pv_state_get_u32(from);
	for (uint16_t i = 0; i < transport->device->queues; i++)
		load_queue(&transport->queue[i], from);
	reset_next(transport);
}
