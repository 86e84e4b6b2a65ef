/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The front-end's part in moving a guest: the back-end marks what it writes, and gives its state
 * away or takes one.
 */
#include <errno.h>

#include "hosted/vhost_user/frontend_internal.h"

static bool has(const struct pv_vhu_frontend *frontend, uint64_t protocol_feature)
{
	return frontend->protocol_features & protocol_feature;
}

/*
 * Sends a message, with one descriptor or none (-1), that has an answer of its own: an error if any
 * of its bits in `errors` is set.
 */
static int ask(struct pv_vhu_frontend *frontend, struct pv_vhu_call *call, int fd, uint64_t errors,
               uint64_t *answer)
{
	struct pv_vhu_message reply;
	int code;

	call->fd = &fd;
	call->fds = fd < 0 ? 0 : 1;
	code = pv_vhu_frontend_call(frontend, call, &reply);
	if (code)
		return code;
	*answer = reply.payload.u64;
	if (*answer & errors)
		return pv_vhu_frontend_refuse(frontend, -EREMOTEIO, "the back-end refuses %s",
		                              pv_vhu_request_name(PV_VHU_FROM_FRONTEND,
		                                                  call->request));
	return 0;
}

/* ---- the dirty log ---- */

bool pv_vhu_frontend_can_log(const struct pv_vhu_frontend *frontend)
{
	return frontend->features & VHOST_F_LOG_ALL &&
	       has(frontend, VHOST_USER_PROTOCOL_F_LOG_SHMFD);
}

static int check_can_log(struct pv_vhu_frontend *frontend)
{
	if (pv_vhu_frontend_can_log(frontend))
		return 0;
	return pv_vhu_frontend_refuse(frontend, -ENOTSUP, "the back-end keeps no dirty log");
}

/* What was not acknowledged is done when the next answer comes: messages are carried out in turn.
 */
static int settle(struct pv_vhu_frontend *frontend)
{
	const struct pv_vhu_call call = { .request = VHOST_USER_GET_FEATURES };

	if (has(frontend, VHOST_USER_PROTOCOL_F_REPLY_ACK))
		return 0;
	return pv_vhu_frontend_call(frontend, &call, NULL);
}

int pv_vhu_frontend_log_set(struct pv_vhu_frontend *frontend, int fd, uint64_t offset,
                            uint64_t bytes)
{
	const struct vhost_user_log log = { .mmap_size = bytes, .mmap_offset = offset };
	struct pv_vhu_call call = { .request = VHOST_USER_SET_LOG_BASE,
		                    .payload = &log,
		                    .bytes = sizeof(log) };
	int code = check_can_log(frontend);
	uint64_t answer;

	return code ? code : ask(frontend, &call, fd, UINT64_MAX, &answer);
}

int pv_vhu_frontend_log_turn(struct pv_vhu_frontend *frontend, bool is_on)
{
	uint64_t accepted = __atomic_load_n(&frontend->accepted, __ATOMIC_ACQUIRE);
	int code = check_can_log(frontend);

	if (code)
		return code;
	__atomic_store_n(&frontend->is_logging, is_on, __ATOMIC_RELEASE);
	code = pv_vhu_frontend_features_set(frontend, accepted);
	if (code)
		__atomic_store_n(&frontend->is_logging, !is_on, __ATOMIC_RELEASE);
	return code ? code : settle(frontend);
}

int pv_vhu_frontend_vring_log(struct pv_vhu_frontend *frontend, uint32_t index,
                              const struct pv_vhu_vring *vring)
{
	int code = check_can_log(frontend);

	if (!code)
		code = pv_vhu_frontend_vring_addr_set(frontend, index, vring);
	return code ? code : settle(frontend);
}

/* ---- the device's state ---- */

int pv_vhu_frontend_state_begin(struct pv_vhu_frontend *frontend, bool is_load, int fd)
{
	const struct vhost_user_transfer transfer = {
		.direction = is_load ? VHOST_USER_TRANSFER_LOAD : VHOST_USER_TRANSFER_SAVE,
		.phase = VHOST_USER_TRANSFER_STOPPED,
	};
	struct pv_vhu_call call = { .request = VHOST_USER_SET_DEVICE_STATE_FD,
		                    .payload = &transfer,
		                    .bytes = sizeof(transfer) };
	uint64_t answer;
	int code;

	if (!has(frontend, VHOST_USER_PROTOCOL_F_DEVICE_STATE))
		return pv_vhu_frontend_refuse(frontend, -ENOTSUP,
		                              "the back-end's state cannot be moved");
	code = ask(frontend, &call, fd, VHOST_USER_TRANSFER_ERROR_MASK, &answer);
	/* Its own channel, which it may offer, would have to be used: but no descriptor came. */
	if (!code && !(answer & VHOST_USER_TRANSFER_NO_FD))
		code = pv_vhu_frontend_fail(frontend, -EPROTO,
		                            "SET_DEVICE_STATE_FD answered without a descriptor");
	return code;
}

int pv_vhu_frontend_state_check(struct pv_vhu_frontend *frontend)
{
	struct pv_vhu_call call = { .request = VHOST_USER_CHECK_DEVICE_STATE };
	uint64_t answer;

	return ask(frontend, &call, -1, UINT64_MAX, &answer);
}
