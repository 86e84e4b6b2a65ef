/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The messages of a front-end, one function each: those about the device as a whole, and the table
 * of all. The others are where their subject is: backend_memory.c, _rings.c, _log.c, _state.c and
 * _inflight.c.
 *
 * The codec has checked that a message is complete and has the payload and descriptors that belong
 * to its request; in its function its values are checked and it is carried out.
 */
#include "hosted/vhost_user/backend_internal.h"

#include <string.h>

#include "abi/virtio_ids.h"
#include "ring/err.h"

#define PROTOCOL_FEATURES                                                                          \
	(VHOST_USER_PROTOCOL_F_MQ | VHOST_USER_PROTOCOL_F_LOG_SHMFD |                              \
	 VHOST_USER_PROTOCOL_F_REPLY_ACK | VHOST_USER_PROTOCOL_F_BACKEND_REQ |                     \
	 VHOST_USER_PROTOCOL_F_CONFIG | VHOST_USER_PROTOCOL_F_RESET_DEVICE |                       \
	 VHOST_USER_PROTOCOL_F_INBAND_NOTIFICATIONS | VHOST_USER_PROTOCOL_F_CONFIGURE_MEM_SLOTS |  \
	 VHOST_USER_PROTOCOL_F_STATUS | VHOST_USER_PROTOCOL_F_DEVICE_STATE |                       \
	 VHOST_USER_PROTOCOL_F_INFLIGHT_SHMFD)

/* Not the device's: they are split off before it sees them. */
#define VHOST_BITS (VHOST_USER_F_PROTOCOL_FEATURES | VHOST_F_LOG_ALL)

enum pv_vhu_handled pv_vhu_refuse(struct pv_vhu_backend *backend,
                                  const struct pv_vhu_message *message, const char *why)
{
	pv_vhu_complain(backend, "%s refused: %s",
	                pv_vhu_request_name(PV_VHU_FROM_FRONTEND, message->request), why);
	return PV_VHU_REFUSED;
}

enum pv_vhu_handled pv_vhu_reply_u64(struct pv_vhu_backend *backend,
                                     const struct pv_vhu_message *message, uint64_t value)
{
	return pv_vhu_reply(backend, message, &value, sizeof(value));
}

int pv_vhu_take_fd(struct pv_vhu_message *message)
{
	int fd = message->fds > 0 ? message->fd[0] : -1;

	if (message->fds > 0)
		message->fd[0] = -1;
	return fd;
}

/* ---- features, status, configuration ---- */

static pv_vhu_handler do_nothing, get_features, set_features, get_protocol_features,
	set_protocol_features, get_queue_num, get_config, set_config, get_status, set_status,
	reset_device, set_backend_req_fd;

static enum pv_vhu_handled do_nothing(struct pv_vhu_backend *backend,
                                      struct pv_vhu_message *message)
{
	(void)backend;
	(void)message;
	return PV_VHU_OK;
}

static enum pv_vhu_handled get_features(struct pv_vhu_backend *backend,
                                        struct pv_vhu_message *message)
{
	return pv_vhu_reply_u64(backend, message,
	                        pv_device_features(backend->options.device) | VHOST_BITS);
}

static enum pv_vhu_handled set_features(struct pv_vhu_backend *backend,
                                        struct pv_vhu_message *message)
{
	struct pv_device *device = backend->options.device;
	uint64_t features = message->payload.u64;

	switch (pv_device_features_set(device, features & ~VHOST_BITS)) {
	case 0:
		break;
	case -PV_EBUSY:
		return pv_vhu_refuse(backend, message, "queues are running");
	default:
		return pv_vhu_refuse(backend, message, "features that were not offered");
	}
	/* Without the protocol features a ring is enabled from the beginning. */
	if (!(features & VHOST_USER_F_PROTOCOL_FEATURES))
		for (uint16_t i = 0; i < device->queues; i++)
			backend->vring[i].is_enabled = true;
	return pv_vhu_log_turn(backend, features & VHOST_F_LOG_ALL);
}

static enum pv_vhu_handled get_protocol_features(struct pv_vhu_backend *backend,
                                                 struct pv_vhu_message *message)
{
	uint64_t features = PROTOCOL_FEATURES | pv_vhu_net_protocol_features(backend);

	if (backend->options.no_inband)
		features &= ~VHOST_USER_PROTOCOL_F_INBAND_NOTIFICATIONS;
	/* A front-end that has no use for it may take the offer for a mistake (QEMU warns). */
	if (backend->options.device->ops->virtio->config_bytes == 0)
		features &= ~VHOST_USER_PROTOCOL_F_CONFIG;
	return pv_vhu_reply_u64(backend, message, features);
}

static enum pv_vhu_handled set_protocol_features(struct pv_vhu_backend *backend,
                                                 struct pv_vhu_message *message)
{
	const uint64_t needed = VHOST_USER_PROTOCOL_F_BACKEND_REQ | VHOST_USER_PROTOCOL_F_REPLY_ACK;
	uint64_t features = message->payload.u64;

	if (features & ~(PROTOCOL_FEATURES | pv_vhu_net_protocol_features(backend)))
		return pv_vhu_refuse(backend, message, "features that were not offered");
	if (features & VHOST_USER_PROTOCOL_F_INBAND_NOTIFICATIONS &&
	    (features & needed) != needed) {
		pv_vhu_refuse(backend, message,
		              "in-band notifications need BACKEND_REQ and REPLY_ACK");
		return PV_VHU_FATAL;
	}
	backend->protocol_features = features;
	return PV_VHU_OK;
}

/* Of a network front-ends mean pairs, without the control queue. */
static enum pv_vhu_handled get_queue_num(struct pv_vhu_backend *backend,
                                         struct pv_vhu_message *message)
{
	const struct pv_device *device = backend->options.device;
	bool is_network = device->ops->virtio->id == VIRTIO_ID_NET;

	return pv_vhu_reply_u64(backend, message,
	                        is_network ? device->queues / 2u : device->queues);
}

/* Front-ends of later specifications ask for more than there is: those fields read as zero. */
static enum pv_vhu_handled get_config(struct pv_vhu_backend *backend,
                                      struct pv_vhu_message *message)
{
	const struct pv_device *device = backend->options.device;
	struct vhost_user_config *config = &message->payload.config;
	uint32_t have = device->ops->virtio->config_bytes;
	uint32_t bytes = config->size;

	memset(config->data, 0, sizeof(config->data));
	if (config->offset >= have)
		bytes = 0;
	else if (bytes > have - config->offset)
		bytes = have - config->offset;
	if (config->offset > VHOST_USER_CONFIG_BYTES ||
	    (bytes > 0 && pv_device_config_read(device, config->offset, config->data, bytes)))
		return pv_vhu_reply(backend, message, NULL, 0);
	return pv_vhu_reply(backend, message, config,
	                    (uint32_t)offsetof(struct vhost_user_config, data) + config->size);
}

static enum pv_vhu_handled set_config(struct pv_vhu_backend *backend,
                                      struct pv_vhu_message *message)
{
	const struct vhost_user_config *config = &message->payload.config;

	if (pv_device_config_write(backend->options.device, config->offset, config->data,
	                           config->size))
		return pv_vhu_refuse(backend, message, "not a field that the driver may write");
	return PV_VHU_OK;
}

static enum pv_vhu_handled get_status(struct pv_vhu_backend *backend,
                                      struct pv_vhu_message *message)
{
	return pv_vhu_reply_u64(backend, message, pv_device_status(backend->options.device));
}

static void device_was_reset(void *arg)
{
	pv_vhu_backend_answered(arg, PV_VHU_OK);
}

/*
 * Where each ring stood outlives the reset, for who asks: QEMU 7.2 sets the status to zero before
 * it asks for the bases, and goes on there.
 */
static void queues_were_stopped(void *arg)
{
	struct pv_vhu_backend *backend = arg;
	struct pv_device *device = backend->options.device;

	for (uint16_t i = 0; i < device->queues; i++) {
		struct pv_vhu_vring *vring = &backend->vring[i];

		if (!vring->is_reset)
			continue;
		vring->reset_at = pv_vhu_vring_base(backend, i);
		vring->has_stopped = true;
		vring->end = vring->reset_at;
	}
	if (pv_device_reset(device, (struct pv_waiter){ device_was_reset, backend }))
		pv_vhu_backend_answered(backend, PV_VHU_FATAL);
}

static enum pv_vhu_handled reset_device(struct pv_vhu_backend *backend,
                                        struct pv_vhu_message *message)
{
	struct pv_device *device = backend->options.device;

	(void)message;
	for (uint16_t i = 0; i < device->queues; i++) {
		struct pv_vhu_vring *vring = &backend->vring[i];

		vring->is_enabled = false;
		vring->is_kicked = false;
		vring->is_base_ours = false;
		vring->is_reset = device->queue[i].state != PV_QUEUE_IDLE;
	}
	if (pv_device_stop(device, (struct pv_waiter){ queues_were_stopped, backend }))
		return PV_VHU_FATAL;
	return PV_VHU_LATER;
}

static enum pv_vhu_handled set_status(struct pv_vhu_backend *backend,
                                      struct pv_vhu_message *message)
{
	if (message->payload.u64 > UINT8_MAX)
		return pv_vhu_refuse(backend, message, "a status has eight bits");
	if (message->payload.u64 == 0)
		return reset_device(backend, message);
	pv_device_status_set(backend->options.device, (uint8_t)message->payload.u64);
	return PV_VHU_OK;
}

static enum pv_vhu_handled set_backend_req_fd(struct pv_vhu_backend *backend,
                                              struct pv_vhu_message *message)
{
	enum pv_vhu_handled handled = pv_vhu_channel_set(backend, pv_vhu_take_fd(message));

	return handled == PV_VHU_OK ? handled
	                            : pv_vhu_refuse(backend, message, "queues are running");
}

/* ---- all of them ---- */

/* Where a message names a queue. */
enum names_queue {
	NO_QUEUE,
	QUEUE_IN_STATE, /* payload.state.index, where payload.addr.index is too */
	QUEUE_IN_U64,
};

static const struct {
	pv_vhu_handler *handle;
	enum names_queue names_queue;
} requests[] = {
	[VHOST_USER_GET_FEATURES] = { get_features, NO_QUEUE },
	[VHOST_USER_SET_FEATURES] = { set_features, NO_QUEUE },
	[VHOST_USER_SET_OWNER] = { do_nothing, NO_QUEUE },
	[VHOST_USER_RESET_OWNER] = { do_nothing, NO_QUEUE }, /* deprecated: may be ignored */
	[VHOST_USER_SET_MEM_TABLE] = { pv_vhu_set_mem_table, NO_QUEUE },
	[VHOST_USER_SET_LOG_BASE] = { pv_vhu_set_log_base, NO_QUEUE },
	[VHOST_USER_SET_LOG_FD] = { pv_vhu_set_log_fd, NO_QUEUE },
	[VHOST_USER_SET_VRING_NUM] = { pv_vhu_set_vring_num, QUEUE_IN_STATE },
	[VHOST_USER_SET_VRING_ADDR] = { pv_vhu_set_vring_addr, QUEUE_IN_STATE },
	[VHOST_USER_SET_VRING_BASE] = { pv_vhu_set_vring_base, QUEUE_IN_STATE },
	[VHOST_USER_GET_VRING_BASE] = { pv_vhu_get_vring_base, QUEUE_IN_STATE },
	[VHOST_USER_SET_VRING_KICK] = { pv_vhu_set_vring_kick, QUEUE_IN_U64 },
	[VHOST_USER_SET_VRING_CALL] = { pv_vhu_set_vring_call, QUEUE_IN_U64 },
	[VHOST_USER_SET_VRING_ERR] = { pv_vhu_set_vring_err, QUEUE_IN_U64 },
	[VHOST_USER_GET_PROTOCOL_FEATURES] = { get_protocol_features, NO_QUEUE },
	[VHOST_USER_SET_PROTOCOL_FEATURES] = { set_protocol_features, NO_QUEUE },
	[VHOST_USER_GET_QUEUE_NUM] = { get_queue_num, NO_QUEUE },
	[VHOST_USER_SET_VRING_ENABLE] = { pv_vhu_set_vring_enable, QUEUE_IN_STATE },
	[VHOST_USER_SEND_RARP] = { pv_vhu_send_rarp, NO_QUEUE },
	[VHOST_USER_NET_SET_MTU] = { pv_vhu_net_set_mtu, NO_QUEUE },
	[VHOST_USER_SET_BACKEND_REQ_FD] = { set_backend_req_fd, NO_QUEUE },
	[VHOST_USER_GET_CONFIG] = { get_config, NO_QUEUE },
	[VHOST_USER_SET_CONFIG] = { set_config, NO_QUEUE },
	[VHOST_USER_GET_INFLIGHT_FD] = { pv_vhu_get_inflight_fd, NO_QUEUE },
	[VHOST_USER_SET_INFLIGHT_FD] = { pv_vhu_set_inflight_fd, NO_QUEUE },
	[VHOST_USER_RESET_DEVICE] = { reset_device, NO_QUEUE },
	[VHOST_USER_VRING_KICK] = { pv_vhu_vring_kick, QUEUE_IN_STATE },
	[VHOST_USER_GET_MAX_MEM_SLOTS] = { pv_vhu_get_max_mem_slots, NO_QUEUE },
	[VHOST_USER_ADD_MEM_REG] = { pv_vhu_add_mem_reg, NO_QUEUE },
	[VHOST_USER_REM_MEM_REG] = { pv_vhu_rem_mem_reg, NO_QUEUE },
	[VHOST_USER_SET_STATUS] = { set_status, NO_QUEUE },
	[VHOST_USER_GET_STATUS] = { get_status, NO_QUEUE },
	[VHOST_USER_SET_DEVICE_STATE_FD] = { pv_vhu_set_device_state_fd, NO_QUEUE },
	[VHOST_USER_CHECK_DEVICE_STATE] = { pv_vhu_check_device_state, NO_QUEUE },
};

_Static_assert(offsetof(struct vhost_user_vring_addr, index) ==
                       offsetof(struct vhost_user_vring_state, index),
               "a queue's index is at the same place");

enum pv_vhu_handled pv_vhu_handle(struct pv_vhu_backend *backend, struct pv_vhu_message *message)
{
	const uint16_t queues = backend->options.device->queues;
	uint32_t index = 0;

	if (message->request >= sizeof(requests) / sizeof(requests[0]) ||
	    !requests[message->request].handle)
		return pv_vhu_refuse(backend, message, "not known here");
	if (requests[message->request].names_queue == QUEUE_IN_STATE)
		index = message->payload.state.index;
	else if (requests[message->request].names_queue == QUEUE_IN_U64)
		index = pv_vhu_vring_of(message);
	if (index >= queues)
		return pv_vhu_refuse(backend, message, "there is no such queue");
	return requests[message->request].handle(backend, message);
}
