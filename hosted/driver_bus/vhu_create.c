/* SPDX-License-Identifier: BSD-2-Clause */
/* Making and unmaking a bus, and what its owner may ask of it. */
#include "hosted/driver_bus/vhu_bus.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "abi/virtio_ids.h"
#include "hosted/driver_bus/vhu_bus_internal.h"

#define QUEUE_SIZE_DEFAULT 256u

/* Back-ends of networks count pairs, without the control queue. */
uint16_t pv_vhu_bus_queues_of(const struct pv_vhu_bus *bus, const struct pv_vhu_frontend *frontend)
{
	const uint32_t queues_max = VHOST_USER_VRING_INDEX_MASK + 1;
	uint32_t queues = pv_vhu_frontend_queues(frontend);

	if (bus->options.device_id == VIRTIO_ID_NET)
		queues = 2 * queues + 1;
	return (uint16_t)(queues < queues_max ? queues : queues_max);
}

static void queues_init(struct pv_vhu_bus *bus)
{
	bus->queues = pv_vhu_bus_queues_of(bus, bus->frontend);
	for (uint16_t i = 0; i < bus->queues; i++) {
		bus->queue[i].kick_fd = -1;
		bus->queue[i].call_fd = -1;
	}
}

/* What is the machine's, before the back-end is spoken to. */
static int host_init(struct pv_vhu_bus *bus, const struct pv_vhu_bus_options *options)
{
	int code = pv_arena_init(&bus->memory.arena, options->memory_bytes);

	if (code)
		return code;
	bus->err_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	bus->epoll_fd = bus->err_fd < 0 ? -1 : epoll_create1(EPOLL_CLOEXEC);
	if (bus->epoll_fd < 0) {
		code = -errno;
		if (bus->err_fd >= 0)
			close(bus->err_fd);
		pv_arena_fini(&bus->memory.arena);
		return code;
	}
	pthread_mutex_init(&bus->lock, NULL);
	pthread_mutex_init(&bus->link_lock, NULL);
	bus->inflight.fd = -1;
	return 0;
}

static void host_fini(struct pv_vhu_bus *bus)
{
	pv_vhu_bus_inflight_forget(bus);
	pthread_mutex_destroy(&bus->link_lock);
	pthread_mutex_destroy(&bus->lock);
	close(bus->epoll_fd);
	close(bus->err_fd);
	pv_arena_fini(&bus->memory.arena);
}

void pv_vhu_bus_connection_watch(struct pv_vhu_bus *bus)
{
	int channel = pv_vhu_frontend_channel(bus->frontend);

	__atomic_store_n(&bus->watched_channel, channel, __ATOMIC_RELAXED);
	if (channel >= 0)
		pv_vhu_bus_watch(bus, channel, EPOLLIN, PV_VHU_WATCH_CHANNEL);
	pv_vhu_bus_watch(bus, pv_vhu_frontend_socket(bus->frontend), EPOLLRDHUP,
	                 PV_VHU_WATCH_SOCKET);
}

int pv_vhu_bus_create(struct pv_vhu_bus **bus, const struct pv_vhu_bus_options *options,
                      char *error, size_t error_bytes)
{
	const size_t queues_max = VHOST_USER_VRING_INDEX_MASK + 1;
	struct pv_vhu_bus *made =
		calloc(1, sizeof(*made) + queues_max * sizeof(struct pv_vhu_bus_queue));
	int code = made ? host_init(made, options) : -ENOMEM;

	if (code) {
		snprintf(error, error_bytes, "no memory to share with the device: %s",
		         strerror(-code));
		free(made);
		return code;
	}
	made->options = *options;
	made->link = pv_vhu_link_make(made, options->path, options->fd, error, error_bytes, &code);
	if (!made->link) {
		host_fini(made);
		free(made);
		return code;
	}
	made->frontend = made->link->frontend;
	made->protocol_features = pv_vhu_frontend_protocol_features(made->frontend);
	pv_vhu_bus_connection_watch(made);
	made->bus = (struct pv_bus){ .ops = &pv_vhu_bus_ops, .device_id = options->device_id };
	made->memory.os = (struct pv_os){ &pv_vhu_os_ops };
	made->queue_size_max = options->queue_size_max ? options->queue_size_max
	                                               : QUEUE_SIZE_DEFAULT;
	queues_init(made);
	*bus = made;
	return 0;
}

void pv_vhu_bus_destroy(struct pv_vhu_bus *bus)
{
	if (!bus)
		return;
	pv_vhu_link_put(bus, bus->link);
	for (uint16_t i = 0; i < bus->queues; i++) {
		if (bus->queue[i].kick_fd >= 0)
			close(bus->queue[i].kick_fd);
		if (bus->queue[i].call_fd >= 0)
			close(bus->queue[i].call_fd);
	}
	host_fini(bus);
	free(bus);
}

struct pv_bus *pv_vhu_bus_bus(struct pv_vhu_bus *bus)
{
	return &bus->bus;
}

struct pv_os *pv_vhu_bus_os(struct pv_vhu_bus *bus)
{
	return &bus->memory.os;
}

struct pv_vhu_frontend *pv_vhu_bus_frontend(struct pv_vhu_bus *bus)
{
	return bus->frontend;
}

const char *pv_vhu_bus_error(const struct pv_vhu_bus *bus)
{
	return pv_vhu_frontend_error(bus->frontend);
}

struct pv_vhu_bus_counters pv_vhu_bus_counters(const struct pv_vhu_bus *bus, uint16_t index)
{
	const struct pv_vhu_bus_queue *queue = &bus->queue[index < bus->queues ? index : 0];

	return (struct pv_vhu_bus_counters){
		__atomic_load_n(&queue->counters.kicks, __ATOMIC_RELAXED),
		__atomic_load_n(&queue->counters.interrupts, __ATOMIC_RELAXED),
	};
}
