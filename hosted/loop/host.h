/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The host of a device: its port, on loops.
 *
 * Each queue gets a lane: one loop that runs it, a kick that wakes the loop, and a call that
 * interrupts the driver.  Where kicks and calls come from is the transport's business: a lane takes
 * an eventfd for either, or a function for the call, or a message for the kick.
 *
 * The control loop is where the device's control side runs; the lanes' loops are other threads, or
 * the same.  All that one side wants of the other goes by message, also where both are one thread.
 */
#ifndef PV_HOSTED_HOST_H
#define PV_HOSTED_HOST_H

#include "devices/core/device.h"
#include "hosted/loop/loop.h"

struct pv_host;

/* How a transport interrupts the driver, and hears of changes. */
struct pv_host_ops {
	/*
	 * A lane's thread; for what a queue publishes at its end, the control side. Only for a
	 * queue whose lane has no call descriptor.
	 */
	void (*call)(void *arg, uint16_t queue);
	/* Control side. */
	void (*config_changed)(void *arg);
};

/*
 * Who runs the queues that are elsewhere (struct pv_queue): these have no lane that works. What the
 * transport says of their kicks and calls is passed on, so that the two ends can be joined without
 * us in between. All control side.
 */
struct pv_host_elsewhere {
	/* The queue was started, or goes on. */
	void (*attach)(void *arg, struct pv_queue *queue);
	/*
	 * It is to come to rest: sets `queue->position` and calls pv_queue_stopped(), perhaps from
	 * within this call.
	 */
	void (*detach)(void *arg, struct pv_queue *queue);
	/* As pv_host_set_kick() and pv_host_set_call(): the descriptors stay the caller's. */
	int (*set_kick)(void *arg, uint16_t queue, int fd);
	int (*set_call)(void *arg, uint16_t queue, int fd);
	void (*kick)(void *arg, uint16_t queue);
};

struct pv_host_options {
	const char *name; /* prefix of its log lines */
	struct pv_loop *control;
	struct pv_loop **loop; /* queue i runs on loop[i % loops] */
	uint16_t loops;
	uint16_t queues;
	bool has_timers; /* the device uses the port's timer */
	/*
	 * All queues are on one loop, and a run of any of them sees to what concerns the device:
	 * then those that have nothing in flight, and whose driver has been silent for a while, are
	 * not looked at until it kicks, all but one.
	 */
	bool may_rest;
};

/* Returns 0 or -errno. The loops must outlive the host. */
int pv_host_create(struct pv_host **host, const struct pv_host_options *options);

/*
 * When no queue runs and the loops do not either (pv_loop_thread_join), nor ever will again:
 * messages of the host may still lie there.
 */
void pv_host_destroy(struct pv_host *host);

/*
 * Any thread. A line in the device's name from whoever uses it. The device's own lines, which a
 * driver can cause without end, are so many in a while (pv_log_paced); these are not held back.
 */
void pv_host_log(const struct pv_host *host, enum pv_log_level level, const char *line);

/* The port to create the device with. */
struct pv_port *pv_host_port(struct pv_host *host);

/* The loop that runs a queue: where its store's I/O belongs. */
struct pv_loop *pv_host_loop_of(struct pv_host *host, uint16_t queue);

/*
 * Control side, no queue running. Who is told of calls and changes; NULL ops: nobody. `ops` must
 * outlive the host or the next call of this.
 */
void pv_host_set_transport(struct pv_host *host, const struct pv_host_ops *ops, void *arg);

/*
 * Control side, before there is a transport. The first `queues` of the device are elsewhere; `ops`
 * outlives the host. Neither memory nor a dirty log can be switched under them.
 */
void pv_host_set_elsewhere(struct pv_host *host, uint16_t queues,
                           const struct pv_host_elsewhere *ops, void *arg);

/* Control side. Interrupts the driver for such a queue, which has no call descriptor. */
void pv_host_call(struct pv_host *host, uint16_t queue);

/*
 * Control side, any time, also while the queue runs. The kick and call descriptors of a queue, -1
 * for none. They are duplicated: the caller keeps its own. A kick must be an eventfd, a call one
 * or a socket; anything else, which a peer could have made to block whoever polls it or writes to
 * it, is -EINVAL. A call descriptor that is full means that the driver was called already, and one
 * whose other end is gone that nobody is there: neither is an error.
 *
 * Without a kick descriptor kicks come by pv_host_kick(), or, if `is_polled`, not at all: the
 * queue's loop does not sleep while it runs. Returns 0 or -errno.
 */
int pv_host_set_kick(struct pv_host *host, uint16_t queue, int fd, bool is_polled);
int pv_host_set_call(struct pv_host *host, uint16_t queue, int fd);

/* Control side. A kick that came by other means. */
void pv_host_kick(struct pv_host *host, uint16_t queue);

/*
 * Control side. Changes all running queues of the device to another memory table;
 * `done(arg)` is called when nothing uses the old one: from within this call if no queue runs. Only
 * then pv_device_mem_set() is called, just before. One change at a time, this one or the next; no
 * queue may be started meanwhile.
 */
void pv_host_mem_switch(struct pv_host *host, struct pv_device *device, const struct pv_mem *mem,
                        void (*done)(void *arg), void *arg);

/*
 * Control side. Changes all queues of the device to the logs of pv_device_queue_log_set();
 * `done(arg)` is called when all do so: from then on each write is marked in the new one, and the
 * old one is out of use.
 */
void pv_host_log_switch(struct pv_host *host, struct pv_device *device, void (*done)(void *arg),
                        void *arg);

#endif
