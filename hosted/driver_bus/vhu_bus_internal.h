/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Between the files of the bus: vhu_bus.c (the device), vhu_os.c (memory, time, interrupts),
 * vhu_create.c (making and unmaking), vhu_reconnect.c (connections).
 */
#ifndef PV_HOSTED_VHU_BUS_INTERNAL_H
#define PV_HOSTED_VHU_BUS_INTERNAL_H

#include "hosted/driver_bus/arena_os.h"
#include "hosted/driver_bus/vhu_bus.h"

/*
 * A connection, which those who wait on it keep until they are through: it may be replaced
 * meanwhile. All of it under the bus's `link_lock`.
 */
struct pv_vhu_link {
	struct pv_vhu_frontend *frontend;
	uint32_t users; /* the bus is one */
};

struct pv_vhu_bus_queue {
	int kick_fd; /* eventfds, open from the first time the queue is set up */
	int call_fd;
	bool is_set_up;                      /* the back-end knows where it is: ... */
	struct pv_bus_queue place;           /* ... there */
	struct pv_vhu_bus_counters counters; /* atomic */
};

struct pv_vhu_bus {
	struct pv_bus bus;
	struct pv_arena_os memory;
	struct pv_vhu_bus_options options;
	struct pv_vhu_frontend *frontend; /* of the connection in force; under `lock` */
	struct pv_vhu_link *link;
	pthread_mutex_t link_lock;
	uint64_t protocol_features; /* agreed on, with each back-end in turn */
	int err_fd;                 /* eventfd: a queue has failed */
	int epoll_fd;               /* all that a wait for any interrupt ends at */
	int watched_channel;        /* atomic: the channel while it is in there, or -1 */

	pthread_mutex_t lock; /* what the control functions change */
	uint64_t features;
	uint8_t status;
	bool is_memory_told;
	bool is_inflight_told;
	struct pv_vhu_inflight inflight; /* its `fd` is -1 without */
	uint16_t queue_size_max;

	uint16_t queues;
	struct pv_vhu_bus_queue queue[];
};

/* What an event of the epoll descriptor is about. */
enum pv_vhu_watch {
	PV_VHU_WATCH_QUEUE,
	PV_VHU_WATCH_CHANNEL,
	PV_VHU_WATCH_SOCKET,
};

/* vhu_reconnect.c */
struct pv_vhu_link *pv_vhu_link_make(struct pv_vhu_bus *bus, const char *path, int fd, char *error,
                                     size_t error_bytes, int *code);
struct pv_vhu_link *pv_vhu_link_get(struct pv_vhu_bus *bus);
void pv_vhu_link_put(struct pv_vhu_bus *bus, struct pv_vhu_link *link);
void pv_vhu_bus_kick(struct pv_vhu_bus *bus, uint16_t index);
int pv_vhu_bus_inflight_tell(struct pv_vhu_bus *bus);
void pv_vhu_bus_inflight_forget(struct pv_vhu_bus *bus);

/* vhu_bus.c, for a connection that takes another one's place; under `lock`. */
int pv_vhu_bus_memory_tell(struct pv_vhu_bus *bus);
int pv_vhu_bus_vring_tell(struct pv_vhu_bus *bus, uint16_t index, uint32_t base);
int pv_vhu_bus_queues_start(struct pv_vhu_bus *bus);
void pv_vhu_bus_signal(int fd);
void pv_vhu_bus_notified(void *arg, uint32_t request, uint32_t index);

/* The descriptor ends a wait for any interrupt; `events` are epoll's. */
void pv_vhu_bus_watch(struct pv_vhu_bus *bus, int fd, uint32_t events, enum pv_vhu_watch what);

/* vhu_create.c: the connection in force ends such waits. */
void pv_vhu_bus_connection_watch(struct pv_vhu_bus *bus);
/* How many queues the driver may ask a back-end for. */
uint16_t pv_vhu_bus_queues_of(const struct pv_vhu_bus *bus, const struct pv_vhu_frontend *frontend);

extern const struct pv_bus_ops pv_vhu_bus_ops;
extern const struct pv_os_ops pv_vhu_os_ops;

#endif
