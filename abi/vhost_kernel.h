/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * vhost in the Linux kernel: the requests (ioctl) by which a program hands the queues of a network
 * device to it.  Layouts are those of vhost-user, which was made after it.  Integers are in the
 * byte order of the machine.
 */
#ifndef PV_ABI_VHOST_KERNEL_H
#define PV_ABI_VHOST_KERNEL_H

#include "abi/vhost_user.h"

/* In VHOST_GET_FEATURES: it makes the header of a frame itself, which the tap then has not. */
#define VHOST_NET_F_VIRTIO_NET_HDR (1ull << 27)

struct vhost_memory_region {
	uint64_t guest_addr;
	uint64_t bytes;
	uint64_t user_addr;
	uint64_t padding;
};
PV_SIZE(struct vhost_memory_region, 32);
PV_AT(struct vhost_memory_region, guest_addr, 0);
PV_AT(struct vhost_memory_region, bytes, 8);
PV_AT(struct vhost_memory_region, user_addr, 16);

struct vhost_memory {
	uint32_t count;
	uint32_t padding;
	struct vhost_memory_region region[];
};
PV_SIZE(struct vhost_memory, 8);
PV_AT(struct vhost_memory, count, 0);
PV_AT(struct vhost_memory, region, 8);

/* A queue, and a descriptor for it, or -1. */
struct vhost_vring_file {
	uint32_t index;
	int32_t fd;
};
PV_SIZE(struct vhost_vring_file, 8);
PV_AT(struct vhost_vring_file, index, 0);
PV_AT(struct vhost_vring_file, fd, 4);

#define VHOST_TO_KERNEL   1ul
#define VHOST_FROM_KERNEL 2ul
#define VHOST_REQUEST(way, number, bytes)                                                          \
	((way) << 30 | (unsigned long)(bytes) << 16 | 0xaful << 8 | (number))

#define VHOST_GET_FEATURES  VHOST_REQUEST(VHOST_FROM_KERNEL, 0x00ul, sizeof(uint64_t))
#define VHOST_SET_FEATURES  VHOST_REQUEST(VHOST_TO_KERNEL, 0x00ul, sizeof(uint64_t))
#define VHOST_SET_OWNER     VHOST_REQUEST(0ul, 0x01ul, 0)
#define VHOST_SET_MEM_TABLE VHOST_REQUEST(VHOST_TO_KERNEL, 0x03ul, sizeof(struct vhost_memory))
#define VHOST_SET_VRING_NUM                                                                        \
	VHOST_REQUEST(VHOST_TO_KERNEL, 0x10ul, sizeof(struct vhost_user_vring_state))
#define VHOST_SET_VRING_ADDR                                                                       \
	VHOST_REQUEST(VHOST_TO_KERNEL, 0x11ul, sizeof(struct vhost_user_vring_addr))
#define VHOST_SET_VRING_BASE                                                                       \
	VHOST_REQUEST(VHOST_TO_KERNEL, 0x12ul, sizeof(struct vhost_user_vring_state))
#define VHOST_GET_VRING_BASE                                                                       \
	VHOST_REQUEST(VHOST_TO_KERNEL | VHOST_FROM_KERNEL, 0x12ul,                                 \
	              sizeof(struct vhost_user_vring_state))
#define VHOST_SET_VRING_KICK VHOST_REQUEST(VHOST_TO_KERNEL, 0x20ul, sizeof(struct vhost_vring_file))
#define VHOST_SET_VRING_CALL VHOST_REQUEST(VHOST_TO_KERNEL, 0x21ul, sizeof(struct vhost_vring_file))
#define VHOST_SET_VRING_ERR  VHOST_REQUEST(VHOST_TO_KERNEL, 0x22ul, sizeof(struct vhost_vring_file))
/* With a descriptor the queue runs, with none it does not. */
#define VHOST_NET_SET_BACKEND                                                                      \
	VHOST_REQUEST(VHOST_TO_KERNEL, 0x30ul, sizeof(struct vhost_vring_file))

#endif
