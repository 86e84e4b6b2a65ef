/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a front-end says about rings, one message a function; when a ring runs is backend_vrings.c.
 *
 * #syscalls close
 */
#include "hosted/vhost_user/backend_internal.h"

#include <unistd.h>

static bool is_running(const struct pv_vhu_backend *backend, uint32_t index)
{
	return backend->options.device->queue[index].state != PV_QUEUE_IDLE;
}

enum pv_vhu_handled pv_vhu_set_vring_num(struct pv_vhu_backend *backend,
                                         struct pv_vhu_message *message)
{
	const struct vhost_user_vring_state *state = &message->payload.state;

	if (is_running(backend, state->index))
		return pv_vhu_refuse(backend, message, "the queue is running");
	if (state->num == 0 || state->num > backend->options.device->queue_size_max)
		return pv_vhu_refuse(backend, message, "larger than --queue-size allows, or empty");
	backend->vring[state->index].size = (uint16_t)state->num;
	return PV_VHU_OK;
}

static bool is_same_place(const struct vhost_user_vring_addr *a,
                          const struct vhost_user_vring_addr *b)
{
	return a->desc == b->desc && a->avail == b->avail && a->used == b->used;
}

enum pv_vhu_handled pv_vhu_set_vring_addr(struct pv_vhu_backend *backend,
                                          struct pv_vhu_message *message)
{
	const struct vhost_user_vring_addr *addr = &message->payload.addr;
	struct pv_vhu_vring *vring = &backend->vring[addr->index];

	if (is_running(backend, addr->index) && !is_same_place(addr, &vring->addr))
		return pv_vhu_refuse(backend, message, "the queue is running");
	vring->addr = *addr;
	vring->has_addr = true;
	return pv_vhu_log_ring(backend, (uint16_t)addr->index);
}

enum pv_vhu_handled pv_vhu_set_vring_base(struct pv_vhu_backend *backend,
                                          struct pv_vhu_message *message)
{
	const struct vhost_user_vring_state *state = &message->payload.state;
	struct pv_vhu_vring *vring = &backend->vring[state->index];

	if (is_running(backend, state->index))
		return pv_vhu_refuse(backend, message, "the queue is running");
	vring->is_base_ours = vring->is_base_ours && vring->base == state->num;
	vring->base = state->num;
	vring->is_reset = false;
	return PV_VHU_OK;
}

enum pv_vhu_handled pv_vhu_get_vring_base(struct pv_vhu_backend *backend,
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

enum pv_vhu_handled pv_vhu_set_vring_enable(struct pv_vhu_backend *backend,
                                            struct pv_vhu_message *message)
{
	const struct vhost_user_vring_state *state = &message->payload.state;
	uint16_t index = (uint16_t)state->index;

	if (state->num > 1)
		return pv_vhu_refuse(backend, message, "neither on nor off");
	backend->vring[index].is_enabled = state->num;
	return state->num ? pv_vhu_vring_try_start(backend, index)
	                  : pv_vhu_vring_stop(backend, index);
}

enum pv_vhu_handled pv_vhu_set_vring_kick(struct pv_vhu_backend *backend,
                                          struct pv_vhu_message *message)
{
	uint16_t index = pv_vhu_vring_of(message);
	bool is_polled = message->fds == 0;

	if (pv_host_set_kick(backend->options.host, index, is_polled ? -1 : message->fd[0],
	                     is_polled))
		return pv_vhu_refuse(backend, message, "its descriptor cannot be waited for");
	backend->vring[index].is_kicked = true;
	return pv_vhu_vring_try_start(backend, index);
}

enum pv_vhu_handled pv_vhu_set_vring_call(struct pv_vhu_backend *backend,
                                          struct pv_vhu_message *message)
{
	int fd = message->fds > 0 ? message->fd[0] : -1;

	if (pv_host_set_call(backend->options.host, pv_vhu_vring_of(message), fd))
		return pv_vhu_refuse(backend, message, "its descriptor cannot be written to");
	return PV_VHU_OK;
}

enum pv_vhu_handled pv_vhu_set_vring_err(struct pv_vhu_backend *backend,
                                         struct pv_vhu_message *message)
{
	struct pv_vhu_vring *vring = &backend->vring[pv_vhu_vring_of(message)];

	if (message->fds > 0 && !pv_vhu_can_be_told(message->fd[0]))
		return pv_vhu_refuse(backend, message, "its descriptor cannot be written to");
	if (vring->err_fd >= 0)
		close(vring->err_fd);
	vring->err_fd = pv_vhu_take_fd(message);
	return PV_VHU_OK;
}

enum pv_vhu_handled pv_vhu_vring_kick(struct pv_vhu_backend *backend,
                                      struct pv_vhu_message *message)
{
	uint16_t index = (uint16_t)message->payload.state.index;
	enum pv_vhu_handled handled;

	if (!(backend->protocol_features & VHOST_USER_PROTOCOL_F_INBAND_NOTIFICATIONS))
		return pv_vhu_refuse(backend, message, "in-band notifications were not negotiated");
	backend->vring[index].is_kicked = true;
	handled = pv_vhu_vring_try_start(backend, index);
	if (handled == PV_VHU_OK && is_running(backend, index))
		pv_host_kick(backend->options.host, index);
	return handled;
}
