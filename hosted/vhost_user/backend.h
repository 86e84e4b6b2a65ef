/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The vhost-user back-end: serves one device to whoever connects to a socket.
 *
 * It runs on the control loop.  One front-end is served at a time; when it leaves, its queues are
 * stopped, its memory is unmapped, the device is reset and the socket listens again.  A message
 * whose answer must wait for a lane (GET_VRING_BASE, a change of memory or of the dirty log, a
 * reset) holds back the messages behind it, nothing else.
 *
 * A front-end that breaks the protocol loses its connection with one log line.
 */
#ifndef PV_HOSTED_BACKEND_H
#define PV_HOSTED_BACKEND_H

#include "devices/core/device.h"
#include "hosted/loop/host.h"

struct pv_vhu_backend;

/* What a network does for its front-end. Control side. */
struct pv_vhu_net_ops {
	/* The guest has been told this as the largest packet. Returns whether it can be so. */
	bool (*set_mtu)(void *arg, uint16_t mtu);
	/* The network is to be told that this address (6 bytes) is here now. */
	void (*send_rarp)(void *arg, const uint8_t *mac);
};

struct pv_vhu_backend_options {
	struct pv_loop *control;
	struct pv_host *host; /* the device's */
	struct pv_device *device;
	int listen_fd;                    /* taken over; or -1: see pv_vhu_backend_connect() */
	const struct pv_vhu_net_ops *net; /* NULL: the device is no network */
	void *net_arg;
	/* Do not offer in-band notifications (a front-end may prefer them to descriptors). */
	bool no_inband;
	/*
	 * Told of each piece of front-end memory that is mapped and unmapped, for a guard against
	 * memory that shrinks under us (hosted/control/guard.h); may be NULL.
	 */
	void (*mapped)(void *mapped_arg, void *base, size_t bytes);
	void (*unmapped)(void *base);
	void *mapped_arg;
	/* The front-end's memory is another from here on; may be NULL. Control side. */
	void (*memory_changed)(void *arg);
	void *memory_arg;
	/* The front-end of pv_vhu_backend_connect() has left, and everything is stopped. */
	void (*finished)(void *arg);
	void *finished_arg;
};

/* Returns 0 or -errno. The descriptor is taken over on success only. */
int pv_vhu_backend_create(struct pv_vhu_backend **backend,
                          const struct pv_vhu_backend_options *options);

/* Without `listen_fd`: serves the front-end of a connected socket, which is taken over. */
void pv_vhu_backend_connect(struct pv_vhu_backend *backend, int socket);

/*
 * Leaves the front-end and stops the queues; `done(arg)` is called when nothing runs any more and
 * pv_vhu_backend_destroy() may be called.
 */
void pv_vhu_backend_stop(struct pv_vhu_backend *backend, void (*done)(void *arg), void *arg);
void pv_vhu_backend_destroy(struct pv_vhu_backend *backend);

/* Ends the connection, if there is one, with a log line that says why. */
void pv_vhu_backend_drop(struct pv_vhu_backend *backend, const char *why);

#endif
