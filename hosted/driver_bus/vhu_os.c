/* SPDX-License-Identifier: BSD-2-Clause */
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "hosted/driver_bus/vhu_bus_internal.h"
#include "ring/err.h"

#define LINE_BYTES 64u

/*
 * Interrupts are taken by whoever waits for them first. A wait that may lose one to another thread
 * is no longer than this.
 */
#define SHARED_WAIT_NS 1000000u

/* The socket, the channel, and one for each queue that can be. */
#define FDS_MAX (2 + VHOST_USER_VRING_INDEX_MASK + 1)

static struct pv_vhu_bus *bus_of(struct pv_os *os)
{
	return (struct pv_vhu_bus *)((char *)os - offsetof(struct pv_vhu_bus, os));
}

/* ---- memory and time ---- */

static void *shared_alloc(struct pv_os *os, size_t bytes, size_t align, struct pv_gpa *addr)
{
	return pv_arena_alloc(&bus_of(os)->arena, bytes, align, addr);
}

static void shared_free(struct pv_os *os, void *memory, size_t bytes)
{
	pv_arena_free(&bus_of(os)->arena, memory, bytes);
}

static void *alloc(struct pv_os *os, size_t bytes)
{
	size_t rounded = (bytes + LINE_BYTES - 1) & ~(size_t)(LINE_BYTES - 1);
	void *memory = aligned_alloc(LINE_BYTES, rounded);

	(void)os;
	if (memory)
		memset(memory, 0, rounded);
	return memory;
}

static void release(struct pv_os *os, void *memory, size_t bytes)
{
	(void)os;
	(void)bytes;
	free(memory);
}

static uint64_t now_ns(struct pv_os *os)
{
	struct timespec now;

	(void)os;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* ---- interrupts ---- */

/* Takes what the queue's eventfd has counted. Returns whether there was anything. */
static bool interrupts_take(struct pv_vhu_bus_queue *queue)
{
	uint64_t count;

	if (read(queue->call_fd, &count, sizeof(count)) != (ssize_t)sizeof(count))
		return false;
	__atomic_fetch_add(&queue->counters.interrupts, count, __ATOMIC_RELAXED);
	return true;
}

static struct timespec timespec_of(uint64_t ns)
{
	return (struct timespec){ (time_t)(ns / 1000000000u), (long)(ns % 1000000000u) };
}

/*
 * Waits for the queues whose descriptors are in fds[2 .. count); what else can happen to the
 * connection ends the wait too.
 */
static void poll_once(struct pv_vhu_bus *bus, struct pollfd *fds, nfds_t count, uint64_t ns)
{
	struct timespec wait = timespec_of(ns);

	fds[0] =
		(struct pollfd){ .fd = pv_vhu_frontend_socket(bus->frontend), .events = POLLRDHUP };
	fds[1] = (struct pollfd){ .fd = pv_vhu_frontend_channel(bus->frontend), .events = POLLIN };
	if (ppoll(fds, count, &wait, NULL) <= 0)
		return;
	if (fds[1].revents)
		pv_vhu_frontend_channel_serve(bus->frontend);
	if (fds[0].revents)
		pv_vhu_frontend_is_connected(bus->frontend);
}

static uint64_t least(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

int pv_vhu_bus_wait(struct pv_vhu_bus *bus, uint16_t index, uint64_t ns)
{
	struct pollfd fds[3];
	struct pv_vhu_bus_queue *queue;

	if (index >= bus->queues)
		return 0;
	queue = &bus->queue[index];
	/* From now on the queue's interrupts are this thread's; one may just have been taken. */
	if (!__atomic_exchange_n(&queue->is_owned, true, __ATOMIC_RELAXED))
		ns = least(ns, SHARED_WAIT_NS);
	fds[2] = (struct pollfd){ .fd = queue->call_fd, .events = POLLIN };
	poll_once(bus, fds, 3, ns);
	if (interrupts_take(queue))
		return 1;
	return pv_vhu_frontend_has_failed(bus->frontend) ? -PV_EIO : 0;
}

static nfds_t unowned_queues(struct pv_vhu_bus *bus, struct pollfd *fds, uint16_t *index)
{
	nfds_t count = 0;

	for (uint16_t i = 0; i < bus->queues; i++) {
		struct pv_vhu_bus_queue *queue = &bus->queue[i];

		if (queue->call_fd < 0 || __atomic_load_n(&queue->is_owned, __ATOMIC_RELAXED))
			continue;
		fds[count] = (struct pollfd){ .fd = queue->call_fd, .events = POLLIN };
		index[count++] = i;
	}
	return count;
}

static void wait_a_little(struct pv_os *os, uint64_t ns)
{
	struct pv_vhu_bus *bus = bus_of(os);
	struct pollfd fds[FDS_MAX];
	uint16_t index[FDS_MAX];
	nfds_t count = unowned_queues(bus, fds + 2, index);

	ns = least(ns, SHARED_WAIT_NS);
	if (pv_vhu_frontend_has_failed(bus->frontend)) {
		struct timespec pause = timespec_of(ns);

		nanosleep(&pause, NULL);
		return;
	}
	poll_once(bus, fds, 2 + count, ns);
	for (nfds_t i = 0; i < count; i++)
		interrupts_take(&bus->queue[index[i]]);
}

const struct pv_os_ops pv_vhu_os_ops = {
	.shared_alloc = shared_alloc,
	.shared_free = shared_free,
	.alloc = alloc,
	.free = release,
	.now_ns = now_ns,
	.wait = wait_a_little,
};
