/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A bus and an operating system for drivers/ in a host process: the device is whatever a
 * vhost-user back-end serves, the memory one arena (arena.h), an interrupt an eventfd.
 *
 * Where the back-end has no device status (protocol feature STATUS) the bus keeps one: DRIVER_OK
 * enables the queues that were set up, zero stops them, and NEEDS_RESET stands for a back-end that
 * has reported an error of a queue.  A back-end that has left, or broken the protocol, makes every
 * function fail and every wait end; with `may_reconnect` waits go on, and the status stays as it
 * was, until pv_vhu_bus_reconnect() has found another back-end.
 *
 * Any thread may call any function but create and destroy.  Threads with a queue each wait best by
 * pv_vhu_bus_wait(); the port's wait, which is for all queues, ends after a millisecond.
 */
#ifndef PV_HOSTED_VHU_BUS_H
#define PV_HOSTED_VHU_BUS_H

#include <sys/types.h>

#include "drivers/core/bus.h"
#include "drivers/port/port.h"
#include "hosted/vhost_user/frontend.h"

struct pv_vhu_bus;

/* Everything but in-band notifications, which are for simulations. */
#define PV_VHU_BUS_FEATURES (PV_VHU_FRONTEND_FEATURES & ~VHOST_USER_PROTOCOL_F_INBAND_NOTIFICATIONS)

struct pv_vhu_bus_options {
	const char *path;           /* where the back-end listens, or NULL ... */
	int fd;                     /* ... for a connected socket, taken over on success */
	uint16_t device_id;         /* vhost-user does not tell: abi/virtio_ids.h */
	uint16_t queue_size_max;    /* nor this; 0: 256 */
	uint64_t protocol_features; /* to accept when offered; 0: PV_VHU_BUS_FEATURES */
	uint32_t timeout_ms;        /* for each answer; 0: as the front-end has it */
	size_t memory_bytes;        /* for rings and buffers */
	bool may_reconnect;         /* a connection that ends will be replaced */
};

/* Returns 0, or -errno with a sentence in `error` (of `error_bytes`). */
int pv_vhu_bus_create(struct pv_vhu_bus **bus, const struct pv_vhu_bus_options *options,
                      char *error, size_t error_bytes);

/* Closes the connection. No driver may use the bus any more. */
void pv_vhu_bus_destroy(struct pv_vhu_bus *bus);

/* What a driver is created with. */
struct pv_bus *pv_vhu_bus_bus(struct pv_vhu_bus *bus);
struct pv_os *pv_vhu_bus_os(struct pv_vhu_bus *bus);

/*
 * Another back-end takes the place of one that has left: the same features, memory, queues and
 * status, and what was in flight, which it then finishes; the driver notices nothing but time. It
 * is where `path` says, or at the other end of `fd`, which is the bus's from the call on. Queues
 * may be in use meanwhile. Returns 0, -ENOTSUP from a back-end that was not asked, or did not
 * agree, to keep account of what is in flight (INFLIGHT_SHMFD), or another -errno; with a sentence
 * in `error`, and the bus as it was before.
 */
int pv_vhu_bus_reconnect(struct pv_vhu_bus *bus, const char *path, int fd, char *error,
                         size_t error_bytes);

/* For messages of one's own, until the next pv_vhu_bus_reconnect(). */
struct pv_vhu_frontend *pv_vhu_bus_frontend(struct pv_vhu_bus *bus);

/* Has the back-end left, for good? No system call; any time. */
bool pv_vhu_bus_is_over(struct pv_vhu_bus *bus);

/* Why the last function failed, for people. */
const char *pv_vhu_bus_error(const struct pv_vhu_bus *bus);

/*
 * Sleeps until queue `index` has interrupted, something came on the back-end's channel, or `ns`
 * have passed. Returns 1 if it has interrupted, 0 if not, or -PV_EIO once the back-end is gone for
 * good.
 */
int pv_vhu_bus_wait(struct pv_vhu_bus *bus, uint16_t index, uint64_t ns);

/* Written by the queue's thread. */
struct pv_vhu_bus_counters {
	uint64_t kicks;
	uint64_t interrupts; /* as far as pv_vhu_bus_wait() has seen them */
};

struct pv_vhu_bus_counters pv_vhu_bus_counters(const struct pv_vhu_bus *bus, uint16_t index);

#endif
