/* SPDX-License-Identifier: BSD-2-Clause */
#define _GNU_SOURCE /* memfd_create */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "hosted/loop/clock.h"
#include "tests/support/engine.h"
#include "tests/support/host_world.h"

#define GPA  0x100000u
#define AREA 0x4000u /* of the memory, for each queue */

bool world_is_one_loop;
bool world_may_rest;

uint64_t world_now_us(void)
{
	return pv_clock_ns(CLOCK_MONOTONIC) / 1000;
}

/* ---- the device ---- */

static struct toy *toy_of(const struct pv_queue *queue)
{
	return (struct toy *)queue->device;
}

static void answer(struct pv_queue *queue, struct pv_chain *chain, char byte)
{
	struct pv_cursor writer = pv_chain_writer(chain);

	pv_queue_return(queue, chain, (uint32_t)pv_cursor_write(&writer, &byte, 1));
}

static void answer_kept(struct kept *kept, char byte)
{
	for (uint16_t i = 0; i < kept->count; i++)
		answer(kept->queue, &kept->chain[i], byte);
	kept->count = 0;
}

static void end_kept(struct pv_loop_message *message)
{
	answer_kept((struct kept *)message, 'K');
}

static void keep(struct kept *kept, struct pv_chain *chain)
{
	memcpy(kept->iov[kept->count], chain->iov, sizeof(kept->iov[0]));
	chain->iov = kept->iov[kept->count];
	kept->chain[kept->count++] = *chain;
}

static void stall(struct pv_queue *queue, struct kept *kept)
{
	struct pv_port *port = queue->device->port;

	kept->until_ns = port->ops->now_ns(port) + toy_of(queue)->timer_ns;
	queue->is_stalled = true;
	port->ops->queue_timer(port, queue, toy_of(queue)->timer_ns);
}

/* Returns whether the queue is stalled. */
static bool look_at_timer(struct pv_queue *queue, struct kept *kept)
{
	struct pv_port *port = queue->device->port;

	if (kept->until_ns == 0)
		return false;
	if (port->ops->now_ns(port) < kept->until_ns)
		return true;
	kept->until_ns = 0;
	queue->is_stalled = false;
	queue->held = 0;
	answer_kept(kept, 'T');
	return false;
}

static void work_on(struct pv_queue *queue, struct kept *kept, struct pv_chain *chain)
{
	struct pv_cursor reader = pv_chain_reader(chain);
	char command = 0;

	pv_cursor_read(&reader, &command, 1);
	if (command == 'k' || command == 't') {
		keep(kept, chain);
		if (command == 't')
			stall(queue, kept);
	} else {
		answer(queue, chain, (char)(command + 1));
	}
}

static bool toy_run(struct pv_queue *queue)
{
	struct pv_iov iov[2];
	struct pv_chain chain = { .iov = iov, .capacity = 2 };
	struct kept *kept = &toy_of(queue)->kept[queue->index];
	bool has_worked = false;

	__atomic_fetch_add(&toy_of(queue)->runs[queue->index], 1, __ATOMIC_RELAXED);
	while (!look_at_timer(queue, kept) && pv_queue_take(queue, &chain)) {
		work_on(queue, kept, &chain);
		chain = (struct pv_chain){ .iov = iov, .capacity = 2 };
		has_worked = true;
	}
	return has_worked;
}

static int toy_start(struct pv_queue *queue)
{
	struct kept *kept = &toy_of(queue)->kept[queue->index];

	kept->end.run = end_kept;
	kept->queue = queue;
	kept->until_ns = 0;
	return 0;
}

static void toy_drain(struct pv_queue *queue)
{
	const struct kept *kept = &toy_of(queue)->kept[queue->index];

	if (kept->is_held_when_draining)
		queue->held = kept->count;
}

static void toy_stop(struct pv_queue *queue)
{
	answer_kept(&toy_of(queue)->kept[queue->index], 'F');
	queue->held = 0;
}

static uint64_t toy_features(const struct pv_device *device)
{
	(void)device;
	return 0;
}

static void toy_reset(struct pv_device *device)
{
	(void)device;
}

static const struct pv_virtio_ops toy_virtio = {
	.id = 1,
	.features = toy_features,
	.queue_start = toy_start,
	.queue_run = toy_run,
	.queue_drain = toy_drain,
	.queue_stop = toy_stop,
};

static const struct pv_device_ops toy_ops = {
	.name = "toy",
	.virtio = &toy_virtio,
	.reset = toy_reset,
};

/* ---- the world around it ---- */

void world_count(void *arg)
{
	++*(int *)arg;
}

static void end_run(struct pv_loop_message *message)
{
	struct world *world = (struct world *)((char *)message - offsetof(struct world, end));

	pv_loop_stop(world->control);
}

void world_run_control(struct world *world)
{
	pv_loop_post(world->control, &world->end);
	pv_loop_run(world->control);
}

void world_run_until(struct world *world, const int *counter, int wanted)
{
	uint64_t end_us = world_now_us() + 10000000;

	while (__atomic_load_n(counter, __ATOMIC_ACQUIRE) < wanted && world_now_us() < end_us)
		world_run_control(world);
	assert_int_equal(__atomic_load_n(counter, __ATOMIC_ACQUIRE), wanted);
}

void world_run_in_vain(struct world *world)
{
	for (int i = 0; i < 20; i++) {
		world_run_control(world);
		usleep(500);
	}
}

static struct pv_mem *table_at(void *host)
{
	struct pv_mem *mem = calloc(1, pv_mem_table_bytes(1));

	mem->count = 1;
	mem->region[0] =
		(struct pv_region){ .gpa = { GPA }, .bytes = WORLD_MEMORY_BYTES, .host = host };
	assert_int_equal(pv_mem_seal(mem), 0);
	return mem;
}

static void *map(const struct world *world)
{
	void *at =
		mmap(NULL, WORLD_MEMORY_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, world->memfd, 0);

	assert_ptr_not_equal(at, MAP_FAILED);
	return at;
}

static void set_up_memory(struct world *world)
{
	world->memfd = memfd_create("guest", MFD_CLOEXEC);
	assert_int_equal(ftruncate(world->memfd, WORLD_MEMORY_BYTES), 0);
	world->memory = map(world);
	for (int i = 0; i < 2; i++) {
		world->seen_at[i] = map(world);
		world->table[i] = table_at(world->seen_at[i]);
	}
}

static void tear_down_memory(struct world *world)
{
	munmap(world->memory, WORLD_MEMORY_BYTES);
	for (int i = 0; i < 2; i++) {
		if (world->seen_at[i])
			munmap(world->seen_at[i], WORLD_MEMORY_BYTES);
		free(world->table[i]);
	}
	close(world->memfd);
}

/* Descriptor, driver and device area of a queue at the beginning of its part of the memory. */
static const uint32_t area_at[] = { 0, 0x400, 0x800 };
#define BUFFERS_AT 0x1000u

void world_start_queue(struct world *world, uint16_t queue)
{
	uint32_t base = queue * AREA;
	struct pv_ring_config config = {
		.size = WORLD_QUEUE_SIZE,
		.desc_area = { GPA + base + area_at[0] },
		.driver_area = { GPA + base + area_at[1] },
		.device_area = { GPA + base + area_at[2] },
	};
	struct pv_ring_position fresh = pv_ring_position_fresh();
	struct pv_drv_ring_memory memory = {
		.desc_area = world->memory + base + area_at[0],
		.driver_area = world->memory + base + area_at[1],
		.device_area = world->memory + base + area_at[2],
	};
	size_t bytes = pv_drv_ring_private_bytes(WORLD_QUEUE_SIZE);

	memset(world->memory + base, 0, AREA);
	free(world->private_area[queue]);
	memory.private_area = world->private_area[queue] = calloc(1, bytes);
	assert_int_equal(pv_drv_ring_init(&world->ring[queue], WORLD_FEATURES, WORLD_QUEUE_SIZE,
	                                  &memory),
	                 0);
	assert_int_equal(pv_device_queue_set(&world->toy.device, queue, &config, &fresh), 0);
	assert_int_equal(pv_device_queue_start(&world->toy.device, queue), 0);
}

static void call_by_function(void *arg, uint16_t queue)
{
	struct world *world = arg;

	(void)queue;
	world->caller = pthread_self();
	__atomic_add_fetch(&world->calls, 1, __ATOMIC_RELEASE);
}

static void config_changed(void *arg)
{
	struct world *world = arg;

	world->config_changes++;
}

static const struct pv_host_ops transport = { call_by_function, config_changed };

static void set_up_loops(struct world *world)
{
	const struct pv_loop_options control = { .name = "control", .engine = test_engine() };
	const struct pv_loop_options data = { .name = "data",
		                              .poll_max_us = 30,
		                              .engine = test_engine() };

	assert_int_equal(pv_loop_create(&world->control, &control), 0);
	for (int i = 0; i < WORLD_QUEUES; i++) {
		if (world_is_one_loop) {
			world->lane[i] = world->control;
			continue;
		}
		assert_int_equal(pv_loop_create(&world->lane[i], &data), 0);
		assert_int_equal(pv_loop_thread_start(world->lane[i]), 0);
	}
}

static void set_up_device(struct world *world)
{
	struct pv_device *device = &world->toy.device;

	pv_device_init(device, &toy_ops, pv_host_port(world->host), WORLD_FEATURES,
	               world->toy.queue, WORLD_QUEUES, WORLD_QUEUE_SIZE);
	pv_device_mem_set(device, world->table[0]);
	assert_int_equal(pv_device_features_set(device, WORLD_FEATURES), 0);
}

struct world *world_open(void)
{
	struct world *world = calloc(1, sizeof(*world));
	struct pv_host_options options = {
		.name = "toy",
		.loop = world->lane,
		.loops = WORLD_QUEUES,
		.queues = WORLD_QUEUES,
		.has_timers = true,
		.may_rest = world_may_rest,
	};

	world->end.run = end_run;
	world->toy.timer_ns = WORLD_TIMER_NS;
	set_up_memory(world);
	set_up_loops(world);
	options.control = world->control;
	assert_int_equal(pv_host_create(&world->host, &options), 0);
	pv_host_set_transport(world->host, &transport, world);
	set_up_device(world);
	for (int i = 0; i < WORLD_QUEUES; i++)
		world->kick[i] = world->call[i] = world->called[i] = -1;
	return world;
}

void world_by_eventfd(struct world *world, uint16_t queue, int flags)
{
	world->kick[queue] = eventfd(0, flags);
	world->call[queue] = world->called[queue] = eventfd(0, flags);
	assert_int_equal(pv_host_set_kick(world->host, queue, world->kick[queue], false), 0);
	assert_int_equal(pv_host_set_call(world->host, queue, world->call[queue]), 0);
}

struct world *world_open_running(void)
{
	struct world *world = world_open();

	for (uint16_t i = 0; i < WORLD_QUEUES; i++) {
		world_by_eventfd(world, i, EFD_NONBLOCK);
		world_start_queue(world, i);
	}
	return world;
}

static void close_if_open(int fd)
{
	if (fd >= 0)
		close(fd);
}

void world_close(struct world *world)
{
	struct pv_waiter waiter = { world_count, &world->stopped };
	int before = world->stopped;

	if (pv_device_stop(&world->toy.device, waiter) == 0)
		world_run_until(world, &world->stopped, before + 1);
	if (!world_is_one_loop)
		for (int i = 0; i < WORLD_QUEUES; i++)
			pv_loop_thread_join(world->lane[i]);
	pv_host_destroy(world->host);
	if (!world_is_one_loop)
		for (int i = 0; i < WORLD_QUEUES; i++)
			pv_loop_destroy(world->lane[i]);
	pv_loop_destroy(world->control);
	for (int i = 0; i < WORLD_QUEUES; i++) {
		free(world->private_area[i]);
		close_if_open(world->kick[i]);
		if (world->called[i] != world->call[i])
			close_if_open(world->called[i]);
		close_if_open(world->call[i]);
	}
	tear_down_memory(world);
	free(world);
}

/* ---- the driver ---- */

static void write_one(int fd)
{
	const uint64_t one = 1;

	assert_int_equal(write(fd, &one, sizeof(one)), sizeof(one));
}

void world_kick(struct world *world, uint16_t queue)
{
	if (world->kick[queue] >= 0)
		write_one(world->kick[queue]);
	else if (world->kicks_by_message)
		pv_host_kick(world->host, queue);
}

volatile char *world_send(struct world *world, uint16_t queue, unsigned int slot, char command)
{
	struct pv_drv_ring *ring = &world->ring[queue];
	uint32_t at = queue * AREA + BUFFERS_AT + slot * 2;
	struct pv_sg sg[2] = { { { GPA + at }, 1 }, { { GPA + at + 1 }, 1 } };
	char *buffer = (char *)world->memory + at;

	buffer[0] = command;
	buffer[1] = 0;
	pv_drv_ring_interrupts_on(ring);
	assert_int_equal(pv_drv_ring_add(ring, sg, 1, 1, buffer), 0);
	assert_true(pv_drv_ring_publish(ring));
	if (pv_drv_ring_must_kick(ring))
		world_kick(world, queue);
	return buffer + 1;
}

int world_take(struct world *world, uint16_t queue)
{
	uint32_t written_bytes;
	void *token;
	int taken = 0;

	while (pv_drv_ring_take(&world->ring[queue], &token, &written_bytes) == PV_DRV_TAKEN) {
		assert_int_equal(written_bytes, 1);
		taken++;
	}
	return taken;
}

void world_take_until(struct world *world, uint16_t queue, int wanted)
{
	uint64_t end_us = world_now_us() + 10000000;
	int taken = 0;

	while ((taken += world_take(world, queue)) < wanted && world_now_us() < end_us)
		world_run_control(world);
	assert_int_equal(taken, wanted);
}

static bool is_readable(int fd, int timeout_ms)
{
	struct pollfd wanted = { .fd = fd, .events = POLLIN };

	return poll(&wanted, 1, timeout_ms) == 1;
}

void world_wait_for_interrupt(struct world *world, int fd)
{
	uint64_t end_us = world_now_us() + 10000000, value;

	while (!is_readable(fd, world_is_one_loop ? 0 : 1) && world_now_us() < end_us)
		world_run_control(world);
	assert_int_equal(read(fd, &value, sizeof(value)), sizeof(value));
	assert_in_range(value, 1, 1000);
}

void world_ask_and_wait(struct world *world, uint16_t queue, char command)
{
	volatile char *answer = world_send(world, queue, 0, command);

	world_wait_for_interrupt(world, world->called[queue]);
	assert_int_equal(world_take(world, queue), 1);
	assert_int_equal(*answer, command + 1);
}

void world_end_all_kept(struct world *world, uint16_t queue)
{
	pv_loop_post(pv_host_loop_of(world->host, queue), &world->toy.kept[queue].end);
}

void world_wait_until_taken(struct world *world, uint64_t requests)
{
	while (pv_count_read(&world->toy.queue[0].counters.requests) < requests)
		world_run_control(world);
}
