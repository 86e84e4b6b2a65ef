/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The front-end's connection: made, negotiated, watched, ended.
 */
#define _GNU_SOURCE
#include "hosted/vhost_user/frontend.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "hosted/vhost_user/frontend_internal.h"
#include "hosted/vhost_user/wire.h"

#define TIMEOUT_MS_DEFAULT 5000u

static int connect_failed(struct pv_vhu_frontend *frontend, int fd, const char *path)
{
	int code = -errno;

	if (fd >= 0)
		close(fd);
	if (code == -EAGAIN)
		return pv_vhu_frontend_fail(frontend, -ETIMEDOUT,
		                            "%s: the back-end does not accept the connection",
		                            path);
	if (code == -ECONNREFUSED)
		return pv_vhu_frontend_fail(frontend, code,
		                            "%s: no back-end listens there; start it first", path);
	if (code == -ENOENT)
		return pv_vhu_frontend_fail(frontend, code,
		                            "%s: there is no such socket; start the back-end first",
		                            path);
	return pv_vhu_frontend_fail(frontend, code, "%s: %s", path, strerror(-code));
}

/* A full queue of connections makes connect() wait, as long as a send may take. */
static int connect_to(struct pv_vhu_frontend *frontend, const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	struct timeval timeout = { (time_t)(frontend->timeout_ms / 1000),
		                   (suseconds_t)(frontend->timeout_ms % 1000) * 1000 };
	int fd;

	if (strlen(path) >= sizeof(address.sun_path))
		return pv_vhu_frontend_fail(frontend, -ENAMETOOLONG,
		                            "%s: a socket's path is at most %zu bytes long", path,
		                            sizeof(address.sun_path) - 1);
	memcpy(address.sun_path, path, strlen(path) + 1);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout)) < 0 ||
	    connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0)
		return connect_failed(frontend, fd, path);
	return fd;
}

static int number_get(struct pv_vhu_frontend *frontend, uint32_t request, uint64_t *value)
{
	struct pv_vhu_call call = { .request = request };
	struct pv_vhu_message reply;
	int code = pv_vhu_frontend_call(frontend, &call, &reply);

	if (!code)
		*value = reply.payload.u64;
	return code;
}

/* In-band notifications make no sense without the channel that carries half of them. */
static uint64_t protocol_features_of(uint64_t offered, uint64_t wanted)
{
	uint64_t features = offered & wanted & PV_VHU_FRONTEND_FEATURES;

	if (!(features & VHOST_USER_PROTOCOL_F_BACKEND_REQ))
		features &= ~VHOST_USER_PROTOCOL_F_INBAND_NOTIFICATIONS;
	return features;
}

static int protocol_features_agree(struct pv_vhu_frontend *frontend, uint64_t wanted)
{
	uint64_t features;
	struct pv_vhu_call call = { .request = VHOST_USER_SET_PROTOCOL_FEATURES,
		                    .payload = &features,
		                    .bytes = sizeof(features) };
	int code;

	if (!(frontend->features & VHOST_USER_F_PROTOCOL_FEATURES))
		return 0;
	code = number_get(frontend, VHOST_USER_GET_PROTOCOL_FEATURES, &features);
	if (code)
		return code;
	features = protocol_features_of(features, wanted);
	code = pv_vhu_frontend_call(frontend, &call, NULL);
	if (!code)
		frontend->protocol_features = features;
	return code;
}

/* A queue's index travels in eight bits. */
static int queues_learn(struct pv_vhu_frontend *frontend)
{
	uint64_t queues = 1;
	int code = 0;

	if (frontend->protocol_features & VHOST_USER_PROTOCOL_F_MQ)
		code = number_get(frontend, VHOST_USER_GET_QUEUE_NUM, &queues);
	if (!code && queues == 0)
		return pv_vhu_frontend_fail(frontend, -EPROTO, "the back-end has no queue");
	frontend->queues = (uint16_t)(queues < 256 ? queues : 256);
	return code;
}

static int mem_slots_learn(struct pv_vhu_frontend *frontend)
{
	uint64_t slots = VHOST_USER_MEM_REGIONS;
	int code = 0;

	if (frontend->protocol_features & VHOST_USER_PROTOCOL_F_CONFIGURE_MEM_SLOTS)
		code = number_get(frontend, VHOST_USER_GET_MAX_MEM_SLOTS, &slots);
	if (!code && slots == 0)
		return pv_vhu_frontend_fail(frontend, -EPROTO, "the back-end takes no memory");
	frontend->mem_slots =
		(uint32_t)(slots < VHOST_USER_MEM_SLOTS ? slots : VHOST_USER_MEM_SLOTS);
	return code;
}

static int channel_open(struct pv_vhu_frontend *frontend)
{
	struct pv_vhu_call call = { .request = VHOST_USER_SET_BACKEND_REQ_FD, .fds = 1 };
	int pair[2];
	int code;

	if (!(frontend->protocol_features & VHOST_USER_PROTOCOL_F_BACKEND_REQ))
		return 0;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return pv_vhu_frontend_fail(frontend, -errno, "no channel for the back-end: %s",
		                            strerror(errno));
	frontend->channel = pair[0];
	call.fd = &pair[1];
	code = pv_vhu_frontend_call(frontend, &call, NULL);
	close(pair[1]);
	return code;
}

static int negotiate(struct pv_vhu_frontend *frontend, uint64_t wanted)
{
	struct pv_vhu_call owner = { .request = VHOST_USER_SET_OWNER };
	int code = pv_vhu_frontend_call(frontend, &owner, NULL);

	if (!code)
		code = number_get(frontend, VHOST_USER_GET_FEATURES, &frontend->features);
	if (!code)
		code = protocol_features_agree(frontend, wanted);
	if (!code)
		code = queues_learn(frontend);
	if (!code)
		code = mem_slots_learn(frontend);
	if (!code)
		code = channel_open(frontend);
	return code;
}

static void peer_learn(struct pv_vhu_frontend *frontend)
{
	struct ucred peer;
	socklen_t bytes = sizeof(peer);

	if (getsockopt(frontend->socket, SOL_SOCKET, SO_PEERCRED, &peer, &bytes) == 0)
		frontend->peer = peer.pid;
}

static void frontend_init(struct pv_vhu_frontend *frontend,
                          const struct pv_vhu_frontend_options *options)
{
	frontend->socket = -1;
	frontend->channel = -1;
	frontend->timeout_ms = options->timeout_ms ? options->timeout_ms : TIMEOUT_MS_DEFAULT;
	frontend->notified = options->notified;
	frontend->notified_arg = options->notified_arg;
	pthread_mutex_init(&frontend->call_lock, NULL);
	pthread_mutex_init(&frontend->channel_lock, NULL);
	pv_vhu_decoder_init(&frontend->replies, PV_VHU_REPLY);
	pv_vhu_decoder_init(&frontend->requests, PV_VHU_FROM_BACKEND);
}

int pv_vhu_frontend_create(struct pv_vhu_frontend **frontend,
                           const struct pv_vhu_frontend_options *options, char *error,
                           size_t error_bytes)
{
	struct pv_vhu_frontend *made = calloc(1, sizeof(*made));
	int code;

	if (!made) {
		snprintf(error, error_bytes, "out of memory");
		return -ENOMEM;
	}
	frontend_init(made, options);
	made->socket = options->path ? connect_to(made, options->path) : options->fd;
	code = made->socket < 0 ? made->socket : negotiate(made, options->protocol_features);
	if (code) {
		snprintf(error, error_bytes, "%s", pv_vhu_frontend_error(made));
		if (!options->path)
			made->socket = -1;
		pv_vhu_frontend_destroy(made);
		return code;
	}
	peer_learn(made);
	*frontend = made;
	return 0;
}

void pv_vhu_frontend_destroy(struct pv_vhu_frontend *frontend)
{
	if (!frontend)
		return;
	if (frontend->socket >= 0)
		close(frontend->socket);
	if (frontend->channel >= 0)
		close(frontend->channel);
	pv_vhu_message_close(&frontend->replies.message);
	pv_vhu_message_close(&frontend->requests.message);
	pthread_mutex_destroy(&frontend->call_lock);
	pthread_mutex_destroy(&frontend->channel_lock);
	free(frontend);
}

bool pv_vhu_frontend_is_connected(struct pv_vhu_frontend *frontend)
{
	struct pollfd fd = { .fd = frontend->socket, .events = POLLRDHUP };

	if (pv_vhu_frontend_failure(frontend))
		return false;
	if (poll(&fd, 1, 0) <= 0 || !(fd.revents & (POLLRDHUP | POLLHUP | POLLERR | POLLNVAL)))
		return true;
	pv_vhu_frontend_fail(frontend, -ECONNRESET, "the back-end has closed the connection");
	return false;
}

bool pv_vhu_frontend_has_failed(const struct pv_vhu_frontend *frontend)
{
	return pv_vhu_frontend_failure(frontend) != 0;
}

pid_t pv_vhu_frontend_peer(const struct pv_vhu_frontend *frontend)
{
	return frontend->peer;
}

int pv_vhu_frontend_socket(const struct pv_vhu_frontend *frontend)
{
	return frontend->socket;
}

uint32_t pv_vhu_frontend_config_changes(const struct pv_vhu_frontend *frontend)
{
	return __atomic_load_n(&frontend->config_changes, __ATOMIC_ACQUIRE);
}
