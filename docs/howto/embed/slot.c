/* SPDX-License-Identifier: BSD-2-Clause */
#include "slot.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* ---- the port ---- */

static struct slot *slot_of(struct pv_port *port)
{
	return (struct slot *)port;
}

static struct lane *lane_of(struct pv_queue *queue)
{
	return &slot_of(queue->device->port)->lane[queue->index];
}

void *slot_alloc(size_t bytes)
{
	size_t lines = (bytes + 63) & ~(size_t)63;
	void *memory = aligned_alloc(64, lines);

	return memory ? memset(memory, 0, lines) : NULL;
}

static void *port_alloc(struct pv_port *port, size_t bytes)
{
	(void)port;
	return slot_alloc(bytes);
}

static void port_free(struct pv_port *port, void *memory, size_t bytes)
{
	(void)port;
	(void)bytes;
	free(memory);
}

static void run_soon(struct pv_port *port, struct pv_queue *queue)
{
	(void)port;
	lane_of(queue)->must_run = true;
}

static void deliver_event(struct pv_queue *queue)
{
	if (lane_of(queue)->has_event)
		pv_queue_event(queue);
	lane_of(queue)->has_event = false;
}

/* Stores that answer at once leave nothing that it would have to wait for. */
static void port_detach(struct pv_port *port, struct pv_queue *queue)
{
	(void)port;
	pv_queue_drain(queue);
	while (!pv_queue_is_quiet(queue))
		pv_queue_run(queue);
	deliver_event(queue);
	pv_queue_stopped(queue);
}

static void port_interrupt(struct pv_port *port, struct pv_queue *queue)
{
	(void)queue;
	pv_virtio_mmio_call(&slot_of(port)->mmio);
}

static void port_broke(struct pv_port *port, struct pv_queue *queue)
{
	(void)port;
	pv_device_needs_reset(queue->device);
}

static void port_event(struct pv_port *port, struct pv_queue *queue)
{
	(void)port;
	lane_of(queue)->has_event = true;
}

static uint64_t port_now_ns(struct pv_port *port)
{
	struct timespec now;

	(void)port;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void port_timer(struct pv_port *port, struct pv_queue *queue, uint64_t ns)
{
	lane_of(queue)->timer_ns = port_now_ns(port) + ns;
}

static void port_config_changed(struct pv_port *port, struct pv_device *device)
{
	(void)device;
	pv_virtio_mmio_config_changed(&slot_of(port)->mmio);
}

static void port_log(struct pv_port *port, enum pv_log_level level, const char *line)
{
	(void)level;
	fprintf(stderr, "%s: %s\n", slot_of(port)->device->ops->name, line);
}

static const struct pv_port_ops port_ops = {
	.alloc = port_alloc,
	.free = port_free,
	.queue_attach = run_soon,
	.queue_detach = port_detach,
	.interrupt = port_interrupt,
	.queue_broke = port_broke,
	.queue_event = port_event,
	.queue_wake = run_soon,
	.queue_timer = port_timer,
	.now_ns = port_now_ns,
	.config_changed = port_config_changed,
	.log = port_log,
};

/* One turn, not all that there is: a guest can see to it that there is always more. */
static void run_queue(struct pv_queue *queue)
{
	struct lane *lane = lane_of(queue);

	if (lane->timer_ns != 0 && lane->timer_ns <= port_now_ns(queue->device->port)) {
		lane->timer_ns = 0;
		lane->must_run = true;
	}
	if (!lane->must_run || queue->state != PV_QUEUE_RUNNING)
		return;
	lane->must_run = pv_queue_run(queue) || !pv_queue_may_sleep(queue);
	deliver_event(queue);
}

bool slot_run(struct slot *slot)
{
	bool must_go_on = false;

	for (uint16_t i = 0; i < slot->device->queues; i++) {
		run_queue(&slot->device->queue[i]);
		must_go_on |= slot->lane[i].must_run;
	}
	return must_go_on;
}

/* ---- its registers ---- */

static struct slot *slot_of_mmio(struct pv_virtio_mmio *mmio)
{
	return (struct slot *)((char *)mmio - offsetof(struct slot, mmio));
}

static void interrupt_changed(struct pv_virtio_mmio *mmio)
{
	slot_of_mmio(mmio)->is_line_high = pv_virtio_mmio_has_interrupt(mmio);
}

static void kick(struct pv_virtio_mmio *mmio, uint16_t index)
{
	struct slot *slot = slot_of_mmio(mmio);

	pv_queue_kicked(&slot->device->queue[index]);
	slot->lane[index].must_run = true;
}

static void wait(struct pv_virtio_mmio *mmio)
{
	slot_run(slot_of_mmio(mmio));
}

static const struct pv_virtio_mmio_host_ops host_ops = { interrupt_changed, kick, wait };

/* ---- its life ---- */

void slot_open(struct slot *slot)
{
	*slot = (struct slot){ .port = { &port_ops } };
}

bool slot_put(struct slot *slot, struct pv_device *device, void *storage, const struct pv_mem *mem)
{
	const struct pv_virtio_mmio_options options = { .host = &host_ops,
		                                        .device = device,
		                                        .vendor_id = 0x1234 };

	slot->device = device;
	slot->device_storage = storage;
	slot->mmio_storage = slot_alloc(pv_virtio_mmio_storage_bytes(device));
	if (!slot->mmio_storage)
		return false;
	pv_device_mem_set(device, mem);
	pv_virtio_mmio_init(&slot->mmio, &options, slot->mmio_storage);
	return true;
}

void slot_close(struct slot *slot)
{
	/* With stores that answer at once it is at rest when this returns, or was before. */
	pv_device_pause(slot->device, (struct pv_waiter){ 0 });
	pv_device_abandon(slot->device);
	free(slot->mmio_storage);
	free(slot->device_storage);
}

/* ---- its state: the device's, how long that is, and the registers' ---- */

#define LENGTH_BYTES 4u

size_t slot_save(struct slot *slot, uint8_t *state, size_t capacity)
{
	struct pv_state_writer length = { .data = state, .capacity = LENGTH_BYTES };
	struct pv_state_writer device = { .data = state + LENGTH_BYTES,
		                          .capacity = capacity - LENGTH_BYTES };
	struct pv_state_writer all = { .data = state, .capacity = capacity };

	if (pv_device_pause(slot->device, (struct pv_waiter){ 0 }) ||
	    pv_device_save(slot->device, &device))
		return 0;
	pv_state_put_u32(&length, (uint32_t)device.bytes);
	all.bytes = LENGTH_BYTES + device.bytes;
	pv_virtio_mmio_save(&slot->mmio, &all);
	return all.bytes <= capacity ? all.bytes : 0;
}

bool slot_load(struct slot *slot, const uint8_t *state, size_t bytes)
{
	struct pv_state_reader from = { .data = state, .bytes = bytes };
	uint32_t device_bytes = pv_state_get_u32(&from);

	if (from.is_bad || device_bytes > from.bytes ||
	    pv_device_load(slot->device, from.data, device_bytes))
		return false;
	from.data += device_bytes;
	from.bytes -= device_bytes;
	pv_virtio_mmio_load(&slot->mmio, &from);
	if (from.is_bad)
		return false;
	pv_device_resume(slot->device);
	return true;
}
