/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The messages of a front-end, one function each, and the table of them.
 *
 * The codec has checked that a message is complete and has the payload and descriptors that belong
 * to its request; here its values are checked and it is carried out.
 *
 * #syscalls close
 */
#include "hosted/vhost_user/backend_internal.h"

#include <string.h>
#include <unistd.h>

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

typedef enum pv_vhu_handled handler(struct pv_vhu_backend *backend, struct pv_vhu_message *message);

static enum pv_vhu_handled refuse(struct pv_vhu_backend *backend,
                                  const struct pv_vhu_message *message, const char *why)
{
	pv_vhu_complain(backend, "%s refused: %s",
	                pv_vhu_request_name(PV_VHU_FROM_FRONTEND, message->request), why);
	return PV_VHU_REFUSED;
}

static enum pv_vhu_handled reply_u64(struct pv_vhu_backend *backend,
                                     const struct pv_vhu_message *message, uint64_t value)
{
	return pv_vhu_reply(backend, message, &value, sizeof(value));
}

static int take_fd(struct pv_vhu_message *message)
{
	int fd = message->fds > 0 ? message->fd[0] : -1;

	if (message->fds > 0)
		message->fd[0] = -1;
	return fd;
}

/* ---- features, status, configuration ---- */

static handler do_nothing, get_features, set_features, get_protocol_features, set_protocol_features,
	get_queue_num, get_config, set_config, get_status, set_status, reset_device,
	set_backend_req_fd;

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
	return reply_u64(backend, message,
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
		return refuse(backend, message, "queues are running");
	default:
		return refuse(backend, message, "features that were not offered");
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
	uint64_t features = PROTOCOL_FEATURES;

	if (backend->options.no_inband)
		features &= ~VHOST_USER_PROTOCOL_F_INBAND_NOTIFICATIONS;
	return reply_u64(backend, message, features);
}

static enum pv_vhu_handled set_protocol_features(struct pv_vhu_backend *backend,
                                                 struct pv_vhu_message *message)
{
	const uint64_t needed = VHOST_USER_PROTOCOL_F_BACKEND_REQ | VHOST_USER_PROTOCOL_F_REPLY_ACK;
	uint64_t features = message->payload.u64;

	if (features & ~PROTOCOL_FEATURES)
		return refuse(backend, message, "features that were not offered");
	if (features & VHOST_USER_PROTOCOL_F_INBAND_NOTIFICATIONS &&
	    (features & needed) != needed) {
		refuse(backend, message, "in-band notifications need BACKEND_REQ and REPLY_ACK");
		return PV_VHU_FATAL;
	}
	backend->protocol_features = features;
	return PV_VHU_OK;
}

static enum pv_vhu_handled get_queue_num(struct pv_vhu_backend *backend,
                                         struct pv_vhu_message *message)
{
	return reply_u64(backend, message, backend->options.device->queues);
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
		return refuse(backend, message, "not a field that the driver may write");
	return PV_VHU_OK;
}

static enum pv_vhu_handled get_status(struct pv_vhu_backend *backend,
                                      struct pv_vhu_message *message)
{
	return reply_u64(backend, message, pv_device_status(backend->options.device));
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
		return refuse(backend, message, "a status has eight bits");
	if (message->payload.u64 == 0)
		return reset_device(backend, message);
	pv_device_status_set(backend->options.device, (uint8_t)message->payload.u64);
	return PV_VHU_OK;
}

static enum pv_vhu_handled set_backend_req_fd(struct pv_vhu_backend *backend,
                                              struct pv_vhu_message *message)
{
	enum pv_vhu_handled handled = pv_vhu_channel_set(backend, take_fd(message));

	return handled == PV_VHU_OK ? handled : refuse(backend, message, "queues are running");
}

/* ---- memory ---- */

static handler set_mem_table, add_mem_reg, rem_mem_reg, get_max_mem_slots;

static void memory_changed(void *arg)
{
	struct pv_vhu_backend *backend = arg;

	pv_vhu_memory_destroy(backend->old_memory);
	backend->old_memory = NULL;
	pv_vhu_backend_answered(backend, PV_VHU_OK);
}

/* Puts a new set of regions in force; the answer waits until no queue uses the old one. */
static enum pv_vhu_handled change_memory(struct pv_vhu_backend *backend,
                                         const struct pv_vhu_message *message,
                                         struct pv_vhu_memory *memory, const char *error)
{
	if (!memory)
		error = "there is no memory for it";
	if (!error)
		error = pv_vhu_memory_seal(memory);
	if (error) {
		pv_vhu_memory_destroy(memory);
		return refuse(backend, message, error);
	}
	backend->old_memory = backend->memory;
	backend->memory = memory;
	pv_host_mem_switch(backend->options.host, backend->options.device, memory->table,
	                   memory_changed, backend);
	return PV_VHU_LATER;
}

static struct pv_vhu_memory *create_memory(const struct pv_vhu_backend *backend)
{
	const struct pv_vhu_backend_options *options = &backend->options;

	return pv_vhu_memory_create(options->mapped, options->unmapped, options->mapped_arg);
}

static enum pv_vhu_handled set_mem_table(struct pv_vhu_backend *backend,
                                         struct pv_vhu_message *message)
{
	const struct vhost_user_mem_table *table = &message->payload.table;
	struct pv_vhu_memory *memory = create_memory(backend);
	const char *error = NULL;

	for (uint32_t i = 0; memory && !error && i < table->count; i++)
		error = pv_vhu_memory_add(memory, &table->region[i], message->fd[i]);
	return change_memory(backend, message, memory, error);
}

static struct pv_vhu_memory *copy_of_memory(struct pv_vhu_backend *backend)
{
	if (backend->memory)
		return pv_vhu_memory_copy(backend->memory);
	return create_memory(backend);
}

static enum pv_vhu_handled add_mem_reg(struct pv_vhu_backend *backend,
                                       struct pv_vhu_message *message)
{
	struct pv_vhu_memory *memory = copy_of_memory(backend);
	const char *error = NULL;

	if (memory)
		error = pv_vhu_memory_add(memory, &message->payload.reg.region, message->fd[0]);
	return change_memory(backend, message, memory, error);
}

static enum pv_vhu_handled rem_mem_reg(struct pv_vhu_backend *backend,
                                       struct pv_vhu_message *message)
{
	struct pv_vhu_memory *memory = copy_of_memory(backend);
	const char *error = NULL;

	if (memory)
		error = pv_vhu_memory_remove(memory, &message->payload.reg.region);
	return change_memory(backend, message, memory, error);
}

static enum pv_vhu_handled get_max_mem_slots(struct pv_vhu_backend *backend,
                                             struct pv_vhu_message *message)
{
	return reply_u64(backend, message, VHOST_USER_MEM_SLOTS);
}

/* ---- the dirty log ---- */

static handler set_log_base, set_log_fd;

static enum pv_vhu_handled set_log_base(struct pv_vhu_backend *backend,
                                        struct pv_vhu_message *message)
{
	const char *error;

	if (!(backend->protocol_features & VHOST_USER_PROTOCOL_F_LOG_SHMFD))
		return refuse(backend, message, "LOG_SHMFD was not negotiated");
	error = pv_vhu_log_set_base(backend, &message->payload.log, message->fd[0]);
	return error ? refuse(backend, message, error) : PV_VHU_LATER;
}

/* To be told of each mark is optional, and would cost a system call for each request. */
static enum pv_vhu_handled set_log_fd(struct pv_vhu_backend *backend,
                                      struct pv_vhu_message *message)
{
	return refuse(backend, message, "nobody is told of marks: the log is there to be read");
}

/* ---- the device's state ---- */

static handler set_device_state_fd, check_device_state;

/* What has an answer of its own says in it that it was refused. */
static enum pv_vhu_handled set_device_state_fd(struct pv_vhu_backend *backend,
                                               struct pv_vhu_message *message)
{
	const char *error = "DEVICE_STATE was not negotiated";

	if (backend->protocol_features & VHOST_USER_PROTOCOL_F_DEVICE_STATE)
		error = pv_vhu_state_begin(backend, &message->payload.transfer, message->fd[0]);
	if (error) {
		refuse(backend, message, error);
		return reply_u64(backend, message, VHOST_USER_TRANSFER_NO_FD | 1);
	}
	take_fd(message);
	return reply_u64(backend, message, VHOST_USER_TRANSFER_NO_FD);
}

static enum pv_vhu_handled check_device_state(struct pv_vhu_backend *backend,
                                              struct pv_vhu_message *message)
{
	const char *error = pv_vhu_state_check(backend);

	if (error)
		refuse(backend, message, error);
	return reply_u64(backend, message, error != NULL);
}

/* ---- rings ---- */

static handler set_vring_num, set_vring_addr, set_vring_base, get_vring_base, set_vring_enable,
	set_vring_kick, set_vring_call, set_vring_err, vring_kick;

static bool is_running(const struct pv_vhu_backend *backend, uint32_t index)
{
	return backend->options.device->queue[index].state != PV_QUEUE_IDLE;
}

static enum pv_vhu_handled set_vring_num(struct pv_vhu_backend *backend,
                                         struct pv_vhu_message *message)
{
	const struct vhost_user_vring_state *state = &message->payload.state;

	if (is_running(backend, state->index))
		return refuse(backend, message, "the queue is running");
	if (state->num == 0 || state->num > backend->options.device->queue_size_max)
		return refuse(backend, message, "larger than --queue-size allows, or empty");
	backend->vring[state->index].size = (uint16_t)state->num;
	return PV_VHU_OK;
}

static bool is_same_place(const struct vhost_user_vring_addr *a,
                          const struct vhost_user_vring_addr *b)
{
	return a->desc == b->desc && a->avail == b->avail && a->used == b->used;
}

static enum pv_vhu_handled set_vring_addr(struct pv_vhu_backend *backend,
                                          struct pv_vhu_message *message)
{
	const struct vhost_user_vring_addr *addr = &message->payload.addr;
	struct pv_vhu_vring *vring = &backend->vring[addr->index];

	if (is_running(backend, addr->index) && !is_same_place(addr, &vring->addr))
		return refuse(backend, message, "the queue is running");
	vring->addr = *addr;
	vring->has_addr = true;
	return pv_vhu_log_ring(backend, (uint16_t)addr->index);
}

static enum pv_vhu_handled set_vring_base(struct pv_vhu_backend *backend,
                                          struct pv_vhu_message *message)
{
	const struct vhost_user_vring_state *state = &message->payload.state;
	struct pv_vhu_vring *vring = &backend->vring[state->index];

	if (is_running(backend, state->index))
		return refuse(backend, message, "the queue is running");
	vring->is_base_ours = vring->is_base_ours && vring->base == state->num;
	vring->base = state->num;
	vring->is_reset = false;
	return PV_VHU_OK;
}

static enum pv_vhu_handled get_vring_base(struct pv_vhu_backend *backend,
                                          struct pv_vhu_message *message)
{
	uint16_t index = (uint16_t)message->payload.state.index;
	struct pv_vhu_vring *vring = &backend->vring[index];

	vring->is_kicked = false;
	if (vring->is_reset)
		vring->base = vring->reset_at;
	vring->is_reset = false;
	return pv_vhu_vring_stop(backend, index);
}

static enum pv_vhu_handled set_vring_enable(struct pv_vhu_backend *backend,
                                            struct pv_vhu_message *message)
{
	const struct vhost_user_vring_state *state = &message->payload.state;
	uint16_t index = (uint16_t)state->index;

	if (state->num > 1)
		return refuse(backend, message, "neither on nor off");
	backend->vring[index].is_enabled = state->num;
	return state->num ? pv_vhu_vring_try_start(backend, index)
	                  : pv_vhu_vring_stop(backend, index);
}

static uint16_t vring_of(const struct pv_vhu_message *message)
{
	return message->payload.u64 & VHOST_USER_VRING_INDEX_MASK;
}

static enum pv_vhu_handled set_vring_kick(struct pv_vhu_backend *backend,
                                          struct pv_vhu_message *message)
{
	uint16_t index = vring_of(message);
	bool is_polled = message->fds == 0;

	if (pv_host_set_kick(backend->options.host, index, is_polled ? -1 : message->fd[0],
	                     is_polled))
		return refuse(backend, message, "its descriptor cannot be waited for");
	backend->vring[index].is_kicked = true;
	return pv_vhu_vring_try_start(backend, index);
}

static enum pv_vhu_handled set_vring_call(struct pv_vhu_backend *backend,
                                          struct pv_vhu_message *message)
{
	int fd = message->fds > 0 ? message->fd[0] : -1;

	if (pv_host_set_call(backend->options.host, vring_of(message), fd))
		return refuse(backend, message, "its descriptor cannot be written to");
	return PV_VHU_OK;
}

static enum pv_vhu_handled set_vring_err(struct pv_vhu_backend *backend,
                                         struct pv_vhu_message *message)
{
	struct pv_vhu_vring *vring = &backend->vring[vring_of(message)];

	if (message->fds > 0 && !pv_vhu_can_be_told(message->fd[0]))
		return refuse(backend, message, "its descriptor cannot be written to");
	if (vring->err_fd >= 0)
		close(vring->err_fd);
	vring->err_fd = take_fd(message);
	return PV_VHU_OK;
}

static enum pv_vhu_handled vring_kick(struct pv_vhu_backend *backend,
                                      struct pv_vhu_message *message)
{
	uint16_t index = (uint16_t)message->payload.state.index;
	enum pv_vhu_handled handled;

	if (!(backend->protocol_features & VHOST_USER_PROTOCOL_F_INBAND_NOTIFICATIONS))
		return refuse(backend, message, "in-band notifications were not negotiated");
	backend->vring[index].is_kicked = true;
	handled = pv_vhu_vring_try_start(backend, index);
	if (handled == PV_VHU_OK && is_running(backend, index))
		pv_host_kick(backend->options.host, index);
	return handled;
}

/* ---- what is in flight ---- */

static handler get_inflight_fd, set_inflight_fd;

static const char *inflight_obstacle(const struct pv_vhu_backend *backend)
{
	if (!(backend->protocol_features & VHOST_USER_PROTOCOL_F_INFLIGHT_SHMFD))
		return "INFLIGHT_SHMFD was not negotiated";
	for (uint16_t i = 0; i < backend->options.device->queues; i++)
		if (is_running(backend, i))
			return "queues are running";
	return NULL;
}

/* It has an answer of its own, which says by an empty region that there is none to be had. */
static enum pv_vhu_handled get_inflight_fd(struct pv_vhu_backend *backend,
                                           struct pv_vhu_message *message)
{
	const char *error = inflight_obstacle(backend);
	struct vhost_user_inflight *shape = &message->payload.inflight;
	enum pv_vhu_handled handled;
	int fd = -1;

	shape->mmap_size = 0;
	shape->mmap_offset = 0;
	if (!error)
		error = pv_vhu_inflight_make(backend, shape, &fd);
	if (error)
		refuse(backend, message, error);
	handled = pv_vhu_reply_fd(backend, message, shape, message->size, fd);
	if (fd >= 0)
		close(fd);
	return handled;
}

static enum pv_vhu_handled set_inflight_fd(struct pv_vhu_backend *backend,
                                           struct pv_vhu_message *message)
{
	const char *error = inflight_obstacle(backend);

	if (!error)
		error = pv_vhu_inflight_set(backend, &message->payload.inflight, message->fd[0]);
	return error ? refuse(backend, message, error) : PV_VHU_OK;
}

/* ---- all of them ---- */

/* Where a message names a queue. */
enum names_queue {
	NO_QUEUE,
	QUEUE_IN_STATE, /* payload.state.index, where payload.addr.index is too */
	QUEUE_IN_U64,
};

static const struct {
	handler *handle;
	enum names_queue names_queue;
} requests[] = {
	[VHOST_USER_GET_FEATURES] = { get_features, NO_QUEUE },
	[VHOST_USER_SET_FEATURES] = { set_features, NO_QUEUE },
	[VHOST_USER_SET_OWNER] = { do_nothing, NO_QUEUE },
	[VHOST_USER_RESET_OWNER] = { do_nothing, NO_QUEUE }, /* deprecated: may be ignored */
	[VHOST_USER_SET_MEM_TABLE] = { set_mem_table, NO_QUEUE },
	[VHOST_USER_SET_LOG_BASE] = { set_log_base, NO_QUEUE },
	[VHOST_USER_SET_LOG_FD] = { set_log_fd, NO_QUEUE },
	[VHOST_USER_SET_VRING_NUM] = { set_vring_num, QUEUE_IN_STATE },
	[VHOST_USER_SET_VRING_ADDR] = { set_vring_addr, QUEUE_IN_STATE },
	[VHOST_USER_SET_VRING_BASE] = { set_vring_base, QUEUE_IN_STATE },
	[VHOST_USER_GET_VRING_BASE] = { get_vring_base, QUEUE_IN_STATE },
	[VHOST_USER_SET_VRING_KICK] = { set_vring_kick, QUEUE_IN_U64 },
	[VHOST_USER_SET_VRING_CALL] = { set_vring_call, QUEUE_IN_U64 },
	[VHOST_USER_SET_VRING_ERR] = { set_vring_err, QUEUE_IN_U64 },
	[VHOST_USER_GET_PROTOCOL_FEATURES] = { get_protocol_features, NO_QUEUE },
	[VHOST_USER_SET_PROTOCOL_FEATURES] = { set_protocol_features, NO_QUEUE },
	[VHOST_USER_GET_QUEUE_NUM] = { get_queue_num, NO_QUEUE },
	[VHOST_USER_SET_VRING_ENABLE] = { set_vring_enable, QUEUE_IN_STATE },
	[VHOST_USER_SET_BACKEND_REQ_FD] = { set_backend_req_fd, NO_QUEUE },
	[VHOST_USER_GET_CONFIG] = { get_config, NO_QUEUE },
	[VHOST_USER_SET_CONFIG] = { set_config, NO_QUEUE },
	[VHOST_USER_GET_INFLIGHT_FD] = { get_inflight_fd, NO_QUEUE },
	[VHOST_USER_SET_INFLIGHT_FD] = { set_inflight_fd, NO_QUEUE },
	[VHOST_USER_RESET_DEVICE] = { reset_device, NO_QUEUE },
	[VHOST_USER_VRING_KICK] = { vring_kick, QUEUE_IN_STATE },
	[VHOST_USER_GET_MAX_MEM_SLOTS] = { get_max_mem_slots, NO_QUEUE },
	[VHOST_USER_ADD_MEM_REG] = { add_mem_reg, NO_QUEUE },
	[VHOST_USER_REM_MEM_REG] = { rem_mem_reg, NO_QUEUE },
	[VHOST_USER_SET_STATUS] = { set_status, NO_QUEUE },
	[VHOST_USER_GET_STATUS] = { get_status, NO_QUEUE },
	[VHOST_USER_SET_DEVICE_STATE_FD] = { set_device_state_fd, NO_QUEUE },
	[VHOST_USER_CHECK_DEVICE_STATE] = { check_device_state, NO_QUEUE },
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
		return refuse(backend, message, "not known here");
	if (requests[message->request].names_queue == QUEUE_IN_STATE)
		index = message->payload.state.index;
	else if (requests[message->request].names_queue == QUEUE_IN_U64)
		index = vring_of(message);
	if (index >= queues)
		return refuse(backend, message, "there is no such queue");
	return requests[message->request].handle(backend, message);
}
