/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The vhost-user front-end: drives a device that another process serves.
 *
 * It is synchronous: each function sends its message and waits for the answer, or for the
 * acknowledgement where the back-end can give one (REPLY_ACK), and no wait is longer than the
 * time agreed on at creation.  While it waits it also serves the back-end's own channel.
 *
 * The back-end is hostile.  An answer that is late, short, or not the one that was asked for ends
 * the connection: from then on every function returns the same error, and
 * pv_vhu_frontend_error() the sentence for it.  A request that the back-end refuses is an error of
 * that request only.
 *
 * Errors are -errno.  Any thread may call any function but create and destroy.
 */
#ifndef PV_HOSTED_FRONTEND_H
#define PV_HOSTED_FRONTEND_H

#include <stdbool.h>
#include <sys/types.h>

#include "hosted/vhost_user/codec.h"

struct pv_vhu_frontend;

/* All that the front-end can make use of. */
#define PV_VHU_FRONTEND_FEATURES                                                                   \
	(VHOST_USER_PROTOCOL_F_MQ | VHOST_USER_PROTOCOL_F_LOG_SHMFD |                              \
	 VHOST_USER_PROTOCOL_F_DEVICE_STATE | VHOST_USER_PROTOCOL_F_REPLY_ACK |                    \
	 VHOST_USER_PROTOCOL_F_BACKEND_REQ | VHOST_USER_PROTOCOL_F_CONFIG |                        \
	 VHOST_USER_PROTOCOL_F_RESET_DEVICE | VHOST_USER_PROTOCOL_F_CONFIGURE_MEM_SLOTS |          \
	 VHOST_USER_PROTOCOL_F_STATUS | VHOST_USER_PROTOCOL_F_INBAND_NOTIFICATIONS |               \
	 VHOST_USER_PROTOCOL_F_INFLIGHT_SHMFD)

struct pv_vhu_frontend_options {
	const char *path;           /* where the back-end listens, or NULL ... */
	int fd;                     /* ... for a connected socket, taken over on success */
	uint64_t protocol_features; /* to accept when offered */
	uint32_t timeout_ms;        /* for each answer; 0: 5000 */
	/*
	 * Who hears of VRING_CALL and VRING_ERR messages (enum vhost_user_backend_request), on the
	 * thread that happens to read one; may be NULL. It must not call the front-end.
	 */
	void (*notified)(void *arg, uint32_t request, uint32_t index);
	void *notified_arg;
};

/*
 * Connects and negotiates: owner, features, protocol features, number of queues, memory slots, the
 * back-end's channel. Returns 0, or -errno with a sentence in `error` (of `error_bytes`).
 */
int pv_vhu_frontend_create(struct pv_vhu_frontend **frontend,
                           const struct pv_vhu_frontend_options *options, char *error,
                           size_t error_bytes);
void pv_vhu_frontend_destroy(struct pv_vhu_frontend *frontend);

/* Why the last function failed; "" if none did. Valid until the next call. */
const char *pv_vhu_frontend_error(const struct pv_vhu_frontend *frontend);

/* Is the connection over, as far as is known? No system call. */
bool pv_vhu_frontend_has_failed(const struct pv_vhu_frontend *frontend);

/* Looks whether the back-end is still there. */
bool pv_vhu_frontend_is_connected(struct pv_vhu_frontend *frontend);

/* The process that made the back-end's socket, 0 where that cannot be seen. */
pid_t pv_vhu_frontend_peer(const struct pv_vhu_frontend *frontend);

/* ---- what was negotiated ---- */

/* The features that the back-end offers, without those of vhost itself. */
uint64_t pv_vhu_frontend_features(const struct pv_vhu_frontend *frontend);
uint64_t pv_vhu_frontend_protocol_features(const struct pv_vhu_frontend *frontend);
uint16_t pv_vhu_frontend_queues(const struct pv_vhu_frontend *frontend);

/* How many regions of memory the back-end takes. */
uint32_t pv_vhu_frontend_mem_slots(const struct pv_vhu_frontend *frontend);

/* ---- the device ---- */

int pv_vhu_frontend_features_set(struct pv_vhu_frontend *frontend, uint64_t features);

/*
 * -ENOTSUP without the protocol feature; -EREMOTEIO for a range that the back-end does not have.
 * At most VHOST_USER_CONFIG_BYTES from the beginning on.
 */
int pv_vhu_frontend_config_get(struct pv_vhu_frontend *frontend, uint32_t offset, void *to,
                               uint32_t bytes);
int pv_vhu_frontend_config_set(struct pv_vhu_frontend *frontend, uint32_t offset, const void *from,
                               uint32_t bytes);

/* -ENOTSUP without the protocol feature. */
int pv_vhu_frontend_reset_device(struct pv_vhu_frontend *frontend);
int pv_vhu_frontend_status_get(struct pv_vhu_frontend *frontend, uint8_t *status);
int pv_vhu_frontend_status_set(struct pv_vhu_frontend *frontend, uint8_t status);

/* ---- memory ---- */

struct pv_vhu_region {
	struct vhost_user_region region;
	int fd; /* stays the caller's */
};

/* All memory at once; at most VHOST_USER_MEM_REGIONS. */
int pv_vhu_frontend_mem_set(struct pv_vhu_frontend *frontend, const struct pv_vhu_region *region,
                            uint32_t regions);

/* One region more or less; -ENOTSUP without CONFIGURE_MEM_SLOTS. */
int pv_vhu_frontend_mem_add(struct pv_vhu_frontend *frontend, const struct pv_vhu_region *region);
int pv_vhu_frontend_mem_remove(struct pv_vhu_frontend *frontend,
                               const struct pv_vhu_region *region);

/* ---- what is in flight ---- */

/* The memory in which a back-end writes down what it works on, for the one after it. */
struct pv_vhu_inflight {
	struct vhost_user_inflight shape;
	int fd;
};

/*
 * Has the back-end make it for so many queues of at most so many places, while none is enabled.
 * Returns 0 (`inflight->fd` is the caller's), -ENOTSUP without INFLIGHT_SHMFD, -EREMOTEIO from a
 * back-end that does not make it.
 */
int pv_vhu_frontend_inflight_get(struct pv_vhu_frontend *frontend, uint16_t queues,
                                 uint16_t queue_size, struct pv_vhu_inflight *inflight);

/* Hands it to a back-end, before the queues; `inflight->fd` stays the caller's. */
int pv_vhu_frontend_inflight_set(struct pv_vhu_frontend *frontend,
                                 const struct pv_vhu_inflight *inflight);

/*
 * Both, for a back-end that is to keep account in memory of ours from now on. One that has no
 * INFLIGHT_SHMFD or does not make it is as good until it dies: 0, and `inflight->fd` is -1.
 */
int pv_vhu_frontend_inflight_begin(struct pv_vhu_frontend *frontend, uint16_t queues,
                                   uint16_t queue_size, struct pv_vhu_inflight *inflight);

/* Closes it, and it is none. */
void pv_vhu_frontend_inflight_end(struct pv_vhu_inflight *inflight);

/* ---- queues ---- */

struct pv_vhu_vring {
	uint32_t size;
	uint32_t base; /* as in SET_VRING_BASE */
	uint64_t desc; /* these three as user addresses of the memory table */
	uint64_t used;
	uint64_t avail;
	bool is_logged; /* the ring's own writes are marked in the dirty log ... */
	uint64_t log;   /* ... from this guest address on, the used ring's */
	int kick_fd;    /* -1: polled, or kicked in-band; stay the caller's */
	int call_fd;
	int err_fd;
};

/* The base of a ring that has not been used yet. */
uint32_t pv_vhu_vring_base_fresh(bool is_packed);

/* Size, base, addresses and descriptors: the queue runs once it is enabled. */
int pv_vhu_frontend_vring_set(struct pv_vhu_frontend *frontend, uint32_t index,
                              const struct pv_vhu_vring *vring);

/* Another call descriptor, also while the queue runs; it stays the caller's. */
int pv_vhu_frontend_vring_call(struct pv_vhu_frontend *frontend, uint32_t index, int fd);

/* Without protocol features a queue is always enabled: nothing is sent then. */
int pv_vhu_frontend_vring_enable(struct pv_vhu_frontend *frontend, uint32_t index, bool is_enabled);

/* Stops a queue and says where it stands. */
int pv_vhu_frontend_vring_stop(struct pv_vhu_frontend *frontend, uint32_t index, uint32_t *base);

/* The message VRING_KICK; -ENOTSUP without INBAND_NOTIFICATIONS. Not acknowledged. */
int pv_vhu_frontend_vring_kick(struct pv_vhu_frontend *frontend, uint32_t index);

/* ---- moving the guest ---- */

/* Can the back-end mark what it writes? The functions for that are -ENOTSUP if not. */
bool pv_vhu_frontend_can_log(const struct pv_vhu_frontend *frontend);

/*
 * Where the back-end marks: `bytes` of the file behind `fd` from `offset` on, one bit for each page
 * of guest memory from address 0 on. The descriptor stays the caller's. When this returns 0 nothing
 * is marked in an earlier log any more.
 */
int pv_vhu_frontend_log_set(struct pv_vhu_frontend *frontend, int fd, uint64_t offset,
                            uint64_t bytes);

/*
 * Logging begins or ends, also while queues run: when this returns 0, it has. It is one thread's
 * business, and that of the features too.
 */
int pv_vhu_frontend_log_turn(struct pv_vhu_frontend *frontend, bool is_on);

/* The same for a ring's own writes; `vring` as it was set, but for `is_logged` and `log`. */
int pv_vhu_frontend_vring_log(struct pv_vhu_frontend *frontend, uint32_t index,
                              const struct pv_vhu_vring *vring);

/*
 * With all queues stopped: the back-end writes its state to the pipe or socket `fd` (which stays
 * the caller's), or reads one there, up to the end of the file; then _check() says whether that
 * went well. The bytes are the caller's business: it closes `fd`, reads or writes the other end,
 * and closes that.
 */
int pv_vhu_frontend_state_begin(struct pv_vhu_frontend *frontend, bool is_load, int fd);
int pv_vhu_frontend_state_check(struct pv_vhu_frontend *frontend);

/* ---- the back-end's channel ---- */

/* To be waited on for POLLIN; -1 where there is none. */
int pv_vhu_frontend_channel(const struct pv_vhu_frontend *frontend);

/* To be waited on for POLLRDHUP: the back-end has left. */
int pv_vhu_frontend_socket(const struct pv_vhu_frontend *frontend);

/* Serves what has come on it. Never blocks. Returns 0 or -errno. */
int pv_vhu_frontend_channel_serve(struct pv_vhu_frontend *frontend);

/* How many times the back-end said that the configuration changed. */
uint32_t pv_vhu_frontend_config_changes(const struct pv_vhu_frontend *frontend);

/* ---- any message ---- */

struct pv_vhu_call {
	uint32_t request;
	const void *payload;
	uint32_t bytes;
	const int *fd;
	uint32_t fds;
};

/*
 * Sends a message and waits for its answer, in `*reply`, or for its acknowledgement: -EREMOTEIO
 * when that says no. `reply` may be NULL.
 */
int pv_vhu_frontend_call(struct pv_vhu_frontend *frontend, const struct pv_vhu_call *call,
                         struct pv_vhu_message *reply);

#endif
