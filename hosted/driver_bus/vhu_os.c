/* SPDX-License-Identifier: BSD-2-Clause */
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#include "hosted/driver_bus/vhu_bus_internal.h"
#include "ring/err.h"

/*
 * Threads that wait for any interrupt may wake in each other's place. Such a wait is no longer than
 * this.
 */
#define SHARED_WAIT_MS 1

static struct pv_vhu_bus *bus_of(struct pv_os *os)
{
	return (struct pv_vhu_bus *)((char *)os - offsetof(struct pv_vhu_bus, memory));
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

/* What can happen to the connection while somebody waits. */
static void connection_look(struct pv_vhu_frontend *frontend, bool has_message, bool has_hung_up)
{
	if (has_message)
		pv_vhu_frontend_channel_serve(frontend);
	if (has_hung_up)
		pv_vhu_frontend_is_connected(frontend);
}

/* A connection that is over has nothing more to say, but would be ready for ever. */
static void wait_on(struct pv_vhu_frontend *frontend, int call_fd, uint64_t ns)
{
	struct timespec wait = timespec_of(ns);
	nfds_t count = pv_vhu_frontend_has_failed(frontend) ? 1 : 3;
	struct pollfd fds[3] = {
		{ .fd = call_fd, .events = POLLIN },
		{ .fd = pv_vhu_frontend_channel(frontend), .events = POLLIN },
		{ .fd = pv_vhu_frontend_socket(frontend), .events = POLLRDHUP },
	};

	if (ppoll(fds, count, &wait, NULL) > 0)
		connection_look(frontend, fds[1].revents, fds[2].revents);
}

int pv_vhu_bus_wait(struct pv_vhu_bus *bus, uint16_t index, uint64_t ns)
{
	bool may_reconnect = bus->options.may_reconnect;
	struct pv_vhu_link *link;
	bool is_over;

	if (index >= bus->queues)
		return 0;
	link = pv_vhu_link_get(bus);
	is_over = pv_vhu_frontend_has_failed(link->frontend);
	if (!is_over || may_reconnect)
		wait_on(link->frontend, bus->queue[index].call_fd, ns);
	is_over = pv_vhu_frontend_has_failed(link->frontend);
	pv_vhu_link_put(bus, link);
	if (interrupts_take(&bus->queue[index]))
		return 1;
	return is_over && !may_reconnect ? -PV_EIO : 0;
}

/* A channel that the back-end has closed would be ready for ever. */
static void channel_forget(struct pv_vhu_bus *bus, struct pv_vhu_frontend *frontend)
{
	int channel = __atomic_load_n(&bus->watched_channel, __ATOMIC_RELAXED);

	if (channel >= 0 && pv_vhu_frontend_channel(frontend) < 0) {
		__atomic_store_n(&bus->watched_channel, -1, __ATOMIC_RELAXED);
		epoll_ctl(bus->epoll_fd, EPOLL_CTL_DEL, channel, NULL);
	}
}

/*
 * Interrupts are noticed but not taken: that is for pv_vhu_bus_wait(), whose threads must not lose
 * one. The call descriptors are watched for their edges, so one that stays ready wakes nobody.
 */
static void wait_a_little(struct pv_os *os, uint64_t ns)
{
	struct pv_vhu_bus *bus = bus_of(os);
	struct pv_vhu_link *link = pv_vhu_link_get(bus);
	struct epoll_event event;

	(void)ns;
	if (pv_vhu_frontend_has_failed(link->frontend)) {
		struct timespec pause = { 0, SHARED_WAIT_MS * 1000000 };

		nanosleep(&pause, NULL);
	} else if (epoll_wait(bus->epoll_fd, &event, 1, SHARED_WAIT_MS) == 1) {
		connection_look(link->frontend, event.data.u32 == PV_VHU_WATCH_CHANNEL,
		                event.data.u32 == PV_VHU_WATCH_SOCKET);
		channel_forget(bus, link->frontend);
	}
	pv_vhu_link_put(bus, link);
}

const struct pv_os_ops pv_vhu_os_ops = {
	PV_ARENA_OS_OPS,
	.wait = wait_a_little,
};
