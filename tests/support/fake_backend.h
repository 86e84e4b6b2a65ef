/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A vhost-user back-end without a device, on a thread: it answers as it should, remembers what it
 * was asked, and a test can have it misbehave on one request.
 */
#ifndef PV_TESTS_FAKE_BACKEND_H
#define PV_TESTS_FAKE_BACKEND_H

#include <pthread.h>

#include "hosted/vhost_user/codec.h"

#define FAKE_CONFIG_BYTES 60u
#define FAKE_MESSAGES_MAX 64u

struct fake_backend;

/* What happens in place of an answer. Returns whether the back-end goes on. */
typedef bool fake_twist(struct fake_backend *fake, struct pv_vhu_message *message);

struct fake_backend {
	/* For the test to set before fake_backend_start(). */
	uint64_t features;
	uint64_t protocol_features;
	uint64_t queues;
	uint64_t mem_slots;
	uint32_t twisted; /* the request that `twist` is for */
	fake_twist *twist;

	/* The front-end's end of the connection. */
	int front;

	int socket;
	int channel; /* from SET_BACKEND_REQ_FD */
	int call_fd; /* of the last queue that was set up */
	int kick_fd;
	int err_fd;
	int mem_fd;
	int inflight_fd; /* from SET_INFLIGHT_FD */
	uint8_t status;
	pthread_t thread;

	/* What was received, in order; read it after fake_backend_stop(), or between requests. */
	uint32_t messages;
	struct pv_vhu_message message[FAKE_MESSAGES_MAX];
};

/* A well-behaved back-end with everything on offer. */
void fake_backend_init(struct fake_backend *fake);
void fake_backend_start(struct fake_backend *fake);

/* Waits until the thread has ended, which it does when the front-end has left. Closes all. */
void fake_backend_stop(struct fake_backend *fake);

/* For twists. */
void fake_reply(struct fake_backend *fake, uint32_t request, const void *payload, uint32_t bytes);
void fake_reply_u64(struct fake_backend *fake, uint32_t request, uint64_t value);
void fake_reply_inflight(struct fake_backend *fake, const struct vhost_user_inflight *inflight,
                         uint32_t fds);
void fake_channel_send(struct fake_backend *fake, uint32_t request, uint32_t flags,
                       const void *payload, uint32_t bytes);

/* How many times a request was received. */
uint32_t fake_count(const struct fake_backend *fake, uint32_t request);

/* The last one of its kind; NULL if there was none. */
const struct pv_vhu_message *fake_last(const struct fake_backend *fake, uint32_t request);

#endif
