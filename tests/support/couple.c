/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/support/couple.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ring/err.h"

#define MEMBER_OF(pointer, type, member) ((type *)((char *)(pointer)-offsetof(type, member)))

/* ---- the device's port ---- */

static struct pv_couple *of_port(struct pv_port *port)
{
	return MEMBER_OF(port, struct pv_couple, port);
}

static void *port_alloc(struct pv_port *port, size_t bytes)
{
	void *memory = aligned_alloc(64, (bytes + 63) & ~(size_t)63);

	of_port(port)->allocs++;
	return memory ? memset(memory, 0, bytes) : NULL;
}

static void port_free(struct pv_port *port, void *memory, size_t bytes)
{
	(void)bytes;
	of_port(port)->allocs--;
	free(memory);
}

static void queue_attach(struct pv_port *port, struct pv_queue *queue)
{
	struct pv_couple_lane *lane = &of_port(port)->lane[queue->index];

	lane->is_attached = true;
	lane->is_asleep = false;
	lane->is_detaching = false;
}

/* As on a host: what the lane had to say comes before its answer that it stopped. */
static void deliver_event(struct pv_couple_lane *lane, struct pv_queue *queue)
{
	if (lane->has_event)
		pv_queue_event(queue);
	lane->has_event = false;
}

static void answer_if_quiet(struct pv_couple_lane *lane, struct pv_queue *queue)
{
	deliver_event(lane, queue);
	if (!lane->is_detaching || !pv_queue_is_quiet(queue))
		return;
	lane->is_detaching = false;
	lane->is_attached = false;
	pv_queue_stopped(queue);
}

static void queue_detach(struct pv_port *port, struct pv_queue *queue)
{
	struct pv_couple_lane *lane = &of_port(port)->lane[queue->index];

	pv_bug_on(!lane->is_attached);
	lane->is_detaching = true;
	pv_queue_drain(queue);
	answer_if_quiet(lane, queue);
}

static void interrupt(struct pv_port *port, struct pv_queue *queue)
{
	struct pv_couple *couple = of_port(port);

	couple->interrupts++;
	couple->lane[queue->index].is_interrupted = true;
	if (couple->on_interrupt)
		couple->on_interrupt(couple, queue->index);
}

static void queue_broke(struct pv_port *port, struct pv_queue *queue)
{
	of_port(port)->needs_resets++;
	pv_device_needs_reset(queue->device);
}

static void queue_event(struct pv_port *port, struct pv_queue *queue)
{
	of_port(port)->lane[queue->index].has_event = true;
}

static void queue_wake(struct pv_port *port, struct pv_queue *queue)
{
	pv_couple_wake(of_port(port), queue->index);
}

static void queue_timer(struct pv_port *port, struct pv_queue *queue, uint64_t ns)
{
	struct pv_couple *couple = of_port(port);
	struct pv_couple_lane *lane = &couple->lane[queue->index];

	pv_bug_on(!lane->is_attached);
	lane->has_timer = true;
	lane->timer_ns = couple->now_ns + ns;
}

static uint64_t port_now_ns(struct pv_port *port)
{
	return of_port(port)->now_ns;
}

static void config_changed(struct pv_port *port, struct pv_device *device)
{
	struct pv_couple *couple = of_port(port);

	(void)device;
	couple->config_changes++;
	if (couple->on_config_change)
		couple->on_config_change(couple);
}

static void port_log(struct pv_port *port, enum pv_log_level level, const char *line)
{
	struct pv_couple *couple = of_port(port);

	(void)level;
	couple->logs++;
	snprintf(couple->last_log, sizeof(couple->last_log), "%s", line);
}

static const struct pv_port_ops port_ops = {
	.alloc = port_alloc,
	.free = port_free,
	.queue_attach = queue_attach,
	.queue_detach = queue_detach,
	.interrupt = interrupt,
	.queue_broke = queue_broke,
	.queue_event = queue_event,
	.queue_wake = queue_wake,
	.queue_timer = queue_timer,
	.now_ns = port_now_ns,
	.config_changed = config_changed,
	.log = port_log,
};

/* ---- the driver's operating system ---- */

static struct pv_couple *of_os(struct pv_os *os)
{
	return MEMBER_OF(os, struct pv_couple, os);
}

/*
 * A driver allocates, for each queue, its rings and then its request slots on cache lines, and its
 * indirect tables on pages; for a legacy device its rings too. Rings must be whole; everything else
 * is cut for the device.
 */
static void *shared_alloc(struct pv_os *os, size_t bytes, size_t align, struct pv_gpa *addr)
{
	struct pv_couple *couple = of_os(os);
	bool is_line = align <= 64;
	bool is_ring = couple->is_ring_next && (is_line || couple->has_rings_on_pages);
	bool may_be_ring = is_line || couple->has_rings_on_pages;
	bool is_whole = is_ring || (may_be_ring && couple->has_whole_lines);

	pv_bug_on(couple->is_sealed);
	if (is_line || is_ring)
		couple->is_ring_next = !couple->is_ring_next;
	*addr = pv_twin_alloc(&couple->twin, bytes, is_whole ? PV_WHOLE : PV_CUT,
	                      couple->region_max, &couple->random);
	return pv_twin_driver(&couple->twin, *addr);
}

static void shared_free(struct pv_os *os, void *memory, size_t bytes)
{
	(void)os; /* goes with the twin */
	(void)memory;
	(void)bytes;
}

static uint32_t map(struct pv_os *os, void *memory, uint32_t bytes, bool is_written,
                    struct pv_gpa *addr)
{
	(void)is_written;
	*addr = pv_twin_gpa(&of_os(os)->twin, memory);
	return bytes;
}

static void *os_alloc(struct pv_os *os, size_t bytes)
{
	(void)os;
	return calloc(1, bytes);
}

static void os_free(struct pv_os *os, void *memory, size_t bytes)
{
	(void)os;
	(void)bytes;
	free(memory);
}

static uint64_t os_now_ns(struct pv_os *os)
{
	return of_os(os)->now_ns;
}

static void os_wait(struct pv_os *os, uint64_t ns)
{
	struct pv_couple *couple = of_os(os);

	pv_couple_pass(couple, ns < 1000 ? ns : 1000);
	pv_couple_run(couple);
}

static const struct pv_os_ops os_ops = {
	.shared_alloc = shared_alloc,
	.shared_free = shared_free,
	.map = map,
	.alloc = os_alloc,
	.free = os_free,
	.now_ns = os_now_ns,
	.wait = os_wait,
};

/* ---- the bus between them ---- */

static struct pv_couple *of_bus(struct pv_bus *bus)
{
	return MEMBER_OF(bus, struct pv_couple, bus);
}

static int features_get(struct pv_bus *bus, uint64_t *features)
{
	*features = pv_device_features(of_bus(bus)->device);
	return 0;
}

static int features_set(struct pv_bus *bus, uint64_t features)
{
	return pv_device_features_set(of_bus(bus)->device, features);
}

static int status_get(struct pv_bus *bus, uint8_t *status)
{
	*status = pv_device_status(of_bus(bus)->device);
	return 0;
}

int pv_couple_start_queue(struct pv_couple *couple, uint16_t index)
{
	const struct pv_bus_queue *place = &couple->lane[index].place;
	const struct pv_ring_config config = {
		.size = place->size,
		.desc_area = place->desc_area,
		.driver_area = place->driver_area,
		.device_area = place->device_area,
		.inflight = couple->lane[index].inflight,
		.inflight_places = couple->inflight_places,
	};
	const struct pv_ring_position position = pv_ring_position_fresh();
	int err = pv_device_queue_set(couple->device, index, &config, &position);

	return err ? err : pv_device_queue_start(couple->device, index);
}

void pv_couple_seal(struct pv_couple *couple)
{
	if (!couple->is_sealed) {
		pv_twin_seal(&couple->twin, &couple->random);
		couple->is_sealed = true;
	}
	pv_device_mem_set(couple->device, couple->twin.table[couple->view]);
}

static int status_set(struct pv_bus *bus, uint8_t status)
{
	struct pv_couple *couple = of_bus(bus);
	bool was_ok = pv_device_status(couple->device) & VIRTIO_STATUS_DRIVER_OK;
	int err = 0;

	pv_device_status_set(couple->device, status);
	if (status == 0)
		for (uint16_t i = 0; i < PV_COUPLE_QUEUES; i++)
			couple->lane[i].is_placed = false;
	if (was_ok || !(status & VIRTIO_STATUS_DRIVER_OK))
		return 0;
	pv_couple_seal(couple);
	for (uint16_t i = 0; !err && i < PV_COUPLE_QUEUES; i++)
		if (couple->lane[i].is_placed)
			err = pv_couple_start_queue(couple, i);
	return err;
}

static int config_read(struct pv_bus *bus, uint32_t offset, void *to, uint32_t bytes)
{
	return pv_device_config_read(of_bus(bus)->device, offset, to, bytes);
}

static int config_write(struct pv_bus *bus, uint32_t offset, const void *from, uint32_t bytes)
{
	return pv_device_config_write(of_bus(bus)->device, offset, from, bytes);
}

static int config_generation(struct pv_bus *bus, uint32_t *generation)
{
	*generation = of_bus(bus)->device->config_generation;
	return 0;
}

static int queue_size_max(struct pv_bus *bus, uint16_t index, uint16_t *size)
{
	const struct pv_device *device = of_bus(bus)->device;

	*size = index < device->queues ? device->queue_size_max : 0;
	return 0;
}

static int queue_enable(struct pv_bus *bus, uint16_t index, const struct pv_bus_queue *queue)
{
	struct pv_couple *couple = of_bus(bus);

	pv_bug_on(index >= PV_COUPLE_QUEUES);
	couple->lane[index].place = *queue;
	couple->lane[index].is_placed = true;
	if (pv_device_status(couple->device) & VIRTIO_STATUS_DRIVER_OK)
		return pv_couple_start_queue(couple, index);
	return 0;
}

static void was_stopped(void *arg)
{
	*(bool *)arg = true;
}

static int queue_reset(struct pv_bus *bus, uint16_t index)
{
	struct pv_couple *couple = of_bus(bus);
	bool is_stopped = false;
	int err = pv_device_queue_stop(couple->device, index,
	                               (struct pv_waiter){ was_stopped, &is_stopped });

	for (int i = 0; !err && !is_stopped && i < 1000; i++)
		pv_couple_run(couple);
	return err ? err : is_stopped ? 0 : -PV_ETIMEDOUT;
}

static void kick(struct pv_bus *bus, uint16_t index, uint16_t next)
{
	(void)next;
	of_bus(bus)->lane[index].is_kicked = true;
}

static const struct pv_bus_ops bus_ops = {
	.features_get = features_get,
	.features_set = features_set,
	.status_get = status_get,
	.status_set = status_set,
	.config_read = config_read,
	.config_write = config_write,
	.config_generation = config_generation,
	.queue_size_max = queue_size_max,
	.queue_enable = queue_enable,
	.queue_reset = queue_reset,
	.kick = kick,
};

/* ---- the couple ---- */

void pv_couple_open(struct pv_couple *couple, size_t memory_bytes, struct pv_random random)
{
	*couple = (struct pv_couple){
		.bus = { .ops = &bus_ops },
		.os = { .ops = &os_ops },
		.port = { .ops = &port_ops },
		.random = random,
		.region_max = 64,
		.is_ring_next = true,
	};
	pv_twin_open(&couple->twin, memory_bytes);
}

void pv_couple_close(struct pv_couple *couple)
{
	pv_bug_on(couple->allocs > 0);
	pv_twin_close(&couple->twin);
}

void pv_couple_set_device(struct pv_couple *couple, struct pv_device *device,
                          enum pv_twin_view view)
{
	couple->device = device;
	couple->view = view;
	couple->bus.device_id = device->ops->virtio->id;
	for (uint16_t i = 0; i < PV_COUPLE_QUEUES; i++)
		couple->lane[i].has_timer = false;
	if (couple->is_sealed)
		pv_device_mem_set(device, couple->twin.table[view]);
}

bool pv_couple_run(struct pv_couple *couple)
{
	bool has_worked = false;

	for (uint16_t i = 0; i < couple->device->queues; i++) {
		struct pv_couple_lane *lane = &couple->lane[i];
		struct pv_queue *queue = &couple->device->queue[i];

		if (!lane->is_attached || (lane->is_asleep && !lane->is_kicked))
			continue;
		if (lane->is_kicked)
			pv_queue_kicked(queue);
		lane->is_kicked = false;
		if (lane->is_asleep)
			pv_dev_ring_kicks_off(&queue->ring);
		lane->is_asleep = false;
		lane->has_ended = false;
		has_worked |= pv_queue_run(queue);
		answer_if_quiet(lane, queue);
	}
	return has_worked;
}

void pv_couple_sleep(struct pv_couple *couple)
{
	for (uint16_t i = 0; i < couple->device->queues; i++) {
		struct pv_couple_lane *lane = &couple->lane[i];

		if (!lane->is_attached || lane->is_asleep || lane->has_ended)
			continue;
		lane->is_asleep = pv_queue_may_sleep(&couple->device->queue[i]);
	}
}

void pv_couple_wake(struct pv_couple *couple, uint16_t queue)
{
	struct pv_couple_lane *lane = &couple->lane[queue];

	if (lane->is_asleep)
		pv_dev_ring_kicks_off(&couple->device->queue[queue].ring);
	lane->is_asleep = false;
	lane->has_ended = true;
}

/* A paused queue's timer waits for the lane that it will have. */
static bool is_due(const struct pv_couple *couple, const struct pv_couple_lane *lane)
{
	return lane->is_attached && lane->has_timer && lane->timer_ns <= couple->now_ns;
}

void pv_couple_pass(struct pv_couple *couple, uint64_t ns)
{
	couple->now_ns += ns;
	for (uint16_t i = 0; i < PV_COUPLE_QUEUES; i++) {
		if (!is_due(couple, &couple->lane[i]))
			continue;
		couple->lane[i].has_timer = false;
		pv_couple_wake(couple, i);
	}
}
