/* SPDX-License-Identifier: BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "ring/err.h"
#include "tests/support/balloon_rig.h"

#define MEMORY_GPA  0x100000u
#define RING_ALIGN  4096u
#define PAGES_ALIGN (2u << 20)
#define QUEUE_BYTES (32u << 10)
#define RUNS_MAX    10000
#define REGIONS     4u /* before the crumbs */

const uint64_t balloon_rig_rings[] = {
	0,
	VIRTIO_F_INDIRECT_DESC | VIRTIO_F_EVENT_IDX,
	VIRTIO_F_IN_ORDER,
	VIRTIO_F_RING_PACKED,
	VIRTIO_F_RING_PACKED | VIRTIO_F_INDIRECT_DESC | VIRTIO_F_EVENT_IDX,
	VIRTIO_F_RING_PACKED | VIRTIO_F_IN_ORDER,
};
const uint16_t balloon_rig_ring_kinds = sizeof(balloon_rig_rings) / sizeof(balloon_rig_rings[0]);

/* ---- the device's host ---- */

static struct balloon_rig *of_port(struct pv_port *port)
{
	return (struct balloon_rig *)port;
}

static void *zeroed(size_t align, size_t bytes)
{
	void *memory = aligned_alloc(align, (bytes + align - 1) & ~(align - 1));

	return memory ? memset(memory, 0, bytes) : NULL;
}

static void *port_alloc(struct pv_port *port, size_t bytes)
{
	of_port(port)->allocated += bytes;
	return zeroed(64, bytes);
}

static void port_free(struct pv_port *port, void *memory, size_t bytes)
{
	of_port(port)->allocated -= bytes;
	free(memory);
}

static struct balloon_rig_queue *lane_of(struct pv_port *port, const struct pv_queue *queue)
{
	return &of_port(port)->queue[queue->index];
}

static void queue_attach(struct pv_port *port, struct pv_queue *queue)
{
	lane_of(port, queue)->is_attached = true;
	lane_of(port, queue)->is_due = true;
}

/* What the lane had to say comes before its answer that it stopped. */
static void answer(struct balloon_rig *rig, uint16_t index)
{
	struct balloon_rig_queue *lane = &rig->queue[index];
	struct pv_queue *queue = &rig->device->queue[index];

	if (lane->has_event) {
		lane->has_event = false;
		pv_queue_event(queue);
	}
	if (!lane->is_detaching)
		return;
	lane->is_detaching = false;
	lane->is_attached = false;
	pv_queue_stopped(queue);
}

static void queue_detach(struct pv_port *port, struct pv_queue *queue)
{
	struct balloon_rig *rig = of_port(port);

	pv_queue_drain(queue);
	rig->queue[queue->index].is_detaching = true;
	rig->queue[queue->index].is_due = true;
	if (!rig->is_slow)
		answer(rig, queue->index);
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

static bool is_of(const struct pv_mem *mem, const struct pv_region *region)
{
	return mem && region >= mem->region && region < mem->region + mem->count;
}

/* Whole pages of a region that is there, and nothing else. */
static int discard_one(struct balloon_rig *rig, const struct pv_region *region, uint8_t *host,
                       uint64_t bytes)
{
	uint64_t first = (uint64_t)(host - region->host);

	pv_bug_on(!is_of(rig->mem, region) && !is_of(rig->other_mem, region));
	pv_bug_on(region->page_bytes == 0 || bytes == 0);
	pv_bug_on(first % region->page_bytes || bytes % region->page_bytes);
	pv_bug_on(first > region->bytes || bytes > region->bytes - first);
	if (rig->refusal && (!rig->refused_gpa || rig->refused_gpa == region->gpa.v + first))
		return rig->refusal;
	memset(host, 0, (size_t)bytes);
	if (rig->ranges < BALLOON_RIG_RANGES)
		rig->range[rig->ranges++] =
			(struct balloon_rig_range){ region->gpa.v + first, bytes };
	return 0;
}

/* The rest of a list goes though one has been refused; what is told again has not been before. */
static int discard(struct pv_port *port, const struct pv_region *region, const struct pv_iov *piece,
                   uint32_t pieces)
{
	struct balloon_rig *rig = of_port(port);
	const uint32_t ranges = rig->ranges;
	int error = 0;

	pv_bug_on(pieces == 0);
	for (uint32_t i = 0; i < pieces; i++) {
		int refused = discard_one(rig, region, piece[i].base, piece[i].bytes);

		error = error ? error : refused;
	}
	if (error)
		rig->ranges = ranges;
	return error;
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
	.discard = discard,
	.config_changed = config_changed,
	.log = port_log,
};

/* ---- birth and death ---- */

static void actual_changed(void *arg)
{
	((struct balloon_rig *)arg)->actual_changes++;
}

static void stats_came(void *arg)
{
	((struct balloon_rig *)arg)->stats_came++;
}

static void make_memory(struct balloon_rig *rig, uint64_t page_bytes)
{
	const uint32_t first[] = { PAGE_A, PAGE_B, PAGE_C };
	size_t rings = (size_t)VIRTIO_BALLOON_QUEUES * QUEUE_BYTES;
	size_t bytes = rings + BALLOON_RIG_AREA_BYTES;

	rig->memory = zeroed(RING_ALIGN, bytes);
	rig->crumbs = zeroed(64, 2u * BALLOON_RIG_CRUMBS);
	rig->mem = calloc(1, pv_mem_table_bytes(REGIONS + BALLOON_RIG_CRUMBS));
	rig->mem->count = REGIONS + BALLOON_RIG_CRUMBS;
	rig->mem->region[0] =
		(struct pv_region){ pv_gpa_of(MEMORY_GPA), bytes, rig->memory, 0, false };
	for (uint32_t i = 0; i < 3; i++) {
		rig->pages[i] = zeroed(PAGES_ALIGN, (size_t)PAGES * PAGE);
		memset(rig->pages[i], 0xaa, (size_t)PAGES * PAGE);
		rig->mem->region[1 + i] = (struct pv_region){ pv_gpa_of((uint64_t)first[i] * PAGE),
			                                      (uint64_t)PAGES * PAGE, rig->pages[i],
			                                      page_bytes, i == 1 };
	}
	for (uint32_t i = 0; i < BALLOON_RIG_CRUMBS; i++)
		rig->mem->region[REGIONS + i] =
			(struct pv_region){ pv_gpa_of(BALLOON_RIG_CRUMBS_GPA + i), 1,
			                    rig->crumbs + 2 * i, 1, false };
	assert_int_equal(pv_mem_seal(rig->mem), 0);
	rig->area = pv_gpa_of(MEMORY_GPA + rings);
	rig->area_host = rig->memory + rings;
}

static void make_device(struct balloon_rig *rig)
{
	rig->storage = zeroed(64, pv_balloon_bytes());
	rig->device = pv_balloon_init(rig->storage, &rig->port, &rig->options);
	pv_device_mem_set(rig->device, rig->mem);
}

void balloon_rig_open(struct balloon_rig *rig, const struct pv_balloon_options *options,
                      uint64_t page_bytes)
{
	*rig = (struct balloon_rig){ .ops = port_ops, .options = *options, .now_ns = 1 };
	rig->port.ops = &rig->ops;
	rig->options.queue_size_max = BALLOON_RIG_SIZE;
	rig->options.is_in_order = true;
	rig->options.owner = (struct pv_balloon_owner){ actual_changed, stats_came, rig };
	make_memory(rig, page_bytes);
	make_device(rig);
}

void balloon_rig_close(struct balloon_rig *rig)
{
	pv_device_reset(rig->device, (struct pv_waiter){ 0 });
	balloon_rig_run(rig);
	assert_true(pv_device_is_idle(rig->device));
	assert_int_equal(rig->allocated, 0);
	for (uint16_t i = 0; i < VIRTIO_BALLOON_QUEUES; i++)
		free(rig->queue[i].private_area);
	for (uint32_t i = 0; i < 3; i++)
		free(rig->pages[i]);
	free(rig->storage);
	free(rig->memory);
	free(rig->crumbs);
	free(rig->mem);
}

/* ---- queues ---- */

static struct pv_gpa gpa_of(const struct balloon_rig *rig, const void *host)
{
	return pv_gpa_of(MEMORY_GPA + (uint64_t)((const uint8_t *)host - rig->memory));
}

/* The areas on a quarter each of the queue's memory, and its indirect tables on the last. */
static void make_ring(struct balloon_rig *rig, uint16_t index)
{
	uint8_t *memory = rig->memory + (size_t)index * QUEUE_BYTES;
	struct balloon_rig_queue *queue = &rig->queue[index];
	struct pv_drv_ring_memory areas = {
		.desc_area = memory,
		.driver_area = memory + QUEUE_BYTES / 4,
		.device_area = memory + QUEUE_BYTES / 8 * 3,
	};

	memset(memory, 0, QUEUE_BYTES);
	if (rig->features & VIRTIO_F_INDIRECT_DESC) {
		areas.indirect = memory + QUEUE_BYTES / 2;
		areas.indirect_gpa = gpa_of(rig, areas.indirect);
		areas.indirect_max = BALLOON_RIG_INDIRECT_MAX;
	}
	free(queue->private_area);
	queue->private_area = calloc(1, pv_drv_ring_private_bytes(BALLOON_RIG_SIZE));
	areas.private_area = queue->private_area;
	assert_int_equal(pv_drv_ring_init(&queue->ring, rig->features, BALLOON_RIG_SIZE, &areas),
	                 0);
	queue->config = (struct pv_ring_config){ .size = BALLOON_RIG_SIZE,
		                                 .desc_area = gpa_of(rig, areas.desc_area),
		                                 .driver_area = gpa_of(rig, areas.driver_area),
		                                 .device_area = gpa_of(rig, areas.device_area) };
}

int balloon_rig_start_queue(struct balloon_rig *rig, uint16_t index)
{
	const struct pv_ring_position position = pv_ring_position_fresh();

	make_ring(rig, index);
	assert_int_equal(
		pv_device_queue_set(rig->device, index, &rig->queue[index].config, &position), 0);
	return pv_device_queue_start(rig->device, index);
}

void balloon_rig_negotiate(struct balloon_rig *rig, uint64_t features)
{
	rig->features = features & pv_device_features(rig->device);
	assert_int_equal(pv_device_features_set(rig->device, rig->features), 0);
	pv_device_status_set(rig->device, 0xf);
	assert_int_equal(balloon_rig_start_queue(rig, INFLATE), 0);
	assert_int_equal(balloon_rig_start_queue(rig, DEFLATE), 0);
}

void balloon_rig_start(struct balloon_rig *rig, uint64_t features)
{
	uint16_t next = STATS;

	balloon_rig_negotiate(rig, features | VIRTIO_F_VERSION_1);
	if (rig->features & VIRTIO_BALLOON_F_STATS_VQ)
		assert_int_equal(balloon_rig_start_queue(rig, next++), 0);
	if (rig->features & VIRTIO_BALLOON_F_PAGE_REPORTING)
		assert_int_equal(balloon_rig_start_queue(rig, next++), 0);
	balloon_rig_run(rig);
}

static void was_reached(void *arg)
{
	*(bool *)arg = true;
}

void balloon_rig_stop_queue(struct balloon_rig *rig, uint16_t index)
{
	bool is_stopped = false;

	assert_int_equal(pv_device_queue_stop(rig->device, index,
	                                      (struct pv_waiter){ was_reached, &is_stopped }),
	                 0);
	balloon_rig_run(rig);
	assert_true(is_stopped);
}

void balloon_rig_continue_queue(struct balloon_rig *rig, uint16_t index)
{
	const struct pv_ring_position position = rig->device->queue[index].position;

	assert_int_equal(
		pv_device_queue_set(rig->device, index, &rig->queue[index].config, &position), 0);
	assert_int_equal(pv_device_queue_start(rig->device, index), 0);
}

bool balloon_rig_run_once(struct balloon_rig *rig, uint16_t index)
{
	struct balloon_rig_queue *lane = &rig->queue[index];
	struct pv_queue *queue = &rig->device->queue[index];
	bool goes_on;

	if (!lane->is_attached || !lane->is_due)
		return false;
	goes_on = pv_queue_run(queue) || !pv_queue_may_sleep(queue);
	lane->is_due = goes_on;
	answer(rig, index);
	return goes_on;
}

void balloon_rig_run(struct balloon_rig *rig)
{
	bool goes_on = true;

	for (int runs = 0; goes_on; runs++) {
		assert_in_range(runs, 0, RUNS_MAX);
		goes_on = false;
		for (uint16_t i = 0; i < VIRTIO_BALLOON_QUEUES; i++)
			goes_on |= balloon_rig_run_once(rig, i);
	}
}

void balloon_rig_pass(struct balloon_rig *rig, uint64_t ns)
{
	rig->now_ns += ns;
	for (uint16_t i = 0; i < VIRTIO_BALLOON_QUEUES; i++) {
		struct balloon_rig_queue *lane = &rig->queue[i];

		if (lane->timer_ns == 0 || lane->timer_ns > rig->now_ns)
			continue;
		lane->timer_ns = 0;
		lane->is_due = true;
	}
	balloon_rig_run(rig);
}

void balloon_rig_switch(struct balloon_rig *rig, bool has_last)
{
	struct pv_mem *before = rig->mem;
	uint32_t last = 0;

	rig->mem = calloc(1, pv_mem_table_bytes(before->count));
	for (uint32_t i = 0; i < before->count; i++) {
		if (!has_last && before->region[i].gpa.v == (uint64_t)PAGE_C * PAGE)
			continue;
		rig->mem->region[last++] = before->region[i];
	}
	rig->mem->count = last;
	for (uint16_t i = 0; i < VIRTIO_BALLOON_QUEUES; i++) {
		if (!rig->queue[i].is_attached)
			continue;
		pv_queue_mem_switch(&rig->device->queue[i], rig->mem);
		assert_int_equal(rig->device->queue[i].ring.in_flight_before, 0);
	}
	pv_device_mem_set(rig->device, rig->mem);
	free(before);
}

void balloon_rig_pause(struct balloon_rig *rig)
{
	bool is_paused = false;

	assert_int_equal(
		pv_device_pause(rig->device, (struct pv_waiter){ was_reached, &is_paused }), 0);
	balloon_rig_run(rig);
	assert_true(is_paused);
}

uint8_t *balloon_rig_save(struct balloon_rig *rig, size_t *bytes)
{
	struct pv_state_writer to = { 0 };

	assert_int_equal(pv_device_save(rig->device, &to), -PV_ENOSPC);
	to = (struct pv_state_writer){ .data = malloc(to.bytes), .capacity = to.bytes };
	assert_int_equal(pv_device_save(rig->device, &to), 0);
	*bytes = to.bytes;
	return to.data;
}

void balloon_rig_replace(struct balloon_rig *rig)
{
	void *storage = rig->storage;

	assert_int_equal(pv_device_abandon(rig->device), 0);
	for (uint16_t i = 0; i < VIRTIO_BALLOON_QUEUES; i++)
		rig->queue[i].timer_ns = 0;
	make_device(rig);
	free(storage);
}

void balloon_rig_move(struct balloon_rig *rig)
{
	uint8_t *state;
	size_t bytes;

	balloon_rig_pause(rig);
	state = balloon_rig_save(rig, &bytes);
	balloon_rig_replace(rig);
	assert_int_equal(pv_device_load(rig->device, state, bytes), 0);
	pv_device_resume(rig->device);
	free(state);
}

/* ---- what the driver does ---- */

#define AREA_ALIGN 16u

struct pv_sg balloon_rig_alloc(struct balloon_rig *rig, uint32_t bytes)
{
	struct pv_sg sg = { pv_gpa_add(rig->area, rig->area_at), bytes };

	rig->area_at += (bytes + AREA_ALIGN) & ~(AREA_ALIGN - 1);
	assert_in_range(rig->area_at, 0, BALLOON_RIG_AREA_BYTES);
	return sg;
}

uint8_t *balloon_rig_at(const struct balloon_rig *rig, struct pv_gpa gpa)
{
	return rig->area_host + (gpa.v - rig->area.v);
}

void balloon_rig_offer(struct balloon_rig *rig, uint16_t queue, const struct pv_sg *sg,
                       uint16_t readable, uint16_t writable)
{
	struct pv_drv_ring *ring = &rig->queue[queue].ring;

	assert_int_equal(pv_drv_ring_add(ring, sg, readable, writable, rig), 0);
	pv_drv_ring_publish(ring);
	if (pv_drv_ring_must_kick(ring))
		rig->queue[queue].is_due = true;
}

#define SEND_PIECES 512u

void balloon_rig_send(struct balloon_rig *rig, uint16_t queue, const void *data, uint32_t bytes,
                      uint32_t piece_bytes)
{
	struct pv_sg whole = balloon_rig_alloc(rig, bytes), sg[SEND_PIECES];
	uint16_t pieces = 0;

	memcpy(balloon_rig_at(rig, whole.addr), data, bytes);
	for (uint32_t at = 0; at < bytes; at += piece_bytes) {
		assert_in_range(pieces, 0, SEND_PIECES - 1);
		sg[pieces++] = (struct pv_sg){ pv_gpa_add(whole.addr, at), bytes - at < piece_bytes
			                                                           ? bytes - at
			                                                           : piece_bytes };
	}
	balloon_rig_offer(rig, queue, sg, pieces, 0);
}

void balloon_rig_list(struct balloon_rig *rig, uint16_t queue, const uint32_t *number,
                      uint32_t count)
{
	struct pv_sg sg = balloon_rig_alloc(rig, count * 4);
	struct pv_le32 *to = (struct pv_le32 *)balloon_rig_at(rig, sg.addr);

	for (uint32_t i = 0; i < count; i++)
		to[i] = pv_le32_of(number[i]);
	balloon_rig_offer(rig, queue, &sg, 1, 0);
}

void balloon_rig_row(struct balloon_rig *rig, uint16_t queue, uint32_t first, uint32_t count)
{
	uint32_t number[PAGES * 4];

	assert_in_range(count, 1, PAGES * 4);
	for (uint32_t i = 0; i < count; i++)
		number[i] = first + i;
	balloon_rig_list(rig, queue, number, count);
}

struct pv_sg balloon_rig_free(uint32_t first, uint32_t bytes)
{
	return (struct pv_sg){ pv_gpa_of((uint64_t)first * PAGE), bytes };
}

bool balloon_rig_take(struct balloon_rig *rig, uint16_t queue)
{
	uint32_t written_bytes = 1;
	void *token = NULL;
	enum pv_drv_take taken = pv_drv_ring_take(&rig->queue[queue].ring, &token, &written_bytes);

	assert_int_not_equal(taken, PV_DRV_BROKEN);
	if (taken != PV_DRV_TAKEN)
		return false;
	assert_int_equal(written_bytes, 0);
	return true;
}

void balloon_rig_expect_back(struct balloon_rig *rig, uint16_t queue, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++)
		assert_true(balloon_rig_take(rig, queue));
	assert_false(balloon_rig_take(rig, queue));
}

void balloon_rig_expect_gone(struct balloon_rig *rig, uint32_t first, uint32_t count)
{
	assert_true(rig->ranges > 0);
	assert_int_equal(rig->range[0].gpa, (uint64_t)first * PAGE);
	assert_int_equal(rig->range[0].bytes, (uint64_t)count * PAGE);
	rig->ranges--;
	memmove(&rig->range[0], &rig->range[1], rig->ranges * sizeof(rig->range[0]));
}

void balloon_rig_expect_no_more(struct balloon_rig *rig)
{
	assert_int_equal(rig->ranges, 0);
}

uint64_t balloon_rig_count(const struct balloon_rig *rig, uint16_t queue, const char *name)
{
	const struct pv_device_ops *ops = rig->device->ops;
	const struct pv_counter_name *which = ops->counter_names;

	while (strcmp(which->name, name) != 0)
		which++;
	return pv_counter_at(ops->queue_counters(rig->device, queue), which);
}
