/* SPDX-License-Identifier: BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "ring/err.h"
#include "tests/support/device_rig.h"

#define MEMORY_GPA  0x100000u
#define RING_ALIGN  4096u
#define LINE_BYTES  64u
#define QUEUE_BYTES (32u << 10)
#define AREA_ALIGN  16u

/* ---- the device's host ---- */

static struct device_rig *of_port(struct pv_port *port)
{
	return (struct device_rig *)port;
}

void *device_rig_zeroed(size_t align, size_t bytes)
{
	void *memory = aligned_alloc(align, (bytes + align - 1) & ~(align - 1));

	return memory ? memset(memory, 0, bytes) : NULL;
}

static void *port_alloc(struct pv_port *port, size_t bytes)
{
	of_port(port)->allocated += bytes;
	return device_rig_zeroed(LINE_BYTES, bytes);
}

static void port_free(struct pv_port *port, void *memory, size_t bytes)
{
	of_port(port)->allocated -= bytes;
	free(memory);
}

static struct device_rig_queue *lane_of(struct pv_port *port, const struct pv_queue *queue)
{
	return &of_port(port)->queue[queue->index];
}

static void queue_attach(struct pv_port *port, struct pv_queue *queue)
{
	lane_of(port, queue)->is_attached = true;
	lane_of(port, queue)->is_due = true;
}

/* What the lane had to say comes before its answer that it stopped. */
bool device_rig_answer(struct device_rig *rig, uint16_t index)
{
	struct device_rig_queue *lane = &rig->queue[index];
	struct pv_queue *queue = &rig->device->queue[index];
	bool has_event = lane->has_event;

	lane->has_event = false;
	if (has_event)
		pv_queue_event(queue);
	if (!lane->is_detaching)
		return has_event;
	lane->is_detaching = false;
	lane->is_attached = false;
	pv_queue_stopped(queue);
	return true;
}

static void queue_detach(struct pv_port *port, struct pv_queue *queue)
{
	struct device_rig *rig = of_port(port);

	pv_queue_drain(queue);
	lane_of(port, queue)->is_detaching = true;
	lane_of(port, queue)->is_due = true;
	if (!rig->is_slow)
		device_rig_answer(rig, queue->index);
}

static void interrupt(struct pv_port *port, struct pv_queue *queue)
{
	lane_of(port, queue)->interrupts++;
}

static void queue_broke(struct pv_port *port, struct pv_queue *queue)
{
	of_port(port)->needs_resets++;
	pv_device_needs_reset(queue->device);
}

static void queue_event(struct pv_port *port, struct pv_queue *queue)
{
	pv_bug_on(!lane_of(port, queue)->is_attached);
	lane_of(port, queue)->has_event = true;
}

static void queue_wake(struct pv_port *port, struct pv_queue *queue)
{
	pv_bug_on(!lane_of(port, queue)->is_attached);
	lane_of(port, queue)->is_due = true;
	of_port(port)->wakes++;
}

static void queue_timer(struct pv_port *port, struct pv_queue *queue, uint64_t ns)
{
	pv_bug_on(!lane_of(port, queue)->is_attached);
	lane_of(port, queue)->timer_ns = of_port(port)->now_ns + ns;
}

static uint64_t now_ns(struct pv_port *port)
{
	return of_port(port)->now_ns;
}

static void config_changed(struct pv_port *port, struct pv_device *device)
{
	(void)device;
	of_port(port)->config_changes++;
}

static void port_log(struct pv_port *port, enum pv_log_level level, const char *line)
{
	(void)level;
	(void)line;
	of_port(port)->logs++;
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
	.now_ns = now_ns,
	.config_changed = config_changed,
	.log = port_log,
};

/* ---- its life ---- */

void device_rig_add_region(struct device_rig *rig, const struct pv_region *region)
{
	pv_bug_on(rig->mem->count == 1 + rig->shape.crumbs + rig->shape.more);
	rig->mem->region[rig->mem->count++] = *region;
	assert_int_equal(pv_mem_seal(rig->mem), 0);
}

static void make_memory(struct device_rig *rig)
{
	const uint32_t crumbs = rig->shape.crumbs;
	size_t rings = (size_t)rig->shape.queues * QUEUE_BYTES;
	size_t bytes = rings + rig->shape.area_bytes;

	rig->memory = device_rig_zeroed(RING_ALIGN, bytes);
	rig->crumbs_host = device_rig_zeroed(LINE_BYTES, 2u * crumbs);
	rig->mem = calloc(1, pv_mem_table_bytes(1 + crumbs + rig->shape.more));
	rig->mem->count = 1 + crumbs;
	rig->mem->region[0] = (struct pv_region){ .gpa = pv_gpa_of(MEMORY_GPA),
		                                  .bytes = bytes,
		                                  .host = rig->memory };
	for (uint32_t i = 0; i < crumbs; i++)
		rig->mem->region[1 + i] =
			(struct pv_region){ .gpa = pv_gpa_of(DEVICE_RIG_CRUMBS_GPA + i),
			                    .bytes = 1,
			                    .host = rig->crumbs_host + 2 * i };
	assert_int_equal(pv_mem_seal(rig->mem), 0);
	rig->area = pv_gpa_of(MEMORY_GPA + rings);
	rig->area_host = rig->memory + rings;
	rig->crumbs = pv_gpa_of(DEVICE_RIG_CRUMBS_GPA);
}

void device_rig_open(struct device_rig *rig, const struct device_rig_shape *shape,
                     void (*run)(struct device_rig *rig, const bool *until))
{
	*rig = (struct device_rig){ .ops = port_ops, .shape = *shape, .run = run, .now_ns = 1 };
	rig->port.ops = &rig->ops;
	rig->queue = calloc(shape->queues, sizeof(rig->queue[0]));
	make_memory(rig);
}

void device_rig_close(struct device_rig *rig)
{
	assert_true(pv_device_is_idle(rig->device));
	assert_int_equal(rig->allocated, 0);
	for (uint16_t i = 0; i < rig->shape.queues; i++)
		free(rig->queue[i].private_area);
	free(rig->queue);
	free(rig->storage);
	free(rig->memory);
	free(rig->crumbs_host);
	free(rig->mem);
}

void *device_rig_storage(struct device_rig *rig, size_t bytes)
{
	rig->storage = device_rig_zeroed(LINE_BYTES, bytes);
	return rig->storage;
}

void device_rig_set_device(struct device_rig *rig, struct pv_device *device)
{
	rig->device = device;
	pv_device_mem_set(device, rig->mem);
}

/* ---- queues ---- */

static struct pv_gpa gpa_of(const struct device_rig *rig, const void *host)
{
	return pv_gpa_of(MEMORY_GPA + (uint64_t)((const uint8_t *)host - rig->memory));
}

/* The areas on a quarter each of the queue's memory, and its indirect tables on the last. */
static void make_ring(struct device_rig *rig, uint16_t index)
{
	uint8_t *memory = rig->memory + (size_t)index * QUEUE_BYTES;
	struct device_rig_queue *queue = &rig->queue[index];
	struct pv_drv_ring_memory areas = {
		.desc_area = memory,
		.driver_area = memory + QUEUE_BYTES / 4,
		.device_area = memory + QUEUE_BYTES / 8 * 3,
	};

	memset(memory, 0, QUEUE_BYTES);
	if (rig->features & VIRTIO_F_INDIRECT_DESC) {
		areas.indirect = memory + QUEUE_BYTES / 2;
		areas.indirect_gpa = gpa_of(rig, areas.indirect);
		areas.indirect_max = DEVICE_RIG_INDIRECT_MAX;
	}
	free(queue->private_area);
	queue->private_area = calloc(1, pv_drv_ring_private_bytes(DEVICE_RIG_SIZE));
	areas.private_area = queue->private_area;
	assert_int_equal(pv_drv_ring_init(&queue->ring, rig->features, DEVICE_RIG_SIZE, &areas), 0);
	queue->config = (struct pv_ring_config){ .size = DEVICE_RIG_SIZE,
		                                 .desc_area = gpa_of(rig, areas.desc_area),
		                                 .driver_area = gpa_of(rig, areas.driver_area),
		                                 .device_area = gpa_of(rig, areas.device_area) };
}

void device_rig_negotiate(struct device_rig *rig, uint64_t features)
{
	rig->features = features & pv_device_features(rig->device);
	assert_int_equal(pv_device_features_set(rig->device, rig->features), 0);
	pv_device_status_set(rig->device, 0xf);
}

int device_rig_start_queue(struct device_rig *rig, uint16_t index)
{
	const struct pv_ring_position position = pv_ring_position_fresh();

	make_ring(rig, index);
	assert_int_equal(
		pv_device_queue_set(rig->device, index, &rig->queue[index].config, &position), 0);
	return pv_device_queue_start(rig->device, index);
}

static void was_reached(void *arg)
{
	*(bool *)arg = true;
}

void device_rig_stop_queue(struct device_rig *rig, uint16_t index)
{
	bool is_stopped = false;

	assert_int_equal(pv_device_queue_stop(rig->device, index,
	                                      (struct pv_waiter){ was_reached, &is_stopped }),
	                 0);
	rig->run(rig, &is_stopped);
	assert_true(is_stopped);
}

void device_rig_continue_queue(struct device_rig *rig, uint16_t index)
{
	const struct pv_ring_position position = rig->device->queue[index].position;

	assert_int_equal(
		pv_device_queue_set(rig->device, index, &rig->queue[index].config, &position), 0);
	assert_int_equal(pv_device_queue_start(rig->device, index), 0);
}

/* ---- a device that is followed by another one ---- */

void device_rig_pause(struct device_rig *rig)
{
	bool is_paused = false;

	assert_int_equal(
		pv_device_pause(rig->device, (struct pv_waiter){ was_reached, &is_paused }), 0);
	rig->run(rig, &is_paused);
	assert_true(is_paused);
}

uint8_t *device_rig_save(struct device_rig *rig, size_t *bytes)
{
	struct pv_state_writer to = { 0 };

	assert_int_equal(pv_device_save(rig->device, &to), -PV_ENOSPC);
	to = (struct pv_state_writer){ .data = malloc(to.bytes), .capacity = to.bytes };
	assert_int_equal(pv_device_save(rig->device, &to), 0);
	*bytes = to.bytes;
	return to.data;
}

void *device_rig_abandon(struct device_rig *rig)
{
	assert_int_equal(pv_device_abandon(rig->device), 0);
	for (uint16_t i = 0; i < rig->shape.queues; i++)
		rig->queue[i].timer_ns = 0;
	return rig->storage;
}

void device_rig_resume(struct device_rig *rig, uint8_t *state, size_t bytes)
{
	assert_int_equal(pv_device_load(rig->device, state, bytes), 0);
	pv_device_resume(rig->device);
	free(state);
}

/* ---- what the driver does ---- */

struct pv_sg device_rig_alloc(struct device_rig *rig, uint32_t bytes)
{
	struct pv_sg sg = { pv_gpa_add(rig->area, rig->area_at), bytes };

	rig->area_at += (bytes + AREA_ALIGN) & ~(AREA_ALIGN - 1);
	assert_in_range(rig->area_at, 0, rig->shape.area_bytes);
	return sg;
}

uint8_t *device_rig_at(const struct device_rig *rig, struct pv_gpa gpa)
{
	uint64_t offset = gpa.v - rig->area.v;

	return rig->area_host + (offset < rig->shape.area_bytes ? offset : 0);
}

void device_rig_offer(struct device_rig *rig, uint16_t queue, const struct pv_sg *sg,
                      uint16_t readable, uint16_t writable)
{
	struct pv_drv_ring *ring = &rig->queue[queue].ring;
	void *token = device_rig_at(rig, sg[0].addr);

	assert_int_equal(pv_drv_ring_add(ring, sg, readable, writable, token), 0);
	pv_drv_ring_publish(ring);
	if (pv_drv_ring_must_kick(ring))
		rig->queue[queue].is_due = true;
}

uint8_t *device_rig_take(struct device_rig *rig, uint16_t queue, uint32_t *written_bytes)
{
	enum pv_drv_take taken;
	void *token = NULL;

	taken = pv_drv_ring_take(&rig->queue[queue].ring, &token, written_bytes);
	assert_int_not_equal(taken, PV_DRV_BROKEN);
	return token;
}
