/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The far side is a vhost-user back-end.
 *
 * #syscalls sendmsg recvmsg ppoll poll close
 * #syscalls [dial] socket connect setsockopt getsockopt socketpair
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hosted/remote/far.h"

/* Neither state nor a log is moved from here, and the status is the monitor's own affair. */
#define PROTOCOL_FEATURES                                                                          \
	(VHOST_USER_PROTOCOL_F_MQ | VHOST_USER_PROTOCOL_F_REPLY_ACK |                              \
	 VHOST_USER_PROTOCOL_F_BACKEND_REQ | VHOST_USER_PROTOCOL_F_CONFIG |                        \
	 VHOST_USER_PROTOCOL_F_RESET_DEVICE | VHOST_USER_PROTOCOL_F_INFLIGHT_SHMFD)

struct far {
	struct pv_far far;
	struct pv_far_vhost_user_options options;
	struct pv_vhu_frontend *frontend;
	struct pv_vhu_inflight inflight;      /* its `fd` is -1 without */
	uint64_t protocol_features;           /* agreed on, with each back-end in turn */
	uint32_t config_changes;              /* of back-ends before this one */
	char sentence[PV_FAR_SENTENCE_BYTES]; /* of the last reconnection */
	bool is_reconnecting;
};

static struct far *of(struct pv_far *far)
{
	return (struct far *)far;
}

static const struct far *of_const(const struct pv_far *far)
{
	return (const struct far *)far;
}

static int connect_to(const struct far *far, struct pv_vhu_frontend **frontend,
                      char sentence[static PV_FAR_SENTENCE_BYTES])
{
	const struct pv_vhu_frontend_options options = {
		.path = far->options.path,
		.fd = far->options.fd,
		.protocol_features = PROTOCOL_FEATURES,
		.timeout_ms = far->options.timeout_ms,
	};

	return pv_vhu_frontend_create(frontend, &options, sentence, PV_FAR_SENTENCE_BYTES);
}

static void destroy(struct pv_far *far)
{
	struct far *own = of(far);

	pv_vhu_frontend_destroy(own->frontend);
	pv_vhu_frontend_inflight_end(&own->inflight);
	free(own);
}

/* ---- memory ---- */

static struct pv_vhu_region region_of(const struct pv_far_memory *memory,
                                      const struct pv_region *region)
{
	return (struct pv_vhu_region){
		.region = { .guest_addr = region->gpa.v,
		            .bytes = region->bytes,
		            .user_addr = (uintptr_t)region->host,
		            .mmap_offset = (uint64_t)(region->host - memory->base) },
		.fd = memory->fd,
	};
}

/* A machine's memory is a region or two. */
static int tell_memory(struct far *far, const struct pv_far_memory *memory)
{
	struct pv_vhu_region region[VHOST_USER_MEM_REGIONS];
	const struct pv_mem *table = memory->table;

	if (table->count > VHOST_USER_MEM_REGIONS)
		return -ENOSPC;
	for (uint32_t i = 0; i < table->count; i++)
		region[i] = region_of(memory, &table->region[i]);
	return pv_vhu_frontend_mem_set(far->frontend, region, table->count);
}

/* ---- the device ---- */

static int begin(struct pv_far *far, uint64_t features, const struct pv_far_memory *memory,
                 bool is_again)
{
	struct far *own = of(far);
	int error = pv_vhu_frontend_features_set(own->frontend, features);

	if (!error)
		error = tell_memory(own, memory);
	if (error)
		return error;
	if (is_again && own->inflight.fd >= 0)
		return pv_vhu_frontend_inflight_set(own->frontend, &own->inflight);
	pv_vhu_frontend_inflight_end(&own->inflight);
	return pv_vhu_frontend_inflight_begin(own->frontend, own->options.queues,
	                                      own->options.queue_size, &own->inflight);
}

static int reset(struct pv_far *far)
{
	struct far *own = of(far);
	int error = pv_vhu_frontend_reset_device(own->frontend);

	pv_vhu_frontend_inflight_end(&own->inflight);
	/* Its queues are stopped: what more there is to a reset it does not know. */
	return error == -ENOTSUP ? 0 : error;
}

static int queue_start(struct pv_far *far, uint16_t index, const struct pv_vhu_vring *vring)
{
	struct far *own = of(far);
	int error = pv_vhu_frontend_vring_set(own->frontend, index, vring);

	return error ? error : pv_vhu_frontend_vring_enable(own->frontend, index, true);
}

static int queue_stop(struct pv_far *far, uint16_t index, uint32_t *base)
{
	return pv_vhu_frontend_vring_stop(of(far)->frontend, index, base);
}

static int queue_call(struct pv_far *far, uint16_t index, int fd)
{
	return pv_vhu_frontend_vring_call(of(far)->frontend, index, fd);
}

static int queue_enable(struct pv_far *far, uint16_t index, bool is_enabled)
{
	return pv_vhu_frontend_vring_enable(of(far)->frontend, index, is_enabled);
}

static int config_get(struct pv_far *far, void *to, uint32_t bytes)
{
	return pv_vhu_frontend_config_get(of(far)->frontend, 0, to, bytes);
}

static int config_set(struct pv_far *far, uint32_t offset, const void *from, uint32_t bytes)
{
	return pv_vhu_frontend_config_set(of(far)->frontend, offset, from, bytes);
}

/* ---- the connection ---- */

static bool is_gone(struct pv_far *far)
{
	struct pv_vhu_frontend *frontend = of(far)->frontend;

	pv_vhu_frontend_channel_serve(frontend);
	return !pv_vhu_frontend_is_connected(frontend);
}

static uint32_t config_changes(const struct pv_far *far)
{
	const struct far *own = of_const(far);

	return own->config_changes + pv_vhu_frontend_config_changes(own->frontend);
}

static void descriptors(const struct pv_far *far, int fd[2])
{
	const struct pv_vhu_frontend *frontend = of_const(far)->frontend;

	fd[0] = pv_vhu_frontend_socket(frontend);
	fd[1] = pv_vhu_frontend_channel(frontend);
}

/* What the driver was told of the one before must be true of this one. */
static bool is_alike(const struct far *far, const struct pv_vhu_frontend *next)
{
	return !(far->far.features & ~pv_vhu_frontend_features(next)) &&
	       pv_vhu_frontend_protocol_features(next) == far->protocol_features &&
	       pv_vhu_frontend_queues(next) >= far->far.queues;
}

/* The configuration may be another one by now. */
static void replace(struct far *far, struct pv_vhu_frontend *next)
{
	far->config_changes += pv_vhu_frontend_config_changes(far->frontend) + 1;
	pv_vhu_frontend_destroy(far->frontend);
	far->frontend = next;
	far->is_reconnecting = false;
}

static int reconnect(struct pv_far *far)
{
	struct far *own = of(far);
	struct pv_vhu_frontend *next;
	int error;

	if (!own->options.path)
		return -ENOTSUP;
	own->is_reconnecting = true;
	error = connect_to(own, &next, own->sentence);
	if (error)
		return error;
	if (!is_alike(own, next)) {
		pv_vhu_frontend_destroy(next);
		snprintf(own->sentence, sizeof(own->sentence),
		         "the back-end is not like the one before it");
		return -EPROTO;
	}
	replace(own, next);
	return 0;
}

static bool has_account(const struct pv_far *far)
{
	return of_const(far)->inflight.fd >= 0;
}

static const char *error(const struct pv_far *far)
{
	const struct far *own = of_const(far);

	return own->is_reconnecting ? own->sentence : pv_vhu_frontend_error(own->frontend);
}

static const struct pv_far_ops ops = {
	.destroy = destroy,
	.begin = begin,
	.queue_start = queue_start,
	.queue_stop = queue_stop,
	.queue_call = queue_call,
	.queue_enable = queue_enable,
	.reset = reset,
	.config_get = config_get,
	.config_set = config_set,
	.is_gone = is_gone,
	.config_changes = config_changes,
	.descriptors = descriptors,
	.reconnect = reconnect,
	.has_account = has_account,
	.error = error,
};

int pv_far_vhost_user_create(struct pv_far **created,
                             const struct pv_far_vhost_user_options *options,
                             char sentence[static PV_FAR_SENTENCE_BYTES])
{
	struct far *far = calloc(1, sizeof(*far));
	int code;

	if (!far) {
		snprintf(sentence, PV_FAR_SENTENCE_BYTES, "%s", strerror(ENOMEM));
		return -ENOMEM;
	}
	far->far.ops = &ops;
	far->options = *options;
	far->inflight.fd = -1;
	code = connect_to(far, &far->frontend, sentence);
	if (code) {
		free(far);
		return code;
	}
	far->far.features = pv_vhu_frontend_features(far->frontend);
	far->far.queues = pv_vhu_frontend_queues(far->frontend);
	far->protocol_features = pv_vhu_frontend_protocol_features(far->frontend);
	*created = &far->far;
	return 0;
}
