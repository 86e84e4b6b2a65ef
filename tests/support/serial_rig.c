/* SPDX-License-Identifier: BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "ring/err.h"
#include "tests/support/serial_rig.h"

#define MEMORY_GPA  0x100000u
#define CRUMBS_GPA  0x40000000u
#define RING_ALIGN  4096u
#define QUEUE_BYTES (32u << 10)
#define RUNS_MAX    10000

const uint64_t serial_rig_rings[] = {
	0,
	VIRTIO_F_INDIRECT_DESC | VIRTIO_F_EVENT_IDX,
	VIRTIO_F_IN_ORDER,
	VIRTIO_F_RING_PACKED,
	VIRTIO_F_RING_PACKED | VIRTIO_F_INDIRECT_DESC | VIRTIO_F_EVENT_IDX,
	VIRTIO_F_RING_PACKED | VIRTIO_F_IN_ORDER,
};
const uint16_t serial_rig_ring_kinds = sizeof(serial_rig_rings) / sizeof(serial_rig_rings[0]);

/* ---- the device's host ---- */

static struct serial_rig *of_port(struct pv_port *port)
{
	return (struct serial_rig *)port;
}

static void *port_alloc(struct pv_port *port, size_t bytes)
{
	void *memory = aligned_alloc(64, (bytes + 63) & ~(size_t)63);

	(void)port;
	return memory ? memset(memory, 0, bytes) : NULL;
}

static void port_free(struct pv_port *port, void *memory, size_t bytes)
{
	(void)port;
	(void)bytes;
	free(memory);
}

static void queue_attach(struct pv_port *port, struct pv_queue *queue)
{
	of_port(port)->queue[queue->index].is_attached = true;
}

/* What the lane had to say comes before its answer that it stopped. */
static bool answer(struct serial_rig *rig, uint16_t index)
{
	struct serial_rig_queue *lane = &rig->queue[index];
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
	struct serial_rig *rig = of_port(port);

	pv_queue_drain(queue);
	rig->queue[queue->index].is_detaching = true;
	if (!rig->is_slow)
		answer(rig, queue->index);
}

static void interrupt(struct pv_port *port, struct pv_queue *queue)
{
	of_port(port)->queue[queue->index].interrupts++;
}

static void queue_broke(struct pv_port *port, struct pv_queue *queue)
{
	of_port(port)->needs_resets++;
	pv_device_needs_reset(queue->device);
}

static void queue_event(struct pv_port *port, struct pv_queue *queue)
{
	pv_bug_on(!of_port(port)->queue[queue->index].is_attached);
	of_port(port)->queue[queue->index].has_event = true;
}

static void queue_wake(struct pv_port *port, struct pv_queue *queue)
{
	pv_bug_on(!of_port(port)->queue[queue->index].is_attached);
	of_port(port)->wakes++;
}

static uint64_t now_ns(struct pv_port *port)
{
	(void)port;
	return 0;
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
	.now_ns = now_ns,
	.config_changed = config_changed,
	.log = port_log,
};

/* ---- birth and death ---- */

static void guest_changed(void *arg, uint16_t port, bool is_open)
{
	struct serial_rig *rig = arg;

	rig->guest_changes++;
	snprintf(rig->guest_change, sizeof(rig->guest_change), "%u %s", port,
	         is_open ? "open" : "closed");
}

static void make_memory(struct serial_rig *rig, uint16_t queues)
{
	size_t rings = (size_t)queues * QUEUE_BYTES;
	size_t bytes = rings + SERIAL_RIG_AREA_BYTES;
	uint32_t regions = 1 + SERIAL_RIG_CRUMBS;

	rig->memory = aligned_alloc(RING_ALIGN, bytes);
	rig->crumbs_host = malloc(2u * SERIAL_RIG_CRUMBS);
	rig->mem = calloc(1, pv_mem_table_bytes(regions));
	memset(rig->memory, 0, bytes);
	rig->mem->count = regions;
	rig->mem->region[0] = (struct pv_region){ .gpa = pv_gpa_of(MEMORY_GPA),
		                                  .bytes = bytes,
		                                  .host = rig->memory };
	for (uint32_t i = 0; i < SERIAL_RIG_CRUMBS; i++)
		rig->mem->region[1 + i] = (struct pv_region){ .gpa = pv_gpa_of(CRUMBS_GPA + i),
			                                      .bytes = 1,
			                                      .host = rig->crumbs_host + 2 * i };
	assert_int_equal(pv_mem_seal(rig->mem), 0);
	rig->area = pv_gpa_of(MEMORY_GPA + rings);
	rig->area_host = rig->memory + rings;
	rig->crumbs = pv_gpa_of(CRUMBS_GPA);
}

static void make_device(struct serial_rig *rig)
{
	size_t bytes = (pv_serial_bytes(&rig->options) + 63) & ~(size_t)63;

	rig->storage = aligned_alloc(64, bytes);
	memset(rig->storage, 0, bytes);
	rig->device = pv_serial_init(rig->storage, &rig->port, &rig->options);
	pv_device_mem_set(rig->device, rig->mem);
}

void serial_rig_open(struct serial_rig *rig, const struct pv_serial_options *options)
{
	uint16_t queues = pv_serial_queues(options);

	*rig = (struct serial_rig){ .port = { .ops = &port_ops }, .options = *options };
	rig->options.queue_size_max = SERIAL_RIG_SIZE;
	rig->options.is_in_order = true;
	rig->options.guest_changed = guest_changed;
	rig->options.arg = rig;
	rig->random = pv_random_start(pv_random_seed(), options->ports_max);
	rig->queue = calloc(queues, sizeof(rig->queue[0]));
	make_memory(rig, queues);
	for (uint32_t i = 0; i < SERIAL_RIG_LINES; i++)
		pv_memory_line_open(&rig->line[i]);
	make_device(rig);
}

void serial_rig_close(struct serial_rig *rig)
{
	for (int i = 0; i < 2; i++) {
		pv_device_reset(rig->device, (struct pv_waiter){ 0 });
		serial_rig_run(rig);
	}
	assert_true(pv_device_is_idle(rig->device));
	for (uint32_t i = 0; i < SERIAL_RIG_LINES; i++)
		pv_memory_line_close(&rig->line[i]);
	for (uint16_t i = 0; i < rig->device->queues; i++)
		free(rig->queue[i].private_area);
	free(rig->queue);
	free(rig->storage);
	free(rig->memory);
	free(rig->crumbs_host);
	free(rig->mem);
}

void serial_rig_add(struct serial_rig *rig, uint16_t index, uint32_t line, const char *name,
                    bool is_console)
{
	const struct pv_serial_port port = { .line = &rig->line[line].line,
		                             .name = name,
		                             .is_console = is_console };

	assert_int_equal(pv_serial_add_port(rig->device, index, &port), 0);
}

static void was_removed(void *arg)
{
	((struct serial_rig *)arg)->removals++;
}

void serial_rig_remove(struct serial_rig *rig, uint16_t index)
{
	assert_int_equal(pv_serial_remove_port(rig->device, index,
	                                       (struct pv_waiter){ was_removed, rig }),
	                 0);
}

/* ---- queues ---- */

static struct pv_gpa gpa_of(const struct serial_rig *rig, const void *host)
{
	return pv_gpa_of(MEMORY_GPA + (uint64_t)((const uint8_t *)host - rig->memory));
}

/* The areas on a quarter each of the queue's memory, and its indirect tables on the last. */
static void make_ring(struct serial_rig *rig, uint16_t index)
{
	uint8_t *memory = rig->memory + (size_t)index * QUEUE_BYTES;
	struct serial_rig_queue *queue = &rig->queue[index];
	struct pv_drv_ring_memory areas = {
		.desc_area = memory,
		.driver_area = memory + QUEUE_BYTES / 4,
		.device_area = memory + QUEUE_BYTES / 8 * 3,
	};

	memset(memory, 0, QUEUE_BYTES);
	if (rig->features & VIRTIO_F_INDIRECT_DESC) {
		areas.indirect = memory + QUEUE_BYTES / 2;
		areas.indirect_gpa = gpa_of(rig, areas.indirect);
		areas.indirect_max = SERIAL_RIG_INDIRECT_MAX;
	}
	free(queue->private_area);
	queue->private_area = calloc(1, pv_drv_ring_private_bytes(SERIAL_RIG_SIZE));
	areas.private_area = queue->private_area;
	assert_int_equal(pv_drv_ring_init(&queue->ring, rig->features, SERIAL_RIG_SIZE, &areas), 0);
	queue->config = (struct pv_ring_config){ .size = SERIAL_RIG_SIZE,
		                                 .desc_area = gpa_of(rig, areas.desc_area),
		                                 .driver_area = gpa_of(rig, areas.driver_area),
		                                 .device_area = gpa_of(rig, areas.device_area) };
}

void serial_rig_start_queue(struct serial_rig *rig, uint16_t index)
{
	const struct pv_ring_position position = pv_ring_position_fresh();

	make_ring(rig, index);
	assert_int_equal(
		pv_device_queue_set(rig->device, index, &rig->queue[index].config, &position), 0);
	assert_int_equal(pv_device_queue_start(rig->device, index), 0);
}

void serial_rig_start(struct serial_rig *rig, uint64_t features)
{
	uint16_t queues = rig->device->queues;

	rig->features = (features | VIRTIO_F_VERSION_1) & pv_device_features(rig->device);
	assert_int_equal(pv_device_features_set(rig->device, rig->features), 0);
	pv_device_status_set(rig->device, 0xf);
	if (!(rig->features & VIRTIO_CONSOLE_F_MULTIPORT))
		queues = CONTROL_RX;
	for (uint16_t i = 0; i < queues; i++)
		serial_rig_start_queue(rig, i);
}

void serial_rig_answer(struct serial_rig *rig)
{
	for (uint16_t i = 0; i < rig->device->queues; i++)
		answer(rig, i);
}

bool serial_rig_run_once(struct serial_rig *rig)
{
	bool has_worked = false;

	for (uint16_t i = 0; i < rig->device->queues; i++) {
		if (!rig->queue[i].is_attached)
			continue;
		has_worked |= pv_queue_run(&rig->device->queue[i]);
		has_worked |= answer(rig, i);
	}
	return has_worked;
}

void serial_rig_run(struct serial_rig *rig)
{
	int runs = 0;

	while (serial_rig_run_once(rig))
		assert_in_range(++runs, 0, RUNS_MAX);
}

static void was_reached(void *arg)
{
	*(bool *)arg = true;
}

#define WAITS 10

static void wait_for(struct serial_rig *rig, const bool *is_reached)
{
	for (int i = 0; i < WAITS && !*is_reached; i++)
		serial_rig_run_once(rig);
	assert_true(*is_reached);
}

void serial_rig_stop_queue(struct serial_rig *rig, uint16_t index)
{
	bool is_stopped = false;

	assert_int_equal(pv_device_queue_stop(rig->device, index,
	                                      (struct pv_waiter){ was_reached, &is_stopped }),
	                 0);
	wait_for(rig, &is_stopped);
}

void serial_rig_continue_queue(struct serial_rig *rig, uint16_t index)
{
	const struct pv_ring_position position = rig->device->queue[index].position;

	assert_int_equal(
		pv_device_queue_set(rig->device, index, &rig->queue[index].config, &position), 0);
	assert_int_equal(pv_device_queue_start(rig->device, index), 0);
}

void serial_rig_pause(struct serial_rig *rig)
{
	bool is_paused = false;

	assert_int_equal(
		pv_device_pause(rig->device, (struct pv_waiter){ was_reached, &is_paused }), 0);
	wait_for(rig, &is_paused);
}

uint8_t *serial_rig_save(struct serial_rig *rig, size_t *bytes)
{
	struct pv_state_writer to = { 0 };

	assert_int_equal(pv_device_save(rig->device, &to), -PV_ENOSPC);
	to = (struct pv_state_writer){ .data = malloc(to.bytes), .capacity = to.bytes };
	assert_int_equal(pv_device_save(rig->device, &to), 0);
	*bytes = to.bytes;
	return to.data;
}

void serial_rig_replace(struct serial_rig *rig, void (*add)(struct serial_rig *rig))
{
	void *storage = rig->storage;

	assert_int_equal(pv_device_abandon(rig->device), 0);
	for (uint32_t i = 0; i < SERIAL_RIG_LINES; i++)
		rig->line[i].line.user = NULL;
	make_device(rig);
	add(rig);
	free(storage);
}

void serial_rig_move(struct serial_rig *rig, void (*add)(struct serial_rig *rig))
{
	uint8_t *state;
	size_t bytes;

	serial_rig_pause(rig);
	state = serial_rig_save(rig, &bytes);
	serial_rig_replace(rig, add);
	assert_int_equal(pv_device_load(rig->device, state, bytes), 0);
	pv_device_resume(rig->device);
	free(state);
}
