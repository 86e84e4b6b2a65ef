/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Between the files of the front-end: frontend.c (connection), exchange.c (messages and channel),
 * requests.c (each request).
 */
#ifndef PV_HOSTED_FRONTEND_INTERNAL_H
#define PV_HOSTED_FRONTEND_INTERNAL_H

#include <pthread.h>

#include "hosted/vhost_user/frontend.h"

struct pv_vhu_frontend {
	int socket;
	int channel;            /* our end of the back-end's channel, or -1 */
	bool is_channel_closed; /* atomic: the back-end has left it */
	pid_t peer;
	uint32_t timeout_ms;
	void (*notified)(void *arg, uint32_t request, uint32_t index);
	void *notified_arg;

	uint64_t features; /* as offered, vhost's own bits included */
	uint64_t accepted; /* atomic: of them, by the driver */
	bool is_logging;   /* atomic: VHOST_F_LOG_ALL goes along with them */
	uint64_t protocol_features;
	uint16_t queues;
	uint32_t mem_slots;

	pthread_mutex_t call_lock; /* a request and its answer */
	struct pv_vhu_decoder replies;
	pthread_mutex_t channel_lock;
	struct pv_vhu_decoder requests;
	uint32_t config_changes; /* atomic */

	/* The first failure of the connection: whoever claims it writes the sentence, then the
	 * code. */
	int is_failure_claimed;
	int failure;
	char failure_sentence[256];
	char refusal[256]; /* of the last request that failed alone */
};

/* Why the connection is over, as -errno; 0 while it is not. */
static inline int pv_vhu_frontend_failure(const struct pv_vhu_frontend *frontend)
{
	return __atomic_load_n(&frontend->failure, __ATOMIC_ACQUIRE);
}

/* SET_VRING_ADDR. */
int pv_vhu_frontend_vring_addr_set(struct pv_vhu_frontend *frontend, uint32_t index,
                                   const struct pv_vhu_vring *vring);

/* Notes why one request failed. Returns `code`. */
__attribute__((format(printf, 3, 4))) int pv_vhu_frontend_refuse(struct pv_vhu_frontend *frontend,
                                                                 int code, const char *format, ...);

/* The back-end broke the protocol: the connection is over. Returns `code`. */
__attribute__((format(printf, 3, 4))) int pv_vhu_frontend_fail(struct pv_vhu_frontend *frontend,
                                                               int code, const char *format, ...);

#endif
