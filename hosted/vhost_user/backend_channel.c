/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a back-end tells its front-end unasked: that the configuration changed, that a queue broke,
 * and, with in-band notifications, that a queue has used buffers.
 *
 * Calls come from the lanes' threads.  One small message fits into the socket whole or not at all;
 * where it does not fit, the control side sends it when there is room again.
 *
 * #syscalls sendto sendmsg write poll fstat newfstatat close
 */
#include "hosted/vhost_user/backend_internal.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

static int send_request(struct pv_vhu_backend *backend, uint32_t request, const void *payload,
                        uint32_t bytes)
{
	uint8_t message[sizeof(struct vhost_user_header) + sizeof(struct vhost_user_vring_state)];
	uint32_t size = pv_vhu_encode(message, request, VHOST_USER_VERSION, payload, bytes);
	int sent = pv_vhu_send(backend->channel, message, size, NULL, 0);

	return sent < 0 ? sent : 0;
}

static bool has_protocol_feature(const struct pv_vhu_backend *backend, uint64_t feature)
{
	return backend->protocol_features & feature;
}

static int send_vring(struct pv_vhu_backend *backend, uint32_t request, uint16_t queue)
{
	struct vhost_user_vring_state state = { .index = queue };

	return send_request(backend, request, &state, sizeof(state));
}

/* Sends what is due, unless there is no room: then it stays due. Returns whether there was. */
static bool send_due(struct pv_vhu_backend *backend, bool *is_due, uint32_t request,
                     const struct vhost_user_vring_state *state)
{
	if (!__atomic_exchange_n(is_due, false, __ATOMIC_ACQ_REL))
		return true;
	if (send_request(backend, request, state, state ? sizeof(*state) : 0) != -EAGAIN)
		return true;
	__atomic_store_n(is_due, true, __ATOMIC_RELEASE);
	return false;
}

static bool send_all_due(struct pv_vhu_backend *backend)
{
	bool has_room;

	if (backend->channel < 0)
		return true;
	has_room = send_due(backend, &backend->is_config_change_due,
	                    VHOST_USER_BACKEND_CONFIG_CHANGE_MSG, NULL);
	for (uint16_t i = 0; has_room && i < backend->options.device->queues; i++) {
		const struct vhost_user_vring_state state = { .index = i };
		struct pv_vhu_vring *vring = &backend->vring[i];

		has_room = send_due(backend, &vring->is_err_due, VHOST_USER_BACKEND_VRING_ERR,
		                    &state) &&
		           send_due(backend, &vring->is_call_due, VHOST_USER_BACKEND_VRING_CALL,
		                    &state);
	}
	return has_room;
}

static void channel_ready(void *arg, int events)
{
	(void)events;
	send_all_due(arg);
}

/* The socket is watched once it was full: it tells when there is room again. */
static void send_or_wait(struct pv_vhu_backend *backend)
{
	if (send_all_due(backend) || backend->channel_watch)
		return;
	backend->channel_watch = pv_loop_watch(backend->options.control, backend->channel, POLLOUT,
	                                       channel_ready, backend);
	/* There may have been room before the watch. */
	send_all_due(backend);
}

static void calls_are_due(struct pv_loop_message *message)
{
	struct pv_vhu_backend *backend =
		(void *)((char *)message - offsetof(struct pv_vhu_backend, call_message));

	__atomic_store_n(&backend->is_call_message_out, false, __ATOMIC_RELEASE);
	send_or_wait(backend);
}

/* A lane's thread. */
static void call(void *arg, uint16_t queue)
{
	struct pv_vhu_backend *backend = arg;

	if (!has_protocol_feature(backend, VHOST_USER_PROTOCOL_F_INBAND_NOTIFICATIONS) ||
	    backend->channel < 0)
		return;
	if (send_vring(backend, VHOST_USER_BACKEND_VRING_CALL, queue) != -EAGAIN)
		return;
	__atomic_store_n(&backend->vring[queue].is_call_due, true, __ATOMIC_RELEASE);
	if (!__atomic_exchange_n(&backend->is_call_message_out, true, __ATOMIC_ACQ_REL))
		pv_loop_post(backend->options.control, &backend->call_message);
}

/* Anything but an eventfd, which has no type of file, or a socket could be made to block us. */
bool pv_vhu_can_be_told(int fd)
{
	struct stat status;

	return fstat(fd, &status) == 0 &&
	       (S_ISSOCK(status.st_mode) || (status.st_mode & S_IFMT) == 0);
}

/* Never waits: a counter or a buffer that is full has told already. */
static void tell(int fd)
{
	const uint64_t one = 1;
	struct pollfd writable = { .fd = fd, .events = POLLOUT };

	if (send(fd, &one, sizeof(one), MSG_DONTWAIT | MSG_NOSIGNAL) >= 0 || errno != ENOTSOCK)
		return;
	if (poll(&writable, 1, 0) > 0)
		(void)!write(fd, &one, sizeof(one));
}

static void tell_of_broken_queue(struct pv_vhu_backend *backend, uint16_t queue)
{
	int fd = backend->vring[queue].err_fd;

	if (fd >= 0)
		tell(fd);
	else if (has_protocol_feature(backend, VHOST_USER_PROTOCOL_F_INBAND_NOTIFICATIONS))
		backend->vring[queue].is_err_due = true;
}

static void config_changed(void *arg)
{
	struct pv_vhu_backend *backend = arg;
	struct pv_device *device = backend->options.device;

	if (has_protocol_feature(backend, VHOST_USER_PROTOCOL_F_CONFIG))
		backend->is_config_change_due = true;
	if (pv_device_status(device) & VIRTIO_STATUS_NEEDS_RESET)
		for (uint16_t i = 0; i < device->queues; i++)
			if (device->queue[i].is_broke_reported)
				tell_of_broken_queue(backend, i);
	send_or_wait(backend);
}

const struct pv_host_ops pv_vhu_host_ops = {
	.call = call,
	.config_changed = config_changed,
};

void pv_vhu_channel_init(struct pv_vhu_backend *backend)
{
	backend->channel = -1;
	backend->call_message.run = calls_are_due;
}

void pv_vhu_channel_close(struct pv_vhu_backend *backend)
{
	if (backend->channel_watch)
		pv_loop_unwatch(backend->options.control, backend->channel_watch);
	backend->channel_watch = NULL;
	if (backend->channel >= 0)
		close(backend->channel);
	backend->channel = -1;
	backend->is_config_change_due = false;
	for (uint16_t i = 0; i < backend->options.device->queues; i++)
		backend->vring[i].is_err_due = backend->vring[i].is_call_due = false;
}

/* Lanes use the channel while queues run, so it is replaced only while none does. */
enum pv_vhu_handled pv_vhu_channel_set(struct pv_vhu_backend *backend, int fd)
{
	if (!pv_device_is_idle(backend->options.device)) {
		close(fd);
		return PV_VHU_REFUSED;
	}
	pv_vhu_channel_close(backend);
	backend->channel = fd;
	return PV_VHU_OK;
}
