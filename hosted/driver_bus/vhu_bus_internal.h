/* SPDX-License-Identifier: BSD-2-Clause */
/* Between the files of the bus: vhu_bus.c (the device), vhu_os.c (memory, time, interrupts). */
#ifndef PV_HOSTED_VHU_BUS_INTERNAL_H
#define PV_HOSTED_VHU_BUS_INTERNAL_H

#include "hosted/driver_bus/arena.h"
#include "hosted/driver_bus/vhu_bus.h"

struct pv_vhu_bus_queue {
	int kick_fd; /* eventfds, open from the first time the queue is set up */
	int call_fd;
	bool is_set_up;                      /* the back-end knows where it is */
	struct pv_vhu_bus_counters counters; /* atomic */
};

struct pv_vhu_bus {
	struct pv_bus bus;
	struct pv_os os;
	struct pv_vhu_frontend *frontend;
	struct pv_arena arena;
	int err_fd;          /* eventfd: a queue has failed */
	int epoll_fd;        /* all that a wait for any interrupt ends at */
	int watched_channel; /* atomic: the channel while it is in there, or -1 */

	pthread_mutex_t lock; /* what the control functions change */
	uint64_t features;
	uint8_t status;
	bool is_memory_told;
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

extern const struct pv_os_ops pv_vhu_os_ops;

#endif
