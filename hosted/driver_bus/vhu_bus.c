/* SPDX-License-Identifier: BSD-2-Clause */
#include "hosted/driver_bus/vhu_bus.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "hosted/driver_bus/vhu_bus_internal.h"
#include "ring/err.h"

static struct pv_vhu_bus *bus_of(struct pv_bus *bus)
{
	return (struct pv_vhu_bus *)((char *)bus - offsetof(struct pv_vhu_bus, bus));
}

/* The front-end speaks -errno, a driver's bus enum pv_err. */
static int pv_err_of(int code)
{
	switch (code) {
	case 0:
		return 0;
	case -ETIMEDOUT:
		return -PV_ETIMEDOUT;
	case -ENOTSUP:
		return -PV_ENOTSUP;
	case -EINVAL:
		return -PV_EINVAL;
	case -ENOMEM:
		return -PV_ENOMEM;
	default:
		return -PV_EIO;
	}
}

static bool has(const struct pv_vhu_bus *bus, uint64_t protocol_feature)
{
	return bus->protocol_features & protocol_feature;
}

static void count(uint64_t *counter)
{
	__atomic_fetch_add(counter, 1, __ATOMIC_RELAXED);
}

/* ---- eventfds ---- */

/* A counter that is full has been signalled already: nothing to wait for. */
void pv_vhu_bus_signal(int fd)
{
	const uint64_t one = 1;

	while (write(fd, &one, sizeof(one)) < 0 && errno == EINTR)
		;
}

static void drain_fd(int fd)
{
	uint64_t ignored;

	while (read(fd, &ignored, sizeof(ignored)) < 0 && errno == EINTR)
		;
}

/* A message on the back-end's channel that stands for a descriptor, as with in-band kicks. */
void pv_vhu_bus_notified(void *arg, uint32_t request, uint32_t index)
{
	struct pv_vhu_bus *bus = arg;

	if (index >= bus->queues)
		return;
	if (request == VHOST_USER_BACKEND_VRING_ERR)
		pv_vhu_bus_signal(bus->err_fd);
	else if (bus->queue[index].call_fd >= 0)
		pv_vhu_bus_signal(bus->queue[index].call_fd);
}

/* ---- features and configuration ---- */

static int features_get(struct pv_bus *bus, uint64_t *features)
{
	struct pv_vhu_link *link = pv_vhu_link_get(bus_of(bus));

	*features = pv_vhu_frontend_features(link->frontend);
	pv_vhu_link_put(bus_of(bus), link);
	return 0;
}

static int features_set(struct pv_bus *bus, uint64_t features)
{
	struct pv_vhu_bus *own = bus_of(bus);
	int code;

	pthread_mutex_lock(&own->lock);
	code = pv_vhu_frontend_features_set(own->frontend, features);
	if (!code)
		own->features = features;
	pthread_mutex_unlock(&own->lock);
	return pv_err_of(code);
}

static int config_read(struct pv_bus *bus, uint32_t offset, void *to, uint32_t bytes)
{
	struct pv_vhu_link *link = pv_vhu_link_get(bus_of(bus));
	int code = pv_vhu_frontend_config_get(link->frontend, offset, to, bytes);

	pv_vhu_link_put(bus_of(bus), link);
	return pv_err_of(code);
}

static int config_write(struct pv_bus *bus, uint32_t offset, const void *from, uint32_t bytes)
{
	struct pv_vhu_link *link = pv_vhu_link_get(bus_of(bus));
	int code = pv_vhu_frontend_config_set(link->frontend, offset, from, bytes);

	pv_vhu_link_put(bus_of(bus), link);
	return pv_err_of(code);
}

static int config_generation(struct pv_bus *bus, uint32_t *generation)
{
	struct pv_vhu_link *link = pv_vhu_link_get(bus_of(bus));
	int code = pv_vhu_frontend_channel_serve(link->frontend);

	*generation = pv_vhu_frontend_config_changes(link->frontend);
	pv_vhu_link_put(bus_of(bus), link);
	return pv_err_of(code);
}

/* ---- queues ---- */

static int queue_size_max(struct pv_bus *bus, uint16_t index, uint16_t *size)
{
	struct pv_vhu_bus *own = bus_of(bus);

	*size = index < own->queues ? own->queue_size_max : 0;
	return 0;
}

int pv_vhu_bus_memory_tell(struct pv_vhu_bus *bus)
{
	struct pv_vhu_region region = { .region = { .guest_addr = PV_ARENA_GPA,
		                                    .bytes = bus->memory.arena.bytes,
		                                    .user_addr =
		                                            (uintptr_t)bus->memory.arena.base },
		                        .fd = bus->memory.arena.fd };
	int code;

	if (bus->is_memory_told)
		return 0;
	if (has(bus, VHOST_USER_PROTOCOL_F_CONFIGURE_MEM_SLOTS))
		code = pv_vhu_frontend_mem_add(bus->frontend, &region);
	else
		code = pv_vhu_frontend_mem_set(bus->frontend, &region, 1);
	bus->is_memory_told = !code;
	return code;
}

/* Should that fail, a wait ends a little later by itself. */
void pv_vhu_bus_watch(struct pv_vhu_bus *bus, int fd, uint32_t events, enum pv_vhu_watch what)
{
	struct epoll_event event = { .events = events, .data.u32 = what };

	epoll_ctl(bus->epoll_fd, EPOLL_CTL_ADD, fd, &event);
}

static int queue_fds_open(struct pv_vhu_bus *bus, struct pv_vhu_bus_queue *queue)
{
	if (queue->kick_fd < 0)
		queue->kick_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (queue->kick_fd < 0)
		return -errno;
	if (queue->call_fd >= 0)
		return 0;
	queue->call_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (queue->call_fd < 0)
		return -errno;
	pv_vhu_bus_watch(bus, queue->call_fd, EPOLLIN | EPOLLET, PV_VHU_WATCH_QUEUE);
	return 0;
}

static uint64_t user_addr(const struct pv_vhu_bus *bus, struct pv_gpa gpa)
{
	return (uintptr_t)pv_arena_at(&bus->memory.arena, gpa, 0);
}

int pv_vhu_bus_vring_tell(struct pv_vhu_bus *bus, uint16_t index, uint32_t base)
{
	const struct pv_vhu_bus_queue *queue = &bus->queue[index];
	const struct pv_bus_queue *place = &queue->place;
	bool is_in_band = has(bus, VHOST_USER_PROTOCOL_F_INBAND_NOTIFICATIONS);
	struct pv_vhu_vring vring = {
		.size = place->size,
		.base = base,
		.desc = user_addr(bus, place->desc_area),
		.avail = user_addr(bus, place->driver_area),
		.used = user_addr(bus, place->device_area),
		.kick_fd = is_in_band ? -1 : queue->kick_fd,
		.call_fd = is_in_band ? -1 : queue->call_fd,
		.err_fd = bus->err_fd,
	};

	if (!vring.desc || !vring.avail || !vring.used)
		return -EINVAL;
	return pv_vhu_frontend_vring_set(bus->frontend, index, &vring);
}

static int queue_enable_locked(struct pv_vhu_bus *bus, uint16_t index,
                               const struct pv_bus_queue *place)
{
	struct pv_vhu_bus_queue *queue = &bus->queue[index];
	int code = queue_fds_open(bus, queue);

	if (!code)
		code = pv_vhu_bus_memory_tell(bus);
	if (!code)
		code = pv_vhu_bus_inflight_tell(bus);
	if (code)
		return code;
	queue->place = *place;
	drain_fd(queue->kick_fd);
	drain_fd(queue->call_fd);
	code = pv_vhu_bus_vring_tell(bus, index,
	                             pv_vhu_vring_base_fresh(bus->features & VIRTIO_F_RING_PACKED));
	if (!code && (bus->status & VIRTIO_STATUS_DRIVER_OK))
		code = pv_vhu_frontend_vring_enable(bus->frontend, index, true);
	queue->is_set_up = !code;
	return code;
}

static int queue_enable(struct pv_bus *bus, uint16_t index, const struct pv_bus_queue *place)
{
	struct pv_vhu_bus *own = bus_of(bus);
	int code;

	if (index >= own->queues)
		return -PV_EINVAL;
	pthread_mutex_lock(&own->lock);
	code = queue_enable_locked(own, index, place);
	pthread_mutex_unlock(&own->lock);
	return pv_err_of(code);
}

/* Where it stood does not matter: a driver starts it anew. */
static int queue_stop(struct pv_vhu_bus *bus, uint16_t index)
{
	uint32_t base;
	int code;

	if (!bus->queue[index].is_set_up)
		return 0;
	code = pv_vhu_frontend_vring_enable(bus->frontend, index, false);
	if (!code)
		code = pv_vhu_frontend_vring_stop(bus->frontend, index, &base);
	if (!code)
		bus->queue[index].is_set_up = false;
	return code;
}

static int queue_reset(struct pv_bus *bus, uint16_t index)
{
	struct pv_vhu_bus *own = bus_of(bus);
	int code;

	if (index >= own->queues)
		return -PV_EINVAL;
	pthread_mutex_lock(&own->lock);
	code = queue_stop(own, index);
	pthread_mutex_unlock(&own->lock);
	return pv_err_of(code);
}

/* A back-end that has left is found out by whoever asks for the status or waits. */
static void kick(struct pv_bus *bus, uint16_t index, uint16_t next)
{
	struct pv_vhu_bus *own = bus_of(bus);

	(void)next; /* a descriptor carries nothing */
	if (index >= own->queues || own->queue[index].kick_fd < 0)
		return;
	count(&own->queue[index].counters.kicks);
	pv_vhu_bus_kick(own, index);
}

/* ---- status ---- */

static bool has_failed_queue(struct pv_vhu_bus *bus)
{
	uint64_t failures;

	return read(bus->err_fd, &failures, sizeof(failures)) == (ssize_t)sizeof(failures);
}

static int status_get_locked(struct pv_vhu_bus *bus, uint8_t *status)
{
	if (has(bus, VHOST_USER_PROTOCOL_F_STATUS))
		return pv_vhu_frontend_status_get(bus->frontend, status);
	pv_vhu_frontend_channel_serve(bus->frontend);
	if (!pv_vhu_frontend_is_connected(bus->frontend))
		return -EIO;
	if (has_failed_queue(bus))
		bus->status |= VIRTIO_STATUS_NEEDS_RESET;
	*status = bus->status;
	return 0;
}

static int status_get(struct pv_bus *bus, uint8_t *status)
{
	struct pv_vhu_bus *own = bus_of(bus);
	int code;

	pthread_mutex_lock(&own->lock);
	code = status_get_locked(own, status);
	if (code && own->options.may_reconnect && pv_vhu_frontend_has_failed(own->frontend)) {
		*status = own->status;
		code = 0;
	}
	pthread_mutex_unlock(&own->lock);
	return pv_err_of(code);
}

static int reset_locked(struct pv_vhu_bus *bus)
{
	int code = 0;

	for (uint16_t i = 0; !code && i < bus->queues; i++)
		code = queue_stop(bus, i);
	if (!code && has(bus, VHOST_USER_PROTOCOL_F_STATUS))
		code = pv_vhu_frontend_status_set(bus->frontend, 0);
	else if (!code && has(bus, VHOST_USER_PROTOCOL_F_RESET_DEVICE))
		code = pv_vhu_frontend_reset_device(bus->frontend);
	if (!code) {
		bus->status = 0;
		drain_fd(bus->err_fd);
		pv_vhu_bus_inflight_forget(bus);
	}
	return code;
}

int pv_vhu_bus_queues_start(struct pv_vhu_bus *bus)
{
	int code = 0;

	for (uint16_t i = 0; !code && i < bus->queues; i++) {
		if (bus->queue[i].is_set_up)
			code = pv_vhu_frontend_vring_enable(bus->frontend, i, true);
	}
	return code;
}

/* Queues are enabled before the device hears DRIVER_OK, so that it never runs without them. */
static int status_set_locked(struct pv_vhu_bus *bus, uint8_t status)
{
	uint8_t added = (uint8_t)(status & ~bus->status);
	int code = 0;

	if (status == 0)
		return reset_locked(bus);
	if (added & VIRTIO_STATUS_DRIVER_OK)
		code = pv_vhu_bus_queues_start(bus);
	if (!code && has(bus, VHOST_USER_PROTOCOL_F_STATUS))
		code = pv_vhu_frontend_status_set(bus->frontend, status);
	if (!code)
		bus->status = status;
	return code;
}

static int status_set(struct pv_bus *bus, uint8_t status)
{
	struct pv_vhu_bus *own = bus_of(bus);
	int code;

	pthread_mutex_lock(&own->lock);
	code = status_set_locked(own, status);
	pthread_mutex_unlock(&own->lock);
	return pv_err_of(code);
}

const struct pv_bus_ops pv_vhu_bus_ops = {
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
