/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * vhost-user: the messages by which a front-end (a monitor) hands a device's queues to a back-end
 * in another process, over a Unix stream socket with file descriptors attached.  Integers are in
 * the byte order of the machine: both ends are on one.
 */
#ifndef PV_ABI_VHOST_USER_H
#define PV_ABI_VHOST_USER_H

#include "abi/types.h"

/* Requests of the front-end. */
enum vhost_user_request {
	VHOST_USER_GET_FEATURES = 1,
	VHOST_USER_SET_FEATURES = 2,
	VHOST_USER_SET_OWNER = 3,
	VHOST_USER_RESET_OWNER = 4,
	VHOST_USER_SET_MEM_TABLE = 5,
	VHOST_USER_SET_LOG_BASE = 6,
	VHOST_USER_SET_LOG_FD = 7,
	VHOST_USER_SET_VRING_NUM = 8,
	VHOST_USER_SET_VRING_ADDR = 9,
	VHOST_USER_SET_VRING_BASE = 10,
	VHOST_USER_GET_VRING_BASE = 11,
	VHOST_USER_SET_VRING_KICK = 12,
	VHOST_USER_SET_VRING_CALL = 13,
	VHOST_USER_SET_VRING_ERR = 14,
	VHOST_USER_GET_PROTOCOL_FEATURES = 15,
	VHOST_USER_SET_PROTOCOL_FEATURES = 16,
	VHOST_USER_GET_QUEUE_NUM = 17,
	VHOST_USER_SET_VRING_ENABLE = 18,
	VHOST_USER_SEND_RARP = 19,
	VHOST_USER_NET_SET_MTU = 20,
	VHOST_USER_SET_BACKEND_REQ_FD = 21,
	VHOST_USER_GET_CONFIG = 24,
	VHOST_USER_SET_CONFIG = 25,
	VHOST_USER_GET_INFLIGHT_FD = 31,
	VHOST_USER_SET_INFLIGHT_FD = 32,
	VHOST_USER_RESET_DEVICE = 34,
	VHOST_USER_VRING_KICK = 35,
	VHOST_USER_GET_MAX_MEM_SLOTS = 36,
	VHOST_USER_ADD_MEM_REG = 37,
	VHOST_USER_REM_MEM_REG = 38,
	VHOST_USER_SET_STATUS = 39,
	VHOST_USER_GET_STATUS = 40,
	VHOST_USER_SET_DEVICE_STATE_FD = 42,
	VHOST_USER_CHECK_DEVICE_STATE = 43,
};

/* Requests of the back-end, on the channel of SET_BACKEND_REQ_FD. */
enum vhost_user_backend_request {
	VHOST_USER_BACKEND_CONFIG_CHANGE_MSG = 2,
	VHOST_USER_BACKEND_VRING_CALL = 4,
	VHOST_USER_BACKEND_VRING_ERR = 5,
};

/*
 * Feature bits of vhost itself, which no driver sees: log all writes to memory, and there are
 * protocol features.
 */
#define VHOST_F_LOG_ALL                (1ull << 26)
#define VHOST_USER_F_PROTOCOL_FEATURES (1ull << 30)

#define VHOST_USER_PROTOCOL_F_MQ                   (1ull << 0)
#define VHOST_USER_PROTOCOL_F_LOG_SHMFD            (1ull << 1)
#define VHOST_USER_PROTOCOL_F_RARP                 (1ull << 2)
#define VHOST_USER_PROTOCOL_F_REPLY_ACK            (1ull << 3)
#define VHOST_USER_PROTOCOL_F_NET_MTU              (1ull << 4)
#define VHOST_USER_PROTOCOL_F_BACKEND_REQ          (1ull << 5)
#define VHOST_USER_PROTOCOL_F_CONFIG               (1ull << 9)
#define VHOST_USER_PROTOCOL_F_INFLIGHT_SHMFD       (1ull << 12)
#define VHOST_USER_PROTOCOL_F_RESET_DEVICE         (1ull << 13)
#define VHOST_USER_PROTOCOL_F_INBAND_NOTIFICATIONS (1ull << 14)
#define VHOST_USER_PROTOCOL_F_CONFIGURE_MEM_SLOTS  (1ull << 15)
#define VHOST_USER_PROTOCOL_F_STATUS               (1ull << 16)
#define VHOST_USER_PROTOCOL_F_DEVICE_STATE         (1ull << 19)

struct vhost_user_header {
	uint32_t request;
	uint32_t flags;
	uint32_t size; /* of the payload */
};
PV_SIZE(struct vhost_user_header, 12);
PV_AT(struct vhost_user_header, request, 0);
PV_AT(struct vhost_user_header, flags, 4);
PV_AT(struct vhost_user_header, size, 8);

#define VHOST_USER_VERSION         1u
#define VHOST_USER_VERSION_MASK    3u
#define VHOST_USER_FLAG_REPLY      4u
#define VHOST_USER_FLAG_NEED_REPLY 8u

#define VHOST_USER_MEM_REGIONS  8u   /* in one SET_MEM_TABLE */
#define VHOST_USER_MEM_SLOTS    509u /* with CONFIGURE_MEM_SLOTS */
#define VHOST_USER_CONFIG_BYTES 256u
#define VHOST_USER_FDS          VHOST_USER_MEM_REGIONS

struct vhost_user_vring_state {
	uint32_t index;
	uint32_t num;
};
PV_SIZE(struct vhost_user_vring_state, 8);
PV_AT(struct vhost_user_vring_state, index, 0);
PV_AT(struct vhost_user_vring_state, num, 4);

/* Base of a packed ring: position and wrap counter of the driver's side, then of ours above. */
#define VHOST_USER_BASE_AVAIL_WRAP (1u << 15)
#define VHOST_USER_BASE_USED_SHIFT 16u
#define VHOST_USER_BASE_USED_WRAP  (1u << 31)

#define VHOST_VRING_F_LOG 1u /* log writes to the used ring */

struct vhost_user_vring_addr {
	uint32_t index;
	uint32_t flags;
	uint64_t desc; /* addresses in the front-end's own space */
	uint64_t used;
	uint64_t avail;
	uint64_t log; /* the guest address where the used ring is logged */
};
PV_SIZE(struct vhost_user_vring_addr, 40);
PV_AT(struct vhost_user_vring_addr, index, 0);
PV_AT(struct vhost_user_vring_addr, flags, 4);
PV_AT(struct vhost_user_vring_addr, desc, 8);
PV_AT(struct vhost_user_vring_addr, used, 16);
PV_AT(struct vhost_user_vring_addr, avail, 24);
PV_AT(struct vhost_user_vring_addr, log, 32);

struct vhost_user_region {
	uint64_t guest_addr;
	uint64_t bytes;
	uint64_t user_addr;
	uint64_t mmap_offset;
};
PV_SIZE(struct vhost_user_region, 32);
PV_AT(struct vhost_user_region, guest_addr, 0);
PV_AT(struct vhost_user_region, bytes, 8);
PV_AT(struct vhost_user_region, user_addr, 16);
PV_AT(struct vhost_user_region, mmap_offset, 24);

struct vhost_user_mem_table {
	uint32_t count;
	uint32_t padding;
	struct vhost_user_region region[VHOST_USER_MEM_REGIONS];
};
PV_SIZE(struct vhost_user_mem_table, 8 + 8 * 32);
PV_AT(struct vhost_user_mem_table, count, 0);
PV_AT(struct vhost_user_mem_table, padding, 4);
PV_AT(struct vhost_user_mem_table, region, 8);

struct vhost_user_mem_reg {
	uint64_t padding;
	struct vhost_user_region region;
};
PV_SIZE(struct vhost_user_mem_reg, 40);
PV_AT(struct vhost_user_mem_reg, padding, 0);
PV_AT(struct vhost_user_mem_reg, region, 8);

/* Payload of SET_LOG_BASE: where in its file the log is, from guest address 0 on. */
struct vhost_user_log {
	uint64_t mmap_size;
	uint64_t mmap_offset;
};
PV_SIZE(struct vhost_user_log, 16);
PV_AT(struct vhost_user_log, mmap_size, 0);
PV_AT(struct vhost_user_log, mmap_offset, 8);

/* Payload of SET_DEVICE_STATE_FD. */
struct vhost_user_transfer {
	uint32_t direction;
	uint32_t phase;
};
PV_SIZE(struct vhost_user_transfer, 8);
PV_AT(struct vhost_user_transfer, direction, 0);
PV_AT(struct vhost_user_transfer, phase, 4);

#define VHOST_USER_TRANSFER_SAVE    0u /* from the back-end */
#define VHOST_USER_TRANSFER_LOAD    1u
#define VHOST_USER_TRANSFER_STOPPED 0u /* the phase: guest and device stand still */

/* The answer to it: an error, and whether no descriptor comes along. */
#define VHOST_USER_TRANSFER_ERROR_MASK 0xffu
#define VHOST_USER_TRANSFER_NO_FD      0x100u

struct vhost_user_config {
	uint32_t offset;
	uint32_t size;
	uint32_t flags; /* 1: this write is part of a migration */
	uint8_t data[VHOST_USER_CONFIG_BYTES];
};
PV_AT(struct vhost_user_config, offset, 0);
PV_AT(struct vhost_user_config, size, 4);
PV_AT(struct vhost_user_config, flags, 8);
PV_AT(struct vhost_user_config, data, 12);

/* abi/vhost_inflight.h has what lies there. */
struct vhost_user_inflight {
	uint64_t mmap_size;
	uint64_t mmap_offset;
	uint16_t num_queues;
	uint16_t queue_size;
	uint8_t padding[4]; /* the compiler's: some leave it out of the message */
};
PV_SIZE(struct vhost_user_inflight, 24);
PV_AT(struct vhost_user_inflight, mmap_size, 0);
PV_AT(struct vhost_user_inflight, mmap_offset, 8);
PV_AT(struct vhost_user_inflight, num_queues, 16);
PV_AT(struct vhost_user_inflight, queue_size, 18);
PV_AT(struct vhost_user_inflight, padding, 20);

/* Payload of SET_VRING_KICK, _CALL and _ERR: the queue, and whether no descriptor comes along. */
#define VHOST_USER_VRING_INDEX_MASK 0xffu
#define VHOST_USER_VRING_NO_FD      0x100u

union vhost_user_payload {
	uint64_t u64;
	struct vhost_user_vring_state state;
	struct vhost_user_vring_addr addr;
	struct vhost_user_mem_table table;
	struct vhost_user_mem_reg reg;
	struct vhost_user_config config;
	struct vhost_user_log log;
	struct vhost_user_transfer transfer;
	struct vhost_user_inflight inflight;
};

#endif
