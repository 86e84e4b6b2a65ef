/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The back-end's life: listen, serve a connection, leave it, listen again.
 *
 * #syscalls accept4 close shutdown timerfd_create
 */
#define _GNU_SOURCE
#include "hosted/vhost_user/backend_internal.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "ring/err.h"

static void begin_leaving(struct pv_vhu_backend *backend);
static void try_accept(struct pv_vhu_backend *backend);
static void read_messages(struct pv_vhu_backend *backend);

/* Lines about one front-end, and messages of it that are read in one go. */
#define COMPLAINTS_MAX 16u
#define MESSAGES_MAX   64u

void pv_vhu_log(struct pv_vhu_backend *backend, enum pv_log_level level, const char *format, ...)
{
	char line[160];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(line, sizeof(line), format, arguments);
	va_end(arguments);
	pv_host_log(backend->options.host, level, line);
}

void pv_vhu_complain(struct pv_vhu_backend *backend, const char *format, ...)
{
	char line[160];
	va_list arguments;

	if (backend->complaints > COMPLAINTS_MAX)
		return;
	if (backend->complaints++ == COMPLAINTS_MAX) {
		pv_vhu_log(backend, PV_LOG_WARNING,
		           "no more is said about what this front-end does wrong");
		return;
	}
	va_start(arguments, format);
	vsnprintf(line, sizeof(line), format, arguments);
	va_end(arguments);
	pv_vhu_log(backend, PV_LOG_WARNING, "%s", line);
}

/* ---- turns ---- */

/*
 * A front-end that sends without end, or one after the other that comes and goes, would keep
 * everything else from the control loop.
 */
static void go_on_later(struct pv_vhu_backend *backend)
{
	if (backend->is_go_on_posted)
		return;
	backend->is_go_on_posted = true;
	pv_loop_post(backend->options.control, &backend->go_on_message);
}

/* Everything has ended; but a message of ours that is under way must have come back. */
static void tell_stopped(struct pv_vhu_backend *backend)
{
	struct pv_waiter stopped = backend->stopped;

	if (backend->is_go_on_posted)
		return;
	backend->stopped = (struct pv_waiter){ 0 };
	if (stopped.call)
		stopped.call(stopped.arg);
}

static void go_on(struct pv_loop_message *message)
{
	struct pv_vhu_backend *backend =
		(void *)((char *)message - offsetof(struct pv_vhu_backend, go_on_message));

	backend->is_go_on_posted = false;
	if (backend->phase == PV_VHU_STOPPED)
		tell_stopped(backend);
	else if (backend->phase == PV_VHU_LISTENING)
		try_accept(backend);
	else
		read_messages(backend);
}

/* ---- answers ---- */

enum pv_vhu_handled pv_vhu_reply(struct pv_vhu_backend *backend, const struct pv_vhu_message *to,
                                 const void *payload, uint32_t bytes)
{
	return pv_vhu_reply_fd(backend, to, payload, bytes, -1);
}

enum pv_vhu_handled pv_vhu_reply_fd(struct pv_vhu_backend *backend, const struct pv_vhu_message *to,
                                    const void *payload, uint32_t bytes, int fd)
{
	uint8_t reply[sizeof(struct vhost_user_header) + sizeof(union vhost_user_payload)];
	uint32_t size = pv_vhu_encode(reply, to->request,
	                              VHOST_USER_VERSION | VHOST_USER_FLAG_REPLY, payload, bytes);

	/* A front-end that leaves so many answers unread is not worth waiting for. */
	if (pv_vhu_send(backend->socket, reply, size, &fd, fd >= 0) != (int)size)
		return PV_VHU_FATAL;
	return PV_VHU_REPLIED;
}

static enum pv_vhu_handled acknowledge(struct pv_vhu_backend *backend,
                                       const struct pv_vhu_message *message, uint64_t failure)
{
	bool is_asked = backend->protocol_features & VHOST_USER_PROTOCOL_F_REPLY_ACK &&
	                message->flags & VHOST_USER_FLAG_NEED_REPLY;

	if (is_asked)
		return pv_vhu_reply(backend, message, &failure, sizeof(failure));
	/* Where it cannot be said that something failed, going on would hide it. */
	return failure ? PV_VHU_FATAL : PV_VHU_OK;
}

/* The answer to GET_VRING_BASE, once the ring has stopped. */
static enum pv_vhu_handled reply_base(struct pv_vhu_backend *backend,
                                      const struct pv_vhu_message *message)
{
	struct vhost_user_vring_state state = message->payload.state;

	state.num = backend->vring[state.index].base;
	pv_host_set_kick(backend->options.host, (uint16_t)state.index, -1, false);
	return pv_vhu_reply(backend, message, &state, sizeof(state));
}

/* One that was carried out and has not been answered yet. */
static enum pv_vhu_handled reply_done(struct pv_vhu_backend *backend,
                                      const struct pv_vhu_message *message)
{
	const uint64_t success = 0;

	switch (message->request) {
	case VHOST_USER_GET_VRING_BASE:
		return reply_base(backend, message);
	case VHOST_USER_SET_LOG_BASE:
		/* With LOG_SHMFD it is answered, asked for or not. */
		return pv_vhu_reply(backend, message, &success, sizeof(success));
	default:
		return acknowledge(backend, message, 0);
	}
}

/* Ends a message. Returns false if the connection ends with it. */
static bool conclude(struct pv_vhu_backend *backend, const struct pv_vhu_message *message,
                     enum pv_vhu_handled handled)
{
	if (handled == PV_VHU_OK)
		handled = reply_done(backend, message);
	else if (handled == PV_VHU_REFUSED)
		handled = acknowledge(backend, message, 1);
	if (handled == PV_VHU_FATAL)
		pv_vhu_log(backend, PV_LOG_WARNING, "the front-end is dropped after %s",
		           pv_vhu_request_name(PV_VHU_FROM_FRONTEND, message->request));
	return handled != PV_VHU_FATAL;
}

/* ---- reading ---- */

/* Handles one message. Returns false when reading has to pause or end. */
static bool handle_message(struct pv_vhu_backend *backend, struct pv_vhu_message *message)
{
	enum pv_vhu_handled handled;

	/* An answer may come before the handler is through: the message must be at hand by then. */
	backend->pending = *message;
	backend->pending.fds = 0;
	backend->phase = PV_VHU_WAITING;
	handled = pv_vhu_handle(backend, message);
	pv_vhu_message_close(message);
	if (handled == PV_VHU_LATER)
		return backend->phase == PV_VHU_CONNECTED && !backend->must_leave;
	backend->phase = PV_VHU_CONNECTED;
	if (!conclude(backend, &backend->pending, handled))
		backend->must_leave = true;
	return !backend->must_leave;
}

/* Reads one message. Returns false when there is nothing more to read, for now or at all. */
static bool read_message(struct pv_vhu_backend *backend)
{
	switch (pv_vhu_receive(backend->socket, &backend->decoder)) {
	case PV_VHU_RECEIVED:
		return handle_message(backend, &backend->decoder.message);
	case PV_VHU_NOT_YET:
		return false;
	case PV_VHU_CLOSED:
		pv_vhu_log(backend, PV_LOG_INFO, "the front-end has left");
		break;
	case PV_VHU_BAD:
		pv_vhu_log(backend, PV_LOG_WARNING, "the front-end is dropped: %s",
		           backend->decoder.error);
		break;
	}
	backend->must_leave = true;
	return false;
}

static void read_messages(struct pv_vhu_backend *backend)
{
	uint32_t more = MESSAGES_MAX;

	if (backend->is_reading || backend->phase != PV_VHU_CONNECTED)
		return;
	backend->is_reading = true;
	while (!backend->must_leave && more > 0 && read_message(backend))
		more--;
	backend->is_reading = false;
	if (more == 0)
		go_on_later(backend);
	if (backend->must_leave && backend->phase == PV_VHU_CONNECTED)
		begin_leaving(backend);
}

void pv_vhu_backend_answered(struct pv_vhu_backend *backend, enum pv_vhu_handled handled)
{
	pv_bug_on(backend->phase != PV_VHU_WAITING);
	backend->phase = PV_VHU_CONNECTED;
	if (!conclude(backend, &backend->pending, handled))
		backend->must_leave = true;
	if (backend->is_reading)
		return;
	if (backend->must_leave)
		begin_leaving(backend);
	else
		read_messages(backend);
}

static void socket_ready(void *arg, int events)
{
	(void)events;
	read_messages(arg);
}

/* ---- connections ---- */

void pv_vhu_backend_connect(struct pv_vhu_backend *backend, int socket)
{
	backend->socket = socket;
	backend->phase = PV_VHU_CONNECTED;
	backend->must_leave = false;
	backend->complaints = 0;
	backend->protocol_features = 0;
	pv_vhu_decoder_init(&backend->decoder, PV_VHU_FROM_FRONTEND);
	pv_host_set_transport(backend->options.host, &pv_vhu_host_ops, backend);
	pv_vhu_log(backend, PV_LOG_INFO, "a front-end has connected");
	backend->socket_watch =
		pv_loop_watch(backend->options.control, socket, POLLIN, socket_ready, backend);
	if (!backend->socket_watch)
		backend->must_leave = true;
	read_messages(backend);
}

/* Nothing of the connection is in use any more. */
static void forget_connection(struct pv_vhu_backend *backend)
{
	pv_host_set_transport(backend->options.host, NULL, NULL);
	pv_vhu_vrings_forget(backend);
	pv_vhu_channel_close(backend);
	pv_vhu_log_forget(backend);
	pv_vhu_state_forget(backend);
	pv_device_mem_set(backend->options.device, NULL);
	pv_vhu_memory_destroy(backend->memory);
	backend->memory = NULL;
	pv_vhu_inflight_forget(backend);
}

static void left(void *arg)
{
	struct pv_vhu_backend *backend = arg;

	forget_connection(backend);
	backend->phase = PV_VHU_LISTENING;
	if (backend->stopped.call) {
		backend->phase = PV_VHU_STOPPED;
		tell_stopped(backend);
	} else if (backend->options.listen_fd < 0) {
		backend->phase = PV_VHU_STOPPED;
		if (backend->options.finished)
			backend->options.finished(backend->options.finished_arg);
	} else {
		go_on_later(backend);
	}
}

/* No message waits for an answer: the connection ends, and the device with it. */
static void begin_leaving(struct pv_vhu_backend *backend)
{
	backend->phase = PV_VHU_LEAVING;
	if (backend->socket_watch)
		pv_loop_unwatch(backend->options.control, backend->socket_watch);
	backend->socket_watch = NULL;
	close(backend->socket);
	backend->socket = -1;
	/* A reset that the driver began is waited for in its place. */
	if (pv_device_reset(backend->options.device, (struct pv_waiter){ left, backend }))
		backend->options.device->reset_waiter = (struct pv_waiter){ left, backend };
}

static void try_accept(struct pv_vhu_backend *backend)
{
	int socket;

	if (backend->phase != PV_VHU_LISTENING)
		return;
	socket = accept4(backend->options.listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (socket >= 0)
		pv_vhu_backend_connect(backend, socket);
	else if (errno != EAGAIN && errno != ECONNABORTED && errno != EINTR)
		pv_vhu_log(backend, PV_LOG_ERROR, "no connection can be accepted: %s",
		           strerror(errno));
}

static void listen_ready(void *arg, int events)
{
	(void)events;
	try_accept(arg);
}

/* ---- the whole ---- */

static void destroy(struct pv_vhu_backend *backend)
{
	if (backend->lock_wait.timer_fd >= 0)
		close(backend->lock_wait.timer_fd);
	free(backend->vring);
	free(backend);
}

int pv_vhu_backend_create(struct pv_vhu_backend **result,
                          const struct pv_vhu_backend_options *options)
{
	struct pv_vhu_backend *backend = calloc(1, sizeof(*backend));

	if (!backend)
		return -ENOMEM;
	backend->options = *options;
	backend->socket = -1;
	backend->go_on_message.run = go_on;
	pv_vhu_channel_init(backend);
	backend->vring = calloc(options->device->queues, sizeof(*backend->vring));
	backend->lock_wait.timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (!backend->vring || backend->lock_wait.timer_fd < 0) {
		destroy(backend);
		return -ENOMEM;
	}
	for (uint16_t i = 0; i < options->device->queues; i++)
		backend->vring[i].err_fd = -1;
	if (options->listen_fd >= 0) {
		backend->listen_watch = pv_loop_watch(options->control, options->listen_fd, POLLIN,
		                                      listen_ready, backend);
		if (!backend->listen_watch) {
			destroy(backend);
			return -ENOMEM;
		}
	}
	*result = backend;
	return 0;
}

void pv_vhu_backend_drop(struct pv_vhu_backend *backend, const char *why)
{
	if (backend->phase != PV_VHU_CONNECTED && backend->phase != PV_VHU_WAITING)
		return;
	pv_vhu_log(backend, PV_LOG_WARNING, "the front-end is dropped: %s", why);
	backend->must_leave = true;
	if (backend->phase == PV_VHU_CONNECTED && !backend->is_reading)
		begin_leaving(backend);
}

void pv_vhu_backend_stop(struct pv_vhu_backend *backend, void (*done)(void *arg), void *arg)
{
	backend->stopped = (struct pv_waiter){ done, arg };
	if (backend->listen_watch)
		pv_loop_unwatch(backend->options.control, backend->listen_watch);
	backend->listen_watch = NULL;
	backend->must_leave = true;
	if (backend->phase == PV_VHU_LISTENING || backend->phase == PV_VHU_STOPPED) {
		backend->phase = PV_VHU_STOPPED;
		tell_stopped(backend);
	} else if (backend->phase == PV_VHU_CONNECTED && !backend->is_reading) {
		begin_leaving(backend);
	}
}

void pv_vhu_backend_destroy(struct pv_vhu_backend *backend)
{
	if (backend->options.listen_fd >= 0)
		close(backend->options.listen_fd);
	destroy(backend);
}
