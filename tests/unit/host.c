/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The host of a device: a small device on lanes, with a real driver's rings, on threads of their
 * own and on the control side's.
 */
#define _GNU_SOURCE /* memfd_create */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "hosted/loop/host.h"
#include "hosted/loop/log.h"
#include "ring/drv_ring.h"
#include "ring/err.h"

#define QUEUES   2
#define SIZE     16
#define GPA      0x100000u
#define MEMORY   0x10000u
#define AREA     0x4000u /* of the memory, for each queue */
#define CHAINS   SIZE
#define FEATURES (VIRTIO_F_VERSION_1 | VIRTIO_F_EVENT_IDX)

/* Do lanes and control side share one loop? */
static bool is_one_loop;

static uint64_t now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000u + (uint64_t)now.tv_nsec / 1000;
}

/*
 * ---- the device ----
 *
 * A request is one byte of command and one of answer. 'k' is kept until the back-end, a message to
 * the lane, ends all that is kept; everything else is answered with the byte after it.
 */

struct kept {
	struct pv_loop_message end;
	struct pv_queue *queue;
	struct pv_chain chain[CHAINS];
	struct pv_iov iov[CHAINS][2];
	uint16_t count;
	bool is_held_when_draining;
};

struct toy {
	struct pv_device device;
	struct pv_queue queue[QUEUES];
	struct kept kept[QUEUES];
};

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

static void work_on(struct pv_queue *queue, struct kept *kept, struct pv_chain *chain)
{
	struct pv_cursor reader = pv_chain_reader(chain);
	char command = 0;

	pv_cursor_read(&reader, &command, 1);
	if (command == 'k') {
		memcpy(kept->iov[kept->count], chain->iov, sizeof(kept->iov[0]));
		chain->iov = kept->iov[kept->count];
		kept->chain[kept->count++] = *chain;
	} else {
		answer(queue, chain, (char)(command + 1));
	}
}

static bool toy_run(struct pv_queue *queue)
{
	struct pv_iov iov[2];
	struct pv_chain chain = { .iov = iov, .capacity = 2 };
	bool has_worked = false;

	while (pv_queue_take(queue, &chain)) {
		work_on(queue, &toy_of(queue)->kept[queue->index], &chain);
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

struct world {
	struct pv_loop *control, *lane[QUEUES];
	struct pv_host *host;
	struct toy toy;
	struct pv_loop_message end; /* of a short run of the control loop */

	/* Guest memory, which the driver and two tables see at three addresses. */
	int memfd;
	uint8_t *memory, *seen_at[2];
	struct pv_mem *table[2];

	struct pv_drv_ring ring[QUEUES];
	void *private_area[QUEUES];
	int kick[QUEUES], call[QUEUES], called[QUEUES]; /* `called`: the end to read */
	bool kicks_by_message;

	int stopped, resets, switches, config_changes;
	int calls; /* by function; atomic */
};

static void count(void *arg)
{
	++*(int *)arg;
}

static void end_run(struct pv_loop_message *message)
{
	struct world *world = (struct world *)((char *)message - offsetof(struct world, end));

	pv_loop_stop(world->control);
}

static void run_control(struct world *world)
{
	pv_loop_post(world->control, &world->end);
	pv_loop_run(world->control);
}

/* Lets the control side go on until the counter has reached `wanted`. */
static void run_until(struct world *world, const int *counter, int wanted)
{
	uint64_t end_us = now_us() + 10000000;

	while (__atomic_load_n(counter, __ATOMIC_ACQUIRE) < wanted && now_us() < end_us)
		run_control(world);
	assert_int_equal(__atomic_load_n(counter, __ATOMIC_ACQUIRE), wanted);
}

/* Time enough for something to happen that must not. */
static void run_in_vain(struct world *world)
{
	for (int i = 0; i < 20; i++) {
		run_control(world);
		usleep(500);
	}
}

static struct pv_mem *table_at(void *host)
{
	struct pv_mem *mem = calloc(1, pv_mem_table_bytes(1));

	mem->count = 1;
	mem->region[0] = (struct pv_region){ { GPA }, MEMORY, host };
	assert_int_equal(pv_mem_seal(mem), 0);
	return mem;
}

static void *map(const struct world *world)
{
	void *at = mmap(NULL, MEMORY, PROT_READ | PROT_WRITE, MAP_SHARED, world->memfd, 0);

	assert_ptr_not_equal(at, MAP_FAILED);
	return at;
}

static void set_up_memory(struct world *world)
{
	world->memfd = memfd_create("guest", MFD_CLOEXEC);
	assert_int_equal(ftruncate(world->memfd, MEMORY), 0);
	world->memory = map(world);
	for (int i = 0; i < 2; i++) {
		world->seen_at[i] = map(world);
		world->table[i] = table_at(world->seen_at[i]);
	}
}

static void tear_down_memory(struct world *world)
{
	munmap(world->memory, MEMORY);
	for (int i = 0; i < 2; i++) {
		if (world->seen_at[i])
			munmap(world->seen_at[i], MEMORY);
		free(world->table[i]);
	}
	close(world->memfd);
}

/* Descriptor, driver and device area of a queue at the beginning of its part of the memory. */
static const uint32_t area_at[] = { 0, 0x400, 0x800 };
#define BUFFERS_AT 0x1000u

static void start_queue(struct world *world, uint16_t queue)
{
	uint32_t base = queue * AREA;
	struct pv_ring_config config = {
		.size = SIZE,
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
	size_t bytes = pv_drv_ring_private_bytes(SIZE);

	memset(world->memory + base, 0, AREA);
	free(world->private_area[queue]);
	memory.private_area = world->private_area[queue] = calloc(1, bytes);
	assert_int_equal(pv_drv_ring_init(&world->ring[queue], FEATURES, SIZE, &memory), 0);
	assert_int_equal(pv_device_queue_set(&world->toy.device, queue, &config, &fresh), 0);
	assert_int_equal(pv_device_queue_start(&world->toy.device, queue), 0);
}

static void call_by_function(void *arg, uint16_t queue)
{
	struct world *world = arg;

	(void)queue;
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
	const struct pv_loop_options control = { .name = "control" };
	const struct pv_loop_options data = { .name = "data", .poll_max_us = 30 };

	assert_int_equal(pv_loop_create(&world->control, &control), 0);
	for (int i = 0; i < QUEUES; i++) {
		if (is_one_loop) {
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

	pv_device_init(device, &toy_ops, pv_host_port(world->host), FEATURES, world->toy.queue,
	               QUEUES, SIZE);
	pv_device_mem_set(device, world->table[0]);
	assert_int_equal(pv_device_features_set(device, FEATURES), 0);
}

/* A world with memory, loops, host and device, and no queue started. */
static struct world *a_world(void)
{
	struct world *world = calloc(1, sizeof(*world));
	struct pv_host_options options = {
		.name = "toy",
		.loop = world->lane,
		.loops = QUEUES,
		.queues = QUEUES,
	};

	world->end.run = end_run;
	set_up_memory(world);
	set_up_loops(world);
	options.control = world->control;
	assert_int_equal(pv_host_create(&world->host, &options), 0);
	pv_host_set_transport(world->host, &transport, world);
	set_up_device(world);
	for (int i = 0; i < QUEUES; i++)
		world->kick[i] = world->call[i] = world->called[i] = -1;
	return world;
}

static void by_eventfd(struct world *world, uint16_t queue, int flags)
{
	world->kick[queue] = eventfd(0, flags);
	world->call[queue] = world->called[queue] = eventfd(0, flags);
	assert_int_equal(pv_host_set_kick(world->host, queue, world->kick[queue], false), 0);
	assert_int_equal(pv_host_set_call(world->host, queue, world->call[queue]), 0);
}

static struct world *a_running_world(void)
{
	struct world *world = a_world();

	for (uint16_t i = 0; i < QUEUES; i++) {
		by_eventfd(world, i, EFD_NONBLOCK);
		start_queue(world, i);
	}
	return world;
}

static void close_if_open(int fd)
{
	if (fd >= 0)
		close(fd);
}

static void end_world(struct world *world)
{
	struct pv_waiter waiter = { count, &world->stopped };
	int before = world->stopped;

	if (pv_device_stop(&world->toy.device, waiter) == 0)
		run_until(world, &world->stopped, before + 1);
	if (!is_one_loop)
		for (int i = 0; i < QUEUES; i++)
			pv_loop_thread_join(world->lane[i]);
	pv_host_destroy(world->host);
	if (!is_one_loop)
		for (int i = 0; i < QUEUES; i++)
			pv_loop_destroy(world->lane[i]);
	pv_loop_destroy(world->control);
	for (int i = 0; i < QUEUES; i++) {
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

static void kick(struct world *world, uint16_t queue)
{
	if (world->kick[queue] >= 0)
		write_one(world->kick[queue]);
	else if (world->kicks_by_message)
		pv_host_kick(world->host, queue);
}

/* Asks for an interrupt, then sends a command; its answer will be at the pointer. */
static volatile char *send_command(struct world *world, uint16_t queue, unsigned int slot,
                                   char command)
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
		kick(world, queue);
	return buffer + 1;
}

/* Takes what came back. Returns how many. */
static int take(struct world *world, uint16_t queue)
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

static void take_until(struct world *world, uint16_t queue, int wanted)
{
	uint64_t end_us = now_us() + 10000000;
	int taken = 0;

	while ((taken += take(world, queue)) < wanted && now_us() < end_us)
		run_control(world);
	assert_int_equal(taken, wanted);
}

static bool is_readable(int fd, int timeout_ms)
{
	struct pollfd wanted = { .fd = fd, .events = POLLIN };

	return poll(&wanted, 1, timeout_ms) == 1;
}

/* A blocking driver: it looks at the ring only after an interrupt. */
static void wait_for_interrupt(struct world *world, int fd)
{
	uint64_t end_us = now_us() + 10000000, value;

	while (!is_readable(fd, is_one_loop ? 0 : 1) && now_us() < end_us)
		run_control(world);
	assert_int_equal(read(fd, &value, sizeof(value)), sizeof(value));
	assert_in_range(value, 1, 1000);
}

static void ask_and_wait(struct world *world, uint16_t queue, char command)
{
	volatile char *answer = send_command(world, queue, 0, command);

	wait_for_interrupt(world, world->called[queue]);
	assert_int_equal(take(world, queue), 1);
	assert_int_equal(*answer, command + 1);
}

/* ---- kicks and calls ---- */

static void kicks_and_interrupts_go_by_eventfd(void **state)
{
	struct world *world = a_running_world();

	(void)state;
	for (int i = 0; i < 200; i++)
		for (uint16_t queue = 0; queue < QUEUES; queue++)
			ask_and_wait(world, queue, (char)('a' + i % 10));
	for (uint16_t queue = 0; queue < QUEUES; queue++) {
		const struct pv_queue_counters *counters = &world->toy.queue[queue].counters;

		assert_int_equal(pv_count_read(&counters->requests), 200);
		assert_int_equal(pv_count_read(&counters->interrupts), 200);
		assert_in_range(pv_count_read(&counters->kicks), 1, 201);
	}
	end_world(world);
}

static void eventfds_may_block_and_a_call_may_be_a_socket(void **state)
{
	struct world *world = a_world();
	int pair[2];

	(void)state;
	by_eventfd(world, 0, 0);
	by_eventfd(world, 1, 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	close(world->call[1]);
	world->call[1] = pair[0];
	world->called[1] = pair[1];
	assert_int_equal(pv_host_set_call(world->host, 1, world->call[1]), 0);
	for (uint16_t queue = 0; queue < QUEUES; queue++) {
		start_queue(world, queue);
		for (int i = 0; i < 100; i++)
			ask_and_wait(world, queue, 'x');
	}
	end_world(world);
}

static void kicks_go_by_message_and_calls_by_function(void **state)
{
	struct world *world = a_world();

	(void)state;
	world->kicks_by_message = true;
	start_queue(world, 0);
	for (int i = 1; i <= 200; i++) {
		send_command(world, 0, 0, 'x');
		run_until(world, &world->calls, i);
		assert_int_equal(take(world, 0), 1);
	}
	end_world(world);
}

static void a_polled_queue_needs_no_kicks(void **state)
{
	struct world *world = a_world();

	(void)state;
	assert_int_equal(pv_host_set_kick(world->host, 0, -1, true), 0);
	start_queue(world, 0);
	for (int i = 0; i < 50; i++) {
		send_command(world, 0, 0, 'x');
		take_until(world, 0, 1);
		run_control(world);
	}
	assert_int_equal(pv_count_read(&world->toy.queue[0].counters.kicks), 0);
	end_world(world);
}

static void what_came_before_the_queue_started_needs_no_kick(void **state)
{
	struct world *world = a_running_world();
	struct pv_waiter waiter = { count, &world->stopped };
	struct pv_queue *queue = &world->toy.queue[0];
	int kick_fd = world->kick[0];

	(void)state;
	ask_and_wait(world, 0, 'x');
	assert_int_equal(pv_device_queue_stop(&world->toy.device, 0, waiter), 0);
	run_until(world, &world->stopped, 1);
	world->kick[0] = -1;
	send_command(world, 0, 0, 'y');
	world->kick[0] = kick_fd;
	assert_int_equal(
		pv_device_queue_set(&world->toy.device, 0, &queue->config, &queue->position), 0);
	assert_int_equal(pv_device_queue_start(&world->toy.device, 0), 0);
	take_until(world, 0, 1);
	end_world(world);
}

static int open_descriptors(void)
{
	DIR *dir = opendir("/proc/self/fd");
	int descriptors = 0;

	while (readdir(dir))
		descriptors++;
	closedir(dir);
	return descriptors;
}

/* The lane may serve a request before it hears of the new descriptor: either may be called. */
static void wait_for_either(struct world *world, const int fd[2])
{
	uint64_t end_us = now_us() + 10000000, value;
	bool is_called = false;

	while (!is_called && now_us() < end_us) {
		for (int i = 0; i < 2; i++)
			is_called |= read(fd[i], &value, sizeof(value)) == sizeof(value);
		run_control(world);
	}
	assert_true(is_called);
}

static void descriptors_change_while_the_queue_runs(void **state)
{
	struct world *world = a_running_world();
	int kicks[2] = { world->kick[0], eventfd(0, EFD_NONBLOCK) };
	int calls[2] = { world->call[0], eventfd(0, EFD_NONBLOCK) };
	int before;

	(void)state;
	ask_and_wait(world, 0, 'x');
	before = open_descriptors();
	for (int i = 0; i < 300; i++) {
		int which = i % 3 == 1;

		world->kick[0] = kicks[which];
		/* Twice, as fast as can be: the first may be replaced before it is picked up. */
		for (int k = 0; k < 2; k++) {
			assert_int_equal(pv_host_set_kick(world->host, 0, kicks[which], false), 0);
			assert_int_equal(pv_host_set_call(world->host, 0, calls[which]), 0);
		}
		send_command(world, 0, 0, 'x');
		/* A new call descriptor is written once for what may have been lost: look again
		 * then. */
		do
			wait_for_either(world, calls);
		while (take(world, 0) == 0);
	}
	run_in_vain(world);
	assert_int_equal(open_descriptors(), before);
	world->kick[0] = kicks[0];
	close(kicks[1]);
	close(calls[1]);
	end_world(world);
}

static void only_eventfds_kick_and_only_eventfds_and_sockets_are_called(void **state)
{
	struct world *world = a_world();
	int file = memfd_create("file", 0), pipes[2], pair[2];
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	(void)state;
	assert_int_equal(pipe(pipes), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	assert_int_equal(pv_host_set_kick(world->host, 0, file, false), -EINVAL);
	assert_int_equal(pv_host_set_kick(world->host, 0, pipes[0], false), -EINVAL);
	assert_int_equal(pv_host_set_kick(world->host, 0, null, false), -EINVAL);
	assert_int_equal(pv_host_set_kick(world->host, 0, pair[0], false), -EINVAL);
	assert_int_equal(pv_host_set_kick(world->host, 0, 12345, false), -EBADF);
	assert_int_equal(pv_host_set_call(world->host, 0, file), -EINVAL);
	assert_int_equal(pv_host_set_call(world->host, 0, pipes[1]), -EINVAL);
	assert_int_equal(pv_host_set_call(world->host, 0, null), -EINVAL);
	assert_int_equal(pv_host_set_call(world->host, 0, 12345), -EBADF);
	assert_int_equal(pv_host_set_call(world->host, 0, pair[0]), 0);
	for (int i = 0; i < 2; i++) {
		close(pipes[i]);
		close(pair[i]);
	}
	close(file);
	close(null);
	end_world(world);
}

static void a_full_call_descriptor_holds_nobody_up(void **state)
{
	const uint64_t full = UINT64_MAX - 1;
	struct world *world = a_world();

	(void)state;
	by_eventfd(world, 0, 0);
	assert_int_equal(write(world->call[0], &full, sizeof(full)), sizeof(full));
	start_queue(world, 0);
	for (int i = 0; i < 10; i++) {
		send_command(world, 0, 0, 'x');
		take_until(world, 0, 1);
	}
	end_world(world);
}

static void a_call_socket_that_is_full_or_gone_harms_nobody(void **state)
{
	struct world *world = a_running_world();
	char bytes[4096] = { 0 };
	int pair[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	while (send(pair[0], bytes, sizeof(bytes), MSG_DONTWAIT) > 0)
		;
	assert_int_equal(pv_host_set_call(world->host, 0, pair[0]), 0);
	for (int i = 0; i < 20; i++) {
		if (i == 10)
			close(pair[1]);
		send_command(world, 0, 0, 'x');
		take_until(world, 0, 1);
	}
	close(pair[0]);
	end_world(world);
}

/* ---- stopping ---- */

static void end_all_kept(struct world *world, uint16_t queue)
{
	pv_loop_post(pv_host_loop_of(world->host, queue), &world->toy.kept[queue].end);
}

static void wait_until_taken(struct world *world, uint64_t requests)
{
	while (pv_count_read(&world->toy.queue[0].counters.requests) < requests)
		run_control(world);
}

static void a_stop_waits_for_what_is_in_flight(void **state)
{
	struct world *world = a_running_world();
	struct pv_waiter waiter = { count, &world->stopped };

	(void)state;
	for (unsigned int i = 0; i < 5; i++)
		send_command(world, 0, i, 'k');
	wait_until_taken(world, 5);
	assert_int_equal(pv_device_stop(&world->toy.device, waiter), 0);
	run_in_vain(world);
	assert_int_equal(world->stopped, 0);
	assert_int_equal(world->toy.queue[1].state, PV_QUEUE_IDLE);
	end_all_kept(world, 0);
	run_until(world, &world->stopped, 1);
	assert_int_equal(take(world, 0), 5);
	wait_for_interrupt(world, world->called[0]);
	end_world(world);
}

static void a_draining_queue_with_work_left_lets_its_loop_sleep(void **state)
{
	struct world *world = a_running_world();
	struct pv_waiter waiter = { count, &world->stopped };
	struct pv_loop_counters before, after;

	(void)state;
	send_command(world, 0, 0, 'k');
	wait_until_taken(world, 1);
	assert_int_equal(pv_device_queue_stop(&world->toy.device, 0, waiter), 0);
	run_in_vain(world);
	send_command(world, 0, 1, 'x');
	run_in_vain(world);
	before = pv_loop_counters(world->lane[0]);
	usleep(50000);
	after = pv_loop_counters(world->lane[0]);
	assert_memory_equal(&before, &after, sizeof(before));
	end_all_kept(world, 0);
	run_until(world, &world->stopped, 1);
	end_world(world);
}

static void what_a_queue_held_fails_at_its_stop_with_an_interrupt(void **state)
{
	struct world *world = a_running_world();
	struct pv_waiter waiter = { count, &world->stopped };
	volatile char *answer;

	(void)state;
	world->toy.kept[0].is_held_when_draining = true;
	answer = send_command(world, 0, 0, 'k');
	wait_until_taken(world, 1);
	assert_int_equal(pv_device_queue_stop(&world->toy.device, 0, waiter), 0);
	run_until(world, &world->stopped, 1);
	wait_for_interrupt(world, world->called[0]);
	assert_int_equal(take(world, 0), 1);
	assert_int_equal(*answer, 'F');
	end_world(world);
}

static void queues_start_and_stop_again_and_again(void **state)
{
	struct world *world = a_running_world();
	struct pv_waiter waiter = { count, &world->resets };

	(void)state;
	for (int i = 1; i <= 100; i++) {
		for (uint16_t queue = 0; queue < QUEUES; queue++)
			ask_and_wait(world, queue, 'x');
		assert_int_equal(pv_device_reset(&world->toy.device, waiter), 0);
		run_until(world, &world->resets, i);
		assert_int_equal(pv_device_features_set(&world->toy.device, FEATURES), 0);
		for (uint16_t queue = 0; queue < QUEUES; queue++)
			start_queue(world, queue);
	}
	end_world(world);
}

static void an_idle_lane_sleeps(void **state)
{
	struct world *world = a_running_world();
	struct pv_loop_counters before, after;

	(void)state;
	for (int i = 0; i < 100; i++)
		ask_and_wait(world, 0, 'x');
	run_in_vain(world);
	before = pv_loop_counters(world->lane[0]);
	usleep(50000);
	after = pv_loop_counters(world->lane[0]);
	assert_memory_equal(&before, &after, sizeof(before));
	end_world(world);
}

/* ---- memory ---- */

static void unmap_first_view(struct world *world)
{
	munmap(world->seen_at[0], MEMORY);
	world->seen_at[0] = NULL;
}

static void memory_changes_under_running_queues(void **state)
{
	struct world *world = a_running_world();

	(void)state;
	ask_and_wait(world, 0, 'x');
	pv_host_mem_switch(world->host, &world->toy.device, world->table[1], count,
	                   &world->switches);
	run_until(world, &world->switches, 1);
	assert_ptr_equal(world->toy.device.mem, world->table[1]);
	unmap_first_view(world);
	for (uint16_t queue = 0; queue < QUEUES; queue++)
		ask_and_wait(world, queue, 'x');
	end_world(world);
}

static void old_memory_is_kept_while_a_request_is_in_it(void **state)
{
	struct world *world = a_running_world();
	volatile char *answer = send_command(world, 0, 0, 'k');

	(void)state;
	wait_until_taken(world, 1);
	pv_host_mem_switch(world->host, &world->toy.device, world->table[1], count,
	                   &world->switches);
	run_in_vain(world);
	assert_int_equal(world->switches, 0);
	/* New requests are served from the new table meanwhile. */
	send_command(world, 0, 1, 'x');
	take_until(world, 0, 1);
	end_all_kept(world, 0);
	run_until(world, &world->switches, 1);
	unmap_first_view(world);
	take_until(world, 0, 1);
	assert_int_equal(*answer, 'K');
	end_world(world);
}

static void a_queue_that_stops_lets_go_of_old_memory(void **state)
{
	struct world *world = a_running_world();
	struct pv_waiter waiter = { count, &world->stopped };

	(void)state;
	world->toy.kept[0].is_held_when_draining = true;
	send_command(world, 0, 0, 'k');
	wait_until_taken(world, 1);
	pv_host_mem_switch(world->host, &world->toy.device, world->table[1], count,
	                   &world->switches);
	run_in_vain(world);
	assert_int_equal(world->switches, 0);
	assert_int_equal(pv_device_queue_stop(&world->toy.device, 0, waiter), 0);
	run_until(world, &world->switches, 1);
	assert_int_equal(world->stopped, 1);
	unmap_first_view(world);
	take_until(world, 0, 1);
	ask_and_wait(world, 1, 'x');
	end_world(world);
}

static void memory_changes_at_once_when_nothing_runs(void **state)
{
	struct world *world = a_world();

	(void)state;
	pv_host_mem_switch(world->host, &world->toy.device, world->table[1], count,
	                   &world->switches);
	assert_int_equal(world->switches, 1);
	assert_ptr_equal(world->toy.device.mem, world->table[1]);
	unmap_first_view(world);
	end_world(world);
}

static void a_paused_queue_goes_on_in_new_memory(void **state)
{
	struct world *world = a_running_world();
	struct pv_waiter waiter = { count, &world->stopped };

	(void)state;
	ask_and_wait(world, 0, 'x');
	assert_int_equal(pv_device_pause(&world->toy.device, waiter), 0);
	pv_host_mem_switch(world->host, &world->toy.device, world->table[1], count,
	                   &world->switches);
	run_until(world, &world->switches, 1);
	run_until(world, &world->stopped, 1);
	unmap_first_view(world);
	pv_device_resume(&world->toy.device);
	for (uint16_t queue = 0; queue < QUEUES; queue++)
		ask_and_wait(world, queue, 'x');
	end_world(world);
}

/* ---- a driver that breaks the rules ---- */

static void a_broken_queue_asks_for_a_reset_which_brings_it_back(void **state)
{
	struct world *world = a_running_world();
	struct pv_waiter waiter = { count, &world->resets };

	(void)state;
	/* The available index runs off. */
	world->ring[0].avail->idx.raw = 0x8000;
	kick(world, 0);
	run_until(world, &world->config_changes, 1);
	assert_int_equal(pv_device_status(&world->toy.device), VIRTIO_STATUS_NEEDS_RESET);
	kick(world, 0);
	run_in_vain(world);
	assert_int_equal(world->config_changes, 1);
	assert_int_equal(pv_count_read(&world->toy.queue[0].counters.ring_faults), 1);
	ask_and_wait(world, 1, 'x');
	assert_int_equal(pv_device_reset(&world->toy.device, waiter), 0);
	run_until(world, &world->resets, 1);
	assert_int_equal(pv_device_features_set(&world->toy.device, FEATURES), 0);
	start_queue(world, 0);
	ask_and_wait(world, 0, 'x');
	end_world(world);
}

static void memory_without_the_ring_breaks_the_queue(void **state)
{
	struct world *world = a_running_world();
	struct pv_mem *nothing = calloc(1, pv_mem_table_bytes(0));

	(void)state;
	pv_host_mem_switch(world->host, &world->toy.device, nothing, count, &world->switches);
	run_until(world, &world->switches, 1);
	run_until(world, &world->config_changes, 1);
	unmap_first_view(world);
	end_world(world);
	free(nothing);
}

/* ---- the rest of the port ---- */

static void memory_of_the_port_is_zeroed_and_aligned(void **state)
{
	const size_t sizes[] = { 1, 64, 65, 4096, 65535, 65536, 3000000 };
	struct world *world = a_world();
	struct pv_port *port = pv_host_port(world->host);

	(void)state;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		uint8_t *memory = port->ops->alloc(port, sizes[i]);

		assert_non_null(memory);
		assert_int_equal((uintptr_t)memory % 64, 0);
		for (size_t k = 0; k < sizes[i]; k++)
			assert_int_equal(memory[k], 0);
		memset(memory, 0xff, sizes[i]);
		port->ops->free(port, memory, sizes[i]);
	}
	end_world(world);
}

/* What goes to standard error meanwhile. */
static void log_to(char *text, size_t bytes, enum pv_log_level level, const char *line)
{
	int file = memfd_create("log", MFD_CLOEXEC), saved = dup(STDERR_FILENO);
	ssize_t got;

	dup2(file, STDERR_FILENO);
	pv_log("toy", level, line);
	dup2(saved, STDERR_FILENO);
	got = pread(file, text, bytes - 1, 0);
	text[got] = 0;
	close(file);
	close(saved);
}

static void log_lines_name_program_device_and_level(void **state)
{
	char text[4096], longest[4000];

	(void)state;
	log_to(text, sizeof(text), PV_LOG_ERROR, "it broke");
	assert_string_equal(text, "paravane: toy: error: it broke\n");
	log_to(text, sizeof(text), PV_LOG_WARNING, "it may break");
	assert_string_equal(text, "paravane: toy: warning: it may break\n");
	log_to(text, sizeof(text), PV_LOG_INFO, "a\033[2Jb\nc\x7f\xc3\xa4");
	assert_string_equal(text, "paravane: toy: a?[2Jb?c?\xc3\xa4\n");
	log_to(text, sizeof(text), PV_LOG_DEBUG, "nothing");
	assert_string_equal(text, "");
	memset(longest, 'x', sizeof(longest));
	longest[sizeof(longest) - 1] = 0;
	log_to(text, sizeof(text), PV_LOG_INFO, longest);
	assert_int_equal(strlen(text), 1024);
	assert_int_equal(text[1023], '\n');
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(kicks_and_interrupts_go_by_eventfd),
		cmocka_unit_test(eventfds_may_block_and_a_call_may_be_a_socket),
		cmocka_unit_test(kicks_go_by_message_and_calls_by_function),
		cmocka_unit_test(a_polled_queue_needs_no_kicks),
		cmocka_unit_test(what_came_before_the_queue_started_needs_no_kick),
		cmocka_unit_test(descriptors_change_while_the_queue_runs),
		cmocka_unit_test(only_eventfds_kick_and_only_eventfds_and_sockets_are_called),
		cmocka_unit_test(a_full_call_descriptor_holds_nobody_up),
		cmocka_unit_test(a_call_socket_that_is_full_or_gone_harms_nobody),
		cmocka_unit_test(a_stop_waits_for_what_is_in_flight),
		cmocka_unit_test(a_draining_queue_with_work_left_lets_its_loop_sleep),
		cmocka_unit_test(what_a_queue_held_fails_at_its_stop_with_an_interrupt),
		cmocka_unit_test(queues_start_and_stop_again_and_again),
		cmocka_unit_test(an_idle_lane_sleeps),
		cmocka_unit_test(memory_changes_under_running_queues),
		cmocka_unit_test(old_memory_is_kept_while_a_request_is_in_it),
		cmocka_unit_test(a_queue_that_stops_lets_go_of_old_memory),
		cmocka_unit_test(memory_changes_at_once_when_nothing_runs),
		cmocka_unit_test(a_paused_queue_goes_on_in_new_memory),
		cmocka_unit_test(a_broken_queue_asks_for_a_reset_which_brings_it_back),
		cmocka_unit_test(memory_without_the_ring_breaks_the_queue),
		cmocka_unit_test(memory_of_the_port_is_zeroed_and_aligned),
		cmocka_unit_test(log_lines_name_program_device_and_level),
	};
	int failed;

	failed = cmocka_run_group_tests_name("lanes on loops of their own", tests, NULL, NULL);
	is_one_loop = true;
	return failed + cmocka_run_group_tests_name("all on one loop", tests, NULL, NULL);
}
