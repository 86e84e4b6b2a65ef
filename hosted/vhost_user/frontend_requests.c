/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "hosted/vhost_user/frontend_internal.h"

#define VHOST_BITS (VHOST_USER_F_PROTOCOL_FEATURES | VHOST_F_LOG_ALL)

uint64_t pv_vhu_frontend_features(const struct pv_vhu_frontend *frontend)
{
	return frontend->features & ~VHOST_BITS;
}

uint64_t pv_vhu_frontend_protocol_features(const struct pv_vhu_frontend *frontend)
{
	return frontend->protocol_features;
}

uint16_t pv_vhu_frontend_queues(const struct pv_vhu_frontend *frontend)
{
	return frontend->queues;
}

uint32_t pv_vhu_frontend_mem_slots(const struct pv_vhu_frontend *frontend)
{
	return frontend->mem_slots;
}

/* Returns 0 where the back-end has agreed to a protocol feature. */
static int agreed(struct pv_vhu_frontend *frontend, uint64_t feature, const char *name)
{
	if (frontend->protocol_features & feature)
		return 0;
	return pv_vhu_frontend_refuse(frontend, -ENOTSUP, "the back-end has no protocol feature %s",
	                              name);
}

static int send(struct pv_vhu_frontend *frontend, uint32_t request, const void *payload,
                uint32_t bytes)
{
	struct pv_vhu_call call = { .request = request, .payload = payload, .bytes = bytes };

	return pv_vhu_frontend_call(frontend, &call, NULL);
}

/* ---- the device ---- */

int pv_vhu_frontend_features_set(struct pv_vhu_frontend *frontend, uint64_t features)
{
	bool is_logging = __atomic_load_n(&frontend->is_logging, __ATOMIC_ACQUIRE);

	__atomic_store_n(&frontend->accepted, features, __ATOMIC_RELEASE);
	features |= frontend->features & VHOST_USER_F_PROTOCOL_FEATURES;
	features |= is_logging ? VHOST_F_LOG_ALL : 0;
	return send(frontend, VHOST_USER_SET_FEATURES, &features, sizeof(features));
}

/*
 * Always from the beginning on: there are back-ends that leave the offset out of account.
 */
int pv_vhu_frontend_config_get(struct pv_vhu_frontend *frontend, uint32_t offset, void *to,
                               uint32_t bytes)
{
	struct vhost_user_config config = { .size = offset + bytes };
	struct pv_vhu_call call = { .request = VHOST_USER_GET_CONFIG,
		                    .payload = &config,
		                    .bytes = 12 + offset + bytes };
	struct pv_vhu_message reply;
	int code = agreed(frontend, VHOST_USER_PROTOCOL_F_CONFIG, "CONFIG");

	if (code)
		return code;
	if (bytes == 0 || bytes > VHOST_USER_CONFIG_BYTES ||
	    offset > VHOST_USER_CONFIG_BYTES - bytes)
		return pv_vhu_frontend_refuse(frontend, -EINVAL, "configuration beyond byte %u",
		                              VHOST_USER_CONFIG_BYTES);
	code = pv_vhu_frontend_call(frontend, &call, &reply);
	if (code)
		return code;
	if (reply.size == 0)
		return pv_vhu_frontend_refuse(frontend, -EREMOTEIO,
		                              "the back-end refuses GET_CONFIG of %u bytes",
		                              config.size);
	if (reply.payload.config.offset != 0 || reply.payload.config.size != config.size)
		return pv_vhu_frontend_fail(frontend, -EPROTO,
		                            "GET_CONFIG of %u bytes answered with %u from byte %u",
		                            config.size, reply.payload.config.size,
		                            reply.payload.config.offset);
	memcpy(to, reply.payload.config.data + offset, bytes);
	return 0;
}

int pv_vhu_frontend_config_set(struct pv_vhu_frontend *frontend, uint32_t offset, const void *from,
                               uint32_t bytes)
{
	struct vhost_user_config config = { .offset = offset, .size = bytes };
	int code = agreed(frontend, VHOST_USER_PROTOCOL_F_CONFIG, "CONFIG");

	if (code)
		return code;
	if (bytes == 0 || bytes > VHOST_USER_CONFIG_BYTES)
		return pv_vhu_frontend_refuse(frontend, -EINVAL, "%u bytes of configuration",
		                              bytes);
	memcpy(config.data, from, bytes);
	return send(frontend, VHOST_USER_SET_CONFIG, &config, 12 + bytes);
}

int pv_vhu_frontend_reset_device(struct pv_vhu_frontend *frontend)
{
	int code = agreed(frontend, VHOST_USER_PROTOCOL_F_RESET_DEVICE, "RESET_DEVICE");

	return code ? code : send(frontend, VHOST_USER_RESET_DEVICE, NULL, 0);
}

int pv_vhu_frontend_status_get(struct pv_vhu_frontend *frontend, uint8_t *status)
{
	struct pv_vhu_call call = { .request = VHOST_USER_GET_STATUS };
	struct pv_vhu_message reply;
	int code = agreed(frontend, VHOST_USER_PROTOCOL_F_STATUS, "STATUS");

	if (!code)
		code = pv_vhu_frontend_call(frontend, &call, &reply);
	if (code)
		return code;
	if (reply.payload.u64 > 0xff)
		return pv_vhu_frontend_fail(frontend, -EPROTO, "GET_STATUS answered with %#llx",
		                            (unsigned long long)reply.payload.u64);
	*status = (uint8_t)reply.payload.u64;
	return 0;
}

int pv_vhu_frontend_status_set(struct pv_vhu_frontend *frontend, uint8_t status)
{
	uint64_t wide = status;
	int code = agreed(frontend, VHOST_USER_PROTOCOL_F_STATUS, "STATUS");

	return code ? code : send(frontend, VHOST_USER_SET_STATUS, &wide, sizeof(wide));
}

/* ---- memory ---- */

int pv_vhu_frontend_mem_set(struct pv_vhu_frontend *frontend, const struct pv_vhu_region *region,
                            uint32_t regions)
{
	struct vhost_user_mem_table table = { .count = regions };
	int fd[VHOST_USER_MEM_REGIONS];
	struct pv_vhu_call call = {
		.request = VHOST_USER_SET_MEM_TABLE, .payload = &table, .fd = fd, .fds = regions
	};

	if (regions > VHOST_USER_MEM_REGIONS)
		return pv_vhu_frontend_refuse(frontend, -EINVAL,
		                              "%u regions of memory, at most %u at once", regions,
		                              VHOST_USER_MEM_REGIONS);
	for (uint32_t i = 0; i < regions; i++) {
		table.region[i] = region[i].region;
		fd[i] = region[i].fd;
	}
	call.bytes = (uint32_t)(offsetof(struct vhost_user_mem_table, region) +
	                        regions * sizeof(table.region[0]));
	return pv_vhu_frontend_call(frontend, &call, NULL);
}

static int region_call(struct pv_vhu_frontend *frontend, uint32_t request,
                       const struct pv_vhu_region *region, uint32_t fds)
{
	struct vhost_user_mem_reg reg = { .region = region->region };
	struct pv_vhu_call call = { .request = request,
		                    .payload = &reg,
		                    .bytes = sizeof(reg),
		                    .fd = &region->fd,
		                    .fds = fds };
	int code =
		agreed(frontend, VHOST_USER_PROTOCOL_F_CONFIGURE_MEM_SLOTS, "CONFIGURE_MEM_SLOTS");

	return code ? code : pv_vhu_frontend_call(frontend, &call, NULL);
}

int pv_vhu_frontend_mem_add(struct pv_vhu_frontend *frontend, const struct pv_vhu_region *region)
{
	return region_call(frontend, VHOST_USER_ADD_MEM_REG, region, 1);
}

int pv_vhu_frontend_mem_remove(struct pv_vhu_frontend *frontend, const struct pv_vhu_region *region)
{
	return region_call(frontend, VHOST_USER_REM_MEM_REG, region, 0);
}

/* ---- what is in flight ---- */

/* Kept as the back-end has it: what is in it is the back-end's business. */
int pv_vhu_frontend_inflight_get(struct pv_vhu_frontend *frontend, uint16_t queues,
                                 uint16_t queue_size, struct pv_vhu_inflight *inflight)
{
	const struct vhost_user_inflight wish = { .num_queues = queues, .queue_size = queue_size };
	struct pv_vhu_call call = { .request = VHOST_USER_GET_INFLIGHT_FD,
		                    .payload = &wish,
		                    .bytes = sizeof(wish) };
	struct pv_vhu_message reply;
	int code = agreed(frontend, VHOST_USER_PROTOCOL_F_INFLIGHT_SHMFD, "INFLIGHT_SHMFD");

	if (!code)
		code = pv_vhu_frontend_call(frontend, &call, &reply);
	if (code)
		return code;
	if (reply.payload.inflight.mmap_size == 0)
		return pv_vhu_frontend_refuse(frontend, -EREMOTEIO,
		                              "the back-end refuses GET_INFLIGHT_FD of %u queues "
		                              "of %u",
		                              queues, queue_size);
	inflight->shape = wish;
	inflight->shape.mmap_size = reply.payload.inflight.mmap_size;
	inflight->shape.mmap_offset = reply.payload.inflight.mmap_offset;
	inflight->fd = reply.fd[0];
	return 0;
}

int pv_vhu_frontend_inflight_set(struct pv_vhu_frontend *frontend,
                                 const struct pv_vhu_inflight *inflight)
{
	struct pv_vhu_call call = { .request = VHOST_USER_SET_INFLIGHT_FD,
		                    .payload = &inflight->shape,
		                    .bytes = sizeof(inflight->shape),
		                    .fd = &inflight->fd,
		                    .fds = 1 };
	int code = agreed(frontend, VHOST_USER_PROTOCOL_F_INFLIGHT_SHMFD, "INFLIGHT_SHMFD");

	return code ? code : pv_vhu_frontend_call(frontend, &call, NULL);
}

void pv_vhu_frontend_inflight_end(struct pv_vhu_inflight *inflight)
{
	if (inflight->fd >= 0)
		close(inflight->fd);
	inflight->fd = -1;
}

int pv_vhu_frontend_inflight_begin(struct pv_vhu_frontend *frontend, uint16_t queues,
                                   uint16_t queue_size, struct pv_vhu_inflight *inflight)
{
	int code;

	inflight->fd = -1;
	code = pv_vhu_frontend_inflight_get(frontend, queues, queue_size, inflight);
	if (code == -ENOTSUP || code == -EREMOTEIO)
		return 0;
	if (!code)
		code = pv_vhu_frontend_inflight_set(frontend, inflight);
	if (code)
		pv_vhu_frontend_inflight_end(inflight);
	return code;
}

/* ---- queues ---- */

uint32_t pv_vhu_vring_base_fresh(bool is_packed)
{
	return is_packed ? VHOST_USER_BASE_AVAIL_WRAP | VHOST_USER_BASE_USED_WRAP : 0;
}

static int state_send(struct pv_vhu_frontend *frontend, uint32_t request, uint32_t index,
                      uint32_t num)
{
	struct vhost_user_vring_state state = { .index = index, .num = num };

	return send(frontend, request, &state, sizeof(state));
}

static int fd_send(struct pv_vhu_frontend *frontend, uint32_t request, uint32_t index, int fd)
{
	uint64_t word = index | (fd < 0 ? VHOST_USER_VRING_NO_FD : 0);
	struct pv_vhu_call call = { .request = request,
		                    .payload = &word,
		                    .bytes = sizeof(word),
		                    .fd = &fd,
		                    .fds = fd < 0 ? 0 : 1 };

	return pv_vhu_frontend_call(frontend, &call, NULL);
}

int pv_vhu_frontend_vring_addr_set(struct pv_vhu_frontend *frontend, uint32_t index,
                                   const struct pv_vhu_vring *vring)
{
	struct vhost_user_vring_addr addr = { .index = index,
		                              .flags = vring->is_logged ? VHOST_VRING_F_LOG : 0,
		                              .desc = vring->desc,
		                              .used = vring->used,
		                              .avail = vring->avail,
		                              .log = vring->log };

	return send(frontend, VHOST_USER_SET_VRING_ADDR, &addr, sizeof(addr));
}

/* The kick descriptor comes last: it is what starts a queue. */
int pv_vhu_frontend_vring_set(struct pv_vhu_frontend *frontend, uint32_t index,
                              const struct pv_vhu_vring *vring)
{
	int code;

	if (index > VHOST_USER_VRING_INDEX_MASK)
		return pv_vhu_frontend_refuse(frontend, -EINVAL, "queue %u, at most %u", index,
		                              VHOST_USER_VRING_INDEX_MASK);
	code = state_send(frontend, VHOST_USER_SET_VRING_NUM, index, vring->size);
	if (!code)
		code = state_send(frontend, VHOST_USER_SET_VRING_BASE, index, vring->base);
	if (!code)
		code = pv_vhu_frontend_vring_addr_set(frontend, index, vring);
	if (!code)
		code = fd_send(frontend, VHOST_USER_SET_VRING_CALL, index, vring->call_fd);
	if (!code && vring->err_fd >= 0)
		code = fd_send(frontend, VHOST_USER_SET_VRING_ERR, index, vring->err_fd);
	if (!code)
		code = fd_send(frontend, VHOST_USER_SET_VRING_KICK, index, vring->kick_fd);
	return code;
}

int pv_vhu_frontend_vring_call(struct pv_vhu_frontend *frontend, uint32_t index, int fd)
{
	return fd_send(frontend, VHOST_USER_SET_VRING_CALL, index, fd);
}

int pv_vhu_frontend_vring_enable(struct pv_vhu_frontend *frontend, uint32_t index, bool is_enabled)
{
	if (!(frontend->features & VHOST_USER_F_PROTOCOL_FEATURES))
		return 0;
	return state_send(frontend, VHOST_USER_SET_VRING_ENABLE, index, is_enabled);
}

int pv_vhu_frontend_vring_stop(struct pv_vhu_frontend *frontend, uint32_t index, uint32_t *base)
{
	struct vhost_user_vring_state state = { .index = index };
	struct pv_vhu_call call = { .request = VHOST_USER_GET_VRING_BASE,
		                    .payload = &state,
		                    .bytes = sizeof(state) };
	struct pv_vhu_message reply;
	int code = pv_vhu_frontend_call(frontend, &call, &reply);

	if (code)
		return code;
	if (reply.payload.state.index != index)
		return pv_vhu_frontend_fail(frontend, -EPROTO,
		                            "GET_VRING_BASE of queue %u answered for queue %u",
		                            index, reply.payload.state.index);
	*base = reply.payload.state.num;
	return 0;
}
