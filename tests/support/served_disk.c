/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/support/served_disk.h"

#include <errno.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

#include "abi/virtio_ids.h"
#include "tests/support/engine.h"

#define PATIENCE_S    60
#define BLOCK_SECTORS (SERVED_BLOCK_BYTES / VIRTIO_BLK_SECTOR_BYTES)

static struct pv_loop *loop_create(const char *name, uint32_t poll_max_us)
{
	const struct pv_loop_options options = { .name = name,
		                                 .poll_max_us = poll_max_us,
		                                 .engine = test_engine() };
	struct pv_loop *loop;
	int error = pv_loop_create(&loop, &options);

	if (error)
		fail_msg("no loop: %s", strerror(-error));
	return loop;
}

static void disk_open(struct served_disk *served, const struct pv_disk_options *options)
{
	struct pv_host_options host = {
		.name = "test", .control = served->control, .loop = &served->data, .loops = 1
	};
	char sentence[PV_SENTENCE_BYTES];

	if (!pv_disk_open(&served->disk, options, &host, sentence))
		fail_msg("%s", sentence);
}

/* Returns the other end of its socket. */
static int backend_create(struct served_disk *served)
{
	struct pv_vhu_backend_options options = { .control = served->control,
		                                  .host = served->disk.host,
		                                  .device = served->disk.device,
		                                  .listen_fd = -1,
		                                  .no_inband = true };
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	assert_int_equal(pv_vhu_backend_create(&served->backend, &options), 0);
	pv_vhu_backend_connect(served->backend, fds[0]);
	return fds[1];
}

static void bus_create(struct served_disk *served, int fd)
{
	const struct pv_vhu_bus_options options = { .fd = fd,
		                                    .device_id = VIRTIO_ID_BLOCK,
		                                    .memory_bytes = 4u << 20 };
	char sentence[256];

	if (pv_vhu_bus_create(&served->bus, &options, sentence, sizeof(sentence)))
		fail_msg("%s", sentence);
}

static void request_done(struct pv_blkdrv_request *request)
{
	struct served_disk *served = request->arg;

	served->in_flight--;
	served->errors += request->error != 0;
}

static void requests_init(struct served_disk *served)
{
	struct pv_os *os = pv_vhu_bus_os(served->bus);
	struct pv_gpa gpa;
	uint8_t *blocks = os->ops->shared_alloc(os, SERVED_DEPTH * SERVED_BLOCK_BYTES,
	                                        SERVED_BLOCK_BYTES, &gpa);

	assert_non_null(blocks);
	for (uint32_t i = 0; i < SERVED_DEPTH; i++) {
		served->buffer[i].memory = blocks + (size_t)i * SERVED_BLOCK_BYTES;
		served->buffer[i].bytes = SERVED_BLOCK_BYTES;
		served->request[i].done = request_done;
		served->request[i].arg = served;
	}
}

static void driver_create(struct served_disk *served, uint64_t ring_features)
{
	const uint64_t choice = VIRTIO_F_RING_PACKED | VIRTIO_F_EVENT_IDX;
	const struct pv_blkdrv_options options = {
		.required = ring_features,
		.wanted = (PV_BLKDRV_FEATURES & ~choice) | ring_features,
	};

	assert_int_equal(pv_blkdrv_create(&served->blk, pv_vhu_bus_bus(served->bus),
	                                  pv_vhu_bus_os(served->bus), &options),
	                 0);
	served->queue = pv_blkdrv_queue(served->blk, 0);
	assert_true(pv_blkdrv_queue_size(served->queue) >= SERVED_DEPTH);
	requests_init(served);
}

/* ---- holding the data loop ---- */

static void semaphore_wait(sem_t *semaphore)
{
	struct timespec deadline;

	clock_gettime(CLOCK_REALTIME, &deadline);
	deadline.tv_sec += PATIENCE_S;
	while (sem_timedwait(semaphore, &deadline))
		assert_int_equal(errno, EINTR);
}

/* On the data loop, where no test may fail. */
static void stand(struct pv_loop_message *message)
{
	struct served_gate *gate = (struct served_gate *)message;

	sem_post(&gate->is_held);
	while (sem_wait(&gate->may_go_on))
		;
}

void served_disk_hold(struct served_disk *served)
{
	pv_loop_post(served->data, &served->gate.message);
	semaphore_wait(&served->gate.is_held);
	served->is_held = true;
}

void served_disk_release(struct served_disk *served)
{
	served->is_held = false;
	sem_post(&served->gate.may_go_on);
}

void served_disk_rest(struct served_disk *served)
{
	time_t deadline = time(NULL) + PATIENCE_S;
	uint64_t sleeps;

	/* While it is held it is awake: the next sleep is a new one. */
	served_disk_hold(served);
	sleeps = pv_loop_counters(served->data).sleeps;
	served_disk_release(served);
	while (pv_loop_counters(served->data).sleeps == sleeps) {
		assert_true(time(NULL) < deadline);
		sched_yield();
	}
}

/* ---- from the beginning to the end ---- */

void served_disk_start(struct served_disk *served, const struct pv_disk_options *options,
                       uint64_t ring_features)
{
	int fd;

	memset(served, 0, sizeof(*served));
	served->gate.message.run = stand;
	sem_init(&served->gate.is_held, 0, 0);
	sem_init(&served->gate.may_go_on, 0, 0);
	served->control = loop_create("control", 0);
	served->data = loop_create("data", 50);
	disk_open(served, options);
	fd = backend_create(served);
	assert_int_equal(pv_loop_thread_start(served->control), 0);
	assert_int_equal(pv_loop_thread_start(served->data), 0);
	bus_create(served, fd);
	driver_create(served, ring_features);
}

/* On the control loop. */
struct stop {
	struct pv_loop_message message;
	struct pv_vhu_backend *backend;
	sem_t is_stopped;
};

static void stopped(void *arg)
{
	struct stop *stop = arg;

	sem_post(&stop->is_stopped);
}

static void stop_backend(struct pv_loop_message *message)
{
	struct stop *stop = (struct stop *)message;

	pv_vhu_backend_stop(stop->backend, stopped, stop);
}

void served_disk_stop(struct served_disk *served)
{
	struct stop stop = { .message.run = stop_backend, .backend = served->backend };

	/* A test that failed may have left it so. */
	if (served->is_held)
		served_disk_release(served);
	pv_blkdrv_destroy(served->blk);
	pv_vhu_bus_destroy(served->bus);
	sem_init(&stop.is_stopped, 0, 0);
	pv_loop_post(served->control, &stop.message);
	semaphore_wait(&stop.is_stopped);
	pv_loop_thread_join(served->data);
	pv_loop_thread_join(served->control);
	pv_vhu_backend_destroy(served->backend);
	pv_disk_close(&served->disk);
	pv_loop_destroy(served->data);
	pv_loop_destroy(served->control);
}

/* ---- requests ---- */

static void aim(struct served_disk *served, uint32_t i, enum pv_blkdrv_op op)
{
	struct pv_blkdrv_request *request = &served->request[i];
	uint64_t blocks = pv_blkdrv_capacity(served->blk) / BLOCK_SECTORS;
	bool has_data = op == PV_BLKDRV_READ || op == PV_BLKDRV_WRITE;

	request->op = op;
	request->sector = served->next_block++ % blocks * BLOCK_SECTORS;
	request->sectors = BLOCK_SECTORS;
	request->buffer = &served->buffer[i];
	request->buffers = has_data;
}

void served_disk_send(struct served_disk *served, enum pv_blkdrv_op op, bool is_one_by_one)
{
	for (uint32_t i = 0; i < SERVED_DEPTH; i++) {
		aim(served, i, op);
		assert_int_equal(pv_blkdrv_submit(served->queue, &served->request[i]), 0);
		served->in_flight++;
		if (is_one_by_one)
			pv_blkdrv_publish(served->queue);
	}
	if (!is_one_by_one)
		pv_blkdrv_publish(served->queue);
}

void served_disk_finish(struct served_disk *served)
{
	time_t deadline = time(NULL) + PATIENCE_S;

	while (served->in_flight) {
		if (pv_blkdrv_poll(served->queue) > 0)
			continue;
		assert_false(pv_blkdrv_queue_is_broken(served->queue));
		assert_true(time(NULL) < deadline);
		sched_yield();
	}
	assert_int_equal(served->errors, 0);
}

const struct pv_queue_counters *served_disk_counters(const struct served_disk *served)
{
	return &served->disk.device->queue[0].counters;
}
