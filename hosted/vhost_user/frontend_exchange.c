/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The front-end's conversation: requests and answers, and the back-end's channel beside them.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "hosted/loop/clock.h"
#include "hosted/vhost_user/frontend_internal.h"
#include "hosted/vhost_user/wire.h"

/* A back-end that fills its channel without end gets its turn, and so does everybody else. */
#define CHANNEL_BURST 64u

/* ---- errors ---- */

int pv_vhu_frontend_refuse(struct pv_vhu_frontend *frontend, int code, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(frontend->refusal, sizeof(frontend->refusal), format, arguments);
	va_end(arguments);
	return code;
}

int pv_vhu_frontend_fail(struct pv_vhu_frontend *frontend, int code, const char *format, ...)
{
	va_list arguments;

	if (__atomic_exchange_n(&frontend->is_failure_claimed, 1, __ATOMIC_ACQ_REL))
		return code;
	va_start(arguments, format);
	vsnprintf(frontend->failure_sentence, sizeof(frontend->failure_sentence), format,
	          arguments);
	va_end(arguments);
	__atomic_store_n(&frontend->failure, code, __ATOMIC_RELEASE);
	return code;
}

const char *pv_vhu_frontend_error(const struct pv_vhu_frontend *frontend)
{
	return pv_vhu_frontend_failure(frontend) ? frontend->failure_sentence : frontend->refusal;
}

static const char *name_of(uint32_t request)
{
	return pv_vhu_request_name(PV_VHU_FROM_FRONTEND, request);
}

/* ---- the back-end's channel ---- */

static int channel_answer(struct pv_vhu_frontend *frontend, uint32_t request)
{
	uint8_t bytes[sizeof(struct vhost_user_header) + sizeof(uint64_t)];
	uint64_t done = 0;
	uint32_t count = pv_vhu_encode(bytes, request, VHOST_USER_FLAG_REPLY, &done, sizeof(done));

	if (pv_vhu_send(frontend->channel, bytes, count, NULL, 0) == (int)count)
		return 0;
	return pv_vhu_frontend_fail(frontend, -EPROTO,
	                            "the back-end does not read the answers on its channel");
}

static int channel_take(struct pv_vhu_frontend *frontend, const struct pv_vhu_message *message)
{
	if (message->request == VHOST_USER_BACKEND_CONFIG_CHANGE_MSG)
		__atomic_add_fetch(&frontend->config_changes, 1, __ATOMIC_RELEASE);
	else if (frontend->notified)
		frontend->notified(frontend->notified_arg, message->request,
		                   message->payload.state.index);
	if (message->flags & VHOST_USER_FLAG_NEED_REPLY)
		return channel_answer(frontend, message->request);
	return 0;
}

static int channel_serve_locked(struct pv_vhu_frontend *frontend)
{
	struct pv_vhu_decoder *requests = &frontend->requests;
	int code = 0;

	for (uint32_t i = 0; code == 0 && i < CHANNEL_BURST; i++) {
		switch (pv_vhu_receive(frontend->channel, requests)) {
		case PV_VHU_RECEIVED:
			code = channel_take(frontend, &requests->message);
			break;
		case PV_VHU_NOT_YET:
			return 0;
		case PV_VHU_CLOSED:
			__atomic_store_n(&frontend->is_channel_closed, true, __ATOMIC_RELEASE);
			return 0;
		case PV_VHU_BAD:
			code = pv_vhu_frontend_fail(frontend, -EPROTO, "the back-end's channel: %s",
			                            requests->error);
		}
	}
	return code;
}

int pv_vhu_frontend_channel(const struct pv_vhu_frontend *frontend)
{
	if (__atomic_load_n(&frontend->is_channel_closed, __ATOMIC_ACQUIRE))
		return -1;
	return frontend->channel;
}

int pv_vhu_frontend_channel_serve(struct pv_vhu_frontend *frontend)
{
	int code = pv_vhu_frontend_failure(frontend);

	if (code)
		return code;
	pthread_mutex_lock(&frontend->channel_lock);
	if (pv_vhu_frontend_channel(frontend) >= 0)
		code = channel_serve_locked(frontend);
	pthread_mutex_unlock(&frontend->channel_lock);
	return code;
}

/* ---- a request and its answer ---- */

/* Until the socket is ready, serving the channel meanwhile. */
static int socket_wait(struct pv_vhu_frontend *frontend, short events, uint64_t deadline_ns)
{
	for (;;) {
		struct pollfd fds[] = { { .fd = frontend->socket, .events = events },
			                { .fd = pv_vhu_frontend_channel(frontend),
			                  .events = POLLIN } };
		uint64_t now = pv_clock_ns(CLOCK_MONOTONIC);
		uint64_t left = now < deadline_ns ? deadline_ns - now : 0;
		struct timespec wait = { (time_t)(left / 1000000000u), (long)(left % 1000000000u) };
		int ready;

		if (left == 0)
			return -ETIMEDOUT;
		ready = ppoll(fds, 2, &wait, NULL);
		if (ready < 0 && errno != EINTR)
			return -errno;
		if (ready > 0 && fds[1].revents) {
			int code = pv_vhu_frontend_channel_serve(frontend);

			if (code)
				return code;
		}
		if (ready > 0 && fds[0].revents)
			return 0;
	}
}

/* The sentence for a wait or a system call that failed under a request. */
static int call_failed(struct pv_vhu_frontend *frontend, uint32_t request, int code)
{
	if (code == -ETIMEDOUT)
		return pv_vhu_frontend_fail(frontend, code, "%s: no answer within %u ms",
		                            name_of(request), frontend->timeout_ms);
	if (code == -EPIPE || code == -ECONNRESET)
		return pv_vhu_frontend_fail(frontend, -ECONNRESET,
		                            "%s: the back-end has closed the connection",
		                            name_of(request));
	return pv_vhu_frontend_fail(frontend, code, "%s: %s", name_of(request), strerror(-code));
}

static int message_send(struct pv_vhu_frontend *frontend, const struct pv_vhu_call *call,
                        uint32_t flags, uint64_t deadline_ns)
{
	uint8_t bytes[sizeof(struct vhost_user_header) + sizeof(union vhost_user_payload)];
	uint32_t count = pv_vhu_encode(bytes, call->request, flags, call->payload, call->bytes);
	uint32_t sent = 0;

	while (sent < count) {
		int code = pv_vhu_send(frontend->socket, bytes + sent, count - sent, call->fd,
		                       sent ? 0 : call->fds);

		if (code > 0)
			sent += (uint32_t)code;
		else if (code == -EAGAIN)
			code = socket_wait(frontend, POLLOUT, deadline_ns);
		if (code < 0)
			return call_failed(frontend, call->request, code);
	}
	return 0;
}

static int answer_wait(struct pv_vhu_frontend *frontend, uint32_t request, uint64_t deadline_ns)
{
	struct pv_vhu_decoder *replies = &frontend->replies;

	for (;;) {
		int code;

		switch (pv_vhu_receive(frontend->socket, replies)) {
		case PV_VHU_RECEIVED:
			if (replies->message.request == request)
				return 0;
			return pv_vhu_frontend_fail(frontend, -EPROTO, "%s answered by %s",
			                            name_of(request),
			                            name_of(replies->message.request));
		case PV_VHU_CLOSED:
			return call_failed(frontend, request, -ECONNRESET);
		case PV_VHU_BAD:
			return pv_vhu_frontend_fail(frontend, -EPROTO, "%s: %s", name_of(request),
			                            replies->error);
		case PV_VHU_NOT_YET:
			code = socket_wait(frontend, POLLIN, deadline_ns);
			if (code)
				return call_failed(frontend, request, code);
		}
	}
}

static bool has_own_answer(uint32_t request)
{
	switch (request) {
	case VHOST_USER_GET_FEATURES:
	case VHOST_USER_GET_PROTOCOL_FEATURES:
	case VHOST_USER_GET_VRING_BASE:
	case VHOST_USER_GET_QUEUE_NUM:
	case VHOST_USER_GET_CONFIG:
	case VHOST_USER_GET_MAX_MEM_SLOTS:
	case VHOST_USER_GET_STATUS:
	case VHOST_USER_SET_LOG_BASE:
	case VHOST_USER_SET_DEVICE_STATE_FD:
	case VHOST_USER_CHECK_DEVICE_STATE:
	case VHOST_USER_GET_INFLIGHT_FD:
		return true;
	default:
		return false;
	}
}

static int exchange(struct pv_vhu_frontend *frontend, const struct pv_vhu_call *call,
                    struct pv_vhu_message *reply)
{
	uint64_t deadline_ns =
		pv_clock_ns(CLOCK_MONOTONIC) + (uint64_t)frontend->timeout_ms * 1000000u;
	bool is_answered = has_own_answer(call->request);
	bool is_acknowledged = !is_answered &&
	                       (frontend->protocol_features & VHOST_USER_PROTOCOL_F_REPLY_ACK);
	int code = pv_vhu_frontend_failure(frontend);

	if (!code)
		code = message_send(frontend, call,
		                    is_acknowledged ? VHOST_USER_FLAG_NEED_REPLY : 0, deadline_ns);
	if (!code && (is_answered || is_acknowledged))
		code = answer_wait(frontend, call->request, deadline_ns);
	if (code)
		return code;
	if (is_acknowledged && frontend->replies.message.payload.u64)
		return pv_vhu_frontend_refuse(frontend, -EREMOTEIO, "the back-end refuses %s",
		                              name_of(call->request));
	if (reply) {
		*reply = frontend->replies.message;
		frontend->replies.message.fds = 0;
	}
	return 0;
}

int pv_vhu_frontend_call(struct pv_vhu_frontend *frontend, const struct pv_vhu_call *call,
                         struct pv_vhu_message *reply)
{
	int code;

	if (call->bytes > sizeof(union vhost_user_payload) || call->fds > VHOST_USER_FDS)
		return -EINVAL;
	pthread_mutex_lock(&frontend->call_lock);
	code = exchange(frontend, call, reply);
	pthread_mutex_unlock(&frontend->call_lock);
	return code;
}

int pv_vhu_frontend_vring_kick(struct pv_vhu_frontend *frontend, uint32_t index)
{
	struct vhost_user_vring_state state = { .index = index };
	struct pv_vhu_call call = { .request = VHOST_USER_VRING_KICK,
		                    .payload = &state,
		                    .bytes = sizeof(state) };
	uint64_t deadline_ns =
		pv_clock_ns(CLOCK_MONOTONIC) + (uint64_t)frontend->timeout_ms * 1000000u;
	int code = pv_vhu_frontend_failure(frontend);

	if (code)
		return code;
	if (!(frontend->protocol_features & VHOST_USER_PROTOCOL_F_INBAND_NOTIFICATIONS))
		return -ENOTSUP;
	pthread_mutex_lock(&frontend->call_lock);
	code = message_send(frontend, &call, 0, deadline_ns);
	pthread_mutex_unlock(&frontend->call_lock);
	return code;
}
