/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The region of shared memory in which a vhost-user back-end writes down what is in flight, so that
 * it can be done again after a crash ("Inflight I/O tracking" of the vhost-user specification).
 *
 * One region for each queue, in the byte order of the machine; which of the two it is depends on
 * the ring's format.  Fields have their names from the specification.
 */
#ifndef PV_ABI_VHOST_INFLIGHT_H
#define PV_ABI_VHOST_INFLIGHT_H

#include "abi/types.h"

/* 0 is a region that nobody has used yet. */
#define VHOST_INFLIGHT_VERSION 1u

/* Each queue's region begins at a multiple of this: not in the text, but what others do. */
#define VHOST_INFLIGHT_ALIGN 64u

/* One for each descriptor; for the head of a chain. */
struct vhost_inflight_split_desc {
	uint8_t inflight;
	uint8_t padding[5];
	uint16_t next;    /* the one before it in the last batch */
	uint64_t counter; /* the order in which they were taken */
};
PV_SIZE(struct vhost_inflight_split_desc, 16);
PV_AT(struct vhost_inflight_split_desc, inflight, 0);
PV_AT(struct vhost_inflight_split_desc, padding, 1);
PV_AT(struct vhost_inflight_split_desc, next, 6);
PV_AT(struct vhost_inflight_split_desc, counter, 8);

struct vhost_inflight_split {
	uint64_t features; /* none yet */
	/* Eight bytes that can be stored as one. */
	struct vhost_inflight_split_state {
		uint16_t version;
		uint16_t desc_num;
		uint16_t last_batch_head;
		uint16_t used_idx;
	} state;
	struct vhost_inflight_split_desc desc[];
};
PV_SIZE(struct vhost_inflight_split_state, 8);
PV_SIZE(struct vhost_inflight_split, 16);
PV_AT(struct vhost_inflight_split, features, 0);
PV_AT(struct vhost_inflight_split, state.version, 8);
PV_AT(struct vhost_inflight_split, state.desc_num, 10);
PV_AT(struct vhost_inflight_split, state.last_batch_head, 12);
PV_AT(struct vhost_inflight_split, state.used_idx, 14);
PV_AT(struct vhost_inflight_split, desc, 16);

/* One for each descriptor taken; `inflight`, `last`, `num` and `counter` for the head of a chain.
 */
struct vhost_inflight_packed_desc {
	uint8_t inflight;
	uint8_t padding;
	uint16_t next; /* in the free list, or in a chain */
	uint16_t last;
	uint16_t num;
	uint64_t counter;
	/* The descriptor as it was taken. */
	uint16_t id;
	uint16_t flags;
	uint32_t len;
	uint64_t addr;
};
PV_SIZE(struct vhost_inflight_packed_desc, 32);
PV_AT(struct vhost_inflight_packed_desc, inflight, 0);
PV_AT(struct vhost_inflight_packed_desc, padding, 1);
PV_AT(struct vhost_inflight_packed_desc, next, 2);
PV_AT(struct vhost_inflight_packed_desc, last, 4);
PV_AT(struct vhost_inflight_packed_desc, num, 6);
PV_AT(struct vhost_inflight_packed_desc, counter, 8);
PV_AT(struct vhost_inflight_packed_desc, id, 16);
PV_AT(struct vhost_inflight_packed_desc, flags, 18);
PV_AT(struct vhost_inflight_packed_desc, len, 20);
PV_AT(struct vhost_inflight_packed_desc, addr, 24);

struct vhost_inflight_packed {
	uint64_t features; /* none yet */
	/* Twice eight bytes that can be stored as one each. */
	struct vhost_inflight_packed_heads {
		uint16_t version;
		uint16_t desc_num;
		uint16_t free_head;
		uint16_t old_free_head;
	} heads;
	struct vhost_inflight_packed_used {
		uint16_t used_idx;
		uint16_t old_used_idx;
		uint8_t used_wrap_counter;
		uint8_t old_used_wrap_counter;
		uint8_t padding[2];
	} used;
	uint8_t padding[8]; /* one of them before `desc` for its alignment */
	struct vhost_inflight_packed_desc desc[];
};
PV_SIZE(struct vhost_inflight_packed_heads, 8);
PV_SIZE(struct vhost_inflight_packed_used, 8);
PV_SIZE(struct vhost_inflight_packed, 32);
PV_AT(struct vhost_inflight_packed, features, 0);
PV_AT(struct vhost_inflight_packed, heads.version, 8);
PV_AT(struct vhost_inflight_packed, heads.desc_num, 10);
PV_AT(struct vhost_inflight_packed, heads.free_head, 12);
PV_AT(struct vhost_inflight_packed, heads.old_free_head, 14);
PV_AT(struct vhost_inflight_packed, used.used_idx, 16);
PV_AT(struct vhost_inflight_packed, used.old_used_idx, 18);
PV_AT(struct vhost_inflight_packed, used.used_wrap_counter, 20);
PV_AT(struct vhost_inflight_packed, used.old_used_wrap_counter, 21);
PV_AT(struct vhost_inflight_packed, used.padding, 22);
PV_AT(struct vhost_inflight_packed, padding, 24);
PV_AT(struct vhost_inflight_packed, desc, 32);

/* Bytes from one queue's region to the next, of queues of so many places. */
static inline uint64_t vhost_inflight_bytes(int is_packed, uint16_t desc_num)
{
	uint64_t bytes = is_packed ? sizeof(struct vhost_inflight_packed) +
	                                     sizeof(struct vhost_inflight_packed_desc) * desc_num
	                           : sizeof(struct vhost_inflight_split) +
	                                     sizeof(struct vhost_inflight_split_desc) * desc_num;

	return (bytes + VHOST_INFLIGHT_ALIGN - 1) / VHOST_INFLIGHT_ALIGN * VHOST_INFLIGHT_ALIGN;
}

#endif
