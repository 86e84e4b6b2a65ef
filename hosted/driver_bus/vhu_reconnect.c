/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Connections of the bus, and how one takes another's place.
 *
 * All that a back-end knows is told again to the next one, from memory; where its rings stand it
 * learns from the rings and from the account that its predecessor kept of what was in flight.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "abi/virtio_ring.h"
#include "hosted/driver_bus/vhu_bus_internal.h"
#include "ring/barrier.h"

/* ---- connections ---- */

struct pv_vhu_link *pv_vhu_link_make(struct pv_vhu_bus *bus, const char *path, int fd, char *error,
                                     size_t error_bytes, int *code)
{
	const struct pv_vhu_bus_options *options = &bus->options;
	const struct pv_vhu_frontend_options wish = {
		.path = path,
		.fd = fd,
		.protocol_features = options->protocol_features ? options->protocol_features
		                                                : PV_VHU_BUS_FEATURES,
		.timeout_ms = options->timeout_ms,
		.notified = pv_vhu_bus_notified,
		.notified_arg = bus,
	};
	struct pv_vhu_link *link = calloc(1, sizeof(*link));

	if (!link) {
		snprintf(error, error_bytes, "out of memory");
		*code = -ENOMEM;
		return NULL;
	}
	link->users = 1;
	*code = pv_vhu_frontend_create(&link->frontend, &wish, error, error_bytes);
	if (*code) {
		free(link);
		return NULL;
	}
	return link;
}

struct pv_vhu_link *pv_vhu_link_get(struct pv_vhu_bus *bus)
{
	struct pv_vhu_link *link;

	pthread_mutex_lock(&bus->link_lock);
	link = bus->link;
	link->users++;
	pthread_mutex_unlock(&bus->link_lock);
	return link;
}

void pv_vhu_link_put(struct pv_vhu_bus *bus, struct pv_vhu_link *link)
{
	bool is_last;

	pthread_mutex_lock(&bus->link_lock);
	is_last = --link->users == 0;
	pthread_mutex_unlock(&bus->link_lock);
	if (!is_last)
		return;
	pv_vhu_frontend_destroy(link->frontend);
	free(link);
}

/* Returns the one that was in force. */
static struct pv_vhu_link *link_exchange(struct pv_vhu_bus *bus, struct pv_vhu_link *link)
{
	struct pv_vhu_link *old;

	pthread_mutex_lock(&bus->link_lock);
	old = bus->link;
	bus->link = link;
	pthread_mutex_unlock(&bus->link_lock);
	bus->frontend = link->frontend;
	return old;
}

/* In-band kicks go by the connection, whichever that is. */
void pv_vhu_bus_kick(struct pv_vhu_bus *bus, uint16_t index)
{
	struct pv_vhu_link *link;

	if (!(bus->protocol_features & VHOST_USER_PROTOCOL_F_INBAND_NOTIFICATIONS)) {
		pv_vhu_bus_signal(bus->queue[index].kick_fd);
		return;
	}
	link = pv_vhu_link_get(bus);
	pv_vhu_frontend_vring_kick(link->frontend, index);
	pv_vhu_link_put(bus, link);
}

bool pv_vhu_bus_is_over(struct pv_vhu_bus *bus)
{
	struct pv_vhu_link *link = pv_vhu_link_get(bus);
	bool has_failed = pv_vhu_frontend_has_failed(link->frontend);

	pv_vhu_link_put(bus, link);
	return has_failed && !bus->options.may_reconnect;
}

/* ---- what is in flight ---- */

/* A device that was reset has nothing in flight, and the next one keeps an account of its own. */
void pv_vhu_bus_inflight_forget(struct pv_vhu_bus *bus)
{
	pv_vhu_frontend_inflight_end(&bus->inflight);
	bus->is_inflight_told = false;
}

/*
 * Before the first queue: the back-end is to keep account of what is in flight, where we keep it.
 * One that does not is as good until it dies.
 */
int pv_vhu_bus_inflight_tell(struct pv_vhu_bus *bus)
{
	int code;

	if (bus->is_inflight_told)
		return 0;
	code = pv_vhu_frontend_inflight_begin(bus->frontend, bus->queues, bus->queue_size_max,
	                                      &bus->inflight);
	bus->is_inflight_told = !code;
	return code;
}

/* ---- what the next back-end is told ---- */

/*
 * As a monitor has it after a crash: the used index of a split ring; of a packed ring nothing is to
 * be seen from outside, and the base is one that was true once.
 */
static uint32_t base_of(const struct pv_vhu_bus *bus, const struct pv_bus_queue *place)
{
	const struct virtq_used *used =
		pv_arena_at(&bus->memory.arena, place->device_area, sizeof(struct virtq_used));

	if (bus->features & VIRTIO_F_RING_PACKED)
		return pv_vhu_vring_base_fresh(true);
	return used ? pv_read_le16(&used->idx) : 0;
}

static int rings_tell(struct pv_vhu_bus *bus)
{
	int code = 0;

	for (uint16_t i = 0; !code && i < bus->queues; i++)
		if (bus->queue[i].is_set_up)
			code = pv_vhu_bus_vring_tell(bus, i, base_of(bus, &bus->queue[i].place));
	return code;
}

static int all_tell(struct pv_vhu_bus *bus)
{
	int code = pv_vhu_frontend_features_set(bus->frontend, bus->features);

	bus->is_memory_told = false;
	if (!code)
		code = pv_vhu_bus_memory_tell(bus);
	if (!code && bus->inflight.fd >= 0)
		code = pv_vhu_frontend_inflight_set(bus->frontend, &bus->inflight);
	if (!code)
		code = rings_tell(bus);
	if (!code && (bus->status & VIRTIO_STATUS_DRIVER_OK))
		code = pv_vhu_bus_queues_start(bus);
	if (!code && (bus->protocol_features & VHOST_USER_PROTOCOL_F_STATUS))
		code = pv_vhu_frontend_status_set(bus->frontend, bus->status);
	return code;
}

/* Kicks and interrupts may have been on their way when the other one died. */
static void all_wake(struct pv_vhu_bus *bus)
{
	for (uint16_t i = 0; i < bus->queues; i++) {
		if (!bus->queue[i].is_set_up)
			continue;
		pv_vhu_bus_kick(bus, i);
		pv_vhu_bus_signal(bus->queue[i].call_fd);
	}
}

/* ---- the whole ---- */

static bool is_any_queue_set_up(const struct pv_vhu_bus *bus)
{
	for (uint16_t i = 0; i < bus->queues; i++)
		if (bus->queue[i].is_set_up)
			return true;
	return false;
}

static const char *obstacle(const struct pv_vhu_bus *bus, const struct pv_vhu_frontend *next)
{
	if (is_any_queue_set_up(bus) && bus->inflight.fd < 0)
		return "the back-end has kept no account of what is in flight";
	if (bus->features & ~pv_vhu_frontend_features(next) ||
	    pv_vhu_frontend_protocol_features(next) != bus->protocol_features ||
	    pv_vhu_bus_queues_of(bus, next) < bus->queues)
		return "the back-end is not like the one before it";
	return NULL;
}

static int replace(struct pv_vhu_bus *bus, struct pv_vhu_link *next, char *error,
                   size_t error_bytes)
{
	const char *wrong = obstacle(bus, next->frontend);
	struct pv_vhu_link *old;
	int code;

	if (wrong) {
		snprintf(error, error_bytes, "%s", wrong);
		pv_vhu_link_put(bus, next);
		return -ENOTSUP;
	}
	old = link_exchange(bus, next);
	code = all_tell(bus);
	if (code) {
		snprintf(error, error_bytes, "%s", pv_vhu_frontend_error(next->frontend));
		old = link_exchange(bus, old);
	} else {
		pv_vhu_bus_connection_watch(bus);
		all_wake(bus);
	}
	pv_vhu_link_put(bus, old);
	return code;
}

int pv_vhu_bus_reconnect(struct pv_vhu_bus *bus, const char *path, int fd, char *error,
                         size_t error_bytes)
{
	struct pv_vhu_link *next;
	int code;

	pthread_mutex_lock(&bus->lock);
	next = pv_vhu_link_make(bus, path, fd, error, error_bytes, &code);
	if (next)
		code = replace(bus, next, error, error_bytes);
	else if (!path)
		close(fd);
	pthread_mutex_unlock(&bus->lock);
	return code;
}
